"""Units that compete: each is held down by all units together, itself included, and by all of them equally.

How strongly is one number, which fills the whole kernel of `inhibit`. It is a single parameter, with the gradients
of all entries, so no pair of units can come to have a strength of its own.

Written by wdsl from specs/recipes/equal_filled.wnet:

    ## Units that compete: each is held down by all units together, itself included, and by all of them equally.
    ##
    ## How strongly is one number, which fills the whole kernel of `inhibit`. It is a single parameter, with the gradients
    ## of all entries, so no pair of units can come to have a strength of its own.
    network Competition(units: int = 12, classes: int = 3) {
        input features: [16]

        layer drive   = Dense(units)
        layer inhibit = Dense(units, use_bias=false, kernel_initializer=Constant(0.1)) equal

        driven = features -> drive
        active = sigmoid(driven)
        active = sigmoid(driven - (active -> inhibit))
        output class = active -> Dense(classes, activation=softmax)
    }
"""

import keras
from keras import activations, initializers, layers, ops


def Competition(units: int = 12, classes: int = 3) -> keras.Model:
    """Units that compete: each is held down by all units together, itself included, and by all of them equally.

    How strongly is one number, which fills the whole kernel of `inhibit`. It is a single parameter, with the gradients
    of all entries, so no pair of units can come to have a strength of its own.

    Returns:
        A model from `features`, (batch, 16) float32,
        to `class`, (batch, classes) float32.
    """
    features = keras.Input((16,), name="features")  # line 6

    drive = layers.Dense(units, name="drive")  # line 8
    inhibit = Inhibit(
        units,
        use_bias=False,
        kernel_initializer=initializers.Constant(0.1),
        name="inhibit",
    )  # line 9

    driven = drive(features)  # line 11
    active = activations.sigmoid(driven)  # line 12
    active = activations.sigmoid(driven - inhibit(active))  # line 13
    class_ = layers.Dense(classes, activation="softmax")(active)  # line 14

    return keras.Model(features, class_, name="Competition")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Competition", "Inhibit_8ea346")
class Inhibit(layers.Dense):
    """A `Dense` whose kernel is one number."""

    structure = ("kernel: equal",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        self.shape = shape

        def draw(_, dtype):
            kernel = initializer(shape, dtype)
            return ops.reshape(kernel, (-1,))[:1]

        return super().add_weight((1,), draw, name=name, autocast=False, **options)

    @property
    def kernel(self):
        kernel = ops.broadcast_to(self._kernel, self.shape)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
