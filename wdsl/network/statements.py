"""The statements of a body: layers, weights, tensors, outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wdsl import catalog
from wdsl.annotations.reader import unknown_annotation
from wdsl.catalog import TensorSpec
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import LayerClass, Value
from wdsl.network import graph
from wdsl.network.blocks import function_parameters
from wdsl.network.construction import construct_initializer
from wdsl.network.elaboration import Elaboration
from wdsl.network.families import Member, indices_of, path_of
from wdsl.network.inputs import declare_input, size_of
from wdsl.network.loops import carry_out_choice, carry_out_loop
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    ConstructedObject,
    FamilyObject,
    Frame,
    FreeWeightObject,
    Group,
    LayerObject,
    Result,
    Tensor,
    Tensors,
    kind_of,
    no_tensor,
    to_name,
)
from wdsl.network.values import no_instance
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Label
from wdsl.text.source import Span


def carry_out(here: Elaboration, statements: Sequence[nodes.Statement]) -> None:
    for statement in statements:
        here.count_one(statement.span)
        here.written_down = here.carried_out
        match statement:
            case nodes.Input():
                declare_input(here, statement)
            case nodes.Layer():
                declare_layer(here, statement)
            case nodes.Weight():
                declare_weight(here, statement)
            case nodes.Binding():
                declare_names(here, statement)
            case nodes.Output():
                declare_output(here, statement)
            case nodes.For():
                carry_out_loop(here, statement)
            case nodes.If():
                carry_out_choice(here, statement)
            case nodes.Assert():
                keep_assertion(here, statement)


def keep_assertion(here: Elaboration, statement: nodes.Assert) -> None:
    """Keep an `assert` for the end, when the weights are known, with what its names stand for here."""
    frame = here.frame
    mentioned = {each.id for each in nodes.walk(statement.test) if isinstance(each, nodes.Name)}
    names = {name: frame.names[name] for name in mentioned if name in frame.names}
    now = Frame(frame.scope, frame.body, names, frame.path, frame.block, frame.use)
    now.passes = list(frame.passes)
    here.asserted.append((statement, now, frame.now()))


def declare_layer(here: Elaboration, statement: nodes.Layer) -> None:
    name, frame = statement.name.id, here.frame
    given = indices_of(here, statement.indices)
    indices = None if given is None else tuple(int(each.value) for each in given)
    key = frame.key(statement.span)
    if frame.block is not None and key in frame.block.declared:
        # The block is applied again: its layers are those that it has.
        enter(here, name, indices, frame.block.declared[key])
        return
    family = here.names.get(name)
    if isinstance(family, FamilyObject) and statement.indices and family.of == "layers":
        fresh = indices is not None
        if indices in family.members:
            shown = ", ".join(map(str, indices or ()))
            here.error("E0202", f"`{name}[{shown}]` is declared twice", statement.name.span)
            fresh = False
    elif indices is None:  # which member it is, is not known
        here.names.setdefault(name, BROKEN)
        fresh = False
    else:
        fresh = here.declare(statement.name, "a layer")
    value = here.evaluate(statement.value)
    if isinstance(value, (LayerObject, BlockObject)) and value.name is not None:
        here.error(
            "E0205",
            f"`{value.name}` is a layer already",
            statement.value.span,
            "a second name for it would share its weights unseen",
            hint=f"use `{value.name}` itself, as often as you like",
        )
        value = BROKEN
    elif isinstance(value, Value) and isinstance(value.value, LayerClass):
        value = no_instance(here, value, statement.value.span)
    elif not isinstance(value, (LayerObject, BlockObject, Broken)):
        here.error("E0205", "this does not construct a layer", statement.value.span, f"it is {kind_of(value)}")
        value = BROKEN
    if not fresh:
        return
    enter(here, name, indices, value)
    if frame.block is not None:
        frame.block.declared[key] = value
    if not isinstance(value, (LayerObject, BlockObject)):
        # What annotations there are does not depend on the layer.
        annotations = (*statement.annotations, *(one for each in statement.weights for one in each.annotations))
        unknown = [found for each in annotations if (found := unknown_annotation(each))]
        here.problems += [each for each in unknown if each not in here.problems]
        return
    value.name = here.unique(path_of(here, name, indices or ())) if frame.path or indices else name
    value.span = statement.span
    if isinstance(value, LayerObject):
        here.steps.append(value)
    here.recorder.made(frame, value, function_parameters(here, value), given or (), statement)
    if isinstance(value, LayerObject):
        value.declared = name
        value.doc = statement.doc
        here.annotated.append((value, statement, frame.now(), here.circumstances()))
    elif statement.annotations or statement.weights:
        where = (*statement.annotations, *(each.annotations[0] for each in statement.weights if each.annotations))
        message = f"`{name}` is a block: annotate the layers in it"
        here.error("E0501", message, where[0].span if where else statement.span)


def enter(here: Elaboration, name: str, indices: tuple[int, ...] | None, value: Result) -> None:
    """Let a name, or a member of the family with the name, stand for a layer."""
    if not indices:
        here.names[name] = value
        return
    family = here.names.get(name)
    if not isinstance(family, FamilyObject):
        family = here.names[name] = FamilyObject()
    family.members[indices] = value  # type: ignore[assignment]


def declare_weight(here: Elaboration, statement: nodes.Weight) -> None:
    name, frame = statement.name.id, here.frame
    key = frame.key(statement.span)
    if frame.block is not None and key in frame.block.declared:
        here.names[name] = frame.block.declared[key]
        return
    fresh = here.declare(statement.name, "a weight")
    sizes = [size_of(here, each) for each in statement.dimensions]
    for size, node in zip(sizes, statement.dimensions, strict=True):
        if size is None:
            here.error("E0304", "the sizes of a weight must be known", node.span)
    arguments: dict[str, Any] = {"initializer": "glorot_uniform"}
    given: dict[str, tuple[ex.Expression, Span]] = {}
    value = construct_initializer(here, statement.value) if statement.value is not None else None
    if isinstance(value, ConstructedObject):
        arguments["initializer"] = value.object
        given["initializer"] = (value.expression, statement.span)
    if not fresh:
        return
    here.names[name] = BROKEN
    if isinstance(value, Broken) or not all(isinstance(size, int) for size in sizes):
        return
    shape: tuple[int, ...] = tuple(sizes)  # type: ignore[arg-type]
    whole = here.unique(f"{frame.path}_{name}") if frame.path else name
    made = FreeWeightObject(whole, Tensor(TensorSpec(shape), ex.seen(ex.Variable(name), ex.Variable(whole))))
    here.names[name] = made
    weight = catalog.Weight("", "", shape, True, "initializer", None, None)
    step = graph.FreeWeight(whole, weight, arguments, given, statement.doc, statement.span, name)
    here.steps.append(step)
    if frame.block is not None:
        frame.block.declared[key] = made
        here.recorder.weight(frame, step)
    here.annotated.append((step, statement, frame.now(), here.circumstances()))


def declare_names(here: Elaboration, statement: nodes.Binding) -> None:
    """`h = x -> dense`, `a, b = …`: tensors, or constants."""
    alone = statement.names[0] if len(statement.names) == 1 and not statement.indices else None
    with here.recorder.aiming(alone, here.variable_inside, statement.value):
        value = here.evaluate(statement.value)
    count = len(statement.names)
    if isinstance(value, Value) and statement.indices:
        hint = "a list holds them: `widths = [64, 128]`"
        here.error("E0205", "a family is of layers or tensors, not of constants", statement.value.span, hint=hint)
    elif isinstance(value, Value) and (count == 1 or (isinstance(value.value, list) and count == len(value.value))):
        declare_constants(here, statement, value)
    else:
        declare_tensors(here, statement, value)


def declare_tensors(here: Elaboration, statement: nodes.Binding, value: Result) -> None:
    specs: tuple[TensorSpec, ...] | None = None
    count = len(statement.names)
    match value:
        case Tensor(spec, expression) if count == 1:
            specs = (spec,)
        case Tensors(specs, expression) if count != len(specs):
            wrong_count(here, statement.value.span, count, len(specs), value)
            specs = None
        case Group(items) if count != len(items):
            wrong_count(here, statement.value.span, count, len(items), value)
        case Group(items) if any(isinstance(item, Group) for item in items):
            here.error("E0205", "lists in a list have no names", statement.value.span)
        case Group(items):
            specs = tuple(item.spec for item in items)  # type: ignore[union-attr]
            expression = ex.Sequence(tuple(item.expression for item in items))  # type: ignore[union-attr]
        case Tensor():
            wrong_count(here, statement.value.span, count, 1, value)
        case Tensors(specs, expression):
            pass
        case Broken():
            pass
        case Value(list(parts)) if count > 1 and count != len(parts):
            message = f"this is taken apart into {count}, and has {len(parts)} items"
            here.error("E0403", message, statement.value.span)
        case Value(single) if count > 1 and not isinstance(single, list):
            here.error("E0403", f"{kind_of(value)} cannot be taken apart into {count}", statement.value.span)
        case _:
            message = f"this is {kind_of(value)}, not a tensor"
            here.error(no_tensor(value), message, statement.value.span, hint=to_name(value))
    variables: list[str] = []
    inside: list[ex.Expression] = []
    for position, name in enumerate(statement.names):
        if statement.indices and statement.indices[position]:
            member = Member(here, name, statement.indices[position], "tensors")
            if not member.is_declared:
                continue
            variables.append(member.name)
            inside.append(member.held)
            member.stands_for(Tensor(specs[position], ex.Variable(member.name)) if specs else BROKEN)
            continue
        if not here.declare(name, "a tensor", again=True):
            continue
        variable = here.variable_for(name.id)
        variables.append(variable)
        inside.append(ex.Variable(here.variable_inside(name.id) if here.frame.path else variable))
        seen = ex.seen(inside[-1], ex.Variable(variable))
        here.names[name.id] = Tensor(specs[position], seen) if specs else BROKEN
    if specs and len(variables) == count:
        here.steps.append(graph.Binding(tuple(variables), expression, specs, statement.span))
        if count > 1 or ex.inside(expression) != inside[0]:
            here.recorder.assign_to(tuple(inside), expression, statement.span)


def declare_constants(here: Elaboration, statement: nodes.Binding, value: Value) -> None:
    """`width = round(24 * alpha)`, `size, filters = stage`: constants, which are an assignment in Python too."""
    names = [name for name in statement.names if here.declare(name, "a constant", again=True)]
    for position, name in enumerate(statement.names):
        if name in names:
            item = value if len(statement.names) == 1 else constants.item(value, constants.constant(position))
            here.names[name.id] = constants.named(name.id, here.settled(item))
            here.frame.constants.add(name.id)
    here.is_nested = True
    if len(names) == len(statement.names):
        given = tuple(name.id for name in names)
        here.recorder.constant(here.frame, given, here.settled(value).expression, statement.span)


def wrong_count(here: Elaboration, span: Span, wanted: int, got: int, value: Result) -> None:
    tensors = "one tensor" if got == 1 else f"{got} tensors"
    names = "one name" if wanted == 1 else f"{wanted} names"
    label, hint = f"this is {tensors}", None
    if isinstance(value, Group) and value.names:
        label, hint = f"this is {kind_of(value)}", to_name(value)
    here.error("E0403", f"{tensors} cannot be taken apart into {names}", span, label, hint=hint)


def declare_output(here: Elaboration, statement: nodes.Output) -> None:
    if statement.indices:
        declare_output_of_family(here, statement)
        return
    with here.recorder.aiming(statement.name, here.variable_inside, statement.value):
        value = here.evaluate(statement.value)
    name = statement.name or output_name(here, statement.value) or _name_of_the_only_one(here, statement)
    if isinstance(value, Broken):
        here.frame.is_broken = True
        if statement.name and here.declare(statement.name, "an output", again=True):
            here.names[statement.name.id] = BROKEN
        return
    if not isinstance(value, Tensor):
        message = f"an output is a tensor, not {kind_of(value)}"
        here.error(no_tensor(value), message, statement.value.span, hint=to_name(value))
        return
    if name is None:
        here.error(
            "E0212",
            "the output needs a name",
            statement.value.span,
            "this does not end in a named layer or tensor, and there are other outputs",
            hint="write `output NAME = …`",
        )
        return
    if here.frame.block is not None:
        if any(each == name.id for each, _ in here.frame.outputs):
            here.error("E0202", f"there are two outputs `{name.id}`", statement.span)
            return
        value = here.written(
            value,
            lambda: here.variable_for(name.id),
            statement.span,
            lambda: here.recorder.variable_for(here.frame, name.id),
        )
        if statement.name and here.declare(statement.name, "an output", again=True):
            here.names[name.id] = value
        here.frame.outputs.append((name.id, value))
        return
    previous = next((output for output in here.outputs if output.name == name.id), None)
    if previous:
        where = (Label(previous.span, "first here"),)
        here.error("E0202", f"there are two outputs `{name.id}`", statement.span, labels=where)
        return
    if isinstance(value.expression, ex.Variable) and not statement.name:
        variable = value.expression.name
    else:
        if statement.name and not here.declare(statement.name, "an output", again=True):
            return
        taken = name.id in here.names and not isinstance(here.names[name.id], Tensor)
        layers_own = taken and not statement.name
        variable = here.unique(f"{name.id}_output") if layers_own else here.variable_for(name.id)
        here.steps.append(graph.Binding((variable,), value.expression, (value.spec,), statement.span))
        here.recorder.assign((variable,), value.expression, statement.span)
        if not taken:
            here.names[name.id] = Tensor(value.spec, ex.Variable(variable))
    here.outputs.append(graph.Output(name.id, variable, value.spec, statement.doc, statement.span))


def declare_output_of_family(here: Elaboration, statement: nodes.Output) -> None:
    """`output task[i] = h -> head[i]`"""
    value = here.evaluate(statement.value)
    assert statement.name is not None
    if here.frame.block is not None:
        message = "only networks have families of outputs: a block's come out under one name each"
        here.error("E0205", message, statement.span)
        return
    member = Member(here, statement.name, statement.indices, "outputs")
    if not member.is_declared:
        return
    if not isinstance(value, Tensor):
        member.stands_for(BROKEN)
        if isinstance(value, Broken):
            here.frame.is_broken = True
        else:
            message = f"an output is a tensor, not {kind_of(value)}"
            here.error(no_tensor(value), message, statement.value.span, hint=to_name(value))
        return
    member.stands_for(Tensor(value.spec, ex.Variable(member.name)))
    here.steps.append(graph.Binding((member.name,), value.expression, (value.spec,), statement.span))
    here.recorder.assign_to((member.held,), value.expression, statement.span)
    here.is_nested = True
    output = graph.Output(member.name, member.name, value.spec, statement.doc, statement.span, statement.name.id)
    here.outputs.append(output)


def output_name(here: Elaboration, node: nodes.Expression) -> nodes.Name | None:
    """The name an output has by itself: that of its tensor, or of its last layer."""
    match node:
        case nodes.Name(name) if _is_thing(here.names.get(name)):
            return node
        case nodes.Chain(stages):
            return output_name(here, stages[-1])
        case nodes.Call(nodes.Name(name) as function) if _is_thing(here.names.get(name)):
            return function
    return None


def _is_thing(result: Result | None) -> bool:
    """Whether a name stands for a layer or a tensor: what is broken may have been one."""
    return result is not None and not isinstance(result, Value)


def _name_of_the_only_one(here: Elaboration, statement: nodes.Output) -> nodes.Name | None:
    """`output`, if no other statement of the body gives one."""
    outputs = (each for one in here.frame.body for each in nodes.walk(one) if isinstance(each, nodes.Output))
    return nodes.Name("output", span=statement.value.span) if all(each is statement for each in outputs) else None
