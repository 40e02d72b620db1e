"""What the entries of a weight have to do with each other.

A weight's structure is a list of equations, in any order: `[Symmetric(), Zero(Diagonal())]`. Regions such as
`Diagonal()` name entries. `index_map` solves the list: it numbers the free parameters and says which of them stands
behind each entry. NumPy is all that this needs.
"""

from wdsl.structure.equations import Equal, Equation, Fixed, Frozen, Skew, Symmetric, Tied, Zero
from wdsl.structure.groupings import Axis, By
from wdsl.structure.masks import Mask, PackedMask
from wdsl.structure.patterns import MatrixPattern, pattern_of
from wdsl.structure.pieces import Indices, Shape, index_type
from wdsl.structure.predicates import Index, Traced
from wdsl.structure.regions import At, Band, Blocks, Diagonal, Flat, Lower, Not, Region, Union, Upper, Where
from wdsl.structure.solution import IndexMap, index_map, numbered, union
from wdsl.structure.terms import Term, from_config, terms, to_config
from wdsl.structure.vectors import Same, Within, side_by_side, within
from wdsl.structure.views import VIEWS, Tie, View

__all__ = [
    "VIEWS",
    "At",
    "Axis",
    "Band",
    "Blocks",
    "By",
    "Diagonal",
    "Equal",
    "Equation",
    "Fixed",
    "Flat",
    "Frozen",
    "Index",
    "IndexMap",
    "Indices",
    "Lower",
    "Mask",
    "MatrixPattern",
    "Not",
    "PackedMask",
    "Region",
    "Same",
    "Shape",
    "Skew",
    "Symmetric",
    "Term",
    "Tie",
    "Tied",
    "Traced",
    "Union",
    "Upper",
    "View",
    "Where",
    "Within",
    "Zero",
    "from_config",
    "index_map",
    "index_type",
    "numbered",
    "pattern_of",
    "side_by_side",
    "terms",
    "to_config",
    "union",
    "within",
]
