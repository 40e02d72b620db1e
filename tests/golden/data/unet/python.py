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

    look_conv2d = layers.Conv2D(
        width, 3, padding="same", activation="relu", name="look_conv2d"
    )  # line 23
    look_conv2d_2 = layers.Conv2D(
        width, 3, padding="same", activation="relu", name="look_conv2d_2"
    )  # line 23

    look_y = look_conv2d_2(look_conv2d(image))  # line 23

    whole = look_y  # line 10
    look_2_x = layers.MaxPooling2D()(whole)  # line 11

    look_2_conv2d = layers.Conv2D(
        2 * width, 3, padding="same", activation="relu", name="look_2_conv2d"
    )  # line 23
    look_2_conv2d_2 = layers.Conv2D(
        2 * width, 3, padding="same", activation="relu", name="look_2_conv2d_2"
    )  # line 23

    look_2_y = look_2_conv2d_2(look_2_conv2d(look_2_x))  # line 23

    half = look_2_y  # line 11
    look_3_x = layers.MaxPooling2D()(half)  # line 12

    look_3_conv2d = layers.Conv2D(
        4 * width, 3, padding="same", activation="relu", name="look_3_conv2d"
    )  # line 23
    look_3_conv2d_2 = layers.Conv2D(
        4 * width, 3, padding="same", activation="relu", name="look_3_conv2d_2"
    )  # line 23

    look_3_y = look_3_conv2d_2(look_3_conv2d(look_3_x))  # line 23

    quarter = look_3_y  # line 12

    up_conv2d_transpose = layers.Conv2DTranspose(
        2 * width, 2, strides=2, name="up_conv2d_transpose"
    )  # line 30

    up_raised = up_conv2d_transpose(quarter)  # line 30
    look_4_x = ops.concatenate([half, up_raised], axis=-1)  # line 31

    look_4_conv2d = layers.Conv2D(
        2 * width, 3, padding="same", activation="relu", name="look_4_conv2d"
    )  # line 23
    look_4_conv2d_2 = layers.Conv2D(
        2 * width, 3, padding="same", activation="relu", name="look_4_conv2d_2"
    )  # line 23

    look_4_y = look_4_conv2d_2(look_4_conv2d(look_4_x))  # line 23

    half = look_4_y  # line 14

    up_2_conv2d_transpose = layers.Conv2DTranspose(
        width, 2, strides=2, name="up_2_conv2d_transpose"
    )  # line 30

    up_2_raised = up_2_conv2d_transpose(half)  # line 30
    look_5_x = ops.concatenate([whole, up_2_raised], axis=-1)  # line 31

    look_5_conv2d = layers.Conv2D(
        width, 3, padding="same", activation="relu", name="look_5_conv2d"
    )  # line 23
    look_5_conv2d_2 = layers.Conv2D(
        width, 3, padding="same", activation="relu", name="look_5_conv2d_2"
    )  # line 23

    look_5_y = look_5_conv2d_2(look_5_conv2d(look_5_x))  # line 23

    whole = look_5_y  # line 15
    class_ = layers.Conv2D(classes, 1, activation="softmax")(whole)  # line 16

    return keras.Model(image, class_, name="UNet")
