"""The catalogue against Keras itself: layers with arguments and inputs of all kinds.

What Keras makes of a symbolic input is what the catalogue must say without it: the shapes and dtypes of the
outputs, the weights, and whether it is taken at all.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import pytest
from hypothesis import currently_in_test_context, given, note
from hypothesis import strategies as st

from tests.drawn import examples
from wdsl.catalog import (
    LAYERS,
    Argument,
    CatalogError,
    Inferred,
    Inner,
    TensorSpec,
    check,
    operate,
)
from wdsl.catalog.argument_types import alternatives
from wdsl.catalog.layers import FAMILIES

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Arguments that the catalogue types more strictly than Keras, where what is more means nothing or fails
# when it is run. They are drawn right only.
STRICTER = {
    "lora_rank",  # 0 is taken for none
    "lora_alpha",
    "padding",  # of ZeroPadding: negative
    "dropout",  # of recurrent layers: anything, moved to between 0 and 1
    "interpolation",  # looked at when it is run
    "output_shape",
    "target_shape",
    "depth_multiplier",
    "num_classes",
    "num_bins",  # of HashedCrossing: none, which hold nothing
    "num_query_heads",  # of GroupQueryAttention: none, which attend to nothing
    "mode",  # of RandomFlip: anything, which flips nothing
    "indices_or_sections",
    "window",  # of `istft`
    "sequence_length",  # of MelSpectrogram: below 0, which is no length
    "min_freq",  # the same, no frequency
    "max_freq",
    "sampling_rate",  # of MelSpectrogram: 0
}


# --- what is drawn --------------------------------------------------------------------------------

SIZE = st.integers(1, 4)
AXIS = st.integers(-3, 3)
RIGHT: Mapping[str, st.SearchStrategy[Any]] = {
    "size": SIZE,
    "count": st.integers(0, 3),
    "int": st.integers(-2, 4),
    "axis": AXIS,
    "float": st.sampled_from([0.0, 0.5, 1, 2.5]),
    "nonnegative": st.sampled_from([0, 0.25, 3.0]),
    "positive": st.sampled_from([0.25, 3.0]),
    "fraction": st.sampled_from([0, 0.0, 0.5, 1]),
    "bool": st.booleans(),
    "str": st.sampled_from(["a", "b"]),
    "activation": st.sampled_from(["relu", "softmax", "linear"]),
    "initializer": st.sampled_from(["zeros", "glorot_uniform", "Ones"]),
    "regularizer": st.sampled_from(["l2", "L1"]),
    "constraint": st.sampled_from(["non_neg", "MaxNorm"]),
    "policy": st.sampled_from(["float16", "mixed_bfloat16", "mixed_float16", "float64", "int32", "uint8", "bool"]),
    "dtype": st.sampled_from(["float16", "int32", "bool", "float32", "int64"]),
    "axes": AXIS | st.lists(AXIS, min_size=1, max_size=2, unique=True),
    "no": st.just(False),
}
WRONG: Mapping[str, list[Any]] = {
    "size": [0, -1, "3", None],
    "count": [-1],
    "fraction": [-0.5, 1.5],
    "nonnegative": [-1.0],
    "activation": ["rleu"],
    "initializer": ["glorot"],
    "regularizer": ["l3"],
    "constraint": ["positive"],
    "choice": ["sideways"],
    "anycase": ["sideways"],
    "sizes": [0, [1], [1, 2, 3, 4], [0, 0], "same"],
    "counts": [-1, [1, 1, 1, 1]],
    "within": [-9.5, 9],
}


def right(type_: str) -> st.SearchStrategy[Any]:
    """Values of a type."""
    strategies = [_alternative(*part) for part in alternatives(type_)]
    return st.one_of(*strategies, *([st.none()] if type_.startswith("optional ") else []))


def _alternative(name: str, parameters: tuple[str, ...]) -> st.SearchStrategy[Any]:
    match name:
        case "sizes" | "counts":
            part = RIGHT[name.removesuffix("s")]
            n = int(parameters[0])
            return part | st.lists(part, min_size=n, max_size=n)
        case "within":
            least, most = map(float, parameters)
            return st.sampled_from([least, most, most / 2, int(most)]).filter(lambda value: value >= least)
        case "list" if not parameters:
            return st.lists(RIGHT["float"], min_size=1, max_size=3)
        case "list":
            n = int(parameters[1]) if len(parameters) > 1 else None
            return st.lists(right(parameters[0]), min_size=n or 0, max_size=n or 3)
        case "choice":
            return st.sampled_from(parameters)
        case "anycase":
            return st.sampled_from([*parameters, parameters[0].upper()])
    return RIGHT[name]


def one_of(draw: Draw, argument: Argument) -> Any:
    """A value for an argument: right as a rule, wrong at times."""
    kinds = [name for name, _ in alternatives(argument.type)]
    if argument.name not in STRICTER and draw(st.integers(0, 19)) == 0:
        wrong = [value for kind in kinds for value in WRONG.get(kind, []) if value is not None or argument.required]
        if wrong:
            return draw(st.sampled_from(wrong))
    return draw(right(argument.type))


DIMENSION = st.sampled_from([None, 1, 2, 3, 4, 5, 6, 8])
DTYPE = st.sampled_from(["float32"] * 6 + ["int32", "float16", "bool", "uint8", "int64"])


def tensor(draw: Draw, rank: int | None = None) -> TensorSpec:
    """An input: of `rank` axes as a rule, the batch unknown as a rule."""
    if rank is None or draw(st.integers(0, 14)) == 0:
        rank = draw(st.integers(0, 5))
    if rank == 0:
        return TensorSpec((), draw(DTYPE))
    batch = draw(st.sampled_from([None, None, None, 2]))
    return TensorSpec((batch, *(draw(DIMENSION) for _ in range(rank - 1))), draw(DTYPE))


def like(draw: Draw, x: TensorSpec) -> TensorSpec:
    """A tensor that differs from another in a size or two, or in its rank."""
    shape = list(x.shape)
    for axis in range(len(shape)):
        if draw(st.integers(0, 4)) == 0:
            shape[axis] = draw(st.sampled_from([None, 1, 2, 3]))
    if len(shape) > 1 and draw(st.integers(0, 7)) == 0:
        del shape[draw(st.integers(1, len(shape) - 1))]
    return TensorSpec(tuple(shape), draw(DTYPE))


# --- what the two make of it ----------------------------------------------------------------------


def symbolic(value: Any) -> Any:
    if isinstance(value, TensorSpec):
        return keras.KerasTensor(value.shape, value.dtype)
    return [symbolic(part) for part in value] if is_of_tensors(value) else value


def is_of_tensors(value: Any) -> bool:
    """Whether this is a list of tensors, or of such lists."""
    return isinstance(value, tuple) and bool(value) and (isinstance(value[0], TensorSpec) or is_of_tensors(value[0]))


def real(value: Any) -> Any:
    """Ones in place of each tensor, unknown sizes being 2."""
    if isinstance(value, TensorSpec):
        return keras.ops.ones([2 if size is None else size for size in value.shape], value.dtype)
    return [real(part) for part in value] if is_of_tensors(value) else value


def specs(output: Any) -> tuple[TensorSpec, ...]:
    parts = keras.tree.flatten(output)
    return tuple(TensorSpec(tuple(part.shape), keras.backend.standardize_dtype(part.dtype)) for part in parts)


def bound(arguments: tuple[Argument, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    return {argument.name: given.get(argument.name, argument.default) for argument in arguments}


def refusal(arguments: tuple[Argument, ...], values: Mapping[str, Any]) -> str | None:
    """What `check` has against the values."""
    for argument in arguments:
        value = values[argument.name]
        if message := check(argument, value):
            return message
        for inner in value if isinstance(value, tuple) else [value]:
            if isinstance(inner, Inner) and (message := refusal(inner.row.arguments, inner.arguments)):
                return message
    return None


def of_catalog(name: str, arguments: Mapping[str, Any], call: Mapping[str, Any]) -> Inferred | str:
    layer = LAYERS[name]
    values, inputs = bound(layer.arguments, arguments), bound(layer.call, call)
    message = refusal(layer.arguments, values) or refusal(layer.call, inputs)
    if message:
        return message
    try:
        return layer.infer(values, inputs)
    except CatalogError as error:
        culprit, message = error.argument, error.message
    assert culprit is None or re.split(r"[.\[]", culprit)[0] in {*values, *inputs}
    return message


def of_keras(
    name: str, arguments: Mapping[str, Any], call: Mapping[str, Any], tensors: Callable[[Any], Any] = symbolic
) -> Any:
    """The layer and its output, or the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            layer = getattr(keras.layers, name)(**{key: built(value) for key, value in arguments.items()})
            first, *others = (tensors(call[a.name]) for a in LAYERS[name].call if a.name in call)
            names = [a.name for a in LAYERS[name].call if a.name in call][1:]
            return layer, layer(first, **dict(zip(names, others, strict=True)))
        except Exception as error:  # whatever Keras raises is a refusal
            return error


def built(value: Any) -> Any:
    """A layer of Keras for each that is an argument."""
    if isinstance(value, Inner):
        defaults = {argument.name: argument.default for argument in value.row.arguments}
        given = {key: built(each) for key, each in value.arguments.items() if each != defaults[key]}
        return getattr(keras.layers, value.row.name)(**given, **({"name": value.name} if value.name else {}))
    return [built(part) for part in value] if isinstance(value, tuple) and value else value


def stricter(name: str, arguments: Mapping[str, Any], call: Mapping[str, Any]) -> bool:
    """Whether this is among what the catalogue may refuse and Keras not."""
    if "freeze nothing" in str(of_catalog(name, arguments, call)):
        return True  # It would train in a model, whatever the layer says of itself.
    if "`dtype` must be floating" in str(of_catalog(name, arguments, call)):
        return True  # Weights that are whole numbers cannot be trained, though zeros can be made of them.
    if name == "MultiHeadAttention":  # The axis of the heads, which the inputs do not have.
        axes = arguments.get("attention_axes")
        if axes is not None and len(call["query"].shape) in (axes if isinstance(axes, list) else [axes]):
            return True
    if name == "HashedCrossing" and "`activity_regularizer` must" in str(of_catalog(name, arguments, call)):
        return True  # Keras does not look at it here.
    if name == "SpectralNormalization" and arguments["layer"].arguments.get("lora_rank"):
        return True  # It fails when it trains.
    if LAYERS[name].rule.__name__ in {"cell", "stacked_cells"} and len(call[LAYERS[name].call[0].name].shape) != 2:
        return True  # One sample's features would go through the weights as a batch's.
    if LAYERS[name].rule.__name__ == "attention" and {len(x.shape) for x in call["inputs"]} != {3}:
        return True  # Samples would attend to one another, or broadcasting makes something of it.
    if LAYERS[name].rule.__name__ in {"image", "blur", "zoom", "resized"} and len(call["data"].shape) == 3:
        return True  # A single image, which no tensor of a model is.
    if name == "MelSpectrogram" and len(call["inputs"].shape) == 1:
        return True  # A single signal, as little.
    # What fails with real tensors, or gives others than Keras declares.
    declared, there = of_keras(name, arguments, call), of_keras(name, arguments, call, real)
    if isinstance(there, Exception):
        return True
    shapes = [[part.shape for part in keras.tree.flatten(output)] for _, output in (declared, there)]
    return len(shapes[0]) != len(shapes[1]) or any(
        len(a) != len(b) or any(m not in (None, n) for m, n in zip(a, b, strict=True))
        for a, b in zip(*shapes, strict=True)
    )


def compare(name: str, arguments: Mapping[str, Any], call: Mapping[str, Any]) -> None:
    ours, theirs = of_catalog(name, arguments, call), of_keras(name, arguments, call)
    if currently_in_test_context():
        note(f"{name}({arguments})({call})\n  catalogue: {ours}\n  Keras: {theirs!r}")
    if isinstance(ours, str):
        assert isinstance(theirs, Exception) or stricter(name, arguments, call)
        return
    assert not isinstance(theirs, Exception)
    layer, output = theirs
    outputs = ours.output if isinstance(ours.output, tuple) else (ours.output,)
    assert outputs == specs(output)
    is_nested = isinstance(output, (list, tuple)) and any(isinstance(part, (list, tuple)) for part in output)
    assert ours.nested or not is_nested
    below = len(layer.path or "") + 1
    trained = {id(w) for w in layer.trainable_weights}
    theirs = [(unnumbered(w.path[below:]), tuple(w.shape), id(w) in trained) for w in layer.weights]
    assert [(w.path, w.shape, w.trainable) for w in ours.weights] == theirs
    for weight, variable in zip(ours.weights, layer.weights, strict=True):
        holder = layer
        for step in filter(None, weight.holder.split("/")):
            holder = holder[int(step)] if step.isdigit() else getattr(holder, step)
        own = [*holder._trainable_variables, *holder._non_trainable_variables]
        name = weight.name.split(".")[-1]
        assert [v.name for v in own if v is variable] == [name]


def unnumbered(path: str) -> str:
    """A path without the numbers that Keras gives to layers of one class."""
    return re.sub(r"(?<!/cell)(?<!/cells)_\d+(?=/)", "", f"/{path}")[1:]


# --- layers ---------------------------------------------------------------------------------------


CELLS = ["SimpleRNNCell", "GRUCell", "LSTMCell"]
INSIDE: Mapping[str, list[str]] = {
    "RNN": [*CELLS * 2, "StackedRNNCells", "Dense"],
    "StackedRNNCells": [*CELLS * 4, "Dense"],
    "Bidirectional": [*["SimpleRNN", "GRU", "LSTM", "RNN", "ConvLSTM1D"] * 2, "Dense"],
    "TimeDistributed": [
        *("Dense", "Dense", "Conv1D", "LSTM", "Bidirectional", "BatchNormalization", "Embedding", "Flatten"),
        *("Dropout", "MultiHeadAttention", "Add", "RNN", "GlobalMaxPooling1D", "TimeDistributed", "Rescaling"),
    ],
    "SpectralNormalization": [*("Dense", "Conv1D", "Embedding", "DepthwiseConv1D", "Conv1DTranspose", "LSTM")],
}
"""What is drawn as an argument of layers around layers."""


def inner(draw: Draw, outer: str, name: str | None = None, depth: int = 0) -> Inner:
    row = LAYERS[draw(st.sampled_from(INSIDE[outer][: 6 if depth else None]))]
    arguments = arguments_of(draw, row.name, depth + 1)
    return Inner(row, bound(row.arguments, arguments), name)


def arguments_of(draw: Draw, name: str, depth: int = 0) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for argument in LAYERS[name].arguments:
        if argument.type == "unset" or argument.name in {"seed", "use_cudnn", "stateful"}:
            continue
        if argument.name == "autocast" and name in {*CELLS, "StackedRNNCells"}:
            continue  # Without, its states would have to be of its dtype.
        if depth and not argument.required and draw(st.integers(0, 2)):
            continue  # Within others fewer are given.
        kinds = argument.type.removeprefix("optional ").split(" or ")
        if "list(layer)" in kinds and ("layer" not in kinds or draw(st.booleans())):
            count = draw(st.sampled_from([1, 2, 2, 3]))
            each = f"{argument.name.removesuffix('s')}_"
            given[argument.name] = tuple(inner(draw, "StackedRNNCells", f"{each}{i}", depth) for i in range(count))
        elif "layer" in kinds:
            if argument.required or draw(st.integers(0, 4)) == 0:
                given[argument.name] = inner(draw, name, None if argument.required else argument.name, depth)
                if not argument.required and draw(st.booleans()):  # such that the two go together
                    first = given["layer"]
                    backwards = {**first.arguments, "go_backwards": not first.arguments.get("go_backwards")}
                    given[argument.name] = Inner(first.row, backwards, argument.name)
        elif argument.required or argument.name == "groups" or draw(st.integers(0, 2)) == 0:
            given[argument.name] = one_of(draw, argument)
    return given


RANKS = {
    "image": 4,
    "blur": 4,
    "zoom": 4,
    "resized": 4,
    "recurrent": 3,
    "rnn": 3,
    "cell": 2,
    "stacked_cells": 2,
    "stft_spectrogram": 3,
}
RANKS |= {"mel_spectrogram": 2, "attention": 3, "bidirectional": 3, "spectral_normalization": 3}


def call_of(draw: Draw, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    layer = LAYERS[name]
    rule = layer.rule.__name__
    rank = layer.family.get("rank")
    if rule == "convolutional_lstm":
        rank += 3
    elif rule != "unchanged" and rank is not None:
        rank += 2
    rank = RANKS.get(rule, rank)
    if rule == "bidirectional" and arguments["layer"].row.name == "ConvLSTM1D":
        rank = 4
    if rule == "time_distributed":
        rank = draw(st.sampled_from([3, 4, 4, 5]))
    first = tensor(draw, rank)
    if rule in {"hashing", "hashed_crossing", "integer_lookup"} and draw(st.integers(0, 3)):
        first = first.replace(dtype="int32")
    if rule == "hashed_crossing" and draw(st.integers(0, 3)):
        first = first.replace(shape=draw(st.sampled_from([(None,), (None, 1), (2, 1)])))
    call: dict[str, Any] = {layer.call[0].name: first}
    if layer.call[0].type == "tensors":
        pairs = {"Dot", "Subtract", "HashedCrossing"}
        further = st.sampled_from([1] * 8 + [0, 2] if name in pairs else [0, 1, 1, 2])
        others = [like(draw, first) for _ in range(draw(further))]
        if rule == "hashed_crossing" and draw(st.integers(0, 3)):
            others = [first for _ in others]
        return {"inputs": (first, *others)}
    if layer.call[1:] and layer.call[1].name == "states":
        batch = first.shape[0] if first.shape else None
        call["states"] = states(draw, name, arguments, batch)
    if name == "ReversibleEmbedding":
        call["reverse"] = draw(st.booleans())
    return call


def states(draw: Draw, name: str, arguments: Mapping[str, Any], batch: int | None) -> Any:
    """States for a cell, of its size as a rule."""
    if "cells" in arguments:
        return tuple(states(draw, each.row.name, each.arguments, batch) for each in arguments["cells"])
    units = arguments.get("units")
    units = units if isinstance(units, int) and draw(st.integers(0, 9)) else 3
    state = TensorSpec((batch, units))
    if name == "LSTMCell":
        return (state, state)
    return (state,) if draw(st.booleans()) else state


ORDINARY = {
    family.__name__.rpartition(".")[2]: [
        row.name for row in family.ROWS if row.name not in {"EinsumDense", "MultiHeadAttention", "GroupQueryAttention"}
    ]
    for family in FAMILIES
}


@pytest.mark.parametrize("family", ORDINARY)
def test_layers(family: str) -> None:
    @examples(150)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(ORDINARY[family]))
        arguments = arguments_of(data.draw, name)
        compare(name, arguments, call_of(data.draw, name, arguments))

    run()


FOUND: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("PReLU", {"shared_axes": 0}, {"inputs": TensorSpec((None, None))}),
    ("PReLU", {"shared_axes": [-2, 1]}, {"inputs": TensorSpec((None, 8, 4, 4, 5))}),
    ("PReLU", {"shared_axes": -1}, {"inputs": TensorSpec((None, 8))}),
    ("Dot", {"axes": -3}, {"inputs": (TensorSpec((None, None)),) * 2}),
    ("Dot", {"axes": -5}, {"inputs": (TensorSpec((None, 4, 3)), TensorSpec((None, 4)))}),
    ("Dot", {"axes": [-3, 1]}, {"inputs": (TensorSpec((None, 4)),) * 2}),
    ("MelSpectrogram", {"fft_length": 2, "sequence_length": 0}, {"inputs": TensorSpec((None, 9))}),
    (
        "MultiHeadAttention",
        {"num_heads": 1, "key_dim": 1, "flash_attention": True},
        {"query": TensorSpec((None, 3, 4)), "value": TensorSpec((None, 3, 4)), "return_attention_scores": True},
    ),
    ("CenterCrop", {"height": 1, "width": 0}, {"data": TensorSpec((None, None, 8, 3))}),
    ("Hashing", {"num_bins": 3, "salt": -1}, {"inputs": TensorSpec((None, 2), "int32")}),
    ("HashedCrossing", {"num_bins": 1, "activity_regularizer": "l3"}, {"inputs": (TensorSpec((None,), "int32"),) * 2}),
    ("RandomCrop", {"height": 1, "width": 0}, {"data": TensorSpec((None, None, None, None))}),
    ("RandAugment", {"num_ops": 0}, {"data": TensorSpec((None, 8, 8, 3))}),
    ("IntegerLookup", {"oov_token": 0, "vocabulary": [0, 0]}, {"inputs": TensorSpec((None, 2), "int32")}),
    ("IntegerLookup", {"vocabulary": [-1]}, {"inputs": TensorSpec((None, 2), "int32")}),
    ("HashedCrossing", {"num_bins": 1}, {"inputs": (TensorSpec((2, 1), "int32"), TensorSpec((None, 1), "uint8"))}),
    *(
        ("IntegerLookup", {"vocabulary": [1], "invert": invert}, {"inputs": TensorSpec((None, 2), dtype)})
        for dtype in ("float32", "float16", "bool", "uint8")
        for invert in (False, True)
    ),
]
"""What `make conformance` has found, with many times as many examples."""


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case[0])
def test_found(case: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    compare(*case)


LETTERS = st.text("abcde", min_size=1, max_size=3)
EQUATIONS = [
    ("ab,bc->ac", 2, 1),
    ("abc,cde->abde", 3, 3),
    ("...c,cde->...de", 2, 2),
    ("ab...,bc->ac...", 3, 1),
    ("ab,b->a", 2, 0),
    ("abc,bcd->abd", 3, 2),
]


@examples(150)
@given(st.data())
def test_einsum_dense(data: st.DataObject) -> None:
    draw = data.draw
    # Sizes that have to agree agree more often if there is little choice.
    size = draw(st.sampled_from([st.just(2), st.sampled_from([2, 3, None])]))
    if draw(st.integers(0, 3)):
        equation, axes, given = draw(st.sampled_from(EQUATIONS))
        rest = draw(st.lists(size, min_size=given, max_size=given))
        bias = draw(st.none() | st.sampled_from(equation.rpartition(">")[2].replace(".", "")[-2:]))
    else:
        dots = ["{},{}->{}", "...{},{}->...{}", "{}...,{}->{}...", "{},{}{}", "{}...,{}->...{}"]
        equation = draw(st.sampled_from(dots)).format(*(draw(LETTERS) for _ in range(3)))
        axes, rest = draw(st.integers(1, 4)), draw(st.lists(size, max_size=3))
        bias = draw(st.none() | LETTERS)
    axes += "..." in equation and draw(st.integers(0, 1))
    arguments = {"equation": equation, "output_shape": rest, "bias_axes": bias}
    arguments["lora_rank"] = draw(st.sampled_from([None, None, 2]))
    x = TensorSpec((None, *draw(st.lists(size, min_size=axes - 1, max_size=axes - 1))), draw(DTYPE))
    compare("EinsumDense", arguments, {"inputs": x})


@examples(120)
@given(st.data())
def test_attention(data: st.DataObject) -> None:
    draw = data.draw
    name = draw(st.sampled_from(["MultiHeadAttention", "GroupQueryAttention"]))
    rank = draw(st.sampled_from([3, 3, 4]))
    query = TensorSpec((None, *(draw(DIMENSION) for _ in range(rank - 2)), draw(st.sampled_from([4, 6, None]))))
    width = query.shape[-1] if name == "GroupQueryAttention" and draw(st.integers(0, 3)) else draw(SIZE)
    value = TensorSpec((None, *(draw(DIMENSION) for _ in range(rank - 2)), width), draw(DTYPE))
    key = draw(st.sampled_from([None, None, like(draw, value)]))
    call = {"query": query, "value": value} | ({} if key is None else {"key": key})
    for flag in ("return_attention_scores", "use_causal_mask"):
        if draw(st.booleans()):
            call[flag] = draw(st.booleans())
    compare(name, arguments_of(draw, name), call)


@examples(30)
@given(st.data())
def test_states(data: st.DataObject) -> None:
    draw = data.draw
    name = draw(st.sampled_from(["SimpleRNN", "GRU", "LSTM"]))
    units, batch = draw(SIZE), draw(st.sampled_from([None, 3]))
    states = (TensorSpec((batch, units)),) * (2 if name == "LSTM" else 1)
    initial = states[0] if len(states) == 1 and draw(st.booleans()) else states
    arguments = {"units": units, "return_state": draw(st.booleans()), "stateful": draw(st.booleans())}
    compare(name, arguments, {"sequences": TensorSpec((batch, 5, 2)), "initial_state": initial})


# --- sizes that remember where they come from -----------------------------------------------------


class Traced(int):
    """A whole number that carries the expression that it was computed by, as the elaborator's do."""

    expression: str

    def __new__(cls, value: int, expression: str) -> Traced:
        self = super().__new__(cls, value)
        self.expression = expression
        return self


def _traced(operation: Callable[[int, int], int], symbol: str, swapped: bool) -> Callable[[Traced, int], Traced]:
    def method(self: Traced, other: int) -> Traced:
        a, b = (other, self) if swapped else (self, other)
        return Traced(operation(int(a), int(b)), f"({trace(a)} {symbol} {trace(b)})")

    return method


for _name, _symbol in {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%"}.items():
    setattr(Traced, f"__{_name}__", _traced(getattr(int, f"__{_name}__"), _symbol, False))
    setattr(Traced, f"__r{_name}__", _traced(getattr(int, f"__{_name}__"), _symbol, True))


def trace(size: int | None) -> str:
    return size.expression if isinstance(size, Traced) else str(size)


def traced(name: str, arguments: Mapping[str, Any], *call: Any) -> Inferred:
    layer = LAYERS[name]
    inputs = {argument.name: value for argument, value in zip(layer.call, call, strict=False)}
    return layer.infer(bound(layer.arguments, arguments), bound(layer.call, inputs))


def test_sizes_keep_their_expressions() -> None:
    h, w, c, n = Traced(6, "h"), Traced(8, "w"), Traced(4, "c"), Traced(3, "n")
    image = TensorSpec((None, h, w, c))

    convolved = traced("Conv2D", {"filters": n, "kernel_size": 3, "strides": 2, "groups": 1}, image)
    assert [trace(size) for size in convolved.weights[0].shape] == ["3", "3", "c", "n"]
    assert isinstance(convolved.output, TensorSpec)
    assert [trace(size) for size in convolved.output.shape[1:]] == [
        "(((h - 3) // 2) + 1)",
        "(((w - 3) // 2) + 1)",
        "n",
    ]

    flat = traced("Flatten", {}, image).output
    assert isinstance(flat, TensorSpec)
    dense = traced("Dense", {"units": n}, flat)
    assert [trace(size) for size in dense.weights[0].shape] == ["((h * w) * c)", "n"]
    assert dense.weights[0].shape == (192, 3)

    recurrent = traced("LSTM", {"units": n}, TensorSpec((None, None, c)))
    assert [[trace(size) for size in w.shape] for w in recurrent.weights] == [
        ["c", "(n * 4)"],
        ["n", "(n * 4)"],
        ["(n * 4)"],
    ]
    embedded = traced("Embedding", {"input_dim": h, "output_dim": w}, TensorSpec((None, 5), "int32"))
    assert [trace(size) for size in embedded.weights[0].shape] == ["h", "w"]

    heads = traced("MultiHeadAttention", {"num_heads": n, "key_dim": w}, *[TensorSpec((None, 5, c))] * 2)
    assert [trace(size) for size in heads.weights[0].shape] == ["c", "n", "w"]
    merged = traced("Concatenate", {}, (TensorSpec((None, h)), TensorSpec((None, w)))).output
    assert isinstance(merged, TensorSpec)
    assert trace(merged.shape[1]) == "(h + w)"
    assert trace(operate("@", TensorSpec((None, h)), TensorSpec((h, w))).shape[1]) == "w"
