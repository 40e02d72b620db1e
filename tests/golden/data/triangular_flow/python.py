"""One step of a flow that keeps volumes: triangular with ones on the diagonal, so that its determinant is 1.

Written by wdsl from specs/triangular_flow.wnet:

    ## One step of a flow that keeps volumes: triangular with ones on the diagonal, so that its determinant is 1.
    network TriangularFlow(n: int = 6) {
        input x: [n]

        layer down = Dense(n) zero[lower], fixed[diagonal] = 1.0
        layer up   = Dense(n) zero[upper], fixed[diagonal] = 1.0

        output y = x -> down -> up
    }
"""

import keras
import numpy as np
from keras import layers, ops


def TriangularFlow(n: int = 6) -> keras.Model:
    """One step of a flow that keeps volumes: triangular with ones on the diagonal, so that its determinant is 1.

    Returns:
        A model from `x`, (batch, n) float32,
        to `y`, (batch, n) float32.
    """
    x = keras.Input((n,), name="x")  # line 3

    down = Down(n, name="down")  # line 5
    up = Up(n, name="up")  # line 6

    y = up(down(x))  # line 8

    return keras.Model(x, y, name="TriangularFlow")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("TriangularFlow", "Down_760887")
class Down(layers.Dense):
    """A `Dense` whose kernel is zero below the diagonal and has
    `fixed[diagonal] = 1.0`.
    """

    structure = ("kernel: zero[lower], fixed[diagonal] = 1.0",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = (i <= j) & (i != j)
        constant = np.where(i == j, 1.0, 0)
        self.constant = constant
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)
        used = live | (constant != 0)
        fans = used.sum() / used.any(0).sum() + used.sum() / used.any(1).sum()
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
        kernel = kernel + ops.cast(self.constant, kernel.dtype)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


@keras.saving.register_keras_serializable("TriangularFlow", "Up_6887bd")
class Up(layers.Dense):
    """A `Dense` whose kernel is zero above the diagonal and has
    `fixed[diagonal] = 1.0`.
    """

    structure = ("kernel: zero[upper], fixed[diagonal] = 1.0",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = (i >= j) & (i != j)
        constant = np.where(i == j, 1.0, 0)
        self.constant = constant
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)
        used = live | (constant != 0)
        fans = used.sum() / used.any(0).sum() + used.sum() / used.any(1).sum()
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
        kernel = kernel + ops.cast(self.constant, kernel.dtype)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
