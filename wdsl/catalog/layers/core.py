"""Dense layers, embeddings, and layers that leave the shape as it is."""

from __future__ import annotations

from typing import Any

from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.einsum import dense_shapes
from wdsl.catalog.model import CatalogError, Inferred, TensorSpec, Values, Weight
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import as_tuple, need_rank, need_rank_from, weight


def with_lora(a: Values, main: Weight, others: tuple[Weight, ...], prefix: str) -> tuple[Weight, ...]:
    """The weights of a layer, with `lora_rank` the main one frozen and two thin factors behind all others."""
    rank = a["lora_rank"]
    if rank is None:
        return (main, *others)
    if a[main.constraint or ""] is not None:
        raise CatalogError(f"`lora_rank` cannot be combined with `{main.constraint}`", "lora_rank")
    factor = main.replace(trainable=True, initializer=None, constraint=None)
    first = factor.replace(name=f"{prefix}_a", path=f"{prefix}_a", shape=(*main.shape[:-1], rank))
    second = factor.replace(name=f"{prefix}_b", path=f"{prefix}_b", shape=(rank, main.shape[-1]))
    return (main.replace(trainable=False), *others, first, second)


def dense(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Dense` acts on the last axis."""
    x: TensorSpec = call["inputs"]
    need_rank_from(x.shape, 2, layer.name, "batch, ..., features")
    kernel = weight(a, "kernel", (x.shape[-1], a["units"]), "kernel")
    bias = (weight(a, "bias", (a["units"],), "bias"),) if a["use_bias"] else ()
    output = TensorSpec((*x.shape[:-1], a["units"]), compute_dtype(a))
    return Inferred(output, with_lora(a, kernel, bias, "lora_kernel"))


def einsum_dense(layer: Layer, a: Values, call: Values) -> Inferred:
    """`EinsumDense`: the kernel's shape is what its equation leaves open."""
    x: TensorSpec = call["inputs"]
    kernel_shape, bias_shape, output_shape, fans = dense_shapes(
        a["equation"], a["bias_axes"], x.shape, as_tuple(a["output_shape"])
    )
    needs = "each axis that the equation gives the weight"
    kernel = weight(a, "kernel", kernel_shape, "kernel", needs=needs).replace(fans=fans)
    bias = () if bias_shape is None else (weight(a, "bias", bias_shape, "bias", needs=needs),)
    output = TensorSpec(output_shape, compute_dtype(a))
    return Inferred(output, with_lora(a, kernel, bias, "lora_kernel"))


def embedding(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Embedding` puts a vector in place of each entry."""
    x: TensorSpec = call["inputs"]
    embeddings = weight(a, "embeddings", (a["input_dim"], a["output_dim"]), "embeddings")
    output = TensorSpec((*x.shape, a["output_dim"]), compute_dtype(a))
    return Inferred(output, with_lora(a, embeddings, (), "lora_embeddings"))


def reversible_embedding(layer: Layer, a: Values, call: Values) -> Inferred:
    """`ReversibleEmbedding`: an embedding, or with `reverse` how like each vector is to each embedded one."""
    x: TensorSpec = call["inputs"]
    sizes = a["input_dim"], a["output_dim"]
    embeddings = weight(a, "embeddings", sizes, "embeddings")
    weights = [embeddings]
    if not a["tie_weights"]:
        # Keras initializes both alike.
        backwards = weight(a, "reverse_embeddings", sizes[::-1])
        weights.append(backwards.replace(initializer=embeddings.initializer))
    shape = (*x.shape, a["output_dim"])
    if call["reverse"]:
        need_rank_from(x.shape, 1, layer.name, "..., features")
        if x.shape[-1] not in (None, a["output_dim"]):
            message = f"the last axis is as long as `output_dim` with `reverse`, and not {x.shape[-1]:d}"
            raise CatalogError(message, "reverse")
        shape = (*x.shape[:-1], a["input_dim"])
    return Inferred(TensorSpec(shape, compute_dtype(a)), tuple(weights))


def parametric_relu(layer: Layer, a: Values, call: Values) -> Inferred:
    """`PReLU`: a slope for each entry, or one for all along the `shared_axes`, which count from 1; 0 is the last."""
    x: TensorSpec = call["inputs"]
    shape = list(x.shape[1:])
    for axis in () if a["shared_axes"] is None else as_tuple(a["shared_axes"]):
        if not -len(shape) < axis <= len(shape):
            raise CatalogError(f"there is no axis {axis:d} besides the batch: there are {len(shape)}", "shared_axes")
        shape[axis - 1] = 1
    alpha = weight(a, "alpha", shape, "alpha", needs="each axis that is not among `shared_axes`")
    return Inferred(TensorSpec(x.shape, compute_dtype(a)), (alpha,))


def unchanged(layer: Layer, a: Values, call: Values) -> Inferred:
    """Leaves the shape as it is.

    `family`: `rank`, the only number of axes that it takes; `least`, the least.
    """
    x: TensorSpec = call["inputs"]
    if rank := layer.family.get("rank"):
        need_rank(x.shape, rank, layer.name)
    need_rank_from(x.shape, layer.family.get("least", 0), layer.name)
    return Inferred(TensorSpec(x.shape, compute_dtype(a)))


def identity(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Identity`, which leaves even whole numbers as they are."""
    return Inferred(call["inputs"])


_LORA = "lora_rank: optional size = None, lora_alpha: optional float = None"
_KERNEL_AND_BIAS = (
    "kernel_initializer: initializer = 'glorot_uniform', bias_initializer: initializer = 'zeros', "
    "kernel_regularizer: optional regularizer = None, bias_regularizer: optional regularizer = None"
)
_CONSTRAINTS = "kernel_constraint: optional constraint = None, bias_constraint: optional constraint = None"
_SEED = "seed: optional int = None"
_RATE_AND_SHAPE = f"rate: fraction, noise_shape: optional list(optional size) = None, {_SEED}"
_TRAINING = "inputs: tensor, training: optional bool = False"


def _row(name: str, signature: str, call: str = "inputs: tensor", **family: Any) -> Layer:
    return Layer(name, signature, unchanged, call_signature=call, family=family)


ROWS = (
    Layer(
        "Dense",
        "units: size, activation: optional activation = None, use_bias: bool = True, "
        f"{_KERNEL_AND_BIAS}, activity_regularizer: optional regularizer = None, {_CONSTRAINTS}, "
        f"{_LORA}, quantization_config: unset = None since 3.13",
        dense,
        "kernel",
        "inputs: tensor, training: optional bool = None",
    ),
    Layer(
        "EinsumDense",
        "equation: str, output_shape: size or list(optional size), "
        f"activation: optional activation = None, bias_axes: optional str = None, {_KERNEL_AND_BIAS}, "
        f"{_CONSTRAINTS}, {_LORA}, "
        "gptq_unpacked_column_size: unset = None, quantization_config: unset = None since 3.13",
        einsum_dense,
        "kernel",
        "inputs: tensor, training: optional bool = None",
    ),
    Layer(
        "Embedding",
        "input_dim: size, output_dim: size, embeddings_initializer: initializer = 'uniform', "
        "embeddings_regularizer: optional regularizer = None, "
        f"embeddings_constraint: optional constraint = None, mask_zero: bool = False, weights: unset = None, "
        f"{_LORA}, quantization_config: unset = None since 3.13",
        embedding,
        "embeddings",
    ),
    Layer(
        "ReversibleEmbedding",
        "input_dim: size, output_dim: size, tie_weights: bool = True, "
        "embeddings_initializer: initializer = 'uniform', embeddings_regularizer: optional regularizer = None, "
        "embeddings_constraint: optional constraint = None, mask_zero: bool = False, "
        "reverse_dtype: optional dtype = None, logit_soft_cap: optional positive = None",
        reversible_embedding,
        "embeddings",
        "inputs: tensor, reverse: bool = False",
    ),
    Layer(
        "PReLU",
        "alpha_initializer: initializer = 'Zeros', alpha_regularizer: optional regularizer = None, "
        "alpha_constraint: optional constraint = None, shared_axes: optional axes = None",
        parametric_relu,
        "alpha",
    ),
    Layer(
        "ActivityRegularization",
        "l1: nonnegative = 0.0, l2: nonnegative = 0.0",
        unchanged,
        keywords="trainable, dtype, autocast",
    ),
    _row("Activation", "activation: optional activation"),
    _row(
        "ReLU",
        "max_value: optional nonnegative = None, negative_slope: nonnegative = 0.0, threshold: nonnegative = 0.0",
    ),
    _row("LeakyReLU", "negative_slope: nonnegative = 0.3"),
    _row("ELU", "alpha: float = 1.0"),
    _row("Softmax", "axis: axes = -1", "inputs: tensor, mask: optional tensor = None"),
    _row("Dropout", _RATE_AND_SHAPE, _TRAINING),
    _row(
        "AlphaDropout",
        _RATE_AND_SHAPE,
        _TRAINING,
    ),
    _row("GaussianDropout", f"rate: fraction, {_SEED}", _TRAINING),
    _row("GaussianNoise", f"stddev: fraction, {_SEED}", _TRAINING),
    _row("Masking", "mask_value: float = 0.0", least=1),
    Layer("Identity", "", identity),
    *(
        Layer(
            f"SpatialDropout{n}D",
            f"rate: fraction, {'' if n == 1 else 'data_format: optional data_format = None, '}{_SEED}",
            unchanged,
            call_signature=_TRAINING,
            keywords="dtype",
            family={"rank": n + 2},
        )
        for n in (1, 2, 3)
    ),
)
