"""What a training step costs with structure in a weight, as a ratio to the plain Keras layer in the same run.

A step is the whole of `train_on_batch`, with Adam: forward, backward, and the update of what is stored; inference is
`predict_on_batch`. Steps of the two are taken in turn, and each is divided by the plain one beside it, so that what
else the machine does slows both. Where it is known what a step takes at the least (tests/bench/least.py), that stands
beside it, from what this machine was measured to do in the same run.

    python -m tests.bench.training                      all parts, as `make bench` does
    python -m tests.bench.training --part batch-1 --part density
    python -m tests.bench.training equal "W * mask"     these rows, in a graph and under XLA
    python -m tests.bench.training --mode inference --batch 256 --dtype mixed_bfloat16 symmetric
    python -m tests.bench.training --sizes              as --part n, with all products in use however small a kernel is:
                                                        from which n on a product is worth it
    python -m tests.bench.training --save               into docs/bench/, and not build/, as JSON and as pictures

Alone on two cores all of it is planned to take 11 minutes: float32 4, most of which is XLA's compiling; bfloat16 1,
batch-1 1, batch-256 1½, inference 1, n 1½, batch ½, density ½. With the other two benchmarks `make bench` has 15.
Setting's `seconds` is what one measurement may take, beside building and tracing, and so what to change.

Rows of PyTorch are there where it can be imported. Of its wheels for Linux the one for processors alone is smaller:
pip install torch --index-url https://download.pytorch.org/whl/cpu
"""

from __future__ import annotations

import argparse
import gc
from dataclasses import asdict, replace
from statistics import median
from time import perf_counter
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench import plots
from tests.bench.least import least, measured_speeds, timed
from tests.bench.models import (
    GROWN,
    GROWN_WITH_BATCH,
    KERNELS,
    NOTHING,
    Row,
    kernel_row,
    nothing_row,
    plain_trial,
    rows,
)
from tests.bench.results import ROOT, chosen, machine, spread, tracked, versions, written
from tests.bench.steps import MODES, Setting
from wdsl.structure.patterns import MatrixPattern

FEWER = Setting(pairs=11, seconds=0.5)
TABLES: dict[str, tuple[Setting, tuple[str, ...]]] = {
    "float32": (Setting(), ("graph", "XLA")),
    "bfloat16": (replace(FEWER, dtype="mixed_bfloat16"), ("graph",)),
    "batch-1": (replace(FEWER, batch=1), ("graph",)),
    "batch-256": (replace(FEWER, batch=256), ("graph",)),
    "inference": (FEWER, ("inference", "frozen")),
}
"""All rows, at n = 2048. Others than `float32` have no goals, and so fewer pairs."""

SIZES = (128, 256, 512, 1024, 2048)
BATCHES = (1, 16, 64, 256)
ZEROS = (50, 75, 90, 95, 99)
ANYWHERE = {"zeros anywhere, graph": "graph", "zeros anywhere, XLA": "XLA"}
GROWTHS = {
    "n": "n, of an n × n kernel",
    "batch": "batch, n = {half}",
    "density": "zeros in 100 entries anywhere, n = {n}",
}
GROWING = Setting(pairs=9, seconds=0.3)
PARTS = (*TABLES, *GROWTHS)

FEWEST, WARM = 3, 0.2
"""Pairs at the least, however long they take; seconds of steps that do not count, of two at the least."""


def compared(row: Row, setting: Setting) -> dict[str, Any]:
    """Times in milliseconds of a step of the row's model and of the plain one, and their ratios."""
    gc.collect()
    ours, plain = row.trial(setting), plain_trial(row.plain, row.n, setting)
    slowest = max(warmed(trial.step) for trial in (ours, plain))
    per_pair = 2 if slowest < 50 else 1
    pairs: list[tuple[float, float]] = []
    begin = perf_counter()
    while len(pairs) < min(FEWEST, setting.pairs) or (
        len(pairs) < setting.pairs and perf_counter() - begin < setting.seconds
    ):
        one, other = (sum(timed(trial.step) for _ in range(per_pair)) / per_pair for trial in (ours, plain))
        pairs.append((one, other))
    result = {
        "ratio": spread(one / other for one, other in pairs),
        "milliseconds": median(one for one, _ in pairs),
        "base_milliseconds": median(other for _, other in pairs),
        "stored": ours.stored,
        "base_stored": plain.stored,
        "pairs": len(pairs),
    }
    if row.multiplied is not None and setting.mode != "frozen":
        speeds = measured_speeds(row.n, setting)
        bound = least(speeds, setting.batch, row.multiplied, ours.stored)
        result["least"] = {"ratio": bound / speeds.plain, "milliseconds": bound}
    return result


def warmed(step: Any) -> float:
    """Milliseconds of a step, once it is traced and its memory is there."""
    timed(step)
    found, begin = [timed(step)], perf_counter()
    while len(found) < 8 and perf_counter() - begin < WARM:
        found.append(timed(step))
    return min(found)


# --- tables ---------------------------------------------------------------------------------------


def by_row(
    part: str, n: int, setting: Setting, modes: tuple[str, ...], names: list[str], console: Console
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Results by name and mode; and what this machine does, by mode."""
    known = rows(n)
    has_goals = (n, setting.batch, setting.dtype) == (2048, 64, "float32")
    found: dict[str, dict[str, Any]] = {}
    for name in tracked(names or [*known], part, console):
        found[name] = {}
        for mode in modes:
            if mode not in known[name].modes:
                continue
            try:
                result = compared(known[name], replace(setting, mode=mode))
            except ImportError as error:
                result = {"skipped": f"{error}"}
            found[name][mode] = result | {"goal": known[name].goals.get(mode) if has_goals else None}
    console.print(f"n = {n}, batch {setting.batch}, {setting.dtype}; {setting.pairs} pairs of steps, or fewer if slow")
    console.print(table_of(found))
    speeds = {
        mode: speeds_of(n, replace(setting, mode=mode), console)
        for mode in modes
        if any("least" in results.get(mode, {}) for results in found.values())
    }
    return found, speeds


def table_of(found: dict[str, dict[str, Any]]) -> Table:
    table = Table()
    for heading in ("weight", "stored", "", "ratio", "quartiles", "goal", "least", "ms", "plain ms"):
        table.add_column(heading, justify="left" if heading in ("weight", "") else "right")
    for name, results in found.items():
        for mode, result in results.items():
            if "skipped" in result:
                table.add_row(escape(name), "", mode, "", f"skipped: {escape(result['skipped'])}")
                continue
            ratio, bound = result["ratio"], result.get("least")
            table.add_row(
                escape(name),
                f"{result['stored']:,}",
                mode,
                f"{ratio['median']:.2f}",
                f"{ratio['lower_quartile']:.2f} – {ratio['upper_quartile']:.2f}",
                f"{result['goal']:.2f}" if result["goal"] else "",
                f"{bound['ratio']:.2f}" if bound else "",
                f"{result['milliseconds']:.1f}",
                f"{result['base_milliseconds']:.1f}",
            )
    return table


def speeds_of(n: int, setting: Setting, console: Console) -> dict[str, float]:
    speeds = measured_speeds(n, setting)
    bound = least(speeds, setting.batch, n * n, n * n + n)
    console.print(
        f"{setting.mode}: products of matrices {speeds.gflops:.0f} GFLOP/s, Adam {speeds.adam:.2f} ms for a million "
        f"numbers, a step without a kernel {speeds.nothing:.2f} ms; "
        f"the plain layer {speeds.plain:.1f} ms, at the least {bound:.1f}"
    )
    return {**asdict(speeds), "plain_least_milliseconds": bound}


# --- growth ---------------------------------------------------------------------------------------


def grown(part: str, n: int, names: list[str], given: dict[str, Any], console: Console) -> dict[str, Any]:
    """Ratios of each kernel, as one thing grows."""
    setting = replace(GROWING, **given)
    nothing = [] if names else [NOTHING]
    cases: dict[str, dict[int, tuple[Row, Setting]]] = {}
    if part == "n":
        for name in [*nothing, *(names or GROWN)]:
            cases[name] = {side: (row_of(name, side), setting) for side in SIZES if side <= n}
    elif part == "batch":
        for name in [*nothing, *(names or GROWN_WITH_BATCH)]:
            cases[name] = {batch: (row_of(name, n // 2), replace(setting, batch=batch)) for batch in BATCHES}
    else:
        for name in names or ANYWHERE:
            cases[name] = {
                zeros: (
                    kernel_row(f"zero[where (i * 7919 + j * 104729) % 100 < {zeros}]", n),
                    replace(setting, mode=ANYWHERE[name]),
                )
                for zeros in ZEROS
            }
    found = {name: {x: compared(*case) for x, case in cases[name].items()} for name in tracked([*cases], part, console)}
    table = Table(GROWTHS[part].format(n=n, half=n // 2), *(str(x) for x in next(iter(cases.values()))))
    for name, results in found.items():
        table.add_row(escape(name), *(f"{each['ratio']['median']:.2f}" for each in results.values()))
        if any("least" in each for each in results.values()):
            table.add_row("  at the least", *(f"{each['least']['ratio']:.2f}" for each in results.values()))
    console.print(table)
    return found


def row_of(name: str, n: int) -> Row:
    return nothing_row(n) if name == NOTHING else kernel_row(name, n)


# --- command line ---------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s [options] [row…]"
    )
    parser.add_argument("rows", nargs="*", help="names of rows, of float32 if no part is named; without, all")
    parser.add_argument("--part", action="append", default=[], help=f"one of {', '.join(PARTS)}; repeatable")
    parser.add_argument("--size", type=int, default=2048, help="n; 2048 if not given")
    parser.add_argument(
        "--mode", action="append", default=[], help=f"in tables, one of {', '.join(MODES)}; may be repeated"
    )
    parser.add_argument("--batch", type=int)
    parser.add_argument("--dtype", help="a dtype policy, such as mixed_bfloat16")
    parser.add_argument("--pairs", type=int, help="at most so many pairs of steps, at least 2")
    parser.add_argument("--sizes", action="store_true", help="part n, with all products in use")
    parser.add_argument("--save", action="store_true", help="write into docs/bench/, and not into build/")
    given = parser.parse_args()
    changed = {key: value for key in ("batch", "dtype", "pairs") if (value := getattr(given, key)) is not None}
    is_changed = bool(given.rows or given.mode or changed or given.sizes or given.size != 2048)
    if given.save and is_changed:
        parser.error("docs/bench/ has parts as they are: --save goes with --part alone")
    if given.pairs is not None and given.pairs < 2:
        parser.error("--pairs: quartiles want 2 at least")
    if given.sizes:
        for kind in (MatrixPattern, *MatrixPattern.kinds.values()):
            kind.least = 0
    one_table = ["float32"] if given.rows or given.mode or given.batch or given.dtype else []
    parts = chosen(given.part or (["n"] if given.sizes else one_table), PARTS, "part")
    modes = tuple(chosen(given.mode, MODES, "mode")) if given.mode else None
    for part in parts:
        chosen(given.rows, names_of(part, given.size), f"row of {part}")

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 150
    tf.get_logger().setLevel("ERROR")  # each model is traced, and that is meant
    about = versions("tensorflow", "keras", "torch")
    console.print(f"{machine()}, TensorFlow {about['tensorflow']}, Keras {about['keras']}")
    for part in parts:
        keras.backend.clear_session(free_memory=False)
        begin = perf_counter()
        if part in TABLES:
            setting, usual = TABLES[part]
            setting = replace(setting, **changed)
            found, speeds = by_row(part, given.size, setting, modes or usual, given.rows, console)
            measured = {"batch": setting.batch, "dtype": setting.dtype, "speeds": speeds}
        else:
            found, measured = grown(part, given.size, given.rows, changed, console), {}
        took = perf_counter() - begin
        name = f"training-{'sizes' if given.sizes else part}"
        path = written(name, {**about, "size": given.size, **measured, "seconds": round(took)}, found, given.save)
        draw(part, given.size, found, path.with_suffix(".png"))
        console.print(f"{part} took {took:.0f} s; written to {path.relative_to(ROOT)} and .png\n")


def names_of(part: str, n: int) -> list[str]:
    if part == "density":
        return [*ANYWHERE]
    return [*rows(n)] if part in TABLES else [*dict.fromkeys((*GROWN, *KERNELS, NOTHING))]


def draw(part: str, n: int, results: dict[str, Any], path: Any) -> None:
    title = "time of a step, as a ratio to the plain Keras layer"
    if part in TABLES:
        plots.plot_rows(results, f"{part}: {title}", path)
    else:
        plots.plot_growth(results, GROWTHS[part].format(n=n, half=n // 2), title, path)


if __name__ == "__main__":
    main()
