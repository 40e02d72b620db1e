"""An annotation is a row of `wdsl/annotations/kinds.py` and a class in `wdsl/structure/`, for all up to the plan."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest

import wdsl
from wdsl import structure
from wdsl.annotations.kinds import KINDS, Kind
from wdsl.annotations.meanings import VIEW, Tied
from wdsl.core import expressions as ex

ROOT = Path(__file__).parents[1]
CLASSES = {name for row in KINDS.values() for name in row.classes}
KNOWN = {
    "wdsl/annotations/equations.py": {"Tie"},  # what a tie of two weights constructs
    "wdsl/annotations/ties.py": {"Symmetric"},  # what ties a weight to its own transpose
    "wdsl/weights/entries.py": {"Averaged"},  # the solver has no use for how a gradient is made
}
"""The files that name the class of an annotation besides those with the rows and the classes."""


class Persymmetric(structure.Symmetric):
    """The weight equals itself mirrored in the other diagonal."""

    def merges(self, shape: structure.Shape, known: np.ndarray) -> Iterator[structure.Merge]:
        entries = np.arange(math.prod(shape)).reshape(shape)
        yield entries.ravel(), entries[::-1, ::-1].T.ravel(), 1.0


@pytest.fixture
def persymmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    """An annotation that wdsl does not have, added as `docs/development.md` says."""
    upside_down = ex.Call(ex.Attribute(VIEW, "flip"), (ex.Constant(0),))
    mirrored = ex.Attribute(ex.Call(ex.Attribute(upside_down, "flip"), (ex.Constant(1),)), "T")
    row = Kind(
        name="persymmetric",
        read=lambda subject, annotation: ex.Call(ex.Symbol("Persymmetric")),
        classes=("Persymmetric",),
        meaning=lambda arguments: Tied(mirrored),
    )
    monkeypatch.setitem(KINDS, row.name, row)  # type: ignore[arg-type]
    monkeypatch.setattr(structure, "Persymmetric", Persymmetric, raising=False)


def net_with(annotations: str) -> wdsl.Net:
    layer = f"layer d = Dense(4, use_bias=false) {annotations}"
    return wdsl.loads(f"network N {{\n    input x: [4]\n    {layer}\n    output y = x -> d\n}}\n")


@pytest.mark.usefixtures("persymmetric")
def test_a_row_and_a_class_are_an_annotation() -> None:
    assert net_with("persymmetric").parameters == 10
    assert net_with("persymmetric, symmetric").parameters == 6
    assert net_with("persymmetric, zero[(0, 0)]").parameters == 9
    net = net_with("persymmetric, equal[diagonals]")
    assert net.parameters == 7
    assert [each.code for each in net.diagnostics] == ["W0505"]  # a Toeplitz matrix is persymmetric by itself


@pytest.mark.usefixtures("persymmetric")
def test_it_has_reports_mechanisms_and_projections() -> None:
    assert [each.code for each in net_with("persymmetric, zero[(0, 0)]").diagnostics] == ["W0501"]
    assert [each.code for each in net_with("persymmetric via initial").diagnostics] == ["W0504"]
    with pytest.raises(wdsl.WdslError, match=r"E0505.*persymetric"):
        net_with("persymetric")
    given = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    found = wdsl.project(net_with("persymmetric"), {"d.kernel": given})["d.kernel"]
    assert (found == found[::-1, ::-1].T).all()
    np.testing.assert_allclose(found, (given + given[::-1, ::-1].T) / 2, rtol=1e-6)


@pytest.mark.usefixtures("persymmetric")
def test_it_has_a_class_in_modules(python_module: Callable[[str], ModuleType]) -> None:
    net = net_with("persymmetric, zero[(0, 0)]")
    source = net.to_python()
    assert 'structure = ("kernel: persymmetric, zero[(0, 0)]",)' in source
    live, module = net.to_keras(), python_module(source).N()
    for model in (live, module):
        keras.utils.set_random_seed(1)
        model.layers[-1].set_weights([np.arange(1.0, 10.0)])
    kernel = np.asarray(module(np.eye(4)))
    assert (kernel == kernel[::-1, ::-1].T).all()
    assert kernel[0, 0] == kernel[3, 3] == 0
    assert (kernel == np.asarray(live(np.eye(4)))).all()


def test_it_was_not_there_before() -> None:
    with pytest.raises(wdsl.WdslError, match="E0505"):
        net_with("persymmetric")


def test_no_other_file_names_an_annotation() -> None:
    assert "Skew" in CLASSES
    elsewhere = {}
    for path in (ROOT / "wdsl").rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        if file == "wdsl/annotations/kinds.py" or file.startswith(("wdsl/structure/", "wdsl/runtime/")):
            continue
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
        if found := (strings & CLASSES) - KNOWN.get(file, set()):
            elsewhere[file] = found
    assert elsewhere == {}
