"""Normal forms carried out with NumPy: what each entry of a weight is, for a shape and values of the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from wdsl.core import expressions as ex
from wdsl.weights.normal import NormalForm

if TYPE_CHECKING:
    import numpy as np

    from wdsl.structure import IndexMap


def joined(others: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The first of all entries that each one equals, when it equals these others."""
    import numpy as np

    label: np.ndarray[Any, Any] = np.arange(others[0].size).reshape(others[0].shape)
    while True:
        before = label
        for other in others:
            label = np.minimum(label, label.reshape(-1)[other])
            np.minimum.at(label.reshape(-1), other, label)
        label = label.reshape(-1)[label]
        if (label == before).all():
            return label


def joined_multiples(
    others: Sequence[np.ndarray[Any, Any]], factors: Sequence[Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The same where entries are multiples of others; and the multiple that each one is of the first.

    The third array is false at entries that would be two multiples of one: they are zero.
    """
    import numpy as np

    shape = others[0].shape
    label, factor = np.arange(others[0].size), np.ones(others[0].size)
    joins = [(other.ravel(), np.broadcast_to(c, shape).ravel()) for other, c in zip(others, factors, strict=True)]
    while True:
        before = label.copy()
        for other, c in joins:
            lower = label[other] < label
            factor[lower] = (c * factor[other])[lower]
            label[lower] = label[other[lower]]
            higher = np.flatnonzero(label[other] > label)
            np.minimum.at(label, other[higher], label[higher])
            taken = higher[label[other[higher]] == label[higher]]
            factor[other[taken]] = (factor / c)[taken]
        factor *= factor[label]
        label = label[label]
        if (label == before).all():
            break
    impossible = np.zeros(label.size, bool)
    for other, c in joins:
        impossible[label[~np.isclose(factor, c * factor[other])]] = True
    return label.reshape(shape), factor.reshape(shape), ~impossible[label].reshape(shape)


def carried_out(
    form: NormalForm, shape: tuple[int, ...], values: Mapping[str, Any], library: Callable[[str], Any]
) -> dict[str, Any]:
    """The arrays of a form, by name, for a shape and the values of what it needs.

    `library` finds NumPy's functions, and masks, by their paths.
    """
    variables: dict[str, Any] = dict(values)
    variables |= {"self": SimpleNamespace(**values), "shape": shape}
    variables |= {"joined": joined, "joined_multiples": joined_multiples}
    for let in form.lets:
        value = ex.evaluate(let.value, variables, library)
        if len(let.targets) > 1:
            value = tuple(value)
            names = [str(each.name) for each in let.targets if isinstance(each, ex.Variable)]
            if "*_" in names:
                star = names.index("*_")
                skipped = len(value) - len(names) + 1
                names[star : star + 1] = ["_"] * skipped
            variables.update(zip(names, value, strict=True))
            continue
        match let.targets[0]:
            case ex.Variable(name):
                variables[name] = value
            case ex.Subscript(container, index):
                ex.evaluate(container, variables, library)[ex.evaluate(index, variables, library)] = value
    return variables


def evaluated(
    form: NormalForm, shape: Sequence[int], values: Mapping[str, Any], library: Callable[[str], Any]
) -> IndexMap:
    """What every entry of a weight is, as the solver says it."""
    import numpy as np

    from wdsl.structure import IndexMap, index_type

    shape = tuple(map(int, shape))
    size = math.prod(shape)
    arrays = carried_out(form, shape, values, library)
    entry = np.arange(size).reshape(shape)
    live = arrays["live"] if form.live else np.full(shape, not form.is_empty)
    label = np.zeros_like(entry) if form.is_one else arrays["label"] if form.label else entry
    places, numbers = np.unique(label[live], return_inverse=True)
    index = np.full(shape, -1, index_type(size))
    index[live] = numbers.reshape(-1)
    scale = np.where(live, arrays["sign"], 1.0) if form.sign else None
    constant = np.where(live, 0.0, arrays["constant"]) if form.constant else None
    return IndexMap(index, len(places), scale, constant)
