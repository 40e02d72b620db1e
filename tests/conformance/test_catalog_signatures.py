"""The rows' signatures and registries are Keras's; and the script that compares them finds what is not."""

from __future__ import annotations

from types import MappingProxyType

import keras
import pytest

from tests.conformance import catalog
from wdsl.catalog import (
    CONSTRAINTS,
    FUNCTIONS,
    INITIALIZERS,
    LAYERS,
    REFUSED,
    REGULARIZERS,
    Argument,
    Class,
    Constructed,
    check,
)

CLASSES = [
    *(("initializers", *row) for row in INITIALIZERS.items()),
    *(("regularizers", *row) for row in REGULARIZERS.items()),
    *(("constraints", *row) for row in CONSTRAINTS.items()),
]


def test_there_is_no_difference() -> None:
    assert catalog.differences() == []


def test_nothing_is_left_out_twice() -> None:
    assert not LAYERS.keys() & REFUSED.keys()


@pytest.mark.parametrize(
    ("name", "signature", "found"),
    [
        ("round", "x: tensor", "ops.round: the row has no argument `decimals`, whose default is 0"),
        ("round", "x: tensor, decimals: int = 1", "ops.round: the default of `decimals` is 0, not 1"),
        ("round", "x: tensor, digits: int = 0, decimals: int = 0", "ops.round: Keras has no argument `digits`"),
        ("round", "decimals: int = 0, x: tensor", "ops.round: the order is x, decimals"),
        (
            "round",
            "x: tensor, decimals: int = 0 since 99.0",
            "ops.round: `decimals` is there, though it should have come with Keras 99.0",
        ),
        ("abs", "x: tensor, more: int = 0 since 99.0", None),
    ],
)
def test_a_row_that_says_something_else_is_found(
    name: str, signature: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {**FUNCTIONS, name: FUNCTIONS[name].replace(signature=signature)}
    monkeypatch.setattr("wdsl.catalog.FUNCTIONS", MappingProxyType(rows))
    assert catalog.differences() == ([] if found is None else [found])


def test_rows_that_only_one_side_has_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {
        **LAYERS,
        "Denser": LAYERS["Dense"].replace(name="Denser"),
        "Later": LAYERS["Dense"].replace(since="99.0"),
    }
    del layers["Dense"]
    monkeypatch.setattr("wdsl.catalog.LAYERS", MappingProxyType(layers))
    assert catalog.differences() == [
        "layers.Dense: there is no row for it, and no word on what to do instead",
        "layers.Denser: is not there",
    ]


@pytest.mark.parametrize(("module", "name", "row"), CLASSES, ids=lambda value: value if isinstance(value, str) else "")
def test_constructed_classes(module: str, name: str, row: Class) -> None:
    if row.by_name:
        assert type(getattr(keras, module).get(name)) is getattr(getattr(keras, module), row.name)
    argument = Argument("it", module.removesuffix("s"))
    assert (check(argument, name) is None) == row.by_name
    assert check(argument, Constructed(row.kind, row.name, {})) is None
