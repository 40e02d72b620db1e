"""Lark's tables, followed without Lark: what the parser does with text that is in order.

Most of what an LALR parser does with an expression is to call a number a power, that a factor, that a term, and so
on up to an argument: reductions by rules of one symbol, which change nothing but the state. Here a run of them is one
step, from the state that it begins in to the one that it ends in. All else is as Lark does it, and its callbacks are
called in the same order. What does not fit is for Lark to explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Reduction: TypeAlias = tuple[int, str, Callable[[list[Any]], Any] | None]
"""How many symbols become one, which, and by what callback; None if that one is what the only symbol was."""


class DoesNotFit(Exception):
    """The text is not of the language."""


class Tables:
    """The tables of a grammar in a form that is fast to follow. `configuration` is Lark's `ParseConf`."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self.state: int = configuration.start_state
        """The state of the text that is being read, for the lexer. One text is read at a time."""
        self.rows: dict[int, dict[str, int | Reduction]] = {}
        # Where a run of reductions ends, by the state below, the one on top, and the token that is next.
        self.runs: dict[tuple[int, int, str], int] = {}
        self.reductions: dict[Any, Reduction] = {}

    def row(self, state: int) -> dict[str, int | Reduction]:
        """What a state does with each symbol. Few states of a grammar are ever met in one file."""
        row: dict[str, int | Reduction] = {}
        for symbol, (_, found) in self.configuration.states[state].items():
            row[str(symbol)] = found if isinstance(found, int) else self.reduction(found)
        self.rows[state] = row
        return row

    def is_expected(self, symbol: str) -> bool:
        """Whether the text may go on with a terminal, as far as it has been read."""
        return symbol in (self.rows.get(self.state) or self.row(self.state))

    def reduction(self, rule: Any) -> Reduction:
        known = self.reductions.get(rule)
        if known is None:
            callback = None if _is_renaming(rule) else self.configuration.callbacks[rule]
            known = self.reductions[rule] = (len(rule.expansion), str(rule.origin.name), callback)
        return known

    def run(self, below: int, top: int, type_: str) -> int:
        """The state on top, after all reductions that the next token asks for and that change nothing else."""
        key = below, top, type_
        while True:
            row = self.rows.get(top) or self.row(top)
            action = row.get(type_)
            if action is None or isinstance(action, int) or action[2] is not None:
                break
            top = (self.rows.get(below) or self.row(below))[action[1]]  # type: ignore[assignment]
        self.runs[key] = top
        return top

    def follow(self, tokens: Iterator[Any]) -> Any:
        """What the callbacks make of a text. Raises DoesNotFit, or what the lexer and the callbacks raise."""
        rows, runs = self.rows, self.runs
        self.state = state = self.configuration.start_state
        end = self.configuration.end_state
        states, values = [state], []
        for token in tokens:
            type_ = token.type
            while True:
                action = (rows.get(state) or self.row(state)).get(type_)
                if action.__class__ is int:
                    state = action
                    states.append(state)
                    values.append(token)
                    self.state = state
                    break
                if action is None:
                    raise DoesNotFit
                size, origin, callback = action  # type: ignore[misc]
                if callback is None:
                    below = states[-2]
                    state = runs.get((below, state, type_)) or self.run(below, state, type_)
                    states[-1] = state
                    continue
                if size:
                    children = values[-size:]
                    del states[-size:], values[-size:]
                else:
                    children = []
                values.append(callback(children))
                below = states[-1]
                state = (rows.get(below) or self.row(below))[origin]
                states.append(state)
        return self.finish(states, values, end)

    def finish(self, states: list[int], values: list[Any], end: int) -> Any:
        """The reductions at the end of the text."""
        while states[-1] != end:
            row = self.rows.get(states[-1]) or self.row(states[-1])
            action = row.get("$END")
            if not isinstance(action, tuple):
                raise DoesNotFit
            size, origin, callback = action
            children = values[-size:] if size else []
            if size:
                del states[-size:], values[-size:]
            values.append(children[0] if callback is None else callback(children))
            states.append((self.rows.get(states[-1]) or self.row(states[-1]))[origin])  # type: ignore[arg-type]
        return values[-1]


def _is_renaming(rule: Any) -> bool:
    """Whether a rule is `?a: b`, and gives what `b` gave."""
    if not rule.options.expand1 or rule.alias or len(rule.expansion) != 1 or any(rule.options.empty_indices):
        return False
    (symbol,) = rule.expansion
    return not symbol.filter_out if symbol.is_term else not symbol.name.startswith("_")
