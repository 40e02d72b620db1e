"""Tells what a text is about with the encoder of a transformer (Vaswani et al., 2017).
`albert` is the same stack with the weights of one layer.

Written by wdsl from specs/transformer_encoder.wnet:

    from "parts/transformer.wnet" import Encoder, Positions

    ## Tells what a text is about with the encoder of a transformer (Vaswani et al., 2017).
    ## `albert` is the same stack with the weights of one layer.
    network TransformerEncoder(
        vocabulary: int = 96,
        ## How long a text is.
        length: int = 12,
        width: int = 8,
        heads: int = 2,
        depth: int = 2,
        topics: int = 4,
        dropout: float = 0.1,
    ) {
        input tokens: int32[length]
        h = tokens -> Embedding(vocabulary, width) -> Positions(length, width)
        h = h -> Encoder(width, heads, dropout) * depth
        output topic = h -> mean(axis=1) -> Dense(topics, activation=softmax)
    }
"""

import keras
import numpy as np
from keras import layers, ops


def TransformerEncoder(
    vocabulary: int = 96,
    length: int = 12,
    width: int = 8,
    heads: int = 2,
    depth: int = 2,
    topics: int = 4,
    dropout: float = 0.1,
) -> keras.Model:
    """Tells what a text is about with the encoder of a transformer (Vaswani et al., 2017).
    `albert` is the same stack with the weights of one layer.

    Args:
        vocabulary: A parameter of type int.
        length: How long a text is.
        width: A parameter of type int.
        heads: A parameter of type int.
        depth: A parameter of type int.
        topics: A parameter of type int.
        dropout: A parameter of type float.

    Returns:
        A model from `tokens`, (batch, length) int32,
        to `topic`, (batch, topics) float32.
    """
    tokens = keras.Input((length,), dtype="int32", name="tokens")  # line 15
    h = layers.Embedding(vocabulary, width)(tokens)  # line 16
    h = Positions(h, length, width, name="positions")
    for i in range(depth):  # line 17
        h = Encoder(h, width, heads, dropout, name=f"encoder_{i}")
    topic = ops.mean(h, axis=1)  # line 18
    topic = layers.Dense(topics, activation="softmax")(topic)

    return keras.Model(tokens, topic, name="TransformerEncoder")


def Positions(
    x: keras.KerasTensor, length: int, width: int, *, name: str
) -> keras.KerasTensor:
    """Learned positions. Nothing is multiplied; each place of a text has a bias of its own.

    Written by wdsl from specs/parts/transformer.wnet.
    """
    place = Place(
        "btd,d->btd", (length, width), bias_axes="td", name=f"{name}_place"
    )  # line 6
    return place(x)


def Encoder(
    x: keras.KerasTensor, width: int, heads: int, dropout: float, *, name: str
) -> keras.KerasTensor:
    """Each place attends to all others, then two layers see each place by itself (Vaswani et al., 2017).

    Written by wdsl from specs/parts/transformer.wnet.
    """
    attend = layers.MultiHeadAttention(
        heads, width // heads, name=f"{name}_attend"
    )  # line 13
    norm1 = layers.LayerNormalization(name=f"{name}_norm1")  # line 14
    widen = layers.Dense(4 * width, activation="gelu", name=f"{name}_widen")  # line 15
    narrow = layers.Dense(width, name=f"{name}_narrow")  # line 16
    norm2 = layers.LayerNormalization(name=f"{name}_norm2")  # line 17

    h = norm1(x + layers.Dropout(dropout)(attend(x, x)))  # line 19
    return norm2(h + layers.Dropout(dropout)(narrow(widen(h))))


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("TransformerEncoder", "Place_35ce9b")
class Place(layers.EinsumDense):
    """A `EinsumDense` whose kernel has `fixed[:] = 1`."""

    structure = ("kernel: fixed[:] = 1",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        constant = np.full(shape, 1)
        self.constant = constant
        return super().add_weight((0,), "zeros", name=name, autocast=False, **options)

    @property
    def kernel(self):
        kernel = ops.cast(self.constant, self._kernel.dtype)
        kernel = kernel + ops.sum(self._kernel)  # of none
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused
