"""Two views of one thing: part of what each tower sees is seen by both, part by itself alone.

The common part is a weight of no layer. The first 16 units of both towers are computed from it, so they mean the
same on either side; the other 8 are each tower's own.

Written by wdsl from specs/shared_private.wnet:

    ## Two views of one thing: part of what each tower sees is seen by both, part by itself alone.
    ##
    ## The common part is a weight of no layer. The first 16 units of both towers are computed from it, so they mean the
    ## same on either side; the other 8 are each tower's own.
    network SharedPrivate(common: int = 16, own: int = 8) {
        input left:  [32]
        input right: [32]

        weight shared: [32, common] = HeNormal()

        layer see_left  = Dense(common + own, activation=relu) tie[(:, 0:common)](shared)
        layer see_right = Dense(common + own, activation=relu) tie[(:, 0:common)](shared)
        layer judge     = Dense(1, activation=sigmoid)

        output same = concat([left -> see_left, right -> see_right], axis=-1) -> judge
    }
"""

import keras
import numpy as np
from keras import initializers, layers, ops


def SharedPrivate(common: int = 16, own: int = 8) -> keras.Model:
    """Two views of one thing: part of what each tower sees is seen by both, part by itself alone.

    The common part is a weight of no layer. The first 16 units of both towers are computed from it, so they mean the
    same on either side; the other 8 are each tower's own.

    Returns:
        A model from `left`, (batch, 32) float32,
        and `right`, (batch, 32) float32,
        to `same`, (batch, 1) float32.
    """
    left = keras.Input((32,), name="left")  # line 6
    right = keras.Input((32,), name="right")  # line 7

    coupled_weights = CoupledWeights(
        {
            "shared": (32, common),
            "see_left.kernel": (32, common + own),
            "see_right.kernel": (32, common + own),
        },
        initializers={"shared": initializers.HeNormal()},
        common=common,
        name="coupled_weights",
    )(left)  # line 9

    see_left = DenseByKernel(
        common + own, activation="relu", name="see_left"
    )  # line 11
    see_right = DenseByKernel(
        common + own, activation="relu", name="see_right"
    )  # line 12
    judge = layers.Dense(1, activation="sigmoid", name="judge")  # line 13

    same = ops.concatenate(
        [
            see_left(left, kernel=coupled_weights["see_left.kernel"]),
            see_right(right, kernel=coupled_weights["see_right.kernel"]),
        ],
        axis=-1,
    )  # line 15
    same = judge(same)

    return keras.Model([left, right], same, name="SharedPrivate")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("SharedPrivate", "CoupledWeights_817899")
class CoupledWeights(keras.Layer):
    """Weights that have entries in common: shared, see_left.kernel,
    see_right.kernel.
    """

    structure = (
        "see_left.kernel: tie[(:, 0:common)](shared)",
        "see_right.kernel: tie[(:, 0:common)](shared)",
    )

    def __init__(self, shapes, initializers=None, *, common, **options):
        super().__init__(**options)
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        given = dict.fromkeys(shapes, "glorot_uniform") | dict(initializers or {})
        self.initializers = {
            name: keras.initializers.get(given[name]) for name in shapes
        }
        self.common = common

    def build(self, input_shape):
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        label = np.arange(sum(sizes))
        shared, see_left_kernel, see_right_kernel = (
            part.reshape(shape)
            for part, shape in zip(
                np.split(label, np.cumsum(sizes)[:-1]),
                self.shapes.values(),
                strict=True,
            )
        )
        see_left_kernel[:, 0 : self.common] = shared
        see_right_kernel[:, 0 : self.common] = shared
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
            "common": self.common,
        }


@keras.saving.register_keras_serializable("SharedPrivate", "DenseByKernel_40c062")
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
