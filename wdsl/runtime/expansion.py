"""The way between a weight and its free parameters."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from wdsl.runtime.placement import Placement
from wdsl.runtime.products import MatrixProduct, product_of
from wdsl.structure.equations import Equation
from wdsl.structure.pieces import Indices, Shape, index_type
from wdsl.structure.solution import index_map


class Expansion:
    """The way between a weight and its free parameters, theta."""

    constraint: Any = None

    def __init__(self, equations: Iterable[Equation], shape: Shape, also_known: Any = False) -> None:
        equations = tuple(equations)
        solved = index_map(equations, shape, also_known)
        self.solved, self.shape, self.size = solved, shape, solved.size
        self.scale, self.constant = solved.scale, solved.constant
        self.is_trained = all(equation.is_trained for equation in equations)
        self.is_dense = self.size == solved.index.size
        self.is_reordered = False
        # So says a plain `equal`. Others come to one number by accident, and the sum of
        # the gradients has another order then.
        stored = [equation for equation in equations if equation.is_trained]
        self.is_one = self.size == len(stored) == 1 and getattr(stored[0], "items", None) == ()

    @functools.cached_property
    def entries(self) -> Placement:
        """Where free parameters stand: needed once the weight is made."""
        return Placement(self.solved.index, self.size)

    def expand(self, theta: Any) -> Any:
        """The weight: each entry is a multiple of its free parameter, or constant."""
        weight = self.spread(theta)
        if self.scale is not None:
            weight = weight * ops.cast(self.scale, weight.dtype)
        if self.constant is not None:
            weight = weight + ops.cast(self.constant, weight.dtype)
        return weight

    def spread(self, theta: Any) -> Any:
        """The free parameter behind each entry, or zero."""
        if self.is_dense:
            return ops.reshape(theta, self.shape)
        if self.is_one:
            return ops.broadcast_to(theta, self.shape)
        return self.entries(theta)

    def reduce(self, *drawn: tuple[Any, Any]) -> Any:
        """The free parameters of drawn weights: the first entry of each group.

        With each weight comes its initializer. Where zeros leave less than that counted
        on, the rest is scaled up, so that outputs vary as they would without zeros.
        """
        if self.is_dense and len(drawn) == 1:
            return drawn[0][0]
        live = self.solved.index.ravel() >= 0
        if self.constant is not None:
            live = live | (self.constant.ravel() != 0)
        parts, start = [], 0
        for weight, initializer in drawn:
            part, stop = ops.reshape(weight, (-1,)), start + math.prod(weight.shape)
            if isinstance(initializer, keras.initializers.VarianceScaling):
                mask = live[start:stop].reshape(weight.shape)
                dense_fan = mean_fan(np.ones_like(mask), initializer)
                part = part * math.sqrt(dense_fan / mean_fan(mask, initializer))
            parts.append(part)
            start = stop
        flat = ops.concatenate(parts) if len(parts) > 1 else parts[0]
        return ops.take(flat, self.first_entries(), axis=0)

    def first_entries(self) -> Indices:
        """Where each free parameter stands first in the weight."""
        index = self.solved.index.ravel()
        live = np.flatnonzero(index >= 0)[::-1]
        first = np.empty(self.size, index_type(index.size))
        first[index[live]] = live  # the last that is written is the first in order
        return first

    def product(self) -> MatrixProduct | None:
        """How to multiply by the weight, a matrix, in less work than by making it.

        That can put the free parameters into another order.
        """
        before = self.solved.index
        product, self.solved = product_of(self.solved)
        self.is_reordered = self.solved.index is not before
        return product

    def add_theta(self, layer: Any, name: str, draw: Callable[[], Any], regularizer: Any) -> Any:
        """Give a layer the free parameters of a weight, from what `draw` returns.

        That is a weight and its initializer. A regularizer sees the whole weight.
        """
        return layer.add_weight(
            name=name,
            shape=self.shape if self.is_dense else (self.size,),
            initializer=lambda shape, dtype: ops.cast(self.reduce(draw()), dtype),
            trainable=self.is_trained,
            regularizer=regularizer and OnWeight(regularizer, self),
            constraint=self.constraint,
            autocast=False,
        )


def expansion_of(equations: Sequence[Equation], shape: Shape) -> Expansion:
    """An expansion, of the kind that the equations ask for."""
    kinds = (getattr(equation, "expansion", Expansion) for equation in equations)
    kind = next((kind for kind in kinds if kind is not Expansion), Expansion)
    return kind(equations, shape)


class OnWeight(keras.regularizers.Regularizer):
    """A regularizer of a weight, given the weight's free parameters."""

    def __init__(self, regularizer: Any, expansion: Expansion) -> None:
        self.regularizer, self.expansion = regularizer, expansion

    def __call__(self, theta: Any) -> Any:
        return self.regularizer(self.expansion.expand(theta))


def mean_fan(live: np.ndarray, initializer: Any) -> float:
    """The fan that a variance scaling initializer divides by, of the entries alive.

    That is how many an output or an input has on average, if it has any.
    """
    count, rank = float(live.sum()), live.ndim
    # Keras has these axes since version 3.15, and sets them in EinsumDense.
    inputs = getattr(initializer, "input_axes", None)
    outputs = getattr(initializer, "output_axes", None)
    if inputs is None or outputs is None:
        if rank < 2:
            return count or 1.0
        inputs, outputs = (rank - 2,), (rank - 1,)

    def mean(ends: Sequence[int]) -> float:
        others = set(range(rank)) - {axis % rank for axis in ends}
        return count / (live.any(axis=tuple(others)).sum() or 1) or 1.0

    fans = {"fan_in": mean(outputs), "fan_out": mean(inputs)}
    return fans.get(initializer.mode, sum(fans.values()) / 2)


def with_fans(initializer: Any, fans: Any) -> Any:
    """An initializer that counts these axes as inputs and outputs, as in EinsumDense.

    Keras does so since version 3.15, where the initializer scales and has no axes yet.
    """
    has_none = None in (
        getattr(initializer, "input_axes", 0),
        getattr(initializer, "output_axes", 0),
    )
    if not fans or not has_none:
        return initializer
    inputs, outputs = map(list, fans)
    axes = {"seed": initializer.seed, "input_axes": inputs, "output_axes": outputs}
    return type(initializer).from_config(initializer.get_config() | axes)
