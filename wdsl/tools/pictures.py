"""Pictures of weights: what is free, what is shared, what is zero.

`structures(net)` draws every weight that has structure. A free parameter is painted in one colour wherever it stands,
in its own weight and in those that are tied to it, so entries of one colour are one number; white is zero.
"""

from __future__ import annotations

import math
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

import wdsl
from wdsl.text.diagnostics import by
from wdsl.weights.entries import index_maps
from wdsl.weights.structures import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

COLUMNS = 4
"""Panels side by side, at most."""

GRID = 900
"""A weight with more entries than this, or a kernel with more tiles, is drawn without lines between them."""

FIXED = 0.7
"""The grey of an entry that is a constant other than zero; zero is white."""

LARGEST = 2**22
"""A weight with more entries than this is named, but not drawn."""

LEGEND = "In a weight, and in weights tied to it, entries of one colour are one number. White is zero."


def structures(*nets: wdsl.Net) -> Figure:
    """A figure with a panel for each weight that has structure; for a network without any, for each weight.

    Save it with `figure.savefig("structure.png")`.
    """
    from matplotlib.figure import Figure

    panels = [(net, weight) for net in nets for weight in worth_drawing(net)]
    columns = min(COLUMNS, max(1, len(panels)))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(3.1 * columns, 0.4 + 3.5 * rows))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.12)
    figure.supxlabel(LEGEND, fontsize=10, color="#444444")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (net, weight) in zip(grid.flat, panels, strict=False):
        draw(axes, net, weight)
    return figure


def worth_drawing(net: wdsl.Net) -> list[Structure]:
    """The weights that an annotation says something of: their own, or a tie to them."""
    return [each for each in net.weights if each.text or len(net.structures.sharing(each.name)) > 1] or [*net.weights]


def draw(axes: Axes, net: wdsl.Net, weight: Structure) -> None:
    """One weight as an image, under its name and counts and above what the file says of it."""
    axes.set_title(str(weight.name), fontsize=12, fontweight="bold", family="monospace", pad=21)
    axes.text(0.5, 1, f"{counts(weight)}\n", transform=axes.transAxes, ha="center", va="center", fontsize=9.5)
    axes.set_xlabel(f"{said(net, weight)}\n{net.name}", fontsize=8.5, family="monospace", color="#444444")
    axes.set_anchor("N")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#bbbbbb")
    if weight.size > LARGEST:
        axes.text(0.5, 0.5, "too large to draw", transform=axes.transAxes, ha="center", va="center")
        return
    image = colours(net, weight)
    axes.imshow(image, interpolation="nearest")
    rows, columns = image.shape[:2]
    height, width = tile(weight.weight.shape)
    if rows * columns // (height * width) <= GRID:
        axes.hlines(np.arange(0, rows, height) - 0.5, -0.5, columns - 0.5, color="#dddddd", linewidth=0.6)
        axes.vlines(np.arange(0, columns, width) - 0.5, -0.5, rows - 0.5, color="#dddddd", linewidth=0.6)


def counts(weight: Structure) -> str:
    """`64 × 64: 2016 of 4096 free`"""
    return f"{by(weight.weight.shape)}: {weight.free} of {weight.size} free"


def said(net: wdsl.Net, weight: Structure) -> str:
    """What the file says of a weight, or which others are made of it."""
    others = [str(each.name) for each in net.structures.sharing(weight.name) if each != weight]
    return shorten(weight.text or (f"shared with {', '.join(others)}" if others else "free"), 36, placeholder=" …")


def colours(net: wdsl.Net, weight: Structure) -> Array:
    """The image of a weight, as rows of RGB: an entry's colour is that of its free parameter."""
    sharing = net.structures.sharing(weight.owner)
    maps = index_maps(sharing, net.network.values)
    solved, _ = maps[weight.name]
    # The colour says where a parameter comes first, in its owner, or in the coupled weights one below the other: hue
    # for the row, lightness for the column.
    hue, tone = np.full((2, solved.size + 1), np.nan)
    above = 0
    for each in sharing if weight.coupled else sharing[:1]:
        numbers, first = np.unique(maps[each.name][0].index, return_index=True)
        row, column = coordinates(each.weight.shape)
        new = np.isnan(tone[numbers])
        hue[numbers[new]] = above + row.ravel()[first[new]]
        tone[numbers[new]] = column.ravel()[first[new]] / (column.max() + 1)
        above += row.max() + 1
    hue /= above
    image = painted(hue[solved.index], tone[solved.index])
    image[solved.index < 0] = 1.0
    if solved.constant is not None:
        image[solved.constant != 0] = FIXED
    return flattened(image, weight.weight.shape)


def tile(shape: tuple[int, ...]) -> tuple[int, int]:
    """The height and width of what one pair of indices on the last two axes becomes in a picture."""
    return math.prod(shape[:-2:2]), math.prod(shape[1:-2:2])


def coordinates(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Row and column of each entry in the picture of a weight.

    A vector is a row. A kernel of a convolution, say 5 × 5 × 6 × 16, is a table of 6 × 16 tiles of 5 × 5.
    """
    *outer, rows, columns = np.indices((1,) * (2 - len(shape)) + tuple(shape))
    *sizes, _, _ = shape if len(shape) > 1 else (1, *shape)
    row, column = rows, columns
    for axis, (index, size) in enumerate(zip(outer, sizes, strict=True)):
        if axis % 2 == 0:
            row = row * size + index
        else:
            column = column * size + index
    return row, column


def flattened(image: Array, shape: tuple[int, ...]) -> Array:
    """The colours of all entries, put where `coordinates` has them."""
    row, column = coordinates(shape)
    flat = np.empty((row.max() + 1, column.max() + 1, 3))
    flat[row, column] = image.reshape(*row.shape, 3)
    return flat


def painted(hue: Array, tone: Array) -> Array:
    """RGB for hues and tones from 0 to 1. Through OKLCH, where all hues of one lightness look equally light."""
    lightness, chroma = 0.50 + 0.33 * tone, 0.13
    angle = np.radians(20 + 300 * hue)
    a, b = chroma * np.cos(angle), chroma * np.sin(angle)
    cone = np.stack([lightness, a, b], axis=-1) @ FROM_OKLAB
    linear = np.clip(cone**3 @ FROM_CONES, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


FROM_OKLAB = np.array(
    [
        [1.0, 1.0, 1.0],
        [0.3963377774, -0.1055613458, -0.0894841775],
        [0.2158037573, -0.0638541728, -1.2914855480],
    ]
)
FROM_CONES = np.array(
    [
        [4.0767416621, -1.2684380046, -0.0041960863],
        [-3.3077115913, 2.6097574011, -0.7034186147],
        [0.2309699292, -0.3413193965, 1.7076147010],
    ]
)
"""Björn Ottosson's matrices between Oklab, the cones of the eye and linear sRGB, transposed."""
