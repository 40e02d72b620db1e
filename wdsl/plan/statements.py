"""What a plan is made of: the statements of Python functions, which both backends follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from wdsl.core import expressions as ex
from wdsl.core.record import Record, field
from wdsl.network.graph import Parameter
from wdsl.text.source import Span


class Step(Record):
    """`targets = value`. `span` is the statement of the file that asks for it, `doc` what is written above that."""

    targets: tuple[ex.Expression, ...]
    value: ex.Expression
    span: Span = field(compare=False)
    doc: str = field(default="", compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables among the targets; the others are items of one."""
        return tuple(each.name for each in self.targets if isinstance(each, ex.Variable))


class For(Record):
    """`for targets in values`. Where those are numbered, the first target is the number."""

    targets: tuple[str, ...]
    values: ex.Expression
    body: Body
    span: Span = field(compare=False)

    @property
    def is_unknown(self) -> bool:
        """Whether no pass was seen."""
        return bool(self.body) and isinstance(self.body[0], Refuse) and self.body[0].test == ex.HOLE

    @property
    def is_numbered(self) -> bool:
        return isinstance(self.values, ex.Call) and self.values.function == ex.Symbol("enumerate")

    def is_like(self, other: For) -> bool:
        """Whether another one, which may be numbered, goes through the same values."""
        values = other.values.arguments[0] if other.is_numbered and isinstance(other.values, ex.Call) else other.values
        return values == self.values and other.targets[-len(self.targets) :] == self.targets

    def head(self, names: Callable[[str], str] = str) -> str:
        """The targets as they are written: `i, (width, depth)`."""
        first, *rest = map(names, self.targets)
        if self.is_numbered and len(rest) > 1:
            return f"{first}, ({', '.join(rest)})"
        return ", ".join([first, *rest])


class If(Record):
    """`if … elif … else`: a test for each body but the last. What is None is not known, and must not be needed."""

    tests: tuple[ex.Expression, ...]
    bodies: tuple[Body | None, ...]
    text: str
    span: Span = field(compare=False)


class Refuse(Record):
    """`if test: raise ValueError(message)`"""

    test: ex.Expression
    message: str
    span: Span = field(compare=False)


Statement: TypeAlias = Step | For | If | Refuse
Body: TypeAlias = tuple[Statement, ...]


class Function(Record):
    """A block: a function of its inputs and parameters.

    If `made` is not None, it may be applied many times: it is a function of the parameters, which makes the layers in
    it and returns a function of the inputs, of which `body` and `results` are.
    """

    name: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    made: Body | None
    body: Body
    results: tuple[ex.Expression, ...]
    doc: str
    span: Span = field(compare=False)

    @property
    def is_named(self) -> bool:
        """Whether it takes a name, for the names of the layers that it makes to begin with."""
        found = (*expressions(self.everything), *self.results)
        return any(ex.NAME.name in ex.variables(each) for each in found)

    @property
    def everything(self) -> Body:
        return (*(self.made or ()), *self.body)


def walk(body: Sequence[Statement]) -> Iterator[Statement]:
    """Statements, and those in them."""
    for statement in body:
        yield statement
        match statement:
            case For(_, _, inside):
                yield from walk(inside)
            case If(_, bodies):
                for each in bodies:
                    yield from walk(each or ())


def variables(body: Sequence[Statement]) -> Iterator[str]:
    """The names that statements give, those of loops' variables among them."""
    for each in walk(body):
        match each:
            case Step():
                yield from each.names
            case For(targets):
                yield from targets


def expressions(body: Sequence[Statement]) -> Iterator[ex.Expression]:
    """The expressions in statements, what they assign to aside."""
    for statement in walk(body):
        match statement:
            case Step(targets, value):
                yield value
                yield from (each.index for each in targets if isinstance(each, ex.Subscript))
            case For(_, values):
                yield values
            case If(tests):
                yield from tests
            case Refuse(test):
                yield test


def mapped(body: Sequence[Statement], change: Callable[[ex.Expression], ex.Expression]) -> Body:
    """Statements with their expressions changed, those that are assigned to as well."""
    found: list[Statement] = []
    for statement in body:
        match statement:
            case Step(targets, value):
                found.append(statement.replace(targets=tuple(map(change, targets)), value=change(value)))
            case For(_, values, inside):
                found.append(statement.replace(values=change(values), body=mapped(inside, change)))
            case If(tests, bodies):
                changed = tuple(None if each is None else mapped(each, change) for each in bodies)
                found.append(statement.replace(tests=tuple(map(change, tests)), bodies=changed))
            case Refuse(test):
                found.append(statement.replace(test=change(test)))
    return tuple(found)


def merged(first: Sequence[Statement], second: Sequence[Statement]) -> Body | None:
    """What does as both do, where either has to leave something open; None if there is no such thing."""
    if len(first) != len(second):
        return None
    found: list[Statement] = []
    for one, other in zip(first, second, strict=True):
        match one, other:
            case Step(), Step() if one.targets == other.targets:
                if (value := _merged(one.value, other.value)) is None:
                    return None
                found.append(one.replace(value=value))
            case For(), For() if one.is_unknown and one.is_like(other):
                found.append(other)
            case For(), For() if other.is_unknown and other.is_like(one):
                found.append(one)
            case For(), For() if (one.targets, one.values) == (other.targets, other.values):
                if (body := merged(one.body, other.body)) is None:
                    return None
                found.append(one.replace(body=body))
            case If(), If() if one.tests == other.tests:
                bodies: list[Body | None] = []
                for mine, yours in zip(one.bodies, other.bodies, strict=True):
                    if mine is None or yours is None:
                        bodies.append(yours if mine is None else mine)
                    elif (both := merged(mine, yours)) is not None:
                        bodies.append(both)
                    else:
                        return None
                found.append(one.replace(bodies=tuple(bodies)))
            case _ if one == other:
                found.append(one)
            case _:
                return None
    return tuple(found)


def _merged(one: ex.Expression, other: ex.Expression) -> ex.Expression | None:
    if one == other or other == ex.HOLE:
        return one
    if one == ex.HOLE:
        return other
    if not isinstance(one, ex.Operation | ex.Call | ex.Sequence) or type(one) is not type(other):
        return None
    parts = [ex.parts(each) for each in (one, other)]
    if len(parts[0]) != len(parts[1]):
        return None
    both = [_merged(*pair) for pair in zip(*parts, strict=True)]
    if any(each is None for each in both):
        return None
    found, same = (ex.with_parts(each, both) for each in (one, other))  # type: ignore[arg-type]
    return found if found == same else None  # else an operator or a keyword is another one


def without_unused(body: Sequence[Statement], results: Sequence[ex.Expression]) -> Body:
    """Statements without those that assign what nothing reads."""
    while True:
        read = {name for each in (*expressions(body), *results) for name in ex.variables(each)}
        kept = _kept(body, read)
        if kept == tuple(body):
            return kept
        body = kept


def _kept(body: Sequence[Statement], read: set[str]) -> Body:
    found: list[Statement] = []
    for statement in body:
        match statement:
            case Step(targets) if not any(_held(each) in read for each in targets):
                continue
            case For(_, _, inside):
                if inside := _kept(inside, read):
                    found.append(statement.replace(body=inside))
            case If(_, bodies):
                bodies = tuple(None if each is None else _kept(each, read) for each in bodies)
                if any(each is None or each for each in bodies):
                    found.append(statement.replace(bodies=bodies))
            case _:
                found.append(statement)
    return tuple(found)


def _held(target: ex.Expression) -> str:
    """The variable that a target is, or is an item of."""
    while isinstance(target, ex.Subscript):
        target = target.value
    assert isinstance(target, ex.Variable)
    return target.name
