"""Diagnostics as a person reads them, with the lines that they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import dedent

from wdsl.core.record import Record
from wdsl.text.diagnostics import Diagnostic, Fix, Label
from wdsl.text.source import Source, Span

WINDOW = 120
"""Characters of a source line that a text report shows at most."""

BEFORE = 40
"""Characters that it shows before the marked ones where the line is longer than that."""

TAB = 4

JOINERS = ("\u200c", "\u200d")
"""Characters without width that Persian, Indic scripts and emoji need."""

RESET = "\x1b[0m"
STYLES = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[33m",
    "label": "\x1b[34m",
    "gutter": "\x1b[34m",
    "strong": "\x1b[1m",
    "": "",
}


def text(diagnostics: Iterable[Diagnostic], colour: bool = False) -> str:
    """A report for the terminal, without a line end after its last line.

    error[E0504]: `decode.kernel` and `encode.kernel` cannot be tied: their shapes differ
      ┌─ specs/tied.wnet:9:17
      │
    4 │     layer encode = Dense(64)
      │                    --------- `encode.kernel` is 784 × 64
    9 │         kernel: tie(encode.kernel)
      │                 ^^^^^^^^^^^^^^^^^^ `decode.kernel` is 64 × 784
      │
      = fix: tie(encode.kernel.T)
    """
    diagnostics = tuple(diagnostics)
    blocks = ["\n".join(_paint(row, colour) for row in _rows(one)) for one in diagnostics]
    if len(diagnostics) > 1:
        blocks.append(tally(diagnostics))
    return "\n\n".join(blocks)


def tally(diagnostics: Iterable[Diagnostic]) -> str:
    """How many of what: `2 errors, 1 warning`."""
    severities = [one.severity for one in diagnostics]
    counts = [(severities.count(severity), severity) for severity in ("error", "warning")]
    return ", ".join(f"{count} {severity}{'s' * (count > 1)}" for count, severity in counts if count)


# A row is its pieces from left to right, each with its style.
Row = list[tuple[str, str]]


class _Mark(Record):
    """Columns of one line that a label is about, `start` up to, not including, `end`."""

    start: int
    end: int
    text: str
    primary: bool


def _paint(row: Row, colour: bool) -> str:
    while row and not row[-1][0].strip():
        row = row[:-1]
    if row:
        row = [*row[:-1], (row[-1][0].rstrip(), row[-1][1])]
    if not colour:
        return "".join(piece for piece, _ in row)
    return "".join(f"{STYLES[style]}{piece}{RESET}" if style else piece for piece, style in row)


def _rows(diagnostic: Diagnostic) -> list[Row]:
    severity = diagnostic.severity
    by_source: dict[Source, list[tuple[Label, bool]]] = {}
    for at, label in enumerate((Label(diagnostic.span, diagnostic.label), *diagnostic.labels)):
        by_source.setdefault(label.span.source, []).append((label, at == 0))

    numbers = [label.span.line for labels in by_source.values() for label, _ in labels]
    margin = " " * len(str(max(numbers)))
    edge: Row = [(f"{margin} │ ", "gutter")]

    headline = [(f"{severity}[{diagnostic.code}]", severity), (f": {_shown(diagnostic.message)}", "strong")]
    rows: list[Row] = [headline]
    for at, (source, labels) in enumerate(by_source.items()):
        if at:
            rows.append(edge)
        rows.append([(f"{margin} ┌─ ", "gutter"), (_place(labels[0][0].span), "")])
        if not source.text:
            continue
        rows.append(edge)
        by_line: dict[int, list[tuple[Label, bool]]] = {}
        for labelled in labels:
            by_line.setdefault(labelled[0].span.line, []).append(labelled)
        for number, on_line in sorted(by_line.items()):
            shown, marks = _line(source, number, on_line)
            rows.append([(f"{number:>{len(margin)}} │ ", "gutter"), (shown, "")])
            rows += [edge + row for row in _marked(marks, severity)]

    notes = []
    if diagnostic.hint:
        notes.append(("hint", diagnostic.hint))
    if diagnostic.fix:
        notes.append(("fix", _mended(diagnostic.fix, diagnostic.span)))
    if notes:
        rows.append(edge)
    for name, note in notes:
        first, *rest = note.splitlines() or [""]
        rows.append([(f"{margin} = ", "gutter"), (f"{name}: ", "strong"), (_shown(first), "")])
        rows += [[(f"{margin}   {' ' * len(name)}  {_shown(line)}", "")] for line in rest]
    return rows


def _place(span: Span) -> str:
    name = _shown(span.source.name)
    if not span.source.text:
        return name
    line, column = span.source.position(span.start)
    return f"{name}:{line}:{column}"


def _mended(fix: Fix, about: Span) -> str:
    """What a fix leaves of the piece that the report is about, or else of the lines that it edits."""
    source = fix.span.source
    if not fix.replacement and fix.span.text.endswith("\n"):
        return f"remove `{fix.span.text.strip()}`"
    start, end = about.start, about.end
    inside = about.source is source and start <= fix.span.start and fix.span.end <= end
    if not inside or "\n" in about.text:
        start = source.text.rfind("\n", 0, fix.span.start) + 1
        end = source.text.find("\n", fix.span.end)
        end = len(source.text) if end < 0 else end
    mended = source.text[start : fix.span.start] + fix.replacement + source.text[fix.span.end : end]
    return dedent(mended).strip() or f"remove `{fix.span.text.strip()}`"


def _line(source: Source, number: int, labels: Sequence[tuple[Label, bool]]) -> tuple[str, list[_Mark]]:
    """A source line as shown, and where the labels' marks are under it."""
    whole = source.line(number)
    first = source.position(labels[0][0].span.start)[1] - 1
    begin = labels[0][0].span.start - first

    places = []
    for label, primary in labels:
        start = min(label.span.start - begin, len(whole))
        last_line = source.position(max(label.span.start, label.span.end - 1))[0]
        end, note = label.span.end - begin, _shown(label.text)
        if last_line > number:
            end, note = len(whole), f"{note} (up to line {last_line})".lstrip()
        places.append((start, max(start, min(end, len(whole))), note, primary))

    low, high = 0, len(whole)
    if high > WINDOW:
        ends = [place[1] for place in places]
        focus = min(place[0] for place in places)
        if max(ends) - focus > WINDOW - BEFORE:
            focus = next((place[0] for place in places if place[3]), focus)
        low = max(0, min(focus - BEFORE, high - WINDOW))
        high = min(high, low + WINDOW)
    pieces, columns = _cells(whole[low:high])
    if low:
        pieces, columns = ["…", *pieces], [0, *(column + 1 for column in columns)]
        low -= 1
    if high < len(whole):
        pieces, columns = [*pieces, "…"], [*columns, columns[-1] + 1]

    marks = []
    for start, end, note, primary in places:
        left = columns[min(max(start - low, 0), len(pieces) - (high < len(whole)))]
        right = columns[min(max(end - low, 0), len(pieces))]
        marks.append(_Mark(left, max(right, left + 1), note, primary))
    return "".join(pieces), marks


def _marked(marks: Sequence[_Mark], severity: str) -> list[Row]:
    """The rows under a source line: the marks with one label behind them, the other labels hung below."""

    def style(mark: _Mark) -> str:
        return severity if mark.primary else "label"

    under = [(" ", "")] * max(mark.end for mark in marks)
    for mark in sorted(marks, key=lambda mark: mark.primary):
        under[mark.start : mark.end] = [("^" if mark.primary else "-", style(mark))] * (mark.end - mark.start)

    said = sorted((mark for mark in marks if mark.text), key=lambda mark: (mark.start, mark.primary))
    behind = [mark for mark in said if mark.end == len(under)]
    first = _joined(under)
    if behind:
        first.append((f" {behind[-1].text}", style(behind[-1])))
        said.remove(behind[-1])
    rows = [first]
    if said:
        rows.append(_hung(said, style))
    while said:
        mark = said.pop()
        strokes = _hung([one for one in said if one.start < mark.start], style, mark.start)
        rows.append([*strokes, (mark.text, style(mark))])
    return rows


def _hung(marks: Sequence[_Mark], style: Callable[[_Mark], str], width: int = 0) -> Row:
    """Strokes down from the beginnings of marks, in a row of at least `width` columns."""
    row = [(" ", "")] * max([width, *(mark.start + 1 for mark in marks)])
    for mark in marks:
        row[mark.start] = ("│", style(mark))
    return _joined(row)


def _joined(cells: Row) -> Row:
    """Neighbours of one style as one piece."""
    row: Row = []
    for piece, style in cells:
        if row and row[-1][1] == style:
            row[-1] = (row[-1][0] + piece, style)
        else:
            row.append((piece, style))
    return row


def _shown(words: str) -> str:
    """Text with what a terminal would obey, or would not show, escaped."""
    if words.isascii() and words.isprintable():
        return words
    return "".join(map(_glyph, words))


def _glyph(char: str) -> str:
    from unicodedata import category

    kind = category(char)
    hidden = kind[0] in "CZ" and kind != "Zs" and char not in JOINERS
    return char.encode("unicode_escape").decode() if hidden else char


def _cells(line: str) -> tuple[list[str], list[int]]:
    """What is shown for each character, and the column where each begins, with the end's as the last."""
    if line.isascii() and line.isprintable():
        return list(line), list(range(len(line) + 1))
    from unicodedata import category, east_asian_width

    pieces, columns = [], [0]
    for char in line:
        piece = " " * (TAB - columns[-1] % TAB) if char == "\t" else _glyph(char)
        width = len(piece)
        if category(char) in ("Mn", "Me") or piece in JOINERS:
            width = 0
        elif east_asian_width(char) in "WF":
            width = 2
        pieces.append(piece)
        columns.append(columns[-1] + width)
    return pieces, columns
