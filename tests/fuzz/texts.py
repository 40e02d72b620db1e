"""Texts to try: networks that use the whole language and are in order for the most part, and what is made of a text by
changing it. Whatever is decided is decided by a `Random`, so a seed gives the same text again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]


def corpus() -> list[str]:
    """All texts of the language in this repository: specs, inputs of tests, examples of documents."""
    found = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").rglob("*.wnet"))]
    cases = [*(ROOT / "tests" / "errors").glob("*.txt"), *(ROOT / "tests" / "format").glob("*.txt")]
    found += [re.split("^─{8,}\n", path.read_text(encoding="utf-8"), flags=re.M)[0] for path in sorted(cases)]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        found += re.findall(r"^```wnet.*\n((?:.*\n)*?)```", path.read_text(encoding="utf-8"), re.MULTILINE)
    return list(dict.fromkeys(found))


def words() -> list[str]:
    """The words and signs of the grammar."""
    text = (ROOT / "grammar" / "wnet.lark").read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r'"([^"\n\\]+)"', text)))


TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\d[\d_]*(?:\.\d+)?|->|\*\*|//|\.\.\.|[=!<>]=|#.*|\s+|.')

NUMBERS = (
    *("0", "1", "2", "-1", "3", "7", "64", "0.5", "1e-9", "1e308", "1e999", "00", "1_0", "100_000", "100_001"),
    *("2_147_483_648", "9_223_372_036_854_775_807", "9_223_372_036_854_775_808", "9" * 60, "9" * 4400, "2 ** 63"),
    *("9 ** 9 ** 9", "2 ** -1", "(-8) ** 0.5", "7 // 0", "7 % 0", "1 / 3", "range(9)", "[1, [2, [3]]]", "none", "true"),
)

BREAKOUTS = (
    '"\\"); __import__(\\"os\\").system(\\"touch effect\\") #"',
    "\"'''\"",
    '"\\"\\"\\""',
    '"\\\\"',
    '"{{ 7 * 7 }}"',
    '"{% for x in [] %}"',
    "\"\\n\\n__import__('os')\"",
    '"%s {0.__class__}"',
    '## """',
    "## \\",
    "## {{ 7 * 7 }}",
    "## \u2028import os",
    "## \x0cimport os",
    *("__import__", "eval", "exec", "open", "__class__", "__builtins__", "lambda", "class", "async", "print", "self"),
    *("keras", "layers", "ops", "np", "Structured", "Shared", "Model", "Input", "l", "_", "__", "ValueError", "None"),
    *("name", "kernel", "training", "call", "build", "dtype", "os", "sys", "match", "case", "type", "shape", "batch"),
)

PATHS = (
    *(
        "library.wnet",
        "faulty.wnet",
        "first.wnet",
        "outward.wnet",
        "latin1.wnet",
        "newer.wnet",
        "parts/transformer.wnet",
    ),
    *("net.wnet", "myself.wnet", "out.wnet", "around/secret.wnet", "../secret.wnet", "self.wnet", "pipe.wnet", "parts"),
    *("/etc/passwd", "/dev/zero", "parts/../library.wnet", "parts/../../secret.wnet", ".", "..", "", " ", "a" * 300),
    *("a/" * 3000, "~/x", "C:/x", "file:library.wnet", "http://localhost/x", "\\\\n", "nul", "library.wnet/", "\\t"),
)
TABLES = (
    *(
        "connections.csv",
        "connectome.csv",
        "empty.csv",
        "ragged.csv",
        "header.csv",
        "gaps.csv",
        "no_array.npy",
        "x.npy",
    ),
    *("not_a_number.csv", "semicolons.csv", "out.csv", "../secret.csv", "around/secret.csv", "device.csv", "pipe.wnet"),
)

ODD = (
    *("", "\n", "\r", "\r\n", "\t", "\x00", "\x0b", "\x0c", "\x1b[31m", "\u202e", "\u2028", "\ufeff", "\ud800", "\x85"),
    *("é", "漢", "😀", "\u0301", "\\", "`", "$", "'", '"', "#", "##", ";", "{", "}", "(", ")", "[", "]", ",", "..."),
)

SNIPPETS = (
    "for i in range(3) { NAME = NAME -> Dense(8) }",
    "for i in range(100_000) { }",
    "for i in range(100_000) { for j in range(100_000) { } }",
    "for i in [1, 2] { layer made[i] = Dense(8) symmetric }",
    "for i in NAME { NAME = NAME + NAME }",
    "if NAME > 2 { NAME = NAME -> relu } else if false { } else { NAME = NAME }",
    "layer NAME = Dense(8) symmetric, zero[diagonal]",
    "layer NAME[0] = Dense(8) tie(NAME.kernel.T)",
    "layer NAME = Dense(8) { kernel: skew, zero[where i ** 9 % 7 == j]; bias: equal }",
    "layer NAME = NAME(NAME)",
    "layer NAME = Conv2D(8, 3, strides=2, padding=same)",
    "layer NAME = MultiHeadAttention(2, 4) { query.kernel: tie(key.kernel) }",
    'weight NAME: [8, 8] = HeNormal(seed=1) zero[mask("connections.csv")]',
    "NAME, other = NAME -> split(2, axis=-1)",
    "NAME = NAME -> NAME * 1000",
    "NAME = NAME -> Dense(8) * 100_000",
    "NAME = NAME(NAME, NAME)[0] + NAME.kernel",
    "NAME = (NAME, NAME) -> Concatenate()",
    "NAME = NAME -> reshape([4, 2]) -> transpose(axes=[0, 2, 1])",
    'NAME = einsum("bi,bi->b", NAME, NAME)',
    "input NAME: int32[?, NAME]",
    "output NAME = NAME -> NAME",
    "output NAME",
    'assert parameters <= 50_000 and shape(NAME)[0] == 8, "too big"',
    "assert free(NAME.kernel) + nonzero(NAME[0].bias) ** 2 < dense_parameters",
    "const NAME = [NAME, NAME, 2 ** 9]",
    "const NAME = NAME + NAME",
    "block Again(n: int = 3) { input x; output y = x -> Again(n) }",
    "block One { input x; output y = x -> Two() }\nblock Two { input x; output y = x -> One() }",
    "block Twice { input x; output y = x + x; output z = x }",
    "block Open(part) { input x: [..., n]; output y = x -> part }",
    "extern NAME(units: int, rate: float = 0.1) = os.system : [..., n] -> [..., units]",
    "extern Odd = a.b : [h, w, 3] -> [h * w // 0, ?]",
    'import "PATH" as NAME',
    'from "PATH" import NAME, width, Tower',
    'layer masked = Dense(8) zero[mask("TABLE")]',
    '## """ says \\ what it is',
    "wnet 1",
    "network Other(n: int = NAME) { input x: [n]; output y = x }",
)


def filled(snippet: str, names: Sequence[str], random: Random) -> str:
    """A snippet with names, paths and tables put in."""
    snippet = re.sub("NAME", lambda _: random.choice(names), snippet)
    snippet = re.sub("PATH", lambda _: random.choice(PATHS), snippet)
    return re.sub("TABLE", lambda _: random.choice(TABLES), snippet)


def changed(text: str, random: Random, others: Sequence[str], dictionary: Sequence[str]) -> str:
    """The text with a few changes made, as a writer might make them, or someone who means harm."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        text = random.choice(CHANGES)(text, random, others, dictionary)
        if len(text) > 20_000:
            text = text[:20_000]
    return text


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text) or [""]


def _names(tokens: Sequence[str]) -> list[str]:
    return [each for each in tokens if each[:1].isalpha() or each[:1] == "_"] or ["x"]


def _span(size: int, random: Random) -> tuple[int, int]:
    start = random.randrange(size)
    return start, min(size, start + random.choice((1, 1, 1, 2, 3, 8, 30)))


def _left_out(text: str, random: Random, *_: Sequence[str]) -> str:
    tokens = _tokens(text)
    start, end = _span(len(tokens), random)
    return "".join(tokens[:start] + tokens[end:])


def _moved(text: str, random: Random, *_: Sequence[str]) -> str:
    tokens = _tokens(text)
    start, end = _span(len(tokens), random)
    at = random.randrange(len(tokens))
    return "".join(tokens[:at] + tokens[start:end] + tokens[at:])


def _exchanged(text: str, random: Random, *_: Sequence[str]) -> str:
    tokens = _tokens(text)
    one, other = random.randrange(len(tokens)), random.randrange(len(tokens))
    tokens[one], tokens[other] = tokens[other], tokens[one]
    return "".join(tokens)


def _renamed(text: str, random: Random, *_: Sequence[str]) -> str:
    """A name becomes another one, here or everywhere."""
    tokens = _tokens(text)
    names = _names(tokens)
    old, new = random.choice(names), random.choice((random.choice(names), random.choice(BREAKOUTS)))
    if random.random() < 0.5:
        return "".join(new if each == old else each for each in tokens)
    at = random.choice([at for at, each in enumerate(tokens) if each == old] or [0])
    tokens[at] = new
    return "".join(tokens)


def _number(text: str, random: Random, *_: Sequence[str]) -> str:
    tokens = _tokens(text)
    places = [at for at, each in enumerate(tokens) if each[:1].isdigit()]
    if places:
        tokens[random.choice(places)] = random.choice((*NUMBERS, str(random.randint(0, 40))))
    return "".join(tokens)


def _word(text: str, random: Random, others: Sequence[str], dictionary: Sequence[str]) -> str:
    tokens = _tokens(text)
    at = random.randrange(len(tokens))
    new = random.choice((*dictionary, *_names(tokens)))
    tokens[at : at + random.randint(0, 1)] = [f" {new} "]
    return "".join(tokens)


def _character(text: str, random: Random, *_: Sequence[str]) -> str:
    at = random.randint(0, len(text))
    return text[:at] + random.choice(ODD) + text[at + random.randint(0, 1) :]


def _string(text: str, random: Random, *_: Sequence[str]) -> str:
    tokens = _tokens(text)
    places = [at for at, each in enumerate(tokens) if each[:1] == '"' or each[:1].isdigit()]
    if places:
        paths = (f'"{path}"' for path in (random.choice(PATHS), random.choice(TABLES)))
        tokens[random.choice(places)] = random.choice((*BREAKOUTS, *paths))
    return "".join(tokens)


def _statement(text: str, random: Random, *_: Sequence[str]) -> str:
    """A statement or declaration more, on a line of its own."""
    lines = text.split("\n")
    at = random.randint(0, len(lines))
    snippet = filled(random.choice(SNIPPETS), _names(_tokens(text)), random)
    return "\n".join([*lines[:at], snippet, *lines[at:]])


def _lines(text: str, random: Random, others: Sequence[str], dictionary: Sequence[str]) -> str:
    """Lines of another text among those of this one, or some of them again."""
    lines, other = text.split("\n"), random.choice((text, *others[:1], random.choice(others or (text,)))).split("\n")
    start, end = _span(len(other), random)
    at = random.randint(0, len(lines))
    return "\n".join([*lines[:at], *other[start:end], *lines[at:]])


def _deeper(text: str, random: Random, *_: Sequence[str]) -> str:
    """A piece inside many brackets, or behind many signs, or many times."""
    tokens = _tokens(text)
    start, end = _span(len(tokens), random)
    piece, count = "".join(tokens[start:end]), random.choice((2, 5, 20, 148, 152, 400))
    ways: tuple[Callable[[], str], ...] = (
        lambda: "(" * count + piece + ")" * count,
        lambda: "[" * count + piece + "]" * count,
        lambda: "-" * count + piece,
        lambda: " not " * count + piece,
        lambda: piece + " + 1" * count,
        lambda: piece + " -> relu" * count,
        lambda: piece + "[0]" * count,
        lambda: piece + ".T" * count,
        lambda: piece + " ** 2" * count,
        lambda: piece + " if true else 1" * count,
        lambda: "\nif true {\n" * min(count, 32) + piece + "\n}" * min(count, 32),
        lambda: "\nfor q in [1] {\n" * min(count, 32) + piece + "\n}" * min(count, 32),
        lambda: piece * count,
        lambda: (piece + " ") * count,
    )
    return "".join([*tokens[:start], random.choice(ways)(), *tokens[end:]])


CHANGES: tuple[Callable[[str, Random, Sequence[str], Sequence[str]], str], ...] = (
    *(_left_out, _moved, _exchanged, _renamed, _renamed, _number, _number, _word, _character, _string, _statement),
    *(_statement, _statement, _lines, _lines, _deeper),
)


# --- networks that are in order -------------------------------------------------------------------


def program(random: Random) -> str:
    """A file that uses the whole language. Most are in order: all tensors have 8 entries, or 4 times 8."""
    return _Program(random).run()


ANNOTATIONS = (
    *(
        "symmetric",
        "skew",
        "equal",
        "zero[diagonal]",
        "zero[upper]",
        "frozen",
        "zero[where (i + j) % 2 == 1]",
        "equal[rows]",
    ),
    *(
        "zero[0, -1, (0:2, :)]",
        "fixed[(0, 0)] = 1.5",
        "equal[by (j - i) % 8]",
        "zero[band(1, 1)] via mask",
        "zero[lower(2)]",
    ),
    *(
        "symmetric via constraint",
        "zero[not blocks(2, 2)]",
        "equal(gradient=mean)",
        "zero[5:9] via initial",
        "skew via gradient",
    ),
    *("zero[where i ** 2 > 3 * j and not j == min(i, 3)]", "equal[diagonals]", "zero[(::2, 1:)]", "equal[axis 1]"),
)
FUNCTIONS = (
    "relu",
    "tanh",
    "gelu",
    "sigmoid",
    "softmax",
    "square",
    "abs",
    "exp",
    "Dropout(0.1)",
    "LayerNormalization()",
)


class _Program:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []
        self.depth = 0
        self.counter = 0
        # What is 8 here, what constructs a block or layer that gives as many tensors, and the names in one body.
        self.numbers = ["8"]
        self.blocks: list[tuple[str, int]] = []
        self.tensors: list[str] = []
        self.layers: list[str] = []
        self.kernels: list[str] = []
        self.loop = ""
        self.test, self.count = "true", "2"

    def one(self, *options: str) -> str:
        return self.random.choice(options)

    def often(self, share: float) -> bool:
        return self.random.random() < share

    def write(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def fresh(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}{self.counter}"

    # What stands beside one another in a file

    def run(self) -> str:
        self.write(self.one("wnet 1", "# A file.", "", ""))
        if self.often(0.4):
            self.write('from "library.wnet" import width, Tower, Gate')
            self.numbers.append("width")
            self.blocks += [("Tower(8)", 1), ("Gate(8)", 1)]
        if self.often(0.3):
            self.write('import "library.wnet" as lib')
            self.numbers.append("lib.width")
            self.blocks.append(("lib.Tower(lib.width)", 1))
        for _ in range(self.random.randrange(3)):
            name = self.fresh("size")
            self.write(self.one("", "## A size.", "# A size."))
            self.write(f"const {name} = {self.eight()}")
            self.numbers.append(name)
        if self.often(0.3):
            self.write("extern Gated(units: int, rate: float = 0.5) = mine.layers.Gated : [..., n] -> [..., units]")
            self.blocks.append(("Gated(8)", 1))
        for _ in range(self.random.randrange(3)):
            self.piece()
        self.whole()
        return "\n".join(self.lines) + "\n"

    def eight(self) -> str:
        """An expression that is 8."""
        number = self.random.choice(self.numbers)
        return self.one(
            *(
                number,
                number,
                number,
                "2 ** 3",
                "len(range(8))",
                "max(1, 8)",
                "[4, 8][1]",
                "(8 if true else 3)",
                "17 // 2",
            ),
            *(f"{number} * 1", f"{number} + 0", f"sum([{number}, 0])", f"min({number}, 9)", f"({number})"),
        )

    def parameters(self) -> str:
        width = self.fresh("width")
        written = [f"{width}: int = 8"]
        self.test, self.count = "true", self.one("2", "3")
        if self.often(0.5):
            self.test = self.fresh("deep")
            written.append(f"{self.test}: bool = {self.one('true', 'false')}")
        if self.often(0.5):
            self.count = self.fresh("depth")
            written.append(f"\n    ## How often.\n    {self.count}: int = {self.random.randint(1, 4)},\n")
        self.numbers.append(width)
        return ", ".join(written)

    def piece(self) -> None:
        name, outer = self.fresh("Piece"), list(self.numbers)
        self.write(self.one("## A piece.", "# Not of the piece.", ""))
        self.write(f"block {name}({self.parameters()}) {{")
        outputs = self.random.choice((1, 1, 1, 2))
        self.body(self.one("input x", "input x: [8]", "input x: [n]"), outputs)
        self.write("}")
        self.numbers = outer
        self.blocks.append((f"{name}({self.one('', '8')})", outputs))

    def whole(self) -> None:
        self.write(f"network {self.one('Net', 'Other', 'N')}({self.parameters()}) {{")
        self.body(f"input x: [{self.numbers[-1]}]", self.random.choice((1, 1, 2, 3)))
        self.write("}")

    def body(self, first: str, outputs: int) -> None:
        self.depth += 1
        self.write(first)
        self.tensors, self.layers, self.kernels = ["x"], [], []
        for _ in range(self.random.randint(1, 8)):
            self.statement()
        for number in range(outputs):
            # A layer that no output needs can have no annotation.
            last = " -> ".join(self.layers) if number == 0 and self.layers else self.applied()
            self.write(f"output out{number} = {self.tensor()} -> {last}")
        self.depth -= 1

    # Statements

    def statement(self) -> None:
        kinds = [self.layer, self.layer, self.binding, self.binding, self.unpacked, self.assertion]
        kinds += [self.passes, self.choice] if self.depth < 3 else []
        kinds += [] if self.loop else [self.weight]
        self.random.choice(kinds)()
        if self.often(0.1):
            self.write(self.one("# a comment", "", "## of nothing"))

    def annotations(self, braces: bool = True) -> str:
        found = self.random.sample(ANNOTATIONS, self.random.choice((0, 0, 1, 1, 2)))
        if self.kernels and self.often(0.3):
            other = self.random.choice(self.kernels)
            view = self.one(".T", "", ".flip(0)", ".reshape(8, -1)", "[:, :]")
            found = [self.one(f"tie({other}{view})", f"tie(-{other})", f"tie[(0:4, :)]({other}[4:, :])")]
        text = ", ".join(found)
        if text and braces and self.often(0.2):
            return f"{{ kernel: {text}; bias: zero[0] }}"
        return text

    def constructed(self) -> str:
        """A construction that takes 8 entries and gives 8."""
        single = [text for text, outputs in self.blocks if outputs == 1]
        usual = [f"Dense({self.eight()})", f"Dense({self.eight()}, activation={self.one('relu', 'tanh')})"]
        return self.random.choice([*usual, *single])

    def applied(self) -> str:
        """What can stand after an arrow."""
        if self.layers and self.often(0.6):
            return self.random.choice(self.layers) + self.one("", "", " * 2")
        new = self.one(self.constructed(), self.constructed(), *FUNCTIONS)
        return new + (self.one("", "", " * 2", f" * {self.count}") if new[0].isupper() else "")

    def layer(self) -> None:
        value, name = self.constructed(), self.fresh("layer_")
        path = f"{name}[{self.loop}]" if self.loop else name
        self.write(f"layer {path} = {value} {self.annotations() if value.startswith('Dense') else ''}".rstrip())
        if self.loop:
            self.bind(f"{self.tensor()} -> {path}")
            return
        self.layers.append(path)
        if value.startswith("Dense"):
            self.kernels.append(f"{path}.kernel")

    def weight(self) -> None:
        name = self.fresh("weight_")
        start = self.one("", " = HeNormal(seed=1)", " = Zeros()")
        self.write(f"weight {name}: [8, {self.eight()}]{start} {self.annotations(braces=False)}".rstrip())
        self.kernels.append(name)

    def bind(self, value: str) -> None:
        bound = [each for each in self.tensors if each != "x"]
        name = self.random.choice(bound) if bound and self.often(0.5) else self.fresh("h")
        self.write(f"{name} = {value}")
        if name not in self.tensors:
            self.tensors.append(name)

    def binding(self) -> None:
        self.bind(self.tensor())

    def tensor(self, room: int = 3) -> str:
        """An expression for a tensor of 8 entries."""
        if room == 0 or self.often(0.3):
            return self.random.choice(self.tensors)
        inner = self.tensor(room - 1)
        return self.one(
            *(f"({inner} -> {self.applied()})", f"({inner} -> {self.applied()} -> {self.applied()})", f"relu({inner})"),
            *(f"({inner} + {self.tensor(room - 1)})", f"({inner} if {self.test} else {self.tensor(room - 1)})"),
            *(f"-{inner}", f"({inner} * 0.5)", f"(({inner}, {inner}) -> Concatenate() -> Dense(8))", f"{inner} / 2"),
            f"({inner} -> Reshape([2, 4]) -> transpose(axes=[0, 2, 1]) -> Flatten())",
        )

    def unpacked(self) -> None:
        one, other = self.fresh("left"), self.fresh("right")
        several = [text for text, outputs in self.blocks if outputs == 2]
        if several and self.often(0.6):
            self.write(f"{one}, {other} = {self.tensor()} -> {self.random.choice(several)}")
            self.tensors += [one, other]
        else:
            self.write(f"{one}, {other} = {self.tensor()} -> split(2, axis=-1)")
            self.bind(f"({one}, {other}) -> Concatenate()")

    def assertion(self) -> None:
        tensor = self.random.choice(self.tensors)
        tests = ["parameters >= 0", f"shape({tensor}) == [8]", f"{self.eight()} == 8", "dense_parameters >= parameters"]
        if self.kernels:
            kernel = self.random.choice(self.kernels)
            tests += [f"free({kernel}) <= 64", f"nonzero({kernel}) >= 0 and shape({kernel})[1] == 8"]
        self.write(f"assert {self.random.choice(tests)}{self.one('', ', ' + chr(34) + 'as it must be' + chr(34))}")

    def inner(self, opening: str) -> None:
        """A body within the body; what it declares is not used behind it."""
        kept = list(self.tensors), list(self.layers), list(self.kernels)
        self.write(opening)
        self.depth += 1
        for _ in range(self.random.randint(1, 3)):
            self.statement()
        self.depth -= 1
        self.tensors, self.layers, self.kernels = kept

    def passes(self) -> None:
        outer, name = self.loop, self.fresh("i")
        values = self.one(f"range({self.count})", "range(2)", "[0, 8]", "[1, 2, 3]")
        self.loop = f"{outer}, {name}" if outer else name
        self.inner(f"for {name} in {values} {{")
        self.write("}")
        self.loop = outer

    def choice(self) -> None:
        test = self.one(self.test, f"{self.count} > 2", f"not {self.test}", f"{self.eight()} == 8 and {self.test}")
        self.inner(f"if {test} {{")
        if self.often(0.3):
            self.inner(f"}} else if {self.eight()} < 9 {{")
        if self.often(0.5):
            self.inner("} else {")
        self.write("}")
