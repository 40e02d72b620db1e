"""The class of weights that have entries in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wdsl.backends.classes import Unwritten, Writer, wrapped
from wdsl.core import expressions as ex
from wdsl.plan.kinds import FROZEN, Kind, KindWeight
from wdsl.plan.plan import Plan
from wdsl.weights.normal import Lowering, item

VECTOR, LABEL, LIVE = map(ex.Variable, ("vector", "label", "live"))


class CoupledWriter(Writer):
    """Weights that have entries in common."""

    template = "coupled"

    def __init__(self, kind: Kind, plan: Plan, files: Mapping[str, str], names: Mapping[str, str]) -> None:
        super().__init__(kind, plan, files, names)
        if any(FROZEN in each.equations or each.is_regularized or each.fans for each in kind.weights):
            raise Unwritten
        self.idents = {each.key: ex.Variable(each.ident) for each in kind.weights}
        self.lines: list[str] = []
        self.joins: list[ex.Expression | None] = []
        self.used: dict[str, None] = {}

    def normal_forms(self) -> dict[str, Any]:
        """None: each is about entries of others."""
        return {}

    def parts(self) -> dict[str, Any]:
        is_plain = self.is_plain()
        if is_plain:
            for weight in self.kind.weights:
                for equation in self.equations[weight.key]:
                    self.assigned(weight, equation)
            self.lines.append("        places, self.where = np.unique(label, return_inverse=True)")
            value = ["vector = ops.take(self.numbers, self.where)"]
        else:
            value = self.general()
        needs = dict.fromkeys(self.used)
        self.needs = {name: self.attribute(name) for name in needs}
        return super().parts() | {
            "doc": wrapped(
                f"Weights that have entries in common: {', '.join(each.key for each in self.kind.weights)}."
            ),
            "vector": "label" if is_plain else "vector",
            "idents": [each.name for each in self.idents.values()],
            "lines": self.lines,
            "value": value,
        }

    def path(self, weight: KindWeight) -> str:
        return weight.key

    def weight(self, weight: KindWeight) -> dict[str, Any]:
        return {}

    def let(self, target: ex.Expression, value: ex.Expression) -> None:
        shown = self.assignment(self.flat(target), value, 8)
        self.lines.append(shown)

    # Ties alone, of weights to those before them

    def is_plain(self) -> bool:
        """Whether each weight has at most one tie, to a weight before it that has none, of parts of one shape."""
        seen: set[str] = set()
        values = self.plan.network.values
        sizes = {
            each.key: tuple(ex.evaluate(one, values, _builtin) for one in each.sizes) for each in self.kind.weights
        }
        for weight in self.kind.weights:
            match self.equations[weight.key]:
                case ():
                    seen.add(weight.key)
                case (ex.Call(ex.Symbol("Tie"), (ex.Call(ex.Symbol("View"), (ex.Constant(name),)), *region)),):
                    if name not in seen:
                        return False
                    shape = sizes[weight.key]
                    if region:
                        match region[0]:
                            case ex.Call(ex.Symbol("At"), items) if all(map(_is_slice, items)):
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

    def assigned(self, weight: KindWeight, equation: ex.Expression) -> None:
        assert isinstance(equation, ex.Call)
        view, *region = equation.arguments
        assert isinstance(view, ex.Call)
        (name,) = view.arguments
        assert isinstance(name, ex.Constant)
        lowering = Lowering(len(weight.sizes), frozenset(self.files))
        at = ex.Sequence(tuple(map(lowering.own, region[0].arguments))) if region else ex.Symbol("...")  # type: ignore
        self.used |= dict.fromkeys(lowering.needs)
        self.let(item(self.idents[weight.key], at), self.idents[str(name.value)])

    # Whatever else

    def general(self) -> list[str]:
        raise Unwritten


def _is_slice(subscript: ex.Expression) -> bool:
    return isinstance(subscript, ex.Call) and subscript.function == ex.Symbol("slice")


def _builtin(path: str) -> Any:
    import builtins

    return getattr(builtins, path)
