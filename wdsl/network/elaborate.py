"""Names, parameters, arguments, wiring and shapes: from the syntax of one network to the checked network."""

from __future__ import annotations

import builtins
import copy
import re
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar

from wdsl import catalog
from wdsl.annotations.equations import Tie
from wdsl.annotations.reader import read_annotations, unknown_annotation
from wdsl.annotations.references import Reference, read_weight
from wdsl.annotations.subject import FREE_WEIGHT, AnnotatedLayer, Layers, Target
from wdsl.catalog import CatalogError, Constructed, TensorSpec
from wdsl.catalog.argument_types import is_number, is_whole
from wdsl.catalog.names import keras_name
from wdsl.catalog.versions import too_old
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.core.sizes import expression_of
from wdsl.link import constants
from wdsl.link.constants import ConstantError, Value
from wdsl.link.externs import Extern
from wdsl.link.imports import Constructor, Scope
from wdsl.network import graph
from wdsl.network.arguments import Bound, bind
from wdsl.network.assertions import read_assertion
from wdsl.network.blocks import TooDeep, check_input, come_out, frame_of, named, parameters_of
from wdsl.network.blocks import apply as apply_block
from wdsl.network.blocks import construct as construct_block
from wdsl.network.chains import Chains
from wdsl.network.names import has, names_in
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    ConstructedObject,
    Copies,
    FamilyObject,
    Frame,
    FreeWeightObject,
    Group,
    LayerObject,
    Pass,
    Result,
    Tensor,
    Tensors,
    UnknownSize,
    are_indices,
    kind_of,
    of_file,
    shape_of,
    shapes_of,
    target_of,
    to_name,
)
from wdsl.network.outline import Loop, Outline, Recorder, Statement, given_inside, item_of, known_outside
from wdsl.network.reading import equation_read, frozen, layer_outside, spec_outside, step_outside, tie_read
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Fix, Label, by, has_errors, in_order, listed, nearest, respelled
from wdsl.text.source import Span

T = TypeVar("T")
MAX_LAYERS = 100_000
"""How many statements one network may come to, passes of stacks among them, and how many layers and operations."""

STEPS = 5
"""How many steps of evaluation there may be for each of them."""

MAX_PROBLEMS = 1_000
"""How many problems are looked for, those counted that a loop finds again in each pass."""

_NUMBER = re.compile(r"_\d+\Z")

LARGEST = 10**4_000
"""The largest size: Python writes no longer numbers."""

MAX_STACKED = 16
"""How many passes of stacks become one expression; what is deeper gets variables."""


class Elaborated(Record):
    """A network, and its outline if it has blocks, loops or conditions, or what is said if these cannot be kept."""

    network: graph.Network
    outline: Outline | Diagnostic | None


class TooLarge(Exception):
    """Loops and blocks come to more than anyone means. It is raised with the report."""

    @classmethod
    def limit(cls, what: str, span: Span) -> TooLarge:
        hint = "`--max-layers` or `max_layers=` sets another limit"
        return cls(Diagnostic("E0703", f"the network comes to more than {what}", span, hint=hint))


class TooMany(Exception):
    """There are more problems than anyone reads."""


def elaborate(
    network: nodes.Network, given: Mapping[str, Any], scope: Scope, max_layers: int | None = None
) -> tuple[Elaborated | None, tuple[Diagnostic, ...]]:
    """The checked network with these values of its parameters, and all that is wrong with it.

    There is no network if there are errors. `scope` is what the names of its file stand for. What loops and blocks come
    to is bounded by `max_layers`, MAX_LAYERS if that is None.
    """
    elaborator = Elaborator(network, scope, MAX_LAYERS if max_layers is None else max_layers)
    checked = None
    try:
        checked = elaborator.run(given)
    except TooLarge as error:
        elaborator.problems = [error.args[0]]
    except TooDeep as error:
        message = "blocks, bodies and expressions nest too deeply in one another"
        elaborator.problems = [Diagnostic("E0105", message, error.args[0], "in this use")]
    except TooMany:
        last = elaborator.problems[-1]
        hint = f"these are {MAX_PROBLEMS:,} problems, in all passes of loops: the rest of the file was not looked at"
        elaborator.problems[-1] = last.replace(hint=last.hint or hint)
    # What a block or a loop says more than once is said once.
    once = {(each.code, each.span): each for each in reversed(elaborator.problems)}
    problems = in_order(reversed(once.values()))
    return (None if has_errors(problems) else checked), problems


class Elaborator:
    def __init__(self, network: nodes.Network, scope: Scope, max_layers: int) -> None:
        self.network = network
        self.max_layers = max_layers
        self.lost = scope.lost
        self.problems: list[Diagnostic] = []
        self.frames = [Frame(scope, network.body, of_file(scope))]
        self.frame.declared.update(scope.places)
        self.steps: list[graph.Input | LayerObject | graph.FreeWeight | graph.Binding] = []
        self.chains = Chains(self.steps)
        self.inputs: dict[str, None] = {}
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

    # The network

    def run(self, given: Mapping[str, Any]) -> Elaborated:
        network = self.network
        if not network.name.id[0].isupper():
            self.wrong_case(network.name, "a network", capital=True)
        if hasattr(builtins, network.name.id):
            self.error("E0207", f"`{network.name.id}` is a name of Python's own", network.name.span)
        if network.name.id in graph.NEEDED:
            what = f"`{network.name.id}` is a name that the generated module needs itself"
            self.error("E0207", what, network.name.span, hint="choose another name")
        parameters = self.parameters(given)
        self.recorder.parameters = {each.name: each.value for each in parameters}
        self.carry_out(network.body)
        if not self.lost and not self.outputs and not has(network.body, nodes.Output):
            self.error("E0211", f"`{network.name.id}` has no output", network.name.span, hint="add `output NAME`")
        if not self.lost and not has(network.body, nodes.Input):
            self.error(
                "E0211",
                f"`{network.name.id}` has no input",
                network.name.span,
                hint="add `input NAME: [SIZE]`",
            )
        annotated = [self.annotated_layer(*each) for each in self.annotated]
        equations, ties = read_annotations(annotated, self.problems)
        for tie in ties:
            for operation in tie.view.operations():
                self.operations.setdefault(operation, (tie.span, f"what `{tie.text}` takes"))
        self.check_keras_names()
        steps = self.needed(ties)
        kept = {step.name for step in steps if isinstance(step, (graph.Layer, graph.FreeWeight))}
        for tie in ties:
            if tie.weight.layer in kept and tie.reference.layer not in kept:
                self.error(
                    "E0512",
                    f"`{tie.reference.layer}` is on no path to an output: nothing to tie to",
                    tie.span,
                )
        layers = Layers({layer.name: layer for layer in annotated}, self.problems)
        assertions = [self.read_assertion(*each, layers, kept) for each in self.asserted]
        checked = graph.Network(
            network.name.id,
            network.doc,
            network.span.source,
            network.span,
            parameters,
            tuple(map(step_outside, steps)),
            tuple(each.replace(spec=spec_outside(each.spec)) for each in self.outputs),
            tuple(layer_outside(frozen(each)) for each in self.unnamed),
            tuple(equation_read(each, ex.outside) for each in equations if each.weight.layer in kept),
            tuple(tie_read(each, ex.outside) for each in ties if each.weight.layer in kept),
            tuple(each for each in assertions if each),
            self.is_nested,
            self.decided_by,
        )
        return Elaborated(checked, self.recorder.outline(network, equations, ties) if self.is_nested else None)

    def annotated_layer(
        self,
        made: LayerObject | graph.FreeWeight,
        statement: nodes.Layer | nodes.Weight,
        now: Callable[[], Frame],
        circumstances: tuple[Label, ...],
    ) -> AnnotatedLayer:
        frame = now()

        def evaluate(node: nodes.Expression) -> Result:
            return self.inside(frame, lambda: self.evaluate(node))

        def find(node: nodes.Expression) -> Target | None:
            return self.inside(frame, lambda: target_of(self.find(node)))

        if isinstance(made, graph.FreeWeight):
            row = FREE_WEIGHT
            weights: tuple[catalog.Weight, ...] | None = (made.weight,)
        else:
            row, weights = made.row, made.first_use[1] if made.first_use else None
        return AnnotatedLayer(
            made.name or "",
            statement,
            row,
            made.arguments,
            made.given,
            weights,
            evaluate,
            find,
            frame.owners,
            frame.scope.files,
            circumstances,
        )

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

    def parameters(self, given: Mapping[str, Any]) -> tuple[graph.Parameter, ...]:
        known = [parameter.name.id for parameter in self.network.parameters]
        for name in given:
            if name not in known:
                near = nearest(name, known)
                self.error(
                    "E0307",
                    f"`{self.network.name.id}` has no parameter `{name}`",
                    self.network.name.span,
                    f"did you mean `{near}`?" if near else f"it has {listed(known) or 'none'}",
                )
        return tuple(
            read for parameter in self.network.parameters if (read := self.parameter(parameter, given)) is not None
        )

    def parameter(self, parameter: nodes.Parameter, given: Mapping[str, Any]) -> graph.Parameter | None:
        name = parameter.name.id
        self.declare(parameter.name, "a parameter")
        # Its own name is none yet in its default.
        default = self.evaluate(parameter.default) if parameter.default else None
        self.names[name] = BROKEN
        type_ = parameter.type.id if parameter.type else None
        if parameter.type and type_ not in constants.PARAMETER_TYPES:
            near = nearest(parameter.type.id, constants.PARAMETER_TYPES)
            self.error(
                "E0308",
                f"`{type_}` is not a type of parameters",
                parameter.type.span,
                f"the types are {listed(constants.PARAMETER_TYPES)}",
                fix=respelled(parameter.type.span, near, constants.PARAMETER_TYPES),
            )
            return None
        if isinstance(default, Broken):
            return None
        if default is not None and not isinstance(default, Value):
            self.error("E0308", f"the default of `{name}` is not a constant", parameter.span)
            return None
        if default is not None and ex.variables(default.expression):
            label = "Python has no such defaults: write this where it is needed"
            self.error("E0308", f"the default of `{name}` depends on another parameter", parameter.span, label)
            return None
        if name in given:
            value = _value_of(given[name])
        elif default is not None:
            value = default.value
        else:
            self.error(
                "E0309",
                f"`{name}` has no value",
                parameter.span,
                "this parameter has no default",
                hint=f"give it one here, or with `--set {name}=…` or `{name}=…` in Python",
            )
            return None
        if type_ and not constants.is_of(value, type_):
            where, label = parameter.span, f"declared `{type_}` here"
            self.error("E0308", f"`{name}` is {constants.type_name(value)}, not of type `{type_}`", where, label)
            return None
        try:
            constants.bounded(value)
        except ConstantError as error:
            self.error(error.code, f"`{name}` cannot have this value: {error}", parameter.span)
            return None
        self.names[name] = Value(value, ex.Variable(name))
        plain = Value(value, ex.Constant(None)).plain()
        # A value that is given to the compiler is what the written function has as its default.
        shown = constants.written(value) if name in given else default.expression if default else None
        return graph.Parameter(name, type_, shown, plain, parameter.doc, parameter.span)

    # Statements

    def carry_out(self, statements: Sequence[nodes.Statement]) -> None:
        for statement in statements:
            self.count_one(statement.span)
            self.written_down = self.carried_out
            match statement:
                case nodes.Input():
                    self.input(statement)
                case nodes.Layer():
                    self.layer(statement)
                case nodes.Weight():
                    self.weight(statement)
                case nodes.Binding():
                    self.binding(statement)
                case nodes.Output():
                    self.output(statement)
                case nodes.For():
                    self.loop(statement)
                case nodes.If():
                    self.choose(statement)
                case nodes.Assert():
                    self.assertion(statement)

    def assertion(self, statement: nodes.Assert) -> None:
        """Keep an `assert` for the end, when the weights are known, with what its names stand for here."""
        frame = self.frame
        mentioned = {each.id for each in nodes.walk(statement.test) if isinstance(each, nodes.Name)}
        names = {name: frame.names[name] for name in mentioned if name in frame.names}
        here = Frame(frame.scope, frame.body, names, frame.path, frame.block, frame.use)
        here.passes = list(frame.passes)
        self.asserted.append((statement, here, frame.now()))

    def read_assertion(
        self,
        statement: nodes.Assert,
        here: Frame,
        later: Callable[[], Frame],
        layers: Layers,
        kept: Collection[str | None],
    ) -> graph.Assertion | None:
        def weight(node: nodes.Expression) -> Reference | None:
            frame = later()

            def find(each: nodes.Expression) -> Target | None:
                return self.inside(frame, lambda: target_of(self.find(each)))

            return read_weight(layers, node, find, frame.owners)

        known = {*here.names, *here.scope.constants, *here.scope.modules}
        return self.inside(
            here,
            lambda: read_assertion(
                statement, here.names, known, self.evaluate, weight, kept, self.error, self.circumstances()
            ),
        )

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

    def loop(self, statement: nodes.For) -> None:
        """`for i in range(3) { … }`: the statements, once for each value."""
        self.is_nested = True
        values = self.evaluate(statement.values)
        if not isinstance(values, Value) or not isinstance(values.value, (list, tuple, range)):
            if not isinstance(values, Broken):
                hint = "write `for i in range(6)` or `for width in [64, 128]`"
                self.error("E0205", "`for` goes through a list", statement.values.span, kind_of(values), hint=hint)
            self.lose(statement.body)
            return
        if not isinstance(values.expression, ex.Sequence):  # else it is as long as it is written
            self.decide(values)
        hidden: dict[str, Result] = {}
        again: set[str] = set()
        for number, name in enumerate(statement.names):
            if not (name.id[0].islower() or name.id[0] == "_"):
                self.wrong_case(name, "a variable", capital=False)
            where = self.frame.declared.get(name.id)
            first = next((each.span for each in statement.names[:number] if each.id == name.id), None)
            if name.id in self.names:
                hidden[name.id] = self.names[name.id]
            if first or not isinstance(hidden.get(name.id, BROKEN), Broken):
                labels = (Label(first or where, "first here"),) if first or where else ()  # type: ignore[arg-type]
                self.error("E0202", f"`{name.id}` is declared twice", name.span, "again here", labels=labels)
                again.add(name.id)
        self.has_room(len(values.value) * (1 + len(statement.body)), statement.values.span)
        if self.can_unpack(statement, values):
            self.go_through(statement, values, again)
        else:
            self.lose(statement.body)
        for name in statement.names:
            self.names.pop(name.id, None)
        self.names.update(hidden)

    def can_unpack(self, statement: nodes.For, values: Value) -> bool:
        """Whether each value of a loop with several variables has an item for each of them. If not, it is reported."""
        count = len(statement.names)
        for value in values.value if count > 1 else ():
            if not isinstance(value.value, list) or len(value.value) != count:
                items = f"has {len(value.value)}" if isinstance(value.value, list) else "has none"
                message = f"`for` takes each value apart into {count} items, and {catalog.show(value.plain())} {items}"
                self.error("E0205", message, statement.names[0].span.to(statement.names[-1].span))
                return False
        return True

    def go_through(self, statement: nodes.For, values: Value, again: Collection[str]) -> None:
        """Carry out the body of a loop for each value; `again` are variables whose names were not to be had."""
        self.settle(statement.body)
        recorder, names = self.recorder, tuple(name.id for name in statement.names)
        distinct = are_indices(values.value)
        counter = names[0] if distinct else recorder.counter(self.frame, statement.names, statement.body)
        outer, last = ex.outside(values.expression), len(values.value) - 1
        passes, made = [], []
        for number, item in enumerate(values.value):
            self.count_one(statement.span)
            value = item
            if isinstance(outer, ex.Variable):
                # What the last pass leaves behind is said of the last item, however many there are.
                value = Value(item.value, ex.Subscript(outer, ex.Constant(number if number < last else -1)))
            items: tuple[Value, ...] = (value,)
            if len(names) > 1:
                items = tuple(constants.item(value, constants.constant(at)) for at in range(len(value.value)))
            here = tuple(named(name, each) for name, each in zip(names, items, strict=True))
            for name, each in zip(names, here, strict=True):
                self.names[name] = BROKEN if name in again else each
            index = value.value if distinct else number
            self.frame.passes.append(Pass(statement.names, index, here, ex.Variable(counter)))
            with recorder.recording() as body, recorder.constructing() as constructed:
                self.carry_out(statement.body)
            self.frame.passes.pop()
            passes.append(tuple(body))
            made.append(constructed)
        found = tuple(value.plain() for value in values.value)
        text, numbered = statement.values.span.text, None if distinct else counter
        loop = Loop(names, numbered, ex.inside(values.expression), found, tuple(passes), text, statement.span)
        recorder.loop(self.frame, loop, made)

    def settle(self, statements: Sequence[nodes.Statement]) -> None:
        """Let tensors stand in the variables that statements will assign to, so that each pass finds them there."""
        for name in names_in(statements):
            tensor = self.frame.names.get(name.id)
            if isinstance(tensor, Tensor):
                variable = self.variable_inside(name.id)
                if ex.inside(tensor.expression) != ex.Variable(variable):
                    self.recorder.assign((variable,), tensor.expression, name.span)
                    seen = ex.seen(ex.Variable(variable), tensor.expression)
                    self.frame.names[name.id] = Tensor(tensor.spec, seen)

    def decide(self, value: Value) -> None:
        """Remember what a value depends on that decides which statements are carried out, or how often."""
        self.decided_by |= ex.variables(value.expression)

    def choose(self, statement: nodes.If) -> None:
        """`if … { } else if … { } else { }`: the statements of the first branch whose condition holds."""
        self.is_nested = True
        tests: list[Value] = []
        for branch in statement.branches:
            test = self.evaluate(branch.test)
            if not isinstance(test, Value):
                if not isinstance(test, Broken):
                    message = "`if` decides when compiling: its condition is a constant"
                    self.error("E0205", message, branch.test.span, f"this is {kind_of(test)}")
                self.lose(tuple(each for one in statement.branches for each in one.body))
                self.lose(statement.otherwise or ())
                return
            self.decide(test)
            tests.append(test)
            if test.value:
                break
        bodies = [*(branch.body for branch in statement.branches), statement.otherwise or ()]
        taken = len(tests) - 1 if tests[-1].value else len(bodies) - 1
        decided = [ex.inside(test.expression) for test in tests]
        for branch in statement.branches[len(tests) :]:
            # Behind the one that holds, a condition need have no value.
            found, _ = self.tried(lambda other, test=branch.test: other.evaluate(test))  # type: ignore[misc]
            if not isinstance(found, Value):
                self.recorder.fail("this condition has no value here", branch.test.span)
                break
            decided.append(ex.inside(found.expression))
        if not any(map(ex.variables, decided)):
            self.carry_out(bodies[taken])
            return
        self.settle([each for body in bodies for each in body])
        branches: list[tuple[Statement, ...] | None] = [None] * len(bodies)
        made: list[Sequence[Statement] | None] = [None] * len(bodies)
        for number, body in enumerate(bodies):
            if number != taken:
                branches[number], made[number] = self.tried(lambda other, body=body: other.recorded(body))  # type: ignore[misc]
        with self.recorder.constructing() as made[taken]:
            branches[taken] = self.recorded(bodies[taken])
        text = statement.branches[0].test.span.text
        self.recorder.choice(self.frame, decided, branches, made, text, statement.span)

    def recorded(self, statements: Sequence[nodes.Statement]) -> tuple[Statement, ...]:
        """Carry statements out, and give what they are in the outline."""
        with self.recorder.recording() as body:
            self.carry_out(statements)
        return tuple(body)

    def tried(self, work: Callable[[Elaborator], T]) -> tuple[T | None, Sequence[Statement] | None]:
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

    def beside(self) -> Elaborator:
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

    def lose(self, statements: Sequence[nodes.Statement]) -> None:
        """Say nothing of what has to do with the names in statements that could not be carried out."""
        for name in names_in(statements):
            self.names.setdefault(name.id, BROKEN)

    def declare(self, name: nodes.Name, what: str, again: bool = False) -> bool:
        """Take a name. With `again`, one that stands for a tensor may be taken once more."""
        if not (name.id[0].islower() or name.id[0] == "_"):
            self.wrong_case(name, what, capital=False)
        if name.id in self.frame.declared and not (again and isinstance(self.names.get(name.id), (Tensor, Broken))):
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

    def input(self, statement: nodes.Input) -> None:
        name = statement.name.id
        fresh = self.declare(statement.name, "an input")
        if self.frame.block is not None:
            self.names[name] = check_input(self, statement) if name in self.frame.given else BROKEN
            return
        if statement.dimensions is None:
            hint = f"write `input {name}: [SIZE]`"
            self.error("E0304", f"the input `{name}` of a network needs its sizes", statement.span, hint=hint)
            self.names[name] = BROKEN
            return
        dtype = statement.dtype.id if statement.dtype else "float32"
        ok = True
        if statement.dtype and dtype not in catalog.DTYPES:
            near = nearest(dtype, catalog.DTYPES)
            fix = respelled(statement.dtype.span, near, catalog.DTYPES)
            self.error("E0304", f"`{dtype}` is not a dtype", statement.dtype.span, fix=fix)
            ok = False
        sizes = [self.size(each) for each in statement.dimensions]
        if not fresh:
            return
        if not ok or any(isinstance(size, Broken) for size in sizes):
            self.names[name] = BROKEN
            return
        spec = TensorSpec((None, *sizes), dtype)  # type: ignore[arg-type]
        self.names[name] = Tensor(spec, ex.Variable(name))
        self.inputs[name] = None
        step = graph.Input(name, spec, statement.doc, statement.span)
        self.steps.append(step)
        self.recorder.body.append(step)

    def size(self, node: nodes.Expression) -> int | Broken | None:
        if isinstance(node, nodes.Unknown):
            return None
        if isinstance(node, nodes.Name) and not self.knows(node.id) and not nearest(node.id, self.names):
            self.names[node.id] = UnknownSize()
        value = self.evaluate(node)
        if isinstance(value, UnknownSize):
            return None
        if isinstance(value, Broken):
            return value
        if not isinstance(value, Value) or not isinstance(value.plain(), int) or value.value is True or value.value < 1:
            shown = f", not {catalog.show(value.value)}" if isinstance(value, Value) else ""
            return self.error("E0304", f"a size is a whole number of at least 1, or `?`{shown}", node.span)
        return value.plain()  # type: ignore[no-any-return]

    def layer(self, statement: nodes.Layer) -> None:
        name, frame = statement.name.id, self.frame
        given = self.indices(statement)
        indices = None if given is None else tuple(int(each.value) for each in given)
        key = frame.key(statement.span)
        if frame.block is not None and key in frame.block.declared:
            # The block is applied again: its layers are those that it has.
            self.enter(name, indices, frame.block.declared[key])
            return
        family = self.names.get(name)
        if isinstance(family, FamilyObject) and statement.indices:
            fresh = indices is not None
            if indices in family.members:
                shown = ", ".join(map(str, indices or ()))
                self.error("E0202", f"`{name}[{shown}]` is declared twice", statement.name.span)
                fresh = False
        elif indices is None:  # which member it is, is not known
            self.names.setdefault(name, BROKEN)
            fresh = False
        else:
            fresh = self.declare(statement.name, "a layer")
        value = self.evaluate(statement.value)
        if isinstance(value, (LayerObject, BlockObject)) and value.name is not None:
            self.error(
                "E0205",
                f"`{value.name}` is a layer already",
                statement.value.span,
                "a second name for it would share its weights unseen",
                hint=f"use `{value.name}` itself, as often as you like",
            )
            value = BROKEN
        elif not isinstance(value, (LayerObject, BlockObject, Broken)):
            self.error("E0205", "this does not construct a layer", statement.value.span, f"it is {kind_of(value)}")
            value = BROKEN
        if not fresh:
            return
        self.enter(name, indices, value)
        if frame.block is not None:
            frame.block.declared[key] = value
        if not isinstance(value, (LayerObject, BlockObject)):
            # What annotations there are does not depend on the layer.
            annotations = (*statement.annotations, *(one for each in statement.weights for one in each.annotations))
            unknown = [found for each in annotations if (found := unknown_annotation(each))]
            self.problems += [each for each in unknown if each not in self.problems]
            return
        path = "_".join([*([frame.path] if frame.path else []), name, *map(str, indices or ())]).replace("-", "minus_")
        value.name = self.unique(path) if frame.path or indices else name
        value.span = statement.span
        if isinstance(value, LayerObject):
            self.steps.append(value)
        self.recorder.made(frame, value, self.parameters_of(value), given or (), statement)
        if isinstance(value, LayerObject):
            value.declared = name
            value.doc = statement.doc
            self.annotated.append((value, statement, frame.now(), self.circumstances()))
        elif statement.annotations or statement.weights:
            where = (*statement.annotations, *(each.annotations[0] for each in statement.weights if each.annotations))
            message = f"`{name}` is a block: annotate the layers in it"
            self.error("E0501", message, where[0].span if where else statement.span)

    def enter(self, name: str, indices: tuple[int, ...] | None, value: Result) -> None:
        """Let a name, or a member of the family with the name, stand for a layer."""
        if not indices:
            self.names[name] = value
            return
        family = self.names.get(name)
        if not isinstance(family, FamilyObject):
            family = self.names[name] = FamilyObject()
        family.members[indices] = value  # type: ignore[assignment]

    def indices(self, statement: nodes.Layer) -> tuple[Value, ...] | None:
        """The indices of a member of a family, none for a layer that is none; None after a report."""
        found: list[Value] = []
        for node in statement.indices:
            value = self.evaluate(node)
            if isinstance(value, Value) and is_whole(value.value):
                found.append(value)
                self.decide(value)
                continue
            if not isinstance(value, Broken):
                self.error("E0205", f"an index is a whole number, not {kind_of(value)}", node.span)
            return None
        return tuple(found)

    def member(self, family: FamilyObject, node: nodes.Subscript) -> Result:
        """`conv[i]`: a member of a family."""
        indices, given = [], []
        for each in node.items:
            value = self.evaluate(each)
            if isinstance(value, Broken):
                return value
            if not isinstance(value, Value) or not is_whole(value.value):
                return self.error("E0205", f"an index is a whole number, not {kind_of(value)}", each.span)
            indices.append(int(value.value))
            given.append(value.expression)
            self.decide(value)
        if tuple(indices) in family.members:
            found = family.members[tuple(indices)]
            if isinstance(node.value, nodes.Name) and isinstance(found, (LayerObject, BlockObject)):
                found.variable = item_of(node.value.id, given)  # as it is known here
            return found
        known = listed([f"[{', '.join(map(str, each))}]" for each in list(family.members)[:8]])
        return self.error("E0201", f"there is no member `{node.span.text}`", node.span, f"there are {known}")

    def weight(self, statement: nodes.Weight) -> None:
        name, frame = statement.name.id, self.frame
        key = frame.key(statement.span)
        if frame.block is not None and key in frame.block.declared:
            self.names[name] = frame.block.declared[key]
            return
        fresh = self.declare(statement.name, "a weight")
        sizes = [self.size(each) for each in statement.dimensions]
        for size, node in zip(sizes, statement.dimensions, strict=True):
            if size is None:
                self.error("E0304", "the sizes of a weight must be known", node.span)
        arguments: dict[str, Any] = {"initializer": "glorot_uniform"}
        given: dict[str, tuple[ex.Expression, Span]] = {}
        value = self.initializer(statement.value) if statement.value is not None else None
        if isinstance(value, ConstructedObject):
            arguments["initializer"] = value.object
            given["initializer"] = (value.expression, statement.span)
        if not fresh:
            return
        self.names[name] = BROKEN
        if isinstance(value, Broken) or not all(isinstance(size, int) for size in sizes):
            return
        made = FreeWeightObject(self.unique(f"{frame.path}_{name}") if frame.path else name)
        self.names[name] = made
        if frame.block is not None:
            frame.block.declared[key] = made
        shape: tuple[int, ...] = tuple(sizes)  # type: ignore[arg-type]
        weight = catalog.Weight("", "", shape, True, "initializer", None, None)
        step = graph.FreeWeight(made.name, weight, arguments, given, statement.doc, statement.span, name)
        self.steps.append(step)
        if frame.block is not None:
            self.recorder.fail("this weight is made anew for each use of its block", step.span)
        self.annotated.append((step, statement, frame.now(), self.circumstances()))

    def initializer(self, node: nodes.Expression) -> ConstructedObject | Broken:
        if isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name) and node.function.id[0].isupper():
            value = self.construct(node.function, node, "initializer")
            if isinstance(value, Broken):
                return value
            if isinstance(value, ConstructedObject) and value.object.kind == "initializer":
                return value
        classes = [name for name in catalog.INITIALIZERS if name[0].isupper()]
        words = node.id.replace("_", " ").title().replace(" ", "") if isinstance(node, nodes.Name) else ""
        near = words if words in classes else nearest(words, classes)
        fix = Fix(node.span, f"{near}()", safe=near == words) if near else None
        label = f"did you mean `{near}()`?" if near else "write one as `GlorotUniform()`"
        return self.error("E0205", "this is no initializer", node.span, label, fix=fix)

    def binding(self, statement: nodes.Binding) -> None:
        alone = statement.names[0] if len(statement.names) == 1 else None
        with self.recorder.aiming(alone, self.variable_inside, statement.value):
            value = self.evaluate(statement.value)
        specs: tuple[TensorSpec, ...] | None = None
        count = len(statement.names)
        match value:
            case Tensor(spec, expression) if count == 1:
                specs = (spec,)
            case Tensors(specs, expression) if count != len(specs):
                self.count(statement.value.span, count, len(specs), value)
                specs = None
            case Group(items) if count != len(items):
                self.count(statement.value.span, count, len(items), value)
            case Group(items) if any(isinstance(item, Group) for item in items):
                self.error("E0205", "lists in a list have no names", statement.value.span)
            case Group(items):
                specs = tuple(item.spec for item in items)  # type: ignore[union-attr]
                expression = ex.Sequence(tuple(item.expression for item in items))  # type: ignore[union-attr]
            case Tensor():
                self.count(statement.value.span, count, 1, value)
            case Tensors(specs, expression):
                pass
            case Broken():
                pass
            case Value():
                hint = "give it as a parameter of the network"
                self.error("E0205", "a constant is not a tensor", statement.value.span, kind_of(value), hint=hint)
            case _:
                message = f"this is {kind_of(value)}, not a tensor"
                self.error(_no_tensor(value), message, statement.value.span, hint=to_name(value))
        variables, inside = [], []
        for position, name in enumerate(statement.names):
            if not self.declare(name, "a tensor", again=True):
                continue
            variable = self.variable_for(name.id)
            variables.append(variable)
            inside.append(self.variable_inside(name.id) if self.frame.path else variable)
            seen = ex.seen(ex.Variable(inside[-1]), ex.Variable(variable))
            self.names[name.id] = Tensor(specs[position], seen) if specs else BROKEN
        if specs and len(variables) == count:
            self.steps.append(graph.Binding(tuple(variables), expression, specs, statement.span))
            self.recorder.assign(tuple(inside), expression, statement.span)

    def count(self, span: Span, wanted: int, got: int, value: Result) -> None:
        tensors = "one tensor" if got == 1 else f"{got} tensors"
        names = "one name" if wanted == 1 else f"{wanted} names"
        label, hint = f"this is {tensors}", None
        if isinstance(value, Group) and value.names:
            label, hint = f"this is {kind_of(value)}", to_name(value)
        self.error("E0403", f"{tensors} cannot be taken apart into {names}", span, label, hint=hint)

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

    def output(self, statement: nodes.Output) -> None:
        with self.recorder.aiming(statement.name, self.variable_inside, statement.value):
            value = self.evaluate(statement.value)
        name = statement.name or self.output_name(statement.value)
        if isinstance(value, Broken):
            self.frame.is_broken = True
            if statement.name and self.declare(statement.name, "an output", again=True):
                self.names[statement.name.id] = BROKEN
            return
        if not isinstance(value, Tensor):
            message = f"an output is a tensor, not {kind_of(value)}"
            self.error(_no_tensor(value), message, statement.value.span, hint=to_name(value))
            return
        if name is None:
            self.error(
                "E0212",
                "the output needs a name",
                statement.value.span,
                "this does not end in a named layer or tensor",
                hint="write `output NAME = …`",
            )
            return
        if self.frame.block is not None:
            if any(each == name.id for each, _ in self.frame.outputs):
                self.error("E0202", f"there are two outputs `{name.id}`", statement.span)
                return
            value = self.written(
                value,
                lambda: self.variable_for(name.id),
                statement.span,
                lambda: self.recorder.variable_for(self.frame, name.id),
            )
            if statement.name and self.declare(statement.name, "an output", again=True):
                self.names[name.id] = value
            self.frame.outputs.append((name.id, value))
            return
        previous = next((output for output in self.outputs if output.name == name.id), None)
        if previous:
            where = (Label(previous.span, "first here"),)
            self.error("E0202", f"there are two outputs `{name.id}`", statement.span, labels=where)
            return
        if isinstance(value.expression, ex.Variable) and not statement.name:
            variable = value.expression.name
        else:
            if statement.name and not self.declare(statement.name, "an output", again=True):
                return
            taken = name.id in self.names and not isinstance(self.names[name.id], Tensor)
            layers_own = taken and not statement.name
            variable = self.unique(f"{name.id}_output") if layers_own else self.variable_for(name.id)
            self.steps.append(graph.Binding((variable,), value.expression, (value.spec,), statement.span))
            self.recorder.assign((variable,), value.expression, statement.span)
            if not taken:
                self.names[name.id] = Tensor(value.spec, ex.Variable(variable))
        self.outputs.append(graph.Output(name.id, variable, value.spec, statement.doc, statement.span))

    def output_name(self, node: nodes.Expression) -> nodes.Name | None:
        """The name an output has by itself: that of its tensor, or of its last layer."""
        match node:
            case nodes.Name():
                return node
            case nodes.Chain(stages):
                return self.output_name(stages[-1])
            case nodes.Call(nodes.Name() as function) if not function.id[0].isupper():
                return function
        return None

    # Expressions

    def evaluate(self, node: nodes.Expression) -> Result:
        self.work(1, node.span)
        match node:
            case nodes.Literal(value):
                return constants.constant(value)
            case nodes.Name():
                return self.name(node)
            case nodes.Chain(stages):
                return self.chain(stages)
            case nodes.Call():
                return self.call(node)
            case nodes.Unary(sign, operand):
                return self.operation(sign, (operand,), node.span)
            case nodes.Binary(sign, left, right):
                return self.operation(sign, (left, right), node.span)
            case nodes.Conditional():
                return self.conditional(node)
            case nodes.List(items) | nodes.Tuple(items):
                return self.sequence(items)
            case nodes.Subscript(container, _) if isinstance(family := self.find(container), FamilyObject):
                return self.member(family, node)
            case nodes.Subscript(container, (index,)) if not isinstance(index, nodes.Slice):
                return self.item(container, index, node.span)
            case nodes.Subscript():
                return self.error("E0205", "only lists have items, one at a time", node.span)
            case nodes.Attribute(nodes.Name(module), name) if isinstance(file := self.names.get(module), Scope):
                return self.of_file(file, name)
            case nodes.Attribute(value, name):
                if isinstance(value, nodes.Name) and isinstance(self.names.get(value.id), Broken):
                    return BROKEN
                if name.id == "shape":
                    return self.error(
                        "E0205",
                        "shapes are looked at in an `assert`, as `shape(x)`",
                        node.span,
                        fix=Fix(node.span, f"shape({value.span.text})"),
                    )
                return self.error(
                    "E0205",
                    f"`.{name.id}` stands in a `tie` only",
                    node.span,
                    "weights are not tensors of the wiring",
                )
            case nodes.Slice() | nodes.Where() | nodes.By() | nodes.Axis() | nodes.Unknown() | nodes.Rest():
                return self.error("E0205", "this stands in the brackets of an annotation only", node.span)

    def name(self, node: nodes.Name) -> Result:
        if node.id in self.names:
            return self.names[node.id]
        scope = self.frame.scope
        if scope.has_lost(node.id):
            return BROKEN
        if node.id in catalog.LAYERS or node.id in scope.constructors:
            own = node.id in scope.constructors
            complete = not own and not any(argument.required for argument in catalog.LAYERS[node.id].arguments)
            fix = Fix(node.span, f"{node.id}()", safe=complete)
            return self.error("E0205", f"`{node.id}` is a kind of layer, not a layer", node.span, fix=fix)
        later = next((each for each in names_in(self.frame.body) if each.id == node.id), None)
        if later and later.span.start > node.span.start:
            where = (Label(later.span, "it is declared here, further down"),)
            return self.error("E0204", f"`{node.id}` is used before it is declared", node.span, labels=where)
        if node.id in catalog.FUNCTIONS or node.id in constants.FUNCTIONS:
            return self.error("E0205", f"`{node.id}` is a function: call it, or send a tensor to it", node.span)
        if node.id in ("True", "False", "None"):
            fix = Fix(node.span, node.id.lower(), safe=True)
            return self.error("E0203", f"`{node.id}` is written `{node.id.lower()}`", node.span, fix=fix)
        candidates = {*self.names, *scope.constants, *(each.id for each in names_in(self.frame.body))}
        near = nearest(node.id, candidates - {node.id})
        return self.error(
            "E0201",
            f"`{node.id}` is not known here",
            node.span,
            f"did you mean `{near}`?" if near else "",
            fix=Fix(node.span, near) if near else None,
        )

    def of_file(self, file: Scope, name: nodes.Name) -> Result:
        """`attention.width`, a name of an imported file."""
        if name.id in file.constants:
            return file.constants[name.id]
        if name.id in file.constructors:
            fix = Fix(name.span, f"{name.id}()")
            return self.error("E0205", f"`{name.id}` is a kind of layer, not a layer", name.span, fix=fix)
        if name.id in file.modules:
            return self.error("E0205", f"`{name.id}` is a file that another one imports", name.span, "import it here")
        return self.not_in(file, name)

    def not_in(self, file: Scope, name: nodes.Name) -> Broken:
        """Report a name that an imported file does not have."""
        if file.has_lost(name.id):
            return BROKEN
        near = nearest(name.id, {*file.constants, *file.constructors})
        return self.error(
            "E0201",
            f"`{file.source.name}` has no `{name.id}`",
            name.span,
            f"did you mean `{near}`?" if near else "",
            fix=Fix(name.span, near) if near else None,
        )

    def sequence(self, items: Sequence[nodes.Expression]) -> Result:
        values = [self.evaluate(each) for each in items]
        if any(isinstance(value, Broken) for value in values):
            return BROKEN
        if all(isinstance(value, Value) for value in values):
            try:
                return constants.sequence(values)  # type: ignore[arg-type]
            except ConstantError as error:
                return self.error(error.code, str(error), items[0].span.to(items[-1].span))
        for node, value in zip(items, values, strict=True):
            if not isinstance(value, (Tensor, Group)):
                self.error("E0205", f"this is {kind_of(value)}, and stands among tensors", node.span)
                return BROKEN
        return Group(tuple(values))  # type: ignore[arg-type]

    def item(self, container: nodes.Expression, index: nodes.Expression, span: Span) -> Result:
        values = self.evaluate(container), self.evaluate(index)
        if any(isinstance(value, Broken) for value in values):
            return BROKEN
        first, second = values
        if not isinstance(first, Value) or not isinstance(second, Value):
            return self.error(
                "E0205",
                f"{kind_of(first)} has no items",
                span,
                hint="`take` and `split` give parts of a tensor",
            )
        try:
            return self.settled(constants.item(first, second))
        except ConstantError as error:
            return self.error(error.code, str(error), span)

    def conditional(self, node: nodes.Conditional) -> Result:
        test = self.evaluate(node.test)
        if isinstance(test, Broken):
            return test
        if not isinstance(test, Value):
            return self.error("E0205", "`if` decides when compiling: its condition is a constant", node.test.span)
        recorder = self.recorder
        taken, untaken = (node.then, node.otherwise) if test.value else (node.otherwise, node.then)
        with recorder.recording() as own, recorder.constructing() as made:
            chosen = self.evaluate(taken)
        recorder.body += own
        if isinstance(chosen, Value):
            return self.constant_conditional(node, test, chosen, self.evaluate(untaken))
        # A layer or a tensor: what is not chosen is not constructed.
        self.is_nested = True
        self.decide(test)
        decided = ex.inside(test.expression)
        is_open = bool(ex.variables(decided))
        if recorder.constructed is not None and not (is_open and isinstance(chosen, Tensor) and not own):
            recorder.constructed += made
        if not is_open or isinstance(chosen, Broken):
            return chosen
        if not isinstance(chosen, Tensor) or own:
            reason = (
                "it chooses between layers" if not isinstance(chosen, Tensor) else "what it chooses takes statements"
            )
            recorder.guard(test, node.test.span.text, node.span, reason)
            return chosen
        tried, others = self.tried(lambda other: other.tensor_alone(untaken))
        both = (made, others) if test.value else (others, made)
        recorder.construct_choice(self.frame, (decided,), both, node.test.span.text, node.span)
        sides = ex.inside(chosen.expression), ex.inside(tried.expression) if tried else ex.HOLE
        then, otherwise = sides if test.value else sides[::-1]
        return Tensor(chosen.spec, ex.seen(ex.Operation("if", (then, decided, otherwise)), chosen.expression))

    def tensor_alone(self, node: nodes.Expression) -> Tensor | None:
        """A tensor, if that takes no statements."""
        with self.recorder.recording() as needed:
            value = self.evaluate(node)
        return value if isinstance(value, Tensor) and not needed else None

    def constant_conditional(self, node: nodes.Conditional, test: Value, chosen: Value, other: Result) -> Result:
        """`3 if deep else 2`, where each side has a value."""
        if not isinstance(other, Value):
            return other if isinstance(other, Broken) else chosen
        then, otherwise = (chosen, other) if test.value else (other, chosen)
        self.work(_items([chosen]), node.span)
        try:
            return self.settled(constants.conditional(then, test, otherwise))
        except ConstantError as error:
            return self.error(error.code, str(error), node.span)

    def settled(self, value: Value) -> Value:
        """A constant as it is written: in loops and blocks, where it differs from pass to pass, as what it comes to."""
        return constants.folded(value) if self.frame.passes or self.frame.block is not None else value

    def operation(self, sign: str, operands: Sequence[nodes.Expression], span: Span) -> Result:
        values = [self.evaluate(operand) for operand in operands]
        if any(isinstance(value, Broken) for value in values):
            return BROKEN
        if all(isinstance(value, Value) for value in values):
            self.work(_items(values), span)
            try:
                return self.settled((constants.unary if len(values) == 1 else constants.binary)(sign, *values))  # type: ignore[arg-type]
            except ConstantError as error:
                return self.error(error.code, str(error), span)
        for node, value in zip(operands, values, strict=True):
            if not isinstance(value, Tensor) and not (isinstance(value, Value) and is_number(value.value)):
                message = f"`{sign}` does not take {kind_of(value)}"
                return self.error(_no_tensor(value), message, node.span, hint=to_name(value))
        operator = catalog.OPERATORS.get(sign if len(values) == 2 else f"unary {sign}")
        if operator is None:
            return self.error("E0205", f"`{sign}` is for constants, not for tensors", span)
        given = [value.spec if isinstance(value, Tensor) else value.value for value in values]  # type: ignore[union-attr]
        names = [argument.name for argument in operator.arguments]
        try:
            spec = operator.infer(dict(zip(names, given, strict=True)))
        except CatalogError as error:
            labels = tuple(
                self.chains.label(node.span, value.expression, shape_of(value.spec))
                for node, value in zip(operands, values, strict=True)
                if isinstance(value, Tensor)
            )
            return self.error("E0401", error.message, span, labels=labels)
        self.operations.setdefault(operator.keras, (span, f"the result of `{sign}`"))
        return self.made(spec, ex.Operation(sign, tuple(value.expression for value in values)), span)  # type: ignore[union-attr]

    # Wiring

    def chain(self, stages: Sequence[nodes.Expression]) -> Result:
        value = self.evaluate(stages[0])
        before = stages[0]
        for stage in stages[1:]:
            value = self.stage(value, stage, before)
            before = stage
        return value

    def stage(self, value: Result, node: nodes.Expression, before: nodes.Expression) -> Result:
        """`value -> node`."""
        function, arguments = node, ()
        if isinstance(node, nodes.Call) and not (
            isinstance(node.function, nodes.Name | nodes.Attribute) and _constructs(node.function)
        ):
            function, arguments = node.function, node.arguments  # type: ignore[assignment]
        first: list[tuple[Result, nodes.Expression]] = [(value, before)]
        if isinstance(function, nodes.Name) and function.id not in self.names and function.id in catalog.FUNCTIONS:
            return self.function(catalog.FUNCTIONS[function.id], first, arguments, node)
        if isinstance(function, nodes.Binary) and function.operator == "*":
            return self.stack(value, function, before)
        layer = self.callee(function)
        if layer is None or isinstance(value, Broken):
            return BROKEN
        return self.apply(layer, first, arguments, node)

    def stack(self, value: Result, node: nodes.Binary, before: nodes.Expression) -> Result:
        """`value -> node.left * n`: one after the other; each is new if it is constructed here."""
        self.is_nested = True
        count = self.evaluate(node.right)
        if isinstance(count, Broken):
            return count
        if not isinstance(count, Value) or not is_whole(count.value) or count.value < 0:
            return self.error("E0205", "a stack has a whole number of layers", node.right.span, kind_of(count))
        self.decide(count)
        self.has_room(count.value, node.span)
        return self.go_up(value, node, before, count)

    def go_up(self, value: Result, node: nodes.Binary, before: nodes.Expression, count: Value) -> Result:
        """Send a value through each layer of a stack."""
        if isinstance(ex.inside(count.expression), ex.Constant) and count.value < 2:
            return self.go_once(value, node, before, count.value)
        recorder, frame = self.recorder, self.frame
        variable = recorder.target if recorder.target and node in recorder.stages else recorder.local(frame, "x")
        counter, passes, made = recorder.counter(frame), [], []
        value = self.held(value, variable, node.span)
        for number in range(count.value):
            self.count_one(node.span)
            frame.passes.append(Pass((), number, (), ex.Variable(counter)))
            with recorder.recording() as body, recorder.constructing() as constructed:
                value = self.held(self.stage(value, node.left, before), variable, node.span)
            frame.passes.pop()
            passes.append(tuple(body))
            made.append(constructed)
            if isinstance(value, Broken):
                return value
            if isinstance(value, Tensor) and self.carried_out - self.written_down >= MAX_STACKED:
                value = self.written(value, self.stack_variable, node.span)
                self.written_down = self.carried_out
        values = ex.Call(ex.Symbol("range"), (ex.inside(count.expression),))
        found, text = tuple(range(count.value)), node.right.span.text
        recorder.loop(frame, Loop((counter,), None, values, found, tuple(passes), text, node.span), made)
        return value

    def go_once(self, value: Result, node: nodes.Binary, before: nodes.Expression, count: int) -> Result:
        """A stack of one, or none."""
        for number in range(count):
            self.count_one(node.span)
            self.frame.passes.append(Pass((), number, ()))
            value = self.stage(value, node.left, before)
            self.frame.passes.pop()
        return value

    def held(self, value: Result, variable: str, span: Span) -> Result:
        """What goes through a stack, in the variable that it has where that is a loop."""
        if isinstance(value, Tensor):
            self.recorder.assign((variable,), value.expression, span)
            return Tensor(value.spec, ex.seen(ex.Variable(variable), value.expression))
        if not isinstance(value, Broken):
            self.recorder.fail("this stack is of several tensors", span)
        return value

    def stack_variable(self) -> str:
        return self.unique(f"{self.frame.path}_stack" if self.frame.path else "stack")

    def callee(self, node: nodes.Expression) -> LayerObject | BlockObject | None:
        """The layer that a call or an arrow leads to; None, after a report, if it is none."""
        if (
            isinstance(node, nodes.Name)
            and not self.knows(node.id)
            and node.id[0].islower()
            and not any(each.id == node.id for each in names_in(self.frame.body))
        ):
            classes = {each.lower(): each for each in (*catalog.LAYERS, *self.frame.scope.constructors)}
            if node.id.lower() in classes:
                right = classes[node.id.lower()]
                self.error("E0203", f"the layer `{node.id}` is written `{right}`", node.span, fix=Fix(node.span, right))
                return None
            for place in (f"ops.{node.id}", f"ops.image.{node.id}"):
                if place in catalog.REFUSED_FUNCTIONS:
                    message = f"a file cannot have the function `{node.id}` of Keras"
                    self.error("E0311", message, node.span, hint=catalog.REFUSED_FUNCTIONS[place])
                    return None
            near = nearest(node.id, [*catalog.FUNCTIONS, *constants.FUNCTIONS, *self.names])
            self.error(
                "E0201",
                f"there is no layer or function `{node.id}`",
                node.span,
                f"did you mean `{near}`?" if near else "",
                fix=Fix(node.span, near) if near else None,
            )
            return None
        found = self.evaluate(node)
        if isinstance(found, (LayerObject, BlockObject)):
            return found
        if isinstance(found, Broken):
            return None
        self.error("E0205", f"this is {kind_of(found)}, and cannot be applied", node.span)
        return None

    def call(self, node: nodes.Call) -> Result:
        function = node.function
        if isinstance(function, nodes.Name) and function.id not in self.names:
            if function.id[0].isupper():
                return self.construct(function, node)
            if function.id in constants.FUNCTIONS and function.id not in catalog.FUNCTIONS:
                return self.constant_function(function.id, node)
            if function.id in catalog.FUNCTIONS and function.id not in constants.FUNCTIONS:
                return self.function(catalog.FUNCTIONS[function.id], [], node.arguments, node)
            if function.id in catalog.FUNCTIONS:  # as `max`, which is for constants and for tensors
                values = [(self.evaluate(each.value), each.value) for each in node.arguments if each.name is None]
                if values and all(isinstance(value, Value) for value, _ in values):
                    return self.constant_function(function.id, node)
                named = tuple(each for each in node.arguments if each.name is not None)
                return self.function(catalog.FUNCTIONS[function.id], values, named, node)
        if isinstance(function, nodes.Attribute) and _constructs(function) and isinstance(function.value, nodes.Name):
            return self.construct_of_module(function.value, function.name, node)
        layer = self.callee(function)
        if layer is None:
            return BROKEN
        return self.apply(layer, [], node.arguments, node)

    def construct_of_module(self, module: nodes.Name, name: nodes.Name, node: nodes.Call) -> Result:
        """`attention.Encoder(64)`"""
        scope = self.frame.scope.modules.get(module.id)
        if scope is None:
            if self.frame.scope.has_lost(module.id) or isinstance(self.names.get(module.id), Broken):
                return BROKEN
            near = nearest(module.id, self.frame.scope.modules)
            label = f"did you mean `{near}`?" if near else ""
            return self.error("E0201", f"no file is imported as `{module.id}`", module.span, label)
        if name.id in scope.constructors:
            return self.construct_written(scope.constructors[name.id], node)
        return self.not_in(scope, name)

    def construct_written(self, found: Constructor, node: nodes.Call) -> Result:
        """What is not of Keras: a block or network, or a class that the file names with `extern`."""
        frame = self.frame
        key = frame.key(node.span)
        if frame.block is not None and key in frame.block.made:
            return frame.block.made[key]
        made = self.construct_extern(found, node) if isinstance(found, Extern) else construct_block(self, found, node)
        if frame.block is not None and not isinstance(made, Broken):
            frame.block.made[key] = made
        return made

    def construct_extern(self, found: Extern, node: nodes.Call) -> LayerObject | Broken:
        bound = bind(self, found.name, found.arguments, [], node.arguments, node.span)
        if bound is None:
            return BROKEN
        # Defaults are the declaration's, whatever the class has: they go with the call.
        defaults = tuple(
            (each.name, constants.written(each.default))
            for each in found.arguments
            if not each.required and each.name not in bound.given
        )
        call = ex.Call(ex.External(found.path), bound.positional, (*bound.keywords, *defaults))
        return LayerObject(found, bound.values, bound.given, call, node.span)

    def constant_function(self, name: str, node: nodes.Call) -> Result:
        values = [self.evaluate(argument.value) for argument in node.arguments]
        if any(isinstance(value, Broken) for value in values):
            return BROKEN
        if not all(isinstance(value, Value) for value in values) or any(each.name for each in node.arguments):
            return self.error("E0304", f"`{name}` takes constants, by position", node.span)
        self.work(_items(values), node.span)
        try:
            value = constants.call(name, values)  # type: ignore[arg-type]
            self.work(_items([value]), node.span)
            return value if name == "range" else self.settled(value)
        except ConstantError as error:
            return self.error(error.code, str(error), node.span)

    def construct(self, name: nodes.Name, node: nodes.Call, wanted: str = "layer") -> Result:
        """`Dense(64)`, `HeNormal(seed=1)`. `Identity()` is a layer or an initializer, as the place wants it."""
        scope, frame = self.frame.scope, self.frame
        if name.id in scope.constructors:
            return self.construct_written(scope.constructors[name.id], node)
        if scope.has_lost(name.id):
            return BROKEN
        registries = (catalog.INITIALIZERS, catalog.REGULARIZERS, catalog.CONSTRAINTS)
        kind = next((registry[name.id] for registry in registries if name.id in registry), None)
        if name.id in catalog.LAYERS and not (kind and kind.kind in wanted):
            row = catalog.LAYERS[name.id]
            key = frame.key(node.span)
            if frame.block is not None and key in frame.block.made:
                return frame.block.made[key]
            if self.is_later(row, "E0301", f"there is no layer `{name.id}`", name.span):
                return BROKEN
            bound = bind(self, row.name, row.arguments, [], node.arguments, node.span)
            if bound is None:
                return BROKEN
            call = ex.Call(ex.Symbol(f"layers.{row.name}"), bound.positional, bound.keywords)
            made = LayerObject(row, bound.values, bound.given, call, node.span)
            if frame.block is not None:
                frame.block.made[key] = made
            return made
        if kind is not None:
            bound = bind(self, kind.name, kind.arguments, [], node.arguments, node.span)
            if bound is None:
                return BROKEN
            call = ex.Call(ex.Symbol(f"{kind.kind}s.{kind.name}"), bound.positional, bound.keywords)
            return ConstructedObject(Constructed(kind.kind, kind.name, bound.values), call)
        if name.id in catalog.REFUSED:
            message = f"a file cannot have the layer `{name.id}` of Keras"
            return self.error("E0311", message, name.span, hint=catalog.REFUSED[name.id])
        fitting = [registry for registry in registries if next(iter(registry.values())).kind in wanted]
        known = [each for registry in fitting or registries for each in registry]
        if not fitting or "layer" in wanted:
            known = [*scope.constructors, *catalog.LAYERS, *known]
        near = nearest(name.id, known)
        fix = respelled(name.span, near, known)
        if fix and near in scope.constructors:
            fix = fix.replace(safe=False)
        return self.error(
            "E0301",
            f"there is no {next(iter(fitting[0].values())).kind if fitting else 'layer'} `{name.id}`",
            name.span,
            f"did you mean `{near}`?" if near else "",
            fix=fix,
        )

    def is_later(self, row: catalog.Layer | catalog.Function, code: str, message: str, span: Span) -> bool:
        """Whether the installed Keras does not have it yet, which is reported."""
        old = too_old(row.since)
        if old:
            self.error(code, f"{message} in Keras {old}, which is installed", span, f"it came with Keras {row.since}")
        return old is not None

    def function(
        self,
        row: catalog.Function,
        first: Sequence[tuple[Result, nodes.Expression]],
        arguments: Sequence[nodes.Argument],
        node: nodes.Expression,
    ) -> Result:
        place = node.function.span if isinstance(node, nodes.Call) else node.span
        if self.is_later(row, "E0201", f"there is no function `{row.name}`", place):
            return BROKEN
        bound = bind(self, row.name, row.arguments, first, arguments, node.span)
        if bound is None:
            return BROKEN
        by_itself = any(each.name == "axis" and each.default == 0 for each in row.arguments)
        if by_itself and "axis" not in bound.given and not row.is_constant:
            return self.along_the_batch(row.name, node)
        try:
            spec = row.infer(bound.values)
        except CatalogError as error:
            return self.refused(error, bound, row.name, node.span)
        if row.is_constant:
            return self.constant(row, bound, spec, node.span)
        self.operations.setdefault(row.keras, (node.span, f"the result of `{row.name}`"))
        expression = ex.Call(ex.Symbol(row.keras), bound.positional, bound.keywords)
        return self.made(spec, expression, node.span)

    def constant(
        self, row: catalog.Function, bound: Bound, spec: TensorSpec | tuple[TensorSpec, ...], span: Span
    ) -> Result:
        """`Constant("arange", {"start": 0, "stop": 16})(tokens)`, in the graph by the first input of the body."""
        inputs = self.frame.given if self.frame.block is not None else self.inputs
        if not inputs:
            message = f"`{row.name}` stands in no graph yet: what a model computes hangs on its inputs"
            return self.error("E0205", message, span, hint="declare an input above")
        self.operations.setdefault("Constant", (span, f"the result of `{row.name}`"))
        given = [argument.name for argument in row.arguments if argument.name in bound.given]
        arguments = ex.Mapped(tuple((name, bound.given[name][0]) for name in given))
        made = ex.Call(ex.Symbol("Constant"), (ex.Constant(row.name), arguments))
        beside = (
            self.frame.given[next(iter(inputs))][0].expression if self.frame.block else ex.Variable(next(iter(inputs)))
        )
        return self.made(spec, ex.Call(made, (beside,)), span)

    def along_the_batch(self, name: str, node: nodes.Expression) -> Broken:
        """Report `concat` and the like without an axis: what Keras takes then is the batch, which nobody means."""
        given = node.span.text[:-1].rstrip().rstrip(",") if isinstance(node, nodes.Call) else f"{name}("
        return self.error(
            "E0303",
            f"`{name}` needs the argument `axis`",
            node.span,
            "without it Keras takes axis 0, the batch",
            fix=None if "#" in given else Fix(node.span, f"{given}{'' if given.endswith('(') else ', '}axis=-1)"),
        )

    def apply(
        self,
        layer: LayerObject | BlockObject,
        first: Sequence[tuple[Result, nodes.Expression]],
        arguments: Sequence[nodes.Argument],
        node: nodes.Expression,
    ) -> Result:
        if isinstance(layer, BlockObject):
            return apply_block(self, layer, first, arguments, node)
        bound = bind(self, layer.name or layer.row.name, layer.row.call, first, arguments, node.span)
        if bound is None:
            return BROKEN
        try:
            inferred = layer.row.infer(layer.arguments, bound.values)
        except CatalogError as error:
            return self.refused(error, bound, layer.name or layer.row.name, node.span, layer)
        has_weights = bool(inferred.weights) or layer.row.foreign_in(layer.arguments) is not None
        if layer.name is None and self.frame.is_shared and has_weights:
            # The block may be applied again, and must then find the layer.
            self.give_name(layer)
            self.steps.append(layer)
            self.recorder.made(self.frame, layer)
        shapes = shapes_of(bound.values.values()), shapes_of([inferred.output])
        if layer.first_use is None:
            layer.first_use = (node.span, inferred.weights, *shapes)
            if layer.name is None:
                self.unnamed.append(layer)
                self.operations.setdefault(_class(layer.expression), (node.span, f"an unnamed `{layer.row.name}`"))
        elif (changed := _changed(layer.first_use[1], inferred.weights)) is not None:
            before, after = changed
            came = [label for each in bound.tensors for label in self.chains.labels(*each)]
            return self.error(
                "E0402",
                f"`{layer.name}` does not fit here: its `{before.name}` would be {by(after.shape)}",
                node.span,
                f"on {shapes[0]}",
                labels=(
                    Label(layer.first_use[0], f"it is {by(before.shape)} since this, on {layer.first_use[2]}"),
                    *(label for label in came if ", from " in label.text),
                ),
            )
        expression = ex.Call(self.recorder.called(layer), bound.positional, bound.keywords)
        if inferred.nested:
            expression = ex.Call(ex.Symbol("keras.tree.flatten"), (expression,))
        return self.made(inferred.output, expression, node.span)

    def apply_body(
        self, block: BlockObject, inputs: Sequence[nodes.Input], given: Sequence[tuple[Tensor, Span]], node: nodes.Node
    ) -> Result:
        """Carry out the statements of a block on tensors, and give what comes out."""
        self.is_nested = True
        recorder, was_named = self.recorder, block.name is not None
        if not was_named:
            self.give_name(block)
        frame = frame_of(block, was_named or self.frame.is_shared, node)
        if not was_named and frame.is_shared:
            recorder.made(self.frame, block, self.parameters_of(block))
        for statement, (tensor, place) in zip(inputs, given, strict=True):
            # Under a name of its own, so that what computes it is there once however often the block uses it.
            name = statement.name.id
            held = self.written(tensor, lambda name=f"{frame.path}_{name}": self.unique(name), node.span)  # type: ignore[misc]
            frame.given[name] = (given_inside(held, name), place)
        call = None if frame.is_shared else recorder.construction(block, self.parameters_of(block))
        with recorder.applying(frame) as applied:
            result = come_out(self, block, frame, node)
        if isinstance(result, Broken):
            return result
        recorder.applied(frame, applied, inputs, self.parameters_of(block), node)
        arguments = tuple(ex.inside(tensor.expression) for tensor, _ in given)
        if call is None:
            assert block.variable is not None
            call = ex.Call(block.variable, arguments)
        else:
            call = call.replace(arguments=(*arguments, *call.arguments))
        tensors = [(name, known_outside(each.spec), ex.outside(each.expression)) for name, each in frame.outputs]
        if len(tensors) == 1:
            ((_, spec, expression),) = tensors
            return Tensor(spec, ex.seen(call, expression))
        # The tensors need names, which those of a statement may stand in for.
        variables: list[str] = []
        for name, _, _ in tensors:
            variables.append(recorder.local(self.frame, name))
            self.frame.variables.add(variables[-1])
        recorder.assign(tuple(variables), call, node.span)
        seen = [
            Tensor(spec, ex.seen(ex.Variable(variable), expression))
            for variable, (_, spec, expression) in zip(variables, tensors, strict=True)
        ]
        return Group(tuple(seen), tuple(name for name, _, _ in tensors), block.kind)

    def parameters_of(self, made: LayerObject | BlockObject) -> Sequence[graph.Parameter]:
        """The parameters of a block's function, with those defaults that are the same in each use."""
        if isinstance(made, LayerObject):
            return ()
        definition = made.written.node
        if definition not in self.functions:
            self.functions[definition] = parameters_of(self, made.written)
        return self.functions[definition]

    def refused(
        self, error: CatalogError, bound: Bound, name: str, span: Span, layer: LayerObject | None = None
    ) -> Broken:
        """Report what the catalogue says that Keras would refuse, at the argument that is to blame."""
        labels = [label for each in bound.tensors for label in self.chains.labels(*each)]
        for given in (bound.given, layer.given if layer else {}):
            if error.argument and error.argument in given:
                where = given[error.argument][1]
                labels = [label for label in labels if label.span != where]
                return self.error("E0304", error.message, where, labels=tuple(labels))
        if layer and layer.name:
            labels.append(Label(layer.span, f"`{name}` is constructed here"))
        return self.error("E0401", error.message, span, labels=tuple(labels))

    # At the end

    def check_keras_names(self) -> None:
        """Keras names operations and unnamed layers itself, and refuses a model with one name twice."""
        by_prefix: dict[str, list[tuple[Span, str]]] = {}
        for operation, where in self.operations.items():
            by_prefix.setdefault(keras_name(operation), []).append(where)
        for step in self.steps:
            if isinstance(step, graph.Binding) or step.name is None:
                continue
            # Keras numbers what has a name already: `dense`, `dense_1`.
            for prefix in dict.fromkeys((step.name, _NUMBER.sub("", step.name))):
                for span, what in by_prefix.get(prefix, ()):
                    self.error(
                        "E0207",
                        f"`{step.name}` is also the name that Keras gives to {what}",
                        self.frame.declared.get(step.name, step.span),
                        "a model cannot have both",
                        labels=(Label(span, f"Keras names this `{prefix}` itself"),),
                        hint="choose another name",
                    )

    def needed(self, ties: Sequence[Tie]) -> tuple[graph.Step, ...]:
        """The steps that lead to an output; a warning for each layer, weight and input that does not."""
        wanted = {output.variable for output in self.outputs}
        kept: list[graph.Step] = []
        # What is not in order may be what would have used them.
        unused = self.unused if not self.lost and not has_errors(self.problems) else lambda span, message: None
        for step in reversed(self.steps):
            if isinstance(step, graph.FreeWeight):
                kept.append(step)
            elif isinstance(step, graph.Binding):
                if wanted.isdisjoint(step.names):
                    unused(step.span, f"`{', '.join(step.names)}` is on no path to an output")
                    continue
                wanted -= set(step.names)
                wanted |= set(ex.variables(step.expression))
                kept.append(step)
            elif step.name in wanted:
                kept.append(frozen(step) if isinstance(step, LayerObject) else step)
            else:
                unused(step.span, f"`{step.name}` is on no path to an output")
                if isinstance(step, graph.Input):
                    kept.append(step)
        # A free weight is needed for those that are tied to it, and for those that these are tied to.
        reached = {step.name for step in kept if isinstance(step, graph.Layer)}
        free = {step.name for step in kept if isinstance(step, graph.FreeWeight)}
        pairs = [(tie.weight.layer, tie.reference.layer) for tie in ties]
        while more := {b for pair in pairs for a, b in (pair, pair[::-1]) if a in reached} & (free - reached):
            reached |= more
        for one in kept:
            if isinstance(one, graph.FreeWeight) and one.name not in reached:
                unused(one.span, f"`{one.name}` is tied to no weight that an output needs")
        return tuple(step for step in reversed(kept) if not isinstance(step, graph.FreeWeight) or step.name in reached)

    def unused(self, span: Span, message: str) -> None:
        # What a block leaves unused may be used where it is applied with other parameters.
        inside = (
            self.network.span.start <= span.start < self.network.span.end and span.source is self.network.span.source
        )
        if inside:
            self.problems.append(Diagnostic("W0201", message, span))


def _no_tensor(value: Result) -> str:
    """The code for something that stands where a tensor is needed."""
    return "E0206" if isinstance(value, (LayerObject, BlockObject)) else "E0205"


def _constructs(function: nodes.Name | nodes.Attribute) -> bool:
    """Whether a call of it constructs something: `Dense`, or `attention.Encoder` of a file."""
    name = function.name if isinstance(function, nodes.Attribute) else function
    return name.id[0].isupper()


def _class(constructed: ex.Expression) -> str:
    """The path of the class that a layer is constructed from."""
    match constructed:
        case ex.Call(ex.Symbol(path) | ex.External(path)):
            return path
    raise TypeError(f"{constructed!r} constructs nothing")


def _is_annotated(statement: nodes.Layer | nodes.Weight) -> bool:
    return bool(statement.annotations) or isinstance(statement, nodes.Weight) or bool(statement.weights)


def _changed(
    before: Sequence[catalog.Weight], after: Sequence[catalog.Weight]
) -> tuple[catalog.Weight, catalog.Weight] | None:
    return next((pair for pair in zip(before, after, strict=True) if pair[0].shape != pair[1].shape), None)


def _items(values: Iterable[Result]) -> int:
    """How many items lists have together."""
    return sum(len(each.value) for each in values if isinstance(each, Value) and isinstance(each.value, list))


def _value_of(given: Any) -> Any:
    """A parameter's value from Python: lists hold Values, as those of the language do."""
    if hasattr(given, "tolist"):  # NumPy's scalars and arrays
        given = given.tolist()
    if isinstance(given, (list, tuple)):
        return [Value(_value_of(each), ex.Constant(None)) for each in given]
    return given
