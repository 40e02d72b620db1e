"""The words of what a weight's structure says, and how they are written down in files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar


class Term:
    """An equation or a region: one word of what a weight's structure says."""

    kinds: ClassVar[dict[str, type[Term]]] = {}

    def __init_subclass__(cls) -> None:
        Term.kinds[cls.__name__] = cls

    def parts(self) -> tuple[Any, ...]:
        """What the term is made of, to be written down."""
        return tuple(vars(self).values())

    @classmethod
    def restore(cls, parts: list[Any]) -> Term:
        return cls(*(from_config(part) for part in parts))


@dataclass(frozen=True, init=False)
class Several(Term):
    """A term that is made of any number of items."""

    items: tuple[Any, ...]

    def __init__(self, *items: Any) -> None:
        object.__setattr__(self, "items", items)

    def parts(self) -> tuple[Any, ...]:
        return self.items


def to_config(value: Any) -> Any:
    """A term, or a part of one, as nested lists for JSON."""
    if hasattr(value, "parts"):
        return [type(value).__name__, *map(to_config, value.parts())]
    if isinstance(value, slice):
        return ["slice", value.start, value.stop, value.step]
    return [to_config(part) for part in value] if isinstance(value, tuple) else value


def from_config(config: Any) -> Any:
    """The term that `to_config` wrote down."""
    if not isinstance(config, list):
        return config
    name, *parts = config
    if name == "slice":
        return slice(*parts)
    if name not in Term.kinds:
        raise ValueError(f"There is no equation or region {name!r} here.")
    return Term.kinds[name].restore(parts)


def terms(configs: Iterable[Any]) -> tuple[Any, ...]:
    """Terms as they are, or as `to_config` wrote them down."""
    return tuple(map(from_config, configs))
