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
    if depth != 2:
        raise ValueError(
            "`depth` decides what DenseNet is made of: build it again for another"
        )

    image = keras.Input((16, 16, 3), name="image")  # line 10

    h = layers.Conv2D(2 * growth, 3, padding="same", use_bias=False)(image)  # line 12

    layer_batch_normalization = layers.BatchNormalization(
        name="layer_batch_normalization"
    )  # line 27

    layer_h = activations.relu(layer_batch_normalization(h))  # line 27
    layer_conv2d = layers.Conv2D(
        growth, 3, padding="same", use_bias=False, name="layer_conv2d"
    )  # line 28

    layer_y = layer_conv2d(layer_h)  # line 28

    h = ops.concatenate([h, layer_y], axis=-1)  # line 15

    layer_2_batch_normalization = layers.BatchNormalization(
        name="layer_2_batch_normalization"
    )  # line 27

    layer_2_h = activations.relu(layer_2_batch_normalization(h))  # line 27
    layer_2_conv2d = layers.Conv2D(
        growth, 3, padding="same", use_bias=False, name="layer_2_conv2d"
    )  # line 28

    layer_2_y = layer_2_conv2d(layer_2_h)  # line 28

    h = ops.concatenate([h, layer_2_y], axis=-1)  # line 15

    layer_3_batch_normalization = layers.BatchNormalization(
        name="layer_3_batch_normalization"
    )  # line 27

    layer_3_h = activations.relu(layer_3_batch_normalization(h))  # line 27
    layer_3_conv2d = layers.Conv2D(
        (2 + depth) * growth // 2,
        1,
        padding="same",
        use_bias=False,
        name="layer_3_conv2d",
    )  # line 28

    layer_3_y = layer_3_conv2d(layer_3_h)  # line 28

    h = layers.AveragePooling2D(2)(layer_3_y)  # line 18

    layer_4_batch_normalization = layers.BatchNormalization(
        name="layer_4_batch_normalization"
    )  # line 27

    layer_4_h = activations.relu(layer_4_batch_normalization(h))  # line 27
    layer_4_conv2d = layers.Conv2D(
        growth, 3, padding="same", use_bias=False, name="layer_4_conv2d"
    )  # line 28

    layer_4_y = layer_4_conv2d(layer_4_h)  # line 28

    h = ops.concatenate([h, layer_4_y], axis=-1)  # line 15

    layer_5_batch_normalization = layers.BatchNormalization(
        name="layer_5_batch_normalization"
    )  # line 27

    layer_5_h = activations.relu(layer_5_batch_normalization(h))  # line 27
    layer_5_conv2d = layers.Conv2D(
        growth, 3, padding="same", use_bias=False, name="layer_5_conv2d"
    )  # line 28

    layer_5_y = layer_5_conv2d(layer_5_h)  # line 28

    h = ops.concatenate([h, layer_5_y], axis=-1)  # line 15
    digit = layers.Dense(classes, activation="softmax")(
        layers.GlobalAveragePooling2D()(h)
    )  # line 21

    return keras.Model(image, digit, name="DenseNet")
