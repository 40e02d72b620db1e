"""The models whose steps are compared: kernels with structure, recipes that people copy, and PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import keras
import numpy as np

import wdsl
from tests.bench.steps import MODES, Setting, Trial, keras_trial, torch_trial

KERNELS: dict[str, float] = {
    "symmetric": 0.80,
    "skew": 0.80,
    "equal": 0.12,
    "equal[rows]": 0.12,
    "equal[columns]": 0.12,
    "equal[diagonal, not diagonal]": 0.12,
    "equal[by (j - i) % n]": 0.18,
    "equal[diagonals]": 0.25,
    "equal[antidiagonals]": 0.25,
    "zero[not blocks(128, 128)]": 0.20,
    "zero[not band(8, 8)]": 0.22,
    "zero[upper]": 0.65,
    "zero[where (i * 7919 + j * 104729) % 100 < 95]": 0.75,
    "zero[where (i * 7919 + j * 104729) % 100 < 50]": 1.05,
}
"""Annotations of the kernel of a `Dense`, and what a step may take of the plain layer's at n = 2048, in a graph."""

UNDER_XLA = {"symmetric": 1.00, "skew": 1.00}
AT_A_QUARTER = {"symmetric": 1.05, "skew": 1.05}
"""The same under XLA, and in a graph at a quarter of n, 512."""

GROWN = (
    "symmetric",
    "zero[upper]",
    "equal",
    "equal[diagonal, not diagonal]",
    "equal[by (j - i) % n]",
    "equal[diagonals]",
    "zero[not blocks(32, 32)]",
    "zero[not band(8, 8)]",
    "zero[where (i * 7919 + j * 104729) % 100 < 95]",
    "zero[where (i * 7919 + j * 104729) % 100 < 50]",
)
"""Kernels whose cost is shown over n; the blocks fit all n."""

GROWN_WITH_BATCH = ("symmetric", "zero[upper]", "equal", "equal[diagonals]", "zero[not blocks(32, 32)]", GROWN[-1])
"""Kernels whose cost is shown over the batch."""

NOTHING = "nothing (the bias alone)"


@dataclass(frozen=True)
class Row:
    """A model, and the plain one of `PLAIN` that its steps are divided by.

    `multiplied` is how many entries of its kernel a row of the inputs is multiplied by at the least, where that says
    what a step takes at the least; `goals` are for each mode, at n = 2048 and with a batch of 64.
    """

    trial: Callable[[Setting], Trial]
    plain: str
    n: int
    goals: dict[str, float] = field(default_factory=dict)
    multiplied: int | None = None
    modes: tuple[str, ...] = MODES


def of_keras(build: Callable[[], keras.Model], plain: str, n: int, **more: Any) -> Row:
    return Row(lambda setting: keras_trial(built(build, setting.dtype), setting), plain, n, **more)


@cache
def built(build: Callable[[], keras.Model], dtype: str) -> keras.Model:
    """The model, made once for all that is measured with it; compiling it again ends the steps of before."""
    keras.config.set_dtype_policy(dtype)
    return build()


@cache
def plain_trial(plain: str, n: int, setting: Setting) -> Trial:
    """A plain model's step. It is kept for the other rows of the same table."""
    keras.config.set_dtype_policy(setting.dtype)
    return keras_trial(PLAIN[plain](n), setting)


@cache
def kernel_row(annotation: str, n: int) -> Row:
    goals = {"graph": KERNELS[annotation]} if annotation in KERNELS else {}
    if annotation in UNDER_XLA:
        goals["XLA"] = UNDER_XLA[annotation]
    return of_keras(partial(with_kernel, annotation, n), "Dense", n, goals=goals, multiplied=multiplied(annotation, n))


def multiplied(annotation: str, n: int) -> int | None:
    """How many entries of an n × n kernel each row of inputs is multiplied by, where a product of matrices does it.

    A symmetric kernel has half the numbers, but all of the products. Zeros anywhere are multiplied as well: what
    passes over them does not run at the rate of a product of matrices.
    """
    if annotation in ("symmetric", "skew") or annotation.startswith("zero[where "):
        return n * n
    return n * (n + 1) // 2 if annotation == "zero[upper]" else None


@cache
def rows(n: int) -> dict[str, Row]:
    small = n // 4
    recipes = (SymmetricByAverage, SymmetricByIndices, Masked)
    untouched = ("graph", "XLA", "inference")
    return {
        NOTHING: nothing_row(n),
        **{name: kernel_row(name, n) for name in KERNELS},
        **{
            f"{name}, n = {small}": of_keras(
                partial(with_kernel, name, small),
                "Dense",
                small,
                goals={"graph": goal},
                multiplied=multiplied(name, small),
            )
            for name, goal in AT_A_QUARTER.items()
        },
        **{each.said: of_keras(partial(with_recipe, each, n), "Dense", n, modes=untouched) for each in recipes},
        "tie(e.kernel.T), autoencoder": of_keras(
            partial(autoencoder, n, True), "autoencoder", n, goals={"graph": 0.90}
        ),
        **{
            f"Conv2D(64, 3) {each}": of_keras(partial(convolution, n, each), "Conv2D", n, goals={"graph": 1.05})
            for each in ("equal[by i * 3 + j]", "zero[where i == j]", "symmetric(0, 1)")
        },
        **{
            f"LSTM(128), recurrent_kernel: {each}": of_keras(
                partial(recurrent, n, f"{{ recurrent_kernel: {each} }}"), "LSTM", n, goals={"graph": 1.10}
            )
            for each in ("equal[by (j - i) % 128]", "zero[where (i + j) % 2 == 0]")
        },
        # These come last, since importing PyTorch starts threads of its own.
        "torch, eager: Linear": Row(partial(torch_trial, n, False), "Dense", n, modes=("graph", "inference")),
        "torch, eager: parametrize, Symmetric": Row(
            partial(torch_trial, n, True), "Dense", n, modes=("graph", "inference")
        ),
    }


@cache
def nothing_row(n: int) -> Row:
    return of_keras(lambda: sequential((n,), Bias()), "Dense", n, modes=("graph", "XLA", "inference"))


# --- models ---------------------------------------------------------------------------------------


def annotated(shape: str, layer: str) -> keras.Model:
    return wdsl.loads(
        f"network Net {{\n    input x: {shape}\n    layer a = {layer}\n    output y = x -> a\n}}"
    ).to_keras()


def with_kernel(annotation: str, n: int) -> keras.Model:
    return annotated(f"[{n}]", f"Dense({n}) {annotation.replace('% n', f'% {n}')}")


def with_recipe(recipe: type[keras.Layer], n: int) -> keras.Model:
    return sequential((n,), recipe(n))


def sequential(shape: tuple[int, ...], *layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def convolution(_: int, annotation: str = "") -> keras.Model:
    return annotated("[32, 32, 64]", f'Conv2D(64, 3, padding="same") {annotation}')


def recurrent(_: int, annotation: str = "") -> keras.Model:
    return annotated("[128, 64]", f"LSTM(128, return_sequences=true) {annotation}")


def autoencoder(n: int, is_tied: bool = False) -> keras.Model:
    tie = "tie(e.kernel.T)" if is_tied else ""
    return wdsl.loads(f"""network Net {{
    input x: [{n}]
    layer e = Dense({n // 4}, activation=relu)
    layer d = Dense({n}) {tie}
    output y = x -> e -> d
}}""").to_keras()


PLAIN: dict[str, Callable[[int], keras.Model]] = {
    "Dense": lambda n: with_recipe(keras.layers.Dense, n),
    "Conv2D": convolution,
    "LSTM": recurrent,
    "autoencoder": autoencoder,
}
"""By n, which is the number of inputs and outputs; convolutions and LSTMs have sizes of their own."""


class Bias(keras.layers.Layer):
    """No kernel at all: what any layer with these inputs, outputs and bias takes."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.bias = self.add_weight(shape=input_shape[-1:], initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias


class SymmetricByAverage(keras.layers.Dense):
    """What is often written for a symmetric kernel: all of it is stored, and averaged with its transpose."""

    said = "(W + W.T) / 2"

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.ops.matmul(inputs, (self.kernel + keras.ops.transpose(self.kernel)) / 2) + self.bias


class SymmetricByIndices(keras.layers.Layer):
    """The packed triangle, repaired: the numbers are gathered, since they cannot be reshaped."""

    said = "packed triangle, gathered"

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        i, j = np.indices((self.units, self.units))
        low, high = np.minimum(i, j), np.maximum(i, j)
        self.places = (high * (high + 1) // 2 + low).astype("int32")
        self.packed = self.add_weight(shape=(self.units * (self.units + 1) // 2,), initializer="random_normal")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        packed = keras.ops.reshape(self.packed, (-1,))  # without this, Adam takes its slow path
        return keras.ops.matmul(inputs, keras.ops.take(packed, self.places)) + self.bias


class Masked(keras.layers.Dense):
    """What is often written for a kernel with zeros: all of it is stored, and half of it multiplied by zero."""

    said = "W * mask"

    def build(self, input_shape: tuple[int, ...]) -> None:
        super().build(input_shape)
        self.mask = np.triu(np.ones(self.kernel.shape, "float32"))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.ops.matmul(inputs, self.kernel * keras.ops.cast(self.mask, self.compute_dtype)) + self.bias
