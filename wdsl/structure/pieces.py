"""The entries of arrays, a piece at a time: large weights take no memory for what is computed on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

Shape = tuple[int, ...]


Indices = np.ndarray[Any, np.dtype[np.intp]]


Part = tuple[slice, ...]


Merge = tuple[np.ndarray, np.ndarray, float]
"""Flat indices u and v and a factor c: W[u] = c W[v], entry by entry."""


# So many entries are looked at in one go: large weights take no memory for what is
# computed on the way.
PART = 2**16


def parts_of(shape: Shape) -> Iterator[Part]:
    """The pieces of an array, cut across its longest axis."""
    axis = max(range(len(shape)), key=lambda each: shape[each], default=0)
    length = shape[axis] if shape else 1
    step = max(1, PART * length // max(1, math.prod(shape)))
    for start in range(0, max(1, length), step):
        piece = slice(start, min(start + step, length))
        yield tuple(piece if n == axis else slice(0, shape[n]) for n in range(len(shape)))


def entries_in(part: Part, shape: Shape) -> Indices:
    """The flat indices of the entries in a part."""
    entries = np.zeros([each.stop - each.start for each in part], np.intp)
    for axis, index in enumerate(np.ogrid[part]):
        entries += index * math.prod(shape[axis + 1 :])
    return entries


def index_type(size: int) -> type[np.signedinteger[Any]]:
    """The smallest type that counts so many entries."""
    return np.int32 if size < 2**31 else np.int64


def in_pieces(one: Indices, other: Indices, factor: float) -> Iterator[Merge]:
    """A merge as several."""
    for start in range(0, one.size, PART):
        yield one[start : start + PART], other[start : start + PART], factor
