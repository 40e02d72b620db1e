"""The class of weights that have entries in common: one layer, with the free numbers of the vector of all entries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Tied
from wdsl.backends.bodies import Body, fans_of
from wdsl.backends.classes import FUNCTIONS, Writer, wrapped
from wdsl.backends.mechanisms import bare
from wdsl.core import expressions as ex
from wdsl.core.printing import WIDTH
from wdsl.plan.kinds import RESERVED, Kind, KindWeight
from wdsl.plan.plan import Plan
from wdsl.weights.arrays import item
from wdsl.weights.coupled import CoupledLowering, Member, is_rising, is_slice, within
from wdsl.weights.normal import Lowering, NormalForm

OWN = re.compile(
    r"(_|i|j|k|l_|m|averaged|constant|counts|draw|drawn|dtype|factor|first|fixed|frozen|functools|group|initializer|"
    r"input_shape|is_frozen|is_mean|key|label|live|mean|named|numbers|other|part|places|possible|self|shape|sign|same|"
    r"sizes|those|tied|trained|used|vector|weights|where)\d*"
)
"""What the lines of the class need for themselves."""

ATTRIBUTES = frozenset({
    *("shapes", "initializers", "regularizers", "fans", "numbers", "frozen", "order", "divisors", "used", "kept"),
    *("moved", "whole", "regularize", "used_constant", "kept_constant", "project_vector"),
})  # fmt: skip
"""Attributes that the class has in any case."""


class CoupledWriter(Writer):
    """Weights that have entries in common."""

    template = "coupled"

    def __init__(self, kind: Kind, plan: Plan, files: Mapping[str, str], names: Mapping[str, str]) -> None:
        idents: dict[str, str] = {}
        for each in kind.weights:
            name = each.ident
            while name in idents.values() or name in files or name in (*RESERVED, *FUNCTIONS) or OWN.fullmatch(name):
                name += "_"
            idents[each.key] = name
        self.members = {each.key: Member(ex.Variable(idents[each.key]), len(each.sizes)) for each in kind.weights}
        self.frozen = [self.members[each.key].array for each in kind.weights if not each.is_trained]
        self.lowering = CoupledLowering(self.members, files)
        super().__init__(kind, plan, files, names)

    def normal_forms(self) -> dict[str, NormalForm]:
        """That of the vector, which is about the entries of all."""
        stated = tuple(within(key, each) for key, equations in self.equations.items() for each in equations)
        self.vector = KindWeight("vector", (ex.Constant(1),), stated, False, None, False, None)
        self.equations |= {"vector": stated}
        return {"vector": self.form(self.vector, tuple(map(bare, stated)))}

    def form(
        self,
        weight: KindWeight,
        equations: Sequence[ex.Expression],
        also: Sequence[ex.Expression] = (),
        in_arrays: bool = False,
    ) -> NormalForm:
        if not self.lowering.goes_on(equations):
            self.lowering = CoupledLowering(self.members, self.files)
        return self.lowering.form(tuple(equations), tuple(also), in_arrays)

    def attribute(self, name: str) -> str:
        return f"{name}_" if name in ATTRIBUTES else super().attribute(name)

    def parts(self) -> dict[str, Any]:
        is_plain = self.is_plain()
        body = CoupledBody(self, self.vector, "", 8)
        lines = self.ties() if is_plain else body.stored()
        value, methods = (["vector = ops.take(self.numbers, self.where)"], []) if is_plain else body.whole()
        parts = super().parts()
        is_regularized = any(each.is_regularized for each in self.kind.weights)
        arguments = ["shapes", "initializers=None"]
        arguments += ["regularizers=None"] if is_regularized else []
        arguments += ["fans=None"] if self.has_fans else []
        arguments += ["*", *self.needs.values()] if self.needs else []
        return parts | {
            "doc": wrapped(
                f"Weights that have entries in common: {', '.join(each.key for each in self.kind.weights)}."
            ),
            "signature": _signature(["self", *arguments, "**options"]),
            "vector": "label" if is_plain else "vector",
            "targets": _targets([each.array.name for each in self.members.values()]),
            "has_list": not is_plain and body.is_scaled,
            "is_plain": is_plain,
            "is_regularized": is_regularized,
            "has_fans": self.has_fans,
            "lines": lines,
            "value": value,
            "methods": methods,
        }

    def path(self, weight: KindWeight) -> str:
        return weight.key

    @property
    def has_fans(self) -> bool:
        """Whether the plan says of some weights which axes their initializers are to count by."""
        has_fans = any(each.fans for each in self.kind.weights)
        if has_fans:
            self.functions.add("with_fans")
        return has_fans

    def weight(self, weight: KindWeight) -> dict[str, Any]:
        return {}

    # Ties alone, of weights to those before them

    def is_plain(self) -> bool:
        """Whether each weight has at most one tie, to a weight before it that has none, of parts of one shape."""
        if self.frozen or any(each.is_regularized or each.fans for each in self.kind.weights):
            return False
        seen: set[str] = set()
        values = self.plan.network.values
        sizes = {
            each.key: tuple(ex.evaluate(one, values, _builtin) for one in each.sizes) for each in self.kind.weights
        }
        for weight in self.kind.weights:
            match tuple(map(meaning, self.equations[weight.key])):
                case ():
                    seen.add(weight.key)
                case (Tied(ex.Call(ex.Symbol("View"), (ex.Constant(name),)), region),):
                    if name not in seen:
                        return False
                    shape = sizes[weight.key]
                    if region:
                        match region[0]:
                            case ex.Call(ex.Symbol("At"), items) if all(map(is_slice, items)):
                                if not all(map(is_rising, items)):
                                    return False
                                slices = [ex.evaluate(each, values, _builtin) for each in items]
                                pairs = zip(slices, shape, strict=True)
                                shape = tuple(len(range(*each.indices(size))) for each, size in pairs)
                            case _:
                                return False
                    if shape != sizes[str(name)]:
                        return False
                case _:
                    return False
        return True

    def ties(self) -> list[str]:
        """The body of `build` for them."""
        lines = []
        for weight in self.kind.weights:
            for equation in self.equations[weight.key]:
                assert isinstance(equation, ex.Call)
                view, *region = equation.arguments
                assert isinstance(view, ex.Call)
                (name,) = view.arguments
                assert isinstance(name, ex.Constant)
                lowering = Lowering(len(weight.sizes), frozenset(self.files))
                at = ex.Sequence(tuple(map(lowering.own, ex.parts(region[0])[1:]))) if region else ex.Symbol("...")
                target = item(self.members[weight.key].array, at)
                lines.append(self.assignment(self.flat(target), self.members[str(name.value)].array, 8))
        return [
            *lines,
            "        places, self.where = np.unique(label, return_inverse=True)",
            "",
            "        def draw(_, dtype):",
            "            drawn = [",
            "                ops.reshape(initializer(self.shapes[name], dtype), (-1,))",
            "                for name, initializer in self.initializers.items()",
            "            ]",
            "            return ops.take(ops.concatenate(drawn), places)",
            "",
            '        self.numbers = self.add_weight(places.shape, draw, name="weights", autocast=False)',
        ]


def _signature(arguments: Sequence[str]) -> list[str]:
    """The lines of `__init__` before its body."""
    text = ", ".join(arguments)
    if len(f"    def __init__({text}):") <= WIDTH:
        return [f"    def __init__({text}):"]
    if len(text) + 8 <= WIDTH:
        return ["    def __init__(", f"        {text}", "    ):"]
    return ["    def __init__(", *(f"        {each}," for each in arguments), "    ):"]


def _targets(names: Sequence[str]) -> str:
    """What all the arrays are assigned to at once."""
    text = ", ".join(names)
    if len(f"        {text} = weights") <= WIDTH:
        return text
    return "\n".join(["(", *(f"            {each}," for each in names), "        )"])


def _builtin(path: str) -> Any:
    import builtins

    return getattr(builtins, path)


class CoupledBody(Body):
    """The lines of the vector."""

    writer: CoupledWriter
    is_plain = False
    is_cast = False
    size = "vector.shape"
    at_places = "[places]"

    def __init__(self, writer: CoupledWriter, weight: KindWeight, prefix: str, indent: int) -> None:
        self.options: list[str] = []
        self.has_frozen = bool(writer.frozen)
        self.is_scaled = False
        if self.has_frozen:
            self.head, self.places = "def draw(those, _, dtype):", "places[those]"
        super().__init__(writer, weight, prefix, indent)
        self.form = writer.forms[weight.key]

    def named(self) -> tuple[str, str]:
        return "vector", "vector" if self.has_frozen else "self.numbers"

    def numbering(self, form: NormalForm) -> list[str]:
        if not form.live:
            return self.lines("places, self.where = np.unique(label, return_inverse=True)")
        return self.lines(
            "places, where = np.unique(label[live], return_inverse=True)",
            "self.where = np.full(vector.shape, places.size)",
            "self.where[live] = where",
        )

    def checked(self) -> list[str]:
        found = []
        for each in self.writer.kind.weights:
            shape = f"{self.writer.members[each.key].array.name}.shape"
            found += self.masks_checked(each, self.writer.equations[each.key], shape)
        return found

    def divided(self, form: NormalForm) -> list[str]:
        if not self.averaged:
            return []
        counts = f"np.bincount(self.where{'[live]' if form.live else ''}, minlength=places.size)"
        if not form.averaged:
            return self.lines(f"self.divisors = {counts}")
        return self.lines(
            "is_mean = np.isin(np.arange(places.size), self.where[averaged])",
            f"self.divisors = np.where(is_mean, {counts}, 1)",
        )

    def first(self, form: NormalForm) -> tuple[list[str], list[str]]:
        self.is_scaled = form.live and any(fans_of(each.initializer) for each in self.writer.kind.weights)
        if not self.is_scaled:
            return [], [
                "drawn = [",
                "    ops.reshape(initializer(self.shapes[name], dtype), (-1,))",
                "    for name, initializer in self.initializers.items()",
                "]",
                "vector = ops.concatenate(drawn)",
            ]
        self.writer.functions.add("scale_of")
        used = "used" if form.constant else "live"
        return self.lines("used = live | (constant != 0)") if form.constant else [], [
            "drawn = [",
            f"    initializer(part.shape, dtype) * scale_of(initializer, {used}[part])",
            "    for initializer, part in zip(",
            "        self.initializers.values(), weights, strict=True",
            "    )",
            "]",
            "vector = ops.concatenate([ops.reshape(each, (-1,)) for each in drawn])",
        ]

    def flat(self, value: str) -> str:
        return value

    def got(self) -> list[str]:
        return []

    def option(self, name: str, value: str) -> list[str]:
        self.options.append(f"{name}={value}")
        return []

    def added(self, shape: str, initializer: str) -> list[str]:
        has_regularizer = any(each.is_regularized for each in self.writer.kind.weights)
        regularizer = ["regularizer=self.regularize"] if has_regularizer else []
        if not self.has_frozen:
            return self.lines(self.variable("numbers", shape, initializer, '"weights"', [*self.options, *regularizer]))
        among = [f"np.isin(numbers, self.where[{each.name}])" for each in self.writer.frozen]
        return [
            *self.lines("numbers = np.arange(places.size)", f"is_frozen = {' | '.join(among)}"),
            *self.lines("trained, frozen = np.flatnonzero(~is_frozen), np.flatnonzero(is_frozen)"),
            *self.lines("self.order = np.argsort(np.concatenate([trained, frozen]))"),
            *self.lines(
                "if trained.size or not frozen.size:",
                "    " + self.of_part("numbers", "trained", '"weights"', [*self.options, *regularizer]),
                "if frozen.size:",
                "    " + self.of_part("frozen", "frozen", '"frozen"', ["trainable=False", *self.options]),
            ),
        ]

    def of_part(self, attribute: str, part: str, name: str, options: Sequence[str]) -> str:
        return self.variable(attribute, f"{part}.shape", f"functools.partial(draw, {part})", name, options)

    def variable(self, attribute: str, shape: str, initializer: str, name: str, options: Sequence[str]) -> str:
        """The line that makes a variable."""
        arguments = [shape, initializer, f"name={name}", "autocast=False", *options]
        return f"self.{attribute} = self.add_weight({', '.join(arguments)})"

    def tensor(self) -> str:
        return "ops.take(ops.concatenate(self.weights), self.order)" if self.has_frozen else super().tensor()

    def whole(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """The lines that compute the vector of what is stored, and further methods."""
        steps, methods = self.steps()
        if self.has_frozen and not self.enforced and not self.averaged:
            steps = [self.tensor(), *steps]
        return [f"vector = {each}" for each in steps], methods
