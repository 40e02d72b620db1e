"""The pyloric circuit, which moves the stomach of crabs and lobsters: four kinds of neurons, and no connections but
those that the animals have. In connectome.csv a row is a neuron that speaks and a column one that hears it, both in
the order AB, PD, LP, PY: the seven synapses of Prinz, Bucher and Marder (2004), and the electrical junction between
AB and PD, which goes both ways. How strong each is, is trained.

Written by wdsl from specs/connectome.wnet:

    ## The pyloric circuit, which moves the stomach of crabs and lobsters: four kinds of neurons, and no connections but
    ## those that the animals have. In connectome.csv a row is a neuron that speaks and a column one that hears it, both in
    ## the order AB, PD, LP, PY: the seven synapses of Prinz, Bucher and Marder (2004), and the electrical junction between
    ## AB and PD, which goes both ways. How strong each is, is trained.
    network Connectome {
        input current: [?, 4]

        layer pyloric = SimpleRNN(4, return_sequences=true) {
            recurrent_kernel: zero[not mask("connectome.csv")]
        }

        output rhythm = current -> pyloric
    }
"""

import keras
import numpy as np
from keras import layers, ops


def Connectome() -> keras.Model:
    """The pyloric circuit, which moves the stomach of crabs and lobsters: four kinds of neurons, and no connections but
    those that the animals have. In connectome.csv a row is a neuron that speaks and a column one that hears it, both in
    the order AB, PD, LP, PY: the seven synapses of Prinz, Bucher and Marder (2004), and the electrical junction between
    AB and PD, which goes both ways. How strong each is, is trained.

    Returns:
        A model from `current`, (batch, ?, 4) float32,
        to `rhythm`, (batch, ?, 4) float32.
    """
    current = keras.Input((None, 4), name="current")  # line 6

    pyloric = Pyloric(PyloricCell(4), return_sequences=True, name="pyloric")  # line 8

    rhythm = pyloric(current)  # line 12

    return keras.Model(current, rhythm, name="Connectome")


@keras.saving.register_keras_serializable("Connectome", "Pyloric_5ec10f")
class Pyloric(layers.RNN):
    """An `RNN` of a `SimpleRNNCell` whose recurrent_kernel has `zero[not mask("connectome.csv")]`."""

    structure = ()

    def inner_loop(self, *arguments, **options):
        # Made once, for all steps.
        self.cell.made_recurrent_kernel = self.cell.recurrent_kernel
        try:
            return super().inner_loop(*arguments, **options)
        finally:
            self.cell.made_recurrent_kernel = None


@keras.saving.register_keras_serializable("Connectome", "PyloricCell_5ec10f")
class PyloricCell(layers.SimpleRNNCell):
    """A `SimpleRNNCell` whose recurrent_kernel has `zero[not mask("connectome.csv")]`."""

    structure = ('recurrent_kernel: zero[not mask("connectome.csv")]',)
    masks = (("connectome.csv", "CONNECTOME"),)
    made_recurrent_kernel = None

    def add_weight(self, shape, initializer, name, **options):
        if name != "recurrent_kernel":
            return super().add_weight(shape, initializer, name=name, **options)
        live = CONNECTOME
        places = np.flatnonzero(live)
        self.where = np.full(shape, places.size)
        self.where[live] = np.arange(places.size)

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
        return ops.cast(recurrent_kernel, self.compute_dtype)

    @recurrent_kernel.setter
    def recurrent_kernel(self, numbers):
        self._recurrent_kernel = numbers


CONNECTOME = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0]], bool)
