"""A text in its canonical form: the same tokens and comments with other white space, so that it means the same.

The tokens of a text are taken apart into statements and brackets, and each comment goes with the token that it stands
beside or above. What only the writer can know stays: comments, blank lines between statements, parentheses within
expressions, the spelling of numbers. All else follows from the tokens: line ends and indentation, the spaces between
words, trailing commas, parentheses around an expression that takes more than a line, and the alignment of declarations
that stand in a row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from wdsl.core.record import Record, equal
from wdsl.syntax import nodes
from wdsl.syntax.layout import STEP, Above, Beside, Break, Comma, Doc, Either, Fill, Gap, Group, Indent, Line, lay_out
from wdsl.syntax.lexer import MAX_NESTING
from wdsl.syntax.parser import tokens
from wdsl.text.source import Source

WIDTH = 100
"""Characters of a line, comments beside it not counted."""
SMALL = 12
"""A bracket of no more characters stays on one line."""
ENDLESS = 10**9


def format_source(source: Source) -> str | None:
    """The canonical form of a source; None if it has syntax errors.

    Raises RuntimeError if that would not say the same, which is a defect of this module and harms nobody's text.
    """
    before, tree = _lexemes(source)
    if tree is None:
        return None
    items, _ = _statements(before, 0)
    text = "".join(f"{line}\n" for line in _written(list(_body(_apart(items), 0))))
    after, same = _lexemes(Source(source.name, text))
    if not equal(same, tree) or Counter(_comments(after)) != Counter(_comments(before)):
        raise RuntimeError(f"a defect of wdsl: formatting would change what {source.name} says, so it is left as it is")
    return text


# Tokens with their comments


class Comment(Record):
    """A comment on a line of its own; `blank` if a blank line stands before it."""

    text: str
    blank: bool


class Lexeme(Record):
    """A token, the comments above it and beside it, and whether its statement ends with it."""

    type: str
    text: str
    above: tuple[Comment, ...]
    blank: bool
    beside: str
    ends: bool


class Bracket(Record):
    """Parentheses or brackets. `postfix` ones call or index what stands before them."""

    opening: Lexeme
    items: tuple[tuple[Piece, ...], ...]
    commas: tuple[Lexeme, ...]
    closing: Lexeme
    postfix: bool
    commented: bool


Piece: TypeAlias = Lexeme | Bracket


def _lexemes(source: Source) -> tuple[list[Lexeme], nodes.File | None]:
    """The tokens of a source, and its tree. The last is no token, but has the comments that no token follows."""
    text = source.text
    found: list[Lexeme] = []
    read, tree = tokens(source)
    places = [(token.type, token.start_pos or 0, token.end_pos or 0) for token in read]
    type_, end, ends = "", 0, False
    word, blank = "", False
    above: tuple[Comment, ...] = ()
    for next_type, start, stop in [*places, ("", len(text), len(text))]:
        if next_type == "_END":
            ends = True
            continue
        beside, next_above, next_blank = _between(text[end:start], first=not end)
        if end:
            found.append(Lexeme(type_, word, above, blank, beside, ends))
        type_, end, ends = next_type, stop, False
        word, above, blank = text[start:stop], next_above, next_blank
    return [*found, Lexeme(type_, word, above, blank, "", ends)], tree


def _between(gap: str, first: bool) -> tuple[str, tuple[Comment, ...], bool]:
    """What is between two tokens: the comment beside the first, those above the second, and a blank line before it."""
    beside = ""
    above: list[Comment] = []
    end = 0
    # Behind a semicolon `##` is no documentation, and a line that begins with one has none. A blank line keeps it so.
    apart = False
    for match in re.finditer(r"#[^\n]*", gap):
        between, comment = gap[end : match.start()], match[0].rstrip()
        if end == 0 and "\n" not in between and not first:
            beside = comment
        else:
            above.append(Comment(comment, apart or between.count("\n") > 1))
            apart = between.rpartition("\n")[2].strip(" \t") != ""
        end = match.end()
    between = gap[end:]
    apart = apart or (bool(above) and between.rpartition("\n")[2].strip(" \t") != "")
    return beside, tuple(above), apart or between.count("\n") > 1


def _comments(lexemes: Iterable[Lexeme]) -> Iterator[str]:
    for lexeme in lexemes:
        yield from (comment.text for comment in lexeme.above)
        if lexeme.beside:
            yield lexeme.beside


# Statements and brackets


class Body(Record):
    """What stands in braces; `beside` is a comment right behind the opening one."""

    beside: str
    items: tuple[Comment | Statement, ...]


class Statement(Record):
    """Heads, each but perhaps the last with a body: `if a { … } else { … }` has two of each."""

    heads: tuple[tuple[Piece, ...], ...]
    bodies: tuple[Body, ...]
    blank: bool
    beside: str

    @property
    def kind(self) -> str:
        """The type of its first token; of those that begin with a name, "ENTRY" for what stands in a layer's braces."""
        head = self.heads[0]
        first = _opens(head[0]).type
        if first != "NAME":
            return first
        return "ENTRY" if any(_opens(piece).type == "COLON" for piece in head) else "BINDING"


def _statements(lexemes: Sequence[Lexeme], position: int) -> tuple[tuple[Comment | Statement, ...], int]:
    """What stands before the closing brace or the end, and the position of that."""
    items: list[Comment | Statement] = []
    while True:
        first = lexemes[position]
        items += first.above
        if first.type in ("RBRACE", ""):
            return tuple(items), position
        heads: list[tuple[Piece, ...]] = []
        bodies: list[Body] = []
        head: list[Lexeme] = [first.replace(above=())]
        while not lexemes[position].ends:
            position += 1
            lexeme = lexemes[position]
            if lexeme.type == "LBRACE":
                inside, position = _statements(lexemes, position + 1)
                heads.append(_nested(head))
                bodies.append(Body(lexeme.beside, inside))
                head = []
            else:
                head.append(lexeme)
        last = lexemes[position]
        if head:
            head[-1] = head[-1].replace(beside="")
            heads.append(_nested(head))
        items.append(Statement(tuple(heads), tuple(bodies), first.blank, last.beside))
        position += 1


_OPERANDS = frozenset({"NAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE", "QUESTION", "REST"})


def _nested(lexemes: Sequence[Lexeme]) -> tuple[Piece, ...]:
    """Tokens with those in brackets put into Brackets."""
    opened: list[Lexeme] = []
    items: list[list[tuple[Piece, ...]]] = []
    commas: list[list[Lexeme]] = []
    pieces: list[list[Piece]] = [[]]
    for lexeme in lexemes:
        if lexeme.type in ("LPAR", "LSQB"):
            opened.append(lexeme)
            items.append([])
            commas.append([])
            pieces.append([])
        elif lexeme.type in ("RPAR", "RSQB"):
            last = tuple(pieces.pop())
            inside = (*items.pop(), *([last] if last else []))
            opening, separators = opened.pop(), tuple(commas.pop())
            within = [each for item in inside for each in item]
            commented = bool(
                opening.beside
                or lexeme.above
                or any(each.above or each.beside for each in separators)
                or any(each.commented if isinstance(each, Bracket) else each.above or each.beside for each in within)
                or any(each.opening.above or each.closing.beside for each in within if isinstance(each, Bracket))
            )
            before = pieces[-1][-1] if pieces[-1] else None
            postfix = isinstance(before, Bracket) or (before is not None and before.type in _OPERANDS)
            pieces[-1].append(Bracket(opening, inside, separators, lexeme, postfix, commented))
        elif lexeme.type == "COMMA" and opened and not any(_opens(each).type == "FOR" for each in pieces[-1]):
            items[-1].append(tuple(pieces[-1]))
            commas[-1].append(lexeme)
            pieces[-1] = []
        else:
            pieces[-1].append(lexeme)
    return tuple(pieces[0])


# Documents

_LEVELS = {"ARROW": 0, "FOR": 1, "IF": 1, "ELSE": 1, "OR": 2, "AND": 3, "COMPARE": 4, "SIGN": 5, "TIMES": 6}
"""The operators before which a line may break, those that bind the least first."""


def _operators(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Level and position of each operator between two operands."""
    return [
        (_LEVELS[piece.type], position)
        for position, piece in enumerate(pieces)
        if position and isinstance(piece, Lexeme) and piece.type in _LEVELS and _is_operand(pieces[position - 1])
    ]


def _is_operand(piece: Piece) -> bool:
    return isinstance(piece, Bracket) or piece.type in _OPERANDS


def _expression(pieces: Sequence[Piece], place: str, hanging: bool = True) -> Doc:
    """An expression, which may break before the operators that bind the least; `hanging` sets what follows in."""
    operators = _operators(pieces)
    commented = any(_opens(each).above for each in pieces[1:]) or any(_closes(each).beside for each in pieces[:-1])
    if not operators or (_has_lines(pieces) and not commented):
        return _row(pieces, place)
    least = min(operators)[0]
    cuts = [position for level, position in operators if level == least]
    parts: list[Doc] = []
    for start, end in zip(cuts, [*cuts[1:], len(pieces)], strict=True):
        parts.append([Break(" "), _row(pieces[start : start + 1], place), " "])
        parts.append(_expression(pieces[start + 1 : end], place))
    following = Indent(parts) if hanging else parts
    return Group([_expression(pieces[: cuts[0]], place), following], commented)


def _has_lines(pieces: Iterable[Piece]) -> bool:
    """Whether there are brackets that take several lines, since comments are in them."""
    return any(isinstance(piece, Bracket) and piece.commented for piece in pieces)


def _opens(piece: Piece) -> Lexeme:
    return piece.opening if isinstance(piece, Bracket) else piece


def _closes(piece: Piece) -> Lexeme:
    return piece.closing if isinstance(piece, Bracket) else piece


def _row(pieces: Sequence[Piece], place: str = "file") -> Doc:
    """Pieces one after the other, with the spaces that belong between them."""
    docs: list[Doc] = []
    before: Piece | None = None
    tight = False
    for piece in pieces:
        if before is not None and not tight:
            docs.append(_space(before, piece, place))
        docs += _above(_opens(piece))
        docs.append(_bracket(piece) if isinstance(piece, Bracket) else piece.text)
        if _closes(piece).beside:
            docs.append(Beside(_closes(piece).beside))
        # A sign stands right before its operand.
        tight = isinstance(piece, Lexeme) and piece.type == "SIGN" and (before is None or not _is_operand(before))
        before = piece
    return docs


def _above(lexeme: Lexeme) -> list[Doc]:
    comments: list[Doc] = [Above(comment.text, comment.blank) for comment in lexeme.above]
    return [*comments, Gap()] if comments and lexeme.blank else comments


def _space(before: Piece, after: Piece, place: str) -> str:
    """What stands between two pieces: "within" brackets, among "parameters", in an "extern", elsewhere in a "file"."""
    if isinstance(after, Bracket):
        if after.postfix:
            return ""
    elif after.type in ("DOT", "COMMA") or (after.type == "EQUAL" and place == "within"):
        return ""
    elif after.type == "QUESTION" and place == "parameters":
        return ""  # of a type: `str?`
    elif after.type == "COLON":
        return " " if place == "extern" else ""
    if isinstance(before, Bracket):
        return " "
    if before.type == "DOT" or (before.type in ("EQUAL", "COLON") and place == "within"):
        return ""
    return " "


def _bracket(bracket: Bracket, place: str = "within") -> Doc:
    opening, closing = bracket.opening, bracket.closing
    if not bracket.items and not bracket.commented:
        return opening.text + closing.text
    # `(a)` is `a`, and `(a,)` is not.
    alone = len(bracket.items) == 1 and not bracket.postfix and opening.type == "LPAR"
    short = [_short(item) for item in bracket.items]
    if not bracket.commented and not any(isinstance(each, Bracket) for item in bracket.items for each in item):
        small: list[Doc] = [opening.text, _joined(bracket, place, alone), closing.text]
        if lay_out(small, 0, ENDLESS)[0].width <= SMALL:
            return small
    inside: list[Doc] = [Beside(opening.beside)] if opening.beside else []
    inside.append(Break(""))
    if not bracket.commented and all(short) and not alone:
        inside += [Fill(tuple(map(str, short))), Either(",", "")]
    else:
        last = len(bracket.items) - 1
        for position, item in enumerate(bracket.items):
            comma = bracket.commas[position] if position < len(bracket.commas) else None
            inside.append(_expression(item, place, hanging=last > 0))
            if comma:
                inside += _above(comma)
            if position < last or (alone and comma) or (bracket.commented and (last or place == "parameters")):
                inside.append(Comma(bool(comma and comma.beside)))
            elif last or place == "parameters":
                inside.append(Either(",", ""))
            if comma and comma.beside:
                inside.append(Beside(comma.beside))
            if position < last:
                inside.append(Break(" "))
        inside += _above(closing)
    return Group([opening.text, Indent(inside), Break(""), closing.text], bracket.commented)


def _joined(bracket: Bracket, place: str, alone: bool) -> Doc:
    """What stands in a bracket, on one line."""
    docs: list[Doc] = []
    for item in bracket.items:
        docs += [", "] if docs else []
        docs.append(_row(item, place))
    return [*docs, ","] if alone and bracket.commas else docs


def _short(item: Sequence[Piece]) -> str:
    """The text of a number, a string or a slice of numbers, if it is short."""
    if _operators(item) or any(_opens(each).type not in _SHORT for each in item):
        return ""
    text = "".join(each.text for each in item if isinstance(each, Lexeme))
    return text if len(text) <= 12 else ""


_SHORT = frozenset({"INT", "FLOAT", "STRING", "SIGN", "COLON"})


# Statements

_ALIGNED = {"LAYER": "EQUAL", "CONST": "EQUAL", "INPUT": "COLON", "WEIGHT": "COLON", "ENTRY": "COLON"}
"""Statements that are aligned where they stand in a row, before `=` or behind `:`."""


def _alignment(statement: Statement) -> int:
    """How many pieces of the first head stand before the place where it is aligned, or 0."""
    mark = _ALIGNED.get(statement.kind)
    at = next((at for at, piece in enumerate(statement.heads[0]) if _opens(piece).type == mark), 0)
    return at + 1 if at and mark == "COLON" else at


def _head(statement: Statement, number: int, padding: int) -> Doc:
    """The document of a head; the first is widened by `padding`."""
    head = statement.heads[number]
    kind = statement.kind if number == 0 else "ELSE"  # if it is a further branch
    if kind in ("NETWORK", "BLOCK", "EXTERN", "DEF"):
        place = "extern" if kind == "EXTERN" else "file"
        docs: list[Doc] = [_row(head[:2], place)]
        rest = head[2:]
        if rest and isinstance(rest[0], Bracket):
            docs.append(_bracket(rest[0], "parameters"))
            rest = rest[1:]
        if kind == "DEF":
            return [*docs, " = ", _wrapped(rest[1:])]
        return [*docs, " ", _row(rest, place)] if rest else docs
    at = _alignment(statement) if number == 0 else 0
    start, end = _value(head, kind)
    docs = [_row(head[:at]), " " * padding, " "] if at else []
    if start == end:
        return [*docs, _row(head[at:])]
    return [*docs, _row(head[at:start]), " ", _wrapped(head[start:end]), _row(head[end:])]


def _value(head: Sequence[Piece], kind: str) -> tuple[int, int]:
    """From where to where an expression stands that may be put in parentheses."""
    types = [_opens(piece).type for piece in head]
    if kind in ("BINDING", "CONST", "DEF"):
        return types.index("AUGMENT" if "AUGMENT" in types else "EQUAL") + 1, len(head)
    if kind == "OUTPUT":
        return (3 if "EQUAL" in types else 1), len(head)
    if kind == "IF":
        return 1, len(head)
    if kind == "ELSE" and len(head) > 1:
        return 2, len(head)
    if kind == "FOR":
        return types.index("IN") + 1, len(head)
    if kind == "ASSERT":
        return 1, types.index("COMMA") if "COMMA" in types else len(head)
    return 0, 0


def _wrapped(value: Sequence[Piece]) -> Doc:
    """An expression, in parentheses if it takes several lines, and without if not."""
    while True:
        match value:
            case (Bracket(Lexeme("LPAR"), ((*inside,),), (), _, _, False),) if not _has(inside, "COLON"):
                value = inside
            case _:
                break
    if not _operators(value) or _has_lines(value) or _nesting(value) > MAX_NESTING - 2:
        return _row(value)
    expression = _expression(value, "file", hanging=False)
    return Group([Either("(", ""), Indent([Break(""), expression]), Break(""), Either(")", "")])


def _has(pieces: Iterable[Piece], type_: str) -> bool:
    return any(_opens(piece).type == type_ for piece in pieces)


def _nesting(pieces: Iterable[Piece]) -> int:
    """How many brackets and operators there are, one in another or not: parentheses around them are one more."""
    count, rest = 0, list(pieces)
    while rest:
        piece = rest.pop()
        count += isinstance(piece, Bracket) or piece.type not in _OPERANDS
        if isinstance(piece, Bracket):
            rest += [each for item in piece.items for each in item]
    return count


# Lines


def _apart(items: Sequence[Comment | Statement]) -> list[Comment | Statement]:
    """What stands in a file, with a blank line around each network and block."""
    apart: set[int] = set()
    first = 0  # of what stands above a statement, without a blank line between
    for position, item in enumerate(items):
        if item.blank or (position and isinstance(items[position - 1], Statement)):
            first = position
        if isinstance(item, Statement) and item.kind in ("NETWORK", "BLOCK"):
            apart |= {first, position + 1}
    return [each.replace(blank=True) if at in apart else each for at, each in enumerate(items)]


def _body(items: Sequence[Comment | Statement], indent: int) -> Iterator[Line]:
    paddings = _paddings(items, indent)
    for position, item in enumerate(items):
        if item.blank and position:
            yield Line(indent)
        if isinstance(item, Comment):
            yield from lay_out(item.text, indent, WIDTH)
        else:
            yield from _statement(item, indent, paddings[position])


def _paddings(items: Sequence[Comment | Statement], indent: int) -> list[int]:
    """By how much each item is widened, so that statements of one kind that stand in a row are aligned."""
    paddings = [0] * len(items)
    rows: list[dict[int, int]] = [{}]
    before: Statement | None = None
    for position, item in enumerate(items):
        width = 0 if isinstance(item, Comment) else _aligned_width(item)
        if isinstance(item, Comment) or not width:
            before = None
            continue
        if before is None or item.blank or item.kind != before.kind or len(_statement(before, indent, 0)) > 1:
            rows.append({})
        rows[-1][position] = width
        before = item
    for row in rows:
        widest = max(row.values(), default=0)
        for position, width in row.items():
            paddings[position] = widest - width
    return paddings


def _aligned_width(statement: Statement) -> int:
    """How wide the first head is up to the place where it is aligned; 0 if it is not."""
    head = statement.heads[0][: _alignment(statement)]
    return lay_out(_row(head), 0, ENDLESS)[0].width if head else 0


def _statement(statement: Statement, indent: int, padding: int) -> list[Line]:
    lines = _on_one_line(statement, indent, padding) or _on_lines(statement, indent, padding)
    if statement.beside:
        lines[-1].comment = statement.beside
    return lines


def _on_one_line(statement: Statement, indent: int, padding: int) -> list[Line]:
    """`layer a = Dense(4) { bias: equal }`, if that is all and there is room; else nothing."""
    doc: list[Doc] = [_head(statement, 0, padding), " {"]
    match statement.bodies:
        case (Body("", ()),):
            doc.append("}")
        case (Body("", (Statement(_, (), _, "") as entry,)),) if statement.kind == "LAYER":
            doc += [" ", _head(entry, 0, 0), " }"]
        case _:
            return []
    lines = lay_out(doc, indent, ENDLESS)
    return lines if len(lines) == 1 and lines[0].width <= WIDTH and not lines[0].comment else []


def _on_lines(statement: Statement, indent: int, padding: int) -> list[Line]:
    found: list[Line] = []
    for number, _ in enumerate(statement.heads):
        start = "} " if number else ""
        if number == len(statement.bodies):
            return lay_out([start, _head(statement, number, padding)], indent, WIDTH)
        found += lay_out([start, _head(statement, number, padding), " {"], indent, WIDTH)
        body = statement.bodies[number]
        if body.beside:
            found[-1].comment = body.beside
        found += _body(body.items, indent + STEP)
    return [*found, *lay_out("}", indent, WIDTH)]


def _written(lines: Sequence[Line]) -> Iterator[str]:
    """The text of lines; comments beside lines that follow one another are aligned."""
    position = 0
    while position < len(lines):
        first = lines[position]
        end = position + 1
        if first.comment:
            while end < len(lines) and lines[end].comment and lines[end].indent == first.indent:
                end += 1
        width = max(each.width for each in lines[position:end])
        for line in lines[position:end]:
            text = f"{' ' * line.indent}{line.text}"
            yield f"{text.ljust(width)}  {line.comment}" if line.comment else text.rstrip()
        position = end
