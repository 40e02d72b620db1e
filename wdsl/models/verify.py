"""Whether the weights of a model are what their equations say: a look at every entry that one speaks of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from wdsl.core.record import Record

PROMISES = {
    "parameter": "always",
    "mask": "in every forward pass",
    "constraint": "in every forward pass",
    "gradient": "under optimizers that act entry by entry",
    "initial": "not promised",
}


class Finding(Record):
    """What was found of one equation: by how much it is missed at most, of how many entries it speaks."""

    weight: str
    equation: str
    promise: str
    violation: float
    entries: int

    @property
    def ok(self) -> bool:
        return self.violation == 0 or self.promise == PROMISES["initial"]


class Report(Record):
    """A finding for every equation of every weight with structure."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether all that is promised holds, to the bit."""
        return all(finding.ok for finding in self.findings)

    def __str__(self) -> str:
        rows = [
            (each.weight, each.equation, each.promise, f"{each.entries:,} entries", _verdict(each))
            for each in self.findings
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        broken = sum(not each.ok for each in self.findings)
        kept = "every promise is kept" if self.ok else f"{broken} of {len(rows)} equations broken"
        return "\n".join([*lines, kept if rows else "no weight has structure"])


def _verdict(finding: Finding) -> str:
    if finding.violation == 0:
        return "holds"
    return f"{'off' if finding.ok else 'BROKEN'} by {finding.violation:.3g}"


def verify(model: Any, loads: Callable[..., Any]) -> Report:
    """Hold the weights that a model uses against their equations. `loads` reads what written modules say of them."""
    return Report(tuple(_findings(model, loads)))


def _findings(model: Any, loads: Callable[..., Any]) -> Iterator[Finding]:
    import numpy as np

    from wdsl.models.weights import structures_of

    for name, array, equations in structures_of(model, loads):
        known = np.zeros(array.shape, bool)
        for equation in equations:
            known |= equation.known(array.shape)[0]
        for equation in equations:
            mask, value = equation.known(array.shape)
            mask, flat = mask.copy(), array.ravel()
            misses = [array[mask] - np.asarray(value, array.dtype)]
            promise = PROMISES[getattr(equation, "mechanism", "parameter")]
            for one, other, factor in equation.merges(array.shape, known):
                wanted = np.asarray(factor, array.dtype) * flat[other]
                miss = np.abs(flat[one] - wanted)
                if math.frexp(factor)[0] not in (0.5, -0.5):  # only powers of two multiply without rounding
                    promise = f"{promise}, up to rounding"
                    miss = np.where(miss <= 8 * np.spacing(np.abs(wanted)), 0, miss)
                misses.append(miss)
                mask.flat[one] = mask.flat[other] = True
            if equation.is_trained:
                worst = np.abs(np.concatenate(misses)).max(initial=0)
                yield Finding(name, _words(equation), promise, float(worst), int(mask.sum()))


def _view(view: Any) -> str:
    text = view.weight or "itself"
    for name, *arguments in view.steps:
        words = ", ".join(map(_words, arguments))
        text += f"[{words}]" if name == "get" else f".{name}({words})" if arguments else ".T"
    return text if view.factor == 1 else f"{view.factor:g} * {text}"


def _words(value: Any) -> str:
    """A term as the code that constructs it, short. How it holds, and where in others its weight lies, is left out."""
    if hasattr(value, "equation"):
        return _words(value.equation)
    if hasattr(value, "steps"):
        return _view(value)
    if hasattr(value, "file"):
        return f"{type(value).__name__}({value.file})"  # and not the table in it
    if hasattr(value, "parts"):
        return f"{type(value).__name__}({', '.join(map(_words, value.parts()))})"
    if isinstance(value, slice):
        return ":".join("" if each is None else str(each) for each in (value.start, value.stop, value.step))
    if isinstance(value, tuple):
        name, *arguments = value
        return f"{name}({', '.join(map(_words, arguments))})"
    return str(value)
