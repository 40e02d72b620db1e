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
from tests.golden.test_code_lines import code_lines
from tests.test_functions import module_of, seen

SPECS = Path(__file__).parent / "specs"

NETWORKS: dict[str, tuple[str, list[str], int, list[dict[str, Any]]]] = {
    # The network, its functions, how many loops there are, and values of parameters to build it with.
    "mobilenet_v2": (
        "MobileNetV2",
        ["MobileNetV2", "Inverted", "Normed"],
        2,
        [{"side": 32, "classes": 10}, {"side": 40, "classes": 10, "alpha": 0.35}],
    ),
    "efficientnet_b0": (
        "EfficientNetB0",
        ["EfficientNetB0", "MBConv"],
        2,
        [{"side": 32, "classes": 10}, {"side": 40, "classes": 4, "rate": 0.0}],
    ),
    "ddpm_unet": (
        "DDPM",
        ["DDPM", "Level", "Residual", "SelfAttention", "Smaller", "Larger"],
        1,
        [{}, {"side": 8, "width": 8, "depth": 3, "groups": 2}],
    ),
    "siamese_resnet": (
        "Siamese",
        ["Siamese", "Encoder", "Residual"],
        2,
        [{}, {"widths": [8, 3], "side": 16, "code": 5}],
    ),
}


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
    net = wdsl.load(SPECS / f"{case}.wnet")
    assert net.plan.notes == ()
    tree = ast.parse(net.to_python())
    assert [each.name for each in tree.body if isinstance(each, ast.FunctionDef)] == functions
    written = [each for function in tree.body if isinstance(function, ast.FunctionDef) for each in ast.walk(function)]
    assert sum(isinstance(each, ast.For) for each in written) == loops


@pytest.mark.parametrize("case", NETWORKS)
def test_other_parameters(case: str) -> None:
    """The module of the defaults makes, with other arguments, the live model of the file with these, to the bit."""
    name, _, _, several = NETWORKS[case]
    text = (SPECS / f"{case}.wnet").read_text(encoding="utf-8")
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
        "efficientnet_b0": of_keras(efficientnet, "EfficientNet", ["block", "round_filters", "round_repeats"], {"x"}),
    }
    for case, limit in most.items():
        assert code_lines(wdsl.load(SPECS / f"{case}.wnet").to_python()) <= limit, case
