"""The outline of a network as statements: passes of loops that come out alike as loops, uses of blocks as functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wdsl.annotations.equations import WHOLE, Equation, Tie, View, WeightName
from wdsl.annotations.kinds import FROZEN
from wdsl.core import expressions as ex
from wdsl.core.printing import iterated, shown
from wdsl.core.sizes import Dim, expression_of
from wdsl.link.constants import written
from wdsl.network import graph, outline
from wdsl.network.outline import Applied
from wdsl.plan.kinds import weights_of
from wdsl.plan.statements import (
    Body,
    For,
    Function,
    If,
    Refuse,
    Statement,
    Step,
    expressions,
    mapped,
    merged,
    variables,
    walk,
    without_unused,
)
from wdsl.plan.steps import Planner, built_again, differs, input_of, is_input_step, is_tensor, key_of, of_graph, unique
from wdsl.text.diagnostics import Diagnostic, in_order
from wdsl.text.source import Span

UNTRIED = "the other branch is annotated, or not in order now"


class NotAlike(Exception):
    """The uses of blocks differ in what functions cannot say. It is raised with the reason and the place."""


def roll(planner: Planner, found: outline.Outline) -> tuple[Body, tuple[Function, ...], tuple[Diagnostic, ...]]:
    """The statements of a network's function, the functions that they call, and what these do not keep.

    Raises NotAlike if there are none.
    """
    roller = _Roller(planner, found)
    for instance in found.instances:
        roller.function(instance)
    groups = [roller.statements([each]) for each in found.body]
    check_inputs(planner, groups)
    body = planner.with_shared(groups, roller.tied_inside, is_rolled=True)
    network = planner.network
    results = [ex.Variable(each.family or each.name) for each in network.inputs] + [
        ex.Variable(each.family or each.variable) for each in network.outputs
    ]
    body = roller.named(without_unused(roller.finished(_families(_unpacked(body))), results))
    return body, tuple(roller.done.values()), in_order(roller.notes)


def check_inputs(planner: Planner, groups: Sequence[Body]) -> None:
    """Raise NotAlike if the first inputs are in a loop that needs weights of the graph, which stand beside an input."""
    first = next((body for body in groups if any(isinstance(s, Step) and is_input_step(s) for s in walk(body))), ())
    read = {name for each in expressions(first) for name in ex.variables(each)}
    if not read.isdisjoint(planner.variables.values()):
        reason = "the loop with the first inputs needs a weight, which stands beside an input"
        raise NotAlike(reason, first[0].span)


class _Roller:
    def __init__(self, planner: Planner, found: outline.Outline) -> None:
        self.planner = planner
        self.network = planner.network
        self.layers = {each.name: each for each in planner.network.layers}
        self.functions: dict[str, Function] = {}
        self.done: dict[str, Function] = {}
        self.notes: list[Diagnostic] = []
        # For each use of a block, the name of the function that it became.
        self.names: dict[str, str] = {}
        self.said: dict[WeightName, list[Equation | Tie]] = {}
        for equation in found.equations:
            self.said.setdefault(equation.weight, []).append(equation)
        for tie in found.ties:
            self.said.setdefault(tie.weight, []).append(tie)
        self.outline = found
        # What is given to layers in blocks that share weights with others there, and the weights that they share.
        self.tied: dict[str, ex.Mapped] = {}
        self.tied_inside: set[WeightName] = set()
        self.in_blocks = {each.name for one in found.instances for each in _made((*(one.made or ()), *one.body))}
        # Layers in loops that others are tied to, or that are tied to layers in loops: what the next pass has to do
        # with them cannot be known.
        in_loops = {each.name for one in found.body if isinstance(one, outline.Loop) for each in _made([one])}
        self.unlike = {tie.reference.layer for tie in found.ties} & in_loops
        self.unlike |= {tie.weight.layer for tie in found.ties if tie.reference.layer in in_loops}

    # Functions

    def function(self, instance: outline.Instance) -> None:
        """Make a function of a use of a block, or find that one of those before does the same."""
        node = instance.node
        constructed, shared = self.shared_in(instance)
        made = None if instance.made is None else _families((*constructed, *self.statements(instance.made)))
        body = _families((*shared, *self.statements(instance.body)))
        new = Function(
            node.name.id,
            instance.inputs,
            instance.parameters,
            made,
            body,
            tuple(map(self.expression, instance.results)),
            node.doc,
            node.span,
        )
        number = 1
        while (name := f"{node.name.id}_{number}" if number > 1 else node.name.id) in self.functions:
            before = self.functions[name]
            if both := _both(before, new):
                self.functions[name] = both
                self.names[instance.key] = name
                return
            number += 1
        self.functions[name] = new.replace(name=name)
        self.names[instance.key] = name

    def finished_function(self, name: str) -> Function:
        """A function with nothing in it that nothing needs, after those that it calls."""
        if name in self.done:
            return self.done[name]
        function = self.functions[name]
        body = self.named(without_unused(self.finished(function.body), function.results))
        made = function.made
        if made is not None:
            made = self.named(without_unused(self.finished(made), [*expressions(body), *function.results]))
        results = tuple(map(self.named_in, function.results))
        self.done[name] = function.replace(made=made, body=body, results=results)
        return self.done[name]

    def named(self, body: Body) -> Body:
        """Statements in which names are given to those functions alone that take them."""
        return _without_counters(mapped(body, self.named_in))

    def named_in(self, expression: ex.Expression) -> ex.Expression:
        def change(part: ex.Expression) -> ex.Expression | None:
            match part:
                case ex.Call(ex.Local(name), arguments, keywords):
                    is_named = self.finished_function(name).is_named
                    given = tuple(each for each in keywords if is_named or each[0] != ex.NAME.name)
                    named = tuple((key, self.named_in(value)) for key, value in given)
                    return ex.Call(part.function, tuple(map(self.named_in, arguments)), named)
            return None

        return ex.replaced(expression, change)

    def shared_in(self, instance: outline.Instance) -> tuple[Sequence[Step], Sequence[Step]]:
        """The weights that layers of a block share with one another: where it is constructed, and where applied.

        Raises NotAlike if they do with others.
        """
        structures = self.planner.structures
        everything = (*(instance.made or ()), *instance.body)
        made = {each.name: each for each in everything if isinstance(each, outline.Make)}
        own = {each.name for each in _made(everything)}
        taken: set[str] = set()
        constructed: list[Step] = []
        steps: list[Step] = []
        tied: dict[str, list[tuple[str, ex.Expression]]] = {}
        for owner in dict.fromkeys(each.owner for name in own for each in structures.of(name)):
            members = structures.sharing(owner)
            if owner not in self.planner.shared and not members[0].coupled:
                continue
            inside = all(each.name.layer in made for each in members)
            is_view = any(is_tensor(each) and each.name != owner for each in members)
            if not inside or members[0].coupled or is_view or not all(_is_plain(each.view) for each in members):
                reason = f"`{owner}` is tied in a way that a function of this block cannot say"
                raise NotAlike(reason, instance.node.name.span)
            first = made[owner.layer]
            layer = self.outline.layer(owner.layer)
            assert layer is not None
            weight = next(each for each in weights_of(layer) if each.name == owner.weight)
            of_sizes = f"the shape of `{owner}`, which is tied, comes from sizes that are not known in this block"
            if any(ex.HOLE in ex.walk(expression_of(size)) for size in weight.shape):
                raise NotAlike(of_sizes, instance.node.name.span)
            if instance.made is not None:
                shape = _known_before(weight.shape, members[0].weight.shape, instance.inputs)
                if shape is None:
                    raise NotAlike(of_sizes, instance.node.name.span)
                weight = weight.replace(shape=shape)
            said = (each for member in members for each in self.said.get(member.name, ()))
            equations = tuple(dict.fromkeys(each.for_runtime for each in said if isinstance(each, Equation)))
            if len(equations) != len(members[0].equations):
                raise NotAlike(f"what is said of `{owner}` differs from use to use", instance.node.name.span)
            endings = [owner.weight.replace(".", "_")] if owner.weight else []
            if not isinstance(first.variable, ex.Variable):
                raise NotAlike(f"`{owner}` is tied and one of a family", instance.node.name.span)
            taken = taken or set(variables(self.statements(everything)))
            taken |= {*instance.inputs, *(each.name for each in instance.parameters)}
            name = first.variable.name
            variable = unique("_".join([name, *endings]), taken) if endings else name
            taken.add(variable)
            parts = first.label.parts if isinstance(first.label, ex.Joined) else (first.label,)
            label = ex.joined([*parts, *(f"_{each}" for each in endings)])
            local = members[0].replace(weight=weight, layer=layer, equations=equations)
            step = self.planner.share(local, variable, label, ex.Variable(instance.inputs[0]))
            if instance.made is not None:
                # It is made once, and stands beside the input of each use.
                assert isinstance(step.value, ex.Call)
                layer_variable = ex.Variable(unique(f"{variable}_layer", taken))
                taken.add(layer_variable.name)
                constructed.append(step.replace(targets=(layer_variable,), value=step.value.function))
                step = step.replace(value=ex.Call(layer_variable, step.value.arguments), doc="")
            steps.append(step)
            self.tied_inside.add(owner)
            for each in members:
                tied.setdefault(each.name.layer, []).append((key_of(each), of_graph(each, variable)))
        self.tied.update((name, ex.Mapped(tuple(given))) for name, given in tied.items())
        return constructed, steps

    # Statements

    def statements(self, found: Sequence[outline.Statement]) -> Body:
        body: list[Statement] = []
        for each in found:
            match each:
                case graph.Input():
                    held = each.variable or ex.Variable(each.name)
                    body.append(Step((held,), input_of(each), each.span, each.doc))
                case outline.Make(_, name) if name in self.outline.free:
                    pass
                case outline.Make():
                    body.append(Step((each.variable,), self.construct(each), each.span, each.doc))
                case outline.Assign(targets, value, span):
                    body.append(Step(targets, self.expression(value), span))
                case outline.Loop():
                    body += self.loop(each)
                case outline.Choice(tests, branches, text, span):
                    bodies = tuple(None if branch is None else self.statements(branch) for branch in branches)
                    body.append(If(tests, bodies, text, span))
                case outline.Guard(test, value, text, span, reason):
                    refused = ex.Operation("not", (test,)) if value else test
                    body.append(self.refuse(refused, text, span, reason))
        return tuple(_unpacked(body))

    def loop(self, loop: outline.Loop) -> Sequence[Statement]:
        passes = [self.statements(each) for each in loop.passes]
        if not passes and ex.variables(loop.values):
            return [For(loop.variables, iterated(loop.values), (Refuse(ex.HOLE, loop.text, loop.span),), loop.span)]
        alike: Body | None = passes[0] if passes else ()
        for each in passes[1:]:
            alike = alike and merged(alike, each)
        if any(each.name in self.unlike for each in _made([loop])):
            alike = None
        values = iterated(loop.values)
        if alike is not None:
            if loop.counter is None:
                return [For(loop.variables, values, alike, loop.span)]
            enumerated = ex.Call(ex.Symbol("enumerate"), (values,))
            return [For((loop.counter, *loop.variables), enumerated, alike, loop.span)]
        statements: list[Statement] = []
        reason = "its passes do not come to the same statements"
        if any(each.name in self.unlike for each in _made([loop])):
            reason = "a layer of a pass is tied to one of another pass, or of another loop"
        self.notes.append(outline.not_kept("this loop is written out", loop.span, reason))
        if ex.variables(values):
            statements.append(Refuse(differs(values, loop.found), built_again(loop.text, self.network.name), loop.span))
        for number, (value, body) in enumerate(zip(loop.found, passes, strict=True)):
            items = (value,) if len(loop.variables) == 1 else value
            known = {name: written(item) for name, item in zip(loop.variables, items, strict=True)}
            if loop.counter:
                known[loop.counter] = ex.Constant(number)

            def change(expression: ex.Expression, known: dict[str, ex.Expression] = known) -> ex.Expression:
                if ex.variables(expression).isdisjoint(known):
                    return expression
                put = ex.replaced(
                    expression, lambda each: known.get(each.name) if isinstance(each, ex.Variable) else None
                )
                return ex.folded(put)

            statements += _decided(mapped(body, change))
        return statements

    def refuse(self, test: ex.Expression, text: str, span: Span, reason: str) -> Refuse:
        """A statement that refuses what could not be known when compiling. It is noted, with the reason."""
        if reason:
            self.notes.append(outline.not_kept(f"the module is for this value of `{text}` alone", span, reason))
        return Refuse(test, built_again(text, self.network.name), span)

    def finished(self, body: Body) -> Body:
        """Statements in which what is not known is refused."""
        found: list[Statement] = []
        for each in body:
            match each:
                case For(_, values, (Refuse(ex.HOLE, text), *_)):
                    reason = "without a pass, there is nothing to see of what one does"
                    found.append(self.refuse(differs(values, ()), text, each.span, reason))
                case For(_, _, inside):
                    found.append(each.replace(body=self.finished(inside)))
                case If(_, bodies, text, span):
                    known = tuple(
                        (self.refuse(ex.Constant(True), text, span, UNTRIED),)
                        if inside is None
                        else self.finished(inside)
                        for inside in bodies
                    )
                    found.append(each.replace(bodies=known))
                case Step(_, value, span):
                    tests: list[ex.Expression] = []
                    value = _taken(value, tests)
                    for test in dict.fromkeys(tests):
                        found.append(self.refuse(test, shown(test), span, UNTRIED))
                    found.append(each.replace(value=value))
                case _:
                    found.append(each)
        return tuple(found)

    # Expressions

    def construct(self, made: outline.Make) -> ex.Expression:
        construct = self.expression(made.construct)
        assert isinstance(construct, ex.Call)
        if isinstance(construct.function, ex.Local):
            return construct
        layer = self.layers.get(made.name)
        if layer is None:  # no output needs it, or it is in a branch that was not taken
            return construct.replace(keywords=(*construct.keywords, ("name", made.label)))
        equations: dict[WeightName, tuple[ex.Expression, ...]] = {}
        for structure in self.planner.structures.of(layer.name):
            if structure.owner in self.planner.shared:
                continue
            said = self.said.get(structure.name, [])
            if structure.coupled:
                said = sorted(said, key=lambda each: each.span.start)
            own = tuple(dict.fromkeys(each.for_runtime for each in said))
            if structure.coupled and not structure.weight.trainable:
                own = (*own, FROZEN)
            if len(own) != len(structure.equations):
                raise NotAlike(f"what is said of `{structure.name}` differs from use to use", made.span)
            equations[structure.name] = own
        seen = self.outline.layer(made.name)
        assert isinstance(seen, graph.Layer)
        return self.planner.construct(layer, construct, made.label, equations, seen)

    def expression(self, expression: ex.Expression) -> ex.Expression:
        """An expression with layers and functions by their variables, and shared weights given to the layers."""

        def change(part: Any) -> ex.Expression | None:
            match part:
                case Applied(_, variable):
                    return variable
                case ex.Variable(name) if name in self.planner.tensors:
                    return self.planner.tensors[name]
                case ex.Call(function, arguments, keywords):
                    given = tuple((name, self.expression(value)) for name, value in keywords)
                    positional = tuple(map(self.expression, arguments))
                    if isinstance(function, Applied) and (tied := self.tied_to(function.layer)):
                        given = (*given, ("tied", tied))
                    if isinstance(function, ex.Local) and function.name in self.names:
                        return ex.Call(ex.Local(self.names[function.name]), positional, given)
                    return ex.Call(self.expression(function), positional, given)
            return None

        return ex.replaced(expression, change)

    def tied_to(self, layer: str) -> ex.Mapped | None:
        """The shared weights that a layer is given when it is called."""
        return self.tied.get(layer) if layer in self.in_blocks else self.planner.tied.get(layer)


def _decided(body: Sequence[Statement]) -> Iterator[Statement]:
    """Statements with the branch that is taken in place of each condition of which that is known."""
    for each in body:
        match each:
            case If((ex.Constant(test), *others), (first, *bodies), text, span):
                if test:
                    yield from _decided(first or ())
                elif others:
                    yield from _decided([If(tuple(others), tuple(bodies), text, span)])
                else:
                    yield from _decided(bodies[0] or ())
            case For(_, _, inside):
                yield each.replace(body=tuple(_decided(inside)))
            case If(_, bodies):
                yield each.replace(bodies=tuple(part and tuple(_decided(part)) for part in bodies))
            case _:
                yield each


def _is_plain(view: View) -> bool:
    """Whether a view is the same wherever it is written: no parameters are in it."""
    parts = [*ex.walk(view.expression), *(ex.walk(view.factor) if view.factor else ())]
    return all(each == WHOLE for each in parts if isinstance(each, ex.Variable))


def _known_before(local: Sequence[int], found: Sequence[int], inputs: Sequence[str]) -> tuple[int, ...] | None:
    """The sizes of a weight, for where there are no inputs yet: what comes from their shapes as the number it is.

    Another use of the block with other shapes is then another function. None if the number is a parameter's.
    """
    sizes = []
    for size, number in zip(local, found, strict=True):
        is_known = ex.variables(expression_of(size)).isdisjoint(inputs)
        if not is_known and isinstance(number, Dim):
            return None
        sizes.append(size if is_known else number)
    return tuple(sizes)


def _both(before: Function, new: Function) -> Function | None:
    """One function for two uses of a block, if one can do for both."""
    heads = [(each.inputs, each.parameters, each.made is None, each.doc, each.span) for each in (before, new)]
    if heads[0] != heads[1] or before.results != new.results:
        return None
    made = None if before.made is None else merged(before.made, new.made or ())
    body = merged(before.body, new.body)
    if body is None or (before.made is not None and made is None):
        return None
    return before.replace(made=made, body=body)


def _taken(value: ex.Expression, tests: list[ex.Expression]) -> ex.Expression:
    """A value as it is where each hole is on the side that is not taken; `tests` get what must not be true for that."""

    def change(each: ex.Expression) -> ex.Expression | None:
        match each:
            case ex.Operation("if", (then, test, ex.HOLE)):
                tests.append(ex.Operation("not", (test,)))
                return _taken(then, tests)
            case ex.Operation("if", (ex.HOLE, test, otherwise)):
                tests.append(test)
                return _taken(otherwise, tests)
        return None

    return ex.replaced(value, change)


def _made(found: Sequence[outline.Statement]) -> Iterator[outline.Make]:
    """All that statements make, in the passes of loops too."""
    for each in found:
        match each:
            case outline.Make():
                yield each
            case outline.Loop():
                for body in each.passes:
                    yield from _made(body)
            case outline.Choice():
                for branch in each.branches:
                    yield from _made(branch or ())


def _unpacked(body: Sequence[Statement]) -> list[Statement]:
    """`a, b = f(x)` in place of `c, d = f(x)` and then `a, b = c, d`."""
    found: list[Statement] = []
    for statement in body:
        match found[-1:], statement:
            case [Step(before, ex.Call(ex.Local()) as call)], Step(_, ex.Sequence(items)) if items == before:
                found[-1] = statement.replace(value=call)
            case _, Step((target,), value) if target == value:
                pass
            case _:
                found.append(statement)
    return found


def _without_counters(body: Sequence[Statement]) -> Body:
    """Statements whose loops have no variables that nothing reads."""
    found: list[Statement] = []
    for each in body:
        match each:
            case For(targets, values, inside):
                read = {name for part in expressions(inside) for name in ex.variables(part)}
                if each.is_numbered and targets[0] not in read:
                    assert isinstance(values, ex.Call)
                    targets, values = targets[1:], values.arguments[0]
                targets = tuple(name if name in read else "_" for name in targets)
                found.append(For(targets, values, _without_counters(inside), each.span))
            case If(_, bodies):
                found.append(each.replace(bodies=tuple(part and _without_counters(part) for part in bodies)))
            case _:
                found.append(each)
    return tuple(found)


def _families(body: Sequence[Statement]) -> Body:
    """Statements with `conv = {}` before the first that makes a `conv[i]`."""
    found: list[Statement] = []
    known: set[str] = set()
    for statement in body:
        for family in _items_of([statement]):
            if family not in known:
                known.add(family)
                found.append(Step((ex.Variable(family),), ex.Mapped(()), statement.span))
        found.append(statement)
    return tuple(found)


def _items_of(body: Sequence[Statement]) -> Iterator[str]:
    for each in walk(body):
        match each:
            case Step((ex.Subscript(ex.Variable(name)),)):
                yield name
