"""Functions of `keras.ops` that a file cannot have, with what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_DATA = "how much comes out of it depends on the data; `where`, `one_hot` and `top_k` give shapes that are known"
_FUNCTION = "it takes a function of Python: write a `for`, an `if` or a block, or a class in Python that `extern` names"
_COMPLEX = "a file has no complex numbers: transforms such as `rfft` give real and imaginary parts as two tensors"
_LOSS = "it belongs to training: give it to `compile`"
_SIZES = (
    "sizes are known when compiling: `assert` looks at `shape(x)`, and a block names them, `input x: [steps, width]`"
)
_DTYPE = "dtypes are known when compiling: `input x: int32[8]` declares one, and `cast` makes another"
_POOLS = "`{0}1D`, `{0}2D` and `{0}3D` do this"
_LOGITS = "compute it after the model, of what that predicts"

_REASONS: Mapping[str, str] = {
    "bincount nonzero unique": _DATA,
    "associative_scan cond custom_gradient fori_loop jvp map scan switch": _FUNCTION,
    "vectorize vectorized_map while_loop": _FUNCTION,
    "angle conj conjugate eig imag isreal polar real view_as_complex view_as_real": _COMPLEX,
    "binary_crossentropy categorical_crossentropy ctc_loss sparse_categorical_crossentropy": _LOSS,
    "psnr image.ssim ctc_decode": _LOGITS,
    "average_pool": _POOLS.format("AveragePooling"),
    "max_pool": _POOLS.format("MaxPooling"),
    "adaptive_average_pool": _POOLS.format("AdaptiveAveragePooling"),
    "adaptive_max_pool": _POOLS.format("AdaptiveMaxPooling"),
    "batch_normalization": "`BatchNormalization` does this; with means of your own, `(x - mean) * rsqrt(variance)`",
    "digitize": "`Discretization` does this",
    "ndim shape size": _SIZES,
    "dtype is_tensor": _DTYPE,
    "convert_to_numpy": "a network computes with tensors",
    "allclose": "it is one answer for the whole batch: `all(isclose(x, y), axis=-1)` is one for each sample",
    "append": "`concat` does this",
    "empty empty_like": "there might be anything in it: `zeros` and `zeros_like` have the same shapes",
    "get_item": "`take`, `slice` and `split` do this",
    "rearrange": "`reshape` and `transpose` do this",
    "correlate": "it takes a single series, and a batch has several: `conv` takes those",
    "vander": "it takes a single series, and a batch has several: `expand_dims(x, -1) ** arange(n)` takes those",
    "histogram": "it counts the whole batch together: `one_hot` of a `Discretization` counts each sample",
    "lstsq": "`pinv(a) @ b` does this",
    "unravel_index": "`//` and `%` of the index do this",
    "view": "`cast` makes numbers of another dtype; a network does not read their bits",
    "image.scale_and_translate": "`affine_transform` and `resize` do this for each image of a batch",
    "image.euclidean_dist_transform": "it belongs to preparing the data, before the model",
}

REFUSED: Mapping[str, str] = MappingProxyType(
    {f"ops.{name}": reason for names, reason in _REASONS.items() for name in names.split()}
)
"""What to do instead of each of the functions that there is no row for, by their place below `keras`."""
