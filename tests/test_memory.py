"""What has a formula takes no memory: a kernel of 268 million entries is checked in the room of one of 256.

What is solved entry by entry takes less than 500 MiB at the limit, 16 million entries.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("resource")  # not on Windows

from tests import processes

MOST = 500 * 1024
"""In KiB, what docs/reliability.md promises."""
ROOM = 50 * 1024
"""In KiB. The entries of the large kernel, as the smallest numbers that there are, would take five times as much."""


def peak(path: Path, size: int, annotations: str) -> int:
    """The most memory that a check of a network takes, in KiB."""
    path.write_text(f"""\
network Net(n: int = {size}) {{
    input x: [n]
    layer other = Dense(n)
    layer mix = Dense(n) {annotations}
    output y = x -> other -> mix
}}
""")
    ran = processes.run(path.parent, [["check", path.name]])
    assert (ran.ended, ran.statuses) == (0, [0]), ran.out + ran.said
    return ran.bytes // 1024


@cache
def little(folder: Path, annotations: str = "symmetric") -> int:
    return peak(folder / "small.wnet", 16, annotations)


@pytest.mark.parametrize(
    "annotations",
    [
        "symmetric",
        "skew",
        "equal",
        "equal[rows]",
        "equal[antidiagonals]",
        "equal[diagonal, not diagonal]",
        "zero",
        "zero[diagonal]",
        "zero[not band(1, 1)]",
        "zero[not blocks(3, 5)]",
        "zero[::3, 7:99]",
        "zero[(0, :), (3:9, -1)]",
        "fixed[(0:9, ::2)] = 0.5",
        "zero[lower], fixed[diagonal] = 1.0",
        "equal, zero[diagonal]",
        "symmetric, zero[diagonal]",
        "symmetric, zero[not band(n // 4, n // 4)]",
        "frozen",
        "tie(other.kernel.T)",
        "zero[diagonal] via mask",
    ],
)
def test_a_formula_takes_no_memory(annotations: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    large = peak(tmp_path / "large.wnet", 16384, annotations)
    assert abs(large - little(tmp_path_factory.getbasetemp())) < ROOM


def test_the_largest_weight_that_is_solved(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    many = peak(tmp_path / "net.wnet", 4096, "symmetric, zero[where (i * 7 + j * 3) % 5 == 0]")
    assert many < MOST
    assert many - little(tmp_path_factory.getbasetemp()) > ROOM  # or the test above would see nothing


@pytest.mark.parametrize(
    ("size", "annotations"),
    [
        (2048, "equal[by i * 2048.0 + j], zero[where i == j]"),
        (2048, "skew via mask, zero[where i > j + 7] via constraint"),
        (1024, "tie[upper](0.3 * other.kernel[0:n // 2, 0:n - 1]), skew, zero[where i + j == 9]"),
    ],
)
def test_four_times_as_many_entries_would_fit(size: int, annotations: str, tmp_path: Path) -> None:
    """A quarter of what is allowed: with factors that are no signs, that is half as much."""
    none = peak(tmp_path / "small.wnet", 32, "zero[where (i + j) % 3 == 0]")
    many = peak(tmp_path / "large.wnet", size, annotations)
    assert none + 4 * (many - none) < MOST
