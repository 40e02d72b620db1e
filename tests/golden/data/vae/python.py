"""A variational autoencoder (Kingma and Welling, 2014) for small images.

Its loss is the error of `image`, and how far the code is from a normal distribution, which `mean` and `log_variance`
are put out for. In inference the code is its mean.

Written by wdsl from specs/vae.wnet:

    ## A variational autoencoder (Kingma and Welling, 2014) for small images.
    ##
    ## Its loss is the error of `image`, and how far the code is from a normal distribution, which `mean` and `log_variance`
    ## are put out for. In inference the code is its mean.
    network VAE(code: int = 8, widths: list = [16, 32]) {
        assert len(widths) == 2, "28 is halved twice"

        input digit: [28, 28, 1]
        h = digit
        for width in widths {
            h = h -> Conv2D(width, 3, strides=2, padding=same, activation=relu)
        }
        h = h -> Flatten() -> Dense(64, activation=relu)
        output mean = h -> Dense(code)
        output log_variance = h -> Dense(code)

        noise = random_normal(shape(mean), training_only=true)
        h = mean + exp(0.5 * log_variance) * noise
        h = h -> Dense(7 * 7 * widths[-1], activation=relu) -> Reshape([7, 7, widths[-1]])
        for width in reversed(widths) {
            h = h -> Conv2DTranspose(width, 3, strides=2, padding=same, activation=relu)
        }
        output image = h -> Conv2DTranspose(1, 3, padding=same, activation=sigmoid)
    }
"""

import keras
from keras import layers, ops


def VAE(code: int = 8, widths: tuple = (16, 32)) -> keras.Model:
    """A variational autoencoder (Kingma and Welling, 2014) for small images.

    Its loss is the error of `image`, and how far the code is from a normal distribution, which `mean` and `log_variance`
    are put out for. In inference the code is its mean.

    Returns:
        A model from `digit`, (batch, 28, 28, 1) float32,
        to `mean`, (batch, code) float32,
        `log_variance`, (batch, code) float32,
        and `image`, (batch, 28, 28, 1) float32.
    """
    digit = keras.Input((28, 28, 1), name="digit")  # line 8
    h = digit  # line 9
    for width in widths:  # line 10
        h = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(
            h
        )  # line 11
    h = layers.Flatten()(h)  # line 13
    h = layers.Dense(64, activation="relu")(h)
    mean = layers.Dense(code)(h)  # line 14
    log_variance = layers.Dense(code)(h)  # line 15

    noise = RandomNormal(training_only=True)(mean)  # line 17
    h = mean + ops.exp(0.5 * log_variance) * noise  # line 18
    h = layers.Dense(7 * 7 * widths[-1], activation="relu")(h)  # line 19
    h = layers.Reshape((7, 7, widths[-1]))(h)
    for width in reversed(widths):  # line 20
        h = layers.Conv2DTranspose(
            width, 3, strides=2, padding="same", activation="relu"
        )(h)  # line 21
    image = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(
        h
    )  # line 23

    return keras.Model(
        digit, {"mean": mean, "log_variance": log_variance, "image": image}, name="VAE"
    )


@keras.saving.register_keras_serializable("VAE", "RandomNormal_37bcc6")
class RandomNormal(keras.Layer):
    """Draws a tensor of the shape of another one: numbers from a normal distribution."""

    def __init__(self, mean=0.0, stddev=1.0, seed=None, training_only=False, **options):
        super().__init__(**options)
        self.mean = mean
        self.stddev = stddev
        self.seed = seed
        self.training_only = training_only
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if self.training_only and not training:
            return ops.zeros(ops.shape(inputs), self.compute_dtype)
        return keras.random.normal(
            ops.shape(inputs),
            self.mean,
            self.stddev,
            self.compute_dtype,
            self.seed_generator,
        )

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        """None: a mask belongs to the tensor whose shape this is."""

    def get_config(self):
        return super().get_config() | {
            "mean": self.mean,
            "stddev": self.stddev,
            "seed": self.seed,
            "training_only": self.training_only,
        }
