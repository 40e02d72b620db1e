"""The structure of every weight: ties joined, equations carried to the weight that owns them, parameters counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from wdsl import expressions as ex
from wdsl.catalog.model import Weight
from wdsl.diagnostics import Diagnostic, in_order
from wdsl.network.graph import TRANSPOSED, Equation, Layer, Network, Tie, View, WeightName
from wdsl.record import Record
from wdsl.weights.counts import Counts, closed_form, names_nothing

MAX_ENTRIES = 2**25
"""The largest weight that is solved entry by entry."""


class Structure(Record):
    """A weight of a named layer, with what was found out about it.

    `owner` is the weight whose free parameters it is computed from: itself, unless it is tied to another one.
    `equations` are those of the owner's whole component, about the owner; `free` counts parameters of the owner alone.
    """

    name: WeightName
    weight: Weight
    layer: Layer
    owner: WeightName
    view: View
    equations: tuple[ex.Expression, ...]
    free: int
    nonzero: int
    trained: bool
    """False for a weight that is frozen, or tied to one that is."""
    text: str
    """The annotations as the file writes them."""

    @property
    def size(self) -> int:
        return math.prod(self.weight.shape)


class Structures(Record):
    """The structure of every weight of a network's named layers, and how many parameters the network has."""

    weights: tuple[Structure, ...]
    parameters: int
    """Free trainable parameters, those of unnamed layers with them."""
    dense_parameters: int
    """What the same layers would have without annotations."""

    def of(self, layer: str | None) -> tuple[Structure, ...]:
        """The weights of a layer."""
        return tuple(self._by_layer.get(layer, ()))

    def sharing(self, owner: WeightName) -> tuple[Structure, ...]:
        """The weights that are computed from the same parameters."""
        return tuple(self._by_owner.get(owner, ()))

    @cached_property
    def _by_layer(self) -> dict[str | None, list[Structure]]:
        found: dict[str | None, list[Structure]] = {}
        for each in self.weights:
            found.setdefault(each.name.layer, []).append(each)
        return found

    @cached_property
    def _by_owner(self) -> dict[WeightName, list[Structure]]:
        found: dict[WeightName, list[Structure]] = {}
        for each in self.weights:
            found.setdefault(each.owner, []).append(each)
        return found


def solve(network: Network) -> tuple[Structures, tuple[Diagnostic, ...]]:
    """The structure of every weight, and warnings about what the annotations lead to."""
    problems: list[Diagnostic] = []
    weights = {name: (weight, layer) for name, weight, layer in network.weights()}
    stated: dict[WeightName, list[Equation]] = {name: [] for name in weights}
    for equation in network.equations:
        stated[equation.weight].append(equation)
    solved: dict[WeightName, Structure] = {}
    for component in _components(network, tuple(weights), problems):
        own = {name: stated[name] for name in component.members}
        for structure in _solve(component, own, network.values, weights, problems):
            solved[structure.name] = structure
    structures = tuple(solved[name] for name in weights)
    unnamed = sum(_trainable(weight) for layer in network.unnamed for weight in layer.weights)
    return (
        Structures(
            structures,
            sum(each.free for each in structures if each.weight.trainable and each.trained) + unnamed,
            sum(each.size for each in structures if each.weight.trainable) + unnamed,
        ),
        in_order(problems),
    )


def _trainable(weight: Weight) -> int:
    return math.prod(weight.shape) if weight.trainable else 0


class _Component(Record):
    """Weights that ties join. For each member its view of the owner; `symmetric` if a cycle makes the owner so."""

    owner: WeightName
    members: Mapping[WeightName, View]
    ties: tuple[Tie, ...]
    symmetric: Tie | None


def _tied_twice(tie: Tie) -> Diagnostic:
    return Diagnostic(
        "E0505",
        f"`{tie.weight}` is tied in more than one way, and not all are whole weights or their `.T`",
        tie.span,
        "this version of wdsl does not compile that",
    )


def _components(network: Network, names: tuple[WeightName, ...], problems: list[Diagnostic]) -> list[_Component]:
    neighbours: dict[WeightName, list[tuple[WeightName, Tie]]] = {name: [] for name in names}
    tied = set()
    for tie in network.ties:
        neighbours[tie.weight].append((tie.reference, tie))
        neighbours[tie.reference].append((tie.weight, tie))
        tied.add(tie.weight)
    components = []
    seen: set[WeightName] = set()
    # A weight that is tied to no other owns its component; in a cycle the first in the file does.
    for name in sorted(names, key=lambda each: each in tied):
        if name in seen:
            continue
        members = {name: View()}
        ties: dict[Tie, None] = {}
        symmetric = None
        followed: set[Tie] = set()
        queue = [name]
        while queue:
            current = queue.pop()
            for other, tie in neighbours[current]:
                ties[tie] = None
                if (other == tie.weight and other != current) or tie.view.is_matrix:
                    view = members[current].then(tie.view)  # a transpose is its own inverse
                elif tie in followed:
                    continue
                else:
                    problems.append(_tied_twice(tie))
                    continue
                followed.add(tie)
                if other not in members:
                    members[other] = view
                    queue.append(other)
                elif members[other] != view and not (members[other].is_matrix and view.is_matrix):
                    problems.append(_tied_twice(tie))
                elif members[other] != view:
                    symmetric = symmetric or tie
        seen |= set(members)
        components.append(_Component(name, members, tuple(ties), symmetric))
    return components


def _solve(
    component: _Component,
    own: dict[WeightName, list[Equation]],
    parameters: Mapping[str, Any],
    weights: Mapping[WeightName, tuple[Weight, Layer]],
    problems: list[Diagnostic],
) -> list[Structure]:
    shape = weights[component.owner][0].shape
    for name, view in component.members.items():
        if own[name] and not view.is_matrix:
            problems.append(
                Diagnostic(
                    "E0505",
                    f"`{name}` is a part, reshaping or multiple of `{component.owner}` and has an annotation itself",
                    own[name][0].span,
                    "this version of wdsl does not compile that",
                    hint=f"annotate `{component.owner}`",
                )
            )
            own[name] = []
    stated = [
        (each, _about_owner(each, own[name], view.expression == TRANSPOSED, alone=len(component.members) == 1))
        for name, view in component.members.items()
        for each in own[name]
    ]
    # A tie that makes a weight equal its own transpose, and the annotations. Those with a mechanism free nothing.
    tied = [ex.Call(ex.Symbol("Symmetric"))] if component.symmetric else []
    whole = [*tied, *(expression for _, expression in stated)]
    kept = [*tied, *(expression for each, expression in stated if each.mechanism != "initial")]
    stored = [*tied, *(expression for each, expression in stated if each.mechanism == "parameter")]
    equations = dict.fromkeys([*tied, *(_with_mechanism(each, expression) for each, expression in stated)])
    # What is constant in one member may be so unsaid in another: that takes a look at the entries. So does what an
    # `equal` leaves out because of an equation that is not stored.
    constants = any(each.kind in ("zero", "fixed", "skew") for each, _ in stated)
    rest_is_equal = any(each.kind == "equal" for each, _ in stated) and len(stored) < len(whole)
    nonzero: Mapping[WeightName, int] = {}
    counts = None
    if not (constants and (len(component.members) > 1 or rest_is_equal)):
        of_stored, of_kept, of_whole = (closed_form(each, shape, parameters) for each in (stored, kept, whole))
        if of_stored and of_kept and of_whole:
            counts = Counts(of_stored.free, of_kept.nonzero)
            problems += [
                Diagnostic("W0503", f"`{each.text}` names no entry", each.span)
                for each, expression in stated
                if each.kind in ("zero", "fixed") and names_nothing(expression, shape, parameters)
            ]
    if counts is None and math.prod(shape) > MAX_ENTRIES:
        problems.append(
            Diagnostic(
                "E0702",
                f"`{component.owner}` has {math.prod(shape):,} entries, too many to solve these annotations",
                stated[0][0].span,
                f"no formula counts them, and entry by entry goes up to {MAX_ENTRIES:,}",
            )
        )
        counts = Counts(0, 1)
    elif counts is None:
        from wdsl.weights.entries import solve_entries

        counts, nonzero, found = solve_entries(
            stated, component.members, component.symmetric, component.ties, parameters, shape
        )
        problems += found
    if counts.nonzero == 0 and stated:
        where = stated[0][0].span
        problems.append(
            Diagnostic("W0502", f"`{component.owner}` has nothing left to train", where, "every entry is zero")
        )
    frozen = any(equation.kind == "frozen" for equation, _ in stated)
    if not frozen and weights[component.owner][0].trainable:
        problems += [
            Diagnostic(
                "W0504",
                f"training will break `{each.text}`",
                each.span,
                "it holds at the start alone",
                hint="leave `via initial` out to keep it",
            )
            for each, _ in stated
            if each.mechanism == "initial" and each.kind in ("symmetric", "skew", "equal")
        ]
    annotated: dict[WeightName, list[Equation | Tie]] = {name: [*equations] for name, equations in own.items()}
    for tie in component.ties:
        annotated[tie.weight].append(tie)
    return [
        Structure(
            name,
            *weights[name],
            component.owner,
            view,
            tuple(equations),
            counts.free if name == component.owner else 0,
            # Without constants none is zero, however much of the owner a view shows.
            nonzero.get(name, counts.nonzero if name == component.owner else math.prod(weights[name][0].shape)),
            not frozen,
            ", ".join(each.text for each in sorted(annotated[name], key=lambda each: each.span.start)),
        )
        for name, view in component.members.items()
    ]


def _with_mechanism(equation: Equation, expression: ex.Expression) -> ex.Expression:
    """The equation for the runtime, with its mechanism if it has one of its own."""
    if equation.mechanism == "parameter":
        return expression
    return ex.Call(ex.Symbol("Via"), (ex.Constant(equation.mechanism), expression))


def _about_owner(equation: Equation, beside: list[Equation], transposed: bool, alone: bool) -> ex.Expression:
    """An equation as one about the weight that owns the component. `beside` are all on the equation's own weight."""
    expression = equation.expression
    assert isinstance(expression, ex.Call)
    if equation.kind == "equal" and not expression.arguments and not alone:
        # It is about the entries that nothing on its own weight makes constant, whatever the other members say.
        regions = [region for each in beside for region in _regions(each)]
        rest = ex.Call(ex.Symbol("Not"), (ex.Call(ex.Symbol("Union"), tuple(regions)),))
        expression = ex.Call(expression.function, (rest,))
    if not transposed or equation.kind not in ("zero", "fixed", "equal"):
        return expression
    return ex.Call(
        expression.function,
        tuple(
            _transposed(each) if equation.kind != "fixed" or position == 1 else each
            for position, each in enumerate(expression.arguments)
        ),
    )


def _regions(equation: Equation) -> list[ex.Expression]:
    """The regions in which an equation gives the entries values."""
    assert isinstance(equation.expression, ex.Call)
    arguments = equation.expression.arguments
    if equation.kind == "fixed":
        return [arguments[1]]
    if equation.kind == "zero":
        return list(arguments) or [ex.Call(ex.Symbol("Not"), (ex.Call(ex.Symbol("Union")),))]
    return []


def _transposed(term: ex.Expression) -> ex.Expression:
    """A region or grouping of a matrix, as one of its transpose."""
    assert isinstance(term, ex.Call)
    grouping = term.function in (ex.Symbol("Axis"), ex.Symbol("By"))
    return ex.Call(ex.Symbol("TransposedGroups" if grouping else "Transposed"), (term,))
