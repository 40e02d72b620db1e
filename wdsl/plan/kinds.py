"""Which form a layer takes whose weights have structure, and what its class is called."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection, Hashable, Mapping, Sequence

from wdsl import catalog
from wdsl.annotations.kinds import FROZEN
from wdsl.core import expressions as ex
from wdsl.core.record import Record, field
from wdsl.core.sizes import expression_of
from wdsl.network.graph import NEEDED, FreeWeight, Layer
from wdsl.weights.structures import Structure

TAKES_WEIGHTS = frozenset({"Dense", "EinsumDense", "Embedding", "Conv1D", "Conv2D", "Conv3D"})
"""Layers that read each weight by its name alone when they are called: a subclass can give them one of the graph."""

OF_CELLS = frozenset({"SimpleRNN", "GRU", "LSTM"})
"""Layers that are an `RNN` of a cell that Keras has, too: a subclass of that cell can have other weights."""

SHARED, COUPLED = "Shared", "Coupled"
"""The kinds of weights in the graph about which nothing else is said."""

RESERVED = frozenset({
    *("keras", "np", "activations", "constraints", "initializers", "layers", "ops", "regularizers"),
    *(*NEEDED, *keyword.kwlist, *dir(builtins)),
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


class KindWeight(Record):
    """A weight in a class: what is said of it, or, if it is `tied`, that it comes from the graph.

    `sizes` are the expressions of its shape, `key` the way to it, and `initializer` the argument that the layer gets.
    """

    key: str
    sizes: tuple[ex.Expression, ...]
    equations: tuple[ex.Expression, ...]
    tied: bool
    initializer: str | ex.Expression | None
    is_regularized: bool
    fans: tuple[tuple[int, ...], tuple[int, ...]] | None
    structures: tuple[Structure, ...] = field(default=(), compare=False)
    """Those that it stands for, one of each shape: how it is computed is for their sizes."""

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def ident(self) -> str:
        return self.key.replace("/", "_").replace(".", "_")

    @property
    def is_trained(self) -> bool:
        return FROZEN not in self.equations

    @property
    def meaning(self) -> Hashable:
        """What a class says of it: of the sizes only that they are parameters which stand in the equations."""
        used = {name for each in self.equations for name in ex.variables(each)}
        sizes = tuple(each if isinstance(each, ex.Variable) and each.name in used else None for each in self.sizes)
        return self.key, sizes, self.equations, self.tied, self.initializer, self.is_regularized, self.fans


class Kind(Record):
    """A class of a written module, in the form that the runtime has for it in live models."""

    name: str
    form: str
    base: ex.Expression | None
    """The class that it is one of, or is about; None for weights of the graph."""
    row: catalog.Layer | None
    weights: tuple[KindWeight, ...]


def kind_weight(
    key: str, structure: Structure, layer: Layer | FreeWeight, equations: tuple[ex.Expression, ...], tied: bool
) -> KindWeight:
    """What the class of a layer has to know of a weight of it. `layer` may say it in the terms of a block."""
    weight = next((each for each in weights_of(layer) if each.name == structure.weight.name), structure.weight)
    argument, given = weight.initializer, layer.given
    initializer = None
    if argument:
        initializer = given[argument][0] if argument in given else layer.arguments[argument]
    regularizer = weight.regularizer in given and layer.arguments.get(weight.regularizer or "") is not None
    return KindWeight(
        key,
        tuple(map(expression_of, weight.shape)),
        equations,
        tied,
        initializer,
        regularizer,
        weight.fans if weight.fans != ((0,), (1,)) else None,
        (structure,),
    )


def weights_of(layer: Layer | FreeWeight) -> Sequence[catalog.Weight]:
    """The weights of a layer, or the one that belongs to none."""
    return layer.weights if isinstance(layer, Layer) else (layer.weight,)


class Kinds:
    """A name for each class, the same for layers that one class will do for."""

    def __init__(self, taken: Collection[str]) -> None:
        """`taken` are the names of what stands beside the classes, and of variables where they are used."""
        self.kinds: dict[Hashable, Kind] = {}
        self.taken = {*taken, *RESERVED}

    def of_layer(self, form: str, layer: Layer, base: ex.Expression, weights: Sequence[KindWeight]) -> str:
        """The kind of a layer of a class of Keras, with what is said of its weights.

        If all of them come from the graph, the class is none of this layer: `DenseByKernel`, or `Given`.
        """
        row = layer.row
        if not all(each.tied for each in weights):
            return self.named(camel(layer.declared), form, base, row, tuple(weights))
        if form == "Wrapped":
            return self.named("Given", form, None, None, ())
        words = [{"embeddings": "table"}.get(each.name, each.name) for each in weights]
        plain = tuple(each.replace(sizes=(), initializer=None, is_regularized=False, fans=None) for each in weights)
        return self.named(f"{row.name}By{'And'.join(map(camel, words))}", form, base, row, plain)

    def of_weights(self, form: str, declared: str, weights: Sequence[KindWeight]) -> str:
        """The kind of a weight of the graph, or of those that are coupled."""
        if not any(each.equations for each in weights):
            return form
        return self.named(camel(declared), form, None, None, tuple(weights))

    def named(
        self,
        wanted: str,
        form: str,
        base: ex.Expression | None,
        row: catalog.Layer | None,
        weights: tuple[KindWeight, ...],
    ) -> str:
        key = wanted, form, base, tuple(each.meaning for each in weights)
        if key not in self.kinds:
            name, number = wanted, 2
            while name in self.taken or f"{name}Cell" in self.taken:
                name, number = f"{wanted}{number}", number + 1
            self.taken |= {name, f"{name}Cell"}
            self.kinds[key] = Kind(name, form, base, row, weights)
        elif weights:
            kind = self.kinds[key]
            self.kinds[key] = kind.replace(weights=tuple(map(_with_structures, kind.weights, weights)))
        return self.kinds[key].name

    def found(self, tables: Mapping[ex.Expression, ex.Variable]) -> tuple[Kind, ...]:
        """All kinds, with the tables in them under their names."""

        def named(equation: ex.Expression) -> ex.Expression:
            return ex.replaced(equation, tables.get) if tables else equation

        return tuple(
            kind.replace(
                weights=tuple(each.replace(equations=tuple(map(named, each.equations))) for each in kind.weights)
            )
            for kind in self.kinds.values()
        )


def _with_structures(weight: KindWeight, other: KindWeight) -> KindWeight:
    """A weight that stands for what another one does as well."""
    shapes = {each.weight.shape for each in weight.structures}
    more = tuple(each for each in other.structures if each.weight.shape not in shapes)
    return weight.replace(structures=(*weight.structures, *more)) if more else weight


def camel(name: str) -> str:
    """`c3` as `C3`, `read_kernel` as `ReadKernel`."""
    return "".join(f"{word[0].upper()}{word[1:]}" for word in name.split("_") if word) or "Layer"
