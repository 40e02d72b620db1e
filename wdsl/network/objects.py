"""What an expression of a network can stand for."""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias, TypeVar

from wdsl import catalog
from wdsl.annotations.subject import Target
from wdsl.catalog import Constructed, TensorSpec, show_shape
from wdsl.catalog.argument_types import is_whole
from wdsl.catalog.names import keras_name
from wdsl.core import expressions as ex
from wdsl.core.record import Record
from wdsl.link import constants
from wdsl.link.constants import Value
from wdsl.link.evaluation import Construction, Definition
from wdsl.link.imports import Scope, Written
from wdsl.syntax import nodes
from wdsl.text.diagnostics import listed
from wdsl.text.source import Span

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Tensor(Record):
    spec: TensorSpec
    expression: ex.Expression


class Tensors(Record):
    """What a call with several outputs gives."""

    specs: tuple[TensorSpec, ...]
    expression: ex.Expression


class Group(Record):
    """`(a, b)` or `[a, b]` with tensors in it, or with more such lists, or what comes out of a block.

    The outputs of a block have `names`, and `block` is whose they are.
    """

    items: tuple[Tensor | Group, ...]
    names: tuple[str, ...] = ()
    block: str = ""


class ConstructedObject(Record):
    """An initializer, regularizer or constraint."""

    object: Constructed
    expression: ex.Expression


class LayerObject:
    """A constructed layer: what it was constructed with, and what its first use showed of it.

    `name` is None for one that stands in the wiring. `first_use` is the place, the weights, and the shapes before and
    after. In its block, it is in `variable`, and `label` gives the name.
    """

    def __init__(
        self,
        row: catalog.Layer,
        arguments: Mapping[str, Any],
        given: Mapping[str, tuple[ex.Expression, Span]],
        expression: ex.Expression,
        span: Span,
    ) -> None:
        self.row = row
        self.arguments = arguments
        self.given = given
        self.expression = expression
        self.span = span
        self.name: str | None = None
        self.declared = ""
        self.doc = ""
        self.first_use: tuple[Span, tuple[catalog.Weight, ...], str, str] | None = None
        self.variable: ex.Expression | None = None
        self.label: ex.Expression | None = None
        self.of_class = ""

    @property
    def kind(self) -> str:
        """The name of its class, or of the block's parameter that is its class."""
        return self.of_class or self.row.name


class FreeWeightObject(Record):
    """A weight of no layer; `name` is what the whole network calls it, `tensor` what it is in the wiring."""

    name: str
    tensor: Tensor


class BlockObject:
    """A block, or a network used as one, that was constructed: its parameters have values.

    `name` is what the names of the layers in it begin with, known once it was applied. `made` are the layers and blocks
    constructed in it, by the place and the passes of loops that construct them: applied again, it has the same ones.
    `names` are what its names stand for after its last application. `given` are the parameters that its construction
    gives a value, and whether by name.
    """

    def __init__(self, written: Written, values: Mapping[str, Value], given: Mapping[str, bool], span: Span) -> None:
        self.written = written
        self.values = values
        self.given = given
        self.span = span
        self.name: str | None = None
        self.made: MutableMapping[Hashable, LayerObject | BlockObject] = {}
        self.declared: MutableMapping[Hashable, Result] = {}
        self.names: Mapping[str, Result] = {}
        self.variable: ex.Expression | None = None
        self.label: ex.Expression | None = None
        self.key = ""

    @property
    def kind(self) -> str:
        """The name of its definition."""
        return self.written.node.name.id


class Pass(Record):
    """A pass of a loop, with the loop's variables and their values, or of a stack, which has none.

    `index` is what the names of what is made in it end in.
    """

    names: tuple[nodes.Name, ...]
    index: int
    values: tuple[Value, ...]
    counter: ex.Expression | None = None
    """What gives the index where the loop is written as one."""


def are_indices(values: Sequence[Value]) -> bool:
    """Whether a loop's values tell its passes apart in names: whole numbers, none below 0 and none twice."""
    numbers = [each.value for each in values]
    return all(is_whole(each) and each >= 0 for each in numbers) and len(set(numbers)) == len(numbers)


class Frame:
    """The names in one body: that of the network, or that of a block while it is applied.

    `scope` has what stands beside it in its file. `path` is what the names of the layers in it begin with. `passes` are
    the loops that are being gone through. Of a block, `use` is where it is applied, `is_shared` whether it may be
    applied again, `given` holds the tensors for its inputs with their places, and `outputs` what has come out so far.
    `variables` are those that the body has as it is written, beside the names that the file gives, and `constants` the
    names that its own statements give to constants.
    """

    def __init__(
        self,
        scope: Scope,
        body: Sequence[nodes.Statement],
        names: MutableMapping[str, Result],
        path: str = "",
        block: BlockObject | None = None,
        use: Span | None = None,
        is_shared: bool = False,
    ) -> None:
        self.scope = scope
        self.body = body
        self.names = names
        self.path = path
        self.block = block
        self.use = use
        self.is_shared = is_shared
        self.declared: MutableMapping[str, Span] = {}
        self.variables: set[str] = set()
        self.constants: set[str] = set()
        self.passes: list[Pass] = []
        self.given: dict[str, tuple[Tensor, Span]] = {}
        self.outputs: list[tuple[str, Tensor]] = []
        self.is_broken = False
        self._sites: dict[str, list[int]] | None = None

    def key(self, span: Span) -> Hashable:
        """A place in the body, in the pass of each loop that it is carried out in."""
        return (span.source.name, span.start, *(each.index for each in self.passes))

    def now(self) -> Callable[[], Frame]:
        """What gives the frame as annotations here see it in the end: all names, and loops in the pass of now."""
        values: dict[str, Result] = {
            name.id: value for each in self.passes for name, value in zip(each.names, each.values, strict=True)
        }

        def later() -> Frame:
            # Not a copy: there may be thousands of layers, and thousands of names for each to see.
            names = ChainMap(values, self.names) if values else self.names
            return Frame(self.scope, self.body, names, self.path, self.block, self.use)

        return later

    def sites(self, words: str) -> Sequence[int]:
        """Where the body constructs something of a kind, in Keras's words for it, as what stands in the wiring."""
        if self._sites is None:
            self._sites = {}
            for each in nodes.wiring(self.body):
                if isinstance(each, nodes.Call) and isinstance(each.function, nodes.Name | nodes.Attribute):
                    function = each.function
                    kind = function.id if isinstance(function, nodes.Name) else function.name.id
                    self._sites.setdefault(keras_name(kind), []).append(each.span.start)
        return self._sites.get(words, ())

    def site(self, words: str, span: Span) -> tuple[int, int]:
        """Which one of its kind something in the wiring is, from 1 on, and how many there are."""
        sites = self.sites(words)
        return sites.index(span.start) + 1 if span.start in sites else 1, len(sites)

    def counters(self) -> list[ex.Expression]:
        """What gives the numbers of the passes, where loops are written as such."""
        return [each.counter for each in self.passes if each.counter is not None]

    def copied(self, memo: Copies) -> Frame:
        """The frame for statements that are not carried out in the end: what they do to it is not done to this one."""
        self.sites("")  # found once, for all copies
        other = copy.copy(self)
        other.names, other.declared = Overlay(self.names, memo), ChainMap({}, self.declared)
        other.block = memo.of(self.block)
        other.variables, other.constants = {*self.variables}, {*self.constants}
        other.passes, other.outputs = [*self.passes], [*self.outputs]
        return other

    def owners(self) -> list[str]:
        """The names that lead to weights."""
        kinds = (LayerObject, FreeWeightObject, BlockObject, FamilyObject)
        return [name for name, each in self.names.items() if isinstance(each, kinds)]


def of_file(scope: Scope) -> dict[str, Result]:
    """What the names of a file stand for in the bodies in it."""
    return {**dict.fromkeys(scope.lost, BROKEN), **scope.constants, **scope.modules}


class FamilyObject:
    """Layers and blocks, or tensors, with one name and indices: `conv[0]`, `conv[1]`.

    `of` says what they are.
    """

    def __init__(self, of: str = "layers") -> None:
        self.of = of
        self.members: MutableMapping[tuple[int, ...], LayerObject | BlockObject | Tensor | Broken] = {}


class Copies:
    """Copies of what can change, one of each, made when it is first looked at."""

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if not isinstance(value, LayerObject | BlockObject | FamilyObject):
            return value
        if id(value) not in self.found:
            other = self.found[id(value)] = copy.copy(value)
            self.found[id(other)] = other
            match other:
                case BlockObject():
                    other.made, other.declared = Overlay(other.made, self), Overlay(other.declared, self)
                    other.names = Overlay(other.names, self)
                case FamilyObject():
                    other.members = Overlay(other.members, self)
        return self.found[id(value)]


class Overlay(MutableMapping[K, V]):
    """A mapping over another one, which stays as it is, with copies of what can change in there."""

    def __init__(self, under: Mapping[K, V], copies: Copies) -> None:
        self.under = under
        self.copies = copies
        self.own: dict[K, V] = {}
        self.gone: set[K] = set()

    def __getitem__(self, key: K) -> V:
        if key in self.own:
            return self.own[key]
        if key in self.gone:
            raise KeyError(key)
        return self.copies.of(self.under[key])  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: V) -> None:
        self.own[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self.own.pop(key, None)
        self.gone.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self.own or (key not in self.gone and key in self.under)

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self.under if key not in self.gone and key not in self.own)
        yield from self.own

    def __len__(self) -> int:
        return sum(1 for _ in self)


class UnknownSize(Record):
    """A size with a name, which is known when the network runs."""


class Broken(Record):
    """Stands for what an error was reported for, so that it is not reported again."""


BROKEN = Broken()
Result: TypeAlias = (
    Value | Tensor | Tensors | Group | ConstructedObject | LayerObject | FreeWeightObject | BlockObject | FamilyObject
    | UnknownSize | Scope | Definition | Construction | Broken
)  # fmt: skip


def kind_of(result: Result) -> str:
    match result:
        case Value(value):
            return constants.type_name(value)
        case Tensor():
            return "a tensor"
        case Tensors(specs):
            return f"{len(specs)} tensors"
        case Group(items, names, block):
            return f"the {len(items)} outputs of `{block}`, {listed(names)}" if names else f"{len(items)} tensors"
        case LayerObject():
            return "a layer"
        case BlockObject(written=written):
            return f"a block of the kind `{written.node.name.id}`"
        case FamilyObject():
            return "a family: one of its members has an index"
        case UnknownSize():
            return "a size that is known when the network runs"
        case FreeWeightObject():
            return "a weight"
        case Scope():
            return "an imported file"
        case Definition():
            return "a function of constants"
        case Construction():
            return "what stands where an initializer, regularizer or constraint does"
        case ConstructedObject(constructed):
            return f"a {constructed.kind}"
    return "broken"


def target_of(result: Result | None) -> Target | None:
    """What annotations and assertions have to know of what a path leads to."""
    if result is None:
        return None
    owner = (result.name or "") if isinstance(result, (LayerObject, FreeWeightObject)) else None
    is_unused = isinstance(result, BlockObject) and not result.names
    return Target(owner, kind_of(result), isinstance(result, Broken), is_unused)


def to_name(result: Result) -> str | None:
    """What to do with several tensors where one is needed: a hint, if they have no names yet."""
    match result:
        case Group(_, names) if names:
            return f"name them first, as in `{', '.join(names)} = …`"
        case LayerObject(name=str(name)) | BlockObject(name=str(name)):
            return f"send a tensor to it first: `x -> {name}`"
        case Tensors(specs):
            return f"name them first, as in `{', '.join('abcd'[: len(specs)] if len(specs) < 5 else 'ab…')} = …`"
    return None


def shape_of(spec: TensorSpec) -> str:
    """A tensor's shape as the language writes it, without the batch."""
    return show_shape(spec.sizes) if spec.shape else "a scalar"


def shapes_of(values: Iterable[Any]) -> str:
    shapes = []
    for value in values:
        if isinstance(value, TensorSpec):
            shapes.append(shape_of(value))
        elif isinstance(value, tuple) and (inside := shapes_of(value)):
            shapes.append(inside)
    return ", ".join(shapes)


def no_tensor(value: Result) -> str:
    """The code for something that stands where a tensor is needed."""
    return "E0206" if isinstance(value, (LayerObject, BlockObject)) else "E0205"
