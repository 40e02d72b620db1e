"""The README and docs/ cannot drift: what they show is compiled, run and compared.

What a fenced block says after its three backticks tells what happens to it:

    wnet [FILE]      is in order without a word, and is written to FILE for the blocks below it
    wnet of FILE     is what stands in FILE
    wnet wrong FILE  has something wrong with it; a console block below shows what is said of it
    python           is run; all of a document's blocks share their names
    text             is what the python block above it printed
    python in FILE   stands so in that file of this repository, in or out of a list
    python of SPEC   is the functions of the network and its blocks in the module that `wdsl build SPEC` writes
    console          `$ wdsl …` and what it prints; a line `…` stands for any number of lines
    wnet CODE        has that code and no other; also `console CODE`, of a command
    wnet instead     has nothing wrong with it, where an example of a code had; also `console instead`
    csv FILE         is written to FILE
    json             is what `--format json` says of the `wnet wrong` block above it
    sh               commands for a shell, not run here
    (nothing)        a drawing

Each document is read in a folder of its own, with a copy of specs/ in it. `pytest tests/test_readme.py
--update-golden` writes the blocks anew that show what something gives.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

import wdsl
from wdsl import catalog
from wdsl.annotations.equations import MAX_ENTRIES
from wdsl.network.elaboration import MAX_LAYERS
from wdsl.syntax.lexer import MAX_BODIES, MAX_NESTING, MAX_TOKENS
from wdsl.text.diagnostics import CODES, Diagnostic
from wdsl.text.files import MAX_BYTES, MAX_TEXT
from wdsl.text.rendering import text as report
from wdsl.tools import explain, reports
from wdsl.tools.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Document:
    """A document on its way: what its python blocks have defined, and what the last of them printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.names: dict[str, object] = {"__name__": path.stem}
        self.printed = ""
        self.wrong = ("", "")

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
                assert not said_of(block), report(said_of(block))
            case ["wnet", "of", file]:
                return Path(file).read_text(encoding="utf-8")
            case ["wnet", "wrong", file]:
                assert said_of(block), "nothing is wrong with it"
                assert f"$ wdsl check {file}" in self.text, "no console block shows what is said of it"
                self.wrong = file, block
                Path(file).write_text(block, encoding="utf-8")
            case ["wnet", "instead"]:
                assert not (found := wdsl.checks(block, "net.wnet")), report(found)
            case ["wnet", code] if code in CODES:
                found = wdsl.checks(block, "net.wnet")
                assert {one.code for one in found} == {code}, report(found) or "not a word is said of it"
            case ["wnet" | "csv", file]:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                Path(file).write_text(block, encoding="utf-8")
                assert file.endswith(".csv") or not wdsl.check(file), report(wdsl.check(file))
            case ["python"]:
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(block, "block", "exec"), self.names)
                self.printed = out.getvalue()
            case ["text"]:
                return self.printed
            case ["python", "in", file]:
                lines, shown = (
                    [line.strip().rstrip(",") for line in text.splitlines()]
                    for text in ((ROOT / file).read_text(encoding="utf-8"), block)
                )
                found = (lines[start : start + len(shown)] == shown for start in range(len(lines)))
                assert any(found), f"this does not stand in {file}"
            case ["python", "of", spec]:
                return functions(wdsl.load(spec))
            case ["console", *about]:
                now = "".join(map(ran, re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)))
                codes = {*about} - {"instead"}
                assert not about or {*re.findall(r"^(?:error|warning)\[(.*?)\]", now, re.MULTILINE)} == codes, now
                return now
            case ["json"]:
                file, wrong = self.wrong
                [said] = json.loads(reports.json(wdsl.checks(wrong, file)))
                return json.dumps(said, indent=2, ensure_ascii=False) + "\n"
            case ["sh"] | []:
                pass
            case _:
                raise AssertionError(f"a block says {' '.join(info)!r}, which means nothing here")
        return block


def said_of(text: str) -> tuple[Diagnostic, ...]:
    """Errors, or the warnings of a network that compiles."""
    try:
        return wdsl.loads(text).diagnostics
    except wdsl.WdslError as error:
        return error.diagnostics


def functions(net: wdsl.Net) -> str:
    """The functions of the network and of blocks, as they stand in the module."""
    source = net.to_python()
    of_classes = {"refused", "joined", "joined_multiples", "scale_of", "with_fans", "with_gradient_of", "unpacked"}
    found = [
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name not in of_classes
    ]
    return "".join(source.splitlines(keepends=True)[found[0].lineno - 1 : found[-1].end_lineno])


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
    text = re.sub(r"(?ms)^```.*?^```$|`[^`\n]+`", "", path.read_text(encoding="utf-8"))  # `tie[R](w)` is no link
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    named = re.findall(
        r"(?:`|^    )((?:wdsl|tests|grammar|specs|docs|demo)/[\w./*]+)", path.read_text(encoding="utf-8"), re.M
    )
    assert [name for name in named if not [*ROOT.glob(name.rstrip("/"))]] == []


def test_the_language_lists_what_the_catalogue_has() -> None:
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    names: Iterable[str] = [*catalog.LAYERS]
    for registry in (catalog.INITIALIZERS, catalog.REGULARIZERS, catalog.CONSTRAINTS):
        names = [*names, *(one.name for one in registry.values())]
    assert [name for name in names if f"`{name}`" not in text] == []
    _, _, listed = text.partition("## Classes of layers")
    assert set(re.findall(r"`([A-Za-z]\w+)`", listed.partition("## Not yet")[0])) == set(names)


def test_every_recipe_is_shown() -> None:
    shown = re.findall(r"^```wnet of (.*)$", (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("specs/recipes/*.wnet"))


def test_the_readme_counts_the_layers() -> None:
    classes = {row.name for row in catalog.LAYERS.values()}
    assert f"It knows {len(classes)} layers of Keras." in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_code_has_its_section() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.*?): (.*)$", text, re.MULTILINE)
    assert headings == sorted(CODES.items())
    assert [*explain.sections()] == sorted(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_section_shows_what_fails_and_what_mends_it(code: str) -> None:
    blocks = re.findall(r"^```(?:wnet|console) (E\d+|W\d+|instead)$", explain.sections()[code], re.MULTILINE)
    assert blocks == [code, "instead"]


def test_the_errors_name_the_limits_that_there_are() -> None:
    said = " ".join(explain.sections()[code] for code in ("E0105", "E0604", "E0702", "E0703"))
    limits = (MAX_NESTING, MAX_BODIES, MAX_BYTES >> 20, MAX_TEXT >> 20, MAX_ENTRIES, MAX_LAYERS, MAX_TOKENS)
    assert [f"{limit:,}" for limit in limits if not re.search(rf"\b{limit:,}\b", said)] == []
