"""Are two signatures by one hand? A Siamese network of pen strokes (Bromley, Guyon, LeCun, Säckinger and Shah, 1993).

`describe` is one layer, applied twice. Nothing needs a tie: there is one set of weights, and both sides train it.

Written by wdsl from specs/recipes/tie_applied_twice.wnet:

    ## Are two signatures by one hand? A Siamese network of pen strokes (Bromley, Guyon, LeCun, Säckinger and Shah, 1993).
    ##
    ## `describe` is one layer, applied twice. Nothing needs a tie: there is one set of weights, and both sides train it.
    network Signatures(features: int = 8) {
        input known:    [?, 2]
        input doubtful: [?, 2]

        layer describe = Conv1D(features, 5, padding=same, activation=tanh)

        a = known -> describe -> GlobalMaxPooling1D()
        b = doubtful -> describe -> GlobalMaxPooling1D()
        output likeness = (a, b) -> Dot(axes=-1, normalize=true)
    }
"""

import keras
from keras import layers


def Signatures(features: int = 8) -> keras.Model:
    """Are two signatures by one hand? A Siamese network of pen strokes (Bromley, Guyon, LeCun, Säckinger and Shah, 1993).

    `describe` is one layer, applied twice. Nothing needs a tie: there is one set of weights, and both sides train it.

    Returns:
        A model from `known`, (batch, ?, 2) float32,
        and `doubtful`, (batch, ?, 2) float32,
        to `likeness`, (batch, 1) float32.
    """
    known = keras.Input((None, 2), name="known")  # line 5
    doubtful = keras.Input((None, 2), name="doubtful")  # line 6

    describe = layers.Conv1D(
        features, 5, padding="same", activation="tanh", name="describe"
    )  # line 8

    a = layers.GlobalMaxPooling1D()(describe(known))  # line 10
    b = layers.GlobalMaxPooling1D()(describe(doubtful))  # line 11
    likeness = layers.Dot(axes=-1, normalize=True)([a, b])  # line 12

    return keras.Model([known, doubtful], likeness, name="Signatures")
