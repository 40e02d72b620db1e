"""A Hopfield network, unrolled for three steps: symmetric weights, and no neuron that drives itself.

Written by wdsl from specs/hopfield.wnet:

    ## A Hopfield network, unrolled for three steps: symmetric weights, and no neuron that drives itself.
    network Hopfield(neurons: int = 64) {
        input pattern: [neurons]

        layer recall = Dense(neurons, activation=tanh, use_bias=false) symmetric, zero[diagonal]

        output settled = pattern -> recall -> recall -> recall
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Hopfield(neurons: int = 64) -> keras.Model:
    """A Hopfield network, unrolled for three steps: symmetric weights, and no neuron that drives itself.

    Returns:
        A model from `pattern`, (batch, neurons) float32,
        to `settled`, (batch, neurons) float32.
    """
    pattern = keras.Input((neurons,), name="pattern")  # line 3

    recall = Recall(neurons, activation="tanh", use_bias=False, name="recall")  # line 5

    settled = recall(recall(recall(pattern)))  # line 7

    return keras.Model(pattern, settled, name="Hopfield")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Hopfield", "Recall_6cbe4f")
class Recall(layers.Dense):
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
