"""MADE (Germain, Gregor, Murray and Larochelle, 2015): an autoencoder that factors a distribution. What it says of an
entry depends on the entries before it alone, and so it gives all conditional probabilities at once.

Written by wdsl from specs/made.wnet:

    ## MADE (Germain, Gregor, Murray and Larochelle, 2015): an autoencoder that factors a distribution. What it says of an
    ## entry depends on the entries before it alone, and so it gives all conditional probabilities at once.
    network MADE(
        ## Entries of a binary vector.
        n: int = 8,
        width: int = 32,
    ) {
        input x: [n]

        # Unit j of a hidden layer may know of the entries up to j % (n - 1), and of no others.
        layer first  = Dense(width, activation=relu) zero[where i > j % (n - 1)]
        layer second = Dense(width, activation=relu) zero[where i % (n - 1) > j % (n - 1)]
        layer decide = Dense(n, activation=sigmoid) zero[where i % (n - 1) >= j]

        output p = x -> first -> second -> decide
    }
"""

import keras
import numpy as np
from keras import layers, ops


def MADE(n: int = 8, width: int = 32) -> keras.Model:
    """MADE (Germain, Gregor, Murray and Larochelle, 2015): an autoencoder that factors a distribution. What it says of an
    entry depends on the entries before it alone, and so it gives all conditional probabilities at once.

    Args:
        n: Entries of a binary vector.
        width: A parameter of type int.

    Returns:
        A model from `x`, (batch, n) float32,
        to `p`, (batch, n) float32.
    """
    x = keras.Input((n,), name="x")  # line 8

    first = First(width, activation="relu", name="first")  # line 11
    second = Second(width, activation="relu", n=n, name="second")  # line 12
    decide = Decide(n, activation="sigmoid", name="decide")  # line 13

    p = decide(second(first(x)))  # line 15

    return keras.Model(x, p, name="MADE")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("MADE", "First_be02c2")
class First(layers.Dense):
    """A `Dense` whose kernel has `zero[where i > j % (shape[0] - 1)]`."""

    structure = ("kernel: zero[where i > j % (shape[0] - 1)]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = i <= j % (shape[0] - 1)
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


@keras.saving.register_keras_serializable("MADE", "Second_31c4ce")
class Second(layers.Dense):
    """A `Dense` whose kernel has `zero[where i % (n - 1) > j % (n - 1)]`."""

    structure = ("kernel: zero[where i % (n - 1) > j % (n - 1)]",)

    def __init__(self, *arguments, n, **options):
        super().__init__(*arguments, **options)
        self.n = n

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = i % (self.n - 1) <= j % (self.n - 1)
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

    def get_config(self):
        return super().get_config() | {
            "n": self.n,
        }

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


@keras.saving.register_keras_serializable("MADE", "Decide_1e39cc")
class Decide(layers.Dense):
    """A `Dense` whose kernel has `zero[where i % (shape[1] - 1) >= j]`."""

    structure = ("kernel: zero[where i % (shape[1] - 1) >= j]",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = i % (shape[1] - 1) < j
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
