"""`wdsl summary`: what each layer is, gives and costs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import wdsl
from wdsl.tools import cli
from wdsl.tools.summary import table

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("*.wnet"))

SPEC = """\
network Net(code: int = 8) {
    input x: [8, 8, 3]
    layer conv = Conv2D(code, 3)
    layer bn = BatchNormalization()
    layer mix = Dense(288, activation=relu) symmetric, zero[diagonal]
    output y = x -> conv -> bn -> Flatten() -> mix -> Dense(10)
}
"""

SUMMARY = """\
Net: x [8, 8, 3] -> y [10]

layer     class               shape            free   dense  mechanism
conv      Conv2D              [6, 6, 8]         224     224
  kernel                      3 × 3 × 3 × 8     216     216
  bias                        8                   8       8
bn        BatchNormalization  [6, 6, 8]          16      16
  gamma                       8                   8       8
  beta                        8                   8       8
mix       Dense               [288]          41,616  83,232
  kernel                      288 × 288      41,328  82,944  parameter
    symmetric, zero[diagonal]
  bias                        288               288     288
-         Flatten             [288]               0       0
-         Dense               [10]            2,890   2,890

44,746 free parameters of 86,362
"""

MECHANISMS = """\
network Net {
    input x: [4]
    layer a = Dense(4) equal via mask, symmetric { bias: frozen }
    layer b = Dense(4) tie(a.kernel.T) { bias: equal via gradient }
    output y = x -> a -> b
}
"""

TABLE = """\
Net: x [4] -> y [4]

layer     class  shape  free  dense  mechanism        structure
a         Dense  [4]      10     20
  kernel         4 × 4    10     16  mask, parameter  equal via mask, symmetric
  bias           4         0      4  parameter        frozen
b         Dense  [4]       4     20
  kernel         4 × 4     0     16  parameter        tie(a.kernel.T)
  bias           4         4      4  gradient         equal via gradient

14 free parameters of 40
"""

WIDE = """\
network Recognizer {
    input image_of_the_left_eye: [32, 32, 3]
    input image_of_the_right_eye: [32, 32, 3]
    layer look_at_each_part_of_the_image = SeparableConv2D(1024, 3)
    for i in range(1) {
        layer look_at_the_whole_image[i] = Conv2DTranspose(512, 3) { kernel: zero[where i == j] via mask }
    }
    h = image_of_the_left_eye + image_of_the_right_eye -> look_at_each_part_of_the_image
    output what_the_eyes_see = h -> look_at_the_whole_image[0] -> GlobalAveragePooling2D()
}
"""

NARROW = """\
Recognizer: image_of_the_left_eye [32, 32, 3],
    image_of_the_right_eye [32, 32, 3] -> what_the_eyes_see [512]

layer     class                   shape                    free      dense
look_at_each_part_of_the_image
          SeparableConv2D         [30, 30, 1024]          4,123      4,123
  depthwise_kernel
                                  3 × 3 × 3 × 1              27         27
  pointwise_kernel
                                  1 × 1 × 3 × 1024        3,072      3,072
  bias                            1024                    1,024      1,024
look_at_the_whole_image_0
          Conv2DTranspose         [32, 32, 512]       4,719,104  4,719,104
  kernel                          3 × 3 × 512 × 1024  4,718,592  4,718,592
    zero[where i == j] via mask
  bias                            512                       512        512
-         GlobalAveragePooling2D  [512]                       0          0

4,723,227 free parameters of 4,723,227
"""


def test_summary(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(SPEC)
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")])
    assert (result.stdout, result.stderr, result.exit_code) == (SUMMARY, "", 0)


def test_each_weight_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(MECHANISMS)
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")])
    assert (result.stdout, result.exit_code) == (TABLE, 0)


def test_what_is_wide_takes_more_lines(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(WIDE)
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")])
    assert (result.stdout, result.exit_code) == (NARROW, 0)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_rows_add_up(spec: Path) -> None:
    """The weights of a layer are what it has, the layers are what the network has; and 80 columns are enough."""
    lines = CliRunner().invoke(cli.main, ["summary", str(spec)]).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    end = lines[2].index("dense") + len("dense")
    numbers = re.compile(r" +([\d,]+) +([\d,]+)$")
    layers: list[list[int]] = []
    weights: list[list[int]] = []
    for line in lines[3 : lines.index("", 3)]:
        found = None if line.startswith("    ") else numbers.search(line[:end])
        if found:
            row = [int(number.replace(",", "")) for number in found.groups()]
            if line.startswith("  "):
                weights.append(row)
            elif line.startswith("-") or " weight " in line:
                weights.append(row)
                layers.append(row)
            else:
                layers.append(row)
    whole = [sum(column) for column in zip(*layers, strict=True)]
    assert [sum(column) for column in zip(*weights, strict=True)] == whole
    net = wdsl.load(spec)
    assert whole == [net.parameters, net.dense_parameters]


def test_summary_follows_the_parameters(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(
        SPEC.replace("Dense(288, activation=relu) symmetric, zero[diagonal]", "Dense(2)")
    )
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet"), "--set", "code=1"])
    assert re.search(r"conv +Conv2D +\[6, 6, 1\] +28 +28\n  kernel +3 × 3 × 3 × 1 +27 +27\n", result.stdout)
    assert result.stdout.endswith("134 free parameters of 134\n")


def test_summary_of_what_is_wrong_is_its_report(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(SPEC.replace("Conv2D", "Conv9D"))
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")])
    assert (result.stdout, result.exit_code) == ("", 1)
    assert "error[E0301]" in result.stderr


def test_how_a_kernel_is_multiplied_is_said() -> None:
    text = """network Net(n: int = 512) {{
    input x: [512]
    layer a = Dense(n) {}
    output y = x -> a
}}"""
    said = {
        "equal": "as repeated row",
        "equal[rows]": "as repeated column",
        "equal[diagonal, not diagonal]": "as diagonal and rest",
        "equal[by (j - i) % 512]": "as circulant matrix, up to rounding",
        "equal[diagonals]": "as Toeplitz matrix, up to rounding",
        "equal[antidiagonals]": "as Toeplitz matrix, up to rounding",
        "zero[not blocks(32, 32)]": "as block diagonal matrix",
        "zero[not band(8, 8)]": "as band matrix",
        "symmetric": "in halves",
        "skew": "in halves",
        "zero[upper]": "in halves",
    }
    for annotation, words in said.items():
        lines = table(wdsl.loads(text.format(annotation))).splitlines()
        assert any(f"{annotation}; multiplied {words}" in line for line in lines)
    for annotation in ("symmetric via mask", "equal[rows] via mask", "zero[where (i + j) % 50 > 0]"):
        assert "multiplied" not in table(wdsl.loads(text.format(annotation)))
    assert "multiplied" not in table(wdsl.loads(text.format("equal").replace("512", "32")))
