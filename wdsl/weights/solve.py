"""The structure of every weight: ties joined, equations carried to the weight that owns them, parameters counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from wdsl.annotations.equations import MAX_ENTRIES, Equation, Tie, View, WeightName
from wdsl.annotations.kinds import FROZEN, kind_of, meaning
from wdsl.annotations.meanings import Alike, Given, Untrained, joins, makes_constants
from wdsl.catalog.model import Weight
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.network.graph import FreeWeight, Layer, Network
from wdsl.text.diagnostics import Diagnostic, Label, in_order
from wdsl.text.source import Span
from wdsl.weights.counts import Counts, closed_form, names_nothing
from wdsl.weights.reports import adds_nothing, names_no_entry
from wdsl.weights.structures import Structure, Structures

Count: TypeAlias = Callable[[Sequence[ex.Expression], tuple[int, ...]], Counts | None]
"""Equations of a weight of some shape in closed form."""


MAX_STEPS = 2**32
"""So many entries are solved in a network, each counted for every word that its annotations consist of."""
MOST_COMPARED = 100
"""So many annotations of one weight are each held against all others, to warn of those that add nothing."""


def solve(network: Network) -> tuple[Structures, tuple[Diagnostic, ...]]:
    """The structure of every weight, and warnings about what the annotations lead to."""
    problems: list[Diagnostic] = []
    weights = {name: (weight, layer) for name, weight, layer in network.weights()}
    stated: dict[WeightName, list[Equation]] = {name: [] for name in weights}
    for equation in network.equations:
        stated[equation.weight].append(equation)
    joined = {name for tie in network.ties for name in (tie.weight, tie.reference)}
    solved: dict[WeightName, Structure] = {}
    said_of = []
    for name, (weight, layer) in weights.items():
        if stated[name] or name in joined:
            said_of.append(name)
        else:  # as most are
            size = math.prod(weight.shape)
            solved[name] = Structure(name, weight, layer, name, View(), False, (), size, size, True, "")
    parameters = network.values
    known: dict[object, Counts | None] = {}

    def count(equations: Sequence[ex.Expression], shape: tuple[int, ...]) -> Counts | None:
        # Many layers of a network say the same of weights of the same shape.
        key = tuple(equations), shape
        if key not in known:
            known[key] = closed_form(equations, shape, parameters)
        return known[key]

    by_entries = _ByEntries()
    for component in _components(network, said_of):
        own = {name: stated[name] for name in component.members}
        for structure in _solve(component, own, parameters, count, weights, by_entries, problems):
            solved[structure.name] = structure
    # An annotation in a block or a loop says the same to many weights: this is about one of them.
    where = {each.span: each.circumstances for each in network.equations if each.circumstances}
    where |= {each.span: each.circumstances for each in network.ties if each.circumstances}
    problems = [each.replace(labels=(*each.labels, *where.get(each.span, ()))) for each in problems]
    structures = tuple(solved[name] for name in weights)
    unnamed = sum(_trainable(weight) for layer in network.unnamed for weight in layer.weights)
    return (
        Structures(
            structures,
            sum(each.free for each in structures if each.weight.trainable and each.trained) + unnamed,
            sum(each.size for each in structures if each.weight.trainable and _is_in_layers(each.layer)) + unnamed,
        ),
        in_order(problems),
    )


def _trainable(weight: Weight) -> int:
    return math.prod(weight.shape) if weight.trainable else 0


class _Component(Record):
    """Weights that ties join; first the owner: one that is tied to no other, or else the first in the file."""

    members: tuple[WeightName, ...]
    ties: tuple[Tie, ...]

    @property
    def owner(self) -> WeightName:
        return self.members[0]


def _components(network: Network, names: Sequence[WeightName]) -> list[_Component]:
    neighbours: dict[WeightName, list[tuple[WeightName, Tie]]] = {name: [] for name in names}
    for tie in network.ties:
        neighbours[tie.weight].append((tie.reference, tie))
        neighbours[tie.reference].append((tie.weight, tie))
    tied = {tie.weight for tie in network.ties}
    owners_first = sorted(names, key=lambda each: each in tied)
    position = {name: number for number, name in enumerate(owners_first)}
    components = []
    seen: set[WeightName] = set()
    for name in owners_first:
        if name in seen:
            continue
        ties: dict[Tie, None] = {}
        found, queue = {name}, [name]
        while queue:
            for other, tie in neighbours[queue.pop()]:
                ties[tie] = None
                if other not in found:
                    found.add(other)
                    queue.append(other)
        seen |= found
        in_order_of_file = sorted(ties, key=lambda tie: tie.span.start)
        components.append(_Component(tuple(sorted(found, key=position.__getitem__)), tuple(in_order_of_file)))
    return components


def _views(component: _Component, own: Mapping[WeightName, list[Equation]]) -> dict[WeightName, View] | None:
    """Each member as a view of the owner, if the ties say no more than that and the annotations are the owner's."""
    views = {component.owner: View()}
    queue = [component.owner]
    while queue:
        current = queue.pop()
        for tie in component.ties:
            if tie.reference == current:
                other = tie.weight
            elif tie.weight == current and tie.view.is_matrix:  # a transpose is its own inverse
                other = tie.reference
            else:
                continue
            if other not in views:
                views[other] = views[current].then(tie.view)
                queue.append(other)
    if len(views) < len(component.members):
        return None
    for tie in component.ties:
        if tie.region is not None or views[tie.weight] != views[tie.reference].then(tie.view):
            return None
    others = [(each, view) for name, view in views.items() if name != component.owner for each in own[name]]
    return views if all(_is_about_owner(each, view) for each, view in others) else None


def _is_about_owner(equation: Equation, view: View) -> bool:
    """Whether an equation on a view of the owner says the same of the owner itself, in the same words."""
    return kind_of(equation.expression).carries_over(view)


class _ByEntries:
    """Solves weights entry by entry, as long as that comes to no more than a network may take."""

    def __init__(self) -> None:
        self._steps = 0
        self._alone: dict[object, tuple[int, int]] = {}

    def solve(
        self,
        stated: Sequence[Equation],
        views: Mapping[WeightName, View] | None,
        ties: Sequence[Tie],
        shapes: Mapping[WeightName, tuple[int, ...]],
        frozen: Collection[WeightName],
        parameters: Mapping[str, Any],
    ) -> tuple[Mapping[WeightName, int], Mapping[WeightName, int], Sequence[Diagnostic]]:
        """What is free of each owner and not zero of each weight, and what is wrong: see `solve_entries`."""
        owner = next(iter(shapes))
        # In a block or a loop, an annotation says the same of many weights, and one report is enough.
        alike = (shapes[owner], *((each.span, each.for_runtime) for each in stated))
        if len(shapes) == 1 and alike in self._alone:
            free, nonzero = self._alone[alike]
            return {owner: free}, {owner: nonzero}, ()
        size = math.prod(shapes[owner]) if views else sum(map(math.prod, shapes.values()))
        said = (*(each.expression for each in stated), *(tie.for_runtime for tie in ties))
        words = sum(1 for each in said for _ in ex.walk(each))
        subject = f"`{owner}` has" if len(shapes) == 1 else f"`{owner}` and what it is tied to have"
        where = stated[0].span if stated else ties[0].span
        why = f"no formula counts them, and entry by entry goes up to {MAX_ENTRIES:,}"
        if size > MAX_ENTRIES:
            what = f"{subject} {size:,} entries, too many to solve these annotations"
            return {}, {}, [Diagnostic("E0702", what, where, why)]
        if self._steps + size * words > MAX_STEPS:
            what = f"{subject} {size:,} entries, too many to solve annotations of {words} words"
            why = f"the words, times the entries, may come to {MAX_STEPS:,} in a network"
            return {}, {}, [Diagnostic("E0702", what, where, why)]
        self._steps += size * words
        from wdsl.weights.entries import solve_entries

        solution = solve_entries(stated, views, ties, shapes, frozen, parameters)
        if len(shapes) == 1 and solution.free:
            self._alone[alike] = (solution.free[owner], solution.nonzero[owner])
        return solution.free, solution.nonzero, solution.problems


def _is_in_layers(layer: Layer | FreeWeight) -> bool:
    """Whether a weight would be there without annotations: one that others are tied to alone would not."""
    return isinstance(layer, Layer) or layer.is_tensor


def _solve(
    component: _Component,
    own: dict[WeightName, list[Equation]],
    parameters: Mapping[str, Any],
    count: Count,
    weights: Mapping[WeightName, tuple[Weight, Layer | FreeWeight]],
    by_entries: _ByEntries,
    problems: list[Diagnostic],
) -> list[Structure]:
    owner = component.owner
    shapes = {name: weights[name][0].shape for name in component.members}
    stated = [each for name in component.members for each in own[name]]
    views = _views(component, own)
    frozen = {each.weight for each in stated if isinstance(meaning(each.expression), Untrained)}
    if views and frozen:
        frozen = set(component.members)
    if views is None:
        frozen |= {name for name in component.members if not weights[name][0].trainable}
        problems += _half_frozen(component, own, frozen)
    problems += _said_twice(component, own)
    counts = _closed_form(stated, shapes[owner], len(component.members), count) if views else None
    free: Mapping[WeightName, int] = {}
    nonzero: Mapping[WeightName, int] = {}
    found: Sequence[Diagnostic] = ()
    if counts:
        free, nonzero = {owner: counts.free}, {owner: counts.nonzero}
        found = [names_no_entry(each) for each in stated if names_nothing(each.expression, shapes[owner], parameters)]
        found += _superfluous(stated, shapes[owner], count)
    else:
        free, nonzero, found = by_entries.solve(stated, views, component.ties, shapes, frozen, parameters)
    said = {(each.code, each.span) for each in problems}
    problems += (each for each in found if (each.code, each.span) not in said)
    if stated and nonzero and not any(nonzero.values()):
        where = stated[0].span
        problems.append(Diagnostic("W0502", f"`{owner}` has nothing left to train", where, "every entry is zero"))
    if owner not in frozen and weights[owner][0].trainable:
        problems += _broken_by_training(stated)
    annotated: dict[WeightName, list[Equation | Tie]] = {name: [*equations] for name, equations in own.items()}
    for tie in component.ties:
        annotated[tie.weight].append(tie)
    about_owner = tuple(dict.fromkeys(each.for_runtime for each in stated))
    structures = []
    for name in component.members:
        in_order_of_file = sorted(annotated[name], key=lambda each: each.span.start)
        equations = about_owner if views else tuple(dict.fromkeys(each.for_runtime for each in in_order_of_file))
        if views is None and not weights[name][0].trainable:
            equations = (*equations, FROZEN)
        structures.append(
            Structure(
                name,
                *weights[name],
                owner,
                views[name] if views else View(),
                views is None,
                equations,
                free.get(name, 0),
                # Without constants none is zero, however much of the owner a view shows.
                nonzero.get(name, math.prod(shapes[name])),
                name not in frozen,
                ", ".join(each.text for each in in_order_of_file),
            )
        )
    return structures


def _closed_form(stated: Sequence[Equation], shape: tuple[int, ...], members: int, count: Count) -> Counts | None:
    """The counts of a component whose equations are the owner's, or None if it takes a look at the entries."""
    whole = [each.expression for each in stated]
    kept = [each.expression for each in stated if each.mechanism != "initial"]
    stored = [each.expression for each in stated if each.mechanism == "parameter"]
    # What is constant in one member may be so unsaid in another. And what an `equal` leaves out may be stored.
    said = [meaning(each.expression) for each in stated]
    constants = any(makes_constants(each) for each in said)
    rest_is_equal = any(isinstance(each, Alike) for each in said) and len(stored) < len(whole)
    if constants and (members > 1 or rest_is_equal):
        return None
    of_whole = count(whole, shape)
    of_kept, of_stored = (of_whole if len(some) == len(whole) else count(some, shape) for some in (kept, stored))
    if of_stored and of_kept and of_whole:
        return Counts(of_stored.free, of_kept.nonzero)
    return None


def _broken_by_training(stated: Sequence[Equation]) -> list[Diagnostic]:
    return [
        Diagnostic(
            "W0504",
            f"training will break `{each.text}`",
            each.span,
            "it holds at the start alone",
            hint="leave `via initial` out to keep it",
        )
        for each in stated
        if each.mechanism == "initial" and joins(meaning(each.expression))
    ]


def _said_twice(component: _Component, own: Mapping[WeightName, list[Equation]]) -> list[Diagnostic]:
    """A warning for each annotation that stands on its weight already, in the same words or others."""
    seen: dict[object, Span] = {}
    found = []
    for name in component.members:
        said: list[Equation | Tie] = [*own[name], *(tie for tie in component.ties if tie.weight == name)]
        for each in sorted(said, key=lambda each: each.span.start):
            first = seen.setdefault((name, each.for_runtime), each.span)
            if first != each.span:
                labels = (Label(first, "it stands here already"),)
                found.append(Diagnostic("W0505", f"`{each.text}` adds nothing", each.span, labels=labels))
    return found


def _superfluous(stated: Sequence[Equation], shape: tuple[int, ...], count: Count) -> list[Diagnostic]:
    """A warning for each equation without which as much is free, and not zero: then all is as it was."""
    if len(stated) > MOST_COMPARED:
        return []
    left = sorted(stated, key=lambda each: each.span.start)
    found = []
    for one in [*reversed(left)]:
        # What holds by weaker means does not make it hold.
        rest = [each for each in left if each is not one and each.strength >= one.strength]
        counts = [count([each.expression for each in some], shape) for some in ([*rest, one], rest)]
        # What an `equal` leaves out to the one side is one number more, or what is fixed: as many are free.
        said = meaning(one.expression)
        leaves_out = isinstance(said, Given) and any(isinstance(meaning(each.expression), Alike) for each in rest)
        if rest and not isinstance(said, Untrained) and not leaves_out and counts[0] == counts[1] is not None:
            left.remove(one)
            found.append(adds_nothing(one))
    return found


def _half_frozen(
    component: _Component, own: Mapping[WeightName, list[Equation]], frozen: Collection[WeightName]
) -> list[Diagnostic]:
    """An error for each mechanism that would change what is not trained along with what is."""
    if not frozen or len(frozen) == len(component.members):
        return []
    one = next(name for name in component.members if name in frozen)
    return [
        Diagnostic(
            "E0507",
            f"`via {each.mechanism}` cannot act on `{name}`: parts of it are `{one}`, which is not trained",
            each.span,
            hint="leave the mechanism out",
        )
        for name in component.members
        for each in own[name]
        if each.mechanism != "parameter"
    ]
