"""The build plan: the network as the assignments of a Python function, which both backends follow."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from functools import cached_property
from pathlib import PurePath

from wdsl import expressions as ex
from wdsl.network import graph
from wdsl.network.dimensions import expression_of
from wdsl.record import Record
from wdsl.source import Span
from wdsl.weights.solve import Structure, Structures

CAPITALS = frozenset({
    *("Any", "Callable", "ClassVar", "Iterable", "Iterator", "Mapping", "Sequence"),
    *("At", "Axis", "Band", "Blocks", "By", "Diagonal", "Equal", "Equation", "Fixed", "Flat", "Frozen", "Grouping"),
    *("Index", "IndexMap", "Indices", "Lower", "Merge", "Not", "Region", "Several", "Shape", "Sizes", "Skew"),
    *("Same", "Symmetric", "Term", "Tie", "Tied", "Traced", "Union", "UnionFind", "Upper", "VIEWS"),
    *("Zero", "Averaged", "Coupled", "Enforced", "Expansion", "Grouped", "OnWeight", "Shared", "Structured", "Via"),
    *("Mask", "PackedMask", "View", "Weight", "Where", "Within"),
})  # fmt: skip
"""The capital names that modules define or import: only a network with one of them need be looked at closely."""


class Step(Record):
    """`names = value`. `span` is the statement of the file that asks for it, `doc` what is written above that."""

    names: tuple[str, ...]
    value: ex.Expression
    span: Span
    doc: str = ""


class Plan(Record):
    """A function of the network's parameters that returns a `keras.Model`.

    `constants` are the tables that it uses, by name. They are made once, beside the function.
    """

    network: graph.Network
    structures: Structures
    steps: tuple[Step, ...]
    result: ex.Expression
    constants: Mapping[str, ex.Expression]

    @cached_property
    def externals(self) -> tuple[str, ...]:
        """The paths of the classes that are neither Keras's nor the runtime's."""
        parts = (part for step in self.steps for part in ex.walk(step.value))
        return tuple(sorted({part.path for part in parts if isinstance(part, ex.External)}))


def make_plan(network: graph.Network, structures: Structures) -> Plan:
    """The steps in the order of the file. A shared weight is made as soon as there is an input to hang it on."""
    shared = {
        owner.name: owner
        for owner in structures.weights
        if owner.name == owner.owner and len(structures.sharing(owner.name)) > 1
    }
    taken = {name for step in network.steps if not isinstance(step, graph.FreeWeight) for name in _names(step)}
    taken |= {each.name for each in network.parameters}
    variables: dict[graph.WeightName, str] = {}
    for name, owner in shared.items():
        wanted = "coupled_weights" if owner.coupled else str(name).replace(".", "_")
        variable = _unique(wanted, taken)
        taken.add(variable)
        variables[name] = variable
    tied = {
        layer.name: ex.Mapped(
            tuple(
                (_key(each), _of_graph(each, variables[each.owner]))
                for each in structures.of(layer.name)
                if each.owner in shared
            )
        )
        for layer in network.layers
        if any(each.owner in shared for each in structures.of(layer.name))
    }
    steps: list[Step] = []
    waiting = [
        _couple(structures.sharing(name), variables[name], network)
        if owner.coupled
        else _share(owner, variables[name], network)
        for name, owner in shared.items()
    ]
    has_input = False
    for step in network.steps:
        if has_input and not isinstance(step, graph.Input):
            steps += waiting
            waiting = []
        match step:
            case graph.Input():
                has_input = True
                steps.append(Step((step.name,), _input(step), step.span, step.doc))
            case graph.Layer():
                construct = _construct(step, structures, shared.keys())
                steps.append(Step((step.name or "",), construct, step.span, step.doc))
            case graph.Binding():
                steps += _bind(step, _with_ties(step.expression, tied))
    names = _constants(steps, network.name)
    if names:
        steps = [step.replace(value=ex.replaced(step.value, names.get)) for step in steps]
    constants = {variable.name: table for table, variable in names.items()}
    return Plan(network, structures, tuple(steps), _model(network), constants)


def _constants(steps: Iterable[Step], function: str) -> dict[ex.Expression, ex.Variable]:
    """A name for each mask from a file, in capitals as constants have: `CONNECTIONS` for `connections.csv`."""
    names: dict[ex.Expression, ex.Variable] = {}
    taken = {function, *CAPITALS}
    for step in steps:
        for part in ex.walk(step.value):
            match part:
                case ex.Call(ex.Symbol("Mask" | "PackedMask"), (ex.Constant(str(path)), *_)) if part not in names:
                    word = re.sub("[^A-Z0-9]+", "_", PurePath(path).stem.upper()).strip("_")
                    # Linters refuse some names of one letter.
                    fits = word[:1].isalpha() and len(word) > 1
                    name = _unique(word if fits else f"MASK_{word}".rstrip("_"), taken)
                    taken.add(name)
                    names[part] = ex.Variable(name)
    return names


MAX_NESTED_CALLS = 3


def _bind(step: graph.Binding, value: ex.Expression) -> list[Step]:
    """The binding; a long chain as a statement for each of its calls, which go from one to the next under one name."""
    calls: list[ex.Call] = []
    inner = value
    while isinstance(inner, ex.Call) and inner.arguments:
        calls.insert(0, inner)
        inner = inner.arguments[0]
    name = step.names[0]
    others = (part for call in calls for part in (*call.arguments[1:], *(each for _, each in call.keywords)))
    if len(calls) <= MAX_NESTED_CALLS or any(name in ex.variables(part) for part in others):
        return [Step(step.names, value, step.span)]
    steps = []
    for call in calls:
        names = step.names if call is calls[-1] else (name,)
        steps.append(Step(names, ex.Call(call.function, (inner, *call.arguments[1:]), call.keywords), step.span))
        inner = ex.Variable(name)
    return steps


def _names(step: graph.Step) -> tuple[str, ...]:
    return step.names if isinstance(step, graph.Binding) else (step.name or "",)


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def _input(step: graph.Input) -> ex.Expression:
    keywords: list[tuple[str, ex.Expression]] = []
    if step.spec.dtype != "float32":
        keywords.append(("dtype", ex.Constant(step.spec.dtype)))
    keywords.append(("name", ex.Constant(step.name)))
    return ex.Call(ex.Symbol("keras.Input"), (_shape(step.spec.shape[1:]),), tuple(keywords))


def _shape(sizes: tuple[int | None, ...]) -> ex.Expression:
    return ex.Sequence(tuple(map(expression_of, sizes)))


def _of_graph(structure: Structure, variable: str) -> ex.Expression:
    """A weight, as a view of the shared one that a variable holds, or as one of the coupled ones."""
    if structure.coupled:
        return ex.Subscript(ex.Variable(variable), ex.Constant(str(structure.name)))
    return structure.view.of(ex.Variable(variable))


def _share(owner: Structure, variable: str, network: graph.Network) -> Step:
    """`encode_kernel = Shared((784, code), name="encode_kernel")(image)`"""
    arguments: list[ex.Expression] = [_shape(owner.weight.shape)]
    if owner.equations:
        arguments.append(ex.Sequence(owner.equations, list))
    values = (("initializer", _initializer(owner)), ("regularizer", _regularizer(owner)), ("fans", _fans(owner)))
    keywords = [(name, value) for name, value in values if value is not None]
    keywords += [(name, owner.layer.given[name][0]) for name in ("trainable", "dtype") if name in owner.layer.given]
    return _beside_input("Shared", arguments, keywords, owner, variable, network)


def _couple(members: tuple[Structure, ...], variable: str, network: graph.Network) -> Step:
    """`coupled_weights = Coupled({"a.kernel": (8, 8), …}, {"b.kernel": [Tie(…)]}, name="coupled_weights")(image)`"""
    arguments: list[ex.Expression] = [
        ex.Mapped(tuple((str(each.name), _shape(each.weight.shape)) for each in members)),
        ex.Mapped(tuple((str(each.name), ex.Sequence(each.equations, list)) for each in members if each.equations)),
    ]
    keywords: list[tuple[str, ex.Expression]] = []
    for name, argument in (("initializers", _initializer), ("regularizers", _regularizer), ("fans", _fans)):
        given = [(str(each.name), value) for each in members if (value := argument(each)) is not None]
        if given:
            keywords.append((name, ex.Mapped(tuple(given))))
    dtypes = [each.layer.given["dtype"][0] for each in members if "dtype" in each.layer.given]
    keywords += [("dtype", dtype) for dtype in dtypes[:1]]
    return _beside_input("Coupled", arguments, keywords, members[0], variable, network)


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
    keywords: list[tuple[str, ex.Expression]],
    owner: Structure,
    variable: str,
    network: graph.Network,
) -> Step:
    """A layer that gives weights, called on the first input for the sake of standing in the graph."""
    layer = ex.Call(ex.Symbol(name), tuple(arguments), (*keywords, ("name", ex.Constant(variable))))
    doc = owner.layer.doc if isinstance(owner.layer, graph.FreeWeight) and not owner.coupled else ""
    return Step((variable,), ex.Call(layer, (ex.Variable(network.inputs[0].name),)), owner.layer.span, doc)


def _construct(layer: graph.Layer, structures: Structures, shared: Container[graph.WeightName]) -> ex.Expression:
    """The layer, in `Structured(…)` if a weight of it has structure."""
    assert isinstance(layer.construct, ex.Call)
    weights: list[tuple[str, ex.Expression]] = []
    for structure in structures.of(layer.name):
        if structure.owner in shared:
            weights.append((_key(structure), ex.Sequence((ex.Call(ex.Symbol("Tied")),), list)))
        elif structure.equations:
            weights.append((_key(structure), ex.Sequence(structure.equations, list)))
    name = ("name", ex.Constant(layer.name))
    construct = layer.construct
    if not weights:
        return ex.Call(construct.function, construct.arguments, (*construct.keywords, name))
    moved = _moved_to_shared(structures.of(layer.name), shared)
    kept = tuple((argument, value) for argument, value in construct.keywords if argument not in moved)
    inner = ex.Call(construct.function, construct.arguments, kept)
    return ex.Call(ex.Symbol("Structured"), (inner, ex.Mapped(tuple(weights))), (name,))


def _moved_to_shared(structures: tuple[Structure, ...], shared: Container[graph.WeightName]) -> set[str | None]:
    """The initializers and regularizers that are about shared weights alone: `Shared` has them."""

    def arguments(structure: Structure) -> set[str | None]:
        return {structure.weight.initializer, structure.weight.regularizer}

    moved = {name for each in structures if each.owner in shared for name in arguments(each)}
    return moved - {name for each in structures if each.owner not in shared for name in arguments(each)}


def _key(structure: Structure) -> str:
    """The weight's name as the end of its path in Keras: "query/kernel", and "kernel" of an RNN's cell."""
    name = structure.weight.name.replace(".", "/")
    return name if f"/{structure.weight.path}".endswith(f"/{name}") else structure.weight.path


def _with_ties(expression: ex.Expression, tied: dict[str | None, ex.Mapped]) -> ex.Expression:
    """The wiring, with the shared weights given to each call of a layer that uses them."""

    def rewrite(each: ex.Expression) -> ex.Expression:
        return _with_ties(each, tied)

    match expression:
        case ex.Call(function, arguments, keywords):
            given = tuple((name, rewrite(value)) for name, value in keywords)
            if isinstance(function, ex.Variable) and function.name in tied:
                given = (*given, ("tied", tied[function.name]))
            return ex.Call(rewrite(function), tuple(map(rewrite, arguments)), given)
        case ex.Operation(operator, operands):
            return ex.Operation(operator, tuple(map(rewrite, operands)))
        case ex.Sequence(items, kind):
            return ex.Sequence(tuple(map(rewrite, items)), kind)
    return expression


def _model(network: graph.Network) -> ex.Expression:
    inputs: list[ex.Expression] = [ex.Variable(each.name) for each in network.inputs]
    outputs = [(output.name, ex.Variable(output.variable)) for output in network.outputs]
    return ex.Call(
        ex.Symbol("keras.Model"),
        (
            inputs[0] if len(inputs) == 1 else ex.Sequence(tuple(inputs), list),
            outputs[0][1] if len(outputs) == 1 else ex.Mapped(tuple(outputs)),
        ),
        (("name", ex.Constant(network.name)),),
    )
