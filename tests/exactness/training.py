"""Trains networks of annotated layers, takes them through files and copies, and counts what is not as annotated.

Weights are read from outside: the layers answer inputs that single out entries with them, in the way of execution in
which they were trained. `wdsl.effective_weights` must give the same, and is what annotations are held against: with
mixed precision, an answer is a weight that has been rounded.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import optimizers

import wdsl
from tests.exactness.annotations import (
    MECHANISMS,
    SEVERAL,
    Annotation,
    Array,
    annotations_of,
    compared,
    network_of,
    probes,
    weights_in,
)

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "SGD, momentum": lambda: optimizers.SGD(0.05, momentum=0.9),
    "SGD, Nesterov momentum": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: optimizers.Adam(0.01),
    "AdamW, weight decay": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "Adamax": lambda: optimizers.Adamax(0.01),
    "Nadam": lambda: optimizers.Nadam(0.01),
    "Adagrad": lambda: optimizers.Adagrad(0.05),
    "Adadelta": lambda: optimizers.Adadelta(1.0),
    "RMSprop, momentum, centered": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Ftrl": lambda: optimizers.Ftrl(0.05, l2_regularization_strength=0.01),
    "Lion": lambda: optimizers.Lion(0.01),
    "Lamb": lambda: optimizers.Lamb(0.01),
    "Adafactor": lambda: optimizers.Adafactor(0.01),
    "Muon": lambda: optimizers.Muon(0.01),
    "Adam, EMA": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "Adam, EMA put in every 3 steps": lambda: optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
    ),
    "Adam, gradients accumulated": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "Adam, clipped by value": lambda: optimizers.Adam(0.01, clipvalue=1e-4),
    "Adam, clipped by norm": lambda: optimizers.Adam(0.01, clipnorm=1e-3),
    "SGD, clipped by global norm": lambda: optimizers.SGD(0.5, global_clipnorm=1e-2),
    "SGD, in a loss-scale optimizer": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.05, momentum=0.9), initial_scale=2.0**10, dynamic_growth_steps=2
    ),
}

SOME = (
    "SGD, momentum",
    "AdamW, weight decay",
    "Lamb",
    "Adam, EMA",
    "Adam, gradients accumulated",
    "SGD, in a loss-scale optimizer",
)
"""Optimizers of each kind, for situations in which all of them would take too long."""

ROOTS = ("Adagrad", "Adadelta", "RMSprop")
"""Optimizers that divide by a root, which TensorFlow's graphs make one operation of."""

LIMITS = (
    ("Muon", "gradient", False, "Muon mixes the entries of a matrix"),
    ("Adafactor", "gradient", False, "Adafactor scales whole rows and columns"),
    ("Adafactor", "mask", False, "Adafactor divides zero by zero where a row and a column have no gradient"),
    ("AdamW", "gradient", True, "weight decay shrinks constants"),
    ("Ftrl", "gradient", False, "TensorFlow rounds powers at the end of an array otherwise; constants become zero"),
    *(
        (each, "gradient", False, "TensorFlow rounds 1 / √ at the end of an array otherwise, in graphs")
        for each in ROOTS
    ),
)
"""What docs/weights.md promises nothing of: an optimizer, a mechanism, whether constants only, and why."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

EXECUTIONS: dict[str, dict[str, bool]] = {
    "eager": {"run_eagerly": True, "jit_compile": False},
    "graph": {"run_eagerly": False, "jit_compile": False},
    "XLA": {"run_eagerly": False, "jit_compile": True},
}

TRAINED = (*(each for each in MECHANISMS if each != "initial"), SEVERAL)
"""The mechanisms that promise something of what has been trained."""

STEPS, BATCH = 5, 8
"""An odd number of steps: those of Lion are all of one size, and could lead back to the start."""

Answer = Callable[[list[Any]], Any]


class Network(NamedTuple):
    """A model with a layer for each annotation that goes with a mechanism."""

    mechanism: str
    precision: str
    step: int
    annotations: list[Annotation]
    model: Any


class Cell(NamedTuple):
    """One annotation in one situation: how many entries were compared, and how many are not as they should be."""

    part: str
    annotation: str
    mechanism: str
    precision: str
    execution: str
    optimizer: str
    limit: str
    entries: int
    violated: int


def network(mechanism: str, precision: str, step: int = 1) -> Network:
    chosen = annotations_of(mechanism, step)
    keras.utils.set_random_seed(11)
    with policy(precision):
        return Network(mechanism, precision, step, chosen, wdsl.loads(network_of(mechanism, chosen)).to_keras())


@contextlib.contextmanager
def policy(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def train(model: Any, seed: int = 5) -> None:
    rng = np.random.default_rng(seed)
    shapes = [each.shape[1:] for each in (*model.inputs, model.outputs[0])]
    *inputs, target = (rng.normal(size=(STEPS * BATCH, *shape)).astype("float32") for shape in shapes)
    model.fit(inputs, target, batch_size=BATCH, shuffle=False, verbose=0)


def compiled(made: Network, optimizer: str, execution: str) -> Any:
    made.model.compile(OPTIMIZERS[optimizer](), "mse", **EXECUTIONS[execution])
    return made.model


def answer_of(made: Network, answer: Answer) -> dict[str, Array]:
    """The weights, by layer, that a forward pass answers with."""
    return weights_in(np.asarray(answer([tf.constant(each) for each in probes()])), made.annotations)


def cells(made: Network, part: str, optimizer: str, execution: str, *answers: dict[str, Array]) -> Iterator[Cell]:
    """What there is to say of each annotation, if these are answers of the model."""
    effective = wdsl.effective_weights(made.model)
    for each in made.annotations:
        weights = {layer: effective[f"{layer}.{weight}"] for layer, (weight, _, _) in each.weights.items()}
        entries, violated = compared(each, weights)
        for answer in answers:
            for layer, weight in weights.items():
                entries += weight.size
                violated += int((weight.astype(answer[layer].dtype) != answer[layer]).sum())
        limit = limit_of(each, made.mechanism, optimizer)
        values = np.concatenate([array.ravel() for array in weights.values()])
        assert limit or len(np.unique(abs(values))) > each.distinct // 2, f"{each.name}: there is hardly anything left"
        yield Cell(part, each.name, made.mechanism, made.precision, execution, optimizer, limit, entries, violated)


def limit_of(annotation: Annotation, mechanism: str, optimizer: str) -> str:
    """Why nothing is promised, or nothing."""
    uses = [each for each in MECHANISMS if each == mechanism or f"via {each}" in annotation.statements]
    for name, limited, constants_only, why in LIMITS:
        if name in optimizer and limited in uses and ("fixed" in annotation.name or not constants_only):
            return why
    return ""


def trained(
    mechanism: str, precision: str, execution: str, chosen: Iterable[str] = OPTIMIZERS, step: int = 1
) -> Iterator[Cell]:
    """The annotations of a mechanism before training, and trained from there with each optimizer."""
    made = network(mechanism, precision, step)
    start, answer = made.model.get_weights(), made.model
    if execution != "eager":
        answer = tf.function(made.model, jit_compile=execution == "XLA")
    yield from cells(made, "before training", "", execution, answer_of(made, answer))
    before = wdsl.effective_weights(made.model)
    for optimizer in chosen if mechanism != "initial" else ():
        made.model.set_weights(start)
        train(compiled(made, optimizer, execution))
        after = wdsl.effective_weights(made.model)
        for each in made.annotations:
            names = [f"{layer}.{weight}" for layer, (weight, _, _) in each.weights.items()]
            changed = any((before[name] != after[name]).any() for name in names)
            assert changed == each.is_trained, f"{each.name}, {mechanism}, {optimizer}: it has changed: {changed}"
        yield from cells(made, "training", optimizer, execution, answer_of(made, answer))


# --- files and copies -----------------------------------------------------------------------------


def keras_file(made: Network, folder: Path) -> Any:
    made.model.save(folder / "model.keras")
    with policy(made.precision):  # by which Keras decides whether the loss is to be scaled
        return keras.models.load_model(folder / "model.keras")


def weights_file(made: Network, folder: Path) -> Any:
    made.model.save_weights(folder / "model.weights.h5")
    other = network(made.mechanism, made.precision, made.step).model
    other.load_weights(folder / "model.weights.h5")
    return other


def set_weights(made: Network, folder: Path) -> Any:
    other = network(made.mechanism, made.precision, made.step).model
    other.set_weights(made.model.get_weights())
    return other


def clone(made: Network, folder: Path) -> Any:
    other = keras.models.clone_model(made.model)
    other.set_weights(made.model.get_weights())
    return other


def checkpoint(made: Network, folder: Path) -> Any:
    tf.train.Checkpoint(model=made.model).write(str(folder / "checkpoint"))
    other = network(made.mechanism, made.precision, made.step).model
    tf.train.Checkpoint(model=other).read(str(folder / "checkpoint")).expect_partial()
    return other


COPIES: dict[str, Callable[[Network, Path], Any]] = {
    "`.keras`": keras_file,
    "`.weights.h5`": weights_file,
    "`get_weights`, `set_weights`": set_weights,
    "`clone_model`": clone,
    "`tf.train.Checkpoint`": checkpoint,
}


PARTS = (
    "before training",
    "`clone_model`, drawn anew",
    "training",
    *COPIES,
    "SavedModel",
    "`clone_model`, trained",
    "stop and resume",
    "two replicas",
)


def copied(mechanism: str, precision: str, optimizer: str, step: int = 1) -> Iterator[Cell]:
    """A trained network through files and copies: each answers as the network does, and goes on with training."""
    made = network(mechanism, precision, step)
    train(compiled(made, optimizer, "graph"))
    expected = answer_of(made, made.model)

    def found(part: str, model: Any, expected: dict[str, Array]) -> Iterator[Cell]:
        other = made._replace(model=model)
        yield from cells(other, part, optimizer, "graph", answer_of(other, model), expected)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copies = {part: copy(made, folder) for part, copy in COPIES.items()}
        for part, model in copies.items():
            yield from found(part, model, expected)
        made.model.export(folder / "exported", verbose=False)
        exported = tf.saved_model.load(str(folder / "exported"))
        yield from cells(made, "SavedModel", optimizer, "graph", answer_of(made, exported.serve))
    anew = made._replace(model=keras.models.clone_model(made.model))
    yield from cells(anew, "`clone_model`, drawn anew", "", "graph", answer_of(anew, anew.model))
    # The loaded model has the optimizer's state: it goes on as the model itself does.
    train(made.model, 6)
    train(copies["`.keras`"], 6)
    yield from found("stop and resume", copies["`.keras`"], answer_of(made, made.model))
    clone = made._replace(model=copies["`clone_model`"])
    train(compiled(clone, optimizer, "graph"))
    yield from cells(clone, "`clone_model`, trained", optimizer, "graph", answer_of(clone, clone.model))


# --- replicas -------------------------------------------------------------------------------------


def two_devices() -> None:
    """Let TensorFlow have two devices, before it does anything else."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@cache
def two_replicas() -> tf.distribute.Strategy:
    """One for the process: the collective operations of a second one would meet those of the first."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def replicated(mechanism: str, precision: str, chosen: Iterable[str] = OPTIMIZERS) -> Iterator[Cell]:
    """Networks trained on two replicas, each of which is asked."""
    strategy = two_replicas()
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        made = network(mechanism, precision)
    start = made.model.get_weights()
    for optimizer in chosen:
        with strategy.scope():
            made.model.set_weights(start)
            compiled(made, optimizer, "graph")
        train(made.model)
        inputs = [tf.constant(each) for each in probes()]
        answers = strategy.experimental_local_results(strategy.run(made.model, (inputs,)))
        each_answer = (weights_in(np.asarray(each), made.annotations) for each in answers)
        yield from cells(made, "two replicas", optimizer, "graph", *each_answer)
