"""A function of a set (Zaheer et al., Deep Sets, 2017). Its elements may come in any order, and be any number.

Written by wdsl from specs/deepsets.wnet:

    ## A function of a set (Zaheer et al., Deep Sets, 2017). Its elements may come in any order, and be any number.
    network DeepSets(
        ## Numbers that describe one element.
        features: int = 3,
        width: int = 16,
    ) {
        input set: [?, features]

        each = set -> Dense(width, activation=relu) -> Dense(width)
        all = each -> sum(axis=1)
        output score = all -> Dense(width, activation=relu) -> Dense(1)
    }
"""

import keras
from keras import layers, ops


def DeepSets(features: int = 3, width: int = 16) -> keras.Model:
    """A function of a set (Zaheer et al., Deep Sets, 2017). Its elements may come in any order, and be any number.

    Args:
        features: Numbers that describe one element.
        width: A parameter of type int.

    Returns:
        A model from `set`, (batch, ?, features) float32,
        to `score`, (batch, 1) float32.
    """
    set_ = keras.Input((None, features), name="set")  # line 7

    each = layers.Dense(width, activation="relu")(set_)  # line 9
    each = layers.Dense(width)(each)
    all_ = ops.sum(each, axis=1)  # line 10
    score = layers.Dense(width, activation="relu")(all_)  # line 11
    score = layers.Dense(1)(score)

    return keras.Model(set_, score, name="DeepSets")
