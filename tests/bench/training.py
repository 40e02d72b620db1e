"""What a training step costs with structure in a weight, as a ratio to the plain Keras layer in the same run.

A step is the whole of `train_on_batch`, with Adam: forward, backward, and the update of what is stored; inference is
`predict_on_batch`. Steps of the two are taken in turn, and each is divided by the plain one beside it, so that what
else the machine does slows both.

    python -m tests.bench.training                  all rows: in a graph, under XLA, and inference
    python -m tests.bench.training --mode graph --batch 256 "equal" "LSTM, recurrent_kernel: symmetric"
    python -m tests.bench.training --sizes          how ratios change with n; from which n a product is worth it
    python -m tests.bench.training --save           also into docs/bench/, as JSON and as a picture
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

import wdsl
from tests.bench.run import machine
from wdsl.patterns import MatrixPattern

ROOT = Path(__file__).parents[2]
PAIRS, WARM, PER_PAIR = 25, 4, 2
MODES = ("graph", "XLA", "inference")
SIZES = (64, 128, 256, 512, 1024, 2048)

KERNELS: dict[str, float | None] = {
    "symmetric": 0.80,
    "skew": 0.80,
    "equal": 0.12,
    "equal[rows]": 0.12,
    "equal[columns]": 0.12,
    "equal[diagonal, not diagonal]": 0.12,
    "equal[by (j - i) % n]": 0.18,
    "equal[diagonals]": 0.25,
    "equal[antidiagonals]": 0.25,
    "zero[not blocks(128, 128)]": 0.20,
    "zero[not band(8, 8)]": 0.22,
    "zero[upper]": 0.65,
    "zero[where (i * 7919 + j * 104729) % 100 < 95]": 0.75,
    "zero[where (i * 7919 + j * 104729) % 100 < 50]": 1.05,
}
"""Annotations of the kernel of a `Dense`, and what a step may take of the plain layer's at n = 2048, in a graph."""


@dataclass(frozen=True)
class Row:
    """Two models to compare, by the shape of their inputs."""

    ours: Callable[[], keras.Model]
    plain: Callable[[], keras.Model]
    inputs: tuple[int, ...]
    goal: float | None = None


def rows(n: int) -> dict[str, Row]:
    def dense() -> keras.Model:
        return sequential((n,), keras.layers.Dense(n))

    def convolution(annotation: str = "") -> keras.Model:
        return annotated("[32, 32, 64]", f'Conv2D(64, 3, padding="same") {annotation}')

    def recurrent(annotation: str = "") -> keras.Model:
        return annotated("[128, 64]", f"LSTM(128, return_sequences=true) {annotation}")

    recipes = (SymmetricByAverage, SymmetricByIndices, Masked)
    checkered = "zero[where (i + j) % 2 == 0]"
    return {
        **{name: Row(partial(with_kernel, name, n), dense, (n,), goal) for name, goal in KERNELS.items()},
        **{each.said: Row(partial(with_recipe, each, n), dense, (n,)) for each in recipes},
        "tie(e.kernel.T), autoencoder": Row(partial(autoencoder, n, True), partial(autoencoder, n, False), (n,), 0.90),
        **{
            f"Conv2D(64, 3) {each}": Row(partial(convolution, each), convolution, (32, 32, 64), 1.05)
            for each in ("equal[by i * 3 + j]", "zero[where i == j]", "symmetric(0, 1)")
        },
        **{
            f"LSTM(128), recurrent_kernel: {each}": Row(
                partial(recurrent, f"{{ recurrent_kernel: {each} }}"), recurrent, (128, 64), 1.10
            )
            for each in ("equal[by (j - i) % 128]", checkered)
        },
    }


# --- models ---------------------------------------------------------------------------------------


def annotated(shape: str, layer: str) -> keras.Model:
    return wdsl.loads(
        f"network Net {{\n    input x: {shape}\n    layer a = {layer}\n    output y = x -> a\n}}"
    ).to_keras()


def with_kernel(annotation: str, n: int) -> keras.Model:
    return annotated(f"[{n}]", f"Dense({n}) {annotation.replace('% n', f'% {n}')}")


def with_recipe(recipe: type[keras.Layer], n: int) -> keras.Model:
    return sequential((n,), recipe(n))


def sequential(shape: tuple[int, ...], *layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def autoencoder(n: int, is_tied: bool) -> keras.Model:
    tie = "tie(e.kernel.T)" if is_tied else ""
    return wdsl.loads(f"""network Net {{
    input x: [{n}]
    layer e = Dense({n // 4}, activation=relu)
    layer d = Dense({n}) {tie}
    output y = x -> e -> d
}}""").to_keras()


class SymmetricByAverage(keras.layers.Dense):
    """What is often written for a symmetric kernel: all of it is stored, and averaged with its transpose."""

    said = "(W + W.T) / 2"

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.ops.matmul(inputs, (self.kernel + keras.ops.transpose(self.kernel)) / 2) + self.bias


class SymmetricByIndices(keras.layers.Layer):
    """The packed triangle, repaired: the numbers are gathered, since they cannot be reshaped."""

    said = "packed triangle, gathered"

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        i, j = np.indices((self.units, self.units))
        low, high = np.minimum(i, j), np.maximum(i, j)
        self.places = (high * (high + 1) // 2 + low).astype("int32")
        self.packed = self.add_weight(shape=(self.units * (self.units + 1) // 2,), initializer="random_normal")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        packed = keras.ops.reshape(self.packed, (-1,))  # without this, Adam takes its slow path
        return keras.ops.matmul(inputs, keras.ops.take(packed, self.places)) + self.bias


class Masked(keras.layers.Dense):
    """What is often written for a kernel with zeros: all of it is stored, and half of it multiplied by zero."""

    said = "W * mask"

    def build(self, input_shape: tuple[int, ...]) -> None:
        super().build(input_shape)
        self.mask = np.triu(np.ones(self.kernel.shape, "float32"))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.ops.matmul(inputs, self.kernel * self.mask) + self.bias


# --- measuring ------------------------------------------------------------------------------------


def step_of(model: keras.Model, mode: str, batch: int, inputs: tuple[int, ...]) -> Callable[[], float]:
    """A function that takes some steps, and gives the milliseconds of one."""
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(batch, *shape)).astype("float32") for shape in (inputs, model.output_shape[1:]))
    model.compile(keras.optimizers.Adam(1e-4), "mse", jit_compile=mode == "XLA")

    def step() -> float:
        begin = perf_counter()
        for _ in range(PER_PAIR):
            if mode == "inference":
                model.predict_on_batch(x)
            else:
                model.train_on_batch(x, y)
        return (perf_counter() - begin) / PER_PAIR * 1000

    for _ in range(WARM):
        step()
    return step


def compared(row: Row, mode: str, batch: int) -> dict[str, Any]:
    keras.backend.clear_session(free_memory=False)
    ours, plain = row.ours(), row.plain()
    stored = [sum(int(np.prod(each.shape)) for each in model.trainable_weights) for model in (ours, plain)]
    steps = [step_of(model, mode, batch, row.inputs) for model in (ours, plain)]
    pairs = [tuple(step() for step in steps) for _ in range(PAIRS)]
    low, middle, high = quantiles([one / other for one, other in pairs], n=4)
    return {
        "ratio": {"median": middle, "lower_quartile": low, "upper_quartile": high},
        "milliseconds": median(one for one, _ in pairs),
        "base_milliseconds": median(other for _, other in pairs),
        "stored": stored[0],
        "base_stored": stored[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What a training step costs with structure in a weight.")
    parser.add_argument("rows", nargs="*", help="names of rows; all, if there are none")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--dtype", default="float32", help="a dtype policy, such as mixed_bfloat16")
    parser.add_argument("--sizes", action="store_true", help=f"kernels alone, for n = {', '.join(map(str, SIZES))}")
    parser.add_argument("--save", action="store_true", help="write docs/bench/")
    given = parser.parse_args()
    keras.config.set_dtype_policy(given.dtype)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 130
    console.print(machine())
    if given.sizes:
        found = by_size(given.rows, given.batch, console)
        name = "sizes"
    else:
        console.print(f"n = {given.size}, batch {given.batch}, {given.dtype}, {PAIRS} pairs of {PER_PAIR} steps")
        found = by_row(given, console)
        name = "training"
    folder = ROOT / ("docs/bench" if given.save else "build")
    folder.mkdir(exist_ok=True)
    about = {"machine": machine(), "size": given.size, "batch": given.batch, "dtype": given.dtype, "pairs": PAIRS}
    (folder / f"{name}.json").write_text(json.dumps({**about, "results": found}, indent=1) + "\n")
    if given.save:
        (plot_sizes if given.sizes else plot_rows)(found, folder / f"{name}.png")
    console.print(f"written to {folder.relative_to(ROOT)}")


def by_row(given: argparse.Namespace, console: Console) -> dict[str, Any]:
    known = rows(given.size)
    if unknown := [name for name in given.rows if name not in known]:
        raise SystemExit(f"there are no rows {unknown}; there are {[*known]}")
    table, found = Table(), {}
    for heading in ("weight", "stored", "", "ratio", "quartiles", "goal", "ms", "plain ms"):
        table.add_column(heading, justify="left" if heading in ("weight", "") else "right")
    for name in track(given.rows or known, description="training", console=console, transient=True):
        for mode in given.mode or MODES:
            result = compared(known[name], mode, given.batch)
            ratio, goal = result["ratio"], known[name].goal
            found[f"{name}, {mode}"] = {**result, "goal": goal if mode == "graph" else None}
            table.add_row(
                escape(name),
                f"{result['stored']:,}",
                mode,
                f"{ratio['median']:.2f}",
                f"{ratio['lower_quartile']:.2f} – {ratio['upper_quartile']:.2f}",
                f"{goal:.2f}" if goal and mode == "graph" and given.size == 2048 and given.batch == 64 else "",
                f"{result['milliseconds']:.1f}",
                f"{result['base_milliseconds']:.1f}",
            )
    console.print(table)
    return found


def by_size(names: list[str], batch: int, console: Console) -> dict[str, Any]:
    """Ratios for each size, with all products in use however small the kernel is."""
    for kind in (MatrixPattern, *MatrixPattern.kinds.values()):
        kind.least = 0
    names = names or [name for name in KERNELS if "blocks" not in name] + ["zero[not blocks(16, 16)]"]
    table, found = Table("kernel", *map(str, SIZES)), {}
    for name in track(names, description="sizes", console=console, transient=True):
        found[name] = {}
        for n in SIZES:
            row = Row(partial(with_kernel, name, n), partial(with_recipe, keras.layers.Dense, n), (n,))
            found[name][n] = compared(row, "graph", batch)["ratio"]
        table.add_row(escape(name), *(f"{each['median']:.2f}" for each in found[name].values()))
    console.print(table)
    return found


# --- pictures -------------------------------------------------------------------------------------


def plot_rows(found: dict[str, Any], path: Path) -> None:
    from matplotlib import pyplot

    names = [key.removesuffix(", graph") for key in found if key.endswith(", graph")][::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.36 * len(names) + 1.2), layout="constrained")
    for mode, shift, colour in (("graph", 0.2, "#2b6cb0"), ("XLA", -0.2, "#a0aec0")):
        for place, name in enumerate(names):
            if (result := found.get(f"{name}, {mode}")) is None:
                continue
            ratio = result["ratio"]
            whiskers = [[ratio["median"] - ratio["lower_quartile"]], [ratio["upper_quartile"] - ratio["median"]]]
            label = mode if place == 0 else None
            axes.barh(place + shift, ratio["median"], 0.38, xerr=whiskers, color=colour, label=label)
            if result.get("goal"):
                axes.plot(
                    [result["goal"]] * 2, [place, place + 0.4], color="#c53030", label="goal" if place == 0 else None
                )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, family="monospace", fontsize=8)
    axes.set_xlabel("time of a training step, as a ratio to the plain Keras layer")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def plot_sizes(found: dict[str, Any], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for name, results in found.items():
        axes.plot(list(results), [each["median"] for each in results.values()], marker=".", label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(SIZES, map(str, SIZES))
    axes.set_xlabel("n, of an n × n kernel")
    axes.set_ylabel("ratio to the plain layer")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
