"""Weights with entries in common: the live model and the written module are the same network, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

import wdsl
from tests.backends.test_one_truth import observe, same
from tests.properties.test_solver import System, examples, systems

keras = pytest.importorskip("keras")

NETWORKS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "every_kind_of_annotation": (
        """
        network Kinds(n: int = 4) {
            input x: [n]
            layer a = Dense(n) symmetric, zero[diagonal]
            layer b = Dense(n) tie[(2:, :)](a.kernel[:-2]), tie[(0, :)](c.kernel.T[1]), zero[4, 5, (1, :), (3, 1)]
            layer c = Dense(n) equal[by (i + n * j) % 5]
            layer d = Dense(n) tie[1:n](-0.5 * a.kernel.T[0, ::-1][:-1]), equal, zero[band(1, 0), where i == n - 1]
            layer e = Dense(n) tie[(:, 0)](2 * c.kernel.flip(0)[:, 1]), tie[diagonal](e.kernel[0]), equal[(1:3, 2:3), 3]
            layer f = Dense(n) equal[rows], tie[(::-1, 1)](e.kernel[:, 2]), zero[(0, 0)]
            layer g = Dense(n) equal[(0, :)], tie[diagonal(-1)](f.kernel[1:, 0]), zero[not blocks(3, 4)]
            layer h = Dense(n) equal[columns], tie[(0, 0)](g.kernel[1, 0]), tie(kernel.flip(1))
            output y = (x -> a) + (x -> b) + (x -> c) + (x -> d) + (x -> e) + (x -> f) + (x -> g) + (x -> h)
        }
        """,
        {"n": 6},
    ),
    "constants": (
        """
        network Constants(n: int = 4, half: float = 0.5) {
            input x: [n]
            layer a = Dense(n) fixed[diagonal] = half, symmetric via initial
            layer b = Dense(n) tie[(:, 0:2)](2 * a.kernel[:, 0:2]), fixed[(0, n - 1)] = -1.0, zero[(1, 2)]
            layer c = Dense(n) tie[diagonal(1)](b.kernel[0, 1:]), fixed[lower] = 1
            output y = x -> a -> b -> c
        }
        """,
        {"n": 5, "half": 0.25},
    ),
    "means_of_gradients": (
        """
        network Means(n: int = 4) {
            input x: [n]
            layer a = Dense(n) equal[rows](gradient=mean)
            layer b = Dense(n) tie[0:3](a.kernel[:3, 0]), zero[diagonal] via mask
            layer c = Dense(n) equal[by i + j](gradient=mean), tie[(0, :)](b.kernel[1])
            output y = x -> a -> b -> c
        }
        """,
        {"n": 5},
    ),
    "mechanisms": (
        """
        network Mechanisms(n: int = 4) {
            input x: [n]
            layer a = Dense(n) symmetric via mask, zero[(0, 0)] via constraint
            layer b = Dense(n) tie[(0, :)](a.kernel[1]), equal[rows] via constraint, zero[(n - 1, 0)] via mask
            layer c = Dense(n) tie[diagonal](b.kernel[:, 1]), equal[by i + j] via gradient, zero[(n - 1, n - 1)]
            layer d = Dense(n) tie[(:, 0)](c.kernel[:, 1]), equal[columns] via initial, fixed[(1, 1)] = 2.0 via mask
            output y = x -> a -> b -> c -> d
        }
        """,
        {"n": 5},
    ),
    "skew_by_mechanisms": (
        """
        network Skew(n: int = 4) {
            input x: [n]
            layer a = Dense(n) skew via constraint
            layer b = Dense(n) tie[(0, :)](-a.kernel[1]), skew
            layer c = Dense(n) tie[(0, :)](b.kernel[2]), skew via gradient, equal[diagonals] via initial
            output y = x -> a -> b -> c
        }
        """,
        {"n": 5},
    ),
    "not_trained": (
        """
        network Frozen(n: int = 4) {
            input x: [n]
            layer a = Dense(n, kernel_regularizer="l2") zero[upper]
            layer b = Dense(n, kernel_regularizer=L1(0.5)) tie[(0, :)](a.kernel[1]), frozen
            layer c = Dense(n, trainable=false) tie[(1, :)](a.kernel[2]) { bias: tie[0:2](a.bias[:2]) }
            output y = x -> a -> b -> c
        }
        """,
        {"n": 5},
    ),
    "nothing_is_trained": (
        """
        network Frozen(n: int = 4) {
            input x: [n]
            layer a = Dense(n) frozen
            layer b = Dense(n) tie[(0, :)](a.kernel[1]), frozen
            output y = x -> a -> b
        }
        """,
        {"n": 5},
    ),
    "nothing_is_free": (
        """
        network Nothing(n: int = 4) {
            input x: [n]
            layer a = Dense(n, bias_initializer="ones") zero
            layer b = Dense(n) tie[(0, :)](a.kernel[1]), zero[where i > 0] { bias: tie[0](a.bias[1]) }
            output y = x -> a -> b
        }
        """,
        {"n": 5},
    ),
    "initializers_and_regularizers": (
        """
        network Drawn(heads: int = 2, size: int = 3) {
            input x: [5, 4]
            layer own = MultiHeadAttention(heads, size, kernel_initializer=HeNormal(), kernel_regularizer=L2(0.1)) {
                query.kernel: zero[where j > 0]
                key.kernel: tie[(0, :, :)](own.query.kernel[1]), zero[(3, 0, 0)]
                value.bias: tie[(0, :)](own.key.bias[1])
            }
            layer use = Dense(4, kernel_initializer="orthogonal") tie[(0:2, 0)](own.query.kernel[2, 0, :2])
            layer conv = Conv1D(4, 2, kernel_initializer=VarianceScaling(2.0, "fan_out"), padding="same") {
                kernel: tie[(1, :, :)](use.kernel.T), zero[(0, 1:, :)]
            }
            output y = own(x, x) -> use -> conv
        }
        """,
        {"size": 4},
    ),
    "dtypes": (
        """
        network Half {
            input x: [4]
            layer a = Dense(4, dtype="float64", kernel_initializer="he_normal") zero[upper], equal(gradient=mean)
            layer b = Dense(4, dtype="float64") tie[(0, :)](a.kernel[:, 0])
            output y = x -> a -> b
        }
        """,
        {},
    ),
    "names": (
        """
        network Names(shapes: int = 4, i: int = 1, vector: int = 2, used: int = 3) {
            input x: [shapes]
            weight live: [shapes, shapes]
            weight sum: [shapes, shapes] equal[by (j + i) % used], zero[(vector, i)]
            weight other: [shapes] tie(sum[0]), zero[0]
            layer a_b = Dense(shapes) tie[(i, :)](live[0])
            layer a = Dense(shapes) tie[(i, :)](sum[vector]) { bias: tie[i:](live[i:, 0]) }
            layer c = Dense(shapes) { bias: tie[0:2](other[1:3]) }
            output y = x -> a_b -> a -> c
        }
        """,
        {"shapes": 5, "used": 4},
    ),
}


def written(text: str, python_module: Callable[..., ModuleType], **options: Any) -> tuple[wdsl.Net, ModuleType]:
    net = wdsl.loads(text, **options)
    assert any(each.coupled for each in net.weights)
    source = net.to_python()
    assert "index_map" not in source
    return net, python_module(source)


@pytest.mark.parametrize("name", NETWORKS)
def test_written(name: str, python_module: Callable[..., ModuleType]) -> None:
    text, parameters = NETWORKS[name]
    net, module = written(text, python_module)
    network = getattr(module, net.name)
    same(observe(net, net.to_keras), observe(net, network))
    if parameters:
        other = wdsl.loads(text, parameters=parameters)
        same(observe(other, other.to_keras), observe(other, lambda: network(**parameters)))


def trained(make: Callable[[], Any], inputs: Any) -> tuple[Any, list[float]]:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = make()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model, model.fit(inputs, inputs, epochs=2, verbose=0, batch_size=4).history["loss"]


@pytest.mark.parametrize("name", ["mechanisms", "not_trained", "means_of_gradients"])
def test_training_and_files(name: str, python_module: Callable[..., ModuleType], tmp_path: Path) -> None:
    net, module = written(NETWORKS[name][0], python_module)
    inputs = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
    makes = [net.to_keras, getattr(module, net.name)]
    (live, losses), (own, own_losses) = (trained(make, inputs) for make in makes)
    assert losses == own_losses
    assert [each.name for each in live.weights] == [each.name for each in own.weights]
    for one, other in zip(live.get_weights(), own.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, make in ((live, makes[1]), (own, makes[0])):
        one.save_weights(tmp_path / "some.weights.h5")
        other = make()
        other.load_weights(tmp_path / "some.weights.h5")
        np.testing.assert_array_equal(other(inputs), one(inputs))
    own.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    np.testing.assert_array_equal(loaded(inputs), own(inputs))
    assert keras.models.clone_model(own).count_params() == own.count_params()


def test_masks(tmp_path: Path, python_module: Callable[..., ModuleType]) -> None:
    (tmp_path / "wiring.csv").write_text("1,0,1\n0,1,1\n1,1,0\n")
    (tmp_path / "net.wnet").write_text("""
        network Masked(n: int = 3) {
            input x: [n]
            layer a = Dense(n) zero[not mask("wiring.csv")], equal
            layer b = Dense(n) tie[mask("wiring.csv")](a.kernel.reshape(9)[3:]), zero[(0, 0)] via mask
            output y = (x -> a) + (x -> b)
        }
    """)
    net = wdsl.load(str(tmp_path / "net.wnet"))
    source = net.to_python()
    assert "index_map" not in source
    module = python_module(source)
    same(observe(net, net.to_keras), observe(net, module.Masked))
    with pytest.raises(ValueError, match=r"The mask of 'wiring.csv' has shape \(3, 3\), the weight \(4, 4\)"):
        module.Masked(n=4)


def test_mixed_precision(python_module: Callable[..., ModuleType]) -> None:
    net, module = written(NETWORKS["initializers_and_regularizers"][0], python_module)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        same(observe(net, net.to_keras), observe(net, module.Drawn))
    finally:
        keras.config.set_dtype_policy("float32")


@examples(12)
@given(systems())
def test_drawn(python_module: Callable[..., ModuleType], system: System) -> None:
    """Factors are powers of two: nothing is rounded."""
    net = wdsl.loads(system.text())
    assume(any(each.coupled for each in net.weights) and net.parameters)
    net, module = written(system.text(), python_module)
    same(observe(net, net.to_keras), observe(net, module.System))
