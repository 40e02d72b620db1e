"""What is said of annotations that say nothing, however that was found: by a formula, or entry by entry."""

from __future__ import annotations

from wdsl.annotations.equations import Equation, Tie
from wdsl.text.diagnostics import Diagnostic


def adds_nothing(equation: Equation | Tie) -> Diagnostic:
    return Diagnostic("W0505", f"`{equation.text}` adds nothing", equation.span, "all that it says is so without it")


def names_no_entry(equation: Equation | Tie) -> Diagnostic:
    return Diagnostic("W0503", f"`{equation.text}` names no entry", equation.span)
