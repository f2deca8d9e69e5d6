"""Days and months in UTC, and what is taken of a limit in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

SpanName = Literal["day", "month"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """A limit, what is spent under it, and what is taken: spent and put aside.

    name: `"run"`, `"day"` or `"month"`; ends_s: when a period ends, seconds since the epoch
    """

    name: str
    limit_nano: int
    spent_nano: int
    taken_nano: int
    ends_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A day `"2026-11-24"` or a month `"2026-11"`, with the one before it.

    start_s, end_s: seconds since the epoch, the end excluded
    """

    name: SpanName
    key: str
    before: str
    start_s: float
    end_s: float

    def elapsed(self, now_s: float) -> float:
        """The share of it that is gone, in [0, 1]."""
        return min(1.0, max(0.0, (now_s - self.start_s) / (self.end_s - self.start_s)))


def spans_at(now_s: float) -> tuple[Span, Span]:
    """The day and the month of a moment.

    >>> [(span.key, span.before, span.end_s - span.start_s) for span in spans_at(0)]
    [('1970-01-01', '1969-12-31', 86400.0), ('1970-01', '1969-12', 2678400.0)]
    """
    now = datetime.fromtimestamp(now_s, UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today.replace(day=1)
    return (
        _span("day", today, today + timedelta(days=1), today - timedelta(days=1)),
        # The 28th of any month and four days more are in the next one.
        _span(
            "month",
            first,
            (first.replace(day=28) + timedelta(days=4)).replace(day=1),
            first - timedelta(days=1),
        ),
    )


def _span(name: SpanName, start: datetime, end: datetime, before: datetime) -> Span:
    length = 10 if name == "day" else 7
    return Span(
        name=name,
        key=start.isoformat()[:length],
        before=before.isoformat()[:length],
        start_s=start.timestamp(),
        end_s=end.timestamp(),
    )
