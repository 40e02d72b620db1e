"""Sparse coding in a few steps (Gregor and LeCun, Learning Fast Approximations of Sparse Coding, 2010): each corrects
the code by the same matrix, and has thresholds of its own, its biases.

The matrix is one weight, in the model and in its file. A loaded model has one as well, and goes on training it.

Written by wdsl from specs/recipes/tie_saved.wnet:

    ## Sparse coding in a few steps (Gregor and LeCun, Learning Fast Approximations of Sparse Coding, 2010): each corrects
    ## the code by the same matrix, and has thresholds of its own, its biases.
    ##
    ## The matrix is one weight, in the model and in its file. A loaded model has one as well, and goes on training it.
    network SparseCoding(code: int = 20) {
        input signal: [12]

        layer drive   = Dense(code, use_bias=false)
        layer step1   = Dense(code)
        layer step2   = Dense(code) tie(step1.kernel)
        layer step3   = Dense(code) tie(step1.kernel)
        layer rebuild = Dense(12, use_bias=false)

        driven = signal -> drive
        h = relu(driven)
        h = relu(driven + (h -> step1))
        h = relu(driven + (h -> step2))
        h = relu(driven + (h -> step3))
        output copy = h -> rebuild
    }
"""

import keras
from keras import activations, layers, ops


def SparseCoding(code: int = 20) -> keras.Model:
    """Sparse coding in a few steps (Gregor and LeCun, Learning Fast Approximations of Sparse Coding, 2010): each corrects
    the code by the same matrix, and has thresholds of its own, its biases.

    The matrix is one weight, in the model and in its file. A loaded model has one as well, and goes on training it.

    Returns:
        A model from `signal`, (batch, 12) float32,
        to `copy`, (batch, 12) float32.
    """
    signal = keras.Input((12,), name="signal")  # line 6

    step1_kernel = Shared((code, code), name="step1_kernel")(signal)  # line 9

    drive = layers.Dense(code, use_bias=False, name="drive")  # line 8
    step1 = DenseByKernel(code, name="step1")  # line 9
    step2 = DenseByKernel(code, name="step2")  # line 10
    step3 = DenseByKernel(code, name="step3")  # line 11
    rebuild = layers.Dense(12, use_bias=False, name="rebuild")  # line 12

    driven = drive(signal)  # line 14
    h = activations.relu(driven)  # line 15
    h = activations.relu(driven + step1(h, kernel=step1_kernel))  # line 16
    h = activations.relu(driven + step2(h, kernel=step1_kernel))  # line 17
    h = activations.relu(driven + step3(h, kernel=step1_kernel))  # line 18
    copy = rebuild(h)  # line 19

    return keras.Model(signal, copy, name="SparseCoding")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("SparseCoding", "Shared_790019")
class Shared(keras.Layer):
    """A weight as a tensor of the graph, called on any other for the sake of standing in it."""

    structure = ()

    def __init__(self, shape, initializer="glorot_uniform", **options):
        super().__init__(**options)
        self.shape = tuple(shape)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.weight = self.add_weight(
            self.shape, self.initializer, name="weight", autocast=False
        )

    def call(self, inputs):
        return ops.reshape(self.weight, self.shape)  # a tensor, no variable

    def compute_mask(self, inputs, previous_mask):
        """None: a mask belongs to the tensor that the weight only stands beside."""

    def get_config(self):
        return super().get_config() | {
            "shape": self.shape,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable("SparseCoding", "DenseByKernel_40c062")
class DenseByKernel(layers.Dense):
    """A `Dense` that is given its kernel with each call."""

    structure = ("kernel: tie",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        return None  # it comes with each call

    def call(self, inputs, kernel):
        outputs = ops.matmul(inputs, kernel)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
