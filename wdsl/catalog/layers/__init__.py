"""The layers, a module for each family. A new layer is a new row in its family's `ROWS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wdsl.catalog.layers import (
    attention,
    convolution,
    core,
    images,
    merging,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    reshaping,
    wrappers,
)
from wdsl.catalog.model import Layer

FAMILIES = (
    core,
    convolution,
    pooling,
    reshaping,
    merging,
    normalization,
    recurrent,
    attention,
    wrappers,
    preprocessing,
    images,
)

LAYERS: Mapping[str, Layer] = MappingProxyType({row.name: row for family in FAMILIES for row in family.ROWS})
"""The layers by the names of their classes in `keras.layers`."""
