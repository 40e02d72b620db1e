"""The weights of a model by name, live or of a written module: what computes them, and what holds of them."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import keras  # noqa: TID251
import numpy as np
from keras import ops  # noqa: TID251

from wdsl import runtime
from wdsl.core.record import Record
from wdsl.models.written import TIED, Loads, base_of, equations_of, is_written, stated
from wdsl.runtime import Expansion, expansion_of, has_structure, name_of
from wdsl.structure import Equation, side_by_side, within

Array: TypeAlias = np.ndarray[Any, Any]


class Source(Record):
    """Variables of a layer, and weights that are computed from them: one with structure, or several that share.

    `shapes` has the weights by name, side by side in `entries`. `equations` says what holds of each weight, if they are
    several of where it lies among the entries; `expand` gives the way from the variables to the entries.
    """

    variables: tuple[Any, ...]
    shapes: Mapping[str, tuple[int, ...]]
    entries: Callable[[], Any]
    """All entries in a row, as a forward pass computes them from what the variables hold."""
    read: Callable[[Loads], Mapping[str, Sequence[Equation]]]
    order: Callable[[Expansion, Mapping[str, Sequence[Equation]]], Any] = lambda *_: None
    """Where in the variables, one after the other, each free parameter is; None if that is its number."""
    product: bool = False
    """Whether a layer multiplies by the weight in less work than by making it."""
    is_of_graph: bool = False
    """Whether the layer gives the weights as tensors, for others to use."""
    stated: Mapping[str, str] | None = None
    """The annotations of weights by name, if a class of a written module has them."""

    @property
    def size(self) -> int:
        return sum(map(math.prod, self.shapes.values()))

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what equations are about."""
        return next(iter(self.shapes.values())) if len(self.shapes) == 1 else (self.size,)

    def array(self) -> Array:
        """What equations are about, as a forward pass computes it."""
        found: Array = ops.convert_to_numpy(self.entries()).reshape(self.shape)
        return found

    def numbering(self, loads: Loads) -> tuple[Any, Any, Any]:
        """The free parameter of which each entry is a multiple, or -1; by what; and where in the variables each is."""
        equations = self.read(loads)
        if not any(equations.values()):
            return np.arange(self.size), np.ones(self.size), np.arange(self.size)
        found = self.expansion(equations)
        order = self.order(found, equations)
        return (
            found.solved.index.ravel(),
            np.ones(self.size) if found.scale is None else found.scale.ravel(),
            np.arange(found.size) if order is None else order,
        )

    def expansion(self, equations: Mapping[str, Sequence[Equation]]) -> Expansion:
        """The way from free parameters to the entries."""
        found = expansion_of([each for those in equations.values() for each in those], self.shape)
        if self.product:
            found.product()
        return found


class Place(Record):
    """A weight of a layer, by the way to it from the layer that it would be without structure.

    It comes from a source, or with each call from the graph.
    """

    layer: Any
    name: str
    path: str
    source: Source | None = None


def layers_of(model: Any) -> Iterator[Any]:
    """The layers of a model, and of models in it, each once; a layer alone is one."""
    yield from dict.fromkeys(_leaves(model))


def _leaves(model: Any) -> Iterator[Any]:
    if not hasattr(model, "layers"):
        yield model
        return
    for layer in model.layers:
        yield from _leaves(layer)


def holders(layer: Any, way: str = "") -> Iterator[tuple[str, Any]]:
    """A layer and those inside it, each with the way to it in attributes."""
    yield way, layer
    inside = {id(each) for each in layer._layers}
    # Those that it tracks stand in a list as well; what has a public name is found by that.
    for name, value in sorted(vars(layer).items(), key=lambda each: each[0].startswith("_")):
        parts = enumerate(value) if isinstance(value, list) and name != "_layers" else [("", value)]
        for number, part in parts:
            if id(part) in inside:
                inside.remove(id(part))
                yield from holders(part, f"{way}{name}/{number}/".replace("//", "/"))


def plain_of(layer: Any) -> Any:
    """The layer around which one with structure stands, if it does."""
    is_around = has_structure(layer) or (is_written(layer) and base_of(layer) is keras.layers.Wrapper)
    return layer.layer if is_around else layer


def graph_source(layer: Any) -> Source | None:
    """What a layer gives, if it gives weights as tensors of the graph."""
    if hasattr(layer, "theta"):
        return Source(
            (layer.theta,),
            {layer.name: layer.shape},
            lambda: ops.reshape(layer.expand(layer.theta), (-1,)),
            lambda _: {layer.name: layer.equations},
            is_of_graph=True,
        )
    if hasattr(layer, "thetas"):
        return Source(
            tuple(layer.thetas),
            layer.shapes,
            lambda: layer.vector(layer.thetas),
            lambda _: layer.in_vector(),
            lambda *_: layer.order,
            is_of_graph=True,
        )
    if not is_written(layer) or base_of(layer) is not keras.Layer or not layer.built:
        return None
    shapes = getattr(layer, "shapes", None)
    return Source(
        (*layer._trainable_variables, *layer._non_trainable_variables),
        shapes or {layer.name: layer.shape},
        lambda: ops.concatenate([ops.reshape(each, (-1,)) for each in _given_by(layer)]),
        partial(_coupled if shapes else _shared, layer),
        partial(_frozen_last, layer) if shapes else lambda *_: None,
        is_of_graph=True,
        stated={key.replace("/", ".") if shapes else layer.name: said for key, said in stated(layer).items()},
    )


def _given_by(layer: Any) -> list[Any]:
    given = layer.call(None)
    return list(given.values()) if isinstance(given, dict) else [given]


def _shared(layer: Any, loads: Loads) -> dict[str, tuple[Equation, ...]]:
    structure = stated(layer)
    if not structure:
        return {layer.name: ()}
    ((key, _),) = structure.items()
    return {layer.name: equations_of(layer, {key: layer.shape}, structure, loads)[key]}


def _coupled(layer: Any, loads: Loads) -> dict[str, tuple[Equation, ...]]:
    structure = {key.replace("/", "."): annotations for key, annotations in stated(layer).items()}
    found = equations_of(layer, layer.shapes, structure, loads)
    places, _ = side_by_side(layer.shapes)
    return {name: tuple(within(each, places, name) for each in equations) for name, equations in found.items()}


def _frozen_last(layer: Any, expansion: Expansion, equations: Mapping[str, Sequence[Equation]]) -> Any:
    """Where in the variables free parameters are of which those that are not trained stand behind the others."""
    return np.argsort(np.concatenate(runtime.trained_and_frozen(expansion, layer.shapes, equations)))


def places(layer: Any) -> list[Place]:
    """The structured weights of a layer."""
    if graph_source(layer):
        return []
    found: list[Place] = []
    for way, holder in holders(layer):
        if has_structure(holder):
            found += [_live(layer, way, holder, weight) for weight in holder.structured]
        elif is_written(holder):
            found += _written(layer, way, holder)
    return found


def _live(layer: Any, way: str, holder: Any, weight: Any) -> Place:
    name, expansion = name_of(layer.name, layer, f"{way}layer/{weight.path}"), weight.expansion
    path = f"{way}layer/{weight.path}" if way else weight.path
    if expansion is None:
        return Place(layer, name, path)
    source = Source(
        (weight.theta,),
        {name: tuple(weight.shape)},
        lambda: ops.reshape(expansion.expand(weight.theta), (-1,)),
        lambda _: {name: holder.structures[weight.path]},
        product=weight.product is not None,
    )
    return Place(layer, name, path, source)


def _written(layer: Any, way: str, holder: Any) -> Iterator[Place]:
    """The weights of which the class of a holder speaks, a layer inside another to which `way` leads."""
    is_around = base_of(holder) is keras.layers.Wrapper
    inside = f"{way}layer/" if is_around else way
    own = {v.name: v for v in (*holder._trainable_variables, *holder._non_trainable_variables)}
    for key, said in stated(holder).items():
        path = f"{inside}{key}"
        name, ident = name_of(layer.name, layer, path), key.replace("/", "_")
        place = Place(layer, name, path.removeprefix("layer/") if is_around and not way else path)
        if said == TIED:
            yield place
            continue
        shape = tuple(ops.shape(_whole(holder, ident)))
        source = Source(
            (own[ident],),
            {name: shape},
            partial(_entries, holder, ident),
            partial(_own, holder, key, name, shape, said),
            product=ident == "kernel" and _multiplies(holder),
            stated={name: said},
        )
        yield place.replace(source=source)
    if is_around and holder is layer:
        for path in _given(layer):
            yield Place(layer, name_of(layer.name, layer.layer, path), path)


def _own(
    holder: Any, key: str, name: str, shape: tuple[int, ...], annotations: str, loads: Loads
) -> dict[str, tuple[Equation, ...]]:
    word = key.rpartition("/")[2]  # what annotations call it that say something of it by itself
    return {name: equations_of(holder, {word: shape}, {word: annotations}, loads)[word]}


def _multiplies(layer: Any) -> bool:
    """Whether the class of a layer has a `call` of its own in which the kernel is not made."""
    call = vars(type(layer)).get("call")
    return inspect.isfunction(call) and base_of(layer) is keras.layers.Dense and "kernel" not in call.__code__.co_names


class _AsStored:
    """A layer to its own properties, but that it computes in the dtype in which it stores."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        return self.layer.variable_dtype if name == "compute_dtype" else getattr(self.layer, name)


def _whole(holder: Any, ident: str) -> Any:
    """A weight as its class computes it."""
    if method := getattr(holder, f"whole_{ident}", None):
        return method()
    whole = getattr(type(holder), ident, None)
    if isinstance(whole, property) and whole.fget:
        return whole.fget(_AsStored(holder))
    return getattr(holder, ident)


def _entries(holder: Any, ident: str) -> Any:
    return ops.reshape(_whole(holder, ident), (-1,))


# What comes with each call


def _given(layer: Any) -> Mapping[str, Any]:
    """The tensors of the graph that a layer is given as weights, by the ways to these."""
    if not layer._inbound_nodes:
        return {}
    given = layer._inbound_nodes[0].arguments.kwargs
    if isinstance(given.get("tied"), dict):
        return given["tied"]  # type: ignore[no-any-return]
    return {key: given[key] for key, said in stated(layer).items() if said == TIED} if is_written(layer) else {}


def tensor_at(place: Place) -> Any:
    """The tensor of the graph that a layer is given as a weight."""
    return _given(place.layer)[place.path]


def effective_weights(model: Any, inputs: Any = None) -> dict[str, Array]:
    """The structured weights of a model as its forward pass uses them. See `wdsl.effective_weights`."""
    return {place.name: array for place, array in effective(model, inputs)}


def effective(model: Any, inputs: Any = None) -> list[tuple[Place, Array]]:
    """The place and the value of each structured weight: first those that the layers hold themselves."""
    all_of_them = [place for layer in layers_of(model) for place in places(layer)]
    found = [(each, each.source.array()) for each in all_of_them if each.source]
    if tied := [each for each in all_of_them if not each.source]:
        values = _in_calls(model, dict.fromkeys(each.layer for each in tied), inputs)
        found += [(each, values[id(each.layer)][each.path]) for each in tied]
    return found


def _in_calls(model: Any, tied: Mapping[Any, None], inputs: Any) -> dict[int, dict[str, Array]]:
    """What layers are given as weights in a forward pass, by the layers' ids."""
    values: dict[int, dict[str, Array]] = {}

    def listening(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(call)

        def called(*arguments: Any, **options: Any) -> Any:
            bound = signature.bind(*arguments, **options).arguments
            bound |= bound.get("options", {})
            given = bound["tied"] if isinstance(bound.get("tied"), dict) else bound
            paths = [place.path for place in places(layer) if not place.source]
            values[id(layer)] = {path: ops.convert_to_numpy(given[path]) for path in paths}
            return call(*arguments, **options)

        return called

    with contextlib.ExitStack() as stack, keras.StatelessScope():
        for layer in tied:
            stack.callback(_put_back, layer, vars(layer).get("call"))
            vars(layer)["call"] = listening(layer, layer.call)
        _run(model, inputs)
    if missing := next((each for each in tied if id(each) not in values), None):
        raise ValueError(
            f"layer {missing.name!r} is given weights with each call, and nothing calls it on what model "
            f"{model.name!r} takes: give `effective_weights` some inputs"
        )
    return values


def _put_back(layer: Any, call: Any) -> None:
    if call is None:
        del vars(layer)["call"]
    else:
        vars(layer)["call"] = call


def _run(model: Any, inputs: Any) -> None:
    if inputs is not None:
        model(inputs)
    elif getattr(model, "inputs", None):
        taken = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        model(
            keras.tree.map_structure(
                lambda t: ops.zeros((t.shape[0] or 1, *(n or 64 for n in t.shape[1:])), t.dtype), taken
            )
        )
    else:  # it has no graph, but models in it may
        for each in getattr(model, "layers", ()):
            _run(each, None)


def structures_of(model: Any, loads: Loads) -> Iterator[tuple[str, Array, Sequence[Equation], str | None]]:
    """The structured weights of a model that are not tied, and those that are shared.

    For each its name, its value in a forward pass, its equations, and how its class states them, if that does. The
    equations of a coupled weight are about all that it is coupled with, in a row.
    """
    for layer in layers_of(model):
        given = graph_source(layer) if layer.built else None
        for source in (given,) if given else (place.source for place in places(layer)):
            if source:
                array = source.array()
                for name, equations in source.read(loads).items():
                    yield name, array, equations, (source.stated or {}).get(name)
