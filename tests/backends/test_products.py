"""Written modules hold the products that their kernels need, and no other; and so give what live models give."""

from __future__ import annotations

import inspect
from functools import partial

import keras
import numpy as np
import pytest

import wdsl
from wdsl import products
from wdsl.annotations.kinds import KINDS

KERNELS = {
    "equal": "repeated_row",
    "equal[columns]": "repeated_row",
    "equal[rows]": "repeated_column",
    "equal[diagonal, not diagonal]": "diagonal_and_rest",
    "zero[not blocks(n // 4, n // 4)]": "block_diagonal_matrix",
    "equal[by (j - i) % n]": "circulant_matrix",
    "equal[by (i + j) % n]": "circulant_matrix",
    "equal[diagonals]": "toeplitz_matrix",
    "equal[antidiagonals]": "toeplitz_matrix",
    "zero[not band(2, 3)]": "band_matrix",
    "symmetric": "halves",
    "skew": "halves",
    "equal[by min(i, j) * n + max(i, j)]": "halves",
    "tie(a.kernel.T)": "halves",
    "symmetric, zero[diagonal]": "halves",
    "symmetric, zero[not band(3, 3)]": "band_matrix",
    "symmetric, equal": "repeated_row",
    "symmetric, zero[not diagonal]": "block_diagonal_matrix",
    "zero[upper]": "halves",
    "fixed[not band(3, 3)] = 0.0": "band_matrix",
    "zero[lower(0)]": "halves",
    "zero[where (i + j) % 50 > 0]": None,
}
TEXT = """network Net(n: int = {}) {{
    input x: [{}]
    layer a = Dense({}) {}
    output y = x -> a
}}
"""
NAMES = {name.removeprefix("times_") for name, each in inspect.getmembers(products) if name.startswith("times_")}


def outputs(model: keras.Model, size: int) -> np.ndarray:
    return np.asarray(model(np.random.default_rng(1).normal(size=(3, size)).astype("float32")))


def test_each_pattern_has_a_product() -> None:
    assert {*products.PRODUCTS} == {*products.MatrixPattern.kinds.values()}
    fewest = {name: each for row in KINDS.values() for name, each in row.patterns.items()}
    assert fewest == {name: kind.least for name, kind in products.MatrixPattern.kinds.items()}
    assert {name for name in KERNELS.values() if name} == NAMES


@pytest.mark.parametrize("annotation", KERNELS)
def test_a_size_that_stands_in_the_file(annotation, python_module) -> None:
    size = 512
    net = wdsl.loads(
        TEXT.format(1, size, size, annotation.replace("n // 4", "128").replace("% n", "% 512").replace("* n", "* 512"))
    )
    source = net.to_python()
    held = {name for name in NAMES if f"def times_{name}(" in source}
    assert held == ({KERNELS[annotation]} - {None})
    found = []
    for make in (net.to_keras, python_module(source).Net):
        keras.utils.set_random_seed(3)
        found.append(outputs(make(), size))
    np.testing.assert_array_equal(*found)
    small = wdsl.loads(
        TEXT.format(1, 20, 20, annotation.replace("n // 4", "5").replace("% n", "% 20").replace("* n", "* 20"))
    ).to_python()
    assert "def times_" not in small


@pytest.mark.parametrize("annotation", KERNELS)
def test_a_size_that_is_a_parameter(annotation, python_module) -> None:
    text = TEXT.format(20, "n", "n", annotation)
    make = python_module(wdsl.loads(text).to_python()).Net
    for size in (20, 512):
        found = []
        live = wdsl.loads(text, parameters={"n": size}).to_keras
        for model in (live, partial(make, n=size)):
            keras.utils.set_random_seed(3)
            found.append(outputs(model(), size))
        np.testing.assert_array_equal(*found)
