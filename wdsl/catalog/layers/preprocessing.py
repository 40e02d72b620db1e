"""Layers that prepare numbers, categories and sound, inside the model."""

from __future__ import annotations

from wdsl.catalog.argument_types import is_number, show, show_shape
from wdsl.catalog.dtypes import INTS, compute_dtype, variable_dtype
from wdsl.catalog.model import CatalogError, Inferred, Shape, TensorSpec, Values
from wdsl.catalog.rows import Layer
from wdsl.catalog.shapes import (
    as_tuple,
    channels_first,
    need_axis,
    need_positive,
    need_rank,
    weight,
    window_length,
    window_phrase,
)


def rescaling(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Rescaling`: by one number, or by one for each channel."""
    x: TensorSpec = call["inputs"]
    for name in ("scale", "offset"):
        count = 1 if is_number(a[name]) else len(a[name])
        last = x.shape[-1] if x.shape else 1
        if count != 1 and last is not None and last != count:
            raise CatalogError(f"`{name}` has {count} numbers, and the last axis of the input {last:d}", name)
    return Inferred(TensorSpec(x.shape, compute_dtype(a)))


def normalization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Normalization`, whose mean and variance are weights, unless they are given."""
    x: TensorSpec = call["inputs"]
    axes = () if a["axis"] is None else as_tuple(a["axis"])
    kept = sorted(need_axis(axis, len(x.shape)) for axis in axes)
    sizes = tuple(x.shape[axis] for axis in kept)
    if None in sizes:
        raise CatalogError(f"`{layer.name}` must know the sizes along `axis`, and the input is {show_shape(x.shape)}")
    output = TensorSpec(x.shape, compute_dtype(a))
    if (a["mean"] is None) != (a["variance"] is None):
        raise CatalogError("`mean` and `variance` go together", "mean" if a["variance"] is None else "variance")
    if a["mean"] is None:
        weights = ("mean", sizes), ("variance", sizes), ("count", ())
        return Inferred(output, tuple(weight(a, name, shape, trainable=False) for name, shape in weights))
    shape = _shape_of(a["mean"], "mean")
    if shape != _shape_of(a["variance"], "variance"):
        raise CatalogError("`mean` and `variance` must have the same shape", "variance")
    if len(shape) > len(kept) or any(m not in (1, n) for m, n in zip(shape[::-1], sizes[::-1], strict=False)):
        raise CatalogError(f"`mean` is {show(list(shape))}, and the axes are {show_shape(sizes)}", "mean")
    return Inferred(output)


def _shape_of(value: object, argument: str) -> tuple[int, ...]:
    """The shape of numbers in lists in lists."""
    if not isinstance(value, (list, tuple)):
        return ()
    shapes = {_shape_of(each, argument) for each in value}
    if len(shapes) != 1:
        raise CatalogError(f"the lists in `{argument}` must be of one length, and not empty", argument)
    return (len(value), *shapes.pop())


# --- categories -----------------------------------------------------------------------------------


def _encoded(shape: Shape, mode: str, depth: int) -> Shape:
    """The shape of categories as they are, each as a row of `depth` entries, or all of the last axis as one row."""
    if mode == "int":
        return shape
    if not shape:
        return (depth,)
    if mode == "one_hot" and (shape[-1] != 1 or len(shape) == 1):
        return (*shape, depth)
    return (*shape[:-1], depth)


def category_encoding(layer: Layer, a: Values, call: Values) -> Inferred:
    """`CategoryEncoding`."""
    x: TensorSpec = call["inputs"]
    if a["num_tokens"] is None:
        raise CatalogError("`num_tokens` must be given", "num_tokens")
    return Inferred(TensorSpec(_encoded(x.shape, a["output_mode"], a["num_tokens"]), compute_dtype(a)))


def discretization(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Discretization` puts each number into the bin that it is in."""
    x: TensorSpec = call["inputs"]
    bins, mode = a["bin_boundaries"], a["output_mode"]
    if a["num_bins"] is not None:
        message = "`num_bins` needs data to find the bins in, which a file does not have: give `bin_boundaries`"
        raise CatalogError(message, "num_bins")
    if bins is None:
        raise CatalogError("`bin_boundaries` must be given")
    shape = _encoded(x.shape, mode, len(bins) + 1)
    if mode in ("multi_hot", "count") and len(x.shape) > 1:
        shape = (x.shape[0], *x.shape[2:], len(bins) + 1)  # what Keras declares
    return Inferred(TensorSpec(shape, "int32" if mode == "int" else compute_dtype(a)))


def hashing(layer: Layer, a: Values, call: Values) -> Inferred:
    """`Hashing` puts each number into a bin."""
    x: TensorSpec = call["inputs"]
    if a["output_mode"] == "int":
        if a["dtype"] not in (None, "int32", "int64"):
            raise CatalogError("the numbers of bins are int32 or int64", "dtype")
        return Inferred(TensorSpec(x.shape, a["dtype"] or "int64"))
    shape = (*x.shape[:-1], a["num_bins"])  # what Keras declares, for `one_hot` too
    return Inferred(TensorSpec(shape, variable_dtype(a)))


def hashed_crossing(layer: Layer, a: Values, call: Values) -> Inferred:
    """`HashedCrossing` puts each pair of whole numbers into a bin."""
    inputs: tuple[TensorSpec, ...] = call["inputs"]
    if len(inputs) != 2:
        raise CatalogError(f"`{layer.name}` takes 2 inputs, not {len(inputs)}")
    one, two = inputs
    for x in inputs:
        if x.dtype not in INTS:
            raise CatalogError(f"`{layer.name}` needs whole numbers, not {x.dtype}")
        if not 1 <= len(x.shape) <= 2 or (len(x.shape) == 2 and x.shape[1] != 1):
            raise CatalogError(f"`{layer.name}` takes a number of each sample, [] or [1], not {show_shape(x.shape)}")
    # Keras compares the batches where they are all that there is.
    is_unknown = len(one.shape) == 2 and None in (one.shape[0], two.shape[0])
    if one.shape[is_unknown:] != two.shape[is_unknown:]:
        raise CatalogError(f"the inputs {show_shape(one.shape)} and {show_shape(two.shape)} differ")
    if a["output_mode"] == "int":
        return Inferred(TensorSpec(one.shape, "int64" if a["dtype"] is None else compute_dtype(a)))
    return Inferred(TensorSpec(_encoded(one.shape, "one_hot", a["num_bins"]), compute_dtype(a)))


def integer_lookup(layer: Layer, a: Values, call: Values) -> Inferred:
    """`IntegerLookup`: the place of each whole number in a vocabulary, or with `invert` what is at that place."""
    x: TensorSpec = call["inputs"]
    words, mode, most = a["vocabulary"], a["output_mode"], a["max_tokens"]
    if not words:
        raise CatalogError("`vocabulary` must be given: a file has no data to find one in", "vocabulary")
    reserved = [] if a["mask_token"] is None else [a["mask_token"]]
    # Places are kept for what is masked, which the mode `int` alone has, and for what is unknown.
    special = [*(reserved if mode == "int" else []), *[a["oov_token"]] * a["num_oov_indices"]]
    own = words[len(special) :] if list(words[: len(special)]) == special else words
    if not own:
        raise CatalogError("`vocabulary` must have a number of its own", "vocabulary")
    if a["invert"]:
        reserved.append(a["oov_token"])
    if len(set(own)) < len(own) or any(word in own for word in reserved):
        kept = f", and none of {show(reserved)}" if reserved else ""
        raise CatalogError(f"`vocabulary` must have each number once{kept}", "vocabulary")
    if a["invert"] and mode != "int":
        raise CatalogError("`invert` goes with the output mode `int` alone", "output_mode")
    if a["salt"] is not None and a["oov_method"] != "farmhash":
        raise CatalogError('`salt` goes with `oov_method="farmhash"`', "salt")
    if (mode == "tf_idf") != (a["idf_weights"] is not None):
        raise CatalogError("`idf_weights` go with the output mode `tf_idf`", "idf_weights")
    if a["idf_weights"] is not None and len(a["idf_weights"]) != len(words):
        raise CatalogError("`idf_weights` must be as many as the `vocabulary`", "idf_weights")
    depth = len(special) + len(own)
    if most is not None and (most < 2 or depth > most):
        raise CatalogError(f"`max_tokens` is {most:d}, and there are {depth}", "max_tokens")
    if a["pad_to_max_tokens"]:
        if most is None:
            raise CatalogError("`pad_to_max_tokens` needs `max_tokens`", "pad_to_max_tokens")
        depth = most
    return Inferred(TensorSpec(_encoded(x.shape, mode, depth), "int64" if mode == "int" else "float32"))


# --- sound ----------------------------------------------------------------------------------------


def mel_spectrogram(layer: Layer, a: Values, call: Values) -> Inferred:
    """`MelSpectrogram` makes of a signal (batch, samples) its mel bins over time."""
    x: TensorSpec = call["inputs"]
    need_rank(x.shape, 2, layer.name, "batch, samples")
    if (a["sequence_length"] or 0) > a["fft_length"]:
        raise CatalogError("`sequence_length` must not be more than `fft_length`", "sequence_length")
    stride, samples = a["sequence_stride"], x.shape[1]
    steps = None if samples is None else (samples + stride + 1) // stride
    return Inferred(TensorSpec((x.shape[0], a["num_mel_bins"], steps), compute_dtype(a)))


def stft_spectrogram(layer: Layer, a: Values, call: Values) -> Inferred:
    """`STFTSpectrogram`: a Fourier transform in windows, as a convolution whose kernels can be trained."""
    x: TensorSpec = call["inputs"]
    first = channels_first(a)
    need_rank(x.shape, 3, layer.name, "batch, channels, samples" if first else "batch, samples, channels")
    length, mode = a["frame_length"], a["mode"]
    step = length // 2 if a["frame_step"] is None else a["frame_step"]
    if not 1 <= step <= length:
        raise CatalogError(f"`frame_step` must be from 1 to `frame_length`, and it is {step:d}", "frame_step")
    transform = 1 << (length - 1).bit_length() if a["fft_length"] is None else a["fft_length"]
    if transform < length:
        raise CatalogError("`fft_length` must not be less than `frame_length`", "fft_length")
    if x.dtype not in ("float16", "float32", "float64"):
        raise CatalogError(f"`{layer.name}` takes float16, float32 or float64, not {x.dtype}")
    samples, channels = x.shape[1:][::-1] if first else x.shape[1:]
    if channels is None:
        raise CatalogError(f"`{layer.name}` must know the channels, but the input is {show_shape(x.shape)}")
    steps = window_length(samples, length, step, a["padding"])
    if a["padding"] == "valid":
        need_positive((steps,), x.shape, layer.name, window_phrase((length,)), "frame_length")
    bins = transform // 2 + 1
    names = [name for name, without in (("real_kernel", "imag"), ("imag_kernel", "real")) if mode != without]
    weights = tuple(weight(a, name, (length, 1, bins)) for name in names)
    if mode == "stft":
        bins *= 2
    image = (steps, bins, channels) if a["expand_dims"] else (steps, bins * channels)
    if first:
        image = (channels, steps, bins) if a["expand_dims"] else (bins * channels, steps)
    return Inferred(TensorSpec((x.shape[0], *image), compute_dtype(a)), weights)


# --- rows -----------------------------------------------------------------------------------------

_SPARSE = "sparse: no = False"
_MODES = "int|one_hot|multi_hot|count"
_WINDOWS = (
    "hann|hamming|blackman|bartlett|barthann|blackmanharris|bohman|boxcar|cosine|exponential|flattop|lanczos|"
    "nuttall|parzen|taylor|triang|tukey"
)

ROWS = (
    Layer("Rescaling", "scale: float or list(float), offset: float or list(float) = 0.0", rescaling),
    Layer(
        "Normalization",
        "axis: optional axes = -1, mean: optional float or list = None, "
        "variance: optional float or list = None, invert: bool = False",
        normalization,
    ),
    Layer(
        "CategoryEncoding",
        f"num_tokens: optional size = None, output_mode: choice(one_hot|multi_hot|count) = 'multi_hot', {_SPARSE}",
        category_encoding,
        call_signature="inputs: tensor, count_weights: optional tensor = None",
    ),
    Layer(
        "Discretization",
        "bin_boundaries: optional list(float) = None, num_bins: optional count = None, epsilon: float = 0.01, "
        f"output_mode: choice({_MODES}) = 'int', {_SPARSE}",
        discretization,
        keywords="dtype",
    ),
    Layer(
        "Hashing",
        "num_bins: size, mask_value: optional int = None, salt: optional int or list(int, 2) = None, "
        f"output_mode: choice({_MODES}) = 'int', {_SPARSE}",
        hashing,
    ),
    Layer(
        "HashedCrossing",
        f"num_bins: size, output_mode: choice(int|one_hot) = 'int', {_SPARSE}",
        hashed_crossing,
        call_signature="inputs: tensors",
    ),
    Layer(
        "IntegerLookup",
        "max_tokens: optional size = None, num_oov_indices: count = 1, mask_token: optional int = None, "
        "oov_token: int = -1, vocabulary: optional list(int) = None, vocabulary_dtype: choice(int64) = 'int64', "
        f"idf_weights: optional list(float) = None, invert: bool = False, "
        f"output_mode: choice({_MODES}|tf_idf) = 'int', {_SPARSE}, pad_to_max_tokens: bool = False, "
        "oov_method: choice(floormod|farmhash) = 'floormod' since 3.14, "
        "salt: optional int or list(int, 2) = None since 3.14",
        integer_lookup,
        keywords="",
    ),
    Layer(
        "MelSpectrogram",
        "fft_length: size = 2048, sequence_stride: size = 512, sequence_length: optional count = None, "
        "window: optional choice(hann|hamming) = 'hann', sampling_rate: size = 16000, num_mel_bins: size = 128, "
        "min_freq: nonnegative = 20.0, max_freq: optional positive = None, power_to_db: bool = True, "
        "top_db: float = 80.0, mag_exp: float = 2.0, min_power: float = 1e-10, ref_power: float = 1.0",
        mel_spectrogram,
    ),
    Layer(
        "STFTSpectrogram",
        "mode: choice(log|magnitude|psd|real|imag|angle|stft) = 'log', frame_length: size = 256, "
        "frame_step: optional size = None, fft_length: optional size = None, "
        f"window: optional choice({_WINDOWS}) = 'hann', periodic: bool = False, "
        "scaling: optional choice(density|spectrum) = 'density', padding: choice(valid|same) = 'valid', "
        "expand_dims: bool = False, data_format: optional data_format = None",
        stft_spectrogram,
    ),
)
