"""Loops and conditions: which statements are carried out, and how often."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from wdsl import catalog
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.network.elaboration import Elaboration
from wdsl.network.names import names_in
from wdsl.network.objects import (
    BROKEN,
    Broken,
    Pass,
    Result,
    Tensor,
    are_indices,
    kind_of,
)
from wdsl.network.outline import Loop, Statement
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Label


def carry_out_loop(here: Elaboration, statement: nodes.For) -> None:
    """`for i in range(3) { … }`: the statements, once for each value."""
    here.is_nested = True
    values = here.evaluate(statement.values)
    if not isinstance(values, Value) or not isinstance(values.value, (list, tuple, range)):
        if not isinstance(values, Broken):
            hint = "write `for i in range(6)` or `for width in [64, 128]`"
            here.error("E0205", "`for` goes through a list", statement.values.span, kind_of(values), hint=hint)
        here.lose(statement.body)
        return
    if not isinstance(values.expression, ex.Sequence):  # else it is as long as it is written
        here.decide(values)
    hidden: dict[str, Result] = {}
    again: set[str] = set()
    for number, name in enumerate(statement.names):
        if not (name.id[0].islower() or name.id[0] == "_"):
            here.wrong_case(name, "a variable", capital=False)
        where = here.frame.declared.get(name.id)
        first = next((each.span for each in statement.names[:number] if each.id == name.id), None)
        if name.id in here.names:
            hidden[name.id] = here.names[name.id]
        if first or not isinstance(hidden.get(name.id, BROKEN), Broken):
            labels = (Label(first or where, "first here"),) if first or where else ()  # type: ignore[arg-type]
            here.error("E0202", f"`{name.id}` is declared twice", name.span, "again here", labels=labels)
            again.add(name.id)
    here.has_room(len(values.value) * (1 + len(statement.body)), statement.values.span)
    if can_unpack(here, statement, values):
        go_through(here, statement, values, again)
    else:
        here.lose(statement.body)
    for name in statement.names:
        here.names.pop(name.id, None)
    here.names.update(hidden)


def can_unpack(here: Elaboration, statement: nodes.For, values: Value) -> bool:
    """Whether each value of a loop with several variables has an item for each of them. If not, it is reported."""
    count = len(statement.names)
    for value in values.value if count > 1 else ():
        if not isinstance(value.value, list) or len(value.value) != count:
            items = f"has {len(value.value)}" if isinstance(value.value, list) else "has none"
            message = f"`for` takes each value apart into {count} items, and {catalog.show(value.plain())} {items}"
            here.error("E0205", message, statement.names[0].span.to(statement.names[-1].span))
            return False
    return True


def go_through(here: Elaboration, statement: nodes.For, values: Value, again: Collection[str]) -> None:
    """Carry out the body of a loop for each value; `again` are variables whose names were not to be had."""
    settle(here, statement.body)
    recorder, names = here.recorder, tuple(name.id for name in statement.names)
    distinct = are_indices(values.value)
    counter = names[0] if distinct else recorder.counter(here.frame, statement.names, statement.body)
    outer, last = ex.outside(values.expression), len(values.value) - 1
    passes, made = [], []
    for number, item in enumerate(values.value):
        here.count_one(statement.span)
        value = item
        if isinstance(outer, ex.Variable):
            # What the last pass leaves behind is said of the last item, however many there are.
            value = Value(item.value, ex.Subscript(outer, ex.Constant(number if number < last else -1)))
        items: tuple[Value, ...] = (value,)
        if len(names) > 1:
            items = tuple(constants.item(value, constants.constant(at)) for at in range(len(value.value)))
        of_pass = tuple(constants.named(name, each) for name, each in zip(names, items, strict=True))
        for name, each in zip(names, of_pass, strict=True):
            here.names[name] = BROKEN if name in again else each
        index = value.value if distinct else number
        here.frame.passes.append(Pass(statement.names, index, of_pass, ex.Variable(counter)))
        with recorder.recording() as body, recorder.constructing() as constructed:
            here.carry_out(statement.body)
        here.frame.passes.pop()
        passes.append(tuple(body))
        made.append(constructed)
    found = tuple(value.plain() for value in values.value)
    text, numbered = statement.values.span.text, None if distinct else counter
    loop = Loop(names, numbered, ex.inside(values.expression), found, tuple(passes), text, statement.span)
    recorder.loop(here.frame, loop, made)


def settle(here: Elaboration, statements: Sequence[nodes.Statement]) -> None:
    """Let tensors stand in the variables that statements will assign to, so that each pass finds them there."""
    for name in names_in(statements):
        tensor = here.frame.names.get(name.id)
        if isinstance(tensor, Tensor):
            variable = here.variable_inside(name.id)
            if ex.inside(tensor.expression) != ex.Variable(variable):
                here.recorder.assign((variable,), tensor.expression, name.span)
                seen = ex.seen(ex.Variable(variable), tensor.expression)
                here.frame.names[name.id] = Tensor(tensor.spec, seen)


def carry_out_choice(here: Elaboration, statement: nodes.If) -> None:
    """`if … { } else if … { } else { }`: the statements of the first branch whose condition holds."""
    here.is_nested = True
    tests: list[Value] = []
    for branch in statement.branches:
        test = here.evaluate(branch.test)
        if not isinstance(test, Value):
            if not isinstance(test, Broken):
                message = "`if` decides when compiling: its condition is a constant"
                here.error("E0205", message, branch.test.span, f"this is {kind_of(test)}")
            here.lose(tuple(each for one in statement.branches for each in one.body))
            here.lose(statement.otherwise or ())
            return
        here.decide(test)
        tests.append(test)
        if test.value:
            break
    bodies = [*(branch.body for branch in statement.branches), statement.otherwise or ()]
    taken = len(tests) - 1 if tests[-1].value else len(bodies) - 1
    decided = [ex.inside(test.expression) for test in tests]
    for branch in statement.branches[len(tests) :]:
        # Behind the one that holds, a condition need have no value.
        found, _ = here.tried(lambda other, test=branch.test: other.evaluate(test))  # type: ignore[misc]
        if not isinstance(found, Value):
            here.recorder.fail("this condition has no value here", branch.test.span)
            break
        decided.append(ex.inside(found.expression))
    if not any(map(ex.variables, decided)):
        here.carry_out(bodies[taken])
        return
    settle(here, [each for body in bodies for each in body])
    branches: list[tuple[Statement, ...] | None] = [None] * len(bodies)
    made: list[Sequence[Statement] | None] = [None] * len(bodies)
    for number, body in enumerate(bodies):
        if number != taken:
            branches[number], made[number] = here.tried(lambda other, body=body: other.recorded(body))  # type: ignore[misc]
    with here.recorder.constructing() as made[taken]:
        branches[taken] = here.recorded(bodies[taken])
    text = statement.branches[0].test.span.text
    here.recorder.choice(here.frame, decided, branches, made, text, statement.span)
