"""Keras layers whose weights have structure.

`Structured` and `Wrapped` stand around any Keras layer and compute the weights that they are told about from their free
parameters; `Shared`, `Coupled` and `Constant` are tensors of the graph, for others to use, and `RandomNormal` and its
like are drawn in each call. Keras finds them in saved models once this is imported.
"""

from wdsl.runtime.coupled import Coupled, trained_and_frozen
from wdsl.runtime.expansion import Expansion, expansion_of
from wdsl.runtime.layers import Structured, Wrapped, has_structure
from wdsl.runtime.mechanisms import Averaged, Via
from wdsl.runtime.placement import Placement
from wdsl.runtime.random import RandomBernoulli, RandomNormal, RandomUniform
from wdsl.runtime.saving import OldLayer
from wdsl.runtime.shared import Constant, Shared
from wdsl.runtime.stand_ins import name_of, variable_at

__all__ = [
    "Averaged",
    "Constant",
    "Coupled",
    "Expansion",
    "OldLayer",
    "Placement",
    "RandomBernoulli",
    "RandomNormal",
    "RandomUniform",
    "Shared",
    "Structured",
    "Via",
    "Wrapped",
    "expansion_of",
    "has_structure",
    "name_of",
    "trained_and_frozen",
    "variable_at",
]
