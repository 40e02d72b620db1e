"""What a file declares or imports and never mentions.

What a network computes and does not need is not known before it is elaborated, and is reported there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Fix, listed
from wdsl.text.source import Span

_NO_USE = frozenset({"name", "names", "type", "dtype", "via", "span", "doc"})
"""Where in nodes names stand that are declared or are none of the file's, or no names at all."""


def unused(file: nodes.File, network: str | None = None) -> tuple[Diagnostic, ...]:
    """A warning for each name beside the networks of a file that nothing in it mentions, and for each parameter.

    Of the parameters of networks, those of `network` alone, if it is given. A file without a network is there for
    others: what these use is not known.
    """
    if not file.networks:
        return ()
    # What mentions itself alone is not used.
    used: set[str] = set()
    for each in file.declarations:
        if not isinstance(each, nodes.From):
            used |= _mentioned([each]) - {each.name.id}
    others = {each.name.id for each in file.networks if network not in (None, each.name.id)}
    return tuple(_warnings(file, used, others))


def _warnings(file: nodes.File, used: Collection[str], others: Collection[str]) -> Iterator[Diagnostic]:
    for each in file.declarations:
        match each:
            case nodes.Const(name) if name.id not in used:
                yield Diagnostic("W0201", f"the constant `{name.id}` is not used", name.span)
            case nodes.Extern(name) if name.id not in used:
                yield Diagnostic("W0201", f"the class `{name.id}` is not used", name.span)
            case nodes.Import(_, name) if name.id not in used:
                yield Diagnostic("W0201", f"`{name.id}` is imported and not used", each.span, fix=_without(each.span))
            case nodes.From():
                yield from _imported(each, [name for name in each.names if name.id not in used])
            case nodes.Block(name) if name.id not in used:
                yield Diagnostic("W0201", f"the block `{name.id}` is not used", name.span)
        if isinstance(each, (nodes.Block, nodes.Network)) and each.name.id not in others:
            # Of a network it is known what an output needs; of a block only what it mentions.
            declared = list(_declared(each.body)) if isinstance(each, nodes.Block) else []
            inside = _mentioned([*each.body, *each.parameters]) if each.parameters or declared else set()
            for parameter in each.parameters:
                if parameter.name.id not in inside:
                    message = f"the parameter `{parameter.name.id}` of `{each.name.id}` is not used"
                    yield Diagnostic("W0201", message, parameter.name.span)
            for name in declared:
                if name.id not in inside:
                    yield Diagnostic("W0201", f"`{name.id}` is not used in `{each.name.id}`", name.span)


def _mentioned(rest: list[nodes.Node]) -> set[str]:
    """The names that are used in nodes. The list is used up."""
    found = set()
    while rest:
        each = rest.pop()
        if isinstance(each, nodes.Name):
            found.add(each.id)
            continue
        for key in each._fields:
            if key in _NO_USE:
                continue
            value = getattr(each, key)
            if isinstance(value, tuple):
                rest += [part for part in value if isinstance(part, nodes.Node)]
            elif isinstance(value, nodes.Node):
                rest.append(value)
    return found


def _declared(statements: Iterable[nodes.Statement]) -> Iterator[nodes.Name]:
    """The names of layers, weights, inputs and single tensors: who takes several apart may want one of them."""
    for statement in statements:
        match statement:
            case nodes.Layer(name) | nodes.Weight(name) | nodes.Input(name) | nodes.Binding((name,)):
                yield name
            case nodes.For(_, _, body):
                yield from _declared(body)
            case nodes.If(branches, otherwise):
                for branch in branches:
                    yield from _declared(branch.body)
                yield from _declared(otherwise or ())


def _imported(node: nodes.From, unused: list[nodes.Name]) -> Iterator[Diagnostic]:
    if len(unused) == len(node.names):
        are = "is" if len(unused) == 1 else "are"
        message = f"{listed(name.id for name in unused)} {are} imported and not used"
        yield Diagnostic("W0201", message, node.span, fix=_without(node.span))
        return
    for name in unused:
        number = node.names.index(name)
        if number:  # with the comma before it, or else with that behind it
            gone = Span(name.span.source, node.names[number - 1].span.end, name.span.end)
        else:
            gone = Span(name.span.source, name.span.start, node.names[1].span.start)
        fix = None if "#" in gone.text else Fix(gone, "", safe=True)
        yield Diagnostic("W0201", f"`{name.id}` is imported and not used", name.span, fix=fix)


def _without(span: Span) -> Fix | None:
    """A statement removed with its line, unless something else stands there."""
    text = span.source.text
    start = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.end) + 1
    if not end or text[start : span.start].strip() or text[span.end : end].strip() or "#" in span.text:
        return None
    return Fix(Span(span.source, start, end), "", safe=True)
