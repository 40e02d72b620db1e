"""Parts of tensors, weights as tensors, families, random tensors: read from outside, in both backends."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wdsl
from tests.drawn import examples

SIZES = (5, 3, 4)


def index_of(size: int) -> st.SearchStrategy[str]:
    """An index of an axis as the language writes it."""
    bound = st.none() | st.integers(-size - 1, size + 1)
    slices = st.tuples(bound, bound, st.none() | st.integers(1, 3)).map(
        lambda each: ":".join("" if part is None else str(part) for part in each)
    )
    return st.integers(-size, size - 1).map(str) | slices


@st.composite
def subscripts(draw: st.DrawFn) -> str:
    """What stands in the brackets behind a tensor, the batch first."""
    given_ = [draw(index_of(size)) for size in SIZES[: draw(st.integers(0, len(SIZES)))]]
    for _ in range(draw(st.integers(0, 2))):
        given_.insert(draw(st.integers(0, len(given_))), "none")
    if draw(st.booleans()) and len([each for each in given_ if each != "none"]) < len(SIZES):
        given_.append("...")
    return ", ".join([":", *given_])


@examples(40)
@given(subscripts())
def test_subscripts_are_those_of_numpy(subscript: str) -> None:
    x = np.arange(2 * 60, dtype="float32").reshape(2, *SIZES)
    expected = eval(f"x[{subscript.replace('none', 'None')}]", {"x": x})
    text = f"network N {{\n    input x: [5, 3, 4]\n    y = x[{subscript}]\n    output z = y * 1\n}}\n"
    if 0 in expected.shape:
        with pytest.raises(wdsl.WdslError, match="nothing is left"):
            wdsl.loads(text)
        return
    net = wdsl.loads(text)
    assert net.outputs[0].spec.shape == (None, *expected.shape[1:])
    np.testing.assert_array_equal(net.to_keras()(x), expected)


WEIGHTS = """
network N(n: int = 4) {
    input x: [n, n]
    weight added:  [n, n] = HeNormal(seed=1) symmetric
    weight turned: [n, n] tie(added.T)
    weight scale:  [] = Constant(2.0)
    output y = (x + added) * scale - turned
}
"""


def test_weights_are_tensors(python_module: Callable[..., ModuleType]) -> None:
    for build in (wdsl.loads(WEIGHTS).to_keras, python_module(wdsl.loads(WEIGHTS).to_python()).N):
        model = build()
        assert model.count_params() == 10 + 1
        y = np.asarray(model(np.zeros((1, 4, 4), "float32")))[0]
        assert (y == y.T).all()
        assert np.unique(abs(y)).size == 10
        before = model.get_weights()
        model.compile("adam", "mse")
        model.fit(np.ones((8, 4, 4)), np.zeros((8, 4, 4)), verbose=0)
        assert all((one != other).all() for one, other in zip(before, model.get_weights(), strict=True))
        one, two = (np.asarray(model(np.full((1, 4, 4), number, "float32")))[0] for number in (0.0, 1.0))
        assert (one == one.T).all()
        assert np.unique(two - one).size <= 16  # all alike, but for rounding


RANDOM = """
network N {
    input x: [1000]
    output normal = random_normal(shape(x), 3, stddev=0.5)
    output uniform = random_uniform(shape(x), -1, 2)
    output coin = random_bernoulli(shape(x), 0.25)
    output quiet = random_normal(shape(x), training_only=true)
    output same = random_normal(shape(x), seed=5)
    output still = random_bernoulli(shape(x), 0.5, 1, true)
}
"""


def test_random_tensors(python_module: Callable[..., ModuleType]) -> None:
    module = python_module(wdsl.loads(RANDOM).to_python())
    x = np.zeros((20, 1000), "float32")
    answers: list[list[Any]] = []
    for build in (wdsl.loads(RANDOM).to_keras, module.N):
        keras.utils.set_random_seed(7)
        model = build()
        first, second, training = (
            {name: np.asarray(each) for name, each in model(x, training=mode).items()} for mode in (False, False, True)
        )
        answers.append([*first.values(), *training.values()])
        # A mean of 20,000 draws is off by its standard error four times in 10,000 at most if by 3.5 of them.
        for name, mean, deviation in (("normal", 3, 0.5), ("uniform", 0.5, 3 / 12**0.5), ("coin", 0.25, 0.4331)):
            assert abs(first[name].mean() - mean) < 5 * deviation / 20_000**0.5
            assert abs(first[name].std() / deviation - 1) < 0.05
            assert (first[name] != second[name]).mean() > 0.3
        assert first["uniform"].min() >= -1
        assert first["uniform"].max() < 2
        assert set(np.unique(first["coin"])) == {0.0, 1.0}
        assert not first["quiet"].any()
        assert not first["still"].any()
        assert 0.4 < training["still"].mean() < 0.6
        assert abs(training["quiet"].std() - 1) < 0.05
    for one, other in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, other)


FAMILIES = """
network N(items: int = 2, tasks: int = 2) {
    input x: [4]
    for i in range(items) {
        input item[i]: [4]
        part[i, 0] = item[i] * 2
        part[i, 1] = part[i, 0] + x
        part[i, 1] = part[i, 1] * 10 ** i
    }
    h = part[0, 1]
    for i in range(1, items) {
        h = h + part[i, 1]
    }
    for t in range(tasks) {
        output task[t] = h + t
    }
    output all = task[0] + x
}
"""


@pytest.mark.parametrize(("items", "tasks"), [(2, 2), (1, 1), (3, 4)])
def test_families(items: int, tasks: int, python_module: Callable[..., ModuleType]) -> None:
    module = python_module(wdsl.loads(FAMILIES).to_python())
    net = wdsl.loads(FAMILIES, parameters={"items": items, "tasks": tasks})
    given_ = [np.full((1, 4), number, "float32") for number in range(1, items + 2)]
    total = sum((2 * each + given_[0]) * 10**i for i, each in enumerate(given_[1:]))
    for build in (net.to_keras, lambda: module.N(items, tasks)):
        model = build()
        assert [each.name for each in model.inputs] == ["x", *(f"item_{i}" for i in range(items))]
        answer = model(given_)
        assert [*answer] == [*(f"task_{t}" for t in range(tasks)), "all"]
        for t in range(tasks):
            np.testing.assert_array_equal(answer[f"task_{t}"], total + t)
        np.testing.assert_array_equal(answer["all"], total + given_[0])


def test_kinds_of_layers_and_words_are_values(python_module: Callable[..., ModuleType]) -> None:
    text = """
const start = Constant(3.0)

network N(act: str = relu) {
    input x: [2, 2]
    h = x -> Own(Rescaling, act)
    output y = h -> Own(kind=Rescaling, act=tanh if act == relu else linear) -> Dense(1, kernel_initializer=start)
}

block Own(kind: layer, act: str) {
    input x
    output y = x -> kind(2) -> act
}
"""
    module = python_module(wdsl.loads(text).to_python())
    x = np.array([[[-1.0, 0.5], [0.25, -2.0]]], "float32")
    for act, build in (("relu", wdsl.loads(text).to_keras), ("relu", module.N), ("tanh", lambda: module.N("tanh"))):
        h = np.maximum(2 * x, 0) if act == "relu" else np.tanh(2 * x)
        h = np.tanh(2 * h) if act == "relu" else 2 * h
        np.testing.assert_allclose(build()(x), 3 * h.sum(-1, keepdims=True), rtol=1e-5, atol=1e-6)
