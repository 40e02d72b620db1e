"""`assert`: what must be true of the network once its weights are solved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from wdsl import catalog
from wdsl.annotations.equations import WeightName
from wdsl.annotations.references import Reference
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.network.graph import UNKNOWN_SIZE, Assertion, Claim, Comparison
from wdsl.network.objects import Broken, FreeWeightObject, Group, LayerObject, Result, Tensor, Tensors, kind_of
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_expression
from wdsl.text.diagnostics import Fix, Label, nearest

COUNTS = ("parameters", "dense_parameters")
"""The names that an assertion has besides those of its place."""
FUNCTIONS = ("shape", "free", "nonzero")
"""The functions that an assertion has besides those of constants."""
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def read_assertion(
    statement: nodes.Assert,
    names: Mapping[str, Result],
    known: Collection[str],
    evaluate: Callable[[nodes.Expression], Result],
    weight: Callable[[nodes.Expression], Reference | None],
    kept: Collection[str | None],
    error: Callable[..., object],
    circumstances: tuple[Label, ...] = (),
) -> Assertion | None:
    """What an `assert` claims; None after a report, or if it has to do with what was reported already.

    Args:
        statement: The statement.
        names: What the names that it mentions stand for at its place, if they do for something.
        known: These, and the names of the whole file.
        evaluate: What an expression stands for at its place, BROKEN after a report.
        weight: The weight that a path leads to from there, None after a report.
        kept: The layers and free weights that the network needs.
        error: Reports an error, as an Elaborator does.
        circumstances: The passes of loops and the uses of blocks that it is read in.
    """
    parts = list(_conjuncts(statement.test))
    claims = []
    for part in parts:
        scope = _Scope(names, known, evaluate, weight, kept, error)
        expression = scope.term(part)
        if expression is not None:
            claims.append(Claim(expression, tuple(scope.comparisons), print_expression(part), part.span))
    if len(claims) < len(parts):
        return None
    message = str(statement.message.value) if statement.message else ""
    return Assertion(tuple(claims), message, print_expression(statement.test), statement.test.span, circumstances)


def _conjuncts(node: nodes.Expression) -> Iterator[nodes.Expression]:
    if isinstance(node, nodes.Binary) and node.operator == "and":
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    else:
        yield node


class _Scope:
    def __init__(
        self,
        names: Mapping[str, Result],
        known: Collection[str],
        evaluate: Callable[[nodes.Expression], Result],
        weight: Callable[[nodes.Expression], Reference | None],
        kept: Collection[str | None],
        error: Callable[..., object],
    ) -> None:
        self.names = names
        self.known = known
        self.evaluate = evaluate
        self.find_weight = weight
        self.kept = kept
        self.error = error
        self.comparisons: list[Comparison] = []

    def term(self, node: nodes.Expression) -> ex.Expression | None:
        """A part of the test; None after a report."""
        match node:
            case nodes.Name(id_) if id_ not in self.known:
                if id_ in COUNTS:
                    return ex.Symbol(id_)
                if id_ in FUNCTIONS:
                    self.error("E0205", f"`{id_}` is a function: call it", node.span)
                    return None
                if self.misspelt(node, COUNTS):
                    return None
            case nodes.Call(nodes.Name(id_) as function) if id_ not in self.known:
                if id_ in FUNCTIONS or id_ in constants.FUNCTIONS:
                    return self.call(id_, node)
                if self.misspelt(function, FUNCTIONS):
                    return None
            case nodes.Unary(sign, operand):
                return self.operation(sign, operand)
            case nodes.Binary(sign, left, right):
                found = self.operation(sign, left, right)
                if found is not None and sign in COMPARISONS:
                    self.comparisons.append(Comparison(found, (_text(left), _text(right))))
                return found
            case nodes.Conditional(then, test, otherwise):
                return self.operation("if", then, test, otherwise)
            case nodes.List(items) | nodes.Tuple(items):
                terms = [self.term(item) for item in items]
                found_ = tuple(term for term in terms if term is not None)
                return ex.Sequence(found_) if len(found_) == len(terms) else None
            case nodes.Subscript(container, (nodes.Slice(start, stop, step),)):
                bounds = [ex.Constant(None) if each is None else self.term(each) for each in (start, stop, step)]
                value = self.term(container)
                given = tuple(each for each in bounds if each is not None)
                is_whole = value is not None and len(given) == len(bounds)
                return ex.Subscript(value, ex.Call(ex.Symbol("slice"), given)) if value and is_whole else None
            case nodes.Subscript(container, (index,)):
                value, at = self.term(container), self.term(index)
                return None if value is None or at is None else ex.Subscript(value, at)
        return self.constant(node)

    def operation(self, sign: str, *operands: nodes.Expression) -> ex.Operation | None:
        terms = [self.term(operand) for operand in operands]
        found = tuple(term for term in terms if term is not None)
        return ex.Operation(sign, found) if len(found) == len(terms) else None

    def constant(self, node: nodes.Expression) -> ex.Expression | None:
        value = self.evaluate(node)
        if isinstance(value, Value):
            return _written(value)
        if not isinstance(value, Broken):
            self.error("E0205", f"`assert` is about constants, and this is {kind_of(value)}", node.span)
        return None

    def call(self, name: str, node: nodes.Call) -> ex.Expression | None:
        arguments = [argument.value for argument in node.arguments]
        if any(argument.name for argument in node.arguments):
            self.error("E0304", f"`{name}` takes its argument by position", node.span)
            return None
        if name in constants.FUNCTIONS:
            terms = [self.term(argument) for argument in arguments]
            found = tuple(term for term in terms if term is not None)
            return ex.Call(ex.Symbol(name), found) if len(found) == len(terms) else None
        if len(arguments) != 1:
            of = "one tensor or weight" if name == "shape" else "one weight"
            self.error("E0304", f"`{name}` takes {of}", node.span)
            return None
        if name == "shape":
            return self.shape(arguments[0])
        weight = self.weight(arguments[0])
        if weight is None:
            return None
        if weight.layer.name not in self.kept:
            message = f"`{weight.layer.name}` is on no path to an output: its weights are not counted"
            self.error("E0512", message, arguments[0].span)
            return None
        return ex.Call(ex.Symbol(name), (ex.Constant(str(WeightName(weight.layer.name, weight.weight.name))),))

    def shape(self, node: nodes.Expression) -> ex.Expression | None:
        """The sizes of a tensor without the batch, or of a weight."""
        if isinstance(node, nodes.Name):
            value = self.evaluate(node)
            if isinstance(value, Broken):
                return None
            if isinstance(value, Tensor):
                return _sizes(value.spec.sizes)
            if not isinstance(value, (LayerObject, FreeWeightObject)):
                self.error("E0205", f"`shape` is that of a tensor or weight, not of {kind_of(value)}", node.span)
                return None
        weight = self.weight(node)
        return _sizes(weight.shape) if weight else None

    def weight(self, node: nodes.Expression) -> Reference | None:
        base = node
        while isinstance(base, (nodes.Attribute, nodes.Subscript)):
            base = base.value
        stands_for = self.names.get(base.id) if isinstance(base, nodes.Name) else None
        if isinstance(stands_for, Broken):
            return None
        if isinstance(stands_for, (Value, Tensor, Tensors, Group)):
            self.error("E0509", f"this is not a weight, but {kind_of(stands_for)}", node.span)
            return None
        return self.find_weight(node)

    def misspelt(self, name: nodes.Name, meant: Collection[str]) -> bool:
        """Whether a name that is not known is likely one of assertions alone; after a report, if so."""
        if name.id in catalog.FUNCTIONS:
            return False
        near = nearest(name.id, [*self.known, *constants.FUNCTIONS, *catalog.FUNCTIONS, *meant])
        if near is None or near not in meant:
            return False
        fix = Fix(name.span, near)
        self.error("E0201", f"`{name.id}` is not known here", name.span, f"did you mean `{near}`?", fix=fix)
        return True


def _sizes(shape: tuple[int | None, ...]) -> ex.Expression:
    return ex.Sequence(tuple(UNKNOWN_SIZE if not isinstance(size, int) else ex.Constant(int(size)) for size in shape))


def _written(value: Value) -> ex.Expression:
    """A constant as what it is for these parameters."""
    if isinstance(value.value, list):
        return ex.Sequence(tuple(map(_written, value.value)))
    return ex.Constant(value.value)


def _text(node: nodes.Expression) -> str | None:
    """The text of a comparison's side, unless it says its value."""
    match node:
        case nodes.Literal() | nodes.Unary("-", nodes.Literal()):
            return None
        case nodes.List(items) if not any(map(_text, items)):
            return None
    return print_expression(node)
