"""A normal form for what shape rules compute: polynomials with whole coefficients.

Their atoms are what is not added, subtracted or multiplied: parameters, items of lists, and divisions, whose parts are
in normal form themselves. So `side - 1 + 1` is `side`, and a strided convolution after another divides once.

All that holds here holds for all whole numbers that the atoms may be, but for those that Python divides by zero with.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from math import gcd
from typing import TypeAlias

from wdsl.core.expressions import Constant, Expression, Operation, Variable, extent, inside

MOST_TERMS = 16
"""What has more terms is an atom: products of sums grow faster than anyone reads."""

MOST_FACTORS = 4
"""How large an exponent is multiplied out."""


class Atom:
    """What a polynomial does not look into. Two are one if they are known by the same."""

    __slots__ = ("expression", "key", "quotient")

    def __init__(
        self, key: Hashable, expression: Expression, quotient: tuple[Polynomial, Polynomial] | None = None
    ) -> None:
        self.key = key
        self.expression = expression
        self.quotient = quotient

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


Monomial: TypeAlias = frozenset[tuple[Atom, int]]
"""A product of atoms, each with its exponent."""

Polynomial: TypeAlias = Mapping[Monomial, int]
"""Products with what they are multiplied by, none of them 0, in the order in which they came up."""

ONE: Monomial = frozenset()


def polynomial(expression: Expression) -> Polynomial:
    """What an expression computes."""
    match expression:
        case Constant(int(value)) if not isinstance(value, bool):
            return _number(value)
        case Operation("+" | "-" | "*" | "//" | "%" as sign, (left, right)):
            return combined(sign, polynomial(left), polynomial(right), lambda: expression)
        case Operation("-", (operand,)):
            return _scaled(polynomial(operand), -1)
        case Operation("**", (base, Constant(int(exponent)))) if 0 <= exponent <= MOST_FACTORS:
            factor, result = polynomial(base), _number(1)
            for _ in range(exponent):
                result = _product(result, factor)
            return result if len(result) <= MOST_TERMS else _alone(_opaque(expression))
    return _alone(_opaque(expression))


def combined(sign: str, left: Polynomial, right: Polynomial, otherwise: Callable[[], Expression]) -> Polynomial:
    """`left + right`, or another of `- * // %`. If that has too many terms, `otherwise` gives what is no polynomial."""
    match sign:
        case "+":
            result = _sum(left, right)
        case "-":
            result = _sum(left, _scaled(right, -1))
        case "*":
            result = _product(left, right)
        case "//":
            result = _quotient(left, right)
        case _:
            result = _remainder(left, right)
    return result if len(result) <= MOST_TERMS else _alone(_opaque(otherwise()))


def constant(of: Polynomial) -> int | None:
    """The number that a polynomial is, if it is one."""
    return of.get(ONE, 0) if not of.keys() - {ONE} else None


def is_linear(of: Polynomial) -> bool:
    """Whether no product in it is of several atoms."""
    return all(len(monomial) < 2 and all(exponent == 1 for _, exponent in monomial) for monomial in of)


def written(of: Polynomial) -> Expression:
    """A polynomial as an expression, with as few operations as it takes."""
    found = _written(of)
    number = of.get(ONE, 0)
    for monomial, coefficient in of.items():
        ((atom, exponent),) = monomial if len(monomial) == 1 else ((None, 0),)
        if atom is None or not atom.quotient or exponent > 1 or abs(coefficient) > 1:
            continue
        top, bottom = atom.quotient
        divisor = constant(bottom)
        if divisor and (number or coefficient < 0):
            # `(n + 1) // 2 - 1` is `(n - 1) // 2`, and `-((n + 1) // 2)` is `-n // 2`.
            moved = _number(number * divisor + (divisor - 1 if coefficient < 0 else 0))
            into = Operation("//", (_written(_sum(_scaled(top, coefficient), moved)), _written(bottom)))
            rest = {each: by for each, by in of.items() if each not in (ONE, monomial)}
            other = _written({frozenset({(_opaque(into), 1)}): 1, **rest})
            return min(found, other, key=lambda each: extent(each)[0])
    return found


def _written(of: Polynomial) -> Expression:
    """What is added first, then what is taken away; the number behind the products, but for `-1 - n`."""
    terms = [(monomial, coefficient) for monomial, coefficient in of.items() if monomial]
    if ONE in of:
        terms.insert(0 if all(coefficient < 0 for coefficient in of.values()) else len(terms), (ONE, of[ONE]))
    terms.sort(key=lambda term: term[1] < 0)
    if not terms:
        return Constant(0)
    result: Expression | None = None
    for monomial, coefficient in terms:
        if result is None:
            result = _term(monomial, coefficient)
        elif coefficient < 0:
            result = Operation("-", (result, _term(monomial, -coefficient)))
        else:
            result = Operation("+", (result, _term(monomial, coefficient)))
    assert result is not None
    return result


def _term(monomial: Monomial, coefficient: int) -> Expression:
    """`4 * width`, `height * width`: names before what is computed."""
    factors: list[Expression] = []
    for atom, exponent in sorted(monomial, key=_place) if len(monomial) > 1 else monomial:
        if exponent < 3:
            factors += [atom.expression] * exponent
        else:
            factors.append(Operation("**", (atom.expression, Constant(exponent))))
    if not factors:
        return Constant(coefficient)
    if coefficient == -1:
        factors[0] = Operation("-", (factors[0],))
    elif coefficient != 1:
        factors.insert(0, Constant(coefficient))
    result = factors[0]
    for factor in factors[1:]:
        result = Operation("*", (result, factor))
    return result


def _place(factor: tuple[Atom, int]) -> tuple[int, bool, str]:
    expression = inside(factor[0].expression)
    operations = extent(expression)[0]
    return operations, not isinstance(expression, Variable), repr(expression) if operations < MOST_TERMS else ""


def _number(value: int) -> Polynomial:
    return {ONE: value} if value else {}


def _alone(atom: Atom) -> Polynomial:
    return {frozenset({(atom, 1)}): 1}


def _opaque(expression: Expression) -> Atom:
    return Atom(expression, expression)


def _sum(left: Polynomial, right: Polynomial) -> Polynomial:
    found = dict(left)
    for monomial, coefficient in right.items():
        total = found.get(monomial, 0) + coefficient
        if total:
            found[monomial] = total
        else:
            del found[monomial]
    return found


def _scaled(of: Polynomial, factor: int) -> Polynomial:
    return {monomial: coefficient * factor for monomial, coefficient in of.items()} if factor else {}


def _product(left: Polynomial, right: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for one, a in left.items():
        found = _sum(found, {_times(one, other): a * b for other, b in right.items()})
    return found


def _times(one: Monomial, other: Monomial) -> Monomial:
    if not one or not other:
        return one or other
    exponents = dict(one)
    for atom, exponent in other:
        exponents[atom] = exponents.get(atom, 0) + exponent
    return frozenset(exponents.items())


def _over(top: Monomial, bottom: Monomial) -> Monomial | None:
    """What is left of a product without the factors of another one; None if they are not in it."""
    exponents = dict(top)
    for atom, exponent in bottom:
        exponents[atom] = exponents.get(atom, 0) - exponent
    if any(exponent < 0 for exponent in exponents.values()):
        return None
    return frozenset((atom, exponent) for atom, exponent in exponents.items() if exponent)


def _divided(top: Polynomial, bottom: Polynomial) -> tuple[Polynomial, Polynomial]:
    """What comes out whole of a division, and what is left to be divided."""
    if len(bottom) != 1:
        # A multiple of the sum, or nothing.
        for monomial, coefficient in bottom.items():
            factor = top.get(monomial, 0) // coefficient
            return (_number(factor), {}) if factor and top == _scaled(bottom, factor) else ({}, top)
    ((divisor, by),) = bottom.items()
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in top.items():
        left = _over(monomial, divisor)
        if left is not None and not coefficient % by:
            whole[left] = coefficient // by
        else:
            rest[monomial] = coefficient
    if not divisor and ONE in rest:  # of a number, as much as there is
        whole[ONE], rest[ONE] = divmod(rest[ONE], by)
        if not whole[ONE]:
            del whole[ONE]
    return whole, rest


def _quotient(top: Polynomial, bottom: Polynomial) -> Polynomial:
    """`top // bottom`, rounded down as in Python."""
    if not bottom:
        raise ZeroDivisionError
    divisor = constant(bottom)
    if divisor is not None and divisor < 0:
        top, bottom, divisor = _scaled(top, -1), _number(-divisor), -divisor
    whole, rest = _divided(top, bottom)
    if divisor is not None and not rest.keys() - {ONE}:
        return whole  # what is left of a number is less than the divisor
    if not rest:
        return whole
    if divisor is not None:
        if all(coefficient < 0 for monomial, coefficient in rest.items() if monomial):
            # `-(-n // 2)` is `(n + 1) // 2`.
            upwards = _sum(_scaled(rest, -1), _number(divisor - 1))
            return _sum(whole, _scaled(_quotient(upwards, bottom), -1))
        # `(n // 2 + 1) // 3` is `(n + 2) // 6`.
        inner = next((monomial for monomial in rest if monomial), ONE)
        if rest[inner] == 1 and len(inner) == 1 and not rest.keys() - {inner, ONE}:
            ((atom, exponent),) = inner
            if exponent == 1 and atom.quotient and (constant(atom.quotient[1]) or 0) > 0:
                above, below = atom.quotient
                top = _sum(above, _scaled(below, rest.get(ONE, 0)))
                return _sum(whole, _quotient(top, _scaled(below, divisor)))
        common = gcd(divisor, *(coefficient for monomial, coefficient in rest.items() if monomial))
        if common > 1:
            rest = {monomial: part for monomial, by in rest.items() if (part := by // common)}
            return _sum(whole, _quotient(rest, _number(divisor // common)))
    return _sum(whole, _alone(_atom("//", rest, bottom)))


def _remainder(top: Polynomial, bottom: Polynomial) -> Polynomial:
    """`top % bottom`, with the sign of `bottom` as in Python."""
    if not bottom:
        raise ZeroDivisionError
    _, rest = _divided(top, bottom)
    if not rest or (constant(bottom) is not None and not rest.keys() - {ONE}):
        return rest if rest.get(ONE) else {}
    return _alone(_atom("%", rest, bottom))


def _atom(sign: str, top: Polynomial, bottom: Polynomial) -> Atom:
    top = {monomial: coefficient for monomial, coefficient in top.items() if coefficient}
    expression = Operation(sign, (written(top), written(bottom)))
    key = (sign, frozenset(top.items()), frozenset(bottom.items()))
    return Atom(key, expression, (top, bottom) if sign == "//" else None)
