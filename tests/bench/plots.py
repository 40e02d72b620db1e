"""Pictures of results: bars of ratios, and how ratios grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.results import machine

COLOURS = ("#2b6cb0", "#a0aec0", "#dd8452", "#55a868")


def plot_rows(found: dict[str, dict[str, Any]], title: str, path: Path) -> None:
    """Bars of ratios with their quartiles, for each row one of each mode, with goals and what is the least.

    Without ratios, as where memory alone was measured, there is no picture.
    """
    from matplotlib import pyplot

    names = [name for name in found if any("ratio" in result for result in found[name].values())][::-1]
    if not names:
        path.unlink(missing_ok=True)
        return
    modes = list(dict.fromkeys(mode for name in names for mode in found[name]))
    figure, axes = pyplot.subplots(figsize=(9, 0.4 * len(names) + 1.6), layout="constrained")
    thick = 0.8 / len(modes)
    labels = set()

    def once(label: str) -> str | None:
        is_first = label not in labels
        labels.add(label)
        return label if is_first else None

    for number, mode in enumerate(modes):
        for place, name in enumerate(names):
            result = found[name].get(mode, {})
            if (ratio := result.get("ratio")) is None:
                continue
            y = place + 0.4 - thick * (number + 0.5)
            middle, ends = ratio["median"], (y - thick / 2, y + thick / 2)
            whiskers = [[middle - ratio["lower_quartile"]], [ratio["upper_quartile"] - middle]]
            colour = COLOURS[number % len(COLOURS)]
            axes.barh(y, middle, thick * 0.95, xerr=whiskers, color=colour, ecolor="#4a5568", label=once(mode))
            if result.get("goal"):
                axes.plot([result["goal"]] * 2, ends, color="#c53030", linewidth=2, label=once("goal, at most"))
            if bound := result.get("least"):
                axes.plot([bound["ratio"]] * 2, ends, color="black", linewidth=2, label=once("the least"))
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlim(left=0)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_yticks(range(len(names)), names, family="monospace", fontsize=8)
    axes.set_xlabel(title)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    _save(figure, path)


def plot_growth(found: dict[str, dict[int, Any]], over: str, title: str, path: Path) -> None:
    """A line of ratios for each name. Dashed in the same colour is the least; dotted, what no kernel at all takes."""
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(figsize=(10, 5), layout="constrained")
    ticks = sorted({x for results in found.values() for x in results})
    for name, results in found.items():
        is_nothing = name.startswith("nothing")
        style = {"color": "black", "linestyle": ":", "linewidth": 2} if is_nothing else {"marker": "."}
        (line,) = axes.plot(list(results), [each["ratio"]["median"] for each in results.values()], label=name, **style)
        bounds = [(x, each["least"]["ratio"]) for x, each in results.items() if each.get("least")]
        if bounds:
            axes.plot(*zip(*bounds, strict=True), color=line.get_color(), linestyle="--", linewidth=1)
    axes.plot([], [], color="grey", linestyle="--", linewidth=1, label="the least, same colour")
    axes.axhline(1, color="black", linewidth=0.8)
    if ticks[0] > 0 and ticks[-1] / ticks[0] > 10:
        axes.set_xscale("log", base=2)
    low, high = axes.get_ylim()
    if low <= 0 or high / low > 4:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xticks(ticks, map(str, ticks))
    axes.set_xlabel(over)
    axes.set_ylabel(title)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.text(0.01, -0.01, machine(), fontsize=7, color="#4a5568", verticalalignment="top")
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
