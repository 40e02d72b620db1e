"""Forecasts the traffic at several places, on a road map that it learns. What one place has to do with another, the
other has to do with it.

The map is symmetric with a diagonal of zeros. Its n (n − 1) / 2 numbers are a vector, which one lookup puts into
their places, whatever n is. `stay` is what a place has to do with itself.

Written by wdsl from specs/recipes/symmetric_placed.wnet:

    ## Forecasts the traffic at several places, on a road map that it learns. What one place has to do with another, the
    ## other has to do with it.
    ##
    ## The map is symmetric with a diagonal of zeros. Its n (n − 1) / 2 numbers are a vector, which one lookup puts into
    ## their places, whatever n is. `stay` is what a place has to do with itself.
    network Traffic(places: int = 9) {
        input now: [places]

        layer stay = Dense(places) zero[not diagonal]
        layer move = Dense(places, use_bias=false) symmetric, zero[diagonal]

        output next = (now -> stay) + (now -> move)
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Traffic(places: int = 9) -> keras.Model:
    """Forecasts the traffic at several places, on a road map that it learns. What one place has to do with another, the
    other has to do with it.

    The map is symmetric with a diagonal of zeros. Its n (n − 1) / 2 numbers are a vector, which one lookup puts into
    their places, whatever n is. `stay` is what a place has to do with itself.

    Returns:
        A model from `now`, (batch, places) float32,
        to `next`, (batch, places) float32.
    """
    now = keras.Input((places,), name="now")  # line 7

    stay = Stay(places, name="stay")  # line 9
    move = Move(places, use_bias=False, name="move")  # line 10

    next_ = stay(now) + move(now)  # line 12

    return keras.Model(now, next_, name="Traffic")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Traffic", "Stay_4f35b2")
class Stay(layers.Dense):
    """A `Dense` whose kernel is zero off the diagonal."""

    structure = ("kernel: zero[not diagonal]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = i == j
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


@keras.saving.register_keras_serializable("Traffic", "Move_6cbe4f")
class Move(layers.Dense):
    """A `Dense` whose kernel is symmetric and is zero on the diagonal."""

    structure = ("kernel: symmetric, zero[diagonal]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        entry = np.arange(np.prod(shape)).reshape(shape)
        live = i != j
        label = np.minimum(entry, entry.T)
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
