"""An annotation is a row of `wdsl/annotations/kinds.py` and a class of `wdsl/structure.py`, for all up to the plan."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import wdsl
from wdsl import structure
from wdsl.annotations.kinds import KINDS, Kind
from wdsl.annotations.meanings import Tied
from wdsl.core import expressions as ex

ROOT = Path(__file__).parents[1]
CLASSES = {name for row in KINDS.values() for name in row.classes}
KNOWN = {
    "wdsl/annotations/equations.py": {"Tie"},  # what a tie of two weights constructs
    "wdsl/annotations/ties.py": {"Symmetric"},  # what ties a weight to its own transpose
    "wdsl/plan/kinds.py": {"Frozen"},
    "wdsl/weights/coupled.py": CLASSES,
    "wdsl/weights/entries.py": {"Averaged"},  # the solver has no use for how a gradient is made
    "wdsl/weights/normal.py": CLASSES,
    "wdsl/weights/products.py": CLASSES,
    "wdsl/backends/classes.py": CLASSES,
    "wdsl/backends/coupled.py": CLASSES,
    "wdsl/backends/mechanisms.py": CLASSES,
    "wdsl/backends/words.py": CLASSES,
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
    row = Kind(
        name="persymmetric",
        read=lambda subject, annotation: ex.Call(ex.Symbol("Persymmetric")),
        classes=("Persymmetric",),
        meaning=lambda arguments: Tied(),
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


def test_it_was_not_there_before() -> None:
    with pytest.raises(wdsl.WdslError, match="E0505"):
        net_with("persymmetric")


def test_no_other_file_names_an_annotation() -> None:
    assert "Skew" in CLASSES
    elsewhere = {}
    for path in (ROOT / "wdsl").rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        if file in ("wdsl/annotations/kinds.py", "wdsl/structure.py", "wdsl/runtime.py"):
            continue
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
        if found := (strings & CLASSES) - KNOWN.get(file, set()):
            elsewhere[file] = found
    assert elsewhere == {}
