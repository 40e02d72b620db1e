"""The statements of a network as the file has them: its blocks, loops and conditions kept, its names those of the file.

The network itself has a layer for each pass of each loop, and each use of each block. While it is elaborated, a
`Recorder` writes down the same once more as the file says it: what depends on the parameter of a block, or on the
variable of a loop, in terms of these (see `expressions.Seen`), so that the passes of a loop come out alike. The plan
finds out whether they do, and makes loops and functions of them.

Not everything can be written in such a way; the plan then is the network as it was carried out.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeAlias

from wdsl.annotations.equations import Equation, Tie
from wdsl.catalog import TensorSpec
from wdsl.catalog.names import keras_name
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.core.sizes import Dim, expression_of, size_outside
from wdsl.link.constants import Value
from wdsl.network import graph
from wdsl.network.names import names_in
from wdsl.network.objects import BlockObject, Frame, LayerObject, Tensor
from wdsl.network.reading import equation_read, frozen, input_inside, layer_inside, tie_read, weight_inside
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic
from wdsl.text.source import Span


class Applied(Record):
    """A layer where it is called: its name in the whole network, and what holds it in the function."""

    layer: str
    variable: ex.Expression


class Make(Record):
    """A layer or block that gets a variable. The network calls it `name`, and that is what `label` gives here."""

    variable: ex.Expression
    name: str
    label: ex.Expression
    construct: ex.Expression
    span: Span
    doc: str = ""


class Assign(Record):
    targets: tuple[ex.Expression, ...]
    value: ex.Expression
    span: Span


class Loop(Record):
    """`for variables in values`, with what each pass came to. `counter` is the number of a pass, if that is needed."""

    variables: tuple[str, ...]
    counter: str | None
    values: ex.Expression
    found: tuple[Any, ...]
    passes: tuple[tuple[Statement, ...], ...]
    text: str
    span: Span


class Choice(Record):
    """`if … else if … else`. A branch that was not taken and could not be tried is None. The last has no condition."""

    tests: tuple[ex.Expression, ...]
    branches: tuple[tuple[Statement, ...] | None, ...]
    text: str
    span: Span


class Guard(Record):
    """What follows is so only if the expression has the value. `reason` is why, if the file could say it otherwise."""

    expression: ex.Expression
    value: Any
    text: str
    span: Span
    reason: str = ""


Statement: TypeAlias = graph.Input | Make | Assign | Loop | Choice | Guard


class Instance(Record):
    """One construction of a block, as a function: `made` when it is constructed, `body` when it is applied.

    `made` is None for one that is applied once, where it is constructed.
    """

    key: str
    node: nodes.Block | nodes.Network
    inputs: tuple[str, ...]
    parameters: tuple[graph.Parameter, ...]
    made: tuple[Statement, ...] | None
    body: tuple[Statement, ...]
    results: tuple[ex.Expression, ...]


class Outline(Record):
    """The statements of a network, and the blocks that they construct, those that others construct first.

    `equations` and `ties` are those of the network, in terms of the parameters of the block that they are in.
    """

    body: tuple[Statement, ...]
    instances: tuple[Instance, ...]
    made: Mapping[str, LayerObject]
    free: Mapping[str, graph.FreeWeight]
    equations: tuple[Equation, ...]
    ties: tuple[Tie, ...]

    def layer(self, name: str) -> graph.Layer | graph.FreeWeight | None:
        """A layer, or weight of none, in terms of its block. There the sizes of tensors are items of their shapes."""
        if name in self.free:
            return weight_inside(self.free[name])
        made = self.made.get(name)
        return None if made is None else layer_inside(frozen(made))


def not_kept(message: str, span: Span, reason: str) -> Diagnostic:
    """What is said of something that the written module does not keep, at the line in which it begins."""
    line = span.source.text.find("\n", span.start, span.end)
    end = span.end if line < 0 else len(span.source.text[:line].rstrip(" {"))
    return Diagnostic("W0701", message, Span(span.source, span.start, max(end, span.start + 1)), reason)


AT_ONCE = "its block is applied many times, and this depends on the input's size"
"""Why something cannot be made where a block is constructed."""


class Recorder:
    """Writes down what a network is made of, statement by statement, as the file has it.

    `failure` is why that cannot be done, and where, as soon as something cannot.
    """

    def __init__(self) -> None:
        # The values of the network's parameters, which the names of layers may come from.
        self.parameters: Mapping[str, Any] = {}
        self.failure: tuple[str, Span] | None = None
        self.body: list[Statement] = []
        # What the block that is being carried out constructs when it is itself constructed, if it may be applied again.
        self.constructed: list[Statement] | None = None
        self.instances: list[Instance] = []
        self.instance_of: MutableMapping[str, Instance] = {}
        self.layers: dict[str, LayerObject] = {}
        self.weights: dict[str, graph.FreeWeight] = {}
        self.keys = count(1)
        # The variables of what is constructed in the wiring of a block, by the place.
        self.sites: dict[tuple[str, str, int], str] = {}
        # The variable that a statement will assign to, and the stages of a chain that may use it on the way there.
        self.target: str | None = None
        self.stages: Sequence[nodes.Expression] = ()

    def fail(self, reason: str, span: Span) -> None:
        """Say that there is no way here to write the network down as functions and loops."""
        self.failure = self.failure or (reason, span)

    def beside(self) -> Recorder:
        """One for a branch that is not taken. What is known of blocks and variables is known there too."""
        other = Recorder()
        other.parameters = self.parameters
        other.constructed = None if self.constructed is None else []
        other.instance_of = ChainMap({}, self.instance_of)
        other.keys, other.sites = self.keys, self.sites
        other.target, other.stages = self.target, self.stages
        return other

    def take(self, other: Recorder) -> None:
        """Add the blocks and layers of a branch that was not taken to those that there are."""
        self.instances += other.instances
        self.instance_of.update((each.key, each) for each in other.instances)
        self.layers.update(other.layers)
        self.weights.update(other.weights)

    def outline(
        self, network: nodes.Network, equations: Sequence[Equation], ties: Sequence[Tie]
    ) -> Outline | Diagnostic:
        """What was written down, or why a part of it cannot be."""
        if self.failure is not None:
            reason, place = self.failure
            return not_kept(f"the loops and blocks of `{network.name.id}` are written out", place, reason)
        return Outline(
            tuple(self.body),
            tuple(self.instances),
            self.layers,
            self.weights,
            tuple(equation_read(each, ex.inside) for each in equations),
            tuple(tie_read(each, ex.inside) for each in ties),
        )

    # Names

    def label(self, frame: Frame, name: str, parts: Sequence[str | ex.Expression], span: Span) -> ex.Expression:
        """What gives the name of something in the function that constructs it."""
        joined: list[str | ex.Expression] = [ex.Seen(ex.NAME, ex.Constant(frame.path)), "_"] if frame.path else []
        for number, part in enumerate(parts):
            joined += ["_", part] if number else [part]
        expression = ex.joined(joined)
        if ex.evaluate(expression, self.parameters, str) != name:
            self.fail(f"what this makes is called `{name}` for this network alone", span)
        return ex.inside(expression)

    def local(self, frame: Frame, name: str, taken: frozenset[str] = frozenset()) -> str:
        """A variable for something in a body that the file gives no name to."""
        words = self.words(frame) | taken
        variable, number = name, 2
        while variable in words:
            variable, number = f"{name}_{number}", number + 1
        return variable

    def variable_for(self, frame: Frame, name: str) -> str:
        """The variable for a tensor of a block: its name, unless what that holds comes out in the end."""
        held = {each for _, tensor in frame.outputs for each in ex.variables(ex.inside(tensor.expression))}
        if name not in held:
            return name
        words, number = self.words(frame), 2
        while f"{name}_{number}" in held or f"{name}_{number}" in words:
            number += 1
        return f"{name}_{number}"

    def words(self, frame: Frame) -> set[str]:
        """The names that a body has, and may get."""
        declared = {each.id for each in names_in(frame.body)}
        loops = {name.id for each in frame.passes for name in each.names}
        return {*frame.names, *frame.variables, *declared, *loops, *frame.given}

    # What is made

    def assign(self, names: tuple[str, ...], value: ex.Expression, span: Span) -> None:
        """`names = value`, unless that is what it holds already."""
        value = ex.inside(value)
        if len(names) > 1 or value != ex.Variable(names[0]):
            self.assign_to(tuple(map(ex.Variable, names)), value, span)

    def assign_to(self, targets: tuple[ex.Expression, ...], value: ex.Expression, span: Span) -> None:
        """The same, where members of families may be among what is assigned to."""
        self.body.append(Assign(tuple(map(ex.inside, targets)), ex.inside(value), span))

    def constant(self, frame: Frame, names: tuple[str, ...], value: ex.Expression, span: Span) -> None:
        """Constants of the body. Where the block is constructed they are needed as well, if they can be known there."""
        self.assign(names, value, span)
        inside = ex.inside(value)
        if self.constructed is not None and _is_known(frame, inside):
            self.constructed.append(Assign(tuple(map(ex.Variable, names)), inside, span))

    def input(self, frame: Frame, step: graph.Input, indices: Sequence[Value]) -> None:
        """Write down an input of a network, or one of a family of them."""
        if indices:
            given = [each.expression for each in indices]
            label = self.label(frame, step.name, [step.family, *given], step.span)
            step = input_inside(step).replace(variable=item_of(step.family, given), label=label)
        self.body.append(step)

    def guard(self, test: Value, text: str, span: Span, reason: str) -> None:
        self.body.append(Guard(ex.inside(test.expression), bool(test.value), text, span, reason))

    def made(
        self,
        frame: Frame,
        made: LayerObject | BlockObject,
        parameters: Sequence[graph.Parameter] = (),
        indices: Sequence[Value] = (),
        statement: nodes.Layer | None = None,
    ) -> None:
        """Write down what gets a variable: that of the statement, or one for its place in the wiring."""
        assert made.name is not None
        if statement is None:
            name = self.site(frame, made)
            frame.variables.add(name)
            made.variable = item_of(name, frame.counters())
        else:
            name, given = statement.name.id, [each.expression for each in indices]
            made.label = self.label(frame, made.name, [name, *given], statement.span)
            made.variable = item_of(name, given)
        if isinstance(made, BlockObject):
            construct: ex.Expression = self.construction(made, parameters)
        else:
            construct = ex.inside(made.expression)
            self.layers[made.name] = made
        body = self.body
        if frame.is_shared:
            # It is made when the block is constructed, where there are no tensors yet, nor their sizes.
            if self.constructed is None or not _is_known(frame, construct):
                return self.fail(AT_ONCE, made.span)
            body = self.constructed
        doc = statement.doc if statement else ""
        assert made.label is not None
        body.append(Make(made.variable, made.name, made.label, construct, made.span, doc))
        return None

    def weight(self, frame: Frame, step: graph.FreeWeight) -> None:
        """Write down a weight of no layer in a block: the plan puts it before all else in there."""
        label = self.label(frame, step.name, [step.declared], step.span)
        self.weights[step.name] = step
        if frame.is_shared and self.constructed is None:
            return self.fail(AT_ONCE, step.span)
        body = self.constructed if frame.is_shared and self.constructed is not None else self.body
        body.append(Make(ex.Variable(step.declared), step.name, label, ex.HOLE, step.span, step.doc))
        return None

    def site(self, frame: Frame, made: LayerObject | BlockObject) -> str:
        """The variable of what stands in the wiring.

        They are numbered as they stand in the file, whichever branch of a condition is looked at first.
        """
        block = frame.block.key if frame.block else ""
        place = (block, made.span.source.name, made.span.start)
        if place not in self.sites:
            others = frozenset(name for (key, *_), name in self.sites.items() if key == block)
            words = keras_name(made.kind)
            position, _ = frame.site(words, made.span)
            self.sites[place] = self.local(frame, f"{words}_{position}" if position > 1 else words, others)
        return self.sites[place]

    def called(self, layer: LayerObject) -> ex.Expression:
        """What is called to apply a layer."""
        if layer.name is None:
            return layer.expression
        assert layer.variable is not None
        held: Any = Applied(layer.name, layer.variable)
        return ex.Seen(held, ex.Variable(layer.name))

    # Blocks

    def construction(self, block: BlockObject, parameters: Sequence[graph.Parameter]) -> ex.Call:
        """`Residual(64, stride=2)`, for the function that the block will be."""
        block.key = f"{block.written.node.name.id} {next(self.keys)}"
        positional: list[ex.Expression] = []
        keywords: list[tuple[str, ex.Expression]] = []
        by_name = False
        for each in parameters:
            name, default = each.name, each.default
            by_name = by_name or (default is None and bool(keywords))
            if name not in block.given and default is not None:
                by_name = True
            elif by_name or name not in block.given or block.given[name]:
                by_name = True
                keywords.append((name, ex.inside(block.values[name].expression)))
            else:
                positional.append(ex.inside(block.values[name].expression))
        if block.label is not None:
            keywords.append((ex.NAME.name, block.label))
        return ex.Call(ex.Local(block.key), tuple(positional), tuple(keywords))

    @contextmanager
    def applying(self, frame: Frame) -> Iterator[Application]:
        """What the body of a block does, and what it constructs when the block is."""
        outside = self.body, self.constructed, self.target, self.stages
        applied = Application([], [] if frame.is_shared else None)
        self.body, self.constructed, self.target, self.stages = applied.body, applied.made, None, ()
        try:
            yield applied
        finally:
            self.body, self.constructed, self.target, self.stages = outside

    def applied(
        self,
        frame: Frame,
        applied: Application,
        inputs: Sequence[nodes.Input],
        parameters: Sequence[graph.Parameter],
        node: nodes.Node,
    ) -> None:
        """Write down the function of a block that was carried out."""
        block = frame.block
        assert block is not None
        before = self.instance_of.get(block.key)
        made = None if applied.made is None else tuple(applied.made)
        instance = Instance(
            block.key,
            block.written.node,
            tuple(each.name.id for each in inputs),
            tuple(parameters),
            # Applied again, it finds what it has made.
            before.made if before else made,
            tuple(applied.body),
            tuple(ex.inside(tensor.expression) for _, tensor in frame.outputs),
        )
        if before is None:
            self.instance_of[block.key] = instance
            self.instances.append(instance)
        elif before != instance:
            self.fail("this use of the block differs from the first one", node.span)

    # Loops and conditions

    @contextmanager
    def recording(self) -> Iterator[list[Statement]]:
        """Statements, apart from those before."""
        before, self.body = self.body, []
        try:
            yield self.body
        finally:
            self.body = before

    @contextmanager
    def constructing(self) -> Iterator[list[Statement]]:
        """What the block constructs when it is constructed, apart from what was before."""
        before = self.constructed
        found: list[Statement] = []
        self.constructed = None if before is None else found
        try:
            yield found
        finally:
            self.constructed = before

    def loop(self, frame: Frame, loop: Loop, made: Sequence[Sequence[Statement]]) -> None:
        """Add a loop, and one that constructs what its passes apply, if they apply anything of the block's own."""
        self.body.append(loop)
        if any(made):
            assert self.constructed is not None
            if not _is_known(frame, loop.values):
                return self.fail(AT_ONCE, loop.span)
            is_list = not isinstance(loop.values, ex.Call | ex.Sequence)
            if loop.counter is None and is_list:
                # What they make is known by these values.
                lengths = [ex.Call(ex.Symbol("len"), (each,)) for each in (_set(loop.values), loop.values)]
                self.constructed.append(Guard(ex.Operation("<", tuple(lengths)), False, loop.text, loop.span))
            self.constructed.append(loop.replace(passes=tuple(map(tuple, made))))
        return None

    def choice(
        self,
        frame: Frame,
        tests: Sequence[ex.Expression],
        branches: Sequence[tuple[Statement, ...] | None],
        made: Sequence[Sequence[Statement] | None],
        text: str,
        span: Span,
    ) -> None:
        """Add a condition with its branches, and what they construct."""
        self.body.append(Choice(tuple(tests), tuple(branches), text, span))
        self.construct_choice(frame, tests, made, text, span)

    def construct_choice(
        self,
        frame: Frame,
        tests: Sequence[ex.Expression],
        made: Sequence[Sequence[Statement] | None],
        text: str,
        span: Span,
    ) -> None:
        """Add what the branches of a condition construct: all of it, if what decides is not known there."""
        if not any(made):
            return
        assert self.constructed is not None
        if all(_is_known(frame, each) for each in tests):
            branches = tuple(None if each is None else tuple(each) for each in made)
            self.constructed.append(Choice(tuple(tests), branches, text, span))
            return
        variables = [each.variable for branch in made for each in branch or () if isinstance(each, Make)]
        if len(set(variables)) < len(variables):
            self.fail("its block is applied many times, and both branches have layers of one name", span)
        self.constructed += [each for branch in made for each in branch or ()]

    def counter(self, frame: Frame, names: Sequence[nodes.Name] = (), body: Sequence[nodes.Statement] = ()) -> str:
        """A variable for the number of a pass, which neither the loop itself has nor one in its body."""
        inside = (each for statement in body for each in nodes.walk(statement) if isinstance(each, nodes.For))
        taken = self.words(frame) | {name.id for each in inside for name in each.names} | {name.id for name in names}
        taken |= {each.counter.name for each in frame.passes if isinstance(each.counter, ex.Variable)}
        for name in ("i", "j", "k", "number"):
            if name not in taken:
                return name
        return self.local(frame, "number", frozenset(taken))

    @contextmanager
    def aiming(
        self, name: nodes.Name | None, variable_for: Callable[[str], str], value: nodes.Expression
    ) -> Iterator[None]:
        """Let the stacks of a chain use the variable that it will end in, if no other part of the chain means it."""
        if name is not None and isinstance(value, nodes.Chain):
            stages = value.stages[1:]
            mentioned = {part.id for each in stages for part in nodes.walk(each) if isinstance(part, nodes.Name)}
            if name.id not in mentioned:
                self.target, self.stages = variable_for(name.id), stages
        yield
        self.target, self.stages = None, ()


class Application:
    """What comes of carrying out the body of a block: its statements, and those of its construction."""

    def __init__(self, body: list[Statement], made: list[Statement] | None) -> None:
        self.body = body
        self.made = made


def given_inside(tensor: Tensor, held: ex.Expression) -> Tensor:
    """A tensor in the function that is given it, where something holds it: its sizes are what it shows there."""
    shape = ex.Attribute(held, "shape")
    sizes = (
        None
        if size is None
        else Dim(size, ex.Seen(ex.Subscript(shape, ex.Constant(axis)), expression_of(size_outside(size))))
        for axis, size in enumerate(tensor.spec.shape)
    )
    return Tensor(tensor.spec.replace(shape=tuple(sizes)), ex.seen(held, tensor.expression))


def known_outside(spec: TensorSpec) -> TensorSpec:
    """A tensor that comes out of a function: what its sizes are computed from is known in there alone."""
    sizes = (
        Dim(size, ex.Seen(ex.HOLE, expression_of(size_outside(size)))) if isinstance(size, Dim) else size
        for size in spec.shape
    )
    return spec.replace(shape=tuple(sizes))


def _is_known(frame: Frame, expression: ex.Expression) -> bool:
    """Whether an expression can be computed where a block is constructed: nothing in it is of a tensor."""
    return ex.variables(expression).isdisjoint(frame.given) and ex.HOLE not in ex.walk(expression)


def _set(values: ex.Expression) -> ex.Expression:
    return ex.Call(ex.Symbol("set"), (values,))


def item_of(name: str, indices: Sequence[ex.Expression]) -> ex.Expression:
    """`conv[i]`, or the variable itself if there is no index."""
    if not indices:
        return ex.Variable(name)
    inside = tuple(map(ex.inside, indices))
    return ex.Subscript(ex.Variable(name), inside[0] if len(inside) == 1 else ex.Sequence(inside))
