"""What the command line imports: neither Keras nor TensorFlow, and for the first spec not even NumPy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.wnet"))
CODE = """
import json, sys
from wdsl.tools.cli import main
for command in json.loads(sys.argv[1]):
    try:
        main(command, standalone_mode=False)
    except SystemExit as end:
        assert not end.code, (command, end.code)
    print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""
HEAVY = {"keras", "tensorflow", "jax", "torch", "h5py", "scipy", "sklearn", "matplotlib"}


COMMANDS = [
    ["build", "-o", "-", "specs/tied_autoencoder.wnet"],
    ["check", "specs"],
    ["fmt", "--check", "specs"],
    ["check", "--format", "json", "specs"],
    ["check", "--format", "sarif", "specs"],
    ["explain", "E0504"],
    *(["build", "-o", "-", f"specs/{path.name}"] for path in SPECS),
    *(["build", "--emit", stage, "specs/lenet5.wnet"] for stage in ("network", "weights", "plan", "json", "dot")),
    *(["summary", f"specs/{path.name}"] for path in SPECS),
]


def modules_after(*commands: list[str]) -> list[set[str]]:
    """The top-level modules that are loaded after each of several commands in one new process."""
    command = [sys.executable, "-c", CODE, json.dumps(commands)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    found = [set(json.loads(line)) for line in ran.stderr.splitlines() if line.startswith("[")]
    assert len(found) == len(commands)
    return found


def test_no_command_loads_keras() -> None:
    """One process for all: what one of them has loaded is there until the end."""
    for command, loaded in zip(COMMANDS, modules_after(*COMMANDS), strict=True):
        assert not loaded & HEAVY, " ".join(command)


def test_building_the_first_spec_loads_no_numpy() -> None:
    (loaded,) = modules_after(COMMANDS[0])
    assert "wdsl" in loaded
    assert not loaded & {"numpy", "rich", *HEAVY}


def test_the_test_would_see_it() -> None:
    """Where zeros have to be counted entry by entry, NumPy is loaded, and this way of looking says so."""
    assert "numpy" in modules_after(["summary", "specs/lenet5.wnet"])[0]


def test_live_models_are_what_loads_keras() -> None:
    code = (
        "import sys, wdsl\n"
        "net = wdsl.load('specs/hopfield.wnet')\n"
        "net.to_python(); net.plan; net.parameters\n"
        "assert 'keras' not in sys.modules\n"
        "net.to_keras()\n"
        "assert 'keras' in sys.modules\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_runtime_loads_no_parser() -> None:
    """What a saved model needs is not the compiler."""
    code = "import sys, wdsl.runtime; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(ran.stdout.split())
    assert {"keras", "wdsl"} <= loaded
    assert not loaded & {"lark", "jinja2", "click"}


def test_importing_wdsl_loads_no_parser() -> None:
    code = "import sys, wdsl; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not set(ran.stdout.split()) & {"lark", "jinja2", "click", "numpy", *HEAVY}
