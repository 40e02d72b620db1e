"""The plan, carried out: a live Keras model."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wdsl.core import expressions as ex
from wdsl.core.expressions import evaluate
from wdsl.plan.plan import Plan
from wdsl.plan.statements import For, Function, If, Refuse, Statement, Step

if TYPE_CHECKING:
    import keras  # noqa: TID251


def build(plan: Plan) -> keras.Model:
    """Build the model, step by step, with the values that the network's parameters have in the plan."""
    variables: dict[str, Any] = dict(plan.network.values)
    variables.update((name, evaluate(table, {}, _library)) for name, table in plan.constants.items())
    variables.update((path, _imported(path)) for path in plan.externals)
    beside = {name: variables[name] for name in (*plan.constants, *plan.externals)}
    beside.update((each.name, _function(each, beside)) for each in plan.functions)
    variables.update(beside)
    _carry_out(plan.body, variables)
    return evaluate(plan.result, variables, _library)


def _carry_out(statements: Sequence[Statement], variables: dict[str, Any]) -> None:
    for statement in statements:
        match statement:
            case Step((target,), value):
                _assign(target, evaluate(value, variables, _library), variables)
            case Step(targets, value):
                for target, each in zip(targets, evaluate(value, variables, _library), strict=True):
                    _assign(target, each, variables)
            case For(targets, values, body):
                for value in evaluate(values, variables, _library):
                    found = value if len(targets) > 1 else (value,)
                    if statement.is_numbered and len(targets) > 2:
                        found = (value[0], *value[1])
                    variables.update(zip(targets, found, strict=True))
                    _carry_out(body, variables)
            case If(tests, bodies):
                true = (number for number, test in enumerate(tests) if evaluate(test, variables, _library))
                _carry_out(bodies[next(true, len(tests))] or (), variables)
            case Refuse(test, message):
                if evaluate(test, variables, _library):
                    raise ValueError(message)


def _assign(target: ex.Expression, value: Any, variables: dict[str, Any]) -> None:
    match target:
        case ex.Variable(name):
            variables[name] = value
        case ex.Subscript(container, index):
            evaluate(container, variables, _library)[evaluate(index, variables, _library)] = value


def _function(function: Function, beside: dict[str, Any]) -> Callable[..., Any]:
    """The function of a block. `beside` is what the module defines, this function and those after it among it."""
    names = [each.name for each in function.parameters]
    defaults = {each.name: evaluate(each.default, {}, _library) for each in function.parameters if each.default}

    def applied(variables: dict[str, Any]) -> Any:
        _carry_out(function.body, variables)
        results = [evaluate(each, variables, _library) for each in function.results]
        return results[0] if len(results) == 1 else tuple(results)

    def call(*given: Any, **named: Any) -> Any:
        known = dict(zip((*function.inputs, *names), given))  # noqa: B905 - the rest is by name, or has a default
        return applied({**beside, **defaults, **known, **named})

    def construct(*given: Any, **named: Any) -> Callable[..., Any]:
        known = {**beside, **defaults, **dict(zip(names, given)), **named}  # noqa: B905 - likewise
        _carry_out(function.made or (), known)
        return lambda *tensors: applied({**known, **dict(zip(function.inputs, tensors, strict=True))})

    return call if function.made is None else construct


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
    found: Any = {"keras": keras, "np": numpy, "math": math}.get(first) or getattr(keras, first)
    for name in rest:
        found = getattr(found, name)
    return found
