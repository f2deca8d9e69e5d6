from __future__ import annotations

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """A port of the loopback where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
