"""What rows of the catalogue speak of: tensors, arguments, weights, and what Keras would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from wdsl.core.record import Record

Shape = tuple[int | None, ...]
Kind = Literal["initializer", "regularizer", "constraint"]


class _Required:
    """The default of an argument that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""Stands where an argument's default would, if it has none."""


class TensorSpec(Record):
    """What is known of a tensor: its shape, batch included (`None` is an unknown size), and its dtype."""

    shape: Shape
    dtype: str = "float32"

    @property
    def sizes(self) -> Shape:
        """The shape without the batch. What has a first axis of a known size has no batch: inputs' is not known."""
        return self.shape[1:] if self.shape[:1] == (None,) else self.shape


class Constructed(Record):
    """An initializer, regularizer or constraint that a file constructs as an argument."""

    kind: Kind
    name: str
    arguments: Mapping[str, object]


class Argument(Record):
    """One argument: its name, its type (see `argument_types.py`), its default.

    `keyword`: it goes by name only. `variadic`: it is Python's `*operands`, a list written without brackets.
    `since`: the version of Keras that it came with, if that is a later one than all that wdsl knows of.
    """

    name: str
    type: str
    default: object = REQUIRED
    keyword: bool = False
    variadic: bool = False
    since: str = ""

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is REQUIRED


class Weight(Record):
    """One weight of a layer, and which of the layer's arguments initialize, regularize and constrain it."""

    name: str
    path: str
    shape: tuple[int, ...]
    trainable: bool
    initializer: str | None
    regularizer: str | None
    constraint: str | None
    fans: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """The axes of inputs and of outputs, where they are not what an initializer takes them to be by itself."""
    rewritten: bool = False
    """Whether the layer sets it anew while it trains, beside what the optimizer does."""
    scope: str = ""
    """What the names of its arguments begin with: `layer.`, if they are those of a layer that is an argument."""
    holder: str = ""
    """The way from the layer to the one inside it that has the weight, in attributes: `cell`, `forward_layer/cell`."""


class Inferred(Record):
    """What a layer gives: its output or outputs, and its weights in Keras's order.

    `nested`: Keras gives the outputs in lists within a list; they are the leaves, in order.
    """

    output: TensorSpec | tuple[TensorSpec, ...]
    weights: tuple[Weight, ...] = ()
    nested: bool = False


class CatalogError(Exception):
    """What Keras would refuse, in the user's words.

    `argument` names the culprit among the constructor's and the call's; None means the inputs' shapes.
    """

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.argument = argument


Values = Mapping[str, Any]
