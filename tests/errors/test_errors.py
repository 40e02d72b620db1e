"""What the compiler says to what is wrong: each text file holds an input and, under a line, its report.

`pytest tests/errors --update-golden` writes the reports anew; a new case is a file with an input alone. A
file whose name begins with a code shows that code. An input is read as if it were `net.wnet` in the folder `beside`,
which has the files that inputs name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import wdsl
from wdsl.text import rendering
from wdsl.text.diagnostics import CODES

CASES = sorted(Path(__file__).parent.glob("*.txt"))
RULE = "─" * 80


def report(text: str) -> str:
    """What is said of `text`, be it errors, the warnings of a network that compiles, or what a module does not keep."""
    try:
        net = wdsl.loads(text, filename="net.wnet")
        diagnostics = net.diagnostics or net.plan.notes
    except wdsl.WdslError as error:
        diagnostics = error.diagnostics
    return rendering.text(diagnostics)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_report(
    case: Path,
    monkeypatch: pytest.MonkeyPatch,
    update_golden: bool,
    same_text: Callable[[Path, str, str], None],
) -> None:
    monkeypatch.chdir(case.parent / "beside")
    whole = case.read_text(encoding="utf-8")
    spec = re.split("^─{8,}\n", whole, maxsplit=1, flags=re.MULTILINE)[0]
    said = report(spec)
    assert said, "the input is in order"
    if code := re.match("[EW][0-9]{4}", case.name):
        assert f"[{code[0]}]" in said, f"not {code[0]} but\n{said}"
    now = f"{spec}{RULE}\n{said}\n"
    if update_golden:
        case.write_text(now, encoding="utf-8", newline="\n")
    else:
        same_text(case, whole, now)


SPEC = "network Net {\n    input x: [8]\n    output y = x -> Dense(4)\n}\n"

BESIDES_TEXT: dict[str, Callable[[Path], object]] = {
    "E0208": lambda folder: wdsl.loads(SPEC, network="Other"),
    "E0307": lambda folder: wdsl.loads(SPEC, parameters={"width": 3}),
    "E0601": lambda folder: wdsl.load(folder / "not_utf8.wnet"),
}
"""Codes about what is asked of a file, or what it is, rather than what it says."""


@pytest.mark.parametrize("code", BESIDES_TEXT)
def test_what_is_asked_of_a_file(code: str, tmp_path: Path) -> None:
    (tmp_path / "not_utf8.wnet").write_bytes(SPEC.encode() + b"\xff")
    with pytest.raises(wdsl.WdslError) as caught:
        BESIDES_TEXT[code](tmp_path)
    assert [one.code for one in caught.value.diagnostics] == [code]


def test_every_code_has_a_case() -> None:
    shown = "".join(case.read_text(encoding="utf-8") for case in CASES)
    assert [code for code in CODES if f"[{code}]" not in shown and code not in BESIDES_TEXT] == []
