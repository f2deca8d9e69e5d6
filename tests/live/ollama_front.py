"""An Ollama API over an embedded llama.cpp, for live tests on a machine without Ollama.

Run as a program it serves SmolLM2 as `smollm2:135m` on a free port, prints its URL as one line and
ends when its standard input closes. Answers follow Ollama's documented API for the calls the
`ollama` client makes: version, tags, ps, show and chat (whole or streamed, tools, format, options).
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from graphroute.providers._gguf import read
from graphroute.providers._llama_server import Gguf, serve
from graphroute.providers._packaged import smollm2_path
from graphroute.providers._templates import TOOLS

MODEL = "smollm2:135m"
EMBEDDER = "only-embeds:latest"
_OPTIONS = {"num_predict": "max_tokens"} | {
    name: name for name in ("temperature", "top_p", "top_k", "seed", "stop", "repeat_penalty")
}

gguf = Gguf(path=smollm2_path(), alias=MODEL, template=TOOLS)
facts = read(gguf.path)
used = threading.Event()


def entry(name: str) -> dict[str, Any]:
    details = {
        "format": "gguf",
        "family": facts.architecture,
        "families": [facts.architecture],
        "parameter_size": f"{facts.parameters / 1e6:.2f}M",
        "quantization_level": facts.quantization,
    }
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": facts.file_bytes,
        "digest": "0" * 64,
        "details": details,
    }


def shown(name: str) -> dict[str, Any]:
    kind = facts.architecture
    chats = ["completion", "tools"]
    return {
        "modelfile": "",
        "parameters": "",
        "template": TOOLS,
        "details": entry(name)["details"],
        "capabilities": chats if name == MODEL else ["embedding"],
        "model_info": {
            "general.architecture": kind,
            "general.parameter_count": facts.parameters,
            f"{kind}.context_length": facts.context_tokens,
        },
    }


def request(body: dict[str, Any], *, is_streamed: bool) -> dict[str, Any]:
    """Ollama's chat request in OpenAI's words."""
    wanted: dict[str, Any] = {"messages": [message(m) for m in body["messages"]]}
    for name, value in (body.get("options") or {}).items():
        if name in _OPTIONS and value is not None:
            wanted[_OPTIONS[name]] = value
    if body.get("tools"):
        wanted["tools"] = body["tools"]
    if isinstance(shape := body.get("format"), dict):
        wish = {"name": "answer", "schema": shape}
        wanted["response_format"] = {"type": "json_schema", "json_schema": wish}
    elif shape == "json":
        wanted["response_format"] = {"type": "json_object"}
    if is_streamed:
        wanted |= {"stream": True, "stream_options": {"include_usage": True}}
    return wanted


def message(said: dict[str, Any]) -> dict[str, Any]:
    out = {"role": said["role"], "content": said.get("content") or ""}
    if calls := said.get("tool_calls"):
        out["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.dumps(call["function"]["arguments"]),
                },
            }
            for number, call in enumerate(calls)
        ]
    return out


def line(**fields: Any) -> bytes:
    stamp = {"model": MODEL, "created_at": datetime.now(tz=UTC).isoformat()}
    return json.dumps(stamp | fields).encode() + b"\n"


def final(usage: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "total_duration": 1,
        "load_duration": 0,
        "prompt_eval_count": usage.get("prompt_tokens", 0),
        "prompt_eval_duration": 1,
        "eval_count": usage.get("completion_tokens", 0),
        "eval_duration": 1,
    }


def whole(body: dict[str, Any]) -> bytes:
    answer = httpx.post(
        f"{serve(gguf)}/chat/completions", json=request(body, is_streamed=False), timeout=120
    ).json()
    (choice,) = answer["choices"]
    out: dict[str, Any] = {"role": "assistant", "content": choice["message"].get("content") or ""}
    if calls := choice["message"].get("tool_calls"):
        out["tool_calls"] = [
            {
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.loads(call["function"]["arguments"]),
                }
            }
            for call in calls
        ]
    return line(message=out, **final(answer["usage"], choice["finish_reason"]))


def pieces(body: dict[str, Any]) -> Iterator[bytes]:
    usage: dict[str, Any] = {}
    finish = None
    url = f"{serve(gguf)}/chat/completions"
    with httpx.stream("POST", url, json=request(body, is_streamed=True), timeout=120) as answer:
        for text in answer.iter_lines():
            if not text.startswith("data: {"):
                continue
            event = json.loads(text[6:])
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                finish = choice["finish_reason"] or finish
                if piece := choice["delta"].get("content"):
                    yield line(message={"role": "assistant", "content": piece}, done=False)
    yield line(message={"role": "assistant", "content": ""}, **final(usage, finish))


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; without this each answer waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base's signature
        """Keep standard error for faults."""

    def reply(self, status: int, data: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, name: object) -> None:
        self.reply(404, json.dumps({"error": f"model '{name}' not found"}).encode())

    def do_GET(self) -> None:
        found: dict[str, Any]
        match self.path:
            case "/api/version":
                found = {"version": "0.12.0"}
            case "/api/tags":
                found = {"models": [entry(MODEL), entry(EMBEDDER)]}
            case "/api/ps":
                until = (datetime.now(tz=UTC) + timedelta(minutes=5)).isoformat()
                loaded = entry(MODEL) | {"expires_at": until, "size_vram": 0}
                found = {"models": [loaded] if used.is_set() else []}
            case _:
                self.reply(404, b'{"error": "not found"}')
                return
        self.reply(200, json.dumps(found).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = body.get("model") or body.get("name")
        if self.path == "/api/show" and name in (MODEL, EMBEDDER):
            self.reply(200, json.dumps(shown(name)).encode())
        elif self.path == "/api/chat" and name == MODEL:
            used.set()
            # Ollama, too, sends a call with tools as one piece.
            if body.get("stream", True) and not body.get("tools"):
                self.stream(pieces(body))
            else:
                self.reply(200, whole(body), "application/x-ndjson")
        else:
            self.refuse(name)

    def stream(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for data in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
