"""Functions of images: [height, width, channels], with or without a batch in front."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import is_float
from wdsl.catalog.functions.rules import agree
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function, FunctionRule
from wdsl.catalog.shapes import Size, channels_first, each, need_positive, product, window_length, window_phrase


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


def warped(function: Function, call: Values) -> TensorSpec:
    """Images whose pixels lie elsewhere, or are mixed with those around them."""
    x: TensorSpec = call["images"]
    _places(function, x, call)
    if not is_float(x.dtype) and function.name != "affine_transform":
        raise CatalogError(f"`{function.name}` needs floating numbers, not {x.dtype}: use `cast`")
    batch = len(x.shape) == 4
    for name, rest in (("transform", (8,)), ("start_points", (4, 2)), ("end_points", (4, 2))):
        if name not in call:
            continue
        given: TensorSpec = call[name]
        wanted = (x.shape[0], *rest) if batch else rest
        if len(given.shape) != len(wanted) or not agree(given.shape, wanted):
            raise CatalogError(f"`{name}` must be {show_shape(wanted)}, not {show_shape(given.shape)}", name)
        if given.dtype != "float32":
            raise CatalogError(f"`{name}` must be float32, not {given.dtype}: use `cast`", name)
    return x


def at_coordinates(function: Function, call: Values) -> TensorSpec:
    """What lies at places between the entries. The coordinates for each axis are a slice of `coordinates`."""
    x, places = call["inputs"], call["coordinates"]
    if len(places.shape) < 2 or places.shape[0] != len(x.shape):
        wanted = f"[{len(x.shape)}, ...], a coordinate for each axis of {show_shape(x.shape)}"
        raise CatalogError(f"`coordinates` must be {wanted}, not {show_shape(places.shape)}", "coordinates")
    if call["order"] > 1:
        raise CatalogError("`order` is 0, the nearest entry, or 1, a mean of those around", "order")
    return TensorSpec(places.shape[1:], x.dtype)


def edges(function: Function, call: Values) -> TensorSpec:
    """How steep images are from pixel to pixel, downwards and sideways."""
    x: TensorSpec = call["images"]
    if len(x.shape) != 4:
        raise CatalogError(f"`{function.name}` needs a batch of images, not {show_shape(x.shape)}")
    return TensorSpec((*x.shape, 2), x.dtype)


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
    """Pieces of images, or of volumes, the entries of each on the axis of channels."""
    n = 3 if "volumes" in call else 2
    x: TensorSpec = call["images" if n == 2 else "volumes"]
    at = _places(function, x, call) if n == 2 else _in_volume(function, x, call)
    window, dilation = each(call["size"], n), each(call["dilation_rate"], n)
    strides = window if call["strides"] is None else each(call["strides"], n)
    if max(strides) > 1 and max(dilation) > 1:
        raise CatalogError(f"`{function.name}` takes strides or a dilation, not both", "dilation_rate")
    channels = x.shape[at[-1]]
    if channels is None:
        raise CatalogError(f"`{function.name}` needs a known number of channels, not {show_shape(x.shape)}")
    places = [
        window_length(x.shape[axis], size, stride, call["padding"], spread)
        for axis, size, stride, spread in zip(at, window, strides, dilation, strict=False)
    ]
    need_positive(places, x.shape, function.name, window_phrase(window), "size")
    sizes: dict[int, Size] = dict(zip(at[:-1], places, strict=True))
    return TensorSpec(_with(x.shape, {**sizes, at[-1]: product((*window, channels))}), x.dtype)


def _in_volume(function: Function, x: TensorSpec, call: Values) -> tuple[int, ...]:
    """Where depth, height, width and channels are, counted from the front."""
    rank = len(x.shape)
    if rank not in (4, 5):
        shown = f"a volume of 4 axes, or of 5 with the batch, not {show_shape(x.shape)}"
        raise CatalogError(f"`{function.name}` needs {shown}")
    spatial = range(rank - 3, rank) if channels_first(call) else range(rank - 4, rank - 1)
    return (*spatial, rank - 4 if channels_first(call) else rank - 1)


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


def _row(name: str, signature: str, rule: FunctionRule, since: str = "") -> Function:
    return Function(name, f"ops.image.{name}", f"images: tensor, {signature}", rule, since)


_FILL = "choice(constant|nearest|wrap|reflect)"
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
    Function(
        "extract_patches_3d",
        "ops.image.extract_patches_3d",
        "volumes: tensor, size: sizes(3), strides: optional sizes(3) = None, dilation_rate: sizes(3) = 1, "
        f"padding: choice(valid|same) = 'valid', {_FORMAT}",
        extract_patches,
    ),
    _row(
        "affine_transform",
        "transform: tensor, interpolation: choice(bilinear|nearest) = 'bilinear', "
        f"fill_mode: {_FILL} = 'constant', fill_value: float = 0, {_FORMAT}",
        warped,
    ),
    _row(
        "perspective_transform",
        "start_points: tensor, end_points: tensor, interpolation: choice(bilinear|nearest) = 'bilinear', "
        f"fill_value: float = 0, {_FORMAT}",
        warped,
    ),
    _row(
        "gaussian_blur",
        f"kernel_size: list(size, 2) = (3, 3), sigma: list(positive, 2) = (1.0, 1.0), {_FORMAT}",
        warped,
    ),
    _row(
        "elastic_transform",
        "alpha: float = 20.0, sigma: positive = 5.0, interpolation: choice(bilinear|nearest) = 'bilinear', "
        f"fill_mode: {_FILL} = 'reflect', fill_value: float = 0.0, seed: optional int = None, {_FORMAT}",
        warped,
    ),
    Function(
        "map_coordinates",
        "ops.image.map_coordinates",
        "inputs: tensor, coordinates: tensor, order: count, "
        "fill_mode: choice(constant|nearest|wrap|mirror|reflect) = 'constant', fill_value: float = 0",
        at_coordinates,
    ),
    _row("sobel_edges", _FORMAT, edges, "3.15"),
    Function("depth_to_space", "ops.depth_to_space", _BLOCKS, blocks(1), "3.14"),
    Function("space_to_depth", "ops.space_to_depth", _BLOCKS, blocks(-1), "3.14"),
)
