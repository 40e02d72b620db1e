"""Two images, one encoder: the same layer, and so the same weights, on both sides.

Written by wdsl from specs/siamese.wnet:

    ## Two images, one encoder: the same layer, and so the same weights, on both sides.
    network Siamese(features: int = 16) {
        input left:  [64]
        input right: [64]

        layer encode  = Dense(features, activation=tanh)
        layer compare = Dense(1, activation=sigmoid)

        output same = abs((left -> encode) - (right -> encode)) -> compare
    }
"""

import keras
from keras import layers, ops


def Siamese(features: int = 16) -> keras.Model:
    """Two images, one encoder: the same layer, and so the same weights, on both sides.

    Returns:
        A model from `left`, (batch, 64) float32,
        and `right`, (batch, 64) float32,
        to `same`, (batch, 1) float32.
    """
    left = keras.Input((64,), name="left")  # line 3
    right = keras.Input((64,), name="right")  # line 4

    encode = layers.Dense(features, activation="tanh", name="encode")  # line 6
    compare = layers.Dense(1, activation="sigmoid", name="compare")  # line 7

    same = compare(ops.abs(encode(left) - encode(right)))  # line 9

    return keras.Model([left, right], same, name="Siamese")
