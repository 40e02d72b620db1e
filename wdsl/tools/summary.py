"""A network at a glance: a row for each layer, and what of its parameters is free."""

from __future__ import annotations

import math

import wdsl
from wdsl.catalog import show_shape

HEADINGS = ("layer", "class", "output", "free", "dense", "annotations")
NUMBERS = ("free", "dense")


def table(net: wdsl.Net) -> str:
    """The layers as aligned columns, with inputs and outputs above and the sums below."""
    inputs = ", ".join(f"{one.name} {show_shape(one.spec.shape[1:])}" for one in net.inputs)
    outputs = ", ".join(f"{one.name} {show_shape(one.spec.shape[1:])}" for one in net.outputs)
    rows = [HEADINGS, *named(net), *unnamed(net)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in NUMBERS else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    total = f"{net.parameters:,} free parameters of {net.dense_parameters:,}"
    return "\n".join([f"{net.name}: {inputs} -> {outputs}", "", *lines, "", total])


def named(net: wdsl.Net) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for layer in net.layers:
        weights = net.structures.of(layer.name)
        trained = [one for one in weights if one.weight.trainable]
        free, dense = sum(one.free for one in trained), sum(one.size for one in trained)
        notes = "; ".join(f"{one.weight.name}: {one.text}" for one in weights if one.text)
        rows.append((layer.name or "", layer.row.name, layer.output, f"{free:,}", f"{dense:,}", notes))
    return rows


def unnamed(net: wdsl.Net) -> list[tuple[str, ...]]:
    """Layers that stand in the wiring without a name: nothing can annotate them."""
    rows: list[tuple[str, ...]] = []
    for layer in net.network.unnamed:
        size = sum(math.prod(weight.shape) for weight in layer.weights if weight.trainable)
        rows.append(("-", layer.row.name, layer.output, f"{size:,}", f"{size:,}", ""))
    return rows
