"""Which kernels are multiplied by without being made, found without Keras: a written module holds those products."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wdsl.annotations.kinds import kind_of
from wdsl.core import expressions as ex
from wdsl.core.sizes import Dim
from wdsl.network.graph import Layer, Network
from wdsl.weights.structures import Structure, Structures

MOST, MOST_TO_NAME = 2**22, 2**24
"""Entries of a kernel above which none is solved to know for sure: in a build, and where it is asked for."""

_WITHOUT = frozenset(map(ex.Symbol, ("Via", "Averaged")))
"""Equations with which no kernel has a pattern."""


def products(network: Network, structures: Structures) -> frozenset[str]:
    """The patterns of the network's kernels that the runtime has a product for, by name.

    A size that is a parameter may be another one where the module is used. Then all count that it can come to.
    """
    found: set[str | None] = set()
    solved: dict[object, str | None] = {}  # a thousand layers that say the same are one
    for each in structures.weights:
        if not (possible := _possible(each, structures)):
            continue
        if _varies(each, network):
            found.update(possible)
        elif names := _fitting(possible, each):
            alike = each.equations, each.weight.shape
            if each.size <= MOST and alike not in solved:
                solved[alike] = _solved(each, network)
            found.update(names if each.size > MOST else [solved[alike]])
    return frozenset(name for name in found if name)


def product(structure: Structure, network: Network, structures: Structures) -> str | None:
    """The name of the pattern by which the weight is multiplied, if it is not made, and not too large to know."""
    is_asked = structure.size <= MOST_TO_NAME and _fitting(_possible(structure, structures), structure)
    return _solved(structure, network) if is_asked else None


def _possible(structure: Structure, structures: Structures) -> dict[str, int]:
    """The patterns that the weight can have by its equations, each with the fewest entries for it."""
    if not structure.equations or not _is_kernel(structure) or len(structures.sharing(structure.owner)) > 1:
        return {}
    parts = {part for each in structure.equations for part in ex.walk(each)}
    if parts & _WITHOUT:
        return {}
    return {name: fewest for each in structure.equations for name, fewest in kind_of(each).patterns.items()}


def _fitting(possible: Mapping[str, int], structure: Structure) -> list[str]:
    """Those of the patterns that have as many entries, and as many of them free."""
    rows, columns = map(int, structure.weight.shape) if possible else (0, 0)
    free = structure.free if structure.trained else None
    fits: Mapping[str, Callable[[int], bool]] = {
        "RepeatedRow": lambda free: free in (1, columns),
        "RepeatedColumn": lambda free: free == rows,
        "DiagonalAndRest": lambda free: free == 2,
        "CirculantMatrix": lambda free: free == rows,
        "ToeplitzMatrix": lambda free: free == rows + columns - 1,
        "BlockDiagonalMatrix": lambda free: free > 0 and rows * columns % free == 0,
    }
    large = [name for name, fewest in possible.items() if structure.size >= fewest]
    return [name for name in large if free is None or name not in fits or fits[name](free)]


def _varies(structure: Structure, network: Network) -> bool:
    """Whether a parameter of the network decides about the weight's entries."""
    is_size = any(isinstance(each, Dim) for each in structure.weight.shape)
    return is_size or any(ex.variables(each) & network.values.keys() for each in structure.equations)


def _solved(structure: Structure, network: Network) -> str | None:
    from wdsl.patterns import pattern_of
    from wdsl.structure import index_map
    from wdsl.weights.entries import library

    terms = [ex.evaluate(each, network.values, library) for each in structure.equations]
    found = pattern_of(index_map(terms, tuple(map(int, structure.weight.shape))))
    return type(found).__name__ if found else None


def _is_kernel(structure: Structure) -> bool:
    """Whether the weight is the kernel of a `Dense`, or of one inside another layer."""
    if not isinstance(structure.layer, Layer) or structure.weight.name.split(".")[-1] != "kernel":
        return False
    return len(structure.weight.shape) == 2 and ex.Symbol("layers.Dense") in ex.walk(structure.layer.construct)
