"""`wdsl summary`: what each layer is, gives and costs."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from wdsl.tools import cli

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

layer  class               output       free   dense  annotations
conv   Conv2D              [6, 6, 8]     224     224
bn     BatchNormalization  [6, 6, 8]      16      16
mix    Dense               [288]      41,616  83,232  kernel: symmetric, zero[diagonal]
-      Flatten             [288]           0       0
-      Dense               [10]        2,890   2,890

44,746 free parameters of 86,362
"""


def test_summary(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(SPEC)
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")])
    assert (result.stdout, result.stderr, result.exit_code) == (SUMMARY, "", 0)


def test_summary_follows_the_parameters(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(
        SPEC.replace("Dense(288, activation=relu) symmetric, zero[diagonal]", "Dense(2)")
    )
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet"), "--set", "code=1"])
    assert "conv   Conv2D              [6, 6, 1]    28     28" in result.stdout
    assert result.stdout.endswith("134 free parameters of 134\n")


def test_summary_of_what_is_wrong_is_its_report(tmp_path: Path) -> None:
    (tmp_path / "net.wnet").write_text(SPEC.replace("Conv2D", "Conv9D"))
    result = CliRunner().invoke(cli.main, ["summary", str(tmp_path / "net.wnet")])
    assert (result.stdout, result.exit_code) == ("", 1)
    assert "error[E0301]" in result.stderr
