"""Families: layers, tensors, inputs and outputs that have one name and indices."""

from __future__ import annotations

from collections.abc import Sequence

from wdsl.catalog.argument_types import is_whole
from wdsl.core import expressions as ex
from wdsl.link.constants import Value
from wdsl.network.elaboration import Elaboration
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    FamilyObject,
    LayerObject,
    Result,
    Tensor,
    kind_of,
)
from wdsl.network.outline import given_inside, item_of
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Label, listed


def indices_of(here: Elaboration, nodes_: Sequence[nodes.Expression]) -> tuple[Value, ...] | None:
    """The indices of a member of a family, none for what is no member; None after a report."""
    found: list[Value] = []
    for node in nodes_:
        value = here.evaluate(node)
        if isinstance(value, Value) and is_whole(value.value):
            found.append(value)
            here.decide(value)
            continue
        if not isinstance(value, Broken):
            here.error("E0205", f"an index is a whole number, not {kind_of(value)}", node.span)
        return None
    return tuple(found)


def path_of(here: Elaboration, name: str, indices: Sequence[int]) -> str:
    """What the whole network calls something of a body, if nothing else is called so."""
    path = here.frame.path
    return "_".join([*([path] if path else []), name, *map(str, indices)]).replace("-", "minus_")


class Member:
    """A member of a family of tensors, inputs or outputs that a statement declares.

    `name` is what the whole network calls it, and `held` what holds it in the body that it stands in.
    """

    def __init__(self, here: Elaboration, family: nodes.Name, indices: Sequence[nodes.Expression], of: str) -> None:
        self.here = here
        self.family = family
        self.of = of
        self.given = indices_of(here, indices) or ()
        self.indices = tuple(int(each.value) for each in self.given)
        self.is_declared = bool(self.given) and self._declare()
        self.name = here.unique(path_of(here, family.id, self.indices)) if self.is_declared else ""
        self.held = item(family.id, self.given, of == "outputs")
        if not self.is_declared:
            here.names.setdefault(family.id, BROKEN)

    def _declare(self) -> bool:
        here, name = self.here, self.family
        known = here.names.get(name.id)
        if not isinstance(known, FamilyObject):
            if not here.declare(name, f"a family of {self.of}"):
                return False
            here.names[name.id] = FamilyObject(self.of)
            return True
        if known.of != self.of:
            where = (Label(here.frame.declared[name.id], "here"),) if name.id in here.frame.declared else ()
            here.error("E0202", f"`{name.id}` is a family of {known.of} already", name.span, labels=where)
            return False
        if self.of != "tensors" and self.indices in known.members:
            here.error("E0202", f"`{name.id}[{', '.join(map(str, self.indices))}]` is declared twice", name.span)
            return False
        return True

    def stands_for(self, found: Tensor | Broken) -> None:
        """Let the member stand for a tensor from here on."""
        family = self.here.names[self.family.id]
        assert isinstance(family, FamilyObject)
        family.members[self.indices] = found


def item(family: str, indices: Sequence[Value], is_output: bool = False) -> ex.Expression:
    """`skip[i]`; outputs are held under their names, `task[f"task_{i}"]`."""
    given = [each.expression for each in indices]
    if not is_output:
        return item_of(family, given)
    parts: list[str | ex.Expression] = [family]
    for each in given:
        parts += ["_", ex.inside(each)]
    return ex.Subscript(ex.Variable(family), ex.joined(parts))


def member(here: Elaboration, family: FamilyObject, node: nodes.Subscript) -> Result:
    """`conv[i]`, `skip[i]`: a member of a family."""
    given = indices_of(here, node.items)
    if given is None:
        return BROKEN
    indices = tuple(int(each.value) for each in given)
    found = family.members.get(indices)
    if found is None:
        known = listed([f"[{', '.join(map(str, each))}]" for each in list(family.members)[:8]])
        return here.error("E0201", f"there is no member `{node.span.text}`", node.span, f"there are {known}")
    if isinstance(node.value, nodes.Name):
        if isinstance(found, (LayerObject, BlockObject)):
            found.variable = item_of(node.value.id, [each.expression for each in given])  # as it is known here
        elif isinstance(found, Tensor):
            held = item(node.value.id, given, family.of == "outputs")
            outside = Tensor(found.spec, ex.outside(found.expression))
            return (
                given_inside(outside, held)
                if here.frame.passes or here.frame.block
                else Tensor(found.spec, ex.seen(held, outside.expression))
            )
    return found
