"""Kernels that a layer multiplies by without making them: the same numbers, to the bit where nothing is added.

Patterns count from the first entry here, though for so few entries they are not worth it.

Each is held against a plain layer whose kernel is the matrix, written down in NumPy.
"""

import itertools
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import wdsl
from tests.drawn import every, repeated
from tests.rounding import Bounded, affine, convolution, eps, exact, gamma, l2
from wdsl import effective_weights
from wdsl.runtime import Averaged, Shared, Structured, Via, Wrapped
from wdsl.runtime.placement import Placement
from wdsl.structure import (
    Axis,
    Band,
    Blocks,
    By,
    Diagonal,
    Equal,
    Fixed,
    Flat,
    Lower,
    Not,
    Skew,
    Symmetric,
    Tied,
    Upper,
    Where,
    Zero,
)
from wdsl.structure.patterns import Halves, MatrixPattern

BLOCKS = np.zeros((12, 8), bool)
for block in range(4):
    BLOCKS[3 * block : 3 * block + 3, 2 * block : 2 * block + 2] = True


def in_blocks(theta):
    kernel = np.zeros(BLOCKS.shape, theta.dtype)
    kernel[BLOCKS] = theta
    return kernel


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch):
    for kind in (MatrixPattern, *MatrixPattern.kinds.values()):
        monkeypatch.setattr(kind, "least", 0)
    monkeypatch.setattr(Halves, "smallest", 1)
    monkeypatch.setattr(Placement, "least", 0)
    # What is loaded is of this class, and not that of a written module, which another test may have imported.
    monkeypatch.setitem(keras.saving.get_custom_objects(), "wdsl2>Structured", Structured)


def along(index):
    """The matrix whose entries are theta's at these places."""
    return lambda theta: theta[index]


def in_band(theta):
    kernel = np.zeros((300, 290), theta.dtype)
    i, j = np.indices(kernel.shape)
    kernel[(j - i <= 2) & (i - j <= 1)] = theta
    return kernel


def in_halves(sign, corner):
    """From theta to a matrix of which the blocks above the diagonal come first, and then what is left on it."""

    def matrix(theta):
        kernel, rest = np.zeros((12, 12), theta.dtype), list(theta)
        for first, size in ((0, 6), (0, 3), (6, 3)):
            second = first + size
            block = np.array([[rest.pop(0) for _ in range(size)] for _ in range(size)])
            kernel[first:second, second : second + size] = block
            kernel[second : second + size, first:second] = sign * block.T
        for first in (0, 3, 6, 9):
            corner(kernel[first : first + 3, first : first + 3], rest)
        assert not rest
        return kernel

    return matrix


def mirrored(sign, k):
    def fill(corner, rest):
        for i in range(3):
            for j in range(i + k, 3):
                value = rest.pop(0)
                corner[j, i], corner[i, j] = sign * value, value

    return fill


def lower(theta):
    """Blocks below the diagonal lie by their own rows."""
    kernel, rest = np.zeros((12, 12), theta.dtype), list(theta)
    for first, size in ((0, 6), (0, 3), (6, 3)):
        for i in range(first + size, first + 2 * size):
            for j in range(first, first + size):
                kernel[i, j] = rest.pop(0)
    for first in (0, 3, 6, 9):
        for i in range(first, first + 3):
            for j in range(first, i):
                kernel[i, j] = rest.pop(0)
    return kernel


HALVES = {
    "symmetric": ([Symmetric()], (12, 12), 78, in_halves(1, mirrored(1, 0))),
    "symmetric, hollow": ([Symmetric(), Zero(Diagonal())], (12, 12), 66, in_halves(1, mirrored(1, 1))),
    "skew": ([Skew()], (12, 12), 66, in_halves(-1, mirrored(-1, 1))),
    "upper triangular": ([Zero(Lower())], (12, 12), 78, in_halves(0, mirrored(0, 0))),
    "strictly lower triangular": ([Zero(Upper(0))], (12, 12), 66, lower),
}
"""Kernels that are cut in halves, twice."""

(ROW, COLUMN), (R, C) = np.indices((9, 9)), np.indices((12, 8))
TRANSFORMED = {
    "circulant": ([Equal(By(lambda i, j: (j - i) % 9))], (9, 9), 9, along((COLUMN - ROW) % 9)),
    "circulant to the left": ([Equal(By(lambda i, j: (i + j) % 9))], (9, 9), 9, along((ROW + COLUMN) % 9)),
    "Toeplitz": ([Equal(By(lambda i, j: i - j))], (12, 8), 19, along(np.where(C >= R, C - R, 7 + R - C))),
    "wide Toeplitz": ([Equal(By(lambda i, j: i - j))], (8, 12), 19, along(np.where(R >= C, R - C, 11 + C - R).T)),
    "Hankel": ([Equal(By(lambda i, j: i + j))], (12, 8), 19, along(R + C)),
}
"""Kernels whose products are rounded as a whole."""

ONE_OF_EACH = {
    *("one value", "rows", "columns", "DeepSets", "blocks", "diagonal", "band", "circulant", "wide Toeplitz"),
    *("skew", "strictly lower triangular"),
}
"""A kernel for each product. What XLA makes of it, which takes longer than all else, is the same for the others."""

CASES = {
    "one value": ([Equal()], (12, 8), 1, lambda t: np.full((12, 8), t[0])),
    "one value by itself": ([Equal(Where(lambda i, j: i >= 0))], (1, 8), 1, lambda t: np.full((1, 8), t[0])),
    "rows": ([Equal(Axis(0))], (12, 8), 12, lambda t: np.repeat(t[:, None], 8, axis=1)),
    "columns": ([Equal(Axis(1))], (12, 8), 8, lambda t: np.repeat(t[None, :], 12, axis=0)),
    "rows of a square": ([Equal(By(lambda i, j: i))], (9, 9), 9, lambda t: np.repeat(t[:, None], 9, axis=1)),
    "DeepSets": (
        [Equal(Diagonal(), Not(Diagonal()))],
        (9, 9),
        2,
        lambda t: np.where(np.eye(9, dtype=bool), t[0], t[1]),
    ),
    "blocks": ([Zero(Not(Blocks(3, 2)))], (12, 8), 24, in_blocks),
    "diagonal": ([Zero(Not(Diagonal()))], (9, 9), 9, np.diag),
    "band": ([Zero(Not(Band(1, 2)))], (300, 290), 290 + 290 + 289 + 288, in_band),
    **TRANSFORMED,
    **HALVES,
}


SPREAD = {*TRANSFORMED, "DeepSets"}
"""Those of which every output is rounded by some part of all inputs, also of those that it does not depend on."""


class Reference:
    """What a matrix of some case does, in float64 with bounds of rounding, whichever way it is multiplied by."""

    def __init__(self, name, theta):
        _, self.shape, self.size, matrix = CASES[name]
        self.theta, self.is_spread = exact(theta), name in SPREAD
        numbers = matrix(np.arange(1, self.size + 1, dtype="int64"))
        self.places, self.sign = np.abs(numbers) - 1, np.sign(numbers)

    @property
    def matrix(self):
        return self.theta.moved(lambda theta: theta[self.places]) * self.sign

    def spread(self, *factors):
        """An error that depends on norms alone, of which rows are given."""
        rows = [np.linalg.norm(each.size, axis=-1, keepdims=True) for each in factors]
        return convolution(sum(self.shape)) * math.prod(rows) if self.is_spread else 0

    def times(self, x, bias=None):
        y = x @ self.matrix if bias is None else affine(x, self.matrix, bias)
        return y.wider(self.spread(x, self.theta))

    def times_transposed(self, x):
        return (x @ self.matrix.T).wider(self.spread(x, self.theta))

    def gathered(self, *pairs):
        """The gradient for theta: of rows x and g, the sums of x[i] g[j] over the places of a number and all rows."""
        value, size, error, terms = 0, 0, 0, 0
        counts = np.bincount(self.places[self.sign != 0], minlength=self.size)
        for x, g in pairs:
            product = x.T @ g
            value, error = value + self.added(self.sign * product.value), error + self.added(product.error)
            size, terms = size + self.added(x.size.T @ g.size), terms + len(x.value) + counts.max()
            error = error + np.sum(self.spread(x, g))
        return Bounded(value, error + gamma(terms) * size)

    def added(self, matrix):
        live = self.sign != 0
        return np.bincount(self.places[live], matrix[live], self.size)


def rows_of(x):
    return exact(np.reshape(x, (-1, np.shape(x)[-1])))


def normal(*shape, seed=5):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(name, **options):
    """A layer with structure, and a plain one with the same kernel, built."""
    equations, (rows, columns), size, matrix = CASES[name]
    layer = Structured(layers.Dense(columns, **options), {"kernel": equations})
    plain = layers.Dense(columns, **options)
    layer.build((None, rows))
    plain.build((None, rows))
    theta = layer.weights[0]
    assert theta.shape == (size,)
    theta.assign(normal(size))
    plain.kernel.assign(matrix(normal(size)))
    if plain.use_bias:
        for each in (plain.bias, layer.layer.bias):
            each.assign(normal(columns, seed=6))
    return layer, plain, rows


def is_made(layer):
    """Whether a call makes the matrix."""
    made = []
    (weight,) = layer.structured
    expand = weight.expansion.expand
    weight.expansion.expand = lambda theta: made.append(theta) or expand(theta)
    try:
        layer(np.ones((2, weight.shape[0]), "float32"))
    finally:
        del weight.expansion.expand
    return bool(made)


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_is_not_made(name):
    assert not is_made(pair(name)[0])


@pytest.mark.parametrize(
    ("equations", "shape"),
    [
        ([Symmetric()], (9, 9)),
        ([Skew()], (9, 9)),
        ([Symmetric(), Zero(Flat(7))], (12, 12)),
        ([Symmetric(), Equal(Flat(7, 8))], (12, 12)),
        ([Symmetric(), Equal(Flat(0, 7))], (12, 12)),
        ([Symmetric(), Fixed(0.5, Flat(0))], (12, 12)),
        ([Skew(), Zero(Flat(7))], (12, 12)),
        ([Zero(Lower()), Zero(Flat(7))], (12, 12)),
        ([Zero(Flat(7, 8))], (12, 12)),
        ([Equal(By(lambda i, j: (j - 2 * i) % 9))], (9, 9)),
        ([Equal(By(lambda i, j: (j - i) % 9))], (9, 8)),
        ([Equal(By(lambda i, j: j - i)), Zero(Diagonal())], (9, 9)),
        ([Equal(By(lambda i, j: i // 3))], (9, 8)),
        ([Equal(), Zero(Diagonal())], (9, 9)),
        ([Equal(Axis(0)), Zero(Flat(4))], (9, 8)),
        ([Equal(Axis(1)), Fixed(0.5, Flat(4))], (9, 8)),
        ([Equal(Diagonal(), Not(Diagonal()))], (9, 8)),
        ([Equal(Diagonal(), Not(Diagonal())), Zero(Flat(1))], (9, 9)),
        ([Equal(Diagonal(1), Not(Diagonal(1)))], (9, 9)),
        ([Zero(Not(Blocks(3, 2)))], (12, 9)),
        ([Zero(Not(Blocks(4, 4)))], (9, 9)),
        ([Zero(Not(Blocks(3, 3))), Symmetric()], (9, 9)),
        ([Zero(Not(Blocks(3, 3))), Zero(Flat(80))], (9, 9)),
        ([Zero(Not(Blocks(3, 3))), Equal(Flat(0, 1))], (9, 9)),
        ([Zero(Not(Band(1, 1)))], (9, 9)),
        ([Zero(Flat(1, 2, 4, 6))], (4, 2)),
        ([Zero(Flat(1, 2, 3, 6))], (2, 4)),
        ([Zero(Flat(0, 1))], (4, 2)),
        ([Zero()], (9, 9)),
        ([Zero(Blocks(3, 3))], (9, 9)),
        ([Averaged()], (9, 9)),
        ([Via("mask", Equal())], (9, 9)),
        ([Via("constraint", Equal(Axis(0)))], (9, 9)),
    ],
)
def test_any_other_matrix_is_made(equations, shape):
    layer = Structured(layers.Dense(shape[1], use_bias=False), {"kernel": equations})
    layer.build((None, shape[0]))
    assert is_made(layer)
    kernel = effective_weights(layer)[f"{layer.name}.kernel"]
    np.testing.assert_array_equal(layer(np.eye(shape[0], dtype="float32")), kernel)


@pytest.mark.parametrize(
    ("policy", "execution"),
    [
        *((policy, "eager") for policy in ("float64", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16")),
        *(("float32", execution) for execution in ("eager", "graph", "XLA")),
        pytest.param("mixed_bfloat16", "XLA", marks=pytest.mark.repeated),
    ],
)
@pytest.mark.parametrize("name", CASES)
def test_an_identity_shows_the_matrix_to_the_bit(name, policy, execution):
    layer, plain, rows = pair(name, use_bias=False, dtype=policy)
    call, x = layer.__call__, np.eye(rows, dtype="float32")
    if execution != "eager":
        call = tf.function(call, jit_compile=execution == "XLA")
    expected = ops.cast(plain.kernel, plain.compute_dtype)
    for factor in (1, -1):
        y = call(ops.convert_to_tensor(factor * x))
        assert y.dtype == expected.dtype
        found, wanted = ops.convert_to_numpy(y), factor * ops.convert_to_numpy(expected)
        if name in TRANSFORMED:
            worst = np.abs(np.float64(found) - np.float64(wanted)).max()
            widest = max(plain.compute_dtype, "float32", key=lambda dtype: -eps(dtype))
            bound = convolution(sum(plain.kernel.shape), widest) * np.linalg.norm(normal(CASES[name][2]))
            assert worst <= bound + eps(plain.compute_dtype) * np.abs(wanted).max()
        else:
            np.testing.assert_array_equal(found, wanted)
    effective = effective_weights(layer)[f"{layer.name}.kernel"]
    np.testing.assert_array_equal(effective, ops.convert_to_numpy(plain.kernel))


def expected_of(name, x, theta, bias, l1=0.01):
    """Outputs and gradients of a layer of `pair`, with a tanh and two regularizers, from rows of inputs."""
    reference = Reference(name, theta)
    y = reference.times(x, bias).tanh()
    upstream = Bounded(l1 * np.sign(y.value), 2 * l1 * (np.abs(y.value) <= y.error)) + np.arange(1, y.shape[-1] + 1)
    dz = upstream * (1 - y * y)
    dbias = dz.sum(0) + exact(bias) * 0.02
    return [y, reference.times_transposed(dz), reference.gathered((x, dz)), dbias]


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 1, 3), (0,)])
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_those_of_the_matrix(name, shape):
    layer, _, rows = pair(name, activation="tanh", bias_regularizer="l2", activity_regularizer="l1")
    x = tf.constant(normal(*shape, rows, seed=7))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(y * tf.range(1.0, y.shape[-1] + 1)) + sum(layer.losses)
    theta, bias = sorted(layer.trainable_weights, key=lambda v: "bias" in v.path)
    dx, dtheta, dbias = tape.gradient(loss, [x, theta.value, bias.value])
    assert y.shape == (*shape, CASES[name][1][1])
    assert dx.shape == x.shape
    # Keras divides what it makes of outputs by the size of the batch.
    expected = expected_of(name, rows_of(x), theta.numpy(), bias.numpy(), 0.01 / max(1, shape[0]))
    for bounded, actual in zip(expected, (rows_of(y).value, rows_of(dx).value, dtheta, dbias), strict=True):
        bounded.holds(actual)


@pytest.mark.parametrize("name", every(3, CASES))
def test_one_wrong_entry_would_be_seen(name):
    """The bounds leave no room for a matrix with one other entry, or a gradient in which one is left out."""
    (rows, columns), size = CASES[name][1:3]
    theta, bias, x = normal(size) / 8, normal(columns, seed=6) / 8, np.float64(normal(20, rows, seed=7))
    y, dx, dtheta, _ = expected_of(name, exact(x), theta, bias)
    reference = Reference(name, theta)
    dz = (np.arange(1, columns + 1) + 0.01 * np.sign(y.value)) * (1 - y.value**2)
    for place in np.random.default_rng(1).permutation(rows * columns)[:40]:
        i, j = np.unravel_index(place, (rows, columns))
        wrong = reference.matrix.value.copy()
        wrong[i, j] += 0.05
        assert y.excess(np.tanh(x @ wrong + bias))[:, j].max() > 1
        assert dx.excess(dz @ wrong.T)[:, i].max() > 1
        without, number = dtheta.value.copy(), reference.places[i, j]
        without[number] -= reference.sign[i, j] * (x[:, i] @ dz[:, j])
        assert reference.sign[i, j] == 0 or dtheta.excess(without)[number] > 1


@pytest.mark.parametrize("is_graph", [False, True])
@pytest.mark.parametrize("name", every(3, CASES))
def test_gradients_of_gradients(name, is_graph):
    """A penalty on the inputs' gradient, in which the kernel stands twice, made and not made."""
    layer, plain, rows = pair(name, activation="tanh")
    made = Structured(Dense.from_config(plain.get_config() | {"name": "made"}), {"kernel": CASES[name][0]})
    made.build((None, rows))
    made.layer.bias.assign(plain.bias)
    first = made.structured[0].expansion.first_entries()
    made.weights[0].assign(plain.kernel.numpy().ravel()[first])
    x = tf.constant(normal(5, rows, seed=7))
    found = []
    for each in (made, layer):
        variables = [v.value for v in sorted(each.trainable_weights, key=lambda v: "bias" in v.path)]

        def penalty(each=each, variables=variables):
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = each(x)
                    loss = tf.reduce_sum(y * tf.range(y.shape[-1], dtype="float32"))
                total = tf.reduce_sum(inner.gradient(loss, x) ** 2)
            return outer.gradient(total, [x, *variables])

        found.append([tensor.numpy() for tensor in (tf.function(penalty) if is_graph else penalty)()])
    reference, x = Reference(name, layer.weights[0].numpy()), exact(x)
    y = reference.times(x, plain.bias.numpy()).tanh()
    upstream, slope = np.arange(y.shape[-1]), 1 - y * y
    dz = upstream * slope
    of_dx = reference.times_transposed(dz) * 2
    of_z = reference.times(of_dx) * upstream * y * -2 * slope
    dtheta = reference.gathered((of_dx, dz), (x, of_z))
    numbers = reference.places.ravel()[first]
    for each, of_theta in zip(found, (dtheta[numbers], dtheta), strict=True):
        for bounded, actual in zip((reference.times_transposed(of_z), of_theta, of_z.sum(0)), each, strict=True):
            bounded.holds(actual)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", [name for name in CASES if name not in ("blocks", "diagonal", "band")])
def test_half_precision_adds_in_more(name, policy):
    """1000 inputs that are not small: their sum in half precision would be off in the second digit.

    But for kernels of which an output has a few inputs only.
    """
    equations, (rows, columns), *_ = CASES[name]
    if "circulant" in name:
        equations = [Equal(By(lambda i, j: (j - i) % 1000))]
    rows, columns = (1000, 1000 if rows == columns else 40)
    x = np.random.default_rng(1).uniform(0.5, 1, (8, rows)).astype("float32")
    layer = Structured(layers.Dense(columns, use_bias=False, dtype=policy), {"kernel": equations})
    layer.build((None, rows))
    half = layer.compute_dtype
    inputs, kernel = (
        ops.convert_to_numpy(ops.cast(ops.cast(each, half), "float64"))
        for each in (x, effective_weights(layer)[f"{layer.name}.kernel"])
    )
    # In halves, an output is a sum of some products in half precision, of no more than eight parts of the rows. A
    # product in half precision may be written down, and so rounded, after some hundred terms.
    parts = 8 if name in HALVES else 1
    products = np.einsum("bpi,pij->bpj", inputs.reshape(8, parts, -1), kernel.reshape(parts, -1, columns))
    truth, rounded = products.sum(1), (parts + 1) / 2 * eps(half) * np.abs(products).sum(1)
    norms = np.linalg.norm(inputs, axis=1, keepdims=True) * np.linalg.norm(np.unique(np.abs(kernel)))
    wide = convolution(rows + columns) * norms if name in SPREAD else gamma(rows) * (inputs @ np.abs(kernel))
    bounded = Bounded(truth, rounded + wide)
    bounded.holds(layer(x))
    # Added up in half precision it would not hold.
    if half == "float16" and name not in HALVES:
        terms = (inputs[:, :, None] * kernel[:, :20]).astype(half)
        assert bounded[:, :20].excess(np.cumsum(terms, axis=1, dtype=half)[:, -1]).max() > 1


@pytest.mark.parametrize(
    ("name", "xla"),
    repeated(
        itertools.product(CASES, (False, True)),
        {*((each, False) for each in CASES), *((each, True) for each in ONE_OF_EACH)},
    ),
)
def test_training_is_that_of_what_is_stored(name, xla):
    """SGD on theta, against SGD in NumPy on a theta from which the matrix is made."""
    equations, (rows, columns), size, matrix = CASES[name]
    x, y, start = normal(16, rows), normal(16, columns, seed=8), normal(size, seed=9)
    layer = Structured(layers.Dense(columns, kernel_regularizer="l2"), {"kernel": equations})
    model = keras.Sequential([keras.Input((rows,)), layer])
    assert not is_made(layer)
    layer.weights[0].assign(start)
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=xla)
    losses = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0).history["loss"]
    kernel = effective_weights(model)[f"{layer.name}.kernel"]

    theta, bias, expected = exact(start), exact(np.zeros(columns)), []
    for step in range(6):
        batch = slice(step % 2 * 8, step % 2 * 8 + 8)
        reference = Reference(name, theta)
        off = reference.times(exact(x[batch]), bias) - y[batch]
        expected.append((off * off).mean() + l2(reference.matrix, 0.01))
        dz = off * (2 / off.value.size)
        of_l2 = Bounded(reference.added(np.ones((rows, columns)))) * 0.02 * theta
        theta -= (reference.gathered((exact(x[batch]), dz)) + of_l2) * 0.05
        bias -= dz.sum(0) * 0.05
    for epoch, loss in enumerate(losses):
        ((expected[2 * epoch] + expected[2 * epoch + 1]) * 0.5).holds(loss)
    Reference(name, theta).matrix.holds(kernel)
    assert ((kernel != matrix(start)) == (matrix(start) != 0)).all()


class Dense(layers.Dense):
    """A class of one's own, which may do anything with its kernel."""


def test_l2_sees_each_entry_once():
    for name in CASES:
        layer, plain, _ = pair(name, kernel_regularizer=keras.regularizers.L2(0.1))
        for each in (layer, plain):
            l2(plain.kernel.numpy(), 0.1).holds(sum(each.losses))


@pytest.mark.parametrize("name", every(3, CASES))
def test_the_life_of_a_model(name, tmp_path):
    equations, (rows, columns), *_ = CASES[name]
    x = keras.Input((None, rows), name="x")
    masked = layers.Masking()(x)
    layer = Structured(layers.Dense(columns, "relu"), {"kernel": equations, "bias": [Equal()]}, name="a")
    model = keras.Model(x, layer(masked))
    assert model.output_shape == (None, None, columns)
    values = normal(3, 4, rows)
    expected = model(values).numpy()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    model.export(tmp_path / "exported", verbose=False)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    fresh = keras.models.clone_model(model)
    fresh.load_weights(tmp_path / "m.weights.h5")
    config = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    config.set_weights(model.get_weights())
    for again in (keras.models.load_model(tmp_path / "m.keras"), clone, fresh, config):
        assert not any(weight.product is None for weight in again.get_layer("a").structured[:1])
        np.testing.assert_array_equal(again(values), expected)
    served = tf.saved_model.load(tmp_path / "exported")
    theta, bias = (each.numpy() for each in sorted(layer.weights, key=lambda v: "bias" in v.path))
    bounded = Reference(name, theta).times(rows_of(values), np.repeat(bias, columns)).relu()
    for each in (served.serve(values), expected):
        bounded.holds(rows_of(each).value)
    # What is masked stays so.
    mask = model.get_layer("a").compute_mask(masked, layers.Masking().compute_mask(values))
    assert mask.shape == (3, 4)
    kernel = effective_weights(model)["a.kernel"]
    assert kernel.shape == (rows, columns)
    assert {each.weight for each in wdsl.verify(model).findings} == {"a.kernel", "a.bias"}
    assert wdsl.verify(model).ok


def test_a_kernel_beside_a_tied_bias():
    x = keras.Input((6,))
    bias = Shared((6,), initializer="normal")(x)
    layer = Structured(layers.Dense(6, name="a"), {"kernel": [Equal()], "bias": [Tied()]})
    model = keras.Model(x, layer(x, tied={"bias": bias}))
    found = effective_weights(model)
    assert found["a.kernel"].shape == (6, 6)
    values = normal(3, 6)
    affine(values, found["a.kernel"], found["a.bias"]).holds(model(values))


def test_inside_another_wrapper():
    timed = Wrapped(layers.TimeDistributed(layers.Dense(9)), {"layer/kernel": [Equal(Diagonal(), Not(Diagonal()))]})
    values = normal(2, 5, 9)
    assert not is_made_by(timed, values)
    y = Reference("DeepSets", timed.weights[0].numpy()).times(rows_of(values))
    affine(y, np.eye(9), timed.weights[1].numpy()).holds(rows_of(timed(values)).value)


def is_made_by(layer, values):
    layer(values)
    return layer.structured[0].product is None


def test_inputs_that_are_sparse_or_whole_numbers():
    layer, plain, rows = pair("columns")
    values = np.arange(3 * rows).reshape(3, rows) % 5
    sparse = tf.sparse.from_dense(values.astype("float32"))
    expected = affine(values, plain.kernel.numpy(), plain.bias.numpy())
    for each in (layer, plain):
        expected.holds(each(values))
        expected.holds(each(sparse))


def test_outside_a_call_the_kernel_is_what_it_is_now():
    layer, x = Structured(layers.Dense(3, use_bias=False), {"kernel": [Equal()]}), normal(2, 3)
    layer(x)
    for number in (0.5, -2.0):
        layer.weights[0].assign([number])
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ops.convert_to_tensor(layer.layer.kernel)), np.full((3, 3), number)
        )
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (layer.layer(x), layer(x))))


def test_outside_a_call_what_is_tied_has_no_value():
    layer = Structured(layers.Dense(3), {"kernel": [Tied()]})
    layer(normal(2, 3), tied={"kernel": ops.convert_to_tensor(normal(3, 3))})
    for use in (lambda: layer.layer(normal(2, 3)), lambda: ops.convert_to_tensor(layer.layer.kernel)):
        with pytest.raises(RuntimeError, match="during a call"):
            use()


def test_structure_of_another_matrix_of_the_layer():
    """A matrix of LoRA is no kernel, and a kernel that LoRA adds to is not all of it."""
    layer = Structured(layers.Dense(6, lora_rank=2, use_bias=False), {"lora_kernel_a": [Equal()]})
    x = normal(3, 6)
    layer(x)
    layer.layer.lora_kernel_b.assign(normal(2, 6))
    kernel = exact(effective_weights(layer)[f"{layer.name}.lora_kernel_a"]) @ normal(2, 6) + layer.layer._kernel.numpy()
    (exact(x) @ kernel).holds(layer(x))
    frozen = Structured(layers.Dense(6, lora_rank=2, trainable=False), {"kernel": [Equal()]})
    frozen.build((None, 6))
    assert is_made(frozen)
