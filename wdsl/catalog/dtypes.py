"""Keras's dtypes: what a layer computes in, and how two dtypes combine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from wdsl.catalog.model import CatalogError, TensorSpec, Values

FLOATS = ("float32", "float16", "bfloat16", "float64")
INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTS, "bool")
"""The dtypes that a tensor of a network can have."""

MIXED = ("mixed_float16", "mixed_bfloat16")
POLICIES = (*(dtype for dtype in DTYPES if dtype != "int8"), *MIXED)
"""What a layer's `dtype` may be: a dtype, or computing in the dtype named, with weights in float32.

"int8" is left to Keras's quantization, which takes it for the beginning of a longer name.
"""

# Keras's promotion lattice, which is JAX's: each dtype's next higher ones. `int` and `float` are those
# of plain numbers, which give way to a tensor's own.
_HIGHER: Mapping[str, tuple[str, ...]] = {
    "bool": ("int",),
    "int": ("uint8", "int8"),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": ("float",),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float",),
    "float": ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": (),
}
_STRONG = {"int": "int32", "float": "float32"}
# Keras narrows what a promotion gives, so that code runs alike on all backends; TensorFlow keeps int64.
_NARROWED = {"uint64": "uint32"}


def is_float(dtype: str) -> bool:
    """Whether Keras counts the dtype as floating."""
    return "float" in dtype


def compute_dtype(arguments: Values) -> str:
    """The dtype that a layer with these arguments computes in."""
    dtype = arguments.get("dtype")
    return "float32" if dtype is None else str(dtype).removeprefix("mixed_")


def variable_dtype(arguments: Values) -> str:
    """The dtype that a layer with these arguments has its weights in."""
    dtype = compute_dtype(arguments)
    return "float32" if arguments.get("dtype") in MIXED else dtype


def cast_inputs(arguments: Values, call: Values) -> dict[str, object]:
    """A call's arguments as the layer sees them: floating tensors cast to the dtype that it computes in."""
    if not arguments.get("autocast", True):
        return dict(call)
    dtype = compute_dtype(arguments)

    def cast(value: object) -> object:
        if isinstance(value, TensorSpec):
            return value.replace(dtype=dtype) if is_float(value.dtype) else value
        return tuple(map(cast, value)) if isinstance(value, (list, tuple)) else value

    return {name: cast(value) for name, value in call.items()}


@lru_cache
def _upper(dtype: str) -> frozenset[str]:
    return frozenset({dtype}).union(*map(_upper, _HIGHER[dtype]))


@lru_cache
def promote(*dtypes: str) -> str:
    """The dtype in which tensors of these dtypes combine. `int` and `float` stand for plain numbers."""
    distinct = frozenset(dtypes)
    if len(distinct) == 1:
        (result,) = distinct
    else:
        common = frozenset.intersection(*map(_upper, distinct))
        least = (common & distinct) or {dtype for dtype in common if common <= _upper(dtype)}
        if len(least) != 1:
            raise CatalogError(f"{' and '.join(map(str, dtypes))} have no dtype in common; use `cast`")
        (result,) = least
    result = _STRONG.get(result, result)
    return _NARROWED.get(result, result)
