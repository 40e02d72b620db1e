"""The golden files themselves: compared, written, and missed when no test asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")


@pytest.fixture
def data(pytester: pytest.Pytester) -> Path:
    """The golden files of a project with two tests that use some: one is right, and one is missing."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        test_it="""
        def test_one(golden):
            golden("a/one.txt", "one")

        def test_two(golden):
            golden("a/two.txt", "two")
        """
    )
    data = pytester.path / "golden" / "data" / "a"
    data.mkdir(parents=True)
    (data / "one.txt").write_text("one\n")
    return data


def test_a_missing_file_says_how_to_write_it(data: Path, pytester: pytest.Pytester) -> None:
    ran = pytester.runpytest()
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines("*two.txt does not exist; run pytest with --update-golden*")


def test_another_text_is_a_diff(data: Path, pytester: pytest.Pytester) -> None:
    (data / "two.txt").write_text("zwei\n")
    ran = pytester.runpytest()
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["-zwei", "+two"])


def test_update_writes_and_removes(data: Path, pytester: pytest.Pytester) -> None:
    (data / "orphan.txt").write_text("")
    pytester.runpytest("--update-golden").assert_outcomes(passed=2)
    assert {path.name: path.read_text() for path in data.iterdir()} == {
        "one.txt": "one\n",
        "two.txt": "two\n",
    }
    pytester.runpytest().assert_outcomes(passed=2)


def test_a_file_that_no_test_asks_for_fails_a_full_run(data: Path, pytester: pytest.Pytester) -> None:
    (data / "two.txt").write_text("two\n")
    (data / "orphan.txt").write_text("")
    ran = pytester.runpytest()
    ran.assert_outcomes(passed=2, failed=1)
    assert ran.ret == 1
    ran.stdout.fnmatch_lines(["No test asks for these golden files*", "*orphan.txt"])


@pytest.mark.parametrize("choice", [["-k", "one"], ["test_it.py"], ["test_it.py::test_two", "--update-golden"]])
def test_a_run_of_some_tests_leaves_the_others_files_alone(
    data: Path, pytester: pytest.Pytester, choice: list[str]
) -> None:
    (data / "two.txt").write_text("two\n")
    (data / "orphan.txt").write_text("")
    assert pytester.runpytest(*choice).ret == 0
    assert (data / "orphan.txt").exists()


def test_the_files_that_begin_first_are_there(request: pytest.FixtureRequest) -> None:
    """A long file of another name would be begun last, and nobody would see why it takes longer."""
    (conftest,) = [each for each in request.config.pluginmanager.get_plugins() if hasattr(each, "LONG")]
    assert [name for name in conftest.LONG if not (conftest.TESTS / name).exists()] == []
