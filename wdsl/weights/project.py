"""The nearest weights that obey the annotations, to start a model from.

Entries that share a free parameter t are multiples of it, W[e] = c[e] t. Nearest in least squares to given numbers w[e]
is t = sum(c w) / sum(c c), over the entries that were given: there the derivative of sum((c t - w) ** 2) is zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from wdsl.core.record import Record
from wdsl.structure import IndexMap
from wdsl.text.diagnostics import by, listed, nearest
from wdsl.weights.entries import index_maps
from wdsl.weights.structures import Structure, Structures

Array: TypeAlias = np.ndarray[Any, Any]
Masked: TypeAlias = np.ma.MaskedArray[Any, Any]


def project(structures: Structures, parameters: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Array]:
    """The weights nearest to the given ones that satisfy all equations, and those that share parameters with them.

    `parameters` are the values of the network's own. Entries of which nothing is known are masked.
    """
    shapes = {str(each.name): each.weight.shape for each in structures.weights}
    for name in weights:
        if name not in shapes:
            raise ValueError(f"the network has no weight `{name}`: {suggestion(name, shapes)}")
    given = {name: checked(name, value, shapes[name]) for name, value in weights.items()}
    found: dict[str, Array] = {}
    for owner in dict.fromkeys(each.owner for each in structures.weights if str(each.name) in given):
        found |= _nearest(structures.sharing(owner), parameters, given)
    return {name: found[name] for name in shapes if name in found}


class _Member(Record):
    """A weight of those that share free parameters. Its entries are `factor * (scale * theta[index] + constant)`.

    `given` is masked where nothing is given, or None.
    """

    name: str
    solved: IndexMap
    factor: float
    given: Masked | None

    @property
    def is_given(self) -> Array:
        """True at the entries that are given and not constant."""
        if self.given is None:
            return np.zeros(self.solved.index.shape, bool)
        return np.asarray((self.solved.index >= 0) & ~np.ma.getmaskarray(self.given))

    def expand(self, theta: Array) -> Array:
        """The weight, by the very operations of a forward pass."""
        array: Array = np.append(theta, theta.dtype.type(0))[self.solved.index]
        if self.solved.scale is not None:
            array = array * self.solved.scale.astype(theta.dtype)
        if self.solved.constant is not None:
            array = array + self.solved.constant.astype(theta.dtype)
        return np.asarray(array * theta.dtype.type(self.factor))


def _nearest(
    structures: Sequence[Structure], parameters: Mapping[str, Any], given: Mapping[str, Masked]
) -> dict[str, Array]:
    """The weights that share free parameters. `given` has numbers for one of them at least."""
    owner = next(each for each in structures if each.name == each.owner)
    dtype = np.dtype("float64" if owner.layer.arguments.get("dtype") == "float64" else "float32")
    if len(structures) == 1 and not owner.equations:
        name = str(owner.name)
        return {name: _with_mask(given[name].data.astype(dtype), np.ma.getmaskarray(given[name]))}
    maps = index_maps(structures, parameters)
    members = [_Member(str(name), solved, float(f), given.get(str(name))) for name, (solved, f) in maps.items()]
    size = members[0].solved.size
    products, squares, exact = np.zeros(size), np.zeros(size), np.full(size, np.nan)
    for each in members:
        if each.given is not None:
            index, numbers = each.solved.index[each.is_given], each.given.data[each.is_given]
            # As exact as a forward pass has it: 0.3 is not the same number in single precision.
            scale = np.full(len(index), dtype.type(each.factor), np.float64)
            if each.solved.scale is not None:
                scale *= each.solved.scale[each.is_given].astype(dtype)
            products += np.bincount(index, scale * numbers, size)
            squares += np.bincount(index, scale * scale, size)
            exact[index[np.abs(scale) == 1]] = (scale * numbers)[np.abs(scale) == 1]
    # Numbers that obey stay as they are, to the bit: a mean of rounded multiples could round to something else.
    is_off = np.isnan(exact)
    for each in members:
        if each.given is not None:
            array = each.expand(exact.astype(dtype))
            is_off[each.solved.index[each.is_given & (array != each.given.data)]] = True
    is_known = squares > 0
    means = np.divide(products, squares, out=np.full(size, np.nan), where=is_known)
    theta = np.where(is_off, means, exact).astype(dtype)
    found = {}
    for each in members:
        is_determined = np.append(is_known, False)[each.solved.index]
        if each.given is not None or is_determined.any():
            found[each.name] = _with_mask(each.expand(theta), ~is_determined & (each.solved.index >= 0))
    return found


def _with_mask(array: Array, mask: Array) -> Array:
    return np.ma.masked_array(array, mask) if mask.any() else array


def checked(name: str, value: Any, shape: tuple[int, ...]) -> Masked:
    """What was given for a weight, in double precision. Raises ValueError if it cannot be one."""
    try:
        array = value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
        if value is None or array.dtype.kind in "cSUMm":
            raise TypeError
        numbers = np.ma.masked_array(np.asarray(array).astype(np.float64), np.ma.getmaskarray(array))
    except (TypeError, ValueError):
        raise ValueError(f"what is given for `{name}` is no array of real numbers") from None
    if numbers.shape != shape:
        raise ValueError(f"`{name}` is {by(shape)}, and what is given for it {by(numbers.shape)}")
    strange = ~(np.abs(numbers.data) <= np.finfo(np.float32).max) & ~np.ma.getmaskarray(numbers)
    if strange.any():
        entry = np.unravel_index(int(strange.argmax()), shape)
        raise ValueError(f"what is given for `{name}` has {numbers.data[entry]} at {entry_of(entry)}")
    return numbers


def entry_of(entry: Iterable[Any]) -> str:
    subscripts = tuple(map(int, entry))
    return f"entry {subscripts if len(subscripts) > 1 else subscripts[0]}" if subscripts else "its only entry"


def suggestion(name: str, names: Iterable[str]) -> str:
    names = list(names)
    near = nearest(name, names)
    return f"did you mean `{near}`?" if near else f"it has {listed(names) or 'none'}"
