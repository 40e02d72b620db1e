"""Regions: some entries of a weight."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import numpy as np

from wdsl.structure.pieces import Indices, Shape, parts_of
from wdsl.structure.predicates import Traced
from wdsl.structure.terms import Several, Term


class Region(Term):
    """Some entries of a weight."""

    def mask(self, shape: Shape) -> np.ndarray:
        """True at the entries that the region names."""
        raise NotImplementedError

    def matrix(self, shape: Shape) -> tuple[Indices, Indices]:
        """The row numbers i, as a column, and the column numbers j, as a row."""
        if len(shape) != 2:
            raise ValueError(f"{self} is a region of a matrix, not of shape {shape}.")
        return np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]


@dataclass(frozen=True)
class Diagonal(Region):
    """The entries with j - i == k."""

    k: int = 0

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return j == i + self.k


@dataclass(frozen=True)
class Upper(Region):
    """The entries with j - i >= k."""

    k: int = 1

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return j >= i + self.k


@dataclass(frozen=True)
class Lower(Region):
    """The entries with i - j >= k."""

    k: int = 1

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return i >= j + self.k


@dataclass(frozen=True)
class Band(Region):
    """The entries with -lower <= j - i <= upper."""

    lower: int
    upper: int

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return (i - self.lower <= j) & (j <= i + self.upper)


@dataclass(frozen=True)
class Blocks(Region):
    """The blocks of rows x columns entries along the diagonal."""

    rows: int
    columns: int

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"{self} has blocks without entries.")
        return i // self.rows == j // self.columns


class Flat(Several, Region):
    """Entries by their flat indices in C order: integers and slices."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(math.prod(shape), bool)
        for item in self.items:
            try:
                mask[item if isinstance(item, slice) else operator.index(item)] = True
            except IndexError:
                raise ValueError(
                    f"Flat index {item} is outside a weight of shape {shape}, which has {mask.size} entries."
                ) from None
        return mask.reshape(shape)


class At(Several, Region):
    """Entries by their subscripts, an integer or a slice for each axis."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(shape, bool)
        if len(self.items) != len(shape):
            raise ValueError(f"{self.items} are {len(self.items)} subscripts, but the weight has shape {shape}.")
        try:
            mask[tuple(s if isinstance(s, slice) else operator.index(s) for s in self.items)] = True
        except IndexError:
            raise ValueError(f"{self.items} is outside a weight of shape {shape}.") from None
        return mask


@dataclass(frozen=True)
class Not(Region):
    """The entries that another region does not name."""

    region: Region

    def mask(self, shape: Shape) -> np.ndarray:
        return ~self.region.mask(shape)


class Union(Several, Region):
    """The entries that any of several regions names."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(shape, bool)
        for region in self.items:
            mask |= region.mask(shape)
        return mask


class Where(Traced, Region):
    """The entries whose indices satisfy a predicate: `Where(lambda i, j: i > j)`."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.empty(shape, bool)
        for part in parts_of(shape):
            mask[part] = self.values(part, shape)
        return mask
