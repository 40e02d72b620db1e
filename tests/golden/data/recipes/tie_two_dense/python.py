"""Two spectrometers: both spectra go through one kernel, and each instrument has an offset of its own.

The kernel is stored once and trained by both layers. Their biases have nothing to do with one another.

Written by wdsl from specs/recipes/tie_two_dense.wnet:

    ## Two spectrometers: both spectra go through one kernel, and each instrument has an offset of its own.
    ##
    ## The kernel is stored once and trained by both layers. Their biases have nothing to do with one another.
    network Spectrometers(lines: int = 6) {
        input ours:   [24]
        input theirs: [24]

        layer read_ours   = Dense(lines)
        layer read_theirs = Dense(lines) tie(read_ours.kernel)
        layer decide      = Dense(1, activation=sigmoid)

        output same_sample = abs((ours -> read_ours) - (theirs -> read_theirs)) -> decide
    }
"""

import keras
from keras import layers, ops


def Spectrometers(lines: int = 6) -> keras.Model:
    """Two spectrometers: both spectra go through one kernel, and each instrument has an offset of its own.

    The kernel is stored once and trained by both layers. Their biases have nothing to do with one another.

    Returns:
        A model from `ours`, (batch, 24) float32,
        and `theirs`, (batch, 24) float32,
        to `same_sample`, (batch, 1) float32.
    """
    ours = keras.Input((24,), name="ours")  # line 5
    theirs = keras.Input((24,), name="theirs")  # line 6

    read_ours_kernel = Shared((24, lines), name="read_ours_kernel")(ours)  # line 8
    read_ours = DenseByKernel(lines, name="read_ours")  # line 8
    read_theirs = DenseByKernel(lines, name="read_theirs")  # line 9
    decide = layers.Dense(1, activation="sigmoid", name="decide")  # line 10

    same_sample = ops.abs(
        read_ours(ours, kernel=read_ours_kernel)
        - read_theirs(theirs, kernel=read_ours_kernel)
    )  # line 12
    same_sample = decide(same_sample)

    return keras.Model([ours, theirs], same_sample, name="Spectrometers")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Spectrometers", "Shared_790019")
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


@keras.saving.register_keras_serializable("Spectrometers", "DenseByKernel_40c062")
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
