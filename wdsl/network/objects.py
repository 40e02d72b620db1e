"""What an expression of a network can stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from wdsl import catalog
from wdsl import expressions as ex
from wdsl.catalog import Constructed, TensorSpec, show_shape
from wdsl.network import constants
from wdsl.network.constants import Value
from wdsl.network.modules import Scope
from wdsl.record import Record
from wdsl.source import Span


class Tensor(Record):
    spec: TensorSpec
    expression: ex.Expression


class Tensors(Record):
    """What a call with several outputs gives."""

    specs: tuple[TensorSpec, ...]
    expression: ex.Expression


class Group(Record):
    """`(a, b)` or `[a, b]` with tensors in it."""

    items: tuple[Tensor, ...]


class ConstructedObject(Record):
    """An initializer, regularizer or constraint."""

    object: Constructed
    expression: ex.Expression


class LayerObject:
    """A constructed layer: what it was constructed with, and what its first use showed of it.

    `name` is None for one that stands in the wiring. `first_use` is the place, the weights, and the shapes before and
    after.
    """

    def __init__(
        self,
        row: catalog.Layer,
        arguments: Mapping[str, Any],
        given: Mapping[str, tuple[ex.Expression, Span]],
        expression: ex.Expression,
        span: Span,
    ) -> None:
        self.row = row
        self.arguments = arguments
        self.given = given
        self.expression = expression
        self.span = span
        self.name: str | None = None
        self.doc = ""
        self.first_use: tuple[Span, tuple[catalog.Weight, ...], str, str] | None = None


class FreeWeightObject(Record):
    """A weight of no layer."""


class Broken(Record):
    """Stands for what an error was reported for, so that it is not reported again."""


BROKEN = Broken()
Result: TypeAlias = (
    Value | Tensor | Tensors | Group | ConstructedObject | LayerObject | FreeWeightObject | Scope | Broken
)  # fmt: skip


def kind_of(result: Result) -> str:
    match result:
        case Value(value):
            return constants.type_name(value)
        case Tensor():
            return "a tensor"
        case Tensors(specs):
            return f"{len(specs)} tensors"
        case Group():
            return "several tensors"
        case LayerObject():
            return "a layer"
        case FreeWeightObject():
            return "a weight, for others to be tied to"
        case Scope():
            return "an imported file"
        case ConstructedObject(constructed):
            return f"a {constructed.kind}"
    return "broken"


def shape_of(spec: TensorSpec) -> str:
    """A tensor's shape as the language writes it, without the batch."""
    return show_shape(spec.shape[1:]) if spec.shape else "a scalar"


def shapes_of(values: Iterable[Any]) -> str:
    shapes = []
    for value in values:
        if isinstance(value, TensorSpec):
            shapes.append(shape_of(value))
        elif isinstance(value, tuple) and value and all(isinstance(each, TensorSpec) for each in value):
            shapes.extend(map(shape_of, value))
    return ", ".join(shapes)
