"""What people write who come from Python, NumPy, Keras 2, PyTorch and other languages, and what to write instead.

A row says where it applies: to which reports, and to what stands in the line at the reported place. It is no part of
what is an error: it is asked of a report that is there, and has neither a hint nor a fix.
"""

from __future__ import annotations

import re

from wdsl.core.record import Record
from wdsl.text.diagnostics import Diagnostic, Fix
from wdsl.text.source import Span


class Row(Record):
    """`pattern` stands at the place of a report with one of these codes; the hint and the fix may refer to its groups.

    The fix is `replacement` in place of what the pattern matches.
    """

    codes: str
    pattern: str
    hint: str
    replacement: str | None = None


SYNTAX = "E0101 E0103 E0102"
_LIBRARIES = r"(?:tf|keras|tensorflow|torch|nn|F|K|np|numpy|jnp|layers|ops|activations|initializers|regularizers|math)"

ROWS = (
    # Strings and comments
    Row(SYNTAX, r"'([^'\"\n]*)'", "strings stand in double quotes", r'"\1"'),
    Row(SYNTAX, r"[“”„‟«»]([^“”„‟«»\"\n]*)[“”„‟«»]", "quotes are straight ones", r'"\1"'),
    Row(SYNTAX, r"[‘’`]([^‘’`\"\n]*)[‘’`]", "strings stand in double quotes", r'"\1"'),
    Row(SYNTAX, r"/\*+[ ]?(.*?)[ ]?\*/", "a comment goes from `#` to the end of the line"),
    Row(SYNTAX, r"(?<![\w)\]] )//[ ]*([^\n]*)|//[ ]+([A-Za-z][^\n]*)", "a comment begins with `#`", r"# \1\2"),
    Row(SYNTAX, r"\bf\"[^\"\n]*\"", 'a string is put together with `+` and `str`: `"stage_" + str(i)`'),
    # Operators
    Row(SYNTAX, r"[ ]?=>", "an arrow is written `->`", " ->"),
    Row(SYNTAX, r"→|⟶|➔", "an arrow is written `->`", "->"),
    Row(SYNTAX, r"&&", "it is written as a word, `and`", "and"),
    Row(SYNTAX, r"\|\|", "it is written as a word, `or`", "or"),
    Row(SYNTAX, r"!(?=[\w(])", "it is written as a word, `not`", "not "),
    Row(SYNTAX, r"\|>", "a tensor goes through layers by `->`", "->"),
    Row(SYNTAX, r"(?<!\|)\|(?!\|)", "a tensor goes through layers by `->`; constants have `or`"),
    Row(SYNTAX, r"\^", "a power is written `**`", "**"),
    Row(SYNTAX, r"×|·", "a product is written `*`", "*"),
    Row(SYNTAX, r"≤", "written with two signs", "<="),
    Row(SYNTAX, r"≥", "written with two signs", ">="),
    Row(SYNTAX, r"≠|<>", "written with two signs", "!="),
    Row(SYNTAX, r":=", "a name is given with `=`", "="),
    Row(SYNTAX, r"\+\+|--", "write `+= 1` or `-= 1`"),
    Row(SYNTAX, r"(\w+)\s*\?\s*(\w+)\s*:\s*(\w+)", "a choice is written `a if test else b`", r"\2 if \1 else \3"),
    Row(SYNTAX, r"\?", "a choice is written `a if test else b`; as a size, `?` stands alone"),
    # Statements
    Row(SYNTAX, r"\b(let|var|val|auto|final)\s+", "a name is given with `=` alone", ""),
    Row(SYNTAX, r"\breturn\s*", "what comes out of a network or block is an `output`", "output "),
    Row(SYNTAX, r"\belif\b", "it is written in two words, `else if`", "else if"),
    Row(SYNTAX, r"\belse:|\bif\b[^{]*:|\bfor\b[^{]*:", "bodies stand in braces: `if deep { … }`"),
    Row(SYNTAX, r"\bwhile\b.*", "loops go through lists: `for i in range(3) { … }`"),
    Row(SYNTAX, r"\bfor\s*\((.*)\)\s*\{", "no parentheses there", r"for \1 {"),
    Row(SYNTAX, r"(\d+)\.\.\.?(\d+)", "a range of numbers is `range`", r"range(\1, \2)"),
    Row(SYNTAX, r"\blambda\b.*", "write what it computes, with operators and functions, or as a `block`"),
    Row(SYNTAX, r"\bdef\b.*", "a function of tensors is a `block`; one of constants stands outside networks"),
    Row(SYNTAX, r"\bclass\b.*", "a piece of a network is a `block`; a class of layers is named by `extern`"),
    Row(SYNTAX, r"\bimport\b.*", 'all of Keras is there; files are imported outside, `import "file.wnet" as name`'),
    Row(SYNTAX, r"\bconst\b.*", "within a network, a name is given with `=` alone"),
    Row(SYNTAX, r"\b(print|del|pass|yield|with|try|raise|global)\b.*", "there is no such statement"),
    Row(SYNTAX, r"\blayer\s+(\w+)\s*:", "written with `=`", r"layer \1 ="),
    Row(SYNTAX, r"\binput\s+(\w+)\s*=", "the sizes follow a colon", r"input \1:"),
    Row(SYNTAX, r"\boutput\s+(\w+)\s*:", "written with `=`", r"output \1 ="),
    Row(SYNTAX, r"\b([A-Z]\w*)\s+(\d[\d_]*)", "arguments stand in parentheses", r"\1(\2)"),
    Row(SYNTAX, r"\)\)+\s*$", "there is a `)` too many, or a `(` too few"),
    Row(SYNTAX, r"->\s*$", "behind an arrow stands a layer or a function"),
    Row(SYNTAX, r"^\s*->", "a chain begins with a tensor: `h = x -> …`"),
    Row(SYNTAX, r"\{\s*(\w+)\s*=", "annotations follow a colon", r"{ \1:"),
    Row(SYNTAX, r"\),\s*(symmetric|skew|zero|equal|fixed|tie|frozen)\b", "no comma before the first", r") \1"),
    Row(SYNTAX, r"\btie\s+([\w.]+)", "what it is tied to stands in parentheses", r"tie(\1)"),
    Row(SYNTAX, r"[^\x00-\x7f]", "names are made of the letters a to z, digits and `_`"),
    # Names
    Row("E0201 E0203 E0205", r"\bx?\.shape\b", "shapes are looked at in an `assert`, as `shape(x)`"),
    Row("E0201", r"\bnn\.Linear\b", "Keras calls it `Dense(units)`", "Dense"),
    Row(
        "E0201 E0203 E0205 E0301 E0509 E0304",
        rf"\b{_LIBRARIES}(?:\.\w+)*\.(?P<name>\w+)",
        r"names of Keras stand by themselves: `\g<name>`",
        r"\g<name>",
    ),
    Row("E0509", r"\.t\(\)|\.T\(\)", "a transpose is written `.T`", ".T"),
    Row("E0205", r"\.[tT]\b(\(\))?", "a tensor is transposed by `transpose(x, axes=…)`"),
    Row("E0205", r"\.(reshape|view)\b", "a tensor is reshaped by `x -> Reshape([…])`"),
    Row("E0205", r"\.(mean|sum|max|min|abs|exp)\b", r"written as a function: `\1(x)`"),
    Row("E0301", r"\bLinear\b", "Keras calls it `Dense(units)`", "Dense"),
    Row("E0302", r"\b(input_shape|input_dim|batch_input_shape)\b", "the sizes of inputs are declared: `input x: [8]`"),
    Row("E0302", r"\bp\b", "Keras calls it `rate`", "rate"),
    Row("E0302", r"\b(in_features|in_channels|input_size)\b", "a layer finds out what it is given: leave it out"),
    Row("E0302", r"\b(out_features|hidden_size)\b", "Keras calls it `units`", "units"),
    Row("E0302", r"\bout_channels\b", "Keras calls it `filters`", "filters"),
    Row("E0302", r"\bweights\b", "initial values are those of an initializer: `kernel_initializer=…`"),
    Row("E0206", r"^\s*(\w+)\s*=\s*(?=[A-Z])", "a layer is declared: `layer NAME = …`"),
    Row("E0304", r"\bReLU\b", "an activation is named by its function", "relu"),
    Row("E0304", r"=\s*(ReLU|ELU|Softmax|LeakyReLU|PReLU)\b", "an activation is named by its function: `relu`"),
    Row("E0205", r"\b(and|or|not)\b", "of tensors it is `logical_and`, `logical_or`, `logical_not`"),
)


def taught(problem: Diagnostic) -> Diagnostic:
    """A report with what to write instead, if it says nothing of that yet and a row knows."""
    if problem.hint or problem.fix or problem.severity != "error":
        return problem
    text, start = problem.span.source.text, problem.span.start
    begin = text.rfind("\n", 0, start) + 1
    end = text.find("\n", start)
    line = text[begin : end if end >= 0 else len(text)]
    if len(line) > 1_000:
        return problem
    first, last = start - begin, max(problem.span.end, start + 1) - begin
    for row in ROWS:
        if problem.code not in row.codes.split():
            continue
        for match in re.finditer(row.pattern, line):
            if match.start() < last and first <= match.end():
                fix = None
                if row.replacement is not None:
                    place = Span(problem.span.source, begin + match.start(), begin + match.end())
                    fix = Fix(place, match.expand(row.replacement))
                return problem.replace(hint=match.expand(row.hint), fix=fix)
    return problem
