"""Epochs of a training that are done, kept so that one that was cut off goes on with the next.

What is kept is plain arrays, never pickles, under a name that is a hash of all that the training
depends on. A file is written whole or not at all; one that cannot be read counts as absent.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.whole_file import write_whole
from graphroute.protocols import Outcomes

Arrays = Mapping[str, NDArray[Any]]


class Checkpoints:
    """The last finished epoch of each training; `folder=None` keeps nothing.

    >>> Checkpoints(None).read("a name") is None
    True
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, name: str) -> Arrays | None:
        """What was kept last under this name."""
        if self._folder is None:
            return None
        try:
            with np.load(self._folder / f"{name}.npz", allow_pickle=False) as found:
                return {key: found[key] for key in found.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def write(self, name: str, arrays: Arrays) -> None:
        """Keep this instead of what was kept before."""
        if self._folder is None:
            return
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **dict(arrays))
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"{name}.npz", buffer.getvalue())


def training_name(data: Outcomes, **facts: object) -> str:
    """The name of a training on these outcomes; facts: family, options, seed."""
    digest = hashlib.sha256(json.dumps([facts, data.models, data.prompts]).encode())
    digest.update(np.ascontiguousarray(data.correct).tobytes())
    return digest.hexdigest()[:40]
