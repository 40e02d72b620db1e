"""Expressions as Python source, laid out as ruff's formatter would."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping

from wdsl.core import expressions as ex

WIDTH = 88
_TERNARY, _OR, _AND, _NOT, _COMPARE, _BIT_OR, _BIT_AND, _SUM, _TERM, _SIGN, _POWER, _PRIMARY = range(1, 13)
_LEVELS = {
    "if": _TERNARY,
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), _COMPARE),
    "|": _BIT_OR,
    "&": _BIT_AND,
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%", "@"), _TERM),
    "**": _POWER,
}

Names = Mapping[str, str]
"""The Python identifier of each variable, of each constant by its key, of each class from elsewhere by its path."""


class _OwnNames(dict[str, str]):
    """Every variable under its own name."""

    def __missing__(self, name: str) -> str:
        return name


def shown(expression: ex.Expression) -> str:
    """The expression on one line, with the names that the file has."""
    constants = {each.key: each.name for each in ex.walk(expression) if isinstance(each, ex.Named | ex.Defined)}
    return flat(expression, _OwnNames(constants))


def flat(expression: ex.Expression, names: Names, level: int = 0) -> str:
    """The expression on one line, in parentheses if it binds less tightly than `level`."""
    text, own = _flat(expression, names)
    return f"({text})" if own < level else text


def _flat(expression: ex.Expression, names: Names) -> tuple[str, int]:
    match expression:
        case ex.Constant(value):
            negative = isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0
            return _literal(value), _SIGN if negative else _PRIMARY
        case ex.Variable(name) | ex.External(name) | ex.Local(name):
            return names[name], _PRIMARY
        case ex.Named(_, key) | ex.Defined(_, key):
            return names[key], _PRIMARY
        case ex.Joined(texts):
            return _formatted(texts, names), _PRIMARY
        case ex.Symbol(path):
            return path, _PRIMARY
        case ex.Operation("if", (then, test, otherwise)):
            test_ = flat(test, names, _OR)
            return f"{flat(then, names, _OR)} if {test_} else {flat(otherwise, names, _TERNARY)}", _TERNARY
        case ex.Operation("not", (operand,)):
            return f"not {flat(operand, names, _NOT)}", _NOT
        case ex.Operation(sign, (ex.Operation("**", (_, _)) as power,)):
            return f"{sign}{flat(power, names, _PRIMARY)}", _SIGN  # as formatters write it: -(x**2)
        case ex.Operation(sign, (operand,)):
            return f"{sign}{flat(operand, names, _SIGN)}", _SIGN
        case ex.Operation("**", (left, right)):
            base = flat(left, names, _PRIMARY)
            beside = right.operands[0] if isinstance(right, ex.Operation) and right.operator == "**" else right
            space = "" if _is_operand(left) and _is_operand(beside) and base[0] != "(" else " "
            return f"{base}{space}**{space}{flat(right, names, _SIGN)}", _POWER
        case ex.Operation("==" | "!=" as sign, (left, ex.Constant(None))):
            return f"{flat(left, names, _COMPARE + 1)} is {'not ' if sign == '!=' else ''}None", _COMPARE
        case ex.Operation(sign, (left, right)):
            level = _LEVELS[sign]
            left_level = level + 1 if level == _COMPARE else level
            return f"{flat(left, names, left_level)} {sign} {flat(right, names, level + 1)}", level
        case ex.Comprehension():
            return f"tuple({_generator(expression, names)})", _PRIMARY
        case ex.Call(ex.Symbol("sum" | "any" | "all" | "max" | "min" as name), (ex.Comprehension() as inside,)):
            return f"{name}({_generator(inside, names)})", _PRIMARY
        case ex.Lambda(parameters, body):
            inner = ChainMap({name: name for name in parameters}, names)  # type: ignore[arg-type]
            return f"lambda {', '.join(parameters)}: {flat(body, inner, _TERNARY)}", 0
        case ex.Unpacked(values):
            return f"*{flat(values, names, _OR)}", 0
        case ex.Subscript(value, index):
            return f"{flat(value, names, _PRIMARY)}[{_index(index, names)}]", _PRIMARY
        case ex.Attribute(value, name):
            return f"{flat(value, names, _PRIMARY)}.{name}", _PRIMARY
        case ex.Call(function):
            opening, items, closing = _brackets(expression, names)
            return (
                f"{flat(function, names, _PRIMARY)}{opening}{', '.join(each(0) for each in items)}{closing}",
                _PRIMARY,
            )
        case ex.Sequence(items, kind) if kind is tuple and len(items) == 1:
            return f"({flat(items[0], names)},)", _PRIMARY
    opening, parts, closing = _brackets(expression, names)
    return f"{opening}{', '.join(each(0) for each in parts)}{closing}", _PRIMARY


def _generator(each: ex.Comprehension, names: Names) -> str:
    """`2 * w for w in widths if w > 1`"""
    inner = ChainMap({name: name for name in each.names}, names)  # type: ignore[arg-type]
    test = "" if each.test is None else f" if {flat(each.test, inner, _OR)}"
    values = flat(iterated(each.values), names, _OR)
    return f"{flat(each.element, inner, _TERNARY)} for {', '.join(each.names)} in {values}{test}"


def iterated(values: ex.Expression) -> ex.Expression:
    """What a loop goes through: `range(n)`, without a tuple of it."""
    match values:
        case ex.Call(ex.Symbol("tuple"), (ex.Call(ex.Symbol(name)) as inner,)) if name in _ITERATED:
            return inner
    return values


_ITERATED = frozenset({"range", "enumerate", "zip", "reversed", "sorted"})


def _formatted(parts: tuple[str | ex.Expression, ...], names: Names) -> str:
    """An f-string of parts of names: no text in it has quotes or braces, and what is put in are variables."""
    return f'f"{"".join(part if isinstance(part, str) else f"{{{flat(part, names)}}}" for part in parts)}"'


def _index(index: ex.Expression, names: Names) -> str:
    """What stands between the brackets of a subscript, slices with colons."""
    match index:
        case ex.Sequence(items, kind) if len(items) > 1 and kind is tuple:
            return ", ".join(_index(item, names) for item in items)
        case ex.Call(ex.Symbol("slice"), bounds):
            start_stop_step = (ex.Constant(None), *bounds) if len(bounds) == 1 else bounds
            colon = ":" if all(map(_is_simple, bounds)) else " : "
            parts = ["" if each == ex.Constant(None) else flat(each, names) for each in start_stop_step]
            return colon.join(parts).strip()
    return flat(index, names)


def _is_operand(expression: ex.Expression) -> bool:
    """Whether the formatter sets `**` without spaces beside this operand."""
    while isinstance(expression, ex.Attribute):
        expression = expression.value
    match expression:
        case ex.Operation("-" | "+", (operand,)):
            return _is_operand(operand)
    return _is_simple(expression)


def _is_simple(expression: ex.Expression) -> bool:
    """Whether the formatter sets the colon of a slice without spaces beside this bound."""
    match expression:
        case ex.Operation("-" | "+", (operand,)):
            return _is_simple(operand)
        case ex.Constant(value):
            return value is None or isinstance(value, (int, float))
    return isinstance(expression, (ex.Variable, ex.Named, ex.Symbol))


def _literal(value: float | str | bool | None) -> str:
    if isinstance(value, str):
        # Python's own escapes for whatever does not print, in the quotes that formatters prefer.
        text = repr('"' + value)[2:-1]
        if value.count('"') > value.count("'"):
            return f"'{text}'"
        return '"' + text.replace("\\'", "'").replace('"', '\\"') + '"'
    return repr(value).replace("e+", "e")


Item = Callable[[int], str]
"""A part between brackets: on one line for indent 0, else laid out at that indent."""


def _brackets(expression: ex.Expression, names: Names) -> tuple[str, list[Item], str]:
    """The brackets of a call, sequence or dictionary, and the items between them."""

    def item(value: ex.Expression, before: str = "") -> Item:
        return lambda indent: before + flat(value, names) if not indent else layout(value, names, indent, before, ",")

    match expression:
        case ex.Call(_, arguments, keywords):
            items = [item(each) for each in arguments] + [item(each, f"{name}=") for name, each in keywords]
            return "(", items, ")"
        case ex.Mapped(pairs):
            named = [(ex.UNPACKED if key == ex.UNPACKED else f"{_literal(key)}: ", value) for key, value in pairs]
            return "{", [item(value, before) for before, value in named], "}"
        case ex.Sequence(items_, kind):
            return ("[" if kind is list else "("), list(map(item, items_)), ("]" if kind is list else ")")
    raise TypeError(f"{expression!r} has no brackets")


def layout(
    expression: ex.Expression,
    names: Names,
    indent: int,
    before: str = "",
    after: str = "",
    statement: bool = False,
) -> str:
    """The expression with what stands before and after it, on as many lines as it needs.

    `indent` is that of the first line, which the text does not include; `statement` says that it is an assignment's
    right side, where an operation needs parentheses to be broken.
    """
    text = flat(expression, names)
    if indent + len(before) + len(text) + len(after) <= WIDTH:
        return f"{before}{text}{after}"
    match expression:
        case ex.Call(ex.Call() as inner, _, _) if (
            len(text) - len(flat(inner, names)) < 30
            and indent + len(before) + len(flat(inner, names)) + len("(") > WIDTH
        ):
            opening, items, closing = _brackets(expression, names)
            rest = f"{opening}{', '.join(each(0) for each in items)}{closing}"
            return layout(inner, names, indent, before, rest + after)
        case ex.Call(function) if statement and indent + len(f"{before}{flat(function, names, _PRIMARY)}(") > WIDTH:
            return _wrapped(f"{before}(", layout(expression, names, indent + 4), indent, f"){after}")
        case ex.Call(function):
            return _broken(f"{before}{flat(function, names, _PRIMARY)}", expression, names, indent, after)
        case ex.Mapped(items) | ex.Sequence(items) if items:
            return _broken(before, expression, names, indent, after)
        case ex.Subscript(value, index):
            head = f"{before}{flat(value, names, _PRIMARY)}["
            if indent + len(head) <= WIDTH:
                return _wrapped(head, _index(index, names), indent, f"]{after}")
            return layout(value, names, indent, before, f"[{_index(index, names)}]{after}")
        case ex.Operation("-" | "+" | "~" as sign, (ex.Call() | ex.Subscript() as operand,)):
            return layout(operand, names, indent, before + sign, after)
        case ex.Operation("-" | "+" | "~" as sign, (ex.Operation(_, (_, _)) as operand,)):
            return _wrapped(f"{before}{sign}(", _operation(operand, names, indent + 4), indent, f"){after}")
        case ex.Operation(sign, (left, ex.Call(function, arguments, keywords) as right)) if (
            statement
            and sign in _LEVELS
            and (arguments or keywords)
            and not (isinstance(left, ex.Operation) and _LEVELS.get(left.operator) == _LEVELS[sign])
            and indent + len(f"{before}{flat(left, names, _LEVELS[sign])} {sign} {flat(function, names)}(") <= WIDTH
        ):  # with one operator, and brackets behind it, these are broken
            return layout(right, names, indent, f"{before}{flat(left, names, _LEVELS[sign])} {sign} ", after)
        case ex.Lambda(parameters, body):
            inner_names = ChainMap({name: name for name in parameters}, names)  # type: ignore[arg-type]
            head = f"{before}lambda {', '.join(parameters)}: ("
            return _wrapped(head, _operation(body, inner_names, indent + 4), indent, f"){after}")
        case ex.Attribute() if statement and indent + 4 + len(text) <= WIDTH:
            return _wrapped(f"{before}(", text, indent, f"){after}")
        case ex.Operation() if statement:
            return _wrapped(f"{before}(", _operation(expression, names, indent + 4), indent, f"){after}")
        case ex.Operation():
            return f"{before}{_operation(expression, names, indent)}{after}"
    return f"{before}{text}{after}"


def _broken(head: str, expression: ex.Expression, names: Names, indent: int, after: str) -> str:
    """A bracketed expression with its items on lines of their own."""
    opening, items, closing = _brackets(expression, names)
    joined = ", ".join(each(0) for each in items)
    inside = indent + 4
    single_tuple = isinstance(expression, ex.Sequence) and expression.kind is tuple and len(items) == 1
    if inside + len(joined) <= WIDTH and (isinstance(expression, ex.Call) or len(items) == 1) and not single_tuple:
        body = joined
    elif len(items) == 1 and not single_tuple:
        body = items[0](inside).removesuffix(",")
    else:
        body = f"\n{' ' * inside}".join(each(inside) for each in items)
    return _wrapped(f"{head}{opening}", body, indent, f"{closing}{after}")


def _wrapped(head: str, body: str, indent: int, tail: str) -> str:
    return f"{head}\n{' ' * (indent + 4)}{body}\n{' ' * indent}{tail}"


def _operation(expression: ex.Expression, names: Names, indent: int, before: str = "", level: int = 0) -> str:
    """What stands between operators: on one line if it fits, else with the operators at the beginnings of lines.

    In parentheses if it binds less tightly than `level`.
    """
    text, own = _flat(expression, names)
    if indent + len(before) + len(text) + 2 * (own < level) <= WIDTH:
        return f"{before}({text})" if own < level else f"{before}{text}"
    if own < level:
        return _wrapped(f"{before}(", _operation(expression, names, indent + 4), indent, ")")
    if not isinstance(expression, ex.Operation):
        return layout(expression, names, indent, before)
    if len(expression.operands) == 1:
        return before + text
    if expression.operator == "if":
        then, test, otherwise = expression.operands
        branches = (then, before, _OR), (test, "if ", _OR), (otherwise, "else ", _TERNARY)
        return f"\n{' ' * indent}".join(_operation(each, names, indent, head, at) for each, head, at in branches)
    parts: list[str] = []
    while (
        isinstance(expression, ex.Operation) and len(expression.operands) == 2 and _LEVELS[expression.operator] == own
    ):
        left, right = expression.operands
        parts.insert(0, _operation(right, names, indent, f"{expression.operator} ", own + 1))
        expression = left
    return f"\n{' ' * indent}".join([_operation(expression, names, indent, before, own), *parts])
