"""The files of specs/ and specs/recipes/, each built, compiled, trained, saved, and read from outside.

A weight is read from what a layer answers: its activation made linear and its biases zero, it is fed the
identity, or an impulse, and what comes out is the kernel, to the bit.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import wdsl
from tests.drawn import every, repeated
from tests.rounding import AMPLIFIED, FUNCTION, doubled, eps, exact, gamma, same_but_for_rounding, transform
from tests.specs.test_applications import NETWORKS

FOLDER = Path(__file__).parents[2] / "specs"
SPECS = {
    path.stem: path
    for path in sorted(FOLDER.rglob("*.wnet"))
    # The weights of the latter have no structure: test_applications.py holds them against other networks.
    if path.parent.name != "parts" and path.stem not in NETWORKS
}
LARGE = {"resnet", "gpt", "albert", "transformer_encoder", "unet", "densenet", "mixer", "inception", "seq2seq"}
"""Those of many layers, of which some pass by others."""
COMPILED = {
    *("hopfield", "lenet5", "language_model", "antisymmetric_rnn"),
    *("shared_private", "two_mechanisms", "banded", "circulant"),
}
"""Those that XLA trains, of each kind of layer and of structure: it takes longer than all else."""
OF_KERAS = {"siamese", "unet", "deepsets", "densenet", "mixer", "inception"}
"""Those without any structure."""
LIKE_GPT = {"resnet", "albert", "transformer_encoder", "seq2seq"}
"""Blocks and loops of many layers, with ties and zeros that other specs have as well."""
COPIED = {spec for spec, path in SPECS.items() if spec not in OF_KERAS | LIKE_GPT and path.parent == FOLDER}
"""Those that go every way: recipes have the same structure, and all else is Keras's own."""
TIME = 6
"""How many steps stand for an unknown size."""

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module", params=every(2, SPECS))
def spec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


some = pytest.mark.parametrize("spec", repeated(SPECS, sorted(COPIED)[::2]), indirect=True, scope="module")


@cache
def net_of(spec: str) -> wdsl.Net:
    return wdsl.load(SPECS[spec])


def data(spec: str, seed: int, batch: int = 8) -> list[Array]:
    """A value for each input of a spec's network."""
    rng = np.random.default_rng(seed)
    values = []
    for each in net_of(spec).inputs:
        shape = (batch, *(TIME if size is None else int(size) for size in each.spec.shape[1:]))
        words = each.spec.dtype.startswith("int")
        values.append(rng.integers(0, 96, shape) if words else rng.normal(size=shape).astype("float32"))
    return values


def answer(model: Any, spec: str, seed: int = 7) -> Array:
    """What a model says to the same inputs as any other that is asked with this seed."""
    values = data(spec, seed)
    return np.asarray(model(values if len(values) > 1 else values[0]))


def train(model: Any, spec: str, steps: int = 3, jit: bool = False) -> None:
    """A few steps, eagerly or compiled by XLA."""
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit, run_eagerly=not jit)
    size = answer(model, spec).shape
    for step in range(steps):
        values = data(spec, step)
        target = np.random.default_rng(step).uniform(size=size).astype("float32")
        loss = model.train_on_batch(values if len(values) > 1 else values[0], target)
        assert np.isfinite(loss)


@cache
def trained(spec: str) -> Any:
    """The spec's live model after a few steps."""
    keras.utils.set_random_seed(3)
    model = net_of(spec).to_keras()
    before = answer(model, spec)
    train(model, spec, jit=spec in COMPILED)
    assert (answer(model, spec) != before).any()
    return model


# --- reading from outside -------------------------------------------------------------------------


@contextlib.contextmanager
def linear(layer: Any) -> Iterator[None]:
    """A layer without its activation and with a bias of zero."""
    layers = [each for each in layer._flatten_layers() if "activation" in vars(each)]
    activations = [each.activation for each in layers]
    biases = [weight for weight in layer.weights if "bias" in weight.name]
    values = [bias.numpy() for bias in biases]
    try:
        for each in layers:
            each.activation = keras.activations.linear
        for bias in biases:
            bias.assign(np.zeros_like(bias))
        yield
    finally:
        for each, activation in zip(layers, activations, strict=True):
            each.activation = activation
        for bias, value in zip(biases, values, strict=True):
            bias.assign(value)


def reply(model: Any, name: str, probe: Callable[[Any], Array]) -> Array:
    """What one layer, in the middle of a forward pass of the model, makes of something else than it is given."""
    layer, replies = model.get_layer(name), []
    own, call = "call" in vars(layer), layer.call

    def probed(x: Any, *args: Any, **kwargs: Any) -> Any:
        replies.append(np.asarray(call(keras.ops.convert_to_tensor(probe(x)), *args, **kwargs)))
        return call(x, *args, **kwargs)

    shapes = [(1, *(n or TIME for n in each.shape[1:])) for each in model.inputs]
    zeros = [np.zeros(shape, each.dtype) for shape, each in zip(shapes, model.inputs, strict=True)]
    layer.call = probed
    try:
        with linear(layer):
            model(zeros if len(zeros) > 1 else zeros[0])
    finally:
        if own:
            layer.call = call
        else:
            del layer.call
    assert all((each == replies[0]).all() for each in replies)
    return replies[0]


def dense(model: Any, name: str) -> Array:
    """The kernel of a layer that multiplies its last axis by a matrix."""

    def identity(x: Any) -> Array:
        return np.eye(x.shape[-1], dtype="float32").reshape(*[1] * (len(x.shape) - 2), x.shape[-1], x.shape[-1])

    kernel = reply(model, name, identity)
    return kernel.reshape(kernel.shape[-2:])


def differ(values: Array, count: int) -> bool:
    """Whether there are so many numbers. Of 2,000 that are drawn as float32 two are the same, one time in four."""
    return count - count // 300 <= len(np.unique(values)) <= count


def sum_to_one(said: Any) -> None:
    """Each of some exponentials is divided by their sum."""
    ones = exact(np.ones(said.shape[:-1]))
    ones.wider(gamma(2 * said.shape[-1] + FUNCTION)).holds(np.asarray(said).sum(-1))


# --- what each spec promises ----------------------------------------------------------------------


def tied_autoencoder(model: Any) -> None:
    encode, decode = dense(model, "encode"), dense(model, "decode")
    assert encode.shape == (64, 16)
    assert (decode == encode.T).all()
    assert differ(encode, encode.size)


def siamese(model: Any) -> None:
    left, right = data("siamese", 11)
    assert (np.asarray(model([left, right])) == np.asarray(model([right, left]))).all()
    assert np.ptp(np.asarray(model([left, right]))) > 0
    weights = model.get_layer("encode").count_params(), model.get_layer("compare").count_params()
    assert weights == (64 * 16 + 16, 16 + 1)
    assert model.count_params() == sum(weights)


def hopfield(model: Any) -> None:
    kernel = dense(model, "recall")
    assert (kernel == kernel.T).all()
    assert (np.diag(kernel) == 0).all()
    assert differ(kernel, 1 + 64 * 63 // 2)
    pattern = data("hopfield", 11)[0]
    three = exact(pattern)
    for _ in range(3):
        three = (three @ kernel).tanh()
    three.holds(model(pattern))


def equal_scalar(model: Any) -> None:
    kernel = dense(model, "average")
    assert kernel.shape == (8, 4)
    assert len(np.unique(kernel)) == 1
    assert kernel[0, 0] != 0
    assert len(np.unique(np.asarray(model(np.zeros((1, 8)))))) == 1
    assert model.count_params() == 2


TABLE_1 = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""
"""LeCun et al. 1998, Table I: a row for each map of S2, a column for each map of C3 that reads it."""


def lenet5(model: Any) -> None:
    impulse = np.zeros((6, 14, 14, 6), "float32")
    impulse[np.arange(6), 4, 4, np.arange(6)] = 1
    kernel = reply(model, "c3", lambda x: impulse)[:, 4::-1, 4::-1, :]
    assert kernel.shape == (6, 5, 5, 16)
    table = np.array([[mark == "X" for mark in row.split()] for row in TABLE_1.split("\n") if row])
    assert table.sum() == 60
    assert ((kernel != 0) == table[:, None, None, :]).all()
    assert model.get_layer("c3").count_params() == 1516 == 60 * 25 + 16
    counts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    # C1, C5 and F6 as the paper counts them.
    assert (counts["c1"], counts["c5"], counts["f6"]) == (156, 48_120, 10_164)


def language_model(model: Any) -> None:
    ids = np.arange(96)[None]
    table = reply(model, "embed", lambda x: ids)[0]
    assert table.shape == (96, 32)
    rows = reply(model, "logits", lambda x: table[None])[0]
    (exact(table) @ table.T).holds(rows)
    assert (dense(model, "logits") == table.T).all()
    assert np.asarray(model(ids[:, :5])).shape == (1, 5, 96)


def banded(model: Any) -> None:
    i, j = np.indices((16, 16))
    stencil, causal = dense(model, "stencil"), dense(model, "causal")
    assert ((stencil != 0) == (abs(i - j) <= 1)).all()
    assert ((causal != 0) == ((j >= i) & ((j - i) % 2 == 0))).all()
    assert len(np.unique(stencil)) == 1 + 16 + 15 + 15


def symmetric_dense(model: Any) -> None:
    kernel = dense(model, "mix")
    assert (kernel == kernel.T).all()
    assert len(np.unique(kernel)) == 12 * 13 // 2
    assert model.count_params() == 12 * 13 // 2 + 12


def antisymmetric_rnn(model: Any) -> None:
    layer = model.get_layer("read")
    with linear(layer):
        kernel = np.asarray(layer(np.zeros((12, 1, 4)), initial_state=np.eye(12, dtype="float32")))
    assert (kernel == -kernel.T).all()
    assert len(np.unique(abs(kernel))) == 1 + 66
    # The matrix is normal: its eigenvalues are off by no more than what is computed for them.
    room = 12**2 * eps("float64") * np.linalg.norm(kernel)
    assert np.abs(np.linalg.eigvals(kernel.astype("float64")).real).max() <= room


def circulant(model: Any) -> None:
    ring, line = dense(model, "ring"), dense(model, "line")
    assert all((row == np.roll(ring[0], shift)).all() for shift, row in enumerate(ring))
    assert len(np.unique(ring)) == 12
    assert (line[1:, 1:] == line[:-1, :-1]).all()
    i, j = np.indices((12, 12))
    assert ((line != 0) == (abs(i - j) <= 2)).all()
    assert model.count_params() == 12 + 1 + 5


def random_features(model: Any) -> None:
    later, zero = keras.models.clone_model(model), np.zeros((1, 8), "float32")
    later.set_weights(model.get_weights())
    train(later, "random_features")
    assert (dense(later, "random") == dense(model, "random")).all()
    assert (np.asarray(later.get_layer("random")(zero)) == np.asarray(model.get_layer("random")(zero))).all()
    assert (dense(later, "fit") != dense(model, "fit")).all()


def triangular_flow(model: Any) -> None:
    down, up = dense(model, "down"), dense(model, "up")
    assert (np.diag(down) == 1).all()
    assert (np.diag(up) == 1).all()
    assert ((down != 0) == np.triu(np.ones((6, 6), bool))).all()
    assert ((up != 0) == np.tril(np.ones((6, 6), bool))).all()


def two_mechanisms(model: Any) -> None:
    mix, out = dense(model, "mix"), dense(model, "out")
    assert np.flatnonzero(mix.ravel() == 0).tolist() == [0, 2, 5, 10]
    stored = next(each for each in model.get_layer("mix").weights if each.shape == (4, 4)).numpy()
    assert (stored.ravel()[[5, 10]] == 0).all()
    assert (out == out.T).all()
    assert len(np.unique(out)) == 10
    assert model.count_params() == 16 + 4 + 16 + 1


def shared_filters(model: Any) -> None:
    filters = dense(model, "look")
    assert filters.shape == (3, 6)
    assert (dense(model, "again") == np.float32(0.5) * filters.T).all()
    assert (dense(model, "summed") == filters).all()
    assert (dense(model, "half") == -filters[::-1, :3]).all()
    assert len(np.unique(filters)) == 18
    assert model.count_params() == 18 + 6 + 3 + 6 + 3


def linear_phase(model: Any) -> None:
    impulse = np.zeros((1, 256, 1), "float32")
    impulse[0, 100] = 1
    filters = reply(model, "bank", lambda x: impulse)[0, 100 - 7 : 100 + 8]
    assert filters.shape == (15, 4)
    assert (filters == filters[::-1]).all()
    assert len(np.unique(filters)) == 8 * 4
    # The delay is the same for every frequency: turned back by it, the spectrum is real.
    spectrum = np.fft.fft(np.roll(filters.astype("float64"), -7, axis=0), axis=0)
    room = transform(15, "float64") * np.linalg.norm(spectrum, axis=0)
    assert (np.abs(spectrum.imag) <= room).all()
    assert (np.abs(spectrum.real).max(axis=0) > room).all()


def multiscale(model: Any) -> None:
    impulse = np.zeros((1, 16, 16, 1), "float32")
    impulse[0, 8, 8] = 1
    near, wide = (
        reply(model, name, lambda x: impulse)[0, 8 + reach : 7 - reach : -1, 8 + reach : 7 - reach : -1]
        for name, reach in (("near", 1), ("wide", 3))
    )
    assert near.shape == (3, 3, 6)
    assert (wide[2:5, 2:5] == near).all()
    assert len(np.unique(wide)) == 7 * 7 * 6
    assert model.count_params() == 7 * 7 * 6 + 6 + 120 + 10


def shared_private(model: Any) -> None:
    left, right = dense(model, "see_left"), dense(model, "see_right")
    assert left.shape == right.shape == (32, 24)
    assert (left[:, :16] == right[:, :16]).all()
    assert differ(np.stack([left, right]), 32 * (16 + 8 + 8))
    assert model.count_params() == 32 * 32 + 24 + 24 + 48 + 1


SYNAPSES = "AB-LP AB-PY PD-LP PD-PY LP-PD LP-PY PY-LP"
JUNCTION = "AB-PD PD-AB"
"""The pyloric circuit as Prinz, Bucher and Marder draw it (2004)."""


def connectome(model: Any) -> None:
    neurons = ["AB", "PD", "LP", "PY"]
    layer = model.get_layer("pyloric")
    with linear(layer):
        kernel = np.asarray(layer(np.zeros((4, 1, 4)), initial_state=np.eye(4, dtype="float32")))[:, 0]
    found = {f"{neurons[i]}-{neurons[j]}" for i, j in np.argwhere(kernel)}
    assert found == {*SYNAPSES.split(), *JUNCTION.split()}
    assert len(np.unique(kernel)) == 1 + len(found)


def equal_start(model: Any) -> None:
    kernel = dense(model, "weigh")
    assert kernel.shape == (6, 1)
    # All ones, until the first step makes of them what they were all along: six numbers.
    assert (kernel == 1).all() or len(np.unique(kernel)) == 6
    assert model.count_params() == 6


def equal_filled(model: Any) -> None:
    kernel = dense(model, "inhibit")
    assert kernel.shape == (12, 12)
    assert len(np.unique(kernel)) == 1
    assert kernel[0, 0] != 0
    assert len(np.unique(dense(model, "drive"))) == 16 * 12
    assert model.get_layer("inhibit").count_params() == 1


def equal_averaged(model: Any) -> None:
    kernel = dense(model, "above")
    assert kernel.shape == (8, 4)
    assert (kernel == kernel[:, :1]).all()
    assert len(np.unique(kernel)) == 8
    # All essays have the units in the same order.
    steps = np.diff(np.asarray(doubled(model)(np.random.default_rng(2).normal(size=(50, 12)))), axis=-1)
    assert ((steps > -AMPLIFIED).all(axis=0) | (steps < AMPLIFIED).all(axis=0)).all()
    assert model.get_layer("above").count_params() == 8 + 4


def tie_two_dense(model: Any) -> None:
    kernel = dense(model, "read_ours")
    assert (dense(model, "read_theirs") == kernel).all()
    assert len(np.unique(kernel)) == 24 * 6
    assert model.count_params() == 24 * 6 + 6 + 6 + 6 + 1


def filters(model: Any, name: str, step: int) -> Array:
    """The kernel of a 3 × 3 convolution that sees every `step`-th pixel of one channel of 12 × 12."""
    impulse = np.zeros((1, 12, 12, 1), "float32")
    impulse[0, 6, 6] = 1
    around = slice(6 + step, 6 - step - 1, -step)
    return reply(model, name, lambda x: impulse)[0, around, around]


def tie_two_convolutions(model: Any) -> None:
    small, large = filters(model, "small", 1), filters(model, "large", 2)
    assert small.shape == (3, 3, 4)
    assert (small == large).all()
    assert len(np.unique(small)) == 36
    assert model.get_layer("large").count_params() == 4


def tie_saved(model: Any) -> None:
    kernel = dense(model, "step1")
    assert (dense(model, "step2") == kernel).all()
    assert (dense(model, "step3") == kernel).all()
    assert differ(kernel, 20 * 20)
    assert model.count_params() == 12 * 20 + 20 * 20 + 3 * 20 + 20 * 12


def tie_dense_and_convolution(model: Any) -> None:
    kernel = dense(model, "describe")
    assert kernel.shape == (25, 6)
    impulses = np.zeros((25, 10, 10, 1), "float32")
    impulses[np.arange(25), np.arange(25) // 5, np.arange(25) % 5] = 1
    # Pixel p of the place in the corner is what entry p of a crop is.
    assert (reply(model, "everywhere", lambda x: impulses)[:, 0, 0] == kernel).all()
    assert model.count_params() == 25 * 6
    _, scene = data("tie_dense_and_convolution", 11)
    likeness = np.asarray(model([scene[:, 2:7, 4:9], scene]))
    descriptions = (exact(scene[:, 2:7, 4:9].reshape(-1, 25)) @ kernel).tanh()
    (descriptions * descriptions).sum(-1).holds(likeness[:, 2, 4])


def tie_applied_twice(model: Any) -> None:
    known, doubtful = data("tie_applied_twice", 11)
    assert (np.asarray(model([known, doubtful])) == np.asarray(model([doubtful, known]))).all()
    # A sum of 8 squares of numbers that were divided by their norm, a sum of 8 squares.
    exact(np.ones((8, 1))).wider(gamma(8 + 8 + 2 * FUNCTION)).holds(model([known, known]))
    assert np.ptp(np.asarray(model([known, doubtful]))) > 0
    assert model.count_params() == model.get_layer("describe").count_params() == 5 * 2 * 8 + 8


def symmetric_packed(model: Any) -> None:
    kernel = dense(model, "metric")
    assert (kernel == kernel.T).all()
    assert len(np.unique(kernel)) == model.count_params() == 10 * 11 // 2
    x, y = data("symmetric_packed", 11)
    off = exact(x) - y
    (off @ kernel * off).sum(-1).holds(np.asarray(model([x, y]))[:, 0])


def symmetric_placed(model: Any) -> None:
    move, stay = dense(model, "move"), dense(model, "stay")
    assert (move == move.T).all()
    assert ((move == 0) == np.eye(9, dtype=bool)).all()
    assert len(np.unique(move)) == 1 + 9 * 8 // 2
    assert ((stay != 0) == np.eye(9, dtype=bool)).all()
    assert model.count_params() == 9 * 8 // 2 + 9 + 9


def symmetric_masked(model: Any) -> None:
    kernel = dense(model, "whiten")
    assert (kernel == kernel.T).all()
    assert len(np.unique(kernel)) == 4 * 5 // 2
    (stored,) = model.get_layer("whiten").get_weights()
    assert stored.shape == (4, 4)
    assert (np.triu(stored) == np.triu(kernel)).all()


def zero_by_constraint(model: Any) -> None:
    kernel = dense(model, "weigh")
    assert np.argwhere(kernel == 0).tolist() == [[0, 1], [3, 0], [3, 2], [7, 3]]
    stored = next(each for each in model.get_layer("weigh").weights if each.shape == (10, 4)).numpy()
    assert (stored == kernel).all()


def zero_by_mask(model: Any) -> None:
    kernel = dense(model, "hear")
    ears = np.kron(np.eye(2, dtype=bool), np.ones((6, 5), bool))
    ears[[0, 2, 8], [3, 1, 6]] = False
    assert ((kernel != 0) == ears).all()
    stored = next(each for each in model.get_layer("hear").weights if each.shape == (12, 10)).numpy()
    assert (stored[[0, 2, 8], [3, 1, 6]] == 0).all()
    assert (stored[ears] == kernel[ears]).all()


def resnet(model: Any) -> None:
    shortcuts = [layer.name for layer in model.layers if layer.name.endswith("_widen")]
    assert len(shortcuts) == 2
    for name, channels in zip(shortcuts, (8, 16), strict=True):
        assert model.get_layer(name).count_params() == 0
        image = np.random.default_rng(4).normal(size=(1, 8, 8, channels)).astype("float32")
        short = reply(model, name, lambda x, image=image: image)
        assert (short[..., : image.shape[-1]] == image).all()
        assert (short[..., image.shape[-1] :] == 0).all()


def gpt(model: Any) -> None:
    table = reply(model, "embed", lambda x: np.arange(96)[None])[0]
    assert (dense(model, "logits") == table.T).all()
    texts = data("gpt", 11)[0]
    said = np.asarray(model(texts))
    for place in (0, 5, 11):
        other = texts.copy()
        other[:, place] = (other[:, place] + 1) % 96
        differs = (np.asarray(model(other)) != said).any((0, 2))
        # What was said before knows nothing of it, and all that comes does.
        assert not differs[:place].any()
        assert differs[place:].all()


def albert(model: Any) -> None:
    table = reply(model, "embed", lambda x: np.arange(96)[None])[0]
    assert (dense(model, "logits") == table.T).all()
    encoders = [layer for layer in model.layers if "attention" in type(layer).__name__.lower()]
    assert len(encoders) == 1
    assert len(encoders[0]._inbound_nodes) == 3


def transformer_encoder(model: Any) -> None:
    texts = data("transformer_encoder", 11)[0]
    sum_to_one(model(texts))
    # The order of the words matters, as soon as the positions are something else than zero.
    place = model.get_layer("positions_place")
    assert place.count_params() == 12 * 8
    precise = doubled(model)
    same = np.abs(np.asarray(precise(texts)) - np.asarray(precise(texts[:, ::-1]))).max() < AMPLIFIED
    assert same == (np.asarray(place(np.zeros((1, 12, 8)))) == 0).all()


def unet(model: Any) -> None:
    image = np.zeros((1, 16, 16, 1), "float32")
    said = np.asarray(model(image))
    assert said.shape == (1, 16, 16, 2)
    sum_to_one(said)


def made(model: Any) -> None:
    x = tf.constant(np.random.default_rng(11).normal(size=(64, 8)), "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    depends = (np.asarray(tape.batch_jacobian(y, x)) != 0).any(0)
    # Each answer depends on all entries before it, and on no others.
    assert (depends == np.tril(np.ones((8, 8), bool), -1)).all()


def deepsets(model: Any) -> None:
    elements = data("deepsets", 11)[0]
    precise = doubled(model)
    same_but_for_rounding(precise(elements[:, ::-1]), precise(elements))
    assert (np.asarray(precise(elements[:, 1:])) != np.asarray(precise(elements))).all()
    assert np.asarray(model(elements[:, :2])).shape == (8, 1)


def densenet(model: Any) -> None:
    channels = [layer.output.shape[-1] for layer in model.layers if "conv2d" in layer.name.replace("_", "")]
    assert channels == [8, 4, 4, 8, 4, 4]
    seen = [layer.input.shape[-1] for layer in model.layers if "conv2d" in layer.name.replace("_", "")]
    assert seen == [3, 8, 12, 16, 8, 12]


def mixer(model: Any) -> None:
    # The first axis of what a dense layer is given are channels and patches by turns, and it sees the last.
    *thinkers, _ = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    given = [(8, 16), (8, 12), (16, 8), (16, 32)]
    assert [layer.input.shape[1:] for layer in thinkers] == given * 2
    # A pixel belongs to one patch, and what is said depends on all of them.
    (patches,) = (layer.output for layer in model.layers if isinstance(layer, keras.layers.Reshape))
    cut = keras.Model(model.input, patches)
    image = data("mixer", 11)[0][:1]
    for row, column in ((0, 0), (3, 4), (8, 7), (15, 15)):
        other = image.copy()
        other[:, row, column] += 1
        (changed,) = np.nonzero((np.asarray(cut(other)) != np.asarray(cut(image))).any((0, 2)))
        assert changed.tolist() == [row // 4 * 4 + column // 4]
        assert (np.asarray(model(other)) != np.asarray(model(image))).any()


def inception(model: Any) -> None:
    modules = [each for each in model.operations if "concatenate" in each.name]
    assert [[way.shape[-1] for way in each.input] for each in modules] == [[8, 16, 4, 4], [16, 24, 12, 8]]
    pools = [each for each in model.layers if isinstance(each, keras.layers.MaxPooling2D) and each.strides == (2, 2)]
    module = keras.Model(pools[0].output, modules[0].output)
    before = np.random.default_rng(11).uniform(size=(1, 8, 8, 24)).astype("float32")
    after = before.copy()
    after[:, 4, 4] += 5
    with linear(model):
        differs = np.asarray(module(before) != module(after))[0]
    # How far each of the four ways sees.
    for far, ways in ((0, slice(0, 8)), (1, slice(8, 24)), (2, slice(24, 28)), (1, slice(28, 32))):
        window = np.zeros((8, 8), bool)
        window[4 - far : 5 + far, 4 - far : 5 + far] = True
        assert (differs[..., ways].any(-1) == window).all()


def seq2seq(model: Any) -> None:
    table = reply(model, "embed", lambda x: np.arange(96)[None])[0]
    assert (dense(model, "logits") == table.T).all()
    source, target = data("seq2seq", 11)
    said = np.asarray(model([source, target]))
    other = target.copy()
    other[:, 3] = (other[:, 3] + 1) % 96
    differs = (np.asarray(model([source, other])) != said).any((0, 2))
    assert differs.tolist() == [place >= 3 for place in range(TIME)]
    # Of the source, all that is written knows all.
    for place in range(TIME):
        other = source.copy()
        other[:, place] = (other[:, place] + 1) % 96
        assert (np.asarray(model([other, target])) != said).any((0, 2)).all()
    # The two texts need not be of one length.
    assert model([source[:, 2:], target[:, :4]]).shape == (8, 4, 96)


def tagger(model: Any) -> None:
    words = data("tagger", 11)[0]
    words[words == 0] = 1
    read = keras.Model(model.input, model.get_layer("read").output)
    assert (np.asarray(read(words[:, ::-1])) == np.asarray(read(words))[:, ::-1]).all()
    said = np.asarray(model(words))
    precise = doubled(model)
    same_but_for_rounding(np.asarray(precise(words[:, ::-1]))[:, ::-1], precise(words))
    assert (np.ptp(said, axis=1) > 0).any()
    # Behind a text nothing is looked at, whatever the table has for it.
    table, short = model.get_layer("embed").embeddings, np.where(np.arange(words.shape[1]) < 4, words, 0)
    value, said = table.numpy(), np.asarray(model(short))[:, :4]
    table.assign(value + (np.arange(96) == 0)[:, None])
    other = np.asarray(model(short))[:, :4]
    table.assign(value)
    assert (other == said).all()
    # Of what one unit remembers, no other one hears.
    layer, heard = model.get_layer("read"), []
    own, call = "call" in vars(layer), layer.call

    def probed(x: Any, *args: Any, **kwargs: Any) -> Any:
        for memory in (np.eye(8, dtype="float32"), np.zeros((8, 8), "float32")):
            states = [memory, *[np.zeros((8, 8), "float32")] * 3]
            kwargs_here = kwargs | {"initial_state": states, "mask": None}
            heard.append(np.asarray(call(np.zeros((8, 1, x.shape[-1]), "float32"), *args, **kwargs_here))[:, 0])
        return call(x, *args, **kwargs)

    layer.call = probed
    try:
        model(words)
    finally:
        if own:
            layer.call = call
        else:
            del layer.call
    assert ((heard[0] != heard[1]) == np.eye(8, dtype=bool)).all()
    both, attention, others = 4 * 8 * (12 + 1 + 1), 3 * (8 * 8 + 8), 96 * 12 + 2 * 8 + 8 * 5 + 5
    assert model.count_params() == both + attention + others


PROMISES: dict[str, Callable[[Any], None]] = {
    each.__name__: each
    for each in (
        tied_autoencoder,
        siamese,
        hopfield,
        equal_scalar,
        lenet5,
        language_model,
        linear_phase,
        multiscale,
        shared_private,
        banded,
        symmetric_dense,
        antisymmetric_rnn,
        circulant,
        random_features,
        triangular_flow,
        two_mechanisms,
        shared_filters,
        connectome,
        resnet,
        gpt,
        albert,
        transformer_encoder,
        unet,
        made,
        deepsets,
        densenet,
        mixer,
        inception,
        seq2seq,
        tagger,
        equal_start,
        equal_filled,
        equal_averaged,
        tie_two_dense,
        tie_two_convolutions,
        tie_saved,
        tie_dense_and_convolution,
        tie_applied_twice,
        symmetric_packed,
        symmetric_placed,
        symmetric_masked,
        zero_by_constraint,
        zero_by_mask,
    )
}


def test_every_spec_promises_something() -> None:
    assert set(PROMISES) == set(SPECS)


@pytest.mark.parametrize(
    "name",
    [
        "tied_autoencoder",
        "hopfield",
        "banded",
        "lenet5",
        "equal_averaged",
        "tie_two_dense",
        "tie_two_convolutions",
        "tie_saved",
        "tie_dense_and_convolution",
        "symmetric_packed",
        "symmetric_placed",
        "symmetric_masked",
        "zero_by_constraint",
    ],
)
def test_a_plain_network_does_not_keep_the_promise(name: str) -> None:
    """What is read from outside is not so by itself."""
    text = re.sub(r"(?m)^    assert .*\n", "", SPECS[name].read_text())
    plain = re.sub(r"(?m)(^    layer .*\)) (tie|symmetric|zero|equal)([\[(]\n(.*\n)*?    [\])]|.*)", r"\1", text)
    assert plain != text
    with pytest.raises(AssertionError):
        PROMISES[name](wdsl.loads(plain).to_keras())


# --- the life of a model --------------------------------------------------------------------------


def test_new_and_counted(spec: str) -> None:
    net = net_of(spec)
    model = net.to_keras()
    PROMISES[spec](model)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    fixed = sum(int(np.prod(weight.shape)) for weight in model.non_trainable_weights)
    assert net.parameters == trainable
    assert model.count_params() == trainable + fixed
    # Everything that a summary counts is what is free, and no layer is counted twice.
    assert sum(layer.count_params() for layer in model.layers) == model.count_params()
    assert model.name == net.name


def test_generated_module(spec: str, python_module: Callable[..., ModuleType]) -> None:
    net = net_of(spec)
    module = python_module(net.to_python())
    model = getattr(module, net.name)()
    assert isinstance(model, keras.Model)
    PROMISES[spec](model)
    train(model, spec, 1)
    PROMISES[spec](model)
    assert model.count_params() == net.to_keras().count_params()
    names = [layer.name for layer in net.layers]
    found = [layer.name for layer in model.layers if layer.name in names]
    # Keras sorts them by their distance from the output: where one passes by others, that is not how they are declared.
    assert sorted(found) == sorted(names) if spec in LARGE else found == names


def test_trained(spec: str) -> None:
    PROMISES[spec](trained(spec))


@some
def test_saved_as_keras(spec: str, tmp_path: Path) -> None:
    model = trained(spec)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (answer(again, spec) == answer(model, spec)).all()
    assert again.count_params() == model.count_params()
    PROMISES[spec](again)
    train(again, spec, 1)
    assert (answer(again, spec) != answer(model, spec)).any()
    PROMISES[spec](again)


@some
def test_saved_weights(spec: str, tmp_path: Path) -> None:
    model = trained(spec)
    model.save_weights(tmp_path / "model.weights.h5")
    again = net_of(spec).to_keras()
    assert (answer(again, spec) != answer(model, spec)).any()
    again.load_weights(tmp_path / "model.weights.h5")
    assert (answer(again, spec) == answer(model, spec)).all()
    PROMISES[spec](again)


@some
def test_cloned(spec: str) -> None:
    model = trained(spec)
    clone = keras.models.clone_model(model)
    assert clone.count_params() == model.count_params()
    assert (answer(clone, spec) != answer(model, spec)).any()
    PROMISES[spec](clone)
    clone.set_weights(model.get_weights())
    expected = answer(model, spec)
    assert (answer(clone, spec) == expected).all()
    train(clone, spec, 1)
    PROMISES[spec](clone)
    # The clone has weights of its own.
    assert (answer(clone, spec) != expected).any()
    assert (answer(model, spec) == expected).all()


def test_frozen(spec: str) -> None:
    """The same outputs to the bit, from a model of nothing but Keras."""
    model = trained(spec)
    frozen = wdsl.freeze(model, keep_products=False)
    assert "wdsl" not in frozen.to_json()
    assert (answer(frozen, spec) == answer(model, spec)).all()


@some
def test_exported(spec: str, tmp_path: Path) -> None:
    model = doubled(trained(spec))
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    values = [x.astype(each.dtype) for x, each in zip(data(spec, 7), model.inputs, strict=True)]
    reply = served.serve(*values) if len(values) == 1 else served.serve(values)
    same_but_for_rounding(reply, answer(model, spec))
