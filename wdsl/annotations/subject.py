"""What annotations are about: a weight of a layer, with the names and files that they can use where it is declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from wdsl import catalog
from wdsl.annotations.equations import WeightName
from wdsl.catalog import Weight
from wdsl.catalog.argument_types import is_whole
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link.constants import Value, slice_of, type_name
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Label
from wdsl.text.files import Files
from wdsl.text.source import Span

FREE_WEIGHT = catalog.Layer("weight", "", lambda *_: catalog.Inferred(catalog.TensorSpec(())), main_weight="")
"""What stands for the class of a weight of no layer: it is its own only weight, without a name."""


class Target(Record):
    """What a path of the file leads to. `owner` is the name of a layer or free weight, "" if it has none of its own."""

    owner: str | None
    description: str
    """What it is, in words."""
    is_reported: bool = False
    """Whether something is wrong with it, and that was said."""
    is_unused_block: bool = False
    """Whether it is a block that was not applied so far."""


Find = Callable[[nodes.Expression], Target | None]
"""What a path leads to from some place in the file; None if it leads nowhere."""


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
    find: Find
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


class Layers:
    """The layers of a network by name, and where reports go."""

    def __init__(
        self,
        by_name: Mapping[str, AnnotatedLayer],
        problems: list[Diagnostic],
        circumstances: tuple[Label, ...] = (),
    ) -> None:
        self.by_name = by_name
        self.problems = problems
        self.circumstances = circumstances

    def error(self, code: str, message: str, span: Span, label: str = "", **more: Any) -> None:
        more["labels"] = (*more.get("labels", ()), *self.circumstances)
        self.problems.append(Diagnostic(code, message, span, label, **more))


class Subject(Layers):
    """A weight that is annotated, `name`, of shape `shape`, and its layer."""

    def __init__(self, layers: Layers, layer: AnnotatedLayer, weight: Weight) -> None:
        super().__init__(layers.by_name, layers.problems, layer.circumstances)
        self.layer = layer
        self.weight = weight
        self.name = WeightName(layer.name, weight.name)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weight.shape

    @property
    def axes(self) -> str:
        """How many axes it has, in words."""
        return "one axis" if len(self.shape) == 1 else f"{len(self.shape)} axes"

    def constant(self, node: nodes.Expression) -> Value | None:
        """The value of an expression; None after a report."""
        value = self.layer.evaluate(node)
        return value if isinstance(value, Value) else None

    def whole(self, node: nodes.Expression) -> Value | None:
        """The value of an expression that gives a whole number; None after a report."""
        value = self.constant(node)
        if value is None:
            return None
        if not is_whole(value.value):
            self.error("E0510", f"an index is a whole number, not {type_name(value.value)}", node.span)
            return None
        return value

    def knows(self, name: str) -> bool:
        """Whether a name stands for a constant."""
        before = len(self.problems)
        found = self.constant(nodes.Name(name, span=self.layer.statement.span))
        del self.problems[before:]
        return found is not None

    def index(self, node: nodes.Expression, size: int, what: str) -> ex.Expression | None:
        """An index or a slice of an axis with `size` entries; None after a report."""
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
            return slice_of(bounds)
        value = self.whole(node)
        if value is None:
            return None
        if not -size <= value.value < size:
            self.error("E0503", f"index {value.value} is outside the weight", node.span, what)
            return None
        return value.expression
