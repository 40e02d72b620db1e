"""`wdsl.project` against a solver that knows constraints and no groups, and `wdsl.assign` seen from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import wdsl
from tests.rounding import AMPLIFIED, eps

Array = np.ndarray[Any, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


# --- what is nearest ------------------------------------------------------------------------------


class System:
    """Matrices a, b, … with what holds of their entries, which are numbered through all of them.

    Each layer has an input of its own and no bias: the model gives the kernels when it gets identities.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.entries: dict[str, Array] = {}
        self.pairs: list[tuple[int, float, int]] = []
        """(e, c, f): entry e is c times entry f."""
        self.constants: list[tuple[int, float]] = []

    def add(self, shape: tuple[int, int], annotations: str) -> Array:
        layer = "abc"[len(self.entries)]
        count = sum(entries.size for entries in self.entries.values())
        self.entries[f"{layer}.kernel"] = np.arange(count, count + shape[0] * shape[1]).reshape(shape)
        self.lines += [
            f"    input x{layer}: [{shape[0]}]",
            f"    layer {layer} = Dense({shape[1]}, use_bias=false) {annotations}",
            f"    output {layer}_kernel = x{layer} -> {layer}",
        ]
        return self.entries[f"{layer}.kernel"]

    def __repr__(self) -> str:
        return "\n".join(["network System {", *self.lines, "}", ""])

    def net(self) -> wdsl.Net:
        try:
            return wdsl.loads(repr(self))
        except wdsl.WdslError as error:
            assume("E0513" not in [each.code for each in error.diagnostics])  # two values for one entry
            raise

    def same(self, entries: Array) -> None:
        self.pairs += [(one, 1.0, other) for one, other in pairwise(entries.ravel().tolist())]

    def solve(self, given: dict[str, Array]) -> tuple[Array, Array]:
        """Every entry of what is nearest to the given arrays, and which of them follow from these.

        The weights that obey are x0 + N z, with N a basis of the null space of the constraints.
        """
        size = sum(entries.size for entries in self.entries.values())
        rows = np.zeros((len(self.pairs) + len(self.constants) + 1, size))
        values = np.zeros(len(rows))
        for row, (one, factor, other) in zip(rows, self.pairs, strict=False):
            row[one] += 1
            row[other] -= factor
        for number, (entry, value) in enumerate(self.constants, len(self.pairs)):
            rows[number, entry], values[number] = 1, value
        start = np.linalg.lstsq(rows, values, rcond=None)[0]
        _, sizes, directions = np.linalg.svd(rows)
        null = directions[int((sizes > 1e-9).sum()) :].T
        null[np.abs(null) < 1e-9] = 0  # or the solver takes rounding for a direction, where there is no other
        seen = np.concatenate([self.entries[name].ravel() for name in given])
        wanted = np.concatenate([array.ravel() for array in given.values()])
        z = np.linalg.lstsq(null[seen], wanted - start[seen], rcond=None)[0]
        unseen = np.eye(null.shape[1]) - np.linalg.pinv(null[seen]) @ null[seen]
        return start + null @ z, np.abs(null @ unseen).max(axis=1, initial=0) < 1e-6

    def held_against(self, weights: dict[str, Array], spacings: int) -> None:
        """Raise unless all that is said of the entries that are there is so, with `==`; or a multiple within so many
        spacings of its dtype.
        """
        numbers: dict[int, Any] = {}
        for name, array in weights.items():
            known = ~np.ma.getmaskarray(array)
            numbers |= zip(self.entries[name][known].tolist(), np.asarray(array)[known], strict=True)
        for one, factor, other in self.pairs:
            if one in numbers and other in numbers:
                expected = np.float32(factor) * numbers[other]
                slack = spacings * np.spacing(np.abs(expected)) if abs(factor) != 1 else 0
                assert abs(numbers[one] - expected) <= slack
        for entry, value in self.constants:
            if entry in numbers:
                assert numbers[entry] == np.float32(value)


@st.composite
def systems(draw: Draw) -> System:
    system = System()
    rows = draw(st.integers(1, 4))
    columns = draw(st.sampled_from([rows, rows, 3]))
    i, j = np.indices((rows, columns))
    annotations: list[str] = []
    a = np.arange(rows * columns).reshape(rows, columns)
    regions = {
        "diagonal": i == j,
        "upper": j > i,
        "not band(1, 0)": ~((i - j <= 1) & (j - i <= 0)),
        "(0, ::2)": (i == 0) & (j % 2 == 0),
        "-1": a == a.size - 1,
        "where i == 1": i == 1,
    }
    groups = {
        "rows": i,
        "columns": j,
        "diagonals": j - i,
        "antidiagonals": i + j,
        f"by (j - i) % {rows}": (j - i) % rows,
    }
    region, kinds = st.sampled_from(sorted(regions)), ["zero", "fixed", "region", "groups", "equal"]
    rest = np.ones(a.shape, bool)
    equal = False
    for kind in draw(st.lists(st.sampled_from(kinds + ["symmetric", "skew"] * (rows == columns)), max_size=3)):
        name, group = draw(region), draw(st.sampled_from(sorted(groups)))
        via = draw(st.sampled_from(["", "", " via mask", " via constraint", " via gradient", " via initial"]))
        if kind == "zero":
            annotations.append(f"zero[{name}]{via}")
            system.constants += [(entry, 0.0) for entry in a[regions[name]].tolist()]
            rest &= ~regions[name]
        elif kind == "fixed":
            value = draw(st.sampled_from([0.1, -2.5]))
            annotations.append(f"fixed[{name}] = {value}{via}")
            system.constants += [(entry, value) for entry in a[regions[name]].tolist()]
            rest &= ~regions[name]
        elif kind == "region":
            annotations.append(f"equal[{name}]{via}")
            system.same(a[regions[name]])
        elif kind == "groups":
            annotations.append(f"equal[{group}]{via}")
            for key in np.unique(groups[group]):
                system.same(a[groups[group] == key])
        elif kind == "equal":
            annotations.append(f"equal{via}")
            equal = True
        else:
            annotations.append(f"{kind}{via}")
            sign = 1.0 if kind == "symmetric" else -1.0
            system.pairs += list(zip(a.ravel().tolist(), [sign] * a.size, a.T.ravel().tolist(), strict=True))
    if equal:
        system.same(a[rest])
    system.add((rows, columns), ", ".join(annotations))
    views = ["", ".T", "[0:1, :]", "[:, 1:]", "[::2, -1:]", ".reshape(1, -1)", ".T[0:1, :]", f".reshape(-1, {rows})"]
    for _ in range(draw(st.integers(0, 2))):
        view = draw(st.sampled_from(views))
        factor = draw(st.sampled_from([None, None, -1, 0.5, -3, 0.3, 1.7]))
        seen = eval(f"a{view}", {"a": a})
        assume(seen.size)
        sign = "" if factor is None else "-" if factor == -1 else f"{factor} * "
        words, also = f"tie({sign}a.kernel{view})", draw(st.sampled_from(["", "", "zero[-1]", "equal[(:, 0)]", "part"]))
        if also == "part":  # of a weight that has one more row
            taller = (seen.shape[0] + 1, seen.shape[1])
            entries = system.add(taller, f"tie[(:{seen.shape[0]}, :)]({sign}a.kernel{view})")[:-1]
        else:
            entries = system.add(seen.shape, ", ".join(filter(None, [words, also])))
        if also == "zero[-1]":
            system.constants.append((int(entries[-1, -1]), 0.0))
        if also == "equal[(:, 0)]":
            system.same(entries[:, 0])
        c = 1.0 if factor is None else float(factor)
        system.pairs += [
            (one, c, other) for one, other in zip(entries.ravel().tolist(), seen.ravel().tolist(), strict=True)
        ]
    return system


def drawn_arrays(draw: Draw, system: System, names: list[str]) -> dict[str, Array]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale, dtype = draw(st.sampled_from([1e-3, 1.0, 1e4])), draw(st.sampled_from(["float32", "float64"]))
    return {name: (scale * rng.normal(size=system.entries[name].shape)).astype(dtype) for name in names}


@given(st.data(), systems())
@settings(max_examples=250)
def test_nothing_that_obeys_is_nearer(data: st.DataObject, system: System) -> None:
    net = system.net()
    names = data.draw(st.lists(st.sampled_from(sorted(system.entries)), min_size=1, unique=True))
    arrays = drawn_arrays(data.draw, system, names)
    found = wdsl.project(net, arrays)
    expected, follows = system.solve(arrays)
    assert set(names) <= set(found)
    for name, array in found.items():
        entries = system.entries[name]
        assert array.dtype == np.float32
        np.testing.assert_array_equal(np.ma.getmaskarray(array), ~follows[entries])
        scale = max(np.abs(given).max() for given in arrays.values()) + 3
        # Both are computed in float64; what is stored is rounded, and of coupled weights each multiple of it.
        np.testing.assert_allclose(
            np.asarray(array)[follows[entries]],
            expected[entries][follows[entries]],
            rtol=2 * eps("float32"),
            atol=AMPLIFIED * scale,
        )
    # The entries of coupled weights are each a multiple of one number, and rounded each by itself.
    is_coupled = any(each.coupled for each in net.weights)
    system.held_against(found, 2 if is_coupled else 0)
    again = wdsl.project(net, found)
    assert list(again) == list(found)
    for name, array in again.items():
        np.testing.assert_array_equal(np.ma.getmaskarray(array), np.ma.getmaskarray(found[name]))
        assert (array == found[name]).all()
        if not is_coupled:
            assert (wdsl.project(net, {name: array})[name] == array).all()


@given(st.data(), systems())
@settings(max_examples=12)
def test_a_model_computes_with_what_it_was_given(data: st.DataObject, system: System) -> None:
    net = system.net()
    arrays = drawn_arrays(data.draw, system, list(system.entries))
    start = wdsl.project(net, arrays)
    model = net.to_keras()
    wdsl.assign(model, start)
    assert_kernels(model, start)


def assert_kernels(model: Any, kernels: dict[str, Array]) -> None:
    """From outside: identities in, kernels out."""
    inputs = [np.eye(tensor.shape[-1], dtype="float32") for tensor in model.inputs]
    rows = max(map(len, inputs))
    inputs = [np.pad(each, ((0, rows - len(each)), (0, 0))) for each in inputs]
    found = model(inputs if len(inputs) > 1 else inputs[0])
    found = found if isinstance(found, dict) else {"a_kernel": found}
    for name, kernel in kernels.items():
        array = keras.ops.convert_to_numpy(found[name.replace(".", "_")])[: len(kernel)]
        assert (array == kernel).all()


def test_nothing_given() -> None:
    assert wdsl.project(wdsl.loads(TEXT), {}) == {}


def test_every_array_given_for_a_tied_weight_counts() -> None:
    net = wdsl.loads(TEXT)
    rng = np.random.default_rng(0)
    encode, decode = rng.normal(size=(6, 4)), rng.normal(size=(4, 6))
    found = wdsl.project(net, {"decode.kernel": decode, "encode.kernel": encode})
    assert list(found) == ["encode.kernel", "decode.kernel"]
    assert (found["encode.kernel"] == ((encode + decode.T) / 2).astype("float32")).all()
    assert (found["decode.kernel"] == found["encode.kernel"].T).all()
    assert (wdsl.project(net, {"decode.kernel": decode})["encode.kernel"] == decode.T.astype("float32")).all()


def test_numbers_of_any_kind() -> None:
    net = wdsl.loads(TEXT)
    expected = wdsl.project(net, {"mix.kernel": np.arange(16.0).reshape(4, 4)})["mix.kernel"]
    for kind in ("int8", "uint64", "float16", "float32", "object"):
        array = np.arange(16).reshape(4, 4).astype(kind)
        assert (wdsl.project(net, {"mix.kernel": array})["mix.kernel"] == expected).all()
    for dtype in ("bfloat16", "float32"):
        variable = keras.Variable(np.arange(16.0).reshape(4, 4), dtype=dtype)
        for each in (variable, variable.value, np.arange(16).reshape(4, 4).tolist()):
            assert (wdsl.project(net, {"mix.kernel": each})["mix.kernel"] == expected).all()


def test_keras_is_not_imported() -> None:
    code = """if True:
        import sys, wdsl
        net = wdsl.loads("network N {\\n input x: [2]\\n layer a = Dense(2) symmetric\\n output y = x -> a\\n}\\n")
        print(wdsl.project(net, {"a.kernel": [[1, 2], [4, 5]]})["a.kernel"].tolist(), "keras" in sys.modules)
    """
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert ran.stdout == "[[1.0, 3.0], [3.0, 5.0]] False\n"


# --- models ---------------------------------------------------------------------------------------

TEXT = """
network Net {
    input x: [6]
    layer encode = Dense(4)
    layer mix = Dense(4) symmetric via constraint, fixed[diagonal] = 0.1 via mask { bias: equal }
    layer decode = Dense(6) tie(encode.kernel.T)
    layer norm = BatchNormalization()
    output y = x -> encode -> mix -> decode -> norm
}
"""
MANY = """
network Many {
    input x: [5, 6]
    layer attend = MultiHeadAttention(2, 3) { query.kernel: tie(key.kernel); value.bias: equal }
    layer read = LSTM(4) { recurrent_kernel: equal[by j // 4]; bias: zero[0:4] via gradient }
    layer query = Dense(4) skew { kernel: frozen }
    layer part = Dense(2) tie(-0.3 * query.kernel[:, 1:3])
    layer out = Dense(4) equal(gradient=mean), zero[diagonal]
    output y = attend(x, x) -> read -> query -> part
    output z = y -> Dense(4) -> out
}
"""
PARTS = """
network Parts {
    input x: [6]
    weight own: [6, 3] = GlorotUniform()
    weight half: [3, 4] = GlorotUniform()
    layer a = Dense(3) tie(own)
    layer b = Dense(4) tie[(0:2, :)](0.5 * half[0:2, :]) { bias: frozen }
    layer c = Dense(4) tie[(0:1, :)](b.kernel[1:2, :]), zero[-1]
    layer d = Dense(3) tie[(:, 0:2)](c.kernel[:, 1:3]) { kernel: frozen }
    output y = x -> a -> b -> c -> d
}
"""


def arrays_of(net: wdsl.Net) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {str(each.name): rng.uniform(0.5, 1.5, each.weight.shape) for each in net.weights}


def trained(net: wdsl.Net) -> Any:
    model = net.to_keras()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(32, *model.inputs[0].shape[1:])).astype("float32")
    outputs = model(x)
    targets = keras.tree.map_structure(lambda y: rng.normal(size=y.shape).astype("float32"), outputs)
    model.compile(keras.optimizers.AdamW(0.01), "mse")
    model.fit(x, targets, batch_size=8, verbose=0)
    return model


@pytest.mark.parametrize("text", [TEXT, MANY, PARTS])
def test_every_weight_can_be_assigned(text: str) -> None:
    net = wdsl.loads(text)
    start = wdsl.project(net, arrays_of(net))
    assert list(start) == [str(each.name) for each in net.weights]
    model = net.to_keras()
    wdsl.assign(model, start)
    effective = wdsl.effective_weights(model)
    assert set(effective) < set(start)
    for name, array in effective.items():
        assert (array == start[name]).all(), name
    assert wdsl.verify(model).ok
    plain = {each.path: each.numpy() for each in model.weights}
    if text is PARTS:
        assert (model.get_layer("c").layer.bias.numpy() == start["c.bias"]).all()
    elif text is TEXT:
        assert (plain["norm/moving_variance"] == start["norm.moving_variance"]).all()
        assert (model.get_layer("encode").layer.bias.numpy() == start["encode.bias"]).all()
    else:
        assert (model.get_layer("attend").layer._key_dense.bias.numpy() == start["attend.key.bias"]).all()
        assert (model.get_layer("query").layer.bias.numpy() == start["query.bias"]).all()


@pytest.mark.parametrize("text", [TEXT, MANY, PARTS])
def test_weights_of_a_trained_model_come_back_unchanged(text: str) -> None:
    net = wdsl.loads(text)
    model = trained(net)
    effective = wdsl.effective_weights(model)
    found = wdsl.project(net, effective)
    assert set(effective) <= set(found)
    for name, array in effective.items():
        assert (array == found[name]).all(), name
    other = net.to_keras()
    wdsl.assign(other, effective)
    for name, array in wdsl.effective_weights(other).items():
        assert (array == effective[name]).all(), name


def test_a_warm_start_is_trained_further() -> None:
    net = wdsl.loads(TEXT)
    model = net.to_keras()
    start = wdsl.project(net, arrays_of(net))
    wdsl.assign(model, start)
    x = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
    model.compile(keras.optimizers.SGD(0.01), "mse")
    model.fit(x, x, verbose=0)
    weights = wdsl.effective_weights(model)
    assert wdsl.verify(model).ok
    assert (weights["encode.kernel"] != start["encode.kernel"]).any()
    np.testing.assert_allclose(weights["encode.kernel"], start["encode.kernel"], atol=0.1)


@pytest.mark.parametrize("way", ["saved", "cloned", "nested", "module", "module, saved"])
def test_models_of_every_origin(way: str, tmp_path: Path, python_module: Callable[..., ModuleType]) -> None:
    net = wdsl.loads(MANY)
    model = python_module(net.to_python()).Many() if way.startswith("module") else net.to_keras()
    if way.endswith("saved"):
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    if way == "cloned":
        model = keras.models.clone_model(model)
    if way == "nested":
        x = keras.Input((5, 6))
        model = keras.Model(x, model(keras.layers.Dense(6, name="before")(x)))
    start = wdsl.project(net, arrays_of(net))
    wdsl.assign(model, start)
    for name, array in wdsl.effective_weights(model).items():
        assert (array == start[name]).all(), name


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "mixed_bfloat16", "float16"])
def test_other_precisions(dtype: str) -> None:
    text = f"""
    network Net {{
        input xa: [4]
        input xb: [4]
        layer a = Dense(4, use_bias=false, dtype="{dtype}") skew
        layer b = Dense(3, use_bias=false, dtype="{dtype}") tie(-0.3 * a.kernel[:, 1:])
        output a_kernel = xa -> a
        output b_kernel = xb -> b
    }}
    """
    net = wdsl.loads(text)
    start = wdsl.project(net, arrays_of(net))
    assert {str(array.dtype) for array in start.values()} == {"float64" if dtype == "float64" else "float32"}
    model = net.to_keras()
    wdsl.assign(model, start)
    if dtype == "float64":
        assert_kernels(model, start)
    effective = wdsl.effective_weights(model)
    for name, array in start.items():
        # What is stored is rounded, and then a third of it.
        rtol = 0 if dtype == "float64" else 2 * eps(str(effective[name].dtype))
        np.testing.assert_allclose(effective[name].astype("float64"), array, rtol=rtol)


def test_what_is_not_determined_stays() -> None:
    net = wdsl.loads("""
    network Net {
        input x: [4]
        layer a = Dense(4) symmetric
        layer b = Dense(2) tie(2 * a.kernel[:, 0:2])
        output y = x -> a -> b
    }
    """)
    model = net.to_keras()
    before = wdsl.effective_weights(model)["a.kernel"]
    start = wdsl.project(net, {"b.kernel": np.arange(8.0).reshape(4, 2)})
    assert np.ma.getmaskarray(start["a.kernel"]).tolist() == np.pad(np.ones((2, 2), bool), ((2, 0), (2, 0))).tolist()
    assert type(start["b.kernel"]) is np.ndarray
    wdsl.assign(model, start)
    after = wdsl.effective_weights(model)["a.kernel"]
    assert (after[2:, 2:] == before[2:, 2:]).all()
    assert after[:, :2].tolist() == [[0, 0.75], [0.75, 1.5], [2, 2.5], [3, 3.5]]
    assert (after == after.T).all()


# --- mistakes -------------------------------------------------------------------------------------


def with_entry(value: Any) -> Array:
    array = np.ones((4, 4), object)
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"mix.kernl": np.ones((4, 4))}, r"has no weight `mix.kernl`: did you mean `mix.kernel`\?"),
        ({"other": np.ones((4, 4))}, r"has no weight `other`: it has `encode.kernel`, .* and `norm.moving_variance`"),
        ({"mix": np.ones((4, 4))}, "has no weight `mix`"),
        ({"": 0}, "has no weight ``"),
        ({"mix.kernel": np.ones(16)}, "`mix.kernel` is 4 × 4, and what is given for it 16"),
        ({"mix.kernel": 0.5}, "`mix.kernel` is 4 × 4, and what is given for it one number"),
        ({"encode.kernel": np.ones((4, 6))}, "`encode.kernel` is 6 × 4, and what is given for it 4 × 6"),
        ({"mix.kernel": with_entry(np.nan)}, r"`mix.kernel` has nan at entry \(1, 2\)"),
        ({"mix.kernel": with_entry(-np.inf)}, r"`mix.kernel` has -inf at entry \(1, 2\)"),
        ({"mix.kernel": with_entry(1e39)}, r"`mix.kernel` has 1e\+39 at entry \(1, 2\)"),
        ({"mix.bias": [0, 1, 2, float("nan")]}, "`mix.bias` has nan at entry 3"),
        ({"mix.kernel": with_entry("one")}, "`mix.kernel` is no array of real numbers"),
        ({"mix.kernel": with_entry(1j)}, "`mix.kernel` is no array of real numbers"),
        ({"mix.kernel": np.ones((4, 4), complex)}, "`mix.kernel` is no array of real numbers"),
        ({"mix.kernel": np.full((4, 4), "1")}, "`mix.kernel` is no array of real numbers"),
        ({"mix.kernel": [[1, 2], [3]]}, "`mix.kernel` is no array of real numbers"),
        ({"mix.kernel": None}, "`mix.kernel` is no array of real numbers"),
    ],
)
def test_misuse(weights: dict[str, Any], message: str) -> None:
    net = wdsl.loads(TEXT)
    for function, thing in ((wdsl.project, net), (wdsl.assign, net.to_keras())):
        with pytest.raises(ValueError, match=message):
            function(thing, weights)  # type: ignore[operator]


def test_what_does_not_obey_is_not_assigned() -> None:
    net = wdsl.loads(TEXT)
    model = net.to_keras()
    before = model.get_weights()
    start = wdsl.project(net, arrays_of(net))
    nudged = start["decode.kernel"].copy()
    nudged[1, 0] *= np.float32(1.0001)
    mistakes: list[tuple[dict[str, Any], str]] = [
        (
            start | {"mix.kernel": np.eye(4)},
            r"`mix.kernel` does not obey .*: entry \(0, 0\) is 1, and would become 0.1",
        ),
        (start | {"mix.bias": [1, 1, 2, 1]}, "`mix.bias` does not obey .*: entry 2 is 2, and would become 1"),
        (start | {"decode.kernel": nudged}, r"`decode.kernel` does not obey .*: entry \(1, 0\)"),
        (
            {"decode.kernel": start["decode.kernel"]},
            "`decode.kernel` is a view of another weight, and that is not given",
        ),
    ]
    for weights, message in mistakes:
        with pytest.raises(ValueError, match=message):
            wdsl.assign(model, weights)
        for one, other in zip(before, model.get_weights(), strict=True):
            assert (one == other).all()


def test_two_layers_of_one_name() -> None:
    inner = wdsl.loads(TEXT).to_keras()
    x = keras.Input((6,))
    outer = keras.Model(x, inner(keras.layers.Dense(6, name="encode")(x)))
    with pytest.raises(ValueError, match=r"the model has 2 weights `encode.bias`"):
        wdsl.assign(outer, {"encode.bias": np.ones(6)})
