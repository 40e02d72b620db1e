"""Pooling over windows and over everything."""

from __future__ import annotations

from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import Inferred, TensorSpec, Values
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import channels_first, each, image_axes, need_positive, need_rank, window_length, window_phrase


def pooling(layer: Layer, a: Values, call: Values) -> Inferred:
    """`MaxPooling1D` to `AveragePooling3D`: `strides` are the window's own sizes where they are left out."""
    x: TensorSpec = call["inputs"]
    n: int = layer.family["rank"]
    first = channels_first(a)
    need_rank(x.shape, n + 2, layer.name, image_axes(n, first))
    window = each(a["pool_size"], n)
    strides = window if a["strides"] is None else each(a["strides"], n)
    spatial = x.shape[2:] if first else x.shape[1:-1]
    sizes = tuple(
        window_length(size, length, stride, a["padding"])
        for size, length, stride in zip(spatial, window, strides, strict=True)
    )
    if a["padding"] == "valid":
        need_positive(sizes, x.shape, layer.name, window_phrase(window), "pool_size")
    shape = (*x.shape[:2], *sizes) if first else (x.shape[0], *sizes, x.shape[-1])
    return Inferred(TensorSpec(shape, compute_dtype(a)))


def global_pooling(layer: Layer, a: Values, call: Values) -> Inferred:
    """`GlobalMaxPooling1D` to `GlobalAveragePooling3D`."""
    x: TensorSpec = call["inputs"]
    n: int = layer.family["rank"]
    first = channels_first(a)
    need_rank(x.shape, n + 2, layer.name, image_axes(n, first))
    kept = (1,) * n if a["keepdims"] else ()
    shape = (*x.shape[:2], *kept) if first else (x.shape[0], *kept, x.shape[-1])
    return Inferred(TensorSpec(shape, compute_dtype(a)))


def adaptive_pooling(layer: Layer, a: Values, call: Values) -> Inferred:
    """`AdaptiveAveragePooling1D` to `AdaptiveMaxPooling3D`: windows as wide as the output asks for."""
    x: TensorSpec = call["inputs"]
    n: int = layer.family["rank"]
    first = channels_first(a)
    need_rank(x.shape, n + 2, layer.name, image_axes(n, first))
    sizes = each(a["output_size"], n)
    shape = (*x.shape[:2], *sizes) if first else (x.shape[0], *sizes, x.shape[-1])
    return Inferred(TensorSpec(shape, compute_dtype(a)))


def _pooling(kind: str, n: int) -> Layer:
    # Keras gives a default for the window of maxima alone.
    default = {("Max", 1): " = 2", ("Max", 2): " = (2, 2)", ("Max", 3): " = (2, 2, 2)"}.get((kind, n), "")
    return Layer(
        f"{kind}Pooling{n}D",
        f"pool_size: sizes({n}){default}, strides: optional sizes({n}) = None, "
        "padding: choice(valid|same) = 'valid', data_format: optional data_format = None",
        pooling,
        family={"rank": n},
    )


def _global(kind: str, n: int) -> Layer:
    return Layer(
        f"Global{kind}Pooling{n}D",
        "data_format: optional data_format = None, keepdims: bool = False",
        global_pooling,
        call_signature="inputs: tensor, mask: optional tensor = None"
        if (kind, n) == ("Average", 1)
        else "inputs: tensor",
        family={"rank": n},
    )


ROWS = (
    *(_pooling(kind, n) for kind in ("Max", "Average") for n in (1, 2, 3)),
    *(_global(kind, n) for kind in ("Max", "Average") for n in (1, 2, 3)),
    *(
        Layer(
            f"Adaptive{kind}Pooling{n}D",
            f"output_size: sizes({n}), data_format: optional choice(channels_last|channels_first) = None",
            adaptive_pooling,
            family={"rank": n},
            since="3.13",
        )
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
)
