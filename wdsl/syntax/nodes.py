"""The syntax tree. Nodes are frozen and know their place; two nodes are equal when they say the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from wdsl.source import Source, Span


@dataclass(frozen=True, slots=True)
class Node:
    span: Span = field(compare=False, repr=False, kw_only=True)


# Expressions


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: int | float | str | bool | None


@dataclass(frozen=True, slots=True)
class Name(Node):
    id: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`then if test else otherwise`"""

    then: Expression
    test: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """`first -> second -> …`"""

    stages: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """`value` or `name=value` in a call."""

    name: Name | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: Expression
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    value: Expression
    name: Name


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    value: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Slice(Node):
    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class List(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Where(Node):
    """`where predicate`, a region."""

    predicate: Expression


@dataclass(frozen=True, slots=True)
class Unknown(Node):
    """`?`, a size that is not known until the network runs."""


Expression: TypeAlias = (
    Literal | Name | Unary | Binary | Conditional | Chain | Call | Attribute | Subscript | Slice | Tuple | List
    | Where | Unknown
)  # fmt: skip


# Statements


@dataclass(frozen=True, slots=True)
class Documented(Node):
    """Something that `##` lines may stand above."""

    doc: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Annotation(Node):
    """`name[regions](arguments) = value via mechanism`, all but the name optional."""

    name: Name
    regions: tuple[Expression, ...] | None
    arguments: tuple[Argument, ...] | None
    value: Expression | None
    via: Name | None


@dataclass(frozen=True, slots=True)
class WeightAnnotations(Node):
    """`query.kernel: symmetric, zero[diagonal]` in the braces of a layer."""

    path: Name
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Input(Documented):
    name: Name
    dtype: Name | None
    dimensions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Layer(Documented):
    name: Name
    value: Expression
    annotations: tuple[Annotation, ...]
    weights: tuple[WeightAnnotations, ...]


@dataclass(frozen=True, slots=True)
class Binding(Node):
    names: tuple[Name, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Output(Documented):
    name: Name | None
    value: Expression


Statement: TypeAlias = Input | Layer | Binding | Output


@dataclass(frozen=True, slots=True)
class Parameter(Documented):
    name: Name
    type: Name | None
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Network(Documented):
    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class File:
    source: Source = field(compare=False, repr=False)
    networks: tuple[Network, ...]
