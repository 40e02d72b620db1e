"""Solving entry by entry, for what no closed form covers: how much is free, and what the file may not have meant."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from wdsl import structure
from wdsl.annotations.equations import MAX_ENTRIES, MECHANISMS, WHOLE, Equation, Tie, View, WeightName
from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Alike, Given, Meaning, Mirrored, Tied, joins
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.structure import pieces
from wdsl.structure.pieces import Merge
from wdsl.structure.solution import UnionFind
from wdsl.text.diagnostics import Diagnostic, Label
from wdsl.text.source import Span
from wdsl.weights.reports import adds_nothing, names_no_entry
from wdsl.weights.structures import Structure

Array: TypeAlias = np.ndarray[Any, Any]
ZERO, FREE, CONSTANT = range(3)
MAX_COMPARED = 2**26
"""So many entries, times the square of how many equations, are looked at to warn of those that add nothing."""
MAX_SEARCHED = 2**20
"""In larger arrays a report names all that may have joined two entries, not just what has."""


class System(Record):
    """Equations on the entries of one array, flat or not, in which weights have places.

    That is the array of the weight that the others are views of; or, if weights are coupled, all of them in a row.
    `owners` are the weights that the array's own entries belong to, and `places` says where a weight has its own.
    """

    shape: tuple[int, ...]
    names: tuple[WeightName, ...]
    places: Callable[[WeightName], structure.Indices]
    owners: tuple[WeightName, ...]
    terms: tuple[tuple[Equation | Tie, structure.Equation], ...]

    def of(self, name: WeightName, array: Array) -> Array:
        """What a flat array with as many entries has at the places of a weight."""
        return array.reshape(self.shape) if (name,) == self.owners else array[self.places(name)]


class Solution(Record):
    """How many parameters each owner adds, how many entries of each weight are not zero, and what is wrong."""

    free: Mapping[WeightName, int]
    nonzero: Mapping[WeightName, int]
    problems: tuple[Diagnostic, ...]


class _Claim(Record):
    """An equation that gives entries a value, in so many words or because they would be multiples of themselves."""

    equation: Equation | Tie
    bits: Array
    shape: tuple[int, ...]
    value: float
    label: str = ""

    @property
    def mask(self) -> Array:
        return np.unpackbits(self.bits, count=math.prod(self.shape)).view(bool).reshape(self.shape)


class _Merges(Record):
    """An equation that joins entries. Which, is computed anew each time, in pieces: together they would take much room.

    A tie that makes a weight a view has no term: it is in the places already.
    """

    origin: Equation | Tie
    term: structure.Equation | None
    known: Array

    def joined(self) -> Iterator[Merge]:
        if self.term is None:
            return
        try:
            with np.errstate(all="raise"):
                merges = self.term.merges(self.known.shape, self.known)
            while True:
                with np.errstate(all="raise"):  # not for those to whom it is handed
                    merge = next(merges, None)
                if merge is None:
                    return
                yield merge
        except (ArithmeticError, ValueError) as error:
            raise _not_computed(self.origin, error) from None

    def touched(self, size: int) -> Array:
        """True at the entries that are joined to another, or to a multiple of themselves."""
        mask = np.zeros(size, bool)
        for one, other, c in self.joined():
            there = slice(None) if c != 1.0 else one != other
            mask[one[there]] = mask[other[there]] = True
        return mask


class _Refused(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


def solve_entries(
    stated: Sequence[Equation],
    views: Mapping[WeightName, View] | None,
    ties: Sequence[Tie],
    shapes: Mapping[WeightName, tuple[int, ...]],
    frozen: Collection[WeightName],
    parameters: Mapping[str, Any],
) -> Solution:
    """Solve what is stated of weights that share parameters.

    `shapes` are those of the weights, the owner first, and `views` how they are seen in the owner; None if they are
    coupled. `frozen` are the weights that are not trained, if that is not the same for all.

    There is an error if an entry would be two values, or if an equation cannot be computed; else warnings for weights
    in which entries are constant that their own annotations do not name, and for equations that say nothing.
    """
    try:
        if views is None:
            system = coupled(stated, ties, shapes, parameters)
        else:
            system = seen_in_owner(stated, views, next(iter(shapes.values())), parameters)
        _refuse_factors(system)
        return _solve(system, ties, frozen)
    except _Refused as refused:
        return Solution({}, {}, (refused.diagnostic,))


def seen_in_owner(
    stated: Sequence[Equation], views: Mapping[WeightName, View], shape: tuple[int, ...], parameters: Mapping[str, Any]
) -> System:
    """The system of weights that are views of their owner, which has this shape and all the equations."""
    size = math.prod(shape)

    def places(name: WeightName) -> structure.Indices:
        return see(views[name], np.arange(size, dtype=structure.index_type(size)).reshape(shape), parameters)

    terms = tuple((origin, _term(origin, parameters)) for origin in stated)
    return System(shape, tuple(views), places, tuple(views)[:1], terms)


def coupled(
    stated: Sequence[Equation],
    ties: Sequence[Tie],
    shapes: Mapping[WeightName, tuple[int, ...]],
    parameters: Mapping[str, Any],
) -> System:
    """The system of weights in a row, as the runtime's `Coupled` solves it."""
    places, size = structure.side_by_side({str(name): shape for name, shape in shapes.items()})
    origins: tuple[Equation | Tie, ...] = (*stated, *ties)
    terms = tuple((each, structure.within(_term(each, parameters), places, str(each.weight))) for each in origins)
    return System((size,), tuple(shapes), lambda name: places[str(name)], tuple(shapes), terms)


def index_maps(
    sharing: Sequence[Structure], parameters: Mapping[str, Any]
) -> dict[WeightName, tuple[structure.IndexMap, float]]:
    """What is behind each entry of weights that share parameters, the owner first, and a factor for all of the weight.

    The index of an entry is that of its free parameter, among those of all the weights.
    """
    terms = {each.name: [ex.evaluate(one, parameters, library) for one in each.equations] for each in sharing}
    if not sharing[0].coupled:
        solved = structure.index_map(terms[sharing[0].name], sharing[0].weight.shape)
        return {
            each.name: (
                _picked(solved, lambda array, view=each.view: see(view, array, parameters)),  # type: ignore[misc]
                1.0 if each.view.factor is None else ex.evaluate(each.view.factor, parameters, library),
            )
            for each in sharing
        }
    places, size = structure.side_by_side({str(each.name): each.weight.shape for each in sharing})
    equations = [structure.within(one, places, str(name)) for name, said in terms.items() for one in said]
    solved = structure.index_map(equations, (size,))
    return {
        each.name: (_picked(solved, lambda array, at=places[str(each.name)]: array[at]), 1.0)  # type: ignore[misc]
        for each in sharing
    }


def _picked(solved: structure.IndexMap, pick: Callable[[Array], Array]) -> structure.IndexMap:
    scale, constant = (each if each is None else pick(each) for each in (solved.scale, solved.constant))
    return structure.IndexMap(pick(solved.index), solved.size, scale, constant)


def _term(origin: Equation | Tie, parameters: Mapping[str, Any]) -> structure.Equation:
    try:
        with np.errstate(all="raise"):
            return ex.evaluate(origin.for_runtime, parameters, library)  # type: ignore[no-any-return]
    except (ArithmeticError, ValueError) as error:
        raise _not_computed(origin, error) from None


def _not_computed(origin: Equation | Tie, error: Exception) -> _Refused:
    if isinstance(origin, Tie) or isinstance(meaning(origin.expression), Tied):
        where = f"`{origin.weight}` cannot be tied so: {str(error).rstrip('.')}"
        return _Refused(Diagnostic("E0504", where, origin.span))
    return _Refused(Diagnostic("E0511", f"`{origin.text}` cannot be computed: {error}", origin.span))


def _joins(origin: Equation | Tie) -> bool:
    return isinstance(origin, Tie) or joins(meaning(origin.expression))


def _said(origin: Equation | Tie) -> Meaning | None:
    """What an equation says; None for a tie to another weight."""
    return None if isinstance(origin, Tie) else meaning(origin.expression)


def _refuse_factors(system: System) -> None:
    """Factors have to be remembered, in eight bytes each if they are no signs."""
    size, most = math.prod(system.shape), MAX_ENTRIES // 2
    for origin, term in system.terms if size > most else ():
        tie = term.equation if isinstance(term, structure.Same) else term
        if isinstance(tie, structure.Tie) and abs(tie.view.factor) != 1:
            what = (
                f"`{origin.weight}` and what it is tied to have {size:,} entries, too many to solve these annotations"
            )
            why = f"with a factor like {tie.view.factor!r}, entry by entry goes up to {most:,}"
            raise _Refused(Diagnostic("E0702", what, origin.span, why))


def _solve(system: System, ties: Sequence[Tie], frozen: Collection[WeightName]) -> Solution:
    shape, size = system.shape, math.prod(system.shape)
    claims: list[_Claim] = []
    known = np.zeros(shape, bool)
    for origin, term in system.terms:
        try:
            with np.errstate(all="raise"):
                mask, value = term.known(shape)
        except (ArithmeticError, ValueError) as error:
            raise _not_computed(origin, error) from None
        if isinstance(_said(origin), Given):
            known |= mask
            claims.append(_Claim(origin, np.packbits(mask), shape, value))
    merges = [_Merges(origin, term, known) for origin, term in system.terms if _joins(origin)]
    solved = _union(size, merges)
    # The ties of views may have carried something all the same.
    carriers = [*merges, *(_Merges(tie, None, known) for tie in ties if len(system.owners) == 1)]
    _refuse_conflicts(system, claims, solved, carriers)
    problems = [names_no_entry(claim.equation) for claim in claims if not claim.mask.any()]
    problems += _superfluous(claims, merges, solved)
    contradiction = _contradiction(merges, solved)
    first, state = solved[0], _state(solved, claims)
    for name in system.names if claims or contradiction else ():
        named = np.zeros(size, bool)
        for claim in claims:
            if claim.equation.weight == name:
                named |= claim.mask.ravel()
        for each in merges:
            said = _said(each.origin)
            if isinstance(said, Mirrored) and said.sign < 0 and each.origin.weight == name:
                for one, other, _ in each.joined():
                    named[one[one == other]] = True
        unsaid = system.of(name, (state != FREE) & ~named)
        if unsaid.any():
            places = system.places(name)
            group = first[places.flat[np.argmax(unsaid)]]
            source = next((each for each in claims if (first[each.mask.ravel()] == group).any()), contradiction)
            assert source is not None
            constant = "zero" if all(each.value == 0 for each in claims) else "constant"
            problems.append(_spread(name, unsaid, constant, places, source, first, carriers))
    free, nonzero = _free(system, first, state, frozen), _nonzero(system, state)
    if any(origin.mechanism != "parameter" for origin, _ in system.terms):
        del first, state, solved
        free = _free(system, *_without(MECHANISMS[1:], merges, claims, size), frozen)
        nonzero = _nonzero(system, _without(("initial",), merges, claims, size)[1])
    return Solution(free, nonzero, tuple(problems))


def _union(size: int, merges: Sequence[_Merges]) -> UnionFind:
    return structure.union(size, (each for one in merges for each in one.joined()))


def _state(solved: UnionFind, claims: Sequence[_Claim]) -> Array:
    """Of each entry whether it is zero, free, or another constant."""
    first, _, dead = solved
    state = np.full(first.size, FREE, np.int8)
    for claim in claims:
        state[first[claim.mask.ravel()]] = CONSTANT if claim.value else ZERO
    state[first[dead]] = ZERO
    return state[first]


def _without(
    left_out: Collection[str], merges: Sequence[_Merges], claims: Sequence[_Claim], size: int
) -> tuple[Array, Array]:
    """The first entry of each one's group, and the state, if equations by some mechanisms are left out."""
    solved = _union(size, [each for each in merges if each.origin.mechanism not in left_out])
    return solved[0], _state(solved, [each for each in claims if each.equation.mechanism not in left_out])


def _free(system: System, first: Array, state: Array, frozen: Collection[WeightName]) -> dict[WeightName, int]:
    """How many parameters each owner has that none before it has. Those of frozen weights are theirs alone."""
    is_first = (state == FREE) & (first == np.arange(first.size, dtype=first.dtype))
    if len(system.owners) == 1:
        return {system.owners[0]: int(np.count_nonzero(is_first))}
    is_frozen = np.zeros(first.size, bool)
    for name in system.owners:
        if name in frozen:
            is_frozen[first[system.places(name)]] = True
    own = {name: is_first & (is_frozen == (name in frozen)) for name in system.owners}
    return {name: int(np.count_nonzero(own[name][system.places(name)])) for name in system.owners}


def _nonzero(system: System, state: Array) -> dict[WeightName, int]:
    return {name: int(np.count_nonzero(system.of(name, state != ZERO))) for name in system.names}


def _refuse_conflicts(system: System, claims: Sequence[_Claim], solved: UnionFind, carriers: Sequence[_Merges]) -> None:
    """Refuse claims that give two values to a group."""
    first, factor, dead = solved
    if not any(claim.value for claim in claims):
        return
    claimed_by = np.full(first.size, -1, np.min_scalar_type(-len(claims) - 2))
    given = np.array([claim.value for claim in claims])
    values = None if factor is None else np.zeros(first.size)
    is_dead = np.zeros(first.size, bool)
    is_dead[first[dead]] = True
    for number, claim in enumerate(claims):
        mask = claim.mask.ravel()
        for start in range(0, first.size, pieces.PART):
            entries = np.flatnonzero(mask[start : start + pieces.PART]) + start
            firsts = first[entries]
            other = claimed_by[firsts]
            if factor is None or values is None:
                clash = (other >= 0) & ~np.isclose(given[other], claim.value)
            else:
                wanted = claim.value / factor[entries].astype(float)
                clash = ((other >= 0) & ~np.isclose(values[firsts], wanted)) | (is_dead[firsts] & (claim.value != 0))
                values[firsts] = wanted
                clash |= ~np.isclose(values[firsts], wanted)
            if clash.any():
                at = int(np.argmax(clash))
                before = claims[other[at]] if other[at] not in (-1, number) else None
                raise _Refused(_conflict(system, claim, before, entries[at], first, carriers))
            claimed_by[firsts] = np.where(other >= 0, other, number)


def _contradiction(merges: Sequence[_Merges], solved: UnionFind) -> _Claim | None:
    """The entries that are zero because they would be two different multiples of one number."""
    first, _, dead = solved
    if not dead.any():
        return None
    is_dead = np.zeros(first.size, bool)
    is_dead[first[dead]] = True
    is_dead = is_dead[first]
    turning = [each for each in merges if any(c != 1.0 and is_dead[one].any() for one, _, c in each.joined())]
    bits, shape = np.packbits(is_dead), is_dead.shape
    return _Claim(turning[-1].origin, bits, shape, 0.0, "zero, for it would be a multiple of itself by this")


def _conflict(
    system: System, claim: _Claim, other: _Claim | None, entry: int, first: Array, carriers: Sequence[_Merges]
) -> Diagnostic:
    places = [Label(other.equation.span, f"{_value(other)} here")] if other else []
    joined = _joined(entry, other, first, carriers)
    places += [Label(span, "joined to others here") for span in joined]
    name = claim.equation.weight
    own = system.places(name)
    return Diagnostic(
        "E0513",
        f"entry {_entry(int(np.argmax(own == entry)), own.shape)} of `{name}` would have two different values",
        claim.equation.span,
        f"{_value(claim)} here",
        labels=tuple(label for label in places if label.span != claim.equation.span),
    )


def _spread(
    name: WeightName,
    unsaid: Array,
    constant: str,
    places: structure.Indices,
    claim: _Claim,
    first: Array,
    carriers: Sequence[_Merges],
) -> Diagnostic:
    """A warning: these entries of a weight are constant, and its own annotations name none. A claim is on the first."""
    at = int(np.argmax(unsaid))
    entry = _entry(at, unsaid.shape)
    count = int(np.count_nonzero(unsaid))
    subject = f"entry {entry} of `{name}` is" if count == 1 else f"{count} more entries of `{name}` are"
    joined = _joined(places.flat[at], claim, first, carriers)
    return Diagnostic(
        "W0501",
        f"{subject} {constant} as well",
        claim.equation.span,
        (claim.label or f"{_value(claim)} here") + ("" if count == 1 else f"; {entry} is among the others"),
        labels=tuple(Label(span, "and this carries it there") for span in joined if span != claim.equation.span),
    )


def _joined(entry: int, claim: _Claim | None, first: Array, carriers: Sequence[_Merges]) -> list[Span]:
    """The places in the file that join an entry to one that the claim names: all that it takes, and no more."""
    carriers = [each for each in carriers if each.term is None or _touches(each, first, entry)]
    needed = list(carriers)
    if claim and not claim.label and first.size <= MAX_SEARCHED:
        others = np.flatnonzero((first == first[entry]) & claim.mask.ravel())
        for each in carriers:
            rest = [one for one in needed if one is not each]
            found, _, _ = _union(first.size, rest)
            if each.term is not None and (found[others] == found[entry]).any():
                needed = rest
    return [each.origin.span for each in needed][:3]


def _says(merge: Merge, known: Array) -> bool:
    """Whether an entry is joined to another, and no equation gives it a value."""
    one, other, _ = merge
    return bool((~known[one] & (one != other)).any())


def _touches(merges: _Merges, first: Array, entry: int) -> bool:
    """Whether an equation joins entries of the group that an entry is in."""
    return any((first[one] == first[entry]).any() for one, _, _ in merges.joined())


def _superfluous(claims: Sequence[_Claim], merges: Sequence[_Merges], solved: UnionFind) -> list[Diagnostic]:
    """A warning for each equation without which all would be the same; of two that say the same, for the later."""
    first, _, dead = solved
    found: list[Diagnostic] = []
    if first.size * (len(claims) + len(merges)) ** 2 > MAX_COMPARED:
        return found
    is_dead = np.zeros(first.size, bool)
    is_dead[first[dead]] = True
    kept = sorted(claims, key=lambda each: each.equation.span.start)
    # What a plain `equal` joins is what no other equation of the weight names.
    rests = {each.origin.weight for each in merges if _said(each.origin) == Alike(())}
    for claim in reversed(kept):
        # What another weight, or a mirrored entry, says of an entry is worth saying of this one too: see W0501.
        # What holds by weaker means does not make it hold.
        least = claim.equation.strength
        beside = [
            one
            for one in kept
            if one is not claim and one.equation.weight == claim.equation.weight and one.equation.strength >= least
        ]
        by_dead = dead.any() and all(each.origin.strength >= least for each in merges)
        if not beside and not by_dead:
            continue
        named = is_dead[first] if by_dead else np.zeros(first.size, bool)
        for other in beside:
            named |= other.mask.ravel()
        if claim.mask.any() and named[claim.mask.ravel()].all() and claim.equation.weight not in rests:
            kept.remove(claim)
            found.append(adds_nothing(claim.equation))
    left = sorted(merges, key=lambda each: each.origin.span.start)
    known = np.zeros(first.size, bool)
    for claim in claims:
        known |= claim.mask.ravel()
    if len(left) == 1 and any(_says(merge, known) for merge in left[0].joined()):
        return found
    del known
    touched = np.zeros(first.size, np.uint8)
    by = [np.packbits(each.touched(first.size)) for each in left]
    for bits in [*(claim.bits for claim in claims), *by]:
        touched += np.unpackbits(bits, count=first.size) & (touched < 2)
    for number, each in reversed([*enumerate(left)]):
        if (touched[np.unpackbits(by[number], count=first.size).view(bool)] == 1).any():
            continue  # no other says anything of this entry
        least = each.origin.strength
        rest = [one for one in left if one is not each and one.origin.strength >= least]
        groups, factor, dead_without = _union(first.size, rest)
        is_constant = np.zeros(first.size, bool)
        is_constant[groups[dead_without]] = True
        for claim in claims:
            if claim.equation.strength >= least:
                is_constant[groups[claim.mask.ravel()]] = True
        if all(_holds(merge, groups, factor, is_constant) for merge in each.joined()):
            left.remove(each)
            found.append(adds_nothing(each.origin))
    return found


def _holds(merge: Merge, first: Array, factor: Array | None, is_constant: Array) -> bool:
    """Whether what is merged is one already, or constant; constants that differ would have been refused."""
    one, other, c = merge
    alike = first[one] == first[other]
    if factor is not None:
        alike &= np.isclose(factor[one], c * factor[other])
    elif c != 1.0:
        alike[:] = False
    return bool((alike | (is_constant[first[one]] & is_constant[first[other]])).all())


def _value(claim: _Claim) -> str:
    return "zero" if claim.value == 0 else repr(claim.value)


def _entry(entry: int, shape: tuple[int, ...]) -> str:
    subscripts = tuple(map(int, np.unravel_index(entry, shape)))
    return str(subscripts) if len(subscripts) > 1 else str(subscripts[0])


def see(view: View, array: Array, parameters: Mapping[str, Any]) -> Array:
    """An array of a weight's shape as a view of the weight shows it, but for the factor."""
    seen = ex.evaluate(view.expression, {**parameters, WHOLE.name: array}, library)
    return np.asarray(seen)


def library(path: str) -> Any:
    """What the expressions of annotations and views refer to, without Keras: equations, whatever makes them hold."""
    if path.startswith("ops."):
        return getattr(np, path.removeprefix("ops."))
    if path.startswith("np."):
        return getattr(np, path.removeprefix("np."))
    if path == "Via":
        return lambda mechanism, equation: equation
    if path == "Averaged":
        return structure.Equal
    return getattr(structure, path, None) or getattr(builtins, path)
