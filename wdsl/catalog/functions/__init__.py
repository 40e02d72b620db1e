"""The functions and operators of wiring, a module for each kind. A new function is a new row in its `ROWS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wdsl.catalog.functions import (
    activations,
    algebra,
    arrangement,
    creation,
    elementwise,
    images,
    indexing,
    reduction,
    signals,
    windows,
)
from wdsl.catalog.model import TensorSpec
from wdsl.catalog.rows import Function

FAMILIES = (activations, elementwise, reduction, arrangement, indexing, algebra, images, windows, signals, creation)

FUNCTIONS: Mapping[str, Function] = MappingProxyType({row.name: row for family in FAMILIES for row in family.ROWS})
"""The functions of wiring, by the names that files use."""

_SYMBOLS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "floor_divide",
    "%": "mod",
    "**": "power",
    "@": "matmul",
}
OPERATORS: Mapping[str, Function] = MappingProxyType(
    {symbol: FUNCTIONS[name] for symbol, name in _SYMBOLS.items()} | {"unary -": FUNCTIONS["negative"]}
)
"""What the operators of wiring call. For two operands see `operate`."""


def operate(symbol: str, *operands: TensorSpec | float) -> TensorSpec:
    """The tensor that an operator gives: `operate("+", a, b)`, `operate("-", a)`."""
    if len(operands) == 1:
        output = OPERATORS[f"unary {symbol}"].infer({"x": operands[0]})
    else:
        output = OPERATORS[symbol].infer(dict(zip(("x1", "x2"), operands, strict=True)))
    assert isinstance(output, TensorSpec)
    return output
