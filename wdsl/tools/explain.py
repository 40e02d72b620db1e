"""What a code means: its section of docs/errors.md, as a code host or a terminal shows it."""

from __future__ import annotations

import re
from functools import cache
from io import StringIO
from pathlib import Path
from textwrap import indent

from wdsl.text.diagnostics import CODES

WIDTH = 80

SECTION = re.compile(r"^### ([EW][0-9]{4}): .*\n((?:(?!##).*\n)*)", re.MULTILINE)
FENCE = re.compile(r"^```.*\n((?:.*\n)*?)```$", re.MULTILINE)


@cache
def sections() -> dict[str, str]:
    """For each code what docs/errors.md has below its heading, in Markdown.

    The document is looked for in the installed package first, in the checkout second, as the grammar is.
    """
    package = Path(__file__).resolve().parent.parent
    installed = package / "docs" / "errors.md"
    path = installed if installed.exists() else package.parent / "docs" / "errors.md"
    # Links lead to documents that stand beside this one, and not where this is shown.
    document = re.sub(r"\[([^]]+)\]\([^)]+\.md[^)]*\)", r"\1", path.read_text(encoding="utf-8"))
    return {code: section.strip() for code, section in SECTION.findall(document)}


def meaning(code: str) -> str:
    """The first paragraph of a section, as plain text."""
    return _plain(sections()[code].partition("\n\n")[0])


def text(code: str, width: int = WIDTH, colour: bool = False) -> str:
    """A section for a terminal: paragraphs broken anew, examples indented."""
    from rich.console import Console
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None)
    severity = "bold red" if code.startswith("E") else "yellow"
    console.print(Text.assemble((code, severity), (f": {CODES[code]}", "bold")))
    # Examples are what the pattern captures, so they stand at every second place.
    for at, part in enumerate(FENCE.split(sections()[code])):
        if at % 2:
            console.print()
            example = Text(indent(part.rstrip("\n"), "    "))
            console.print(example, no_wrap=True, overflow="ignore", crop=False)
            continue
        for paragraph in filter(None, part.strip().split("\n\n")):
            words = Text(_plain(paragraph))
            words.highlight_regex("`[^`]+`", "bold")
            console.print()
            console.print(words)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def titles() -> str:
    """Every code with its title, a line for each."""
    return "\n".join(f"{code}  {title}" for code, title in sorted(CODES.items()))


def _plain(paragraph: str) -> str:
    """A paragraph on one line."""
    return " ".join(paragraph.split())
