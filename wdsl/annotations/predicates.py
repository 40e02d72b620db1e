"""`where …` and `by …`: expressions in the indices of an entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from wdsl.annotations.subject import Subject
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link.constants import MAX_INTEGER, type_name
from wdsl.syntax import nodes
from wdsl.text.source import Span

INDICES = "ijklm"
"""The names of the indices on axes 0 to 4."""


class Term(Record):
    """A part of a predicate: its expression, whether it is a truth value and no number, and how large it gets."""

    expression: ex.Expression
    truth: bool
    bound: float


class Predicate:
    """`where …` and `by …`: an expression in the indices of an entry."""

    def __init__(self, subject: Subject):
        self.subject = subject
        self.shape = subject.shape
        self.name = subject.name
        self.used: set[str] = set()

    def read(self, node: nodes.Expression) -> ex.Expression | None:
        found = self.term(node)
        if found is None:
            return None
        if not found.truth:
            self.error("`where` takes a comparison", node.span, "this is a number")
            return None
        return self.traced("Where", node, found)

    def read_key(self, node: nodes.Expression) -> ex.Expression | None:
        found = self.term(node)
        return None if found is None else self.traced("By", node, found)

    def traced(self, symbol: str, node: nodes.Expression, found: Term) -> ex.Expression | None:
        if not self.used:
            self.error("this is the same for every entry", node.span, "none of the indices `i j k l m` is in it")
            return None
        parameters = tuple(_argument(name) for name in (*INDICES, "shape") if name in self.used)
        return ex.Call(ex.Symbol(symbol), (ex.Lambda(parameters, found.expression),))

    def error(self, message: str, span: Span, label: str = "") -> None:
        self.subject.error("E0511", message, span, label)

    def term(self, node: nodes.Expression) -> Term | None:
        """The part of a predicate that a node is; None after a report."""
        if not _mentions_indices(node):
            return self.constant(node)
        rank = len(self.shape)
        match node:
            case nodes.Name("shape"):
                self.error("`shape` is a list: write `shape[0]`", node.span)
                return None
            case nodes.Name(id_):
                axis = INDICES.index(id_)
                if axis >= rank:
                    self.error(f"`{self.name}` has {self.subject.axes}, so there is no `{id_}`", node.span)
                    return None
                self.used.add(id_)
                return Term(ex.Variable(_argument(id_)), False, self.shape[axis])
            case nodes.Subscript(nodes.Name("shape"), (index,)):
                whole = self.subject.whole(index)
                if whole is None:
                    return None
                if not -rank <= whole.value < rank:
                    self.error(f"`{self.name}` has {self.subject.axes}", index.span)
                    return None
                self.used.add("shape")
                return Term(ex.Subscript(ex.Variable("shape"), whole.expression), False, self.shape[whole.value])
            case nodes.Unary(sign, operand):
                return self.apply(node, sign, (operand,), sign == "not")
            case nodes.Binary(sign, left, right) if sign != "@":
                return self.apply(node, sign, (left, right), sign in ("and", "or"))
            case nodes.Call(nodes.Name("abs"), (argument,)) if argument.name is None:
                return self.apply(node, "abs", (argument.value,), False)
            case nodes.Call(nodes.Name("min" | "max" as function), (first, second)) if not (first.name or second.name):
                return self.apply(node, function, (first.value, second.value), False)
        self.error("this has no place in a predicate", node.span)
        return None

    def constant(self, node: nodes.Expression) -> Term | None:
        value = self.subject.constant(node)
        if value is None:
            return None
        if "l_" in ex.variables(value.expression) and len(self.shape) > INDICES.index("l"):
            self.error("`l_` is what the index `l` is called in Python", node.span, "give it another name")
            return None
        if isinstance(value.value, bool):
            return Term(value.expression, True, 1)
        if isinstance(value.value, (int, float)):
            return Term(value.expression, False, abs(value.value))
        self.error(f"a predicate has no place for {type_name(value.value)}", node.span)
        return None

    def apply(
        self, node: nodes.Expression, sign: str, operands: Sequence[nodes.Expression], truth: bool
    ) -> Term | None:
        """An operator or function, of truth values if `truth` and of numbers if not."""
        terms = [self.term(operand) for operand in operands]
        for operand, term in zip(operands, terms, strict=True):
            if term and term.truth != truth:
                kinds = ("a number", "a truth value")
                self.error(f"`{sign}` takes {kinds[truth]}, not {kinds[not truth]}", operand.span)
                return None
        found = [term for term in terms if term]
        if len(found) < len(operands):
            return None
        expressions = tuple(term.expression for term in found)
        bounds = [term.bound for term in found]
        if sign == "**":
            # Beyond 64 bits NumPy's integers wrap around and say nothing.
            exponent = operands[1]
            if _mentions_indices(exponent) or not isinstance(exponent, nodes.Literal) or bounds[1] > 64:
                self.error("the exponent of `**` is a number from 0 to 64 in a predicate", exponent.span)
                return None
        bound = _BOUNDS.get(sign, max)(*bounds) if len(bounds) > 1 else bounds[0]
        if bound > MAX_INTEGER:
            self.error("numbers larger than 64 bits hold can come up here", node.span)
            return None
        if sign in ("min", "max", "abs"):
            return Term(ex.Call(ex.Symbol("abs" if sign == "abs" else f"np.{sign}imum"), expressions), False, bound)
        operator = {"and": "&", "or": "|", "not": "~"}.get(sign, sign)
        return Term(ex.Operation(operator, expressions), truth or sign in ("==", "!=", "<", "<=", ">", ">="), bound)


_BOUNDS: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a,
    "//": lambda a, b: a,
    "%": lambda a, b: b,
    "**": lambda a, b: max(1, a) ** b,
}
"""How large the result of an operator can get, of operands that are not larger than a and b."""


def _argument(name: str) -> str:
    """The lambda's argument for an index: linters refuse `l`, and so the runtime calls it `l_`."""
    return "l_" if name == "l" else name


def _mentions_indices(node: nodes.Expression) -> bool:
    match node:
        case nodes.Name(id_):
            return id_ in INDICES or id_ == "shape"
        case nodes.Unary(_, operand):
            return _mentions_indices(operand)
        case nodes.Binary(_, left, right):
            return _mentions_indices(left) or _mentions_indices(right)
        case nodes.Conditional(then, test, otherwise):
            return any(map(_mentions_indices, (then, test, otherwise)))
        case nodes.Call(_, arguments):
            return any(_mentions_indices(argument.value) for argument in arguments)
        case nodes.Subscript(value, items):
            return any(map(_mentions_indices, (value, *items)))
        case nodes.List(items) | nodes.Tuple(items):
            return any(map(_mentions_indices, items))
    return False
