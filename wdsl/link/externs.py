"""`extern`: a class of layers that someone wrote in Python, as a row beside the catalogue's.

    extern GatedDense(units: int) = mypackage.layers.GatedDense : [..., n] -> [..., units]

The row is made of what the declaration says. The class itself is imported when a model is built, and not before.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from wdsl.catalog import Argument, CatalogError, Inferred, Layer, TensorSpec, describe, show, show_shape
from wdsl.catalog.argument_types import fits, is_whole
from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.shapes import axes_phrase
from wdsl.catalog.signatures import base_arguments
from wdsl.core.record import field
from wdsl.core.sizes import expression_of
from wdsl.link import constants
from wdsl.link.constants import PARAMETER_TYPES, Value
from wdsl.link.evaluation import Named, Names, NoConstant, evaluate, unknown_type
from wdsl.syntax import nodes
from wdsl.syntax.printer import print_expression
from wdsl.text.diagnostics import Diagnostic, Fix, Label
from wdsl.text.source import Span

OF_EVERY_LAYER = {each.name: each for each in base_arguments("activity_regularizer, trainable, dtype, autocast")}
"""Arguments that mean the same to every layer of Keras, whatever type a declaration gives them."""

_OF_EXTERNS = tuple(name for name in PARAMETER_TYPES if name != "layer")
_NO_MODULES = ("__future__", "__debug__")
_ANY_SIZE = constants.constant(1)


class Extern(Layer):
    """A row for a class outside Keras: where it is, what it takes, and the shapes before and after.

    `constants` are those that its shapes may refer to. What weights it has is not known.
    """

    path: str = field(kw_only=True)
    parameters: tuple[Argument, ...] = field(kw_only=True)
    takes: tuple[nodes.Expression, ...] = field(kw_only=True)
    gives: tuple[nodes.Expression, ...] = field(kw_only=True)
    constants: Names = field(kw_only=True, compare=False)

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        return self.parameters


def read_extern(node: nodes.Extern, names: Names, problems: list[Diagnostic]) -> Extern | None:
    """The row, or None after a report. `names` are the constants above the declaration."""
    found = [*_path(node.path), *_patterns(node, names)]
    parameters: list[Argument] = []
    for each in node.parameters:
        try:
            parameters.append(_parameter(each, names))
        except NoConstant as error:
            found += [error.diagnostic] if error.diagnostic else []
    for at, each in enumerate(node.parameters):
        for before in node.parameters[:at]:
            if before.name.id == each.name.id:
                where = (Label(before.name.span, "first here"),)
                found.append(
                    Diagnostic("E0202", f"`{each.name.id}` is declared twice", each.name.span, "again here", where)
                )
                break
    problems += found
    if found or len(parameters) < len(node.parameters):
        return None
    return Extern(
        name=node.name.id,
        signature="",
        rule=_infer,
        keywords="",
        path=node.path.id,
        parameters=tuple(parameters),
        takes=node.takes,
        gives=node.gives,
        constants=names,
        is_foreign=True,
    )


def _path(path: nodes.Name) -> list[Diagnostic]:
    """What is wrong with a dotted path. It goes into an import statement, so it must be names and nothing else."""
    parts = path.id.split(".")
    for part in parts:
        if keyword.iskeyword(part) or part in _NO_MODULES:
            return [Diagnostic("E0205", f"`{part}` is a word of Python's own, and no name", path.span)]
    if len(parts) == 1:
        label = "the module that it is in is missing"
        hint = f"write `mypackage.{path.id}`"
        return [Diagnostic("E0205", f"`{path.id}` is not the whole path of a class", path.span, label, hint=hint)]
    return []


def _parameter(parameter: nodes.Parameter, names: Names) -> Argument:
    """Raises NoConstant."""
    name, span = parameter.name.id, parameter.name.span
    if name == "name":
        label = "wdsl gives it the name that the layer is declared with"
        raise NoConstant(Diagnostic("E0207", "`name` is an argument that every layer has", span, label))
    if not (name[0].islower() or name[0] == "_"):
        fix = Fix(span, name[0].lower() + name[1:])
        raise NoConstant(Diagnostic("E0203", "the name of a parameter begins with a small letter", span, fix=fix))
    if keyword.iskeyword(name):
        message = f"`{name}` is a word of Python's own, which no argument can be called"
        raise NoConstant(Diagnostic("E0205", message, span))
    declared = parameter.type.id if parameter.type else None
    if problem := unknown_type(parameter, _OF_EXTERNS):
        raise NoConstant(problem)
    if name in OF_EVERY_LAYER:
        type_ = OF_EVERY_LAYER[name].type
    elif declared is None:
        type_ = "optional any"
    else:
        type_ = f"optional {declared.removesuffix('?')}" if declared.endswith("?") else declared
    if parameter.default is None:
        return Argument(name, type_)
    default = evaluate(parameter.default, names).plain()
    if not fits(type_, default):
        message = f"the default of `{name}` must be {describe(type_)}, not {show(default)}"
        raise NoConstant(Diagnostic("E0308", message, parameter.default.span))
    return Argument(name, type_, default)


def _patterns(node: nodes.Extern, names: Names) -> list[Diagnostic]:
    """What is wrong with the shapes: names that no size of the input gives, and a `...` too many."""
    found: list[Diagnostic] = []
    rests = [each for each in node.takes if isinstance(each, nodes.Rest)]
    given = [each for each in node.gives if isinstance(each, nodes.Rest)]
    for rest in rests[1:]:
        where = (Label(rests[0].span, "the first"),)
        found.append(Diagnostic("E0205", "a second `...` in one shape", rest.span, "which axes would it be?", where))
    for rest in given[len(rests[:1]) :]:
        label = "the shape before the arrow has no more of them"
        found.append(Diagnostic("E0205", "this `...` stands for no axes", rest.span, label))
    known: dict[str, Named] = {**names, **{each.name.id: _ANY_SIZE for each in node.parameters}}
    for each in node.takes:
        if isinstance(each, nodes.Name):
            if each.id not in known and not (each.id[0].islower() or each.id[0] == "_"):
                fix = Fix(each.span, each.id[0].lower() + each.id[1:])
                message = "the name of a size begins with a small letter"
                found.append(Diagnostic("E0203", message, each.span, fix=fix))
            known.setdefault(each.id, _ANY_SIZE)
        else:
            found += _unknown_names(each, known)
    for each in node.gives:
        found += _unknown_names(each, known)
    return found


def _unknown_names(node: nodes.Expression, known: Names) -> list[Diagnostic]:
    """A size is tried out with 1 for each name of one. That there is no value then says nothing of other sizes."""
    if isinstance(node, (nodes.Rest, nodes.Unknown)):
        return []
    try:
        evaluate(node, known)
    except NoConstant as error:
        return [error.diagnostic] if error.diagnostic and error.diagnostic.code != "E0310" else []
    return []


# Shapes


def _infer(row: Layer, arguments: Mapping[str, Any], call: Mapping[str, Any]) -> Inferred:
    """The shape that the pattern gives for the input's."""
    assert isinstance(row, Extern)
    x: TensorSpec = call["inputs"]
    takes = _shown(row.takes)
    if not x.shape:
        raise CatalogError(f"`{row.name}` takes {takes}, and a scalar has no batch axis")
    sizes = x.shape[1:]
    rest = next((at for at, each in enumerate(row.takes) if isinstance(each, nodes.Rest)), None)
    named = len(row.takes) - (rest is not None)
    if len(sizes) < named or (rest is None and len(sizes) > named):
        raise CatalogError(f"`{row.name}` takes {takes}, and {show_shape(sizes)} has {axes_phrase(len(sizes))}")
    end = len(sizes) - (named - rest) if rest is not None else len(sizes)
    own = row.takes if rest is None else row.takes[:rest] + row.takes[rest + 1 :]
    between = () if rest is None else sizes[rest:end]
    values = {each.name: _value(arguments[each.name]) for each in row.parameters}
    known: dict[str, Named] = {**row.constants, **values}
    bound: dict[str, int | None] = {}
    for pattern, size in zip(own, sizes if rest is None else sizes[:rest] + sizes[end:], strict=True):
        if isinstance(pattern, nodes.Unknown):
            continue
        if isinstance(pattern, nodes.Name) and pattern.id not in known:
            before = bound.get(pattern.id)
            if before is not None and size is not None and before != size:
                why = f"`{pattern.id}` would be {before:d} and {size:d} in {show_shape(sizes)}"
                raise CatalogError(f"`{row.name}` takes {takes}, and {why}")
            bound[pattern.id] = size if before is None else before
            continue
        wanted = _size(row, pattern, known, bound)
        if wanted is not None and size is not None and wanted != size:
            text = print_expression(pattern)
            means = "" if text == f"{wanted:d}" else f", which is {wanted:d}"
            why = f"{show_shape(sizes)} has {size:d} in the place of `{text}`{means}"
            raise CatalogError(f"`{row.name}` takes {takes}, and {why}")
    output: list[int | None] = [x.shape[0]]
    for each in row.gives:
        match each:
            case nodes.Rest():
                output += between
            case nodes.Unknown():
                output.append(None)
            case _:
                output.append(_size(row, each, known, bound))
    return Inferred(TensorSpec(tuple(output), compute_dtype(arguments)))


def _size(row: Extern, node: nodes.Expression, known: Names, bound: Mapping[str, int | None]) -> int | None:
    """A size that an expression gives; None if it depends on one that is not known."""
    sizes = {name: None if size is None else Value(int(size), expression_of(size)) for name, size in bound.items()}
    text = print_expression(node)
    try:
        found = evaluate(node, {**sizes, **known})
    except NoConstant as error:
        if error.diagnostic is None:
            return None
        raise CatalogError(f"the size `{text}` of `{row.name}` has no value: {error.diagnostic.message}") from None
    size = constants.folded(found).plain()
    if not fits("size", size):
        raise CatalogError(f"the size `{text}` of `{row.name}` would be {show(size)}")
    return size  # type: ignore[no-any-return]


def _value(plain: Any) -> Value:
    """A bound argument as the constant that it came from."""
    if isinstance(plain, tuple):
        return constants.sequence([_value(each) for each in plain])
    return Value(int(plain), expression_of(plain)) if is_whole(plain) else constants.constant(plain)


def _shown(sizes: Sequence[nodes.Expression]) -> str:
    return f"`[{', '.join(map(print_expression, sizes))}]`"


def unknown_weights(row: Layer, arguments: Mapping[str, Any], span: Span) -> Diagnostic | None:
    """What is said of an annotation or tie of a weight of such a layer, or of one around it. None for other layers."""
    found = row.foreign_in(arguments)
    if not isinstance(found, Extern):
        return None
    message = f"the weights of `{found.name}` are not known"
    return Diagnostic("E0501", message, span, f"`{found.path}` is Python, which is not looked into")
