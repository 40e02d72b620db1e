"""Attention."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, Shape, TensorSpec, Values, Weight
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import Size, as_tuple, need_axis, need_rank_from, weight


def multi_head_attention(layer: Layer, a: Values, call: Values) -> Inferred:
    """`MultiHeadAttention`: query, key and value are projected for each head, the heads' outputs back."""
    query, value = call["query"].shape, call["value"].shape
    key = value if call["key"] is None else call["key"].shape
    _check(layer, a, query, value, key)
    if a["flash_attention"] and (a["dropout"] > 0 or call["return_attention_scores"]):
        culprit = "`dropout`" if a["dropout"] > 0 else "`return_attention_scores`"
        raise CatalogError(f"`flash_attention` cannot be combined with {culprit}", "flash_attention")
    heads, key_dim = a["num_heads"], a["key_dim"]
    value_dim = key_dim if a["value_dim"] is None else a["value_dim"]
    projected = as_tuple(a["output_shape"]) if a["output_shape"] else (query[-1],)
    weights = (
        *_projection(layer, a, "query", (query[-1],), (heads, key_dim)),
        *_projection(layer, a, "key", (key[-1],), (heads, key_dim)),
        *(_projection(layer, a, "gate", (query[-1],), (heads, value_dim)) if a["use_gate"] else ()),
        *_projection(layer, a, "value", (value[-1],), (heads, value_dim)),
        *_projection(layer, a, "attention_output", (heads, value_dim), projected),
    )
    dtype = compute_dtype(a)
    output = TensorSpec((*query[:-1], *projected), dtype)
    if not call["return_attention_scores"]:
        return Inferred(output, weights)
    # What Keras declares. With a value of another length than the query's the scores that it computes are
    # (batch, heads, query, value), but all that is built on them goes by what is declared.
    scores = TensorSpec((query[0], heads, query[1], query[1]), dtype)
    return Inferred((output, scores), weights)


def _check(layer: Layer, a: Values, query: Shape, value: Shape, key: Shape) -> None:
    if len(query) < 3 or len(value) != len(query) or len(key) != len(value):
        raise CatalogError(
            f"`{layer.name}` needs a query, value and key with the same number of axes, at least 3 "
            f"(batch, steps, features), not {show_shape(query)}, {show_shape(value)} and {show_shape(key)}"
        )
    if value[1:-1] != key[1:-1]:
        raise CatalogError(
            f"the value {show_shape(value)} and the key {show_shape(key)} differ in more than the last axis"
        )
    if a["attention_axes"] is not None:
        for axis in as_tuple(a["attention_axes"]):
            need_axis(axis, len(value), "attention_axes")


def _projection(
    layer: Layer, a: Values, name: str, bound: tuple[Size, ...], free: tuple[Size, ...]
) -> tuple[Weight, ...]:
    needs = "the last axis of each input"
    fans = tuple(range(len(bound))), tuple(range(len(bound), len(bound) + len(free)))
    holder = f"{name.removeprefix('attention_')}_dense"
    if layer.name != "MultiHeadAttention" or name == "gate":
        holder = f"_{holder}"  # Keras has no other name for it
    kernel = weight(a, f"{name}.kernel", (*bound, *free), "kernel", holder=holder, needs=needs).replace(fans=fans)
    bias = (weight(a, f"{name}.bias", free, "bias", holder=holder, needs=needs),) if a["use_bias"] else ()
    return (kernel, *bias)


def grouped_query_attention(layer: Layer, a: Values, call: Values) -> Inferred:
    """`GroupQueryAttention`: several heads of the query share one of the key and value."""
    query, value = call["query"].shape, call["value"].shape
    key = value if call["key"] is None else call["key"].shape
    if not len(query) == len(value) == len(key) == 3:
        raise CatalogError(
            f"`{layer.name}` needs (batch, steps, features) of a query, value and key, "
            f"not {show_shape(query)}, {show_shape(value)} and {show_shape(key)}"
        )
    if query[-1] != value[-1]:
        raise CatalogError(f"the query {show_shape(query)} and the value {show_shape(value)} differ in the last axis")
    if value[1:-1] != key[1:-1]:
        raise CatalogError(
            f"the value {show_shape(value)} and the key {show_shape(key)} differ in more than the last axis"
        )
    heads, groups, dim = a["num_query_heads"], a["num_key_value_heads"], a["head_dim"]
    if heads % groups:
        message = f"`num_query_heads` must be a multiple of `num_key_value_heads`: {heads:d} is none of {groups:d}"
        raise CatalogError(message, "num_key_value_heads")
    if a["flash_attention"] and (a["dropout"] > 0 or call["return_attention_scores"]):
        culprit = "`dropout`" if a["dropout"] > 0 else "`return_attention_scores`"
        raise CatalogError(f"`flash_attention` cannot be combined with {culprit}", "flash_attention")
    weights = (
        *_projection(layer, a, "query", (query[-1],), (heads, dim)),
        *_projection(layer, a, "key", (key[-1],), (groups, dim)),
        *(_projection(layer, a, "gate", (query[-1],), (heads, dim)) if a["use_gate"] else ()),
        *_projection(layer, a, "value", (value[-1],), (groups, dim)),
        *_projection(layer, a, "attention_output", (heads, dim), (query[-1],)),
    )
    dtype = compute_dtype(a)
    if not call["return_attention_scores"]:
        return Inferred(TensorSpec(query, dtype), weights)
    return Inferred((TensorSpec(query, dtype), TensorSpec((query[0], heads, query[1], key[1]), dtype)), weights)


def attention(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Attention` and `AdditiveAttention`, from `[query, value]` or `[query, value, key]`."""
    inputs: Sequence[TensorSpec] = call["inputs"]
    if not 2 <= len(inputs) <= 3:
        raise CatalogError(f"`{layer.name}` takes [query, value] or [query, value, key], not {len(inputs)} tensors")
    query, value, key = (x.shape for x in (*inputs, *inputs[1:])[:3])
    if call["mask"] is not None and not 2 <= len(call["mask"]) <= 3:
        raise CatalogError("`mask` has one for the query and one for the value, and may have one for the key", "mask")
    need_rank_from(query, 3, layer.name, "batch, steps, features")
    if not len(query) == len(value) == len(key):
        raise CatalogError(f"the inputs {' and '.join(map(show_shape, (query, value, key)))} differ in their axes")
    adds = layer.name == "AdditiveAttention" or a["score_mode"] == "concat"
    features, steps = (query[-1], key[-1]), (value[-2], key[-2])
    if None not in features and features[0] != features[1] and not (adds and 1 in features):
        raise CatalogError(f"the query {show_shape(query)} and the key {show_shape(key)} differ in the last axis")
    if None not in steps and steps[0] != steps[1]:
        raise CatalogError(f"the value {show_shape(value)} and the key {show_shape(key)} differ in their steps")
    weights: list[Weight] = []
    if layer.name == "AdditiveAttention":
        weights += [weight(a, "scale", query[-1:])] if a["use_scale"] else []
    else:
        names = (("scale", a["use_scale"]), ("concat_score_weight", adds))
        weights += [weight(a, name, ()) for name, there in names if there]
    dtype = compute_dtype(a)
    output = TensorSpec((*query[:-1], value[-1]), dtype)
    if not call["return_attention_scores"]:
        return Inferred(output, tuple(weights))
    return Inferred((output, TensorSpec((*query[:-1], key[-2]), dtype)), tuple(weights))


_BIAS_AND_LIMITS = (
    "kernel_initializer: initializer = 'glorot_uniform', bias_initializer: initializer = 'zeros', "
    "kernel_regularizer: optional regularizer = None, bias_regularizer: optional regularizer = None, "
    "activity_regularizer: optional regularizer = None, kernel_constraint: optional constraint = None, "
    "bias_constraint: optional constraint = None, use_gate: bool = False since 3.14, seed: optional int = None"
)
_HEADS_CALL = (
    "query: tensor, value: tensor, key: optional tensor = None, query_mask: optional tensor = None, "
    "value_mask: optional tensor = None, key_mask: optional tensor = None, attention_mask: optional tensor = None, "
    "return_attention_scores: bool = False, training: optional bool = None, use_causal_mask: bool = False"
)
_CALL = (
    "inputs: tensors, mask: optional tensors = None, training: optional bool = False, "
    "return_attention_scores: bool = False, use_causal_mask: bool = False"
)


ROWS = (
    Layer(
        "MultiHeadAttention",
        "num_heads: size, key_dim: size, value_dim: optional size = None, dropout: fraction = 0.0, "
        "use_bias: bool = True, output_shape: optional size or list(size) = None, "
        "attention_axes: optional axes = None, sliding_window: optional size = None since 3.15, "
        f"flash_attention: optional bool = None, {_BIAS_AND_LIMITS}",
        multi_head_attention,
        call_signature=_HEADS_CALL,
    ),
    Layer(
        "GroupQueryAttention",
        "head_dim: size, num_query_heads: size, num_key_value_heads: size, dropout: fraction = 0.0, "
        "use_bias: bool = True, sliding_window: optional size = None since 3.15, "
        f"flash_attention: optional bool = None, {_BIAS_AND_LIMITS}",
        grouped_query_attention,
        call_signature=_HEADS_CALL,
    ),
    Layer(
        "Attention",
        "use_scale: bool = False, score_mode: choice(dot|concat) = 'dot', dropout: fraction = 0.0, "
        "seed: optional int = None",
        attention,
        call_signature=_CALL,
    ),
    Layer("AdditiveAttention", "use_scale: bool = True, dropout: fraction = 0.0", attention, call_signature=_CALL),
)
