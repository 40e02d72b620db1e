"""The functions of wiring against Keras itself, with arguments and tensors of all kinds.

What Keras makes of symbolic tensors is what the catalogue must say without it: the shapes and dtypes of what comes
out, whether it is taken at all, and the name that the operation then has.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.drawn import examples
from tests.properties.test_catalog import (
    DTYPE,
    RIGHT,
    bound,
    like,
    one_of,
    real,
    refusal,
    specs,
    symbolic,
    tensor,
)
from wdsl.catalog import FUNCTIONS, OPERATORS, Argument, CatalogError, TensorSpec, operate
from wdsl.catalog.argument_types import alternatives
from wdsl.catalog.functions import FAMILIES, signals, windows
from wdsl.catalog.names import keras_name
from wdsl.catalog.versions import too_old

Draw = Callable[[st.SearchStrategy[Any]], Any]

# --- what is drawn --------------------------------------------------------------------------------

SMALL = st.sampled_from([2, 2, 2, 3, 3, None, 1])
SQUARE = frozenset(
    [
        "cholesky",
        "cholesky_inverse",
        "det",
        "logdet",
        "slogdet",
        "inv",
        "eigh",
        "solve",
        "solve_triangular",
        "qr",
        "svd",
        "lu_factor",
        "pinv",
        "matrix_rank",
    ]
)
IMAGES = frozenset(
    row.name for row in FUNCTIONS.values() if row.arguments[0].name == "images" or "block_size" in row.signature
)
WINDOWS = frozenset(row.name for row in windows.ROWS)
SIGNALS = frozenset(row.name for row in signals.ROWS)
NOTHING = object()
"""In place of the value of an argument: it is left out."""


def first_of(draw: Draw, name: str) -> TensorSpec:
    """The first tensor of a call: of a rank and of sizes with which the function can do something, as a rule."""
    if name in IMAGES:
        rank = draw(st.sampled_from([4, 4, 4, 3, 2]))
        sides = st.sampled_from([2, 4, 6, None])
        channels = draw(st.sampled_from([3, 1, 4, None]))
        shape = (
            (draw(st.sampled_from([None, 2])), draw(sides), draw(sides), channels)[4 - rank :] if rank > 2 else (2, 3)
        )
        if draw(st.booleans()):
            shape = (*shape[:-3], *shape[-1:], *shape[-3:-1])
        return TensorSpec(shape, draw(st.sampled_from(["float32", "float32", "uint8", "float16"])))
    if name in WINDOWS or name == "extract_patches_3d":
        return windowed(draw, name)
    if name in SIGNALS:
        rank = draw(st.sampled_from([2, 2, 3, 1]))
        shape = tuple(draw(st.sampled_from([2, 4, 5, 8, None])) for _ in range(rank))
        return TensorSpec(shape, draw(st.sampled_from(["float32"] * 4 + ["float64", "int32"])))
    if name in SQUARE:
        rank = draw(st.sampled_from([2, 2, 3, 1]))
        shape = tuple(draw(SMALL) for _ in range(rank))
        if rank > 1 and draw(st.integers(0, 3)):
            shape = (*shape[:-1], shape[-2])
        return TensorSpec(shape, draw(st.sampled_from(["float32", "float32", "float64"])))
    if "bitwise" in name or "shift" in name:
        return TensorSpec(tensor(draw, 2).shape, draw(st.sampled_from(["int32", "int32", "int8", "bool", "float32"])))
    if name in {"searchsorted", "diag", "diagflat", "dot_product_attention", "cross"}:
        rank = {"searchsorted": 1, "diag": draw(st.integers(0, 3)), "diagflat": 2, "dot_product_attention": 4}.get(
            name, 2
        )
        return TensorSpec(tuple(draw(SMALL) for _ in range(rank)), draw(DTYPE))
    if name == "rms_normalization":
        return tensor(draw, 2).replace(shape=(None, 3))
    return tensor(draw, draw(st.sampled_from([1, 2, 2, 3, 3, 4])))


def windowed(draw: Draw, name: str) -> TensorSpec:
    """Images, series or volumes."""
    if name == "unfold":
        return TensorSpec((None, draw(st.sampled_from([1, 3])), *(draw(st.sampled_from([4, 5, None])) for _ in "hw")))
    if name == "fold":
        return TensorSpec((None, draw(st.sampled_from([4, 8, 9, 3])), draw(st.sampled_from([1, 4, 9, 16, None]))))
    rank = draw(st.sampled_from([3, 4, 4, 4, 5, 2]))
    spatial = [draw(st.sampled_from([4, 5, 8, 1, None])) for _ in range(rank - 2)]
    channels = draw(st.sampled_from([2, 2, 4, 3, None]))
    shape = (None, channels, *spatial) if draw(st.integers(0, 4)) == 0 else (None, *spatial, channels)
    return TensorSpec(shape, draw(st.sampled_from(["float32"] * 6 + ["float16", "int32"])))


def kernel_for(draw: Draw, name: str, argument: str, x: TensorSpec) -> TensorSpec:
    n = len(x.shape) - 2
    sizes = tuple(draw(st.sampled_from([1, 2, 3])) for _ in range(n))
    first = x.shape[1] or 2
    channels = draw(st.sampled_from([x.shape[-1] or 2] * 6 + [first, first, 1]))
    filters = draw(st.sampled_from([4, 2, 3]))
    if argument == "pointwise_kernel":
        shape = (*(1,) * n, draw(st.sampled_from([4, 2, 8, 6])), filters)
    else:
        shape = (*sizes, filters, channels) if name == "conv_transpose" else (*sizes, channels, filters)
    shape = shape if draw(st.integers(0, 14)) else shape[1:]
    return TensorSpec(shape, draw(st.sampled_from([x.dtype] * 9 + ["float32"])))


def particular(draw: Draw, name: str, argument: str, x: TensorSpec) -> Any:
    """A value that an argument of this function needs for anything to come of it. None if it has no such needs."""
    rank = len(x.shape)
    known = [3 if size is None else size for size in x.shape]
    match name, argument:
        case "reshape", "newshape":
            return [-1, *[size for size in x.shape[1:] if size]] if draw(st.booleans()) else None
        case "transpose", "axes":
            return draw(st.permutations(range(rank))) if draw(st.integers(0, 4)) else None
        case "broadcast_to", "shape":
            more = draw(st.lists(SMALL.filter(bool), max_size=1))
            sizes = [draw(st.sampled_from([2, 3])) if size == 1 else size for size in known]
            return [*more, *sizes] if draw(st.integers(0, 4)) else [*sizes, 2]
        case "pad", "pad_width":
            pairs = draw(st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=2), min_size=rank, max_size=rank))
            return (
                pairs if pairs and draw(st.booleans()) else draw(st.sampled_from([1, [0, 1], [[1, 2]], [[1, 0]] * 5]))
            )
        case "repeat", "repeats":
            size = known[draw(st.integers(0, rank - 1))] if rank else 1
            return draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)) if draw(st.booleans()) else None
        case "quantile" | "nanquantile", "q":
            return draw(st.sampled_from([0.5, 0, 1, [0.25, 0.5], [0.75]]))
        case "norm", "ord":
            return draw(st.sampled_from([None, "fro", "nuc", 1, 2, 3, 0.5, -2]))
        case "percentile" | "nanpercentile", "q":
            return draw(st.sampled_from([50, 12.5, [0, 100], [25.0]]))
        case "slice", "shape":
            return [draw(st.sampled_from([-1, 1, 2])) for _ in range(rank)]
        case "slice" | "slice_update", "start_indices":
            return [draw(st.sampled_from([0, 0, 1])) for _ in range(draw(st.sampled_from([rank, rank, rank, 1])))]
        case "tensordot", "axes":
            pairs = st.tuples(RIGHT["axes"], RIGHT["axes"]).map(
                lambda pair: [each if isinstance(each, list) else [each] for each in pair]
            )
            return draw(st.sampled_from([0, 1, 1, 2]) | pairs)
        case "moveaxis", "destination" | "source":
            return draw(st.integers(-rank, rank)) if draw(st.booleans()) else None
        case "unstack", "num":
            return draw(st.sampled_from([NOTHING, NOTHING, 2]))
        case _, "sequence_length" | "sequence_stride":
            return draw(st.sampled_from([1, 2, 3]))
        case "top_k" | "in_top_k", "k":
            return draw(st.sampled_from([1, 1, 2, 3]))
        case "scatter", "shape":
            return [draw(st.sampled_from([4, 5]))]
        case "split" | "vsplit" | "hsplit" | "dsplit", "indices_or_sections":
            return draw(st.sampled_from([1, 2, 3, [1], [1, 2], [], [0, 2]]))
        case "where", "x1" | "x2":
            return draw(st.sampled_from([0.5, 2, like(draw, x), like(draw, x)]))
        case "extract_patches" | "extract_patches_3d", "size":
            return draw(st.sampled_from([1, 2, [2, 1, 1][: 3 if name.endswith("3d") else 2], 3]))
        case "array" | "convert_to_tensor", "x":
            written = [1, 0.5, True, [], [1, 2], [1, 2.5], [[1, 2, 3], [4, 5, 6]], [[0.5], [1]], [True, False], [[[2]]]]
            return draw(st.sampled_from([*written, [1, [2]], [[1], [2, 3]], [True, 1], [None], [3_000_000_000]]))
        case "arange", "stop" | "start" | "step":
            return draw(st.sampled_from([NOTHING, 5, 3, 2, -1, 0, -2] if argument == "step" else [0, 5, 9, -3, 1]))
        case "unfold" | "fold", "dilation" | "stride":
            return draw(st.sampled_from([1, 1, 2, [1, 2]]))
        case "conv_transpose", "output_padding":
            return draw(st.sampled_from([NOTHING, NOTHING, 0, 1, [0] * (len(x.shape) - 2)]))
        case _, "output_size" if name == "fold":
            return draw(st.sampled_from([3, 4, [3, 4], 5]))
        case _, "strides" | "dilation_rate" | "kernel_size" if name in WINDOWS:
            some = [1, 2] if argument != "kernel_size" else [2, 3, [2, 2], [1, 3]]
            n = len(x.shape) - 2
            return draw(st.sampled_from([*some, NOTHING, NOTHING, 1, [2] * n, [1] * (n + 1)]))
        case _, "fft_length" | "length":
            return draw(st.sampled_from([4, 4, 2, 3, 8, NOTHING if name != "stft" and name != "istft" else 4]))
        case "geomspace", "dtype":
            return draw(st.sampled_from([NOTHING, "float32", "float16"]))
        case "gaussian_blur", "kernel_size" | "sigma":
            return draw(st.sampled_from([[3, 3], [1, 5], [0.5, 2.0], NOTHING]))
        case "elastic_transform", "alpha" | "sigma":
            return draw(st.sampled_from([2.0, 1.0, NOTHING]))
        case _, "block_size":
            return draw(st.sampled_from([2, 2, 1, 3]))
    return None


def further(draw: Draw, name: str, argument: str, x: TensorSpec) -> TensorSpec:
    """A tensor beside the first one."""
    match name, argument:
        case _, "kernel" | "depthwise_kernel" | "pointwise_kernel":
            return kernel_for(draw, name, argument, x)
        case _, "transform" | "start_points" | "end_points":
            rest = (8,) if argument == "transform" else (4, 2)
            batch = x.shape[:1] if len(x.shape) == 4 or draw(st.integers(0, 5)) == 0 else ()
            return TensorSpec((*batch, *rest) if draw(st.integers(0, 9)) else (*batch, 3), "float32")
        case "map_coordinates", _:
            return TensorSpec((len(x.shape) if draw(st.integers(0, 4)) else 2, *draw(st.sampled_from([(4,), (2, 3)]))))
        case "gcd" | "lcm" | "isin", _:
            return like(draw, x).replace(dtype=draw(st.sampled_from([x.dtype, x.dtype, "int32"])))
        case _, "indices" if name in {"take", "take_along_axis"}:
            rank = len(x.shape) if name == "take_along_axis" else 2
            shape = x.shape if draw(st.integers(0, 2)) else like(draw, x).shape
            return TensorSpec(shape[:rank], "int32")
        case _, "segment_ids":
            return TensorSpec(x.shape[: draw(st.sampled_from([1, 1, 1, 2]))], "int32")
        case "average", "weights":
            size = [x.shape[draw(st.integers(0, len(x.shape) - 1))]] if x.shape else []
            return TensorSpec(draw(st.sampled_from([x.shape, tuple(size)])), draw(DTYPE))
        case "dot_product_attention", "bias" | "mask":
            sizes = (x.shape[0], x.shape[2], x.shape[1], x.shape[1]) if len(x.shape) == 4 else ()
            return TensorSpec(sizes, "bool" if argument == "mask" else "float32")
        case "layer_normalization" | "rms_normalization", "gamma" | "beta" | "scale":
            return TensorSpec(x.shape[-1:])
        case "matmul" | "dot", "x2" if draw(st.booleans()):
            return TensorSpec((*x.shape[:-2], *x.shape[-2:][::-1]), draw(DTYPE))
        case "solve" | "solve_triangular", "b":
            return TensorSpec((x.shape, x.shape[:-1], (*x.shape[:-1], 2), (3,))[draw(st.integers(0, 3))], x.dtype)
        case "scatter", "indices":
            return TensorSpec((2, 1), "int32")
        case "scatter", "values":
            return TensorSpec((2,), draw(DTYPE))
        case "scatter_update", "indices":
            return TensorSpec((2, len(x.shape)), "int32")
        case "scatter_update", "updates":
            return TensorSpec((2,), x.dtype)
        case "in_top_k", "predictions":
            return TensorSpec((*x.shape[:1], 3))
        case _, "y" if "bitwise" in name or "shift" in name:
            return like(draw, x).replace(dtype=draw(st.sampled_from(["int32", "uint8"])))
        case "dot_product_attention", "key" | "value":
            return TensorSpec(tuple(3 if draw(st.integers(0, 9)) == 0 else size for size in x.shape), draw(DTYPE))
    return like(draw, x)


def given_to(draw: Draw, name: str) -> dict[str, Any]:
    """Arguments for a function, its tensors of shapes that go together as a rule."""
    x = first_of(draw, name)
    if name == "in_top_k":
        x = TensorSpec(x.shape[:1], "int32")
    values: dict[str, Any] = {}
    if name in {"pad_images", "crop_images"}:
        sides = {"top_": "bottom_", "left_": "right_"}
        targets = dict(zip(sides, ("target_height", "target_width"), strict=True))
        for before, behind in sides.items():
            three = [before + name[:-7] + "ing", behind + name[:-7] + "ing", targets[before]]
            three = [each.replace("croping", "cropping").replace("pading", "padding") for each in three]
            count = draw(st.sampled_from([2, 2, 2, 2, 2, 1, 3]))
            for each in draw(st.permutations(three))[:count]:
                values[each] = draw(st.sampled_from([4, 8] if "target" in each else [0, 1, 2]))
        return {"images": x, **values, "data_format": draw(st.sampled_from(["channels_last", "channels_first"]))}
    number = draw(st.sampled_from(["x1", "x2", "y", None, None]))
    for argument in FUNCTIONS[name].arguments:
        kinds = {kind for kind, _ in alternatives(argument.type)}
        if argument.type == "unset":
            continue
        if "list(tensor" in argument.type:
            values[argument.name] = (x, x if draw(st.integers(0, 5)) else like(draw, x))
            continue
        value = particular(draw, name, argument.name, x)
        if value is NOTHING:
            continue
        if value is not None:
            values[argument.name] = value
        elif "tensors" in kinds:
            count = len(values["condlist"]) if "condlist" in values else draw(st.integers(1, 3))
            values[argument.name] = (x, *(like(draw, x) for _ in range(count - 1)))
        elif {"tensor", "float"} <= kinds or {"tensor", "int"} == kinds:
            plain = argument.name == number
            values[argument.name] = (
                draw(RIGHT["int" if "int" in kinds else "float"]) if plain else further(draw, name, argument.name, x)
            )
        elif kinds == {"tensor"}:
            if argument.required or draw(st.booleans()):
                values[argument.name] = x if not values else further(draw, name, argument.name, x)
        elif "tensor" in kinds and draw(st.booleans()):
            values[argument.name] = further(draw, name, argument.name, x)
        elif argument.required or draw(st.booleans()):
            plain_argument = Argument(argument.name, argument.type.replace(" or tensor", ""), argument.default)
            values[argument.name] = one_of(draw, plain_argument)
    return values


# --- what the two make of it ----------------------------------------------------------------------


def of_keras(name: str) -> Any:
    found = keras
    for part in FUNCTIONS[name].keras.split("."):
        found = getattr(found, part)
    return found


def there() -> list[str]:
    """The functions that this Keras has."""
    return [name for name, row in FUNCTIONS.items() if not too_old(row.since)]


def outcome(action: Callable[[], Any]) -> tuple[TensorSpec, ...] | Exception:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            output = action()
        except Exception as error:  # whatever Keras raises is a refusal
            return error
    if isinstance(output, TensorSpec) or (isinstance(output, tuple) and isinstance(output[0], TensorSpec)):
        return output if isinstance(output, tuple) else (output,)
    return specs(output)


def infer(name: str, values: Mapping[str, Any]) -> Any:
    row = FUNCTIONS[name]
    all_values = bound(row.arguments, values)
    message = refusal(row.arguments, all_values)
    if message:
        raise CatalogError(message)
    try:
        return row.infer(all_values)
    except CatalogError as error:
        if error.argument not in {None, *all_values}:
            raise AssertionError(f"{error.argument} is no argument") from error
        raise


def call_keras(name: str, values: Mapping[str, Any]) -> Any:
    variadic = {argument.name for argument in FUNCTIONS[name].arguments if argument.variadic}
    tensors = [part for key in variadic for part in values[key]]
    named = {key: value for key, value in values.items() if key not in variadic}
    before = [named.pop("subscripts")] if "subscripts" in named else []
    return of_keras(name)(*before, *tensors, **named)


def compare(name: str, values: Mapping[str, Any]) -> None:
    inputs = {key: symbolic(value) for key, value in values.items()}
    made = []
    ours = outcome(lambda: infer(name, values))
    theirs = outcome(lambda: made.append(call_keras(name, inputs)) or made[0])
    note(f"{name}({values})\n  catalogue: {ours!r}\n  Keras: {theirs!r}")
    if isinstance(ours, Exception):
        assert isinstance(ours, CatalogError)
        assert isinstance(theirs, Exception) or stricter(name, values)
    else:
        assert ours == theirs
        first = made[0][0] if isinstance(made[0], (list, tuple)) else made[0]
        if name != "linear" and not FUNCTIONS[name].is_constant:  # which are no operations
            given_name = first._keras_history.operation.name
            assert re.fullmatch(rf"{keras_name(FUNCTIONS[name].keras)}(_\d+)?", given_name)


def stricter(name: str, values: Mapping[str, Any]) -> bool:
    """Whether it fails with real tensors, or has another shape, whatever Keras has said of symbolic ones."""
    axis, rank = values.get("axis"), len(values["x"].shape) if isinstance(values.get("x"), TensorSpec) else 0
    if name == "normalize" and isinstance(axis, list) and len({each % rank for each in axis}) < len(axis):
        return True  # An axis that is named twice.
    if name == "tensordot":
        shapes = [tuple(2 if size is None else size for size in values[key].shape) for key in ("x1", "x2")]
        # TensorFlow pairs axes that have as many entries together, whatever each has; NumPy does not.
        try:
            np.tensordot(*map(np.ones, shapes), values["axes"])
        except ValueError:
            return True
    said = outcome(lambda: call_keras(name, {key: symbolic(value) for key, value in values.items()}))
    found = outcome(lambda: call_keras(name, {key: real(value) for key, value in values.items()}))
    if isinstance(said, Exception) or isinstance(found, Exception):
        return True
    return [tuple(2 if size is None else size for size in x.shape) for x in said] != [x.shape for x in found]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__.rpartition(".")[2])
def test_functions(family: Any) -> None:
    names = [row.name for row in family.ROWS if row.name in there() and row.name != "einsum"]

    @examples(max(150, 6 * len(names)))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(names))
        compare(name, given_to(data.draw, name))

    run()


TERMS = st.sampled_from(["ij", "jk", "i...", "...j", "ii", "j", "...ij", "i...j"])


@examples(150)
@given(st.data())
def test_einsum(data: st.DataObject) -> None:
    draw = data.draw
    count = draw(st.integers(1, 3))
    terms = draw(st.lists(TERMS, min_size=count, max_size=count))
    target = draw(st.sampled_from(["", "->", "->...", "->i", "->...ij", "->k"]))
    size = draw(st.sampled_from([st.just(2), st.sampled_from([2, 2, None])]))
    operands = []
    for term in terms[: draw(st.sampled_from([3, 3, 3, 1]))]:
        rank = len(term.replace("...", "")) + (draw(st.integers(0, 2)) if "..." in term else 0)
        rank = draw(st.sampled_from([rank] * 5 + [1]))
        operands.append(TensorSpec(tuple(draw(size) for _ in range(rank)), draw(DTYPE)))
    compare("einsum", {"subscripts": ",".join(terms) + target, "operands": tuple(operands)})


@examples(300)
@given(st.data())
def test_operators(data: st.DataObject) -> None:
    draw = data.draw
    symbol = draw(st.sampled_from(list(OPERATORS)))
    x = tensor(draw, draw(st.integers(1, 4)))
    if symbol == "unary -":
        assert outcome(lambda: operate("-", x)) == outcome(lambda: -symbolic(x))
        return
    other = like(draw, x) if symbol == "@" else draw(st.sampled_from([like(draw, x), 2, 0.5]))
    if symbol == "@" and draw(st.booleans()):
        other = TensorSpec((*other.shape[:-2], *other.shape[-2:][::-1]), other.dtype)
    pair = (x, other) if draw(st.booleans()) else (other, x)
    ours = outcome(lambda: operate(symbol, *pair))
    theirs = outcome(lambda: eval(f"a {symbol} b", {"a": symbolic(pair[0]), "b": symbolic(pair[1])}))
    note(f"{pair[0]} {symbol} {pair[1]}\n  catalogue: {ours!r}\n  Keras: {theirs!r}")
    assert (isinstance(ours, CatalogError) and isinstance(theirs, Exception)) or ours == theirs
