"""Which kernels are multiplied by without being made, found without Keras: a written module holds those products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wdsl import expressions as ex
from wdsl.network.dimensions import Dim
from wdsl.network.graph import Layer, Network
from wdsl.weights.solve import Structure, Structures

if TYPE_CHECKING:
    from wdsl.patterns import MatrixPattern

FEWEST, MOST = 2**12, 2**22
"""Entries of a kernel below which no product is worth it, and above which none is solved here to know for sure."""

_WITHOUT = frozenset(map(ex.Symbol, ("Symmetric", "Skew", "Via", "Averaged", "Fixed")))
"""Equations with which no kernel has a pattern. Many are about large ones, whose entries need not be looked at."""


def products(network: Network, structures: Structures) -> frozenset[str]:
    """The patterns of the network's kernels that the runtime has a product for, by name.

    A size that is a parameter may be another one where the module is used: there, what is too small now counts too.
    """
    return frozenset(
        kind.__name__ for each in structures.weights for kind in _patterns(each, network, structures, for_any_size=True)
    )


def product(structure: Structure, network: Network, structures: Structures) -> str | None:
    """The name of the pattern by which the weight is multiplied, if it is not made, and not too large to know."""
    found = _patterns(structure, network, structures, for_any_size=False)
    return found[0].__name__ if len(found) == 1 else None


def _patterns(
    structure: Structure, network: Network, structures: Structures, for_any_size: bool
) -> tuple[type[MatrixPattern], ...]:
    """The one that the weight has, if any; all if it is too large to solve."""
    shape, equations = structure.weight.shape, structure.equations
    if not equations or not _is_kernel(structure) or len(structures.sharing(structure.owner)) > 1:
        return ()
    if any(part in _WITHOUT for each in equations for part in ex.walk(each)):
        return ()
    varies = any(isinstance(each, Dim) for each in shape) or any(
        ex.variables(each) & network.values.keys() for each in equations
    )
    is_any_size = for_any_size and varies
    if math.prod(shape) < FEWEST and not is_any_size:
        return ()
    from wdsl.patterns import MatrixPattern, pattern_of
    from wdsl.structure import index_map
    from wdsl.weights.entries import library

    if math.prod(shape) > MOST:
        return tuple(MatrixPattern.kinds.values())
    terms = [ex.evaluate(each, network.values, library) for each in equations]
    found = pattern_of(index_map(terms, tuple(map(int, shape))), is_any_size)
    return () if found is None else (type(found),)


def _is_kernel(structure: Structure) -> bool:
    """Whether the weight is the kernel of a `Dense`, or of one inside another layer."""
    if not isinstance(structure.layer, Layer) or structure.weight.name.split(".")[-1] != "kernel":
        return False
    return len(structure.weight.shape) == 2 and ex.Symbol("layers.Dense") in ex.walk(structure.layer.construct)
