"""The text of the runtime's definitions, and which of them a module needs.

A generated module carries the very text of `wdsl/structure.py` and `wdsl/runtime.py`, so that it cannot drift apart
from the runtime that live models use; but only the definitions that are used, by the network or by one another.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property

from wdsl.core.record import Record

SOURCES = ("structure", "patterns", "products", "runtime")
"""The modules whose definitions may be carried along, those that others build on first."""


class Definition(Record):
    """A top-level class, function or constant: its names, and its text with what stands above it.

    The text is searched and not parsed, since that would take a tenth of a build. A test holds what is found against
    what Python's own parser finds in these files.
    """

    module: str
    names: tuple[str, ...]
    text: str

    @cached_property
    def refers_to(self) -> frozenset[str]:
        """The names that it refers to. What it merely calls its own parameters may be among them."""
        return frozenset(NAME.findall(QUOTED.sub(_filled_in, self.text))) - set(self.names)


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


BLOCK = re.compile(r"^(?:(?:#|@).*\n)*(?:(?:class|def) (\w+)|((?:\w+)(?:, \w+)*)(?:: .*)? = )", re.MULTILINE)
"""Where a definition begins, with the comments and decorators above it: at the margin, as formatters write it."""

BEHIND = re.compile(r'\n(?:"""|#)')
"""What stands behind a definition at the margin: the docstring of a constant, the title of what follows."""

NAME = re.compile(r"(?<![\w.])(?<!\bdef )[A-Za-z_]\w*(?![\w=])")
"""A name that is neither an attribute, nor that of an argument that is given, nor of what is defined there."""

QUOTED = re.compile(r'"""[^"]*(?:""?[^"]+)*"""|"(?:[^"\\\n]+|\\.)*"|#[^\n]*')
"""Strings and comments."""


def _filled_in(quoted: re.Match[str]) -> str:
    """Of a string, what Python computes."""
    is_filled_in = quoted.string[quoted.start() - 1] == "f"
    return f'"{" ".join(re.findall(r"{([^{}]*)}", quoted[0]))}"' if is_filled_in else '""'


@cache
def _read() -> tuple[tuple[Definition, ...], Mapping[str, Import]]:
    """All definitions in the order of the files, and what the files import, by the name it has there."""
    definitions: list[Definition] = []
    imports: dict[str, Import] = {}
    for module in SOURCES:
        with open(os.path.join(os.path.dirname(__file__), os.pardir, f"{module}.py"), encoding="utf-8") as file:
            text = file.read()
        begins = [*BLOCK.finditer(text)]
        for node in ast.parse(text[: begins[0].start()]).body:
            match node:
                case ast.Import(names):
                    for each in names:
                        imports[each.asname or each.name] = Import(each.name, "", each.asname or each.name)
                case ast.ImportFrom(module=origin, names=names) if origin and not origin.startswith("wdsl"):
                    for each in names:
                        imports[each.asname or each.name] = Import(origin, each.name, each.asname or each.name)
        ends = [each.start() for each in begins[1:]]
        for begin, end in zip(begins, [*ends, len(text)], strict=True):
            behind = BEHIND.search(text, begin.end(), end)
            whole = text[begin.start() : behind.start() if behind else end].rstrip()
            defined = (begin[1],) if begin[1] else tuple(begin[2].split(", "))
            definitions.append(Definition(module, defined, whole))
    return tuple(definitions), imports


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
