"""A file that is written whole or not at all: a reader sees the old content or the new one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(
    path: Path, content: bytes, *, is_private: bool = False, is_synced: bool = False
) -> None:
    """Write `content` to `path` in one step; its folder must be there; `OSError` leaves no trace.

    is_private: only this user may read it; else whom the process's mask allows
    is_synced: it is on the disk when this returns, also if the machine loses power then

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "a.txt"), b"text")
    ...     os.listdir(folder)
    ['a.txt']
    """
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        if not is_private:
            # What mkstemp makes is its owner's alone.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(draft, 0o666 & ~mask)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
