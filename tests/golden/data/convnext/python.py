"""ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, 2022).

Written by wdsl from specs/convnext.wnet:

    ## ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, 2022).
    network ConvNeXt(
        ## Blocks in each stage. The paper's ConvNeXt-T has [3, 3, 9, 3], its ConvNeXt-L [3, 3, 27, 3].
        depths: list = [1, 1, 2, 1],
        ## Channels in each stage. ConvNeXt-T has [96, 192, 384, 768].
        widths: list = [8, 16, 32, 64],
        ## How many of the ways through a block are left out in training, in the last one.
        drop_path: float = 0.1,
        ## What the scale of each channel begins with.
        scale: float = 1e-6,
        side: int = 32,
        classes: int = 10,
    ) {
        input image: [side, side, 3]
        h = image -> Conv2D(widths[0], 4, strides=4) -> LayerNormalization(epsilon=1e-6)
        for stage in range(len(depths)) {
            if stage > 0 {
                h = h -> LayerNormalization(epsilon=1e-6) -> Conv2D(widths[stage], 2, strides=2)
            }
            for i in range(depths[stage]) {
                rate = drop_path * (sum(depths[:stage]) + i) / max(1, sum(depths) - 1)
                h = h -> Mixed(scale, rate)
            }
        }
        h = h -> GlobalAveragePooling2D() -> LayerNormalization(epsilon=1e-6)
        output class = h -> Dense(classes, activation=softmax)
    }

    ## A depthwise convolution, a perceptron for each place, and a scale for each channel.
    block Mixed(scale: float, rate: float) {
        input x: [height, width, channels]
        weight gamma: [channels] = Constant(scale)
        h = (
            x
            -> Conv2D(channels, 7, padding=same, groups=channels)
            -> LayerNormalization(epsilon=1e-6)
            -> Dense(4 * channels)
            -> gelu
            -> Dense(channels)
        )
        output y = x + (h * gamma -> Dropout(rate, noise_shape=[none, 1, 1, 1]))
    }
"""

import keras
from keras import activations, initializers, layers, ops


def ConvNeXt(
    depths: tuple = (1, 1, 2, 1),
    widths: tuple = (8, 16, 32, 64),
    drop_path: float = 0.1,
    scale: float = 1e-06,
    side: int = 32,
    classes: int = 10,
) -> keras.Model:
    """ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, 2022).

    Args:
        depths: Blocks in each stage. The paper's ConvNeXt-T has [3, 3, 9, 3], its ConvNeXt-L [3, 3, 27, 3].
        widths: Channels in each stage. ConvNeXt-T has [96, 192, 384, 768].
        drop_path: How many of the ways through a block are left out in training, in the last one.
        scale: What the scale of each channel begins with.
        side: A parameter of type int.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, side, side, 3) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((side, side, 3), name="image")  # line 14
    h = layers.Conv2D(widths[0], 4, strides=4)(image)  # line 15
    h = layers.LayerNormalization(epsilon=1e-06)(h)
    for stage in range(len(depths)):  # line 16
        if stage > 0:  # line 17
            h = layers.LayerNormalization(epsilon=1e-06)(h)  # line 18
            h = layers.Conv2D(widths[stage], 2, strides=2)(h)
        for i in range(depths[stage]):  # line 20
            rate = (
                drop_path * (sum(depths[:stage]) + i) / max(1, sum(depths) - 1)
            )  # line 21
            h = Mixed(h, scale, rate, name=f"mixed_{stage}_{i}")  # line 22
    h = layers.GlobalAveragePooling2D()(h)  # line 25
    h = layers.LayerNormalization(epsilon=1e-06)(h)
    class_ = layers.Dense(classes, activation="softmax")(h)  # line 26

    return keras.Model(image, class_, name="ConvNeXt")


def Mixed(
    x: keras.KerasTensor, scale: float, rate: float, *, name: str
) -> keras.KerasTensor:
    """A depthwise convolution, a perceptron for each place, and a scale for each channel."""
    gamma = Shared(
        (x.shape[3],), initializer=initializers.Constant(scale), name=f"{name}_gamma"
    )(x)  # line 32
    h = layers.Conv2D(x.shape[3], 7, padding="same", groups=x.shape[3])(x)  # line 33
    h = layers.LayerNormalization(epsilon=1e-06)(h)
    h = layers.Dense(4 * x.shape[3])(h)
    h = activations.gelu(h)
    h = layers.Dense(x.shape[3])(h)
    return x + layers.Dropout(rate, noise_shape=(None, 1, 1, 1))(h * gamma)


@keras.saving.register_keras_serializable("ConvNeXt", "Shared_790019")
class Shared(keras.Layer):
    """A weight as a tensor of the graph, called on any other for the sake of standing in it."""

    structure = ()

    def __init__(self, shape, initializer="glorot_uniform", **options):
        super().__init__(**options)
        self.shape = tuple(shape)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.weight = self.add_weight(
            self.shape, self.initializer, name="weight", autocast=False
        )

    def call(self, inputs):
        return ops.reshape(self.weight, self.shape)  # a tensor, no variable

    def compute_mask(self, inputs, previous_mask):
        """None: a mask belongs to the tensor that the weight only stands beside."""

    def get_config(self):
        return super().get_config() | {
            "shape": self.shape,
            "initializer": keras.initializers.serialize(self.initializer),
        }
