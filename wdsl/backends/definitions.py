"""The text of the runtime's definitions, and which of them a module needs.

A generated module carries the very text of `wdsl/structure.py` and `wdsl/runtime.py`, so that it cannot drift apart
from the runtime that live models use; but only the definitions that are used, by the network or by one another.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from importlib.resources import files

from wdsl.record import Record

SOURCES = ("structure", "runtime")
"""The modules whose definitions may be carried along, those that others build on first."""


class Definition(Record):
    """A top-level class, function or constant, with its text and what stands above it."""

    module: str
    names: tuple[str, ...]
    text: str
    node: ast.stmt

    @cached_property
    def refers_to(self) -> frozenset[str]:
        """The names that it refers to. Looked up for those that a module needs only: it takes a walk of the tree."""
        return frozenset(each.id for each in ast.walk(self.node) if isinstance(each, ast.Name)) - set(self.names)


class Import(Record):
    """`import module as name`, or `from module import name`."""

    module: str
    name: str
    alias: str

    @property
    def statement(self) -> str:
        if self.name:
            return f"from {self.module} import {self.name}" + (f" as {self.alias}" if self.alias != self.name else "")
        return f"import {self.module}" + (f" as {self.alias}" if self.alias != self.module else "")


@cache
def _read() -> tuple[tuple[Definition, ...], Mapping[str, Import]]:
    """All definitions in the order of the files, and what the files import, by the name it has there."""
    definitions: list[Definition] = []
    imports: dict[str, Import] = {}
    for module in SOURCES:
        text = files("wdsl").joinpath(f"{module}.py").read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            match node:
                case ast.Import(names):
                    for each in names:
                        imports[each.asname or each.name] = Import(each.name, "", each.asname or each.name)
                case ast.ImportFrom(module=origin, names=names) if origin and not origin.startswith("wdsl"):
                    for each in names:
                        imports[each.asname or each.name] = Import(origin, each.name, each.asname or each.name)
                case ast.ClassDef() | ast.FunctionDef() | ast.Assign() | ast.AnnAssign():
                    definitions.append(_definition(module, node, lines))
    return tuple(definitions), imports


def _definition(module: str, node: ast.stmt, lines: list[str]) -> Definition:
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]) - 1
    while first > 0 and lines[first - 1].startswith("#"):
        first -= 1
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        names: tuple[str, ...] = (node.name,)
    else:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
        names = tuple(each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
    return Definition(module, names, "\n".join(lines[first : node.end_lineno]), node)


def names() -> frozenset[str]:
    """Every name that the runtime defines or imports at its top level."""
    definitions, imports = _read()
    return frozenset((*imports, *(name for each in definitions for name in each.names)))


def needed(used: Iterable[str]) -> tuple[tuple[Definition, ...], tuple[Import, ...]]:
    """The definitions behind these names, in the order of the files, and the imports that those need."""
    if not (used := list(used)):
        return (), ()  # a network without annotations: nothing of the runtime need be read
    definitions, imports = _read()
    by_name = {name: each for each in definitions for name in each.names}
    wanted: set[str] = set()
    queue = [name for name in used if name in by_name]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue.extend(by_name[name].refers_to & by_name.keys())
    found = tuple(each for each in definitions if wanted.intersection(each.names))
    referred = {name for each in found for name in each.refers_to}
    return found, tuple(imports[name] for name in sorted(referred & imports.keys()))
