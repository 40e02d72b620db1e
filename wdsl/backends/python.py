"""The plan, written down: a Python module that a person would be glad to own."""

from __future__ import annotations

import builtins
import keyword
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from wdsl.backends.calls import in_use, with_classes
from wdsl.backends.classes import FUNCTIONS
from wdsl.backends.writers import Written, write_classes
from wdsl.catalog.model import TensorSpec
from wdsl.core import expressions as ex
from wdsl.core.printing import WIDTH, flat, layout
from wdsl.core.record import Record
from wdsl.core.sizes import expression_of
from wdsl.network import graph
from wdsl.plan.plan import Plan
from wdsl.plan.statements import For, Function, If, Refuse, Statement, Step, variables
from wdsl.text.source import Source, Span

KERAS_MODULES = ("activations", "constraints", "initializers", "layers", "ops", "regularizers")
RESERVED = frozenset((*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "keras", "np", "l", *KERAS_MODULES))
"""What no variable may be called: a spec's `lambda` becomes `lambda_`. Linters refuse `l`."""


def _symbols(plan: Plan) -> set[str]:
    of_file = (each.value if isinstance(each, ex.Named) else each.body for each in plan.named)
    constants = (*plan.constants.values(), *of_file)
    parts = (*plan.parts(), *(part for each in constants for part in ex.walk(each)))
    return {part.path for part in parts if isinstance(part, ex.Symbol)}


class Import(Record):
    """`import module as name`, or `from module import name`."""

    module: str
    name: str
    alias: str

    @property
    def statement(self) -> str:
        if self.name:
            return f"from {self.module} import {self.name}" + (f" as {self.alias}" if self.alias != self.name else "")
        return f"import {self.module}" + (f" as {self.alias}" if self.alias != self.module else "")


def write(plan: Plan) -> str:
    """The source of a module with a function of the network's name. It imports Keras and NumPy alone."""
    beside, named = _beside(plan), plan.named
    plan, classes = _with_classes(plan, beside)
    names = _names([*(each.name for each in plan.network.parameters), *variables(plan.body)], beside)
    of_functions = {each.name: _names_in(each, beside) for each in plan.functions}
    modules = {path.split(".")[0] for path in _symbols(plan) if "." in path} | classes.modules
    if plan.constants:
        modules.add("np")
    imports = [Import("keras", "", "keras")]
    imports += [Import("keras", module, module) for module in KERAS_MODULES if module in modules]
    imports += [Import("numpy", "", "np")] if "np" in modules else []
    imports += [Import(name, "", name) for name in ("base64", "functools", "math") if name in modules]
    imports += [
        Import(module, name, beside[path]) for path in plan.externals for module, _, name in [path.rpartition(".")]
    ]
    if any(each.made is not None for each in plan.functions):
        imports.append(Import("collections.abc", "Callable", "Callable"))
    network = plan.network
    functions = sorted(plan.functions, key=lambda each: (each.span.source is not network.source, each.span.start))
    return _template().render(  # type: ignore[no-any-return]
        module_docstring=_docstring(_module_docstring(plan), 0),
        imports=_import_lines(imports),
        name=network.name,
        parameters=_parameters(f"def {network.name}", network.parameters, names, "keras.Model"),
        function_docstring=_docstring(_function_docstring(plan, names), 4),
        named=[
            *([""] if named and isinstance(named[0], ex.Defined) else []),
            *_spaced(line for each in named for line in _constant(each, beside)),
        ],
        body="\n".join(
            [*_computed(network.parameters, names), *_body(plan.body, names, 4, network.source, of_functions)]
        ),
        result="    " + layout(plan.result, names, 4, "return ", statement=True),
        functions=[_function(each, beside[each.name], network.source, of_functions) for each in functions],
        classes=classes.texts,
        tables=[line for name, table in plan.constants.items() for line in _array(name, table)],
    )


def _with_classes(plan: Plan, beside: Mapping[str, str]) -> tuple[Plan, Written]:
    """The plan with classes of its own in place of the runtime's, and their text."""
    files = {name: str(ex.parts(each)[1].value) for name, each in plan.constants.items()}  # type: ignore[union-attr]

    def render(name: str, parts: Mapping[str, Any]) -> str:
        return str(_templates().get_template(f"{name}.py.jinja").render(parts)).rstrip()

    written = write_classes(in_use(plan), plan, files, beside, render)
    return with_classes(plan, written.needs), written


def _template() -> Any:
    return _templates().get_template("module.py.jinja")


@cache
def _templates() -> Any:
    import jinja2  # noqa: TID251

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wdsl.backends"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # what is written is Python; every string of the spec has been through `repr` or `_printable`
    )
    environment.filters["keyword"] = lambda name: f"{name}, "
    environment.filters["made"] = lambda name: f"made_{name}"
    return environment


def _beside(plan: Plan) -> dict[str, str]:
    """A Python identifier for each constant, each class from elsewhere by its path, and each function."""
    names = {name: name for name in plan.constants}
    taken = {plan.network.name, *RESERVED, *names, *(each.name for each in plan.network.parameters)}
    for body in (plan.body, *(each.everything for each in plan.functions)):
        taken.update(variables(body))
    for function in plan.functions:
        taken.update(function.inputs, (each.name for each in function.parameters))
    taken |= {*graph.NEEDED, *FUNCTIONS, *(name for each in in_use(plan) for name in (each.name, f"{each.name}Cell"))}
    wanted = {each.key: each.name.upper() if isinstance(each, ex.Named) else each.name for each in plan.named}
    wanted |= {path: path.rpartition(".")[2] for path in (*plan.externals, *(each.name for each in plan.functions))}
    for key, name in wanted.items():
        found = name
        while found in taken:
            found += "_"
        taken.add(found)
        names[key] = found
    return names


def _constant(constant: ex.Named | ex.Defined, names: Mapping[str, str]) -> list[str]:
    """A constant or function of the file, with what stands above it."""
    doc = [f"# {_printable(line)}".rstrip() for line in constant.doc.split("\n") if constant.doc]
    if isinstance(constant, ex.Defined):
        return ["", "", *_definition(constant, names)]
    return [*doc, layout(constant.value, names, 0, f"{names[constant.key]} = ", statement=True)]


def _spaced(lines: Iterable[str]) -> list[str]:
    """Lines with no more than two blank ones between them, and none around them."""
    found: list[str] = []
    for line in lines:
        if line or (found and found[-2:] != ["", ""]):
            found.append(line)
    while found and not found[-1]:
        found.pop()
    return found


def _definition(function: ex.Defined, names: Mapping[str, str]) -> list[str]:
    """`def divisible(v: float, by: int = 8): return …`"""
    own = _names([name for name, _, _ in function.parameters], names)
    given = []
    for name, type_, default in function.parameters:
        hint = f": {_hint(type_)}" if type_ else ""
        value = "" if default is None else f" = {flat(default, names)}" if hint else f"={flat(default, names)}"
        given.append(f"{own[name]}{hint}{value}")
    return [
        f"def {names[function.key]}({', '.join(given)}):",
        *([f'    """{_docstring(function.doc, 4)}"""'] if function.doc else []),
        "    " + layout(function.body, own, 4, "return ", statement=True),
        "",
        "",
    ]


def _names(variables: Iterable[str], beside: Mapping[str, str]) -> dict[str, str]:
    """A Python identifier for each variable of a function: its own name, unless Python or the module needs that."""
    variables = list(dict.fromkeys(variables))
    taken = {*variables, *beside.values()}
    names = {**beside, "_": "_"}  # what no one reads may have its usual name
    for variable in variables:
        if variable in names:
            continue
        name = variable.strip("()")  # which stand around those that no file can declare
        while name in RESERVED or (name != variable and name in taken):
            name += "_"
        taken.add(name)
        names[variable] = name
    return names


def _names_in(function: Function, beside: Mapping[str, str]) -> dict[str, str]:
    parameters = [each.name for each in function.parameters]
    labels = [ex.NAME.name] if function.is_named else []
    return _names([*function.inputs, *parameters, *variables(function.everything), *labels, APPLY], beside)


APPLY = "(apply)"
"""The function that a block's function returns, if it does."""


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


def _parameters(
    head: str,
    parameters: Sequence[graph.Parameter],
    names: Mapping[str, str],
    result: str,
    inputs: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> str:
    """What stands between the brackets of a function's head."""
    texts = list(inputs)
    defaults = False
    for parameter in parameters:
        default = ex.Constant(None) if parameter.computed else parameter.default
        if default is None and defaults and "*" not in texts:
            texts.append("*")
        defaults = defaults or default is not None
        hint = _hint(parameter.type, parameter.computed is not None)
        text = names[parameter.name] + (f": {hint}" if hint else "")
        if default is not None:
            text += f" = {flat(default, names)}" if hint else f"={flat(default, names)}"
        texts.append(text)
    if labels:
        texts += [*([] if "*" in texts else ["*"]), *labels]
    line = ", ".join(texts)
    if len(f"{head}({line}) -> {result}:") <= WIDTH:
        return line
    if len(line) <= WIDTH - 4:
        return f"\n    {line}\n"
    return "\n" + "".join(f"    {each},\n" for each in texts)


def _hint(type_: str | None, is_optional: bool = False) -> str:
    """The type of a parameter as Python has it, `int | None` for what may be `none`; nothing if it has none."""
    if type_ is None:
        return ""
    plain = type_.removesuffix("?")
    hint = {"list": "tuple", "layer": "type[keras.Layer]"}.get(plain, plain)
    return f"{hint} | None" if is_optional or type_ != plain else hint


def _computed(parameters: Sequence[graph.Parameter], names: Mapping[str, str]) -> Iterator[str]:
    """The defaults that depend on other parameters: Python has none, so they are filled in."""
    for each in parameters:
        if each.computed is not None:
            name = names[each.name]
            yield f"    if {name} is None:"
            yield "        " + layout(each.computed, names, 8, f"{name} = ", statement=True)
    if any(each.computed is not None for each in parameters):
        yield ""


TENSOR = "keras.KerasTensor"


def _function(
    function: Function, name: str, source: Source, of_functions: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """The head, docstring, body and result of the function of a block."""
    names = of_functions[function.name]
    inputs = [f"{names[each]}: {TENSOR}" for each in function.inputs]
    labels = [f"{names[ex.NAME.name]}: str"] if function.is_named else []
    results = ex.Sequence(function.results) if len(function.results) > 1 else function.results[0]
    returned = TENSOR if len(function.results) == 1 else f"tuple[{', '.join([TENSOR] * len(function.results))}]"
    parts = [function.doc or f"The block `{function.name}`."]
    parts += _documented(function.parameters, names)
    here = function.span.source
    if here is not source:
        parts.append(f"Written by wdsl from {_printable(here.name)}.")
    applied = function.made is not None
    head = f"def {name}"
    result = f"Callable[[{', '.join([TENSOR] * len(inputs))}], {returned}]" if applied else returned
    parameters = _parameters(head, function.parameters, names, result, () if applied else inputs, labels)
    indent = 8 if applied else 4
    inner = [
        *_body(function.body, names, indent, here, of_functions),
        " " * indent + layout(_renamed(results, of_functions), names, indent, "return ", statement=True),
    ]
    if function.made is not None:
        apply = names[APPLY]
        made = _body(function.made, names, 4, here, of_functions)
        inside = _parameters(f"    def {apply}", (), names, returned, inputs).replace("\n", "\n    ")
        inner = [
            *made,
            *([""] if made else []),
            f"    def {apply}({inside}) -> {returned}:",
            *inner,
            "",
            f"    return {apply}",
        ]
    return {
        "head": f"{head}({parameters}) -> {result}:",
        "docstring": _docstring("\n\n".join(parts), 4),
        "lines": len(parts) > 1 or "\n" in parts[0],
        "body": "\n".join(inner),
    }


def _renamed(expression: ex.Expression, of_functions: Mapping[str, Mapping[str, str]]) -> ex.Expression:
    """An expression in which functions are called with their parameters' identifiers."""

    def change(part: ex.Expression) -> ex.Expression | None:
        match part:
            case ex.Call(ex.Local(name), arguments, keywords):
                names = of_functions[name]
                given = tuple((names[each], ex.replaced(value, change)) for each, value in keywords)
                return ex.Call(part.function, tuple(ex.replaced(each, change) for each in arguments), given)
        return None

    return ex.replaced(expression, change) if of_functions else expression


def _body(
    body: Sequence[Statement],
    names: Mapping[str, str],
    indent: int,
    source: Source,
    of_functions: Mapping[str, Mapping[str, str]],
    around: Span | None = None,
) -> list[str]:
    """Statements as lines of Python, each with the line of the file that asks for it, if not that of what is around."""
    margin = " " * indent
    lines: list[str] = []
    before: Statement | None = None

    def text(expression: ex.Expression, head: str, tail: str = "") -> str:
        return margin + layout(_renamed(expression, of_functions), names, indent, head, tail, statement=True)

    for statement in body:
        elsewhere = "" if statement.span.source is source else f"{_printable(statement.span.source.name)}, "
        origin = "" if statement.span == around else f"  # {elsewhere}line {statement.span.line}"
        if before is not None and (
            _gap(before, statement) or isinstance(before, Refuse) != isinstance(statement, Refuse)
        ):
            lines.append("")
        match statement:
            case Step(targets, value, span, doc):
                # The steps of a chain stand together.
                goes_on = (
                    isinstance(before, Step)
                    and before.span == span
                    and not ex.variables(value).isdisjoint(before.names)
                )
                lines += [f"{margin}# {_printable(line)}".rstrip() for line in doc.split("\n") if doc]
                head = ", ".join(flat(each, names) for each in targets)
                lines.append(text(value, f"{head} = ", "" if goes_on else origin))
            case For(_, values, inside):
                lines.append(text(values, f"for {statement.head(names.__getitem__)} in ", f":{origin}"))
                lines += _body(inside, names, indent + 4, source, of_functions, statement.span)
            case If((test,), ((), otherwise)):
                lines.append(text(ex.Operation("not", (test,)), "if ", f":{origin}"))
                lines += _body(otherwise or (), names, indent + 4, source, of_functions)
            case If(tests, bodies):
                for number, inside_ in enumerate(bodies):
                    if number < len(tests):
                        lines.append(text(tests[number], "elif " if number else "if ", f":{'' if number else origin}"))
                        lines += _body(inside_ or (), names, indent + 4, source, of_functions) or [f"{margin}    pass"]
                    elif inside_:
                        lines += [f"{margin}else:", *_body(inside_, names, indent + 4, source, of_functions)]
            case Refuse(test, message):
                error = ex.Call(ex.Symbol("ValueError"), (ex.Constant(message),))
                if test == ex.Constant(True):
                    lines.append(text(error, "raise "))
                else:
                    lines.append(text(test, "if ", ":"))
                    lines.append(" " * (indent + 4) + layout(error, names, indent + 4, "raise ", statement=True))
        before = statement
    return lines


MOST_IN_ROW, MOST_IN_ROWS = 24, 512
"""Entries of a row, and of all rows, of a mask that is written as a list of lists."""


def _array(name: str, table: ex.Expression) -> list[str]:
    """A mask as an array: in rows as the file has them if they are short, or else as a text of digits or of bytes."""
    match table:
        case ex.Call(ex.Symbol(kind), (_, ex.Sequence(items) as shape, ex.Constant(str(text)))):
            sizes = [each.value for each in items if isinstance(each, ex.Constant) and isinstance(each.value, int)]
        case _:
            raise TypeError(f"{table!r} is no mask")
    digits, size, width = "".join(text.split()), math.prod(sizes), WIDTH - 4
    if kind == "Mask" and len(sizes) == 2 and sizes[1] <= MOST_IN_ROW and size <= MOST_IN_ROWS:
        rows = (digits[at : at + sizes[1]] for at in range(0, size, sizes[1]))
        nested = (ex.Sequence(tuple(ex.Constant(int(digit)) for digit in row), list) for row in rows)
        array = ex.Call(ex.Symbol("np.array"), (ex.Sequence(tuple(nested), list), ex.Symbol("bool")))
        return [layout(array, {}, 0, f"{name} = ", statement=True)]
    if kind == "Mask":
        width = sizes[-1] if sizes[-1] <= width else width
        unpacked = [f'{name} = np.array([*"".join({name}.split())]).reshape({flat(shape, {})}) == "1"']
    else:
        unpacked = [f"{name} = unpacked({name}, {flat(shape, {})})"]
    lines = [f"    {digits[at : at + width]}" for at in range(0, len(digits), width)]
    return [f'{name} = """', *lines, '    """', *unpacked]


def _gap(before: Statement, step: Statement) -> bool:
    """Whether an empty line stands between the two statements in the spec, or one of them is not in it."""
    one, other = before.span, step.span
    if one.source is other.source and one.start < other.end and other.start < one.end:
        return False  # they are parts of one statement
    if one.source is not other.source or one.start >= other.start:
        return True
    between = other.source.text[one.end : other.start]
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
    parts += _documented(network.parameters, names)
    inputs = _in_words((each.name, _shape(each.spec, names)) for each in network.inputs)
    outputs = _in_words((each.name, _shape(each.spec, names)) for each in network.outputs)
    parts.append(f"Returns:\n    A model from {inputs},\n    to {outputs}.")
    return "\n\n".join(parts)


def _documented(parameters: Sequence[graph.Parameter], names: Mapping[str, str]) -> list[str]:
    """What a docstring says of parameters, if the file says anything of one."""
    if not any(parameter.doc for parameter in parameters):
        return []
    lines = []
    for parameter in parameters:
        words = parameter.doc or f"A parameter of type {parameter.type or 'any'}."
        lines.append(f"    {names[parameter.name]}: " + words.replace("\n", "\n        "))
    return ["\n".join(["Args:", *lines])]


def _shape(spec: TensorSpec, names: dict[str, str]) -> str:
    """A tensor's shape in terms of the function's arguments: `(batch, 28, 28, classes) float32`."""
    batch = ["batch"] if spec.shape[:1] == (None,) else []
    sizes = [*batch, *("?" if size is None else flat(expression_of(size), names) for size in spec.sizes)]
    return f"({', '.join(sizes)}) {spec.dtype}"


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
