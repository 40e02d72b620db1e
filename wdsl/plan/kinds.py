"""Which form a layer takes whose weights have structure, and what its class is called."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection, Hashable, Sequence

from wdsl.core import expressions as ex
from wdsl.weights.structures import Structure

TAKES_WEIGHTS = frozenset({"Dense", "EinsumDense", "Embedding", "Conv1D", "Conv2D", "Conv3D"})
"""Layers that read each weight by its name alone when they are called: a subclass can give them one of the graph."""

OF_CELLS = frozenset({"SimpleRNN", "GRU", "LSTM", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers that construct their cell themselves: a subclass can do so in another way."""

SHARED, COUPLED = "Shared", "Coupled"
"""The kinds of weights in the graph about which nothing else is said."""

RESERVED = frozenset({
    *("keras", "np", "activations", "constraints", "initializers", "layers", "ops", "regularizers"),
    *("Callable", "Constant", SHARED, COUPLED),
    *(*keyword.kwlist, *dir(builtins)),
})  # fmt: skip
"""What a module needs for itself."""


def form_of(structures: Sequence[Structure], tied: Collection[Structure]) -> str:
    """`Structured` for a layer that is its class with weights of another kind, `Wrapped` for one inside a layer.

    `structures` are those of the layer's weights that have some, `tied` those among them that come from the graph.
    """
    name = structures[0].layer.row.name  # type: ignore[union-attr]
    holders = {each.weight.holder for each in structures}
    is_own = holders == {""} or (name in OF_CELLS and holders <= {"", "cell"})
    return "Structured" if is_own and (name in TAKES_WEIGHTS or not tied) else "Wrapped"


class Kinds:
    """A name for each class, the same for layers that one class will do for."""

    def __init__(self, taken: Collection[str]) -> None:
        """`taken` are the names of what stands beside the classes, and of variables where they are used."""
        self.names: dict[Hashable, str] = {}
        self.taken = {*taken, *RESERVED}

    def of_layer(
        self,
        form: str,
        declared: str,
        row: str,
        weights: Sequence[tuple[str, ex.Expression]],
        tied: Sequence[Structure],
    ) -> str:
        """The kind of a layer of a class of Keras, with the equations of each weight by its key.

        If all of them come from the graph, the class is none of this layer: `DenseByKernel`, or `Given`.
        """
        if len(tied) < len(weights):
            return self.named(camel(declared), (form, row, declared, tuple(weights)))
        if form == "Wrapped":
            return self.named("Given", form)
        words = [{"embeddings": "table"}.get(each.weight.name, each.weight.name) for each in tied]
        return self.named(f"{row}By{'And'.join(map(camel, words))}", (form, row, tuple(words)))

    def of_weight(self, form: str, declared: str, structures: Sequence[Structure]) -> str:
        """The kind of a weight of the graph, or of those that are coupled."""
        equations = tuple((each.name.weight, each.equations) for each in structures)
        if not any(each for _, each in equations):
            return form
        return self.named(camel(declared), (form, declared, equations))

    def named(self, wanted: str, key: Hashable) -> str:
        if key not in self.names:
            name, number = wanted, 2
            while name in self.taken:
                name, number = f"{wanted}{number}", number + 1
            self.taken.add(name)
            self.names[key] = name
        return self.names[key]


def camel(name: str) -> str:
    """`c3` as `C3`, `read_kernel` as `ReadKernel`."""
    return "".join(f"{word[0].upper()}{word[1:]}" for word in name.split("_") if word) or "Layer"
