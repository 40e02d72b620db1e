"""MLP-Mixer (Tolstikhin et al., 2021): an image cut into patches, and layers that by turns see one channel in all
patches and one patch in all channels. There is no attention in it, and one convolution, which cuts.

Written by wdsl from specs/mixer.wnet:

    ## MLP-Mixer (Tolstikhin et al., 2021): an image cut into patches, and layers that by turns see one channel in all
    ## patches and one patch in all channels. There is no attention in it, and one convolution, which cuts.
    network Mixer(
        ## Height and width of the image, and of a patch of it.
        side: int = 16,
        patch: int = 4,
        ## Channels of a patch.
        width: int = 8,
        depth: int = 2,
        ## Units between two layers that see patches, and between two that see channels.
        places: int = 12,
        channels: int = 32,
        classes: int = 10,
    ) {
        input image: [side, side, 3]

        h = image -> Conv2D(width, patch, strides=patch) -> Reshape([(side // patch) ** 2, width])
        h = h -> Mix(places, channels) * depth -> LayerNormalization()
        output class = h -> GlobalAveragePooling1D() -> Dense(classes, activation=softmax)

        assert side % patch == 0, "the patches do not cover the image"
    }

    ## Both turns, each with a way around it.
    block Mix(places: int, channels: int) {
        input x: [patches, width]
        # Dense layers see the last axis. For the first of them that is where the patches are.
        turned = x -> LayerNormalization() -> Permute([2, 1])
        h = x + (turned -> Think(places, patches) -> Permute([2, 1]))
        output y = h + (h -> LayerNormalization() -> Think(channels, width))
    }

    block Think(hidden: int, width: int) {
        input x
        output y = x -> Dense(hidden, activation=gelu) -> Dense(width)
    }
"""

import keras
from keras import layers


def Mixer(
    side: int = 16,
    patch: int = 4,
    width: int = 8,
    depth: int = 2,
    places: int = 12,
    channels: int = 32,
    classes: int = 10,
) -> keras.Model:
    """MLP-Mixer (Tolstikhin et al., 2021): an image cut into patches, and layers that by turns see one channel in all
    patches and one patch in all channels. There is no attention in it, and one convolution, which cuts.

    Args:
        side: Height and width of the image, and of a patch of it.
        patch: A parameter of type int.
        width: Channels of a patch.
        depth: A parameter of type int.
        places: Units between two layers that see patches, and between two that see channels.
        channels: A parameter of type int.
        classes: A parameter of type int.

    Returns:
        A model from `image`, (batch, side, side, 3) float32,
        to `class`, (batch, classes) float32.
    """
    image = keras.Input((side, side, 3), name="image")  # line 15

    h = layers.Conv2D(width, patch, strides=patch)(image)  # line 17
    h = layers.Reshape(((side // patch) ** 2, width))(h)
    for _ in range(depth):  # line 18
        h = Mix(h, places, channels)
    h = layers.LayerNormalization()(h)  # line 18
    class_ = layers.GlobalAveragePooling1D()(h)  # line 19
    class_ = layers.Dense(classes, activation="softmax")(class_)

    return keras.Model(image, class_, name="Mixer")


def Mix(x: keras.KerasTensor, places: int, channels: int) -> keras.KerasTensor:
    """Both turns, each with a way around it."""
    turned = layers.LayerNormalization()(x)  # line 28
    turned = layers.Permute((2, 1))(turned)
    h = Think(turned, places, x.shape[1])  # line 29
    h = layers.Permute((2, 1))(h)
    h = x + h
    y = layers.LayerNormalization()(h)  # line 30
    y = Think(y, channels, x.shape[2])
    return h + y


def Think(x: keras.KerasTensor, hidden: int, width: int) -> keras.KerasTensor:
    """The block `Think`."""
    y = layers.Dense(hidden, activation="gelu")(x)  # line 35
    return layers.Dense(width)(y)
