"""Written functions read as a careful person writes them: a step for each layer, no names that nobody needs."""

from __future__ import annotations

import ast
import textwrap

import keras
import numpy as np
import pytest

import wdsl
from tests.test_functions import module_of, seen


def body_of(text: str, name: str = "N") -> str:
    """What stands in a function between its docstring and what it returns, without comments; then that."""
    tree = ast.parse(wdsl.loads(text).to_python())
    function = next(each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name)
    return "\n".join(map(ast.unparse, function.body[1:]))


def written(text: str) -> str:
    return textwrap.dedent(text).strip()


CHAINS = {
    # What a network does with x, and the statements of Python for it, with the inputs left out.
    "a step for each": (
        "output y = x -> Dense(4) -> relu -> Dense(2)",
        """
        y = layers.Dense(4)(x)
        y = activations.relu(y)
        y = layers.Dense(2)(y)
        return keras.Model(x, y, name='N')
        """,
    ),
    "short calls stay in one another": (
        "layer a = Dense(4); layer b = Dense(4); output y = x -> a -> b -> b; output z = y -> Dense(2) -> relu",
        """
        a = layers.Dense(4, name='a')
        b = layers.Dense(4, name='b')
        y = b(b(a(x)))
        z = activations.relu(layers.Dense(2)(y))
        return keras.Model(x, {'y': y, 'z': z}, name='N')
        """,
    ),
    "long ones do not": (
        "output y = x -> Dense(4, kernel_initializer=HeNormal(), bias_initializer=Ones()) -> relu",
        """
        y = layers.Dense(4, kernel_initializer=initializers.HeNormal(), bias_initializer=initializers.Ones())(x)
        y = activations.relu(y)
        return keras.Model(x, y, name='N')
        """,
    ),
    "within an expression": (
        "output y = x + (x -> Dense(4) -> Dense(4)) * (x -> Dense(4) -> Dense(4))",
        """
        y = layers.Dense(4)(x)
        y = layers.Dense(4)(y)
        z = layers.Dense(4)(x)
        z = layers.Dense(4)(z)
        y = x + y * z
        return keras.Model(x, y, name='N')
        """,
    ),
    "into a name that is read": (
        "h = x -> Dense(4); h = h + (h -> Dense(4) -> Dense(4)); output y = h",
        """
        h = layers.Dense(4)(x)
        y = layers.Dense(4)(h)
        y = layers.Dense(4)(y)
        h = h + y
        return keras.Model(x, h, name='N')
        """,
    ),
    "several into one": (
        "output y = (x -> Dense(4), x -> Dense(4)) -> Add() -> Dense(2)",
        """
        y = layers.Add()([layers.Dense(4)(x), layers.Dense(4)(x)])
        y = layers.Dense(2)(y)
        return keras.Model(x, y, name='N')
        """,
    ),
    "aliases": (
        "h = x; skip = h; h = h -> Dense(4); h = h + skip; last = h; output y = last",
        """
        h = layers.Dense(4)(x)
        h = h + x
        return keras.Model(x, h, name='N')
        """,
    ),
    "what a loop needs stays": (
        "h = x; before = h; for i in range(3) { before = h; h = h -> relu }; output y = h; output z = before",
        """
        h = x
        before = h
        for _ in range(3):
            before = h
            h = activations.relu(h)
        return keras.Model(x, {'y': h, 'z': before}, name='N')
        """,
    ),
}


@pytest.mark.parametrize("case", CHAINS)
def test_chains(case: str) -> None:
    statements, wanted = CHAINS[case]
    text = f"network N {{ input x: [4]\n{statements} }}"
    assert body_of(text) == written("x = keras.Input((4,), name='x')\n" + textwrap.dedent(wanted).strip())
    net = wdsl.loads(text)
    keras.utils.set_random_seed(1)
    live = seen(net.to_keras())
    keras.utils.set_random_seed(1)
    module = seen(module_of(net.to_python()).N())
    for one, other in zip(live[1] + live[2], module[1] + module[2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_step_of_a_block_is_returned() -> None:
    text = (
        "block B(n: int) { input x; output y = x -> Dense(n) -> relu -> Dense(n) }\n"
        "network N { input x: [4]; output y = x -> B(3) }"
    )
    assert body_of(text, "B") == written("""
        y = layers.Dense(n)(x)
        y = activations.relu(y)
        return layers.Dense(n)(y)
        """)


def test_what_is_refused_is_refused_first() -> None:
    """Where a loop could not be kept, the function says so of other values before these break anything."""
    text = """
    network Deep(widths: list = [8, 6, 4]) {
        input x: [widths[0]]
        h = x
        for n in range(len(widths) - 1) { layer down[n] = Dense(widths[n + 1]); h = h -> down[n] }
        for n in range(len(widths) - 1) {
            layer up[n] = Dense(widths[len(widths) - 2 - n]) tie(down[len(widths) - 2 - n].kernel.T)
            h = h -> up[n]
        }
        output copy = h
    }
    """
    source = wdsl.loads(text).to_python()
    module = module_of(source)
    module.Deep()
    module.Deep(widths=[7, 5, 3])
    for widths in ([8, 6], [8, 6, 4, 2], []):
        with pytest.raises(ValueError, match=r"^`range\(len\(widths\) - 1\)` decides what Deep is made of"):
            module.Deep(widths=widths)
    assert source.count("decides what Deep is made of") == 1


def test_what_is_known_is_written_as_what_it_is() -> None:
    """In the passes of a loop that could not be kept, and in blocks: no items of lists in brackets, no `max(1, 8)`."""
    text = """
    network N {
        input x: [4]
        h = x
        for n in range(2) {
            if n == 0 { layer d[n] = Dense([5, 6][n] + n) } else { layer d[n] = Dense(5 + n) tie(d[n - 1].kernel.T) }
            h = h -> d[n]
        }
        output y = h -> B(max(1, 8), [24, 32][1])
    }
    block B(n: int, m: int) { input x; output y = x -> Dense(max(1, 8 // 2)) -> Dense([n, m][1]) }
    """
    text = text.replace("Dense(5 + n)", "Dense(4)")
    assert "(5, name='d_0')" in body_of(text)
    assert "if " not in body_of(text)
    assert "B(h, 8, 32)" in body_of(text)
    assert body_of(text, "B") == "y = layers.Dense(4)(x)\nreturn layers.Dense(m)(y)"


def test_many_aliases_take_no_longer_each() -> None:
    """A network that is written out has one for each use of a block: they are found in one go."""
    text = (
        "network N { input x: [4]\n h = x\n for i in range(1_500) { h = h -> B() }\n output h }\n"
        "block B() { input x\n weight w: [4, 4]\n weight v: [4, 4] tie(w.T)\n output y = x @ w @ v }"
    )
    net = wdsl.loads(text)
    assert [each.code for each in net.plan.notes] == ["W0701"]
    body = ast.parse(net.to_python()).body
    steps = [each for function in body if isinstance(function, ast.FunctionDef) for each in function.body]
    assert not [each for each in steps if isinstance(each, ast.Assign) and isinstance(each.value, ast.Name)]
