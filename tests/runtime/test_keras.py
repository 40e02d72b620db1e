"""What Keras looks at in a layer is what it would see in the layer that is wrapped."""

import gc
import threading
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.drawn import repeated
from tests.rounding import Bounded, exact, l2
from wdsl import effective_weights
from wdsl.runtime import Shared, Structured, Wrapped
from wdsl.structure import Diagonal, Equal, Flat, Lower, Symmetric, Tied, Where, Zero


def normal(*shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def kernel_of(layer, size):
    """The kernel of a layer without bias and activation, read off an identity."""
    return ops.convert_to_numpy(layer(np.eye(size, dtype="float32")))


def test_symmetric_is_exact():
    layer = Structured(layers.Dense(30, use_bias=False), {"kernel": [Symmetric()]})
    kernel = kernel_of(layer, 30)
    assert (kernel == kernel.T).all()


def test_masks_flow():
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])

    def model(wrap):
        tokens = keras.Input((None,), dtype="int32")
        embed = wrap(layers.Embedding(5, 4, mask_zero=True), "embeddings")
        lstm = wrap(layers.LSTM(3, return_sequences=True), "cell/recurrent_kernel")
        pool = wrap(layers.LSTM(2), "cell/kernel")
        return keras.Model(tokens, pool(lstm(embed(tokens))))

    plain = model(lambda layer, weight: layer)
    structured = model(lambda layer, weight: Structured(layer, {weight: []}))
    pairs = zip(plain.layers[1:], structured.layers[1:], strict=True)
    for layer, wrapper in pairs:
        assert wrapper.supports_masking == layer.supports_masking
        for weight in layer.weights:
            (same,) = [w for w in wrapper.weights if w.name == weight.name]
            same.assign(weight)
    np.testing.assert_array_equal(structured(ids), plain(ids))
    changed = np.where(ids == 0, 4, ids)
    assert (structured(changed).numpy() != plain(ids).numpy()).any()


def test_call_arguments_reach_the_layer():
    x, y = normal(2, 4, 3), normal(2, 5, 3)
    attention = Wrapped(layers.MultiHeadAttention(1, 2), {"query_dense/kernel": [Equal()]})
    mask = np.ones((2, 4, 5), bool)
    mask[:, :, 2:] = False
    output, scores = attention(x, y, attention_mask=mask, return_attention_scores=True, training=False)
    assert output.shape == (2, 4, 3)
    assert (scores.numpy()[..., 2:] == 0).all()
    causal = attention(x, x, use_causal_mask=True)
    later = np.concatenate([x[:, :1], normal(2, 3, 3) + 1], axis=1)
    np.testing.assert_array_equal(causal[:, 0], attention(later, later, use_causal_mask=True)[:, 0])

    state = keras.Input((2,))
    sequence = keras.Input((4, 3))
    rnn = Structured(layers.SimpleRNN(2), {"cell/kernel": [Equal()]})
    model = keras.Model([sequence, state], rnn(sequence, initial_state=[state]))
    outputs = [model([x, np.full((2, 2), value)]).numpy() for value in (0, 1)]
    assert (outputs[0] != outputs[1]).all()


def test_training_reaches_the_layer():
    layer = Structured(layers.BatchNormalization(), {"gamma": [Equal()]})
    x = normal(64, 3) * 5 + 3
    assert abs(float(ops.std(layer(x, training=True))) - 1) < 0.01
    assert float(ops.std(layer(x))) > 2
    model = keras.Sequential([keras.Input((3,)), layer])
    assert abs(float(ops.std(model(x, training=True))) - 1) < 0.01


def test_output_shapes_are_those_of_the_layer():
    conv = Structured(layers.Conv2D(3, 2, strides=2), {"kernel": [Equal()]})
    image = keras.Input((None, 8, 2))
    assert conv(image).shape == (None, None, 4, 3)
    assert conv.compute_output_shape((None, 9, 8, 2)) == (None, 4, 4, 3)
    rnn = Structured(layers.LSTM(3, return_state=True), {"cell/kernel": [Equal()]})
    assert [t.shape for t in rnn(keras.Input((7, 2)))] == [(None, 3)] * 3


def test_inside_other_wrappers():
    dense = Structured(layers.Dense(3, use_bias=False), {"kernel": [Symmetric()]})
    timed = layers.TimeDistributed(dense)
    model = keras.Sequential([keras.Input((4, 3)), timed])
    kernel = model(np.eye(4, 3, dtype="float32")[None]).numpy()[0, :3]
    np.testing.assert_array_equal(kernel, kernel.T)
    assert model.count_params() == 6


def test_trainable_freezes_all_of_it():
    layer = Structured(layers.Dense(3), {"kernel": [Symmetric()]})
    layer.build((None, 3))
    assert len(layer.trainable_weights) == 2
    layer.trainable = False
    assert not layer.trainable_weights
    assert len(layer.non_trainable_weights) == 2
    assert not Structured(layers.Dense(3, trainable=False), {}).trainable


def test_losses_are_those_of_the_layer():
    def dense():
        return layers.Dense(
            3,
            kernel_regularizer=keras.regularizers.L2(0.1),
            activity_regularizer="l1",
            use_bias=False,
        )

    x, square = normal(2, 3), [Symmetric(), Zero(Diagonal())]
    plain, layer = dense(), Structured(dense(), {"kernel": square})
    layer(x)
    plain(x)
    kernel = effective_weights(layer)[f"{layer.name}.kernel"]
    plain.kernel.assign(kernel)
    plain(x)
    layer(x)
    y = exact(x) @ kernel
    penalty = l2(kernel, 0.1) + Bounded(np.abs(y.value), y.error).sum() * 0.01 * (1 / len(x))
    for each in (layer, plain):
        penalty.holds(sum(each.losses))

    twice = Structured(layers.Dense(3, kernel_regularizer="l2"), {"kernel": square})
    x = keras.Input((3,))
    model = keras.Model(x, twice(twice(x)))
    assert len(model.losses) == 1
    kernel = effective_weights(model)[f"{twice.name}.kernel"]
    l2(kernel, 0.01).holds(model.losses[0])


def test_gradient_is_the_sum_over_each_group():
    layer = Structured(layers.Dense(4), {"kernel": [Symmetric(), Zero(Flat(3))]})
    x, y = normal(7, 4), normal(7, 4)[::-1]
    layer(x)
    with tf.GradientTape() as tape:
        loss = ops.mean((layer(x) - y) ** 2)
    theta = tape.gradient(loss, layer.trainable_weights[0].value)
    assert isinstance(theta, tf.Tensor)
    off = exact(x) @ effective_weights(layer)[f"{layer.name}.kernel"] - y
    dense = exact(x).T @ (off * (2 / off.value.size))
    i, j = np.triu_indices(4)
    i, j = np.delete([i, j], 3, axis=1)  # all but (0, 3)
    (dense + dense.T)[i, j].holds(np.where(i == j, 2, 1) * theta)


@pytest.mark.parametrize("threads", [8])
def test_threads_do_not_see_each_other(threads):
    x = keras.Input((4,))
    kernel = keras.Input(batch_shape=(4, 4))
    layer = Structured(layers.Dense(4), {"kernel": [Tied()]})
    model = keras.Model([x, kernel], layer(x, tied={"kernel": kernel}))
    eye, wrong = np.eye(4, dtype="float32"), []

    def work(value):
        for _ in range(40):
            weight = np.full((4, 4), value, "float32")
            if not (model([eye, weight]).numpy() == value).all():
                wrong.append(value)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_dense_weights_are_not_kept():
    class Remembering(layers.Dense):
        def build(self, input_shape):
            super().build(input_shape)
            kernels.append(weakref.ref(self._kernel))

    kernels = []
    for equations in ([Symmetric()], [Zero()]):
        layer = Structured(Remembering(5), {"kernel": equations})
        layer.build((None, 5))
        layer(normal(2, 5))
    gc.collect()
    assert len(kernels) == 2
    assert all(kernel() is None for kernel in kernels)


def test_all_zero_leaves_nothing_to_train(tmp_path):
    x = keras.Input((3,))
    layer = Structured(layers.Dense(3), {"kernel": [Zero()]})
    model = keras.Model(x, layer(x))
    model.compile("adam", "mse")
    model.fit(normal(4, 3), normal(4, 3), verbose=0)
    assert model.count_params() == 3
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(normal(2, 3)), model(normal(2, 3)))


# The distributions themselves are held against the papers' in test_initialization.py.
@pytest.mark.parametrize(
    "initializer", repeated(["glorot_uniform", "he_normal", "lecun_uniform", "random_normal"], {"he_normal"})
)
@pytest.mark.parametrize("equations", [[Symmetric()], [Symmetric(0, 1), Zero(Diagonal())], []], ids=str)
def test_marginals_are_the_initializers_own(initializer, equations):
    keras.utils.set_random_seed(3)

    def draws(wrap):
        values = []
        for _ in range(60):
            dense = layers.Dense(12, kernel_initializer=initializer, use_bias=False)
            values.append(kernel_of(wrap(dense), 12))
        return np.array(values)

    own = draws(lambda dense: dense)
    structured = draws(lambda dense: Structured(dense, {"kernel": equations}))
    live = structured.std(axis=0) > 0
    ratio = structured[:, live].std() / own.std()
    expected = np.sqrt(144 / live.sum()) if initializer != "random_normal" else 1
    assert abs(ratio / expected - 1) < 0.05
    assert abs(structured.mean()) < 0.02


@pytest.mark.parametrize("mode", ["fan_in", "fan_avg"])
def test_a_tenth_of_the_weights_gives_outputs_as_large(mode):
    keras.utils.set_random_seed(4)
    scale = keras.initializers.VarianceScaling(1.0, mode=mode, distribution="normal")
    sparse = Zero(Where(lambda i, j: (i * 7 + j * 3) % 10 != 0))
    dense = layers.Dense(400, kernel_initializer=scale, use_bias=False)
    layer = Structured(dense, {"kernel": [sparse]})
    assert abs(float(ops.std(layer(normal(200, 400)))) - 1) < 0.05


def test_a_dead_output_changes_nothing_for_the_others():
    keras.utils.set_random_seed(4)
    scale = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="normal")
    dense = layers.Dense(400, kernel_initializer=scale, use_bias=False)
    layer = Structured(dense, {"kernel": [Zero(Where(lambda j: j >= 200))]})
    output = layer(normal(200, 400)).numpy()
    assert (output[:, 200:] == 0).all()
    assert abs(output[:, :200].std() - 1) < 0.05


def test_weights_given_to_the_layer_stay():
    table = normal(5, 5)
    layer = Structured(layers.Embedding(5, 5, weights=[table]), {"embeddings": []})
    np.testing.assert_array_equal(layer(np.arange(5)), table)


@pytest.mark.parametrize(
    ("layer", "structures", "said"),
    [
        (lambda: layers.Dense(3), {"kernels": [Equal()]}, "weights are kernel, bias"),
        (
            lambda: layers.Bidirectional(layers.LSTM(2, name="both")),
            {"recurrent_kernel": [Equal()]},
            "forward_both/lstm_cell/recurrent_kernel",
        ),
        (lambda: layers.Dense(3), {"kernel": [Symmetric()]}, "(4, 3)"),
        (
            lambda: layers.Dense(3, kernel_constraint="non_neg"),
            {"kernel": [Equal()]},
            "constraint",
        ),
        (lambda: layers.Dense(3), {"kernel": [Tied(), Equal()]}, "tied"),
        (lambda: layers.Dense(3, lora_rank=2), {"kernel": [Equal()]}, "itself"),
        (
            layers.BatchNormalization,
            {"moving_mean": [Equal()]},
            "moving_mean",
        ),
    ],
)
def test_errors_say_what_is_wrong(layer, structures, said):
    x = normal(2, 3, 4) if isinstance(layer(), layers.Bidirectional) else normal(2, 4)
    with pytest.raises(ValueError) as error:
        Wrapped(layer(), structures)(x)
    assert said in str(error.value)


def test_numbers_that_keras_gives_to_inner_layers_do_not_matter():
    for _ in range(2):
        layer = layers.Bidirectional(layers.GRU(2))
        layer = Wrapped(layer, {"forward_layer/cell/kernel": [Equal()]})
        layer(normal(2, 3, 4))
        assert layer.weights[0].shape == (1,)
    cells = layers.RNN([layers.GRUCell(2), layers.GRUCell(2)])
    with pytest.raises(ValueError, match="gru_cell_"):
        Wrapped(cells, {"cell/cells/2/kernel": [Equal()]})(normal(2, 3, 4))


def test_cells_in_a_list_that_go_both_ways_are_found_again(tmp_path):
    """Keras forgets in which direction cells are that it has loaded: their weights have the same paths then."""
    cells = [layers.LSTMCell(3, name="cell_0"), layers.LSTMCell(2, name="cell_1")]
    both = Wrapped(
        layers.Bidirectional(layers.RNN(cells)),
        {"forward_layer/cell/cells/1/kernel": [Equal()], "backward_layer/cell/cells/0/kernel": [Zero(Flat(0))]},
        name="both",
    )
    x = keras.Input((4, 3))
    model = keras.Model(x, both(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    paths = "both.forward.cell_1.kernel", "both.backward.cell_0.kernel"
    one, other = (effective_weights(each) for each in (model, loaded))
    assert set(one) == set(other) == set(paths)
    for path in paths:
        np.testing.assert_array_equal(one[path], other[path])
    given = normal(2, 4, 3)
    np.testing.assert_array_equal(model(given), loaded(given))


def test_tied_weights_are_checked():
    layer = Structured(layers.Dense(3), {"kernel": [Tied()]})
    x = normal(2, 4)
    for tied in ({"kernel": normal(3, 4)}, {}, {"bias": normal(3)}, None):
        with pytest.raises(ValueError, match=r"\(4, 3\)"):
            layer(x, tied=tied)
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(3, 4\)"):
        layer(keras.Input((4,)), tied={"kernel": keras.Input(batch_shape=(3, 4))})


def test_a_weight_outside_a_call_is_what_it_is_now_and_no_old_value():
    layer = Structured(layers.Dense(3), {"kernel": [Equal()]})
    x = normal(2, 3)
    layer(x)
    layer.weights[0].assign([7.0])
    np.testing.assert_array_equal(layer.kernel, np.full((3, 3), 7.0))
    np.testing.assert_array_equal(layer.layer(x), layer(x))
    tied = Structured(layers.Dense(3), {"kernel": [Tied()]})
    tied(x, tied={"kernel": normal(3, 3)})
    with pytest.raises(RuntimeError, match="during a call"):
        tied.layer(x)


def test_structures_survive_the_config():
    layer = Structured(
        layers.Dense(3, name="inner"),
        {"kernel": [Symmetric(), Zero(Lower(2), Where(lambda i: i > 5))], "bias": [Equal()]},
        name="outer",
        dtype="mixed_bfloat16",
    )
    layer.build((None, 3))
    again = Structured.from_config(layer.get_config())
    assert again.get_config()["structures"] == layer.get_config()["structures"]
    assert (again.name, again.layer.name) == ("outer", "inner")
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert not again.layer.built


def test_shared_weights_draw_like_layers():
    keras.utils.set_random_seed(0)
    x = keras.Input((2,))
    shared = Shared((50, 40), [Zero(Lower(-30))], "he_normal", "l2")
    model = keras.Model(x, shared(x))
    weight = model(normal(1, 2)).numpy()
    assert weight.shape == (50, 40)
    assert model.count_params() == (weight != 0).sum()
    fan = (weight != 0).sum(axis=0)
    assert abs(weight[weight != 0].std() / np.sqrt(2 / fan[fan > 0].mean()) - 1) < 0.2
    l2(weight, 0.01).holds(model.losses[0])
