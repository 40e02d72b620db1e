"""Stacking: the scores of several classifiers are added up, and training learns which of them to trust.

At the start each classifier counts the same, since the kernel is all ones. That holds at the start alone: every
weight is a number of its own, and the first step moves them apart. Warning W0504 says so.

Written by wdsl from specs/recipes/equal_start.wnet:

    ## Stacking: the scores of several classifiers are added up, and training learns which of them to trust.
    ##
    ## At the start each classifier counts the same, since the kernel is all ones. That holds at the start alone: every
    ## weight is a number of its own, and the first step moves them apart. Warning W0504 says so.
    network Stacking(classifiers: int = 6, classes: int = 4) {
        input scores: [classes, classifiers]

        layer weigh = Dense(1, use_bias=false, kernel_initializer=ones) equal via initial

        output class = scores -> weigh -> Flatten() -> softmax
    }
"""

import keras
import numpy as np
from keras import activations, layers, ops


def Stacking(classifiers: int = 6, classes: int = 4) -> keras.Model:
    """Stacking: the scores of several classifiers are added up, and training learns which of them to trust.

    At the start each classifier counts the same, since the kernel is all ones. That holds at the start alone: every
    weight is a number of its own, and the first step moves them apart. Warning W0504 says so.

    Returns:
        A model from `scores`, (batch, classes, classifiers) float32,
        to `class`, (batch, classes) float32.
    """
    scores = keras.Input((classes, classifiers), name="scores")  # line 6

    weigh = Weigh(1, use_bias=False, kernel_initializer="ones", name="weigh")  # line 8

    class_ = activations.softmax(layers.Flatten()(weigh(scores)))  # line 10

    return keras.Model(scores, class_, name="Stacking")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Stacking", "Weigh_cde1a1")
class Weigh(layers.Dense):
    """A `Dense` whose kernel is one number at first."""

    structure = ("kernel: equal via initial",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        label = np.zeros_like(entry)

        def draw(_, dtype):
            kernel = initializer(shape, dtype)
            return ops.take(kernel, label)

        return super().add_weight(shape, draw, name=name, autocast=False, **options)

    @property
    def kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
