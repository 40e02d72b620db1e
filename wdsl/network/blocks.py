"""Blocks: pieces of a network, constructed with values for their parameters and applied to tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from wdsl.core import expressions as ex
from wdsl.core.sizes import expression_of
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.imports import Written
from wdsl.network import graph
from wdsl.network.arguments import Evaluator
from wdsl.network.chains import Chains
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    Frame,
    Group,
    Result,
    Tensor,
    UnknownSize,
    kind_of,
    of_file,
    shape_of,
    to_name,
)
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix, Label, listed, nearest, respelled
from wdsl.text.source import Span

T = TypeVar("T")
MAX_DEPTH = 40
"""How deeply blocks may be nested in one another."""


class Elaborator(Evaluator, Protocol):
    """What carries out the statements of blocks, and has the names in them."""

    frames: list[Frame]
    chains: Chains

    @property
    def frame(self) -> Frame: ...

    def knows(self, name: str) -> bool: ...
    def inside(self, frame: Frame, work: Callable[[], T]) -> T: ...
    def carry_out(self, statements: Sequence[nodes.Statement]) -> None: ...
    def apply_body(
        self, block: BlockObject, inputs: Sequence[nodes.Input], given: Sequence[tuple[Tensor, Span]], node: nodes.Node
    ) -> Result: ...
    def size(self, node: nodes.Expression) -> int | Broken | None: ...


class TooDeep(Exception):
    """Blocks are not nested too deeply, but they are with all that nests in them. It is raised with the place."""


def construct(elaborator: Elaborator, written: Written, node: nodes.Call) -> BlockObject | Broken:
    """`Tower(64)`: the block with values for its parameters."""
    name, parameters = written.node.name.id, written.node.parameters
    by_name = {parameter.name.id: parameter for parameter in parameters}
    values: dict[str, Value] = {}
    by_keyword: dict[str, bool] = {}
    types = [_is_type(elaborator, parameter.type) for parameter in parameters]
    if not all(types):
        return BROKEN
    ok = True
    for position, argument in enumerate(node.arguments):
        if argument.name is not None:
            parameter = by_name.get(argument.name.id)
            if parameter is None:
                near = nearest(argument.name.id, by_name)
                elaborator.error(
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
            is_tensor = isinstance(elaborator.evaluate(argument.value), Tensor)
            hint = f"tensors are sent to it: `{argument.value.span.text} -> {name}(…)`" if is_tensor else None
            elaborator.error("E0305", f"`{name}` takes {counted} arguments", argument.span, "one too many", hint=hint)
            return BROKEN
        if parameter.name.id in values:
            elaborator.error("E0306", f"`{parameter.name.id}` is given twice", argument.span)
        given = _argument(elaborator, parameter, argument.value)
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
            value = default_of(elaborator, written, values, default)
            if isinstance(value, Value):
                type_ = parameter.type.id if parameter.type else None
                if type_ and not constants.is_of(value.value, type_):
                    message = f"`{parameter.name.id}` is {constants.type_name(value.value)}, not of type `{type_}`"
                    elaborator.error("E0308", message, default.span)
                    ok = False
                values[parameter.name.id] = constants.folded(value)
                continue
            ok = False
        if parameter.name.id not in values:
            missing.append(parameter.name.id)
    if missing and ok:
        plural = "arguments" if len(missing) > 1 else "the argument"
        return elaborator.error("E0303", f"`{name}` needs {plural} {listed(missing)}", node.span)
    return BlockObject(written, values, by_keyword, node.span) if ok else BROKEN


def _is_type(elaborator: Elaborator, type_: nodes.Name | None) -> bool:
    if type_ is None or type_.id in constants.PARAMETER_TYPES:
        return True
    near = nearest(type_.id, constants.PARAMETER_TYPES)
    elaborator.error(
        "E0308",
        f"`{type_.id}` is not a type of parameters",
        type_.span,
        f"the types are {listed(constants.PARAMETER_TYPES)}",
        fix=respelled(type_.span, near, constants.PARAMETER_TYPES),
    )
    return False


def default_of(elaborator: Elaborator, written: Written, values: Mapping[str, Value], node: nodes.Expression) -> Result:
    """A default, where the parameters before it have values."""
    return elaborator.inside(
        Frame(written.scope, (), {**of_file(written.scope), **values}), lambda: elaborator.evaluate(node)
    )


def parameters_of(elaborator: Elaborator, written: Written) -> list[graph.Parameter]:
    """The parameters of the function that a block becomes. Those defaults are its own that depend on no other one."""
    found: list[graph.Parameter] = []
    names = {each.name.id for each in written.node.parameters}
    for each in written.node.parameters:
        default = None
        if each.default is not None and not any(
            isinstance(part, nodes.Name) and part.id in names for part in nodes.walk(each.default)
        ):
            before = len(elaborator.problems)
            value = default_of(elaborator, written, {}, each.default)
            del elaborator.problems[before:]  # which matter only where it is used
            default = constants.folded(value).expression if isinstance(value, Value) else None
        type_ = each.type.id if each.type else None
        found.append(graph.Parameter(each.name.id, type_, default, None, each.doc, each.span))
    return found


def named(name: str, value: Value) -> Value:
    """A value where it has a name: in a block, that of a parameter; in a loop, that of the variable."""
    return Value(value.value, ex.Seen(ex.Variable(name), ex.outside(value.expression)))


def _argument(elaborator: Elaborator, parameter: nodes.Parameter, node: nodes.Expression) -> Value | None:
    type_ = parameter.type.id if parameter.type else None
    value: Result
    if isinstance(node, nodes.Name) and type_ in (None, "str") and not elaborator.knows(node.id):
        value = Value(node.id, ex.Constant(node.id))  # a word of Keras's, as `relu`
    else:
        value = elaborator.evaluate(node)
    if isinstance(value, Broken):
        return None
    label = Label(parameter.span, f"declared `{type_}` here" if type_ else "declared here")
    if not isinstance(value, Value):
        message = f"`{parameter.name.id}` takes a constant, and this is {kind_of(value)}"
        elaborator.error("E0304", message, node.span, labels=(label,))
        return None
    if type_ is not None and type_ in constants.PARAMETER_TYPES and not constants.is_of(value.value, type_):
        message = f"`{parameter.name.id}` is of type `{type_}`, and this is {constants.type_name(value.value)}"
        elaborator.error("E0304", message, node.span, labels=(label,))
        return None
    return value


def apply(
    elaborator: Elaborator,
    block: BlockObject,
    first: Sequence[tuple[Result, nodes.Expression]],
    arguments: Sequence[nodes.Argument],
    node: nodes.Expression,
) -> Result:
    """What comes out of a block: its statements are carried out with the tensors as its inputs."""
    definition = block.written.node
    if any(frame.block is not None and frame.block.written.node is definition for frame in elaborator.frames):
        return elaborator.error("E0213", f"`{definition.name.id}` is used within itself", node.span)
    if len(elaborator.frames) > MAX_DEPTH:
        return elaborator.error("E0105", f"blocks are nested more than {MAX_DEPTH} deep", node.span)
    inputs = [each for each in definition.body if isinstance(each, nodes.Input)]
    misplaced = [each for each in nodes.walk(definition) if isinstance(each, nodes.Input) and each not in inputs]
    for each in misplaced:
        message = f"`{definition.name.id}` has the same inputs in each use: none stands in an `if` or `for`"
        elaborator.error("E0205", message, each.span)
    if misplaced:
        return BROKEN
    given = _inputs(elaborator, block, inputs, first, arguments, node)
    if given is None:
        return BROKEN
    return elaborator.apply_body(block, inputs, given, node)


def frame_of(block: BlockObject, is_shared: bool, node: nodes.Node) -> Frame:
    """The names in a block's body when it is applied, those of its file and its parameters."""
    definition, scope = block.written.node, block.written.scope
    assert block.name is not None
    names: dict[str, Result] = {**of_file(scope), **{name: named(name, each) for name, each in block.values.items()}}
    frame = Frame(scope, definition.body, names, block.name, block, node.span, is_shared)
    frame.declared.update(scope.places)
    frame.declared.update((each.name.id, each.name.span) for each in definition.parameters)
    return frame


def come_out(elaborator: Elaborator, block: BlockObject, frame: Frame, node: nodes.Node) -> Result:
    """What a block's body gives, carried out in a frame that has its inputs."""
    definition = block.written.node
    before = len(elaborator.problems)
    try:
        elaborator.inside(frame, lambda: elaborator.carry_out(definition.body))
    except RecursionError:
        raise TooDeep(node.span) from None
    block.names = frame.names
    if any(problem.severity == "error" for problem in elaborator.problems[before:]) or frame.is_broken:
        return BROKEN
    if not frame.outputs and block.written.scope.lost:
        return BROKEN
    if not frame.outputs:
        label = Label(definition.name.span, "declared here")
        return elaborator.error(
            "E0211", f"`{definition.name.id}` has no output", node.span, labels=(label,), hint="add `output NAME`"
        )
    tensors = tuple(tensor for _, tensor in frame.outputs)
    if len(tensors) == 1:
        return tensors[0]
    return Group(tensors, tuple(name for name, _ in frame.outputs), definition.name.id)


def _inputs(
    elaborator: Elaborator,
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
            elaborator.error(
                "E0403",
                f"`{name}` takes {wanted}, and is given {kind_of(value)}",
                node.span,
                labels=(Label(place.span, f"this is {len(items)} tensors"),),
                hint=to_name(value),
            )
            return None
        queue += [(None, item, place.span) for item in items]
    for argument in arguments:
        value = elaborator.evaluate(argument.value)
        if argument.name is not None and argument.name.id not in by_name:
            near = nearest(argument.name.id, by_name)
            nearby = f"did you mean `{near}`?" if near else f"it has {listed(by_name) or 'none'}"
            elaborator.error("E0302", f"`{name}` has no input `{argument.name.id}`", argument.name.span, nearby)
            return None
        queue.append((argument.name.id if argument.name else None, value, argument.value.span))
    for position, (input_, value, span) in enumerate(queue):
        if input_ is None and position >= len(inputs):
            elaborator.error("E0403", f"`{name}` takes {wanted}, and this is one more", span)
            return None
        chosen = input_ or by_name[position]
        if chosen in given:
            elaborator.error(
                "E0306", f"`{chosen}` is given twice", span, labels=(Label(given[chosen][1], "first here"),)
            )
            return None
        given[chosen] = (value, span)
    if len(given) < len(inputs):
        got = "one" if len(given) == 1 else str(len(given)) if given else "none"
        label = Label(block.written.node.name.span, f"its inputs are {listed(by_name)}")
        elaborator.error("E0403", f"`{name}` takes {wanted}, and is given {got}", node.span, labels=(label,))
        return None
    found: list[tuple[Tensor, Span]] = []
    for each in by_name:
        value, span = given[each]
        if isinstance(value, Broken):
            return None
        if not isinstance(value, Tensor):
            message = f"`{each}` takes one tensor, and this is {kind_of(value)}"
            elaborator.error("E0403", message, span, hint=to_name(value))
            return None
        found.append((value, span))
    return found


def check_input(elaborator: Elaborator, statement: nodes.Input) -> Tensor | Broken:
    """A block's `input x: [h, w, c]`, held against the tensor that it is given; free names in it become its sizes."""
    name = statement.name.id
    tensor, place = elaborator.frame.given[name]
    spec = tensor.spec

    def refuse(message: str, declared: Span) -> Broken:
        chain = elaborator.chains.chain(tensor.expression)
        where = (Label(declared, "declared here"),)
        return elaborator.error("E0401", message, place, f"from {chain}" if chain else "", labels=where)

    found: Tensor | Broken = tensor
    if statement.dtype and statement.dtype.id != spec.dtype:
        found = refuse(f"`{name}` is `{statement.dtype.id}`, and this is {spec.dtype}", statement.span)
    dimensions = statement.dimensions
    if dimensions is None:
        return found
    sizes = spec.shape[1:]
    if len(dimensions) != len(sizes):
        for node in dimensions:
            if isinstance(node, nodes.Name) and not elaborator.knows(node.id):
                elaborator.names[node.id] = BROKEN
        axes = "one axis" if len(dimensions) == 1 else f"{len(dimensions)} axes"
        return refuse(f"`{name}` has {axes}, and this is {shape_of(spec)}", statement.span)
    for axis, (node, size) in enumerate(zip(dimensions, sizes, strict=True), 1):
        if isinstance(node, nodes.Name) and not elaborator.knows(node.id):
            elaborator.names[node.id] = UnknownSize() if size is None else Value(size, expression_of(size))
            continue
        wanted = elaborator.size(node)
        if not isinstance(wanted, Broken) and wanted is not None and size is not None and wanted != size:
            found = refuse(f"`{name}` has {int(wanted)} on this axis, and this is {shape_of(spec)}", node.span)
    return found
