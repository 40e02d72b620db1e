"""Equations on weights that lie side by side in one vector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdsl.structure.equations import Equation
from wdsl.structure.pieces import Indices, Merge, Shape, index_type
from wdsl.structure.views import Tie


@dataclass(frozen=True)
class Within(Equation):
    """An equation on a weight whose entries lie at these places in a vector."""

    equation: Equation
    places: Indices

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        inner, value = self.equation.known(self.places.shape)
        mask = np.zeros(shape, bool)
        mask[self.places[inner]] = True
        return mask, value

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        places = self.places.ravel()
        inner = self.equation.merges(self.places.shape, known[self.places])
        return ((places[one], places[other], c) for one, other, c in inner)

    def __getattr__(self, name: str) -> Any:
        if name not in ("expansion", "takes_mean"):
            raise AttributeError(name)
        return getattr(self.equation, name)


@dataclass(frozen=True)
class Same(Equation):
    """A tie of entries that lie in a vector to others in it."""

    equation: Tie
    entries: Indices
    others: Indices

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        return self.equation.between(self.entries, self.others)


def within(equation: Any, places: Mapping[str, Indices], name: str) -> Any:
    """The equation on weight `name`, as one on a vector that holds several weights.

    `places` says where in the vector each weight has its entries.
    """
    if not equation.is_trained:
        return equation
    if hasattr(equation, "mechanism"):  # the runtime has that class
        inner = within(equation.equation, places, name)
        return type(equation)(equation.mechanism, inner)
    if isinstance(equation, Tie):
        return Same(equation, places[name], places[equation.view.weight or name])
    return Within(equation, places[name])


def side_by_side(shapes: Mapping[str, Shape]) -> tuple[dict[str, Indices], int]:
    """Where weights have their entries in a vector of them all, and its length."""
    places, start = {}, 0
    size = sum(map(math.prod, shapes.values()))
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        places[name] = np.arange(start, stop, dtype=index_type(size)).reshape(shape)
        start = stop
    return places, size
