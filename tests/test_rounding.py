"""The bounds of tests/rounding.py: they hold in whatever order one adds, and one wrong entry breaks them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rounding import affine, convolution, exact, l2, transform


def drawn(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(2).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_product_in_any_order(dtype: str) -> None:
    x, kernel, bias = drawn(40, 30, dtype=dtype), drawn(30, 50, dtype=dtype), drawn(50, dtype=dtype)
    expected = affine(exact(x, dtype), kernel, bias)
    terms = np.concatenate([x[:, :, None] * kernel, np.broadcast_to(bias, (40, 1, 50))], axis=1)
    rng, found = np.random.default_rng(3), set()
    for _ in range(20):
        order = rng.permutation(31)
        for y in (np.cumsum(terms[:, order], 1, dtype)[:, -1], terms[:, order].sum(1, dtype)):
            expected.holds(y)
            found.add(y.tobytes())
    assert len(found) >= 20  # they are rounded in other ways
    with pytest.raises(AssertionError, match="off by more than rounding"):
        expected.holds(affine(x, np.where(np.arange(1500).reshape(30, 50) == 777, 0, kernel), bias).value)


def test_no_entry_of_a_matrix_can_be_another() -> None:
    """Nor its sign, nor can two be exchanged, two rows, or what one is added to."""
    x, kernel = drawn(20, 9), drawn(9, 9)
    expected = exact(x) @ kernel
    for i, j in np.ndindex(9, 9):
        for change in (0, -kernel[i, j], 1.01 * kernel[i, j]):
            wrong = kernel.copy()
            wrong[i, j] = change
            assert expected.excess(x @ wrong)[:, j].max() > 1
    for wrong in (kernel.T, kernel[::-1], kernel[:, ::-1], np.roll(kernel, 1)):
        assert expected.excess(x @ wrong).max() > 1


def test_functions_and_sums_pass_errors_on() -> None:
    x, kernel = drawn(30, 20), drawn(20, 20)
    y = ((exact(x) @ kernel).tanh() @ kernel - 1).relu() * 0.3
    loss = (y * y).mean()
    rounded = np.maximum(np.tanh(x @ kernel) @ kernel - np.float32(1), 0) * np.float32(0.3)
    y.holds(rounded)
    loss.holds(np.mean(rounded**2))
    y.sum(0).holds(rounded[::-1].sum(0))
    assert loss.excess(1.001 * np.mean(rounded**2)) > 1
    l2(kernel, 0.01).holds(np.float32(0.01) * np.sum(kernel[::-1] ** 2))
    assert l2(kernel, 0.01).excess(0.01 * np.sum(np.triu(kernel) ** 2)) > 1


@pytest.mark.parametrize("length", [9, 32, 31])
def test_fourier_transforms(length: int) -> None:
    x, kernel = drawn(50, length), drawn(50, length)[7]
    spectra = [np.fft.rfft(each).astype("complex64") for each in (x, kernel)]
    y = np.fft.irfft(spectra[0] * spectra[1], length).astype("float32")
    true = np.float64(x) @ np.array([np.roll(kernel, i) for i in range(length)])
    norms = np.linalg.norm(x, axis=1, keepdims=True) * np.linalg.norm(kernel)
    expected = exact(true).wider(convolution(length) * norms)
    expected.holds(y)
    assert expected.excess(np.roll(y, 1, axis=1)).max() > 1
    assert transform(length) < convolution(length) < 1e-4


def test_what_is_no_number_is_seen() -> None:
    expected = exact(np.ones(3)) + 1
    for wrong in (np.array([2, np.nan, 2]), np.array([2, 2, np.inf])):
        with pytest.raises(AssertionError, match=r"at \((1|2),\)"):
            expected.holds(wrong)
    with pytest.raises(AssertionError):
        expected.holds(np.full((1, 3), 2.0))
    assert exact([1.0]).excess([1.0 + 1e-12]) == np.inf  # nothing was computed
