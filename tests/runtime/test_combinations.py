"""What Keras can do to a layer's weights beside training them: right with structure, or refused in words."""

import warnings

import keras
import numpy as np
import pytest
from keras import dtype_policies, layers

import wdsl
from wdsl import effective_weights
from wdsl.runtime import Shared, Structured, Wrapped
from wdsl.structure import Diagonal, Equal, Flat, Symmetric, Tied, Zero

MODES = ("int8", "int4", "float8")


def normal(*shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def layer_of(name):
    if name == "Dense":
        return Structured(layers.Dense(8), {"kernel": [Symmetric(), Zero(Diagonal())]}, name="with")
    if name == "EinsumDense":
        return Structured(layers.EinsumDense("ab,bc->ac", 8, bias_axes="c"), {"kernel": [Symmetric()]}, name="with")
    if name == "Embedding":
        return Structured(layers.Embedding(8, 8), {"embeddings": [Symmetric()]}, name="with")
    if name == "bias":
        return Structured(layers.Dense(8), {"bias": [Equal()]}, name="with")
    return Wrapped(layers.MultiHeadAttention(2, 4), {"query_dense/kernel": [Zero(Flat(0))]}, name="with")


NAMES = ("Dense", "EinsumDense", "Embedding", "bias", "MultiHeadAttention")


def model_of(name):
    """A layer with structure, and a plain one behind it."""
    keras.utils.set_random_seed(1)
    layer = layer_of(name)
    if name == "MultiHeadAttention":
        x = keras.Input((3, 8))
        h = layer(x, x)
    else:
        x = keras.Input((8,), dtype="int32" if name == "Embedding" else "float32")
        h = layer(x)
    return keras.Model(x, layers.Dense(4, name="plain")(h))


def inputs_of(name):
    if name == "Embedding":
        return np.arange(16).reshape(2, 8) % 8
    return normal(2, 3, 8) if name == "MultiHeadAttention" else normal(2, 8)


def quantized(name, mode):
    model = model_of(name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.quantize(mode)
    return model, [str(each.message) for each in said]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_quantizing_a_model_leaves_structure_alone(name, mode, tmp_path):
    """Keras skips what cannot be quantized, and warns; the rest it quantizes as ever."""
    model, said = quantized(name, mode)
    before, x = model_of(name), inputs_of(name)
    assert any("`quantize` leaves layer 'with' as it is: its weights have structure" in each for each in said)
    assert model.get_layer("plain").quantization_mode == mode
    layer = model.get_layer("with")
    assert {each.quantization_mode for each in layer._flatten_layers()} == {None}
    for one, other in zip(layer.weights, before.get_layer("with").weights, strict=True):
        np.testing.assert_array_equal(one, other)
    (kernel,), (was,) = effective_weights(model).values(), effective_weights(before).values()
    np.testing.assert_array_equal(kernel, was)
    inner = keras.Model(model.input, layer.output)
    np.testing.assert_array_equal(inner(x), keras.Model(before.input, before.get_layer("with").output)(x))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))


@pytest.mark.parametrize("mode", MODES)
def test_a_tie_is_not_quantized_either(mode, tmp_path):
    x = keras.Input((8,))
    kernel = Shared((8, 8), [Symmetric()], name="own")(x)
    h = Structured(layers.Dense(8), {"kernel": [Tied()]}, name="one")(x, tied={"kernel": kernel})
    h = Structured(layers.Dense(8), {"kernel": [Tied()]}, name="two")(h, tied={"kernel": kernel})
    model, values = keras.Model(x, h), normal(2, 8)
    before = model(values).numpy()
    with pytest.warns(UserWarning, match="'two' as it is"):
        model.quantize(mode)
    np.testing.assert_array_equal(model(values), before)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(values), before)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_quantizing_a_layer_is_refused(name, mode):
    layer = model_of(name).get_layer("with")
    leaves = [each for each in layer.layer._flatten_layers() if len(list(each._flatten_layers())) == 1]
    for each in (layer, *leaves):
        with pytest.raises(NotImplementedError, match=r"structure|Structured|Wrapped"):
            each.quantize(mode)


def test_calibrated_quantization_is_refused_unless_it_leaves_structure_out():
    def model_and_config():
        keras.utils.set_random_seed(1)
        tokens, x = keras.Input((8,), dtype="int32"), keras.Input((8, 8))
        embed = layers.Embedding(20, 8)
        layer = Structured(layers.Dense(8), {"kernel": [Symmetric()]}, name="with")
        block = keras.Model(x, layers.Dense(8, name="plain")(layer(x)))
        config = keras.quantizers.GPTQConfig(
            dataset=[np.arange(64)[None] % 20],
            tokenizer=lambda text: text,
            weight_bits=4,
            num_samples=2,
            sequence_length=8,
            group_size=-1,
            quantization_layer_structure={"pre_block_layers": [embed], "sequential_blocks": [block]},
        )
        return keras.Model(tokens, block(embed(tokens))), block, config

    model, block, config = model_and_config()
    before = effective_weights(model)["with.kernel"]
    with pytest.raises(ValueError, match=r"'with' as it is.*by `filters`"):
        model.quantize("gptq", config=config)
    model, block, config = model_and_config()
    model.quantize("gptq", config=config, filters="plain")
    assert block.get_layer("plain").quantization_mode == "gptq"
    np.testing.assert_array_equal(effective_weights(model)["with.kernel"], before)
    assert np.isfinite(model(np.arange(16).reshape(2, 8))).all()


@pytest.mark.parametrize("name", ["Dense", "EinsumDense", "Embedding", "bias"])
def test_lora_is_refused(name):
    """It would add to the weight what has no structure."""
    model, x = model_of(name), inputs_of(name)
    before = model(x).numpy()
    with pytest.raises(NotImplementedError, match="`enable_lora` leaves layer 'with' as it is"):
        model.get_layer("with").layer.enable_lora(2)
    np.testing.assert_array_equal(model(x), before)
    model.get_layer("plain").enable_lora(2)
    np.testing.assert_array_equal(model(x), before)


def test_lora_of_a_convolution_is_refused():
    layer = Structured(layers.Conv2D(3, 2), {"kernel": [Equal()]}, name="with")
    layer(normal(2, 4, 4, 3))
    with pytest.raises(NotImplementedError, match="'with' as it is"):
        layer.layer.enable_lora(1)


@pytest.mark.parametrize(
    "policy", [f"{mode}_from_{dtype}" for mode in MODES for dtype in ("float32", "mixed_bfloat16")]
)
def test_a_quantized_policy_is_refused(policy):
    equations = {"kernel": [Equal()]}
    for layer in (
        lambda: Structured(layers.Dense(3, dtype=policy, name="inner"), equations, name="with"),
        lambda: Structured(layers.Dense(3, name="inner"), equations, name="with", dtype=policy),
        lambda: Structured(layers.EinsumDense("ab,bc->ac", 3, dtype=policy, name="inner"), equations, name="with"),
    ):
        with pytest.raises(ValueError, match=f"structure and be quantized: its dtype policy is '{policy}'"):
            layer()(normal(2, 4))
    with pytest.raises(NotImplementedError, match="Shared"):
        Shared((3, 3), dtype=policy)(normal(2, 4))


def test_a_policy_of_a_built_layer_cannot_become_quantized():
    layer = model_of("Dense").get_layer("with")
    with pytest.raises(NotImplementedError, match="'with' as it is"):
        layer.layer.dtype_policy = "int8_from_float32"


def test_a_map_of_policies():
    """Each layer has its own: half precision for one, a quantized one for what has no structure."""
    policies = dtype_policies.DTypePolicyMap(default_policy="float32")
    policies["with"] = policies["with/inner"] = dtype_policies.DTypePolicy("mixed_bfloat16")
    policies["plain"] = dtype_policies.get("int8_from_float32")
    x = keras.Input((8,))
    dense = layers.Dense(8, dtype=policies, name="inner")
    layer = Structured(dense, {"kernel": [Symmetric()]}, name="with")
    model = keras.Model(x, layers.Dense(4, dtype=policies, name="plain")(layer(x)))
    assert layer.compute_dtype == layer.layer.compute_dtype == "bfloat16"
    assert {each.dtype for each in layer.weights} == {"float32"}
    (kernel,) = effective_weights(model).values()
    assert (kernel == kernel.T).all()
    plain = layers.Dense(8, dtype="mixed_bfloat16")
    plain.build((None, 8))
    plain.kernel.assign(kernel)
    np.testing.assert_array_equal(layer(normal(2, 8)), plain(normal(2, 8)))
    del policies["with/inner"]
    policies["with/inner"] = dtype_policies.get("int8_from_float32")
    refused = Structured(layers.Dense(8, dtype=policies, name="inner"), {"kernel": [Symmetric()]}, name="with")
    with pytest.raises(ValueError, match="be quantized"):
        refused(normal(2, 8))


def test_a_constraint_of_another_weight_is_as_ever():
    x = keras.Input((4,))
    dense = layers.Dense(4, bias_constraint="non_neg", bias_initializer="ones")
    layer = Structured(dense, {"kernel": [Symmetric()]})
    model = keras.Model(x, layer(x))
    model.compile(keras.optimizers.SGD(10.0), "mse")
    model.train_on_batch(normal(8, 4), -np.ones((8, 4), "float32"))
    assert (layer.layer.bias.numpy() == 0).all()
    (kernel,) = effective_weights(model).values()
    assert (kernel == kernel.T).all()


def test_lora_beside_another_weight_with_structure():
    """`lora_rank` adds to the kernel alone; a bias with structure does not mind."""
    model = wdsl.loads("""
        network Net {
            input x: [4]
            layer a = Dense(3, lora_rank=2) { bias: equal }
            output y = x -> a
        }
    """).to_keras()
    model.compile(keras.optimizers.SGD(0.5), "mse")
    kernel = model.get_layer("a").layer._kernel.numpy()
    for _ in range(2):
        model.train_on_batch(normal(8, 4), normal(8, 3))
    (bias,) = effective_weights(model).values()
    assert len(set(bias)) == 1
    assert bias[0] != 0
    np.testing.assert_array_equal(model.get_layer("a").layer._kernel, kernel)
    assert model.get_layer("a").layer.lora_kernel_b.numpy().any()
