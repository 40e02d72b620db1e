"""`wdsl.verify` and `wdsl verify`: what holds is said to hold, and what does not is found."""

from __future__ import annotations

import re
from collections.abc import Callable
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
    by_diagonal = "equal[diagonals] via gradient"
    assert {(*key, each.promise, each.entries) for key, each in found.items()} == {
        ("a.kernel", by_diagonal, "under optimizers that act entry by entry", 34),
        ("a.bias", "zero[0] via initial", "not promised", 1),
        ("b.kernel", "symmetric", "always", 30),
        ("b.kernel", "fixed[diagonal] = 0.1 via constraint", "in every forward pass", 6),
        ("c.kernel", "equal", "always", 21),
        ("c.kernel", "zero[where i > j] via mask", "in every forward pass", 15),
        ("d.kernel", "tie(c.kernel)", "always", 36),
    }
    assert found["a.bias", "zero[0] via initial"].violation > 0
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
    assert str(report).endswith("\n1 of 7 equations broken")


@pytest.mark.parametrize("value", [np.nan, 1e-30])
def test_one_entry_is_enough(value: float) -> None:
    broken = model()
    (theta, _) = broken.get_layer("a").weights
    array = theta.numpy()
    array[0, 0] += value if np.isnan(value) else np.spacing(array[0, 0])
    theta.assign(array)
    assert [each.weight for each in wdsl.verify(broken).findings if not each.ok] == ["a.kernel"]


TIES = [
    "tie(a.kernel)",
    "tie(a.kernel.T)",
    "tie(-0.5 * a.kernel.T)",
    "tie(-a.kernel)",
    "tie(a.kernel.flip(0).T)",
    "tie(a.kernel[::-1])",
    "tie(a.kernel.reshape(6, 6)[:, 0:6])",
    "tie(0.3 * a.kernel)",
]


@pytest.mark.parametrize("tie", TIES)
def test_ties_are_findings(tie: str) -> None:
    text = f"""network Net {{
        input x: [6]
        layer a = Dense(6)
        layer b = Dense(6) {tie}
        output y = x -> a -> b
    }}"""
    (found,) = wdsl.verify(wdsl.loads(text).to_keras()).findings
    assert (found.weight, found.equation, found.promise, found.entries) == ("b.kernel", tie, "always", 36)
    assert found.violation == 0


def test_the_flagship() -> None:
    report = wdsl.verify(wdsl.compile(FOLDER / "tied_autoencoder.wnet"))
    assert [(each.weight, each.equation) for each in report.findings] == [("decode.kernel", "tie(encode.kernel.T)")]


def test_a_shared_weight_that_is_tied_to_itself() -> None:
    text = """network Net {
        input x: [6]
        layer a = Dense(6) tie(a.kernel.flip(0))
        layer b = Dense(6) tie(a.kernel.T)
        output y = x -> a -> b
    }"""
    found = [(each.weight, each.equation) for each in wdsl.verify(wdsl.loads(text).to_keras()).findings]
    assert found == [("a.kernel", "tie(a.kernel.flip(0))"), ("b.kernel", "tie(a.kernel.T)")]


def test_a_weight_of_its_own_keeps_its_name() -> None:
    text = """network Net {
        input x: [6]
        weight shared: [6, 6] symmetric
        layer a = Dense(6) tie(shared)
        layer b = Dense(6) tie(shared.T)
        output y = x -> a -> b
    }"""
    found = {(each.weight, each.equation) for each in wdsl.verify(wdsl.loads(text).to_keras()).findings}
    assert found == {("shared", "symmetric"), ("a.kernel", "tie(shared)"), ("b.kernel", "tie(shared.T)")}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_findings_are_in_the_words_of_the_language(spec: Path, python_module: Callable[..., Any]) -> None:
    """They can be read as annotations, and are those of the written module but for the names of parameters."""
    net = wdsl.load(spec)
    written = getattr(python_module(net.to_python()), net.name)()
    of_live, of_written = (wdsl.verify(model).findings for model in (net.to_keras(), written))
    assert len(of_live) == len(of_written)
    for one, other in zip(of_live, of_written, strict=True):
        assert (one.weight, one.promise, one.entries) == (other.weight, other.promise, other.entries)
        for words in {one.equation, other.equation}:
            text = f"network N {{ input x: [1]; layer a = Dense(1) {words}; output y = x -> a }}"
            assert not [each for each in wdsl.checks(text) if each.code < "E0199"], words
        if not set(net.network.values) & set(re.findall(r"\w+", other.equation)) and "shape" not in other.equation:
            # What a class says of one weight alone calls it by its last word.
            assert one.equation.replace(f"({one.weight}", f"({one.weight.rpartition('.')[2]}") == other.equation
    assert "equal[by (j - i) % 12]" in {each.equation for each in of_live} or spec.stem != "circulant"


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
