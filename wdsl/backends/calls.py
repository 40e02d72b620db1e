"""How a module constructs the classes of its layers, and calls them with weights of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from wdsl.catalog.layers.random import RANDOM_CLASSES
from wdsl.core import expressions as ex
from wdsl.plan.kinds import Kind
from wdsl.plan.plan import Plan
from wdsl.plan.statements import Body, Step, mapped, walk

FORMS = ("Structured", "Wrapped", "Shared", "Coupled")

OF_RNN = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
"""Arguments of an `RNN` itself; the others are those of its cell."""

OF_BOTH = ("dtype", "trainable")

NOT_OF_RNN = ("use_cudnn",)
"""Arguments that an `RNN` of a cell does not have."""


def in_use(plan: Plan) -> tuple[Kind, ...]:
    """The kinds that the plan constructs, in the order of the plan."""
    found: dict[str, str] = {}
    for part in plan.parts():
        match part:
            case ex.Call(ex.Symbol("Constant")):
                found["Constant"] = "Constant"
            case ex.Call(ex.Symbol(path)) if path in RANDOM_CLASSES:
                found[path] = "Random"
            case ex.Call(ex.Symbol(form), _, keywords) if form in FORMS:
                name = dict(keywords).get("kind", ex.Constant(form))
                found[str(name.value)] = form  # type: ignore[union-attr]
    kinds = {each.name: each for each in plan.kinds}
    return tuple(kinds.get(name) or Kind(name, form, None, None, ()) for name, form in found.items())


def with_classes(plan: Plan, needs: Mapping[str, Mapping[str, str]]) -> Plan:
    """The plan with classes in place of the runtime's.

    `needs` are the parameters that a class takes, by its name, each under the name that the class has for it.
    """
    kinds = {each.name: each for each in plan.kinds}

    def in_scope(body: Body) -> Callable[[ex.Expression], ex.Expression]:
        by_name = {*_called_by_name(body)}

        def change(part: ex.Expression) -> ex.Expression | None:
            match part:
                case ex.Call(ex.Symbol(form), arguments, keywords) if form in FORMS:
                    inside = tuple(ex.replaced(each, change) for each in arguments)
                    return _construct(form, inside, dict(keywords), kinds, needs)
                case ex.Call(function, arguments, keywords) if any(name == "tied" for name, _ in keywords):
                    inside = tuple(ex.replaced(each, change) for each in arguments)
                    others = [(name, ex.replaced(value, change)) for name, value in keywords if name != "tied"]
                    tied = dict(keywords)["tied"]
                    is_by_name = _variable(function) in by_name and isinstance(tied, ex.Mapped)
                    given = tied.items if is_by_name else (("tied", tied),)  # type: ignore[union-attr]
                    return ex.Call(ex.replaced(function, change), inside, (*others, *given))
            return None

        return lambda expression: ex.replaced(expression, change)

    functions = []
    for each in plan.functions:
        changed = in_scope(each.everything)
        made, body = each.made and mapped(each.made, changed), mapped(each.body, changed)
        functions.append(each.replace(made=made, body=body, results=tuple(map(changed, each.results))))
    return plan.replace(body=mapped(plan.body, in_scope(plan.body)), functions=tuple(functions))


def _called_by_name(body: Body) -> Iterable[str]:
    """The variables of layers that are given weights of the graph by the weights' names."""
    for statement in walk(body):
        match statement:
            case Step((target,), ex.Call(ex.Symbol("Structured"))):
                yield _variable(target)


def _variable(function: ex.Expression) -> str:
    """The variable, or the family of layers, that is called."""
    while isinstance(function, ex.Subscript):
        function = function.value
    return function.name if isinstance(function, ex.Variable) else ""


def _construct(
    form: str,
    arguments: Sequence[ex.Expression],
    keywords: dict[str, ex.Expression],
    kinds: Mapping[str, Kind],
    needs: Mapping[str, Mapping[str, str]],
) -> ex.Expression:
    """`Recall(neurons, name="recall")` for `Structured(layers.Dense(neurons), {…}, kind="Recall", name="recall")`."""
    kind = keywords.pop("kind", ex.Constant(form))
    assert isinstance(kind, ex.Constant)
    name = str(kind.value)
    own = tuple((attribute, ex.Variable(each)) for each, attribute in needs.get(name, {}).items())
    label = ("name", keywords.pop("name"))
    layer = arguments[0]
    if form in ("Shared", "Coupled"):
        return ex.Call(ex.Symbol(name), (layer,), (*keywords.items(), *own, label))
    if form == "Wrapped":
        return ex.Call(ex.Symbol(name), (layer,), (*own, label))
    assert isinstance(layer, ex.Call)
    if not any("/" in each.key for each in kinds[name].weights):
        return ex.Call(ex.Symbol(name), layer.arguments, (*layer.keywords, *own, label))
    given = [each for each in layer.keywords if each[0] not in NOT_OF_RNN]
    of_cell = tuple(each for each in given if each[0] not in OF_RNN)
    of_rnn = tuple(each for each in given if each[0] in (*OF_RNN, *OF_BOTH))
    cell = ex.Call(ex.Symbol(f"{name}Cell"), layer.arguments, (*of_cell, *own))
    return ex.Call(ex.Symbol(name), (cell,), (*of_rnn, label))
