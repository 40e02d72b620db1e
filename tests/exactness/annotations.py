"""The annotations whose weights are held against their meaning.

What an annotation means is said here in NumPy, as arrays that are the same, and owes nothing to how wdsl solves
equations and numbers parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

N = 13
"""Rows and columns of the kernels: 169 entries, so that vectorized loops leave a rest."""

CHANNELS = 5

SHAPES = {"x": (N,), "image": (3, 3, CHANNELS), "sequence": (2, N)}
"""The inputs of a network."""

MECHANISMS = ("parameter", "mask", "constraint", "gradient", "initial")

Array = np.ndarray[Any, Any]
Pairs = Iterator[tuple[Array, Any]]

ROW, COLUMN = np.indices((N, N))


@dataclass(frozen=True)
class Annotation:
    """An annotation, or several on one weight, on layers of their own.

    Args:
        name: What the table calls it.
        statements: How it is written; `{via}` stands for a mechanism.
        weights: For each layer which weight of it is looked at, what it reads, and how many numbers it answers.
        meaning: For the weights, by layer, pairs of arrays that are the same.
        distinct: How many absolute values the weights have, so that a weight of zeros does not pass for exact.
        mechanisms: Those that it is trained with. "several" are networks whose annotations name theirs.
    """

    name: str
    statements: str
    weights: Mapping[str, tuple[str, str, int]]
    meaning: Callable[[Mapping[str, Array]], Pairs]
    distinct: int
    mechanisms: tuple[str, ...] = MECHANISMS
    is_trained: bool = True


def on_kernel(
    layer: str, name: str, meaning: Callable[[Array], Pairs], distinct: int, *mechanisms: str, written: str = ""
) -> Annotation:
    """Annotations of one square kernel. They are written as they are called, unless `written` says how."""
    return Annotation(
        name,
        f"layer {layer} = {DENSE} {written or name + '{via}'}",
        {layer: ("kernel", "x", N)},
        lambda weights: meaning(weights[layer]),
        distinct,
        mechanisms or MECHANISMS,
        "frozen" not in name,
    )


def by_key(keys: Array) -> Callable[[Array], Pairs]:
    """Entries with the same key are the same."""

    def meaning(w: Array) -> Pairs:
        for key in np.unique(keys):
            yield w[keys == key], w[keys == key][0]

    return meaning


def symmetric(w: Array) -> Pairs:
    yield w, w.T


def skew(w: Array) -> Pairs:
    yield w, -w.T


def equal(w: Array) -> Pairs:
    yield w, w.flat[0]


def rows(w: Array) -> Pairs:
    yield w, w[:, :1]


def columns(w: Array) -> Pairs:
    yield w, w[:1, :]


def diagonals(w: Array) -> Pairs:
    yield w[1:, 1:], w[:-1, :-1]


def symmetric_and_zero(w: Array) -> Pairs:
    yield w, w.T
    yield np.diag(w), 0


def two_regions_equal(w: Array) -> Pairs:
    yield w[0:4, :], w[0, 0]
    yield w[6:, 0:5], w[6, 0]


def two_regions_zero(w: Array) -> Pairs:
    yield w.ravel()[0:9], 0
    yield w[5, ::3], 0


def every_third_zero(w: Array) -> Pairs:
    yield w[(COLUMN - ROW) % 3 == 1], 0


def ones_on_diagonal(w: Array) -> Pairs:
    yield np.diag(w), 1


def five_fixed(w: Array) -> Pairs:
    yield w[0, 0:5], np.asarray(0.3, w.dtype)


def tied_and_zero(weights: Mapping[str, Array]) -> Pairs:
    yield weights["up"], weights["down"].T
    yield weights["down"][ROW < COLUMN], 0
    yield weights["up"][ROW > COLUMN], 0


def five_views(weights: Mapping[str, Array]) -> Pairs:
    owner = weights["owner"]
    yield owner, owner.T
    yield weights["turned"], owner.T
    yield weights["flat"], owner.ravel()
    yield weights["part"], owner[:, 2:7]
    yield weights["minus"], -owner[::-1]
    yield from halved(owner, weights["half"])


def halved(owner: Array, half: Array) -> Pairs:
    """Halves. What float16 has below 2 ** -14 are multiples of 2 ** -24: half of a rounded number need not be one."""
    small = (half.dtype == np.float16) & (abs(owner) < 2.0**-13)
    yield half[~small], owner[~small] / 2
    yield abs(half[small].astype(float) - owner[small].astype(float) / 2) <= 2.0**-24, True


def part_tied(weights: Mapping[str, Array]) -> Pairs:
    yield weights["borrow"][0:4, :], weights["lend"][5:9, :]
    yield weights["lend"][5, :], 0
    yield weights["borrow"][0, :], 0


def four_zeros(w: Array) -> Pairs:
    yield w.ravel()[[0, 2, 5, 10]], 0


def zeros_mirrored(w: Array) -> Pairs:
    yield w, w.T
    yield w[[1, 3, 1, 0], [3, 1, 0, 1]], 0


def equal_but_one(w: Array) -> Pairs:
    yield w[0, 0], 0
    yield w.ravel()[1:], w[0, 1]


def skew_without_one(w: Array) -> Pairs:
    yield w, -w.T
    yield w[1, :], 0
    yield w[:, 1], 0


def one_of_each(w: Array) -> Pairs:
    yield w, w.T
    yield w[[0, 1], [1, 0]], 0
    yield w[2:4, 2:4], w[2, 2]
    yield w[1, 4:6], w[1, 4]


DENSE = f"Dense({N}, use_bias=false)"
HALF = N * (N + 1) // 2
SEVERAL = "several"

ANNOTATIONS = (
    on_kernel("mirror", "symmetric", symmetric, HALF),
    on_kernel("turn", "skew", skew, HALF - N),
    on_kernel(
        "hopfield",
        "symmetric, zero[diagonal]",
        symmetric_and_zero,
        HALF - N,
        written="symmetric{via}, zero[diagonal]{via}",
    ),
    on_kernel("one", "equal", equal, 1),
    on_kernel("by_row", "equal[rows]", rows, N),
    on_kernel("by_column", "equal[columns]", columns, N),
    on_kernel("toeplitz", "equal[diagonals]", diagonals, 2 * N - 1),
    on_kernel("keyed", "equal[by (i + 2 * j) % 5]", by_key((ROW + 2 * COLUMN) % 5), 5),
    on_kernel("patches", "equal[(0:4, :), (6:, 0:5)]", two_regions_equal, 2 + 2 * N + 7 * 8),
    on_kernel("holes", "zero[0:9, (5, ::3)]", two_regions_zero, N * N - 14),
    on_kernel("sieve", "zero[where (j - i) % 3 == 1]", every_third_zero, N * N // 2),
    on_kernel("unit", "fixed[diagonal] = 1.0", ones_on_diagonal, N * N - N),
    on_kernel("given", "fixed[(0, 0:5)] = 0.3", five_fixed, N * N - 5),
    on_kernel("still", "frozen, symmetric", symmetric, HALF),
    Annotation(
        "symmetric(2, 3), of a Conv2D",
        f"layer filters = Conv2D({CHANNELS}, 2, use_bias=false) symmetric(2, 3){{via}}",
        {"filters": ("kernel", "image", 4 * CHANNELS)},
        lambda weights: iter([(weights["filters"], weights["filters"].swapaxes(2, 3))]),
        4 * CHANNELS * (CHANNELS + 1) // 2,
    ),
    Annotation(
        "equal, of a bias",
        f"layer level = Dense({N}, bias_initializer=RandomNormal()) {{ bias: equal{{via}} }}",
        {"level": ("bias", "x", N)},
        lambda weights: equal(weights["level"]),
        1,
    ),
    Annotation(
        "skew, of a recurrent kernel",
        f"layer read = SimpleRNN({N}, activation=linear, use_bias=false) {{\n"
        "        kernel: fixed[diagonal] = 1.0, zero[not diagonal]\n"
        "        recurrent_kernel: skew{via}\n"
        "    }",
        {"read": ("recurrent_kernel", "sequence", N)},
        lambda weights: skew(weights["read"]),
        HALF - N,
    ),
    Annotation(
        "tie(a.T), zero[upper] on a",
        f"layer down = {DENSE} zero[upper]{{via}}\n    layer up = {DENSE} tie(down.kernel.T)",
        {"down": ("kernel", "x", N), "up": ("kernel", "x", N)},
        tied_and_zero,
        HALF,
    ),
    Annotation(
        "tie to five views of a, symmetric on a",
        f"layer owner = {DENSE} symmetric{{via}}\n"
        f"    layer turned = {DENSE} tie(owner.kernel.T)\n"
        f"    layer flat = Dense({N * N}) {{ bias: tie(owner.kernel.reshape({N * N})) }}\n"
        "    layer part = Dense(5, use_bias=false) tie(owner.kernel[:, 2:7])\n"
        f"    layer minus = {DENSE} tie(-owner.kernel.flip(0))\n"
        f"    layer half = {DENSE} tie(0.5 * owner.kernel)",
        {
            "owner": ("kernel", "x", N),
            "turned": ("kernel", "x", N),
            "flat": ("bias", "x", N * N),
            "part": ("kernel", "x", 5),
            "minus": ("kernel", "x", N),
            "half": ("kernel", "x", N),
        },
        five_views,
        HALF,
    ),
    Annotation(
        "tie[R] to a part of a, zero[R] on a",
        f"layer lend = {DENSE} zero[(5, :)]{{via}}\n    layer borrow = {DENSE} tie[(0:4, :)](lend.kernel[5:9, :])",
        {"lend": ("kernel", "x", N), "borrow": ("kernel", "x", N)},
        part_tied,
        2 * N * N - 5 * N,
    ),
    on_kernel("averaged", "equal(gradient=mean)", equal, 1, "parameter"),
    on_kernel("row_means", "equal[rows] (gradient=mean)", rows, N, "parameter"),
    on_kernel("both", "zero[0, 2] via mask, zero[5, 10] via constraint", four_zeros, N * N - 4, SEVERAL),
    on_kernel("under", "symmetric via mask, zero[(1, 3), (0, 1)]", zeros_mirrored, HALF - 2, SEVERAL),
    on_kernel("but_one", "equal, zero[0] via mask", equal_but_one, 1, SEVERAL),
    on_kernel("cut", "skew via constraint, zero[(1, :)] via mask", skew_without_one, HALF - 2 * N, SEVERAL),
    on_kernel("cut_later", "skew, zero[(1, :)] via gradient", skew_without_one, HALF - 2 * N, SEVERAL),
    on_kernel(
        "all_three",
        "symmetric, zero[(0, 1)] via mask, equal[(2:4, 2:4)] via constraint, equal[(1, 4:6)] via gradient",
        one_of_each,
        HALF - 5,
        SEVERAL,
    ),
)


def annotations_of(mechanism: str, step: int = 1) -> list[Annotation]:
    """Those that a mechanism is tried with; every second of them, or third, if all would take too long."""
    return [each for each in ANNOTATIONS if mechanism in each.mechanisms][::step]


def network_of(mechanism: str, chosen: list[Annotation]) -> str:
    """A network in which each layer reads an input of the network, so that one output says what all of them answer."""
    via = "" if mechanism in ("parameter", SEVERAL) else f" via {mechanism}"
    statements = [each.statements.replace("{via}", via) for each in chosen]
    layers = {layer: source for each in chosen for layer, (_, source, _) in each.weights.items()}
    answers = [f"t_{layer} = {source} -> {layer} -> Flatten()" for layer, source in layers.items()]
    # Each input goes into the output as well: it is there whichever annotations are chosen.
    answers += [f"t_{source} = {source} -> Flatten()" for source in SHAPES]
    tensors = ", ".join(f"t_{name}" for name in [*layers, *SHAPES])
    inputs = [f"input {name}: {list(shape)}" for name, shape in SHAPES.items()]
    lines = [*inputs, *statements, *answers, f"output y = ({tensors}) -> concat(axis=-1)"]
    return "network Exactness {\n    " + "\n    ".join(lines) + "\n}\n"


def probes() -> list[Array]:
    """Inputs to which the layers answer with their weights: each row singles out an input, and the last none."""
    x, image, sequence = (np.zeros((N + 1, *shape), "float32") for shape in SHAPES.values())
    x[:N] = sequence[:N, 0] = np.eye(N)
    image[range(CHANNELS), 1, 1, range(CHANNELS)] = 1
    return [x, image, sequence]


def weights_in(answer: Array, chosen: list[Annotation]) -> dict[str, Array]:
    """The weights, by layer, in what a network answers to the probes."""
    found, begin = {}, 0
    for each in chosen:
        for layer, (weight, source, width) in each.weights.items():
            part, begin = answer[:, begin : begin + width], begin + width
            if weight == "bias":
                found[layer] = part[N]
            elif source == "image":
                impulses = part[:CHANNELS].reshape(CHANNELS, 2, 2, CHANNELS)
                found[layer] = impulses[:, ::-1, ::-1].transpose(1, 2, 0, 3)
            else:
                found[layer] = part[:N]
    return found


def compared(annotation: Annotation, weights: Mapping[str, Array]) -> tuple[int, int]:
    """How many entries were compared, and how many are not what the annotation says."""
    entries = violated = 0
    for left, right in annotation.meaning(weights):
        wrong = np.asarray(left != right)
        entries += wrong.size
        violated += int(wrong.sum())
    return entries, violated
