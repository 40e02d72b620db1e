"""Functions that make one entry of many, and those that go along an axis."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import promote
from wdsl.catalog.functions.rules import (
    DTYPE,
    X,
    agree,
    always,
    enlarged,
    flat_along,
    floating,
    number,
    put,
    reduced,
    reduction,
    row,
    rows,
)
from wdsl.catalog.model import CatalogError, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import as_tuple, need_axis


def average(function: Function, call: Values) -> TensorSpec:
    """The mean, in which each entry counts as often as its weight says."""
    x, weights, axis = call["x"], call["weights"], call["axis"]
    dtypes = [x.dtype, "float"]
    shape = reduced(x.shape, axis, False)
    if weights is not None:
        dtypes.append(weights.dtype)
        sizes = [x.shape] if axis is None else [x.shape, (x.shape[axis],)]
        if not any(len(size) == len(weights.shape) and agree(size, weights.shape) for size in sizes):
            raise CatalogError(
                f"the weights {show_shape(weights.shape)} must have the shape of {show_shape(x.shape)}"
                f"{'' if axis is None else ', or the size of its axis'}",
                "weights",
            )
    return TensorSpec(shape, promote(*dtypes))


def norm(function: Function, call: Values) -> TensorSpec:
    """The norm of vectors, or of matrices if `axis` names two."""
    x, order = call["x"], call["ord"]
    shape = reduced(x.shape, call["axis"], call["keepdims"])
    count = len(x.shape) if call["axis"] is None else len(as_tuple(call["axis"]))
    if count == 1 and isinstance(order, str):
        raise CatalogError(f'`ord` of a vector must be a number, not "{order}"', "ord")
    if count == 2 and order not in (None, "fro", "nuc", 1, -1, 2, -2):
        raise CatalogError('`ord` of a matrix must be "fro", "nuc", 1, -1, 2 or -2', "ord")
    if count > 2 and (order is not None or call["axis"] is not None):
        raise CatalogError("`norm` of more than two axes takes neither `ord` nor `axis`", "axis")
    return TensorSpec(shape, floating(x.dtype))


def quantile(function: Function, call: Values) -> TensorSpec:
    """Quantiles, one behind the other on a new first axis if there is a list of them."""
    x, q = call["x"], call["q"]
    shape = reduced(x.shape, call["axis"], call["keepdims"])
    # `quantile` says of a list of one that it is no list.
    several = isinstance(q, (list, tuple)) and (len(q) > 1 or function.name.endswith("percentile"))
    return TensorSpec((len(q), *shape) if several else shape, floating(x.dtype))


def moments(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """Mean and variance."""
    x: TensorSpec = call["x"]
    output = TensorSpec(reduced(x.shape, call["axes"], call["keepdims"], "axes"), x.dtype)
    return output, output


def differences(function: Function, call: Values) -> TensorSpec:
    """Of neighbours along an axis, `n` times over."""
    x: TensorSpec = call["a"]
    axis = need_axis(call["axis"], len(x.shape))
    size = x.shape[axis]
    # A size that remembers where it comes from is left as it is, where there is something left.
    left = None if size is None else size - call["n"] if size > call["n"] else 0
    return TensorSpec(put(x.shape, axis, left), x.dtype)


def integral(function: Function, call: Values) -> TensorSpec:
    """The area below what the entries along an axis draw."""
    y: TensorSpec = call["y"]
    return TensorSpec(put(y.shape, need_axis(call["axis"], len(y.shape))), floating(y.dtype))


_REDUCE = f"{X}, axis: optional axes = None, keepdims: bool = False"
_PLACE = f"{X}, axis: optional axis = None, keepdims: bool = False"
_ALONG = f"{X}, axis: optional axis = None, {DTYPE}"
_METHODS = "choice(linear|lower|higher|midpoint|nearest)"


def _quantile(q: str) -> str:
    many = f"q: {q} or list({q}), axis: optional axes = None"
    return f"{X}, {many}, method: {_METHODS} = 'linear', keepdims: bool = False"


ROWS = (
    row("sum", _REDUCE, reduction(lambda dtype: promote(enlarged(dtype)))),
    row("nansum", _REDUCE, reduction(lambda dtype: promote(enlarged(dtype))), since="3.14"),
    row("prod", f"{_REDUCE}, {DTYPE}", reduction(enlarged)),
    row("nanprod", _REDUCE, reduction(enlarged), since="3.14"),
    *rows("mean median std var", _REDUCE, reduction(floating)),
    *rows("nanmean nanmedian nanstd nanvar", _REDUCE, reduction(floating), since="3.14"),
    *rows("max min", f"{_REDUCE}, initial: optional float = None", reduction()),
    *rows("amax amin", _REDUCE, reduction()),
    row("ptp", _REDUCE, reduction(), since="3.14"),
    *rows("nanmax nanmin", _REDUCE, reduction(promote), since="3.14"),
    *rows("all any", _REDUCE, reduction(always("bool"))),
    *rows("argmax argmin", _PLACE, reduction(always("int32"))),
    *rows("nanargmax nanargmin", _PLACE, reduction(always("int32")), since="3.14"),
    row("count_nonzero", f"{X}, axis: optional axes = None", reduction(always("int32"))),
    row("logsumexp", _REDUCE, reduction(always("float32"))),
    row(
        "norm",
        f"{X}, ord: optional float or choice(fro|nuc) = None, axis: optional axes = None, keepdims: bool = False",
        norm,
    ),
    row("average", f"{X}, axis: optional axis = None, weights: optional tensor = None", average),
    row("quantile", _quantile("fraction"), quantile),
    row("nanquantile", _quantile("fraction"), quantile, since="3.14"),
    *rows("percentile nanpercentile", _quantile("nonnegative"), quantile, since="3.15"),
    row("moments", f"{X}, axes: axes, keepdims: bool = False, synchronized: bool = False", moments),
    *rows("cumsum cumprod", _ALONG, flat_along(number)),
    *rows("nancumsum nancumprod", _ALONG, flat_along(number), since="3.14"),
    row("diff", "a: tensor, n: count = 1, axis: axis = -1", differences),
    row("trapezoid", "y: tensor, x: unset = None, dx: float = 1.0, axis: axis = -1", integral),
)
