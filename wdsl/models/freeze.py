"""Models without structure, for inference: each structured layer as the plain one with the same weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras  # noqa: TID251

from wdsl.models.weights import Place, effective, holders, places, plain_of
from wdsl.models.written import Loads, base_of, is_written
from wdsl.runtime import variable_at
from wdsl.structure.patterns import pattern_of

MODELS = (keras.Sequential, keras.src.models.Functional)


def freeze(model: keras.Model, loads: Loads, keep_products: bool = True) -> keras.Model:
    """A copy of a model in which structured layers are plain ones. See `wdsl.freeze`."""
    if not isinstance(model, MODELS):
        raise ValueError(f"{type(model).__name__} {model.name!r} is no functional model, and cannot be copied")
    copies: list[tuple[Any, Any, list[Place]]] = []
    given: dict[Any, list[str]] = {}
    """What copies are no more given with each call."""

    def copy(layer: Any) -> Any:
        if isinstance(layer, MODELS):
            return copy_model(layer)
        structured = places(layer) if isinstance(layer, keras.Layer) else []
        if keep_products and any(_pays(each, loads) for each in structured):
            structured = []
        copied = _plain(layer) if structured else type(layer).from_config(_config(layer))
        if isinstance(layer, keras.Layer):  # and not an operation
            copies.append((layer, copied, structured))
        if structured:
            given[copied] = ["tied", *(each.path for each in structured if each.source is None)]
        return copied

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        for name in given.get(layer, ()):
            kwargs.pop(name, None)
        return layer(*args, **kwargs)

    def copy_model(model: Any) -> Any:
        # A Sequential has nothing that is tied; Keras takes no way to call its layers.
        way = {} if isinstance(model, keras.Sequential) else {"call_function": call}
        return keras.models.clone_model(model, clone_function=copy, **way)

    frozen: Any = copy_model(model)
    values = {(id(place.layer), place.path): array for place, array in effective(model)}
    for layer, copied, structured in copies:
        _give(layer, copied, structured, values)
    frozen._called = True  # Keras exports models alone that were
    return frozen


def _config(layer: Any) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()
    return config


def _plain(layer: Any) -> Any:
    """A copy of a layer without structure in it, or in layers inside it."""
    inner = plain_of(layer)
    kind = base_of(inner) if is_written(inner) else type(inner)
    config = kind.get_config(inner)
    config.pop("build_config", None)
    classes = {
        keras.saving.get_registered_name(type(each)): _Base(each) for _, each in holders(inner) if is_written(each)
    }
    with keras.saving.custom_object_scope(classes):
        return kind.from_config(config | {"name": layer.name})


class _Base:
    """What Keras constructs in place of a class of a written module: the one that it is, but for structure."""

    def __init__(self, layer: Any) -> None:
        self.base = base_of(layer)
        self.own = layer.get_config().keys() - self.base.get_config(layer).keys()

    def from_config(self, config: dict[str, Any]) -> Any:
        return self.base.from_config({name: value for name, value in config.items() if name not in self.own})


def _give(layer: Any, copied: Any, structured: Iterable[Place], values: dict[tuple[int, str], Any]) -> None:
    """Give a copy of a layer the weights as they are now."""
    paths = {id(variable_at(copied, each.path)[1]): each.path for each in structured}
    numbers = {id(each) for place in structured if place.source for each in place.source.variables}
    rest = (each for each in layer.variables if id(each) not in numbers)
    for variable in copied.variables:
        path = paths.get(id(variable))
        variable.assign(values[id(layer), path] if path else next(rest))


def _pays(place: Place, loads: Loads) -> bool:
    """Whether a weight is multiplied in less work than a plain layer does."""
    if place.source is None or not place.source.product:
        return False
    pattern = pattern_of(place.source.expansion(place.source.read(loads)).solved)
    return pattern is not None and pattern.pays_in_inference
