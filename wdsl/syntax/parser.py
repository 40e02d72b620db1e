"""Text to syntax tree.

Lark reads `grammar/wnet.lark`; its callbacks, in `builder.py`, build the nodes as the parser reduces, so there is no
parse tree in between. After a syntax error, which `explanations.py` puts into words, the broken statement is blanked
out (`recovery.py` says where it begins and ends), and the text is read again: what is left keeps its offsets, and each
mistake is reported once. Text that is in order pays for neither. The tokens come from `lexer.py`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from threading import Lock

from lark import Lark, Token, UnexpectedToken  # noqa: TID251

from wdsl.syntax import nodes
from wdsl.syntax.builder import Builder
from wdsl.syntax.lexer import Lexer, Refused
from wdsl.syntax.tables import DoesNotFit, Tables
from wdsl.text.diagnostics import Diagnostic, in_order
from wdsl.text.source import Source, Span

MAX_SYNTAX_ERRORS = 20
MAX_READ_AGAIN = 250_000
"""Characters up to syntax errors: each is found by reading the text from its beginning."""


def parse(source: Source) -> tuple[nodes.File, tuple[Diagnostic, ...]]:
    """The syntax tree of a source, and its syntax errors. What is broken is left out of the tree."""
    problems: list[Diagnostic] = []
    lost: set[str] = set()
    text = source.text
    read = 0
    is_torn = False
    with _lock:
        while True:
            result = _attempt(source, text, is_in_order=not problems)
            if isinstance(result, nodes.File):
                file = nodes.File(source, None, ()) if is_torn else result.replace(lost=frozenset(lost))
                return file, in_order([*problems, *_lost_documentation(source, _build.docs), *_build.unclear])
            from wdsl.syntax.recovery import declared, statement_around, with_brace

            problems.append(result)
            read += result.span.start
            if result.code == "E0102" and result.span.text == "{":
                # What is in which body is not known, but there may be further errors.
                is_torn = True
                closed = with_brace(text, result.labels[0].span.start)
                read += result.labels[0].span.start
                if closed is None or len(problems) == MAX_SYNTAX_ERRORS or read > MAX_READ_AGAIN:
                    return nodes.File(source, None, ()), in_order(problems)
                text = closed
                continue
            broken = statement_around(text, result.span.start)
            if broken is None or len(problems) == MAX_SYNTAX_ERRORS or read > MAX_READ_AGAIN:
                return nodes.File(source, None, ()), in_order(problems)
            start, end = broken
            lost.update(declared(text[start:end]))
            text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _lost_documentation(source: Source, lines: Iterable[int]) -> Iterator[Diagnostic]:
    """A warning for each run of lines."""
    lost = set(lines)
    for number in lost:
        if number - 1 in lost:
            continue
        start = source.text.index("##", source.offset(number))
        yield Diagnostic(
            "W0101",
            "this documentation belongs to nothing",
            Span(source, start, start + len(source.line(number).strip())),
            "no declaration begins on the line below",
            hint="write `#` for a comment",
        )


def tokens(source: Source) -> tuple[list[Token], nodes.File | None]:
    """The tokens of a source, as far as they can be told apart, and its tree if it has no syntax errors."""
    found: list[Token] = []
    with _lock, suppress(Refused, UnexpectedToken):
        _build.begin(source, source.text)
        reader = _lark().parse_interactive(source.text)
        for token in reader.iter_parse():
            found.append(token)
        return found, reader.feed_eof()  # type: ignore[no-untyped-call]
    return found, None


def _attempt(source: Source, text: str, is_in_order: bool) -> nodes.File | Diagnostic:
    """One reading of `text`: the file, or the first error. What `is_in_order`, as far as is known, takes less time."""
    _build.begin(source, text)
    try:
        if is_in_order:
            with suppress(DoesNotFit):
                lexer, tables = _reader()
                return tables.follow(lexer.tokens(text, tables.is_expected))  # type: ignore[no-any-return]
            _build.begin(source, text)
        return _lark().parse(text)  # type: ignore[return-value]
    except Refused as refused:
        return refused.at(source)
    except UnexpectedToken as error:
        from wdsl.syntax.explanations import explain

        return explain(source, text, error)


_build = Builder()
_lock = Lock()  # Lark binds the callbacks when it loads the grammar, so they find the source of the day in _build


@cache
def _lark() -> Lark:
    """The parser. Its tables take 0.2 s to make; Lark keeps them in a file and checks that they are of this grammar."""
    return Lark(
        _grammar(),
        parser="lalr",
        lexer=Lexer,
        start="file",
        transformer=_build,
        maybe_placeholders=True,
        cache=_cache_path(),
    )


@cache
def _reader() -> tuple[Lexer, Tables]:
    """What reads text that is in order: Lark's parser but for its loop."""
    lark = _lark()
    return lark.parser.lexer, Tables(lark.parse_interactive("").parser_state.parse_conf)


def _grammar() -> str:
    """In the installed package first, in the checkout second."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    installed = os.path.join(package, "grammar", "wnet.lark")
    path = installed if os.path.exists(installed) else os.path.join(package, os.pardir, "grammar", "wnet.lark")
    with open(path, encoding="utf-8") as file:
        return file.read()


def _cache_path() -> str | bool:
    """A file in the user's own cache folder (the tables are a pickle: nobody else may write it), or no cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(os.path.join("~", ".cache"))
    if home.startswith("~"):
        return False
    folder = os.path.join(home, "wdsl")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return False
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return os.path.join(folder, f"grammar-{version}.lark") if os.access(folder, os.W_OK) else False
