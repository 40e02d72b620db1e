"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998) with the original's partial connections from S2 to C3:
of the sixteen maps of C3, six see three neighbouring maps of S2, nine see four, and the last sees all six.

Written by wdsl from specs/lenet5.wnet:

    ## LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998) with the original's partial connections from S2 to C3:
    ## of the sixteen maps of C3, six see three neighbouring maps of S2, nine see four, and the last sees all six.
    network LeNet5(classes: int = 10) {
        input image: [32, 32, 1]

        layer c1 = Conv2D(6, 5, activation=tanh)
        layer s2 = AveragePooling2D(2)
        # k counts the maps of S2, l those of C3. Table I of the paper, column by column.
        layer c3 = Conv2D(16, 5, activation=tanh) zero[
            where l < 6 and (k - l) % 6 >= 3,
            where l >= 6 and l < 12 and (k - l) % 6 >= 4,
            where l == 12 and k % 3 == 2,
            where l == 13 and k % 3 == 0,
            where l == 14 and k % 3 == 1,
        ]
        layer s4     = AveragePooling2D(2)
        layer c5     = Conv2D(120, 5, activation=tanh)
        layer f6     = Dense(84, activation=tanh)
        layer digits = Dense(classes, activation=softmax)

        # The paper's counts of trainable parameters.
        assert free(c1.kernel) + free(c1.bias) == 156
        assert free(c3.kernel) + free(c3.bias) == 1_516
        assert free(c5.kernel) + free(c5.bias) == 48_120
        assert free(f6.kernel) + free(f6.bias) == 10_164

        output digit = image -> c1 -> s2 -> c3 -> s4 -> c5 -> Flatten() -> f6 -> digits
    }
"""

import keras
import numpy as np
from keras import layers, ops


def LeNet5(classes: int = 10) -> keras.Model:
    """LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998) with the original's partial connections from S2 to C3:
    of the sixteen maps of C3, six see three neighbouring maps of S2, nine see four, and the last sees all six.

    Returns:
        A model from `image`, (batch, 32, 32, 1) float32,
        to `digit`, (batch, classes) float32.
    """
    image = keras.Input((32, 32, 1), name="image")  # line 4

    c1 = layers.Conv2D(6, 5, activation="tanh", name="c1")  # line 6
    s2 = layers.AveragePooling2D(2, name="s2")  # line 7
    c3 = C3(16, 5, activation="tanh", name="c3")  # line 9
    s4 = layers.AveragePooling2D(2, name="s4")  # line 16
    c5 = layers.Conv2D(120, 5, activation="tanh", name="c5")  # line 17
    f6 = layers.Dense(84, activation="tanh", name="f6")  # line 18
    digits = layers.Dense(classes, activation="softmax", name="digits")  # line 19

    digit = c1(image)  # line 27
    digit = s2(digit)
    digit = c3(digit)
    digit = s4(digit)
    digit = c5(digit)
    digit = layers.Flatten()(digit)
    digit = f6(digit)
    digit = digits(digit)

    return keras.Model(image, digit, name="LeNet5")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("LeNet5", "C3_73601d")
class C3(layers.Conv2D):
    """A `Conv2D` whose kernel has
    `zero[where l < 6 and (k - l) % 6 >= 3, where l >= 6 and l < 12 and (k - l) % 6 >= 4, where l == 12 and k % 3 == 2, where l == 13 and k % 3 == 0, where l == 14 and k % 3 == 1]`.
    """

    structure = (
        "kernel: zero[where l < 6 and (k - l) % 6 >= 3, where l >= 6 and l < 12 and (k - l) % 6 >= 4, where l == 12 and k % 3 == 2, where l == 13 and k % 3 == 0, where l == 14 and k % 3 == 1]",
    )

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        *_, k, l_ = np.indices(shape)
        live = ~(
            (l_ < 6) & ((k - l_) % 6 >= 3)
            | (l_ >= 6) & (l_ < 12) & ((k - l_) % 6 >= 4)
            | (l_ == 12) & (k % 3 == 2)
            | (l_ == 13) & (k % 3 == 0)
            | (l_ == 14) & (k % 3 == 1)
        )
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)
        fans = (
            live.sum() / live.any((0, 1, 2)).sum()
            + live.sum() / live.any((0, 1, 3)).sum()
        )
        dense = live.size / shape[3] + live.size / shape[2]
        scale = np.sqrt(dense / fans)  # fewer entries, each larger

        def draw(_, dtype):
            kernel = initializer(shape, dtype) * scale
            return ops.take(ops.reshape(kernel, (-1,)), places)

        return super().add_weight(
            places.shape, draw, name=name, autocast=False, **options
        )

    @property
    def kernel(self):
        kernel = ops.take(ops.pad(self._kernel, (0, 1)), self.where)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
