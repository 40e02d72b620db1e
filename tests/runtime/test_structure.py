"""Equations and regions, against loops over single entries."""

import base64
import itertools
import json
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wdsl import structure
from wdsl.annotations.tables import mask_of
from wdsl.core import expressions as ex
from wdsl.structure import (
    At,
    Axis,
    Band,
    Blocks,
    By,
    Diagonal,
    Equal,
    Fixed,
    Flat,
    Frozen,
    Lower,
    Mask,
    Not,
    PackedMask,
    Skew,
    Symmetric,
    Tie,
    Tied,
    Union,
    Upper,
    View,
    Where,
    Zero,
    from_config,
    index_map,
    pieces,
    to_config,
)


def entries(shape):
    return itertools.product(*map(range, shape))


def by_search(equations, shape):
    """What `index_map` must give, by walking from entry to entry: index, scale, constant; None for a conflict."""
    multiples = {entry: [] for entry in entries(shape)}  # W[entry] = factor W[other]

    def join(one, other, factor):
        multiples[one].append((other, factor))
        multiples[other].append((one, Fraction(1) / factor))

    values = [
        (entry, Fraction(getattr(equation, "value", 0)))
        for equation in equations
        if isinstance(equation, (Zero, Fixed))
        for region in ([equation.region] if isinstance(equation, Fixed) else equation.items or [Not(Union())])
        for entry in entries(shape)
        if region.mask(shape)[entry]
    ]
    known = {entry for entry, _ in values}
    for equation in equations:
        if isinstance(equation, Symmetric):
            for entry in entries(shape):
                mirror = list(entry)
                mirror[equation.a], mirror[equation.b] = mirror[equation.b], mirror[equation.a]
                join(entry, tuple(mirror), Fraction(-1 if isinstance(equation, Skew) else 1))
        if isinstance(equation, Equal):
            groups = [[entry for entry in entries(shape) if entry not in known]] if not equation.items else []
            for item in equation.items:
                if isinstance(item, (Axis, By)):
                    keys = np.broadcast_to(item.keys(tuple(slice(0, size) for size in shape), shape), shape)
                    by_key = {}
                    for entry in entries(shape):
                        by_key.setdefault(keys[entry].item(), []).append(entry)
                    groups += by_key.values()
                else:
                    groups.append([entry for entry in entries(shape) if item.mask(shape)[entry]])
            for group in groups:
                for entry in group[1:]:
                    join(entry, group[0], Fraction(1))
    found, free = {}, 0
    for start in entries(shape):
        if start in found:
            continue
        factors, queue, is_zero = {start: Fraction(1)}, [start], False
        while queue:
            here = queue.pop()
            for other, factor in multiples[here]:
                if other not in factors:
                    factors[other] = factors[here] / factor
                    queue.append(other)
                is_zero |= factors[here] != factor * factors[other]
        firsts = {value / factors[entry] for entry, value in values if entry in factors} | ({0} if is_zero else set())
        if len(firsts) > 1:
            return None
        for entry, factor in factors.items():
            found[entry] = (-1, 1, factor * firsts.copy().pop()) if firsts else (free, factor, 0)
        free += not firsts
    return found


@st.composite
def systems(draw):
    sizes = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4))
    shape, flat = tuple(sizes), st.integers(0, int(np.prod(sizes)) - 1)
    pairs = [(a, b) for a, b in itertools.product(range(len(shape)), repeat=2) if shape[a] == shape[b]]
    symmetric = st.builds(lambda ab, kind: kind(*ab), st.sampled_from(pairs), st.sampled_from([Symmetric, Skew]))
    region = st.builds(lambda items: Flat(*items), st.lists(flat, max_size=3))
    zero = st.builds(lambda regions: Zero(*regions), st.lists(region, max_size=2))
    fixed = st.builds(Fixed, st.sampled_from([0.0, 1.0, -0.5]), region)
    by = st.sampled_from([By(lambda i: i % 2), By(lambda i, shape: (i + shape[0]) // 2)])
    grouping = st.builds(Axis, st.integers(0, len(shape) - 1)) | by | region
    equal = st.builds(lambda groups: Equal(*groups), st.lists(grouping, max_size=2))
    return draw(st.lists(symmetric | zero | fixed | equal, max_size=4)), shape


@given(systems(), st.sampled_from([1, 2, 5, pieces.PART]))
@settings(max_examples=500)
def test_index_map_is_what_a_search_gives(system, at_once):
    equations, shape = system
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PART", at_once)
        compare_with_search(equations, shape)


def compare_with_search(equations, shape):
    expected = by_search(equations, shape)
    if expected is None:
        with pytest.raises(ValueError, match="another value"):
            index_map(equations, shape)
        return
    solved = index_map(equations, shape)
    for entry, (index, scale, constant) in expected.items():
        assert solved.index[entry] == index
        assert (1.0 if solved.scale is None else solved.scale[entry]) == scale
        assert (0.0 if solved.constant is None else solved.constant[entry]) == constant
    assert solved.size == max(index for index, _, _ in expected.values()) + 1


@given(systems(), st.randoms(use_true_random=False))
def test_order_never_matters(system, random):
    equations, shape = system

    def solved():
        try:
            found = index_map(equations, shape)
        except ValueError:
            return None
        return [None if part is None else np.array(part).tolist() for part in vars(found).values()]

    first = solved()
    random.shuffle(equations)
    assert solved() == first


def test_large_kernels_are_solved_in_arrays():
    solved = index_map([Symmetric(), Zero(Diagonal())], (1500, 1500))
    assert solved.size == 1500 * 1499 // 2
    assert solved.index.dtype == np.int32


PREDICATES = {
    "i + j": lambda i, j: (i + j) % 3 == 0,
    "circulant": lambda j, i, shape: (j - i) % shape[1] < 2,
    "reflected": lambda i, shape: 2 * i >= shape[0] - 1,
    "abs": lambda i, j: abs(i - j) <= 1,
    "and or not": lambda i, j: (i < j) & ~(i == 0) | (j == 0),
    "bits": lambda i, j: (i ^ j) & 1,
    "minimum": lambda i, j, shape: np.minimum(i, j) * 2 // (shape[-1] + 1) == 0,
    "power": lambda i, j: i**2 + (-j) ** 2 < 5.5,
    "constant": lambda: True,
    "true division": lambda i, j: i / 2 != j,
}


@pytest.mark.parametrize("predicate", PREDICATES.values(), ids=PREDICATES)
@given(shape=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_where_is_its_predicate_on_every_entry(predicate, shape):
    names = predicate.__code__.co_varnames
    mask = Where(predicate).mask(shape)
    restored = from_config(json.loads(json.dumps(to_config(Where(predicate)))))
    assert np.array_equal(restored.mask(shape), mask)
    for i, j in entries(shape):
        known = {"i": i, "j": j, "shape": shape}
        result = predicate(**{name: known[name] for name in names})
        # Python's ~ of a bool is a number; NumPy's is not.
        expected = bool(result & 1) if type(result) is int else bool(result)
        assert mask[i, j] == expected


def test_where_on_five_axes():
    mask = Where(lambda i, j, k, l_, m: i + j + k + l_ + m == 4).mask((2, 3, 2, 3, 2))
    for entry in entries(mask.shape):
        assert mask[entry] == (sum(entry) == 4)


RANK_2 = {
    Diagonal(): lambda i, j: j == i,
    Diagonal(-2): lambda i, j: j - i == -2,
    Upper(): lambda i, j: j > i,
    Upper(-1): lambda i, j: j - i >= -1,
    Lower(): lambda i, j: i > j,
    Lower(2): lambda i, j: i - j >= 2,
    Band(1, 2): lambda i, j: -1 <= j - i <= 2,
    Blocks(2, 3): lambda i, j: i // 2 == j // 3,
    Not(Diagonal()): lambda i, j: i != j,
}


@pytest.mark.parametrize("region", RANK_2, ids=str)
@pytest.mark.parametrize("shape", [(4, 6), (5, 3), (1, 1)])
def test_regions_of_a_matrix(region, shape):
    expected = [[RANK_2[region](i, j) for j in range(shape[1])] for i in range(shape[0])]
    np.testing.assert_array_equal(region.mask(shape), expected)


def test_flat_and_subscripts():
    flat = Flat(1, slice(4, None), -5).mask((2, 3))
    np.testing.assert_array_equal(flat, [[False, True, False], [False, True, True]])
    at = At(slice(None), -1).mask((2, 3))
    np.testing.assert_array_equal(at, [[False, False, True]] * 2)


def library(path):
    return getattr(structure, path)


@st.composite
def tables(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    # Some have too many entries to be written as digits.
    shape = draw(st.sampled_from([shape, (*shape, 85), (*shape[:-1], 85, shape[-1])]))
    seed, density = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0, 0.02, 0.5, 1]))
    return np.random.default_rng(seed).random(shape) < density


@given(tables())
def test_a_mask_is_the_table_that_it_was_made_of(table):
    term = ex.evaluate(mask_of("table.npy", table), {}, library)
    restored = from_config(json.loads(json.dumps(to_config(Zero(Not(term))))))
    assert restored == Zero(Not(term))
    for mask in (term, restored.items[0].region):
        assert mask.mask(table.shape).dtype == bool
        assert np.array_equal(mask.mask(table.shape), table)
    with pytest.raises(ValueError, match=re.escape(str(table.shape))):
        term.mask((*table.shape, 1))


def test_masks_of_both_kinds_are_drawn():
    """The property above is about both."""
    kinds = {mask_of("", np.ones(shape, bool)).function.path for shape in ((4, 84), (4, 85), (64, 64), (65, 64))}
    assert kinds == {"Mask", "PackedMask"}
    assert isinstance(ex.evaluate(mask_of("", np.ones((64, 64), bool)), {}, library), Mask)
    assert isinstance(ex.evaluate(mask_of("", np.ones((4, 85), bool)), {}, library), PackedMask)


def in_base_85(*data):
    return base64.b85encode(bytes(data)).decode()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Mask, ""),
        (Mask, "01"),
        (Mask, "0101 01010"),
        (Mask, "0121 0101"),
        (Mask, "010101٠١"),
        (Mask, None),
        (PackedMask, ""),
        (PackedMask, '"'),
        (PackedMask, "ä"),
        (PackedMask, "01010101"),
        (PackedMask, in_base_85(0, 1)),
        (PackedMask, in_base_85(128)),
        (PackedMask, in_base_85(128, 1, 1)),
        (PackedMask, None),
    ],
)
def test_masks_that_do_not_hold_what_they_should(kind, text):
    with pytest.raises(ValueError, match=r"wiring\.csv"):
        kind("wiring.csv", (2, 4), text).mask((2, 4))


TERMS = [
    Zero(),
    Zero(Diagonal(1), Not(Band(1, 2)), Blocks(2, 2), Upper(), Lower(3)),
    Zero(Flat(1, slice(None, 5, 2)), At(slice(None), -1), At(0, 1)),
    Zero(Where(lambda i, j, shape: (i + 1) * j % shape[0] == 0)),
    Symmetric(1, 2),
    Equal(),
    Equal(Axis(0), By(lambda i, j: j - i), By(lambda i: i % 2), Upper()),
    Tie(-0.5 * View("a.kernel").T[0, 1:3].reshape(2, 1).transpose(1, 0).flip(0), At(slice(0, 2), -1)),
    Tie(View()[::2]),
    Skew(0, 2),
    Fixed(0.5, Union(Diagonal(), Not(Band(1, 1)))),
    Zero(Mask("wiring.csv", (2, 3), "011 100"), Not(PackedMask("wiring.csv", (3,), "text"))),
    Frozen(),
    Tied(),
]


@pytest.mark.parametrize("term", TERMS, ids=str)
def test_terms_survive_json(term):
    assert from_config(json.loads(json.dumps(to_config(term)))) == term


@pytest.mark.parametrize(
    "config",
    [
        ["system", "true"],
        ["__import__", "os"],
        ["Zero", ["__class__"]],
        ["Where", ["load", "x.npy"]],
        ["Where", ["testing"]],
        ["Where", ["fromfile", ["axis", 0]]],
        ["Where", ["matmul", ["axis", 0], ["axis", 1]]],
        ["Where", ["divmod", 1, 2]],
        ["Where", ["add", 1]],
        ["Where", ["add", 1, "1"]],
        ["Where", ["add", 1, {"a": 1}]],
        ["Where", [["add"], 1]],
        ["Where", "i"],
        ["Where", ["axis", 0, 1]],
    ],
    ids=str,
)
def test_a_file_runs_nothing_but_elementwise_functions(config):
    with pytest.raises(ValueError):
        from_config(config)


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        (Zero(Diagonal()), (3,)),
        (Zero(Upper()), (3, 3, 3)),
        (Zero(Flat(9)), (3, 3)),
        (Zero(Flat(-10)), (3, 3)),
        (Zero(At(0, 3)), (3, 3)),
        (Zero(At(0)), (3, 3)),
        (Symmetric(), (3, 4)),
        (Symmetric(0, 2), (3, 3)),
        (Zero(Where(lambda k: k > 0)), (3, 3)),
        (Zero(Where(lambda shape: shape[2] > 0)), (3, 3)),
    ],
    ids=str,
)
def test_what_does_not_fit_a_shape_is_said_with_the_shape(equation, shape):
    with pytest.raises(ValueError) as error:
        index_map([equation], shape)
    assert str(shape) in str(error.value)


def test_blocks_have_entries():
    with pytest.raises(ValueError, match="without entries"):
        Blocks(0, 2).mask((3, 3))


def test_predicates_that_cannot_be_written_down():
    with pytest.raises(ValueError, match="not x"):
        Where(lambda x: x)
    with pytest.raises(TypeError, match="&"):
        Where(lambda i, j: i < 2 and j < 2)
    with pytest.raises(TypeError, match="&"):
        Where(lambda i: 0 < i < 2)
    with pytest.raises(ValueError):
        Where(lambda i: i == "1")
