"""The command line: `wdsl build`, `wdsl check`, `wdsl explain`, `wdsl fmt`, `wdsl summary`, `wdsl verify`.

What is imported here is paid by every command, so reports, diffs and tables are imported where they are used.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn, TextIO

import click

import wdsl
from wdsl.text.diagnostics import CODES, Diagnostic, has_errors, in_order, nearest
from wdsl.text.files import MAX_BYTES, MAX_TEXT, Files, decode, read
from wdsl.text.source import Source, Span

PROBLEMS = 1
"""The exit status when a file is not in order; 0 is clean, and click's own 2 is misuse."""

POLL = 0.3
"""Seconds between two looks at the watched files."""
MOST_WATCHED = 1000
STRING = re.compile(r'"((?:[^"\\\n]|\\.)+)"')

RESERVED = ("network", "root", "max_layers")
"""Names of `wdsl.load`'s own arguments, which `--set` cannot give."""


class Setting(click.ParamType[tuple[str, Any], tuple[str, Any]]):
    """`code=64`: a parameter of the network and its value."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        name, equals, words = value.partition("=")
        if not equals or not name.isidentifier():
            self.fail(f"{value!r} is not of the form name=value", param, ctx)
        if name in RESERVED:
            self.fail(f"{name!r} is chosen with --{name.replace('_', '-')}", param, ctx)
        return name, constant(words)


def constant(words: str) -> Any:
    """A value as the language writes it: number, string in quotes, true, false, none, list; else a string as it is."""
    import json

    if words.strip() == "none":
        return None
    try:
        return json.loads(words, parse_constant=str)  # lists, strings and numbers of the language are JSON's
    except (ValueError, RecursionError):
        pass
    if words[:1].isdigit():
        for kind in (int, float):
            try:
                return kind(words)  # `50_000`, `1.`
            except ValueError:
                pass
    return words


def file_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Completion as the shell itself completes files; click would leave it out for a plain string."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def code_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [code for code in CODES if code.startswith(incomplete.upper())]


def chosen(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which network, with which parameters, how large it may be, and where the files are."""
    command = click.option(
        "--max-layers",
        metavar="N",
        type=click.IntRange(min=1),
        help="What loops and blocks may come to, in statements and in layers. Default: 100000.",
    )(command)
    command = click.option(
        "--root",
        metavar="FOLDER",
        type=click.Path(exists=True, file_okay=False),
        help="Where the files must be that the spec names. Default: its folder.",
    )(command)
    command = click.option("--network", metavar="NAME", help="The network to take, of several in the file.")(command)
    return click.option(
        "--set", "settings", type=Setting(), multiple=True, help="A parameter's value; may be repeated."
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(wdsl.__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Compiles .wnet files, neural networks with weight structure, to Keras.

    \b
    Examples:
      wdsl check specs/
      wdsl build net.wnet --set code=64
      wdsl build net.wnet -o - | less
      wdsl build net.wnet --emit weights
    """


@main.command()
@click.argument("spec", metavar="NET.WNET", shell_complete=file_names)
@click.option(
    *("-o", "--output"),
    metavar="FILE",
    shell_complete=file_names,
    help="Where to write; - is standard output. Default: NET.py beside it.",
)
@chosen
@click.option(
    "--emit",
    metavar="STAGE",
    shell_complete=lambda ctx, param, incomplete: [each for each in wdsl.STAGES if each.startswith(incomplete)],
    help=f"Print a stage instead: {', '.join(wdsl.STAGES)}.",
)
@click.option("--force", is_flag=True, help="Write over a file that does not say that wdsl wrote it.")
@click.option("--check", is_flag=True, help="Write nothing; fail with a diff if the file is not what the spec gives.")
@click.option("--watch", is_flag=True, help="Build again whenever the spec or a file that it names changes.")
def build(
    spec: str,
    output: str | None,
    network: str | None,
    root: str | None,
    max_layers: int | None,
    settings: Sequence[tuple[str, Any]],
    emit: str | None,
    force: bool,
    check: bool,
    watch: bool,
) -> None:
    """Writes a network as a Python module.

    The module needs Keras alone. It replaces a file whose docstring says that wdsl wrote it, edited or not; any other
    that is not empty is left alone, unless there is --force.

    \b
    Examples:
      wdsl build net.wnet                    writes net.py
      wdsl build net.wnet -o models/net.py
      wdsl build net.wnet --check            for CI: is net.py up to date?
      wdsl build net.wnet --emit plan        prints the build plan
    """
    if emit is not None and emit not in wdsl.STAGES:
        raise click.BadParameter(f"{emit!r} is none of {', '.join(wdsl.STAGES)}", param_hint="--emit")
    if output is None:
        output = "-" if emit else f"{os.path.splitext(spec)[0]}.py"
    if output != "-" and os.path.realpath(output) == os.path.realpath(spec):
        raise click.UsageError(f"{output} would overwrite the spec")
    if output != "-" and os.path.isdir(output):
        raise click.UsageError(f"{output} is a folder")
    if check and (watch or output == "-"):
        what = "--watch nor --emit" if emit else "--watch nor -o -"
        raise click.UsageError(f"--check compares with a file: it goes with neither {what}")

    last: str | None = None

    def once() -> bool:
        nonlocal last
        net = load(spec, network, root, max_layers, settings)
        if net is None:
            return False
        module = emit is None or emit == "python"
        # What a module does not keep is said by those who ask for one.
        report(in_order([*net.diagnostics, *(net.plan.notes if module or emit == "plan" else ())]))
        text = net.to_python() if module else net.emit(str(emit))
        if check:
            return same(output, text, spec)
        if not (force or output == "-" or may_replace(output, last, text)):
            name = click.format_filename(output)
            raise click.ClickException(f"{name} is there, and does not say that wdsl wrote it; --force replaces it")
        deliver(output, text)
        last = text
        return True

    if watch:
        keep(once, spec, root)
    elif not once():
        sys.exit(PROBLEMS)


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=file_names)
@chosen
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@click.option("--fix", is_flag=True, help="Make the fixes that are safe, in the files themselves; report what is left.")
def check(
    paths: Sequence[str],
    network: str | None,
    root: str | None,
    max_layers: int | None,
    settings: Sequence[tuple[str, Any]],
    form: str,
    strict: bool,
    fix: bool,
) -> None:
    """Says what is wrong with .wnet files.

    A folder stands for all those in it. Text goes to standard error, JSON and SARIF to standard output.
    A fix is safe if nothing else can be meant. Exit status: 0 clean, 1 problems, 2 misuse.

    \b
    Examples:
      wdsl check net.wnet
      wdsl check specs/ --strict
      wdsl check specs/ --fix
      wdsl check specs/ --format sarif > wdsl.sarif
    """
    diagnostics: list[Diagnostic] = []
    fixes = held_back = 0
    for path in specs(paths):
        found = wdsl.check(path, network=network, root=root, max_layers=max_layers, **dict(settings))
        if fix and any(one.fix and one.fix.safe for one in found):
            check_text = partial(
                wdsl.checks,
                filename=path,
                network=network,
                parameters=dict(settings),
                root=root,
                max_layers=max_layers,
            )
            found, made, not_made = mend(path, found, check_text)
            fixes, held_back = fixes + made, held_back + not_made
        diagnostics += found
    diagnostics = list(dict.fromkeys(diagnostics))  # several files may import the one with the problem
    if form == "text":
        report(diagnostics)
    else:
        from wdsl.tools import reports

        say(reports.json(diagnostics) if form == "json" else reports.sarif(diagnostics))
    if fix and (fixes or diagnostics):
        from wdsl.text import rendering

        done = f"made {fixes or 'no'} fix{'es' * (fixes != 1)}"
        done += f"; {held_back} would uncover more errors" if held_back else ""
        click.echo(f"{done}; {rendering.tally(diagnostics) or 'nothing'} left", err=True)
    if has_errors(diagnostics) or (strict and diagnostics):
        sys.exit(PROBLEMS)


@main.command()
@click.argument("code", required=False, shell_complete=code_names)
def explain(code: str | None) -> None:
    """Says what the code of an error or warning means.

    With an example that has it and one that has it no more. Without a code: lists all of them.

    \b
    Examples:
      wdsl explain E0504
      wdsl explain
    """
    from wdsl.tools import explain as texts

    if code is None:
        say(texts.titles())
        return
    known = code.upper()
    if known not in CODES:
        near = nearest(known, CODES)
        also = f"did you mean {near}?" if near else "`wdsl explain` lists them"
        raise click.BadParameter(f"there is no code {code!r}; {also}", param_hint="CODE")
    width = min(texts.WIDTH, shutil.get_terminal_size().columns)
    say(texts.text(known, width, colourful(sys.stdout)))


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=file_names)
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not in canonical form.")
@click.option("--diff", is_flag=True, help="The same, and print what would change.")
def fmt(paths: Sequence[str], check: bool, diff: bool) -> None:
    """Brings .wnet files into their canonical form.

    What they say stays the same, and so do comments. A folder stands for all files in it, - for standard input, whose
    form goes to standard output. A file with syntax errors is left alone.
    Exit status: 0 done, 1 errors, or a file that --check would see changed, 2 misuse.

    \b
    Examples:
      wdsl fmt net.wnet
      wdsl fmt specs/ --check
      wdsl fmt - < net.wnet
    """
    results = [form(path, check, diff) for path in specs(paths)]
    if not all(results):
        sys.exit(PROBLEMS)


def form(path: str, check: bool, diff: bool) -> bool:
    """Whether a file is, or was brought, into its form."""
    name = "standard input" if path == "-" else click.format_filename(path)
    # Standard input may be a pipe, and without an end. A text is refused that is too large, and this one is larger.
    old = sys.stdin.buffer.read(MAX_TEXT + 1) if path == "-" else read(path)
    if isinstance(old, Diagnostic):
        report([old])
        return False
    try:
        text = wdsl.format(old, name)
    except wdsl.WdslError as error:
        report(error.diagnostics)
        return False
    except RuntimeError as error:
        click.echo(f"Error: {error}", err=True)
        return False
    new = text.encode()
    if diff and old != new:
        from difflib import unified_diff

        lines = old.decode().split("\n"), text.split("\n")
        say("\n".join(unified_diff(*lines, name, f"{name} (formatted)", lineterm="")))
    if check or diff:
        if old != new:
            click.echo(f"{name} is not in canonical form", err=True)
        return old == new
    if path == "-":
        say(text.removesuffix("\n").encode() if text else b"")
    elif old != new:
        from wdsl.tools.files import write

        try:
            write(path, text)
        except OSError as error:
            refuse("write", path, error)
        click.echo(f"formatted {name}", err=True)
    return True


@main.command()
@click.argument("spec", metavar="NET.WNET", shell_complete=file_names)
@chosen
def summary(
    spec: str, network: str | None, root: str | None, max_layers: int | None, settings: Sequence[tuple[str, Any]]
) -> None:
    """Lists layers, shapes, parameters and annotations.

    \b
    Examples:
      wdsl summary net.wnet
      wdsl summary net.wnet --set code=64
    """
    net = load(spec, network, root, max_layers, settings)
    if net is None:
        sys.exit(PROBLEMS)
    report(net.diagnostics)
    from wdsl.tools.summary import table

    say(table(net))


@main.command()
@click.argument("model", metavar="MODEL.KERAS", shell_complete=file_names)
@click.option(
    *("-m", "--module", "modules"),
    metavar="NET.PY",
    type=click.Path(exists=True, dir_okay=False),
    multiple=True,
    shell_complete=file_names,
    help="A written module that the model is from, or another that has classes of its layers. It is run.",
)
def verify(model: str, modules: Sequence[str]) -> None:
    """Says whether a saved model is what its annotations promise.

    Every entry that an equation speaks of is held against it, to the bit.
    Exit status: 0 all promises kept, 1 one is broken, 2 misuse.

    \b
    Examples:
      wdsl verify model.keras
      wdsl verify model.keras --module net.py    if net.py has built the model
    """
    try:
        from wdsl.models.archives import bounded

        for module in modules:
            run(module)
        with bounded(model):
            found = wdsl.verify(model)
    except MemoryError:
        raise click.UsageError(
            f"{click.format_filename(model)} takes more memory than a file of its size should; if you trust it, "
            "`wdsl.verify` in Python has no such bound"
        ) from None
    except ValueError as error:
        name = click.format_filename(model)
        if unknown := getattr(error, "name", None):
            raise click.UsageError(
                f"{name} has a layer of class {unknown!r}, which nothing here defines: name the module that does, "
                "with `--module net.py`"
            ) from None
        raise click.UsageError(f"{name} is no model that Keras can load: {error}") from None
    except ImportError:
        raise click.UsageError("models need Keras and TensorFlow: pip install 'wdsl[tensorflow]'") from None
    say(str(found))
    if not found.ok:
        sys.exit(PROBLEMS)


def run(module: str) -> None:
    """Runs a module, so that Keras knows its classes. Raises ImportError where Keras is not there."""
    import runpy

    if isinstance(source := read(module, MAX_BYTES), Diagnostic):
        raise click.UsageError(source.message)
    sys.path.insert(0, os.path.dirname(os.path.abspath(module)))  # as it is for a script
    try:
        runpy.run_path(module)
    except Exception as error:
        if isinstance(error, ImportError) and error.name in ("keras", "tensorflow"):
            raise
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise click.UsageError(f"{click.format_filename(module)} cannot be run: {reason}") from None


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Prints a script that completes wdsl in a shell.

    \b
    Examples:
      wdsl completion bash >> ~/.bashrc
      wdsl completion fish > ~/.config/fish/completions/wdsl.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "wdsl", "_WDSL_COMPLETE").source())


def load(
    path: str, network: str | None, root: str | None, max_layers: int | None, settings: Iterable[tuple[str, Any]]
) -> wdsl.Net | None:
    """The network, or None after its errors are reported."""
    try:
        return wdsl.load(path, network=network, root=root, max_layers=max_layers, **dict(settings))
    except wdsl.WdslError as error:
        report(error.diagnostics)
    return None


def mend(
    path: str, found: tuple[Diagnostic, ...], check: Callable[[str], tuple[Diagnostic, ...]]
) -> tuple[tuple[Diagnostic, ...], int, int]:
    """Writes a file with its safe fixes made. Gives what is then wrong with it, and how many were made and were not."""
    from wdsl.tools import files, fixes

    data = read(path)
    if isinstance(data, Diagnostic):
        return (data,), 0, 0  # it became another file under our eyes
    if isinstance(problem := decode(data, path), Diagnostic):
        return (problem,), 0, 0
    text = data.decode()
    bare = text.removeprefix("\ufeff")
    now = fixes.mend(bare, check)
    not_made = len(fixes.safe(now))
    if not now.applied:
        return found, 0, not_made
    try:
        files.write(path, text[: len(text) - len(bare)] + now.text)
    except OSError as error:
        click.echo(f"cannot write {click.format_filename(path)}: {error.strerror or error}", err=True)
        return found, 0, 0
    return now.diagnostics, now.applied, not_made


def report(diagnostics: Sequence[Diagnostic]) -> None:
    if diagnostics:
        from wdsl.text import rendering

        click.echo(rendering.text(diagnostics, colour=colourful(sys.stderr)), err=True, color=True)


def colourful(stream: TextIO) -> bool:
    """Whether this is a terminal whose user wants colour; see no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def specs(paths: Iterable[str]) -> list[str]:
    """The files meant: a folder stands for the .wnet files in it."""
    files: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            inside = sorted(
                os.path.join(folder, name)
                for folder, _, names in os.walk(path)
                for name in names
                if name.endswith(".wnet")
            )
            if not inside:
                raise click.UsageError(f"there is no .wnet file in {click.format_filename(path)}")
            files += inside
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def say(text: str | bytes) -> None:
    """Writes to standard output, which may be a file on a full disk."""
    try:
        click.echo(text)
    except BrokenPipeError:
        raise  # click ends quietly
    except OSError as error:
        refuse("write", "standard output", error)


def may_replace(output: str, *texts: str | None) -> bool:
    """Whether nobody misses what is in a file: nothing, a module that wdsl wrote, or one of these texts.

    What is no regular file, such as `/dev/stdout`, has no text to miss.
    """
    if not os.path.isfile(output):
        return True
    old = read(output, MAX_BYTES)
    if isinstance(old, Diagnostic):
        report([old])
        return False
    from wdsl.tools.files import says_written

    return not old or old in [each.encode() for each in texts if each is not None] or says_written(old)


def deliver(output: str, text: str) -> None:
    if output == "-":
        say(text.removesuffix("\n").encode())
        return
    from wdsl.tools.files import write

    try:
        write(output, text)
    except OSError as error:
        refuse("write", output, error)
    click.echo(f"wrote {click.format_filename(output)}", err=True)


def same(output: str, text: str, spec: str) -> bool:
    """Whether the file holds `text`; says how it differs if not."""
    name = click.format_filename(output)
    if not os.path.exists(output):
        click.echo(f"{name} does not exist; `wdsl build` writes it", err=True)
        return False
    data = read(output, MAX_BYTES)
    if isinstance(data, Diagnostic):
        report([data])
        return False
    old = data.decode(errors="replace")
    if old != text:
        from difflib import unified_diff

        now = f"{name} (what {click.format_filename(spec)} gives)"
        lines = unified_diff(old.splitlines(), text.splitlines(), name, now, lineterm="")
        click.echo("\n".join(lines))
        click.echo(f"{name} is not what {click.format_filename(spec)} gives; `wdsl build` writes it", err=True)
    return old == text


def refuse(action: str, path: str, error: OSError) -> NoReturn:
    raise click.ClickException(f"cannot {action} {click.format_filename(path)}: {error.strerror or error}") from None


def keep(once: Callable[[], bool], spec: str, root: str | None) -> NoReturn:
    """Builds now and after every change, until interrupted."""
    seen = None
    while True:
        now = stamps(spec, root)
        if now != seen:
            seen = now
            try:
                once()
            except click.ClickException as error:
                error.show()
        time.sleep(POLL)


def stamps(spec: str, root: str | None) -> dict[str, int]:
    """When a spec was changed, and each file that it names, or that one of these names; 0 for one that is not there.

    They are looked for in all strings of a text, since it may be one with errors.
    """
    found = {spec: stamp(spec)}
    queue = [(spec, Files.beside(spec, root))]
    while queue:
        path, files = queue.pop()
        data = read(path)
        if isinstance(data, Diagnostic):
            continue  # whoever builds says what is wrong with it
        for quoted in STRING.findall(data.decode(errors="replace")):
            place = files.find(re.sub(r"\\(.)", r"\1", quoted), Span(Source(path, ""), 0, 0))
            if isinstance(place, str) and place not in found and len(found) < MOST_WATCHED:
                found[place] = stamp(place)
                if place.endswith(".wnet"):
                    queue.append((place, files.beyond(place)))
    return found


def stamp(path: str) -> int:
    """When a file was changed; 0 if it is none."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_mtime_ns if stat.S_ISREG(status.st_mode) else 0
