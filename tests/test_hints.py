"""What people write who come from elsewhere, and what the report says to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

import wdsl
from wdsl.text.hints import ROWS, Row

ERRORS = Path(__file__).parent / "errors"

NET = "network Net {{\n    input x: [8]\n    layer z = Dense(8)\n    {}\n    output y = x -> z\n}}\n"

MISTAKES = {
    # What stands in a network, and what the fix or the hint must have in it.
    "h = x -> Dense(8, activation='relu')": '"relu"',
    "h = x -> Dense(8, activation=“relu”)": '"relu"',
    "h = x -> Dense(8, activation=‘relu’)": '"relu"',
    "/* text */ h = x": "#",
    "h = x -> Dense(8) // a comment": "# a comment",
    'h = x -> Dense(8, activation=f"relu")': "str(i)",
    "größe = x": "a to z",
    "h = x -> Dense(8))": "too many",
    "h = x ->": "a layer or a function",
    "-> Dense(8)": "h = x -> …",
    "h = x => Dense(8)": "->",
    "h = x → Dense(8)": "->",
    "h = x -> Dense(8 if true && true else 4)": "and",
    "h = x -> Dense(8 if true || true else 4)": "or",
    "h = x -> Dense(8 if !true else 4)": "not",
    "h = x |> Dense(8)": "->",
    "h = x | Dense(8)": "->",
    "h = x ^ 2": "**",
    "h = x -> Dense(8 if 3 ≤ 4 else 4)": "<=",
    "h := x": "=",
    "i++": "+= 1",
    "h = x -> Dense(true ? 8 : 4)": "8 if true else 4",
    "let h = x": "`=` alone",
    "return x": "output",
    "if true { h = x } elif false { h = x }": "else if",
    "if true: h = x": "{",
    "while true { h = x }": "for i in range",
    "for (i in range(3)) { h = x }": "for i in range(3) {",
    "for i in 0..3 { h = x }": "range(0, 3)",
    "for i in 3 { h = x }": "for i in range",
    "h = lambda y: y": "block",
    "def f(x) { return x }": "block",
    "class Own(Layer)": "block",
    "import keras": "all of Keras",
    "const k = 3": "with `=` alone",
    "print(x)": "no such statement",
    "layer a: Dense(8)": "layer a =",
    "input w = [8]": "input w:",
    "h = x -> Dense 8": "Dense(8)",
    "layer b = Dense(8) { kernel = symmetric }": "kernel:",
    "layer c = Dense(8), symmetric": ") symmetric",
    "layer d = Dense(8) tie z.kernel": "tie(z.kernel)",
    "layer d = Dense(8) tied(z.kernel)\n    output w = x -> d": "tie",
    "layer d = Dense(8) zero(diagonal)\n    output w = x -> d": "zero[diagonal]",
    "layer d = Dense(8) tie(z.kernel.t())\n    output w = x -> d": ".T",
    "a = x -> tf.nn.relu": "relu",
    "b = x -> keras.layers.Dense(8)": "Dense",
    "c = x -> nn.Linear(8)": "Dense",
    "d = x.T": "transpose(",
    "f = x.reshape(3)": "Reshape(",
    "g = x.mean()": "mean(x)",
    "i = x -> dense(8)": "Dense",
    "i = x -> Linear(8)": "Dense",
    "j = x -> Conv2d(8, 3)": "Conv2D",
    "k = x -> Dense(8, input_shape=3)": "input x: [8]",
    "l = x -> Dropout(p=0.5)": "rate",
    "n = x -> Dense(out_features=8)": "units",
    "q = x -> Conv2D(8, 3, stride=2)": "strides",
    "r = Dense(8)": "layer NAME = …",
    "s = x -> Dense(8, activation=ReLU)": "relu",
    "v = x -> Dense(8, kernel_regularizer=l2(0.01))": "L2",
    "w = x -> Dense(8, use_bias=False)": "false",
    "w = x -> Dense(8, activation=None)": "none",
    'w = x -> Dense(8, name="w")': "layer NAME = …",
    "w = x.shape": "shape(x)",
}


@pytest.mark.parametrize(("line", "instead"), MISTAKES.items())
def test_a_report_says_what_to_write(line: str, instead: str) -> None:
    problem = next(each for each in wdsl.checks(NET.format(line)) if each.severity == "error")
    assert instead in f"{problem.hint} {problem.fix.replacement if problem.fix else ''}"


def test_they_are_many() -> None:
    assert len(MISTAKES) >= 60


@pytest.mark.parametrize("line", MISTAKES)
def test_no_fix_is_wrong(line: str) -> None:
    """What a fix makes of the line has another mistake at most, further on or of another kind."""
    text = NET.format(line)
    problem = next(each for each in wdsl.checks(text) if each.severity == "error")
    if problem.fix is None:
        return
    span = problem.fix.span
    mended = text[: span.start] + problem.fix.replacement + text[span.end :]
    after = [each for each in wdsl.checks(mended) if each.severity == "error"]
    assert not after or (after[0].code, after[0].message) != (problem.code, problem.message)
    assert not any(each.code in ("E0101", "E0102", "E0103") for each in after)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.pattern)
def test_a_row_is_of_use(row: Row) -> None:
    """Each is in the reports of tests/errors, or above."""
    said = {problem.hint for line in MISTAKES for problem in wdsl.checks(NET.format(line))}
    reports = "\n".join(path.read_text(encoding="utf-8") for path in ERRORS.glob("*.txt"))
    hint = row.hint.partition("\\")[0].rstrip("`(")
    assert any(each and hint in each for each in said) or hint in reports
