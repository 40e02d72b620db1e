"""The command line's own part: options, files, streams, exit statuses. The compiler behind it is a stand-in
here, whose files hold what it is to answer; what the real one says is in tests/golden and tests/errors."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import wdsl
from wdsl.diagnostics import CODES, Diagnostic
from wdsl.source import Source, Span
from wdsl.tools import cli
from wdsl.tools.files import write

ROOT = Path(__file__).parents[1]

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """A compiler that reports an error where a file says `wrong`, a warning for `odd`; and its calls."""
    monkeypatch.setitem(CODES, "E0201", "A title")
    monkeypatch.setitem(CODES, "W0201", "A title")
    calls: list[dict[str, Any]] = []

    def load(path: str, network: str | None = None, **parameters: Any) -> SimpleNamespace:
        calls.append({"network": network, **parameters})
        source = Source(path, Path(path).read_text())
        found = []
        for code, word in (("E0201", "wrong"), ("W0201", "odd")):
            if word in source.text:
                start = source.text.index(word)
                found.append(Diagnostic(code, f"that is {word}", Span(source, start, start + len(word))))
        if "wrong" in source.text:
            raise wdsl.WdslError(tuple(found))
        return SimpleNamespace(
            diagnostics=tuple(found),
            to_python=lambda standalone=True: f"# {source.text}\nstandalone = {standalone}\n",
            emit=lambda stage: f"{stage} of {source.text}",
        )

    monkeypatch.setattr(wdsl, "load", load)
    monkeypatch.chdir(tmp_path)
    for name in ("fine", "odd", "wrong"):
        (tmp_path / f"{name}.wnet").write_text(name)
    return calls


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
    assert Path("fine.py").read_text() == "# fine\nstandalone = True\n"


def test_build_writes_where_it_is_told(run: Run) -> None:
    assert run("build", "fine.wnet", "-o", "other.py", "--runtime").exit_code == 0
    assert Path("other.py").read_text() == "# fine\nstandalone = False\n"
    assert not Path("fine.py").exists()


def test_build_to_standard_output_is_the_module_alone(run: Run) -> None:
    result = run("build", "odd.wnet", "-o", "-")
    assert result.stdout == "# odd\nstandalone = True\n"
    assert "warning[W0201]: that is odd" in result.stderr
    assert result.exit_code == 0


def test_build_reports_and_writes_nothing(run: Run) -> None:
    result = run("build", "wrong.wnet")
    assert result.exit_code == 1
    assert "error[E0201]: that is wrong" in result.stderr
    assert result.stdout == ""
    assert not Path("wrong.py").exists()


def test_emit_prints_a_stage(run: Run) -> None:
    result = run("build", "fine.wnet", "--emit", "plan")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "plan of fine\n", "")
    assert run("build", "fine.wnet", "--emit", "plan", "-o", "plan.txt").exit_code == 0
    assert Path("plan.txt").read_text() == "plan of fine"


def test_check_of_a_build(run: Run) -> None:
    result = run("build", "fine.wnet", "--check")
    assert (result.exit_code, result.stderr) == (1, "fine.py does not exist; `wdsl build` writes it\n")
    Path("fine.py").write_text("# fine\nstandalone = None\n")
    result = run("build", "fine.wnet", "--check")
    assert result.exit_code == 1
    assert "-standalone = None\n+standalone = True\n" in result.stdout
    assert Path("fine.py").read_text() == "# fine\nstandalone = None\n"
    run("build", "fine.wnet")
    result = run("build", "fine.wnet", "--check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_check_of_files_and_folders(run: Run, compiler: list[dict[str, Any]]) -> None:
    assert run("check", "fine.wnet", "odd.wnet").exit_code == 0
    assert run("check", "fine.wnet", "--strict").exit_code == 0
    assert run("check", "odd.wnet", "--strict").exit_code == 1
    compiler.clear()
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


def test_settings(run: Run, compiler: list[dict[str, Any]]) -> None:
    words = (
        "a=64",
        "b=0.5",
        "c=true",
        "d=none",
        "e=relu",
        "f=[1, 2]",
        'g="1"',
        "h=-3",
        "i=1_000",
        "j=1e-4",
        "k=",
    )
    arguments = [part for word in words for part in ("--set", word)]
    assert run("build", "fine.wnet", "--network", "Net", *arguments).exit_code == 0
    expected = {"a": 64, "b": 0.5, "c": True, "d": None, "e": "relu", "f": [1, 2], "g": "1", "h": -3}
    assert compiler == [{"network": "Net", **expected, "i": 1000, "j": 1e-4, "k": ""}]


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
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: cannot read gone.wnet: No such file or directory\n",
    )
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
    Path("net").write_text("fine")
    assert run("build", "net").exit_code == 0
    assert Path("net.py").exists()
    Path("net.py").unlink()
    Path("spec.py").write_text("fine")
    assert run("build", "spec.py").exit_code == 2


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"wdsl {wdsl.__version__}\n"
    for command in ([], ["build"], ["check"], ["completion"]):
        assert "Examples:" in run(*command, "--help").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    assert "_WDSL_COMPLETE" in run("completion", shell).stdout


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
    assert cli.colourful() is colour


def test_watch_builds_again_after_a_change(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    versions = iter(["fine too", "wrong", None])

    def change(seconds: float) -> None:
        version = next(versions)
        if version is None:
            raise KeyboardInterrupt
        Path("fine.wnet").write_text(version)
        os.utime("fine.wnet", ns=(0, len(version)))

    monkeypatch.setattr(cli.time, "sleep", change)
    result = run("build", "fine.wnet", "--watch")
    assert result.stderr.count("wrote fine.py") == 2
    assert "that is wrong" in result.stderr
    assert Path("fine.py").read_text().startswith("# fine too")


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
