"""A layer without four of its connections: a mask hides two, a constraint keeps the others at zero.

What is stored of the hidden ones may be anything. What the constraint holds is zero in the stored weight too.

Written by wdsl from specs/two_mechanisms.wnet:

    ## A layer without four of its connections: a mask hides two, a constraint keeps the others at zero.
    ##
    ## What is stored of the hidden ones may be anything. What the constraint holds is zero in the stored weight too.
    network TwoMechanisms {
        input x: [4]
        layer mix = Dense(4) zero[0, 2] via mask, zero[5, 10] via constraint
        layer out = Dense(4) symmetric via gradient { bias: equal(gradient=mean) }
        output y = x -> mix -> out
    }
"""

import keras
import numpy as np
from keras import layers, ops


def TwoMechanisms() -> keras.Model:
    """A layer without four of its connections: a mask hides two, a constraint keeps the others at zero.

    What is stored of the hidden ones may be anything. What the constraint holds is zero in the stored weight too.

    Returns:
        A model from `x`, (batch, 4) float32,
        to `y`, (batch, 4) float32.
    """
    x = keras.Input((4,), name="x")  # line 5
    mix = Mix(4, name="mix")  # line 6
    out = Out(4, name="out")  # line 7
    y = out(mix(x))  # line 8

    return keras.Model(x, y, name="TwoMechanisms")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("TwoMechanisms", "Mix_4392c9")
class Mix(layers.Dense):
    """A `Dense` whose kernel has `zero[0, 2] via mask` and has
    `zero[5, 10] via constraint`.
    """

    structure = ("kernel: zero[0, 2] via mask, zero[5, 10] via constraint",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        live = ~np.isin(entry, [0, 2])
        self.used = live
        live = ~(np.isin(entry, [0, 2]) | np.isin(entry, [5, 10]))
        self.kept = live
        options["constraint"] = self.project_kernel
        fans = live.sum() / live.any(0).sum() + live.sum() / live.any(1).sum()
        scale = np.sqrt(sum(shape) / fans)  # fewer entries, each larger

        def draw(_, dtype):
            kernel = initializer(shape, dtype) * scale
            return ops.where(live, kernel, 0)

        return super().add_weight(shape, draw, name=name, autocast=False, **options)

    def project_kernel(self, kernel):
        kernel = ops.where(self.used, kernel, 0)
        return ops.where(self.kept, kernel, 0)

    @property
    def kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        kernel = with_gradient_of(
            self.project_kernel(kernel), ops.where(self.used, kernel, 0)
        )
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


@keras.saving.register_keras_serializable("TwoMechanisms", "Out_97b97b")
class Out(layers.Dense):
    """A `Dense` whose kernel is symmetric by its gradients, and whose bias has
    `equal(gradient=mean)`.
    """

    structure = ("kernel: symmetric via gradient", "bias: equal(gradient=mean)")

    def add_weight(self, shape, initializer, name, **options):
        if name == "kernel":
            entry = np.arange(np.prod(shape)).reshape(shape)
            label = np.minimum(entry, entry.T)

            def draw(_, dtype):
                kernel = initializer(shape, dtype)
                return ops.take(kernel, label)

            return super().add_weight(shape, draw, name=name, autocast=False, **options)
        if name == "bias":
            self.bias_shape = shape

            def draw(_, dtype):
                bias = initializer(shape, dtype)
                return ops.reshape(bias, (-1,))[:1]

            return super().add_weight((1,), draw, name=name, autocast=False, **options)
        return super().add_weight(shape, initializer, name=name, **options)

    @property
    def kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        kernel = with_gradient_of(kernel, (kernel + ops.transpose(kernel)) / 2)
        return ops.cast(kernel, self.compute_dtype)

    @property
    def bias(self):
        bias = ops.convert_to_tensor(self._bias)
        bias = with_gradient_of(bias, bias / np.prod(self.bias_shape))
        bias = ops.broadcast_to(bias, self.bias_shape)
        return ops.cast(bias, self.compute_dtype)

    @bias.setter
    def bias(self, numbers):
        self._bias = numbers

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


def with_gradient_of(value, other):
    """The value, to the bit, with the gradient that something else has."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))
