"""What a training step costs with structure in a kernel, as a ratio to the plain Keras layer in the same run.

A step is the whole of `train_on_batch`, with Adam: forward, backward, and the update of what is stored. Steps of the
two are taken in turn, and each is divided by the plain one beside it, so that what else the machine does slows both.

    python -m tests.bench.training                  all structures, in a graph and under XLA
    python -m tests.bench.training --only graph --size 1024 --batch 256 "equal" "zero[not blocks(128, 128)]"
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import keras
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

import wdsl

ROOT = Path(__file__).parents[2]
GOALS = {
    "equal": 0.12,
    "equal[rows]": 0.12,
    "equal[columns]": 0.12,
    "equal[diagonal, not diagonal]": 0.12,
    "zero[not blocks(128, 128)]": 0.20,
}
"""Structures, as annotations, with what a step is to take at most of the plain layer's, for 2048 rows, in a graph."""

MASKED = "W * mask"
PAIRS, WARM, PER_PAIR = 25, 4, 2


class Masked(keras.layers.Dense):
    """What is often written for a kernel with zeros: all of it is stored, and half of it multiplied by zero."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        super().build(input_shape)
        self.mask = np.triu(np.ones(self.kernel.shape, "float32"))

    def call(self, inputs: object, training: bool | None = None) -> object:
        return keras.ops.matmul(inputs, self.kernel * self.mask) + self.bias


def structured(annotation: str, size: int) -> keras.Model:
    return wdsl.loads(f"""network Net {{
    input x: [{size}]
    layer a = Dense({size}) {annotation}
    output y = x -> a
}}""").to_keras()


def plain(size: int, layer: Callable[[int], keras.layers.Layer] = keras.layers.Dense) -> keras.Model:
    return keras.Sequential([keras.Input((size,)), layer(size)])


def compiled(model: keras.Model, xla: bool) -> keras.Model:
    model.compile(keras.optimizers.Adam(1e-4), "mse", jit_compile=xla)
    return model


def milliseconds(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    begin = perf_counter()
    for _ in range(PER_PAIR):
        model.train_on_batch(x, y)
    return (perf_counter() - begin) / PER_PAIR * 1000


def pairs_of(model: keras.Model, base: keras.Model, size: int, batch: int) -> list[tuple[float, float]]:
    """Milliseconds of a step of both, each pair one after the other."""
    x, y = np.random.default_rng(0).normal(size=(2, batch, size)).astype("float32")
    for each in (base, model):
        for _ in range(WARM):
            each.train_on_batch(x, y)
    return [(milliseconds(model, x, y), milliseconds(base, x, y)) for _ in range(PAIRS)]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a training step costs with structure in a kernel.")
    parser.add_argument("annotations", nargs="*", default=[*GOALS, MASKED])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--only", choices=["graph", "XLA"])
    given = parser.parse_args()
    from tests.bench.run import machine

    console = Console()
    console.print(machine(), highlight=False)
    console.print(f"Dense({given.size}), batch {given.batch}, {PAIRS} pairs of {PER_PAIR} steps", highlight=False)
    modes = [given.only] if given.only else ["graph", "XLA"]
    bases = {mode: compiled(plain(given.size), mode == "XLA") for mode in modes}
    table, results = Table(), {}
    for heading in ("kernel", "stored", "", "ratio", "quartiles", "goal", "ms", "plain ms"):
        table.add_column(heading, justify="left" if heading in ("kernel", "") else "right")
    for name in track(given.annotations, description="training", console=console, transient=True):
        for mode in modes:
            model = plain(given.size, Masked) if name == MASKED else structured(name, given.size)
            stored = model.count_params() - given.size
            pairs = pairs_of(compiled(model, mode == "XLA"), bases[mode], given.size, given.batch)
            low, middle, high = quantiles([ours / base for ours, base in pairs], n=4)
            ours, base = median(ours for ours, _ in pairs), median(base for _, base in pairs)
            results[f"{name}, {mode}"] = {
                "ratio": {"median": middle, "lower_quartile": low, "upper_quartile": high},
                "milliseconds": ours,
                "base_milliseconds": base,
                "stored": stored,
            }
            goal = f"{GOALS[name]:.2f}" if name in GOALS and mode == "graph" and given.size == 2048 else ""
            quartiles = f"{low:.2f} – {high:.2f}"
            table.add_row(
                escape(name), f"{stored:,}", mode, f"{middle:.2f}", quartiles, goal, f"{ours:.1f}", f"{base:.1f}"
            )
            keras.backend.clear_session(free_memory=False)
    console.print(table)
    out = ROOT / "build" / "training.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps(
            {"machine": machine(), "size": given.size, "batch": given.batch, "pairs": PAIRS, "results": results},
            indent=2,
        )
        + "\n"
    )
    console.print(f"written to {out.relative_to(ROOT)}", highlight=False)


if __name__ == "__main__":
    main()
