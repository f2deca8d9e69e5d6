from __future__ import annotations

from collections.abc import Iterator

import pytest

from graphroute.runtime import hook


@pytest.fixture(autouse=True)
def _hook() -> Iterator[None]:
    """Each test starts without the hook (plain runs are plain) and leaves LangChain as it was."""
    hook.remove()
    yield
    assert hook.remove()
