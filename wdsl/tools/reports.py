"""Diagnostics as an editor or a code host reads them: JSON, SARIF."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wdsl.text.diagnostics import CODES, Diagnostic, Fix, Label
from wdsl.text.source import Span


def json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON array with an object for each diagnostic; lines and columns count from 1, ends are exclusive."""
    from json import dumps

    def label(one: Label) -> dict[str, Any]:
        return {"message": one.text, **_range(one.span)}

    def edit(fix: Fix) -> dict[str, Any]:
        place = _range(fix.span)
        del place["file"]  # the problem's own
        return {**place, "replacement": fix.replacement, "safe": fix.safe}

    return dumps(
        [
            {
                "code": one.code,
                "severity": one.severity,
                "message": one.message,
                **_range(one.span),
                "labels": [label(each) for each in (Label(one.span, one.label), *one.labels) if each.text],
                "hint": one.hint,
                "fix": one.fix and edit(one.fix),
            }
            for one in diagnostics
        ],
        indent=2,
    )


def _range(span: Span) -> dict[str, Any]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def sarif(diagnostics: Iterable[Diagnostic]) -> str:
    """A SARIF 2.1.0 log, which code hosts show beside the lines of a change."""
    from json import dumps

    import wdsl

    diagnostics = tuple(diagnostics)
    codes = sorted({one.code for one in diagnostics})
    driver = {
        "name": "wdsl",
        "version": wdsl.__version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code)) for one in diagnostics],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    from wdsl.tools import explain

    return {
        "id": code,
        "shortDescription": {"text": CODES[code]},
        "help": {"text": explain.meaning(code), "markdown": explain.sections()[code]},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    said = [diagnostic.message, diagnostic.label, diagnostic.hint and f"Hint: {diagnostic.hint}"]
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": "\n".join(one for one in said if one)},
        "locations": [_location(diagnostic.span)],
    }
    if diagnostic.labels:
        result["relatedLocations"] = [
            {"id": at, "message": {"text": label.text}, **_location(label.span)}
            for at, label in enumerate(diagnostic.labels)
        ]
    if diagnostic.fix:
        place = _location(diagnostic.fix.span)["physicalLocation"]
        edit = {"deletedRegion": place["region"], "insertedContent": {"text": diagnostic.fix.replacement}}
        change = {"artifactLocation": place["artifactLocation"], "replacements": [edit]}
        result["fixes"] = [{"artifactChanges": [change], "properties": {"safe": diagnostic.fix.safe}}]
    return result


def _location(span: Span) -> dict[str, Any]:
    from urllib.parse import quote

    place = _range(span)
    name = span.source.name
    uri = quote(name, errors="replace")
    region = {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": f"file://{uri}" if name.startswith("/") else uri},
            "region": region,
        }
    }
