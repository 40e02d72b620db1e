"""The normal form of a weight: what its equations come to, as expressions that hold for every shape and parameter.

    W[e] = sign[e] θ[number of label[e]] where live[e], else constant[e]

`label` is the first of the entries that are one free parameter, as a flat index, and free parameters are numbered in
the order of their labels. A form is a few assignments of NumPy, as data: a written module has them in the class of
the layer, `evaluated` carries them out, and a test holds what comes of it against the solver.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Alike, Given, Mirrored, Tied
from wdsl.core import expressions as ex
from wdsl.core.record import Record

if TYPE_CHECKING:
    import numpy as np

    from wdsl.structure import IndexMap

INDICES = ("i", "j", "k", "l_", "m")
"""What the indices on axes 0 to 4 are called in Python."""

SHAPE, ENTRY, LIVE, LABEL, SIGN, CONSTANT, AVERAGED, SELF = map(
    ex.Variable, ("shape", "entry", "live", "label", "sign", "constant", "averaged", "self")
)
TRUE, FALSE = ex.Constant(True), ex.Constant(False)
ALL = ex.Call(ex.Symbol("Flat"), (ex.Call(ex.Symbol("slice"), (ex.Constant(None),)),))


REST = Alike(())
"""What a plain `equal` means."""


class Let(Record):
    """`targets = value`, of arrays."""

    targets: tuple[ex.Expression, ...]
    value: ex.Expression


class NormalForm(Record):
    """What a weight's equations come to.

    `lets` compute the arrays out of `shape` and the attributes of `self`, which are `needs`. Which arrays there are
    says the rest: without `live` all entries are, without `label` each is a free parameter by itself, without `sign`
    or `constant` they are 1 and 0. `is_one` says that all of the weight is one number, and `is_empty` that nothing is
    free whatever the shape is.
    """

    lets: tuple[Let, ...]
    live: bool
    label: bool
    sign: bool
    constant: bool
    is_one: bool
    is_empty: bool
    averaged: bool
    """Whether the form of coupled weights has an array of the entries whose gradients are means, beside others."""
    needs: tuple[str, ...]
    functions: frozenset[str]
    """Of the functions below, those that it calls."""


class Join(Record):
    """That entries equal others, up to a factor: `other` is an array of the flat index of the other one.

    `is_first`: the other is the first of all that are equal by this. `is_mutual`: the other's other is the entry.
    """

    other: ex.Expression
    factor: ex.Expression | None = None
    is_first: bool = False
    is_mutual: bool = False

    @property
    def is_negated(self) -> bool:
        return self.factor == ex.Constant(-1)


def normal_form(
    equations: Iterable[ex.Expression],
    rank: int,
    tables: Iterable[str] = (),
    also: Iterable[ex.Expression] = (),
    in_arrays: bool = False,
) -> NormalForm:
    """The normal form of a weight with so many axes.

    Variables in the equations are parameters, but for `tables`, which are masks. What `also` makes constant is left out
    by a plain `equal`. With `in_arrays` no form is `is_one` or `is_empty`: the arrays say so.
    """
    return Lowering(rank, frozenset(tables)).form(tuple(equations), tuple(also), in_arrays)


def by_shape(equation: ex.Expression, sizes: Sequence[ex.Expression]) -> ex.Expression:
    """An equation whose predicates have `shape[0]` in place of the parameter that is the first of a weight's sizes."""

    def sized(part: ex.Expression) -> ex.Expression | None:
        if isinstance(part, ex.Variable) and part in sizes:
            return item(SHAPE, number(sizes.index(part)))
        return None

    def change(part: ex.Expression) -> ex.Expression | None:
        if not isinstance(part, ex.Lambda):
            return None
        arguments = {*part.parameters}
        body = ex.replaced(part.body, lambda one: one if ex.variables(one) <= arguments else sized(one))
        names = part.parameters
        if "shape" in ex.variables(body) and "shape" not in names:
            names = (*names, "shape")
        return ex.Lambda(names, body)

    return ex.replaced(equation, change)


# Expressions that come out as a person would write them


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


class Lowering:
    """The assignments of one weight, as they are found to be needed."""

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

    # What is equal

    def joins(self, equation: ex.Expression, known: ex.Expression) -> list[Join]:
        match meaning(equation):
            case Mirrored(axes, sign):
                factor = number(-1) if sign < 0 else None
                if self.rank == 2:
                    return [Join(attribute(ENTRY, "T"), factor, is_mutual=True)]
                swapped = ex.Call(attribute(ENTRY, "swapaxes"), tuple(map(self.own, axes)))
                return [Join(swapped, factor, is_mutual=True)]
            case Alike(()):
                if known == FALSE:
                    return [Join(call("np.zeros_like", ENTRY), is_first=True)]
                return [self.one(negated(known))]
            case Alike(groups):
                return [self.group(each) for each in groups]
            case Tied(view, regions):
                return [self.tied(view, *regions)]
        return []

    def one(self, mask: ex.Expression) -> Join:
        """That the entries for which a condition is true are one."""
        if not isinstance(mask, ex.Variable):
            named = self.new("same")
            self.let(self.full(mask), named)
            mask = named
        return Join(call("np.where", mask, call("np.argmax", mask), ENTRY), is_first=True)

    def group(self, group: ex.Expression) -> Join:
        match group:
            case ex.Call(ex.Symbol("By"), (function,)):
                key = self.full(self.traced(function))
            case ex.Call(ex.Symbol("Axis"), (ex.Constant(int(axis)),)):
                whole, first_of = (ex.Call(ex.Symbol("slice"), (number(end),)) for end in (None, 1))
                ends = tuple(whole if each == axis else first_of for each in range(self.rank))
                return Join(call("np.broadcast_to", item(ENTRY, ex.Sequence(ends)), SHAPE), is_first=True)
            case _:
                return self.one(self.mask(group))
        return Join(ex.Call(attribute(self.first_of(key), "reshape"), (SHAPE,)), is_first=True)

    def first_of(self, key: ex.Expression) -> ex.Expression:
        """The flat index of the first entry with the key of each one."""
        named, first, numbers = self.new("key"), self.new("first"), self.new("group")
        self.let(key, named)
        found = call("np.unique", named, return_index=TRUE, return_inverse=TRUE)
        self.let(found, ex.Variable("_"), first, numbers)
        return item(first, numbers)

    def tied(self, view: ex.Expression, region: ex.Expression | None = None) -> Join:
        factor: ex.Expression | None = None
        match view:
            case ex.Operation("-", (inner,)):
                view, factor = inner, number(-1)
            case ex.Operation("*", (times, inner)):
                view, factor = inner, self.own(times)
        seen = self.seen(view)
        if region is None:
            is_mutual = isinstance(seen, ex.Call) and seen.function == ex.Symbol("np.flip") and ENTRY in seen.arguments
            return Join(seen if is_mutual else ex.Call(attribute(seen, "reshape"), (SHAPE,)), factor, False, is_mutual)
        other, tied = self.new("other"), self.new("tied")
        self.let(self.full(self.mask(region)), tied)
        self.let(ex.Call(attribute(ENTRY, "copy")), other)
        self.let(ex.Call(attribute(seen, "ravel")), item(other, tied))
        return Join(other, factor and call("np.where", tied, factor, number(1)))

    def seen(self, view: ex.Expression) -> ex.Expression:
        """The entries that a view of the weight shows."""
        match view:
            case ex.Call(ex.Symbol("View")):
                return ENTRY
            case ex.Attribute(inner, name):
                return attribute(self.seen(inner), name)
            case ex.Call(ex.Attribute(inner, "flip"), (axis,)):
                return call("np.flip", self.seen(inner), self.own(axis))
            case ex.Call(ex.Attribute(inner, name), arguments):
                return ex.Call(attribute(self.seen(inner), name), tuple(map(self.own, arguments)))
            case ex.Subscript(inner, index):
                return item(self.seen(inner), self.own(index))
        raise TypeError(f"{view!r} is no view")

    # All of it

    def form(
        self, equations: tuple[ex.Expression, ...], also: tuple[ex.Expression, ...], in_arrays: bool
    ) -> NormalForm:
        zeros: list[ex.Expression] = []
        fixed: list[tuple[ex.Expression, ex.Expression]] = []
        for each in equations:
            match meaning(each):
                case Given(ex.Constant(0), regions):
                    zeros.append(self.masks(regions or (ALL,)))
                case Given(value, regions):
                    fixed.append((self.own(value), self.masks(regions or (ALL,))))
        given = either([mask for value, mask in fixed])
        known = either([*zeros, given])
        left_out = known
        if any(meaning(each) == REST for each in equations):
            more = [regions for each in also if each not in equations for regions in _regions(each)]
            left_out = either([known, *map(self.masks, more)])
        joins = [join for each in equations for join in self.joins(each, left_out)]
        if known == TRUE and not joins and not in_arrays:
            if constant := any(value != number(0) for value, _ in fixed):
                self.constants(fixed, ())
            return self.finished(live=False, label=False, sign=False, constant=constant, is_empty=True)
        if known == FALSE and len(joins) == 1 and joins[0].other == call("np.zeros_like", ENTRY) and not in_arrays:
            return self.finished(live=False, label=False, sign=False, constant=False, is_one=True)
        live = known != FALSE
        if live:
            self.let(self.full(negated(known)), LIVE)
        label, sign = bool(joins), False
        if len(joins) == 1 and joins[0].is_first and joins[0].factor is None:
            self.let(joins[0].other, LABEL)
        elif len(joins) == 1 and joins[0].is_mutual and (joins[0].factor is None or joins[0].is_negated):
            sign = self.mirrored(joins[0], live)
            live = live or sign
        elif joins:
            sign = self.joined(joins, live)
            live = live or sign
        if joins and live and known != FALSE and not self.is_closed(joins, equations):
            constants = call("np.isin", LABEL, item(LABEL, operation("~", LIVE)))
            self.let(operation("&", LIVE, operation("~", constants)), LIVE)
        constant = any(value != number(0) for value, _ in fixed)
        if constant:
            self.constants(fixed, joins, sign)
        return self.finished(live, label, sign, constant)

    def mirrored(self, join: Join, live: bool) -> bool:
        """Entries and their mirror images; returns whether they differ in sign."""
        self.let(call("np.minimum", ENTRY, join.other), LABEL)
        if not join.is_negated:
            return False
        apart = operation("!=", ENTRY, join.other)
        self.let(operation("&", LIVE, apart) if live else apart, LIVE)
        self.let(call("np.where", operation("==", ENTRY, LABEL), number(1), number(-1)), SIGN)
        return True

    def joined(self, joins: Sequence[Join], live: bool) -> bool:
        """Entries that are equal by several joins; returns whether they may be multiples."""
        others = ex.Sequence(tuple(each.other for each in joins), list)
        if all(each.factor is None for each in joins):
            self.functions.add("joined")
            self.let(ex.Call(ex.Local("joined"), (others,)), LABEL)
            return False
        self.functions.add("joined_multiples")
        factors = ex.Sequence(tuple(each.factor or number(1) for each in joins), list)
        possible = ex.Variable("possible")
        self.let(ex.Call(ex.Local("joined_multiples"), (others, factors)), LABEL, SIGN, possible)
        self.let(operation("&", LIVE, possible) if live else possible, LIVE)
        return True

    def is_closed(self, joins: Sequence[Join], equations: Sequence[ex.Expression]) -> bool:
        """Whether what equals a constant is one by its own annotation anyway."""
        if len(joins) > 1:
            return False
        regions = [region for each in equations for where in _regions(each) for region in where if region != ALL]
        if joins[0].other == attribute(ENTRY, "T"):
            return all(map(_is_symmetric, regions))
        if joins[0].is_first and any(meaning(each) == REST for each in equations):
            return True
        return not regions and not joins[0].is_negated

    def constants(
        self, fixed: Sequence[tuple[ex.Expression, ex.Expression]], joins: Sequence[Join], sign: bool = False
    ) -> None:
        if not joins and len(fixed) == 1:
            ((value, mask),) = fixed
            found = call("np.full", SHAPE, value) if mask == TRUE else call("np.where", mask, value, number(0))
            self.let(found if is_array(mask) or mask == TRUE else self.full(found), CONSTANT)
            return
        self.let(call("np.zeros", SHAPE), CONSTANT)
        for value, mask in fixed:
            at = ex.Call(ex.Symbol("slice"), (number(None),)) if mask == TRUE else self.full(mask)
            if not joins:
                self.let(value, item(CONSTANT, at))
            else:
                places = item(attribute(CONSTANT, "flat"), item(LABEL, at))
                self.let(operation("/", value, item(SIGN, at)) if sign else value, places)
        if joins:
            spread = item(ex.Call(attribute(CONSTANT, "ravel")), LABEL)
            spread = operation("*", spread, SIGN) if sign else spread
            self.let(call("np.where", LIVE, number(0), spread), CONSTANT)

    def finished(
        self,
        live: bool,
        label: bool,
        sign: bool,
        constant: bool,
        is_one: bool = False,
        is_empty: bool = False,
        averaged: bool = False,
    ) -> NormalForm:
        if is_one:
            self.lets = []
        return NormalForm(
            (*self.indices(self.lets), *self.lets),
            live,
            label,
            sign,
            constant,
            is_one,
            is_empty,
            averaged,
            tuple(self.needs),
            frozenset(self.functions),
        )

    def indices(self, lets: Iterable[Let]) -> list[Let]:
        """The assignments of what others need of an entry: its index on each axis, and its flat index."""
        used = {name for each in lets for part in (each.value, *each.targets) for name in ex.variables(part)}
        first = []
        axes = [axis for axis in range(self.rank) if INDICES[axis] in used]
        if axes and self.rank == 1:
            first.append(Let((self.index(0),), call("np.arange", item(SHAPE, number(0)))))
        elif axes:
            names = [INDICES[axis] if axis in axes else "_" for axis in range(self.rank)]
            before = axes[0]
            if before > 1:
                names[:before] = ["*_"]
            elif self.rank - 1 - axes[-1] > 1:
                names[axes[-1] + 1 :] = ["*_"]
            first.append(Let(tuple(map(ex.Variable, names)), call("np.indices", SHAPE)))
        if "entry" in used:
            size = ex.Call(ex.Symbol("np.prod"), (SHAPE,))
            first.append(Let((ENTRY,), ex.Call(attribute(call("np.arange", size), "reshape"), (SHAPE,))))
        return first


def _is_entry(subscripts: ex.Expression) -> bool:
    """Whether subscripts are whole numbers, and so those of one entry."""
    return isinstance(subscripts, ex.Sequence) and all(
        isinstance(each, ex.Constant) and isinstance(each.value, int) for each in subscripts.items
    )


def _regions(equation: ex.Expression) -> Iterator[tuple[ex.Expression, ...]]:
    """The regions in which an equation makes entries constant, if it does."""
    said = meaning(equation)
    if isinstance(said, Given):
        yield said.regions or (ALL,)


def _is_symmetric(region: ex.Expression) -> bool:
    """Whether a region of a square matrix is its own mirror image."""
    match region:
        case ex.Call(ex.Symbol("Diagonal"), () | (ex.Constant(0),)):
            return True
        case ex.Call(ex.Symbol("Band" | "Blocks"), (one, other)):
            return one == other
        case ex.Call(ex.Symbol("Not" | "Union"), regions):
            return all(map(_is_symmetric, regions))
    return False


# Carried out


def joined(others: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The first of all entries that each one equals, when it equals these others."""
    import numpy as np

    label: np.ndarray[Any, Any] = np.arange(others[0].size).reshape(others[0].shape)
    while True:
        before = label
        for other in others:
            label = np.minimum(label, label.reshape(-1)[other])
            np.minimum.at(label.reshape(-1), other, label)
        label = label.reshape(-1)[label]
        if (label == before).all():
            return label


def joined_multiples(
    others: Sequence[np.ndarray[Any, Any]], factors: Sequence[Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The same where entries are multiples of others; and the multiple that each one is of the first.

    The third array is false at entries that would be two multiples of one: they are zero.
    """
    import numpy as np

    shape = others[0].shape
    label, factor = np.arange(others[0].size), np.ones(others[0].size)
    joins = [(other.ravel(), np.broadcast_to(c, shape).ravel()) for other, c in zip(others, factors, strict=True)]
    while True:
        before = label.copy()
        for other, c in joins:
            lower = label[other] < label
            factor[lower] = (c * factor[other])[lower]
            label[lower] = label[other[lower]]
            higher = np.flatnonzero(label[other] > label)
            np.minimum.at(label, other[higher], label[higher])
            taken = higher[label[other[higher]] == label[higher]]
            factor[other[taken]] = (factor / c)[taken]
        factor *= factor[label]
        label = label[label]
        if (label == before).all():
            break
    impossible = np.zeros(label.size, bool)
    for other, c in joins:
        impossible[label[~np.isclose(factor, c * factor[other])]] = True
    return label.reshape(shape), factor.reshape(shape), ~impossible[label].reshape(shape)


def carried_out(
    form: NormalForm, shape: tuple[int, ...], values: Mapping[str, Any], library: Callable[[str], Any]
) -> dict[str, Any]:
    """The arrays of a form, by name, for a shape and the values of what it needs.

    `library` finds NumPy's functions, and masks, by their paths.
    """
    variables: dict[str, Any] = dict(values)
    variables |= {"self": SimpleNamespace(**values), "shape": shape}
    variables |= {"joined": joined, "joined_multiples": joined_multiples}
    for let in form.lets:
        value = ex.evaluate(let.value, variables, library)
        if len(let.targets) > 1:
            value = tuple(value)
            names = [str(each.name) for each in let.targets if isinstance(each, ex.Variable)]
            if "*_" in names:
                star = names.index("*_")
                skipped = len(value) - len(names) + 1
                names[star : star + 1] = ["_"] * skipped
            variables.update(zip(names, value, strict=True))
            continue
        match let.targets[0]:
            case ex.Variable(name):
                variables[name] = value
            case ex.Subscript(container, index):
                ex.evaluate(container, variables, library)[ex.evaluate(index, variables, library)] = value
    return variables


def evaluated(
    form: NormalForm, shape: Sequence[int], values: Mapping[str, Any], library: Callable[[str], Any]
) -> IndexMap:
    """What every entry of a weight is, as the solver says it."""
    import numpy as np

    from wdsl.structure import IndexMap, index_type

    shape = tuple(map(int, shape))
    size = math.prod(shape)
    arrays = carried_out(form, shape, values, library)
    entry = np.arange(size).reshape(shape)
    live = arrays["live"] if form.live else np.full(shape, not form.is_empty)
    label = np.zeros_like(entry) if form.is_one else arrays["label"] if form.label else entry
    places, numbers = np.unique(label[live], return_inverse=True)
    index = np.full(shape, -1, index_type(size))
    index[live] = numbers.reshape(-1)
    scale = np.where(live, arrays["sign"], 1.0) if form.sign else None
    constant = np.where(live, 0.0, arrays["constant"]) if form.constant else None
    return IndexMap(index, len(places), scale, constant)
