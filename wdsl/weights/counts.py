"""How many parameters a structure leaves free, in closed form where there is one.

A structure that stands alone is never written out entry by entry, nor is NumPy imported for it. Regions are counted by
what they are made of: whole diagonals, boxes of subscripts, runs of flat indices, blocks, and what these are not.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Alike, Given, Mirrored, Untrained
from wdsl.annotations.regions import REGIONS, Blocks, Diagonals
from wdsl.core import expressions as ex
from wdsl.core.record import Record

Shape = tuple[int, ...]

DEEPEST = 8
"""How deep regions may overlap and stand in one another. Counting takes exponentially long in it."""


class Counts(Record):
    """How many parameters are free, and how many entries are not zero."""

    free: int
    nonzero: int


class Box(Record):
    """The entries with these indices on each axis, all of them in ascending order."""

    indices: tuple[range, ...]


class Run(Record):
    """The entries with these flat indices."""

    indices: range


class Not(Record):
    region: Region


class Union(Record):
    regions: tuple[Region, ...]


Whole: TypeAlias = Diagonals | Box | Run | Blocks
Region: TypeAlias = Whole | Not | Union


class NoFormula(Exception):
    """What has to be solved entry by entry."""


def closed_form(
    equations: Sequence[ex.Expression], shape: tuple[int, ...], parameters: Mapping[str, Any]
) -> Counts | None:
    """The counts of a structure, or None if it must be solved entry by entry."""
    try:
        return _counts(dict.fromkeys(equations), tuple(map(int, shape)), parameters)
    except NoFormula:
        return None


def names_nothing(equation: ex.Expression, shape: tuple[int, ...], parameters: Mapping[str, Any]) -> bool:
    """Whether an equation gives entries a value, and its regions hold none, as far as a formula says."""
    said, sizes = meaning(equation), tuple(map(int, shape))
    try:
        return isinstance(said, Given) and not _size(
            _everything(sizes), (_union(said.regions, sizes, parameters),), sizes
        )
    except NoFormula:
        return False


def _counts(equations: Mapping[ex.Expression, None], shape: Shape, parameters: Mapping[str, Any]) -> Counts:
    size = math.prod(shape)
    if not equations:
        return Counts(size, size)
    swaps: set[tuple[int, int, int]] = set()
    rest_is_equal = False
    groups: list[ex.Expression] = []
    zeros: list[Region] = []
    claims: list[tuple[float, Region]] = []
    for equation in equations:
        match meaning(equation):
            case Mirrored(axes, sign):
                first, second = sorted(_value(each, parameters) for each in axes) or (0, 1)
                swaps.add((first, second, sign))
            case Alike(()):
                rest_is_equal = True
            case Alike(items):
                groups += items
            case Given(ex.Constant(0), regions):
                zeros.append(_union(regions, shape, parameters))
            case Given(value, regions):
                claims.append((_value(value, parameters), _union(regions, shape, parameters)))
            case Untrained():
                pass
            case _:
                raise NoFormula
    claims.insert(0, (0.0, Union(tuple(zeros))))

    def count(*regions: Region) -> int:
        return _size(_everything(shape), regions, shape)

    known = Union(tuple(region for _, region in claims))
    constant = count(known)
    if constant != sum(count(region) for _, region in claims):
        raise NoFormula  # an entry with two values, perhaps different ones
    nonzero = size - sum(count(region) for value, region in claims if value == 0)
    if groups:
        if constant or swaps or rest_is_equal:
            raise NoFormula
        return Counts(_groups(groups, shape, parameters), nonzero)
    if not swaps:
        return Counts(min(1, size - constant) if rest_is_equal else size - constant, nonzero)
    if len(swaps) > 1:
        raise NoFormula
    ((first, second, sign),) = swaps
    on_diagonal = size // shape[second]
    fixed = 0
    if constant:
        if len(shape) != 2 or any(_mirrored(region) != region for _, region in claims if region != Union(())):
            raise NoFormula  # what is constant spreads
        fixed = count(known, Diagonals(0, 0))
    if sign < 0:
        if rest_is_equal or any(value for value, _ in claims):
            raise NoFormula
        live = size - on_diagonal - (constant - fixed)
        return Counts(live // 2, live)
    if rest_is_equal:
        return Counts(min(1, size - constant), nonzero)
    return Counts((size - constant + on_diagonal - fixed) // 2, nonzero)


def _groups(items: Sequence[ex.Expression], shape: Shape, parameters: Mapping[str, Any]) -> int:
    """How many values are left when the entries of each region, or of each group of a grouping, are one."""
    match items:
        case [ex.Call(ex.Symbol("TransposedGroups"), (grouping,))]:
            return _groups([grouping], shape[::-1], parameters)
        case [ex.Call(ex.Symbol("Axis"), (axis,))]:
            return int(shape[_value(axis, parameters)])
        case [ex.Call(ex.Symbol("By"), (ex.Lambda(("i", "j"), ex.Operation("+" | "-", operands)),))] if set(
            operands
        ) == {ex.Variable("i"), ex.Variable("j")}:
            return shape[0] + shape[1] - 1
    regions = [_read(each, shape, parameters) for each in items]
    sizes = [_size(_everything(shape), (region,), shape) for region in regions]
    if sum(sizes) != _size(_everything(shape), (Union(tuple(regions)),), shape):
        raise NoFormula
    return math.prod(shape) - sum(size - 1 for size in sizes if size)


def _value(expression: ex.Expression, parameters: Mapping[str, Any]) -> Any:
    return ex.evaluate(expression, parameters, lambda path: getattr(builtins, path))


# Regions


def _union(regions: Sequence[ex.Expression], shape: Shape, parameters: Mapping[str, Any]) -> Region:
    """The entries in any of the regions, or all if there are none."""
    found = tuple(_read(region, shape, parameters) for region in regions)
    return found[0] if len(found) == 1 else Union(found) if found else _everything(shape)


def _read(expression: ex.Expression, shape: Shape, parameters: Mapping[str, Any]) -> Region:
    """A region from the expression that constructs it for the runtime."""
    match expression:
        case ex.Call(ex.Symbol("Not"), (inner,)):
            return Not(_read(inner, shape, parameters))
        case ex.Call(ex.Symbol("Union"), regions):
            return Union(tuple(_read(region, shape, parameters) for region in regions))
        case ex.Call(ex.Symbol(kind), arguments) if kind in ("Flat", "At") or kind.lower() in REGIONS:
            values = [_value(argument, parameters) for argument in arguments]
        case _:
            raise NoFormula
    if kind == "At":
        return Box(tuple(_indices(value, size) for value, size in zip(values, shape, strict=True)))
    if kind == "Flat":
        items = tuple(_run(_indices(value, math.prod(shape)), shape) for value in values)
        return items[0] if len(items) == 1 else Union(items)
    rows, columns = shape
    return REGIONS[kind.lower()].form(rows, columns, values)


def _indices(value: int | slice, size: int) -> range:
    """What an index or a slice of an axis names, in ascending order."""
    if not isinstance(value, slice):
        return range(value % size, value % size + 1)
    indices = range(*value.indices(size))
    return indices if indices.step > 0 else indices[::-1]


def _run(indices: range, shape: Shape) -> Box | Run:
    """Entries by their flat indices; a box if they are one."""
    if _length(indices) == math.prod(shape):
        return _everything(shape)
    if len(shape) == 1:
        return Box((indices,))
    if _length(indices) != 1:
        return Run(indices)
    subscripts: list[range] = []
    left = indices[0]
    for size in reversed(shape):
        left, index = divmod(left, size)
        subscripts.insert(0, range(index, index + 1))
    return Box(tuple(subscripts))


def _everything(shape: Shape) -> Box:
    return Box(tuple(map(range, shape)))


def _mirrored(region: Region) -> Region:
    """A region of a matrix in the transposed matrix."""
    match region:
        case Diagonals(first, last):
            return Diagonals(-last, -first)
        case Box((rows, columns)):
            return Box((columns, rows))
        case Blocks(rows, columns):
            return Blocks(columns, rows)
        case Not(inner):
            return Not(_mirrored(inner))
        case Union(regions):
            # In the order of the region itself, where it is its own mirror image.
            mirrored = tuple(map(_mirrored, regions))
            return region if set(mirrored) == set(regions) else Union(mirrored)
    raise NoFormula


def _size(whole: Whole, further: Sequence[Region], shape: Shape, depth: int = 0) -> int:
    """How many entries are in all of the regions: by inclusion and exclusion, for what is not whole."""
    compound: list[Not | Union] = []
    for region in further:
        if isinstance(region, (Not, Union)):
            compound.append(region)
        else:
            whole = _meet(whole, region, shape)
    number = _number(whole, shape)
    if not number or not compound:
        return number
    if depth > DEEPEST:
        raise NoFormula
    match compound:
        case [Not(inner), *others]:
            without = _size(whole, others, shape, depth + 1)
            return without - _size(whole, [inner, *others], shape, depth + 1) if without else 0
        case [Union((first, *rest)), *others]:
            # One after the other: what is in the first, and what is in the others and not in those before.
            count = _size(whole, [first, *others], shape, depth + 1)
            for position, region in enumerate(rest, start=1):
                before = Union((first, *rest)[:position])
                count += _size(whole, [region, *others], shape, depth + 1)
                count -= _size(whole, [region, before, *others], shape, depth + 1)
            return count
    return 0


def _number(region: Whole, shape: Shape) -> int:
    match region:
        case Box(indices):
            return math.prod(map(_length, indices))
        case Run(run):
            return _length(run)
        case Diagonals(first, last):
            return _from_diagonal(first, *shape) - _from_diagonal(last + 1, *shape) if first <= last else 0
        case Blocks(rows, columns):
            # All blocks are whole but the last.
            blocks = min(shape[0] // rows, shape[1] // columns)
            height, width = shape[0] - blocks * rows, shape[1] - blocks * columns
            return blocks * rows * columns + min(rows, height) * min(columns, width)


def _length(numbers: range) -> int:
    """`len` is for what memory could hold."""
    return max(0, -((numbers.start - numbers.stop) // numbers.step))


def _from_diagonal(k: int, rows: int, columns: int) -> int:
    """How many entries have j - i >= k."""
    if k <= 0:
        return rows * columns - _from_diagonal(1 - k, columns, rows)

    def triangle(n: int) -> int:
        return n * (n + 1) // 2 if n > 0 else 0

    return triangle(columns - k) - triangle(columns - k - rows)


def _meet(one: Whole, other: Whole, shape: Shape) -> Whole:
    """What two regions have in common."""
    everything = _everything(shape)
    if other in (everything, one):
        return one
    if one == everything:
        return other
    match one, other:
        case Diagonals(), Diagonals():
            return Diagonals(max(one.first, other.first), min(one.last, other.last))
        case Box(), Box():
            return Box(tuple(map(_common, one.indices, other.indices)))
        case Run(), Run():
            return Run(_common(one.indices, other.indices))
        case (Blocks(rows, columns), Diagonals(0, 0)) | (Diagonals(0, 0), Blocks(rows, columns)) if rows == columns:
            return Diagonals(0, 0)
    for point, region in ((one, other), (other, one)):
        if isinstance(point, Box) and _number(point, shape) <= 1:
            if not _number(point, shape) or _holds(region, tuple(indices[0] for indices in point.indices), shape):
                return point
            return Box((range(0),) * len(shape))
    raise NoFormula


def _common(one: range, other: range) -> range:
    """What two ascending ranges have in common: Chinese remainders."""
    shared = math.gcd(one.step, other.step)
    apart = other.start - one.start
    if apart % shared:
        return range(0)
    step = one.step * other.step // shared
    modulus = other.step // shared
    start = one.start + one.step * (apart // shared * pow(one.step // shared, -1, modulus) % modulus)
    start += max(0, -((start - max(one.start, other.start)) // step)) * step
    return range(start, min(one.stop, other.stop), step)


def _holds(region: Whole, entry: tuple[int, ...], shape: Shape) -> bool:
    match region:
        case Box(ranges):
            return all(index in indices for index, indices in zip(entry, ranges, strict=True))
        case Run(run):
            flat = 0
            for index, size in zip(entry, shape, strict=True):
                flat = flat * size + index
            return flat in run
        case Diagonals(first, last):
            return first <= entry[1] - entry[0] <= last
        case Blocks(rows, columns):
            return entry[0] // rows == entry[1] // columns
