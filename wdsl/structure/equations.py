"""Equations: what holds of the entries of a weight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from wdsl.structure import pieces
from wdsl.structure.groupings import Grouping
from wdsl.structure.pieces import Merge, Shape, entries_in, parts_of
from wdsl.structure.regions import Not, Region, Union
from wdsl.structure.terms import Several, Term


class Equation(Term):
    """Something that is true of the entries of one weight."""

    from_outside: ClassVar[bool] = False
    is_trained: ClassVar[bool] = True

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        """True at the entries whose value the equation gives, and that value."""
        return np.zeros(shape, bool), 0.0

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        """What equals what, up to a factor; `known` are all entries with values."""
        return iter(())


@dataclass(frozen=True)
class Symmetric(Equation):
    """The weight equals itself with two axes swapped."""

    a: int = 0
    b: int = 1
    sign: ClassVar[float] = 1.0

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        rank = len(shape)
        if not all(-rank <= axis < rank for axis in (self.a, self.b)):
            raise ValueError(f"{self} needs axes that shape {shape} does not have.")
        if shape[self.a] != shape[self.b]:
            raise ValueError(f"{self} needs axes of equal size, not shape {shape}.")
        a, b = sorted((self.a % rank, self.b % rank))
        # An entry and its mirror image are as many places apart for each step off.
        places = math.prod(shape[a + 1 :]) - math.prod(shape[b + 1 :])
        for part in parts_of(shape):
            entries, index = entries_in(part, shape), np.ogrid[part]
            apart = index[a] - index[b]
            half = apart >= 0 if self.sign < 0 else apart > 0
            half = np.broadcast_to(half, entries.shape)
            yield entries[half], (entries - apart * places)[half], self.sign


class Skew(Symmetric):
    """The weight equals minus itself with two axes swapped."""

    sign = -1.0


class Zero(Several, Equation):
    """The entries of the regions are zero; without regions, all are."""

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        regions = Union(*self.items) if self.items else Not(Union())
        return regions.mask(shape), 0.0


@dataclass(frozen=True)
class Fixed(Equation):
    """The entries of a region are a constant."""

    value: float
    region: Region

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        return self.region.mask(shape), self.value


class Equal(Several, Equation):
    """Entries are one value: those of each region, or of each group of a grouping.

    Without either, all entries that no `Zero` or `Fixed` names are one value.
    """

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        masks = [~known] if not self.items else []
        for item in self.items:
            if isinstance(item, Grouping):
                yield from item.merges(shape)
            else:
                masks.append(item.mask(shape))
        for mask in map(np.ravel, masks):
            first = np.argmax(mask)
            for start in range(first + 1, mask.size, pieces.PART):
                entries = np.flatnonzero(mask[start : start + pieces.PART]) + start
                yield entries, np.full_like(entries, first), 1.0


class Frozen(Several, Equation):
    """The weight is not trained."""

    is_trained: ClassVar[bool] = False


@dataclass(frozen=True)
class Tied(Equation):
    """The weight is a tensor that comes from outside the layer."""

    from_outside: ClassVar[bool] = True
