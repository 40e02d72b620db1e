"""The plan, carried out: a live Keras model."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from wdsl.expressions import evaluate
from wdsl.plan import Plan

if TYPE_CHECKING:
    import keras  # noqa: TID251


def build(plan: Plan) -> keras.Model:
    """Build the model, step by step, with the values that the network's parameters have in the plan."""
    variables: dict[str, Any] = dict(plan.network.values)
    variables.update((name, evaluate(table, {}, _library)) for name, table in plan.constants.items())
    variables.update((path, _imported(path)) for path in plan.externals)
    for step in plan.steps:
        value = evaluate(step.value, variables, _library)
        if len(step.names) == 1:
            variables[step.names[0]] = value
        else:
            variables.update(zip(step.names, value, strict=True))
    return evaluate(plan.result, variables, _library)


def _imported(path: str) -> Any:
    """The class of layers with this dotted path, from a module that wdsl knows nothing of."""
    from importlib import import_module

    import keras  # noqa: TID251

    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise ImportError(f"the network needs `{path}`: {error}") from error
    if found is None:
        raise ImportError(f"the network needs `{path}`: the module `{module}` has no `{name}`")
    if not (isinstance(found, type) and issubclass(found, keras.layers.Layer)):
        raise TypeError(f"the network needs `{path}`, and that is no class of Keras layers")
    return found


def _library(path: str) -> Any:
    """What the plan's expressions refer to: Keras, the runtime, NumPy, and a few of Python's own functions."""
    import numpy

    import keras  # noqa: TID251
    from wdsl import runtime, structure

    first, *rest = path.split(".")
    if not rest:
        for module in (runtime, structure, builtins):
            if hasattr(module, first):
                return getattr(module, first)
    found: Any = {"keras": keras, "np": numpy}.get(first) or getattr(keras, first)
    for name in rest:
        found = getattr(found, name)
    return found
