"""Reading the signatures of rows."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterator

from wdsl.catalog.model import REQUIRED, Argument

_BASE = {
    argument.name: argument
    for argument in (
        Argument("activity_regularizer", "optional regularizer", None, keyword=True),
        Argument("trainable", "bool", True, keyword=True),
        Argument("dtype", "optional policy", None, keyword=True),
        Argument("autocast", "bool", True, keyword=True),
    )
}


def base_arguments(names: str) -> tuple[Argument, ...]:
    """Those of the arguments of `keras.layers.Layer` that `names` lists."""
    return tuple(_BASE[name.strip()] for name in names.split(",") if name.strip())


def read_signature(text: str) -> tuple[Argument, ...]:
    """The arguments that a signature declares: `units: size, activation: optional activation = None`."""
    arguments = []
    keyword = False
    for item in split(text, ","):
        if item == "*":
            keyword = True
            continue
        part, _, since = item.partition(" since ")
        declaration, *default = split(part, "=")
        name, _, type_ = declaration.partition(":")
        value = literal_eval(default[0]) if default else REQUIRED
        variadic = name.startswith("*")
        arguments.append(Argument(name.strip("* "), type_.strip(), value, keyword, variadic, since.strip()))
        keyword = keyword or variadic
    return tuple(arguments)


def split(text: str, separator: str) -> tuple[str, ...]:
    """The parts of `text` between separators that stand outside brackets and quotes, stripped."""
    return tuple(part for part in (p.strip() for p in _parts(text, separator)) if part)


def _parts(text: str, separator: str) -> Iterator[str]:
    depth = start = 0
    quote = ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == separator and not depth:
            yield text[start:index]
            start = index + 1
    yield text[start:]
