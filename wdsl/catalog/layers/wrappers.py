"""Layers around a layer: `TimeDistributed` and `SpectralNormalization`. (`Bidirectional` is among the recurrent.)"""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.inner import infer_inner
from wdsl.catalog.model import CatalogError, Inferred, TensorSpec, Values, Weight
from wdsl.catalog.rows import Inner, Layer
from wdsl.catalog.shapes import need_rank_from


def time_distributed(layer: Layer, a: Values, call: Values) -> Inferred:
    """`TimeDistributed` applies a layer to each step, all of them with the same weights."""
    x: TensorSpec = call["inputs"]
    need_rank_from(x.shape, 3, layer.name, "batch, steps, ..., features")
    batch, steps, *rest = x.shape
    mask = call["mask"]
    if mask is not None and (
        len(mask.shape) < 2
        or any(m is not None and n is not None and m != n for m, n in zip(mask.shape, (batch, steps), strict=False))
    ):
        raise CatalogError(f"the mask {show_shape(mask.shape)} is not one for {show_shape(x.shape)}", "mask")
    inferred = infer_inner(layer, "layer", a["layer"], TensorSpec((batch, *rest), x.dtype))
    if isinstance(inferred.output, tuple):
        raise CatalogError(f"`{layer.name}` takes a layer with one output", "layer")
    first, *others = inferred.output.shape
    return Inferred(TensorSpec((first, steps, *others), compute_dtype(a)), inferred.weights)


def spectral_normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`SpectralNormalization` divides a layer's kernel by its largest singular value in each training step."""
    x: TensorSpec = call["inputs"]
    inner: Inner = a["layer"]
    need_rank_from(x.shape, 1, layer.name)
    inferred = infer_inner(layer, "layer", inner, x)
    kernel = next((each for each in inferred.weights if each.name in ("kernel", "embeddings")), None)
    if foreign := inner.row.foreign_in(inner.arguments):
        why = f"what weights `{foreign.name}` has is not known: let the Python class use `{layer.name}` itself"
        raise CatalogError(f"`{layer.name}` sets the kernel of the layer in it; {why}", "layer")
    if kernel is None or kernel.path.count("/") > 1:
        raise CatalogError(
            f"`{layer.name}` takes a layer with a kernel or embeddings of its own, and `{inner.row.name}` has none",
            "layer",
        )
    if inner.arguments.get("lora_rank") is not None:
        raise CatalogError(f"`lora_rank` cannot be combined with `{layer.name}`", "layer.lora_rank")
    assert isinstance(inferred.output, TensorSpec)
    vector = Weight("vector_u", "vector_u", (1, kernel.shape[-1]), False, None, None, None)
    others = (each for each in inferred.weights if each is not kernel)
    output = inferred.output.replace(dtype=compute_dtype(a))
    return Inferred(output, (kernel.replace(rewritten=True), vector, *others))


ROWS = (
    Layer(
        "TimeDistributed",
        "layer: layer",
        time_distributed,
        call_signature="inputs: tensor, training: optional bool = None, mask: optional tensor = None",
        wraps="layer",
    ),
    Layer(
        "SpectralNormalization",
        "layer: layer, power_iterations: size = 1",
        spectral_normalization,
        call_signature="inputs: tensor, training: optional bool = False",
        wraps="layer",
    ),
)
