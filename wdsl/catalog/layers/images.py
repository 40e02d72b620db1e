"""Layers that prepare images, and such that change them at random while a model trains."""

from __future__ import annotations

from typing import Any

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, TensorSpec, Values
from wdsl.catalog.rows import Layer, LayerRule
from wdsl.catalog.shapes import channels_first, each, image_axes, need_rank


def image(layer: Layer, a: Values, call: Values) -> Inferred:
    """Leaves the shape of images as it is.

    `family`: `channels`, the number of them that it must be; `keeps_dtype`, whether the dtype stays what it is.
    """
    x: TensorSpec = call["data"]
    first = channels_first(a)
    # Keras takes a tensor of 3 axes for a single image without a batch, which no tensor of a model is.
    need_rank(x.shape, 4, layer.name, image_axes(2, first))
    channels = layer.family.get("channels")
    if channels and x.shape[1 if first else -1] not in (None, channels):
        raise CatalogError(f"`{layer.name}` needs {channels} channels, but the input is {show_shape(x.shape)}")
    return Inferred(TensorSpec(x.shape, x.dtype if layer.family.get("keeps_dtype") else compute_dtype(a)))


def blur(layer: Layer, a: Values, call: Values) -> Inferred:
    """`RandomGaussianBlur`, whose window has a middle."""
    if any(size % 2 == 0 for size in each(a["kernel_size"], 2)):
        raise CatalogError(f"`kernel_size` must be odd, and not {show(a['kernel_size'])}", "kernel_size")
    return image(layer, a, call)


def zoom(layer: Layer, a: Values, call: Values) -> Inferred:
    """`RandomZoom`, of which a factor of -1 would leave nothing."""
    for name in ("height_factor", "width_factor"):
        if a[name] == -1 or (isinstance(a[name], (list, tuple)) and -1 in a[name]):
            raise CatalogError(f"`{name}` must be above -1", name)
    return image(layer, a, call)


def resized(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Resizing`, `CenterCrop` and `RandomCrop`: images of `height` × `width`."""
    x: TensorSpec = call["data"]
    first = channels_first(a)
    need_rank(x.shape, 4, layer.name, image_axes(2, first))
    if a.get("crop_to_aspect_ratio") and a["pad_to_aspect_ratio"]:
        raise CatalogError("only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be", "pad_to_aspect_ratio")
    size = a["height"], a["width"]
    shape = (*x.shape[:2], *size) if first else (x.shape[0], *size, x.shape[-1])
    return Inferred(TensorSpec(shape, compute_dtype(a)))


_CALL = "data: tensor, training: optional bool = True"
_SEED = "seed: optional int = None"
_FORMAT = "data_format: optional data_format = None"
_VALUES = "value_range: list(float, 2) = (0, 255)"
_BILINEAR = "interpolation: choice(nearest|bilinear) = 'bilinear'"
_FILL = "fill_mode: choice(reflect|wrap|constant|nearest) = 'reflect'"
_FILL_VALUE = "fill_value: float = 0.0"


def _factor(name: str, least: int = -1, most: int = 1, default: str = "") -> str:
    """A number, or a lower and an upper bound of numbers to draw."""
    default = f" = {default}" if default else ""
    optional = "optional " if default == " = None" else ""
    return f"{name}: {optional}within({least}, {most}) or list(within({least}, {most}), 2){default}"


_FACTOR_01 = _factor("factor", 0, 1, "1.0")


def _row(name: str, *signature: str, rule: LayerRule = image, **family: Any) -> Layer:
    return Layer(name, ", ".join(signature), rule, call_signature=_CALL, family=family)


_CROP = "height: count, width: count"
_INTERPOLATIONS = "nearest|bilinear|bicubic|lanczos3|lanczos5"

ROWS = (
    Layer(
        "Resizing",
        f"height: size, width: size, interpolation: choice({_INTERPOLATIONS}) = 'bilinear', "
        "crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, "
        f"fill_mode: choice(constant) = 'constant', {_FILL_VALUE}, antialias: bool = False, {_FORMAT}",
        resized,
        call_signature=_CALL,
    ),
    Layer("CenterCrop", f"{_CROP}, {_FORMAT}", resized, call_signature=_CALL),
    Layer("RandomCrop", f"{_CROP}, {_SEED}, {_FORMAT}", resized, call_signature=_CALL),
    _row(
        "AugMix",
        _VALUES,
        "num_chains: size = 3, chain_depth: size = 3",
        _factor("factor", 0, 1, "0.3"),
        "alpha: positive = 1.0, all_ops: bool = True",
        _BILINEAR,
        _SEED,
        _FORMAT,
    ),
    _row("AutoContrast", _VALUES),
    _row(
        "ContrastLimitedAdaptiveHistogramEqualization",
        f"{_VALUES}, clip_limit: float = 4.0, tile_grid_size: list(size, 2) = (8, 8), {_FORMAT}",
    ).replace(since="3.14"),
    _row("CutMix", _FACTOR_01, _SEED, _FORMAT),
    _row("MixUp", "alpha: positive = 0.2", _FORMAT, _SEED),
    _row("RandAugment", _VALUES, "num_ops: count = 2", _factor("factor", 0, 1, "0.5"), _BILINEAR, _SEED, _FORMAT),
    _row("RandomBrightness", _factor("factor"), _VALUES, _SEED),
    _row("RandomColorDegeneration", _factor("factor"), _VALUES, _FORMAT, _SEED, channels=3),
    _row(
        "RandomColorJitter",
        _VALUES,
        _factor("brightness_factor", default="None"),
        _factor("contrast_factor", 0, 1, "None"),
        _factor("saturation_factor", default="None"),
        _factor("hue_factor", 0, 1, "None"),
        _SEED,
        _FORMAT,
    ),
    _row("RandomContrast", _factor("factor", 0, 1), _VALUES, _SEED),
    _row(
        "RandomElasticTransform",
        _FACTOR_01,
        _factor("scale", 0, 1, "1.0"),
        _BILINEAR,
        "fill_mode: choice(constant|nearest|wrap|mirror|reflect) = 'reflect'",
        _FILL_VALUE,
        _VALUES,
        _SEED,
        _FORMAT,
    ),
    _row(
        "RandomErasing",
        _FACTOR_01,
        _factor("scale", 0, 1, "(0.02, 0.33)"),
        "fill_value: optional float = None",
        _VALUES,
        _SEED,
        _FORMAT,
    ),
    _row(
        "RandomFlip",
        "mode: choice(horizontal|vertical|horizontal_and_vertical) = 'horizontal_and_vertical'",
        _SEED,
        _FORMAT,
    ),
    _row(
        "RandomGaussianBlur",
        _FACTOR_01,
        "kernel_size: size or list(size, 2) = 3",
        _factor("sigma", 0, 1, "1.0"),
        _VALUES,
        _FORMAT,
        _SEED,
        rule=blur,
    ),
    _row("RandomGrayscale", "factor: fraction = 0.5", _FORMAT, _SEED, keeps_dtype=True),
    _row("RandomHue", _factor("factor", 0, 1), _VALUES, _FORMAT, _SEED),
    _row("RandomInvert", _FACTOR_01, _VALUES, _SEED, _FORMAT),
    _row("RandomPerspective", _FACTOR_01, "scale: fraction = 1.0", _BILINEAR, _FILL_VALUE, _SEED, _FORMAT),
    _row("RandomPosterization", _factor("factor", 1, 8), _VALUES, _FORMAT, _SEED),
    _row("RandomRotation", _factor("factor"), _FILL, _BILINEAR, _SEED, _FILL_VALUE, _FORMAT),
    _row("RandomSaturation", _factor("factor"), _VALUES, _FORMAT, _SEED),
    _row("RandomSharpness", _factor("factor", 0, 1), _VALUES, _FORMAT, _SEED),
    _row(
        "RandomShear",
        _factor("x_factor", 0, 1, "0.0"),
        _factor("y_factor", 0, 1, "0.0"),
        _BILINEAR,
        _FILL,
        _FILL_VALUE,
        _FORMAT,
        _SEED,
    ),
    _row(
        "RandomTranslation",
        _factor("height_factor"),
        _factor("width_factor"),
        _FILL,
        _BILINEAR,
        _SEED,
        _FILL_VALUE,
        _FORMAT,
    ),
    _row(
        "RandomZoom",
        _factor("height_factor"),
        _factor("width_factor", default="None"),
        _FILL,
        _BILINEAR,
        _SEED,
        _FILL_VALUE,
        _FORMAT,
        rule=zoom,
    ),
    _row(
        "Solarization",
        _factor("addition_factor", 0, 1, "0.0"),
        _factor("threshold_factor", 0, 1, "0.0"),
        _VALUES,
        _SEED,
    ),
)
