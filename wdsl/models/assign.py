"""How weights that obey are put into a model: what its weights are computed from is found, and set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from wdsl.core.record import Record
from wdsl.structure import side_by_side
from wdsl.weights.project import Array, Masked, checked, entry_of, suggestion


class _Source(Record):
    """The variables of a model from which weights are computed.

    `expansion` is the way from them to the weights, in a row; or None if the only one is the weight itself. `order`
    says where in the variables, one after the other, each free parameter is.
    """

    variables: tuple[Any, ...]
    expansion: Any = None
    order: Any = None

    @property
    def size(self) -> int:
        """How many entries the weights have."""
        return int(self.expansion.solved.index.size if self.expansion else math.prod(self.variables[0].shape))

    def stored(self, numbers: Masked) -> Array:
        """The free parameters with which the weights have these entries; where all are masked, what they are."""
        theta = np.concatenate([np.asarray(each.numpy()).astype(np.float64).ravel() for each in self.variables])
        theta = theta if self.order is None else theta[self.order]
        index, scale = np.arange(numbers.size), np.ones(numbers.size)
        if self.expansion is not None:
            index = self.expansion.solved.index.ravel()
            scale = scale if self.expansion.scale is None else self.expansion.scale.ravel()
        # The first entry of each that is given counts, and so comes last.
        at = np.flatnonzero((index >= 0) & ~np.ma.getmaskarray(numbers))[::-1]
        theta[index[at]] = numbers.data[at] / scale[at]
        return theta

    def weights(self, theta: Array) -> Any:
        """All entries of the weights, as a forward pass computes them."""
        from keras import ops  # noqa: TID251

        weights = ops.convert_to_tensor(theta, self.variables[0].dtype)
        return ops.reshape(self.expansion.expand(weights) if self.expansion else weights, (-1,))

    def assign(self, theta: Array) -> None:
        theta = theta if self.order is None else theta[np.argsort(self.order)]
        ends = np.cumsum([math.prod(each.shape) for each in self.variables])
        for variable, part in zip(self.variables, np.split(theta, ends[:-1]), strict=True):
            variable.assign(part.reshape(variable.shape))


class _Holder(Record):
    """Where a weight of a model comes from: it is, or is a view of, what begins at `start` among a source's entries.

    `view` is the function of the graph that gives the view, of a weight of shape `viewed`.
    """

    source: _Source
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


def assign(model: Any, weights: Mapping[str, Any]) -> None:
    """Give a model weights that obey its equations; all of them or, if there is an error, none."""
    holders = {name: _holder(model, name) for name in weights}
    given = {name: checked(name, weights[name], holder.shape) for name, holder in holders.items()}
    rows: dict[int, Masked] = {}
    for name, holder in holders.items():
        if holder.view is None:
            size = holder.source.size
            row = rows.setdefault(holder.key, np.ma.masked_array(np.zeros(size), np.ones(size, bool)))
            row[holder.start : holder.start + given[name].size] = given[name].ravel()
    sources = {holder.key: holder.source for holder in holders.values()}
    thetas = {key: sources[key].stored(row) for key, row in rows.items()}
    entries = {key: sources[key].weights(theta) for key, theta in thetas.items()}
    for name, holder in holders.items():
        if holder.key not in thetas:
            raise ValueError(
                f"`{name}` is a view of another weight, and that is not given: "
                "`wdsl.project` gives all weights that belong together"
            )
        _compare(name, given[name], entries[holder.key], holder)
    for key, theta in thetas.items():
        sources[key].assign(theta)


def _compare(name: str, given: Masked, entries: Any, holder: _Holder) -> None:
    """Raise ValueError if a weight is not what was given for it, but for rounding."""
    from keras import ops  # noqa: TID251

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


def _holder(model: Any, name: str) -> _Holder:
    """Where a model keeps the weight of this name. Raises ValueError if it has none, or several."""
    path = name.partition(".")[2]
    found: list[tuple[Any, Any]] = []
    names = []
    for layer in dict.fromkeys(_layers(model)):
        places = _places(layer)
        names += [place for place, _ in places]
        found += [(layer, each) for place, each in places if place == name]
        if hasattr(layer, "thetas") and name in layer.shapes and not path:
            return _coupled(layer, name)
    if not found:
        raise ValueError(f"the model has no weight `{name}`: {suggestion(name, names)}")
    if len(found) > 1:
        raise ValueError(f"the model has {len(found)} weights `{name}`")
    ((layer, weight),) = found
    if hasattr(layer, "theta"):
        return _shared(layer)
    if not hasattr(weight, "theta"):
        return _Holder(_Source((weight,)), tuple(weight.shape))
    if weight.expansion is not None:
        return _Holder(_Source((weight.theta,), weight.expansion), tuple(weight.shape))
    return _tied(layer._inbound_nodes[0].arguments.kwargs["tied"][weight.path])


def _places(layer: Any) -> list[tuple[str, Any]]:
    """The weights of a layer by name: a `Weight` of the runtime for each with structure, else a variable.

    What a `Shared` holds has the name of the layer. What a `Coupled` holds goes by the names of the weights.
    """
    from wdsl.runtime import has_structure, name_of

    if hasattr(layer, "theta"):
        return [(layer.name, layer)]
    if hasattr(layer, "thetas"):
        return []
    inner, structured = (layer.layer, layer.structured) if has_structure(layer) else (layer, ())
    thetas = {id(weight.theta) for weight in structured}
    paths: list[tuple[str, Any]] = [(weight.path, weight) for weight in structured]
    for way, holder in _holders(inner):
        own = (*holder._trainable_variables, *holder._non_trainable_variables)
        paths += [(f"{way}{v.name}", v) for v in own if id(v) not in thetas]
    return [(name_of(layer.name, inner, path), weight) for path, weight in paths]


def _holders(layer: Any, way: str = "") -> Iterator[tuple[str, Any]]:
    """A layer and those inside it, each with the way to it in attributes."""
    yield way, layer
    inside = {id(each) for each in layer._layers}
    # Those that it tracks stand in a list as well; what has a public name is found by that.
    for name, value in sorted(vars(layer).items(), key=lambda each: each[0].startswith("_")):
        parts = enumerate(value) if isinstance(value, list) and name != "_layers" else [("", value)]
        for number, part in parts:
            if id(part) in inside:
                inside.remove(id(part))
                yield from _holders(part, f"{way}{name}/{number}/".replace("//", "/"))


def _layers(model: Any) -> Iterator[Any]:
    """The layers of a model, and of models in it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _tied(tensor: Any) -> _Holder:
    """The holder of a weight that is a tensor of the graph: of a `Coupled` or `Shared`, or a view of the latter."""
    from keras import Function, tree  # noqa: TID251

    source = tensor
    while not any(hasattr(source._keras_history.operation, name) for name in ("theta", "thetas")):
        operation, node, _ = source._keras_history
        (source,) = operation._inbound_nodes[node].input_tensors
    layer = source._keras_history.operation
    if hasattr(layer, "thetas"):
        names = tree.flatten({name: name for name in layer.shapes})  # in the order that Keras gives its outputs
        return _coupled(layer, names[source._keras_history.tensor_index])
    whole = _shared(layer)
    if tensor is source:
        return whole
    return whole.replace(shape=tuple(tensor.shape), view=Function(source, tensor), viewed=whole.shape)


def _shared(layer: Any) -> _Holder:
    from wdsl import runtime

    return _Holder(_Source((layer.theta,), runtime.expansion_of(layer.equations, layer.shape)), layer.shape)


def _coupled(layer: Any, name: str) -> _Holder:
    places, _ = side_by_side(layer.shapes)
    source = _Source(tuple(layer.thetas), layer.expansion, layer.order)
    return _Holder(source, layer.shapes[name], int(places[name].min(initial=source.size)))
