"""A recurrent network that neither explodes nor dies: its recurrent matrix equals minus its transpose, so that all
eigenvalues are imaginary (Chang, Chen, Haber and Chi, AntisymmetricRNN, 2019).

Written by wdsl from specs/antisymmetric_rnn.wnet:

    ## A recurrent network that neither explodes nor dies: its recurrent matrix equals minus its transpose, so that all
    ## eigenvalues are imaginary (Chang, Chen, Haber and Chi, AntisymmetricRNN, 2019).
    network AntisymmetricRNN(width: int = 12, classes: int = 3) {
        input sequence: [?, 4]

        layer read   = SimpleRNN(width) { recurrent_kernel: skew }
        layer answer = Dense(classes, activation=softmax)

        output class = sequence -> read -> answer
    }
"""

import keras
import numpy as np
from keras import layers, ops


def AntisymmetricRNN(width: int = 12, classes: int = 3) -> keras.Model:
    """A recurrent network that neither explodes nor dies: its recurrent matrix equals minus its transpose, so that all
    eigenvalues are imaginary (Chang, Chen, Haber and Chi, AntisymmetricRNN, 2019).

    Returns:
        A model from `sequence`, (batch, ?, 4) float32,
        to `class`, (batch, classes) float32.
    """
    sequence = keras.Input((None, 4), name="sequence")  # line 4

    read = Read(ReadCell(width), name="read")  # line 6
    answer = layers.Dense(classes, activation="softmax", name="answer")  # line 7

    class_ = answer(read(sequence))  # line 9

    return keras.Model(sequence, class_, name="AntisymmetricRNN")


@keras.saving.register_keras_serializable("AntisymmetricRNN", "Read_50dce1")
class Read(layers.RNN):
    """An `RNN` of a `SimpleRNNCell` whose recurrent_kernel is skew-symmetric."""

    structure = ()

    def inner_loop(self, *arguments, **options):
        # Made once, for all steps.
        self.cell.made_recurrent_kernel = self.cell.recurrent_kernel
        try:
            return super().inner_loop(*arguments, **options)
        finally:
            self.cell.made_recurrent_kernel = None


@keras.saving.register_keras_serializable("AntisymmetricRNN", "ReadCell_50dce1")
class ReadCell(layers.SimpleRNNCell):
    """A `SimpleRNNCell` whose recurrent_kernel is skew-symmetric."""

    structure = ("recurrent_kernel: skew",)
    made_recurrent_kernel = None

    def add_weight(self, shape, initializer, name, **options):
        if name != "recurrent_kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        entry = np.arange(np.prod(shape)).reshape(shape)
        label = np.minimum(entry, entry.T)
        live = entry != entry.T
        sign = np.where(entry == label, 1, -1)
        self.sign = sign
        places, where = np.unique(label[live], return_inverse=True)
        self.where = np.full(shape, places.size)
        self.where[live] = where

        def draw(_, dtype):
            recurrent_kernel = initializer(shape, dtype)
            return ops.take(ops.reshape(recurrent_kernel, (-1,)), places)

        return super().add_weight(
            places.shape, draw, name=name, autocast=False, **options
        )

    @property
    def recurrent_kernel(self):
        if self.made_recurrent_kernel is not None:
            return self.made_recurrent_kernel
        recurrent_kernel = ops.take(ops.pad(self._recurrent_kernel, (0, 1)), self.where)
        recurrent_kernel = recurrent_kernel * ops.cast(
            self.sign, recurrent_kernel.dtype
        )
        return ops.cast(recurrent_kernel, self.compute_dtype)

    @recurrent_kernel.setter
    def recurrent_kernel(self, numbers):
        self._recurrent_kernel = numbers
