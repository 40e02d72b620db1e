"""One matrix in three layers: as the filters of a 1 × 1 convolution, as a Dense kernel, and in part, mirrored.

Written by wdsl from specs/shared_filters.wnet:

    ## One matrix in three layers: as the filters of a 1 × 1 convolution, as a Dense kernel, and in part, mirrored.
    network SharedFilters(features: int = 6) {
        input image: [8, 8, 3]

        layer look   = Conv2D(features, 1, activation=relu)
        layer again  = Conv2D(3, 1) tie(0.5 * look.kernel.transpose(0, 1, 3, 2))
        layer half   = Dense(features // 2) tie(-summed.kernel.flip(0)[:, 0:features // 2])
        layer summed = Dense(features) tie(look.kernel.reshape(3, features))

        colours = image -> look -> again -> mean(axis=[1, 2])
        output scores = (colours -> summed, colours -> half -> tanh) -> concat(axis=-1)
    }
"""

import keras
from keras import activations, layers, ops


def SharedFilters(features: int = 6) -> keras.Model:
    """One matrix in three layers: as the filters of a 1 × 1 convolution, as a Dense kernel, and in part, mirrored.

    Returns:
        A model from `image`, (batch, 8, 8, 3) float32,
        to `scores`, (batch, features + features // 2) float32.
    """
    image = keras.Input((8, 8, 3), name="image")  # line 3

    look_kernel = Shared((1, 1, 3, features), name="look_kernel")(image)  # line 5
    look = Conv2DByKernel(features, 1, activation="relu", name="look")  # line 5
    again = Conv2DByKernel(3, 1, name="again")  # line 6
    half = DenseByKernel(features // 2, name="half")  # line 7
    summed = DenseByKernel(features, name="summed")  # line 8

    colours = look(image, kernel=look_kernel)  # line 10
    colours = again(colours, kernel=0.5 * ops.transpose(look_kernel, (0, 1, 3, 2)))
    colours = ops.mean(colours, axis=(1, 2))
    scores = ops.concatenate(
        [
            summed(colours, kernel=ops.reshape(look_kernel, (3, features))),
            activations.tanh(
                half(
                    colours,
                    kernel=-ops.flip(ops.reshape(look_kernel, (3, features)), axis=0)[
                        :, 0 : features // 2
                    ],
                )
            ),
        ],
        axis=-1,
    )  # line 11

    return keras.Model(image, scores, name="SharedFilters")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("SharedFilters", "Shared_790019")
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


@keras.saving.register_keras_serializable("SharedFilters", "Conv2DByKernel_51e63a")
class Conv2DByKernel(layers.Conv2D):
    """A `Conv2D` that is given its kernel with each call."""

    structure = ("kernel: tie",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        return None  # it comes with each call

    def call(self, inputs, kernel):
        outputs = self.convolution_op(inputs, kernel)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


@keras.saving.register_keras_serializable("SharedFilters", "DenseByKernel_40c062")
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
