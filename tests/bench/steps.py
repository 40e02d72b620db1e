"""One step of a model, to be timed: of Keras, and of PyTorch where it is there.

A step is the whole of `train_on_batch`, with Adam and the mean squared error: forward, backward, and the update of what
is stored. In inference it is `predict_on_batch`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import wdsl

MODES = ("graph", "XLA", "inference", "frozen")
"""How a step is taken; the last two are inference, with the model as it is and with what `wdsl.freeze` makes of it."""
RATE = 1e-4


@dataclass(frozen=True)
class Setting:
    """How a step is taken, and how many: `pairs` at most, and no more once `seconds` are over."""

    mode: str = "graph"
    batch: int = 64
    dtype: str = "float32"
    pairs: int = 25
    seconds: float = 1.5


@dataclass(frozen=True)
class Trial:
    """A function that takes one step, and how many numbers the model stores and trains."""

    step: Callable[[], object]
    stored: int


def examples(batch: int, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(batch, *shape)).astype("float32") for shape in (inputs, outputs))
    return x, y


def keras_trial(model: keras.Model, setting: Setting) -> Trial:
    x, y = examples(setting.batch, model.input_shape[1:], model.output_shape[1:])
    stored = sum(int(np.prod(each.shape)) for each in model.trainable_weights)
    if setting.mode == "frozen":
        model = wdsl.freeze(model)
    model.compile(keras.optimizers.Adam(RATE), "mse", jit_compile=setting.mode == "XLA")
    if setting.mode in ("inference", "frozen"):
        return Trial(lambda: model.predict_on_batch(x), stored)
    return Trial(lambda: model.train_on_batch(x, y), stored)


def torch_trial(n: int, is_symmetric: bool, setting: Setting) -> Trial:
    """PyTorch's `Linear`, eager, plain or with the `Symmetric` of its tutorial on parametrizations.

    Raises:
        ImportError: PyTorch is not there, or its libraries are not.
    """
    # Its threads sleep between steps, instead of taking the cores from the Keras step that comes next.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.filterwarnings("ignore", "CUDA initialization")
    import torch
    from torch.nn.utils import parametrize

    class Symmetric(torch.nn.Module):
        def forward(self, X: Any) -> Any:
            return X.triu() + X.triu(1).transpose(-1, -2)

    layer = torch.nn.Linear(n, n)
    if is_symmetric:
        parametrize.register_parametrization(layer, "weight", Symmetric())
    x, y = map(torch.from_numpy, examples(setting.batch, (n,), (n,)))
    adam = torch.optim.Adam(layer.parameters(), RATE)
    is_mixed = setting.dtype == "mixed_bfloat16"

    def forward() -> Any:
        with torch.autocast("cpu", torch.bfloat16) if is_mixed else nullcontext():
            return layer(x)

    def infer() -> object:
        with torch.inference_mode():
            return forward().float().numpy()

    def train() -> object:
        adam.zero_grad()
        loss = torch.nn.functional.mse_loss(forward().float(), y)
        loss.backward()
        adam.step()
        return loss.item()

    stored = sum(each.numel() for each in layer.parameters())
    return Trial(infer if setting.mode == "inference" else train, stored)
