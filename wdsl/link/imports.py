"""What stands beside networks: constants, blocks, classes from elsewhere, and imports of other files.

`link` reads what a file imports, and what that imports in turn, each file once, and says what the names of the file
stand for. Blocks and networks are handed over as they were written, each with the names of its own file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, TypeAlias

from wdsl.catalog import CONSTRAINTS, INITIALIZERS, LAYERS, REGULARIZERS
from wdsl.core import expressions as ex
from wdsl.core.record import Record, field
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.evaluation import (
    Construction,
    Definition,
    Named,
    NoConstant,
    again,
    counted,
    evaluate,
    free_names,
    unknown_type,
)
from wdsl.link.externs import Extern, read_extern
from wdsl.syntax import nodes
from wdsl.syntax.parser import parse
from wdsl.text.diagnostics import Diagnostic, Fix, Label, has_errors, in_order, nearest, respelled
from wdsl.text.files import MAX_TEXT, Files, decode, is_of_file
from wdsl.text.source import Source, Span

MAX_FILES = 10_000
"""How many files may be imported, all in all."""

MAX_DEPTH = 50
"""How many constants one may be computed from, one out of the other, and be written so. It is done by recursion."""

LONGEST_CIRCLE = 12
"""How many imports of a circle a report shows."""


class Scope(Record):
    """What the names of one file stand for at its top level, imported ones among them.

    `places` say where the file declares or imports each. `lost` are those that an error was reported for; if `is_whole`
    is false there may be others. `files` reads what the file names by a path.
    """

    source: Source
    files: Files = field(compare=False)
    constants: Mapping[str, Value | Definition | Construction] = field(compare=False)
    constructors: Mapping[str, Constructor] = field(compare=False)
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


Constructor: TypeAlias = Written | Extern


def link(file: nodes.File, files: Files) -> tuple[Scope, tuple[Diagnostic, ...]]:
    """The names of a file, and what is wrong with its declarations and with the files that it imports."""
    name = file.source.name
    main = _File(os.path.realpath(name) if is_of_file(name) else name, file, files)
    problems: list[Diagnostic] = []
    scopes: dict[str, Scope] = {}
    # The files that are being read, each imported by the one before it. It is a list, and `link` does not call itself,
    # since such a chain can be long.
    chain = [main]
    positions = {main.place: 0}
    seen = 1
    while chain:
        importing = chain[-1]
        statement = next(importing.waiting, None)
        if statement is None:
            scopes[importing.place], found = _Reader(importing, scopes).run()
            problems += found
            del positions[chain.pop().place]
            continue
        path, span = str(statement.path.value), statement.path.span
        place = importing.files.find(path, span)
        if isinstance(place, Diagnostic):
            problems.append(place)
        elif place in scopes:
            importing.leads[path] = place
        elif place in positions:
            problems.append(_circle(chain[positions[place] :], statement))
        elif seen > MAX_FILES:
            problems.append(Diagnostic("E0604", f"more than {MAX_FILES:,} files are imported", span))
        else:
            read = _read(importing, path, span, place, problems)
            if read is not None:
                importing.leads[path] = place
                positions[place] = len(chain)
                chain.append(read)
                seen += 1
    return scopes[main.place], in_order(problems)


class _File:
    """A file on the way: what it says, and where its imports lead, as far as they lead anywhere.

    `through` is the path in the file that imports it first.
    """

    def __init__(
        self, place: str, file: nodes.File, files: Files, is_whole: bool = True, through: Span | None = None
    ) -> None:
        self.place = place
        self.through = through
        self.file = file
        self.files = files
        self.is_whole = is_whole
        self.leads: dict[str, str] = {}
        self.waiting: Iterator[nodes.Import | nodes.From] = (
            each for each in file.declarations if isinstance(each, (nodes.Import, nodes.From))
        )


def _read(importing: _File, path: str, span: Span, place: str, problems: list[Diagnostic]) -> _File | None:
    data = importing.files.read(path, span, MAX_TEXT)
    # Reports name it as they name the file that imports it: from the same folder.
    name = os.path.normpath(os.path.join(os.path.dirname(importing.file.source.name), path))
    text = data if isinstance(data, Diagnostic) else decode(data, name)
    if isinstance(text, Diagnostic):
        problems.append(text)
        return None
    file, found = parse(Source(name, text))
    problems += found
    return _File(place, file, importing.files.beyond(place), not has_errors(found), span)


def _circle(chain: list[_File], last: nodes.Import | nodes.From) -> Diagnostic:
    """A report on the import that leads back to the first file of the chain."""
    if len(chain) == 1:
        return Diagnostic("E0607", "a file cannot import itself", last.path.span)
    labels = []
    for importing, imported in pairwise(chain[: LONGEST_CIRCLE + 1]):
        assert imported.through is not None
        text = f"`{importing.file.source.name}` imports `{imported.file.source.name}`"
        labels.append(Label(imported.through, text))
    left_out = len(chain) - 1 - len(labels)
    if left_out:
        labels[-1] = Label(labels[-1].span, f"{labels[-1].text}, and so on, over {left_out} more")
    first, end = chain[0].file.source.name, chain[-1].file.source.name
    message = f"{len(chain)} files import one another in a circle"
    return Diagnostic("E0607", message, last.path.span, f"`{end}` imports `{first}` again", tuple(labels))


class _Reader:
    """The declarations of one file, in their order; what it imports has been read before."""

    def __init__(self, file: _File, scopes: Mapping[str, Scope]) -> None:
        self.read = file
        self.scopes = scopes
        self.problems: list[Diagnostic] = []
        self.constants: dict[str, Value | Definition | Construction] = {}
        self.constructors: dict[str, Constructor] = {}
        self.modules: dict[str, Scope] = {}
        self.places: dict[str, Span] = {}
        # A broken declaration may have had any name in it, but none of Keras's.
        self.lost = {name for name in file.file.lost if not _is_keras(name)}
        # What constants so far may be computed from; None stands for those that are lost.
        self.known: dict[str, Named] = dict.fromkeys(self.lost)

    def error(self, code: str, message: str, span: Span, label: str = "", **more: Any) -> None:
        self.problems.append(Diagnostic(code, message, span, label, **more))

    def run(self) -> tuple[Scope, list[Diagnostic]]:
        written: list[nodes.Block | nodes.Network] = []
        for each in self.read.file.declarations:
            match each:
                case nodes.Import():
                    self.module(each)
                case nodes.From():
                    self.names_from(each)
                case nodes.Const():
                    self.constant(each)
                case nodes.Def():
                    self.function(each)
                case nodes.Extern():
                    self.extern(each)
                case nodes.Block():
                    self.case(each.name, "a block", capital=True)
                    self.not_of_keras(each.name)
                    if self.declare(each.name):
                        written.append(each)
                case nodes.Network():  # its name is looked at when it is compiled
                    if self.declare(each.name) and not _is_keras(each.name.id):
                        written.append(each)
        for block in written:
            # Those of a network are looked at when it is compiled.
            for parameter in block.parameters if isinstance(block, nodes.Block) else ():
                self.declare(parameter.name, keep=False)
        scope = Scope(
            self.read.file.source,
            self.read.files,
            self.constants,
            self.constructors,
            self.modules,
            self.places,
            frozenset(self.lost),
            self.read.is_whole,
        )
        # What is in a scope points back to it, and so comes into it when there is one.
        self.constructors.update((each.name.id, Written(each, scope)) for each in written)
        return scope, self.problems

    def declare(self, name: nodes.Name, keep: bool = True) -> bool:
        """Take a name, unless it is not to be kept; False, after a report, if something has it."""
        if name.id in self.places:
            where = (Label(self.places[name.id], "first here"),)
            self.error("E0202", f"`{name.id}` is declared twice", name.span, "again here", labels=where)
            return False
        if keep:
            self.places[name.id] = name.span
        return True

    def not_of_keras(self, name: nodes.Name) -> None:
        if _is_keras(name.id):
            self.error("E0207", f"`{name.id}` is a class of Keras", name.span, "it would not mean that any more")

    def case(self, name: nodes.Name, what: str, capital: bool) -> None:
        if name.id[0].isupper() if capital else not name.id[0].isupper():
            return
        changed = name.id[0].upper() if capital else name.id[0].lower()
        self.error(
            "E0203",
            f"the name of {what} begins with a {'capital' if capital else 'small letter'}",
            name.span,
            "`Capital` names construct, `lowercase` names are things that exist",
            fix=Fix(name.span, changed + name.id[1:]) if changed != name.id[0] else None,
        )

    def imported(self, path: nodes.Literal) -> Scope | None:
        """The names of the file that a path leads to; None if that was reported to lead nowhere."""
        place = self.read.leads.get(str(path.value))
        return None if place is None else self.scopes[place]

    def module(self, node: nodes.Import) -> None:
        self.case(node.name, "an imported file", capital=False)
        found = self.imported(node.path)
        if not self.declare(node.name):
            return
        if found is None:
            self.lose(node.name)
        else:
            self.take(node.name.id, found)

    def take(self, name: str, module: Scope) -> None:
        self.modules[name] = module
        self.known.update({f"{name}.{each}": None for each in module.lost})
        if not module.is_whole:
            self.known[name] = None
        self.known.update({f"{name}.{each}": value for each, value in module.constants.items()})

    def lose(self, name: nodes.Name) -> None:
        """Say nothing of a name any more."""
        self.lost.add(name.id)
        self.known[name.id] = None

    def names_from(self, node: nodes.From) -> None:
        found = self.imported(node.path)
        for name in node.names:
            if found is not None and name.id in found.constructors:
                self.not_of_keras(name)
            if not self.declare(name):
                continue
            if found is None:
                self.lose(name)
            elif name.id in found.constants:
                self.constants[name.id] = self.known[name.id] = found.constants[name.id]
            elif name.id in found.constructors:
                self.constructors[name.id] = found.constructors[name.id]
            elif name.id in found.modules:
                self.take(name.id, found.modules[name.id])
            else:
                self.lose(name)
                if not found.has_lost(name.id):
                    near = nearest(name.id, found.names())
                    label = f"did you mean `{near}`?" if near else ""
                    fix = Fix(name.span, near) if near else None
                    self.error("E0201", f"`{found.source.name}` has no `{name.id}`", name.span, label, fix=fix)

    def constant(self, node: nodes.Const) -> None:
        self.case(node.name, "a constant", capital=False)
        fresh = self.declare(node.name)
        match node.value:
            case nodes.Call(nodes.Name() as name) as call if name.id[0].isupper():
                if not self.constructs(name, call):
                    self.lose(node.name)
                elif fresh:
                    construction = Construction(call, dict(self.known), dict(self.modules))
                    self.constants[node.name.id] = self.known[node.name.id] = construction
                return
        value = None
        try:
            value = constants.folded(evaluate(node.value, self.known, counted()))
        except NoConstant as error:
            self.problems += [self.or_later(error.diagnostic)] if error.diagnostic else []
        if fresh and value is not None:
            key = f"{node.span.source.name}:{node.span.start}"
            expression = value.expression
            depth = 1 + max((each.depth for each in ex.walk(expression) if isinstance(each, ex.Named)), default=0)
            if depth > MAX_DEPTH:
                expression, depth = constants.written(value.value), 1
            named = Value(value.value, ex.Named(node.name.id, key, expression, node.doc, depth))
            self.constants[node.name.id] = self.known[node.name.id] = named
        elif fresh:
            self.lose(node.name)

    def constructs(self, name: nodes.Name, node: nodes.Call) -> bool:
        """Whether a constant can be what is constructed here; False after a report."""
        before = len(self.problems)
        registries = (INITIALIZERS, REGULARIZERS, CONSTRAINTS)
        if not any(name.id in each for each in registries):
            if name.id in LAYERS or name.id in self.constructors:
                label = "layers are declared in networks and blocks"
                hint = f"`= {name.id}` is this kind of layer, for `block B(norm: layer = …)`"
                self.error("E0205", "a layer is no constant", node.span, label, hint=hint)
            else:
                known = [each for registry in registries for each in registry if each[0].isupper()]
                near = nearest(name.id, known)
                label = f"did you mean `{near}`?" if near else ""
                fix = respelled(name.span, near, known)
                self.error("E0301", f"there is no initializer `{name.id}`", name.span, label, fix=fix)
        for each in node.arguments:
            try:
                evaluate(each.value, self.known, counted())
            except NoConstant as error:
                self.problems += [self.or_later(error.diagnostic)] if error.diagnostic else []
        return len(self.problems) == before

    def function(self, node: nodes.Def) -> None:
        self.case(node.name, "a function", capital=False)
        if not self.declare(node.name):
            return
        before = len(self.problems)
        names = [each.name for each in node.parameters]
        for number, name in enumerate(names):
            first = next((each for each in names[:number] if each.id == name.id), None)
            if first:
                where = (Label(first.span, "first here"),)
                self.error("E0202", f"`{name.id}` is declared twice", name.span, "again here", labels=where)
            if name.id in self.known:
                self.problems.append(again(name))
        for each in node.parameters:
            if problem := unknown_type(each):
                self.problems.append(problem)
            if each.default:
                try:
                    evaluate(each.default, self.known, counted())
                except NoConstant as error:
                    self.problems += [self.or_later(error.diagnostic)] if error.diagnostic else []
        known = {*self.known, *(name.id for name in names), *constants.NAMES, *constants.FUNCTIONS}
        for name in free_names(node.value):
            if name.id == node.name.id:
                self.error("E0213", f"`{name.id}` is used within itself", name.span)
            elif (
                name.id not in known
                and name.id not in self.modules
                and self.read.is_whole
                and constants.word(name.id) is None
            ):
                near = nearest(name.id, known)
                label = f"did you mean `{near}`?" if near else ""
                fix = Fix(name.span, near) if near else None
                problem = Diagnostic("E0201", f"`{name.id}` is not known here", name.span, label, fix=fix)
                self.problems.append(self.or_later(problem))
        if len(self.problems) > before:
            self.lose(node.name)
        else:
            self.constants[node.name.id] = self.known[node.name.id] = Definition(node, dict(self.known))

    def or_later(self, problem: Diagnostic) -> Diagnostic:
        """A report; if it is on a name that is not known, another one if that is declared further down."""
        for each in self.read.file.declarations:
            if (
                problem.code == "E0201"
                and isinstance(each, nodes.Const | nodes.Def)
                and each.name.id == problem.span.text
            ):
                where = (Label(each.name.span, "it is declared here, further down"),)
                message = f"`{each.name.id}` is used before it is declared"
                return Diagnostic("E0204", message, problem.span, labels=where)
        return problem

    def extern(self, node: nodes.Extern) -> None:
        self.case(node.name, "a class of layers", capital=True)
        self.not_of_keras(node.name)
        fresh = self.declare(node.name)
        row = read_extern(node, dict(self.known), self.problems)
        if fresh and row is not None:
            self.constructors[node.name.id] = row
        elif fresh:
            self.lose(node.name)


def _is_keras(name: str) -> bool:
    return any(name in registry for registry in (LAYERS, INITIALIZERS, REGULARIZERS, CONSTRAINTS))
