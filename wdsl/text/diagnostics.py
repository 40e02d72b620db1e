"""What the compiler has to say about a file: one type for every report, and the registry of codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from wdsl.core.record import Record
from wdsl.text.source import Span

CODES: dict[str, str] = {
    "E0101": "text that does not fit the grammar",
    "E0102": "a bracket that is never closed",
    "E0103": "a literal that is none",
    "E0104": "a newer version of the language",
    "E0105": "text that nests too deeply",
    "E0201": "a name that is not known",
    "E0202": "a name that is declared twice",
    "E0203": "a name in the wrong case",
    "E0204": "a name that is used before it is declared",
    "E0205": "something that cannot stand where it does",
    "E0206": "a layer where a tensor is needed",
    "E0207": "a name that Keras gives itself",
    "E0208": "a network that the file does not have",
    "E0211": "a network without inputs or outputs",
    "E0212": "an output without a name",
    "E0213": "a block that is used within itself",
    "E0301": "a layer that Keras does not have",
    "E0302": "an argument that the layer does not have",
    "E0303": "an argument that is missing",
    "E0304": "a value that the argument does not take",
    "E0305": "too many arguments",
    "E0306": "an argument that is given twice",
    "E0307": "a parameter that the network does not have",
    "E0308": "a parameter of another type",
    "E0309": "a parameter without a value",
    "E0310": "a constant that cannot be computed",
    "E0311": "a layer or function of Keras that a file cannot have",
    "E0401": "shapes that do not fit",
    "E0402": "a layer that was applied to another shape before",
    "E0403": "another number of tensors",
    "E0501": "a weight that the layer does not have",
    "E0502": "a symmetric weight that is not square",
    "E0503": "an index outside the weight",
    "E0504": "a tie of weights of different shapes",
    "E0505": "an annotation that is none, or that this version does not compile",
    "E0506": "an annotation for another number of axes",
    "E0507": "a mechanism that is none, or that the annotation cannot have",
    "E0508": "an annotation that an argument of the layer would break",
    "E0509": "a reference that names no weight",
    "E0510": "an annotation with the wrong parts",
    "E0511": "a predicate that cannot be read",
    "E0512": "an annotation of a layer that is not used",
    "E0513": "an entry that would be two different values",
    "E0601": "a file that cannot be read",
    "E0602": "a file that is not there",
    "E0603": "a file outside the root",
    "E0604": "something that is no file, or too large a file",
    "E0605": "a mask of another shape than the weight",
    "E0606": "a mask that does not hold numbers",
    "E0607": "files that import one another in a circle",
    "E0701": "an assertion that does not hold",
    "E0702": "a weight that is too large to be solved",
    "E0703": "loops and blocks that come to too much",
    "W0101": "documentation that belongs to nothing",
    "W0102": "an arrow behind both branches of a condition",
    "W0201": "something that is not used",
    "W0501": "a zero that spreads",
    "W0502": "a weight with nothing left to train",
    "W0503": "a region without entries",
    "W0504": "an equality that training will break",
    "W0505": "an annotation that adds nothing",
    "W0701": "something that the written module does not keep",
}
"""The title of every diagnostic code. `E…` are errors, `W…` warnings."""


class Label(Record):
    """A further place that a diagnostic involves, and what is there."""

    span: Span
    text: str


class Fix(Record):
    """An edit that mends the problem: put `replacement` in place of `span`.

    It is `safe` if nothing else can be meant: then `wdsl check --fix` makes it.
    """

    span: Span
    replacement: str
    safe: bool = False


class Diagnostic(Record):
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
    """Diagnostics by place in their file, each said once; files in the order in which they come up."""
    once = dict.fromkeys(diagnostics)
    files = {source: number for number, source in enumerate(dict.fromkeys(each.span.source for each in once))}
    return tuple(sorted(once, key=lambda d: (files[d.span.source], d.span.start, d.span.end, d.code)))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is more than a warning."""
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was probably meant to be, or None."""
    from difflib import get_close_matches

    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def respelled(span: Span, near: str | None, words: Iterable[str]) -> Fix | None:
    """The fix that puts `near`, if there is one, in place of the word at `span`.

    It is safe if one slip in typing leads from one of `words` to what stands there. So `words` must be all that can
    stand there, and nothing that a file may declare: its declaration may be what is missing.
    """
    if near is None:
        return None
    return Fix(span, near, safe=[word for word in set(words) if _is_slip(span.text, word)] == [near])


def _is_slip(typed: str, meant: str) -> bool:
    """One letter more, fewer or another, or two swapped. A digit is no slip: `Conv2D` was not meant to be `Conv1D`."""
    one, other = typed.lower(), meant.lower()
    if one == other:
        return True
    if min(len(one), len(other)) < 4:
        return False
    while one[:1] == other[:1] and one:
        one, other = one[1:], other[1:]
    while one[-1:] == other[-1:] and one:
        one, other = one[:-1], other[:-1]
    swapped = len(one) == 2 and one == other[::-1]
    return (swapped or max(len(one), len(other)) == 1) and not any(map(str.isdigit, one + other))


def listed(words: Iterable[str]) -> str:
    """Words in backticks with `and` before the last; of very many, the first."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) > 12:
        return f"{', '.join(quoted[:10])} and {len(quoted) - 10} more"
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}" if len(quoted) > 1 else "".join(quoted)


def by(shape: Iterable[int]) -> str:
    """A weight's shape as `784 × 64`."""
    return " × ".join(map(int.__repr__, shape)) or "one number"
