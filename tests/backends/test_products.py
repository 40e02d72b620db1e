"""Written modules multiply by the kernels that live models multiply by, as they do; and so give what they give."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import wdsl
from wdsl.annotations.kinds import KINDS
from wdsl.runtime import products
from wdsl.weights.products import FEWEST_PLACED

KERNELS = {
    "equal": "RepeatedRow",
    "equal[columns]": "RepeatedRow",
    "equal[rows]": "RepeatedColumn",
    "equal[diagonal, not diagonal]": "DiagonalAndRest",
    "zero[not blocks(n // 4, n // 4)]": "BlockDiagonalMatrix",
    "equal[by (j - i) % n]": "CirculantMatrix",
    "equal[by (i + j) % n]": "CirculantMatrix",
    "equal[diagonals]": "ToeplitzMatrix",
    "equal[antidiagonals]": "ToeplitzMatrix",
    "zero[not band(2, 3)]": "BandMatrix",
    "symmetric": "Halves",
    "skew": "Halves",
    "equal[by min(i, j) * n + max(i, j)]": "Halves",
    "tie(a.kernel.T)": "Halves",
    "symmetric, zero[diagonal]": "Halves",
    "symmetric, zero[not band(3, 3)]": "BandMatrix",
    "symmetric, equal": "RepeatedRow",
    "symmetric, zero[not diagonal]": "BlockDiagonalMatrix",
    "zero[upper]": "Halves",
    "fixed[not band(3, 3)] = 0.0": "BandMatrix",
    "zero[lower(0)]": "Halves",
    "zero[where (i + j) % 50 > 0]": None,
    "zero[where (i + j) % 50 == 0]": None,
    "equal[by i // 4 + n * j]": None,
    "equal[by i // 2 + n * j]": None,
}
"""Annotations, and the pattern that a kernel of 512 × 512 has by them."""

TEXT = """network Net(n: int = {}) {{
    input x: [{}]
    layer a = Dense({}, activation=tanh) {}
    output y = x -> a
}}
"""


def text(annotation: str, size: int) -> str:
    """A network with a kernel of a size that is no parameter."""
    for there, here in (("n // 4", f"{size // 4}"), ("% n", f"% {size}"), ("* n", f"* {size}"), ("+ n", f"+ {size}")):
        annotation = annotation.replace(there, here)
    return TEXT.format(1, size, size, annotation)


def results(make: Callable[[], keras.Model], size: int) -> list[np.ndarray]:
    """What is stored, by name; outputs, and the gradients of a function of them."""
    keras.utils.set_random_seed(3)
    model = make()
    x = tf.constant(np.random.default_rng(1).normal(size=(3, size)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
        loss = tf.reduce_sum(y * tf.range(y.shape[-1], dtype="float32"))
    variables = sorted(model.trainable_variables, key=lambda each: each.name)
    gradients = tape.gradient(loss, [x, *(each.value for each in variables)])
    return [np.asarray(each) for each in (*variables, y, *gradients)]


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_each_pattern_has_a_product() -> None:
    assert {*products.PRODUCTS} == {*products.MatrixPattern.kinds.values()}
    fewest = {name: each for row in KINDS.values() for name, each in row.patterns.items()}
    assert fewest == {name: kind.least for name, kind in products.MatrixPattern.kinds.items()}
    assert {name for name in KERNELS.values() if name} == {*products.MatrixPattern.kinds}
    assert products.Placement.least == FEWEST_PLACED


@pytest.mark.parametrize("annotation", KERNELS)
def test_a_size_that_stands_in_the_file(annotation, python_module) -> None:
    net = wdsl.loads(text(annotation, 512))
    source = net.to_python()
    assert ("def call(" in source) == bool(KERNELS[annotation])
    assert ("Halves(" in source) == (KERNELS[annotation] == "Halves")
    assert_same(results(python_module(source).Net, 512), results(net.to_keras, 512))
    small = wdsl.loads(text(annotation, 20)).to_python()
    assert not re.search(r"def call\(|Halves|class Placement|convolved|correlated", small)


@pytest.mark.parametrize("annotation", KERNELS)
def test_a_size_that_is_a_parameter(annotation, python_module) -> None:
    """Where it is small, the class makes the kernel, as the live model does; and it may be cut less often in halves."""
    given = TEXT.format(512, "n", "n", annotation)
    make = python_module(wdsl.loads(given).to_python()).Net
    for size in (20, 576):
        live = wdsl.loads(given, parameters={"n": size}).to_keras
        found, expected = results(partial(make, n=size), size), results(live, size)
        if (annotation, size) == ("symmetric, equal", 20):  # that this is one number is known once it is solved
            np.testing.assert_allclose(found.pop(), expected.pop(), rtol=1e-6)
        assert_same(found, expected)


@pytest.mark.parametrize("annotation", ["symmetric", "equal[by (j - i) % n]", "zero[upper]"])
def test_a_size_that_is_small_by_default(annotation, python_module) -> None:
    """Its kernel is made where that of the live model is not: the same but for rounding."""
    given = TEXT.format(20, "n", "n", annotation)
    make = python_module(wdsl.loads(given).to_python()).Net
    (*_, y, dx, _, _), (*_, expected, expected_dx, _, _) = (
        results(each, 512) for each in (partial(make, n=512), wdsl.loads(given, parameters={"n": 512}).to_keras)
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-4, atol=1e-4 * np.abs(expected_dx).max())


def test_an_order_is_not_taken_for_another(python_module, tmp_path) -> None:
    """Numbers in halves go into no kernel that has them in the order of its entries, nor the other way."""
    of_small, of_large = (wdsl.loads(TEXT.format(n, "n", "n", "symmetric")) for n in (20, 512))
    small, large = (python_module(each.to_python()).Net for each in (of_small, of_large))
    live = of_large.to_keras
    files = {name: tmp_path / f"{name}.weights.h5" for name in ("small", "large", "live")}
    for name, make in (("small", partial(small, n=512)), ("large", large), ("live", live)):
        make().save_weights(files[name])
    for make, name in ((small, "large"), (small, "live"), (large, "small"), (live, "small")):
        with pytest.raises(ValueError, match="'a'"):
            (partial(make, n=512) if make is small else make)().load_weights(files[name])
    for make, name in ((large, "live"), (live, "large")):
        model = make()
        model.load_weights(files[name])
        for again in (large, live):
            other = again()
            other.load_weights(files[name])
            for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
                np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
@pytest.mark.parametrize("annotation", ["skew", "equal[diagonals]", "zero[not band(2, 3)]", "equal[rows]"])
def test_other_dtypes(annotation, policy, python_module) -> None:
    net = wdsl.loads(text(annotation, 512))
    make = python_module(net.to_python()).Net
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        found = []
        for each in (make, net.to_keras):
            keras.utils.set_random_seed(3)
            found.append(each()(np.random.default_rng(1).normal(size=(2, 512))))
    finally:
        keras.config.set_dtype_policy(before)
    assert found[0].dtype == found[1].dtype
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(keras.ops.cast(each, "float64")) for each in found))


def test_a_kernel_inside_another_layer(python_module) -> None:
    net = wdsl.loads("""network Net {
    input x: [4, 512]
    layer a = TimeDistributed(Dense(512)) symmetric
    output y = x -> a
}""")
    found = []
    for make in (python_module(net.to_python()).Net, net.to_keras):
        keras.utils.set_random_seed(3)
        model = make()
        found.append([*model.get_weights(), np.asarray(model(np.ones((2, 4, 512), "float32")))])
    assert_same(*found)


def test_training_in_a_graph(python_module) -> None:
    """Regularized kernels, of which one is used twice: as in the live model, to the bit."""
    net = wdsl.loads("""network Net {
    input x: [512]
    layer a = Dense(512, activation=tanh, kernel_regularizer=L2(0.01)) symmetric, zero[diagonal]
    layer b = Dense(512, kernel_regularizer=L2(0.01)) zero[where (i + j) % 2 == 0]
    output y = x -> a -> b -> a
}""")
    x, y = (np.random.default_rng(seed).normal(size=(8, 512)).astype("float32") for seed in (1, 2))
    found = []
    for make in (python_module(net.to_python()).Net, net.to_keras):
        keras.utils.set_random_seed(3)
        model = make()
        model.compile(keras.optimizers.Adam(0.01), "mse")
        losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
        found.append([losses, *model.get_weights()])
    assert_same(*found)
