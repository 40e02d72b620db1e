"""Finds a crop in a scene: both are described by the same features, and compared at every place of the scene.

A Dense layer describes the crop, a convolution the scene. Their kernels have two axes and four, and are one matrix:
what the convolution says of a place is what the Dense layer says of that place cut out.

Written by wdsl from specs/recipes/tie_dense_and_convolution.wnet:

    ## Finds a crop in a scene: both are described by the same features, and compared at every place of the scene.
    ##
    ## A Dense layer describes the crop, a convolution the scene. Their kernels have two axes and four, and are one matrix:
    ## what the convolution says of a place is what the Dense layer says of that place cut out.
    network Find(size: int = 5, features: int = 6) {
        input crop:  [size, size, 1]
        input scene: [2 * size, 2 * size, 1]

        layer describe   = Dense(features, activation=tanh, use_bias=false)
        layer everywhere = Conv2D(features, size, activation=tanh, use_bias=false) tie(
            describe.kernel.reshape(size, size, 1, features)
        )

        sought = crop -> Flatten() -> describe -> Reshape([1, 1, features])
        output likeness = sum(sought * (scene -> everywhere), axis=-1)
    }
"""

import keras
from keras import layers, ops


def Find(size: int = 5, features: int = 6) -> keras.Model:
    """Finds a crop in a scene: both are described by the same features, and compared at every place of the scene.

    A Dense layer describes the crop, a convolution the scene. Their kernels have two axes and four, and are one matrix:
    what the convolution says of a place is what the Dense layer says of that place cut out.

    Returns:
        A model from `crop`, (batch, size, size, 1) float32,
        and `scene`, (batch, 2 * size, 2 * size, 1) float32,
        to `likeness`, (batch, size + 1, size + 1) float32.
    """
    crop = keras.Input((size, size, 1), name="crop")  # line 6
    scene = keras.Input((2 * size, 2 * size, 1), name="scene")  # line 7

    describe_kernel = Shared((size * size, features), name="describe_kernel")(
        crop
    )  # line 9
    describe = DenseByKernel(
        features, activation="tanh", use_bias=False, name="describe"
    )  # line 9
    everywhere = Conv2DByKernel(
        features, size, activation="tanh", use_bias=False, name="everywhere"
    )  # line 10

    sought = layers.Flatten()(crop)  # line 14
    sought = describe(sought, kernel=describe_kernel)
    sought = layers.Reshape((1, 1, features))(sought)
    likeness = ops.sum(
        sought
        * everywhere(
            scene, kernel=ops.reshape(describe_kernel, (size, size, 1, features))
        ),
        axis=-1,
    )  # line 15

    return keras.Model([crop, scene], likeness, name="Find")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Find", "Shared_790019")
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


@keras.saving.register_keras_serializable("Find", "DenseByKernel_40c062")
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


@keras.saving.register_keras_serializable("Find", "Conv2DByKernel_51e63a")
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
