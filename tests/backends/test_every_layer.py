"""Layers without weights that can be trained, and wrappers in odd places: both backends build them, and they run."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import wdsl

IMAGE = "[8, 8, 3]"
CASES: dict[str, tuple[str, str]] = {
    "AdaptiveAveragePooling1D": ("[8, 3]", "AdaptiveAveragePooling1D(2)"),
    "AdaptiveMaxPooling2D": (IMAGE, "AdaptiveMaxPooling2D([2, 3])"),
    "AugMix": (IMAGE, "AugMix()"),
    "AutoContrast": (IMAGE, "AutoContrast()"),
    "CategoryEncoding": ("int32[4]", "CategoryEncoding(5)"),
    "CenterCrop": (IMAGE, "CenterCrop(3, 4)"),
    "ContrastLimitedAdaptiveHistogramEqualization": (IMAGE, "ContrastLimitedAdaptiveHistogramEqualization()"),
    "Cropping2D": (IMAGE, "Cropping2D([[1, 2], 1])"),
    "CutMix": (IMAGE, "CutMix()"),
    "Discretization": ("[4]", "Discretization([0.0, 0.5])"),
    "HashedCrossing": ("int32[1]", "HashedCrossing(5)"),
    "Hashing": ("int32[4]", "Hashing(5, salt=3)"),
    "IntegerLookup": ("int32[4]", "IntegerLookup(vocabulary=[3, 1], num_oov_indices=2)"),
    "MelSpectrogram": ("[64]", "MelSpectrogram(fft_length=16, sequence_stride=4, num_mel_bins=3)"),
    "MixUp": (IMAGE, "MixUp()"),
    "Normalization": ("[4, 3]", "Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0])"),
    "RandAugment": (IMAGE, "RandAugment()"),
    "RandomBrightness": (IMAGE, "RandomBrightness(0.2)"),
    "RandomColorDegeneration": (IMAGE, "RandomColorDegeneration(0.2)"),
    "RandomColorJitter": (IMAGE, "RandomColorJitter(hue_factor=0.2)"),
    "RandomContrast": (IMAGE, "RandomContrast(0.2)"),
    "RandomCrop": (IMAGE, "RandomCrop(8, 8)"),  # Keras 3.15 crops nothing unless it trains, and declares that it does
    "RandomElasticTransform": (IMAGE, "RandomElasticTransform()"),
    "RandomErasing": (IMAGE, "RandomErasing()"),
    "RandomFlip": (IMAGE, "RandomFlip(mode=horizontal)"),
    "RandomGaussianBlur": (IMAGE, "RandomGaussianBlur()"),
    "RandomGrayscale": (IMAGE, "RandomGrayscale()"),
    "RandomHue": (IMAGE, "RandomHue(0.2)"),
    "RandomInvert": (IMAGE, "RandomInvert()"),
    "RandomPerspective": (IMAGE, "RandomPerspective()"),
    "RandomPosterization": (IMAGE, "RandomPosterization(4)"),
    "RandomRotation": (IMAGE, "RandomRotation([-0.1, 0.2])"),
    "RandomSaturation": (IMAGE, "RandomSaturation(0.2)"),
    "RandomSharpness": (IMAGE, "RandomSharpness(0.2)"),
    "RandomShear": (IMAGE, "RandomShear(0.2)"),
    "RandomTranslation": (IMAGE, "RandomTranslation(0.2, 0.2)"),
    "RandomZoom": (IMAGE, "RandomZoom(0.2)"),
    "Rescaling": (IMAGE, "Rescaling([0.1, 0.2, 0.3], offset=-1)"),
    "Resizing": (IMAGE, "Resizing(4, 5)"),
    "Solarization": (IMAGE, "Solarization()"),
    "UnitNormalization": ("[4, 3]", "UnitNormalization()"),
    "ActivityRegularization": ("[4]", "ActivityRegularization(l2=0.1)"),
    "TimeDistributed": ("[?, 8, 8, 3]", "TimeDistributed(Conv2D(2, 3))"),
    "TimeDistributed of a wrapper": ("[3, 4, 2]", "TimeDistributed(TimeDistributed(Dense(2)))"),
    "Bidirectional of cells": ("[4, 2]", "Bidirectional(RNN([GRUCell(2), LSTMCell(3)]), merge_mode=ave)"),
    "Bidirectional of images": ("[3, 6, 2]", "Bidirectional(ConvLSTM1D(2, 2, return_sequences=true))"),
    "RNN": ("[?, 2]", "RNN(StackedRNNCells([SimpleRNNCell(2), GRUCell(3)]))"),
}
"""An input and a construction."""


@pytest.mark.parametrize("case", CASES)
def test_both_backends_build_it(case: str) -> None:
    shape, construct = CASES[case]
    value = "[x, x] -> some" if case == "HashedCrossing" else "x -> some"
    net = wdsl.loads(
        f"network Net {{\n    input x: {shape}\n    layer some = {construct}\n    output y = {value}\n}}\n"
    )
    keras.utils.set_random_seed(1)
    live = net.to_keras()
    module: dict[str, Any] = {"__name__": "written"}
    exec(compile(net.to_python(), "written", "exec"), module)
    written = module["Net"]()
    written.set_weights(live.get_weights())
    rng = np.random.default_rng(2)
    x = rng.integers(0, 4, (2, *(size or 5 for size in live.input_shape[1:])))
    outputs = [np.asarray(model(x.astype(live.input.dtype), training=False)) for model in (live, written)]
    np.testing.assert_array_equal(*outputs)
    # What was said of it before Keras was asked is what comes out.
    (declared,) = net.network.outputs
    assert outputs[0].dtype == declared.spec.dtype
    assert len(outputs[0].shape) == len(declared.spec.shape)
    assert all(size in (None, real) for size, real in zip(declared.spec.shape, outputs[0].shape, strict=True))


def test_states_go_in_lists_in_lists() -> None:
    net = wdsl.loads("""
network Net {
    input x: [4, 3]
    layer cells = RNN([LSTMCell(4), GRUCell(3)], return_state=true)
    last, h, c, s = x -> cells
    again, h2, c2, s2 = cells(x, initial_state=[[h, c], s])
    output last
    output again
}
""")
    model = net.to_keras()
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype("float32")
    twice = np.concatenate([x, x], axis=1)
    cells = model.get_layer("cells")
    given = model({"x": x})
    np.testing.assert_array_equal(given["last"], cells(x)[0])
    np.testing.assert_array_equal(given["again"], cells(twice)[0])
