"""Tags each word of a text. What reads the text from its end has the weights of what reads it from its beginning, and
their memories are added up: a text that is turned around has its tags turned around.

Written by wdsl from specs/tagger.wnet:

    ## Tags each word of a text. What reads the text from its end has the weights of what reads it from its beginning, and
    ## their memories are added up: a text that is turned around has its tags turned around.
    network Tagger(
        vocabulary: int = 96,
        ## How long a text is. Behind a shorter one stand zeros, which nothing looks at.
        length: int = 6,
        ## Width of the table.
        width: int = 12,
        ## How much is remembered of what was read.
        units: int = 8,
        heads: int = 2,
        tags: int = 5,
        dropout: float = 0.1,
    ) {
        input words: int32[length]

        layer embed = Embedding(vocabulary, width, mask_zero=true)
        layer read  = Bidirectional(
            LSTM(units, return_sequences=true, unit_forget_bias=false),
            merge_mode=sum,
        ) {
            # Of what one unit remembers no other one hears (Li et al., 2018): each gate has a diagonal.
            forward.recurrent_kernel:  zero[where j % units != i]
            backward.kernel:           tie(forward.kernel)
            backward.recurrent_kernel: tie(forward.recurrent_kernel), zero[where j % units != i]
            backward.bias:             tie(forward.bias)
        }
        layer relate = MultiHeadAttention(heads, units // heads, dropout=dropout) {
            # What a word looks for is what it offers: a looks at b as b looks at a.
            query.kernel: tie(key.kernel)
            query.bias:   tie(key.bias)
        }
        layer tag = TimeDistributed(Dense(tags, activation=softmax))

        h = words -> embed -> SpatialDropout1D(dropout) -> read
        h = h + relate(h, h) -> LayerNormalization()
        output guess = h -> tag

        assert shape(guess) == [length, tags]
        assert free(read.forward.recurrent_kernel) == 4 * units
    }
"""

import contextlib
import functools
import inspect
import math
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops


def Tagger(
    vocabulary: int = 96,
    length: int = 6,
    width: int = 12,
    units: int = 8,
    heads: int = 2,
    tags: int = 5,
    dropout: float = 0.1,
) -> keras.Model:
    """Tags each word of a text. What reads the text from its end has the weights of what reads it from its beginning, and
    their memories are added up: a text that is turned around has its tags turned around.

    Args:
        vocabulary: A parameter of type int.
        length: How long a text is. Behind a shorter one stand zeros, which nothing looks at.
        width: Width of the table.
        units: How much is remembered of what was read.
        heads: A parameter of type int.
        tags: A parameter of type int.
        dropout: A parameter of type float.

    Returns:
        A model from `words`, (batch, length) int32,
        to `guess`, (batch, length, tags) float32.
    """
    words = keras.Input((length,), dtype="int32", name="words")  # line 15

    read_forward_kernel = Shared((width, 4 * units), name="read_forward_kernel")(
        words
    )  # line 18
    read_forward_recurrent_kernel = Shared(
        (units, 4 * units),
        [Zero(Where(lambda i, j: j % units != i))],
        initializer="orthogonal",
        kind="ReadForwardRecurrentKernel",
        name="read_forward_recurrent_kernel",
    )(words)  # line 18
    read_forward_bias = Shared(
        (4 * units,), initializer="zeros", name="read_forward_bias"
    )(words)  # line 18
    relate_key_kernel = Shared(
        (units, heads, units // heads), fans=((0,), (1, 2)), name="relate_key_kernel"
    )(words)  # line 28
    relate_key_bias = Shared(
        (heads, units // heads), initializer="zeros", name="relate_key_bias"
    )(words)  # line 28

    embed = layers.Embedding(vocabulary, width, mask_zero=True, name="embed")  # line 17
    read = Wrapped(
        layers.Bidirectional(
            layers.LSTM(units, return_sequences=True, unit_forget_bias=False),
            merge_mode="sum",
        ),
        {
            "forward_layer/cell/kernel": [Tied()],
            "forward_layer/cell/recurrent_kernel": [Tied()],
            "forward_layer/cell/bias": [Tied()],
            "backward_layer/cell/kernel": [Tied()],
            "backward_layer/cell/recurrent_kernel": [Tied()],
            "backward_layer/cell/bias": [Tied()],
        },
        kind="Given",
        name="read",
    )  # line 18
    relate = Wrapped(
        layers.MultiHeadAttention(heads, units // heads, dropout=dropout),
        {
            "query_dense/kernel": [Tied()],
            "query_dense/bias": [Tied()],
            "key_dense/kernel": [Tied()],
            "key_dense/bias": [Tied()],
        },
        kind="Given",
        name="relate",
    )  # line 28
    tag = layers.TimeDistributed(
        layers.Dense(tags, activation="softmax"), name="tag"
    )  # line 33

    h = embed(words)  # line 35
    h = layers.SpatialDropout1D(dropout)(h)
    h = read(
        h,
        tied={
            "forward_layer/cell/kernel": read_forward_kernel,
            "forward_layer/cell/recurrent_kernel": read_forward_recurrent_kernel,
            "forward_layer/cell/bias": read_forward_bias,
            "backward_layer/cell/kernel": read_forward_kernel,
            "backward_layer/cell/recurrent_kernel": read_forward_recurrent_kernel,
            "backward_layer/cell/bias": read_forward_bias,
        },
    )
    h = layers.LayerNormalization()(
        h
        + relate(
            h,
            h,
            tied={
                "query_dense/kernel": relate_key_kernel,
                "query_dense/bias": relate_key_bias,
                "key_dense/kernel": relate_key_kernel,
                "key_dense/bias": relate_key_bias,
            },
        )
    )  # line 36
    guess = tag(h)  # line 37

    return keras.Model(words, guess, name="Tagger")


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


class Zero(Several, Equation):
    """The entries of the regions are zero; without regions, all are."""

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        regions = Union(*self.items) if self.items else Not(Union())
        return regions.mask(shape), 0.0


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


MatrixProduct = Callable[[Any, Any, str], Any]


PRODUCTS: dict[type[MatrixPattern], Callable[[Any, IndexMap], MatrixProduct]] = {}


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


def with_fans(initializer: Any, fans: Any) -> Any:
    """An initializer that counts these axes as inputs and outputs, as in EinsumDense.

    Keras does so since version 3.15, where the initializer scales and has no axes yet.
    """
    has_none = None in (
        getattr(initializer, "input_axes", 0),
        getattr(initializer, "output_axes", 0),
    )
    if not fans or not has_none:
        return initializer
    inputs, outputs = map(list, fans)
    axes = {"seed": initializer.seed, "input_axes": inputs, "output_axes": outputs}
    return type(initializer).from_config(initializer.get_config() | axes)


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
class Shared(OfKind):
    """A weight as a tensor of the graph, to be tied to the weights of layers.

    Called on any tensor of the graph, for the sake of standing in it, it returns
    the whole weight, without a batch axis.

    Args:
        shape: The shape of the weight.
        equations: Its structure, if it has any.
        initializer, regularizer: As for a weight of a layer; they see the weight.
        fans: Which axes are inputs and which are outputs, if the initializer would
            take others for them.
        kind: What the layer is called where it is saved, as a class would be.
    """

    def __init__(
        self,
        shape: Sequence[int],
        equations: Sequence[Any] = (),
        initializer: Any = "glorot_uniform",
        regularizer: Any = None,
        fans: Any = None,
        kind: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.equations = terms(equations)
        self.initializer = with_fans(keras.initializers.get(initializer), fans)
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape: Any) -> None:
        expansion = expansion_of(self.equations, self.shape)
        initializer, dtype = self.initializer, self.variable_dtype
        self.theta = expansion.add_theta(
            self,
            "weight",
            lambda: (initializer(self.shape, dtype), initializer),
            self.regularizer,
        )
        self.expand = expansion.expand

    def call(self, inputs: Any) -> Any:
        return self.expand(self.theta)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.shape, self.variable_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the weight only stands beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "shape": self.shape,
            "equations": [to_config(equation) for equation in self.equations],
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }
