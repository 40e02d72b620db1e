"""Saved models from anywhere: what a `.keras` file holds is bounded and looked at before Keras reads it.

Such a file is a zip archive of a configuration, which says which classes to make with which arguments, and of an HDF5
file of weights. Either may be damaged, or made to take all memory, to read other files or to run code.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ASSETS = re.compile(r"assets/(?:[\w.-]+/)*[\w.-]*")

MAX_MEMBERS = 10_000
MAX_DIRECTORY = 2**22
"""Bytes of the list of members."""
MAX_CONFIG = 2**25
"""Bytes of a configuration. Tables of masks are in it."""
MAX_VALUES = 500_000
"""Values in a configuration. Each takes a hundred bytes or so when it is read."""
ROOM = 2**26
"""Bytes that compressed members, or arrays with fill values, may come to in an archive however small."""
MOST_TIMES = 4
"""How many times the bytes of the archive they may come to if that is more."""
MOST_MEMORY = 2**30 - 2**25
TIMES_THE_FILE = 16
"""A model is held several times while it is loaded and each entry looked at."""
MAX_OBJECTS = 200_000
"""Groups and arrays of an HDF5 file."""

TENSORS = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
RUN_CODE = frozenset({"__lambda__", "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Classes of Keras that carry code, of Python or of a graph."""


def load(path: str | os.PathLike[str]) -> Any:
    """The model in a `.keras` file. Raises ValueError, with a sentence, if there is none or Keras is not to read it."""
    import keras  # noqa: TID251

    check(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a configuration of wrong values leads to
        raise refusal(error) from None


def refusal(error: Exception) -> Exception:
    """What to say of a model that led to an error: MemoryError or ValueError, with a sentence of one line."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
        return MemoryError("it takes too much memory")
    # Keras says first that something could not be made, then of what, and at last why.
    said = str(error).rpartition("Exception encountered: ")[2]
    line = next((line.strip() for line in said.splitlines() if line.strip()), "")
    is_sentence = isinstance(error, ValueError) or said != str(error)
    return ValueError((line if is_sentence and line else f"{type(error).__name__}: {line}")[:300])


@contextmanager
def bounded(path: str | os.PathLike[str]) -> Iterator[None]:
    """Bounds the memory of this process while it does something with a model: 1 GiB, and more if the file is large.

    A small file can ask for layers of any size, and no look at its configuration tells of which. Beyond the bound there
    is a MemoryError, or TensorFlow's own. Systems other than Linux know no such bound.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    import keras  # noqa: TID251

    keras.ops.zeros(1) + 1  # the threads that TensorFlow starts have room of their own
    with open("/proc/self/status") as file:
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in map(_halves, file) if name in ("VmData", "VmRSS")}
    if kilobytes["VmRSS"] * 2**10 > MOST_MEMORY - 4 * ROOM:
        yield  # this is no command's own process: what else it holds, and gives back, is not known here
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    room = max(MOST_MEMORY - kilobytes["VmRSS"] * 2**10, ROOM) + TIMES_THE_FILE * _size(path)
    most = kilobytes["VmData"] * 2**10 + room
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _halves(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _size(path: str | os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0  # whoever reads it says what is wrong


def check(path: str | os.PathLike[str]) -> None:
    """Raise ValueError, with a sentence, unless this is a `.keras` file that Keras may read."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is a pipe, a socket or a device")
        if not os.fspath(path).endswith(".keras"):
            raise ValueError("its name does not end in `.keras`")
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with _Opening(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise ValueError("it is no file any more")
            _check(file, status.st_size)
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from None


class _Opening(io.FileIO):
    """A file of which not much is read in one go while `most` says so: the list of members is as long as it claims."""

    most: int | None = MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> Any:
        if self.most is not None and size is not None and size > self.most:
            raise ValueError("it is a zip archive of too many members")
        return super().read(size)


def _check(file: _Opening, size: int) -> None:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OverflowError):
        raise ValueError("it is no zip archive, or a damaged one") from None
    file.most = None
    most = max(ROOM, MOST_TIMES * size)
    with archive:
        members = _members(archive, most)
        for member in members.values():
            _read_through(archive, member)
        config = _parsed(archive, members[CONFIG])
        metadata = _parsed(archive, members[METADATA])
        if not isinstance(metadata, dict) or "keras_version" not in metadata:
            raise ValueError("it does not say of which Keras it is")
        if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
            raise ValueError("its configuration is not that of a model")
        for each in _objects(config):
            _check_object(each)
        with archive.open(members[WEIGHTS]) as weights:
            # What is compressed would be read from its beginning again and again.
            is_stored = members[WEIGHTS].compress_type == zipfile.ZIP_STORED
            _check_weights(weights if is_stored else io.BytesIO(weights.read()), most)


def _members(archive: zipfile.ZipFile, most: int) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    listed = archive.infolist()
    if len(listed) > MAX_MEMBERS:
        raise ValueError("it is a zip archive of too many members")
    for member in listed:
        name = member.filename
        if name in found:
            raise ValueError(f"it has two members {name!r:.100}")
        if name not in (CONFIG, METADATA, WEIGHTS) and (not ASSETS.fullmatch(name) or ".." in name.split("/")):
            raise ValueError(f"it has a member {name!r:.100}, which Keras does not write")
        if member.flag_bits & 0x1:
            raise ValueError("it is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is compressed in a way that Keras does not write")
        if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
            raise ValueError(f"it is damaged: its member {name!r:.100} is said to have two sizes")
        found[name] = member
    if missing := [name for name in (CONFIG, METADATA, WEIGHTS) if name not in found]:
        raise ValueError(f"it has no member {missing[0]!r}")
    if sum(member.file_size for member in listed) > most:
        raise ValueError("what is compressed in it is too large")
    return found


def _read_through(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise ValueError unless the bytes of a member are those that were put into it."""
    import zlib

    try:
        with archive.open(member) as file:
            while file.read(2**20):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError):
        raise ValueError(f"it is damaged: its member {member.filename!r:.100} cannot be read") from None


def _parsed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    with archive.open(member) as file:
        data = file.read(MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG or sum(map(data.count, (b",", b":", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"its member {member.filename!r} is too large")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError(f"its member {member.filename!r} is no JSON, or nests too deeply") from None


def _objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """All that a configuration asks to be made."""
    waiting = [config]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if "class_name" in each:
                yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _check_object(config: Mapping[str, Any]) -> None:
    import keras  # noqa: TID251

    name, module, registered = (config.get(key) for key in ("class_name", "module", "registered_name"))
    if not all(isinstance(each, str | None) for each in (name, module, registered)):
        raise ValueError("its configuration has a class whose name is none")
    if name in TENSORS:
        return
    if name in RUN_CODE:
        raise ValueError(f"it has a {name!r}, which carries code, and code of others is not run")
    if keras.saving.get_registered_object(registered or name) is not None:
        return
    if module is not None and module != "builtins" and module.partition(".")[0] != "keras":
        raise Unknown(name)
    inner = config.get("config")
    if isinstance(inner, dict) and any(isinstance(inner.get(key), str) for key in ("vocabulary", "idf_weights")):
        raise ValueError(f"its {name!r} names another file, which is not read")


class Unknown(ValueError):
    """A model has a layer of a class that nothing defines."""

    def __init__(self, name: Any) -> None:
        super().__init__(f"it has an object of class {name!r:.100}, which nothing here defines")
        self.name = name


def _check_weights(file: IO[bytes], most: int) -> None:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            _check_arrays(opened, most)
    except ValueError:
        raise
    except Exception:  # h5py has one for each mishap of the HDF5 library
        raise ValueError("its weights are no HDF5 file, or a damaged one") from None


def _check_arrays(opened: Any, most: int) -> None:
    import h5py

    waiting, total = [opened], 0
    seen: set[int] = set()
    while waiting:
        group = waiting.pop()
        for name in group:
            if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                raise ValueError("its weights lead to another file or place")
            each = group[name]
            place = h5py.h5o.get_info(each.id).addr
            if place in seen or len(seen) > MAX_OBJECTS:
                raise ValueError("its weights are in a circle, or too many")
            seen.add(place)
            if isinstance(each, h5py.Group):
                waiting.append(each)
                continue
            if not isinstance(each, h5py.Dataset) or each.external or each.is_virtual or each.dtype.hasobject:
                raise ValueError("its weights are not those that Keras writes")
            total += math.prod(each.shape or ()) * each.dtype.itemsize
            if total > most:
                raise ValueError("its weights are said to be larger than they are")
