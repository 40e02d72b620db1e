"""Ties between layers: the tensors of the graph that layers are given as weights, and what these are views of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras  # noqa: TID251
import numpy as np

from wdsl.core.record import Record
from wdsl.models.weights import Array, Place, Source, graph_source, layers_of, places, tensor_at
from wdsl.structure import View, side_by_side


class Tied(Record):
    """A weight of a layer that is, or is a view of, one that another layer of the graph gives.

    `whole` has the name that this one has among the weights of `source`. `view` is None for one that `.wnet` files
    cannot have.
    """

    place: Place
    source: Source
    whole: str
    origin: Any
    tensor: Any
    view: View | None

    @property
    def is_whole(self) -> bool:
        return self.origin is self.tensor


def ties_of(model: Any) -> Iterator[Tied]:
    """Every weight that a layer is given in the graph."""
    for layer in layers_of(model):
        for place in places(layer):
            if place.source is None and (found := _tied(place)):
                yield found


def origin_of(tensor: Any) -> Any:
    """The tensor that the layer which holds a weight gives, of which `tensor` is a view. None if there is none."""
    origin = tensor
    while not graph_source(origin._keras_history.operation):
        operation, node, _ = origin._keras_history
        inputs = operation._inbound_nodes[node].input_tensors
        if len(inputs) != 1 or inputs[0] is origin:
            return None
        (origin,) = inputs
    return origin


def whole_at(source: Source, origin: Any) -> str:
    """Which of the weights of a source a tensor is that it gives."""
    names = keras.tree.flatten({name: name for name in source.shapes})  # in the order that Keras gives its outputs
    return str(names[origin._keras_history.tensor_index])


def names_of(ties: list[Tied]) -> dict[str, str]:
    """What the file calls the weights that layers hold for others, by the names of these layers.

    That of a layer which is given it whole, if the plan has named the holder for it; the holder's own for a `weight`.
    """
    names: dict[str, str] = {}
    for each in ties:
        holder = str(each.origin._keras_history.operation.name)
        if each.is_whole and len(each.source.shapes) == 1 and each.place.name.replace(".", "_") == holder:
            names.setdefault(each.whole, each.place.name)
    return names


def given_and_seen(tied: Tied, view: View) -> tuple[Array, Array]:
    """The entries that the graph gives to a layer, and those that a view shows of the whole weight; in C order."""
    where, _ = side_by_side(tied.source.shapes)
    whole = keras.ops.convert_to_numpy(tied.source.entries())[where[tied.whole]]
    given = whole if tied.is_whole else keras.ops.convert_to_numpy(keras.Function(tied.origin, tied.tensor)(whole))
    return np.ravel(given), view.of(whole) * whole.dtype.type(view.factor)


def _tied(place: Place) -> Tied | None:
    tensor = tensor_at(place)
    origin = origin_of(tensor)
    if origin is None:
        return None
    source = graph_source(origin._keras_history.operation)
    assert source is not None
    return Tied(place, source, whole_at(source, origin), origin, tensor, _view(tensor, origin))


def _view(tensor: Any, origin: Any) -> View | None:
    """What the operations between two tensors of the graph come to."""
    if tensor is origin:
        return View()
    operation, number, _ = tensor._keras_history
    node = operation._inbound_nodes[number]
    before = _view(node.input_tensors[0], origin)
    given = (*node.arguments.args, *node.arguments.kwargs.values())
    match type(operation).__name__, given:
        case _ if before is None:
            return None
        case "Transpose", _:
            return before.then("transpose", *(operation.axes or ()))
        case "Reshape", _:
            return before.then("reshape", *operation.newshape)
        case "Flip", _:
            return before.then("flip", operation.axis)
        case "GetItem", (_, key):
            return before.then("get", *(key if isinstance(key, tuple) else (key,)))
        case "Negative", _:
            return -before
        case "Multiply", (int() | float() as factor, _) | (_, int() | float() as factor):
            return factor * before
    return None
