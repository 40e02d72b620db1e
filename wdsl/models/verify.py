"""Whether the weights of a model are what their equations say: a look at every entry that one speaks of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    from wdsl.models.ties import names_of, ties_of

    found = list(_of_equations(model, loads))
    ties = list(ties_of(model))
    # A weight that several layers share goes by the name that the file has for it, and not by that of its holder.
    names = names_of(ties)
    found = [_renamed(each, each.weight, names[each.weight]) if each.weight in names else each for each in found]
    return Report((*found, *_of_ties(ties, names)))


def _renamed(finding: Finding, name: str, new: str) -> Finding:
    return finding.replace(weight=new, equation=re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", new, finding.equation))


def _of_equations(model: Any, loads: Callable[..., Any]) -> Iterator[Finding]:
    import numpy as np

    from wdsl.models.weights import structures_of

    for name, array, equations, stated in structures_of(model, loads):
        known = np.zeros(array.shape, bool)
        for equation in equations:
            known |= equation.known(array.shape)[0]
        for equation, words in zip(equations, _words(equations, stated, array.ndim, name), strict=True):
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
                yield Finding(name, words, promise, float(worst), int(mask.sum()))


def _of_ties(ties: Sequence[Any], names: Mapping[str, str]) -> Iterator[Finding]:
    import numpy as np

    from wdsl.models.annotations import annotation_of
    from wdsl.models.ties import given_and_seen
    from wdsl.structure import Tie, View

    for tied in ties:
        whole = names.get(tied.whole, tied.whole)
        if tied.view is not None and tied.place.name != whole:
            given, seen = given_and_seen(tied, tied.view)
            words = annotation_of(Tie(View(whole, tied.view.steps, tied.view.factor)), given.ndim, tied.place.name)
            worst = np.abs(given - seen).max(initial=0)
            yield Finding(tied.place.name, words, PROMISES["parameter"], float(worst), given.size)


def _words(equations: Sequence[Any], stated: str | None, rank: int, name: str) -> list[str]:
    """What states each equation of a weight: what the class of a written module has, or what would be written."""
    from wdsl.models.annotations import annotation_of, annotations_in

    said = annotations_in(stated) if stated else []
    return said if len(said) == len(equations) else [annotation_of(each, rank, name) for each in equations]
