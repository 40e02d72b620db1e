"""Each mechanism keeps its promise to the bit, under optimizers that do all sorts of things to a variable.

What is promised is read from outside: a layer without bias and activation answers the identity with its kernel.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.drawn import repeated
from tests.rounding import exact, in_float64, l2, same_but_for_rounding
from wdsl import effective_weights
from wdsl.runtime import Averaged, Shared, Structured, Via
from wdsl.structure import At, By, Equal, Fixed, Flat, Frozen, Lower, Skew, Symmetric, Tied, Zero

SIZE = 5
ROW, COLUMN = np.indices((SIZE, SIZE))
FLAT = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)

EQUATIONS = {
    "zero": (Zero(Flat(slice(0, 9))), lambda w: (w[FLAT < 9] == 0).all()),
    "symmetric": (Symmetric(), lambda w: (w == w.T).all()),
    "skew": (Skew(), lambda w: (w == -w.T).all()),
    "equal": (Equal(), lambda w: (w == w[0, 0]).all()),
    "toeplitz": (Equal(By(lambda i, j: j - i)), lambda w: (w[1:, 1:] == w[:-1, :-1]).all()),
    "fixed": (Fixed(0.3, Flat(3, 7)), lambda w: (w.ravel()[[3, 7]] == np.float32(0.3)).all()),
}

OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "lion": lambda: keras.optimizers.Lion(0.01),
    "lamb": lambda: keras.optimizers.Lamb(0.01),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "muon": lambda: keras.optimizers.Muon(0.01),
    "average": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
}

LIMITS = {
    *(("adafactor", "gradient", name) for name in ("toeplitz", "symmetric", "skew")),
    *(("adafactor", "mask", name) for name in ("skew", "equal")),
    *(("muon", "gradient", name) for name in EQUATIONS),
    ("adamw", "gradient", "fixed"),
}
"""Where the promise has limits, which docs/weights.md lists."""


def normal(*shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def dense(equations, **options):
    return Structured(layers.Dense(SIZE, use_bias=False, **options), {"kernel": equations})


def model_of(each_layer):
    """Layers side by side, so that one call to fit trains all."""
    x = keras.Input((SIZE,))
    return keras.Model(
        x, layers.Concatenate()([layer(x) for layer in each_layer]) if len(each_layer) > 1 else each_layer[0](x)
    )


def kernel(layer):
    return ops.convert_to_numpy(layer(np.eye(SIZE, dtype="float32")))


def train(model, optimizer, steps=4):
    model.compile(optimizer, "mse", run_eagerly=True)
    x, y = normal(8 * steps, SIZE), normal(8 * steps, model.output_shape[-1])
    model.fit(x, y, batch_size=8, verbose=0, shuffle=False)


MECHANISMS = ("mask", "constraint", "gradient", "initial")


# The exactness suite has all optimizers.
@pytest.mark.parametrize("optimizer", repeated(OPTIMIZERS, {"adamw", "adafactor", "muon", "average"}))
def test_each_promise_is_kept(optimizer):
    keras.utils.set_random_seed(5)  # steps of one size, as Lion's, may lead back to where they began
    built = {(via, name): dense([Via(via, EQUATIONS[name][0])]) for via in MECHANISMS for name in EQUATIONS}
    model = model_of(list(built.values()))
    before = {key: kernel(layer) for key, layer in built.items()}
    assert all(EQUATIONS[name][1](before[via, name]) for via, name in built)
    train(model, OPTIMIZERS[optimizer]())
    for (via, name), layer in built.items():
        after = kernel(layer)
        assert (after != before[via, name]).any()
        assert layer.count_params() == SIZE * SIZE
        if (optimizer, via, name) not in LIMITS:
            assert EQUATIONS[name][1](after) == (via != "initial"), (via, name)
    broken = {(via, name) for via, name in built if not EQUATIONS[name][1](kernel(built[via, name]))}
    if optimizer == "muon":
        assert {("gradient", "toeplitz"), ("gradient", "zero")} <= broken
    if optimizer == "adafactor":
        assert ("gradient", "toeplitz") in broken
    if optimizer == "adamw":
        assert ("gradient", "fixed") in broken
    if optimizer == "average":
        # What Keras put in place of the weights is not so, until the next step.
        assert not EQUATIONS["skew"][1](built["constraint", "skew"].get_weights()[0])
        train(model, keras.optimizers.SGD(0.01), 1)
        assert all(EQUATIONS[name][1](built["constraint", name].get_weights()[0]) for name in EQUATIONS)


def test_a_mask_trains_as_the_parameters_would():
    for optimizer in ("momentum", "adam"):
        with in_float64():
            masked, stored = (
                [dense([made_of(equation)]) for equation, _ in EQUATIONS.values()]
                for made_of in (lambda equation: Via("mask", equation), lambda equation: equation)
            )
            model, other = model_of(masked), model_of(stored)
            for one, another in zip(masked, stored, strict=True):
                one.weights[0].assign(kernel(another))
            train(model, OPTIMIZERS[optimizer]())
            train(other, OPTIMIZERS[optimizer]())
            for one, another in zip(masked, stored, strict=True):
                same_but_for_rounding(kernel(one), kernel(another))


def test_a_mask_hides_whatever_is_stored():
    layer = dense([Via("mask", Zero(Lower())), Via("mask", Symmetric())])
    layer.build((None, SIZE))
    layer.weights[0].assign(np.full((SIZE, SIZE), np.nan, "float32"))
    layer.weights[0].assign(np.where(ROW == COLUMN, 2.0, np.nan))
    assert (kernel(layer) == 2 * np.eye(SIZE)).all()


def test_a_constraint_is_the_nearest_in_the_weight():
    """Least squares over the entries of the weight, also where one parameter stands behind several."""
    equations = [Symmetric(), Via("constraint", Equal(At(slice(0, 2), slice(0, 2)))), Via("constraint", Zero(Flat(8)))]
    layer = dense(equations)
    layer.build((None, SIZE))
    (theta,) = layer.weights
    theta.assign(normal(SIZE * (SIZE + 1) // 2))
    before = kernel(layer)
    theta.assign(theta.constraint(theta))
    after = kernel(layer)
    exact(before[:2, :2]).mean().holds(after[0, 0])
    expected = before.copy()
    expected[:2, :2] = after[0, 0]
    expected[1, 3] = expected[3, 1] = 0
    np.testing.assert_array_equal(after, expected)
    assert (after == after.T).all()
    assert len(np.unique(after[:2, :2])) == 1


def test_a_constraint_holds_of_what_was_set():
    """In the forward pass at once, as the mean of what was set; in what is stored after a step."""
    layer = dense([Via("constraint", Symmetric()), Via("constraint", Fixed(0.3, Flat(0)))])
    model = model_of([layer])
    model.set_weights([normal(SIZE, SIZE)])
    expected = (exact(normal(SIZE, SIZE)) + normal(SIZE, SIZE).T) * 0.5
    expected.value[0, 0] = 0.3
    expected.holds(kernel(layer))
    assert (kernel(layer) == kernel(layer).T).all()
    assert (layer.get_weights()[0] == normal(SIZE, SIZE)).all()
    train(model, keras.optimizers.SGD(0.01), 1)
    assert (kernel(layer) == layer.get_weights()[0]).all()


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_constraint_leaves_what_holds_as_it_is(name):
    """To the bit: the mean of three equal numbers may be another one."""
    layer = dense([Via("constraint", EQUATIONS[name][0])])
    layer.build((None, SIZE))
    (theta,) = layer.weights
    theta.assign(theta.constraint(normal(SIZE, SIZE)))
    assert EQUATIONS[name][1](theta.numpy())
    assert (kernel(layer) == theta.numpy()).all()
    assert (theta.constraint(theta).numpy() == theta.numpy()).all()


def test_a_constraint_leaves_gradients_as_they_are():
    x = ops.convert_to_tensor(normal(4, SIZE))

    def gradient(equations):
        layer = dense(equations)
        layer(x)
        layer.set_weights([normal(SIZE, SIZE)])
        with tf.GradientTape() as tape:
            loss = ops.sum(layer(x) * normal(4, SIZE))
        return tape.gradient(loss, layer.trainable_variables[0].value).numpy()

    plain = gradient([Via("initial", Symmetric())])
    assert (gradient([Via("constraint", Symmetric()), Via("constraint", Zero(Flat(3)))]) == plain).all()


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "adamw"])
def test_all_at_once(optimizer):
    """Mechanisms that reach into one another: each still holds, and what it reaches holds too."""
    first = [
        Symmetric(),
        Via("mask", Zero(At(0, 1))),
        Via("constraint", Equal(At(slice(2, 4), slice(2, 4)))),
        Via("gradient", Equal(At(3, 3), At(4, 4), At(1, slice(3, 5)))),
    ]
    second = [Via("mask", Symmetric()), Via("constraint", Zero(At(3, 1))), Via("gradient", Equal(At(2, slice(0, 2))))]
    third = [Equal(), Via("mask", Zero(Flat(0))), Via("constraint", Fixed(2.0, Flat(1)))]
    fourth = [Via("constraint", Skew()), Via("gradient", Equal(At(0, slice(1, 4)))), Via("initial", Zero(At(3, 4)))]
    built = [dense(equations) for equations in (first, second, third, fourth)]
    model = model_of(built)
    for trained in (False, True):
        if trained:
            train(model, OPTIMIZERS[optimizer]())
        a, b, c, d = map(kernel, built)
        assert (a == a.T).all()
        assert a[0, 1] == 0
        assert len(np.unique(a[2:4, 2:4])) == 1
        assert a[1, 3] == a[1, 4]
        assert (b == b.T).all()
        assert b[3, 1] == b[1, 3] == 0
        assert b[2, 0] == b[2, 1]
        assert c.ravel()[:2].tolist() == [0, 2]
        assert len(np.unique(c.ravel()[2:])) == 1
        assert (d == -d.T).all()
        assert len(np.unique(d[0, 1:4])) == 1
        assert (d[3, 4] == 0) == (not trained)


def test_gradients_of_a_group():
    def gradient(equations):
        layer = dense(equations)
        x = ops.convert_to_tensor(normal(4, SIZE))
        layer(x)
        with tf.GradientTape() as tape:
            loss = ops.sum(layer(x) * normal(4, SIZE))
        return tape.gradient(loss, layer.trainable_variables[0].value).numpy()

    full = exact(normal(4, SIZE)).T @ normal(4, SIZE)
    full.holds(gradient([]))
    rows = Equal(By(lambda i, j: i))
    full.sum(1).holds(gradient([rows]))
    full.mean(1).holds(gradient([Averaged(*rows.items)]))
    full.mean().holds(*gradient([Averaged()]))
    averaged = gradient([Via("gradient", rows)])
    full.mean(1).holds(averaged[:, 0])
    assert (averaged == averaged[:, :1]).all()
    skew = gradient([Via("gradient", Skew())])
    ((full - full.T) * 0.5).holds(skew)
    assert (gradient([Via("gradient", Zero(Flat(3)))]) == np.where(FLAT == 3, 0, gradient([]))).all()
    some = gradient([Averaged(At(0, slice(None))), Equal(At(1, slice(None)))])
    full[0].mean().holds(some[0])
    full[1].sum().holds(some[1])


def test_averaging_leaves_the_value_as_it_is():
    plain, averaged = dense([Equal(By(lambda i, j: i))]), dense([Averaged(By(lambda i, j: i))])
    model_of([plain, averaged])
    averaged.set_weights(plain.get_weights())
    assert (kernel(averaged) == kernel(plain)).all()
    train(model_of([averaged]), keras.optimizers.SGD(0.1))
    assert (kernel(averaged) == kernel(averaged)[:, :1]).all()


def test_what_is_live_counts_for_the_scale():
    """Zeros of any mechanism leave fewer inputs, and the rest is scaled up for that at the start."""
    for via in MECHANISMS:
        keras.utils.set_random_seed(2)
        masked, stored = dense([Via(via, Zero(Lower(0)))]), dense([Zero(Lower(0))])
        x = normal(1, SIZE)
        keras.utils.set_random_seed(3)
        masked(x)
        keras.utils.set_random_seed(3)
        stored(x)
        assert (kernel(masked) != 0).sum() == (kernel(stored) != 0).sum() == 10


@pytest.mark.parametrize("via", MECHANISMS)
def test_the_life_of_a_model(via, tmp_path):
    symmetric = [Via(via, Symmetric()), Via(via, Zero(At(0, 0))), Averaged(At(1, 1), At(2, 2))]
    layer = dense(symmetric)
    model = model_of([layer])
    train(model, keras.optimizers.Adam(0.01))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert (kernel(loaded.layers[1]) == kernel(layer)).all()
    assert loaded.layers[1].get_config()["structures"] == layer.get_config()["structures"]
    train(loaded, keras.optimizers.Adam(0.01))
    clone = keras.models.clone_model(model)
    for each in (loaded, clone, model):
        now = kernel(each.layers[1])
        if via != "initial" or each is clone:
            assert (now == now.T).all()
            assert now[0, 0] == 0
    clone.set_weights(model.get_weights())
    assert (kernel(clone.layers[1]) == kernel(layer)).all()


@pytest.mark.parametrize("via", ["mask", "constraint", "gradient"])
def test_shared_weights(via):
    x = keras.Input((SIZE,))
    shared = Shared((SIZE, SIZE), [Via(via, Skew())], name="s")(x)
    one, two = dense([Tied()]), dense([Tied()])
    y = two(one(x, tied={"kernel": shared}), tied={"kernel": ops.transpose(shared)})
    model = keras.Model(x, y)
    train(model, keras.optimizers.Adam(0.01))
    a, b = effective_weights(model).values()
    assert (a == -a.T).all()
    assert (b == a.T).all()
    assert a.any()


def test_regularizers_see_the_weight_in_use():
    layer = dense([Via("mask", Zero(Lower(0)))], kernel_regularizer=keras.regularizers.L2(0.1))
    layer(normal(1, SIZE))
    layer.weights[0].assign(normal(SIZE, SIZE))
    l2(np.triu(normal(SIZE, SIZE), 1), 0.1).holds(layer.losses[0])


@pytest.mark.parametrize(
    ("policy", "jit"),
    repeated(
        itertools.product(("float32", "mixed_bfloat16"), (False, True)), {("mixed_bfloat16", True), ("float32", False)}
    ),
)
def test_graph_xla_and_mixed_precision(jit, policy):
    built = [dense([Via(via, Symmetric())], dtype=policy) for via in MECHANISMS[:3]]
    model = model_of(built)
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit)
    model.fit(normal(32, SIZE), normal(32, 3 * SIZE), batch_size=8, verbose=0)
    for weight in effective_weights(model).values():
        assert (weight == weight.T).all()


def test_rank_three_and_nothing_left():
    layer = Structured(layers.Conv1D(4, 3, use_bias=False), {"kernel": [Via("constraint", Symmetric(1, 2))]})
    nothing = dense([Zero(), Via("mask", Zero(Flat(0))), Via("constraint", Symmetric()), Via("gradient", Skew())])
    x = keras.Input((6, 4))
    model = keras.Model(x, layer(x))
    model.compile("adam", "mse")
    model.fit(normal(8, 6, 4), normal(8, 4, 4), verbose=0)
    (weight,) = effective_weights(model).values()
    assert (weight == weight.swapaxes(1, 2)).all()
    assert not kernel(nothing).any()


def test_refusals():
    for mechanism, equation in (("magic", Symmetric()), ("mask", Frozen()), ("mask", Tied())):
        with pytest.raises(ValueError, match=r"magic|cannot hold"):
            Via(mechanism, equation)
