"""Real servers for live tests, one of each kind for the whole run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from graphroute.providers import llamacpp
from graphroute.providers._packaged import smollm2_path


@contextmanager
def _serving(program: str) -> Iterator[str]:
    """The URL a program prints; the program ends when its input closes."""
    path = Path(__file__).with_name(program)
    with subprocess.Popen(
        [sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), f"{program} did not start"
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def ollama_url() -> Iterator[str]:
    """An Ollama API."""
    with _serving("ollama_front.py") as url:
        yield url


@pytest.fixture(scope="session")
def openai_url() -> Iterator[str]:
    """An OpenAI-compatible endpoint, `…/v1`."""
    with _serving("openai_server.py") as url:
        yield url


@pytest.fixture(scope="session")
def smollm2() -> Iterator[llamacpp.Gguf]:
    """SmolLM2, served from this process while tests use it."""
    yield llamacpp.Gguf(path=smollm2_path(), alias="smollm2", template=llamacpp.TOOLS)
    llamacpp.close()
