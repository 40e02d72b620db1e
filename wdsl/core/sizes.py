"""Sizes that remember where they came from."""

from __future__ import annotations

from typing import Any

from wdsl.core.expressions import BINARY, Constant, Expression, Operation, extent, inside, outside
from wdsl.core.polynomials import ONE, Polynomial, combined, constant, is_linear, polynomial, written


class Dim(int):
    """A size together with the expression in the network's parameters that gave it.

    Arithmetic with it gives another. Shape rules are written for plain integers and need not know: what they
    return for a network with `code = 32` is 32 and also says `code`.
    """

    _expression: Expression | None
    _normal: Polynomial | None

    def __new__(cls, value: int, expression: Expression | None, normal: Polynomial | None = None) -> Dim:
        """Of `expression` and its `normal` form, one may be left to be found when it is needed."""
        dim = super().__new__(cls, value)
        dim._expression = expression
        dim._normal = normal
        return dim

    @property
    def expression(self) -> Expression:
        if self._expression is None:
            assert self._normal is not None
            self._expression = written(self._normal)
        return self._expression

    @property
    def normal(self) -> Polynomial:
        if self._normal is None:
            self._normal = polynomial(self.expression)
        return self._normal

    def __neg__(self) -> int:
        return 0 - self


def dim(value: int, expression: Expression) -> int:
    """A Dim, or the plain integer if nothing but a constant is behind it."""
    return int(value) if isinstance(expression, Constant) else Dim(value, expression)


def expression_of(size: Any) -> Expression:
    """The expression that gives a size, or a constant."""
    if isinstance(size, Dim):
        return size.expression
    return Constant(int(size) if isinstance(size, int) and not isinstance(size, bool) else size)


def size_inside(size: Any) -> Any:
    """A size in the names of the block or loop that it is seen in."""
    return dim(size, inside(size.expression)) if isinstance(size, Dim) else size


def size_outside(size: Any) -> Any:
    """A size in the names of the whole network."""
    if not isinstance(size, Dim):
        return size
    plain = outside(size.expression)
    if plain is size.expression:
        return size
    normal = polynomial(plain)
    if constant(normal) is not None:
        return int(size)
    short = written(normal)
    return Dim(size, short if is_linear(normal) or extent(short)[0] < extent(plain)[0] else plain, normal)


_NEUTRAL = {"+": 0, "-": 0, "*": 1, "//": 1}


def _computed(sign: str, left: int, right: int) -> int:
    """A size that comes of two, in its normal form. Products stay as they are if nothing is won: `2 * (n + 1)`."""
    value: int = BINARY[sign](int(left), int(right))
    if not isinstance(right, Dim) and _NEUTRAL.get(sign) == right:
        return left

    def plain() -> Expression:
        return Operation(sign, (expression_of(left), expression_of(right)))

    normal = combined(sign, _normal(left), _normal(right), plain)
    if constant(normal) is not None:
        return value
    if is_linear(normal):
        return Dim(value, None, normal)
    short, long = written(normal), plain()
    saved = extent(long)[0] - extent(short)[0]
    return Dim(value, short if saved > 0 or (saved == 0 and sign in "+-") else long, normal)


def _normal(size: int) -> Polynomial:
    if isinstance(size, Dim):
        return size.normal
    return {ONE: int(size)} if size else {}


def _binary(sign: str, reflected: bool) -> Any:
    def operate(self: Dim, other: Any) -> Any:
        if not isinstance(other, int) or isinstance(other, bool):
            return NotImplemented
        return _computed(sign, other, self) if reflected else _computed(sign, self, other)

    return operate


for _sign, _name in {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod"}.items():
    setattr(Dim, f"__{_name}__", _binary(_sign, reflected=False))
    setattr(Dim, f"__r{_name}__", _binary(_sign, reflected=True))
