"""The classes of layers with structured weights in layers inside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wdsl.backends.bodies import Body
from wdsl.backends.classes import SETTING, Writer, multiplied
from wdsl.backends.products import Product
from wdsl.core import expressions as ex
from wdsl.core.printing import WIDTH
from wdsl.plan.kinds import Kind, KindWeight
from wdsl.plan.plan import Plan


class WrappedWriter(Writer):
    """A layer with structured weights in layers inside it."""

    template = "wrapped"

    def __init__(self, kind: Kind, plan: Plan, files: Mapping[str, str], names: Mapping[str, str]) -> None:
        super().__init__(kind, plan, files, names)
        around = [part for each in plan.parts() for part in _wrapped_by(kind.name, each)]
        self.is_setting = any(ex.Symbol("layers.SpectralNormalization") in ex.walk(each) for each in around)
        if self.is_setting:
            self.functions |= {SETTING, "with_gradient_of"}

    def path(self, weight: KindWeight) -> str:
        return weight.key.replace("/", ".")

    def parts(self) -> dict[str, Any]:
        paths = {each.key for each in self.kind.weights}
        paths |= {path for each in self.plan.parts() for path in _tied_in(each)}
        parts = super().parts()  # which finds the product
        product = self.product and self.multiplied(self.product)
        return parts | {
            "product": product,
            "scope": SETTING if self.is_setting else "keras.StatelessScope",
            "paths": self.assignment("paths", ex.Sequence(tuple(ex.Constant(each.key) for each in self.own)), 4),
            "has_given": bool(self.given) or not self.own,
            "has_lists": any(step.isdigit() for path in paths for step in path.split("/")),
        }

    def doc(self) -> str:
        if not self.own:
            return "A layer that is given some weights of layers inside it, `tied`, with each call."
        return super().doc()

    def call(self) -> list[str]:
        return []

    def multiplied(self, product: Product) -> list[str]:
        """What is computed in place of `Dense.call`."""
        made = [f"if not self.{product.only_if}:", "    return type(layer).call(layer, inputs)"]
        return [
            *(made if product.only_if else []),
            *multiplied(product, WrappedBody.layer),
            "if layer.use_bias:",
            "    outputs = ops.add(outputs, layer.bias)",
            "return layer.activation(outputs)",
        ]

    def weight(self, weight: KindWeight) -> dict[str, Any]:
        body = WrappedBody(self, weight, f"{weight.ident}_", 8)
        lines = body.stored()
        return {
            "name": weight.ident,
            "local": body.name,
            "key": weight.key,
            "is_multiplied": bool(body.realization.pattern),
            "made_if": f"not self.{self.product.only_if}" if body.realization.pattern and self.product else "",
            "lines": lines,
            "value": body.value(),
        }


class WrappedBody(Body):
    """A weight of a layer inside another, which has the numbers of it."""

    layer = "layer"
    source = "ops.cast(variable, dtype)"
    initializer = "variable._initializer"
    is_plain = False
    is_cast = False

    def named(self) -> tuple[str, str]:
        return self.weight.ident, f"self.{self.weight.ident}"

    def stored(self) -> list[str]:
        has_options = self.enforced or self.weight.is_regularized or not self.weight.is_trained
        return [
            *self.lines("shape = tuple(variable.shape)"),
            *(self.lines('options = {"regularizer": variable.regularizer}') if has_options else []),
            *super().stored(),
        ]

    def got(self) -> list[str]:
        return []

    def added(self, shape: str, initializer: str) -> list[str]:
        has_options = self.enforced or self.weight.is_regularized or not self.weight.is_trained
        options = [f'name="{self.name}"', "autocast=False", *(["**options"] if has_options else [])]
        arguments = ", ".join([shape, initializer, *options])
        if self.indent + len(f"{self.numbers} = self.add_weight({arguments})") <= WIDTH:
            return self.lines(f"{self.numbers} = self.add_weight({arguments})")
        if self.indent + 4 + len(arguments) <= WIDTH:
            return self.lines(f"{self.numbers} = self.add_weight(", f"    {arguments}", ")")
        parts = [f"    {each}," for each in (shape, initializer, *options)]
        return self.lines(f"{self.numbers} = self.add_weight(", *parts, ")")


def _tied_in(part: ex.Expression) -> tuple[str, ...]:
    """The ways to the weights that a call gives to a layer."""
    match part:
        case ex.Call(_, _, keywords) if isinstance(tied := dict(keywords).get("tied"), ex.Mapped):
            return tuple(path for path, _ in tied.items)
    return ()


def _wrapped_by(kind: str, part: ex.Expression) -> tuple[ex.Expression, ...]:
    """The layer that a part of the plan puts into one of a kind, if it does."""
    match part:
        case ex.Call(ex.Symbol("Wrapped"), (layer, *_), keywords) if ("kind", ex.Constant(kind)) in keywords:
            return (layer,)
    return ()
