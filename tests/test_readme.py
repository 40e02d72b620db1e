"""The README and docs/ cannot drift: what they show is compiled, run and compared.

What a fenced block says after its three backticks tells what happens to it:

    wnet [FILE]      compiles without a word, and is written to FILE for the blocks below it
    wnet wrong FILE  does not compile; a console block below shows what is said of it
    python           is run; all of a document's blocks share their names
    text             is what the python block above it printed
    python of SPEC   is the network's function in the module that `wdsl build SPEC` writes
    console          `$ wdsl …` and what it prints; a line `…` stands for any number of lines
    sh               commands for a shell, not run here
    (nothing)        a drawing

Each document is read in a folder of its own, with a copy of specs/ in it. `pytest tests/test_readme.py
--update-golden` writes the blocks anew that show what something gives.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import wdsl
from wdsl.diagnostics import CODES
from wdsl.tools.cli import main
from wdsl.tools.reports import text as report

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^\| `?([EW]\d{4})`? \| (.*?) \| (.*?) \|$", re.MULTILINE)


class Document:
    """A document on its way: what its python blocks have defined, and what the last of them printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.names: dict[str, object] = {"__name__": path.stem}
        self.printed = ""

    def run(self) -> str:
        """The document as it should be. Raises if a block does not do what it is there for."""
        return FENCE.sub(self.checked, self.text)

    def checked(self, fence: re.Match[str]) -> str:
        try:
            block = self.block(fence[1].split(), fence[2])
        except Exception as error:
            line = self.text.count("\n", 0, fence.start()) + 1
            raise AssertionError(f"{self.path.relative_to(ROOT)}, the block at line {line}: {error}") from error
        return f"```{fence[1]}\n{block}```"

    def block(self, info: list[str], block: str) -> str:
        match info:
            case ["wnet"]:
                compiles(block, "example.wnet")
            case ["wnet", file]:
                compiles(block, file)
                Path(file).write_text(block, encoding="utf-8")
            case ["wnet", "wrong", file]:
                with pytest.raises(wdsl.WdslError):
                    wdsl.loads(block)
                assert f"$ wdsl check {file}" in self.text, "no console block shows what is said of it"
                Path(file).write_text(block, encoding="utf-8")
            case ["python"]:
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(block, "block", "exec"), self.names)
                self.printed = out.getvalue()
            case ["text"]:
                return self.printed
            case ["python", "of", spec]:
                return function(wdsl.load(spec))
            case ["console"]:
                return "".join(map(ran, re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)))
            case ["sh"] | []:
                pass
            case _:
                raise AssertionError(f"a block says {' '.join(info)!r}, which means nothing here")
        return block


def compiles(text: str, name: str) -> None:
    try:
        said = wdsl.loads(text, name).diagnostics
    except wdsl.WdslError as error:
        said = error.diagnostics
    assert not said, report(said)


def function(net: wdsl.Net) -> str:
    """The network's function, as it stands in the module."""
    source = net.to_python()
    (found,) = (node for node in ast.parse(source).body if getattr(node, "name", "") == net.name)
    return "".join(source.splitlines(keepends=True)[found.lineno - 1 : found.end_lineno])


def ran(command_and_output: tuple[str, str]) -> str:
    """A command and what it prints, or what was shown if that says the same with `…`."""
    command, shown = command_and_output
    program, *arguments = shlex.split(command)
    assert program == "wdsl", f"{command}: only wdsl is run here; other commands stand in blocks of kind sh"
    output = CliRunner().invoke(main, arguments, prog_name="wdsl", catch_exceptions=False).output
    same = re.fullmatch(re.escape(shown).replace("…\n", "(?:.*\n)*"), output)
    return f"$ {command}\n{shown if same else output}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_is_true(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    update_golden: bool,
    same_text: Callable[[Path, str, str], None],
) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    document = Document(path)
    now = document.run()
    if update_golden:
        path.write_text(now, encoding="utf-8", newline="\n")
    else:
        same_text(path, document.text, now)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def rows() -> dict[str, tuple[str, str]]:
    """The table of docs/errors.md: for each code its meaning and an example."""
    found = CODE.findall((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))
    assert len({code for code, _, _ in found}) == len(found), "a code has two rows"
    return {code: (meaning, example) for code, meaning, example in found}


def test_the_table_of_errors_is_that_of_the_compiler() -> None:
    assert sorted(rows()) == sorted(CODES)


@pytest.mark.parametrize("code", [code for code in CODES if rows().get(code, ("", ""))[1].startswith("`")])
def test_the_example_of_a_code_gives_it(code: str) -> None:
    """An example is a file, or statements of a network with an input `x: [8]`, which get an output if they lack one."""
    example = rows()[code][1].strip("`").replace("⏎", "\n")
    if not re.match(r"network|wnet|import|##", example):
        output = "" if "output" in example else "output y = x -> Dense(4)"
        if re.search(r"\blayer a\b", example) and not output == "":
            output = "output y = x -> a"
        example = f"network Net {{\n input x: [8]\n {example}\n {output}\n}}\n"
    try:
        said = wdsl.loads(example).diagnostics
    except wdsl.WdslError as error:
        said = error.diagnostics
    assert code in [one.code for one in said], report(said) or "not a word is said of it"
