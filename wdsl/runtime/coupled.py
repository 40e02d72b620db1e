"""Weights that have entries in common, as tensors of the graph."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from wdsl.runtime.expansion import Expansion, expansion_of, with_fans
from wdsl.runtime.saving import OfKind, saved
from wdsl.structure.equations import Equation
from wdsl.structure.pieces import Indices, Shape
from wdsl.structure.terms import terms, to_config
from wdsl.structure.vectors import side_by_side, within


def trained_and_frozen(
    expansion: Expansion,
    shapes: Mapping[str, Shape],
    structures: Mapping[str, Sequence[Equation]],
) -> tuple[Indices, Indices]:
    """The free parameters of coupled weights that are trained, and those that are not.

    A weight that is not trained has parts of others with it.
    """
    places, _ = side_by_side(shapes)
    is_frozen = np.zeros(expansion.size + 1, bool)
    for name, equations in structures.items():
        if not all(equation.is_trained for equation in equations):
            is_frozen[expansion.solved.index[places[name]]] = True
    return np.flatnonzero(~is_frozen[:-1]), np.flatnonzero(is_frozen[:-1])


@saved
class Coupled(OfKind):
    """Weights that have entries in common, as tensors of the graph.

    Called on any tensor of the graph, for the sake of standing in it, it returns a
    dictionary of the whole weights, without batch axes.

    Args:
        shapes: The shape of each weight, by the name that the others know it by.
        structures: The equations of the weights that have some. A `Tie` in them says
            which entries a weight has in common with another one.
        initializers, regularizers: As for weights of a layer, by the weight's name.
        fans: As for `Shared`, by the weight's name.
        kind: What the layer is called where it is saved, as a class would be.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        structures: Mapping[str, Sequence[Any]],
        initializers: Mapping[str, Any] | None = None,
        regularizers: Mapping[str, Any] | None = None,
        fans: Mapping[str, Any] | None = None,
        kind: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.structures = {name: terms(equations) for name, equations in structures.items()}
        given = dict.fromkeys(shapes, "glorot_uniform") | dict(initializers or {})
        self.initializers = {
            name: with_fans(keras.initializers.get(given[name]), (fans or {}).get(name)) for name in shapes
        }
        self.regularizers = {
            name: keras.regularizers.get(regularizer) for name, regularizer in (regularizers or {}).items()
        }

    def build(self, input_shape: Any) -> None:
        _, size = side_by_side(self.shapes)
        in_vector = [each for those in self.in_vector().values() for each in those]
        self.expansion = expansion_of(in_vector, (size,))
        trained, frozen = trained_and_frozen(self.expansion, self.shapes, self.structures)
        self.order = np.argsort(np.concatenate([trained, frozen]))
        self.thetas = [
            self.add_weight(
                name=name,
                shape=(those.size,),
                initializer=functools.partial(self.draw, those),
                trainable=name == "weights",
                regularizer=self.regularize if name == "weights" else None,
                constraint=self.expansion.constraint,
                autocast=False,
            )
            for name, those in (("weights", trained), ("frozen", frozen))
            if those.size or (self.expansion.size == 0 and name == "weights")
        ]
        for theta in self.thetas:
            setattr(self, f"free_{theta.name}", theta)  # TensorFlow checkpoints it

    def in_vector(self) -> dict[str, tuple[Equation, ...]]:
        """The equations of each weight, as ones on all entries of all weights."""
        places, _ = side_by_side(self.shapes)
        return {
            name: tuple(within(equation, places, name) for equation in equations)
            for name, equations in self.structures.items()
        }

    def draw(self, those: Indices, shape: Shape, dtype: str) -> Any:
        drawn = [
            (initializer(self.shapes[name], dtype), initializer) for name, initializer in self.initializers.items()
        ]
        return ops.cast(ops.take(self.expansion.reduce(*drawn), those, axis=0), dtype)

    def vector(self, thetas: Sequence[Any]) -> Any:
        """All entries of all weights, one weight after the other."""
        theta = ops.concatenate([ops.convert_to_tensor(each) for each in thetas])
        return self.expansion.expand(ops.take(theta, self.order))

    def weights_of(self, thetas: Sequence[Any]) -> dict[str, Any]:
        """The weights, by name."""
        vector, found, start = self.vector(thetas), {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            found[name] = ops.reshape(vector[start:stop], shape)
            start = stop
        return found

    def regularize(self, theta: Any) -> Any:
        weights = self.weights_of([theta, *self.thetas[1:]])
        losses = (each(weights[name]) for name, each in self.regularizers.items())
        return sum(losses, start=ops.zeros((), theta.dtype))

    def call(self, inputs: Any) -> Any:
        return self.weights_of(self.thetas)

    def compute_output_spec(self, inputs: Any) -> Any:
        return {name: keras.KerasTensor(shape, self.variable_dtype) for name, shape in self.shapes.items()}

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the weights only stand beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "shapes": self.shapes,
            "structures": {
                name: [to_config(equation) for equation in equations] for name, equations in self.structures.items()
            },
            "initializers": {name: keras.initializers.serialize(each) for name, each in self.initializers.items()},
            "regularizers": {name: keras.regularizers.serialize(each) for name, each in self.regularizers.items()},
        }
