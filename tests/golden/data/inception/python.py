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

    h = Seen(image, 4 * width, 3)  # line 11
    h = Seen(h, 4 * width, 1)
    h = Seen(h, 12 * width, 3)
    h = layers.MaxPooling2D()(h)
    h = Inception(
        h, 4 * width, (6 * width, 8 * width), (width, 2 * width), 2 * width
    )  # line 13
    h = Inception(
        h, 8 * width, (8 * width, 12 * width), (2 * width, 6 * width), 4 * width
    )  # line 14
    h = layers.MaxPooling2D()(h)  # line 15
    h = layers.GlobalAveragePooling2D()(h)
    class_ = layers.Dropout(dropout)(h)  # line 16
    class_ = layers.Dense(classes, activation="softmax")(class_)

    return keras.Model(image, class_, name="GoogLeNet")


def Inception(
    x: keras.KerasTensor, one: int, three: tuple, five: tuple, pooled: int
) -> keras.KerasTensor:
    """A convolution with more than one pixel sees few channels: `three` and `five` say how few, and how many it gives."""
    pixel = Seen(x, one, 1)  # line 24
    near = Seen(x, three[0], 1)  # line 25
    near = Seen(near, three[1], 3)
    far = Seen(x, five[0], 1)  # line 26
    far = Seen(far, five[1], 5)
    most = layers.MaxPooling2D(3, strides=1, padding="same")(x)  # line 27
    most = Seen(most, pooled, 1)
    return ops.concatenate([pixel, near, far, most], axis=-1)


def Seen(x: keras.KerasTensor, filters: int, size: int) -> keras.KerasTensor:
    """The block `Seen`."""
    return layers.Conv2D(filters, size, padding="same", activation="relu")(x)
