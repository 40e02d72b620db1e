"""What is trained, stored and regularized: each free parameter once, and nothing beside it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import wdsl
from tests.drawn import every
from tests.rounding import exact, in_float64, l2, same_but_for_rounding
from tests.specs.test_applications import NETWORKS

SPECS = {
    path.stem: path
    for path in sorted((Path(__file__).parents[2] / "specs").glob("*.wnet"))
    if path.stem not in NETWORKS
}
"""Those with structure: the others are among the networks that one writes in Keras."""
EVERYTHING = """
network Everything {
    input x: [6]
    layer a = Dense(6, kernel_regularizer=L2(0.1)) symmetric, zero[diagonal] { bias: equal }
    layer b = Dense(6) tie(a.kernel.T) { bias: zero[0] via mask }
    layer c = Dense(6) equal[rows] via constraint { bias: tie(b.bias) }
    layer d = Dense(6, bias_regularizer=L1(0.1)) skew via gradient { bias: equal(gradient=mean) }
    layer e = Dense(6) fixed[diagonal] = 1.0 { bias: frozen }
    layer f = BatchNormalization() { gamma: equal }
    output y = x -> a -> b -> c -> d -> e -> f
}
"""
NAMES = [*SPECS, "everything"]

Values = list[np.ndarray[Any, Any]]


@cache
def net_of(name: str) -> wdsl.Net:
    return wdsl.load(SPECS[name]) if name in SPECS else wdsl.loads(EVERYTHING)


@cache
def trained(name: str) -> Any:
    """A live model after a step of Adam, which keeps two slots for each number that it trains."""
    keras.utils.set_random_seed(1)
    net = net_of(name)
    model = net.to_keras()
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)  # one step is done before a graph is traced
    inputs, rng = [], np.random.default_rng(2)
    for each in net.inputs:
        shape = (4, *(int(size or 5) for size in each.spec.shape[1:]))
        whole = each.spec.dtype.startswith("int")
        inputs.append(rng.integers(0, 9, shape) if whole else rng.normal(size=shape).astype("float32"))
    x = inputs if len(inputs) > 1 else inputs[0]
    model.train_on_batch(x, np.zeros(np.shape(model(x)), "float32"))
    return model


def trainable(model: Any) -> Values:
    return [np.asarray(each) for each in model.trainable_weights]


def same(values: Values, others: Values) -> bool:
    """Whether the arrays are the same, in whatever order."""

    def bag(arrays: Values) -> list[tuple[tuple[int, ...], bytes]]:
        return sorted((each.shape, np.ascontiguousarray(each).tobytes()) for each in arrays)

    return bag(values) == bag(others)


@pytest.mark.parametrize("name", every(3, NAMES))
def test_what_is_trained_is_what_is_free(name: str) -> None:
    """The sizes come from the compiler, which has not seen the model."""
    net, model = net_of(name), trained(name)
    weights = [each for each in net.weights if each.weight.trainable]
    unnamed = [weight for layer in net.network.unnamed for weight in layer.weights if weight.trainable]
    sizes = [each.free for each in weights if each.trained and each.free]
    sizes += [int(np.prod(each.shape)) for each in unnamed]
    if not any(each.coupled for each in weights):  # what is coupled is one vector for several weights
        assert sorted(each.size for each in trainable(model) if each.size) == sorted(sizes)
    assert sum(each.size for each in trainable(model)) == net.parameters


@pytest.mark.parametrize("name", NAMES)
def test_the_optimizer_keeps_two_slots_for_each_and_no_more(name: str) -> None:
    model = trained(name)
    slots = [tuple(each.shape) for each in model.optimizer.variables if tuple(each.shape)]
    assert sorted(slots) == sorted(2 * [each.shape for each in trainable(model)])


def datasets(file: Any, below: str) -> Values:
    """Every array that an HDF5 file holds below a name."""
    found: Values = []
    if below in file:
        file[below].visititems(lambda _, each: found.append(each[()]) if isinstance(each, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_files_hold_it_once(name: str, tmp_path: Path) -> None:
    model = trained(name)
    values = [np.asarray(each) for each in model.weights]
    assert sum(each.size for each in values) == model.count_params()
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    with zipfile.ZipFile(tmp_path / "model.keras") as whole:
        whole.extract("model.weights.h5", tmp_path / "unpacked")
    for path in (tmp_path / "model.weights.h5", tmp_path / "unpacked" / "model.weights.h5"):
        with h5py.File(path) as file:
            everything = datasets(file, "/")
            optimizer = datasets(file, "optimizer")
            assert len(everything) == len(optimizer) + len(datasets(file, "layers"))
            assert same(datasets(file, "layers"), values)
            slots = sorted(each.shape for each in optimizer if each.shape)
            assert slots == sorted(2 * [each.shape for each in trainable(model)])


@pytest.mark.parametrize("name", NAMES)
def test_checkpoints_hold_it_once(name: str, tmp_path: Path) -> None:
    model = trained(name)
    path = tf.train.Checkpoint(model=keras.models.Model(model.inputs, model.outputs)).write(str(tmp_path / "point"))
    reader = tf.train.load_checkpoint(path)
    names = [each for each in reader.get_variable_to_shape_map() if each != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert same([reader.get_tensor(each) for each in names], [np.asarray(each) for each in model.weights])


@pytest.mark.parametrize("name", NAMES)
def test_a_summary_counts_it_once(name: str) -> None:
    """What `model.summary()` prints: a row for each layer with its parameters, and the sums."""
    model, lines = trained(name), list[str]()
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    rows = [re.split(" *[│┃] *", line) for line in text.splitlines() if line.startswith("│")]
    counts = [int(row[3].replace(",", "")) for row in rows if re.fullmatch(r"[\d,]+", row[3])]
    assert len(counts) == len(model.operations)
    assert sum(counts) == model.count_params()
    sums = {kind: int(number.replace(",", "")) for kind, number in re.findall(r"(\S+) params: ([\d,]+)", text)}
    assert sums["Total"] == model.count_params() + sums["Optimizer"]
    assert sums["Trainable"] == net_of(name).parameters
    assert sums["Trainable"] + sums["Non-trainable"] == model.count_params()


# --- regularizers ---------------------------------------------------------------------------------

REGULARIZERS = {
    "L2(0.1)": lambda: keras.regularizers.L2(0.1),
    "L1L2(0.1, 0.2)": lambda: keras.regularizers.L1L2(0.1, 0.2),
    "OrthogonalRegularizer(0.5)": lambda: keras.regularizers.OrthogonalRegularizer(0.5),
}


def annotations() -> Iterator[str]:
    yield from ("symmetric", "skew, zero[0:3]", "equal", "equal[rows], zero[(:, 0)]")
    yield from ("fixed[diagonal] = 0.5", "zero[upper]", "equal[antidiagonals]", "zero")
    yield from ("symmetric via mask", "equal via constraint", "skew via gradient", "zero[lower] via initial")


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("words", list(annotations()))
def test_a_regularizer_sees_each_entry_once(words: str, regularizer: str) -> None:
    """As Keras's own does on a dense weight with such entries."""
    keras.utils.set_random_seed(3)
    net = wdsl.loads(f"""
        network Net {{
            input x: [5]
            layer a = Dense(5, kernel_regularizer={regularizer}) {words}
            output y = x -> a -> a
        }}
    """)
    if regularizer.startswith("Orthogonal"):  # Keras's own cannot compute in float64
        model = net.to_keras()
        seen = REGULARIZERS[regularizer]()(wdsl.effective_weights(model)["a.kernel"])
        (loss,) = model.losses
        # A quarter of the mean of 20 products of normalized rows, each of 5 terms and off by 9 units at most, twice.
        assert abs(float(loss) - float(seen)) <= 2 * 9 * float(np.finfo(np.float32).eps)
        return
    with in_float64():
        model = net.to_keras()
        seen = REGULARIZERS[regularizer]()(wdsl.effective_weights(model)["a.kernel"])
        (loss,) = model.losses
    same_but_for_rounding(loss, seen)


def test_a_regularizer_has_nothing_to_say_of_what_is_frozen() -> None:
    """Nor does Keras's own of a layer that is not trained."""
    layer = keras.layers.Dense(5, kernel_regularizer="l2", trainable=False)
    layer.build((None, 5))
    model = wdsl.loads("""
        network Net {
            input x: [5]
            layer a = Dense(5, kernel_regularizer=L2()) frozen
            output y = x -> a
        }
    """).to_keras()
    assert model.losses == layer.losses == []


@pytest.mark.parametrize("words", ["", "symmetric", "zero[diagonal] via mask"])
def test_a_regularizer_sees_a_tied_weight_once(words: str) -> None:
    """It is the owner's, however many layers use the weight, and however often."""
    keras.utils.set_random_seed(3)
    model = wdsl.loads(f"""
        network Net {{
            input x: [5]
            layer last = Dense(5) tie(a.kernel.T)
            layer a = Dense(5, kernel_regularizer=L2(0.1), bias_regularizer=L2(0.3)) {words}
            layer b = Dense(5) tie(a.kernel)
            output y = x -> a -> b -> b -> last
        }}
    """).to_keras()
    model.get_layer("a").layer.bias.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    kernel = wdsl.effective_weights(model)["a.kernel"]
    (l2(kernel, 0.1) + l2(np.arange(1, 6), 0.3)).holds(sum(model.losses))
    # And once in the gradient: what is trained on nothing else shrinks as a dense weight would.
    model.compile(keras.optimizers.SGD(0.5), "mse", loss_weights=0.0, run_eagerly=True)
    model.train_on_batch(np.ones((2, 5), "float32"), np.ones((2, 5), "float32"))
    later = wdsl.effective_weights(model)["a.kernel"]
    counts = np.where(np.eye(5), 1, 2) if words == "symmetric" else np.ones((5, 5))
    (exact(kernel) - exact(kernel) * 0.1 * 2 * counts * 0.5).holds(later)


# --- freezing -------------------------------------------------------------------------------------

COUPLE = """
network Couple {{
    input x: [5]
    layer own = Dense(3{own})
    layer use = Dense(5{use}) tie(own.kernel.T)
    output y = x -> own -> use
}}
"""


def moves(model: Any) -> set[str]:
    """Which weights a step of training changes."""
    before = {each.path: np.array(each) for each in model.weights}
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.train_on_batch(np.ones((2, 5), "float32"), 9 * np.ones((2, 5), "float32"))
    return {each.path.split("/", 1)[0] for each in model.weights if (before[each.path] != np.array(each)).any()}


@pytest.mark.parametrize("where", ["spec", "layer"])
def test_a_frozen_consumer_does_not_freeze_the_owner(where: str) -> None:
    keras.utils.set_random_seed(3)
    model = wdsl.loads(COUPLE.format(own="", use=", trainable=false" if where == "spec" else "")).to_keras()
    if where == "layer":
        model.get_layer("use").trainable = False
    assert moves(model) == {"own_kernel", "own"}


@pytest.mark.parametrize("where", ["spec", "layer"])
def test_a_frozen_owner_freezes_the_weight_for_all(where: str) -> None:
    keras.utils.set_random_seed(3)
    model = wdsl.loads(COUPLE.format(own=", trainable=false" if where == "spec" else "", use="")).to_keras()
    if where == "layer":
        model.get_layer("own_kernel").trainable = False
    assert moves(model) == ({"use"} if where == "spec" else {"own", "use"})
