"""Diagnoses from symptoms, with what is known beforehand: for four pairs, the symptom is no sign of the illness.

Their entries of the stored kernel, named by row and column, are zero from the start, and set back to zero after each
step of the optimizer.

Written by wdsl from specs/recipes/zero_by_constraint.wnet:

    ## Diagnoses from symptoms, with what is known beforehand: for four pairs, the symptom is no sign of the illness.
    ##
    ## Their entries of the stored kernel, named by row and column, are zero from the start, and set back to zero after each
    ## step of the optimizer.
    network Diagnosis(symptoms: int = 10, illnesses: int = 4) {
        input findings: [symptoms]

        layer weigh = Dense(illnesses) zero[(0, 1), (3, 0), (3, 2), (7, 3)] via constraint

        output illness = findings -> weigh -> softmax
    }
"""

import keras
import numpy as np
from keras import activations, layers, ops


def Diagnosis(symptoms: int = 10, illnesses: int = 4) -> keras.Model:
    """Diagnoses from symptoms, with what is known beforehand: for four pairs, the symptom is no sign of the illness.

    Their entries of the stored kernel, named by row and column, are zero from the start, and set back to zero after each
    step of the optimizer.

    Returns:
        A model from `findings`, (batch, symptoms) float32,
        to `illness`, (batch, illnesses) float32.
    """
    findings = keras.Input((symptoms,), name="findings")  # line 6

    weigh = Weigh(illnesses, name="weigh")  # line 8

    illness = activations.softmax(weigh(findings))  # line 10

    return keras.Model(findings, illness, name="Diagnosis")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Diagnosis", "Weigh_e06b00")
class Weigh(layers.Dense):
    """A `Dense` whose kernel has
    `zero[(0, 1), (3, 0), (3, 2), (7, 3)] via constraint`.
    """

    structure = ("kernel: zero[(0, 1), (3, 0), (3, 2), (7, 3)] via constraint",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        named = np.zeros(shape, bool)
        named[[0, 3, 3, 7], [1, 0, 2, 3]] = True
        live = ~named
        self.kept = live
        options["constraint"] = self.project_kernel
        fans = live.sum() / live.any(0).sum() + live.sum() / live.any(1).sum()
        scale = np.sqrt(sum(shape) / fans)  # fewer entries, each larger

        def draw(_, dtype):
            kernel = initializer(shape, dtype) * scale
            return ops.where(live, kernel, 0)

        return super().add_weight(shape, draw, name=name, autocast=False, **options)

    def project_kernel(self, kernel):
        return ops.where(self.kept, kernel, 0)

    @property
    def kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        kernel = with_gradient_of(self.project_kernel(kernel), kernel)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


def with_gradient_of(value, other):
    """The value, to the bit, with the gradient that something else has."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))
