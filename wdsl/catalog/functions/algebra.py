"""Products of tensors, and what linear algebra does with matrices: those on the last two axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wdsl.catalog.argument_types import show, show_shape
from wdsl.catalog.dtypes import promote
from wdsl.catalog.einsum import einsum_shape
from wdsl.catalog.functions.rules import (
    TWO,
    X,
    agree,
    always,
    dtype_of,
    entrywise,
    need_rank,
    operands,
    row,
    rows,
    shape_of,
    wide,
)
from wdsl.catalog.model import CatalogError, Shape, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import Size, broadcast, need_axes, need_axis, times

# --- products ---------------------------------------------------------------------------------------


def matmul(function: Function, call: Values) -> TensorSpec:
    """Products of matrices; axes in front of them are broadcast."""
    a, b = operands(function, call)
    left, right = shape_of(a), shape_of(b)
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
    # int8 is too small for what a product of matrices adds up.
    dtype = "int32" if dtype_of(a) == dtype_of(b) == "int8" else promote(dtype_of(a), dtype_of(b))
    return TensorSpec((*batch, *rows[-1:], *columns), dtype)


def dot(function: Function, call: Values) -> TensorSpec:
    """The last axis of the first with the second to last of the second."""
    a, b = operands(function, call)
    left, right = shape_of(a), shape_of(b)
    dtype = promote(dtype_of(a), dtype_of(b))
    if not left or not right:
        return TensorSpec(left or right, dtype)
    depth = right[0] if len(right) == 1 else right[-2]
    known = left[-1] is not None and depth is not None
    # A size that is unknown fits, but not where a tensor of several axes meets one of a single axis.
    if left[-1] != depth and (known or len(left) > len(right) == 1):
        raise CatalogError(f"`dot` of {show_shape(left)} and {show_shape(right)}: their axes do not match")
    return TensorSpec((*left[:-1], *right[:-2], *(right[-1:] if len(right) > 1 else ())), dtype)


def inner(function: Function, call: Values) -> TensorSpec:
    """The last axes of both."""
    a, b = operands(function, call)
    left, right = shape_of(a), shape_of(b)
    if left and right and not agree(left[-1:], right[-1:]):
        raise CatalogError(f"`inner` of {show_shape(left)} and {show_shape(right)}: their last axes differ")
    shape = (*left[:-1], *right[:-1]) if left and right else left or right
    return TensorSpec(shape, promote(dtype_of(a), dtype_of(b)))


def outer(function: Function, call: Values) -> TensorSpec:
    """Each entry of the one with each of the other."""
    a, b = operands(function, call)
    shape = tuple(times(shape_of(x)) for x in (a, b))
    return TensorSpec(shape, promote(dtype_of(a), dtype_of(b)))


def vdot(function: Function, call: Values) -> TensorSpec:
    """The sum of the products of all entries."""
    a, b = call["x1"], call["x2"]
    sizes = times(a.shape), times(b.shape)
    if not agree(sizes[:1], sizes[1:]):
        raise CatalogError(f"`vdot` of {show_shape(a.shape)} and {show_shape(b.shape)}: they differ in size")
    return TensorSpec((), promote(a.dtype, b.dtype))


def tensordot(function: Function, call: Values) -> TensorSpec:
    """Axes of the one with axes of the other: the last ones of the first, or those that are named."""
    a, b, axes = call["x1"], call["x2"], call["axes"]
    if isinstance(axes, int):
        if axes > min(len(a.shape), len(b.shape)):
            raise CatalogError(f"`axes` cannot be {axes:d}: the tensors do not have as many", "axes")
        lists: Sequence[tuple[int, ...]] = (tuple(range(len(a.shape) - axes, len(a.shape))), tuple(range(axes)))
    else:
        lists = [need_axes(each, len(x.shape), "axes") for each, x in zip(axes, (a, b), strict=True)]
    first, second = (tuple(x.shape[axis] for axis in each) for x, each in zip((a, b), lists, strict=True))
    if len(first) != len(second) or not agree(first, second):
        raise CatalogError(
            f"`tensordot` of {show_shape(a.shape)} and {show_shape(b.shape)} along {show(axes)}: their axes differ",
            "axes",
        )
    rest = (size for x, each in zip((a, b), lists, strict=True) for i, size in enumerate(x.shape) if i not in each)
    return TensorSpec(tuple(rest), promote(a.dtype, b.dtype))


def einsum(function: Function, call: Values) -> TensorSpec:
    """What an equation says."""
    tensors: Sequence[TensorSpec] = call["operands"]
    dtypes = {x.dtype for x in tensors}
    shape = einsum_shape(call["subscripts"], [x.shape for x in tensors])
    return TensorSpec(shape, "int32" if dtypes == {"int8"} else promote(*sorted(dtypes)))


def kron(function: Function, call: Values) -> TensorSpec:
    """Each entry of the one times the whole other."""
    a, b = call["x1"], call["x2"]
    if len(a.shape) != len(b.shape):
        raise CatalogError(
            f"`kron` needs tensors with as many axes, not {show_shape(a.shape)} and {show_shape(b.shape)}"
        )
    sizes = (times(pair) for pair in zip(a.shape, b.shape, strict=True))
    return TensorSpec(tuple(sizes), promote(a.dtype, b.dtype))


def cross(function: Function, call: Values) -> TensorSpec:
    """The product of vectors in space."""
    a, b = call["x1"], call["x2"]
    at = [call["axis"] if call["axis"] is not None else call[name] for name in ("axisa", "axisb", "axisc")]
    shapes, sizes = [], []
    for x, axis in zip((a, b), at, strict=False):
        place = need_axis(axis, len(x.shape))
        sizes.append(x.shape[place])
        shapes.append((*x.shape[:place], *x.shape[place + 1 :]))
    if any(size not in (None, 2, 3) for size in sizes):
        raise CatalogError("`cross` needs vectors of 2 or 3 entries")
    shape = broadcast(shapes[0], shapes[1])
    vector: Shape = (3,) if 3 in sizes else ()
    place = need_axis(at[2], len(shape) + len(vector)) if vector or shape else 0
    return TensorSpec((*shape[:place], *vector, *shape[place:]), promote(a.dtype, b.dtype))


def cdist(function: Function, call: Values) -> TensorSpec:
    """The distance of each vector of the one from each of the other."""
    a, b = call["x"], call["y"]
    for x in (a, b):
        need_rank(function, x, 2)
    if not agree(a.shape[-1:], b.shape[-1:]):
        raise CatalogError(f"`cdist` of {show_shape(a.shape)} and {show_shape(b.shape)}: their last axes differ")
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    return TensorSpec((*batch, a.shape[-2], b.shape[-2]), promote(a.dtype, b.dtype, "float"))


# --- matrices ---------------------------------------------------------------------------------------


def _matrix(function: Function, x: TensorSpec, *, square: bool = False) -> tuple[Shape, Size, Size]:
    need_rank(function, x, 2)
    *batch, m, n = x.shape
    # Only what makes one number of a matrix, but not `det`, lets a size pass that is unknown.
    fits = agree((m,), (n,)) if function.name in ("logdet", "slogdet") else m == n
    if square and not fits:
        raise CatalogError(f"`{function.name}` needs square matrices, not {show_shape(x.shape)}")
    return tuple(batch), m, n


def _known(function: Function, x: TensorSpec) -> tuple[Shape, int, int, int]:
    batch, m, n = _matrix(function, x)
    if m is None or n is None:
        raise CatalogError(f"`{function.name}` needs matrices of a known size, not {show_shape(x.shape)}")
    return batch, m, n, n if n < m else m


def of_square(function: Function, call: Values) -> TensorSpec:
    """A matrix made of a square one."""
    x: TensorSpec = call["x"]
    _matrix(function, x, square=True)
    return x


def determinant(function: Function, call: Values) -> TensorSpec:
    """A number made of a square matrix."""
    x: TensorSpec = call["x"]
    return TensorSpec(_matrix(function, x, square=True)[0], x.dtype)


def slogdet(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """The sign of the determinant, and the logarithm of its absolute value."""
    x: TensorSpec = call["x"]
    batch, _, _ = _matrix(function, x, square=True)
    # Keras says of the signs that there is one, whatever the batch.
    if batch:
        raise CatalogError(f"`slogdet` needs a single matrix, not {show_shape(x.shape)}: use `logdet` or `det`")
    return TensorSpec((), x.dtype), TensorSpec((), x.dtype)


def eigh(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """The eigenvalues of symmetric matrices, and the eigenvectors."""
    x: TensorSpec = call["x"]
    _matrix(function, x, square=True)
    return TensorSpec(x.shape[:-1], x.dtype), x


def qr(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """An orthogonal and a triangular matrix."""
    x: TensorSpec = call["x"]
    batch, m, n, k = _known(function, x)
    if call["mode"] == "complete":
        k = m
    return TensorSpec((*batch, m, k), x.dtype), TensorSpec((*batch, k, n), x.dtype)


def svd(function: Function, call: Values) -> TensorSpec | tuple[TensorSpec, ...]:
    """Singular values, between two orthogonal matrices."""
    x: TensorSpec = call["x"]
    batch, m, n, k = _known(function, x)
    values = TensorSpec((*batch, k), x.dtype)
    if not call["compute_uv"]:
        return values
    shapes = ((m, m), (n, n)) if call["full_matrices"] else ((m, k), (k, n))
    u, v = (TensorSpec((*batch, *shape), x.dtype) for shape in shapes)
    return u, values, v


def lu_factor(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """The triangular factors in one matrix, and how its rows were swapped."""
    x: TensorSpec = call["x"]
    batch, _, _, k = _known(function, x)
    return x, TensorSpec((*batch, k), x.dtype)


def solve(function: Function, call: Values) -> TensorSpec:
    """The x of a x = b, for a vector or for the columns of a matrix."""
    a, b = call["a"], call["b"]
    _, m, _ = _matrix(function, a, square=True)
    depth = {len(a.shape): -2, len(a.shape) - 1: -1}.get(len(b.shape))
    if not b.shape or depth is None or b.shape[depth] != m:
        raise CatalogError(f"`{function.name}`: {show_shape(b.shape)} is no right side for {show_shape(a.shape)}", "b")
    return TensorSpec(b.shape, b.dtype)


def pinv(function: Function, call: Values) -> TensorSpec:
    """The matrix that comes closest to an inverse."""
    x: TensorSpec = call["x"]
    batch, m, n = _matrix(function, x)
    return TensorSpec((*batch, n, m), x.dtype)


def matrix_rank(function: Function, call: Values) -> TensorSpec:
    """How many rows are independent."""
    return TensorSpec(_matrix(function, call["x"])[0], "int32")


def normalized(dtype: Callable[[str], str]) -> Callable[[Function, Values], TensorSpec]:
    """Along axes, with or without tensors to scale and move the result by."""

    def rule(function: Function, call: Values) -> TensorSpec:
        x: TensorSpec = call["x"]
        if call["axis"] is not None:
            axes = need_axes(call["axis"], len(x.shape))
            for name in {"gamma", "beta", "scale"} & set(call):
                given = call[name]
                wanted = tuple(x.shape[axis] for axis in sorted(axes))
                if given is not None and len(axes) > 1:
                    broadcast(given.shape, x.shape)
                elif given is not None and (len(given.shape) != len(wanted) or not agree(given.shape, wanted)):
                    raise CatalogError(f"`{name}` must have the shape {show_shape(wanted)}", name)
        return TensorSpec(x.shape, dtype(x.dtype))

    return rule


def attention(function: Function, call: Values) -> TensorSpec:
    """`dot_product_attention` of tensors [batch, steps, heads, depth]."""
    query, key, value = call["query"], call["key"], call["value"]
    for name, x in (("query", query), ("key", key), ("value", value)):
        if len(x.shape) != 4:
            raise CatalogError(f"`{name}` must be [batch, steps, heads, depth], not {show_shape(x.shape)}", name)
    if not agree(query.shape[2:], key.shape[2:]) or not agree(key.shape[1:], value.shape[1:]):
        raise CatalogError("query, key and value must agree in heads and depth, key and value in steps as well")
    return TensorSpec(query.shape, promote(query.dtype, key.dtype, value.dtype))


_TENSORS = "x1: tensor, x2: tensor"

ROWS = (
    row("matmul", _TENSORS, matmul),
    row("dot", TWO, dot),
    row("inner", TWO, inner),
    row("outer", TWO, outer),
    row("vdot", _TENSORS, vdot),
    row("tensordot", f"{_TENSORS}, axes: count or list(axes, 2) = 2", tensordot),
    row("einsum", "subscripts: str, *operands: tensors", einsum),
    row("kron", _TENSORS, kron),
    row(
        "cross", f"{_TENSORS}, axisa: axis = -1, axisb: axis = -1, axisc: axis = -1, axis: optional axis = None", cross
    ),
    row("cdist", "x: tensor, y: tensor", cdist, since="3.15"),
    *rows("cholesky cholesky_inverse", f"{X}, upper: bool = False", of_square),
    row("inv", X, of_square),
    *rows("det logdet", X, determinant),
    row("slogdet", X, slogdet),
    row("eigh", X, eigh),
    row("qr", f"{X}, mode: choice(reduced|complete) = 'reduced'", qr),
    row("svd", f"{X}, full_matrices: bool = True, compute_uv: bool = True", svd),
    row("lu_factor", X, lu_factor),
    row("solve", "a: tensor, b: tensor", solve),
    row("solve_triangular", "a: tensor, b: tensor, lower: bool = False", solve),
    row("pinv", f"{X}, rcond: optional float = None", pinv, since="3.15"),
    row("matrix_rank", f"{X}, tol: optional float = None", matrix_rank, since="3.15"),
    row("corrcoef", X, entrywise(wide)),
    row(
        "normalize",
        f"{X}, axis: optional axes = -1, order: float = 2, epsilon: optional float = None",
        normalized(always("float32")),
    ),
    row(
        "layer_normalization",
        f"{X}, gamma: optional tensor = None, beta: optional tensor = None, axis: axes = -1, "
        "epsilon: optional float = None",
        normalized(str),
    ),
    row(
        "rms_normalization",
        f"{X}, scale: optional tensor = None, axis: axes = -1, epsilon: optional float = None",
        normalized(str),
    ),
    row(
        "dot_product_attention",
        "query: tensor, key: tensor, value: tensor, bias: optional tensor = None, mask: optional tensor = None, "
        "scale: optional float = None, is_causal: bool = False, flash_attention: optional bool = None, "
        "attn_logits_soft_cap: unset = None",
        attention,
    ),
)
