"""Functions of images: [height, width, channels], with or without a batch in front."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import is_float
from wdsl.catalog.model import CatalogError, Function, FunctionRule, Shape, TensorSpec, Values
from wdsl.catalog.shapes import Size, channels_first, each, need_positive, window_length


def _places(function: Function, x: TensorSpec, call: Values) -> tuple[int, int, int]:
    """Where height, width and channels are, counted from the front."""
    rank = len(x.shape)
    if rank not in (3, 4):
        raise CatalogError(
            f"`{function.name}` needs an image of 3 axes, or of 4 with the batch, not {show_shape(x.shape)}"
        )
    return (rank - 2, rank - 1, rank - 3) if channels_first(call) else (rank - 3, rank - 2, rank - 1)


def _with(shape: Shape, sizes: dict[int, Size]) -> Shape:
    return tuple(sizes.get(axis, size) for axis, size in enumerate(shape))


def resize(function: Function, call: Values) -> TensorSpec:
    """Images of another size."""
    x, (height, width) = call["images"], call["size"]
    at = _places(function, x, call)
    if call["crop_to_aspect_ratio"] and call["pad_to_aspect_ratio"]:
        raise CatalogError("`resize` either crops or pads to keep the aspect ratio", "pad_to_aspect_ratio")
    return TensorSpec(_with(x.shape, {at[0]: height, at[1]: width}), x.dtype)


def _need_channels(function: Function, x: TensorSpec, axis: int, wanted: tuple[int, ...]) -> None:
    if x.shape[axis] not in (None, *wanted):
        raise CatalogError(f"`{function.name}` needs images of {' or '.join(map(str, wanted))} channels")


def to_gray(function: Function, call: Values) -> TensorSpec:
    """Colours as shades of gray."""
    x: TensorSpec = call["images"]
    channels = _places(function, x, call)[2]
    _need_channels(function, x, channels, (3, 1))
    return TensorSpec(_with(x.shape, {channels: 1}), x.dtype)


def to_colours(function: Function, call: Values) -> TensorSpec:
    """Colours in other terms."""
    x: TensorSpec = call["images"]
    _need_channels(function, x, _places(function, x, call)[2], (3,))
    if not is_float(x.dtype):
        raise CatalogError(f"`{function.name}` needs floating numbers, not {x.dtype}")
    return x


def framed(what: str) -> FunctionRule:
    """`pad_images` and `crop_images`: of what lies before, behind, and the size, two are given."""
    sign = 1 if what == "padding" else -1

    def side(function: Function, call: Values, size: Size, names: tuple[str, str, str]) -> Size:
        before, behind, target = (call[name] for name in names)
        if [before, behind, target].count(None) != 1:
            shown = ", ".join(f"`{name}`" for name in names)
            raise CatalogError(f"`{function.name}` needs exactly two of {shown}", names[0])
        if size is None:
            if target is None and sign < 0:
                raise CatalogError(f"`{function.name}` needs `{names[2]}`, since the size is unknown", names[2])
            return target  # type: ignore[no-any-return]
        if target is None:
            target = size + sign * before + sign * behind if before or behind else size
            if target < 0:
                raise CatalogError(f"`{function.name}` would leave nothing of a size of {size:d}", names[0])
        elif sign * (target - size) < (before or behind or 0):
            raise CatalogError(f"`{names[2]}` does not fit a size of {size:d}", names[2])
        return target  # type: ignore[no-any-return]

    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call["images"]
        at = _places(function, x, call)
        height = side(function, call, x.shape[at[0]], (f"top_{what}", f"bottom_{what}", "target_height"))
        width = side(function, call, x.shape[at[1]], (f"left_{what}", f"right_{what}", "target_width"))
        return TensorSpec(_with(x.shape, {at[0]: height, at[1]: width}), x.dtype)

    return rule


def extract_patches(function: Function, call: Values) -> TensorSpec:
    """Pieces of images, the entries of each on the axis of channels."""
    x: TensorSpec = call["images"]
    at = _places(function, x, call)
    window, dilation = each(call["size"], 2), each(call["dilation_rate"], 2)
    strides = window if call["strides"] is None else each(call["strides"], 2)
    if max(strides) > 1 and max(dilation) > 1:
        raise CatalogError("`extract_patches` takes strides or a dilation, not both", "dilation_rate")
    channels = x.shape[at[2]]
    if channels is None:
        raise CatalogError("`extract_patches` needs images with a known number of channels")
    places = [
        window_length(x.shape[axis], size, stride, call["padding"], spread)
        for axis, size, stride, spread in zip(at, window, strides, dilation, strict=False)
    ]
    need_positive(places, x.shape, function.name, f"window of {window[0]:d} × {window[1]:d}", "size")
    sizes = {at[0]: places[0], at[1]: places[1], at[2]: window[0] * window[1] * channels}
    return TensorSpec(_with(x.shape, sizes), x.dtype)


def blocks(grow: int) -> FunctionRule:
    """`depth_to_space`, which makes blocks of pixels of channels, and its inverse."""

    def rule(function: Function, call: Values) -> TensorSpec:
        x, n = call["x"], call["block_size"]
        if n < 2:
            raise CatalogError(f"`block_size` must be at least 2, not {n:d}", "block_size")
        if len(x.shape) != 4:
            raise CatalogError(f"`{function.name}` needs a batch of images, not {show_shape(x.shape)}")
        at = _places(function, x, call)
        divided = at[2:] if grow > 0 else at[:2]
        by = n**2 if grow > 0 else n
        for axis in divided:
            size = x.shape[axis]
            if size is not None and size % by:
                raise CatalogError(f"axis {axis:d} of {show_shape(x.shape)} cannot be divided by {by:d}", "block_size")

        def scaled(size: Size, up: bool, factor: int) -> Size:
            return None if size is None else size * factor if up else size // factor

        sizes = {axis: scaled(x.shape[axis], grow > 0, n) for axis in at[:2]}
        sizes[at[2]] = scaled(x.shape[at[2]], grow < 0, n**2)
        return TensorSpec(_with(x.shape, sizes), x.dtype)

    return rule


def _sides(what: str) -> str:
    sides = (f"{side}_{what}: optional count = None" for side in ("top", "left", "bottom", "right"))
    return f"{', '.join(sides)}, target_height: optional size = None, target_width: optional size = None"


def _row(name: str, signature: str, rule: FunctionRule) -> Function:
    return Function(name, f"ops.image.{name}", f"images: tensor, {signature}", rule)


_FORMAT = "data_format: optional data_format = None"
_BLOCKS = "x: tensor, block_size: size, data_format: data_format = 'channels_last'"

ROWS = (
    _row(
        "resize",
        "size: list(size, 2), interpolation: choice(bilinear|nearest|bicubic|lanczos3|lanczos5) = 'bilinear', "
        "antialias: bool = False, crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, "
        f"fill_mode: choice(constant) = 'constant', fill_value: float = 0.0, {_FORMAT}",
        resize,
    ),
    _row("rgb_to_grayscale", _FORMAT, to_gray),
    _row("rgb_to_hsv", _FORMAT, to_colours),
    _row("hsv_to_rgb", _FORMAT, to_colours),
    _row("pad_images", f"{_sides('padding')}, {_FORMAT}", framed("padding")),
    _row("crop_images", f"{_sides('cropping')}, {_FORMAT}", framed("cropping")),
    _row(
        "extract_patches",
        "size: sizes(2), strides: optional sizes(2) = None, dilation_rate: sizes(2) = 1, "
        f"padding: choice(valid|same) = 'valid', {_FORMAT}",
        extract_patches,
    ),
    Function("depth_to_space", "ops.depth_to_space", _BLOCKS, blocks(1), "3.14"),
    Function("space_to_depth", "ops.space_to_depth", _BLOCKS, blocks(-1), "3.14"),
)
