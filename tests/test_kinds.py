"""Which form a layer with structure takes in a plan, and what its class is called."""

from __future__ import annotations

import re

import wdsl


def kinds(body: str, head: str = "") -> list[tuple[str, str]]:
    plan = wdsl.loads(f"{head}network N {{ input x: [4, 4]\n{body}\n}}").emit("plan")
    return re.findall(r'(Structured|Wrapped|Shared|Coupled)\(.*kind="(\w+)"', plan)


def test_a_class_is_called_like_the_layer() -> None:
    assert kinds("layer my_layer = Dense(4) { kernel: symmetric }\noutput y = my_layer(x)") == [
        ("Structured", "MyLayer")
    ]


def test_weights_of_cells_are_the_layers_own_and_those_of_inner_layers_are_not() -> None:
    assert kinds("layer read = LSTM(4) { recurrent_kernel: zero[diagonal] }\noutput y = read(x)") == [
        ("Structured", "Read")
    ]
    both = "layer read = Bidirectional(LSTM(4)) { forward.kernel: zero[0] }\noutput y = read(x)"
    assert kinds(both) == [("Wrapped", "Read")]


def test_layers_that_are_given_weights_are_called_by_what_they_are_given() -> None:
    body = """
        layer one = Dense(4)
        layer two = Dense(4) { kernel: tie(one.kernel) bias: tie(one.bias) }
        layer read = GRU(4) { kernel: tie(other.kernel) }
        layer other = GRU(4)
        output y = x -> one -> two
        output z = x -> read
        output w = x -> other
    """.replace(" bias:", "\nbias:")
    assert kinds(body) == [
        ("Structured", "DenseByKernelAndBias"),
        ("Structured", "DenseByKernelAndBias"),
        ("Wrapped", "Given"),
        ("Wrapped", "Given"),
    ]


def test_one_name_stands_for_one_class_and_none_that_the_module_needs() -> None:
    body = """
        layer n = Dense(4) { kernel: symmetric }
        layer exception = Dense(4) { kernel: symmetric }
        layer shared = Dense(4) { kernel: skew }
        output y = x -> n -> exception -> shared
    """
    assert kinds(body) == [("Structured", "N2"), ("Structured", "Exception2"), ("Structured", "Shared2")]
    head = "block Mix {\n input x: [m, n]\n layer mix = Dense(n) { kernel: symmetric }\n output y = mix(x)\n}\n"
    assert kinds("output y = x -> Mix() -> Mix()", head) == [("Structured", "Mix2")]


def test_passes_of_a_loop_are_one_kind_unless_they_differ() -> None:
    loop = "h = x\nfor n in range(3) { layer mix[n] = Dense(4) { kernel: symmetric }\nh = h -> mix[n] }\n"
    assert kinds(loop + "output y = h") == [("Structured", "Mix")]
    blocks = "".join(
        f"block {name} {{\n input x: [m, n]\n layer mix = Dense(n) {{ kernel: {said} }}\n output y = mix(x)\n}}\n"
        for name, said in (("A", "symmetric"), ("B", "skew"))
    )
    assert sorted(kinds("output y = x -> A() -> A() -> B()", blocks)) == [("Structured", "Mix"), ("Structured", "Mix2")]
