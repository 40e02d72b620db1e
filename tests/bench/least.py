"""What a step takes at the least, from what this machine can do: measured in the same run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.bench.models import nothing_row, plain_trial
from tests.bench.steps import RATE, Setting

AT_ONCE = 4
"""How many products are timed in one call, so that the call counts little."""


@dataclass(frozen=True)
class Speeds:
    """What this machine does at its best, in one mode, for one n, batch and dtype.

    Attributes:
        gflops: Of the step's products of matrices, in 10⁹ floating point operations per second; an addition and a
            multiplication are two.
        adam: Milliseconds for 10⁶ numbers in Keras's Adam. 0 in inference.
        nothing: Milliseconds of a whole step of a layer that adds a bias and has no kernel; the fastest, as all here.
        plain: Milliseconds of a whole step of the plain layer, which is the base of ratios.
        products: How many products with the kernel there are in a step: y = x W, and dW = xᵀ dy in training. The
            inputs have no gradient.
    """

    gflops: float
    adam: float
    nothing: float
    plain: float
    products: int


def least(speeds: Speeds, batch: int, multiplied: int, stored: int) -> float:
    """Milliseconds that a step takes at the least.

        nothing + products · 2 · batch · multiplied / (gflops · 10⁶) + stored / 10⁶ · adam

    It is no law: each part is taken at the best that TensorFlow and Keras's Adam do here, one after another, and
    making the kernel from what is stored is free.

    Args:
        speeds: Of the machine.
        batch: Rows of the inputs.
        multiplied: Entries of the kernel that a row is multiplied by: n² of a symmetric one, n(n + 1)/2 of a triangle.
        stored: Numbers that Adam updates.
    """
    flops = speeds.products * 2 * batch * multiplied
    return speeds.nothing + flops / (speeds.gflops * 1e6) + stored / 1e6 * speeds.adam


@cache
def measured_speeds(n: int, setting: Setting) -> Speeds:
    is_training = setting.mode in ("graph", "XLA")
    is_compiled = setting.mode == "XLA"
    products = 2 if is_training else 1
    flops = products * 2 * setting.batch * n * n
    return Speeds(
        gflops=flops / fastest(products_of(n, setting, is_training, is_compiled)) / 1e6 * AT_ONCE,
        adam=adam_rate(n * (n + 1) // 2, is_compiled) if is_training else 0.0,
        nothing=fastest(nothing_row(n).trial(setting).step),
        plain=fastest(plain_trial("Dense", n, setting).step),
        products=products,
    )


def products_of(n: int, setting: Setting, is_training: bool, is_compiled: bool) -> Callable[[], object]:
    dtype = keras.DTypePolicy(setting.dtype).compute_dtype
    random = np.random.default_rng(0)
    x, dy = (
        [tf.cast(random.normal(size=(setting.batch, n)), dtype) for _ in range(AT_ONCE)] for _ in ("inputs", "outputs")
    )
    w = tf.cast(random.normal(size=(n, n)), dtype)

    @tf.function(jit_compile=is_compiled)
    def all_products(x: list[Any], dy: list[Any], w: Any) -> list[Any]:
        forward = [tf.matmul(each, w) for each in x]
        if not is_training:
            return forward
        return forward + [tf.matmul(a, b, transpose_a=True) for a, b in zip(x, dy, strict=True)]

    return lambda: all_products(x, dy, w)


def adam_rate(numbers: int, is_compiled: bool) -> float:
    """Milliseconds for 10⁶ numbers: the update of so many, less the update of one. Variables are float32 always."""
    many, one = (fastest(adam_step(size, is_compiled)) for size in (numbers, 1))
    return max(many - one, 0.0) / numbers * 1e6


def adam_step(numbers: int, is_compiled: bool) -> Callable[[], object]:
    weight = keras.Variable(np.zeros(numbers, "float32"))
    gradient = tf.constant(np.random.default_rng(0).normal(size=numbers).astype("float32"))
    adam = keras.optimizers.Adam(RATE)
    adam.build([weight])

    @tf.function(jit_compile=is_compiled)
    def update(gradient: Any) -> None:
        adam.apply([gradient], [weight])

    return lambda: update(gradient)


def fastest(work: Callable[[], object], seconds: float = 0.3, least: int = 3) -> float:
    """Milliseconds of the fastest call within some seconds, of that many at the least."""
    timed(work), timed(work)
    found, begin = [], perf_counter()
    while len(found) < least or perf_counter() - begin < seconds:
        found.append(timed(work))
    return min(found)


def timed(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return (perf_counter() - begin) * 1000
