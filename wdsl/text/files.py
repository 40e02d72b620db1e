"""How every file is read that anyone names: a person, or a spec. No more of it than a bound, and nothing is waited for.

Those that a spec names are looked for beside it, and never outside the root.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from wdsl.core.record import Record
from wdsl.text.diagnostics import Diagnostic, Fix, nearest
from wdsl.text.source import Source, Span

MAX_BYTES = 2**28
"""The largest file that is read: 256 MiB, for tables of the largest weights that are solved entry by entry."""

MAX_TEXT = 2**23
"""The largest file of the language, in bytes: 8 MiB. A text of as many words as there may be needs less."""

NEIGHBOURS = 10_000
"""How many names of a folder are compared with the name of a file that is not there."""


class Files(Record):
    """Where a quoted path leads: from `folder` to a file inside `root`, once all links are followed.

    `folder` is None for a text that is in no file. `root` is None if none was given: then `main` is in its place, the
    folder of the file that is compiled. That is None for this file itself, whose folder it is.
    """

    folder: str | None
    root: str | None = None
    main: str | None = None

    @classmethod
    def beside(cls, filename: str, root: str | os.PathLike[str] | None = None) -> Files:
        """What a file of this name may read. A name in angle brackets, as `<string>`, is that of no file."""
        root = None if root is None else os.fspath(root)
        return cls(os.path.dirname(filename) or "." if is_of_file(filename) else root, root)

    def beyond(self, place: str) -> Files:
        """What the file at a place that `find` gave may read in turn: from its own folder, inside the same root."""
        return Files(os.path.dirname(place), self.root, self.folder if self.main is None else self.main)

    def read(self, path: str, span: Span, most: int = MAX_BYTES) -> bytes | Diagnostic:
        """The bytes of the file that `path` leads to, at most so many, or what is wrong with it, said of `span`."""
        found = self.find(path, span)
        # It has no links in it any more. If its last part is one now, that was put there to lead elsewhere.
        return found if isinstance(found, Diagnostic) else _read(found, path, span, most, "O_NOFOLLOW")

    def find(self, path: str, span: Span) -> str | Diagnostic:
        """The one place that `path` leads to, whether or not something is there, or why it may not lead there."""
        if not _is_path(path):
            return Diagnostic("E0602", "this is no path of a file", span)
        if os.path.isabs(path) or os.path.splitdrive(path)[0]:
            return Diagnostic("E0603", f"`{path}` is an absolute path", span, "paths begin at the folder of this file")
        if self.folder is None:
            return Diagnostic(
                "E0602",
                f"`{path}` is not to be found: this text is in no file",
                span,
                "a path begins at the folder of the file that it stands in",
                hint="give the folder with `root=`",
            )
        root = os.path.realpath(next(each for each in (self.root, self.main, self.folder) if each is not None))
        found = os.path.realpath(os.path.join(self.folder, path))
        try:
            inside = os.path.commonpath([root, found]) == root
        except ValueError:  # on another drive
            inside = False
        if not inside:
            where = "the folder of this file" if self.main is None else "the folder of the file that is compiled"
            where = where if self.root is None else f"the root, {self.root}"
            return Diagnostic(
                "E0603",
                f"`{path}` is outside {where}",
                span,
                "what a file names must be inside",
                hint="`--root` or `root=` names a folder further up" if self.root is None else None,
            )
        return found


def read(path: str, most: int = MAX_TEXT) -> bytes | Diagnostic:
    """The bytes of a file that a person names, at most so many, or what is wrong with it."""
    nowhere = Span(Source(path, ""), 0, 0)
    if not _is_path(path):
        return Diagnostic("E0602", "this is no path of a file", nowhere)
    found = _read(path, path, nowhere, most)
    return _for_a_person(found) if isinstance(found, Diagnostic) else found


def is_of_file(filename: str) -> bool:
    """Whether a text of this name is that of a file, and not `<string>` or the like."""
    return _is_path(filename) and not (filename.startswith("<") and filename.endswith(">"))


def decode(data: bytes, name: str) -> str | Diagnostic:
    """The text of a file, or a report on the first byte that is none, or on how many there are."""
    if len(data) > MAX_TEXT:
        return too_large(name)
    try:
        return data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode().removeprefix("\ufeff")
        where = Span(Source(name, good), len(good), len(good))
        message = f"byte {error.start} of the file, 0x{data[error.start]:02x}, is not UTF-8"
        return Diagnostic("E0601", message, where, "it follows here")


def too_large(name: str) -> Diagnostic:
    """The report on a text that is larger than a file of the language may be."""
    return _for_a_person(_too_large(name, Span(Source(name, ""), 0, 0), MAX_TEXT))


def _for_a_person(problem: Diagnostic) -> Diagnostic:
    """A report on a file that no text names, in which something could be labelled or mended."""
    return problem.replace(label="", hint=problem.label or None, fix=None)


def _is_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text) != b""
    except UnicodeEncodeError:
        return False


def _read(place: str, path: str, span: Span, most: int, *flags: str) -> bytes | Diagnostic:
    """The bytes of a file. What is no regular file is not opened: a pipe would block, a device might do anything."""
    try:
        if problem := _refused(os.stat(place), path, span, most):
            return problem
        # Looked at once more when it is open, for it may be another file by then.
        flags = ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK", *flags)
        opened = os.open(place, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
        with open(opened, "rb") as file:
            if problem := _refused(os.fstat(opened), path, span, most):
                return problem
            data = file.read(most + 1)
    except FileNotFoundError:
        return _missing(place, path, span)
    except OSError as error:
        return Diagnostic("E0601", f"`{path}` cannot be read: {error.strerror or error}", span)
    return data if len(data) <= most else _too_large(path, span, most)


def _refused(status: os.stat_result, path: str, span: Span, most: int) -> Diagnostic | None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        return Diagnostic("E0604", f"`{path}` is {what}", span, "a file is needed here")
    return _too_large(path, span, most) if status.st_size > most else None


def _too_large(path: str, span: Span, most: int) -> Diagnostic:
    return Diagnostic("E0604", f"`{path}` is too large", span, f"such a file may have {most:,} bytes")


def _missing(found: str, path: str, span: Span) -> Diagnostic:
    """Nothing is there; a name that is like it is offered."""
    folder, name = os.path.split(os.path.abspath(found))
    stem, ending = os.path.splitext(name)
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, NEIGHBOURS) if entry.name.isprintable())
    except OSError:
        names = []
    # The endings are the same, so they are no reason to think two names alike.
    stems = {each[: -len(ending) or None]: each for each in names if each.lower().endswith(ending.lower())}
    if os.path.islink(found):
        return Diagnostic("E0602", f"`{path}` is a link to nothing", span)
    near = nearest(stem, stems)
    if near is None or os.path.basename(path) != name:
        return Diagnostic("E0602", f"there is no file `{path}`", span)
    better = path.removesuffix(name) + stems[near]
    quoted = '"' + better.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Diagnostic("E0602", f"there is no file `{path}`", span, f"did you mean `{better}`?", fix=Fix(span, quoted))
