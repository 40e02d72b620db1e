"""`tie`: a weight, or a region of it, that is a view of another one or of itself."""

from __future__ import annotations

from wdsl.annotations.equations import TRANSPOSED, Tie, View, WeightName, tie_of
from wdsl.annotations.references import Reference, read_reference
from wdsl.annotations.regions import read_union
from wdsl.annotations.subject import Subject
from wdsl.core import expressions as ex
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_annotation, print_expression
from wdsl.text.diagnostics import Fix, Label, by


def read_tie(subject: Subject, annotation: nodes.Annotation) -> ex.Expression | Tie | None:
    """The tie, or the equation if it is one of the weight with itself; None after a report."""
    if annotation.arguments is None or len(annotation.arguments) != 1 or annotation.arguments[0].name:
        subject.error("E0509", "`tie` takes one weight: `tie(encode.kernel)`", annotation.span)
        return None
    node = annotation.arguments[0].value
    found = read_reference(subject, node)
    if found is None:
        return None
    name, other, view = subject.name, WeightName(found.layer.name, found.weight.name), found.view
    region = None
    if annotation.regions is not None:
        region = read_union(subject, annotation.regions)
        if region is None:
            return None
    if name == other and view == View() and region is None:
        subject.error("E0509", f"`{name}` is tied to itself", annotation.span, "this says nothing")
        return None
    if region is None and found.shape != subject.shape:
        fits = found.shape[::-1] == subject.shape and len(subject.shape) == 2
        text = print_expression(node)
        better = text.removesuffix(".T") if text.endswith(".T") else f"{text}.T"
        subject.error(
            "E0504",
            f"`{name}` and `{other}` cannot be tied: their shapes differ",
            annotation.span,
            f"`{name}` is {by(subject.shape)}"
            + ("" if view.is_matrix else f", and what it is tied to is {by(found.shape)}"),
            labels=(Label(found.layer.place, f"`{other}` is {by(found.weight.shape)}"),),
            fix=Fix(annotation.span, f"tie({better})", safe=True) if fits else None,
        )
        return None
    if name == other:
        mirrored = view == View(TRANSPOSED) and region is None and len(subject.shape) == 2
        return ex.Call(ex.Symbol("Symmetric")) if mirrored else tie_of(view, "", region)
    if not _can_share(subject, annotation, found, is_whole=region is None):
        return None
    return Tie(name, other, view, region, print_annotation(annotation), annotation.span, subject.circumstances)


def _can_share(subject: Subject, annotation: nodes.Annotation, found: Reference, is_whole: bool) -> bool:
    """Whether what the layers say of both weights can be done when they share parameters."""
    layer, weight, owner, reference = subject.layer, subject.weight, found.layer, found.weight
    other = WeightName(owner.name, reference.name)
    tied_here = (Label(annotation.span, "tied here"),)
    constraint = reference.constraint
    if constraint and constraint in owner.given and owner.arguments[constraint] is not None:
        subject.error(
            "E0508",
            f"`{constraint.split('.')[-1]}` is about a variable of `{owner.name}`, and `{other}` is none "
            "once it is tied",
            owner.given[constraint][1],
            "given here",
            labels=tied_here,
        )
        return False
    for part, whole in ((reference, owner), *(() if is_whole else ((weight, layer),))):
        is_bias = part.name.split(".")[-1] == "bias"
        if is_bias and whole.arguments.get(f"{part.scope}unit_forget_bias"):
            subject.error(
                "E0508",
                f"`unit_forget_bias` sets parts of `{whole.name}.{part.name}` apart at the start, "
                "which a tied bias cannot do",
                annotation.span,
                labels=(Label(whole.place, "true here"),),
                hint="give `unit_forget_bias=false`",
            )
            return False
    for argument in (weight.initializer, weight.regularizer) if is_whole else ():
        users = [each for each in layer.weights or () if argument in (each.initializer, each.regularizer)]
        if argument and argument in layer.given and users == [weight]:
            subject.error(
                "E0508",
                f"`{argument.split('.')[-1]}` of `{layer.name}` has nothing to work on: `{subject.name}` is `{other}`",
                layer.given[argument][1],
                f"give it to `{owner.name}`",
                labels=tied_here,
            )
            return False
    return True
