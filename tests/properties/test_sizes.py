"""What shape rules compute is simplified, and is the same number whatever the parameters are."""

from __future__ import annotations

from operator import add, floordiv, mod, mul, sub
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import wdsl
from wdsl.core import expressions as ex
from wdsl.core.printing import shown
from wdsl.core.sizes import Dim, expression_of

NAMES = ("a", "b", "c")
OPERATORS = {"+": add, "-": sub, "*": mul, "//": floordiv, "%": mod}
Tree = Any  # a name, a number, or an operator with two trees


def trees() -> st.SearchStrategy[Tree]:
    leaves = st.sampled_from(NAMES) | st.integers(-3, 8)
    return st.recursive(
        leaves, lambda inside: st.tuples(st.sampled_from(sorted(OPERATORS)), inside, inside), max_leaves=12
    )


def values() -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(-9, 40)))


def computed(tree: Tree, values: dict[str, Any]) -> Any:
    """What Python's operators make of a tree, with numbers or with sizes in place of the names."""
    match tree:
        case (sign, left, right):
            return OPERATORS[sign](computed(left, values), computed(right, values))
        case str():
            return values[tree]
    return tree


def most_operations(tree: Tree) -> int:
    """As many as there are, and two more to divide by what is below 0, which is turned around."""
    if not isinstance(tree, tuple):
        return 0
    return (3 if tree[0] in ("//", "%") else 1) + most_operations(tree[1]) + most_operations(tree[2])


@settings(max_examples=500, deadline=None)
@given(trees(), values(), st.lists(values(), min_size=1, max_size=5))
def test_the_same_number_for_all_parameters(tree: Tree, now: dict[str, int], others: list[dict[str, int]]) -> None:
    try:
        found = computed(tree, {name: Dim(value, ex.Variable(name)) for name, value in now.items()})
        assert int(found) == computed(tree, now)
    except ZeroDivisionError:
        assume(False)
    expression = expression_of(found)
    assert ex.extent(expression)[0] <= most_operations(tree)
    for other in (now, *others):
        try:
            wanted = computed(tree, other)
        except ZeroDivisionError:
            continue
        assert ex.evaluate(expression, other, str) == wanted


@settings(max_examples=200, deadline=None)
@given(trees(), trees(), values())
def test_a_difference_of_the_same_is_nothing(tree: Tree, other: Tree, now: dict[str, int]) -> None:
    """What is added and taken away again leaves no trace, in whatever order."""
    sizes = {name: Dim(value, ex.Variable(name)) for name, value in now.items()}
    try:
        one, two = computed(tree, sizes), computed(other, sizes)
    except ZeroDivisionError:
        assume(False)
    assert not isinstance(one + two - two - one, Dim)
    assert not isinstance(two + one - (one + two), Dim)


SIMPLE = {
    # What a network computes of `n = 32`, `m = 4`, and how that is written.
    "n - 1 + 1 - 1 + 1": "n",
    "n - 3 + 1 - 3 + 1": "n - 4",
    "(n - 1) // 1 + 1": "n",
    "(n - 1) // 2 + 1": "(n + 1) // 2",
    "((n - 1) // 2 + 1 - 1) // 2 + 1": "(n + 3) // 4",
    "(n - 3) // 2 + 1": "(n - 1) // 2",
    "(n - 2) // 2 + 1": "n // 2",
    "0 - (0 - n) // 4": "(n + 3) // 4",
    "(n - 1) // m + 1": "(n - 1) // m + 1",
    "n * m // m": "n",
    "n * 4 // 2": "2 * n",
    "(6 * n + 9) // 4": "3 * n // 2 + 2",
    "0 - n // 2": "-(n // 2)",
    "(0 - n) // 2": "-n // 2",
    "(4 * n + 6) // 4": "n + 1",
    "(n - 2) * (n - 2) * 8": "(n - 2) * (n - 2) * 8",
    "(n - 2) * (n - 2) * 8 // ((n - 2) * (n - 2)) + m": "m + 8",
    "n + n": "2 * n",
    "m - n - m - n": "-2 * n",
    "1 - n + 4": "5 - n",
    "(4 * n + 3) % 4 + m": "m + 3",
    "n // 2 * 2": "2 * (n // 2)",
    "n % 4 * m": "n % 4 * m",
    "n * n // n": "n",
}


@pytest.mark.parametrize("text", SIMPLE)
def test_simple(text: str) -> None:
    sizes = {"n": Dim(32, ex.Variable("n")), "m": Dim(4, ex.Variable("m"))}
    assert shown(expression_of(eval(text, sizes))) == SIMPLE[text]


def network(body: str, parameters: str = "side: int = 32") -> str:
    return f"network N({parameters}) {{ input x: [side, side, 3]\n{body} }}"


@pytest.mark.parametrize("count", [5, 126, 1_000])
def test_convolutions_that_keep_a_size(count: int) -> None:
    text = network(f"output y = x -> Conv2D(8, 3, padding=same) * {count}")
    assert "(batch, side, side, 8) float32." in wdsl.loads(text).to_python()


def test_convolutions_that_take_of_a_size() -> None:
    text = network("output y = x -> Conv2D(8, 3) -> MaxPooling2D(2) -> Conv2D(8, 3, strides=2, padding=same)")
    assert "(batch, side // 4, side // 4, 8) float32." in wdsl.loads(text).to_python()


def test_what_the_author_wrote_stays() -> None:
    text = network(
        "layer d = Dense(width * 2 ** stage)\nlayer e = Dense(3) tie(d.kernel.T)\n"
        "output y = x -> d -> e\noutput z = x -> d",
        "side: int = 32, width: int = 4, stage: int = 2",
    )
    source = wdsl.loads(text).to_python()
    assert 'Shared((3, width * 2**stage), name="d_kernel")' in source
    assert "(batch, side, side, width * 2**stage)" in source
