"""Arguments of layers, calls and functions: bound as Python would, checked against the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from wdsl import catalog
from wdsl.catalog import Inner, TensorSpec
from wdsl.catalog.names import words
from wdsl.catalog.versions import too_old
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link.constants import LayerClass, Value
from wdsl.link.evaluation import Construction
from wdsl.network.chains import items_of
from wdsl.network.elaboration import Elaboration
from wdsl.network.objects import (
    Broken,
    ConstructedObject,
    Group,
    LayerObject,
    Result,
    Tensor,
    Tensors,
    UnknownSize,
    kind_of,
    shape_of,
    to_name,
)
from wdsl.network.values import construct_constant, no_instance
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Fix, Label, listed, nearest, respelled
from wdsl.text.source import Span


class Bound(Record):
    """Arguments that were bound: all plain values by name, and of those given the expression and place.

    `tensors` are those among them, or lists of them, with what stands in the file.
    """

    values: dict[str, Any]
    given: dict[str, tuple[ex.Expression, Span]]
    positional: tuple[ex.Expression, ...]
    keywords: tuple[tuple[str, ex.Expression], ...]
    tensors: tuple[tuple[nodes.Expression, Any, ex.Expression], ...]


def bind(
    here: Elaboration,
    callee: str,
    arguments: Sequence[catalog.Argument],
    first: Sequence[tuple[Result, nodes.Expression]],
    given: Sequence[nodes.Argument],
    span: Span,
) -> Bound | None:
    """Bind what is given, `first` ahead of all, to a row's arguments, as Python would. None after an error."""
    by_name = {argument.name: argument for argument in arguments}
    by_position = [argument for argument in arguments if not argument.keyword]
    values: dict[str, Any] = {}
    places: dict[str, tuple[ex.Expression, Span]] = {}
    tensors: list[tuple[nodes.Expression, Any, ex.Expression]] = []
    positional: list[ex.Expression] = []
    keywords: list[tuple[str, ex.Expression]] = []
    ok = True
    queue: list[tuple[nodes.Name | None, nodes.Expression, Result | None]] = []
    variadic = next((argument for argument in by_position if argument.variadic), None)
    for value, node in first:
        if isinstance(value, Group) and (variadic or _is_spread(len(value.items), by_position)):
            written = items_of(node, len(value.items))
            queue.extend((None, place, item) for place, item in zip(written, value.items, strict=True))
        else:
            queue.append((None, node, value))
    if variadic:  # what an arrow sends in is what the others are followed by, as in `(a, b) -> einsum("ij,jk")`
        values[variadic.name] = ()
        queue = [*((each.name, each.value, None) for each in given if each.name is None), *queue]
        given = [each for each in given if each.name is not None]
    queue.extend((argument.name, argument.value, None) for argument in given)
    if by_position and by_position[0].type == "tensors" and not by_position[0].variadic:
        queue = [(name, node, known or (here.evaluate(node) if name is None else None)) for name, node, known in queue]
        alone = [node for _, node, known in takewhile(lambda each: isinstance(each[2], Tensor), queue)]
        if len(alone) > 1:
            where = span if first else alone[0].span.to(alone[-1].span)
            fix = Fix(where, f"[{where.text}]", safe=True) if _is_closed(where.text) and not first else None
            hint = f"send them together: `(a, b) -> {callee}`" if first else None
            here.error("E0401", f"`{callee}` takes its tensors as one list", where, hint=hint, fix=fix)
            return None
    for name, node, known in queue:
        if name is None:
            if len(positional) >= len(by_position) and not variadic:
                here.error(
                    "E0305",
                    f"`{callee}` takes {_number_of_arguments(by_position)}",
                    node.span,
                    "one too many",
                )
                return None
            if keywords:
                here.error("E0305", "arguments by position come before those by name", node.span)
                return None
            argument = by_position[min(len(positional), len(by_position) - 1)]
        elif name.id in by_name and not by_name[name.id].variadic:
            argument = by_name[name.id]
        else:
            if name.id == "name":
                here.error(
                    "E0302",
                    "`name` is not an argument: a layer's name is the one that it is declared with",
                    name.span,
                    hint="write `layer NAME = …`",
                )
            else:
                near = nearest(name.id, by_name)
                here.error(
                    "E0302",
                    f"`{callee}` has no argument `{name.id}`",
                    name.span,
                    f"did you mean `{near}`?" if near else f"it has {listed(by_name) or 'none'}",
                    fix=respelled(name.span, near, by_name),
                )
            if not isinstance(node, nodes.Name):  # a bare word may be right for the argument that was meant
                here.evaluate(node)
            ok = False
            continue
        if old := too_old(argument.since):
            message = f"`{callee}` has no argument `{argument.name}` in Keras {old}, which is installed"
            here.error("E0302", message, name.span if name else node.span, f"it came with Keras {argument.since}")
            ok = False
            continue
        # What an arrow sends in stands before the callee, which is then the place of whatever is wrong.
        place = span if node.span.start < span.start else node.span
        if argument.variadic:
            read = _argument(here, callee, argument.replace(type="tensor"), node, known, place)
            if read is None:
                ok = False
            else:
                values[argument.name] = (*values[argument.name], read[0])
                tensors.append((node, *read[:2]))
            positional.append(ex.Constant(None) if read is None else read[1])
            continue
        read = _argument(here, callee, argument, node, known, place)
        if argument.name in values:
            here.error(
                "E0306",
                f"`{argument.name}` is given twice",
                node.span,
                labels=(Label(places[argument.name][1], "first here"),) if argument.name in places else (),
            )
            ok = False
        values[argument.name] = None
        if read is None:
            ok = False
            positional.append(ex.Constant(None))
            continue
        value, expression, inside = read
        values[argument.name] = value
        places[argument.name] = (expression, node.span)
        # What the layers in it were constructed with can be asked for as well: `layer.kernel_initializer`.
        for prefix, made in inside.items():
            places.setdefault(prefix, (made.expression, made.span))
            values.update((f"{prefix}.{key}", each) for key, each in made.arguments.items())
            places.update((f"{prefix}.{key}", each) for key, each in made.given.items())
        if isinstance(value, TensorSpec) or (_is_of_tensors(argument.type) and isinstance(value, tuple)):
            tensors.append((node, value, expression))
        if name is None:
            positional.append(expression)
        else:
            keywords.append((argument.name, expression))
    missing = [argument.name for argument in arguments if argument.required and argument.name not in values]
    if missing and ok:
        plural = "arguments" if len(missing) > 1 else "the argument"
        here.error("E0303", f"`{callee}` needs {plural} {listed(missing)}", span)
        ok = False
    if not ok:
        return None
    for argument in arguments:
        values.setdefault(argument.name, argument.default)
    return Bound(values, places, tuple(positional), tuple(keywords), tuple(tensors))


def _is_of_tensors(argument_type: str) -> bool:
    return argument_type.endswith("tensors") or argument_type.startswith("list(tensor")


def _is_spread(count: int, arguments: Sequence[catalog.Argument]) -> bool:
    """Whether so many tensors that an arrow sends together are as many arguments."""
    types = [argument.type for argument in arguments[:count]]
    return len(types) == count and "tensors" not in types[0] and all("tensor" in each for each in types)


def _is_closed(text: str) -> bool:
    """Whether what is opened in a text is closed in it. What stands in parentheses has a span without them."""
    depth = 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0 or char in '"#':
            return False
    return depth == 0


def _argument(
    here: Elaboration,
    callee: str,
    argument: catalog.Argument,
    node: nodes.Expression,
    known: Result | None,
    place: Span,
) -> tuple[Any, ex.Expression, Mapping[str, LayerObject]] | None:
    """The plain value and the expression of an argument, and the layers in it by where; None after an error."""
    if known is None and isinstance(node, nodes.Name) and node.id not in here.names:
        word = _word(here, argument, node)
        if word is not None:
            return *word, {}
        if isinstance(here.problems[-1] if here.problems else None, Diagnostic) and here.problems[-1].span == node.span:
            return None
    value: Result
    match node:
        case _ if known is not None:
            value = known
        case nodes.List(items) | nodes.Tuple(items) if "list(layer)" in argument.type and items:
            return _layers(here, argument, items)
        case nodes.Name(name_) if isinstance(constant := here.names.get(name_), Construction):
            value = construct_constant(here, constant, node, argument.type)
        case nodes.Call(nodes.Name() as name) if name.id[0].isupper() and name.id not in here.names:
            value = here.construct(name, node, argument.type)
        case _:
            value = here.evaluate(node)
    plain: Any
    expression: ex.Expression
    match value:
        case Broken():
            return None
        case Value(LayerClass()):
            if "layer" in argument.type:
                no_instance(here, value, node.span)
            else:
                message = f"`{argument.name}` takes {catalog.describe(argument.type)}, and this is {kind_of(value)}"
                here.error("E0304", message, node.span)
            return None
        case Value():
            plain, expression = value.plain(), value.expression
        case Tensor(spec, expression):
            plain = spec
        case Tensors(specs, expression):
            plain = specs
        case Group():
            plain, expression = _list_of(value)
        case ConstructedObject(plain, expression):
            pass
        case LayerObject() if "layer" in argument.type:
            # One beside another has a name of its own, so that their weights can be told apart.
            own_name = None if argument.required else argument.name
            return _layer(here, value, node, argument.name, own_name)
        case LayerObject():
            here.error(
                "E0206",
                f"`{argument.name}` takes {catalog.describe(argument.type)}, and this is a layer",
                node.span,
                hint=f"apply it first: `x -> {node.span.text}`" if len(node.span.text) < 40 else None,
            )
            return None
        case UnknownSize():
            message = f"`{argument.name}` must be known now, and `{node.span.text}` is {kind_of(value)}"
            here.error("E0401", message, node.span)
            return None
        case _:
            here.error("E0205", f"`{argument.name}` takes no such thing: this is {kind_of(value)}", node.span)
            return None
    problem = catalog.check(argument, plain)
    if problem and isinstance(value, (Tensors, Group)) and "tensor" in argument.type:
        labels = (Label(node.span, f"this is {len(plain)} tensors"),) if place != node.span else ()
        message = f"`{callee}` takes one tensor as its `{argument.name}`, and is given {kind_of(value)}"
        here.error("E0403", message, place, labels=labels, hint=to_name(value))
        return None
    if problem:
        code = "E0401" if "tensor" in argument.type else "E0304"
        labels = (Label(node.span, f"this is {shape_of(plain)}"),) if isinstance(plain, TensorSpec) else ()
        here.error(code, problem, place, labels=labels if place != node.span else ())
        return None
    return plain, expression, {}


def _list_of(group: Group) -> tuple[tuple[Any, ...], ex.Expression]:
    """The shapes and the expression of tensors in a list, or in lists in it."""
    parts = [_list_of(item) if isinstance(item, Group) else (item.spec, item.expression) for item in group.items]
    return tuple(spec for spec, _ in parts), ex.Sequence(tuple(expression for _, expression in parts), list)


def _layer(
    here: Elaboration, value: LayerObject, node: nodes.Expression, where: str, name: str | None
) -> tuple[Inner, ex.Expression, Mapping[str, LayerObject]] | None:
    """A layer that is constructed as an argument, with a name if it needs one."""
    if value.name is not None:
        message = f"`{value.name}` is a layer of its own, and cannot be inside another one"
        hint = f"construct it here: `{value.row.name}(…)`"
        here.error("E0205", message, node.span, labels=(Label(value.span, "declared here"),), hint=hint)
        return None
    expression = value.expression
    if name is not None:
        assert isinstance(expression, ex.Call)
        expression = expression.replace(keywords=(*expression.keywords, ("name", ex.Constant(name))))
    return Inner(value.row, value.arguments, name), expression, {where: value}


def _layers(
    here: Elaboration, argument: catalog.Argument, items: Sequence[nodes.Expression]
) -> tuple[tuple[Inner, ...], ex.Expression, Mapping[str, LayerObject]] | None:
    """A list of layers: the elements of `cells` get the names `cell_0`, `cell_1`, and so on."""
    inner: list[Inner] = []
    expressions: list[ex.Expression] = []
    places: dict[str, LayerObject] = {}
    for number, node in enumerate(items):
        value = here.evaluate(node)
        if isinstance(value, Broken):
            return None
        if not isinstance(value, LayerObject):
            label = kind_of(value)
            here.error("E0304", f"`{argument.name}` must be {catalog.describe(argument.type)}", node.span, label)
            return None
        where, name = f"{argument.name}[{number}]", f"{argument.name.removesuffix('s')}_{number}"
        read = _layer(here, value, node, where, name)
        if read is None:
            return None
        inner.append(read[0])
        expressions.append(read[1])
        places[where] = value
    return tuple(inner), ex.Sequence(tuple(expressions), list), places


def _word(here: Elaboration, argument: catalog.Argument, node: nodes.Name) -> tuple[Any, ex.Expression] | None:
    """A bare word where Keras takes a name: `activation=relu`."""
    if argument.type.removeprefix("optional ") in ("str", "any"):
        return None
    if catalog.check(argument, node.id) is None:
        return node.id, ex.Constant(node.id)
    known = words(argument.type)
    if known and node.id[0].islower():
        near = nearest(node.id, known)
        here.error(
            "E0304",
            f"`{node.id}` is not one of the values of `{argument.name}`",
            node.span,
            f"did you mean `{near}`?" if near else f"it takes {catalog.describe(argument.type)}",
            fix=respelled(node.span, near, known),
        )
    return None


def _number_of_arguments(arguments: Sequence[catalog.Argument]) -> str:
    count = len(arguments)
    return (
        "no arguments by position" if not count else f"at most {count} argument{'s' if count > 1 else ''} by position"
    )
