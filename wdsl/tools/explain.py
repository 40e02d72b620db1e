"""What a code means: its section of docs/errors.md, as a code host or a terminal shows it."""

from __future__ import annotations

import re
from functools import cache
from io import StringIO
from pathlib import Path

from wdsl.diagnostics import CODES

WIDTH = 80

FENCE = re.compile(r"^```.*\n((?:.*\n)*?)```$", re.MULTILINE)


@cache
def sections() -> dict[str, str]:
    """For each code what docs/errors.md has below its heading, in Markdown."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "docs" / "errors.md"
    path = installed if installed.exists() else package.parent / "docs" / "errors.md"
    parts = re.split(r"^##.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    headings = re.findall(r"^##.*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    found = {}
    for heading, part in zip(headings, parts[1:], strict=True):
        if code := re.match("### ([EW][0-9]{4}): ", heading):
            found[code[1]] = part.strip()
    return found


def meaning(code: str) -> str:
    """The first paragraph of a section, as plain text."""
    return _plain(sections()[code].partition("\n\n")[0])


def text(code: str, width: int = WIDTH, colour: bool = False) -> str:
    """A section for a terminal: paragraphs broken anew, examples indented."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None)
    severity = "bold red" if code.startswith("E") else "yellow"
    console.print(Text.assemble((code, severity), (f": {CODES[code]}", "bold")))
    # What the pattern captures stands at every second place.
    for at, part in enumerate(FENCE.split(sections()[code])):
        pieces = [part.rstrip("\n")] if at % 2 else [_plain(each) for each in part.strip().split("\n\n") if each]
        for piece in pieces:
            shown = Text(piece, no_wrap=True, overflow="ignore") if at % 2 else Text(piece)
            shown.highlight_regex("`[^`]+`" if not at % 2 else "(?!)", "bold")
            console.print()
            console.print(Padding(shown, (0, 0, 0, 4 if at % 2 else 0), expand=False), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def titles() -> str:
    """Every code with its title, a line for each."""
    return "\n".join(f"{code}  {title}" for code, title in sorted(CODES.items()))


def _plain(paragraph: str) -> str:
    """A paragraph on one line, with the words of its links alone."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", " ".join(paragraph.split()))
