"""What stands beside networks: constants, blocks, and imports of other files."""

from __future__ import annotations

from collections.abc import Mapping

from wdsl.diagnostics import Diagnostic
from wdsl.files import Files
from wdsl.network.constants import Value
from wdsl.record import Record, field
from wdsl.source import Source, Span
from wdsl.syntax import nodes


class Scope(Record):
    """What the names of one file stand for at its top level."""

    source: Source
    files: Files = field(compare=False)
    constants: Mapping[str, Value] = field(compare=False)
    constructors: Mapping[str, Written] = field(compare=False)
    modules: Mapping[str, Scope] = field(compare=False)
    places: Mapping[str, Span] = field(compare=False)
    lost: frozenset[str] = field(compare=False)
    is_whole: bool = field(compare=False)

    def has_lost(self, name: str) -> bool:
        """Whether to say nothing of a name that is not there, since something was said already."""
        return name in self.lost or not self.is_whole

    def names(self) -> frozenset[str]:
        return frozenset((*self.constants, *self.constructors, *self.modules))


class Written(Record):
    """A block or network as it was written, with what the names in it stand for."""

    node: nodes.Block | nodes.Network
    scope: Scope


def link(file: nodes.File, files: Files) -> tuple[Scope, tuple[Diagnostic, ...]]:
    """The names of a file."""
    constructors: dict[str, Written] = {}
    scope = Scope(file.source, files, {}, constructors, {}, {}, file.lost, True)
    problems = []
    lost = set(file.lost)
    for each in file.declarations:
        if isinstance(each, (nodes.Block, nodes.Network)):
            constructors[each.name.id] = Written(each, scope)
        else:
            word = type(each).__name__.lower()
            lost |= {name.id for name in (each.names if isinstance(each, nodes.From) else (each.name,))}
            where = Span(file.source, each.span.start, each.span.start + len(word))
            problems.append(Diagnostic("E0106", f"`{word}` statements are not compiled by this version of wdsl", where))
    return scope.replace(lost=frozenset(lost)), tuple(problems)
