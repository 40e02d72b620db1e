"""The normal form of a weight: what its equations come to, as expressions that hold for every shape and parameter.

    W[e] = sign[e] θ[number of label[e]] where live[e], else constant[e]

`label` is the first of the entries that are one free parameter, as a flat index, and free parameters are numbered in
the order of their labels. A form is a few assignments of NumPy, as data: a written module has them in the class of
the layer, `carried_out.py` carries them out, and a test holds what comes of it against the solver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Alike, Given, Mirrored, Tied
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.weights.arrays import (
    ENTRY,
    FALSE,
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
)
from wdsl.weights.assignments import ALL, Assignments, Let

LIVE, LABEL, SIGN, CONSTANT, AVERAGED = map(ex.Variable, ("live", "label", "sign", "constant", "averaged"))
REST = Alike(())
"""What a plain `equal` means."""


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


class Lowering(Assignments):
    """The normal form of one weight."""

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
