"""Constructors as values: constants that construct something, and kinds of layers that have small names."""

from __future__ import annotations

from wdsl import catalog
from wdsl.link.constants import LayerClass, Value
from wdsl.link.evaluation import Construction
from wdsl.network.elaboration import Elaboration
from wdsl.network.objects import BROKEN, Broken, Frame, Result
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix
from wdsl.text.source import Span


def construct_constant(
    here: Elaboration,
    found: Construction,
    node: nodes.Expression,
    wanted: str = "initializer, regularizer, constraint",
) -> Result:
    """What `const init = HeNormal()` constructs, in the place of `node`."""
    names: dict[str, Result] = {
        **{name: BROKEN if value is None else value for name, value in found.constants.items()},
        **found.modules,
    }
    assert isinstance(found.node.function, nodes.Name)
    name = found.node.function
    frame = Frame(here.frame.scope, (), names, use=node.span)
    return here.inside(frame, lambda: here.construct(name, found.node, wanted))


def class_of(here: Elaboration, function: nodes.Expression) -> Value | None:
    """The kind of layer that a small name stands for, the parameter of a block: `norm` in `norm(epsilon=0.001)`."""
    found = here.names.get(function.id) if isinstance(function, nodes.Name) else None
    return found if isinstance(found, Value) and isinstance(found.value, LayerClass) else None


def no_instance(here: Elaboration, found: Value, span: Span) -> Broken:
    """Report a kind of layer where a layer is needed."""
    name = found.value.name
    complete = not any(argument.required for argument in catalog.LAYERS[name].arguments)
    fix = Fix(span, f"{span.text}()", safe=complete)
    return here.error("E0205", f"`{span.text}` is a kind of layer, not a layer", span, fix=fix)
