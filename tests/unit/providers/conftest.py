"""Servers that behave as badly as told, on a free loopback port."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(kw_only=True)
class Answer:
    """One answer: `cut_after` bytes of the body are sent, then the connection breaks off."""

    body: bytes | object = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    is_held: bool = False

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(kw_only=True)
class Rude:
    """A server: `answers` by path; what is asked is kept in `asked`."""

    url: str
    answers: dict[str, Answer | Callable[[dict[str, object]], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def rude() -> Iterator[Rude]:
    """A server without answers yet; whatever it is not told about is 404."""
    state = Rude(url="")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base's signature
            """Silent."""

        def do_GET(self) -> None:
            self.respond()

        def do_POST(self) -> None:
            self.respond()

        def respond(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw or b"{}")
            state.asked.append((self.path, self.headers.get("Authorization", ""), body))
            found = state.answers.get(self.path, Answer(status=404))
            answer = found if isinstance(found, Answer) else found(body)
            if answer.is_held:
                state.released.wait(30)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.data)))
            self.end_headers()
            self.wfile.write(answer.data[: answer.cut_after])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_url() -> str:
    """An address where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def answer() -> type[Answer]:
    """The kind of answers `rude` gives."""
    return Answer
