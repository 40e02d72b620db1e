"""Regions of a weight as conditions on the indices of its entries, and the assignments of arrays that they take."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.weights.arrays import (
    ENTRY,
    INDICES,
    SHAPE,
    TRUE,
    attribute,
    call,
    either,
    is_array,
    item,
    negated,
    number,
    operation,
    plus,
)

SELF = ex.Variable("self")
ALL = ex.Call(ex.Symbol("Flat"), (ex.Call(ex.Symbol("slice"), (ex.Constant(None),)),))
"""The region of all entries."""


class Let(Record):
    """`targets = value`, of arrays."""

    targets: tuple[ex.Expression, ...]
    value: ex.Expression


class Assignments:
    """The assignments of one weight, as they are found to be needed, and the conditions that regions come to."""

    def __init__(self, rank: int, tables: frozenset[str]) -> None:
        self.rank = rank
        self.tables = tables
        self.lets: list[Let] = []
        self.functions: set[str] = set()
        self.needs: dict[str, None] = {}
        self.taken: set[str] = set()

    def let(self, value: ex.Expression, *targets: ex.Expression) -> None:
        self.lets.append(Let(targets, value))

    def new(self, name: str) -> ex.Variable:
        """A name for another array."""
        found, count = name, 2
        while found in self.taken:
            found, count = f"{name}{count}", count + 1
        self.taken.add(found)
        return ex.Variable(found)

    def full(self, value: ex.Expression) -> ex.Expression:
        return value if is_array(value) else call("np.full", SHAPE, value)

    def index(self, axis: int) -> ex.Expression:
        return ex.Variable(INDICES[axis])

    # Parameters

    def own(self, value: ex.Expression) -> ex.Expression:
        """An expression of the file in terms of the class, which has the parameters as attributes."""

        def change(part: ex.Expression) -> ex.Expression | None:
            match part:
                case ex.Variable(name) if name not in self.tables:
                    self.needs[name] = None
                    return attribute(SELF, name)
            return None

        return ex.replaced(value, change)

    def traced(self, function: ex.Expression) -> ex.Expression:
        """What a predicate is of the indices of an entry, which are its arguments."""
        assert isinstance(function, ex.Lambda)

        def change(part: ex.Expression) -> ex.Expression | None:
            if isinstance(part, ex.Variable):
                return part if part.name in function.parameters else self.own(part)
            return None

        return ex.replaced(function.body, change)

    # Regions

    def mask(self, region: ex.Expression) -> ex.Expression:
        """A condition that is true at the entries that a region names."""
        match region:
            case ex.Variable():
                return region
            case ex.Call(ex.Symbol("Mask" | "PackedMask")):
                return ex.Call(attribute(region, "mask"), (SHAPE,))
            case ex.Call(ex.Symbol("Not"), (inner,)):
                return negated(self.mask(inner))
            case ex.Call(ex.Symbol("Union"), regions):
                return self.masks(regions)
            case ex.Call(ex.Symbol("Where"), (function,)):
                return self.traced(function)
            case ex.Call(ex.Symbol("Flat"), items):
                return self.flat(items)
            case ex.Call(ex.Symbol("At"), items):
                return self.listed([ex.Sequence(items)] if len(items) != 1 else [items[0]], is_flat=False)
            case ex.Call(ex.Symbol(name), arguments):
                return self.of_matrix(name, tuple(map(self.own, arguments)))
        raise TypeError(f"{region!r} is no region")

    def of_matrix(self, name: str, arguments: tuple[ex.Expression, ...]) -> ex.Expression:
        i, j = self.index(0), self.index(1)
        match name, arguments:
            case "Diagonal", (k,) if k != number(0):
                return operation("==", j, plus(i, k))
            case "Diagonal", _:
                return operation("==", i, j)
            case "Upper", () | (ex.Constant(1),):
                return operation("<", i, j)
            case "Upper", (k,):
                return operation(">=", j, plus(i, k))
            case "Lower", () | (ex.Constant(1),):
                return operation(">", i, j)
            case "Lower", (k,):
                return operation(">=", i, plus(j, k))
            case "Band", (lower, upper) if lower == upper:
                return operation("<=", call("abs", operation("-", j, i)), lower)
            case "Band", (lower, upper):
                below, above = operation("-", i, j), operation("-", j, i)
                return operation("&", operation("<=", below, lower), operation("<=", above, upper))
            case "Blocks", (rows, columns):
                return operation("==", operation("//", i, rows), operation("//", j, columns))
        raise TypeError(f"{name} is no region")

    def masks(self, regions: Sequence[ex.Expression]) -> ex.Expression:
        """A condition for several regions. Those that are lists of entries are listed together."""
        listed: dict[str, list[ex.Expression]] = {"Flat": [], "At": []}
        found = []
        for region in regions:
            match region:
                case ex.Call(ex.Symbol("Flat" | "At" as kind), items):
                    listed[kind] += items if kind == "Flat" else [ex.Sequence(items) if len(items) != 1 else items[0]]
                case _:
                    found.append(self.mask(region))
        if listed["Flat"] and not listed["At"]:
            found.append(self.flat(listed["Flat"]))
        elif listed["At"] and not listed["Flat"]:
            found.append(self.listed(listed["At"], is_flat=False))
        elif listed["Flat"]:
            named = self.listed(listed["Flat"], is_flat=True)
            found.append(self.listed(listed["At"], is_flat=False, named=named))
        return either(found)

    def flat(self, items: Sequence[ex.Expression]) -> ex.Expression:
        """A condition for entries by their flat indices."""
        if ex.Call(ex.Symbol("slice"), (number(None),)) in items:
            return TRUE
        known = [each.value if isinstance(each, ex.Constant) else None for each in items]
        if all(isinstance(each, int) and each >= 0 for each in known):
            where = self.index(0) if self.rank == 1 else ENTRY
            if len(known) == 1:
                return operation("==", where, number(known[0]))  # type: ignore[arg-type]
            return call("np.isin", where, ex.Sequence(tuple(items), list))
        return self.listed(items, is_flat=True)

    def listed(
        self, items: Sequence[ex.Expression], is_flat: bool, named: ex.Expression | None = None
    ) -> ex.Expression:
        """An array in which the listed entries are true."""
        if named is None:
            named = self.new("named")
            self.let(call("np.zeros", SHAPE, ex.Symbol("bool")), named)
        whole = attribute(named, "flat") if is_flat and self.rank > 1 else named
        if not is_flat and self.rank > 1 and len(items) > 1 and all(map(_is_entry, items)):
            axes = zip(*(each.items for each in items if isinstance(each, ex.Sequence)), strict=True)
            items = [ex.Sequence(tuple(ex.Sequence(axis, list) for axis in axes))]
        for each in items:
            self.let(TRUE, item(whole, self.own(each)))
        return named


def _is_entry(subscripts: ex.Expression) -> bool:
    """Whether subscripts are whole numbers, and so those of one entry."""
    return isinstance(subscripts, ex.Sequence) and all(
        isinstance(each, ex.Constant) and isinstance(each.value, int) for each in subscripts.items
    )
