"""Subscripts: items of lists, and parts of tensors. Members of families are in `families.py`."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.catalog import TensorSpec
from wdsl.catalog.argument_types import is_whole
from wdsl.core import expressions as ex
from wdsl.core.sizes import Dim, dim, expression_of
from wdsl.link import constants
from wdsl.link.constants import ConstantError, Value
from wdsl.network.elaboration import Elaboration
from wdsl.network.objects import (
    BROKEN,
    Broken,
    Result,
    Tensor,
    kind_of,
    shape_of,
    to_name,
)
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix

Bounds = tuple[int | None, int | None, int | None]


def evaluate_subscript(here: Elaboration, node: nodes.Subscript) -> Result:
    """`widths[0]`, `widths[1:]`, `x[:, 0]`."""
    container = here.evaluate(node.value)
    if isinstance(container, Tensor):
        return part_of_tensor(here, container, node)
    if isinstance(container, Broken):
        return BROKEN
    if not isinstance(container, Value):
        return here.error("E0205", "this has no items", node.value.span, kind_of(container), hint=to_name(container))
    if len(node.items) != 1:
        return here.error("E0205", "lists have items one at a time: `a[i][j]`", node.span)
    bounds = _bounds(here, node.items[0])
    if bounds is None:
        return BROKEN
    try:
        if isinstance(node.items[0], nodes.Slice):
            return here.settled(constants.part(container, bounds))
        assert bounds[0] is not None
        return here.settled(constants.item(container, bounds[0]))
    except ConstantError as error:
        return here.error(error.code, str(error), node.span)


def _bounds(here: Elaboration, index: nodes.Expression) -> list[Value | None] | None:
    """The constants in an index, or in the three places of a slice; None after a report."""
    parts = (index.start, index.stop, index.step) if isinstance(index, nodes.Slice) else (index,)
    found: list[Value | None] = []
    for part in parts:
        value = None if part is None else here.evaluate(part)
        if value is None or isinstance(value, Value):
            found.append(value)
            continue
        assert part is not None
        if isinstance(value, Tensor):
            here.error("E0205", "an index is a constant", part.span, "this is a tensor", hint="`take` takes tensors")
        elif not isinstance(value, Broken):
            here.error("E0205", f"an index is a whole number, not {kind_of(value)}", part.span)
        return None
    return found


def part_of_tensor(here: Elaboration, tensor: Tensor, node: nodes.Subscript) -> Result:
    """`x[:, 0]`, `h[:, -1]`, `t[:, none, none, :]`, `x[..., 1:]`: as NumPy's, with the batch as the first axis."""
    shape = tensor.spec.shape
    rests = [each for each in node.items if isinstance(each, nodes.Rest)]
    if len(rests) > 1:
        return here.error("E0205", "`...` stands once in a subscript", rests[1].span)
    given = [None if isinstance(each, nodes.Rest) else _bounds(here, each) for each in node.items]
    if any(found is None and not isinstance(each, nodes.Rest) for each, found in zip(node.items, given, strict=True)):
        return BROKEN

    def refuse(message: str, place: nodes.Node, label: str = "", fix: Fix | None = None) -> Broken:
        where = here.chains.label(node.value.span, tensor.expression, shape_of(tensor.spec))
        return here.error("E0401", message, place.span, label, labels=(where,), fix=fix)

    is_new = [_is_none(each, found) for each, found in zip(node.items, given, strict=True)]
    count = len(node.items) - len(rests) - sum(is_new)
    if count > len(shape):
        return refuse(f"there are {count} indices, and {len(shape)} axes, the batch among them", node)
    sizes: list[int | None] = []
    indices: list[ex.Expression] = []
    axis = 0
    for place, found, new in zip(node.items, given, is_new, strict=True):
        if found is None:
            indices.append(ex.Symbol("..."))
            sizes += shape[axis : len(shape) - (count - axis)]
            axis = len(shape) - (count - axis)
            continue
        is_batch = axis == 0 and shape[0] is None
        if is_batch and not (isinstance(place, nodes.Slice) and found == [None, None, None]):
            text = node.value.span.text
            others = ", ".join(each.span.text for each in node.items)
            fix = Fix(node.span, f"{text}[:, {others}]") if count < len(shape) else None
            return refuse("the first axis is the batch, which stays whole: `:`", place, fix=fix)
        if new:
            assert found[0] is not None
            here.decide(found[0])  # how many axes there are
            indices.append(ex.Constant(None))
            sizes.append(1)
            continue
        for each in found:
            if each is not None and not is_whole(each.value):
                return refuse(f"an index is a whole number, not {constants.type_name(each.value)}", place)
        size = shape[axis]
        if isinstance(place, nodes.Slice):
            start, stop, step = bounds = _plain(found)
            if step is not None and step < 1:
                hint = f"turned round is `flip(x, axis={axis})`" if step == -1 and start is stop is None else ""
                return refuse("the step of a slice is 1 or more", place, hint)
            index = constants.slice_of(found)
            left = _length(size, bounds, index)
            if left == 0:
                return refuse("nothing is left", place, f"axis {axis} has {_entries(size)}")
            indices.append(index)
            sizes.append(left)
        else:
            assert found[0] is not None
            at = found[0].value
            if size is not None and not -size <= at < size:
                return refuse(f"index {at} is outside", place, f"axis {axis} has {_entries(size)}")
            indices.append(found[0].expression)
        axis += 1
    spec = TensorSpec((*sizes, *shape[axis:]), tensor.spec.dtype)
    here.operations.setdefault("GetItem", (node.span, "the result of a subscript"))
    # Keras takes a single slice, or `...`, in a tuple only.
    alone = len(indices) == 1 and not isinstance(node.items[0], nodes.Slice | nodes.Rest) and not is_new[0]
    whole = indices[0] if alone else ex.Sequence(tuple(indices))
    return here.made(spec, ex.Subscript(tensor.expression, whole), node.span)


def _is_none(place: nodes.Expression, found: list[Value | None] | None) -> bool:
    """Whether a place is `none`, a new axis."""
    return found is not None and not isinstance(place, nodes.Slice) and found[0] is not None and found[0].value is None


def _entries(size: int | None) -> str:
    return "1 entry" if size == 1 else f"{size} entries"


def _plain(found: Sequence[Value | None]) -> Bounds:
    start, stop, step = (None if each is None else each.plain() for each in found)
    return start, stop, step


def _length(size: int | None, bounds: Bounds, index: ex.Expression) -> int | None:
    """How many entries a slice leaves of an axis; `index` is the slice. None if that is not known, as Keras has it."""
    if size is None:
        return None
    start, stop, step = bounds
    length = len(range(int(size))[slice(*(None if each is None else int(each) for each in bounds))])
    if not any(isinstance(each, Dim) for each in (size, *bounds)):
        return length
    whole_end = stop is None or (stop < 0 and not isinstance(stop, Dim))
    if step in (None, 1) and whole_end and (start is None or (start >= 0 and not isinstance(start, Dim))):
        return size + (stop or 0) - (start or 0)
    axis = ex.Call(ex.Symbol("range"), (expression_of(size),))
    return dim(length, ex.Call(ex.Symbol("len"), (ex.Subscript(axis, index),)))
