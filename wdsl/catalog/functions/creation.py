"""Tensors that are made of no others: numbers in a row, zeros and ones, constants that are written out."""

from __future__ import annotations

from wdsl.catalog.argument_types import show
from wdsl.catalog.dtypes import is_float
from wdsl.catalog.functions.rules import DTYPE
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function, FunctionRule
from wdsl.catalog.shapes import need_axis


def _dtype(call: Values, default: str = "float32") -> str:
    return call["dtype"] or default


def arange(function: Function, call: Values) -> TensorSpec:
    """Whole numbers one after the other, as `range` gives them in Python."""
    start, stop, step = call["start"], call["stop"], call["step"]
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if _dtype(call) == "bool":
        raise CatalogError("`arange` makes numbers, and `bool` is no dtype of them", "dtype")
    if step == 0 or (stop - start) * step < 0:
        raise CatalogError(f"from {start:d} to {stop:d} there is no way in steps of {step:d}", "step")
    # A size that remembers where it comes from says it in few words: with step 1 it is `stop - start`.
    length = stop - start if step == 1 else (stop - start + step - 1) // step
    if step < 0:
        length = (start - stop - step - 1) // -step
    return TensorSpec((length,), _dtype(call, "int32"))


def spaced(function: Function, call: Values) -> TensorSpec:
    """So many numbers from one to another."""
    need_axis(call["axis"], 1)
    if call["dtype"] == "bool":
        raise CatalogError(f"`{function.name}` makes numbers, and `bool` is no dtype of them", "dtype")
    if function.name == "geomspace" and not is_float(_dtype(call)):
        # With some numbers Keras makes them whole before it takes their logarithms.
        raise CatalogError("`geomspace` makes floating numbers: use `cast`", "dtype")
    return TensorSpec((call["num"],), _dtype(call))


def filled(function: Function, call: Values) -> TensorSpec:
    """One number, or several that are broadcast, in a shape."""
    shape = call["shape"]
    sizes: Shape = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
    return TensorSpec(sizes, _dtype(call))


def matrix(function: Function, call: Values) -> TensorSpec:
    """`eye`, with ones on a diagonal, and `tri`, with ones on it and below."""
    rows, columns, k = call["N"], call["M"], call["k"]
    columns = rows if columns is None else columns
    if function.name == "eye" and not -rows <= k <= columns:
        raise CatalogError(f"a matrix of {rows:d} × {columns:d} has no diagonal {k:d}", "k")
    return TensorSpec((rows, columns), _dtype(call))


def identity(function: Function, call: Values) -> TensorSpec:
    """A square matrix with ones on the diagonal."""
    return TensorSpec((call["n"],) * 2, _dtype(call))


def window(function: Function, call: Values) -> TensorSpec:
    """The weights of a window over so many entries."""
    return TensorSpec((call["x"],))


def array(function: Function, call: Values) -> TensorSpec:
    """Numbers as they are written."""
    numbers: list[object] = []
    shape = _sizes(call["x"], numbers)
    if shape is None:
        raise CatalogError(f"the lists in {show(call['x'])} are of several lengths", "x")
    kinds = {type(each) if isinstance(each, (bool, float)) else int for each in numbers}
    if any(not isinstance(each, (bool, int, float)) for each in numbers) or (bool in kinds and len(kinds) > 1):
        raise CatalogError(f"`{function.name}` takes numbers, or truth values, in lists of one length", "x")
    if float in kinds or not numbers:
        return TensorSpec(shape, _dtype(call))
    if bool in kinds:
        return TensorSpec(shape, _dtype(call, "bool"))
    least, most = min(numbers), max(numbers)  # type: ignore[type-var]
    if not -(2**63) <= least <= most < 2**63:  # type: ignore[operator]
        raise CatalogError(f"`{function.name}` takes whole numbers of 64 bits", "x")
    is_long = not -(2**31) <= least <= most < 2**31  # type: ignore[operator]
    return TensorSpec(shape, _dtype(call, "int64" if is_long else "int32"))


def _sizes(value: object, numbers: list[object]) -> Shape | None:
    """The shape of numbers in lists, which are added to `numbers`; None if it is none."""
    if not isinstance(value, (list, tuple)):
        numbers.append(value)
        return ()
    inside = {_sizes(each, numbers) for each in value}
    if None in inside or len(inside) > 1:
        return None
    return (len(value), *(inside.pop() or () if inside else ()))


def _row(name: str, signature: str, rule: FunctionRule, since: str = "") -> Function:
    return Function(name, f"ops.{name}", signature, rule, since, is_constant=True)


_SPACED = "start: float, stop: float, num: {} = 50, endpoint: bool = True"
_MATRIX = f"N: count, M: optional count = None, k: int = 0, {DTYPE}"
_SHAPE = "shape: count or list(count)"
_NUMBERS = "x: bool or float or list"

ROWS = (
    _row("arange", f"start: int, stop: optional int = None, step: optional int = None, {DTYPE}", arange),
    _row("linspace", f"{_SPACED.format('count')}, retstep: no = False, {DTYPE}, axis: axis = 0", spaced),
    _row("logspace", f"{_SPACED.format('count')}, base: positive = 10, {DTYPE}, axis: axis = 0", spaced),
    _row("geomspace", f"{_SPACED.format('count')}, {DTYPE}, axis: axis = 0", spaced, "3.14"),
    _row("zeros", f"{_SHAPE}, {DTYPE}", filled),
    _row("ones", f"{_SHAPE}, {DTYPE}", filled),
    _row("full", f"shape: list(count), fill_value: float, {DTYPE}", filled),
    _row("eye", _MATRIX, matrix),
    _row("tri", _MATRIX, matrix),
    _row("identity", f"n: count, {DTYPE}", identity),
    _row("array", f"{_NUMBERS}, {DTYPE}", array),
    _row("convert_to_tensor", f"{_NUMBERS}, {DTYPE}, sparse: unset = None, ragged: unset = None", array),
    *(_row(name, "x: count", window) for name in ("bartlett", "blackman", "hamming", "hanning")),
    _row("kaiser", "x: size, beta: float", window),
)
