"""Edges at two scales: the wide filters have the narrow ones in their middle.

What is learned of an edge from near by is then learned for its surroundings too. The narrow kernel is a part of the
wide one and not a copy: one number, wherever it stands.

Written by wdsl from specs/multiscale.wnet:

    ## Edges at two scales: the wide filters have the narrow ones in their middle.
    ##
    ## What is learned of an edge from near by is then learned for its surroundings too. The narrow kernel is a part of the
    ## wide one and not a copy: one number, wherever it stands.
    network Multiscale(filters: int = 6) {
        input image: [16, 16, 1]

        layer near = Conv2D(filters, 3, padding=same)
        layer wide = Conv2D(filters, 7, padding=same) {
            kernel: tie[(2:5, 2:5, :, :)](near.kernel)
            bias:   tie(near.bias)
        }
        layer classify = Dense(10, activation=softmax)

        seen = concat([image -> near, image -> wide], axis=-1)
        output classes = seen -> relu -> GlobalMaxPooling2D() -> classify
    }
"""

import keras
import numpy as np
from keras import activations, layers, ops


def Multiscale(filters: int = 6) -> keras.Model:
    """Edges at two scales: the wide filters have the narrow ones in their middle.

    What is learned of an edge from near by is then learned for its surroundings too. The narrow kernel is a part of the
    wide one and not a copy: one number, wherever it stands.

    Returns:
        A model from `image`, (batch, 16, 16, 1) float32,
        to `classes`, (batch, 10) float32.
    """
    image = keras.Input((16, 16, 1), name="image")  # line 6

    coupled_weights = CoupledWeights(
        {"near.kernel": (3, 3, 1, filters), "wide.kernel": (7, 7, 1, filters)},
        name="coupled_weights",
    )(image)  # line 8
    near_bias = Shared((filters,), initializer="zeros", name="near_bias")(
        image
    )  # line 8
    near = Conv2DByKernelAndBias(filters, 3, padding="same", name="near")  # line 8
    wide = Conv2DByKernelAndBias(filters, 7, padding="same", name="wide")  # line 9
    classify = layers.Dense(10, activation="softmax", name="classify")  # line 13

    seen = ops.concatenate(
        [
            near(image, kernel=coupled_weights["near.kernel"], bias=near_bias),
            wide(image, kernel=coupled_weights["wide.kernel"], bias=near_bias),
        ],
        axis=-1,
    )  # line 15
    classes = activations.relu(seen)  # line 16
    classes = layers.GlobalMaxPooling2D()(classes)
    classes = classify(classes)

    return keras.Model(image, classes, name="Multiscale")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Multiscale", "Shared_790019")
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


@keras.saving.register_keras_serializable("Multiscale", "CoupledWeights_184dc6")
class CoupledWeights(keras.Layer):
    """Weights that have entries in common: near.kernel, wide.kernel."""

    structure = ("wide.kernel: tie[(2:5, 2:5, :, :)](near.kernel)",)

    def __init__(self, shapes, initializers=None, **options):
        super().__init__(**options)
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        given = dict.fromkeys(shapes, "glorot_uniform") | dict(initializers or {})
        self.initializers = {
            name: keras.initializers.get(given[name]) for name in shapes
        }

    def build(self, input_shape):
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        label = np.arange(sum(sizes))
        near_kernel, wide_kernel = (
            part.reshape(shape)
            for part, shape in zip(
                np.split(label, np.cumsum(sizes)[:-1]),
                self.shapes.values(),
                strict=True,
            )
        )
        wide_kernel[2:5, 2:5, :, :] = near_kernel
        places, self.where = np.unique(label, return_inverse=True)

        def draw(_, dtype):
            drawn = [
                ops.reshape(initializer(self.shapes[name], dtype), (-1,))
                for name, initializer in self.initializers.items()
            ]
            return ops.take(ops.concatenate(drawn), places)

        self.numbers = self.add_weight(
            places.shape, draw, name="weights", autocast=False
        )

    def call(self, inputs):
        vector = ops.take(self.numbers, self.where)
        found, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            found[name] = ops.reshape(vector[start:stop], shape)
            start = stop
        return found

    def compute_mask(self, inputs, previous_mask):
        """None: a mask belongs to the tensor that the weights only stand beside."""

    def get_config(self):
        return super().get_config() | {
            "shapes": self.shapes,
            "initializers": {
                name: keras.initializers.serialize(each)
                for name, each in self.initializers.items()
            },
        }


@keras.saving.register_keras_serializable("Multiscale", "Conv2DByKernelAndBias_cbe357")
class Conv2DByKernelAndBias(layers.Conv2D):
    """A `Conv2D` that is given its kernel and bias with each call."""

    structure = ("kernel: tie", "bias: tie")

    def add_weight(self, shape, initializer, name, **options):
        if name not in ("kernel", "bias"):
            return super().add_weight(shape, initializer, name=name, **options)
        return None  # they come with each call

    def call(self, inputs, kernel, bias):
        outputs = self.convolution_op(inputs, kernel)
        return self.activation(ops.add(outputs, bias))

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
