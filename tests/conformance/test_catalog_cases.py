"""Every case that Keras's own layer tests make: what the catalogue says is what Keras gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wdsl.catalog import LAYERS, TensorSpec, check

CASES = [json.loads(line) for line in Path(__file__).with_name("keras_layers.jsonl").read_text().splitlines()]


def name(case: Mapping[str, Any]) -> str:
    return f"{case['layer']}-{CASES.index(case)}"


def spec(shape: list[int], dtype: str) -> TensorSpec:
    return TensorSpec((None, *shape), dtype)


def inputs(case: Mapping[str, Any]) -> dict[str, object]:
    """The call's tensors, by the names of the call's arguments."""
    given, dtype = case["input"], case["dtype"]
    if isinstance(given, dict):
        return {key: spec(shape, dtype) for key, shape in given.items()}
    first = LAYERS[case["layer"]].call[0]
    if first.type == "tensors":
        return {first.name: tuple(spec(shape, dtype) for shape in given)}
    return {first.name: spec(given, dtype)}


@pytest.mark.parametrize("case", CASES, ids=name)
def test_case(case: Mapping[str, Any]) -> None:
    layer = LAYERS[case["layer"]]
    given, tensors = case["arguments"], inputs(case)
    assert set(given) <= {argument.name for argument in layer.arguments}
    arguments = {argument.name: given.get(argument.name, argument.default) for argument in layer.arguments}
    call = {argument.name: tensors.get(argument.name, argument.default) for argument in layer.call}
    assert [check(a, arguments[a.name]) for a in layer.arguments] == [None] * len(layer.arguments)

    inferred = layer.infer(arguments, call)

    outputs = inferred.output if isinstance(inferred.output, tuple) else (inferred.output,)
    assert [list(output.shape) for output in outputs] == case["output"]
    assert [{"path": w.path, "shape": list(w.shape), "trainable": w.trainable} for w in inferred.weights] == case[
        "weights"
    ]


def test_all_cases_are_there() -> None:
    assert len(CASES) == 74
