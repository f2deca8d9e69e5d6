"""Finished pieces of an evaluation, kept on disk so that one that was cut off goes on.

A piece is what one fit predicts for the prompts it did not see. Its name is a hash of all that it
depends on: the outcomes it learned from, the prompts, the scorer with its options and its source,
the seed. So another file, option or version never finds a piece that is not its own. Each file is
written whole or not at all; one that cannot be read is computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.ir.whole_file import write_whole
from graphroute.protocols import Outcomes, PromptScorer

_NUMERIC: Final = ("numpy", "torch")
"""Packages whose version may change the last digits of what is learned."""


class Cells:
    """Arrays by name in a folder; `folder=None` keeps nothing.

    >>> kept = Cells(None)
    >>> kept.of("a name", lambda: np.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.found = 0

    def of(self, name: str, compute: Callable[[], Floats]) -> Floats:
        """The array kept under this name, else what `compute` gives, which is then kept."""
        kept = self._read(name)
        if kept is not None:
            self.found += 1
            return kept
        made = np.asarray(compute(), dtype=np.float64)
        self._write(name, made)
        return made

    def _read(self, name: str) -> Floats | None:
        if self._folder is None:
            return None
        try:
            found = np.load(self._folder / f"{name}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        is_whole = isinstance(found, np.ndarray) and found.dtype == np.float64
        return found if is_whole else None

    def _write(self, name: str, made: Floats) -> None:
        if self._folder is None:
            return
        buffer = io.BytesIO()
        np.save(buffer, made, allow_pickle=False)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{name}.npy", buffer.getvalue())
        except OSError as error:
            raise InvalidValue(
                f"cannot keep finished parts in {str(self._folder)!r} ({error.strerror})",
                path=str(self._folder),
                next_step="give --state a folder that may be written",
            ) from None


def name_of(
    scorer: PromptScorer, learned_from: Outcomes | None, prompts: Sequence[str], **facts: object
) -> str:
    """The name of what `scorer`, fitted on these outcomes, predicts for these prompts."""
    digest = hashlib.sha256(
        json.dumps([_told(scorer), facts], sort_keys=True, default=str).encode()
    )
    for part in (*_source(scorer), *_texts(prompts)):
        digest.update(part)
    if learned_from is not None:
        for part in _texts((*learned_from.models, *learned_from.prompts)):
            digest.update(part)
        digest.update(np.ascontiguousarray(learned_from.correct).tobytes())
    return digest.hexdigest()[:40]


def _told(scorer: PromptScorer) -> object:
    describe = getattr(scorer, "describe", None)
    return [type(scorer).__qualname__, describe() if describe is not None else scorer.name]


def _source(scorer: PromptScorer) -> Iterator[bytes]:
    """The code that the scorer's figures depend on: its file, with its neighbours if it is ours."""
    for package in _NUMERIC:
        if find_spec(package) is not None:
            try:
                yield f"{package} {version(package)}".encode()
            except PackageNotFoundError:
                continue
    module = sys.modules.get(type(scorer).__module__)
    file = getattr(module, "__file__", None)
    if file is None:
        return
    is_ours = type(scorer).__module__.startswith("graphroute.")
    for path in sorted(Path(file).parent.glob("*.py")) if is_ours else (Path(file),):
        yield path.read_bytes()


def _texts(texts: Sequence[str]) -> Iterator[bytes]:
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        # With its length, so that two texts are never one.
        yield len(raw).to_bytes(8, "big")
        yield raw
