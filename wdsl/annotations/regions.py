"""Regions of a weight, and groups of its entries: from their syntax to what constructs them for the runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wdsl.annotations.predicates import Predicate
from wdsl.annotations.subject import Subject
from wdsl.annotations.tables import read_mask
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.syntax import nodes
from wdsl.text.diagnostics import by, nearest, respelled


class Diagonals(Record):
    """The entries of a matrix with j - i from `first` to `last`."""

    first: int
    last: int


class Blocks(Record):
    """The blocks of `rows` by `columns` entries along the diagonal of a matrix."""

    rows: int
    columns: int


class NamedRegion(Record):
    """A row: a region of matrices that has a name. The runtime's class for it has the name with a capital.

    `form` is the region of a matrix with so many rows and columns, by the numbers that are given.
    """

    least: int
    most: int
    form: Callable[[int, int, Sequence[Any]], Diagonals | Blocks]


def _upper(rows: int, columns: int, numbers: Sequence[Any]) -> Diagonals:
    return Diagonals(max(1 - rows, (numbers or (1,))[0]), columns - 1)


def _lower(rows: int, columns: int, numbers: Sequence[Any]) -> Diagonals:
    return Diagonals(1 - rows, min(columns - 1, -(numbers or (1,))[0]))


def _diagonal(rows: int, columns: int, numbers: Sequence[Any]) -> Diagonals:
    (k,) = numbers or (0,)
    return Diagonals(max(1 - rows, k), min(columns - 1, k))


def _band(rows: int, columns: int, numbers: Sequence[Any]) -> Diagonals:
    below, above = numbers
    return Diagonals(max(1 - rows, -below), min(columns - 1, above))


REGIONS: Mapping[str, NamedRegion] = {
    "diagonal": NamedRegion(0, 1, _diagonal),
    "upper": NamedRegion(0, 1, _upper),
    "lower": NamedRegion(0, 1, _lower),
    "band": NamedRegion(2, 2, _band),
    "blocks": NamedRegion(2, 2, lambda rows, columns, sizes: Blocks(*sizes)),
}

GROUPINGS: Mapping[str, ex.Expression] = {
    "rows": ex.Call(ex.Symbol("Axis"), (ex.Constant(0),)),
    "columns": ex.Call(ex.Symbol("Axis"), (ex.Constant(1),)),
    "diagonals": ex.Call(
        ex.Symbol("By"), (ex.Lambda(("i", "j"), ex.Operation("-", (ex.Variable("j"), ex.Variable("i")))),)
    ),
    "antidiagonals": ex.Call(
        ex.Symbol("By"), (ex.Lambda(("i", "j"), ex.Operation("+", (ex.Variable("i"), ex.Variable("j")))),)
    ),
}
"""The groupings of a matrix that have names."""


def read_regions(subject: Subject, given: Sequence[nodes.Expression]) -> tuple[ex.Expression, ...] | None:
    """Regions of the weight; None after a report."""
    return _all([read_region(subject, node) for node in given])


def read_union(subject: Subject, given: Sequence[nodes.Expression]) -> ex.Expression | None:
    """The entries that are in one of the regions; None after a report."""
    regions = read_regions(subject, given)
    if regions is None:
        return None
    return regions[0] if len(regions) == 1 else ex.Call(ex.Symbol("Union"), regions)


def read_groups(subject: Subject, given: Sequence[nodes.Expression]) -> tuple[ex.Expression, ...] | None:
    """Regions whose entries are one value, and ways to put all entries into groups; None after a report."""
    return _all([_grouping(subject, node) for node in given])


def _all(found: Sequence[ex.Expression | None]) -> tuple[ex.Expression, ...] | None:
    there = tuple(each for each in found if each is not None)
    return there if len(there) == len(found) else None


def _grouping(subject: Subject, node: nodes.Expression) -> ex.Expression | None:
    rank = len(subject.shape)
    match node:
        case nodes.Name(id_) if id_ in GROUPINGS:
            if rank == 2:
                return GROUPINGS[id_]
            subject.error(
                "E0506",
                f"`{id_}` are groups of matrices, and `{subject.name}` has {subject.axes}",
                node.span,
                f"its shape is {by(subject.shape)}",
                hint="`axis 0` and `by …` are for any number of axes",
            )
            return None
        case nodes.Axis(axis):
            value = subject.whole(axis)
            if value is None:
                return None
            if not -rank <= value.value < rank:
                subject.error("E0503", f"`{subject.name}` has the axes 0 to {rank - 1}", axis.span)
                return None
            return ex.Call(ex.Symbol("Axis"), (value.expression,))
        case nodes.By(key):
            return Predicate(subject).read_key(key)
    return read_region(subject, node)


def read_region(subject: Subject, node: nodes.Expression) -> ex.Expression | None:
    """A region of the weight; None after a report."""
    match node:
        case nodes.Where(predicate):
            return Predicate(subject).read(predicate)
        case nodes.Unary("not", operand):
            inner = read_region(subject, operand)
            return ex.Call(ex.Symbol("Not"), (inner,)) if inner is not None else None
        case nodes.Slice(nodes.Unary("not", start), stop, step):
            # The grammar, for which `not` binds more tightly than `:`, reads `not 3:9` as `(not 3):9`.
            entries = nodes.Slice(start, stop, step, span=start.span.to(node.span))
            return read_region(subject, nodes.Unary("not", entries, span=node.span))
        case nodes.Tuple(items):
            return _subscripts(subject, node, items)
        case nodes.Name(id_) if id_ in REGIONS:
            return _named(subject, node, id_, ())
        case nodes.Call(nodes.Name(id_), arguments) if id_ in REGIONS:
            return _named(subject, node, id_, arguments)
        case nodes.By() | nodes.Axis():
            subject.error("E0510", "this makes groups for `equal`, and is no region", node.span)
            return None
        case nodes.Name(id_) if id_ in GROUPINGS:
            subject.error("E0510", f"`{id_}` makes groups for `equal`, and is no region", node.span)
            return None
        case nodes.Name("mask"):
            return read_mask(subject, node, ())
        case nodes.Call(nodes.Name("mask"), arguments):
            return read_mask(subject, node, arguments)
        case nodes.Name(id_) | nodes.Call(nodes.Name(id_)) if (
            near := nearest(id_, (*REGIONS, "mask"))
        ) and not subject.knows(id_):
            where = node.function.span if isinstance(node, nodes.Call) else node.span
            fix = respelled(where, near, (*REGIONS, "mask"))
            subject.error("E0510", f"there is no region `{id_}`", where, f"did you mean `{near}`?", fix=fix)
            return None
    size = math.prod(subject.shape)
    index = subject.index(node, size, f"`{subject.name}` has {size} entries")
    return ex.Call(ex.Symbol("Flat"), (index,)) if index is not None else None


def _subscripts(subject: Subject, node: nodes.Tuple, items: Sequence[nodes.Expression]) -> ex.Expression | None:
    if len(items) != len(subject.shape):
        subject.error(
            "E0506",
            f"`{subject.name}` has {subject.axes}, and this has {len(items)}",
            node.span,
            f"its shape is {by(subject.shape)}",
            hint="`:` stands for a whole axis",
        )
        return None
    indices = _all(
        [
            subject.index(item, size, f"axis {axis} of `{subject.name}` has {size} entries")
            for axis, (item, size) in enumerate(zip(items, subject.shape, strict=True))
        ]
    )
    return ex.Call(ex.Symbol("At"), indices) if indices is not None else None


def _named(
    subject: Subject, node: nodes.Expression, name: str, arguments: Sequence[nodes.Argument]
) -> ex.Expression | None:
    if len(subject.shape) != 2:
        subject.error(
            "E0506",
            f"`{name}` is a region of matrices, and `{subject.name}` has {subject.axes}",
            node.span,
            f"its shape is {by(subject.shape)}",
            hint="`where` says it for any number of axes",
        )
        return None
    row = REGIONS[name]
    if not row.least <= len(arguments) <= row.most or any(argument.name for argument in arguments):
        needs = "two numbers" if row.least else "one number, or none"
        subject.error("E0510", f"`{name}` takes {needs}", node.span)
        return None
    values = [subject.whole(argument.value) for argument in arguments]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    if name == "blocks" and any(value.value < 1 for value in numbers):
        subject.error("E0510", "a block has at least one row and one column", node.span)
        return None
    return ex.Call(ex.Symbol(name.capitalize()), tuple(value.expression for value in numbers))
