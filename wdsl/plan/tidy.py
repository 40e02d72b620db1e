"""Statements as a careful person writes them: guards first, no second names, a step for each layer of a chain.

What is computed stays the same, and so does what is made when: that depends on how the statements are put together, and
never on how long they are, so that a network with other parameters draws the same initial values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain

from wdsl.core import expressions as ex
from wdsl.plan.printing import shown
from wdsl.plan.statements import Body, For, Function, If, Refuse, Statement, Step, expressions, mapped, variables

MOST_NESTED = 3
"""How many calls may stand in one another."""

LONGEST = 64
"""How long an assignment with calls in one another may be."""

TEMPORARY = ("y", "z", "h", "left", "right")
"""Names for what is computed within an expression, if it needs one."""


def tidy(
    body: Body, result: ex.Expression, functions: Sequence[Function], parameters: Collection[str]
) -> tuple[Body, ex.Expression, tuple[Function, ...]]:
    """The statements and the result of a network with these parameters, and the functions that it calls."""
    applied = {each.name for each in functions if each.made is None}
    body, (result,) = without_aliases(body, (result,))
    body = guards_first(_Steps(applied, variables(body)).body(body), parameters)
    return body, result, tuple(_function(each, applied) for each in functions)


def _function(function: Function, applied: Collection[str]) -> Function:
    names = [each.name for each in function.parameters]
    body, results = without_aliases(function.body, function.results)
    steps = _Steps(applied, [*function.inputs, *names, *variables((*(function.made or ()), *body))])
    body = steps.body(body)
    match body:
        case (*before, Step(targets, value)) if targets == results and len(targets) == 1:
            body, results = tuple(before), (value,)
    return function.replace(body=body, results=results)


def guards_first(body: Body, parameters: Collection[str]) -> Body:
    """What refuses values of parameters in front of all that they could break, each once."""
    guards = [each for each in body if isinstance(each, Refuse) and ex.variables(each.test) <= set(parameters)]
    once = {(each.test, each.message): each for each in reversed(guards)}
    return (*reversed(once.values()), *(each for each in body if each not in guards))


# Aliases


def without_aliases(body: Body, results: tuple[ex.Expression, ...]) -> tuple[Body, tuple[ex.Expression, ...]]:
    """Statements without those that give one variable the value of another, where either name can do for both."""
    while True:
        read = Counter(each.name for part in (*expressions(body), *results) for each in _variables(part))
        written = Counter(variables(body))
        found = _shorter(body, results, read, written, True)
        if found is None:
            return body, results
        body, results = found


def _shorter(
    body: Body, results: tuple[ex.Expression, ...], read: Counter[str], written: Counter[str], outermost: bool
) -> tuple[Body, tuple[ex.Expression, ...]] | None:
    """One alias less, or None if there is none to be had."""
    for at, statement in enumerate(body):
        match statement:
            case Step((ex.Variable(name),), ex.Variable(other)):
                before, behind = body[:at], body[at + 1 :]
                if (start := _first_name(before, name, other, read, written)) is not None:
                    step = before[start]
                    assert isinstance(step, Step)
                    changed = step.replace(targets=(ex.Variable(name),), doc=step.doc or statement.doc)
                    return (*before[:start], changed, *before[start + 1 :], *behind), results
                if (end := _until_given_again(behind, name, other)) is not None:
                    own = behind[end]
                    assert isinstance(own, Step)
                    put = _put(name, other)
                    changed = own.replace(value=put(own.value))
                    return (*before, *mapped(behind[:end], put), changed, *behind[end + 1 :]), results
                if outermost and written[name] == 1 and other not in variables(behind):
                    put = _put(name, other)
                    return (*before, *mapped(behind, put)), tuple(map(put, results))
            case For(_, _, inside):
                if found := _shorter(inside, (), read, written, False):
                    return (*body[:at], statement.replace(body=found[0]), *body[at + 1 :]), results
            case If(_, bodies):
                for number, each in enumerate(bodies):
                    if each and (found := _shorter(each, (), read, written, False)):
                        changed_bodies = (*bodies[:number], found[0], *bodies[number + 1 :])
                        return (*body[:at], statement.replace(bodies=changed_bodies), *body[at + 1 :]), results
    return None


def _first_name(
    before: Sequence[Statement], name: str, other: str, read: Counter[str], written: Counter[str]
) -> int | None:
    """Where `other` is given its value, if nothing but the alias reads it and it could have been `name` from there."""
    if read[other] != 1 or written[other] != 1:
        return None
    for at in range(len(before) - 1, -1, -1):
        statement = before[at]
        if isinstance(statement, Step) and statement.targets == (ex.Variable(other),):
            return at
        if name in variables([statement]) or any(name in ex.variables(each) for each in expressions([statement])):
            return None
    return None


def _until_given_again(behind: Sequence[Statement], name: str, other: str) -> int | None:
    """Where `name` gets its next value, if until then `other` stays what it is and nothing else may give it one."""
    for at, statement in enumerate(behind):
        if isinstance(statement, Step) and name in statement.names:
            indices = (each for each in statement.targets if not isinstance(each, ex.Variable))
            return None if any(name in ex.variables(each) for each in indices) else at
        given = set(variables([statement]))
        if name in given or other in given:
            return None
    return None


def _put(name: str, other: str) -> Callable[[ex.Expression], ex.Expression]:
    variable = ex.Variable(other)

    def put(expression: ex.Expression) -> ex.Expression:
        if name not in ex.variables(expression):
            return expression
        return ex.replaced(expression, lambda each: variable if each == ex.Variable(name) else None)

    return put


def _variables(expression: ex.Expression) -> Iterator[ex.Variable]:
    return (each for each in ex.walk(expression) if isinstance(each, ex.Variable))


# Chains


class _Steps:
    """Writes calls that stand in one another as one step after the other.

    `applied` are the functions whose first arguments are tensors, `names` those that the statements have already.
    """

    def __init__(self, applied: Collection[str], names: Iterator[str] | Sequence[str]) -> None:
        self.applied = applied
        self.names = set(names)

    def body(self, body: Sequence[Statement]) -> Body:
        found: list[Statement] = []
        for statement in body:
            match statement:
                case Step():
                    found += self.steps(statement)
                case For(_, _, inside):
                    found.append(statement.replace(body=self.body(inside)))
                case If(_, bodies):
                    found.append(statement.replace(bodies=tuple(each and self.body(each) for each in bodies)))
                case _:
                    found.append(statement)
        return tuple(found)

    def steps(self, step: Step) -> list[Step]:
        """A step, after those that give names to the chains in it that are too long."""
        before: list[Step] = []
        read = ex.variables(step.value)
        target = next(iter(step.names), None)
        free = chain([target] if target and target not in read else [], self.temporary())

        def apart(expression: ex.Expression, name: str | None = None) -> ex.Expression:
            """What is left of an expression. If it is all of the step, the last call stays, and `name` is its own."""
            calls, inner = self.chain(expression)
            if not calls:
                is_choice = isinstance(expression, ex.Operation) and expression.operator == "if"
                if is_choice or self.is_construction(expression) or not ex.parts(expression):
                    return expression  # of a choice, one side alone is carried out
                return ex.with_parts(expression, [apart(each) for each in ex.parts(expression)])
            may_nest = len(calls) == 1 or (
                len(calls) <= MOST_NESTED
                and self.made(expression) < 2
                and (name is None or len(f"{name} = {shown(expression)}") <= LONGEST)
            )
            inner = apart(inner)
            others = [(tuple(map(apart, each.arguments[1:])), [apart(v) for _, v in each.keywords]) for each in calls]
            is_last = name is not None
            if not may_nest and (name is None or any(name in ex.variables(v) for a, k in others for v in (*a, *k))):
                name = next(free)
            for call, (positional, named) in zip(calls, others, strict=True):
                keywords = tuple((key, value) for (key, _), value in zip(call.keywords, named, strict=True))
                inner = ex.Call(call.function, (inner, *positional), keywords)
                if not may_nest and not (is_last and call is calls[-1]):
                    assert name is not None
                    before.append(Step((ex.Variable(name),), inner, step.span))
                    inner = ex.Variable(name)
            return inner

        value = apart(step.value, target or next(free))
        if not before:
            return [step]
        before[0] = before[0].replace(doc=step.doc)
        return [*before, step.replace(value=value, doc="")]

    def chain(self, expression: ex.Expression) -> tuple[list[ex.Call], ex.Expression]:
        """The calls that a tensor goes through, the first one first, and what goes into it: one tensor or several."""
        calls: list[ex.Call] = []
        while isinstance(expression, ex.Call) and self.is_application(expression) and expression.arguments:
            calls.insert(0, expression)
            others = (each for one in expression.arguments[1:] for each in ex.walk(one))
            if any(isinstance(each, ex.Call) and self.is_application(each) for each in others):
                break
            expression = expression.arguments[0]
        return calls, calls[0].arguments[0] if calls else expression

    def is_application(self, call: ex.Call) -> bool:
        """Whether a call is of tensors: it does not construct anything, nor compute a number."""
        match call.function:
            case ex.Call() | ex.Variable() | ex.Subscript():
                return True
            case ex.Local(name):
                return name in self.applied
            case ex.Symbol(path):
                return "." in path and path.rpartition(".")[2][0].islower()
        return False

    def is_construction(self, expression: ex.Expression) -> bool:
        return isinstance(expression, ex.Call) and not self.is_application(expression)

    def made(self, expression: ex.Expression) -> int:
        """How many layers an expression makes, blocks of them counted once."""
        calls = (each for each in ex.walk(expression) if isinstance(each, ex.Call))
        return sum(isinstance(each.function, (ex.Call, ex.Local)) for each in calls)

    def temporary(self) -> Iterator[str]:
        yield from (each for each in TEMPORARY if each not in self.names)
        number = 2
        while True:
            if (name := f"y_{number}") not in self.names:
                yield name
            number += 1
