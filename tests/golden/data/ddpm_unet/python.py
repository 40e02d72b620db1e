"""The network of denoising diffusion (Ho, Jain and Abbeel, 2020): what noise is in an image at a time.

Written by wdsl from specs/ddpm_unet.wnet:

    ## The network of denoising diffusion (Ho, Jain and Abbeel, 2020): what noise is in an image at a time.
    network DDPM(
        ## Channels at each scale, beside those of the first. The paper has 128 channels and, for CIFAR-10, [1, 2, 2, 2].
        scales: list = [1, 2, 2],
        width: int = 16,
        ## Blocks at each scale on the way down; on the way up there is one more.
        depth: int = 1,
        ## The scales at which there is attention, the first of them 0.
        attends: list = [1],
        groups: int = 4,
        dropout: float = 0.1,
        side: int = 16,
    ) {
        input image: [side, side, 3]
        input time:  [1]

        angles = time * exp(arange(0, width // 2) * (-9.2 / (width // 2)))
        when = (
            (sin(angles), cos(angles))
            -> concat(axis=-1)
            -> Dense(4 * width, activation=silu)
            -> Dense(4 * width, activation=silu)
        )

        h = image -> Conv2D(width, 3, padding=same)
        skip[0] = h
        for level, scale in enumerate(scales) {
            for i in range(depth) {
                h = (h, when) -> Residual(width * scale, level in attends, groups, dropout)
                skip[level * (depth + 1) + i + 1] = h
            }
            if level < len(scales) - 1 {
                h = h -> Conv2D(width * scale, 3, strides=2, padding=same)
                skip[(level + 1) * (depth + 1)] = h
            }
        }

        h = (h, when) -> Residual(width * scales[-1], true, groups, dropout)
        h = (h, when) -> Residual(width * scales[-1], false, groups, dropout)

        for level, scale in reversed(enumerate(scales)) {
            for i in reversed(range(depth + 1)) {
                h = (
                    (concat([h, skip[level * (depth + 1) + i]], axis=-1), when)
                    -> Residual(width * scale, level in attends, groups, dropout)
                )
            }
            if level > 0 {
                h = h -> UpSampling2D() -> Conv2D(width * scale, 3, padding=same)
            }
        }
        output noise = h -> GroupNormalization(groups) -> silu -> Conv2D(3, 3, padding=same)
    }

    block Residual(filters: int, attends: bool, groups: int, dropout: float) {
        input x: [height, width, channels]
        input when
        h = x -> GroupNormalization(groups) -> silu -> Conv2D(filters, 3, padding=same)
        h = h + (when -> Dense(filters))[:, none, none, :]
        h = (
            h
            -> GroupNormalization(groups)
            -> silu
            -> Dropout(dropout)
            -> Conv2D(filters, 3, padding=same)
        )
        h = h + (x if channels == filters else (x -> Dense(filters)))
        output y = (h -> SelfAttention(groups)) if attends else h
    }

    ## Each place of an image looks at all places.
    block SelfAttention(groups: int) {
        input x: [height, width, channels]
        h = x -> GroupNormalization(groups) -> Reshape([-1, channels])
        h = MultiHeadAttention(1, channels)(h, h)
        output y = x + (h -> Reshape([height, width, channels]))
    }
"""

import keras
from keras import activations, layers, ops


def DDPM(
    scales: tuple = (1, 2, 2),
    width: int = 16,
    depth: int = 1,
    attends: tuple = (1,),
    groups: int = 4,
    dropout: float = 0.1,
    side: int = 16,
) -> keras.Model:
    """The network of denoising diffusion (Ho, Jain and Abbeel, 2020): what noise is in an image at a time.

    Args:
        scales: Channels at each scale, beside those of the first. The paper has 128 channels and, for CIFAR-10, [1, 2, 2, 2].
        width: A parameter of type int.
        depth: Blocks at each scale on the way down; on the way up there is one more.
        attends: The scales at which there is attention, the first of them 0.
        groups: A parameter of type int.
        dropout: A parameter of type float.
        side: A parameter of type int.

    Returns:
        A model from `image`, (batch, side, side, 3) float32,
        and `time`, (batch, 1) float32,
        to `noise`, (batch, 4 * ((side + 3) // 4), 4 * ((side + 3) // 4), 3) float32.
    """
    image = keras.Input((side, side, 3), name="image")  # line 14
    time = keras.Input((1,), name="time")  # line 15

    angles = time * ops.exp(
        Constant("arange", {"start": 0, "stop": width // 2})(image)
        * (-9.2 / (width // 2))
    )  # line 17
    when = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)  # line 18
    when = layers.Dense(4 * width, activation="silu")(when)
    when = layers.Dense(4 * width, activation="silu")(when)

    h = layers.Conv2D(width, 3, padding="same")(image)  # line 25
    skip = {}  # line 26
    skip[0] = h  # line 26
    for level, scale in enumerate(scales):  # line 27
        for i in range(depth):  # line 28
            h = Residual(
                h, when, width * scale, level in attends, groups, dropout
            )  # line 29
            skip[level * (depth + 1) + i + 1] = h  # line 30
        if level < len(scales) - 1:  # line 32
            h = layers.Conv2D(width * scale, 3, strides=2, padding="same")(h)  # line 33
            skip[(level + 1) * (depth + 1)] = h  # line 34

    h = Residual(h, when, width * scales[-1], True, groups, dropout)  # line 38
    h = Residual(h, when, width * scales[-1], False, groups, dropout)  # line 39

    for level, scale in reversed(tuple(enumerate(scales))):  # line 41
        for i in reversed(range(depth + 1)):  # line 42
            h = ops.concatenate([h, skip[level * (depth + 1) + i]], axis=-1)  # line 43
            h = Residual(h, when, width * scale, level in attends, groups, dropout)
        if level > 0:  # line 48
            h = layers.UpSampling2D()(h)  # line 49
            h = layers.Conv2D(width * scale, 3, padding="same")(h)
    noise = layers.GroupNormalization(groups)(h)  # line 52
    noise = activations.silu(noise)
    noise = layers.Conv2D(3, 3, padding="same")(noise)

    return keras.Model([image, time], noise, name="DDPM")


def Residual(
    x: keras.KerasTensor,
    when: keras.KerasTensor,
    filters: int,
    attends: bool,
    groups: int,
    dropout: float,
) -> keras.KerasTensor:
    """The block `Residual`."""
    h = layers.GroupNormalization(groups)(x)  # line 58
    h = activations.silu(h)
    h = layers.Conv2D(filters, 3, padding="same")(h)
    h = h + layers.Dense(filters)(when)[:, None, None, :]  # line 59
    h = layers.GroupNormalization(groups)(h)  # line 60
    h = activations.silu(h)
    h = layers.Dropout(dropout)(h)
    h = layers.Conv2D(filters, 3, padding="same")(h)
    h = h + (x if x.shape[3] == filters else layers.Dense(filters)(x))  # line 67
    return SelfAttention(h, groups) if attends else h


def SelfAttention(x: keras.KerasTensor, groups: int) -> keras.KerasTensor:
    """Each place of an image looks at all places."""
    h = layers.GroupNormalization(groups)(x)  # line 74
    h = layers.Reshape((-1, x.shape[3]))(h)
    h = layers.MultiHeadAttention(1, x.shape[3])(h, h)  # line 75
    return x + layers.Reshape((x.shape[1], x.shape[2], x.shape[3]))(h)


@keras.saving.register_keras_serializable("DDPM", "Constant_e53552")
class Constant(keras.Layer):
    """A tensor that is the same for all inputs, called on any other for the sake of standing in the graph.

    It is what a function of `keras.ops` gives that takes no tensors.
    """

    def __init__(self, function, arguments, **options):
        super().__init__(**options)
        self.function = function
        self.arguments = dict(arguments)

    def call(self, inputs):
        return getattr(ops, self.function)(**self.arguments)

    def compute_mask(self, inputs, previous_mask):
        """None: a mask belongs to the tensor that the constant only stands beside."""

    def get_config(self):
        return super().get_config() | {
            "function": self.function,
            "arguments": self.arguments,
        }
