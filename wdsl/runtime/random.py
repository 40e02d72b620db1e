"""Tensors that are drawn anew in each call, in the shape of another one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from wdsl.runtime.saving import saved


class Random(keras.Layer):
    """What the classes below share.

    Called on a tensor, they draw one of its shape, from a generator of their own.

    Args:
        seed: A number, for the same draws from the same start; none takes one from
            Keras's global generator.
        training_only: Whether to give zeros in inference.
    """

    def __init__(self, seed: int | None = None, training_only: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.training_only = training_only
        self.seed_generator = keras.random.SeedGenerator(seed)

    def draw(self, shape: Any) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any, training: bool = False) -> Any:
        shape = ops.shape(inputs)
        if self.training_only and not training:
            return ops.zeros(shape, self.compute_dtype)
        return self.draw(shape)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor whose shape this is."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"seed": self.seed, "training_only": self.training_only}


@saved
class RandomNormal(Random):
    """Draws from a normal distribution with this mean and standard deviation."""

    def __init__(
        self,
        mean: float = 0.0,
        stddev: float = 1.0,
        seed: int | None = None,
        training_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, training_only, **kwargs)
        self.mean = mean
        self.stddev = stddev

    def draw(self, shape: Any) -> Any:
        return keras.random.normal(shape, self.mean, self.stddev, self.compute_dtype, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mean": self.mean, "stddev": self.stddev}


@saved
class RandomUniform(Random):
    """Draws numbers of at least `minval` and less than `maxval`, all alike."""

    def __init__(
        self,
        minval: float = 0.0,
        maxval: float = 1.0,
        seed: int | None = None,
        training_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, training_only, **kwargs)
        self.minval = minval
        self.maxval = maxval

    def draw(self, shape: Any) -> Any:
        return keras.random.uniform(shape, self.minval, self.maxval, self.compute_dtype, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"minval": self.minval, "maxval": self.maxval}


@saved
class RandomBernoulli(Random):
    """Draws ones with the probability `p`, and zeros else."""

    def __init__(self, p: float = 0.5, seed: int | None = None, training_only: bool = False, **kwargs: Any) -> None:
        super().__init__(seed, training_only, **kwargs)
        self.p = p

    def draw(self, shape: Any) -> Any:
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return ops.cast(drawn < self.p, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"p": self.p}
