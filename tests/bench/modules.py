"""What a training step of a written module takes, as a ratio to the live model of the same file in the same process.

A step is the whole of `train_on_batch`, with Adam, in a graph and under XLA. Steps of the two are taken in turn, the
one first in every other pair, and each is divided by the live one beside it: what else the machine does slows both.

    python -m tests.bench.modules                 all rows, as `make bench` does: three minutes on two cores
    python -m tests.bench.modules hopfield        these rows; `--mode graph` for one mode
    python -m tests.bench.modules --save          into docs/bench/, and not build/, as JSON and as a picture
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

import wdsl
from tests.bench import plots
from tests.bench.least import timed
from tests.bench.results import ROOT, chosen, machine, spread, tracked, versions, written
from tests.bench.training import table_of, warmed

GOAL = 1.05
"""A module trains as fast as the live model: between 0.95 and this."""
BATCH, RATE = 64, 1e-4
PAIRS, SECONDS = 60, 4.0
"""Of one measurement: pairs at the most, and no more once the seconds are over. A pair is of so many steps each as
take some ten milliseconds."""
MODES = ("graph", "XLA")

NET = "network Net {{\n    input x: {}\n    layer a = {}\n    output y = x -> a\n}}\n"


def spec(name: str, **parameters: Any) -> wdsl.Net:
    return wdsl.load(ROOT / "specs" / f"{name}.wnet", **parameters)


def dense(annotation: str) -> wdsl.Net:
    return wdsl.loads(NET.format("[512]", f"Dense(512) {annotation}"))


def lstm(annotation: str) -> wdsl.Net:
    layer = f"LSTM(128, return_sequences=true) {{ recurrent_kernel: {annotation} }}"
    return wdsl.loads(NET.format("[32, 64]", layer))


ROWS: dict[str, Callable[[], wdsl.Net]] = {
    **{f"hopfield, n = {n}": lambda n=n: spec("hopfield", neurons=n) for n in (64, 512, 1024)},
    "circulant, n = 512": lambda: spec("circulant", n=512),
    "zero[not band(8, 8)], n = 512": lambda: dense("zero[not band(8, 8)]"),
    "zero[not blocks(64, 64)], n = 512": lambda: dense("zero[not blocks(64, 64)]"),
    "zero[lower], n = 512": lambda: dense("zero[lower]"),
    "LSTM(128), zero[where (i + j) % 2 == 0]": lambda: lstm("zero[where (i + j) % 2 == 0]"),
    "tied_autoencoder": lambda: spec("tied_autoencoder"),
    "tagger": lambda: spec("tagger"),
}


def pair(net: wdsl.Net) -> list[keras.Model]:
    """The model of the module that is written for a network, and the live one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{net.name.lower()}.py")
        path.write_text(net.to_python(), encoding="utf-8")
        about = importlib.util.spec_from_file_location(path.stem, path)
        assert about
        assert about.loader
        module = importlib.util.module_from_spec(about)
        about.loader.exec_module(module)
    models = []
    for make in (getattr(module, net.name), net.to_keras):
        keras.utils.set_random_seed(0)
        models.append(make())
    return models


def stepping(model: keras.Model, mode: str) -> Callable[[], object]:
    random = np.random.default_rng(0)

    def example(tensor: Any) -> Any:
        shape = (BATCH, *(size or 16 for size in tensor.shape[1:]))
        return random.integers(0, 5, shape) if "int" in tensor.dtype else random.normal(size=shape).astype("float32")

    x, y = (keras.tree.map_structure(example, each) for each in (model.input, model.output))
    model.compile(keras.optimizers.Adam(RATE), "mse", jit_compile=mode == "XLA")
    return lambda: model.train_on_batch(x, y)


def compared(models: list[keras.Model], mode: str) -> dict[str, Any]:
    """Times in milliseconds of a step of the module and of the live model, and their ratios."""
    gc.collect()
    ours, live = (stepping(model, mode) for model in models)
    slowest = max(warmed(step) for step in (ours, live))
    steps = max(1, round(10 / slowest))
    pairs: list[tuple[float, float]] = []
    begin = perf_counter()
    while len(pairs) < 4 or (len(pairs) < PAIRS and perf_counter() - begin < SECONDS):
        order = (ours, live) if len(pairs) % 2 else (live, ours)
        found = [sum(timed(step) for _ in range(steps)) / steps for step in order]
        pairs.append((found[0], found[1]) if order[0] is ours else (found[1], found[0]))
    return {
        "ratio": spread(one / other for one, other in pairs),
        "milliseconds": median(one for one, _ in pairs),
        "base_milliseconds": median(other for _, other in pairs),
        "stored": sum(int(np.prod(each.shape)) for each in models[0].trainable_weights),
        "pairs": len(pairs),
        "goal": GOAL,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="names of rows, or how they begin; without, all")
    parser.add_argument("--mode", action="append", default=[], help=f"one of {', '.join(MODES)}; may be repeated")
    parser.add_argument("--save", action="store_true", help="write into docs/bench/, and not into build/")
    given = parser.parse_args()
    if given.save and (given.rows or given.mode):
        parser.error("docs/bench/ has all of them: --save goes without rows and modes")
    wanted = [row for each in given.rows for row in ([row for row in ROWS if row.startswith(each)] or [each])]
    rows, modes = chosen(wanted, ROWS, "row"), chosen(given.mode, MODES, "mode")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 130
    tf.get_logger().setLevel("ERROR")
    about = versions("tensorflow", "keras")
    console.print(f"{machine()}, TensorFlow {about['tensorflow']}, Keras {about['keras']}")
    results: dict[str, dict[str, Any]] = {}
    begin = perf_counter()
    for name in tracked(rows, "modules", console):
        keras.backend.clear_session(free_memory=False)
        models = pair(ROWS[name]())
        results[name] = {mode: compared(models, mode) for mode in modes}
    took = perf_counter() - begin
    console.print(table_of(results))
    path = written("modules", {**about, "batch": BATCH, "seconds": round(took)}, results, given.save)
    title = "time of a step of a written module, as a ratio to the live model"
    plots.plot_rows(results, title, path.with_suffix(".png"))
    console.print(f"modules took {took:.0f} s; written to {path.relative_to(ROOT)} and .png\n")


if __name__ == "__main__":
    main()
