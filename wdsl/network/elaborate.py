"""Names, parameters, arguments, wiring and shapes: from the syntax of one network to the checked network."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from wdsl import catalog
from wdsl.annotations.equations import Tie
from wdsl.annotations.reader import read_annotations
from wdsl.annotations.references import Reference, read_weight
from wdsl.annotations.subject import FREE_WEIGHT, AnnotatedLayer, Layers, Target
from wdsl.catalog.names import keras_name
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link import constants
from wdsl.link.constants import ConstantError, Value
from wdsl.link.evaluation import unknown_type
from wdsl.link.imports import Scope
from wdsl.network import graph
from wdsl.network.assertions import read_assertion
from wdsl.network.construction import construct
from wdsl.network.elaboration import MAX_LAYERS, MAX_PROBLEMS, Elaboration, TooDeep, TooLarge, TooMany
from wdsl.network.evaluation import evaluate
from wdsl.network.names import has
from wdsl.network.objects import (
    BROKEN,
    Broken,
    Frame,
    LayerObject,
    Result,
    target_of,
)
from wdsl.network.outline import Outline
from wdsl.network.reading import frozen, network_outside
from wdsl.network.statements import carry_out
from wdsl.syntax import nodes
from wdsl.text.diagnostics import Diagnostic, Label, has_errors, in_order, listed, nearest
from wdsl.text.source import Span

_NUMBER = re.compile(r"_\d+\Z")


class Elaborated(Record):
    """A network, and its outline if it has blocks, loops or conditions, or what is said if these cannot be kept."""

    network: graph.Network
    outline: Outline | Diagnostic | None


def elaborate(
    network: nodes.Network, given: Mapping[str, Any], scope: Scope, max_layers: int | None = None
) -> tuple[Elaborated | None, tuple[Diagnostic, ...]]:
    """The checked network with these values of its parameters, and all that is wrong with it.

    There is no network if there are errors. `scope` is what the names of its file stand for. What loops and blocks come
    to is bounded by `max_layers`, MAX_LAYERS if that is None.
    """
    elaborator = Elaborator(network, scope, MAX_LAYERS if max_layers is None else max_layers)
    checked = None
    try:
        checked = elaborator.run(given)
    except TooLarge as error:
        elaborator.problems = [error.args[0]]
    except TooDeep as error:
        message = "blocks, bodies and expressions nest too deeply in one another"
        elaborator.problems = [Diagnostic("E0105", message, error.args[0], "in this use")]
    except TooMany:
        last = elaborator.problems[-1]
        hint = f"these are {MAX_PROBLEMS:,} problems, in all passes of loops: the rest of the file was not looked at"
        elaborator.problems[-1] = last.replace(hint=last.hint or hint)
    # What a block or a loop says more than once is said once.
    once = {(each.code, each.span): each for each in reversed(elaborator.problems)}
    problems = in_order(reversed(once.values()))
    return (None if has_errors(problems) else checked), problems


class Elaborator(Elaboration):
    """An elaboration of a whole network."""

    def evaluate(self, node: nodes.Expression) -> Result:
        return evaluate(self, node)

    def construct(self, name: nodes.Name, node: nodes.Call, wanted: str = "layer") -> Result:
        return construct(self, name, node, wanted)

    def carry_out(self, statements: Sequence[nodes.Statement]) -> None:
        carry_out(self, statements)

    def run(self, given: Mapping[str, Any]) -> Elaborated:
        network = self.network
        if not network.name.id[0].isupper():
            self.wrong_case(network.name, "a network", capital=True)
        if hasattr(builtins, network.name.id):
            self.error("E0207", f"`{network.name.id}` is a name of Python's own", network.name.span)
        if network.name.id in graph.NEEDED:
            what = f"`{network.name.id}` is a name that the generated module needs itself"
            self.error("E0207", what, network.name.span, hint="choose another name")
        parameters = self.parameters(given)
        self.recorder.parameters = {each.name: each.value for each in parameters}
        self.carry_out(network.body)
        if not self.lost and not self.outputs and not has(network.body, nodes.Output):
            self.error("E0211", f"`{network.name.id}` has no output", network.name.span, hint="add `output NAME`")
        if not self.lost and not has(network.body, nodes.Input):
            self.error(
                "E0211",
                f"`{network.name.id}` has no input",
                network.name.span,
                hint="add `input NAME: [SIZE]`",
            )
        annotated = [self.annotated_layer(*each) for each in self.annotated]
        equations, ties = read_annotations(annotated, self.problems)
        for tie in ties:
            for operation in tie.view.operations():
                self.operations.setdefault(operation, (tie.span, f"what `{tie.text}` takes"))
        self.check_keras_names()
        steps = self.needed(ties)
        kept = {step.name for step in steps if isinstance(step, (graph.Layer, graph.FreeWeight))}
        for tie in ties:
            if tie.weight.layer in kept and tie.reference.layer not in kept:
                self.error(
                    "E0512",
                    f"`{tie.reference.layer}` is on no path to an output: nothing to tie to",
                    tie.span,
                )
        layers = Layers({layer.name: layer for layer in annotated}, self.problems)
        assertions = [self.read_assertion(*each, layers, kept) for each in self.asserted]
        checked = graph.Network(
            network.name.id,
            network.doc,
            network.span.source,
            network.span,
            parameters,
            steps,
            graph.by_family(self.outputs),
            tuple(map(frozen, self.unnamed)),
            tuple(each for each in equations if each.weight.layer in kept),
            tuple(each for each in ties if each.weight.layer in kept),
            tuple(each for each in assertions if each),
            self.is_nested,
            self.decided_by,
        )
        outline = self.recorder.outline(network, equations, ties) if self.is_nested else None
        return Elaborated(network_outside(checked), outline)

    def annotated_layer(
        self,
        made: LayerObject | graph.FreeWeight,
        statement: nodes.Layer | nodes.Weight,
        now: Callable[[], Frame],
        circumstances: tuple[Label, ...],
    ) -> AnnotatedLayer:
        frame = now()

        def evaluate(node: nodes.Expression) -> Result:
            return self.inside(frame, lambda: self.evaluate(node))

        def find(node: nodes.Expression) -> Target | None:
            return self.inside(frame, lambda: target_of(self.find(node)))

        if isinstance(made, graph.FreeWeight):
            row = FREE_WEIGHT
            weights: tuple[catalog.Weight, ...] | None = (made.weight,)
        else:
            row, weights = made.row, made.first_use[1] if made.first_use else None
        return AnnotatedLayer(
            made.name or "",
            statement,
            row,
            made.arguments,
            made.given,
            weights,
            evaluate,
            find,
            frame.owners,
            frame.scope.files,
            circumstances,
        )

    def parameters(self, given: Mapping[str, Any]) -> tuple[graph.Parameter, ...]:
        known = [parameter.name.id for parameter in self.network.parameters]
        for name in given:
            if name not in known:
                near = nearest(name, known)
                self.error(
                    "E0307",
                    f"`{self.network.name.id}` has no parameter `{name}`",
                    self.network.name.span,
                    f"did you mean `{near}`?" if near else f"it has {listed(known) or 'none'}",
                )
        return tuple(
            read for parameter in self.network.parameters if (read := self.parameter(parameter, given)) is not None
        )

    def parameter(self, parameter: nodes.Parameter, given: Mapping[str, Any]) -> graph.Parameter | None:
        name = parameter.name.id
        self.declare(parameter.name, "a parameter")
        # Its own name is none yet in its default.
        default = self.evaluate(parameter.default) if parameter.default else None
        self.names[name] = BROKEN
        type_ = parameter.type.id if parameter.type else None
        if problem := unknown_type(parameter):
            self.problems.append(problem)
            return None
        if type_ in ("layer", "layer?"):
            self.error("E0308", "only blocks have parameters that are kinds of layers", parameter.span)
            return None
        if isinstance(default, Broken):
            return None
        if default is not None and not isinstance(default, Value):
            self.error("E0308", f"the default of `{name}` is not a constant", parameter.span)
            return None
        if default is not None and ex.variables(default.expression) and type_ and type_.endswith("?"):
            message = f"the default of `{name}` depends on another parameter, and `none` would mean that default"
            self.error("E0308", message, parameter.span, hint=f"leave the `?` of `{type_}` out")
            return None
        if name in given:
            value = _value_of(given[name])
        elif default is not None:
            value = default.value
        else:
            self.error(
                "E0309",
                f"`{name}` has no value",
                parameter.span,
                "this parameter has no default",
                hint=f"give it one here, or with `--set {name}=…` or `{name}=…` in Python",
            )
            return None
        if type_ and not constants.is_of(value, type_):
            where, label = parameter.span, f"declared `{type_}` here"
            self.error("E0308", f"`{name}` is {constants.type_name(value)}, not of type `{type_}`", where, label)
            return None
        try:
            constants.bounded(value)
        except ConstantError as error:
            self.error(error.code, f"`{name}` cannot have this value: {error}", parameter.span)
            return None
        self.names[name] = Value(value, ex.Variable(name))
        plain = Value(value, ex.Constant(None)).plain()
        # A value that is given to the compiler is what the written function has as its default.
        shown = constants.written(value) if name in given else default.expression if default else None
        computed = ex.outside(shown) if shown is not None and ex.variables(shown) else None
        return graph.Parameter(name, type_, None if computed else shown, plain, parameter.doc, parameter.span, computed)

    def read_assertion(
        self,
        statement: nodes.Assert,
        here: Frame,
        later: Callable[[], Frame],
        layers: Layers,
        kept: Collection[str | None],
    ) -> graph.Assertion | None:
        def weight(node: nodes.Expression) -> Reference | None:
            frame = later()

            def find(each: nodes.Expression) -> Target | None:
                return self.inside(frame, lambda: target_of(self.find(each)))

            return read_weight(layers, node, find, frame.owners)

        known = {*here.names, *here.scope.constants, *here.scope.modules}
        return self.inside(
            here,
            lambda: read_assertion(
                statement, here.names, known, self.evaluate, weight, kept, self.error, self.circumstances()
            ),
        )

    def check_keras_names(self) -> None:
        """Keras names operations and unnamed layers itself, and refuses a model with one name twice."""
        by_prefix: dict[str, list[tuple[Span, str]]] = {}
        for operation, where in self.operations.items():
            by_prefix.setdefault(keras_name(operation), []).append(where)
        for step in self.steps:
            if isinstance(step, graph.Binding) or step.name is None:
                continue
            # Keras numbers what has a name already: `dense`, `dense_1`.
            for prefix in dict.fromkeys((step.name, _NUMBER.sub("", step.name))):
                for span, what in by_prefix.get(prefix, ()):
                    self.error(
                        "E0207",
                        f"`{step.name}` is also the name that Keras gives to {what}",
                        self.frame.declared.get(step.name, step.span),
                        "a model cannot have both",
                        labels=(Label(span, f"Keras names this `{prefix}` itself"),),
                        hint="choose another name",
                    )

    def needed(self, ties: Sequence[Tie]) -> tuple[graph.Step, ...]:
        """The steps that lead to an output; a warning for each layer, weight and input that does not."""
        wanted = {output.variable for output in self.outputs}
        kept: list[graph.Step] = []
        # What is not in order may be what would have used them.
        unused = self.unused if not self.lost and not has_errors(self.problems) else lambda span, message: None
        for step in reversed(self.steps):
            if isinstance(step, graph.FreeWeight):  # whatever reads it stands behind it
                kept.append(step.replace(is_tensor=step.name in wanted))
            elif isinstance(step, graph.Binding):
                if wanted.isdisjoint(step.names):
                    unused(step.span, f"`{', '.join(step.names)}` is on no path to an output")
                    continue
                wanted -= set(step.names)
                wanted |= set(ex.variables(step.expression))
                kept.append(step)
            elif step.name in wanted:
                kept.append(frozen(step) if isinstance(step, LayerObject) else step)
            else:
                unused(step.span, f"`{step.name}` is on no path to an output")
                if isinstance(step, graph.Input):
                    kept.append(step)
        # A free weight is needed for those that are tied to it, and for those that these are tied to.
        reached = {
            step.name
            for step in kept
            if isinstance(step, graph.Layer) or (isinstance(step, graph.FreeWeight) and step.is_tensor)
        }
        free = {step.name for step in kept if isinstance(step, graph.FreeWeight)}
        pairs = [(tie.weight.layer, tie.reference.layer) for tie in ties]
        while more := {b for pair in pairs for a, b in (pair, pair[::-1]) if a in reached} & (free - reached):
            reached |= more
        for one in kept:
            if isinstance(one, graph.FreeWeight) and one.name not in reached:
                unused(one.span, f"`{one.name}` is on no path to an output, and no weight that is needs it")
        return tuple(step for step in reversed(kept) if not isinstance(step, graph.FreeWeight) or step.name in reached)

    def unused(self, span: Span, message: str) -> None:
        # What a block leaves unused may be used where it is applied with other parameters.
        inside = (
            self.network.span.start <= span.start < self.network.span.end and span.source is self.network.span.source
        )
        if inside:
            self.problems.append(Diagnostic("W0201", message, span))


def _value_of(given: Any) -> Any:
    """A parameter's value from Python: lists hold Values, as those of the language do."""
    if hasattr(given, "tolist"):  # NumPy's scalars and arrays
        given = given.tolist()
    if isinstance(given, (list, tuple)):
        return [Value(_value_of(each), ex.Constant(None)) for each in given]
    return given
