"""How diagnostics look: as text to the character, as JSON and SARIF by what their readers need."""

from __future__ import annotations

import json
from textwrap import dedent
from time import process_time
from typing import Any

import pytest

import wdsl
from wdsl.text import rendering
from wdsl.text.diagnostics import CODES, Diagnostic, Fix, Label
from wdsl.text.source import Source, Span
from wdsl.tools import reports

NET = Source(
    "specs/tied.wnet",
    dedent("""\
        ## Tied.
        network Tied {
            input image: [784]
            layer encode = Dense(64)
            layer mix    = Dense(64)

            layer decode = Dense(784) {
                # the encoder's, transposed
                kernel: tie(encode.kernel)
                bias:   equal
            }

            output copy = image -> encode -> mix -> decode
        }
        """),
)


@pytest.fixture(autouse=True)
def codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODES, "E0504", "A tie of unlike shapes")
    monkeypatch.setitem(CODES, "W0201", "An unused name")


def at(words: str, source: Source = NET) -> Span:
    """The first place where `words` stand."""
    start = source.text.index(words)
    return Span(source, start, start + len(words))


def error(words: str, label: str = "here", *labels: Label, source: Source = NET, **rest: Any) -> Diagnostic:
    return Diagnostic("E0504", "no", at(words, source), label, labels, **rest)


def line(text: str) -> Source:
    return Source("net.wnet", text)


def check(diagnostics: Diagnostic | list[Diagnostic], expected: str) -> None:
    given = diagnostics if isinstance(diagnostics, list) else [diagnostics]
    assert rendering.text(given) == dedent(expected).strip("\n")


def tie() -> Diagnostic:
    return Diagnostic(
        "E0504",
        "`decode.kernel` and `encode.kernel` cannot be tied: their shapes differ",
        at("tie(encode.kernel)"),
        "`decode.kernel` is 64 × 784",
        (Label(at("Dense(64)"), "`encode.kernel` is 784 × 64"),),
        fix=Fix(at("tie(encode.kernel)"), "tie(encode.kernel.T)"),
    )


def unused() -> Diagnostic:
    hint = "remove it, or put it on a path to an output"
    return Diagnostic("W0201", "`mix` is never used", at("mix"), hint=hint)


def test_an_error_with_a_label_and_a_fix() -> None:
    check(
        tie(),
        """
        error[E0504]: `decode.kernel` and `encode.kernel` cannot be tied: their shapes differ
          ┌─ specs/tied.wnet:9:17
          │
        4 │     layer encode = Dense(64)
          │                    --------- `encode.kernel` is 784 × 64
        9 │         kernel: tie(encode.kernel)
          │                 ^^^^^^^^^^^^^^^^^^ `decode.kernel` is 64 × 784
          │
          = fix: tie(encode.kernel.T)
        """,
    )


def test_several_are_counted_at_the_end() -> None:
    check(
        [unused(), error("equal"), error("image")],
        """
        warning[W0201]: `mix` is never used
          ┌─ specs/tied.wnet:5:11
          │
        5 │     layer mix    = Dense(64)
          │           ^^^
          │
          = hint: remove it, or put it on a path to an output

        error[E0504]: no
           ┌─ specs/tied.wnet:10:17
           │
        10 │         bias:   equal
           │                 ^^^^^ here

        error[E0504]: no
          ┌─ specs/tied.wnet:3:11
          │
        3 │     input image: [784]
          │           ^^^^^ here

        2 errors, 1 warning
        """,
    )


def test_nothing_to_report_is_no_text() -> None:
    assert rendering.text([]) == ""


def test_several_labels_on_one_line_hang_below_it() -> None:
    source = line("tie(a.kernel, b.kernel)")
    labels = (Label(at("a.kernel", source), "a is 4 × 3"), Label(at("tie", source), "asked for here"))
    check(
        error("b.kernel", "b is 3 × 4", *labels, source=source),
        """
        error[E0504]: no
          ┌─ net.wnet:1:15
          │
        1 │ tie(a.kernel, b.kernel)
          │ --- --------  ^^^^^^^^ b is 3 × 4
          │ │   │
          │ │   a is 4 × 3
          │ asked for here
        """,
    )


def test_a_label_inside_another() -> None:
    source = line("tie(a.kernel, b.kernel)")
    check(
        error("a.kernel", "a", Label(at(source.text, source), "the tie"), source=source),
        """
        error[E0504]: no
          ┌─ net.wnet:1:5
          │
        1 │ tie(a.kernel, b.kernel)
          │ ----^^^^^^^^----------- the tie
          │     │
          │     a
        """,
    )


def test_two_labels_on_one_place() -> None:
    check(
        error("mix", "here", Label(at("mix"), "and here")),
        """
        error[E0504]: no
          ┌─ specs/tied.wnet:5:11
          │
        5 │     layer mix    = Dense(64)
          │           ^^^ here
          │           │
          │           and here
        """,
    )


def test_a_label_in_another_file_has_a_block_of_its_own() -> None:
    other = Source("blocks/residual.wnet", "\n" * 120 + "block Residual {}\n")
    check(
        error("mix", "again", Label(at("Residual", other), "first")),
        """
        error[E0504]: no
            ┌─ specs/tied.wnet:5:11
            │
          5 │     layer mix    = Dense(64)
            │           ^^^ again
            │
            ┌─ blocks/residual.wnet:121:7
            │
        121 │ block Residual {}
            │       -------- first
        """,
    )


def test_a_span_of_several_lines_shows_its_first() -> None:
    words = NET.text[NET.text.index("layer decode") : NET.text.index("}\n") + 1]
    check(
        error(words, "this layer"),
        """
        error[E0504]: no
          ┌─ specs/tied.wnet:7:5
          │
        7 │     layer decode = Dense(784) {
          │     ^^^^^^^^^^^^^^^^^^^^^^^^^^^ this layer (up to line 11)
        """,
    )


def test_the_end_of_the_file_is_a_place() -> None:
    source = line("network A {\n")
    end = Span(source, len(source.text), len(source.text))
    check(
        Diagnostic("E0504", "`{` is never closed", end, "the file ends here", (Label(at("{", source), "opened"),)),
        """
        error[E0504]: `{` is never closed
          ┌─ net.wnet:2:1
          │
        1 │ network A {
          │           - opened
        2 │
          │ ^ the file ends here
        """,
    )


def test_the_end_of_a_line_is_a_place() -> None:
    check(
        error("\n", "something is missing", source=line("layer a =\r\nlayer b\r\n")),
        """
        error[E0504]: no
          ┌─ net.wnet:1:11
          │
        1 │ layer a =
          │          ^ something is missing
        """,
    )


def test_a_file_without_text_is_only_named() -> None:
    check(
        Diagnostic("E0504", "there is no such file", Span(Source("gone.wnet", ""), 0, 0), "here"),
        """
        error[E0504]: there is no such file
          ┌─ gone.wnet
        """,
    )


@pytest.mark.parametrize(
    ("text", "shown", "marks"),
    [
        ("\tlayer\ta = X", "    layer   a = X", "                ^ here"),
        ("# 画像 é X", "# 画像 é X", "         ^ here"),
        ("# e\u0301 X", "# e\u0301 X", "    ^ here"),
        ("# می\u200cشود X", "# می\u200cشود X", "        ^ here"),
        ("# \x1b[2J X", "# \\x1b[2J X", "          ^ here"),
        ("# \u202e X", "# \\u202e X", "         ^ here"),
        ("# \ud800 X", "# \\ud800 X", "         ^ here"),
        ("# \u2028 X", "# \\u2028 X", "         ^ here"),
    ],
)
def test_marks_stand_under_what_they_mark(text: str, shown: str, marks: str) -> None:
    rows = rendering.text([error("X", source=line(text))]).split("\n")
    assert rows[-2:] == [f"1 │ {shown}", f"  │ {marks}"]


def test_wide_characters_have_wide_marks() -> None:
    rows = rendering.text([error("画像", source=line("x = 画像"))]).split("\n")
    assert rows[-1] == "  │     ^^^^ here"


def test_nothing_from_a_file_drives_the_terminal() -> None:
    source = Source("\x1b]0;x\x07.wnet", 'layer a = Dense("\x1b[2J")')
    nasty = Diagnostic(
        "E0504",
        "no \x1b[2J\nno",
        at("Dense", source),
        "\x1b[1m\r",
        (Label(at('"\x1b[2J"', source), "\x9b2J"),),
        hint="\x1b[2J",
        fix=Fix(at("Dense", source), "\x1b[2J"),
    )
    assert all(char.isprintable() or char == "\n" for char in rendering.text([nasty]))


def test_a_long_line_is_cut_around_the_marks() -> None:
    source = line("sum = " + "abc + " * 100 + "TARGET" + " + xyz" * 100)
    check(
        error("TARGET", "here", Label(at("sum", source), "far away"), source=source),
        """
        error[E0504]: no
          ┌─ net.wnet:1:607
          │
        1 │ …c + abc + abc + abc + abc + abc + abc + TARGET + xyz + xyz + xyz + xyz + xyz + xyz + xyz + xyz + xyz + xyz + xyz + xyz +…
          │ -                                        ^^^^^^ here
          │ │
          │ far away
        """,  # noqa: E501
    )


def test_a_long_span_is_cut() -> None:
    marks = rendering.text([error("abc" * 100, source=line("abc" * 100))]).split("\n")[-1]
    assert marks == "  │ " + "^" * 121 + " here"


def test_a_very_long_line_takes_no_time() -> None:
    source = line("a + " * 500_000 + "X")
    begin = process_time()
    assert "X" in rendering.text([error("X", source=source)] * 50)
    assert process_time() - begin < 5


@pytest.mark.parametrize(
    ("fix", "said"),
    [
        (
            Fix(Span(NET, at("encode.kernel)").end - 1, at("encode.kernel)").end - 1), ".T"),
            "tie(encode.kernel.T)",
        ),
        (Fix(at("equal"), "zero"), "bias:   zero"),
        (Fix(at("    layer mix    = Dense(64)\n"), ""), "remove `layer mix    = Dense(64)`"),
        (
            Fix(at("layer mix"), "layer a = Dense(2)\n    layer mix"),
            "layer a = Dense(2)\n         layer mix    = Dense(64)",
        ),
    ],
    ids=["in what the report is about", "elsewhere", "a removal", "of several lines"],
)
def test_a_fix_shows_what_it_leaves(fix: Fix, said: str) -> None:
    report = rendering.text([error("tie(encode.kernel)", fix=fix)])
    assert report.split("= fix: ")[1] == said


def test_a_hint_may_have_several_lines() -> None:
    report = rendering.text([error("mix", hint="one\ntwo")])
    assert report.split("\n")[-2:] == ["  = hint: one", "          two"]


def test_colour() -> None:
    red, yellow, blue, end = "\x1b[1;31m", "\x1b[33m", "\x1b[34m", "\x1b[0m"
    report = rendering.text([tie(), unused()], colour=True)
    assert f"{red}error[E0504]{end}" in report
    assert f"{red}{'^' * 18}{end}" in report
    assert f"{blue}---------{end}" in report
    assert f"{yellow}warning[W0201]{end}" in report
    assert f"{yellow}^^^{end}" in report
    for style in (*rendering.STYLES.values(), end):
        report = report.replace(style, "")
    assert report == rendering.text([tie(), unused()])


def test_json() -> None:
    place = {"file": "specs/tied.wnet", "line": 9, "column": 17, "end_line": 9, "end_column": 35}
    other = {"file": "specs/tied.wnet", "line": 4, "column": 20, "end_line": 4, "end_column": 29}
    assert json.loads(reports.json([tie(), unused()]))[0] == {
        "code": "E0504",
        "severity": "error",
        "message": "`decode.kernel` and `encode.kernel` cannot be tied: their shapes differ",
        **place,
        "labels": [
            {"message": "`decode.kernel` is 64 × 784", **place},
            {"message": "`encode.kernel` is 784 × 64", **other},
        ],
        "hint": None,
        "fix": {
            **{name: at for name, at in place.items() if name != "file"},
            "replacement": "tie(encode.kernel.T)",
            "safe": False,
        },
    }
    assert json.loads(reports.json([])) == []


def test_how_a_tensor_came_to_its_shape_is_in_each_format() -> None:
    text = "network Net {\n    input x: [8, 8]\n    output y = x -> Flatten() -> LSTM(4)\n}\n"
    found = wdsl.checks(text, "net.wnet")
    for shown in rendering.text(found), reports.json(found), reports.sarif(found):
        assert "x [8, 8] -> Flatten [64]" in shown


def test_sarif_has_what_the_standard_requires() -> None:
    log = json.loads(reports.sarif([tie(), unused(), tie()]))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    [run] = log["runs"]
    assert run["tool"]["driver"]["name"] == "wdsl"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["E0504", "W0201"]
    assert [rule["shortDescription"]["text"] for rule in rules] == [CODES["E0504"], CODES["W0201"]]
    assert all(rule["help"]["text"] in " ".join(rule["help"]["markdown"].split()) for rule in rules)
    assert len({json.dumps(rule) for rule in rules}) == len(rules)
    for result, diagnostic in zip(run["results"], [tie(), unused(), tie()], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == diagnostic.code
        assert result["level"] == diagnostic.severity
        assert diagnostic.message in result["message"]["text"]
        for location in (*result["locations"], *result.get("relatedLocations", ())):
            physical = location["physicalLocation"]
            assert physical["artifactLocation"]["uri"] == "specs/tied.wnet"
            assert 1 <= physical["region"]["startLine"] <= physical["region"]["endLine"]
            assert min(physical["region"]["startColumn"], physical["region"]["endColumn"]) >= 1
        for fix in result.get("fixes", ()):
            for change in fix["artifactChanges"]:
                assert change["artifactLocation"]["uri"] == "specs/tied.wnet"
                assert all("startLine" in edit["deletedRegion"] for edit in change["replacements"])
                assert change["replacements"]
                assert all("text" in edit["insertedContent"] for edit in change["replacements"])
    assert "fixes" in run["results"][0]


@pytest.mark.parametrize(
    ("name", "uri"),
    [("a b.wnet", "a%20b.wnet"), ("/tmp/ü.wnet", "file:///tmp/%C3%BC.wnet"), ("<string>", "%3Cstring%3E")],
)
def test_sarif_names_files_as_uris(name: str, uri: str) -> None:
    log = json.loads(reports.sarif([error("a", source=Source(name, "a"))]))
    [location] = log["runs"][0]["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_sarif_says_how_its_columns_count() -> None:
    """SARIF counts in UTF-16 unless it says otherwise; one beyond the first 65,536 is two there, one here."""
    source = Source("net.wnet", "# 𝔚 x")
    place = Span(source, 4, 5)
    diagnostic = Diagnostic("E0101", "no", place, labels=(Label(place, "here"),), fix=Fix(place, "y", safe=True))
    [run] = json.loads(reports.sarif([diagnostic]))["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    region = {"startLine": 1, "startColumn": 5, "endLine": 1, "endColumn": 6}
    [result] = run["results"]
    [location], [related], [fix] = result["locations"], result["relatedLocations"], result["fixes"]
    assert location["physicalLocation"]["region"] == region
    assert related["physicalLocation"]["region"] == region
    assert related["message"] == {"text": "here"}
    [change] = fix["artifactChanges"]
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "y"}}]
    assert fix["properties"] == {"safe": True}


ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "log": ({"version", "runs"}, {"$schema"}),
    "run": ({"tool"}, {"columnKind", "results"}),
    "tool": ({"driver"}, set()),
    "driver": ({"name"}, {"version", "rules"}),
    "rules": ({"id"}, {"shortDescription", "help"}),
    "shortDescription": ({"text"}, set()),
    "help": ({"text"}, {"markdown"}),
    "results": ({"message"}, {"ruleId", "ruleIndex", "level", "locations", "relatedLocations", "fixes"}),
    "message": ({"text"}, set()),
    "locations": (set(), {"physicalLocation"}),
    "relatedLocations": (set(), {"id", "message", "physicalLocation"}),
    "physicalLocation": (set(), {"artifactLocation", "region"}),
    "artifactLocation": (set(), {"uri"}),
    "region": (set(), {"startLine", "startColumn", "endLine", "endColumn"}),
    "deletedRegion": (set(), {"startLine", "startColumn", "endLine", "endColumn"}),
    "fixes": ({"artifactChanges"}, {"properties"}),
    "artifactChanges": ({"artifactLocation", "replacements"}, set()),
    "replacements": ({"deletedRegion"}, {"insertedContent"}),
    "insertedContent": (set(), {"text"}),
}
"""What the objects of a log must have and may have, by the property that they stand in: from the schema of SARIF 2.1.0,
where no object may have another property than those that it lists. Of what may be there, only what is written here."""


def hold(name: str, value: object) -> None:
    """Holds an object of a log, and all in it, against what the schema says."""
    if isinstance(value, list):
        for each in value:
            hold(name, each)
    elif isinstance(value, dict) and name != "properties":
        must, may = ALLOWED[name]
        assert must <= set(value) <= must | may, name
        for inner, each in value.items():
            hold("run" if inner == "runs" else inner, each)
    elif name in ("startLine", "startColumn", "endLine", "endColumn"):
        assert isinstance(value, int)
        assert value >= 1
    elif name in ("id", "ruleIndex"):
        assert isinstance(value, str) or (isinstance(value, int) and value >= 0)
    elif name == "level":
        assert value in ("none", "note", "warning", "error")


def test_sarif_is_by_the_schema() -> None:
    nowhere = Diagnostic("E0601", "the file cannot be read", Span(Source("gone.wnet", ""), 0, 0))
    hold("log", json.loads(reports.sarif([tie(), unused(), nowhere])))
    hold("log", json.loads(reports.sarif([])))
