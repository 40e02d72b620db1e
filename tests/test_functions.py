"""Blocks are functions and loops loops: the written function makes the network that the file means."""

from __future__ import annotations

import ast
import sys
import types
from typing import Any

import keras
import numpy as np
import pytest

import wdsl
from tests.drawn import every

BLOCKS = """
block Two(units: int, activation: str = "relu") {
    input x
    layer first = Dense(units, activation=activation)
    output y = x -> first -> Dense(units)
}
"""

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    # A file, and values of its parameters other than the defaults.
    "loop": (
        "network N(n: int = 2) { input x: [4]; h = x; for i in range(n) { h = h -> Dense(4 + i) }; output h }",
        {"n": 4},
    ),
    "loop of blocks": (
        BLOCKS
        + "network N(n: int = 2) { input x: [4]; h = x\n for i in range(n) { h = h -> Two(4 * (i + 1)) }; output h }",
        {"n": 3},
    ),
    "input again": (
        "network N(n: int = 1) { input x: [4]; for i in range(n) { x = x -> Dense(3) }; output y = x }",
        {"n": 3},
    ),
    "list": (
        BLOCKS + "network N(widths: list = [4, 4, 5]) { input x: [4]\n h = x\n"
        "for w in widths { h = h -> Two(w) }; output h }",
        {"widths": [3, 3, 8, 2]},
    ),
    "block with a tie, applied many times": (
        "block Auto(n: int = 4) { input x\n layer e = Dense(n, activation=tanh) zero[diagonal]\n"
        "layer d = Dense(6) tie(e.kernel.T)\n output y = x -> e -> d }\n"
        "network N(n: int = 4, m: int = 2) { input a: [6]; input b: [6]; layer t = Auto(n); layer u = Auto(3); h = a\n"
        "for i in range(m) { h = h -> u -> t }\n output y = (a -> t) + (b -> t) + h }",
        {"n": 5, "m": 3},
    ),
    "family": (
        "network N(n: int = 2) { input x: [4]; h = x\n for i in range(n) { "
        "layer d[i] = Dense(4) symmetric; h = h -> d[i] }\n"
        "for i in range(n) { h = h -> d[i] }; output h }",
        {"n": 3},
    ),
    "outputs without a name": (
        "block B(n: int) { input x\n output x -> Dense(n) }\n"
        "network N(n: int = 4) { input x: [4]\n output relu(x + (x -> B(n) -> Dense(4))) }",
        {"n": 3},
    ),
    "constants in bodies": (
        BLOCKS + "def up(v: float, by: int = 2) = max(by, floor(v + by / 2) // by * by)\n"
        "block Wide(n: int) { input x\n m = up(n * 1.5)\n output y = x -> Dense(m) -> Dense(m + 1) }\n"
        "network N(alpha: float = 1.0, depths: list = [1, 2]) { input x: [4]\n width = up(3 * alpha)\n"
        "h = x -> Dense(width)\n filters = 2\n total, last = [sum(depths[:-1]), depths[-1]]\n"
        "for i, d in enumerate(depths) { for _ in range(d) { h = h -> Wide(filters + i) }\n filters *= 2 }\n"
        "h += h\n output y = h -> Dense(filters + total + last) }",
        {"alpha": 2.5, "depths": [2, 1, 1]},
    ),
    "constants in a block that is applied twice": (
        "block Mix(n: int) { input x: [m]\n half = m // 2\n wide = n * 2\n layer a = Dense(wide)\n"
        "layer b = Dense(m)\n output y = x -> a -> b -> Dense(half) -> Dense(m) }\n"
        "network N(n: int = 2) { input x: [6]\n layer mix = Mix(n + 1)\n output y = x -> mix -> mix }",
        {"n": 3},
    ),
    "comprehensions": (
        "network N(n: int = 3, widths: list = [4, 6, 8]) { input x: [4]\n"
        "sizes = [w // 2 + k for k, w in enumerate(widths) if w > 4]\n h = x\n"
        "for s in sizes { h = h -> Dense(s) }\n"
        "output y = h -> Dense(sum([2 ** k for k in range(n)])) -> Reshape([1, 2 ** n - 1]) }",
        {"n": 2, "widths": [6, 8, 5, 3]},
    ),
    "a comprehension in a block with a name of the network": (
        "block B(w: int) { input x\n output y = x -> Dense(sum([w + k for k in range(2)])) }\n"
        "network N(k: int = 3) { input x: [4]\n output y = x -> B(k) -> B(k + 1) }",
        {"k": 5},
    ),
    "an output without a name out of a block": (
        BLOCKS + "network N(n: int = 4) { input x: [4]\n layer two = Two(n)\n output x -> two\n"
        "output z = x -> two -> Dense(3) }",
        {"n": 6},
    ),
    "a family by parameters": (
        "network N(n: int = 3, m: int = 2) { input x: [4]\n for i in range(n) { layer d[i] = Dense(4) }\n"
        "layer last[m] = Dense(5)\n h = x\n for j in range(n) { h = h -> d[n - 1 - j] }\n"
        "output y = h -> d[0] -> d[m] -> last[m] }",
        {"n": 4, "m": 1},
    ),
    "a branch that is not taken uses what is shared": (
        BLOCKS + "network N(deep: bool = false) { input x: [4]\n layer two = Two(4)\n layer own = Dense(4)\n h = x\n"
        "if deep { h = h -> two -> own -> Dense(4) } else { h = h -> own }\n output y = h -> two -> own }",
        {"deep": True},
    ),
    "nested loops": (
        BLOCKS + "network N(n: int = 1, m: int = 2) { input x: [4]; h = x\n"
        "for i in range(n) { for j in range(i, m) {\n"
        'h = h -> Two(2 + i + j, activation="tanh" if i == j else "relu") } }; output h }',
        {"n": 3, "m": 4},
    ),
    "nested loops of any values": (
        BLOCKS + "network N(stages: list = [[8, 2], [16, 3]], alpha: float = 1.0) { input x: [4]\n h = x\n"
        "for s in stages { for i in range(s[1]) {\n"
        'h = h -> Two(round(s[0] * alpha), "tanh" if i == 0 else "relu") } }; output h }',
        {"stages": [[4, 1], [2, 2], [6, 3]], "alpha": 0.5},
    ),
    "items that are taken apart": (
        BLOCKS + "network N(stages: list = [[8, 2, 0.5], [6, 3, 0.25]]) { input x: [4]\n h = x\n"
        "for width, count, rate in stages { for i in range(count) {\n"
        "h = h -> Two(width + i) -> Dropout(rate) }\n layer last[count] = Dense(width)\n"
        "h = h -> last[count] }; output h }",
        {"stages": [[4, 1, 0.5], [2, 2, 0.5], [6, 3, 0.1]]},
    ),
    "loops of three": (
        BLOCKS + "network N(n: int = 2) { input x: [4]\n h = x\n"
        "for i in [3, 1] { for j, k in [[1, 2], [1, 4]] { for l in range(n) {\n"
        "h = h -> Two(i + j + k + l) } }; h = h -> tanh }; output h }",
        {"n": 3},
    ),
    "loops whose first pass has none in it": (
        BLOCKS + "network N(counts: list = [0, 2, 1]) { input x: [4]\n h = x\n"
        "for c in counts { for i in range(c) { h = h -> Two(4) }; h = h -> tanh }; output h }",
        {"counts": [1, 0, 3]},
    ),
    "if": (
        "network N(wide: bool = false, n: int = 2) { input x: [4]; h = x -> Dense(4)\n"
        "if wide { h = h -> Dense(9) -> relu } else if n > 2 { h = h -> tanh } else { h = -h }\n output h }",
        {"wide": True},
    ),
    "if without else": (
        "network N(normed: bool = false) { input x: [4]; h = x -> Dense(4)\n"
        "if normed { h = h -> BatchNormalization() }\n output y = h -> Dense(2) }",
        {"normed": True},
    ),
    "first of a loop": (
        "network N(n: int = 1) { input x: [4]; h = x\n"
        "for i in range(n) { if i > 0 { h = h -> relu } else { h = h * 2 }; h = h -> Dense(4) }; output h }",
        {"n": 3},
    ),
    "conditional": (
        BLOCKS
        + "network N(deep: bool = false) { input x: [4]; h = (x -> Two(8)) if deep else (x -> Dense(8)); output h }",
        {"deep": True},
    ),
    "conditional block": (
        "block Way(units: int, around: bool) { input x; h = x -> Dense(units); output y = (h + x) if around else h }\n"
        "network N(n: int = 1) { input x: [4]; h = x; for i in range(n) { h = h -> Way(4, i > 0) }; output h }",
        {"n": 3},
    ),
    "stacks": (
        BLOCKS + "network N(n: int = 2, m: int = 1) { input x: [4]\n"
        "output y = (x -> Two(4) * n -> relu) + (x -> Dense(4) * m -> tanh) }",
        {"n": 3, "m": 2},
    ),
    "stack of one": (
        BLOCKS + "network N(n: int = 2) { input x: [4]; layer two = Two(4); output y = x -> two * n -> two }",
        {"n": 5},
    ),
    "shared with loops": (
        "block Deep(n: int) { input x; for i in range(n) { x = -x }; layer d = Dense(3); "
        "output y = x -> d -> tanh -> Dense(4) }\n"
        "network N(n: int = 2) { input x: [4]; layer deep = Deep(n); output y = x -> deep -> deep }",
        {"n": 3},
    ),
    "shared with loops of layers": (
        "block Deep(widths: list, n: int) { input x; for w in widths { x = x -> Bit(w) * n -> Dense(w) }\n"
        "  for i in range(n) { layer d[i] = Dense(3) zero[diagonal]; x = x -> d[i] }; output y = x }\n"
        "block Bit(n: int) { input x; output y = x -> Dense(n) -> tanh }\n"
        "network N(n: int = 2, widths: list = [4, 5, 5]) { input x: [3]; layer deep = Deep(widths, n)\n"
        "  output y = x -> deep -> deep }",
        {"n": 3, "widths": [5, 4, 4]},
    ),
    "shared with loops in loops": (
        "block Deep(stages: list) { input x; for w, n in stages { for i in range(n) { x = x -> Dense(w + i) } }\n"
        "  output y = x -> Dense(3) }\n"
        "network N(stages: list = [[4, 1], [5, 2]]) { input x: [3]; layer deep = Deep(stages)\n"
        "  output y = x -> deep -> deep * 2 }",
        {"stages": [[5, 2], [4, 1], [3, 3]]},
    ),
    "shared with conditions": (
        "block Way(n: int, deep: bool) { input x: [size]; h = x -> Dense(n)\n"
        "  if deep { layer more = Dense(n); h = h -> more -> Dense(n) } else { h = h -> relu -> Dense(n) }\n"
        "  h = h + (x if size == n else (x -> Dense(n))); output y = h -> Dense(4) }\n"
        "network N(n: int = 4, deep: bool = false) { input x: [4]; layer way = Way(n, deep)\n"
        "  layer other = Way(5, true); output y = x -> way -> way -> other -> other }",
        {"n": 5, "deep": True},
    ),
    "siamese": (
        "block Encoder(widths: list) { input x; h = x; for w in widths { h = h -> Residual(w) }\n"
        "  output y = h -> GlobalAveragePooling1D() }\n"
        "block Residual(n: int) { input x: [t, channels]; h = x -> Dense(n) -> BatchNormalization() -> relu\n"
        "  output y = h + (x if channels == n else (x -> Conv1D(n, 1))) }\n"
        "network N(widths: list = [4, 8]) { input a: [5, 4]; input b: [5, 4]; layer encode = Encoder(widths)\n"
        "  output y = (a -> encode, b -> encode) -> Dot(axes=1) }",
        {"widths": [4, 6, 3]},
    ),
    "two outputs": (
        "block Halves(units: int = 4) { input x; output left = x -> Dense(units); output right = x -> Dense(units) }\n"
        "network N(n: int = 2, units: int = 4) { input x: [4]; a, b = x -> Halves(units); "
        "c = (a, b) -> concat(axis=-1)\n"
        "for i in range(n) { a, b = a -> Halves(units) }; output d = a + b + (c -> Dense(units)) }",
        {"n": 3, "units": 5},
    ),
    "sizes": (
        "block Same() { input x: [t, n]; output y = x -> Dense(2 * n) -> Dense(n) }\n"
        "network N(n: int = 1, width: int = 4) { input x: [3, width]; h = x; for i in range(n) { "
        "h = h -> Same() }\n output h }",
        {"n": 2, "width": 6},
    ),
    "defaults of defaults": (
        "block Bottle(wide: int, narrow: int = wide // 2, on: bool = true) {\n"
        "  input x; h = x -> Dense(narrow); output y = h -> Dense(wide) if on else h }\n"
        "network N(w: int = 4) { input x: [4]; output y = x -> Bottle(w) -> Bottle(2 * w, on=true) -> Bottle(w, 3) }",
        {"w": 6},
    ),
    "names": (
        "block Shared(name: int, lambda: int = 2) { input class; layer self = Dense(name); "
        "layer apply = Dense(lambda)\n"
        "  output return = class -> self -> apply }\n"
        "block Exception(name: int) { input name_; output keras = name_ -> Shared(name, lambda=name) }\n"
        "network N(print: int = 3) { input list: [4]; layer layers = Shared(print)\n"
        "  output ops = list -> layers -> Shared(4, lambda=4) -> layers -> Exception(print) }",
        {"print": 5},
    ),
    "annotated blocks": (
        "block Sparse(n: int, more: int) { input x; layer d = Dense(n) zero[where i > j + more]; output y = x -> d }\n"
        "network N(n: int = 4, depth: int = 1) { input x: [n]; h = x\n"
        "for i in range(depth) { h = h -> Sparse(n, i) }; output h }",
        {"n": 5, "depth": 3},
    ),
    "tied to one outside": (
        "network N(n: int = 1) { input x: [4]; layer e = Dense(4); h = x -> e\n"
        "for i in range(n) { layer d[i] = Dense(4) tie(e.kernel.T); h = h -> d[i] }; output h }",
        {"n": 3},
    ),
    "tied in a block": (
        "block Auto(n: int, code: int) { input x; weight_2 = x * 2\n"
        "  layer encode = Dense(code, kernel_initializer=HeNormal(), kernel_regularizer=L2(0.5)) symmetric\n"
        "  layer decode = Dense(n) tie(-0.5 * encode.kernel.T)\n"
        "  layer next = Dense(code, use_bias=false) tie(decode.kernel)\n"
        "  output y = (x + weight_2) -> encode -> decode -> next }\n"
        "network N(n: int = 4, depth: int = 1) { input x: [n]; h = x\n"
        "for i in range(depth) { h = h -> Auto(n, n) }; output y = h -> Auto(n, n) }",
        {"n": 3, "depth": 2},
    ),
    "tied in a block of a block": (
        "block Auto(code: int) { input x: [n]; layer e = Dense(code); layer d = Dense(n) tie(e.kernel.T)\n"
        "  output y = x -> e -> d }\n"
        "block Twice(code: int) { input x; h = x -> Auto(code)\n"
        "  layer e = Dense(code); layer d = Dense(4) tie(e.kernel.T)\n"
        "  output y = h -> e -> d -> Auto(code + 1) }\n"
        "network N(code: int = 2) { input x: [4]; output y = x -> Twice(code) }",
        {"code": 3},
    ),
    "tied in a block that is used again": (
        "block Auto(code: int) { input x; layer e = Dense(code); layer d = Dense(4) tie(e.kernel.T)\n"
        "  output y = x -> e -> d }\n"
        "network N(code: int = 2) { input x: [4]; layer auto = Auto(code); output y = x -> auto -> auto }",
        {"code": 3},
    ),
    "unknown sizes": (
        BLOCKS + "network N(n: int = 1) { input x: [T, 4]; h = x; for i in range(n) { h = h -> Two(4) }; output h }",
        {"n": 2},
    ),
    "constants": (
        "const width = 3\nconst steps = [1, 2]\n"
        + BLOCKS
        + "network N(n: int = 1) { input x: [4]; h = x; for s in steps { h = h -> Two(width * s) * n }; output h }",
        {"n": 2},
    ),
}


def module_of(source: str) -> types.ModuleType:
    module = sys.modules["written"] = types.ModuleType("written")
    exec(compile(source, "written.py", "exec"), vars(module))
    return module


def seen(model: keras.Model) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """A model's names, its weights, and what it answers."""
    inputs = [
        np.random.default_rng(0).random([2, *(size or 3 for size in each.shape[1:])]).astype("float32")
        for each in model.inputs
    ]
    answers = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0]))
    # Keras numbers what has no name through all models of a process.
    names = sorted(each.name.rpartition("_")[0] if each.name[-1].isdigit() else each.name for each in model.layers)
    return names, [np.asarray(each) for each in model.weights], [np.asarray(each) for each in answers]


@pytest.mark.parametrize("case", every(3, NETWORKS))
def test_other_arguments(case: str) -> None:
    """The function with other arguments is the network that the file is with these, and with its defaults as well."""
    text, values = NETWORKS[case]
    module = module_of(wdsl.loads(text).to_python())
    for given in ({}, values):
        keras.utils.set_random_seed(1)
        live = seen(wdsl.loads(text, parameters=given).to_keras())
        keras.utils.set_random_seed(1)
        arguments = {name if name not in ("print", "list") else f"{name}_": value for name, value in given.items()}
        written = seen(module.N(**arguments))
        assert written[0] == live[0]
        for one, other in zip(written[1] + written[2], live[1] + live[2], strict=True):
            np.testing.assert_array_equal(one, other)


REFUSED = {
    # A file, and values for which what it gave is not enough to know the network.
    "no pass was seen": (
        "network N(n: int = 0) { input x: [4]; h = x -> Dense(4); for i in range(n) { h = h -> Dense(4) }; output h }",
        {"n": 1},
        "`range(n)` decides what N is made of",
    ),
    "passes differ": (
        "network N(n: int = 2) { input x: [4]; h = x\n"
        "for i in range(n) { if i == 0 { layer d[i] = Dense(4) } else { "
        "layer d[i] = Dense(4) tie(d[i - 1].kernel) }; h = h -> d[i] }\n output h }",
        {"n": 3},
        "`range(n)` decides what N is made of",
    ),
    "layers that are known by values of which two are the same": (
        "block Deep(widths: list) { input x; for w in widths { x = x -> Dense(w) -> Dense(4) }; output y = x }\n"
        "network N(widths: list = [4, 8]) { input x: [4]; layer d = Deep(widths); output y = x -> d -> d }",
        {"widths": [8, 8]},
        "`widths` decides what N is made of",
    ),
    "a branch that is annotated": (
        "network N(wide: bool = false) { input x: [4]; h = x\n"
        "if wide { layer d = Dense(4) symmetric; h = h -> d } else { h = -h }; output h }",
        {"wide": True},
        "`wide` decides what N is made of",
    ),
    "a choice of layers": (
        "network N(wide: bool = false) { input x: [4]; output h = x -> (Dense(8) if wide else Dense(4)) }",
        {"wide": True},
        "`wide` decides what N is made of",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_known_is_refused(case: str) -> None:
    text, values, message = REFUSED[case]
    module = module_of(wdsl.loads(text).to_python())
    module.N()
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        module.N(**values)


def test_blocks_are_functions_and_loops_loops() -> None:
    """What no pass can be told from is there once."""
    text = BLOCKS + "network N(n: int = 5) { input x: [4]; h = x; for i in range(n) { h = h -> Two(4) }; output h }"
    tree = ast.parse(wdsl.loads(text).to_python())
    assert [each.name for each in tree.body if isinstance(each, ast.FunctionDef)] == ["N", "Two"]
    assert sum(isinstance(each, ast.For) for each in ast.walk(tree)) == 1
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Attribute) and each.attr == "Dense"]
    assert len(calls) == 2


def test_nested_loops_are_loops_and_a_block_in_them_is_a_function() -> None:
    for case in ("nested loops of any values", "items that are taken apart", "loops of three"):
        tree = ast.parse(wdsl.loads(NETWORKS[case][0]).to_python())
        assert [each.name for each in tree.body if isinstance(each, ast.FunctionDef)] == ["N", "Two"]
        loops = [each for each in ast.walk(tree) if isinstance(each, ast.For)]
        assert len(loops) == (3 if case == "loops of three" else 2)
        assert not [each for each in ast.walk(tree) if isinstance(each, ast.Raise)]


def test_a_shared_block_is_one_function_that_makes_its_layers_once() -> None:
    for case in ("shared with loops of layers", "shared with loops in loops", "shared with conditions", "siamese"):
        text, _ = NETWORKS[case]
        functions = [each.name for each in ast.parse(wdsl.loads(text).to_python()).body if hasattr(each, "returns")]
        blocks = [line.split("(")[0].removeprefix("block ") for line in text.split("\n") if line.startswith("block ")]
        assert functions[: 1 + len(blocks)] == ["N", *blocks], case


def test_a_size_that_a_loop_leaves_behind() -> None:
    """The docstring is right for other lists as well."""
    source = wdsl.loads(NETWORKS["nested loops of any values"][0]).to_python()
    assert "to `h`, (batch, round(stages[-1][0] * alpha)) float32." in source


def test_lists_of_lists_are_compared_whatever_their_kind() -> None:
    text = (
        "network N(stages: list = [[4, 1], [4, 2]]) { input x: [4]\n h = x\n for a, b in stages {\n"
        "if b == 1 { layer d[b] = Dense(a) } else { layer d[b] = Dense(a) tie(d[b - 1].kernel) }; h = h -> d[b] }\n"
        "output h }"
    )
    module = module_of(wdsl.loads(text).to_python())
    wdsl.loads(text).to_keras()
    for given in ([[4, 1], [4, 2]], [(4, 1), (4, 2)], ((4, 1), (4, 2))):
        module.N(stages=given)
    with pytest.raises(ValueError, match=r"^`stages` decides what N is made of"):
        module.N(stages=[[4, 1], [4, 3]])


def test_a_block_that_is_applied_many_times_makes_what_it_shares_once() -> None:
    text = NETWORKS["block with a tie, applied many times"][0]
    source = wdsl.loads(text).to_python()
    function = source[source.index("def Auto(") : source.index("\n\n\n@keras")]
    made, applied = function.split("    def apply(")
    assert "e_kernel_layer = EKernel(" in made
    assert "e_kernel = e_kernel_layer(x)" in applied
    # Where the size of what is shared comes from the input and is a parameter's, there is no function.
    varied = text.replace(": [6]", ": [k]").replace("m: int = 2)", "m: int = 2, k: int = 6)")
    varied = varied.replace("Auto(n: int = 4)", "Auto(n: int, k: int)").replace("Dense(6)", "Dense(k)")
    varied = varied.replace("Auto(n)", "Auto(n, k)").replace("Auto(3)", "Auto(3, k)")
    assert "def Auto(" not in wdsl.loads(varied).to_python()


def test_names_of_layers_follow_from_where_they_are() -> None:
    text = BLOCKS + (
        "network N(n: int = 2) { input x: [4]; layer one = Two(4); h = x -> one -> Two(4)\n"
        "for i in range(n) { h = h -> Two(4) -> Two(4) * 2 }; output h }"
    )
    names = {each.name for each in wdsl.loads(text).to_keras().layers}
    ours = {"one_first", "one_dense", "two_first", "two_2_0_first", "two_2_1_first"}
    assert ours | {f"two_3_{i}_{j}_first" for i in range(2) for j in range(2)} <= names


def test_constants_keep_their_names() -> None:
    text = (
        "## How wide.\nconst width = 4\nconst widths = [width, 2 * width]\n"
        + BLOCKS
        + "network N(n: int = width) { input x: [n]; h = x\n"
        "for w in widths { h = h -> Two(w) }; output y = h -> Dense(width) }"
    )
    module = module_of(wdsl.loads(text).to_python())
    assert (module.WIDTH, module.WIDTHS) == (4, (4, 8))
    module.WIDTH, module.WIDTHS = 3, (5,)
    assert [each.shape for each in module.N(2).weights if len(each.shape) == 2] == [(2, 5), (5, 5), (5, 3)]


def test_what_is_refused_is_said_as_it_is_written() -> None:
    text = (
        "block B(deep: bool) { input x; h = ((x * 2) if deep else (x -> relu)); output y = h }\n"
        "network N(n: int = 1) { input x: [4]; layer d = Dense(4) symmetric\n"
        "if n > 1 { assert n < 5 } else { x = -x }\n output y = x -> B(n > 3) -> d }"
    )
    source = wdsl.loads(text).to_python()
    assert "if not n > 1:" in source
    assert "pass\n" not in source


def test_a_side_that_was_not_taken_and_cannot_be_tried() -> None:
    text = (
        "network N(n: int = 2, deep: bool = false) { input x: [4]\n"
        "h = (x -> B(n)) if deep else (x -> Dense(n)); output h }\n"
        "block B(n: int) { input x; layer d = Dense(n) symmetric; output y = x -> d }"
    )
    module = module_of(wdsl.loads(text).to_python())
    module.N(3)
    with pytest.raises(ValueError, match=r"^`deep` decides what N is made of"):
        module.N(3, deep=True)


UNTRIED = {
    # What is wrong in a branch that is not taken, which the network may have.
    "a later condition": "if n == 0 { h = -x } else if 4 // n > 1 { h = x -> relu } else { h = x }",
    "too many passes": "h = x\nif n > 0 { for i in range(100_000) { h = h -> relu -> relu } }",
    "a condition in it": "h = x\nif n > 0 { if 4 // n > 1 { h = h -> relu } }",
    "a side of one": "h = x if n == 0 else ((x -> relu) if 4 // n > 1 else -x)",
    "a block in itself": "h = x\nif n > 0 { h = h -> Again() }",
    "a block of the network's": "layer s = Again4()\nh = x\nif n > 0 { h = x -> s -> s -> Own() }\nh = h -> s",
    "a block's first use": "layer s = Again4()\nh = (x if n == 0 else -(x -> s -> s * 2)) -> s",
    "a block with a weight": "h = x\nif n > 0 { layer o = Own(); h = h -> o }\nlayer b = Bias(); h = h -> b -> b",
}


@pytest.mark.parametrize("case", UNTRIED)
def test_what_is_wrong_where_nothing_goes(case: str) -> None:
    text = (
        f"network N(n: int = 0) {{ input x: [4]\n{UNTRIED[case]}\n output y = h -> Dense(2) }}\n"
        "block Again() { input x; output y = x -> Again() }\n"
        "block Own() { input x; weight w: [4, 4]; layer d = Dense(4) tie(w); output y = x -> d }\n"
        "block Bias() { input x; output y = x -> Dense(4) }\n"
        "block Again4() { input x; layer d = Dense(4); output y = x -> d -> Dense(4) }"
    )
    net = wdsl.loads(text)
    keras.utils.set_random_seed(1)
    live = seen(net.to_keras())
    keras.utils.set_random_seed(1)
    for one, other in zip(seen(module_of(net.to_python()).N())[2], live[2], strict=True):
        np.testing.assert_array_equal(one, other)
