"""Regression with a symmetric matrix: n (n + 1) / 2 numbers are trained, not n².

Written by wdsl from specs/symmetric_dense.wnet:

    ## Regression with a symmetric matrix: n (n + 1) / 2 numbers are trained, not n².
    network SymmetricDense(n: int = 12) {
        input x: [n]

        layer mix = Dense(n) symmetric

        output y = x -> mix
    }
"""

import keras
import numpy as np
from keras import layers, ops


def SymmetricDense(n: int = 12) -> keras.Model:
    """Regression with a symmetric matrix: n (n + 1) / 2 numbers are trained, not n².

    Returns:
        A model from `x`, (batch, n) float32,
        to `y`, (batch, n) float32.
    """
    x = keras.Input((n,), name="x")  # line 3

    mix = Mix(n, name="mix")  # line 5

    y = mix(x)  # line 7

    return keras.Model(x, y, name="SymmetricDense")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("SymmetricDense", "Mix_1381ca")
class Mix(layers.Dense):
    """A `Dense` whose kernel is symmetric."""

    structure = ("kernel: symmetric",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        label = np.minimum(entry, entry.T)
        places, where = np.unique(label, return_inverse=True)
        self.where = where.reshape(shape)

        def draw(_, dtype):
            kernel = initializer(shape, dtype)
            return ops.take(ops.reshape(kernel, (-1,)), places)

        return super().add_weight(
            places.shape, draw, name=name, autocast=False, **options
        )

    @property
    def kernel(self):
        kernel = ops.take(self._kernel, self.where)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
