"""Moments on the command line: `7d` ago, `2026-11-01`, `2026-11-01T12:00`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from graphroute.errors import InvalidValue

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def moment(option: str, text: str | None, *, now_s: float | None = None) -> float | None:
    """Seconds since the epoch of what `option` says; `InvalidValue` if it is neither form.

    A date is its beginning, in UTC unless it names another zone.

    >>> moment("--since", "2d", now_s=200_000.0), moment("--since", "1970-01-02")
    (27200.0, 86400.0)
    """
    if text is None:
        return None
    if found := _AGO.fullmatch(text.strip().lower()):
        now = time.time() if now_s is None else now_s
        return now - float(found[1]) * _SECONDS[found[2]]
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValue(
            f"{option} {text!r} is no time",
            value=text,
            next_step="write 12h, 7d or 4w for so long ago, or a date such as 2026-11-01",
        ) from None
