"""Fourier transforms. What is complex is two tensors: the real parts, and the imaginary ones."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.functions.rules import X, need_rank, row, rows
from wdsl.catalog.model import CatalogError, TensorSpec, Values
from wdsl.catalog.rows import Function
from wdsl.catalog.shapes import Size


def _floating(function: Function, *tensors: TensorSpec) -> None:
    for x in tensors:
        if x.dtype not in ("float32", "float64"):
            raise CatalogError(f"`{function.name}` takes float32 or float64, not {x.dtype}: use `cast`")


def _complex(function: Function, call: Values, rank: int) -> TensorSpec:
    """The real parts of a pair, whose imaginary parts are as many."""
    real, imaginary = call["x"]
    need_rank(function, real, rank)
    if real.shape != imaginary.shape or real.dtype != imaginary.dtype:
        shown = f"{show_shape(real.shape)} {real.dtype} and {show_shape(imaginary.shape)} {imaginary.dtype}"
        raise CatalogError(f"`{function.name}` takes real and imaginary parts of one shape and dtype, not {shown}")
    _floating(function, real)
    return real  # type: ignore[no-any-return]


def transform(rank: int) -> object:
    """`fft`, and its like over planes, which keep the shape."""

    def rule(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
        x = _complex(function, call, rank)
        if None in x.shape[-rank:]:
            axes = "last axis is" if rank == 1 else "last two axes are"
            raise CatalogError(f"`{function.name}` needs tensors whose {axes} known, not {show_shape(x.shape)}")
        return x, x

    return rule


def rfft(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """Of real numbers: the half of the frequencies that is not the other one mirrored."""
    x, length = call["x"], call["fft_length"]
    need_rank(function, x, 1)
    _floating(function, x)
    length = x.shape[-1] if length is None else length
    output = TensorSpec((*x.shape[:-1], None if length is None else length // 2 + 1), x.dtype)
    return output, output


def irfft(function: Function, call: Values) -> TensorSpec:
    """The real numbers of which `rfft` made these."""
    x = _complex(function, call, 1)
    length = call["fft_length"]
    if length is None and x.shape[-1] is not None:
        length = 2 * (x.shape[-1] - 1)
        if length < 1:
            raise CatalogError(f"`irfft` would leave nothing of {show_shape(x.shape)}", "fft_length")
    return TensorSpec((*x.shape[:-1], length), x.dtype)


def stft(function: Function, call: Values) -> tuple[TensorSpec, TensorSpec]:
    """The frequencies in windows, one after the other along the last axis."""
    x, length, stride = call["x"], call["fft_length"], call["sequence_stride"]
    need_rank(function, x, 1)
    _floating(function, x)
    if length < call["sequence_length"]:
        raise CatalogError("`fft_length` must be at least `sequence_length`", "fft_length")
    size: Size = x.shape[-1]
    if size is not None:
        padded = size + length // 2 * 2 if call["center"] else size
        if padded < length - stride or (call["center"] and size <= length // 2):
            raise CatalogError(f"a window of {length:d} does not fit into {show_shape(x.shape)}", "fft_length")
        size = (padded - length) // stride + 1
    output = TensorSpec((*x.shape[:-1], size, length // 2 + 1), x.dtype)
    return output, output


def istft(function: Function, call: Values) -> TensorSpec:
    """The numbers of which `stft` made these."""
    x, length = _complex(function, call, 2), call["fft_length"]
    size: Size = x.shape[-2]
    if size is not None:
        size = (size - 1) * call["sequence_stride"] + length
        size = size - length // 2 * 2 if call["center"] else size
    return TensorSpec((*x.shape[:-2], call["length"] if call["length"] is not None else size), x.dtype)


_COMPLEX = "x: list(tensor, 2)"
_FRAMES = "sequence_length: size, sequence_stride: size, fft_length: size"
_WINDOW = "window: optional choice(hann|hamming) = 'hann', center: bool = True"

ROWS = (
    row("fft", _COMPLEX, transform(1)),  # type: ignore[arg-type]
    *rows("fft2 ifft2", _COMPLEX, transform(2)),
    row("rfft", f"{X}, fft_length: optional size = None", rfft),
    row("irfft", f"{_COMPLEX}, fft_length: optional size = None", irfft),
    row("stft", f"{X}, {_FRAMES}, {_WINDOW}", stft),
    row("istft", f"{_COMPLEX}, {_FRAMES}, length: optional size = None, {_WINDOW}", istft),
)
