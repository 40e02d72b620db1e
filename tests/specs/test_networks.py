"""Networks of specs/ that blocks and loops make, beside the same networks as one writes them in Keras.

Both have the same weights in the same order, or are given the same; then they answer the same, and learn the same.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import wdsl
from tests.drawn import repeated
from tests.rounding import in_float64, same_but_for_rounding

layers, ops = keras.layers, keras.ops

FOLDER = Path(__file__).parents[2] / "specs"

Array = np.ndarray[Any, Any]


# --- the networks, in Keras -----------------------------------------------------------------------


class Table(layers.Layer):  # type: ignore[misc, name-defined]
    """An embedding that reads tokens and, the other way round, scores them."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.table = self.add_weight(shape=(tokens, width))

    def call(self, x: Any, reverse: bool = False) -> Any:
        return ops.matmul(x, ops.transpose(self.table)) if reverse else ops.take(self.table, x, axis=0)


class Added(layers.Layer):  # type: ignore[misc, name-defined]
    """A weight that is added to all of a batch."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.added = self.add_weight(shape=shape)

    def call(self, x: Any) -> Any:
        return x + self.added


class Masked(layers.Dense):  # type: ignore[misc, name-defined]
    """A dense layer that multiplies its kernel by a mask."""

    def __init__(self, mask: Array, **arguments: Any) -> None:
        super().__init__(mask.shape[1], **arguments)
        self.mask = mask.astype("float32")

    def call(self, x: Any) -> Any:
        return self.activation(ops.matmul(x, self.kernel * self.mask) + self.bias)


def resnet(depth: int = 1, width: int = 8, classes: int = 10) -> Any:
    def convolution(x: Any, filters: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(image, width))
    for number, filters in enumerate(np.repeat([width, 2 * width, 4 * width], depth).tolist()):
        strides = 2 if number in (depth, 2 * depth) else 1
        y = layers.ReLU()(convolution(x, filters, strides))
        y = convolution(y, filters)
        if strides == 2:
            x = ops.pad(x[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (0, filters // 2)])
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def gpt(
    vocabulary: int = 96, context: int = 12, width: int = 8, heads: int = 2, depth: int = 2, dropout: float = 0.1
) -> Any:
    tokens = keras.Input((context,), dtype="int32")
    table = Table(vocabulary, width)
    x = layers.Dropout(dropout)(Added(context, width)(table(tokens)))
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(heads, width // heads)(y, y, y, use_causal_mask=True)
        x = layers.Add()([x, layers.Dropout(dropout)(y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(width)(layers.Dense(4 * width, "gelu")(y))
        x = layers.Add()([x, layers.Dropout(dropout)(y)])
    return keras.Model(tokens, table(layers.LayerNormalization()(x), reverse=True))


def encoder(width: int, heads: int, dropout: float) -> Callable[[Any], Any]:
    attend = layers.MultiHeadAttention(heads, width // heads)
    dense = keras.Sequential([layers.Dense(4 * width, "gelu"), layers.Dense(width)])
    normalizations = layers.LayerNormalization(), layers.LayerNormalization()

    def encode(x: Any) -> Any:
        for change, normalize in zip((lambda x: attend(x, x), dense), normalizations, strict=True):
            x = normalize(x + layers.Dropout(dropout)(change(x)))
        return x

    return encode


def transformer_encoder(
    vocabulary: int = 96,
    length: int = 12,
    width: int = 8,
    heads: int = 2,
    depth: int = 2,
    topics: int = 4,
    dropout: float = 0.1,
) -> Any:
    tokens = keras.Input((length,), dtype="int32")
    x = Added(length, width)(layers.Embedding(vocabulary, width)(tokens))
    for _ in range(depth):
        x = encoder(width, heads, dropout)(x)
    x = ops.mean(x, axis=1)
    return keras.Model(tokens, layers.Dense(topics, activation="softmax")(x))


def albert(
    vocabulary: int = 96,
    length: int = 12,
    code: int = 4,
    width: int = 8,
    heads: int = 2,
    depth: int = 3,
    dropout: float = 0.1,
) -> Any:
    tokens = keras.Input((length,), dtype="int32")
    table = Table(vocabulary, code)
    x = layers.LayerNormalization()(Added(length, code)(table(tokens)))
    x = layers.Dense(width)(x)
    encode = encoder(width, heads, dropout)
    for _ in range(depth):
        x = encode(x)
    x = layers.LayerNormalization()(layers.Dense(code, "gelu")(x))
    return keras.Model(tokens, Added(vocabulary)(table(x, reverse=True)))


def unet(width: int = 4, classes: int = 2) -> Any:
    def look(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    image = keras.Input((16, 16, 1))
    seen = []
    x = image
    for level in range(2):
        seen.append(look(x, width * 2**level))
        x = layers.MaxPooling2D()(seen[-1])
    x = look(x, 4 * width)
    for level in (1, 0):
        filters = width * 2**level
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = look(layers.Concatenate()([seen[level], x]), filters)
    return keras.Model(image, layers.Conv2D(classes, 1, activation="softmax")(x))


def made(n: int = 8, width: int = 32) -> Any:
    """Equations 12 and 13 of the paper, with degrees that take turns in place of random ones."""
    entries = np.arange(1, n + 1)
    units = np.resize(np.arange(1, n), width)
    x = keras.Input((n,))
    h = Masked(units[None, :] >= entries[:, None], activation="relu")(x)
    h = Masked(units[None, :] >= units[:, None], activation="relu")(h)
    return keras.Model(x, Masked(entries[None, :] > units[:, None], activation="sigmoid")(h))


def deepsets(features: int = 3, width: int = 16) -> Any:
    elements = keras.Input((None, features))
    x = layers.TimeDistributed(keras.Sequential([layers.Dense(width, "relu"), layers.Dense(width)]))(elements)
    x = layers.Dense(width, "relu")(layers.Lambda(lambda x: ops.sum(x, axis=1))(x))
    return keras.Model(elements, layers.Dense(1)(x))


def densenet(depth: int = 2, growth: int = 4, classes: int = 10) -> Any:
    def layer(x: Any, filters: int, size: int) -> Any:
        x = layers.ReLU()(layers.BatchNormalization()(x))
        return layers.Conv2D(filters, size, padding="same", use_bias=False)(x)

    image = keras.Input((16, 16, 3))
    found = [layers.Conv2D(2 * growth, 3, padding="same", use_bias=False)(image)]
    for _ in range(depth):
        found.append(layer(layers.Concatenate()(found) if len(found) > 1 else found[0], growth, 3))
    channels = (2 + depth) * growth
    found = [layers.AveragePooling2D(2)(layer(layers.Concatenate()(found), channels // 2, 1))]
    for _ in range(depth):
        found.append(layer(layers.Concatenate()(found) if len(found) > 1 else found[0], growth, 3))
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()(found))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def mixer(
    side: int = 16,
    patch: int = 4,
    width: int = 8,
    depth: int = 2,
    places: int = 12,
    channels: int = 32,
    classes: int = 10,
) -> Any:
    def think(x: Any, hidden: int) -> Any:
        return layers.Dense(x.shape[-1])(layers.Dense(hidden, "gelu")(x))

    image = keras.Input((side, side, 3))
    x = layers.Conv2D(width, patch, strides=patch)(image)
    x = layers.Reshape((-1, width))(x)
    for _ in range(depth):
        y = ops.swapaxes(layers.LayerNormalization()(x), 1, 2)
        x = layers.Add()([x, ops.swapaxes(think(y, places), 1, 2)])
        x = layers.Add()([x, think(layers.LayerNormalization()(x), channels)])
    x = ops.mean(layers.LayerNormalization()(x), axis=1)
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def inception(width: int = 2, classes: int = 10, dropout: float = 0.4) -> Any:
    """The rows of table 1 of the paper: `width` is 16 there."""

    def seen(x: Any, channels: int, size: int) -> Any:
        return layers.Conv2D(channels * width // 16, size, padding="same", activation="relu")(x)

    def module(x: Any, *channels: int) -> Any:
        one, narrow3, three, narrow5, five, pooled = channels
        branches = [
            seen(x, one, 1),
            seen(seen(x, narrow3, 1), three, 3),
            seen(seen(x, narrow5, 1), five, 5),
            seen(layers.MaxPooling2D(3, strides=1, padding="same")(x), pooled, 1),
        ]
        return layers.Concatenate()(branches)

    image = keras.Input((16, 16, 3))
    x = seen(seen(seen(image, 64, 3), 64, 1), 192, 3)
    x = module(layers.MaxPooling2D()(x), 64, 96, 128, 16, 32, 32)
    x = module(x, 128, 128, 192, 32, 96, 64)
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(layers.Dropout(dropout)(x)))


def seq2seq(vocabulary: int = 96, width: int = 8) -> Any:
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    table = Table(vocabulary, width)
    states = layers.LSTM(width, return_state=True)(ops.flip(table(source), axis=1))[1:]
    x = layers.LSTM(width, return_sequences=True)(table(target), initial_state=states)
    return keras.Model([source, target], Added(vocabulary)(table(x, reverse=True)))


# --- side by side ---------------------------------------------------------------------------------

NETWORKS = {
    "resnet": (resnet, {"depth": 2, "width": 4}),
    "gpt": (gpt, {"vocabulary": 24, "context": 7, "width": 12, "heads": 3, "depth": 1}),
    "transformer_encoder": (transformer_encoder, {"length": 5, "depth": 1, "topics": 3}),
    "albert": (albert, {"code": 6, "width": 12, "depth": 2}),
    "unet": (unet, {"width": 3, "classes": 4}),
    "made": (made, {"n": 5, "width": 11}),
    "deepsets": (deepsets, {"features": 2, "width": 8}),
    "densenet": (densenet, {"depth": 3, "growth": 2}),
    "mixer": (mixer, {"side": 12, "patch": 3, "depth": 1, "channels": 20}),
    "inception": (inception, {"width": 3, "classes": 4}),
    "seq2seq": (seq2seq, {"vocabulary": 30, "width": 5}),
}
"""The plain networks, and other values for some of their parameters."""

CASES = [(name, values) for name, (_, others) in NETWORKS.items() for values in ({}, others)]


def fill(model: Any) -> None:
    """Gives all weights values that tell one from another, biases and scales too, and that saturate nothing."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "gamma" in weight.path or "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        else:
            # Of many convolutions one after the other, which let half through each, something is to be left.
            gain = np.sqrt(2) if len(weight.shape) == 4 else 0.5
            weight.assign(rng.normal(scale=gain / np.sqrt(np.prod(weight.shape[:-1])), size=weight.shape))


def numbers(name: str, model: Any) -> list[Array]:
    """What a plain network stores, in its order."""
    if name == "made":
        # A mask stores what it hides, too.
        biases = [weight.numpy() for weight in model.weights if "bias" in weight.path]
        return [each for pair in zip(wdsl.effective_weights(model).values(), biases, strict=True) for each in pair]
    return [each for each in model.get_weights() if each.size]


def batch(net: wdsl.Net, seed: int) -> Array | list[Array]:
    """What a model takes: a value for its input, or a list of them. Sizes that are unknown are all different."""
    rng = np.random.default_rng(seed)
    values: list[Array] = []
    for number, each in enumerate(net.inputs):
        shape = (4, *(5 + number if size is None else int(size) for size in each.spec.shape[1:]))
        words = each.spec.dtype == "int32"
        values.append(rng.integers(0, 24, shape) if words else rng.normal(size=shape).astype("float32"))
    return values if len(values) > 1 else values[0]


@pytest.mark.parametrize(("name", "values"), repeated(CASES, [each for each in CASES if not each[1]]))
def test_the_same_network_in_keras(name: str, values: dict[str, Any]) -> None:
    plainly, _ = NETWORKS[name]
    # Nothing is left to chance.
    values = values | ({"dropout": 0.0} if "dropout" in plainly.__code__.co_varnames else {})
    net = wdsl.load(FOLDER / f"{name}.wnet", **values)
    with in_float64():
        model, plain = net.to_keras(), plainly(**values)
        for each in (model, plain):
            each.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    fill(model)
    plain.set_weights(numbers(name, model))

    assert net.parameters <= model.count_params() <= plain.count_params()
    if name != "made":
        assert model.count_params() == plain.count_params()
        assert net.parameters == sum(weight.numpy().size for weight in plain.trainable_weights)
    x = batch(net, 2)
    same_but_for_rounding(model(x), plain(x))
    assert np.ptp(np.asarray(plain(x)), axis=0).max() > 1e-3

    target = np.random.default_rng(3).uniform(size=plain(x).shape)
    before = np.asarray(model(x))
    for step in range(3):
        x = batch(net, step + 4)
        same_but_for_rounding(*(each.train_on_batch(x, target) for each in (model, plain)))
    x = batch(net, 2)
    same_but_for_rounding(model(x), plain(x))
    assert (np.asarray(model(x)) != before).any()


@pytest.mark.parametrize(("depth", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85)])
def test_resnet_has_as_many_parameters_as_the_paper_says(depth: int, millions: float) -> None:
    """He et al. 2016, table 6: networks of 20, 32, 44 and 56 layers."""
    net = wdsl.load(FOLDER / "resnet.wnet", depth=depth, width=16)
    assert round(net.parameters / 1e6, 2) == millions


def test_albert_has_as_many_parameters_however_deep() -> None:
    one, six = (wdsl.load(FOLDER / "albert.wnet", depth=depth) for depth in (1, 6))
    assert one.parameters == six.parameters
    assert len(six.to_keras()._operations) > len(one.to_keras()._operations)


# --- the written modules beside these -------------------------------------------------------------

BY_HAND: dict[str, tuple[Any, ...]] = {"resnet": (resnet,), "gpt": (gpt, Table, Added), "unet": (unet,)}
"""What one writes for a network in Keras, with the classes that it takes."""


def statements_of(tree: ast.AST) -> list[ast.stmt]:
    """All statements but docstrings."""
    return [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.stmt) and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]


def goes_on(source: str, before: ast.stmt, statement: ast.stmt) -> bool:
    """Whether a statement is the next step of a chain, which one writes by hand as calls in one another."""
    match before, statement:
        case ast.Assign([ast.Name(name)]), ast.Assign([ast.Name(again)], ast.Call(args=[ast.Name(read), *_])):
            is_marked = "# line" in source.split("\n")[(statement.end_lineno or 0) - 1]
            return name == again == read and not is_marked
        case ast.Assign([ast.Name(name)]), ast.Return(ast.Call(args=[ast.Name(read), *_])):
            return name == read
    return False


@pytest.mark.parametrize("name", BY_HAND)
def test_no_longer_than_by_hand(name: str) -> None:
    """The network's functions have no more statements than one writes by hand, but for those of annotated layers."""
    source = wdsl.load(FOLDER / f"{name}.wnet").to_python()
    module = ast.parse(source)
    classes = {each.name for each in module.body if isinstance(each, ast.ClassDef)}
    # `refused` stands before the classes, and serves them alone.
    functions = [each for each in module.body if isinstance(each, ast.FunctionDef) and each.name != "refused"]
    written = [statement for function in functions for statement in statements_of(function)]
    bodies = [each.body for each in written if hasattr(each, "body")]
    steps = {after for body in bodies for pair in pairwise(body) if goes_on(source, *pair) for after in pair[1:]}
    written = [each for each in written if each not in steps]
    annotated = {
        statement
        for statement in written
        if isinstance(statement, ast.Assign)
        and classes & {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    }
    # A block that is there for an annotated layer: its `def` and its `return` are, too.
    around = sum(2 for function in functions[1:] if annotated & set(function.body))
    by_hand = sum(len(statements_of(ast.parse(inspect.getsource(each)))) for each in BY_HAND[name])
    assert len(written) - len(annotated) - around <= by_hand
