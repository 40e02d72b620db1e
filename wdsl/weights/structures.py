"""What the solver finds out about weights: how they are computed from free parameters, and how many there are."""

from __future__ import annotations

import math
from functools import cached_property

from wdsl.annotations.equations import View, WeightName
from wdsl.catalog.model import Weight
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.network.graph import FreeWeight, Layer


class Structure(Record):
    """A weight of a named layer, or of none, with what was found out about it.

    `owner` is the weight whose free parameters it is computed from: itself, unless it is tied to another one.
    `equations` are those of all the weights that share the owner's parameters, about the owner, and `free` counts the
    owner's alone. If the weights are coupled, each has equations of its own, ties among them, and counts the parameters
    that no coupled weight before it has.
    """

    name: WeightName
    weight: Weight
    layer: Layer | FreeWeight
    owner: WeightName
    view: View
    coupled: bool
    """Whether the weights that share parameters are more than views of one: they have parts in common."""
    equations: tuple[ex.Expression, ...]
    free: int
    nonzero: int
    trained: bool
    """False for a weight that is frozen, or tied to one that is."""
    text: str
    """The annotations as the file writes them."""

    @property
    def size(self) -> int:
        return math.prod(self.weight.shape)


class Structures(Record):
    """The structure of every weight of a network's named layers, and how many parameters the network has."""

    weights: tuple[Structure, ...]
    parameters: int
    """Free trainable parameters, those of unnamed layers with them."""
    dense_parameters: int
    """What the same layers would have without annotations, and without weights of no layer."""

    def of(self, layer: str | None) -> tuple[Structure, ...]:
        """The weights of a layer."""
        return tuple(self._by_layer.get(layer, ()))

    def sharing(self, owner: WeightName) -> tuple[Structure, ...]:
        """The weights that are computed from the same parameters, the owner first."""
        return tuple(self._by_owner.get(owner, ()))

    @cached_property
    def _by_layer(self) -> dict[str | None, list[Structure]]:
        found: dict[str | None, list[Structure]] = {}
        for each in self.weights:
            found.setdefault(each.name.layer, []).append(each)
        return found

    @cached_property
    def _by_owner(self) -> dict[WeightName, list[Structure]]:
        found: dict[WeightName, list[Structure]] = {}
        for each in sorted(self.weights, key=lambda each: each.name != each.owner):
            found.setdefault(each.owner, []).append(each)
        return found
