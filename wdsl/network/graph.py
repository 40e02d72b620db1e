"""The checked network: what elaboration gives and the later stages read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from wdsl.annotations.equations import Equation, Tie, WeightName
from wdsl.catalog.layers.random import RANDOM_CLASSES
from wdsl.catalog.model import TensorSpec, Weight
from wdsl.catalog.rows import Layer as CatalogLayer
from wdsl.core.expressions import Expression, Operation, Symbol
from wdsl.core.record import Record
from wdsl.text.diagnostics import Label
from wdsl.text.source import Source, Span

NEEDED = frozenset({"Shared", "Coupled", "Constant", "StoredGroups", "Callable", *RANDOM_CLASSES})
"""What a written module may have under these names, and no network can be called."""


class Parameter(Record):
    """A parameter of a network. `default` is that of the written function, if it has one; `value` what it has now.

    `computed` is a default that depends on parameters before it.
    """

    name: str
    type: str | None
    default: Expression | None
    value: Any
    doc: str
    span: Span
    computed: Expression | None = None


class Input(Record):
    """An input. Of one in a family, `family` is the name of that, and `variable` what holds it in there.

    Where it is written down in the names of a loop, `label` gives its name.
    """

    name: str
    spec: TensorSpec
    doc: str
    span: Span
    family: str = ""
    variable: Expression | None = None
    label: Expression | None = None


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
    is_tensor: bool = False
    """Whether it stands in the wiring, beside what is tied to it."""


class Binding(Record):
    """Tensors that get names."""

    names: tuple[str, ...]
    expression: Expression
    specs: tuple[TensorSpec, ...]
    span: Span


class Output(Record):
    """An output, and the variable that holds it. `family` is what the file calls it, if it is a member of one."""

    name: str
    variable: str
    spec: TensorSpec
    doc: str
    span: Span
    family: str = ""


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
        """The inputs in the order that the model has them in: members of a family stand together."""
        return by_family(step for step in self.steps if isinstance(step, Input))

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


Member = TypeVar("Member", Input, Output)


def by_family(found: Iterable[Member]) -> tuple[Member, ...]:
    """Inputs or outputs with the members of each family together, where its first one is."""
    groups: dict[tuple[str, str], list[Member]] = {}
    for each in found:
        groups.setdefault((each.family, "" if each.family else each.name), []).append(each)
    return tuple(each for group in groups.values() for each in group)


def _listed(value: Any) -> Any:
    """A parameter's value with its lists as lists; they are tuples in a Parameter, which is frozen."""
    return [_listed(each) for each in value] if isinstance(value, tuple) else value
