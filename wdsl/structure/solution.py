"""Equations, solved: which free parameter stands behind each entry."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdsl.structure import pieces
from wdsl.structure.equations import Equation
from wdsl.structure.pieces import Merge, Shape, index_type


@dataclass(frozen=True)
class IndexMap:
    """What every entry is: `scale * theta[index]`, or `constant` where index is -1.

    `scale` and `constant` are None where they are 1 and 0 everywhere.
    """

    index: np.ndarray
    size: int
    scale: np.ndarray | None
    constant: np.ndarray | None


UnionFind = tuple[np.ndarray, np.ndarray | None, np.ndarray]
"""What `union` finds."""


def union(size: int, merges: Iterable[Merge]) -> UnionFind:
    """Merge entries into groups, by array operations.

    Returns, for each entry, the first entry of its group and its factor
    (W[e] = factor W[first]; None if all are 1), and whether it was found to be two
    different multiples of one value, so that its group must be zero.
    """
    first = np.arange(size, dtype=index_type(size))
    factor: np.ndarray | None = None
    dead = np.zeros(size, bool)

    def seek(entries: Any) -> np.ndarray:
        """The first of the group of each entry, which now points there directly."""
        while ((up := first[above := first[entries]]) != above).any():
            if factor is not None:
                factor[entries] *= factor[above]
            first[entries] = up
        return up

    for one, other, c in merges:
        u, v = one, other
        if c != 1.0 and factor is None:
            factor = np.ones(size, np.int8)  # enough for signs
        if factor is not None and abs(c) != 1.0:
            factor = factor.astype(float)
        while u.size:
            a, b = seek(u), seek(v)
            apart = a != b
            if factor is not None:  # W[a] = ratio W[b]
                ratio = c * factor[v] / factor[u]
                dead[u[~apart & ~np.isclose(ratio, 1.0, rtol=1e-9, atol=0.0)]] = True
                ratio = np.where(a > b, ratio, 1.0 / ratio)[apart]
            if not apart.all():
                u, v, a, b = u[apart], v[apart], a[apart], b[apart]
            # Each group goes under the one with the lowest first entry beside it.
            high, low = np.maximum(a, b), np.minimum(a, b)
            first[high] = low
            if not (taken := first[high] == low).all():
                np.minimum.at(first, high, low)
                taken = first[high] == low
            if factor is not None:
                factor[high[taken]] = ratio[taken]
                taken &= factor[high] == ratio
            if (first[low] != low).any():
                seek(high)
            u, v = u[~taken], v[~taken]
    for start in range(0, size, pieces.PART):
        seek(slice(start, start + pieces.PART))
    return first, factor, dead


def index_map(equations: Iterable[Equation], shape: Shape, also_known: Any = False) -> IndexMap:
    """Solve the equations; free parameters are numbered by first entry in C order.

    `also_known` is true at entries that other equations give a value.

    Raises ValueError if an entry would have two different values.
    """
    equations = list(equations)
    claims = [equation.known(shape) for equation in equations]
    known = np.zeros(shape, bool) | also_known
    for mask, _ in claims:
        known |= mask
    merges = (m for equation in equations for m in equation.merges(shape, known))
    return numbered(claims, union(math.prod(shape), merges), shape)


def numbered(claims: Iterable[tuple[np.ndarray, float]], groups: UnionFind, shape: Shape) -> IndexMap:
    """Number the groups that no claim gives a value, by first entry in C order."""
    size = math.prod(shape)
    first, factor, dead = groups
    factor = None if factor is None else factor.astype(float)
    is_known, values = np.zeros(size, bool), np.zeros(size)
    is_known[first[dead]] = True
    claims = list(claims)
    has_values = any(value for _, value in claims)
    for mask, value in claims:
        entries = np.flatnonzero(mask)
        firsts = first[entries]
        if not has_values:
            is_known[firsts] = True
            continue
        wanted = value if factor is None else value / factor[entries]
        before = np.where(is_known[firsts], values[firsts], wanted)
        is_known[firsts] = True
        values[firsts] = wanted
        agree = (before == wanted) & (values[firsts] == wanted)
        if not agree.all() and not np.isclose([before, values[firsts]], wanted).all():
            raise ValueError(f"An entry would be {value} and another value as well.")
    free = ~is_known & (first == np.arange(size, dtype=first.dtype))
    # The number of each group, where it stands first; -1 for those that have values.
    numbers = np.cumsum(free, dtype=first.dtype) - 1
    numbers[is_known] = -1
    index = numbers[first]
    scale = constant = None
    if factor is not None:
        scale = np.where(index >= 0, factor, 1.0).reshape(shape)
    if has_values:
        constant = values[first] * (1.0 if factor is None else factor)
        constant = np.where(index >= 0, 0.0, constant).reshape(shape)
    return IndexMap(index.reshape(shape), int(free.sum()), scale, constant)
