"""Versions of Keras. Rows are written from the newest one, and say what came after 3.12, the first that will do."""

from __future__ import annotations

from functools import cache


def number(version: str) -> tuple[int, ...]:
    """A version in a form that can be compared, by its first two numbers: `3.13` is below `3.13.2`."""
    return tuple(int(part) for part in version.split(".")[:2])


@cache
def installed() -> str | None:
    """The version of Keras that is installed, which is not imported for it. None if there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("keras")
    except PackageNotFoundError:
        return None


def too_old(since: str) -> str | None:
    """The version that is installed, if it does not have what came with `since`. Nothing is asked if that is empty."""
    found = installed() if since else None
    return found if found is not None and number(found) < number(since) else None
