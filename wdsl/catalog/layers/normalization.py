"""Layers that normalize along axes."""

from __future__ import annotations

from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, Shape, TensorSpec, Values, Weight
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import as_tuple, need_axis, weight

_NEEDS = "each axis that `axis` names"


def _along(shape: Shape, axis: int | list[int] | tuple[int, ...]) -> tuple[int | None, ...]:
    """The sizes of the axes in the order that Keras gives them: by number, so that -1 is before 0."""
    axes = (axis,) if isinstance(axis, int) else tuple(sorted(axis))
    for number in axes:
        need_axis(number, len(shape))
    return tuple(shape[number] for number in axes)


def _gamma_and_beta(a: Values, shape: Shape) -> tuple[Weight, ...]:
    gamma = (weight(a, "gamma", shape, "gamma", needs=_NEEDS),) if a["scale"] else ()
    beta = (weight(a, "beta", shape, "beta", needs=_NEEDS),) if a["center"] else ()
    return (*gamma, *beta)


def batch_normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`BatchNormalization`, whose statistics are weights that are not trained."""
    x: TensorSpec = call["inputs"]
    shape = _along(x.shape, a["axis"])
    names = ["moving_mean", "moving_variance"]
    if a["renorm"]:
        names += ["moving_stddev", "renorm_mean", "renorm_stddev"]
    statistics = (weight(a, name, shape, name, trainable=False, needs=_NEEDS) for name in names)
    output = TensorSpec(x.shape, compute_dtype(a))
    return Inferred(output, (*_gamma_and_beta(a, shape), *statistics))


def layer_normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`LayerNormalization`."""
    x: TensorSpec = call["inputs"]
    weights = _gamma_and_beta(a, _along(x.shape, a["axis"]))
    return Inferred(TensorSpec(x.shape, compute_dtype(a)), weights)


def group_normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`GroupNormalization`: `groups` of -1 is one for each channel."""
    x: TensorSpec = call["inputs"]
    (channels,) = shape = _along(x.shape, a["axis"])
    weights = _gamma_and_beta(a, shape)
    if channels is None:
        raise CatalogError(f"{_NEEDS} must have a known size")
    groups = channels if a["groups"] == -1 else a["groups"]
    if groups < 1 or channels % groups:
        raise CatalogError(f"{channels:d} channels do not divide into {groups:d} groups", "groups")
    return Inferred(TensorSpec(x.shape, compute_dtype(a)), weights)


def rms_normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`RMSNormalization`."""
    x: TensorSpec = call["x"]
    scale = weight(a, "scale", _along(x.shape, a["axis"]), needs=_NEEDS)
    return Inferred(TensorSpec(x.shape, compute_dtype(a)), (scale,))


def unit_normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`UnitNormalization` has no weights."""
    x: TensorSpec = call["inputs"]
    for axis in as_tuple(a["axis"]):
        need_axis(axis, len(x.shape))
    return Inferred(TensorSpec(x.shape, compute_dtype(a)))


_AFFINE = "center: bool = True, scale: bool = True"
_INITIALIZERS = "beta_initializer: initializer = 'zeros', gamma_initializer: initializer = 'ones'"
_LIMITS = (
    "beta_regularizer: optional regularizer = None, gamma_regularizer: optional regularizer = None, "
    "beta_constraint: optional constraint = None, gamma_constraint: optional constraint = None"
)

ROWS = (
    Layer(
        "BatchNormalization",
        f"axis: axis = -1, momentum: float = 0.99, epsilon: float = 0.001, {_AFFINE}, {_INITIALIZERS}, "
        "moving_mean_initializer: initializer = 'zeros', moving_variance_initializer: initializer = 'ones', "
        f"{_LIMITS}, renorm: bool = False since 3.14, "
        "renorm_clipping: unset = None since 3.14, renorm_momentum: float = 0.99 since 3.14, "
        "synchronized: bool = False",
        batch_normalization,
        call_signature="inputs: tensor, training: optional bool = None, mask: optional tensor = None",
    ),
    Layer(
        "LayerNormalization",
        f"axis: axes = -1, epsilon: float = 0.001, {_AFFINE}, {_INITIALIZERS}, {_LIMITS}",
        layer_normalization,
    ),
    Layer(
        "GroupNormalization",
        f"groups: int = 32, axis: axis = -1, epsilon: float = 0.001, {_AFFINE}, {_INITIALIZERS}, {_LIMITS}",
        group_normalization,
    ),
    Layer(
        "RMSNormalization",
        "axis: axes = -1, epsilon: float = 1e-06",
        rms_normalization,
        call_signature="x: tensor",
    ),
    Layer("UnitNormalization", "axis: axes = -1", unit_normalization),
)
