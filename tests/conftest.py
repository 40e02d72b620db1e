"""What all tests share: golden files, nothing left to chance, neither Hypothesis's draws nor Keras's, and no skips."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from difflib import unified_diff
from itertools import count
from pathlib import Path
from types import ModuleType
from zlib import crc32

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden" / "data"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets at length
settings.register_profile("wdsl", derandomize=True, deadline=None)
settings.load_profile("wdsl")

requested = pytest.StashKey[set[str]]()
"""The golden files that the tests of this run asked for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


LONG = (
    "specs/test_specs.py",
    "test_hostile.py",
    "runtime/test_realizations.py",
    "exactness/test_exactness.py",
    "backends/test_one_truth.py",
    "runtime/test_initialization.py",
    "runtime/test_layers.py",
    "runtime/test_tie.py",
    "runtime/test_mechanisms.py",
    "properties/test_catalog.py",
    "specs/test_networks.py",
    "properties/test_functions.py",
    "backends/test_free_parameters.py",
    "backends/test_every_weight.py",
    "properties/test_syntax.py",
    "properties/test_solver.py",
)
"""The files that take longest, in this order: begun last, one would be waited for while the other processes idle."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long files first, the others as they were; what only repeats, for those who ask."""
    if not config.option.markexpr:
        repeats = [item for item in items if item.get_closest_marker("repeated")]
        config.hook.pytest_deselected(items=repeats)
        items[:] = [item for item in items if not item.get_closest_marker("repeated")]
    order = {TESTS / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[requested] = set()


@pytest.fixture(autouse=True)
def without_chance(request: pytest.FixtureRequest) -> None:
    """What a test draws does not depend on the tests before it, nor on the day."""
    if (keras := sys.modules.get("keras")) is not None:
        keras.utils.set_random_seed(crc32(request.node.nodeid.encode()))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected texts are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(request: pytest.FixtureRequest, update_golden: bool) -> Callable[[str, str], None]:
    """`golden("tied/plan.txt", text)` fails unless tests/golden/data/tied/plan.txt holds `text`."""

    def check(name: str, text: str) -> None:
        request.config.stash[requested].add(name)
        path = GOLDEN / name
        text = text if text.endswith("\n") else f"{text}\n"
        if update_golden:
            write(path, text)
            return
        if not path.exists():
            pytest.fail(f"{path} does not exist; run pytest with --update-golden, and read it", pytrace=False)
        compare(path, path.read_text(encoding="utf-8"), text)

    return check


@pytest.fixture(scope="session")
def python_module(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModuleType]:
    """`python_module(source)` imports a Python source, under a name that says nothing about it."""
    folder, numbers = tmp_path_factory.mktemp("modules"), count()

    def load(source: str) -> ModuleType:
        name = f"anything_{next(numbers)}"
        path = folder / f"{name}.py"
        path.write_text(source, encoding="utf-8", newline="\n")
        found = importlib.util.spec_from_file_location(name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        return module

    return load


# --- tests that are skipped -----------------------------------------------------------------------

MAY_BE_SKIPPED = {"could not import 'resource'": "Windows has no limits for processes"}
"""What skips say that are none of our faults, and why: a platform that lacks something."""

Report = pytest.TestReport | pytest.CollectReport


def unless_skipped(report: Report) -> Report:
    """In CI a test that does not run has failed: nobody reads there that it was skipped."""
    if report.skipped and "CI" in os.environ and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (str(report.longrepr),)
        if not any(each in reason for each in MAY_BE_SKIPPED):
            report.outcome, report.longrepr = "failed", f"{reason}\nIn CI nothing is, but for MAY_BE_SKIPPED."
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    return unless_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    return unless_skipped((yield))


def write(path: Path, text: str) -> None:
    """Writes a text if it is not what the file already holds."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def compare(path: Path, expected: str, text: str) -> None:
    """Fails with a diff unless the two texts are the same."""
    __tracebackhide__ = True
    if text != expected:
        lines = unified_diff(expected.splitlines(), text.splitlines(), f"{path} (golden)", "this run", lineterm="")
        diff = "\n".join(lines) or "The two differ in line ends."
        pytest.fail(f"{diff}\n\nIf this run is right: pytest --update-golden", pytrace=False)


@pytest.fixture
def same_text() -> Callable[[Path, str, str], None]:
    """`same_text(path, expected, text)` fails with a diff unless the texts are the same."""
    return compare


# --- golden files under xdist ---------------------------------------------------------------------


def pytest_testnodedown(node: object) -> None:
    """Under xdist: what a worker's tests asked for is known to the worker alone, until it says so."""
    node.config.stash[requested] |= set(getattr(node, "workeroutput", {}).get("golden", ()))  # type: ignore[attr-defined]


pytest_testnodedown.pytest_impl = {"optionalhook": True}  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    """Golden files that no test asks for fail a full run that passed otherwise; an update removes them."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["golden"] = sorted(config.stash[requested])
    elif exitstatus == pytest.ExitCode.OK and is_full_run(config):
        orphans = orphaned(config.stash[requested])
        if config.getoption("--update-golden"):
            for orphan in orphans:
                orphan.unlink()
        elif orphans:
            names = "\n".join(f"  {orphan}" for orphan in orphans)
            said = f"No test asks for these golden files; --update-golden removes them:\n{names}"
            report = pytest.TestReport("golden files", ("golden", None, "golden files"), {}, "failed", said, "call")
            config.hook.pytest_runtest_logreport(report=report)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return (yield)


def is_full_run(config: pytest.Config) -> bool:
    """Whether all tests were asked for, not a choice of them."""
    options = ("keyword", "markexpr", "deselect", "lf", "failedfirst", "stepwise", "ignore", "ignore_glob")
    chosen = any(getattr(config.option, option, None) for option in options)
    places = {(config.invocation_params.dir / place).resolve() for place in config.args}
    return not chosen and places <= {TESTS, TESTS.parent}


def orphaned(names: set[str]) -> list[Path]:
    files = sorted(path for path in GOLDEN.rglob("*") if path.is_file())
    return [path for path in files if path.relative_to(GOLDEN).as_posix() not in names]
