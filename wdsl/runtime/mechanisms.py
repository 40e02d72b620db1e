"""Equations that hold by other means than what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from wdsl.runtime.expansion import Expansion
from wdsl.structure.equations import Equal, Equation
from wdsl.structure.pieces import Indices, Merge, Shape
from wdsl.structure.solution import IndexMap, index_map


def with_gradient_of(value: Any, other: Any) -> Any:
    """The value, to the bit, with the gradient that something else has."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))


class Grouped:
    """Groups of theta's entries that equations make one, up to a factor, or constant.

    `at` is where in the weight each entry of theta stands first, `counts` how much it
    weighs in its group's mean.
    """

    def __init__(self, solved: IndexMap, at: Indices, counts: np.ndarray) -> None:
        index, self.size = solved.index.ravel()[at], solved.size
        self.is_live = index >= 0
        self.group = np.where(self.is_live, index, self.size)
        self.scale = 1.0 if solved.scale is None else solved.scale.ravel()[at]
        self.constant = 0.0 if solved.constant is None else solved.constant.ravel()[at]
        self.share = counts * self.scale / np.bincount(self.group, counts)[self.group]
        _, first, number = np.unique(self.group, return_index=True, return_inverse=True)
        self.leader = first[number]
        self.has_followers = bool(self.is_live[self.leader != np.arange(at.size)].any())

    def first(self, theta: Any) -> Any:
        """Theta with each group as its first entry says."""
        flat = ops.reshape(theta, (-1,))
        if self.has_followers:
            flat = ops.take(flat, self.leader, axis=0)
            flat = flat * ops.cast(self.scale, theta.dtype)
        return self.with_constants(flat, theta)

    def mean(self, theta: Any) -> Any:
        """Theta with each group as its entries say on average."""
        flat = self.means(ops.reshape(theta, (-1,)))
        return self.with_constants(flat * ops.cast(self.scale, theta.dtype), theta)

    def nearest(self, theta: Any) -> Any:
        """The same, to the bit as it was where it held already."""
        flat = ops.reshape(theta, (-1,))
        if self.has_followers:
            scale = ops.cast(self.scale, theta.dtype)
            first = ops.take(flat, self.leader, axis=0)
            flat = (first + self.means(flat - first * scale)) * scale
        return self.with_constants(flat, theta)

    def means(self, flat: Any) -> Any:
        """The mean of each entry's group."""
        parts = flat * ops.cast(self.share, flat.dtype)
        means = ops.segment_sum(parts, self.group, num_segments=self.size + 1)
        return ops.take(means, self.group, axis=0)

    def with_constants(self, flat: Any, theta: Any) -> Any:
        flat = ops.where(self.is_live, flat, ops.cast(self.constant, theta.dtype))
        return ops.reshape(flat, theta.shape)


class Enforced(Expansion):
    """An expansion with equations that hold by other means than what is stored."""

    def __init__(self, equations: Sequence[Equation], shape: Shape) -> None:
        self.equations = equations
        known = np.any([each.known(shape)[0] for each in equations], axis=0)
        by: dict[str, list[Equation]] = {}
        for each in equations:
            by.setdefault(getattr(each, "mechanism", "parameter"), []).append(each)
        stored = by.get("parameter", [])
        super().__init__(stored, shape, known)
        number, self.at = self.solved.index.ravel(), self.first_entries()
        counts = np.bincount(number[number >= 0], minlength=self.size)
        self.groups = {}
        for mechanism in ("mask", "constraint", "gradient"):
            if mechanism in by:
                # Each mechanism keeps what those before it do as well.
                stored = stored + by[mechanism]
                solved = index_map(stored, shape, known)
                weighs = counts if mechanism == "constraint" else np.ones_like(counts)
                self.groups[mechanism] = Grouped(solved, self.at, weighs)
        if "constraint" in self.groups:
            self.constraint = self.project
        averaged = np.zeros(self.size + 1, bool)
        for each in equations:
            if getattr(each, "takes_mean", False):
                for one, other, _ in each.merges(shape, known):
                    averaged[number[one]] = averaged[number[other]] = True
        self.divisors = np.where(averaged[:-1], counts, 1)

    def product(self) -> None:
        """None: what is stored is not what is multiplied by."""

    def expand(self, theta: Any) -> Any:
        theta = ops.convert_to_tensor(theta)
        if "gradient" in self.groups:
            theta = with_gradient_of(theta, self.groups["gradient"].mean(theta))
        if (self.divisors > 1).any():
            divisors = ops.cast(self.divisors, theta.dtype)
            theta = with_gradient_of(theta, theta / divisors)
        masked = self.masked(theta)
        if "constraint" in self.groups:
            # Keras puts averages of weights in place, and what is loaded or set,
            # without asking the constraint.
            masked = with_gradient_of(self.project(theta), masked)
        return super().expand(masked)

    def masked(self, theta: Any) -> Any:
        return self.groups["mask"].first(theta) if "mask" in self.groups else theta

    def project(self, theta: Any) -> Any:
        """What is nearest to theta and satisfies the equations `via constraint`."""
        return self.groups["constraint"].nearest(self.masked(theta))

    def reduce(self, *drawn: tuple[Any, Any]) -> Any:
        """What is stored of drawn weights, once all equations hold in them."""
        whole = Expansion(self.equations, self.shape)
        weight = whole.expand(whole.reduce(*drawn))
        if self.is_dense:
            return weight
        return ops.take(ops.reshape(weight, (-1,)), self.at, axis=0)


@dataclass(frozen=True)
class Via(Equation):
    """An equation that holds by a mechanism, instead of by what is stored.

    "mask": the weight in use satisfies it; what is stored need not.
    "constraint": so does what is stored, at first and after each optimizer step.
    "gradient": so it does at first, and gradients are such that it goes on.
    "initial": so it does at first.
    """

    mechanism: str
    equation: Equation
    expansion: ClassVar[type[Expansion]] = Enforced

    def __post_init__(self) -> None:
        if self.mechanism not in ("mask", "constraint", "gradient", "initial"):
            raise ValueError(f"There is no mechanism {self.mechanism!r}.")
        if self.equation.from_outside or not self.equation.is_trained:
            raise ValueError(f"{self.equation} cannot hold via {self.mechanism}.")

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        return self.equation.known(shape)

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        return self.equation.merges(shape, known)


class Averaged(Equal):
    """`Equal`, with the mean of the entries' gradients instead of their sum."""

    takes_mean: ClassVar[bool] = True
    expansion: ClassVar[type[Expansion]] = Enforced
