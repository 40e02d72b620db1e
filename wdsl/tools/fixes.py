"""Fixes as edits of a file's text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from wdsl.core.record import Record
from wdsl.text.diagnostics import Diagnostic, Fix

ROUNDS = 10
"""One edit may be what another problem was hidden behind; so often is looked again."""

Check = Callable[[str], tuple[Diagnostic, ...]]


class Mended(Record):
    """A text with `applied` fixes made, and what is still wrong with it."""

    text: str
    applied: int
    diagnostics: tuple[Diagnostic, ...]


def mend(text: str, check: Check) -> Mended:
    """Make the safe fixes of what `check` says of a text, and of what it says then, as long as there are some.

    An edit may uncover what could not be seen before. If that is more than there was at first, and not mended in turn,
    the edit is not made. Line ends stay as they are.
    """
    now = kept = Mended(text, 0, check(text))
    most = _errors(now)
    for _ in range(ROUNDS):
        fixes = safe(now)
        if not fixes:
            break
        now = _with(now, fixes, check)
        kept = now if _errors(now) <= most else kept
    # Together with others, what is still to be made did harm.
    for _ in range(ROUNDS):
        alone = (_with(kept, [fix], check) for fix in safe(kept))
        better = next((one for one in alone if _errors(one) <= most), None)
        if better is None:
            break
        kept = better
    return kept


def safe(now: Mended) -> list[Fix]:
    """The safe fixes of this very text, in its order, none of which touches another or drops a comment."""
    text = _as_read(now.text)
    found = {one.fix for one in now.diagnostics if one.fix and one.fix.safe and one.fix.span.source.text == text}
    chosen: list[Fix] = []
    for fix in sorted(found, key=lambda fix: (fix.span.start, fix.span.end, fix.replacement)):
        comment = "#" in fix.span.text and "#" not in fix.replacement
        if not comment and (not chosen or chosen[-1].span.end <= fix.span.start):
            chosen.append(fix)
    return chosen


def edited(text: str, fixes: Iterable[Fix]) -> str:
    """`text` with the fixes made. They do not overlap, and their spans count every line end as one character."""
    long = [at.start() - earlier for earlier, at in enumerate(re.finditer("\r\n", text))]
    end_of_line = "\r\n" if long else "\n"
    for fix in sorted(fixes, key=lambda fix: (fix.span.start, fix.span.end), reverse=True):
        start, end = (at + bisect_left(long, at) for at in (fix.span.start, fix.span.end))
        text = text[:start] + fix.replacement.replace("\n", end_of_line) + text[end:]
    return text


def _with(now: Mended, fixes: Sequence[Fix], check: Check) -> Mended:
    text = edited(now.text, fixes)
    return Mended(text, now.applied + len(fixes), check(text))


def _errors(now: Mended) -> int:
    return sum(one.severity == "error" for one in now.diagnostics)


def _as_read(text: str) -> str:
    return text.replace("\r\n", "\n")
