"""A table, a row at a time: columns of numbers are normalized, and columns of categories have embeddings.

Written by wdsl from specs/tabular.wnet:

    ## A table, a row at a time: columns of numbers are normalized, and columns of categories have embeddings.
    network Tabular(
        numbers: int = 3,
        ## Of each column of categories, how many there are.
        categories: list = [7, 12, 5],
        hidden: list = [32, 16],
        act: str = relu,
        dropout: float = 0.1,
    ) {
        input number: [numbers]
        h = number -> BatchNormalization()
        for c, count in enumerate(categories) {
            input category[c]: int32[]
            size = min(50, ceil(count / 2))
            h = concat([h, category[c] -> Embedding(count, size)], axis=-1)
        }
        for width in hidden {
            h = h -> Dense(width) -> BatchNormalization() -> act -> Dropout(dropout)
        }
        output target = h -> Dense(1)
    }
"""

import math

import keras
from keras import layers, ops


def Tabular(
    numbers: int = 3,
    categories: tuple = (7, 12, 5),
    hidden: tuple = (32, 16),
    act: str = "relu",
    dropout: float = 0.1,
) -> keras.Model:
    """A table, a row at a time: columns of numbers are normalized, and columns of categories have embeddings.

    Args:
        numbers: A parameter of type int.
        categories: Of each column of categories, how many there are.
        hidden: A parameter of type list.
        act: A parameter of type str.
        dropout: A parameter of type float.

    Returns:
        A model from `number`, (batch, numbers) float32,
        `category_0`, (batch) int32,
        `category_1`, (batch) int32,
        and `category_2`, (batch) int32,
        to `target`, (batch, 1) float32.
    """
    number = keras.Input((numbers,), name="number")  # line 10
    h = layers.BatchNormalization()(number)  # line 11
    category = {}  # line 12
    for c, count in enumerate(categories):  # line 12
        category[c] = keras.Input((), dtype="int32", name=f"category_{c}")  # line 13
        size = min(50, math.ceil(count / 2))  # line 14
        h = ops.concatenate(
            [h, layers.Embedding(count, size)(category[c])], axis=-1
        )  # line 15
    for width in hidden:  # line 17
        h = layers.Dense(width)(h)  # line 18
        h = layers.BatchNormalization()(h)
        h = layers.Activation(act)(h)
        h = layers.Dropout(dropout)(h)
    target = layers.Dense(1)(h)  # line 20

    return keras.Model([number, *category.values()], target, name="Tabular")
