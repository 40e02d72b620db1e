"""Sizes that remember where they came from."""

from __future__ import annotations

from typing import Any

from wdsl.core.expressions import BINARY, Constant, Expression, Operation


class Dim(int):
    """A size together with the expression in the network's parameters that gave it.

    Arithmetic with it gives another. Shape rules are written for plain integers and need not know: what they
    return for a network with `code = 32` is 32 and also says `code`.
    """

    expression: Expression

    def __new__(cls, value: int, expression: Expression) -> Dim:
        dim = super().__new__(cls, value)
        dim.expression = expression
        return dim

    def __neg__(self) -> Dim:
        return Dim(-int(self), Operation("-", (self.expression,)))


def dim(value: int, expression: Expression) -> int:
    """A Dim, or the plain integer if nothing but a constant is behind it."""
    return int(value) if isinstance(expression, Constant) else Dim(value, expression)


def expression_of(size: Any) -> Expression:
    """The expression that gives a size, or a constant."""
    if isinstance(size, Dim):
        return size.expression
    return Constant(int(size) if isinstance(size, int) and not isinstance(size, bool) else size)


_NEUTRAL = {"+": 0, "-": 0, "*": 1, "//": 1}


def _binary(sign: str, reflected: bool) -> Any:
    def operate(self: Dim, other: Any) -> Any:
        if not isinstance(other, int) or isinstance(other, bool):
            return NotImplemented
        left, right = (other, self) if reflected else (self, other)
        result = BINARY[sign](int(left), int(right))
        if sign in _NEUTRAL and not isinstance(right, Dim) and right == _NEUTRAL[sign]:
            return left
        if sign in "+*" and not isinstance(left, Dim) and left == _NEUTRAL[sign]:
            return right
        return dim(result, Operation(sign, (expression_of(left), expression_of(right))))

    return operate


for _sign, _name in {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod"}.items():
    setattr(Dim, f"__{_name}__", _binary(_sign, reflected=False))
    setattr(Dim, f"__r{_name}__", _binary(_sign, reflected=True))
