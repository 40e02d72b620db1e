"""Weight annotations: from their syntax to equations on weights whose shapes are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from wdsl import catalog
from wdsl.annotations.equations import TRANSPOSED, Equation, Tie, View, WeightName, tie_of
from wdsl.annotations.predicates import Predicate, axes_in_words
from wdsl.annotations.references import read_reference
from wdsl.annotations.tables import read_mask
from wdsl.catalog import Weight
from wdsl.catalog.argument_types import is_number, is_whole
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link.constants import Value, type_name
from wdsl.link.externs import unknown_weights
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_annotation, print_expression
from wdsl.text.diagnostics import Diagnostic, Fix, Label, by, has_errors, listed, nearest, respelled
from wdsl.text.files import Files
from wdsl.text.source import Span

ANNOTATIONS = ("symmetric", "skew", "equal", "zero", "fixed", "tie", "frozen")
MECHANISMS = ("parameter", "mask", "constraint", "gradient", "initial")
REGIONS: Mapping[str, tuple[int, int]] = {
    "diagonal": (0, 1),
    "upper": (0, 1),
    "lower": (0, 1),
    "band": (2, 2),
    "blocks": (2, 2),
}
"""The regions with names, and how many numbers each takes, at least and at most."""
GROUPINGS: Mapping[str, ex.Expression] = {
    "rows": ex.Call(ex.Symbol("Axis"), (ex.Constant(0),)),
    "columns": ex.Call(ex.Symbol("Axis"), (ex.Constant(1),)),
    "diagonals": ex.Call(
        ex.Symbol("By"), (ex.Lambda(("i", "j"), ex.Operation("-", (ex.Variable("j"), ex.Variable("i")))),)
    ),
    "antidiagonals": ex.Call(
        ex.Symbol("By"), (ex.Lambda(("i", "j"), ex.Operation("+", (ex.Variable("i"), ex.Variable("j")))),)
    ),
}
"""The groupings of a matrix that have names."""
LARGEST_FLOAT32 = 3.4028234663852886e38


FREE_WEIGHT = catalog.Layer("weight", "", lambda *_: catalog.Inferred(catalog.TensorSpec(())), main_weight="")
"""What stands for the class of a weight of no layer: it is its own only weight, without a name."""


class AnnotatedLayer(Record):
    """A declared layer with all that its annotations need. `weights` is None if it was never applied.

    A weight of no layer is one as well, of the class FREE_WEIGHT.
    """

    name: str
    statement: nodes.Layer | nodes.Weight
    row: catalog.Layer
    arguments: Mapping[str, Any]
    given: Mapping[str, tuple[ex.Expression, Span]]
    weights: tuple[Weight, ...] | None
    evaluate: Callable[[nodes.Expression], Any]
    """The Value of a constant expression where the layer is declared, or something else after a report."""
    find: Callable[[nodes.Expression], Any]
    """The layer, free weight, block or family that a path leads to from there; None if it leads nowhere."""
    names: Callable[[], Collection[str]]
    """The layers and weights that can be named there."""
    files: Files
    """What reads the masks of the file that declares the layer."""
    circumstances: tuple[Label, ...]
    """The uses of blocks and passes of loops that declare it."""

    @property
    def is_free_weight(self) -> bool:
        return self.row is FREE_WEIGHT

    @property
    def place(self) -> Span:
        """Where the file says what it is."""
        value = self.statement.value
        return value.span if value is not None else self.statement.name.span

    def is_frozen(self, weight: Weight) -> bool:
        """Whether the file says that what has the weight, the layer or one inside it, is not trained."""
        return any(
            value is False and weight.scope.startswith(argument.removesuffix("trainable"))
            for argument, value in self.arguments.items()
            if argument.split(".")[-1] == "trainable"
        )

    def weight(self, name: str) -> Weight | None:
        return next((weight for weight in self.weights or () if weight.name == name), None)


def read_annotations(
    layers: Sequence[AnnotatedLayer],
    problems: list[Diagnostic],
) -> tuple[tuple[Equation, ...], tuple[Tie, ...]]:
    """The equations and ties that the layers' annotations state; what is wrong with them goes to `problems`."""
    reader = Reader({layer.name: layer for layer in layers}, problems)
    for layer in layers:
        reader.evaluate, reader.files, reader.circumstances = layer.evaluate, layer.files, layer.circumstances
        statement = layer.statement
        if statement.annotations:
            main = layer.row.main(layer.arguments)
            if main is None:
                reader.no_main_weight(layer)
            else:
                reader.weight(layer, main, statement.annotations[0].name.span, statement.annotations)
        for each in statement.weights if isinstance(statement, nodes.Layer) else ():
            reader.weight(layer, print_expression(each.path), each.path.span, each.annotations)
    return tuple(reader.equations), tuple(reader.ties)


def unknown_annotation(annotation: nodes.Annotation) -> Diagnostic | None:
    """A report if there is no annotation of this name."""
    kind, span = annotation.name.id, annotation.name.span
    if kind in ANNOTATIONS:
        return None
    near = nearest(kind, ANNOTATIONS)
    label = f"did you mean `{near}`?" if near else f"the annotations are {listed(ANNOTATIONS)}"
    return Diagnostic("E0505", f"there is no annotation `{kind}`", span, label, fix=respelled(span, near, ANNOTATIONS))


class Reader:
    def __init__(
        self,
        layers: Mapping[str, AnnotatedLayer],
        problems: list[Diagnostic],
    ):
        self.layers = layers
        self.evaluate: Callable[[nodes.Expression], Any] = lambda node: None
        self.files = Files(None)
        self.problems = problems
        self.equations: list[Equation] = []
        self.ties: list[Tie] = []
        self.circumstances: tuple[Label, ...] = ()

    def error(self, code: str, message: str, span: Span, label: str = "", **more: Any) -> None:
        more["labels"] = (*more.get("labels", ()), *self.circumstances)
        self.problems.append(Diagnostic(code, message, span, label, **more))

    # Which weight

    def no_main_weight(self, layer: AnnotatedLayer) -> None:
        if problem := unknown_weights(layer.row, layer.arguments, layer.statement.annotations[0].span):
            self.problems.append(problem)
            return
        names = [weight.name for weight in layer.weights or ()]
        self.error(
            "E0501",
            f"`{layer.row.name}` has no main weight",
            layer.statement.annotations[0].span,
            f"its weights are {listed(names)}" if names else "it has no weights",
            hint=f"name the weight: `{{ {names[0]}: … }}`" if names else None,
        )

    def weight(self, layer: AnnotatedLayer, name: str, span: Span, annotations: Sequence[nodes.Annotation]) -> None:
        if layer.weights is None:
            if not has_errors(self.problems):
                self.error(
                    "E0512",
                    f"`{layer.name}` is never applied, so its weights have no shapes",
                    span,
                    labels=(Label(layer.statement.name.span, "declared here"),),
                )
            return
        weight = layer.weight(name)
        if weight is None:
            self.unknown_weight(layer, name, span)
            return
        # LoRA adds to the main weight, and to no other.
        is_main = name == layer.row.main(layer.arguments)
        for argument in (weight.constraint, f"{weight.scope}lora_rank" if is_main else None):
            if argument and argument in layer.given and layer.arguments[argument] is not None:
                self.error(
                    "E0508",
                    f"`{argument.split('.')[-1]}` would break what the annotation says of `{layer.name}.{name}`",
                    layer.given[argument][1],
                    "given here",
                    labels=(Label(annotations[0].span, "annotated here"),),
                )
                return
        if not weight.trainable and not layer.is_frozen(weight):
            self.error("E0508", f"`{layer.name}.{name}` is not trained: the layer sets it itself", span)
            return
        if weight.rewritten:
            message = f"`{layer.row.name}` sets `{layer.name}.{name}` anew in each training step"
            self.error("E0508", message, span, labels=(Label(layer.place, "constructed here"),))
            return
        for annotation in annotations:
            self.annotation(layer, weight, annotation)

    def unknown_weight(self, layer: AnnotatedLayer, name: str, span: Span) -> None:
        if problem := unknown_weights(layer.row, layer.arguments, span):
            self.problems.append(problem)
            return
        names = [weight.name for weight in layer.weights or ()]
        near = nearest(name, names)
        self.error(
            "E0501",
            f"`{layer.name}` has no weight `{name}`",
            span,
            f"did you mean `{near}`?" if near else (f"it has {listed(names)}" if names else "it has no weights"),
            labels=(Label(layer.place, f"`{layer.name}` is a `{layer.row.name}`"),),
            fix=respelled(span, near if span.text == name else None, names),
        )

    # Which annotation

    def annotation(self, layer: AnnotatedLayer, weight: Weight, annotation: nodes.Annotation) -> None:
        kind = annotation.name.id
        if unknown := unknown_annotation(annotation):
            self.problems.append(unknown.replace(labels=self.circumstances))
            return
        if not self.mechanism(annotation):
            return
        if annotation.value is not None and kind != "fixed":
            self.error("E0510", f"`{kind}` takes no value", annotation.value.span)
            return
        name = WeightName(layer.name, weight.name)
        if kind == "tie":
            self.tie(layer, weight, annotation)
            return
        expression = getattr(self, kind)(weight, name, annotation)
        if expression is not None:
            text, via = print_annotation(annotation), annotation.via.id if annotation.via else "parameter"
            self.equations.append(
                Equation(name, kind, expression, text, annotation.span, via, circumstances=self.circumstances)
            )

    def mechanism(self, annotation: nodes.Annotation) -> bool:
        via = annotation.via
        if via is None or via.id == "parameter":
            return True
        kind = annotation.name.id
        if via.id not in MECHANISMS:
            near = nearest(via.id, MECHANISMS)
            fix = respelled(via.span, near, MECHANISMS)
            self.error(
                "E0507",
                f"there is no mechanism `{via.id}`",
                via.span,
                f"they are {listed(MECHANISMS)}",
                fix=fix,
            )
        elif kind in ("tie", "frozen"):
            does = "stores one weight for several" if kind == "tie" else "trains nothing"
            self.error("E0507", f"`{kind}` has no other mechanism than `parameter`", via.span, f"it {does}")
        else:
            return True
        return False

    def symmetric(self, weight: Weight, name: WeightName, annotation: nodes.Annotation) -> ex.Expression | None:
        """`symmetric` or `skew`."""
        kind = annotation.name.id
        rank = len(weight.shape)
        if annotation.regions is not None:
            self.error("E0510", f"`{kind}` takes axes in parentheses, and no regions", annotation.span)
            return None
        axes = (0, 1)
        arguments: tuple[ex.Expression, ...] = ()
        if annotation.arguments:
            values = [self.constant(argument.value) for argument in annotation.arguments]
            if any(value is None for value in values):
                return None
            axes = tuple(value.value for value in values if value)
            named = any(argument.name for argument in annotation.arguments)
            if named or len(axes) != 2 or not all(isinstance(axis, int) for axis in axes) or axes[0] == axes[1]:
                self.error("E0510", f"`{kind}` takes two different axes", annotation.span)
                return None
            if not all(0 <= axis < rank for axis in axes):
                self.error("E0503", f"`{name}` has the axes 0 to {rank - 1}", annotation.span)
                return None
            arguments = tuple(value.expression for value in values if value)
        elif rank != 2:
            self.error(
                "E0506",
                f"`{name}` has {rank} {'axis' if rank == 1 else 'axes'}: {kind} in which two?",
                annotation.span,
                f"its shape is {by(weight.shape)}",
                hint=f"name them: `{kind}(0, 1)`" if rank > 1 else None,
            )
            return None
        first, second = axes
        if weight.shape[first] != weight.shape[second]:
            self.error(
                "E0502",
                f"`{name}` cannot be {kind}: it is {by(weight.shape)}",
                annotation.span,
                f"axes {first} and {second} have {weight.shape[first]} and {weight.shape[second]} entries"
                if rank > 2
                else f"only a square matrix can equal its transpose{', negated' if kind == 'skew' else ''}",
                labels=(Label(self.layers[name.layer].place, f"`{name}` is {by(weight.shape)}"),),
            )
            return None
        return ex.Call(ex.Symbol(kind.capitalize()), arguments if axes != (0, 1) or rank != 2 else ())

    skew = symmetric

    def equal(self, weight: Weight, name: WeightName, annotation: nodes.Annotation) -> ex.Expression | None:
        if annotation.arguments is not None and not self.gradient_is_mean(annotation):
            return None
        groups = [self.grouping(weight, name, node) for node in annotation.regions or ()]
        if any(group is None for group in groups):
            return None
        name_of_class = "Equal" if annotation.arguments is None else "Averaged"
        return ex.Call(ex.Symbol(name_of_class), tuple(group for group in groups if group is not None))

    def gradient_is_mean(self, annotation: nodes.Annotation) -> bool:
        """Whether the arguments of `equal` are `gradient=mean` and can be that."""
        match annotation.arguments:
            case (nodes.Argument(nodes.Name("gradient"), nodes.Name("mean")),):
                pass
            case _:
                self.error("E0510", "in parentheses, `equal` takes `gradient=mean` alone", annotation.span)
                return False
        if annotation.via and annotation.via.id != "parameter":
            self.error(
                "E0507",
                f"`gradient=mean` cannot go with `via {annotation.via.id}`",
                annotation.span,
                "`via gradient` takes the mean by itself"
                if annotation.via.id == "gradient"
                else "it is about the gradient of a parameter",
            )
            return False
        return True

    def fixed(self, weight: Weight, name: WeightName, annotation: nodes.Annotation) -> ex.Expression | None:
        if not annotation.regions or annotation.value is None or annotation.arguments is not None:
            self.error("E0510", "`fixed` takes regions and a value: `fixed[diagonal] = 1.0`", annotation.span)
            return None
        value = self.constant(annotation.value)
        if value is None:
            return None
        if not is_number(value.value):
            self.error("E0510", f"an entry is a number, not {type_name(value.value)}", annotation.value.span)
            return None
        if abs(value.value) > LARGEST_FLOAT32:
            self.error("E0510", "this is larger than a float32 holds", annotation.value.span)
            return None
        regions = [self.region(weight, name, node) for node in annotation.regions]
        if any(region is None for region in regions):
            return None
        found = tuple(region for region in regions if region is not None)
        region = found[0] if len(found) == 1 else ex.Call(ex.Symbol("Union"), found)
        return ex.Call(ex.Symbol("Fixed"), (value.expression, region))

    def frozen(self, weight: Weight, name: WeightName, annotation: nodes.Annotation) -> ex.Expression | None:
        if annotation.regions is not None or annotation.arguments is not None:
            self.error("E0510", "`frozen` is about a whole weight: it takes nothing", annotation.span)
            return None
        return ex.Call(ex.Symbol("Frozen"))

    def zero(self, weight: Weight, name: WeightName, annotation: nodes.Annotation) -> ex.Expression | None:
        if annotation.arguments is not None:
            regions = tuple(argument.value for argument in annotation.arguments)
            better = annotation.replace(regions=(*(annotation.regions or ()), *regions) or None, arguments=None)
            clear = annotation.regions is None and not any(argument.name for argument in annotation.arguments)
            fix = Fix(annotation.span, print_annotation(better), safe=clear and regions != ())
            self.error("E0510", "the regions of `zero` stand in brackets", annotation.span, fix=fix)
            return None
        found = [self.region(weight, name, node) for node in annotation.regions or ()]
        if any(region is None for region in found):
            return None
        return ex.Call(ex.Symbol("Zero"), tuple(region for region in found if region is not None))

    # Ties

    def tie(self, layer: AnnotatedLayer, weight: Weight, annotation: nodes.Annotation) -> None:
        if annotation.arguments is None or len(annotation.arguments) != 1 or annotation.arguments[0].name:
            self.error("E0509", "`tie` takes one weight: `tie(encode.kernel)`", annotation.span)
            return
        node = annotation.arguments[0].value
        found = read_reference(self, layer, node)
        if found is None:
            return
        owner, reference, view = found.layer, found.weight, found.view
        name, other = WeightName(layer.name, weight.name), WeightName(owner.name, reference.name)
        region = None
        if annotation.regions is not None:
            regions = [self.region(weight, name, each) for each in annotation.regions]
            if any(each is None for each in regions):
                return
            region = regions[0] if len(regions) == 1 else ex.Call(ex.Symbol("Union"), tuple(filter(None, regions)))
        if name == other and view == View() and region is None:
            self.error("E0509", f"`{name}` is tied to itself", annotation.span, "this says nothing")
            return
        if region is None and found.shape != weight.shape:
            fits = found.shape[::-1] == weight.shape and len(weight.shape) == 2
            text = print_expression(node)
            better = text.removesuffix(".T") if text.endswith(".T") else f"{text}.T"
            whole = f"`{other}` is {by(reference.shape)}"
            self.error(
                "E0504",
                f"`{name}` and `{other}` cannot be tied: their shapes differ",
                annotation.span,
                f"`{name}` is {by(weight.shape)}"
                + ("" if view.is_matrix else f", and what it is tied to is {by(found.shape)}"),
                labels=(Label(owner.place, whole),),
                fix=Fix(annotation.span, f"tie({better})", safe=True) if fits else None,
            )
            return
        text = print_annotation(annotation)
        if name == other:
            mirrored = view == View(TRANSPOSED) and region is None and len(weight.shape) == 2
            equation = ex.Call(ex.Symbol("Symmetric")) if mirrored else tie_of(view, "", region)
            kind = "symmetric" if mirrored else "tie"
            self.equations.append(
                Equation(name, kind, equation, text, annotation.span, circumstances=self.circumstances)
            )
            return
        constraint = reference.constraint
        if constraint and constraint in owner.given and owner.arguments[constraint] is not None:
            self.error(
                "E0508",
                f"`{constraint.split('.')[-1]}` is about a variable of `{owner.name}`, and `{other}` is none "
                "once it is tied",
                owner.given[constraint][1],
                "given here",
                labels=(Label(annotation.span, "tied here"),),
            )
            return
        for part, whole in ((reference, owner), *(((weight, layer),) if region is not None else ())):
            is_bias = part.name.split(".")[-1] == "bias"
            if is_bias and whole.arguments.get(f"{part.scope}unit_forget_bias"):
                self.error(
                    "E0508",
                    f"`unit_forget_bias` sets parts of `{whole.name}.{part.name}` apart at the start, "
                    "which a tied bias cannot do",
                    annotation.span,
                    labels=(Label(whole.place, "true here"),),
                    hint="give `unit_forget_bias=false`",
                )
                return
        for argument in (weight.initializer, weight.regularizer) if region is None else ():
            users = [each for each in layer.weights or () if argument in (each.initializer, each.regularizer)]
            if argument and argument in layer.given and users == [weight]:
                self.error(
                    "E0508",
                    f"`{argument.split('.')[-1]}` of `{layer.name}` has nothing to work on: `{name}` is `{other}`",
                    layer.given[argument][1],
                    f"give it to `{owner.name}`",
                    labels=(Label(annotation.span, "tied here"),),
                )
                return
        self.ties.append(Tie(name, other, view, region, text, annotation.span, self.circumstances))

    # Regions

    def constant(self, node: nodes.Expression) -> Value | None:
        value = self.evaluate(node)
        if isinstance(value, Value):
            return value
        return None

    def grouping(self, weight: Weight, name: WeightName, node: nodes.Expression) -> ex.Expression | None:
        """A region whose entries are one value, or a way to put all entries into groups."""
        rank = len(weight.shape)
        match node:
            case nodes.Name(id_) if id_ in GROUPINGS:
                if rank == 2:
                    return GROUPINGS[id_]
                self.error(
                    "E0506",
                    f"`{id_}` are groups of matrices, and `{name}` has {axes_in_words(rank)}",
                    node.span,
                    f"its shape is {by(weight.shape)}",
                    hint="`axis 0` and `by …` are for any number of axes",
                )
                return None
            case nodes.Axis(axis):
                value = self.whole(axis)
                if value is None:
                    return None
                if not -rank <= value.value < rank:
                    self.error("E0503", f"`{name}` has the axes 0 to {rank - 1}", axis.span)
                    return None
                return ex.Call(ex.Symbol("Axis"), (value.expression,))
            case nodes.By(key):
                return Predicate(self, weight, name).read_key(key)
        return self.region(weight, name, node)

    def region(self, weight: Weight, name: WeightName, node: nodes.Expression) -> ex.Expression | None:
        match node:
            case nodes.Where(predicate):
                return Predicate(self, weight, name).read(predicate)
            case nodes.Unary("not", operand):
                inner = self.region(weight, name, operand)
                return ex.Call(ex.Symbol("Not"), (inner,)) if inner is not None else None
            case nodes.Slice(nodes.Unary("not", start), stop, step):
                # The grammar, for which `not` binds more tightly than `:`, reads `not 3:9` as `(not 3):9`.
                entries = nodes.Slice(start, stop, step, span=start.span.to(node.span))
                return self.region(weight, name, nodes.Unary("not", entries, span=node.span))
            case nodes.Slice():
                index = self.index(node, math.prod(weight.shape), f"`{name}` has {math.prod(weight.shape)} entries")
                return ex.Call(ex.Symbol("Flat"), (index,)) if index is not None else None
            case nodes.Tuple(items):
                return self.subscripts(weight, name, node, items)
            case nodes.Name(id_) if id_ in REGIONS:
                return self.named(weight, name, node, id_, ())
            case nodes.Call(nodes.Name(id_), arguments) if id_ in REGIONS:
                return self.named(weight, name, node, id_, arguments)
            case nodes.By() | nodes.Axis():
                self.error("E0510", "this makes groups for `equal`, and is no region", node.span)
                return None
            case nodes.Name(id_) if id_ in GROUPINGS:
                self.error("E0510", f"`{id_}` makes groups for `equal`, and is no region", node.span)
                return None
            case nodes.Name("mask"):
                return read_mask(self, weight, name, node, ())
            case nodes.Call(nodes.Name("mask"), arguments):
                return read_mask(self, weight, name, node, arguments)
            case nodes.Name(id_) | nodes.Call(nodes.Name(id_)) if (
                near := nearest(id_, (*REGIONS, "mask"))
            ) and not self.knows(id_):
                where = node.function.span if isinstance(node, nodes.Call) else node.span
                fix = respelled(where, near, (*REGIONS, "mask"))
                self.error("E0510", f"there is no region `{id_}`", where, f"did you mean `{near}`?", fix=fix)
                return None
        index = self.index(node, math.prod(weight.shape), f"`{name}` has {math.prod(weight.shape)} entries")
        return ex.Call(ex.Symbol("Flat"), (index,)) if index is not None else None

    def knows(self, name: str) -> bool:
        probe = len(self.problems)
        place = next(iter(self.layers.values())).statement.span
        known = isinstance(self.evaluate(nodes.Name(name, span=place)), Value)
        del self.problems[probe:]
        return known

    def subscripts(
        self, weight: Weight, name: WeightName, node: nodes.Tuple, items: Sequence[nodes.Expression]
    ) -> ex.Expression | None:
        if len(items) != len(weight.shape):
            self.error(
                "E0506",
                f"`{name}` has {axes_in_words(len(weight.shape))}, and this has {len(items)}",
                node.span,
                f"its shape is {by(weight.shape)}",
                hint="`:` stands for a whole axis",
            )
            return None
        indices = [
            self.index(item, size, f"axis {axis} of `{name}` has {size} entries")
            for axis, (item, size) in enumerate(zip(items, weight.shape, strict=True))
        ]
        if any(index is None for index in indices):
            return None
        return ex.Call(ex.Symbol("At"), tuple(index for index in indices if index is not None))

    def index(self, node: nodes.Expression, size: int, what: str) -> ex.Expression | None:
        """An index or a slice of an axis with `size` entries."""
        if isinstance(node, nodes.Slice):
            bounds = [None if each is None else self.whole(each) for each in (node.start, node.stop, node.step)]
            given = [each for each in (node.start, node.stop, node.step) if each is not None]
            if len([bound for bound in bounds if bound is not None]) < len(given):
                return None
            for bound in bounds[:2]:
                if bound is not None and not -size <= bound.value <= size:
                    self.error("E0503", f"{bound.value} is outside the weight", node.span, what)
                    return None
            step = bounds[2]
            if step is not None and step.value == 0:
                self.error("E0503", "the step of a slice is not 0", node.span)
                return None
            # As Python's own `slice` is called: the stop alone, start and stop, or all three.
            shown = bounds if step else bounds[:2] if bounds[0] else bounds[1:2]
            return ex.Call(
                ex.Symbol("slice"),
                tuple(ex.Constant(None) if each is None else each.expression for each in shown),
            )
        value = self.whole(node)
        if value is None:
            return None
        if not -size <= value.value < size:
            self.error("E0503", f"index {value.value} is outside the weight", node.span, what)
            return None
        return value.expression

    def whole(self, node: nodes.Expression) -> Value | None:
        value = self.constant(node)
        if value is None:
            return None
        if not is_whole(value.value):
            self.error("E0510", f"an index is a whole number, not {type_name(value.value)}", node.span)
            return None
        return value

    def named(
        self,
        weight: Weight,
        name: WeightName,
        node: nodes.Expression,
        region: str,
        arguments: Sequence[nodes.Argument],
    ) -> ex.Expression | None:
        if len(weight.shape) != 2:
            self.error(
                "E0506",
                f"`{region}` is a region of matrices, and `{name}` has {axes_in_words(len(weight.shape))}",
                node.span,
                f"its shape is {by(weight.shape)}",
                hint="`where` says it for any number of axes",
            )
            return None
        least, most = REGIONS[region]
        if not least <= len(arguments) <= most or any(argument.name for argument in arguments):
            needs = "two numbers" if least else "one number, or none"
            self.error("E0510", f"`{region}` takes {needs}", node.span)
            return None
        values = [self.whole(argument.value) for argument in arguments]
        if any(value is None for value in values):
            return None
        if region == "blocks" and any(value is not None and value.value < 1 for value in values):
            self.error("E0510", "a block has at least one row and one column", node.span)
            return None
        return ex.Call(ex.Symbol(region.capitalize()), tuple(value.expression for value in values if value))
