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
    if depth != 2:
        raise ValueError(
            "`depth` decides what Mixer is made of: build it again for another"
        )

    image = keras.Input((side, side, 3), name="image")  # line 15

    h = layers.Reshape(((side // patch) ** 2, width))(
        layers.Conv2D(width, patch, strides=patch)(image)
    )  # line 17

    mix_layer_normalization = layers.LayerNormalization(
        name="mix_layer_normalization"
    )  # line 28

    mix_turned = layers.Permute((2, 1))(mix_layer_normalization(h))  # line 28

    think_dense = layers.Dense(places, activation="gelu", name="think_dense")  # line 35
    think_dense_2 = layers.Dense((side // patch) ** 2, name="think_dense_2")  # line 35

    think_y = think_dense_2(think_dense(mix_turned))  # line 35

    mix_h = h + layers.Permute((2, 1))(think_y)  # line 29
    mix_layer_normalization_2 = layers.LayerNormalization(
        name="mix_layer_normalization_2"
    )  # line 30
    think_2_x = mix_layer_normalization_2(mix_h)  # line 30

    think_2_dense = layers.Dense(
        channels, activation="gelu", name="think_2_dense"
    )  # line 35
    think_2_dense_2 = layers.Dense(width, name="think_2_dense_2")  # line 35

    think_2_y = think_2_dense_2(think_2_dense(think_2_x))  # line 35

    mix_y = mix_h + think_2_y  # line 30

    mix_2_layer_normalization = layers.LayerNormalization(
        name="mix_2_layer_normalization"
    )  # line 28

    mix_2_turned = layers.Permute((2, 1))(mix_2_layer_normalization(mix_y))  # line 28

    think_3_dense = layers.Dense(
        places, activation="gelu", name="think_3_dense"
    )  # line 35
    think_3_dense_2 = layers.Dense(
        (side // patch) ** 2, name="think_3_dense_2"
    )  # line 35

    think_3_y = think_3_dense_2(think_3_dense(mix_2_turned))  # line 35

    mix_2_h = mix_y + layers.Permute((2, 1))(think_3_y)  # line 29
    mix_2_layer_normalization_2 = layers.LayerNormalization(
        name="mix_2_layer_normalization_2"
    )  # line 30
    think_4_x = mix_2_layer_normalization_2(mix_2_h)  # line 30

    think_4_dense = layers.Dense(
        channels, activation="gelu", name="think_4_dense"
    )  # line 35
    think_4_dense_2 = layers.Dense(width, name="think_4_dense_2")  # line 35

    think_4_y = think_4_dense_2(think_4_dense(think_4_x))  # line 35

    mix_2_y = mix_2_h + think_4_y  # line 30

    h = layers.LayerNormalization()(mix_2_y)  # line 18
    class_ = layers.Dense(classes, activation="softmax")(
        layers.GlobalAveragePooling1D()(h)
    )  # line 19

    return keras.Model(image, class_, name="Mixer")
