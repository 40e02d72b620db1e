"""Which class is written for what the plan constructs: all classes of a module, and the functions that they call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wdsl.backends.classes import (
    MODULES,
    REFUSED,
    TEMPLATES,
    WAYS,
    CellWriter,
    ConstantWriter,
    RandomWriter,
    Render,
    SharedWriter,
    Writer,
)
from wdsl.backends.coupled import CoupledWriter
from wdsl.backends.fitting import fitted
from wdsl.backends.wrapped import WrappedWriter
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.plan.kinds import Kind
from wdsl.plan.plan import Plan


class Written(Record):
    """Classes and functions as text, in the order in which they stand, and the modules that they import.

    `needs` are the parameters of the network that a class takes, by its name: each with the argument's name.
    """

    texts: tuple[str, ...]
    modules: frozenset[str]
    needs: Mapping[str, Mapping[str, str]]


def write_classes(
    kinds: Sequence[Kind], plan: Plan, files: Mapping[str, str], names: Mapping[str, str], render: Render
) -> Written:
    """The classes of a network's layers, and the functions that they call.

    `files` are where the masks in the equations come from, by their names; `names` are the identifiers of what stands
    beside the classes; `render` fills the template of a name.
    """
    if any(each.form in ("Shared",) for each in kinds) and not any(each.name == "Shared" for each in kinds):
        kinds = [Kind("Shared", "Shared", None, None, ()), *kinds]
    kinds = sorted(kinds, key=lambda each: each.name != "Shared")  # others are subclasses of it
    writers = [WRITERS[each.form](each, plan, files, names) for each in kinds]
    texts = [fitted(render(each.template, each.parts())) for each in writers]
    packed = ex.Symbol("PackedMask")
    functions = sorted({name for each in writers for name in each.functions})
    functions += ["unpacked"] if any(packed in ex.parts(each) for each in plan.constants.values()) else []
    ways = frozenset().union(*(each.ways for each in writers))
    contexts: dict[str, Mapping[str, Any]] = {"Placement": {name: name in ways for name in WAYS}}
    contexts |= {name: context for each in writers for name, context in each.contexts.items()}
    written = {name: fitted(render(TEMPLATES.get(name, name), contexts.get(name, {}))) for name in functions}
    first = [written.pop(REFUSED)] if REFUSED in written else []
    texts = [*first, *texts, *written.values()]
    modules = {name for text in texts for name in MODULES.findall(text)}
    return Written(tuple(texts), frozenset(modules), {each.kind.name: each.needs for each in writers})


def _writer_of_layer(kind: Kind, plan: Plan, files: Mapping[str, str], names: Mapping[str, str]) -> Writer:
    return (CellWriter if any("/" in each.key for each in kind.weights) else Writer)(kind, plan, files, names)


WRITERS: Mapping[str, Callable[[Kind, Plan, Mapping[str, str], Mapping[str, str]], Writer]] = {
    "Structured": _writer_of_layer,
    "Wrapped": WrappedWriter,
    "Shared": SharedWriter,
    "Coupled": CoupledWriter,
    "Constant": ConstantWriter,
    "Random": RandomWriter,
}
