"""Functions in wiring: a network with functions of every kind gives what Keras itself makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest

import wdsl
from tests.rounding import exact, transform

ops = keras.ops

TEXT = """network N {
    input a: [3, 4]
    input b: [4, 5]
    c = einsum("bij,bjk->bik", a, b)
    d = (a, b) -> einsum("bij,bjk->bik")
    best, place = c -> top_k(2)
    e = where(greater(c, 0), c, 0.5)
    image = reshape(a, [-1, 3, 4, 1]) -> resize([6, 8])
    output sums = c + d + (e -> pad([[0, 0], [1, 0], [0, 0]]) -> flip(axis=1) -> take([0, 1, 2], axis=1))
    output bests = best + cast(place, float32)
    output norms = e -> logsumexp(axis=1) -> normalize -> round(1)
    output large = image -> rgb_to_grayscale
}
"""


def test_functions_give_what_keras_gives() -> None:
    model = wdsl.loads(TEXT).to_keras()
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype("float32") for shape in ((2, 3, 4), (2, 4, 5)))
    found = model({"a": a, "b": b})

    c = ops.matmul(a, b)
    e = ops.where(c > 0, c, 0.5)
    best, place = ops.top_k(c, 2)
    flipped = ops.flip(ops.pad(e, [[0, 0], [1, 0], [0, 0]]), 1)[:, :3]
    (product := exact(a) @ b).holds(c)
    (product + product + (exact(flipped).wider(product.error.max()))).holds(found["sums"])
    assert np.array_equal(found["bests"], best + ops.cast(place, "float32"))
    assert np.array_equal(found["norms"], ops.round(ops.normalize(ops.logsumexp(e, 1)), 1))
    assert np.array_equal(found["large"], ops.image.resize(ops.reshape(a, (2, 3, 4, 1)), (6, 8)))


def test_einsum_takes_tensors_only_where_they_stand() -> None:
    with pytest.raises(wdsl.WdslError) as caught:
        wdsl.loads('network N { input a: [3]\n output y = einsum("bi->b", operands=a) }')
    assert [each.code for each in caught.value.diagnostics] == ["E0302"]


# --- tensors that are made of none ------------------------------------------------------------------

MADE = {
    # What a file says, and what it is in Keras.
    "arange(5)": lambda: ops.arange(5),
    "arange(n, 12, 3, dtype=float32)": lambda: ops.arange(4, 12, 3, dtype="float32"),
    "arange(n, -n, -3)": lambda: ops.arange(4, -4, -3),
    "zeros([n, 2])": lambda: ops.zeros((4, 2)),
    "ones(n, dtype=int32)": lambda: ops.ones(4, "int32"),
    "full([2, 1, n], 0.1)": lambda: ops.full((2, 1, 4), 0.1),
    "eye(n, 3, k=-1)": lambda: ops.eye(4, 3, -1),
    "tri(3, n, dtype=bool)": lambda: ops.tri(3, 4, dtype="bool"),
    "identity(3)": lambda: ops.identity(3),
    "linspace(0.0, 1, n)": lambda: ops.linspace(0.0, 1, 4),
    "array([[1, 2, n], [4, 5, 6]])": lambda: ops.array([[1, 2, 4], [4, 5, 6]]),
    "array([0.1, 2, 1e-3])": lambda: ops.array([0.1, 2, 1e-3]),
    "convert_to_tensor([true, false])": lambda: ops.convert_to_tensor([True, False]),
    "hanning(n) + kaiser(n, 14.0)": lambda: ops.hanning(4) + ops.kaiser(4, 14.0),
    "sin(outer(arange(n), logspace(0, -2, 3)))": lambda: ops.sin(ops.outer(ops.arange(4), ops.logspace(0, -2, 3))),
}
OF_NONE = (
    "block Made(n: int) {\n input x\n"
    + "".join(f" output out{number} = {made}\n" for number, made in enumerate(MADE))
    + "}\nnetwork N(n: int = 4) {\n input x: [n]\n layer made = Made(n)\n"
    + f" {', '.join(f'a{number}' for number in range(len(MADE)))} = x -> made\n"
    + "".join(f" output b{number} = a{number}\n" for number in range(len(MADE)))
    + "".join(f" output c{number} = {made}\n" for number, made in enumerate(MADE))
    + "}\n"
)


def test_tensors_of_none_are_what_keras_makes(python_module: Callable[..., ModuleType], tmp_path: Path) -> None:
    """In a network and in a block, live, written, saved and loaded, and for another value of the parameter."""
    net = wdsl.loads(OF_NONE)
    live = net.to_keras()
    module = python_module(net.to_python())
    live.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for model in (live, module.N(), loaded, keras.models.clone_model(live)):
        found = model(np.zeros((2, 4), "float32"))
        for number, (made, keras_makes) in enumerate(MADE.items()):
            expected = keras_makes()
            for each in (found[f"b{number}"], found[f"c{number}"]):
                assert each.dtype == expected.dtype, made
                np.testing.assert_array_equal(each, expected, made)
    specs = {each.name: each.spec for each in net.outputs}
    assert [specs[f"c{number}"].shape for number in range(len(MADE))] == [f().shape for f in MADE.values()]
    assert module.N(6).output["b3"].shape == (6, 2)
    assert "(n, 2) float32" in net.to_python()


def test_positions_train_with_the_rest() -> None:
    """An embedding of `arange` is a layer of the model: Keras finds its weights, and annotations hold on them."""
    net = wdsl.loads(
        "network N(steps: int = 3) {\n input tokens: int32[steps]\n layer place = Embedding(steps, 2) equal[columns]\n"
        " h = (tokens -> Embedding(9, 2, mask_zero=true)) + (arange(steps) -> place)\n"
        " output y = h -> LSTM(2) -> Dense(1)\n}"
    )
    model = net.to_keras()
    assert model.count_params() == net.parameters == 2 + 18 + 4 * (4 + 4 + 2) + 3
    before = wdsl.effective_weights(model)["place.embeddings"]
    model.compile("sgd", "mse")
    model.fit(np.array([[1, 2, 0], [3, 4, 5]]), np.ones((2, 1)), epochs=2, verbose=0)
    after = wdsl.effective_weights(model)["place.embeddings"]
    assert (after != before).all()
    assert (after == after[:1]).all()


def test_transforms_and_given_kernels_give_what_keras_gives() -> None:
    model = wdsl.loads(
        "network N {\n input x: [6, 4]\n input image: [8, 8, 3]\n input move: [8]\n"
        " real, imaginary = (x, zeros_like(x)) -> fft2\n"
        " again, _ = (real, imaginary) -> ifft2\n"
        " output back = again\n output half = x -> rfft -> irfft(4)\n output mixed = real\n"
        " blur = reshape(array([1.0, 2, 1, 2, 4, 2, 1, 2, 1]) / 16, [3, 3, 1, 1]) -> tile([1, 1, 3, 1])\n"
        " output soft = depthwise_conv(image, blur, padding=same)\n"
        " output moved = affine_transform(image, move)\n}"
    ).to_keras()
    rng = np.random.default_rng(0)
    x, image, move = (rng.normal(size=size).astype("float32") for size in ((2, 6, 4), (2, 8, 8, 3), (2, 8)))
    found = model({"x": x, "image": image, "move": move})
    # A transform of 24 numbers and one back; forward, it makes the norm larger by the root of their number.
    norms = np.linalg.norm(x, axis=(1, 2), keepdims=True)
    for name in ("back", "half"):
        exact(x).wider(2 * transform(24) * norms).holds(found[name])
    exact(np.fft.fft2(np.float64(x)).real).wider(transform(24) * np.sqrt(24) * norms).holds(found["mixed"])
    blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = [padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    (exact(np.stack(windows, -1)) @ blur.ravel()).holds(found["soft"])
    np.testing.assert_array_equal(found["moved"], ops.image.affine_transform(image, move))
