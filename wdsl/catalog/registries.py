"""The names that Keras takes as strings, and the classes that a file constructs in place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wdsl.catalog.model import Kind
from wdsl.catalog.rows import Class

_NAMES = """
celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold
"""

ACTIVATIONS = frozenset(_NAMES.split())
"""The activation functions by the names that Keras's registry has for them."""


def _classes(kind: Kind, signatures: Mapping[str, str], names: str) -> Mapping[str, Class]:
    """The classes by their own names, and by the lowercase names that `names` gives as `name=Class`."""
    classes = {name: Class(name, kind, signature, name != "Constant") for name, signature in signatures.items()}
    aliases = (alias.split("=") for alias in names.split())
    return MappingProxyType(classes | {alias: classes[name] for alias, name in aliases})


_SEED = "seed: optional int = None"
_FAN = f"{_SEED}, input_axes: optional axes = None since 3.15, output_axes: optional axes = None since 3.15"

INITIALIZERS: Mapping[str, Class] = _classes(
    "initializer",
    {
        "Constant": "value: float = 0.0",
        "GlorotNormal": _FAN,
        "GlorotUniform": _FAN,
        "HeNormal": _FAN,
        "HeUniform": _FAN,
        "Identity": "gain: float = 1.0",
        "IdentityInitializer": "gain: float = 1.0",
        "LecunNormal": _FAN,
        "LecunUniform": _FAN,
        "Ones": "",
        "Orthogonal": f"gain: float = 1.0, {_SEED}",
        "OrthogonalInitializer": f"gain: float = 1.0, {_SEED}",
        "RandomNormal": f"mean: float = 0.0, stddev: float = 0.05, {_SEED}",
        "RandomUniform": f"minval: float = -0.05, maxval: float = 0.05, {_SEED}",
        "STFT": "side: choice(real|imag) = 'real', window: optional str = 'hann', "
        "scaling: optional choice(density|spectrum) = 'density', periodic: bool = False",
        "TruncatedNormal": f"mean: float = 0.0, stddev: float = 0.05, {_SEED}",
        "VarianceScaling": "scale: positive = 1.0, mode: choice(fan_in|fan_out|fan_avg) = 'fan_in', "
        "distribution: anycase(truncated_normal|untruncated_normal|uniform|normal) = 'truncated_normal', " + _FAN,
        "Zeros": "",
    },
    "constant=Constant glorot_normal=GlorotNormal glorot_uniform=GlorotUniform he_normal=HeNormal "
    "he_uniform=HeUniform identity=Identity lecun_normal=LecunNormal lecun_uniform=LecunUniform "
    "normal=RandomNormal one=Ones ones=Ones orthogonal=Orthogonal random_normal=RandomNormal "
    "random_uniform=RandomUniform stft=STFT truncated_normal=TruncatedNormal uniform=RandomUniform "
    "variance_scaling=VarianceScaling zero=Zeros zeros=Zeros STFTInitializer=STFT",
)
"""The initializers, by the name of the class and by the lowercase names of Keras's registry."""

REGULARIZERS: Mapping[str, Class] = _classes(
    "regularizer",
    {
        "L1": "l1: nonnegative = 0.01",
        "L1L2": "l1: nonnegative = 0.0, l2: nonnegative = 0.0",
        "L2": "l2: nonnegative = 0.01",
        "OrthogonalRegularizer": "factor: nonnegative = 0.01, mode: choice(rows|columns) = 'rows'",
    },
    "l1=L1 l1l2=L1L2 l2=L2 orthogonal_regularizer=OrthogonalRegularizer",
)
"""The regularizers, by class and by registry name."""

CONSTRAINTS: Mapping[str, Class] = _classes(
    "constraint",
    {
        "MaxNorm": "max_value: float = 2, axis: axes = 0",
        "MinMaxNorm": "min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: axes = 0",
        "NonNeg": "",
        "UnitNorm": "axis: axes = 0",
    },
    "max_norm=MaxNorm min_max_norm=MinMaxNorm non_neg=NonNeg unit_norm=UnitNorm",
)
"""The constraints, by class and by registry name."""
