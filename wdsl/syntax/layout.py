"""Where lines break: documents of text, possible line ends and groups, laid out within a width.

A group stands on one line if it fits there; otherwise all the line ends that are its own break, and its parts are
asked in turn. That is Philip Wadler's "A prettier printer" (2003), with comments besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from wdsl.core.record import Record

STEP = 4
"""By how much a part stands further right than what it is a part of."""


class Break(Record):
    """The end of a line in a group that is broken, `flat` in one that is not."""

    flat: str


class Group(Record):
    """What stands on one line if it fits. `broken` if it cannot, since comments are in it."""

    content: Doc
    broken: bool = False


class Indent(Record):
    content: Doc


class Either(Record):
    """One text in a broken group, another in one that is not."""

    broken: str
    flat: str


class Fill(Record):
    """Short items, separated by commas: as many on a line as there is room for."""

    items: tuple[str, ...]


class Comma(Record):
    """A comma. It goes in front of the comment beside what it follows, unless it brings one of its own."""

    commented: bool = False


class Beside(Record):
    """A comment that ends its line."""

    comment: str


class Above(Record):
    """A comment with a line of its own, after a blank one if it had that."""

    comment: str
    blank: bool


class Gap(Record):
    """A blank line."""


Doc: TypeAlias = "str | Sequence[Doc] | Break | Group | Indent | Either | Fill | Comma | Beside | Above | Gap"


class Line:
    """A line that is being written."""

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.text = ""
        self.comment = ""
        self.full = False  # a comment's own line: nothing else goes there

    @property
    def width(self) -> int:
        return self.indent + len(self.text)


def lay_out(doc: Doc, indent: int, width: int) -> list[Line]:
    """The lines of a document, of which the first begins at `indent`."""
    line = Line(indent)
    lines = [line]
    rest: list[tuple[int, bool, Any]] = [(indent, False, doc)]

    def fresh(at: int) -> None:
        """A new line, unless this one has nothing on it yet."""
        nonlocal line
        if line.text or line.full:
            line = Line(at)
            lines.append(line)
        line.indent = at

    while rest:
        at, flat, doc = rest.pop()
        match doc:
            case str():
                if line.full or line.comment:
                    fresh(at)
                if line.text or doc != " ":
                    line.text += doc
            case Break(text):
                if flat:
                    rest.append((at, flat, text))
                else:
                    fresh(at)
            case Group(content, broken):
                fits = not broken and (flat or _fits(content, rest, width - line.width))
                rest.append((at, fits, content))
            case Indent(content):
                rest.append((at + STEP, flat, content))
            case Either(broken_text, text):
                rest.append((at, flat, text if flat else broken_text))
            case Comma(commented):
                if line.full or (line.comment and commented):
                    fresh(at)
                line.text += ","
            case Fill(items):
                for position, item in enumerate(items):
                    last = position == len(items) - 1
                    if not flat and line.text and line.width + len(item) + 2 > width:
                        fresh(at)
                    line.text += f"{' ' if line.text and position else ''}{item}{'' if last else ','}"
            case Beside(comment):
                if line.full or line.comment:  # there is one already
                    fresh(at)
                    line.text, line.full = comment, True
                else:
                    line.comment = comment
            case Above(comment, blank):
                fresh(at)
                if blank and len(lines) > 1 and not lines[-2].text.endswith(("(", "[")):
                    lines.insert(-1, Line(at))
                line.text, line.full = comment, True
            case Gap():
                fresh(at)
                lines.insert(-1, Line(at))
            case _:
                rest.extend((at, flat, each) for each in reversed(doc))
    return lines


def _fits(doc: Doc, rest: Sequence[tuple[int, bool, Any]], room: int) -> bool:
    """Whether a document on one line, with all that must then follow it there, takes no more than `room`."""
    todo: list[tuple[bool, Any]] = [(True, doc)]
    behind = len(rest)
    while room >= 0:
        if not todo:
            if not behind:
                return True
            behind -= 1
            todo.append(rest[behind][1:])
        flat, doc = todo.pop()
        match doc:
            case str():
                room -= len(doc)
            case Break(text):
                if not flat:
                    return True
                room -= len(text)
            case Group(content, broken):
                todo.append((flat and not broken, content))
            case Indent(content):
                todo.append((flat, content))
            case Either(broken_text, text):
                room -= len(text if flat else broken_text)
            case Comma():
                room -= 1
            case Fill(items):
                if not flat:
                    return True
                room -= sum(len(item) + 2 for item in items) - 2
            case Beside() | Above() | Gap():
                return True
            case _:
                todo.extend((flat, each) for each in reversed(doc))
    return False
