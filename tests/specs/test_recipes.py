"""The recipes of specs/recipes/, each right exactly where the code that circulates for it is wrong.

That code stands in each test as people copy it, and is run in plain Keras beside the spec.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import wdsl
from tests.rounding import affine, doubled, exact, in_float64, l2, same_but_for_rounding

RECIPES = Path(__file__).parents[2] / "specs" / "recipes"

Array = np.ndarray[Any, Any]


def net(name: str) -> wdsl.Net:
    return wdsl.load(RECIPES / f"{name}.wnet")


def test_every_recipe_has_its_test() -> None:
    assert {f"test_{path.stem}" for path in RECIPES.glob("*.wnet")} <= set(globals())


@pytest.fixture(autouse=True)
def same_weights_each_time() -> None:
    keras.utils.set_random_seed(5)


def drawn(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype("float32")


def batch(model: Any) -> Any:
    """What a model takes, with 7 steps where the number of steps is unknown."""
    inputs = [drawn(8, *(n or 7 for n in each.shape[1:])) + number for number, each in enumerate(model.inputs)]
    return inputs if len(inputs) > 1 else inputs[0]


def train(model: Any, optimizer: Any = None, steps: int = 1) -> None:
    model.compile(optimizer or keras.optimizers.SGD(0.1), "mse")
    inputs = batch(model)
    target = np.random.default_rng(2).uniform(size=model(inputs).shape)
    for _ in range(steps):
        model.train_on_batch(inputs, target)


def plain(*hidden: Any, inputs: int) -> Any:
    """A model of plain layers, one behind the other."""
    return keras.Sequential([keras.Input((inputs,)), *hidden])


def weight(model: Any, name: str) -> Array:
    return wdsl.effective_weights(model)[name]


def gradients(model: Any, inputs: Any, variables: list[Any]) -> list[Array]:
    """What a loss of the squared answers asks of variables."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs)))
    return [np.asarray(each) for each in tape.gradient(loss, [variable.value for variable in variables])]


def operations(function: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """The operations of a function's graph."""
    traced = tf.function(function).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes))
    return list(traced.graph.get_operations())


# --- equal ----------------------------------------------------------------------------------------


def test_equal_start() -> None:
    """An initializer is taken for a constraint."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    circulating = plain(layer, inputs=6)
    assert (layer.kernel.numpy() == 1).all()
    train(circulating)
    assert len(np.unique(layer.kernel)) == 6

    # What starts like that is free in the spec as well: it says so, and the compiler warns.
    recipe = net("equal_start")
    assert [each.code for each in recipe.diagnostics] == ["W0504"]
    model = recipe.to_keras()
    assert (weight(model, "weigh.kernel") == 1).all()
    train(model)
    assert len(np.unique(weight(model, "weigh.kernel"))) == 6
    assert [each.promise for each in wdsl.verify(model).findings] == ["not promised"]

    # As a constraint it is two words shorter.
    text = (RECIPES / "equal_start.wnet").read_text(encoding="utf-8")
    constrained = wdsl.loads(text.replace(" via initial", ""))
    assert constrained.diagnostics == ()
    model = constrained.to_keras()
    train(model)
    (number,) = np.unique(weight(model, "weigh.kernel"))
    assert number != 1


class Filled(keras.layers.Layer):
    """Circulates: a number, and a matrix full of it."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, shape: Any) -> None:
        self.number = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.1))
        self.n = shape[-1]

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.number * keras.ops.ones((self.n, self.units)))


def multiplications(function: Any, *shapes: tuple[int, ...]) -> int:
    """How many products of two numbers the matrix products and products of a function's graph are made of."""
    count = 0
    for each in operations(function, *shapes):
        if each.type == "MatMul":
            (rows, inner), (_, columns) = (tensor.shape for tensor in each.inputs)
            count += rows * inner * columns
        elif each.type == "Mul":
            count += each.outputs[0].shape.num_elements()
    return count


def test_equal_filled() -> None:
    """This one holds. It multiplies n · m numbers for what is a sum."""
    circulating = Filled(12)
    x = drawn(8, 12)

    model = net("equal_filled").to_keras()
    inhibit = model.get_layer("inhibit")
    assert [tuple(each.shape) for each in inhibit.weights] == [(1,)]
    y = exact(x) @ np.full((12, 12), np.float32(0.1))
    for each in (inhibit, circulating):
        y.holds(each(x))
    (ours,), (theirs,) = (gradients(layer, x, layer.trainable_weights) for layer in (inhibit, circulating))
    # The sum of all y², y = 0.1 Σ x, has the gradient 2 y Σ x, for each of 12 outputs.
    of_number = (y * exact(x).sum(1)[:, None] * 2).sum()
    for each in (ours[0], theirs):
        of_number.holds(each)
    train(model, keras.optimizers.Adam(0.01), steps=3)
    kernel = weight(model, "inhibit.kernel")
    assert len(np.unique(kernel)) == 1
    assert kernel[0, 0] != np.float32(0.1)

    def as_a_sum(x: Any) -> Any:
        return circulating.number * keras.ops.sum(x, axis=-1, keepdims=True)

    y.holds(np.broadcast_to(as_a_sum(x), (8, 12)))
    assert multiplications(circulating, (8, 12)) == 8 * 12 * 12 + 12 * 12
    assert multiplications(as_a_sum, (8, 12)) == 8


class AveragedByDecorator(keras.layers.Dense):
    """Circulates: the gradient is to be averaged over the units by a decorator on the method."""

    @tf.custom_gradient
    def call(self, x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            return tf.reduce_mean(upstream, axis=-1, keepdims=True)

        return super().call(x), gradient


def test_equal_averaged() -> None:
    """`custom_gradient` wants to know of the layer's variables, and a method gives it no way to."""
    circulating = plain(AveragedByDecorator(4), inputs=8)
    with pytest.raises(TypeError, match=r"grad_fn must accept keyword argument 'variables'"):
        circulating(drawn(8, 8))

    model = net("equal_averaged").to_keras()
    above = model.get_layer("above")
    layer = keras.layers.Dense(4, activation="sigmoid")
    layer.build((None, 8))
    layer.kernel.assign(weight(model, "above.kernel"))
    theta, bias = sorted(above.weights, key=lambda each: "bias" in each.path)
    for each in (layer.bias, bias):
        each.assign([2.0, 1.0, 0.0, -1.0])
    x = drawn(8, 8)
    (mean,), (each,) = gradients(above, x, [theta]), gradients(layer, x, [layer.kernel])
    assert len(np.unique(each)) == 8 * 4
    y = affine(x, weight(model, "above.kernel"), bias.numpy()).sigmoid()
    gradient = exact(x).T @ (2 * y * (y * (1 - y)))
    gradient.holds(each)
    gradient.mean(axis=1).holds(mean)
    train(model, steps=3)
    kernel = weight(model, "above.kernel")
    assert (kernel == kernel[:, :1]).all()


# --- tie ------------------------------------------------------------------------------------------

UNUSED_KERNELS = pytest.mark.filterwarnings("ignore:Gradients do not exist")
"""Keras warns of the kernels that layers have made before they were given another."""


def check_that_all_train_it(recipe: str, *tied: str) -> None:
    """The gradient of a shared kernel is the sum of those that its layers would have, had each the kernel alone."""
    model = net(recipe).to_keras()
    text = (RECIPES / f"{recipe}.wnet").read_text(encoding="utf-8")
    untied = wdsl.loads(re.sub(r" tie\((?:\n.*\n    |.*)\)", "", text)).to_keras()
    shared = weight(model, f"{tied[0]}.kernel")
    for layer in untied.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(shared if layer.name in tied else model.get_layer(layer.name).kernel)
    model, untied = doubled(model), doubled(untied)
    (theta,) = (each for each in model.trainable_weights if each.shape == shared.shape)
    x = batch(model)
    (one,) = gradients(model, x, [theta])
    parts = gradients(untied, x, [untied.get_layer(name).kernel for name in tied])
    assert all(part.any() for part in parts)
    same_but_for_rounding(one, np.sum(parts, axis=0))


class SharedDense(keras.layers.Layer):
    """Circulates: two of these are believed to share, since the class and the weight's name are the same."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="shared_kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.kernel) + self.bias


def test_tie_two_dense() -> None:
    """Two instances of one class have two kernels."""
    left, right = keras.Input((24,)), keras.Input((24,))
    one, other = SharedDense(6), SharedDense(6)
    circulating = keras.Model([left, right], keras.layers.subtract([one(left), other(right)]))
    assert circulating.count_params() == 2 * (24 * 6 + 6)
    assert (one.kernel.numpy() != other.kernel.numpy()).all()

    model = net("tie_two_dense").to_keras()
    assert model.count_params() == (24 * 6 + 6) + 6 + (6 + 1)
    train(model, keras.optimizers.Adam(0.01), steps=3)
    assert (weight(model, "read_ours.kernel") == weight(model, "read_theirs.kernel")).all()
    ours, theirs = (model.get_layer(name).get_weights() for name in ("read_ours", "read_theirs"))
    assert ([each.shape for each in ours], [each.shape for each in theirs]) == ([(6,)], [(6,)])
    assert (ours[0] != theirs[0]).all()
    check_that_all_train_it("tie_two_dense", "read_ours", "read_theirs")


class ConvolutionWith(keras.layers.Layer):
    """Circulates: a convolution with filters that are a variable of TensorFlow's."""

    def __init__(self, filters: Any, dilation: int) -> None:
        super().__init__()
        self.filters, self.dilation = filters, dilation

    def call(self, x: Any) -> Any:
        return tf.nn.relu(tf.nn.conv2d(x, self.filters, 1, "SAME", dilations=self.dilation))


def test_tie_two_convolutions() -> None:
    """Keras does not train a `tf.Variable`, nor count it."""
    filters = tf.Variable(keras.initializers.GlorotUniform(seed=1)((3, 3, 1, 4)))
    image = keras.Input((12, 12, 1))
    seen = keras.layers.maximum([ConvolutionWith(filters, 1)(image), ConvolutionWith(filters, 2)(image)])
    answer = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(seen))
    circulating = keras.Model(image, answer)
    assert circulating.count_params() == 4 * 3 + 3
    before = filters.numpy()
    train(circulating, steps=3)
    assert (filters.numpy() == before).all()

    model = net("tie_two_convolutions").to_keras()
    assert model.count_params() == 3 * 3 * 4 + 4 + 4 + 4 * 3 + 3
    before = weight(model, "small.kernel")
    train(model, steps=3)
    after = weight(model, "small.kernel")
    assert (after != before).all()
    assert (after == weight(model, "large.kernel")).all()
    check_that_all_train_it("tie_two_convolutions", "small", "large")


class DenseWith(keras.layers.Dense):
    """Circulates: a Dense layer that is handed a kernel."""

    def __init__(self, units: int, kernel: Any = None, **arguments: Any) -> None:
        super().__init__(units, **arguments)
        self.handed = kernel

    def build(self, shape: Any) -> None:
        super().build(shape)
        if self.handed is not None:
            self._kernel = self.handed


@UNUSED_KERNELS
def test_tie_saved(tmp_path: Path) -> None:
    """A kernel that is handed over is not in the config: the loaded layers have a kernel each, and drift apart."""
    kernel = keras.Variable(keras.initializers.GlorotUniform(seed=1)((20, 20)))
    circulating = plain(DenseWith(20, kernel, name="step1"), DenseWith(20, kernel, name="step2"), inputs=20)
    train(circulating)
    assert circulating.get_layer("step1").kernel is circulating.get_layer("step2").kernel
    circulating.save(tmp_path / "circulating.keras")
    loaded = keras.saving.load_model(tmp_path / "circulating.keras", custom_objects={"DenseWith": DenseWith})
    one, other = (loaded.get_layer(name).kernel for name in ("step1", "step2"))
    assert one is not other
    assert (one.numpy() == other.numpy()).all()
    train(loaded)
    assert (one.numpy() != other.numpy()).any()

    model = net("tie_saved").to_keras()
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.count_params() == model.count_params() == 12 * 20 + 20 * 20 + 3 * 20 + 20 * 12
    before = weight(loaded, "step1.kernel")
    assert (before == weight(model, "step1.kernel")).all()
    train(loaded)
    kernels = [weight(loaded, f"step{n}.kernel") for n in (1, 2, 3)]
    assert all((each == kernels[0]).all() for each in kernels)
    assert (kernels[0] != before).any()


class ConvolutionOf(keras.layers.Conv2D):
    """Circulates: a convolution that is handed the kernel of a Dense layer."""

    def __init__(self, dense: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.dense = dense

    def build(self, shape: Any) -> None:
        super().build(shape)
        self._kernel = self.dense.kernel


class ConvolutionOfReshaped(ConvolutionOf):
    """Circulates as the remedy."""

    def build(self, shape: Any) -> None:
        super().build(shape)
        self._kernel = keras.ops.reshape(self._kernel, (*self.kernel_size, -1, self.filters))


@UNUSED_KERNELS
def test_tie_dense_and_convolution() -> None:
    """A convolution takes no matrix for its filters. What `build` reshapes is a copy, which stays as it was."""
    describe = keras.layers.Dense(6, use_bias=False)
    describe.build((None, 25))
    with pytest.raises(ValueError, match=r"num_spatial_dims|rank"):
        ConvolutionOf(describe, 6, 5, use_bias=False)(drawn(1, 10, 10, 1))
    crop, scene = keras.Input((5, 5, 1)), keras.Input((10, 10, 1))
    everywhere = ConvolutionOfReshaped(describe, 6, 5, use_bias=False)
    sought = keras.layers.Reshape((1, 1, 6))(describe(keras.layers.Flatten()(crop)))
    circulating = keras.Model([crop, scene], keras.ops.sum(sought * everywhere(scene), axis=-1))
    before = describe.kernel.numpy()
    train(circulating)
    assert (describe.kernel.numpy() != before).all()
    assert (np.ravel(everywhere.kernel) == before.ravel()).all()

    model = net("tie_dense_and_convolution").to_keras()
    train(model, keras.optimizers.Adam(0.01), steps=3)
    matrix, filters = weight(model, "describe.kernel"), weight(model, "everywhere.kernel")
    assert (matrix.shape, filters.shape) == ((25, 6), (5, 5, 1, 6))
    assert (matrix.reshape(filters.shape) == filters).all()
    assert model.count_params() == 25 * 6


def test_tie_applied_twice() -> None:
    """This one holds, and there is no other way to say it."""
    known, doubtful = keras.Input((None, 2)), keras.Input((None, 2))
    describe = keras.layers.Conv1D(8, 5, padding="same", activation="tanh")
    pool = keras.layers.GlobalMaxPooling1D()
    likeness = keras.layers.Dot(axes=-1, normalize=True)([pool(describe(known)), pool(describe(doubtful))])
    circulating = keras.Model([known, doubtful], likeness)

    model = net("tie_applied_twice").to_keras()
    assert model.count_params() == circulating.count_params() == 5 * 2 * 8 + 8
    circulating.set_weights(model.get_weights())
    pair = [doubled(each) for each in (model, circulating)]
    with in_float64():
        for each in pair:
            train(each, steps=2)
    same_but_for_rounding(*(each(batch(model)) for each in pair))


# --- symmetric ------------------------------------------------------------------------------------


class Packed(keras.layers.Layer):
    """Circulates: the entries of a lower triangle, which are to become a matrix by `reshape`."""

    def build(self, shape: Any) -> None:
        self.n = shape[-1]
        self.packed = self.add_weight(shape=(self.n * (self.n + 1) // 2,))

    def call(self, x: Any) -> Any:
        lower = keras.ops.reshape(self.packed, (self.n, self.n))
        return keras.ops.matmul(x, lower + keras.ops.transpose(lower))


def test_symmetric_packed() -> None:
    """n (n + 1) / 2 numbers are no n × n matrix."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="55 values, but the requested shape has 100"):
        Packed()(drawn(8, 10))

    model = net("symmetric_packed").to_keras()
    assert [tuple(each.shape) for each in model.get_layer("metric").weights] == [(55,)]
    train(model, keras.optimizers.AdamW(0.01), steps=3)
    kernel = weight(model, "metric.kernel")
    assert (kernel == kernel.T).all()
    assert len(np.unique(kernel)) == 55


class Placed(keras.layers.Layer):
    """Circulates: a flat vector, put into a matrix one entry after the other."""

    def build(self, shape: Any) -> None:
        self.n = shape[-1]
        self.flat = self.add_weight(shape=(self.n * (self.n + 1) // 2,))

    def call(self, x: Any) -> Any:
        kernel, k = tf.zeros((self.n, self.n)), 0
        for i in range(self.n):
            for j in range(i + 1):
                kernel = tf.tensor_scatter_nd_update(kernel, [[i, j]], [self.flat[k]])
                if i != j:
                    kernel = tf.tensor_scatter_nd_update(kernel, [[j, i]], [self.flat[k]])
                k += 1
        return tf.matmul(x, kernel)


def test_symmetric_placed() -> None:
    """It is symmetric, and every call has n² operations that write one entry each."""
    kernel = np.asarray(Placed()(np.eye(9, dtype="float32")))
    assert (kernel == kernel.T).all()

    def scatters(n: int) -> int:
        layer = Placed()
        layer.build((None, n))
        return sum(each.type == "TensorScatterUpdate" for each in operations(layer, (8, n)))

    assert (scatters(4), scatters(9)) == (4 * 4, 9 * 9)

    def kinds(n: int) -> list[str]:
        model = wdsl.compile(RECIPES / "symmetric_placed.wnet", places=n)
        found = [each.type for each in operations(model.get_layer("move"), (8, n))]
        assert not any("Scatter" in each for each in found)
        return found

    assert kinds(4) == kinds(9)
    model = net("symmetric_placed").to_keras()
    train(model, keras.optimizers.AdamW(0.01), steps=3)
    kernel = weight(model, "move.kernel")
    assert (kernel == kernel.T).all()
    assert ((kernel == 0) == np.eye(9, dtype=bool)).all()


class Mirrored(keras.layers.Dense):
    """Circulates: a full matrix times the mask of one triangle, mirrored."""

    def call(self, x: Any) -> Any:
        lower = np.tril(np.ones(self.kernel.shape, "float32"))
        self.mask = np.maximum(lower, lower.T)
        self.used = self.kernel * self.mask
        return keras.ops.matmul(x, self.used)


def test_symmetric_masked() -> None:
    """The mask of a triangle together with its mirror image is all ones."""
    circulating = Mirrored(4, use_bias=False)
    circulating(drawn(8, 4))
    assert (circulating.mask == 1).all()
    used = np.asarray(circulating.used)
    assert (used != used.T).sum() == 4 * 3

    model = net("symmetric_masked").to_keras()
    whiten = model.get_layer("whiten")
    whiten.set_weights([used])  # a kernel without symmetry can be loaded
    kernel = weight(model, "whiten.kernel")
    assert (kernel == np.triu(used) + np.triu(used, 1).T).all()
    train(model, keras.optimizers.AdamW(0.01), steps=3)
    (stored,), kernel = whiten.get_weights(), weight(model, "whiten.kernel")
    assert (kernel == kernel.T).all()
    assert (np.triu(kernel) == np.triu(stored)).all()
    assert (stored != stored.T).sum() == 4 * 3


# --- zero -----------------------------------------------------------------------------------------

AT = [[0, 1], [3, 0], [3, 2], [7, 3]]


class ZeroAtOld(keras.constraints.Constraint):
    """Circulates: written for TensorFlow 1."""

    def __call__(self, kernel: Any) -> Any:
        return tf.scatter_nd_update(kernel, AT, tf.zeros(len(AT)))


class ZeroAt(keras.constraints.Constraint):
    """Circulates: the same in TensorFlow 2."""

    def __call__(self, kernel: Any) -> Any:
        return tf.tensor_scatter_nd_update(kernel, AT, tf.zeros(len(AT)))


def test_zero_by_constraint() -> None:
    """A constraint of Keras does nothing before the first step, and TensorFlow 2 has no `scatter_nd_update`."""
    with pytest.raises(AttributeError, match="scatter_nd_update"):
        train(plain(keras.layers.Dense(4, kernel_constraint=ZeroAtOld()), inputs=10))
    rows, columns = np.transpose(AT)
    layer = keras.layers.Dense(4, kernel_constraint=ZeroAt())
    circulating = plain(layer, inputs=10)
    assert (layer.kernel.numpy()[rows, columns] != 0).all()
    train(circulating)
    assert (layer.kernel.numpy()[rows, columns] == 0).all()

    model = net("zero_by_constraint").to_keras()
    for _ in range(3):
        stored = next(each for each in model.get_layer("weigh").get_weights() if each.ndim == 2)
        assert np.argwhere(stored == 0).tolist() == AT
        assert (stored == weight(model, "weigh.kernel")).all()
        train(model, keras.optimizers.AdamW(0.01))


class Masked(keras.layers.Dense):
    """Circulates: a Dense layer whose kernel is multiplied by a mask in each call."""

    def __init__(self, units: int, mask: Array, **arguments: Any) -> None:
        super().__init__(units, **arguments)
        self.mask = mask

    def call(self, x: Any) -> Any:
        return keras.ops.tanh(keras.ops.matmul(x, self.kernel * self.mask) + self.bias)


def test_zero_by_mask(tmp_path: Path) -> None:
    """What a mask hides is drawn, moved by weight decay, counted by regularizers and saved like any other number."""
    one_ear = np.kron(np.eye(2, dtype="float32"), np.ones((6, 5), "float32"))
    hidden = one_ear == 0
    for regularizer in (None, keras.regularizers.L2(0.01)):
        layer = Masked(10, one_ear, kernel_regularizer=regularizer)
        circulating = plain(layer, inputs=12)
        before = layer.kernel.numpy()
        train(circulating, keras.optimizers.AdamW(0.01, weight_decay=0.1))
        after = layer.kernel.numpy()
        assert (before[hidden] != 0).all()
        assert (after[hidden] != before[hidden]).all()
    (penalty,) = circulating.losses
    l2(after, 0.01).holds(penalty)
    assert penalty > 1.5 * 0.01 * (after[~hidden] ** 2).sum()
    circulating.save_weights(tmp_path / "circulating.weights.h5")
    again = plain(Masked(10, one_ear), inputs=12)
    again.load_weights(tmp_path / "circulating.weights.h5")
    assert (again.layers[0].kernel.numpy()[hidden] == after[hidden]).all()

    model = net("zero_by_mask").to_keras()
    hear = model.get_layer("hear")
    kernel = next(each for each in hear.weights if tuple(each.shape) == (12, 10))
    assert (kernel.numpy()[hidden] == 0).all()
    train(model, keras.optimizers.AdamW(0.01, weight_decay=0.1), steps=3)
    assert (kernel.numpy()[hidden] == 0).all()
    # What is below the mask may be anything: nothing that the model computes shows it.
    answer, penalty = np.asarray(model(batch(model))), float(model.losses[0])
    kernel.assign(np.where(hidden, 7, kernel.numpy()))
    assert (np.asarray(model(batch(model))) == answer).all()
    assert float(model.losses[0]) == penalty
    l2(weight(model, "hear.kernel"), 0.01).holds(penalty)
    # The constraint is about what is stored.
    pruned = (0, 2, 8), (3, 1, 6)
    assert (kernel.numpy()[pruned] == 0).all()
    kernel.assign(np.full((12, 10), 7.0))
    train(model)
    assert (kernel.numpy()[pruned] == 0).all()
    assert (weight(model, "hear.kernel")[hidden] == 0).all()

    # Without mechanisms there is nothing to hide: neither the model nor its file has a number for these entries.
    text = (RECIPES / "zero_by_mask.wnet").read_text(encoding="utf-8")
    exact = wdsl.loads(text.replace(" via mask", "").replace(" via constraint", ""))
    assert exact.parameters == net("zero_by_mask").parameters - (60 + 3)
