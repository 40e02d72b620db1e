"""What wdsl is for, on real data: an autoencoder of handwritten digits whose decoder is its encoder, transposed.

The network is `specs/tied_autoencoder.wnet`. This script writes it as Python, trains it beside the same network
without the tie, and then proves that the tie held: in training, in the file that it is saved to, and in the training
of the model that is loaded from there. Everything it writes goes to `build/demo/`.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import wdsl
from wdsl.tools import pictures


@contextmanager
def without_greetings() -> Iterator[None]:
    """TensorFlow logs to standard error while it is imported, whatever TF_CPP_MIN_LOG_LEVEL says: not through here."""
    terminal = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


with without_greetings():
    import keras

    import wdsl.runtime  # so that Keras knows the layers of saved models

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "specs" / "tied_autoencoder.wnet"
OUT = ROOT / "build" / "demo"
TIE = " tie(encode.kernel.T)"

EPOCHS = 80
FURTHER_EPOCHS = 5
BATCH = 32
SEED = 2

console = Console(highlight=False)
failures: list[str] = []


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    images = load_digits().data.astype("float32") / 16  # 1,797 images of 8 × 8 pixels, from 0 to 1
    seen, held_out = train_test_split(images, test_size=0.25, random_state=SEED)

    heading("From the spec to a model")
    text = SPEC.read_text(encoding="utf-8")
    nets = {"tied": wdsl.load(SPEC), "untied": wdsl.loads(text.replace(TIE, ""), f"{SPEC.name} without its tie")}
    check(f"{SPEC.relative_to(ROOT)} is in order", not nets["tied"].diagnostics)
    module = OUT / "tied_autoencoder.py"
    module.write_text(nets["tied"].to_python(), encoding="utf-8")
    console.print(f"  {module.relative_to(ROOT)} is written; it needs Keras alone")
    models = {}
    for name, net in nets.items():
        keras.utils.set_random_seed(SEED)
        models[name] = net.to_keras()

    heading("Training")
    train(models, seen)
    compare(nets, models, held_out)

    heading("Does the tie hold?")
    saved = OUT / "tied_autoencoder.keras"
    models["tied"].save(saved)
    before = prove_tie(saved)

    loaded = keras.saving.load_model(saved)
    console.print("  Loaded from there, and trained further:")
    check("it gives what the saved model gave", same(loaded, models["tied"], held_out))
    loaded.fit(seen, seen, epochs=FURTHER_EPOCHS, batch_size=BATCH, verbose=0)
    further = OUT / "trained_further.keras"
    loaded.save(further)
    after = prove_tie(further)
    check(f"training moved {(after != before).sum()} of {after.size} entries of encode.kernel", (after != before).any())

    models["untied"].save(OUT / "untied_autoencoder.keras")
    encode, decode = kernels_from_outside(OUT / "untied_autoencoder.keras").values()
    console.print(f"  The autoencoder without the tie: equal in {(decode == encode.T).sum()} of {decode.size} entries")

    heading("And the Python module?")
    written = runpy.run_path(str(module))["Autoencoder"]()
    written.set_weights(models["tied"].get_weights())
    check("with the trained weights its model gives the same, to the bit", same(written, models["tied"], held_out))

    heading("Pictures")
    draw_reconstructions(models, held_out[:10]).savefig(OUT / "reconstructions.png", dpi=110)
    draw_structures().savefig(OUT / "structure.png", dpi=110)
    console.print(f"  {OUT.relative_to(ROOT)}/reconstructions.png and structure.png")

    for failure in failures:
        console.print(f"[bold red]Failed:[/] {failure}")
    return 1 if failures else 0


def train(models: dict[str, keras.Model], images: np.ndarray) -> None:
    columns = TextColumn("  {task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, TextColumn("{task.fields[loss]}"), console=console) as progress:
        for name, model in models.items():
            keras.utils.set_random_seed(SEED)
            model.compile(keras.optimizers.Adam(0.003), "mse")
            task = progress.add_task(name, total=EPOCHS, loss="")

            def advance(epoch: int, logs: dict[str, float], task=task) -> None:
                progress.update(task, advance=1, loss=f"loss {logs['loss']:.4f}")

            shown = keras.callbacks.LambdaCallback(on_epoch_end=advance)
            model.fit(images, images, epochs=EPOCHS, batch_size=BATCH, verbose=0, callbacks=[shown])


def compare(nets: dict[str, wdsl.Net], models: dict[str, keras.Model], images: np.ndarray) -> None:
    """A table of what each network has to learn, and how well it did on images it has never seen."""
    table = Table("autoencoder", box=None, padding=(0, 2))
    for title in ("free parameters", "of", "held-out MSE"):
        table.add_column(title, justify="right")
    for name, net in nets.items():
        error = models[name].evaluate(images, images, verbose=0)
        table.add_row(name, f"{net.parameters:,}", f"{net.dense_parameters:,}", f"{error:.4f}")
        check(f"Keras counts {net.parameters:,} parameters too", models[name].count_params() == net.parameters)
    table.add_row("the mean image", "", "", f"{np.mean((images - images.mean(0)) ** 2):.4f}", style="dim")
    console.print(table)


def prove_tie(path: Path) -> np.ndarray:
    """Compare the two kernels of a saved model entry by entry, as the model uses them and as it reports them.

    Returns the encoder's.
    """
    console.print(f"  In {path.relative_to(ROOT)}:")
    kernels = kernels_from_outside(path)
    encode, decode = kernels.values()
    equal = int((decode == encode.T).sum())
    check(f"decode.kernel == encode.kernel.T in {equal} of {decode.size} entries", equal == decode.size)
    reported = wdsl.effective_weights(keras.saving.load_model(path))
    agree = [np.array_equal(reported.get(f"{name}.kernel"), kernel) for name, kernel in kernels.items()]
    check("effective_weights reports these very kernels", all(agree))
    return encode


def kernels_from_outside(path: Path) -> dict[str, np.ndarray]:
    """The kernels of a saved model, read off what its layers do and not from where they keep their weights.

    In a copy of the model without biases and activations, a layer that is given the rows of an identity matrix
    answers with the rows of its kernel.
    """
    model = keras.saving.load_model(path)
    code = model.get_layer("encode").output
    for name in ("encode", "decode"):
        layer = model.get_layer(name)
        layer = getattr(layer, "layer", layer)  # the Keras layer within, if its weights have structure
        layer.activation = keras.activations.linear
        layer.bias.assign(np.zeros(layer.bias.shape))
    encoder = keras.Model(model.input, code)
    decoder = keras.Model([model.input, code], model.output)
    pixels, units = np.eye(model.input.shape[1]), np.eye(code.shape[1])
    any_image = np.zeros((len(units), len(pixels)))
    return {"encode": encoder(pixels).numpy(), "decode": decoder([any_image, units]).numpy()}


def draw_reconstructions(models: dict[str, keras.Model], images: np.ndarray) -> Figure:
    rows = {"input": images} | {name: model.predict(images, verbose=0) for name, model in models.items()}
    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    grid = figure.subplots(len(rows), len(images))
    figure.suptitle("Ten digits that neither network was trained on, and what is left of them")
    for line, (name, pixels) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(name)
        for axes, picture in zip(line, pixels, strict=True):
            axes.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
    return figure


def draw_structures() -> Figure:
    names = ("tied_autoencoder", "hopfield", "banded", "equal_scalar", "lenet5")
    return pictures.structures(*(wdsl.load(SPEC.with_name(f"{name}.wnet")) for name in names))


def same(one: keras.Model, other: keras.Model, images: np.ndarray) -> bool:
    """Whether two models give the same output for the same images, to the bit."""
    return bool((one.predict(images, verbose=0) == other.predict(images, verbose=0)).all())


def heading(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def check(claim: str, holds: bool | np.bool_) -> None:
    """Say whether a claim holds, and remember it if it does not."""
    console.print(f"  [green]✓[/] {claim}" if holds else f"  [bold red]✗ {claim}[/]")
    if not holds:
        failures.append(claim)


if __name__ == "__main__":
    sys.exit(main())
