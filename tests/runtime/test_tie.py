"""The tie is an edge of the graph: whatever Keras does to the model, it stays."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.rounding import affine
from wdsl import effective_weights
from wdsl.runtime import Shared, Structured
from wdsl.structure import Diagonal, Equal, Symmetric, Tied, Zero


def autoencoder():
    image = keras.Input((12,), name="image")
    kernel = Shared((12, 8), name="encode_kernel")(image)
    encode = Structured(layers.Dense(8, activation="tanh"), {"kernel": [Tied()]}, name="encode")
    mix = Structured(layers.Dense(8), {"kernel": [Symmetric(), Zero(Diagonal())]}, name="mix")
    decode = Structured(layers.Dense(12), {"kernel": [Tied()], "bias": [Equal()]}, name="decode")
    h = mix(encode(image, tied={"kernel": kernel}))
    return keras.Model(image, decode(h, tied={"kernel": ops.transpose(kernel)}))


def assert_tied(model):
    """What the layers make of one unit at a time is what the weights are said to be."""
    weights = effective_weights(model)
    answer(model, np.eye(12, dtype="float32"), upto="encode").holds(
        keras.Model(model.input, model.get_layer("encode").output)(np.eye(12, dtype="float32"))
    )
    assert np.array_equal(weights["decode.kernel"], weights["encode.kernel"].T)
    mix = weights["mix.kernel"]
    affine(np.eye(8), mix, bias_of(model, "mix")).holds(model.get_layer("mix")(np.eye(8, dtype="float32")))
    assert (mix == mix.T).all()
    assert (np.diag(mix) == 0).all()
    assert len(set(weights["decode.bias"])) == 1


def bias_of(model, name):
    (bias,) = (each.numpy() for each in model.get_layer(name).weights if "bias" in each.path)
    return bias


def answer(model, x, upto="decode"):
    """What the model says, in float64, with bounds of rounding."""
    weights = effective_weights(model)
    h = affine(x, weights["encode.kernel"], bias_of(model, "encode")).tanh()
    if upto == "encode":
        return h
    h = affine(h, weights["mix.kernel"], bias_of(model, "mix"))
    return affine(h, weights["encode.kernel"].T, weights["decode.bias"])


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(32, 12)).astype("float32")


@pytest.fixture
def model(x):
    keras.utils.set_random_seed(1)
    model = autoencoder()
    model.compile("adam", "mse", run_eagerly=True)
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
    assert_tied(fresh)


def test_saved_model_is_the_same_model(model, x, tmp_path):
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    assert again.count_params() == model.count_params()
    again.fit(x, x, verbose=0)  # with the optimizer's state
    assert_tied(again)


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
    clone.compile("adam", "mse")
    clone.fit(x, x, verbose=0)
    assert_tied(clone)


def test_export(model, x, tmp_path):
    model.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    for each in (saved.serve(x), model.predict(x, verbose=0)):
        answer(model, x).holds(each)


def test_tensorflow_checkpoint(model, x, tmp_path):
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    again = autoencoder()
    tf.train.Checkpoint(model=again).restore(path).expect_partial()
    assert np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))


def test_nested_model(model, x, tmp_path):
    image = keras.Input((12,))
    outer = keras.Model(image, model(layers.Dense(12)(image)))
    outer.compile("adam", "mse")
    outer.fit(x, x, verbose=0)
    assert_tied(model)
    weights = effective_weights(outer)
    assert np.array_equal(weights["decode.kernel"], weights["encode.kernel"].T)
    outer.save(tmp_path / "outer.keras")
    again = keras.models.load_model(tmp_path / "outer.keras")
    assert np.array_equal(again.predict(x, verbose=0), outer.predict(x, verbose=0))
    clone = keras.models.clone_model(outer)
    assert clone.count_params() == outer.count_params() == model.count_params() + 156


def test_a_tie_into_a_nested_model(x):
    """The kernel is an input of the inner model, so its value is known in a call only."""
    h, kernel = keras.Input((12,)), keras.Input(batch_shape=(12, 5))
    use = Structured(layers.Dense(5), {"kernel": [Tied()]}, name="use")
    inner = keras.Model([h, kernel], use(h, tied={"kernel": kernel}))
    image = keras.Input((12,))
    shared = Shared((12, 5), name="own")
    outer = keras.Model(image, inner([image, shared(image)]))
    weights = effective_weights(outer)
    assert weights["use.kernel"].any()
    assert np.array_equal(weights["use.kernel"], shared.theta)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_with_xla(policy, x):
    keras.config.set_dtype_policy(policy)
    try:
        model = autoencoder()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", "mse", jit_compile=True)
    first, *_, last = model.fit(x, x, epochs=5, verbose=0).history["loss"]
    assert last < first
    assert {w.dtype for w in model.weights} == {"float32"}
    weights = effective_weights(model)
    assert np.array_equal(weights["decode.kernel"], weights["encode.kernel"].T)
    assert (weights["mix.kernel"] == weights["mix.kernel"].T).all()


def test_frozen_consumer_freezes_its_own_weights_only(model):
    model.get_layer("encode").trainable = False
    names = [w.path.split("/")[0] for w in model.trainable_weights]
    assert names == ["encode_kernel", "mix", "mix", "decode"]


def test_stop_and_resume(x, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def train(*callbacks):
        keras.utils.set_random_seed(7)
        model = autoencoder()
        model.compile("adam", "mse", run_eagerly=True)
        model.fit(x, x, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
        return model.get_weights()

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)

    whole = train()
    with pytest.raises(KeyboardInterrupt):
        train(backup(), Interrupt())
    for one, other in zip(whole, train(backup()), strict=True):
        np.testing.assert_array_equal(one, other)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.shared = Shared((12, 12), [Symmetric()])
        self.first = Structured(layers.Dense(12), {"kernel": [Tied()]}, name="first")
        self.second = Structured(layers.Dense(12), {"kernel": [Zero(Diagonal())]})

    def call(self, x):
        return self.second(self.first(x, tied={"kernel": self.shared(x)}))


def test_subclassed_model(x, tmp_path):
    model = Subclassed()
    model.compile("adam", "mse")
    model.fit(x, x, verbose=0)
    assert model.count_params() == 78 + 12 + 132 + 12
    kernel = effective_weights(model, x)["first.kernel"]
    assert (kernel == kernel.T).all()
    model.save_weights(tmp_path / "m.weights.h5")
    again = Subclassed()
    again(x)
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(again(x), model(x))


def test_built_inside_a_function(x):
    layer = Structured(layers.Dense(12), {"kernel": [Symmetric()]})

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = ops.mean(layer(x) ** 2)
        return tape.gradient(loss, [w.value for w in layer.trainable_weights])

    gradients = step(x)
    assert gradients[0].shape == (78,)
    kernel = effective_weights(layer)[f"{layer.name}.kernel"]
    assert 0 < kernel.std() < 1
    assert (kernel == kernel.T).all()


def test_stateful_rnn():
    layer = Structured(layers.LSTM(3, stateful=True), {"cell/kernel": [Equal()]})
    sequence = np.ones((2, 3, 4), "float32")
    first, second = layer(sequence).numpy(), layer(sequence).numpy()
    assert (first != second).any()
    layer.layer.reset_state()
    assert np.array_equal(layer(sequence), first)


def test_two_replicas(x):
    """In a process of its own, because the devices are set up once."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
from test_tie import assert_tied, autoencoder
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = autoencoder()
    model.compile("adam", "mse")
assert strategy.num_replicas_in_sync == 2
x = np.random.default_rng(0).normal(size=(32, 12)).astype("float32")
before = model.get_weights()
model.fit(x, x, epochs=2, batch_size=16, verbose=0)
assert all((a != b).any() for a, b in zip(before, model.get_weights()))
assert_tied(model)
print("both replicas trained", model.count_params())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False)
    assert "both replicas trained 141" in done.stdout, done.stderr[-3000:]
