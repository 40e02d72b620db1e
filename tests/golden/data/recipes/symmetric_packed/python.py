"""Learns when two things are alike: a distance (x − y)ᵀ M (x − y), with a matrix M that is learned.

M is symmetric. Stored are the n (n + 1) / 2 numbers on its diagonal and above, and nothing else is there to train.

Written by wdsl from specs/recipes/symmetric_packed.wnet:

    ## Learns when two things are alike: a distance (x − y)ᵀ M (x − y), with a matrix M that is learned.
    ##
    ## M is symmetric. Stored are the n (n + 1) / 2 numbers on its diagonal and above, and nothing else is there to train.
    network Distance(features: int = 10) {
        input x: [features]
        input y: [features]

        layer metric = Dense(features, use_bias=false) symmetric

        difference = x - y
        output distance = (difference, difference -> metric) -> Dot(axes=-1)
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Distance(features: int = 10) -> keras.Model:
    """Learns when two things are alike: a distance (x − y)ᵀ M (x − y), with a matrix M that is learned.

    M is symmetric. Stored are the n (n + 1) / 2 numbers on its diagonal and above, and nothing else is there to train.

    Returns:
        A model from `x`, (batch, features) float32,
        and `y`, (batch, features) float32,
        to `distance`, (batch, 1) float32.
    """
    x = keras.Input((features,), name="x")  # line 5
    y = keras.Input((features,), name="y")  # line 6

    metric = Metric(features, use_bias=False, name="metric")  # line 8

    difference = x - y  # line 10
    distance = layers.Dot(axes=-1)([difference, metric(difference)])  # line 11

    return keras.Model([x, y], distance, name="Distance")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Distance", "Metric_1381ca")
class Metric(layers.Dense):
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
