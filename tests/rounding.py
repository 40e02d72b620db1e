"""How far rounding can take a result from the true one: a bound that holds on any processor, in any order of summation.

A running error analysis (Wilkinson 1960; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1 to 3.3):
tests compute what is expected in float64, and with each number how far one may be from it that was computed in
fewer digits. A sum of n products is off by at most γ = nε / (1 - nε) times the sum of their magnitudes, however it is
added up, with fused operations or without.

    expected = affine(exact(x), exact(kernel), exact(bias)).tanh()
    expected.holds(layer(x))

ε is the distance of neighbouring numbers, twice the error of one operation. What that leaves pays for terms
of second order and for float64's own rounding.

Where a result comes of too many steps for such a bound, tests compute both sides in float64 (`doubled`, `in_float64`)
and hold them to `AMPLIFIED`: rounding may have grown ten million times, and is far below any mistake.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FUNCTION = 8
"""By how many ε a function as tanh may be off: libraries promise two to five."""
AMPLIFIED = 1e7 * float(np.finfo("float64").eps)


def eps(dtype: str) -> float:
    """The relative distance of neighbouring numbers of a dtype."""
    return 2.0**-7 if "bfloat16" in dtype else float(np.finfo(dtype).eps)


def gamma(terms: float, dtype: str = "float32") -> float:
    """By which part of its magnitudes a sum of so many products can be off."""
    error = terms * eps(dtype)
    assert error < 0.5, "a bound that says nothing"
    return error / (1 - error)


class Bounded:
    """An array in float64 and, of the same shape, by how much one of dtype `dtype` may be off."""

    __array_ufunc__ = None  # NumPy leaves `array * bounded` to this class

    def __init__(self, value: Any, error: Any = 0.0, dtype: str = "float32") -> None:
        self.value: Array = np.asarray(value, "float64")
        self.error: Array = np.broadcast_to(np.asarray(error, "float64"), self.value.shape)
        self.dtype = dtype

    def rounded(self, value: Any, error: Any, steps: float = 1) -> Bounded:
        """A result with the errors of what it was computed from, itself rounded so many times."""
        return Bounded(value, error + gamma(steps, self.dtype) * (np.abs(value) + error), self.dtype)

    @property
    def size(self) -> Array:
        """How large a computed entry can be."""
        return np.abs(self.value) + self.error

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def moved(self, move: Any) -> Bounded:
        """What comes of putting entries elsewhere, which rounds nothing."""
        return Bounded(move(self.value), move(self.error), self.dtype)

    @property
    def T(self) -> Bounded:
        return self.moved(np.transpose)

    def __getitem__(self, index: Any) -> Bounded:
        return self.moved(lambda array: array[index])

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.error, self.dtype)

    def __add__(self, other: Any) -> Bounded:
        other = exact(other, self.dtype)
        return self.rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other: Any) -> Bounded:
        return self + -exact(other, self.dtype)

    def __rsub__(self, other: Any) -> Bounded:
        return exact(other, self.dtype) + -self

    def __mul__(self, other: Any) -> Bounded:
        other = exact(other, self.dtype)
        error = self.size * other.error + self.error * np.abs(other.value)
        # A constant as 0.1 was itself rounded.
        return self.rounded(self.value * other.value, error, 2)

    __radd__, __rmul__ = __add__, __mul__

    def __matmul__(self, other: Any) -> Bounded:
        other = exact(other, self.dtype)
        error = self.size @ other.error + self.error @ np.abs(other.value)
        return Bounded(
            self.value @ other.value,
            error + gamma(self.shape[-1] + 1, self.dtype) * (self.size @ other.size),
            self.dtype,
        )

    def sum(self, axis: Any = None) -> Bounded:
        value, size = self.value.sum(axis), self.size.sum(axis)
        terms = self.value.size // max(1, value.size)
        return Bounded(value, self.error.sum(axis) + gamma(terms, self.dtype) * size, self.dtype)

    def mean(self, axis: Any = None) -> Bounded:
        total = self.sum(axis)
        return total * (total.value.size / self.value.size)

    def tanh(self) -> Bounded:
        return self.rounded(np.tanh(self.value), self.error, FUNCTION)

    def sigmoid(self) -> Bounded:
        return self.rounded(1 / (1 + np.exp(-self.value)), self.error / 4, FUNCTION)

    def relu(self) -> Bounded:
        return Bounded(np.maximum(self.value, 0), self.error, self.dtype)

    def wider(self, error: Any) -> Bounded:
        """With more room, for a way of computing it that rounds more."""
        return Bounded(self.value, self.error + error, self.dtype)

    def excess(self, actual: Any) -> Array:
        """By how many times its bound each computed entry is off; nan counts as infinite, and no error as 0."""
        actual = np.asarray(actual).astype("float64")
        assert actual.shape == self.shape
        off = np.abs(actual - self.value)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(off == 0, 0.0, off / self.error)
        return np.where(np.isnan(excess), np.inf, excess)

    def holds(self, actual: Any) -> None:
        """Fails if a computed entry is off by more than rounding."""
        __tracebackhide__ = True
        excess = self.excess(actual)
        if excess.size and excess.max() > 1:
            place = np.unravel_index(excess.argmax(), excess.shape)
            raise AssertionError(
                f"{np.count_nonzero(excess > 1)} of {excess.size} entries are off by more than rounding: at"
                f" {tuple(map(int, place))} {np.asarray(actual)[place]} for {self.value[place]} ± {self.error[place]}"
            )


def exact(array: Any, dtype: str = "float32") -> Bounded:
    """Numbers that are as they are, among those of a dtype."""
    return array if isinstance(array, Bounded) else Bounded(array, dtype=dtype)


def affine(x: Any, kernel: Any, bias: Any) -> Bounded:
    """x @ kernel + bias, where the bias may be added first, last, or between."""
    x, kernel, bias = exact(x), exact(kernel), exact(bias)
    product = x @ kernel
    value, error = product.value + bias.value, product.error + bias.error
    return Bounded(value, error + gamma(x.shape[-1] + 2, x.dtype) * (x.size @ kernel.size + bias.size), x.dtype)


def l2(array: Any, factor: float) -> Bounded:
    """What Keras's regularizer makes of a weight."""
    return (exact(array) * exact(array)).sum() * factor


def transform(length: int, dtype: str = "float32") -> float:
    """By which part of a vector's norm each entry of its Fourier transform, scaled to keep norms, can be off.

    Each of log2(length) stages rounds a complex product, its factor and a sum, 7 errors (Higham, theorem 24.2). For
    other lengths than powers of two, libraries take up to four times as many.
    """
    return gamma(4 * (math.ceil(math.log2(length)) + 2), dtype)


def convolution(length: int, dtype: str = "float32") -> float:
    """By which part of the product of two norms an entry of a convolution can be off: three transforms, a product."""
    return 3 * transform(length, dtype) + gamma(4, dtype)


def doubled(model: Any, **custom_objects: Any) -> Any:
    """The same model with the same weights, of which all layers compute in float64."""
    import keras

    config = json.loads(json.dumps(model.get_config()).replace('"float32"', '"float64"'))
    with keras.saving.custom_object_scope(custom_objects):
        again = type(model).from_config(config)
    again.set_weights(model.get_weights())
    return again


@contextmanager
def in_float64() -> Iterator[None]:
    """What is made or compiled meanwhile computes in float64, losses included."""
    import keras

    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def same_but_for_rounding(actual: Any, expected: Any) -> None:
    """Fails unless two results, both computed in float64 by many steps, differ by what rounding can have become."""
    __tracebackhide__ = True
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=AMPLIFIED, atol=AMPLIFIED * np.abs(expected).max(initial=0))
