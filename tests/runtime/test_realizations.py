"""Kernels that a layer multiplies by without making them: the same numbers, to the bit where nothing is added.

Patterns count from the first entry here, though for so few entries they are not worth it.

Each is held against a plain layer whose kernel is the matrix, written down in NumPy.
"""

import json
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import wdsl
from wdsl.patterns import Halves, MatrixPattern
from wdsl.runtime import Averaged, Shared, Structured, Via, effective_weights, structures_of
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
    # What is loaded is of this class, and not that of a written module, which another test may have imported.
    monkeypatch.setitem(keras.saving.get_custom_objects(), "wdsl>Structured", Structured)


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


def rounding(dtype):
    """The relative distance of neighbouring numbers of a dtype."""
    return 2**-7 if dtype == "bfloat16" else float(np.finfo(dtype).eps)


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
        ("mixed_bfloat16", "XLA"),
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
            assert worst <= 4 * rounding(plain.compute_dtype) * np.abs(wanted).max()
        else:
            np.testing.assert_array_equal(found, wanted)
    effective = effective_weights(layer)[f"{layer.name}.kernel"]
    np.testing.assert_array_equal(effective, ops.convert_to_numpy(plain.kernel))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 1, 3), (0,)])
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_those_of_the_matrix(name, shape):
    layer, plain, rows = pair(name, activation="tanh", bias_regularizer="l2", activity_regularizer="l1")
    x = tf.constant(normal(*shape, rows, seed=7))
    found = []
    for each in (plain, layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = each(x)
            loss = tf.reduce_sum(y * tf.range(y.shape[-1], dtype="float32")) + sum(each.losses)
        variables = sorted(each.trainable_weights, key=lambda v: "bias" in v.path)
        found.append([y, *tape.gradient(loss, [x, *(v.value for v in variables)])])
    (y, dx, dkernel, dbias), (own, own_dx, dtheta, own_dbias) = found
    matrix = CASES[name][3]
    expected = [np.sum(dkernel * matrix(one)) for one in np.eye(dtheta.shape[0], dtype="float32")]
    for actual, desired in ((own, y), (own_dx, dx), (dtheta, expected), (own_dbias, dbias)):
        np.testing.assert_allclose(actual, desired, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("is_graph", [False, True])
@pytest.mark.parametrize("name", CASES)
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
    for each in (plain, made, layer):
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
    (dx, dkernel, dbias), *others = found
    matrix, size = CASES[name][3], layer.weights[0].shape[0]
    of_layer = [np.sum(dkernel * matrix(one)) for one in np.eye(size, dtype="float32")]
    places = [np.flatnonzero(matrix(one).ravel()) for one in np.eye(size, dtype="float32")]
    of_made = dict(zip((each[0] for each in places), of_layer, strict=True))
    expected = [[of_made[entry] for entry in first], of_layer]
    for (own_dx, dtheta, own_dbias), desired in zip(others, expected, strict=True):
        scale = max(1.0, np.abs(dkernel).max())
        for actual, wanted in ((own_dx, dx), (dtheta / scale, np.divide(desired, scale)), (own_dbias, dbias)):
            np.testing.assert_allclose(actual, wanted, rtol=2e-4, atol=2e-4 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_adds_in_more(name, policy):
    """1000 inputs that are not small: their sum in half precision would be off in the second digit."""
    equations, (rows, columns), *_ = CASES[name]
    if "Blocks" in repr(equations) or name == "band":
        pytest.skip("an output has a few inputs only")
    if "circulant" in name:
        equations = [Equal(By(lambda i, j: (j - i) % 1000))]
    rows, columns = (1000, 1000 if rows == columns else 40)
    errors = []
    x = np.random.default_rng(1).uniform(0.5, 1, (8, rows)).astype("float32")
    wide = Structured(layers.Dense(columns, use_bias=False), {"kernel": equations})
    wide.build((None, rows))
    kernel = effective_weights(wide)[f"{wide.name}.kernel"]
    half, plain = (
        Structured(layers.Dense(columns, use_bias=False, dtype=policy), {"kernel": equations}),
        layers.Dense(columns, use_bias=False, dtype=policy),
    )
    half.build((None, rows))
    plain.build((None, rows))
    half.weights[0].assign(wide.weights[0])
    plain.kernel.assign(kernel)
    inputs = ops.convert_to_numpy(ops.cast(ops.cast(x, half.compute_dtype), "float64"))
    truth = inputs @ ops.convert_to_numpy(ops.cast(ops.cast(kernel, half.compute_dtype), "float64"))
    for layer in (half, plain):
        y = ops.convert_to_numpy(ops.cast(layer(x), "float64"))
        errors.append(np.abs(y - truth).max() / np.abs(truth).max())
    # In halves, an output is a sum of some products, each in half precision.
    assert errors[0] <= max(errors[1], float(np.finfo("float16").eps)) * (2 if name in HALVES else 1)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_training_is_that_of_what_is_stored(name, xla):
    """SGD on theta, against SGD on a theta from which the matrix is made."""
    losses, weights = trained(name, layers.Dense, jit_compile=xla)
    expected_losses, expected_weights = with_a_matrix(name)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights, expected_weights, rtol=1e-4, atol=1e-5)
    start = CASES[name][3](normal(CASES[name][2], seed=9))
    assert ((weights != start) == (start != 0)).all()


@cache
def with_a_matrix(name):
    return trained(name, Dense, run_eagerly=True)


def trained(name, kind, **execution):
    """The losses, and the kernel in the end."""
    equations, (rows, columns), size, matrix = CASES[name]
    x, y = normal(16, rows), normal(16, columns, seed=8)
    layer = Structured(kind(columns, kernel_regularizer="l2"), {"kernel": equations})
    model = keras.Sequential([keras.Input((rows,)), layer])
    assert is_made(layer) == (kind is Dense)
    expansion = layer.structured[0].expansion
    layer.weights[0].assign(matrix(normal(size, seed=9)).ravel()[expansion.first_entries()])
    model.compile(keras.optimizers.SGD(0.05), "mse", **execution)
    losses = model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0).history["loss"]
    return losses, expansion.expand(layer.weights[0]).numpy()


class Dense(layers.Dense):
    """A class of one's own, which may do anything with its kernel."""


def test_l2_sees_each_entry_once():
    for name in CASES:
        layer, plain, _ = pair(name, kernel_regularizer=keras.regularizers.L2(0.1))
        np.testing.assert_allclose(sum(layer.losses), sum(plain.losses), rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
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
    np.testing.assert_allclose(served.serve(values), expected, rtol=1e-6, atol=1e-6)
    # What is masked stays so.
    mask = model.get_layer("a").compute_mask(masked, layers.Masking().compute_mask(values))
    assert mask.shape == (3, 4)
    kernel = effective_weights(model)["a.kernel"]
    assert kernel.shape == (rows, columns)
    assert {each for each, *_ in structures_of(model)} == {"a.kernel", "a.bias"}
    assert wdsl.verify(model).ok


def test_a_kernel_beside_a_tied_bias():
    x = keras.Input((6,))
    bias = Shared((6,), initializer="normal")(x)
    layer = Structured(layers.Dense(6, name="a"), {"kernel": [Equal()], "bias": [Tied()]})
    model = keras.Model(x, layer(x, tied={"bias": bias}))
    found = effective_weights(model)
    assert found["a.kernel"].shape == (6, 6)
    values = normal(3, 6)
    np.testing.assert_allclose(model(values), values @ found["a.kernel"] + found["a.bias"], rtol=1e-5, atol=1e-6)


def test_inside_another_wrapper():
    timed = Structured(layers.TimeDistributed(layers.Dense(9)), {"layer/kernel": [Equal(Diagonal(), Not(Diagonal()))]})
    values = normal(2, 5, 9)
    assert not is_made_by(timed, values)
    np.testing.assert_allclose(
        timed(values), values @ effective_weights(timed)[f"{timed.name}.kernel"], rtol=1e-4, atol=1e-5
    )


def is_made_by(layer, values):
    layer(values)
    return layer.structured[0].product is None


def test_inputs_that_are_sparse_or_whole_numbers():
    layer, plain, rows = pair("columns")
    values = np.arange(3 * rows).reshape(3, rows) % 5
    np.testing.assert_allclose(layer(values), plain(values), rtol=1e-5)
    sparse = tf.sparse.from_dense(values.astype("float32"))
    np.testing.assert_allclose(layer(sparse), plain(sparse), rtol=1e-5)


def test_outside_a_call_there_is_no_value():
    layer = Structured(layers.Dense(3), {"kernel": [Equal()]})
    layer(normal(2, 3))
    for use in (lambda: layer.layer(normal(2, 3)), lambda: ops.convert_to_tensor(layer.layer.kernel)):
        with pytest.raises(RuntimeError, match="during a call"):
            use()


def test_structure_of_another_matrix_of_the_layer():
    """A matrix of LoRA is no kernel, and a kernel that LoRA adds to is not all of it."""
    layer = Structured(layers.Dense(6, lora_rank=2, use_bias=False), {"lora_kernel_a": [Equal()]})
    x = normal(3, 6)
    layer(x)
    layer.layer.lora_kernel_b.assign(normal(2, 6))
    kernel = layer.layer._kernel.numpy() + effective_weights(layer)[f"{layer.name}.lora_kernel_a"] @ normal(2, 6)
    np.testing.assert_allclose(layer(x), x @ kernel, rtol=1e-5, atol=1e-6)
    frozen = Structured(layers.Dense(6, lora_rank=2, trainable=False), {"kernel": [Equal()]})
    frozen.build((None, 6))
    assert is_made(frozen)
