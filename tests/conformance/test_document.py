"""docs/layers.md is what the catalogue says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conformance.document import document, example
from wdsl.catalog import LAYERS

PATH = Path(__file__).parents[2] / "docs" / "layers.md"


def test_the_document_is_up_to_date(same_text: Callable[[Path, str, str], None], update_golden: bool) -> None:
    text = document()
    if update_golden:
        PATH.write_text(text, encoding="utf-8", newline="\n")
    same_text(PATH, PATH.read_text(encoding="utf-8"), text)


def test_each_layer_has_an_example() -> None:
    assert [row.name for row in LAYERS.values() if example(row) is None] == []


def test_it_says_nothing_of_how_rules_work() -> None:
    """What stands under a layer is about that layer; the rest of a rule's docstring is for those who write rules."""
    text = PATH.read_text(encoding="utf-8")
    assert [word for word in ("`family`", "Args:", "Returns:", "Raises:") if word in text] == []
