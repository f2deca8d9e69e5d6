"""For every test and doctest: nothing is written into the folders of the user who runs them.

Each test has a data folder of its own, as plans learn from what earlier runs left there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

_KEY = "GRAPHROUTE_HOME"
_folder = ""
_before: str | None = None


def pytest_configure() -> None:
    """A data folder of its own for each process of the run."""
    global _folder, _before
    _before = os.environ.get(_KEY)
    _folder = tempfile.mkdtemp(prefix="graphroute-tests-")
    os.environ[_KEY] = _folder


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    os.environ[_KEY] = tempfile.mkdtemp(dir=_folder)
    yield
    os.environ[_KEY] = _folder


def pytest_unconfigure() -> None:
    """Delete it, and leave the environment as it was."""
    from graphroute.store import background

    # What is still queued would be written after the folder is gone, and make it anew.
    background.flush_all()
    shutil.rmtree(_folder, ignore_errors=True)
    if _before is None:
        os.environ.pop(_KEY, None)
    else:
        os.environ[_KEY] = _before
