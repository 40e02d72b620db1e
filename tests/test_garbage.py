"""Python's garbage collector is as it was, however a compile ends and whoever compiles beside it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from threading import Barrier, Thread

import pytest

import wdsl
from wdsl.core.garbage import no_collection

GOOD = "network Net {\n    input x: [4]\n    output y = x -> Dense(4)\n}\n"
BROKEN = GOOD.replace("Dense", "Dnse")


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    yield
    gc.enable()


def ends_in_an_error() -> None:
    with pytest.raises(wdsl.WdslError):
        wdsl.loads(BROKEN)


WAYS: dict[str, Callable[[], object]] = {
    "loads": lambda: wdsl.loads(GOOD),
    "plan": lambda: wdsl.loads(GOOD).plan,
    "checks": lambda: wdsl.checks(BROKEN),
    "an error": ends_in_an_error,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_on", [True, False])
def test_it_is_as_it_was(way: str, is_on: bool) -> None:
    (gc.enable if is_on else gc.disable)()
    WAYS[way]()
    assert gc.isenabled() == is_on


def test_it_is_off_inside_and_nothing_else_matters() -> None:
    with no_collection():
        assert not gc.isenabled()
        with no_collection():
            pass
        assert not gc.isenabled()
        ends_in_an_error()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_last_thread_switches_it_on() -> None:
    inside, left = Barrier(2), Barrier(2)
    seen: list[bool] = []

    def other() -> None:
        with no_collection():
            inside.wait(10)
            left.wait(10)
            seen.append(gc.isenabled())

    thread = Thread(target=other)
    with no_collection():
        thread.start()
        inside.wait(10)
    assert not gc.isenabled()
    left.wait(10)
    thread.join(10)
    assert seen == [False]
    assert gc.isenabled()
