"""What one does with a model does the same with one of a written module: verify, freeze, read and assign weights."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import wdsl
from wdsl.tools.cli import main

Array = np.ndarray[Any, Any]
X = np.random.default_rng(0).normal(size=(3, 5, 6)).astype("float32")

TEXT = """
const two = 2
network Net(reach: int = 1, lambda: int = 4, units: int = 3) {
    input x: [5, 6]
    layer narrow = Dense(6, kernel_regularizer=L2(0.1)) {
        kernel: zero[where abs(i - j) > reach], equal[by (j - i + lambda) * two]
        bias: equal(gradient=mean)
    }
    layer wired = Dense(6) zero[mask("wires.csv")], fixed[(0, 1)] = 0.3
    layer mirrored = Dense(6) tie(mirrored.kernel.flip(1)), zero[where i > units]
    layer moved = Dense(6) symmetric via gradient, fixed[diagonal] = 0.1 via mask { bias: zero[0] via initial }
    layer kept = Dense(6, use_bias=false) skew via constraint
    layer still = Dense(6) { kernel: frozen, symmetric; bias: frozen }
    layer norm = BatchNormalization() { gamma: equal }
    layer timed = TimeDistributed(Dense(6)) skew
    layer attend = MultiHeadAttention(2, 3) { query.kernel: tie(key.kernel); value.kernel: zero[where i > units] }
    layer encode = Dense(4)
    layer decode = Dense(6) tie(encode.kernel.T)
    layer half = Dense(3) tie[(0:2, :)](-0.5 * encode.kernel[0:2, 0:3]) { bias: frozen }
    layer wide = Dense(6) tie[(:, 0:3)](shared)
    weight shared: [3, 3] = GlorotUniform()
    layer both = Bidirectional(LSTM(3)) { forward.recurrent_kernel: equal[by j // 3]; forward.bias: frozen }
    layer read = GRU(4, return_sequences=true) { recurrent_kernel: zero[where i > j % lambda]; bias: zero[0] }
    h = x -> narrow -> wired -> mirrored -> moved -> kept -> still -> norm -> timed
    output y = attend(h, h) -> encode -> decode -> half -> wide -> read -> both
}
"""
WIRES = "\n".join(",".join("10"[(i * j) % 4 < 2] for j in range(6)) for i in range(6)) + "\n"


class Built(NamedTuple):
    """The same network as a live model and of a written module, with the same weights, and with fit for three steps."""

    net: wdsl.Net
    module: ModuleType
    live: Any
    model: Any


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    (folder / "wires.csv").write_text(WIRES)
    (folder / "net.wnet").write_text(TEXT)
    return folder


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    import importlib.util

    net = wdsl.load(folder / "net.wnet")
    (folder / "net.py").write_text(net.to_python())
    found = importlib.util.spec_from_file_location("net", folder / "net.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    models = []
    for build in (net.to_keras, module.Net):
        keras.utils.set_random_seed(3)
        models.append(build())
    for model in models:
        model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
        model.train_on_batch(X, np.ones((3, 6), "float32"))
    return Built(net, module, *models)


def test_the_module_has_classes_and_no_runtime(built: Built) -> None:
    assert not hasattr(built.module, "index_map")


def test_verify_finds_what_it_finds_in_the_live_model(built: Built) -> None:
    one, other = wdsl.verify(built.live), wdsl.verify(built.model)
    assert one.ok
    assert other.ok
    # A class writes `shape[0]` where the live model has the number.
    said = [[each.replace(equation="") for each in report.findings] for report in (one, other)]
    assert said[0] == said[1]
    assert any("wires.csv" in each.equation for each in other.findings)
    assert {each.weight for each in other.findings} >= {"attend.value.kernel", "read.recurrent_kernel", "timed.kernel"}


@pytest.mark.parametrize(("name", "where", "number"), [("narrow", 0, 0), ("moved", 0, 1), ("kept", 0, 1)])
def test_weights_that_were_tampered_with(built: Built, name: str, where: int, number: int) -> None:
    """What is stored is set: free numbers may be any, and so may what a constraint keeps; a gradient cannot help it."""
    layer = built.model.get_layer(name)
    before = layer.get_weights()
    changed = [each.copy() for each in before]
    changed[where].flat[number] += 1
    layer.set_weights(changed)
    broken = {each.weight for each in wdsl.verify(built.model).findings if not each.ok}
    layer.set_weights(before)
    assert broken == ({"moved.kernel"} if name == "moved" else set())


def test_a_class_that_does_not_do_what_it_says(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = built.model.get_layer("wired")
    where = layer.where.copy()
    where[1, 2] = 0
    monkeypatch.setattr(layer, "where", where)
    assert [each.weight for each in wdsl.verify(built.model).findings if not each.ok] == ["wired.kernel"]


@pytest.mark.parametrize(
    "said", ["kernel: symetric", "kernel: zero[where i > ", "kernel: zero[mask('none')]", "kernel: tie(a)"]
)
def test_annotations_that_cannot_be_read(built: Built, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(type(built.model.get_layer("timed")), "structure", (said,))
    monkeypatch.setattr(type(built.model.get_layer("wired")), "structure", (said,))
    with pytest.raises(ValueError, match="what the class of layer 'wired' says of its weights cannot be read"):
        wdsl.verify(built.model)


def test_effective_weights(built: Built) -> None:
    live, written = wdsl.effective_weights(built.live), wdsl.effective_weights(built.model, X)
    assert list(live) == list(written)
    for name, array in live.items():
        np.testing.assert_array_equal(array, written[name], name)
        assert array.dtype == written[name].dtype


def test_assign(built: Built) -> None:
    rng = np.random.default_rng(5)
    arrays = {str(each.name): rng.uniform(0.5, 1.5, each.weight.shape) for each in built.net.weights}
    start = wdsl.project(built.net, arrays)
    before = built.live.get_weights(), built.model.get_weights()
    for model in (built.live, built.model):
        wdsl.assign(model, start)
        for name, array in wdsl.effective_weights(model).items():
            np.testing.assert_array_equal(array, start[name], name)
    for one, other in zip(built.live.get_weights(), built.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    start["mirrored.kernel"][0, 0] += 1
    with pytest.raises(ValueError, match=r"`mirrored.kernel` does not obey its annotations"):
        wdsl.assign(built.model, start)
    with pytest.raises(ValueError, match=r"has no weight `encode.kernl`: did you mean `encode.kernel`\?"):
        wdsl.assign(built.model, {"encode.kernl": np.zeros((6, 4))})
    for model, arrays_ in zip((built.live, built.model), before, strict=True):
        model.set_weights(arrays_)


def test_freeze(built: Built) -> None:
    for keep_products in (True, False):
        frozen = wdsl.freeze(built.model, keep_products)
        np.testing.assert_array_equal(frozen(X), built.model(X))
        assert "Net>" not in frozen.to_json()
    kinds = {layer.name: type(layer).__module__.split(".")[0] for layer in frozen.layers}
    assert set(kinds.values()) == {"keras"}
    assert not any(hasattr(each, "structure") for each in frozen._flatten_layers())


def test_frozen_models_count_as_called(built: Built) -> None:
    """Without ONNX's packages that is what its export says first of a model that was never called."""
    assert wdsl.freeze(built.model)._called


@pytest.mark.parametrize("kind", ["live", "written"])
def test_models_around_models(kind: str, python_module: Callable[..., ModuleType]) -> None:
    net = wdsl.loads("""
    network Net {
        input x: [5, 6]
        layer mix = Dense(6) symmetric
        layer encode = Dense(4)
        layer decode = Dense(6) tie(encode.kernel.T)
        output y = x -> mix -> encode -> decode
    }
    """)
    inner = net.to_keras() if kind == "live" else python_module(net.to_python()).Net()
    x = keras.Input((5, 6))
    deeper = keras.Model(x, inner(keras.layers.Dense(6)(x)))
    stacked = keras.Sequential([inner, keras.layers.Dense(3)])
    stacked_on_input = keras.Sequential([keras.Input((5, 6)), inner, keras.layers.Dense(3)])

    class Around(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def call(self, x: Any) -> Any:
            return self.inner(x)

    around = Around()
    effective = wdsl.effective_weights(inner)
    findings = wdsl.verify(inner)
    for model in (deeper, stacked, stacked_on_input, around):
        found = wdsl.effective_weights(model)
        assert list(found) == list(effective)
        assert all((found[name] == effective[name]).all() for name in found)
        assert wdsl.verify(model) == findings
        wdsl.assign(model, {"decode.bias": np.arange(6.0)})
        np.testing.assert_array_equal(inner.get_layer("decode").bias.numpy(), np.arange(6.0))
        inner.get_layer("decode").bias.assign(np.zeros(6))
    for model in (deeper, stacked, stacked_on_input):
        want = np.asarray(model(X))
        frozen = wdsl.freeze(model, keep_products=False)
        np.testing.assert_array_equal(frozen(X), want)
        assert "Net>" not in frozen.to_json()
        assert "wdsl" not in frozen.to_json()
    with pytest.raises(ValueError, match=r"Around .* is no functional model"):
        wdsl.freeze(around)


def test_a_layer_of_a_written_class_anywhere(built: Built) -> None:
    """What a person does with a class that they own."""
    x = keras.Input((7, 5, 6))
    kept = built.module.Kept(6, use_bias=False)
    model = keras.Model(x, keras.layers.TimeDistributed(kept, name="each")(x))
    assert list(wdsl.effective_weights(model)) == ["each.kernel"]
    assert [each.weight for each in wdsl.verify(model).findings] == ["each.kernel"]
    frozen = wdsl.freeze(model)
    given = np.random.default_rng(2).normal(size=(2, 7, 5, 6))
    np.testing.assert_array_equal(frozen(given), model(given))
    assert "Net>" not in frozen.to_json()


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method", "ignore:Leave '.*' out")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantize_leaves_them_alone(built: Built, mode: str) -> None:
    model = keras.models.clone_model(built.model)
    model.set_weights(built.model.get_weights())
    before = wdsl.effective_weights(model)
    model.quantize(mode)
    for name, array in wdsl.effective_weights(model).items():
        np.testing.assert_array_equal(array, before[name], name)
    assert wdsl.verify(model).ok


ELSEWHERE = """
import sys
import numpy as np
import tensorflow as tf

x, y = np.load("x.npy"), np.load("y.npy")
exported = tf.saved_model.load("exported")
found = {"exported": exported.serve(tf.constant(x)).numpy()}
import keras

sys.path.insert(0, ".")
import net

model = keras.saving.load_model("there.keras")
found["loaded"] = model(x).numpy()
clone = keras.models.clone_model(model)
clone.set_weights(model.get_weights())
found["cloned"] = clone(x).numpy()
given = keras.Input(x.shape[1:])
keras.Model(given, model(given)).save("outer.keras")
found["inside"] = keras.saving.load_model("outer.keras")(x).numpy()
states = [each.numpy() for each in [*model.weights, *model.optimizer.variables]]
model.fit(x, y, verbose=0)
model.save_weights("resumed.weights.h5")
assert not any(name.split(".")[0] == "wdsl" for name in sys.modules)
np.savez("found.npz", **found)
np.savez("states.npz", *states)
"""


def test_a_new_process_that_has_the_module_alone(built: Built, folder: Path) -> None:
    """Exported, it needs not even that. The live model loads what was trained on there."""
    model = built.module.Net()
    model.compile(keras.optimizers.AdamW(0.01), "mse")
    y = np.ones((3, 6), "float32")
    model.fit(X, y, verbose=0)
    expected = model(X)
    model.save(folder / "there.keras")
    model.export(folder / "exported", verbose=False)
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", y)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", ELSEWHERE]
    ran = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    with np.load(folder / "found.npz") as found:
        assert {*found} == {"exported", "loaded", "cloned", "inside"}
        for name, array in found.items():
            if name == "exported":  # TensorFlow may compute a graph in another order
                np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6, err_msg=name)
            else:
                np.testing.assert_array_equal(array, expected, name)
    with np.load(folder / "states.npz") as states:
        for one, other in zip(states.values(), [*model.weights, *model.optimizer.variables], strict=True):
            np.testing.assert_array_equal(one, other)
    live = built.net.to_keras()
    live.load_weights(folder / "resumed.weights.h5")
    assert wdsl.verify(live).ok
    assert (live.get_layer("kept").get_weights()[0] != model.get_layer("kept").get_weights()[0]).any()


@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16", "bfloat16"])
def test_other_precisions(dtype: str, python_module: Callable[..., ModuleType]) -> None:
    net = wdsl.loads(f"""
    network Precise {{
        input x: [4]
        layer a = Dense(4, use_bias=false, dtype="{dtype}") skew
        layer b = Dense(3, use_bias=false, dtype="{dtype}") tie(-0.3 * a.kernel[:, 1:])
        output y = x -> a -> b
    }}
    """)
    live, model = net.to_keras(), python_module(net.to_python()).Precise()
    start = wdsl.project(net, {"a.kernel": np.random.default_rng(1).normal(size=(4, 4))})
    for each in (live, model):
        wdsl.assign(each, start)
    one, other = wdsl.effective_weights(live), wdsl.effective_weights(model)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
        assert one[name].dtype == other[name].dtype
    assert wdsl.verify(live) == wdsl.verify(model)
    x = np.random.default_rng(2).normal(size=(2, 4))
    np.testing.assert_array_equal(wdsl.freeze(model)(x), model(x))


def test_command(built: Built, folder: Path) -> None:
    """The module is what Keras has to know; in a new process, as here, it is given to the command."""
    path = folder / "model.keras"
    built.model.save(path)
    ran = CliRunner().invoke(main, ["verify", str(path), "--module", str(folder / "net.py")])
    assert (ran.exit_code, ran.stdout) == (0, f"{wdsl.verify(built.model)}\n"), ran.stderr
    objects = keras.saving.get_custom_objects()
    known = {name: objects.pop(name) for name in [*objects] if name.startswith("Net>")}
    try:
        ran = CliRunner().invoke(main, ["verify", str(path)])
    finally:
        objects.update(known)
    assert ran.exit_code == 2
    assert "has a layer of class" in ran.stderr
    assert "--module net.py" in ran.stderr
    (folder / "broken.py").write_text("1 / 0\n")
    ran = CliRunner().invoke(main, ["verify", str(path), "--module", str(folder / "broken.py")])
    assert ran.exit_code == 2
    assert "broken.py cannot be run: ZeroDivisionError" in ran.stderr
