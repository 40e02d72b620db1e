"""Random features (Rahimi and Recht, 2007): the first layer stays as it was drawn, only the second is trained.

Written by wdsl from specs/random_features.wnet:

    ## Random features (Rahimi and Recht, 2007): the first layer stays as it was drawn, only the second is trained.
    network RandomFeatures(features: int = 64) {
        input x: [8]

        layer random = Dense(
            features,
            kernel_initializer=RandomNormal(stddev=1.0),
            bias_initializer=RandomUniform(0, 6.28),
        ) {
            kernel: frozen
            bias:   frozen
        }
        layer fit = Dense(1)

        output y = x -> random -> cos -> fit
    }
"""

import keras
from keras import initializers, layers, ops


def RandomFeatures(features: int = 64) -> keras.Model:
    """Random features (Rahimi and Recht, 2007): the first layer stays as it was drawn, only the second is trained.

    Returns:
        A model from `x`, (batch, 8) float32,
        to `y`, (batch, 1) float32.
    """
    x = keras.Input((8,), name="x")  # line 3

    random = Random(
        features,
        kernel_initializer=initializers.RandomNormal(stddev=1.0),
        bias_initializer=initializers.RandomUniform(0, 6.28),
        name="random",
    )  # line 5
    fit = layers.Dense(1, name="fit")  # line 13

    y = fit(ops.cos(random(x)))  # line 15

    return keras.Model(x, y, name="RandomFeatures")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("RandomFeatures", "Random_6df31c")
class Random(layers.Dense):
    """A `Dense` whose kernel is not trained, and whose bias is not trained."""

    structure = ("kernel: frozen", "bias: frozen")

    def add_weight(self, shape, initializer, name, **options):
        if name == "kernel":
            options["trainable"] = False
            return super().add_weight(shape, initializer, name=name, **options)
        if name == "bias":
            options["trainable"] = False
            return super().add_weight(shape, initializer, name=name, **options)
        return super().add_weight(shape, initializer, name=name, **options)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
