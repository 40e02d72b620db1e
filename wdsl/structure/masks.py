"""Regions that a table marks, entry by entry."""

from __future__ import annotations

import base64
import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdsl.structure.pieces import Shape
from wdsl.structure.regions import Region
from wdsl.structure.terms import Term


@dataclass(frozen=True)
class Mask(Region):
    """The entries that a table marks: `Mask("wiring.csv", (2, 3), "011 100")`.

    The table is in the text, a 0 or 1 for each entry in C order; white space means
    nothing. The file is where it was read from, and need not be there.
    """

    file: str
    shape: Shape
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(map(operator.index, self.shape)))
        object.__setattr__(self, "text", "".join(str(self.text).split()))

    @classmethod
    def restore(cls, parts: list[Any]) -> Term:
        return cls(*parts)

    def mask(self, shape: Shape) -> np.ndarray:
        if tuple(shape) != self.shape:
            raise ValueError(f"The mask of {self.file!r} has shape {self.shape}, the weight {shape}.")
        return self.marks(math.prod(shape)).reshape(shape)

    def marks(self, size: int) -> np.ndarray:
        """True at the entries that are marked, of so many in C order."""
        if len(self.text) != size or not {*self.text} <= {*"01"}:
            raise ValueError(f"The mask of {self.file!r} is not {size} digits 0 or 1.")
        return np.frombuffer(self.text.encode(), np.uint8) == ord("1")


class PackedMask(Mask):
    """A mask whose text is in base 85: of the bytes of its bits, those that are not 0.

    Before them stands a bit for each byte, which says whether it is among them.
    """

    def marks(self, size: int) -> np.ndarray:
        length = -(-size // 8)
        head = -(-length // 8)
        try:
            data = np.frombuffer(base64.b85decode(self.text), np.uint8)
        except ValueError:
            raise ValueError(f"The mask of {self.file!r} is no base 85.") from None
        present = np.unpackbits(data[:head], count=length).astype(bool)
        if len(data) != head + present.sum():
            raise ValueError(f"The mask of {self.file!r} is not of {size} entries.")
        packed = np.zeros(length, np.uint8)
        packed[present] = data[head:]
        return np.unpackbits(packed, count=size).astype(bool)
