"""Autoencoder whose decoder is the encoder's transpose.

Written by wdsl from specs/tied_autoencoder.wnet:

    ## Autoencoder whose decoder is the encoder's transpose.
    network Autoencoder(
        ## Width of the code.
        code: int = 16,
    ) {
        input image: [64]

        layer encode = Dense(code, activation=relu)
        layer decode = Dense(64, activation=sigmoid) tie(encode.kernel.T)

        output copy = image -> encode -> decode
    }
"""

import keras
from keras import layers, ops


def Autoencoder(code: int = 16) -> keras.Model:
    """Autoencoder whose decoder is the encoder's transpose.

    Args:
        code: Width of the code.

    Returns:
        A model from `image`, (batch, 64) float32,
        to `copy`, (batch, 64) float32.
    """
    image = keras.Input((64,), name="image")  # line 6

    encode_kernel = Shared((64, code), name="encode_kernel")(image)  # line 8
    encode = DenseByKernel(code, activation="relu", name="encode")  # line 8
    decode = DenseByKernel(64, activation="sigmoid", name="decode")  # line 9

    copy = encode(image, kernel=encode_kernel)  # line 11
    copy = decode(copy, kernel=ops.transpose(encode_kernel))

    return keras.Model(image, copy, name="Autoencoder")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Autoencoder", "Shared_790019")
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


@keras.saving.register_keras_serializable("Autoencoder", "DenseByKernel_40c062")
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
