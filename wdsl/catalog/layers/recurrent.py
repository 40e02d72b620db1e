"""Recurrent layers, whose weights belong to their cells, the cells, and `Bidirectional`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import compute_dtype, is_float
from wdsl.catalog.inner import infer_inner, inner_name, inside
from wdsl.catalog.model import CatalogError, Inferred, Shape, TensorSpec, Values, Weight
from wdsl.catalog.rows import Inner, Layer, LayerRule
from wdsl.catalog.shapes import (
    channels_first,
    each,
    image_axes,
    need_positive,
    need_rank,
    not_both,
    weight,
    window_length,
    window_phrase,
)

Sizes: TypeAlias = "int | tuple[Sizes, ...]"
"""How long the states of a cell are: that of the only one, or those of several, in lists as Keras has them."""

# --- cells ----------------------------------------------------------------------------------------


def _weights(layer: Layer, a: Values, features: int | None, below: str = "", holder: str = "") -> tuple[Weight, ...]:
    """The weights of a cell, with the gates side by side in them."""
    units, gates = a["units"], layer.family["gates"]
    wide = units if gates == 1 else units * gates
    # A GRU that resets after its product has a bias for each of the two kernels.
    bias = (2, wide) if a.get("reset_after") else (wide,)
    return (
        weight(a, "kernel", (features, wide), "kernel", path=f"{below}kernel", holder=holder),
        weight(a, "recurrent_kernel", (units, wide), "recurrent", path=f"{below}recurrent_kernel", holder=holder),
        *((weight(a, "bias", bias, "bias", path=f"{below}bias", holder=holder),) if a["use_bias"] else ()),
    )


def cell(layer: Layer, a: Values, call: Values) -> Inferred:
    """`SimpleRNNCell`, `GRUCell` and `LSTMCell`: one step, and the states after it."""
    x: TensorSpec = call[layer.call[0].name]
    need_rank(x.shape, 2, layer.name, "batch, features")
    if layer.name == "SimpleRNNCell" and 0 < a["dropout"] < 1 and not is_float(x.dtype):
        raise CatalogError(f"with `dropout`, `{layer.name}` does not take {x.dtype}", "dropout")
    weights = _weights(layer, a, x.shape[-1])
    sizes = _sizes(layer, a)
    _check_states(layer, sizes, call["states"], "states")
    output = TensorSpec((x.shape[0], a["units"]), compute_dtype(a))
    outputs = (output,) * (1 + len(list(_leaves(sizes))))
    return Inferred(outputs, weights, nested=not isinstance(call["states"], TensorSpec))


def stacked_cells(layer: Layer, a: Values, call: Values) -> Inferred:
    """`StackedRNNCells`: one step through several cells, each with states of its own."""
    need_rank(call["inputs"].shape, 2, layer.name, "batch, features")
    inferred = _steps(layer, "cells", a["cells"], call["inputs"])
    _check_states(layer, _sizes(layer, a), call["states"], "states")
    return inferred


def _steps(layer: Layer, argument: str, cells: Sequence[Inner], x: TensorSpec) -> Inferred:
    """What cells that are the elements of an argument give, the one's output being the next one's input."""
    if not cells:
        raise CatalogError(f"`{layer.name}` needs at least one cell", argument)
    weights: list[Weight] = []
    states: list[TensorSpec] = []
    for number, inner in enumerate(cells):
        inferred = _step(layer, f"{argument}[{number}]", inner, x, [cell])
        weights += (each.replace(name=f"{inner.name}.{each.name}") for each in inferred.weights)
        x, *more = inferred.output  # type: ignore[misc]
        states += more
    return Inferred((x, *states), tuple(weights), nested=True)


def _step(layer: Layer, argument: str, inner: Inner, x: TensorSpec, rules: Sequence[LayerRule]) -> Inferred:
    """What a cell that is an argument gives, with states that are its own."""
    if inner.row.rule not in rules:
        raise _no_cell(layer, inner, argument)
    for number, part in enumerate(inner.arguments.get("cells", ())):
        if part.row.rule is not cell:
            where = f"{argument}.cells[{number}]"
            raise _no_cell(inner.row, part, where)
    states = _states(_sizes(inner.row, inner.arguments), x)
    return infer_inner(layer, argument, inner, x, {"states": states if isinstance(states, tuple) else (states,)})


def _no_cell(layer: Layer, inner: Inner, argument: str) -> CatalogError:
    name = inner.row.name
    if inner.row.is_foreign:
        why = f"the states of `{name}` are not known: let the Python class hold the `{layer.name}` as well"
        return CatalogError(f"`{layer.name}` takes cells of Keras; {why}", argument)
    return CatalogError(f"`{layer.name}` takes cells, and `{name}` is none", argument)


def _states(sizes: Sizes, x: TensorSpec) -> Any:
    """States of these sizes, for the batch of a tensor."""
    if isinstance(sizes, tuple):
        return tuple(_states(size, x) for size in sizes)
    return TensorSpec((x.shape[0], sizes), x.dtype)


def _sizes(layer: Layer, a: Values) -> Sizes:
    """The sizes of the states of a cell, or of a recurrent layer, whose states are vectors."""
    match a.get("cells", a.get("cell")):
        case None:
            count = layer.family["states"]
            return a["units"] if count == 1 else (a["units"],) * count  # type: ignore[no-any-return]
        case Inner(row, arguments):
            return _sizes(row, arguments)
        case cells:
            return tuple(_sizes(inner.row, inner.arguments) for inner in cells)


def _leaves(sizes: Sizes) -> Iterator[int]:
    if isinstance(sizes, tuple):
        for size in sizes:
            yield from _leaves(size)
    else:
        yield sizes


def _check_states(layer: Layer, sizes: Sizes, given: Any, argument: str) -> None:
    """Refuses states of other sizes, and such that are nested in another way. One may stand alone or in a list."""
    shown = f"`{layer.name}` takes the states {_show_sizes(sizes)}"
    if isinstance(given, TensorSpec):
        if isinstance(sizes, tuple):
            raise CatalogError(f"{shown}, and this is one tensor", argument)
        if len(given.shape) != 2 or given.shape[1] not in (None, sizes):
            raise CatalogError(
                f"a state of `{layer.name}` is (batch, {sizes:d}), not {show_shape(given.shape)}", argument
            )
        return
    parts = sizes if isinstance(sizes, tuple) else (sizes,)
    if len(given) != len(parts):
        raise CatalogError(f"{shown}, not {len(given)}", argument)
    for part, state in zip(parts, given, strict=True):
        _check_states(layer, part, state, argument)


def _show_sizes(sizes: Sizes) -> str:
    """`[(batch, 3), (batch, 3)]`"""
    if isinstance(sizes, tuple):
        return f"[{', '.join(map(_show_sizes, sizes))}]"
    return f"(batch, {sizes:d})"


# --- layers over sequences ------------------------------------------------------------------------


def recurrent(layer: Layer, a: Values, call: Values) -> Inferred:
    """`SimpleRNN`, `GRU` and `LSTM`.

    `family`: `cell`, the path of the weights; `gates`, how many lie side by side in them; `states`, how many.
    """
    x: TensorSpec = call["sequences"]
    need_rank(x.shape, 3, layer.name, "batch, steps, features")
    weights = _weights(layer, a, x.shape[2], f"{layer.family['cell']}/", "cell")
    sizes = _sizes(layer, a)
    if call["initial_state"] is not None:
        _check_states(layer, sizes, call["initial_state"], "initial_state")
    return _sequence(a, x, (a["units"],), tuple((size,) for size in _leaves(sizes)), weights)


def rnn(layer: Layer, a: Values, call: Values) -> Inferred:
    """`RNN`: a cell, or a list of them, along the steps."""
    x: TensorSpec = call["sequences"]
    need_rank(x.shape, 3, layer.name, "batch, steps, features")
    step = TensorSpec((x.shape[0], *x.shape[2:]), x.dtype)
    if isinstance(a["cell"], Inner):
        inferred = _step(layer, "cell", a["cell"], step, [cell, stacked_cells])
    else:
        inferred = _steps(layer, "cell", a["cell"], step)
        below = (
            each.replace(
                path=f"stacked_rnn_cells/{each.path}", holder=inside("cell/cells", each.holder.split("/", 1)[1])
            )
            for each in inferred.weights
        )
        inferred = inferred.replace(weights=tuple(below))
    sizes = _sizes(layer, a)
    if call["initial_state"] is not None:
        _check_states(layer, sizes, call["initial_state"], "initial_state")
    output: TensorSpec = inferred.output[0]  # type: ignore[index]
    given = _sequence(a, x, output.shape[1:], tuple((size,) for size in _leaves(sizes)), inferred.weights)
    is_nested = isinstance(sizes, tuple) and any(isinstance(size, tuple) for size in sizes)
    return given.replace(nested=a["return_state"] and is_nested)


def convolutional_lstm(layer: Layer, a: Values, call: Values) -> Inferred:
    """`ConvLSTM1D` to `ConvLSTM3D`: an LSTM whose products are convolutions."""
    x: TensorSpec = call["sequences"]
    n: int = layer.family["rank"]
    first, filters = channels_first(a), a["filters"]
    axes = image_axes(n, first).replace("batch", "batch, steps").replace(", steps, steps", ", steps, places")
    need_rank(x.shape, n + 3, layer.name, axes)
    not_both(a, n)
    channels, spatial = (x.shape[2], x.shape[3:]) if first else (x.shape[-1], x.shape[2:-1])
    if channels is None or None in spatial:
        raise CatalogError(f"`{layer.name}` must know all sizes but the steps, and the input is {show_shape(x.shape)}")
    window, dilation = each(a["kernel_size"], n), each(a["dilation_rate"], n)
    padding = a["padding"].lower()
    sizes = tuple(
        window_length(size, length, stride, padding, rate)
        for size, length, stride, rate in zip(spatial, window, each(a["strides"], n), dilation, strict=True)
    )
    if padding == "valid":
        need_positive(sizes, x.shape, layer.name, window_phrase(window, dilation), "kernel_size")
    weights = (
        weight(a, "kernel", (*window, channels, filters * 4), "kernel", path="conv_lstm_cell/kernel", holder="cell"),
        weight(
            a,
            "recurrent_kernel",
            (*window, filters, filters * 4),
            "recurrent",
            path="conv_lstm_cell/recurrent_kernel",
            holder="cell",
        ),
        *(
            (weight(a, "bias", (filters * 4,), "bias", path="conv_lstm_cell/bias", holder="cell"),)
            if a["use_bias"]
            else ()
        ),
    )
    image = (filters, *sizes) if first else (*sizes, filters)
    if (given := call["initial_state"]) is not None:
        states = (given,) if isinstance(given, TensorSpec) else tuple(given)
        if len(states) != 2 or any(
            not isinstance(state, TensorSpec) or not _agree(state.shape[1:], image) for state in states
        ):
            raise CatalogError(f"`{layer.name}` takes two states {show_shape((None, *image))}", "initial_state")
    return _sequence(a, x, image, (image, image), weights)


def _agree(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(m is None or n is None or m == n for m, n in zip(one, other, strict=True))


def _sequence(
    a: Values, x: TensorSpec, output: Shape, states: tuple[Shape, ...], weights: tuple[Weight, ...]
) -> Inferred:
    """What a recurrent layer gives: its last output or all of them, and the last states if they are asked for."""
    batch, steps = x.shape[:2]
    if a["stateful"] and batch is None:
        raise CatalogError("with `stateful` the size of the batch must be known", "stateful")
    dtype = compute_dtype(a)
    spec = TensorSpec((batch, steps, *output) if a["return_sequences"] else (batch, *output), dtype)
    if not a["return_state"]:
        return Inferred(spec, weights)
    return Inferred((spec, *(TensorSpec((batch, *state), dtype) for state in states)), weights)


def bidirectional(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Bidirectional`: a recurrent layer, and the same or another one from the end to the beginning."""
    forward: Inner = a["layer"]
    backward: Inner | None = a["backward_layer"]
    _need_recurrent(layer, "layer", forward, call["initial_state"])
    if backward is None:
        goes_back = forward.replace(arguments={**forward.arguments, "go_backwards": True})
        if forward.arguments["go_backwards"]:
            raise CatalogError("`go_backwards` is what the second layer does, so the first one cannot", "layer")
        names = f"forward_{inner_name(forward)}", f"backward_{inner_name(forward)}"
    else:
        goes_back = backward
        _need_recurrent(layer, "backward_layer", backward, call["initial_state"])
        if backward.arguments["go_backwards"] == forward.arguments["go_backwards"]:
            raise CatalogError("one of `layer` and `backward_layer` must have `go_backwards=true`", "backward_layer")
        for name in ("stateful", "return_sequences", "return_state"):
            if backward.arguments.get(name, False) != forward.arguments.get(name, False):
                raise CatalogError(f"`layer` and `backward_layer` must have the same `{name}`", "backward_layer")
        names = f"forward_{inner_name(forward)}", inner_name(backward)
    x: TensorSpec = call["sequences"]
    halves: list[Any] = [None, None]
    if isinstance(given := call["initial_state"], TensorSpec):
        raise CatalogError(f"`{layer.name}` takes the states of both directions in a list", "initial_state")
    if given is not None:
        middle = len(given) // 2
        halves = [given[:middle], given[middle:]]
    one = infer_inner(layer, "layer", forward, x, {"initial_state": halves[0]})
    behind = "layer" if backward is None else "backward_layer"
    two = infer_inner(layer, behind, goes_back, x, {"initial_state": halves[1]})
    weights = (*_one_way(one.weights, "forward", names[0]), *_one_way(two.weights, "backward", names[1]))
    return _merged(a, one, two).replace(weights=weights)


def _need_recurrent(layer: Layer, argument: str, inner: Inner, initial_state: Any) -> None:
    if inner.row.is_foreign:
        if "go_backwards" not in inner.arguments:
            message = f"`{layer.name}` sets `go_backwards` of one of its layers: declare that argument of `{{}}`"
            raise CatalogError(message.format(inner.row.name), argument)
        if inner.arguments.get("return_state"):
            raise CatalogError(f"`{inner.row.name}` is declared to give one tensor, and no states", argument)
        if initial_state is not None:
            raise CatalogError(f"`{inner.row.name}` is declared to take one tensor, and no states", "initial_state")
    elif inner.row.rule not in (recurrent, rnn, convolutional_lstm):
        raise CatalogError(f"`{layer.name}` takes a recurrent layer, and `{inner.row.name}` is none", argument)


def _one_way(weights: Sequence[Weight], name: str, path: str) -> tuple[Weight, ...]:
    return tuple(
        each.replace(
            name=f"{name}.{each.name}",
            path=f"{path}/{each.path.partition('/')[2]}",
            holder=f"{name}_layer/{each.holder.partition('/')[2]}",
        )
        for each in weights
    )


def _merged(a: Values, one: Inferred, two: Inferred) -> Inferred:
    dtype = compute_dtype(a)
    outputs = one.output if isinstance(one.output, tuple) else (one.output,)
    backwards = two.output if isinstance(two.output, tuple) else (two.output,)
    output = outputs[0].replace(dtype=dtype)
    if backwards[0].shape != output.shape:
        shown = f"{show_shape(output.shape)} and {show_shape(backwards[0].shape)}"
        raise CatalogError(f"the two layers must give the same shape, not {shown}", "backward_layer")
    mode = a["merge_mode"]
    if mode == "concat":
        last = output.shape[-1]
        output = output.replace(shape=(*output.shape[:-1], None if last is None else last * 2))
    states = tuple(state.replace(dtype=dtype) for state in (*outputs[1:], *outputs[1:]))
    merged = (output, output) if mode is None else (output,)
    if len(merged) + len(states) == 1:
        return Inferred(output)
    return Inferred((*merged, *states), nested=one.nested)


# --- rows -----------------------------------------------------------------------------------------


def _variables() -> str:
    initial = {"kernel": "glorot_uniform", "recurrent": "orthogonal", "bias": "zeros"}
    return ", ".join(f"{name}_initializer: initializer = '{value}'" for name, value in initial.items())


_NAMES = ("kernel", "recurrent", "bias")
_REGULARIZERS = ", ".join(f"{name}_regularizer: optional regularizer = None" for name in _NAMES)
_CONSTRAINTS = ", ".join(f"{name}_constraint: optional constraint = None" for name in _NAMES)
_LIMITS = f"{_REGULARIZERS}, activity_regularizer: optional regularizer = None, {_CONSTRAINTS}"
_DROPOUT = "dropout: float = 0.0, recurrent_dropout: float = 0.0"
_FLAGS = (
    "return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False, stateful: bool = False"
)
_UNROLL = "unroll: bool = False"
_UNITS = "units: size, activation: optional activation = 'tanh'"
_GATED = f"{_UNITS}, recurrent_activation: optional activation = 'sigmoid', use_bias: bool = True, {_variables()}"
_SEED = "seed: optional int = None"
_CUDNN = "use_cudnn: bool or choice(auto) = 'auto'"
_STATES = "tensor or tensors or list(tensor or tensors)"
_CALL = f"sequences: tensor, initial_state: optional {_STATES} = None, mask: optional tensor = None"


def _row(name: str, signature: str, cell: str, gates: int, states: int) -> Layer:
    family = {"cell": cell, "gates": gates, "states": states}
    return Layer(name, signature, recurrent, "kernel", f"{_CALL}, training: optional bool = False", family=family)


def _cell(name: str, signature: str, gates: int, states: int, first: str = "inputs") -> Layer:
    call = f"{first}: tensor, states: tensor or tensors, training: optional bool = False"
    return Layer(name, signature, cell, "kernel", call, family={"gates": gates, "states": states})


def _convolutional(n: int) -> Layer:
    return Layer(
        f"ConvLSTM{n}D",
        f"filters: size, kernel_size: sizes({n}), strides: sizes({n}) = 1, padding: anycase(valid|same) = 'valid', "
        f"data_format: optional data_format = None, dilation_rate: sizes({n}) = 1, "
        "activation: optional activation = 'tanh', recurrent_activation: optional activation = 'sigmoid', "
        f"use_bias: bool = True, {_variables()}, unit_forget_bias: bool = True, {_LIMITS}, {_DROPOUT}, {_SEED}, "
        f"{_FLAGS}",
        convolutional_lstm,
        "kernel",
        f"{_CALL}, training: optional bool = False",
        family={"rank": n},
    )


ROWS = (
    _row(
        "SimpleRNN",
        f"{_UNITS}, use_bias: bool = True, {_variables()}, {_LIMITS}, {_DROPOUT}, {_FLAGS}, {_UNROLL}, {_SEED}",
        "simple_rnn_cell",
        1,
        1,
    ),
    _row(
        "GRU",
        f"{_GATED}, {_LIMITS}, {_DROPOUT}, {_SEED}, {_FLAGS}, {_UNROLL}, reset_after: bool = True, {_CUDNN}",
        "gru_cell",
        3,
        1,
    ),
    _row(
        "LSTM",
        f"{_GATED}, unit_forget_bias: bool = True, {_LIMITS}, {_DROPOUT}, {_SEED}, {_FLAGS}, {_UNROLL}, {_CUDNN}",
        "lstm_cell",
        4,
        2,
    ),
    *map(_convolutional, (1, 2, 3)),
    _cell(
        "SimpleRNNCell",
        f"{_UNITS}, use_bias: bool = True, {_variables()}, {_REGULARIZERS}, {_CONSTRAINTS}, {_DROPOUT}, {_SEED}",
        1,
        1,
        "sequence",
    ),
    _cell(
        "GRUCell",
        f"{_GATED}, {_REGULARIZERS}, {_CONSTRAINTS}, {_DROPOUT}, reset_after: bool = True, {_SEED}",
        3,
        1,
    ),
    _cell(
        "LSTMCell",
        f"{_GATED}, unit_forget_bias: bool = True, {_REGULARIZERS}, {_CONSTRAINTS}, {_DROPOUT}, {_SEED}",
        4,
        2,
    ),
    Layer(
        "StackedRNNCells",
        "cells: list(layer)",
        stacked_cells,
        call_signature=f"inputs: tensor, states: {_STATES}, training: optional bool = False",
    ),
    Layer(
        "RNN",
        f"cell: layer or list(layer), {_FLAGS}, {_UNROLL}, zero_output_for_mask: bool = False",
        rnn,
        call_signature=f"{_CALL}, training: optional bool = False",
        wraps="cell",
    ),
    Layer(
        "Bidirectional",
        "layer: layer, merge_mode: optional choice(concat|sum|mul|ave) = 'concat', weights: unset = None, "
        "backward_layer: optional layer = None",
        bidirectional,
        call_signature=f"{_CALL}, training: optional bool = None",
    ),
)
