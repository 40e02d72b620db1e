"""What the catalogue says of values: the sentences, and that it needs no Keras for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from wdsl.catalog import LAYERS, REQUIRED, Argument, CatalogError, Constructed, TensorSpec, check, describe


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        ("size", "a whole number of at least 1"),
        ("sizes(2)", "a whole number of at least 1 or a list of 2 of them"),
        ("optional sizes(3)", "a whole number of at least 1, a list of 3 of them or none"),
        ("list(int)", "a list of whole numbers"),
        ("axis or list(axis, 2)", "the number of an axis or a list of 2 axis numbers"),
        ("anycase(valid|same|causal)", '"valid", "same" or "causal"'),
        ("bool or choice(auto)", 'true, false or "auto"'),
        ("optional activation", "the name of an activation function or none"),
        ("tensors", "a list of tensors"),
    ],
)
def test_describe(type_: str, words: str) -> None:
    assert describe(type_) == words


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        ("size", 3, None),
        ("size", -3, "`it` must be a whole number of at least 1, not -3"),
        ("size", True, "`it` must be a whole number of at least 1, not true"),
        ("size", None, "`it` must be a whole number of at least 1, not none"),
        ("size", 2.0, "`it` must be a whole number of at least 1, not 2.0"),
        ("optional size", None, None),
        ("float", 3, None),
        ("float", "3", '`it` must be a number, not "3"'),
        ("positive", 0, "`it` must be a number above 0, not 0"),
        ("fraction", 1.5, "`it` must be a number from 0 to 1, not 1.5"),
        ("sizes(2)", [3, 0], "`it` must be a whole number of at least 1 or a list of 2 of them, not [3, 0]"),
        ("count or list(counts(2), 2)", [[1, 0], 2], None),
        ("activation", "rleu", '`it` must be the name of an activation function, not "rleu"'),
        ("activation", "relu", None),
        ("initializer", "he_normal", None),
        ("initializer", Constructed("initializer", "HeNormal", {"seed": 1}), None),
        ("initializer", Constructed("regularizer", "L2", {}), "`it` must be an initializer, not L2()"),
        ("initializer", "constant", '`it` must be an initializer, not "constant"'),
        ("policy", "mixed_bfloat16", None),
        ("dtype", "mixed_bfloat16", '`it` must be a dtype, not "mixed_bfloat16"'),
        ("tensor", TensorSpec((None, 3)), None),
        ("size", TensorSpec((None, 3)), "`it` must be a whole number of at least 1, not a tensor of shape [3]"),
        ("unset", {"mode": "int8"}, "`it` must be left out: a .wnet file cannot give it"),
        ("unset", None, None),
    ],
)
def test_check(type_: str, value: object, message: str | None) -> None:
    assert check(Argument("it", type_), value) == message


def test_every_default_fits_its_type() -> None:
    for layer in LAYERS.values():
        for argument in (*layer.arguments, *layer.call):
            assert argument.default is REQUIRED or check(argument, argument.default) is None


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "message", "culprit"),
    [
        (
            "Conv2D",
            {"filters": 8, "kernel_size": 3},
            (None, 28),
            "the input [?, 28] has 2 axes, but `Conv2D` needs 4 (batch, height, width, channels)",
            None,
        ),
        (
            "Conv2D",
            {"filters": 8, "kernel_size": 5},
            (None, 4, 4, 1),
            "`Conv2D` would leave nothing of the input [?, 4, 4, 1]: its window of 5 × 5 does not fit",
            "kernel_size",
        ),
        (
            "Dense",
            {"units": 8},
            (None, None),
            "the last axis of the input must have a known size, since the shape of the weight `kernel` depends on it",
            None,
        ),
        (
            "Reshape",
            {"target_shape": [3, -1]},
            (None, 4, 5),
            "[4, 5] has 20 entries, which cannot be arranged as [3, -1]",
            "target_shape",
        ),
    ],
)
def test_refusals(
    name: str, arguments: dict[str, object], shape: tuple[int | None, ...], message: str, culprit: str | None
) -> None:
    layer = LAYERS[name]
    values = {argument.name: arguments.get(argument.name, argument.default) for argument in layer.arguments}
    call = {argument.name: argument.default for argument in layer.call} | {"inputs": TensorSpec(shape)}
    with pytest.raises(CatalogError) as caught:
        layer.infer(values, call)
    assert (caught.value.message, caught.value.argument) == (message, culprit)


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys, wdsl.catalog as catalog; layer = catalog.LAYERS['LSTM'];"
        "layer.infer({a.name: a.default for a in layer.arguments} | {'units': 3},"
        " {a.name: a.default for a in layer.call} | {'sequences': catalog.TensorSpec((None, 4, 2))});"
        "print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
