"""What the catalogue says of Keras's signatures and registries, against the Keras that is installed.

    python -m tests.conformance.catalog

writes a line for each difference, and nothing if there is none; the exit status is 1 if there is one. What a row says
came with a later version of Keras is no difference. What a file cannot have is in `refused.py` beside the rows, with
what to do instead.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import keras
from keras.src.backend.common.dtypes import ALLOWED_DTYPES

from wdsl import catalog
from wdsl.catalog import REQUIRED, Argument
from wdsl.catalog.dtypes import POLICIES
from wdsl.catalog.versions import number

REFUSES = {
    "ActivityRegularization": {"activity_regularizer"},
    "IntegerLookup": {"activity_regularizer", "trainable", "dtype", "autocast"},
}
"""Arguments that every layer has, but not those, though their signatures end in `**kwargs`."""

NO_DTYPES = {"string", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"}
"""Dtypes of Keras that the tensors of a network do not have."""


def has_come(row: Any) -> bool:
    """Whether the installed Keras should have what a row describes."""
    return not row.since or number(row.since) <= number(keras.__version__)


def signature(function: Callable[..., object]) -> tuple[dict[str, object], bool]:
    """The parameters of a function with their defaults, and whether there are further ones by name."""
    if function is object.__init__:
        return {}, False
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    named = {p.name: REQUIRED if p.default is p.empty else p.default for p in parameters if p.kind != p.VAR_KEYWORD}
    return named, any(p.kind == p.VAR_KEYWORD for p in parameters)


def of_arguments(what: str, arguments: Iterable[Argument], theirs: Mapping[str, object]) -> Iterator[str]:
    """How the arguments of a row differ from Keras's: names, defaults, and the order of those that go by position."""
    ours = {argument.name: argument for argument in arguments}
    for name, argument in ours.items():
        if name not in theirs:
            if has_come(argument):
                yield f"{what}: Keras has no argument `{name}`"
        elif not has_come(argument):
            yield f"{what}: `{name}` is there, though it should have come with Keras {argument.since}"
        elif argument.default != theirs[name] or isinstance(argument.default, bool) != isinstance(theirs[name], bool):
            yield f"{what}: the default of `{name}` is {theirs[name]!r}, not {argument.default!r}"
    for name, default in theirs.items():
        if name not in ours:
            yield f"{what}: the row has no argument `{name}`, whose default is {default!r}"
    positional = [name for name, argument in ours.items() if not argument.keyword and name in theirs]
    if positional != [name for name in theirs if name in positional]:
        yield f"{what}: the order is {', '.join(theirs)}"


def of_presence(what: str, row: Any, there: bool) -> Iterator[str]:
    """Whether Keras has what a row describes, and only from the version on that the row says."""
    if there != has_come(row):
        found = "is not there" if not there else f"is there, though it should have come with Keras {row.since}"
        yield f"{what}: {found}"


def layers() -> Iterator[str]:
    """Classes of layers: names, and arguments of constructors and calls."""
    base, _ = signature(keras.layers.Layer.__init__)
    theirs = {
        name: found
        for name in dir(keras.layers)
        if inspect.isclass(found := getattr(keras.layers, name)) and issubclass(found, keras.layers.Layer)
    }
    for name in sorted(theirs.keys() - catalog.LAYERS.keys() - catalog.REFUSED.keys()):
        yield f"layers.{name}: there is no row for it, and no word on what to do instead"
    for name, row in catalog.LAYERS.items():
        yield from of_presence(f"layers.{name}", row, name in theirs)
        if name not in theirs or not has_come(row):
            continue
        class_ = theirs[name]
        named, further = signature(class_.__init__)
        # A layer's name is the one that it is declared with.
        of_class = {key: each for key, each in named.items() if key != "name"}
        inherited = {key: each for key, each in base.items() if key not in {"name", *REFUSES.get(name, ())}}
        yield from of_arguments(
            f"layers.{name}",
            row.arguments,
            of_class | ({k: named.get(k, v) for k, v in inherited.items()} if further else {}),
        )
        yield from of_arguments(f"layers.{name}.call", row.call, signature(class_.call)[0])
        if (class_.__name__ != row.name) and name in catalog.ALIASES:
            yield f"layers.{name}: it is another name of {class_.__name__}, not of {row.name}"


def functions() -> Iterator[str]:
    """Functions: names, and arguments."""
    places: dict[str, ModuleType] = {"": keras.ops, "image.": keras.ops.image}
    rows = {row.keras: row for row in catalog.FUNCTIONS.values()}
    known = {place.removeprefix("ops.").removeprefix("activations.") for place in rows}
    for prefix, module in places.items():
        for name in dir(module):
            plain = callable(getattr(module, name)) and not name.startswith("_")
            if plain and f"{prefix}{name}" not in known and f"ops.{prefix}{name}" not in catalog.REFUSED_FUNCTIONS:
                yield f"ops.{prefix}{name}: there is no row for it, and no word on what to do instead"
    for place in sorted(rows.keys() & catalog.REFUSED_FUNCTIONS.keys()):
        yield f"{place}: there is a row for it, though a file cannot have it"
    for place, row in rows.items():
        module, _, name = f"keras.{place}".rpartition(".")
        found: Any = keras
        for part in module.split(".")[1:]:
            found = getattr(found, part)
        yield from of_presence(place, row, hasattr(found, name))
        if hasattr(found, name) and has_come(row):
            yield from of_arguments(place, row.arguments, signature(getattr(found, name))[0])


def registries() -> Iterator[str]:
    """What goes by a name or is constructed in place: activations, initializers, regularizers, constraints."""
    from keras.src import activations, constraints, initializers, regularizers

    rows: dict[ModuleType, Mapping[str, Any]] = {
        initializers: catalog.INITIALIZERS,
        regularizers: catalog.REGULARIZERS,
        constraints: catalog.CONSTRAINTS,
    }
    for name in sorted(activations.ALL_OBJECTS_DICT.keys() - catalog.ACTIVATIONS):
        yield f"activations.{name}: there is no row for it"
    for name in sorted(catalog.ACTIVATIONS - activations.ALL_OBJECTS_DICT.keys()):
        yield f"activations.{name}: is not there"
    for module, registry in rows.items():
        kind = module.__name__.rpartition(".")[2]
        theirs = {
            name: found
            for name, found in module.ALL_OBJECTS_DICT.items()
            if found.__name__ not in {"Initializer", "Regularizer", "Constraint"}
        }
        for name in sorted(theirs.keys() - registry.keys()):
            yield f"{kind}.{name}: there is no row for it"
        for name, row in registry.items():
            yield from of_presence(f"{kind}.{name}", row, name in theirs)
            if name in theirs and has_come(row):
                if row.name not in {theirs[name].__name__, name}:
                    yield f"{kind}.{name}: it is {theirs[name].__name__}, not {row.name}"
                yield from of_arguments(f"{kind}.{name}", row.arguments, signature(theirs[name].__init__)[0])


def dtypes() -> Iterator[str]:
    """Dtypes, and policies, which Keras makes of names."""
    for name in sorted((set(ALLOWED_DTYPES) - NO_DTYPES) ^ set(catalog.DTYPES)):
        yield f"dtypes: `{name}` is on one side only"
    for name in POLICIES:
        try:
            keras.dtype_policies.get(name)
        except ValueError as error:
            yield f"dtype policies: Keras refuses `{name}`: {error}"


def differences() -> list[str]:
    """All differences, a line for each."""
    return [*layers(), *functions(), *registries(), *dtypes()]


if __name__ == "__main__":
    found = differences()
    print("".join(f"{line}\n" for line in found), end="")
    print(f"{len(found)} differences from Keras {keras.__version__}", file=sys.stderr)
    sys.exit(1 if found else 0)
