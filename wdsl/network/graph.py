"""The checked network: what elaboration gives and the later stages read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from wdsl.catalog.model import TensorSpec, Weight
from wdsl.catalog.rows import Layer as CatalogLayer
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
from wdsl.text.source import Source, Span

MAX_ENTRIES = 2**24
"""The largest weight that is solved entry by entry. What is found out of it has to fit into 400 MiB."""


class Parameter(Record):
    """A parameter of a network. `default` is that of the written function, if it has one; `value` what it has now."""

    name: str
    type: str | None
    default: Expression | None
    value: Any
    doc: str
    span: Span


class Input(Record):
    name: str
    spec: TensorSpec
    doc: str
    span: Span


class Layer(Record):
    """A layer that has a name, or stands in the wiring without one (`name` is then None).

    `arguments` are all of the row's, with those bound that the file gives. `weights` are known once it was applied.
    """

    name: str | None
    row: CatalogLayer
    construct: Expression
    arguments: Mapping[str, Any]
    given: Mapping[str, tuple[Expression, Span]]
    weights: tuple[Weight, ...]
    input: str
    output: str
    doc: str
    span: Span
    declared: str = ""
    """What the file calls it, of which `name` tells it from those of other passes of loops and uses of blocks."""


class FreeWeight(Record):
    """A weight of no layer. `arguments` and `given` are as for a layer: they hold its initializer."""

    name: str
    weight: Weight
    arguments: Mapping[str, Any]
    given: Mapping[str, tuple[Expression, Span]]
    doc: str
    span: Span
    declared: str = ""
    """As of a layer."""


class Binding(Record):
    """Tensors that get names."""

    names: tuple[str, ...]
    expression: Expression
    specs: tuple[TensorSpec, ...]
    span: Span


class Output(Record):
    name: str
    variable: str
    spec: TensorSpec
    doc: str
    span: Span


class WeightName(Record):
    """A weight of a layer, as in `encode.kernel`. A free weight is one of itself, without a name."""

    layer: str
    weight: str

    def __str__(self) -> str:
        return f"{self.layer}.{self.weight}" if self.weight else self.layer


class Equation(Record):
    """An annotation of one weight, but a tie: its name, the expression that constructs it for the runtime, its text.

    `mechanism` is what stands after `via`; the expression leaves it out.
    """

    weight: WeightName
    kind: str
    expression: Expression
    text: str
    span: Span
    mechanism: str = "parameter"
    circumstances: tuple[Label, ...] = field(default=(), compare=False)
    """The pass of a loop and the uses of blocks that it stands in."""

    @property
    def is_rest(self) -> bool:
        """Whether it is a plain `equal`, about all that the weight's other annotations make no constant."""
        return self.kind == "equal" and isinstance(self.expression, Call) and not self.expression.arguments


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

    @property
    def equation(self) -> Expression:
        """The tie for the runtime, which knows the other weight by its name."""
        return tie_of(self.view, str(self.reference), self.region)


class Comparison(Record):
    """A comparison in an assertion, with the texts of its sides; None for one that is written as what it is."""

    expression: Operation
    texts: tuple[str | None, str | None]


class Claim(Record):
    """What must be true by itself in an assertion: all of it, or what stands between its outermost `and`s.

    In expressions, `parameters` and `dense_parameters` are symbols, `free` and `nonzero` calls with a weight's name.
    UNKNOWN_SIZE stands for sizes that are not known until the network runs.
    """

    expression: Expression
    comparisons: tuple[Comparison, ...]
    text: str
    span: Span


UNKNOWN_SIZE = Symbol("?")


class Assertion(Record):
    """What the file says must be true of the solved network. `message` is what it says if it is not, or nothing."""

    claims: tuple[Claim, ...]
    message: str
    text: str
    span: Span
    circumstances: tuple[Label, ...]
    """The passes of loops and the uses of blocks that it stands in."""


Step: TypeAlias = Input | Layer | FreeWeight | Binding


class Network(Record):
    """A network in which every name, argument and shape has been checked.

    `steps` are in the order of the file. Layers and bindings that no output needs are left out.
    """

    name: str
    doc: str
    source: Source
    span: Span
    parameters: tuple[Parameter, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    unnamed: tuple[Layer, ...]
    equations: tuple[Equation, ...]
    ties: tuple[Tie, ...]
    assertions: tuple[Assertion, ...]
    is_nested: bool
    """Whether it has blocks, loops or conditions."""
    decided_by: frozenset[str]
    """The parameters by which loops and conditions were decided: for other values it is another network."""

    @property
    def values(self) -> dict[str, Any]:
        """The values of the parameters, by name: what the network's function is called with."""
        return {parameter.name: _listed(parameter.value) for parameter in self.parameters}

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(step for step in self.steps if isinstance(step, Input))

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(step for step in self.steps if isinstance(step, Layer))

    @property
    def free_weights(self) -> tuple[FreeWeight, ...]:
        return tuple(step for step in self.steps if isinstance(step, FreeWeight))

    def weights(self) -> Iterator[tuple[WeightName, Weight, Layer | FreeWeight]]:
        """Every weight of every named layer, and those of no layer."""
        for step in self.steps:
            match step:
                case Layer():
                    for weight in step.weights:
                        yield WeightName(step.name or "", weight.name), weight, step
                case FreeWeight():
                    yield WeightName(step.name, ""), step.weight, step


def _listed(value: Any) -> Any:
    """A parameter's value with its lists as lists; they are tuples in a Parameter, which is frozen."""
    return [_listed(each) for each in value] if isinstance(value, tuple) else value
