"""docs/layers.md, made of the catalogue's rows; the examples in it are compiled.

`pytest tests/conformance/test_document.py --update-golden` writes it anew.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator

import wdsl
from wdsl import catalog
from wdsl.catalog import REQUIRED, Argument, Function, Layer, describe, show
from wdsl.catalog.functions import FAMILIES as FUNCTION_FAMILIES
from wdsl.catalog.layers import FAMILIES

HEAD = """# Layers and functions

All that wdsl knows of Keras: each class of layers with its arguments and its weights, and each function. Written from
the catalogue itself by `pytest tests/conformance/test_document.py --update-golden`.

Shapes in the examples are without the batch. An argument without a default must be given. What came to Keras after
version 3.12 says so, and is an error where an older one is installed. Functions are those of `keras.ops`, unless
another place is given; defaults of their arguments stand in parentheses.

All layers take `trainable` (true or false; default `true`), `dtype` (a dtype, or `"mixed_float16"` or
`"mixed_bfloat16"`; default `none`), `autocast` (true or false; default `true`) and `activity_regularizer` (a
regularizer or none), by name only; those that do not take one of them say so.
"""

BASE = ("activity_regularizer", "trainable", "dtype", "autocast")

VALUES = {
    "size": "4",
    "count": "1",
    "int": "1",
    "axis": "-1",
    "float": "0.5",
    "nonnegative": "0.5",
    "positive": "0.5",
    "fraction": "0.5",
    "str": '"a"',
    "activation": "relu",
    "layer": "Dense(4)",
}
"""What the examples give to an argument that must be given, by its type."""

EXAMPLES = {
    "Bidirectional": "Bidirectional(LSTM(4))",
    "CategoryEncoding": "CategoryEncoding(4)",
    "Cropping1D": "Cropping1D(1)",
    "Discretization": "Discretization([0.0, 0.5, 1.0])",
    "EinsumDense": 'EinsumDense("ab,bc->ac", 4)',
    "GRUCell": "RNN(GRUCell(4))",
    "GroupNormalization": "GroupNormalization(groups=4)",
    "IntegerLookup": "IntegerLookup(vocabulary=[1, 2, 3])",
    "LSTMCell": "RNN(LSTMCell(4))",
    "Permute": "Permute([2, 1])",
    "RNN": "RNN(LSTMCell(4))",
    "RandomPosterization": "RandomPosterization(4)",
    "Rescaling": "Rescaling(0.5)",
    "Reshape": "Reshape([4, -1])",
    "SimpleRNNCell": "RNN(SimpleRNNCell(4))",
    "SpectralNormalization": "SpectralNormalization(Dense(4))",
    "StackedRNNCells": "RNN(StackedRNNCells([LSTMCell(4), GRUCell(3)]))",
    "TimeDistributed": "TimeDistributed(Dense(4))",
}
"""Constructions that no rule would find."""

INPUTS = ("[8]", "[6, 8]", "[8, 8, 3]", "[6, 8, 8, 3]", "[4, 8, 8, 8, 3]", "int32[8]", "int32[1]", "[512, 1]")


def construction(row: Layer) -> str:
    """A construction of the layer in a file."""
    if row.name in EXAMPLES:
        return EXAMPLES[row.name]
    values = []
    for argument in row.arguments:
        if argument.required:
            type_ = argument.type.split(" or ")[0]
            plain, _, inside = type_.removeprefix("optional ").rstrip(")").partition("(")
            plain = {"sizes": "size", "counts": "count", "axes": "axis", "within": "fraction"}.get(plain, plain)
            if plain == "list":
                kind, _, count = inside.partition(", ")
                plain = f"[{', '.join([VALUES.get(kind, '4')] * int(count or 2))}]"
            values.append(VALUES.get(plain, plain))
    small = "kernel_size", "pool_size", "size", "depth_multiplier"
    names = [argument.name for argument in row.arguments if argument.required]
    values = ["3" if name in small and value == "4" else value for name, value in zip(names, values, strict=True)]
    return f"{row.name}({', '.join(values)})"


def example(row: Layer) -> str | None:
    """What the layer makes of which shape, and its weights, for the first of `INPUTS` that it takes."""
    made = construction(row)
    tensors = [argument for argument in row.call if argument.required and "tensor" in argument.type]
    for spec in INPUTS:
        if tensors and tensors[0].type == "tensors":
            use = "(x, x) -> l"
        else:
            number = max(1, len(tensors)) if made.startswith(f"{row.name}(") else 1
            use = f"l({', '.join(['x'] * number)})"
        text = f"network N {{\n input x: {spec}\n layer l = {made}\n h = {use}\n output y = h * 1\n}}"
        try:
            net = wdsl.loads(text)
        except wdsl.WdslError:
            continue
        layer = next(each for each in net.layers if each.name == "l")
        arrow = f"`{made}` makes `{layer.output}` of `{spec}`"
        weights = [
            f"`{each.name}` {' × '.join(map(str, each.shape)) or '1'}{'' if each.trainable else ' (not trained)'}"
            for each in layer.weights
        ]
        return f"{arrow}. {'Weights: ' + ', '.join(weights) if weights else 'No weights'}."
    return None


def sentence(rule: Callable[..., object]) -> str:
    """What a rule says of itself, on one line."""
    made_by, _, inner = rule.__qualname__.partition(".")
    text = inspect.getdoc(getattr(sys.modules[rule.__module__], made_by) if inner else rule) or ""
    return " ".join(text.partition("\n\n")[0].split())


def cell(text: str) -> str:
    """A text as it can stand in a table."""
    return text.replace("|", "\\|")


def default(argument: Argument) -> str:
    """The default as a file would write it."""
    return "" if argument.default is REQUIRED else f"`{cell(show(argument.default))}`"


def table(arguments: Iterable[Argument]) -> Iterator[str]:
    """Arguments, a row for each."""
    rows = [
        f"| `{'*' if each.variadic else ''}{each.name}` | {cell(describe(each.type))}"
        f"{f'; since Keras {each.since}' if each.since else ''} | {default(each)} |"
        for each in arguments
    ]
    if rows:
        yield from ("", "| argument | is | default |", "|---|---|---|", *rows)


def of_layer(row: Layer) -> Iterator[str]:
    """The section of a layer."""
    yield from ("", f"### {row.name}", "")
    others = [alias for alias, name in catalog.ALIASES.items() if name == row.name]
    also = f" Also `{'`, `'.join(others)}`." if others else ""
    since = f" Since Keras {row.since}." if row.since else ""
    yield f"{sentence(row.rule)}{also}{since}"
    names = [argument.name for argument in row.arguments]
    yield from table(each for each in row.arguments if each.name not in BASE or not each.keyword)
    missing = [name for name in BASE if name not in names]
    call = ", ".join(f"`{each.name}`" for each in row.call)
    yield from ("", f"Called with {call}.{' It does not take `' + '`, `'.join(missing) + '`.' if missing else ''}")
    shown = example(row)
    if shown:
        yield from ("", shown)


def taken(argument: Argument) -> str:
    """An argument of a function: its name, what it is, its default."""
    name = f"`{'*' if argument.variadic else ''}{argument.name}`"
    many = "tensors" if argument.variadic else describe(argument.type)
    shown = "" if argument.default is REQUIRED else f" ({default(argument)})"
    return f"{name}: {cell(many)}{shown}{f'; since Keras {argument.since}' if argument.since else ''}"


def of_functions(rows: Iterable[Function]) -> Iterator[str]:
    """The lines of functions: those that take the same and are made by one rule share one."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        arguments = "<br>".join(taken(each) for each in row.arguments if each.type != "unset")
        since = f" since Keras {row.since}" if row.since else ""
        place = "" if row.keras == f"ops.{row.name}" else f" is `{row.keras}`"
        alike.setdefault((arguments, sentence(row.rule)), []).append(f"`{row.name}`{place}{since}")
    for (arguments, said), names in alike.items():
        yield f"| {', '.join(names)} | {arguments} | {cell(said)} |"


def document() -> str:
    """The whole text."""
    lines = [HEAD.rstrip()]
    for family in FAMILIES:
        lines += ["", f"## {title(family.__doc__)}"]
        for row in family.ROWS:
            lines += of_layer(row)
    lines += ["", "## Layers that a file cannot have", "", "| layer | instead |", "|---|---|"]
    lines += [f"| `{name}` | {cell(reason)} |" for name, reason in catalog.REFUSED.items()]
    for family in FUNCTION_FAMILIES:
        lines += ["", f"## {title(family.__doc__)}", "", "| function | arguments | |", "|---|---|---|"]
        lines += of_functions(family.ROWS)
    lines += ["", "## Functions that a file cannot have", "", "| function | instead |", "|---|---|"]
    instead: dict[str, list[str]] = {}
    for place, reason in catalog.REFUSED_FUNCTIONS.items():
        instead.setdefault(reason, []).append(f"`{place.rpartition('.')[2]}`")
    lines += [f"| {', '.join(names)} | {cell(reason)} |" for reason, names in instead.items()]
    lines += ["", "## Initializers, regularizers, constraints"]
    registries = catalog.INITIALIZERS, catalog.REGULARIZERS, catalog.CONSTRAINTS
    for registry in registries:
        for name in dict.fromkeys(row.name for row in registry.values()):
            also = [alias for alias, row in registry.items() if row.name == name and alias != name and row.by_name]
            lines += ["", f"### {name}", "", f"One of the {registry[name].kind}s."]
            lines[-1] += f" By name: `{'`, `'.join(also)}`." if also else ""
            lines += table(registry[name].arguments)
    lines += ["", "## Names", "", f"Activations by name: `{'`, `'.join(sorted(catalog.ACTIVATIONS))}`."]
    lines += ["", f"Dtypes: `{'`, `'.join(catalog.DTYPES)}`.", ""]
    return "\n".join(lines)


def title(text: str | None) -> str:
    """The first sentence of a module's docstring, as a heading."""
    return re.split(r"[.:]", (text or "").strip())[0].replace("\n", " ")
