"""What Keras offers, as data: the arguments, shape rules and weights of its layers and functions.

Nothing here imports Keras. That the rows say what Keras does is what the tests compare, row by row.
"""

from wdsl.catalog.argument_types import check, describe, show, show_shape
from wdsl.catalog.dtypes import DTYPES
from wdsl.catalog.functions import FUNCTIONS, OPERATORS, operate
from wdsl.catalog.functions.refused import REFUSED as REFUSED_FUNCTIONS
from wdsl.catalog.layers import ALIASES, LAYERS
from wdsl.catalog.layers.refused import REFUSED
from wdsl.catalog.model import REQUIRED, Argument, CatalogError, Constructed, Inferred, TensorSpec, Weight
from wdsl.catalog.registries import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from wdsl.catalog.rows import Class, Function, Inner, Layer

__all__ = [
    "ACTIVATIONS",
    "ALIASES",
    "CONSTRAINTS",
    "DTYPES",
    "FUNCTIONS",
    "INITIALIZERS",
    "LAYERS",
    "OPERATORS",
    "REFUSED",
    "REFUSED_FUNCTIONS",
    "REGULARIZERS",
    "REQUIRED",
    "Argument",
    "CatalogError",
    "Class",
    "Constructed",
    "Function",
    "Inferred",
    "Inner",
    "Layer",
    "TensorSpec",
    "Weight",
    "check",
    "describe",
    "operate",
    "show",
    "show_shape",
]
