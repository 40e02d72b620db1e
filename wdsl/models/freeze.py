"""Models without structure, for inference: each structured layer as the plain one with the same weights."""

from __future__ import annotations

from typing import Any

import keras  # noqa: TID251

from wdsl.patterns import pattern_of
from wdsl.runtime import effective_weights, has_structure, name_of, variable_at


def freeze(model: keras.Model, keep_products: bool = True) -> keras.Model:
    """A copy of a model in which structured layers are plain ones. See `wdsl.freeze`."""
    if not isinstance(model, (keras.Sequential, keras.src.models.Functional)):
        raise ValueError(f"{type(model).__name__} {model.name!r} is no functional model, and cannot be copied")
    copies: list[tuple[Any, Any, bool]] = []
    plain: set[Any] = set()

    def copy(layer: Any) -> Any:
        is_structured = has_structure(layer)
        is_frozen = is_structured and not (keep_products and any(map(_pays, layer.structured)))
        original = layer.layer if is_frozen else layer
        config = original.get_config()
        if is_frozen:
            config.pop("build_config", None)
        copied = type(original).from_config(config | {"name": layer.name})
        if isinstance(layer, keras.Layer):  # and not an operation
            copies.append((layer, copied, is_frozen))
        if is_frozen:
            plain.add(copied)
        return copied

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer in plain:
            kwargs.pop("tied", None)
        return layer(*args, **kwargs)

    # A Sequential has nothing that is tied; Keras takes no way to call its layers.
    way = {} if isinstance(model, keras.Sequential) else {"call_function": call}
    frozen: Any = keras.models.clone_model(model, clone_function=copy, recursive=True, **way)
    values = effective_weights(model)
    for layer, copied, is_frozen in copies:
        if not is_frozen:
            copied.set_weights(layer.get_weights())
            continue
        structured = {id(variable_at(copied, w.path)[1]): w for w in layer.structured}
        free = {id(w.theta) for w in layer.structured}
        rest = iter([each for each in layer.layer.variables if id(each) not in free])
        for variable in copied.variables:
            weight = structured.get(id(variable))
            name = weight and name_of(layer.name, layer.layer, weight.path)
            variable.assign(values[name] if name else next(rest))
    return frozen


def _pays(weight: Any) -> bool:
    """Whether a weight is multiplied in less work than a plain layer does."""
    pattern = pattern_of(weight.expansion.solved) if weight.product else None
    return pattern is not None and pattern.pays_in_inference
