"""The files that a spec names: looked for beside it, never outside the root, and never waited for."""

from __future__ import annotations

import os
import stat
from itertools import islice

from wdsl.core.record import Record
from wdsl.text.diagnostics import Diagnostic, Fix, nearest
from wdsl.text.source import Source, Span

MAX_BYTES = 2**28
"""The largest file that is read: 256 MiB."""

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

    def read(self, path: str, span: Span) -> bytes | Diagnostic:
        """The bytes of the file that `path` leads to, or what is wrong with it, said of `span`."""
        found = self.find(path, span)
        if isinstance(found, Diagnostic):
            return found
        try:
            return _read(found, path, span)
        except FileNotFoundError:
            return _missing(found, path, span)
        except OSError as error:
            return Diagnostic("E0601", f"`{path}` cannot be read: {error.strerror or error}", span)

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


def is_of_file(filename: str) -> bool:
    """Whether a text of this name is that of a file, and not `<string>` or the like."""
    return _is_path(filename) and not (filename.startswith("<") and filename.endswith(">"))


def decode(data: bytes, name: str) -> str | Diagnostic:
    """The text of a file, or a report on the first byte that is none."""
    try:
        return data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode().removeprefix("\ufeff")
        where = Span(Source(name, good), len(good), len(good))
        message = f"byte {error.start} of the file, 0x{data[error.start]:02x}, is not UTF-8"
        return Diagnostic("E0601", message, where, "it follows here")


def _is_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text) != b""
    except UnicodeEncodeError:
        return False


def _read(found: str, path: str, span: Span) -> bytes | Diagnostic:
    """The bytes of a file. What is no regular file is not opened: a pipe would block, a device might do anything."""
    if problem := _refused(os.stat(found), path, span):
        return problem
    # Looked at once more when it is open, for it may be another file by then.
    flags = ("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
    opened = os.open(found, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    with open(opened, "rb") as file:
        if problem := _refused(os.fstat(opened), path, span):
            return problem
        data = file.read(MAX_BYTES + 1)
    return data if len(data) <= MAX_BYTES else _too_large(path, span)


def _refused(status: os.stat_result, path: str, span: Span) -> Diagnostic | None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        return Diagnostic("E0604", f"`{path}` is {what}", span, "a file is needed here")
    return _too_large(path, span) if status.st_size > MAX_BYTES else None


def _too_large(path: str, span: Span) -> Diagnostic:
    return Diagnostic("E0604", f"`{path}` is too large", span, f"a file may have {MAX_BYTES:,} bytes")


def _missing(found: str, path: str, span: Span) -> Diagnostic:
    """Nothing is there; a name that is like it is offered."""
    folder, name = os.path.split(found)
    stem, ending = os.path.splitext(name)
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, NEIGHBOURS) if entry.name.isprintable())
    except OSError:
        names = []
    # The endings are the same, so they are no reason to think two names alike.
    stems = {each[: -len(ending) or None]: each for each in names if each.lower().endswith(ending.lower())}
    near = nearest(stem, stems)
    if near is None or os.path.basename(path) != name:
        return Diagnostic("E0602", f"there is no file `{path}`", span)
    better = path.removesuffix(name) + stems[near]
    quoted = '"' + better.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Diagnostic("E0602", f"there is no file `{path}`", span, f"did you mean `{better}`?", fix=Fix(span, quoted))
