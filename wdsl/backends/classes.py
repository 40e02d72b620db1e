"""The classes of a written module: layers whose weights are computed from the numbers in them that are free.

What the class of a layer says of a weight is the weight's normal form (`wdsl/weights/normal.py`); what stands around
it, and in which order, is in the templates.
"""

from __future__ import annotations

import hashlib
import keyword
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wdsl.annotations.kinds import FROZEN
from wdsl.backends.bodies import Body
from wdsl.backends.mechanisms import bare
from wdsl.backends.products import Product
from wdsl.catalog.layers.random import RANDOM_CLASSES
from wdsl.core import expressions as ex
from wdsl.core.printing import WIDTH, flat, layout
from wdsl.plan.kinds import Kind, KindWeight
from wdsl.plan.plan import Plan
from wdsl.weights.normal import NormalForm, by_shape, normal_form
from wdsl.weights.words import annotation, in_words

FORMAT = 2
"""Of what is stored, and in which order: a class of another format has another name in files."""

BY_NAME = frozenset({"Dense", "EinsumDense", "Embedding", "ReversibleEmbedding"}) | {f"Conv{n}D" for n in (1, 2, 3)}
"""Layers that save their weights by name, and ask for each whether it is there."""

CHANGED = BY_NAME
"""Layers that Keras can quantize, or extend by matrices of low rank."""

KEPT_APART = {
    **dict.fromkeys(("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D"), "kernel"),
    **dict.fromkeys(("Embedding", "ReversibleEmbedding"), "embeddings"),
}
"""A weight of a layer that keeps it as `_kernel`, and has a property `kernel` for it."""

NONE_AT_FIRST = frozenset({"BatchNormalization", "Attention", "AdditiveAttention"})
"""Layers whose attributes for weights are None until these are there."""

SETTING = "SettingScope"
"""The scope of what sets weights that are trained."""

REFUSED = "refused"
"""The function that classes have as methods: it stands before them."""

FUNCTIONS = (
    *("joined", "joined_multiples", "scale_of", "with_fans", "with_gradient_of", "unpacked", "StoredGroups"),
    SETTING,
    REFUSED,
)
"""What classes may call, each in a template of its name."""

WAYS = ("written", "read", "once", "few", "many", "zeros")
"""In what ways numbers are put where they stand, of which a network needs some."""

TEMPLATES = dict.fromkeys(("SymmetricHalves", "SkewHalves", "LowerHalves", "UpperHalves"), "Halves")
"""The templates of classes that are written in more than one way."""

MODULES = re.compile(r"(?<![\w.])(activations|base64|functools|initializers|layers|math|np|ops|regularizers)\.")
"""A module that is used in a text."""

Render = Callable[[str, Mapping[str, Any]], str]


class Writer:
    """What the template of a class is filled with."""

    template = "layer"

    def __init__(self, kind: Kind, plan: Plan, files: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.kind, self.plan, self.files = kind, plan, files
        self.names = _Own(names)
        self.own = [each for each in kind.weights if not each.tied]
        self.given = [each for each in kind.weights if each.tied]
        self.equations = {
            each.key: tuple(by_shape(one, each.sizes) for one in each.equations if one != FROZEN) for each in self.own
        }
        self.forms = self.normal_forms()
        self.functions: set[str] = {REFUSED} if self.row in CHANGED or kind.form == "Wrapped" else set()
        self.ways: set[str] = set()
        self.contexts: dict[str, dict[str, Any]] = {}
        self.product: Product | None = None
        needs = dict.fromkeys(name for form in self.forms.values() for name in form.needs)
        self.needs = {name: self.attribute(name) for name in needs}

    def normal_forms(self) -> dict[str, NormalForm]:
        return {each.key: self.form(each, [*map(bare, self.equations[each.key])]) for each in self.own}

    def form(
        self,
        weight: KindWeight,
        equations: Sequence[ex.Expression],
        also: Sequence[ex.Expression] = (),
        in_arrays: bool = False,
    ) -> NormalForm:
        """The normal form of equations on a weight."""
        return normal_form(equations, len(weight.sizes), self.files, also, in_arrays)

    @property
    def row(self) -> str:
        return self.kind.row.name if self.kind.row else "Shared"

    def attribute(self, name: str) -> str:
        """The attribute, and argument, in which the layer keeps a parameter of the network."""
        arguments = {each.name for each in self.kind.row.arguments} if self.kind.row else {"shape", "initializer"}
        taken = _ATTRIBUTES | arguments | {each.name for each in self.kind.weights}
        return f"{name}_" if name in taken or keyword.iskeyword(name) else name

    def parts(self) -> dict[str, Any]:
        kind = self.kind
        weights = [self.weight(each) for each in self.own]
        return {
            "weights": weights,
            "registered": f'"{self.plan.network.name}", "{kind.name}_{self.digest()}"',
            "name": kind.name,
            "row": self.row,
            "base": layout(kind.base, self.names, 0) if kind.base else "Shared",
            "doc": wrapped(self.doc()),
            "structure": self.structure(),
            "needs": list(self.needs.values()),
            "given": [each.name for each in self.given],
            "call": self.call() if self.given or self.product else (),
            "halves": any(each in TEMPLATES for each in self.functions),
            "product_varies": bool(self.product and self.product.only_if),
            "is_by_name": self.row in BY_NAME,
            "is_changed": self.row in CHANGED,
            "is_main_changed": KEPT_APART.get(self.row) in {each.name for each in kind.weights},
            "is_none_at_first": self.row in NONE_AT_FIRST,
        }

    def digest(self) -> str:
        """What tells this class from others of its name in a file: what it means for what is stored."""
        tables = self.plan.constants

        def meant(part: ex.Expression) -> ex.Expression | None:
            match part:
                case ex.Variable(name) if name in tables:
                    return ex.Sequence(ex.parts(tables[name])[2:])  # all but where it was read from
            return None

        said = {key: [ex.replaced(_valued(one), meant) for one in those] for key, those in self.equations.items()}
        weights = [(each.key, said.get(each.key)) for each in self.kind.weights]
        weights += [(name, None) for name in sorted(self.functions & TEMPLATES.keys())]  # which say an order
        return hashlib.sha256(repr((FORMAT, self.kind.form, self.row, weights)).encode()).hexdigest()[:6]

    def annotations(self, weight: KindWeight) -> list[str]:
        frozen = [FROZEN] if not weight.is_trained else []
        return [annotation(_valued(each), self.files, weight.name) for each in (*self.equations[weight.key], *frozen)]

    def doc(self) -> str:
        said = [f"whose {each.name} {in_words(self.annotations(each))}" for each in self.own]
        given = " and ".join(each.name for each in self.given)
        said += [f"that is given its {given} with each call"] if given else []
        return f"A `{self.row}` {', and '.join(said)}."

    def structure(self) -> str:
        """What the class carries for those who read it back: what it says of weights, and where masks are."""
        said = [f"{self.path(each)}: {', '.join(self.annotations(each))}" for each in self.own]
        said += [f"{self.path(each)}: tie" for each in self.given if self.kind.form == "Structured"]
        texts = tuple(ex.Constant(each) for each in said if not each.endswith(": "))
        lines = [self.assignment("structure", ex.Sequence(texts), 4)]
        used = {name for those in self.equations.values() for each in those for name in ex.variables(each)}
        masks = [(self.files[name], name) for name in self.files if name in used]
        if masks:
            pairs = tuple(ex.Sequence(tuple(map(ex.Constant, each))) for each in masks)
            lines.append(self.assignment("masks", ex.Sequence(pairs), 4))
        return "\n".join(lines)

    def path(self, weight: KindWeight) -> str:
        """What `structure` calls a weight."""
        return weight.name

    # A weight

    def weight(self, weight: KindWeight) -> dict[str, Any]:
        name = weight.name
        is_single = len(self.kind.weights) == 1
        indent = 8 if is_single else 12
        prefix = "" if len(self.own) == 1 else f"{name}_"
        body = Body(self, weight, prefix, indent)
        return {
            "name": name,
            "local": body.name,
            "lines": body.stored(),
            "value": body.value(),
            "numbers": f"_{name}",
            "is_kept_apart": KEPT_APART.get(self.row) == name,
        }

    def call(self) -> list[str]:
        """What the layer computes with weights that it is given."""
        given = {each.name for each in self.given}
        kernel, bias = (name if name in given else f"self.{name}" for name in ("kernel", "bias"))
        match self.row:
            case "Embedding":
                return ["return ops.cast(ops.take(embeddings, inputs, axis=0), self.compute_dtype)"]
            case "EinsumDense":
                lines = [f"outputs = ops.einsum(self.equation, inputs, {kernel})"]
                test = f"{bias} is not None"
            case "Dense" if self.product:
                lines = multiplied(self.product)
                if self.product.only_if and self.given:
                    made = f"    outputs = ops.matmul(inputs, {kernel})"
                    lines = [f"if self.{self.product.only_if}:", *(f"    {each}" for each in lines), "else:", made]
                elif self.product.only_if:
                    lines = [f"if not self.{self.product.only_if}:", "    return super().call(inputs)", *lines]
                test = "self.use_bias"
            case "Dense":
                lines = [f"outputs = ops.matmul(inputs, {kernel})"]
                test = "self.use_bias"
            case _:
                lines = [f"outputs = self.convolution_op(inputs, {kernel})"]
                test = "self.use_bias"
        if "bias" in given:
            return [*lines, "return self.activation(ops.add(outputs, bias))"]
        return [*lines, f"if {test}:", f"    outputs = ops.add(outputs, {bias})", "return self.activation(outputs)"]

    def flat(self, expression: ex.Expression) -> str:
        return flat(expression, self.names)

    def assignment(self, target: str, value: ex.Expression, indent: int) -> str:
        return " " * indent + layout(value, self.names, indent, f"{target} = ", statement=True)


def multiplied(product: Product, layer: str = "self") -> list[str]:
    """The lines of a call in which the kernel is not made, up to the outputs without a bias."""
    return [
        "x = ops.convert_to_tensor(inputs, sparse=False)",
        f"dtype = keras.backend.result_type(x.dtype, {layer}.compute_dtype)",
        *product.call,
    ]


def wrapped(doc: str) -> str:
    """A docstring of a class, on as many lines as it takes."""
    doc = doc.replace("\\", "\\\\")
    if len(doc) <= WIDTH - 10:
        return doc
    # What stands in backquotes stays on one line.
    kept = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\xa0"), doc)
    lines = textwrap.wrap(kept, WIDTH - 10, break_long_words=False, break_on_hyphens=False)
    return "\n    ".join([*(line.replace("\xa0", " ") for line in lines), ""])


_ATTRIBUTES = frozenset({
    *("name", "dtype", "trainable", "autocast", "built", "call", "build", "path", "weights", "variables", "losses"),
    *("input", "output", "inputs", "outputs", "structure", "where", "constant", "sign", "shape", "supports_masking"),
    *("metrics", "activity_regularizer", "input_spec", "cell", "layer", "kernel", "bias", "arguments", "options"),
    *("compute_dtype", "variable_dtype", "dtype_policy", "quantize", "rank", "axis", "self", "add_weight"),
    *("placed", "halves", "strips", "upper", "count"),
})  # fmt: skip
"""Attributes that a layer has in any case, and names that its methods need."""


def _valued(expression: ex.Expression) -> ex.Expression:
    """An expression with the values of constants in place of their names, which the file has and the class has not."""
    return ex.replaced(expression, lambda part: _valued(part.value) if isinstance(part, ex.Named) else None)


class _Own(dict[str, str]):
    """Identifiers; whatever is not among them is one by itself."""

    def __missing__(self, name: str) -> str:
        return name


class SharedWriter(Writer):
    """A weight of the graph."""

    template = "shared_by_structure"

    def __init__(self, kind: Kind, plan: Plan, files: Mapping[str, str], names: Mapping[str, str]) -> None:
        super().__init__(kind, plan, files, names)
        if not kind.weights:
            self.template = "shared"

    def parts(self) -> dict[str, Any]:
        given = {name for each in self.plan.parts() for name in _given_to(each, "Shared")}
        if self.template == "shared" and "fans" in given:
            self.functions.add("with_fans")
        return super().parts() | {"is_regularized": "regularizer" in given, "has_fans": "fans" in given}

    def doc(self) -> str:
        return "".join(f"A weight that {in_words(self.annotations(each))}." for each in self.own)


def _given_to(part: ex.Expression, path: str, names: Sequence[str] = ()) -> tuple[str, ...]:
    """The arguments that a call of a class of the runtime gives by name, and those of `names` by position."""
    match part:
        case ex.Call(ex.Symbol(called), positional, keywords) if called == path:
            return *names[: len(positional)], *(name for name, _ in keywords)
    return ()


class CellWriter(Writer):
    """A recurrent layer, and its cell."""

    template = "cell"

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        row, kind = self.row, self.kind
        cell = f"{kind.name}Cell"
        return parts | {
            "doc": parts["doc"].replace(f"A `{row}`", f"An `RNN` of a `{row}Cell`"),
            "cell": cell,
            "row": row,
            "cell_doc": parts["doc"].replace(f"`{row}`", f"`{row}Cell`"),
            "cell_registered": f'"{self.plan.network.name}", "{cell}_{self.digest()}"',
        }


class ConstantWriter(Writer):
    """A tensor that is the same for all inputs."""

    template = "constant"


class RandomWriter(Writer):
    """A tensor that is drawn in each call."""

    template = "random"

    def parts(self) -> dict[str, Any]:
        name = self.kind.name
        arguments = RANDOM_CLASSES[name].arguments
        given = [(each.name, each.default) for each in arguments if each.name not in ("seed", "training_only")]
        names = [each.name for each in arguments]
        asked = {each for part in self.plan.parts() for each in _given_to(part, name, names)}
        return super().parts() | {
            "doc": f"Draws a tensor of the shape of another one: {_DRAWN[name]}.",
            "given": given,
            "training_only": "training_only" in asked,
            "drawn": _draw(name),
        }


_DRAWN = {
    "RandomNormal": "numbers from a normal distribution",
    "RandomUniform": "numbers from `minval` to `maxval`",
    "RandomBernoulli": "ones with the probability `p`, and zeros else",
}


def _draw(name: str) -> list[str]:
    """The last lines of a call."""
    match name:
        case "RandomBernoulli":
            return [
                'drawn = keras.random.uniform(ops.shape(inputs), dtype="float32", seed=self.seed_generator)',
                "return ops.cast(drawn < self.p, self.compute_dtype)",
            ]
        case "RandomUniform":
            function, arguments = "uniform", "self.minval, self.maxval"
        case _:
            function, arguments = "normal", "self.mean, self.stddev"
    given = f"ops.shape(inputs), {arguments}, self.compute_dtype, self.seed_generator"
    return [f"return keras.random.{function}({given})"]
