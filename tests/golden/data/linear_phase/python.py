"""A bank of filters for sound that delay every frequency by the same time.

A filter has linear phase if it reads the same from both ends. So each kernel is tied to itself, turned round: of 15
numbers 8 are free, and no training can give one end another sound than the other.

Written by wdsl from specs/linear_phase.wnet:

    ## A bank of filters for sound that delay every frequency by the same time.
    ##
    ## A filter has linear phase if it reads the same from both ends. So each kernel is tied to itself, turned round: of 15
    ## numbers 8 are free, and no training can give one end another sound than the other.
    network LinearPhase(filters: int = 4, taps: int = 15) {
        input sound: [256, 1]

        layer bank  = Conv1D(filters, taps, padding=same, use_bias=false) tie(bank.kernel.flip(0))
        layer level = Dense(1)

        output loudness = sound -> bank -> abs -> GlobalAveragePooling1D() -> level
    }
"""

import keras
import numpy as np
from keras import layers, ops


def LinearPhase(filters: int = 4, taps: int = 15) -> keras.Model:
    """A bank of filters for sound that delay every frequency by the same time.

    A filter has linear phase if it reads the same from both ends. So each kernel is tied to itself, turned round: of 15
    numbers 8 are free, and no training can give one end another sound than the other.

    Returns:
        A model from `sound`, (batch, 256, 1) float32,
        to `loudness`, (batch, 1) float32.
    """
    sound = keras.Input((256, 1), name="sound")  # line 6

    bank = Bank(filters, taps, padding="same", use_bias=False, name="bank")  # line 8
    level = layers.Dense(1, name="level")  # line 9

    loudness = bank(sound)  # line 11
    loudness = ops.abs(loudness)
    loudness = layers.GlobalAveragePooling1D()(loudness)
    loudness = level(loudness)

    return keras.Model(sound, loudness, name="LinearPhase")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("LinearPhase", "Bank_318592")
class Bank(layers.Conv1D):
    """A `Conv1D` whose kernel has `tie(kernel.flip(0))`."""

    structure = ("kernel: tie(kernel.flip(0))",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        label = np.minimum(entry, np.flip(entry, 0))
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
