"""What is said of text that does not fit the grammar."""

from __future__ import annotations

import re

from lark import Token, UnexpectedToken  # noqa: TID251

from wdsl.syntax.recovery import (
    DECLARATIONS,
    PIECES,
    STATEMENTS,
    end_beyond,
    never_closed,
    open_braces,
    open_brackets,
    starts_statement,
)
from wdsl.text.diagnostics import Diagnostic, Label, nearest, respelled
from wdsl.text.source import Source, Span

_WORDS = {
    "_END": "the end of the statement",
    "$END": "the end of the file",
    "ARROW": "`->`",
    "COLON": "`:`",
    "AUGMENT": "`+=`",
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "DOT": "`.`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "NAME": "a name",
    "INT": "a number",
    "ELSE": "`else`",
    "REST": "`...`",
    "STRING": "a string",
}
_EXPRESSION = {"NAME", "INT", "FLOAT", "STRING", "LPAR", "LSQB", "TRUE", "FALSE", "NONE"}
_OPERATORS = {"POWER", "COMPARE", "TIMES", "SIGN", "IF", "OR", "AND", "DOT", "QUESTION", "WHERE", "NOT", "IN", "FOR"}

_WEIGHT = re.compile(r"\w+(?:\.\w+)*[ \t]*:")
"""How a weight's annotations begin within the braces of a layer."""


def explain(source: Source, text: str, error: UnexpectedToken) -> Diagnostic:
    """What is wrong where `text` does not fit the grammar. It has the offsets of the source."""
    token = error.token
    start, end = token.start_pos or 0, token.end_pos or 0
    if token.type == "$END" or (token.type == "_END" and not token.value):
        start = end = len(text.rstrip())
    elif token.type == "_END":
        end = start + 1
    first = re.compile(r"\s*(\w*)").match(text, text.rfind("\n", 0, start) + 1)
    word, word_at = (first[1], first.start(1)) if first else ("", start)
    opened = open_brackets(text, start)
    ends = token.type in ("$END", "_END")
    braces = open_braces(text, start)
    if not opened and braces and token.type == "$END":
        opened = [never_closed(text, start, braces[-1])]
    # In brackets, `word:` begins a slice; but not where a word does not fit.
    begins = starts_statement(text, word_at) or (braces and start == word_at and _WEIGHT.match(text, word_at))
    if opened and (ends or (opened[-1] < word_at and begins)):
        bracket, here = (
            opened[-1],
            Span(source, start, end) if ends else Span(source, word_at, word_at + len(word)),
        )
        return Diagnostic(
            "E0102",
            f"`{text[bracket]}` is never closed",
            Span(source, bracket, bracket + 1),
            "opened here",
            labels=(Label(here, f"still open when {_shown(token) if ends else f'`{word}`'} comes"),),
        )
    where = Span(source, word_at, word_at + len(word))
    # Where a word is no keyword it is a name, and the error comes with what follows it.
    if not opened and not text[word_at + len(word) : start].strip() and _is_statement(text, word_at):
        if braces and word in DECLARATIONS and text[:word_at].endswith("\n"):
            brace = never_closed(text, word_at, braces[-1])
            labels = (Label(where, f"still open when `{word}` comes"),)
            return Diagnostic(
                "E0102", "`{` is never closed", Span(source, brace, brace + 1), "opened here", labels=labels
            )
        if braces and word in DECLARATIONS:
            label = "it belongs outside, in the file itself"
            return Diagnostic("E0101", f"`{word}` cannot stand within a network or block", where, label)
        if not braces and word in STATEMENTS:
            message = f"`{word}` stands within a network or block only"
            return Diagnostic("E0101", message, where, labels=_closed(source, text, word_at))
        if word == "else":
            return Diagnostic("E0101", "`else` stands on the line of the `}` that it follows", where)
    if number := _no_number(text, start):
        return Diagnostic(
            "E0103", f"`{number[0]}` is not a number", Span(source, *number.span()), "as in `12`, `0.5` and `1e-4`"
        )
    beginnings = STATEMENTS if braces else DECLARATIONS
    if token.type == "NAME" and start - word_at <= len(word) + 1 and word not in beginnings:
        near = nearest(word, beginnings)
        if near and (start > word_at or not braces):
            fix = respelled(where, near, beginnings)
            return Diagnostic(
                "E0101", f"`{word}` does not begin a statement", where, f"did you mean `{near}`?", fix=fix
            )
    expected = _expected(error.accepts or error.expected)
    goes_on = ends and text[:start].rstrip()[-1:] == ","
    return Diagnostic(
        "E0101",
        f"{_shown(token)} does not fit here",
        Span(source, start, end),
        expected and f"expected {expected}",
        () if braces else _closed(source, text, word_at),
        hint="a statement ends with its line, but inside ( ) and [ ]" if goes_on else None,
    )


def _closed(source: Source, text: str, at: int) -> tuple[Label, ...]:
    """The brace that a statement at `at` stands behind, if another one comes that closes nothing."""
    if end_beyond(text, at) is None:
        return ()
    closing = [piece.start() for piece in PIECES.finditer(text, 0, at) if piece[0] == "}"]
    return tuple(Label(Span(source, brace, brace + 1), "what it could stand in ends here") for brace in closing[-1:])


def _is_statement(text: str, at: int) -> bool:
    """Whether the word at `at` begins something else than `word = …` or `word, other = …`."""
    return re.compile(r"\w+\s*[=,]").match(text, at) is None


def _shown(token: Token) -> str:
    if token.type == "$END":
        return "the end of the file"
    if token.type == "_END" and not token.value:
        return "the end of the file"
    if token.type == "_END" and token.value not in ";}":
        return "the end of the line"
    return f"`{token.value}`"


def _expected(terminals: set[str]) -> str:
    words = []
    rest = set(terminals)
    if rest >= _EXPRESSION - {"LSQB", "LPAR"}:
        rest -= _EXPRESSION | {"SIGN"}
        words.append("an expression")
    if {"LAYER", "INPUT", "OUTPUT"} <= rest:
        rest -= {*map(str.upper, STATEMENTS), "NAME"}
        words.append("a statement (`input`, `layer`, `output`, `name = …`, or another)")
    if {"NETWORK", "BLOCK"} <= rest:
        rest -= set(map(str.upper, DECLARATIONS))
        words.append("a declaration (`network`, `block`, or another)")
    words.extend(sorted({_WORDS.get(each, f"`{each.lower().strip('_')}`") for each in rest - _OPERATORS}))
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


_NUMBER = re.compile(r"(?<![\w.\])])(?:\d\w*\.?\w*|\.\d\w*)")


def _no_number(text: str, at: int) -> re.Match[str] | None:
    """What looks like a number, is none, and ends at or goes over `at`."""
    for found in _NUMBER.finditer(text, text.rfind("\n", 0, at) + 1):
        if found.end() >= at:
            is_one = re.fullmatch(r"\d[\d_]*(\.\d[\d_]*)?([eE][+-]?\d+)?", found[0])
            return found if found.start() <= at and not is_one else None
    return None
