"""How a tensor came to its shape, for reports: the layers and shapes that led there.

A tensor's expression says what it was made by and of. What the expression lacks is the shapes on the way, which
`remember` adds. The rest is found when there is something to report, and costs nothing before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from wdsl import catalog
from wdsl.catalog import TensorSpec
from wdsl.core import expressions as ex
from wdsl.network import graph
from wdsl.network.objects import shape_of, shapes_of
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Label
from wdsl.text.source import Span

LONGEST = 5
"""How many steps of a chain a report shows: the last."""

MOST = 4
"""How many tensors that came together it shows."""


class Chains:
    """Looks up what gave a tensor. `steps` are those of a network, which grow; they are read when they are needed."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self.steps = steps
        self.read = 0
        # A name can be given again: these are all the steps that give it, in their order.
        self.giving: dict[str, list[int]] = {}
        # What expressions give that have no name, each by its identity, with the expression itself to keep that.
        self.gives: dict[int, tuple[ex.Expression, tuple[TensorSpec, ...]]] = {}

    def remember(self, expression: ex.Expression, specs: tuple[TensorSpec, ...]) -> None:
        """Keep what an expression gives."""
        self.gives[id(expression)] = expression, specs

    def labels(self, node: nodes.Expression, spec: Any, expression: ex.Expression) -> list[Label]:
        """What a tensor, or each in a list of tensors, is and comes from."""
        expression = _known(expression)
        if isinstance(expression, ex.Sequence) and 0 < len(expression.items) <= MOST:
            places = items_of(node, len(expression.items))
            return [
                label
                for place, each, item in zip(places, spec, expression.items, strict=True)
                for label in self.labels(place, each, item)
            ]
        shape = shape_of(spec) if isinstance(spec, TensorSpec) else shapes_of([spec])
        return [self.label(node.span, expression, shape)]

    def label(self, span: Span, expression: ex.Expression, shape: str) -> Label:
        chain = self.chain(expression)
        return Label(span, f"this is {shape}, from {chain}" if chain else f"this is {shape}")

    def chain(self, expression: ex.Expression) -> str:
        """`image [28, 28, 1] -> conv [26, 26, 8] -> flat [5408]`; nothing if that is one step.

        It begins where several tensors came together, or with an ellipsis if it is long.
        """
        shown: list[str] = []
        before = len(self.steps)
        while (found := self.last(expression, before)) is not None:
            title, sources, before = found
            if len(shown) == LONGEST:
                shown.append("…")
                break
            shown.append(title)
            if len(sources) > 1:
                ends = [end[0] for each in sources[:MOST] if (end := self.last(each, before)) is not None]
                more = ["…"] if len(sources) > MOST else []
                shown.append(f"({', '.join([*ends, *more])})")
                break
            if not sources:
                break
            expression = sources[0]
        return " -> ".join(reversed(shown)) if len(shown) > 1 else ""

    def last(self, expression: ex.Expression, before: int) -> tuple[str, list[ex.Expression], int] | None:
        """What gave a tensor with its shape, the different tensors that this took, and the step that it stands in."""
        specs: tuple[TensorSpec, ...] | None = None
        expression = _known(expression)
        while isinstance(expression, ex.Variable):
            name = expression.name
            at = self.find(name, before)
            if at is None:
                return None
            step, before = self.steps[at], at
            if isinstance(step, graph.Input):
                return f"{name} {shape_of(step.spec)}", [], at
            number = step.names.index(name)
            specs = (step.specs[number],)
            expression = step.expression
            if isinstance(expression, ex.Sequence):
                expression = expression.items[number]
            expression = _known(expression)
        if specs is None and id(expression) in self.gives:
            _, specs = self.gives[id(expression)]
        if specs is None:
            return None
        match expression:
            case ex.Call(ex.Symbol("keras.tree.flatten"), (inner,)):
                expression = inner
        sources: dict[str | int, ex.Expression] = {}
        for each in self.tensors(expression, before):
            sources.setdefault(each.name if isinstance(each, ex.Variable) else id(each), each)
        return f"{_title(expression)} {shapes_of(specs)}", list(sources.values()), before

    def find(self, name: str, before: int) -> int | None:
        """The last step before another that gives a name."""
        for at in range(self.read, len(self.steps)):
            step = self.steps[at]
            if isinstance(step, (graph.Input, graph.Binding)):
                for each in (step.name,) if isinstance(step, graph.Input) else step.names:
                    self.giving.setdefault(each, []).append(at)
        self.read = len(self.steps)
        places = self.giving.get(name, [])
        number = bisect_left(places, before)
        return places[number - 1] if number else None

    def tensors(self, expression: ex.Expression, before: int) -> Iterator[ex.Expression]:
        """The tensors that a call or an operation takes."""
        match expression:
            case ex.Call(ex.Call(ex.Symbol("Constant"))):
                return  # it only stands beside the tensor
            case ex.Call(_, arguments, keywords):
                parts: Sequence[ex.Expression] = (*arguments, *(value for _, value in keywords))
            case ex.Operation(_, operands):
                parts = operands
            case ex.Sequence(items):
                parts = items
            case _:
                return
        for part in map(_known, parts):
            if isinstance(part, ex.Sequence):
                yield from self.tensors(part, before)
            elif isinstance(part, ex.Variable):
                if self.find(part.name, before) is not None:  # else it is a parameter
                    yield part
            elif id(part) in self.gives:
                yield part


def items_of(node: nodes.Expression, count: int) -> Sequence[nodes.Expression]:
    """Where the tensors stand that an expression gives: each on its own, if it is a list of them that is written."""
    if isinstance(node, nodes.List | nodes.Tuple) and len(node.items) == count:
        return node.items
    return [node] * count


def _known(expression: ex.Expression) -> ex.Expression:
    """What the steps of a network know of an expression."""
    while isinstance(expression, ex.Seen):
        expression = expression.outside
    return expression


def _title(expression: ex.Expression) -> str:
    """What a reader knows a call or an operation by: a layer's name, or its class; a function; a sign."""
    match expression:
        case ex.Call(ex.Seen(_, ex.Variable(name))):
            return name
        case ex.Operation(sign):
            return sign
        case ex.Call(ex.Variable(name)):
            return name
        case ex.Call(ex.Call(ex.Symbol("Constant"), (ex.Constant(name), _))):
            return str(name)
        case ex.Call(ex.Call(ex.Symbol(path) | ex.External(path))):
            return path.rpartition(".")[2]
        case ex.Call(ex.Symbol(path)):
            return next((name for name, row in catalog.FUNCTIONS.items() if row.keras == path), path.rpartition(".")[2])
    return "…"
