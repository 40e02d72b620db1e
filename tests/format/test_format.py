"""The canonical form: each text file holds a text and, under a line, how it is written.

`pytest tests/format --update-golden` writes the lower parts anew, and brings specs and documents into the form. A new
case is a file with a text alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wdsl
from tests.drawn import examples
from tests.properties.test_syntax import FILES, WHOLE_LANGUAGE
from wdsl.syntax import nodes
from wdsl.syntax.parser import parse, tokens
from wdsl.syntax.printer import print_file
from wdsl.text.source import Source

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = sorted(HERE.glob("*.txt"))
SPECS = sorted((ROOT / "specs").rglob("*.wnet"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RULE = "─" * 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_form(case: Path, update_golden: bool, same_text: Callable[[Path, str, str], None]) -> None:
    whole = case.read_text(encoding="utf-8")
    text = re.split("^─{8,}\n", whole, maxsplit=1, flags=re.MULTILINE)[0]
    form = wdsl.format(text)
    keeps_all(text, form)
    now = f"{text}{RULE}\n{form}"
    if update_golden:
        case.write_text(now, encoding="utf-8", newline="\n")
    else:
        same_text(case, whole, now)


@pytest.mark.parametrize("path", [*SPECS, *DOCUMENTS], ids=lambda path: path.name)
def test_specs_and_documents_are_in_canonical_form(path: Path, update_golden: bool) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        # What shows an error of syntax has no such form.
        form = re.sub(
            r"(?ms)(?<=^```wnet)((?! E01)[^`\n]*\n)(.*?)(?=^```$)",
            lambda block: block[1] + wdsl.format(block[2]),
            text,
        )
    else:
        form = wdsl.format(text)
    if update_golden:
        path.write_text(form, encoding="utf-8", newline="\n")
    else:
        assert form == text


# --- what may not change --------------------------------------------------------------------------

STRING_OR_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*')


def comments(text: str) -> Counter[str]:
    return Counter(each.rstrip() for each in STRING_OR_COMMENT.findall(text) if each.startswith("#"))


def tree(text: str) -> nodes.File:
    file, problems = parse(Source("text", text))
    assert [problem.message for problem in problems if problem.severity == "error"] == [], text
    return file


def keeps_all(text: str, form: str) -> None:
    """The form says what the text says, has its comments, and is its own form."""
    assert tree(form) == tree(text), form
    assert comments(form) == comments(text), form
    assert wdsl.format(form) == form
    assert not re.search(r"[ \t]$|\n\n\n|\n\n\Z|\A\n|\t", STRING_OR_COMMENT.sub("x", form), re.MULTILINE), form


COMMENTS = st.sampled_from(["# one", "#two ", "## three", "#", "##", '# "', "# ( [ {", "# é ─"])
SPACES = st.sampled_from(["", " ", "   ", "\t", "\f"])


@st.composite
def sprinkled(draw: Any, text: str) -> str:
    """A text with comments, blank lines and semicolons where they may stand."""
    parts: list[str] = []
    end = depth = 0
    for token in tokens(Source("drawn", text))[0]:
        start, stop = token.start_pos or 0, token.end_pos or 0
        parts.append(text[end:start])
        if token.type in ("RPAR", "RSQB"):
            depth -= 1
        breaks = depth > 0 or (token.type == "_END" and "\n" in token.value)
        if breaks:
            what = draw(st.sampled_from(["", "", "", "", "beside", "above", "blank", "both", "semicolon"]))
            if what in ("beside", "both"):
                parts.append(f"{draw(SPACES)}{draw(COMMENTS)}\n")
            if what in ("above", "both"):
                parts.append(f"\n{draw(SPACES)}{draw(COMMENTS)}\n")
            if what == "blank":
                parts.append("\n" * draw(st.integers(1, 3)))
            if what == "semicolon" and depth == 0:
                parts.append(";")
                if draw(st.booleans()):
                    stop = start + len(token.value)
                    parts.append(draw(SPACES))
                    end = stop
                    continue
        parts.append(text[start:stop])
        if token.type in ("LPAR", "LSQB"):
            depth += 1
        if token.type == "LBRACE" and draw(st.booleans()):
            parts.append(f"{draw(SPACES)}{draw(COMMENTS)}\n")
        end = stop
    return "".join([*parts, text[end:], draw(COMMENTS)])


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@examples(30)
@given(FILES.flatmap(lambda file: sprinkled(print_file(file))))
def test_any_text(text: str) -> None:
    keeps_all(text, wdsl.format(text))


@examples(60)
@given(st.sampled_from([WHOLE_LANGUAGE, *(path.read_text(encoding="utf-8") for path in SPECS)]).flatmap(sprinkled))
def test_specs_with_comments(text: str) -> None:
    keeps_all(text, wdsl.format(text))
