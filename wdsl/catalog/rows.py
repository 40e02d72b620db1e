"""The shapes of the catalogue's rows: layers, functions, their arguments, their weights.

A row is data: a signature in one string, and the shape rule that it shares with its family. Signatures are
read when a row is first used, since a file uses a handful of the rows and importing must cost nothing.

A signature looks like Keras's own, with a type in place of an annotation:

    units: size, activation: optional activation = None, use_bias: bool = True, *, dtype: str = None

What stands after `*` can only be given by name; `*operands: tensors` is a list written without brackets. What came
to Keras after 3.12, the first version that wdsl works with, says so: `b: float = 1.0 since 3.15`.
The type language is in `argument_types.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from wdsl.catalog.dtypes import cast_inputs, compute_dtype, is_float
from wdsl.catalog.model import Argument, CatalogError, Inferred, Kind, TensorSpec, Values
from wdsl.catalog.signatures import base_arguments, read_signature
from wdsl.core.record import Record, field

LayerRule = Callable[["Layer", Values, Values], Inferred]
FunctionRule = Callable[["Function", Values], TensorSpec | tuple[TensorSpec, ...]]


class Inner(Record):
    """A layer that a file constructs as an argument of another: its row, and its arguments, all bound.

    `name` is the one that it is constructed with, if it is one of several: Keras would number them as it likes.
    """

    row: Layer
    arguments: Mapping[str, Any]
    name: str | None = None


class Layer(Record):
    """One row: a layer class of Keras."""

    name: str
    signature: str
    rule: LayerRule
    main_weight: str | None = None
    call_signature: str = "inputs: tensor"
    keywords: str = "activity_regularizer, trainable, dtype, autocast"
    family: Mapping[str, Any] = field(default=MappingProxyType({}), compare=False)
    """What tells this row from the others that share its rule: the number of spatial axes, a cell's path."""
    wraps: str | None = None
    """The argument that is a layer whose main weight is this one's too."""
    since: str = ""
    """The version of Keras that the class came with, if that is a later one than all that wdsl knows of."""
    is_foreign: bool = False
    """Whether the class is not of Keras: then nothing is known of its weights."""

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The constructor's arguments in Keras's order, then those that every layer takes by name."""
        own = read_signature(self.signature)
        named = {argument.name for argument in own}
        return own + tuple(a for a in base_arguments(self.keywords) if a.name not in named)

    @cached_property
    def call(self) -> tuple[Argument, ...]:
        """The arguments of a call of the layer."""
        return read_signature(self.call_signature)

    def main(self, arguments: Values) -> str | None:
        """The weight that annotations are about which name none. A layer around another has the other's."""
        inner = arguments.get(self.wraps) if self.wraps else None
        return inner.row.main(inner.arguments) if isinstance(inner, Inner) else self.main_weight

    def foreign_in(self, arguments: Values) -> Layer | None:
        """The class that is not of Keras, if the layer is of one or has one inside: not all its weights are known."""
        if self.is_foreign:
            return self
        inside = (each for value in arguments.values() for each in _each(value) if isinstance(each, Inner))
        return next((found for each in inside if (found := each.row.foreign_in(each.arguments))), None)

    def infer(self, arguments: Mapping[str, object], call: Mapping[str, object]) -> Inferred:
        """The output and the weights for these arguments, all bound, each of a value that `check` let pass.

        Raises CatalogError for what Keras would refuse.
        """
        inferred = self.rule(self, arguments, cast_inputs(arguments, call))
        dtype = compute_dtype(arguments)
        if inferred.weights and not is_float(dtype):
            # Keras refuses to draw such weights, and can train none.
            raise CatalogError(f"`{self.name}` has weights, so its `dtype` must be floating, not {dtype}", "dtype")
        if arguments.get("trainable", True):
            return inferred
        if any(isinstance(each, Inner) for value in arguments.values() for each in _each(value)):
            # A model of Keras trains them all the same: it asks the variables, and not the layer around theirs.
            message = f"`trainable=false` of `{self.name}` would freeze nothing: give it to the layer inside"
            raise CatalogError(message, "trainable")
        return inferred.replace(weights=tuple(w.replace(trainable=False) for w in inferred.weights))


def _each(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


class Function(Record):
    """One row: a function that wiring may call. `keras` is where it is, such as `ops.concatenate`.

    `since`: the version of Keras that it came with, as for arguments. `is_constant`: it takes no tensor, and what it
    gives is the same for all inputs.
    """

    name: str
    keras: str
    signature: str
    rule: FunctionRule
    since: str = ""
    is_constant: bool = False

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The function's arguments in Keras's order: the tensors, then the others."""
        return read_signature(self.signature)

    def infer(self, call: Mapping[str, object]) -> TensorSpec | tuple[TensorSpec, ...]:
        """The output for these arguments, all bound. Raises CatalogError for what Keras would refuse."""
        return self.rule(self, call)


class Class(Record):
    """One row: an initializer, regularizer or constraint class."""

    name: str
    kind: Kind
    signature: str = ""
    by_name: bool = True
    """Whether a string will do. Keras's registry has a name for `Constant`, and fails on it."""
    since: str = ""

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The constructor's arguments in Keras's order."""
        return read_signature(self.signature)
