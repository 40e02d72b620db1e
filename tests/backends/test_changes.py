"""What Keras can do to weights beside training them: written classes keep their structure, or refuse in words.

As tests/runtime/test_combinations.py has it of live models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import dtype_policies, layers

import wdsl

TEXT = """
network Changed {
    input x: [5, 8]
    layer mix = Dense(8) symmetric
    layer shift = Dense(8) { bias: equal }
    layer map = EinsumDense("abc,cd->abd", [none, 8]) zero[diagonal]
    layer slide = Conv1D(8, 3, padding="same") zero[(0, :, :)]
    layer level = LayerNormalization() { gamma: equal }
    layer timed = TimeDistributed(Dense(8)) skew
    layer attend = MultiHeadAttention(2, 4) { query.kernel: tie(key.kernel); value.kernel: zero[where i > 2] }
    layer encode = Dense(4)
    layer decode = Dense(8) tie(encode.kernel.T)
    layer plain = Dense(8)
    h = x -> mix -> shift -> map -> slide -> level -> timed
    output y = attend(h, h) -> encode -> decode -> plain
}
"""
X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
MODES = ("int8", "int4", "float8")
CHANGED = ("mix", "shift", "map", "timed", "attend", "encode", "decode")
"""The layers with structure that Keras would quantize, or layers in them."""


@pytest.fixture(scope="module")
def module(python_module: Callable[..., ModuleType]) -> ModuleType:
    return python_module(wdsl.loads(TEXT).to_python())


def written(module: ModuleType) -> Any:
    keras.utils.set_random_seed(1)
    return module.Changed()


def refusal(name: str) -> str:
    return f"Leave '{name}' out, by `filters` or `dtype`: it has structure."


@pytest.mark.parametrize("mode", MODES)
def test_quantizing_a_model_leaves_structure_alone(module: ModuleType, mode: str, tmp_path: Path) -> None:
    """Keras skips what cannot be quantized, and warns; the rest it quantizes as ever."""
    model, before = written(module), written(module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.quantize(mode)
    said = {str(each.message) for each in caught}
    assert {refusal(name) for name in CHANGED} <= said
    assert refusal("plain") not in said
    assert model.get_layer("plain").quantization_mode == mode
    with_structure = [each for each in model.layers if each.name != "plain"]
    assert {each.quantization_mode for layer in with_structure for each in layer._flatten_layers()} == {None}
    one, other = (keras.Model(each.input, each.get_layer("decode").output) for each in (model, before))
    np.testing.assert_array_equal(one(X), other(X))
    effective = wdsl.effective_weights(before)
    assert all((value == effective[name]).all() for name, value in wdsl.effective_weights(model).items())
    assert wdsl.verify(model).ok
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(X), model(X))


@pytest.mark.parametrize("name", CHANGED)
def test_layers_are_neither_quantized_nor_extended(module: ModuleType, name: str) -> None:
    layer = written(module).get_layer(name)
    holders = [each for each in layer._flatten_layers() if isinstance(each, layers.Dense | layers.EinsumDense)]
    assert holders
    for each in holders:
        with pytest.raises(NotImplementedError) as refused:
            each.quantize("int8")
        assert str(refused.value) == refusal(name)
        with pytest.raises(NotImplementedError) as refused:
            each.dtype_policy = "int8_from_float32"
        assert str(refused.value) == refusal(name)
        if name != "shift":
            with pytest.raises(NotImplementedError) as refused:
                each.enable_lora(2, 4)
            assert str(refused.value) == refusal(name)
            assert not each.lora_enabled


def test_lora_of_a_convolution_is_refused(module: ModuleType) -> None:
    with pytest.raises(NotImplementedError) as refused:
        written(module).get_layer("slide").enable_lora(1)
    assert str(refused.value) == refusal("slide")


def test_lora_beside_another_weight_with_structure(python_module: Callable[..., ModuleType]) -> None:
    """It adds to the kernel alone; a bias with structure does not mind, and the live model has the same weights."""
    net = wdsl.loads("""
        network Net {
            input x: [4]
            layer a = Dense(3, lora_rank=2) { bias: equal }
            output y = x -> a
        }
    """)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    models = []
    for build in (net.to_keras, python_module(net.to_python()).Net):
        keras.utils.set_random_seed(1)
        models.append(build())
        models[-1].compile(keras.optimizers.SGD(0.5), "mse")
        for _ in range(2):
            models[-1].train_on_batch(x, y)
    live, model = models
    assert model.get_layer("a").lora_kernel_b.numpy().any()
    for one, other in zip(live.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    (bias,) = wdsl.effective_weights(model).values()
    assert len(set(bias)) == 1
    assert bias[0] != 0


@pytest.mark.filterwarnings("ignore:.*quantiz")
@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_calibrated_quantization_is_refused_unless_it_leaves_structure_out(
    mode: str, python_module: Callable[..., ModuleType]
) -> None:
    module = python_module(
        wdsl.loads("""
        network Block {
            input x: [8, 8]
            layer mix = Dense(8) symmetric
            layer plain = Dense(8)
            output y = x -> mix -> plain
        }
        """).to_python()
    )
    make = {"gptq": keras.quantizers.GPTQConfig, "awq": keras.quantizers.AWQConfig}[mode]

    def built() -> tuple[Any, Any, Any]:
        tokens = keras.Input((8,), dtype="int32")
        embed, block = layers.Embedding(20, 8), module.Block()
        config = make(
            dataset=[np.arange(64)[None] % 20],
            tokenizer=lambda text: text,
            num_samples=2,
            sequence_length=8,
            group_size=-1,
            quantization_layer_structure={"pre_block_layers": [embed], "sequential_blocks": [block]},
        )
        return keras.Model(tokens, block(embed(tokens))), block, config

    model, block, config = built()
    with pytest.raises(ValueError, match="Leave 'mix' out, by `filters`"):
        model.quantize(mode, config=config)
    model, block, config = built()
    before = wdsl.effective_weights(block)["mix.kernel"]
    model.quantize(mode, config=config, filters="plain")
    assert block.get_layer("plain").quantization_mode == mode
    np.testing.assert_array_equal(wdsl.effective_weights(block)["mix.kernel"], before)
    assert np.isfinite(model(np.arange(16).reshape(2, 8))).all()


QUANTIZED = {
    "Dense": "Dense(8) symmetric",
    "bias": "Dense(8) { bias: equal }",
    "EinsumDense": 'EinsumDense("abc,cd->abd", [none, 8]) zero[diagonal]',
    "tied": "Dense(8) tie(b.kernel)\n    layer b = Dense(8)",
    "Embedding": "Embedding(8, 8) symmetric",
    "TimeDistributed": "TimeDistributed(Dense(8)) skew",
    "MultiHeadAttention": "MultiHeadAttention(2, 4) { query.kernel: zero[where i > 2] }",
}


@pytest.fixture
def policy() -> Any:
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("case", "mode"),
    # Keras has no embeddings in float8.
    [(case, mode) for case in QUANTIZED for mode in MODES if (case, mode) != ("Embedding", "float8")],
)
def test_a_quantized_policy_is_refused(
    case: str, mode: str, policy: Callable[[str], None], python_module: Callable[..., ModuleType]
) -> None:
    call = {"tied": "x -> b -> a", "MultiHeadAttention": "a(x, x)"}.get(case, "x -> a")
    kind = "int32[5]" if case == "Embedding" else "[5, 8]"
    net = wdsl.loads(f"network Q {{\n    input x: {kind}\n    layer a = {QUANTIZED[case]}\n    output y = {call}\n}}\n")
    module = python_module(net.to_python())
    policy(f"{mode}_from_float32")
    with pytest.raises(NotImplementedError, match=r"Leave '.' out, by `filters` or `dtype`: it has structure\."):
        module.Q()


def test_a_map_of_policies(module: ModuleType, policy: Callable[[Any], None]) -> None:
    """Each layer has its own: half precision for one, a quantized one for what has no structure."""
    policies = dtype_policies.DTypePolicyMap(default_policy="float32")
    policies["mix"] = dtype_policies.DTypePolicy("mixed_bfloat16")
    policies["plain"] = dtype_policies.get("int8_from_float32")
    policy(policies)
    model = module.Changed()
    layer = model.get_layer("mix")
    assert layer.compute_dtype == "bfloat16"
    assert {each.dtype for each in layer.weights} == {"float32"}
    assert model.get_layer("plain").quantization_mode == "int8"
    effective = wdsl.effective_weights(model)
    assert effective["mix.kernel"].dtype == "float32"
    assert (effective["mix.kernel"] == effective["mix.kernel"].T).all()
    assert wdsl.verify(model).ok
    plain = layers.Dense(8, dtype="mixed_bfloat16")
    plain.build((None, 8))
    plain.kernel.assign(effective["mix.kernel"])
    np.testing.assert_array_equal(layer(X), plain(X))
