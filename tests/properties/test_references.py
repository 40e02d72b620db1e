"""Views in ties are NumPy's: what a reference says in Python is what the compiler and the model make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdsl
from wdsl.weights.entries import see

SHAPE = (4, 6)
Array = np.ndarray[Any, Any]


def axes(draw: st.DrawFn, rank: int) -> int:
    return draw(st.integers(0, rank - 1))


@st.composite
def views(draw: st.DrawFn) -> tuple[str, Array]:
    """The text of a reference to `a.kernel`, and what it is of an array with the numbers of its entries."""
    text, array = "a.kernel", np.arange(24).reshape(SHAPE)
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["T", "transpose", "reshape", "flip", "slice"]))
        if kind == "T":
            step = ".T"
        elif kind == "transpose":
            step = f".transpose({', '.join(map(str, draw(st.permutations(range(array.ndim)))))})"
        elif kind == "reshape":
            first = draw(st.sampled_from([n for n in range(1, array.size + 1) if array.size % n == 0]))
            step = draw(st.sampled_from([f".reshape({first}, -1)", f".reshape({first}, 1, {array.size // first})"]))
        elif kind == "flip":
            step = f".flip({axes(draw, array.ndim)})"
        else:
            slices = []
            for size in array.shape:
                start = draw(st.integers(0, size - 1))
                stop = draw(st.integers(start + 1, size))
                step_ = draw(st.sampled_from(["", ":2"]))
                slices.append(draw(st.sampled_from([":", f"{start}:{stop}{step_}", f"{start - size}:", f":{stop}"])))
            step = f"[{', '.join(slices)}]"
        text += step
        array = eval("w" + (step if kind != "flip" else ""), {"w": array})
        if kind == "flip":
            array = np.flip(array, int(step[6:-1]))
    if array.ndim != 2:
        text, array = f"{text}.reshape({array.shape[0]}, -1)", array.reshape(array.shape[0], -1)
    return text, array


def net_of(text: str, shape: tuple[int, ...], factor: str = "") -> wdsl.Net:
    rows, columns = shape
    return wdsl.loads(
        f"""network Views {{
            input x: [4]
            input z: [{rows}]
            layer a = Dense(6, use_bias=false)
            layer b = Dense({columns}, use_bias=false) tie({factor}{text})
            output y = x -> a
            output v = z -> b
        }}"""
    )


@given(views())
@settings(max_examples=150)
def test_a_view_shows_what_numpy_shows(view: tuple[str, Array]) -> None:
    text, expected = view
    net = net_of(text, expected.shape)
    (tied,) = [each for each in net.weights if str(each.name) == "b.kernel"]
    assert str(tied.owner) == "a.kernel"
    np.testing.assert_array_equal(see(tied.view, np.arange(24).reshape(SHAPE), {}), expected)
    assert net.parameters == 24


CASES = [
    ("a.kernel.reshape(3, 8)", ""),
    ("a.kernel.T[::2, 1:3]", "-"),
    ("a.kernel.flip(1).reshape(2, 2, 6).transpose(1, 0, 2).reshape(4, 6)", "0.5 * "),
    ("a.kernel[-1:, :].T", "-2 * "),
]


@pytest.mark.parametrize(("text", "factor"), CASES)
def test_a_model_computes_with_the_view(text: str, factor: str) -> None:
    """Read from outside, before and after a step of training: an identity in, the kernel out."""
    import keras

    python = text.replace(".flip(1)", "[:, ::-1]").replace("a.kernel", "w")
    shape = eval(python, {"w": np.zeros(SHAPE)}).shape
    model = net_of(text, shape, factor).to_keras()

    def kernels() -> tuple[Array, Array]:
        ones = max(4, shape[0])
        answer = model([np.eye(ones, 4, dtype="float32"), np.eye(ones, shape[0], dtype="float32")])
        return np.asarray(answer["y"])[:4], np.asarray(answer["v"])[: shape[0]]

    for _ in range(2):
        a, b = kernels()
        scale = np.float32(eval(factor.replace("*", "") or "1") if factor != "-" else -1)
        np.testing.assert_array_equal(b, scale * eval(python, {"w": a}))
        assert len(np.unique(a)) == 24
        model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
        inputs = [np.ones((2, 4)), np.ones((2, shape[0]))]
        model.train_on_batch(inputs, {"y": np.ones((2, 6)), "v": np.ones((2, shape[1]))})


def test_a_parameter_that_is_called_weight() -> None:
    """It is not mistaken for the weight that a view is of, where both stand in one expression."""
    net = wdsl.loads(
        """network N(weight: int = 3) {
            input x: [6]
            layer a = Dense(6, use_bias=false) zero[diagonal]
            layer b = Dense(weight, use_bias=false) tie(a.kernel[:, 0:weight])
            output y = x -> a -> b
        }"""
    )
    assert {str(each.name): each.nonzero for each in net.weights} == {"a.kernel": 30, "b.kernel": 15}
