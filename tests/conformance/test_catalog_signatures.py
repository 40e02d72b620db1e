"""The rows' signatures are Keras's: names, order and defaults of every argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import pytest

from wdsl.catalog import (
    ACTIVATIONS,
    ALIASES,
    CONSTRAINTS,
    FUNCTIONS,
    INITIALIZERS,
    LAYERS,
    REFUSED,
    REGULARIZERS,
    REQUIRED,
    Argument,
    Constructed,
    check,
)

keras = pytest.importorskip("keras")

POSITIONAL = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
CLASSES = [
    *(("initializers", row) for row in INITIALIZERS.items()),
    *(("regularizers", row) for row in REGULARIZERS.items()),
    *(("constraints", row) for row in CONSTRAINTS.items()),
]


def of_keras(function: Callable[..., object]) -> tuple[list[tuple[str, object]], bool]:
    """The named parameters with their defaults, and whether there are further ones by name."""
    parameters = list(inspect.signature(function).parameters.values())
    named = [
        (p.name, REQUIRED if p.default is p.empty else p.default)
        for p in parameters
        if p.kind in (*POSITIONAL, p.KEYWORD_ONLY) and p.name != "self"
    ]
    return named, any(p.kind == p.VAR_KEYWORD for p in parameters)


IS_OF_ROWS = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
"""Whether this Keras is as new as the one that the rows are written from; an older one lacks some arguments."""


def there(arguments: Iterable[Argument], names: Iterable[str]) -> list[Argument]:
    """The arguments of a row, without those that came to Keras after this version of it."""
    known = set(names)
    return [argument for argument in arguments if IS_OF_ROWS or argument.name in known]


def of_row(arguments: Iterable[Argument]) -> list[tuple[str, object]]:
    return [(argument.name, argument.default) for argument in arguments]


REFUSES = {
    "ActivityRegularization": ["activity_regularizer"],
    "IntegerLookup": ["activity_regularizer", "trainable", "dtype", "autocast"],
}
"""Arguments that every layer has, but not those, though their signatures end in `**kwargs`."""


@pytest.mark.parametrize("name", LAYERS)
def test_constructor(name: str) -> None:
    named, further = of_keras(getattr(keras.layers, name).__init__)
    further_names = [n for n, _ in of_keras(keras.layers.Layer.__init__)[0]] if further else []
    row = there(LAYERS[name].arguments, [n for n, _ in named] + further_names)
    # A layer's name is the one that it is declared with. Some classes name `dtype` behind it.
    own = [(n, default) for n, default in named if n not in {"name", "dtype"}]
    assert of_row(row)[: len(own)] == own
    # What follows goes by name, to `keras.layers.Layer` where the class passes it on.
    rest = row[len(own) :]
    assert all(argument.keyword for argument in rest)
    assert not any(argument.keyword for argument in row[: len(own)])
    by_name = dict(of_keras(keras.layers.Layer.__init__)[0]) if further else dict(named)
    left_out = {"name", *(n for n, _ in own), *REFUSES.get(name, ())}
    assert {a.name: a.default for a in rest} == {n: d for n, d in by_name.items() if n not in left_out}


def test_every_layer_is_known() -> None:
    """A layer of Keras, under each of its names, has a row, or a word on what to do instead."""
    theirs = {
        name: found
        for name in dir(keras.layers)
        if inspect.isclass(found := getattr(keras.layers, name)) and issubclass(found, keras.layers.Layer)
    }
    assert set(theirs) <= set(LAYERS) | set(REFUSED)
    assert set(LAYERS) | set(REFUSED) <= set(dir(keras.layers)) or not IS_OF_ROWS
    assert not set(LAYERS) & set(REFUSED)
    names = {name: found.__name__ for name, found in theirs.items() if name in LAYERS}
    names.pop("GroupQueryAttention", None)  # the only name that it has, and not that of its class
    assert {name: found for name, found in names.items() if name != found} == dict(ALIASES)


@pytest.mark.parametrize("name", LAYERS)
def test_call(name: str) -> None:
    named, _ = of_keras(getattr(keras.layers, name).call)
    assert of_row(LAYERS[name].call) == named


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    row = FUNCTIONS[name]
    module, _, function = row.keras.partition(".")
    signature = inspect.signature(getattr(getattr(keras, module), function))
    variadic = {p.name for p in signature.parameters.values() if p.kind == p.VAR_POSITIONAL}
    keywords = {p.name for p in signature.parameters.values() if p.kind == p.VAR_KEYWORD}
    keras_names = [
        (p.name, REQUIRED if p.default is p.empty else p.default)
        for p in signature.parameters.values()
        if p.name not in keywords
    ]
    # What a file cannot say is left out of the row, and stands last in Keras.
    left_out = {"one_hot": {"sparse"}}.get(name, set())
    assert of_row(row.arguments) == [(n, d) for n, d in keras_names if n not in left_out]
    assert all(argument.type == "tensors" for argument in row.arguments if argument.name in variadic)


@pytest.mark.parametrize(("module", "row"), CLASSES, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_constructed_classes(module: str, row: tuple[str, object]) -> None:
    name, known = row
    class_ = getattr(getattr(keras, module), known.name)  # type: ignore[attr-defined]
    if known.by_name:  # type: ignore[attr-defined]
        assert type(getattr(keras, module).get(name)) is class_
    named, _ = of_keras(class_.__init__)
    arguments = there(known.arguments, [n for n, _ in named])  # type: ignore[attr-defined]
    assert of_row(arguments) == named
    argument = Argument("it", module.removesuffix("s"))
    assert (check(argument, name) is None) == known.by_name  # type: ignore[attr-defined]
    assert check(argument, Constructed(known.kind, known.name, {})) is None  # type: ignore[attr-defined]


def test_registries_are_complete() -> None:
    abstract = {"initializer", "Initializer", "regularizer", "Regularizer", "constraint", "Constraint"}
    from keras.src import activations, constraints, initializers, regularizers

    assert set(activations.ALL_OBJECTS_DICT) == set(ACTIVATIONS)
    assert set(initializers.ALL_OBJECTS_DICT) - abstract == set(INITIALIZERS)
    assert set(regularizers.ALL_OBJECTS_DICT) - abstract == set(REGULARIZERS)
    assert set(constraints.ALL_OBJECTS_DICT) - abstract == set(CONSTRAINTS)
