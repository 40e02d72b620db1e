"""`wdsl verify` of damaged and crafted files: a sentence, no traceback, at most 1 GiB, and no code is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wdsl
from tests import archives

if not sys.platform.startswith("linux"):
    pytest.skip("Windows has no limits for processes", allow_module_level=True)

TEXT = """network Net {
    input x: [6]
    layer a = Dense(6) equal[diagonals], zero[where i > j + 3]
    layer b = Dense(6, activation=relu) symmetric
    layer c = Dense(6) tie(b.kernel.T)
    output y = x -> a -> b -> c -> BatchNormalization() -> Dropout(0.5)
}
"""
HARMLESS = re.compile(r"hdf5|flipped bits of config|a huge batch|end of directory 10 ")
"""What may still be a model: of other numbers, names or batches, or with a count that nobody asks for."""

SAMPLE = 12
"""Every such one of them is among what `make test` looks at."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("real") / "real.keras"
    wdsl.loads(TEXT).to_keras().save(path)
    return path.read_bytes()


def verify(folder: Path, files: dict[str, bytes]) -> dict[str, Any]:
    """What a process says of each, which does nothing else."""
    folder.joinpath("files").mkdir()
    names = {}
    for number, (name, data) in enumerate(files.items()):
        path = folder / "files" / f"{number}.keras"
        path.write_bytes(data)
        names[str(path)] = name
    root = str(Path(wdsl.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.archives", *names]
    (folder / "in").mkdir()
    ran = subprocess.run(command, cwd=folder / "in", env=environment, text=True, capture_output=True, check=False)
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("[")]
    last = next((name for file, name in names.items() if file not in {each[0] for each in found}), None)
    assert (ran.returncode, last) == (0, None), f"{last}: {ran.stderr[-3000:]}"
    assert list((folder / "in").iterdir()) == []
    return {names[file]: said for file, *said in found}


def hold(found: dict[str, Any]) -> None:
    wrong = []
    for name, (status, out, said, raised, most, touched) in found.items():
        is_refused = status == 2 and out == "" and re.search(r"^Error: \S+\.keras (is no|has a|takes) .+", said, re.M)
        is_model = status in (0, 1) and HARMLESS.match(name) and out
        if raised or "Traceback" in said or not (is_refused or is_model) or touched or most > 2**30:
            wrong.append((name, status, out[-300:], said[-300:], raised, most >> 20, touched))
    assert wrong == []


def test_there_are_many(real: bytes) -> None:
    files = archives.all_of(real)
    assert len(set(files.values())) >= 200
    assert real not in files.values()


def test_some_of_them(real: bytes, tmp_path: Path) -> None:
    files = archives.all_of(real)
    some = dict(list(files.items())[::SAMPLE]) | {"units of 30000": files["units of 30000"]}
    members = archives.members_of(real)
    padded = archives.packed(members | {archives.CONFIG: members[archives.CONFIG] + b" " * 2**23})
    found = verify(tmp_path, some | {"hdf5 as it was": real, "hdf5 beside much": padded})
    hold(found)
    assert (
        found["hdf5 as it was"][:2]
        == found["hdf5 beside much"][:2]
        == [0, f"{wdsl.verify(wdsl.loads(TEXT).to_keras())}\n"]
    )


@pytest.mark.repeated
def test_all_of_them(real: bytes, tmp_path: Path) -> None:
    hold(verify(tmp_path, archives.all_of(real)))


@pytest.mark.parametrize("kind", ["missing", "a folder", "a pipe", "a device", "of another name"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("model.h5" if kind == "of another name" else "model.keras")
    {
        "missing": lambda: None,
        "a folder": path.mkdir,
        "a pipe": lambda: os.mkfifo(path),
        "a device": lambda: path.symlink_to("/dev/zero"),
        "of another name": path.touch,
    }[kind]()
    with pytest.raises(ValueError, match=r"no such file|it is a|does not end in"):
        wdsl.verify(path)
