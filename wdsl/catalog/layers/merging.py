"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, Shape, TensorSpec, Values
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import Size, need_axis


def _shapes(layer: Layer, call: Values, *, exactly: int | None = None) -> list[Shape]:
    inputs: Sequence[TensorSpec] = call["inputs"]
    if exactly is not None and len(inputs) != exactly:
        raise CatalogError(f"`{layer.name}` takes {exactly} inputs, not {len(inputs)}")
    if not inputs:
        raise CatalogError(f"`{layer.name}` needs at least 1 input")
    return [x.shape for x in inputs]


def _shown(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(show_shape, shapes))


def entrywise(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Add` and its like: the batch stays, the other axes are broadcast from the back."""
    shapes = _shapes(layer, call, exactly=layer.family.get("inputs"))
    if any(not shape for shape in shapes):
        raise CatalogError(f"`{layer.name}` needs inputs with a batch axis, not {_shown(shapes)}")
    batches = {shape[0] for shape in shapes} - {None}
    if len(batches) > 1:
        raise CatalogError(f"the inputs {_shown(shapes)} differ in their batch")
    rest = shapes[0][1:]
    for shape in shapes[1:]:
        rest = _broadcast(rest, shape[1:], shapes)
    return Inferred(TensorSpec((batches.pop() if batches else None, *rest), compute_dtype(a)))


def _broadcast(a: Shape, b: Shape, shapes: Sequence[Shape]) -> Shape:
    if len(a) < len(b):
        a, b = b, a
    split = len(a) - len(b)
    return (*a[:split], *(_common(m, n, shapes) for m, n in zip(a[split:], b, strict=True)))


def _common(m: Size, n: Size, shapes: Sequence[Shape]) -> Size:
    # Not NumPy's rule, as `shapes.broadcast` is: merging layers call an axis unknown as soon as one's is.
    if m is None or n is None:
        return None
    if m != n and m != 1 and n != 1:
        raise CatalogError(f"the inputs' shapes {_shown(shapes)} do not go together: {m:d} against {n:d}")
    return n if m == 1 else m


def concatenate(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Concatenate`: the sizes along `axis` are added, the others agree."""
    shapes = _shapes(layer, call)
    axis, rank = a["axis"], len(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        raise CatalogError(f"`{layer.name}` needs inputs with the same number of axes, not {_shown(shapes)}")
    # Of one input, Keras looks at no axis that would have to be looked for behind its last.
    axis = axis if len(shapes) == 1 and axis >= rank > 0 else need_axis(axis, rank)
    sizes = list(shapes[0])
    for other, across in enumerate(zip(*shapes, strict=True)):
        if other != axis and len({size for size in across if size is not None}) > 1:
            raise CatalogError(
                f"`{layer.name}` along axis {axis:d} needs inputs that agree in all other axes, not {_shown(shapes)}"
            )
    for shape in shapes[1:]:
        total, size = sizes[axis], shape[axis]
        sizes[axis] = None if total is None or size is None else total + size
    return Inferred(TensorSpec(tuple(sizes), compute_dtype(a)))


def dot(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Dot` contracts an axis of one input with an axis of the other, batch by batch."""
    one, two = _shapes(layer, call, exactly=2)
    axes = a["axes"]
    # One number below 0 goes around as often as it must, as Keras has it; numbers in a list do not.
    around = [axes % len(shape) if shape else axes for shape in (one, two)] if isinstance(axes, int) else axes
    pair = (axes, axes) if isinstance(axes, int) and axes >= 0 else tuple(around)
    i, j = need_axis(pair[0], len(one), "axes"), need_axis(pair[1], len(two), "axes")
    if one[i] != two[j]:
        raise CatalogError(
            f"`{layer.name}` contracts axis {i:d} of {show_shape(one)} with axis {j:d} of {show_shape(two)}, "
            "which differ",
            "axes",
        )
    if not i or not j:
        raise CatalogError("`axes` cannot be 0: that is the batch", "axes")
    rest = (*(s for k, s in enumerate(one) if k != i), *(s for k, s in enumerate(two) if k not in (0, j)))
    return Inferred(TensorSpec(rest if len(rest) > 1 else (*rest, 1), compute_dtype(a)))


ROWS = (
    *(
        Layer(name, "", entrywise, call_signature="inputs: tensors")
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
    ),
    Layer("Subtract", "", entrywise, call_signature="inputs: tensors", family={"inputs": 2}),
    Layer("Concatenate", "axis: axis = -1", concatenate, call_signature="inputs: tensors"),
    Layer("Dot", "axes: axis or list(axis, 2), normalize: bool = False", dot, call_signature="inputs: tensors"),
)
