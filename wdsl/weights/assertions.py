"""Whether a solved network is what its assertions say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wdsl.catalog import show
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import ConstantError, Value
from wdsl.network.graph import UNKNOWN_SIZE, Assertion, Comparison, Network
from wdsl.text.diagnostics import Diagnostic, Label
from wdsl.text.source import Span
from wdsl.weights.structures import Structures


def check_assertions(network: Network, structures: Structures) -> tuple[Diagnostic, ...]:
    """An error for each assertion that does not hold, or cannot be decided."""
    if not network.assertions:
        return ()
    known: dict[ex.Expression, int] = {
        ex.Symbol("parameters"): int(structures.parameters),
        ex.Symbol("dense_parameters"): int(structures.dense_parameters),
    }
    for each in structures.weights:
        name = (ex.Constant(str(each.name)),)
        known[ex.Call(ex.Symbol("free"), name)] = int(each.free) if each.trained and each.weight.trainable else 0
        known[ex.Call(ex.Symbol("nonzero"), name)] = int(each.nonzero)
    found = [problem for each in network.assertions if (problem := _checked(each, known))]
    # Of the passes of a loop and the uses of a block, the first that fails is enough.
    once = {(each.code, each.span): each for each in reversed(found)}
    return tuple(reversed(once.values()))


def _checked(assertion: Assertion, known: Mapping[ex.Expression, int]) -> Diagnostic | None:
    """What is wrong with an assertion: all of its claims that are false, or the first that has no truth value."""
    failed: list[tuple[Span, str]] = []
    for claim in assertion.claims:
        try:
            value = _known(_value(claim.expression, known)).value
        except ConstantError as error:
            if failed:  # It may be what the claims before were to rule out.
                break
            return Diagnostic(error.code, str(error), claim.span, labels=assertion.circumstances)
        if not isinstance(value, bool):
            return Diagnostic(
                "E0205", "an assertion is true or false", claim.span, f"this is {constants.type_name(value)}"
            )
        if not value:
            told = dict.fromkeys(_told(each, known) for each in claim.comparisons)
            failed.append((claim.span, "; ".join(filter(None, told)) or "this is false"))
    if not failed:
        return None
    (span, label), *others = failed
    message = f"`{assertion.text}` does not hold" + (f": {assertion.message}" if assertion.message else "")
    return Diagnostic(
        "E0701", message, span, label, (*(Label(where, text) for where, text in others), *assertion.circumstances)
    )


_FALSE = {
    "==": "not",
    "!=": "no other than",
    "<": "not less than",
    "<=": "more than",
    ">": "not more than",
    ">=": "less than",
}
"""What the left side of a comparison is to the right, if the comparison is false."""


def _told(comparison: Comparison, known: Mapping[ex.Expression, int]) -> str:
    """The values of both sides of a comparison in words."""
    try:
        left, right = (_value(each, known) for each in comparison.expression.operands)
        holds = constants.binary(comparison.expression.operator, left, right).value
    except ConstantError:  # `or` and `if` leave some undecided
        return ""
    (first, second), (a, b) = comparison.texts, (_shown(left.value), _shown(right.value))
    if holds:
        return " and ".join(f"`{text}` is {value}" for text, value in ((first, a), (second, b)) if text)
    start = f"`{first}` is {a}," if first else f"{a} is"
    return f"{start} {_FALSE[comparison.expression.operator]} {f'`{second}`, which is {b}' if second else b}"


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list):
        return show(Value(value, ex.Constant(None)).plain())
    return show(value)


def _value(expression: ex.Expression, known: Mapping[ex.Expression, int]) -> Value:
    """The value of an expression of an assertion. Raises ConstantError if it has none.

    `and`, `or` and `if` take a look at no more than they need.
    """

    def value(each: ex.Expression) -> Value:
        return _value(each, known)

    match expression:
        case ex.Symbol() | ex.Call() if expression in known:
            return constants.constant(known[expression])
        case ex.Symbol():
            return Value(UNKNOWN_SIZE, expression)
        case ex.Constant(constant):
            return constants.constant(constant)
        case ex.Sequence(items):
            return constants.sequence(list(map(value, items)))
        case ex.Subscript(container, ex.Call(ex.Symbol("slice"), bounds)):
            given = [None if each == ex.Constant(None) else _known(value(each)) for each in bounds]
            return constants.part(value(container), given)
        case ex.Subscript(container, index):
            return constants.item(value(container), _known(value(index)))
        case ex.Operation("if", (then, test, otherwise)):
            return value(then if _known(value(test)).value else otherwise)
        case ex.Operation("and" | "or" as sign, (left, right)):
            first = _known(value(left))
            return value(right) if bool(first.value) == (sign == "and") else first
        case ex.Operation(sign, (operand,)):
            return constants.unary(sign, _known(value(operand)))
        case ex.Operation(sign, (left, right)):
            return constants.binary(sign, _known(value(left)), _known(value(right)))
        case ex.Call(ex.Symbol("len"), arguments):
            return constants.call("len", [value(each) for each in arguments])
        case ex.Call(ex.Symbol(name), arguments):
            return constants.call(name, [_known(value(each)) for each in arguments])
    raise TypeError(f"{expression!r} is no part of an assertion")


def _known(value: Value) -> Value:
    """The value. Raises ConstantError if there are unknown sizes in it."""
    if value.value is UNKNOWN_SIZE:
        raise ConstantError("a size is not known until the network runs")
    for item in value.value if isinstance(value.value, list) else ():
        _known(item)
    return value
