"""wdsl compiles `.wnet` files, neural networks with weight structure, to Keras.

net = wdsl.load("net.wnet", code=64)      # checked; Keras is not imported
net.to_python()                           # the source of a module that needs Keras alone
model = net.to_keras()                    # a live `keras.Model`
model = wdsl.compile("net.wnet", code=64) # the same in one step
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wdsl.core.garbage import no_collection
from wdsl.core.record import Record, field
from wdsl.models.verify import Finding, Report
from wdsl.text import files
from wdsl.text.diagnostics import Diagnostic, has_errors, in_order, listed, nearest
from wdsl.text.source import Source, Span

# The stages are imported by those who call them: what is needed to verify a model never compiles.
if TYPE_CHECKING:
    import keras  # noqa: TID251
    import numpy as np

    from wdsl.link.imports import Scope
    from wdsl.network import graph
    from wdsl.network.outline import Outline
    from wdsl.plan.plan import Plan
    from wdsl.syntax import nodes
    from wdsl.weights.structures import Structure, Structures

__version__ = "0.1.0"
__all__ = [
    "STAGES",
    "Finding",
    "Net",
    "Report",
    "WdslError",
    "__version__",
    "assign",
    "check",
    "checks",
    "compile",
    "effective_weights",
    "format",
    "freeze",
    "load",
    "loads",
    "project",
    "to_python",
    "verify",
]

STAGES = ("tokens", "syntax", "network", "weights", "plan", "python", "mermaid", "dot", "json")
"""What `Net.emit` and `wdsl build --emit` can print."""


class WdslError(Exception):
    """A file is not in order. `diagnostics` says all that is wrong with it, warnings too, in the order of the file."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        from wdsl.text.hints import taught

        self.diagnostics = tuple(map(taught, diagnostics))
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from wdsl.text import rendering

        return "\n" + rendering.text(self.diagnostics)


class Net(Record):
    """A network that has been checked: what `load` gives.

    `diagnostics` are the warnings. `inputs` and `outputs` have a `name` and a `spec` with `shape` (batch included) and
    `dtype`; `layers` have a `name` and a `row` of the catalogue; `weights` a `name`, a `weight` with its `shape`, and
    their structure.
    """

    syntax: nodes.File
    network: graph.Network
    structures: Structures
    diagnostics: tuple[Diagnostic, ...]
    outline: Outline | Diagnostic | None = field(compare=False)
    """Its blocks, loops and conditions as the file has them, if there are any, or why they cannot be kept."""

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(each.name for each in tensors) for tensors in (self.inputs, self.outputs))
        counts = f"{self.parameters} of {self.dense_parameters} parameters"
        return f"<Net {self.name}: {inputs} -> {outputs}, {counts}>"

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def inputs(self) -> tuple[graph.Input, ...]:
        return self.network.inputs

    @property
    def outputs(self) -> tuple[graph.Output, ...]:
        return self.network.outputs

    @property
    def layers(self) -> tuple[graph.Layer, ...]:
        return self.network.layers

    @property
    def weights(self) -> tuple[Structure, ...]:
        return self.structures.weights

    @property
    def parameters(self) -> int:
        """How many trainable parameters are free."""
        return int(self.structures.parameters)

    @property
    def dense_parameters(self) -> int:
        """How many there would be without annotations."""
        return int(self.structures.dense_parameters)

    @cached_property
    @no_collection()
    def plan(self) -> Plan:
        from wdsl.plan.plan import make_plan

        if isinstance(self.outline, Diagnostic):
            return make_plan(self.network, self.structures, None, (self.outline,))
        return make_plan(self.network, self.structures, self.outline)

    def to_python(self) -> str:
        """The source of a module with a function of the network's name that returns the `keras.Model`.

        It needs Keras alone.
        """
        from wdsl.backends import python  # noqa: TID251

        return python.write(self.plan)

    def to_keras(self) -> keras.Model:
        """A live model: the same weights, outputs and gradients as the generated module gives with the same seed."""
        from wdsl.backends import keras as backend  # noqa: TID251

        try:
            import keras  # noqa: F401, TID251
        except ImportError as error:
            raise ImportError("live models need Keras and TensorFlow: pip install 'wdsl[tensorflow]'") from error
        return backend.build(self.plan)

    def emit(self, stage: str) -> str:
        """One stage of the compile as text; `STAGES` lists them. Raises ValueError for another."""
        from wdsl.syntax.printer import print_file
        from wdsl.tools import stages  # noqa: TID251

        match stage:
            case "tokens":
                return stages.tokens(self.syntax.source)
            case "syntax":
                return print_file(self.syntax)
            case "network" | "mermaid" | "dot":
                return {"network": stages.network, "mermaid": stages.mermaid, "dot": stages.dot}[stage](self.network)
            case "weights":
                return stages.weights(self.structures)
            case "plan":
                return stages.plan(self.plan)
            case "python":
                return self.to_python()
            case "json":
                return stages.json(self.network, self.structures)
        raise ValueError(f"{stage!r} is not a stage: they are {listed(STAGES)}")


def load(
    path: str | os.PathLike[str],
    /,
    network: str | None = None,
    root: str | os.PathLike[str] | None = None,
    max_layers: int | None = None,
    **parameters: Any,
) -> Net:
    """Read and check a file, without importing Keras.

    Args:
        path: A `.wnet` file.
        network: Which of the file's networks; needed only if there are several.
        root: The folder that the files which this one names must be in; without it, the folder of this one.
        max_layers: What loops and blocks may come to, in statements and in layers: 100,000 if it is None.
        **parameters: Values for the network's parameters. Those called as these arguments can be given to `loads`.

    Raises:
        WdslError: There is something wrong with the file, or it cannot be read; the error lists all of it.
    """
    return loads(_read(path), os.fspath(path), network, parameters, root, max_layers)


def check(
    path: str | os.PathLike[str],
    /,
    network: str | None = None,
    root: str | os.PathLike[str] | None = None,
    max_layers: int | None = None,
    **parameters: Any,
) -> tuple[Diagnostic, ...]:
    """All that is wrong with a file, warnings too: of each of its networks, or of the one that is named."""
    try:
        text = _read(path)
    except WdslError as error:
        return error.diagnostics
    return checks(text, os.fspath(path), network, parameters, root, max_layers)


@no_collection()
def checks(
    text: str,
    filename: str = "<string>",
    network: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    root: str | os.PathLike[str] | None = None,
    max_layers: int | None = None,
) -> tuple[Diagnostic, ...]:
    """All that is wrong with a text, as `check` says it of a file. The arguments are those of `loads`."""
    from wdsl.link.unused import unused
    from wdsl.network.elaboration import MAX_PROBLEMS
    from wdsl.text.hints import taught

    try:
        file, scope, problems = _parse(text, filename, files.Files.beside(filename, root))
    except WdslError as error:
        return error.diagnostics
    if network is None and file.declarations and not file.networks:
        return tuple(map(taught, problems))  # a file for others to import
    names = dict.fromkeys(each.name.id for each in file.networks)
    found = [*map(taught, problems)]
    # That there are errors keeps a network from being compiled; which they are was said.
    known = tuple(each for each in problems if each.severity == "error")[:1]
    for each in names if network is None and len(file.networks) > 1 else [network]:
        try:
            found += _check(file, scope, known, each, parameters or {}, max_layers).diagnostics
        except WdslError as error:
            found += error.diagnostics
        if len(found) > MAX_PROBLEMS:
            break
    # A name that is misspelled where it is used would seem to be used nowhere.
    return in_order(found if has_errors(found) else [*found, *unused(file, network)])


def _read(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    data = files.read(name)
    if isinstance(data, Diagnostic):
        raise WdslError((data,))
    return _decoded(data, name)


def _decoded(data: bytes, name: str) -> str:
    text = files.decode(data, name)
    if isinstance(text, Diagnostic):
        raise WdslError((text,))
    return text


def _source(text: str, name: str) -> Source:
    if len(text) > files.MAX_TEXT:
        raise WdslError((files.too_large(name),))
    return Source(name, text.removeprefix("\ufeff").replace("\r\n", "\n"))


@no_collection()
def loads(
    text: str,
    filename: str = "<string>",
    network: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    root: str | os.PathLike[str] | None = None,
    max_layers: int | None = None,
) -> Net:
    """Check a text, as `load` does a file. `filename` is what reports call it.

    The files that the text names are looked for beside `filename`, or, if that is in angle brackets, in `root`.

    Raises:
        WdslError: There is something wrong with the text; the error lists all of it.
    """
    from wdsl.link.unused import unused

    file, scope, problems = _parse(text, filename, files.Files.beside(filename, root))
    net = _check(file, scope, problems, network, parameters or {}, max_layers)
    return net.replace(diagnostics=in_order([*net.diagnostics, *unused(file, net.name)]))


def _parse(text: str, filename: str, beside: files.Files) -> tuple[nodes.File, Scope, tuple[Diagnostic, ...]]:
    """The stages in front of the networks of a file: what it says, and what the names in it stand for."""
    from wdsl.link.imports import link
    from wdsl.syntax.parser import parse

    file, problems = parse(_source(text, filename))
    scope, found = link(file, beside)
    return file, scope, in_order([*problems, *found])


def _check(
    file: nodes.File,
    scope: Scope,
    problems: tuple[Diagnostic, ...],
    network: str | None,
    parameters: Mapping[str, Any],
    max_layers: int | None,
) -> Net:
    """The stages behind, for one network of a file. `problems` are those of the stages in front."""
    from wdsl.network.elaborate import elaborate
    from wdsl.weights.assertions import check_assertions
    from wdsl.weights.solve import solve

    chosen, unclear = _choose(file, network)
    if chosen is None:
        raise WdslError(problems if has_errors(problems) else in_order([*problems, *unclear]))
    elaborated, found = elaborate(chosen, parameters, scope, max_layers)
    problems = in_order([*problems, *found])
    if elaborated is None or has_errors(problems):
        raise WdslError(problems)
    checked = elaborated.network
    structures, found = solve(checked)
    problems = in_order([*problems, *found])
    if not has_errors(problems):
        problems = in_order([*problems, *check_assertions(checked, structures)])
    if has_errors(problems):
        raise WdslError(problems)
    return Net(file, checked, structures, problems, elaborated.outline)


def compile(
    path: str | os.PathLike[str],
    /,
    network: str | None = None,
    root: str | os.PathLike[str] | None = None,
    max_layers: int | None = None,
    **parameters: Any,
) -> keras.Model:
    """Compile a file to a live `keras.Model`. Arguments and errors are those of `load`."""
    return load(path, network, root, max_layers, **parameters).to_keras()


def to_python(
    path: str | os.PathLike[str],
    /,
    network: str | None = None,
    root: str | os.PathLike[str] | None = None,
    max_layers: int | None = None,
    **parameters: Any,
) -> str:
    """Compile a file to the source of a Python module. Arguments and errors are those of `load`."""
    return load(path, network, root, max_layers, **parameters).to_python()


def format(text: str | bytes, filename: str = "<string>") -> str:
    """The text in its canonical form, which says the same and has the same comments.

    Args:
        text: What a file holds; its bytes are read as UTF-8.
        filename: What reports call it.

    Raises:
        WdslError: There are syntax errors, of which the error lists all, or the bytes are not UTF-8.
        RuntimeError: The form would not say the same. That is a defect of wdsl.
    """
    from wdsl.syntax.formatter import format_source
    from wdsl.syntax.parser import parse

    if isinstance(text, bytes):
        text = _decoded(text, filename)
    source = _source(text, filename)
    formatted = format_source(source)
    if formatted is None:
        _, problems = parse(source)
        raise WdslError(tuple(each for each in problems if each.severity == "error"))
    return formatted


def effective_weights(model: keras.Model, inputs: Any = None) -> dict[str, np.ndarray[Any, Any]]:
    """The structured weights of a model as its forward pass uses them, by the layer's name and theirs.

    Tied weights are read in a forward pass, on `inputs` or else on zeros, with 64 for every unknown size.
    """
    from wdsl.models.weights import effective_weights

    return effective_weights(model, inputs)


def project(net: Net, weights: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The nearest weights that obey the annotations, to start a model from; in least squares, and without Keras.

        dense = {"encode.kernel": array, "decode.kernel": another}
        wdsl.assign(model, wdsl.project(net, dense))

    Args:
        net: What `load` gives.
        weights: Arrays of real numbers by the names of weights, each of the weight's shape. They need not be all of the
            network's weights. Entries that a masked array masks count as not given.

    Returns:
        By name, each weight that was given, and each that shares free parameters with one. A free parameter is the
        mean of all entries given for it, in any of these weights; where entries are multiples of it, c times t, it is
        sum(c w) / sum(c c). Constant entries are what they are, whatever was given. The arrays are float32, or
        float64 for a layer with `dtype="float64"`, and satisfy all equations with `==`. A weight of which only a part
        is determined by what was given is a masked array, with the rest masked. Weights that already obey come back
        as they are. Annotations count whatever their mechanism, those `via initial` too.

    Raises:
        ValueError: The network has no weight of a name; or an array has the wrong shape, or an entry that is no finite
            number.
    """
    from wdsl.weights.project import project

    return project(net.structures, net.network.values, weights)


def assign(model: keras.Model, weights: Mapping[str, Any]) -> None:
    """Put weights into a model, by name: what `project` gives, or what `effective_weights` gives of another model.

    Weights without structure, and weights that are frozen, can be among them. A weight that is a view of another one
    needs that beside it. What a masked array masks stays as it is in the model, and so do weights that are not named.

    Raises:
        ValueError: The model has no weight of a name, or several; an array has the wrong shape, or an entry that is no
            finite number; or no parameters give these weights, since they do not obey. The model is left as it was.
    """
    from wdsl.models.assign import assign

    assign(model, weights, loads)


def freeze(model: keras.Model, keep_products: bool = True) -> keras.Model:
    """A copy of a model for inference, in which structured layers are Keras's own with the weights as they are now.

    A layer computes a structured weight from its free parameters in each call; the copy has it stored, and gives the
    same outputs to the bit, but for kernels that are multiplied in halves: those differ by rounding. It knows no
    structure any more: it is not for training.

    Args:
        model: A functional or sequential model, live, written by wdsl or loaded.
        keep_products: Leave layers as they are whose kernel is not made but multiplied by in less work (docs/
            performance.md), since a dense one is slower. Without them the copy has nothing of wdsl in it; their outputs
            then differ by rounding.

    Raises:
        ValueError: The model is of another class, of which Keras knows no graph.
    """
    from wdsl.models.freeze import freeze

    return freeze(model, loads, keep_products)


def verify(model: keras.Model | str | os.PathLike[str]) -> Report:
    """Whether a model, or one saved as `.keras`, is what its annotations promise: a look at every entry.

    A written module has to be imported before a file is loaded that has layers of it. What a file holds is bounded and
    looked at before Keras reads it; code in it is not run.

    Raises:
        ValueError: The file is not a saved model that Keras can load, or is not one to be loaded; or what a class of a
            written module says of its weights cannot be read.
        MemoryError: It has no room.
    """
    from wdsl.models import archives
    from wdsl.models.verify import verify

    if not isinstance(model, (str, os.PathLike)):
        return verify(model, loads)
    from wdsl import runtime  # noqa: F401  (Keras finds the classes there)

    loaded = archives.load(model)
    try:
        return verify(loaded, loads)
    except ValueError:
        raise
    except Exception as error:  # a file may say of its weights what no spec can
        raise archives.refusal(error) from error


def _choose(file: nodes.File, name: str | None) -> tuple[nodes.Network | None, tuple[Diagnostic, ...]]:
    """The network of that name, or the only one."""
    names = [network.name.id for network in file.networks]
    whole = Span(file.source, 0, 0)
    if not names:
        return None, (Diagnostic("E0208", "the file has no network", whole, hint="write `network Name { … }`"),)
    if name is None and len(names) > 1:
        hint = f"choose one of {listed(names)} with `--network` or `network=`"
        return None, (
            Diagnostic("E0208", f"the file has {len(names)} networks", file.networks[1].name.span, hint=hint),
        )
    for network in file.networks:
        if name in (None, network.name.id):
            return network, ()
    near = nearest(name or "", names)
    label = f"did you mean `{near}`?" if near else f"it has {listed(names)}"
    return None, (Diagnostic("E0208", f"the file has no network `{name}`", file.networks[0].name.span, label),)
