"""Layers of Keras that a file cannot have, with what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CLASS = "write a class in Python, and name it with `extern`"
_TEXT = "a file has no tensors of text: turn text into numbers before the model, and give it those"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "Equalization": "Keras cannot put it into a model: apply it to the data, before",
        "FlaxLayer": _CLASS,
        "Input": "write `input x: [SIZE]`",
        "InputLayer": "write `input x: [SIZE]`",
        "InputSpec": "sizes are checked by what is written of them: `input x: [SIZE]`",
        "JaxLayer": _CLASS,
        "Lambda": "write what it computes, with operators and functions; if they do not suffice, " + _CLASS,
        "Layer": _CLASS,
        "MaxNumBoundingBoxes": "boxes belong to the data: apply it before the model",
        "Pipeline": "write one layer after the other: `x -> RandomFlip() -> RandomRotation(0.1)`",
        "StringLookup": _TEXT,
        "TFSMLayer": _CLASS,
        "TextVectorization": _TEXT,
        "TorchModuleWrapper": _CLASS,
        "Wrapper": "it is what `TimeDistributed` and others are made from: use one of them",
    }
)
"""What to do instead of each of the classes of `keras.layers` that there is no row for."""
