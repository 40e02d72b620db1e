"""docs/performance.md has the numbers that docs/bench/ has, and shows pictures that are there."""

from __future__ import annotations

import re
from pathlib import Path

import wdsl
from tests.bench.document import DOCUMENT, PARTS, WRITTEN, document
from wdsl.annotations.kinds import KINDS
from wdsl.tools.summary import table

TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_its_tables_are_those_of_the_last_benchmarks() -> None:
    assert {found[2] for found in WRITTEN.finditer(TEXT)} == {*PARTS}
    assert document(TEXT) == TEXT


def test_its_pictures_are_there_and_no_other() -> None:
    shown = set(re.findall(r"\]\(bench/(.*?\.png)\)", TEXT))
    folder = Path(DOCUMENT.parent, "bench")
    assert shown <= {path.name for path in folder.glob("*.png")}
    assert {path.with_suffix(".json").name for path in folder.glob("*.png")} == {p.name for p in folder.glob("*.json")}


def test_it_says_from_which_size_on_kernels_are_not_made() -> None:
    fewest: dict[str, int] = {}
    for kind in KINDS.values():
        fewest |= kind.patterns
    (said,) = re.findall(r"the first four rows of the table count from.*?\)\.", TEXT, re.DOTALL)
    rows, transforms, others = (int(each.replace(",", "")) for each in re.findall(r"\d+,\d+", said))
    first_four = {fewest.pop(name) for name in ("RepeatedRow", "RepeatedColumn", "DiagonalAndRest")}
    assert first_four == {rows}
    assert {fewest.pop(name) for name in ("CirculantMatrix", "ToeplitzMatrix")} == {transforms}
    assert {*fewest.values()} == {others}


def test_the_recipe_says_when_one_number_is_written_out() -> None:
    recipes = DOCUMENT.with_name("recipes.md").read_text(encoding="utf-8")
    assert "wdsl takes the sum by itself where the kernel has 4,096 entries or more" in " ".join(recipes.split())
    text = "network N {{ input x: [{0}]; layer a = Dense({0}) equal; output y = x -> a }}"
    products = ["multiplied as" in table(wdsl.loads(text.format(size))) for size in (63, 64)]
    assert products == [False, True]


def test_the_readme_says_nothing_else() -> None:
    """What it does not do is said of it as a whole, and so is not to contradict the rest."""
    readme = DOCUMENT.parents[1].joinpath("README.md").read_text(encoding="utf-8")
    limits = readme.partition("## What it does not do yet")[2].partition("\n## ")[0]
    assert "docs/performance.md#what-is-not-made" in limits
    assert "written out in full" not in readme
