"""A server that speaks OpenAI's Batch API, on a free loopback port; batches end when told to."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[Mapping[str, Any]], Any]
"""From a call's body to its answer's text; an int is an error's status, None no line at all."""


def echo(body: Mapping[str, Any]) -> str:
    """Answers with the last message in capitals."""
    return str(body["messages"][-1]["content"]).upper()


@dataclass(kw_only=True)
class BatchServer:
    """Its state: `asked` are the requests, `batches` those handed in, `is_done` lets them end.

    fails: the next requests that fail, with their status
    status: how a batch ends; swallows: a batch is made, but its answer does not arrive
    """

    url: str = ""
    answer: Answer = echo
    asked: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_done: bool = True
    status: str = "completed"
    fails: list[int] = field(default_factory=list)
    swallows: bool = False
    alone: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def respond(self, method: str, path: str, raw: bytes) -> tuple[int, Any]:
        """Status, and a body of JSON or of text."""
        self.asked.append(f"{method} {path}")
        if self.fails:
            return self.fails.pop(0), {"error": {"message": "told to fail"}}
        path = path.partition("?")[0]
        match method, path.removeprefix("/v1").strip("/").split("/"):
            case "POST", ["files"]:
                found = re.search(rb'filename="[^"]*"\r\n(?:[^\r]+\r\n)*\r\n(.*?)\r\n--', raw, re.S)
                assert found is not None
                return 200, self._keep(found[1].decode())
            case "POST", ["batches"]:
                batch = self._batch(json.loads(raw))
                return (500, {"error": {}}) if self.swallows else (200, batch)
            case "GET", ["batches"]:
                data = [self._now(batch) for batch in reversed(self.batches.values())]
                return 200, {"object": "list", "data": data, "has_more": False}
            case "GET", ["batches", batch_id]:
                return 200, self._now(self.batches[batch_id])
            case "GET", ["files", file_id, "content"]:
                return 200, self.files[file_id]
            case "POST", ["chat", "completions"]:
                self.alone += 1
                body = json.loads(raw)
                return 200, _completion(body, f"alone: {echo(body)}")
        return 404, {"error": {"message": f"no {method} {path}"}}

    def _keep(self, text: str) -> dict[str, Any]:
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = text
        made = {"id": file_id, "object": "file", "bytes": len(text), "created_at": 1}
        return {**made, "filename": "x", "purpose": "batch", "status": "processed"}

    def _batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        batch = {
            "id": f"batch-{len(self.batches)}",
            "object": "batch",
            "created_at": 1,
            "status": "in_progress",
            **asked,
        }
        self.batches[str(batch["id"])] = batch
        return batch

    def _now(self, batch: dict[str, Any]) -> dict[str, Any]:
        if not self.is_done or "output_file_id" in batch:
            return batch
        good: list[str] = []
        bad: list[str] = []
        for line in self.files[batch["input_file_id"]].splitlines():
            row = json.loads(line)
            said = self.answer(row["body"])
            if said is None:
                continue
            is_fault = isinstance(said, int)
            body = {"error": {"message": "no"}} if is_fault else _completion(row["body"], said)
            response = {"status_code": said if is_fault else 200, "body": body}
            out = {"id": "r", "custom_id": row["custom_id"], "response": response, "error": None}
            (bad if is_fault else good).append(json.dumps(out))
        batch["output_file_id"] = self._keep("\n".join(reversed(good)))["id"]
        batch["error_file_id"] = self._keep("\n".join(bad))["id"] if bad else None
        batch["status"] = self.status
        return batch


def _completion(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{**choice, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }


@contextmanager
def serving(**facts: Any) -> Iterator[BatchServer]:
    """A server while the block runs."""
    state = BatchServer(**facts)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base's signature
            """Silent."""

        def do_GET(self) -> None:
            self.respond("GET")

        def do_POST(self) -> None:
            self.respond("POST")

        def respond(self, method: str) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with state.lock:
                status, body = state.respond(method, self.path, raw)
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
