"""`wdsl.freeze`: a copy without structure, whose outputs are the same; specs/ are frozen in tests/specs."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

import wdsl
from tests.rounding import affine, doubled, same_but_for_rounding

TEXT = """network Net {
    input x: [5, 96]
    layer fast = Dense(96) equal[rows]
    layer mix = Dense(96, activation=tanh) symmetric
    layer timed = TimeDistributed(Dense(96)) skew
    layer norm = BatchNormalization() { gamma: equal }
    layer a = Dense(96) zero[upper]
    layer b = Dense(96) tie(a.kernel.T)
    layer part = Dense(96) tie[(:, 0)](mix.kernel[:, 1])
    layer states = Bidirectional(LSTM(8)) { forward.recurrent_kernel: tie(states.backward.recurrent_kernel) }
    output y = x -> fast -> mix -> timed -> norm -> a -> b -> part -> states
}"""


def trained() -> keras.Model:
    model = wdsl.loads(TEXT).to_keras()
    model.compile("adam", "mse", run_eagerly=True)
    model.train_on_batch(normal(4, 5, 96), normal(4, 16))
    return model


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def test_only_what_is_slower_is_made_plain() -> None:
    model = trained()
    frozen = wdsl.freeze(model)
    kinds = {layer.name: type(layer).__name__ for layer in frozen.layers}
    assert {layer.name for layer in frozen.layers if hasattr(layer, "structured")} == {"fast"}
    assert (kinds["timed"], kinds["norm"], kinds["states"]) == (
        "TimeDistributed",
        "BatchNormalization",
        "Bidirectional",
    )
    x = normal(7, 5, 96)
    np.testing.assert_array_equal(frozen(x), model(x))
    before = np.asarray(frozen(x))
    model.train_on_batch(normal(4, 5, 96), normal(4, 16))
    np.testing.assert_array_equal(frozen(x), before)  # it has weights of its own


def test_halves_pay_in_training_alone() -> None:
    text = "network Net {{\n    input x: [512]\n    layer a = Dense(512) {}\n    output y = x -> a\n}}"
    for annotation in ("symmetric", "skew", "zero[lower]"):
        model = wdsl.loads(text.format(annotation)).to_keras()
        assert model.get_layer("a").structured[0].product
        frozen = wdsl.freeze(model)
        assert type(frozen.get_layer("a")) is keras.layers.Dense
        np.testing.assert_array_equal(frozen(np.eye(512, dtype="float32")), model(np.eye(512, dtype="float32")))
        x, a = normal(3, 512), frozen.get_layer("a")
        y = affine(x, a.kernel.numpy(), a.bias.numpy())
        for each in (frozen, model):
            y.holds(each(x))


def test_a_frozen_model_needs_no_wdsl(tmp_path) -> None:
    model = doubled(trained())
    x = normal(3, 5, 96).astype("float64")
    frozen = wdsl.freeze(model, keep_products=False)
    same_but_for_rounding(frozen(x), model(x))
    frozen.save(tmp_path / "frozen.keras")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", frozen(x))
    script = """
import sys
sys.modules["wdsl"] = None
import keras, numpy
model = keras.saving.load_model("frozen.keras")
numpy.testing.assert_array_equal(model(numpy.load("x.npy")), numpy.load("y.npy"))
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_in_other_models() -> None:
    inner = trained()
    x = keras.Input((5, 96))
    outer = keras.Model(x, keras.layers.Dense(3)(inner(x)))
    stacked = keras.Sequential(
        [keras.Input((5, 96)), *(wdsl.loads(TEXT).to_keras().get_layer(name) for name in ("timed", "norm"))]
    )
    for model in map(doubled, (outer, stacked)):
        frozen = wdsl.freeze(model, keep_products=False)
        assert "wdsl" not in frozen.to_json()
        same_but_for_rounding(frozen(normal(2, 5, 96)), model(normal(2, 5, 96)))


def test_a_model_without_a_graph() -> None:
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match=r"Own 'own' is no functional model"):
        wdsl.freeze(Own(name="own"))
