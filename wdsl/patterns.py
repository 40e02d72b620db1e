"""Matrices that can be multiplied by in less work than others of their shape.

A pattern is found in what the equations came to, however they were written. The
runtime has a product for each; which of them a module needs is known without Keras.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wdsl.structure import IndexMap, Indices


@dataclass(frozen=True)
class MatrixPattern:
    """What a matrix is, in a few numbers.

    `least` is how many entries a matrix has for which the product is worth its own
    overhead; `python -m tests.bench.training --sizes` shows it.
    """

    kinds: ClassVar[dict[str, type["MatrixPattern"]]] = {}
    least: ClassVar[int] = 2**12

    def __init_subclass__(cls) -> None:
        MatrixPattern.kinds[cls.__name__] = cls

    @classmethod
    def of(cls, index: Indices, size: int) -> "MatrixPattern | None":
        """The pattern, if each entry's free parameter, -1 for zeros, is as it says."""
        raise NotImplementedError

    def is_worth_it(self, rows: int, columns: int) -> bool:
        return rows * columns >= self.least


def pattern_of(solved: IndexMap) -> MatrixPattern | None:
    """The first pattern that a matrix has and whose product is worth it, or None."""
    index, size = solved.index, solved.size
    is_scaled = solved.scale is not None or solved.constant is not None
    if index.ndim != 2 or is_scaled or size in (0, index.size):
        return None
    found = (kind.of(index, size) for kind in MatrixPattern.kinds.values())
    worth_it = (each for each in found if each and each.is_worth_it(*index.shape))
    return next(worth_it, None)


def each_once(index: Indices, size: int) -> bool:
    """Whether no two entries have one free parameter; they are counted in order."""
    return int(np.count_nonzero(index >= 0)) == size


@dataclass(frozen=True)
class RepeatedRow(MatrixPattern):
    """One row, or one number, over and over."""

    columns: int

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        columns = index.shape[1]
        is_so = size in (1, columns) and (index[0] >= 0).all()
        return cls(columns) if is_so and (index == index[:1]).all() else None


@dataclass(frozen=True)
class RepeatedColumn(MatrixPattern):
    """One column over and over."""

    columns: int

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        rows, columns = index.shape
        is_so = size == rows and (index[:, 0] >= 0).all()
        return cls(columns) if is_so and (index == index[:, :1]).all() else None


@dataclass(frozen=True)
class DiagonalAndRest(MatrixPattern):
    """One number on the diagonal and another elsewhere."""

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        rows, columns = index.shape
        is_so = size == 2 and rows == columns
        return cls() if is_so and (index == 1 - np.eye(rows)).all() else None


@dataclass(frozen=True)
class BlockDiagonalMatrix(MatrixPattern):
    """Blocks of one size along the diagonal, zero elsewhere."""

    count: int
    rows: int
    columns: int

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        (rows, columns), live = index.shape, index >= 0
        r, c = int(live[:, 0].sum()), int(live[0].sum())
        count = rows // r if r else 0
        if (count * r, count * c, count * r * c) != (rows, columns, size):
            return None
        block, grid = np.arange(count), index.reshape(count, r, count, c)
        in_order = (grid[block, :, block].ravel() == np.arange(size)).all()
        return cls(count, r, c) if in_order and each_once(index, size) else None


@dataclass(frozen=True)
class CirculantMatrix(MatrixPattern):
    """Each row is the one above, moved by one place: to the right, or to the left."""

    least: ClassVar[int] = 2**16
    size: int
    to_left: bool

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        if index.shape != (size, size):
            return None
        i, j = np.ogrid[:size, :size]
        ways = ((index == (j + sign * i) % size).all() for sign in (-1, 1))
        return next((cls(size, bool(n)) for n, is_so in enumerate(ways) if is_so), None)


@dataclass(frozen=True)
class ToeplitzMatrix(MatrixPattern):
    """Each diagonal is one number: from the right end of the first row, or a Hankel
    matrix, whose antidiagonals are."""

    least: ClassVar[int] = 2**16
    rows: int
    columns: int
    is_hankel: bool

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        rows, columns = index.shape
        if size != rows + columns - 1:
            return None
        i, j = np.ogrid[:rows, :columns]
        if (index == i + j).all():
            return cls(rows, columns, True)
        is_so = (index == np.where(j >= i, j - i, columns - 1 + i - j)).all()
        return cls(rows, columns, False) if is_so else None


@dataclass(frozen=True)
class BandMatrix(MatrixPattern):
    """Zero but for `lower` diagonals below the main one, `upper` above it, and it.

    Columns are taken `width` at a time: of x, each of these needs the same number of
    columns, one window. `strips` are the matrix's entries that meet, side by side.
    """

    least: ClassVar[int] = 2**16
    width: int
    lower: int
    upper: int

    @classmethod
    def of(cls, index: Indices, size: int) -> MatrixPattern | None:
        i, j = np.nonzero(index >= 0)
        upper, lower = max(0, int((j - i).max())), max(0, int((i - j).max()))
        return cls(max(64, lower + upper), lower, upper)

    def is_worth_it(self, rows: int, columns: int) -> bool:
        window = self.width + self.lower + self.upper
        is_narrow = window * 4 <= rows and self.width < columns
        return is_narrow and super().is_worth_it(rows, columns)

    def strips(self, index: Indices) -> Indices:
        rows, columns = index.shape
        start = np.arange(-(-columns // self.width))[:, None, None] * self.width
        i = start + np.arange(self.width + self.lower + self.upper)[:, None]
        i, j = i - self.upper, start + np.arange(self.width)
        inside = (i >= 0) & (i < rows) & (j < columns)
        found = index[np.clip(i, 0, rows - 1), np.minimum(j, columns - 1)]
        # What lies outside the band but in a strip is zero in the matrix, too.
        return np.where(inside, found, -1).astype(index.dtype)
