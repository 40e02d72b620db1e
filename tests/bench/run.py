"""How long the command line takes, and solving a large weight, as ratios to a peer in the same run.

    python -m tests.bench.run                 all; or these by name: build, check, version, solve
    python -m tests.bench.run --save          all, into docs/bench/, and not build/, as JSON and as a picture

The command line is held against importing its two parsing libraries, the solver against NumPy sorting as many integers
as the weight has entries. A ratio is of two whole processes, one after the other; milliseconds belong to the machine,
ratios less so. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import wdsl
from tests.bench import plots
from tests.bench.results import ROOT, chosen, machine, spread, tracked, written

SPEC = "specs/tied_autoencoder.wnet"
PAIRS = 15
SIDE, SOLVED = 4096, 5
LARGE = f"""network Large {{
    input x: [{SIDE}]
    layer a = Dense({SIDE}) symmetric, zero[where (i * 7 + j * 3) % 5 == 0]
    output y = x -> a
}}"""

BASE = ("-c", "import lark, jinja2")
COMMANDS = {
    "build": ("-m", "wdsl", "build", SPEC, "-o", "-"),
    "check": ("-m", "wdsl", "check", SPEC),
    "version": ("-m", "wdsl", "--version"),
}
# What pip installed is compiled already; a checkout's own modules are if nothing forbids Python to keep the result.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(arguments: tuple[str, ...]) -> float:
    begin = perf_counter()
    ran = subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT
    )
    took = perf_counter() - begin
    if ran.returncode:
        sys.exit(f"python {' '.join(arguments)} failed:\n{ran.stderr}")
    return took


def solved_and_sorted() -> tuple[float, float]:
    """Seconds to solve `symmetric, zero[where …]` on a weight of 4096 × 4096, and to sort as many integers."""
    integers = np.random.default_rng(0).permutation(SIDE * SIDE)
    begin = perf_counter()
    np.sort(integers)
    between = perf_counter()
    wdsl.loads(LARGE)
    return perf_counter() - between, between - begin


def run_and_import(command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of the command, and of a process that imports two libraries."""
    return seconds(command), seconds(BASE)


MEASURED: dict[str, tuple[str, Callable[[], tuple[float, float]], int]] = {
    **{name: (f"wdsl {command[2]}", partial(run_and_import, command), PAIRS) for name, command in COMMANDS.items()},
    "solve": (f"solve {SIDE} × {SIDE}", solved_and_sorted, SOLVED),
}
"""By name: what is said of it, what takes a pair of times, and how many pairs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"{', '.join(MEASURED)}; all, if there are none")
    parser.add_argument("--save", action="store_true", help="write into docs/bench/, and not into build/")
    given = parser.parse_args()
    if given.names and given.save:
        parser.error("docs/bench/ has all of them: --save goes without names")
    names = chosen(given.names, MEASURED, "benchmark")
    console = Console(highlight=False)
    console.print(machine())
    results: dict[str, dict[str, Any]] = {}
    begin = perf_counter()
    for name in tracked(names, "command line", console):
        said, pair, number = MEASURED[name]
        pairs = [pair() for _ in range(1 + number)][1:]
        results[said] = {
            "ratio": spread(ours / base for ours, base in pairs),
            "milliseconds": median(ours for ours, _ in pairs) * 1000,
            "base_milliseconds": median(base for _, base in pairs) * 1000,
        }
    took = perf_counter() - begin
    console.print(f"{PAIRS} pairs of processes each, against python {BASE[0]} '{BASE[1]}'")
    console.print(f"{SOLVED} times solving {SIDE} × {SIDE} entries, against np.sort")
    table = Table()
    for heading in ("command", "ratio", "quartiles", "ms", "base ms"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for said, result in results.items():
        ratio = result["ratio"]
        quartiles = f"{ratio['lower_quartile']:.2f} – {ratio['upper_quartile']:.2f}"
        times = (f"{result['milliseconds']:.0f}", f"{result['base_milliseconds']:.0f}")
        table.add_row(said, f"{ratio['median']:.2f}", quartiles, *times)
    console.print(table)

    path = written("commands", {"spec": SPEC, "pairs": PAIRS, "seconds": round(took)}, results, given.save)
    pictured = {said: {"measured": result} for said, result in results.items()}
    plots.plot_rows(pictured, "time, as a ratio to its peer", path.with_suffix(".png"))
    console.print(f"the command line took {took:.0f} s; written to {path.relative_to(ROOT)} and .png\n")


if __name__ == "__main__":
    main()
