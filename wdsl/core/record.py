"""Frozen values, as `dataclass(frozen=True)` makes them, without its price.

A dataclass writes and compiles its methods when its module is imported, about a millisecond for each class. This
package has some eighty such classes, and that was a third of what `wdsl build` took. A Record shares its methods.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
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


class _Fields(type):
    """Gives a class a slot for each annotated attribute: half the memory of a dictionary for each value, and half as
    many objects for Python's garbage collector to look at."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Fields:
        annotations = namespace.get("__annotations__", {})
        own = tuple(each for each, type_ in annotations.items() if not str(type_).startswith("ClassVar"))
        inherited: Any = bases[0] if bases else None
        fields = inherited._fields if inherited else ()
        hidden = set(fields) - set(inherited._compared) if inherited else set()
        defaults = dict(inherited._defaults) if inherited else {}
        for each in own:
            default = namespace.pop(each, _MISSING)
            if isinstance(default, _Field):
                if not default.compare:
                    hidden.add(each)
                default = default.default
            if default is not _MISSING:
                defaults[each] = default
        # What is computed once and kept stands in a dictionary, which there is for those that have any.
        namespace["__slots__"] = (*(each for each in own if each not in fields), *(() if bases else ("__dict__",)))
        fields = (*own, *(each for each in fields if each not in own))
        compared = tuple(each for each in fields if each not in hidden)
        namespace.update(_fields=fields, _compared=compared, _defaults=defaults, __match_args__=own)
        made: Any = super().__new__(cls, name, bases, namespace)
        made._setters = tuple(getattr(made, each).__set__ for each in fields)
        made._get = attrgetter(*compared) if len(compared) > 1 else None
        return made  # type: ignore[no-any-return]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record(metaclass=_Fields):
    """A base class whose annotated attributes are the fields of a frozen value.

    Two are equal if they are of one class and equal in every compared field. A subclass's own fields come before
    those that it inherits, which are given by name.
    """

    _fields: ClassVar[tuple[str, ...]]
    _compared: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]
    _setters: ClassVar[tuple[Callable[[Any, Any], None], ...]]
    _get: ClassVar[Callable[[Any], tuple[Any, ...]] | None]

    def __init__(self, *values: Any, **named: Any) -> None:
        setters = self._setters
        for put, value in zip(setters, values):  # noqa: B905 - the rest is by name, or has a default
            put(self, value)
        given = len(values)
        if given == len(setters) and not named:
            return
        if given > len(setters):
            raise TypeError(f"{type(self).__name__} has {len(setters)} fields, not {given}")
        for name, put in zip(self._fields[given:], setters[given:]):  # noqa: B905 - of one length
            if name in named:
                put(self, named.pop(name))
            elif name in self._defaults:
                put(self, self._defaults[name])
            else:
                raise TypeError(f"{type(self).__name__} is missing {name}")
        if named:
            raise TypeError(f"{type(self).__name__} does not have {', '.join(sorted(named))}, or has it twice")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{name: getattr(self, name) for name in self._fields} | changes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), tuple([getattr(self, name) for name in self._fields]))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def _key(self) -> tuple[Any, ...]:
        get = type(self)._get
        return get(self) if get else tuple([getattr(self, name) for name in self._compared])

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.__class__, self._key()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._compared)
        return f"{type(self).__name__}({shown})"


def _restored(cls: type[T], values: tuple[Any, ...]) -> T:
    """What `pickle` and `copy` call."""
    return cls(*values)


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
