"""Expressions that are of constants alone: what stands beside networks, where there are no tensors."""

from __future__ import annotations

from collections.abc import Mapping

from wdsl.link import constants
from wdsl.link.constants import ConstantError, Value
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Fix, nearest

Names = Mapping[str, Value | None]
"""What names stand for, those of imported files as `file.name`. None is for a name that an error was reported for, and
for a file of which not all is there."""


class NoConstant(Exception):
    """The expression has no value; the diagnostic says why. It is None where an error was reported before."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


def evaluate(node: nodes.Expression, names: Names) -> Value:
    """The value of an expression. Raises NoConstant."""

    def of(part: nodes.Expression) -> Value:
        return evaluate(part, names)

    try:
        match node:
            case nodes.Literal(value):
                return constants.constant(value)
            case nodes.Name(name):
                return _named(name, node, names)
            case nodes.Attribute(nodes.Name(file), nodes.Name(name)):
                return _named(f"{file}.{name}", node, names)
            case nodes.Unary(sign, operand):
                return constants.unary(sign, of(operand))
            case nodes.Binary(sign, left, right):
                return constants.binary(sign, of(left), of(right))
            case nodes.Conditional(then, test, otherwise):
                return constants.conditional(of(then), of(test), of(otherwise))
            case nodes.List(items) | nodes.Tuple(items):
                return constants.sequence([of(each) for each in items])
            case nodes.Subscript(container, (index,)) if not isinstance(index, nodes.Slice):
                return constants.item(of(container), of(index))
            case nodes.Call(nodes.Name(name), arguments) if name in constants.FUNCTIONS and name not in names:
                if any(each.name for each in arguments):
                    raise NoConstant(Diagnostic("E0304", f"`{name}` takes constants, by position", node.span))
                return constants.call(name, [of(each.value) for each in arguments])
    except ConstantError as error:
        raise NoConstant(Diagnostic(error.code, str(error), node.span)) from None
    label = "an expression of numbers, strings, lists, and constants that are declared above"
    raise NoConstant(Diagnostic("E0205", "this is no constant", node.span, label))


def _named(name: str, node: nodes.Expression, names: Names) -> Value:
    if name in names:
        if (value := names[name]) is None:
            raise NoConstant
        return value
    file = name.partition(".")[0]
    if file in names and names[file] is None:
        raise NoConstant
    near = nearest(name, [each for each, value in names.items() if value is not None])
    label = f"did you mean `{near}`?" if near else ""
    fix = Fix(node.span, near) if near else None
    raise NoConstant(Diagnostic("E0201", f"`{name}` is not known here", node.span, label, fix=fix))
