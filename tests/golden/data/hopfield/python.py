"""A Hopfield network, unrolled for three steps: symmetric weights, and no neuron that drives itself.

Written by wdsl from specs/hopfield.wnet:

    ## A Hopfield network, unrolled for three steps: symmetric weights, and no neuron that drives itself.
    network Hopfield(neurons: int = 64) {
        input pattern: [neurons]

        layer recall = Dense(neurons, activation=tanh, use_bias=false) symmetric, zero[diagonal]

        output settled = pattern -> recall -> recall -> recall
    }
"""

import contextlib
import functools
import inspect
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops


def Hopfield(neurons: int = 64) -> keras.Model:
    """A Hopfield network, unrolled for three steps: symmetric weights, and no neuron that drives itself.

    Returns:
        A model from `pattern`, (batch, neurons) float32,
        to `settled`, (batch, neurons) float32.
    """
    pattern = keras.Input((neurons,), name="pattern")  # line 3

    recall = Structured(
        layers.Dense(neurons, activation="tanh", use_bias=False),
        {"kernel": [Symmetric(), Zero(Diagonal())]},
        kind="Recall",
        name="recall",
    )  # line 5

    settled = recall(recall(recall(pattern)))  # line 7

    return keras.Model(pattern, settled, name="Hopfield")


# What the weights need: definitions of wdsl's runtime, to the letter. A module that
# `wdsl build --runtime` writes imports them instead.


Shape = tuple[int, ...]


Indices = np.ndarray[Any, np.dtype[np.intp]]


class Term:
    """An equation or a region: one word of what a weight's structure says."""

    kinds: ClassVar[dict[str, "type[Term]"]] = {}

    def __init_subclass__(cls) -> None:
        Term.kinds[cls.__name__] = cls

    def parts(self) -> tuple[Any, ...]:
        """What the term is made of, to be written down."""
        return tuple(vars(self).values())

    @classmethod
    def restore(cls, parts: list[Any], kinds: "Mapping[str, type[Term]]") -> "Term":
        return cls(*(from_config(part, kinds) for part in parts))


Part = tuple[slice, ...]


# So many entries are looked at in one go: large weights take no memory for what is
# computed on the way.
PART = 2**16


def parts_of(shape: Shape) -> Iterator[Part]:
    """The pieces of an array, cut across its longest axis."""
    axis = max(range(len(shape)), key=lambda each: shape[each], default=0)
    length = shape[axis] if shape else 1
    step = max(1, PART * length // max(1, math.prod(shape)))
    for start in range(0, max(1, length), step):
        piece = slice(start, min(start + step, length))
        yield tuple(
            piece if n == axis else slice(0, shape[n]) for n in range(len(shape))
        )


def entries_in(part: Part, shape: Shape) -> Indices:
    """The flat indices of the entries in a part."""
    entries = np.zeros([each.stop - each.start for each in part], np.intp)
    for axis, index in enumerate(np.ogrid[part]):
        entries += index * math.prod(shape[axis + 1 :])
    return entries


class Region(Term):
    """Some entries of a weight."""

    def mask(self, shape: Shape) -> np.ndarray:
        """True at the entries that the region names."""
        raise NotImplementedError

    def matrix(self, shape: Shape) -> tuple[Indices, Indices]:
        """The row numbers i, as a column, and the column numbers j, as a row."""
        if len(shape) != 2:
            raise ValueError(f"{self} is a region of a matrix, not of shape {shape}.")
        return np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]


@dataclass(frozen=True)
class Diagonal(Region):
    """The entries with j - i == k."""

    k: int = 0

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return j == i + self.k


@dataclass(frozen=True, init=False)
class Several(Term):
    """A term that is made of any number of items."""

    items: tuple[Any, ...]

    def __init__(self, *items: Any) -> None:
        object.__setattr__(self, "items", items)

    def parts(self) -> tuple[Any, ...]:
        return self.items


@dataclass(frozen=True)
class Not(Region):
    """The entries that another region does not name."""

    region: Region

    def mask(self, shape: Shape) -> np.ndarray:
        return ~self.region.mask(shape)


class Union(Several, Region):
    """The entries that any of several regions names."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(shape, bool)
        for region in self.items:
            mask |= region.mask(shape)
        return mask


Merge = tuple[np.ndarray, np.ndarray, float]


class Equation(Term):
    """Something that is true of the entries of one weight."""

    from_outside: ClassVar[bool] = False
    is_trained: ClassVar[bool] = True

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        """True at the entries whose value the equation gives, and that value."""
        return np.zeros(shape, bool), 0.0

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        """What equals what, up to a factor; `known` are all entries with values."""
        return iter(())


def index_type(size: int) -> type[np.signedinteger[Any]]:
    """The smallest type that counts so many entries."""
    return np.int32 if size < 2**31 else np.int64


@dataclass(frozen=True)
class Symmetric(Equation):
    """The weight equals itself with two axes swapped."""

    a: int = 0
    b: int = 1
    sign: ClassVar[float] = 1.0

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        rank = len(shape)
        if not all(-rank <= axis < rank for axis in (self.a, self.b)):
            raise ValueError(f"{self} needs axes that shape {shape} does not have.")
        if shape[self.a] != shape[self.b]:
            raise ValueError(f"{self} needs axes of equal size, not shape {shape}.")
        a, b = sorted((self.a % rank, self.b % rank))
        # An entry and its mirror image are as many places apart for each step off.
        places = math.prod(shape[a + 1 :]) - math.prod(shape[b + 1 :])
        for part in parts_of(shape):
            entries, index = entries_in(part, shape), np.ogrid[part]
            apart = index[a] - index[b]
            half = apart >= 0 if self.sign < 0 else apart > 0
            half = np.broadcast_to(half, entries.shape)
            yield entries[half], (entries - apart * places)[half], self.sign


class Zero(Several, Equation):
    """The entries of the regions are zero; without regions, all are."""

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        regions = Union(*self.items) if self.items else Not(Union())
        return regions.mask(shape), 0.0


@dataclass(frozen=True)
class IndexMap:
    """What every entry is: `scale * theta[index]`, or `constant` where index is -1.

    `scale` and `constant` are None where they are 1 and 0 everywhere.
    """

    index: np.ndarray
    size: int
    scale: np.ndarray | None
    constant: np.ndarray | None


UnionFind = tuple[np.ndarray, np.ndarray | None, np.ndarray]


def union(size: int, merges: Iterable[Merge]) -> UnionFind:
    """Merge entries into groups, by array operations.

    Returns, for each entry, the first entry of its group and its factor
    (W[e] = factor W[first]; None if all are 1), and whether it was found to be two
    different multiples of one value, so that its group must be zero.
    """
    first = np.arange(size, dtype=index_type(size))
    factor: np.ndarray | None = None
    dead = np.zeros(size, bool)

    def seek(entries: Any) -> np.ndarray:
        """The first of the group of each entry, which now points there directly."""
        while ((up := first[above := first[entries]]) != above).any():
            if factor is not None:
                factor[entries] *= factor[above]
            first[entries] = up
        return up

    for one, other, c in merges:
        u, v = one, other
        if c != 1.0 and factor is None:
            factor = np.ones(size, np.int8)  # enough for signs
        if factor is not None and abs(c) != 1.0:
            factor = factor.astype(float)
        while u.size:
            a, b = seek(u), seek(v)
            apart = a != b
            if factor is not None:  # W[a] = ratio W[b]
                ratio = c * factor[v] / factor[u]
                dead[u[~apart & ~np.isclose(ratio, 1.0, rtol=1e-9, atol=0.0)]] = True
                ratio = np.where(a > b, ratio, 1.0 / ratio)[apart]
            if not apart.all():
                u, v, a, b = u[apart], v[apart], a[apart], b[apart]
            # Each group goes under the one with the lowest first entry beside it.
            high, low = np.maximum(a, b), np.minimum(a, b)
            first[high] = low
            if not (taken := first[high] == low).all():
                np.minimum.at(first, high, low)
                taken = first[high] == low
            if factor is not None:
                factor[high[taken]] = ratio[taken]
                taken &= factor[high] == ratio
            if (first[low] != low).any():
                seek(high)
            u, v = u[~taken], v[~taken]
    for start in range(0, size, PART):
        seek(slice(start, start + PART))
    return first, factor, dead


def index_map(
    equations: Iterable[Equation], shape: Shape, also_known: Any = False
) -> IndexMap:
    """Solve the equations; free parameters are numbered by first entry in C order.

    `also_known` is true at entries that other equations give a value.

    Raises ValueError if an entry would have two different values.
    """
    equations = list(equations)
    claims = [equation.known(shape) for equation in equations]
    known = np.zeros(shape, bool) | also_known
    for mask, _ in claims:
        known |= mask
    merges = (m for equation in equations for m in equation.merges(shape, known))
    return numbered(claims, union(math.prod(shape), merges), shape)


def numbered(
    claims: Iterable[tuple[np.ndarray, float]], groups: UnionFind, shape: Shape
) -> IndexMap:
    """Number the groups that no claim gives a value, by first entry in C order."""
    size = math.prod(shape)
    first, factor, dead = groups
    factor = None if factor is None else factor.astype(float)
    is_known, values = np.zeros(size, bool), np.zeros(size)
    is_known[first[dead]] = True
    claims = list(claims)
    has_values = any(value for _, value in claims)
    for mask, value in claims:
        entries = np.flatnonzero(mask)
        firsts = first[entries]
        if not has_values:
            is_known[firsts] = True
            continue
        wanted = value if factor is None else value / factor[entries]
        before = np.where(is_known[firsts], values[firsts], wanted)
        is_known[firsts] = True
        values[firsts] = wanted
        agree = (before == wanted) & (values[firsts] == wanted)
        if not agree.all() and not np.isclose([before, values[firsts]], wanted).all():
            raise ValueError(f"An entry would be {value} and another value as well.")
    free = ~is_known & (first == np.arange(size, dtype=first.dtype))
    # The number of each group, where it stands first; -1 for those that have values.
    numbers = np.cumsum(free, dtype=first.dtype) - 1
    numbers[is_known] = -1
    index = numbers[first]
    scale = constant = None
    if factor is not None:
        scale = np.where(index >= 0, factor, 1.0).reshape(shape)
    if has_values:
        constant = values[first] * (1.0 if factor is None else factor)
        constant = np.where(index >= 0, 0.0, constant).reshape(shape)
    return IndexMap(index.reshape(shape), int(free.sum()), scale, constant)


def to_config(value: Any) -> Any:
    """A term, or a part of one, as nested lists for JSON."""
    if hasattr(value, "parts"):
        return [type(value).__name__, *map(to_config, value.parts())]
    if isinstance(value, slice):
        return ["slice", value.start, value.stop, value.step]
    return [to_config(part) for part in value] if isinstance(value, tuple) else value


def from_config(config: Any, kinds: Mapping[str, type[Term]] = Term.kinds) -> Any:
    """The term that `to_config` wrote down."""
    if not isinstance(config, list):
        return config
    name, *parts = config
    if name == "slice":
        return slice(*parts)
    if name not in kinds:
        raise ValueError(f"There is no equation or region {name!r} here.")
    return kinds[name].restore(parts, kinds)


@dataclass(frozen=True)
class MatrixPattern:
    """What a matrix is, in a few numbers.

    `least` is how many entries a matrix has for which the product is worth its own
    overhead; `python -m tests.bench.training --sizes` shows it. What pays in training
    need not pay in inference, where a matrix is made once and for all.
    """

    kinds: ClassVar[dict[str, type["MatrixPattern"]]] = {}
    least: ClassVar[int] = 2**12
    has_factors: ClassVar[bool] = False
    pays_in_inference: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        MatrixPattern.kinds[cls.__name__] = cls

    @classmethod
    def of(cls, solved: IndexMap) -> "MatrixPattern | None":
        """The pattern, if the entries are as it says. None of them is a constant.

        Nor has any a factor, unless the pattern says that it has.
        """
        raise NotImplementedError

    def laid_out(self, index: Indices) -> Indices:
        """The index of each entry's free parameter in the order of the product."""
        return index

    def is_worth_it(self, rows: int, columns: int) -> bool:
        return rows * columns >= self.least


def pattern_of(solved: IndexMap) -> MatrixPattern | None:
    """The first pattern that a matrix has and whose product is worth it, or None."""
    index, size = solved.index, solved.size
    if index.ndim != 2 or solved.constant is not None or size in (0, index.size):
        return None
    is_plain, kinds = solved.scale is None, MatrixPattern.kinds.values()
    found = (kind.of(solved) for kind in kinds if is_plain or kind.has_factors)
    worth_it = (each for each in found if each and each.is_worth_it(*index.shape))
    return next(worth_it, None)


def each_once(index: Indices, size: int) -> bool:
    """Whether no two entries have one free parameter; they are counted in order."""
    return int(np.count_nonzero(index >= 0)) == size


@dataclass(frozen=True)
class BlockDiagonalMatrix(MatrixPattern):
    """Blocks of one size along the diagonal, zero elsewhere."""

    least: ClassVar[int] = 2**18
    count: int
    rows: int
    columns: int

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        index, size = solved.index, solved.size
        (rows, columns), live = index.shape, index >= 0
        r, c = int(live[:, 0].sum()), int(live[0].sum())
        count = rows // r if r else 0
        if (count * r, count * c, count * r * c) != (rows, columns, size):
            return None
        block, grid = np.arange(count), index.reshape(count, r, count, c)
        in_order = (grid[block, :, block].ravel() == np.arange(size)).all()
        return cls(count, r, c) if in_order and each_once(index, size) else None


@dataclass(frozen=True)
class BandMatrix(MatrixPattern):
    """Zero but for `lower` diagonals below the main one, `upper` above it, and it.

    Columns are taken `width` at a time: of x, each of these needs the same number of
    columns, one window. `strips` are the matrix's entries that meet, side by side.
    """

    least: ClassVar[int] = 2**18
    width: int
    lower: int
    upper: int

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        i, j = np.nonzero(solved.index >= 0)
        upper, lower = max(0, int((j - i).max())), max(0, int((i - j).max()))
        return cls(max(64, lower + upper), lower, upper)

    def is_worth_it(self, rows: int, columns: int) -> bool:
        window = self.width + self.lower + self.upper
        is_narrow = window * 4 <= rows and self.width < columns
        return is_narrow and super().is_worth_it(rows, columns)

    def strips(self, index: Indices) -> Indices:
        rows, columns = index.shape
        start = np.arange(-(-columns // self.width))[:, None, None] * self.width
        i = start + np.arange(self.width + self.lower + self.upper)[:, None]
        i, j = i - self.upper, start + np.arange(self.width)
        inside = (i >= 0) & (i < rows) & (j < columns)
        found = index[np.clip(i, 0, rows - 1), np.minimum(j, columns - 1)]
        # What lies outside the band but in a strip is zero in the matrix, too.
        return np.where(inside, found, -1).astype(index.dtype)


@dataclass(frozen=True)
class Halves(MatrixPattern):
    """Free on one side of the diagonal; on the other its mirror image, or zero.

    Cut in halves, such a matrix is two smaller ones along the diagonal and one block
    between them. It is cut `depth` times, and the small matrices that are left can be
    anything. Free parameters lie block by block, the largest first, and then those of
    the small matrices: so they are in saved files.
    """

    least: ClassVar[int] = 2**18
    smallest: ClassVar[int] = 64
    has_factors: ClassVar[bool] = True
    pays_in_inference: ClassVar[bool] = False  # as much is multiplied, in more calls
    n: int
    depth: int
    is_lower: bool
    sign: int
    """What the other side is of this one's transpose: 1, -1, or 0."""

    @classmethod
    def of(cls, solved: IndexMap) -> MatrixPattern | None:
        n, depth = solved.index.shape[0], 0
        while n >> depth >= 2 * cls.smallest and (n >> depth) % 2 == 0:
            depth += 1
        if not depth or solved.index.shape != (n, n):
            return None
        kinds = [(False, 1), (False, 0), (True, 0)]
        if solved.scale is not None:
            kinds = [(False, 1), (False, -1)]
        found = (cls(n, depth, is_lower, sign) for is_lower, sign in kinds)
        return next((each for each in found if each.is_so(solved)), None)

    def is_so(self, solved: IndexMap) -> bool:
        """Whether the entries are as this pattern says."""
        small = self.leaves(solved.index)
        if np.unique(small[small >= 0]).size + self.in_blocks != solved.size:
            return False
        for level in range(self.depth):
            one, other = self.blocks(solved.index, level)
            mirrored = one.transpose(0, 2, 1) if self.sign else -1
            if (one < 0).any() or (other != mirrored).any():
                return False
            if solved.scale is not None:
                one, other = self.blocks(solved.scale, level)
                if (one != 1).any() or (other != self.sign).any():
                    return False
        return True

    @property
    def shapes(self) -> list[Shape]:
        """The shape of the blocks of each level: how many, rows, columns."""
        sizes = [self.n >> level + 1 for level in range(self.depth)]
        return [(2**level, size, size) for level, size in enumerate(sizes)]

    @property
    def in_blocks(self) -> int:
        """How many free parameters the blocks have together."""
        return sum(map(math.prod, self.shapes))

    def blocks(self, entries: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
        """The blocks of a level on the free side of the diagonal, and on the other."""
        count, size, _ = self.shapes[level]
        grid, each = entries.reshape(count, 2, size, count, 2, size), np.arange(count)
        above, below = grid[each, 0, :, each, 1], grid[each, 1, :, each, 0]
        return (below, above) if self.is_lower else (above, below)

    def leaves(self, entries: np.ndarray) -> np.ndarray:
        """The small matrices along the diagonal."""
        count, size = 2**self.depth, self.n >> self.depth
        each = np.arange(count)
        return entries.reshape(count, size, count, size)[each, :, each]

    def laid_out(self, index: Indices) -> Indices:
        blocks = [self.blocks(index, level)[0].ravel() for level in range(self.depth)]
        small = np.unique(self.leaves(index))
        order = np.concatenate([*blocks, small[small >= 0]])
        new = np.full(order.size + 1, -1, index.dtype)  # the last is for -1
        new[order] = np.arange(order.size)
        return new[index]


MatrixProduct = Callable[[Any, Any, str], Any]


PRODUCTS: dict[type[MatrixPattern], Callable[[Any, IndexMap], MatrixProduct]] = {}


def product_with(kind: type[MatrixPattern]) -> Callable[[Any], Any]:
    """Register what makes the product, of a pattern and the solved entries."""

    def register(maker: Any) -> Any:
        PRODUCTS[kind] = maker
        return maker

    return register


def product_of(solved: IndexMap) -> tuple[MatrixProduct | None, IndexMap]:
    """How to multiply by a matrix without making it, where that is worth it.

    And the entries again, with their free parameters in the order that it wants.
    """
    pattern = pattern_of(solved)
    if pattern is None:
        return None, solved
    solved = replace(solved, index=pattern.laid_out(solved.index))
    return PRODUCTS[type(pattern)](pattern, solved), solved


class Placement:
    """Free parameters, each where it stands in a tensor, and zeros elsewhere."""

    def __init__(self, index: Indices, size: int) -> None:
        self.index, self.size, self.is_live = index, size, index >= 0
        self.has_zeros = not self.is_live.all()
        self.places = places_of(index, size)
        # It is less work to write those that there are than to read for each entry.
        self.are_written = len(self.places) == 1 and 4 * size <= 3 * index.size

    def __call__(self, theta: Any) -> Any:
        place = ops.custom_gradient(lambda theta: (self.placed(theta), self.gathered))
        return place(ops.reshape(theta, (-1,)))  # a tensor, if it was a variable

    def placed(self, theta: Any) -> Any:
        if self.are_written:
            # One term in each sum: `scatter`, made for this, takes two to ten times
            # as long in a graph.
            flat = ops.segment_sum(theta, self.places[0], self.index.size)
            return ops.reshape(flat, self.index.shape)
        if not self.has_zeros:
            return ops.take(theta, self.index, axis=0)
        # Not a zero in front of theta: XLA would ask for each entry which it is.
        tensor = ops.take(theta, np.maximum(self.index, 0), axis=0)
        return ops.where(self.is_live, tensor, 0)

    def gathered(self, tensor: Any) -> Any:
        """The gradient: for each free parameter the sum of where it stands.

        Reading some places takes much less than adding up all entries, which is what
        the gradient of `take` does.
        """
        flat = ops.reshape(tensor, (-1,))
        if not self.places:  # Entries of number -1 are left out.
            return ops.segment_sum(flat, self.index.ravel(), self.size)
        total = ops.take(flat, self.places[0], axis=0)
        for places in self.places[1:]:
            more = ops.take(flat, np.maximum(places, 0), axis=0)
            total = total + ops.where(places >= 0, more, 0)
        return total


def places_of(index: Indices, size: int) -> list[Indices]:
    """Where each free parameter stands first, second, and so on; -1 if nowhere.

    An empty list if some stand in many places, or in many more than others.
    """
    live = np.flatnonzero(index >= 0)
    numbers = index.ravel()[live]
    counts = np.bincount(numbers, minlength=size)
    most = int(counts.max(initial=1))
    if most > 4 or most * size > 2 * live.size:
        return []
    order = np.argsort(numbers, kind="stable")
    nth = np.arange(live.size) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.full((most, size), -1, index_type(index.size))
    places[nth, numbers[order]] = live[order]
    return list(places)


def widened(dtype: str, *tensors: Any) -> list[Any]:
    """Tensors in a dtype that loses nothing when many of dtype `dtype` are added."""
    wide = keras.backend.result_type(dtype, "float32")
    return [ops.cast(tensor, wide) for tensor in tensors]


@product_with(BlockDiagonalMatrix)
def times_block_diagonal_matrix(
    pattern: BlockDiagonalMatrix, solved: IndexMap
) -> MatrixProduct:
    count, rows, columns = pattern.count, pattern.rows, pattern.columns

    def times(x: Any, theta: Any, dtype: str) -> Any:
        x, theta = ops.cast(x, dtype), ops.cast(theta, dtype)
        y = ops.matmul(cut(x, count), ops.reshape(theta, (count, rows, columns)))
        return ops.reshape(joined(y), (*ops.shape(x)[:-1], count * columns))

    return times


@product_with(BandMatrix)
def times_band_matrix(pattern: BandMatrix, solved: IndexMap) -> MatrixProduct:
    (rows, columns), width = solved.index.shape, pattern.width
    strips = Placement(pattern.strips(solved.index), solved.size)
    count, beside = strips.index.shape[0], pattern.lower + pattern.upper
    # Inputs are cut or filled up to the windows of all strips, and one width more.
    end = (count + 1) * width - pattern.upper

    def times(x: Any, theta: Any, dtype: str) -> Any:
        flat = ops.reshape(ops.cast(x, dtype), (-1, rows))[:, :end]
        flat = ops.pad(flat, ((0, 0), (pattern.upper, max(0, end - rows))))
        grid = ops.reshape(flat, (-1, count + 1, width))
        windows = ops.concatenate([grid[:, :-1], grid[:, 1:, :beside]], -1)
        windows = ops.transpose(windows, (1, 0, 2))
        y = joined(ops.matmul(windows, ops.cast(strips(theta), dtype)))[:, :columns]
        return ops.reshape(y, (*ops.shape(x)[:-1], columns))

    return times


@product_with(Halves)
def times_halves(pattern: Halves, solved: IndexMap) -> MatrixProduct:
    """With a block B on the free side, between A and C, and a sign s:

    y_one = x_one A + s x_other B^T, and y_other = x_one B + x_other C.

    All blocks of a level are multiplied at once, and A and C in the same way.
    """
    n, sign, shapes = pattern.n, pattern.sign, pattern.shapes
    starts = np.cumsum([math.prod(shape) for shape in shapes])
    index = pattern.leaves(solved.index)
    small = np.where(index < 0, -1, index - pattern.in_blocks).astype(index.dtype)
    place = Placement(small, solved.size - pattern.in_blocks)
    factors = None if solved.scale is None else pattern.leaves(solved.scale)

    def scaled(leaves: Any) -> Any:
        return leaves if factors is None else leaves * ops.cast(factors, leaves.dtype)

    def halves(parts: Any) -> tuple[Any, Any]:
        pairs = ops.reshape(parts, (parts.shape[0] // 2, 2, -1, parts.shape[2]))
        first, second = pairs[:, 0], pairs[:, 1]
        return (second, first) if pattern.is_lower else (first, second)

    def whole(one: Any, other: Any) -> Any:
        return ops.concatenate([other, one] if pattern.is_lower else [one, other], -1)

    def levels(x: Any) -> tuple[Any, list[tuple[Any, Any]]]:
        """What each leaf is multiplied by, and each block, from the smallest on."""
        leaves = parts = cut(x, 2**pattern.depth)
        found = []
        for _ in shapes:
            found.append(halves(parts))
            parts = whole(*found[-1])
        return leaves, found

    def product(x: Any, theta: Any) -> Any:
        *blocks, small = ops.split(theta, starts)
        shaped = zip(blocks, shapes, strict=True)
        blocks = [ops.reshape(*each) for each in shaped][::-1]
        leaves, x_levels = scaled(place.placed(small)), levels(x)

        def times(levels: Any, y: Any, there: int, back: int) -> Any:
            """What the leaves give, y, and the blocks, with a sign each way."""
            (y,), dtype = widened(x.dtype, y), x.dtype
            for (one, other), block in zip(levels[1], blocks, strict=True):
                y_one, y_other = halves(y)
                if back:
                    y_one += signed(back, *widened(dtype, by_transposed(other, block)))
                if there:
                    y_other += signed(there, *widened(dtype, ops.matmul(one, block)))
                y = whole(y_one, y_other)
            return ops.cast(y[0], dtype)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            found: list[Any] = []
            g_levels = levels(upstream)
            for x_pair, g_pair in zip(x_levels[1], g_levels[1], strict=True):
                left, right = x_pair[0], g_pair[1]
                if sign:  # A sum of two products is one of twice the length.
                    left = ops.concatenate([left, signed(sign, g_pair[0])], 1)
                    right = ops.concatenate([right, x_pair[1]], 1)
                # XLA joins more than eight parts one by one, and fewer by asking for
                # each entry in which it is, which takes longer than all the rest.
                ends = np.arange(1, min(8, n // 2)) * (n // 2) // 8
                lefts = [left] if left.shape[0] > 1 else ops.split(left, ends, -1)
                products = [transposed_by(each, right) for each in lefts]
                found = [ops.reshape(each, (-1,)) for each in products] + found
            in_leaves = transposed_by(x_levels[0], g_levels[0])
            found.append(place.gathered(scaled(in_leaves)))
            from_leaves = by_transposed(g_levels[0], leaves)
            return times(g_levels, from_leaves, sign, 1), ops.concatenate(found)

        return times(x_levels, ops.matmul(x_levels[0], leaves), 1, sign), gradient

    def multiply(x: Any, theta: Any, dtype: str) -> Any:
        flat = ops.reshape(ops.cast(x, dtype), (-1, n))
        flat_theta = ops.reshape(ops.cast(theta, dtype), (-1,))
        y = ops.custom_gradient(product)(flat, flat_theta)
        return ops.reshape(y, ops.shape(x))

    return multiply


def signed(sign: int, tensor: Any) -> Any:
    return tensor if sign > 0 else -tensor


def by_transposed(matrices: Any, others: Any) -> Any:
    """Each matrix times the transpose of another, which is not made."""
    if matrices.shape[0] == 1:
        return ops.matmul(matrices[0], ops.transpose(others[0]))[None]
    return ops.matmul(matrices, ops.transpose(others, (0, 2, 1)))


def transposed_by(matrices: Any, others: Any) -> Any:
    """The transpose of each matrix, which is not made, times another."""
    if matrices.shape[0] == 1:
        return ops.matmul(ops.transpose(matrices[0]), others[0])[None]
    return ops.matmul(ops.transpose(matrices, (0, 2, 1)), others)


def cut(x: Any, count: int) -> Any:
    """Rows of so many parts as so many matrices of rows."""
    return ops.transpose(ops.reshape(x, (-1, count, x.shape[-1] // count)), (1, 0, 2))


def joined(parts: Any) -> Any:
    """Matrices of rows as one with all their columns."""
    y = ops.transpose(parts, (1, 0, 2))
    return ops.reshape(y, (-1, parts.shape[0] * parts.shape[2]))


class Expansion:
    """The way between a weight and its free parameters, theta."""

    constraint: Any = None

    def __init__(
        self, equations: Iterable[Equation], shape: Shape, also_known: Any = False
    ) -> None:
        equations = tuple(equations)
        solved = index_map(equations, shape, also_known)
        self.solved, self.shape, self.size = solved, shape, solved.size
        self.scale, self.constant = solved.scale, solved.constant
        self.is_trained = all(equation.is_trained for equation in equations)
        self.is_dense = self.size == solved.index.size
        self.is_reordered = False

    @functools.cached_property
    def entries(self) -> Placement:
        """Where free parameters stand: needed once the weight is made."""
        return Placement(self.solved.index, self.size)

    def expand(self, theta: Any) -> Any:
        """The weight: each entry is a multiple of its free parameter, or constant."""
        weight = self.spread(theta)
        if self.scale is not None:
            weight = weight * ops.cast(self.scale, weight.dtype)
        if self.constant is not None:
            weight = weight + ops.cast(self.constant, weight.dtype)
        return weight

    def spread(self, theta: Any) -> Any:
        """The free parameter behind each entry, or zero."""
        if self.is_dense:
            return ops.reshape(theta, self.shape)
        if self.size == 1 and not self.entries.has_zeros:
            return ops.broadcast_to(theta, self.shape)
        return self.entries(theta)

    def reduce(self, *drawn: tuple[Any, Any]) -> Any:
        """The free parameters of drawn weights: the first entry of each group.

        With each weight comes its initializer. Where zeros leave less than that counted
        on, the rest is scaled up, so that outputs vary as they would without zeros.
        """
        if self.is_dense and len(drawn) == 1:
            return drawn[0][0]
        live = self.solved.index.ravel() >= 0
        if self.constant is not None:
            live = live | (self.constant.ravel() != 0)
        parts, start = [], 0
        for weight, initializer in drawn:
            part, stop = ops.reshape(weight, (-1,)), start + math.prod(weight.shape)
            if isinstance(initializer, keras.initializers.VarianceScaling):
                mask = live[start:stop].reshape(weight.shape)
                dense_fan = mean_fan(np.ones_like(mask), initializer)
                part = part * math.sqrt(dense_fan / mean_fan(mask, initializer))
            parts.append(part)
            start = stop
        flat = ops.concatenate(parts) if len(parts) > 1 else parts[0]
        return ops.take(flat, self.first_entries(), axis=0)

    def first_entries(self) -> Indices:
        """Where each free parameter stands first in the weight."""
        index = self.solved.index.ravel()
        live = np.flatnonzero(index >= 0)[::-1]
        first = np.empty(self.size, index_type(index.size))
        first[index[live]] = live  # the last that is written is the first in order
        return first

    def product(self) -> MatrixProduct | None:
        """How to multiply by the weight, a matrix, in less work than by making it.

        That can put the free parameters into another order.
        """
        before = self.solved.index
        product, self.solved = product_of(self.solved)
        self.is_reordered = self.solved.index is not before
        return product

    def add_theta(
        self, layer: Any, name: str, draw: Callable[[], Any], regularizer: Any
    ) -> Any:
        """Give a layer the free parameters of a weight, from what `draw` returns.

        That is a weight and its initializer. A regularizer sees the whole weight.
        """
        return layer.add_weight(
            name=name,
            shape=self.shape if self.is_dense else (self.size,),
            initializer=lambda shape, dtype: ops.cast(self.reduce(draw()), dtype),
            trainable=self.is_trained,
            regularizer=regularizer and OnWeight(regularizer, self),
            constraint=self.constraint,
            autocast=False,
        )


def expansion_of(equations: Sequence[Equation], shape: Shape) -> Expansion:
    """An expansion, of the kind that the equations ask for."""
    kinds = (getattr(equation, "expansion", Expansion) for equation in equations)
    kind = next((kind for kind in kinds if kind is not Expansion), Expansion)
    return kind(equations, shape)


def is_kernel_of_dense(layer: Any, weight: "Weight") -> bool:
    """Whether a layer does nothing with a weight but multiply its inputs by it."""
    is_kernel = type(layer) is layers.Dense and layer._kernel is weight
    return is_kernel and not layer.lora_enabled


def call_dense(layer: Any, weight: "Weight", inputs: Any, training: Any = None) -> Any:
    """What `Dense.call` computes, with the product of its kernel."""
    x = ops.convert_to_tensor(inputs, sparse=False)
    dtype = keras.backend.result_type(x.dtype, weight.dtype)
    x = weight.product(x, weight.value, dtype)
    if layer.bias is not None:
        x = ops.add(x, layer.bias)
    return x if layer.activation is None else layer.activation(x)


class OnWeight(keras.regularizers.Regularizer):
    """A regularizer of a weight, given the weight's free parameters."""

    def __init__(self, regularizer: Any, expansion: Expansion) -> None:
        self.regularizer, self.expansion = regularizer, expansion

    def __call__(self, theta: Any) -> Any:
        return self.regularizer(self.expansion.expand(theta))


def mean_fan(live: np.ndarray, initializer: Any) -> float:
    """The fan that a variance scaling initializer divides by, of the entries alive.

    That is how many an output or an input has on average, if it has any.
    """
    count, rank = float(live.sum()), live.ndim
    # Keras has these axes since version 3.15, and sets them in EinsumDense.
    inputs = getattr(initializer, "input_axes", None)
    outputs = getattr(initializer, "output_axes", None)
    if inputs is None or outputs is None:
        if rank < 2:
            return count or 1.0
        inputs, outputs = (rank - 2,), (rank - 1,)

    def mean(ends: Sequence[int]) -> float:
        others = set(range(rank)) - {axis % rank for axis in ends}
        return count / (live.any(axis=tuple(others)).sum() or 1) or 1.0

    fans = {"fan_in": mean(outputs), "fan_out": mean(inputs)}
    return fans.get(initializer.mode, sum(fans.values()) / 2)


class Weight(np.lib.mixins.NDArrayOperatorsMixin):
    """A structured weight, standing where the wrapped layer had a variable.

    During a call it has a value for the thread that calls; if it has a product, that
    is what is stored. Otherwise it is what its free parameters make it.
    """

    def __init__(self, path: str, shape: Shape, dtype: str) -> None:
        self.path, self.shape, self.ndim, self.dtype = path, shape, len(shape), dtype
        self.expansion: Any = None
        self.theta: Any = None
        self.product: Any = None
        self.thread = threading.local()

    @property
    def value(self) -> Any:
        value = getattr(self.thread, "value", None)
        if value is None and self.expansion is None:
            raise RuntimeError(f"Weight {self.path!r} has a value during a call only.")
        return self.expansion.expand(self.theta) if value is None else value

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        return ops.cast(self.value, dtype.name if dtype else self.dtype)

    def __jax_array__(self) -> Any:
        return self.value

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Any:
        tensors = (x.value if isinstance(x, Weight) else x for x in inputs)
        return getattr(ops, ufunc.__name__)(*tensors)


def follow(layer: Any, path: str) -> tuple[Any, str]:
    """The layer that has a weight, and the weight's name, by the way there.

    "kernel" is the layer's own; "cell/kernel" that of its attribute `cell`.
    """
    *steps, name = path.split("/")
    for step in steps:
        layer = layer[int(step)] if step.isdigit() else getattr(layer, step)
    return layer, name


def variable_at(layer: Any, path: str) -> tuple[Any, Any]:
    """The layer that has a weight, and the weight. Raises ValueError if none has."""
    try:
        owner, name = follow(layer, path)
        own = [*owner._trainable_variables, *owner._non_trainable_variables]
    except (AttributeError, IndexError, TypeError):
        own = []
    found = [variable for variable in own if variable.name == name]
    if len(found) != 1:
        there = ", ".join(v.path.removeprefix(f"{layer.path}/") for v in layer.weights)
        raise ValueError(
            f"{len(found) or 'No'} weights of layer {layer.name!r} are {path!r}; "
            f"its weights are {there or 'none'}."
        )
    return owner, found[0]


def take_out(layer: Any, path: str) -> tuple[Any, Any, int, Weight]:
    """Put a `Weight` where a layer, or a layer inside it, has a variable.

    Returns the layer that the variable belonged to, the variable, its place among those
    of the layer that are trained, and the weight.
    """
    owner, variable = variable_at(layer, path)
    trained = [id(each) for each in owner._trainable_variables]
    place = trained.index(id(variable)) if id(variable) in trained else 0
    holders = [
        (holder, name)
        for holder in layer._flatten_layers()
        for name, value in vars(holder).items()
        if value is variable
    ]
    dtype = owner.compute_dtype if owner.autocast else owner.variable_dtype
    weight = Weight(
        path, tuple(variable.shape), dtype if variable._autocast else variable.dtype
    )
    for holder, name in holders:
        # Keras forgets the variable here, TensorFlow when the attribute goes, which
        # must not hold it then: Layer.__delattr__ would collect all garbage first.
        holder._untrack_variable(variable)
        setattr(holder, name, None)
        delattr(holder, name)
        setattr(holder, name, weight)
        # Dense and some others save weights by name; save what is still tracked.
        for method in ("save_own_variables", "load_own_variables"):
            default = getattr(keras.Layer, method)
            setattr(holder, method, functools.partial(default, holder))
    return owner, variable, place, weight


@contextlib.contextmanager
def drawing_later() -> Iterator[None]:
    """A scope at whose end variables get their values; until then they know where from.

    If a value cannot be drawn, Keras would try again at the end of each later scope.
    """
    scope = keras.StatelessScope()
    try:
        with scope:
            yield
    except Exception:
        if scope.original_scope is None:
            state = keras.src.backend.common.global_state
            state.set_global_attribute("uninitialized_variables", [])
        raise


def refuse(method: str, name: str, *args: Any, **kwargs: Any) -> None:
    """What `quantize` and `enable_lora` of a layer do whose weights have structure."""
    said = f"leaves layer {name!r} as it is: its weights have structure, which would"
    modes = {kwargs.get("mode"), getattr(kwargs.get("config"), "mode", None), *args}
    if modes & {"gptq", "awq"}:  # Keras would go on with the layer all the same
        raise ValueError(f"`{method}` {said} break; leave it out, by `filters`.")
    raise NotImplementedError(f"`{method}` {said} break.")  # Keras skips the layer


def signature_with_tied(call: Callable[..., Any]) -> inspect.Signature:
    """The signature of a layer's call with a further argument `tied`."""
    signature = inspect.signature(call)
    tied = inspect.Parameter("tied", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = sorted([*signature.parameters.values(), tied], key=lambda p: p.kind)
    return signature.replace(parameters=parameters)


def register_terms(layer: type) -> type:
    """Let Keras find the equations and regions of this module when it loads one.

    A model may have been saved from another module, which had others.
    """
    for name, term in Term.kinds.items():
        keras.saving.get_custom_objects()[f"wdsl2.structure>{name}"] = term
    return layer


def terms(configs: Iterable[Any]) -> tuple[Any, ...]:
    """Equations as they are, or as `to_config` wrote them down."""
    known = {
        name.removeprefix("wdsl2.structure>"): term
        for name, term in keras.saving.get_custom_objects().items()
        if name.startswith("wdsl2.structure>")
    }
    return tuple(from_config(config, known) for config in configs)


@functools.cache
def class_of(base: type, kind: str) -> type:
    """A subclass with this name, which Keras gives to the layer where it saves it.

    It is no other class for all else: what is loaded is of the base.
    """
    made = type(kind, (base,), {"__module__": base.__module__, "base": base})
    names = keras.src.saving.object_registration.GLOBAL_CUSTOM_NAMES
    names[made] = keras.saving.get_registered_name(base)
    return made


class OfKind(keras.Layer):
    """A layer that is called what it is told where it is saved: `kind`."""

    base: ClassVar[Any] = None

    def __new__(cls, *args: Any, kind: str = "", **kwargs: Any) -> Any:
        base: Any = cls.base or cls
        made = class_of(base, kind) if kind and kind != base.__name__ else base
        return super().__new__(made, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kind": type(self).__name__}


@register_terms
@keras.saving.register_keras_serializable("wdsl2")
class Wrapped(OfKind, layers.Wrapper):
    """Any Keras layer, with structure in weights of its own or of layers inside it.

    A structured weight is not stored. Its free parameters are, as weights of this
    layer, and every call computes it from them once, so that what the equations say
    holds exactly whatever the training does.

    Args:
        layer: The layer.
        structures: For each structured weight its equations. Weights are named by
            the way to them in attributes: "kernel", "forward_layer/cell/kernel".
        kind: What the layer is called where it is saved, as a class would be.
        halves: Of a layer that was saved, the weights whose free parameters lie in
            halves, and not in the order of the entries.

    Call arguments are the layer's own and `tied`: a tensor for each weight that is
    `Tied()`, by the same name. What regularizes it is the layer that it comes from.
    """

    def __init__(
        self,
        layer: Any,
        structures: Mapping[str, Sequence[Any]],
        kind: str = "",
        halves: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        # Keras learns from the signature of `call` what to pass and to build with.
        call: Any = functools.partial(self._call)
        call.__signature__ = signature_with_tied(layer.call)
        self.call = call
        defaults = {
            "name": layer.name,
            "dtype": layer.dtype_policy,
            "trainable": layer.trainable,
            "autocast": layer.autocast,
        }
        super().__init__(layer, **(defaults | kwargs))
        self.supports_masking = layer.supports_masking
        self.structures = {
            path: terms(equations) for path, equations in structures.items()
        }
        self.structured: tuple[Weight, ...] = ()
        self.saved_halves = halves

    def __call__(self, *args: Any, tied: Any = None, **kwargs: Any) -> Any:
        if not self.built:
            # The layer can tell best from a call what it is to be built for.
            example = keras.tree.map_structure(
                lambda x: (
                    keras.KerasTensor(x.shape, x.dtype) if hasattr(x, "shape") else x
                ),
                (args, kwargs),
            )
            self.build(example=example)
        if tied is not None:
            kwargs["tied"] = tied
        return super().__call__(*args, **kwargs)

    def build(self, *shapes: Any, example: Any = None, **named_shapes: Any) -> None:
        # The states of a stateful RNN are values, which no scope takes.
        is_stateful = getattr(self.layer, "stateful", False)
        with contextlib.nullcontext() if is_stateful else drawing_later():
            if not self.layer.built and example:
                args, kwargs = example
                self.layer(*args, **kwargs)
            elif not self.layer.built:
                self.layer.build(*shapes, **named_shapes)
            if self.structures:
                self._refuse_changes()
            for path in self.in_order():
                self.structured += (self._structure(path),)
            by_path = {weight.path: weight for weight in self.structured}
            self.structured = tuple(by_path[path] for path in self.structures)
        if self.saved_halves not in (None, self.halves):
            raise ValueError(self.other_order(bool(self.saved_halves)))

    def in_order(self) -> Iterable[str]:
        """The structured weights in the order of their variables."""
        return self.structures

    def _refuse_changes(self) -> None:
        """Keep Keras from rounding the weights, or adding to them, behind our back."""
        for layer in self._flatten_layers():
            if layer.quantization_mode:
                raise ValueError(
                    f"Layer {layer.name!r} can have no weights with structure and "
                    f"be quantized: its dtype policy is {layer.dtype_policy.name!r}."
                )
        for layer in self.layer._flatten_layers():
            for method in ("quantize", "enable_lora"):
                if hasattr(layer, method):
                    setattr(layer, method, functools.partial(refuse, method, self.name))

    def _structure(self, path: str) -> Weight:
        equations = self.structures[path]
        owner, variable, place, weight = take_out(self.layer, path)
        is_tied = any(equation.from_outside for equation in equations)
        refusals = {
            "structure, since the layer itself changes it": owner.trainable
            and not variable.trainable,
            "constraint, since it is computed and not stored": variable.constraint,
            "further structure, since it is tied": is_tied and len(equations) > 1,
        }
        for refusal, applies in refusals.items():
            if applies:
                raise ValueError(
                    f"Weight {path!r} of layer {self.name!r} can have no {refusal}."
                )
        if not is_tied:
            weight.expansion = expansion_of(equations, weight.shape)
            if is_kernel_of_dense(owner, weight):
                weight.product = weight.expansion.product()
            self.add_theta(weight, owner, variable, place)
            if weight.product:
                owner.call = functools.partial(call_dense, owner, weight)
        return weight

    def add_theta(self, weight: Weight, owner: Any, variable: Any, place: int) -> None:
        """Store the free parameters of a weight, in place of a variable."""
        self.add_theta_to(self, weight.path.replace("/", "_"), weight, variable)

    def add_theta_to(
        self, layer: Any, name: str, weight: Weight, variable: Any
    ) -> None:
        initializer = variable._initializer
        weight.theta = weight.expansion.add_theta(
            layer, name, lambda: (variable, initializer), variable.regularizer
        )
        setattr(layer, f"free_{name}", weight.theta)  # TensorFlow checkpoints it

    @property
    def halves(self) -> list[str]:
        """The weights whose free parameters lie in halves."""
        return [
            weight.path
            for weight in self.structured
            if weight.expansion and weight.expansion.is_reordered
        ]

    def other_order(self, are_halves: bool) -> str:
        """What is wrong if the free parameters that are to be loaded lie otherwise."""
        orders = "in the order of its entries", "in halves"
        return (
            f"Layer {self.name!r} cannot take what was saved: the free parameters of "
            f"its kernel lie {orders[not are_halves]}, and those that were saved "
            f"{orders[are_halves]}. Load the file with the program that saved it; what "
            "`effective_weights` gives there, `assign` puts into this model."
        )

    def save_own_variables(self, store: Any) -> None:
        keras.Layer.save_own_variables(self, store)
        self.save_order(store)

    def load_own_variables(self, store: Any) -> None:
        keras.Layer.load_own_variables(self, self.checked(store))

    def save_order(self, store: Any) -> None:
        if self.halves:
            store["halves"] = np.ones(1, "int32")

    def checked(self, store: Any) -> Any:
        """What was saved, without what says how it is laid out."""
        values = {key: store[key] for key in tuple(store.keys())}
        are_halves = values.pop("halves", None) is not None
        if values and are_halves != bool(self.halves):
            raise ValueError(self.other_order(are_halves))
        return values

    def __deepcopy__(self, memo: Any) -> Any:
        config = self.get_config()
        made = type(self).from_config(config)
        if self.built:
            given = dict(self._build_shapes_dict)
            shapes, others = given.pop("shapes", ()), given.pop("named_shapes", {})
            made.build(*shapes, **given, **others)
            made.set_weights(self.get_weights())
        return made

    def _call(self, *args: Any, tied: Any = None, **kwargs: Any) -> Any:
        with self._in_place(self.weights_of_call(tied)):
            return self.layer(*args, **kwargs)

    def compute_output_spec(self, *args: Any, tied: Any = None, **kwargs: Any) -> Any:
        self._check(tied or {})
        shapes = [w.theta.shape if w.product else w.shape for w in self.structured]
        with self._in_place([ops.zeros(shape) for shape in shapes]):
            return self.layer.compute_output_spec(*args, **kwargs)

    def weights_of_call(self, tied: Any = None) -> list[Any]:
        """The values of the structured weights, in the order of `structures`."""
        self._check(tied or {})
        return [
            weight.theta
            if weight.product
            else weight.expansion.expand(weight.theta)
            if weight.expansion
            else tied[weight.path]
            for weight in self.structured
        ]

    def _check(self, tied: Mapping[str, Any]) -> None:
        wanted = {w.path: w.shape for w in self.structured if not w.expansion}
        given = {path: tuple(tensor.shape) for path, tensor in tied.items()}
        if given != wanted:
            raise ValueError(
                f"Layer {self.name!r} needs tied weights of shapes {wanted}, "
                f"and was given {given}."
            )

    @contextlib.contextmanager
    def _in_place(self, values: Sequence[Any]) -> Iterator[None]:
        for weight, value in zip(self.structured, values, strict=True):
            weight.thread.value = ops.cast(value, weight.dtype)
        try:
            yield
        finally:
            for weight in self.structured:
                weight.thread.value = None

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return self.layer.compute_mask(inputs, previous_mask)

    def get_build_config(self) -> None:
        """None: the layer is built by its first call, also when it is loaded."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["layer"].pop("build_config", None)
        config["halves"] = self.halves if self.structured else self.saved_halves
        config["structures"] = {
            path: [to_config(equation) for equation in equations]
            for path, equations in self.structures.items()
        }
        return config


@register_terms
@keras.saving.register_keras_serializable("wdsl2")
class Structured(Wrapped):
    """A Keras layer with structure in some weights of its own, or of its `cell`.

    The free parameters of a weight are variables of the layer that the weight belongs
    to, under its name and in its place. To Keras this is no layer around another: it
    has the attributes of that, and is saved as a subclass would be whose `add_weight`
    makes free parameters.

    Arguments are those of `Wrapped`, as is the rest.
    """

    def __init__(
        self, layer: Any, structures: Mapping[str, Sequence[Any]], **kwargs: Any
    ) -> None:
        super().__init__(layer, structures, **kwargs)
        for path in structures:
            if path.rpartition("/")[0] not in ("", "cell"):
                raise ValueError(
                    f"Weight {path!r} of layer {self.name!r} belongs to a layer inside "
                    "it: `Wrapped` is for such."
                )

    def in_order(self) -> Iterable[str]:
        order = {
            id(variable): place for place, variable in enumerate(self.layer.weights)
        }
        found = {path: variable_at(self.layer, path)[1] for path in self.structures}
        return sorted(self.structures, key=lambda path: order[id(found[path])])

    def add_theta(self, weight: Weight, owner: Any, variable: Any, place: int) -> None:
        owner._tracker.unlock()
        self.add_theta_to(owner, variable.name, weight, variable)
        owner._tracker.lock()
        those = owner._trainable_variables
        if not weight.expansion.is_trained:
            # It stands before those that were never trained.
            those = owner._non_trainable_variables
            before = {id(each.theta) for each in self.structured}
            place = sum(id(each) in before for each in those)
        those.insert(place, those.pop())

    def save_own_variables(self, store: Any) -> None:
        self.layer.save_own_variables(store)
        self.save_order(store)

    def load_own_variables(self, store: Any) -> None:
        self.layer.load_own_variables(self.checked(store))

    def __dir__(self) -> Iterable[str]:
        """The names that the layer has: Keras saves what it finds by them."""
        return dir(self.layer)

    def __getattr__(self, name: str) -> Any:
        """An attribute of the layer; a structured weight as a call would use it now."""
        layer = vars(self).get("layer")
        if layer is None or name.startswith("__"):
            raise AttributeError(name)
        value = getattr(layer, name)
        if isinstance(value, Weight):
            if value.expansion is None:
                raise AttributeError(f"{name!r} of {self.name!r} is given in a call.")
            return value.value
        if name.startswith("_") and not isinstance(value, keras.Layer):
            raise AttributeError(name)
        return value
