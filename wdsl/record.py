"""Frozen values, as `dataclass(frozen=True)` makes them, without its price.

A dataclass writes and compiles its methods when its module is imported, about a millisecond for each class. This
package has some eighty such classes, and that was a third of what `wdsl build` took. A Record shares its methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


_MISSING: Any = object()
T = TypeVar("T", bound="Record")


class _Field:
    def __init__(self, default: Any, compare: bool):
        self.default = default
        self.compare = compare


def field(*, default: Any = _MISSING, compare: bool = True, kw_only: bool = False) -> Any:
    """A field that is not compared or shown, or is given by name only. The latter stands behind all others."""
    return _Field(default, compare)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """A base class whose annotated attributes are the fields of a frozen value.

    Two are equal if they are of one class and equal in every compared field. A subclass's own fields come before
    those that it inherits, which are given by name.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _compared: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        own = [name for name, type_ in cls.__annotations__.items() if not str(type_).startswith("ClassVar")]
        hidden = set(cls._fields) - set(cls._compared)
        defaults = dict(cls._defaults)
        for name in own:
            default = cls.__dict__.get(name, _MISSING)
            if isinstance(default, _Field):
                if not default.compare:
                    hidden.add(name)
                default = default.default
            if default is not _MISSING:
                defaults[name] = default
            if name in cls.__dict__:
                delattr(cls, name)
        cls._fields = (*own, *(name for name in cls._fields if name not in own))
        cls._compared = tuple(name for name in cls._fields if name not in hidden)
        cls._defaults = defaults
        cls.__match_args__ = tuple(own)  # type: ignore

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self._fields
        state = self.__dict__
        if len(values) == len(fields) and not named:  # as it is nearly always
            state.update(zip(fields, values))  # noqa: B905
            return
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} has {len(fields)} fields, not {len(values)}")
        state.update(zip(fields, values))  # noqa: B905 - the rest is by name
        if len(values) + len(named) < len(fields):
            state.update({name: value for name, value in self._defaults.items() if name not in state})
        state.update(named)
        if len(state) != len(fields):
            wrong = set(fields) ^ set(state)
            raise TypeError(f"{type(self).__name__} is missing or does not have {', '.join(sorted(wrong))}")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        state = self.__dict__
        return type(self)(**{name: state[name] for name in self._fields} | changes)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def _key(self) -> tuple[Any, ...]:
        state = self.__dict__
        return tuple([state[name] for name in self._compared])

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.__class__, self._key()))

    def __repr__(self) -> str:
        state = self.__dict__
        shown = ", ".join(f"{name}={state[name]!r}" for name in self._compared)
        return f"{type(self).__name__}({shown})"


def equal(first: Any, second: Any) -> bool:
    """Whether two trees of records and tuples are equal, however deep they are: `==` is bounded as recursion is."""
    rest = [(first, second)]
    while rest:
        one, other = rest.pop()
        if isinstance(one, Record) and one.__class__ is other.__class__:
            one, other = one._key(), other._key()
        if isinstance(one, tuple) and isinstance(other, tuple):
            if len(one) != len(other):
                return False
            rest += zip(one, other)  # noqa: B905 - they are of one length
        elif one != other or type(one) is not type(other):
            return False
    return True
