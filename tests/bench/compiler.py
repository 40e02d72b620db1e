"""What the compiler costs, against a peer in the same run.

    python -m tests.bench.compiler                 all; or these by name:

    text      a network of 5,000 layers from text to plan, against Lark alone reading that text to a parse tree;
              ten times the layers, against the tenth; and how much memory it takes for each byte of text
    build     `wdsl build` of a spec of ten layers, against importing the libraries that it parses and prints with
    import    `import wdsl`, and the first network behind it, against `import lark`
    kernel    the memory for a symmetric kernel of 32768 × 32768 that is checked, planned and written to Python
    keras     a network of 1,000 layers, compiled in the process, against the same one built by hand in Keras

Times are medians of pairs, one of ours and one of theirs each, the one right after the other. Memory is the most that
a process had; for each byte of text, less what one had with a network of one layer. Each row has its goal beside it,
or none. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import lark
from rich.console import Console
from rich.table import Table

import wdsl
from tests.bench import plots
from tests.bench.results import ROOT, chosen, machine, spread, tracked, written

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
LAYERS = 5_000
IN_KERAS, PAIRS_IN_KERAS = 1_000, 3
BASE = ("-c", "import lark, jinja2")
ONE = "network One {\n    input x: [64]\n    layer a = Dense(64)\n    output y = x -> a\n}\n"


def network(layers: int) -> str:
    """Residual units of five layers of different kinds, some of them with structure."""
    lines = ["network Deep {", "    input x: [64]", ""]
    before = "x"
    for first in range(0, layers, 5):
        a, b, c, d, e = (f"{name}_{first}" for name in ("dense", "norm", "drop", "mixed", "out"))
        lines += [
            f"    layer {a} = Dense(64, activation=relu)",
            f"    layer {b} = LayerNormalization()",
            f"    layer {c} = Dropout(0.1)",
            f"    layer {d} = Dense(64, use_bias=false) symmetric, zero[diagonal]",
            f"    layer {e} = Dense(64, activation=gelu, kernel_initializer=HeNormal(seed={first}))",
            f"    h_{first} = {before} + ({before} -> {a} -> {b} -> {c} -> {d} -> {e})",
        ]
        before = f"h_{first}"
    return "\n".join([*lines, "", f"    output y = {before}", "}", ""])


class Ends:
    """What Lark's own lexer has to be told of line ends: none in brackets, one before a closing brace."""

    always_accept = ("_END",)

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        depth, ended = 0, True
        for token in stream:
            if token.type == "_END":
                if not ended and not depth:
                    yield token
                    ended = True
                continue
            depth += {"LPAR": 1, "LSQB": 1, "RPAR": -1, "RSQB": -1}.get(token.type, 0)
            if token.type == "RBRACE" and not ended:
                yield lark.Token.new_borrow_pos("_END", "", token)
            ended = token.type == "LBRACE"
            yield token
        if not ended:
            yield lark.Token.new_borrow_pos("_END", "", token)


def timed(work: Callable[[], object]) -> float:
    gc.collect()
    begin = perf_counter()
    work()
    return perf_counter() - begin


def process(*arguments: str) -> float:
    begin = perf_counter()
    ran = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True, env=ENVIRONMENT)
    took = perf_counter() - begin
    if ran.returncode:
        sys.exit(f"python {' '.join(arguments)} failed:\n{ran.stderr}")
    return took


def peak(text: str, end: str) -> int:
    """The most bytes that a process had that took a text to `end`, an attribute of `wdsl.Net`."""
    # Not `ru_maxrss`: that of a child begins with what its parent had.
    code = (
        f"import re, sys, wdsl; net = wdsl.loads(sys.stdin.read()); net.{end};"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], input=text, check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    return int(ran.stdout) * 1024


def pairs(ours: Callable[[], float], base: Callable[[], float], number: int) -> dict[str, Any]:
    ours(), base()
    found = [(base(), ours()) for _ in range(number)]
    return {
        "ratio": spread(mine / theirs for theirs, mine in found),
        "milliseconds": median(mine for _, mine in found) * 1000,
        "base_milliseconds": median(theirs for theirs, _ in found) * 1000,
        "extra_milliseconds": median(mine - theirs for theirs, mine in found) * 1000,
    }


def text() -> dict[str, Any]:
    large, small = network(LAYERS), network(LAYERS // 10)
    grammar = (ROOT / "grammar" / "wnet.lark").read_text(encoding="utf-8")
    bare = lark.Lark(grammar, start="file", parser="lalr", postlex=Ends(), maybe_placeholders=True)  # type: ignore[arg-type]

    def front(given: str) -> Callable[[], float]:
        return lambda: timed(lambda: wdsl.loads(given).plan)

    return {
        "text to plan, 5,000 layers": pairs(front(large), lambda: timed(lambda: bare.parse(large)), 5)
        | {"goal": "2.00"},
        "text to plan, 5,000 against 500": pairs(front(large), front(small), 5) | {"goal": "11.00"},
        "text to plan, memory": {
            "bytes_per_byte": (peak(large, "plan") - peak(ONE, "plan")) / len(large),
            "goal": "200 bytes",
        },
    }


def build() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        spec = Path(folder, "ten.wnet")
        spec.write_text(network(10), encoding="utf-8")
        return {
            "wdsl build, ten layers": pairs(
                lambda: process("-m", "wdsl", "build", str(spec), "-o", "-"), lambda: process(*BASE), 21
            )
            | {"goal": "2.00"}
        }


def imported() -> dict[str, Any]:
    return {
        "import wdsl": pairs(lambda: process("-c", "import wdsl"), lambda: process("-c", "import lark"), 21)
        | {"goal": "30 ms more"},
        "import wdsl, and a network of one layer": pairs(
            lambda: process("-c", f"import wdsl; wdsl.loads({ONE!r})"), lambda: process("-c", "import lark"), 21
        ),
    }


def kernel() -> dict[str, Any]:
    spec = "network Large {\n    input x: [32768]\n    layer a = Dense(32768) symmetric\n    output y = x -> a\n}\n"
    return {"symmetric 32768 × 32768, memory": {"mebibytes": peak(spec, "to_python()") / 2**20, "goal": "150 MiB"}}


# In Keras

SPECS = {
    "flat": "".join(
        [
            "network Deep {\n    input x: [16]\n",
            *(f"    layer dense_{i} = Dense(16, activation=relu)\n" for i in range(IN_KERAS)),
            *(
                f"    h{i} = x -> {' -> '.join(f'dense_{k}' for k in range(i, i + 10))}\n"
                for i in range(0, IN_KERAS, 10)
            ),
            f"    output y = ({', '.join(f'h{i}' for i in range(0, IN_KERAS, 10))}) -> Add()\n}}\n",
        ]
    ),
    "a loop": f"""network Deep {{
    input x: [16]
    h = x -> Dense(16)
    for i in range({IN_KERAS // 2}) {{
        layer first[i] = Dense(16, activation=relu)
        layer second[i] = Dense(16)
        h = h + (x -> first[i] -> second[i])
    }}
    output y = h
}}""",
    "blocks": f"""block Unit(width: int) {{
    input x
    output y = x + (x -> Dense(width, activation=relu) -> Dense(width))
}}
network Deep {{
    input x: [16]
    output y = x -> Unit(16) * {IN_KERAS // 2}
}}""",
}


def by_hand(kind: str) -> object:
    import keras
    from keras import layers

    x = keras.Input((16,), name="x")
    if kind == "flat":
        dense = [layers.Dense(16, activation="relu", name=f"dense_{i}") for i in range(IN_KERAS)]
        ends = []
        for first in range(0, IN_KERAS, 10):
            h = x
            for layer in dense[first : first + 10]:
                h = layer(h)
            ends.append(h)
        return keras.Model(x, layers.Add()(ends), name="Deep")
    h = layers.Dense(16)(x) if kind == "a loop" else x
    for i in range(IN_KERAS // 2):
        first = layers.Dense(16, activation="relu", name=f"first_{i}")
        second = layers.Dense(16, name=f"second_{i}")
        h = h + second(first(h if kind == "blocks" else x))
    return keras.Model(x, h, name="Deep")


def in_keras() -> dict[str, Any]:
    import keras

    import wdsl.runtime  # with Keras, it is there before the clock starts

    def fresh(work: Callable[[], object]) -> float:
        keras.backend.clear_session()
        return timed(work)

    return {
        f"{IN_KERAS:,} layers in Keras, {kind}": pairs(
            lambda spec=spec: fresh(lambda: wdsl.loads(spec).to_keras()),  # type: ignore[misc]
            lambda kind=kind: fresh(lambda: by_hand(kind)),  # type: ignore[misc]
            PAIRS_IN_KERAS,
        )
        | {"goal": "1.10"}
        for kind, spec in SPECS.items()
    }


MEASURED = {"text": text, "build": build, "import": imported, "kernel": kernel, "keras": in_keras}


def shown(results: dict[str, Any]) -> Table:
    table = Table()
    for heading in ("compiler", "ratio", "quartiles", "ms", "base ms", "more, ms", "memory", "goal, at most"):
        table.add_column(heading, justify="left" if heading == "compiler" else "right")
    for name, result in results.items():
        row = [name]
        if ratio := result.get("ratio"):
            row += [f"{ratio['median']:.2f}", f"{ratio['lower_quartile']:.2f} – {ratio['upper_quartile']:.2f}"]
            row += [f"{result[f'{key}milliseconds']:.0f}" for key in ("", "base_", "extra_")]
        else:
            row += [""] * 5
        if "bytes_per_byte" in result:
            row.append(f"{result['bytes_per_byte']:.0f} bytes per byte of text")
        elif "mebibytes" in result:
            row.append(f"{result['mebibytes']:.0f} MiB")
        else:
            row.append("")
        table.add_row(*row, result.get("goal", ""))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"{', '.join(MEASURED)}; all, if there are none")
    parser.add_argument("--save", action="store_true", help="write into docs/bench/, and not into build/")
    given = parser.parse_args()
    if given.names and given.save:
        parser.error("docs/bench/ has all of them: --save goes without names")
    names = chosen(given.names, MEASURED, "benchmark")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 130
    console.print(machine())
    results: dict[str, Any] = {}
    begin = perf_counter()
    for name in tracked(names, "compiler", console):
        results |= MEASURED[name]()
    took = perf_counter() - begin
    console.print(shown(results))
    path = written("compiler", {"seconds": round(took)}, results, given.save)
    plots.plot_rows(
        {name: {"measured": result | {"goal": goal_of(result)}} for name, result in results.items()},
        "time, as a ratio to its peer",
        path.with_suffix(".png"),
    )
    console.print(f"the compiler took {took:.0f} s; written to {path.relative_to(ROOT)} and .png\n")


def goal_of(result: dict[str, Any]) -> float | None:
    """The goal, if it is a ratio."""
    try:
        return float(result.get("goal", ""))
    except ValueError:
        return None


if __name__ == "__main__":
    main()
