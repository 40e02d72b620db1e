"""Text to syntax tree.

Lark reads `grammar/wnet.lark`; its callbacks build the nodes as the parser reduces, so there is no parse tree in
between. After a syntax error the broken statement is blanked out and the text is read again: what is left keeps its
offsets, and each mistake is reported once. The tokens come from `lexer.py`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any

from lark import Lark, Token, UnexpectedToken  # noqa: TID251

from wdsl.syntax import nodes
from wdsl.syntax.lexer import Lexer, Refused
from wdsl.syntax.tables import DoesNotFit, Tables
from wdsl.text.diagnostics import Diagnostic, Fix, Label, in_order, nearest, respelled
from wdsl.text.source import Source, Span

LANGUAGE_VERSION = 1
MAX_SYNTAX_ERRORS = 20
MAX_READ_AGAIN = 500_000
"""Characters up to syntax errors: each is found by reading the text from its beginning."""
MAX_DIGITS = 4000
"""Python itself refuses to read longer integers."""
MAX_BEYOND = 100_000
"""How many characters behind a body are looked at for what was meant to be in it."""

DECLARATIONS = ("network", "block", "const", "import", "from", "extern")
"""The words that begin what stands in a file."""
STATEMENTS = ("input", "layer", "weight", "output", "for", "if", "assert")
"""The words that begin what stands in a network or block."""


def parse(source: Source) -> tuple[nodes.File, tuple[Diagnostic, ...]]:
    """The syntax tree of a source, and its syntax errors. What is broken is left out of the tree."""
    problems: list[Diagnostic] = []
    lost: set[str] = set()
    text = source.text
    read = 0
    is_torn = False
    with _lock:
        while True:
            result = _attempt(source, text)
            if isinstance(result, nodes.File):
                file = nodes.File(source, None, ()) if is_torn else result.replace(lost=frozenset(lost))
                return file, in_order([*problems, *_lost_documentation(source, _build.docs), *_build.unclear])
            problems.append(result)
            read += result.span.start
            if result.code == "E0102" and result.span.text == "{":
                # What is in which body is not known, but there may be further errors.
                is_torn = True
                closed = _with_brace(text, result.labels[0].span.start)
                read += result.labels[0].span.start
                if closed is None or len(problems) == MAX_SYNTAX_ERRORS or read > MAX_READ_AGAIN:
                    return nodes.File(source, None, ()), in_order(problems)
                text = closed
                continue
            broken = _statement_around(text, result.span.start)
            if broken is None or len(problems) == MAX_SYNTAX_ERRORS or read > MAX_READ_AGAIN:
                return nodes.File(source, None, ()), in_order(problems)
            start, end = broken
            lost.update(_declared(text[start:end]))
            text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _lost_documentation(source: Source, lines: Iterable[int]) -> Iterator[Diagnostic]:
    """A warning for each run of lines."""
    lost = set(lines)
    for number in lost:
        if number - 1 in lost:
            continue
        start = source.text.index("##", source.offset(number))
        yield Diagnostic(
            "W0101",
            "this documentation belongs to nothing",
            Span(source, start, start + len(source.line(number).strip())),
            "no declaration begins on the line below",
            hint="write `#` for a comment",
        )


def tokens(source: Source) -> tuple[list[Token], nodes.File | None]:
    """The tokens of a source, as far as they can be told apart, and its tree if it has no syntax errors."""
    found: list[Token] = []
    with _lock, suppress(Refused, UnexpectedToken):
        _build.begin(source, source.text)
        reader = _lark().parse_interactive(source.text)
        for token in reader.iter_parse():
            found.append(token)
        return found, reader.feed_eof()  # type: ignore[no-untyped-call]
    return found, None


def _attempt(source: Source, text: str) -> nodes.File | Diagnostic:
    """One reading of `text`: the file, or the first error."""
    _build.begin(source, text)
    try:
        with suppress(DoesNotFit):
            lexer, tables = _reader()
            return tables.follow(lexer.tokens(text, tables.is_expected))  # type: ignore[no-any-return]
        _build.begin(source, text)
        return _lark().parse(text)  # type: ignore[return-value]
    except Refused as refused:
        return refused.at(source)
    except UnexpectedToken as error:
        return _explain(source, text, error)


class _Build:
    """The callbacks: one method for each rule of the grammar, from its children to its node."""

    source: Source
    docs: dict[int, str]
    """The documentation comments that have not found their declaration yet, by line."""
    in_parentheses: set[int]
    """The conditions that stand in parentheses, by identity: those that say the same are equal."""
    unclear: list[Diagnostic]
    """Warnings of what may be read as something else than it says."""

    def begin(self, source: Source, text: str) -> None:
        self.source = source
        self.docs = {}
        self.in_parentheses = set()
        self.unclear = []
        if "##" in text:
            for match in re.finditer(r"^[ \t]*## ?(.*)$", text, re.MULTILINE):
                self.docs[source.position(match.start(1))[0]] = match[1].rstrip()

    def at(self, first: Any, last: Any = None) -> Span:
        last = first if last is None else last
        start: int = first.start_pos if isinstance(first, Token) else first.span.start  # type: ignore[assignment]
        end: int = last.end_pos if isinstance(last, Token) else last.span.end  # type: ignore[assignment]
        return Span(self.source, start, end)

    def refused(self, code: str, message: str, token: Token, label: str = "", hint: str | None = None) -> Refused:
        return Refused(code, message, token.start_pos or 0, token.end_pos or 0, label, hint)

    # Statements

    def file(self, children: list[Any]) -> nodes.File:
        version, *declarations = children
        return nodes.File(self.source, version, tuple(declarations))

    def version(self, children: list[Any]) -> int:
        _, number = children
        if number.value not in {str(version) for version in range(1, LANGUAGE_VERSION + 1)}:
            raise self.refused(
                "E0104",
                f"the file is written in version {number} of the language",
                number,
                f"this compiler reads version {LANGUAGE_VERSION}",
                hint="install a newer wdsl",
            )
        return int(number.value)

    def module(self, children: list[Any]) -> nodes.Import:
        keyword, path, _, name = children
        return nodes.Import(self.text([path]), self._identifier(name), span=self.at(keyword, name))

    def names(self, children: list[Any]) -> nodes.From:
        keyword, path, _, *names = children
        return nodes.From(self.text([path]), tuple(map(self._identifier, names)), span=self.at(keyword, names[-1]))

    def const(self, children: list[Any]) -> nodes.Const:
        keyword, name, value = children
        return nodes.Const(self._identifier(name), value, span=self.at(keyword, value), doc=self._doc(keyword))

    def extern(self, children: list[Any]) -> nodes.Extern:
        keyword, name, parameters, path, _, (takes, _), _, (gives, last) = children
        return nodes.Extern(
            self._identifier(name),
            parameters or (),
            path,
            takes,
            gives,
            span=self.at(keyword, last),
            doc=self._doc(keyword),
        )

    def dotted(self, children: list[Any]) -> nodes.Name:
        return nodes.Name(".".join(children), span=self.at(children[0], children[-1]))

    def rest(self, children: list[Any]) -> nodes.Rest:
        return nodes.Rest(span=self.at(children[0]))

    def block(self, children: list[Any]) -> nodes.Block:
        return nodes.Block(
            *self._named_body(children), span=self.at(children[0], children[-1][1]), doc=self._doc(children[0])
        )

    def network(self, children: list[Any]) -> nodes.Network:
        return nodes.Network(
            *self._named_body(children), span=self.at(children[0], children[-1][1]), doc=self._doc(children[0])
        )

    def _named_body(self, children: list[Any]) -> tuple[Any, ...]:
        _, name, parameters, (body, _) = children
        return self._identifier(name), parameters or (), body

    def body(self, children: list[Any]) -> tuple[tuple[nodes.Statement, ...], Token]:
        _, *statements, brace = children
        return tuple(statements), brace

    def parameters(self, children: list[Any]) -> tuple[nodes.Parameter, ...]:
        return tuple(child for child in children if isinstance(child, nodes.Parameter))

    def parameter(self, children: list[Any]) -> nodes.Parameter:
        name, type_, default = children
        last = default or type_ or name
        return nodes.Parameter(
            self._identifier(name),
            self._identifier(type_),
            default,
            span=self.at(name, last),
            doc=self._doc(name),
        )

    def input(self, children: list[Any]) -> nodes.Input:
        keyword, name, dtype, shape = children
        sizes, last = shape or (None, name)
        return nodes.Input(
            self._identifier(name),
            self._identifier(dtype),
            sizes and self._only(nodes.Unknown, among=sizes),
            span=self.at(keyword, last),
            doc=self._doc(keyword),
        )

    def sizes(self, children: list[Any]) -> tuple[tuple[nodes.Expression, ...], Token]:
        _, *sizes, bracket = children
        return tuple(each for each in sizes if each is not None), bracket

    def _only(self, *kinds: type[nodes.Node], among: Iterable[nodes.Expression]) -> Any:
        """`?` and `...` stand where the grammar has a size, and not everywhere mean something."""
        for each in among:
            if isinstance(each, (nodes.Unknown, nodes.Rest)) and not isinstance(each, kinds):
                span = each.span
                raise Refused(
                    "E0101", f"`{span.text}` does not fit here", span.start, span.end, "expected an expression"
                )
        return among

    def _indices(self, indices: tuple[nodes.Expression, ...], bracket: Token) -> Any:
        if not indices:
            raise self.refused("E0101", "`]` does not fit here", bracket, "expected an expression")
        return self._only(among=indices)

    def unknown(self, children: list[Any]) -> nodes.Unknown:
        return nodes.Unknown(span=self.at(children[0]))

    def layer(self, children: list[Any]) -> nodes.Layer:
        keyword, name, indices, value, annotations, weights = children
        last = value
        if annotations:
            last = annotations[-1]
        if weights:
            weights, last = weights
        return nodes.Layer(
            self._identifier(name),
            value,
            annotations or (),
            weights or (),
            self._indices(*indices) if indices else (),
            span=self.at(keyword, last),
            doc=self._doc(keyword),
        )

    def weight(self, children: list[Any]) -> nodes.Weight:
        keyword, name, (sizes, bracket), value, annotations = children
        last = annotations[-1] if annotations else value or bracket
        return nodes.Weight(
            self._identifier(name),
            self._only(among=sizes),
            value,
            annotations or (),
            span=self.at(keyword, last),
            doc=self._doc(keyword),
        )

    def binding(self, children: list[Any]) -> nodes.Binding:
        *names, value = children
        return nodes.Binding(tuple(map(self._identifier, names)), value, span=self.at(names[0], value))

    def output(self, children: list[Any]) -> nodes.Output:
        keyword, name, value = children
        return nodes.Output(self._identifier(name), value, span=self.at(keyword, value), doc=self._doc(keyword))

    def loop(self, children: list[Any]) -> nodes.For:
        keyword, name, _, values, (body, brace) = children
        return nodes.For(self._identifier(name), values, body, span=self.at(keyword, brace))

    def choice(self, children: list[Any]) -> nodes.If:
        branches = [child for child in children if isinstance(child, nodes.Branch)]
        body, brace = children[-1] or (None, branches[-1])
        return nodes.If(tuple(branches), body, span=self.at(branches[0], brace))

    def branch(self, children: list[Any]) -> nodes.Branch:
        keyword, test, (body, brace) = children
        return nodes.Branch(test, body, span=self.at(keyword, brace))

    def assertion(self, children: list[Any]) -> nodes.Assert:
        keyword, test, message = children
        said = message and self.text([message])
        return nodes.Assert(test, said, span=self.at(keyword, said or test))

    def annotations(self, children: list[Any]) -> tuple[nodes.Annotation, ...]:
        return tuple(children)

    def annotation(self, children: list[Any]) -> nodes.Annotation:
        name, regions, _, arguments, closing, value, via = children
        last = name
        if regions:
            regions, last = regions
        for part in (closing, value, via):
            last = last if part is None else part
        return nodes.Annotation(
            self._identifier(name), regions, arguments, value, self._identifier(via), span=self.at(name, last)
        )

    def regions(self, children: list[Any]) -> tuple[tuple[nodes.Expression, ...], Token]:
        _, *regions, bracket = children
        return tuple(each for each in regions if each is not None), bracket

    def where(self, children: list[Any]) -> nodes.Where:
        keyword, predicate = children
        return nodes.Where(predicate, span=self.at(keyword, predicate))

    def by(self, children: list[Any]) -> nodes.By:
        keyword, key = children
        return nodes.By(key, span=self.at(keyword, key))

    def axis(self, children: list[Any]) -> nodes.Axis:
        keyword, axis = children
        return nodes.Axis(axis, span=self.at(keyword, axis))

    def weights(self, children: list[Any]) -> tuple[tuple[nodes.WeightAnnotations, ...], Token]:
        _, *weights, brace = children
        return tuple(weights), brace

    def annotated(self, children: list[Any]) -> nodes.WeightAnnotations:
        path, annotations = children
        return nodes.WeightAnnotations(path, annotations, span=self.at(path, annotations[-1]))

    def member(self, children: list[Any]) -> nodes.Subscript:
        family, (indices, last) = children
        return nodes.Subscript(family, self._indices(indices, last), span=self.at(family, last))

    # Expressions

    def chain(self, children: list[Any]) -> nodes.Chain:
        stages = tuple(children[::2])
        for stage, arrow in zip(stages, children[1::2], strict=False):
            if isinstance(stage, nodes.Conditional) and id(stage) not in self.in_parentheses:
                # A span does not have the parentheses at its ends.
                text, behind = stage.span.text, self.source.text[stage.span.end : arrow.start_pos]
                is_whole = text.count("(") == text.count(")") and ")" not in behind
                self.unclear.append(
                    Diagnostic(
                        "W0102",
                        "what the arrow leads to is for both branches of this `if`",
                        stage.span,
                        "the arrow binds loosest",
                        hint="if it is for the second alone, write `a if test else (b -> c)`",
                        fix=Fix(stage.span, f"({text})") if is_whole else None,
                    )
                )
        return nodes.Chain(stages, span=self.at(children[0], children[-1]))

    def conditional(self, children: list[Any]) -> nodes.Conditional:
        then, _, test, _, otherwise = children
        return nodes.Conditional(then, test, otherwise, span=self.at(then, otherwise))

    def binary(self, children: list[Any]) -> nodes.Binary:
        left, operator, right = children
        return nodes.Binary(operator.value, left, right, span=self.at(left, right))

    def unary(self, children: list[Any]) -> nodes.Unary:
        operator, operand = children
        return nodes.Unary(operator.value, operand, span=self.at(operator, operand))

    def name(self, children: list[Any]) -> nodes.Name:
        return self._identifier(children[0])  # type: ignore[no-any-return]

    def integer(self, children: list[Any]) -> nodes.Literal:
        (token,) = children
        if len(token) > MAX_DIGITS:
            raise self.refused("E0103", f"a number of {len(token)} digits is too long", token)
        return nodes.Literal(int(self._digits(token)), span=self.at(token))

    def floating(self, children: list[Any]) -> nodes.Literal:
        (token,) = children
        value = float(self._digits(token))
        if value == float("inf"):
            raise self.refused("E0103", f"`{token}` is too large for a float", token)
        return nodes.Literal(value, span=self.at(token))

    def _digits(self, token: Token) -> str:
        if re.search(r"__|_\b|_[.eE]", token):
            raise self.refused("E0103", f"`{token}` is not a number", token, "`_` stands between digits only")
        return token.replace("_", "")

    def text(self, children: list[Any]) -> nodes.Literal:
        (token,) = children

        def unescape(match: re.Match[str]) -> str:
            try:
                return {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}[match[1]]
            except KeyError:
                start = token.start_pos + 1 + match.start()
                raise Refused(
                    "E0103",
                    f"`{match[0]}` is not an escape",
                    start,
                    start + 2,
                    'the escapes are `\\"`, `\\\\`, `\\n` and `\\t`',
                ) from None

        return nodes.Literal(re.sub(r"\\(.)", unescape, token[1:-1]), span=self.at(token))

    def constant(self, children: list[Any]) -> nodes.Literal:
        (token,) = children
        return nodes.Literal({"true": True, "false": False, "none": None}[token.value], span=self.at(token))

    def sequence(self, children: list[Any]) -> nodes.List:
        first, items, last = children
        return nodes.List(tuple(items[0]) if items else (), span=self.at(first, last))

    def parenthesis(self, children: list[Any]) -> nodes.Expression:
        first, items, last = children
        if items and len(items[0]) == 1 and not items[1]:
            if isinstance(items[0][0], nodes.Conditional):
                self.in_parentheses.add(id(items[0][0]))
            return items[0][0]  # type: ignore[no-any-return]
        return nodes.Tuple(tuple(items[0]) if items else (), span=self.at(first, last))

    def call(self, children: list[Any]) -> nodes.Call:
        function, _, arguments, last = children
        return nodes.Call(function, arguments, span=self.at(function, last))

    def attribute(self, children: list[Any]) -> nodes.Attribute:
        value, name = children
        return nodes.Attribute(value, self._identifier(name), span=self.at(value, name))

    def subscript(self, children: list[Any]) -> nodes.Subscript:
        value, _, (items, _), last = children
        return nodes.Subscript(value, tuple(items), span=self.at(value, last))

    def items(self, children: list[Any]) -> tuple[list[nodes.Expression], bool]:
        """The items, and whether a comma follows the last: `(a,)` is a tuple, `(a)` is not."""
        *items, comma = children
        return items, comma is not None

    def slice(self, children: list[Any]) -> nodes.Slice:
        start, colon, stop, second, step = children
        last = colon
        for part in (stop, second, step):
            last = last if part is None else part
        return nodes.Slice(start, stop, step, span=self.at(colon if start is None else start, last))

    def arguments(self, children: list[Any]) -> tuple[nodes.Argument, ...]:
        return tuple(child for child in children if child is not None)

    def argument(self, children: list[Any]) -> nodes.Argument:
        name, value = children
        return nodes.Argument(self._identifier(name), value, span=self.at(value if name is None else name, value))

    # Parts

    def _identifier(self, token: Token | None) -> Any:
        return None if token is None else nodes.Name(token.value, span=self.at(token))

    def _doc(self, first: Token) -> str:
        """The `##` lines directly above the line that a declaration begins, without their marks."""
        number, column = self.source.position(first.start_pos or 0)
        if self.source.line(number)[: column - 1].strip():
            return ""
        lines: list[str] = []
        number -= 1
        while number in self.docs:
            lines.insert(0, self.docs.pop(number))
            number -= 1
        return "\n".join(lines).strip()


_build = _Build()
_lock = Lock()  # Lark binds the callbacks when it loads the grammar, so they find the source of the day in _build


@cache
def _lark() -> Lark:
    """The parser. Its tables take 0.2 s to make; Lark keeps them in a file and checks that they are of this grammar."""
    return Lark(
        _grammar(),
        parser="lalr",
        lexer=Lexer,
        start="file",
        transformer=_build,
        maybe_placeholders=True,
        cache=_cache_path(),
    )


@cache
def _reader() -> tuple[Lexer, Tables]:
    """What reads text that is in order: Lark's parser but for its loop."""
    lark = _lark()
    return lark.parser.lexer, Tables(lark.parse_interactive("").parser_state.parse_conf)


def _grammar() -> str:
    """In the installed package first, in the checkout second."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    installed = os.path.join(package, "grammar", "wnet.lark")
    path = installed if os.path.exists(installed) else os.path.join(package, os.pardir, "grammar", "wnet.lark")
    with open(path, encoding="utf-8") as file:
        return file.read()


def _cache_path() -> str | bool:
    """A file in the user's own cache folder (the tables are a pickle: nobody else may write it), or no cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(os.path.join("~", ".cache"))
    if home.startswith("~"):
        return False
    folder = os.path.join(home, "wdsl")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return False
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return os.path.join(folder, f"grammar-{version}.lark") if os.access(folder, os.W_OK) else False


# Errors

_WORDS = {
    "_END": "the end of the statement",
    "$END": "the end of the file",
    "ARROW": "`->`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "DOT": "`.`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "NAME": "a name",
    "INT": "a number",
    "ELSE": "`else`",
    "REST": "`...`",
    "STRING": "a string",
}
_EXPRESSION = {"NAME", "INT", "FLOAT", "STRING", "LPAR", "LSQB", "TRUE", "FALSE", "NONE"}
_OPERATORS = {"POWER", "COMPARE", "TIMES", "SIGN", "IF", "OR", "AND", "DOT", "QUESTION", "WHERE", "NOT"}


_WEIGHT = re.compile(r"\w+(?:\.\w+)*[ \t]*:")
"""How a weight's annotations begin within the braces of a layer."""


def _explain(source: Source, text: str, error: UnexpectedToken) -> Diagnostic:
    token = error.token
    start, end = token.start_pos or 0, token.end_pos or 0
    if token.type == "$END" or (token.type == "_END" and not token.value):
        start = end = len(text.rstrip())
    elif token.type == "_END":
        end = start + 1
    first = re.compile(r"\s*(\w*)").match(text, text.rfind("\n", 0, start) + 1)
    word, word_at = (first[1], first.start(1)) if first else ("", start)
    opened = _open_brackets(text, start)
    ends = token.type in ("$END", "_END")
    braces = _open_braces(text, start)
    if not opened and braces and token.type == "$END":
        opened = [_never_closed(text, start, braces[-1])]
    # In brackets, `word:` begins a slice; but not where a word does not fit.
    begins = _starts_statement(text, word_at) or (braces and start == word_at and _WEIGHT.match(text, word_at))
    if opened and (ends or (opened[-1] < word_at and begins)):
        bracket, here = (
            opened[-1],
            Span(source, start, end) if ends else Span(source, word_at, word_at + len(word)),
        )
        return Diagnostic(
            "E0102",
            f"`{text[bracket]}` is never closed",
            Span(source, bracket, bracket + 1),
            "opened here",
            labels=(Label(here, f"still open when {_shown(token) if ends else f'`{word}`'} comes"),),
        )
    where = Span(source, word_at, word_at + len(word))
    # Where a word is no keyword it is a name, and the error comes with what follows it.
    if not opened and not text[word_at + len(word) : start].strip() and _is_statement(text, word_at):
        if braces and word in DECLARATIONS and text[:word_at].endswith("\n"):
            brace = _never_closed(text, word_at, braces[-1])
            labels = (Label(where, f"still open when `{word}` comes"),)
            return Diagnostic(
                "E0102", "`{` is never closed", Span(source, brace, brace + 1), "opened here", labels=labels
            )
        if braces and word in DECLARATIONS:
            label = "it belongs outside, in the file itself"
            return Diagnostic("E0101", f"`{word}` cannot stand within a network or block", where, label)
        if not braces and word in STATEMENTS:
            message = f"`{word}` stands within a network or block only"
            return Diagnostic("E0101", message, where, labels=_closed(source, text, word_at))
        if word == "else":
            return Diagnostic("E0101", "`else` stands on the line of the `}` that it follows", where)
    if number := _no_number(text, start):
        return Diagnostic(
            "E0103", f"`{number[0]}` is not a number", Span(source, *number.span()), "as in `12`, `0.5` and `1e-4`"
        )
    beginnings = STATEMENTS if braces else DECLARATIONS
    if token.type == "NAME" and start - word_at <= len(word) + 1 and word not in beginnings:
        near = nearest(word, beginnings)
        if near and (start > word_at or not braces):
            fix = respelled(where, near, beginnings)
            return Diagnostic(
                "E0101", f"`{word}` does not begin a statement", where, f"did you mean `{near}`?", fix=fix
            )
    expected = _expected(error.accepts or error.expected)
    goes_on = ends and text[:start].rstrip()[-1:] == ","
    return Diagnostic(
        "E0101",
        f"{_shown(token)} does not fit here",
        Span(source, start, end),
        expected and f"expected {expected}",
        () if braces else _closed(source, text, word_at),
        hint="a statement ends with its line, but inside ( ) and [ ]" if goes_on else None,
    )


def _closed(source: Source, text: str, at: int) -> tuple[Label, ...]:
    """The brace that a statement at `at` stands behind, if another one comes that closes nothing."""
    if _beyond(text, at) is None:
        return ()
    closing = [piece.start() for piece in _PIECES.finditer(text, 0, at) if piece[0] == "}"]
    return tuple(Label(Span(source, brace, brace + 1), "what it could stand in ends here") for brace in closing[-1:])


def _is_statement(text: str, at: int) -> bool:
    """Whether the word at `at` begins something else than `word = …` or `word, other = …`."""
    return re.compile(r"\w+\s*[=,]").match(text, at) is None


def _shown(token: Token) -> str:
    if token.type == "$END":
        return "the end of the file"
    if token.type == "_END" and not token.value:
        return "the end of the file"
    if token.type == "_END" and token.value not in ";}":
        return "the end of the line"
    return f"`{token.value}`"


def _expected(terminals: set[str]) -> str:
    words = []
    rest = set(terminals)
    if rest >= _EXPRESSION - {"LSQB", "LPAR"}:
        rest -= _EXPRESSION | {"SIGN"}
        words.append("an expression")
    if {"LAYER", "INPUT", "OUTPUT"} <= rest:
        rest -= {*map(str.upper, STATEMENTS), "NAME"}
        words.append("a statement (`input`, `layer`, `output`, `name = …`, or another)")
    if {"NETWORK", "BLOCK"} <= rest:
        rest -= set(map(str.upper, DECLARATIONS))
        words.append("a declaration (`network`, `block`, or another)")
    words.extend(sorted({_WORDS.get(each, f"`{each.lower().strip('_')}`") for each in rest - _OPERATORS}))
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


# Where a statement begins and ends, in text that does not parse

_PIECES = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|[()\[\]{};\n]')


_OUTER = re.compile(rf"{_PIECES.pattern}|^(?:{'|'.join(DECLARATIONS)})\b", re.MULTILINE)


def _open_brackets(text: str, end: int) -> list[int]:
    """Offsets of the ( and [ that are open at `end`, outermost first."""
    opened: list[int] = []
    for piece in _PIECES.finditer(text, 0, end):
        if piece[0] in "([":
            opened.append(piece.start())
        elif piece[0] in ")]" and opened:
            opened.pop()
        elif piece[0] in "{}":
            opened.clear()
    return opened


def _open_braces(text: str, end: int) -> list[int]:
    """Offsets of the { before `end` that no } before it closes."""
    opened: list[int] = []
    for piece in _PIECES.finditer(text, 0, end):
        if piece[0] == "{":
            opened.append(piece.start())
        elif piece[0] == "}" and opened:
            opened.pop()
    return opened


def _never_closed(text: str, end: int, innermost: int) -> int:
    """The brace that is to blame for one too few: the first that is closed further out than its line begins."""
    opened: list[int] = []
    for piece in _PIECES.finditer(text, 0, end):
        if piece[0] == "{":
            opened.append(piece.start())
        elif piece[0] == "}" and opened:
            brace = opened.pop()
            before = text[text.rfind("\n", 0, piece.start()) + 1 : piece.start()]
            line = text[text.rfind("\n", 0, brace) + 1 : brace]
            if not before.strip() and len(before) < len(line) - len(line.lstrip()):
                return brace
    return innermost


def _with_brace(text: str, at: int) -> str | None:
    """The text, as long as it is, with a closing brace on the lines before `at`; None if there is no room."""
    end = len(text[:at].rstrip())
    if at - end < 2 or at >= len(text) or "#" in text[text.rfind("\n", 0, end) + 1 : end]:
        return None
    return f"{text[:end]}}}\n{text[end + 2 :]}"


_NUMBER = re.compile(r"(?<![\w.\])])(?:\d\w*\.?\w*|\.\d\w*)")


def _no_number(text: str, at: int) -> re.Match[str] | None:
    """What looks like a number, is none, and ends at or goes over `at`."""
    for found in _NUMBER.finditer(text, text.rfind("\n", 0, at) + 1):
        if found.end() >= at:
            is_one = re.fullmatch(r"\d[\d_]*(\.\d[\d_]*)?([eE][+-]?\d+)?", found[0])
            return found if found.start() <= at and not is_one else None
    return None


_STATEMENT = re.compile(
    r"(?:input|layer|weight|output|for|network|block|const|extern)\s+[A-Za-z_]|(?:if|assert)\s+[\w(]|(?:import|from)\s*\""
    r"|[A-Za-z_]\w*\s*=(?!=)[^,\n]*$|\}",
    re.MULTILINE,
)


def _starts_statement(text: str, at: int) -> bool:
    """Whether what begins at `at`, the first word of a line, looks like a statement rather than a continued one."""
    return _STATEMENT.match(text, at) is not None


def _declared(statement: str) -> Iterable[str]:
    """What a broken statement may declare: any word of it. An error about one of them would be one too many."""
    construct = re.match(r"\s*(?:network|block|extern|from|import)\b", statement)
    return re.findall(r"\b[A-Za-z_]\w*\b" if construct else r"\b[a-z_]\w*\b", statement)


def _statement_around(text: str, at: int) -> tuple[int, int] | None:
    """The stretch of text to leave out so that the rest can be read; None if nothing would be left to read."""
    if at < len(text) and text[at] == "{" and at in _open_braces(text, len(text)):
        return None
    start = _statement_start(text, at)
    if re.match(r"\s*wnet\b", text[start:]):
        return None
    if (beyond := _beyond(text, start)) is not None:
        return start, beyond
    header = re.compile(r"\s*(?:network|block)\b[^\n{]*(\n|$)").match(text, start)
    if header and not _open_braces(text, start):
        # Without a brace, what belongs to it goes up to what cannot.
        pieces = (each.start() for each in _OUTER.finditer(text, header.start(1)) if each[0] in DECLARATIONS)
        return start, next(pieces, len(text))
    depth = 0
    end = len(text)
    for piece in _PIECES.finditer(text, max(start, at)):
        if piece[0] == "{":
            depth += 1
        elif piece[0] == "}":
            if depth == 0:
                end = piece.start()
                break
            depth -= 1
        elif depth == 0 and (piece[0] == ";" or (piece[0] == "\n" and text[: piece.start()].rstrip(" \t")[-1:] != ",")):
            end = piece.start()
            break
    if end <= start or not text[start:end].strip():
        return None
    return start, end


def _beyond(text: str, start: int) -> int | None:
    """The end of statements that stand behind the brace of their body, and of the brace that is then one too many."""
    word = re.compile(r"\s*(\w*)").match(text, start)
    if _open_braces(text, start) or word is None or not word[1] or word[1] in DECLARATIONS:
        return None
    depth = 0
    for piece in _OUTER.finditer(text, start, start + MAX_BEYOND):
        if piece[0] in DECLARATIONS:
            return None
        depth += {"{": 1, "}": -1}.get(piece[0], 0)
        if depth < 0:
            return piece.end()
    return None


def _statement_start(text: str, at: int) -> int:
    """Where the statement begins that `at` is in. What stands before `at` is in order, or the parser would be there."""
    start = brackets = 0
    headers: list[int] = []
    for piece in _PIECES.finditer(text, 0, at):
        if piece[0] in "([":
            brackets += 1
        elif piece[0] in ")]":
            brackets -= 1
        elif piece[0] == "{":
            headers.append(start)
            start, brackets = piece.end(), 0
        elif piece[0] == "}":
            start, brackets = headers.pop() if headers else start, 0
        elif piece[0] in ";\n" and brackets <= 0:
            start = piece.end()
    return start
