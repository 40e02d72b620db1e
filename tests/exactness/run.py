"""All of the exactness suite: `make exactness` prints its tables, and writes them into docs/exactness.md.

Exit status 1 says that an entry is not what was promised.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from tests.exactness import training
from tests.exactness.annotations import ANNOTATIONS, MECHANISMS, SEVERAL
from tests.exactness.training import EXECUTIONS, OPTIMIZERS, PARTS, PRECISIONS, SOME, TRAINED, Cell

DOCUMENT = Path(__file__).parents[2] / "docs" / "exactness.md"
BEGIN, END = "<!-- from here on, `make exactness` writes -->\n", "<!-- up to here -->\n"

Job = tuple[str, tuple[Any, ...]]


def ready() -> None:
    """What a process does first."""
    training.two_devices()


def run(job: Job) -> list[Cell]:
    name, arguments = job
    found = list(getattr(training, name)(*arguments))
    keras.backend.clear_session()
    return found


def processes(count: int) -> ProcessPoolExecutor:
    """Processes that begin with nothing of this one: TensorFlow's devices are set up once."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), ready)


def jobs() -> Iterator[Job]:
    """Everything, what takes longest first."""
    for execution in reversed(EXECUTIONS):
        for precision in PRECISIONS:
            chosen = tuple(OPTIMIZERS) if precision == "float32" else SOME
            yield from (("trained", (mechanism, precision, execution, chosen)) for mechanism in TRAINED)
    # Keras cannot accumulate gradients on several replicas: "merge_call called while defining a new graph".
    replicable = tuple(each for each in SOME if "accumulated" not in each)
    for mechanism in TRAINED:
        yield "replicated", (mechanism, "float32", replicable)
        yield from (("copied", (mechanism, "float32", optimizer)) for optimizer in SOME[1:])
        for precision in PRECISIONS[1:]:
            yield "replicated", (mechanism, precision, SOME[1:2])
            yield "copied", (mechanism, precision, SOME[1])
    for execution in EXECUTIONS:
        yield from (("trained", ("initial", precision, execution, ())) for precision in PRECISIONS)


# --- tables ---------------------------------------------------------------------------------------


def wrong(cells: Iterable[Cell]) -> str:
    cells = list(cells)
    return f"{sum(each.violated for each in cells):,} of {sum(each.entries for each in cells):,}" if cells else ""


def table(headings: Iterable[str], rows: Iterable[Iterable[str]], texts: int = 1) -> str:
    """A table in Markdown, the first columns of which are texts, and the others numbers."""
    headings = list(headings)
    rule = ["---"] * texts + ["--:"] * (len(headings) - texts)
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, rule, *rows))


def by(heading: str, key: Callable[[Cell], str], cells: list[Cell]) -> str:
    """For each value of a key and each mechanism, how many entries are wrong, of those compared."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for each in cells:
        found.setdefault((key(each), each.mechanism), []).append(each)
    names, mechanisms = dict.fromkeys(name for name, _ in found), dict.fromkeys(each.mechanism for each in cells)
    rows = ([name, *(wrong(found.get((name, one), ())) for one in mechanisms)] for name in names)
    return table([heading, *mechanisms], rows)


def order(cell: Cell) -> list[int]:
    """As rows stand in their tables, whatever was done first."""
    tables = (
        (PARTS, cell.part),
        ([each.name for each in ANNOTATIONS], cell.annotation),
        ([*MECHANISMS, SEVERAL], cell.mechanism),
        (["", *OPTIMIZERS], cell.optimizer),
        (PRECISIONS, cell.precision),
        (list(EXECUTIONS), cell.execution),
    )
    return [names.index(name) for names, name in tables]


def tables(cells: list[Cell]) -> str:
    cells = sorted(cells, key=order)
    promised = [each for each in cells if not each.limit]
    training = [each for each in promised if each.part == "training"]
    unpromised: dict[tuple[str, ...], list[Cell]] = {}
    for each in cells:
        if each.limit:
            unpromised.setdefault((each.optimizer, each.mechanism, each.limit), []).append(each)
    rows = [
        [*reason, f"{sum(each.violated > 0 for each in those):,} of {len(those):,}", wrong(those)]
        for reason, those in unpromised.items()
    ]
    return "\n".join(
        [
            f"**{len(promised):,} cells with a promise, {wrong(promised)} entries violated.**\n",
            "### Before training, through files and copies, on two replicas\n",
            by("", lambda each: each.part, promised),
            "### With each optimizer\n",
            by("trained with", lambda each: each.optimizer, training),
            "### In each precision and way of execution\n",
            by("trained in", lambda each: f"{each.precision}, {each.execution}", training),
            "### Each annotation\n",
            by("annotation", lambda each: f"`{each.annotation}`", promised),
            "### Not promised\n",
            table(["optimizer", "mechanism", "why", "cells broken", "entries violated"], rows, 3),
        ]
    )


def versions() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"(?m)^model name\s*: (.*)$", info.read_text()) if info.exists() else []
    libraries = ", ".join(f"{name} {version(name.lower())}" for name in ("TensorFlow", "Keras", "NumPy"))
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"Python {platform.python_version()}, {libraries}, on {processor}, {os.cpu_count()} cores"


def main() -> None:
    console, begin = Console(), perf_counter()
    cells: list[Cell] = []
    failed = []
    with processes(os.cpu_count() or 1) as pool:
        waiting = {pool.submit(run, job): job for job in jobs()}
        for done in track(as_completed(waiting), "training", len(waiting), console=console, transient=True):
            if error := done.exception():
                failed.append(f"{waiting[done]}: {error!r}")
            else:
                cells += done.result()
    minutes = (perf_counter() - begin) / 60
    text = f"\nRun in {minutes:.0f} minutes with {versions()}.\n\n{tables(cells)}\n"
    console.print(Markdown(text))
    broken = [" ".join(map(str, each)) for each in cells if each.violated and not each.limit]
    for line in (*broken, *failed):
        console.print(line, highlight=False, markup=False)
    if not failed:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        DOCUMENT.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8", newline="\n")
    sys.exit(bool(broken or failed))


if __name__ == "__main__":
    main()
