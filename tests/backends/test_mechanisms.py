"""Mechanisms from the file to the model: what is counted is what is stored, and both backends make the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import keras
import numpy as np
import pytest

import wdsl
import wdsl.runtime


@pytest.fixture(autouse=True)
def registered_as_before() -> Iterator[None]:
    """Keras finds the classes of the module that registered last; not those of a test that is over."""
    objects = dict(keras.saving.get_custom_objects())
    yield
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(objects)


ALONE = [
    f"{annotation} via {mechanism}"
    for mechanism in ("parameter", "mask", "constraint", "gradient", "initial")
    for annotation in ("zero[diagonal]", "symmetric", "skew", "equal", "fixed[0] = 2.0")
]
TOGETHER = [
    "equal, zero[diagonal] via mask",
    "equal via mask, zero[diagonal]",
    "equal(gradient=mean), zero[diagonal] via initial",
    "equal[rows](gradient=mean), fixed[(0, 0)] = 1.0 via constraint",
    "symmetric, zero[upper] via gradient, equal[diagonal] via mask",
    "frozen, symmetric via mask",
    "tie(kernel.T), zero[1] via constraint",
    "skew via constraint, zero[2] via initial, fixed[(0, 1)] = 0.5 via gradient",
]


@pytest.mark.parametrize("annotations", [*ALONE, *TOGETHER])
def test_counted_and_the_same_in_both_backends(annotations: str, python_module: Callable[..., ModuleType]) -> None:
    net = wdsl.loads(f"network Net {{\n  input x: [5]\n  layer a = Dense(5) {annotations}\n  output y = x -> a\n}}\n")
    keras.utils.set_random_seed(4)
    live = net.to_keras()
    keras.utils.set_random_seed(4)
    written = python_module(net.to_python()).Net()
    assert net.parameters == sum(int(np.prod(weight.shape)) for weight in live.trainable_weights)
    assert [weight.shape for weight in live.weights] == [weight.shape for weight in written.weights]
    for one, other in zip(live.get_weights(), written.get_weights(), strict=True):
        assert (one == other).all()
    x = np.eye(5, dtype="float32")
    assert (np.asarray(live(x)) == np.asarray(written(x))).all()
    report = wdsl.verify(live)
    assert report.ok, str(report)
    # At the start all holds, also what is not promised.
    assert all(finding.violation == 0 for finding in report.findings)


def test_initial_frees_what_it_starts_with() -> None:
    net = wdsl.loads(
        "network Net {\n  input x: [5]\n  layer a = Dense(5) zero via initial\n"
        "  layer b = Dense(5) equal, zero[0] via initial\n  output y = x -> a -> b\n}\n"
    )
    a, _, b, _ = net.weights
    assert not net.diagnostics
    assert (a.free, a.nonzero, b.free, b.nonzero) == (25, 25, 2, 25)
