"""A network at a glance: a row for each layer and each of its weights, and what of their parameters is free."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator

import wdsl
from wdsl.annotations.equations import WeightName
from wdsl.catalog import show_shape
from wdsl.network.graph import FreeWeight
from wdsl.text.diagnostics import by, listed
from wdsl.weights.products import product

HEADINGS = ("layer", "class", "shape", "free", "dense", "mechanism", "structure")
NUMBERS = ("free", "dense")
WIDTH = 80

Row = tuple[str, ...]


def table(net: wdsl.Net) -> str:
    """The layers and weights as aligned columns, with inputs and outputs above and the sums below."""
    inputs, outputs = (
        ", ".join(f"{one.name} {show_shape(one.spec.sizes)}".replace(" ", "\0") for one in each)
        for each in (net.inputs, net.outputs)
    )
    title = wrapped(f"{net.name}: {inputs} -> {outputs}", "")
    total = f"{net.parameters:,} free parameters of {net.dense_parameters:,}"
    if others := dict.fromkeys(
        found.name
        for one in (*net.layers, *net.network.unnamed)
        if (found := one.row.foreign_in(one.arguments)) is not None
    ):
        total += f", without those of {listed(others)}, which are not known"
    rows = [*named(net), *unnamed(net)]
    return "\n".join([line.replace("\0", " ") for line in title] + ["", *aligned(rows), "", *wrapped(total, "")])


def aligned(rows: list[Row]) -> Iterator[str]:
    """The rows as lines of at most `WIDTH` characters, if there is a way.

    Structures go below their rows if there is one that has no room beside its own. If the rows are still too wide,
    names that are too long go above theirs, and mechanisms are left out: a structure says which one it has.
    """
    structures = [row[-1] for row in rows]
    beside = len(HEADINGS) if any(structures) else HEADINGS.index("mechanism")
    lines = columned([HEADINGS[:beside], *(row[:beside] for row in rows)])
    if max(map(len, lines)) <= WIDTH:
        yield from lines
        return
    for last in ("structure", "mechanism"):
        columns = min(HEADINGS.index(last), beside)
        room = WIDTH - max(map(len, columned([("", *row[1:columns]) for row in (HEADINGS, *rows)])))
        if room >= max(len(row[0]) for row in rows):
            break
    above = [row[0] if len(row[0]) > room else "" for row in rows]
    cut = [("" if name else row[0], *row[1:columns]) for name, row in zip(above, rows, strict=True)]
    heading, *lines = columned([HEADINGS[:columns], *cut])
    yield heading
    for name, line, structure in zip(above, lines, structures, strict=True):
        if name:
            yield name
        yield line
        yield from wrapped(structure, "    ")


def wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def columned(rows: list[Row]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if heading in NUMBERS else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, row, widths, strict=False)
        ).rstrip()
        for row in rows
    ]


def named(net: wdsl.Net) -> Iterator[Row]:
    mechanisms: dict[WeightName, dict[str, None]] = {}
    for equation in net.network.equations:
        mechanisms.setdefault(equation.weight, {})[equation.mechanism] = None
    layers = {layer.name for layer in net.layers}
    for one in net.weights:
        if one.name.layer not in layers:  # declared by itself
            means = ", ".join(mechanisms.get(one.name, ["parameter"])) if one.text else ""
            free = one.free if one.trained else 0
            # Without annotations there would be none for others to be tied to.
            dense = one.size if isinstance(one.layer, FreeWeight) and one.layer.is_tensor else 0
            yield (str(one.name), "weight", by(one.weight.shape), f"{free:,}", f"{dense:,}", means, one.text)
    for layer in net.layers:
        weights = [one for one in net.structures.of(layer.name) if one.weight.trainable]
        counts = {one.name: one.free if one.trained else 0 for one in weights}
        free, dense = sum(counts.values()), sum(one.size for one in weights)
        shown = ("?", "?") if layer.row.foreign_in(layer.arguments) else (f"{free:,}", f"{dense:,}")
        yield (layer.name or "", layer.row.name, layer.output, *shown, "", "")
        for one in weights:
            # A tie is by what is stored: it has no other mechanism.
            means = ", ".join(mechanisms.get(one.name, ["parameter"])) if one.text else ""
            free, dense = counts[one.name], one.size
            pattern = product(one, net.network, net.structures)
            text = one.text + (f"; multiplied {_words(pattern)}" if pattern else "")
            yield (f"  {one.name.weight}", "", by(one.weight.shape), f"{free:,}", f"{dense:,}", means, text)


def _words(pattern: str) -> str:
    """`as block diagonal matrix`; `as Toeplitz matrix, up to rounding`, since a Fourier transform is not exact"""
    if pattern == "Halves":
        return "in halves"
    words = re.sub("(?<=[a-z])([A-Z])", r" \1", pattern).lower().replace("toeplitz", "Toeplitz")
    return f"as {words}" + (", up to rounding" if pattern in ("CirculantMatrix", "ToeplitzMatrix") else "")


def unnamed(net: wdsl.Net) -> Iterator[Row]:
    """Layers that stand in the wiring without a name: nothing can annotate them."""
    for layer in net.network.unnamed:
        size = sum(math.prod(weight.shape) for weight in layer.weights if weight.trainable)
        shown = "?" if layer.row.foreign_in(layer.arguments) else f"{size:,}"
        yield ("-", layer.row.name, layer.output, shown, shown, "", "")
