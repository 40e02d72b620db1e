"""Which kernels are multiplied by without being made, found without Keras: a written module holds those products."""

from __future__ import annotations

from wdsl import expressions as ex
from wdsl.network.dimensions import Dim
from wdsl.network.graph import Layer, Network
from wdsl.weights.solve import Structure, Structures

FEWEST, MOST = 2**12, 2**22
"""Entries of a kernel below which no product is worth it, and above which none is solved here to know for sure."""

_WITHOUT = frozenset(map(ex.Symbol, ("Symmetric", "Skew", "Via", "Averaged", "Fixed")))
"""Equations with which no kernel has a pattern. Many are about large ones, whose entries need not be looked at."""


_COMES_TO = {
    "Equal": ("RepeatedRow", "RepeatedColumn", "DiagonalAndRest", "CirculantMatrix", "ToeplitzMatrix"),
    "Zero": ("BlockDiagonalMatrix", "BandMatrix"),
}
"""The patterns that a kernel with such an equation can have."""


def products(network: Network, structures: Structures) -> frozenset[str]:
    """The patterns of the network's kernels that the runtime has a product for, by name.

    A size that is a parameter may be another one where the module is used. Then all count that it can come to.
    """
    return frozenset(name for each in structures.weights for name in _patterns(each, network, structures))


def product(structure: Structure, network: Network, structures: Structures) -> str | None:
    """The name of the pattern by which the weight is multiplied, if it is not made, and not too large to know."""
    if not _patterns(structure, network, structures) or structure.size > MOST:
        return None
    return _solved(structure, network)


def _patterns(structure: Structure, network: Network, structures: Structures) -> tuple[str, ...]:
    shape, equations = structure.weight.shape, structure.equations
    if not equations or not _is_kernel(structure) or len(structures.sharing(structure.owner)) > 1:
        return ()
    parts = [part for each in equations for part in ex.walk(each)]
    if any(part in _WITHOUT for part in parts):
        return ()
    varies = any(isinstance(each, Dim) for each in shape)
    varies = varies or any(ex.variables(each) & network.values.keys() for each in equations)
    if varies or structure.size > MOST:
        return tuple(name for kind, names in _COMES_TO.items() if ex.Symbol(kind) in parts for name in names)
    found = _solved(structure, network) if structure.size >= FEWEST else None
    return (found,) if found else ()


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
