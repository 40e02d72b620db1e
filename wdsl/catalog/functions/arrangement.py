"""Functions that arrange the entries of tensors anew: in another shape, in another order, together, apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.dtypes import promote
from wdsl.catalog.functions.rules import X, agree, alike, along, enlarged, need_rank, put, row, rows, total
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import Size, as_tuple, broadcast, need_axes, need_axis, reshaped, times

# --- together -------------------------------------------------------------------------------------


def _joined(function: Function, tensors: Sequence[TensorSpec], axis: int) -> TensorSpec:
    shapes = [x.shape for x in tensors]
    for shape in shapes[1:]:
        if not agree(put(shapes[0], axis), put(shape, axis)):
            raise CatalogError(
                f"`{function.name}` along axis {axis:d} needs tensors that agree in all other axes, not "
                f"{show_shape(shapes[0])} and {show_shape(shape)}"
            )
    size = total([shape[axis] for shape in shapes])
    return TensorSpec(put(shapes[0], axis, size), promote(*(x.dtype for x in tensors)))


def concatenate(function: Function, call: Values) -> TensorSpec:
    """One tensor behind the other along an axis."""
    shapes = alike(function, call["xs"])
    return _joined(function, call["xs"], need_axis(call["axis"], len(shapes[0])))


def beside(axis: int) -> Callable[[Function, Values], TensorSpec]:
    """One tensor behind the other: `vstack` along the first axis, `hstack` along the second."""

    def rule(function: Function, call: Values) -> TensorSpec:
        shapes = alike(function, call["xs"])
        # Not NumPy's rule: vectors do not become rows first.
        need_rank(function, call["xs"][0], axis + 1)
        return _joined(function, call["xs"], need_axis(axis, len(shapes[0])))

    return rule


def in_depth(function: Function, call: Values) -> TensorSpec:
    """`dstack`: along the third axis, of tensors that are given three."""

    def deep(x: TensorSpec) -> TensorSpec:
        shapes = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}
        return x.replace(shape=shapes.get(len(x.shape), x.shape))

    tensors = [deep(x) for x in call["xs"]]
    alike(function, tensors)
    return _joined(function, tensors, 2)


def stack(function: Function, call: Values) -> TensorSpec:
    """Tensors of one shape, side by side on a new axis."""
    tensors: Sequence[TensorSpec] = call["x"]
    shapes = alike(function, tensors)
    axis = need_axis(call["axis"], len(shapes[0]) + 1)
    for shape in shapes[1:]:
        if not agree(shapes[0], shape):
            raise CatalogError(
                f"`{function.name}` needs tensors of one shape, not {show_shape(shapes[0])} and {show_shape(shape)}"
            )
    shape = (*shapes[0][:axis], len(tensors), *shapes[0][axis:])
    return TensorSpec(shape, promote(*(x.dtype for x in tensors)))


# --- apart ----------------------------------------------------------------------------------------


def _parts(x: TensorSpec, parts: int | Sequence[int], axis: int) -> tuple[TensorSpec, ...]:
    size = x.shape[axis]
    if isinstance(parts, int):
        if size is not None and size % parts:
            raise CatalogError(
                f"axis {axis:d} of {show_shape(x.shape)} cannot be split into {parts:d} equal parts",
                "indices_or_sections",
            )
        return (TensorSpec(put(x.shape, axis, None if size is None else size // parts), x.dtype),) * parts
    if any(a > b for a, b in pairwise((0, *parts, *(() if size is None else (size,))))):
        raise CatalogError(
            f"`indices_or_sections` must rise from 0 to the size of axis {axis:d} of {show_shape(x.shape)}, "
            f"and not be {show(parts)}",
            "indices_or_sections",
        )
    sizes = [(b - a if a else b) if b is not None else None for a, b in pairwise((0, *parts, size))]
    return tuple(TensorSpec(put(x.shape, axis, part), x.dtype) for part in sizes)


def split(function: Function, call: Values) -> tuple[TensorSpec, ...]:
    """Parts along an axis: as many as are given, or up to the indices that are given."""
    x: TensorSpec = call["x"]
    return _parts(x, call["indices_or_sections"], need_axis(call["axis"], len(x.shape)))


def split_at(axis: int) -> Callable[[Function, Values], tuple[TensorSpec, ...]]:
    """`vsplit`, `hsplit` and `dsplit`. `hsplit` of a vector takes the only axis."""

    def rule(function: Function, call: Values) -> tuple[TensorSpec, ...]:
        x: TensorSpec = call["x"]
        need_rank(function, x, {0: 2, 1: 1, 2: 3}[axis])
        return _parts(x, call["indices_or_sections"], min(axis, len(x.shape) - 1) if axis == 1 else axis)

    return rule


def array_split(function: Function, call: Values) -> tuple[TensorSpec, ...]:
    """Parts along an axis, the first ones larger by one where it cannot be divided."""
    x, parts = call["x"], call["indices_or_sections"]
    axis = need_axis(call["axis"], len(x.shape))
    size = x.shape[axis]
    sizes: list[Size] = [None] * parts
    if size is not None:
        sizes = [size // parts + (1 if part < size % parts else 0) for part in range(parts)]
    return tuple(TensorSpec(put(x.shape, axis, part), x.dtype) for part in sizes)


def unstack(function: Function, call: Values) -> tuple[TensorSpec, ...]:
    """The slices along an axis, each without it."""
    x: TensorSpec = call["x"]
    axis = need_axis(call["axis"], len(x.shape))
    size, number = x.shape[axis], call["num"]
    if number is None and size is None:
        raise CatalogError(f"axis {axis:d} has an unknown size: say with `num` how many slices there are", "num")
    if number is not None and size is not None and number != size:
        raise CatalogError(f"axis {axis:d} of {show_shape(x.shape)} has not {number:d} slices", "num")
    return (TensorSpec(put(x.shape, axis), x.dtype),) * (size if number is None else number)  # type: ignore[operator]


# --- in another shape -------------------------------------------------------------------------------


def reshape(function: Function, call: Values) -> TensorSpec:
    """The entries in another shape, in the order that they have."""
    x: TensorSpec = call["x"]
    return TensorSpec(reshaped(x.shape, as_tuple(call["newshape"]), "newshape"), x.dtype)


def ravel(function: Function, call: Values) -> TensorSpec:
    """The entries in one row."""
    return TensorSpec((times(call["x"].shape),), call["x"].dtype)


def expand_dims(function: Function, call: Values) -> TensorSpec:
    """New axes of size 1."""
    x: TensorSpec = call["x"]
    given = as_tuple(call["axis"])
    axes = need_axes(call["axis"], len(x.shape) + len(given))
    rest = iter(x.shape)
    sizes = tuple(1 if axis in axes else next(rest) for axis in range(len(x.shape) + len(given)))
    return TensorSpec(sizes, x.dtype)


def squeeze(function: Function, call: Values) -> TensorSpec:
    """Without axes of size 1."""
    x: TensorSpec = call["x"]
    if call["axis"] is None:
        return TensorSpec(tuple(size for size in x.shape if size != 1), x.dtype)
    axes = need_axes(call["axis"], len(x.shape))
    for axis in axes:
        if x.shape[axis] != 1:
            raise CatalogError(f"axis {axis:d} of {show_shape(x.shape)} is not 1 and cannot be left out", "axis")
    return TensorSpec(tuple(size for axis, size in enumerate(x.shape) if axis not in axes), x.dtype)


def broadcast_to(function: Function, call: Values) -> TensorSpec:
    """The entries repeated along axes that are 1 or not there."""
    x: TensorSpec = call["x"]
    shape = as_tuple(call["shape"])
    if broadcast(x.shape, shape) != shape:
        raise CatalogError(f"{show_shape(x.shape)} cannot be broadcast to {show(shape)}", "shape")
    return TensorSpec(shape, x.dtype)


def repeat(function: Function, call: Values) -> TensorSpec:
    """Each entry, or each slice along an axis, several times over."""
    x, repeats, axis = call["x"], as_tuple(call["repeats"]), call["axis"]
    shape: Shape = (times(x.shape),) if axis is None else x.shape
    axis = 0 if axis is None else need_axis(axis, len(shape))
    size = shape[axis]
    if not repeats or (size is not None and len(repeats) not in (1, size)):
        raise CatalogError(
            f"`repeats` must be 1 number, or as many as there are slices, not {show(repeats)}", "repeats"
        )
    if size is not None:
        size = size * repeats[0] if len(repeats) == 1 else sum(repeats[1:], repeats[0])
    return TensorSpec(put(shape, axis, size), x.dtype)


def tile(function: Function, call: Values) -> TensorSpec:
    """The whole tensor several times over along each axis."""
    x, repeats = call["x"], as_tuple(call["repeats"])
    rank = max(len(x.shape), len(repeats))
    shape = (1,) * (rank - len(x.shape)) + x.shape
    counts = (1,) * (rank - len(repeats)) + repeats
    # A size that remembers where it comes from is left as it is where nothing is done to it.
    sizes = (
        n if size == 1 else size if n == 1 or size is None else size * n for size, n in zip(shape, counts, strict=True)
    )
    return TensorSpec(tuple(sizes), x.dtype)


def pad(function: Function, call: Values) -> TensorSpec:
    """More entries in front of and behind those along each axis."""
    x, width = call["x"], call["pad_width"]
    if isinstance(width, int):
        pairs = [(width, width)] * len(x.shape)
    elif width and isinstance(width[0], int):
        pairs = [tuple(width)] * len(x.shape)
    else:
        pairs = list(width) * (len(x.shape) if len(width) == 1 else 1)
        if len(pairs) != len(x.shape):
            raise CatalogError(
                f"`pad_width` must be a pair for each axis of {show_shape(x.shape)}, batch included, not {show(width)}",
                "pad_width",
            )
    if call["constant_values"] is not None and call["mode"] != "constant":
        raise CatalogError(f'`constant_values` has no meaning with mode="{call["mode"]}"', "constant_values")
    sizes = (
        size if size is None or not (before or after) else size + before + after
        for size, (before, after) in zip(x.shape, pairs, strict=True)
    )
    return TensorSpec(tuple(sizes), x.dtype)


# --- in another order -------------------------------------------------------------------------------


def transpose(function: Function, call: Values) -> TensorSpec:
    """The axes in another order, else in reverse."""
    x: TensorSpec = call["x"]
    rank = len(x.shape)
    axes = tuple(reversed(range(rank))) if call["axes"] is None else need_axes(call["axes"], rank, "axes")
    if len(axes) != rank:
        raise CatalogError(f"`axes` must name each axis of {show_shape(x.shape)} once", "axes")
    return TensorSpec(tuple(x.shape[axis] for axis in axes), x.dtype)


def _swapped(x: TensorSpec, a: int, b: int) -> TensorSpec:
    sizes = list(x.shape)
    sizes[a], sizes[b] = sizes[b], sizes[a]
    return TensorSpec(tuple(sizes), x.dtype)


def swapaxes(function: Function, call: Values) -> TensorSpec:
    """Two axes in each other's place."""
    x: TensorSpec = call["x"]
    rank = len(x.shape)
    return _swapped(x, need_axis(call["axis1"], rank, "axis1"), need_axis(call["axis2"], rank, "axis2"))


def moveaxis(function: Function, call: Values) -> TensorSpec:
    """Axes brought to other places, the others behind one another as they were."""
    x: TensorSpec = call["x"]
    rank = len(x.shape)
    sources, places = (need_axes(call[name], rank, name) for name in ("source", "destination"))
    if len(sources) != len(places):
        raise CatalogError("`source` and `destination` must name as many axes", "destination")
    moved = dict(zip(places, sources, strict=True))
    rest = (axis for axis in range(rank) if axis not in sources)
    return TensorSpec(tuple(x.shape[moved[axis] if axis in moved else next(rest)] for axis in range(rank)), x.dtype)


def rot90(function: Function, call: Values) -> TensorSpec:
    """A quarter turn in the plane of two axes, `k` times over."""
    x: TensorSpec = call["array"]
    need_rank(function, x, 2)
    a, b = need_axes(call["axes"], len(x.shape), "axes")
    # Keras says of any number of quarter turns that the two axes change places.
    if call["k"] % 2 == 0 and not agree((x.shape[a],), (x.shape[b],)):
        raise CatalogError(f"`k` must be odd: {call['k']:d} quarter turns are `flip` of both axes, or nothing", "k")
    return _swapped(x, a, b)


def roll(function: Function, call: Values) -> TensorSpec:
    """The entries moved along axes; those that fall off at the end come in at the front."""
    shift, axis = call["shift"], call["axis"]
    if isinstance(shift, (list, tuple)) and axis is None:
        raise CatalogError("a list of shifts needs a list of axes", "shift")
    if axis is not None and len(as_tuple(shift)) not in (1, len(as_tuple(axis))):
        raise CatalogError("`shift` and `axis` must be lists of the same length", "shift")
    return along(function, call)


def flipped(rank: int) -> Callable[[Function, Values], TensorSpec]:
    """`flipud` and `fliplr`, which have their axis in the name."""

    def rule(function: Function, call: Values) -> TensorSpec:
        need_rank(function, call["x"], rank)
        x: TensorSpec = call["x"]
        return x

    return rule


# --- diagonals --------------------------------------------------------------------------------------


def _diagonal(rows: Size, columns: Size, offset: int) -> Size:
    if rows is None or columns is None:
        return None
    rest = columns - offset if offset > 0 else rows + offset
    return max(0, min(rest, rows, columns))


def _square(size: Size, k: int) -> Shape:
    return (None, None) if size is None else (size + abs(k),) * 2 if k else (size, size)


def diag(function: Function, call: Values) -> TensorSpec:
    """A matrix with a vector on its diagonal, or the diagonal of a matrix."""
    x, k = call["x"], call["k"]
    match x.shape:
        case (size,):
            return TensorSpec(_square(size, k), x.dtype)
        case (rows, columns):
            return TensorSpec((_diagonal(rows, columns, k),), x.dtype)
    raise CatalogError(f"`diag` needs a tensor of 1 or 2 axes, batch included, not {show_shape(x.shape)}")


def diagflat(function: Function, call: Values) -> TensorSpec:
    """A matrix with all entries on its diagonal."""
    return TensorSpec(_square(times(call["x"].shape), call["k"]), call["x"].dtype)


def _planes(function: Function, call: Values) -> tuple[Shape, tuple[int, int]]:
    x: TensorSpec = call["x"]
    need_rank(function, x, 2)
    first, second = (need_axis(call[name], len(x.shape), name) for name in ("axis1", "axis2"))
    if first == second:
        raise CatalogError("`axis1` and `axis2` must be two axes", "axis2")
    return tuple(size for axis, size in enumerate(x.shape) if axis not in (first, second)), (first, second)


def diagonal(function: Function, call: Values) -> TensorSpec:
    """The diagonals of the matrices that two axes span, on the last axis."""
    x: TensorSpec = call["x"]
    rest, (first, second) = _planes(function, call)
    return TensorSpec((*rest, _diagonal(x.shape[first], x.shape[second], call["offset"])), x.dtype)


def trace(function: Function, call: Values) -> TensorSpec:
    """The sums of such diagonals."""
    return TensorSpec(_planes(function, call)[0], enlarged(call["x"].dtype))


def triangle(function: Function, call: Values) -> TensorSpec:
    """Matrices with zeros above or below a diagonal."""
    x: TensorSpec = call["x"]
    need_rank(function, x, 2)
    return x


def meshgrid(function: Function, call: Values) -> tuple[TensorSpec, ...]:
    """Tensors of coordinates, one for each vector."""
    tensors: Sequence[TensorSpec] = call["x"]
    swap = call["indexing"] == "xy"
    if len(tensors) < (2 if swap else 1):
        raise CatalogError("`meshgrid` needs at least 2 tensors" if swap else "`meshgrid` needs at least 1 tensor")
    sizes = [times(x.shape) for x in tensors]
    if swap:
        sizes[0], sizes[1] = sizes[1], sizes[0]
    # Keras says this of the dtypes, whatever comes out.
    return (TensorSpec(tuple(sizes), tensors[-1].dtype if swap else "float32"),) * len(tensors)


_SECTIONS = "indices_or_sections: size or list(count)"
_PLANE = f"{X}, offset: int = 0, axis1: axis = 0, axis2: axis = 1"

ROWS = (
    *(row(name, "xs: tensors, axis: axis = 0", concatenate, keras="concatenate") for name in ("concat", "concatenate")),
    row("stack", "x: tensors, axis: axis = 0", stack),
    row("vstack", "xs: tensors", beside(0)),
    row("hstack", "xs: tensors", beside(1)),
    row("dstack", "xs: tensors", in_depth, since="3.14"),
    row("meshgrid", "*x: tensors, indexing: choice(xy|ij) = 'xy'", meshgrid),
    row("split", f"{X}, {_SECTIONS}, axis: axis = 0", split),
    row("vsplit", f"{X}, {_SECTIONS}", split_at(0), since="3.14"),
    row("hsplit", f"{X}, {_SECTIONS}", split_at(1), since="3.14"),
    row("dsplit", f"{X}, {_SECTIONS}", split_at(2), since="3.15"),
    row("array_split", f"{X}, indices_or_sections: size, axis: axis = 0", array_split, since="3.13"),
    row("unstack", f"{X}, num: optional size = None, axis: axis = 0", unstack),
    row("reshape", f"{X}, newshape: int or list(int)", reshape),
    row("ravel", X, ravel),
    row("expand_dims", f"{X}, axis: axes", expand_dims),
    row("squeeze", f"{X}, axis: optional axes = None", squeeze),
    row("broadcast_to", f"{X}, shape: list(size)", broadcast_to),
    row("repeat", f"{X}, repeats: count or list(count), axis: optional axis = None", repeat),
    row("tile", f"{X}, repeats: count or list(count)", tile),
    row(
        "pad",
        f"{X}, pad_width: count or list(count, 2) or list(list(count, 2)), "
        "mode: choice(constant|reflect|symmetric) = 'constant', constant_values: optional float = None",
        pad,
    ),
    row("transpose", f"{X}, axes: optional list(axis) = None", transpose),
    row("swapaxes", f"{X}, axis1: axis, axis2: axis", swapaxes),
    row("moveaxis", f"{X}, source: axes, destination: axes", moveaxis),
    row("rot90", "array: tensor, k: int = 1, axes: list(axis, 2) = (0, 1)", rot90),
    row("roll", f"{X}, shift: int or list(int), axis: optional axes = None", roll),
    row("flip", f"{X}, axis: optional axes = None", along),
    row("flipud", X, flipped(1), since="3.14"),
    row("fliplr", X, flipped(2), since="3.14"),
    row("diag", f"{X}, k: int = 0", diag),
    row("diagflat", f"{X}, k: int = 0", diagflat),
    row("diagonal", _PLANE, diagonal),
    row("trace", _PLANE, trace),
    *rows("tril triu", f"{X}, k: int = 0", triangle),
)
