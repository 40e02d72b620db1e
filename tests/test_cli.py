"""The command line: options, files, streams, exit statuses, with three small specs."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import wdsl
from wdsl.syntax import formatter
from wdsl.text.diagnostics import CODES
from wdsl.tools import cli, explain
from wdsl.tools.files import write

ROOT = Path(__file__).parents[1]

Run = Callable[..., Result]


FINE = """network Fine(code: int = 4, rate: float = 0.5, words: list = [1]) {
    input x: [8]
    output y = x -> Dense(code) -> Dropout(rate) -> Dense(words[0])
}
"""
ODD = FINE.replace("Fine", "Odd").replace("    output", "    input unused: [1]\n    output")
WRITTEN = formatter._written
WRONG = FINE.replace("Fine", "Wrong").replace("x ->", "xx ->")


@pytest.fixture(autouse=True)
def specs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder with a spec that is fine, one with a warning, one with an error."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"fine": FINE, "odd": ODD, "wrong": WRONG}.items():
        (tmp_path / f"{name}.wnet").write_text(text)


def module_of(name: str) -> str:
    return wdsl.load(f"{name}.wnet").to_python()


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(cli.main, arguments, prog_name="wdsl")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def test_build_writes_beside_the_spec(run: Run) -> None:
    result = run("build", "fine.wnet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote fine.py\n")
    assert Path("fine.py").read_text() == module_of("fine")


def test_build_writes_where_it_is_told(run: Run) -> None:
    assert run("build", "fine.wnet", "-o", "other.py").exit_code == 0
    assert Path("other.py").read_text() == module_of("fine")
    assert not Path("fine.py").exists()


def test_the_runtime_is_no_option_any_more(run: Run) -> None:
    result = run("build", "fine.wnet", "--runtime")
    assert result.exit_code == 2
    assert re.search("No such option:? '?--runtime", result.stderr)


def test_build_says_what_the_module_does_not_keep(run: Run) -> None:
    text = (
        "network Net(n: int = 0) {\n    input x: [4]\n    h = x -> Dense(4)\n"
        "    for i in range(n) { h = h -> relu }\n    output y = h\n}\n"
    )
    Path("loop.wnet").write_text(text)
    assert "warning[W0701]" in run("build", "loop.wnet").stderr
    assert "net" in Path("loop.py").read_text().lower()
    assert "W0701" in run("build", "loop.wnet", "--emit", "plan").stderr
    # Nothing is lost of the network, and of what has passes to look at.
    assert "W0701" not in run("check", "loop.wnet").stderr
    assert "W0701" not in run("build", "loop.wnet", "--set", "n=1").stderr


def test_build_to_standard_output_is_the_module_alone(run: Run) -> None:
    result = run("build", "odd.wnet", "-o", "-")
    assert result.stdout == module_of("odd")
    assert "warning[W0201]: `unused`" in result.stderr
    assert result.exit_code == 0


def test_build_reports_and_writes_nothing(run: Run) -> None:
    result = run("build", "wrong.wnet")
    assert result.exit_code == 1
    assert "error[E0201]: `xx`" in result.stderr
    assert result.stdout == ""
    assert not Path("wrong.py").exists()


def test_emit_prints_a_stage(run: Run) -> None:
    result = run("build", "fine.wnet", "--emit", "plan")
    plan = wdsl.load("fine.wnet").emit("plan")
    assert (result.exit_code, result.stdout, result.stderr) == (0, plan, "")
    assert run("build", "fine.wnet", "--emit", "plan", "-o", "plan.txt").exit_code == 0
    assert Path("plan.txt").read_text() == plan


def test_check_of_a_build(run: Run) -> None:
    result = run("build", "fine.wnet", "--check")
    assert (result.exit_code, result.stderr) == (1, "fine.py does not exist; `wdsl build` writes it\n")
    Path("fine.py").write_text(module_of("fine").replace("code", "cord"))
    result = run("build", "fine.wnet", "--check")
    assert result.exit_code == 1
    assert "-def Fine(cord: int = 4" in result.stdout
    assert "+def Fine(code: int = 4" in result.stdout
    assert "cord" in Path("fine.py").read_text()
    run("build", "fine.wnet")
    result = run("build", "fine.wnet", "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_check_of_files_and_folders(run: Run) -> None:
    assert run("check", "fine.wnet", "odd.wnet").exit_code == 0
    assert run("check", "fine.wnet", "--strict").exit_code == 0
    assert run("check", "odd.wnet", "--strict").exit_code == 1
    result = run("check", ".", "fine.wnet")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.endswith("1 error, 1 warning\n")


def test_check_for_machines(run: Run) -> None:
    result = run("check", "odd.wnet", "wrong.wnet", "--format", "json")
    assert result.exit_code == 1
    assert [one["file"] for one in json.loads(result.stdout)] == ["odd.wnet", "wrong.wnet"]
    assert result.stderr == ""
    assert json.loads(run("check", "fine.wnet", "--format", "sarif").stdout)["runs"][0]["results"] == []


UNTIDY = FINE.replace("    input x: [8]", "  input   x:[8] # eight")
TIDY = FINE.replace("    input x: [8]", "    input x: [8]  # eight")


def test_files_are_formatted(run: Run) -> None:
    Path("in/deep").mkdir(parents=True)
    Path("in/tidy.wnet").write_text(TIDY)
    untidy = Path("in/deep/untidy.wnet")
    untidy.write_text(UNTIDY)
    untidy.chmod(0o640)
    for check in ("--check", "--diff"):
        result = run("fmt", check, "in")
        assert (result.exit_code, result.stderr) == (1, "in/deep/untidy.wnet is not in canonical form\n")
        assert ("+    input x: [8]  # eight\n" in result.stdout) == (check == "--diff")
        assert untidy.read_text() == UNTIDY
    result = run("fmt", "fine.wnet", "in")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "formatted in/deep/untidy.wnet\n")
    assert untidy.read_text() == TIDY
    assert stat.S_IMODE(untidy.stat().st_mode) == 0o640
    for options in ((), ("--check",), ("--diff",)):
        result = run("fmt", *options, "in")
        assert (result.exit_code, result.output) == (0, "")


def test_the_form_of_standard_input(run: Run) -> None:
    def fmt(text: str, *options: str) -> Result:
        return CliRunner().invoke(cli.main, ["fmt", "-", *options], input=text)

    assert (fmt(UNTIDY).exit_code, fmt(UNTIDY).stdout) == (0, TIDY)
    assert (fmt(UNTIDY, "--check").exit_code, fmt(UNTIDY, "--check").stdout) == (1, "")
    assert (fmt(TIDY, "--check").exit_code, fmt(TIDY).stdout) == (0, TIDY)
    result = fmt("network {")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "E0101" in result.stderr
    assert "standard input:1:9" in result.stderr


def test_what_is_not_formatted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"syntax.wnet": UNTIDY.replace("->", "->->").encode(), "bytes.wnet": UNTIDY.encode() + b"\xff"}
    for name, data in bad.items():
        Path(name).write_bytes(data)
    Path("untidy.wnet").write_text(UNTIDY)
    result = run("fmt", *bad, "nowhere.wnet", "untidy.wnet")
    assert result.exit_code == 1
    assert [each in result.stderr for each in ("E0101", "E0601", "nowhere.wnet")] == [True] * 3
    assert {name: Path(name).read_bytes() for name in bad} == bad
    assert Path("untidy.wnet").read_text() == TIDY

    # A defect that would lose a comment, or change what the file says, is seen before anything is written.
    Path("untidy.wnet").write_text(UNTIDY)
    for change in (lambda line: line.replace("eight", "nine"), lambda line: line.replace("code", "node")):
        monkeypatch.setattr(formatter, "_written", lambda lines, change=change: map(change, WRITTEN(lines)))
        result = run("fmt", "untidy.wnet")
        assert result.exit_code == 1
        assert "a defect of wdsl" in result.stderr
        assert Path("untidy.wnet").read_text() == UNTIDY


def test_check_of_a_file_with_several_networks(run: Run) -> None:
    Path("two.wnet").write_text(FINE + ODD + WRONG)
    result = run("check", "two.wnet")
    assert result.exit_code == 1
    assert result.stderr.endswith("1 error, 1 warning\n")
    assert run("check", "two.wnet", "--network", "Fine").stderr == ""
    Path("twice.wnet").write_text(FINE + FINE)
    assert "error[E0202]: `Fine` is declared twice" in run("check", "twice.wnet").stderr


def test_explain_lists_the_codes(run: Run) -> None:
    result = run("explain")
    assert result.exit_code == 0
    lines = [line.split("  ", 1) for line in result.stdout.splitlines()]
    assert dict(lines) == CODES
    assert [code for code, _ in lines] == sorted(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_explain_fits_a_terminal(run: Run, code: str) -> None:
    result = run("explain", code.lower())
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{code}: {CODES[code]}\n\n")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "```" not in result.stdout
    assert ".md" not in result.stdout


def test_an_example_of_explain_can_be_copied(run: Run) -> None:
    paragraphs = textwrap.dedent(run("explain", "E0504").stdout).split("\n\n")
    wrong, right = (textwrap.dedent(each) for each in paragraphs if each.startswith("    network"))
    assert [one.code for one in wdsl.checks(wrong)] == ["E0504"]
    assert wdsl.checks(right) == ()


def test_explain_in_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    paragraph = run("explain", "E0504").stdout.split("\n\n")[1]
    assert max(map(len, paragraph.splitlines())) <= 40
    monkeypatch.setenv("COLUMNS", "400")
    assert max(map(len, run("explain", "E0504").stdout.splitlines())) <= 80


def test_explain_in_colour() -> None:
    coloured, plain = explain.text("W0502", colour=True), explain.text("W0502")
    assert coloured.startswith("\x1b[")
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_explain_offers_the_nearest_code(run: Run) -> None:
    result = run("explain", "E504")
    assert result.exit_code == 2
    assert "there is no code 'E504'; did you mean E0504?" in result.stderr
    assert "`wdsl explain` lists them" in run("explain", "tie").stderr


def test_check_goes_on_after_a_missing_file(run: Run) -> None:
    result = run("check", "wrong.wnet", "gone.wnet", "--format", "json")
    assert result.exit_code == 1
    assert [one["code"] for one in json.loads(result.stdout)] == ["E0201", "E0602"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("64", 64),
        ("-3", -3),
        ("1_000", 1000),
        ("0.5", 0.5),
        ("1e-4", 1e-4),
        ("true", True),
        ("none", None),
        ("relu", "relu"),
        ('"1"', "1"),
        (r'"a \"b\", c"', 'a "b", c'),
        ("[1, 2]", [1, 2]),
        ('[[5, 6], ["a,b", "c"]]', [[5, 6], ["a,b", "c"]]),
        ("", ""),
        ("nan", "nan"),
    ],
)
def test_settings(words: str, value: Any) -> None:
    assert cli.constant(words) == value
    assert type(cli.constant(words)) is type(value)


def test_settings_reach_the_network(run: Run) -> None:
    result = run("build", "fine.wnet", "--set", "code=64", "--set", "rate=0.25", "--set", "words=[2, 3]", "-o", "-")
    assert "def Fine(code: int = 64, rate: float = 0.25, words: tuple = (2, 3))" in result.stdout
    assert "error[E0307]" in run("build", "fine.wnet", "--set", "cod=64").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build"],
        ["build", "fine.wnet", "--set", "code"],
        ["build", "fine.wnet", "--set", "=3"],
        ["build", "fine.wnet", "--set", "network=A"],
        ["build", "fine.wnet", "--emit", "nothing"],
        ["build", "fine.wnet", "--check", "-o", "-"],
        ["build", "fine.wnet", "--check", "--watch"],
        ["build", "fine.wnet", "-o", "fine.wnet"],
        ["build", "fine.wnet", "-o", "."],
        ["check"],
        ["check", "empty"],
        ["check", "fine.wnet", "--format", "xml"],
        ["explain", "E0504", "E0505"],
        ["explain", "nothing"],
        ["nothing"],
    ],
    ids=" ".join,
)
def test_misuse(run: Run, arguments: list[str]) -> None:
    Path("empty").mkdir()
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: wdsl" in result.stderr
    assert result.stdout == ""


def test_what_cannot_be_read_or_written_is_said(run: Run) -> None:
    result = run("build", "gone.wnet")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E0602]: there is no file `gone.wnet`")
    result = run("build", "fine.wnet", "-o", "gone/fine.py")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: cannot write gone/fine.py: No such file or directory\n",
    )


def test_a_full_disk_behind_standard_output_is_said(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli.click, "echo", full)
    for arguments in ("build", "fine.wnet", "-o", "-"), ("check", "fine.wnet", "--format", "json"):
        result = run(*arguments)
        assert (result.exit_code, result.stderr) == (
            1,
            "Error: cannot write standard output: No space left on device\n",
        )


def test_a_spec_may_have_any_name(run: Run) -> None:
    Path("net").write_text(FINE)
    assert run("build", "net").exit_code == 0
    assert Path("net.py").exists()
    Path("net.py").unlink()
    Path("spec.py").write_text(FINE)
    assert run("build", "spec.py").exit_code == 2


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"wdsl {wdsl.__version__}\n"
    for command in ([], ["build"], ["check"], ["explain"], ["completion"]):
        assert "Examples:" in run(*command, "--help").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    assert "_WDSL_COMPLETE" in run("completion", shell).stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("wdsl build ne", "file,ne"),
        ("wdsl check a.wnet ne", "file,ne"),
        ("wdsl build -o ne", "file,ne"),
        ("wdsl build --emit pl", "plain,plan"),
        ("wdsl explain e0513", "plain,E0513"),
        ("wdsl check --fi", "plain,--fix"),
        ("wdsl build --em", "plain,--emit"),
    ],
)
def test_what_completion_offers(run: Run, monkeypatch: pytest.MonkeyPatch, words: str, offered: str) -> None:
    for name, value in {
        "_WDSL_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }.items():
        monkeypatch.setenv(name, value)
    assert run().stdout.split() == [offered]


@pytest.mark.parametrize(
    ("terminal", "environment", "colour"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal))
    assert cli.colourful(sys.stderr) is colour


def test_watch_builds_again_after_a_change(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    versions = iter([FINE.replace("Fine", "FineToo"), WRONG, None])

    def change(seconds: float) -> None:
        version = next(versions)
        if version is None:
            raise KeyboardInterrupt
        Path("fine.wnet").write_text(version)
        os.utime("fine.wnet", ns=(0, len(version)))

    monkeypatch.setattr(cli.time, "sleep", change)
    result = run("build", "fine.wnet", "--watch")
    assert result.stderr.count("wrote fine.py") == 2
    assert "error[E0201]: `xx`" in result.stderr
    assert "def FineToo(" in Path("fine.py").read_text()


def test_watch_sees_the_files_that_are_named(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    Path("parts/tables").mkdir(parents=True)
    Path("other").mkdir()
    spec = """from "parts/mix.wnet" import Mix
network Net {
    input x: [2]
    output y = x -> Mix()
}
"""
    mix = """block Mix() {
    input x
    layer a = Dense(2) zero[mask("tables/\\"wires\\".csv")]
    output y = x -> a
}
"""
    changes = iter(
        [
            ("net.wnet", spec),  # the file that it imports is not there
            ("other/unrelated.wnet", mix),
            ("parts/mix.wnet", mix),  # nor is the one of its mask
            ('parts/tables/"wires".csv', "1,0\n0,0\n"),
            ('parts/tables/"wires".csv', "1,0\n0,1\n"),
            ("parts/mix.wnet", mix.replace("Dense(2)", "Dense(2, use_bias=false)")),
        ]
    )

    def change(seconds: float) -> None:
        path, text = next(changes, (None, None))
        if path is None or text is None:
            raise KeyboardInterrupt
        Path(path).write_text(text)
        os.utime(path, ns=(0, len(said) + 1))
        said.append(path)

    said: list[str] = []
    monkeypatch.setattr(cli.time, "sleep", change)
    result = run("build", "net.wnet", "--watch")
    errors = re.findall(r"error\[(\w+)\]|(cannot read|wrote)", result.stderr)
    assert ["".join(each) for each in errors][-5:] == ["E0602", "E0602", "wrote", "wrote", "wrote"]
    assert "use_bias=False" in Path("net.py").read_text()


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "net.py"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link.py").symlink_to(target)
    write(str(tmp_path / "link.py"), "new")
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert (tmp_path / "link.py").is_symlink()

    def fail(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        write(str(target), "newer")
    assert target.read_text() == "new"
    assert not list(tmp_path.glob("*.tmp"))


def test_starting_imports_nothing_heavy() -> None:
    code = "import sys, wdsl.tools.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True, cwd=ROOT)
    heavy = {"keras", "tensorflow", "numpy", "rich", "jinja2", "json"}
    assert not heavy & set(ran.stdout.split())
