"""How much is drawn, and what is said again: as much as `make test` has time for, and more for those who ask."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

MORE = int(os.environ.get("WDSL_MORE_EXAMPLES", "1"))
"""How many times as many examples are drawn: `make conformance` asks for more."""


def examples(count: int) -> Any:
    """A decorator: so many examples, the same each time."""
    return settings(
        max_examples=count * MORE,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def repeated(cases: Iterable[Any], but: Container[Any]) -> list[Any]:
    """Cases of a test of which these alone show something new, and the others come with `make conformance`.

    A case is a parameter, or a tuple of them.
    """

    def marked(case: Any) -> Any:
        values = case if isinstance(case, tuple) else (case,)
        return pytest.param(*values, marks=() if case in but else pytest.mark.repeated)

    return [marked(case) for case in cases]


def every(step: int, cases: Iterable[Any]) -> list[Any]:
    """The same where each case shows as much as another: one of so many comes with `make test`."""
    cases = list(cases)
    return repeated(cases, cases[::step])
