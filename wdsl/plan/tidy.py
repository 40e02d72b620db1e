"""Statements as a careful person writes them: guards first, no second names, a step for each layer of a chain.

What is computed stays the same, and so does what is made when: that depends on how the statements are put together, and
never on how long they are, so that a network with other parameters draws the same initial values.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from wdsl.core import expressions as ex
from wdsl.core.printing import shown
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
    read = Counter(name for part in (*expressions(body), *results) for name in _names(part))
    written = Counter(variables(body))
    aliases = _Aliases(body, read, written, True)
    return aliases.swept(), tuple(map(aliases.put, results))


class _Aliases:
    """The statements of one body, gone through once. `read` and `written` count names in the whole function."""

    def __init__(self, body: Body, read: Counter[str], written: Counter[str], outermost: bool) -> None:
        self.found: list[Statement | None] = list(body)
        self.read = read
        self.written = written
        self.outermost = outermost
        # Where each name is read and given a value, by the statements' numbers.
        self.reads: dict[str, list[int]] = {}
        self.writes: dict[str, list[int]] = {}
        for at, statement in enumerate(body):
            for name in dict.fromkeys(name for each in expressions([statement]) for name in _names(each)):
                self.reads.setdefault(name, []).append(at)
            for name in dict.fromkeys(variables([statement])):
                self.writes.setdefault(name, []).append(at)
        # The names that others stand for from here on, and the statement that ends it, if one does.
        self.others: dict[str, str] = {}
        self.ends: dict[int, str] = {}

    def swept(self) -> Body:
        for at in range(len(self.found)):
            statement = self.renamed(self.found[at])
            if at in self.ends:
                del self.others[self.ends.pop(at)]
            self.found[at] = statement
            match statement:
                case Step((ex.Variable(name),), ex.Variable(other)):
                    if name == other or self.is_made_up(at, name, other, statement.doc):
                        self.found[at] = None
                case For(_, _, inside):
                    self.found[at] = statement.replace(body=self.inside(inside))
                case If(_, bodies):
                    self.found[at] = statement.replace(bodies=tuple(each and self.inside(each) for each in bodies))
        return tuple(each for each in self.found if each is not None)

    def inside(self, body: Body) -> Body:
        return _Aliases(body, self.read, self.written, False).swept()

    def is_made_up(self, at: int, name: str, other: str, doc: str) -> bool:
        """Whether nobody needs the alias: one of the names stands for the other from now on, or did from the start."""
        if self.read[other] == self.written[other] == 1 and (first := self.writes.get(other, [at])[0]) < at:
            step = self.found[first]
            is_free = not any(self.between(each, name, first, at) for each in (self.writes, self.reads))
            if is_free and isinstance(step, Step) and step.targets == (ex.Variable(other),):
                self.found[first] = step.replace(targets=(ex.Variable(name),), doc=step.doc or doc)
                self.writes[name].remove(at)
                insort(self.writes[name], first)
                return True
        place = bisect_right(self.writes[name], at)
        end = self.writes[name][place] if place < len(self.writes[name]) else None
        last = self.found[end] if end is not None else None
        if end is not None and isinstance(last, Step) and name in last.names:
            if self.between(self.writes, other, at, end):
                return False
            self.ends[end] = name
        else:
            is_last = end is None and self.outermost and self.written[name] == 1
            if not is_last or self.between(self.writes, other, at, len(self.found)):
                return False
        self.others[name] = other
        self.read[other] += self.read[name]
        self.reads[other] = sorted({*self.reads.get(other, ()), *self.reads.get(name, ())})
        return True

    def between(self, places: Mapping[str, Sequence[int]], name: str, start: int, end: int) -> bool:
        """Whether a name is read, or given a value, by a statement after one and before another."""
        numbers = places.get(name, ())
        at = bisect_right(numbers, start)
        return at < len(numbers) and numbers[at] < end

    def renamed(self, statement: Statement | None) -> Statement:
        assert statement is not None
        if not self.others:
            return statement
        if not isinstance(statement, Step):
            return mapped([statement], self.put)[0]
        targets = (each if isinstance(each, ex.Variable) else self.put(each) for each in statement.targets)
        return statement.replace(targets=tuple(targets), value=self.put(statement.value))

    def put(self, expression: ex.Expression) -> ex.Expression:
        if not self.others or self.others.keys().isdisjoint(ex.variables(expression)):
            return expression

        def other(each: ex.Expression) -> ex.Expression | None:
            name = self.others.get(each.name) if isinstance(each, ex.Variable) else None
            return None if name is None else ex.Variable(name)

        return ex.replaced(expression, other)


def _names(expression: ex.Expression) -> Iterator[str]:
    return (each.name for each in ex.walk(expression) if isinstance(each, ex.Variable))


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
