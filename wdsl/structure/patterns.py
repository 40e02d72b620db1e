"""Matrices that can be multiplied by in less work than others of their shape.

A pattern is found in what the equations came to, however they were written. The
runtime has a product for each; which of them a module needs is known without Keras.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wdsl.structure.pieces import Indices, Shape
from wdsl.structure.solution import IndexMap


@dataclass(frozen=True)
class MatrixPattern:
    """What a matrix is, in a few numbers.

    `least` is how many entries a matrix has for which the product is worth its own
    overhead; `python -m tests.bench.training --sizes` shows it. What pays in training
    need not pay in inference, where a matrix is made once and for all.
    """

    kinds: ClassVar[dict[str, type["MatrixPattern"]]] = {}
    least: ClassVar[int] = 2**12
    has_factors: ClassVar[bool] = False
    pays_in_inference: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        MatrixPattern.kinds[cls.__name__] = cls

    @classmethod
    def of(cls, solved: IndexMap) -> "MatrixPattern | None":
        """The pattern, if the entries are as it says. None of them is a constant.

        Nor has any a factor, unless the pattern says that it has.
        """
        raise NotImplementedError

    def laid_out(self, index: Indices) -> Indices:
        """The index of each entry's free parameter in the order of the product."""
        return index

    def is_worth_it(self, rows: int, columns: int) -> bool:
        return rows * columns >= self.least


def pattern_of(solved: IndexMap) -> MatrixPattern | None:
    """The first pattern that a matrix has and whose product is worth it, or None."""
    index, size = solved.index, solved.size
    if index.ndim != 2 or solved.constant is not None or size in (0, index.size):
        return None
    is_plain, kinds = solved.scale is None, MatrixPattern.kinds.values()
    found = (kind.of(solved) for kind in kinds if is_plain or kind.has_factors)
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
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
        columns = index.shape[1]
        is_so = size in (1, columns) and (index[0] >= 0).all()
        return cls(columns) if is_so and (index == index[:1]).all() else None


@dataclass(frozen=True)
class RepeatedColumn(MatrixPattern):
    """One column over and over."""

    columns: int

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
        rows, columns = index.shape
        is_so = size == rows and (index[:, 0] >= 0).all()
        return cls(columns) if is_so and (index == index[:, :1]).all() else None


@dataclass(frozen=True)
class DiagonalAndRest(MatrixPattern):
    """One number on the diagonal and another elsewhere."""

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
        rows, columns = index.shape
        is_so = size == 2 and rows == columns
        return cls() if is_so and (index == 1 - np.eye(rows)).all() else None


@dataclass(frozen=True)
class BlockDiagonalMatrix(MatrixPattern):
    """Blocks of one size along the diagonal, zero elsewhere."""

    least: ClassVar[int] = 2**18
    count: int
    rows: int
    columns: int

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
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
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
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
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
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

    least: ClassVar[int] = 2**18
    width: int
    lower: int
    upper: int

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        i, j = np.nonzero(solved.index >= 0)
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


@dataclass(frozen=True)
class Halves(MatrixPattern):
    """Free on one side of the diagonal; on the other its mirror image, or zero.

    Cut in halves, such a matrix is two smaller ones along the diagonal and one block
    between them. It is cut `depth` times, and the small matrices that are left can be
    anything. Free parameters lie block by block, the largest first, and then those of
    the small matrices: so they are in saved files.
    """

    least: ClassVar[int] = 2**18
    smallest: ClassVar[int] = 64
    has_factors: ClassVar[bool] = True
    pays_in_inference: ClassVar[bool] = False  # as much is multiplied, in more calls
    n: int
    depth: int
    is_lower: bool
    sign: int
    """What the other side is of this one's transpose: 1, -1, or 0."""

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        n, depth = solved.index.shape[0], 0
        while n >> depth >= 2 * cls.smallest and (n >> depth) % 2 == 0:
            depth += 1
        if not depth or solved.index.shape != (n, n):
            return None
        kinds = [(False, 1), (False, 0), (True, 0)]
        if solved.scale is not None:
            kinds = [(False, 1), (False, -1)]
        found = (cls(n, depth, is_lower, sign) for is_lower, sign in kinds)
        return next((each for each in found if each.is_so(solved)), None)

    def is_so(self, solved: IndexMap) -> bool:
        """Whether the entries are as this pattern says."""
        small = self.leaves(solved.index)
        if np.unique(small[small >= 0]).size + self.in_blocks != solved.size:
            return False
        for level in range(self.depth):
            one, other = self.blocks(solved.index, level)
            mirrored = one.transpose(0, 2, 1) if self.sign else -1
            if (one < 0).any() or (other != mirrored).any():
                return False
            if solved.scale is not None:
                one, other = self.blocks(solved.scale, level)
                if (one != 1).any() or (other != self.sign).any():
                    return False
        return True

    @property
    def shapes(self) -> list[Shape]:
        """The shape of the blocks of each level: how many, rows, columns."""
        sizes = [self.n >> level + 1 for level in range(self.depth)]
        return [(2**level, size, size) for level, size in enumerate(sizes)]

    @property
    def in_blocks(self) -> int:
        """How many free parameters the blocks have together."""
        return sum(map(math.prod, self.shapes))

    def blocks(self, entries: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
        """The blocks of a level on the free side of the diagonal, and on the other."""
        count, size, _ = self.shapes[level]
        grid, each = entries.reshape(count, 2, size, count, 2, size), np.arange(count)
        above, below = grid[each, 0, :, each, 1], grid[each, 1, :, each, 0]
        return (below, above) if self.is_lower else (above, below)

    def leaves(self, entries: np.ndarray) -> np.ndarray:
        """The small matrices along the diagonal."""
        count, size = 2**self.depth, self.n >> self.depth
        each = np.arange(count)
        return entries.reshape(count, size, count, size)[each, :, each]

    def laid_out(self, index: Indices) -> Indices:
        blocks = [self.blocks(index, level)[0].ravel() for level in range(self.depth)]
        small = np.unique(self.leaves(index))
        order = np.concatenate([*blocks, small[small >= 0]])
        new = np.full(order.size + 1, -1, index.dtype)  # the last is for -1
        new[order] = np.arange(order.size)
        return new[index]
