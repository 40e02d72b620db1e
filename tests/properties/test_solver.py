"""The solver against a union-find that knows nothing of it, on drawn systems of annotations; shapes and sizes too."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import wdsl
from tests.drawn import examples
from wdsl import structure
from wdsl.core import expressions as ex
from wdsl.core.sizes import Dim, dim, expression_of
from wdsl.structure import pieces
from wdsl.weights.counts import Counts, closed_form, names_nothing

Draw = Callable[[st.SearchStrategy[Any]], Any]
Entry = tuple[int, int, int]
"""A weight's number, a row, a column."""


# --- systems --------------------------------------------------------------------------------------


class System:
    """Some matrices with annotations: as wnet statements, and as what they say of each entry."""

    def __init__(self, shapes: list[tuple[int, int]]) -> None:
        self.shapes = shapes
        self.annotations: list[list[str]] = [[] for _ in shapes]
        self.zeros: list[set[tuple[int, int]]] = [set() for _ in shapes]
        self.said: list[set[tuple[int, int]]] = [set() for _ in shapes]
        """The diagonals that `skew` makes zero."""
        self.equal = [False] * len(shapes)
        self.pairs: list[tuple[Entry, Entry, Fraction]] = []
        """One entry, another, and how many times that the first is."""
        self.empty = 0
        """How many `zero[…]` name no entry."""

    def entries(self, weight: int) -> Iterator[tuple[int, int]]:
        rows, columns = self.shapes[weight]
        return ((i, j) for i in range(rows) for j in range(columns))

    def text(self) -> str:
        lines = []
        for number, ((rows, columns), words) in enumerate(zip(self.shapes, self.annotations, strict=True)):
            lines += [
                f"    input x{number}: [{rows}]",
                f"    layer a{number} = Dense({columns}, use_bias=false) {', '.join(words)}",
                f"    output y{number} = x{number} -> a{number}",
            ]
        return "\n".join(["network System {", *lines, "}", ""])

    def groups(self) -> dict[Entry, tuple[Entry, Fraction] | None]:
        """For every entry a representative, and how many times that it is; None if it is zero."""
        beside: dict[Entry, list[tuple[Entry, Fraction]]] = {
            (weight, i, j): [] for weight in range(len(self.shapes)) for i, j in self.entries(weight)
        }
        pairs = list(self.pairs)
        for weight, equal in enumerate(self.equal):
            if equal:
                named = [(weight, i, j) for i, j in self.entries(weight) if (i, j) not in self.zeros[weight]]
                pairs += [(one, other, Fraction(1)) for one, other in pairwise(named)]
        for one, other, factor in pairs:
            beside[one].append((other, 1 / factor))
            beside[other].append((one, factor))
        zeros = {(weight, i, j) for weight, named in enumerate(self.zeros) for i, j in named}
        found: dict[Entry, tuple[Entry, Fraction] | None] = {}
        for start in beside:
            if start in found:
                continue
            times, queue, is_zero = {start: Fraction(1)}, [start], False
            while queue:
                entry = queue.pop()
                is_zero |= entry in zeros
                for other, factor in beside[entry]:
                    if other not in times:
                        times[other] = factor * times[entry]
                        queue.append(other)
                    is_zero |= times[other] != factor * times[entry]
            found |= {entry: None if is_zero else (start, factor) for entry, factor in times.items()}
        return found


@st.composite
def regions(draw: Draw, rows: int, columns: int) -> tuple[str, set[tuple[int, int]]]:
    """A region as the language writes it, and its entries."""
    everything = [(i, j) for i in range(rows) for j in range(columns)]
    small = st.integers(-4, 4)
    row, column = draw(st.integers(-rows, rows - 1)), draw(st.integers(-columns, columns - 1))
    k, lower, upper = draw(small), draw(small), draw(small)
    height, width = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    start, stop = sorted((draw(st.integers(0, rows)), draw(st.integers(0, rows))))
    step = draw(st.integers(1, 2))
    first, last = sorted((draw(st.integers(0, rows * columns)), draw(st.integers(0, rows * columns))))
    choices: list[tuple[str, Callable[[int, int], bool]]] = [
        (f"({row}, {column})", lambda i, j: (i, j) == (row % rows, column % columns)),
        (f"{row % rows * columns + column % columns}", lambda i, j: (i, j) == (row % rows, column % columns)),
        (f"{first}:{last}", lambda i, j: first <= i * columns + j < last),
        (f"({start}:{stop}, ::{step})", lambda i, j: start <= i < stop and j % step == 0),
        (f"({row}, :)", lambda i, j: i == row % rows),
        ("diagonal", lambda i, j: i == j),
        (f"diagonal({k})", lambda i, j: j - i == k),
        ("upper", lambda i, j: j > i),
        (f"upper({k})", lambda i, j: j - i >= k),
        ("lower", lambda i, j: i > j),
        (f"lower({k})", lambda i, j: i - j >= k),
        (f"band({lower}, {upper})", lambda i, j: -lower <= j - i <= upper),
        (f"blocks({height}, {width})", lambda i, j: i // height == j // width),
        (f"where (i + {height} * j) % {width + 1} == 0", lambda i, j: (i + height * j) % (width + 1) == 0),
        (f"where i < {width} and not (j == {height} or j > i + {k})",
         lambda i, j: i < width and not (j == height or j > i + k)),
        (f"where abs(i - j) >= {width} and max(i, j) * 2 != shape[0] + {k}",
         lambda i, j: abs(i - j) >= width and max(i, j) * 2 != rows + k),
    ]  # fmt: skip
    text, predicate = draw(st.sampled_from(choices))
    named = {entry for entry in everything if predicate(*entry)}
    if draw(st.integers(0, 4)) == 0:
        return f"not {text}", set(everything) - named
    return text, named


FACTORS = st.sampled_from(
    [("", Fraction(1)), ("", Fraction(1)), ("-", Fraction(-1)), ("2 * ", Fraction(2)), ("-0.5 * ", Fraction(-1, 2))]
)


@st.composite
def parts_of(draw: Draw, system: System, number: int) -> None:
    """Tie a part of a weight to as many entries of another, or of the same, that are seen in some other way."""
    other = draw(st.integers(0, len(system.shapes) - 1))
    here, there = system.shapes[number], system.shapes[other]
    height, width = (draw(st.integers(1, min(sizes))) for sizes in zip(here, there, strict=True))

    def window(shape: tuple[int, int]) -> tuple[str, list[Entry]]:
        top, left = draw(st.integers(0, shape[0] - height)), draw(st.integers(0, shape[1] - width))
        text = f"{top}:{top + height}, {left}:{left + width}"
        return text, [(0, i, j) for i in range(top, top + height) for j in range(left, left + width)]

    region, ours = window(here)
    slices, theirs = window(there)
    flipped = draw(st.booleans())
    view = f"a{other}.kernel[{slices}]" + (".flip(0)" if flipped else "")
    if flipped:
        theirs = [entry for row in range(height)[::-1] for entry in theirs[row * width : (row + 1) * width]]
    sign, factor = draw(FACTORS)
    system.annotations[number].append(f"tie[({region})]({sign}{view})")
    system.pairs += [
        ((number, i, j), (other, m, n), factor) for (_, i, j), (_, m, n) in zip(ours, theirs, strict=True)
    ]  # fmt: skip


@st.composite
def systems(draw: Draw) -> System:
    sizes = st.integers(2, 4)
    rows, columns = draw(sizes), draw(sizes)
    # Shapes that ties can join are drawn more often than chance would.
    alike = st.sampled_from([(rows, columns), (rows, columns), (columns, rows), (rows, rows)])
    system = System(draw(st.lists(alike, min_size=1, max_size=3)))
    for number, (rows, columns) in enumerate(system.shapes):
        kinds = draw(
            st.lists(
                st.sampled_from(["zero", "zero", "zero", "symmetric", "skew", "equal", "tie", "tie", "part"]),
                max_size=4,
            )
        )
        for kind in kinds:
            match kind:
                case "zero":
                    drawn = draw(st.lists(regions(rows, columns), min_size=1, max_size=2))
                    system.annotations[number].append(f"zero[{', '.join(text for text, _ in drawn)}]")
                    named = set().union(*(named for _, named in drawn))
                    system.zeros[number] |= named
                    system.empty += not named
                case "symmetric" if rows == columns:
                    system.annotations[number].append("symmetric")
                    one = Fraction(1)
                    system.pairs += [((number, i, j), (number, j, i), one) for i, j in system.entries(number)]
                case "skew" if rows == columns:
                    system.annotations[number].append("skew")
                    minus = Fraction(-1)
                    system.said[number] |= {(i, i) for i in range(rows)}
                    system.pairs += [((number, i, j), (number, j, i), minus) for i, j in system.entries(number)]
                case "part":
                    draw(parts_of(system, number))
                case "equal":
                    system.annotations[number].append("equal")
                    system.equal[number] = True
                case "tie":
                    fits = [
                        (other, transposed)
                        for other, shape in enumerate(system.shapes)
                        for transposed in (False, True)
                        if (shape[::-1] if transposed else shape) == (rows, columns) and (other != number or transposed)
                    ]
                    if fits:
                        other, transposed = draw(st.sampled_from(fits))
                        name = "kernel" if other == number and draw(st.booleans()) else f"a{other}.kernel"
                        sign, factor = draw(FACTORS)
                        if other == number:
                            sign, factor = draw(st.sampled_from([("", Fraction(1)), ("-", Fraction(-1))]))
                        system.annotations[number].append(f"tie({sign}{name}{'.T' if transposed else ''})")
                        system.pairs += [
                            ((number, i, j), (other, j, i) if transposed else (other, i, j), factor)
                            for i, j in system.entries(number)
                        ]
        system.annotations[number] = draw(st.permutations(system.annotations[number]))
    return system


def check_net(system: System, net: wdsl.Net) -> None:
    groups = system.groups()
    assert net.parameters == len({each[0] for each in groups.values() if each})
    assert net.dense_parameters == sum(math.prod(shape) for shape in system.shapes)
    spread = {}
    for weight, (found, zeros) in enumerate(zip(net.weights, system.zeros, strict=True)):
        dead = {(i, j) for i, j in system.entries(weight) if groups[weight, i, j] is None}
        assert found.nonzero == math.prod(system.shapes[weight]) - len(dead)
        if unsaid := dead - zeros - system.said[weight]:
            spread[f"a{weight}.kernel"] = len(unsaid)
    warned = {}
    for each in net.diagnostics:
        assert each.code in ("W0501", "W0502", "W0503", "W0505")
        if each.code == "W0501":
            number, name = re.fullmatch(r"(entry|\d+) .*of `(.*)` (?:is|are) zero as well", each.message).groups()  # type: ignore[union-attr]
            warned[name] = 1 if number == "entry" else int(number)
    assert warned == spread
    assert [each.code for each in net.diagnostics].count("W0503") == system.empty


@examples(250)
@given(systems(), st.sampled_from([1, 3, pieces.PART]))
def test_the_solver_agrees_with_a_union_find(system: System, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PART", at_once)
        check_net(system, wdsl.loads(system.text()))


@examples(120)
@given(systems())
def test_what_adds_nothing_can_be_left_out(system: System) -> None:
    """Each warning W0505, held against the same file without that annotation."""
    net = wdsl.loads(system.text())
    for problem in net.diagnostics:
        if problem.code == "W0505":
            text, span = system.text(), problem.span
            before, after = text[: span.start].rstrip(), text[span.end :]
            less = before.removesuffix(",") + (after if before.endswith(",") else after.removeprefix(","))
            other = wdsl.loads(less)
            assert other.parameters == net.parameters
            assert [each.nonzero for each in other.weights] == [each.nonzero for each in net.weights]


@examples(60)
@given(systems(), st.randoms(use_true_random=False))
def test_the_order_of_annotations_does_not_matter(system: System, random: Any) -> None:
    text = system.text()
    net = wdsl.loads(text)
    for words in system.annotations:
        random.shuffle(words)
    other = wdsl.loads(system.text())
    assert [(each.nonzero, each.owner == each.name) for each in net.weights] == [
        (each.nonzero, each.owner == each.name) for each in other.weights
    ]
    assert net.parameters == other.parameters


@examples(20)
@given(systems())
def test_live_weights_are_what_the_union_find_says(system: System) -> None:
    """Each kernel read from outside, by the identity: entries are equal where they must be, and nowhere else."""
    import keras

    net = wdsl.loads(system.text())
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = net.to_keras()
    batch = max(rows for rows, _ in system.shapes)
    inputs = [np.eye(batch, rows, dtype="float32") for rows, _ in system.shapes]
    answers = model(inputs if len(inputs) > 1 else inputs[0])
    answers = answers if isinstance(answers, dict) else {"y0": answers}
    values: dict[Any, set[float]] = {}
    for (weight, i, j), group in system.groups().items():
        first, factor = group or (None, Fraction(1))
        # Factors are powers of two: nothing is rounded.
        values.setdefault(first, set()).add(float(np.asarray(answers[f"y{weight}"])[i, j]) / float(factor))
    assert values.pop(None, {0.0}) == {0.0}
    assert all(len(each) == 1 and each != {0.0} for each in values.values())
    assert len(set.union(set(), *values.values())) == len(values)
    assert model.count_params() == net.parameters == len(values)
    assert wdsl.verify(model).ok


# --- counts in closed form ------------------------------------------------------------------------


def call(name: str, *arguments: Any) -> ex.Expression:
    """A term as the annotations' expressions construct it."""
    given = (each if isinstance(each, (ex.Call, ex.Lambda)) else ex.Constant(each) for each in arguments)
    return ex.Call(ex.Symbol(name), tuple(given))


MATRIX_GROUPS = {
    name: ex.Call(ex.Symbol("By"), (ex.Lambda(("i", "j"), ex.Operation(sign, (ex.Variable("j"), ex.Variable("i")))),))
    for name, sign in (("diagonals", "-"), ("antidiagonals", "+"))
}


@st.composite
def indices(draw: Draw, size: int) -> Any:
    """An index or a slice of an axis, as the annotations' expressions have it."""
    bounds = st.none() | st.integers(-size, size)
    if draw(st.integers(0, 2)) == 0:
        return draw(st.integers(-size, size - 1))
    return call("slice", draw(bounds), draw(bounds), draw(st.sampled_from([None, None, 1, 2, 3, -1, -2])))


@st.composite
def closed_regions(draw: Draw, shape: tuple[int, ...]) -> ex.Expression:
    kinds = ["Flat", "At", "Not", "Union"]
    if len(shape) == 2:
        kinds += ["Diagonal", "Upper", "Lower", "Band", "Blocks"] * 2
    offsets = st.integers(-7, 7)
    match draw(st.sampled_from(kinds)):
        case "Flat":
            return call("Flat", *draw(st.lists(indices(math.prod(shape)), min_size=1, max_size=2)))
        case "At":
            return call("At", *(draw(indices(size)) for size in shape))
        case "Not":
            return call("Not", draw(closed_regions(shape)))
        case "Union":
            return call("Union", *draw(st.lists(closed_regions(shape), max_size=3)))
        case "Band":
            return call("Band", draw(offsets), draw(offsets))
        case "Blocks":
            return call("Blocks", draw(st.integers(1, 4)), draw(st.integers(1, 4)))
        case kind:
            return call(kind, *draw(st.lists(offsets, max_size=1)))


@st.composite
def lone_equations(draw: Draw) -> tuple[list[ex.Expression], tuple[int, ...]]:
    """Annotations for which there may be a formula, many of them alone on their weight."""
    rows = draw(st.integers(1, 6))
    columns = draw(st.sampled_from([rows, rows, draw(st.integers(1, 6))]))
    shape = draw(st.sampled_from([(rows, columns), (rows, columns), (rows,), (2, rows, columns), (rows, 3, columns)]))
    pairs = [(a, b) for a, b in itertools.combinations(range(len(shape)), 2) if shape[a] == shape[b]]
    equations: list[ex.Expression] = []
    kinds = ["Zero", "Zero", "Fixed", "Equal", "rest", *(["Symmetric", "Skew"] if pairs else [])]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=draw(st.sampled_from([1, 3])))):
        match kind:
            case "Zero":
                regions = draw(st.lists(closed_regions(shape), max_size=2))
                equations.append(call("Zero", *regions))
            case "Fixed":
                equations.append(call("Fixed", draw(st.sampled_from([0.0, 1.0, -0.5])), draw(closed_regions(shape))))
            case "Equal":
                groups = st.builds(call, st.just("Axis"), st.integers(0, len(shape) - 1))
                if len(shape) > 1:
                    groups |= st.sampled_from(list(MATRIX_GROUPS.values()))
                regions = draw(st.lists(closed_regions(shape), min_size=1, max_size=3) | groups.map(lambda one: [one]))
                equations.append(call("Equal", *regions))
            case "rest":
                equations.append(call("Equal"))
            case _:
                axes = draw(st.sampled_from(pairs))
                equations.append(call(kind, *(axes if axes != (0, 1) or draw(st.booleans()) else ())))
    return equations, shape


def by_entries(equations: list[ex.Expression], shape: tuple[int, ...]) -> Counts:
    """The counts, by writing out all entries. Raises ValueError if one would be two values."""
    library = {"slice": slice}
    terms = [ex.evaluate(each, {}, lambda path: library.get(path) or getattr(structure, path)) for each in equations]
    solved = structure.index_map(terms, shape)
    nonzero = solved.index >= 0
    if solved.constant is not None:
        nonzero |= solved.constant != 0
    return Counts(solved.size, int(nonzero.sum()))


@examples(600)
@given(lone_equations())
def test_closed_forms_are_what_solving_gives(drawn: tuple[list[ex.Expression], tuple[int, ...]]) -> None:
    """A formula also never hides a conflict: solving such equations does not fail."""
    equations, shape = drawn
    counts = closed_form(equations, shape, {})
    assume(counts is not None)
    assert counts == by_entries(equations, shape)


@examples(300)
@given(lone_equations())
def test_regions_without_entries_are_known_by_a_formula(drawn: tuple[list[ex.Expression], tuple[int, ...]]) -> None:
    equations, shape = drawn
    for each in equations:
        if names_nothing(each, shape, {}):
            term = ex.evaluate(each, {}, lambda path: {"slice": slice}.get(path) or getattr(structure, path))
            assert not term.known(shape)[0].any()


SLICES = (call("slice", None, None, 2), call("slice", 1, 3))
ALONE = {
    "symmetric": [call("Symmetric")],
    "skew": [call("Skew")],
    "equal": [call("Equal")],
    "equal[rows]": [call("Equal", call("Axis", 0))],
    "equal[columns]": [call("Equal", call("Axis", 1))],
    **{f"equal[{name}]": [call("Equal", group)] for name, group in MATRIX_GROUPS.items()},
    "equal[diagonal, not diagonal]": [call("Equal", call("Diagonal"), call("Not", call("Diagonal")))],
    "equal[0:3, 3:7]": [call("Equal", call("Flat", call("slice", 0, 3)), call("Flat", call("slice", 3, 7)))],
    "frozen": [call("Frozen")],
    "zero": [call("Zero")],
    "zero[diagonal]": [call("Zero", call("Diagonal"))],
    "zero[not band]": [call("Zero", call("Not", call("Band", 1, 0)))],
    "zero[blocks]": [call("Zero", call("Blocks", 2, 3))],
    "zero[not blocks]": [call("Zero", call("Not", call("Blocks", 3, 3)))],
    "zero[slices]": [call("Zero", call("Flat", SLICES[0]))],
    "zero[overlapping]": [call("Zero", call("Flat", call("slice", 0, 9)), call("Flat", SLICES[0]))],
    "zero[subscripts]": [call("Zero", call("At", *SLICES), call("At", 0, 0), call("Flat", 20))],
    "fixed[diagonal] = 1": [call("Fixed", 1.0, call("Diagonal"))],
    "fixed[not subscripts] = 2": [call("Fixed", 2.0, call("Not", call("At", *SLICES)))],
    "symmetric, zero[diagonal]": [call("Symmetric"), call("Zero", call("Diagonal"))],
    "symmetric, zero[not blocks]": [call("Symmetric"), call("Zero", call("Not", call("Blocks", 2, 2)))],
    "symmetric, fixed[band] = 1": [call("Symmetric"), call("Fixed", 1.0, call("Band", 1, 1))],
    "skew, zero[not band]": [call("Skew"), call("Zero", call("Not", call("Band", 1, 1)))],
    "equal, zero[diagonal]": [call("Equal"), call("Zero", call("Diagonal"))],
    "zero[lower], fixed[diagonal] = 1": [call("Zero", call("Lower")), call("Fixed", 1.0, call("Diagonal"))],
}


@pytest.mark.parametrize("equations", ALONE.values(), ids=ALONE)
def test_what_stands_alone_has_a_formula(equations: list[ex.Expression]) -> None:
    """The property above must not be empty."""
    assert closed_form(equations, (7, 7), {}) == by_entries(equations, (7, 7))


@pytest.mark.parametrize("kind", ["Symmetric", "Skew"])
@pytest.mark.parametrize("axes", [(0, 1), (1, 3), (2, 0)])
def test_swapped_axes_have_a_formula(kind: str, axes: tuple[int, int]) -> None:
    shape = {(0, 1): (3, 3, 2, 2), (1, 3): (2, 4, 3, 4), (2, 0): (5, 2, 5)}[axes]
    equations = [call(kind, *axes)]
    assert closed_form(equations, shape, {}) == by_entries(equations, shape)


def test_parameters_of_the_network_have_their_values() -> None:
    band = ex.Call(ex.Symbol("Band"), (ex.Variable("k"), ex.Operation("+", (ex.Variable("k"), ex.Constant(1)))))
    equations = [call("Zero", call("Not", band))]
    assert closed_form(equations, (6, 8), {"k": 1}) == by_entries(
        [call("Zero", call("Not", call("Band", 1, 2)))], (6, 8)
    )


def test_what_an_equal_leaves_out_adds_something() -> None:
    """As many are free and as many are not zero, and yet they are other ones."""
    text = "network Net {{\n input x: [{0}]\n layer a = Dense({0}) {1}\n output y = x -> a\n}}"
    for size in (4, 16384):
        assert wdsl.loads(text.format(size, "equal, fixed[diagonal] = 1.0")).diagnostics == ()
        (warning,) = wdsl.loads(text.format(size, "zero[upper], zero[upper(2)]")).diagnostics
        assert warning.code == "W0505"


# --- sizes ----------------------------------------------------------------------------------------


def grown(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.sampled_from(["+", "-", "*", "//", "%"]), values, values) | st.tuples(st.just("-"), values)


TREES = st.recursive(st.sampled_from(["a", "b"]) | st.integers(-5, 9), grown, max_leaves=8)


def compute(tree: Any, values: dict[str, Any]) -> Any:
    match tree:
        case str():
            return values[tree]
        case (sign, operand):
            return ex.UNARY[sign](compute(operand, values))
        case (sign, left, right):
            return ex.BINARY[sign](compute(left, values), compute(right, values))
    return tree


@examples(300)
@given(TREES, st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
def test_sizes_remember_their_expression(tree: Any, a: int, b: int, other_a: int, other_b: int) -> None:
    """A size made by arithmetic from others is right, and so is its expression for other values of the parameters."""
    try:
        expected = compute(tree, {"a": a, "b": b})
        elsewhere = compute(tree, {"a": other_a, "b": other_b})
    except ZeroDivisionError:
        assume(False)
    size = compute(tree, {"a": dim(a, ex.Variable("a")), "b": dim(b, ex.Variable("b"))})
    assert size == expected
    assert isinstance(size, (Dim, int))
    assert ex.evaluate(expression_of(size), {"a": other_a, "b": other_b}, str) == elsewhere


def stages() -> Iterable[st.SearchStrategy[str]]:
    size = st.sampled_from(["1", "2", "3", "k"])
    padding = st.sampled_from(["valid", "same"])
    yield st.builds(
        "Conv2D({}, {}, strides={}, padding={})".format, st.sampled_from(["4", "n", "2 * n"]), size, size, padding
    )
    yield st.builds("MaxPooling2D({}, padding={})".format, size, padding)
    yield st.builds("AveragePooling2D({}, strides={})".format, size, size)
    yield st.builds("UpSampling2D({})".format, size)
    yield st.builds("ZeroPadding2D({})".format, size)
    yield st.builds("Conv2DTranspose(3, {}, strides={}, padding={})".format, size, size, padding)
    yield st.builds("DepthwiseConv2D({}, padding={}, depth_multiplier={})".format, size, padding, size)
    yield st.builds("SeparableConv2D(n, {}, dilation_rate={})".format, size, size)
    yield st.just("Dense(n + 1)")
    yield st.just("Permute([2, 1, 3])")
    yield st.just("BatchNormalization()")


CHAINS = st.lists(st.one_of(*stages()), min_size=1, max_size=4).map(" -> ".join)
ENDS = st.sampled_from(["", " -> Flatten()", " -> GlobalMaxPooling2D()", " -> Flatten() -> RepeatVector(k) -> LSTM(n)",
                        " -> Flatten() -> Dense(n) -> Reshape([n, 1])"])  # fmt: skip


@examples(120)
@given(CHAINS, ENDS, st.integers(1, 3), st.integers(1, 4))
def test_shapes_of_chains_for_other_parameters(chain: str, end: str, k: int, n: int) -> None:
    """The size that a rule gives for some parameters has the expression that gives it for others."""
    text = (
        f"network Chain(n: int = 3, k: int = 2) {{\n    input x: [9, 8 + n, n]\n    output y = x -> {chain}{end}\n}}\n"
    )
    try:
        net = wdsl.loads(text)
        other = wdsl.loads(text, parameters={"n": n, "k": k})
    except wdsl.WdslError as error:
        codes = {each.code for each in error.diagnostics}
        assume(not codes)  # a chain that Keras would refuse, for these parameters
    values = {"n": n, "k": k}
    for size, expected in zip(net.outputs[0].spec.shape[1:], other.outputs[0].spec.shape[1:], strict=True):
        assert ex.evaluate(expression_of(size), values, lambda path: {"max": max, "min": min}[path]) == expected


@examples(12)
@given(CHAINS, ENDS)
def test_shapes_of_chains_are_those_of_the_live_model(chain: str, end: str) -> None:
    import keras

    text = (
        f"network Chain(n: int = 3, k: int = 2) {{\n    input x: [9, 8 + n, n]\n    output y = x -> {chain}{end}\n}}\n"
    )
    try:
        net = wdsl.loads(text)
    except wdsl.WdslError:
        assume(False)
    keras.utils.clear_session(free_memory=False)
    model = net.to_keras()
    assert model.output_shape == net.outputs[0].spec.shape
    assert model.count_params() == net.parameters + sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
