"""Warm starts: the nearest weights that obey, and how a model gets them.

Entries that share a free parameter t are multiples of it, W[e] = c[e] t. Nearest in least squares to given numbers w[e]
is t = sum(c w) / sum(c c), over the entries that were given: there the derivative of sum((c t - w) ** 2) is zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from wdsl import expressions as ex
from wdsl.diagnostics import by, listed, nearest
from wdsl.record import Record
from wdsl.structure import index_map
from wdsl.weights.entries import library, see
from wdsl.weights.solve import Structure, Structures

Array: TypeAlias = np.ndarray[Any, Any]
Masked: TypeAlias = np.ma.MaskedArray[Any, Any]


def project(structures: Structures, parameters: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Array]:
    """The weights nearest to the given ones that satisfy all equations, and those that share parameters with them.

    `parameters` are the values of the network's own. Entries of which nothing is known are masked.
    """
    shapes = {str(each.name): each.weight.shape for each in structures.weights}
    for name in weights:
        if name not in shapes:
            raise ValueError(f"the network has no weight `{name}`: {_suggestion(name, shapes)}")
    given = {name: _checked(name, value, shapes[name]) for name, value in weights.items()}
    found: dict[str, Array] = {}
    for owner in dict.fromkeys(each.owner for each in structures.weights if str(each.name) in given):
        found |= _nearest(structures.sharing(owner), parameters, given)
    return {name: found[name] for name in shapes if name in found}


class _Member(Record):
    """A weight of those that share free parameters, with what it is of the one that owns them.

    Its entries are `scale * theta[index]`, or constant where `index` is -1. `given` is masked where nothing is given.
    """

    name: str
    structure: Structure
    factor: float
    index: Array
    scale: Array
    given: Masked | None

    @property
    def is_given(self) -> Array:
        """True at the entries that are given and not constant."""
        if self.given is None:
            return np.zeros(self.index.shape, bool)
        return (self.index >= 0) & ~np.ma.getmaskarray(self.given)


def _nearest(
    structures: Sequence[Structure], parameters: Mapping[str, Any], given: Mapping[str, Masked]
) -> dict[str, Array]:
    """The weights that share one owner's free parameters. `given` has numbers for one of them at least."""
    owner = next(each for each in structures if each.name == each.owner)
    dtype = np.dtype("float64" if owner.layer.arguments.get("dtype") == "float64" else "float32")
    if len(structures) == 1 and not owner.equations:
        name = str(owner.name)
        return {name: _with_mask(given[name].data.astype(dtype), np.ma.getmaskarray(given[name]))}
    solved = index_map([ex.evaluate(each, parameters, library) for each in owner.equations], owner.weight.shape)
    whole_scale = np.ones(solved.index.shape) if solved.scale is None else solved.scale

    def member(structure: Structure) -> _Member:
        name, view = str(structure.name), structure.view
        # As exact as a forward pass has it: 0.3 is not the same number in single precision.
        factor = 1.0 if view.factor is None else float(dtype.type(ex.evaluate(view.factor, parameters, library)))
        index, scale = (see(view, array, parameters) for array in (solved.index, whole_scale))
        return _Member(name, structure, factor, index, scale * factor, given.get(name))

    def expand(theta: Array) -> list[Array]:
        """Every weight, by the very operations of a forward pass."""
        whole = np.append(theta, 0).astype(dtype)[solved.index]
        if solved.scale is not None:
            whole = whole * solved.scale.astype(dtype)
        if solved.constant is not None:
            whole = whole + solved.constant.astype(dtype)
        return [see(each.structure.view, whole, parameters) * each.factor for each in members]

    members = [member(each) for each in structures]
    products, squares, exact = np.zeros(solved.size), np.zeros(solved.size), np.full(solved.size, np.nan)
    for each in members:
        if each.given is not None:
            index, scale, numbers = (array[each.is_given] for array in (each.index, each.scale, each.given.data))
            products += np.bincount(index, scale * numbers, solved.size)
            squares += np.bincount(index, scale * scale, solved.size)
            exact[index[np.abs(scale) == 1]] = (scale * numbers)[np.abs(scale) == 1]
    # Numbers that obey stay as they are, to the bit: a mean of rounded multiples could round to something else.
    is_off = np.isnan(exact)
    for each, array in zip(members, expand(exact), strict=True):
        if each.given is not None:
            is_off[each.index[each.is_given & (array != each.given.data)]] = True
    is_known = squares > 0
    means = np.divide(products, squares, out=np.full(solved.size, np.nan), where=is_known)
    found = {}
    for each, array in zip(members, expand(np.where(is_off, means, exact)), strict=True):
        is_determined = np.append(is_known, False)[each.index]
        if each.given is not None or is_determined.any():
            found[each.name] = _with_mask(array, ~is_determined & (each.index >= 0))
    return found


def _with_mask(array: Array, mask: Array) -> Array:
    return np.ma.masked_array(array, mask) if mask.any() else array


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> Masked:
    """What was given for a weight, in double precision. Raises ValueError if it cannot be one."""
    try:
        array = value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
        if value is None or array.dtype.kind in "cSUMm":
            raise TypeError
        numbers = np.ma.masked_array(np.asarray(array).astype(np.float64), np.ma.getmaskarray(array))
    except (TypeError, ValueError):
        raise ValueError(f"what is given for `{name}` is no array of real numbers") from None
    if numbers.shape != shape:
        raise ValueError(f"`{name}` is {by(shape)}, and what is given for it {by(numbers.shape)}")
    strange = ~(np.abs(numbers.data) <= np.finfo(np.float32).max) & ~np.ma.getmaskarray(numbers)
    if strange.any():
        entry = np.unravel_index(int(strange.argmax()), shape)
        raise ValueError(f"what is given for `{name}` has {numbers.data[entry]} at {_entry(entry)}")
    return numbers


def _entry(entry: Iterable[Any]) -> str:
    subscripts = tuple(map(int, entry))
    return f"entry {subscripts if len(subscripts) > 1 else subscripts[0]}" if subscripts else "its only entry"


def _suggestion(name: str, names: Iterable[str]) -> str:
    names = list(names)
    near = nearest(name, names)
    return f"did you mean `{near}`?" if near else f"it has {listed(names) or 'none'}"


# --- into a model -----------------------------------------------------------------------------------------------


class _Holder(Record):
    """The variable from which a weight of a model is computed.

    `expansion` is the way from the variable to a weight, or None if it is the weight itself. `view` is the function of
    the graph from that weight to the one that is tied to it, or None if this is the same.
    """

    variable: Any
    shape: tuple[int, ...]
    expansion: Any = None
    view: Any = None

    def stored(self, numbers: Masked) -> Array:
        """What the variable has to be for the weight to have these entries; where they are masked, what it is."""
        if self.expansion is not None and not self.expansion.is_dense:
            numbers = numbers.ravel()[self.expansion.first_entries()]
        shape = tuple(self.variable.shape)
        now = np.asarray(self.variable.numpy()).astype(np.float64)
        return np.where(np.ma.getmaskarray(numbers).reshape(shape), now, numbers.data.reshape(shape))

    def weight(self, stored: Array) -> Any:
        """The weight as a forward pass computes it from what is stored."""
        from keras import ops  # noqa: TID251

        weight = ops.convert_to_tensor(stored, self.variable.dtype)
        if self.expansion is not None:
            weight = self.expansion.expand(weight)
        return weight if self.view is None else self.view(weight)


def assign(model: Any, weights: Mapping[str, Any]) -> None:
    """Give a model weights that obey its equations; all of them or, if there is an error, none."""
    holders = {name: _holder(model, name) for name in weights}
    given = {name: _checked(name, weights[name], holder.shape) for name, holder in holders.items()}
    stored = {
        id(holder.variable): holder.stored(given[name]) for name, holder in holders.items() if holder.view is None
    }
    for name, holder in holders.items():
        if id(holder.variable) not in stored:
            raise ValueError(
                f"`{name}` is a view of another weight, and that is not given: "
                "`wdsl.project` gives all weights that belong together"
            )
        _compare(name, given[name], holder.weight(stored[id(holder.variable)]))
    for holder in holders.values():
        holder.variable.assign(stored[id(holder.variable)])


def _compare(name: str, given: Masked, weight: Any) -> None:
    """Raise ValueError if a weight is not what was given for it, but for rounding."""
    from keras import ops  # noqa: TID251

    computed = ops.convert_to_numpy(weight)
    wanted = ops.convert_to_numpy(ops.convert_to_tensor(given.data, weight.dtype))
    rounding = 4 * float(np.spacing(np.ones((), computed.dtype)))
    off = ~np.isclose(computed.astype(np.float64), wanted.astype(np.float64), rtol=rounding, atol=1e-37)
    off &= ~np.ma.getmaskarray(given)
    if off.any():
        entry = np.unravel_index(int(off.argmax()), off.shape)
        instead = float(computed[entry]) + 0.0  # which makes 0 of -0
        raise ValueError(
            f"`{name}` does not obey its annotations: {_entry(entry)} is {given.data[entry]:.9g}, "
            f"and would become {instead:.9g}. `wdsl.project` gives the nearest weights that do"
        )


def _holder(model: Any, name: str) -> _Holder:
    """Where a model keeps the weight of this name. Raises ValueError if it has none, or several."""
    layer_name, _, path = name.partition(".")
    path = path.replace(".", "/")
    found: list[tuple[Any, Any]] = []
    names = []
    for layer in dict.fromkeys(_layers(model)):
        places = _places(layer)
        names += [f"{layer.name}.{place.replace('/', '.')}" for place, _ in places]
        if layer.name == layer_name and path:
            found += [(layer, each) for place, each in places if f"/{place}".endswith(f"/{path}")]
    if not found:
        raise ValueError(f"the model has no weight `{name}`: {_suggestion(name, names)}")
    if len(found) > 1:
        raise ValueError(f"the model has {len(found)} weights `{name}`")
    ((layer, weight),) = found
    shape = tuple(weight.shape)
    if not hasattr(weight, "theta"):
        return _Holder(weight, shape)
    if weight.expansion is not None:
        return _Holder(weight.theta, shape, weight.expansion)
    return _tied(layer._inbound_nodes[0].arguments.kwargs["tied"][weight.path])


def _places(layer: Any) -> list[tuple[str, Any]]:
    """The weights of a layer by their paths in it: a `Weight` of the runtime for each with structure, else a variable.

    What a `Shared` holds goes by the names of the weights that are made of it.
    """
    if hasattr(layer, "theta"):
        return []
    structured = getattr(layer, "structured", ())
    thetas = {id(weight.theta) for weight in structured}
    inner = layer.layer.path if structured else layer.path
    places = [(weight.path, weight) for weight in structured]
    return places + [(v.path.removeprefix(f"{inner}/"), v) for v in layer.weights if id(v) not in thetas]


def _layers(model: Any) -> Iterator[Any]:
    """The layers of a model, and of models in it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _tied(tensor: Any) -> _Holder:
    """The holder of a weight that is a tensor of the graph: the output of a `Shared`, or a view of one."""
    from keras import Function  # noqa: TID251

    from wdsl import runtime

    source = tensor
    while not hasattr(source._keras_history.operation, "theta"):
        operation, node, _ = source._keras_history
        (source,) = operation._inbound_nodes[node].input_tensors
    shared = source._keras_history.operation
    expansion = runtime.expansion_of(shared.equations, shared.shape)
    view = None if tensor is source else Function(source, tensor)
    return _Holder(shared.theta, tuple(tensor.shape), expansion, view)
