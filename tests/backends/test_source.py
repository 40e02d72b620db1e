"""The generated module as source: clean to a linter, as a formatter writes it, importing Keras alone, and only data
of the spec in it, never code."""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest

import wdsl
from wdsl.backends import python
from wdsl.backends.classes import FUNCTIONS
from wdsl.network import graph

ROOT = Path(__file__).parents[2]
DEFINED = (ast.ClassDef, ast.FunctionDef)
SPECS = sorted(path for path in (ROOT / "specs").rglob("*.wnet") if path.parent.name != "parts")
LINT = ("check", "--isolated", "--line-length", "88", "--select", "E,F,W,I,UP,B,PIE,RET,SIM", "--ignore", "E501")
"""E501 is about the spec in the docstring, whose lines are as long as they are."""

NASTY = {path.stem: path.read_text() for path in sorted(Path(__file__).parent.joinpath("specs").glob("*.wnet"))} | {
    "long_chain": "network Chain {\n    input x: [4]\n    output y = x" + " -> tanh -> Dense(4)" * 30 + "\n}\n",
    "long_sum": "network Sum {\n    input x: [4]\n    output y = x + " + " + ".join(["x * 2"] * 40) + " -> tanh\n}\n",
    "deep": "network Deep {\n    input x: [4]\n    output y = " + "(" * 70 + "x" + " + 1)" * 70 + "\n}\n",
    "many_inputs_and_outputs": "network Many {\n"
    + "".join(f"    input input_number_{n}: [4]\n" for n in range(12))
    + f"    output total = [{', '.join(f'input_number_{n}' for n in range(12))}] -> Add()\n"
    + "".join(f"    output output_number_{n} = input_number_{n} -> Dense(2)\n" for n in range(12))
    + "}\n",
    "docs": (
        '## "quoted" with """ and \' and \\ and \\n and \\N{BULLET} and \\x41 {{ braces }} {% tags %} %s \\\n'
        '## ends in "\n'
        'network Docs(\n    ## of \\ and """\n    n: int = 3) {\n'
        '    ## """ \r import os \r\n'
        "    ## \u202e turned \u2066 \x1b[31m \u2028 \x0c \x85 \x00 \ufeff \U000e0001 after, äöü 漢字 😀 \\\n"
        "    input x: [4]\n"
        '    # a comment \u202e with """ in it \\\n'
        "    layer d = Dense(n)\n"
        '\t\toutput y = x -> d  # tab\tand """"""\n'
        '}\n# """"'
    ),
    "starts_with_a_quote": "## \"\nnetwork Quote {\n    ## '\n    input x: [4]\n    output y = x -> Dense(1)\n}\n",
}


def ruff(*arguments: str, folder: Path) -> str:
    """What ruff says about the files of a folder; empty if nothing."""
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Generated modules by the names of their files."""
    nets = {path.stem: wdsl.load(path) for path in SPECS}
    nets |= {name: wdsl.loads(text, f"{name}.wnet") for name, text in NASTY.items()}
    return {f"{name}.py": net.to_python() for name, net in nets.items()}


@pytest.fixture(scope="module")
def folder(sources: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sources")
    for name, source in sources.items():
        (place / name).write_text(source, encoding="utf-8", newline="\n")
    return place


def test_linter(folder: Path) -> None:
    assert ruff(*LINT, "--output-format=concise", folder=folder) == ""


def test_formatter(folder: Path) -> None:
    assert ruff("format", "--isolated", "--line-length", "88", "--diff", folder=folder) == ""


def test_code_is_not_wider_than_a_formatter_allows(sources: dict[str, str]) -> None:
    for name, source in sources.items():
        strings = {
            line
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
        }
        for number, line in enumerate(source.split("\n"), 1):
            comment = line.lstrip().startswith("#")
            assert len(line) <= 88 or number in strings or comment, f"{name}:{number}: {line}"


def modules_of(source: str) -> Iterable[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name.split(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield (node.module or "").split(".")[0]


def test_imports(sources: dict[str, str]) -> None:
    for name, source in sources.items():
        imported = set(modules_of(source)) - set(sys.stdlib_module_names)
        assert imported <= {"keras", "numpy"}, name
        # What is imported is used, so a spec without annotations needs Keras alone.
        assert "__import__" not in source
    assert set(modules_of(sources["siamese.py"])) == {"keras"}
    assert set(modules_of(sources["takes_apart.py"])) == {"keras"}


def test_a_module_holds_what_its_network_uses(sources: dict[str, str]) -> None:
    body = ast.parse(sources["hopfield.py"]).body
    assert [node.name for node in body if isinstance(node, DEFINED)] == ["Hopfield", "refused", "Recall"]
    for name, source in sources.items():
        module = ast.parse(source)
        names = [node.name for node in module.body if isinstance(node, DEFINED)]
        used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
        # The network is there for whoever has the module.
        assert len({*names} - used) == 1, name


def test_the_spec_stands_in_the_docstring(sources: dict[str, str]) -> None:
    for path in SPECS:
        net = wdsl.load(path)
        docstring = ast.get_docstring(ast.parse(sources[f"{path.stem}.py"])) or ""
        for line in path.read_text(encoding="utf-8").split("\n"):
            assert f"    {line}".rstrip() in docstring.split("\n")
        assert str(path) in docstring
        assert net.network.doc in docstring
    # Whatever stands in it, what Python reads is the text.
    docstring = ast.get_docstring(ast.parse(sources["docs.py"]), clean=False) or ""
    for line in NASTY["docs"].expandtabs(4).split("\n"):
        assert f"    {line}".rstrip() in [each.rstrip() for each in docstring.split("\n")]


def test_every_statement_names_its_line(sources: dict[str, str]) -> None:
    for path in SPECS:
        text = path.read_text(encoding="utf-8")
        if re.search(r"(?m)^ *(block|for|from) ", text):
            continue  # what stands in them has names that the text has not
        lines = text.split("\n")
        source = sources[f"{path.stem}.py"].split('"""')[4]
        named = {int(line.rsplit("  # line ", 1)[1]) for line in source.split("\n") if "  # line " in line}
        assert {
            number for number, line in enumerate(lines, 1) if re.match(r"    (input|layer|weight|output) ", line)
        } <= named
        for number in named:
            head = re.match(r"    (?:(?:input|layer|weight|output) )?(\w+)(?:, \w+)* *[:=]", lines[number - 1])
            assert head is not None, lines[number - 1]
            name = rf"({head[1]}_?|coupled_weights)" if "weight " in head[0] else f"{head[1]}_?"
            assert re.search(rf"^    {name}(, \w+)* = (.*\n)*?.*  # line {number}$", source, re.MULTILINE)


def test_parameters_are_arguments(sources: dict[str, str], python_module: Callable[[str], ModuleType]) -> None:
    (function,) = [node for node in ast.parse(sources["names.py"]).body if getattr(node, "name", "") == "Names"]
    assert isinstance(function, ast.FunctionDef)
    names = [each.arg for each in function.args.args]
    assert len(set(names)) == 7
    assert not set(names) & {"lambda", "list", "l"}
    module = python_module(sources["many_parameters.py"])
    expected = {each.name: each.value for each in wdsl.loads(NASTY["many_parameters"]).network.parameters}
    defaults = module.Many.__defaults__
    assert dict(zip(expected, defaults, strict=True)) == expected


# --- nothing in a spec becomes code ---------------------------------------------------------------

HOSTILE = (
    '"""; SENTINEL.append(1); """',
    "'''; SENTINEL.append(1)",
    '\\"""; SENTINEL.append(1) #',
    '\\\\"""\nSENTINEL.append(1)\n"""',
    "\r SENTINEL.append(1)",
    "\x0cSENTINEL.append(1)",
    "\u2028SENTINEL.append(1)",
    "\x85 SENTINEL.append(1)",
    "\\N{SENTINEL}",
    "\\u0022\\u0022\\u0022 SENTINEL.append(1)",
    "{{ SENTINEL.append(1) }}",
    "{% set x = SENTINEL.append(1) %}",
    "{SENTINEL.append(1)}",
    "# -*- coding: rot13 -*-",
    "coding: utf-7",
    "\x00",
    "\udc80\ud800",
    "\u202e\u2066 SENTINEL.append(1)",
    "\\",
    '"',
    '""',
)


def test_nothing_becomes_code() -> None:
    sentinel: list[int] = []
    for text in HOSTILE:
        one_line = text.replace("\n", " ")
        string = one_line.replace("\\", "\\\\").replace('"', '\\"').replace("\x00", "")
        spec = (
            f'## {one_line}\n# {one_line}\nnetwork Hostile(\n    ## {one_line}\n    s: str = "{string}",\n) {{\n'
            f"    ## {one_line}\n    input x: [2]\n    ## {one_line}\n"
            f'    layer d = Dense(2, activation="relu" if s == "{string}" else "tanh") {{ # {one_line}\n'
            f"        kernel: symmetric  # {one_line}\n    }}\n    ## {one_line}\n"
            f"    output y = x -> d # {one_line}\n}}\n# {one_line}"
        )
        source = wdsl.loads(spec, f"{text}/a.wnet").to_python()
        names = {"SENTINEL": sentinel, "__name__": "hostile"}
        exec(compile(source.encode(), "hostile.py", "exec", dont_inherit=True), names)
        assert names["Hostile"].__defaults__ == (one_line.replace("\x00", ""),)
        names["Hostile"]()
        assert sentinel == [], text
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and node.id == "SENTINEL"]
        assert calls == []
        # Nothing that hides, turns the direction of the text, or ends a line.
        assert {char for char in source if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")} <= {"\n"}


def test_hostile_words_where_names_are_due() -> None:
    """What is not a name is refused, before anything is written."""
    for word in ("a b", "a;b", 'a"b', "a\nb=1", "a.b", "é", "а", "a'", "__import__('os')", "1a"):
        for spec in (
            f"network {word.capitalize()} {{\n    input x: [2]\n    output y = x -> Dense(1)\n}}",
            f"network N({word}: int = 1) {{\n    input x: [2]\n    output y = x -> Dense(1)\n}}",
            f"network N {{\n    input {word}: [2]\n    output y = {word} -> Dense(1)\n}}",
            f"network N {{\n    input x: [2]\n    layer {word} = Dense(1)\n    output y = x -> {word}\n}}",
        ):
            with pytest.raises(wdsl.WdslError):
                wdsl.loads(spec)


# --- names of the module --------------------------------------------------------------------------


def test_no_network_takes_a_name_that_the_module_needs() -> None:
    """What may stand beside the network's function, and what Python builds in, is refused as the network's name."""
    text = "network {} {{\n    input x: [2]\n    layer d = Dense(2) symmetric\n    output y = x -> d\n}}\n"
    taken = {name for name in dir(builtins) if name[0].isupper() and name.isidentifier()} | graph.NEEDED
    assert {"ValueError", "None", "Shared"} <= taken
    for name in taken:
        with pytest.raises(wdsl.WdslError) as caught:
            wdsl.loads(text.format(name))
        assert [each.code for each in caught.value.diagnostics] == ["E0207"], name
    for name in ("Hopfield", "D", "Structured", "Symmetric", "Index"):
        defined = [node.name for node in ast.parse(wdsl.loads(text.format(name)).to_python()).body
                   if isinstance(node, DEFINED)]  # fmt: skip
        assert defined.count(name) == 1
        assert len({*defined}) == len(defined) == 3  # the network, its class, and what that refuses


WORDS = {"False", "None", "True", "l", "not", "if", "else", "or", "and"}
"""What means something else to wnet itself."""


def test_no_variable_takes_a_name_that_the_module_needs() -> None:
    """Nothing that the network's function calls may be hidden by a variable of it."""
    for name in sorted({*FUNCTIONS, *python.RESERVED} - WORDS):
        if not (name[0].islower() and name.isidentifier()):
            continue
        text = (
            f"network Net({name}: int = 2) {{\n    input x: [2]\n"
            f"    layer d = Dense({name}) symmetric, zero[where i == {name} and j > 0]\n    output y = x -> d\n}}\n"
        )
        tree = ast.parse(wdsl.loads(text).to_python())
        (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "Net"]
        (argument,) = [each.arg for each in function.args.args]
        calls = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} - {argument, "d", "x", "y"}
        assert argument not in {*calls, "keras"}, name
