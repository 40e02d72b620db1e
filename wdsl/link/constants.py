"""Arithmetic on constants: the value now, and the expression that gives it for other parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from wdsl.catalog.argument_types import is_number, is_whole
from wdsl.catalog.layers import LAYERS
from wdsl.catalog.names import words
from wdsl.catalog.registries import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from wdsl.core import expressions as ex
from wdsl.core.record import Record


class LayerClass(Record):
    """A class of layers as a value: `LayerNormalization`, for a block to construct layers of."""

    name: str


PARAMETER_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "list": (list,),
    "layer": (LayerClass,),
}
"""The types that parameters may be declared with, and those of Python that their values have."""

MAX_INTEGER = 2**63 - 1
MAX_ITEMS = 100_000
MAX_NESTING = 50


class Value(Record):
    """A constant: int, float, str, bool, None, or a list of Values, with the expression that gave it."""

    value: Any
    expression: ex.Expression

    def plain(self) -> Any:
        """The value with lists as tuples of plain values; integers carry their expression (see `Dim`)."""
        from wdsl.core.sizes import dim

        if isinstance(self.value, list):
            return tuple(item.plain() for item in self.value)
        if is_whole(self.value):
            return dim(self.value, self.expression)
        return self.value


class ConstantError(Exception):
    """An operation that has no result; the message says why, the code of what kind of error that is."""

    code = "E0310"


class TooManyItems(ConstantError):
    """A list that would be too long."""

    code = "E0703"


def constant(value: float | str | bool | None) -> Value:
    return Value(value, ex.Constant(value))


def sequence(items: Sequence[Value]) -> Value:
    """A list of constants. In Python it is a tuple: nothing of the language changes a list. Raises ConstantError."""
    return _made(bounded(list(items)), ex.Sequence(tuple(item.expression for item in items)))


def unary(sign: str, operand: Value) -> Value:
    if sign == "not":
        return _made(not operand.value, ex.Operation("not", (operand.expression,)))
    if not is_number(operand.value):
        raise ConstantError(f"`{sign}` needs a number, not {type_name(operand.value)}")
    if isinstance(operand.expression, ex.Constant):
        return constant(ex.UNARY[sign](operand.value))
    return _made(ex.UNARY[sign](operand.value), ex.Operation(sign, (operand.expression,)))


def binary(sign: str, left: Value, right: Value) -> Value:
    """`+ - * / // % ** == != < <= > >= and or in` on two constants. Raises ConstantError."""
    a, b = left.value, right.value
    expression = ex.Operation(sign, (left.expression, right.expression))
    if sign in ("and", "or"):
        chosen = (left if not a else right) if sign == "and" else (left if a else right)
        return _made(chosen.value, expression)
    if sign in ("==", "!="):
        return _made(ex.BINARY[sign](left.plain(), right.plain()), expression)
    if sign in ("in", "not in"):
        return _made(_contains(a, b) == (sign == "in"), expression)
    if sign == "*" and any(isinstance(each, (list, str)) for each in (a, b)):
        return _made(_repeated(a, b), expression)
    words = isinstance(a, str) and isinstance(b, str) and sign in ("+", "<", "<=", ">", ">=")
    lists = isinstance(a, list) and isinstance(b, list) and sign == "+"
    if not (words or lists or (is_number(a) and is_number(b) and sign != "@")):
        raise ConstantError(f"`{sign}` does not take {type_name(a)} and {type_name(b)}")
    if sign == "**" and a not in (0, 1, -1) and abs(b) * max(1.0, math.log2(abs(a) + 1)) > 1024:
        raise ConstantError("the power is too large")
    try:
        value = ex.BINARY[sign](a, b)
    except ZeroDivisionError:
        raise ConstantError("division by zero") from None
    except OverflowError:
        raise ConstantError("the result is too large") from None
    return _made(bounded(value), expression)


def _contains(item: Any, container: Any) -> bool:
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if not isinstance(container, list):
        raise ConstantError(f"`in` asks a list or a string, not {type_name(container)}")
    wanted = Value(item, ex.Constant(None)).plain()
    return any(each.plain() == wanted for each in container)


def _repeated(left: Any, right: Any) -> Any:
    """`[0] * 3` and `"ab" * 2`, from either side."""
    items, count = (left, right) if isinstance(left, (list, str)) else (right, left)
    if not is_whole(count):
        raise ConstantError(f"{type_name(items)} is repeated a whole number of times, not {type_name(count)}")
    if len(items) * count > MAX_ITEMS:
        raise TooManyItems(f"the result has more than {MAX_ITEMS:,} items")
    return bounded(items * count)


def conditional(then: Value, test: Value, otherwise: Value) -> Value:
    """`then if test else otherwise`. Raises ConstantError."""
    chosen = then if test.value else otherwise
    return _made(chosen.value, ex.Operation("if", (then.expression, test.expression, otherwise.expression)))


def _made(value: Any, expression: ex.Expression) -> Value:
    """A value with what gave it. Raises ConstantError if that is too much to be written down."""
    if not ex.is_intricate(expression):
        return Value(value, expression)
    if not ex.variables(expression):
        return Value(value, written(value))
    raise ConstantError("the result comes out of parameters in more steps than can be written down")


def folded(value: Value) -> Value:
    """The value with what it is, instead of how it was computed, as its expression, if no name is in that."""
    return Value(value.value, written(value.value)) if ex.is_written_out(value.expression) else value


def named(name: str, value: Value) -> Value:
    """A value where it has a name: that of a parameter, of a loop's variable, of a binding."""
    return Value(value.value, ex.Seen(ex.Variable(name), ex.outside(value.expression)))


def written(value: Any) -> ex.Expression:
    """The expression that holds a value itself."""
    if isinstance(value, (list, tuple)):
        return ex.Sequence(tuple(written(each.value if isinstance(each, Value) else each) for each in value))
    if isinstance(value, LayerClass):
        return ex.Symbol(f"layers.{value.name}")
    return ex.Constant(value)


def is_of(value: Any, type_: str) -> bool:
    """Whether a value is of one of the PARAMETER_TYPES, or of one of them with `?` behind it, which may be `none`."""
    if type_.endswith("?"):
        return value is None or is_of(value, type_.removesuffix("?"))
    if isinstance(value, bool):
        return type_ == "bool"
    return isinstance(value, PARAMETER_TYPES[type_])


def bounded(value: Any) -> Any:
    """The value. Raises ConstantError if it is larger than any that a network has use for."""
    if isinstance(value, complex):
        raise ConstantError("the result is not a real number")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ConstantError("the result is larger than 64 bits hold")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConstantError("the result is not a finite number")
    if isinstance(value, str) and len(value) > MAX_ITEMS:
        raise TooManyItems(f"the result has more than {MAX_ITEMS:,} items")
    if isinstance(value, list):
        _bounded_list(value)
    return value


def _bounded_list(value: list[Value]) -> None:
    """Raise ConstantError if a list has too many items, those of lists in it counted too: each may double the last."""
    count, level, inner = 0, 0, [value]
    while inner:
        count, level = count + sum(map(len, inner)), level + 1
        if count > MAX_ITEMS:
            raise TooManyItems(f"the result has more than {MAX_ITEMS:,} items")
        if level > MAX_NESTING:
            raise ConstantError(f"the result is a list of lists, more than {MAX_NESTING} in one another")
        inner = [each.value for items in inner for each in items if isinstance(each.value, list)]


def item(container: Value, index: Value) -> Value:
    """`list[3]`. Raises ConstantError."""
    if not isinstance(container.value, (list, str)):
        raise ConstantError(f"{type_name(container.value)} has no items")
    if not is_whole(index.value):
        raise ConstantError(f"an index is a whole number, not {type_name(index.value)}")
    size = len(container.value)
    if not -size <= index.value < size:
        raise ConstantError(f"index {index.value} is outside: there are {size} items")
    found = container.value[index.value]
    if (
        isinstance(found, Value)
        and isinstance(container.expression, ex.Sequence)
        and ex.is_written_out(index.expression)
    ):
        return found  # of a list that is written there, it is what is written there
    return _made(
        found.value if isinstance(found, Value) else found,
        ex.Subscript(container.expression, index.expression),
    )


def part(container: Value, bounds: Sequence[Value | None]) -> Value:
    """`list[1:3]`, of the start, the stop and the step, which may be left out. Raises ConstantError."""
    if not isinstance(container.value, (list, str)):
        raise ConstantError(f"{type_name(container.value)} has no items")
    for each in bounds:
        if each is not None and not is_whole(each.value):
            raise ConstantError(f"the bounds of a slice are whole numbers, not {type_name(each.value)}")
    start, stop, step = (None if each is None else each.value for each in bounds)
    if step == 0:
        raise ConstantError("the step of a slice is not 0")
    return _made(container.value[start:stop:step], ex.Subscript(container.expression, slice_of(bounds)))


def slice_of(bounds: Sequence[Value | None]) -> ex.Expression:
    """A slice as Python's own `slice` is called: the stop alone, start and stop, or all three."""
    given = bounds if bounds[2] else bounds[:2] if bounds[0] else bounds[1:2]
    none = ex.Constant(None)
    return ex.Call(ex.Symbol("slice"), tuple(none if each is None else each.expression for each in given))


def _range(arguments: Sequence[Value]) -> Any:
    if not 1 <= len(arguments) <= 3 or not all(is_whole(argument.value) for argument in arguments):
        raise ConstantError("`range` takes one to three whole numbers")
    try:
        numbers = range(*(argument.value for argument in arguments))
    except ValueError:
        raise ConstantError("the step of a `range` is not 0") from None
    count = max(0, -((numbers.start - numbers.stop) // numbers.step))  # `len` is for what memory could hold
    if count > MAX_ITEMS:
        raise TooManyItems(f"the range has {count:,} items, more than {MAX_ITEMS:,}")
    return [constant(number) for number in numbers]


def _len(arguments: Sequence[Value]) -> Any:
    if len(arguments) != 1 or not isinstance(arguments[0].value, (list, str)):
        raise ConstantError("`len` takes a list or a string")
    return len(arguments[0].value)


def _abs(arguments: Sequence[Value]) -> Any:
    if len(arguments) != 1 or not is_number(arguments[0].value):
        raise ConstantError("`abs` takes a number")
    return abs(arguments[0].value)


def _round(arguments: Sequence[Value]) -> Any:
    numbers = [argument.value for argument in arguments]
    if len(numbers) not in (1, 2) or not is_number(numbers[0]) or not all(map(is_whole, numbers[1:])):
        raise ConstantError("`round` takes a number, and how many digits to keep")
    return round(*numbers)


def _sum(arguments: Sequence[Value]) -> Any:
    if len(arguments) != 1 or not isinstance(arguments[0].value, list):
        raise ConstantError("`sum` takes a list of numbers")
    values = [each.value for each in arguments[0].value]
    if not all(map(is_number, values)):
        raise ConstantError("`sum` takes a list of numbers")
    return sum(values)


def _extreme(choose: Callable[..., Any], name: str) -> Callable[[Sequence[Value]], Any]:
    def call(arguments: Sequence[Value]) -> Any:
        values = [argument.value for argument in arguments]
        if len(values) == 1 and isinstance(values[0], list):
            values = [each.value for each in values[0]]
        if not values or not all(map(is_number, values)):
            raise ConstantError(f"`{name}` takes numbers, or a list of them")
        return choose(values)

    return call


def _of_number(compute: Callable[[float], Any], name: str) -> Callable[[Sequence[Value]], Any]:
    def call(arguments: Sequence[Value]) -> Any:
        if len(arguments) != 1 or not is_number(arguments[0].value):
            raise ConstantError(f"`{name}` takes one number")
        try:
            return compute(arguments[0].value)
        except ValueError:
            raise ConstantError(f"`{name}` has no value for {arguments[0].value}") from None
        except OverflowError:
            raise ConstantError("the result is too large") from None

    return call


def _truth(decide: Callable[[Iterable[Any]], bool], name: str) -> Callable[[Sequence[Value]], Any]:
    def call(arguments: Sequence[Value]) -> Any:
        return decide(each.value for each in _only_list(arguments, name))

    return call


def _only_list(arguments: Sequence[Value], name: str) -> list[Value]:
    if len(arguments) != 1 or not isinstance(arguments[0].value, list):
        raise ConstantError(f"`{name}` takes a list")
    return arguments[0].value


def _enumerate(arguments: Sequence[Value]) -> Any:
    items = _only_list(arguments, "enumerate")
    return [sequence([constant(number), each]) for number, each in enumerate(items)]


def _zip(arguments: Sequence[Value]) -> Any:
    if len(arguments) < 2 or not all(isinstance(each.value, list) for each in arguments):
        raise ConstantError("`zip` takes two lists or more")
    lengths = [len(each.value) for each in arguments]
    if len(set(lengths)) > 1:
        raise ConstantError(f"`zip` takes lists of one length, and these have {' and '.join(map(str, lengths))} items")
    return [sequence(each) for each in zip(*(argument.value for argument in arguments), strict=True)]


def _sorted(arguments: Sequence[Value]) -> Any:
    items = _only_list(arguments, "sorted")
    values = [each.value for each in items]
    if not (all(map(is_number, values)) or all(isinstance(each, str) for each in values)):
        raise ConstantError("`sorted` takes a list of numbers, or one of strings")
    return sorted(items, key=lambda each: each.value)


def _str(arguments: Sequence[Value]) -> Any:
    value = arguments[0].value if len(arguments) == 1 else None
    if not (is_number(value) or isinstance(value, str)):
        raise ConstantError("`str` takes one number, or a string")
    return str(value)


FUNCTIONS: dict[str, Callable[[Sequence[Value]], Any]] = {
    "range": _range,
    "len": _len,
    "abs": _abs,
    "round": _round,
    "min": _extreme(min, "min"),
    "max": _extreme(max, "max"),
    "sum": _sum,
    "int": _of_number(int, "int"),
    **{
        name: _of_number(getattr(math, name), name)
        for name in ("floor", "ceil", "sqrt", "exp", "log", "log2", "sin", "cos")
    },
    "any": _truth(any, "any"),
    "all": _truth(all, "all"),
    "enumerate": _enumerate,
    "zip": _zip,
    "reversed": lambda arguments: _only_list(arguments, "reversed")[::-1],
    "sorted": _sorted,
    "str": _str,
}
"""The functions of constants. Each raises ConstantError for arguments that it does not take."""

ITERATED = frozenset({"range", "enumerate", "zip", "reversed", "sorted"})
"""Those of which Python makes no tuples."""

OF_MATH = frozenset({"floor", "ceil", "sqrt", "exp", "log", "log2", "sin", "cos"})
"""Those that Python has in its module `math`."""

NAMES: Mapping[str, Value] = {"pi": Value(math.pi, ex.Symbol("math.pi"))}
"""What has a name in every file, unless something else has it."""


@cache
def _words() -> frozenset[str]:
    """Every word that some argument takes: `relu`, `same`, `he_normal`, `float32`."""
    rows: tuple[Any, ...] = (*LAYERS.values(), *INITIALIZERS.values(), *REGULARIZERS.values(), *CONSTRAINTS.values())
    types = {argument.type for row in rows for argument in row.arguments}
    return frozenset(word for type_ in types for word in words(type_) if word.isidentifier() and word.islower())


def word(name: str) -> Value | None:
    """What a name stands for that nothing else has: a word of Keras's, as `relu`, or a class of its layers."""
    if name in LAYERS:
        return Value(LayerClass(name), ex.Symbol(f"layers.{name}"))
    return constant(name) if name in _words() else None


def call(name: str, arguments: Sequence[Value]) -> Value:
    """The value of a function of constants. Raises ConstantError."""
    path = f"math.{name}" if name in OF_MATH else name
    expression: ex.Expression = ex.Call(ex.Symbol(path), tuple(_gone_through(name, each) for each in arguments))
    if name in ITERATED:
        expression = ex.Call(ex.Symbol("tuple"), (expression,))
    return _made(bounded(FUNCTIONS[name](arguments)), expression)


def _gone_through(name: str, argument: Value) -> ex.Expression:
    """An argument, which need be no tuple for a function that goes through it: `reversed(range(3))`."""
    match argument.expression:
        case ex.Call(ex.Symbol("tuple"), (ex.Call(ex.Symbol(inner)) as values,)) if (
            name in ITERATED and inner in ITERATED and (name != "reversed" or inner == "range")
        ):
            return values
    return argument.expression


def type_name(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "a truth value"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case LayerClass():
            return "a kind of layer"
    return f"of Python's type `{type(value).__name__}`"
