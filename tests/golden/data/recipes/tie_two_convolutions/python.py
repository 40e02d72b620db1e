"""One set of filters at two scales (Li, Chen, Wang and Zhang, Scale-Aware Trident Networks, 2019): what is learned
from small things is seen in large ones as well.

`large` looks at every other pixel, with the filters of `small` and no others. Both branches train them.

Written by wdsl from specs/recipes/tie_two_convolutions.wnet:

    ## One set of filters at two scales (Li, Chen, Wang and Zhang, Scale-Aware Trident Networks, 2019): what is learned
    ## from small things is seen in large ones as well.
    ##
    ## `large` looks at every other pixel, with the filters of `small` and no others. Both branches train them.
    network Scales(filters: int = 4, classes: int = 3) {
        input image: [12, 12, 1]

        layer small = Conv2D(filters, 3, padding=same, activation=relu)
        layer large = Conv2D(filters, 3, padding=same, activation=relu, dilation_rate=2) tie(
            small.kernel
        )
        layer judge = Dense(classes, activation=softmax)

        seen = (image -> small, image -> large) -> maximum
        output class = seen -> GlobalAveragePooling2D() -> judge
    }
"""

import keras
from keras import layers, ops


def Scales(filters: int = 4, classes: int = 3) -> keras.Model:
    """One set of filters at two scales (Li, Chen, Wang and Zhang, Scale-Aware Trident Networks, 2019): what is learned
    from small things is seen in large ones as well.

    `large` looks at every other pixel, with the filters of `small` and no others. Both branches train them.

    Returns:
        A model from `image`, (batch, 12, 12, 1) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((12, 12, 1), name="image")  # line 6

    small_kernel = Shared((3, 3, 1, filters), name="small_kernel")(image)  # line 8
    small = Conv2DByKernel(
        filters, 3, padding="same", activation="relu", name="small"
    )  # line 8
    large = Conv2DByKernel(
        filters, 3, padding="same", activation="relu", dilation_rate=2, name="large"
    )  # line 9
    judge = layers.Dense(classes, activation="softmax", name="judge")  # line 12

    seen = ops.maximum(
        small(image, kernel=small_kernel), large(image, kernel=small_kernel)
    )  # line 14
    class_ = judge(layers.GlobalAveragePooling2D()(seen))  # line 15

    return keras.Model(image, class_, name="Scales")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Scales", "Shared_790019")
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


@keras.saving.register_keras_serializable("Scales", "Conv2DByKernel_51e63a")
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
