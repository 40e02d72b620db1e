"""Inputs of a network, and the sizes that they declare."""

from __future__ import annotations

from wdsl import catalog
from wdsl.catalog import TensorSpec
from wdsl.core import expressions as ex
from wdsl.core.sizes import expression_of
from wdsl.link.constants import Value
from wdsl.network import graph
from wdsl.network.elaboration import Elaboration
from wdsl.network.families import Member
from wdsl.network.objects import BROKEN, Broken, Tensor, UnknownSize, shape_of
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Label, nearest, respelled
from wdsl.text.source import Span


def declare_input(here: Elaboration, statement: nodes.Input) -> None:
    name = statement.name.id
    if statement.indices and here.frame.block is not None:
        here.error("E0205", "only networks have families of inputs", statement.span)
        here.names[name] = BROKEN
        return
    member = Member(here, statement.name, statement.indices, "inputs") if statement.indices else None
    fresh = member.is_declared if member else here.declare(statement.name, "an input")
    if here.frame.block is not None:
        here.names[name] = check_input(here, statement) if name in here.frame.given else BROKEN
        return

    def known(found: Tensor | Broken) -> None:
        if member:
            member.stands_for(found)
        else:
            here.names[name] = found

    if statement.dimensions is None:
        hint = f"write `input {name}: [SIZE]`"
        here.error("E0304", f"the input `{name}` of a network needs its sizes", statement.span, hint=hint)
        known(BROKEN)
        return
    dtype = statement.dtype.id if statement.dtype else "float32"
    ok = True
    if statement.dtype and dtype not in catalog.DTYPES:
        near = nearest(dtype, catalog.DTYPES)
        fix = respelled(statement.dtype.span, near, catalog.DTYPES)
        here.error("E0304", f"`{dtype}` is not a dtype", statement.dtype.span, fix=fix)
        ok = False
    sizes = [size_of(here, each) for each in statement.dimensions]
    if not fresh:
        return
    if not ok or any(isinstance(size, Broken) for size in sizes):
        known(BROKEN)
        return
    spec = TensorSpec((None, *sizes), dtype)  # type: ignore[arg-type]
    whole, indices = (member.name, member.given) if member else (name, ())
    known(Tensor(spec, ex.Variable(whole)))
    held = member.held if member else ex.Variable(name)
    here.inputs[whole] = ex.seen(held, ex.Variable(whole))
    family = name if member else ""
    step = graph.Input(whole, spec, statement.doc, statement.span, family, ex.outside(held) if member else None)
    here.steps.append(step)
    here.is_nested = here.is_nested or member is not None
    here.recorder.input(here.frame, step, indices)


def size_of(here: Elaboration, node: nodes.Expression) -> int | Broken | None:
    if isinstance(node, nodes.Unknown):
        return None
    if isinstance(node, nodes.Name) and not here.knows(node.id) and not nearest(node.id, here.names):
        here.names[node.id] = UnknownSize()
    value = here.evaluate(node)
    if isinstance(value, UnknownSize):
        return None
    if isinstance(value, Broken):
        return value
    if not isinstance(value, Value) or not isinstance(value.plain(), int) or value.value is True or value.value < 1:
        shown = f", not {catalog.show(value.value)}" if isinstance(value, Value) else ""
        return here.error("E0304", f"a size is a whole number of at least 1, or `?`{shown}", node.span)
    return value.plain()  # type: ignore[no-any-return]


def check_input(here: Elaboration, statement: nodes.Input) -> Tensor | Broken:
    """A block's `input x: [h, w, c]`, held against the tensor that it is given; free names in it become its sizes."""
    name = statement.name.id
    tensor, place = here.frame.given[name]
    spec = tensor.spec

    def refuse(message: str, declared: Span) -> Broken:
        chain = here.chains.chain(tensor.expression)
        where = (Label(declared, "declared here"),)
        return here.error("E0401", message, place, f"from {chain}" if chain else "", labels=where)

    found: Tensor | Broken = tensor
    if statement.dtype and statement.dtype.id != spec.dtype:
        found = refuse(f"`{name}` is `{statement.dtype.id}`, and this is {spec.dtype}", statement.span)
    dimensions = statement.dimensions
    if dimensions is None:
        return found
    sizes = spec.shape[1:]
    if len(dimensions) != len(sizes):
        for node in dimensions:
            if isinstance(node, nodes.Name) and not here.knows(node.id):
                here.names[node.id] = BROKEN
        axes = "one axis" if len(dimensions) == 1 else f"{len(dimensions)} axes"
        return refuse(f"`{name}` has {axes}, and this is {shape_of(spec)}", statement.span)
    for node, size in zip(dimensions, sizes, strict=True):
        if isinstance(node, nodes.Name) and not here.knows(node.id):
            here.names[node.id] = UnknownSize() if size is None else Value(size, expression_of(size))
            continue
        wanted = size_of(here, node)
        if not isinstance(wanted, Broken) and wanted is not None and size is not None and wanted != size:
            found = refuse(f"`{name}` has {int(wanted)} on this axis, and this is {shape_of(spec)}", node.span)
    return found
