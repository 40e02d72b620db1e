"""What the classes of written modules say of their weights, as the equations that the runtime has.

Each such class carries `structure`: what is said of weights of its own, in the words of a `.wnet` file. It is read by
the compiler itself, from a file in which these weights are all that there is.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wdsl.core import expressions as ex
from wdsl.structure import Equation
from wdsl.weights.entries import library

Loads = Callable[..., Any]
"""What compiles a text: `wdsl.loads`."""

TIED = "tie"
"""What a class says of a weight that each call gives it."""


def is_written(layer: Any) -> bool:
    """Whether a layer is of a class that says what holds of its weights."""
    return isinstance(getattr(type(layer), "structure", None), tuple)


def base_of(layer: Any) -> Any:
    """The class that a written class is one of, but for structure: `layers.Dense`, `layers.Wrapper`, `keras.Layer`."""
    return next(each for each in type(layer).__mro__ if not hasattr(each, "structure"))


def stated(layer: Any) -> dict[str, str]:
    """The annotations of weights by the way to them, "cell/kernel", as the class of a layer has them."""
    pairs = (each.partition(": ") for each in type(layer).structure)
    return {key.replace(".", "/"): annotations for key, _, annotations in pairs}


def equations_of(
    layer: Any, shapes: Mapping[str, Sequence[int]], structure: Mapping[str, str], loads: Loads
) -> dict[str, tuple[Equation, ...]]:
    """The equations of weights, by the words that name them in annotations. Raises ValueError if one cannot be read.

    `shapes` are those of all the weights that annotations speak of, `structure` has the annotations.
    """
    parameters = _parameters(layer)
    given = {name: value for name, value in parameters.items() if _says(structure.values(), name)}
    tables = dict(getattr(type(layer), "masks", ()))
    masks = {f"{number}.npy": path for number, path in enumerate(tables)}
    names = {name: f"weight_{number}" for number, name in enumerate(shapes)}
    lines = [f"network Stated({', '.join(given)}) {{" if given else "network Stated {"]
    for name, own in names.items():
        sizes, annotations = ", ".join(map(str, shapes[name])), structure.get(name, "")
        for file, path in masks.items():
            annotations = annotations.replace(f'mask("{path}")', f'mask("{file}")')
        for other, short in names.items() if TIED in annotations else ():
            annotations = re.sub(rf"(?<![\w.\"]){re.escape(other)}(?!\w)", short, annotations)
        # A weight of any shape has to be that of a layer before it is one of the network.
        lines += [
            f"    input of_{own}: [{sizes}]",
            f"    weight {own}: [{sizes}] {annotations}",
            f"    layer use_{own} = PReLU() tie({own})",
            f"    output from_{own} = of_{own} -> use_{own}",
        ]
    try:
        with tempfile.TemporaryDirectory() as folder:
            for file, path in masks.items():
                np.save(Path(folder, file), _global(layer, tables[path]))
            net = loads("\n".join([*lines, "}"]), "<structure>", None, given, folder)
    except Exception as error:
        said = ", ".join(f"{name}: {annotations}" for name, annotations in structure.items())
        reason = next((each.message for each in getattr(error, "diagnostics", ())), str(error))
        raise ValueError(
            f"what the class of layer {layer.name!r} says of its weights cannot be read, {said!r}: {reason}"
        ) from None
    originals = {short: name for name, short in names.items()} | masks
    found = {str(each.name): each.equations for each in net.structures.weights}
    return {
        name: tuple(_term(_renamed(each, originals), net.network.values) for each in found[own])
        for name, own in names.items()
    }


def _global(layer: Any, name: str) -> Any:
    """What the module that has a layer's class calls by this name."""
    functions = (each for each in vars(type(layer)).values() if inspect.isfunction(each))
    return next(functions).__globals__[name]


def _parameters(layer: Any) -> dict[str, Any]:
    """The parameters of the network that a layer keeps, by their names there: what its class adds to its arguments."""
    signature = inspect.signature(type(layer).__init__)
    own = [each.name for each in signature.parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    return {name.removesuffix("_"): getattr(layer, name) for name in own if hasattr(layer, name)}


def _says(annotations: Any, name: str) -> bool:
    return any(re.search(rf"(?<![\w.\"]){re.escape(name)}(?!\w)", each) for each in annotations)


def _renamed(expression: ex.Expression, originals: Mapping[str, str]) -> ex.Expression:
    """An expression with the names of weights and files that the class has for them."""

    def change(part: ex.Expression) -> ex.Expression | None:
        match part:
            case ex.Call(ex.Symbol("View" | "Mask" | "PackedMask"), (ex.Constant(str(name)), *others)):
                return part.replace(arguments=(ex.Constant(originals.get(name, name)), *others))
        return None

    return ex.replaced(expression, change)


def _term(expression: ex.Expression, parameters: Mapping[str, Any]) -> Any:
    from wdsl import runtime

    return ex.evaluate(expression, parameters, lambda path: getattr(runtime, path, None) or library(path))
