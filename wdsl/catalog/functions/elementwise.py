"""Functions that act entry by entry, on one tensor or on several that are broadcast."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import is_float, promote
from wdsl.catalog.functions.rules import (
    DTYPE,
    TWO,
    X,
    agree,
    always,
    binary,
    dtype_of,
    entrywise,
    floating,
    need_whole,
    number,
    row,
    rows,
    shape_of,
    wide,
)
from wdsl.catalog.model import CatalogError, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import broadcast


def cast(function: Function, call: Values) -> TensorSpec:
    """The same entries in another dtype."""
    return TensorSpec(call["x"].shape, call["dtype"])


def filled(function: Function, call: Values) -> TensorSpec:
    """`ones_like` and its like: other entries, and the same shape."""
    x: TensorSpec = call["x"]
    return TensorSpec(x.shape, call["dtype"] or x.dtype)


def inverted(function: Function, call: Values) -> TensorSpec:
    """Each bit the other."""
    x: TensorSpec = call["x"]
    need_whole(function, x.dtype)
    return x


def of_bits(function: Function, call: Values) -> TensorSpec:
    """Two operands, bit by bit."""
    x, y = call["x"], call["y"]
    dtype: str = promote(x.dtype, y.dtype) if isinstance(y, TensorSpec) else x.dtype
    need_whole(function, dtype)
    shape = broadcast(x.shape, shape_of(y))
    # Keras says that the result has the shape of `x`. What comes out is broadcast.
    if len(shape) != len(x.shape) or not agree(shape, x.shape):
        raise CatalogError(f"`{function.name}` needs a `y` that fits the shape of `x`, {show_shape(x.shape)}", "y")
    return TensorSpec(x.shape, dtype)


def angle_of(function: Function, call: Values) -> TensorSpec:
    """`arctan2`, for which a plain number is a float."""
    a, b = call["x1"], call["x2"]
    dtypes = [x.dtype if isinstance(x, TensorSpec) else "float32" for x in (a, b)]
    return TensorSpec(binary()(function, call).shape, promote(*dtypes, "float"))  # type: ignore[union-attr]


def of_tensors(function: Function, call: Values) -> TensorSpec:
    """`hypot` and `heaviside`: two tensors, and floats even of whole numbers."""
    a, b = call["x1"], call["x2"]
    dtype = promote(a.dtype, b.dtype)
    return TensorSpec(broadcast(a.shape, b.shape), dtype if dtype in ("bool", "uint64") else wide(dtype))


def where(function: Function, call: Values) -> TensorSpec:
    """An entry of `x1` where the condition holds, else of `x2`."""
    condition, a, b = call["condition"], call["x1"], call["x2"]
    if a is None or b is None:
        raise CatalogError("`where` needs `x1` and `x2`: what stands where the condition holds, and where not")
    shape = broadcast(broadcast(condition.shape, shape_of(a)), shape_of(b))
    return TensorSpec(shape, promote(dtype_of(a), dtype_of(b)))


def select(function: Function, call: Values) -> TensorSpec:
    """An entry of the first choice whose condition holds."""
    conditions, choices = call["condlist"], call["choicelist"]
    if not conditions or len(conditions) != len(choices):
        raise CatalogError("`select` needs a choice for each condition, and at least 1", "choicelist")
    first: TensorSpec = choices[0]
    for x in (*conditions, *choices):
        # Keras says that the result is like the first choice. What comes out is broadcast.
        shape = broadcast(first.shape, x.shape)
        if len(shape) != len(first.shape) or not agree(shape, first.shape):
            raise CatalogError("`select` needs conditions and choices that fit the shape of the first choice")
    return first


def of_whole_numbers(function: Function, call: Values) -> TensorSpec:
    """`gcd` and `lcm` of whole numbers, entry by entry."""
    a, b = call["x1"], call["x2"]
    dtype = promote(a.dtype, b.dtype)
    if is_float(dtype) or dtype == "bool":
        raise CatalogError(f"`{function.name}` takes whole numbers, not {dtype}")
    return TensorSpec(broadcast(a.shape, b.shape), dtype)


def is_in(function: Function, call: Values) -> TensorSpec:
    """Whether entries of the one are among those of the other."""
    return TensorSpec(call["x1"].shape, "bool")


_TENSORS = "x1: tensor, x2: tensor"

ROWS = (
    *rows("abs absolute sign negative copy erf erfinv rsqrt trunc", X, entrywise()),
    *rows(
        "arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh exp exp2 expm1 floor log log10 log1p log2 "
        "sin sinh sqrt tan",
        X,
        entrywise(floating),
    ),
    row("sinc", X, entrywise(floating), since="3.14"),
    *rows("erfc fabs", X, entrywise(floating), since="3.15"),
    *rows("cbrt deg2rad", X, entrywise(wide)),
    *rows("i0 rad2deg", X, entrywise(wide), since="3.14"),
    *rows("isfinite isinf isnan isneginf isposinf logical_not signbit", X, entrywise(always("bool"))),
    row("reciprocal", X, entrywise(always("float32"))),
    row("square", X, entrywise(number)),
    row("round", f"{X}, decimals: int = 0", entrywise()),
    row("clip", f"{X}, x_min: float, x_max: float", entrywise(number)),
    row(
        "nan_to_num",
        f"{X}, nan: float = 0.0, posinf: optional float = None, neginf: optional float = None",
        entrywise(),
    ),
    row("stop_gradient", "variable: tensor", entrywise(of="variable")),
    *rows("cast saturate_cast", f"{X}, dtype: dtype", cast),
    *rows("ones_like zeros_like", f"{X}, {DTYPE}", filled),
    row("full_like", f"{X}, fill_value: float, {DTYPE}", filled),
    *rows("bitwise_invert bitwise_not", X, inverted),
    *rows("bitwise_and bitwise_or bitwise_xor", f"{X}, y: tensor", of_bits),
    *rows("bitwise_left_shift bitwise_right_shift left_shift right_shift", f"{X}, y: tensor or int", of_bits),
    *rows("add subtract multiply maximum minimum power floor_divide", TWO, binary()),
    *rows("fmax fmin", TWO, binary(), since="3.15"),
    *rows("divide true_divide divide_no_nan logaddexp logaddexp2", TWO, binary("float")),
    row("ldexp", _TENSORS, binary("float"), since="3.13"),
    row("nextafter", _TENSORS, binary("float"), since="3.14"),
    row("mod", TWO, binary(dtype=number)),
    row("fmod", TWO, binary(dtype=number), since="3.14"),
    *rows(
        "equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor",
        TWO,
        binary(dtype=always("bool")),
    ),
    row(
        "isclose",
        f"{TWO}, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False",
        binary(dtype=always("bool")),
    ),
    row("arctan2", TWO, angle_of),
    *rows("hypot heaviside", _TENSORS, of_tensors),
    row(
        "where",
        "condition: tensor, x1: optional tensor or float = None, x2: optional tensor or float = None",
        where,
    ),
    *rows("gcd lcm", _TENSORS, of_whole_numbers),
    row("isin", f"{_TENSORS}, assume_unique: bool = False, invert: bool = False", is_in),
    row("select", "condlist: tensors, choicelist: tensors, default: float = 0", select),
)
