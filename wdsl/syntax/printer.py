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
    return "\n".join(_network(network) for network in file.networks)


def _network(network: nodes.Network) -> str:
    lines = [*_doc(network)]
    if any(parameter.doc for parameter in network.parameters):
        lines.append(f"network {network.name.id}(")
        for parameter in network.parameters:
            lines.extend("    " + line for line in (*_doc(parameter), f"{_parameter(parameter)},"))
        lines.append(") {")
    else:
        parameters = ", ".join(map(_parameter, network.parameters))
        lines.append(f"network {network.name.id}{f'({parameters})' if parameters else ''} {{")
    for statement in network.body:
        lines.extend("    " + line for line in _statement(statement))
    return "\n".join([*lines, "}", ""])


def _doc(node: nodes.Documented) -> Iterable[str]:
    return (f"## {line}".rstrip() for line in node.doc.splitlines())


def _parameter(parameter: nodes.Parameter) -> str:
    type_ = f": {parameter.type.id}" if parameter.type else ""
    default = f" = {print_expression(parameter.default)}" if parameter.default else ""
    return f"{parameter.name.id}{type_}{default}"


def _statement(statement: nodes.Statement) -> Iterable[str]:
    if isinstance(statement, nodes.Documented):
        yield from _doc(statement)
    match statement:
        case nodes.Input(name, dtype, dimensions):
            yield f"input {name.id}: {dtype.id if dtype else ''}[{_items(dimensions)}]"
        case nodes.Layer(name, value, annotations, weights):
            tail = f" {print_annotations(annotations)}" if annotations else ""
            yield f"layer {name.id} = {print_expression(value)}{tail}{' {' if weights else ''}"
            for weight in weights:
                yield f"    {weight.path.id}: {print_annotations(weight.annotations)}"
            if weights:
                yield "}"
        case nodes.Weight(name, dimensions, value, annotations):
            start = f" = {print_expression(value)}" if value else ""
            tail = f" {print_annotations(annotations)}" if annotations else ""
            yield f"weight {name.id}: [{_items(dimensions)}]{start}{tail}"
        case nodes.Binding(names, value):
            yield f"{', '.join(name.id for name in names)} = {print_expression(value)}"
        case nodes.Output(name, value):
            yield f"output {f'{name.id} = ' if name else ''}{print_expression(value)}"


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
            return " -> ".join(_at(stage, _CONDITIONAL) for stage in stages), _CHAIN
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
