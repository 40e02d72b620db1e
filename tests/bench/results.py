"""What all benchmarks do with names and results: which were asked for, their spread, and where they are written."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

ROOT = Path(__file__).parents[2]


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def spread(values: Iterable[float]) -> dict[str, float]:
    low, middle, high = quantiles(values, n=4)
    return {"median": middle, "lower_quartile": low, "upper_quartile": high}


def chosen(names: Collection[str], known: Collection[str], what: str) -> list[str]:
    """The names, or all that are known if there are none. An unknown one ends the process, in one line."""
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no {what} is named {', '.join(map(repr, unknown))}; there are: {'; '.join(known)}")
    return list(names or known)


def tracked(names: Collection[str], said: str, console: Console) -> Iterator[str]:
    """The names in turn, with a bar in a terminal; elsewhere, such as in a log, with a line for each.

    The bar moves between two names alone: a thread that draws it all the time would be measured with the rest.
    """
    is_bar = console.is_terminal
    with Progress(console=console, transient=True, auto_refresh=False, disable=not is_bar) as progress:
        task = progress.add_task(said, total=len(names))
        for number, name in enumerate(names, 1):
            progress.update(task, description=escape(f"{said}: {name}"), refresh=True)
            if not is_bar:
                console.print(escape(f"{said}: {name}, {number} of {len(names)}"))
            yield name
            progress.advance(task)


def written(name: str, about: dict[str, Any], results: dict[str, Any], is_saved: bool) -> Path:
    """The JSON file of these results, in docs/bench/ if they are saved, else in build/. Pictures go beside it."""
    folder = ROOT / ("docs/bench" if is_saved else "build")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {"machine": machine(), "date": date.today().isoformat(), **about, "results": results}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
