"""The tie is an edge of the graph: whatever Keras does to the model, it stays."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from wdsl.runtime import Shared, Structured
from wdsl.structure import Diagonal, Equal, Symmetric, Tied, Zero


def autoencoder():
    image = keras.Input((12,), name="image")
    kernel = Shared((12, 8), name="encode_kernel")(image)
    encode = Structured(
        layers.Dense(8, activation="tanh"), {"kernel": [Tied()]}, name="encode"
    )
    mix = Structured(
        layers.Dense(8), {"kernel": [Symmetric(), Zero(Diagonal())]}, name="mix"
    )
    decode = Structured(
        layers.Dense(12), {"kernel": [Tied()], "bias": [Equal()]}, name="decode"
    )
    h = mix(encode(image, tied={"kernel": kernel}))
    return keras.Model(image, decode(h, tied={"kernel": ops.transpose(kernel)}))


def seen(model, layer, *tensors):
    """A layer's kernel as its output shows it: an identity goes in."""
    layer = model.get_layer(layer)
    names = [w.path for w in layer.structured if w.expansion is None]
    call = dict(tied=dict(zip(names, tensors, strict=True))) if names else {}
    size = layer.structured[0].stand_in.shape[0]
    activation, layer.layer.activation = layer.layer.activation, None
    out = layer(np.eye(size, dtype="float32"), **call) - layer(
        np.zeros((1, size), "float32"), **call
    )
    layer.layer.activation = activation
    return ops.convert_to_numpy(out)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(32, 12)).astype("float32")


@pytest.fixture
def model(x):
    keras.utils.set_random_seed(1)
    model = autoencoder()
    model.compile("adam", "mse")
    model.fit(x, x, epochs=2, batch_size=8, verbose=0)
    return model


def test_free_parameters_are_what_is_counted(model):
    assert model.count_params() == 12 * 8 + 8 + 28 + 8 + 1


def test_fit_trains_it_and_keeps_it(model, x):
    fresh = autoencoder()
    before = [w.copy() for w in fresh.get_weights()]
    fresh.compile(keras.optimizers.AdamW(0.01, use_ema=True), "mse")
    fresh.fit(x, x, epochs=2, verbose=0)
    assert all((a != b).any() for a, b in zip(before, fresh.get_weights(), strict=True))
    kernel = seen(fresh, "mix")
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(kernel), 0, atol=1e-6)


def test_saved_model_is_the_same_model(model, x, tmp_path):
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    assert again.count_params() == model.count_params()


def test_weights_file(model, x, tmp_path):
    model.save_weights(tmp_path / "m.weights.h5")
    again = autoencoder()
    again.load_weights(tmp_path / "m.weights.h5")
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))


def test_clone_has_its_own_tie(model, x):
    expected = model.predict(x, verbose=0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    model.set_weights([0 * w for w in model.get_weights()])
    assert np.array_equal(expected, clone.predict(x, verbose=0))
