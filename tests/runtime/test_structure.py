"""Equations and regions, against loops over single entries."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsl.structure import (
    At,
    Band,
    Blocks,
    Diagonal,
    Equal,
    Flat,
    Lower,
    Not,
    Symmetric,
    Tied,
    Upper,
    Where,
    Zero,
    from_config,
    index_map,
    to_config,
)


def entries(shape):
    return itertools.product(*map(range, shape))


def by_union_find(equations, shape):
    """What `index_map` must give, entry by entry."""
    parent = {entry: entry for entry in entries(shape)}

    def root(entry):
        while parent[entry] != entry:
            entry = parent[entry]
        return entry

    def merge(one, other):
        one, other = sorted((root(one), root(other)))
        parent[other] = one

    for equation in equations:
        if isinstance(equation, Symmetric):
            for entry in entries(shape):
                mirror = list(entry)
                a, b = equation.a, equation.b
                mirror[a], mirror[b] = mirror[b], mirror[a]
                merge(entry, tuple(mirror))
    named = {
        entry
        for equation in equations
        if isinstance(equation, Zero)
        for entry in entries(shape)
        if not equation.items or any(r.mask(shape)[entry] for r in equation.items)
    }
    if any(isinstance(equation, Equal) for equation in equations):
        equal = [entry for entry in entries(shape) if entry not in named]
        for entry in equal:
            merge(equal[0], entry)
    zeros = {root(entry) for entry in named}
    dead = {entry for entry in entries(shape) if root(entry) in zeros}
    numbers, index = {}, np.full(shape, -1)
    for entry in entries(shape):
        if entry not in dead:
            index[entry] = numbers.setdefault(root(entry), len(numbers))
    return index, len(numbers)


@st.composite
def systems(draw):
    sizes = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4))
    shape, flat = tuple(sizes), st.integers(0, int(np.prod(sizes)) - 1)
    pairs = [(a, b) for a, b in itertools.product(range(len(shape)), repeat=2) if shape[a] == shape[b]]
    symmetric = st.builds(lambda ab: Symmetric(*ab), st.sampled_from(pairs))
    region = st.builds(lambda items: Flat(*items), st.lists(flat, max_size=3))
    zero = st.builds(lambda regions: Zero(*regions), st.lists(region, max_size=2))
    return draw(st.lists(symmetric | zero | st.just(Equal()), max_size=4)), shape


@given(systems())
def test_index_map_is_what_union_find_gives(system):
    equations, shape = system
    solved = index_map(equations, shape)
    index, size = by_union_find(equations, shape)
    np.testing.assert_array_equal(solved.index, index)
    assert solved.size == size


@given(systems(), st.randoms(use_true_random=False))
def test_order_never_matters(system, random):
    equations, shape = system
    first = index_map(equations, shape)
    random.shuffle(equations)
    assert np.array_equal(index_map(equations, shape).index, first.index)


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


TERMS = [
    Zero(),
    Zero(Diagonal(1), Not(Band(1, 2)), Blocks(2, 2), Upper(), Lower(3)),
    Zero(Flat(1, slice(None, 5, 2)), At(slice(None), -1), At(0, 1)),
    Zero(Where(lambda i, j, shape: (i + 1) * j % shape[0] == 0)),
    Symmetric(1, 2),
    Equal(),
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
