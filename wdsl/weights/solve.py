"""The structure of every weight: ties joined, equations carried to the weight that owns them, parameters counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wdsl import expressions as ex
from wdsl.catalog.model import Weight
from wdsl.diagnostics import Diagnostic, Label, in_order
from wdsl.network.graph import Equation, Layer, Network, Tie, WeightName
from wdsl.record import Record
from wdsl.weights.counts import Counts, closed_form

if TYPE_CHECKING:
    import numpy as np

MAX_ENTRIES = 100_000_000
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
    transposed: bool
    equations: tuple[ex.Expression, ...]
    free: int
    nonzero: int
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
        return tuple(each for each in self.weights if each.name.layer == layer)

    def sharing(self, owner: WeightName) -> tuple[Structure, ...]:
        """The weights that are computed from the same parameters."""
        return tuple(each for each in self.weights if each.owner == owner)


def solve(network: Network) -> tuple[Structures, tuple[Diagnostic, ...]]:
    """The structure of every weight, and warnings about what the annotations lead to."""
    problems: list[Diagnostic] = []
    weights = {name: (weight, layer) for name, weight, layer in network.weights()}
    solved: dict[WeightName, Structure] = {}
    for component in _components(network, tuple(weights)):
        for structure in _solve(component, network, weights, problems):
            solved[structure.name] = structure
    structures = tuple(solved[name] for name in weights)
    unnamed = sum(_trainable(weight) for layer in network.unnamed for weight in layer.weights)
    return (
        Structures(
            structures,
            sum(each.free for each in structures if each.weight.trainable) + unnamed,
            sum(each.size for each in structures if each.weight.trainable) + unnamed,
        ),
        in_order(problems),
    )


def _trainable(weight: Weight) -> int:
    return math.prod(weight.shape) if weight.trainable else 0


class _Component(Record):
    """Weights that ties join. For each member whether it is the owner transposed; `symmetric` if a cycle says so."""

    owner: WeightName
    members: Mapping[WeightName, bool]
    ties: tuple[Tie, ...]
    symmetric: Tie | None


def _components(network: Network, names: tuple[WeightName, ...]) -> list[_Component]:
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
        members = {name: False}
        ties: dict[Tie, None] = {}
        symmetric = None
        queue = [name]
        while queue:
            current = queue.pop()
            for other, tie in neighbours[current]:
                ties[tie] = None
                transposed = members[current] != tie.transposed
                if other not in members:
                    members[other] = transposed
                    queue.append(other)
                elif members[other] != transposed:
                    symmetric = symmetric or tie
        seen |= set(members)
        components.append(_Component(name, members, tuple(ties), symmetric))
    return components


def _solve(
    component: _Component,
    network: Network,
    weights: Mapping[WeightName, tuple[Weight, Layer]],
    problems: list[Diagnostic],
) -> list[Structure]:
    shape = weights[component.owner][0].shape
    own = {name: [each for each in network.equations if each.weight == name] for name in component.members}
    about_owner = [
        (each, _transposed(each.expression) if component.members[name] else each.expression)
        for name, equations in own.items()
        for each in equations
    ]
    equations = list(dict.fromkeys(expression for _, expression in about_owner))
    if component.symmetric:
        equations = list(dict.fromkeys([ex.Call(ex.Symbol("Symmetric")), *equations]))
    has_zeros = any(equation.kind == "zero" for equation, _ in about_owner)
    counts = None if has_zeros and len(component.members) > 1 else closed_form(equations, shape)
    if counts is None:
        if math.prod(shape) > MAX_ENTRIES:
            span = about_owner[0][0].span
            problems.append(
                Diagnostic(
                    "E0702",
                    f"`{component.owner}` has {math.prod(shape):,} entries, too many to solve these annotations",
                    span,
                    f"annotations that mix are solved entry by entry, up to {MAX_ENTRIES:,}",
                )
            )
            counts = Counts(0, 1)
        else:
            counts = _entry_by_entry(component, network, own, equations, shape, problems)
    if counts.nonzero == 0 and about_owner:
        where = about_owner[0][0].span
        problems.append(
            Diagnostic("W0502", f"`{component.owner}` has nothing left to train", where, "every entry is zero")
        )
    annotated: dict[WeightName, list[Equation | Tie]] = {name: [*equations] for name, equations in own.items()}
    for tie in component.ties:
        annotated[tie.weight].append(tie)
    return [
        Structure(
            name,
            *weights[name],
            component.owner,
            transposed,
            tuple(equations),
            counts.free if name == component.owner else 0,
            counts.nonzero,
            ", ".join(each.text for each in sorted(annotated[name], key=lambda each: each.span.start)),
        )
        for name, transposed in component.members.items()
    ]


def _transposed(equation: ex.Expression) -> ex.Expression:
    """The same equation, about the transposed weight."""
    if isinstance(equation, ex.Call) and equation.function == ex.Symbol("Zero"):
        return ex.Call(
            equation.function,
            tuple(ex.Call(ex.Symbol("Transposed"), (region,)) for region in equation.arguments),
        )
    return equation


def _entry_by_entry(
    component: _Component,
    network: Network,
    own: Mapping[WeightName, list[Equation]],
    equations: list[ex.Expression],
    shape: tuple[int, ...],
    problems: list[Diagnostic],
) -> Counts:
    """The counts by solving, with a warning for each zero that reaches an entry which no annotation named."""
    import numpy as np

    from wdsl import structure

    def terms(expressions: list[ex.Expression]) -> list[Any]:
        return [ex.evaluate(each, network.values, _library) for each in expressions]

    try:
        with np.errstate(all="raise"):
            named = {
                name: np.logical_or.reduce(
                    [np.zeros(shape, bool)]
                    + [
                        term.zeros(shape)
                        for term in terms(
                            [
                                _transposed(each.expression) if component.members[name] else each.expression
                                for each in equations_
                            ]
                        )
                    ]
                )
                for name, equations_ in own.items()
            }
            # `equal` is about the entries that no zero on its own weight names; a zero that comes over a tie is
            # a zero of that one value.
            zeros = np.logical_or.reduce(list(named.values()))
            for name, equations_ in own.items():
                if any(each.kind == "equal" for each in equations_) and (zeros & ~named[name]).any():
                    equations.append(ex.Call(ex.Symbol("Zero")))
                    break
            solved = structure.index_map(terms(equations), shape)
    except (ArithmeticError, ValueError) as error:
        span = next(each for equations_ in own.values() for each in equations_ if each.kind == "zero").span
        problems.append(Diagnostic("E0511", f"the region cannot be computed: {error}", span))
        return Counts(0, 1)
    zero = solved.index < 0
    for name, transposed in component.members.items():
        spread = zero & ~named[name]
        if spread.any():
            problems.append(_spread(component, own, name, spread.T if transposed else spread))
    return Counts(solved.size, int(zero.size - zero.sum()))


def _spread(
    component: _Component,
    own: Mapping[WeightName, list[Equation]],
    name: WeightName,
    spread: np.ndarray[Any, Any],
) -> Diagnostic:
    """A warning: these entries of a weight are zero, and its own annotations name none of them."""
    import numpy as np

    count = int(spread.sum())
    first = tuple(map(int, np.argwhere(spread)[0]))
    entry = str(first) if len(first) > 1 else str(first[0])
    zeros = [each for equations in own.values() for each in equations if each.kind == "zero"]
    zero = next((each for each in zeros if each.weight == name), zeros[0])
    causes = [each.span for each in own[name] if each.kind in ("symmetric", "equal")]
    causes += [tie.span for tie in component.ties]
    entries = f"entry {entry} of `{name}` is" if count == 1 else f"{count} more entries of `{name}` are"
    return Diagnostic(
        "W0501",
        f"{entries} zero as well",
        zero.span,
        "zero here" if count == 1 else f"zero here; {entry} is among the others",
        labels=tuple(Label(span, "and this carries it there") for span in causes[:3] if span != zero.span),
    )


def _library(path: str) -> Any:
    """What the expressions of annotations refer to, without Keras."""
    import builtins

    import numpy as np

    from wdsl import structure

    if path.startswith("np."):
        return getattr(np, path.removeprefix("np."))
    return getattr(structure, path, None) or getattr(builtins, path)
