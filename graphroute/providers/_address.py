"""Where a model is called: is that address this machine, and where does Ollama listen?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

OLLAMA_PORT: Final = 11434


def is_loopback(address: str) -> bool:
    """Whether a URL or `host:port` can only mean this machine; no name is looked up.

    >>> [is_loopback(a) for a in ("http://127.0.0.1:8000/v1", "[::1]:80", "localhost", "10.0.0.1")]
    [True, True, True, False]
    """
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def ollama_url(host: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The base URL of an Ollama server from a `host` in any form OLLAMA_HOST may have.

    A server told to listen on every address (0.0.0.0) is reached at the loopback.

    >>> ollama_url("0.0.0.0"), ollama_url("box:80"), ollama_url("https://box", {})
    ('http://127.0.0.1:11434', 'http://box:80', 'https://box:443')
    >>> ollama_url(None, {"OLLAMA_HOST": "[::]:1234"})
    'http://[::1]:1234'
    """
    text = (host or environ.get("OLLAMA_HOST", "")).strip().strip("\"'")
    parts = urlsplit(text if "//" in text else f"http://{text}")
    scheme = parts.scheme or "http"
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        # Ollama's own rule: a URL with a scheme has that scheme's port, a bare host its own.
        port = {"http": 80, "https": 443}.get(scheme, OLLAMA_PORT) if "//" in text else OLLAMA_PORT
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(
        parts.hostname or "", parts.hostname or ""
    )
    place = f"[{name}]" if ":" in name else name
    return f"{scheme}://{place}:{port}{parts.path.rstrip('/')}"
