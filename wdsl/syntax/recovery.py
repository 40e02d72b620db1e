"""Where statements begin and end in text that does not parse, found by its brackets, words and lines alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

DECLARATIONS = ("network", "block", "const", "def", "import", "from", "extern")
"""The words that begin what stands in a file."""
STATEMENTS = ("input", "layer", "weight", "output", "for", "if", "assert")
"""The words that begin what stands in a network or block."""

MAX_BEYOND = 100_000
"""How many characters behind a body are looked at for what was meant to be in it."""

PIECES = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|[()\[\]{};\n]')
"""Brackets, ends of statements, and what may have such in it: strings and comments."""

_OUTER = re.compile(rf"{PIECES.pattern}|^(?:{'|'.join(DECLARATIONS)})\b", re.MULTILINE)


def open_brackets(text: str, end: int) -> list[int]:
    """Offsets of the ( and [ that are open at `end`, outermost first."""
    opened: list[int] = []
    for piece in PIECES.finditer(text, 0, end):
        if piece[0] in "([":
            opened.append(piece.start())
        elif piece[0] in ")]" and opened:
            opened.pop()
        elif piece[0] in "{}":
            opened.clear()
    return opened


def open_braces(text: str, end: int) -> list[int]:
    """Offsets of the { before `end` that no } before it closes."""
    opened: list[int] = []
    for piece in PIECES.finditer(text, 0, end):
        if piece[0] == "{":
            opened.append(piece.start())
        elif piece[0] == "}" and opened:
            opened.pop()
    return opened


def never_closed(text: str, end: int, innermost: int) -> int:
    """The brace that is to blame for one too few: the first that is closed further out than its line begins."""
    opened: list[int] = []
    for piece in PIECES.finditer(text, 0, end):
        if piece[0] == "{":
            opened.append(piece.start())
        elif piece[0] == "}" and opened:
            brace = opened.pop()
            before = text[text.rfind("\n", 0, piece.start()) + 1 : piece.start()]
            line = text[text.rfind("\n", 0, brace) + 1 : brace]
            if not before.strip() and len(before) < len(line) - len(line.lstrip()):
                return brace
    return innermost


def with_brace(text: str, at: int) -> str | None:
    """The text, as long as it is, with a closing brace on the lines before `at`; None if there is no room."""
    end = len(text[:at].rstrip())
    if at - end < 2 or at >= len(text) or "#" in text[text.rfind("\n", 0, end) + 1 : end]:
        return None
    return f"{text[:end]}}}\n{text[end + 2 :]}"


_STATEMENT = re.compile(
    r"(?:input|layer|weight|output|for|network|block|const|def|extern)\s+[A-Za-z_]|(?:if|assert)\s+[\w(]|(?:import|from)\s*\""
    r"|[A-Za-z_]\w*\s*=(?!=)[^,\n]*$|\}",
    re.MULTILINE,
)


def starts_statement(text: str, at: int) -> bool:
    """Whether what begins at `at`, the first word of a line, looks like a statement rather than a continued one."""
    return _STATEMENT.match(text, at) is not None


def declared(statement: str) -> Iterable[str]:
    """What a broken statement may declare: any word of it. An error about one of them would be one too many."""
    construct = re.match(r"\s*(?:network|block|extern|from|import)\b", statement)
    return re.findall(r"\b[A-Za-z_]\w*\b" if construct else r"\b[a-z_]\w*\b", statement)


def statement_around(text: str, at: int) -> tuple[int, int] | None:
    """The stretch of text to leave out so that the rest can be read; None if nothing would be left to read."""
    if at < len(text) and text[at] == "{" and at in open_braces(text, len(text)):
        return None
    start = _statement_start(text, at)
    if re.match(r"\s*wnet\b", text[start:]):
        return None
    if (beyond := end_beyond(text, start)) is not None:
        return start, beyond
    header = re.compile(r"\s*(?:network|block)\b[^\n{]*(\n|$)").match(text, start)
    if header and not open_braces(text, start):
        # Without a brace, what belongs to it goes up to what cannot.
        pieces = (each.start() for each in _OUTER.finditer(text, header.start(1)) if each[0] in DECLARATIONS)
        return start, next(pieces, len(text))
    depth = 0
    end = len(text)
    for piece in PIECES.finditer(text, max(start, at)):
        if piece[0] == "{":
            depth += 1
        elif piece[0] == "}":
            if depth == 0:
                end = piece.start()
                break
            depth -= 1
        elif depth == 0 and (piece[0] == ";" or (piece[0] == "\n" and text[: piece.start()].rstrip(" \t")[-1:] != ",")):
            end = piece.start()
            break
    if end <= start or not text[start:end].strip():
        return None
    return start, end


def end_beyond(text: str, start: int) -> int | None:
    """The end of statements that stand behind the brace of their body, and of the brace that is then one too many."""
    word = re.compile(r"\s*(\w*)").match(text, start)
    if open_braces(text, start) or word is None or not word[1] or word[1] in DECLARATIONS:
        return None
    depth = 0
    for piece in _OUTER.finditer(text, start, start + MAX_BEYOND):
        if piece[0] in DECLARATIONS:
            return None
        depth += {"{": 1, "}": -1}.get(piece[0], 0)
        if depth < 0:
            return piece.end()
    return None


def _statement_start(text: str, at: int) -> int:
    """Where the statement begins that `at` is in. What stands before `at` is in order, or the parser would be there."""
    start = brackets = 0
    headers: list[int] = []
    for piece in PIECES.finditer(text, 0, at):
        if piece[0] in "([":
            brackets += 1
        elif piece[0] in ")]":
            brackets -= 1
        elif piece[0] == "{":
            headers.append(start)
            start, brackets = piece.end(), 0
        elif piece[0] == "}":
            start, brackets = headers.pop() if headers else start, 0
        elif piece[0] in ";\n" and brackets <= 0:
            start = piece.end()
    return start
