"""Weight annotations: from their syntax to equations on weights whose shapes are known."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.annotations.equations import MECHANISMS, Equation, Tie
from wdsl.annotations.kinds import KINDS
from wdsl.annotations.references import unknown_weight
from wdsl.annotations.subject import AnnotatedLayer, Layers, Subject
from wdsl.link.externs import unknown_weights
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_annotation, print_expression
from wdsl.text.diagnostics import Diagnostic, Label, has_errors, listed, nearest, respelled
from wdsl.text.source import Span


def read_annotations(
    layers: Sequence[AnnotatedLayer],
    problems: list[Diagnostic],
) -> tuple[tuple[Equation, ...], tuple[Tie, ...]]:
    """The equations and ties that the layers' annotations state; what is wrong with them goes to `problems`."""
    by_name = {layer.name: layer for layer in layers}
    stated: list[Equation | Tie] = []
    for layer in layers:
        here = Layers(by_name, problems, layer.circumstances)
        statement = layer.statement
        if statement.annotations:
            main = layer.row.main(layer.arguments)
            if main is None:
                _no_main_weight(here, layer)
            else:
                stated += _about(here, layer, main, statement.annotations[0].name.span, statement.annotations)
        for each in statement.weights if isinstance(statement, nodes.Layer) else ():
            stated += _about(here, layer, print_expression(each.path), each.path.span, each.annotations)
    equations = tuple(each for each in stated if isinstance(each, Equation))
    return equations, tuple(each for each in stated if isinstance(each, Tie))


def unknown_annotation(annotation: nodes.Annotation) -> Diagnostic | None:
    """A report if there is no annotation of this name."""
    kind, span = annotation.name.id, annotation.name.span
    if kind in KINDS:
        return None
    near = nearest(kind, KINDS)
    label = f"did you mean `{near}`?" if near else f"the annotations are {listed(KINDS)}"
    return Diagnostic("E0505", f"there is no annotation `{kind}`", span, label, fix=respelled(span, near, KINDS))


# Which weight


def _no_main_weight(here: Layers, layer: AnnotatedLayer) -> None:
    span = layer.statement.annotations[0].span
    if problem := unknown_weights(layer.row, layer.arguments, span):
        here.problems.append(problem)
        return
    names = [weight.name for weight in layer.weights or ()]
    here.error(
        "E0501",
        f"`{layer.row.name}` has no main weight",
        span,
        f"its weights are {listed(names)}" if names else "it has no weights",
        hint=f"name the weight: `{{ {names[0]}: … }}`" if names else None,
    )


def _about(
    here: Layers, layer: AnnotatedLayer, name: str, span: Span, annotations: Sequence[nodes.Annotation]
) -> list[Equation | Tie]:
    """What is stated of a weight, which is named at `span`."""
    if layer.weights is None:
        if not has_errors(here.problems):
            here.error(
                "E0512",
                f"`{layer.name}` is never applied, so its weights have no shapes",
                span,
                labels=(Label(layer.statement.name.span, "declared here"),),
            )
        return []
    weight = layer.weight(name)
    if weight is None:
        unknown_weight(here, layer, name, span)
        return []
    # LoRA adds to the main weight, and to no other.
    is_main = name == layer.row.main(layer.arguments)
    for argument in (weight.constraint, f"{weight.scope}lora_rank" if is_main else None):
        if argument and argument in layer.given and layer.arguments[argument] is not None:
            here.error(
                "E0508",
                f"`{argument.split('.')[-1]}` would break what the annotation says of `{layer.name}.{name}`",
                layer.given[argument][1],
                "given here",
                labels=(Label(annotations[0].span, "annotated here"),),
            )
            return []
    if not weight.trainable and not layer.is_frozen(weight):
        here.error("E0508", f"`{layer.name}.{name}` is not trained: the layer sets it itself", span)
        return []
    if weight.rewritten:
        message = f"`{layer.row.name}` sets `{layer.name}.{name}` anew in each training step"
        here.error("E0508", message, span, labels=(Label(layer.place, "constructed here"),))
        return []
    subject = Subject(here, layer, weight)
    return [found for each in annotations if (found := _stated(subject, each)) is not None]


# Which annotation


def _stated(subject: Subject, annotation: nodes.Annotation) -> Equation | Tie | None:
    if unknown := unknown_annotation(annotation):
        subject.problems.append(unknown.replace(labels=subject.circumstances))
        return None
    if not _has_mechanism(subject, annotation):
        return None
    row = KINDS[annotation.name.id]
    if annotation.value is not None and not row.takes_value:
        subject.error("E0510", f"`{row.name}` takes no value", annotation.value.span)
        return None
    found = row.read(subject, annotation)
    if found is None or isinstance(found, Tie):
        return found
    text, via = print_annotation(annotation), annotation.via.id if annotation.via else "parameter"
    return Equation(subject.name, found, text, annotation.span, via, circumstances=subject.circumstances)


def _has_mechanism(subject: Subject, annotation: nodes.Annotation) -> bool:
    """Whether what stands behind `via` is there, and something that the annotation can have."""
    via = annotation.via
    if via is None or via.id == "parameter":
        return True
    row = KINDS[annotation.name.id]
    if via.id not in MECHANISMS:
        near = nearest(via.id, MECHANISMS)
        subject.error(
            "E0507",
            f"there is no mechanism `{via.id}`",
            via.span,
            f"they are {listed(MECHANISMS)}",
            fix=respelled(via.span, near, MECHANISMS),
        )
    elif row.no_mechanism:
        message = f"`{row.name}` has no other mechanism than `parameter`"
        subject.error("E0507", message, via.span, row.no_mechanism)
    else:
        return True
    return False
