"""How layers with structure keep their variables: as subclasses of Keras's layers would that a person writes."""

from __future__ import annotations

import copy
import sys
import types

import keras
import numpy as np
import pytest
from keras import layers, ops

import wdsl
from wdsl.runtime import Shared, Structured, Wrapped
from wdsl.structure import Diagonal, Equal, Frozen, Symmetric, Tied, Zero

N = 4
ROWS, COLUMNS = np.indices((N, N))
FIRST = np.flatnonzero(ROWS <= COLUMNS)
NUMBER = np.cumsum(ROWS <= COLUMNS).reshape(N, N) - 1
NUMBER = np.where(ROWS <= COLUMNS, NUMBER, NUMBER.T)


class Symmetrized(layers.Layer):
    """What the classes below add to a layer of Keras: a symmetric weight, of which half is stored."""

    symmetric = "kernel"
    trained = True

    def add_weight(self, shape=None, initializer=None, name=None, **options):
        if name != self.symmetric:
            return super().add_weight(shape=shape, initializer=initializer, name=name, **options)
        if not self.trained:
            options["trainable"] = False

        def draw(_, dtype):
            return ops.take(ops.reshape(keras.initializers.get(initializer)(shape, dtype), (-1,)), FIRST)

        return super().add_weight(shape=FIRST.shape, initializer=draw, name=name, **options)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables


@keras.saving.register_keras_serializable("test_layout")
class Recall(Symmetrized, layers.Dense):
    @property
    def kernel(self):
        return ops.take(self._kernel, NUMBER)


class FrozenRecall(Recall):
    trained = False


class BiasedRecall(layers.Dense):
    """A dense layer with one number for its bias."""

    def add_weight(self, shape=None, initializer=None, name=None, **options):
        shape = (1,) if name == "bias" else shape
        return super().add_weight(shape=shape, initializer=initializer, name=name, **options)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables


class BothRecall(Recall):
    def add_weight(self, shape=None, initializer=None, name=None, **options):
        shape = (1,) if name == "bias" else shape
        return super().add_weight(shape=shape, initializer=initializer, name=name, **options)


class Normal(layers.BatchNormalization):
    trained = True

    def add_weight(self, shape=None, initializer=None, name=None, **options):
        if name == "gamma":
            shape, options = (1,), options | {"trainable": self.trained}
        return super().add_weight(shape=shape, initializer=initializer, name=name, **options)


class FrozenNormal(Normal):
    trained = False


class Blur(layers.Conv2D):
    def add_weight(self, shape=None, initializer=None, name=None, **options):
        shape = (1,) if name == "kernel" else shape
        return super().add_weight(shape=shape, initializer=initializer, name=name, **options)

    @property
    def kernel(self):
        return ops.broadcast_to(self._kernel, (2, 2, 3, 3))

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables


class OneMemory(layers.Layer):
    """What the cells below add to one of Keras: all gates hear of each unit's past the same."""

    def add_weight(self, shape=None, initializer=None, name=None, **options):
        if name != "recurrent_kernel":
            return super().add_weight(shape=shape, initializer=initializer, name=name, **options)
        self.whole = shape
        return super().add_weight(shape=(1,), initializer="zeros", name=name, **options)

    @property
    def recurrent_kernel(self):
        return ops.broadcast_to(self.number, self.whole)

    @recurrent_kernel.setter
    def recurrent_kernel(self, number):
        self.number = number


class LongCell(OneMemory, layers.LSTMCell):
    pass


class GatedCell(OneMemory, layers.GRUCell):
    pass


class Long(layers.LSTM):
    def __init__(self, units, **options):
        super().__init__(units, **options)
        self.cell = LongCell(units, name="lstm_cell")


class Gated(layers.GRU):
    def __init__(self, units, **options):
        super().__init__(units, **options)
        self.cell = GatedCell(units, name="gru_cell")


CASES = {
    "kernel": (Recall, layers.Dense, (N,), {"kernel": [Symmetric()]}, (N,)),
    "kernel, frozen": (FrozenRecall, layers.Dense, (N,), {"kernel": [Symmetric(), Frozen()]}, (N,)),
    "bias": (BiasedRecall, layers.Dense, (N,), {"bias": [Equal()]}, (N,)),
    "both": (BothRecall, layers.Dense, (N,), {"bias": [Equal()], "kernel": [Symmetric()]}, (N,)),
    "gamma": (Normal, layers.BatchNormalization, (), {"gamma": [Equal()]}, (N,)),
    "gamma, frozen": (FrozenNormal, layers.BatchNormalization, (), {"gamma": [Equal(), Frozen()]}, (N,)),
    "convolution": (Blur, layers.Conv2D, (3, 2), {"kernel": [Equal()]}, (5, 5, 3)),
    "LSTM": (Long, layers.LSTM, (3,), {"cell/recurrent_kernel": [Equal()]}, (5, 2)),
    "GRU": (Gated, layers.GRU, (3,), {"cell/recurrent_kernel": [Equal()]}, (5, 2)),
}


def around(layer, shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


def pair(case):
    """A model of a class that was written by hand, and one with the structure of the runtime."""
    by_hand, plain, arguments, structures, shape = CASES[case]
    written = around(by_hand(*arguments, name="it"), shape)
    live = around(Structured(plain(*arguments), structures, kind=by_hand.__name__, name="it"), shape)
    return written, live, np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")


@pytest.mark.parametrize("case", CASES)
def test_variables_are_those_of_a_subclass(case):
    written, live, _ = pair(case)

    def variables(model):
        return [(v.name, tuple(v.shape), v.trainable) for v in model.weights]

    assert variables(live) == variables(written)
    assert live.count_params() == written.count_params()


@pytest.mark.parametrize("case", CASES)
def test_files_of_weights_go_both_ways(case, tmp_path):
    for source, target, x in (pair(case), [*pair(case)[1::-1], pair(case)[2]]):
        random = np.random.default_rng(1)
        source.set_weights([random.uniform(0.5, 1.5, w.shape).astype(w.dtype) for w in source.get_weights()])
        source.save_weights(tmp_path / "of.weights.h5")
        target.load_weights(tmp_path / "of.weights.h5")
        for one, other in zip(source.get_weights(), target.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(source(x), target(x))


def test_the_state_of_an_optimizer_goes_both_ways():
    written, live, x = pair("both")
    live.set_weights(written.get_weights())
    for model in (written, live):
        model.compile("adam", "mse")
        model.fit(x, x, verbose=0)
    for one, other in zip(written.optimizer.variables, live.optimizer.variables, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)


def test_what_is_inside_a_layer_stands_behind_the_numbers_of_the_one_around_it(tmp_path):
    both = {"backward_layer/cell/kernel": [Equal()], "forward_layer/cell/bias": [Equal()]}
    layer = Wrapped(layers.Bidirectional(layers.LSTM(3)), both, kind="Read", name="read")
    model = around(layer, (5, 2))
    names = [v.name for v in model.weights]
    assert names[:2] == ["backward_layer_cell_kernel", "forward_layer_cell_bias"]
    assert names[2:] == ["kernel", "recurrent_kernel", "recurrent_kernel", "bias"]
    model.save_weights(tmp_path / "of.weights.h5")
    with keras.src.saving.saving_lib.h5py.File(tmp_path / "of.weights.h5") as file:
        assert set(file["layers/read/vars"]) == {"0", "1"}
        assert set(file["layers/read/layer/forward_layer/cell/vars"]) == {"0", "1"}


def test_structured_is_not_for_layers_inside_the_layer():
    with pytest.raises(ValueError, match="Wrapped"):
        Structured(layers.MultiHeadAttention(1, 2), {"query_dense/kernel": [Equal()]})


def test_tied_weights_have_no_variable():
    layer = Structured(layers.Dense(N), {"kernel": [Tied()]}, name="by")
    x = keras.Input((N,))
    layer(x, tied={"kernel": Shared((N, N))(x)})
    assert [v.name for v in layer.weights] == ["bias"]
    with pytest.raises(AttributeError, match="given in a call"):
        _ = layer.kernel


def test_a_layer_has_the_attributes_of_the_one_in_it_with_the_whole_weight():
    layer = Structured(layers.Dense(N), {"kernel": [Symmetric()]})
    layer(np.eye(N, dtype="float32"))
    kernel = ops.convert_to_numpy(layer.kernel)
    assert (kernel == kernel.T).all()
    assert layer.units == N
    assert layer.lora_rank is None
    assert not hasattr(layer, "cell")


@pytest.mark.parametrize("case", CASES)
def test_copies(case):
    _, live, x = pair(case)
    live.set_weights([w + 1 for w in live.get_weights()])
    layer = live.layers[-1]
    copied = copy.deepcopy(layer)
    assert type(copied) is type(layer)
    np.testing.assert_array_equal(copied(x), layer(x))
    assert not {id(v) for v in copied.variables} & {id(v) for v in layer.variables}


# The order of what is stored

LARGE = 512


def test_kernels_in_halves_load_where_kernels_are_in_halves_alone(tmp_path):
    def model(layer):
        return around(Structured(layer, {"kernel": [Symmetric()]}, kind="Recall", name="recall"), (LARGE,))

    halves, again = (model(layers.Dense(LARGE)) for _ in range(2))
    plain = model(layers.EinsumDense("ab,bc->ac", LARGE, bias_axes="c"))
    assert [w.shape for w in halves.get_weights()] == [w.shape for w in plain.get_weights()]
    assert halves.layers[-1].halves == ["kernel"]
    assert not plain.layers[-1].halves
    for one, other, said in ((halves, plain, "in halves"), (plain, halves, "in the order")):
        one.save_weights(tmp_path / "of.weights.h5")
        with pytest.raises(ValueError, match=f"'recall'.* saved {said}"):
            other.load_weights(tmp_path / "of.weights.h5")
    halves.save_weights(tmp_path / "of.weights.h5")
    again.load_weights(tmp_path / "of.weights.h5")
    np.testing.assert_array_equal(again.layers[-1].kernel, halves.layers[-1].kernel)
    config = halves.layers[-1].get_config()
    assert config["halves"] == ["kernel"]
    small = Structured.from_config(config | {"structures": {"kernel": [Zero(Diagonal())]}})
    with pytest.raises(ValueError, match="'recall'"):
        small(np.ones((1, LARGE), "float32"))


def test_a_file_in_halves_does_not_load_into_a_plain_subclass(tmp_path):
    halves = around(Structured(layers.Dense(LARGE), {"kernel": [Symmetric()]}, kind="Recall", name="recall"), (LARGE,))
    halves.save_weights(tmp_path / "of.weights.h5")
    plain = around(Recall(N, name="recall"), (N,))
    with pytest.raises(ValueError, match="recall"):
        plain.load_weights(tmp_path / "of.weights.h5")


def test_files_of_the_old_format_are_refused():
    config = {"module": "wdsl.runtime", "class_name": "Structured", "registered_name": "wdsl>Structured"}
    config["config"] = {"name": "recall", "structures": {"kernel": [["Symmetric", 0, 1]]}}
    with pytest.raises(ValueError, match="Layer 'recall' was saved by an older version of wdsl"):
        keras.saving.deserialize_keras_object(config)


ORDERS = (["halves", "small"], ["small", "halves"], ["halves", "wdsl.runtime", "small"])


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_a_file_means_the_same_whatever_was_imported(order, tmp_path, monkeypatch):
    """Another module has a class of the same name, whose kernel is not in halves."""
    objects = dict(keras.saving.get_custom_objects())
    body = "network {} {{\n  input x: [{}]\n  layer s = Dense({}) {{ kernel: {} }}\n  output y = s(x)\n}}\n"
    texts = {
        "halves": wdsl.loads(body.format("H", 512, 512, "symmetric")).to_python(),
        "small": wdsl.loads(body.format("S", 32, 32, "symmetric, zero[diagonal]")).to_python(),
    }
    modules = {}
    try:
        for name in order:
            if name in texts:
                module = modules[name] = types.ModuleType(name)
                monkeypatch.setitem(sys.modules, name, module)
                exec(texts[name], vars(module))
            else:
                keras.saving.get_custom_objects().update({k: v for k, v in objects.items() if k.startswith("wdsl")})
        model, x = modules["halves"].H(), np.random.default_rng(0).normal(size=(8, 512)).astype("float32")
        model.save(tmp_path / "h.keras")
        np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "h.keras")(x), model(x))
    finally:
        keras.saving.get_custom_objects().clear()
        keras.saving.get_custom_objects().update(objects)
