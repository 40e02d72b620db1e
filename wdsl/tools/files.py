"""Files that appear whole or not at all, and whose they are."""

from __future__ import annotations

import io
import os
import stat


def says_written(data: bytes) -> bool:
    """Whether a Python module says in its docstring that wdsl wrote it, whatever was changed in it since."""
    import tokenize

    try:
        tokens = tokenize.tokenize(io.BytesIO(data).readline)
        passed = (tokenize.ENCODING, tokenize.COMMENT, tokenize.NL)
        first = next(token for token in tokens if token.type not in passed)
    except (SyntaxError, tokenize.TokenError, StopIteration):
        return False
    lines = first.string.splitlines() if first.type == tokenize.STRING else []
    return any(line.lstrip("\"' ").startswith("Written by wdsl from ") for line in lines)


def write(path: str, text: str) -> None:
    """Puts `text` in the file at `path`; who reads it meanwhile sees the old text or the new, never a part.

    The text is written beside the file and renamed. Links are followed, and a file's permissions kept. What
    is no regular file, such as `/dev/stdout`, is written to as it stands.
    """
    data = text.encode()
    target = os.path.realpath(path)
    mode = os.stat(target).st_mode if os.path.exists(target) else None
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as file:
            file.write(data)
        return
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, os.strerror(13), path)
    beside = f"{target}.{os.getpid()}.tmp"
    try:
        with open(beside, "xb") as file:
            file.write(data)
        if mode is not None:
            os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, target)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
