"""The tables of docs/performance.md, of what the benchmarks wrote into docs/bench/. `make bench` ends with this.

python -m tests.bench.document
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.results import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
WRITTEN = re.compile(r"(?s)(<!-- (\w+), from docs/bench/ -->\n).*?(<!-- to here -->)")
"""A part of the document that this writes."""

Results = dict[str, dict[str, Any]]


def document(text: str) -> str:
    """The document with each of its tables as docs/bench/ has it now."""
    return WRITTEN.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)


def saved(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "docs" / "bench" / f"{name}.json").read_text(encoding="utf-8"))
    return content


def table(headings: list[str], rows: Iterable[list[str]]) -> str:
    """A table in Markdown: names, and numbers at the right."""
    rule = ["---"] + ["--:"] * (len(headings) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, rule, *rows))


def ratio(result: dict[str, Any] | None) -> str:
    """The median, with the quartiles."""
    if not result or "ratio" not in result:
        return ""
    found = result["ratio"]
    return f"**{found['median']:.2f}** {found['lower_quartile']:.2f}–{found['upper_quartile']:.2f}"


def limit(result: dict[str, Any] | None, key: str) -> str:
    found = (result or {}).get(key)
    found = found["ratio"] if isinstance(found, dict) else found
    return f"{found:.2f}" if found else ""


def training() -> str:
    """All rows in float32, with goals and the least that a step can take."""
    results: Results = saved("training-float32")["results"]
    headings = ["weight", "numbers", "in a graph", "goal", "least", "under XLA", "goal", "least"]

    def row(name: str, modes: dict[str, Any]) -> list[str]:
        cells = [f"`{name}`", f"{modes['graph']['stored']:,}" if "stored" in modes["graph"] else ""]
        for mode in ("graph", "XLA"):
            result = modes.get(mode)
            cells += [ratio(result), limit(result, "goal"), limit(result, "least")]
        return cells

    return table(headings, (row(name, modes) for name, modes in results.items()))


def settings() -> str:
    """All rows with other precisions and batches, and in inference: medians."""
    columns = {
        "bfloat16": ("training-bfloat16", "graph"),
        "batch 1": ("training-batch-1", "graph"),
        "batch 256": ("training-batch-256", "graph"),
        "inference": ("training-inference", "inference"),
        "inference, frozen": ("training-inference", "frozen"),
    }
    found: list[tuple[Results, str]] = [(saved(file)["results"], mode) for file, mode in columns.values()]

    def median(results: Results, mode: str, name: str) -> str:
        result = results.get(name, {}).get(mode, {})
        return f"{result['ratio']['median']:.2f}" if "ratio" in result else ""

    rows = ([f"`{name}`", *(median(*each, name) for each in found)] for name in found[0][0])
    return table(["weight", *columns], rows)


def compiler() -> str:
    """Text to plan, builds, imports, live models, memory."""
    content = {**saved("compiler")["results"], **saved("commands")["results"]}

    def measured(result: dict[str, Any]) -> str:
        if "ratio" in result:
            return ratio(result)
        if "mebibytes" in result:
            return f"**{result['mebibytes']:.0f}** MiB"
        return f"**{result['bytes_per_byte']:.0f}** bytes for a byte of text"

    def milliseconds(result: dict[str, Any], key: str) -> str:
        return f"{result[key]:,.0f}" if key in result else ""

    rows = (
        [
            name,
            measured(result),
            result.get("goal", ""),
            milliseconds(result, "milliseconds"),
            milliseconds(result, "base_milliseconds"),
        ]
        for name, result in content.items()
    )
    return table(["what", "× its base", "goal, at most", "ms", "base, ms"], rows)


def modules() -> str:
    """Training steps of written modules against those of live models."""
    results: Results = saved("modules")["results"]
    rows = (
        [f"`{name}`", *(cell for mode in ("graph", "XLA") for cell in (ratio(modes[mode]), milliseconds(modes[mode])))]
        for name, modes in results.items()
    )
    return table(["network", "in a graph", "ms", "under XLA", "ms"], rows)


def milliseconds(result: dict[str, Any]) -> str:
    return f"{result['base_milliseconds']:.1f}"


def machine() -> str:
    """What it was measured on, and how fast that is."""
    about = saved("training-float32")
    said = (
        "{where}, products of matrices run at {gflops:.0f} GFLOP/s, Adam takes {adam:.2f} ms for a million numbers, "
        "a step without a kernel {nothing:.1f} ms, and one of the plain layer {plain:.1f}"
    )
    where = {"graph": "in a graph", "XLA": "under XLA"}
    speeds = [said.format(where=where[mode], **each) for mode, each in about["speeds"].items()]
    versions = ", ".join(f"{name} {about[key]}" for key, name in (("tensorflow", "TensorFlow"), ("keras", "Keras")))
    return f"Measured on {about['date']}: {about['machine']}, {versions}. At their fastest, {'; '.join(speeds)}.\n"


PARTS: dict[str, Callable[[], str]] = {
    "training": training,
    "settings": settings,
    "compiler": compiler,
    "modules": modules,
    "machine": machine,
}


def main() -> None:
    DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
