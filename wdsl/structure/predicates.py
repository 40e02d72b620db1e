"""Functions of an entry's indices, called once with symbols and kept as trees."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wdsl.structure.pieces import Part, Shape
from wdsl.structure.terms import Term


class Index(np.lib.mixins.NDArrayOperatorsMixin):
    """An index while a predicate is traced: operators on it write down a tree.

    A tree is a number, `("axis", n)`, `("size", n)`, or the name of an
    elementwise NumPy function followed by the trees of its arguments.
    """

    def __init__(self, *tree: Any) -> None:
        self.tree = tree

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        return Index(ufunc.__name__, *map(tree_of, inputs))

    def __bool__(self) -> bool:
        raise TypeError(
            "Write & | ~ for and, or, not, and (0 < i) & (i < 9) for 0 < i < 9: "
            "the predicate is evaluated for all entries at once."
        )


class Sizes:
    """The shape while a predicate is traced: `shape[0]` is a size to come."""

    def __getitem__(self, axis: int) -> Index:
        return Index("size", operator.index(axis))


def tree_of(value: Any) -> Any:
    """The tree of a traced value, checked."""
    if isinstance(value, Index):
        value = value.tree
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"{value!r} cannot stand in a predicate.")
    name, *arguments = value
    if name in ("axis", "size"):
        (axis,) = arguments
        return (name, operator.index(axis))
    function = vars(np).get(name) if isinstance(name, str) else None
    if (
        not isinstance(function, np.ufunc)
        or function.signature is not None
        or (function.nin, function.nout) != (len(arguments), 1)
    ):
        raise ValueError(f"{name!r} is not an elementwise function of NumPy.")
    return (name, *map(tree_of, arguments))


def evaluate(tree: Any, part: Part, shape: Shape) -> Any:
    """The value of a tree in a part of a shape, by broadcasting."""
    if not isinstance(tree, tuple):
        return tree
    name, *arguments = tree
    if name in ("axis", "size"):
        (axis,) = arguments
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"A predicate asks for axis {axis} of shape {shape}.")
        return np.ogrid[part][axis] if name == "axis" else shape[axis]
    return getattr(np, name)(*(evaluate(each, part, shape) for each in arguments))


@dataclass(frozen=True)
class Traced(Term):
    """A term that is a function of an entry's indices, such as a lambda.

    Its arguments are among `i j k l_ m`, the indices on axes 0 to 4, and
    `shape`. It is called once, with symbols, and kept as a tree.
    """

    function: Callable[..., Any] | tuple[Any, ...]

    def __post_init__(self) -> None:
        tree: Any = self.function
        if callable(tree):
            known: dict[str, Any] = {name: Index("axis", axis) for axis, name in enumerate(("i", "j", "k", "l_", "m"))}
            known["shape"] = Sizes()
            names = inspect.signature(tree).parameters
            if not known.keys() >= names.keys():
                raise ValueError(f"A predicate takes {', '.join(known)}, not {', '.join(names)}.")
            tree = tree(**{name: known[name] for name in names})
        object.__setattr__(self, "function", tree_of(tree))

    @classmethod
    def restore(cls, parts: list[Any]) -> Term:
        return cls(*parts)

    def values(self, part: Part, shape: Shape) -> Any:
        return evaluate(self.function, part, shape)
