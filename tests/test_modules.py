"""What stands beside networks: imports of files, constants, and classes of layers from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import wdsl
from wdsl.text import rendering
from wdsl.tools import cli

NET = "network Net {{\n    input x: [8]\n    output y = x -> Dense({})\n}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write({"a.wnet": "…"})` writes files into `project/nets`, and gives the path of the first."""
    nets = tmp_path / "project" / "nets"
    nets.mkdir(parents=True)

    def files(texts: dict[str, str]) -> Path:
        for name, text in texts.items():
            (nets / name).parent.mkdir(parents=True, exist_ok=True)
            (nets / name).write_text(text, encoding="utf-8")
        return nets / next(iter(texts))

    return files


def codes(path: Path, **named: Any) -> list[str]:
    return [each.code for each in wdsl.check(path, **named)]


def units(path: Path, **named: Any) -> int:
    size = wdsl.load(path, **named).outputs[0].spec.shape[-1]
    assert size is not None
    return size


# --- constants ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declarations", "value", "result"),
    [
        ("const width = 64", "width", 64),
        ("const a = 2 ** 3; const b = a + 1; const c = [a, b]", "c[1] * len(c)", 18),
        ("const wide = true; const width = 12 if wide else 3 // 0 + 1", "width", None),
        ("const wide = false; const width = 12 if not wide and true else 3", "width", 12),
        ("const widths = [[1, 2], [3, 4]]", "widths[1][-1]", 4),
        ("const widths = range(3, 9, 2)", "max(widths) + min(widths)", 10),
        ('const word = "abc" + "d"', "len(word)", 4),
        ("const low = -round(2.6)", "abs(low)", 3),
        ("const a = [3, 4, 5][1:]; const b = a * 2 + [1]", "sum(b) + len(b)", 24),
        ('const a = 3 in [1, 3] and "b" in "abc" and 4 not in [1]', "3 if a else 1", 3),
        ("const a = [2 ** k for k in range(5) if k != 2]", "sum(a)", 27),
        ("const a = [i * w for i, w in enumerate([5, 6, 7])]", "sum(a)", 20),
        ("const a = [[i + j for j in range(i)] for i in range(3)]", "a[2][1]", 3),
        ("const a = [x + y for x, y in zip([1, 2], [3, 4])]", "a[1]", 6),
        ("const a = reversed(sorted([3, 1, 2]))", "a[0]", 3),
        ("const a = int(log2(64)) + floor(sqrt(17)) + ceil(2.1)", "a", 13),
        ("const a = floor(10 * sin(pi / 2) + exp(0) + cos(0))", "a", 12),
        ('const a = "stage_" + str(3)', "len(a)", 7),
        ("const a = any([x > 2 for x in [1, 3]]) and all([x > 0 for x in [1, 3]])", "3 if a else 1", 3),
        ("def twice(x: int) = 2 * x; def four(x: int, y: int = twice(1)) = twice(x) + twice(y)", "four(1, y=3)", 8),
        ("def divisible(v: float, by: int = 8) = max(by, floor(v + by / 2) // by * by)", "divisible(24 * 1.4)", 32),
    ],
)
def test_constants(write: Callable[..., Path], declarations: str, value: str, result: int | None) -> None:
    path = write({"net.wnet": f"{declarations}\n{NET.format(value)}"})
    if result is None:
        assert codes(path) == ["E0310"]
    else:
        assert units(path) == result


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("const a = [k for k in 3]", "E0310"),
        ("const b = 3; const a = [b for b in [1]]", "E0202"),
        ("const a = [x for x, y in [[1, 2], [3]]]", "E0310"),
        ("const a = 3 in 4", "E0310"),
        ("const a = [1] * 0.5", "E0310"),
        ("const a = [0] * 200_000", "E0703"),
        ("const a = sqrt(-1)", "E0310"),
        ("const a = log(0)", "E0310"),
        ("const a = exp(1e9)", "E0310"),
        ("const a = int(1e300 * 1e300)", "E0310"),
        ("const a = zip([1], [1, 2])", "E0310"),
        ('const a = sorted([1, "b"])', "E0310"),
        ("const a = [1, 2][::0]", "E0310"),
        ("const a = str([1])", "E0310"),
        ("const a = floor", "E0205"),
        ("def f(x) = x\nconst a = f", "E0205"),
        ("def f(x) = x\nconst a = f()", "E0303"),
        ("def f(x) = x\nconst a = f(1, 2)", "E0305"),
        ("def f(x) = x\nconst a = f(1, x=2)", "E0306"),
        ("def f(x) = x\nconst a = f(z=2)", "E0302"),
        ("def f(x: int) = x\nconst a = f(0.5)", "E0304"),
        ("def f(x: integer) = x", "E0308"),
        ("def f(x) = x + unknown", "E0201"),
        ("def f(x) = f(x - 1)", "E0213"),
        ("def f(x) = g(x)\ndef g(x) = x", "E0204"),
        ("def f(x, x) = x", "E0202"),
        ("def F(x) = x", "E0203"),
        ("const f = 1\ndef f(x) = x", "E0202"),
        ("def f(x) = 1 / x\nconst a = f(0)", "E0310"),
    ],
)
def test_what_is_no_constant(write: Callable[..., Path], text: str, code: str) -> None:
    assert code in codes(write({"net.wnet": text + "\n" + NET.format(3)}))


def test_functions_that_call_each_other(write: Callable[..., Path]) -> None:
    """Twenty lines for a million calls."""
    lines = ["def f0(x) = x + 1", *(f"def f{at + 1}(x) = f{at}(x) + f{at}(x)" for at in range(40))]
    assert codes(write({"net.wnet": "\n".join(lines) + "\nconst a = f40(1)\n" + NET.format("a")})) == ["E0703"]
    found = codes(write({"net.wnet": "\n".join(lines) + "\n" + NET.format("f40(1)")}))
    assert found == ["E0703"]


def test_lists_that_double_each_other(write: Callable[..., Path]) -> None:
    """Forty lines for a billion items."""
    lines = ["const a0 = [1, 2]", *(f"const a{at + 1} = [a{at}, a{at}]" for at in range(40))]
    assert codes(write({"net.wnet": "\n".join(lines) + "\n" + NET.format("len(a40)")})) == ["E0703"]
    lines = ["const a0 = [[1, 2]]", *(f"const a{at + 1} = [a{at} + a{at}]" for at in range(40))]
    assert codes(write({"net.wnet": "\n".join(lines) + "\n" + NET.format("len(a40)")})) == ["E0703"]
    parameters = ", ".join(["a0: list", *(f"a{at + 1}: list = [a{at}, a{at}]" for at in range(40))])
    block = f"block Tower({parameters}) {{ input x; output y = x }}\n"
    assert codes(write({"net.wnet": block + NET.replace("Dense({})", "Tower([1])").format()})) == ["E0703"]


def test_constants_have_their_names_in_what_is_written(write: Callable[..., Path]) -> None:
    """They are no arguments of the function: what they come to is all that is left of how they were computed."""
    text = "const half = 16 // 2\nnetwork Net(wide: int = half) {\n    input x: [half]\n"
    text += "    layer a = Dense(half * wide) zero[where i < half - 7]\n    output y = x -> a\n}\n"
    source = wdsl.load(write({"net.wnet": text})).to_python()
    assert "\nHALF = 8\n" in source
    assert "keras.Input((HALF,)" in source
    assert "def Net(wide: int = HALF)" in source
    assert "a = A(HALF * wide, " in source
    assert "live = i >= HALF - 7" in source
    assert "zero[where i < 8 - 7]" in source  # what `verify` reads has no names of the module


def test_what_a_file_declares_cannot_be_declared_in_a_network(write: Callable[..., Path]) -> None:
    for statement in ("layer width = Dense(3)", "width = x -> Dense(3)", "input width: [3]", "output width = x"):
        text = f"const width = 3\nnetwork Net {{\n    input x: [8]\n    {statement}\n    output y = x -> Dense(3)\n}}\n"
        assert "E0202" in codes(write({"net.wnet": text}))
        block = text.replace("input x: [8]", "input x").replace("network Net", "block Tower")
        block += NET.format(3).replace("x ->", "x -> Tower() ->")
        if not statement.startswith("input"):
            assert "E0202" in codes(write({"net.wnet": block}))
    assert codes(write({"net.wnet": "const width = 3\n" + NET.replace("Net", "Net(width: int = 1)").format(3)})) == [
        "E0202"
    ]
    library = "block Tower(width: int) { input x; output y = x }\nconst width = 3\n"
    assert codes(write({"net.wnet": library})) == ["E0202"]


# --- imports --------------------------------------------------------------------------------------


def test_names_of_other_files(write: Callable[..., Path]) -> None:
    path = write({
        "net.wnet": 'from "parts/sizes.wnet" import width, more\nimport "parts/sizes.wnet" as sizes\n'
        + NET.format("width + more.tiny + sizes.width + sizes.widths[0]"),
        "parts/sizes.wnet": 'import "more/sizes.wnet" as more\n'
        "const width = more.tiny * 100\nconst widths = [width, 1]\n",
        "parts/more/sizes.wnet": "const tiny = 2\n",
    })  # fmt: skip
    assert units(path) == 200 + 2 + 200 + 200


def test_a_network_and_a_block_can_be_imported_and_left_unused(write: Callable[..., Path]) -> None:
    path = write({
        "net.wnet": 'from "lib.wnet" import Net, Tower\n' + NET.replace("Net", "Own").format(2),
        "lib.wnet": "block Tower { input x; output y = x }\n" + NET.format(3),
    })  # fmt: skip
    assert codes(path) == ["W0201"]
    assert units(path) == 2


def test_blocks_of_other_files_have_the_names_of_theirs(write: Callable[..., Path]) -> None:
    """Constants, other blocks, classes, and the tables that masks are read from."""
    path = write({
        "net.wnet": 'from "parts/blocks.wnet" import Tower\nimport "parts/blocks.wnet" as blocks\n'
        "const width = 3\nblock Inner { input x; output y = x -> Dense(7) }\n"
        + NET.replace("Dense({})", "Tower(4) -> blocks.Inner() -> Inner() -> Dense(width)").format(),
        "parts/blocks.wnet": 'import "sizes.wnet" as sizes\nconst width = 5\n'
        "extern Gate(units: int) = a.b.Gate : [n] -> [units + width]\n"
        "block Inner { input x; output y = x -> Gate(sizes.two) }\n"
        'block Tower(n: int) {\n    input x\n    layer a = Dense(width) zero[mask("wiring.csv")]\n'
        "    output y = x -> a -> Inner() -> Dense(n)\n}\n",
        "parts/sizes.wnet": "const two = 2\n",
        "parts/wiring.csv": "1,1,1,0,0\n" * 8,
    })  # fmt: skip
    net = wdsl.load(path)
    assert net.outputs[0].spec.shape == (None, 3)
    assert {each.row.name: each.output for each in net.network.unnamed}["Gate"] == "[7]"
    assert next(each.free for each in net.weights if each.text) == 8 * 5 - 24
    assert "from a.b import Gate" in net.to_python()


def test_a_class_in_a_block_is_one_layer_however_often_the_block_is_applied() -> None:
    """Whether it has weights is not known, so it must be the same each time."""
    text = """
extern Gate() = a.b.Gate : [n] -> [n]
block Tower { input x; output y = x -> Gate() }
network Net {
    input x: [8]
    layer tower = Tower()
    output y = x -> tower -> tower -> Dense(2)
}
"""
    function = wdsl.loads(text).to_python().split('"""')[-1]
    assert function.count("Gate(") == 1


def test_a_network_with_the_name_of_a_class_of_keras_is_not_that_class(write: Callable[..., Path]) -> None:
    path = write({"net.wnet": NET.replace("Net", "Dense").format(3)})
    assert units(path) == 3
    assert codes(write({"net.wnet": NET.replace("Net", "block Dense { input x; output y = x }\nnetwork Net")})) != []


def test_a_file_is_read_once_under_whatever_name(write: Callable[..., Path]) -> None:
    """What is wrong with it is said once."""
    path = write({
        "net.wnet": 'import "lib.wnet" as a\nimport "./lib.wnet" as b\n'
        'import "link.wnet" as c\nimport "d/../lib.wnet" as d\n'
        + NET.format("a.width + b.width + c.width + d.width"),
        "lib.wnet": "const width = 8\n## of nothing\n",
        "d/other.wnet": "",
    })  # fmt: skip
    (path.parent / "link.wnet").symlink_to("lib.wnet")
    assert codes(path) == ["W0101"]
    assert units(path) == 32


def test_a_diamond_is_no_circle(write: Callable[..., Path]) -> None:
    path = write({
        "net.wnet": 'from "a.wnet" import a\nfrom "b.wnet" import b\n' + NET.format("a + b"),
        "a.wnet": 'from "base.wnet" import base\nconst a = base\n',
        "b.wnet": 'from "base.wnet" import base\nconst b = base\n',
        "base.wnet": "const base = 3\n",
    })  # fmt: skip
    assert units(path) == 6


def test_circles(write: Callable[..., Path]) -> None:
    path = write({
        "net.wnet": 'from "a.wnet" import width\n' + NET.format("width"),
        "a.wnet": 'from "b.wnet" import width\n',
        "b.wnet": 'from "net.wnet" import width\n',
    })  # fmt: skip
    (problem,) = wdsl.check(path)
    assert problem.code == "E0607"
    assert [Path(each.span.source.name).name for each in (problem, *problem.labels)] == ["b.wnet", "net.wnet", "a.wnet"]
    (path.parent / "link.wnet").symlink_to("net.wnet")
    for own in ("net.wnet", "./net.wnet", "link.wnet", "../nets/net.wnet"):
        assert codes(write({"net.wnet": f'from "{own}" import width\n' + NET.format("width")})) == ["E0607"]


@pytest.mark.parametrize("closed", [False, True])
def test_a_long_chain(write: Callable[..., Path], closed: bool) -> None:
    count = 1000
    texts = {f"f{at}.wnet": f'from "f{at + 1}.wnet" import width\n' for at in range(count)}
    texts[f"f{count}.wnet"] = 'from "f0.wnet" import width\n' if closed else "const width = 5\n"
    path = write({"net.wnet": 'from "f0.wnet" import width\n' + NET.format("width"), **texts})
    if not closed:
        assert units(path) == 5
        return
    (problem,) = wdsl.check(path)
    assert problem.code == "E0607"
    assert "1001 files" in problem.message
    assert len(rendering.text([problem])) < 5000


@pytest.mark.parametrize(
    "name",
    [
        "ABSOLUTE",
        "../../data/lib.wnet",
        "../../../elsewhere/secret.wnet",
        "../../../../../../../../etc/passwd",
        "nothing/../../../data/lib.wnet",
        "link.wnet",
        "dangling.wnet",
        "folder/secret.wnet",
        "/dev/zero",
        "/proc/self/environ",
        "../..",
    ],
)
def test_nothing_outside_the_root_is_read(write: Callable[..., Path], tmp_path: Path, name: str) -> None:
    path = write({
        "net.wnet": 'from "parts/lib.wnet" import width\n' + NET.format("width"),
        "parts/lib.wnet": f'from "{name}" import width\n',
        "../data/lib.wnet": "const width = 3\n",
        "../../elsewhere/secret.wnet": "const width = secret\n",
    })  # fmt: skip
    nets, elsewhere = path.parent, tmp_path / "elsewhere"
    (nets / "parts" / "link.wnet").symlink_to(elsewhere / "secret.wnet")
    (nets / "parts" / "dangling.wnet").symlink_to(elsewhere / "nothing.wnet")
    (nets / "parts" / "folder").symlink_to(elsewhere)
    (nets / "parts" / "lib.wnet").write_text(
        f'from "{name.replace("ABSOLUTE", str(nets / "net.wnet"))}" import width\n'
    )
    (problem,) = wdsl.check(path)
    assert problem.code == "E0603"
    assert "secret = " not in rendering.text([problem])
    assert Path(problem.span.source.name).name == "lib.wnet"


def test_a_root_further_up(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write({
        "net.wnet": 'from "../data/lib.wnet" import width\n' + NET.format("width"),
        "../data/lib.wnet": 'from "deep/lib.wnet" import width\n',
        "../data/deep/lib.wnet": 'from "../base.wnet" import width\n',
        "../data/base.wnet": "const width = 7\n",
    })  # fmt: skip
    assert codes(path) == ["E0603"]
    assert units(path, root=tmp_path / "project") == 7
    assert units(path, root=os.path.relpath(tmp_path / "project")) == 7
    text = path.read_text()
    assert wdsl.loads(text, str(path), root=tmp_path / "project").outputs[0].spec.shape == (None, 7)
    assert wdsl.loads(text.replace("../data", "data"), root=tmp_path / "project").outputs[0].spec.shape == (None, 7)
    with pytest.raises(wdsl.WdslError, match="E0602"):
        wdsl.loads(text)


def test_what_is_no_file_is_not_opened(write: Callable[..., Path]) -> None:
    path = write({"net.wnet": 'import "pipe.wnet" as a\nimport "folder.wnet" as b\n' + NET.format("a.width")})
    os.mkfifo(path.parent / "pipe.wnet")
    (path.parent / "folder.wnet").mkdir()
    assert codes(path) == ["E0604", "E0604"]


def test_a_file_for_others_is_in_order_by_itself(write: Callable[..., Path]) -> None:
    path = write({"lib.wnet": "const width = 8\nblock Tower { input x; output y = x }\n"})
    assert codes(path) == []
    assert codes(write({"lib.wnet": "const width = 8 // 0\n"})) == ["E0310"]
    assert codes(path, network="Net") == ["E0310", "E0208"] or codes(path, network="Net") == ["E0310"]
    with pytest.raises(wdsl.WdslError, match="E0208"):
        wdsl.loads("const width = 8\n")
    assert [each.code for each in wdsl.check(write({"empty.wnet": ""}))] == ["E0208"]


def test_reports_name_the_file(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({
        "one.wnet": 'from "parts/lib.wnet" import width\n' + NET.format("width"),
        "two.wnet": 'from "parts/lib.wnet" import width\n' + NET.format("width").replace("Net", "Two"),
        "parts/lib.wnet": "const width = 8 // 0\n",
    })  # fmt: skip
    monkeypatch.chdir(path.parents[1])
    run = CliRunner().invoke
    assert run(cli.main, ["check", "nets/one.wnet"]).stderr.splitlines()[1] == "  ┌─ nets/parts/lib.wnet:1:15"
    # Both import it, and it is itself among the files: what is wrong is said once.
    (problem,) = json.loads(run(cli.main, ["check", "nets", "--format", "json"]).stdout)
    assert problem["file"] == "nets/parts/lib.wnet"
    sarif = json.loads(run(cli.main, ["check", "nets", "--format", "sarif"]).stdout)
    (result,) = sarif["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "nets/parts/lib.wnet"


def test_a_circle_names_each_file_in_every_format(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"a.wnet": 'import "b.wnet" as b\n', "b.wnet": 'import "a.wnet" as a\n'})
    monkeypatch.chdir(path.parent)
    (problem,) = json.loads(CliRunner().invoke(cli.main, ["check", "a.wnet", "--format", "json"]).stdout)
    assert (problem["file"], problem["labels"][1]["file"]) == ("b.wnet", "a.wnet")


NAMES = st.sampled_from(["width", "Tower", "lib", "Gate", "Dense", "n"])
PATHS = st.sampled_from(["lib.wnet", "net.wnet", "none.wnet", ".", "..", "broken.wnet"])
VALUES = st.sampled_from(
    ["1", "width", "lib.width", "n + 1", "[1, 2][n]", "x -> n", "?", "Tower()", '"a" * 2', "1 / 0"]
)
SIZES = st.lists(
    st.sampled_from(["n", "units", "...", "?", "2 * n", "width", "lib.width", "-1", "m", "units[0]"]), max_size=3
)
DECLARATIONS = st.one_of(
    st.builds('import "{}" as {}'.format, PATHS, NAMES),
    st.builds('from "{}" import {}, {}'.format, PATHS, NAMES, NAMES),
    st.builds("const {} = {}".format, NAMES, VALUES),
    st.builds(
        "extern {}(units: {} = {}) = {} : [{}] -> [{}]".format,
        NAMES,
        st.sampled_from(["int", "list", "str", "Tower"]),
        VALUES,
        st.sampled_from(["a.B", "os.system", "B", "a.import"]),
        SIZES.map(", ".join),
        SIZES.map(", ".join),
    ),
    st.builds("block {} {{ input x; output y = x }}".format, NAMES),
)


@given(st.lists(DECLARATIONS, max_size=5), st.lists(DECLARATIONS, max_size=4), VALUES)
def test_whatever_is_declared(
    tmp_path_factory: pytest.TempPathFactory, own: list[str], other: list[str], value: str
) -> None:
    """There is a network or there are errors, and never anything else."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "lib.wnet").write_text("\n".join(other) + "\n")
    (folder / "broken.wnet").write_text("const width = (\nconst n = 3\n")
    use = NET.replace("Dense({})", f"Gate(units={value}) -> lib.Gate({value}) -> Dense(width)").format()
    (folder / "net.wnet").write_text("\n".join([*own, use]))
    found = wdsl.check(folder / "net.wnet")
    rendering.text(found)
    assert found
    assert len(set(found)) == len(found)


# --- classes from elsewhere -----------------------------------------------------------------------

LAYERS = """
import keras


class Gated(keras.layers.Layer):
    def __init__(self, units, activation="relu", **more):
        super().__init__(**more)
        self.units, self.activation = units, activation
        self.inner = keras.layers.Dense(units, activation)
        self.gate = keras.layers.Dense(units, "sigmoid")

    def build(self, shape):
        self.inner.build(shape)
        self.gate.build(shape)

    def call(self, x):
        return self.inner(x) * self.gate(x)

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "activation": self.activation}


@keras.saving.register_keras_serializable(__name__)
class Walk(keras.layers.GRU):
    pass


def function(x):
    return x
"""

SPEC = """
extern Gated(units: int, activation: str = "tanh") = {} : [..., n] -> [..., units]

network Net(units: int = 4) {{
    input x: [5, 8]
    layer first = Gated(2 * units)
    output y = x -> first -> Gated(3, activation="relu") -> Dense(2)
}}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of layers, by a name that no other test has imported."""
    name = f"package_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "layers.py").write_text(LAYERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_the_model_and_the_module_are_the_same(
    package: str, tmp_path: Path, python_module: Callable[..., ModuleType]
) -> None:
    import keras

    net = wdsl.loads(SPEC.format(f"{package}.layers.Gated"))
    assert f"{package}.layers" not in sys.modules
    assert net.outputs[0].spec.shape == (None, 5, 2)
    source = net.to_python()
    assert f"{package}.layers" not in sys.modules
    assert f"from {package}.layers import Gated\n" in source
    x = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
    keras.utils.set_random_seed(7)
    live = net.to_keras()
    keras.utils.set_random_seed(7)
    written = python_module(source).Net()
    outputs = [model.predict(x, verbose=0) for model in (live, written)]
    np.testing.assert_array_equal(*outputs)
    for model in (live, written):
        assert model.get_layer("first").units == 8
        # The declaration's default counts, not that of the class.
        assert model.get_layer("first").activation == "tanh"
        assert model.output_shape == (None, 5, 2)
    assert python_module(source).Net(units=6).get_layer("first").units == 12
    live.save(tmp_path / "model.keras")
    layers = sys.modules[f"{package}.layers"]
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Gated": layers.Gated})
    np.testing.assert_array_equal(again.predict(x, verbose=0), outputs[0])


INSIDE = """
extern Gated(units: int, activation: str = "tanh") = {0}.layers.Gated : [..., n] -> [..., units]
extern Last(units: int, go_backwards: bool = false) = {0}.layers.Walk : [t, n] -> [units]
extern All(u: int, return_sequences: bool = true, go_backwards: bool = false) = {0}.layers.Walk : [t, n] -> [t, u]

block Twice(units: int) {{
    input x
    output y = x -> TimeDistributed(Gated(units))
}}

network Net(units: int = 4) {{
    input x: [5, 8]
    layer each = TimeDistributed(Gated(2 * units))
    layer both = Bidirectional(All(3), backward_layer=LSTM(3, return_sequences=true, go_backwards=true)) {{
        backward.kernel: zero[0]
    }}
    layer twice = Twice(6)
    h = x -> each -> both -> twice -> twice -> Bidirectional(All(2), merge_mode=sum)
    output y = h -> Bidirectional(Last(units))
}}
"""


def test_a_class_inside_a_layer_of_keras(
    package: str, tmp_path: Path, python_module: Callable[..., ModuleType]
) -> None:
    import keras

    net = wdsl.loads(INSIDE.format(package))
    source = net.to_python()
    x = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
    keras.utils.set_random_seed(7)
    live = net.to_keras()
    keras.utils.set_random_seed(7)
    written = python_module(source).Net()
    outputs = [model.predict(x, verbose=0) for model in (live, written)]
    np.testing.assert_array_equal(*outputs)
    assert net.outputs[0].spec.shape == live.output_shape == (None, 8)
    assert python_module(source).Net(units=6).get_layer("each").layer.units == 12
    assert live.get_layer("twice_time_distributed").layer.units == 6  # one for both uses of the block
    assert wdsl.effective_weights(live)["both.backward.kernel"][0, 0] == 0
    live.save(tmp_path / "model.keras")
    layers = sys.modules[f"{package}.layers"]
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Gated": layers.Gated})
    np.testing.assert_array_equal(again.predict(x, verbose=0), outputs[0])


@pytest.mark.parametrize("network", ["Net", "Gated"])
def test_a_class_whose_name_the_module_needs(
    package: str, tmp_path: Path, python_module: Callable[..., ModuleType], network: str
) -> None:
    """It comes under another name; and a variable of that name is not in its way."""
    (tmp_path / package / "layers.py").write_text(
        LAYERS + "\n\nlayers = Symmetric = gate = Plain = Gated\nGated_ = None\n"
    )
    text = f"""
extern First(units: int) = {package}.layers.layers : [n] -> [units]
extern Second(units: int) = {package}.layers.Symmetric : [n] -> [units]
extern Third(units: int) = {package}.layers.gate : [n] -> [units]
extern Fourth(units: int) = {package}.layers.Gated : [n] -> [units]
extern Fifth(units: int) = {package}.layers.Plain : [n] -> [units]

network {network} {{
    input x: [8]
    layer gate = Third(3)
    layer even = Dense(3) symmetric
    output y = x -> First(4) -> Second(5) -> gate -> even -> Fifth(2) -> Fourth(6)
}}
"""
    net = wdsl.loads(text)
    source = net.to_python()
    model = getattr(python_module(source), network)()
    assert model.output_shape == net.to_keras().output_shape == (None, 6)
    path = tmp_path / "written.py"
    path.write_text(source)
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=E4,E7,E9,F,I", str(path)]
    ran = subprocess.run(ruff, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("no_such_package.layers.Gated", ImportError, "the network needs `no_such_package.layers.Gated`"),
        ("PACKAGE.other.Gated", ImportError, "No module named"),
        ("PACKAGE.layers.Gatd", ImportError, "has no `Gatd`"),
        ("PACKAGE.layers.function", TypeError, "no class of Keras layers"),
        ("builtins.dict", TypeError, "no class of Keras layers"),
        ("os.system", TypeError, "no class of Keras layers"),
    ],
)
def test_a_class_that_is_not_there(package: str, path: str, error: type[Exception], said: str) -> None:
    net = wdsl.loads(SPEC.format(path.replace("PACKAGE", package)))
    assert net.to_python()
    with pytest.raises(error, match=said):
        net.to_keras()


def test_checking_and_building_import_nothing(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "layers.py").write_text("raise SystemExit('imported')\n")
    path = tmp_path / "net.wnet"
    path.write_text(SPEC.format(f"{package}.layers.Gated"))
    for command in (["check"], ["build", "-o", "-"], ["summary"]):
        ran = CliRunner().invoke(cli.main, [command[0], str(path), *command[1:]])
        assert (ran.exit_code, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "path",
    [
        "a.b;c.D",
        'a."b".D',
        "a.b().D",
        "a..D",
        "a.b.D as E",
        "a.b.*",
        "a\\\n.D",
        "a.1b.D",
        "a.ö.D",
        "a.lambda.D",
        "a.None",
        "",
    ],
)
def test_a_path_that_is_no_path(path: str) -> None:
    with pytest.raises(wdsl.WdslError):
        wdsl.loads(SPEC.format(path))


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(1, 5)), min_size=1, max_size=4, unique_by=lambda one: one[0]
    ),
    st.lists(st.one_of(st.none(), st.integers(1, 4)), max_size=3),
    st.booleans(),
    st.integers(1, 7),
    st.randoms(use_true_random=False),
)
def test_shapes_by_pattern(
    named: list[tuple[str, int]], between: list[int | None], rest: bool, units: int, random: Any
) -> None:
    """Names stand for the sizes at their places, `...` for what is between; held against arithmetic on the lists."""
    at = random.randint(0, len(named)) if rest else len(named)
    takes = [name for name, _ in named]
    shape: list[int | None] = [size for _, size in named]
    if rest:
        takes.insert(at, "...")
        shape[at:at] = between
    gives: list[str] = []
    expected: list[int | None] = []
    for _ in range(random.randint(0, 4)):
        name, size = random.choice(named)
        text, value = random.choice([
            (name, size),
            (f"{name} * 2 + 1", size * 2 + 1),
            ("units", units),
            (f"max({name}, units)", max(size, units)),
            ("?", None),
            ("side", 9),
            ("3", 3),
        ])  # fmt: skip
        gives.append(text)
        expected.append(value)
    if rest and random.random() < 0.7:
        position = random.randint(0, len(gives))
        gives.insert(position, "...")
        expected[position:position] = between
    if not gives:
        return
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    net = wdsl.loads(
        f"const side = 9\nextern Any(units: int) = a.B : [{', '.join(takes)}] -> [{', '.join(gives)}]\n"
        f"network Net(u: int = {units}) {{\n    input x: [{sizes}]\n    output y = x -> Any(u)\n}}\n"
    )
    assert net.outputs[0].spec.shape == (None, *expected)


def test_what_parameters_take(write: Callable[..., Path]) -> None:
    declared = (
        'extern A(n: int, x: float = 1, b: bool = true, s: str = "s", l: list = [1], a = none, dtype: str = none)'
    )
    text = declared + " = a.B : [...] -> [...]\n" + NET.replace("Dense({})", "A({})")
    good = ["1", "1, 2.5", "1, b=false", '1, s="t"', '1, l=[[1], "a", none]', "1, a=[1]", '1, a="relu"', "1, s=relu"]
    bad = ["1.5", "true", "1, x=true", "1, b=1", "1, s=rleu", "1, l=3", "1, l=(x, x)", "x"]
    bad += ["1, a=x", "1, a=Dense", "1, a=HeNormal()", "1, dtype=float17", "1, name=3"]
    for arguments in good:
        assert codes(write({"net.wnet": text.format(arguments)})) == [], arguments
    for arguments in bad:
        assert codes(write({"net.wnet": text.format(arguments)})), arguments
    net = wdsl.loads(text.format("1, dtype=float16"))
    assert net.outputs[0].spec.dtype == "float16"
    assert "A(" not in net.to_python().split('"""')[-1]
    assert 'B(1, dtype="float16", x=1, b=True, s="s", l=(1,), a=None)' in net.to_python()


def test_the_summary_says_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(SPEC.format("a.b.Gated"))
    said = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")]).stdout
    assert said.splitlines()[-1] == "8 free parameters of 8, without those of `Gated`, which are not known"
    (tmp_path / "net.wnet").write_text(INSIDE.format("a"))
    said = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")]).stdout
    lines = {line.split()[0]: line.split()[-2:] for line in said.splitlines() if line}
    assert lines["each"] == ["?", "?"]
    assert "without those of `Gated`, `All` and `Last`" in said
