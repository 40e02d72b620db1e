"""What the families of functions share: rules for dtypes, operands, and shapes put together from shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import is_float, promote
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function, FunctionRule
from wdsl.catalog.shapes import Size, broadcast, need_axes, need_axis, times

DtypeRule = Callable[[str], str]

X = "x: tensor"
TWO = "x1: tensor or float, x2: tensor or float"
DTYPE = "dtype: optional dtype = None"


def row(name: str, signature: str, rule: FunctionRule, *, keras: str | None = None, since: str = "") -> Function:
    """A row for `keras.ops.NAME`; `keras` is its name there, if it is another one."""
    return Function(name, f"ops.{keras or name}", signature, rule, since)


# --- dtypes ---------------------------------------------------------------------------------------


def same(dtype: str) -> str:
    """The dtype that it was."""
    return dtype


def floating(dtype: str) -> str:
    """The dtype itself if it is floating, else that of Keras's floats."""
    return promote(dtype, "float")


def wide(dtype: str) -> str:
    """As `floating`, but whole numbers of 64 bits become floating ones of 64 bits."""
    return "float64" if dtype == "int64" else floating(dtype)


def number(dtype: str) -> str:
    """The dtype itself, but whole numbers for truth values."""
    return "int32" if dtype == "bool" else dtype


def enlarged(dtype: str) -> str:
    """A dtype in which many entries can be added up."""
    return {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(dtype, dtype)


def always(dtype: str) -> DtypeRule:
    """One dtype, whatever is given."""
    return lambda _: dtype


def need_whole(function: Function, dtype: str) -> None:
    """Refuses what is floating, where entries are taken for their bits."""
    if is_float(dtype):
        raise CatalogError(f"`{function.name}` needs whole numbers or truth values, not {dtype}")


# --- operands -------------------------------------------------------------------------------------


def dtype_of(operand: object) -> str:
    """The dtype of a tensor, or of a plain number for `promote`."""
    if isinstance(operand, TensorSpec):
        return operand.dtype
    return "int" if isinstance(operand, int) else "float"


def shape_of(operand: object) -> Shape:
    """The shape of a tensor; a number has no axes."""
    return operand.shape if isinstance(operand, TensorSpec) else ()


def operands(function: Function, call: Values) -> tuple[object, object]:
    """`x1` and `x2`, of which one may be a number."""
    a, b = call["x1"], call["x2"]
    if not isinstance(a, TensorSpec) and not isinstance(b, TensorSpec):
        raise CatalogError(f"`{function.name}` needs at least one tensor")
    return a, b


def alike(function: Function, tensors: Sequence[TensorSpec]) -> list[Shape]:
    """The shapes of tensors that are put together: there is one at least, and all have as many axes."""
    if not tensors:
        raise CatalogError(f"`{function.name}` needs at least 1 tensor")
    shapes = [x.shape for x in tensors]
    if len({len(shape) for shape in shapes}) > 1:
        shown = " and ".join(map(show_shape, shapes))
        raise CatalogError(f"`{function.name}` needs tensors with the same number of axes, not {shown}")
    return shapes


# --- shapes ---------------------------------------------------------------------------------------


def put(shape: Shape, axis: int, *sizes: Size) -> Shape:
    """The shape with these sizes in place of the one at `axis`."""
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


def agree(a: Shape, b: Shape) -> bool:
    """Whether two shapes of as many axes can be the same."""
    return all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def total(sizes: Sequence[Size]) -> Size:
    """The sum of sizes of which some may be unknown: then it is unknown."""
    result, *others = sizes
    for size in others:
        result = None if result is None or size is None else result + size
    return result


def need_rank(function: Function, x: TensorSpec, rank: int) -> None:
    """Refuses a tensor with fewer axes."""
    if len(x.shape) < rank:
        axes = f"{rank} axis" if rank == 1 else f"{rank} axes"
        raise CatalogError(f"`{function.name}` needs a tensor of at least {axes}, not {show_shape(x.shape)}")


def reduced(shape: Shape, axis: object, keepdims: bool, argument: str = "axis") -> Shape:
    """The shape without the axes that are gone through, or with 1 in their places."""
    rank = len(shape)
    axes = range(rank) if axis is None else need_axes(axis, rank, argument)
    kept = (1,) if keepdims else ()
    sizes = (kept if each in axes else (size,) for each, size in enumerate(shape))
    return tuple(size for part in sizes for size in part)


# --- rules that several families have ---------------------------------------------------------------


def entrywise(dtype: DtypeRule = same, of: str = "x") -> FunctionRule:
    """Functions of one tensor, entry by entry."""

    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call[of]
        return TensorSpec(x.shape, dtype(x.dtype))

    return rule


def along(function: Function, call: Values) -> TensorSpec:
    """Functions that work along `axis` and keep the shape."""
    x: TensorSpec = call["x"]
    if call["axis"] is not None:
        need_axes(call["axis"], len(x.shape))
    return x


def flat_along(dtype: DtypeRule = same) -> FunctionRule:
    """Functions that go along an axis. Without one, the entries are taken in one row."""

    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call["x"]
        shape: Shape = (times(x.shape),)
        if call["axis"] is not None:
            need_axis(call["axis"], len(x.shape))
            shape = x.shape
        return TensorSpec(shape, dtype(call.get("dtype") or x.dtype))

    return rule


def reduction(dtype: DtypeRule = same) -> FunctionRule:
    """Functions that make one entry of those along `axis`."""

    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call["x"]
        shape = reduced(x.shape, call["axis"], call.get("keepdims", False))
        return TensorSpec(shape, call.get("dtype") or dtype(x.dtype))

    return rule


def binary(*further: str, dtype: DtypeRule = same) -> FunctionRule:
    """Functions of two operands, entry by entry.

    `further` dtypes take part in the promotion.
    """

    def rule(function: Function, call: Values) -> TensorSpec:
        a, b = operands(function, call)
        shape = broadcast(shape_of(a), shape_of(b))
        return TensorSpec(shape, dtype(promote(dtype_of(a), dtype_of(b), *further)))

    return rule


def rows(names: str, signature: str, rule: Any, since: str = "") -> tuple[Function, ...]:
    """A row for each of the names, alike in all but these."""
    return tuple(row(name, signature, rule, since=since) for name in names.split())
