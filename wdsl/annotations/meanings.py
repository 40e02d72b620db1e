"""What annotations say of the entries of a weight, in the terms of linear algebra.

The runtime has a class for each annotation, and an equation constructs one: `Skew()`, `Fixed(1.0, Diagonal())`. Those
classes come down to few statements about entries, and whoever counts, solves or looks for patterns asks for these.
"""

from __future__ import annotations

from typing import TypeAlias

from wdsl.core import expressions as ex
from wdsl.core.record import Record, field


class Mirrored(Record):
    """Each entry is the one with two axes swapped, times `sign`. What is its own negative is zero."""

    axes: tuple[ex.Expression, ...]
    """Axes 0 and 1 if there are none."""
    sign: int


class Alike(Record):
    """The entries of each region, or of each group of a grouping, are one number.

    Without any, those are that no other annotation of the weight makes constant.
    """

    groups: tuple[ex.Expression, ...]
    is_averaged: bool = field(default=False, compare=False)
    """Whether it moves by the mean of its entries' gradients. What is equal does not depend on that."""


class Given(Record):
    """The entries of regions have a value; those of the whole weight if there are no regions."""

    value: ex.Expression
    regions: tuple[ex.Expression, ...]


class Tied(Record):
    """The weight, or a region of it in C order, equals a view of itself or of another weight, entry by entry."""

    view: ex.Expression
    """In methods of `VIEW`, as NumPy has them, or of a `View` with the other's name, and perhaps with a factor."""
    regions: tuple[ex.Expression, ...] = ()


VIEW = ex.Call(ex.Symbol("View"))
"""The weight itself."""


class Untrained(Record):
    """The entries stay what they are at the start."""


Meaning: TypeAlias = Mirrored | Alike | Given | Tied | Untrained


def joins(meaning: Meaning) -> bool:
    """Whether it makes entries equal to others, or to multiples of them."""
    return isinstance(meaning, Mirrored | Alike | Tied)


def makes_constants(meaning: Meaning) -> bool:
    """Whether an entry may be constant by it."""
    return isinstance(meaning, Given | Tied) or (isinstance(meaning, Mirrored) and meaning.sign < 0)
