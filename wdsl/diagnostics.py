"""What the compiler has to say about a file: one type for every report, and the registry of codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from wdsl.source import Span

CODES: dict[str, str] = {
    "E0101": "text that does not fit the grammar",
    "E0102": "a bracket that is never closed",
    "E0103": "a literal that is none",
    "E0104": "a newer version of the language",
    "E0105": "text that nests too deeply",
    "E0106": "a statement that this version does not compile",
}
"""The title of every diagnostic code. `E…` are errors, `W…` warnings."""


@dataclass(frozen=True, slots=True)
class Label:
    """A further place that a diagnostic involves, and what is there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit that mends the problem: put `replacement` in place of `span`."""

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: what is wrong (`message`), where (`span`), and why there (`label`).

    `labels` are the other places involved, `hint` is a sentence on what to do, `fix` an edit that does it.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    labels: tuple[Label, ...] = ()
    hint: str | None = None
    fix: Fix | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"{self.code} is not in the registry of codes")

    @property
    def severity(self) -> Literal["error", "warning"]:
        return "error" if self.code.startswith("E") else "warning"


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Diagnostics by place in the file, each said once."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span.start, d.span.end, d.code)))


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was probably meant to be, or None."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None
