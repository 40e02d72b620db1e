"""Every file that anyone names is read in one way: what is no regular file, or too large, is reported at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import wdsl
from wdsl.text.files import MAX_TEXT

pytest.importorskip("resource")  # not on Windows

from tests import processes

SPEC = "network Net {\n    input x: [8]\n    output y = x -> Dense(4)\n}\n"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**36)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


REFUSED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "not there": (lambda path: None, "E0602", "there is no file `p.wnet`"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "E0602", "`p.wnet` is a link to nothing"),
    "a link to itself": (lambda path: path.symlink_to("p.wnet"), "E0601", "`p.wnet` cannot be read: "),
    "a folder": (lambda path: path.mkdir(), "E0604", "`p.wnet` is a folder"),
    "a pipe": (pipe, "E0604", "`p.wnet` is a pipe, a socket or a device"),
    "a socket": (listening, "E0604", "`p.wnet` is a pipe, a socket or a device"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "E0604", "`p.wnet` is a pipe, a socket or a dev"),
    "too large": (sparse, "E0604", "`p.wnet` is too large"),
    "a byte too large": (lambda path: path.write_bytes(b" " * (MAX_TEXT + 1)), "E0604", "`p.wnet` is too large"),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff"), "E0601", "is not UTF-8"),
}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: Path, *commands: list[str]) -> tuple[list[int], str]:
    ran = processes.run(folder, [*commands], seconds=5)
    assert ran.ended == 0, f"ended with {ran.ended}: {ran.said[-3000:]}"
    assert ran.bytes < 200 * 2**20
    assert "Traceback" not in ran.said
    return ran.statuses, ran.said


@pytest.mark.parametrize("kind", REFUSED)
def test_one_report_for_each_refusal(folder: Path, kind: str) -> None:
    make, code, message = REFUSED[kind]
    make(folder / "p.wnet")
    # A folder stands for the files in it where several may be named.
    several = (["check"], ["check", "--fix"], ["fmt"], ["fmt", "--check"])
    for command in (["build"], ["summary"], *(several if kind != "a folder" else ())):
        statuses, said = run(folder, [*command, "p.wnet"])
        assert statuses == [1], command
        assert f"error[{code}]: " in said, command
        assert message in said, command
    for read in (wdsl.load, wdsl.to_python, lambda path: wdsl.check(path) and wdsl.load(path)):
        with pytest.raises(wdsl.WdslError) as caught:
            read("p.wnet")
        assert [each.code for each in caught.value.diagnostics] == [code]
    assert [each.code for each in wdsl.check(folder / "p.wnet")] == [code]


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind not in ("not there", "a folder")])
def test_a_folder_is_checked_but_for_what_is_no_file(folder: Path, kind: str) -> None:
    make, code, message = REFUSED[kind]
    (folder / "nets").mkdir()
    (folder / "nets" / "fine.wnet").write_text(SPEC)
    (folder / "nets" / "wrong.wnet").write_text(SPEC.replace("x ->", "xx ->"))
    (folder / "nets" / "untidy.wnet").write_text(SPEC.replace("    input", "  input"))
    make(folder / "nets" / "p.wnet")
    statuses, said = run(folder, ["check", "nets"], ["fmt", "nets"])
    assert statuses == [1, 1]
    for each in (f"error[{code}]", message.replace("p.wnet", "nets/p.wnet"), "error[E0201]", "formatted nets/untidy"):
        assert each in said
    assert (folder / "nets" / "untidy.wnet").read_text() == SPEC


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind != "not there"])
def test_of_imports_too(folder: Path, kind: str) -> None:
    make, code, _ = REFUSED[kind]
    make(folder / "p.wnet")
    if kind == "a link to a device":
        code = "E0603"
    (folder / "net.wnet").write_text(f'import "p.wnet" as p\n{SPEC}')
    statuses, said = run(folder, ["check", "net.wnet"])
    assert statuses == [1]
    expected = (code,) if not kind.startswith("a link to nothing") else ("E0602",)
    assert any(f"error[{each}]" in said for each in expected)


def test_a_name_that_is_like_it_is_offered(folder: Path) -> None:
    (folder / "net.wnet").write_text(SPEC)
    statuses, said = run(folder, ["check", "nett.wnet"])
    assert statuses == [1]
    assert "there is no file `nett.wnet`" in said
    assert "did you mean `net.wnet`?" in said


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5_000, "a/" * 5_000])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(wdsl.WdslError) as caught:
        wdsl.load(path)
    assert caught.value.diagnostics[0].code in ("E0601", "E0602")


def test_a_text_that_no_file_may_be() -> None:
    text = SPEC + "#" * MAX_TEXT
    for read in (wdsl.loads, wdsl.format, lambda text: wdsl.format(text.encode())):
        with pytest.raises(wdsl.WdslError, match=r"E0604.*\n.*\n.*\n.*8,388,608 bytes"):
            read(text)
    assert [each.code for each in wdsl.checks(text)] == ["E0604"]


def test_standard_input_need_not_end(folder: Path) -> None:
    import subprocess
    import sys

    with Path("/dev/zero").open("rb") as zeros:
        ran = subprocess.run(
            [sys.executable, "-m", "wdsl", "fmt", "-"],
            stdin=zeros,
            capture_output=True,
            timeout=60,
            check=False,
            env=os.environ | {"PYTHONPATH": str(Path(wdsl.__file__).parents[1])},
        )
    assert ran.returncode == 1
    assert b"error[E0604]: `standard input` is too large" in ran.stderr


def test_other_files_that_commands_read(folder: Path) -> None:
    (folder / "net.wnet").write_text(SPEC)
    pipe(folder / "net.py")
    statuses, said = run(folder, ["build", "net.wnet", "--check"])
    assert statuses == [1]
    assert "error[E0604]: `net.py` is a pipe, a socket or a device" in said
    for module in ("net.py", "/dev/zero"):
        statuses, said = run(folder, ["verify", "model.keras", "--module", module])
        assert statuses in ([1], [2])
        assert f"`{module}` is a pipe, a socket or a device" in said


# --- what is overwritten --------------------------------------------------------------------------


def test_what_wdsl_did_not_write_is_left_alone(folder: Path) -> None:
    (folder / "net.wnet").write_text(SPEC)
    for mine in (
        "x\n",
        "import keras\n",
        '"""Written by hand."""\n',
        "\xff",
        "(",
        '"""Written by wdsl from',
        "x = '''",
    ):
        (folder / "net.py").write_text(mine, encoding="latin-1")
        for command in (["build", "net.wnet"], ["build", "net.wnet", "-o", "net.py"]):
            statuses, said = run(folder, command)
            assert statuses == [1], mine
            assert "net.py is there, and does not say that wdsl wrote it; --force replaces it" in said
            assert (folder / "net.py").read_text(encoding="latin-1") == mine
    statuses, _ = run(folder, ["build", "net.wnet", "--force"])
    assert statuses == [0]
    assert (folder / "net.py").read_text() == wdsl.load("net.wnet").to_python()


@pytest.mark.parametrize("doc", ["", '## What it is.\n##\n## """ and \\ and \'\n', "## Written by hand.\n"])
def test_what_wdsl_wrote_is_replaced_edited_or_not(folder: Path, doc: str) -> None:
    (folder / "net.wnet").write_text(doc + SPEC)
    statuses, _ = run(folder, ["build", "net.wnet"])
    written = (folder / "net.py").read_text()
    for edited in (
        written,
        f"# mine\n\n{written}",
        written.replace("keras", "ceras") + "(",
        written.replace("\n", "\r\n"),
    ):
        (folder / "net.py").write_text(edited, newline="")
        statuses, said = run(folder, ["build", "net.wnet"])
        assert statuses == [0], said
        assert (folder / "net.py").read_text() == written


def test_what_has_nothing_to_lose_is_written(folder: Path) -> None:
    (folder / "net.wnet").write_text(SPEC)
    (folder / "net.py").touch()
    (folder / "link.py").symlink_to("net.py")
    statuses, said = run(folder, ["build", "net.wnet", "-o", "link.py"], ["build", "net.wnet", "-o", "/dev/null"])
    assert statuses == [0, 0], said
    assert (folder / "link.py").is_symlink()
    assert "def Net(" in (folder / "net.py").read_text()


def test_a_stage_is_not_known_again_unless_it_is_the_same(folder: Path) -> None:
    (folder / "net.wnet").write_text(SPEC)
    emit = ["build", "net.wnet", "--emit", "plan", "-o", "plan.txt"]
    statuses, _ = run(folder, emit, emit)
    assert statuses == [0, 0]
    (folder / "net.wnet").write_text(SPEC.replace("4", "5"))
    statuses, said = run(folder, emit)
    assert statuses == [1]
    assert "--force" in said
    statuses, _ = run(folder, [*emit, "--force"])
    assert statuses == [0]
