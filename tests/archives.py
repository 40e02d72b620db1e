"""Damaged and crafted `.keras` files, drawn from a seed out of one that is in order."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
Members = dict[str, bytes]
EFFECT = "import os; os.mkdir('effect')"


def members_of(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {each: archive.read(each) for each in archive.namelist()}


def packed(members: Members | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, data in members.items() if isinstance(members, dict) else members:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def damaged(real: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """What a bad disk, a broken download or a careless tool leaves: none of it can be loaded."""
    rng = random.Random(1)
    for number in range(count):
        cut = rng.randrange(len(real))
        yield f"cut {number}", real[:cut]
        yield f"begins late {number}", real[cut + 1 :]
        at, length = rng.randrange(len(real) // 2), rng.randrange(200, 2_000)
        inverse = bytes(255 - each for each in real[at : at + length])
        yield f"another piece {number}", real[:at] + inverse + real[at + length :]
        yield f"noise {number}", rng.randbytes(rng.randrange(1, 4_000))
        members = members_of(real)
        name = rng.choice([CONFIG, WEIGHTS])
        yield f"cut member {number}", packed(members | {name: members[name][: rng.randrange(len(members[name]) - 8)]})
        changed = bytearray(members[CONFIG])
        for _ in range(20):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        yield f"flipped bits of {CONFIG} {number}", packed(members | {CONFIG: bytes(changed)})
        flipped = bytearray(real)
        start = real.index(members[WEIGHTS])
        flipped[start + rng.randrange(len(members[WEIGHTS]))] ^= 1 << rng.randrange(8)
        yield f"flipped bit of {WEIGHTS} {number}", bytes(flipped)


def inside_weights(real: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Bits of the HDF5 file are other ones, and the archive says that it is whole: some are those of numbers."""
    rng = random.Random(2)
    members = members_of(real)
    for number in range(count):
        changed = bytearray(members[WEIGHTS])
        for _ in range(rng.choice([1, 4, 40, 400])):
            changed[rng.randrange(min(len(changed), rng.choice([600, 8_000, 10**9])))] = rng.randrange(256)
        yield f"hdf5 {number}", packed(members | {WEIGHTS: bytes(changed)})


def crafted(real: bytes) -> Iterator[tuple[str, bytes]]:
    """What means harm."""
    members = members_of(real)
    config = json.loads(members[CONFIG])

    def of(change: Callable[[Any], Any]) -> bytes:
        other = copy.deepcopy(config)
        got = change(other)
        return packed(members | {CONFIG: json.dumps(other if got is None else got).encode()})

    def layer(class_name: str, module: str | None, inner: Any = None, **more: Any) -> bytes:
        def change(other: Any) -> None:
            other["config"]["layers"][1] |= {
                "class_name": class_name,
                "module": module,
                "registered_name": None,
                **more,
            }
            if inner is not None:
                other["config"]["layers"][1]["config"] |= inner

        return of(change)

    def dense(**inner: Any) -> bytes:
        def change(other: Any) -> None:
            for each in other["config"]["layers"]:
                if "layer" in each["config"]:
                    each["config"]["layer"]["config"] |= inner

        return of(change)

    def weights(write: Callable[[h5py.File], object], compression: int = zipfile.ZIP_STORED) -> bytes:
        file = io.BytesIO(members[WEIGHTS])
        with h5py.File(file, "a") as opened:
            write(opened)
        return packed(members | {WEIGHTS: file.getvalue()}, compression)

    # Archives
    yield "nothing", b""
    yield "an empty archive", packed({})
    yield "text", b"not a model"
    yield "a zip in a zip", packed({"model.keras": real})
    yield "a zip for weights", packed(members | {WEIGHTS: real})
    for name in (CONFIG, METADATA, WEIGHTS):
        yield f"no {name}", packed({each: data for each, data in members.items() if each != name})
        yield f"two {name}", packed([*members.items(), (name, members[name])])
        yield f"empty {name}", packed(members | {name: b""})
        for other in (CONFIG, METADATA, WEIGHTS):
            if other != name:
                yield f"{other} for {name}", packed(members | {name: members[other]})
    for name in (
        "../effect",
        "/effect",
        "assets/../../effect",
        "a\\b",
        "C:effect",
        "assets/\1",
        "x" * 60_000,
        "code.py",
    ):
        yield f"member {name[:20]!r}", packed(members | {name: b"x"})
    yield "many members", packed(members | {f"assets/{number}": b"" for number in range(20_000)})
    for name in (CONFIG, METADATA, WEIGHTS, "assets/a"):
        yield f"bomb {name}", packed(members | {name: bytes(2**27)}, zipfile.ZIP_DEFLATED)
    yield "bzip2", packed(members, zipfile.ZIP_BZIP2)
    yield "lzma", packed(members, zipfile.ZIP_LZMA)
    directory = real.index(b"PK\x01\x02")
    encrypted = bytearray(real)
    encrypted[directory + 8] |= 1
    yield "encrypted", bytes(encrypted)
    for field, value in ((12, 0xFFFFFF00), (16, 0xFFFFFF00), (10, 0), (12, 0)):
        end = bytearray(real)
        struct.pack_into("<I" if field != 10 else "<H", end, real.rindex(b"PK\x05\x06") + field, value)
        yield f"end of directory {field} {value}", bytes(end)
    for field in (20, 24):
        claims = bytearray(real)
        struct.pack_into("<I", claims, directory + field, 0x7FFFFFFF)
        yield f"claimed size {field}", bytes(claims)
    # Configurations
    yield "deep", packed(members | {CONFIG: b"[" * 100_000})
    yield "deep and whole", packed(members | {CONFIG: b'{"class_name": ' * 900 + b"1" + b"}" * 900})
    yield "many values", packed(members | {CONFIG: b"[" + b"[]," * 2_000_000 + b"[]]"})
    yield "not UTF-8", packed(members | {CONFIG: b"\xff" + members[CONFIG]})
    for value in (None, 1, "x", [], {}, [config], {"class_name": 1}, {"class_name": "Functional"}, {"config": {}}):
        yield f"a config of {json.dumps(value)[:30]}", packed(members | {CONFIG: json.dumps(value).encode()})
    code = {"function": {"class_name": "__lambda__", "config": {"value": "4wAAAA", "defaults": None, "closure": None}}}
    yield "a Lambda layer", layer("Lambda", "keras.layers", code)
    yield "a lambda", dense(activation=code["function"])
    yield "a lambda for an initializer", dense(kernel_initializer=code["function"])
    for name, module in (("Popen", "subprocess"), ("system", "os"), ("exec", "builtins"), ("eval", "builtins")):
        yield f"{module}.{name}", layer(name, module, {"args": EFFECT})
        function = {"class_name": "function", "config": name, "module": module, "registered_name": name}
        yield f"function {module}.{name}", dense(activation=function)
    yield "get_file", layer("get_file", "keras.utils", {"origin": "file:///etc/passwd", "fname": "effect"})
    yield "run", layer("run_path", "runpy")
    yield "effect", layer("Effect", "effect")
    yield "unknown", layer("Mine", "my.module", registered_name="mine>Mine")
    yield "TFSMLayer", layer("TFSMLayer", "keras.layers", {"filepath": "."})
    yield "TorchModuleWrapper", layer("TorchModuleWrapper", "keras.layers", {"module": "x"})
    yield "a vocabulary in a file", layer("StringLookup", "keras.layers", {"vocabulary": "/etc/passwd"})
    yield "no layers", of(lambda other: other["config"].update(layers=[]))
    yield "layers that are none", of(lambda other: other["config"].update(layers=[1, None, "x"]))
    yield "an input of its own", of(lambda other: other["config"].update(input_layers=[["a", 0, 0]]))
    for value in (-1, 0, "x", None, 1e300, 2**40, 2**70, 30_000, [5]):
        yield f"units of {value}", dense(units=value)
    yield "huge inputs", of(lambda other: other["config"]["layers"][0]["config"].update(batch_shape=[None, 2**33]))
    yield "a huge batch", of(lambda other: other["config"]["layers"][0]["config"].update(batch_shape=[2**40, 6]))
    for name in ("structures", "structure", "equations"):
        for value in (
            {},
            {"kernel": 1},
            {"kernel": [["Zero", ["Flat", 2**62]]]},
            {"kernel": [["Term"]]},
            [["Zero", 1]],
        ):

            def change(other: Any, name: str = name, value: Any = value) -> None:
                for each in other["config"]["layers"]:
                    if name in each["config"]:
                        each["config"][name] = value

            if of(change) != of(lambda other: None):
                yield f"{name} of {value}", of(change)
    # Weights
    names: list[str] = []
    with h5py.File(io.BytesIO(members[WEIGHTS]), "r") as file:
        file.visititems(lambda name, each: names.append(name) if isinstance(each, h5py.Dataset) else None)

    def instead(name: str, **how: Any) -> Callable[[h5py.File], object]:
        def write(file: h5py.File) -> None:
            del file[name]
            file.create_dataset(name, **how)

        return write

    for name in names[:3]:
        yield f"huge {name}", weights(instead(name, shape=(2**40,), dtype="f4", chunks=(2**20,)))
        yield f"huge {name} with one value", weights(instead(name, shape=(2**15, 2**15), dtype="f4", fillvalue=1.0))
        yield f"{name} of another shape", weights(instead(name, data=np.zeros((3, 3, 3))))
        yield f"{name} of strings", weights(instead(name, data=[b"a", b"b"]))
        yield f"{name} of Python", weights(instead(name, data=["a", "b"], dtype=h5py.string_dtype()))
        yield f"no {name}", weights(lambda file, name=name: file.__delitem__(name))
    first = names[0]

    def link(to: Any) -> Callable[[h5py.File], None]:
        def write(file: h5py.File) -> None:
            del file[first]
            file[first] = to

        return write

    yield "a link to another file", weights(link(h5py.ExternalLink("/etc/passwd", "/")))
    yield "a link to nothing", weights(link(h5py.SoftLink("/nothing")))
    yield "a link to another", weights(link(h5py.SoftLink("/" + names[1])))
    external = {"shape": (6, 6), "dtype": "f4", "external": [("/etc/passwd", 0, 144)]}
    yield "weights in another file", weights(instead(first, **external))
    layout = h5py.VirtualLayout(shape=(6, 6), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(6, 6))
    yield "virtual weights", weights(lambda file: (file.__delitem__(first), file.create_virtual_dataset(first, layout)))
    yield "a circle", weights(lambda file: file.__setitem__("around", file["/"]))
    yield "a gzip bomb", weights(instead(first, data=np.zeros((2**25,), "f4"), chunks=True, compression="gzip"))


def all_of(real: bytes) -> dict[str, bytes]:
    return {**dict(crafted(real)), **dict(damaged(real, 18)), **dict(inside_weights(real, 30))}


# --- what becomes of them, in a process of its own ------------------------------------------------

EFFECTS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "shutil.rmtree", "os.mkdir")


def verify_all(files: list[str]) -> None:
    """Gives a line of JSON for each file: how `wdsl verify` ended, what it said, the most memory, what it touched."""
    import keras
    from click.testing import CliRunner

    import wdsl.runtime  # noqa: F401
    from wdsl.tools.cli import main

    touched: list[str] = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EFFECTS or (event == "open" and "passwd" in str(arguments[0])):
            touched.append(f"{event} {arguments}"[:200])

    sys.addaudithook(listen)
    for file in files:
        keras.backend.clear_session()
        touched.clear()
        Path("/proc/self/clear_refs").write_text("5")  # what follows is the most from here on
        ran = CliRunner().invoke(main, ["verify", file])
        raised = "" if ran.exception is None or isinstance(ran.exception, SystemExit) else repr(ran.exception)
        (most,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        said = [file, ran.exit_code, ran.stdout, ran.stderr, raised, int(most.split()[1]) * 1024, touched]
        print("\n" + json.dumps(said), flush=True)


if __name__ == "__main__":
    verify_all(sys.argv[1:])
