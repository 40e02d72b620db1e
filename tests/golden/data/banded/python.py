"""A tridiagonal layer, as a finite difference stencil has, and a causal one with every other tap left out.

Written by wdsl from specs/banded.wnet:

    ## A tridiagonal layer, as a finite difference stencil has, and a causal one with every other tap left out.
    network Banded(n: int = 16) {
        input signal: [n]

        layer stencil = Dense(n) zero[not band(1, 1)]
        layer causal  = Dense(n, use_bias=false) zero[lower, where (j - i) % 2 == 1]

        output filtered = signal -> stencil -> tanh -> causal
    }
"""

import keras
import numpy as np
from keras import activations, layers, ops


def Banded(n: int = 16) -> keras.Model:
    """A tridiagonal layer, as a finite difference stencil has, and a causal one with every other tap left out.

    Returns:
        A model from `signal`, (batch, n) float32,
        to `filtered`, (batch, n) float32.
    """
    signal = keras.Input((n,), name="signal")  # line 3

    stencil = Stencil(n, name="stencil")  # line 5
    causal = Causal(n, use_bias=False, name="causal")  # line 6

    filtered = causal(activations.tanh(stencil(signal)))  # line 8

    return keras.Model(signal, filtered, name="Banded")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Banded", "Stencil_186b61")
class Stencil(layers.Dense):
    """A `Dense` whose kernel has `zero[not band(1, 1)]`."""

    structure = ("kernel: zero[not band(1, 1)]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = abs(j - i) <= 1
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)
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


@keras.saving.register_keras_serializable("Banded", "Causal_16102c")
class Causal(layers.Dense):
    """A `Dense` whose kernel has `zero[lower, where (j - i) % 2 == 1]`."""

    structure = ("kernel: zero[lower, where (j - i) % 2 == 1]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = (i <= j) & ((j - i) % 2 != 1)
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)
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
