"""Names: the words that an argument takes, and those that Keras gives by itself."""

from __future__ import annotations

import re

from wdsl.catalog.argument_types import alternatives
from wdsl.catalog.dtypes import DTYPES, POLICIES
from wdsl.catalog.registries import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS

_WORDS = {
    "activation": ACTIVATIONS,
    "initializer": frozenset(name for name, each in INITIALIZERS.items() if name[0].islower() and each.by_name),
    "regularizer": frozenset(name for name in REGULARIZERS if name[0].islower()),
    "constraint": frozenset(name for name in CONSTRAINTS if name[0].islower()),
    "dtype": frozenset(DTYPES),
    "policy": frozenset(POLICIES),
}


def words(argument_type: str) -> frozenset[str]:
    """The words that an argument of this type takes; empty where it takes no words, or any string."""
    found: set[str] = set()
    for name, parameters in alternatives(argument_type):
        found.update(parameters if name in ("choice", "anycase") else _WORDS.get(name, ()))
    return frozenset(found)


_OPERATIONS = {
    "activations.exponential": "exp",
    "activations.hard_swish": "hard_silu",
    "activations.relu": "ReLU",
    "activations.swish": "silu",
    "ops.abs": "absolute",
    "ops.cdist": "c_dist",
    "ops.image.extract_patches_3d": "extract_patches",
    "ops.isin": "is_in",
    "ops.layer_normalization": "layer_norm",
    "ops.rms_normalization": "rms_norm",
    "ops.searchsorted": "search_sorted",
    "ops.hard_swish": "hard_silu",
    "ops.swish": "silu",
}
"""Functions whose operation has another name than they."""


def keras_name(path: str) -> str:
    """The name that Keras gives to an unnamed layer of a class, or to the result of a function.

    `path` is the class, or the function's place below `keras.`. The name is made as
    `keras.src.utils.naming.to_snake_case` does; further ones get `_1`, `_2`, and so on behind it.
    """
    name = _OPERATIONS.get(path, path.rsplit(".", 1)[-1])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
