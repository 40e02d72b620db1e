"""A densely connected network (Huang, Liu, van der Maaten and Weinberger, 2017): each layer of a block sees what all
layers before it have found.

Written by wdsl from specs/densenet.wnet:

    ## A densely connected network (Huang, Liu, van der Maaten and Weinberger, 2017): each layer of a block sees what all
    ## layers before it have found.
    network DenseNet(
        ## Layers in each block.
        depth: int = 2,
        ## Channels that a layer adds.
        growth: int = 4,
        classes: int = 10,
    ) {
        input image: [16, 16, 3]

        h = image -> Conv2D(2 * growth, 3, padding=same, use_bias=false)
        for stage in range(2) {
            for i in range(depth) {
                h = (h, h -> Layer(growth)) -> concat(axis=-1)
            }
            if stage == 0 {
                h = h -> Layer((2 + depth) * growth // 2, kernel=1) -> AveragePooling2D(2)
            }
        }
        output digit = h -> GlobalAveragePooling2D() -> Dense(classes, activation=softmax)
    }

    ## Normalized first, and then convolved.
    block Layer(filters: int, kernel: int = 3) {
        input x
        h = x -> BatchNormalization() -> relu
        output y = h -> Conv2D(filters, kernel, padding=same, use_bias=false)
    }
"""

import keras
from keras import activations, layers, ops


def DenseNet(depth: int = 2, growth: int = 4, classes: int = 10) -> keras.Model:
    """A densely connected network (Huang, Liu, van der Maaten and Weinberger, 2017): each layer of a block sees what all
    layers before it have found.

    Args:
        depth: Layers in each block.
        growth: Channels that a layer adds.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, 16, 16, 3) float32,
        to `digit`, (batch, classes) float32.
    """
    image = keras.Input((16, 16, 3), name="image")  # line 10

    h = layers.Conv2D(2 * growth, 3, padding="same", use_bias=False)(image)  # line 12
    for stage in range(2):  # line 13
        for _ in range(depth):  # line 14
            h = ops.concatenate([h, Layer(h, growth)], axis=-1)  # line 15
        if stage == 0:  # line 17
            h = Layer(h, (2 + depth) * growth // 2, kernel=1)  # line 18
            h = layers.AveragePooling2D(2)(h)
    digit = layers.GlobalAveragePooling2D()(h)  # line 21
    digit = layers.Dense(classes, activation="softmax")(digit)

    return keras.Model(image, digit, name="DenseNet")


def Layer(x: keras.KerasTensor, filters: int, kernel: int = 3) -> keras.KerasTensor:
    """Normalized first, and then convolved."""
    h = activations.relu(layers.BatchNormalization()(x))  # line 27
    return layers.Conv2D(filters, kernel, padding="same", use_bias=False)(h)
