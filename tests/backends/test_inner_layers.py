"""Written modules with structure in layers inside layers: what the live model computes, to the bit, and stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import wdsl
from tests.drawn import every

CASES = {
    "a kernel that is set": (
        (5,),
        """
        layer some = SpectralNormalization(Dense(3)) { bias: zero[0] }
        output y = x -> some
        """,
    ),
    "a kernel that is set, and a bias that is given": (
        (5,),
        """
        layer other = Dense(3)
        layer some = SpectralNormalization(Dense(3)) { bias: tie(other.bias) }
        output y = (x -> some) + (x -> other)
        """,
    ),
    "a kernel that is set in each step": (
        (4, 5),
        """
        layer some = TimeDistributed(SpectralNormalization(Dense(3, activation=tanh, kernel_regularizer=L2(0.1)))) {
            bias: equal via constraint
        }
        output y = x -> some
        """,
    ),
    "moving averages": (
        (4, 5),
        """
        layer some = TimeDistributed(BatchNormalization()) { gamma: equal }
        output y = x -> some
        """,
    ),
    "nothing is trained": (
        (4, 6),
        """
        layer train = Dense(6)
        layer some = TimeDistributed(EinsumDense("bi,io->bo", [6])) frozen
        h = x -> train -> some
        layer attend = MultiHeadAttention(2, 3) { query.kernel: frozen; value.kernel: frozen; value.bias: frozen }
        output y = attend(h, h)
        """,
    ),
    "halves": (
        (2, 512),
        """
        layer some = TimeDistributed(Dense(512, activation=tanh)) { kernel: zero[upper]; bias: zero[0] }
        output y = x -> some
        """,
    ),
    "halves with a bias that is given, and a regularizer": (
        (2, 512),
        """
        layer other = Dense(512) equal
        layer some = TimeDistributed(Dense(512, kernel_regularizer=L2(0.1))) {
            kernel: symmetric
            bias: tie(other.bias)
        }
        output y = x -> some -> other
        """,
    ),
    "a circulant of a circulant": (
        (1, 2, 512),
        """
        layer some = TimeDistributed(TimeDistributed(Dense(512, use_bias=false))) equal[by (j - i) % 512]
        output y = x -> some
        """,
    ),
    "a band that is not trained": (
        (2, 512),
        """
        layer some = TimeDistributed(Dense(512)) { kernel: zero[not band(2, 2)], frozen }
        output y = x -> some
        """,
    ),
}


def net_of(case: str) -> wdsl.Net:
    shape, text = CASES[case]
    return wdsl.loads(f"network Net {{\n    input x: {[*shape]}\n{text}}}\n")


def trained(make: Callable[[], Any], eagerly: bool) -> Any:
    """A model after three steps, with what came of each in `history`."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    model = make()
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=eagerly)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, *model.input_shape[1:])).astype("float32")
    y = rng.normal(size=(4, *model.output_shape[1:])).astype("float32")
    model.start = model.get_weights()
    model.losses_found = [model.train_on_batch(x, y) for _ in range(3)]
    model.found = np.asarray(model(x))
    return model


def assert_same(one: Any, other: Any) -> None:
    assert [each.name for each in one.variables] == [each.name for each in other.variables]
    for key in ("start", "losses_found"):
        for first, second in zip(getattr(one, key), getattr(other, key), strict=True):
            np.testing.assert_array_equal(first, second)
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.found, other.found)
    assert any((first != second).any() for first, second in zip(one.start, one.get_weights(), strict=True))


class Pair(NamedTuple):
    net: wdsl.Net
    makes: dict[str, Callable[[], Any]]
    models: dict[str, Any]
    """Trained in a graph."""


@pytest.fixture(scope="module", params=every(2, CASES))
def pair(request: pytest.FixtureRequest, python_module: Callable[..., ModuleType]) -> Pair:
    """The live model, and that of a module, after the same training."""
    net = net_of(request.param)
    makes = {"live": net.to_keras, "written": python_module(net.to_python()).Net}
    return Pair(net, makes, {name: trained(make, eagerly=False) for name, make in makes.items()})


def test_training(pair: Pair) -> None:
    assert_same(*pair.models.values())
    assert [wdsl.verify(each).ok for each in pair.models.values()] == [True, True]


@pytest.mark.repeated
def test_training_step_by_step(pair: Pair) -> None:
    assert_same(*(trained(make, eagerly=True) for make in pair.makes.values()))


def test_weights_go_both_ways(pair: Pair, tmp_path: Path) -> None:
    for name, model in pair.models.items():
        model.save_weights(tmp_path / f"{name}.weights.h5")
    for name, other in (("live", "written"), ("written", "live")):
        model = pair.makes[name]()
        model.load_weights(tmp_path / f"{other}.weights.h5")
        for one, two in zip(model.get_weights(), pair.models[other].get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def test_whole_models_are_saved(pair: Pair, tmp_path: Path) -> None:
    model = pair.models["written"]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    x = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))


def test_weights_as_they_are_used(pair: Pair) -> None:
    one, other = map(wdsl.effective_weights, pair.models.values())
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
    x = np.random.default_rng(1).normal(size=(2, *pair.models["live"].input_shape[1:])).astype("float32")
    frozen = [wdsl.freeze(each, keep_products=False)(x) for each in pair.models.values()]
    np.testing.assert_array_equal(*frozen)


SIZES = """network Net(n: int = 512) {
    input x: [2, n]
    layer other = Dense(n) { kernel: zero[lower(0)]; bias: equal }
    layer one = Dense(n) { kernel: equal[by (j - i) % n]; bias: tie(other.bias) }
    layer some = TimeDistributed(Dense(n)) { kernel: symmetric; bias: tie(other.bias) }
    output y = x -> some -> other -> one
}
"""


@pytest.mark.parametrize("size", [512, 20])
def test_a_product_where_sizes_vary(size: int, python_module: Callable[..., ModuleType]) -> None:
    """Where the kernel is too small for one, it is made, beside a bias of the graph too."""
    module = python_module(wdsl.loads(SIZES).to_python())
    live = wdsl.loads(SIZES, parameters={"n": size}).to_keras
    assert_same(*(trained(make, eagerly=True) for make in (live, lambda: module.Net(n=size))))


def test_halves_are_not_taken_for_another_order(python_module: Callable[..., ModuleType], tmp_path: Path) -> None:
    nets = [wdsl.loads(SIZES.replace("= 512", f"= {n}")) for n in (512, 20)]
    large, small = (python_module(net.to_python()).Net for net in nets)
    file = tmp_path / "a.weights.h5"
    for one, other in ((large, lambda: small(n=512)), (lambda: small(n=512), large)):
        one().save_weights(file)
        with pytest.raises(ValueError, match="'some'"):
            other().load_weights(file)
