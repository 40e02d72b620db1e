"""`wdsl.verify` and `wdsl verify`: what holds is said to hold, and what does not is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import wdsl
from wdsl.tools.cli import main

FOLDER = Path(__file__).parents[1] / "specs"
SPECS = sorted(path for path in FOLDER.rglob("*.wnet") if path.parent.name != "parts")

TEXT = """
network Net {
    input x: [6]
    layer a = Dense(6) equal[diagonals] via gradient { bias: zero[0] via initial }
    layer b = Dense(6) symmetric, fixed[diagonal] = 0.1 via constraint
    layer c = Dense(6) equal, zero[where i > j] via mask
    layer d = Dense(6) tie(c.kernel)
    output y = x -> a -> b -> c -> d
}
"""


def model() -> Any:
    return wdsl.loads(TEXT).to_keras()


def train(model: Any, optimizer: Any) -> None:
    rng = np.random.default_rng(1)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.fit(*(rng.normal(size=(32, 6)).astype("float32") for _ in "xy"), batch_size=8, verbose=0)


def test_the_specs_keep_their_promises() -> None:
    for spec in SPECS:
        report = wdsl.verify(wdsl.compile(spec))
        assert report.ok, f"{spec}\n{report}"


def test_report() -> None:
    trained = model()
    train(trained, keras.optimizers.Adam(0.01))
    report = wdsl.verify(trained)
    assert report.ok
    found = {(each.weight, each.equation): each for each in report.findings}
    by_diagonal = "Equal(By(subtract(axis(1), axis(0))))"
    assert {(*key, each.promise, each.entries) for key, each in found.items()} == {
        ("a.kernel", by_diagonal, "under optimizers that act entry by entry", 34),
        ("a.bias", "Zero(Flat(0))", "not promised", 1),
        ("b.kernel", "Symmetric(0, 1)", "always", 30),
        ("b.kernel", "Fixed(0.1, Diagonal(0))", "in every forward pass", 6),
        ("c_kernel", "Equal()", "always", 21),
        ("c_kernel", "Zero(Where(greater(axis(0), axis(1))))", "in every forward pass", 15),
    }
    assert found["a.bias", "Zero(Flat(0))"].violation > 0
    assert "not promised" in str(report)
    assert "off by 0.0" in str(report)
    assert str(report).endswith("\nevery promise is kept")


def test_what_muon_breaks_is_found() -> None:
    trained = model()
    train(trained, keras.optimizers.Muon(0.01))
    report = wdsl.verify(trained)
    assert not report.ok
    assert [each.weight for each in report.findings if not each.ok] == ["a.kernel"]
    assert "BROKEN by " in str(report)
    assert str(report).endswith("\n1 of 6 equations broken")


@pytest.mark.parametrize("value", [np.nan, 1e-30])
def test_one_entry_is_enough(value: float) -> None:
    broken = model()
    (theta, _) = broken.get_layer("a").weights
    array = theta.numpy()
    array[0, 0] += value if np.isnan(value) else np.spacing(array[0, 0])
    theta.assign(array)
    assert [each.weight for each in wdsl.verify(broken).findings if not each.ok] == ["a.kernel"]


def test_nothing_to_verify() -> None:
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    report = wdsl.verify(plain)
    assert report.ok
    assert str(report) == "no weight has structure"


def test_effective_weights() -> None:
    weights = wdsl.effective_weights(model())
    assert list(weights) == ["a.kernel", "a.bias", "b.kernel", "c.kernel", "d.kernel"]
    assert (weights["c.kernel"] == weights["d.kernel"]).all()


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    trained = model()
    trained.save(path)
    ran = CliRunner().invoke(main, ["verify", str(path)])
    assert (ran.exit_code, ran.stdout) == (0, f"{wdsl.verify(trained)}\n")
    train(trained, keras.optimizers.Muon(0.01))
    trained.save(path)
    ran = CliRunner().invoke(main, ["verify", str(path)])
    assert ran.exit_code == 1
    assert "BROKEN" in ran.stdout
    path.write_text("not a model")
    for wrong in (path, tmp_path / "missing.keras"):
        ran = CliRunner().invoke(main, ["verify", str(wrong)])
        assert ran.exit_code == 2
        assert "is no model that Keras can load" in ran.stderr
