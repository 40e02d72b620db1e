"""Keras layers whose weights have structure.

`Structured` and `Wrapped` stand around any Keras layer and compute the weights that
they are told about from their free parameters; `Shared` is a weight in the graph, for
others to use.
"""

# mypy: disallow-subclassing-any=False

import contextlib
import functools
import inspect
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras  # noqa: TID251
import numpy as np
from keras import layers, ops  # noqa: TID251

from wdsl.products import MatrixProduct, Placement, product_of
from wdsl.structure import (
    Equal,
    Equation,
    IndexMap,
    Indices,
    Merge,
    Shape,
    Term,
    from_config,
    index_map,
    index_type,
    side_by_side,
    to_config,
    within,
)


class Expansion:
    """The way between a weight and its free parameters, theta."""

    constraint: Any = None

    def __init__(self, equations: Iterable[Equation], shape: Shape, also_known: Any = False) -> None:
        equations = tuple(equations)
        solved = index_map(equations, shape, also_known)
        self.solved, self.shape, self.size = solved, shape, solved.size
        self.scale, self.constant = solved.scale, solved.constant
        self.is_trained = all(equation.is_trained for equation in equations)
        self.is_dense = self.size == solved.index.size
        self.is_reordered = False
        # So says a plain `equal`. Others come to one number by accident, and the sum of
        # the gradients has another order then.
        stored = [equation for equation in equations if equation.is_trained]
        self.is_one = self.size == len(stored) == 1 and getattr(stored[0], "items", None) == ()

    @functools.cached_property
    def entries(self) -> Placement:
        """Where free parameters stand: needed once the weight is made."""
        return Placement(self.solved.index, self.size)

    def expand(self, theta: Any) -> Any:
        """The weight: each entry is a multiple of its free parameter, or constant."""
        weight = self.spread(theta)
        if self.scale is not None:
            weight = weight * ops.cast(self.scale, weight.dtype)
        if self.constant is not None:
            weight = weight + ops.cast(self.constant, weight.dtype)
        return weight

    def spread(self, theta: Any) -> Any:
        """The free parameter behind each entry, or zero."""
        if self.is_dense:
            return ops.reshape(theta, self.shape)
        if self.is_one:
            return ops.broadcast_to(theta, self.shape)
        return self.entries(theta)

    def reduce(self, *drawn: tuple[Any, Any]) -> Any:
        """The free parameters of drawn weights: the first entry of each group.

        With each weight comes its initializer. Where zeros leave less than that counted
        on, the rest is scaled up, so that outputs vary as they would without zeros.
        """
        if self.is_dense and len(drawn) == 1:
            return drawn[0][0]
        live = self.solved.index.ravel() >= 0
        if self.constant is not None:
            live = live | (self.constant.ravel() != 0)
        parts, start = [], 0
        for weight, initializer in drawn:
            part, stop = ops.reshape(weight, (-1,)), start + math.prod(weight.shape)
            if isinstance(initializer, keras.initializers.VarianceScaling):
                mask = live[start:stop].reshape(weight.shape)
                dense_fan = mean_fan(np.ones_like(mask), initializer)
                part = part * math.sqrt(dense_fan / mean_fan(mask, initializer))
            parts.append(part)
            start = stop
        flat = ops.concatenate(parts) if len(parts) > 1 else parts[0]
        return ops.take(flat, self.first_entries(), axis=0)

    def first_entries(self) -> Indices:
        """Where each free parameter stands first in the weight."""
        index = self.solved.index.ravel()
        live = np.flatnonzero(index >= 0)[::-1]
        first = np.empty(self.size, index_type(index.size))
        first[index[live]] = live  # the last that is written is the first in order
        return first

    def product(self) -> MatrixProduct | None:
        """How to multiply by the weight, a matrix, in less work than by making it.

        That can put the free parameters into another order.
        """
        before = self.solved.index
        product, self.solved = product_of(self.solved)
        self.is_reordered = self.solved.index is not before
        return product

    def add_theta(self, layer: Any, name: str, draw: Callable[[], Any], regularizer: Any) -> Any:
        """Give a layer the free parameters of a weight, from what `draw` returns.

        That is a weight and its initializer. A regularizer sees the whole weight.
        """
        return layer.add_weight(
            name=name,
            shape=self.shape if self.is_dense else (self.size,),
            initializer=lambda shape, dtype: ops.cast(self.reduce(draw()), dtype),
            trainable=self.is_trained,
            regularizer=regularizer and OnWeight(regularizer, self),
            constraint=self.constraint,
            autocast=False,
        )


def expansion_of(equations: Sequence[Equation], shape: Shape) -> Expansion:
    """An expansion, of the kind that the equations ask for."""
    kinds = (getattr(equation, "expansion", Expansion) for equation in equations)
    kind = next((kind for kind in kinds if kind is not Expansion), Expansion)
    return kind(equations, shape)


def is_kernel_of_dense(layer: Any, weight: "Weight") -> bool:
    """Whether a layer does nothing with a weight but multiply its inputs by it."""
    is_kernel = type(layer) is layers.Dense and layer._kernel is weight
    return is_kernel and not layer.lora_enabled


def call_dense(layer: Any, weight: "Weight", inputs: Any, training: Any = None) -> Any:
    """What `Dense.call` computes, with the product of its kernel."""
    x = ops.convert_to_tensor(inputs, sparse=False)
    dtype = keras.backend.result_type(x.dtype, weight.dtype)
    x = weight.product(x, weight.numbers, dtype)
    if layer.bias is not None:
        x = ops.add(x, layer.bias)
    return x if layer.activation is None else layer.activation(x)


class Grouped:
    """Groups of theta's entries that equations make one, up to a factor, or constant.

    `at` is where in the weight each entry of theta stands first, `counts` how much it
    weighs in its group's mean.
    """

    def __init__(self, solved: IndexMap, at: Indices, counts: np.ndarray) -> None:
        index, self.size = solved.index.ravel()[at], solved.size
        self.is_live = index >= 0
        self.group = np.where(self.is_live, index, self.size)
        self.scale = 1.0 if solved.scale is None else solved.scale.ravel()[at]
        self.constant = 0.0 if solved.constant is None else solved.constant.ravel()[at]
        self.share = counts * self.scale / np.bincount(self.group, counts)[self.group]
        _, first, number = np.unique(self.group, return_index=True, return_inverse=True)
        self.leader = first[number]
        self.has_followers = bool(self.is_live[self.leader != np.arange(at.size)].any())

    def first(self, theta: Any) -> Any:
        """Theta with each group as its first entry says."""
        flat = ops.reshape(theta, (-1,))
        if self.has_followers:
            flat = ops.take(flat, self.leader, axis=0)
            flat = flat * ops.cast(self.scale, theta.dtype)
        return self.with_constants(flat, theta)

    def mean(self, theta: Any) -> Any:
        """Theta with each group as its entries say on average."""
        flat = self.means(ops.reshape(theta, (-1,)))
        return self.with_constants(flat * ops.cast(self.scale, theta.dtype), theta)

    def nearest(self, theta: Any) -> Any:
        """The same, to the bit as it was where it held already."""
        flat = ops.reshape(theta, (-1,))
        if self.has_followers:
            scale = ops.cast(self.scale, theta.dtype)
            first = ops.take(flat, self.leader, axis=0)
            flat = (first + self.means(flat - first * scale)) * scale
        return self.with_constants(flat, theta)

    def means(self, flat: Any) -> Any:
        """The mean of each entry's group."""
        parts = flat * ops.cast(self.share, flat.dtype)
        means = ops.segment_sum(parts, self.group, num_segments=self.size + 1)
        return ops.take(means, self.group, axis=0)

    def with_constants(self, flat: Any, theta: Any) -> Any:
        flat = ops.where(self.is_live, flat, ops.cast(self.constant, theta.dtype))
        return ops.reshape(flat, theta.shape)


class Enforced(Expansion):
    """An expansion with equations that hold by other means than what is stored."""

    def __init__(self, equations: Sequence[Equation], shape: Shape) -> None:
        self.equations = equations
        known = np.any([each.known(shape)[0] for each in equations], axis=0)
        # Not isinstance: a loaded model may have equations of another module.
        by: dict[str, list[Equation]] = {}
        for each in equations:
            by.setdefault(getattr(each, "mechanism", "parameter"), []).append(each)
        stored = by.get("parameter", [])
        super().__init__(stored, shape, known)
        number, self.at = self.solved.index.ravel(), self.first_entries()
        counts = np.bincount(number[number >= 0], minlength=self.size)
        self.groups = {}
        for mechanism in ("mask", "constraint", "gradient"):
            if mechanism in by:
                # Each mechanism keeps what those before it do as well.
                stored = stored + by[mechanism]
                solved = index_map(stored, shape, known)
                weighs = counts if mechanism == "constraint" else np.ones_like(counts)
                self.groups[mechanism] = Grouped(solved, self.at, weighs)
        if "constraint" in self.groups:
            self.constraint = self.project
        averaged = np.zeros(self.size + 1, bool)
        for each in equations:
            if getattr(each, "takes_mean", False):
                for one, other, _ in each.merges(shape, known):
                    averaged[number[one]] = averaged[number[other]] = True
        self.divisors = np.where(averaged[:-1], counts, 1)

    def product(self) -> None:
        """None: what is stored is not what is multiplied by."""

    def expand(self, theta: Any) -> Any:
        theta = ops.convert_to_tensor(theta)
        if "gradient" in self.groups:
            theta = with_gradient_of(theta, self.groups["gradient"].mean(theta))
        if (self.divisors > 1).any():
            divisors = ops.cast(self.divisors, theta.dtype)
            theta = with_gradient_of(theta, theta / divisors)
        masked = self.masked(theta)
        if "constraint" in self.groups:
            # Keras puts averages of weights in place, and what is loaded or set,
            # without asking the constraint.
            masked = with_gradient_of(self.project(theta), masked)
        return super().expand(masked)

    def masked(self, theta: Any) -> Any:
        return self.groups["mask"].first(theta) if "mask" in self.groups else theta

    def project(self, theta: Any) -> Any:
        """What is nearest to theta and satisfies the equations `via constraint`."""
        return self.groups["constraint"].nearest(self.masked(theta))

    def reduce(self, *drawn: tuple[Any, Any]) -> Any:
        """What is stored of drawn weights, once all equations hold in them."""
        whole = Expansion(self.equations, self.shape)
        weight = whole.expand(whole.reduce(*drawn))
        if self.is_dense:
            return weight
        return ops.take(ops.reshape(weight, (-1,)), self.at, axis=0)


def with_gradient_of(value: Any, other: Any) -> Any:
    """The value, to the bit, with the gradient that something else has."""
    return ops.stop_gradient(value) + (other - ops.stop_gradient(other))


@dataclass(frozen=True)
class Via(Equation):
    """An equation that holds by a mechanism, instead of by what is stored.

    "mask": the weight in use satisfies it; what is stored need not.
    "constraint": so does what is stored, at first and after each optimizer step.
    "gradient": so it does at first, and gradients are such that it goes on.
    "initial": so it does at first.
    """

    mechanism: str
    equation: Equation
    expansion: ClassVar[type[Expansion]] = Enforced

    def __post_init__(self) -> None:
        if self.mechanism not in ("mask", "constraint", "gradient", "initial"):
            raise ValueError(f"There is no mechanism {self.mechanism!r}.")
        if self.equation.from_outside or not self.equation.is_trained:
            raise ValueError(f"{self.equation} cannot hold via {self.mechanism}.")

    def known(self, shape: Shape) -> tuple[np.ndarray, float]:
        return self.equation.known(shape)

    def merges(self, shape: Shape, known: np.ndarray) -> Iterator[Merge]:
        return self.equation.merges(shape, known)


class Averaged(Equal):
    """`Equal`, with the mean of the entries' gradients instead of their sum."""

    takes_mean: ClassVar[bool] = True
    expansion: ClassVar[type[Expansion]] = Enforced


class OnWeight(keras.regularizers.Regularizer):
    """A regularizer of a weight, given the weight's free parameters."""

    def __init__(self, regularizer: Any, expansion: Expansion) -> None:
        self.regularizer, self.expansion = regularizer, expansion

    def __call__(self, theta: Any) -> Any:
        return self.regularizer(self.expansion.expand(theta))


def mean_fan(live: np.ndarray, initializer: Any) -> float:
    """The fan that a variance scaling initializer divides by, of the entries alive.

    That is how many an output or an input has on average, if it has any.
    """
    count, rank = float(live.sum()), live.ndim
    # Keras has these axes since version 3.15, and sets them in EinsumDense.
    inputs = getattr(initializer, "input_axes", None)
    outputs = getattr(initializer, "output_axes", None)
    if inputs is None or outputs is None:
        if rank < 2:
            return count or 1.0
        inputs, outputs = (rank - 2,), (rank - 1,)

    def mean(ends: Sequence[int]) -> float:
        others = set(range(rank)) - {axis % rank for axis in ends}
        return count / (live.any(axis=tuple(others)).sum() or 1) or 1.0

    fans = {"fan_in": mean(outputs), "fan_out": mean(inputs)}
    return fans.get(initializer.mode, sum(fans.values()) / 2)


def with_fans(initializer: Any, fans: Any) -> Any:
    """An initializer that counts these axes as inputs and outputs, as in EinsumDense.

    Keras does so since version 3.15, where the initializer scales and has no axes yet.
    """
    has_none = None in (
        getattr(initializer, "input_axes", 0),
        getattr(initializer, "output_axes", 0),
    )
    if not fans or not has_none:
        return initializer
    inputs, outputs = map(list, fans)
    axes = {"seed": initializer.seed, "input_axes": inputs, "output_axes": outputs}
    return type(initializer).from_config(initializer.get_config() | axes)


class Weight(np.lib.mixins.NDArrayOperatorsMixin):
    """A structured weight, standing where the wrapped layer had a variable.

    During a call it has a value for the thread that calls; if it has a product, that
    is what is stored. Otherwise it is what its free parameters make it.
    """

    def __init__(self, path: str, shape: Shape, dtype: str) -> None:
        self.path, self.shape, self.ndim, self.dtype = path, shape, len(shape), dtype
        self.expansion: Any = None
        self.theta: Any = None
        self.product: Any = None
        self.thread = threading.local()

    @property
    def value(self) -> Any:
        value = getattr(self.thread, "value", None)
        if value is None and self.expansion is None:
            raise RuntimeError(f"Weight {self.path!r} has a value during a call only.")
        return self.expansion.expand(self.theta) if value is None else value

    @property
    def numbers(self) -> Any:
        """What a product takes: in a call what that was given, else what is stored."""
        value = getattr(self.thread, "value", None)
        return self.theta if value is None else value

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        return ops.cast(self.value, dtype.name if dtype else self.dtype)

    def __jax_array__(self) -> Any:
        return self.value

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Any:
        tensors = (x.value if isinstance(x, Weight) else x for x in inputs)
        return getattr(ops, ufunc.__name__)(*tensors)


def follow(layer: Any, path: str) -> tuple[Any, str]:
    """The layer that has a weight, and the weight's name, by the way there.

    "kernel" is the layer's own; "cell/kernel" that of its attribute `cell`.
    """
    *steps, name = path.split("/")
    for step in steps:
        layer = layer[int(step)] if step.isdigit() else getattr(layer, step)
    return layer, name


def variable_at(layer: Any, path: str) -> tuple[Any, Any]:
    """The layer that has a weight, and the weight. Raises ValueError if none has."""
    try:
        owner, name = follow(layer, path)
        own = [*owner._trainable_variables, *owner._non_trainable_variables]
    except (AttributeError, IndexError, TypeError):
        own = []
    found = [variable for variable in own if variable.name == name]
    if len(found) != 1:
        there = ", ".join(v.path.removeprefix(f"{layer.path}/") for v in layer.weights)
        raise ValueError(
            f"{len(found) or 'No'} weights of layer {layer.name!r} are {path!r}; its weights are {there or 'none'}."
        )
    return owner, found[0]


PARTS = {
    "cell": "",
    "cells": "",
    "layer": "",
    "forward_layer": "forward",
    "backward_layer": "backward",
    "output_dense": "attention_output",
}


def name_of(name: str, layer: Any, path: str) -> str:
    """What a file calls a weight of a layer with this name: "read.forward.kernel"."""
    words, part = [name], layer
    *steps, last = path.split("/")
    for step in steps:
        part = part[int(step)] if step.isdigit() else getattr(part, step)
        plain = step.removeprefix("_")
        word = part.name if step.isdigit() else PARTS.get(plain, plain)
        words.append(word.removesuffix("_dense"))
    return ".".join([*filter(None, words), last])


def take_out(layer: Any, path: str) -> tuple[Any, Any, int, Weight]:
    """Put a `Weight` where a layer, or a layer inside it, has a variable.

    Returns the layer that the variable belonged to, the variable, its place among those
    of the layer that are trained, and the weight.
    """
    owner, variable = variable_at(layer, path)
    trained = [id(each) for each in owner._trainable_variables]
    place = trained.index(id(variable)) if id(variable) in trained else 0
    holders = [
        (holder, name)
        for holder in layer._flatten_layers()
        for name, value in vars(holder).items()
        if value is variable
    ]
    dtype = owner.compute_dtype if owner.autocast else owner.variable_dtype
    weight = Weight(path, tuple(variable.shape), dtype if variable._autocast else variable.dtype)
    for holder, name in holders:
        # Keras forgets the variable here, TensorFlow when the attribute goes, which
        # must not hold it then: Layer.__delattr__ would collect all garbage first.
        holder._untrack_variable(variable)
        setattr(holder, name, None)
        delattr(holder, name)
        setattr(holder, name, weight)
        # Dense and some others save weights by name; save what is still tracked.
        for method in ("save_own_variables", "load_own_variables"):
            default = getattr(keras.Layer, method)
            setattr(holder, method, functools.partial(default, holder))
    return owner, variable, place, weight


@contextlib.contextmanager
def drawing_later() -> Iterator[None]:
    """A scope at whose end variables get their values; until then they know where from.

    If a value cannot be drawn, Keras would try again at the end of each later scope.
    """
    scope = keras.StatelessScope()
    try:
        with scope:
            yield
    except Exception:
        if scope.original_scope is None:
            state = keras.src.backend.common.global_state
            state.set_global_attribute("uninitialized_variables", [])
        raise


def refuse(method: str, name: str, *args: Any, **kwargs: Any) -> None:
    """What `quantize` and `enable_lora` of a layer do whose weights have structure."""
    said = f"leaves layer {name!r} as it is: its weights have structure, which would"
    modes = {kwargs.get("mode"), getattr(kwargs.get("config"), "mode", None), *args}
    if modes & {"gptq", "awq"}:  # Keras would go on with the layer all the same
        raise ValueError(f"`{method}` {said} break; leave it out, by `filters`.")
    raise NotImplementedError(f"`{method}` {said} break.")  # Keras skips the layer


def signature_with_tied(call: Callable[..., Any]) -> inspect.Signature:
    """The signature of a layer's call with a further argument `tied`."""
    signature = inspect.signature(call)
    tied = inspect.Parameter("tied", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = sorted([*signature.parameters.values(), tied], key=lambda p: p.kind)
    return signature.replace(parameters=parameters)


def register_terms(layer: type) -> type:
    """Let Keras find the equations and regions of this module when it loads one.

    A model may have been saved from another module, which had others.
    """
    for name, term in Term.kinds.items():
        keras.saving.get_custom_objects()[f"wdsl2.structure>{name}"] = term
    return layer


def terms(configs: Iterable[Any]) -> tuple[Any, ...]:
    """Equations as they are, or as `to_config` wrote them down."""
    known = {
        name.removeprefix("wdsl2.structure>"): term
        for name, term in keras.saving.get_custom_objects().items()
        if name.startswith("wdsl2.structure>")
    }
    return tuple(from_config(config, known) for config in configs)


@functools.cache
def class_of(base: type, kind: str) -> type:
    """A subclass with this name, which Keras gives to the layer where it saves it.

    It is no other class for all else: what is loaded is of the base.
    """
    made = type(kind, (base,), {"__module__": base.__module__, "base": base})
    names = keras.src.saving.object_registration.GLOBAL_CUSTOM_NAMES
    names[made] = keras.saving.get_registered_name(base)
    return made


class OfKind(keras.Layer):
    """A layer that is called what it is told where it is saved: `kind`."""

    base: ClassVar[Any] = None

    def __new__(cls, *args: Any, kind: str = "", **kwargs: Any) -> Any:
        base: Any = cls.base or cls
        made = class_of(base, kind) if kind and kind != base.__name__ else base
        return super().__new__(made, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kind": type(self).__name__}


@register_terms
@keras.saving.register_keras_serializable("wdsl2")
class Wrapped(OfKind, layers.Wrapper):
    """Any Keras layer, with structure in weights of its own or of layers inside it.

    A structured weight is not stored. Its free parameters are, as weights of this
    layer, and every call computes it from them once, so that what the equations say
    holds exactly whatever the training does.

    Args:
        layer: The layer.
        structures: For each structured weight its equations. Weights are named by
            the way to them in attributes: "kernel", "forward_layer/cell/kernel".
        kind: What the layer is called where it is saved, as a class would be.
        halves: Of a layer that was saved, the weights whose free parameters lie in
            halves, and not in the order of the entries.

    Call arguments are the layer's own and `tied`: a tensor for each weight that is
    `Tied()`, by the same name. What regularizes it is the layer that it comes from.
    """

    def __init__(
        self,
        layer: Any,
        structures: Mapping[str, Sequence[Any]],
        kind: str = "",
        halves: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        # Keras learns from the signature of `call` what to pass and to build with.
        call: Any = functools.partial(self._call)
        call.__signature__ = signature_with_tied(layer.call)
        self.call = call
        defaults = {
            "name": layer.name,
            "dtype": layer.dtype_policy,
            "trainable": layer.trainable,
            "autocast": layer.autocast,
        }
        super().__init__(layer, **(defaults | kwargs))
        self.supports_masking = layer.supports_masking
        self.structures = {path: terms(equations) for path, equations in structures.items()}
        self.structured: tuple[Weight, ...] = ()
        self.saved_halves = halves

    def __call__(self, *args: Any, tied: Any = None, **kwargs: Any) -> Any:
        if not self.built:
            # The layer can tell best from a call what it is to be built for.
            example = keras.tree.map_structure(
                lambda x: keras.KerasTensor(x.shape, x.dtype) if hasattr(x, "shape") else x,
                (args, kwargs),
            )
            self.build(example=example)
        if tied is not None:
            kwargs["tied"] = tied
        return super().__call__(*args, **kwargs)

    def build(self, *shapes: Any, example: Any = None, **named_shapes: Any) -> None:
        # The states of a stateful RNN are values, which no scope takes.
        is_stateful = getattr(self.layer, "stateful", False)
        with contextlib.nullcontext() if is_stateful else drawing_later():
            if not self.layer.built and example:
                args, kwargs = example
                self.layer(*args, **kwargs)
            elif not self.layer.built:
                self.layer.build(*shapes, **named_shapes)
            if self.structures:
                self._refuse_changes()
            for path in self.in_order():
                self.structured += (self._structure(path),)
            by_path = {weight.path: weight for weight in self.structured}
            self.structured = tuple(by_path[path] for path in self.structures)
        if self.saved_halves not in (None, self.halves):
            raise ValueError(self.other_order(bool(self.saved_halves)))

    def in_order(self) -> Iterable[str]:
        """The structured weights in the order of their variables."""
        return self.structures

    def _refuse_changes(self) -> None:
        """Keep Keras from rounding the weights, or adding to them, behind our back."""
        for layer in self._flatten_layers():
            if layer.quantization_mode:
                raise ValueError(
                    f"Layer {layer.name!r} can have no weights with structure and "
                    f"be quantized: its dtype policy is {layer.dtype_policy.name!r}."
                )
        for layer in self.layer._flatten_layers():
            for method in ("quantize", "enable_lora"):
                if hasattr(layer, method):
                    setattr(layer, method, functools.partial(refuse, method, self.name))

    def _structure(self, path: str) -> Weight:
        equations = self.structures[path]
        owner, variable, place, weight = take_out(self.layer, path)
        is_tied = any(equation.from_outside for equation in equations)
        refusals = {
            "structure, since the layer itself changes it": owner.trainable and not variable.trainable,
            "constraint, since it is computed and not stored": variable.constraint,
            "further structure, since it is tied": is_tied and len(equations) > 1,
        }
        for refusal, applies in refusals.items():
            if applies:
                raise ValueError(f"Weight {path!r} of layer {self.name!r} can have no {refusal}.")
        if not is_tied:
            weight.expansion = expansion_of(equations, weight.shape)
            if is_kernel_of_dense(owner, weight):
                weight.product = weight.expansion.product()
            self.add_theta(weight, owner, variable, place)
            if weight.product:
                owner.call = functools.partial(call_dense, owner, weight)
        return weight

    def add_theta(self, weight: Weight, owner: Any, variable: Any, place: int) -> None:
        """Store the free parameters of a weight, in place of a variable."""
        self.add_theta_to(self, weight.path.replace("/", "_"), weight, variable)

    def add_theta_to(self, layer: Any, name: str, weight: Weight, variable: Any) -> None:
        initializer = variable._initializer
        weight.theta = weight.expansion.add_theta(layer, name, lambda: (variable, initializer), variable.regularizer)
        setattr(layer, f"free_{name}", weight.theta)  # TensorFlow checkpoints it

    @property
    def halves(self) -> list[str]:
        """The weights whose free parameters lie in halves."""
        return [weight.path for weight in self.structured if weight.expansion and weight.expansion.is_reordered]

    def other_order(self, are_halves: bool) -> str:
        """What is wrong if the free parameters that are to be loaded lie otherwise."""
        orders = "in the order of its entries", "in halves"
        return (
            f"Layer {self.name!r} cannot take what was saved: the free parameters of "
            f"its kernel lie {orders[not are_halves]}, and those that were saved "
            f"{orders[are_halves]}. Load the file with the program that saved it; what "
            "`effective_weights` gives there, `assign` puts into this model."
        )

    def save_own_variables(self, store: Any) -> None:
        keras.Layer.save_own_variables(self, store)
        self.save_order(store)

    def load_own_variables(self, store: Any) -> None:
        keras.Layer.load_own_variables(self, self.checked(store))

    def save_order(self, store: Any) -> None:
        if self.halves:
            store["halves"] = np.ones(1, "int32")

    def checked(self, store: Any) -> Any:
        """What was saved, without what says how it is laid out."""
        values = {key: store[key] for key in tuple(store.keys())}
        are_halves = values.pop("halves", None) is not None
        if values and are_halves != bool(self.halves):
            raise ValueError(self.other_order(are_halves))
        return values

    def __deepcopy__(self, memo: Any) -> Any:
        config = self.get_config()
        made = type(self).from_config(config)
        if self.built:
            given = dict(self._build_shapes_dict)
            shapes, others = given.pop("shapes", ()), given.pop("named_shapes", {})
            made.build(*shapes, **given, **others)
            made.set_weights(self.get_weights())
        return made

    def _call(self, *args: Any, tied: Any = None, **kwargs: Any) -> Any:
        with self._in_place(self.weights_of_call(tied)):
            return self.layer(*args, **kwargs)

    def compute_output_spec(self, *args: Any, tied: Any = None, **kwargs: Any) -> Any:
        self._check(tied or {})
        shapes = [w.theta.shape if w.product else w.shape for w in self.structured]
        with self._in_place([ops.zeros(shape) for shape in shapes]):
            return self.layer.compute_output_spec(*args, **kwargs)

    def weights_of_call(self, tied: Any = None) -> list[Any]:
        """The values of the structured weights, in the order of `structures`."""
        self._check(tied or {})
        return [
            weight.theta
            if weight.product
            else weight.expansion.expand(weight.theta)
            if weight.expansion
            else tied[weight.path]
            for weight in self.structured
        ]

    def _check(self, tied: Mapping[str, Any]) -> None:
        wanted = {w.path: w.shape for w in self.structured if not w.expansion}
        given = {path: tuple(tensor.shape) for path, tensor in tied.items()}
        if given != wanted:
            raise ValueError(f"Layer {self.name!r} needs tied weights of shapes {wanted}, and was given {given}.")

    @contextlib.contextmanager
    def _in_place(self, values: Sequence[Any]) -> Iterator[None]:
        for weight, value in zip(self.structured, values, strict=True):
            weight.thread.value = ops.cast(value, weight.dtype)
        try:
            yield
        finally:
            for weight in self.structured:
                weight.thread.value = None

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return self.layer.compute_mask(inputs, previous_mask)

    def get_build_config(self) -> None:
        """None: the layer is built by its first call, also when it is loaded."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["layer"].pop("build_config", None)
        config["halves"] = self.halves if self.structured else self.saved_halves
        config["structures"] = {
            path: [to_config(equation) for equation in equations] for path, equations in self.structures.items()
        }
        return config


@register_terms
@keras.saving.register_keras_serializable("wdsl2")
class Structured(Wrapped):
    """A Keras layer with structure in some weights of its own, or of its `cell`.

    The free parameters of a weight are variables of the layer that the weight belongs
    to, under its name and in its place. To Keras this is no layer around another: it
    has the attributes of that, and is saved as a subclass would be whose `add_weight`
    makes free parameters.

    Arguments are those of `Wrapped`, as is the rest.
    """

    def __init__(self, layer: Any, structures: Mapping[str, Sequence[Any]], **kwargs: Any) -> None:
        super().__init__(layer, structures, **kwargs)
        for path in structures:
            if path.rpartition("/")[0] not in ("", "cell"):
                raise ValueError(
                    f"Weight {path!r} of layer {self.name!r} belongs to a layer inside it: `Wrapped` is for such."
                )

    def in_order(self) -> Iterable[str]:
        order = {id(variable): place for place, variable in enumerate(self.layer.weights)}
        found = {path: variable_at(self.layer, path)[1] for path in self.structures}
        return sorted(self.structures, key=lambda path: order[id(found[path])])

    def add_theta(self, weight: Weight, owner: Any, variable: Any, place: int) -> None:
        owner._tracker.unlock()
        self.add_theta_to(owner, variable.name, weight, variable)
        owner._tracker.lock()
        those = owner._trainable_variables
        if not weight.expansion.is_trained:
            # It stands before those that were never trained.
            those = owner._non_trainable_variables
            before = {id(each.theta) for each in self.structured}
            place = sum(id(each) in before for each in those)
        those.insert(place, those.pop())

    def save_own_variables(self, store: Any) -> None:
        self.layer.save_own_variables(store)
        self.save_order(store)

    def load_own_variables(self, store: Any) -> None:
        self.layer.load_own_variables(self.checked(store))

    def __dir__(self) -> Iterable[str]:
        """The names that the layer has: Keras saves what it finds by them."""
        return dir(self.layer)

    def __getattr__(self, name: str) -> Any:
        """An attribute of the layer; a structured weight as a call would use it now."""
        layer = vars(self).get("layer")
        if layer is None or name.startswith("__"):
            raise AttributeError(name)
        value = getattr(layer, name)
        if isinstance(value, Weight):
            if value.expansion is None:
                raise AttributeError(f"{name!r} of {self.name!r} is given in a call.")
            return value.value
        if name.startswith("_") and not isinstance(value, keras.Layer):
            raise AttributeError(name)
        return value


@register_terms
@keras.saving.register_keras_serializable("wdsl2")
class Shared(OfKind):
    """A weight as a tensor of the graph, to be tied to the weights of layers.

    Called on any tensor of the graph, for the sake of standing in it, it returns
    the whole weight, without a batch axis.

    Args:
        shape: The shape of the weight.
        equations: Its structure, if it has any.
        initializer, regularizer: As for a weight of a layer; they see the weight.
        fans: Which axes are inputs and which are outputs, if the initializer would
            take others for them.
        kind: What the layer is called where it is saved, as a class would be.
    """

    def __init__(
        self,
        shape: Sequence[int],
        equations: Sequence[Any] = (),
        initializer: Any = "glorot_uniform",
        regularizer: Any = None,
        fans: Any = None,
        kind: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.equations = terms(equations)
        self.initializer = with_fans(keras.initializers.get(initializer), fans)
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape: Any) -> None:
        expansion = expansion_of(self.equations, self.shape)
        initializer, dtype = self.initializer, self.variable_dtype
        self.theta = expansion.add_theta(
            self,
            "weight",
            lambda: (initializer(self.shape, dtype), initializer),
            self.regularizer,
        )
        self.expand = expansion.expand

    def call(self, inputs: Any) -> Any:
        return self.expand(self.theta)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.shape, self.variable_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the weight only stands beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "shape": self.shape,
            "equations": [to_config(equation) for equation in self.equations],
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


@keras.saving.register_keras_serializable("wdsl2")
class Constant(keras.Layer):
    """A tensor that is the same for all inputs, such as `ops.arange(0, 16)`.

    Called on any tensor of the graph, for the sake of standing in it.

    Args:
        function: The name of a function of `keras.ops` that takes no tensors.
        arguments: What it is given, by name.
    """

    def __init__(self, function: str, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments)

    def call(self, inputs: Any) -> Any:
        return getattr(ops, self.function)(**self.arguments)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the constant only stands beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "function": self.function,
            "arguments": dict(self.arguments),
        }


def trained_and_frozen(
    expansion: Expansion,
    shapes: Mapping[str, Shape],
    structures: Mapping[str, Sequence[Equation]],
) -> tuple[Indices, Indices]:
    """The free parameters of coupled weights that are trained, and those that are not.

    A weight that is not trained has parts of others with it.
    """
    places, _ = side_by_side(shapes)
    is_frozen = np.zeros(expansion.size + 1, bool)
    for name, equations in structures.items():
        if not all(equation.is_trained for equation in equations):
            is_frozen[expansion.solved.index[places[name]]] = True
    return np.flatnonzero(~is_frozen[:-1]), np.flatnonzero(is_frozen[:-1])


@register_terms
@keras.saving.register_keras_serializable("wdsl2")
class Coupled(OfKind):
    """Weights that have entries in common, as tensors of the graph.

    Called on any tensor of the graph, for the sake of standing in it, it returns a
    dictionary of the whole weights, without batch axes.

    Args:
        shapes: The shape of each weight, by the name that the others know it by.
        structures: The equations of the weights that have some. A `Tie` in them says
            which entries a weight has in common with another one.
        initializers, regularizers: As for weights of a layer, by the weight's name.
        fans: As for `Shared`, by the weight's name.
        kind: What the layer is called where it is saved, as a class would be.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        structures: Mapping[str, Sequence[Any]],
        initializers: Mapping[str, Any] | None = None,
        regularizers: Mapping[str, Any] | None = None,
        fans: Mapping[str, Any] | None = None,
        kind: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.structures = {name: terms(equations) for name, equations in structures.items()}
        given = dict.fromkeys(shapes, "glorot_uniform") | dict(initializers or {})
        self.initializers = {
            name: with_fans(keras.initializers.get(given[name]), (fans or {}).get(name)) for name in shapes
        }
        self.regularizers = {
            name: keras.regularizers.get(regularizer) for name, regularizer in (regularizers or {}).items()
        }

    def build(self, input_shape: Any) -> None:
        _, size = side_by_side(self.shapes)
        in_vector = [each for those in self.in_vector().values() for each in those]
        self.expansion = expansion_of(in_vector, (size,))
        trained, frozen = trained_and_frozen(self.expansion, self.shapes, self.structures)
        self.order = np.argsort(np.concatenate([trained, frozen]))
        self.thetas = [
            self.add_weight(
                name=name,
                shape=(those.size,),
                initializer=functools.partial(self.draw, those),
                trainable=name == "weights",
                regularizer=self.regularize if name == "weights" else None,
                constraint=self.expansion.constraint,
                autocast=False,
            )
            for name, those in (("weights", trained), ("frozen", frozen))
            if those.size or (self.expansion.size == 0 and name == "weights")
        ]
        for theta in self.thetas:
            setattr(self, f"free_{theta.name}", theta)  # TensorFlow checkpoints it

    def in_vector(self) -> dict[str, tuple[Equation, ...]]:
        """The equations of each weight, as ones on all entries of all weights."""
        places, _ = side_by_side(self.shapes)
        return {
            name: tuple(within(equation, places, name) for equation in equations)
            for name, equations in self.structures.items()
        }

    def draw(self, those: Indices, shape: Shape, dtype: str) -> Any:
        drawn = [
            (initializer(self.shapes[name], dtype), initializer) for name, initializer in self.initializers.items()
        ]
        return ops.cast(ops.take(self.expansion.reduce(*drawn), those, axis=0), dtype)

    def vector(self, thetas: Sequence[Any]) -> Any:
        """All entries of all weights, one weight after the other."""
        theta = ops.concatenate([ops.convert_to_tensor(each) for each in thetas])
        return self.expansion.expand(ops.take(theta, self.order))

    def weights_of(self, thetas: Sequence[Any]) -> dict[str, Any]:
        """The weights, by name."""
        vector, found, start = self.vector(thetas), {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            found[name] = ops.reshape(vector[start:stop], shape)
            start = stop
        return found

    def regularize(self, theta: Any) -> Any:
        weights = self.weights_of([theta, *self.thetas[1:]])
        losses = (each(weights[name]) for name, each in self.regularizers.items())
        return sum(losses, start=ops.zeros((), theta.dtype))

    def call(self, inputs: Any) -> Any:
        return self.weights_of(self.thetas)

    def compute_output_spec(self, inputs: Any) -> Any:
        return {name: keras.KerasTensor(shape, self.variable_dtype) for name, shape in self.shapes.items()}

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a mask belongs to the tensor that the weights only stand beside."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "shapes": self.shapes,
            "structures": {
                name: [to_config(equation) for equation in equations] for name, equations in self.structures.items()
            },
            "initializers": {name: keras.initializers.serialize(each) for name, each in self.initializers.items()},
            "regularizers": {name: keras.regularizers.serialize(each) for name, each in self.regularizers.items()},
        }


def has_structure(layer: Any) -> bool:
    """Whether a layer is one around another, with structure in its weights."""
    kind = keras.saving.get_registered_name(type(layer))
    return kind in ("wdsl2>Structured", "wdsl2>Wrapped")


def refuse_old(layer: type) -> type:
    """Let Keras find a class where a file asks for one of another format."""
    for name in ("Structured", "Shared", "Coupled", "Constant"):
        # A module of that format may be there, which has classes of these names.
        keras.saving.get_custom_objects().setdefault(f"wdsl>{name}", layer)
    return layer


@refuse_old
class OldLayer(keras.Layer):
    """A layer of a file that an older wdsl saved, which stored weights otherwise."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> None:
        raise ValueError(
            f"Layer {config.get('name')!r} was saved by an older version of wdsl, in a "
            "format that this one does not read. Load the file with that version, or "
            "beside the module that it wrote. What `effective_weights` gives there, "
            "and `get_weights` of the other layers, `assign` puts into a model that "
            "this version builds."
        )
