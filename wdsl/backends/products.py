"""The lines of a class whose kernel is not made but multiplied by, as in `wdsl/runtime/products.py`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.weights.normal import NormalForm
from wdsl.weights.products import FEWEST_PLACED, Realization, ways_of

WIDE = 'wide = keras.backend.result_type(dtype, "float32")  # for sums of many'


class Kernel(Protocol):
    """What is known of a kernel where its class is written: the attributes of its numbers and of where they stand.

    `layer` is what the `Dense` is called in the method that multiplies.
    """

    layer: str
    numbers: str
    where: str
    form: NormalForm
    writer: Any

    def placed_by(self, ways: Collection[str]) -> None: ...


class Product(Record):
    """How a `Dense` multiplies: lines of `add_weight` and of `call`, which end with `outputs`.

    `only_if` is the attribute that says whether the kernel is one to do so with, at sizes that the file does not give.
    """

    stored: tuple[str, ...]
    call: tuple[str, ...]
    only_if: str = ""


def halves_of(pattern: Any) -> str:
    """The class that has the products of a matrix which is cut in halves."""
    if pattern.sign:
        return "SymmetricHalves" if pattern.sign > 0 else "SkewHalves"
    return "LowerHalves" if pattern.is_lower else "UpperHalves"


SAID = {"SymmetricHalves": "a symmetric", "SkewHalves": "a skew-symmetric"} | {
    f"{side}Halves": f"{article} {side.lower()} triangular" for side, article in (("Lower", "a"), ("Upper", "an"))
}


def product_of(kernel: Kernel, realization: Realization) -> Product:
    """The lines for a kernel that has a pattern at the sizes that the file gives."""
    return _PRODUCTS[type(realization.pattern).__name__](kernel, realization)


def _wide(kernel: Kernel, name: str) -> tuple[str, ...]:
    numbers = f"ops.cast({kernel.numbers}, {kernel.layer}.compute_dtype)"
    return (WIDE, f"{name} = ops.cast({numbers}, wide)", "x = ops.cast(x, wide)")


def _guard(kernel: Kernel, realization: Realization, attribute: str, condition: str) -> tuple[tuple[str, ...], str]:
    """The line that says whether a kernel of other sizes has the pattern too, and is as large as the runtime wants."""
    pattern: Any = realization.pattern
    if not realization.varies:
        return (), ""
    large = f"np.prod(shape) >= 2**{pattern.least.bit_length() - 1}"
    if realization.is_sure:
        return (f"self.{attribute} = {large}",), attribute
    has_indices = any(ex.Variable("i") in let.targets for let in kernel.form.lets)
    return (
        *(() if has_indices else ("i, j = np.indices(shape)",)),
        f"is_so = {condition}",
        f"self.{attribute} = is_so and {large}",
    ), attribute


def _repeated_row(kernel: Kernel, realization: Realization) -> Product:
    numbers = "0" if kernel.form.is_one else "j"
    guard, name = _guard(kernel, realization, "is_repeated", f"({kernel.where} == {numbers}).all()")
    call = (*_wide(kernel, "row"), f"row = ops.broadcast_to(row, ({kernel.layer}.units,))")
    return Product(guard, (*call, "outputs = ops.cast(ops.sum(x, -1, keepdims=True) * row, dtype)"), name)


def _repeated_column(kernel: Kernel, realization: Realization) -> Product:
    guard, name = _guard(kernel, realization, "is_repeated", f"({kernel.where} == i).all()")
    return Product(
        guard,
        (
            *_wide(kernel, "column"),
            "outputs = ops.cast(ops.matmul(x, ops.reshape(column, (-1, 1))), dtype)",
            f"outputs = ops.broadcast_to(outputs, (*ops.shape(x)[:-1], {kernel.layer}.units))",
        ),
        name,
    )


def _diagonal_and_rest(kernel: Kernel, realization: Realization) -> Product:
    guard, name = _guard(kernel, realization, "is_diagonal_and_rest", f"({kernel.where} == (i != j)).all()")
    return Product(
        guard,
        (
            *_wide(kernel, "numbers"),
            "others = ops.sum(x, -1, keepdims=True) - x",
            "outputs = ops.cast(numbers[0] * x + numbers[1] * others, dtype)",
        ),
        name,
    )


def _blocks(kernel: Kernel, realization: Realization) -> Product:
    pattern: Any = realization.pattern
    has_indices = any(ex.Variable("i") in let.targets for let in kernel.form.lets)
    stored, name = ["self.count = shape[0] // max(1, live[:, 0].sum())  # of blocks"], ""
    if realization.varies:
        name = "is_blocks"
        stored += [
            *([] if has_indices else ["i, j = np.indices(shape)"]),
            "rows, columns = live[:, 0].sum(), live[0].sum()",
            f"is_large = np.prod(shape) >= 2**{pattern.least.bit_length() - 1}",
            "is_filled = (self.count * rows, self.count * columns) == tuple(shape)",
            "is_once = live.sum() == places.size",
            "self.is_blocks = is_large and is_filled and is_once and bool(",
            "    (live == (i // rows == j // columns)).all()",
            ")",
        ]
    return Product(
        tuple(stored),
        (
            f"blocks = ops.cast(ops.cast({kernel.numbers}, {kernel.layer}.compute_dtype), dtype)",
            "blocks = ops.reshape(blocks, (self.count, x.shape[-1] // self.count, -1))",
            "parts = ops.reshape(ops.cast(x, dtype), (-1, self.count, blocks.shape[1]))",
            "outputs = ops.matmul(ops.transpose(parts, (1, 0, 2)), blocks)",
            "outputs = ops.transpose(outputs, (1, 0, 2))",
            f"outputs = ops.reshape(outputs, (*ops.shape(x)[:-1], {kernel.layer}.units))",
        ),
        name,
    )


def _circulant(kernel: Kernel, realization: Realization) -> Product:
    pattern: Any = realization.pattern
    key = "i + j" if pattern.to_left else "j - i"
    condition = f"shape[0] == shape[1] and ({kernel.where} == ({key}) % shape[1]).all()"
    guard, name = _guard(kernel, realization, "is_circulant", condition)
    function = "correlated" if pattern.to_left else "convolved"
    kernel.writer.functions.add(function)
    return Product(
        guard,
        (*_wide(kernel, "numbers"), f"outputs = ops.cast({function}(x, numbers, {kernel.layer}.units), dtype)"),
        name,
    )


def _toeplitz(kernel: Kernel, realization: Realization) -> Product:
    pattern: Any = realization.pattern
    index = "i + j" if pattern.is_hankel else "np.where(j >= i, j - i, shape[1] - 1 + i - j)"
    guard, name = _guard(kernel, realization, "is_transformed", f"({kernel.where} == {index}).all()")
    function = "correlated" if pattern.is_hankel else "convolved"
    kernel.writer.functions.add(function)
    transformed = (
        ("kernel = ops.concatenate([numbers, gap])",)
        if pattern.is_hankel
        else (
            "# The diagonals left of the main one go round the end.",
            "left = ops.flip(numbers[columns:], 0)",
            "kernel = ops.concatenate([numbers[:columns], gap, left])",
        )
    )
    return Product(
        guard,
        (
            *_wide(kernel, "numbers"),
            f"rows, columns = x.shape[-1], {kernel.layer}.units",
            "# Room for all diagonals, so that none is met twice; powers of two are fastest.",
            "length = 1 << (rows + columns - 2).bit_length()",
            "gap = ops.zeros((length - (rows + columns - 1),), wide)",
            *transformed,
            "flat = ops.pad(ops.reshape(x, (-1, rows)), ((0, 0), (0, length - rows)))",
            f"outputs = {function}(flat, kernel, length)[:, :columns]",
            "outputs = ops.reshape(outputs, (*ops.shape(x)[:-1], columns))",
            "outputs = ops.cast(outputs, dtype)",
        ),
        name,
    )


def _band(kernel: Kernel, realization: Realization) -> Product:
    pattern: Any = realization.pattern
    assert realization.solved
    strips = pattern.strips(realization.solved.index)
    is_placed = strips.size >= FEWEST_PLACED
    numbers = f"ops.cast({kernel.numbers}, {kernel.layer}.compute_dtype)"
    has_indices = any(ex.Variable("i") in let.targets for let in kernel.form.lets)
    entries = f"found = {kernel.where}[row.clip(0, shape[0] - 1), column.clip(max=shape[1] - 1)]"
    stored = [
        *([] if has_indices else ["i, j = np.indices(shape)"]),
        "self.upper, lower = (max(0, (side * live).max()) for side in (j - i, i - j))",
        "beside = lower + self.upper",
        "width = max(64, beside)  # of a strip: so many columns, and the window of rows they need",
        "column = width * np.arange(-(-shape[1] // width))[:, None, None]",
        "row = column + np.arange(width + beside)[:, None] - self.upper",
        "column = column + np.arange(width)",
        "inside = (row >= 0) & (row < shape[0]) & (column < shape[1])",
    ]
    if is_placed:
        kernel.placed_by(ways_of(strips) | {"zeros"})
        stored += [entries, "self.strips = Placement(np.where(inside, found, -1))"]
        value, shape = f"self.strips({numbers})", "self.strips.where.shape"
    else:
        stored += [entries, "self.strips = np.where(inside, found, -1)"]
        value, shape = f"ops.take(ops.pad({numbers}, (0, 1)), self.strips)", "self.strips.shape"
    name = ""
    if realization.varies:
        name = "is_narrow"
        stored += [
            "is_narrow = 4 * (width + beside) <= shape[0] and width < shape[1]",
            f"self.is_narrow = is_narrow and np.prod(shape) >= 2**{pattern.least.bit_length() - 1}",
        ]
    return Product(
        tuple(stored),
        (
            f"(count, window, width), columns = {shape}, {kernel.layer}.units",
            f"strips = {value}",
            "# Inputs are cut or filled up to the windows of all strips, and one width more.",
            "end = (count + 1) * width - self.upper",
            "flat = ops.reshape(ops.cast(x, dtype), (-1, x.shape[-1]))[:, :end]",
            "more = max(0, end - x.shape[-1])",
            "flat = ops.pad(flat, ((0, 0), (self.upper, more)))",
            "grid = ops.reshape(flat, (-1, count + 1, width))",
            "windows = ops.concatenate([grid[:, :-1], grid[:, 1:, : window - width]], -1)",
            "windows = ops.transpose(windows, (1, 0, 2))",
            "outputs = ops.matmul(windows, ops.cast(strips, dtype))",
            "outputs = ops.reshape(ops.transpose(outputs, (1, 0, 2)), (-1, count * width))",
            "outputs = ops.reshape(outputs[:, :columns], (*ops.shape(x)[:-1], columns))",
        ),
        name,
    )


def _halves(kernel: Kernel, realization: Realization) -> Product:
    pattern: Any = realization.pattern
    writer, name = kernel.writer, halves_of(pattern)
    assert realization.solved
    ways = ways_of(pattern.leaves(realization.solved.index))
    writer.functions |= {name, "by_transposed", "transposed_by"}
    writer.contexts[name] = {
        "name": name,
        "said": SAID[name],
        "sign": pattern.sign,
        "is_lower": pattern.is_lower,
        "has_signs": kernel.form.sign,
        "varies": realization.varies,
        "is_checked": realization.varies and not realization.is_sure,
        "is_written": "written" in ways and not kernel.form.label,
        "many": "many" in ways,
        "once": "once" in ways and not kernel.form.label,
        "zeros": kernel.form.live,
    }
    return Product(
        (),
        (
            f"flat = ops.reshape(ops.cast(x, dtype), (-1, {kernel.layer}.units))",
            f"numbers = ops.cast(ops.reshape({kernel.numbers}, (-1,)), dtype)",
            "outputs = ops.custom_gradient(self.halves.product)(flat, numbers)",
            "outputs = ops.reshape(outputs, ops.shape(x))",
        ),
        "halves.shapes" if realization.varies else "",
    )


_PRODUCTS = {
    "RepeatedRow": _repeated_row,
    "RepeatedColumn": _repeated_column,
    "DiagonalAndRest": _diagonal_and_rest,
    "BlockDiagonalMatrix": _blocks,
    "CirculantMatrix": _circulant,
    "ToeplitzMatrix": _toeplitz,
    "BandMatrix": _band,
    "Halves": _halves,
}
