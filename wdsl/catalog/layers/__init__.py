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
from wdsl.catalog.rows import Layer

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

_ROWS = {row.name: row for family in FAMILIES for row in family.ROWS}

_ALIASES = """
AvgPool1D=AveragePooling1D AvgPool2D=AveragePooling2D AvgPool3D=AveragePooling3D Convolution1D=Conv1D
Convolution1DTranspose=Conv1DTranspose Convolution2D=Conv2D Convolution2DTranspose=Conv2DTranspose
Convolution3D=Conv3D Convolution3DTranspose=Conv3DTranspose GlobalAvgPool1D=GlobalAveragePooling1D
GlobalAvgPool2D=GlobalAveragePooling2D GlobalAvgPool3D=GlobalAveragePooling3D GlobalMaxPool1D=GlobalMaxPooling1D
GlobalMaxPool2D=GlobalMaxPooling2D GlobalMaxPool3D=GlobalMaxPooling3D
MaxPool1D=MaxPooling1D MaxPool2D=MaxPooling2D MaxPool3D=MaxPooling3D SeparableConvolution1D=SeparableConv1D
SeparableConvolution2D=SeparableConv2D
"""

ALIASES: Mapping[str, str] = MappingProxyType(dict(pair.split("=") for pair in _ALIASES.split()))
"""Further names that Keras has for some layers."""

LAYERS: Mapping[str, Layer] = MappingProxyType(_ROWS | {alias: _ROWS[name] for alias, name in ALIASES.items()})
"""The layers by the names of their classes in `keras.layers`, aliases included."""
