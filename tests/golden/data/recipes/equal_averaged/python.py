"""Ordinal regression (Cao, Mirjalili and Raschka, CORAL, 2020): unit k says how likely it is that the grade is above k.

All units have the same weights and differ in their biases alone, so that no essay can turn their order around.
A weight moves by the mean of what the units ask of it: with more grades, training takes no larger steps.

Written by wdsl from specs/recipes/equal_averaged.wnet:

    ## Ordinal regression (Cao, Mirjalili and Raschka, CORAL, 2020): unit k says how likely it is that the grade is above k.
    ##
    ## All units have the same weights and differ in their biases alone, so that no essay can turn their order around.
    ## A weight moves by the mean of what the units ask of it: with more grades, training takes no larger steps.
    network Grades(grades: int = 5) {
        input essay: [12]

        layer read  = Dense(8, activation=tanh)
        layer above = Dense(grades - 1, activation=sigmoid) equal[rows](gradient=mean)

        output likely = essay -> read -> above
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Grades(grades: int = 5) -> keras.Model:
    """Ordinal regression (Cao, Mirjalili and Raschka, CORAL, 2020): unit k says how likely it is that the grade is above k.

    All units have the same weights and differ in their biases alone, so that no essay can turn their order around.
    A weight moves by the mean of what the units ask of it: with more grades, training takes no larger steps.

    Returns:
        A model from `essay`, (batch, 12) float32,
        to `likely`, (batch, grades - 1) float32.
    """
    essay = keras.Input((12,), name="essay")  # line 6

    read = layers.Dense(8, activation="tanh", name="read")  # line 8
    above = Above(grades - 1, activation="sigmoid", name="above")  # line 9

    likely = above(read(essay))  # line 11

    return keras.Model(essay, likely, name="Grades")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Grades", "Above_011342")
class Above(layers.Dense):
    """A `Dense` whose kernel has `equal[rows](gradient=mean)`."""

    structure = ("kernel: equal[rows](gradient=mean)",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        label = np.broadcast_to(entry[:, :1], shape)
        places, where = np.unique(label, return_inverse=True)
        self.where = where.reshape(shape)
        self.divisors = np.bincount(self.where.ravel(), minlength=places.size)

        def draw(_, dtype):
            kernel = initializer(shape, dtype)
            return ops.take(ops.reshape(kernel, (-1,)), places)

        return super().add_weight(
            places.shape, draw, name=name, autocast=False, **options
        )

    @property
    def kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        kernel = with_gradient_of(
            kernel, kernel / ops.cast(self.divisors, kernel.dtype)
        )
        kernel = ops.take(kernel, self.where)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


def with_gradient_of(value, other):
    """The value, to the bit, with the gradient that something else has."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))
