"""The region `mask("connections.csv")`: what files it reads, which it refuses, and that nothing needs them later."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import wdsl
from wdsl.tools import cli

Array = np.ndarray[Any, Any]
WIRING = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 1]], bool)


def text(annotation: str, rows: int = 3, columns: int = 3) -> str:
    layer = f"layer a = Dense({columns}) {annotation}"
    return f"network Net {{\n    input x: [{rows}]\n    {layer}\n    output y = x -> a\n}}\n"


def write_csv(path: Path, array: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in array.tolist()))


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., Path]:
    """`spec(annotation)` writes a spec in `project/nets`; the table lies beside it, and others around."""
    for place in ("project/nets", "project/data", "elsewhere"):
        write_csv(tmp_path / place / "wiring.csv", WIRING.astype(int))
    (tmp_path / "elsewhere" / "secret.csv").write_text("a secret,1,2\n")

    def write(annotation: str, rows: int = 3, columns: int = 3) -> Path:
        path = tmp_path / "project" / "nets" / "net.wnet"
        path.write_text(text(annotation, rows, columns))
        return path

    return write


def problem_of(path: Path, **named: Any) -> Any:
    """The one thing that is wrong with a spec."""
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.load(path, **named)
    assert str(error.value)
    (problem,) = error.value.diagnostics
    return problem


def code_of(path: Path, **named: Any) -> str:
    return str(problem_of(path, **named).code)


def free_entries(net: wdsl.Net) -> int:
    return next(each.free for each in net.weights if each.weight.name == "kernel")


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "free"),
    [
        ('zero[mask("wiring.csv")]', 5),
        ('zero[not mask("wiring.csv")]', 4),
        ('zero[not (mask("wiring.csv"))]', 4),
        ('zero[mask("wiring.csv"), diagonal]', 3),
        ('fixed[mask("wiring.csv")] = 2.0', 5),
        ('equal[mask("wiring.csv")]', 6),
        ('equal[mask("wiring.csv"), not mask("wiring.csv")]', 2),
        ('symmetric, zero[not mask("wiring.csv")]', 2),
        ('zero[mask("./wiring.csv")] via mask', 9),
    ],
)
def test_a_mask_stands_wherever_a_region_does(spec: Callable[..., Path], annotation: str, free: int) -> None:
    assert free_entries(wdsl.load(spec(annotation))) == free


def shapes() -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple)


@given(marks=shapes().flatmap(lambda shape: st.lists(st.booleans(), min_size=int(np.prod(shape)),
                                                     max_size=int(np.prod(shape))).map(
    lambda bits: np.array(bits).reshape(shape))), order=st.sampled_from("CF"),
    dtype=st.sampled_from(["?", "i1", "<u8", ">i4", "f2", "<f4", ">f8", "g"]))  # fmt: skip
def test_csv_and_npy_give_the_same_network(
    tmp_path_factory: pytest.TempPathFactory, marks: Array, order: Any, dtype: str
) -> None:
    """Whatever the numbers are by which the entries are marked."""
    folder = tmp_path_factory.mktemp("same")
    numbers = np.where(marks, -3 if np.dtype(dtype).kind in "if" else 1, 0).astype(dtype)
    np.save(folder / "table.npy", np.array(numbers, order=order))
    np.savetxt(folder / "table.csv", numbers.astype(float), delimiter=",")
    annotation = 'zero[mask("FILE")]' if marks.ndim == 2 else '{ bias: zero[mask("FILE")] }'
    found = []
    for name in ("table.csv", "table.npy"):
        source = text(annotation.replace("FILE", name), marks.shape[0], marks.shape[-1])
        found.append(wdsl.loads(source, str(folder / "net.wnet")))
    assert found[0].parameters == found[0].dense_parameters - marks.sum()
    one, other = (net.to_python().replace("table.npy", "table.csv") for net in found)
    assert one == other


@pytest.mark.parametrize(
    "data",
    [
        b"0,1,0\r\n1,0,0\r\n0,1,1\r\n",
        b"\xef\xbb\xbf0,1,0\n1,0,0\n0,1,1",
        b" 0 , 1e-300,0.0\n-1,0,-0\n0,inf,1\n\n\n",
    ],
)
def test_csv_files_of_all_sorts(spec: Callable[..., Path], data: bytes) -> None:
    path = spec('zero[mask("other.csv")]')
    path.with_name("other.csv").write_bytes(data)
    source = wdsl.load(path).to_python().replace("other.csv", "wiring.csv").replace("OTHER", "WIRING")
    assert source == wdsl.load(spec('zero[mask("wiring.csv")]')).to_python()


def test_a_vector_lies_in_a_line_or_a_column(spec: Callable[..., Path]) -> None:
    for data in ("1,0,1\n", "1\n0\n1\n"):
        path = spec('{ bias: zero[mask("vector.csv")] }')
        path.with_name("vector.csv").write_text(data)
        assert wdsl.load(path).parameters == 9 + 1
    path.with_name("vector.csv").write_text("1,0\n0,1\n")
    assert code_of(path) == "E0605"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"from,to,weight\n0,1,0\n1,0,0\n", "line 1 has `from`"),
        (b"from,to,weight\n0,1,0\n1,0,0\n0,1,1\n", "line 1 has `from`"),
        (b"0,1,0\n# 1\n0,1,1\n", "line 2 has `# 1`"),
        (b"0,1,0\n1,0\n0,1,1\n", "line 2 has 2 numbers, and line 1 has 3"),
        (b"0,1,0\n1,0,0,0\n0,1,1\n", "line 2 has 4 numbers, and line 1 has 3"),
        (b"0,1,0\n1,0,0\n0,1,\n", "line 3 has an empty place"),
        (b"0,1,0\n\n0,1,1\n", "line 2 is empty"),
        (b"0,1,0\n1,0,0\n0,NaN,1\n", "line 3 has a NaN"),
        (b"nan,1,0\n1,0,0\n0,1,1\n", "line 1 has a NaN"),
        (b"0,1j,0\n1,0,0\n0,1,1\n", "line 1 has `1j`"),
        (b'"0",1,0\n1,0,0\n0,1,1\n', 'line 1 has `"0"`'),
        (b"0,1,0\n1,0,\xff\n0,1,1\n", "it is not UTF-8"),
        (b"\xff,1,0\n1,0,0\n0,1,1\n", "it is not UTF-8"),
        (b"0,1,0\n1,0,0\n0,1," + b"1" * 100_000, "line 3 has `11111111111111111111`"),
        (b"0,1,0\r1,0,0\r0,1,1\r", "line 1 has `0\r1`"),
    ],
)
def test_what_is_no_table_of_numbers(spec: Callable[..., Path], data: bytes, said: str) -> None:
    path = spec('zero[mask("odd.csv")]')
    path.with_name("odd.csv").write_bytes(data)
    problem = problem_of(path)
    assert problem.code == "E0606"
    assert said in problem.label
    assert problem.span.text == '"odd.csv"'


def test_a_line_far_down_is_found(tmp_path: Path) -> None:
    lines = ["1,0"] * 5000
    lines[4321] = "1,x"
    (tmp_path / "long.csv").write_text("\n".join(lines))
    with pytest.raises(wdsl.WdslError, match="line 4322 has `x`, which is not a number"):
        wdsl.loads(text('zero[mask("long.csv")]', 5000, 2), str(tmp_path / "net.wnet"))


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (WIRING.astype(complex), "E0606"),
        (WIRING.astype(str), "E0606"),
        (WIRING.astype(bytes), "E0606"),
        (WIRING.astype("m8[s]"), "E0606"),
        (np.zeros((3, 3), [("a", "f4")]), "E0606"),
        (np.zeros((3, 3), "V4"), "E0606"),
        (np.full((3, 3), np.nan), "E0606"),
        (WIRING[:2], "E0605"),
        (WIRING[None], "E0605"),
        (WIRING.ravel(), "E0605"),
        (np.array(1.0), "E0605"),
        (np.zeros((0, 3)), "E0605"),
        (np.zeros((1,) * 30), "E0605"),
    ],
)
def test_arrays_that_are_no_mask(spec: Callable[..., Path], array: Array, code: str) -> None:
    path = spec('zero[mask("odd.npy")]')
    np.save(path.with_name("odd.npy"), array)
    assert code_of(path) == code


class Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["BOMB"],)


def test_nothing_is_unpickled(spec: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    path = spec('zero[mask("odd.npy")]')
    np.save(path.with_name("odd.npy"), np.array([[Bomb()] * 3] * 3), allow_pickle=True)
    problem = problem_of(path)
    assert (problem.code, problem.label) == ("E0606", "it holds Python objects")
    assert not (tmp_path / "exploded").exists()
    np.load(path.with_name("odd.npy"), allow_pickle=True)
    assert (tmp_path / "exploded").exists()  # it would have been noticed


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + header.encode() + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff",
        b"0,1,0\n1,0,0\n0,1,1\n",
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", b"\0" * 71),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", b"\0" * 73),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000), }", b"\0" * 72),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -3), }", b"\0" * 72),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3", b"\0" * 72),
        npy("{'descr': '<f8', 'fortran_order': 2, 'shape': [3, 3], }", b"\0" * 72),
        npy("{'descr': '<q9', 'fortran_order': False, 'shape': (3, 3), }", b"\0" * 72),
        npy("{'descr': " + "(" * 3000 + ", 'shape': (3, 3), }", b"\0" * 72),
        npy("__import__('os').abort()", b"\0" * 72),
        npy("  x\n y", b"\0" * 72),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 3L), ", b"\0" * 72),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", b"\0" * 72, b"\x03\x00"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }", b"\0" * 72, b"\x09\x00"),
    ],
)
def test_files_that_are_no_arrays(spec: Callable[..., Path], data: bytes) -> None:
    path = spec('zero[mask("odd.npy")]')
    path.with_name("odd.npy").write_bytes(data)
    assert code_of(path) == "E0606"


@given(st.binary(max_size=60), st.sampled_from(["odd.csv", "odd.npy"]), st.sampled_from([b"", npy("")[:8], b"0,1,0\n"]))
def test_whatever_is_in_a_file(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str, head: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(head + data)
    (folder / "net.wnet").write_text(text(f'zero[mask("{name}")]'))
    assert {each.code for each in wdsl.check(folder / "net.wnet")} <= {"E0605", "E0606", "W0502", "W0503"}


def test_a_mask_of_too_many_entries_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.loads(text('zero[mask("none.npy")]', 20_000, 20_000), str(tmp_path / "net.wnet"))
    assert [each.code for each in error.value.diagnostics] == ["E0702"]


# --- paths ----------------------------------------------------------------------------------------


def test_paths_inside_the_root(spec: Callable[..., Path], tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "nets" / "link.csv").symlink_to("wiring.csv")
    (project / "nets" / "ein Ordner").mkdir()
    (project / "nets" / "ein Ordner" / "ä.csv").write_text("1,0,0\n0,1,0\n0,0,0\n")
    for name in ("wiring.csv", "./wiring.csv", "ein Ordner/../wiring.csv", "link.csv", "../nets/wiring.csv"):
        assert free_entries(wdsl.load(spec(f'zero[mask("{name}")]'))) == 5
    assert free_entries(wdsl.load(spec('zero[mask("ein Ordner/ä.csv")]'))) == 7
    outside = spec('zero[mask("../data/wiring.csv")]')
    assert code_of(outside) == "E0603"
    assert free_entries(wdsl.load(outside, root=project)) == 5
    assert free_entries(wdsl.load(outside, root=str(project))) == 5
    assert code_of(outside, root=project / "nets") == "E0603"
    assert code_of(outside, root=tmp_path / "elsewhere") == "E0603"


def test_every_entrance_takes_a_root(spec: Callable[..., Path], tmp_path: Path) -> None:
    path, project = spec('zero[mask("../data/wiring.csv")]'), tmp_path / "project"
    assert [each.code for each in wdsl.check(path)] == ["E0603"]
    assert wdsl.check(path, root=project) == ()
    net = wdsl.loads(path.read_text(), str(path), root=project)
    assert net.to_python() == wdsl.to_python(path, root=project) == wdsl.load(path, root=project).to_python()


def test_the_folder_that_a_command_runs_in_means_nothing(
    spec: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spec('zero[mask("wiring.csv")]')
    write_csv(path.with_name("wiring.csv"), np.zeros((3, 3), int))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [each.code for each in wdsl.check(path)] == ["W0503"]
    monkeypatch.chdir(path.parent)
    assert [each.code for each in wdsl.check("net.wnet")] == ["W0503"]


@pytest.mark.parametrize(
    "name",
    [
        "ABSOLUTE",
        "../data/wiring.csv",
        "../../elsewhere/secret.csv",
        "../../elsewhere/nothing.csv",
        "../../../../../../../../etc/passwd",
        "nothing/../../data/wiring.csv",
        "link.csv",
        "dangling.csv",
        "folder/secret.csv",
        "twice.csv",
        "/dev/zero",
        "/proc/self/environ",
        "..",
    ],
)
def test_nothing_outside_the_root_is_read(spec: Callable[..., Path], tmp_path: Path, name: str) -> None:
    nets, elsewhere = tmp_path / "project" / "nets", tmp_path / "elsewhere"
    (nets / "link.csv").symlink_to(elsewhere / "secret.csv")
    (nets / "dangling.csv").symlink_to(elsewhere / "nothing.csv")
    (nets / "folder").symlink_to(elsewhere)
    (nets / "twice.csv").symlink_to("link.csv")
    path = spec(f'zero[mask("{name.replace("ABSOLUTE", str(nets / "wiring.csv"))}")]')
    problem = problem_of(path)
    assert problem.code == "E0603"
    assert "secret" not in problem.label


def test_a_folder_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    write_csv(tmp_path / "net-secret" / "wiring.csv", WIRING.astype(int))
    (tmp_path / "net").mkdir()
    with pytest.raises(wdsl.WdslError, match="E0603"):
        wdsl.loads(text('zero[mask("../net-secret/wiring.csv")]'), str(tmp_path / "net" / "net.wnet"))


def test_a_root_that_is_a_link(spec: Callable[..., Path], tmp_path: Path) -> None:
    path = spec('zero[mask("../data/wiring.csv")]')
    (tmp_path / "alias").symlink_to(tmp_path / "project")
    assert free_entries(wdsl.load(path, root=tmp_path / "alias")) == 5
    assert free_entries(wdsl.load(tmp_path / "alias" / "nets" / "net.wnet", root=tmp_path / "project")) == 5


def test_what_is_no_file_is_not_opened(spec: Callable[..., Path], tmp_path: Path) -> None:
    """A pipe would block for ever. The test does, too, if that is what happens."""
    nets = tmp_path / "project" / "nets"
    os.mkfifo(nets / "pipe.csv")
    (nets / "link.csv").symlink_to("pipe.csv")
    (nets / "folder.csv").mkdir()
    with socket.socket(socket.AF_UNIX) as connection:
        at = os.getcwd()
        os.chdir(nets)  # such a name must be short
        connection.bind("socket.csv")
        os.chdir(at)
        for name in ("pipe.csv", "link.csv", "folder.csv", "socket.csv", ".", "folder.csv/"):
            assert code_of(spec(f'zero[mask("{name}")]')) == "E0604"
    assert code_of(spec('zero[mask("../../../dev/zero")]'), root="/") in ("E0604", "E0602")
    assert code_of(spec(f'zero[mask("{os.path.relpath("/dev/zero", nets)}")]'), root="/") == "E0604"


def test_a_pipe_that_comes_between_is_not_waited_for(
    spec: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stat = spec('zero[mask("wiring.csv")]'), os.stat

    def then_swap(name: Any, *more: Any, **named: Any) -> os.stat_result:
        found = stat(name, *more, **named)
        if str(name).endswith("wiring.csv"):
            os.unlink(name)
            os.mkfifo(name)
        return found

    monkeypatch.setattr(os, "stat", then_swap)
    assert code_of(path) == "E0604"


def test_files_that_are_too_large(spec: Callable[..., Path]) -> None:
    path = spec('zero[mask("large.csv")]')
    with open(path.with_name("large.csv"), "wb") as file:
        file.truncate(2**40)
    problem = problem_of(path)
    assert problem.code == "E0604"
    assert "268,435,456" in problem.label


@pytest.mark.parametrize("name", ["loop.csv", "wiring.csv/more.csv", "x" * 5000, "forbidden.csv"])
def test_files_that_cannot_be_read(spec: Callable[..., Path], tmp_path: Path, name: str) -> None:
    nets = tmp_path / "project" / "nets"
    (nets / "loop.csv").symlink_to("loop.csv")
    (nets / "forbidden.csv").touch(0)
    path = spec(f'zero[mask("{name}")]')
    code_of(path)  # nothing of wdsl is left to be read
    with as_anyone(tmp_path):
        assert code_of(path) == "E0601"


@contextmanager
def as_anyone(folder: Path) -> Iterator[None]:
    """Not as root, who may read everything, but as somebody who may enter a folder of pytest's."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o711)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["\0", "wiring.csv\0", "\ud800", "a\0/../wiring.csv"])
def test_what_is_no_path(tmp_path: Path, name: str) -> None:
    for filename in (str(tmp_path / "net.wnet"), f"{name}/net.wnet"):
        with pytest.raises(wdsl.WdslError, match="E0602"):
            wdsl.loads(text(f'zero[mask("{name}")]'), filename)


def test_a_name_that_is_alike_is_offered(spec: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "project" / "nets" / "data").mkdir()
    (tmp_path / "project" / "nets" / "data" / 'the "best".csv').touch()
    for name, better in (("wirings.csv", "wiring.csv"), ("Wiring.CSV", "wiring.csv"), ("data/../wirng.csv", None)):
        problem = problem_of(spec(f'zero[mask("{name}")]'))
        assert problem.code == "E0602"
        assert problem.fix.replacement == f'"{better or "data/../wiring.csv"}"'
    problem = problem_of(spec('zero[mask("data/the best.csv")]'))
    assert problem.fix.replacement == r'"data/the \"best\".csv"'
    for name in ("other.csv", "nowhere/wiring.csv", "net.csv"):
        assert problem_of(spec(f'zero[mask("{name}")]')).fix is None


def test_a_fix_mends_the_file(spec: Callable[..., Path]) -> None:
    path = spec('zero[mask("wirings.csv")]')
    fix = problem_of(path).fix
    source = path.read_text()
    path.write_text(source[: fix.span.start] + fix.replacement + source[fix.span.end :])
    assert free_entries(wdsl.load(path)) == 5


def test_texts_of_no_file(spec: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "project" / "nets")
    source = text('zero[mask("wiring.csv")]')
    for named in ({}, {"filename": "<string>"}, {"filename": "<stdin>"}):
        with pytest.raises(wdsl.WdslError, match="this text is in no file") as error:
            wdsl.loads(source, **named)
        assert error.value.diagnostics[0].code == "E0602"
    assert free_entries(wdsl.loads(source, root=".")) == 5
    assert free_entries(wdsl.loads(source, root=Path())) == 5
    # A text may have the name of a file that is not written yet.
    assert free_entries(wdsl.loads(source, "not_saved.wnet")) == 5
    assert free_entries(wdsl.loads(source, str(tmp_path / "project" / "data" / "not_saved.wnet"))) == 5
    with pytest.raises(wdsl.WdslError, match="E0602"):
        wdsl.loads(source, root=tmp_path / "nowhere")


def test_threads_read_at_once(spec: Callable[..., Path]) -> None:
    path, found = spec('zero[mask("wiring.csv")]'), []
    threads = [threading.Thread(target=lambda: found.append(wdsl.load(path).parameters)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5 + 3] * 8


# --- the command line -----------------------------------------------------------------------------


def test_root_on_the_command_line(spec: Callable[..., Path], tmp_path: Path) -> None:
    path, project = spec('zero[mask("../data/wiring.csv")]'), tmp_path / "project"

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli.main, [*arguments, str(path)], prog_name="wdsl", catch_exceptions=False)

    for command in (("check",), ("summary",), ("build", "-o", "-"), ("build", "--emit", "weights")):
        refused = run(*command)
        assert refused.exit_code == 1
        assert "E0603" in refused.stderr
        assert "--root" in refused.stderr
        assert run(*command, "--root", str(project)).exit_code == 0
        assert run(*command, "--root", str(tmp_path / "nowhere")).exit_code == 2
    misuse = run("check", "--set", "root=.")
    assert misuse.exit_code == 2
    assert "'root' is chosen with --root" in misuse.stderr


def test_a_parameter_that_is_called_root() -> None:
    """As one called `network`, it is given to `loads`."""
    source = text("").replace("Net {", "Net(root: int = 3) {").replace("Dense(3)", "Dense(root)")
    assert wdsl.loads(source, parameters={"root": 5}).parameters == 3 * 5 + 5


def test_watch_builds_again_when_a_table_changes(spec: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = spec('zero[mask("wiring.csv")]')
    versions = iter([np.eye(3, dtype=int), None])

    def change(seconds: float) -> None:
        version = next(versions)
        if version is None:
            raise KeyboardInterrupt
        write_csv(path.with_name("wiring.csv"), version)
        os.utime(path.with_name("wiring.csv"), ns=(0, 1))

    monkeypatch.setattr(cli.time, "sleep", change)
    result = CliRunner().invoke(cli.main, ["build", str(path), "--watch"], prog_name="wdsl")
    assert result.stderr.count("wrote") == 2
    assert "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]" in path.with_suffix(".py").read_text()


# --- what is written ------------------------------------------------------------------------------


def module_text(folder: Path) -> str:
    """A module of several masks: small ones, large ones, of several shapes, from files with odd names."""
    rng = np.random.default_rng(0)
    write_csv(folder / "wiring.csv", rng.integers(0, 2, (8, 70)))
    write_csv(folder / "sub" / "wiring.csv", rng.integers(0, 2, (70, 100)))
    np.save(folder / '2 "odd" names.npy', rng.random((302, 302)) < 0.025)
    np.save(folder / "漢字.npy", rng.random((3, 3, 2, 5)) < 0.5)
    np.save(folder / "net.npy", np.arange(302) % 2)
    write_csv(folder / "l.csv", rng.integers(0, 2, (8, 8)))
    return """
    network NET {
        input x: [8]
        input image: [8, 8, 2]
        layer a = Dense(70) zero[mask("wiring.csv")]
        layer b = Dense(100) zero[not mask("sub/wiring.csv")]
        layer c = Dense(302) zero[upper]
        layer d = Dense(302) zero[not mask("2 \\"odd\\" names.npy")] { bias: zero[mask("net.npy")] }
        layer e = Dense(302) fixed[mask("2 \\"odd\\" names.npy")] = 0.5
        layer f = Conv2D(5, 3) equal[mask("漢字.npy")]
        layer i = Dense(8) zero[mask("l.csv")]
        output y = x -> i -> a -> b -> c -> d -> e
        output z = image -> f
    }
    """


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> wdsl.Net:
    """A network whose files are gone by now."""
    folder = tmp_path_factory.mktemp("masks")
    found = wdsl.loads(module_text(folder), str(folder / "net.wnet"))
    for file in (*folder.rglob("*.csv"), *folder.rglob("*.npy")):
        file.unlink()
    return found


def test_the_module_is_as_a_formatter_writes_it(net: wdsl.Net, tmp_path: Path) -> None:
    source = net.to_python()
    (tmp_path / "module.py").write_text(source)
    code = source[source.index("def NET") :]
    assert max(map(len, code.splitlines())) <= 88
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--isolated", "--no-cache"], ["format", "--isolated", "--no-cache", "--check"]):
        ran = subprocess.run([*ruff, *command, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout


def test_each_table_is_in_the_module_once(net: wdsl.Net) -> None:
    tree = ast.parse(net.to_python())
    assigned = [each for each in tree.body if isinstance(each, ast.Assign)]
    names = [*dict.fromkeys(ast.unparse(each.targets[0]) for each in assigned)]
    assert names == ["WIRING", "WIRING_2", "MASK_2_ODD_NAMES", "NET_2", "MASK", "MASK_L"]
    # 302 × 302 entries, of which one in forty is marked, take a few kilobytes.
    assert max(len(ast.unparse(each)) for each in assigned) < 5000
    plan = net.emit("plan")
    assert max(map(len, plan.splitlines()[:6])) < 160


def test_the_same_table_is_written_wherever_it_is_read(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        texts.append(wdsl.loads(module_text(tmp_path / name), str(tmp_path / name / "net.wnet")).to_python())
    assert texts[0].replace(str(tmp_path / "one"), "") == texts[1].replace(str(tmp_path / "two"), "")


def test_no_file_is_needed_any_more(net: wdsl.Net, tmp_path: Path, python_module: Callable[..., ModuleType]) -> None:
    import keras

    rng = np.random.default_rng(0)
    # As they are drawn in `module_text`.
    marks = {"a": rng.integers(0, 2, (8, 70)) == 0, "b": rng.integers(0, 2, (70, 100)) > 0}
    odd, kernel = rng.random((302, 302)) < 0.025, rng.random((3, 3, 2, 5)) < 0.5
    models = [net.to_keras(), python_module(net.to_python()).NET()]
    for number, model in enumerate(models[:]):
        model.save(tmp_path / f"{number}.keras")
        models.append(keras.saving.load_model(tmp_path / f"{number}.keras"))
    for model in models:
        weights = wdsl.effective_weights(model)
        for name, free in marks.items():
            assert ((weights[f"{name}.kernel"] != 0) == free).all()
        assert ((weights["d.kernel"] != 0) == odd).all()
        assert (weights["e.kernel"][odd] == 0.5).all()
        assert np.unique(weights["f.kernel"][kernel]).size == 1
        assert np.unique(weights["f.kernel"][~kernel]).size == (~kernel).sum()
        report = wdsl.verify(model)
        assert report.ok
        assert max(map(len, str(report).splitlines())) < 160


def test_a_mask_crosses_a_tie_and_holds_by_every_mechanism(tmp_path: Path) -> None:
    write_csv(tmp_path / "wiring.csv", WIRING.astype(int))
    table = 'mask("wiring.csv")'
    source = f"""
    network Ties {{
        input x: [3]
        layer a = Dense(3)
        layer b = Dense(3) tie(a.kernel.T), zero[{table}]
        layer c = Dense(3) zero[{table}] via mask
        layer d = Dense(3) fixed[{table}] = 0.5 via constraint
        layer e = Dense(3) equal[not {table}] via gradient
        layer f = Dense(4, bias_initializer=random_normal)
        layer g = Dense(3) tie[{table}](f.bias)
        output y = x -> a -> b -> c -> d -> e -> g
        output z = x -> f
    }}
    """
    net = wdsl.loads(source, str(tmp_path / "net.wnet"))
    assert [each.message for each in net.diagnostics] == ["4 more entries of `a.kernel` are zero as well"]
    model = net.to_keras()
    assert wdsl.verify(model).ok
    weights = wdsl.effective_weights(model)
    assert ((weights["a.kernel"] == 0) == WIRING.T).all()
    for name, value in (("b", 0), ("c", 0), ("d", 0.5)):
        assert ((weights[f"{name}.kernel"] == value) == WIRING).all()
    assert len(np.unique(weights["e.kernel"][~WIRING])) == 1
    # A part of a weight that is tied: its entries in C order are the others in theirs.
    assert (weights["g.kernel"][WIRING] == weights["f.bias"]).all()


def test_other_values_of_a_parameter_are_refused_by_the_function(
    spec: Callable[..., Path], python_module: Callable[..., ModuleType]
) -> None:
    """The table is of one size; what is made for another says so."""
    path = spec('zero[mask("wiring.csv")]')
    path.write_text(path.read_text().replace("Net {", "Net(n: int = 3) {").replace("Dense(3)", "Dense(n)"))
    assert code_of(path, n=4) == "E0605"
    module = python_module(wdsl.to_python(path))
    module.Net()
    with pytest.raises(ValueError, match=r"wiring.csv.*\(3, 3\).*\(3, 4\)"):
        module.Net(4)
