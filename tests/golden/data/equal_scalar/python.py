"""A layer that averages and scales: its whole kernel is one number, and so is its bias.

Written by wdsl from specs/equal_scalar.wnet:

    ## A layer that averages and scales: its whole kernel is one number, and so is its bias.
    network EqualScalar {
        input x: [8]

        layer average = Dense(4) {
            kernel: equal
            bias:   equal
        }

        output y = x -> average
    }
"""

import keras
from keras import layers, ops


def EqualScalar() -> keras.Model:
    """A layer that averages and scales: its whole kernel is one number, and so is its bias.

    Returns:
        A model from `x`, (batch, 8) float32,
        to `y`, (batch, 4) float32.
    """
    x = keras.Input((8,), name="x")  # line 3

    average = Average(4, name="average")  # line 5

    y = average(x)  # line 10

    return keras.Model(x, y, name="EqualScalar")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("EqualScalar", "Average_949453")
class Average(layers.Dense):
    """A `Dense` whose kernel is one number, and whose bias is one number."""

    structure = ("kernel: equal", "bias: equal")

    def add_weight(self, shape, initializer, name, **options):
        if name == "kernel":
            self.kernel_shape = shape

            def draw(_, dtype):
                kernel = initializer(shape, dtype)
                return ops.reshape(kernel, (-1,))[:1]

            return super().add_weight((1,), draw, name=name, autocast=False, **options)
        if name == "bias":
            self.bias_shape = shape

            def draw(_, dtype):
                bias = initializer(shape, dtype)
                return ops.reshape(bias, (-1,))[:1]

            return super().add_weight((1,), draw, name=name, autocast=False, **options)
        return super().add_weight(shape, initializer, name=name, **options)

    @property
    def kernel(self):
        kernel = ops.broadcast_to(self._kernel, self.kernel_shape)
        return ops.cast(kernel, self.compute_dtype)

    @property
    def bias(self):
        bias = ops.broadcast_to(self._bias, self.bias_shape)
        return ops.cast(bias, self.compute_dtype)

    @bias.setter
    def bias(self, numbers):
        self._bias = numbers

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
