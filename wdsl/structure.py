"""What the entries of a weight have to do with each other.

A weight's structure is a list of equations, in any order:
`[Symmetric(), Zero(Diagonal())]`. Regions such as `Diagonal()` name entries.
`index_map` solves the list: it numbers the free parameters and says which of
them stands behind each entry. NumPy is all that this needs.
"""

# mypy: disable-error-code=no-any-return

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
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
        return j - i == self.k


@dataclass(frozen=True)
class Upper(Region):
    """The entries with j - i >= k."""

    k: int = 1

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return j - i >= self.k


@dataclass(frozen=True)
class Lower(Region):
    """The entries with i - j >= k."""

    k: int = 1

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return i - j >= self.k


@dataclass(frozen=True)
class Band(Region):
    """The entries with -lower <= j - i <= upper."""

    lower: int
    upper: int

    def mask(self, shape: Shape) -> np.ndarray:
        i, j = self.matrix(shape)
        return (-self.lower <= j - i) & (j - i <= self.upper)


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
                    f"Flat index {item} is outside a weight of shape {shape}, "
                    f"which has {mask.size} entries."
                ) from None
        return mask.reshape(shape)


class At(Several, Region):
    """Entries by their subscripts, an integer or a slice for each axis."""

    def mask(self, shape: Shape) -> np.ndarray:
        mask = np.zeros(shape, bool)
        if len(self.items) != len(shape):
            raise ValueError(
                f"{self.items} are {len(self.items)} subscripts, but the weight "
                f"has shape {shape}."
            )
        try:
            mask[
                tuple(
                    s if isinstance(s, slice) else operator.index(s) for s in self.items
                )
            ] = True
        except IndexError:
            raise ValueError(
                f"{self.items} is outside a weight of shape {shape}."
            ) from None
        return mask


@dataclass(frozen=True)
class Not(Region):
    """The entries that another region does not name."""

    region: Region

    def mask(self, shape: Shape) -> np.ndarray:
        return ~self.region.mask(shape)


@dataclass(frozen=True)
class Transposed(Region):
    """The entries that a region names in the transposed matrix."""

    region: Region

    def mask(self, shape: Shape) -> np.ndarray:
        return self.region.mask(shape[::-1]).T


class Index(np.lib.mixins.NDArrayOperatorsMixin):
    """An index while a predicate is traced: operators on it write down a tree.

    A tree is a number, `("axis", n)`, `("size", n)`, or the name of an
    elementwise NumPy function followed by the trees of its arguments.
    """

    def __init__(self, *tree: Any) -> None:
        self.tree = tree

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
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


def evaluate(tree: Any, shape: Shape) -> Any:
    """The value of a tree for a shape, by broadcasting."""
    if not isinstance(tree, tuple):
        return tree
    name, *arguments = tree
    if name in ("axis", "size"):
        (axis,) = arguments
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"A predicate asks for axis {axis} of shape {shape}.")
        return (
            np.ogrid[tuple(map(slice, shape))][axis] if name == "axis" else shape[axis]
        )
    return getattr(np, name)(*(evaluate(argument, shape) for argument in arguments))


@dataclass(frozen=True)
class Where(Region):
    """The entries whose indices satisfy a predicate: `Where(lambda i, j: i > j)`.

    Its arguments are among `i j k l_ m`, the indices on axes 0 to 4, and
    `shape`. It is called once, with symbols, and kept as a tree.
    """

    predicate: Callable[..., Any] | tuple[Any, ...]

    def __post_init__(self) -> None:
        tree: Any = self.predicate
        if callable(tree):
            known: dict[str, Any] = {
                name: Index("axis", axis)
                for axis, name in enumerate(("i", "j", "k", "l_", "m"))
            }
            known["shape"] = Sizes()
            names = inspect.signature(tree).parameters
            if not known.keys() >= names.keys():
                raise ValueError(
                    f"A predicate takes {', '.join(known)}, not {', '.join(names)}."
                )
            tree = tree(**{name: known[name] for name in names})
        object.__setattr__(self, "predicate", tree_of(tree))

    @classmethod
    def restore(cls, parts: list[Any], kinds: Mapping[str, type[Term]]) -> Term:
        return cls(*parts)

    def mask(self, shape: Shape) -> np.ndarray:
        return np.broadcast_to(evaluate(self.predicate, shape), shape).astype(bool)


class Equation(Term):
    """Something that is true of the entries of one weight."""

    one_value: ClassVar[bool] = False
    from_outside: ClassVar[bool] = False

    def zeros(self, shape: Shape) -> np.ndarray:
        """True at the entries that are zero."""
        return np.zeros(shape, bool)

    def mirrored(self, array: np.ndarray) -> np.ndarray:
        """The array with the entries moved to those that they equal."""
        return array


@dataclass(frozen=True)
class Symmetric(Equation):
    """The weight equals itself with two axes swapped."""

    a: int = 0
    b: int = 1

    def mirrored(self, array: np.ndarray) -> np.ndarray:
        rank, shape = array.ndim, array.shape
        if not all(-rank <= axis < rank for axis in (self.a, self.b)):
            raise ValueError(f"{self} needs axes that shape {shape} does not have.")
        if shape[self.a] != shape[self.b]:
            raise ValueError(f"{self} needs axes of equal size, not shape {shape}.")
        return np.swapaxes(array, self.a, self.b)


class Zero(Several, Equation):
    """The entries of the regions are zero; without regions, all are."""

    def zeros(self, shape: Shape) -> np.ndarray:
        mask = np.full(shape, not self.items)
        for region in self.items:
            mask |= region.mask(shape)
        return mask


@dataclass(frozen=True)
class Equal(Equation):
    """All entries that no `Zero` names are one value."""

    one_value: ClassVar[bool] = True


@dataclass(frozen=True)
class Tied(Equation):
    """The weight is a tensor that comes from outside the layer."""

    from_outside: ClassVar[bool] = True


@dataclass(frozen=True)
class IndexMap:
    """The free parameter behind each entry; -1 where the entry is zero."""

    index: np.ndarray
    size: int


def index_map(equations: Iterable[Equation], shape: Shape) -> IndexMap:
    """Number the free parameters of a weight, by first entry in C order."""
    equations = list(equations)
    entries = np.arange(math.prod(shape))
    first: Any = entries.reshape(shape)
    before: Any = None
    while before is None or (first != before).any():
        before = first
        for equation in equations:
            first = np.minimum(first, equation.mirrored(first))
    first = first.ravel()
    zeros = np.zeros(first.size, bool)
    for equation in equations:
        zeros |= equation.zeros(shape).ravel()
    if any(equation.one_value for equation in equations) and not zeros.all():
        equal = np.zeros(first.size, bool)
        equal[first[~zeros]] = True
        first = np.where(equal[first], np.argmax(equal), first)
    dead = np.zeros(first.size, bool)
    dead[first[zeros]] = True
    dead = dead[first]
    free = (first == entries) & ~dead
    index = np.where(dead, -1, (np.cumsum(free) - 1)[first]).reshape(shape)
    kind = np.int32 if index.size < 2**31 else np.int64
    return IndexMap(index.astype(kind), int(free.sum()))


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
