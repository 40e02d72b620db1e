"""Expressions of arrays, as a person who knows NumPy would write them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from wdsl.core import expressions as ex

INDICES = ("i", "j", "k", "l_", "m")
"""What the indices on axes 0 to 4 are called in Python."""

SHAPE, ENTRY = ex.Variable("shape"), ex.Variable("entry")
TRUE, FALSE = ex.Constant(True), ex.Constant(False)


def call(function: str, *arguments: ex.Expression, **keywords: ex.Expression) -> ex.Expression:
    return ex.Call(ex.Symbol(function), arguments, tuple(keywords.items()))


def number(value: int | float | bool | None) -> ex.Expression:
    return ex.Constant(value)


def operation(sign: str, *operands: ex.Expression) -> ex.Expression:
    return ex.Operation(sign, operands)


def attribute(value: ex.Expression, name: str) -> ex.Expression:
    return ex.Attribute(value, name)


def item(value: ex.Expression, index: ex.Expression) -> ex.Expression:
    return ex.Subscript(value, index)


def plus(left: ex.Expression, right: ex.Expression) -> ex.Expression:
    if isinstance(right, ex.Constant) and isinstance(right.value, int):
        if right.value == 0:
            return left
        if right.value < 0:
            return operation("-", left, number(-right.value))
    return operation("+", left, right)


_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def negated(mask: ex.Expression) -> ex.Expression:
    """The entries that a condition leaves out."""
    match mask:
        case ex.Constant(bool(value)):
            return number(not value)
        case ex.Operation("~" | "not", (inner,)):
            return inner
        case ex.Operation("==" | "!=" | "<" | ">=" | ">" | "<=" as sign, operands):
            return ex.Operation(_OPPOSITE[sign], operands)
        case ex.Operation("&" | "|" as sign, (left, right)):
            if all(_is_plain(each) for each in _sides(mask, sign)):
                return operation("|" if sign == "&" else "&", negated(left), negated(right))
    return operation("~" if is_array(mask) else "not", mask)


def _sides(mask: ex.Expression, sign: str) -> list[ex.Expression]:
    match mask:
        case ex.Operation(own, (left, right)) if own == sign:
            return [*_sides(left, sign), *_sides(right, sign)]
    return [mask]


def _is_plain(mask: ex.Expression) -> bool:
    """Whether the opposite of a condition is as easy to read."""
    return isinstance(mask, ex.Operation) and (mask.operator in _OPPOSITE or mask.operator in ("~", "not"))


def either(masks: Sequence[ex.Expression]) -> ex.Expression:
    """The entries for which one of some conditions is true."""
    found = [each for each in dict.fromkeys(masks) if each != FALSE]
    if TRUE in found or any(negated(each) in found for each in found):
        return TRUE
    return reduce(lambda one, other: operation("|", one, other), found) if found else FALSE


def is_array(value: ex.Expression) -> bool:
    """Whether an expression is an array, and not a number that is the same for all entries."""
    return any(
        isinstance(each, ex.Variable) and (each.name in INDICES or each == ENTRY or each.name not in ("shape", "self"))
        for each in ex.walk(value)
    )
