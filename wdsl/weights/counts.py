"""How many parameters a structure leaves free, in closed form where there is one.

A structure that stands alone is never written out entry by entry, nor is NumPy imported for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from wdsl.expressions import Call, Constant, Expression, Operation, Symbol
from wdsl.record import Record


class Counts(Record):
    """How many parameters are free, and how many entries are not zero."""

    free: int
    nonzero: int


def closed_form(equations: Sequence[Expression], shape: tuple[int, ...]) -> Counts | None:
    """The counts of a structure, or None if it must be solved entry by entry."""
    size = math.prod(shape)
    symmetric = skew = equal = False
    low, high = 1, 0  # the diagonals j - i that are zero, from low to high
    for equation in equations:
        match equation:
            case Call(Symbol("Symmetric"), ()):
                symmetric = True
            case Call(Symbol("Skew"), ()):
                skew = True
            case Call(Symbol("Equal" | "Averaged"), ()):
                equal = True
            case Call(Symbol("Frozen")):
                pass
            case Call(Symbol("Zero"), (region,)) if low > high and (found := _diagonals(region, shape)):
                low, high = found
            case _:
                return None
    if skew:
        if symmetric or equal or low <= high:
            return None
        return Counts((size - shape[0]) // 2, size - shape[0])
    zeros = 0
    if low <= high:
        rows, columns = shape
        zeros = _from_diagonal(low, rows, columns) - _from_diagonal(high + 1, rows, columns)
    nonzero = size - zeros
    if equal:
        return Counts(min(1, nonzero), nonzero) if not (symmetric and zeros) else None
    if not symmetric:
        return Counts(nonzero, nonzero)
    if zeros and low != -high:
        return None
    on_diagonal = shape[0] if not zeros else 0
    return Counts((nonzero + on_diagonal) // 2, nonzero)


def _from_diagonal(k: int, rows: int, columns: int) -> int:
    """How many entries have j - i >= k."""
    if k <= 0:
        return rows * columns - _from_diagonal(1 - k, columns, rows)

    def triangle(n: int) -> int:
        return n * (n + 1) // 2 if n > 0 else 0

    return triangle(columns - k) - triangle(columns - k - rows)


def _diagonals(region: Expression, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The first and last diagonal of a region that is made of whole diagonals."""
    if not isinstance(region, Call) or not isinstance(region.function, Symbol) or len(shape) != 2:
        return None
    arguments = [_integer(argument) for argument in region.arguments]
    match region.function.path, arguments:
        case "Diagonal", []:
            return 0, 0
        case "Diagonal", [int(k)]:
            return k, k
        case "Upper", []:
            return 1, shape[1] - 1
        case "Upper", [int(k)]:
            return k, shape[1] - 1
        case "Lower", []:
            return 1 - shape[0], -1
        case "Lower", [int(k)]:
            return 1 - shape[0], -k
        case "Band", [int(lower), int(upper)]:
            return -lower, upper
    return None


def _integer(expression: Expression) -> int | None:
    match expression:
        case Constant(int(value)):
            return value
        case Operation("-", (Constant(int(value)),)):
            return -value
    return None
