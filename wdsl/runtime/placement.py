"""Numbers put where they stand in a tensor, with a gradient of their own."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np
from keras import ops

from wdsl.structure.pieces import Indices, index_type


class Placement:
    """Free parameters, each where it stands in a tensor, and zeros elsewhere.

    A small tensor is read entry by entry, and has the gradient that Keras gives that.
    """

    least: ClassVar[int] = 2**14
    """How many entries a tensor has for which a gradient of its own is worth it."""

    def __init__(self, index: Indices, size: int) -> None:
        self.index, self.size, self.is_live = index, size, index >= 0
        self.has_zeros = not self.is_live.all()

    @functools.cached_property
    def places(self) -> list[Indices]:
        return places_of(self.index, self.size)

    @property
    def are_written(self) -> bool:
        """Whether it is less work to write those that there are than to read each."""
        return len(self.places) == 1 and 4 * self.size <= 3 * self.index.size

    def __call__(self, theta: Any) -> Any:
        if self.index.size < self.least:
            if not self.has_zeros:
                return ops.take(theta, self.index)
            where = np.where(self.is_live, self.index, self.size)
            return ops.take(ops.pad(theta, (0, 1)), where)
        place = ops.custom_gradient(lambda theta: (self.placed(theta), self.gathered))
        return place(ops.reshape(theta, (-1,)))  # a tensor, if it was a variable

    def placed(self, theta: Any) -> Any:
        if self.are_written:
            # One term in each sum: `scatter`, made for this, takes two to ten times
            # as long in a graph.
            flat = ops.segment_sum(theta, self.places[0], self.index.size)
            return ops.reshape(flat, self.index.shape)
        if not self.has_zeros:
            return ops.take(theta, self.index, axis=0)
        # Not a zero in front of theta: XLA would ask for each entry which it is.
        tensor = ops.take(theta, np.maximum(self.index, 0), axis=0)
        return ops.where(self.is_live, tensor, 0)

    def gathered(self, tensor: Any) -> Any:
        """The gradient: for each free parameter the sum of where it stands.

        Reading some places takes much less than adding up all entries, which is what
        the gradient of `take` does.
        """
        flat = ops.reshape(tensor, (-1,))
        if not self.places:  # Entries of number -1 are left out.
            return ops.segment_sum(flat, self.index.ravel(), self.size)
        total = ops.take(flat, self.places[0], axis=0)
        for places in self.places[1:]:
            more = ops.take(flat, np.maximum(places, 0), axis=0)
            total = total + ops.where(places >= 0, more, 0)
        return total


def places_of(index: Indices, size: int) -> list[Indices]:
    """Where each free parameter stands first, second, and so on; -1 if nowhere.

    An empty list if some stand in many places, or in many more than others.
    """
    live = np.flatnonzero(index >= 0)
    numbers = index.ravel()[live]
    counts = np.bincount(numbers, minlength=size)
    most = int(counts.max(initial=1))
    if most > 4 or most * size > 2 * live.size:
        return []
    order = np.argsort(numbers, kind="stable")
    nth = np.arange(live.size) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.full((most, size), -1, index_type(index.size))
    places[nth, numbers[order]] = live[order]
    return list(places)
