"""The names that statements declare."""

from __future__ import annotations

from collections.abc import Iterable

from wdsl.syntax import nodes


def names_in(statements: Iterable[nodes.Statement]) -> Iterable[nodes.Name]:
    """All names, those in loops and conditions too, in the order of the file."""
    for statement in statements:
        match statement:
            case nodes.Binding(names):
                yield from names
            case nodes.For(_, _, body):
                yield from names_in(body)
            case nodes.If(branches, otherwise):
                for branch in branches:
                    yield from names_in(branch.body)
                yield from names_in(otherwise or ())
            case nodes.Assert() | nodes.Output(name=None):
                pass
            case _ if statement.name is not None:
                yield statement.name


def has(statements: Iterable[nodes.Statement], kind: type[nodes.Statement]) -> bool:
    """Whether there is such a statement, however deep in loops and conditions."""
    for statement in statements:
        match statement:
            case nodes.For(_, _, body) if has(body, kind):
                return True
            case nodes.If(branches, otherwise) if has([s for b in branches for s in b.body], kind) or has(
                otherwise or (), kind
            ):
                return True
        if isinstance(statement, kind):
            return True
    return False
