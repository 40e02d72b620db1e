"""Every trainable weight of Keras's layers, under a structure, against the plain layer.

The plain layer is given the dense weights that the equations demand, written out here
by hand from the free parameters; the two must then compute the same.
"""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import layers

from tests.drawn import every, repeated
from wdsl.runtime import Structured, Wrapped
from wdsl.structure import Equal, Flat, Symmetric, Zero

CASES = {
    "Dense": (lambda: layers.Dense(4), (4,), ["kernel", "bias"]),
    "EinsumDense": (
        lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"),
        (3, 3),
        ["kernel", "bias"],
    ),
    "Embedding": (lambda: layers.Embedding(5, 3), (4,), ["embeddings"]),
    "Conv1D": (lambda: layers.Conv1D(3, 2), (5, 3), ["kernel", "bias"]),
    "Conv2D": (lambda: layers.Conv2D(3, 2), (4, 4, 3), ["kernel", "bias"]),
    "Conv3D": (lambda: layers.Conv3D(2, 2), (3, 3, 3, 2), ["kernel", "bias"]),
    "Conv2DTranspose": (
        lambda: layers.Conv2DTranspose(2, 2),
        (3, 3, 2),
        ["kernel", "bias"],
    ),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(2), (4, 4, 2), ["kernel", "bias"]),
    "SeparableConv2D": (
        lambda: layers.SeparableConv2D(3, 2),
        (4, 4, 3),
        ["depthwise_kernel", "pointwise_kernel", "bias"],
    ),
    "BatchNormalization": (layers.BatchNormalization, (4,), ["gamma", "beta"]),
    "LayerNormalization": (layers.LayerNormalization, (4,), ["gamma", "beta"]),
    "SimpleRNN": (
        lambda: layers.SimpleRNN(3),
        (4, 3),
        ["cell/kernel", "cell/recurrent_kernel", "cell/bias"],
    ),
    "LSTM": (lambda: layers.LSTM(3), (4, 2), ["cell/kernel", "cell/recurrent_kernel", "cell/bias"]),
    "GRU": (lambda: layers.GRU(3), (4, 2), ["cell/kernel", "cell/recurrent_kernel", "cell/bias"]),
    "MultiHeadAttention": (
        lambda: layers.MultiHeadAttention(2, 2),
        [(3, 4), (5, 4)],
        [f"{part}_dense/{weight}" for part in ("query", "key", "value", "output") for weight in ("kernel", "bias")],
    ),
    "TimeDistributed": (
        lambda: layers.TimeDistributed(layers.Dense(3)),
        (2, 3),
        ["layer/kernel", "layer/bias"],
    ),
    "Bidirectional": (
        lambda: layers.Bidirectional(layers.LSTM(2, name="both")),
        (3, 2),
        [
            f"{way}_layer/cell/{weight}"
            for way in ("forward", "backward")
            for weight in ("kernel", "recurrent_kernel", "bias")
        ],
    ),
}


def batch(case, size=6):
    random, shape = np.random.default_rng(3), CASES[case][1]
    if case == "Embedding":
        return [random.integers(0, 5, (size, *shape))]
    shapes = shape if isinstance(shape, list) else [shape]
    return [random.normal(size=(size, *s)).astype("float32") for s in shapes]


def zero_some(shape):
    """The first entry and every fourth after it are zero; the rest is free."""
    live = np.arange(np.prod(shape)) % 4 != 0
    return [Zero(Flat(slice(0, None, 4)))], live.sum(), lambda theta: place(live, theta, shape)


def place(live, theta, shape):
    dense = np.zeros(live.size, "float32")
    dense[live] = theta
    return dense.reshape(shape)


def equal(shape):
    return [Equal()], 1, lambda theta: np.full(shape, theta[0])


def symmetric(shape):
    *outer, n, m = shape
    assert n == m
    i, j = np.triu_indices(n)
    leading = len(outer)

    def dense(theta):
        weight = np.zeros(shape, "float32")
        theta = np.reshape(theta, (*outer, len(i)))
        weight[..., i, j] = theta
        weight[..., j, i] = theta
        return weight

    return [Symmetric(leading, leading + 1)], int(np.prod(outer)) * len(i), dense


def weight_of(layer, path):
    *steps, name = path.split("/")
    holder = functools.reduce(getattr, steps, layer)
    (found,) = [w for w in holder.weights if w.name == name]
    return found


def structures_for(shape):
    square = len(shape) > 1 and shape[-1] == shape[-2]
    return [zero_some, equal, *([symmetric] if square else [])]


WEIGHTS = [(case, path) for case, (_, _, paths) in CASES.items() for path in paths]


def structured(case, structures):
    """A layer of a case with structure, of the class that is for it."""
    is_wrapped = case in ("MultiHeadAttention", "TimeDistributed", "Bidirectional")
    return (Wrapped if is_wrapped else Structured)(CASES[case][0](), structures)


@pytest.mark.parametrize(("case", "path"), every(3, WEIGHTS))
def test_computes_what_the_dense_weight_would(case, path):
    make, inputs = CASES[case][0], batch(case)
    plain = make()
    plain(*inputs)
    target = weight_of(plain, path)
    for structure in structures_for(target.shape):
        equations, free, dense = structure(tuple(target.shape))
        layer = structured(case, {path: equations})
        layer(*inputs)
        theta = layer.structured[0].theta
        assert theta.shape == (free,)
        assert layer.count_params() == plain.count_params() - np.prod(target.shape) + free
        value = np.random.default_rng(1).normal(size=free).astype("float32")
        theta.assign(value)
        others = [w for w in layer.weights if w is not theta]
        for variable, rest in zip(others, [w for w in plain.weights if w is not target], strict=True):
            variable.assign(rest)
        target.assign(dense(value))
        np.testing.assert_array_equal(layer(*inputs), plain(*inputs))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("case", CASES)
def test_mixed_precision_is_that_of_the_plain_layer(case, policy):
    inputs, paths = batch(case), CASES[case][2]
    keras.config.set_dtype_policy(policy)
    try:
        plain = CASES[case][0]()
        expected = plain(*inputs)
        layer = structured(case, {path: [] for path in paths})
        layer(*inputs)
        for weight in layer.structured:
            weight.theta.assign(weight_of(plain, weight.path))
        thetas, kept = {id(w.theta) for w in layer.structured}, {id(weight_of(plain, path)) for path in paths}
        others = [w for w in layer.weights if id(w) not in thetas]
        for variable, rest in zip(others, [w for w in plain.weights if id(w) not in kept], strict=True):
            variable.assign(rest)
        assert {w.dtype for w in layer.trainable_weights} == {"float32"}
        actual = layer(*inputs)
    finally:
        keras.config.set_dtype_policy("float32")
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


def structured_model(case):
    make, shape, paths = CASES[case]
    probe = make()
    probe(*batch(case))
    shapes = {path: tuple(weight_of(probe, path).shape) for path in paths}
    structures = {path: (zero_some, equal)[number % 2](shape)[0] for number, (path, shape) in enumerate(shapes.items())}
    dtype = "int64" if case == "Embedding" else "float32"
    inputs = [keras.Input(s, dtype=dtype) for s in (shape if isinstance(shape, list) else [shape])]
    layer = structured(case, structures)
    return keras.Model(inputs, layer(*inputs)), layer


COMPILED = {"Dense", "Embedding", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "LSTM", "MultiHeadAttention"}
"""One of each kind: XLA takes longer than all else."""


@pytest.mark.parametrize(
    ("case", "jit_compile"),
    repeated(
        itertools.product(CASES, (False, True)),
        {*((case, False) for case in [*CASES][::3]), *((case, True) for case in COMPILED)},
    ),
)
def test_trains_in_a_graph(case, jit_compile):
    keras.utils.set_random_seed(2)
    inputs = batch(case)
    model, layer = structured_model(case)
    before = [w.numpy().copy() for w in layer.trainable_weights]
    target = np.random.default_rng(0).normal(size=model(inputs).shape)
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit_compile)
    model.fit(inputs, target, epochs=2, batch_size=3, verbose=0)
    pairs = zip(before, layer.trainable_weights, strict=True)
    still = [weight.path for value, weight in pairs if (value == weight.numpy()).all()]
    # A bias that is added to all keys alike changes no attention.
    assert all("key_bias" in path for path in still)
