"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen, 2018).

Written by wdsl from specs/mobilenet_v2.wnet:

    ## MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen, 2018).
    network MobileNetV2(
        ## How wide all layers are, beside those of the paper.
        alpha: float = 0.35,
        ## The paper has images of 224 × 224, and 1000 classes.
        side: int = 32,
        classes: int = 10,
    ) {
        input image: [side, side, 3]
        h = image -> Normed(divisible(32 * alpha), 3, strides=2)
        for expansion, filters, count, strides in stages {
            for i in range(count) {
                h = h -> Inverted(expansion, divisible(int(filters * alpha)), strides if i == 0 else 1)
            }
        }
        h = h -> Normed(divisible(1280 * alpha) if alpha > 1.0 else 1280, 1) -> GlobalAveragePooling2D()
        output class = h -> Dense(classes, activation=softmax)
    }

    ## Of each stage: how much wider its blocks are within, its filters, its blocks, the strides of the first.
    const stages = [
        [1, 16, 1, 1],
        [6, 24, 2, 2],
        [6, 32, 3, 2],
        [6, 64, 4, 2],
        [6, 96, 3, 1],
        [6, 160, 3, 2],
        [6, 320, 1, 1],
    ]

    def rounded(v: float, by: int) = max(by, int(v + by / 2) // by * by)

    ## The multiple that is nearest, and never less than nine tenths.
    def divisible(v: float, by: int = 8) = rounded(v, by) + (by if rounded(v, by) < 0.9 * v else 0)

    ## An inverted residual: wide in the middle, and around it if nothing changes in size.
    block Inverted(expansion: int, filters: int, strides: int) {
        input x: [height, width, channels]
        h = x
        if expansion > 1 {
            h = h -> Normed(expansion * channels, 1)
        }
        h = (
            h
            -> DepthwiseConv2D(3, strides=strides, padding=same, use_bias=false)
            -> BatchNormalization(epsilon=1e-3, momentum=0.999)
            -> ReLU(6)
        )
        h = h -> Conv2D(filters, 1, use_bias=false) -> BatchNormalization(epsilon=1e-3, momentum=0.999)
        output y = h + x if strides == 1 and channels == filters else h
    }

    block Normed(filters: int, size: int, strides: int = 1) {
        input x
        output y = (
            x
            -> Conv2D(filters, size, strides=strides, padding=same, use_bias=false)
            -> BatchNormalization(epsilon=1e-3, momentum=0.999)
            -> ReLU(6)
        )
    }
"""

import keras
from keras import layers


def rounded(v: float, by: int):
    return max(by, int(v + by / 2) // by * by)


def divisible(v: float, by: int = 8):
    """The multiple that is nearest, and never less than nine tenths."""
    return rounded(v, by) + (by if rounded(v, by) < 0.9 * v else 0)


# Of each stage: how much wider its blocks are within, its filters, its blocks, the strides of the first.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def MobileNetV2(alpha: float = 0.35, side: int = 32, classes: int = 10) -> keras.Model:
    """MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen, 2018).

    Args:
        alpha: How wide all layers are, beside those of the paper.
        side: The paper has images of 224 × 224, and 1000 classes.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, side, side, 3) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((side, side, 3), name="image")  # line 9
    h = Normed(image, divisible(32 * alpha), 3, strides=2)  # line 10
    for expansion, filters, count, strides in STAGES:  # line 11
        for i in range(count):  # line 12
            h = Inverted(
                h, expansion, divisible(int(filters * alpha)), strides if i == 0 else 1
            )  # line 13
    h = Normed(h, divisible(1280 * alpha) if alpha > 1.0 else 1280, 1)  # line 16
    h = layers.GlobalAveragePooling2D()(h)
    class_ = layers.Dense(classes, activation="softmax")(h)  # line 17

    return keras.Model(image, class_, name="MobileNetV2")


def Inverted(
    x: keras.KerasTensor, expansion: int, filters: int, strides: int
) -> keras.KerasTensor:
    """An inverted residual: wide in the middle, and around it if nothing changes in size."""
    h = x  # line 39
    if expansion > 1:  # line 40
        h = Normed(h, expansion * x.shape[3], 1)  # line 41
    h = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(
        h
    )  # line 43
    h = layers.BatchNormalization(epsilon=0.001, momentum=0.999)(h)
    h = layers.ReLU(6)(h)
    h = layers.Conv2D(filters, 1, use_bias=False)(h)  # line 49
    h = layers.BatchNormalization(epsilon=0.001, momentum=0.999)(h)
    return h + x if strides == 1 and x.shape[3] == filters else h


def Normed(
    x: keras.KerasTensor, filters: int, size: int, strides: int = 1
) -> keras.KerasTensor:
    """The block `Normed`."""
    y = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(
        x
    )  # line 55
    y = layers.BatchNormalization(epsilon=0.001, momentum=0.999)(y)
    return layers.ReLU(6)(y)
