"""Writes one text while it remembers another (Sutskever, Vinyals and Le, 2014): an LSTM reads the source, and a second
one begins with the states in which that ended. One table reads both texts and scores what comes next (Press and
Wolf, 2017).

Written by wdsl from specs/seq2seq.wnet:

    ## Writes one text while it remembers another (Sutskever, Vinyals and Le, 2014): an LSTM reads the source, and a second
    ## one begins with the states in which that ended. One table reads both texts and scores what comes next (Press and
    ## Wolf, 2017).
    network Seq2Seq(
        ## Tokens of both texts.
        vocabulary: int = 96,
        ## Width of the table, and how much an LSTM remembers.
        width: int = 8,
    ) {
        input source: int32[S]
        ## What the answer should be, from its beginning mark on: each place is to say what stands at the next.
        input target: int32[T]

        layer embed = Embedding(vocabulary, width)
        # Backwards, as in the paper: the source's first words are then near the answer's.
        layer read   = LSTM(width, return_state=true, go_backwards=true)
        layer write  = LSTM(width, return_sequences=true)
        layer logits = Dense(vocabulary) tie(embed.embeddings.T)

        _, hidden, carry = source -> embed -> read
        output next = target -> embed -> write(initial_state=[hidden, carry]) -> logits

        assert shape(next)[1] == vocabulary
    }
"""

import keras
from keras import layers, ops


def Seq2Seq(vocabulary: int = 96, width: int = 8) -> keras.Model:
    """Writes one text while it remembers another (Sutskever, Vinyals and Le, 2014): an LSTM reads the source, and a second
    one begins with the states in which that ended. One table reads both texts and scores what comes next (Press and
    Wolf, 2017).

    Args:
        vocabulary: Tokens of both texts.
        width: Width of the table, and how much an LSTM remembers.

    Returns:
        A model from `source`, (batch, ?) int32,
        and `target`, (batch, ?) int32,
        to `next`, (batch, ?, vocabulary) float32.
    """
    source = keras.Input((None,), dtype="int32", name="source")  # line 10
    # What the answer should be, from its beginning mark on: each place is to say what stands at the next.
    target = keras.Input((None,), dtype="int32", name="target")  # line 12

    embed_embeddings = Shared(
        (vocabulary, width), initializer="uniform", name="embed_embeddings"
    )(source)  # line 14
    embed = EmbeddingByTable(vocabulary, width, name="embed")  # line 14
    read = layers.LSTM(
        width, return_state=True, go_backwards=True, name="read"
    )  # line 16
    write = layers.LSTM(width, return_sequences=True, name="write")  # line 17
    logits = DenseByKernel(vocabulary, name="logits")  # line 18

    _, hidden, carry = read(embed(source, embeddings=embed_embeddings))  # line 20
    next_ = embed(target, embeddings=embed_embeddings)  # line 21
    next_ = write(next_, initial_state=[hidden, carry])
    next_ = logits(next_, kernel=ops.transpose(embed_embeddings))

    return keras.Model([source, target], next_, name="Seq2Seq")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Seq2Seq", "Shared_790019")
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


@keras.saving.register_keras_serializable("Seq2Seq", "EmbeddingByTable_9df41a")
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


@keras.saving.register_keras_serializable("Seq2Seq", "DenseByKernel_40c062")
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
