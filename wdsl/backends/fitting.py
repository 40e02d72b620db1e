"""Lines of Python that are too long, on as many as they need."""

from __future__ import annotations

import ast
import re

from wdsl.core import expressions as ex
from wdsl.core.printing import WIDTH, layout

STATEMENT = re.compile(r"( *)(return |yield |(?:[\w.]|, |\[[^\]]*\])+ = |)(.+?)(,?)(  #.*)?")


def fitted(text: str) -> str:
    """A text of statements with one on a line, laid out as formatters would."""
    return "\n".join(_line(line) if len(line) > WIDTH else line for line in text.split("\n"))


def _line(line: str) -> str:
    found = STATEMENT.fullmatch(line)
    if found is None or found[3].startswith(('"""', "#")):
        return line
    indent, head, value, comma, comment = found.groups()
    try:
        expression = _expression(ast.parse(value, mode="eval").body)
    except (SyntaxError, TypeError):
        return line
    return indent + layout(expression, _Same(), len(indent), head, comma + (comment or ""), statement=not comma)


class _Same(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name


_BINARY = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.MatMult: "@", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=",
    ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_UNARY = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not"}


def _expression(node: ast.expr | None) -> ex.Expression:
    """An expression of Python as data. Raises TypeError for what there is no data for."""
    match node:
        case None:
            return ex.Constant(None)
        case ast.Constant(value) if isinstance(value, (int, float, str, bool, type(None))):
            return ex.Constant(value)
        case ast.Name(name):
            return ex.Variable(name)
        case ast.Attribute(value, name):
            return ex.Attribute(_expression(value), name)
        case ast.Subscript(value, index):
            return ex.Subscript(_expression(value), _expression(index))
        case ast.Slice(lower, upper, step):
            bounds = [lower, upper, *([step] if step else [])]
            return ex.Call(ex.Symbol("slice"), tuple(map(_expression, bounds)))
        case ast.Tuple(items) | ast.List(items):
            return ex.Sequence(tuple(map(_expression, items)), list if isinstance(node, ast.List) else tuple)
        case ast.Dict(keys, values) if all(isinstance(key, ast.Constant) for key in keys):
            names = [str(key.value) for key in keys if isinstance(key, ast.Constant)]
            return ex.Mapped(tuple(zip(names, map(_expression, values), strict=True)))
        case ast.BinOp(left, operator, right) if type(operator) in _BINARY:
            return ex.Operation(_BINARY[type(operator)], (_expression(left), _expression(right)))
        case ast.Compare(left, [operator], [right]) if type(operator) in _BINARY:
            return ex.Operation(_BINARY[type(operator)], (_expression(left), _expression(right)))
        case ast.UnaryOp(operator, operand):
            return ex.Operation(_UNARY[type(operator)], (_expression(operand),))
        case ast.Call(function, arguments, keywords) if all(each.arg for each in keywords):
            given = tuple((str(each.arg), _expression(each.value)) for each in keywords)
            return ex.Call(_expression(function), tuple(map(_expression, arguments)), given)
    raise TypeError
