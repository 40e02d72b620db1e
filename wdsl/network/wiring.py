"""What tensors are sent through: layers, functions, blocks, and stacks of them."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl import catalog
from wdsl.catalog import CatalogError, TensorSpec
from wdsl.catalog.argument_types import is_whole
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import LayerClass, Value
from wdsl.network.arguments import Bound, bind
from wdsl.network.blocks import apply as apply_block
from wdsl.network.construction import constructs, is_later, layer_of, once
from wdsl.network.elaboration import Elaboration
from wdsl.network.names import names_in
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    LayerObject,
    Pass,
    Result,
    Tensor,
    kind_of,
    shapes_of,
)
from wdsl.network.outline import Loop
from wdsl.network.values import class_of, no_instance
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix, Label, by, nearest
from wdsl.text.source import Span

MAX_STACKED = 16
"""How many passes of stacks become one expression; what is deeper gets variables."""


def send_through(here: Elaboration, stages: Sequence[nodes.Expression]) -> Result:
    value = here.evaluate(stages[0])
    before = stages[0]
    for stage in stages[1:]:
        value = send_to(here, value, stage, before)
        before = stage
    return value


def send_to(here: Elaboration, value: Result, node: nodes.Expression, before: nodes.Expression) -> Result:
    """`value -> node`."""
    function, arguments = node, ()
    is_constructed = (
        isinstance(node, nodes.Call)
        and isinstance(node.function, nodes.Name | nodes.Attribute)
        and (constructs(node.function) or class_of(here, node.function) is not None)
    )
    if isinstance(node, nodes.Call) and not is_constructed:
        function, arguments = node.function, node.arguments  # type: ignore[assignment]
    first: list[tuple[Result, nodes.Expression]] = [(value, before)]
    if isinstance(function, nodes.Name) and function.id not in here.names and function.id in catalog.FUNCTIONS:
        return apply_function(here, catalog.FUNCTIONS[function.id], first, arguments, node)
    if isinstance(function, nodes.Binary) and function.operator == "*":
        return stack(here, value, function, before)
    layer = callee(here, function)
    if layer is None or isinstance(value, Broken):
        return BROKEN
    return apply(here, layer, first, arguments, node)


def stack(here: Elaboration, value: Result, node: nodes.Binary, before: nodes.Expression) -> Result:
    """`value -> node.left * n`: one after the other; each is new if it is constructed here."""
    here.is_nested = True
    count = here.evaluate(node.right)
    if isinstance(count, Broken):
        return count
    if not isinstance(count, Value) or not is_whole(count.value) or count.value < 0:
        return here.error("E0205", "a stack has a whole number of layers", node.right.span, kind_of(count))
    here.decide(count)
    here.has_room(count.value, node.span)
    return go_up(here, value, node, before, count)


def go_up(here: Elaboration, value: Result, node: nodes.Binary, before: nodes.Expression, count: Value) -> Result:
    """Send a value through each layer of a stack."""
    if isinstance(ex.inside(count.expression), ex.Constant) and count.value < 2:
        return go_once(here, value, node, before, count.value)
    recorder, frame = here.recorder, here.frame
    variable = recorder.target if recorder.target and node in recorder.stages else recorder.local(frame, "x")
    counter, passes, made = recorder.counter(frame), [], []
    value = held(here, value, variable, node.span)
    for number in range(count.value):
        here.count_one(node.span)
        frame.passes.append(Pass((), number, (), ex.Variable(counter)))
        with recorder.recording() as body, recorder.constructing() as constructed:
            value = held(here, send_to(here, value, node.left, before), variable, node.span)
        frame.passes.pop()
        passes.append(tuple(body))
        made.append(constructed)
        if isinstance(value, Broken):
            return value
        if isinstance(value, Tensor) and here.carried_out - here.written_down >= MAX_STACKED:
            value = here.written(value, lambda: stack_variable(here), node.span)
            here.written_down = here.carried_out
    values = ex.Call(ex.Symbol("range"), (ex.inside(count.expression),))
    found, text = tuple(range(count.value)), node.right.span.text
    recorder.loop(frame, Loop((counter,), None, values, found, tuple(passes), text, node.span), made)
    return value


def go_once(here: Elaboration, value: Result, node: nodes.Binary, before: nodes.Expression, count: int) -> Result:
    """A stack of one, or none."""
    for number in range(count):
        here.count_one(node.span)
        here.frame.passes.append(Pass((), number, ()))
        value = send_to(here, value, node.left, before)
        here.frame.passes.pop()
    return value


def held(here: Elaboration, value: Result, variable: str, span: Span) -> Result:
    """What goes through a stack, in the variable that it has where that is a loop."""
    if isinstance(value, Tensor):
        here.recorder.assign((variable,), value.expression, span)
        return Tensor(value.spec, ex.seen(ex.Variable(variable), value.expression))
    if not isinstance(value, Broken):
        here.recorder.fail("this stack is of several tensors", span)
    return value


def stack_variable(here: Elaboration) -> str:
    return here.unique(f"{here.frame.path}_stack" if here.frame.path else "stack")


def callee(here: Elaboration, node: nodes.Expression) -> LayerObject | BlockObject | None:
    """The layer that a call or an arrow leads to; None, after a report, if it is none."""
    if (
        isinstance(node, nodes.Name)
        and not here.knows(node.id)
        and node.id[0].islower()
        and not any(each.id == node.id for each in names_in(here.frame.body))
    ):
        classes = {each.lower(): each for each in (*catalog.LAYERS, *here.frame.scope.constructors)}
        if node.id.lower() in classes:
            right = classes[node.id.lower()]
            here.error("E0203", f"the layer `{node.id}` is written `{right}`", node.span, fix=Fix(node.span, right))
            return None
        for place in (f"ops.{node.id}", f"ops.image.{node.id}"):
            if place in catalog.REFUSED_FUNCTIONS:
                message = f"a file cannot have the function `{node.id}` of Keras"
                here.error("E0311", message, node.span, hint=catalog.REFUSED_FUNCTIONS[place])
                return None
        registries = (catalog.INITIALIZERS, catalog.REGULARIZERS, catalog.CONSTRAINTS)
        constructed = next((registry[node.id].name for registry in registries if node.id in registry), None)
        if constructed is not None:
            message = f"`{node.id}` is written `{constructed}` where it is constructed"
            here.error("E0203", message, node.span, fix=Fix(node.span, constructed))
            return None
        near = nearest(node.id, [*catalog.FUNCTIONS, *constants.FUNCTIONS, *here.names])
        here.error(
            "E0201",
            f"there is no layer or function `{node.id}`",
            node.span,
            f"did you mean `{near}`?" if near else "",
            fix=Fix(node.span, near) if near else None,
        )
        return None
    found = here.evaluate(node)
    if isinstance(found, (LayerObject, BlockObject)):
        return found
    if isinstance(found, Value) and isinstance(found.value, LayerClass):
        no_instance(here, found, node.span)
        return None
    if isinstance(found, Value) and isinstance(found.value, str):
        # The name of an activation, as a parameter of a block has it: it is a layer of Keras's.
        activation = nodes.Name("Activation", span=node.span)
        call = nodes.Call(activation, (nodes.Argument(None, node, span=node.span),), span=node.span)
        made = here.construct(activation, call)
        return made if isinstance(made, LayerObject) else None
    if isinstance(found, Broken):
        return None
    here.error("E0205", f"this is {kind_of(found)}, and cannot be applied", node.span)
    return None


def apply_function(
    here: Elaboration,
    row: catalog.Function,
    first: Sequence[tuple[Result, nodes.Expression]],
    arguments: Sequence[nodes.Argument],
    node: nodes.Expression,
) -> Result:
    place = node.function.span if isinstance(node, nodes.Call) else node.span
    if is_later(here, row, "E0201", f"there is no function `{row.name}`", place):
        return BROKEN
    bound = bind(here, row.name, row.arguments, first, arguments, node.span)
    if bound is None:
        return BROKEN
    by_itself = any(each.name == "axis" and each.default == 0 for each in row.arguments)
    if by_itself and "axis" not in bound.given and not row.is_constant:
        return along_the_batch(here, row.name, node)
    try:
        spec = row.infer(bound.values)
    except CatalogError as error:
        return refused(here, error, bound, row.name, node.span)
    if row.is_constant:
        return constant_tensor(here, row, bound, spec, node.span)
    here.operations.setdefault(row.keras, (node.span, f"the result of `{row.name}`"))
    expression = ex.Call(ex.Symbol(row.keras), bound.positional, bound.keywords)
    return here.made(spec, expression, node.span)


def constant_tensor(
    here: Elaboration, row: catalog.Function, bound: Bound, spec: TensorSpec | tuple[TensorSpec, ...], span: Span
) -> Result:
    """`Constant("arange", {"start": 0, "stop": 16})(tokens)`, in the graph by the first input of the body."""
    beside = first_input(here, row.name, span)
    if beside is None:
        return BROKEN
    here.operations.setdefault("Constant", (span, f"the result of `{row.name}`"))
    given = [argument.name for argument in row.arguments if argument.name in bound.given]
    arguments = ex.Mapped(tuple((name, bound.given[name][0]) for name in given))
    made = ex.Call(ex.Symbol("Constant"), (ex.Constant(row.name), arguments))
    return here.made(spec, ex.Call(made, (beside,)), span)


def first_input(here: Elaboration, name: str, span: Span) -> ex.Expression | None:
    """The first input of the body, beside which stands what hangs on no tensor; None after a report."""
    block = here.frame.block is not None
    inputs = [tensor.expression for tensor, _ in here.frame.given.values()] if block else [*here.inputs.values()]
    if inputs:
        return inputs[0]
    message = f"`{name}` stands in no graph yet: what a model computes hangs on its inputs"
    here.error("E0205", message, span, hint="declare an input above")
    return None


def drawn(here: Elaboration, row: catalog.Layer, node: nodes.Call) -> Result:
    """`random_normal(shape(z))`: a tensor of the shape of another one, drawn by a layer in each call."""
    assert isinstance(node.function, nodes.Name)
    name = node.function.id
    match node.arguments:
        case (nodes.Argument(None, nodes.Call(nodes.Name("shape"), (nodes.Argument(None, of),))), *others):
            pass
        case _:
            hint = f"write `{name}(shape(x))`, of a tensor `x`"
            return here.error("E0303", f"`{name}` needs the shape of a tensor", node.span, hint=hint)

    def make() -> LayerObject | Broken:
        return layer_of(here, row, ex.Symbol(row.name), name, others, node.span)

    layer = once(here, node.span, make)
    return BROKEN if isinstance(layer, Broken) else apply(here, layer, [(here.evaluate(of), of)], (), node)


def along_the_batch(here: Elaboration, name: str, node: nodes.Expression) -> Broken:
    """Report `concat` and the like without an axis: what Keras takes then is the batch, which nobody means."""
    given = node.span.text[:-1].rstrip().rstrip(",") if isinstance(node, nodes.Call) else f"{name}("
    return here.error(
        "E0303",
        f"`{name}` needs the argument `axis`",
        node.span,
        "without it Keras takes axis 0, the batch",
        fix=None if "#" in given else Fix(node.span, f"{given}{'' if given.endswith('(') else ', '}axis=-1)"),
    )


def apply(
    here: Elaboration,
    layer: LayerObject | BlockObject,
    first: Sequence[tuple[Result, nodes.Expression]],
    arguments: Sequence[nodes.Argument],
    node: nodes.Expression,
) -> Result:
    if isinstance(layer, BlockObject):
        return apply_block(here, layer, first, arguments, node)
    bound = bind(here, layer.name or layer.row.name, layer.row.call, first, arguments, node.span)
    if bound is None:
        return BROKEN
    try:
        inferred = layer.row.infer(layer.arguments, bound.values)
    except CatalogError as error:
        return refused(here, error, bound, layer.name or layer.row.name, node.span, layer)
    has_weights = bool(inferred.weights) or layer.row.foreign_in(layer.arguments) is not None
    if layer.name is None and here.frame.is_shared and has_weights:
        # The block may be applied again, and must then find the layer.
        here.give_name(layer)
        here.steps.append(layer)
        here.recorder.made(here.frame, layer)
    shapes = shapes_of(bound.values.values()), shapes_of([inferred.output])
    if layer.first_use is None:
        layer.first_use = (node.span, inferred.weights, *shapes)
        if layer.name is None:
            here.unnamed.append(layer)
            here.operations.setdefault(_class(layer.expression), (node.span, f"an unnamed `{layer.row.name}`"))
    elif (changed := _changed(layer.first_use[1], inferred.weights)) is not None:
        before, after = changed
        came = [label for each in bound.tensors for label in here.chains.labels(*each)]
        return here.error(
            "E0402",
            f"`{layer.name}` does not fit here: its `{before.name}` would be {by(after.shape)}",
            node.span,
            f"on {shapes[0]}",
            labels=(
                Label(layer.first_use[0], f"it is {by(before.shape)} since this, on {layer.first_use[2]}"),
                *(label for label in came if ", from " in label.text),
            ),
        )
    expression = ex.Call(here.recorder.called(layer), bound.positional, bound.keywords)
    if inferred.nested:
        expression = ex.Call(ex.Symbol("keras.tree.flatten"), (expression,))
    return here.made(inferred.output, expression, node.span)


def refused(
    here: Elaboration, error: CatalogError, bound: Bound, name: str, span: Span, layer: LayerObject | None = None
) -> Broken:
    """Report what the catalogue says that Keras would refuse, at the argument that is to blame."""
    labels = [label for each in bound.tensors for label in here.chains.labels(*each)]
    for given in (bound.given, layer.given if layer else {}):
        if error.argument and error.argument in given:
            where = given[error.argument][1]
            labels = [label for label in labels if label.span != where]
            return here.error("E0304", error.message, where, labels=tuple(labels))
    if layer and layer.name:
        labels.append(Label(layer.span, f"`{name}` is constructed here"))
    return here.error("E0401", error.message, span, labels=tuple(labels))


def _class(constructed: ex.Expression) -> str:
    """The path of the class that a layer is constructed from."""
    match constructed:
        case ex.Call(ex.Symbol(path) | ex.External(path) | ex.Seen(_, ex.Symbol(path))):
            return path
    raise TypeError(f"{constructed!r} constructs nothing")


def _changed(
    before: Sequence[catalog.Weight], after: Sequence[catalog.Weight]
) -> tuple[catalog.Weight, catalog.Weight] | None:
    return next((pair for pair in zip(before, after, strict=True) if pair[0].shape != pair[1].shape), None)
