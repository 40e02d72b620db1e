"""The statements of a network as the file has them: its blocks, loops and conditions kept, its names those of the file.

`elaborate` carries a network out: what it gives has a layer for each pass of each loop, and each use of each block. The
same is done here once more for a network that is in order, with one difference. What depends on the parameter of a
block, or on the variable of a loop, is written in terms of these, so that the passes of a loop come out alike. The plan
finds out whether they do, and makes loops and functions of them.

Not everything can be written in such a way; the plan then is the network as it was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from wdsl.annotations.equations import Equation, Tie
from wdsl.annotations.reader import read_annotations
from wdsl.catalog import TensorSpec
from wdsl.catalog.names import keras_name
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.core.sizes import Dim
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.imports import Scope
from wdsl.network import graph
from wdsl.network.blocks import TooDeep, come_out, default_of, frame_of
from wdsl.network.elaborate import MAX_LAYERS, Elaborator, TooLarge, TooMany, frozen, names_in
from wdsl.network.objects import (
    BlockObject,
    Broken,
    FamilyObject,
    Group,
    LayerObject,
    Pass,
    Result,
    Tensor,
    UnknownSize,
    are_indices,
)
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, has_errors
from wdsl.text.source import Span

T = TypeVar("T")


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
    names: tuple[str, ...]
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

    `layers`, `equations` and `ties` are those of the network, in terms of the parameters of the block that they are in.
    There the sizes of tensors are items of their shapes.
    """

    body: tuple[Statement, ...]
    instances: tuple[Instance, ...]
    layers: Mapping[str, graph.Layer]
    equations: tuple[Equation, ...]
    ties: tuple[Tie, ...]


class _NotWritable(Exception):
    """There is no way here to write a network down as functions and loops. Raised with the reason and the place."""


FAILS = (_NotWritable, TooDeep, TooLarge, TooMany)
"""What ends the writing of a network that is in order, or of a branch of it that is not taken and need not be."""


def make_outline(
    network: nodes.Network, given: Mapping[str, Any], scope: Scope, max_layers: int | None = None
) -> Outline | Diagnostic:
    """The outline of a network that `elaborate` found to be in order, or why it has none."""
    writer = _Writer(network, scope, MAX_LAYERS if max_layers is None else max_layers)
    reason, place = "for parameters in general it is not in order", network.name.span
    try:
        found = writer.outline(given)
        if not has_errors(writer.problems):
            return found
    except _NotWritable as error:
        reason, place = error.args
    except TooDeep as error:
        reason, place = "blocks nest too deeply here", error.args[0]
    except (TooLarge, TooMany):
        reason = "it comes to too much"
    return not_kept(f"the loops and blocks of `{network.name.id}` are written out", place, reason)


def not_kept(message: str, span: Span, reason: str) -> Diagnostic:
    """What is said of something that the written module does not keep, at the line in which it begins."""
    line = span.source.text.find("\n", span.start, span.end)
    end = span.end if line < 0 else len(span.source.text[:line].rstrip(" {"))
    return Diagnostic("W0701", message, Span(span.source, span.start, max(end, span.start + 1)), reason)


class _Writer(Elaborator):
    def __init__(self, network: nodes.Network, scope: Scope, max_layers: int) -> None:
        super().__init__(network, scope, max_layers)
        self.body: list[Statement] = []
        # What the block that is being carried out constructs when it is itself constructed, if it may be applied again.
        self.constructed: list[Statement] | None = None
        self.instances: list[Instance] = []
        self.layers: dict[str, LayerObject] = {}
        self.keys: dict[BlockObject, str] = {}
        self.instance_of: dict[BlockObject, Instance] = {}
        # For the name of each layer and block in the network, what gives it in the function that constructs it.
        self.labels: dict[str, ex.Expression] = {}
        # The variables of what is constructed in the wiring of a block, by the place.
        self.sites: dict[tuple[BlockObject | None, str, int], str] = {}
        # The variable that a statement will assign to, if a loop may use it on the way there.
        self.target: str | None = None
        self.stages: Sequence[nodes.Expression] = ()

    def outline(self, given: Mapping[str, Any]) -> Outline:
        self.parameters(given)
        self.carry_out(self.network.body)
        annotated = [self.annotated_layer(*each) for each in self.annotated]
        equations, ties = read_annotations(annotated, self.problems)
        layers = {name: frozen(layer) for name, layer in self.layers.items()}
        return Outline(tuple(self.body), tuple(self.instances), layers, tuple(equations), tuple(ties))

    # Names

    def name_of(self, kind: str, span: Span) -> str:
        name = super().name_of(kind, span)
        frame, words = self.frame, keras_name(kind)
        sites = frame.sites(words)
        position = sites.index(span.start) + 1 if span.start in sites else 1
        number = [str(position)] if position > 1 or (frame.passes and len(sites) > 1) else []
        self.label(name, [words, *number, *(each.counter for each in frame.passes if each.counter)], span)
        return name

    def label(self, name: str, parts: Sequence[str | ex.Expression], span: Span) -> None:
        """Remember what gives the name of something in the function that constructs it."""
        joined: list[str | ex.Expression] = [ex.NAME, "_"] if self.frame.path else []
        for number, part in enumerate(parts):
            joined += ["_", part] if number else [part]
        passes = self.frame.passes
        values = {name.id: value.value for each in passes for name, value in zip(each.names, each.values, strict=True)}
        values |= {each.counter.name: each.index for each in self.frame.passes if isinstance(each.counter, ex.Variable)}
        expression = ex.joined(joined)
        if ex.evaluate(expression, {ex.NAME.name: self.frame.path, **values}, str) != name:
            raise _NotWritable(f"what this makes is called `{name}` for this network alone", span)
        self.labels[name] = expression

    def variable_for(self, name: str) -> str:
        frame = self.frame
        if not frame.path:
            return super().variable_for(name)
        held = {variable for _, tensor in frame.outputs for variable in ex.variables(tensor.expression)}
        return self.local(name, lambda candidate: candidate in held)

    def local(self, name: str, is_taken: Callable[[str], bool]) -> str:
        variable, number = name, 2
        while is_taken(variable) or (variable != name and variable in self.words()):
            variable, number = f"{name}_{number}", number + 1
        return variable

    def words(self) -> set[str]:
        """The names that this body has, and may get."""
        declared = {each.id for each in names_in(self.frame.body)}
        loops = {name.id for each in self.frame.passes for name in each.names}
        return {*self.frame.names, *declared, *loops, *self.frame.given}

    def size_object(self, size: int | None, tensor: str, axis: int) -> Result:
        if size is None:
            return UnknownSize()
        return Value(size, ex.Subscript(ex.Attribute(ex.Variable(tensor), "shape"), ex.Constant(axis)))

    # What is made

    def add(self, step: graph.Input | graph.FreeWeight | graph.Binding) -> None:
        match step:
            case graph.Input():
                self.body.append(step)
            case graph.Binding(names, expression) if expression != ex.Variable(names[0]):
                self.body.append(Assign(names, expression, step.span))
            case graph.FreeWeight() if self.frame.block is not None:
                raise _NotWritable("this weight is made anew for each use of its block", step.span)

    def add_made(self, made: LayerObject | BlockObject, statement: nodes.Layer | None) -> None:
        assert made.name is not None
        variable: ex.Expression
        if statement is None:
            site = (self.frame.block, made.span.source.name, made.span.start)
            if site not in self.sites:
                # Numbered as they stand in the file, whichever branch of a condition was looked at first.
                words = self.words_of(made)
                sites = self.frame.sites(words)
                position = sites.index(made.span.start) + 1 if made.span.start in sites else 1
                wanted = f"{words}_{position}" if position > 1 else words
                others = {name for (block, *_), name in self.sites.items() if block is self.frame.block}
                self.sites[site] = self.local(wanted, {*self.words(), *others}.__contains__)
            name = self.sites[site]
            self.frame.names[name] = made
            variable = ex.Variable(name)
            if counters := [each.counter for each in self.frame.passes if each.counter]:
                variable = ex.Subscript(variable, _index(counters))
        else:
            name, indices = statement.name.id, [self.evaluate(each) for each in statement.indices]
            values = [each for each in indices if isinstance(each, Value)]
            self.label(made.name, [name, *(each.expression for each in values)], statement.span)
            variable = ex.Variable(name)
            if values:
                variable = ex.Subscript(variable, _index([each.expression for each in values]))
        made.variable = variable
        if isinstance(made, BlockObject):
            construct: ex.Expression = self.construction(made)
        else:
            construct = made.expression
            self.layers[made.name] = made
        body = self.body
        if self.frame.is_shared:
            # It is made when the block is constructed, where there are no tensors yet, nor their sizes.
            if self.constructed is None or not self.is_known(construct):
                raise _NotWritable("its block is applied many times, and this depends on the input's size", made.span)
            body = self.constructed
        doc = statement.doc if statement else ""
        body.append(Make(variable, made.name, self.labels[made.name], construct, made.span, doc))

    def is_known(self, expression: ex.Expression) -> bool:
        """Whether an expression can be computed where a block is constructed: nothing in it is of a tensor."""
        return ex.variables(expression).isdisjoint(self.frame.given) and ex.HOLE not in ex.walk(expression)

    def words_of(self, made: LayerObject | BlockObject) -> str:
        return keras_name(made.row.name if isinstance(made, LayerObject) else made.written.node.name.id)

    def called(self, layer: LayerObject) -> ex.Expression:
        if layer.name is None:
            return layer.expression
        assert layer.variable is not None
        return Applied(layer.name, layer.variable)  # type: ignore[return-value]

    # Blocks

    def construction(self, block: BlockObject) -> ex.Call:
        """`Residual(64, stride=2)`, for the function that the block will be."""
        self.keys[block] = f"{block.written.node.name.id} {len(self.keys) + 1}"
        positional: list[ex.Expression] = []
        keywords: list[tuple[str, ex.Expression]] = []
        by_name = False
        for name, default in [(each.name, each.default) for each in self.parameters_of(block)]:
            by_name = by_name or (default is None and bool(keywords))
            if name not in block.given and default is not None:
                by_name = True
            elif by_name or name not in block.given or block.given[name]:
                by_name = True
                keywords.append((name, block.values[name].expression))
            else:
                positional.append(block.values[name].expression)
        if block.name:
            keywords.append((ex.NAME.name, self.labels[block.name]))
        return ex.Call(ex.Local(self.keys[block]), tuple(positional), tuple(keywords))

    def parameters_of(self, block: BlockObject) -> list[graph.Parameter]:
        """A block's parameters with their types, and those defaults that are the same in each use."""
        found: list[graph.Parameter] = []
        names = {each.name.id for each in block.written.node.parameters}
        for each in block.written.node.parameters:
            default = None
            if each.default is not None and not any(
                isinstance(part, nodes.Name) and part.id in names for part in nodes.walk(each.default)
            ):
                value = default_of(self, block.written, {}, each.default)
                default = constants.folded(value).expression if isinstance(value, Value) else None
            type_ = each.type.id if each.type else None
            found.append(graph.Parameter(each.name.id, type_, default, None, each.doc, each.span))
        return found

    def apply_body(
        self, block: BlockObject, inputs: Sequence[nodes.Input], given: Sequence[tuple[Tensor, Span]], node: nodes.Node
    ) -> Result:
        was_named = block.name is not None
        frame = frame_of(self, block, node)
        if not was_named and frame.is_shared:
            self.add_made(block, None)
        for name, value in block.values.items():
            frame.names[name] = Value(value.value, ex.Variable(name))
        for statement, (tensor, place) in zip(inputs, given, strict=True):
            name = statement.name.id
            frame.given[name] = (Tensor(_seen_inside(tensor.spec, name), ex.Variable(name)), place)
        call = None if frame.is_shared else self.construction(block)
        outside, target, stages = self.constructed, self.target, self.stages
        self.constructed, self.target, self.stages = [] if frame.is_shared else None, None, ()
        with self.recording() as body:
            result = come_out(self, block, frame, node)
        made, self.constructed, self.target, self.stages = self.constructed, outside, target, stages
        if isinstance(result, Broken):
            return result
        results = tuple(tensor.expression for _, tensor in frame.outputs)
        before = self.instance_of.get(block)
        instance = Instance(
            self.keys[block],
            block.written.node,
            tuple(each.name.id for each in inputs),
            tuple(self.parameters_of(block)),
            # Applied again, it finds what it has made.
            None if made is None else before.made if before else tuple(made),
            tuple(body),
            results,
        )
        if before is None:
            self.instance_of[block] = instance
            self.instances.append(instance)
        elif before != instance:
            raise _NotWritable("this use of the block differs from the first one", node.span)
        arguments = tuple(tensor.expression for tensor, _ in given)
        if call is None:
            assert block.variable is not None
            call = ex.Call(block.variable, arguments)
        else:
            call = call.replace(arguments=(*arguments, *call.arguments))
        specs = tuple(_seen_outside(tensor.spec) for _, tensor in frame.outputs)
        if len(specs) == 1:
            return Tensor(specs[0], call)
        # The tensors need names, which those of a statement may stand in for.
        variables: list[str] = []
        for name, _ in frame.outputs:
            variable = self.local(name, {*self.words(), *variables}.__contains__)
            variables.append(variable)
            self.frame.names[variable] = Tensor(specs[0], ex.Variable(variable))
        self.body.append(Assign(tuple(variables), call, node.span))
        return Group(tuple(Tensor(spec, ex.Variable(each)) for spec, each in zip(specs, variables, strict=True)))

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

    def construct_loop(self, loop: Loop, made: Sequence[Sequence[Statement]]) -> None:
        """Add a loop, and one that constructs what its passes apply, if they apply anything of the block's own."""
        self.body.append(loop)
        if any(made):
            assert self.constructed is not None
            if not self.is_known(loop.values):
                raise _NotWritable("its block is applied many times, and this depends on the input's size", loop.span)
            is_list = not isinstance(loop.values, ex.Call | ex.Sequence)
            if loop.counter is None and is_list:
                # What they make is known by these values.
                lengths = [ex.Call(ex.Symbol("len"), (each,)) for each in (_set(loop.values), loop.values)]
                self.constructed.append(Guard(ex.Operation("<", tuple(lengths)), False, loop.text, loop.span))
            self.constructed.append(loop.replace(passes=tuple(map(tuple, made))))

    def construct_choice(
        self, tests: Sequence[ex.Expression], made: Sequence[Sequence[Statement] | None], text: str, span: Span
    ) -> None:
        """Add what the branches of a condition construct: all of it, if what decides is not known there."""
        if not any(made):
            return
        assert self.constructed is not None
        if all(map(self.is_known, tests)):
            branches = tuple(None if each is None else tuple(each) for each in made)
            self.constructed.append(Choice(tuple(tests), branches, text, span))
            return
        variables = [each.variable for branch in made for each in branch or () if isinstance(each, Make)]
        if len(set(variables)) < len(variables):
            raise _NotWritable("its block is applied many times, and both branches have layers of one name", span)
        self.constructed += [each for branch in made for each in branch or ()]

    def settle(self, statements: Sequence[nodes.Statement]) -> None:
        """Let tensors stand in the variables that statements will assign to, so that each pass finds them there."""
        for name in names_in(statements):
            tensor = self.frame.names.get(name.id)
            if isinstance(tensor, Tensor):
                variable = self.variable_for(name.id)
                if tensor.expression != ex.Variable(variable):
                    self.body.append(Assign((variable,), tensor.expression, name.span))
                    self.frame.names[name.id] = Tensor(tensor.spec, ex.Variable(variable))

    def counter(self, names: Sequence[nodes.Name] = (), body: Sequence[nodes.Statement] = ()) -> str:
        """A variable for the number of a pass, which neither the loop itself has nor one in its body."""
        inside = (each for statement in body for each in nodes.walk(statement) if isinstance(each, nodes.For))
        taken = self.words() | {name.id for each in inside for name in each.names} | {name.id for name in names}
        taken |= {each.counter.name for each in self.frame.passes if isinstance(each.counter, ex.Variable)}
        for name in ("i", "j", "k", "number"):
            if name not in taken:
                return name
        return self.local("number", taken.__contains__)

    def go_through(self, statement: nodes.For, values: Value, again: Collection[str]) -> None:
        self.settle(statement.body)
        names = tuple(name.id for name in statement.names)
        distinct = are_indices(values.value)
        counter = names[0] if distinct else self.counter(statement.names, statement.body)
        passes, made = [], []
        for number, value in enumerate(values.value):
            items = (value,) if len(names) == 1 else value.value
            here = tuple(Value(item.value, ex.Variable(name)) for name, item in zip(names, items, strict=True))
            index = value.value if distinct else number
            self.frame.names.update(zip(names, here, strict=True))
            self.frame.passes.append(Pass(statement.names, index, here, ex.Variable(counter)))
            with self.recording() as body, self.constructing() as constructed:
                self.carry_out(statement.body)
            self.frame.passes.pop()
            passes.append(tuple(body))
            made.append(constructed)
        found = tuple(value.plain() for value in values.value)
        text, span = statement.values.span.text, statement.span
        numbered = None if distinct else counter
        self.construct_loop(Loop(names, numbered, values.expression, found, tuple(passes), text, span), made)

    def go_up(self, value: Result, node: nodes.Binary, before: nodes.Expression, count: Value) -> Result:
        if isinstance(count.expression, ex.Constant) and count.value < 2:
            return super().go_up(value, node, before, count)
        if not isinstance(value, Tensor):
            raise _NotWritable("this stack is of several tensors", node.span)
        variable = self.target if self.target and node in self.stages else self.local("x", self.words().__contains__)
        self.body.append(Assign((variable,), value.expression, node.span))
        name = self.counter()
        passes, made = [], []
        spec = value.spec
        for number in range(count.value):
            self.frame.passes.append(Pass((), number, (), ex.Variable(name)))
            with self.recording() as body, self.constructing() as constructed:
                result = self.stage(Tensor(spec, ex.Variable(variable)), node.left, before)
                if not isinstance(result, Tensor):
                    raise _NotWritable("this stack is of several tensors", node.span)
                body.append(Assign((variable,), result.expression, node.span))
            self.frame.passes.pop()
            passes.append(tuple(body))
            made.append(constructed)
            spec = result.spec
        values = ex.Call(ex.Symbol("range"), (count.expression,))
        found = tuple(range(count.value))
        self.construct_loop(Loop((name,), None, values, found, tuple(passes), node.right.span.text, node.span), made)
        return Tensor(spec, ex.Variable(variable))

    def binding(self, statement: nodes.Binding) -> None:
        self.aim(statement.names[0] if len(statement.names) == 1 else None, statement.value)
        super().binding(statement)
        self.target = None

    def output(self, statement: nodes.Output) -> None:
        self.aim(statement.name, statement.value)
        super().output(statement)
        self.target = None

    def aim(self, name: nodes.Name | None, value: nodes.Expression) -> None:
        """Let the stacks of a chain use the variable that it will end in, if no other part of the chain means it."""
        self.target, self.stages = None, ()
        if name is not None and isinstance(value, nodes.Chain):
            stages = value.stages[1:]
            mentioned = {part.id for each in stages for part in nodes.walk(each) if isinstance(part, nodes.Name)}
            if name.id not in mentioned:
                self.target, self.stages = self.variable_for(name.id), stages

    def choose(self, statement: nodes.If) -> None:
        tests: list[Value] = []
        taken = len(statement.branches)
        for number, branch in enumerate(statement.branches):
            test = self.condition(branch.test)
            tests.append(test)
            if test.value and taken == len(statement.branches):
                taken = number
        bodies = [*(branch.body for branch in statement.branches), statement.otherwise or ()]
        if not any(ex.variables(test.expression) for test in tests):
            self.carry_out(bodies[taken])
            return
        self.settle([each for body in bodies for each in body])
        branches: list[tuple[Statement, ...] | None] = [None] * len(bodies)
        made: list[Sequence[Statement] | None] = [None] * len(bodies)
        for number, body in enumerate(bodies):
            if number != taken:
                branches[number], made[number] = self.tried(lambda body=body: self.recorded(body))  # type: ignore[misc]
        with self.constructing() as made[taken]:
            branches[taken] = self.recorded(bodies[taken])
        text, decided = statement.branches[0].test.span.text, tuple(test.expression for test in tests)
        self.body.append(Choice(decided, tuple(branches), text, statement.span))
        self.construct_choice(decided, made, text, statement.span)

    def condition(self, node: nodes.Expression) -> Value:
        test = self.evaluate(node)
        if not isinstance(test, Value):
            # It is behind the one that holds, or in a branch that is not taken.
            raise _NotWritable("this condition has no value here", node.span)
        return test

    def recorded(self, statements: Sequence[nodes.Statement]) -> tuple[Statement, ...]:
        with self.recording() as body:
            self.carry_out(statements)
        return tuple(body)

    def conditional(self, node: nodes.Conditional) -> Result:
        test = self.condition(node.test)
        with self.recording() as own, self.constructing() as made:
            chosen = self.evaluate(node.then if test.value else node.otherwise)
        if isinstance(chosen, Value):
            return super().conditional(node)
        self.body += own
        is_open = bool(ex.variables(test.expression))
        if self.constructed is not None and not (is_open and isinstance(chosen, Tensor) and not own):
            self.constructed += made
        if not is_open:
            return chosen
        if not isinstance(chosen, Tensor) or own:
            reason = (
                "it chooses between layers" if not isinstance(chosen, Tensor) else "what it chooses takes statements"
            )
            self.body.append(Guard(test.expression, bool(test.value), node.test.span.text, node.span, reason))
            return chosen

        def other() -> Tensor | None:
            with self.recording() as needed:
                value = self.evaluate(node.otherwise if test.value else node.then)
            return value if isinstance(value, Tensor) and not needed else None

        tried, others = self.tried(other)
        both = (made, others) if test.value else (others, made)
        self.construct_choice((test.expression,), both, node.test.span.text, node.span)
        expressions = chosen.expression, tried.expression if tried else ex.HOLE
        then, otherwise = expressions if test.value else expressions[::-1]
        return Tensor(chosen.spec, ex.Operation("if", (then, test.expression, otherwise)))

    def tried(self, work: Callable[[], T]) -> tuple[T | None, Sequence[Statement] | None]:
        """What comes of something that the network does not do, with what that would construct when its block is
        constructed; None if it cannot. All is left as it was, but for what the block has once it was constructed."""
        frame = self.frame
        mappings: list[Any] = [frame.names, frame.declared, self.renamed, self.numbers, self.operations]
        lists: list[Any] = [frame.outputs, frame.passes, self.outputs, self.annotated, self.asserted, self.problems]
        sets: list[Any] = [self.inputs, self.taken]
        saved = [each.copy() for each in (*mappings, *lists, *sets)]
        counts = self.carried_out, self.applied, self.evaluated
        aim = self.constructed, self.target, self.stages
        is_broken, instances, known = frame.is_broken, len(self.instances), set(self.instance_of)
        blocks = {each for each in frame.names.values() if isinstance(each, BlockObject)}
        families = [(each, dict(each.members)) for each in frame.names.values() if isinstance(each, FamilyObject)]
        own = (dict(frame.block.made), dict(frame.block.declared)) if frame.block else None
        found: T | None
        with self.constructing() as made:
            try:
                found = work()
            except FAILS:
                found = None
        new = self.annotated[len(saved[len(mappings) + 3]) :]
        if len(self.problems) > len(saved[len(mappings) + 5]) or any(
            statement.annotations or isinstance(statement, nodes.Weight) or statement.weights
            for _, statement, _, _ in new
        ):
            found = None  # the solver has not seen these
        if found is None:
            applied = self.instance_of.keys() - known
            if applied & blocks:
                # One that is used elsewhere too has made its layers in there.
                place = next(iter(applied & blocks)).span
                raise _NotWritable("it is first applied in a branch that is not taken and could not be tried", place)
            del self.instances[instances:]
            for block in applied:
                del self.instance_of[block]
            if frame.block and own:
                frame.block.made, frame.block.declared = own
        for each, before in zip((*mappings, *lists, *sets), saved, strict=True):
            each.clear()
            each.extend(before) if isinstance(each, list) else each.update(before)
        for family, members in families:
            family.members.clear()
            family.members.update(members)
        self.carried_out, self.applied, self.evaluated = counts
        self.constructed, self.target, self.stages = aim
        frame.is_broken = is_broken
        return found, None if found is None else made


def _seen_inside(spec: TensorSpec, name: str) -> TensorSpec:
    """A tensor in the function that is given it: its sizes are what it shows there."""
    shape = ex.Attribute(ex.Variable(name), "shape")
    sizes = (
        None if size is None else Dim(size, ex.Subscript(shape, ex.Constant(axis)))
        for axis, size in enumerate(spec.shape)
    )
    return spec.replace(shape=tuple(sizes))


def _seen_outside(spec: TensorSpec) -> TensorSpec:
    """A tensor that comes out of a function: what its sizes are computed from is known in there alone."""
    return spec.replace(shape=tuple(Dim(size, ex.HOLE) if isinstance(size, Dim) else size for size in spec.shape))


def _set(values: ex.Expression) -> ex.Expression:
    return ex.Call(ex.Symbol("set"), (values,))


def _index(indices: list[ex.Expression]) -> ex.Expression:
    return indices[0] if len(indices) == 1 else ex.Sequence(tuple(indices))
