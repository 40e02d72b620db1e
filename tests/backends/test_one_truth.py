"""The live model and the generated module are the same network: weights, outputs and gradients, to the bit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import wdsl

FOLDER = Path(__file__).parents[2] / "specs"
SPECS = sorted(path for path in FOLDER.rglob("*.wnet") if path.parent.name != "parts")

# Networks whose structure, shapes and names follow from their parameters.
FURTHER: dict[str, tuple[str, Mapping[str, Any]]] = {
    "an_initializer_of_several_weights": (
        """
        network Initialized(heads: int = 2) {
            input x: [3, 8]
            layer a = MultiHeadAttention(heads, 4, kernel_initializer=he_normal, kernel_regularizer=L2(0.1)) {
                query.kernel: tie(value.kernel)
            }
            output y = a(x, cast(x, float32))
        }
        """,
        {"heads": 3},
    ),
    "every_kind_of_region": (
        """
        network Regions(n: int = 4, k: int = 1) {
            input x: [n]
            layer a = Dense(n + 2, activation=tanh) zero[
                k, 2:n, ::n, -1, (k, -1), (:k, 1:), diagonal(k), diagonal(-k), upper(n), lower(n - k)
            ]
            layer b = Dense(2 * n) zero[not blocks(k + 1, k + 1), where (i + n) % 3 == 0 and (j < n or n > 5)]
            layer c = Dense(2 * n) symmetric, zero[not band(k, k)]
            output y = x -> a -> b -> c
        }
        """,
        {"n": 7, "k": 2},
    ),
    "shapes_of_ties": (
        """
        network Shapes(size: int = 8, width: int = 2, steps: int = 2) {
            input image: [size, size + 1, width]
            layer conv = Conv2D(width + 1, 3, strides=steps, padding="same")
            layer flat = Dense(4) zero[0, where i < steps]
            layer back = Dense((size + steps - 1) // steps * ((size + steps) // steps) * (width + 1)) tie(flat.kernel.T)
            code = image -> conv -> UpSampling2D(2) -> MaxPooling2D(2) -> Flatten() -> flat
            output copy = code -> back
        }
        """,
        {"size": 5, "width": 3, "steps": 1},
    ),
    "decisions": (
        """
        network Decisions(deep: bool = true, act: str = "elu", rate: float = 0.5, sizes: list = [3, 4]) {
            input x: [sizes[0] + len(sizes)]
            layer a = Dense(sizes[1] if deep else 2 * sizes[0], activation=act if deep else "tanh", use_bias=not deep)
            layer b = Dense(max(sizes[0], sizes[1]), activation=act) {
                kernel: zero[where i * rate > 1]
                bias: equal
            }
            output y = x * rate -> a -> Dropout(rate) -> b
        }
        """,
        {"deep": False, "act": "gelu", "rate": 0.125, "sizes": [5, 2]},
    ),
    "names_of_python": (
        """
        network Names(lambda: int = 2, class: int = 3, list: int = 2, i: int = 1) {
            input input: [class]
            input print: [class]
            layer layers = Dense(lambda)
            layer ops = Dense(list) zero[where i < j]
            layer l = Dense(class) tie(np.kernel)
            layer np = Dense(class)
            keras = input -> layers -> ops
            import = (print -> np) * i
            output def = (keras, import) -> Concatenate()
            output shape = print -> l
        }
        """,
        {"lambda": 4, "class": 5, "list": 3, "i": 2},
    ),
    "several_inputs_and_outputs": (
        """
        network Branches(n: int = 3) {
            layer late = Dense(n + 1, kernel_initializer=HeNormal(), kernel_regularizer="l2") symmetric
            input a: [n]
            input b: int32[2]
            input c: [?, n]
            layer words = Embedding(5, n) zero[(0, :)]
            layer attend = MultiHeadAttention(2, n) {
                query.kernel: tie(key.kernel)
                value.kernel: equal
                attention_output.bias: zero[0]
            }
            layer read = LSTM(n) {
                recurrent_kernel: zero[where j // shape[0] == 1]
                bias: equal
            }
            e = b -> words
            first, second = a -> split([1], axis=-1)
            output attended = attend(c, e)
            output state = c -> read
            output both = concat([a, second, first[0] if false else first], axis=-1) -> Dense(n + 1) -> late
        }
        """.replace("first[0] if false else first", "first"),
        {"n": 4},
    ),
    "ties_to_slices_of_one_axis": (
        """
        network Parts(n: int = 4) {
            input x: [n]
            layer a = Dense(2 * n)
            layer b = Dense(n) tie(a.kernel.T[n:]) { bias: tie(a.bias[::2]) }
            layer c = Dense(n) { bias: tie(a.kernel[:, 0]) }
            h = x -> b -> c
            output y = h -> a
        }
        """,
        {"n": 6},
    ),
    "tie_of_all_kinds": (
        """
        network Ties(n: int = 4) {
            input x: [n]
            layer a = Dense(n, use_bias=false) tie(b.kernel.T), zero[lower]
            layer b = Dense(n) tie(c.kernel)
            layer c = Dense(n) zero[(0, n - 1)]
            layer d = Dense(n) tie(kernel.T)
            layer e = Dense(n) {
                bias: tie(c.bias)
            }
            output y = x -> a -> b -> a -> c -> d -> e
        }
        """,
        {"n": 6},
    ),
}
OTHER_VALUES: dict[str, Mapping[str, Any]] = {
    "tied_autoencoder": {"code": 5},
    "siamese": {"features": 3},
    "hopfield": {"neurons": 9},
    "lenet5": {"classes": 3},
    "language_model": {"vocabulary": 11, "width": 6},
    "banded": {"n": 7},
    "symmetric_dense": {"n": 5},
    # What a loop runs over is decided when compiling.
    "resnet": {"width": 4, "classes": 3},
    "gpt": {"vocabulary": 11, "context": 5, "width": 6},
    "albert": {"vocabulary": 11, "length": 5, "code": 3, "width": 6},
    "transformer_encoder": {"vocabulary": 11, "length": 5, "width": 6},
    "densenet": {"growth": 3, "classes": 3},
    "mobilenet_v2": {"alpha": 0.5, "classes": 3},
    "efficientnet": {"classes": 3},
    "convnext": {"widths": [4, 8, 8, 12]},
    "vit": {"width": 16, "patch": 4},
    "vae": {"code": 3},
    "ddpm_unet": {"width": 8, "side": 8},
    "multitask": {"hidden": [8, 4]},
    "tabular": {"hidden": [8]},
    "mixer": {"side": 12, "patch": 3, "width": 5, "places": 7, "channels": 9, "classes": 3},
}
"""Values other than the defaults, for the specs with parameters."""

CASES = {path.stem: (path.read_text(encoding="utf-8"), OTHER_VALUES.get(path.stem)) for path in SPECS} | FURTHER


def value_of(type_: str | None, value: Any) -> Any:
    """Another value than the default for a parameter that nobody thought of."""
    return value + 1 if type_ == "int" else value


@cache
def net_of(case: str) -> wdsl.Net:
    return wdsl.loads(CASES[case][0], str(FOLDER / f"{case}.wnet"))


def other_values(case: str) -> dict[str, Any]:
    parameters = net_of(case).network.parameters
    given = CASES[case][1]
    return dict(given) if given is not None else {each.name: value_of(each.type, each.value) for each in parameters}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def module(case: str, python_module: Callable[..., ModuleType]) -> ModuleType:
    return python_module(net_of(case).to_python())


def inputs_of(net: wdsl.Net) -> list[Any]:
    rng = np.random.default_rng(5)
    values = []
    for each in net.inputs:
        shape = (3, *(4 if size is None else int(size) for size in each.spec.shape[1:]))
        whole = not each.spec.dtype.startswith("float")
        values.append(rng.integers(0, 5, shape) if whole else rng.normal(size=shape))
        values[-1] = values[-1].astype(each.spec.dtype)
    return values


Observed = tuple[list[tuple[str, np.ndarray[Any, Any]]], list[Any], list[Any]]


def observe(net: wdsl.Net, make: Callable[[], Any]) -> Observed:
    """The weights by their names, the outputs, and the gradients, of a model made with a known seed."""
    keras.utils.clear_session(free_memory=False)  # Keras numbers what has no name
    keras.utils.set_random_seed(42)
    model = make()
    weights = [(weight.name, weight.numpy()) for weight in model.weights]
    inputs = inputs_of(net)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=True))
        loss = tf.add_n([tf.reduce_sum(tf.square(each) * 0.25) for each in outputs] + model.losses)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    return weights, [each.numpy() for each in outputs], [tf.convert_to_tensor(each).numpy() for each in gradients]


def same(one: Observed, other: Observed) -> None:
    assert [name for name, _ in one[0]] == [name for name, _ in other[0]]
    arrays = [[*(value for _, value in each[0]), *each[1], *each[2]] for each in (one, other)]
    for first, second in zip(*arrays, strict=True):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
        assert np.isfinite(first).all()
    # What is compared is not all zero.
    assert sum(np.count_nonzero(each) for each in one[2]) > 0


def test_defaults(case: str, module: ModuleType) -> None:
    net = net_of(case)
    same(observe(net, net.to_keras), observe(net, getattr(module, net.name)))


WITH_PARAMETERS = [name for name, (text, _) in CASES.items() if re.search(r"network \w+\(", text)]


@pytest.mark.parametrize("case", WITH_PARAMETERS, indirect=True, scope="module")
def test_other_values(case: str, module: ModuleType) -> None:
    values = other_values(case)
    net = wdsl.loads(CASES[case][0], str(FOLDER / f"{case}.wnet"), parameters=values)
    assert net.parameters != net_of(case).parameters
    live = observe(net, net.to_keras)
    assert sum(gradient.size for gradient in live[2]) == net.parameters
    function = getattr(module, net.name)
    arguments = {name if name in inspect.signature(function).parameters else f"{name}_": value
                 for name, value in values.items()}  # fmt: skip
    same(live, observe(net, lambda: function(**arguments)))
    # A module written for these values is the same network, with the defaults of the file.
    assert function.__defaults__ is not None
    assert net.to_python().split("# line")[1:] == net_of(case).to_python().split("# line")[1:]


@pytest.mark.parametrize("statement", ["where j > 5", "diagonal(6)"])
def test_what_a_zero_reaches_depends_on_the_parameters(
    statement: str, python_module: Callable[..., ModuleType]
) -> None:
    """An `equal` that a tie brings no zero for n = 4 and a zero for n = 8."""
    text = f"""
        network Grows(n: int = 4) {{
            input x: [n]
            layer a = Dense(n, bias_initializer=ones) equal
            layer b = Dense(n) tie(a.kernel), zero[{statement}]
            output y = (x -> a) + (x -> b)
        }}
        """
    module = python_module(wdsl.loads(text).to_python())
    net = wdsl.loads(text, parameters={"n": 8})
    same(observe(net, net.to_keras), observe(net, lambda: module.Grows(n=8)))
    assert module.Grows(n=8).count_params() == net.parameters
