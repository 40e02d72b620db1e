"""Expressions that are of constants alone: what stands beside networks, where there are no tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from wdsl.core import expressions as ex
from wdsl.core.record import Record, field
from wdsl.link import constants
from wdsl.link.constants import ConstantError, TooManyItems, Value
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Fix, Label, listed, nearest, respelled
from wdsl.text.source import Span

MAX_STEPS = 500_000
"""How many steps of evaluation one constant may take: functions may call functions."""


class Definition(Record):
    """A function of constants, with what its names stand for."""

    node: nodes.Def
    names: Names = field(compare=False)

    @property
    def key(self) -> str:
        return f"{self.node.span.source.name}:{self.node.span.start}"


class Construction(Record):
    """What a constant constructs, anew wherever it stands: `const init = HeNormal()`.

    `constants` and `modules` are what names stand for where it is declared.
    """

    node: nodes.Call
    constants: Names = field(compare=False)
    modules: Mapping[str, Any] = field(compare=False)


Named: TypeAlias = Value | Definition | Construction | None
Names: TypeAlias = Mapping[str, Named]
"""What names stand for, those of imported files as `file.name`. None is for a name that an error was reported for, and
for a file of which not all is there."""

Count = Callable[[int], None]
"""What is told of steps of evaluation. It raises if they are too many."""


class NoConstant(Exception):
    """The expression has no value; the diagnostic says why. It is None where an error was reported before."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


def evaluate(node: nodes.Expression, names: Names, steps: Count | None = None) -> Value:
    """The value of an expression. Raises NoConstant."""
    count = steps or counted()

    def of(part: nodes.Expression) -> Value:
        return evaluate(part, names, count)

    count(1)
    try:
        match node:
            case nodes.Literal(value):
                return constants.constant(value)
            case nodes.Name(name):
                return _value(name, node, names)
            case nodes.Attribute(nodes.Name(file), nodes.Name(name)):
                return _value(f"{file}.{name}", node, names)
            case nodes.Unary(sign, operand):
                return constants.unary(sign, of(operand))
            case nodes.Binary(sign, left, right):
                return constants.binary(sign, of(left), of(right))
            case nodes.Conditional(then, test, otherwise):
                return constants.conditional(of(then), of(test), of(otherwise))
            case nodes.List(items) | nodes.Tuple(items):
                return constants.sequence([of(each) for each in items])
            case nodes.Subscript(container, (nodes.Slice(start, stop, step),)):
                bounds = [None if each is None else of(each) for each in (start, stop, step)]
                return constants.part(of(container), bounds)
            case nodes.Subscript(container, (index,)):
                return constants.item(of(container), of(index))
            case nodes.Comprehension():
                taken = next((each for each in node.names if each.id in names), None)
                if taken:
                    raise NoConstant(again(taken))
                return comprehension(node, of(node.values), lambda part, own: evaluate(part, {**names, **own}, count))
            case nodes.Call(nodes.Name() | nodes.Attribute(nodes.Name(), _) as function, arguments) if not _constructs(
                function
            ):
                found = _function(function, names)
                if isinstance(found, Definition):
                    given = [(each.name, of(each.value), each.span) for each in arguments]
                    return call(found, given, node.span, count)
                if isinstance(function, nodes.Name) and function.id in constants.FUNCTIONS:
                    if any(each.name for each in arguments):
                        raise NoConstant(
                            Diagnostic("E0304", f"`{function.id}` takes constants, by position", node.span)
                        )
                    return constants.call(function.id, [of(each.value) for each in arguments])
    except ConstantError as error:
        raise NoConstant(Diagnostic(error.code, str(error), node.span)) from None
    label = "an expression of numbers, strings, lists, and constants that are declared above"
    raise NoConstant(Diagnostic("E0205", "this is no constant", node.span, label))


def _constructs(function: nodes.Name | nodes.Attribute) -> bool:
    """Whether a call of it constructs something, which is no constant."""
    name = function.name if isinstance(function, nodes.Attribute) else function
    return name.id[0].isupper()


def again(name: nodes.Name) -> Diagnostic:
    """The report on a variable of a comprehension that has a name already."""
    return Diagnostic("E0202", f"`{name.id}` stands for something already", name.span, "choose another name")


def _value(name: str, node: nodes.Expression, names: Names) -> Value:
    found = _found(name, node, names)
    if isinstance(found, Definition):
        raise NoConstant(Diagnostic("E0205", f"`{name}` is a function: call it", node.span))
    if isinstance(found, Construction):
        kind = "it is constructed where an initializer, regularizer or constraint stands"
        raise NoConstant(Diagnostic("E0205", f"`{name}` has no value", node.span, kind))
    return found


def _function(node: nodes.Name | nodes.Attribute, names: Names) -> Named:
    """What is called, if it has a name in the file or in one that it imports."""
    if isinstance(node, nodes.Name):
        is_known = node.id in names or node.id not in constants.FUNCTIONS
        return _found(node.id, node, names) if is_known else None
    assert isinstance(node.value, nodes.Name)
    return _found(f"{node.value.id}.{node.name.id}", node, names)


def _found(name: str, node: nodes.Expression, names: Names) -> Value | Definition | Construction:
    if name in names:
        if (value := names[name]) is None:
            raise NoConstant
        return value
    file = name.partition(".")[0]
    if file in names and names[file] is None:
        raise NoConstant
    if name in constants.NAMES:
        return constants.NAMES[name]
    known = [each for each, value in names.items() if value is not None]
    if isinstance(node, nodes.Name) and (found := constants.word(name)) is not None:
        return found
    if isinstance(node, nodes.Name) and name in constants.FUNCTIONS:
        raise NoConstant(Diagnostic("E0205", f"`{name}` is a function: call it", node.span))
    near = nearest(name, [*known, *constants.FUNCTIONS])
    label = f"did you mean `{near}`?" if near else ""
    fix = Fix(node.span, near) if near else None
    raise NoConstant(Diagnostic("E0201", f"`{name}` is not known here", node.span, label, fix=fix))


def comprehension(
    node: nodes.Comprehension, values: Value, of: Callable[[nodes.Expression, Mapping[str, Value]], Value]
) -> Value:
    """`[element for name in values if test]`. `of` evaluates where names stand for more. Raises ConstantError."""
    if not isinstance(values.value, list):
        raise ConstantError(f"`for` goes through a list, and this is {constants.type_name(values.value)}")
    names = [each.id for each in node.names]
    found: list[Value] = []
    elements: list[ex.Expression] = []
    tests: list[ex.Expression] = []
    for each in values.value:
        items = [each]
        if len(names) > 1:
            if not isinstance(each.value, list) or len(each.value) != len(names):
                raise ConstantError(f"`for` takes each value apart into {len(names)} items")
            items = [constants.item(each, constants.constant(at)) for at in range(len(names))]
        own = {name: constants.named(name, item) for name, item in zip(names, items, strict=True)}
        if node.test is not None:
            test = of(node.test, own)
            tests.append(test.expression)
            if not test.value:
                continue
        element = of(node.element, own)
        elements.append(element.expression)
        found.append(element)
    value = constants.bounded(found)
    seen = [[_within(part, names) for part in parts] for parts in (elements, tests)]
    if not elements or any(len(set(parts)) > 1 for parts in seen):
        # Not one expression for all: what was seen is all that is known.
        return constants.sequence([Value(each.value, _without(each.expression, names)) for each in found])
    variables = _free(names, [*elements, *tests])
    element_, *test_ = (_renamed(parts[0], names, variables) for parts in seen if parts)
    expression = ex.Comprehension(element_, variables, values.expression, test_[0] if test_ else None)
    items = [Value(each.value, _without(each.expression, names)) for each in value]
    return Value(items, expression) if not ex.is_intricate(expression) else constants.sequence(items)


def _within(expression: ex.Expression, names: Sequence[str]) -> ex.Expression:
    """An expression in the variables of a comprehension."""

    def change(part: ex.Expression) -> ex.Expression | None:
        is_own = isinstance(part, ex.Seen) and isinstance(part.inside, ex.Variable) and part.inside.name in names
        return part.inside if isinstance(part, ex.Seen) and is_own else None

    return ex.replaced(expression, change)


def _without(expression: ex.Expression, names: Sequence[str]) -> ex.Expression:
    """An expression with what the variables of a comprehension stand for."""

    def change(part: ex.Expression) -> ex.Expression | None:
        is_own = isinstance(part, ex.Seen) and isinstance(part.inside, ex.Variable) and part.inside.name in names
        return part.outside if isinstance(part, ex.Seen) and is_own else None

    return ex.folded(ex.replaced(expression, change))


def _free(names: Sequence[str], expressions: Sequence[ex.Expression]) -> tuple[str, ...]:
    """Names for variables that nothing else in the expressions has, in the file or in the whole network."""
    taken = frozenset().union(*map(ex.variables, expressions))
    found = []
    for name in names:
        free = name
        while free in taken:
            free += "_"
        found.append(free)
    return tuple(found)


def _renamed(expression: ex.Expression, names: Sequence[str], variables: Sequence[str]) -> ex.Expression:
    new: dict[ex.Expression, ex.Expression] = dict(
        zip(map(ex.Variable, names), map(ex.Variable, variables), strict=True)
    )
    return expression if tuple(names) == tuple(variables) else ex.replaced(expression, new.get)


def call(
    function: Definition, arguments: Sequence[tuple[nodes.Name | None, Value, Span]], span: Span, count: Count
) -> Value:
    """What a function gives for arguments, each with the name that it is given by. Raises NoConstant."""
    node = function.node
    name, by_name = node.name.id, {each.name.id: each for each in node.parameters}
    given: dict[str, Value] = {}
    for position, (keyword, value, place) in enumerate(arguments):
        if keyword is not None and keyword.id not in by_name:
            near = nearest(keyword.id, by_name)
            label = f"did you mean `{near}`?" if near else f"it has {listed(by_name) or 'none'}"
            fix = Fix(keyword.span, near) if near else None
            raise NoConstant(
                Diagnostic("E0302", f"`{name}` has no parameter `{keyword.id}`", keyword.span, label, fix=fix)
            )
        if keyword is None and position >= len(by_name):
            many = f"at most {len(by_name)}" if by_name else "no"
            raise NoConstant(Diagnostic("E0305", f"`{name}` takes {many} arguments", place, "one too many"))
        parameter = by_name[keyword.id] if keyword is not None else node.parameters[position]
        if parameter.name.id in given:
            raise NoConstant(Diagnostic("E0306", f"`{parameter.name.id}` is given twice", place))
        type_ = parameter.type.id if parameter.type else None
        if type_ is not None and not constants.is_of(value.value, type_):
            message = f"`{parameter.name.id}` is of type `{type_}`, and this is {constants.type_name(value.value)}"
            where = (Label(parameter.span, "declared here"),)
            raise NoConstant(Diagnostic("E0304", message, place, labels=where))
        given[parameter.name.id] = value
    missing = [name for name, each in by_name.items() if name not in given and each.default is None]
    if missing:
        plural = "arguments" if len(missing) > 1 else "the argument"
        raise NoConstant(Diagnostic("E0303", f"`{name}` needs {plural} {listed(missing)}", span))
    count(len(node.parameters))
    defaults = {each.name.id: evaluate(each.default, function.names, count) for each in node.parameters if each.default}
    inside = {name: constants.named(name, value) for name, value in {**defaults, **given}.items()}
    try:
        result = evaluate(node.value, {**function.names, **inside}, count)
    except NoConstant as error:
        if error.diagnostic is not None and error.diagnostic.span.source is node.span.source:
            use = Label(span, f"in this call of `{name}`")
            raise NoConstant(error.diagnostic.replace(labels=(*error.diagnostic.labels, use))) from None
        raise
    parameters = tuple(
        (each.name.id, each.type.id if each.type else None, defaults[each.name.id].expression if each.default else None)
        for each in node.parameters
    )
    body = _within(result.expression, tuple(by_name))
    defined = ex.Defined(name, function.key, parameters, body, node.doc)
    positional = tuple(value.expression for keyword, value, _ in arguments if keyword is None)
    keywords = tuple((keyword.id, value.expression) for keyword, value, _ in arguments if keyword is not None)
    expression: ex.Expression = ex.Call(defined, positional, keywords)
    if ex.is_intricate(expression):
        if ex.variables(expression):
            message = "the result comes out of parameters in more steps than can be written down"
            raise NoConstant(Diagnostic("E0310", message, span))
        expression = constants.written(result.value)
    return Value(result.value, expression)


def unknown_type(
    parameter: nodes.Parameter, known: Sequence[str] = tuple(constants.PARAMETER_TYPES)
) -> Diagnostic | None:
    """A report if a parameter is declared of a type that is none of those that are known."""
    if parameter.type is None or parameter.type.id.removesuffix("?") in known:
        return None
    type_, span = parameter.type.id, parameter.type.span
    near = nearest(type_, known)
    label = f"the types are {listed(known)}"
    message = f"`{type_}` is not a type of parameters"
    return Diagnostic("E0308", message, span, label, fix=respelled(span, near, known))


def free_names(node: nodes.Node, own: frozenset[str] = frozenset()) -> Iterator[nodes.Name]:
    """The names in an expression, but for variables of comprehensions, arguments and what is an attribute."""
    match node:
        case nodes.Name(name):
            if name not in own:
                yield node
            return
        case nodes.Attribute(value):
            yield from free_names(value, own)
            return
        case nodes.Argument(_, value):
            yield from free_names(value, own)
            return
        case nodes.Comprehension(element, names, values, test):
            yield from free_names(values, own)
            inner = own | {each.id for each in names}
            for each in (element, test):
                yield from free_names(each, inner) if each else ()
            return
    for name in node._fields:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, nodes.Node):
                yield from free_names(part, own)


def counted() -> Count:
    """Something that counts the steps of one constant. It raises TooManyItems."""
    steps = 0

    def count(more: int) -> None:
        nonlocal steps
        steps += more
        if steps > MAX_STEPS:
            raise TooManyItems(f"this comes to more than {MAX_STEPS:,} steps of evaluation")

    return count
