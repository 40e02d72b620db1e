"""A small GPT (Radford et al., 2018 and 2019): every place of a text predicts what comes next from what came before,
and one table reads and writes the tokens.

Written by wdsl from specs/gpt.wnet:

    ## A small GPT (Radford et al., 2018 and 2019): every place of a text predicts what comes next from what came before,
    ## and one table reads and writes the tokens.
    network GPT(
        vocabulary: int = 96,
        ## How long a text may be.
        context: int = 12,
        width: int = 8,
        heads: int = 2,
        depth: int = 2,
        dropout: float = 0.1,
    ) {
        input tokens: int32[context]

        layer embed = Embedding(vocabulary, width)
        # Learned positions: nothing is multiplied, and each place of the text has a bias of its own.
        layer place  = EinsumDense("btd,d->btd", [context, width], bias_axes="td") fixed[:] = 1
        layer logits = Dense(vocabulary, use_bias=false) tie(embed.embeddings.T)

        h = tokens -> embed -> place -> Dropout(dropout)
        for i in range(depth) {
            h = h -> Decoder(width, heads, dropout)
        }
        output next = h -> LayerNormalization() -> logits

        assert parameters == width * (vocabulary + context + depth * (12 * width + 13) + 2)
    }

    ## Causal attention, then two layers for each place by itself, each with a way around it.
    block Decoder(width: int, heads: int, dropout: float) {
        input x
        layer norm1  = LayerNormalization()
        layer attend = MultiHeadAttention(heads, width // heads)
        layer norm2  = LayerNormalization()
        layer widen  = Dense(4 * width, activation=gelu)
        layer narrow = Dense(width)

        normed = x -> norm1
        attended = attend(normed, normed, use_causal_mask=true)
        h = x + (attended -> Dropout(dropout))
        thought = h -> norm2 -> widen -> narrow
        output y = h + (thought -> Dropout(dropout))
    }
"""

import keras
import numpy as np
from keras import layers, ops


def GPT(
    vocabulary: int = 96,
    context: int = 12,
    width: int = 8,
    heads: int = 2,
    depth: int = 2,
    dropout: float = 0.1,
) -> keras.Model:
    """A small GPT (Radford et al., 2018 and 2019): every place of a text predicts what comes next from what came before,
    and one table reads and writes the tokens.

    Args:
        vocabulary: A parameter of type int.
        context: How long a text may be.
        width: A parameter of type int.
        heads: A parameter of type int.
        depth: A parameter of type int.
        dropout: A parameter of type float.

    Returns:
        A model from `tokens`, (batch, context) int32,
        to `next`, (batch, context, vocabulary) float32.
    """
    tokens = keras.Input((context,), dtype="int32", name="tokens")  # line 12

    embed_embeddings = Shared(
        (vocabulary, width), initializer="uniform", name="embed_embeddings"
    )(tokens)  # line 14
    embed = EmbeddingByTable(vocabulary, width, name="embed")  # line 14
    place = Place(
        "btd,d->btd", (context, width), bias_axes="td", name="place"
    )  # line 16
    logits = DenseByKernel(vocabulary, use_bias=False, name="logits")  # line 17

    h = embed(tokens, embeddings=embed_embeddings)  # line 19
    h = place(h)
    h = layers.Dropout(dropout)(h)
    for i in range(depth):  # line 20
        h = Decoder(h, width, heads, dropout, name=f"decoder_{i}")  # line 21
    next_ = layers.LayerNormalization()(h)  # line 23
    next_ = logits(next_, kernel=ops.transpose(embed_embeddings))

    return keras.Model(tokens, next_, name="GPT")


def Decoder(
    x: keras.KerasTensor, width: int, heads: int, dropout: float, *, name: str
) -> keras.KerasTensor:
    """Causal attention, then two layers for each place by itself, each with a way around it."""
    norm1 = layers.LayerNormalization(name=f"{name}_norm1")  # line 31
    attend = layers.MultiHeadAttention(
        heads, width // heads, name=f"{name}_attend"
    )  # line 32
    norm2 = layers.LayerNormalization(name=f"{name}_norm2")  # line 33
    widen = layers.Dense(4 * width, activation="gelu", name=f"{name}_widen")  # line 34
    narrow = layers.Dense(width, name=f"{name}_narrow")  # line 35

    normed = norm1(x)  # line 37
    attended = attend(normed, normed, use_causal_mask=True)  # line 38
    h = x + layers.Dropout(dropout)(attended)  # line 39
    thought = narrow(widen(norm2(h)))  # line 40
    return h + layers.Dropout(dropout)(thought)


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("GPT", "Shared_790019")
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


@keras.saving.register_keras_serializable("GPT", "EmbeddingByTable_9df41a")
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


@keras.saving.register_keras_serializable("GPT", "Place_35ce9b")
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


@keras.saving.register_keras_serializable("GPT", "DenseByKernel_40c062")
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
