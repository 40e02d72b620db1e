"""Syntax tree to text, in one canonical form: `parse(print_file(tree)) == tree`."""

from __future__ import annotations

from collections.abc import Iterable

from wdsl.syntax import nodes

_CHAIN, _CONDITIONAL, _OR, _AND, _NOT, _COMPARE, _SUM, _TERM, _SIGN, _POWER, _PRIMARY = range(11)
_LEVELS = {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "**": _POWER} | dict.fromkeys(
    ("*", "/", "//", "%", "@"), _TERM
)


def print_file(file: nodes.File) -> str:
    """The whole file, ending in a newline. Comments are not in the tree and so not in the text."""
    version = [f"wnet {file.version}\n"] if file.version is not None else []
    return "\n".join([*version, *("".join(f"{line}\n" for line in _declaration(each)) for each in file.declarations)])


def _declaration(declaration: nodes.Declaration) -> Iterable[str]:
    if isinstance(declaration, nodes.Documented):
        yield from _doc(declaration)
    match declaration:
        case nodes.Import(path, name):
            yield f"import {print_expression(path)} as {name.id}"
        case nodes.From(path, names):
            yield f"from {print_expression(path)} import {', '.join(name.id for name in names)}"
        case nodes.Const(name, value):
            yield f"const {name.id} = {print_expression(value)}"
        case nodes.Def(name, parameters, value):
            yield from _header(f"def {name.id}", parameters, f" = {print_expression(value)}", "()")
        case nodes.Extern(name, parameters, path, takes, gives):
            yield from _header(
                f"extern {name.id}", parameters, f" = {path.id} : [{_items(takes)}] -> [{_items(gives)}]"
            )
        case nodes.Network(name, parameters, body):
            yield from _header(f"network {name.id}", parameters, " {")
            yield from _body(body)
            yield "}"
        case nodes.Block(name, parameters, body):
            yield from _header(f"block {name.id}", parameters, " {")
            yield from _body(body)
            yield "}"


def _header(start: str, parameters: tuple[nodes.Parameter, ...], end: str, empty: str = "") -> Iterable[str]:
    if any(parameter.doc for parameter in parameters):
        yield f"{start}("
        for parameter in parameters:
            yield from ("    " + line for line in (*_doc(parameter), f"{_parameter(parameter)},"))
        yield f"){end}"
    else:
        inside = ", ".join(map(_parameter, parameters))
        yield f"{start}{f'({inside})' if inside else empty}{end}"


def _body(statements: Iterable[nodes.Statement]) -> Iterable[str]:
    for statement in statements:
        yield from ("    " + line for line in _statement(statement))


def _doc(node: nodes.Documented) -> Iterable[str]:
    return (f"## {line}".rstrip() for line in node.doc.splitlines())


def _parameter(parameter: nodes.Parameter) -> str:
    type_ = f": {parameter.type.id}" if parameter.type else ""
    default = f" = {print_expression(parameter.default)}" if parameter.default else ""
    return f"{parameter.name.id}{type_}{default}"


def _member(name: nodes.Name, indices: tuple[nodes.Expression, ...]) -> str:
    """`conv`, or `conv[i]` of a family."""
    return f"{name.id}[{_items(indices)}]" if indices else name.id


def _statement(statement: nodes.Statement) -> Iterable[str]:
    if isinstance(statement, nodes.Documented):
        yield from _doc(statement)
    match statement:
        case nodes.Input(name, dtype, dimensions, indices):
            shape = "" if dimensions is None else f": {dtype.id if dtype else ''}[{_items(dimensions)}]"
            yield f"input {_member(name, indices)}{shape}"
        case nodes.Layer(name, value, annotations, weights, indices):
            tail = f" {print_annotations(annotations)}" if annotations else ""
            yield f"layer {_member(name, indices)} = {print_expression(value)}{tail}{' {' if weights else ''}"
            for weight in weights:
                yield f"    {print_expression(weight.path)}: {print_annotations(weight.annotations)}"
            if weights:
                yield "}"
        case nodes.Weight(name, dimensions, value, annotations):
            start = f" = {print_expression(value)}" if value else ""
            tail = f" {print_annotations(annotations)}" if annotations else ""
            yield f"weight {name.id}: [{_items(dimensions)}]{start}{tail}"
        case nodes.Binding(names, value, indices):
            targets = [_member(*each) for each in zip(names, indices or [()] * len(names), strict=True)]
            yield f"{', '.join(targets)} = {print_expression(value)}"
        case nodes.Output(name, value, indices):
            yield f"output {f'{_member(name, indices)} = ' if name else ''}{print_expression(value)}"
        case nodes.For(names, values, body):
            yield f"for {', '.join(name.id for name in names)} in {print_expression(values)} {{"
            yield from _body(body)
            yield "}"
        case nodes.If(branches, otherwise):
            start = ""
            for branch in branches:
                yield f"{start}if {print_expression(branch.test)} {{"
                yield from _body(branch.body)
                start = "} else "
            if otherwise is not None:
                yield "} else {"
                yield from _body(otherwise)
            yield "}"
        case nodes.Assert(test, message):
            yield f"assert {print_expression(test)}{f', {print_expression(message)}' if message else ''}"


def print_annotations(annotations: Iterable[nodes.Annotation]) -> str:
    return ", ".join(map(print_annotation, annotations))


def print_annotation(annotation: nodes.Annotation) -> str:
    text = annotation.name.id
    if annotation.regions is not None:
        text += f"[{_items(annotation.regions)}]"
    if annotation.arguments is not None:
        text += f"({_arguments(annotation.arguments)})"
    if annotation.value is not None:
        text += f" = {print_expression(annotation.value)}"
    if annotation.via is not None:
        text += f" via {annotation.via.id}"
    return text


def print_expression(expression: nodes.Expression) -> str:
    return _at(expression, _CHAIN)


def _at(expression: nodes.Expression, level: int) -> str:
    """The text of an expression, in parentheses if it binds less tightly than `level`."""
    text, own = _text(expression)
    return f"({text})" if own < level else text


def _text(expression: nodes.Expression) -> tuple[str, int]:
    """The text of an expression without parentheses around it, and how tightly it binds."""
    match expression:
        case nodes.Literal(value):
            return _literal(value), _PRIMARY
        case nodes.Name(id_):
            return id_, _PRIMARY
        case nodes.Unknown():
            return "?", _PRIMARY
        case nodes.Rest():
            return "...", _PRIMARY
        case nodes.Unary("not", operand):
            return f"not {_at(operand, _NOT)}", _NOT
        case nodes.Unary(operator, operand):
            return f"{operator}{_at(operand, _SIGN)}", _SIGN
        case nodes.Binary("**", left, right):
            return f"{_at(left, _PRIMARY)} ** {_at(right, _SIGN)}", _POWER
        case nodes.Binary(operator, left, right) if operator in _LEVELS:
            level = _LEVELS[operator]
            return f"{_at(left, level)} {operator} {_at(right, level + 1)}", level
        case nodes.Binary(operator, left, right):
            return f"{_at(left, _SUM)} {operator} {_at(right, _SUM)}", _COMPARE
        case nodes.Conditional(then, test, otherwise):
            return f"{_at(then, _OR)} if {_at(test, _OR)} else {_at(otherwise, _CONDITIONAL)}", _CONDITIONAL
        case nodes.Chain(stages):
            # A condition in front of an arrow could do without parentheses, but readers could not: see W0102.
            *before, last = stages
            return " -> ".join([*(_at(stage, _OR) for stage in before), _at(last, _CONDITIONAL)]), _CHAIN
        case nodes.Call(function, arguments):
            return f"{_at(function, _PRIMARY)}({_arguments(arguments)})", _PRIMARY
        case nodes.Attribute(value, name):
            return f"{_at(value, _PRIMARY)}.{name.id}", _PRIMARY
        case nodes.Subscript(value, items):
            return f"{_at(value, _PRIMARY)}[{_items(items)}]", _PRIMARY
        case nodes.Slice(start, stop, step):
            bounds = [start, stop] if step is None else [start, stop, step]
            return ":".join("" if bound is None else print_expression(bound) for bound in bounds), _CHAIN
        case nodes.Tuple(items):
            return f"({_items(items)}{',' if len(items) == 1 else ''})", _PRIMARY
        case nodes.List(items):
            return f"[{_items(items)}]", _PRIMARY
        case nodes.Comprehension(element, names, values, test):
            condition = f" if {_at(test, _OR)}" if test else ""
            targets = ", ".join(name.id for name in names)
            return f"[{print_expression(element)} for {targets} in {_at(values, _OR)}{condition}]", _PRIMARY
        case nodes.By(key):
            return f"by {print_expression(key)}", _NOT
        case nodes.Axis(axis):
            return f"axis {print_expression(axis)}", _NOT
        case nodes.Where(predicate):
            return f"where {print_expression(predicate)}", _NOT


def _literal(value: float | str | bool | None) -> str:
    match value:
        case None | bool():
            return str(value).lower()
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            return f'"{escaped}"'
        case _:
            return repr(value)


def _items(items: Iterable[nodes.Expression]) -> str:
    return ", ".join(map(print_expression, items))


def _arguments(arguments: Iterable[nodes.Argument]) -> str:
    return ", ".join(
        (f"{argument.name.id}=" if argument.name else "") + print_expression(argument.value) for argument in arguments
    )
