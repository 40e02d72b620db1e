"""A network at a glance: a row for each layer and each of its weights, and what of their parameters is free."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import wdsl
from wdsl.catalog import show_shape
from wdsl.diagnostics import by, listed
from wdsl.network.externs import Extern
from wdsl.network.graph import WeightName

HEADINGS = ("layer", "class", "shape", "free", "dense", "mechanism", "structure")
NUMBERS = ("free", "dense")
WIDTH = 80

Row = tuple[str, ...]


def table(net: wdsl.Net) -> str:
    """The layers and weights as aligned columns, with inputs and outputs above and the sums below."""
    inputs = ", ".join(f"{one.name} {show_shape(one.spec.shape[1:])}" for one in net.inputs)
    outputs = ", ".join(f"{one.name} {show_shape(one.spec.shape[1:])}" for one in net.outputs)
    total = f"{net.parameters:,} free parameters of {net.dense_parameters:,}"
    if others := dict.fromkeys(
        one.row.name for one in (*net.layers, *net.network.unnamed) if isinstance(one.row, Extern)
    ):
        total += f", without those of {listed(others)}, which are not known"
    return "\n".join([f"{net.name}: {inputs} -> {outputs}", "", *aligned([*named(net), *unnamed(net)]), "", total])


def aligned(rows: list[Row]) -> Iterator[str]:
    """The rows as lines. Structures go below their rows if there is one that has no room beside its own."""
    structures = [row[-1] for row in rows]
    columns = len(HEADINGS) if any(structures) else HEADINGS.index("mechanism")
    lines = columned([HEADINGS[:columns], *(row[:columns] for row in rows)])
    if max(map(len, lines)) <= WIDTH:
        yield from lines
        return
    heading, *lines = columned([HEADINGS[:-1], *(row[:-1] for row in rows)])
    yield heading
    for line, structure in zip(lines, structures, strict=True):
        yield line
        yield from textwrap.wrap(
            structure,
            WIDTH,
            initial_indent="    ",
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
            free = one.free if one.trained else 0  # and no layer would have it without annotations
            yield (str(one.name), "weight", by(one.weight.shape), f"{free:,}", "0", means, one.text)
    for layer in net.layers:
        weights = [one for one in net.structures.of(layer.name) if one.weight.trainable]
        counts = {one.name: one.free if one.trained else 0 for one in weights}
        free, dense = sum(counts.values()), sum(one.size for one in weights)
        shown = ("?", "?") if isinstance(layer.row, Extern) else (f"{free:,}", f"{dense:,}")
        yield (layer.name or "", layer.row.name, layer.output, *shown, "", "")
        for one in weights:
            # A tie is by what is stored: it has no other mechanism.
            means = ", ".join(mechanisms.get(one.name, ["parameter"])) if one.text else ""
            free, dense = counts[one.name], one.size
            yield (f"  {one.name.weight}", "", by(one.weight.shape), f"{free:,}", f"{dense:,}", means, one.text)


def unnamed(net: wdsl.Net) -> Iterator[Row]:
    """Layers that stand in the wiring without a name: nothing can annotate them."""
    for layer in net.network.unnamed:
        size = sum(math.prod(weight.shape) for weight in layer.weights if weight.trainable)
        shown = "?" if isinstance(layer.row, Extern) else f"{size:,}"
        yield ("-", layer.row.name, layer.output, shown, shown, "", "")
