"""Ties: entries that equal those which a view of a weight shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdsl.structure.equations import Equation
from wdsl.structure.pieces import Indices, Merge, Shape, in_pieces, index_type
from wdsl.structure.regions import Region
from wdsl.structure.terms import Term, from_config

VIEWS: Mapping[str, Callable[..., Any]] = {
    "flip": np.flip,
    "get": lambda entries, *index: entries[index],
    "reshape": lambda entries, *shape: entries.reshape(shape),
    "transpose": lambda entries, *axes: entries.transpose(axes or None),
}


@dataclass(frozen=True)
class View(Term):
    """Entries of a weight, and a factor: `-0.5 * View("encode.kernel").T[:10]`.

    Without a name they are entries of the very weight that an equation is about.
    """

    weight: str = ""
    steps: tuple[tuple[Any, ...], ...] = ()
    factor: float = 1.0

    @classmethod
    def restore(cls, parts: list[Any]) -> Term:
        weight, steps, factor = parts
        restored = ((step[0], *(from_config(p) for p in step[1:])) for step in steps)
        return cls(weight, tuple(restored), factor)

    def __post_init__(self) -> None:
        if unknown := {step[0] for step in self.steps} - VIEWS.keys():
            raise ValueError(f"A view of a weight has no {', '.join(sorted(unknown))}.")

    def then(self, *step: Any) -> View:
        return View(self.weight, (*self.steps, step), self.factor)

    @property
    def T(self) -> View:
        return self.then("transpose")

    def transpose(self, *axes: int) -> View:
        return self.then("transpose", *axes)

    def reshape(self, *shape: int) -> View:
        return self.then("reshape", *shape)

    def flip(self, axis: int) -> View:
        return self.then("flip", axis)

    def __getitem__(self, index: Any) -> View:
        return self.then("get", *(index if isinstance(index, tuple) else (index,)))

    def __rmul__(self, factor: float) -> View:
        return View(self.weight, self.steps, factor * self.factor)

    def __neg__(self) -> View:
        return -1.0 * self

    def of(self, entries: Indices) -> Indices:
        """What the view shows of a weight's entries, in C order."""
        for name, *arguments in self.steps:
            entries = VIEWS[name](entries, *arguments)
        return np.ravel(entries)


@dataclass(frozen=True)
class Tie(Equation):
    """The entries of a region, in C order, equal those that a view shows.

    Without a region, all entries of the weight do.
    """

    view: View
    region: Region | None = None

    def parts(self) -> tuple[Any, ...]:
        return (self.view,) if self.region is None else (self.view, self.region)

    def own(self, entries: Indices) -> Indices:
        """The entries of a weight that the equation is about, in C order."""
        if self.region is None:
            return entries.ravel()
        return entries[self.region.mask(entries.shape)]

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        if self.view.weight:
            raise ValueError(f"{self} needs the entries of {self.view.weight!r} too.")
        size = math.prod(shape)
        entries = np.arange(size, dtype=index_type(size)).reshape(shape)
        return self.between(entries, entries)

    def between(self, entries: Indices, others: Indices) -> Iterator[Merge]:
        """What equals what in a weight with `entries`, tied to one with `others`."""
        one, other = self.own(entries), self.view.of(others)
        if one.size != other.size:
            raise ValueError(f"{one.size} entries are tied to {other.size}.")
        return in_pieces(one, other, self.view.factor)
