"""Commands of the command line in processes of their own, which need not import it: they are split off from one that
has. What starts anew for every command imports wdsl for 0.4 seconds, and there are hundreds of them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class Ran(NamedTuple):
    """What became of a process: how it ended, the exit statuses of its commands, what they wrote, the most memory."""

    ended: int
    statuses: list[int]
    out: str
    said: str
    bytes: int


def run(folder: Path, commands: list[list[str]], seconds: int = 60) -> Ran:
    """Run commands one after the other in one new process, which the system ends after so much processor time."""
    with tempfile.TemporaryDirectory() as results:
        process = _first()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([str(folder), commands, seconds, results]) + "\n")
        process.stdin.flush()
        ended = int(process.stdout.readline())
        out, said = (Path(results, name).read_bytes().decode(errors="surrogateescape") for name in ("stdout", "stderr"))
        result = Path(results, "result")
        statuses, most = json.loads(result.read_bytes()) if result.exists() else ([], 0)
        return Ran(ended, statuses, out, said, most)


@cache
def _first() -> subprocess.Popen[str]:
    """The process that the others are split off from. It ends with its standard input."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.processes"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


# --- there ----------------------------------------------------------------------------------------


def serve() -> None:
    import wdsl.tools.cli  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                _obey(*json.loads(line))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _obey(folder: str, commands: list[list[str]], seconds: int, results: str) -> None:
    from wdsl.tools.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(results, name), os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    signal.alarm(20 * seconds)  # for one that waits
    statuses: list[Any] = []
    for command in commands:
        try:
            main(command)
        except SystemExit as end:
            statuses.append(end.code)
    sys.stdout.flush()
    sys.stderr.flush()
    Path(results, "result").write_text(json.dumps([statuses, _most()]))


def _most() -> int:
    """The most memory that this process has had, in bytes."""
    try:  # what getrusage says begins, on Linux, with the memory of the process that started this one
        status = Path("/proc/self/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    serve()
