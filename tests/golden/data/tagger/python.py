"""Tags each word of a text. What reads the text from its end has the weights of what reads it from its beginning, and
their memories are added up: a text that is turned around has its tags turned around.

Written by wdsl from specs/tagger.wnet:

    ## Tags each word of a text. What reads the text from its end has the weights of what reads it from its beginning, and
    ## their memories are added up: a text that is turned around has its tags turned around.
    network Tagger(
        vocabulary: int = 96,
        ## How long a text is. Behind a shorter one stand zeros, which nothing looks at.
        length: int = 6,
        ## Width of the table.
        width: int = 12,
        ## How much is remembered of what was read.
        units: int = 8,
        heads: int = 2,
        tags: int = 5,
        dropout: float = 0.1,
    ) {
        input words: int32[length]

        layer embed = Embedding(vocabulary, width, mask_zero=true)
        layer read  = Bidirectional(
            LSTM(units, return_sequences=true, unit_forget_bias=false),
            merge_mode=sum,
        ) {
            # Of what one unit remembers no other one hears (Li et al., 2018): each gate has a diagonal.
            forward.recurrent_kernel:  zero[where j % units != i]
            backward.kernel:           tie(forward.kernel)
            backward.recurrent_kernel: tie(forward.recurrent_kernel), zero[where j % units != i]
            backward.bias:             tie(forward.bias)
        }
        layer relate = MultiHeadAttention(heads, units // heads, dropout=dropout) {
            # What a word looks for is what it offers: a looks at b as b looks at a.
            query.kernel: tie(key.kernel)
            query.bias:   tie(key.bias)
        }
        layer tag = TimeDistributed(Dense(tags, activation=softmax))

        h = words -> embed -> SpatialDropout1D(dropout) -> read
        h = h + relate(h, h) -> LayerNormalization()
        output guess = h -> tag

        assert shape(guess) == [length, tags]
        assert free(read.forward.recurrent_kernel) == 4 * units
    }
"""

import functools

import keras
import numpy as np
from keras import layers, ops


def Tagger(
    vocabulary: int = 96,
    length: int = 6,
    width: int = 12,
    units: int = 8,
    heads: int = 2,
    tags: int = 5,
    dropout: float = 0.1,
) -> keras.Model:
    """Tags each word of a text. What reads the text from its end has the weights of what reads it from its beginning, and
    their memories are added up: a text that is turned around has its tags turned around.

    Args:
        vocabulary: A parameter of type int.
        length: How long a text is. Behind a shorter one stand zeros, which nothing looks at.
        width: Width of the table.
        units: How much is remembered of what was read.
        heads: A parameter of type int.
        tags: A parameter of type int.
        dropout: A parameter of type float.

    Returns:
        A model from `words`, (batch, length) int32,
        to `guess`, (batch, length, tags) float32.
    """
    words = keras.Input((length,), dtype="int32", name="words")  # line 15

    read_forward_kernel = Shared((width, 4 * units), name="read_forward_kernel")(
        words
    )  # line 18
    read_forward_recurrent_kernel = ReadForwardRecurrentKernel(
        (units, 4 * units),
        initializer="orthogonal",
        name="read_forward_recurrent_kernel",
    )(words)  # line 18
    read_forward_bias = Shared(
        (4 * units,), initializer="zeros", name="read_forward_bias"
    )(words)  # line 18
    relate_key_kernel = Shared(
        (units, heads, units // heads), fans=((0,), (1, 2)), name="relate_key_kernel"
    )(words)  # line 28
    relate_key_bias = Shared(
        (heads, units // heads), initializer="zeros", name="relate_key_bias"
    )(words)  # line 28

    embed = layers.Embedding(vocabulary, width, mask_zero=True, name="embed")  # line 17
    read = Given(
        layers.Bidirectional(
            layers.LSTM(units, return_sequences=True, unit_forget_bias=False),
            merge_mode="sum",
        ),
        name="read",
    )  # line 18
    relate = Given(
        layers.MultiHeadAttention(heads, units // heads, dropout=dropout), name="relate"
    )  # line 28
    tag = layers.TimeDistributed(
        layers.Dense(tags, activation="softmax"), name="tag"
    )  # line 33

    h = embed(words)  # line 35
    h = layers.SpatialDropout1D(dropout)(h)
    h = read(
        h,
        tied={
            "forward_layer/cell/kernel": read_forward_kernel,
            "forward_layer/cell/recurrent_kernel": read_forward_recurrent_kernel,
            "forward_layer/cell/bias": read_forward_bias,
            "backward_layer/cell/kernel": read_forward_kernel,
            "backward_layer/cell/recurrent_kernel": read_forward_recurrent_kernel,
            "backward_layer/cell/bias": read_forward_bias,
        },
    )
    h = layers.LayerNormalization()(
        h
        + relate(
            h,
            h,
            tied={
                "query_dense/kernel": relate_key_kernel,
                "query_dense/bias": relate_key_bias,
                "key_dense/kernel": relate_key_kernel,
                "key_dense/bias": relate_key_bias,
            },
        )
    )  # line 36
    guess = tag(h)  # line 37

    return keras.Model(words, guess, name="Tagger")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Tagger", "Shared_790019")
class Shared(keras.Layer):
    """A weight as a tensor of the graph, called on any other for the sake of standing in it."""

    structure = ()

    def __init__(self, shape, initializer="glorot_uniform", fans=None, **options):
        super().__init__(**options)
        self.shape = tuple(shape)
        self.initializer = with_fans(keras.initializers.get(initializer), fans)

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


@keras.saving.register_keras_serializable("Tagger", "ReadForwardRecurrentKernel_0ab52b")
class ReadForwardRecurrentKernel(Shared):
    """A weight that has `zero[where j % shape[0] != i]`."""

    structure = ("weight: zero[where j % shape[0] != i]",)

    def add_weight(self, shape, initializer, name, **options):
        i, j = np.indices(shape)
        live = j % shape[0] == i
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)

        def draw(_, dtype):
            weight = initializer(shape, dtype)
            return ops.take(ops.reshape(weight, (-1,)), places)

        return super().add_weight(places.shape, draw, name=name, **options)

    @property
    def weight(self):
        return ops.take(ops.pad(self._weight, (0, 1)), self.where)

    @weight.setter
    def weight(self, numbers):
        self._weight = numbers


@keras.saving.register_keras_serializable("Tagger", "Given_55117c")
class Given(layers.Wrapper):
    """A layer that is given some weights of layers inside it, `tied`, with each
    call.
    """

    structure = ()

    def __init__(self, layer, **options):
        super().__init__(layer, **options)
        self.supports_masking = layer.supports_masking

    def __call__(self, *arguments, tied, **options):
        if not self.built:
            self.take_out(tied, arguments, options)
        return super().__call__(*arguments, tied=tied, **options)

    def symbol(self, x):
        return keras.KerasTensor(x.shape, x.dtype) if hasattr(x, "shape") else x

    def take_out(self, tied, arguments, options):
        """Build the layer by a call, and have given weights in it not trained nor saved."""
        if not self.layer.built:
            arguments, options = keras.tree.map_structure(
                self.symbol, (arguments, options)
            )
            self.layer(*arguments, **options)
        for inner in self.layer._flatten_layers():
            inner.quantize = inner.enable_lora = functools.partial(refused, self)
            if inner.quantization_mode:
                refused(self)
        for path in tied:
            holder, variable = self.holder(path), self.variable(path)
            holder._untrack_variable(variable)
            for method in ("save_own_variables", "load_own_variables"):
                by_position = getattr(keras.Layer, method)
                setattr(holder, method, functools.partial(by_position, holder))
        self.built = True

    def holder(self, path):
        return functools.reduce(getattr, path.split("/")[:-1], self.layer)

    def variable(self, path):
        return getattr(self.holder(path), path.split("/")[-1])

    def call(self, *arguments, tied, **options):
        values = [(self.variable(path), value) for path, value in tied.items()]
        with keras.StatelessScope(values, collect_losses=True) as scope:
            outputs = self.layer(*arguments, **options)
        for variable in self.layer.variables:
            if (value := scope.get_current_value(variable)) is not None:
                variable.assign(value)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def compute_output_spec(self, *arguments, tied, **options):
        return self.layer.compute_output_spec(*arguments, **options)

    def compute_mask(self, inputs, previous_mask):
        return self.layer.compute_mask(inputs, previous_mask)

    def get_build_config(self):
        """None: the layer is built by its first call, also when it is loaded."""


def with_fans(initializer, fans):
    """An initializer that counts these axes as inputs and outputs, as in `EinsumDense`.

    Keras does so since version 3.15, where the initializer scales and has no axes yet.
    """
    if fans is None or getattr(initializer, "input_axes", 0) is not None:
        return initializer
    axes = {"input_axes": list(fans[0]), "output_axes": list(fans[1])}
    config = initializer.get_config() | {"seed": initializer.seed} | axes
    return type(initializer).from_config(config)
