"""Expressions: what they stand for, in the place where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wdsl import catalog
from wdsl.catalog import CatalogError
from wdsl.catalog.argument_types import is_number
from wdsl.catalog.layers.random import RANDOM
from wdsl.core import expressions as ex
from wdsl.link import constants
from wdsl.link.constants import ConstantError, Value
from wdsl.link.evaluation import Construction, Definition, NoConstant, again, call, comprehension
from wdsl.link.imports import Scope
from wdsl.network.construction import construct_of_class, construct_of_module, constructs, not_in_file
from wdsl.network.elaboration import Elaboration
from wdsl.network.families import member
from wdsl.network.names import names_in
from wdsl.network.objects import (
    BROKEN,
    Broken,
    FamilyObject,
    FreeWeightObject,
    Group,
    Result,
    Tensor,
    kind_of,
    no_tensor,
    shape_of,
    to_name,
)
from wdsl.network.subscripts import evaluate_subscript
from wdsl.network.values import class_of, construct_constant
from wdsl.network.wiring import apply, apply_function, callee, drawn, first_input, send_through
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Fix, Label, nearest
from wdsl.text.source import Span


def evaluate(here: Elaboration, node: nodes.Expression) -> Result:
    here.work(1, node.span)
    match node:
        case nodes.Literal(value):
            return constants.constant(value)
        case nodes.Name():
            return known_name(here, node)
        case nodes.Chain(stages):
            return send_through(here, stages)
        case nodes.Call():
            return evaluate_call(here, node)
        case nodes.Unary(sign, operand):
            return evaluate_operation(here, sign, (operand,), node.span)
        case nodes.Binary(sign, left, right):
            return evaluate_operation(here, sign, (left, right), node.span)
        case nodes.Conditional():
            return evaluate_conditional(here, node)
        case nodes.List(items) | nodes.Tuple(items):
            return evaluate_sequence(here, items)
        case nodes.Subscript(container, _) if isinstance(family := here.find(container), FamilyObject):
            return member(here, family, node)
        case nodes.Subscript():
            return evaluate_subscript(here, node)
        case nodes.Comprehension():
            return evaluate_comprehension(here, node)
        case nodes.Attribute(nodes.Name(module), name) if isinstance(file := here.names.get(module), Scope):
            return name_of_file(here, file, name)
        case nodes.Attribute(value, name):
            if isinstance(value, nodes.Name) and isinstance(here.names.get(value.id), Broken):
                return BROKEN
            if name.id == "shape":
                return here.error(
                    "E0205",
                    "shapes are looked at in an `assert`, as `shape(x)`",
                    node.span,
                    fix=Fix(node.span, f"shape({value.span.text})"),
                )
            return here.error(
                "E0205",
                f"`.{name.id}` stands in a `tie` only",
                node.span,
                "weights are not tensors of the wiring",
            )
        case nodes.Rest():
            return here.error("E0205", "`...` stands in the brackets of a subscript or a shape only", node.span)
        case nodes.Slice() | nodes.Where() | nodes.By() | nodes.Axis() | nodes.Unknown():
            return here.error("E0205", "this stands in the brackets of an annotation only", node.span)


def known_name(here: Elaboration, node: nodes.Name) -> Result:
    if node.id in here.names:
        found = here.names[node.id]
        if isinstance(found, Construction):
            return construct_constant(here, found, node)
        return weight_as_tensor(here, found, node) if isinstance(found, FreeWeightObject) else found
    scope = here.frame.scope
    if scope.has_lost(node.id):
        return BROKEN
    if node.id in constants.NAMES:
        return constants.NAMES[node.id]
    if node.id in scope.constructors:
        fix = Fix(node.span, f"{node.id}()")
        return here.error("E0205", f"`{node.id}` is a kind of layer, not a layer", node.span, fix=fix)
    later = next((each for each in names_in(here.frame.body) if each.id == node.id), None)
    if later and later.span.start > node.span.start:
        where = (Label(later.span, "it is declared here, further down"),)
        return here.error("E0204", f"`{node.id}` is used before it is declared", node.span, labels=where)
    if (word := constants.word(node.id)) is not None:
        return word
    if node.id in catalog.FUNCTIONS or node.id in constants.FUNCTIONS:
        return here.error("E0205", f"`{node.id}` is a function: call it, or send a tensor to it", node.span)
    if node.id in ("True", "False", "None"):
        fix = Fix(node.span, node.id.lower(), safe=True)
        return here.error("E0203", f"`{node.id}` is written `{node.id.lower()}`", node.span, fix=fix)
    candidates = {*here.names, *scope.constants, *(each.id for each in names_in(here.frame.body))}
    near = nearest(node.id, candidates - {node.id})
    return here.error(
        "E0201",
        f"`{node.id}` is not known here",
        node.span,
        f"did you mean `{near}`?" if near else "",
        fix=Fix(node.span, near) if near else None,
    )


def weight_as_tensor(here: Elaboration, weight: FreeWeightObject, node: nodes.Name) -> Result:
    """A weight in the wiring: a tensor without a batch, in the graph by the first input of the body."""
    return BROKEN if first_input(here, node.id, node.span) is None else weight.tensor


def name_of_file(here: Elaboration, file: Scope, name: nodes.Name) -> Result:
    """`attention.width`, a name of an imported file."""
    if name.id in file.constants:
        found = file.constants[name.id]
        if isinstance(found, Construction):
            return construct_constant(here, found, name)
        return found
    if name.id in file.constructors:
        fix = Fix(name.span, f"{name.id}()")
        return here.error("E0205", f"`{name.id}` is a kind of layer, not a layer", name.span, fix=fix)
    if name.id in file.modules:
        return here.error("E0205", f"`{name.id}` is a file that another one imports", name.span, "import it here")
    return not_in_file(here, file, name)


def evaluate_sequence(here: Elaboration, items: Sequence[nodes.Expression]) -> Result:
    values = [here.evaluate(each) for each in items]
    if any(isinstance(value, Broken) for value in values):
        return BROKEN
    if all(isinstance(value, Value) for value in values):
        try:
            return constants.sequence(values)  # type: ignore[arg-type]
        except ConstantError as error:
            return here.error(error.code, str(error), items[0].span.to(items[-1].span))
    for node, value in zip(items, values, strict=True):
        if not isinstance(value, (Tensor, Group)):
            here.error("E0205", f"this is {kind_of(value)}, and stands among tensors", node.span)
            return BROKEN
    return Group(tuple(values))  # type: ignore[arg-type]


def evaluate_conditional(here: Elaboration, node: nodes.Conditional) -> Result:
    test = here.evaluate(node.test)
    if isinstance(test, Broken):
        return test
    if not isinstance(test, Value):
        return here.error("E0205", "`if` decides when compiling: its condition is a constant", node.test.span)
    recorder = here.recorder
    taken, untaken = (node.then, node.otherwise) if test.value else (node.otherwise, node.then)
    with recorder.recording() as own, recorder.constructing() as made:
        chosen = here.evaluate(taken)
    recorder.body += own
    if isinstance(chosen, Value):
        return constant_conditional(here, node, test, chosen, here.evaluate(untaken))
    # A layer or a tensor: what is not chosen is not constructed.
    here.is_nested = True
    here.decide(test)
    decided = ex.inside(test.expression)
    is_open = bool(ex.variables(decided))
    if recorder.constructed is not None and not (is_open and isinstance(chosen, Tensor) and not own):
        recorder.constructed += made
    if not is_open or isinstance(chosen, Broken):
        return chosen
    if not isinstance(chosen, Tensor) or own:
        reason = "it chooses between layers" if not isinstance(chosen, Tensor) else "what it chooses takes statements"
        recorder.guard(test, node.test.span.text, node.span, reason)
        return chosen
    tried, others = here.tried(lambda other: tensor_alone(other, untaken))
    both = (made, others) if test.value else (others, made)
    recorder.construct_choice(here.frame, (decided,), both, node.test.span.text, node.span)
    sides = ex.inside(chosen.expression), ex.inside(tried.expression) if tried else ex.HOLE
    then, otherwise = sides if test.value else sides[::-1]
    return Tensor(chosen.spec, ex.seen(ex.Operation("if", (then, decided, otherwise)), chosen.expression))


def tensor_alone(here: Elaboration, node: nodes.Expression) -> Tensor | None:
    """A tensor, if that takes no statements."""
    with here.recorder.recording() as needed:
        value = here.evaluate(node)
    return value if isinstance(value, Tensor) and not needed else None


def constant_conditional(
    here: Elaboration, node: nodes.Conditional, test: Value, chosen: Value, other: Result
) -> Result:
    """`3 if deep else 2`, where each side has a value."""
    if not isinstance(other, Value):
        return other if isinstance(other, Broken) else chosen
    then, otherwise = (chosen, other) if test.value else (other, chosen)
    here.work(_items([chosen]), node.span)
    try:
        return here.settled(constants.conditional(then, test, otherwise))
    except ConstantError as error:
        return here.error(error.code, str(error), node.span)


def evaluate_operation(here: Elaboration, sign: str, operands: Sequence[nodes.Expression], span: Span) -> Result:
    values = [here.evaluate(operand) for operand in operands]
    if any(isinstance(value, Broken) for value in values):
        return BROKEN
    if all(isinstance(value, Value) for value in values):
        here.work(_items(values), span)
        try:
            return here.settled((constants.unary if len(values) == 1 else constants.binary)(sign, *values))  # type: ignore[arg-type]
        except ConstantError as error:
            return here.error(error.code, str(error), span)
    for node, value in zip(operands, values, strict=True):
        if not isinstance(value, Tensor) and not (isinstance(value, Value) and is_number(value.value)):
            message = f"`{sign}` does not take {kind_of(value)}"
            return here.error(no_tensor(value), message, node.span, hint=to_name(value))
    operator = catalog.OPERATORS.get(sign if len(values) == 2 else f"unary {sign}")
    if operator is None:
        return here.error("E0205", f"`{sign}` is for constants, not for tensors", span)
    given = [value.spec if isinstance(value, Tensor) else value.value for value in values]  # type: ignore[union-attr]
    names = [argument.name for argument in operator.arguments]
    try:
        spec = operator.infer(dict(zip(names, given, strict=True)))
    except CatalogError as error:
        labels = tuple(
            here.chains.label(node.span, value.expression, shape_of(value.spec))
            for node, value in zip(operands, values, strict=True)
            if isinstance(value, Tensor)
        )
        return here.error("E0401", error.message, span, labels=labels)
    here.operations.setdefault(operator.keras, (span, f"the result of `{sign}`"))
    return here.made(spec, ex.Operation(sign, tuple(value.expression for value in values)), span)  # type: ignore[union-attr]


def call_of_constants(here: Elaboration, name: str, node: nodes.Call) -> Result:
    values = [here.evaluate(argument.value) for argument in node.arguments]
    if any(isinstance(value, Broken) for value in values):
        return BROKEN
    if not all(isinstance(value, Value) for value in values) or any(each.name for each in node.arguments):
        return here.error("E0304", f"`{name}` takes constants, by position", node.span)
    here.work(_items(values), node.span)
    try:
        value = constants.call(name, values)  # type: ignore[arg-type]
        here.work(_items([value]), node.span)
        return value if name == "range" else here.settled(value)
    except ConstantError as error:
        return here.error(error.code, str(error), node.span)


def _items(values: Iterable[Result]) -> int:
    """How many items lists have together."""
    return sum(len(each.value) for each in values if isinstance(each, Value) and isinstance(each.value, list))


def evaluate_call(here: Elaboration, node: nodes.Call) -> Result:
    function = node.function
    if isinstance(function, nodes.Name) and function.id not in here.names:
        if function.id[0].isupper():
            return here.construct(function, node)
        if function.id in RANDOM:
            return drawn(here, RANDOM[function.id], node)
        if function.id in constants.FUNCTIONS and function.id not in catalog.FUNCTIONS:
            return call_of_constants(here, function.id, node)
        if function.id in catalog.FUNCTIONS and function.id not in constants.FUNCTIONS:
            return apply_function(here, catalog.FUNCTIONS[function.id], [], node.arguments, node)
        if function.id in catalog.FUNCTIONS:  # as `max`, which is for constants and for tensors
            values = [(here.evaluate(each.value), each.value) for each in node.arguments if each.name is None]
            if values and all(isinstance(value, Value) for value, _ in values):
                return call_of_constants(here, function.id, node)
            named = tuple(each for each in node.arguments if each.name is not None)
            return apply_function(here, catalog.FUNCTIONS[function.id], values, named, node)
    if (of := class_of(here, function)) is not None:
        return construct_of_class(here, of, node)
    definition = _definition(here, function)
    if definition is not None:
        return call_of_definition(here, definition, node)
    if isinstance(function, nodes.Attribute) and constructs(function) and isinstance(function.value, nodes.Name):
        return construct_of_module(here, function.value, function.name, node)
    layer = callee(here, function)
    if layer is None:
        return BROKEN
    return apply(here, layer, [], node.arguments, node)


def evaluate_comprehension(here: Elaboration, node: nodes.Comprehension) -> Result:
    values = here.evaluate(node.values)
    if isinstance(values, Broken):
        return BROKEN
    if not isinstance(values, Value):
        return here.error("E0205", "`for` goes through a list", node.values.span, kind_of(values))
    for name in node.names:
        if here.knows(name.id):
            here.problems.append(again(name))
            return BROKEN

    def of(part: nodes.Expression, own: Mapping[str, Value]) -> Value:
        here.names.update(own)
        found = here.evaluate(part)
        for name in own:
            del here.names[name]
        if isinstance(found, Value):
            return found
        if not isinstance(found, Broken):
            here.error("E0205", "a list is made of constants here", part.span, f"this is {kind_of(found)}")
        raise NoConstant

    try:
        return here.settled(comprehension(node, values, of))
    except ConstantError as error:
        return here.error(error.code, str(error), node.span)
    except NoConstant:
        return BROKEN


def _definition(here: Elaboration, function: nodes.Expression) -> Definition | None:
    """The function of constants that a name stands for, if it is one."""
    found: object = None
    match function:
        case nodes.Name(name):
            found = here.names.get(name)
        case nodes.Attribute(nodes.Name(file), nodes.Name(name)) if isinstance(scope := here.names.get(file), Scope):
            found = scope.constants.get(name)
    return found if isinstance(found, Definition) else None


def call_of_definition(here: Elaboration, function: Definition, node: nodes.Call) -> Result:
    given = []
    for each in node.arguments:
        value = here.evaluate(each.value)
        if isinstance(value, Broken):
            return BROKEN
        if not isinstance(value, Value):
            return here.error(
                "E0304", f"`{function.node.name.id}` takes constants", each.span, f"this is {kind_of(value)}"
            )
        given.append((each.name, value, each.span))
    try:
        return here.settled(call(function, given, node.span, lambda steps: here.work(steps, node.span)))
    except NoConstant as error:
        if error.diagnostic is not None:
            said = error.diagnostic
            here.error(said.code, said.message, said.span, said.label, labels=said.labels, hint=said.hint, fix=said.fix)
        return BROKEN
