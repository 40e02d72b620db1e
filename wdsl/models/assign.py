"""How weights that obey are put into a model: what its weights are computed from is found, and set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras  # noqa: TID251
import numpy as np
from keras import ops  # noqa: TID251

from wdsl.core.record import Record
from wdsl.models.ties import origin_of, whole_at
from wdsl.models.weights import Place, Source, graph_source, holders, layers_of, places, plain_of, tensor_at
from wdsl.models.written import Loads
from wdsl.runtime import name_of
from wdsl.structure import side_by_side
from wdsl.weights.project import Array, Masked, checked, entry_of, suggestion


class _Holder(Record):
    """Where a weight of a model comes from: it is, or is a view of, what begins at `start` among a source's entries.

    `view` is the function of the graph that gives the view, of a weight of shape `viewed`.
    """

    source: Source
    shape: tuple[int, ...]
    start: int = 0
    view: Any = None
    viewed: tuple[int, ...] = ()

    @property
    def key(self) -> int:
        return id(self.source.variables[0])

    def weight(self, entries: Any) -> Any:
        shape = self.shape if self.view is None else self.viewed
        weight = entries[self.start : self.start + math.prod(shape)].reshape(shape)
        return weight if self.view is None else self.view(weight)


def assign(model: Any, weights: Mapping[str, Any], loads: Loads) -> None:
    """Give a model weights that obey its equations; all of them or, if there is an error, none."""
    found = _all(model)
    holding = {name: _holder(name, found) for name in weights}
    given = {name: checked(name, weights[name], holder.shape) for name, holder in holding.items()}
    rows: dict[int, Masked] = {}
    for name, holder in holding.items():
        if holder.view is None:
            size = holder.source.size
            row = rows.setdefault(holder.key, np.ma.masked_array(np.zeros(size), np.ones(size, bool)))
            row[holder.start : holder.start + given[name].size] = given[name].ravel()
    sources = {holder.key: holder.source for holder in holding.values()}
    stored = {key: _stored(sources[key], row, loads) for key, row in rows.items()}
    entries = {key: _entries(sources[key], values) for key, values in stored.items()}
    for name, holder in holding.items():
        if holder.key not in stored:
            raise ValueError(
                f"`{name}` is a view of another weight, and that is not given: "
                "`wdsl.project` gives all weights that belong together"
            )
        _compare(name, given[name], entries[holder.key], holder)
    for key, values in stored.items():
        for variable, value in zip(sources[key].variables, values, strict=True):
            variable.assign(value)


def _stored(source: Source, numbers: Masked, loads: Loads) -> list[Array]:
    """What variables hold when the weights have these entries; where all are masked, what they do hold."""
    theta = np.concatenate([np.asarray(each.numpy()).astype(np.float64).ravel() for each in source.variables])
    index, scale, order = source.numbering(loads)
    # The first entry of each that is given counts, and so comes last.
    at = np.flatnonzero((index >= 0) & ~np.ma.getmaskarray(numbers))[::-1]
    theta[order[index[at]]] = numbers.data[at] / scale[at]
    ends = np.cumsum([math.prod(each.shape) for each in source.variables])
    parts = np.split(theta, ends[:-1])
    return [part.reshape(each.shape) for part, each in zip(parts, source.variables, strict=True)]


def _entries(source: Source, values: list[Array]) -> Any:
    """All entries of the weights, as a forward pass computes them when the variables hold these values."""
    tensors = [ops.convert_to_tensor(value, v.dtype) for value, v in zip(values, source.variables, strict=True)]
    with keras.StatelessScope(zip(source.variables, tensors, strict=True)):
        return source.entries()


def _compare(name: str, given: Masked, entries: Any, holder: _Holder) -> None:
    """Raise ValueError if a weight is not what was given for it, but for rounding."""
    weight = holder.weight(ops.convert_to_numpy(entries))
    computed = ops.convert_to_numpy(weight)
    wanted = ops.convert_to_numpy(ops.convert_to_tensor(given.data, entries.dtype))
    rounding = 4 * float(np.spacing(np.ones((), computed.dtype)))
    off = ~np.isclose(computed.astype(np.float64), wanted.astype(np.float64), rtol=rounding, atol=1e-37)
    off &= ~np.ma.getmaskarray(given)
    if off.any():
        entry = np.unravel_index(int(off.argmax()), off.shape)
        instead = float(computed[entry]) + 0.0  # which makes 0 of -0
        raise ValueError(
            f"`{name}` does not obey its annotations: {entry_of(entry)} is {given.data[entry]:.9g}, "
            f"and would become {instead:.9g}. `wdsl.project` gives the nearest weights that do"
        )


def _all(model: Any) -> list[Place]:
    """Every weight of a model. Those that a layer gives to others go by the names that they have there."""
    found: list[Place] = []
    for layer in layers_of(model):
        if source := graph_source(layer):
            found += [Place(layer, name, "", source) for name in source.shapes if "." not in name]
        else:
            structured = places(layer)
            found += [*structured, *_without_structure(layer, structured)]
    return found


def _holder(name: str, found: Sequence[Place]) -> _Holder:
    """Where a model keeps the weight of this name. Raises ValueError if it has none, or several."""
    named = [each for each in found if each.name == name]
    if not named:
        raise ValueError(f"the model has no weight `{name}`: {suggestion(name, [each.name for each in found])}")
    if len(named) > 1:
        raise ValueError(f"the model has {len(named)} weights `{name}`")
    (place,) = named
    return _part(place.source, name) if place.source else _tied(place)


def _without_structure(layer: Any, structured: Sequence[Place]) -> Iterator[Place]:
    """The variables of a layer, and of layers inside it, that are weights as they are."""
    inner = plain_of(layer)
    numbers = {id(each) for place in structured if place.source for each in place.source.variables}
    for way, holder in holders(inner):
        for each in (*holder._trainable_variables, *holder._non_trainable_variables):
            if id(each) not in numbers:
                path = f"{way}{each.name}"
                name = name_of(layer.name, inner, path)
                source = Source((each,), {name: tuple(each.shape)}, partial(_row, each), partial(_nothing, name))
                yield Place(layer, name, path, source)


def _nothing(name: str, loads: Loads) -> dict[str, tuple[()]]:
    return {name: ()}


def _row(variable: Any) -> Any:
    return ops.reshape(variable, (-1,))


def _part(source: Source, name: str) -> _Holder:
    where, size = side_by_side(source.shapes)
    return _Holder(source, source.shapes[name], int(where[name].min(initial=size)))


def _tied(place: Place) -> _Holder:
    """The holder of a weight that is a tensor of the graph: one that a layer gives, or a view of that."""
    tensor = tensor_at(place)
    origin = origin_of(tensor)
    if origin is None:
        raise ValueError(f"the model has no layer that gives `{place.name}`: it comes from outside")
    source = graph_source(origin._keras_history.operation)
    assert source is not None
    whole = _part(source, whole_at(source, origin))
    if tensor is origin:
        return whole
    return whole.replace(shape=tuple(tensor.shape), view=keras.Function(origin, tensor), viewed=whole.shape)
