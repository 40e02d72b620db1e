"""Expressions of the build plan: what the Python backend prints and the Keras backend evaluates.

They are ordinary Python expressions, kept as data. Sizes that depend on a network's parameters carry the expression
that they came from (`Dim`), so that a generated function is right for every value of its arguments.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from wdsl.core.record import Record, field

MOST_PARTS = 1_000
"""How many operations an expression may have that is computed step by step: it is written out in full in the end."""

MOST_DEEP = 250
"""How deeply they may stand in one another. Whoever walks through an expression does so by recursion."""


class Constant(Record):
    value: int | float | str | bool | None


class Variable(Record):
    """A local name: a parameter, a layer, a tensor."""

    name: str


class Named(Record):
    """A constant that a file gives a name. `key` tells it from others of the name, `doc` is what stands above it.

    `depth` says how many constants its value is computed from, one out of the other.
    """

    name: str
    key: str
    value: Expression = field(compare=False)
    doc: str = field(compare=False)
    depth: int = field(compare=False)


class Defined(Record):
    """A function that a file gives a name: `body` in terms of its parameters, each with a type and default or None.

    `key` tells it from others of the name, `doc` is what stands above it.
    """

    name: str
    key: str
    parameters: tuple[tuple[str, str | None, Expression | None], ...] = field(compare=False)
    body: Expression = field(compare=False)
    doc: str = field(compare=False)


class Symbol(Record):
    """A name of the library that the code uses: `layers.Dense`, `ops.matmul`, `Structured`."""

    path: str


class Local(Record):
    """A function that stands beside the network's own."""

    name: str


class External(Record):
    """A class of layers that is neither Keras's nor the runtime's, by its dotted path. Backends bind it to a name."""

    path: str


class Operation(Record):
    """A unary or binary operator, or `if` with (then, test, otherwise)."""

    operator: str
    operands: tuple[Expression, ...]


class Sequence(Record):
    items: tuple[Expression, ...]
    kind: type[list[Any]] | type[tuple[Any, ...]] = tuple


class Unpacked(Record):
    """`*values` in a list."""

    values: Expression


UNPACKED = "**"
"""The key of a dictionary whose items a Mapped has among its own."""


class Mapped(Record):
    """A dictionary with strings as keys."""

    items: tuple[tuple[str, Expression], ...]


class Subscript(Record):
    value: Expression
    index: Expression


class Attribute(Record):
    value: Expression
    name: str


class Call(Record):
    function: Expression
    arguments: tuple[Expression, ...] = ()
    keywords: tuple[tuple[str, Expression], ...] = ()


class Joined(Record):
    """A string put together of texts and of what expressions give, as f-strings are."""

    parts: tuple[str | Expression, ...]


class Lambda(Record):
    parameters: tuple[str, ...]
    body: Expression


class Comprehension(Record):
    """`(element for names in values if test)`, as a tuple. The names stand in the element and the test alone."""

    element: Expression
    names: tuple[str, ...]
    values: Expression
    test: Expression | None


class Seen(Record):
    """What has one name in a block or loop, `inside`, and is known by another one in the whole network, `outside`.

    Expressions are made of these while a network is elaborated, and read in both ways in the end: `inside(…)` is what
    stands in the function of a block or in the body of a loop, `outside(…)` what it is in this use and this pass.
    Whatever else looks into it, finds what is outside.
    """

    inside: Expression
    outside: Expression


Expression: TypeAlias = (
    Constant | Variable | Named | Defined | Symbol | Local | External | Operation | Sequence | Mapped | Subscript
    | Attribute | Call | Joined | Lambda | Comprehension | Unpacked | Seen
)  # fmt: skip


def joined(parts: Iterable[str | Expression]) -> Expression:
    """A string of these parts; a constant if they are all known."""
    texts: list[str | Expression] = []
    for part in parts:
        text = str(part.value) if isinstance(part, Constant) else part
        if isinstance(text, str) and texts and isinstance(texts[-1], str):
            texts[-1] += text
        else:
            texts.append(text)
    return Constant(texts[0]) if len(texts) == 1 and isinstance(texts[0], str) else Joined(tuple(texts))


HOLE = Symbol("(hole)")
"""Stands for the side of a condition of which nothing is known."""


NAME = Variable("(name)")  # a parameter may be called `name`
"""In the function of a block, what the names of its layers begin with."""


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside an expression."""
    match expression:
        case Operation(_, inside) | Sequence(inside):
            return inside
        case Mapped(items):
            return tuple(item for _, item in items)
        case Subscript(value, index):
            return value, index
        case Attribute(value) | Seen(_, value) | Unpacked(value):
            return (value,)
        case Lambda(_, body):
            return (body,)
        case Joined(texts):
            return tuple(each for each in texts if not isinstance(each, str))
        case Comprehension(element, _, values, test):
            return (element, values) if test is None else (element, values, test)
        case Call(function, arguments, keywords):
            return function, *arguments, *(value for _, value in keywords)
    return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and all that are inside it, in the order in which they are written."""
    waiting = [expression]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += parts(one)[::-1]


def extent(expression: Expression) -> tuple[int, int]:
    """How many operations an expression has, as often as they are written, and how deep they are. It is kept."""
    kept: tuple[int, int] | None = expression.__dict__.get("_extent")
    if kept is None:
        count = depth = 0
        for part in parts(expression):
            if not isinstance(part, (Constant, Variable)):
                more, deep = extent(part)
                count, depth = count + more, max(depth, deep)
        kept = count + (not isinstance(expression, (Constant, Variable, Symbol, Sequence, Seen))), depth + 1
        expression.__dict__["_extent"] = kept
    return kept


def is_intricate(expression: Expression) -> bool:
    """Whether an expression has more in it than can be written down."""
    count, depth = extent(expression)
    return count > MOST_PARTS or depth > MOST_DEEP


def with_parts(expression: Expression, parts: Iterable[Expression]) -> Expression:
    """An expression with others in place of those directly inside it."""
    given = iter(parts)
    match expression:
        case Operation(sign):
            return Operation(sign, tuple(given))
        case Sequence(_, kind):
            return Sequence(tuple(given), kind)
        case Mapped(items):
            return Mapped(tuple((key, next(given)) for key, _ in items))
        case Subscript():
            return Subscript(next(given), next(given))
        case Attribute(_, name):
            return Attribute(next(given), name)
        case Lambda(parameters):
            return Lambda(parameters, next(given))
        case Comprehension(_, names, _, test):
            return Comprehension(next(given), names, next(given), None if test is None else next(given))
        case Seen(inside):
            return Seen(inside, next(given))
        case Unpacked():
            return Unpacked(next(given))
        case Joined(texts):
            return joined([each if isinstance(each, str) else next(given) for each in texts])
        case Call(_, arguments, keywords):
            function, positional = next(given), tuple(next(given) for _ in arguments)
            return Call(function, positional, tuple((name, next(given)) for name, _ in keywords))
    return expression


def replaced(expression: Expression, other: Callable[[Expression], Expression | None]) -> Expression:
    """An expression with something else in place of each part for which `other` gives it."""
    if (found := other(expression)) is not None:
        return found
    inside = parts(expression)
    return with_parts(expression, [replaced(part, other) for part in inside]) if inside else expression


def seen(inside: Expression, outside: Expression) -> Expression:
    """An expression that is read in two ways; the one itself if they are the same."""
    while isinstance(outside, Seen):
        outside = outside.outside
    return inside if inside == outside else Seen(inside, outside)


def inside(expression: Expression) -> Expression:
    """An expression in the names of the block or loop that it stands in."""
    return _read(expression, "_inside", lambda each: each.inside, lambda each: each)


def outside(expression: Expression) -> Expression:
    """An expression in the names of the whole network, with what it comes to in place of what is then constant."""
    return _read(expression, "_outside", lambda each: outside(each.outside), _folded)


def _read(
    expression: Expression,
    kept_as: str,
    of: Callable[[Seen], Expression],
    finished: Callable[[Expression], Expression],
) -> Expression:
    if isinstance(expression, Seen):
        return of(expression)
    if not (before := parts(expression)):
        return expression
    kept: Expression | None = expression.__dict__.get(kept_as)
    if kept is not None:
        return kept
    after = [_read(part, kept_as, of, finished) for part in before]
    if all(map(operator.is_, before, after)):
        return expression
    kept = finished(with_parts(expression, after))
    expression.__dict__[kept_as] = kept
    return kept


def folded(expression: Expression) -> Expression:
    """An expression with what it comes to in place of what is computed from constants alone."""
    inside = parts(expression)
    return _folded(with_parts(expression, map(folded, inside))) if inside else expression


def _folded(expression: Expression) -> Expression:
    """The same, if it is so for its parts."""
    match expression:
        case Operation("if", (then, Constant(test), otherwise)):
            return then if test else otherwise
        case Operation(_, operands) if not all(isinstance(each, Constant) for each in operands):
            return expression
        case Call(Symbol(name), arguments) if name in _OF_NUMBERS and all(map(_is_constant, arguments)):
            pass
        case Subscript(Sequence(items), Constant(int(index))) if -len(items) <= index < len(items):
            return items[index]
        case Call(Symbol("len"), (Sequence(items),)):
            return Constant(len(items))
        case Operation():
            pass
        case _:
            return expression
    try:
        value = evaluate(expression, {}, _OF_NUMBERS.__getitem__)
    except (ArithmeticError, TypeError, ValueError):
        return expression
    return Constant(value) if isinstance(value, (bool, int, float, str)) else expression


_OF_NUMBERS: Mapping[str, Callable[..., Any]] = {"abs": abs, "max": max, "min": min, "round": round, "sum": sum}


def _is_constant(expression: Expression) -> bool:
    """Whether it is a constant, or a list of them."""
    return isinstance(expression, Constant) or (
        isinstance(expression, Sequence) and all(isinstance(each, Constant) for each in expression.items)
    )


def is_written_out(expression: Expression) -> bool:
    """Whether nothing in an expression has a name that its value could change under, or be known by."""
    return not any(isinstance(each, (Variable, Named, Defined, Seen)) for each in walk(expression))


def variables(expression: Expression) -> frozenset[str]:
    """The names of the variables in an expression. They are kept: loops ask for them in each pass."""
    if isinstance(expression, Variable):
        return frozenset((expression.name,))
    kept: frozenset[str] | None = expression.__dict__.get("_variables")
    if kept is None:
        if isinstance(expression, Comprehension):
            inner = frozenset().union(*map(variables, (expression.element, expression.test or expression.element)))
            kept = variables(expression.values) | inner.difference(expression.names)
        else:
            kept = frozenset().union(*map(variables, parts(expression)))
        expression.__dict__["_variables"] = kept
    return kept


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "@": operator.matmul,
    "**": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": operator.and_,
    "|": operator.or_,
    "in": lambda item, container: item in container,
    "not in": lambda item, container: item not in container,
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.invert,
    "not": operator.not_,
}


def evaluate(expression: Expression, variables: Mapping[str, Any], library: Callable[[str], Any]) -> Any:
    """The value of an expression, with `library` to find symbols by their path."""

    def value(each: Expression) -> Any:
        return evaluate(each, variables, library)

    match expression:
        case Constant(constant):
            return constant
        case Variable(name) | External(name) | Local(name):
            return variables[name]
        case Named(_, _, constant) | Seen(_, constant):
            return value(constant)
        case Symbol("..."):
            return ...
        case Symbol(path):
            return library(path)
        case Defined():
            return _defined(expression, library)
        case Operation("if", (then, test, otherwise)):
            return value(then) if value(test) else value(otherwise)
        case Operation("and", (left, right)):
            return value(left) and value(right)
        case Operation("or", (left, right)):
            return value(left) or value(right)
        case Operation(sign, (operand,)):
            return UNARY[sign](value(operand))
        case Operation(sign, (left, right)):
            return BINARY[sign](value(left), value(right))
        case Sequence(items, kind):
            parts_ = ([*value(each.values)] if isinstance(each, Unpacked) else [value(each)] for each in items)
            return kind(each for part in parts_ for each in part)
        case Mapped(pairs):
            mapping: dict[str, Any] = {}
            for key, item in pairs:
                mapping.update(value(item) if key == UNPACKED else {key: value(item)})
            return mapping
        case Subscript(container, index):
            return value(container)[value(index)]
        case Attribute(object_, name):
            return getattr(value(object_), name)
        case Call(function, arguments, keywords):
            # In a list: Python would go through a `map` after the keywords, and Keras draws seeds in this order.
            return value(function)(
                *[value(each) for each in arguments], **{name: value(each) for name, each in keywords}
            )
        case Joined(texts):
            return "".join(each if isinstance(each, str) else str(value(each)) for each in texts)
        case Comprehension(element, names, values, test):
            found = []
            for each in value(values):
                own = {**variables, **dict(zip(names, (each,) if len(names) == 1 else each, strict=True))}
                if test is None or evaluate(test, own, library):
                    found.append(evaluate(element, own, library))
            return tuple(found)
        case Lambda(parameters, body):
            return _function(parameters, lambda given: evaluate(body, {**variables, **given}, library))
    raise TypeError(f"{expression!r} is not an expression")


def _defined(function: Defined, library: Callable[[str], Any]) -> Callable[..., Any]:
    defaults = {name: default for name, _, default in function.parameters if default is not None}
    names = [name for name, _, _ in function.parameters]

    def call(*given: Any, **named: Any) -> Any:
        own = {name: evaluate(default, {}, library) for name, default in defaults.items()}
        return evaluate(function.body, {**own, **dict(zip(names, given, strict=False)), **named}, library)

    return call


def _function(parameters: tuple[str, ...], body: Callable[[dict[str, Any]], Any]) -> Callable[..., Any]:
    """A function that shows the given parameter names to whoever inspects it, as a `lambda` would."""

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in parameters])

    def function(*given: Any, **named: Any) -> Any:
        return body(signature.bind(*given, **named).arguments)

    function.__signature__ = signature  # type: ignore[attr-defined]
    return function
