"""Weights that stand where a layer had variables."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from wdsl.structure.pieces import Shape


class Weight(np.lib.mixins.NDArrayOperatorsMixin):
    """A structured weight, standing where the wrapped layer had a variable.

    During a call it has a value for the thread that calls; if it has a product, that
    is what is stored. Otherwise it is what its free parameters make it.
    """

    def __init__(self, path: str, shape: Shape, dtype: str) -> None:
        self.path, self.shape, self.ndim, self.dtype = path, shape, len(shape), dtype
        self.expansion: Any = None
        self.theta: Any = None
        self.product: Any = None
        self.thread = threading.local()

    @property
    def value(self) -> Any:
        value = getattr(self.thread, "value", None)
        if value is None and self.expansion is None:
            raise RuntimeError(f"Weight {self.path!r} has a value during a call only.")
        return self.expansion.expand(self.theta) if value is None else value

    @property
    def numbers(self) -> Any:
        """What a product takes: in a call what that was given, else what is stored."""
        value = getattr(self.thread, "value", None)
        return self.theta if value is None else value

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        return ops.cast(self.value, dtype.name if dtype else self.dtype)

    def __jax_array__(self) -> Any:
        return self.value

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Any:
        tensors = (x.value if isinstance(x, Weight) else x for x in inputs)
        return getattr(ops, ufunc.__name__)(*tensors)


def follow(layer: Any, path: str) -> tuple[Any, str]:
    """The layer that has a weight, and the weight's name, by the way there.

    "kernel" is the layer's own; "cell/kernel" that of its attribute `cell`.
    """
    *steps, name = path.split("/")
    for step in steps:
        layer = layer[int(step)] if step.isdigit() else getattr(layer, step)
    return layer, name


def variable_at(layer: Any, path: str) -> tuple[Any, Any]:
    """The layer that has a weight, and the weight. Raises ValueError if none has."""
    try:
        owner, name = follow(layer, path)
        own = [*owner._trainable_variables, *owner._non_trainable_variables]
    except (AttributeError, IndexError, TypeError):
        own = []
    found = [variable for variable in own if variable.name == name]
    if len(found) != 1:
        there = ", ".join(v.path.removeprefix(f"{layer.path}/") for v in layer.weights)
        raise ValueError(
            f"{len(found) or 'No'} weights of layer {layer.name!r} are {path!r}; its weights are {there or 'none'}."
        )
    return owner, found[0]


PARTS = {
    "cell": "",
    "cells": "",
    "layer": "",
    "forward_layer": "forward",
    "backward_layer": "backward",
    "output_dense": "attention_output",
}


def name_of(name: str, layer: Any, path: str) -> str:
    """What a file calls a weight of a layer with this name: "read.forward.kernel"."""
    words, part = [name], layer
    *steps, last = path.split("/")
    for step in steps:
        part = part[int(step)] if step.isdigit() else getattr(part, step)
        plain = step.removeprefix("_")
        word = part.name if step.isdigit() else PARTS.get(plain, plain)
        words.append(word.removesuffix("_dense"))
    return ".".join([*filter(None, words), last])


def take_out(layer: Any, path: str) -> tuple[Any, Any, int, Weight]:
    """Put a `Weight` where a layer, or a layer inside it, has a variable.

    Returns the layer that the variable belonged to, the variable, its place among those
    of the layer that are trained, and the weight.
    """
    owner, variable = variable_at(layer, path)
    trained = [id(each) for each in owner._trainable_variables]
    place = trained.index(id(variable)) if id(variable) in trained else 0
    holders = [
        (holder, name)
        for holder in layer._flatten_layers()
        for name, value in vars(holder).items()
        if value is variable
    ]
    dtype = owner.compute_dtype if owner.autocast else owner.variable_dtype
    weight = Weight(path, tuple(variable.shape), dtype if variable._autocast else variable.dtype)
    for holder, name in holders:
        # Keras forgets the variable here, TensorFlow when the attribute goes, which
        # must not hold it then: Layer.__delattr__ would collect all garbage first.
        holder._untrack_variable(variable)
        setattr(holder, name, None)
        delattr(holder, name)
        setattr(holder, name, weight)
        # Dense and some others save weights by name; save what is still tracked.
        for method in ("save_own_variables", "load_own_variables"):
            default = getattr(keras.Layer, method)
            setattr(holder, method, functools.partial(default, holder))
    return owner, variable, place, weight


@contextlib.contextmanager
def drawing_later() -> Iterator[None]:
    """A scope at whose end variables get their values; until then they know where from.

    If a value cannot be drawn, Keras would try again at the end of each later scope.
    """
    scope = keras.StatelessScope()
    try:
        with scope:
            yield
    except Exception:
        if scope.original_scope is None:
            state = keras.src.backend.common.global_state
            state.set_global_attribute("uninitialized_variables", [])
        raise
