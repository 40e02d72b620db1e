"""Layers that move entries about, pad or repeat them."""

from __future__ import annotations

from collections.abc import Callable

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, TensorSpec, Values
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import channels_first, each, image_axes, need_rank, need_rank_from, reshaped, times


def flatten(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Flatten` keeps the batch."""
    x: TensorSpec = call["inputs"]
    need_rank_from(x.shape, 1, layer.name)
    return Inferred(TensorSpec((x.shape[0], times(x.shape[1:])), x.dtype))


def reshape(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Reshape` keeps the batch."""
    x: TensorSpec = call["inputs"]
    need_rank_from(x.shape, 1, layer.name)
    target = reshaped(x.shape[1:], tuple(a["target_shape"]), "target_shape")
    return Inferred(TensorSpec((x.shape[0], *target), x.dtype))


def permute(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Permute` counts axes from 1, the batch being 0."""
    x: TensorSpec = call["inputs"]
    dims = tuple(a["dims"])
    if sorted(dims) != list(range(1, len(dims) + 1)):
        raise CatalogError(f"`dims` must have each axis from 1 on once, and not be {show(dims)}", "dims")
    need_rank(x.shape, len(dims) + 1, layer.name)
    return Inferred(TensorSpec((x.shape[0], *(x.shape[dim] for dim in dims)), x.dtype))


def repeat_vector(layer: Layer, a: Values, call: Values) -> Inferred:
    """`RepeatVector` puts a new axis of `n` behind the batch."""
    x: TensorSpec = call["inputs"]
    need_rank(x.shape, 2, layer.name, "batch, features")
    return Inferred(TensorSpec((x.shape[0], a["n"], x.shape[1]), compute_dtype(a)))


def zero_padding(layer: Layer, a: Values, call: Values) -> Inferred:
    """`ZeroPadding1D` to `ZeroPadding3D`: one number, one for each axis, or one before and one after each."""
    n: int = layer.family["rank"]
    pads = (a["padding"],) if n == 1 else each(a["padding"], n)
    both = [each(pad, 2) for pad in pads]
    return _along_space(layer, a, call, lambda axis, size: size + both[axis][0] + both[axis][1])


def cropping(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Cropping1D` to `Cropping3D`: what `cropping` means is what `padding` does to `ZeroPadding1D` and so on."""
    n: int = layer.family["rank"]
    crops = (a["cropping"],) if n == 1 else each(a["cropping"], n)
    both = [each(crop, 2) for crop in crops]

    def cropped(axis: int, size: int) -> int:
        left = size - both[axis][0] - both[axis][1]
        if left <= 0:
            shape = show_shape(call["inputs"].shape)
            raise CatalogError(f"`{layer.name}` would leave nothing of the input {shape}", "cropping")
        return left

    return _along_space(layer, a, call, cropped)


def up_sampling(layer: Layer, a: Values, call: Values) -> Inferred:
    """`UpSampling1D` to `UpSampling3D`."""
    factors = each(a["size"], layer.family["rank"])
    return _along_space(layer, a, call, lambda axis, size: size * factors[axis])


def _along_space(layer: Layer, a: Values, call: Values, resize: Callable[[int, int], int]) -> Inferred:
    x: TensorSpec = call["inputs"]
    n: int = layer.family["rank"]
    first = channels_first(a)
    need_rank(x.shape, n + 2, layer.name, image_axes(n, first))
    spatial = x.shape[2:] if first else x.shape[1:-1]
    sizes = tuple(None if size is None else resize(axis, size) for axis, size in enumerate(spatial))
    shape = (*x.shape[:2], *sizes) if first else (x.shape[0], *sizes, x.shape[-1])
    return Inferred(TensorSpec(shape, compute_dtype(a)))


_FORMAT = "data_format: optional data_format = None"

ROWS = (
    Layer("Flatten", _FORMAT, flatten),
    Layer("Reshape", "target_shape: list(int)", reshape),
    Layer("Permute", "dims: list(size)", permute),
    Layer("RepeatVector", "n: size", repeat_vector),
    Layer("ZeroPadding1D", f"padding: counts(2) = 1, {_FORMAT}", zero_padding, family={"rank": 1}),
    Layer(
        "ZeroPadding2D",
        f"padding: count or list(counts(2), 2) = (1, 1), {_FORMAT}",
        zero_padding,
        family={"rank": 2},
    ),
    Layer(
        "ZeroPadding3D",
        f"padding: count or list(counts(2), 3) = ((1, 1), (1, 1), (1, 1)), {_FORMAT}",
        zero_padding,
        family={"rank": 3},
    ),
    Layer("Cropping1D", "cropping: counts(2) = (1, 1)", cropping, family={"rank": 1}),
    Layer(
        "Cropping2D",
        f"cropping: count or list(counts(2), 2) = ((0, 0), (0, 0)), {_FORMAT}",
        cropping,
        family={"rank": 2},
    ),
    Layer(
        "Cropping3D",
        f"cropping: count or list(counts(2), 3) = ((1, 1), (1, 1), (1, 1)), {_FORMAT}",
        cropping,
        family={"rank": 3},
    ),
    Layer("UpSampling1D", "size: size = 2", up_sampling, family={"rank": 1}),
    Layer(
        "UpSampling2D",
        f"size: sizes(2) = (2, 2), {_FORMAT}, "
        "interpolation: anycase(nearest|bilinear|bicubic|lanczos3|lanczos5) = 'nearest'",
        up_sampling,
        family={"rank": 2},
    ),
    Layer("UpSampling3D", f"size: sizes(3) = (2, 2, 2), {_FORMAT}", up_sampling, family={"rank": 3}),
)
