"""What layers are called in files, and what of older files is refused."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import keras


def saved(layer: type) -> type:
    """A class that Keras finds where a file asks for it, under `wdsl.runtime` wherever it stands in that."""
    layer.__module__ = "wdsl.runtime"
    return keras.saving.register_keras_serializable("wdsl2")(layer)


@functools.cache
def class_of(base: type, kind: str) -> type:
    """A subclass with this name, which Keras gives to the layer where it saves it.

    It is no other class for all else: what is loaded is of the base.
    """
    made = type(kind, (base,), {"__module__": base.__module__, "base": base})
    names = keras.src.saving.object_registration.GLOBAL_CUSTOM_NAMES
    names[made] = keras.saving.get_registered_name(base)
    return made


class OfKind(keras.Layer):
    """A layer that is called what it is told where it is saved: `kind`."""

    base: ClassVar[Any] = None

    def __new__(cls, *args: Any, kind: str = "", **kwargs: Any) -> Any:
        base: Any = cls.base or cls
        made = class_of(base, kind) if kind and kind != base.__name__ else base
        return super().__new__(made, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kind": type(self).__name__}


def refuse_old(layer: type) -> type:
    """Let Keras find a class where a file asks for one of another format."""
    for name in ("Structured", "Shared", "Coupled", "Constant"):
        # A module that an older wdsl wrote may be there, which has classes of these names.
        keras.saving.get_custom_objects().setdefault(f"wdsl>{name}", layer)
    return layer


@refuse_old
class OldLayer(keras.Layer):
    """A layer of a file that an older wdsl saved, which stored weights otherwise."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> None:
        raise ValueError(
            f"Layer {config.get('name')!r} was saved by an older version of wdsl, in a "
            "format that this one does not read. Load the file with that version, or "
            "beside the module that it wrote. What `effective_weights` gives there, "
            "and `get_weights` of the other layers, `assign` puts into a model that "
            "this version builds."
        )
