"""Layers and steps in the names of the whole network, or in those of the block or loop that they stand in.

What is elaborated is said in both (see `expressions.Seen`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wdsl.annotations.equations import Equation, Tie, View
from wdsl.catalog import Constructed, Inner, TensorSpec, Weight
from wdsl.core import expressions as ex
from wdsl.core.sizes import Dim, size_inside, size_outside
from wdsl.network import graph
from wdsl.network.objects import LayerObject

OfExpression = Callable[[ex.Expression], ex.Expression]
OfSize = Callable[[Any], Any]


def frozen(layer: LayerObject) -> graph.Layer:
    _, weights, before, after = layer.first_use or (None, (), "", "")
    return graph.Layer(
        layer.name,
        layer.row,
        layer.expression,
        layer.arguments,
        layer.given,
        weights,
        before,
        after,
        layer.doc,
        layer.span,
        layer.declared,
    )


def layer_inside(layer: graph.Layer) -> graph.Layer:
    """A layer in the names of the block or loop that declares it."""
    return _layer(layer, ex.inside, size_inside)


def input_inside(step: graph.Input) -> graph.Input:
    """An input in the names of the loop that declares it."""
    return step.replace(spec=_spec(step.spec, size_inside))


def weight_inside(weight: graph.FreeWeight) -> graph.FreeWeight:
    """A weight of no layer in the names of the block that declares it."""
    return _free_weight(weight, ex.inside, size_inside)


def network_outside(network: graph.Network) -> graph.Network:
    """A network in its own names, whatever the bodies of its loops and its blocks call things."""
    if not network.is_nested:  # nothing has two names but layers where they are applied
        steps = (_step_outside(each) if isinstance(each, graph.Binding) else each for each in network.steps)
        return network.replace(steps=tuple(steps))
    return network.replace(
        steps=tuple(map(_step_outside, network.steps)),
        outputs=tuple(each.replace(spec=_spec_outside(each.spec)) for each in network.outputs),
        unnamed=tuple(_layer(each, ex.outside, size_outside) for each in network.unnamed),
        equations=tuple(equation_read(each, ex.outside) for each in network.equations),
        ties=tuple(tie_read(each, ex.outside) for each in network.ties),
    )


def _step_outside(step: graph.Step) -> graph.Step:
    match step:
        case graph.Input():
            return step.replace(spec=_spec_outside(step.spec))
        case graph.Layer():
            return _layer(step, ex.outside, size_outside)
        case graph.FreeWeight():
            return _free_weight(step, ex.outside, size_outside)
        case graph.Binding():
            return step.replace(expression=ex.outside(step.expression), specs=tuple(map(_spec_outside, step.specs)))


def _spec_outside(spec: TensorSpec) -> TensorSpec:
    return _spec(spec, size_outside)


def _spec(spec: TensorSpec, of_size: OfSize) -> TensorSpec:
    if not any(isinstance(size, Dim) for size in spec.shape):
        return spec
    return spec.replace(shape=tuple(map(of_size, spec.shape)))


def equation_read(equation: Equation, of: OfExpression) -> Equation:
    """An equation, with its expressions read in one of the ways."""
    return equation.replace(expression=of(equation.expression))


def tie_read(tie: Tie, of: OfExpression) -> Tie:
    """A tie, with its expressions read in one of the ways."""
    view, region = tie.view, tie.region
    factor = None if view.factor is None else of(view.factor)
    return tie.replace(view=View(of(view.expression), factor), region=None if region is None else of(region))


def _layer(layer: graph.Layer, of: OfExpression, of_size: OfSize) -> graph.Layer:
    return layer.replace(
        construct=of(layer.construct),
        arguments=_sizes(layer.arguments, of_size),
        given=_given(layer.given, of),
        weights=tuple(_weight(each, of_size) for each in layer.weights),
    )


def _free_weight(step: graph.FreeWeight, of: OfExpression, of_size: OfSize) -> graph.FreeWeight:
    return step.replace(
        weight=_weight(step.weight, of_size),
        arguments=_sizes(step.arguments, of_size),
        given=_given(step.given, of),
    )


def _weight(weight: Weight, of_size: OfSize) -> Weight:
    return weight.replace(shape=tuple(map(of_size, weight.shape)))


def _given(given: Mapping[str, tuple[ex.Expression, Any]], of: OfExpression) -> Mapping[str, tuple[ex.Expression, Any]]:
    return {name: (of(expression), span) for name, (expression, span) in given.items()}


def _sizes(value: Any, of_size: OfSize) -> Any:
    """The value of an argument, with the sizes in it."""
    match value:
        case Dim():
            return of_size(value)
        case tuple():
            return tuple(_sizes(each, of_size) for each in value)
        case Mapping():
            return {name: _sizes(each, of_size) for name, each in value.items()}
        case Constructed() | Inner():
            return value.replace(arguments=_sizes(value.arguments, of_size))
    return value
