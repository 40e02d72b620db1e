"""What a network was carried out to, as statements: layers with the structure of their weights, inputs, wiring."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from wdsl.annotations.equations import WeightName
from wdsl.core import expressions as ex
from wdsl.core.sizes import expression_of
from wdsl.link.constants import written
from wdsl.network import graph
from wdsl.plan.kinds import COUPLED, SHARED, Kinds, KindWeight, form_of, kind_weight
from wdsl.plan.statements import Body, Refuse, Statement, Step, walk
from wdsl.weights.structures import Structure, Structures


class Planner:
    """What the statements of a network need to know of its weights."""

    def __init__(self, network: graph.Network, structures: Structures, blocks: Iterable[str] = ()) -> None:
        """`blocks` are the names of functions that may stand beside the network's own."""
        self.network = network
        self.structures = structures
        self.shared = {
            owner.name: owner
            for owner in structures.weights
            if owner.name == owner.owner and (len(structures.sharing(owner.name)) > 1 or is_tensor(owner))
        }
        taken = {name for step in network.steps if not isinstance(step, graph.FreeWeight) for name in _names(step)}
        taken |= {each.name for each in network.parameters}
        variables: dict[WeightName, str] = {}
        for name, owner in self.shared.items():
            wanted = "coupled_weights" if owner.coupled else str(name).replace(".", "_")
            variables[name] = unique(wanted, taken)
            taken.add(variables[name])
        self.tied = {
            layer.name: ex.Mapped(
                tuple(
                    (key_of(each), of_graph(each, variables[each.owner]))
                    for each in structures.of(layer.name)
                    if each.owner in self.shared
                )
            )
            for layer in network.layers
            if any(each.owner in self.shared for each in structures.of(layer.name))
        }
        # Weights in the wiring that are parts or views of others.
        self.tensors = {
            each.name.layer: tensor
            for each in structures.weights
            if is_tensor(each) and (tensor := of_graph(each, variables[each.owner])) != ex.Variable(each.name.layer)
        }
        self.variables = variables
        self.kinds = Kinds({network.name, *blocks, *taken, *(each.declared for each in network.layers)})

    def with_shared(
        self, groups: Iterable[Sequence[Statement]], elsewhere: Container[WeightName] = (), is_rolled: bool = False
    ) -> Body:
        """The statements for the steps of the network, the shared weights among them but for those made elsewhere.

        `is_rolled` says that members of families are items, as the file has them.
        """
        body: list[Statement] = []
        first = self.network.inputs[0]
        beside = first.variable if is_rolled and first.variable is not None else ex.Variable(first.name)
        waiting = [
            self.couple(self.structures.sharing(name), variable, beside)
            if self.shared[name].coupled
            else self.share(self.shared[name], variable, ex.Constant(variable), beside)
            for name, variable in self.variables.items()
            if name not in elsewhere
        ]
        has_input = False
        for statements in groups:
            is_input = any(isinstance(each, Step) and is_input_step(each) for each in walk(statements))
            if has_input and not is_input:
                body += waiting
                waiting = []
            has_input = has_input or is_input
            body += statements
        body += waiting
        return tuple(body)

    # As it was carried out

    def carried_out(self) -> Body:
        """The statements for one step of the network after the other."""
        network = self.network
        refused = [
            Refuse(_differs(each), built_again(each.name, network.name), each.span)
            for each in network.parameters
            if each.name in network.decided_by
        ]
        return (*refused, *self.with_shared(map(self.step, network.steps)))

    def step(self, step: graph.Step) -> Sequence[Statement]:
        match step:
            case graph.Input():
                return [Step((ex.Variable(step.name),), input_of(step), step.span, step.doc)]
            case graph.Layer():
                equations = {each.name: each.equations for each in self.structures.of(step.name)}
                construct = self.construct(step, step.construct, ex.Constant(step.name), equations)
                return [Step((ex.Variable(step.name or ""),), construct, step.span, step.doc)]
            case graph.Binding():
                return [Step(tuple(map(ex.Variable, step.names)), self.with_ties(step.expression), step.span)]
        return []

    def with_ties(self, expression: ex.Expression) -> ex.Expression:
        """The wiring, with the shared weights given to each call of a layer that uses them."""

        def change(part: ex.Expression) -> ex.Expression | None:
            match part:
                case ex.Variable(name) if name in self.tensors:
                    return self.tensors[name]
                case ex.Call(ex.Variable(name), arguments, keywords) if name in self.tied:
                    given = tuple((each, self.with_ties(value)) for each, value in keywords)
                    positional = tuple(map(self.with_ties, arguments))
                    return ex.Call(part.function, positional, (*given, ("tied", self.tied[name])))
            return None

        return ex.replaced(expression, change) if self.tied or self.tensors else expression

    def construct(
        self,
        layer: graph.Layer,
        construct: ex.Expression,
        label: ex.Expression,
        equations: Mapping[WeightName, tuple[ex.Expression, ...]],
        seen: graph.Layer | None = None,
    ) -> ex.Expression:
        """The layer, in `Structured(…)` if a weight of it has structure. `seen` is it in the terms of its block."""
        assert isinstance(construct, ex.Call)
        structures = self.structures.of(layer.name)
        tied = [each for each in structures if each.owner in self.shared]
        weights: list[tuple[str, ex.Expression]] = []
        members: list[KindWeight] = []
        for structure in structures:
            is_tied = structure in tied
            said = () if is_tied else equations[structure.name]
            if is_tied or said:
                key = key_of(structure)
                stated = (ex.Call(ex.Symbol("Tied")),) if is_tied else said
                weights.append((key, ex.Sequence(stated, list)))
                members.append(kind_weight(key, structure, seen or layer, said, is_tied))
        name = ("name", label)
        if not weights:
            return ex.Call(construct.function, construct.arguments, (*construct.keywords, name))
        moved = _moved_to_shared(structures, self.shared)
        kept = tuple((argument, value) for argument, value in construct.keywords if argument not in moved)
        inner = ex.Call(construct.function, construct.arguments, kept)
        form = form_of([each for each in structures if each in tied or equations[each.name]], tied)
        kind = self.kinds.of_layer(form, layer, construct.function, members)
        return ex.Call(ex.Symbol(form), (inner, ex.Mapped(tuple(weights))), (("kind", ex.Constant(kind)), name))

    def share(self, owner: Structure, variable: str, label: ex.Expression, beside: ex.Expression) -> Step:
        """`encode_kernel = Shared((784, code), name="encode_kernel")(image)`, beside an input."""
        arguments: list[ex.Expression] = [_shape(owner.weight.shape)]
        if owner.equations:
            arguments.append(ex.Sequence(owner.equations, list))
        values = (("initializer", _initializer(owner)), ("regularizer", _regularizer(owner)), ("fans", _fans(owner)))
        keywords = [(name, value) for name, value in values if value is not None]
        for name in ("trainable", "dtype"):
            argument = f"{owner.weight.scope}{name}"
            keywords += [(name, owner.layer.given[argument][0])] if argument in owner.layer.given else []
        declared = "_".join(filter(None, (owner.layer.declared, *owner.weight.name.split("."))))
        member = kind_weight(owner.weight.name or "weight", owner, owner.layer, owner.equations, False)
        kind = self.kinds.of_weights(SHARED, declared, [member.replace(key="weight")])
        return _beside_input(SHARED, arguments, keywords, kind, label, owner, variable, beside)

    def couple(self, members: tuple[Structure, ...], variable: str, beside: ex.Expression) -> Step:
        """`coupled_weights = Coupled({"a.kernel": (8, 8), …}, {"b.kernel": [Tie(…)]}, name=…)(image)`"""
        arguments: list[ex.Expression] = [
            ex.Mapped(tuple((str(each.name), _shape(each.weight.shape)) for each in members)),
            ex.Mapped(tuple((str(each.name), ex.Sequence(each.equations, list)) for each in members if each.equations)),
        ]
        keywords: list[tuple[str, ex.Expression]] = []
        for name, argument in (("initializers", _initializer), ("regularizers", _regularizer), ("fans", _fans)):
            given = [(str(each.name), value) for each in members if (value := argument(each)) is not None]
            if given:
                keywords.append((name, ex.Mapped(tuple(given))))
        given_dtypes = [(each.layer.given, f"{each.weight.scope}dtype") for each in members]
        dtypes = [given[argument][0] for given, argument in given_dtypes if argument in given]
        keywords += [("dtype", dtype) for dtype in dtypes[:1]]
        found = [kind_weight(str(each.name), each, each.layer, each.equations, False) for each in members]
        kind = self.kinds.of_weights(COUPLED, variable, found)
        label = ex.Constant(variable)
        return _beside_input(COUPLED, arguments, keywords, kind, label, members[0], variable, beside)


def _differs(parameter: graph.Parameter) -> ex.Expression:
    """Whether a parameter is not what it was when it decided what the network is made of."""
    variable, value = ex.Variable(parameter.name), parameter.value
    if isinstance(value, bool):
        return ex.Operation("not", (variable,)) if value else variable
    if isinstance(value, (list, tuple)):
        return differs(variable, value)
    return ex.Operation("!=", (variable, ex.Constant(value)))


def differs(values: ex.Expression, found: Sequence[Any]) -> ex.Expression:
    """Whether a list, of lists perhaps, has not these values."""
    function = "keras.tree.lists_to_tuples" if any(isinstance(each, (list, tuple)) for each in found) else "tuple"
    return ex.Operation("!=", (ex.Call(ex.Symbol(function), (values,)), written(found)))


def built_again(what: str, network: str) -> str:
    return f"`{what}` decides what {network} is made of: build it again for another"


def is_input_step(step: Step) -> bool:
    """Whether a step makes an input."""
    return isinstance(step.value, ex.Call) and step.value.function == ex.Symbol("keras.Input")


def is_tensor(structure: Structure) -> bool:
    """Whether a weight stands in the wiring."""
    return isinstance(structure.layer, graph.FreeWeight) and structure.layer.is_tensor


def _names(step: graph.Step) -> tuple[str, ...]:
    return step.names if isinstance(step, graph.Binding) else (step.name or "",)


def unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def input_of(step: graph.Input) -> ex.Expression:
    keywords: list[tuple[str, ex.Expression]] = []
    if step.spec.dtype != "float32":
        keywords.append(("dtype", ex.Constant(step.spec.dtype)))
    keywords.append(("name", step.label or ex.Constant(step.name)))
    return ex.Call(ex.Symbol("keras.Input"), (_shape(step.spec.shape[1:]),), tuple(keywords))


def _shape(sizes: tuple[int | None, ...]) -> ex.Expression:
    return ex.Sequence(tuple(map(expression_of, sizes)))


def of_graph(structure: Structure, variable: str) -> ex.Expression:
    """A weight, as a view of the shared one that a variable holds, or as one of the coupled ones."""
    if structure.coupled:
        return ex.Subscript(ex.Variable(variable), ex.Constant(str(structure.name)))
    return structure.view.of(ex.Variable(variable))


def _initializer(structure: Structure) -> ex.Expression | None:
    """The initializer of a weight, if it is not what the runtime takes by itself."""
    argument, layer = structure.weight.initializer, structure.layer
    if argument and argument in layer.given:
        return layer.given[argument][0]
    if argument and layer.arguments[argument] != "glorot_uniform":
        return ex.Constant(layer.arguments[argument])
    return None


def _regularizer(structure: Structure) -> ex.Expression | None:
    argument, given = structure.weight.regularizer, structure.layer.given
    return given[argument][0] if argument and argument in given else None


def _fans(structure: Structure) -> ex.Expression | None:
    """The axes of a weight that its layer counts as inputs and as outputs, if they are not the last two."""
    fans = structure.weight.fans
    return ex.Sequence(tuple(map(_shape, fans))) if fans and fans != ((0,), (1,)) else None


def _beside_input(
    name: str,
    arguments: list[ex.Expression],
    keywords: Sequence[tuple[str, ex.Expression]],
    kind: str,
    label: ex.Expression,
    owner: Structure,
    variable: str,
    beside: ex.Expression,
) -> Step:
    """A layer that gives weights, called on an input for the sake of standing in the graph."""
    named = [("kind", ex.Constant(kind))] if kind != name else []
    layer = ex.Call(ex.Symbol(name), tuple(arguments), (*keywords, *named, ("name", label)))
    doc = owner.layer.doc if isinstance(owner.layer, graph.FreeWeight) and not owner.coupled else ""
    return Step((ex.Variable(variable),), ex.Call(layer, (beside,)), owner.layer.span, doc)


def _moved_to_shared(structures: tuple[Structure, ...], shared: Container[WeightName]) -> set[str | None]:
    """The initializers and regularizers that are about shared weights alone: `Shared` has them."""

    def arguments(structure: Structure) -> set[str | None]:
        return {structure.weight.initializer, structure.weight.regularizer}

    moved = {name for each in structures if each.owner in shared for name in arguments(each)}
    return moved - {name for each in structures if each.owner not in shared for name in arguments(each)}


def key_of(structure: Structure) -> str:
    """The way from a layer to its weight in attributes: "kernel", "cell/kernel", "forward_layer/cell/kernel"."""
    name = structure.weight.name.split(".")[-1]
    return f"{structure.weight.holder}/{name}" if structure.weight.holder else name
