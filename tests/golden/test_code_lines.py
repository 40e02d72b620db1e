"""Written modules are short: the lines of code in their golden files, without docstrings, comments and blank lines."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
MODULES = {path.parent.relative_to(DATA).as_posix(): path for path in sorted(DATA.rglob("python.py"))}
MOST = {
    "tied_autoencoder": 50,
    "hopfield": 45,
    "circulant": 85,
    "connectome": 60,
    "lenet5": 70,
    "gpt": 115,
    "made": 100,
    "two_mechanisms": 80,
    "tagger": 170,
}
ALL = 3_200
"""For all specs and recipes together."""

NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def code_lines(text: str) -> int:
    """How many lines have a token that is neither in a comment nor in a docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for each in tokens if each.type not in NO_CODE for line in range(each.start[0], each.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


@pytest.mark.parametrize(("module", "most"), MOST.items())
def test_a_module_is_short(module: str, most: int) -> None:
    assert code_lines(MODULES[module].read_text(encoding="utf-8")) <= most


def test_all_modules_together_are_short() -> None:
    counts = {name: code_lines(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    assert len(counts) == 51
    assert sum(counts.values()) <= ALL, sorted(counts.items(), key=lambda each: -each[1])


def test_what_counts() -> None:
    text = '''\
"""A docstring
of two lines."""

import keras  # code

# not code
class A:
    """Not code."""

    text = """code

    code"""


def f(
    x,
):
    """Not code."""
    "code"
    return x
'''
    assert code_lines(text) == 1 + 1 + 3 + 3 + 2
    assert code_lines("") == code_lines("# nothing\n") == 0
