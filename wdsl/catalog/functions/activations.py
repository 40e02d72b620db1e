"""Activation functions: rows of `keras.activations`, which users know better than `keras.ops` by these names."""

from __future__ import annotations

from collections.abc import Mapping

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.functions.rules import DtypeRule, X, along, entrywise, floating, put, same
from wdsl.catalog.model import CatalogError, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import need_axis


def glu(function: Function, call: Values) -> TensorSpec:
    """`glu` halves an axis: one half gates the other."""
    x: TensorSpec = call["x"]
    axis = need_axis(call["axis"], len(x.shape))
    size = x.shape[axis]
    if size is not None and size % 2:
        raise CatalogError(f"`glu` halves axis {axis:d} of {show_shape(x.shape)}, which is odd", "axis")
    return TensorSpec(put(x.shape, axis, None if size is None else size // 2), x.dtype)


# The activations whose result is floating whatever they are given; the others declare their input's dtype.
_DTYPES: Mapping[str, DtypeRule] = {"tanh": floating, "exponential": floating}
_ARGUMENTS = {
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


def _place(name: str) -> str:
    return f"ops.{name}" if name in _FROM_OPS else f"activations.{name}"


ROWS = (
    Function("glu", "activations.glu", f"{X}, axis: axis = -1", glu),
    *(
        Function(name, _place(name), f"{X}, {_ARGUMENTS.get(name, '')}", entrywise(_DTYPES.get(name, same)))
        for name in (*_PLAIN.split(), *_ARGUMENTS)
    ),
    *(Function(name, _place(name), f"{X}, axis: {axis} = -1", along) for name, axis in _ALONG.items()),
)
