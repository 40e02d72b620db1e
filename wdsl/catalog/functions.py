"""The functions and operators of wiring: rows of `keras.activations` and `keras.ops`, with shape rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.dtypes import is_float, promote
from wdsl.catalog.einsum import einsum_shape
from wdsl.catalog.model import CatalogError, Function, Shape, TensorSpec, Values
from wdsl.catalog.shapes import as_tuple, broadcast, need_axes, need_axis, reshaped

DtypeRule = Callable[[str], str]


def _dtype(operand: object) -> str:
    if isinstance(operand, TensorSpec):
        return operand.dtype
    return "int" if isinstance(operand, int) else "float"


def _shape(operand: object) -> Shape:
    return operand.shape if isinstance(operand, TensorSpec) else ()


def _same(dtype: str) -> str:
    return dtype


def _floating(dtype: str) -> str:
    return promote(dtype, "float")


def _number(dtype: str) -> str:
    return "int32" if dtype == "bool" else dtype


def _exponential(dtype: str) -> str:
    return dtype if is_float(dtype) else "float32"


def _summed(dtype: str) -> str:
    return {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(
        dtype, promote(dtype)
    )


def _averaged(dtype: str) -> str:
    return dtype if is_float(dtype) else promote(dtype, "float32")


def _entrywise(dtype: DtypeRule) -> Callable[[Function, Values], TensorSpec]:
    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call["x"]
        return TensorSpec(x.shape, dtype(x.dtype))

    return rule


def _along(function: Function, call: Values) -> TensorSpec:
    """Functions that work along `axis` and keep the shape."""
    x: TensorSpec = call["x"]
    if call["axis"] is not None:
        need_axes(call["axis"], len(x.shape))
    return x


def _glu(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    axis = need_axis(call["axis"], len(x.shape))
    size = x.shape[axis]
    if size is not None and size % 2:
        raise CatalogError(f"`glu` halves axis {axis:d} of {show_shape(x.shape)}, which is odd", "axis")
    return TensorSpec(_put(x.shape, axis, None if size is None else size // 2), x.dtype)


def _put(shape: Shape, axis: int, *sizes: int | None) -> Shape:
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


def _reduction(dtype: DtypeRule) -> Callable[[Function, Values], TensorSpec]:
    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call["x"]
        rank = len(x.shape)
        axes = range(rank) if call["axis"] is None else need_axes(call["axis"], rank)
        kept = (1,) if call["keepdims"] else ()
        sizes = (kept if axis in axes else (size,) for axis, size in enumerate(x.shape))
        return TensorSpec(tuple(size for part in sizes for size in part), dtype(x.dtype))

    return rule


def _concatenate(function: Function, call: Values) -> TensorSpec:
    tensors: Sequence[TensorSpec] = call["xs"]
    shapes = _alike(function, tensors)
    axis = need_axis(call["axis"], len(shapes[0]))
    for shape in shapes[1:]:
        if not _agree(_put(shapes[0], axis), _put(shape, axis)):
            raise CatalogError(
                f"`{function.name}` along axis {axis:d} needs tensors that agree in all other axes, not "
                f"{show_shape(shapes[0])} and {show_shape(shape)}"
            )
    total, *others = (shape[axis] for shape in shapes)
    for size in others:
        total = None if total is None or size is None else total + size
    return TensorSpec(_put(shapes[0], axis, total), promote(*(x.dtype for x in tensors)))


def _stack(function: Function, call: Values) -> TensorSpec:
    tensors: Sequence[TensorSpec] = call["x"]
    shapes = _alike(function, tensors)
    axis = need_axis(call["axis"], len(shapes[0]) + 1)
    for shape in shapes[1:]:
        if not _agree(shapes[0], shape):
            raise CatalogError(
                f"`{function.name}` needs tensors of one shape, not {show_shape(shapes[0])} and {show_shape(shape)}"
            )
    shape = (*shapes[0][:axis], len(tensors), *shapes[0][axis:])
    return TensorSpec(shape, promote(*(x.dtype for x in tensors)))


def _alike(function: Function, tensors: Sequence[TensorSpec]) -> list[Shape]:
    if not tensors:
        raise CatalogError(f"`{function.name}` needs at least 1 tensor")
    shapes = [x.shape for x in tensors]
    if len({len(shape) for shape in shapes}) > 1:
        shown = " and ".join(map(show_shape, shapes))
        raise CatalogError(f"`{function.name}` needs tensors with the same number of axes, not {shown}")
    return shapes


def _agree(a: Shape, b: Shape) -> bool:
    return all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def _split(function: Function, call: Values) -> tuple[TensorSpec, ...]:
    x: TensorSpec = call["x"]
    parts = call["indices_or_sections"]
    axis = need_axis(call["axis"], len(x.shape))
    size = x.shape[axis]
    if isinstance(parts, int):
        if size is not None and size % parts:
            raise CatalogError(
                f"axis {axis:d} of {show_shape(x.shape)} cannot be split into {parts:d} equal parts",
                "indices_or_sections",
            )
        return (TensorSpec(_put(x.shape, axis, None if size is None else size // parts), x.dtype),) * parts
    if any(a > b for a, b in pairwise((0, *parts, *(() if size is None else (size,))))):
        raise CatalogError(
            f"`indices_or_sections` must rise from 0 to the size of axis {axis:d} of {show_shape(x.shape)}, "
            f"and not be {show(parts)}",
            "indices_or_sections",
        )
    sizes = [(b - a if a else b) if b is not None else None for a, b in pairwise((0, *parts, size))]
    return tuple(TensorSpec(_put(x.shape, axis, part), x.dtype) for part in sizes)


def _reshape(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    return TensorSpec(reshaped(x.shape, as_tuple(call["newshape"]), "newshape"), x.dtype)


def _transpose(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    rank = len(x.shape)
    axes = tuple(reversed(range(rank))) if call["axes"] is None else need_axes(call["axes"], rank, "axes")
    if len(axes) != rank:
        raise CatalogError(f"`axes` must name each axis of {show_shape(x.shape)} once", "axes")
    return TensorSpec(tuple(x.shape[axis] for axis in axes), x.dtype)


def _cast(function: Function, call: Values) -> TensorSpec:
    return TensorSpec(call["x"].shape, call["dtype"])


def _matmul_dtype(a: object, b: object) -> str:
    # int8 is too small for what a product of matrices adds up.
    return "int32" if _dtype(a) == _dtype(b) == "int8" else promote(_dtype(a), _dtype(b))


def _matmul(function: Function, call: Values) -> TensorSpec:
    a, b = _operands(function, call)
    left, right = _shape(a), _shape(b)
    if not left or not right:
        raise CatalogError(f"`{function.name}` needs two tensors with at least 1 axis")
    rows, (columns, depth) = left[:-1], (right[-1:], right[0] if len(right) == 1 else right[-2])
    if left[-1] is not None and depth is not None and left[-1] != depth:
        raise CatalogError(
            f"`{function.name}` of {show_shape(left)} and {show_shape(right)}: the last axis of the first is "
            f"{left[-1]:d}, but {'the only' if len(right) == 1 else 'the second to last'} axis of the second "
            f"is {depth:d}"
        )
    if len(right) == 1:
        columns = ()
    batch = broadcast(left[:-2], right[:-2])
    return TensorSpec((*batch, *rows[-1:], *columns), _matmul_dtype(a, b))


def _dot(function: Function, call: Values) -> TensorSpec:
    a, b = _operands(function, call)
    left, right = _shape(a), _shape(b)
    dtype = promote(_dtype(a), _dtype(b))
    if not left or not right:
        return TensorSpec(left or right, dtype)
    depth = right[0] if len(right) == 1 else right[-2]
    known = left[-1] is not None and depth is not None
    # A size that is unknown fits, but not where a tensor of several axes meets one of a single axis.
    if left[-1] != depth and (known or len(left) > len(right) == 1):
        raise CatalogError(f"`dot` of {show_shape(left)} and {show_shape(right)}: their axes do not match")
    return TensorSpec((*left[:-1], *right[:-2], *(right[-1:] if len(right) > 1 else ())), dtype)


def _take(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    indices = call["indices"]
    shape = indices.shape if isinstance(indices, TensorSpec) else (len(indices),) if _is_list(indices) else ()
    if call["axis"] is None:
        return TensorSpec(shape, x.dtype)
    return TensorSpec(_put(x.shape, need_axis(call["axis"], len(x.shape)), *shape), x.dtype)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _one_hot(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    axis, rank = call["axis"], len(x.shape)
    if axis != -1 and not 0 <= axis < rank:
        raise CatalogError(f"`axis` must be -1 or an axis of {show_shape(x.shape)}, not {axis:d}", "axis")
    at = rank if axis == -1 else axis
    return TensorSpec((*x.shape[:at], call["num_classes"], *x.shape[at:]), call["dtype"] or "float32")


def _roll(function: Function, call: Values) -> TensorSpec:
    shift, axis = call["shift"], call["axis"]
    if _is_list(shift) and axis is None:
        raise CatalogError("a list of shifts needs a list of axes", "shift")
    if axis is not None and len(as_tuple(shift)) not in (1, len(as_tuple(axis))):
        raise CatalogError("`shift` and `axis` must be lists of the same length", "shift")
    return _along(function, call)


def _expand_dims(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    given = as_tuple(call["axis"])
    axes = need_axes(call["axis"], len(x.shape) + len(given))
    rest = iter(x.shape)
    sizes = tuple(1 if axis in axes else next(rest) for axis in range(len(x.shape) + len(given)))
    return TensorSpec(sizes, x.dtype)


def _squeeze(function: Function, call: Values) -> TensorSpec:
    x: TensorSpec = call["x"]
    if call["axis"] is None:
        return TensorSpec(tuple(size for size in x.shape if size != 1), x.dtype)
    axes = need_axes(call["axis"], len(x.shape))
    for axis in axes:
        if x.shape[axis] != 1:
            raise CatalogError(f"axis {axis:d} of {show_shape(x.shape)} is not 1 and cannot be left out", "axis")
    return TensorSpec(tuple(size for axis, size in enumerate(x.shape) if axis not in axes), x.dtype)


def _einsum(function: Function, call: Values) -> TensorSpec:
    operands: Sequence[TensorSpec] = call["operands"]
    dtypes = {x.dtype for x in operands}
    shape = einsum_shape(call["subscripts"], [x.shape for x in operands])
    return TensorSpec(shape, "int32" if dtypes == {"int8"} else promote(*sorted(dtypes)))


def _operands(function: Function, call: Values) -> tuple[object, object]:
    a, b = call["x1"], call["x2"]
    if not isinstance(a, TensorSpec) and not isinstance(b, TensorSpec):
        raise CatalogError(f"`{function.name}` needs at least one tensor")
    return a, b


def _binary(*further: str, dtype: DtypeRule = _same) -> Callable[[Function, Values], TensorSpec]:
    """Functions of two operands, entry by entry; `further` dtypes take part in the promotion."""

    def rule(function: Function, call: Values) -> TensorSpec:
        a, b = _operands(function, call)
        return TensorSpec(broadcast(_shape(a), _shape(b)), dtype(promote(_dtype(a), _dtype(b), *further)))

    return rule


_X = "x: tensor"
_TWO = "x1: tensor or float, x2: tensor or float"
_REDUCE = f"{_X}, axis: optional axes = None, keepdims: bool = False"
_AXIS = f"{_X}, axis: axis = -1"
_AXES = f"{_X}, axis: optional axes = None"

# The activations whose result is floating whatever they are given; the others declare their input's dtype.
_FLOATING_ACTIVATIONS: Mapping[str, DtypeRule] = {"tanh": _floating, "exponential": _exponential}
_ACTIVATION_ARGUMENTS = {
    "celu": "alpha: float = 1.0",
    "elu": "alpha: float = 1.0",
    "gelu": "approximate: bool = False",
    "hard_shrink": "threshold: float = 0.5",
    "leaky_relu": "negative_slope: float = 0.2",
    "relu": "negative_slope: float = 0.0, max_value: optional float = None, threshold: float = 0.0",
    "soft_shrink": "threshold: float = 0.5",
    "squareplus": "b: float = 4",
    "threshold": "threshold: float, default_value: float",
}
_ALONG = {"softmax": "axes", "log_softmax": "axes", "sparsemax": "axis"}
# Keras 3.15 has these in `keras.activations` too, but they refuse symbolic tensors there. `mish`, which is
# nowhere else, is left to `Activation("mish")`.
_FROM_OPS = frozenset({"hard_silu", "hard_swish", "sparsemax"})
_PLAIN = """
exponential hard_sigmoid hard_silu hard_swish hard_tanh linear log_sigmoid relu6 selu sigmoid silu softplus
softsign sparse_plus sparse_sigmoid swish tanh tanh_shrink
"""


def _activations() -> list[Function]:
    """The rows of `keras.activations`, which users know better than what `keras.ops` has by these names."""
    rows = [Function("glu", "activations.glu", _AXIS, _glu)]
    for name in (*_PLAIN.split(), *_ACTIVATION_ARGUMENTS):
        arguments = f"{_X}, {_ACTIVATION_ARGUMENTS.get(name, '')}"
        rule = _entrywise(_FLOATING_ACTIVATIONS.get(name, _same))
        rows.append(Function(name, _place(name), arguments, rule))
    for name, axis in _ALONG.items():
        rows.append(Function(name, _place(name), f"{_X}, axis: {axis} = -1", _along))
    return rows


def _place(name: str) -> str:
    return f"ops.{name}" if name in _FROM_OPS else f"activations.{name}"


def _ops() -> list[Function]:
    def row(name: str, signature: str, rule: Any, keras: str | None = None) -> Function:
        return Function(name, f"ops.{keras or name}", signature, rule)

    return [
        *(row(name, _X, _entrywise(_same)) for name in ("abs", "sign", "negative")),
        *(row(name, _X, _entrywise(_floating)) for name in ("log", "sqrt", "sin", "cos")),
        row("exp", _X, _entrywise(_exponential)),
        row("square", _X, _entrywise(_number)),
        row("sum", _REDUCE, _reduction(_summed)),
        row("mean", _REDUCE, _reduction(_averaged)),
        *(row(name, f"{_REDUCE}, initial: optional float = None", _reduction(_same)) for name in ("max", "min")),
        *(row(name, "xs: tensors, axis: axis = 0", _concatenate, "concatenate") for name in ("concat", "concatenate")),
        row("stack", "x: tensors, axis: axis = 0", _stack),
        row("split", f"{_X}, indices_or_sections: size or list(count), axis: axis = 0", _split),
        row("reshape", f"{_X}, newshape: int or list(int)", _reshape),
        row("transpose", f"{_X}, axes: optional list(axis) = None", _transpose),
        row("cast", f"{_X}, dtype: dtype", _cast),
        row("matmul", "x1: tensor, x2: tensor", _matmul),
        row("dot", _TWO, _dot),
        row("take", f"{_X}, indices: int or list(int) or tensor, axis: optional axis = None", _take),
        row("one_hot", f"{_X}, num_classes: size, axis: axis = -1, dtype: optional dtype = None", _one_hot),
        row("clip", f"{_X}, x_min: float, x_max: float", _entrywise(_number)),
        row("flip", _AXES, _along),
        row("roll", f"{_X}, shift: int or list(int), axis: optional axes = None", _roll),
        row("expand_dims", f"{_X}, axis: axes", _expand_dims),
        row("squeeze", _AXES, _squeeze),
        row("einsum", "subscripts: str, *operands: tensors", _einsum),
        *(
            row(name, _TWO, _binary())
            for name in ("add", "subtract", "multiply", "maximum", "minimum", "power", "floor_divide")
        ),
        row("divide", _TWO, _binary("float")),
        row("mod", _TWO, _binary(dtype=_number)),
    ]


FUNCTIONS: Mapping[str, Function] = MappingProxyType({row.name: row for row in (*_activations(), *_ops())})
"""The functions of wiring, by the names that files use."""

_SYMBOLS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "floor_divide",
    "%": "mod",
    "**": "power",
    "@": "matmul",
}
OPERATORS: Mapping[str, Function] = MappingProxyType(
    {symbol: FUNCTIONS[name] for symbol, name in _SYMBOLS.items()} | {"unary -": FUNCTIONS["negative"]}
)
"""What the operators of wiring call. For two operands see `operate`."""


def operate(symbol: str, *operands: TensorSpec | float) -> TensorSpec:
    """The tensor that an operator gives: `operate("+", a, b)`, `operate("-", a)`."""
    if len(operands) == 1:
        output = OPERATORS[f"unary {symbol}"].infer({"x": operands[0]})
    else:
        output = OPERATORS[symbol].infer(dict(zip(("x1", "x2"), operands, strict=True)))
    assert isinstance(output, TensorSpec)
    return output
