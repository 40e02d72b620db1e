"""EfficientNet, B0 to B7 (Tan and Le, 2019).

Written by wdsl from specs/efficientnet.wnet:

    ## EfficientNet, B0 to B7 (Tan and Le, 2019).
    network EfficientNet(
        ## Which one, from 0 to 7.
        version: int = 0,
        width: float = versions[version][0],
        depth: float = versions[version][1],
        dropout: float = versions[version][2],
        ## How many of the ways through a block are left out in training, in the last one.
        drop_connect: float = 0.2,
        ## The paper has images of 224 × 224 for B0, up to 600 × 600 for B7, and 1000 classes.
        side: int = 32,
        classes: int = 10,
    ) {
        input image: [side, side, 3]
        counts = [ceil(depth * count) for _, count, _, _, _ in stages]
        h = image -> Rescaling(1 / 255) -> Normalization()
        h = h -> Normed(divisible(32 * width), 3, strides=2) -> silu
        for number, stage in enumerate(stages) {
            size, _, filters, expansion, strides = stage
            for i in range(counts[number]) {
                rate = drop_connect * (sum(counts[:number]) + i) / sum(counts)
                h = (
                    h
                    -> MBConv(
                        divisible(filters * width),
                        size,
                        expansion,
                        strides if i == 0 else 1,
                        rate,
                    )
                )
            }
        }
        h = h -> Normed(divisible(1280 * width), 1) -> silu -> GlobalAveragePooling2D()
        output class = (
            h
            -> Dropout(dropout)
            -> Dense(
                classes,
                activation=softmax,
                kernel_initializer=VarianceScaling(1 / 3, mode=fan_out, distribution=uniform),
            )
        )
    }

    ## How wide and how deep each version is, and how much of its last layer is left out in training.
    const versions = [
        [1.0, 1.0, 0.2],
        [1.0, 1.1, 0.2],
        [1.1, 1.2, 0.3],
        [1.2, 1.4, 0.3],
        [1.4, 1.8, 0.4],
        [1.6, 2.2, 0.4],
        [1.8, 2.6, 0.5],
        [2.0, 3.1, 0.5],
    ]

    ## Of each stage: the size of its kernels, its blocks, its filters, how much wider they are within, the first strides.
    const stages = [
        [3, 1, 16, 1, 1],
        [3, 2, 24, 6, 2],
        [5, 2, 40, 6, 2],
        [3, 3, 80, 6, 2],
        [5, 3, 112, 6, 1],
        [5, 4, 192, 6, 2],
        [3, 1, 320, 6, 1],
    ]

    const fan_out_normal = VarianceScaling(2.0, mode=fan_out)

    def rounded(v: float, by: int) = max(by, int(v + by / 2) // by * by)

    ## The multiple that is nearest, and never less than nine tenths.
    def divisible(v: float, by: int = 8) = rounded(v, by) + (by if rounded(v, by) < 0.9 * v else 0)

    ## An inverted residual with squeeze and excitation.
    block MBConv(filters: int, size: int, expansion: int, strides: int, rate: float) {
        input x: [height, width, channels]
        h = x
        if expansion > 1 {
            h = h -> Normed(expansion * channels, 1) -> silu
        }
        h = (
            h
            -> DepthwiseConv2D(
                size,
                strides=strides,
                padding=same,
                use_bias=false,
                depthwise_initializer=fan_out_normal,
            )
            -> BatchNormalization()
            -> silu
        )
        excited = (
            h
            -> GlobalAveragePooling2D(keepdims=true)
            -> Conv2D(max(1, channels // 4), 1, activation=silu, kernel_initializer=fan_out_normal)
            -> Conv2D(expansion * channels, 1, activation=sigmoid, kernel_initializer=fan_out_normal)
        )
        h = h * excited -> Normed(filters, 1)
        if strides == 1 and channels == filters {
            h = (h -> Dropout(rate, noise_shape=[none, 1, 1, 1])) + x
        }
        output y = h
    }

    block Normed(filters: int, size: int, strides: int = 1) {
        input x
        output y = (
            x
            -> Conv2D(
                filters,
                size,
                strides=strides,
                padding=same,
                use_bias=false,
                kernel_initializer=fan_out_normal,
            )
            -> BatchNormalization()
        )
    }
"""

import math

import keras
from keras import activations, initializers, layers

# Of each stage: the size of its kernels, its blocks, its filters, how much wider they are within, the first strides.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)


def rounded(v: float, by: int):
    return max(by, int(v + by / 2) // by * by)


def divisible(v: float, by: int = 8):
    """The multiple that is nearest, and never less than nine tenths."""
    return rounded(v, by) + (by if rounded(v, by) < 0.9 * v else 0)


# How wide and how deep each version is, and how much of its last layer is left out in training.
VERSIONS = (
    (1.0, 1.0, 0.2),
    (1.0, 1.1, 0.2),
    (1.1, 1.2, 0.3),
    (1.2, 1.4, 0.3),
    (1.4, 1.8, 0.4),
    (1.6, 2.2, 0.4),
    (1.8, 2.6, 0.5),
    (2.0, 3.1, 0.5),
)


def EfficientNet(
    version: int = 0,
    width: float | None = None,
    depth: float | None = None,
    dropout: float | None = None,
    drop_connect: float = 0.2,
    side: int = 32,
    classes: int = 10,
) -> keras.Model:
    """EfficientNet, B0 to B7 (Tan and Le, 2019).

    Args:
        version: Which one, from 0 to 7.
        width: A parameter of type float.
        depth: A parameter of type float.
        dropout: A parameter of type float.
        drop_connect: How many of the ways through a block are left out in training, in the last one.
        side: The paper has images of 224 × 224 for B0, up to 600 × 600 for B7, and 1000 classes.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, side, side, 3) float32,
        to `class`, (batch, classes) float32.
    """
    if width is None:
        width = VERSIONS[version][0]
    if depth is None:
        depth = VERSIONS[version][1]
    if dropout is None:
        dropout = VERSIONS[version][2]

    image = keras.Input((side, side, 3), name="image")  # line 14
    counts = tuple(math.ceil(depth * count) for _, count, _, _, _ in STAGES)  # line 15
    h = layers.Rescaling(1 / 255)(image)  # line 16
    h = layers.Normalization()(h)
    h = Normed(h, divisible(32 * width), 3, strides=2)  # line 17
    h = activations.silu(h)
    for number, stage in enumerate(STAGES):  # line 18
        size, _, filters, expansion, strides = stage  # line 19
        for i in range(counts[number]):  # line 20
            rate = drop_connect * (sum(counts[:number]) + i) / sum(counts)  # line 21
            h = MBConv(
                h,
                divisible(filters * width),
                size,
                expansion,
                strides if i == 0 else 1,
                rate,
            )  # line 22
    h = Normed(h, divisible(1280 * width), 1)  # line 34
    h = activations.silu(h)
    h = layers.GlobalAveragePooling2D()(h)
    class_ = layers.Dropout(dropout)(h)  # line 35
    class_ = layers.Dense(
        classes,
        activation="softmax",
        kernel_initializer=initializers.VarianceScaling(
            1 / 3, mode="fan_out", distribution="uniform"
        ),
    )(class_)

    return keras.Model(image, class_, name="EfficientNet")


def MBConv(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    expansion: int,
    strides: int,
    rate: float,
) -> keras.KerasTensor:
    """An inverted residual with squeeze and excitation."""
    h = x  # line 79
    if expansion > 1:  # line 80
        h = activations.silu(Normed(h, expansion * x.shape[3], 1))  # line 81
    h = layers.DepthwiseConv2D(
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=initializers.VarianceScaling(2.0, mode="fan_out"),
    )(h)  # line 83
    h = layers.BatchNormalization()(h)
    h = activations.silu(h)
    excited = layers.GlobalAveragePooling2D(keepdims=True)(h)  # line 95
    excited = layers.Conv2D(
        max(1, x.shape[3] // 4),
        1,
        activation="silu",
        kernel_initializer=initializers.VarianceScaling(2.0, mode="fan_out"),
    )(excited)
    excited = layers.Conv2D(
        expansion * x.shape[3],
        1,
        activation="sigmoid",
        kernel_initializer=initializers.VarianceScaling(2.0, mode="fan_out"),
    )(excited)
    h = Normed(h * excited, filters, 1)  # line 101
    if strides == 1 and x.shape[3] == filters:  # line 102
        h = layers.Dropout(rate, noise_shape=(None, 1, 1, 1))(h) + x  # line 103
    return h


def Normed(
    x: keras.KerasTensor, filters: int, size: int, strides: int = 1
) -> keras.KerasTensor:
    """The block `Normed`."""
    y = layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=initializers.VarianceScaling(2.0, mode="fan_out"),
    )(x)  # line 110
    return layers.BatchNormalization()(y)
