"""How long things take, as ratios to a peer in the same run: the command line, and solving a large weight.

The command line is held against importing its two parsing libraries, the solver against NumPy sorting as many integers
as the weight has entries.

`make bench` prints a table and leaves the numbers in build/bench.json. A ratio is of two whole processes, one
after the other; milliseconds belong to the machine, ratios less so. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import wdsl

ROOT = Path(__file__).parents[2]
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
    "wdsl build": ("-m", "wdsl", "build", SPEC, "-o", "-"),
    "wdsl check": ("-m", "wdsl", "check", SPEC),
    "wdsl --version": ("-m", "wdsl", "--version"),
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


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = quantiles(values, n=4)
    return {"median": middle, "lower_quartile": low, "upper_quartile": high, "least": min(values)}


def main() -> None:
    console = Console()
    console.print(machine(), highlight=False)
    results = {}
    for name, command in COMMANDS.items():
        seconds(BASE), seconds(command)
        pairs = [
            (seconds(BASE), seconds(command))
            for _ in track(range(PAIRS), description=name, console=console, transient=True)
        ]
        results[name] = {
            "ratio": spread([ours / base for base, ours in pairs]),
            "milliseconds": median(ours for _, ours in pairs) * 1000,
            "base_milliseconds": median(base for base, _ in pairs) * 1000,
        }

    pairs = [solved_and_sorted() for _ in range(1 + SOLVED)][1:]
    results[f"solve {SIDE} × {SIDE}"] = {
        "ratio": spread([ours / base for ours, base in pairs]),
        "milliseconds": median(ours for ours, _ in pairs) * 1000,
        "base_milliseconds": median(base for _, base in pairs) * 1000,
    }
    console.print(f"{PAIRS} pairs of processes each, against python {BASE[0]} '{BASE[1]}'", highlight=False)
    console.print(f"{SOLVED} times solving {SIDE} × {SIDE} entries, against np.sort", highlight=False)
    table = Table()
    for heading in ("command", "ratio", "quartiles", "ms", "base ms"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for name, result in results.items():
        ratio = result["ratio"]
        quartiles = f"{ratio['lower_quartile']:.2f} – {ratio['upper_quartile']:.2f}"
        times = (f"{result['milliseconds']:.0f}", f"{result['base_milliseconds']:.0f}")
        table.add_row(name, f"{ratio['median']:.2f}", quartiles, *times)
    console.print(table)

    out = ROOT / "build" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps({"machine": machine(), "spec": SPEC, "pairs": PAIRS, "results": results}, indent=2) + "\n"
    )
    console.print(f"written to {out.relative_to(ROOT)}", highlight=False)


if __name__ == "__main__":
    main()
