"""The lines of one weight in a class of a written module: what is stored of it, and how it is made of that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from wdsl.backends.mechanisms import Enforced, bare, is_averaged, joins, mechanism_of
from wdsl.backends.products import halves_of, product_of
from wdsl.core import expressions as ex
from wdsl.core.printing import flat, layout
from wdsl.plan.kinds import KindWeight
from wdsl.weights.assignments import Let
from wdsl.weights.normal import NormalForm, normal_form
from wdsl.weights.products import realization

NOT_CAST = frozenset({"BatchNormalization", "LayerNormalization", "GroupNormalization"})
"""Layers that compute with their weights in the dtype in which they are stored."""

LOCALS = frozenset({"scale", "shape", "live", "label", "entry", "where", "places", "sign", "constant", "initializer"})
"""Names in the methods of classes that no weight may have there as well."""

FANS = {
    **dict.fromkeys(("glorotuniform", "glorotnormal"), "fan_avg"),
    **dict.fromkeys(("henormal", "heuniform", "lecunnormal", "lecununiform"), "fan_in"),
}
"""What initializers divide by: how many entries there are for an input, an output, or both."""

PLAIN = frozenset({
    *("zeros", "ones", "constant", "orthogonal", "orthogonalinitializer", "identity", "identityinitializer"),
    *("uniform", "randomuniform", "normal", "randomnormal", "truncatednormal"),
})  # fmt: skip
"""Initializers that do not ask how many there are."""

LARGER = "# fewer entries, each larger"


class Body:
    """The lines of one weight in a class."""

    def __init__(self, writer: Any, weight: KindWeight, prefix: str, indent: int) -> None:
        self.writer, self.weight, self.prefix, self.indent = writer, weight, prefix, indent
        self.form = writer.forms[weight.key]
        self.where, self.constant, self.sign, self.shape, self.divisors = (
            f"self.{prefix}{name}" for name in ("where", "constant", "sign", "shape", "divisors")
        )
        self.method, self.numbers = self.named()
        self.name = f"{self.method}_" if self.method in LOCALS else self.method
        equations = writer.equations[weight.key]
        is_enforced = weight.sizes and any(mechanism_of(each) != "parameter" for each in equations)
        self.enforced = Enforced(self, equations) if is_enforced else None
        self.averaged = [each for each in equations if is_averaged(each)]
        # Of some numbers the gradient is a mean, and of others not.
        self.is_mixed = bool(self.averaged) and any(joins(each) for each in equations if each not in self.averaged)
        if self.is_mixed and not self.enforced:
            self.form = writer.form(weight, [*map(bare, equations)], in_arrays=True)
        plan = writer.plan
        found = self.realization = realization(weight.structures, plan.network, plan.structures, weight.is_regularized)
        is_stored = not self.enforced.is_dense if self.enforced else self.form.live or self.form.label
        self.is_placed = found.placed is not None and is_stored
        if self.is_placed:
            self.where = "where"
            self.placed_by(found.placed or ())
        self.zero = "-1" if self.is_in("BandMatrix", "Halves") else "places.size"

    def is_in(self, *patterns: str) -> bool:
        return type(self.realization.pattern).__name__ in patterns

    def placed_by(self, ways: Collection[str]) -> None:
        """Have a class `Placement` in these ways, and those that other sizes can need."""
        self.writer.functions.add("Placement")
        self.writer.ways |= {*ways, *(["zeros"] if self.form.live else []), *(["read"] if self.form.label else [])}

    layer = "self"
    """The layer that the weight belongs to."""
    source = "initializer(shape, dtype)"
    """What is drawn."""
    initializer = "initializer"
    places = "places"
    """Of which entries of what is drawn numbers are stored."""
    head = "def draw(_, dtype):"
    size = "shape"
    """The shape of the weight."""

    def named(self) -> tuple[str, str]:
        """What the weight is called in the class, and the attribute that has its free numbers."""
        return self.weight.name, f"self._{self.weight.name}"

    @property
    def is_cast(self) -> bool:
        """Whether the layer computes with it in another dtype than it is stored in."""
        return self.writer.row not in NOT_CAST and self.writer.row != "Shared"

    @property
    def is_plain(self) -> bool:
        """Whether nothing is said of its entries: it may not be trained, or be one number in any case."""
        return not self.writer.equations[self.weight.key] or (not self.weight.sizes and self.form.is_one)

    def lines(self, *texts: str) -> list[str]:
        return [f"{' ' * self.indent}{each}" if each else "" for each in texts]

    def let(self, let: Let) -> str:
        targets = ", ".join(layout(each, self.writer.names, 0) for each in let.targets)
        return str(self.writer.assignment(targets, self.with_attributes(let.value), self.indent))

    def with_attributes(self, value: ex.Expression) -> ex.Expression:
        """An expression with parameters under the names that the class has for them."""

        def change(part: ex.Expression) -> ex.Expression | None:
            match part:
                case ex.Attribute(ex.Variable("self") as own, name):
                    return ex.Attribute(own, self.writer.needs[name])
            return None

        return ex.replaced(value, change)

    # What is stored

    def stored(self) -> list[str]:
        """The body of `add_weight` for it."""
        form = self.form
        if self.enforced:
            return [*self.checked(), *self.enforced.lines()]
        if self.is_plain:
            frozen = [] if self.weight.is_trained else ['options["trainable"] = False']
            return self.lines(*frozen, "return super().add_weight(shape, initializer, name=name, **options)")
        self.writer.functions |= form.functions
        found = [*self.checked(), *(self.let(each) for each in form.lets)]
        if form.is_one or (form.is_empty and not form.constant):
            found += self.lines(f"{self.shape} = shape")
        if form.sign:
            found += self.lines(f"{self.sign} = sign")
        if form.constant:
            found += self.lines(f"{self.constant} = constant")
        found += self.numbering(form)
        found += self.placing(form)
        if self.realization.pattern:
            self.writer.product = product_of(self, self.realization)
            found += self.lines(*self.writer.product.stored)
        found += self.divided(form)
        found += self.regularizer()
        if not self.weight.is_trained:
            found += self.lines('options["trainable"] = False')
        return [*found, *self.drawn()]

    def placing(self, form: NormalForm) -> list[str]:
        """What puts the numbers of a large weight where they stand."""
        if not self.is_placed:
            return []
        where = f"np.where({self.where} < places.size, {self.where}, -1)" if form.live else self.where
        return self.lines(f"self.{self.prefix}placed = Placement({where})")

    def divided(self, form: NormalForm) -> list[str]:
        """By how much gradients are divided that are means."""
        if not self.averaged or form.is_one:
            return []
        if not self.is_mixed:
            live = "[live]" if form.live else ".ravel()"
            return self.lines(f"{self.divisors} = np.bincount({self.where}{live}, minlength=places.size)")
        equations = map(bare, self.writer.equations[self.weight.key])
        means = normal_form(self.averaged, len(self.weight.sizes), self.writer.files, equations, in_arrays=True)
        self.writer.functions |= means.functions
        return [
            *(self.let(each) for each in means.lets),
            *self.lines(
                "averaged = np.zeros(places.size + 1, bool)",
                f"averaged[{self.where}[label != np.arange(label.size).reshape(shape)]] = True",
                f"counts = np.bincount({self.where}.ravel(), minlength=places.size + 1)",
                f"{self.divisors} = np.where(averaged, counts, 1)[:-1]",
            ),
        ]

    def checked(self) -> list[str]:
        """That masks have the weight's shape, if that depends on parameters."""
        return self.masks_checked(self.weight, self.writer.equations[self.weight.key], "shape")

    def masks_checked(self, weight: KindWeight, equations: Sequence[ex.Expression], shape: str) -> list[str]:
        if all(isinstance(each, ex.Constant) for each in weight.sizes):
            return []
        used = {name for each in equations for name in ex.variables(each) if name in self.writer.files}
        found = []
        for name in sorted(used):
            file = repr(self.writer.files[name]).replace("{", "{{").replace("}", "}}")
            said = f"The mask of {file} has shape {{{name}.shape}}, the weight {{{shape}}}."
            given = f"tuple({shape})" if shape == "shape" else shape
            found += self.lines(f"if {name}.shape != {given}:", f"    raise ValueError(f{_quoted(said)})")
        return found

    def is_whole(self, form: NormalForm) -> bool:
        """Whether each entry is a number of its own: all that is said is that it is not trained."""
        return not (form.live or form.label or form.is_one or form.is_empty)

    def numbering(self, form: NormalForm) -> list[str]:
        if form.is_one or form.is_empty or self.is_whole(form):
            return []
        if self.is_in("Halves"):
            return self.in_halves(form)
        if not form.live:
            return self.lines(
                "places, where = np.unique(label, return_inverse=True)", f"{self.where} = where.reshape(shape)"
            )
        if form.label:
            number = "number" if self.where == "where" else "where"
            return self.lines(
                f"places, {number} = np.unique(label[live], return_inverse=True)",
                f"{self.where} = np.full(shape, {self.zero})",
                f"{self.where}[live] = {number}",
            )
        return self.lines(
            "places = np.flatnonzero(live)",
            f"{self.where} = np.full(shape, {self.zero})",
            f"{self.where}[live] = np.arange(places.size)",
        )

    def first(self, form: NormalForm) -> tuple[list[str], list[str]]:
        """The lines by which a whole weight is drawn, and those that stand before the function that does."""
        scale, factor = self.scale(form)
        return scale, [f"{self.name} = {self.source}{factor}"]

    def flat(self, value: str) -> str:
        return f"ops.reshape({value}, (-1,))"

    def got(self) -> list[str]:
        """The initializer, of what an inner layer may give for one."""
        if self.weight.initializer is not None:
            return []
        return self.lines("initializer = keras.initializers.get(initializer)")

    def in_halves(self, form: NormalForm) -> list[str]:
        """The numbering of a kernel that is cut in halves: block by block."""
        has_entry = any(ex.Variable("entry") in let.targets for let in form.lets)
        entry = [] if has_entry else ["entry = np.arange(np.prod(shape)).reshape(shape)"]
        label = "label" if form.label else "entry"
        sign = ", sign" if form.sign else ""
        name = halves_of(self.realization.pattern)
        return self.lines(
            *entry,
            f"self.halves = {name}(np.where(live, {label}, -1){sign})"
            if form.live
            else f"self.halves = {name}({label}{sign})",
            "places = self.halves.places",
            "number = np.zeros(entry.size, int)",
            "number[places] = np.arange(places.size)",
            f"{self.where} = np.where(live, number[{label}], -1)" if form.live else f"{self.where} = number[{label}]",
        )

    def drawn(self) -> list[str]:
        form, name = self.form, self.name
        if form.is_empty:
            return self.added("(0,)", '"zeros"')
        scale, drawn = self.first(form)
        flat = self.flat(name)
        if form.is_one:
            shape, drawn = "(1,)", [*drawn, f"return {flat}[:1]"]
        elif self.is_whole(form):
            shape, drawn = "shape", [*drawn[:-1], drawn[-1].replace(f"{name} = ", "return ", 1)]
        else:
            shape, drawn = "places.shape", [*drawn, f"return ops.take({flat}, {self.places})"]
        return [
            *self.got(),
            *scale,
            "",
            *self.lines(self.head, *(f"    {each}" for each in drawn), ""),
            *self.added(shape, "draw"),
        ]

    def added(self, shape: str, initializer: str) -> list[str]:
        is_said = self.writer.row in NOT_CAST or self.writer.row == "Shared"
        options = ["name=name", *([] if is_said else ["autocast=False"]), "**options"]
        call = f"return super().add_weight({', '.join([shape, initializer, *options])})"
        if self.indent + len(call) <= 88:
            return self.lines(call)
        return self.lines("return super().add_weight(", f"    {', '.join([shape, initializer, *options])}", ")")

    def scale(self, form: NormalForm) -> tuple[list[str], str]:
        """By how much numbers are larger where zeros leave fewer of them, as lines and as a factor."""
        # What has no argument for it is drawn alike in all its layers.
        of_row = "glorot_uniform" if self.writer.row == "AdditiveAttention" else None
        fans = fans_of(self.weight.initializer or of_row)
        if not form.live or fans is None:
            return [], ""
        used = "live"
        found: list[str] = []
        if form.constant:
            used = "used"
            found += self.lines("used = live | (constant != 0)")
        if fans == "unknown":
            self.writer.functions.add("scale_of")
            return found, f" * scale_of({self.initializer}, {used})"
        rank = len(self.weight.sizes)
        inputs, outputs = self.weight.fans or ((rank - 2,), (rank - 1,))
        if rank < 2 and not self.weight.fans:
            return [*found, *self.lines(f"scale = np.sqrt({used}.size / {used}.sum())  {LARGER}")], " * scale"
        ends = {"fan_in": [outputs], "fan_out": [inputs], "fan_avg": [outputs, inputs]}[fans]
        sums, wholes = [], []
        for end in ends:
            others = tuple(axis for axis in range(rank) if axis not in end)
            over = others[0] if len(others) == 1 else others
            sums.append(f"{used}.sum() / {used}.any({over}).sum()")
            wholes.append(f"{used}.size / {' / '.join(f'shape[{axis}]' for axis in end)}")
        if rank == 2 and len(ends) == 2:
            whole = "sum(shape)"
        elif rank == 2:
            whole = f"shape[{1 - ends[0][0]}]"
        else:
            whole = " + ".join(wholes)
        return [*found, *self.sum("fans", sums), *self.ratio(whole)], " * scale"

    def sum(self, target: str, terms: Sequence[str]) -> list[str]:
        line = f"{target} = {' + '.join(terms)}"
        if self.indent + len(line) <= 88:
            return self.lines(line)
        rest = [f"    + {each}" for each in terms[1:]]
        return self.lines(f"{target} = (", f"    {terms[0]}", *rest, ")")

    def ratio(self, whole: str) -> list[str]:
        if whole.isidentifier() or (whole.endswith((")", "]")) and " " not in whole):
            return self.lines(f"scale = np.sqrt({whole} / fans)  {LARGER}")
        return [*self.sum("dense", whole.split(" + ")), *self.lines(f"scale = np.sqrt(dense / fans)  {LARGER}")]

    at_places = ".flat[places]"
    """What follows an array of entries, to have it of those whose numbers are stored."""

    def option(self, name: str, value: str) -> list[str]:
        """The line that gives an argument to what makes the variable."""
        return self.lines(f'options["{name}"] = {value}')

    def regularizer(self) -> list[str]:
        if not self.weight.is_regularized:
            return []
        return self.lines(
            'regularizer = options["regularizer"]',
            f'options["regularizer"] = lambda _: regularizer(self.whole_{self.method}())',
        )

    # What it is in use

    def value(self) -> dict[str, Any] | None:
        """The lines of the property, those of a method for a regularizer to call, and further methods."""
        if self.is_plain:
            return None
        steps, methods = self.steps()
        name = self.name
        is_cast = self.is_cast
        lines = [f"{name} = {each}" for each in steps]
        if not is_cast:
            lines[-1] = f"return {steps[-1]}"
        if not self.weight.is_regularized:
            cast = [f"return ops.cast({name}, self.compute_dtype)"] if is_cast else []
            return {"whole": [], "lines": [*lines, *cast], "methods": methods}
        whole = f"self.whole_{self.method}()"
        lines[-1] = f"return {steps[-1]}"
        return {
            "whole": lines,
            "lines": [f"return ops.cast({whole}, self.compute_dtype)" if is_cast else f"return {whole}"],
            "methods": methods,
        }

    def steps(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """What is computed, one from the other, from what is stored to the whole weight; and methods for that."""
        if self.enforced:
            return self.enforced.value()
        if not self.averaged:
            return self.expansion(self.form, self.numbers), []
        return [self.tensor(), self.mean(), *self.expansion(self.form, self.name)], []

    def tensor(self) -> str:
        """What is stored, as a tensor."""
        return f"ops.convert_to_tensor({self.numbers})"

    def mean(self) -> str:
        """The numbers with gradients that are means."""
        name = self.name
        self.writer.functions.add("with_gradient_of")
        divisors = f"np.prod({self.shape})" if self.form.is_one else f"ops.cast({self.divisors}, {name}.dtype)"
        return f"with_gradient_of({name}, {name} / {divisors})"

    def expansion(self, form: NormalForm, numbers: str) -> list[str]:
        """The weight of its free numbers."""
        name = self.name
        if form.is_empty:
            zeros = f"ops.zeros({self.shape}, {numbers}.dtype)"
            whole = f"ops.cast({self.constant}, {numbers}.dtype)" if form.constant else zeros
            return [whole, f"{name} + ops.sum({numbers})  # of none"]
        if form.is_one:
            steps = [f"ops.broadcast_to({numbers}, {self.shape})"]
        elif self.is_whole(form):
            steps = [f"ops.reshape({numbers}, {numbers}.shape)"]
        elif self.is_placed:
            steps = [f"self.{self.prefix}placed({numbers})"]
        elif form.live:
            steps = [f"ops.take(ops.pad({numbers}, (0, 1)), {self.where})"]
        else:
            steps = [f"ops.take({numbers}, {self.where})"]
        if form.sign:
            steps.append(f"{name} * ops.cast({self.sign}, {name}.dtype)")
        if form.constant:
            steps.append(f"{name} + ops.cast({self.constant}, {name}.dtype)")
        return steps


def _quoted(text: str) -> str:
    """A string as formatters write it."""
    return flat(ex.Constant(text), {})


def fans_of(initializer: str | ex.Expression | None) -> str | None:
    """What an initializer divides by; None if by nothing, "unknown" if that is not known yet."""
    match initializer:
        case None:
            return None
        case str(name) | ex.Constant(str(name)):
            name = name.replace("_", "").lower()
            return FANS.get(name, None if name in PLAIN else "unknown")
        case ex.Call(ex.Symbol(path), arguments, keywords):
            name = path.rpartition(".")[2].lower()
            if name == "variancescaling":
                mode = dict(keywords).get("mode") or (arguments[1] if len(arguments) > 1 else ex.Constant("fan_in"))
                return str(mode.value) if isinstance(mode, ex.Constant) else "unknown"
            return FANS.get(name, None if name in PLAIN else "unknown")
    return "unknown"
