"""What calls with a capital construct: layers, initializers and their like, blocks, classes from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from wdsl import catalog
from wdsl.catalog import Constructed
from wdsl.catalog.versions import too_old
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.evaluation import Construction
from wdsl.link.externs import Extern
from wdsl.link.imports import Constructor, Scope
from wdsl.network.arguments import bind
from wdsl.network.blocks import construct as construct_block
from wdsl.network.elaboration import Elaboration
from wdsl.network.objects import (
    BROKEN,
    BlockObject,
    Broken,
    ConstructedObject,
    LayerObject,
    Result,
)
from wdsl.network.values import construct_constant
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix, nearest, respelled
from wdsl.text.source import Span

Made: TypeAlias = LayerObject | BlockObject | Broken


def construct(here: Elaboration, name: nodes.Name, node: nodes.Call, wanted: str = "layer") -> Result:
    """`Dense(64)`, `HeNormal(seed=1)`. `Identity()` is a layer or an initializer, as the place wants it."""
    scope = here.frame.scope
    if name.id in scope.constructors:
        return construct_written(here, scope.constructors[name.id], node)
    if scope.has_lost(name.id):
        return BROKEN
    registries = (catalog.INITIALIZERS, catalog.REGULARIZERS, catalog.CONSTRAINTS)
    kind = next((registry[name.id] for registry in registries if name.id in registry), None)
    if name.id in catalog.LAYERS and not (kind and kind.kind in wanted):
        row = catalog.LAYERS[name.id]

        def make() -> LayerObject | Broken:
            if is_later(here, row, "E0301", f"there is no layer `{name.id}`", name.span):
                return BROKEN
            return layer_of(here, row, ex.Symbol(f"layers.{row.name}"), row.name, node.arguments, node.span)

        return once(here, node.span, make)
    if kind is not None:
        bound = bind(here, kind.name, kind.arguments, [], node.arguments, node.span)
        if bound is None:
            return BROKEN
        call = ex.Call(ex.Symbol(f"{kind.kind}s.{kind.name}"), bound.positional, bound.keywords)
        return ConstructedObject(Constructed(kind.kind, kind.name, bound.values), call)
    if name.id in catalog.REFUSED:
        message = f"a file cannot have the layer `{name.id}` of Keras"
        return here.error("E0311", message, name.span, hint=catalog.REFUSED[name.id])
    fitting = [registry for registry in registries if next(iter(registry.values())).kind in wanted]
    known = [each for registry in fitting or registries for each in registry if each[0].isupper()]
    if not fitting or "layer" in wanted:
        known = [*scope.constructors, *catalog.LAYERS, *known]
    near = nearest(name.id, known)
    fix = respelled(name.span, near, known)
    if fix and near in scope.constructors:
        fix = fix.replace(safe=False)
    return here.error(
        "E0301",
        f"there is no {next(iter(fitting[0].values())).kind if fitting else 'layer'} `{name.id}`",
        name.span,
        f"did you mean `{near}`?" if near else "",
        fix=fix,
    )


def once(here: Elaboration, span: Span, make: Callable[[], Made]) -> Made:
    """What is constructed at a place of a body. A block that is applied again finds what it has there."""
    block, key = here.frame.block, here.frame.key(span)
    if block is not None and key in block.made:
        return block.made[key]
    made = make()
    if block is not None and not isinstance(made, Broken):
        block.made[key] = made
    return made


def layer_of(
    here: Elaboration,
    row: catalog.Layer,
    function: ex.Expression,
    callee: str,
    arguments: Sequence[nodes.Argument],
    span: Span,
) -> LayerObject | Broken:
    """A layer of a row of the catalogue: `function` is its class, and `callee` what reports call it."""
    bound = bind(here, callee, row.arguments, [], arguments, span)
    if bound is None:
        return BROKEN
    call = ex.Call(function, bound.positional, bound.keywords)
    return LayerObject(row, bound.values, bound.given, call, span)


def construct_of_class(here: Elaboration, found: Value, node: nodes.Call) -> Made:
    """`norm(epsilon=0.001)`"""
    row = catalog.LAYERS[found.value.name]

    def make() -> LayerObject | Broken:
        made = layer_of(here, row, found.expression, row.name, node.arguments, node.span)
        if isinstance(made, LayerObject) and isinstance(node.function, nodes.Name):
            made.of_class = node.function.id
        return made

    return once(here, node.span, make)


def construct_of_module(here: Elaboration, module: nodes.Name, name: nodes.Name, node: nodes.Call) -> Result:
    """`attention.Encoder(64)`"""
    scope = here.frame.scope.modules.get(module.id)
    if scope is None:
        if here.frame.scope.has_lost(module.id) or isinstance(here.names.get(module.id), Broken):
            return BROKEN
        near = nearest(module.id, here.frame.scope.modules)
        label = f"did you mean `{near}`?" if near else ""
        return here.error("E0201", f"no file is imported as `{module.id}`", module.span, label)
    if name.id in scope.constructors:
        return construct_written(here, scope.constructors[name.id], node)
    return not_in_file(here, scope, name)


def construct_written(here: Elaboration, found: Constructor, node: nodes.Call) -> Result:
    """What is not of Keras: a block or network, or a class that the file names with `extern`."""

    def make() -> Made:
        return construct_extern(here, found, node) if isinstance(found, Extern) else construct_block(here, found, node)

    return once(here, node.span, make)


def construct_extern(here: Elaboration, found: Extern, node: nodes.Call) -> LayerObject | Broken:
    bound = bind(here, found.name, found.arguments, [], node.arguments, node.span)
    if bound is None:
        return BROKEN
    # Defaults are the declaration's, whatever the class has: they go with the call.
    defaults = tuple(
        (each.name, constants.written(each.default))
        for each in found.arguments
        if not each.required and each.name not in bound.given
    )
    call = ex.Call(ex.External(found.path), bound.positional, (*bound.keywords, *defaults))
    return LayerObject(found, bound.values, bound.given, call, node.span)


def is_later(here: Elaboration, row: catalog.Layer | catalog.Function, code: str, message: str, span: Span) -> bool:
    """Whether the installed Keras does not have it yet, which is reported."""
    old = too_old(row.since)
    if old:
        here.error(code, f"{message} in Keras {old}, which is installed", span, f"it came with Keras {row.since}")
    return old is not None


def construct_initializer(here: Elaboration, node: nodes.Expression) -> ConstructedObject | Broken:
    found = here.names.get(node.id) if isinstance(node, nodes.Name) else None
    value: Result | None = None
    if isinstance(found, Construction):
        value = construct_constant(here, found, node, "initializer")
    elif isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name) and node.function.id[0].isupper():
        value = here.construct(node.function, node, "initializer")
    if value is not None:
        if isinstance(value, Broken):
            return value
        if isinstance(value, ConstructedObject) and value.object.kind == "initializer":
            return value
    classes = [name for name in catalog.INITIALIZERS if name[0].isupper()]
    words = node.id.replace("_", " ").title().replace(" ", "") if isinstance(node, nodes.Name) else ""
    near = words if words in classes else nearest(words, classes)
    fix = Fix(node.span, f"{near}()", safe=near == words) if near else None
    label = f"did you mean `{near}()`?" if near else "write one as `GlorotUniform()`"
    return here.error("E0205", "this is no initializer", node.span, label, fix=fix)


def not_in_file(here: Elaboration, file: Scope, name: nodes.Name) -> Broken:
    """Report a name that an imported file does not have."""
    if file.has_lost(name.id):
        return BROKEN
    near = nearest(name.id, {*file.constants, *file.constructors})
    return here.error(
        "E0201",
        f"`{file.source.name}` has no `{name.id}`",
        name.span,
        f"did you mean `{near}`?" if near else "",
        fix=Fix(name.span, near) if near else None,
    )


def constructs(function: nodes.Name | nodes.Attribute) -> bool:
    """Whether a call of it constructs something: `Dense`, or `attention.Encoder` of a file."""
    name = function.name if isinstance(function, nodes.Attribute) else function
    return name.id[0].isupper()
