"""The plan, written down: a Python module that a person would be glad to own."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from wdsl import expressions as ex
from wdsl.backends import definitions as runtime
from wdsl.backends.definitions import Import, needed
from wdsl.catalog.model import TensorSpec
from wdsl.code import WIDTH, flat, layout
from wdsl.diagnostics import Diagnostic
from wdsl.network import graph
from wdsl.network.dimensions import expression_of
from wdsl.plan import Plan, Step
from wdsl.source import Source, Span

KERAS_MODULES = ("activations", "constraints", "initializers", "layers", "ops", "regularizers")
RESERVED = frozenset((*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "keras", "np", "l", *KERAS_MODULES))
"""What no variable may be called: a spec's `lambda` becomes `lambda_`. Linters refuse `l`."""


def clash(plan: Plan, where: Span) -> Diagnostic | None:
    """An error if the network has the name of a definition that its module holds beside it."""
    definitions, imports = needed(_own_symbols(plan))
    beside = {name for each in definitions for name in each.names} | {each.alias for each in imports}
    if plan.network.name not in beside:
        return None
    message = f"`{plan.network.name}` is a name that the generated module needs itself"
    return Diagnostic("E0207", message, where, hint="choose another name")


def _symbols(plan: Plan) -> set[str]:
    expressions = [*(step.value for step in plan.steps), plan.result, *plan.constants.values()]
    return {part.path for each in expressions for part in ex.walk(each) if isinstance(part, ex.Symbol)}


def _own_symbols(plan: Plan) -> list[str]:
    """What the plan takes of the runtime."""
    return sorted(path for path in _symbols(plan) if "." not in path and not hasattr(builtins, path))


def write(plan: Plan, standalone: bool = True) -> str:
    """The source of a module with a function of the network's name.

    It imports Keras and NumPy alone. With `standalone=False` it imports the classes for its weights from wdsl, instead
    of holding their text.
    """
    names = _names(plan)
    own = _own_symbols(plan)
    modules = {path.split(".")[0] for path in _symbols(plan) if "." in path}
    imports = [Import("keras", "", "keras")]
    imports += [Import("keras", module, module) for module in KERAS_MODULES if module in modules]
    imports += [Import("numpy", "", "np")] if "np" in modules else []
    definitions, further = needed(own)
    if standalone:
        imports += further
    else:
        imports += [
            Import(f"wdsl.{each.module}", name, name) for each in definitions for name in each.names if name in own
        ]
    imports += [
        Import(module, name, names[path]) for path in plan.externals for module, _, name in [path.rpartition(".")]
    ]
    network = plan.network
    return _template().render(  # type: ignore[no-any-return]
        module_docstring=_docstring(_module_docstring(plan), 0),
        imports=_import_lines(imports),
        name=network.name,
        parameters=_parameters(plan, names),
        function_docstring=_docstring(_function_docstring(plan, names), 4),
        guards=[
            _guard(parameter, names, network.name)
            for parameter in network.parameters
            if parameter.name in network.decided_by
        ],
        steps=[
            _step(step, before, names, network.source)
            for step, before in zip(plan.steps, (None, *plan.steps), strict=False)
        ],
        result="    " + layout(plan.result, names, 4, "return ", statement=True),
        definitions=[each.text for each in definitions] if standalone else [],
        constants=[_table(name, table) for name, table in plan.constants.items()],
    )


@cache
def _template() -> Any:
    import jinja2  # noqa: TID251

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wdsl.backends"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # what is written is Python; every string of the spec has been through `repr` or `_printable`
    )
    return environment.get_template("module.py.jinja")


def _names(plan: Plan) -> dict[str, str]:
    """A Python identifier for each variable: its own name, unless Python or the module needs that."""
    variables = [parameter.name for parameter in plan.network.parameters]
    variables += [name for step in plan.steps for name in step.names]
    taken = set(variables)
    names: dict[str, str] = {}
    for variable in dict.fromkeys(variables):
        name = variable
        while name in RESERVED or (name != variable and name in taken):
            name += "_"
        taken.add(name)
        names[variable] = name
    names |= {name: name for name in plan.constants}
    beside = {plan.network.name, *RESERVED, *runtime.names(), *names.values()} if plan.externals else set()
    for path in plan.externals:
        name = path.rpartition(".")[2]
        while name in beside:
            name += "_"
        beside.add(name)
        names[path] = name
    return names


def _import_lines(imports: Iterable[Import]) -> list[list[str]]:
    """The import statements, sorted as isort would: the standard library, then the rest."""
    groups: dict[int, dict[tuple[bool, str], list[Import]]] = {0: {}, 1: {}}
    for each in imports:
        group = 0 if each.module.split(".")[0] in sys.stdlib_module_names else 1
        groups[group].setdefault((bool(each.name), each.module), []).append(each)
    lines = []
    for members in groups.values():
        found = []
        for (is_from, module), those in sorted(members.items()):
            if not is_from:
                found.append(those[0].statement)
                continue
            plain = sorted({each.name for each in those if each.alias == each.name}, key=_isort)
            statements = [[f"{each.name} as {each.alias}"] for each in those if each.alias != each.name]
            statements += [plain] if plain else []
            for names in sorted(statements, key=lambda names: _isort(names[0].partition(" ")[0])):
                line = f"from {module} import {', '.join(names)}"
                if len(line) > 88:
                    line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
                found.append(line)
        if found:
            lines.append(found)
    return lines


def _isort(name: str) -> tuple[bool, bool, str]:
    """Where isort has a name: constants before classes before the rest."""
    return not name.isupper(), not name[0].isupper(), name


def _parameters(plan: Plan, names: dict[str, str]) -> str:
    parameters: list[str] = []
    defaults = False
    for parameter in plan.network.parameters:
        if parameter.default is None and defaults and "*" not in parameters:
            parameters.append("*")
        defaults = defaults or parameter.default is not None
        type_ = "tuple" if parameter.type == "list" else parameter.type
        text = names[parameter.name] + (f": {type_}" if type_ else "")
        if parameter.default is not None:
            text += f" = {flat(parameter.default, names)}" if parameter.type else f"={flat(parameter.default, names)}"
        parameters.append(text)
    line = ", ".join(parameters)
    if len(f"def {plan.network.name}({line}) -> keras.Model:") <= 88:
        return line
    if len(line) <= 84:
        return f"\n    {line}\n"
    return "\n" + "".join(f"    {each},\n" for each in parameters)


def _guard(parameter: graph.Parameter, names: dict[str, str], network: str) -> dict[str, str]:
    """A test whether an argument is what it was when it decided what is in the module, and what to say if not."""
    name, value = names[parameter.name], parameter.value
    if isinstance(value, bool):
        test = f"not {name}" if value else name
    elif isinstance(value, (list, tuple)):
        test = f"list({name}) != {flat(ex.Sequence(tuple(map(ex.Constant, value)), list), names)}"
    else:
        test = f"{name} != {flat(ex.Constant(value), names)}"
    message = f"`{parameter.name}` decides what {network} is made of: build it again for another"
    error = ex.Call(ex.Symbol("ValueError"), (ex.Constant(message),))
    return {"test": test, "error": layout(error, names, 8, "raise ", statement=True)}


def _step(step: Step, before: Step | None, names: dict[str, str], source: Source) -> dict[str, Any]:
    targets = ", ".join(names[name] for name in step.names)
    goes_on = before and before.span == step.span and before.names[0] == step.names[0]
    elsewhere = "" if step.span.source is source else f"{_printable(step.span.source.name)}, "
    origin = "" if goes_on else f"  # {elsewhere}line {step.span.line}"
    code = layout(step.value, names, 4, f"{targets} = ", origin, statement=True)
    comment = [f"# {_printable(line)}".rstrip() for line in step.doc.split("\n")] if step.doc else []
    return {"gap": before is not None and _gap(before, step), "comment": comment, "code": f"    {code}"}


def _table(name: str, table: ex.Expression) -> dict[str, Any]:
    """A mask with its digits in lines: a row in each, or as many as fit."""
    assert isinstance(table, ex.Call)
    *arguments, text = table.arguments
    assert isinstance(text, ex.Constant)
    words = str(text.value).split()
    return {
        "name": name,
        "kind": flat(table.function, {}),
        "arguments": [flat(each, {}) for each in arguments],
        "lines": [word[at : at + WIDTH - 4] for word in words for at in range(0, len(word), WIDTH - 4)],
    }


def _gap(before: Step, step: Step) -> bool:
    """Whether an empty line stands between the two statements in the spec, or one of them is not in it."""
    if before.span.source is not step.span.source or before.span.start >= step.span.start:
        return before.span != step.span
    between = step.span.source.text[before.span.end : step.span.start]
    return re.search(r"\n[ \t]*\r?\n", between) is not None


def _module_docstring(plan: Plan) -> str:
    network = plan.network
    source = network.source
    origin = f"Written by wdsl from {_printable(source.name)}:"
    # A docstring's own indentation is that of its least indented line but the first: that is `origin`.
    head = f"{network.doc or f'The network `{network.name}`.'}\n\n{origin}"
    spec = "\n".join(f"    {line}" for line in source.text.expandtabs(4).strip("\n").split("\n"))
    return f"{head}\n\n{spec}"


def _function_docstring(plan: Plan, names: dict[str, str]) -> str:
    network = plan.network
    parts = [network.doc or f"The network `{network.name}`."]
    if any(parameter.doc for parameter in network.parameters):
        lines = []
        for parameter in network.parameters:
            words = parameter.doc or f"A parameter of type {parameter.type or 'any'}."
            lines.append(f"    {names[parameter.name]}: " + words.replace("\n", "\n        "))
        parts.append("\n".join(["Args:", *lines]))
    inputs = _in_words((each.name, _shape(each.spec, names)) for each in network.inputs)
    outputs = _in_words((each.name, _shape(each.spec, names)) for each in network.outputs)
    parts.append(f"Returns:\n    A model from {inputs},\n    to {outputs}.")
    return "\n\n".join(parts)


def _shape(spec: TensorSpec, names: dict[str, str]) -> str:
    """A tensor's shape in terms of the function's arguments: `(batch, 28, 28, classes) float32`."""
    sizes = ["?" if size is None else flat(expression_of(size), names) for size in spec.shape[1:]]
    return f"({', '.join(['batch', *sizes])}) {spec.dtype}"


def _in_words(tensors: Iterable[tuple[str, str]]) -> str:
    *others, last = [f"`{name}`, {spec}" for name, spec in tensors]
    return "".join(f"{each},\n    " for each in others) + ("and " if others else "") + last


def _docstring(text: str, indent: int) -> str:
    """Text to stand between triple quotes, whatever it holds, its lines indented but for the first."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = [_printable(line).rstrip() for line in escaped.split("\n")]
    if lines[0].startswith('"'):
        lines[0] = "\\" + lines[0]
    return "\n".join(f"{' ' * indent}{line}" if number and line else line for number, line in enumerate(lines))


def _printable(line: str) -> str:
    """A line of text with escapes in place of what could end the line, move the cursor or turn its direction."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in line
    )
