"""Products of inputs with a structured matrix that is not made.

Each pattern of a matrix has one. They give what `matmul` gives but for rounding, and
with one exception each entry to the bit: what goes through a Fourier transform is
rounded as a whole, by some units in the last place of the largest numbers.
"""

import math
from collections.abc import Callable
from typing import Any

import keras  # noqa: TID251
import numpy as np
from keras import ops  # noqa: TID251

from wdsl.patterns import (
    BandMatrix,
    BlockDiagonalMatrix,
    CirculantMatrix,
    DiagonalAndRest,
    MatrixPattern,
    RepeatedColumn,
    RepeatedRow,
    ToeplitzMatrix,
    each_once,
    pattern_of,
)
from wdsl.structure import IndexMap, Indices, index_type

MatrixProduct = Callable[[Any, Any, str], Any]
"""From inputs, free parameters and the result's dtype to inputs @ matrix."""

PRODUCTS: dict[type[MatrixPattern], Callable[[Any, IndexMap], MatrixProduct]] = {}
"""What makes the product with a matrix, by the matrix's pattern."""


def product_with(kind: type[MatrixPattern]) -> Callable[[Any], Any]:
    """Register what makes the product, of a pattern and the solved entries."""

    def register(maker: Any) -> Any:
        PRODUCTS[kind] = maker
        return maker

    return register


def product_of(solved: IndexMap) -> MatrixProduct | None:
    """How to multiply by a matrix without making it, where that is worth it."""
    pattern = pattern_of(solved)
    return None if pattern is None else PRODUCTS[type(pattern)](pattern, solved)


class Placement:
    """Free parameters, each where it stands in a tensor, and zeros elsewhere."""

    def __init__(self, index: Indices, size: int) -> None:
        self.shape = index.shape
        self.has_zeros = bool((index < 0).any())
        self.places: Any = None
        if self.has_zeros and each_once(index, size) and 4 * size <= index.size:
            # So few that it is less work to write them than to read for each entry.
            live = np.flatnonzero(index >= 0)
            self.places = np.empty((size, 1), index_type(index.size))
            self.places[index.ravel()[live], 0] = live
        else:
            self.slots = index + 1 if self.has_zeros else index

    def __call__(self, theta: Any) -> Any:
        if self.places is not None:
            flat = ops.scatter(self.places, theta, (math.prod(self.shape),))
            return ops.reshape(flat, self.shape)
        if self.has_zeros:
            theta = ops.concatenate([ops.zeros((1,), theta.dtype), theta])
        # The gradient of `take` is sparse, which optimizers handle badly; that of
        # `reshape` is dense.
        return ops.take(ops.reshape(theta, (-1,)), self.slots, axis=0)


def widened(dtype: str, *tensors: Any) -> list[Any]:
    """Tensors in a dtype that loses nothing when many of dtype `dtype` are added."""
    wide = keras.backend.result_type(dtype, "float32")
    return [ops.cast(tensor, wide) for tensor in tensors]


@product_with(RepeatedRow)
def times_repeated_row(pattern: RepeatedRow, solved: IndexMap) -> MatrixProduct:
    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = widened(dtype, x, theta)
        row = ops.broadcast_to(theta, (pattern.columns,))
        return ops.cast(ops.sum(x, -1, keepdims=True) * row, dtype)

    return times


@product_with(RepeatedColumn)
def times_repeated_column(pattern: RepeatedColumn, solved: IndexMap) -> MatrixProduct:
    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = widened(dtype, x, theta)
        y = ops.cast(ops.matmul(x, ops.reshape(theta, (-1, 1))), dtype)
        return ops.broadcast_to(y, (*ops.shape(x)[:-1], pattern.columns))

    return times


@product_with(DiagonalAndRest)
def times_diagonal_and_rest(
    pattern: DiagonalAndRest, solved: IndexMap
) -> MatrixProduct:
    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = widened(dtype, x, theta)
        # Not a sum of all and a difference: each number must come out to the bit.
        others = ops.sum(x, -1, keepdims=True) - x
        return ops.cast(theta[0] * x + theta[1] * others, dtype)

    return times


@product_with(BlockDiagonalMatrix)
def times_block_diagonal_matrix(
    pattern: BlockDiagonalMatrix, solved: IndexMap
) -> MatrixProduct:
    count, rows, columns = pattern.count, pattern.rows, pattern.columns

    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = ops.cast(x, dtype), ops.cast(theta, dtype)
        y = ops.transpose(ops.reshape(x, (-1, count, rows)), (1, 0, 2))
        y = ops.matmul(y, ops.reshape(theta, (count, rows, columns)))
        y = ops.transpose(y, (1, 0, 2))
        return ops.reshape(y, (*ops.shape(x)[:-1], count * columns))

    return times


@product_with(CirculantMatrix)
def times_circulant_matrix(pattern: CirculantMatrix, solved: IndexMap) -> MatrixProduct:
    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = widened(dtype, x, theta)
        return ops.cast(convolved(x, theta, pattern.size, pattern.to_left), dtype)

    return times


@product_with(ToeplitzMatrix)
def times_toeplitz_matrix(pattern: ToeplitzMatrix, solved: IndexMap) -> MatrixProduct:
    rows, columns = pattern.rows, pattern.columns
    # Room for all diagonals, so that none is met twice; powers of two are fastest.
    length = 1 << (rows + columns - 2).bit_length()

    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = widened(dtype, x, theta)
        gap = ops.zeros((length - solved.size,), theta.dtype)
        if pattern.is_hankel:
            kernel = ops.concatenate([theta, gap])
        else:  # The diagonals left of the main one go round the end.
            left = ops.flip(theta[columns:], 0)
            kernel = ops.concatenate([theta[:columns], gap, left])
        flat = ops.pad(ops.reshape(x, (-1, rows)), ((0, 0), (0, length - rows)))
        y = convolved(flat, kernel, length, pattern.is_hankel)[:, :columns]
        return ops.cast(ops.reshape(y, (*ops.shape(x)[:-1], columns)), dtype)

    return times


def convolved(x: Any, kernel: Any, length: int, is_correlation: bool) -> Any:
    """The circular convolution, sum of x[i] kernel[j - i], or of x[i] kernel[i + j].

    By the convolution theorem: it is a product of Fourier transforms.
    """
    (a, b), (c, d) = ops.rfft(x, length), ops.rfft(kernel, length)
    if is_correlation:
        b = -b
    return ops.irfft((a * c - b * d, a * d + b * c), length)


@product_with(BandMatrix)
def times_band_matrix(pattern: BandMatrix, solved: IndexMap) -> MatrixProduct:
    (rows, columns), width = solved.index.shape, pattern.width
    strips = Placement(pattern.strips(solved.index), solved.size)
    count, beside = strips.shape[0], pattern.lower + pattern.upper
    # Inputs are cut or filled up to the windows of all strips, and one width more.
    end = (count + 1) * width - pattern.upper

    def times(x: Any, theta: Any, dtype: str) -> Any:
        flat = ops.reshape(ops.cast(x, dtype), (-1, rows))[:, :end]
        flat = ops.pad(flat, ((0, 0), (pattern.upper, max(0, end - rows))))
        grid = ops.reshape(flat, (-1, count + 1, width))
        windows = ops.concatenate([grid[:, :-1], grid[:, 1:, :beside]], -1)
        windows = ops.transpose(windows, (1, 0, 2))
        y = ops.matmul(windows, ops.cast(strips(theta), dtype))
        y = ops.reshape(ops.transpose(y, (1, 0, 2)), (-1, count * width))[:, :columns]
        return ops.reshape(y, (*ops.shape(x)[:-1], columns))

    return times
