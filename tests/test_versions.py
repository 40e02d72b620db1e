"""What came with a later Keras than the one that is installed is reported, and nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = """network N {
    input image: [8, 8, 1]
    layer pool = AdaptiveMaxPooling2D(2)
    h = image -> BatchNormalization(renorm=true) -> pool
    output y = h -> fmax(0.5)
}
"""
CODES = ["E0302", "E0301", "E0201"]


@pytest.mark.parametrize(
    ("version", "codes"),
    [("3.12.1", CODES), ("3.13.0", ["E0302", "E0201"]), ("3.14.2", ["E0201"]), ("3.15.0", []), ("4.0", []), (None, [])],
)
def test_what_the_installed_keras_lacks(version: str | None, codes: list[str], tmp_path: Path) -> None:
    if version is not None:
        (tmp_path / f"keras-{version}.dist-info").mkdir()
        (tmp_path / f"keras-{version}.dist-info" / "METADATA").write_text(f"Name: keras\nVersion: {version}\n")
    (tmp_path / "net.wnet").write_text(TEXT)
    hide = (
        ""
        if version is not None
        else (
            "import importlib.metadata as m\n"
            "def version(name): raise m.PackageNotFoundError(name)\n"
            "m.version = version\n"
        )
    )
    code = f"{hide}import wdsl, sys\nprint(*(d.code + d.message for d in wdsl.check('net.wnet')), sep='\\n')"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        text=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.split("\n")[:-1]
    assert sorted(line[:5] for line in said if line) == sorted(codes)
    assert all(f"in Keras {version}, which is installed" in line for line in said if line)
