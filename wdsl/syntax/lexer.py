"""Text to tokens, by the terminals of the grammar.

One regular expression finds a token; Lark's own contextual lexer would compile one for every state of the parser, which
takes longer than reading a usual file. The parser's state decides only whether a word is a keyword, so that Keras's
argument names such as `layer=` need no quotes. Line ends become _END here: none inside ( ) and [ ], one at most between
two statements, one before a closing brace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import lark.lexer  # noqa: TID251
from lark import Token  # noqa: TID251

from wdsl.text.diagnostics import Diagnostic
from wdsl.text.source import Source, Span

MAX_NESTING = 150
"""How deep brackets, arrows and operators may nest. Later stages walk expressions by recursion, which Python bounds."""

MAX_BODIES = 30
"""How deep bodies in braces may nest, for the same reason."""

MAX_TOKENS = 200_000
"""How many words and signs a text may have: some 20,000 lines. Reading them takes seconds."""

_NESTING = frozenset({"SIGN", "TIMES", "POWER", "COMPARE", "NOT", "AND", "OR", "IF", "DOT", "ARROW"})

_COUNTED = _NESTING | {"COMMA", "_END", "LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE"}
"""What says how deep a text nests, and where statements end."""

_ALSO_NAMES = frozenset({"ASSERT", "FOR", "WEIGHT"})
"""Keywords of statements that are names before `=` and `,`: tensors that are called `weight` need no other name."""
_BOUND = re.compile(r"[ \t]*(?:=(?!=)|,)")


class Refused(Exception):
    """Text that cannot be wnet, or is well-formed by the grammar and still not."""

    def __init__(self, code: str, message: str, start: int, end: int, label: str = "", hint: str | None = None):
        self.parts = code, message, start, end, label, hint

    def at(self, source: Source) -> Diagnostic:
        code, message, start, end, label, hint = self.parts
        return Diagnostic(code, message, Span(source, start, end), label, hint=hint)


class Lexer(lark.lexer.Lexer):
    """What Lark calls for tokens: see "custom lexers" in its documentation."""

    __future_interface__ = 2

    def __init__(self, configuration: Any) -> None:
        words = {}
        patterns = []
        ignored = []
        for terminal in sorted(configuration.terminals, key=_first_to_try):
            if terminal.pattern.type == "str" and terminal.pattern.value.isalpha():
                words[terminal.pattern.value] = str(terminal.name)
            elif terminal.name in configuration.ignore:
                ignored.append(terminal.pattern.to_regexp())
            else:
                patterns.append(f"(?P<{terminal.name}>{terminal.pattern.to_regexp()})")
        self.keywords = words
        self.ignored = re.compile(f"(?:{'|'.join(ignored)})*")
        self.pattern = re.compile("|".join(patterns))

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Token]:
        """The tokens of a text. `parser_state` is the parser's, as it is when it asks for the next token."""
        states = parser_state.parse_conf.states
        for token in self.tokens(lexer_state.text.text, lambda word: word in states[parser_state.position]):
            lexer_state.last_token = token
            yield token

    def tokens(self, text: str, is_expected: Callable[[str], bool]) -> Iterator[Token]:
        """The tokens of a text. `is_expected` says whether the parser can go on with a terminal as it is then."""
        keywords = self.keywords
        # For each open bracket, how many operators stand in its present item: together they bound the tree's depth.
        operators = [0]
        ended = True
        bodies = 0
        number = end = 0
        token = None
        ignored, match = self.ignored.match, self.pattern.match
        while (start := ignored(text, end).end()) < len(text):  # type: ignore[union-attr]
            found = match(text, start)
            if found is None:
                raise _no_token(text, start)
            type_ = str(found.lastgroup)
            value = found[0]
            end = found.end()
            number += 1
            if number > MAX_TOKENS:
                raise Refused(
                    "E0604",
                    "the text is too large",
                    start,
                    end,
                    f"more than {MAX_TOKENS:,} words and signs",
                    "divide it",
                )
            keyword = keywords.get(value)
            if keyword and is_expected(keyword):
                if not (ended and keyword in _ALSO_NAMES and _BOUND.match(text, end)):
                    type_ = keyword
            elif type_ == "_END" and (ended or (len(operators) > 1 and value != ";")):
                continue
            token = _token(type_, value, start, end)
            if type_ not in _COUNTED:  # as most are
                ended = False
                yield token
                continue
            if type_ in ("LPAR", "LSQB"):
                operators[-1] += 1
                operators.append(0)
            elif type_ in ("RPAR", "RSQB") and len(operators) > 1:
                operators.pop()
            elif type_ in _NESTING:
                operators[-1] += 1
            elif type_ == "LBRACE":
                bodies += 1
                if bodies > MAX_BODIES:
                    label = f"more than {MAX_BODIES} braces stand inside one another here"
                    raise Refused("E0105", "the bodies nest too deeply", start, end, label)
            elif type_ == "RBRACE":
                bodies -= 1
                if not ended:
                    yield _token("_END", "}", start, start)
            if type_ in ("COMMA", "_END", "LBRACE"):
                operators[-1] = 0
            elif operators[-1] > MAX_NESTING or (len(operators) > 1 and sum(operators) > MAX_NESTING):
                raise Refused(
                    "E0105",
                    "the expression nests too deeply",
                    start,
                    end,
                    f"more than {MAX_NESTING} brackets, arrows and operators stand inside one another here",
                    "name parts of it, in statements of their own",
                )
            ended = type_ in ("_END", "LBRACE")
            yield token
        if not ended and token is not None:
            yield Token.new_borrow_pos("_END", "", token)


def _token(type_: str, value: str, start: int, end: int) -> Token:
    """A token of Lark's, without the three functions that its own way goes through: a text has thousands."""
    token = str.__new__(Token, value)
    token.type = type_
    token.value = value
    token.start_pos = start
    token.end_pos = end
    token.line = token.column = token.end_line = token.end_column = None
    return token


def _first_to_try(terminal: Any) -> tuple[int, int, int, str]:
    """The order in which Lark itself tries terminals: by priority, then the longer ones."""
    pattern = terminal.pattern
    return -terminal.priority, -pattern.max_width, -len(pattern.value), terminal.name


def _no_token(text: str, at: int) -> Refused:
    if text[at] == '"':
        end = text.find("\n", at)
        return Refused("E0103", "a string is not closed", at, len(text) if end < 0 else end, 'no `"` on this line')
    shown = text[at] if text[at].isprintable() else f"U+{ord(text[at]):04X}"
    label = "strings stand in double quotes" if shown == "'" else ""
    return Refused("E0101", f"`{shown}` is not a character of wnet", at, at + 1, label)
