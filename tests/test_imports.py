"""Imports run one way. Ruff holds every file to it (TID251); this holds ruff to it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EARLY = ["core", "text", "catalog", "syntax", "link", "annotations", "network"]
ORDER = [*EARLY, "structure", "weights", "plan", "models", "backends", "tools"]
LIBRARIES = ("keras", "tensorflow", "jinja2", "lark")
AT_HOME = {"wdsl/runtime/layers.py": {"keras"}}
"""The libraries that a whole room may import."""

MAY_NOT = {
    "wdsl/core/record.py": (*ORDER[1:], "runtime"),
    "wdsl/text/source.py": (*ORDER[2:], "runtime"),
    "wdsl/catalog/tree.py": ("text", *ORDER[3:], "runtime"),
    "wdsl/syntax/tree.py": ("catalog", *ORDER[4:], "runtime"),
    "wdsl/link/imports.py": (*ORDER[5:], "runtime"),
    "wdsl/annotations/reader.py": (*ORDER[6:], "runtime"),
    "wdsl/network/shapes.py": (*ORDER[7:], "runtime"),
    "wdsl/weights/solve.py": ("syntax", *ORDER[9:], "runtime"),
    "wdsl/plan/plan.py": ("syntax", *ORDER[10:], "runtime"),
    "wdsl/models/verify.py": ("catalog", "syntax", "link", "annotations", "network", "plan", "backends", "tools"),
    "wdsl/structure/views.py": (*EARLY, *ORDER[8:], "runtime"),
    "wdsl/runtime/layers.py": (*EARLY, *ORDER[8:]),
    "wdsl/backends/keras.py": ("syntax", "models", "tools", "backends.python"),
    "wdsl/backends/python.py": ("syntax", "models", "tools", "backends.keras"),
}

AT_THE_TOP: dict[str, set[str]] = {
    "__init__.py": {*ORDER, "runtime"},
    "__main__.py": {"tools"},
}
"""What the files at the top of the package may import of it: they share one ruff.toml, which cannot tell
them apart."""

THE_ONE_PLACE = {
    "wdsl/backends/keras.py": {"keras", "importlib"},
    "wdsl/backends/python.py": {"jinja2"},
    "wdsl/models/archives.py": {"keras"},
    "wdsl/models/assign.py": {"keras"},
    "wdsl/models/freeze.py": {"keras"},
    "wdsl/models/weights.py": {"keras"},
    "wdsl/models/ties.py": {"keras"},
    "wdsl/syntax/builder.py": {"lark"},
    "wdsl/syntax/explanations.py": {"lark"},
    "wdsl/syntax/lexer.py": {"lark"},
    "wdsl/syntax/parser.py": {"lark"},
    "wdsl/__init__.py": {"wdsl.backends", "wdsl.tools", "keras"},
    "wdsl/__main__.py": {"wdsl.tools"},
}
"""The only imports that may say `noqa: TID251`."""


def complaints(file: str, code: str) -> set[int]:
    """The lines of `code` that ruff would report if it stood in `file`."""
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251", "--output-format=concise"]
    command = [*ruff, "--stdin-filename", file, "-"]
    ran = subprocess.run(command, check=False, input=code, text=True, capture_output=True, cwd=ROOT)
    assert ran.returncode in (0, 1), ran.stderr
    return {int(line.split(":")[1]) for line in ran.stdout.splitlines() if ": TID251" in line}


@pytest.mark.parametrize("file", MAY_NOT)
def test_ruff_reports_an_import_of_a_later_stage(file: str) -> None:
    lines = []
    for room in MAY_NOT[file]:
        lines += [f"import wdsl.{room}", f"from wdsl.{room}.x import y"]
        lines += [f"def f(): from wdsl.{room} import y"]
    lines += [f"def f(): import {library}" for library in LIBRARIES if library not in AT_HOME.get(file, ())]
    lines += ["from click import echo", "import rich.console"]
    assert complaints(file, "\n".join(lines)) == set(range(1, len(lines) + 1))


@pytest.mark.parametrize("file", MAY_NOT)
def test_ruff_allows_an_import_of_an_earlier_stage(file: str) -> None:
    room = file.removeprefix("wdsl/").removesuffix(".py").split("/")[0]
    order = ORDER if room in ORDER else [*ORDER[:8], room]
    earlier = [one for one in order[: order.index(room) + 1] if one not in (*MAY_NOT[file], "backends")]
    assert complaints(file, "\n".join(f"import wdsl.{one}" for one in earlier)) == set()


def test_tools_reach_keras_through_the_public_api() -> None:
    assert complaints("wdsl/tools/x.py", "import wdsl\nimport click\n") == set()
    assert complaints("wdsl/tools/x.py", "\n".join(f"import {name}" for name in LIBRARIES)) == {1, 2, 3, 4}


def imported(file: Path) -> set[str]:
    """Every dotted name that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "wdsl").glob("*.py")), ids=lambda path: path.name)
def test_a_file_at_the_top_imports_only_earlier_stages(path: Path) -> None:
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("wdsl.")}
    assert rooms <= AT_THE_TOP[path.name]


def imports_of_the_package() -> dict[str, set[str]]:
    """For each module of wdsl the modules of wdsl that it imports, anywhere in it and for types alone too."""
    files = {path.relative_to(ROOT).with_suffix(""): path for path in (ROOT / "wdsl").rglob("*.py")}
    modules = {".".join(file.parts).removesuffix(".__init__"): path for file, path in files.items()}
    found = {}
    for name, path in modules.items():
        # `from wdsl.network import graph` imports wdsl.network.graph, `from wdsl.network.graph import Layer` too.
        pairs = ((each, each.rpartition(".")[0]) for each in imported(path))
        found[name] = {next((one for one in pair if one in modules), "") for pair in pairs} - {"", name}
    return found


def in_circles(imports: dict[str, set[str]]) -> set[str]:
    """The modules that import, by way of others, themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        queue = [start]
        while queue:
            new = imports[queue.pop()] - seen
            seen |= new
            queue += new
        return seen

    return {each for each in imports if each in reached(each)}


def test_no_imports_go_in_circles() -> None:
    """Not those in functions either, nor those under TYPE_CHECKING: each file can be read after those it imports."""
    imports = imports_of_the_package()
    assert len(imports) > 100
    assert "wdsl.core.record" in imports["wdsl.network.graph"]
    assert in_circles(imports) == set()


def test_a_circle_would_be_seen() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"c"}}
    assert in_circles(imports) == {"b", "c"}
    own = imports_of_the_package()
    own["wdsl.core.record"].add("wdsl.plan.plan")
    assert {"wdsl.core.record", "wdsl.plan.plan", "wdsl.network.graph"} <= in_circles(own)


def test_only_the_one_place_is_exempt() -> None:
    unforeseen = []
    for path in (ROOT / "wdsl").rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        for line in path.read_text(encoding="utf-8").splitlines():
            if "noqa: TID251" in line:
                package, *rest = line.split()[1].split(".")
                name = f"wdsl.{rest[0]}" if package == "wdsl" and rest else package
                if name not in THE_ONE_PLACE.get(file, ()):
                    unforeseen.append(f"{file}: {line.strip()}")
    assert unforeseen == []


def test_the_package_starts_without_what_it_may_not_need() -> None:
    code = "import sys, wdsl, wdsl.text.rendering; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, cwd=ROOT, check=True)
    assert not {"keras", "tensorflow", "jinja2", "click", "rich", "numpy", "json"} & set(ran.stdout.split())
