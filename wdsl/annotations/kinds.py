"""The annotations: a row for each. Nothing else knows them by name.

A new annotation is a row here, and a class in `wdsl/structure/equations.py` that says to the solver which entries it
joins. `docs/development.md` goes through one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from wdsl.annotations.equations import WHOLE, Tie, View
from wdsl.annotations.meanings import Alike, Given, Meaning, Mirrored, Tied, Untrained
from wdsl.annotations.regions import read_groups, read_regions, read_union
from wdsl.annotations.subject import Subject
from wdsl.annotations.ties import read_tie
from wdsl.catalog.argument_types import is_number
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link.constants import type_name
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_annotation
from wdsl.text.diagnostics import Fix, Label, by

LARGEST_FLOAT32 = 3.4028234663852886e38


class Kind(Record):
    """A row: one annotation."""

    name: str
    read: Callable[[Subject, nodes.Annotation], ex.Expression | Tie | None]
    """What it states of a weight: the equation, as it is constructed for the runtime, or a tie. None after a report."""
    classes: tuple[str, ...]
    """What the equation may construct."""
    meaning: Callable[[tuple[ex.Expression, ...]], Meaning]
    """What the equation says of entries, from the arguments that it is constructed with."""
    averaged: tuple[str, ...] = ()
    """Those of the classes for which free numbers move by the mean of the gradients of their entries."""
    patterns: Mapping[str, int] = MappingProxyType({})
    """The patterns that a kernel with it can have, and the fewest entries for which a product is worth it."""
    carries_over: Callable[[View], bool] = lambda view: False
    """Whether it says the same of a weight as of that view of it, in the same words."""
    takes_value: bool = False
    """Whether `= 1.0` can stand behind it."""
    no_mechanism: str = ""
    """Why it has no other mechanism than `parameter`, if it has none."""


# --- reading ------------------------------------------------------------------------------------------------------


def _read_mirrored(subject: Subject, annotation: nodes.Annotation) -> ex.Expression | None:
    """`symmetric` and `skew`: of a matrix, or in two axes that are named."""
    kind, name = annotation.name.id, subject.name
    rank = len(subject.shape)
    if annotation.regions is not None:
        subject.error("E0510", f"`{kind}` takes axes in parentheses, and no regions", annotation.span)
        return None
    axes = (0, 1)
    arguments: tuple[ex.Expression, ...] = ()
    if annotation.arguments:
        values = [subject.constant(argument.value) for argument in annotation.arguments]
        if any(value is None for value in values):
            return None
        axes = tuple(value.value for value in values if value)
        named = any(argument.name for argument in annotation.arguments)
        if named or len(axes) != 2 or not all(isinstance(axis, int) for axis in axes) or axes[0] == axes[1]:
            subject.error("E0510", f"`{kind}` takes two different axes", annotation.span)
            return None
        if not all(0 <= axis < rank for axis in axes):
            subject.error("E0503", f"`{name}` has the axes 0 to {rank - 1}", annotation.span)
            return None
        arguments = tuple(value.expression for value in values if value)
    elif rank != 2:
        subject.error(
            "E0506",
            f"`{name}` has {rank} {'axis' if rank == 1 else 'axes'}: {kind} in which two?",
            annotation.span,
            f"its shape is {by(subject.shape)}",
            hint=f"name them: `{kind}(0, 1)`" if rank > 1 else None,
        )
        return None
    first, second = axes
    if subject.shape[first] != subject.shape[second]:
        subject.error(
            "E0502",
            f"`{name}` cannot be {kind}: it is {by(subject.shape)}",
            annotation.span,
            f"axes {first} and {second} have {subject.shape[first]} and {subject.shape[second]} entries"
            if rank > 2
            else f"only a square matrix can equal its transpose{', negated' if kind == 'skew' else ''}",
            labels=(Label(subject.layer.place, f"`{name}` is {by(subject.shape)}"),),
        )
        return None
    return ex.Call(ex.Symbol(kind.capitalize()), arguments if axes != (0, 1) or rank != 2 else ())


def _read_equal(subject: Subject, annotation: nodes.Annotation) -> ex.Expression | None:
    if annotation.arguments is not None and not _is_mean(subject, annotation):
        return None
    groups = read_groups(subject, annotation.regions or ())
    if groups is None:
        return None
    return ex.Call(ex.Symbol("Equal" if annotation.arguments is None else "Averaged"), groups)


def _is_mean(subject: Subject, annotation: nodes.Annotation) -> bool:
    """Whether the arguments of `equal` are `gradient=mean` and can be that."""
    match annotation.arguments:
        case (nodes.Argument(nodes.Name("gradient"), nodes.Name("mean")),):
            pass
        case _:
            subject.error("E0510", "in parentheses, `equal` takes `gradient=mean` alone", annotation.span)
            return False
    if annotation.via and annotation.via.id != "parameter":
        subject.error(
            "E0507",
            f"`gradient=mean` cannot go with `via {annotation.via.id}`",
            annotation.span,
            "`via gradient` takes the mean by itself"
            if annotation.via.id == "gradient"
            else "it is about the gradient of a parameter",
        )
        return False
    return True


def _read_zero(subject: Subject, annotation: nodes.Annotation) -> ex.Expression | None:
    if annotation.arguments is not None:
        regions = tuple(argument.value for argument in annotation.arguments)
        better = annotation.replace(regions=(*(annotation.regions or ()), *regions) or None, arguments=None)
        clear = annotation.regions is None and not any(argument.name for argument in annotation.arguments)
        fix = Fix(annotation.span, print_annotation(better), safe=clear and regions != ())
        subject.error("E0510", "the regions of `zero` stand in brackets", annotation.span, fix=fix)
        return None
    found = read_regions(subject, annotation.regions or ())
    return ex.Call(ex.Symbol("Zero"), found) if found is not None else None


def _read_fixed(subject: Subject, annotation: nodes.Annotation) -> ex.Expression | None:
    if not annotation.regions or annotation.value is None or annotation.arguments is not None:
        subject.error("E0510", "`fixed` takes regions and a value: `fixed[diagonal] = 1.0`", annotation.span)
        return None
    value = subject.constant(annotation.value)
    if value is None:
        return None
    if not is_number(value.value):
        subject.error("E0510", f"an entry is a number, not {type_name(value.value)}", annotation.value.span)
        return None
    if abs(value.value) > LARGEST_FLOAT32:
        subject.error("E0510", "this is larger than a float32 holds", annotation.value.span)
        return None
    region = read_union(subject, annotation.regions)
    return ex.Call(ex.Symbol("Fixed"), (value.expression, region)) if region is not None else None


def _read_frozen(subject: Subject, annotation: nodes.Annotation) -> ex.Expression | None:
    if annotation.regions is not None or annotation.arguments is not None:
        subject.error("E0510", "`frozen` is about a whole weight: it takes nothing", annotation.span)
        return None
    return FROZEN


# --- the rows -----------------------------------------------------------------------------------------------------

FROZEN = ex.Call(ex.Symbol("Frozen"))

HALVES = {"Halves": 2**18}
ZEROS = dict.fromkeys(("BlockDiagonalMatrix", "BandMatrix", "Halves"), 2**18)
EQUALS = {
    "RepeatedRow": 2**12,
    "RepeatedColumn": 2**12,
    "DiagonalAndRest": 2**12,
    "CirculantMatrix": 2**16,
    "ToeplitzMatrix": 2**16,
    "Halves": 2**18,
}


def _of_transposes(view: View) -> bool:
    return view.is_matrix


def _of_the_whole(view: View) -> bool:
    return view.expression == WHOLE and view.factor is None


KINDS: Mapping[str, Kind] = {
    row.name: row
    for row in (
        Kind(
            name="symmetric",
            read=_read_mirrored,
            classes=("Symmetric",),
            meaning=lambda axes: Mirrored(axes, sign=1),
            patterns=HALVES,
            carries_over=_of_transposes,
        ),
        Kind(
            name="skew",
            read=_read_mirrored,
            classes=("Skew",),
            meaning=lambda axes: Mirrored(axes, sign=-1),
            patterns=HALVES,
            carries_over=_of_transposes,
        ),
        Kind(
            # Never carried over: a plain one leaves out what is constant in its own weight, and another weight may have
            # other constants.
            name="equal",
            read=_read_equal,
            classes=("Equal", "Averaged"),
            averaged=("Averaged",),
            meaning=Alike,
            patterns=EQUALS,
        ),
        Kind(
            name="zero",
            read=_read_zero,
            classes=("Zero",),
            meaning=lambda regions: Given(ex.Constant(0), regions),
            patterns=ZEROS,
            carries_over=_of_the_whole,
        ),
        Kind(
            name="fixed",
            read=_read_fixed,
            classes=("Fixed",),
            meaning=lambda arguments: Given(arguments[0], arguments[1:]),
            patterns=ZEROS,
            carries_over=_of_the_whole,
            takes_value=True,
        ),
        Kind(
            name="tie",
            read=read_tie,
            classes=("Tie",),
            meaning=lambda arguments: Tied(arguments[0], arguments[1:]),
            patterns=EQUALS,
            no_mechanism="it stores one weight for several",
        ),
        Kind(
            name="frozen",
            read=_read_frozen,
            classes=("Frozen",),
            meaning=lambda arguments: Untrained(),
            carries_over=_of_transposes,
            no_mechanism="it trains nothing",
        ),
    )
}
"""In the order in which reports list them."""


def kind_of(equation: ex.Expression) -> Kind:
    """The annotation that an equation comes from."""
    return _read(equation)[0]


def meaning(equation: ex.Expression) -> Meaning:
    """What an equation says of entries."""
    row, name, arguments = _read(equation)
    said = row.meaning(arguments)
    return said.replace(is_averaged=True) if isinstance(said, Alike) and name in row.averaged else said


def _read(equation: ex.Expression) -> tuple[Kind, str, tuple[ex.Expression, ...]]:
    match equation:
        case ex.Call(ex.Symbol("Via"), (_, inner)):
            return _read(inner)
        case ex.Call(ex.Symbol(name), arguments):
            return next(row for row in KINDS.values() if name in row.classes), name, arguments
    raise TypeError(f"{equation!r} is no equation")
