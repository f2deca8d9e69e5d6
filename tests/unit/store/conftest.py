from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graphroute.store.records import RecordStore
from tests.unit.calls import NOW_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    """A store whose clock stands still; everything is written before the folder goes."""
    kept = RecordStore(tmp_path / "records.sqlite3", clock=lambda: NOW_S)
    yield kept
    kept.flush()
