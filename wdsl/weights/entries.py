"""Solving entry by entry, for what no closed form covers: how much is free, and what the file may not have meant."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wdsl import expressions as ex
from wdsl import structure
from wdsl.diagnostics import Diagnostic, Label
from wdsl.network.annotations import MECHANISMS
from wdsl.network.graph import WHOLE, Equation, Tie, View, WeightName
from wdsl.record import Record
from wdsl.source import Span
from wdsl.weights.counts import Counts

NOTHING_KNOWN = Counts(0, 1)


class _Claim(Record):
    """An equation that gives entries of the owner a value."""

    equation: Equation
    mask: np.ndarray[Any, Any]
    value: float


def solve_entries(
    stated: Sequence[tuple[Equation, ex.Expression]],
    members: Mapping[WeightName, View],
    symmetric: Tie | None,
    ties: Sequence[Tie],
    parameters: Mapping[str, Any],
    shape: tuple[int, ...],
) -> tuple[Counts, Mapping[WeightName, int], list[Diagnostic]]:
    """The counts of a component, and how many entries of each member are not zero; an error if an entry would be two
    values, else a warning for each weight in which entries are constant that its own annotations do not name.

    `stated` are the equations with their expressions about the owner, `members` are the weights with their views of the
    owner, and `symmetric` is the tie that makes the owner equal its own transpose, if one does.
    """
    equations: list[structure.Equation] = [structure.Symmetric()] if symmetric else []
    claims: list[_Claim] = []
    merges: list[structure.Merge] = []
    known = np.zeros(shape, bool)
    for equation, expression in stated:
        try:
            with np.errstate(all="raise"):
                term = ex.evaluate(expression, parameters, library)
                mask, value = term.known(shape)
        except (ArithmeticError, ValueError) as error:
            return NOTHING_KNOWN, {}, [_not_computed(equation, error)]
        equations.append(term)
        known |= mask
        if equation.kind in ("zero", "fixed"):
            claims.append(_Claim(equation, mask, value))
    origins = [None] * bool(symmetric) + [equation for equation, _ in stated]
    for origin, term in zip(origins, equations, strict=True):
        try:
            with np.errstate(all="raise"):
                merges += term.merges(shape, known)
        except (ArithmeticError, ValueError) as error:
            assert origin is not None
            return NOTHING_KNOWN, {}, [_not_computed(origin, error)]
    first, factor, dead = structure.union(known.size, merges)
    carriers = [each.span for each, _ in stated if each.kind in ("symmetric", "skew", "equal")]
    carriers += [tie.span for tie in ties]
    conflict, claimed_by = _claims_of_groups(claims, first, factor, dead, shape, carriers)
    if conflict:
        return NOTHING_KNOWN, {}, [conflict]
    stored, kept = (
        structure.index_map(
            [term for origin, term in zip(origins, equations, strict=True) if _mechanism(origin) not in left_out],
            shape,
            known,
        )
        for left_out in (MECHANISMS[1:], ("initial",))
    )
    nonzero = kept.index >= 0
    if kept.constant is not None:
        nonzero |= kept.constant != 0
    warnings = [
        Diagnostic("W0503", f"`{claim.equation.text}` names no entry", claim.equation.span)
        for claim in claims
        if not claim.mask.any()
    ]
    claimed = claimed_by[first].reshape(shape)
    for name, view in members.items():
        named = np.zeros(shape, bool)
        for claim in claims:
            if claim.equation.weight == name:
                named |= claim.mask
        unsaid = np.where(named, -1, claimed)
        if (unsaid >= 0).any():
            seen = see(view, unsaid, parameters)
            if (seen >= 0).any():
                warnings.append(_spread(name, seen, claims, carriers))
    seen_nonzero = {name: int(see(view, nonzero, parameters).sum()) for name, view in members.items()}
    return Counts(stored.size, int(nonzero.sum())), seen_nonzero, warnings


def _mechanism(origin: Equation | None) -> str:
    return origin.mechanism if origin else "parameter"


def _not_computed(equation: Equation, error: Exception) -> Diagnostic:
    return Diagnostic("E0511", f"`{equation.text}` cannot be computed: {error}", equation.span)


def _claims_of_groups(
    claims: Sequence[_Claim],
    first: np.ndarray[Any, Any],
    factor: np.ndarray[Any, Any] | None,
    dead: np.ndarray[Any, Any],
    shape: tuple[int, ...],
    carriers: Sequence[Span],
) -> tuple[Diagnostic | None, np.ndarray[Any, Any]]:
    """For the first entry of each group the claim that gives the group its value, or -1; an error if two differ."""
    claimed_by = np.full(first.size, -1)
    values = np.zeros(first.size)
    is_dead = np.zeros(first.size, bool)
    is_dead[first[dead]] = True
    for number, claim in enumerate(claims):
        entries = np.flatnonzero(claim.mask)
        firsts = first[entries]
        wanted = claim.value if factor is None else claim.value / factor[entries]
        other = claimed_by[firsts]
        clash = ((other >= 0) & ~np.isclose(values[firsts], wanted)) | (is_dead[firsts] & (claim.value != 0))
        claimed_by[firsts] = np.where(other >= 0, other, number)
        values[firsts] = wanted
        clash |= ~np.isclose(values[firsts], wanted)
        if clash.any():
            at = int(np.flatnonzero(clash)[0])
            before = claims[other[at]] if other[at] >= 0 else None
            return _conflict(claim, before, entries[at], shape, carriers), claimed_by
    return None, claimed_by


def _conflict(
    claim: _Claim, other: _Claim | None, entry: int, shape: tuple[int, ...], carriers: Sequence[Span]
) -> Diagnostic:
    places = [Label(other.equation.span, f"{_value(other)} here")] if other else []
    places += [Label(span, "joined to others here") for span in carriers[:3]]
    return Diagnostic(
        "E0513",
        f"entry {_entry(entry, shape)} of `{claim.equation.weight}` would have two different values",
        claim.equation.span,
        f"{_value(claim)} here",
        labels=tuple(label for label in places if label.span != claim.equation.span),
    )


def _spread(
    name: WeightName, unsaid: np.ndarray[Any, Any], claims: Sequence[_Claim], carriers: Sequence[Span]
) -> Diagnostic:
    """A warning: these entries of a weight are constant, and its own annotations name none of them."""
    entries = np.flatnonzero(unsaid >= 0)
    claim = claims[unsaid.ravel()[entries[0]]]
    entry = _entry(entries[0], unsaid.shape)
    count = len(entries)
    subject = f"entry {entry} of `{name}` is" if count == 1 else f"{count} more entries of `{name}` are"
    constant = "zero" if all(each.value == 0 for each in claims) else "constant"
    return Diagnostic(
        "W0501",
        f"{subject} {constant} as well",
        claim.equation.span,
        f"{_value(claim)} here" + ("" if count == 1 else f"; {entry} is among the others"),
        labels=tuple(Label(span, "and this carries it there") for span in carriers[:3] if span != claim.equation.span),
    )


def _value(claim: _Claim) -> str:
    return "zero" if claim.value == 0 else repr(claim.value)


def _entry(entry: int, shape: tuple[int, ...]) -> str:
    subscripts = tuple(map(int, np.unravel_index(entry, shape)))
    return str(subscripts) if len(subscripts) > 1 else str(subscripts[0])


def see(view: View, array: np.ndarray[Any, Any], parameters: Mapping[str, Any]) -> np.ndarray[Any, Any]:
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
