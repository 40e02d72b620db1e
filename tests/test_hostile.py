"""Text that means harm: there is a diagnostic within seconds and within 500 MiB, no traceback, and no effect.

Each text is checked, formatted and built from the command line, in a process that the system ends if it takes too much.
What is tried without a name is in `tests/fuzz`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import wdsl
from tests.fuzz import oracles
from wdsl.syntax.parser import parse
from wdsl.text.source import Source

pytest.importorskip("resource")  # not on Windows

from tests import processes

MIB = 2**20
USUAL = 100_000
LIMIT = int(os.environ.get("WDSL_MAX_LAYERS", "4000"))
"""What loops and blocks may come to, so that this takes a minute; in `make fuzz` it is what it is for users."""

SECONDS = 60 if LIMIT >= USUAL else 20
"""Of processor time, for all commands together; generous, since machines differ."""


def many(count: int) -> int:
    """A number that there is no limit for: only the time must not grow as its square. Whole in `make fuzz`."""
    return count if LIMIT >= USUAL else count // 10


def run(folder: Path, *commands: list[str]) -> tuple[list[int], str]:
    """The exit statuses of commands, and what they say. A traceback, or too much of anything, is a failure."""
    ran = processes.run(folder, [*commands], SECONDS)
    assert ran.ended == 0, f"ended with {ran.ended}: {ran.said[-3000:]}"
    assert ran.bytes < 500 * MIB, f"takes {ran.bytes / MIB:.0f} MiB"
    assert "Traceback" not in ran.said
    return ran.statuses, ran.said


def network(*lines: str, parameters: str = "", before: str = "") -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"{before}network Net{parameters} {{\n    input x: [8]\n{body}}}\n"


def chain(count: int, inner: str, last: str) -> str:
    """Blocks of which each uses the next one as `inner` says."""
    blocks = [
        f"block B{at}(n: int) {{\n    input x\n    output y = {inner.format(at + 1)}\n}}\n" for at in range(count)
    ]
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
    "a huge shape": (
        "network Net {\n    input x: [9_000_000_000_000_000_000]\n    output y = x -> Dense(9_000_000_000_000)\n}",
        "",
    ),
    "a huge range": (network("for i in range(2 ** 62) { }", "output y = x -> Dense(3)"), "E0703"),
    "a range of everything": ("const a = len(range(-9_000_000_000_000_000_000, 9_000_000_000_000_000_000))\n", "E0703"),
    "a huge slice": (
        network("layer a = Dense(8) zero[-9_000_000_000_000_000_000:9_000_000_000_000_000_000:7]", "output y = x -> a"),
        "E0503",
    ),
    # Values that double
    "doubled strings": ('const a0 = "ab"\n' + "".join(f"const a{n + 1} = a{n} + a{n}\n" for n in range(60)), "E0703"),
    "doubled lists": ("const a0 = [1]\n" + "".join(f"const a{n + 1} = a{n} + a{n}\n" for n in range(60)), "E0703"),
    "nested lists": ("const a0 = [1]\n" + "".join(f"const a{n + 1} = [a{n}, a{n}]\n" for n in range(60)), "E0703"),
    "deep lists": ("const a0 = [1]\n" + "".join(f"const a{n + 1} = [a{n}]\n" for n in range(5_000)), "E0310"),
    "doubled expressions in blocks": (
        network(
            "output y = x -> B0(n)", parameters="(n: int = 8)", before=chain(38, "x -> B{}(n + n - n)", "x -> Dense(n)")
        ),
        "E0310",
    ),
    "doubled expressions in defaults": (
        "block B(a0: int, " + ", ".join(f"a{n + 1}: int = a{n} + a{n} - a{n}" for n in range(60)) + ") {\n"
        "    input x\n    output y = x -> Dense(a60)\n}\n" + network("output y = x -> B(n)", parameters="(n: int = 8)"),
        "E0310",
    ),
    "doubled conditions": (
        network(
            "output y = x -> B0(n)",
            parameters="(n: int = 8)",
            before=chain(38, "x -> B{}(n if n > 0 else n)", "x -> Dense(n)"),
        ),
        "E0310",
    ),
    "doubled sizes": (
        network("h = x", "for i in range(40) { h = (h, h) -> Concatenate() }", "output y = h")
        .replace("[8]", "[n]")
        .replace("Net", "Net(n: int = 8)"),
        "",
    ),
    "a size of many steps": (
        network("h = x", "for i in range(400) { h = h -> MaxPooling1D(1, s, padding=same) }", "output y = h")
        .replace("[8]", "[n, 1]")
        .replace("Net", "Net(n: int = 8, s: int = 1)"),
        "E0703",
    ),
    # Loops, blocks and stacks that do not end, or not soon
    "loops in loops": (
        network("for i in range(1_000) { for j in range(1_000) { } }", "output y = x -> Dense(2)"),
        "E0703",
    ),
    "loops of chains": (
        network("h = x", "for i in range(8_000) { h = h" + " -> relu" * 140 + " }", "output y = h -> Dense(2)"),
        "E0703",
    ),
    "loops of sums": (
        network("h = x", "for i in range(8_000) { h = h" + " + x" * 140 + " }", "output y = h -> Dense(2)"),
        "E0703",
    ),
    "loops of conditions": (
        network("for i in range(8_000) { if " + "1 + " * 140 + "1 > 0 { } }", "output y = x -> Dense(2)"),
        "E0703",
    ),
    "loops of lists": (
        network("for i in range(8_000) { if len(range(99_999)) == 1 { } }", "output y = x -> Dense(2)"),
        "E0703",
    ),
    "a loop of declarations": (
        network("h = x", f"for i in range({many(6_000)}) {{ layer a[i] = Dense(8)\n h = h -> a[i] }}", "output y = h"),
        "",
    ),
    "a loop of annotations": (
        network(
            "h = x",
            f"for i in range({many(6_000)}) {{ layer a[i] = Dense(8) symmetric\n h = h -> a[i] }}",
            "output y = h",
        ),
        "",
    ),
    "a loop of assertions": (
        network(f"for i in range({many(8_000)}) {{ assert parameters > 0 }}", "output y = x -> Dense(8)"),
        "",
    ),
    "a loop of mistakes": (network(f"for i in range({many(8_000)}) {{ h = x -> Dnse(8) }}", "output y = x"), "E0301"),
    "a loop of outputs": (network(f"for i in range({many(8_000)}) {{ output y = x }}"), "E0202"),
    "a deep stack": (network(f"output y = x -> Dense(8) * {MANY + 1}"), "E0703"),
    "an endless stack": (network("output y = x -> Dense(8) * 9_000_000_000_000"), "E0703"),
    "stacks of stacks": (network("output y = x -> Dense(8)" + " * 90" * 100), "E0703"),
    "a block in itself": (
        network("output y = x -> B(1)", before="block B(n: int) {\n    input x\n    output y = x -> B(n + 1)\n}\n"),
        "E0213",
    ),
    "blocks in one another": (
        network(
            "output y = x -> A()",
            before="block A {\n    input x\n    output y = x -> B()\n}\n"
            "block B {\n    input x\n    output y = x -> A()\n}\n",
        ),
        "E0213",
    ),
    "blocks that double": (
        network("output y = x -> B0(8)", before=chain(35, "x -> B{0}(n) -> B{0}(n)", "x -> relu")),
        "E0703",
    ),
    "blocks that double by stacks": (
        network("output y = x -> B0(8)", before=chain(35, "x -> B{0}(n) * 9", "x -> relu")),
        "E0703",
    ),
    "many blocks deep": (network("output y = x -> B0(8)", before=chain(400, "x -> B{0}(n)", "x -> relu")), "E0105"),
    # Much of something
    "many networks": ("network N {}\n" * many(5_000), "E0202"),
    "many mistakes": (network(*["h = x -> Dnse(8)"] * many(5_000), "output y = x"), "E0301"),
    "many unknown names": (network(*[f"h = x{n} -> relu" for n in range(many(5_000))], "output y = x"), "E0201"),
    "many syntax errors": (network(*["h = = x"] * many(5_000), "output y = x"), "E0101"),
    "many constants": (
        "const a0 = 8\n"
        + "".join(f"const a{n + 1} = a{n} + 0\n" for n in range(many(10_000)))
        + network(f"output y = x -> Dense(a{many(10_000)})"),
        "",
    ),
    "many parameters": (
        network("output y = x -> Dense(2)", parameters=f"({', '.join(f'a{n}: int = 1' for n in range(many(10_000)))})"),
        "",
    ),
    "many inputs": (network(*[f"input x{n}: [8]" for n in range(many(5_000))], "output y = x -> Dense(2)"), ""),
    "many layers": (network(*[f"layer a{n} = Dense(8)" for n in range(many(10_000))], "output y = x -> a1"), ""),
    "many annotations": (
        network("layer a = Dense(8) " + ", ".join(["symmetric"] * many(10_000)), "output y = x -> a"),
        "",
    ),
    "many regions": (network(f"layer a = Dense(8) zero[{', '.join(['0'] * many(20_000))}]", "output y = x -> a"), ""),
    "many arguments": (network(f"output y = x -> Dense({', '.join(['8'] * many(20_000))})"), "E0305"),
    "many ties": (
        network(
            "layer a0 = Dense(8)",
            "h = x -> a0",
            *[f"layer a{n + 1} = Dense(8) tie(a{n}.kernel.T); h = h -> a{n + 1}" for n in range(many(500))],
            "output y = h",
        ),
        "",
    ),
    "a long name": (network(f"output {'y' * MANY} = x -> Dense(2)"), ""),
    "a long unknown name": (network(f"output y = x -> {'D' * MANY}(2)"), "E0301"),
    "a long string": (network(f'output y = x -> Activation("{"r" * MANY}")'), "E0304"),
    "a long unclosed string": (network('output y = "' + "a" * MANY), "E0103"),
    "quotes": ('"' * (MANY + 1), "E0101"),
    "backslashes": ("\\" * MANY, "E0101"),
    "spaces": (" " * many(1_000_000) + "x", "E0101"),
    "empty lines": ("\n" * many(1_000_000) + "x", "E0101"),
    "carriage returns": ("\r" * MANY, "E0101"),
    "semicolons": (network(";" * MANY, "output y = x -> Dense(2)"), ""),
    "a long comment": ("#" * many(1_000_000), "E0208"),
    "much documentation": ("## x\n" * many(20_000) + network("output y = x -> Dense(2)"), ""),
    "tabs": (network("\t" * MANY + "output y = = x"), "E0101"),
    "zero bytes": (b"\0" * MANY, "E0101"),
    "random bytes": (bytes(range(256)) * 400, "E0601"),
    "half a character": (network("output y = x").encode() + b"\xe2\x82", "E0601"),
    "UTF-16": (network("output y = x").encode("utf-16"), "E0601"),
    # Weights
    "many words": (network(*["h = x"] * many(36_000), "output y = h"), ""),
    "too many words": (network(";" * 200_000), "E0604"),
    "mistakes far down": (network(*["h = x"] * many(8_000), *["h = = x"] * 50), "E0101"),
    "many annotations of one weight": (
        network(f"layer a = Dense(8) {', '.join(f'zero[{n % 64}]' for n in range(2_000))}", "output y = x -> a"),
        "",
    ),
    "the largest predicate": (network("layer a = Dense(2_000_000) zero[where i % 7 == 3]", "output y = x -> a"), ""),
    "the largest symmetry": (
        network("layer a = Dense(4_000) symmetric, zero[where (i + j) % 3 == 0]", "output y = x -> Dense(4_000) -> a"),
        "",
    ),
    "a huge predicate": (
        network("layer a = Dense(9_000_000_000) zero[where i % 7 == 3]", "output y = x -> a"),
        "E0702",
    ),
    "a large predicate": (
        network("layer a = Dense(60_000) zero[where (i * j) ** 3 % 7 == 3]", "output y = x -> a"),
        "",
    ),
    "powers in a predicate": (
        network("layer a = Dense(1_000) zero[where i ** 64 ** 64 > 0]", "output y = x -> a"),
        "E0310",
    ),
    "a division by zero in a predicate": (
        network("layer a = Dense(8) zero[where i // (j - j) > 0]", "output y = x -> a"),
        "E0511",
    ),
    "a large solution": (
        network("layer a = Dense(900_000) symmetric(0, 1), equal[diagonals], zero[::3]", "output y = x -> a"),
        "E0502",
    ),
    "einsum of many letters": (network(f'output y = einsum("{"a" * MANY}->b", x)'), "E0401"),
    "many axes": (
        f"network Net {{\n    input x: [{', '.join(['1'] * many(5_000))}]\n    output y = x -> Flatten()\n}}\n",
        "",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_text_that_means_harm(name: str, tmp_path: Path) -> None:
    text, code = HOSTILE[name]
    path = tmp_path / "net.wnet"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = path.read_bytes()
    limit = ["--max-layers", str(LIMIT)]
    statuses, said = run(
        tmp_path,
        ["check", "net.wnet", *limit],
        ["fmt", "--check", "net.wnet"],
        ["build", "net.wnet", "-o", "-", *limit],
    )
    if code:
        assert f"[{code}]" in said, said[:2000]
        assert statuses[0] == statuses[2] == 1
    else:
        assert statuses[0] == statuses[2] == 0, said[:2000]
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["net.wnet"]


@pytest.mark.parametrize(
    "annotation", ["zero[diagonal]", "zero[::7]", "fixed[(:, 0:9)] = 1", "equal[rows]", "zero[lower]"]
)
@pytest.mark.parametrize("size", [2**63, 10**400], ids=["more than 64 bits", "more than a float"])
def test_sizes_beyond_what_machines_count(annotation: str, size: int) -> None:
    text = (
        f"network Net {{\n    input x: [{size}]\n    layer a = Dense({size}) {annotation}\n    output y = x -> a\n}}\n"
    )
    net = wdsl.loads(text)
    assert net.dense_parameters == size * size + size
    assert net.to_python()


def test_more_layers_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(network("output y = x -> Dense(8) * 30"))
    statuses, said = run(
        tmp_path,
        ["check", "net.wnet", "--max-layers", "29"],
        ["check", "net.wnet", "--max-layers", "40"],
        ["summary", "net.wnet", "--max-layers", "29"],
        ["build", "net.wnet", "--max-layers", "29"],
    )
    assert statuses == [1, 0, 1, 1]
    assert said.count("[E0703]") == 3


# --- files ----------------------------------------------------------------------------------------

SECRET = "the_secret_of_another_folder"


def with_files(folder: Path) -> Path:
    """A root, in a folder with what is none of its business."""
    root = folder / "root"
    root.mkdir()
    (folder / "secret.wnet").write_text(f"const {SECRET} = 1\n = {SECRET}\n")
    (folder / "secret.csv").write_text(f"{SECRET},1\n")
    (root / "out.wnet").symlink_to("../secret.wnet")
    (root / "out.csv").symlink_to(folder / "secret.csv")
    (root / "around").symlink_to("..")
    (root / "endless.wnet").symlink_to("endless.wnet")
    (root / "zeros.wnet").symlink_to("/dev/zero")
    (root / "process.wnet").symlink_to("/proc/self/environ")
    os.mkfifo(root / "pipe.wnet")
    (root / "folder.wnet").mkdir()
    with (root / "sparse.wnet").open("wb") as file:
        file.truncate(2**34)
    (root / "bytes.wnet").write_bytes(bytes(range(256)))
    return root


PATHS = {
    "../secret.wnet": "E0603",
    "out.wnet": "E0603",
    "around/secret.wnet": "E0603",
    "around/root/../secret.wnet": "E0603",
    "/etc/passwd": "E0603",
    "endless.wnet": "E06",
    "zeros.wnet": "E0603",
    "process.wnet": "E0603",
    "pipe.wnet": "E0604",
    "folder.wnet": "E0604",
    "sparse.wnet": "E0604",
    "bytes.wnet": "E0601",
    "net.wnet": "E0607",
    "": "E0602",
    ".": "E0604",
    "a" * 5_000: "E06",
    "a/" * 5_000: "E06",
    "../" * 5_000 + "etc/passwd": "E0603",
    "~/x": "E0602",
    "nul\\n": "E06",
    "http://localhost/x": "E0602",
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40] or "nothing")
def test_paths_that_lead_astray(path: str, tmp_path: Path) -> None:
    root = with_files(tmp_path)
    (root / "net.wnet").write_text(
        network("output y = x", before=f'import "{path}" as it\nfrom "{path}" import {SECRET}\n')
    )
    statuses, said = run(root, ["check", "net.wnet"], ["build", "net.wnet"])
    assert statuses == [1, 1]
    assert f"error[{PATHS[path]}" in said
    assert said.count(f"const {SECRET}") == 0
    assert not (root / "net.py").exists()


@pytest.mark.parametrize(
    "path", ["../secret.csv", "out.csv", "around/secret.csv", "zeros.wnet", "pipe.wnet", "sparse.wnet"]
)
def test_tables_that_lead_astray(path: str, tmp_path: Path) -> None:
    root = with_files(tmp_path)
    (root / "net.wnet").write_text(network(f'layer a = Dense(8) zero[mask("{path}")]', "output y = x -> a"))
    statuses, said = run(root, ["check", "net.wnet"])
    assert statuses == [1]
    assert "error[E060" in said
    assert SECRET not in said


def npy(header: bytes, data: bytes = b"") -> bytes:
    """What NumPy's format has at its beginning, with this for a header."""
    return b"\x93NUMPY\x01\x00v\x00" + header.ljust(117, b" ") + b"\n" + data


EFFECT = b"cos\nsystem\n(S'touch effect'\ntR."
TABLES: dict[str, bytes] = {
    "digits.csv": b"9" * 10**6,
    "commas.csv": b"," * 10**6,
    "lines.csv": b"\n" * 10**6,
    "zeros.csv": b"\0" * 10**6,
    "huge.csv": b"1e999999,nan,inf,0x10,1_0,--1,1,1",
    "object.npy": npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (8, 8), }", EFFECT),
    "shape.npy": npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 99999), }"),
    "negative.npy": npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 8), }"),
    "deep.npy": b"\x93NUMPY\x01\x00\xf0\x1f" + b"(" * 8176,
    "long.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"{" * 1000,
    "code.npy": npy(b"__import__('os').system('touch effect')"),
    "pickle.npy": EFFECT,
    "version.npy": b"\x93NUMPY\x09\x09",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_mean_harm(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(TABLES[name])
    (tmp_path / "net.wnet").write_text(network(f'layer a = Dense(8) zero[mask("{name}")]', "output y = x -> a"))
    statuses, said = run(tmp_path, ["check", "net.wnet"])
    assert statuses == [1]
    assert "error[E060" in said
    assert not (tmp_path / "effect").exists()


def test_many_files_in_a_row_and_in_a_circle(tmp_path: Path) -> None:
    count = 2_000
    for number in range(count):
        (tmp_path / f"n{number}.wnet").write_text(f'from "n{number + 1}.wnet" import size\n')
    (tmp_path / f"n{count}.wnet").write_text("const size = 8\n")
    statuses, said = run(tmp_path, ["check", "n0.wnet"])
    assert statuses == [0], said
    (tmp_path / f"n{count}.wnet").write_text('from "n0.wnet" import size\n')
    statuses, said = run(tmp_path, ["check", "n0.wnet"])
    assert statuses == [1]
    assert "error[E0607]" in said


def test_files_that_import_two_each(tmp_path: Path) -> None:
    """Each of 60 imports the next one twice: 2 ** 60 ways lead to the last."""
    for number in range(60):
        (tmp_path / f"n{number}.wnet").write_text(
            f'import "n{number + 1}.wnet" as one\nimport "./n{number + 1}.wnet" as other\nconst size = one.size\n'
        )
    (tmp_path / "n60.wnet").write_text("const size = 8\n")
    statuses, said = run(tmp_path, ["check", "n0.wnet"])
    assert statuses == [0], said


# --- Python that comes out ------------------------------------------------------------------------

BREAKOUT = "\"\"\"'''\\\"); __import__('os').system('touch effect') #"
PYTHON = {
    "documentation": "".join(f"## {BREAKOUT}\n## \\\n## {{{{ 7 * 7 }}}}\n## {{% endfor %}}\n")
    + network(
        '## """',
        "layer a = Dense(4)",
        f"## {BREAKOUT}",
        "output y = x -> a",
        parameters=f"(\n    ## {BREAKOUT}\n    n: int = 3\n)",
    ),
    "odd lines": "## \x0cimport os\r## \x0b\u2028import os\u2029\x85import os\n"
    + network("output y = x # \x0cimport os\u2028import os\r"),
    "a string": network(
        "output y = x -> Dense(4)",
        parameters=f'(word: str = "{BREAKOUT.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}")',
    ),
    "names of Python": network(
        *[
            f"layer {name} = Dense(8)"
            for name in ("eval", "exec", "open", "lambda", "class", "None", "print", "self", "async")
        ],
        "h = x -> eval -> exec -> open -> lambda -> class -> print -> self -> async",
        "__import__ = h",
        "output __builtins__ = __import__",
    ),
    "names of the module": network(
        *[
            f"layer {name} = Dense(8) symmetric"
            for name in ("keras", "layers", "ops", "np", "initializers", "operator")
        ],
        "output math = x -> keras -> layers -> ops -> np -> initializers -> operator",
    ),
    "a class that is none": "extern Os(command: str) = os.system : [n] -> [n]\n"
    + network('output y = x -> Os("touch effect")', 'layer a = Os("touch effect")', "output z = x -> a"),
}


@pytest.mark.parametrize("name", PYTHON)
def test_nothing_breaks_out_into_python(name: str, tmp_path: Path) -> None:
    """What is written has no calls but of Keras, and building it has no effect."""
    text = PYTHON[name]
    (tmp_path / "net.wnet").write_bytes(text.encode())
    statuses, said = run(tmp_path, ["check", "net.wnet"], ["build", "net.wnet"], ["fmt", "net.wnet"])
    assert sorted(each.name for each in tmp_path.iterdir()) in (["net.py", "net.wnet"], ["net.wnet"])
    if statuses[1] == 0:
        tree, _ = parse(Source("net.wnet", text))
        oracles.only_ours((tmp_path / "net.py").read_text(), tree)
    else:
        assert "error[" in said


@pytest.mark.parametrize(
    "name", ['"""\nimport os\n"""', "a\nb", "\x1b[31m", "# a", "{{ 7 }}", "\udcff", " ", "-o", "a\r\n"]
)
def test_names_of_files_that_mean_harm(name: str, tmp_path: Path) -> None:
    """They stand in the module and in reports."""
    path = tmp_path / f"{name}.wnet"
    path.write_text(network("output y = x -> Dense(2)"))
    (tmp_path / "bad.wnet").write_text("")
    statuses, _ = run(tmp_path, ["build", f"./{path.name}", "-o", "net.py"], ["check", f"./{path.name}"])
    assert statuses == [0, 0]
    tree, _ = parse(Source("net.wnet", path.read_text()))
    oracles.only_ours((tmp_path / "net.py").read_text(), tree)
    path.write_text("network\n")
    statuses, said = run(tmp_path, ["check", f"./{path.name}"])
    assert statuses == [1]
    assert all(each.isprintable() for each in said.replace("\n", ""))


def test_a_terminal_obeys_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_bytes(b"network Net { \x1b]0;title\x07 \x1b[2J\r\xe2\x80\xae\n}" + "\x9b31m".encode())
    statuses, said = run(tmp_path, ["check", "net.wnet"])
    assert statuses == [1]
    assert all(each.isprintable() for each in said.replace("\n", ""))


@pytest.mark.parametrize(
    "value", ["[" * 60_000, "9" * 60_000, "{" * 9_000, '"' + "a" * 100_000 + '"', "[" * 60 + "]" * 60, "1e999"]
)
def test_values_that_mean_harm(value: str, tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(network("output y = x -> Dense(n)", parameters="(n = 8)"))
    statuses, said = run(tmp_path, ["check", "net.wnet", "--set", f"n={value}"])
    assert statuses == [1]
    assert "error[E03" in said
