"""Networks of specs/ beside those of `keras.applications`, or written here in Keras by themselves.

They have as many weights, of the same shapes; given the same numbers, they give the same outputs.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications import convnext as keras_convnext

import wdsl
from tests.drawn import repeated
from tests.rounding import in_float64, same_but_for_rounding

layers, ops = keras.layers, keras.ops

FOLDER = Path(__file__).parents[2] / "specs"

Array = np.ndarray[Any, Any]


class Added(layers.Layer):  # type: ignore[misc, name-defined]
    """A weight that is added to, or that multiplies, all of a batch."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.added = self.add_weight(shape=shape)

    def call(self, x: Any) -> Any:
        return x + self.added


# --- the networks, in Keras -----------------------------------------------------------------------


def mobilenet_v2(alpha: float = 0.35, side: int = 32, classes: int = 10) -> Any:
    return keras.applications.MobileNetV2((side, side, 3), alpha, weights=None, classes=classes)


def efficientnet(version: int = 0, side: int = 32, classes: int = 10) -> Any:
    function = getattr(keras.applications, f"EfficientNetB{version}")
    return function(weights=None, input_shape=(side, side, 3), classes=classes)


def convnext(depths: Any = (1, 1, 2, 1), widths: Any = (8, 16, 32, 64), side: int = 32, classes: int = 10) -> Any:
    shape = (side, side, 3)
    return keras_convnext.ConvNeXt(
        [*depths], [*widths], include_preprocessing=False, input_shape=shape, classes=classes
    )


def vit(side: int = 32, patch: int = 8, width: int = 32, depth: int = 2, heads: int = 4, classes: int = 10) -> Any:
    image = keras.Input((side, side, 3))
    count = (side // patch) ** 2
    x = layers.Conv2D(width, patch, strides=patch)(image)
    x = layers.Reshape((count, width))(x)
    token = Added(1, width)(ops.zeros_like(x[:, :1]))
    x = Added(count + 1, width)(ops.concatenate([token, x], axis=1))
    for _ in range(depth):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(y, y)
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(4 * width, activation="gelu")(y)
        x = x + layers.Dense(width)(y)
    x = layers.LayerNormalization(epsilon=1e-6)(x)[:, 0]
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def vae(code: int = 8, widths: Any = (16, 32)) -> Any:
    digit = keras.Input((28, 28, 1))
    x = digit
    for width in widths:
        x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    mean, log_variance = layers.Dense(code)(x), layers.Dense(code)(x)
    x = layers.Dense(49 * widths[-1], activation="relu")(mean)  # as in inference
    x = layers.Reshape((7, 7, widths[-1]))(x)
    for width in widths[::-1]:
        x = layers.Conv2DTranspose(width, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(digit, {"mean": mean, "log_variance": log_variance, "image": x})


def ddpm_unet(
    scales: Any = (1, 2, 2), width: int = 16, depth: int = 1, attends: Any = (1,), groups: int = 4, side: int = 16
) -> Any:
    def attention(x: Any) -> Any:
        _, height, length, channels = x.shape
        y = layers.Reshape((-1, channels))(layers.GroupNormalization(groups)(x))
        y = layers.MultiHeadAttention(1, channels)(y, y)
        return layers.Add()([x, layers.Reshape((height, length, channels))(y)])

    def residual(x: Any, when: Any, filters: int, attends: bool) -> Any:
        y = layers.Activation("silu")(layers.GroupNormalization(groups)(x))
        y = layers.Conv2D(filters, 3, padding="same")(y)
        y = layers.Add()([y, layers.Reshape((1, 1, filters))(layers.Dense(filters)(when))])
        y = layers.Activation("silu")(layers.GroupNormalization(groups)(y))
        y = layers.Conv2D(filters, 3, padding="same")(y)
        y = layers.Add()([y, x if x.shape[-1] == filters else layers.Dense(filters)(x)])
        return attention(y) if attends else y

    image, time = keras.Input((side, side, 3)), keras.Input((1,))
    half = width // 2
    angles = time * ops.exp(ops.arange(half, dtype="float64") * (-9.2 / half))
    when = layers.Concatenate()([ops.sin(angles), ops.cos(angles)])
    for _ in range(2):
        when = layers.Dense(4 * width, activation="silu")(when)
    x = layers.Conv2D(width, 3, padding="same")(image)
    skips = [x]
    for level, scale in enumerate(scales):
        for _ in range(depth):
            x = residual(x, when, width * scale, level in attends)
            skips.append(x)
        if level + 1 < len(scales):
            x = layers.Conv2D(width * scale, 3, strides=2, padding="same")(x)
            skips.append(x)
    x = residual(x, when, width * scales[-1], True)
    x = residual(x, when, width * scales[-1], False)
    for level in range(len(scales))[::-1]:
        for _ in range(depth + 1):
            x = layers.Concatenate()([x, skips.pop()])
            x = residual(x, when, width * scales[level], level in attends)
        if level:
            x = layers.Conv2D(width * scales[level], 3, padding="same")(layers.UpSampling2D()(x))
    x = layers.Activation("silu")(layers.GroupNormalization(groups)(x))
    return keras.Model([image, time], layers.Conv2D(3, 3, padding="same")(x))


def multitask(features: int = 12, hidden: Any = (32, 16), tasks: Any = (3, 1, 5)) -> Any:
    x = inputs = keras.Input((features,))
    for width in hidden:
        x = layers.Dense(width, activation="relu")(x)
    own = [layers.Dense(hidden[-1], activation="relu")(x) for _ in tasks]
    found = [
        layers.Dense(classes, activation="softmax" if classes > 1 else None)(y)
        for classes, y in zip(tasks, own, strict=True)
    ]
    return keras.Model(inputs, {f"task_{t}": each for t, each in enumerate(found)})


def tabular(numbers: int = 3, categories: Any = (7, 12, 5), hidden: Any = (32, 16), act: str = "relu") -> Any:
    inputs = [keras.Input((numbers,)), *(keras.Input((), dtype="int32") for _ in categories)]
    parts = [layers.BatchNormalization()(inputs[0])]
    for x, count in zip(inputs[1:], categories, strict=True):
        parts.append(layers.Embedding(count, min(50, -(-count // 2)))(x))
    x = layers.Concatenate()(parts)
    for width in hidden:
        x = layers.Activation(act)(layers.BatchNormalization()(layers.Dense(width)(x)))
    return keras.Model(inputs, layers.Dense(1)(x))


NETWORKS: dict[str, tuple[Callable[..., Any], list[dict[str, Any]]]] = {
    "mobilenet_v2": (mobilenet_v2, [{}, {"alpha": 1.4, "side": 64, "classes": 7}]),
    "efficientnet": (efficientnet, [{}, {"version": 2, "side": 40}]),
    "convnext": (convnext, [{}, {"depths": (2, 1, 1, 3), "widths": (4, 8, 8, 12), "classes": 3}]),
    "vit": (vit, [{}, {"side": 24, "patch": 6, "width": 16, "heads": 2, "depth": 3}]),
    "vae": (vae, [{}, {"code": 3, "widths": (4, 6)}]),
    "ddpm_unet": (ddpm_unet, [{}, {"scales": (1, 1, 2, 3), "depth": 2, "attends": (0, 2), "width": 8, "groups": 2}]),
    "multitask": (multitask, [{}, {"tasks": (2,), "hidden": (8,)}]),
    "tabular": (tabular, [{}, {"categories": (3, 5), "hidden": (8, 8, 4), "act": "tanh"}]),
}
"""By the name of the spec: the network in Keras, and values of parameters to build both with."""

CASES = [(name, values) for name, (_, several) in NETWORKS.items() for values in several]


def in_order(model: Any, is_of_keras: bool) -> list[Any]:
    """The weights of a model in the order in which its layers were made, as the numbers in their names tell.

    Keras's own applications have names of another kind, and no two ways through them have weights of one shape: they
    are in the order in which they are applied.
    """
    if is_of_keras:
        depths = (model._nodes_by_depth[depth] for depth in sorted(model._nodes_by_depth, reverse=True))
        applied = dict.fromkeys(node.operation for nodes in depths for node in nodes)
        return [weight for each in applied if isinstance(each, keras.Layer) for weight in each.weights]
    return sorted(model.weights, key=lambda each: [int(number) for number in re.findall(r"\d+", each.path)])


def data(model: Any, largest: float) -> list[Array]:
    """What both are asked: small whole numbers where that is what they take."""
    rng = np.random.default_rng(1)
    shapes = [(4, *each.shape[1:]) for each in model.inputs]
    return [
        rng.integers(0, 3, shape) if each.dtype == "int32" else rng.uniform(0, largest, shape)
        for each, shape in zip(model.inputs, shapes, strict=True)
    ]


@pytest.mark.parametrize(("name", "values"), repeated(CASES, [each for each in CASES if not each[1]]))
def test_the_same_network_in_keras(name: str, values: dict[str, Any]) -> None:
    with in_float64():
        keras.backend.clear_session()  # Keras numbers the layers of both from the beginning
        model = wdsl.load(FOLDER / f"{name}.wnet", **values).to_keras()
        keras.backend.clear_session()
        plain = NETWORKS[name][0](**values)
    assert len(model.weights) == len(plain.weights)
    assert model.count_params() == plain.count_params()

    is_of_keras = name in ("mobilenet_v2", "efficientnet", "convnext")
    # Of each shape, the weights are in the same order in both.
    waiting: dict[Any, list[Any]] = defaultdict(list)
    for each in in_order(plain, is_of_keras):
        waiting[_kind(each)].append(each)
    rng = np.random.default_rng(0)
    for each in in_order(model, is_of_keras):
        other = waiting[_kind(each)].pop(0)
        numbers = _drawn(rng, each)
        for one in (each, other):
            one.assign(numbers)
    assert not any(waiting.values())

    x = data(model, 255.0 if name == "efficientnet" else 1.0)
    found, wanted = model(x if len(x) > 1 else x[0]), plain(x if len(x) > 1 else x[0])
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(wanted), strict=True):
        same_but_for_rounding(one, other)
        assert np.ptp(np.asarray(other), axis=0).max() > 1e-6


def _drawn(rng: np.random.Generator, weight: Any) -> Array:
    """Numbers for a weight with which what goes through many layers neither dies out nor grows."""
    name, shape = weight.path.rpartition("/")[2], tuple(weight.shape)
    around = 1.0 if name in ("gamma", "moving_variance", "variance") else 0.0
    sizes = shape[:2] if name == "kernel" and len(shape) == 4 and shape[3] == 1 else shape[:-1]
    spread = math.sqrt(2 / math.prod(sizes)) if len(shape) > 1 else 0.1
    return around + spread * np.clip(rng.normal(size=shape), -2, 2)


def _kind(weight: Any) -> Any:
    """What tells a weight from others of another layer: its shape, and what it is called there."""
    name = weight.path.rpartition("/")[2]
    return tuple(weight.shape), "weight" if name.startswith("variable") else name


@pytest.mark.parametrize(
    ("version", "millions"), [(0, 5.3), (1, 7.9), (2, 9.2), (3, 12.3), (4, 19.5), (5, 30.6), (6, 43.3), (7, 66.7)]
)
def test_efficientnet_has_as_many_parameters_as_keras_says(version: int, millions: float) -> None:
    """The table of `keras.applications`, with 1000 classes; the statistics of normalization among them."""
    net = wdsl.load(FOLDER / "efficientnet.wnet", version=version, classes=1000)
    statistics = sum(
        math.prod(weight.shape) for layer in net.network.unnamed for weight in layer.weights if not weight.trainable
    )
    assert round((net.parameters + statistics) / 1e6, 1) == millions
