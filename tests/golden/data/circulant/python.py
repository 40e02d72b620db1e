"""Two layers that are convolutions, written as matrices: one around a ring, one along a line.

Written by wdsl from specs/circulant.wnet:

    ## Two layers that are convolutions, written as matrices: one around a ring, one along a line.
    network Circulant(n: int = 12) {
        input signal: [n]

        layer ring = Dense(n, activation=tanh) equal[by (j - i) % n] { bias: equal }
        layer line = Dense(n, use_bias=false) equal[diagonals], zero[not band(2, 2)]

        output filtered = signal -> ring -> line
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Circulant(n: int = 12) -> keras.Model:
    """Two layers that are convolutions, written as matrices: one around a ring, one along a line.

    Returns:
        A model from `signal`, (batch, n) float32,
        to `filtered`, (batch, n) float32.
    """
    signal = keras.Input((n,), name="signal")  # line 3

    ring = Ring(n, activation="tanh", name="ring")  # line 5
    line = Line(n, use_bias=False, name="line")  # line 6

    filtered = line(ring(signal))  # line 8

    return keras.Model(signal, filtered, name="Circulant")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Circulant", "Ring_9b9d24")
class Ring(layers.Dense):
    """A `Dense` whose kernel has `equal[by (j - i) % shape[0]]`, and whose bias is
    one number.
    """

    structure = ("kernel: equal[by (j - i) % shape[0]]", "bias: equal")

    def add_weight(self, shape, initializer, name, **options):
        if name == "kernel":
            i, j = np.indices(shape)
            key = (j - i) % shape[0]
            _, first, group = np.unique(key, return_index=True, return_inverse=True)
            label = first[group].reshape(shape)
            places, where = np.unique(label, return_inverse=True)
            self.kernel_where = where.reshape(shape)

            def draw(_, dtype):
                kernel = initializer(shape, dtype)
                return ops.take(ops.reshape(kernel, (-1,)), places)

            return super().add_weight(
                places.shape, draw, name=name, autocast=False, **options
            )
        if name == "bias":
            self.bias_shape = shape

            def draw(_, dtype):
                bias = initializer(shape, dtype)
                return ops.reshape(bias, (-1,))[:1]

            return super().add_weight((1,), draw, name=name, autocast=False, **options)
        return super().add_weight(shape, initializer, name=name, **options)

    @property
    def kernel(self):
        kernel = ops.take(self._kernel, self.kernel_where)
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


@keras.saving.register_keras_serializable("Circulant", "Line_d8e445")
class Line(layers.Dense):
    """A `Dense` whose kernel is one number on each diagonal and has
    `zero[not band(2, 2)]`.
    """

    structure = ("kernel: equal[diagonals], zero[not band(2, 2)]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        key = j - i
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        live = abs(j - i) <= 2
        label = first[group].reshape(shape)
        live = live & ~np.isin(label, label[~live])
        places, where = np.unique(label[live], return_inverse=True)
        self.where = np.full(shape, places.size)
        self.where[live] = where
        fans = live.sum() / live.any(0).sum() + live.sum() / live.any(1).sum()
        scale = np.sqrt(sum(shape) / fans)  # fewer entries, each larger

        def draw(_, dtype):
            kernel = initializer(shape, dtype) * scale
            return ops.take(ops.reshape(kernel, (-1,)), places)

        return super().add_weight(
            places.shape, draw, name=name, autocast=False, **options
        )

    @property
    def kernel(self):
        kernel = ops.take(ops.pad(self._kernel, (0, 1)), self.where)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
