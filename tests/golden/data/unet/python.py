"""A U-Net (Ronneberger, Fischer and Brox, 2015): down to a quarter of the image, and up again with what was seen on
the way down. The answer is a class for each pixel.

Written by wdsl from specs/unet.wnet:

    ## A U-Net (Ronneberger, Fischer and Brox, 2015): down to a quarter of the image, and up again with what was seen on
    ## the way down. The answer is a class for each pixel.
    network UNet(
        ## Filters at full size. Each half of the size has twice as many.
        width: int = 4,
        classes: int = 2,
    ) {
        input image: [16, 16, 1]

        whole = image -> Look(width)
        half = whole -> MaxPooling2D() -> Look(2 * width)
        quarter = half -> MaxPooling2D() -> Look(4 * width)

        half = (quarter, half) -> Up(2 * width)
        whole = (half, whole) -> Up(width)
        output class = whole -> Conv2D(classes, 1, activation=softmax)

        assert shape(quarter) == [4, 4, 4 * width] and shape(class) == [16, 16, classes]
    }

    block Look(filters: int) {
        input x
        output y = x -> Conv2D(filters, 3, padding=same, activation=relu) * 2
    }

    ## Twice the size, beside what had that size before.
    block Up(filters: int) {
        input small
        input large
        raised = small -> Conv2DTranspose(filters, 2, strides=2)
        output y = (large, raised) -> concat(axis=-1) -> Look(filters)
    }
"""

import keras
from keras import layers, ops


def UNet(width: int = 4, classes: int = 2) -> keras.Model:
    """A U-Net (Ronneberger, Fischer and Brox, 2015): down to a quarter of the image, and up again with what was seen on
    the way down. The answer is a class for each pixel.

    Args:
        width: Filters at full size. Each half of the size has twice as many.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, 16, 16, 1) float32,
        to `class`, (batch, 16, 16, classes) float32.
    """
    image = keras.Input((16, 16, 1), name="image")  # line 8

    whole = Look(image, width)  # line 10
    half = layers.MaxPooling2D()(whole)  # line 11
    half = Look(half, 2 * width)
    quarter = layers.MaxPooling2D()(half)  # line 12
    quarter = Look(quarter, 4 * width)

    half = Up(quarter, half, 2 * width)  # line 14
    whole = Up(half, whole, width)  # line 15
    class_ = layers.Conv2D(classes, 1, activation="softmax")(whole)  # line 16

    return keras.Model(image, class_, name="UNet")


def Look(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """The block `Look`."""
    y = x  # line 23
    for _ in range(2):  # line 23
        y = layers.Conv2D(filters, 3, padding="same", activation="relu")(y)
    return y


def Up(
    small: keras.KerasTensor, large: keras.KerasTensor, filters: int
) -> keras.KerasTensor:
    """Twice the size, beside what had that size before."""
    raised = layers.Conv2DTranspose(filters, 2, strides=2)(small)  # line 30
    return Look(ops.concatenate([large, raised], axis=-1), filters)
