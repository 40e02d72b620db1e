"""Which kernels are multiplied by without being made, found without Keras: a written module holds those products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wdsl.annotations.kinds import kind_of, meaning
from wdsl.annotations.meanings import Alike, Given, Mirrored, Untrained
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.core.sizes import Dim
from wdsl.network.graph import Layer, Network
from wdsl.weights.structures import Structure, Structures

if TYPE_CHECKING:
    from wdsl.structure import IndexMap
    from wdsl.structure.patterns import MatrixPattern

MOST, MOST_TO_NAME = 2**22, 2**24
"""Entries of a kernel above which none is solved to know for sure: in a build, and where it is asked for."""


class Realization(Record):
    """How a weight is computed at the sizes that the file gives.

    `pattern` is that by which it is multiplied, if it is not made, and `solved` the entries in which that was found.
    `varies` says that parameters can give other sizes or entries, `is_sure` that the pattern is the same at all sizes.
    A large weight that is made is `placed`, in these ways; with None, it is read entry by entry.
    """

    pattern: MatrixPattern | None
    solved: IndexMap | None
    varies: bool
    is_sure: bool
    placed: frozenset[str] | None


FEWEST_PLACED = 2**14
"""How many entries a weight has for which a gradient of its own is worth it."""

_SURE = frozenset({
    *(Mirrored((), sign) for sign in (1, -1)),
    *(Given(ex.Constant(0), (ex.Call(ex.Symbol(kind)),)) for kind in ("Diagonal", "Upper", "Lower")),
    *(Given(ex.Constant(0), (ex.Call(ex.Symbol(kind), (ex.Constant(0),)),)) for kind in ("Upper", "Lower")),
    *(Alike(groups) for groups in ((), *((ex.Call(ex.Symbol("Axis"), (ex.Constant(axis),)),) for axis in (0, 1)))),
})  # fmt: skip
"""What comes to the same pattern at all sizes."""


def realization(
    members: Iterable[Structure], network: Network, structures: Structures, is_made: bool = False
) -> Realization:
    """How the weights that one class is about are computed. `is_made`: also if they are multiplied by otherwise."""
    members = tuple(members)
    varies = len(members) > 1 or any(_varies(each, network) for each in members)
    is_sure = all(meaning(equation) in _SURE for each in members for equation in each.equations)
    pattern, solved = None, None
    ways: set[str] = set()
    is_placed = False
    for each in members:
        names = _fitting(_possible(each, structures), each)
        found, entries = _found(each, network, is_sure) if names else (None, None)
        if found and not pattern:
            pattern, solved = found, entries
        if each.size >= FEWEST_PLACED and (is_made or found is None):
            is_placed = True
            ways |= _ways(each, network)
    return Realization(pattern, solved, varies, is_sure, frozenset(ways) if is_placed else None)


def _found(structure: Structure, network: Network, is_sure: bool) -> tuple[MatrixPattern | None, IndexMap | None]:
    from wdsl.structure.patterns import pattern_of

    rows, columns = map(int, structure.weight.shape)
    if is_sure and rows == columns and rows % 512 == 0:
        rows = columns = 512  # for which it is the same
    if rows * columns > MOST_TO_NAME:
        return None, None
    solved = _solution(structure, network, (rows, columns))
    return pattern_of(solved), solved


def _ways(structure: Structure, network: Network) -> set[str]:
    """How entries are put where they stand, and their gradients read."""
    stored = [each for each in structure.equations if ex.Symbol("Via") not in ex.walk(each)]
    joins = [said for each in stored if not isinstance(said := meaning(each), Given | Untrained)]
    if not joins and structure.trained:
        return {"once", "written" if 4 * (structure.free or 0) <= 3 * structure.size else "read"}
    if all(isinstance(each, Mirrored) and not each.axes for each in joins):
        return {"few", "read"}
    if structure.size > MOST:
        return {"few", "many", "read"}
    solved = _solution(structure.replace(equations=tuple(stored)), network, tuple(map(int, structure.weight.shape)))
    return ways_of(solved.index) | ({"read"} if joins else set())


def ways_of(index: Any) -> set[str]:
    """How numbers are put where they stand by the number of each entry, as the runtime does it."""
    import numpy as np

    counts = np.unique(index[index >= 0], return_counts=True)[1]
    most = int(counts.max(initial=1))
    if most > 4 or most * counts.size > 2 * counts.sum():
        return {"many", "read"}
    return {"few" if most > 1 else "once", "written" if most == 1 and 4 * counts.size <= 3 * index.size else "read"}


def product(structure: Structure, network: Network, structures: Structures) -> str | None:
    """The name of the pattern by which the weight is multiplied, if it is not made, and not too large to know."""
    is_asked = structure.size <= MOST_TO_NAME and _fitting(_possible(structure, structures), structure)
    return _solved(structure, network) if is_asked else None


def _possible(structure: Structure, structures: Structures) -> dict[str, int]:
    """The patterns that the weight can have by its equations, each with the fewest entries for it."""
    if not structure.equations or not _is_kernel(structure) or len(structures.sharing(structure.owner)) > 1:
        return {}
    if any(_is_apart(each) for each in structure.equations):
        return {}
    return {name: fewest for each in structure.equations for name, fewest in kind_of(each).patterns.items()}


def _is_apart(equation: ex.Expression) -> bool:
    """Whether an equation holds by other means than by what is stored: such a kernel has no pattern."""
    if isinstance(equation, ex.Call) and equation.function == ex.Symbol("Via"):
        return True
    said = meaning(equation)
    return isinstance(said, Alike) and said.is_averaged


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
    from wdsl.structure.patterns import pattern_of

    found = pattern_of(_solution(structure, network, tuple(map(int, structure.weight.shape))))
    return type(found).__name__ if found else None


def _solution(structure: Structure, network: Network, shape: tuple[int, ...]) -> IndexMap:
    used = {name for each in structure.equations for name in ex.variables(each)}
    values = ((name, value) for name, value in network.values.items() if name in used)
    return _entries(structure.equations, tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in values), shape)


@lru_cache(maxsize=8)
def _entries(
    equations: tuple[ex.Expression, ...], values: tuple[tuple[str, Any], ...], shape: tuple[int, ...]
) -> IndexMap:
    """The entries, kept for other layers that say the same."""
    from wdsl.structure import index_map
    from wdsl.weights.entries import library

    return index_map([ex.evaluate(each, dict(values), library) for each in equations], shape)


def _is_kernel(structure: Structure) -> bool:
    """Whether the weight is the kernel of a `Dense`, or of one inside another layer."""
    if not isinstance(structure.layer, Layer) or structure.weight.name.split(".")[-1] != "kernel":
        return False
    return len(structure.weight.shape) == 2 and ex.Symbol("layers.Dense") in ex.walk(structure.layer.construct)
