"""What the elaboration of a network knows while it goes on: its names, what was made so far, its reports and limits.

The statements are in `statements.py`, with `inputs.py` and `loops.py`; expressions in `evaluation.py`, what is sent
through layers in `wiring.py`, what is constructed in `construction.py`, blocks in `blocks.py`. Each is functions of
an `Elaboration`, and through its `evaluate`, `construct` and `carry_out` one finds the other.
"""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, TypeVar

from wdsl import catalog
from wdsl.catalog import TensorSpec
from wdsl.catalog.argument_types import is_whole
from wdsl.catalog.names import keras_name
from wdsl.core import expressions as ex
from wdsl.core.sizes import expression_of
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.imports import Scope
from wdsl.network import graph
from wdsl.network.chains import Chains
from wdsl.network.names import names_in
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    Copies,
    FamilyObject,
    Frame,
    LayerObject,
    Result,
    Tensor,
    Tensors,
    of_file,
)
from wdsl.network.outline import Recorder, Statement
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Fix, Label
from wdsl.text.source import Span

T = TypeVar("T")
MAX_LAYERS = 100_000
"""How many statements one network may come to, passes of stacks among them, and how many layers and operations."""

STEPS = 5
"""How many steps of evaluation there may be for each of them."""

MAX_PROBLEMS = 1_000
"""How many problems are looked for, those counted that a loop finds again in each pass."""

LARGEST = 10**4_000
"""The largest size: Python writes no longer numbers."""


class TooLarge(Exception):
    """Loops and blocks come to more than anyone means. It is raised with the report."""

    @classmethod
    def limit(cls, what: str, span: Span) -> TooLarge:
        hint = "`--max-layers` or `max_layers=` sets another limit"
        return cls(Diagnostic("E0703", f"the network comes to more than {what}", span, hint=hint))


class TooDeep(Exception):
    """Blocks are not nested too deeply, but they are with all that nests in them. It is raised with the place."""


class TooMany(Exception):
    """There are more problems than anyone reads."""


class Elaboration(ABC):
    """A network on its way from the syntax to what is checked."""

    @abstractmethod
    def evaluate(self, node: nodes.Expression) -> Result:
        """What an expression stands for here; BROKEN after a report."""

    @abstractmethod
    def construct(self, name: nodes.Name, node: nodes.Call, wanted: str = "layer") -> Result:
        """`Dense(64)`, `HeNormal(seed=1)`. `Identity()` is a layer or an initializer, as the place wants it."""

    @abstractmethod
    def carry_out(self, statements: Sequence[nodes.Statement]) -> None:
        """Do what the statements of a body say."""

    def __init__(self, network: nodes.Network, scope: Scope, max_layers: int) -> None:
        self.network = network
        self.max_layers = max_layers
        self.lost = scope.lost
        self.problems: list[Diagnostic] = []
        self.frames = [Frame(scope, network.body, of_file(scope))]
        self.frame.declared.update(scope.places)
        self.steps: list[graph.Input | LayerObject | graph.FreeWeight | graph.Binding] = []
        self.chains = Chains(self.steps)
        self.inputs: dict[str, ex.Expression] = {}
        self.outputs: list[graph.Output] = []
        self.unnamed: list[LayerObject] = []
        self.annotated: list[
            tuple[LayerObject | graph.FreeWeight, nodes.Layer | nodes.Weight, Callable[[], Frame], tuple[Label, ...]]
        ] = []
        self.asserted: list[tuple[nodes.Assert, Frame, Callable[[], Frame]]] = []
        self.recorder = Recorder()
        # The parameters of the functions that blocks become.
        self.functions: dict[nodes.Block | nodes.Network, Sequence[graph.Parameter]] = {}
        # Names that Keras gives by itself in this network, with where it gives them and to what.
        self.operations: dict[str, tuple[Span, str]] = {}
        # Names that the file gives in the network itself, and those that were made for what is in blocks and families.
        self.reserved = {each.id for each in names_in(network.body)} | {each.name.id for each in network.parameters}
        self.taken: MutableMapping[str, None] = {}
        self.numbers: MutableMapping[str, int] = {}
        # Variables for names that are given again, where the names themselves could not be had.
        self.renamed: MutableMapping[str, str] = {}
        self.carried_out = 0
        # How many statements were carried out in branches that are not taken; they count for themselves.
        self.untaken: list[int] | None = None
        self.is_nested = False
        self.applied = 0
        self.evaluated = 0
        self.decided_by: frozenset[str] = frozenset()
        # How far that was when an expression was last written down: see `stack`.
        self.written_down = 0

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    @property
    def names(self) -> MutableMapping[str, Result]:
        return self.frame.names

    def inside(self, frame: Frame, work: Callable[[], T]) -> T:
        """Do something where the names are those of another frame."""
        self.frames.append(frame)
        try:
            return work()
        finally:
            self.frames.pop()

    def knows(self, name: str) -> bool:
        """Whether a name stands for something here, or was lost with something that was reported."""
        scope = self.frame.scope
        return name in self.names or name in scope.constants or name in scope.modules or scope.has_lost(name)

    def unique(self, name: str) -> str:
        """A name for something in a block or family that nothing else in the network has."""
        candidate, number = name, self.numbers.get(name, 2)
        while candidate in self.reserved or candidate in self.taken:
            candidate, number = f"{name}_{number}", number + 1
        self.numbers[name] = number
        self.taken[candidate] = None
        return candidate

    def give_name(self, made: LayerObject | BlockObject) -> None:
        """A name for what is constructed in a body without one: its kind, which of these it is, in which passes."""
        frame, words = self.frame, keras_name(made.kind)
        position, among = frame.site(words, made.span)
        number = [position] if position > 1 or (frame.passes and among > 1) else []
        passes = [each.index for each in frame.passes]
        made.name = self.unique("_".join(map(str, [*([frame.path] if frame.path else []), words, *number, *passes])))
        of_passes = [ex.Seen(each.counter, ex.Constant(each.index)) for each in frame.passes if each.counter]
        made.label = self.recorder.label(frame, made.name, [words, *map(str, number), *of_passes], made.span)

    def error(self, code: str, message: str, span: Span, label: str = "", **more: Any) -> Broken:
        more["labels"] = (*more.get("labels", ()), *self.circumstances())
        self.problems.append(Diagnostic(code, message, span, label, **more))
        if len(self.problems) == MAX_PROBLEMS:
            raise TooMany
        self.frame.is_broken = True
        return BROKEN

    def circumstances(self) -> tuple[Label, ...]:
        """The passes of loops and the uses of blocks that the file is read in."""
        uses = [Label(frame.use, "in this use") for frame in reversed(self.frames) if frame.use]
        passes = [
            Label(name.span, f"`{name.id}` is {catalog.show(value.plain())} in this pass")
            for frame in self.frames
            for each in frame.passes
            for name, value in zip(each.names, each.values, strict=True)
        ]
        return (*passes[-2:], *uses[:3])

    def count_one(self, span: Span) -> None:
        self.carried_out += 1
        self.has_room(0, span)
        if self.untaken is not None:
            # Branches may stand in branches, and blocks in these: all that is tried comes to no more than what is.
            self.untaken[0] += 1
            if self.untaken[0] > self.max_layers:
                raise TooLarge.limit(f"{self.max_layers:,} statements", span)

    def has_room(self, statements: int, span: Span) -> None:
        """Whether so many more may be carried out: what is seen to be too much is not begun."""
        if self.carried_out + statements > self.max_layers:
            raise TooLarge.limit(f"{self.max_layers:,} statements", span)

    def work(self, steps: int, span: Span) -> None:
        """Count steps of evaluation: expressions, and the items of lists that something is made of."""
        self.evaluated += steps
        if self.evaluated > STEPS * self.max_layers:
            raise TooLarge.limit(f"{STEPS * self.max_layers:,} steps of evaluation", span)

    def made(
        self, spec: TensorSpec | tuple[TensorSpec, ...], expression: ex.Expression, span: Span
    ) -> Tensor | Tensors:
        """What a layer, a function or an operator gives."""
        self.applied += 1
        if self.applied > self.max_layers:
            raise TooLarge.limit(f"{self.max_layers:,} layers and operations", span)
        specs = (spec,) if isinstance(spec, TensorSpec) else spec
        if any(size is not None and size > LARGEST for each in specs for size in each.shape):
            raise TooLarge(Diagnostic("E0703", "a size has more digits than can be written down", span))
        if any(ex.is_intricate(expression_of(size)) for each in specs for size in each.shape[1:]):
            message = "a size comes out of the network's parameters in more steps than can be written down"
            label = f"more than {ex.MOST_PARTS:,}, or more than {ex.MOST_DEEP:,} one after the other"
            raise TooLarge(Diagnostic("E0703", message, span, label))
        self.chains.remember(expression, specs)
        return Tensor(spec, expression) if isinstance(spec, TensorSpec) else Tensors(spec, expression)

    def decide(self, value: Value) -> None:
        """Remember what a value depends on that decides which statements are carried out, or how often."""
        self.decided_by |= ex.variables(value.expression)

    def declare(self, name: nodes.Name, what: str, again: bool = False) -> bool:
        """Take a name. With `again`, one that stands for a tensor may be taken once more."""
        if not (name.id[0].islower() or name.id[0] == "_"):
            self.wrong_case(name, what, capital=False)
        held = self.names.get(name.id)
        is_open = isinstance(held, (Tensor, Broken)) or name.id in self.frame.constants
        if name.id in self.frame.declared and not (again and is_open):
            self.error(
                "E0202",
                f"`{name.id}` is declared twice",
                name.span,
                "again here",
                labels=(Label(self.frame.declared[name.id], "first here"),),
            )
            if isinstance(self.names.get(name.id), (Value, FamilyObject)):
                self.names[name.id] = BROKEN
            return False
        self.frame.declared[name.id] = name.span
        return True

    def wrong_case(self, name: nodes.Name, what: str, capital: bool) -> None:
        # Whoever else says the name would have to say the other one too.
        unused = len(re.findall(rf"\b{re.escape(name.id)}\b", name.span.source.text)) == 1
        better = name.id[0].upper() + name.id[1:] if capital else name.id[0].lower() + name.id[1:]
        self.error(
            "E0203",
            f"the name of {what} begins with a {'capital' if capital else 'small letter'}",
            name.span,
            "`Capital` names construct, `lowercase` names are things that exist",
            fix=Fix(name.span, better, safe=unused),
        )

    def lose(self, statements: Sequence[nodes.Statement]) -> None:
        """Say nothing of what has to do with the names in statements that could not be carried out."""
        for name in names_in(statements):
            self.names.setdefault(name.id, BROKEN)

    def recorded(self, statements: Sequence[nodes.Statement]) -> tuple[Statement, ...]:
        """Carry statements out, and give what they are in the outline."""
        with self.recorder.recording() as body:
            self.carry_out(statements)
        return tuple(body)

    def tried(self, work: Callable[[Elaboration], T]) -> tuple[T | None, Sequence[Statement] | None]:
        """What comes of something that the network does not do, with what that would construct when its block is
        constructed; None if it cannot, or need not since the network is not in order."""
        if self.problems or self.recorder.failure:
            return None, None
        other = self.beside()
        try:
            found = work(other)
        except (TooDeep, TooLarge, TooMany):
            return None, None
        stated = (statement for _, statement, _, _ in other.annotated)
        if other.problems or other.recorder.failure or any(map(_is_annotated, stated)):
            return None, None  # the solver has not seen these
        self.recorder.take(other.recorder)
        return found, other.recorder.constructed or ()

    def beside(self) -> Elaboration:
        """One for a branch that is not taken: it knows what this one does, and changes nothing of it."""
        other = copy.copy(self)
        other.frames = [*self.frames[:-1], self.frame.copied(Copies())]
        other.problems, other.steps, other.unnamed, other.annotated, other.asserted = [], [], [], [], []
        other.chains, other.operations = Chains(other.steps), {}
        other.inputs, other.outputs = {**self.inputs}, [*self.outputs]
        for name in ("taken", "numbers", "renamed"):
            setattr(other, name, ChainMap({}, getattr(self, name)))
        other.recorder = self.recorder.beside()
        other.untaken = self.untaken = self.untaken or [0]
        return other

    def settled(self, value: Value) -> Value:
        """A constant as it is written: in loops and blocks, where it differs from pass to pass, as what it comes to."""
        return constants.folded(value) if self.frame.passes or self.frame.block is not None else value

    def variable_for(self, name: str) -> str:
        """The variable that holds a tensor: its name, unless the model needs what that holds at the end.

        So it is with inputs, and with outputs whose names are given again.
        """

        if self.frame.path:
            return self.unique(f"{self.frame.path}_{name}")

        held = {output.variable for output in self.outputs}

        def is_taken(candidate: str) -> bool:
            if candidate in self.inputs or candidate in held:
                return True
            if candidate == name or self.renamed.get(candidate) == name:
                return False
            return candidate in self.taken or candidate in self.reserved or candidate in self.names

        variable, number = name, 2
        while is_taken(variable):
            variable, number = f"{name}_{number}", number + 1
        if variable != name:
            self.renamed[variable] = name
            self.taken[variable] = None
        return variable

    def variable_inside(self, name: str) -> str:
        """The same in the body as it is written."""
        return self.recorder.variable_for(self.frame, name) if self.frame.path else self.variable_for(name)

    def written(
        self, tensor: Tensor, variable: Callable[[], str], span: Span, inside: Callable[[], str] | None = None
    ) -> Tensor:
        """The tensor in a variable of its own, so that what computes it is there once however often it is used.

        `inside` gives that in the body as it is written, if one is needed there.
        """
        seen = ex.inside(tensor.expression)
        computed = tensor.expression.outside if isinstance(tensor.expression, ex.Seen) else tensor.expression
        if not isinstance(computed, ex.Variable):
            name = variable()
            self.steps.append(graph.Binding((name,), computed, (tensor.spec,), span))
            computed = ex.Variable(name)
        if inside is not None and not isinstance(seen, ex.Variable):
            name = inside()
            self.recorder.assign((name,), seen, span)
            seen = ex.Variable(name)
        return Tensor(tensor.spec, ex.seen(seen, computed))

    def find(self, node: nodes.Expression) -> Result | None:
        """What a path leads to, such as `encoder.conv[0]`; None if it leads nowhere."""
        match node:
            case nodes.Name(id_):
                return self.names.get(id_)
            case nodes.Attribute(value, name):
                inner = self.find(value)
                return inner.names.get(name.id) if isinstance(inner, BlockObject) else None
            case nodes.Subscript(value, items):
                inner = self.find(value)
                if isinstance(inner, FamilyObject):
                    indices = [None if isinstance(each, nodes.Slice) else self.evaluate(each) for each in items]
                    if all(isinstance(each, Value) and is_whole(each.value) for each in indices):
                        return inner.members.get(tuple(int(each.value) for each in indices))  # type: ignore[union-attr]
        return None


def _is_annotated(statement: nodes.Layer | nodes.Weight) -> bool:
    return bool(statement.annotations) or isinstance(statement, nodes.Weight) or bool(statement.weights)
