"""Layers inside layers: what one that was constructed as an argument gives to the layer around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wdsl.catalog.model import CatalogError, Inferred, TensorSpec
from wdsl.catalog.names import keras_name
from wdsl.catalog.rows import Inner, Layer


def inner_name(inner: Inner) -> str:
    """The name that Keras has for the layer, if it is the first of its class."""
    return inner.name or keras_name(inner.row.name)


def inside(way: str, holder: str) -> str:
    """The way to the holder of a weight, of which this is the first part."""
    return f"{way}/{holder}" if holder else way


def infer_inner(
    layer: Layer, argument: str, inner: Inner, x: TensorSpec, call: Mapping[str, Any] | None = None
) -> Inferred:
    """What the layer that is the argument of another gives for one tensor.

    Its weights' paths and the arguments that they name are the outer layer's. Raises CatalogError for what it
    refuses, and for a layer that is not one from a tensor to a tensor.
    """
    call = call or {}
    first, *others = inner.row.call
    if "tensor" not in first.type.split() or any(each.required and each.name not in call for each in others):
        raise CatalogError(f"`{layer.name}` takes a layer of one tensor, and `{inner.row.name}` is none", argument)
    given = {each.name: each.default for each in others} | {first.name: x} | dict(call)
    try:
        inferred = inner.row.infer(inner.arguments, given)
    except CatalogError as error:
        is_own = error.argument is not None and re.split(r"[.\[]", error.argument)[0] in inner.arguments
        where = f"{argument}.{error.argument}" if is_own else error.argument
        raise CatalogError(error.message, where) from None

    way = re.sub(r"\[(\d+)\]", r"/\1", argument)

    def outer(own: str | None) -> str | None:
        return own and f"{argument}.{own}"

    moved = (
        each.replace(
            path=f"{inner_name(inner)}/{each.path}",
            holder=inside(way, each.holder),
            initializer=outer(each.initializer),
            regularizer=outer(each.regularizer),
            constraint=outer(each.constraint),
            scope=f"{argument}.{each.scope}",
        )
        for each in inferred.weights
    )
    return inferred.replace(weights=tuple(moved))
