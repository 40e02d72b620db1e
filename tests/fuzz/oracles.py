"""What must hold of any text whatever: the compiler gives something in order or says what is wrong, and does no more.

`examine` holds a text against all of it. The text is read as if it were `net.wnet` in the current folder, which `place`
makes. All but time and memory is looked at here; those are measured by whoever calls.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import keyword
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

import wdsl
from wdsl.backends.classes import FUNCTIONS
from wdsl.syntax import nodes
from wdsl.syntax.parser import parse
from wdsl.text import rendering
from wdsl.text.diagnostics import Diagnostic, has_errors
from wdsl.text.source import Source
from wdsl.tools import fixes, reports
from wdsl.tools.summary import table

ROOT = Path(__file__).parents[2]
SECRET = "the_secret_of_another_folder"
NAME = "net.wnet"
MOST = 2_000
"""Layers and statements: as many tell as much as the usual 100,000, and do it sooner."""

# --- what it may do -------------------------------------------------------------------------------

LIBRARIES = {"wdsl", "lark", "jinja2", "markupsafe", "click", "rich", "numpy", "pygments", "markdown_it", "mdurl"}
READABLE = tuple(
    {os.path.realpath(each) for each in (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, ROOT, *sys.path)}
)
_watched: list[str] = []
"""The root of the text that is examined now, if one is."""
_seen: list[str] = []


def _inside(path: Any, folders: tuple[str, ...]) -> bool:
    if isinstance(path, int):
        return True
    real = os.path.realpath(os.fsdecode(path))
    return any(real == folder or real.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders if folder)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Python calls this for whatever it does with the world outside."""
    if not _watched:
        return
    root = _watched[-1]
    _watched.clear()  # what is done here is not looked at
    try:
        match event.split(".")[0], event:
            case _, "open":
                path, mode, flags = arguments
                writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
                if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                    _seen.append(f"writes {path!r}")
                elif not _inside(path, (root, *READABLE)):
                    _seen.append(f"reads {path!r}")
            case _, ("os.listdir" | "os.scandir"):
                if not _inside(arguments[0], (root, *READABLE)):
                    _seen.append(f"lists {arguments[0]!r}")
            case _, "import":
                first = arguments[0].partition(".")[0]
                if first not in LIBRARIES and first not in sys.stdlib_module_names:
                    _seen.append(f"imports {arguments[0]}")
            case _, "exec":
                file = getattr(arguments[0], "co_filename", "")
                if file != "<string>" and file != "<template>" and not _inside(file, READABLE):
                    _seen.append(f"executes {arguments[0]!r}")
            case (("os" | "shutil" | "subprocess" | "socket" | "ctypes" | "pty" | "webbrowser" | "urllib"), _):
                _seen.append(f"does {event}{arguments!r}")
    finally:
        _watched.append(root)


@cache
def _hooked() -> None:
    """Hooks cannot be taken away again; this one does nothing unless a text is examined."""
    sys.addaudithook(_hook)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Whatever happens here, no file is written, none is read that is outside the root, and nothing is started."""
    _hooked()
    _seen.clear()
    _watched.append(os.getcwd())
    try:
        yield
    finally:
        _watched.clear()
    assert not _seen, f"the text has an effect: {_seen}"


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Path]:
    """A root with files for a text to name, in a folder with others that it must not see."""
    root = folder / "root"
    shutil.copytree(ROOT / "tests" / "errors" / "beside", root)
    shutil.copytree(ROOT / "specs" / "parts", root / "parts")
    shutil.copy(ROOT / "specs" / "connectome.csv", root)
    (folder / "secret.wnet").write_text(f"const {SECRET} = 1\n")
    (folder / "secret.csv").write_text(f"{SECRET},1\n")
    (root / "out.wnet").symlink_to("../secret.wnet")
    (root / "out.csv").symlink_to(folder / "secret.csv")
    (root / "around").symlink_to("..")
    (root / "self.wnet").symlink_to("self.wnet")
    (root / "device.csv").symlink_to("/dev/zero")
    (root / "myself.wnet").write_text(f'import "{NAME}" as it\nconst width = 8\n')
    os.mkfifo(root / "pipe.wnet")
    before = os.getcwd()
    os.chdir(root)
    import numpy  # noqa: F401  (this and the parser's cache do more with the world than a text may)

    parse(Source("nothing", ""))
    try:
        yield root
    finally:
        os.chdir(before)


# --- what it says ---------------------------------------------------------------------------------


def examine(text: str) -> bool:
    """Hold a text against all that is promised of any. Gives whether a network in it compiles."""
    with watched():
        return _examine(text)


def examine_bytes(data: bytes) -> bool:
    """The same of a file of these bytes, which need not be text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        with watched(), contextlib.suppress(wdsl.WdslError):
            wdsl.format(data)
        Path("bytes.wnet").write_bytes(data)
        with watched():
            assert {each.code for each in wdsl.check("bytes.wnet")} == {"E0601"}
        return False
    return examine(text)


def _examine(text: str) -> bool:
    diagnostics = wdsl.checks(text, NAME, max_layers=MOST)
    _reported(diagnostics, text)
    read = text.removeprefix("\ufeff").replace("\r\n", "\n")
    tree, found = parse(Source(NAME, read))
    broken = has_errors(found)
    try:
        form: str | None = wdsl.format(text)
    except wdsl.WdslError:
        form = None
    assert (form is None) == broken, "it is formatted though it is broken, or the other way round"
    if form is not None and form != text:
        assert wdsl.format(form) == form, "the canonical form has another one"
        assert parse(Source(NAME, form))[0] == tree, "the form says something else"
        now = wdsl.checks(form, NAME, max_layers=MOST)
        # What belongs to nothing, and so is in no tree, is seen by the lines.
        codes = ([each.code for each in some if each.code != "W0101"] for some in (diagnostics, now))
        assert sorted(next(codes)) == sorted(next(codes)), "other things are wrong with the form"
    if any(each.fix and each.fix.safe for each in diagnostics):
        mended = fixes.mend(text.removeprefix("\ufeff"), lambda edited: wdsl.checks(edited, NAME, max_layers=MOST))
        errors, left = (sum(each.severity == "error" for each in some) for some in (diagnostics, mended.diagnostics))
        assert left <= errors, "fixes make it worse"
    compiled = False
    for network in dict.fromkeys(each.name.id for each in tree.networks):
        try:
            net = wdsl.loads(text, NAME, network, max_layers=MOST)
        except wdsl.WdslError as error:
            _refused(error)
            continue
        compiled = True
        assert not has_errors(net.diagnostics)
        source = net.to_python()
        only_ours(source, tree)
        for stage in wdsl.STAGES:
            assert SECRET not in net.emit(stage)
        assert table(net) is not None
        if form is not None and form != text:
            again = wdsl.loads(form, NAME, network, max_layers=MOST).to_python()
            assert _code(again) == _code(source), "the form gives another module"
    assert compiled or has_errors(diagnostics) or not tree.networks, "nothing compiles, and nothing is said"
    return compiled


def _refused(error: wdsl.WdslError) -> None:
    assert has_errors(error.diagnostics)
    assert str(error)


def _shows(char: str) -> bool:
    return char.isprintable() or category(char) == "Zs" or char in rendering.JOINERS


def _reported(diagnostics: tuple[Diagnostic, ...], text: str) -> None:
    """Every report is about a place, and can be shown in every form."""
    said = rendering.text(diagnostics)
    for line in said.split("\n"):
        assert all(_shows(each) for each in line), f"a terminal would obey {line!r}"
    data = json.loads(reports.json(diagnostics))
    assert len(data) == len(diagnostics)
    found = json.loads(reports.sarif(diagnostics))["runs"][0]["results"]
    assert len(found) == len(diagnostics)
    for shown in (said, rendering.text(diagnostics, colour=True), str(data)):
        # A text that names it itself does not give it away.
        assert SECRET not in shown or SECRET in text
        shown.encode("utf-8", "strict" if text.isprintable() else "surrogatepass")
    for each in diagnostics:
        for span in (each.span, *(label.span for label in each.labels), *([each.fix.span] if each.fix else [])):
            whole = span.source.text
            assert 0 <= span.start <= span.end <= len(whole), f"{each} is about no place"
            assert span.text == whole[span.start : span.end]


# --- what it writes -------------------------------------------------------------------------------

USED = {
    *(
        "abs",
        "all",
        "any",
        "bool",
        "dict",
        "enumerate",
        "float",
        "int",
        "len",
        "list",
        "max",
        "min",
        "range",
        "reversed",
        "round",
    ),
    *("slice", "sorted", "str", "sum", "tuple", "zip", "NotImplementedError", "ValueError"),
}
"""What written functions take of Python's own: nothing that could reach a file, a module or an object's inside."""

VIEWS = ("T", "flip", "join", "reshape", "shape", "split", "transpose", "values")
"""What they take of `View`, of tensors, of families, and of the texts of masks."""

WRITTEN = (
    *(ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.For, ast.If, ast.Raise),
    *(
        ast.Pass,
        ast.Expr,
        ast.BoolOp,
        ast.BinOp,
        ast.UnaryOp,
        ast.Lambda,
        ast.IfExp,
        ast.Dict,
        ast.ListComp,
        ast.GeneratorExp,
    ),
    *(ast.comprehension, ast.Compare, ast.Call, ast.keyword, ast.Constant, ast.Attribute, ast.Subscript, ast.Starred),
    *(ast.Name, ast.List, ast.Tuple, ast.Slice, ast.JoinedStr, ast.FormattedValue, ast.DictComp, ast.AnnAssign),
    *(ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop),
)
"""The parts that written functions are made of."""


IMPORTED = frozenset({"keras", "numpy", "collections.abc", "base64", "functools", "math"})
"""What modules import besides classes that the file takes from Python."""


def only_ours(source: str, tree: nodes.File) -> None:
    """A module is classes of its layers, and functions with calls of Keras and nothing else in them."""
    module = ast.parse(source)
    externals = externs(tree)
    ours: list[ast.stmt] = []
    classes: list[ast.stmt] = []
    aliases: dict[str, str] = {}
    defined: set[str] = set()
    first, *statements = module.body
    assert isinstance(first, ast.Expr), "no docstring"
    assert isinstance(first.value, ast.Constant), "no docstring"
    for each in statements:
        match each:
            case ast.Import(names):
                for alias in names:
                    assert alias.name in IMPORTED, f"imports {alias.name}"
                    aliases[alias.asname or alias.name] = alias.name
            case ast.ImportFrom(name, names, level):
                assert level == 0
                for alias in names:
                    path = f"{name}.{alias.name}"
                    assert name in IMPORTED or path in externals, f"imports {path}"
                    aliases[alias.asname or alias.name] = path
            case ast.ClassDef(name) | ast.FunctionDef(name) if isinstance(each, ast.ClassDef) or name in FUNCTIONS:
                classes.append(each)
                defined.add(name)
            case _:
                ours.append(each)
                defined |= {each.name} if isinstance(each, ast.FunctionDef) else _stored(each)
    for each in ours:
        assert isinstance(each, (ast.FunctionDef, ast.Assign)), ast.unparse(each)
        known = {*aliases, *defined, *_stored(each)}
        # `kind: type[keras.Layer]` is a hint, and calls nothing.
        hints = {id(arg.annotation.value) for arg in ast.walk(each) if isinstance(arg, ast.arg) and _is_kind(arg)}  # type: ignore[union-attr]
        for part in ast.walk(each):
            if id(part) not in hints:
                _one_of_ours(part, known, aliases)
    for each in classes:
        known = {*aliases, *defined, *_stored(each), *IN_CLASSES}
        for part in ast.walk(each):
            _one_of_a_class(part, known)


def _is_kind(arg: ast.arg) -> bool:
    return arg.annotation is not None and ast.unparse(arg.annotation) == "type[keras.Layer]"


def _stored(tree: ast.AST) -> set[str]:
    names = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    names |= {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
    return names | {each.name for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.ClassDef))}


def _one_of_ours(part: ast.AST, known: set[str], aliases: dict[str, str]) -> None:
    assert isinstance(part, WRITTEN), f"{type(part).__name__} in a written function"
    match part:
        case ast.Name(name, ast.Load()):
            assert name in known or name in USED, f"refers to {name}"
        case ast.Name(name) | ast.arg(name) | ast.FunctionDef(name):
            assert name.isascii() and name.isidentifier() and not keyword.iskeyword(name), f"gives the name {name}"  # noqa: PT018
            assert not hasattr(builtins, name), f"takes the name {name} of Python's own"
            # Others that stand at the top are used by classes alone, and so hidden from nobody.
            assert not aliases.get(name, "").startswith(("keras", "numpy")), f"takes the name {name} of a module"
        case ast.Attribute(value, name):
            assert not name.startswith("_"), f"reaches into {ast.unparse(part)}"
            while isinstance(value, ast.Attribute):
                value = value.value
            root = aliases.get(value.id, "") if isinstance(value, ast.Name) else ""
            assert root.startswith(("keras", "math", "numpy")) or name in VIEWS, f"takes {ast.unparse(part)}"
        case ast.Constant(value):
            assert isinstance(value, (int, float, str, bool, type(None), type(...))), ast.unparse(part)


IN_CLASSES = frozenset({
    *("super", "property", "classmethod", "ValueError", "NotImplementedError", "bool", "dict", "getattr", "hasattr"),
    *("int", "isinstance", "abs", "len", "list", "range", "setattr", "slice", "sum", "tuple", "type", "zip", "float"),
    *("max", "min"),
})  # fmt: skip
"""What the classes of layers take of Python."""

OF_KERAS = frozenset({"_flatten_layers", "_untrack_variable", "_initializer", "__init__", "__call__"})


def _one_of_a_class(part: ast.AST, known: set[str]) -> None:
    """A class has nothing of the file in it but numbers, names of its parameters, and texts that nobody evaluates."""
    assert not isinstance(part, (ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.Await, ast.Yield))
    match part:
        case ast.Name(name, ast.Load()):
            assert name in known, f"refers to {name}"
        case ast.Name(name) | ast.arg(name) | ast.FunctionDef(name) | ast.ClassDef(name):
            assert name.isascii() and name.isidentifier() and not keyword.iskeyword(name), f"gives the name {name}"  # noqa: PT018
        case ast.Attribute(value, name):
            is_own = isinstance(value, ast.Name) and value.id == "self" and not name.startswith("__")
            assert is_own or not name.startswith("_") or name in OF_KERAS, f"reaches into {ast.unparse(part)}"
        case ast.Constant(value):
            assert isinstance(value, (int, float, str, bool, type(None), type(...))), ast.unparse(part)


def externs(tree: nodes.File) -> set[str]:
    """The paths of the classes that a file takes from Python, or a file that it imports."""
    found = {each.path.id for each in tree.declarations if isinstance(each, nodes.Extern)}
    imported = [each for each in tree.declarations if isinstance(each, (nodes.Import, nodes.From))]
    return found | ({"mypackage.layers.Gate"} if imported else set())


def _code(source: str) -> str:
    """What a module does: without docstrings and messages, which hold the text of the spec."""
    module = ast.parse(source)
    for each in ast.walk(module):
        if isinstance(each, (ast.Module, ast.FunctionDef)) and isinstance(each.body[0], ast.Expr):
            each.body = each.body[1:]
        elif isinstance(each, ast.Raise):
            each.exc = None
    return ast.dump(module)
