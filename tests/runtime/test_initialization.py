"""What is drawn: the initializer's own distribution for the entries alive; what is annotated, from the start."""

import keras
import numpy as np
import pytest
from keras import initializers, layers, ops
from scipy import stats

import wdsl
from tests.drawn import every
from wdsl import effective_weights
from wdsl.runtime import Averaged, Shared, Structured, Via, Wrapped
from wdsl.structure import (
    Axis,
    Band,
    Blocks,
    By,
    Diagonal,
    Equal,
    Fixed,
    Flat,
    Not,
    Skew,
    Symmetric,
    Upper,
    Where,
    Zero,
)

TENTH = Zero(Where(lambda i, j: (i * 7 + j * 3) % 10 != 0))
STRUCTURES = {
    "dense": [],
    "a tenth": [TENTH],
    "symmetric": [Symmetric()],
    "symmetric, zero[diagonal]": [Symmetric(), Zero(Diagonal())],
    "skew": [Skew()],
    "equal[rows]": [Equal(Axis(0))],
    "equal[columns]": [Equal(Axis(1))],
    "circulant": [Equal(By(lambda i, j, shape: (j - i) % shape[0]))],
    "toeplitz band": [Equal(By(lambda i, j: j - i)), Zero(Not(Band(2, 2)))],
    "block diagonal": [Zero(Not(Blocks(5, 5)))],
    "triangle": [Zero(Upper())],
    "mask": [Via("mask", TENTH)],
    "mean gradient": [Averaged(Axis(0))],
}
INITIALIZERS = {
    "glorot_uniform": initializers.GlorotUniform,
    "glorot_normal": initializers.GlorotNormal,
    "he_normal": initializers.HeNormal,
    "lecun_uniform": initializers.LecunUniform,
    "fan_out": lambda: initializers.VarianceScaling(3.0, mode="fan_out", distribution="uniform"),
    "untruncated": lambda: initializers.VarianceScaling(0.5, mode="fan_avg", distribution="untruncated_normal"),
    "random_normal": lambda: initializers.RandomNormal(stddev=0.3),
    "random_uniform": lambda: initializers.RandomUniform(-0.1, 0.4),
}
CASES = [
    *((structure, "glorot_uniform") for structure in STRUCTURES),
    *(("a tenth", initializer) for initializer in INITIALIZERS),
    ("symmetric", "random_normal"),
    ("skew", "he_normal"),
    ("triangle", "fan_out"),
    ("circulant", "lecun_uniform"),
]


def draws(structure, initializer, count, size=20):
    """A weight's values in new layers, one after the other."""
    keras.utils.set_random_seed(11)
    found = []
    for _ in range(count):
        dense = layers.Dense(size, kernel_initializer=INITIALIZERS[initializer](), use_bias=False)
        layer = Structured(dense, {"kernel": STRUCTURES[structure]})
        found.append(layer(np.eye(size, dtype="float32")).numpy())
    return np.array(found)


def own_distribution(initializer, live):
    """What the initializer draws from if it counts the live entries alone: their mean over the outputs or inputs."""
    fan_in, fan_out = live.sum() / live.any(axis=0).sum(), live.sum() / live.any(axis=1).sum()
    config = INITIALIZERS[initializer]().get_config()
    if initializer == "random_normal":
        return stats.norm(scale=config["stddev"])
    if initializer == "random_uniform":
        return stats.uniform(config["minval"], config["maxval"] - config["minval"])
    # Glorot and Bengio 2010; He et al. 2015; LeCun et al. 1998.
    variance = {
        "glorot_uniform": 2 / (fan_in + fan_out),
        "glorot_normal": 2 / (fan_in + fan_out),
        "he_normal": 2 / fan_in,
        "lecun_uniform": 1 / fan_in,
        "fan_out": 3 / fan_out,
        "untruncated": 1 / (fan_in + fan_out),
    }[initializer]
    deviation = np.sqrt(variance)
    if "uniform" in initializer or initializer == "fan_out":
        return stats.uniform(-np.sqrt(3) * deviation, 2 * np.sqrt(3) * deviation)
    if initializer == "untruncated":
        return stats.norm(scale=deviation)
    cut = stats.truncnorm(-2, 2)
    return stats.truncnorm(-2, 2, scale=deviation / cut.std())


@pytest.mark.parametrize(("structure", "initializer"), every(4, CASES))
def test_each_entry_has_the_initializers_own_distribution(structure, initializer):
    values = draws(structure, initializer, 80)
    live = (values != 0).all(axis=0)
    assert (live == (values != 0).any(axis=0)).all()
    expected = own_distribution(initializer, live)
    # Entries that are one number are one draw: each counts once.
    draws_of_each = np.unique(values[:, live], axis=1).T
    found = [stats.kstest(entry, expected.cdf).pvalue for entry in draws_of_each]
    assert min(found) > 0.001 / len(found)
    assert len(found) < 20 or np.median(found) > 0.2
    np.testing.assert_allclose(values[:, live].std(), expected.std(), rtol=0.05)
    np.testing.assert_allclose(values[:, live].var(axis=0), expected.var(), rtol=0.75)


def test_the_test_would_see_another_deviation():
    values = draws("a tenth", "glorot_uniform", 80)
    live = (values != 0).all(axis=0)
    dense = own_distribution("glorot_uniform", np.ones_like(live))
    assert max(stats.kstest(entry, dense.cdf).pvalue for entry in values[:, live].T) < 0.01


@pytest.mark.parametrize(
    "structure", ["dense", "a tenth", "symmetric", "skew", "equal[rows]", "circulant", "block diagonal", "mask"]
)
def test_outputs_vary_by_one(structure):
    keras.utils.set_random_seed(4)
    x, outputs = np.random.default_rng(0).normal(size=(100, 300)).astype("float32"), []
    for _ in range(5):
        initializer = initializers.VarianceScaling(1.0, mode="fan_in", distribution="untruncated_normal")
        dense = layers.Dense(300, kernel_initializer=initializer, use_bias=False)
        outputs.append(Structured(dense, {"kernel": STRUCTURES[structure]})(x).numpy())
    assert abs(np.std(outputs) - 1) < 0.1


def test_a_tenth_of_a_convolution_gives_outputs_that_vary_by_one():
    keras.utils.set_random_seed(4)
    x = np.random.default_rng(0).normal(size=(10, 12, 12, 40)).astype("float32")
    initializer = initializers.VarianceScaling(1.0, mode="fan_in", distribution="untruncated_normal")
    conv = layers.Conv2D(60, 3, kernel_initializer=initializer, use_bias=False)
    masked = Zero(Where(lambda i, j, k, l_: (i + 2 * j + 3 * k + 7 * l_) % 10 != 0))
    assert abs(Structured(conv, {"kernel": [masked]})(x).numpy().std() - 1) < 0.05


def test_a_tenth_of_an_einsum_gives_outputs_that_vary_by_one():
    """Keras tells the initializer which axes are inputs there: the first, or the first two."""
    keras.utils.set_random_seed(4)
    random = np.random.default_rng(0)
    initializer = initializers.VarianceScaling(1.0, mode="fan_in", distribution="untruncated_normal")
    masked = Zero(Where(lambda i, j, k: (i + 3 * j + 7 * k) % 10 != 0))
    for equation, output, shape in (("ab,bcd->acd", (20, 30), (200, 400)), ("abc,bcd->ad", (400,), (200, 20, 30))):
        dense = layers.EinsumDense(equation, output, kernel_initializer=initializer)
        x = random.normal(size=shape).astype("float32")
        assert abs(Structured(dense, {"kernel": [masked]})(x).numpy().std() - 1) < 0.05


def test_a_head_without_entries_changes_nothing_for_the_others():
    keras.utils.set_random_seed(4)
    layer = Wrapped(layers.MultiHeadAttention(2, 50), {"query_dense/kernel": [Zero(Where(lambda j: j == 0))]})
    x = np.zeros((1, 3, 60), "float32")
    layer(x, x)
    plain = layers.MultiHeadAttention(2, 50)
    plain(x, x)
    kernel = effective_weights(layer)[f"{layer.name}.query.kernel"]
    assert (kernel[:, 0] == 0).all()
    fans = 60 + 100, 60 + 50  # of the 100 outputs, 50 are left to each input
    expected = plain._query_dense.kernel.numpy().std() * np.sqrt(fans[0] / fans[1])
    np.testing.assert_allclose(kernel[:, 1].std(), expected, rtol=0.05)


EXACT = {
    "symmetric": ([Symmetric()], lambda w: w - w.T),
    "skew": ([Skew()], lambda w: w + w.T),
    "zero": ([Zero(Diagonal())], np.diag),
    "fixed": ([Fixed(0.3, Diagonal())], lambda w: np.diag(w) - np.float32(0.3)),
    "equal": ([Equal(Axis(0))], lambda w: w - w[:, :1]),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("mechanism", [None, "mask", "constraint", "gradient", "initial"])
@pytest.mark.parametrize("initializer", ["glorot_uniform", "orthogonal", "identity", "ones"])
def test_what_is_annotated_holds_from_the_first_step(name, mechanism, initializer):
    equations, misses = EXACT[name]
    if mechanism:
        equations = [Via(mechanism, each) for each in equations]
    layer = Structured(layers.Dense(6, kernel_initializer=initializer, use_bias=False), {"kernel": equations})
    assert (misses(layer(np.eye(6, dtype="float32")).numpy()) == 0).all()


def test_an_orthogonal_matrix_lends_its_entries():
    """What is put together from them is orthogonal only where it is the whole matrix."""
    matrix = initializers.Orthogonal(seed=1)((8, 8))
    for equations, expected in (
        ([], matrix),
        ([Symmetric()], np.triu(matrix) + np.triu(matrix, 1).T),
        ([Skew()], np.triu(matrix, 1) - np.triu(matrix, 1).T),
        ([Zero(Upper())], np.tril(matrix)),
    ):
        dense = layers.Dense(8, kernel_initializer=initializers.Orthogonal(seed=1), use_bias=False)
        kernel = Structured(dense, {"kernel": equations})(np.eye(8, dtype="float32")).numpy()
        np.testing.assert_array_equal(kernel, expected)


@pytest.mark.parametrize("structure", ["symmetric", "circulant", "toeplitz band", "block diagonal", "triangle"])
def test_an_identity_stays_one_where_the_structure_allows(structure):
    layer = Structured(
        layers.Dense(10, kernel_initializer="identity", use_bias=False), {"kernel": STRUCTURES[structure]}
    )
    np.testing.assert_array_equal(layer(np.eye(10, dtype="float32")), np.eye(10))


def test_what_cannot_be_drawn_stops_no_other_layer():
    """There is no orthogonal matrix of bfloat16; Keras would try again whenever a layer is built."""

    def model(initializer):
        x = keras.Input((4,))
        dense = layers.Dense(4, kernel_initializer=initializer, dtype="bfloat16")
        return keras.Model(x, Structured(dense, {"kernel": [Symmetric()]})(x))

    with pytest.raises(Exception, match="bfloat16"):
        model("orthogonal")
    good = model("glorot_uniform")
    (kernel,) = effective_weights(good).values()
    assert (kernel == kernel.T).all()
    assert kernel.any()
    layer = layers.Dense(3)
    assert ops.shape(layer(np.ones((2, 4)))) == (2, 3)


def test_a_shared_weight_counts_the_axes_that_it_is_told():
    keras.utils.set_random_seed(0)
    initializer = initializers.VarianceScaling(1.0, "fan_in", "normal", input_axes=[0], output_axes=[1, 2])
    masked = Zero(Where(lambda i, j, k: (i + 3 * j + 7 * k) % 10 != 0), Flat(0))
    weight = Shared((300, 20, 10), [masked], initializer)(np.zeros((1, 1))).numpy()
    np.testing.assert_allclose(weight[weight != 0].std(), np.sqrt(1 / 30), rtol=0.02)


TIES = {
    "Dense(4": "[6]",
    "Conv2D(3, 2": "[6, 6, 2]",
    "Conv2DTranspose(3, 2": "[6, 6, 2]",
    "DepthwiseConv2D(2": "[6, 6, 2]",
    'EinsumDense("abc,cde->abde", [5, 2, 3]': "[5, 4]",
    'EinsumDense("abc,dbc->ad", 7': "[2, 3]",
    "MultiHeadAttention(2, 3": "[5, 4]",
}


@pytest.mark.parametrize("initializer", ["GlorotUniform(seed=1)", "HeNormal(seed=1)", "RandomNormal(seed=1)"])
@pytest.mark.parametrize("construct", TIES)
def test_a_tied_weight_is_drawn_as_its_owner_would(construct, initializer):
    """To the bit: for a layer of which the kernel has three axes, the initializer must be told what is an input."""
    name, role = "kernel", "kernel"
    if construct.startswith("Depthwise"):
        role = "depthwise"
    if construct.startswith("Multi"):
        name = "query.kernel"
    apply = "{0}(x, x)" if construct.startswith("Multi") else "x -> {0}"

    def kernels(tie, further=""):
        text = f"""
            network Net {{
                input x: {TIES[construct]}
                layer own = {construct}, {role}_initializer={initializer}) {further}
                layer use = {construct}) {tie}
                output y = {apply.format("own")}
                output z = {apply.format("use")}
            }}
        """
        return wdsl.effective_weights(wdsl.loads(text).to_keras())

    tied = kernels(f"{{ {name}: tie(own.{name}) }}")
    alone = kernels("", f"{{ {name}: frozen }}")
    np.testing.assert_array_equal(tied[f"own.{name}"], alone[f"own.{name}"])
    np.testing.assert_array_equal(tied[f"use.{name}"], alone[f"own.{name}"])


def test_coupled_weights_are_drawn_as_their_owners_would():
    """Ties of parts too; what is not tied is drawn as if the layer stood alone."""
    text = """
        network Net {{
            input x: [5, 4]
            layer own = MultiHeadAttention(2, 3, kernel_initializer=HeNormal(seed=1)) {{ query.kernel: {0} }}
            layer use = MultiHeadAttention(2, 3) {{ {1} }}
            output y = own(x, x)
            output z = use(x, x)
        }}
    """
    alone, coupled = (
        wdsl.effective_weights(wdsl.loads(text.format(*words)).to_keras())["own.query.kernel"].ravel()
        for words in (("frozen", ""), ("tie[(0, 0, 0)](use.query.kernel[1, 1, 1])", ""))
    )
    np.testing.assert_array_equal(alone[1:], coupled[1:])
