"""What equations of a model say, as the annotations of a `.wnet` file that state them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from wdsl.core import expressions as ex
from wdsl.weights import words

SIGNS = {
    "add": "+",
    "subtract": "-",
    "negative": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "**",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "bitwise_and": "&",
    "logical_and": "&",
    "bitwise_or": "|",
    "logical_or": "|",
    "invert": "~",
    "logical_not": "~",
}
FUNCTIONS: dict[str, str] = {"minimum": "np.minimum", "maximum": "np.maximum", "absolute": "abs"}
INDICES = ("i", "j", "k", "l_", "m")


def annotation_of(equation: Any, rank: int, weight: str) -> str:
    """The annotation that states an equation of a weight with so many axes: `equal[by (j - i) % 8]`.

    Parameters of the network have their values in it, which is all that a live model knows of them.
    """
    return words.annotation(_expression(equation, rank), {}, weight)


def annotations_in(text: str) -> list[str]:
    """The annotations of a list, as the class of a written module has it: "symmetric, zero[0, diagonal]"."""
    found, depth, quoted = [""], 0, False
    for before, char in zip(" " + text, text, strict=False):
        quoted ^= char == '"' and before != "\\"
        depth += 0 if quoted else (char in "([{") - (char in ")]}")
        if char == "," and not depth and not quoted:
            found.append("")
        else:
            found[-1] += char
    return [each.strip() for each in found]


def _expression(term: Any, rank: int) -> ex.Expression:
    """A term of the runtime, or a part of one, as the compiler has it: what constructs it."""
    # Terms are known by what they have: a loaded model's may be of another module than this package's.
    name = type(term).__name__
    if hasattr(term, "mechanism"):
        return ex.Call(ex.Symbol(name), (ex.Constant(term.mechanism), _expression(term.equation, rank)))
    if hasattr(term, "equation"):  # of a weight that lies among others
        return _expression(term.equation, rank)
    if hasattr(term, "steps"):
        return _view(term)
    if hasattr(term, "file"):
        return ex.Call(ex.Symbol(name), (ex.Constant(term.file),))
    if hasattr(term, "function"):
        return ex.Call(ex.Symbol(name), (ex.Lambda((), _traced(term.function)),))
    if hasattr(term, "sign"):  # its axes are the two of a matrix, unless there are more
        axes = (term.a, term.b) if rank != 2 else ()
        return ex.Call(ex.Symbol(name), tuple(map(ex.Constant, axes)))
    if hasattr(term, "parts"):
        usual = getattr(term, "__dataclass_fields__", {}) and [each.default for each in fields(term)]
        parts = term.parts() if MISSING in usual or list(term.parts()) != usual else ()
        return ex.Call(ex.Symbol(name), tuple(_expression(each, rank) for each in parts))
    return _item(term)


def _item(value: Any) -> ex.Expression:
    """What stands between brackets: a number or a slice."""
    if isinstance(value, slice):
        bounds = (value.start, value.stop) if value.step is None else (value.start, value.stop, value.step)
        return ex.Call(ex.Symbol("slice"), tuple(map(ex.Constant, bounds)))
    return ex.Constant(value)


def _traced(tree: Any) -> ex.Expression:
    """A predicate or key, from the tree that the runtime keeps of it."""
    if not isinstance(tree, tuple):
        return ex.Constant(tree)
    name, arguments = str(tree[0]), tree[1:]
    if name == "axis":
        return ex.Variable(INDICES[arguments[0]])
    if name == "size":
        return ex.Subscript(ex.Variable("shape"), ex.Constant(arguments[0]))
    operands = tuple(map(_traced, arguments))
    if name in SIGNS:
        return ex.Operation(SIGNS[name], operands)
    return ex.Call(ex.Symbol(FUNCTIONS.get(name, name)), operands)


def _view(view: Any) -> ex.Expression:
    found: ex.Expression = ex.Call(ex.Symbol("View"), (ex.Constant(view.weight),) if view.weight else ())
    for name, *arguments in view.steps:
        items = tuple(map(_item, arguments))
        if name == "get":
            found = ex.Subscript(found, _one_or_several(items))
        elif arguments:
            found = ex.Call(ex.Attribute(found, name), items)
        else:
            found = ex.Attribute(found, "T")
    if view.factor == -1:
        return ex.Operation("-", (found,))
    return found if view.factor == 1 else ex.Operation("*", (ex.Constant(view.factor), found))


def _one_or_several(items: Sequence[ex.Expression]) -> ex.Expression:
    return items[0] if len(items) == 1 else ex.Sequence(tuple(items))
