"""The syntax tree, built while the parser reduces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lark import Token  # noqa: TID251

from wdsl.syntax import nodes
from wdsl.syntax.lexer import Refused
from wdsl.text.diagnostics import Diagnostic, Fix
from wdsl.text.source import Source, Span

LANGUAGE_VERSION = 1
MAX_DIGITS = 4000
"""Python itself refuses to read longer integers."""


class Builder:
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

    def function(self, children: list[Any]) -> nodes.Def:
        keyword, name, parameters, value = children
        return nodes.Def(
            self._identifier(name), parameters, value, span=self.at(keyword, value), doc=self._doc(keyword)
        )

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
        name, type_, question, default = children
        last = default or question or type_ or name
        declared = type_ and nodes.Name(f"{type_}{question or ''}", span=self.at(type_, question or type_))
        return nodes.Parameter(
            self._identifier(name),
            declared,
            default,
            span=self.at(name, last),
            doc=self._doc(name),
        )

    def input(self, children: list[Any]) -> nodes.Input:
        keyword, name, indices, dtype, shape = children
        sizes, last = shape or (None, name if indices is None else indices[1])
        return nodes.Input(
            self._identifier(name),
            self._identifier(dtype),
            sizes and self._only(nodes.Unknown, among=sizes),
            self._indices(*indices) if indices else (),
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

    def target(self, children: list[Any]) -> tuple[nodes.Name, tuple[nodes.Expression, ...], Token]:
        """A name that gets a value, with its indices, and where it ends."""
        name, indices = children
        if indices is None:
            return self._identifier(name), (), name
        sizes, last = indices
        return self._identifier(name), self._indices(sizes, last), last

    def binding(self, children: list[Any]) -> nodes.Binding:
        *targets, value = children
        names, indices, _ = zip(*targets, strict=True)
        return nodes.Binding(names, value, indices if any(indices) else (), span=self.at(names[0], value))

    def augmented(self, children: list[Any]) -> nodes.Binding:
        (name, indices, last), operator, value = children
        before = nodes.Subscript(name, indices, span=self.at(name, last)) if indices else name
        result = nodes.Binary(operator[0], before, value, span=self.at(name, value))
        return nodes.Binding((name,), result, (indices,) if indices else (), span=self.at(name, value))

    def output(self, children: list[Any]) -> nodes.Output:
        keyword, first, second = children
        name: nodes.Name | None = None
        indices: tuple[nodes.Expression, ...] = ()
        match first:
            case _ if second is None:
                second = first
            case nodes.Name():
                name = first
            case nodes.Subscript(nodes.Name() as family, items) if not any(isinstance(i, nodes.Slice) for i in items):
                name, indices = family, items
            case _:
                message = "an output has a name: `output NAME = …`"
                raise Refused("E0101", message, first.span.start, first.span.end)
        return nodes.Output(name, second, indices, span=self.at(keyword, second), doc=self._doc(keyword))

    def loop(self, children: list[Any]) -> nodes.For:
        keyword, *names, _, values, (body, brace) = children
        return nodes.For(tuple(map(self._identifier, names)), values, body, span=self.at(keyword, brace))

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

    def outside(self, children: list[Any]) -> nodes.Binary:
        left, _, _, right = children
        return nodes.Binary("not in", left, right, span=self.at(left, right))

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

    def comprehension(self, children: list[Any]) -> nodes.Comprehension:
        first, element, _, *names, _, values, keyword, test, last = children
        assert keyword is None or test is not None
        return nodes.Comprehension(
            element, tuple(map(self._identifier, names)), values, test, span=self.at(first, last)
        )

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

    places = items

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
