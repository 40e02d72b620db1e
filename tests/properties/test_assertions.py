"""An assertion holds when Python says so of the same test, and a count in it is what linear algebra says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdsl

SPEC = """network Net(n: int, m: int, rate: float) {{
    input x: [8]
    layer a = Dense(4)
    output y = x -> a
    assert {test}
}}
"""

# Numbers, lists and truth values, each in the words of both languages.
leaves = st.one_of(
    st.sampled_from(["n", "m", "rate", "parameters", "dense_parameters"]),
    st.sampled_from(["shape(a.kernel)[0]", "shape(x)[-1]", "free(a.bias)", "nonzero(a.kernel)"]),
    st.integers(0, 40).map(str),
    st.sampled_from(["0.5", "2.0", "1e-3"]),
)


def more_numbers(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(numbers, min_size=1, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    lists |= st.sampled_from(["shape(a.kernel)", "shape(x)", "shape(a.bias)"])
    return st.one_of(
        st.tuples(numbers, st.sampled_from(["+", "-", "*", "/", "//", "%"]), numbers).map(" ".join).map("({})".format),
        numbers.map("-{}".format),
        numbers.map("({} ** 2)".format),
        st.tuples(st.sampled_from(["abs", "round"]), numbers).map(lambda call: f"{call[0]}({call[1]})"),
        st.tuples(st.sampled_from(["min", "max", "sum", "len"]), lists).map(lambda call: f"{call[0]}({call[1]})"),
        st.tuples(lists, st.integers(-2, 2)).map(lambda item: f"{item[0]}[{item[1]}]"),
        st.tuples(numbers, numbers, numbers).map(lambda three: f"({three[0]} if {three[1]} < 9 else {three[2]})"),
    )


numbers = st.recursive(leaves, more_numbers, max_leaves=6)
comparisons = st.tuples(numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers).map(" ".join)
tests = st.recursive(
    comparisons,
    lambda some: st.one_of(
        st.tuples(some, st.sampled_from(["and", "or"]), some).map(" ".join).map("({})".format),
        st.tuples(some, st.sampled_from(["and", "or"]), some).map(" ".join),
        some.map("not ({})".format),
    ),
    max_leaves=5,
)

SHAPES = {"x": [8], "a.kernel": [8, 4], "a.bias": [4]}


class Weights:
    """`a.kernel` and `a.bias` for Python."""

    kernel, bias = "a.kernel", "a.bias"


def in_python(test: str, values: dict[str, Any]) -> str | None:
    """What Python says of a test: the code that it should get here, or None if it is true."""
    sizes = {name: sizes[0] * (sizes[1] if len(sizes) > 1 else 1) for name, sizes in SHAPES.items()}
    total = sizes["a.kernel"] + sizes["a.bias"]
    known = {"parameters": total, "dense_parameters": total, "a": Weights, "x": "x"}
    functions = {"shape": SHAPES.__getitem__, "free": sizes.__getitem__, "nonzero": sizes.__getitem__}
    try:
        return None if eval(test, known | functions | values) else "E0701"
    except (ArithmeticError, IndexError):
        return "E0310"


def said_of(test: str, values: dict[str, Any]) -> str | None:
    try:
        wdsl.loads(SPEC.format(test=test), parameters=values)
    except wdsl.WdslError as error:
        (one,) = error.diagnostics
        return one.code
    return None


@given(tests, st.integers(-5, 40), st.integers(-5, 40), st.sampled_from([0.0, 0.25, 3.0]))
@settings(max_examples=200, deadline=None)
def test_a_test_is_what_python_says_of_it(test: str, n: int, m: int, rate: float) -> None:
    values = {"n": n, "m": m, "rate": rate}
    assert said_of(test, values) == in_python(test, values)


ANNOTATIONS = {
    "symmetric": "n * (n + 1) // 2",
    "skew": "n * (n - 1) // 2",
    "zero[diagonal]": "n * n - n",
    "equal[rows]": "n",
    "zero[where i * j > 3], symmetric": "parameters",
    "frozen": "0",
}


@pytest.mark.parametrize("annotation", ANNOTATIONS)
@pytest.mark.parametrize("n", [2, 5])
def test_what_is_free_is_counted(annotation: str, n: int) -> None:
    count = ANNOTATIONS[annotation]
    spec = f"""network Net(n: int) {{
        input x: [n]
        layer a = Dense(n, use_bias=false) {annotation}
        layer b = Dense(n, use_bias=false) tie(a.kernel)
        output y = x -> a -> b
        assert free(a.kernel) == {count} and parameters == {count} and free(b.kernel) == 0
        assert dense_parameters == 2 * n * n
        assert nonzero(a.kernel) == nonzero(b.kernel) and free(a.kernel) <= nonzero(a.kernel)
    }}"""
    net = wdsl.loads(spec, parameters={"n": n})
    with pytest.raises(wdsl.WdslError) as caught:
        wdsl.loads(spec.replace(f"== {count} and", f"== {count} + 1 and"), parameters={"n": n})
    (one,) = (each for each in caught.value.diagnostics if each.severity == "error")
    assert one.code == "E0701"
    assert [f"{net.parameters:,}" in each for each in (one.label, one.labels[0].text)] == [True, True]


def test_what_is_generated_has_no_assertions() -> None:
    with_one = SPEC.format(test='parameters < 1_000, "too many"')
    without = "".join(line for line in with_one.splitlines(keepends=True) if "assert" not in line)
    given = {"n": 1, "m": 2, "rate": 0.5}
    plans = [wdsl.loads(spec, parameters=given).emit("plan") for spec in (with_one, without)]
    assert plans[0] == plans[1]


def test_names_of_the_file_come_first() -> None:
    """A parameter that is called as what assertions have is that parameter."""
    spec = """network Net(parameters: int = 3, free: list = [7]) {
        input x: [8]
        output y = x -> Dense(4)
        assert parameters == 3 and free[0] == 7
    }"""
    assert wdsl.loads(spec).parameters == 8 * 4 + 4


def test_a_long_test_is_no_trouble() -> None:
    with pytest.raises(wdsl.WdslError):
        wdsl.loads(SPEC.format(test="1" + " + 1" * 20_000 + " == 3"), parameters={"n": 1, "m": 1, "rate": 1.0})
