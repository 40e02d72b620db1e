"""Blocks: pieces of a network, constructed with values for their parameters and applied to tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.evaluation import unknown_type
from wdsl.link.imports import Written
from wdsl.network import graph
from wdsl.network.elaboration import Elaboration, TooDeep
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    Frame,
    Group,
    LayerObject,
    Result,
    Tensor,
    kind_of,
    of_file,
    to_name,
)
from wdsl.network.outline import given_inside, known_outside
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix, Label, listed, nearest
from wdsl.text.source import Span

MAX_DEPTH = 40
"""How deeply blocks may be nested in one another."""


def construct(here: Elaboration, written: Written, node: nodes.Call) -> BlockObject | Broken:
    """`Tower(64)`: the block with values for its parameters."""
    name, parameters = written.node.name.id, written.node.parameters
    by_name = {parameter.name.id: parameter for parameter in parameters}
    values: dict[str, Value] = {}
    by_keyword: dict[str, bool] = {}
    unknown = [problem for parameter in parameters if (problem := unknown_type(parameter))]
    if unknown:
        here.problems += unknown
        return BROKEN
    ok = True
    for position, argument in enumerate(node.arguments):
        if argument.name is not None:
            parameter = by_name.get(argument.name.id)
            if parameter is None:
                near = nearest(argument.name.id, by_name)
                here.error(
                    "E0302",
                    f"`{name}` has no parameter `{argument.name.id}`",
                    argument.name.span,
                    f"did you mean `{near}`?" if near else f"it has {listed(by_name) or 'none'}",
                    fix=Fix(argument.name.span, near) if near else None,
                )
                ok = False
                continue
        elif position < len(parameters):
            parameter = parameters[position]
        else:
            counted = f"at most {len(parameters)}" if parameters else "no"
            is_tensor = isinstance(here.evaluate(argument.value), Tensor)
            hint = f"tensors are sent to it: `{argument.value.span.text} -> {name}(…)`" if is_tensor else None
            here.error("E0305", f"`{name}` takes {counted} arguments", argument.span, "one too many", hint=hint)
            return BROKEN
        if parameter.name.id in values:
            here.error("E0306", f"`{parameter.name.id}` is given twice", argument.span)
        given = _argument(here, parameter, argument.value)
        if given is None:
            ok = False
        else:
            values[parameter.name.id] = constants.folded(given)
            by_keyword[parameter.name.id] = argument.name is not None
    missing = []
    for parameter in parameters:
        default = parameter.default
        # A default may depend on what was not in order.
        if ok and parameter.name.id not in values and default is not None:
            value = default_of(here, written, values, default)
            if isinstance(value, Value):
                type_ = parameter.type.id if parameter.type else None
                if type_ and not constants.is_of(value.value, type_):
                    message = f"`{parameter.name.id}` is {constants.type_name(value.value)}, not of type `{type_}`"
                    here.error("E0308", message, default.span)
                    ok = False
                values[parameter.name.id] = constants.folded(value)
                continue
            ok = False
        if parameter.name.id not in values:
            missing.append(parameter.name.id)
    if missing and ok:
        plural = "arguments" if len(missing) > 1 else "the argument"
        return here.error("E0303", f"`{name}` needs {plural} {listed(missing)}", node.span)
    return BlockObject(written, values, by_keyword, node.span) if ok else BROKEN


def default_of(here: Elaboration, written: Written, values: Mapping[str, Value], node: nodes.Expression) -> Result:
    """A default, where the parameters before it have values."""
    return here.inside(Frame(written.scope, (), {**of_file(written.scope), **values}), lambda: here.evaluate(node))


def parameters_of(here: Elaboration, written: Written) -> list[graph.Parameter]:
    """The parameters of the function that a block becomes. Those defaults are its own that depend on no other one."""
    found: list[graph.Parameter] = []
    names = {each.name.id for each in written.node.parameters}
    for each in written.node.parameters:
        default = None
        if each.default is not None and not any(
            isinstance(part, nodes.Name) and part.id in names for part in nodes.walk(each.default)
        ):
            before = len(here.problems)
            value = default_of(here, written, {}, each.default)
            del here.problems[before:]  # which matter only where it is used
            default = constants.folded(value).expression if isinstance(value, Value) else None
        type_ = each.type.id if each.type else None
        found.append(graph.Parameter(each.name.id, type_, default, None, each.doc, each.span))
    return found


def _argument(here: Elaboration, parameter: nodes.Parameter, node: nodes.Expression) -> Value | None:
    type_ = parameter.type.id if parameter.type else None
    value: Result
    if (
        isinstance(node, nodes.Name)
        and type_ in (None, "str", "str?")
        and not here.knows(node.id)
        and node.id[0].islower()
    ):
        value = Value(node.id, ex.Constant(node.id))  # a word of Keras's, as `relu`
    else:
        value = here.evaluate(node)
    if isinstance(value, Broken):
        return None
    label = Label(parameter.span, f"declared `{type_}` here" if type_ else "declared here")
    if not isinstance(value, Value):
        message = f"`{parameter.name.id}` takes a constant, and this is {kind_of(value)}"
        here.error("E0304", message, node.span, labels=(label,))
        return None
    if type_ is not None and not constants.is_of(value.value, type_):
        message = f"`{parameter.name.id}` is of type `{type_}`, and this is {constants.type_name(value.value)}"
        here.error("E0304", message, node.span, labels=(label,))
        return None
    return value


def apply(
    here: Elaboration,
    block: BlockObject,
    first: Sequence[tuple[Result, nodes.Expression]],
    arguments: Sequence[nodes.Argument],
    node: nodes.Expression,
) -> Result:
    """What comes out of a block: its statements are carried out with the tensors as its inputs."""
    definition = block.written.node
    if any(frame.block is not None and frame.block.written.node is definition for frame in here.frames):
        return here.error("E0213", f"`{definition.name.id}` is used within itself", node.span)
    if len(here.frames) > MAX_DEPTH:
        return here.error("E0105", f"blocks are nested more than {MAX_DEPTH} deep", node.span)
    inputs = [each for each in definition.body if isinstance(each, nodes.Input)]
    misplaced = [each for each in nodes.walk(definition) if isinstance(each, nodes.Input) and each not in inputs]
    for each in misplaced:
        message = f"`{definition.name.id}` has the same inputs in each use: none stands in an `if` or `for`"
        here.error("E0205", message, each.span)
    if misplaced:
        return BROKEN
    given = _inputs(here, block, inputs, first, arguments, node)
    if given is None:
        return BROKEN
    return carry_out_body(here, block, inputs, given, node)


def frame_of(block: BlockObject, is_shared: bool, node: nodes.Node) -> Frame:
    """The names in a block's body when it is applied, those of its file and its parameters."""
    definition, scope = block.written.node, block.written.scope
    assert block.name is not None
    names: dict[str, Result] = {
        **of_file(scope),
        **{name: constants.named(name, each) for name, each in block.values.items()},
    }
    frame = Frame(scope, definition.body, names, block.name, block, node.span, is_shared)
    frame.declared.update(scope.places)
    frame.declared.update((each.name.id, each.name.span) for each in definition.parameters)
    return frame


def come_out(here: Elaboration, block: BlockObject, frame: Frame, node: nodes.Node) -> Result:
    """What a block's body gives, carried out in a frame that has its inputs."""
    definition = block.written.node
    before = len(here.problems)
    try:
        here.inside(frame, lambda: here.carry_out(definition.body))
    except RecursionError:
        raise TooDeep(node.span) from None
    block.names = frame.names
    if any(problem.severity == "error" for problem in here.problems[before:]) or frame.is_broken:
        return BROKEN
    if not frame.outputs and block.written.scope.lost:
        return BROKEN
    if not frame.outputs:
        label = Label(definition.name.span, "declared here")
        return here.error(
            "E0211", f"`{definition.name.id}` has no output", node.span, labels=(label,), hint="add `output NAME`"
        )
    tensors = tuple(tensor for _, tensor in frame.outputs)
    if len(tensors) == 1:
        return tensors[0]
    return Group(tensors, tuple(name for name, _ in frame.outputs), definition.name.id)


def _inputs(
    here: Elaboration,
    block: BlockObject,
    inputs: Sequence[nodes.Input],
    first: Sequence[tuple[Result, nodes.Expression]],
    arguments: Sequence[nodes.Argument],
    node: nodes.Expression,
) -> list[tuple[Tensor, Span]] | None:
    """The tensors for a block's inputs, in their order; None after a report."""
    name = block.written.node.name.id
    by_name = [each.name.id for each in inputs]
    given: dict[str, tuple[Result, Span]] = {}
    queue: list[tuple[str | None, Result, Span]] = []
    wanted = "one tensor" if len(inputs) == 1 else f"{len(inputs)} tensors"
    for value, place in first:
        items = value.items if isinstance(value, Group) else (value,)
        if isinstance(value, Group) and len(items) > len(inputs):
            here.error(
                "E0403",
                f"`{name}` takes {wanted}, and is given {kind_of(value)}",
                node.span,
                labels=(Label(place.span, f"this is {len(items)} tensors"),),
                hint=to_name(value),
            )
            return None
        queue += [(None, item, place.span) for item in items]
    for argument in arguments:
        value = here.evaluate(argument.value)
        if argument.name is not None and argument.name.id not in by_name:
            near = nearest(argument.name.id, by_name)
            nearby = f"did you mean `{near}`?" if near else f"it has {listed(by_name) or 'none'}"
            here.error("E0302", f"`{name}` has no input `{argument.name.id}`", argument.name.span, nearby)
            return None
        queue.append((argument.name.id if argument.name else None, value, argument.value.span))
    for position, (input_, value, span) in enumerate(queue):
        if input_ is None and position >= len(inputs):
            here.error("E0403", f"`{name}` takes {wanted}, and this is one more", span)
            return None
        chosen = input_ or by_name[position]
        if chosen in given:
            here.error("E0306", f"`{chosen}` is given twice", span, labels=(Label(given[chosen][1], "first here"),))
            return None
        given[chosen] = (value, span)
    if len(given) < len(inputs):
        got = "one" if len(given) == 1 else str(len(given)) if given else "none"
        label = Label(block.written.node.name.span, f"its inputs are {listed(by_name)}")
        here.error("E0403", f"`{name}` takes {wanted}, and is given {got}", node.span, labels=(label,))
        return None
    found: list[tuple[Tensor, Span]] = []
    for each in by_name:
        value, span = given[each]
        if isinstance(value, Broken):
            return None
        if not isinstance(value, Tensor):
            message = f"`{each}` takes one tensor, and this is {kind_of(value)}"
            here.error("E0403", message, span, hint=to_name(value))
            return None
        found.append((value, span))
    return found


def carry_out_body(
    here: Elaboration,
    block: BlockObject,
    inputs: Sequence[nodes.Input],
    given: Sequence[tuple[Tensor, Span]],
    node: nodes.Node,
) -> Result:
    """Carry out the statements of a block on tensors, and give what comes out."""
    here.is_nested = True
    recorder, was_named = here.recorder, block.name is not None
    if not was_named:
        here.give_name(block)
    frame = frame_of(block, was_named or here.frame.is_shared, node)
    if not was_named and frame.is_shared:
        recorder.made(here.frame, block, function_parameters(here, block))
    for statement, (tensor, place) in zip(inputs, given, strict=True):
        # Under a name of its own, so that what computes it is there once however often the block uses it.
        name = statement.name.id
        held = here.written(tensor, lambda name=f"{frame.path}_{name}": here.unique(name), node.span)  # type: ignore[misc]
        frame.given[name] = (given_inside(held, ex.Variable(name)), place)
    call = None if frame.is_shared else recorder.construction(block, function_parameters(here, block))
    with recorder.applying(frame) as applied:
        result = come_out(here, block, frame, node)
    if isinstance(result, Broken):
        return result
    recorder.applied(frame, applied, inputs, function_parameters(here, block), node)
    arguments = tuple(ex.inside(tensor.expression) for tensor, _ in given)
    if call is None:
        assert block.variable is not None
        call = ex.Call(block.variable, arguments)
    else:
        call = call.replace(arguments=(*arguments, *call.arguments))
    tensors = [(name, known_outside(each.spec), ex.outside(each.expression)) for name, each in frame.outputs]
    if len(tensors) == 1:
        ((_, spec, expression),) = tensors
        return Tensor(spec, ex.seen(call, expression))
    # The tensors need names, which those of a statement may stand in for.
    variables: list[str] = []
    for name, _, _ in tensors:
        variables.append(recorder.local(here.frame, name))
        here.frame.variables.add(variables[-1])
    recorder.assign(tuple(variables), call, node.span)
    seen = [
        Tensor(spec, ex.seen(ex.Variable(variable), expression))
        for variable, (_, spec, expression) in zip(variables, tensors, strict=True)
    ]
    return Group(tuple(seen), tuple(name for name, _, _ in tensors), block.kind)


def function_parameters(here: Elaboration, made: LayerObject | BlockObject) -> Sequence[graph.Parameter]:
    """The parameters of a block's function, with those defaults that are the same in each use."""
    if isinstance(made, LayerObject):
        return ()
    definition = made.written.node
    if definition not in here.functions:
        here.functions[definition] = parameters_of(here, made.written)
    return here.functions[definition]
