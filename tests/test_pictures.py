"""Pictures of weights: one colour for one free parameter, wherever it stands, and white for zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import wdsl
from wdsl.tools import pictures

FOLDER = Path(__file__).parents[1] / "specs"
SPECS = sorted(path for path in FOLDER.rglob("*.wnet") if path.parent.name != "parts")


def painted(net: wdsl.Net) -> dict[str, np.ndarray]:
    return {str(weight.name): pictures.colours(net, weight) for weight in net.weights}


def is_white(image: np.ndarray) -> np.ndarray:
    return (image == 1).all(-1)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_a_colour_for_each_free_parameter(spec: Path) -> None:
    net = wdsl.load(spec)
    for weight in net.weights:
        image = pictures.colours(net, weight)
        assert image.shape[0] * image.shape[1] == weight.size
        assert (~is_white(image)).sum() == weight.nonzero
        if weight.owner == weight.name and " via " not in weight.text:
            is_free = ~is_white(image) & ~(image == pictures.FIXED).all(-1)
            assert len(np.unique(image[is_free], axis=0)) == weight.free


def test_a_tied_kernel_is_the_transposed_picture() -> None:
    images = painted(wdsl.load(SPECS[0].with_name("tied_autoencoder.wnet")))
    assert np.array_equal(images["decode.kernel"], images["encode.kernel"].swapaxes(0, 1))


def test_a_symmetric_kernel_is_its_own_mirror_image() -> None:
    image = painted(wdsl.load(SPECS[0].with_name("hopfield.wnet")))["recall.kernel"]
    assert np.array_equal(image, image.swapaxes(0, 1))
    assert np.array_equal(is_white(image), np.eye(64, dtype=bool))


def test_a_zero_that_comes_across_a_tie_is_white() -> None:
    net = wdsl.loads(
        "network Net { input x: [6]; layer a = Dense(4); layer b = Dense(6) tie(a.kernel.T), zero[(0, 5)]; "
        "output y = x -> a -> b }"
    )
    images = painted(net)
    assert np.argwhere(is_white(images["a.kernel"])).tolist() == [[5, 0]]
    assert np.argwhere(is_white(images["b.kernel"])).tolist() == [[0, 5]]


def test_a_kernel_of_a_convolution_is_a_table_of_tiles() -> None:
    net = wdsl.loads(
        "network Net { input x: [9, 9, 2]; layer a = Conv2D(4, [3, 5]) zero[(:, :, 1, 3), (2, 4, 0, 0)]; "
        "output y = x -> a }"
    )
    expected = np.zeros((2 * 3, 4 * 5), bool)
    expected[3:6, 15:20] = True
    expected[2, 4] = True
    assert np.array_equal(is_white(painted(net)["a.kernel"]), expected)


def test_a_figure_has_a_panel_for_each_structured_weight(tmp_path: Path) -> None:
    nets = [wdsl.load(spec) for spec in SPECS]
    figure = pictures.structures(*nets)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert {"encode.kernel", "decode.kernel", "recall.kernel", "c3.kernel", "average.bias"} <= set(titles)
    assert "c1.kernel" not in titles
    shown = {text.get_text().strip() for axes in figure.axes for text in axes.texts}
    assert {"64 × 64: 2016 of 4096 free", "16 × 64: 0 of 1024 free"} <= shown
    figure.savefig(tmp_path / "structure.png")


def test_a_weight_that_is_too_large_is_named() -> None:
    net = wdsl.loads("network Net { input x: [16384]; layer a = Dense(16384) symmetric; output y = x -> a }")
    (axes,) = pictures.structures(net).axes
    assert axes.get_title() == "a.kernel"
    assert "too large to draw" in [text.get_text() for text in axes.texts]
