"""The stages of a compile as text, for people, for golden tests, and for other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wdsl.catalog import TensorSpec, show, show_shape
from wdsl.core import expressions as ex
from wdsl.core.printing import shown
from wdsl.core.record import Record
from wdsl.network import graph
from wdsl.plan.plan import Plan
from wdsl.plan.statements import Body, For, If, Refuse, Step
from wdsl.text.diagnostics import by
from wdsl.text.source import Source
from wdsl.weights.structures import Structures


def tokens(source: Source) -> str:
    """A line for each token: where it begins, its kind, its text."""
    from wdsl.syntax.parser import tokens as read

    found, _ = read(source)
    return _lines(
        "{}:{}".format(*source.position(token.start_pos or 0)).ljust(8) + f"{token.type:12} {token.value.strip()!r}"
        for token in found
    )


def network(network: graph.Network) -> str:
    """What elaboration found: each statement with the shapes that it stands for."""
    return _lines(_network(network))


def _network(network: graph.Network) -> Iterator[str]:
    yield f"network {network.name}"
    for parameter in network.parameters:
        yield f"  parameter {parameter.name}: {parameter.type or 'any'} = {parameter.value!r}"
    for step in network.steps:
        match step:
            case graph.Input(name, spec):
                yield f"  input {name}: {describe(spec)}"
            case graph.Layer(name, row):
                yield f"  layer {name}: {row.name}, {step.input} -> {step.output}"
                for weight in step.weights:
                    note = "" if weight.trainable else ", not trained"
                    yield f"    {weight.name}: {by(weight.shape)}{note}"
            case graph.FreeWeight(name, weight):
                yield f"  weight {name}: {by(weight.shape)}"
            case graph.Binding(names, expression, specs):
                shapes = ", ".join(map(describe, specs))
                yield f"  {', '.join(names)} = {shown(expression)}: {shapes}"
    for equation in network.equations:
        yield f"  {equation.weight}: {equation.text}"
    for tie in network.ties:
        yield f"  {tie.weight}: {tie.text}"
    for output in network.outputs:
        yield f"  output {output.name}: {describe(output.spec)}"
    for assertion in network.assertions:
        message = f", {show(assertion.message)}" if assertion.message else ""
        yield f"  assert {assertion.text}{message}"


def weights(structures: Structures) -> str:
    """The structure of every weight, and how many of its entries are free."""
    rows = [
        (
            str(each.name),
            by(each.weight.shape),
            f"{each.free} of {each.size}" if each.owner == each.name or each.coupled else f"in {each.owner}",
            each.text,
        )
        for each in structures.weights
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True)) for row in rows]
    return _lines([*lines, f"parameters {structures.parameters} of {structures.dense_parameters}"])


def plan(plan: Plan) -> str:
    """The statements that both backends follow, with the line of the spec that asks for each."""
    from textwrap import shorten

    parameters = ", ".join(f"{each.name}={each.value!r}" for each in plan.network.parameters)
    lines = [f"{plan.network.name}({parameters})"]
    lines += [f"      {name} = {shorten(shown(each), 110, placeholder=' …')}" for name, each in plan.constants.items()]
    lines += [*_statements(plan.body, 0), f"      return {shown(plan.result)}"]
    for function in plan.functions:
        names = [f"{each.name}={shown(each.default)}" if each.default else each.name for each in function.parameters]
        names += ["(name)"] if function.is_named else []
        results = f"return {', '.join(map(shown, function.results))}"
        if function.made is None:
            lines += ["", f"{function.name}({', '.join([*function.inputs, *names])})"]
            lines += [*_statements(function.body, 0), f"      {results}"]
        else:
            lines += ["", f"{function.name}({', '.join(names)})", *_statements(function.made, 0)]
            lines += [f"      return ({', '.join(function.inputs)})"]
            lines += [*_statements(function.body, 1), f"          {results}"]
    return _lines(lines)


def _statements(body: Body, depth: int) -> Iterator[str]:
    for each in body:
        before = f"{each.span.line:4}  {'    ' * depth}"
        match each:
            case Step(targets, value):
                yield f"{before}{', '.join(map(shown, targets))} = {shown(value)}"
            case For(_, values, inside):
                yield f"{before}for {each.head()} in {shown(values)}"
                yield from _statements(inside, depth + 1)
            case If(tests, bodies):
                for number, part in enumerate(bodies):
                    if number < len(tests):
                        yield f"{before}{'else ' if number else ''}if {shown(tests[number])}"
                    elif part:
                        yield f"{before}else"
                    yield from _statements(part or (), depth + 1)
            case Refuse(test, message):
                yield f"{before}if {shown(test)}: refuse, {message!r}"


def describe(spec: TensorSpec) -> str:
    """A tensor in words: `(batch, 28, 28, 1) float32`."""
    sizes = ("batch" if at == 0 and size is None else "?" if size is None else str(int(size))
             for at, size in enumerate(spec.shape))  # fmt: skip
    return f"({', '.join(sizes)}) {spec.dtype}"


# Pictures


class _Node(Record):
    id: str
    text: str
    shape: str


class _Edge(Record):
    start: str
    end: str
    text: str
    tie: bool = False


def _diagram(network: graph.Network) -> tuple[list[_Node], list[_Edge]]:
    """Inputs, applications and outputs as nodes, tensors as edges, ties as edges of another kind."""
    nodes: list[_Node] = []
    edges: list[_Edge] = []
    tensors: dict[str, str] = {}
    kinds = {layer.name: layer for layer in network.layers}
    first_use: dict[str, str] = {}

    def add(text: str, shape: str) -> str:
        nodes.append(_Node(f"n{len(nodes)}", text, shape))
        return nodes[-1].id

    def visit(expression: ex.Expression) -> str | None:
        """The node that gives the value of an expression, if it is a tensor."""
        match expression:
            case ex.Variable(name):
                return tensors.get(name)
            case ex.Call(function, arguments, keywords):
                sources = [visit(each) for each in (*arguments, *(value for _, value in keywords))]
                match function:
                    case ex.Variable(name):
                        node = add(f"{name}\n{kinds[name].row.name}", "layer")
                        first_use.setdefault(name, node)
                    case ex.Call(ex.Symbol("Constant"), (ex.Constant(created), _)):
                        return add(str(created), "function")  # of nothing: an input only leads to it
                    case ex.Call(ex.Symbol(path) | ex.External(path)):
                        node = add(path.split(".")[-1], "layer")
                    case _:
                        if not any(sources):
                            return None
                        node = add(shown(function).split(".")[-1], "function")
                edges.extend(_Edge(source, node, "") for source in sources if source)
                return node
            case ex.Operation(operator, operands):
                sources = [visit(each) for each in operands]
                if not any(sources):
                    return None
                node = add(operator, "function")
                edges.extend(_Edge(source, node, "") for source in sources if source)
                return node
            case ex.Sequence(items):
                found = [visit(each) for each in items]
                if any(found):
                    node = add("( )", "function")
                    edges.extend(_Edge(source, node, "") for source in found if source)
                    return node
        return None

    for step in network.steps:
        match step:
            case graph.Input(name, spec):
                tensors[name] = add(f"{name}\n{show_shape(spec.sizes)}", "input")
            case graph.Binding(names, expression):
                node = visit(expression)
                tensors.update((name, node) for name in names if node)
    for output in network.outputs:
        edges.append(
            _Edge(
                tensors[output.variable],
                add(f"{output.name}\n{show_shape(output.spec.sizes)}", "output"),
                "",
            )
        )
    for weight in network.free_weights:
        first_use[weight.name] = add(f"{weight.name}\n{by(weight.weight.shape)}", "weight")
    for tie in network.ties:
        if tie.weight.layer in first_use and tie.reference.layer in first_use:
            text = f"{tie.weight.weight}: {tie.text}"
            edges.append(_Edge(first_use[tie.reference.layer], first_use[tie.weight.layer], text, tie=True))
    return nodes, edges


def mermaid(network: graph.Network) -> str:
    """The wiring as a Mermaid flowchart; dotted lines are ties."""
    brackets = {"input": ("([", "])"), "output": ("([", "])"), "layer": ("[", "]"), "function": ("(", ")"),
                "weight": ("[(", ")]")}  # fmt: skip
    nodes, edges = _diagram(network)
    lines = ["flowchart TD"]
    for node in nodes:
        opening, closing = brackets[node.shape]
        text = node.text.replace("\n", "<br/>")
        lines.append(f'    {node.id}{opening}"{text}"{closing}')
    for edge in edges:
        lines.append(
            f'    {edge.start} -. "{edge.text}" .-> {edge.end}' if edge.tie else f"    {edge.start} --> {edge.end}"
        )
    return _lines(lines)


def dot(network: graph.Network) -> str:
    """The wiring as a Graphviz graph; dashed lines are ties."""
    shapes = {"input": "oval", "output": "oval", "layer": "box", "function": "plain", "weight": "cylinder"}
    nodes, edges = _diagram(network)
    lines = [f"digraph {network.name} {{"]
    for node in nodes:
        text = node.text.replace("\n", "\\n")
        lines.append(f'    {node.id} [label="{text}", shape={shapes[node.shape]}]')
    for edge in edges:
        style = f' [label="{edge.text}", style=dashed, constraint=false]' if edge.tie else ""
        lines.append(f"    {edge.start} -> {edge.end}{style}")
    return _lines([*lines, "}"])


def json(network: graph.Network, structures: Structures) -> str:
    """Names, shapes, layers, weights and counts, for other tools. Sizes exclude the batch; null is unknown."""
    import json

    def tensor(name: str, spec: Any) -> dict[str, Any]:
        return {"name": name, "shape": [size and int(size) for size in spec.sizes], "dtype": spec.dtype}

    return _lines(
        [
            json.dumps(
                {
                    "network": network.name,
                    "doc": network.doc,
                    "inputs": [tensor(each.name, each.spec) for each in network.inputs],
                    "outputs": [tensor(each.name, each.spec) for each in network.outputs],
                    "layers": [{"name": each.name, "class": each.row.name} for each in network.layers],
                    "weights": [
                        {
                            "name": str(each.name),
                            "shape": list(map(int, each.weight.shape)),
                            "trainable": each.weight.trainable and each.trained,
                            "owner": str(each.owner),
                            "coupled": each.coupled,
                            "free": int(each.free),
                            "nonzero": int(each.nonzero),
                            "annotations": each.text,
                        }
                        for each in structures.weights
                    ],
                    "parameters": int(structures.parameters),
                    "dense_parameters": int(structures.dense_parameters),
                },
                indent=2,
                ensure_ascii=False,
            )
        ]
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in lines)
