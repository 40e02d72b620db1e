"""Text that means harm: there is a diagnostic within seconds and within 500 MiB, no traceback, and no effect.

Each text is checked, formatted and built from the command line, in a process that the system ends if it takes too much.
What is tried without a name is in `tests/fuzz`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

resource = pytest.importorskip("resource")  # not on Windows

MIB = 2**20
CODE = """
import json, os, resource, sys, traceback
from wdsl.tools.cli import main

def most():
    try:  # what getrusage says begins, on Linux, with the memory of the process that started this one
        (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

statuses = []
commands, result = json.loads(sys.argv[1]), os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
for command in commands:
    try:
        main(command, standalone_mode=False)
        statuses.append(0)
    except SystemExit as end:
        statuses.append(end.code)
with os.fdopen(result, "w") as file:
    json.dump({"statuses": statuses, "bytes": most()}, file)
"""
SECONDS = 60
"""Of processor time, for all commands together; generous, since machines differ and do other things too."""


def run(folder: Path, *commands: list[str]) -> tuple[list[int], str]:
    """The exit statuses of commands, and what they say of a file. A traceback, or too much of anything, is a failure."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5)),
        timeout=20 * SECONDS,
    )
    said = ran.stderr.decode(errors="surrogateescape")
    assert ran.returncode == 0, f"ended with {ran.returncode}: {said[-3000:]}"
    found: dict[str, Any] = json.loads(ran.stdout)
    assert found["bytes"] < 500 * MIB, f"takes {found['bytes'] / MIB:.0f} MiB"
    assert "Traceback" not in said
    return found["statuses"], said


def network(*lines: str, parameters: str = "", before: str = "") -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"{before}network Net{parameters} {{\n    input x: [8]\n{body}}}\n"


def chain(count: int, inner: str, last: str) -> str:
    """Blocks of which each uses the next one as `inner` says."""
    blocks = [f"block B{at}(n: int) {{\n    input x\n    output y = {inner.format(at + 1)}\n}}\n" for at in range(count)]
    return "".join([*blocks, f"block B{count}(n: int) {{\n    input x\n    output y = {last}\n}}\n"])


MANY = 100_000

HOSTILE: dict[str, tuple[str | bytes, str]] = {
    # Brackets and depth
    "open parentheses": ("(" * MANY, "E0101"),
    "open parentheses in a value": (network("output y = " + "(" * MANY), "E0105"),
    "open brackets": (network("output y = x -> Dense(" + "[" * MANY), "E0105"),
    "open braces": (network("if true {" * MANY), "E0105"),
    "closed brackets": (network("output y = " + ")" * MANY), "E0101"),
    "brackets of all kinds": ("([{" * MANY, "E0101"),
    "minus signs": (network("output y = " + "-" * MANY + "x"), "E0105"),
    "a long sum": (network("output y = " + "x + " * MANY + "x"), "E0105"),
    "a long chain": (network("output y = x" + " -> relu" * MANY), "E0105"),
    "a long tower of powers": (network("output y = x * " + "2 ** " * MANY + "2"), "E0105"),
    "many else": (network("if false { }" + " else if false { }" * 5_000, "output y = x -> Dense(2)"), ""),
    "attributes": (network("output y = x" + ".a" * MANY), "E0105"),
    # Numbers
    "a huge integer": (network(f"output y = x -> Dense({'9' * MANY})"), "E0103"),
    "a huge float": (network("output y = x * 1e999999"), "E0103"),
    "a long fraction": (network(f"output y = x * 0.{'3' * MANY}"), ""),
    "a huge power": (network("output y = x -> Dense(9 ** 9 ** 9 ** 9)"), "E0310"),
    "a huge power of a parameter": (network("output y = x -> Dense(n ** n)", parameters="(n: int = 9_999)"), "E0310"),
    "a huge product": ("const a = 9_223_372_036_854_775_807\nconst b = a * a\n", "E0310"),
    "a huge shape": ("network Net {\n    input x: [9_000_000_000_000_000_000]\n    output y = x -> Dense(9_000_000_000_000)\n}", ""),
    "a huge range": (network("for i in range(2 ** 62) { }", "output y = x -> Dense(3)"), "E0310"),
    "a huge slice": (network("layer a = Dense(8) zero[-9_000_000_000_000_000_000:9_000_000_000_000_000_000:7]", "output y = x -> a"), ""),
    # Values that double
    "doubled strings": ("const a0 = \"ab\"\n" + "".join(f"const a{n + 1} = a{n} + a{n}\n" for n in range(60)), "E0310"),
    "doubled lists": ("const a0 = [1]\n" + "".join(f"const a{n + 1} = a{n} + a{n}\n" for n in range(60)), "E0310"),
    "nested lists": ("const a0 = [1]\n" + "".join(f"const a{n + 1} = [a{n}, a{n}]\n" for n in range(60)), "E0310"),
    "deep lists": ("const a0 = [1]\n" + "".join(f"const a{n + 1} = [a{n}]\n" for n in range(5_000)), "E0310"),
    "doubled expressions in blocks": (
        network("output y = x -> B0(n)", parameters="(n: int = 8)", before=chain(38, "x -> B{}(n + n - n)", "x -> Dense(n)")),
        "",
    ),
    "doubled expressions in defaults": (
        "block B(a0: int, " + ", ".join(f"a{n + 1}: int = a{n} + a{n} - a{n}" for n in range(60)) + ") {\n"
        "    input x\n    output y = x -> Dense(a60)\n}\n" + network("output y = x -> B(n)", parameters="(n: int = 8)"),
        "",
    ),
    "doubled conditions": (
        network("output y = x -> B0(n)", parameters="(n: int = 8)", before=chain(38, "x -> B{}(n if n > 0 else n)", "x -> Dense(n)")),
        "",
    ),
    # Loops, blocks and stacks that do not end, or not soon
    "loops in loops": (network("for i in range(1_000) { for j in range(1_000) { } }", "output y = x -> Dense(2)"), "E0703"),
    "loops of chains": (network("h = x", "for i in range(90_000) { h = h" + " -> relu" * 140 + " }", "output y = h -> Dense(2)"), "E0703"),
    "loops of sums": (network("h = x", "for i in range(90_000) { h = h" + " + x" * 140 + " }", "output y = h -> Dense(2)"), "E0703"),
    "loops of conditions": (network("for i in range(90_000) { if " + "1 + " * 140 + "1 > 0 { } }", "output y = x -> Dense(2)"), "E0703"),
    "loops of lists": (network("for i in range(90_000) { if len(range(99_999)) == 1 { } }", "output y = x -> Dense(2)"), "E0703"),
    "a loop of declarations": (network("h = x", "for i in range(30_000) { layer a[i] = Dense(8)\n h = h -> a[i] }", "output y = h"), ""),
    "a loop of annotations": (network("h = x", "for i in range(30_000) { layer a[i] = Dense(8) symmetric\n h = h -> a[i] }", "output y = h"), ""),
    "a loop of assertions": (network("for i in range(90_000) { assert parameters > 0 }", "output y = x -> Dense(8)"), ""),
    "a loop of mistakes": (network("for i in range(90_000) { h = x -> Dnse(8) }", "output y = x"), "E0301"),
    "a loop of outputs": (network("for i in range(90_000) { output y = x }"), "E0202"),
    "a deep stack": (network(f"output y = x -> Dense(8) * {MANY + 1}"), "E0703"),
    "an endless stack": (network("output y = x -> Dense(8) * 9_000_000_000_000"), "E0703"),
    "stacks of stacks": (network("output y = x -> Dense(8)" + " * 90" * 100), ""),
    "a block in itself": (network("output y = x -> B(1)", before="block B(n: int) {\n    input x\n    output y = x -> B(n + 1)\n}\n"), "E0213"),
    "blocks in one another": (
        network("output y = x -> A()", before="block A {\n    input x\n    output y = x -> B()\n}\nblock B {\n    input x\n    output y = x -> A()\n}\n"),
        "E0213",
    ),
    "blocks that double": (network("output y = x -> B0(8)", before=chain(35, "x -> B{0}(n) -> B{0}(n)", "x -> relu")), "E0703"),
    "blocks that double by stacks": (network("output y = x -> B0(8)", before=chain(35, "x -> B{0}(n) * 9", "x -> relu")), "E0703"),
    "many blocks deep": (network("output y = x -> B0(8)", before=chain(400, "x -> B{0}(n)", "x -> relu")), "E0105"),
    # Much of something
    "many networks": ("network N {}\n" * 20_000, "E0202"),
    "many mistakes": (network(*["h = x -> Dnse(8)"] * 20_000, "output y = x"), "E0301"),
    "many unknown names": (network(*[f"h = x{n} -> relu" for n in range(20_000)], "output y = x"), "E0201"),
    "many syntax errors": (network(*["h = = x"] * 20_000, "output y = x"), "E0101"),
    "many constants": ("".join(f"const a{n} = {n}\n" for n in range(50_000)), ""),
    "many parameters": (network("output y = x -> Dense(2)", parameters=f"({', '.join(f'a{n}: int = 1' for n in range(10_000))})"), ""),
    "many inputs": (network(*[f"input x{n}: [8]" for n in range(5_000)], "output y = x -> Dense(2)"), ""),
    "many layers": (network(*[f"layer a{n} = Dense(8)" for n in range(10_000)], "output y = x -> a1"), ""),
    "many annotations": (network("layer a = Dense(8) " + ", ".join(["symmetric"] * 10_000), "output y = x -> a"), ""),
    "many regions": (network(f"layer a = Dense(8) zero[{', '.join(['0'] * 20_000)}]", "output y = x -> a"), ""),
    "many arguments": (network(f"output y = x -> Dense({', '.join(['8'] * 20_000)})"), "E0305"),
    "many ties": (
        network("layer a0 = Dense(8)", *[f"layer a{n + 1} = Dense(8) tie(a{n}.kernel.T)" for n in range(2_000)], "output y = x -> a0"),
        "",
    ),
    "a long name": (network(f"output {'y' * MANY} = x -> Dense(2)"), ""),
    "a long unknown name": (network(f"output y = x -> {'D' * MANY}(2)"), "E0301"),
    "a long string": (network(f'output y = x -> Activation("{"r" * MANY}")'), "E0304"),
    "a long unclosed string": (network('output y = "' + "a" * MANY), "E0103"),
    "quotes": ('"' * MANY, "E0103"),
    "backslashes": ("\\" * MANY, "E0101"),
    "spaces": (" " * 1_000_000 + "x", "E0101"),
    "empty lines": ("\n" * 1_000_000 + "x", "E0101"),
    "carriage returns": ("\r" * MANY, "E0101"),
    "semicolons": (network(";" * MANY, "output y = x -> Dense(2)"), ""),
    "a long comment": ("#" * 1_000_000, "E0208"),
    "much documentation": ("## x\n" * MANY + network("output y = x -> Dense(2)"), ""),
    "tabs": (network("\t" * MANY + "output y = = x"), "E0101"),
    "zero bytes": (b"\0" * MANY, "E0101"),
    "random bytes": (bytes(range(256)) * 400, "E0601"),
    "half a character": (network("output y = x").encode() + b"\xe2\x82", "E0601"),
    "UTF-16": (network("output y = x").encode("utf-16"), "E0601"),
    # Weights
    "a huge predicate": (network("layer a = Dense(9_000_000_000) zero[where i ** 64 % 7 == 3]", "output y = x -> a"), "E0702"),
    "a large predicate": (network("layer a = Dense(60_000) zero[where (i * j) ** 3 % 7 == 3]", "output y = x -> a"), ""),
    "powers in a predicate": (network("layer a = Dense(1_000) zero[where i ** 64 ** 64 > 0]", "output y = x -> a"), "E0511"),
    "a division by zero in a predicate": (network("layer a = Dense(8) zero[where i // (j - j) > 0]", "output y = x -> a"), "E0511"),
    "a large solution": (network("layer a = Dense(900_000) symmetric(0, 1), equal[diagonals], zero[::3]", "output y = x -> a"), "E0502"),
    "einsum of many letters": (network(f'output y = einsum("{"a" * MANY}->b", x)'), "E0304"),
    "many axes": (f"network Net {{\n    input x: [{', '.join(['1'] * 5_000)}]\n    output y = x -> Flatten()\n}}\n", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_text_that_means_harm(name: str, tmp_path: Path) -> None:
    text, code = HOSTILE[name]
    path = tmp_path / "net.wnet"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = path.read_bytes()
    statuses, said = run(
        tmp_path, ["check", "net.wnet"], ["fmt", "--check", "net.wnet"], ["build", "net.wnet", "-o", "-"]
    )
    if code:
        assert f"[{code}]" in said, said[:2000]
        assert statuses[0] == statuses[2] == 1
    else:
        assert statuses[0] == statuses[2] == 0, said[:2000]
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["net.wnet"]
