"""The parser and the printer, on drawn trees and on drawn text; and the whole front end on text that is broken."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lark import Lark

import wdsl
from tests.drawn import examples
from tests.fuzz import oracles, texts
from wdsl.core.record import Record
from wdsl.syntax import nodes
from wdsl.syntax.parser import parse
from wdsl.syntax.printer import print_file
from wdsl.syntax.tables import DoesNotFit, Tables
from wdsl.text.source import Source, Span

ROOT = Path(__file__).parents[2]
SPECS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").rglob("*.wnet"))]
WHOLE_LANGUAGE = """
wnet 1
import "blocks/attention.wnet" as attention
from "blocks/residual.wnet" import Residual, Tower
## How wide.
const width = 64
extern Gated(units: int) = mine.layers.Gated : [..., n] -> [..., units]

## A piece.
block Piece(units: int = 3, deep: bool = true) {
    input x
    for i in range(units) {
        layer conv[i] = Conv2D(8, 3) { kernel: symmetric }
        if i % 2 == 0 and deep { x = x -> conv[i] } else if i > 9 { x = x -> relu } else {
            x = x -> Residual(4) * 6; x = attention.Encoder(256)(x)[0]
        }
    }
    output y = x
}

network Net(code: int) {
    input tokens: int32[T]
    weight w: [10, 5] = GlorotUniform() symmetric, zero[diagonal]
    layer both = Bidirectional(layer=LSTM(8), input=3) { conv[0].kernel: tie(w); forward.kernel: zero }
    layer tied = Dense(3) tie(both.conv[0].kernel.T)
    assert parameters <= 50_000, "too big for the device"
    output y = tokens -> both -> tied
}
"""
CORPUS, DICTIONARY = texts.corpus(), texts.words()
NOWHERE = Span(Source("drawn", ""), 0, 0)
ENOUGH = 5.0
"""Seconds that no text of a few hundred characters may take, on a machine that does other things too."""


# --- trees ----------------------------------------------------------------------------------------


def node(kind: Any, *parts: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, *parts, **named, span=st.just(NOWHERE))


def some(items: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


# Words of the grammar are names wherever it does not expect them.
KEYWORDS_ANYWHERE = ("where", "if", "else", "or", "and", "not", "true", "false", "none", "via", "in")
USUAL = "layer input output weight network block for in as assert wnet lambda relu Dense T l _"
WORDS = st.from_regex(r"[a-z_][a-z_0-9]{0,5}|[A-Z][A-Za-z0-9]{0,5}", fullmatch=True) | st.sampled_from(USUAL.split())
NAMES = node(nodes.Name, WORDS.filter(lambda word: word not in KEYWORDS_ANYWHERE))
TEXTS = node(nodes.Literal, st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=6))
LITERALS = TEXTS | node(
    nodes.Literal,
    st.none() | st.booleans() | st.integers(0, 10**30) | st.floats(0, allow_nan=False, allow_infinity=False),
)


OPERATORS = ("+", "-", "*", "/", "//", "%", "@", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or")


def grown(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Expressions made of smaller ones."""
    slices = node(nodes.Slice, st.none() | parts, st.none() | parts, st.none() | parts)
    items = parts | slices
    arguments = some(node(nodes.Argument, st.none() | NAMES, items))
    return st.one_of(
        node(nodes.Unary, st.sampled_from(["-", "+", "not"]), parts),
        node(nodes.Binary, st.sampled_from(OPERATORS), parts, parts),
        node(nodes.Conditional, parts, parts, parts),
        node(nodes.Chain, some(parts, 2)),
        node(nodes.Call, parts, arguments),
        node(nodes.Attribute, parts, NAMES),
        node(nodes.Subscript, parts, some(items | node(nodes.Rest), 1)),
        node(nodes.List, some(items)),
        node(nodes.Comprehension, parts, some(NAMES, 1), parts, st.none() | parts),
        node(nodes.Tuple, some(items).filter(lambda each: len(each) != 1) | some(items, 1, 1)),
    )


LEAVES = NAMES | LITERALS
# Deferred, for the sake of their representation, which Hypothesis writes out.
FLAT = st.deferred(lambda: LEAVES | grown(LEAVES))
DEEPER = st.deferred(lambda: LEAVES | grown(FLAT))
EXPRESSIONS = st.deferred(lambda: LEAVES | grown(DEEPER))
LINES = some(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=4), 0, 3
).map(" ".join)
DOCS = some(LINES).map(lambda lines: "\n".join(lines).strip())
REGIONS = EXPRESSIONS | node(nodes.Slice, *[st.none() | NAMES] * 3) | node(nodes.Where, EXPRESSIONS)
ANNOTATIONS = node(
    nodes.Annotation,
    NAMES,
    st.none() | some(REGIONS, 1),
    st.none() | some(node(nodes.Argument, st.none() | NAMES, EXPRESSIONS)),
    st.none() | EXPRESSIONS,
    st.none() | NAMES,
)
BEGINNINGS = ("input", "layer", "output", "weight", "for", "if", "assert")
DOTTED = node(nodes.Name, some(NAMES, 1).map(lambda names: ".".join(name.id for name in names)))
MEMBERS = st.deferred(lambda: NAMES | node(nodes.Subscript, NAMES, some(EXPRESSIONS, 1)))
PATHS = st.deferred(lambda: MEMBERS | node(nodes.Attribute, MEMBERS, NAMES))
SIZES = some(EXPRESSIONS | node(nodes.Unknown), 1)
SIMPLE = st.deferred(
    lambda: st.one_of(
        node(nodes.Input, NAMES, st.none() | NAMES, SIZES, some(EXPRESSIONS, 0, 2), doc=DOCS),
        node(nodes.Input, NAMES, st.none(), st.none(), doc=DOCS),
        node(
            nodes.Layer,
            NAMES,
            EXPRESSIONS,
            some(ANNOTATIONS),
            some(node(nodes.WeightAnnotations, PATHS, some(ANNOTATIONS, 1))),
            some(EXPRESSIONS, 0, 2),
            doc=DOCS,
        ),
        node(
            nodes.Weight,
            NAMES,
            some(EXPRESSIONS, 1),
            st.none() | EXPRESSIONS,
            some(ANNOTATIONS),
            doc=DOCS,
        ),
        node(
            nodes.Binding,
            some(NAMES, 1).filter(lambda names: names[0].id not in ("input", "layer", "output")),
            EXPRESSIONS,
        ),
        node(
            nodes.Binding,
            NAMES.filter(lambda name: name.id not in BEGINNINGS).map(lambda name: (name,)),
            EXPRESSIONS,
            some(EXPRESSIONS, 1, 2).map(lambda indices: (indices,)),
        ),
        node(nodes.Output, st.none() | NAMES, EXPRESSIONS, doc=DOCS),
        node(nodes.Output, NAMES, EXPRESSIONS, some(EXPRESSIONS, 1, 2), doc=DOCS),
        node(nodes.Assert, EXPRESSIONS, st.none() | TEXTS),
    )
)


def nested(statements: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    body = some(statements, 0, 2)
    return node(nodes.For, some(NAMES, 1), EXPRESSIONS, body) | node(
        nodes.If, some(node(nodes.Branch, EXPRESSIONS, body), 1), st.none() | body
    )


ONCE_NESTED = st.deferred(lambda: SIMPLE | nested(SIMPLE))
STATEMENTS = st.deferred(lambda: SIMPLE | nested(ONCE_NESTED))
TYPES = NAMES | NAMES.map(lambda name: name.replace(id=f"{name.id}?"))
PARAMETERS = node(nodes.Parameter, NAMES, st.none() | TYPES, st.none() | EXPRESSIONS, doc=DOCS)
AXES = some(EXPRESSIONS | node(nodes.Unknown) | node(nodes.Rest), 1)
DECLARATIONS = st.deferred(
    lambda: st.one_of(
        node(nodes.Import, TEXTS, NAMES),
        node(nodes.From, TEXTS, some(NAMES, 1)),
        node(nodes.Const, NAMES, EXPRESSIONS, doc=DOCS),
        node(nodes.Def, NAMES, some(PARAMETERS), EXPRESSIONS, doc=DOCS),
        node(nodes.Extern, NAMES, some(PARAMETERS), DOTTED, AXES, AXES, doc=DOCS),
        *(
            node(kind, NAMES, some(PARAMETERS), some(STATEMENTS, 0, 4), doc=DOCS)
            for kind in (nodes.Block, nodes.Network)
        ),
    )
)
FILES = st.builds(nodes.File, st.just(NOWHERE.source), st.none() | st.just(1), some(DECLARATIONS, 0, 3))


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@examples(50)
@given(FILES)
def test_what_is_printed_is_read_back(tree: nodes.File) -> None:
    text = print_file(tree)
    again, problems = parse(Source("printed", text))
    assert [problem.message for problem in problems] == [], text
    assert again == tree, text
    assert print_file(again) == text


@pytest.mark.parametrize("text", [*SPECS, WHOLE_LANGUAGE])
def test_specs_are_read_back(text: str) -> None:
    tree, problems = parse(Source("spec", text))
    assert problems == ()
    again, problems = parse(Source("printed", print_file(tree)))
    assert problems == ()
    assert again == tree


# --- Lark -----------------------------------------------------------------------------------------


def all_of(value: Any) -> Any:
    """A tree with its places, which are not compared, as plain tuples."""
    if isinstance(value, Record):
        return type(value).__name__, *(all_of(getattr(value, name)) for name in value._fields)
    return tuple(map(all_of, value)) if isinstance(value, tuple) else value


def without_tables() -> Any:
    """All is read by Lark itself, as what is broken always is."""

    def follow(self: Tables, tokens: Iterator[Any]) -> Any:
        raise DoesNotFit

    return mock.patch.object(Tables, "follow", follow)


def read_alike(text: str) -> bool:
    """The tree, its places and the reports are those that Lark's own parser comes to. Gives whether it is in order."""
    source = Source("drawn", text)
    ours = parse(source)
    with without_tables():
        larks = parse(source)
    assert all_of(ours) == all_of(larks), text
    return ours[1] == ()


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(examples(60), phases=(Phase.explicit, Phase.generate))
@given(FILES)
def test_drawn_files_are_read_as_by_lark(tree: nodes.File) -> None:
    assert read_alike(print_file(tree))


@examples(150)
@given(st.randoms(use_true_random=True))
def test_changed_texts_are_read_as_by_lark(random: Random) -> None:
    read_alike(texts.changed(random.choice(CORPUS), random, CORPUS, DICTIONARY))


@pytest.mark.parametrize("text", [*SPECS, WHOLE_LANGUAGE])
def test_specs_are_read_as_by_lark(text: str) -> None:
    assert read_alike(text)


def test_the_tables_read_what_is_in_order() -> None:
    """What is compared above is not Lark with Lark: a text in order is read without it, a broken one is not."""
    parse(Source("spec", WHOLE_LANGUAGE))  # the grammar is loaded
    with mock.patch.object(Lark, "parse", side_effect=AssertionError) as larks:
        parse(Source("spec", WHOLE_LANGUAGE))
        assert not larks.called
        with pytest.raises(AssertionError):
            parse(Source("spec", WHOLE_LANGUAGE + "network"))


# --- text -----------------------------------------------------------------------------------------

WORDS_OF_SPECS = """
network N { } ( ) [ ] , : ; -> = == < + - * / ** @ % . ? # ## " \\ 0 1 7 -1 1.5 1e9 1_0 _ x y a b kernel bias T
input output layer wnet where if else or and not true false none via import from block for assert weight
const extern in ... as
Dense(4) Conv2D Embedding LSTM(3) Dense relu tanh concat split tie symmetric equal zero diagonal band upper mask
int32 float32 [4] [?] i j k l m shape
"""
PIECES = st.sampled_from([*WORDS_OF_SPECS.split(), "", "\n", "\t", "\r", "\x00", "\u202e", "é", "漢", "😀", "\ud800"])
BEFORE, AFTER = "network N {\n    input x: [4]\n    layer a = Dense(4) ", "\n    output y = x -> a\n}"
ANY_TEXT = st.one_of(
    st.lists(PIECES, max_size=60).map(" ".join),
    st.lists(PIECES, max_size=60).map("".join),
    st.lists(PIECES, max_size=30).map(
        lambda parts: f"network N {{\n    input x: [4]\n    output y = {' '.join(parts)}\n}}"
    ),
    st.lists(PIECES, max_size=30).map(
        lambda parts: (
            "network N {\n    input x: [4]\n    layer a = Dense(4) " + " ".join(parts) + "\n    output y = x -> a\n}"
        )
    ),
    st.text(max_size=80),
)


@st.composite
def mutations(draw: Any) -> str:
    """A spec with a few pieces put in, left out, doubled or moved."""
    text = draw(st.sampled_from([*SPECS, *[WHOLE_LANGUAGE] * 5]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        match draw(st.integers(0, 3)):
            case 0:
                text = text[:start] + draw(PIECES) + text[start:]
            case 1:
                text = text[:start] + text[end:]
            case 2:
                text = text[:end] + text[start:end] + text[end:]
            case 3:
                at = draw(st.integers(0, len(text)))
                text = text[:at] + text[start:end] + text[at:]
    return str(text)


def only_complains(text: str) -> None:
    """The front end gives a network or a WdslError whose every place is in the text, the formatter a form, and soon."""
    started = time.process_time()
    refusal = None
    try:
        net = wdsl.loads(text)
    except wdsl.WdslError as error:
        refusal = error
    if refusal:
        diagnostics = refusal.diagnostics
        assert any(each.severity == "error" for each in diagnostics)
        assert str(refusal)
    else:
        diagnostics = net.diagnostics
        assert all(each.severity == "warning" for each in diagnostics)
        net.to_python()
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    for each in diagnostics:
        for span in (each.span, *(label.span for label in each.labels), *([each.fix.span] if each.fix else [])):
            assert 0 <= span.start <= span.end <= len(text)
            assert span.text == text[span.start : span.end]
    form = None
    with contextlib.suppress(wdsl.WdslError):
        form = wdsl.format(text)
    assert form is not None or refusal
    assert form is None or wdsl.format(form) == form
    assert time.process_time() - started < ENOUGH


@pytest.fixture(scope="module", autouse=True)
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with oracles.place(tmp_path_factory.mktemp("place")):
        yield


def holds(text: str) -> bool:
    """All that is promised of any text. It is checked a dozen times for that. Gives whether it compiles."""
    started = time.process_time()
    compiles = oracles.examine(text)
    assert time.process_time() - started < 4 * ENOUGH
    return compiles


@examples(300)
@given(ANY_TEXT)
def test_text_of_any_kind(text: str) -> None:
    holds(text)


@examples(50)
@given(mutations())
def test_broken_specs(text: str) -> None:
    holds(text)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
# Not shrunk: for that Hypothesis writes these strategies out, each in full wherever another names it, and has no end.
@settings(examples(40), phases=(Phase.explicit, Phase.generate))
@given(FILES)
def test_drawn_files(tree: nodes.File) -> None:
    """All that the grammar has, without sense."""
    holds(print_file(tree))


def test_drawn_networks_are_in_order() -> None:
    """Not all: a layer may be unused, and have an annotation."""
    assert sum(holds(texts.program(Random(seed))) for seed in range(20)) >= 13


@examples(30)
@given(st.randoms(use_true_random=True))
def test_drawn_networks_with_changes(random: Random) -> None:
    holds(texts.changed(texts.program(random), random, CORPUS, DICTIONARY))


@examples(75)
@given(st.randoms(use_true_random=True))
def test_specs_with_changes(random: Random) -> None:
    holds(texts.changed(random.choice(CORPUS), random, CORPUS, DICTIONARY))


@examples(100)
@given(st.binary(max_size=60) | st.sampled_from(CORPUS).map(str.encode).map(lambda data: data[:-3] + b"\xf0\x9f\n}"))
def test_bytes(data: bytes) -> None:
    oracles.examine_bytes(data)


WRONG: dict[str, Callable[[str], str]] = {
    "refers to eval": lambda source: source.replace("keras.Model(x, y", "keras.Model(x, eval('y')"),
    "reaches into": lambda source: source.replace("keras.Model(x", "keras.Model(x.__class__"),
    "imports os": lambda source: source.replace("import keras", "import os"),
    "in a written function": lambda source: source.replace("    return keras", "    import os\n    return keras"),
    "takes the name print": lambda source: source.replace("    y = ", "    print = y = "),
    "__import__": lambda source: source + "\n__import__('os').system('touch effect')\n",
}


@pytest.mark.parametrize("complaint", WRONG)
def test_what_breaks_out_would_be_seen(complaint: str) -> None:
    text = "network Net {\n    input x: [4]\n    layer a = Dense(4) symmetric\n    output y = x -> a\n}\n"
    source = wdsl.loads(text).to_python()
    tree, _ = parse(Source("net.wnet", text))
    oracles.only_ours(source, tree)
    changed = WRONG[complaint](source)
    assert changed != source
    with pytest.raises(AssertionError, match=complaint):
        oracles.only_ours(changed, tree)


@pytest.mark.parametrize("action", ["open", "write", "list", "start"])
def test_effects_would_be_seen(action: str) -> None:
    actions: dict[str, Callable[[], object]] = {
        "open": lambda: open("../secret.csv").close(),
        "write": lambda: open("effect", "w").close(),
        "list": lambda: os.listdir(".."),
        "start": lambda: os.system("true"),
    }
    with pytest.raises(AssertionError, match="has an effect"), oracles.watched():
        actions[action]()


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "[" * 5000 + "]" * 5000,
        "network N {\n    input x: [4]\n    output y = " + "(" * 3000 + "x" + ")" * 3000 + "\n}",
        "network N {\n    input x: [4]\n    output y = " + "-" * 3000 + "x\n}",
        "network N {\n    input x: [4]\n    output y = " + "x + " * 3000 + "x\n}",
        "network N {\n    input x: [4]\n    output y = x" + " -> relu" * 3000 + "\n}",
        "network N {\n    input x: [4]\n    output y = x" + ".a" * 3000 + "\n}",
        "network N {\n    input x: [4]\n    output y = " + "not " * 3000 + "x\n}",
        "network N {\n    input x: [4]\n    output y = x" + " if true else x" * 1000 + "\n}",
        "network N {\n    input x: [4]\n    output y = x ** " + "2 ** " * 1000 + "2\n}",
        "network N {\n    input x: [4]\n    output y = x -> Dense(" + "9" * 5000 + ")\n}",
        "network N {\n    input x: [9_000_000_000]\n    layer a = Dense(9_000_000_000) zero[band(1, 1)]\n"
        "    output y = x -> a\n}",
        "network N {\n    input x: [9_000_000_000]\n    layer a = Dense(9_000_000_000) symmetric, zero[(0, 1)]\n"
        "    output y = x -> a\n}",
        "network N {\n    input x: [9_000_000_000_000_000_000]\n    layer a = Dense(9_000_000_000_000_000_000)\n"
        "    output y = x -> a\n}",
        "network N {\n    input x: [1000]\n    layer a = Dense(1000) zero[where i ** 64 // (j - 3) > 0]\n"
        "    output y = x -> a\n}",
        "network N(n: list = range(100_000)) {\n    input x: [4]\n    output y = x -> Dense(len(n + n))\n}",
        'network N(s: str = "' + "ab" * 50_000 + '") {\n    input x: [4]\n    output y = x -> Activation(s)\n}',
        "network N {\n    input x: [4]\n" + "    layer a = Dense(4) zero[\n" * 300 + "}",
        "network N {\n" + "    input x: [4]\n" * 500 + "}",
        "network N {\n    input x: [4]\n" + "    h = x -> Dnse(4)\n" * 300 + "    output h\n}",
        "## " * 3000 + "\n" * 3000 + "network N {}" * 50,
        '"' * 4000,
        "\\" * 4000,
        "#" * 100_000,
        "a" * 100_000,
        "{" * 3000 + "}" * 3000,
        "network N {" + "if true {" * 3000 + "}" * 3001,
        "network N {\n" + "for i in [1] {\n" * 300 + "x = = 3\n" + "}\n" * 301,
        "network N {\n    if a { }" + " else if a { }" * 1000 + "\n}",
    ],
    ids=lambda text: f"{text[:60]}... {len(text)}",
)
def test_text_that_goes_too_far(text: str) -> None:
    only_complains(text)
