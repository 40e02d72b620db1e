"""A vision transformer (Dosovitskiy and others, 2021): an image as a sequence of patches, with a token for its class.

Written by wdsl from specs/vit.wnet:

    ## A vision transformer (Dosovitskiy and others, 2021): an image as a sequence of patches, with a token for its class.
    network ViT(
        side: int = 32,
        patch: int = 8,
        ## The paper's ViT-B has 768, 12 and 12.
        width: int = 32,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        classes: int = 10,
    ) {
        assert side % patch == 0, "an image is a whole number of patches wide"

        input image: [side, side, 3]
        patches = (side // patch) ** 2
        weight token:    [1, width] = Zeros()
        weight position: [patches + 1, width] = RandomNormal(stddev=0.02)

        h = image -> Conv2D(width, patch, strides=patch) -> Reshape([patches, width])
        h = concat([zeros_like(h[:, :1]) + token, h], axis=1) + position -> Dropout(dropout)
        for i in range(depth) {
            h = h -> Encoder(heads, 4 * width, dropout)
        }
        output class = (
            (h -> LayerNormalization(epsilon=1e-6))[:, 0] -> Dense(classes, activation=softmax)
        )
    }

    ## Attention and a perceptron, each around a way that leaves all as it is.
    block Encoder(heads: int, hidden: int, dropout: float) {
        input x: [length, width]
        h = x -> LayerNormalization(epsilon=1e-6)
        x = x + (MultiHeadAttention(heads, width // heads, dropout=dropout)(h, h) -> Dropout(dropout))
        h = x -> LayerNormalization(epsilon=1e-6) -> Dense(hidden, activation=gelu) -> Dropout(dropout)
        output y = x + (h -> Dense(width) -> Dropout(dropout))
    }
"""

import keras
from keras import initializers, layers, ops


def ViT(
    side: int = 32,
    patch: int = 8,
    width: int = 32,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    classes: int = 10,
) -> keras.Model:
    """A vision transformer (Dosovitskiy and others, 2021): an image as a sequence of patches, with a token for its class.

    Args:
        side: A parameter of type int.
        patch: A parameter of type int.
        width: The paper's ViT-B has 768, 12 and 12.
        depth: A parameter of type int.
        heads: A parameter of type int.
        dropout: A parameter of type float.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, side, side, 3) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((side, side, 3), name="image")  # line 14
    token = Shared((1, width), initializer=initializers.Zeros(), name="token")(
        image
    )  # line 16
    position = Shared(
        ((side // patch) ** 2 + 1, width),
        initializer=initializers.RandomNormal(stddev=0.02),
        name="position",
    )(image)  # line 17

    patches = (side // patch) ** 2  # line 15

    h = layers.Conv2D(width, patch, strides=patch)(image)  # line 19
    h = layers.Reshape((patches, width))(h)
    h = layers.Dropout(dropout)(
        ops.concatenate([ops.zeros_like(h[:, :1]) + token, h], axis=1) + position
    )  # line 20
    for _ in range(depth):  # line 21
        h = Encoder(h, heads, 4 * width, dropout)  # line 22
    class_ = layers.Dense(classes, activation="softmax")(
        layers.LayerNormalization(epsilon=1e-06)(h)[:, 0]
    )  # line 24

    return keras.Model(image, class_, name="ViT")


def Encoder(
    x: keras.KerasTensor, heads: int, hidden: int, dropout: float
) -> keras.KerasTensor:
    """Attention and a perceptron, each around a way that leaves all as it is."""
    h = layers.LayerNormalization(epsilon=1e-06)(x)  # line 32
    z = layers.MultiHeadAttention(heads, x.shape[2] // heads, dropout=dropout)(
        h, h
    )  # line 33
    z = layers.Dropout(dropout)(z)
    x = x + z
    h = layers.LayerNormalization(epsilon=1e-06)(x)  # line 34
    h = layers.Dense(hidden, activation="gelu")(h)
    h = layers.Dropout(dropout)(h)
    y = layers.Dense(x.shape[2])(h)  # line 35
    y = layers.Dropout(dropout)(y)
    return x + y


@keras.saving.register_keras_serializable("ViT", "Shared_790019")
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
