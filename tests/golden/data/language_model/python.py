"""A small recurrent language model whose output layer is its embedding, transposed (Press and Wolf, 2017).

Written by wdsl from specs/language_model.wnet:

    ## A small recurrent language model whose output layer is its embedding, transposed (Press and Wolf, 2017).
    network LanguageModel(
        ## How many different tokens there are.
        vocabulary: int = 96,
        ## Width of the embedding, and of the recurrent state.
        width: int = 32,
    ) {
        input tokens: int32[?]

        layer embed  = Embedding(vocabulary, width)
        layer read   = LSTM(width, return_sequences=true)
        layer logits = Dense(vocabulary, use_bias=false) tie(embed.embeddings.T)

        output next = tokens -> embed -> read -> Dropout(0.1) -> logits
    }
"""

import keras
from keras import layers, ops


def LanguageModel(vocabulary: int = 96, width: int = 32) -> keras.Model:
    """A small recurrent language model whose output layer is its embedding, transposed (Press and Wolf, 2017).

    Args:
        vocabulary: How many different tokens there are.
        width: Width of the embedding, and of the recurrent state.

    Returns:
        A model from `tokens`, (batch, ?) int32,
        to `next`, (batch, ?, vocabulary) float32.
    """
    tokens = keras.Input((None,), dtype="int32", name="tokens")  # line 8

    embed_embeddings = Shared(
        (vocabulary, width), initializer="uniform", name="embed_embeddings"
    )(tokens)  # line 10
    embed = EmbeddingByTable(vocabulary, width, name="embed")  # line 10
    read = layers.LSTM(width, return_sequences=True, name="read")  # line 11
    logits = DenseByKernel(vocabulary, use_bias=False, name="logits")  # line 12

    next_ = embed(tokens, embeddings=embed_embeddings)  # line 14
    next_ = read(next_)
    next_ = layers.Dropout(0.1)(next_)
    next_ = logits(next_, kernel=ops.transpose(embed_embeddings))

    return keras.Model(tokens, next_, name="LanguageModel")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("LanguageModel", "Shared_790019")
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


@keras.saving.register_keras_serializable("LanguageModel", "EmbeddingByTable_9df41a")
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


@keras.saving.register_keras_serializable("LanguageModel", "DenseByKernel_40c062")
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
