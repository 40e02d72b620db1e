"""Einsum equations: what `EinsumDense` makes of one, and what `ops.einsum` gives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.model import CatalogError, Shape
from wdsl.catalog.shapes import broadcast

# Matched at the beginning only, as Keras does: what follows is ignored here and refused when it runs.
_FORMS = (
    r"()([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)",
    r"(0)([a-zA-Z]+),([a-zA-Z]+)->0([a-zA-Z]+)",
    r"()([a-zA-Z]{2,})0,([a-zA-Z]+)->([a-zA-Z]+)0",
)
_TERM = r"[a-z]*(\.\.\.)?[a-z]*"
_TERMS = rf"{_TERM}(,{_TERM})*(->{_TERM})?"


def dense_shapes(
    equation: str, bias_axes: str | None, input_shape: Shape, output_shape: Shape
) -> tuple[Shape, Shape | None, Shape, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The shapes of the kernel, the bias (if there is one) and the output of an `EinsumDense`.

    The last is which axes of the kernel are inputs, and which are outputs, as Keras tells them apart.
    """
    plain = equation.replace("...", "0")
    match = next((found for form in _FORMS if (found := re.match(form, plain))), None)
    if match is None:
        raise CatalogError(
            f'"{equation}" is no equation for `EinsumDense`: write one like "ab,bc->ac", "...b,bc->...c" '
            'or "ab...,bc->ac..."',
            "equation",
        )
    left, inputs, kernel, outputs = match.groups()
    elided = len(input_shape) - len(inputs)
    if elided < 0:
        raise CatalogError(
            f'the input {show_shape(input_shape)} has {len(input_shape)} axes, but the equation "{equation}" '
            f"names {len(inputs)}"
        )
    before = input_shape[1:elided] if left else ()
    after = () if left else input_shape[len(input_shape) - elided :]
    output = (input_shape[0], *before, *output_shape, *after)
    offset = elided if left else 0
    if offset + len(outputs) > len(output):
        raise CatalogError(
            f'`output_shape` gives {len(output_shape)} sizes, too few for "{outputs}" in the equation "{equation}"',
            "output_shape",
        )
    input_sizes = {letter: input_shape[offset + i] for i, letter in enumerate(inputs)}
    output_sizes = {letter: output[offset + i] for i, letter in enumerate(outputs)}
    for letter in inputs:
        size = output_sizes.get(letter)
        if size is not None and size != input_sizes[letter]:
            raise CatalogError(
                f'"{letter}" of the equation "{equation}" is {_size(input_sizes[letter])} in the input '
                f"{show_shape(input_shape)} and {_size(size)} in the output {show_shape(output)}",
                "output_shape",
            )
    for letter in outputs:
        if letter not in inputs and letter not in kernel:
            raise CatalogError(f'"{letter}" stands in the output of "{equation}" and nowhere before it', "equation")
    kernel_shape = []
    for letter in kernel:
        if letter not in output_sizes and letter not in input_sizes:
            raise CatalogError(
                f'"{letter}" of the weight in "{equation}" stands neither in the input nor in the output',
                "equation",
            )
        kernel_shape.append(output_sizes[letter] if letter in output_sizes else input_sizes[letter])
    bias_shape: Shape | None = None
    if bias_axes is not None:
        for letter in bias_axes:
            if letter not in outputs:
                raise CatalogError(f'"{letter}" of the bias is not in the output of "{equation}"', "bias_axes")
        if not bias_axes:
            raise CatalogError("`bias_axes` names no axis; leave it out for no bias", "bias_axes")
        first = min(outputs.find(letter) for letter in bias_axes)
        bias_shape = tuple(output_sizes[letter] if letter in bias_axes else 1 for letter in outputs[first:])
        bias_shape += (1,) * (0 if left else elided)
    inner, outer = (
        tuple(axis for axis, letter in enumerate(kernel) if (letter in output_sizes) == is_output)
        for is_output in (False, True)
    )
    return tuple(kernel_shape), bias_shape, output, (inner, outer)


def einsum_shape(subscripts: str, shapes: Sequence[Shape]) -> Shape:
    """What `keras.ops.einsum` gives. Sizes of a letter agree; what `...` stands for is broadcast."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if not re.fullmatch(_TERMS, subscripts):
        raise CatalogError(f'"{subscripts}" is no equation such as "ij,jk->ik" or "...i,ij->...j"', "subscripts")
    if len(terms) != len(shapes):
        raise CatalogError(f'"{subscripts}" is for {len(terms)} tensors, not {len(shapes)}', "subscripts")
    sizes: dict[str, int | None] = {}
    rest: Shape = ()
    for term, shape in zip(terms, shapes, strict=True):
        before, dots, after = term.partition("...")
        named = len(before) + len(after)
        if len(shape) < named or (not dots and len(shape) != named):
            raise CatalogError(f'"{term}" of "{subscripts}" does not fit a tensor of shape {show_shape(shape)}')
        end = len(shape) - len(after)
        rest = broadcast(rest, shape[len(before) : end] if dots else ())
        for letter, size in zip(before + after, shape[: len(before)] + shape[end:], strict=True):
            known = sizes.get(letter)
            if known is not None and size is not None and known != size:
                raise CatalogError(f'"{letter}" of "{subscripts}" is {known:d} in one place and {size:d} in another')
            sizes[letter] = size if known is None else known
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." + "".join(sorted(letter for letter in sizes if letters.count(letter) == 1))
    before, dots, after = right.partition("...")
    strangers = sorted(set(before + after) - set(sizes))
    if strangers:
        raise CatalogError(f'"{strangers[0]}" of the output is nowhere before it in "{subscripts}"', "subscripts")
    return (*(sizes[k] for k in before), *(rest if dots else ()), *(sizes[k] for k in after))


def _size(size: int | None) -> str:
    return "unknown" if size is None else int.__repr__(size)
