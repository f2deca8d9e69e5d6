"""How long a server asks to be left alone, read from the headers of its answer.

| header | forms |
|---|---|
| `retry-after-ms` | milliseconds |
| `retry-after` | seconds, or an HTTP date (RFC 9110 §10.2.3) |
| `x-ratelimit-reset-requests`, `-tokens` | `"1s"`, `"6m0s"`, `"120ms"`, seconds |
| `x-ratelimit-reset` | seconds, or seconds since 1970 |
| `anthropic-ratelimit-…-reset` | a date (RFC 3339) |

The reset headers count where the remaining count beside them is 0, or where the call was refused.
A date is read against the answer's own `date`, so that a wrong clock here does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 3600.0
"""No server is believed that asks for more than this."""

_EPOCH_S = 1e9
"""A number from here on is a time since 1970, not a span."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def headers_of(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer that an SDK's error carries, by lower-case name; else empty."""
    found = getattr(getattr(error, "response", None), "headers", None)
    return lowered(found)


def lowered(headers: object) -> Mapping[str, str]:
    """Headers by lower-case name; anything that is no mapping has none."""
    try:
        return {str(k).lower(): str(v) for k, v in dict(headers).items()}  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return {}


def retry_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds until a refused call may be made again, in [0, 3600]; None where nothing says so.

    now_s: seconds since 1970, for servers that send a date and no `date`

    >>> retry_s({"retry-after": "2"}, now_s=0.0), retry_s({"retry-after-ms": "250"}, now_s=0.0)
    (2.0, 0.25)
    >>> date = "Wed, 21 Oct 2026 07:28:00 GMT"
    >>> retry_s({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": date}, now_s=0.0)
    30.0
    >>> retry_s({"x-ratelimit-reset-tokens": "6m0s"}, now_s=0.0)
    360.0
    """
    here_s = _date_s(headers.get("date", "")) or now_s
    if (span := _number(headers.get("retry-after-ms"))) is not None:
        return _bounded(span / 1000)
    if stated := headers.get("retry-after"):
        span = _number(stated)
        if span is None and (then := _date_s(stated)) is not None:
            span = then - here_s
        if span is not None:
            return _bounded(span)
    # Without a word on which of the limits refused the call, the nearest may be it.
    spans = [span for _, span in _resets(headers, here_s)]
    return _bounded(min(spans)) if spans else None


def pause_s(headers: Mapping[str, str], *, now_s: float) -> float:
    """Seconds to send nothing after an answer that was no refusal: until what is used up is reset.

    >>> used_up = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s"}
    >>> pause_s(used_up, now_s=0.0), pause_s({"x-ratelimit-reset-requests": "1s"}, now_s=0.0)
    (1.5, 0.0)
    """
    here_s = _date_s(headers.get("date", "")) or now_s
    spans = [
        span
        for name, span in _resets(headers, here_s)
        if _number(headers.get(name.replace("reset", "remaining"))) == 0
    ]
    return _bounded(max(spans, default=0.0))


def _resets(headers: Mapping[str, str], here_s: float) -> Iterator[tuple[str, float]]:
    for name, value in headers.items():
        if "ratelimit" not in name or "reset" not in name:
            continue
        span = _number(value)
        if span is not None:
            yield name, span - here_s if span >= _EPOCH_S else span
        elif parts := _SPAN.findall(value):
            if "".join(number + unit for number, unit in parts) == value:
                yield name, sum(float(number) * _UNIT_S[unit] for number, unit in parts)
        elif (then := _date_s(value)) is not None:
            yield name, then - here_s


def _number(text: str | None) -> float | None:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if abs(value) < 1e15 else None  # "inf" and "nan" are no times


def _date_s(text: str) -> float | None:
    """Seconds since 1970 of an HTTP or RFC 3339 date."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text.strip())
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _bounded(span_s: float) -> float:
    return min(max(span_s, 0.0), LONGEST_S)
