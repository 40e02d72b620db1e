"""Layers around a Keras layer, with structure in its weights or in those of layers inside it."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from wdsl.runtime.expansion import expansion_of
from wdsl.runtime.saving import OfKind, saved
from wdsl.runtime.stand_ins import Weight, drawing_later, take_out, variable_at
from wdsl.structure.terms import terms, to_config


def is_kernel_of_dense(layer: Any, weight: Weight) -> bool:
    """Whether a layer does nothing with a weight but multiply its inputs by it."""
    is_kernel = type(layer) is layers.Dense and layer._kernel is weight
    return is_kernel and not layer.lora_enabled


def call_dense(layer: Any, weight: Weight, inputs: Any, training: Any = None) -> Any:
    """What `Dense.call` computes, with the product of its kernel."""
    x = ops.convert_to_tensor(inputs, sparse=False)
    dtype = keras.backend.result_type(x.dtype, weight.dtype)
    x = weight.product(x, weight.numbers, dtype)
    if layer.bias is not None:
        x = ops.add(x, layer.bias)
    return x if layer.activation is None else layer.activation(x)


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


@saved
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


@saved
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


def has_structure(layer: Any) -> bool:
    """Whether a layer is one around another, with structure in its weights."""
    kind = keras.saving.get_registered_name(type(layer))
    return kind in ("wdsl2>Structured", "wdsl2>Wrapped")
