"""The syntax tree. Nodes are frozen and know their place; two nodes are equal when they say the same."""

from __future__ import annotations

from typing import TypeAlias

from wdsl.record import Record, field
from wdsl.source import Source, Span


class Node(Record):
    span: Span = field(compare=False, kw_only=True)


# Expressions


class Literal(Node):
    value: int | float | str | bool | None


class Name(Node):
    id: str


class Unary(Node):
    operator: str
    operand: Expression


class Binary(Node):
    operator: str
    left: Expression
    right: Expression


class Conditional(Node):
    """`then if test else otherwise`"""

    then: Expression
    test: Expression
    otherwise: Expression


class Chain(Node):
    """`first -> second -> …`"""

    stages: tuple[Expression, ...]


class Argument(Node):
    """`value` or `name=value` in a call."""

    name: Name | None
    value: Expression


class Call(Node):
    function: Expression
    arguments: tuple[Argument, ...]


class Attribute(Node):
    value: Expression
    name: Name


class Subscript(Node):
    value: Expression
    items: tuple[Expression, ...]


class Slice(Node):
    start: Expression | None
    stop: Expression | None
    step: Expression | None


class Tuple(Node):
    items: tuple[Expression, ...]


class List(Node):
    items: tuple[Expression, ...]


class Where(Node):
    """`where predicate`, a region."""

    predicate: Expression


class By(Node):
    """`by key`: entries with the same key, a grouping."""

    key: Expression


class Axis(Node):
    """`axis 2`: entries with the same index on that axis, a grouping."""

    axis: Expression


class Unknown(Node):
    """`?`, a size that is not known until the network runs."""


Expression: TypeAlias = (
    Literal | Name | Unary | Binary | Conditional | Chain | Call | Attribute | Subscript | Slice | Tuple | List
    | Where | By | Axis | Unknown
)  # fmt: skip


# Statements


class Documented(Node):
    """Something that `##` lines may stand above."""

    doc: str = field(default="", kw_only=True)


class Annotation(Node):
    """`name[regions](arguments) = value via mechanism`, all but the name optional."""

    name: Name
    regions: tuple[Expression, ...] | None
    arguments: tuple[Argument, ...] | None
    value: Expression | None
    via: Name | None


class WeightAnnotations(Node):
    """`query.kernel: symmetric, zero[diagonal]` in the braces of a layer."""

    path: Name
    annotations: tuple[Annotation, ...]


class Input(Documented):
    name: Name
    dtype: Name | None
    dimensions: tuple[Expression, ...]


class Layer(Documented):
    name: Name
    value: Expression
    annotations: tuple[Annotation, ...]
    weights: tuple[WeightAnnotations, ...]


class Weight(Documented):
    """`weight name: [sizes] = initializer annotations`, a weight of no layer."""

    name: Name
    dimensions: tuple[Expression, ...]
    value: Expression | None
    annotations: tuple[Annotation, ...]


class Binding(Node):
    names: tuple[Name, ...]
    value: Expression


class Output(Documented):
    name: Name | None
    value: Expression


Statement: TypeAlias = Input | Layer | Weight | Binding | Output


class Parameter(Documented):
    name: Name
    type: Name | None
    default: Expression | None


class Network(Documented):
    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


class File(Record):
    """A file. `lost` are the names that statements with syntax errors would have declared."""

    source: Source = field(compare=False)
    networks: tuple[Network, ...]
    lost: frozenset[str] = frozenset()
