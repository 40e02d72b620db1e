"""Convolutions of one to three spatial axes."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, Shape, TensorSpec, Values
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import (
    Size,
    channels_first,
    each,
    image_axes,
    need_positive,
    need_rank,
    not_both,
    transposed_length,
    weight,
    window_length,
    window_phrase,
)


def _image(layer: Layer, a: Values, call: Values) -> tuple[TensorSpec, Shape, int]:
    """The input, its spatial sizes, and its channels, which must be known."""
    x: TensorSpec = call["inputs"]
    n: int = layer.family["rank"]
    first = channels_first(a)
    need_rank(x.shape, n + 2, layer.name, image_axes(n, first))
    channels = x.shape[1 if first else -1]
    if channels is None:
        raise CatalogError(f"`{layer.name}` must know the channels, but the input is {show_shape(x.shape)}")
    return x, x.shape[2:] if first else x.shape[1:-1], channels


def _output(a: Values, x: TensorSpec, spatial: tuple[Size, ...], filters: int) -> TensorSpec:
    shape = (x.shape[0], filters, *spatial) if channels_first(a) else (x.shape[0], *spatial, filters)
    return TensorSpec(shape, compute_dtype(a))


def _window(layer: Layer, a: Values, x: TensorSpec, spatial: Shape) -> tuple[Size, ...]:
    n = len(spatial)
    kernel, strides, dilation = each(a["kernel_size"], n), each(a["strides"], n), each(a["dilation_rate"], n)
    padding = a["padding"].lower()
    sizes = tuple(
        window_length(size, window, stride, padding, rate)
        for size, window, stride, rate in zip(spatial, kernel, strides, dilation, strict=True)
    )
    # Keras looks at this for "valid" alone: with "same", nothing is left only where nothing was.
    if padding == "valid":
        need_positive(sizes, x.shape, layer.name, window_phrase(kernel, dilation), "kernel_size")
    return sizes


def convolution(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Conv1D` to `Conv3D`."""
    x, spatial, channels = _image(layer, a, call)
    filters, groups = a["filters"], a["groups"]
    not_both(a, len(spatial))
    if filters % groups:
        raise CatalogError(f"`filters` must be a multiple of `groups`: {filters:d} is none of {groups:d}", "groups")
    if channels % groups:
        raise CatalogError(f"the input's {channels:d} channels cannot be divided into {groups:d} groups", "groups")
    depth = channels if groups == 1 else channels // groups
    kernel = weight(a, "kernel", (*each(a["kernel_size"], len(spatial)), depth, filters), "kernel")
    bias = (weight(a, "bias", (filters,), "bias"),) if a["use_bias"] else ()
    return Inferred(_output(a, x, _window(layer, a, x, spatial), filters), (kernel, *bias))


def transposed(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Conv1DTranspose` to `Conv3DTranspose`, whose kernels have the filters before the channels."""
    x, spatial, channels = _image(layer, a, call)
    filters, n = a["filters"], len(spatial)
    not_both(a, n)
    strides = each(a["strides"], n)
    extra = (None,) * n if a["output_padding"] is None else each(a["output_padding"], n)
    for more, stride in zip(extra, strides, strict=True):
        if more is not None and more >= stride:
            raise CatalogError(
                f"`output_padding` must be less than `strides`: {more:d} is not less than {stride:d}",
                "output_padding",
            )
    windows = zip(spatial, each(a["kernel_size"], n), strides, extra, each(a["dilation_rate"], n), strict=True)
    padding = a["padding"].lower()
    sizes = tuple(transposed_length(*window, padding) for window in windows)
    kernel = weight(a, "kernel", (*each(a["kernel_size"], n), filters, channels), "kernel")
    bias = (weight(a, "bias", (filters,), "bias"),) if a["use_bias"] else ()
    return Inferred(_output(a, x, sizes, filters), (kernel, *bias))


def depthwise(layer: Layer, a: Values, call: Values) -> Inferred:
    """`DepthwiseConv1D` and `DepthwiseConv2D`: `depth_multiplier` filters for each channel."""
    x, spatial, channels = _image(layer, a, call)
    depth = a["depth_multiplier"]
    kernel = weight(a, "kernel", (*each(a["kernel_size"], len(spatial)), channels, depth), "depthwise")
    bias = (weight(a, "bias", (depth * channels,), "bias"),) if a["use_bias"] else ()
    return Inferred(_output(a, x, _window(layer, a, x, spatial), depth * channels), (kernel, *bias))


def separable(layer: Layer, a: Values, call: Values) -> Inferred:
    """`SeparableConv1D` and `SeparableConv2D`: depthwise, then a mix of the channels."""
    x, spatial, channels = _image(layer, a, call)
    filters, depth, n = a["filters"], a["depth_multiplier"], len(spatial)
    weights = (
        weight(a, "depthwise_kernel", (*each(a["kernel_size"], n), channels, depth), "depthwise"),
        weight(a, "pointwise_kernel", (*(1,) * n, depth * channels, filters), "pointwise"),
        *((weight(a, "bias", (filters,), "bias"),) if a["use_bias"] else ()),
    )
    return Inferred(_output(a, x, _window(layer, a, x, spatial), filters), weights)


def _ones(n: int) -> str:
    return "1" if n == 1 else f"({', '.join('1' * n)})"


def _variables(*names: str) -> str:
    """The arguments that initialize, regularize and constrain these weights, in Keras's order."""
    initial = {"bias": "zeros"}
    return ", ".join(
        (
            *(f"{name}_initializer: initializer = '{initial.get(name, 'glorot_uniform')}'" for name in names),
            *(f"{name}_regularizer: optional regularizer = None" for name in names),
            "activity_regularizer: optional regularizer = None",
            *(f"{name}_constraint: optional constraint = None" for name in names),
        )
    )


_FORMAT = "data_format: optional data_format = None"
_ACTIVATION = "activation: optional activation = None, use_bias: bool = True"


def _kernel(n: int, padding: str) -> str:
    return f"kernel_size: sizes({n}), strides: sizes({n}) = {_ones(n)}, padding: anycase({padding}) = 'valid'"


def _dilation(n: int) -> str:
    return f"dilation_rate: sizes({n}) = {_ones(n)}"


def _plain(n: int) -> Layer:
    padding = "valid|same|causal" if n == 1 else "valid|same"
    return Layer(
        f"Conv{n}D",
        f"filters: size, {_kernel(n, padding)}, {_FORMAT}, {_dilation(n)}, groups: size = 1, "
        f"{_ACTIVATION}, {_variables('kernel', 'bias')}",
        convolution,
        "kernel",
        family={"rank": n},
    )


def _transpose(n: int) -> Layer:
    extra = f"output_padding: optional counts({n}) = None"
    # Conv3DTranspose alone has these two the other way round.
    middle = f"{_FORMAT}, {extra}" if n == 3 else f"{extra}, {_FORMAT}"
    return Layer(
        f"Conv{n}DTranspose",
        f"filters: size, {_kernel(n, 'valid|same')}, {middle}, {_dilation(n)}, "
        f"{_ACTIVATION}, {_variables('kernel', 'bias')}",
        transposed,
        "kernel",
        family={"rank": n},
    )


def _depthwise(n: int) -> Layer:
    return Layer(
        f"DepthwiseConv{n}D",
        f"{_kernel(n, 'valid|same')}, depth_multiplier: size = 1, {_FORMAT}, {_dilation(n)}, "
        f"{_ACTIVATION}, {_variables('depthwise', 'bias')}",
        depthwise,
        "kernel",
        family={"rank": n},
    )


def _separable(n: int) -> Layer:
    return Layer(
        f"SeparableConv{n}D",
        f"filters: size, {_kernel(n, 'valid|same')}, {_FORMAT}, {_dilation(n)}, "
        f"depth_multiplier: size = 1, {_ACTIVATION}, {_variables('depthwise', 'pointwise', 'bias')}",
        separable,
        family={"rank": n},
    )


ROWS = (
    *(_plain(n) for n in (1, 2, 3)),
    *(_transpose(n) for n in (1, 2, 3)),
    *(_depthwise(n) for n in (1, 2)),
    *(_separable(n) for n in (1, 2)),
)
