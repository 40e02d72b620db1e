"""Convolutions with kernels that are tensors, and windows taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.functions.rules import row
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import (
    Size,
    channels_first,
    each,
    image_axes,
    need_positive,
    not_both,
    transposed_length,
    window_length,
    window_phrase,
)


def _image(function: Function, x: TensorSpec, call: Values) -> tuple[Shape, Size]:
    """The spatial sizes, one to three of them, and the channels."""
    n = len(x.shape) - 2
    if n not in (1, 2, 3):
        raise CatalogError(f"`{function.name}` takes {image_axes(2, channels_first(call))}, not {show_shape(x.shape)}")
    return (x.shape[2:], x.shape[1]) if channels_first(call) else (x.shape[1:-1], x.shape[-1])


def _with(x: TensorSpec, call: Values, spatial: Sequence[Size], channels: Size) -> TensorSpec:
    first = channels_first(call)
    return TensorSpec((x.shape[0], channels, *spatial) if first else (x.shape[0], *spatial, channels), x.dtype)


def _of_axes(name: str, value: object, n: int) -> tuple[int, ...]:
    sizes = each(value, n)
    if len(sizes) != n:
        raise CatalogError(f"`{name}` must be one size, or one for each of {n} axes", name)
    return sizes


def _kernel(function: Function, x: TensorSpec, kernel: TensorSpec, n: int, name: str = "kernel") -> tuple[int, ...]:
    """The sizes of a kernel, which must be known."""
    if len(kernel.shape) != n + 2:
        shown = f"{show_shape(kernel.shape)} has {len(kernel.shape)}"
        raise CatalogError(f"a kernel for {show_shape(x.shape)} has {n + 2} axes, and {shown}", name)
    if kernel.dtype != x.dtype:
        raise CatalogError(f"`{function.name}` takes a kernel of the dtype of the input, {x.dtype}", name)
    sizes = tuple(size for size in kernel.shape if size is not None)
    if len(sizes) < len(kernel.shape):
        raise CatalogError(f"`{function.name}` takes a kernel of known sizes, not {show_shape(kernel.shape)}", name)
    return sizes


def _slid(function: Function, x: TensorSpec, call: Values, spatial: Shape, window: tuple[int, ...]) -> tuple[Size, ...]:
    n, padding = len(spatial), call["padding"]
    strides = _of_axes("strides", call["strides"], n)
    dilation = _of_axes("dilation_rate", call["dilation_rate"], n)
    if function.name == "conv":
        not_both({"strides": strides, "dilation_rate": dilation}, n)
    sizes = tuple(
        window_length(size, length, stride, padding, rate)
        for size, length, stride, rate in zip(spatial, window, strides, dilation, strict=True)
    )
    need_positive(sizes, x.shape, function.name, window_phrase(window, dilation), function.arguments[1].name)
    return sizes


def _need_channels(x: TensorSpec, channels: Size, kernel: TensorSpec, depth: int, name: str = "kernel") -> None:
    if channels not in (None, depth):
        shown = f"{show_shape(x.shape)} has {channels:d}"
        raise CatalogError(f"a kernel {show_shape(kernel.shape)} is for {depth:d} channels, and {shown}", name)


def conv(function: Function, call: Values) -> TensorSpec:
    """As the layers do, with a kernel that is given: [..., channels, filters]."""
    x, kernel = call["inputs"], call["kernel"]
    spatial, channels = _image(function, x, call)
    *window, depth, filters = _kernel(function, x, kernel, len(spatial))
    _need_channels(x, channels, kernel, depth)
    return _with(x, call, _slid(function, x, call, spatial, tuple(window)), filters)


def conv_transpose(function: Function, call: Values) -> TensorSpec:
    """As the layers do, with a kernel that is given: [..., filters, channels]."""
    x, kernel = call["inputs"], call["kernel"]
    spatial, channels = _image(function, x, call)
    n, padding = len(spatial), call["padding"]
    *window, filters, depth = _kernel(function, x, kernel, n)
    _need_channels(x, channels, kernel, depth)
    strides = _of_axes("strides", call["strides"], n)
    dilation = _of_axes("dilation_rate", call["dilation_rate"], n)
    extra: tuple[int | None, ...] = (None,) * n
    if call["output_padding"] is not None:
        extra = _of_axes("output_padding", call["output_padding"], n)
    for more, stride in zip(extra, strides, strict=True):
        if more is not None and more >= stride:
            message = f"`output_padding` must be less than `strides`: {more:d} is not less than {stride:d}"
            raise CatalogError(message, "output_padding")
    windows = zip(spatial, window, strides, extra, dilation, strict=True)
    return _with(x, call, tuple(transposed_length(*each, padding) for each in windows), filters)


def depthwise_conv(function: Function, call: Values) -> TensorSpec:
    """Each channel with kernels of its own: [..., channels, multiplier]."""
    x, kernel = call["inputs"], call["kernel"]
    spatial, channels = _image(function, x, call)
    _flat_or_line(function, spatial)
    *window, depth, multiplier = _kernel(function, x, kernel, len(spatial))
    _need_channels(x, channels, kernel, depth)
    _alike(call, len(spatial))
    return _with(x, call, _slid(function, x, call, spatial, tuple(window)), depth * multiplier)


def separable_conv(function: Function, call: Values) -> TensorSpec:
    """`depthwise_conv`, and then a mix of the channels: [..., 1, channels · multiplier, filters]."""
    x, kernel, mix = call["inputs"], call["depthwise_kernel"], call["pointwise_kernel"]
    spatial, channels = _image(function, x, call)
    _flat_or_line(function, spatial)
    *window, depth, multiplier = _kernel(function, x, kernel, len(spatial), "depthwise_kernel")
    *ones, between, filters = _kernel(function, x, mix, len(spatial), "pointwise_kernel")
    _need_channels(x, channels, kernel, depth, "depthwise_kernel")
    groups, rest = divmod(depth * multiplier, between)
    if set(ones) != {1} or rest or filters % groups:
        wanted = show_shape((*(1,) * len(spatial), depth * multiplier, filters))
        raise CatalogError(f"`pointwise_kernel` must be {wanted}, not {show_shape(mix.shape)}", "pointwise_kernel")
    _alike(call, len(spatial))
    return _with(x, call, _slid(function, x, call, spatial, tuple(window)), filters)


def _flat_or_line(function: Function, spatial: Shape) -> None:
    if len(spatial) == 3:
        raise CatalogError(f"`{function.name}` takes one or two spatial axes, not 3")


def _alike(call: Values, n: int) -> None:
    if len(set(_of_axes("strides", call["strides"], n))) > 1:
        raise CatalogError("`strides` must be the same along both axes", "strides")


def _frames(call: Values, height: Size, width: Size) -> tuple[Size, Size]:
    values = (each(call[name], 2) for name in ("kernel_size", "dilation", "padding", "stride"))
    sizes: list[Size] = [
        None if size is None else (size + 2 * pad - dilation * (window - 1) - 1) // stride + 1
        for size, window, dilation, pad, stride in zip((height, width), *values, strict=True)
    ]
    return sizes[0], sizes[1]


def unfold(function: Function, call: Values) -> TensorSpec:
    """The windows of images, one beside the other: [channels · window, places]. Channels come first."""
    x: TensorSpec = call["x"]
    if len(x.shape) != 4 or None in x.shape[1:]:
        raise CatalogError(f"`unfold` takes [batch, channels, height, width], all known, not {show_shape(x.shape)}")
    _, channels, height, width = x.shape
    rows, columns = _frames(call, height, width)
    window = each(call["kernel_size"], 2)
    if rows < 0 or columns < 0:  # type: ignore[operator]
        message = f"a {window_phrase(window)} does not fit into {show_shape(x.shape)}"
        raise CatalogError(message, "kernel_size")
    return TensorSpec((x.shape[0], channels * window[0] * window[1], rows * columns), x.dtype)  # type: ignore[operator]


def fold(function: Function, call: Values) -> TensorSpec:
    """The images that `unfold` took apart, where windows overlap their sum."""
    x: TensorSpec = call["x"]
    if len(x.shape) != 3 or x.shape[1] is None:
        raise CatalogError(f"`fold` takes [batch, channels · window, places], not {show_shape(x.shape)}")
    window, size = each(call["kernel_size"], 2), each(call["output_size"], 2)
    _, depth, places = x.shape
    if depth % (window[0] * window[1]):  # type: ignore[operator]
        raise CatalogError(f"{depth:d} cannot be divided into windows of {window[0]:d} × {window[1]:d}", "kernel_size")
    rows, columns = _frames(call, *size)
    if rows < 1 or columns < 1 or places not in (None, rows * columns):  # type: ignore[operator]
        wanted = "no windows" if rows < 1 or columns < 1 else f"{rows * columns:d} windows"  # type: ignore[operator]
        shown = f"an image of {size[0]:d} × {size[1]:d} has {wanted} of {window[0]:d} × {window[1]:d}"
        raise CatalogError(f"{shown}, and {show_shape(x.shape)} another number", "output_size")
    return TensorSpec((x.shape[0], depth // (window[0] * window[1]), *size), x.dtype)  # type: ignore[operator]


_SIZES = "size or list(size)"
_PADDING = "padding: choice(valid|same) = 'valid'"
_FORMAT = "data_format: optional data_format = None"
_SLID = f"strides: {_SIZES} = 1, {_PADDING}, {{}}{_FORMAT}, dilation_rate: {_SIZES} = 1"
_FRAME = "kernel_size: sizes(2), dilation: sizes(2) = 1, padding: counts(2) = 0, stride: sizes(2) = 1"

ROWS = (
    row("conv", f"inputs: tensor, kernel: tensor, {_SLID.format('')}", conv),
    row(
        "conv_transpose",
        f"inputs: tensor, kernel: tensor, {_SLID.format('output_padding: optional count or list(count) = None, ')}",
        conv_transpose,
    ),
    row("depthwise_conv", f"inputs: tensor, kernel: tensor, {_SLID.format('')}", depthwise_conv),
    row(
        "separable_conv",
        f"inputs: tensor, depthwise_kernel: tensor, pointwise_kernel: tensor, {_SLID.format('')}",
        separable_conv,
    ),
    row("unfold", f"x: tensor, {_FRAME}", unfold),
    row("fold", f"x: tensor, output_size: sizes(2), {_FRAME}", fold, since="3.14"),
)
