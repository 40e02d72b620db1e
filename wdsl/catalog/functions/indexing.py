"""Functions that look entries up, put them in place, and bring them in order."""

from __future__ import annotations

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.functions.rules import X, always, flat_along, need_rank, put, row, rows
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import as_tuple, broadcast, need_axis, times


def take(function: Function, call: Values) -> TensorSpec:
    """The slices with these numbers."""
    x, indices = call["x"], call["indices"]
    shape: Shape = (len(indices),) if isinstance(indices, (list, tuple)) else ()
    if isinstance(indices, TensorSpec):
        shape = indices.shape
    if call["axis"] is None:
        return TensorSpec(shape, x.dtype)
    return TensorSpec(put(x.shape, need_axis(call["axis"], len(x.shape)), *shape), x.dtype)


def take_along_axis(function: Function, call: Values) -> TensorSpec:
    """The entries with these numbers along an axis, one for each place of `indices`."""
    x, indices, axis = call["x"], call["indices"], call["axis"]
    shape: Shape = (times(x.shape),) if axis is None else x.shape
    if len(shape) != len(indices.shape):
        raise CatalogError(
            f"`take_along_axis` needs as many axes of the indices as of the tensor, not "
            f"{show_shape(indices.shape)} and {show_shape(x.shape)}",
            "indices",
        )
    at = 0 if axis is None else need_axis(axis, len(shape))
    return TensorSpec(broadcast(put(shape, at, indices.shape[at]), indices.shape), x.dtype)


def _with_classes(x: TensorSpec, axis: int, count: int) -> Shape:
    rank = len(x.shape)
    if axis != -1 and not 0 <= axis < rank:
        raise CatalogError(f"`axis` must be -1 or an axis of {show_shape(x.shape)}, not {axis:d}", "axis")
    at = rank if axis == -1 else axis
    return (*x.shape[:at], count, *x.shape[at:])


def one_hot(function: Function, call: Values) -> TensorSpec:
    """A one at the place that each entry names, among zeros."""
    return TensorSpec(_with_classes(call["x"], call["axis"], call["num_classes"]), call["dtype"] or "float32")


def multi_hot(function: Function, call: Values) -> TensorSpec:
    """A one at all places that the entries of a sample name."""
    x, count = call["inputs"], call["num_classes"]
    if count is None:
        raise CatalogError("`multi_hot` needs `num_classes`", "num_classes")
    shape = _with_classes(x, call["axis"], count)
    return TensorSpec(shape[-1:] if len(shape) == 2 else (*shape[:1], *shape[2:]), x.dtype)


def top_k(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """The largest entries along the last axis, and their places."""
    x, k = call["x"], call["k"]
    need_rank(function, x, 1)
    size = x.shape[-1]
    if size is not None and k > size:
        raise CatalogError(f"`k` can be at most {size:d}, the size of the last axis of {show_shape(x.shape)}", "k")
    shape = (*x.shape[:-1], k)
    return TensorSpec(shape, x.dtype), TensorSpec(shape, "int32")


def in_top_k(function: Function, call: Values) -> TensorSpec:
    """Whether the prediction for each target is among the largest."""
    return TensorSpec(call["targets"].shape, "bool")


def searchsorted(function: Function, call: Values) -> TensorSpec:
    """The place in a sorted vector at which each value would have to be put in."""
    (*more, size) = call["sorted_sequence"].shape or (None, None)
    if more:
        raise CatalogError("`searchsorted` needs a vector to search in", "sorted_sequence")
    return TensorSpec(call["values"].shape, "int64" if size is None else "int32")


def part(function: Function, call: Values) -> TensorSpec:
    """`slice`: as many entries along each axis as `shape` says, from `start_indices` on."""
    x, starts, sizes = call["inputs"], call["start_indices"], call["shape"]
    rank = len(x.shape)
    for name in ("start_indices", "shape"):
        if len(call[name]) != rank:
            raise CatalogError(
                f"`{name}` must have a number for each axis of {show_shape(x.shape)}, not be {show(call[name])}", name
            )
    output = []
    for axis, (size, start, wanted) in enumerate(zip(x.shape, starts, sizes, strict=True)):
        if wanted < -1 or (size is not None and start + max(wanted, 0) > size):
            raise CatalogError(
                f"{wanted:d} entries from {start:d} on are not in axis {axis:d} of {show_shape(x.shape)}"
            )
        rest = None if size is None else size - start if start else size
        output.append(rest if wanted == -1 else wanted)
    return TensorSpec(tuple(output), x.dtype)


def updated(function: Function, call: Values) -> TensorSpec:
    """`slice_update` and `scatter_update`: the tensor with some entries replaced."""
    x: TensorSpec = call["inputs"]
    starts, updates = call.get("start_indices"), call["updates"]
    if starts is not None and not len(starts) == len(x.shape) == len(updates.shape):
        raise CatalogError("`start_indices` and `updates` must have as many axes as the tensor", "start_indices")
    return x


def scatter(function: Function, call: Values) -> TensorSpec:
    """Zeros, with the values added at the indices."""
    return TensorSpec(as_tuple(call["shape"]), call["values"].dtype)


def segments(function: Function, call: Values) -> TensorSpec:
    """One slice of those along the first axis that have the same number."""
    x, numbers = call["data"], call["segment_ids"]
    if len(numbers.shape) != 1:
        raise CatalogError(f"`segment_ids` must be a vector, not {show_shape(numbers.shape)}", "segment_ids")
    if not x.shape or (None not in (x.shape[0], numbers.shape[0]) and x.shape[0] != numbers.shape[0]):
        raise CatalogError(
            f"`segment_ids` {show_shape(numbers.shape)} must have a number for each slice of {show_shape(x.shape)}",
            "segment_ids",
        )
    return TensorSpec((call["num_segments"], *x.shape[1:]), x.dtype)


def extract_sequences(function: Function, call: Values) -> TensorSpec:
    """Windows along the last axis, each a row of a new axis."""
    x, length, stride = call["x"], call["sequence_length"], call["sequence_stride"]
    need_rank(function, x, 1)
    size = x.shape[-1]
    count = None if size is None else 1 + (size - length) // stride
    if count is not None and count < 0:
        raise CatalogError(f"a window of {length:d} does not fit into {show_shape(x.shape)}", "sequence_length")
    return TensorSpec((*x.shape[:-1], count, length), x.dtype)


_SEGMENTS = "data: tensor, segment_ids: tensor, num_segments: optional size = None, sorted: bool = False"

ROWS = (
    row("take", f"{X}, indices: int or list(int) or tensor, axis: optional axis = None", take),
    row("take_along_axis", f"{X}, indices: tensor, axis: optional axis = None", take_along_axis),
    row(
        "one_hot",
        f"{X}, num_classes: size, axis: axis = -1, dtype: optional dtype = None, sparse: unset = False",
        one_hot,
    ),
    row(
        "multi_hot",
        "inputs: tensor, num_classes: optional size = None, axis: axis = -1, dtype: optional dtype = None, "
        "sparse: unset = False",
        multi_hot,
    ),
    row("sort", f"{X}, axis: optional axis = -1", flat_along()),
    row("argsort", f"{X}, axis: optional axis = -1", flat_along(always("int32"))),
    row("argpartition", f"{X}, kth: int, axis: optional axis = -1", flat_along(always("int32"))),
    row("top_k", f"{X}, k: size, sorted: bool = True", top_k),
    row("in_top_k", "targets: tensor, predictions: tensor, k: size", in_top_k),
    row("searchsorted", "sorted_sequence: tensor, values: tensor, side: choice(left|right) = 'left'", searchsorted),
    row("slice", "inputs: tensor, start_indices: list(count), shape: list(int)", part),
    row("slice_update", "inputs: tensor, start_indices: list(count), updates: tensor", updated),
    row(
        "scatter_update",
        "inputs: tensor, indices: tensor, updates: tensor, "
        "reduction: optional choice(add|mul|min|max) = None since 3.14",
        updated,
    ),
    row("scatter", "indices: tensor, values: tensor, shape: list(size)", scatter),
    *rows("segment_sum segment_max", _SEGMENTS, segments),
    *rows("segment_min segment_prod", _SEGMENTS, segments, since="3.15"),
    row("extract_sequences", f"{X}, sequence_length: size, sequence_stride: size", extract_sequences),
)
