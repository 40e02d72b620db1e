"""The package as it is installed: what stands at the top of a checkout lies inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_wheel_compiles_and_explains(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    spec = tmp_path / "net.wnet"
    spec.write_text("network Net {\n    input x: [8]\n    output y = x -> Desne(4)\n}\n")

    def wdsl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "wdsl", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)

    explained = wdsl("explain", "E0301")
    assert explained.returncode == 0, explained.stderr
    assert "layer a = Dense(4)" in explained.stdout
    assert "E0301" in wdsl("check", "net.wnet").stderr
    assert wdsl("check", "net.wnet", "--fix").returncode == 0
    assert "Dense(4)" in spec.read_text()
