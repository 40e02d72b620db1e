"""Several questions about one thing, with one body and a head for each: how many there are is a parameter.

Written by wdsl from specs/multitask.wnet:

    ## Several questions about one thing, with one body and a head for each: how many there are is a parameter.
    network Multitask(
        features: int = 12,
        hidden: list = [32, 16],
        ## Of each task, how many classes it has; one of 1 is asked for a number.
        tasks: list = [3, 1, 5],
        dropout: float = 0.1,
    ) {
        input x: [features]
        h = x
        for width in hidden {
            h = h -> Dense(width, activation=relu) -> Dropout(dropout)
        }
        for t, classes in enumerate(tasks) {
            own = h -> Dense(hidden[-1], activation=relu)
            output task[t] = own -> Dense(classes, activation=softmax if classes > 1 else linear)
        }
    }
"""

import keras
from keras import layers


def Multitask(
    features: int = 12,
    hidden: tuple = (32, 16),
    tasks: tuple = (3, 1, 5),
    dropout: float = 0.1,
) -> keras.Model:
    """Several questions about one thing, with one body and a head for each: how many there are is a parameter.

    Args:
        features: A parameter of type int.
        hidden: A parameter of type list.
        tasks: Of each task, how many classes it has; one of 1 is asked for a number.
        dropout: A parameter of type float.

    Returns:
        A model from `x`, (batch, features) float32,
        to `task_0`, (batch, 3) float32,
        `task_1`, (batch, 1) float32,
        and `task_2`, (batch, 5) float32.
    """
    x = keras.Input((features,), name="x")  # line 9
    h = x  # line 10
    for width in hidden:  # line 11
        h = layers.Dense(width, activation="relu")(h)  # line 12
        h = layers.Dropout(dropout)(h)
    task = {}  # line 14
    for t, classes in enumerate(tasks):  # line 14
        own = layers.Dense(hidden[-1], activation="relu")(h)  # line 15
        task[f"task_{t}"] = layers.Dense(
            classes, activation="softmax" if classes > 1 else "linear"
        )(own)  # line 16

    return keras.Model(x, task, name="Multitask")
