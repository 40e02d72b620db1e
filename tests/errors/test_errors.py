"""What the compiler says to what is wrong: each text file holds an input and, under a line, its report.

`pytest tests/errors --update-golden` writes the reports anew; a new case is a file with an input alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import wdsl
from wdsl.tools import reports

CASES = sorted(Path(__file__).parent.glob("*.txt"))
RULE = "─" * 80


def report(text: str) -> str:
    """What is said of `text`, be it errors or the warnings of a network that compiles."""
    try:
        diagnostics = wdsl.loads(text, filename="net.wnet").diagnostics
    except wdsl.WdslError as error:
        diagnostics = error.diagnostics
    return reports.text(diagnostics)


def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_report(case: Path, update_golden: bool, same_text: Callable[[Path, str, str], None]) -> None:
    whole = case.read_text(encoding="utf-8")
    spec = re.split("^─{8,}\n", whole, maxsplit=1, flags=re.MULTILINE)[0]
    said = report(spec)
    assert said, "an error file whose input is in order"
    now = f"{spec}{RULE}\n{said}\n"
    if update_golden:
        case.write_text(now, encoding="utf-8", newline="\n")
    else:
        same_text(case, whole, now)
