"""Which kernels are multiplied by without being made, found without Keras: a written module holds those products."""

from __future__ import annotations

from wdsl import expressions as ex
from wdsl.network.dimensions import Dim
from wdsl.network.graph import Layer, Network
from wdsl.weights.solve import Structure, Structures

FEWEST, MOST = 2**12, 2**22
"""Entries of a kernel below which no product is worth it, and above which none is solved here to know for sure."""

_WITHOUT = frozenset(map(ex.Symbol, ("Via", "Averaged", "Fixed")))
"""Equations with which no kernel has a pattern."""

_COMES_TO = {
    "Equal": ("RepeatedRow", "RepeatedColumn", "DiagonalAndRest", "CirculantMatrix", "ToeplitzMatrix"),
    "Zero": ("BlockDiagonalMatrix", "BandMatrix", "Halves"),
    "Symmetric": ("Halves",),
    "Skew": ("Halves",),
}
"""The patterns that a kernel with such an equation can have."""


def products(network: Network, structures: Structures) -> frozenset[str]:
    """The patterns of the network's kernels that the runtime has a product for, by name.

    A size that is a parameter may be another one where the module is used. Then all count that it can come to.
    """
    found: set[str | None] = set()
    for each in structures.weights:
        if possible := _possible(each, structures):
            found.update(possible if _varies(each, network) or each.size > MOST else [_solved(each, network)])
    return frozenset(name for name in found if name)


def product(structure: Structure, network: Network, structures: Structures) -> str | None:
    """The name of the pattern by which the weight is multiplied, if it is not made, and not too large to know."""
    is_asked = structure.size <= MOST and _possible(structure, structures)
    return _solved(structure, network) if is_asked else None


def _possible(structure: Structure, structures: Structures) -> list[str]:
    """The patterns that the weight can have, by its equations."""
    if not _is_kernel(structure) or len(structures.sharing(structure.owner)) > 1:
        return []
    parts = {part for each in structure.equations for part in ex.walk(each)}
    names = [name for kind, names in _COMES_TO.items() if ex.Symbol(kind) in parts for name in names]
    return [] if parts & _WITHOUT else names


def _varies(structure: Structure, network: Network) -> bool:
    """Whether a parameter of the network decides about the weight's entries."""
    is_size = any(isinstance(each, Dim) for each in structure.weight.shape)
    return is_size or any(ex.variables(each) & network.values.keys() for each in structure.equations)


def _solved(structure: Structure, network: Network) -> str | None:
    if structure.size < FEWEST:
        return None
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
