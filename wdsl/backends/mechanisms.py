"""The lines of a class for annotations that hold by other means than what is stored: `via mask` and its like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wdsl.annotations.kinds import meaning
from wdsl.annotations.meanings import Alike, Given, Meaning, Mirrored
from wdsl.core import expressions as ex
from wdsl.weights.assignments import Let
from wdsl.weights.coupled import WITHIN
from wdsl.weights.normal import AVERAGED, NormalForm

ORDER = ("mask", "constraint", "gradient", "initial")
SYMMETRIC = Mirrored((), sign=1)
ATTRIBUTES = {"mask": "used", "constraint": "kept", "gradient": "moved"}


def mechanism_of(equation: ex.Expression) -> str:
    match equation:
        case ex.Call(ex.Symbol("Via"), (ex.Constant(str(mechanism)), _)):
            return mechanism
    return "parameter"


def bare(equation: ex.Expression) -> ex.Expression:
    """An equation without its mechanism."""
    return (
        equation.arguments[1] if isinstance(equation, ex.Call) and mechanism_of(equation) != "parameter" else equation
    )


def _said(equation: ex.Expression) -> Meaning:
    """What an equation says, of a weight or of one within a vector."""
    match plain := bare(equation):
        case ex.Call(function, (_, inner)) if function == WITHIN:
            return meaning(inner)
    return meaning(plain)


def joins(equation: ex.Expression) -> bool:
    """Whether an equation says what is equal, and not what is constant."""
    return not isinstance(_said(equation), Given)


def is_averaged(equation: ex.Expression) -> bool:
    """Whether gradients are averaged by it."""
    said = _said(equation)
    return isinstance(said, Alike) and said.is_averaged


class Enforced:
    """One weight with mechanisms. `body` is its `Body` in `classes.py`, which has the lines that all have."""

    def __init__(self, body: Any, equations: Sequence[ex.Expression]) -> None:
        self.body, self.equations = body, equations
        self.by = {
            name: [bare(each) for each in equations if mechanism_of(each) == name] for name in ("parameter", *ORDER)
        }
        self.stored = self.by["parameter"]
        self.is_dense = not self.stored
        self.methods: list[dict[str, Any]] = []
        self.said: dict[str, Let] = {}
        """What an index is, by its name."""
        self.is_numbered = False

    def form(self, equations: Sequence[ex.Expression]) -> NormalForm:
        also = [bare(each) for each in self.equations]
        return self.body.writer.form(self.body.weight, equations, also, in_arrays=True)  # type: ignore[no-any-return]

    def arrays(self, form: NormalForm) -> list[str]:
        """The assignments of a form, but for those of indices that stand above already."""
        self.body.writer.functions |= form.functions
        found = []
        for let in form.lets:
            if let.targets == (AVERAGED,) and self.is_numbered:
                continue  # means are of the gradients of what is stored
            names = {name for target in let.targets for name in ex.variables(target)}
            indices = names - {"_", "*_"}
            is_index = names <= {"i", "j", "k", "l_", "m", "_", "*_", "entry"}
            if not (is_index and all(self.said.get(each) == let for each in indices)):
                found.append(self.body.let(let))
            self.said |= dict.fromkeys(indices, let)
        return found

    def lines(self) -> list[str]:
        """The body of `add_weight`."""
        body = self.body
        found: list[str] = []
        at = ""
        if not self.is_dense:
            form = self.form(self.stored)
            found += [*self.arrays(form), *body.numbering(form), *body.placing(form), *body.divided(form)]
            if form.sign:
                found += body.lines(f"{body.sign} = sign")
            if form.constant:
                found += body.lines(f"{body.constant} = constant")
            at = body.at_places
            self.is_numbered = True
        self.stored_form = None if self.is_dense else self.form(self.stored)
        said = list(self.stored)
        self.groups: dict[str, str] = {}
        for mechanism in ORDER[:3]:
            if not self.by[mechanism]:
                continue
            if (
                self.is_dense
                and mechanism == "gradient"
                and [*map(_said, self.by["gradient"])] == [SYMMETRIC]
                and not self.groups
            ):
                said += self.by[mechanism]
                self.groups[mechanism] = "symmetric"
                continue
            said += self.by[mechanism]
            form = self.form(said)
            found += self.arrays(form)
            attribute = f"self.{body.prefix}{ATTRIBUTES[mechanism]}"
            joined = any(joins(each) for each in said[len(self.stored) :])
            if joined:
                found += self.grouped(form, attribute, at, counts=mechanism == "constraint")
                self.groups[mechanism] = "groups"
            else:
                found += body.lines(f"{attribute} = live{at}")
                self.groups[mechanism] = "zeros"
                if form.constant:
                    found += body.lines(f"{attribute}_constant = constant{at}")
                    self.groups[mechanism] = "constants"
        whole = [bare(each) for each in self.equations]
        self.whole = self.form(whole)
        if whole != said or "symmetric" in self.groups.values():
            found += self.arrays(self.whole)
        if self.by["constraint"]:
            found += body.option("constraint", f"self.project_{body.name}")
        found += body.regularizer()
        if not body.weight.is_trained:
            found += body.lines('options["trainable"] = False')
        return [*found, *self.drawn()]

    def grouped(self, form: NormalForm, attribute: str, at: str, counts: bool) -> list[str]:
        body = self.body
        body.writer.functions.add("StoredGroups")
        flat = at or ".ravel()"
        arguments = [f"label{flat}" if form.label else ("places" if at else "entry.ravel()")]
        arguments += [f"live=live{flat}"] if form.live else []
        arguments += [f"factor=sign{flat}"] if form.sign else []
        arguments += [f"constant=constant{flat}"] if form.constant else []
        if counts and at:
            arguments.append("counts=counts")
        counted = [f"counts = np.bincount({body.where}.ravel(), minlength=places.size)[: places.size]"]
        return body.lines(*(counted if counts and at else []), f"{attribute} = StoredGroups({', '.join(arguments)})")  # type: ignore[no-any-return]

    def drawn(self) -> list[str]:
        """What is stored at first: what an initializer draws, once all annotations hold in it."""
        body, form = self.body, self.whole
        scale, steps = body.first(form)
        name = body.name
        if form.label:
            steps.append(f"{name} = ops.take({name}, label)")
        if form.sign:
            steps.append(f"{name} = {name} * ops.cast(sign, dtype)")
        if form.live:
            other = "ops.cast(constant, dtype)" if form.constant else "0"
            steps.append(f"{name} = ops.where(live, {name}, {other})")
        if not self.is_dense:
            steps.append(f"{name} = ops.take({name}, {body.places})")
        steps[-1] = steps[-1].replace(f"{name} = ", "return ", 1)
        shape = body.size if self.is_dense else "places.shape"
        return [
            *body.got(),
            *scale,
            "",
            *body.lines(body.head, *(f"    {each}" for each in steps), ""),
            *body.added(shape, "draw"),
        ]

    def applied(self, mechanism: str, numbers: str, method: str) -> str:
        """What is in use, or is kept, of numbers."""
        attribute = f"self.{self.body.prefix}{ATTRIBUTES[mechanism]}"
        match self.groups[mechanism]:
            case "groups":
                return f"{attribute}.{method}({numbers})"
            case "symmetric":
                return f"({numbers} + ops.transpose({numbers})) / 2"
            case "constants":
                return f"ops.where({attribute}, {numbers}, ops.cast({attribute}_constant, {numbers}.dtype))"
        return f"ops.where({attribute}, {numbers}, 0)"

    def value(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """The steps from what is stored to the whole weight, and further methods."""
        body = self.body
        name = body.name
        steps = [body.tensor()]
        methods: list[tuple[str, list[str]]] = []
        if "gradient" in self.groups:
            body.writer.functions.add("with_gradient_of")
            mean = self.applied("gradient", name, "mean")
            steps.append(f"with_gradient_of({name}, {mean})")
        if body.averaged:
            steps.append(body.mean())
        masked = self.applied("mask", name, "first") if "mask" in self.groups else name
        if "constraint" in self.groups:
            body.writer.functions.add("with_gradient_of")
            inner = self.applied("mask", name, "first") if "mask" in self.groups else name
            lines = [f"{name} = {inner}"] if inner != name else []
            lines.append(f"return {self.applied('constraint', name, 'nearest')}")
            methods.append((f"project_{name}", lines))
            steps.append(f"with_gradient_of(self.project_{name}({name}), {masked})")
        elif masked != name:
            steps.append(masked)
        if self.stored_form is not None:
            steps += body.expansion(self.stored_form, name)
        return steps, methods
