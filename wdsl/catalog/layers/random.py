"""Tensors that are drawn anew in each call: layers of wdsl's own, which the wiring has as functions."""

from __future__ import annotations

from collections.abc import Mapping

from wdsl.catalog.dtypes import compute_dtype
from wdsl.catalog.model import CatalogError, Inferred, TensorSpec, Values
from wdsl.catalog.rows import Layer


def _drawn(row: Layer, a: Values, call: Values) -> Inferred:
    """A tensor of the same shape."""
    if row.name == "RandomUniform" and a["minval"] > a["maxval"]:
        raise CatalogError(f"from {a['minval']} to {a['maxval']} there are no numbers", "minval")
    x: TensorSpec = call["inputs"]
    return Inferred(TensorSpec(x.shape, compute_dtype(a)))


def _row(name: str, signature: str) -> Layer:
    return Layer(name, f"{signature}, seed: optional int = None, training_only: bool = False", _drawn, keywords="")


RANDOM: Mapping[str, Layer] = {
    "random_normal": _row("RandomNormal", "mean: float = 0.0, stddev: nonnegative = 1.0"),
    "random_uniform": _row("RandomUniform", "minval: float = 0.0, maxval: float = 1.0"),
    "random_bernoulli": _row("RandomBernoulli", "p: fraction = 0.5"),
}
"""By the name of the function."""

RANDOM_CLASSES: Mapping[str, Layer] = {row.name: row for row in RANDOM.values()}
"""By the name of the class, which a written module has under the same one."""
