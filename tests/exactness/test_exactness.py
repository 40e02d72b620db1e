"""A part of what `make exactness` runs: each mechanism with all annotations, and each optimizer, precision, execution,
and copy with some of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.exactness import run, training
from tests.exactness.annotations import (
    ANNOTATIONS,
    MECHANISMS,
    SEVERAL,
    Annotation,
    annotations_of,
    compared,
    halved,
)
from tests.exactness.training import OPTIMIZERS, PARTS, TRAINED, Cell
from wdsl.structure.patterns import MatrixPattern


def holds(cells: Iterable[Cell]) -> None:
    cells = list(cells)
    assert [each for each in cells if each.violated and not each.limit] == []
    assert any(not each.limit for each in cells)
    assert all(each.entries for each in cells)


@pytest.mark.parametrize(
    ("mechanism", "optimizer"),
    [*zip(TRAINED, itertools.cycle(("AdamW, weight decay", "Adam, EMA")), strict=False)],
)
def test_each_mechanism(mechanism: str, optimizer: str) -> None:
    holds(training.trained(mechanism, "float32", "eager", [optimizer]))


def test_products_without_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but Fourier transforms, which round: in use for kernels as small as these."""
    for name, kind in {"": MatrixPattern, **MatrixPattern.kinds}.items():
        is_rounded = name in ("CirculantMatrix", "ToeplitzMatrix")
        monkeypatch.setattr(kind, "least", 2**60 if is_rounded else 0)
    holds(training.trained("parameter", "float32", "graph", ["AdamW, weight decay"]))


def test_every_optimizer() -> None:
    """A third of what has several mechanisms has all of them."""
    uses = " ".join(each.statements for each in annotations_of(SEVERAL, 4))
    assert all(f"via {each}" in uses for each in ("mask", "constraint", "gradient"))
    holds(training.trained(SEVERAL, "float32", "eager", OPTIMIZERS, 4))


@pytest.mark.parametrize(
    ("mechanism", "precision", "execution", "optimizer"),
    [
        ("gradient", "mixed_bfloat16", "graph", "AdamW, weight decay"),
        ("constraint", "mixed_float16", "XLA", "Adam, EMA"),
    ],
)
def test_compiled_and_mixed(mechanism: str, precision: str, execution: str, optimizer: str) -> None:
    holds(training.trained(mechanism, precision, execution, [optimizer], 5))


@pytest.mark.parametrize("precision", training.PRECISIONS)
def test_what_holds_at_the_start_alone(precision: str) -> None:
    holds(training.trained("initial", precision, "eager"))


@pytest.mark.parametrize(
    ("mechanism", "precision", "optimizer", "step"),
    [("parameter", "float32", "AdamW, weight decay", 6), (SEVERAL, "mixed_float16", "Adam, EMA", 2)],
)
def test_files_and_copies(mechanism: str, precision: str, optimizer: str, step: int) -> None:
    """Every sixth annotation, one of them a tie to five views, and half of what has several mechanisms."""
    cells = list(training.copied(mechanism, precision, optimizer, step))
    holds(cells)
    assert {each.part for each in cells} == {*PARTS} - {"before training", "training", "two replicas"}


def test_two_replicas() -> None:
    """In a process of its own, because devices are set up once."""
    with run.processes(1) as pool:
        holds(pool.submit(run.run, ("replicated", (SEVERAL, "float32", ("Adam, EMA",)))).result())


# --- the suite itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda each: each.name)
def test_any_other_weights_are_found(annotation: Annotation) -> None:
    rng = np.random.default_rng(3)
    shapes = {layer: (13,) if weight == "bias" else (13, 13) for layer, (weight, _, _) in annotation.weights.items()}
    shapes |= {"filters": (2, 2, 5, 5), "flat": (169,), "part": (13, 5)}
    weights = {layer: rng.normal(size=shapes[layer]) for layer in annotation.weights}
    entries, violated = compared(annotation, weights)
    assert entries / 2 < violated <= entries
    zeros = {layer: np.zeros_like(weight) for layer, weight in weights.items()}
    assert compared(annotation, zeros)[0] == entries
    nothing = {layer: np.full_like(weight, np.nan) for layer, weight in weights.items()}
    assert compared(annotation, nothing) == (entries, entries)


def test_each_annotation_has_its_network() -> None:
    for mechanism in (*MECHANISMS, SEVERAL):
        layers = [layer for each in annotations_of(mechanism) for layer in each.weights]
        assert len(set(layers)) == len(layers)
    assert {each for annotation in ANNOTATIONS for each in annotation.mechanisms} == {*MECHANISMS, SEVERAL}


def test_the_document_has_a_row_for_everything() -> None:
    text = (Path(__file__).parents[2] / "docs" / "exactness.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")}
    named = [*PARTS, *OPTIMIZERS, *(f"`{each.name}`" for each in ANNOTATIONS)]
    assert [name for name in named if name not in rows] == []
    assert "cells with a promise, 0 of " in text


def test_halves_that_float16_has_no_number_for() -> None:
    """Weights of which each half is rounded by itself; and halves that are wrong by more than that."""
    exact = (np.arange(1, 2000) * 2.0**-26).astype("float32")
    owner, half = exact.astype("float16"), (exact / 2).astype("float16")
    assert (half != owner / 2).any()
    assert all((left == right).all() for left, right in halved(owner, half))
    for wrong in (half + np.float16(2.0**-23), -half):
        assert any((left != right).any() for left, right in halved(owner, wrong))
    assert all((left == right).all() for left, right in halved(np.float32(owner), np.float32(owner) / 2))
    assert any((left != right).any() for left, right in halved(np.float32(owner), np.float32(half)))
