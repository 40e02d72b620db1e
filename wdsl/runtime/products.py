"""Products of inputs with a structured matrix that is not made.

Each pattern of a matrix has one. They give what `matmul` gives but for rounding, and
with one exception each entry to the bit: what goes through a Fourier transform is
rounded as a whole, by some units in the last place of the largest numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from wdsl.runtime.placement import Placement
from wdsl.structure.patterns import (
    BandMatrix,
    BlockDiagonalMatrix,
    CirculantMatrix,
    DiagonalAndRest,
    Halves,
    MatrixPattern,
    RepeatedColumn,
    RepeatedRow,
    ToeplitzMatrix,
    pattern_of,
)
from wdsl.structure.solution import IndexMap

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


def product_of(solved: IndexMap) -> tuple[MatrixProduct | None, IndexMap]:
    """How to multiply by a matrix without making it, where that is worth it.

    And the entries again, with their free parameters in the order that it wants.
    """
    pattern = pattern_of(solved)
    if pattern is None:
        return None, solved
    solved = replace(solved, index=pattern.laid_out(solved.index))
    return PRODUCTS[type(pattern)](pattern, solved), solved


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
def times_diagonal_and_rest(pattern: DiagonalAndRest, solved: IndexMap) -> MatrixProduct:
    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = widened(dtype, x, theta)
        # Not a sum of all and a difference: each number must come out to the bit.
        others = ops.sum(x, -1, keepdims=True) - x
        return ops.cast(theta[0] * x + theta[1] * others, dtype)

    return times


@product_with(BlockDiagonalMatrix)
def times_block_diagonal_matrix(pattern: BlockDiagonalMatrix, solved: IndexMap) -> MatrixProduct:
    count, rows, columns = pattern.count, pattern.rows, pattern.columns

    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = ops.cast(x, dtype), ops.cast(theta, dtype)
        y = ops.matmul(cut(x, count), ops.reshape(theta, (count, rows, columns)))
        return ops.reshape(joined(y), (*ops.shape(x)[:-1], count * columns))

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

    By the convolution theorem: it is a product of Fourier transforms. So are its
    gradients, with the conjugate of one of them.
    """
    turn = -1 if is_correlation else 1  # of the imaginary part, of inputs backwards

    def product(x: Any, kernel: Any) -> Any:
        (a, b), (c, d) = ops.rfft(x, length), ops.rfft(kernel, length)
        b = signed(turn, b)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            e, f = ops.rfft(upstream, length)
            rows = tuple(range(a.ndim - 1))
            of_kernel = ops.sum(a * e + b * f, rows), ops.sum(a * f - b * e, rows)
            of_x = c * e + d * f, signed(turn, c * f - d * e)
            return ops.irfft(of_x, length), ops.irfft(of_kernel, length)

        return ops.irfft((a * c - b * d, a * d + b * c), length), gradient

    return ops.custom_gradient(product)(x, ops.reshape(kernel, (-1,)))


@product_with(BandMatrix)
def times_band_matrix(pattern: BandMatrix, solved: IndexMap) -> MatrixProduct:
    (rows, columns), width = solved.index.shape, pattern.width
    strips = Placement(pattern.strips(solved.index), solved.size)
    count, beside = strips.index.shape[0], pattern.lower + pattern.upper
    # Inputs are cut or filled up to the windows of all strips, and one width more.
    end = (count + 1) * width - pattern.upper

    def times(x: Any, theta: Any, dtype: str) -> Any:
        flat = ops.reshape(ops.cast(x, dtype), (-1, rows))[:, :end]
        flat = ops.pad(flat, ((0, 0), (pattern.upper, max(0, end - rows))))
        grid = ops.reshape(flat, (-1, count + 1, width))
        windows = ops.concatenate([grid[:, :-1], grid[:, 1:, :beside]], -1)
        windows = ops.transpose(windows, (1, 0, 2))
        y = joined(ops.matmul(windows, ops.cast(strips(theta), dtype)))[:, :columns]
        return ops.reshape(y, (*ops.shape(x)[:-1], columns))

    return times


@product_with(Halves)
def times_halves(pattern: Halves, solved: IndexMap) -> MatrixProduct:
    """With a block B on the free side, between A and C, and a sign s:

    y_one = x_one A + s x_other B^T, and y_other = x_one B + x_other C.

    All blocks of a level are multiplied at once, and A and C in the same way.
    """
    n, sign, shapes = pattern.n, pattern.sign, pattern.shapes
    starts = np.cumsum([math.prod(shape) for shape in shapes])
    index = pattern.leaves(solved.index)
    small = np.where(index < 0, -1, index - pattern.in_blocks).astype(index.dtype)
    place = Placement(small, solved.size - pattern.in_blocks)
    factors = None if solved.scale is None else pattern.leaves(solved.scale)

    def scaled(leaves: Any) -> Any:
        return leaves if factors is None else leaves * ops.cast(factors, leaves.dtype)

    def halves(parts: Any) -> tuple[Any, Any]:
        pairs = ops.reshape(parts, (parts.shape[0] // 2, 2, -1, parts.shape[2]))
        first, second = pairs[:, 0], pairs[:, 1]
        return (second, first) if pattern.is_lower else (first, second)

    def whole(one: Any, other: Any) -> Any:
        return ops.concatenate([other, one] if pattern.is_lower else [one, other], -1)

    def levels(x: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """What each leaf is multiplied by, and each block, from the smallest on."""
        leaves = parts = cut(x, 2**pattern.depth)
        found = []
        for _ in shapes:
            found.append(halves(parts))
            parts = whole(*found[-1])
        return leaves, found

    def product(x: Any, theta: Any) -> Any:
        *blocks, small = ops.split(theta, starts)
        shaped = zip(blocks, shapes, strict=True)
        blocks = [ops.reshape(*each) for each in shaped][::-1]
        leaves, x_levels = scaled(place.placed(small)), levels(x)

        def times(levels: Any, y: Any, there: int, back: int) -> Any:
            """What the leaves give, y, and the blocks, with a sign each way."""
            (y,), dtype = widened(x.dtype, y), x.dtype
            for (one, other), block in zip(levels[1], blocks, strict=True):
                y_one, y_other = halves(y)
                if back:
                    y_one += signed(back, *widened(dtype, by_transposed(other, block)))
                if there:
                    y_other += signed(there, *widened(dtype, ops.matmul(one, block)))
                y = whole(y_one, y_other)
            return ops.cast(y[0], dtype)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            found: list[Any] = []
            g_levels = levels(upstream)
            for x_pair, g_pair in zip(x_levels[1], g_levels[1], strict=True):
                left, right = x_pair[0], g_pair[1]
                if sign:  # A sum of two products is one of twice the length.
                    left = ops.concatenate([left, signed(sign, g_pair[0])], 1)
                    right = ops.concatenate([right, x_pair[1]], 1)
                # XLA joins more than eight parts one by one, and fewer by asking for
                # each entry in which it is, which takes longer than all the rest.
                ends = np.arange(1, min(8, n // 2)) * (n // 2) // 8
                lefts = [left] if left.shape[0] > 1 else ops.split(left, ends, -1)
                products = [transposed_by(each, right) for each in lefts]
                found = [ops.reshape(each, (-1,)) for each in products] + found
            in_leaves = transposed_by(x_levels[0], g_levels[0])
            found.append(place.gathered(scaled(in_leaves)))
            from_leaves = by_transposed(g_levels[0], leaves)
            return times(g_levels, from_leaves, sign, 1), ops.concatenate(found)

        return times(x_levels, ops.matmul(x_levels[0], leaves), 1, sign), gradient

    def multiply(x: Any, theta: Any, dtype: str) -> Any:
        flat = ops.reshape(ops.cast(x, dtype), (-1, n))
        flat_theta = ops.reshape(ops.cast(theta, dtype), (-1,))
        y = ops.custom_gradient(product)(flat, flat_theta)
        return ops.reshape(y, ops.shape(x))

    return multiply


def signed(sign: int, tensor: Any) -> Any:
    return tensor if sign > 0 else -tensor


def by_transposed(matrices: Any, others: Any) -> Any:
    """Each matrix times the transpose of another, which is not made."""
    if matrices.shape[0] == 1:
        return ops.matmul(matrices[0], ops.transpose(others[0]))[None]
    return ops.matmul(matrices, ops.transpose(others, (0, 2, 1)))


def transposed_by(matrices: Any, others: Any) -> Any:
    """The transpose of each matrix, which is not made, times another."""
    if matrices.shape[0] == 1:
        return ops.matmul(ops.transpose(matrices[0]), others[0])[None]
    return ops.matmul(ops.transpose(matrices, (0, 2, 1)), others)


def cut(x: Any, count: int) -> Any:
    """Rows of so many parts as so many matrices of rows."""
    return ops.transpose(ops.reshape(x, (-1, count, x.shape[-1] // count)), (1, 0, 2))


def joined(parts: Any) -> Any:
    """Matrices of rows as one with all their columns."""
    y = ops.transpose(parts, (1, 0, 2))
    return ops.reshape(y, (-1, parts.shape[0] * parts.shape[2]))
