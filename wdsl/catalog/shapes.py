"""Shape arithmetic that families of layers and functions share.

Sizes are combined with plain operators only: the elaborator passes whole numbers that remember the expression
they come from, and a weight's shape must still carry it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.model import CatalogError, Shape, Values, Weight

Size = int | None


def product(sizes: Sequence[int]) -> int:
    """The product of the sizes. (`math.prod` would put a `1 *` in front of what they remember.)"""
    return reduce(mul, sizes) if sizes else 1


def times(sizes: Sequence[Size]) -> Size:
    """The product of sizes of which some may be unknown: then it is unknown."""
    known = [size for size in sizes if size is not None]
    return product(known) if len(known) == len(sizes) else None


def each(value: object, n: int) -> tuple[int, ...]:
    """The value of a `sizes(n)` or `counts(n)` argument, one for each axis."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    assert isinstance(value, int)
    return (value,) * n


def as_tuple(value: object) -> tuple[int, ...]:
    """The value of an `axes` argument as a tuple."""
    return each(value, 1)


def axes_phrase(n: int) -> str:
    """`1 axis`, `2 axes`."""
    return f"{n} axis" if n == 1 else f"{n} axes"


def entries_phrase(n: int) -> str:
    """`1 entry`, `2 entries`."""
    return "1 entry" if n == 1 else f"{n:d} entries"


_SPATIAL = {1: "steps", 2: "height, width", 3: "depth, height, width"}


def image_axes(n: int, first: bool) -> str:
    """How messages name the axes of an input with `n` spatial axes: `batch, height, width, channels`."""
    return f"batch, channels, {_SPATIAL[n]}" if first else f"batch, {_SPATIAL[n]}, channels"


def need_rank(shape: Shape, rank: int, layer: str, names: str = "") -> None:
    """Refuses an input that does not have exactly `rank` axes."""
    if len(shape) != rank:
        raise CatalogError(_rank_message(shape, f"{rank}", layer, names))


def need_rank_from(shape: Shape, rank: int, layer: str, names: str = "") -> None:
    """Refuses an input that has fewer than `rank` axes."""
    if len(shape) < rank:
        raise CatalogError(_rank_message(shape, f"at least {rank}", layer, names))


def _rank_message(shape: Shape, needed: str, layer: str, names: str) -> str:
    names = f" ({names})" if names else ", batch included"
    return f"the input {show_shape(shape)} has {axes_phrase(len(shape))}, but `{layer}` needs {needed}{names}"


def need_axis(axis: int, rank: int, argument: str = "axis") -> int:
    """The axis counted from the front. Refuses one that a tensor of this rank does not have."""
    if not -rank <= axis < rank:
        raise CatalogError(f"there is no axis {axis:d}: the input has {axes_phrase(rank)}, batch included", argument)
    return axis % rank


def need_axes(axes: object, rank: int, argument: str = "axis") -> tuple[int, ...]:
    """The axes of an `axes` argument, counted from the front, each of them there and named once."""
    numbers = tuple(need_axis(axis, rank, argument) for axis in as_tuple(axes))
    if len(set(numbers)) != len(numbers):
        raise CatalogError(f"`{argument}` has an axis twice: {show(axes)}", argument)
    return numbers


def channels_first(arguments: Values) -> bool:
    """Whether the channels are the first axis after the batch."""
    data_format = arguments.get("data_format")
    return data_format is not None and data_format.lower() == "channels_first"


def window_length(size: Size, window: int, stride: int, padding: str, dilation: int = 1) -> Size:
    """How many places a window takes along an axis of `size`. It may be less than 1: see `need_positive`."""
    if size is None:
        return None
    if padding != "valid":
        return (size - 1) // stride + 1
    reach = window if dilation == 1 else dilation * (window - 1) + 1
    return (size - reach) // stride + 1


def transposed_length(size: Size, window: int, stride: int, extra: int | None, dilation: int, padding: str) -> Size:
    """How many places a transposed convolution makes of `size` along an axis. `extra` is its output padding."""
    if size is None:
        return None
    reach = (window - 1) * dilation + 1
    if padding == "valid":
        return (size - 1) * stride + (max(reach, stride) if extra is None else reach + extra)
    return size * stride if extra is None else (size - 1) * stride + reach % 2 + extra


def window_phrase(window: Sequence[int], dilation: Sequence[int] = (1,)) -> str:
    """`window of 3 × 3`, as messages call it."""
    phrase = f"window of {' × '.join(map(int.__repr__, window))}"
    return phrase if max(dilation) == 1 else f"{phrase}, dilated by {' × '.join(map(int.__repr__, dilation))},"


def not_both(arguments: Values, n: int) -> None:
    """Refuses `strides` and `dilation_rate` that are both above 1."""
    if max(each(arguments["strides"], n)) > 1 and max(each(arguments["dilation_rate"], n)) > 1:
        raise CatalogError("`strides` and `dilation_rate` cannot both be more than 1", "dilation_rate")


def need_positive(sizes: Sequence[Size], before: Shape, layer: str, window: str, argument: str) -> None:
    """Refuses an output of which nothing would be left."""
    if any(size is not None and size <= 0 for size in sizes):
        raise CatalogError(
            f"`{layer}` would leave nothing of the input {show_shape(before)}: its {window} does not fit",
            argument,
        )


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of two tensors combined entry by entry, as NumPy broadcasts."""
    if len(a) < len(b):
        a, b = b, a
    result = list(a[: len(a) - len(b)])
    for m, n in zip(a[len(a) - len(b) :], b, strict=True):
        if m == 1:
            result.append(n)
        elif n == 1 or n is None or n == m:
            result.append(m)
        elif m is None:
            result.append(n)
        else:
            raise CatalogError(
                f"the shapes {show_shape(a)} and {show_shape(b)} do not go together: {m:d} against {n:d}"
            )
    return tuple(result)


def reshaped(shape: Shape, target: Sequence[int], argument: str) -> Shape:
    """The shape `target`, its one -1 replaced by what is left of the entries of `shape`."""
    if any(size < -1 for size in target):
        raise CatalogError(f"`{argument}` may have sizes and one -1, but it is {show(target)}", argument)
    if list(target).count(-1) > 1:
        raise CatalogError(f"`{argument}` may have one -1, but {show(target)} has several", argument)
    entries = times(shape)
    if entries is None:
        return tuple(None if size == -1 else size for size in target)
    known = product([size for size in target if size != -1])
    fits = known and entries % known == 0 if -1 in target else entries == known
    if not fits:
        raise CatalogError(
            f"{show_shape(shape)} has {entries_phrase(entries)}, which cannot be arranged as {show(target)}",
            argument,
        )
    return tuple(entries // known if size == -1 else size for size in target)


def weight(
    arguments: Values,
    name: str,
    shape: Sequence[Size],
    role: str | None = None,
    *,
    path: str | None = None,
    holder: str = "",
    trainable: bool = True,
    needs: str = "the last axis of the input",
) -> Weight:
    """A weight, with the arguments `{role}_initializer`, `_regularizer` and `_constraint` if there are such.

    `needs` says where in the input the sizes come from, for the message about one that is unknown.
    """
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) != len(shape):
        raise CatalogError(f"{needs} must have a known size, since the shape of the weight `{name}` depends on it")

    def argument(what: str) -> str | None:
        return f"{role}_{what}" if role and f"{role}_{what}" in arguments else None

    return Weight(
        name,
        path or name.replace(".", "/"),
        sizes,
        trainable,
        argument("initializer"),
        argument("regularizer"),
        argument("constraint"),
        holder=holder,
    )
