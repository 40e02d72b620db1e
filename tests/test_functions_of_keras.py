"""Functions in wiring: a network with functions of every kind gives what Keras itself makes of them."""

from __future__ import annotations

import pytest

import wdsl

keras = pytest.importorskip("keras")
np = pytest.importorskip("numpy")
ops = keras.ops

TEXT = """network N {
    input a: [3, 4]
    input b: [4, 5]
    c = einsum("bij,bjk->bik", a, b)
    d = (a, b) -> einsum("bij,bjk->bik")
    best, place = c -> top_k(2)
    e = where(greater(c, 0), c, 0.5)
    image = reshape(a, [-1, 3, 4, 1]) -> resize([6, 8])
    output sums = c + d + (e -> pad([[0, 0], [1, 0], [0, 0]]) -> flip(axis=1) -> take([0, 1, 2], axis=1))
    output bests = best + cast(place, float32)
    output norms = e -> logsumexp(axis=1) -> normalize -> round(1)
    output large = image -> rgb_to_grayscale
}
"""


def test_functions_give_what_keras_gives() -> None:
    model = wdsl.loads(TEXT).to_keras()
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype("float32") for shape in ((2, 3, 4), (2, 4, 5)))
    found = model({"a": a, "b": b})

    c = ops.matmul(a, b)
    e = ops.where(c > 0, c, 0.5)
    best, place = ops.top_k(c, 2)
    assert np.allclose(found["sums"], 2 * c + ops.flip(ops.pad(e, [[0, 0], [1, 0], [0, 0]]), 1)[:, :3], atol=1e-6)
    assert np.array_equal(found["bests"], best + ops.cast(place, "float32"))
    assert np.array_equal(found["norms"], ops.round(ops.normalize(ops.logsumexp(e, 1)), 1))
    assert np.array_equal(found["large"], ops.image.resize(ops.reshape(a, (2, 3, 4, 1)), (6, 8)))


def test_einsum_takes_tensors_only_where_they_stand() -> None:
    with pytest.raises(wdsl.WdslError) as caught:
        wdsl.loads('network N { input a: [3]\n output y = einsum("bi->b", operands=a) }')
    assert [each.code for each in caught.value.diagnostics] == ["E0302"]
