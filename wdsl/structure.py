"""What the entries of a weight have to do with each other.

A weight's structure is a list of equations, in any order:
`[Symmetric(), Zero(Diagonal())]`. Regions such as `Diagonal()` name entries.
`index_map` solves the list: it numbers the free parameters and says which of
them stands behind each entry. NumPy is all that this needs.
"""

# mypy: disable-error-code=no-any-return

import base64
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

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
        yield tuple(piece if n == axis else slice(0, shape[n]) for n in range(len(shape)))


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


@dataclass(frozen=True)
class Upper(Region):
    """The entries with j - i >= k."""

    k: int = 1

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return j >= i + self.k


@dataclass(frozen=True)
class Lower(Region):
    """The entries with i - j >= k."""

    k: int = 1

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return i >= j + self.k


@dataclass(frozen=True)
class Band(Region):
    """The entries with -lower <= j - i <= upper."""

    lower: int
    upper: int

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return (i - self.lower <= j) & (j <= i + self.upper)


@dataclass(frozen=True)
class Blocks(Region):
    """The blocks of rows x columns entries along the diagonal."""

    rows: int
    columns: int

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"{self} has blocks without entries.")
        return i // self.rows == j // self.columns


@dataclass(frozen=True, init=False)
class Several(Term):
    """A term that is made of any number of items."""

    items: tuple[Any, ...]

    def __init__(self, *items: Any) -> None:
        object.__setattr__(self, "items", items)

    def parts(self) -> tuple[Any, ...]:
        return self.items


class Flat(Several, Region):
    """Entries by their flat indices in C order: integers and slices."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(math.prod(shape), bool)
        for item in self.items:
            try:
                mask[item if isinstance(item, slice) else operator.index(item)] = True
            except IndexError:
                raise ValueError(
                    f"Flat index {item} is outside a weight of shape {shape}, which has {mask.size} entries."
                ) from None
        return mask.reshape(shape)


class At(Several, Region):
    """Entries by their subscripts, an integer or a slice for each axis."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(shape, bool)
        if len(self.items) != len(shape):
            raise ValueError(f"{self.items} are {len(self.items)} subscripts, but the weight has shape {shape}.")
        try:
            mask[tuple(s if isinstance(s, slice) else operator.index(s) for s in self.items)] = True
        except IndexError:
            raise ValueError(f"{self.items} is outside a weight of shape {shape}.") from None
        return mask


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


@dataclass(frozen=True)
class Mask(Region):
    """The entries that a table marks: `Mask("wiring.csv", (2, 3), "011 100")`.

    The table is in the text, a 0 or 1 for each entry in C order; white space means
    nothing. The file is where it was read from, and need not be there.
    """

    file: str
    shape: Shape
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(map(operator.index, self.shape)))
        object.__setattr__(self, "text", "".join(str(self.text).split()))

    @classmethod
    def restore(cls, parts: list[Any], kinds: Mapping[str, type[Term]]) -> Term:
        return cls(*parts)

    def mask(self, shape: Shape) -> np.ndarray:
        if tuple(shape) != self.shape:
            raise ValueError(f"The mask of {self.file!r} has shape {self.shape}, the weight {shape}.")
        return self.marks(math.prod(shape)).reshape(shape)

    def marks(self, size: int) -> np.ndarray:
        """True at the entries that are marked, of so many in C order."""
        if len(self.text) != size or not {*self.text} <= {*"01"}:
            raise ValueError(f"The mask of {self.file!r} is not {size} digits 0 or 1.")
        return np.frombuffer(self.text.encode(), np.uint8) == ord("1")


class PackedMask(Mask):
    """A mask whose text is in base 85: of the bytes of its bits, those that are not 0.

    Before them stands a bit for each byte, which says whether it is among them.
    """

    def marks(self, size: int) -> np.ndarray:
        length = -(-size // 8)
        head = -(-length // 8)
        try:
            data = np.frombuffer(base64.b85decode(self.text), np.uint8)
        except ValueError:
            raise ValueError(f"The mask of {self.file!r} is no base 85.") from None
        present = np.unpackbits(data[:head], count=length).astype(bool)
        if len(data) != head + present.sum():
            raise ValueError(f"The mask of {self.file!r} is not of {size} entries.")
        packed = np.zeros(length, np.uint8)
        packed[present] = data[head:]
        return np.unpackbits(packed, count=size).astype(bool)


class Index(np.lib.mixins.NDArrayOperatorsMixin):
    """An index while a predicate is traced: operators on it write down a tree.

    A tree is a number, `("axis", n)`, `("size", n)`, or the name of an
    elementwise NumPy function followed by the trees of its arguments.
    """

    def __init__(self, *tree: Any) -> None:
        self.tree = tree

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        return Index(ufunc.__name__, *map(tree_of, inputs))

    def __bool__(self) -> bool:
        raise TypeError(
            "Write & | ~ for and, or, not, and (0 < i) & (i < 9) for 0 < i < 9: "
            "the predicate is evaluated for all entries at once."
        )


class Sizes:
    """The shape while a predicate is traced: `shape[0]` is a size to come."""

    def __getitem__(self, axis: int) -> Index:
        return Index("size", operator.index(axis))


def tree_of(value: Any) -> Any:
    """The tree of a traced value, checked."""
    if isinstance(value, Index):
        value = value.tree
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"{value!r} cannot stand in a predicate.")
    name, *arguments = value
    if name in ("axis", "size"):
        (axis,) = arguments
        return (name, operator.index(axis))
    function = vars(np).get(name) if isinstance(name, str) else None
    if (
        not isinstance(function, np.ufunc)
        or function.signature is not None
        or (function.nin, function.nout) != (len(arguments), 1)
    ):
        raise ValueError(f"{name!r} is not an elementwise function of NumPy.")
    return (name, *map(tree_of, arguments))


def evaluate(tree: Any, part: Part, shape: Shape) -> Any:
    """The value of a tree in a part of a shape, by broadcasting."""
    if not isinstance(tree, tuple):
        return tree
    name, *arguments = tree
    if name in ("axis", "size"):
        (axis,) = arguments
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"A predicate asks for axis {axis} of shape {shape}.")
        return np.ogrid[part][axis] if name == "axis" else shape[axis]
    return getattr(np, name)(*(evaluate(each, part, shape) for each in arguments))


@dataclass(frozen=True)
class Traced(Term):
    """A term that is a function of an entry's indices, such as a lambda.

    Its arguments are among `i j k l_ m`, the indices on axes 0 to 4, and
    `shape`. It is called once, with symbols, and kept as a tree.
    """

    function: Callable[..., Any] | tuple[Any, ...]

    def __post_init__(self) -> None:
        tree: Any = self.function
        if callable(tree):
            known: dict[str, Any] = {name: Index("axis", axis) for axis, name in enumerate(("i", "j", "k", "l_", "m"))}
            known["shape"] = Sizes()
            names = inspect.signature(tree).parameters
            if not known.keys() >= names.keys():
                raise ValueError(f"A predicate takes {', '.join(known)}, not {', '.join(names)}.")
            tree = tree(**{name: known[name] for name in names})
        object.__setattr__(self, "function", tree_of(tree))

    @classmethod
    def restore(cls, parts: list[Any], kinds: Mapping[str, type[Term]]) -> Term:
        return cls(*parts)

    def values(self, part: Part, shape: Shape) -> Any:
        return evaluate(self.function, part, shape)


class Where(Traced, Region):
    """The entries whose indices satisfy a predicate: `Where(lambda i, j: i > j)`."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.empty(shape, bool)
        for part in parts_of(shape):
            mask[part] = self.values(part, shape)
        return mask


def distinct(keys: np.ndarray) -> np.ndarray:
    """Which keys there are, in order. They are moved together where they lie."""
    keys.sort()
    count = min(1, keys.size)
    for start in range(1, keys.size, PART):
        piece = keys[start - 1 : start + PART]
        new = piece[1:][piece[1:] != piece[:-1]]
        keys[count : count + new.size] = new
        count += new.size
    return keys[:count]


class Grouping(Term):
    """A way to put the entries of a weight into groups."""

    def keys(self, part: Part, shape: Shape) -> Any:
        """The same number at entries of the same group, or what broadcasts to it."""
        raise NotImplementedError

    def merges(self, shape: Shape) -> "Iterator[Merge]":
        """Each entry of a group with one that stands for all of it."""
        size, found, groups = math.prod(shape), 0, np.empty(0)
        for part in parts_of(shape):
            some = distinct(np.array(self.keys(part, shape)).ravel())
            if not found:
                groups = np.empty(size, some.dtype)
            groups[found : found + some.size] = some
            found += some.size
        groups = distinct(groups[:found])
        one_of = np.full(groups.size, -1, index_type(size))
        for part in parts_of(shape):
            entries = entries_in(part, shape)
            number = np.searchsorted(groups, self.keys(part, shape))
            number = np.broadcast_to(number, entries.shape).ravel()
            entries = entries.ravel()
            is_new = one_of[number] < 0
            one_of[number[is_new]] = entries[is_new]
            others = one_of[number]
            apart = entries != others
            yield entries[apart], others[apart], 1.0


@dataclass(frozen=True)
class Axis(Grouping):
    """Entries with the same index on an axis: `Axis(0)` are the rows of a matrix."""

    axis: int

    def keys(self, part: Part, shape: Shape) -> Any:
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"{self} is not an axis of shape {shape}.")
        return np.ogrid[part][self.axis]


class By(Traced, Grouping):
    """Entries with the same key: `By(lambda i, j: (j - i) % 4)`."""

    def keys(self, part: Part, shape: Shape) -> Any:
        return self.values(part, shape)


Merge = tuple[np.ndarray, np.ndarray, float]
"""Flat indices u and v and a factor c: W[u] = c W[v], entry by entry."""


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


@dataclass(frozen=True)
class Within(Equation):
    """An equation on a weight whose entries lie at these places in a vector."""

    equation: Equation
    places: Indices

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        inner, value = self.equation.known(self.places.shape)
        mask = np.zeros(shape, bool)
        mask[self.places[inner]] = True
        return mask, value

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        places = self.places.ravel()
        inner = self.equation.merges(self.places.shape, known[self.places])
        return ((places[one], places[other], c) for one, other, c in inner)

    def __getattr__(self, name: str) -> Any:
        if name not in ("expansion", "takes_mean"):
            raise AttributeError(name)
        return getattr(self.equation, name)


def index_type(size: int) -> type[np.signedinteger[Any]]:
    """The smallest type that counts so many entries."""
    return np.int32 if size < 2**31 else np.int64


def in_pieces(one: Indices, other: Indices, factor: float) -> Iterator[Merge]:
    """A merge as several."""
    for start in range(0, one.size, PART):
        yield one[start : start + PART], other[start : start + PART], factor


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


class Skew(Symmetric):
    """The weight equals minus itself with two axes swapped."""

    sign = -1.0


class Zero(Several, Equation):
    """The entries of the regions are zero; without regions, all are."""

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        regions = Union(*self.items) if self.items else Not(Union())
        return regions.mask(shape), 0.0


@dataclass(frozen=True)
class Fixed(Equation):
    """The entries of a region are a constant."""

    value: float
    region: Region

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        return self.region.mask(shape), self.value


class Equal(Several, Equation):
    """Entries are one value: those of each region, or of each group of a grouping.

    Without either, all entries that no `Zero` or `Fixed` names are one value.
    """

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        masks = [~known] if not self.items else []
        for item in self.items:
            if hasattr(item, "keys"):  # a loaded model's may be of another module
                yield from item.merges(shape)
            else:
                masks.append(item.mask(shape))
        for mask in map(np.ravel, masks):
            first = np.argmax(mask)
            for start in range(first + 1, mask.size, PART):
                entries = np.flatnonzero(mask[start : start + PART]) + start
                yield entries, np.full_like(entries, first), 1.0


VIEWS: Mapping[str, Callable[..., Any]] = {
    "flip": np.flip,
    "get": lambda entries, *index: entries[index],
    "reshape": lambda entries, *shape: entries.reshape(shape),
    "transpose": lambda entries, *axes: entries.transpose(axes or None),
}


@dataclass(frozen=True)
class View(Term):
    """Entries of a weight, and a factor: `-0.5 * View("encode.kernel").T[:10]`.

    Without a name they are entries of the very weight that an equation is about.
    """

    weight: str = ""
    steps: tuple[tuple[Any, ...], ...] = ()
    factor: float = 1.0

    @classmethod
    def restore(cls, parts: list[Any], kinds: Mapping[str, type[Term]]) -> Term:
        weight, steps, factor = parts
        restored = ((step[0], *(from_config(p, kinds) for p in step[1:])) for step in steps)
        return cls(weight, tuple(restored), factor)

    def __post_init__(self) -> None:
        if unknown := {step[0] for step in self.steps} - VIEWS.keys():
            raise ValueError(f"A view of a weight has no {', '.join(sorted(unknown))}.")

    def then(self, *step: Any) -> "View":
        return View(self.weight, (*self.steps, step), self.factor)

    @property
    def T(self) -> "View":
        return self.then("transpose")

    def transpose(self, *axes: int) -> "View":
        return self.then("transpose", *axes)

    def reshape(self, *shape: int) -> "View":
        return self.then("reshape", *shape)

    def flip(self, axis: int) -> "View":
        return self.then("flip", axis)

    def __getitem__(self, index: Any) -> "View":
        return self.then("get", *(index if isinstance(index, tuple) else (index,)))

    def __rmul__(self, factor: float) -> "View":
        return View(self.weight, self.steps, factor * self.factor)

    def __neg__(self) -> "View":
        return -1.0 * self

    def of(self, entries: Indices) -> Indices:
        """What the view shows of a weight's entries, in C order."""
        for name, *arguments in self.steps:
            entries = VIEWS[name](entries, *arguments)
        return np.ravel(entries)


@dataclass(frozen=True)
class Tie(Equation):
    """The entries of a region, in C order, equal those that a view shows.

    Without a region, all entries of the weight do.
    """

    view: View
    region: Region | None = None

    def parts(self) -> tuple[Any, ...]:
        return (self.view,) if self.region is None else (self.view, self.region)

    def own(self, entries: Indices) -> Indices:
        """The entries of a weight that the equation is about, in C order."""
        if self.region is None:
            return entries.ravel()
        return entries[self.region.mask(entries.shape)]

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        if self.view.weight:
            raise ValueError(f"{self} needs the entries of {self.view.weight!r} too.")
        size = math.prod(shape)
        entries = np.arange(size, dtype=index_type(size)).reshape(shape)
        return self.between(entries, entries)

    def between(self, entries: Indices, others: Indices) -> Iterator[Merge]:
        """What equals what in a weight with `entries`, tied to one with `others`."""
        one, other = self.own(entries), self.view.of(others)
        if one.size != other.size:
            raise ValueError(f"{one.size} entries are tied to {other.size}.")
        return in_pieces(one, other, self.view.factor)


@dataclass(frozen=True)
class Same(Equation):
    """A tie of entries that lie in a vector to others in it."""

    equation: Tie
    entries: Indices
    others: Indices

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        return self.equation.between(self.entries, self.others)


def within(equation: Any, places: Mapping[str, Indices], name: str) -> Any:
    """The equation on weight `name`, as one on a vector that holds several weights.

    `places` says where in the vector each weight has its entries. What the equation is
    shows in its attributes: a loaded model's may be of another module.
    """
    if not equation.is_trained:
        return equation
    if hasattr(equation, "mechanism"):
        inner = within(equation.equation, places, name)
        return type(equation)(equation.mechanism, inner)
    if hasattr(equation, "view"):
        return Same(equation, places[name], places[equation.view.weight or name])
    return Within(equation, places[name])


def side_by_side(shapes: Mapping[str, Shape]) -> tuple[dict[str, Indices], int]:
    """Where weights have their entries in a vector of them all, and its length."""
    places, start = {}, 0
    size = sum(map(math.prod, shapes.values()))
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        places[name] = np.arange(start, stop, dtype=index_type(size)).reshape(shape)
        start = stop
    return places, size


class Frozen(Several, Equation):
    """The weight is not trained."""

    is_trained: ClassVar[bool] = False


@dataclass(frozen=True)
class Tied(Equation):
    """The weight is a tensor that comes from outside the layer."""

    from_outside: ClassVar[bool] = True


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
"""What `union` finds."""


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


def index_map(equations: Iterable[Equation], shape: Shape, also_known: Any = False) -> IndexMap:
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


def numbered(claims: Iterable[tuple[np.ndarray, float]], groups: UnionFind, shape: Shape) -> IndexMap:
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
