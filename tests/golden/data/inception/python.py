"""The beginning of GoogLeNet (Szegedy et al., 2015), for small images: modules that look at the same place in four
ways at once, and put side by side what they saw.

Written by wdsl from specs/inception.wnet:

    ## The beginning of GoogLeNet (Szegedy et al., 2015), for small images: modules that look at the same place in four
    ## ways at once, and put side by side what they saw.
    network GoogLeNet(
        ## All sizes are multiples of this. The paper's networks have 16.
        width: int = 2,
        classes: int = 10,
        dropout: float = 0.4,
    ) {
        input image: [16, 16, 3]

        h = image -> Seen(4 * width, 3) -> Seen(4 * width, 1) -> Seen(12 * width, 3) -> MaxPooling2D()
        # What the paper calls 3a and 3b.
        h = h -> Inception(4 * width, [6 * width, 8 * width], [width, 2 * width], 2 * width)
        h = h -> Inception(8 * width, [8 * width, 12 * width], [2 * width, 6 * width], 4 * width)
        h = h -> MaxPooling2D() -> GlobalAveragePooling2D()
        output class = h -> Dropout(dropout) -> Dense(classes, activation=softmax)

        assert shape(h) == [30 * width]
    }

    ## A convolution with more than one pixel sees few channels: `three` and `five` say how few, and how many it gives.
    block Inception(one: int, three: list, five: list, pooled: int) {
        input x
        pixel = x -> Seen(one, 1)
        near = x -> Seen(three[0], 1) -> Seen(three[1], 3)
        far = x -> Seen(five[0], 1) -> Seen(five[1], 5)
        most = x -> MaxPooling2D(3, strides=1, padding=same) -> Seen(pooled, 1)
        output y = (pixel, near, far, most) -> concat(axis=-1)
    }

    block Seen(filters: int, size: int) {
        input x
        output y = x -> Conv2D(filters, size, padding=same, activation=relu)
    }
"""

import keras
from keras import layers, ops


def GoogLeNet(width: int = 2, classes: int = 10, dropout: float = 0.4) -> keras.Model:
    """The beginning of GoogLeNet (Szegedy et al., 2015), for small images: modules that look at the same place in four
    ways at once, and put side by side what they saw.

    Args:
        width: All sizes are multiples of this. The paper's networks have 16.
        classes: A parameter of type int.
        dropout: A parameter of type float.

    Returns:
        A model from `image`, (batch, 16, 16, 3) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((16, 16, 3), name="image")  # line 9

    seen_conv2d = layers.Conv2D(
        4 * width, 3, padding="same", activation="relu", name="seen_conv2d"
    )  # line 33

    seen_y = seen_conv2d(image)  # line 33
    seen_2_conv2d = layers.Conv2D(
        4 * width, 1, padding="same", activation="relu", name="seen_2_conv2d"
    )  # line 33

    seen_2_y = seen_2_conv2d(seen_y)  # line 33
    seen_3_conv2d = layers.Conv2D(
        12 * width, 3, padding="same", activation="relu", name="seen_3_conv2d"
    )  # line 33

    seen_3_y = seen_3_conv2d(seen_2_y)  # line 33

    h = layers.MaxPooling2D()(seen_3_y)  # line 11

    seen_4_conv2d = layers.Conv2D(
        4 * width, 1, padding="same", activation="relu", name="seen_4_conv2d"
    )  # line 33

    seen_4_y = seen_4_conv2d(h)  # line 33

    inception_pixel = seen_4_y  # line 24

    seen_5_conv2d = layers.Conv2D(
        (6 * width, 8 * width)[0],
        1,
        padding="same",
        activation="relu",
        name="seen_5_conv2d",
    )  # line 33

    seen_5_y = seen_5_conv2d(h)  # line 33
    seen_6_conv2d = layers.Conv2D(
        (6 * width, 8 * width)[1],
        3,
        padding="same",
        activation="relu",
        name="seen_6_conv2d",
    )  # line 33

    seen_6_y = seen_6_conv2d(seen_5_y)  # line 33

    inception_near = seen_6_y  # line 25

    seen_7_conv2d = layers.Conv2D(
        (width, 2 * width)[0],
        1,
        padding="same",
        activation="relu",
        name="seen_7_conv2d",
    )  # line 33

    seen_7_y = seen_7_conv2d(h)  # line 33
    seen_8_conv2d = layers.Conv2D(
        (width, 2 * width)[1],
        5,
        padding="same",
        activation="relu",
        name="seen_8_conv2d",
    )  # line 33

    seen_8_y = seen_8_conv2d(seen_7_y)  # line 33

    inception_far = seen_8_y  # line 26
    seen_9_x = layers.MaxPooling2D(3, strides=1, padding="same")(h)  # line 27

    seen_9_conv2d = layers.Conv2D(
        2 * width, 1, padding="same", activation="relu", name="seen_9_conv2d"
    )  # line 33

    seen_9_y = seen_9_conv2d(seen_9_x)  # line 33

    inception_most = seen_9_y  # line 27
    inception_y = ops.concatenate(
        [inception_pixel, inception_near, inception_far, inception_most], axis=-1
    )  # line 28

    h = inception_y  # line 13

    seen_10_conv2d = layers.Conv2D(
        8 * width, 1, padding="same", activation="relu", name="seen_10_conv2d"
    )  # line 33

    seen_10_y = seen_10_conv2d(h)  # line 33

    inception_2_pixel = seen_10_y  # line 24

    seen_11_conv2d = layers.Conv2D(
        (8 * width, 12 * width)[0],
        1,
        padding="same",
        activation="relu",
        name="seen_11_conv2d",
    )  # line 33

    seen_11_y = seen_11_conv2d(h)  # line 33
    seen_12_conv2d = layers.Conv2D(
        (8 * width, 12 * width)[1],
        3,
        padding="same",
        activation="relu",
        name="seen_12_conv2d",
    )  # line 33

    seen_12_y = seen_12_conv2d(seen_11_y)  # line 33

    inception_2_near = seen_12_y  # line 25

    seen_13_conv2d = layers.Conv2D(
        (2 * width, 6 * width)[0],
        1,
        padding="same",
        activation="relu",
        name="seen_13_conv2d",
    )  # line 33

    seen_13_y = seen_13_conv2d(h)  # line 33
    seen_14_conv2d = layers.Conv2D(
        (2 * width, 6 * width)[1],
        5,
        padding="same",
        activation="relu",
        name="seen_14_conv2d",
    )  # line 33

    seen_14_y = seen_14_conv2d(seen_13_y)  # line 33

    inception_2_far = seen_14_y  # line 26
    seen_15_x = layers.MaxPooling2D(3, strides=1, padding="same")(h)  # line 27

    seen_15_conv2d = layers.Conv2D(
        4 * width, 1, padding="same", activation="relu", name="seen_15_conv2d"
    )  # line 33

    seen_15_y = seen_15_conv2d(seen_15_x)  # line 33

    inception_2_most = seen_15_y  # line 27
    inception_2_y = ops.concatenate(
        [inception_2_pixel, inception_2_near, inception_2_far, inception_2_most],
        axis=-1,
    )  # line 28

    h = inception_2_y  # line 14
    h = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(h))  # line 15
    class_ = layers.Dense(classes, activation="softmax")(
        layers.Dropout(dropout)(h)
    )  # line 16

    return keras.Model(image, class_, name="GoogLeNet")
