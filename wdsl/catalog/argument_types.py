"""The type language of the catalogue: what an argument may be, in a few words.

type         a value of it
size         a whole number of at least 1
count        a whole number of at least 0
int          a whole number; `true` and `false` are none
float        a number
nonnegative  a number of at least 0; `positive` is one above 0
fraction     a number from 0 to 1; `within(a, b)` is one from a to b
bool, str    these
no           `false` and nothing else
axis, axes   the number of an axis; one such number or a list of them
sizes(n)     a size for n axes alike, or a list of n of them; `counts(n)` is the same with counts
list(T)      a list of T; `list(T, n)` is a list of n of them; `list` is one of whatever a file can write down
any          whatever a file can write down
choice(a|b)  one of these words, as they are written; `anycase(a|b)` in any case
activation, initializer, regularizer, constraint
             the name of one, or (but for activations) one that is constructed
layer        a layer that is constructed
dtype        a tensor's dtype
policy       what a layer's `dtype` may be: a dtype, or a policy such as "mixed_bfloat16"
tensor       a tensor; `tensors` is a list of them that is one argument, as merging layers take it
unset        nothing but the default: what cannot be said in a file

optional T   a T or `none`
T or U       either
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from wdsl.catalog.dtypes import DTYPES, POLICIES
from wdsl.catalog.model import Argument, Constructed, TensorSpec
from wdsl.catalog.registries import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from wdsl.catalog.rows import Class, Inner
from wdsl.catalog.signatures import split

_ALIASES = {
    "data_format": "anycase(channels_last|channels_first)",
}
_WORDS = {
    "size": "a whole number of at least 1",
    "count": "a whole number of at least 0",
    "int": "a whole number",
    "float": "a number",
    "nonnegative": "a number of at least 0",
    "positive": "a number above 0",
    "fraction": "a number from 0 to 1",
    "bool": "true or false",
    "no": "false",
    "str": "a string",
    "list": "a list",
    "any": "a constant",
    "axis": "the number of an axis",
    "axes": "the number of an axis or a list of such numbers",
    "activation": "the name of an activation function",
    "initializer": "an initializer",
    "regularizer": "a regularizer",
    "constraint": "a constraint",
    "layer": "a layer",
    "dtype": "a dtype",
    "policy": "a dtype or a dtype policy",
    "tensor": "a tensor",
    "tensors": "a list of tensors",
    "unset": "left out: a .wnet file cannot give it",
}
_PLURALS = {
    "size": "whole numbers of at least 1",
    "count": "whole numbers of at least 0",
    "int": "whole numbers",
    "axis": "axis numbers",
    "float": "numbers",
    "layer": "layers",
    "tensor": "tensors",
}
_REGISTRIES: Mapping[str, tuple[str, Mapping[str, Class]]] = {
    "initializer": ("initializer", INITIALIZERS),
    "regularizer": ("regularizer", REGULARIZERS),
    "constraint": ("constraint", CONSTRAINTS),
}


@cache
def _read(type_: str) -> tuple[bool, tuple[tuple[str, tuple[str, ...]], ...]]:
    """Whether `none` is allowed, and the alternatives, each a name and its parameters."""
    optional = type_.startswith("optional ")
    alternatives = []
    for part in split(type_.removeprefix("optional ").replace(" or ", "\0"), "\0"):
        name, bracket, parameters = _ALIASES.get(part, part).partition("(")
        if bracket:
            parameters = parameters.removesuffix(")").replace("\0", " or ")
        separator = "|" if name in ("choice", "anycase") else ","
        alternatives.append((name, split(parameters, separator)))
    return optional, tuple(alternatives)


def alternatives(type_: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The types that a value may be of, each as its name and its parameters."""
    return _read(type_)[1]


def check(argument: Argument, value: object) -> str | None:
    """None if the value fits the argument's type, else a sentence that says what would."""
    if fits(argument.type, value):
        return None
    if argument.type == "unset":
        if value == argument.default:
            return None
        return f"`{argument.name}` must be {describe('unset')}"
    return f"`{argument.name}` must be {describe(argument.type)}, not {show(value)}"


def fits(type_: str, value: object) -> bool:
    """Whether the value is one of the type."""
    optional, either = _read(type_)
    if value is None:
        return optional or type_ == "unset"
    return any(_fits(name, parameters, value) for name, parameters in either)


def _fits(name: str, parameters: tuple[str, ...], value: object) -> bool:
    match name:
        case "size":
            return is_whole(value) and value >= 1  # type: ignore[operator]
        case "count":
            return is_whole(value) and value >= 0  # type: ignore[operator]
        case "int" | "axis":
            return is_whole(value)
        case "float":
            return is_number(value)
        case "nonnegative":
            return is_number(value) and value >= 0  # type: ignore[operator]
        case "positive":
            return is_number(value) and value > 0  # type: ignore[operator]
        case "fraction":
            return is_number(value) and 0 <= value <= 1  # type: ignore[operator]
        case "within":
            least, most = map(float, parameters)
            return is_number(value) and least <= value <= most  # type: ignore[operator]
        case "bool":
            return isinstance(value, bool)
        case "no":
            return value is False
        case "str":
            return isinstance(value, str)
        case "axes":
            return is_whole(value) or _list("int", value)
        case "sizes":
            return _fits("size", (), value) or _list("size", value, int(parameters[0]))
        case "counts":
            return _fits("count", (), value) or _list("count", value, int(parameters[0]))
        case "list":
            type_, *length = parameters or ("optional any",)
            return _list(type_, value, *map(int, length))
        case "any":
            return isinstance(value, (bool, int, float, str)) or _list("optional any", value)
        case "choice":
            return isinstance(value, str) and value in parameters
        case "anycase":
            return isinstance(value, str) and value.lower() in parameters
        case "activation":
            return isinstance(value, str) and value in ACTIVATIONS
        case "initializer" | "regularizer" | "constraint":
            kind, registry = _REGISTRIES[name]
            if isinstance(value, Constructed):
                return value.kind == kind
            return isinstance(value, str) and value in registry and registry[value].by_name
        case "layer":
            return isinstance(value, Inner)
        case "dtype":
            return isinstance(value, str) and value in DTYPES
        case "policy":
            return isinstance(value, str) and value in POLICIES
        case "tensor":
            return isinstance(value, TensorSpec)
        case "tensors":
            return _list("tensor", value)
        case "unset":
            return False
    raise ValueError(f"the type language has no {name!r}")


def is_whole(value: object) -> bool:
    """Whether a value is a whole number: `true` and `false` are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a number: `true` and `false` are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _list(type_: str, value: object, length: int | None = None) -> bool:
    if not isinstance(value, (list, tuple)) or (length is not None and len(value) != length):
        return False
    return all(fits(type_, element) for element in value)


def describe(argument_type: str) -> str:
    """What a value of this type is, to stand after "must be": "a whole number of at least 1"."""
    optional, either = _read(argument_type)
    plain = argument_type.removeprefix("optional ")
    words = [word for part in either for word in _describe(*part)] if plain not in _WORDS else [_WORDS[plain]]
    *words, last = [*words, *(["none"] if optional else [])]
    return f"{', '.join(words)} or {last}" if words else last


def _describe(name: str, parameters: tuple[str, ...]) -> tuple[str, ...]:
    match name:
        case "sizes" | "counts":
            return _WORDS[name.removesuffix("s")], f"a list of {parameters[0]} of them"
        case "within":
            return (f"a number from {parameters[0]} to {parameters[1]}",)
        case "list" if parameters:
            many = _PLURALS.get(parameters[0], f"({describe(parameters[0])})")
            return (f"a list of {' '.join((*parameters[1:], many))}",)
        case "choice" | "anycase":
            return tuple(f'"{word}"' for word in parameters)
        case "bool":
            return "true", "false"
    return (_WORDS[name],)


def show(value: object) -> str:
    """A value as a .wnet file would write it, cut short where it is long."""
    match value:
        case None:
            text = "none"
        case bool():
            text = "true" if value else "false"
        case int():
            text = int.__repr__(value)
        case str():
            text = f'"{value}"'
        case list() | tuple():
            text = f"[{', '.join(map(show, value[:10]))}{', …' if len(value) > 10 else ''}]"
        case TensorSpec():
            text = f"a tensor of shape {show_shape(value.sizes)}"
        case Constructed():
            text = f"{value.name}(…)" if value.arguments else f"{value.name}()"
        case Inner():
            text = f"{value.row.name}(…)"
        case _:
            text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def show_shape(shape: tuple[int | None, ...]) -> str:
    """A shape as messages show it: `[?, 28, 28, 1]`."""
    return f"[{', '.join('?' if size is None else int.__repr__(size) for size in shape)}]"
