"""A file means one thing: whichever modules and runtimes are there when it is loaded, its numbers stay what they were,
or an error names the layer for which there is no class."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import wdsl

STRUCTURES = {
    "halves": "symmetric",
    "less": "symmetric, zero[diagonal]",
    "wired": 'zero[mask("a/wires.csv")]',
    "rewired": 'zero[mask("b/wires.csv")]',
    "small": "symmetric",
}
"""Of networks of one name, with a layer of one name. Those with masks have as many free parameters as one another."""

SIZES = dict.fromkeys(STRUCTURES, 512) | dict.fromkeys(("wired", "rewired", "small"), 8)

TEXT = "network N {{\n    input x: [{0}]\n    layer s = Dense({0}) {1}\n    output y = x -> s\n}}\n"

SAVE = """
import sys, json, importlib
import keras, numpy
sys.path.insert(0, ".")
for name, size in json.loads(sys.argv[1]).items():
    model = importlib.import_module(name).N()
    x = numpy.random.default_rng(0).normal(size=(2, size)).astype("float32")
    model.save(f"{name}.keras")
    numpy.save(f"{name}.npy", model(x))
"""
LOAD = """
import sys, json, importlib
import keras, numpy
sys.path.insert(0, ".")
known = keras.saving.get_custom_objects()
for file, size, modules in json.loads(sys.argv[1]):
    # As in a process that imports these, in this order, and nothing else.
    known.clear()
    for name in modules:
        sys.modules.pop(name, None)
        if name == "wdsl.runtime":
            for each in [each for each in sys.modules if each.startswith("wdsl.runtime")]:
                sys.modules.pop(each)
        importlib.import_module(name)
    try:
        model = keras.saving.load_model(f"{file}.keras")
    except (TypeError, ValueError) as error:
        print(json.dumps([file, modules, str(error)]))
        continue
    x = numpy.random.default_rng(0).normal(size=(2, size)).astype("float32")
    off = float(numpy.abs(model(x) - numpy.load(f"{file}.npy")).max())
    print(json.dumps([file, modules, off]))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, tuple[str, ...]], Any]:
    """What came of each file where some modules were there: how far outputs are off, or the error."""
    folder = tmp_path_factory.mktemp("files")
    for name, kept in (("a", "10010000"), ("b", "01000010")):
        (folder / name).mkdir()
        rows = [kept[turn:] + kept[:turn] for turn in range(8)]
        (folder / name / "wires.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    for name, structure in STRUCTURES.items():
        net = wdsl.loads(TEXT.format(SIZES[name], structure), str(folder / f"{name}.wnet"))
        (folder / f"{name}.py").write_text(net.to_python())
    text = TEXT.format(512, "symmetric")
    (folder / "live.py").write_text(f"import wdsl\n\ndef N():\n    return wdsl.loads({text!r}).to_keras()\n")
    sizes = SIZES | {"live": 512}
    cases = [
        (file, sizes[file], order)
        for file, others in (
            ("halves", ("less",)),
            ("halves", ("wdsl.runtime",)),
            ("halves", ("small",)),
            ("less", ("halves",)),
            ("wired", ("rewired",)),
            ("rewired", ("wired",)),
            ("live", ("halves",)),
        )
        for own in ((file if file != "live" else "wdsl.runtime"),)
        for order in (*permutations((own, *others)), others)
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(wdsl.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}

    def run(script: str, argument: Any) -> str:
        command = [sys.executable, "-c", script, json.dumps(argument)]
        ran = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    run(SAVE, sizes)
    found = [json.loads(line) for line in run(LOAD, cases).splitlines()]
    assert len(found) == len(cases)
    return {(file, tuple(modules)): said for file, modules, said in found}


def test_where_its_own_module_is_there_outputs_are_the_same(loaded: dict[Any, Any]) -> None:
    own = {
        key: said
        for key, said in loaded.items()
        if {*key[1]} & {key[0], "live" if key[0] != "live" else "wdsl.runtime"}
    }
    assert len(own) == 14
    for key, said in own.items():
        assert said == 0.0, key


def test_where_it_is_not_an_error_names_the_class(loaded: dict[Any, Any]) -> None:
    """A module that was written for the same network at another size has that class too."""
    others = {key: said for key, said in loaded.items() if len(key[1]) == 1}
    assert len(others) == 7
    for (file, modules), said in others.items():
        if said != 0.0:
            assert isinstance(said, str), (file, modules)
            assert "'s'" in said, (file, modules)
    assert {key for key, said in others.items() if said == 0.0} <= {("halves", ("small",))}
