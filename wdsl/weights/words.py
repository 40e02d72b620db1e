"""What is said of a weight: its equations as the annotations of a `.wnet` file, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wdsl.annotations.kinds import kind_of, meaning
from wdsl.annotations.meanings import Alike, Given, Mirrored, Tied
from wdsl.core import expressions as ex
from wdsl.core.printing import shown

WORDS = {
    "symmetric": "is symmetric",
    "skew": "is skew-symmetric",
    "equal": "is one number",
    "equal[rows]": "is one number in each row",
    "equal[columns]": "is one number in each column",
    "equal[diagonals]": "is one number on each diagonal",
    "equal[antidiagonals]": "is one number on each antidiagonal",
    "zero": "is zero",
    "zero[diagonal]": "is zero on the diagonal",
    "zero[not diagonal]": "is zero off the diagonal",
    "zero[upper]": "is zero above the diagonal",
    "zero[lower]": "is zero below the diagonal",
    "frozen": "is not trained",
}
"""The commonest annotations. What is not among them is told as the file writes it."""

MECHANISMS = {
    "mask": "wherever it is used",
    "constraint": "after each step",
    "gradient": "by its gradients",
    "initial": "at first",
}

GROUPS = {"j - i": "diagonals", "i + j": "antidiagonals"}


def in_words(annotations: Sequence[str]) -> str:
    """ "is symmetric and is zero on the diagonal" """
    said = [_words(each) for each in annotations]
    if len(said) < 2:
        return "".join(said)
    return f"{', '.join(said[:-1])} and {said[-1]}"


def _words(annotation: str) -> str:
    if annotation in WORDS:
        return WORDS[annotation]
    stated, _, mechanism = annotation.rpartition(" via ")
    if stated in WORDS and mechanism in MECHANISMS:
        return f"{WORDS[stated]} {MECHANISMS[mechanism]}"
    return f"has `{annotation}`"


def annotation(equation: ex.Expression, files: Mapping[str, str], weight: str) -> str:
    """The annotation that states an equation of a weight. `files` are those of masks, by the masks' names."""
    match equation:
        case ex.Call(ex.Symbol("Via"), (ex.Constant(str(mechanism)), inner)):
            return f"{annotation(inner, files, weight)} via {mechanism}"
    kind = kind_of(equation)
    match meaning(equation):
        case Mirrored(axes) if axes:
            return f"{kind.name}({', '.join(map(_written, axes))})"
        case Alike(groups, is_averaged):
            by_mean = "(gradient=mean)" if is_averaged else ""
            return f"{kind.name}{_bracketed([_group(each, files) for each in groups])}{by_mean}"
        case Given(value, regions):
            given = f" = {_written(value)}" if kind.takes_value else ""
            return f"{kind.name}{_bracketed([region(each, files) for each in regions])}{given}"
        case Tied(view, regions) if view in ex.parts(equation):
            places = _bracketed([region(each, files) for each in regions])
            return f"{kind.name}{places}({_view(view, weight)})"
    return kind.name


def _bracketed(items: Sequence[str]) -> str:
    return f"[{', '.join(items)}]" if items else ""


def region(where: ex.Expression, files: Mapping[str, str]) -> str:
    match where:
        case ex.Variable(name):
            return f'mask("{files[name]}")'
        case ex.Call(ex.Symbol("Mask" | "PackedMask"), (ex.Constant(path), *_)):
            return f'mask("{path}")'
        case ex.Call(ex.Symbol("Not"), (inner,)):
            return f"not {region(inner, files)}"
        case ex.Call(ex.Symbol("Union" | "Flat" as kind), items):
            return ", ".join(region(each, files) if kind == "Union" else _item(each) for each in items)
        case ex.Call(ex.Symbol("At"), items):
            return f"({', '.join(map(_item, items))}{',' if len(items) == 1 else ''})"
        case ex.Call(ex.Symbol("Where"), (ex.Lambda(_, body),)):
            return f"where {_written(body)}"
        case ex.Call(ex.Symbol(name), arguments):
            return name.lower() + (f"({', '.join(map(_written, arguments))})" if arguments else "")
    raise TypeError(f"{where!r} is no region")


def _group(group: ex.Expression, files: Mapping[str, str]) -> str:
    match group:
        case ex.Call(ex.Symbol("Axis"), (ex.Constant(axis),)):
            return ("rows", "columns")[int(axis or 0)]
        case ex.Call(ex.Symbol("By"), (ex.Lambda(_, body),)):
            key = _written(body)
            return GROUPS.get(key, f"by {key}")
    return region(group, files)


def _item(item: ex.Expression) -> str:
    match item:
        case ex.Call(ex.Symbol("slice"), bounds):
            both = (ex.Constant(None), *bounds) if len(bounds) == 1 else bounds
            return ":".join("" if each == ex.Constant(None) else _written(each) for each in both) or ":"
    return _written(item)


def _view(view: ex.Expression, weight: str) -> str:
    def change(part: ex.Expression) -> ex.Expression | None:
        match part:
            case ex.Call(ex.Symbol("View"), ()):
                return ex.Variable(weight)
            case ex.Call(ex.Symbol("View"), (ex.Constant(str(name)),)):
                return ex.Variable(name)
        return None

    return _written(ex.replaced(view, change))


_SIGNS = {"&": "and", "|": "or", "~": "not"}
_FUNCTIONS = {"np.minimum": "min", "np.maximum": "max"}


def _written(value: ex.Expression) -> str:
    """An expression as a `.wnet` file has it."""

    def change(part: ex.Expression) -> ex.Expression | None:
        match part:
            case ex.Operation(sign, operands) if sign in _SIGNS:
                return ex.Operation(_SIGNS[sign], tuple(ex.replaced(each, change) for each in operands))
            case ex.Call(ex.Symbol(name), arguments) if name in _FUNCTIONS:
                return ex.Call(ex.Symbol(_FUNCTIONS[name]), tuple(ex.replaced(each, change) for each in arguments))
            case ex.Variable("l_"):
                return ex.Variable("l")
            case ex.Constant(bool(truth)):
                return ex.Symbol("true" if truth else "false")
        return None

    return shown(ex.replaced(value, change))
