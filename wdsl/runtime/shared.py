"""Weights and constants as tensors of the graph, for layers to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from wdsl.runtime.expansion import expansion_of, with_fans
from wdsl.runtime.saving import OfKind, saved
from wdsl.structure.terms import terms, to_config


@saved
class Shared(OfKind):
    """A weight as a tensor of the graph, to be tied to the weights of layers.

    Called on any tensor of the graph, for the sake of standing in it, it returns
    the whole weight, without a batch axis.

    Args:
        shape: The shape of the weight.
        equations: Its structure, if it has any.
        initializer, regularizer: As for a weight of a layer; they see the weight.
        fans: Which axes are inputs and which are outputs, if the initializer would
            take others for them.
        kind: What the layer is called where it is saved, as a class would be.
    """

    def __init__(
        self,
        shape: Sequence[int],
        equations: Sequence[Any] = (),
        initializer: Any = "glorot_uniform",
        regularizer: Any = None,
        fans: Any = None,
        kind: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.equations = terms(equations)
        self.initializer = with_fans(keras.initializers.get(initializer), fans)
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape: Any) -> None:
        expansion = expansion_of(self.equations, self.shape)
        initializer, dtype = self.initializer, self.variable_dtype
        self.theta = expansion.add_theta(
            self,
            "weight",
            lambda: (initializer(self.shape, dtype), initializer),
            self.regularizer,
        )
        self.expand = expansion.expand

    def call(self, inputs: Any) -> Any:
        return self.expand(self.theta)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.shape, self.variable_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the weight only stands beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "shape": self.shape,
            "equations": [to_config(equation) for equation in self.equations],
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


@saved
class Constant(keras.Layer):
    """A tensor that is the same for all inputs, such as `ops.arange(0, 16)`.

    Called on any tensor of the graph, for the sake of standing in it.

    Args:
        function: The name of a function of `keras.ops` that takes no tensors.
        arguments: What it is given, by name.
    """

    def __init__(self, function: str, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments)

    def call(self, inputs: Any) -> Any:
        return getattr(ops, self.function)(**self.arguments)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the constant only stands beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "function": self.function,
            "arguments": dict(self.arguments),
        }
