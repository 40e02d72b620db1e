"""What annotations come to: equations on the entries of one weight, and ties of one to another."""

from __future__ import annotations

from collections.abc import Iterator

from wdsl.core.expressions import (
    Attribute,
    Call,
    Constant,
    Expression,
    Operation,
    Sequence,
    Subscript,
    Symbol,
    Variable,
    walk,
)
from wdsl.core.record import Record, field
from wdsl.text.diagnostics import Label
from wdsl.text.source import Span

MECHANISMS = ("parameter", "mask", "constraint", "gradient", "initial")
"""What makes an equation hold, the strongest first."""

MAX_ENTRIES = 2**24
"""The largest weight that is solved entry by entry. What is found out of it has to fit into 400 MiB."""


class WeightName(Record):
    """A weight of a layer, as in `encode.kernel`. A free weight is one of itself, without a name."""

    layer: str
    weight: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.weight}" if self.weight else self.layer


class Equation(Record):
    """An annotation of one weight: the expression that constructs it for the runtime, and its text.

    `mechanism` is what stands after `via`; the expression leaves it out.
    """

    weight: WeightName
    expression: Expression
    text: str
    span: Span
    mechanism: str = "parameter"
    circumstances: tuple[Label, ...] = field(default=(), compare=False)
    """The pass of a loop and the uses of blocks that it stands in."""

    @property
    def for_runtime(self) -> Expression:
        """The equation for the runtime, with its mechanism if it has one of its own."""
        if self.mechanism == "parameter":
            return self.expression
        return Call(Symbol("Via"), (Constant(self.mechanism), self.expression))

    @property
    def strength(self) -> int:
        """How strong the mechanism is that makes it hold."""
        return -MECHANISMS.index(self.mechanism)


WHOLE = Variable("(weight)")  # a parameter may be called `weight`
TRANSPOSED = Call(Symbol("ops.transpose"), (WHOLE,))


class View(Record):
    """What a tie takes of a weight: an expression in the variable `WHOLE`, and a number to multiply it with."""

    expression: Expression = WHOLE
    factor: Expression | None = None

    @property
    def is_matrix(self) -> bool:
        """Whether the view is the weight itself or its transpose, so that equations carry over both ways."""
        return self.factor is None and self.expression in (WHOLE, TRANSPOSED)

    def of(self, weight: Expression) -> Expression:
        """The view of a weight that an expression gives."""
        seen = _put(weight, self.expression)
        if self.factor is None:
            return seen
        if self.factor == Constant(-1):
            return Operation("-", (seen,))
        return Operation("*", (self.factor, seen))

    def within(self, weight: str) -> Expression:
        """The view as the runtime's equations have it, of a weight by its name: `-View("encode.kernel").T`."""
        seen = _methods(self.expression, Call(Symbol("View"), (Constant(weight),) if weight else ()))
        if self.factor is None:
            return seen
        if self.factor == Constant(-1):
            return Operation("-", (seen,))
        return Operation("*", (self.factor, seen))

    def operations(self) -> Iterator[str]:
        """The operations of Keras that computing the view takes."""
        for part in walk(self.expression):
            if isinstance(part, Subscript):
                yield "ops.get_item"
            elif isinstance(part, Symbol) and part.path.startswith("ops."):
                yield part.path
        if self.factor is not None:
            yield "ops.negative" if self.factor == Constant(-1) else "ops.multiply"

    def then(self, other: View) -> View:
        """`other` of what this view shows."""
        if self.expression == other.expression == TRANSPOSED:
            expression: Expression = WHOLE
        else:
            expression = _put(self.expression, other.expression)
        factors = [each for each in (other.factor, self.factor) if each is not None]
        return View(expression, Operation("*", (factors[0], factors[1])) if len(factors) > 1 else (*factors, None)[0])


def _put(weight: Expression, view: Expression) -> Expression:
    """A view with an expression in place of `WHOLE`, which stands innermost."""
    match view:
        case Variable():
            return weight
        case Call(function, (inner, *rest), keywords):
            return Call(function, (_put(weight, inner), *rest), keywords)
        case Subscript(inner, index):
            return Subscript(_put(weight, inner), index)
    raise TypeError(f"{view!r} is no view")


def _methods(view: Expression, weight: Expression) -> Expression:
    """A view as methods of a weight, in place of Keras's operations."""
    match view:
        case Call(Symbol("ops.transpose"), (inner,)):
            return Attribute(_methods(inner, weight), "T")
        case Call(Symbol(path), (inner, *rest), keywords):
            numbers = [item for each in rest for item in (each.items if isinstance(each, Sequence) else (each,))]
            numbers += [value for _, value in keywords]
            return Call(Attribute(_methods(inner, weight), path.removeprefix("ops.")), tuple(numbers))
        case Subscript(inner, Sequence((index,))) | Subscript(inner, index):
            return Subscript(_methods(inner, weight), index)
    return weight


def tie_of(view: View, reference: str, region: Expression | None) -> Expression:
    """The equation that the runtime has for a tie: `Tie(View("encode.kernel").T, Diagonal())`."""
    return Call(Symbol("Tie"), (view.within(reference), *((region,) if region is not None else ())))


class Tie(Record):
    """`weight`, or a region of it in C order, equals a view of another weight, `reference`, entry by entry."""

    weight: WeightName
    reference: WeightName
    view: View
    region: Expression | None
    text: str
    span: Span
    circumstances: tuple[Label, ...] = field(default=(), compare=False)

    mechanism = "parameter"
    strength = 0

    @property
    def for_runtime(self) -> Expression:
        """The tie for the runtime, which knows the other weight by its name."""
        return tie_of(self.view, str(self.reference), self.region)
