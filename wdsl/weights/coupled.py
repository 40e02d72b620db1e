"""The normal form of coupled weights: that of the vector in which all their entries stand, one weight after the other.

Each equation is lowered in terms of the weight that it is about, which is an array of where its entries stand in the
vector: `live[a_kernel[i == j]] = False`, `other[b_kernel] = a_kernel.T`. From then on the vector is a weight like
any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Alike, Given, Mirrored, Tied
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.weights.arrays import ENTRY, FALSE, SHAPE, TRUE, attribute, call, either, item, negated, number, operation
from wdsl.weights.assignments import ALL, Let
from wdsl.weights.normal import AVERAGED, CONSTANT, LABEL, LIVE, REST, SIGN, Join, Lowering, NormalForm

VECTOR = ex.Variable("vector")
WITHIN = ex.Symbol("Within")
SIZE = attribute(VECTOR, "size")


class Member(Record):
    """One of the coupled weights: the array of where its entries stand in the vector, and how many axes it has."""

    array: ex.Variable
    rank: int


def within(name: str, equation: ex.Expression) -> ex.Expression:
    """The equation on weight `name`, as one on the vector."""
    match equation:
        case ex.Call(ex.Symbol("Via"), (mechanism, inner)):
            return ex.Call(ex.Symbol("Via"), (mechanism, within(name, inner)))
    return ex.Call(WITHIN, (ex.Constant(name), equation))


def coupled_form(
    equations: Iterable[ex.Expression],
    members: Mapping[str, Member],
    tables: Iterable[str] = (),
    also: Iterable[ex.Expression] = (),
) -> NormalForm:
    """The normal form of the vector, of equations that `within` gave.

    Its assignments take `vector`, which is `np.arange` of its size, and the arrays of the members.
    """
    return CoupledLowering(members, tables).form(tuple(equations), tuple(also), in_arrays=True)


class CoupledLowering(Lowering):
    """The assignments of all members, one after the other.

    A form of more equations than the last one goes on from the arrays that are there.
    """

    def __init__(self, members: Mapping[str, Member], tables: Iterable[str] = ()) -> None:
        super().__init__(1, frozenset(tables))
        self.is_live = False
        self.members = members
        self.others: list[ex.Variable] = []
        """Arrays of what entries equal; the next where a weight has its part of those before filled already."""
        self.factors: dict[ex.Variable, ex.Variable] = {}
        """Arrays of factors, where some are not 1."""
        self.means: list[ex.Variable] = []
        """Those among `others` that are for gradients to be averaged by."""
        self.fixed: list[tuple[ex.Expression, ex.Expression]] = []
        """Constants that are not zero, and where they stand."""
        self.claimed: set[ex.Variable] = set()
        """The members some of whose entries are constant by their own annotations."""
        self.filled: dict[tuple[ex.Variable, bool], int] = {}
        """How many of the arrays have a member's part in them, of the others and of the means."""
        self.done: list[ex.Expression] = []
        self.is_inside = False

    def goes_on(self, equations: Sequence[ex.Expression]) -> bool:
        """Whether the form of these equations can begin with the arrays of the last form.

        A plain `equal` cannot: it asks what is constant by annotations of its weight alone.
        """
        new = [ex.parts(each)[-1] for each in equations if each not in self.done]
        return all(each in equations for each in self.done) and not any(meaning(each) == REST for each in new)

    def form(
        self, equations: tuple[ex.Expression, ...], also: tuple[ex.Expression, ...], in_arrays: bool
    ) -> NormalForm:
        new = [each for each in equations if each not in self.done]
        was_live = self.is_live
        before = {*self.others, *self.means, *self.factors.values()}
        self.lets, self.done = [], [*equations]
        for name, member in self.members.items():
            own, others = _of(name, equations), _of(name, also)
            if mine := _of(name, new):
                self.member(member, mine, [each for each in others if each not in own])
        known = bool(self.claimed)
        first = [Let((LIVE,), call("np.ones", SIZE, ex.Symbol("bool")))] if known and not was_live else []
        arrays = [*self.others, *self.means]
        first += [Let((each,), ex.Call(attribute(VECTOR, "copy"))) for each in arrays if each not in before]
        first += [Let((each,), call("np.ones", SIZE)) for each in self.factors.values() if each not in before]
        self.lets = [*first, *self.lets]
        sign = bool(self.factors)
        self.is_live = was_live or known or sign
        joins = [Join(each, self.factors.get(each)) for each in arrays]
        averaged = bool(self.means) and bool(self.others)
        if not new:
            return self.finished(self.is_live, bool(joins), sign, bool(self.fixed), averaged=averaged)
        if joins:
            self.joined(joins, was_live or known)
        if joins and known:
            constants = call("np.isin", LABEL, item(LABEL, operation("~", LIVE)))
            self.let(operation("&", LIVE, operation("~", constants)), LIVE)
        if self.fixed:
            self.let(call("np.zeros", SIZE), CONSTANT)
            for value, places in self.fixed:
                self.let(operation("/", value, item(SIGN, places)) if sign else value,
                         item(CONSTANT, item(LABEL, places) if joins else places))  # fmt: skip
        if self.fixed and joins:
            spread = operation("*", item(CONSTANT, LABEL), SIGN) if sign else item(CONSTANT, LABEL)
            self.let(call("np.where", LIVE, number(0), spread), CONSTANT)
        if averaged:
            self.let(either([operation("!=", each, VECTOR) for each in self.means]), AVERAGED)
        return self.finished(self.is_live, bool(joins), sign, bool(self.fixed), averaged=averaged)

    def indices(self, lets: Iterable[Let]) -> list[Let]:
        """Those of the entries of a member: nothing asks for them in the vector, which is its own."""
        return [each for each in super().indices(lets) if each.targets != (ENTRY,)] if self.is_inside else []

    def member(self, member: Member, equations: Sequence[ex.Expression], also: Sequence[ex.Expression]) -> None:
        """The assignments for the equations of one weight; `also` are others of it that are in force elsewhere."""
        before, self.lets = self.lets, []
        self.rank, self.taken, self.is_inside = member.rank, set(), True
        for each in equations:
            match meaning(each):
                case Given(ex.Constant(0), regions):
                    for places in self.chosen(regions or (ALL,)):
                        self.let(FALSE, item(LIVE, places))
                    self.claimed.add(member.array)
                case Given(value, regions):
                    for places in self.chosen(regions or (ALL,)):
                        named = ex.Variable(f"fixed{len(self.fixed) + 1}" if self.fixed else "fixed")
                        self.let(places, named)
                        self.let(FALSE, item(LIVE, named))
                        self.fixed.append((self.own(value), named))
                    self.claimed.add(member.array)
        for each in equations:
            for join in self.joins_of(each, member.array in self.claimed, also):
                arrays = self.means if join.is_averaged else self.others
                part = member.array, join.is_averaged
                count = self.filled.get(part, 0)
                self.filled[part] = count + 1
                if count == len(arrays):
                    name = "mean" if join.is_averaged else "other"
                    arrays.append(ex.Variable(name if not count else f"{name}{count + 1}"))
                self.equal(arrays[count], join)
        local = {"entry": member.array, "shape": attribute(member.array, "shape")}

        def change(part: ex.Expression) -> ex.Expression | None:
            return local.get(part.name) if isinstance(part, ex.Variable) else None

        own = [*self.indices(self.lets), *self.lets]
        self.lets = before + [
            Let(tuple(ex.replaced(one, change) for one in each.targets), ex.replaced(each.value, change))
            for each in own
        ]
        self.rank, self.is_inside = 1, False

    def equal(self, other: ex.Variable, join: Places) -> None:
        places = join.places
        if join.factor is not None and not isinstance(places, ex.Variable):
            places = self.new("tied")
            self.let(join.places, places)
        self.let(join.other, item(other, places))
        if join.factor is not None:
            index = other.name.removeprefix("other")
            factor = self.factors.setdefault(other, ex.Variable(f"factor{index}"))
            self.let(join.factor, item(factor, places))

    # Places

    def chosen(self, regions: Sequence[ex.Expression]) -> list[ex.Expression]:
        """Where in the vector the entries stand that regions name, in as many arrays as it takes."""
        found: list[ex.Expression] = []
        numbers: list[ex.Expression] = []
        entries: list[ex.Sequence] = []
        for region in regions:
            match region:
                case ex.Call(ex.Symbol("Union"), inner):
                    found += self.chosen(inner)
                case ex.Call(ex.Symbol("Flat"), items):
                    slices = [each for each in items if is_slice(each)]
                    numbers += [each for each in items if each not in slices]
                    found += [ENTRY if each in ALL.arguments else item(self.flat_array, self.own(each))
                              for each in slices]  # fmt: skip
                case ex.Call(ex.Symbol("At"), items) if not any(map(is_slice, items)) and self.rank > 1:
                    entries.append(ex.Sequence(items))
                case ex.Call(ex.Symbol("At"), items):
                    found.append(item(ENTRY, self.own(ex.Sequence(items) if len(items) > 1 else items[0])))
                case _:
                    mask = self.mask(region)
                    found.append(ENTRY if mask == TRUE else item(ENTRY, self.full(mask)))
        if numbers:
            index = numbers[0] if len(numbers) == 1 else ex.Sequence(tuple(numbers), list)
            found.append(item(self.flat_array, self.own(index)))
        if len(entries) == 1:
            found.append(item(ENTRY, self.own(entries[0])))
        elif entries:
            axes = zip(*(each.items for each in entries), strict=True)
            found.append(item(ENTRY, self.own(ex.Sequence(tuple(ex.Sequence(axis, list) for axis in axes)))))
        return found

    @property
    def flat_array(self) -> ex.Expression:
        return attribute(ENTRY, "flat") if self.rank > 1 else ENTRY

    def flat(self, items: Sequence[ex.Expression]) -> ex.Expression:
        """A condition for entries by their flat indices, which are not where they stand in the vector."""
        return TRUE if ALL.arguments[0] in items else self.listed(items, is_flat=True)

    def in_order(self, region: ex.Expression) -> ex.Expression:
        """Where the entries of a region stand, in C order."""
        match region:
            case ex.Call(ex.Symbol("At"), items) if all(map(is_rising, items)) and any(map(is_slice, items)):
                chosen = item(ENTRY, self.own(ex.Sequence(items) if len(items) > 1 else items[0]))
                return chosen if self.rank == 1 else ex.Call(attribute(chosen, "ravel"))
            case ex.Call(ex.Symbol("Flat"), (one,)) if is_slice(one) and is_rising(one) and one not in ALL.arguments:
                return item(self.flat_array, self.own(one))
        mask = self.mask(region)
        return ex.Call(attribute(ENTRY, "ravel")) if mask == TRUE else item(ENTRY, self.full(mask))

    # What is equal

    def joins_of(self, equation: ex.Expression, has_claims: bool, also: Sequence[ex.Expression]) -> list[Places]:
        match meaning(equation):
            case Alike(groups, is_averaged):
                found = [self.grouped(each) for each in groups] if groups else [self.rest(has_claims, also)]
                return [each.replace(is_averaged=is_averaged) for each in found]
            case Tied(view, regions):
                return [self.tied_part(view, *regions)]
            case Mirrored():
                (join,) = self.joins(equation, FALSE)
                return [Places(ENTRY, join.other, join.factor)]
        return []

    def rest(self, has_claims: bool, also: Sequence[ex.Expression]) -> Places:
        """That the entries which nothing makes constant are one."""
        left: list[ex.Expression] = [item(LIVE, ENTRY)] if has_claims else []
        for each in also:
            said = meaning(each)
            if isinstance(said, Given):
                left.append(negated(self.masks(said.regions or (ALL,))))
        if not left:
            return Places(ENTRY, item(self.flat_array, number(0)))
        mask = left[0]
        for each in left[1:]:
            mask = operation("&", mask, each)
        return self.same(item(ENTRY, self.full(mask)))

    def same(self, places: ex.Expression) -> Places:
        named = self.new("same")
        self.let(places, named)
        return Places(named, item(named, ex.Call(ex.Symbol("slice"), (number(1),))))

    def grouped(self, group: ex.Expression) -> Places:
        match group:
            case ex.Call(ex.Symbol("By"), (function,)):
                first = item(self.flat_array, self.first_of(self.full(self.traced(function))))
                return Places(ENTRY, ex.Call(attribute(first, "reshape"), (SHAPE,)))
            case ex.Call(ex.Symbol("Axis"), (ex.Constant(int(axis)),)):
                whole, first_of = (ex.Call(ex.Symbol("slice"), (number(end),)) for end in (None, 1))
                ends = tuple(whole if each == axis else first_of for each in range(self.rank))
                return Places(ENTRY, item(ENTRY, ex.Sequence(ends)) if self.rank > 1 else ENTRY)
        return self.same(self.in_order(group))

    def tied_part(self, view: ex.Expression, region: ex.Expression | None = None) -> Places:
        factor: ex.Expression | None = None
        match view:
            case ex.Operation("-", (inner,)):
                view, factor = inner, number(-1)
            case ex.Operation("*", (times, inner)):
                view, factor = inner, self.own(times)
        seen = self.seen(view)
        if region is None:
            return Places(ENTRY, seen, factor)
        return Places(self.in_order(region), ex.Call(attribute(seen, "ravel")), factor)

    def seen(self, view: ex.Expression) -> ex.Expression:
        match view:
            case ex.Call(ex.Symbol("View"), (ex.Constant(str(name)),)):
                return self.members[name].array
        return super().seen(view)


class Places(Record):
    """That the entries at places of the vector equal others of it, up to a factor."""

    places: ex.Expression
    other: ex.Expression
    factor: ex.Expression | None = None
    is_averaged: bool = False


def _of(name: str, equations: Sequence[ex.Expression]) -> list[ex.Expression]:
    """The equations of one member."""
    return [
        each.arguments[1]
        for each in equations
        if isinstance(each, ex.Call) and each.function == WITHIN and each.arguments[0] == ex.Constant(name)
    ]


def is_slice(subscript: ex.Expression) -> bool:
    return isinstance(subscript, ex.Call) and subscript.function == ex.Symbol("slice")


def is_rising(subscript: ex.Expression) -> bool:
    """Whether a subscript is no slice that goes backwards, for all that is known."""
    match subscript:
        case ex.Call(ex.Symbol("slice"), (_, _, step)):
            return isinstance(step, ex.Constant) and (step.value is None or int(step.value) > 0)
    return True
