"""docs/performance.md has the numbers that docs/bench/ has, and shows pictures that are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.document import DOCUMENT, PARTS, WRITTEN, document

TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_its_tables_are_those_of_the_last_benchmarks() -> None:
    assert {found[2] for found in WRITTEN.finditer(TEXT)} == {*PARTS}
    assert document(TEXT) == TEXT


def test_its_pictures_are_there_and_no_other() -> None:
    shown = set(re.findall(r"\]\(bench/(.*?\.png)\)", TEXT))
    folder = Path(DOCUMENT.parent, "bench")
    assert shown <= {path.name for path in folder.glob("*.png")}
    assert {path.with_suffix(".json").name for path in folder.glob("*.png")} == {p.name for p in folder.glob("*.json")}
