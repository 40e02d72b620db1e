"""ALBERT (Lan et al., 2020), which fills gaps in a text with few parameters: a narrow table of tokens, widened for
the encoder and used again at the end, and one layer of the encoder, applied as often as others have layers.

Written by wdsl from specs/albert.wnet:

    from "parts/transformer.wnet" import Encoder, Positions

    ## ALBERT (Lan et al., 2020), which fills gaps in a text with few parameters: a narrow table of tokens, widened for
    ## the encoder and used again at the end, and one layer of the encoder, applied as often as others have layers.
    network Albert(
        vocabulary: int = 96,
        ## How long a text is.
        length: int = 12,
        ## Width of the table.
        code: int = 4,
        ## Width of the encoder.
        width: int = 8,
        heads: int = 2,
        depth: int = 3,
        dropout: float = 0.1,
    ) {
        input tokens: int32[length]

        layer embed   = Embedding(vocabulary, code)
        layer encoder = Encoder(width, heads, dropout)
        layer narrow  = Dense(code, activation=gelu)
        layer logits  = Dense(vocabulary) tie(embed.embeddings.T)

        h = tokens -> embed -> Positions(length, code) -> LayerNormalization() -> Dense(width)
        h = h -> encoder * depth
        output guess = h -> narrow -> LayerNormalization() -> logits

        # As many, however deep.
        assert free(encoder.widen.kernel) == 4 * width ** 2
    }
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops


def Albert(
    vocabulary: int = 96,
    length: int = 12,
    code: int = 4,
    width: int = 8,
    heads: int = 2,
    depth: int = 3,
    dropout: float = 0.1,
) -> keras.Model:
    """ALBERT (Lan et al., 2020), which fills gaps in a text with few parameters: a narrow table of tokens, widened for
    the encoder and used again at the end, and one layer of the encoder, applied as often as others have layers.

    Args:
        vocabulary: A parameter of type int.
        length: How long a text is.
        code: Width of the table.
        width: Width of the encoder.
        heads: A parameter of type int.
        depth: A parameter of type int.
        dropout: A parameter of type float.

    Returns:
        A model from `tokens`, (batch, length) int32,
        to `guess`, (batch, length, vocabulary) float32.
    """
    tokens = keras.Input((length,), dtype="int32", name="tokens")  # line 17

    embed_embeddings = Shared(
        (vocabulary, code), initializer="uniform", name="embed_embeddings"
    )(tokens)  # line 19
    embed = EmbeddingByTable(vocabulary, code, name="embed")  # line 19
    encoder = Encoder(width, heads, dropout, name="encoder")  # line 20
    narrow = layers.Dense(code, activation="gelu", name="narrow")  # line 21
    logits = DenseByKernel(vocabulary, name="logits")  # line 22

    h = embed(tokens, embeddings=embed_embeddings)  # line 24
    h = Positions(h, length, code, name="positions")
    h = layers.LayerNormalization()(h)
    h = layers.Dense(width)(h)
    for _ in range(depth):  # line 25
        h = encoder(h)
    guess = narrow(h)  # line 26
    guess = layers.LayerNormalization()(guess)
    guess = logits(guess, kernel=ops.transpose(embed_embeddings))

    return keras.Model(tokens, guess, name="Albert")


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
    width: int, heads: int, dropout: float, *, name: str
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
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

    def apply(x: keras.KerasTensor) -> keras.KerasTensor:
        h = norm1(x + layers.Dropout(dropout)(attend(x, x)))  # line 19
        return norm2(h + layers.Dropout(dropout)(narrow(widen(h))))

    return apply


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Albert", "Shared_790019")
class Shared(keras.Layer):
    """A weight as a tensor of the graph, called on any other for the sake of standing in it."""

    structure = ()

    def __init__(self, shape, initializer="glorot_uniform", **options):
        super().__init__(**options)
        self.shape = tuple(shape)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.weight = self.add_weight(
            self.shape, self.initializer, name="weight", autocast=False
        )

    def call(self, inputs):
        return ops.reshape(self.weight, self.shape)  # a tensor, no variable

    def compute_mask(self, inputs, previous_mask):
        """None: a mask belongs to the tensor that the weight only stands beside."""

    def get_config(self):
        return super().get_config() | {
            "shape": self.shape,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable("Albert", "EmbeddingByTable_9df41a")
class EmbeddingByTable(layers.Embedding):
    """A `Embedding` that is given its embeddings with each call."""

    structure = ("embeddings: tie",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "embeddings":
            return super().add_weight(shape, initializer, name=name, **options)
        return None  # it comes with each call

    def call(self, inputs, embeddings):
        return ops.cast(ops.take(embeddings, inputs, axis=0), self.compute_dtype)

    def compute_output_spec(self, inputs, embeddings):
        return super().compute_output_spec(inputs)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


@keras.saving.register_keras_serializable("Albert", "DenseByKernel_40c062")
class DenseByKernel(layers.Dense):
    """A `Dense` that is given its kernel with each call."""

    structure = ("kernel: tie",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        return None  # it comes with each call

    def call(self, inputs, kernel):
        outputs = ops.matmul(inputs, kernel)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


@keras.saving.register_keras_serializable("Albert", "Place_35ce9b")
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
