"""Annotations on every trainable weight of every layer of the catalogue, before and after training."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

import wdsl
from tests.drawn import every
from wdsl import effective_weights
from wdsl.catalog import LAYERS

LAYERS_WITH_WEIGHTS: dict[str, tuple[str, ...]] = {
    "Dense": ("[6]", "Dense(3)"),
    "EinsumDense": ("[4, 3]", 'EinsumDense("abc,cd->abd", [4, 5], bias_axes="d")'),
    "Embedding": ("int32[4]", "Embedding(7, 3)"),
    "Conv1D": ("[6, 3]", "Conv1D(4, 2)"),
    "Conv2D": ("[6, 5, 2]", "Conv2D(3, 2)"),
    "Conv3D": ("[4, 4, 4, 2]", "Conv3D(2, 2)"),
    "Conv1DTranspose": ("[5, 3]", "Conv1DTranspose(4, 2)"),
    "Conv2DTranspose": ("[4, 4, 2]", "Conv2DTranspose(3, 2)"),
    "Conv3DTranspose": ("[3, 3, 3, 2]", "Conv3DTranspose(2, 2)"),
    "DepthwiseConv1D": ("[6, 3]", "DepthwiseConv1D(2, depth_multiplier=2)"),
    "DepthwiseConv2D": ("[5, 5, 2]", "DepthwiseConv2D(2, depth_multiplier=2)"),
    "SeparableConv1D": ("[6, 3]", "SeparableConv1D(4, 2)"),
    "SeparableConv2D": ("[5, 5, 2]", "SeparableConv2D(3, 2)"),
    "BatchNormalization": ("[5]", "BatchNormalization()"),
    "LayerNormalization": ("[5]", "LayerNormalization()"),
    "GroupNormalization": ("[4, 6]", "GroupNormalization(2)"),
    "RMSNormalization": ("[5]", "RMSNormalization()"),
    "SimpleRNN": ("[4, 3]", "SimpleRNN(2)"),
    "GRU": ("[4, 3]", "GRU(2)"),
    "LSTM": ("[4, 3]", "LSTM(2)"),
    "MultiHeadAttention": ("[4, 6]", "MultiHeadAttention(2, 3, value_dim=2)", "output y = some(x, x)"),
    "GroupQueryAttention": ("[4, 6]", "GroupQueryAttention(2, 4, 2, use_gate=true)", "output y = some(x, x)"),
    "Attention": ("[4, 6]", 'Attention(use_scale=true, score_mode="concat")', "output y = some([x, x])"),
    "AdditiveAttention": ("[4, 6]", "AdditiveAttention()", "output y = some([x, x])"),
    "PReLU": ("[4, 3]", "PReLU()"),
    "ReversibleEmbedding": (
        "int32[4]",
        "ReversibleEmbedding(7, 3, tie_weights=false)",
        "output y = some(some(x), reverse=true)",
    ),
    "STFTSpectrogram": ("[12, 2]", "STFTSpectrogram(frame_length=4)"),
    "ConvLSTM1D": ("[3, 4, 2]", "ConvLSTM1D(2, 2)"),
    "ConvLSTM2D": ("[3, 4, 4, 2]", "ConvLSTM2D(2, 2)"),
    "ConvLSTM3D": ("[2, 3, 3, 3, 2]", "ConvLSTM3D(2, 2)"),
    "SimpleRNNCell": ("[3]", "SimpleRNNCell(3)", "output y = cell", "cell, h = some(x, x)"),
    "GRUCell": ("[3]", "GRUCell(3)", "output y = cell", "cell, h = some(x, x)"),
    "LSTMCell": ("[3]", "LSTMCell(3)", "output y = cell", "cell, h, c = some(x, [x, x])"),
    "StackedRNNCells": (
        "[3]",
        "StackedRNNCells([LSTMCell(3), LSTMCell(3), GRUCell(3)])",
        "output y = cell",
        "cell, h, c, h2, c2, s = some(x, [[x, x], [x, x], x])",
    ),
    "RNN": ("[4, 3]", "RNN([LSTMCell(3), SimpleRNNCell(2)])"),
    "Bidirectional": ("[4, 3]", "Bidirectional(LSTM(2))"),
    "TimeDistributed": (
        "[4, 3, 2]",
        "TimeDistributed(Bidirectional(GRU(2), backward_layer=GRU(2, go_backwards=true)))",
    ),
    "SpectralNormalization": ("[5]", "SpectralNormalization(Dense(3))"),
}
"""An input, a construction in which the layer has all of its weights, and how it is used, if not on the input alone."""


def text(layer: str, weights: str = "") -> str:
    """A network of one layer, and of what its braces hold."""
    shape, construct, *use = LAYERS_WITH_WEIGHTS[layer]
    return "\n".join(
        [
            "network Net {",
            f"    input x: {shape}",
            f"    layer some = {construct} {{ {weights} }}",
            *(f"    {statement}" for statement in reversed(use or ["output y = x -> some"])),
            "}",
        ]
    )


@cache
def plain(layer: str) -> wdsl.Net:
    return wdsl.loads(text(layer))


@cache
def reference_of(layer: str) -> Any:
    return plain(layer).to_keras()


def weights() -> Iterator[tuple[str, str]]:
    for layer in LAYERS_WITH_WEIGHTS:
        for each in plain(layer).weights:
            if each.weight.trainable and not each.weight.rewritten:
                yield layer, each.name.weight


def test_no_layer_is_forgotten() -> None:
    """A row that has trainable weights, by what it can initialize, is among those tried, with all of its weights."""
    assert len(LAYERS) >= 30
    by_name = {"Attention", "AdditiveAttention", "RMSNormalization", "STFTSpectrogram"}
    with_weights = {
        row.name
        for row in LAYERS.values()
        if any(each.name.endswith("_initializer") or "layer" in each.type for each in row.arguments)
    }
    assert with_weights | by_name == set(LAYERS_WITH_WEIGHTS)
    for layer in LAYERS_WITH_WEIGHTS:
        rewritten = sum(each.weight.rewritten for each in plain(layer).weights)
        of_keras = len(reference_of(layer).trainable_weights)
        assert of_keras == rewritten + sum(1 for name, _ in weights() if name == layer)


def data(model: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    shape = (4, *model.input_shape[1:])
    whole = model.input.dtype.startswith("int")
    x = rng.integers(0, 7, shape) if whole else rng.normal(size=shape).astype("float32")
    return x, rng.normal(size=(4, *model.output_shape[1:])).astype("float32")


def ones_for_zeros(net: wdsl.Net) -> Any:
    """A live model none of whose parameters are zero: what is zero then is so by an annotation."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(2)
    model = net.to_keras()
    rng = np.random.default_rng(4)
    for variable in model.trainable_weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


Values = dict[str, np.ndarray[Any, Any]]


def trained(layer: str, annotated: dict[str, str], steps: int = 1) -> tuple[wdsl.Net, Values, Values]:
    """The annotated weights before and after training; Keras's own layer with such weights answers the same."""
    net = wdsl.loads(text(layer, "; ".join(f"{weight}: {words}" for weight, words in annotated.items())))
    model = ones_for_zeros(net)
    fixed = sum(int(np.prod(each.shape)) for each in model.non_trainable_weights)
    assert model.count_params() == net.parameters + fixed
    model.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=True)
    x, y = data(model)
    before = effective_weights(model)
    for _ in range(steps):
        model.train_on_batch(x, y)
    after = effective_weights(model)
    assert before.keys() == after.keys() == {f"some.{weight}" for weight in annotated}
    for name in after:
        if name != "some.key.bias":  # it moves all scores of a query alike, which softmax does not see
            assert (before[name] != after[name]).any()
    assert wdsl.verify(model).ok
    reference = reference_of(layer)
    paths = {each.name.weight: each.weight.path for each in plain(layer).weights}
    own = {unnumbered(variable.path).split("/", 1)[1]: variable for variable in reference.weights}
    assert len(own) == len(reference.weights)
    for weight in annotated:
        own.pop(paths[weight]).assign(after[f"some.{weight}"])
    free = {id(weight.theta) for weight in model.get_layer("some").structured}
    theirs = [variable for variable in model.weights if id(variable) not in free]
    assert len(own) == len(theirs)
    for path, variable in own.items():
        (other,) = [each for each in theirs if unnumbered(each.path).endswith(f"/{path}")]
        variable.assign(other)
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(reference(x)))
    return net, before, after


def unnumbered(path: str) -> str:
    """A path without the numbers that Keras gives to layers of one class."""
    return re.sub(r"(?<!/cell)_\d+(?=/)", "", path)


def shape_of(layer: str, weight: str) -> tuple[int, ...]:
    return next(tuple(map(int, each.weight.shape)) for each in plain(layer).weights if each.name.weight == weight)


def with_entries() -> list[tuple[str, str]]:
    return [each for each in weights() if shape_of(*each)]


# The next test has all weights of a layer at once.
@pytest.mark.parametrize(("layer", "weight"), every(5, with_entries()))
def test_one_entry_is_zero(layer: str, weight: str) -> None:
    net, *values = trained(layer, {weight: "zero[0]"})
    assert net.parameters == net.dense_parameters - 1
    for each in values:
        value = each[f"some.{weight}"]
        assert value.shape == shape_of(layer, weight)
        assert value.ravel()[0] == 0
        assert (value.ravel()[1:] != 0).all()
        assert len(np.unique(value)) == value.size


@pytest.mark.parametrize("layer", every(3, dict(with_entries())))
def test_all_weights_are_one_value_but_for_a_zero(layer: str) -> None:
    own = [weight for name, weight in with_entries() if name == layer]
    net, *values = trained(layer, dict.fromkeys(own, "equal, zero[0]"), 2)
    entries = sum(int(np.prod(shape_of(layer, weight))) for weight in own)
    assert net.parameters == net.dense_parameters - entries + len(own)
    for each in values:
        for weight in own:
            value = each[f"some.{weight}"]
            assert value.shape == shape_of(layer, weight)
            assert value.ravel()[0] == 0
            assert value.ravel()[1] != 0
            assert len(np.unique(value.ravel()[1:])) == 1


@pytest.mark.parametrize(("layer", "weight"), [each for each in weights() if not shape_of(*each)])
def test_a_single_number_is_frozen(layer: str, weight: str) -> None:
    net = wdsl.loads(text(layer, f"{weight}: frozen"))
    assert net.parameters == net.dense_parameters - 1
    model = ones_for_zeros(net)
    x, y = data(model)
    before = effective_weights(model)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.train_on_batch(x, y)
    assert effective_weights(model) == before == {f"some.{weight}": 1.0}
    assert wdsl.verify(model).ok
