"""The normal form of a weight against the solver: on every spec, on all that is exact, and on drawn systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import wdsl
from tests.backends.test_one_truth import FURTHER
from tests.exactness.annotations import MECHANISMS, SEVERAL, annotations_of, network_of
from tests.properties.test_solver import System, examples, systems
from wdsl import structure
from wdsl.backends.mechanisms import bare
from wdsl.core import expressions as ex
from wdsl.core.sizes import expression_of
from wdsl.weights.carried_out import evaluated
from wdsl.weights.coupled import CoupledLowering, Member, coupled_form, within
from wdsl.weights.entries import index_maps, library
from wdsl.weights.normal import NormalForm, by_shape, normal_form

ROOT = Path(__file__).parents[2]
SPECS = sorted(path for path in (ROOT / "specs").rglob("*.wnet") if path.parent.name != "parts")


def equations(found: Any) -> tuple[ex.Expression, ...]:
    """A weight's equations without their mechanisms, but for those that say nothing of its entries."""
    return tuple(each for each in map(bare, found.equations) if each != ex.Call(ex.Symbol("Frozen")))


def check(net: wdsl.Net) -> Iterator[str]:
    """Hold each weight's form against the solver, and yield the names of those that have one."""
    for found in net.weights:
        stated = equations(found)
        if found.name != found.owner:
            continue
        if found.coupled:
            compare_coupled([each for each in net.weights if each.owner == found.name], net.network.values)
        elif stated:
            compare(stated, tuple(found.weight.shape), net.network.values)
        else:
            continue
        yield str(found.name)


def compare(stated: tuple[ex.Expression, ...], shape: tuple[int, ...], values: Mapping[str, Any]) -> None:
    sizes = tuple(map(expression_of, shape))
    shape = tuple(map(int, shape))
    wanted = structure.index_map([ex.evaluate(each, values, library) for each in stated], shape)
    for in_arrays in (False, True):
        form = normal_form([by_shape(each, sizes) for each in stated], len(shape), in_arrays=in_arrays)
        same(evaluated(form, shape, values, library), wanted)


def compare_coupled(sharing: list[Any], values: Mapping[str, Any]) -> None:
    """Hold the form of a vector against what the solver says of the weights in it."""
    shapes = {str(each.name): tuple(map(int, each.weight.shape)) for each in sharing}
    places, size = structure.side_by_side(shapes)
    arrays = {name: ex.Variable(f"places{number}") for number, name in enumerate(shapes)}
    members = {name: Member(arrays[name], len(shape)) for name, shape in shapes.items()}
    stated = [
        within(str(each.name), by_shape(one, tuple(map(expression_of, each.weight.shape))))
        for each in sharing
        for one in equations(each)
    ]
    given = {**values, "vector": np.arange(size)} | {arrays[name].name: at for name, at in places.items()}
    wanted = index_maps(sharing, values)
    for form in (coupled_form(stated, members), in_steps(stated, members)):
        found = evaluated(form, (size,), given, library)
        for each in sharing:
            solved, factor = wanted[each.name]
            assert factor == 1.0
            at = places[str(each.name)]
            scale, constant = (array if array is None else array[at] for array in (found.scale, found.constant))
            same(structure.IndexMap(found.index[at], found.size, scale, constant), solved)


def in_steps(stated: list[ex.Expression], members: Mapping[str, Member]) -> NormalForm:
    """The form whose arrays are those of every other equation, and then of all."""
    lowering = CoupledLowering(members)
    some = lowering.form(tuple(stated[::2]), tuple(stated), True)
    if not lowering.goes_on(stated):
        return CoupledLowering(members).form(tuple(stated), (), True)
    form = lowering.form(tuple(stated), (), True)
    return form.replace(lets=(*some.lets, *form.lets))


def same(found: structure.IndexMap, wanted: structure.IndexMap) -> None:
    shape = wanted.index.shape
    assert found.size == wanted.size
    np.testing.assert_array_equal(found.index, wanted.index)
    live = wanted.index >= 0
    ones, zeros = np.ones(shape), np.zeros(shape)
    scales = (ones if each.scale is None else each.scale for each in (found, wanted))
    # Factors that are no signs are multiplied along other ways: they may differ in the last place.
    np.testing.assert_allclose(*(np.where(live, each, 1.0) for each in scales), rtol=4 * 2.0**-53)
    constants = (zeros if each.constant is None else each.constant for each in (found, wanted))
    np.testing.assert_allclose(*constants, rtol=4 * 2.0**-53)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs(path: Path) -> None:
    """A spec may have no weight with a form of its own; that there are some is seen to below."""
    assert all(check(wdsl.load(path)))


def test_specs_have_structure() -> None:
    assert sum(1 for path in SPECS for _ in check(wdsl.load(path))) >= 30


@pytest.mark.parametrize("name", FURTHER)
def test_other_parameters(name: str) -> None:
    text, parameters = FURTHER[name]
    checked = [[*check(wdsl.loads(text, parameters=given))] for given in ({}, parameters)]
    assert checked[0] == checked[1]


@pytest.mark.parametrize("mechanism", [*MECHANISMS, SEVERAL])
def test_all_that_is_exact(mechanism: str) -> None:
    assert [*check(wdsl.loads(network_of(mechanism, annotations_of(mechanism))))]


@examples(300)
@given(systems())
def test_drawn_systems(system: System) -> None:
    net = wdsl.loads(system.text())
    for _ in check(net):
        pass
