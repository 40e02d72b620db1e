"""Recurrent layers, whose weights belong to their cell."""

from __future__ import annotations

from wdsl.catalog.argument_types import show_shape
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, Layer, TensorSpec, Values
from wdsl.catalog.shapes import need_rank, weight


def recurrent(layer: Layer, a: Values, call: Values) -> Inferred:
    """`SimpleRNN`, `GRU` and `LSTM`.

    `family`: `cell`, the path of the weights; `gates`, how many lie side by side in them; `states`, how many.
    """
    x: TensorSpec = call["sequences"]
    need_rank(x.shape, 3, layer.name, "batch, steps, features")
    batch, steps, features = x.shape
    units, cell, gates = a["units"], layer.family["cell"], layer.family["gates"]
    wide = units if gates == 1 else units * gates
    kernel = weight(a, "kernel", (features, wide), "kernel", path=f"{cell}/kernel")
    recurrent = weight(a, "recurrent_kernel", (units, wide), "recurrent", path=f"{cell}/recurrent_kernel")
    weights = [kernel, recurrent]
    if a["use_bias"]:
        # A GRU that resets after its product has a bias for each of the two kernels.
        shape = (2, wide) if a.get("reset_after") else (wide,)
        weights.append(weight(a, "bias", shape, "bias", path=f"{cell}/bias"))
    _check_states(layer, a, call)
    if a["stateful"] and batch is None:
        raise CatalogError("with `stateful` the size of the batch must be known", "stateful")
    dtype = compute_dtype(a)
    output = TensorSpec((batch, steps, units) if a["return_sequences"] else (batch, units), dtype)
    if not a["return_state"]:
        return Inferred(output, tuple(weights))
    state = TensorSpec((batch, units), dtype)
    return Inferred((output, *(state,) * layer.family["states"]), tuple(weights))


def _check_states(layer: Layer, a: Values, call: Values) -> None:
    given = call.get("initial_state")
    if given is None:
        return
    states = (given,) if isinstance(given, TensorSpec) else tuple(given)
    count: int = layer.family["states"]
    if len(states) != count:
        raise CatalogError(f"`{layer.name}` has {count} states, not {len(states)}", "initial_state")
    for state in states:
        if len(state.shape) != 2 or state.shape[1] not in (None, a["units"]):
            raise CatalogError(
                f"a state of `{layer.name}` is (batch, {a['units']:d}), not {show_shape(state.shape)}",
                "initial_state",
            )


def _variables() -> str:
    initial = {"kernel": "glorot_uniform", "recurrent": "orthogonal", "bias": "zeros"}
    return ", ".join(f"{name}_initializer: initializer = '{value}'" for name, value in initial.items())


def _limits() -> str:
    names = ("kernel", "recurrent", "bias")
    return ", ".join(
        (
            *(f"{name}_regularizer: optional regularizer = None" for name in names),
            "activity_regularizer: optional regularizer = None",
            *(f"{name}_constraint: optional constraint = None" for name in names),
        )
    )


_DROPOUT = "dropout: float = 0.0, recurrent_dropout: float = 0.0"
_FLAGS = (
    "return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False, "
    "stateful: bool = False, unroll: bool = False"
)
_UNITS = "units: size, activation: optional activation = 'tanh'"
_GATED = f"{_UNITS}, recurrent_activation: optional activation = 'sigmoid', use_bias: bool = True, {_variables()}"
_SEED = "seed: optional int = None"
_CUDNN = "use_cudnn: bool or choice(auto) = 'auto'"
_CALL = (
    "sequences: tensor, initial_state: optional tensor or tensors = None, mask: optional tensor = None, "
    "training: optional bool = False"
)


def _row(name: str, signature: str, cell: str, gates: int, states: int) -> Layer:
    family = {"cell": cell, "gates": gates, "states": states}
    return Layer(name, signature, recurrent, "kernel", _CALL, family=family)


ROWS = (
    _row(
        "SimpleRNN",
        f"{_UNITS}, use_bias: bool = True, {_variables()}, {_limits()}, {_DROPOUT}, {_FLAGS}, {_SEED}",
        "simple_rnn_cell",
        1,
        1,
    ),
    _row(
        "GRU",
        f"{_GATED}, {_limits()}, {_DROPOUT}, {_SEED}, {_FLAGS}, reset_after: bool = True, {_CUDNN}",
        "gru_cell",
        3,
        1,
    ),
    _row(
        "LSTM",
        f"{_GATED}, unit_forget_bias: bool = True, {_limits()}, {_DROPOUT}, {_SEED}, {_FLAGS}, {_CUDNN}",
        "lstm_cell",
        4,
        2,
    ),
)
