"""`load`, `loads`, `compile`, `to_python`, `Net` and `WdslError`, as a user of the library meets them."""

from __future__ import annotations

import inspect
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import wdsl

ROOT = Path(__file__).parents[1]
SPEC = """\
## Two weights.
network First(units: int = 3, act: str = "tanh", rate: float = 0.5, flag: bool = true, sizes: list = [1, 2], free = 4) {
    input x: [4]
    layer a = Dense(units, activation=act, use_bias=flag)
    layer b = Dense(free) zero[where i >= sizes[0]]
    output y = x -> a -> Dropout(rate) -> b
}
"""
TWO = SPEC + "network Second {\n    input x: [2]\n    output y = x -> Dense(1)\n}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.wnet"
    path.write_text(SPEC, encoding="utf-8")
    return path


def codes(error: pytest.ExceptionInfo[wdsl.WdslError]) -> list[str]:
    return [each.code for each in error.value.diagnostics]


def refused(*arguments: Any, **named: Any) -> list[str]:
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.loads(*arguments, **named)
    return codes(error)


# --- load and loads -------------------------------------------------------------------------------


def test_a_net_says_what_it_is(file: Path) -> None:
    net = wdsl.load(file)
    assert net.name == "First"
    assert [(each.name, each.spec.shape, each.spec.dtype) for each in net.inputs] == [("x", (None, 4), "float32")]
    assert [(each.name, each.spec.shape) for each in net.outputs] == [("y", (None, 4))]
    assert [(each.name, each.row.name) for each in net.layers] == [("a", "Dense"), ("b", "Dense")]
    assert [(str(each.name), each.weight.shape) for each in net.weights] == [
        ("a.kernel", (4, 3)),
        ("a.bias", (3,)),
        ("b.kernel", (3, 4)),
        ("b.bias", (4,)),
    ]
    assert net.dense_parameters == 4 * 3 + 3 + 3 * 4 + 4
    assert net.parameters == net.dense_parameters - 2 * 4
    assert net.diagnostics == ()
    assert type(net.parameters) is int


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_of_every_kind(file: Path, kind: Any) -> None:
    assert wdsl.load(kind(file)).name == "First"


def test_parameters_by_keyword(file: Path) -> None:
    net = wdsl.load(file, units=5, flag=False, sizes=[3], free=2)
    assert [tuple(each.weight.shape) for each in net.weights] == [(4, 5), (5, 2), (2,)]
    assert net.parameters == 4 * 5 + 3 * 2 + 2
    assert wdsl.loads(SPEC, parameters={"units": 5}).parameters == 4 * 5 + 5 + 4 + 4
    # The values that were given are the defaults of the written function, which is the same otherwise.
    assert "units: int = 5" in net.to_python()
    assert net.to_python().split("# line")[1:] == wdsl.load(file).to_python().split("# line")[1:]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("unit", 3, "E0307"),
        ("x", 3, "E0307"),
        ("units", "3", "E0308"),
        ("units", 3.0, "E0308"),
        ("units", True, "E0308"),
        ("units", None, "E0308"),
        ("act", 3, "E0308"),
        ("flag", 1, "E0308"),
        ("sizes", 3, "E0308"),
        ("rate", "0.5", "E0308"),
        ("units", 0, "E0304"),
        ("units", -1, "E0304"),
        ("rate", 1.5, "E0304"),
        ("rate", float("nan"), "E0310"),
        ("act", "rleu", "E0304"),
        ("sizes", [], "E0310"),
        ("free", "many", "E0304"),
    ],
)
def test_wrong_parameters(name: str, value: Any, code: str) -> None:
    assert refused(SPEC, parameters={name: value}) == [code]


@pytest.mark.parametrize(
    "value", [object(), {}, b"3", 3j, [object()], [[{}]], 10**30, -(10**30), float("inf"), (1, "a")]
)
def test_parameters_of_strange_kinds(value: Any) -> None:
    """Whatever is given, there is a WdslError, or the network is as good as any."""
    for name in ("units", "act", "rate", "flag", "sizes", "free"):
        try:
            net = wdsl.loads(SPEC, parameters={name: value})
        except wdsl.WdslError as error:
            found = str(error)
        else:
            found = net.to_python()
        assert found.startswith(("\nerror[", '"""Two weights.'))


def test_a_parameter_without_a_value() -> None:
    text = "network N(units: int) {\n    input x: [2]\n    output y = x -> Dense(units)\n}\n"
    assert refused(text) == ["E0309"]
    net = wdsl.loads(text, parameters={"units": 4})
    assert net.parameters == 12
    assert "def N(units: int = 4)" in net.to_python()


def test_a_default_that_depends_on_another_parameter(python_module: Callable[..., ModuleType]) -> None:
    """A function of Python cannot say that: it is given None, and fills it in."""
    text = "network N(a: int = 4, b: int = 2 * a) {\n    input x: [a]\n    output y = x -> Dense(b)\n}\n"
    assert wdsl.loads(text).parameters == 5 * 8
    assert wdsl.loads(text, parameters={"a": 3}).parameters == 4 * 6
    assert wdsl.loads(text, parameters={"b": 3}).parameters == 5 * 3
    build = python_module(wdsl.loads(text).to_python()).N
    assert [build(*given).count_params() for given in ((), (3,), (3, 2))] == [40, 24, 8]
    refused_too = text.replace("b: int", "b: int?")
    assert refused(refused_too) == ["E0308"]


def test_a_parameter_that_is_called_as_an_index_is_in_python() -> None:
    text = "network N(l_: int = 3) {\n    input x: [4, 4, 1]\n    layer c = Conv2D(6, 3) zero[where PREDICATE]\n"
    text += "    output y = x -> c\n}\n"
    assert refused(text.replace("PREDICATE", "l < l_ + 1")) == ["E0511"]
    assert wdsl.loads(text.replace("PREDICATE", "l < 2")).parameters == 9 * 4 + 6


def test_a_parameter_that_is_called_network(tmp_path: Path) -> None:
    head = "network N(network: int = 1, path: int = 2, text: int = 3)"
    text = f"{head} {{\n    input x: [2]\n    output y = x -> Dense(path)\n}}\n"
    assert wdsl.loads(text, parameters={"network": 4, "path": 5}).parameters == 15
    (tmp_path / "n.wnet").write_text(text)
    assert wdsl.load(tmp_path / "n.wnet", path=7, text=1).parameters == 21


def test_choosing_a_network(tmp_path: Path) -> None:
    assert wdsl.loads(TWO, network="Second").parameters == 3
    assert wdsl.loads(TWO, network="First").name == "First"
    assert refused(TWO) == ["E0208"]
    assert refused(TWO, network="Secnd") == ["E0208"]
    assert refused(SPEC, network="Second") == ["E0208"]
    assert refused("") == ["E0208"]
    assert refused("# nothing\n") == ["E0208"]
    path = tmp_path / "two.wnet"
    path.write_text(TWO)
    assert wdsl.load(path, "Second").name == wdsl.load(path, network="Second").name == "Second"
    assert wdsl.to_python(path, network="Second").count("def Second(") == 1


def test_all_problems_at_once() -> None:
    text = """network N {
    input x: [4]
    layer a = Dnse(3)
    layer b = Dense(3, activaton=relu)
    layer c = Dense(-1)
    output y = x -> a -> b -> c -> dd
}
"""
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.loads(text, "here.wnet")
    assert codes(error) == ["E0301", "E0302", "E0304", "E0201"]
    places = [each.span.start for each in error.value.diagnostics]
    assert places == sorted(places)
    for piece in ("here.wnet:3:", "here.wnet:4:", "`Dense`", "`activation`", "4 errors"):
        assert piece in str(error.value)


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks(tmp_path: Path, ending: str, mark: bytes) -> None:
    plain = wdsl.loads(SPEC, "net.wnet")
    path = tmp_path / "net.wnet"
    path.write_bytes(mark + SPEC.replace("\n", ending).encode())
    net = wdsl.load(path)
    assert net.to_python().replace(str(path), "net.wnet") == plain.to_python()
    path.write_bytes(mark + SPEC.replace("Dense(units", "Dense(unitz").replace("\n", ending).encode())
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.load(path)
    (problem,) = error.value.diagnostics
    assert problem.span.text == "unitz"
    assert problem.span.line == 4


@pytest.mark.parametrize(
    ("data", "byte", "line"),
    [
        (b"\xff\xfe", "0xff", 1),
        (b"network N {\n    # \xe9\n}", "0xe9", 2),
        (SPEC.encode("utf-16"), "0xff", 1),
        (SPEC.encode() + b"\x80", "0x80", 8),
        (b"\xef\xbb\xbf# \xc3", "0xc3", 1),
    ],
)
def test_files_that_are_not_utf_8(tmp_path: Path, data: bytes, byte: str, line: int) -> None:
    path = tmp_path / "net.wnet"
    path.write_bytes(data)
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.load(path)
    (problem,) = error.value.diagnostics
    assert problem.code == "E0601"
    assert byte in problem.message
    assert problem.span.line == line
    assert str(error.value)


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b"\x00", b"\r", "\ufeff\ufeff".encode()])
def test_files_of_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.wnet"
    path.write_bytes(data)
    with pytest.raises(wdsl.WdslError):
        wdsl.load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none.wnet", "E0602"), (tmp_path, "E0604")):
        with pytest.raises(wdsl.WdslError) as error:
            wdsl.load(path)
        assert [each.code for each in error.value.diagnostics] == [code]


# --- what a net gives -----------------------------------------------------------------------------


def test_emit(file: Path) -> None:
    net = wdsl.load(file)
    for stage in wdsl.STAGES:
        text = net.emit(stage)
        assert text.endswith("\n")
        assert text == wdsl.load(file).emit(stage)
    assert net.emit("python") == net.to_python() == wdsl.to_python(file)
    with pytest.raises(ValueError, match="stage"):
        net.emit("nothing")


def test_modules_need_no_wdsl(file: Path) -> None:
    source = wdsl.load(file).to_python()
    assert "add_weight" in source
    assert "import wdsl" not in source
    assert "from wdsl" not in source


def test_compile_is_load_and_to_keras(file: Path) -> None:
    import keras

    model = wdsl.compile(file, units=2, flag=False)
    assert isinstance(model, keras.Model)
    assert model.name == "First"
    assert model.count_params() == wdsl.load(file, units=2, flag=False).parameters
    path = file.with_name("two.wnet")
    path.write_text(TWO)
    assert wdsl.compile(path, network="Second").count_params() == 3
    with pytest.raises(wdsl.WdslError):
        wdsl.compile(file, units=0)


def test_a_net_is_a_value(file: Path) -> None:
    net = wdsl.load(file)
    with pytest.raises(AttributeError):
        net.network = None  # type: ignore[misc]
    before = net.to_python()
    parameters = net.network.values
    parameters["units"] = 77
    assert net.network.values["units"] == 3
    assert net.to_python() == before


def test_errors_are_ordinary_exceptions() -> None:
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.loads("network")
    assert isinstance(error.value, Exception)
    assert error.value.diagnostics
    assert str(error.value) == str(wdsl.WdslError(error.value.diagnostics))
    copy = pickle.loads(pickle.dumps(error.value))
    assert str(copy) == str(error.value)


def test_threads_do_not_disturb_each_other() -> None:
    """Each gets the network of its own text."""
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        text = SPEC.replace("First", f"Net{number}").replace("units: int = 3", f"units: int = {number + 1}")
        found[number] = [wdsl.loads(text) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, nets in found.items():
        assert {net.name for net in nets} == {f"Net{number}"}
        assert {net.parameters for net in nets} == {4 * (number + 1) + (number + 1) + 4 + 4}
    assert len(found) == 6


def test_everything_public_is_documented_and_typed() -> None:
    assert (Path(wdsl.__file__).parent / "py.typed").exists()
    for name in wdsl.__all__:
        value = getattr(wdsl, name)
        if inspect.isfunction(value):
            assert value.__doc__
            signature = inspect.signature(value)
            assert signature.return_annotation is not inspect.Signature.empty
            assert all(each.annotation is not inspect.Parameter.empty for each in signature.parameters.values())
        elif inspect.isclass(value):
            assert value.__doc__


def test_without_keras_a_live_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"pip install 'wdsl\[tensorflow\]'"):
        wdsl.loads(SPEC).to_keras()


def test_functions_of_constants_and_tensors_take_tensors_by_name() -> None:
    net = wdsl.loads(
        """network Net(sizes: list = [3, 5]) {
            input x: [8]
            h = max(x=x, axis=-1, keepdims=true) + sum(x=x, axis=-1, keepdims=true)
            output y = h -> Dense(sum(sizes)) -> Dense(max(sizes))
        }"""
    )
    assert net.outputs[0].spec.shape == (None, 5)
    assert net.parameters == (1 * 8 + 8) + (8 * 5 + 5)


# --- format ---------------------------------------------------------------------------------------


def test_format() -> None:
    form = wdsl.format(SPEC)
    assert form.startswith("## Two weights.\nnetwork First(\n    units: int = 3,\n")
    assert wdsl.loads(form).emit("syntax") == wdsl.loads(SPEC).emit("syntax")
    for same in (form, SPEC.encode(), SPEC.replace("\n", "\r\n"), "\ufeff" + SPEC, "\n" + SPEC.rstrip()):
        assert wdsl.format(same) == form
    assert [wdsl.format(each) for each in ("", "\n \n", "# alone", ";")] == ["", "", "# alone\n", ""]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SPEC.replace("= Dense", "= = Dense"), ["E0101", "E0101"]),
        (SPEC.encode() + b"\xff", ["E0601"]),
        ("wnet 99", ["E0104"]),
        ("## of nothing\nnetwork", ["E0101"]),
    ],
)
def test_format_says_what_is_wrong(text: str | bytes, found: list[str]) -> None:
    with pytest.raises(wdsl.WdslError) as error:
        wdsl.format(text, "net.wnet")
    assert codes(error) == found
    assert {each.span.source.name for each in error.value.diagnostics} == {"net.wnet"}
