"""Blocks, loops, families and stacks, from outside: what is shared, what is new, and what is computed once."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

import wdsl

SMALL = """
block Dense2(units: int) {
    input x
    layer one = Dense(units)
    output y = x -> one -> relu -> Dense(units)
}
"""


def built(text: str, **how: object) -> tuple[wdsl.Net, keras.Model]:
    """The network and its live model, which is what the written module makes, bit by bit."""
    net = wdsl.loads(text, **how)
    keras.utils.set_random_seed(1)
    model = net.to_keras()
    module = sys.modules["written"] = types.ModuleType("written")
    exec(compile(net.to_python(), "written.py", "exec"), vars(module))
    keras.utils.set_random_seed(1)
    other = getattr(module, net.name)()
    inputs = [
        np.random.default_rng(number).integers(0, 2, [2, *(size or 3 for size in each.shape[1:])]).astype(each.dtype)
        for number, each in enumerate(model.inputs)
    ]
    given = inputs if len(inputs) > 1 else inputs[0]
    for one, two in zip(keras.tree.flatten(model(given)), keras.tree.flatten(other(given)), strict=True):
        np.testing.assert_array_equal(one, two)
    assert net.parameters == sum(int(np.prod(each.shape)) for each in model.trainable_weights)
    names = [layer.name for layer in model.layers]
    assert len(names) == len(set(names))
    return net, model


NETWORKS = {
    # A body of a network, and how many entries its weights have.
    "one block twice": ("layer b = Dense2(4); output y = x -> b -> b", 40),
    "two blocks": ("output y = x -> Dense2(4) -> Dense2(4)", 80),
    "a stack of new blocks": ("output y = x -> Dense2(4) * 3", 120),
    "one block in a stack": ("layer b = Dense2(4); output y = x -> b * 3", 40),
    "a network as a block": ("layer n = Inner(4); output y = x -> n -> n", 20),
    "a stack of no layers": ("output y = (x -> Dense2(4) * 0) -> Dense(4)", 20),
}
OUTER = """
block Outer() {
    input x: [n]
    weight hub: [n, n]
    layer inner = Dense2(n)
    h = x -> inner -> inner -> BatchNormalization() -> Dense(n) * 2
    for i in range(2) {
        layer d[i] = Dense(n) { kernel: tie[0:4](hub[0, :]) }
        h = h -> d[i] -> LayerNormalization()
        h = (h -> Dense(n, use_bias=false)) if i == 0 else h
    }
    output y = h
}
network Inner(units: int = 8) { input x: [4]; output y = x -> Dense(units) }
"""


@pytest.mark.parametrize("case", NETWORKS)
def test_what_is_shared(case: str) -> None:
    body, entries = NETWORKS[case]
    net, _ = built(SMALL + OUTER + f"network Net {{ input x: [4]; {body} }}", network="Net")
    assert net.parameters == entries


def test_what_the_solver_says_of_a_block_names_its_use() -> None:
    text = "network N { input x: [4]; h = x; for i in range(2) { h = h -> B() }; output y = h }\n"
    block = "block B { input x; layer d = Dense(4) fixed[0, 0] = 1, fixed[0, 0] = 2; output y = x -> d }"
    (found,) = wdsl.checks(text + block)
    assert found.code == "E0513"
    assert [(each.text, each.span.text) for each in found.labels][-1] == ("in this use", "B()")


def test_all_in_a_block_is_shared() -> None:
    text = SMALL + OUTER + "network Net { input x: [4]; layer o = Outer(); output y = x -> USES }"
    once, _ = built(text.replace("USES", "o"), network="Net")
    thrice, _ = built(text.replace("USES", "o -> o -> o"), network="Net")
    assert thrice.parameters == once.parameters
    fresh, _ = built(text.replace("USES", "Outer() * 3"), network="Net")
    assert fresh.parameters == 3 * once.parameters


def test_saved_and_loaded(tmp_path: Path) -> None:
    text = SMALL + OUTER + "network Net { input x: [4]; layer o = Outer(); output y = x -> o -> Outer() -> o }"
    _, model = built(text, network="Net")
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).random((5, 4), "float32")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(x), model(x))
    assert wdsl.verify(model)


def test_an_output_is_computed_once() -> None:
    """What comes out twice, or is used again, is the same tensor, though Dropout is random."""
    _, model = built(
        "block Drop { input x; output a = x -> Dropout(0.5); output b = -a }\n"
        "network Net { input x: [64]; a, b = x -> Drop(); output sum = a + b; output a }"
    )
    assert sum(isinstance(layer, keras.layers.Dropout) for layer in model.layers) == 1
    assert np.all(model(np.ones((2, 64), "float32"), training=True)["sum"] == 0)


def test_an_input_is_computed_once() -> None:
    _, model = built(
        "block Twice { input x; output y = x - x }\n"
        "network Net { input x: [64]; output y = x -> Dropout(0.5) -> Twice() }"
    )
    assert np.all(np.asarray(model(np.ones((2, 64), "float32"), training=True)) == 0)


def test_outputs_keep_their_tensors() -> None:
    """The name of a tensor can be given again after it was an output."""
    _, model = built(
        "network Net { input x: [4]; h = x -> relu; output h; h = -h; output y = h; y = y * 2 ; output z = y }"
    )
    found = model(np.ones((1, 4), "float32"))
    assert {name: float(value[0, 0]) for name, value in found.items()} == {"h": 1, "y": -1, "z": -2}


@pytest.mark.parametrize(
    "body",
    [
        "input h: [4]; h = -h; layer h_2 = Dense(4, kernel_initializer=Identity()); output y = h -> h_2",
        "input h: [4]; h = -h; h_2 = h * 2; output y = h / 1",
        "input h_1: [4]; h_1 = -h_1; layer h[1, 2] = Dense(4, kernel_initializer=Identity())\n"
        "output y = h_1 -> h[1, 2]",
        "input h: [4]; layer y = Dense(4, kernel_initializer=Identity()); y_output = -h\n"
        "output h -> y; output z = y_output",
    ],
)
def test_made_names_are_of_nothing_else(body: str) -> None:
    _, model = built(f"network Net {{ {body} }}")
    found = model(np.ones((1, 4), "float32"))
    assert np.all(np.asarray(found["z"] if isinstance(found, dict) else found) == -1)


def test_block_names_beside_the_users() -> None:
    net, model = built(
        "block Enc { input x; layer conv1 = Dense(4); layer class = Dense(4)\n"
        "  h = x -> conv1 -> class; output return = h }\n"
        "network Net { input x: [4]; layer enc = Enc(); layer enc_conv1 = Dense(5); layer enc_conv1_2 = Dense(6)\n"
        "  enc_h = x -> enc; enc_return = enc_h -> Enc(); output y = enc_return -> enc_conv1 -> enc_conv1_2 }"
    )
    assert net.parameters == 4 * 20 + 25 + 36
    assert {"enc_conv1", "enc_conv1_2"} <= {layer.name for layer in model.layers}


def test_ties_across_blocks_and_families() -> None:
    _, model = built(
        "block Pair(n: int) { input x\n"
        "  for i in range(2) { for j in range(2) { layer d[i, j] = Dense(n) {kernel: equal[0:2]; bias: zero[i]} } }\n"
        "  output y = x -> d[0, 0] -> d[0, 1] -> d[1, 0] -> d[1, 1] }\n"
        "network Net { input x: [4]\n"
        "  layer before = Dense(4) tie(pair[1].d[1, 0].kernel.T)\n"
        "  for k in range(2) { layer pair[k] = Pair(4) }\n"
        "  layer after = Dense(4) tie[0:4](-pair[0].d[0, 1].kernel[3])\n"
        "  output y = x -> before -> pair[0] -> pair[1] -> after }"
    )
    weights = wdsl.effective_weights(model)
    assert np.all(weights["before.kernel"] == weights["pair_1_d_1_0.kernel"].T)
    assert np.all(weights["after.kernel"].flat[:4] == -weights["pair_0_d_0_1.kernel"][3])
    assert weights["pair_1_d_1_0.bias"][1] == 0


def test_an_index_hides_a_loop() -> None:
    """In a condition `i` is the row, whatever a loop calls `i`; other names are the loop's."""
    _, model = built(
        "network Net { input x: [4]; h = x\n"
        "  for i in range(2) { for n in range(2) { layer d[i, n] = Dense(4) zero[where i == n, (3, i)]\n"
        "  h = h -> d[i, n] } }\n"
        "  output y = h }"
    )
    weights = wdsl.effective_weights(model)
    for i in range(2):
        for n in range(2):
            expected = np.zeros((4, 4), bool)
            expected[n] = expected[3, i] = True
            np.testing.assert_array_equal(weights[f"d_{i}_{n}.kernel"] == 0, expected)


def test_several_inputs_and_outputs() -> None:
    net, model = built(
        "block Swap { input a: [n]; input b: [m]; layer f = Dense(m); layer g = Dense(n)\n"
        "  output p = a -> f; output q = b -> g }\n"
        "network Net { input x: [4]; input z: [4]; layer s = Swap()\n"
        "  u, v = (x, z) -> s; w, x = s(b=u, a=v); output y = (w, x) -> Concatenate() }"
    )
    assert net.parameters == 40
    assert len(model.inputs) == 2


@pytest.mark.parametrize(("depth", "wide", "layers"), [(1, "true", 2), (2, "true", 3), (2, "false", 2)])
def test_parameters_decide(depth: int, wide: str, layers: int) -> None:
    _, model = built(
        "block B(depth: int, wide: bool = true) { input x; h = x\n"
        "  for i in range(depth) { layer d[i] = Dense(4); h = h -> d[i] }\n"
        "  if wide { h = h -> Dense(9) }; output y = h }\n"
        f"network Net {{ input x: [4]; layer b = B({depth}, wide={wide}); output y = x -> b }}"
    )
    assert sum(isinstance(layer, keras.layers.Dense) for layer in model.layers) == layers


def test_sizes_with_names() -> None:
    _, model = built(
        "block Pool { input x: [T, n]; layer d = Dense(2 * n); output y = x -> d -> mean(axis=1) }\n"
        "network Net { input x: [T, 3]; output y = x -> Pool() }"
    )
    assert model.output_shape == (None, 6)


@pytest.mark.parametrize("layer", ["relu", "Dense(2)", "Half()"])
def test_long_stacks(layer: str) -> None:
    """Expressions in what is written are not as deep as stacks are high."""
    text = (
        f"block Half {{ input x; output y = x / 2 }}\nnetwork Net {{ input x: [2]; output y = x -> {layer} * 40 * 5 }}"
    )
    net, _ = built(text.replace("* 40 * 5", "* 40"))
    deep = wdsl.loads(text.replace(f"{layer} * 40 * 5", f"({layer} * 40) * 50"))
    compile(deep.to_python(), "written.py", "exec")
    assert net.parameters == (240 if layer == "Dense(2)" else 0)


def doubled(innermost: str) -> str:
    blocks = [f"block B0 {{ input x; output y = {innermost} }}"]
    blocks += [f"block B{n} {{ input x; layer b = B{n - 1}(); output y = x -> b -> b }}" for n in range(1, 31)]
    return "\n".join([*blocks, "network Net { input x: [2]; output y = x -> B30() }"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (doubled("x -> relu"), "E0703"),
        ("network Net { input x: [2]; output y = x -> relu * 10**15 }", "E0703"),
        ("network Net { input x: [2]; for i in range(10**9) { }; output y = x -> relu }", "E0703"),
        (
            "block B0 { input x; output y = x -> relu }\n"
            + "\n".join(
                f"block B{n} {{ input x; output y = {'relu(x + ' * 20}x -> B{n - 1}(){')' * 20} }}"
                for n in range(1, 39)
            )
            + "\nnetwork Net { input x: [2]; output y = x -> B38() }",
            "E0105",
        ),
    ],
    ids=["2^30 uses", "high stack", "long range", "blocks in deep expressions"],
)
def test_bombs(text: str, code: str) -> None:
    """With the usual limit, tests/test_hostile.py tries more of them."""
    with pytest.raises(wdsl.WdslError) as caught:
        wdsl.loads(text, max_layers=2_000)
    assert [each.code for each in caught.value.diagnostics] == [code]


def test_many_outputs_double_nothing() -> None:
    lines = "\n".join(f"output o{n} = o{n - 1} + o{n - 1}" for n in range(1, 31))
    names = ", ".join(f"o{n}" for n in range(31))
    net = wdsl.loads(
        f"block B {{ input x; output o0 = x -> relu\n{lines} }}\n"
        f"network Net {{ input x: [2]; {names} = x -> B(); output o30 }}"
    )
    assert len(net.to_python()) < 10_000


def test_shared_weights_beside_the_users() -> None:
    """What Keras stores a tied weight in has a name as well."""
    _, model = built(
        "block Enc { input x; layer conv = Dense(4); output y = x -> conv }\n"
        "network Net { input x: [4]; layer enc = Enc(); layer enc_conv_kernel = Dense(4); enc_kernel = x -> enc\n"
        "  layer enc_conv = Dense(4); layer back = Dense(4) tie(enc.conv.kernel.T)\n"
        "  layer b = Dense(4) tie(enc_conv.kernel.T)\n"
        "  output y = enc_kernel -> enc_conv_kernel -> enc_conv -> back -> b }"
    )
    weights = wdsl.effective_weights(model)
    assert np.all(weights["back.kernel"] == weights["enc_conv_2.kernel"].T)
    assert np.all(weights["b.kernel"] == weights["enc_conv.kernel"].T)
