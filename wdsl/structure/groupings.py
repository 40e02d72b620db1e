"""Ways to put the entries of a weight into groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdsl.structure import pieces
from wdsl.structure.pieces import Merge, Part, Shape, entries_in, index_type, parts_of
from wdsl.structure.predicates import Traced
from wdsl.structure.terms import Term


def distinct(keys: np.ndarray) -> np.ndarray:
    """Which keys there are, in order. They are moved together where they lie."""
    keys.sort()
    count = min(1, keys.size)
    for start in range(1, keys.size, pieces.PART):
        piece = keys[start - 1 : start + pieces.PART]
        new = piece[1:][piece[1:] != piece[:-1]]
        keys[count : count + new.size] = new
        count += new.size
    return keys[:count]


class Grouping(Term):
    """A way to put the entries of a weight into groups."""

    def keys(self, part: Part, shape: Shape) -> Any:
        """The same number at entries of the same group, or what broadcasts to it."""
        raise NotImplementedError

    def merges(self, shape: Shape) -> Iterator[Merge]:
        """Each entry of a group with one that stands for all of it."""
        size, found, groups = math.prod(shape), 0, np.empty(0)
        for part in parts_of(shape):
            some = distinct(np.array(self.keys(part, shape)).ravel())
            if not found:
                groups = np.empty(size, some.dtype)
            groups[found : found + some.size] = some
            found += some.size
        groups = distinct(groups[:found])
        one_of = np.full(groups.size, -1, index_type(size))
        for part in parts_of(shape):
            entries = entries_in(part, shape)
            number = np.searchsorted(groups, self.keys(part, shape))
            number = np.broadcast_to(number, entries.shape).ravel()
            entries = entries.ravel()
            is_new = one_of[number] < 0
            one_of[number[is_new]] = entries[is_new]
            others = one_of[number]
            apart = entries != others
            yield entries[apart], others[apart], 1.0


@dataclass(frozen=True)
class Axis(Grouping):
    """Entries with the same index on an axis: `Axis(0)` are the rows of a matrix."""

    axis: int

    def keys(self, part: Part, shape: Shape) -> Any:
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"{self} is not an axis of shape {shape}.")
        return np.ogrid[part][self.axis]


class By(Traced, Grouping):
    """Entries with the same key: `By(lambda i, j: (j - i) % 4)`."""

    def keys(self, part: Part, shape: Shape) -> Any:
        return self.values(part, shape)
