"""A residual network for small images (He, Zhang, Ren and Sun, 2016, section 4.2): three stages of as many blocks,
of which the second and the third begin with half the image and twice the filters.

Written by wdsl from specs/resnet.wnet:

    ## A residual network for small images (He, Zhang, Ren and Sun, 2016, section 4.2): three stages of as many blocks,
    ## of which the second and the third begin with half the image and twice the filters.
    network ResNet(
        ## Residual blocks in each stage. The paper's networks of 20, 32, 44 and 56 layers have 3, 5, 7 and 9.
        depth: int = 1,
        ## Filters of the first stage. The paper's have 16.
        width: int = 8,
        classes: int = 10,
    ) {
        input image: [32, 32, 3]

        h = image -> Normed(width) -> relu
        for stage in range(3) {
            for i in range(depth) {
                h = h -> Residual(width * 2 ** stage, stride=2 if stage > 0 and i == 0 else 1)
            }
        }
        output digit = h -> GlobalAveragePooling2D() -> Dense(classes, activation=softmax)
    }

    ## Two convolutions, and a way around them.
    block Residual(filters: int, stride: int = 1) {
        input x
        short = x if stride == 1 else (x -> Shrink(filters, stride))
        h = x -> Normed(filters, stride) -> relu -> Normed(filters)
        output y = relu(h + short)
    }

    ## A convolution that leaves its bias to the normalization.
    block Normed(filters: int, stride: int = 1) {
        input x
        output y = (
            x
            -> Conv2D(filters, 3, strides=stride, padding=same, use_bias=false)
            -> BatchNormalization()
        )
    }

    ## The paper's shortcut A, without parameters: the channels that there are stay as they are, and the new ones are zero.
    block Shrink(filters: int, stride: int) {
        input x
        layer widen = Conv2D(filters, 1, use_bias=false) {
            kernel: zero[where k != l], fixed[where k == l] = 1
        }
        output y = x -> AveragePooling2D(1, strides=stride) -> widen
    }
"""

import keras
import numpy as np
from keras import activations, layers, ops


def ResNet(depth: int = 1, width: int = 8, classes: int = 10) -> keras.Model:
    """A residual network for small images (He, Zhang, Ren and Sun, 2016, section 4.2): three stages of as many blocks,
    of which the second and the third begin with half the image and twice the filters.

    Args:
        depth: Residual blocks in each stage. The paper's networks of 20, 32, 44 and 56 layers have 3, 5, 7 and 9.
        width: Filters of the first stage. The paper's have 16.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, 32, 32, 3) float32,
        to `digit`, (batch, classes) float32.
    """
    image = keras.Input((32, 32, 3), name="image")  # line 10

    h = activations.relu(Normed(image, width))  # line 12
    for stage in range(3):  # line 13
        for i in range(depth):  # line 14
            h = Residual(
                h,
                width * 2**stage,
                stride=2 if stage > 0 and i == 0 else 1,
                name=f"residual_{stage}_{i}",
            )  # line 15
    digit = layers.GlobalAveragePooling2D()(h)  # line 18
    digit = layers.Dense(classes, activation="softmax")(digit)

    return keras.Model(image, digit, name="ResNet")


def Residual(
    x: keras.KerasTensor, filters: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """Two convolutions, and a way around them."""
    short = (
        x if stride == 1 else Shrink(x, filters, stride, name=f"{name}_shrink")
    )  # line 24
    h = Normed(x, filters, stride)  # line 25
    h = activations.relu(h)
    h = Normed(h, filters)
    return activations.relu(h + short)


def Normed(x: keras.KerasTensor, filters: int, stride: int = 1) -> keras.KerasTensor:
    """A convolution that leaves its bias to the normalization."""
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(
        x
    )  # line 32
    return layers.BatchNormalization()(y)


def Shrink(
    x: keras.KerasTensor, filters: int, stride: int, *, name: str
) -> keras.KerasTensor:
    """The paper's shortcut A, without parameters: the channels that there are stay as they are, and the new ones are zero."""
    widen = Widen(filters, 1, use_bias=False, name=f"{name}_widen")  # line 42
    return widen(layers.AveragePooling2D(1, strides=stride)(x))


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("ResNet", "Widen_0c8a3c")
class Widen(layers.Conv2D):
    """A `Conv2D` whose kernel has `zero[where k != l]` and has
    `fixed[where k == l] = 1`.
    """

    structure = ("kernel: zero[where k != l], fixed[where k == l] = 1",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        *_, k, l_ = np.indices(shape)
        constant = np.where(k == l_, 1, 0)
        self.constant = constant
        return super().add_weight((0,), "zeros", name=name, autocast=False, **options)

    @property
    def kernel(self):
        kernel = ops.cast(self.constant, self._kernel.dtype)
        kernel = kernel + ops.sum(self._kernel)  # of none
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
