"""The syntax tree. Nodes are frozen and know their place; two nodes are equal when they say the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

from wdsl.core.record import Record, field
from wdsl.text.source import Source, Span


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


class Rest(Node):
    """`...`, any number of axes in the shape of an `extern`."""


class Comprehension(Node):
    """`[element for name in values if test]`. Several names take the items of each value apart."""

    element: Expression
    names: tuple[Name, ...]
    values: Expression
    test: Expression | None


Expression: TypeAlias = (
    Literal | Name | Unary | Binary | Conditional | Chain | Call | Attribute | Subscript | Slice | Tuple | List
    | Comprehension | Where | By | Axis | Unknown | Rest
)  # fmt: skip


def walk(node: Node) -> Iterator[Node]:
    """A node and all that are inside it."""
    yield node
    for name in node._fields:
        value = getattr(node, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Node):
                yield from walk(each)


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
    """`query.kernel: symmetric, zero[diagonal]` in the braces of a layer.

    The path is a Name, or Attributes and Subscripts of one: `conv[0].kernel`.
    """

    path: Expression
    annotations: tuple[Annotation, ...]


class Input(Documented):
    """`input name: dtype[dimensions]`; in a block, `input name` alone, without dimensions.

    With indices, as `input item[i]: [8]`, it is a member of a family.
    """

    name: Name
    dtype: Name | None
    dimensions: tuple[Expression, ...] | None
    indices: tuple[Expression, ...] = ()


class Layer(Documented):
    """`layer name = value annotations { weights }`; with indices, as `layer conv[i] = …`, a member of a family."""

    name: Name
    value: Expression
    annotations: tuple[Annotation, ...]
    weights: tuple[WeightAnnotations, ...]
    indices: tuple[Expression, ...] = ()


class Weight(Documented):
    """`weight name: [sizes] = initializer annotations`, a weight of no layer."""

    name: Name
    dimensions: tuple[Expression, ...]
    value: Expression | None
    annotations: tuple[Annotation, ...]


class Binding(Node):
    """`a, b = value`. `indices` are those of each name, if any name is that of a member of a family: `skip[i] = h`."""

    names: tuple[Name, ...]
    value: Expression
    indices: tuple[tuple[Expression, ...], ...] = ()


class Output(Documented):
    """`output name = value`; with indices, as `output task[i] = …`, a member of a family."""

    name: Name | None
    value: Expression
    indices: tuple[Expression, ...] = ()


class For(Node):
    """`for name in values { body }`. Several names take the items of each value apart."""

    names: tuple[Name, ...]
    values: Expression
    body: tuple[Statement, ...]


class Branch(Node):
    """`if test { body }`"""

    test: Expression
    body: tuple[Statement, ...]


class If(Node):
    """`if test { … } else if test { … } else { … }`: the branches, and what else; None without an `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Statement, ...] | None


class Assert(Node):
    """`assert test, "message"`"""

    test: Expression
    message: Literal | None


Statement: TypeAlias = Input | Layer | Weight | Binding | Output | For | If | Assert


def wiring(statements: Iterable[Statement]) -> Iterator[Node]:
    """What stands in statements, but not the value that a `layer` gives its name to."""
    for statement in statements:
        match statement:
            case For(_, values, body):
                yield from walk(values)
                yield from wiring(body)
            case If(branches, otherwise):
                for branch in branches:
                    yield from walk(branch.test)
                    yield from wiring(branch.body)
                yield from wiring(otherwise or ())
            case Binding(value=value) | Output(value=value):
                yield from walk(value)


# Files


class Parameter(Documented):
    name: Name
    type: Name | None
    default: Expression | None


class Network(Documented):
    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


class Block(Documented):
    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


class Const(Documented):
    name: Name
    value: Expression


class Def(Documented):
    """`def name(parameters) = value`, a function of constants."""

    name: Name
    parameters: tuple[Parameter, ...]
    value: Expression


class Extern(Documented):
    """`extern Name(parameters) = dotted.path : [..., n] -> [..., units]`, a class of layers in Python."""

    name: Name
    parameters: tuple[Parameter, ...]
    path: Name
    takes: tuple[Expression, ...]
    gives: tuple[Expression, ...]


class Import(Node):
    """`import "file.wnet" as name`"""

    path: Literal
    name: Name


class From(Node):
    """`from "file.wnet" import A, B`"""

    path: Literal
    names: tuple[Name, ...]


Declaration: TypeAlias = Import | From | Const | Def | Extern | Block | Network


class File(Record):
    """A file. `lost` are the names that statements with syntax errors would have declared."""

    source: Source = field(compare=False)
    version: int | None
    declarations: tuple[Declaration, ...]
    lost: frozenset[str] = frozenset()

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        return tuple(each for each in self.declarations if isinstance(each, Network))
