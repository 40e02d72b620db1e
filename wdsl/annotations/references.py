"""What a tie refers to: a weight, or a view of one: transposed, reshaped, flipped, a slice of it, a multiple."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from wdsl.annotations.equations import View, WeightName
from wdsl.annotations.subject import AnnotatedLayer, Find, Layers, Subject
from wdsl.catalog import Weight, show
from wdsl.catalog.argument_types import is_number
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.core.sizes import expression_of
from wdsl.link.constants import Value
from wdsl.link.externs import unknown_weights
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_expression
from wdsl.text.diagnostics import Fix, Label, by, has_errors, listed, nearest, respelled
from wdsl.text.source import Span


class Reference(Record):
    """A weight of a layer, and the view of it, with the shape that it has then."""

    layer: AnnotatedLayer
    weight: Weight
    view: View
    shape: tuple[int, ...]


def read_reference(subject: Subject, node: nodes.Expression) -> Reference | None:
    """What `node` refers to in an annotation of `subject`; None after a report."""

    def inner(part: nodes.Expression) -> Reference | None:
        return read_reference(subject, part)

    match node:
        case nodes.Unary("-", operand):
            found = inner(operand)
            return found and _scaled(found, Value(-1, ex.Constant(-1)))
        case nodes.Binary("*", factor, operand):
            value = subject.constant(factor)
            if value is None:
                return None
            if not is_number(value.value) or value.value == 0:
                subject.error("E0509", "a factor is a number other than 0", factor.span, f"this is {show(value.value)}")
                return None
            found = inner(operand)
            return found and _scaled(found, value)
        case nodes.Attribute(value_, nodes.Name("T")):
            found = inner(value_)
            return found and _transposed(found)
        case nodes.Call(nodes.Attribute(value_, name), arguments) if name.id in _METHODS:
            found = inner(value_)
            if found is None:
                return None
            if any(argument.name for argument in arguments):
                subject.error("E0510", f"`.{name.id}` takes numbers, by position", node.span)
                return None
            return _METHODS[name.id](subject, found, [argument.value for argument in arguments], node.span)
        case nodes.Call(nodes.Attribute(_, name)):
            near = nearest(name.id, _METHODS)
            fix = respelled(name.span, near, _METHODS)
            subject.error("E0509", f"a weight has no `.{name.id}(…)`", name.span, f"it has {listed(_METHODS)}", fix=fix)
            return None
        case nodes.Subscript(value_, items):
            found = inner(value_)
            return found and _sliced(subject, found, items, node.span)
    found = read_weight(subject, node, subject.layer.find, subject.layer.names, subject.layer)
    if found and ((not found.weight.trainable and not found.layer.is_frozen(found.weight)) or found.weight.rewritten):
        whole = WeightName(found.layer.name, found.weight.name)
        subject.error("E0508", f"`{whole}` is not trained: its layer sets it itself", node.span)
        return None
    return found


def read_weight(
    layers: Layers,
    node: nodes.Expression,
    find: Find,
    names: Callable[[], Collection[str]],
    own: AnnotatedLayer | None = None,
) -> Reference | None:
    """The weight that `encode.kernel` names, or `key.kernel` of the layer `own` itself; None after a report.

    `find` gives what a path leads to, `names` are those that one can begin with.
    """
    # From the inside out: what names a layer, and behind it the names that lead to one of its weights.
    parts: list[nodes.Name] = []
    inner = node
    found = find(inner)
    while (found is None or found.owner is None) and isinstance(inner, nodes.Attribute):
        parts.insert(0, inner.name)
        inner = inner.value
        found = find(inner)
    path = print_expression(node)
    if own and (weight := own.weight(path)):
        return Reference(own, weight, View(), weight.shape)
    if found is None or found.owner is None:
        _nothing(layers, node, find, names)
        return None
    owner = layers.by_name.get(found.owner)
    if owner is None:
        layers.error("E0509", "a layer without a name of its own cannot be referred to", inner.span)
        return None
    parts.insert(0, nodes.Name(owner.name, span=inner.span))
    if owner.weights is None:
        if not has_errors(layers.problems):
            layers.error("E0512", f"`{owner.name}` is never applied, so its weights have no shapes", node.span)
        return None
    if owner.is_free_weight and len(parts) > 1:
        text = f"`{owner.name}` is a weight itself"
        layers.error("E0509", text, node.span, fix=Fix(node.span, print_expression(inner)))
        return None
    if len(parts) == 1 and not owner.is_free_weight:
        if problem := unknown_weights(owner.row, owner.arguments, parts[0].span):
            layers.problems.append(problem)
            return None
        main = owner.row.main(owner.arguments)
        layers.error(
            "E0509",
            f"`{owner.name}` is a layer: which of its weights?",
            parts[0].span,
            f"it has {listed([weight.name for weight in owner.weights])}",
            fix=Fix(inner.span, f"{print_expression(inner)}.{main}") if main else None,
        )
        return None
    weight = owner.weight(".".join(part.id for part in parts[1:]))
    if weight is None:
        unknown_weight(layers, owner, ".".join(part.id for part in parts[1:]), parts[1].span.to(parts[-1].span))
        return None
    return Reference(owner, weight, View(), weight.shape)


def unknown_weight(layers: Layers, layer: AnnotatedLayer, name: str, span: Span) -> None:
    """Report that a layer has no weight of this name."""
    if problem := unknown_weights(layer.row, layer.arguments, span):
        layers.problems.append(problem)
        return
    names = [weight.name for weight in layer.weights or ()]
    near = nearest(name, names)
    layers.error(
        "E0501",
        f"`{layer.name}` has no weight `{name}`",
        span,
        f"did you mean `{near}`?" if near else (f"it has {listed(names)}" if names else "it has no weights"),
        labels=(Label(layer.place, f"`{layer.name}` is a `{layer.row.name}`"),),
        fix=respelled(span, near if span.text == name else None, names),
    )


def _nothing(layers: Layers, node: nodes.Expression, find: Find, names: Callable[[], Collection[str]]) -> None:
    """Report a path that leads to no layer and no weight, at the first part that is not there."""
    path = [node]
    while isinstance(path[0], (nodes.Attribute, nodes.Subscript)):
        path.insert(0, path[0].value)
    first = path[0]
    if not isinstance(first, nodes.Name):
        layers.error("E0509", "this is not a weight", node.span, "a weight is written as `encode.kernel`")
        return
    found = find(first)
    if found is None:
        near = nearest(first.id, names())
        layers.error(
            "E0201",
            f"there is no layer or weight `{first.id}`",
            first.span,
            f"did you mean `{near}`?" if near else "",
            fix=Fix(first.span, near) if near else None,
        )
    elif not found.is_reported:
        step = next((each for each in path if find(each) is None), node)
        whole = next(each for each in reversed(path) if find(each) is not None)
        target = find(whole)
        if target and target.is_unused_block:
            text = f"`{print_expression(whole)}` is never applied, so there are no layers in it yet"
            layers.error("E0512", text, whole.span)
            return
        label = f"`{print_expression(whole)}` is {target.description}" if target else ""
        layers.error("E0509", "this is not a weight", step.span, label)


def _seen(found: Reference, expression: ex.Expression, shape: Sequence[int]) -> Reference:
    return found.replace(view=found.view.replace(expression=expression), shape=tuple(shape))


def _scaled(found: Reference, factor: Value) -> Reference:
    before = found.view.factor
    expression = factor.expression if before is None else ex.Operation("*", (factor.expression, before))
    return found.replace(view=found.view.replace(factor=expression))


def _transposed(found: Reference) -> Reference:
    if len(found.shape) < 2:
        return found
    match found.view.expression:
        case ex.Call(ex.Symbol("ops.transpose"), (before,)):
            return _seen(found, before, found.shape[::-1])
    return _seen(found, ex.Call(ex.Symbol("ops.transpose"), (found.view.expression,)), found.shape[::-1])


def _transpose(
    subject: Subject, found: Reference, arguments: Sequence[nodes.Expression], span: Span
) -> Reference | None:
    values = _numbers(subject, arguments)
    if values is None:
        return None
    axes = [value.value for value in values]
    if not axes:
        return _transposed(found)
    if sorted(axes) != list(range(len(found.shape))):
        subject.error(
            "E0510", f"`.transpose` takes each axis from 0 to {len(found.shape) - 1} once, in the new order", span
        )
        return None
    if axes == [1, 0]:
        return _transposed(found)
    order = ex.Sequence(tuple(value.expression for value in values))
    call = ex.Call(ex.Symbol("ops.transpose"), (found.view.expression, order))
    return _seen(found, call, [found.shape[axis] for axis in axes])


def _reshape(subject: Subject, found: Reference, arguments: Sequence[nodes.Expression], span: Span) -> Reference | None:
    values = _numbers(subject, arguments)
    if values is None:
        return None
    sizes = [value.plain() for value in values]
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0 and math.prod(found.shape) % known == 0:
        sizes[sizes.index(-1)] = math.prod(found.shape) // known
    if any(size < 1 for size in sizes) or math.prod(sizes) != math.prod(found.shape):
        subject.error(
            "E0504",
            f"{by(found.shape)} entries cannot be reshaped to {by(sizes)}",
            span,
            f"these are {math.prod(found.shape)} entries",
        )
        return None
    shape = ex.Sequence(tuple(map(expression_of, sizes)))
    return _seen(found, ex.Call(ex.Symbol("ops.reshape"), (found.view.expression, shape)), sizes)


def _flip(subject: Subject, found: Reference, arguments: Sequence[nodes.Expression], span: Span) -> Reference | None:
    values = _numbers(subject, arguments)
    if values is None:
        return None
    rank = len(found.shape)
    if len(values) != 1 or not -rank <= values[0].value < rank:
        subject.error("E0510", f"`.flip` takes one axis, from 0 to {rank - 1}", span)
        return None
    call = ex.Call(ex.Symbol("ops.flip"), (found.view.expression,), (("axis", values[0].expression),))
    return _seen(found, call, found.shape)


_METHODS: dict[str, Callable[[Subject, Reference, Sequence[nodes.Expression], Span], Reference | None]] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "flip": _flip,
}


def _sliced(subject: Subject, found: Reference, items: Sequence[nodes.Expression], span: Span) -> Reference | None:
    rank = len(found.shape)
    if len(items) > rank:
        subject.error("E0506", f"{len(items)} indices are too many", span, f"the shape is {by(found.shape)}")
        return None
    shape: list[int] = []
    indices: list[ex.Expression] = []
    for axis, (item, size) in enumerate(zip(items, found.shape, strict=False)):
        index = subject.index(item, size, f"axis {axis} has {size} entries")
        if index is None:
            return None
        indices.append(index)
        if isinstance(item, nodes.Slice):
            bounds = [None if each is None else subject.whole(each) for each in (item.start, item.stop, item.step)]
            left = len(range(*slice(*(bound and bound.value for bound in bounds)).indices(size)))
            if left == 0:
                subject.error("E0503", "the slice is empty", item.span, f"axis {axis} has {size} entries")
                return None
            shape.append(size if item.start is item.stop is item.step is None else left)
    shape.extend(found.shape[len(items) :])
    # Keras takes a slice only in a tuple.
    alone = len(items) == 1 and not isinstance(items[0], nodes.Slice)
    index = indices[0] if alone else ex.Sequence(tuple(indices))
    return _seen(found, ex.Subscript(found.view.expression, index), shape)


def _numbers(subject: Subject, arguments: Sequence[nodes.Expression]) -> list[Value] | None:
    """Whole numbers, one by one or as one list; None after a report."""
    if len(arguments) == 1 and isinstance(arguments[0], (nodes.Tuple, nodes.List)):
        arguments = arguments[0].items
    values = [subject.whole(argument) for argument in arguments]
    return None if any(value is None for value in values) else [value for value in values if value]
