"""The region `mask("connections.csv")`: the nonzero entries of a table, read into the annotation itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from wdsl.annotations.equations import MAX_ENTRIES
from wdsl.annotations.subject import Subject
from wdsl.core import expressions as ex
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, by
from wdsl.text.source import Span

if TYPE_CHECKING:
    import numpy as np

LEGIBLE = 4096
"""A table of up to so many entries is written as its digits, where a row fits a line of code."""
LONGEST_ROW = 84
LONGEST_NUMBER = 100
LINES_AT_ONCE = CELLS_AT_ONCE = 1024


def read_mask(subject: Subject, node: nodes.Expression, arguments: Sequence[nodes.Argument]) -> ex.Expression | None:
    """The region of a table in a file; None after a report."""
    match arguments:
        case (nodes.Argument(None, nodes.Literal(str(path)) as literal),):
            pass
        case _:
            subject.error("E0510", '`mask` takes the path of a file: `mask("connections.csv")`', node.span)
            return None
    shape = tuple(map(int, subject.shape))
    if math.prod(shape) > MAX_ENTRIES:
        subject.error(
            "E0702",
            f"`{subject.name}` has {math.prod(shape):,} entries, too many for a mask",
            node.span,
            f"masks have up to {MAX_ENTRIES:,} entries",
        )
        return None
    data = subject.layer.files.read(path, literal.span)
    if isinstance(data, Diagnostic):
        subject.problems.append(data)
        return None
    read = _read_npy if path.lower().endswith(".npy") else _read_csv
    found = read(data, shape, path, str(subject.name), literal.span)
    if isinstance(found, Diagnostic):
        subject.problems.append(found)
        return None
    return mask_of(path, found)


def mask_of(path: str, marks: np.ndarray[Any, Any]) -> ex.Expression:
    """The entries that are true in `marks`, as a term that holds them all."""
    shape = ex.Sequence(tuple(map(ex.Constant, marks.shape)))
    if marks.size <= LEGIBLE and marks.shape[-1] <= LONGEST_ROW:
        rows = marks.reshape(-1, marks.shape[-1])
        kind, text = "Mask", " ".join("".join("01"[mark] for mark in row) for row in rows.tolist())
    else:
        import base64

        import numpy as np

        # Compressors write other bytes on other machines, and a module should be the same wherever it is built.
        packed = np.packbits(marks)
        present = packed != 0
        data = np.concatenate([np.packbits(present), packed[present]])
        kind, text = "PackedMask", base64.b85encode(data.tobytes()).decode()
    return ex.Call(ex.Symbol(kind), (ex.Constant(path), shape, ex.Constant(text)))


def _other_shape(path: str, found: Sequence[int], name: str, shape: tuple[int, ...], span: Span) -> Diagnostic:
    has = by(found) if len(found) <= 8 else f"a table with {len(found)} axes"
    return Diagnostic("E0605", f"`{path}` is {has}, and `{name}` is {by(shape)}", span, "a mask has the weight's shape")


def _no_numbers(path: str, why: str, span: Span) -> Diagnostic:
    return Diagnostic("E0606", f"`{path}` is no table of numbers", span, why)


# NumPy's files


def _read_npy(
    data: bytes, shape: tuple[int, ...], path: str, name: str, span: Span
) -> np.ndarray[Any, Any] | Diagnostic:
    """The marks in a `.npy` file. `numpy.load` is not asked: it would believe whatever size the file claims."""
    import io

    import numpy as np

    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
        found, is_fortran, dtype = read(file)
    except Exception:  # what NumPy's parsers raise at bytes that are no header is not documented
        return _no_numbers(path, "it is no `.npy` file", span)
    if dtype.kind not in "biuf":
        kinds = {"c": "complex numbers", "O": "Python objects", "S": "strings", "U": "strings"}
        return _no_numbers(path, f"it holds {kinds.get(dtype.kind, f'entries of type {dtype}')}", span)
    start = file.tell()
    if math.prod(found) * dtype.itemsize != len(data) - start or min(found, default=0) < 0:
        return _no_numbers(path, "it does not hold as many entries as it says", span)
    if tuple(found) != shape:
        return _other_shape(path, found, name, shape, span)
    table = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if is_fortran else "C")
    if dtype.kind == "f" and (nans := np.isnan(table)).any():
        where = ", ".join(str(index) for index in np.unravel_index(nans.argmax(), shape))
        return _no_numbers(path, f"entry ({where}) is NaN", span)
    marks: np.ndarray[Any, Any] = table != 0
    return marks


# Tables in text


def _read_csv(
    data: bytes, shape: tuple[int, ...], path: str, name: str, span: Span
) -> np.ndarray[Any, Any] | Diagnostic:
    """The marks in a text with a line for each row and commas between numbers; of a vector in one line or column."""
    import io

    import numpy as np

    if len(shape) > 2:
        return Diagnostic(
            "E0605",
            f"`{path}` is a table, and `{name}` is {by(shape)}",
            span,
            "a CSV file has rows and columns alone",
            hint="`numpy.save` writes arrays of any shape, to `.npy` files",
        )
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not data:
        return _no_numbers(path, "it is empty", span)
    # The size is compared before the lines are taken apart. Of a file of another size one line is read, which tells
    # whether it holds numbers at all, unless it is longer than the whole weight.
    first = data[: data.index(b"\n")] if b"\n" in data else data
    found = (data.count(b"\n") + 1, first.count(b",") + 1)
    fits = found == shape or (len(shape) == 1 and found in ((1, *shape), (*shape, 1)))
    if not fits and found[1] > math.prod(shape):
        return _other_shape(path, found, name, shape, span)
    file, rows = io.BytesIO(data if fits else first), []
    for start in range(0, found[0] if fits else 1, LINES_AT_ONCE):
        try:
            lines = [line.decode().strip() for line in islice(file, LINES_AT_ONCE)]
        except UnicodeDecodeError:
            return _no_numbers(path, "it is not UTF-8", span)
        numbers = _numbers(lines)
        if numbers is None or numbers.shape[1] != found[1] or np.isnan(numbers).any():
            for number, line in enumerate(lines, start + 1):
                if problem := _problem_of(line, found[1]):
                    return _no_numbers(path, f"line {number} {problem}", span)
        rows.append(numbers != 0)
    return np.concatenate(rows).reshape(shape) if fits else _other_shape(path, found, name, shape, span)


def _numbers(lines: Sequence[str]) -> Any:
    """Lines of a CSV file as an array with two axes, or None if they are none."""
    import numpy as np

    # NumPy would leave empty lines out, and take its time with long words.
    if not all(line and len(line) < LONGEST_NUMBER * (line.count(",") + 1) for line in lines):
        return None
    try:
        return np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        return None


def _problem_of(line: str, columns: int) -> str | None:
    """What is wrong with a line of numbers, if anything."""
    import numpy as np

    if not line:
        return "is empty"
    cells = line.split(",")
    for start in range(0, len(cells), CELLS_AT_ONCE):
        some = [cell.strip() for cell in cells[start : start + CELLS_AT_ONCE]]
        numbers = _numbers(some)
        if numbers is None or numbers.shape[1] != 1:
            wrong = next((cell for cell in some if (one := _numbers([cell])) is None or one.shape != (1, 1)), "")
            return f"has `{wrong[:20]}`, which is not a number" if wrong else "has an empty place"
        if np.isnan(numbers).any():
            return "has a NaN"
    return None if len(cells) == columns else f"has {len(cells)} numbers, and line 1 has {columns}"
