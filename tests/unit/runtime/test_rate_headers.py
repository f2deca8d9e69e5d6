from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest

from graphroute.runtime import rate_headers

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "999999"}, rate_headers.LONGEST_S),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": DATE}, 30.0),
        # A date that has passed asks for nothing.
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": DATE}, 0.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 1.0),
        ({"x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-reset-requests": "1h30m"}, 3600.0),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": "1792567690", "date": DATE}, 10.0),
        ({"anthropic-ratelimit-requests-reset": "2026-10-21T07:28:05Z", "date": DATE}, 5.0),
        ({"x-ratelimit-reset-requests": "1s?"}, None),
    ],
)
def test_what_a_refusal_asks_for(headers: dict[str, str], wanted: float | None) -> None:
    assert rate_headers.retry_s(headers, now_s=0.0) == wanted


def test_a_date_without_one_of_the_answer_is_read_by_the_clock() -> None:
    headers = {"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}
    now_s = 1792567680.0  # 07:28:00
    assert rate_headers.retry_s(headers, now_s=now_s) == 30.0


def test_an_answer_asks_for_a_pause_only_where_something_is_used_up() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "3s",
        "x-ratelimit-remaining-tokens": "10",
        "x-ratelimit-reset-tokens": "9s",
    }
    assert rate_headers.pause_s(headers, now_s=0.0) == 3.0
    assert rate_headers.pause_s({**headers, "x-ratelimit-remaining-requests": "1"}, now_s=0) == 0


def test_headers_are_read_from_errors_as_sdks_carry_them() -> None:
    response = httpx.Response(429, headers={"Retry-After": "4"})
    error = httpx.HTTPStatusError(
        "429", request=httpx.Request("GET", "http://x"), response=response
    )
    assert rate_headers.headers_of(error)["retry-after"] == "4"
    assert rate_headers.headers_of(ValueError()) == {}
    odd = SimpleNamespace(headers=3)
    broken = RuntimeError()
    broken.response = odd  # type: ignore[attr-defined]
    assert rate_headers.headers_of(broken) == {}
