"""In CI a skipped test has failed, unless the platform lacks what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        test_it="""
        import pytest

        def test_one():
            pytest.skip("no time")

        def test_two():
            pytest.importorskip("nowhere")

        def test_three():
            pytest.skip("could not import 'resource': No module named 'resource'")

        @pytest.mark.skipif(True, reason="never")
        def test_four():
            pass

        @pytest.mark.xfail
        def test_five():
            raise AssertionError
        """,
        test_module="import pytest; pytest.importorskip('nowhere')",
    )


def test_in_ci_a_skip_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    ran = pytester.runpytest("test_it.py")
    ran.assert_outcomes(failed=2, errors=1, skipped=1, xfailed=1)
    ran.stdout.fnmatch_lines(["*never", "*MAY_BE_SKIPPED*", "*no time"])
    ran = pytester.runpytest("test_module.py")
    ran.assert_outcomes(errors=1)
    assert ran.ret != 0


def test_elsewhere_it_is_one(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.runpytest().assert_outcomes(skipped=5, xfailed=1)
