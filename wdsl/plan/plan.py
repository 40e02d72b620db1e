"""The build plan: the network as functions of Python, which both backends follow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from os.path import basename, splitext
from typing import TYPE_CHECKING

from wdsl.core import expressions as ex
from wdsl.core.record import Record, field
from wdsl.network import graph
from wdsl.plan.kinds import Kind
from wdsl.plan.statements import Body, Function, expressions, mapped
from wdsl.plan.steps import Planner, unique
from wdsl.plan.tidy import tidy
from wdsl.text.diagnostics import Diagnostic
from wdsl.weights.structures import Structures

if TYPE_CHECKING:
    from wdsl.network.outline import Outline


class Plan(Record):
    """A function of the network's parameters that returns a `keras.Model`, and the functions that it calls.

    `constants` are the tables that they use, by name. They are made once, beside the functions.
    """

    network: graph.Network
    structures: Structures
    body: Body
    result: ex.Expression
    functions: tuple[Function, ...]
    constants: Mapping[str, ex.Expression]
    kinds: tuple[Kind, ...]
    """The classes of layers and weights that a module has for them, of which the statements construct some."""
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False)
    """What of the file these statements do not keep, with the place and the reason: warnings."""

    @cached_property
    def externals(self) -> tuple[str, ...]:
        """The paths of the classes that are neither Keras's nor the runtime's."""
        return tuple(sorted({part.path for part in self.parts() if isinstance(part, ex.External)}))

    def parts(self) -> Iterator[ex.Expression]:
        """Every expression in the functions, and what is in it."""
        bodies = (self.body, *(each.everything for each in self.functions))
        for expression in (*(each for body in bodies for each in expressions(body)), self.result):
            yield from ex.walk(expression)
        parameters = [*self.network.parameters, *(each for function in self.functions for each in function.parameters)]
        for given in (
            *(each.results for each in self.functions),
            (each.default for each in parameters),
            (each.computed for each in parameters),
        ):
            for each in given:
                yield from ex.walk(each) if each else ()

    @property
    def named(self) -> tuple[ex.Named | ex.Defined, ...]:
        """The constants and functions of the file that are needed, each after those that it is computed from."""
        found: dict[str, ex.Named | ex.Defined] = {}

        def add(expression: ex.Expression) -> None:
            for each in ex.walk(expression):
                if not isinstance(each, ex.Named | ex.Defined) or each.key in found:
                    continue
                for of in (each.value,) if isinstance(each, ex.Named) else (each.body, *_defaults(each)):
                    add(of)
                found[each.key] = each

        for part in self.parts():
            if isinstance(part, ex.Named | ex.Defined):
                add(part)
        return tuple(found.values())


def _defaults(function: ex.Defined) -> Iterator[ex.Expression]:
    return (default for _, _, default in function.parameters if default is not None)


def make_plan(
    network: graph.Network, structures: Structures, outline: Outline | None = None, notes: tuple[Diagnostic, ...] = ()
) -> Plan:
    """The statements in the order of the file. A shared weight is made as soon as there is an input to hang it on.

    Without an outline, or if none of it fits all of the network, they are those that the network was carried out to.
    `notes` say why there is none.
    """
    planner = Planner(network, structures, [each.node.name.id for each in outline.instances] if outline else [])
    functions: tuple[Function, ...] = ()
    body: Body | None = None
    if outline is not None:
        from wdsl.network.outline import not_kept
        from wdsl.plan.rolling import NotAlike, roll

        reason, place = "it nests too deeply", network.span
        try:
            body, functions, notes = roll(planner, outline)
        except NotAlike as error:
            reason, place = error.args
        except RecursionError:  # what is carried out is a list, however deep
            pass
        if body is None:
            notes = (not_kept(f"the loops and blocks of `{network.name}` are written out", place, reason),)
    is_rolled = body is not None
    if body is None:
        body = planner.carried_out()
    parameters = [each.name for each in network.parameters]
    body, result, functions = tidy(body, _model(network, is_rolled), functions, parameters)
    names = _constants([*expressions(body), *(e for each in functions for e in expressions(each.everything))], network)
    if names:

        def named(expression: ex.Expression) -> ex.Expression:
            return ex.replaced(expression, names.get)

        body = mapped(body, named)
        functions = tuple(
            each.replace(made=each.made and mapped(each.made, named), body=mapped(each.body, named))
            for each in functions
        )
    constants = {variable.name: table for table, variable in names.items()}
    kinds = planner.kinds.found(names)
    return Plan(network, structures, body, result, functions, constants, kinds, notes)


def _constants(found: Iterable[ex.Expression], network: graph.Network) -> dict[ex.Expression, ex.Variable]:
    """A name for each mask from a file, in capitals as constants have: `CONNECTIONS` for `connections.csv`."""
    names: dict[ex.Expression, ex.Variable] = {}
    # They stand in annotations alone, and most networks have none.
    stated = (*(each.expression for each in network.equations), *(each.region for each in network.ties if each.region))
    if not any(part in (ex.Symbol("Mask"), ex.Symbol("PackedMask")) for each in stated for part in ex.walk(each)):
        return names
    taken = {network.name, *graph.NEEDED}
    for expression in found:
        for part in ex.walk(expression):
            match part:
                case ex.Call(ex.Symbol("Mask" | "PackedMask"), (ex.Constant(str(path)), *_)) if part not in names:
                    word = re.sub("[^A-Z0-9]+", "_", splitext(basename(path))[0].upper()).strip("_")
                    # Linters refuse some names of one letter.
                    fits = word[:1].isalpha() and len(word) > 1
                    name = unique(word if fits else f"MASK_{word}".rstrip("_"), taken)
                    taken.add(name)
                    names[part] = ex.Variable(name)
    return names


def _model(network: graph.Network, is_rolled: bool) -> ex.Expression:
    """`keras.Model(x, y, name="Net")`; of families lists and dictionaries, whatever their size."""
    inputs: list[ex.Expression] = []
    for each in network.inputs:
        if not (each.family and is_rolled):
            inputs.append(ex.Variable(each.name))
        elif (members := ex.Unpacked(_values(each.family))) not in inputs:
            inputs.append(members)
    outputs: list[tuple[str, ex.Expression]] = []
    for output in network.outputs:
        if not (output.family and is_rolled):
            outputs.append((output.name, ex.Variable(output.variable)))
        elif (pair := (ex.UNPACKED, ex.Variable(output.family))) not in outputs:
            outputs.append(pair)
    given: ex.Expression = ex.Sequence(tuple(inputs), list)
    if isinstance(inputs[0], ex.Unpacked) and len(inputs) == 1:
        given = ex.Call(ex.Symbol("list"), (inputs[0].values,))
    elif len(inputs) == 1 and not network.inputs[0].family:
        given = inputs[0]
    found: ex.Expression = ex.Mapped(tuple(outputs))
    if len(outputs) == 1 and (outputs[0][0] == ex.UNPACKED or not network.outputs[0].family):
        found = outputs[0][1]
    return ex.Call(ex.Symbol("keras.Model"), (given, found), (("name", ex.Constant(network.name)),))


def _values(family: str) -> ex.Expression:
    """The members of a family, in the order in which they were made."""
    return ex.Call(ex.Attribute(ex.Variable(family), "values"))
