"""Hostile and broken text, for as long as one likes: `make fuzz` does it for an hour.

    python -m tests.fuzz.run --seconds 3600 --out build/fuzz

Atheris chooses what to change next by what it led to in the code; where it is not installed, chance does. Each text is
held against `oracles.examine`, with limits of time and memory. What breaks a promise is written to OUT/found, once for
each place in the code, and what was tried to OUT/numbers.json. Exit status 1 says that something was found.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NoReturn

LIMIT = 60.0
"""Seconds of processor time that all that is done with one text may take: it is checked a dozen times or more, by code
that Atheris has made a few times slower. How long one command takes by itself is measured at the end."""

ROOM = 500 * 1024
"""KiB by which the process may grow for it."""

LONGEST = 16_384
KEPT = 12
"""How many of the slowest and of the largest texts are kept, and measured anew at the end, each in a fresh process."""

WORST = ("seconds", "kib")
EVERY = 25


class TooLong(BaseException):
    """The time is over. It is no Exception, so that nothing takes it for one of its own."""


class Numbers:
    """What was tried so far; it outlives the process that counts."""

    def __init__(self, out: Path) -> None:
        self.out = out
        file = out / "numbers.json"
        self.data: dict[str, Any] = {"texts": 0, "compiled": 0, "seconds": 0.0, "found": {}, "worst": {}, "starts": 0}
        if file.exists():
            self.data = json.loads(file.read_text())

    def save(self) -> None:
        beside = self.out / "numbers.tmp"
        beside.write_text(json.dumps(self.data, indent=1))
        beside.replace(self.out / "numbers.json")

    def found(self, what: str, report: str, data: bytes) -> None:
        known = what in self.data["found"]
        self.data["found"][what] = self.data["found"].get(what, 0) + 1
        if not known:
            name = hashlib.sha1(what.encode()).hexdigest()[:10]
            (self.out / "found" / f"{name}.wnet").write_bytes(data)
            (self.out / "found" / f"{name}.txt").write_text(f"{what}\n\n{report}", errors="backslashreplace")
            print(f"FOUND {name}: {what}", flush=True)
            self.save()

    def measured(self, kind: str, value: float, data: bytes) -> None:
        """Keep a text if it is among the worst of its kind."""
        worst = self.data["worst"].setdefault(kind, [])
        if len(worst) == KEPT and value <= worst[-1][0]:
            return
        name = hashlib.sha1(data).hexdigest()[:16]
        if any(each[1] == name for each in worst):
            return
        (self.out / "worst" / name).write_bytes(data)
        worst.append([value, name])
        worst.sort(reverse=True)
        del worst[KEPT:]


def memory(line: str) -> int:
    """`VmRSS`, what the process has, or `VmHWM`, the most that it had since that was last forgotten, in KiB."""
    with open("/proc/self/status") as status:
        return next(int(each.split()[1]) for each in status if each.startswith(line))


def forget_the_most() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def over(*_: Any) -> NoReturn:
    raise TooLong


def child(out: Path, seconds: float, seed: int, with_atheris: bool) -> None:
    """Try texts until the time is over."""
    ended = time.monotonic() + seconds
    if with_atheris:
        import atheris

        with atheris.instrument_imports(include=["wdsl"]):
            from tests.fuzz import oracles, texts
    else:
        from tests.fuzz import oracles, texts

    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
    signal.signal(signal.SIGVTALRM, over)
    numbers = Numbers(out)
    numbers.data["starts"] += 1
    now = out / "now"
    others, dictionary = texts.corpus(), texts.words()
    started = time.monotonic()

    def look(data: bytes) -> None:
        now.write_bytes(data)
        counts = numbers.data
        forget_the_most()
        before, begun = memory("VmRSS"), time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
        try:
            counts["compiled"] += oracles.examine_bytes(data)
        except TooLong:
            numbers.found(f"too long: {place_of(TooLong, '')}", traceback.format_exc(), data)
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            numbers.found(what(error), traceback.format_exc(), data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        counts["texts"] += 1
        grown = memory("VmHWM") - before
        numbers.measured("seconds", round(time.process_time() - begun, 2), data)
        numbers.measured("kib", grown, data)
        if grown > ROOM:
            numbers.found("too large", f"{grown} KiB", data)
        if counts["texts"] % EVERY == 0:
            nonlocal started
            if counts["texts"] % (40 * EVERY) == 0:
                print(
                    f"{counts['texts']} texts, {counts['compiled']} compile, {len(counts['found'])} found", flush=True
                )
            counts["seconds"] += time.monotonic() - started
            started = time.monotonic()
            counts["resident"] = memory("VmRSS")
            numbers.save()
        if time.monotonic() > ended:
            numbers.save()
            print("over", flush=True)
            os._exit(0)

    def another(data: bytes, random: Random, mutate: Any = None) -> bytes:
        chance = random.random()
        if chance < 0.08:
            text = texts.program(random)
        elif chance < 0.2 and mutate is not None:
            return bytes(mutate(data, LONGEST))
        else:
            text = data.decode("utf-8", "replace")
        text = texts.changed(text, random, others, dictionary)
        return text.encode("utf-8", "replace")[:LONGEST]

    with tempfile.TemporaryDirectory() as folder, oracles.place(Path(folder)):
        for number, text in enumerate(others):
            (out / "corpus" / f"seed-{number}").write_text(text, newline="")
        if not with_atheris:
            random = Random(seed)
            while True:
                look(another(random.choice(others).encode(), random))
        arguments = [sys.argv[0], str(out / "corpus"), f"-seed={seed}", f"-max_len={LONGEST}", "-timeout=600"]
        arguments += [
            "-rss_limit_mb=0",
            "-len_control=0",
            "-mutate_depth=1",
            "-verbosity=0",
            f"-artifact_prefix={out}/killed-",
        ]
        atheris.Setup(
            arguments,
            look,
            custom_mutator=lambda data, size, seed: another(data, Random(seed), atheris.Mutate)[:size],
        )
        atheris.Fuzz()


def place_of(kind: type[BaseException], message: str) -> str:
    """Where in wdsl, or else in what it is held against, something was raised."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    inner = [each for each in frames if "/wdsl/" in each.filename] or frames
    return f"{Path(inner[-1].filename).name}:{inner[-1].name}"


def what(error: BaseException) -> str:
    """What is the same of one mistake that many texts show."""
    message = re.sub(r"""`[^`]*`|'[^']*'|"[^"]*"|\d+""", "_", str(error).strip().partition("\n")[0])[:100]
    frames = traceback.extract_tb(error.__traceback__)
    asked = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__} at {asked} in {place_of(type(error), message)}: {message}"


def fresh(out: Path, command: str, data: bytes) -> tuple[float, int, int]:
    """Seconds of processor time, KiB at most, and the exit status of a command on a text, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.wnet"
        path.write_bytes(data)
        options = ["-o", os.devnull] if command == "build" else []
        process = subprocess.Popen(
            [sys.executable, "-m", "wdsl", command, str(path), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        _, status, usage = os.wait4(process.pid, 0)
        return round(usage.ru_utime + usage.ru_stime, 2), usage.ru_maxrss, os.waitstatus_to_exitcode(status)


def measured_anew(out: Path, numbers: Numbers) -> Iterator[tuple[str, str, float, int, int]]:
    """What the worst texts take when nothing watches: `check`, `fmt --check` and `build` of each."""
    names = dict.fromkeys(name for kind in WORST for _, name in numbers.data["worst"].get(kind, []))
    for name in names:
        for command in ("check", "fmt", "build"):
            yield name, command, *fresh(out, command, (out / "worst" / name).read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--by-chance", action="store_true", help="without Atheris, though it is installed")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    out = given.out.resolve()
    try:
        import atheris  # noqa: F401

        with_atheris = not given.by_chance
    except ImportError:
        with_atheris = False
    if given.child:
        child(out, given.seconds, given.seed, with_atheris)
        return
    for folder in ("found", "worst", "corpus"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + given.seconds
    seed = given.seed
    while (left := ends - time.monotonic()) > 1:
        # A process that is killed, for an endless loop in C say, is followed by another.
        command = [sys.executable, "-m", "tests.fuzz.run", "--child", "--out", str(out)]
        command += ["--seconds", str(left), "--seed", str(seed), *(["--by-chance"] if given.by_chance else [])]
        status = subprocess.run(command, check=False).returncode
        if status:
            numbers = Numbers(out)
            data = (out / "now").read_bytes() if (out / "now").exists() else b""
            numbers.found(f"the process ended with {status}", "", data)
            numbers.save()
        seed += 1
    numbers = Numbers(out)
    numbers.data["with"] = "atheris" if with_atheris else "chance"
    numbers.data["alone"] = list(measured_anew(out, numbers))
    numbers.save()
    data = numbers.data
    print(f"{data['texts']} texts, {data['compiled']} of which compile, in {data['seconds']:.0f} s")
    for kind, name in ((2, "seconds"), (3, "KiB")):
        print("worst, in a process of its own:", max(data["alone"], key=lambda each, at=kind: each[at])[kind], name)
    print(f"{len(data['found'])} things found: {out / 'found'}")
    sys.exit(bool(data["found"]))


if __name__ == "__main__":
    main()
