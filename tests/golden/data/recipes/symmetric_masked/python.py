"""Whitens the channels of an image before it is classified: of the matrices that do, the symmetric one changes the
image least.

The whole of `whiten` is stored, so that a kernel without the symmetry can be loaded into it. A forward pass uses
what is stored on the diagonal and above, and its mirror image. What is below the diagonal is never read.

Written by wdsl from specs/recipes/symmetric_masked.wnet:

    ## Whitens the channels of an image before it is classified: of the matrices that do, the symmetric one changes the
    ## image least.
    ##
    ## The whole of `whiten` is stored, so that a kernel without the symmetry can be loaded into it. A forward pass uses
    ## what is stored on the diagonal and above, and its mirror image. What is below the diagonal is never read.
    network Whitening(channels: int = 4, classes: int = 3) {
        input image: [8, 8, channels]

        layer whiten = Dense(channels, use_bias=false) symmetric via mask
        layer look   = Conv2D(6, 3, activation=relu)

        output class = (
            image -> whiten -> look -> GlobalAveragePooling2D() -> Dense(classes, activation=softmax)
        )
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Whitening(channels: int = 4, classes: int = 3) -> keras.Model:
    """Whitens the channels of an image before it is classified: of the matrices that do, the symmetric one changes the
    image least.

    The whole of `whiten` is stored, so that a kernel without the symmetry can be loaded into it. A forward pass uses
    what is stored on the diagonal and above, and its mirror image. What is below the diagonal is never read.

    Returns:
        A model from `image`, (batch, 8, 8, channels) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((8, 8, channels), name="image")  # line 7

    whiten = Whiten(channels, use_bias=False, name="whiten")  # line 9
    look = layers.Conv2D(6, 3, activation="relu", name="look")  # line 10

    class_ = whiten(image)  # line 12
    class_ = look(class_)
    class_ = layers.GlobalAveragePooling2D()(class_)
    class_ = layers.Dense(classes, activation="softmax")(class_)

    return keras.Model(image, class_, name="Whitening")


def refused(layer, first=None, *others, mode=None, **options):
    """In place of `quantize` and `enable_lora`, which would break a weight's structure.

    Keras goes on without what is not implemented, but not in these two modes.
    """
    error = ValueError if (mode or first) in ("gptq", "awq") else NotImplementedError
    raise error(f"Leave {layer.name!r} out, by `filters` or `dtype`: it has structure.")


@keras.saving.register_keras_serializable("Whitening", "Whiten_cfcd4f")
class Whiten(layers.Dense):
    """A `Dense` whose kernel is symmetric wherever it is used."""

    structure = ("kernel: symmetric via mask",)

    def add_weight(self, shape, initializer, name, **options):
        if name != "kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        label = np.minimum(entry, entry.T)
        self.used = StoredGroups(label.ravel())

        def draw(_, dtype):
            kernel = initializer(shape, dtype)
            return ops.take(kernel, label)

        return super().add_weight(shape, draw, name=name, autocast=False, **options)

    @property
    def kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        kernel = self.used.first(kernel)
        return ops.cast(kernel, self.compute_dtype)

    save_own_variables = keras.Layer.save_own_variables
    load_own_variables = keras.Layer.load_own_variables
    quantize = quantized_build = enable_lora = refused


class StoredGroups:
    """Stored numbers of which some are to be one, up to a factor, or constant.

    `label` is the same for those that are one, and each counts so many times in the mean.
    """

    def __init__(self, label, live=True, factor=1.0, constant=0.0, counts=1.0):
        live, factor, counts = (
            np.broadcast_to(each, label.shape) for each in (live, factor, counts)
        )
        self.live, self.factor, self.constant = live, factor, constant
        _, first, group = np.unique(
            np.where(live, label, -1), return_index=True, return_inverse=True
        )
        self.first_of, self.group, self.size = first[group], group, first.size
        self.share = counts * factor / np.bincount(group, counts)[group]

    def first(self, numbers):
        """Each group as its first number says."""
        flat = ops.take(numbers, self.first_of) * ops.cast(self.factor, numbers.dtype)
        return self.with_constants(flat, numbers)

    def mean(self, numbers):
        """Each group as its numbers say on average."""
        flat = self.means(ops.reshape(numbers, (-1,)))
        return self.with_constants(flat * ops.cast(self.factor, numbers.dtype), numbers)

    def nearest(self, numbers):
        """The same, to the bit as it was where it is so already."""
        flat, factor = ops.reshape(numbers, (-1,)), ops.cast(self.factor, numbers.dtype)
        first = ops.take(flat, self.first_of)
        return self.with_constants(
            (first + self.means(flat - first * factor)) * factor, numbers
        )

    def means(self, flat):
        parts = flat * ops.cast(self.share, flat.dtype)
        return ops.take(ops.segment_sum(parts, self.group, self.size), self.group)

    def with_constants(self, flat, numbers):
        flat = ops.where(self.live, flat, ops.cast(self.constant, flat.dtype))
        return ops.reshape(flat, numbers.shape)
