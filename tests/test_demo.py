"""The demo's proofs hold for the spec, and fail where the tie is missing. Trained for an epoch, not for eighty."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """demo/digits.py, at work in a folder of its own."""
    spec = importlib.util.spec_from_file_location("digits", ROOT / "demo" / "digits.py")
    assert spec
    assert spec.loader
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    digits.ROOT, digits.OUT = tmp_path, tmp_path / "build" / "demo"
    digits.SPEC = tmp_path / "specs" / digits.SPEC.name
    digits.EPOCHS = digits.FURTHER_EPOCHS = 1
    return digits


def test_the_tie_is_proved(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    said = capsys.readouterr().out
    assert said.count("decode.kernel == encode.kernel.T in 1024 of 1024 entries") == 2
    assert "✗" not in said
    pictures = {path.name for path in demo.OUT.glob("*.png")}
    assert pictures == {"reconstructions.png", "structure.png"}


def test_a_missing_tie_is_noticed(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    demo.SPEC.write_text(demo.SPEC.read_text(encoding="utf-8").replace(demo.TIE, ""), encoding="utf-8")
    assert demo.main() == 1
    assert "✗ decode.kernel == encode.kernel.T in 0 of 1024 entries" in capsys.readouterr().out
