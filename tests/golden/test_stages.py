"""Every stage of every file in specs/ and specs/recipes/, to the character."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import wdsl

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "specs"
SPECS = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.wnet") if path.parent.name != "parts")

EXTENSIONS = {
    "tokens": "txt",
    "syntax": "txt",
    "network": "txt",
    "weights": "txt",
    "plan": "txt",
    "python": "py",
    "mermaid": "mmd",
    "dot": "dot",
    "json": "json",
}


def test_every_stage_is_covered() -> None:
    assert tuple(wdsl.STAGES) == tuple(EXTENSIONS)
    assert SPECS


@pytest.mark.parametrize("stage", EXTENSIONS)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_stage(spec: Path, stage: str, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    net = wdsl.load(f"specs/{spec.as_posix()}")
    golden(f"{spec.with_suffix('').as_posix()}/{stage}.{EXTENSIONS[stage]}", net.emit(stage))
