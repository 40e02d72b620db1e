"""Networks that people write, written naturally: loops stay loops, blocks functions, and the code is no longer than
Keras's own for the same architecture."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications import efficientnet, mobilenet_v2

import wdsl
from tests.drawn import repeated
from tests.golden.test_code_lines import code_lines
from tests.test_functions import module_of, seen

SPECS = Path(__file__).parents[2] / "specs"

NETWORKS: dict[str, tuple[str, list[str], int, list[dict[str, Any]]]] = {
    # The network, its functions, how many loops there are, and values of parameters to build it with.
    "mobilenet_v2": ("MobileNetV2", ["MobileNetV2", "Inverted", "Normed"], 2, [{"side": 40, "alpha": 1.4}]),
    "efficientnet": ("EfficientNet", ["EfficientNet", "MBConv", "Normed"], 2, [{"side": 40, "version": 2}]),
    "convnext": ("ConvNeXt", ["ConvNeXt", "Mixed"], 2, [{"depths": [2, 1, 1], "widths": [4, 8, 12]}]),
    "vit": ("ViT", ["ViT", "Encoder"], 1, [{"side": 24, "depth": 3}]),
    "vae": ("VAE", ["VAE"], 2, [{"widths": [4, 6], "code": 3}]),
    "ddpm_unet": (
        "DDPM",
        ["DDPM", "Residual", "SelfAttention"],
        4,
        [{"side": 8, "width": 8, "depth": 2, "scales": [1, 3], "groups": 2, "attends": [0]}],
    ),
    "multitask": ("Multitask", ["Multitask"], 2, [{"tasks": [2], "hidden": [5, 4, 3]}]),
    "tabular": ("Tabular", ["Tabular"], 2, [{"categories": [9, 4], "hidden": [8], "act": "tanh"}]),
    "siamese_resnet": (
        "Siamese",
        ["Siamese", "Encoder", "Residual"],
        2,
        [{}, {"widths": [8, 3], "side": 16, "code": 5}],
    ),
}

HEAVY = {"mobilenet_v2", "efficientnet"}


def path_of(case: str) -> Path:
    own = Path(__file__).parent / "specs" / f"{case}.wnet"
    return own if own.exists() else SPECS / f"{case}.wnet"


def of_keras(module: Any, function: str, functions: list[str], names: set[str]) -> int:
    """The code lines of an architecture in `keras.applications`: helpers, and what its function does with tensors."""
    tree = ast.parse(inspect.getsource(module))
    own = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name in functions]
    main = next(each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == function)
    steps = [each for each in main.body if isinstance(each, ast.For)]
    steps += [
        each
        for each in (*main.body, *(one for part in main.body if isinstance(part, ast.If) for one in part.body))
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and each.targets[0].id in names
    ]
    text = inspect.getsource(module)
    parts = (ast.get_source_segment(text, each, padded=True) or "" for each in (*own, *steps))
    return sum(code_lines(textwrap.dedent(each)) for each in parts)


@pytest.mark.parametrize("case", NETWORKS)
def test_loops_and_functions_are_kept(case: str) -> None:
    _, functions, loops, _ = NETWORKS[case]
    net = wdsl.load(path_of(case))
    assert net.plan.notes == ()
    tree = ast.parse(net.to_python())
    found = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
    assert [name for name in found if name[0].isupper()] == functions
    written = [each for function in tree.body if isinstance(function, ast.FunctionDef) for each in ast.walk(function)]
    assert sum(isinstance(each, ast.For) for each in written) == loops


@pytest.mark.parametrize("case", repeated(NETWORKS, NETWORKS.keys() - HEAVY))
def test_other_parameters(case: str) -> None:
    """The module of the defaults makes, with other arguments, the live model of the file with these, to the bit."""
    name, _, _, several = NETWORKS[case]
    text = path_of(case).read_text(encoding="utf-8")
    module = module_of(wdsl.loads(text).to_python())
    for values in several:
        keras.utils.set_random_seed(1)
        live = seen(wdsl.loads(text, parameters=values).to_keras())
        keras.utils.set_random_seed(1)
        written = seen(getattr(module, name)(**values))
        assert written[0] == live[0]
        for one, other in zip(written[1] + written[2], live[1] + live[2], strict=True):
            np.testing.assert_array_equal(one, other)


def test_no_longer_than_keras_writes_it() -> None:
    mobilenet = {"x", "first_block_filters", "last_block_filters"}
    most = {
        "mobilenet_v2": of_keras(mobilenet_v2, "MobileNetV2", ["_inverted_res_block", "_make_divisible"], mobilenet),
        "efficientnet": of_keras(efficientnet, "EfficientNet", ["block", "round_filters", "round_repeats"], {"x"}),
    }
    for case, limit in most.items():
        assert code_lines(wdsl.load(path_of(case)).to_python()) <= limit, case
