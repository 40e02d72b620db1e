"""Listens with two ears: half of the hidden units hear the left one, half the right one. Three more connections were
pruned.

A mask hides the connections to the other ear in every forward pass, and from the regularizer. What is stored below
it counts for nothing, and can be any number. The pruned connections are zero in the stored kernel as well.

Written by wdsl from specs/recipes/zero_by_mask.wnet:

    ## Listens with two ears: half of the hidden units hear the left one, half the right one. Three more connections were
    ## pruned.
    ##
    ## A mask hides the connections to the other ear in every forward pass, and from the regularizer. What is stored below
    ## it counts for nothing, and can be any number. The pruned connections are zero in the stored kernel as well.
    network Ears(bands: int = 6, units: int = 5) {
        input left:  [bands]
        input right: [bands]

        layer hear = Dense(2 * units, activation=tanh, kernel_regularizer=L2(0.01)) {
            kernel: zero[not blocks(bands, units)] via mask, zero[(0, 3), (2, 1), (8, 6)] via constraint
        }
        layer locate = Dense(1)

        output angle = (left, right) -> concat(axis=-1) -> hear -> locate
    }
"""

import keras
import numpy as np
from keras import layers, ops, regularizers


def Ears(bands: int = 6, units: int = 5) -> keras.Model:
    """Listens with two ears: half of the hidden units hear the left one, half the right one. Three more connections were
    pruned.

    A mask hides the connections to the other ear in every forward pass, and from the regularizer. What is stored below
    it counts for nothing, and can be any number. The pruned connections are zero in the stored kernel as well.

    Returns:
        A model from `left`, (batch, bands) float32,
        and `right`, (batch, bands) float32,
        to `angle`, (batch, 1) float32.
    """
    left = keras.Input((bands,), name="left")  # line 7
    right = keras.Input((bands,), name="right")  # line 8

    hear = Hear(
        2 * units,
        activation="tanh",
        kernel_regularizer=regularizers.L2(0.01),
        bands=bands,
        units_=units,
        name="hear",
    )  # line 10
    locate = layers.Dense(1, name="locate")  # line 13

    angle = locate(hear(ops.concatenate([left, right], axis=-1)))  # line 15

    return keras.Model([left, right], angle, name="Ears")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Ears", "Hear_6f9d2c")
class Hear(layers.Dense):
    """A `Dense` whose kernel has `zero[not blocks(bands, units)] via mask` and has
    `zero[(0, 3), (2, 1), (8, 6)] via constraint`.
    """

    structure = (
        "kernel: zero[not blocks(bands, units)] via mask, zero[(0, 3), (2, 1), (8, 6)] via constraint",
    )

    def __init__(self, *arguments, bands, units_, **options):
        super().__init__(*arguments, **options)
        self.bands = bands
        self.units_ = units_

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        i, j = np.indices(shape)
        live = i // self.bands == j // self.units_
        self.used = live
        named = np.zeros(shape, bool)
        named[[0, 2, 8], [3, 1, 6]] = True
        live = ~((i // self.bands != j // self.units_) | named)
        self.kept = live
        options["constraint"] = self.project_kernel
        regularizer = options["regularizer"]
        options["regularizer"] = lambda _: regularizer(self.whole_kernel())
        fans = live.sum() / live.any(0).sum() + live.sum() / live.any(1).sum()
        scale = np.sqrt(sum(shape) / fans)  # fewer entries, each larger

        def draw(_, dtype):
            kernel = initializer(shape, dtype) * scale
            return ops.where(live, kernel, 0)

        return super().add_weight(shape, draw, name=name, autocast=False, **options)

    def project_kernel(self, kernel):
        kernel = ops.where(self.used, kernel, 0)
        return ops.where(self.kept, kernel, 0)

    def whole_kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        return with_gradient_of(
            self.project_kernel(kernel), ops.where(self.used, kernel, 0)
        )

    @property
    def kernel(self):
        return ops.cast(self.whole_kernel(), self.compute_dtype)

    def get_config(self):
        return super().get_config() | {
            "bands": self.bands,
            "units_": self.units_,
        }

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


def with_gradient_of(value, other):
    """The value, to the bit, with the gradient that something else has."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))
