"""A server that is down, slow, busy, breaks off or talks nonsense is one clear error each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphroute.errors import ProviderUnavailable
from graphroute.ir.catalog import Model
from graphroute.protocols import Provider
from graphroute.providers import ollama, openai

MODELS = {"object": "list", "data": [{"id": "tiny"}]}


def _ollama(url: str) -> Provider:
    return ollama.build(host=url, timeout_s=0.3)


def _openai(url: str) -> Provider:
    return openai.build(base_url=f"{url}/v1", environ={}, timeout_s=0.3)


KINDS = [
    pytest.param(_ollama, "/api/tags", id="ollama"),
    pytest.param(_openai, "/v1/models", id="openai"),
]
Build = Callable[[str], Provider]


def _told(provider: Provider) -> str:
    """What discovery fails with; health must tell the same without raising."""
    with pytest.raises(ProviderUnavailable) as caught:
        provider.discover()
    health = provider.health()
    assert not health.is_ok
    assert health.detail == str(caught.value)
    assert health.next_step == caught.value.next_step != ""
    return str(caught.value)


@pytest.mark.parametrize(("build", "path"), KINDS)
def test_down(build: Build, path: str, closed_url: str) -> None:
    text = _told(build(closed_url))
    assert closed_url in text
    assert "cannot be reached" in text
    assert "start it" in text


@pytest.mark.parametrize(("build", "path"), KINDS)
def test_slow(build: Build, path: str, rude: Any, answer: Any) -> None:
    rude.answers[path] = answer(is_held=True)
    assert "gave no answer in" in _told(build(rude.url))


@pytest.mark.parametrize(("build", "path"), KINDS)
def test_busy(build: Build, path: str, rude: Any, answer: Any) -> None:
    rude.answers[path] = answer(status=429, headers={"Retry-After": "7"}, body={"error": "busy"})
    text = _told(build(rude.url))
    assert "429" in text
    assert "try again" in text


def test_busy_tells_when_to_come_back(rude: Any, answer: Any) -> None:
    rude.answers["/v1/models"] = answer(status=429, headers={"Retry-After": "7"})
    assert "try again in 7 s" in _told(_openai(rude.url))


@pytest.mark.parametrize(("build", "path"), KINDS)
@pytest.mark.parametrize("status", [500, 503])
def test_broken(build: Build, path: str, status: int, rude: Any, answer: Any) -> None:
    rude.answers[path] = answer(status=status, body=b"<html>oops</html>")
    assert f"answers {status}" in _told(build(rude.url))


@pytest.mark.parametrize(("build", "path"), KINDS)
def test_breaks_off(build: Build, path: str, rude: Any, answer: Any) -> None:
    rude.answers[path] = answer(body={"models": [], "data": []}, cut_after=5)
    assert "cannot be reached" in _told(build(rude.url))


@pytest.mark.parametrize(("build", "path"), KINDS)
@pytest.mark.parametrize(
    "body", [b"{", b"hello", b"[1]", b"null", b'{"models": 7, "data": 7}', b'{"models": [7]}', b""]
)
def test_nonsense(build: Build, path: str, body: bytes, rude: Any, answer: Any) -> None:
    rude.answers[path] = answer(body=body)
    text = _told(build(rude.url))
    assert "answers no" in text


def test_a_refused_key(rude: Any, answer: Any) -> None:
    rude.answers["/v1/models"] = answer(status=401)
    assert "refuses the key (401); set its API key" in _told(_openai(rude.url))


def test_one_model_without_details_is_left_out(rude: Any, answer: Any) -> None:
    def show(body: dict[str, object]) -> object:
        if body["model"] == "odd:latest":
            return answer(body=b"{")
        return answer(body={"model_info": {}, "details": {}, "capabilities": ["completion"]})

    rude.answers["/api/tags"] = answer(
        body={"models": [{"model": "odd:latest"}, {"model": "fine:latest"}]}
    )
    rude.answers["/api/ps"] = answer(status=404)
    rude.answers["/api/show"] = show
    provider = _ollama(rude.url)
    assert [model.name for model in provider.discover()] == ["ollama:fine"]
    with pytest.raises(ProviderUnavailable, match="answers no valid JSON"):
        provider.offer(Model("ollama:odd"))


def test_a_stream_that_breaks_off_raises_in_the_middle(rude: Any, answer: Any) -> None:
    event = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"tiny",'
    event += b'"choices":[{"index":0,"delta":{"role":"assistant","content":"one"}}]}\n\n'
    rude.answers["/v1/chat/completions"] = answer(
        body=event * 2, cut_after=len(event) + 20, headers={"Content-Type": "text/event-stream"}
    )
    chat = _openai(rude.url).offer(Model("openai:tiny")).open()
    seen: list[str] = []
    with pytest.raises(Exception, match="Connection error"):
        seen.extend(part.text for part in chat.stream("hi"))
    assert seen[:1] == ["one"]


def test_a_chat_with_a_server_that_is_down_fails_at_once(closed_url: str) -> None:
    chat = _openai(closed_url).offer(Model("openai:tiny")).open()
    with pytest.raises(Exception, match="Connection error"):
        chat.invoke("hi")
