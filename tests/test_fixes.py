"""`wdsl check --fix`: which fixes are made without asking, what becomes of the text, and what is never written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import wdsl
from wdsl.text import rendering
from wdsl.text.diagnostics import Diagnostic, Fix, has_errors, respelled
from wdsl.text.source import Source, Span
from wdsl.tools import cli, fixes

Run = Callable[..., Result]

CASES = sorted((Path(__file__).parent / "errors").glob("*.txt"))


def net(*statements: str, output: str = "x -> a") -> str:
    lines = ["input x: [8]", *statements, f"output y = {output}"]
    return "network Net {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def check(text: str) -> tuple[Diagnostic, ...]:
    return wdsl.checks(text, "net.wnet")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["check", "--fix", *arguments], prog_name="wdsl", catch_exceptions=False)

    return invoke


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("layer a = Desne(4)", "layer a = Dense(4)"),
        ("layer a = Dense(4, activatoin=relu)", "layer a = Dense(4, activation=relu)"),
        ("layer a = Dense(4, activation=rleu)", "layer a = Dense(4, activation=relu)"),
        ("layer a = Dense(8) symetric", "layer a = Dense(8) symmetric"),
        ("layer a = Dense(8) symmetric via maks", "layer a = Dense(8) symmetric via mask"),
        ("layer a = Dense(8) { kernal: symmetric }", "layer a = Dense(8) { kernel: symmetric }"),
        ("layer a = Dense(8) zero[diagnoal]", "layer a = Dense(8) zero[diagonal]"),
        ("layer a = Dense(8) zero(diagonal)", "layer a = Dense(8) zero[diagonal]"),
        ("layer a = Dense(8) zero(0, diagonal) via mask", "layer a = Dense(8) zero[0, diagonal] via mask"),
        ("layer a = Flatten", "layer a = Flatten()"),
        ("layr a = Dense(4)", "layer a = Dense(4)"),
        ("x = Add()(x, relu(x))\n    layer a = Dense(4)", "x = Add()([x, relu(x)])\n    layer a = Dense(4)"),
        (
            "layer b = Dense(4)\n    layer a = Dense(8) tie(b.kernel)",
            "layer b = Dense(4)\n    layer a = Dense(8) tie(b.kernel.T)",
        ),
    ],
)
def test_what_can_mean_one_thing_alone_is_put_in(wrong: str, right: str) -> None:
    output = "x -> b -> a" if "layer b" in wrong else "x -> a"
    assert has_errors(check(net(wrong, output=output)))
    mended = fixes.mend(net(wrong, output=output), check)
    assert (mended.text, mended.applied, mended.diagnostics) == (net(right, output=output), 1, ())


@pytest.mark.parametrize(
    "text",
    [
        net("layer encode = Dense(4)", output="x -> encodr"),  # a line that declares it may be missing
        net("layer b = Dense(4)", "layer a = Dense(8) tie(b)", output="x -> b -> a"),  # which of its weights?
        net("layer a = Dense"),  # with how many units?
        net("layer A = Dense(4)", output="x -> A"),  # whoever says the name would have to change too
        net("layer a = Conv9D(4, 3)"),
        "block Tower() {\n    input x\n    output y = x -> Dense(4)\n}\n" + net("layer a = Towr()"),
        "block Tower() {\n    input x\n    output y = x -> Dense(4)\n}\n" + net(output="x -> Tower"),
        net("layer a = Dense(4, activation=delu)"),  # relu, selu, celu, gelu
        net("layer a = Dense(8) zero[diagonal](antidiagonal)"),
        net("layer a = Dense(8) zero()"),
    ],
)
def test_what_may_mean_another_thing_is_left(text: str) -> None:
    assert any(one.fix for one in check(text)) or "Conv9D" in text
    assert fixes.mend(text, check).text == text


def test_a_network_s_name_is_put_right_where_nothing_else_says_it() -> None:
    small = net("layer a = Dense(4)").replace("Net", "net")
    assert fixes.mend(small, check).text == net("layer a = Dense(4)")
    said = f"# What net is for.\n{small}"
    assert fixes.mend(said, check).text == said


@pytest.mark.parametrize(
    ("typed", "near", "words", "safe"),
    [
        ("kernal", "kernel", ["kernel", "bias"], True),
        ("kernl", "kernel", ["kernel", "bias"], True),
        ("kernell", "kernel", ["kernel", "bias"], True),
        ("kenrel", "kernel", ["kernel", "bias"], True),
        ("KERNEL", "kernel", ["kernel", "bias"], True),
        ("krnal", "kernel", ["kernel", "bias"], False),
        ("conv3", "conv2", ["conv2"], False),
        ("kerne", "kernel", ["kernel", "kerned"], False),
        ("ab", "ac", ["ac"], False),
    ],
)
def test_one_slip_in_typing(typed: str, near: str, words: list[str], safe: bool) -> None:
    span = Span(Source("net.wnet", typed), 0, len(typed))
    assert respelled(span, near, words) == Fix(span, near, safe)


def test_what_an_edit_uncovers_is_mended_in_turn() -> None:
    text = net("layer b = Desne(4)", "layer a = Dense(8) zero(diagonal), tie(b.kernel)", output="x -> b -> a")
    mended = fixes.mend(text, check)
    assert mended.applied == 3
    assert "zero[diagonal], tie(b.kernel.T)" in mended.text
    assert not has_errors(mended.diagnostics)


def test_no_text_with_more_errors_is_taken() -> None:
    """One of two edits uncovers three errors, which have no fix: the other is made alone."""
    text = net("layer b = Dense(8) symetric", "layer a = Dense(8) forzen", output="x -> b -> a")

    def stubborn(now: str) -> tuple[Diagnostic, ...]:
        place = Span(Source("net.wnet", now), 0, 7)
        worse = [Diagnostic("E0401", f"problem {at}", place) for at in range(3) if "symmetric" in now]
        return (*check(now), *worse)

    assert [one.code for one in stubborn(text)] == ["E0505", "E0505"]
    mended = fixes.mend(text, stubborn)
    assert mended.text == text.replace("forzen", "frozen")
    assert mended.applied == 1


def test_fixes_that_touch_the_same_text_are_made_one_by_one() -> None:
    def nested(now: str) -> tuple[Diagnostic, ...]:
        source = Source("net.wnet", now)
        at = [(0, 4, "a(bc)"), (2, 3, "bcd")] if now == "a(b)" else []
        return tuple(
            Diagnostic("E0101", "no", Span(source, 0, 1), fix=Fix(Span(source, *ends), new, True)) for *ends, new in at
        )

    mended = fixes.mend("a(b)", nested)
    assert (mended.text, mended.applied) == ("a(bc)", 1)


def test_a_fix_of_another_file_is_not_made_in_this_one() -> None:
    def elsewhere(now: str) -> tuple[Diagnostic, ...]:
        place = Span(Source("other.wnet", "another text"), 0, 7)
        return (Diagnostic("E0101", "no", place, fix=Fix(place, "one", True)),)

    assert fixes.mend("a text", elsewhere).text == "a text"


def test_a_comment_is_never_dropped() -> None:
    text = net("layer a = Dense(8) zero(\n        diagonal,  # no loops\n    )")
    assert any(one.fix and one.fix.safe for one in check(text))
    assert fixes.mend(text, check).text == text


LIBRARY = "const a = 4\nconst b = 5\nconst c = 6\n"


@pytest.mark.parametrize(
    ("imports", "used", "left"),
    [
        ('from "lib.wnet" import a, b, c\n', "a", 'from "lib.wnet" import a\n'),
        ('from "lib.wnet" import a, b, c\n', "b", 'from "lib.wnet" import b\n'),
        ('from "lib.wnet" import a, b, c\n', "c", 'from "lib.wnet" import c\n'),
        ('from "lib.wnet" import a, b, c\n', "a + c", 'from "lib.wnet" import a, c\n'),
        ('from "lib.wnet" import a, b\nimport "lib.wnet" as lib\n', "3", ""),
        ('from "lib.wnet" import a, b\nimport "lib.wnet" as lib\n', "lib.a", 'import "lib.wnet" as lib\n'),
        ('# sizes\nfrom "lib.wnet" import a  # of codes\n', "3", None),
        ('from "lib.wnet" import a; import "lib.wnet" as lib\n', "3", None),
    ],
)
def test_what_is_imported_and_not_used(run: Run, imports: str, used: str, left: str | None) -> None:
    Path("lib.wnet").write_text(LIBRARY)
    text = net(output=f"x -> Dense({used})")
    Path("net.wnet").write_text(imports + text)
    assert {one.code for one in wdsl.check("net.wnet")} == {"W0201"}
    run("net.wnet")
    assert Path("net.wnet").read_text() == (imports if left is None else left) + text
    assert (wdsl.check("net.wnet") == ()) == (left is not None)
    assert wdsl.check("lib.wnet") == ()  # it is for others


def test_what_may_be_used_yet_is_not_called_unused(run: Run) -> None:
    """Where there is an error, what it hides may use the names; and each network of a file may use them."""
    Path("lib.wnet").write_text(LIBRARY)
    imports = 'from "lib.wnet" import a, b\n'
    one, other = net(output="x -> Dense(a)"), net(output="x -> Dense(b)").replace("Net", "Other")
    Path("net.wnet").write_text(imports + one + other)
    assert wdsl.check("net.wnet") == ()
    assert wdsl.load("net.wnet", network="Other").diagnostics == ()
    Path("net.wnet").write_text(imports + one + other.replace("Dense(b)", "Dense(bb)"))
    assert [each.code for each in wdsl.check("net.wnet")] == ["E0201"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_is_left_has_no_more_errors(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent / "beside")
    text = re.split("^─{8,}\n", case.read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE)[0]

    def errors(diagnostics: tuple[Diagnostic, ...]) -> int:
        return sum(one.severity == "error" for one in diagnostics)

    def check(text: str) -> tuple[Diagnostic, ...]:
        return wdsl.checks(text, "net.wnet", max_layers=2_000)

    mended = fixes.mend(text, check)
    assert rendering.text(mended.diagnostics) == rendering.text(check(mended.text))
    assert errors(mended.diagnostics) <= errors(check(text))
    assert fixes.mend(mended.text, check).text == mended.text
    assert (mended.text == text) == (mended.applied == 0)


WRONG = net("layer a = Desne(8) symetric")
RIGHT = net("layer a = Dense(8) symmetric")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_stay(run: Run, mark: str) -> None:
    lines = WRONG.splitlines()
    # Mixed on purpose: a long line end, short ones, and a carriage return that is none.
    text = mark + "\r\n".join(lines[:2]) + "\n# a\rb\r\n" + "\n".join(lines[2:]) + "\r\n"
    Path("net.wnet").write_bytes(text.encode())
    result = run("net.wnet")
    assert (result.exit_code, result.stderr) == (0, "made 2 fixes; nothing left\n")
    right = text.replace("Desne", "Dense").replace("symetric", "symmetric")
    assert Path("net.wnet").read_bytes() == right.encode()


def test_several_files(run: Run) -> None:
    odd = WRONG.replace("input x", "input z: [1]\n    input x")
    for name, text in {"wrong": WRONG, "fine": RIGHT, "odd": odd}.items():
        Path(f"{name}.wnet").write_text(text)
    before = Path("fine.wnet").stat().st_mtime_ns
    result = run(".")
    assert result.exit_code == 0
    assert result.stderr.endswith("made 4 fixes; 1 warning left\n")
    assert "W0201" in result.stderr
    assert Path("wrong.wnet").read_text() == Path("fine.wnet").read_text() == RIGHT
    assert Path("fine.wnet").stat().st_mtime_ns == before
    assert run(".", "--strict").exit_code == 1


def test_what_is_left_is_reported(run: Run) -> None:
    Path("net.wnet").write_text(
        net("layer b = Dense(4, mode=1)", "layer a = Dense(8) symetric", "output z = x -> a", output="x -> c")
    )
    result = run("net.wnet", "gone.wnet")
    assert result.exit_code == 1
    assert "symmetric" in Path("net.wnet").read_text()
    assert result.stderr.endswith("3 errors\nmade 1 fix; 3 errors left\n")
    assert run("net.wnet").stderr.endswith("made no fixes; 2 errors left\n")


def test_a_fix_that_uncovers_more_than_it_mends_is_not_made_and_that_is_said(run: Run) -> None:
    more = net("layer b = Dense(4, activatoin=relu) symmetric[0] { bias: skew[0] }", output="x -> b")
    Path("net.wnet").write_text(more)
    result = run("net.wnet")
    assert result.stderr.endswith("made no fixes; 1 would uncover more errors; 1 error left\n")
    assert Path("net.wnet").read_text() == more


def test_for_machines(run: Run) -> None:
    Path("net.wnet").write_text(WRONG)
    result = run("net.wnet", "--format", "json")
    assert (result.stdout, result.stderr) == ("[]\n", "made 2 fixes; nothing left\n")


def test_nothing_is_said_of_what_is_in_order(run: Run) -> None:
    Path("net.wnet").write_text(RIGHT)
    result = run("net.wnet")
    assert (result.exit_code, result.output) == (0, "")


def test_a_file_that_cannot_be_written_stays_and_is_reported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    Path("net.wnet").write_text(WRONG)
    monkeypatch.setattr("os.replace", fail)
    result = run("net.wnet")
    assert result.exit_code == 1
    assert "cannot write net.wnet: No space left on device\n" in result.stderr
    assert "E0301" in result.stderr
    assert result.stderr.endswith("made no fixes; 2 errors left\n")
    assert Path("net.wnet").read_text() == WRONG
    assert [path.name for path in Path().iterdir()] == ["net.wnet"]


def test_parameters_and_networks_are_those_of_the_command(run: Run) -> None:
    both = WRONG.replace("Desne(8)", "Desne(n)").replace("Net", "Net(n: int)") + RIGHT.replace("Net", "Other")
    Path("net.wnet").write_text(both)
    assert run("net.wnet", "--network", "Other").exit_code == 0
    assert Path("net.wnet").read_text() == both
    assert run("net.wnet", "--network", "Net", "--set", "n=8").exit_code == 0
    assert Path("net.wnet").read_text() == both.replace("Desne", "Dense").replace("symetric", "symmetric")


@given(st.lists(st.sampled_from(["a", "é", "\n", "\r\n", "\r", "𝔚"])).map("".join), st.data())
def test_edits_are_the_same_with_every_line_end(text: str, data: st.DataObject) -> None:
    """Where a spec's text has its line ends shortened, an edit of either is that of the other."""
    source = Source("net.wnet", text.replace("\r\n", "\n"))
    ends = sorted(data.draw(st.lists(st.integers(0, len(source.text)), max_size=6)))
    chosen = [Fix(Span(source, start, end), "x") for start, end in zip(ends[::2], ends[1::2], strict=False)]
    expected = source.text
    for fix in reversed(chosen):
        expected = expected[: fix.span.start] + "x" + expected[fix.span.end :]
    assert fixes.edited(text, chosen).replace("\r\n", "\n") == expected
