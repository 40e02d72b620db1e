"""Python's garbage collector, which stays away while a text is compiled.

It goes through all objects again and again while their number grows. Those that a compile makes, hundreds of thousands,
are needed until its end, and few are in circles: there is hardly anything to find. For 5,000 layers that was a third of
the time, and what made ten times the layers cost more than ten times as long.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_was_on: list[bool] = []
"""Whether it was on when each compile that is going on began. Those in and beside the first found it off."""


@contextmanager
def no_collection() -> Iterator[None]:
    """Switches the collector off, for all threads, and as it was when the last that is inside has left.

    One that was off stays off. Whoever switches it off in another thread meanwhile finds it on again afterwards.
    """
    with _lock:
        _was_on.append(gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            if _was_on.pop() and not _was_on:
                gc.enable()
