from __future__ import annotations

import json
from types import SimpleNamespace

import httpx
import pytest

from graphroute.runtime.fallback import (
    COOL_DOWN_S,
    Outages,
    is_overflow,
    is_unavailable,
    retry_after_s,
    status_of,
)


def http_error(status: int, **headers: str) -> Exception:
    request = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")
    response = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError("refused", request=request, response=response)


@pytest.mark.parametrize("status", [401, 404, 408, 429, 500, 503])
def test_a_server_that_cannot_serve_is_unavailable(status: int) -> None:
    assert is_unavailable(http_error(status))
    assert status_of(http_error(status)) == status


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_an_outage(status: int) -> None:
    assert not is_unavailable(http_error(status))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        httpx.ConnectError("no"),
        httpx.RemoteProtocolError("broke off"),
        json.JSONDecodeError("bad", "x", 0),
    ],
)
def test_broken_lines_and_replies_are_outages(error: Exception) -> None:
    assert is_unavailable(error)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), AssertionError()])
def test_the_graphs_own_errors_are_not_outages(error: Exception) -> None:
    assert not is_unavailable(error)


def test_overflow_is_read_from_the_words_of_providers() -> None:
    assert is_overflow(ValueError("request (9000 tokens) exceeds the available context size"))
    assert not is_overflow(ValueError("invalid temperature"))


def test_outages_end_by_themselves_after_the_servers_own_time() -> None:
    now = SimpleNamespace(s=100.0)
    outages = Outages(clock=lambda: now.s)
    outages.note("a", ConnectionError())
    outages.note("b", http_error(429, **{"Retry-After": "5"}))
    assert outages.is_down("a")
    assert outages.is_down("b")
    now.s += 6
    assert not outages.is_down("b")
    assert outages.is_down("a")
    now.s += COOL_DOWN_S
    assert not outages.is_down("a")
    outages.note("a", ConnectionError())
    outages.clear("a")
    assert not outages.is_down("a")


def test_retry_after_is_bounded_and_may_be_absent_or_a_date() -> None:
    assert retry_after_s(http_error(429)) is None
    assert retry_after_s(http_error(429, **{"Retry-After": "1e9"})) == 3600
    assert (
        retry_after_s(http_error(429, **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})) is None
    )
