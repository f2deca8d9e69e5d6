from __future__ import annotations

from collections.abc import Iterator

import pytest

from graphroute.runtime import hook


@pytest.fixture(autouse=True)
def _hook() -> Iterator[None]:
    """Each test starts with the hook in place and leaves LangChain as it was."""
    hook.install()
    yield
    assert hook.remove()
