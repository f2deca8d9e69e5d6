"""A `CallRecord` as a row and back; what has no column of its own goes to `more` as JSON.

So a field that is added to `CallRecord` is kept from the first day, and a column is made for it
when a report has to sum it up. A file may be of another version, or somebody may have changed it:
what this version does not know is passed over, a figure that cannot be is left out, and only a row
without what every record needs is none (`ValueError`).

Error texts and the reasons of checks may quote a prompt: without leave to keep text, and where the
call was private, the former are cut at their first colon, which leaves the exception's type, and
the latter are dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, fields, replace
from typing import Any, Final, TypeVar

from graphroute.ir.record import Attempt, CallRecord
from graphroute.ir.tally import bucket
from graphroute.ir.verdict import Verdict, verdict_of

ESTIMATED, MOVED, FAILED, FAULT, CAPPED, CACHED, CHECKING = 1, 2, 4, 8, 16, 32, 64
"""Bits of `flags`."""

NAMES: Final = ("node", "model", "why", "cache", "planned", "own_model", "served")
"""Columns that point to the table of names."""

PLAIN: Final = (
    *("started_s", "took_s", "in_tokens", "out_tokens", "cached_tokens", "cost_nano"),
    *("baseline_nano", "retries", "quality", "step", "iteration", "difficulty"),
    *("predicted_quality", "predicted_cost_nano", "predicted_s", "prompt_chars"),
)
"""Columns that hold a field as it is."""

SHARES: Final = ("quality", "difficulty", "predicted_quality")
"""Of those, what is in [0, 1] or not known."""

COLUMNS: Final = ("run", "graph", "bucket", "flags", "prompt_sha", "more", *NAMES, *PLAIN)

_ELSEWHERE = {"run_id", "graph", "graph_name", "thread", "prompt_sha", "prompt", "answer"}
_ELSEWHERE |= {"is_estimated", *NAMES, *PLAIN}
_MORE = tuple(f.name for f in fields(CallRecord) if f.name not in _ELSEWHERE)
_DEFAULTS = {f.name: f.default for f in fields(CallRecord)}
_MAY_LACK = {*SHARES, "baseline_nano", "step", "iteration", "predicted_cost_nano", "predicted_s"}
_Kind = TypeVar("_Kind", Attempt, Verdict)
_MOST = 10**12
"""Largest number kept, a thousand dollars in nano-dollars: a million of them still add up."""


def without_text(record: CallRecord) -> CallRecord:
    """The record without anything that could hold a user's words.

    >>> without_text(CallRecord(run_id="r", node="n", step=1, planned=None, model="m", why="plan",
    ...     own_model=None, in_tokens=1, out_tokens=1, is_estimated=False, cost_nano=0,
    ...     baseline_nano=None, started_s=0.0, took_s=0.1, error="ValueError: bad 'my secret'",
    ...     prompt="my secret")).error
    'ValueError'
    """
    return replace(
        record,
        prompt=None,
        answer=None,
        # Whoever knows all but a number of a private prompt could find it by trying digests.
        prompt_sha="" if record.is_private else record.prompt_sha,
        # Of these the colon is in a model's name, and learning reads them back.
        why=record.why if record.is_again else _head(record.why),
        error=_head(record.error),
        fault=_head(record.fault),
        attempts=tuple(replace(a, reason=_head(a.reason)) for a in record.attempts),
        verdicts=tuple(replace(v, reason="") for v in record.verdicts),
    )


def row(
    record: CallRecord, *, run: int, graph: int, name_id: Callable[[str], int]
) -> tuple[object, ...]:
    """The values of `COLUMNS`."""
    values: dict[str, object] = {name: _bounded(name, getattr(record, name)) for name in PLAIN}
    for name in NAMES:
        text = getattr(record, name)
        values[name] = None if text is None else name_id(text)
    values |= {
        "run": run,
        "graph": graph,
        "bucket": bucket(record.took_s),
        "flags": flags(record),
        "prompt_sha": _digits(record.prompt_sha),
        "more": _more(record),
        # The column is summed up by SQL, which knows no records.
        "baseline_nano": _bounded("baseline_nano", record.instead_nano),
    }
    return tuple(values[name] for name in COLUMNS)


def flags(record: CallRecord) -> int:
    """What a report counts, as bits."""
    is_moved = record.planned is not None and record.model != record.planned
    return (
        ESTIMATED * record.is_estimated
        + MOVED * is_moved
        + FAILED * (record.error is not None)
        + FAULT * (record.fault is not None)
        + CAPPED * (record.cap_tokens is not None)
        + CACHED * (record.cache is not None)
        + CHECKING * record.is_check
    )


def record_of(found: Mapping[str, Any], names: Mapping[int, str]) -> CallRecord:
    """The record that a row was made of; `found` also has run_id, thread, graph and texts."""
    more = json.loads(found["more"] or "{}")
    if not isinstance(more, dict):
        raise ValueError("more is no object")
    known = {name: value for name, value in more.items() if name in _MORE and _is_kind(name, value)}
    known["attempts"] = tuple(_made(Attempt, known.get("attempts")))
    known["verdicts"] = tuple(map(verdict_of, _made(Verdict, known.get("verdicts"))))
    named: dict[str, Any] = {name: names.get(found[name]) for name in NAMES}
    named["served"] = named["served"] or ""  # rows from before there was the column
    if lacking := [name for name in ("node", "model", "why") if named[name] is None]:
        raise ValueError(f"no {lacking[0]}")
    plain: dict[str, Any] = {name: _bounded(name, found[name]) for name in PLAIN}
    if lacking := [name for name in PLAIN if plain[name] is None and name not in _MAY_LACK]:
        raise ValueError(f"no {lacking[0]}")
    sha = found["prompt_sha"]
    return CallRecord(
        run_id=found["run_id"],
        graph=found["fingerprint"],
        graph_name=found["name"],
        thread=found["thread"],
        is_estimated=bool(found["flags"] & ESTIMATED),
        prompt_sha=sha.hex() if isinstance(sha, bytes) else "",
        prompt=found["prompt"],
        answer=found["answer"],
        **named,
        **plain,
        **known,
    )


def _made(kind: type[_Kind], values: object) -> Iterator[_Kind]:
    """Of a list those with all that `kind` needs; a field that it does not know is passed over."""
    for each in values if isinstance(values, list) else ():
        if isinstance(each, dict):
            with suppress(TypeError):  # a field that it needs is missing
                yield kind(**{f.name: each[f.name] for f in fields(kind) if f.name in each})


def _is_kind(name: str, value: object) -> bool:
    """Whether a value out of `more` is of the kind that its field holds."""
    match name:
        case "attempts" | "verdicts":
            return True  # read one by one
        case "cap_tokens":
            return isinstance(value, int) and not isinstance(value, bool)
        case "is_private":
            return isinstance(value, bool)
        case _:
            return isinstance(value, str)


def clean(text: str) -> str:
    """Text that SQLite can store: lone surrogates, which UTF-8 has no form for, are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def placeholders(names: Iterable[str]) -> str:
    """`?, ?, ?` for an INSERT."""
    return ", ".join("?" for _ in names)


def _more(record: CallRecord) -> str | None:
    kept = {name: _plain(getattr(record, name)) for name in _MORE}
    kept = {
        name: value
        for name, value in kept.items()
        if _DEFAULTS[name] is MISSING or value != _plain(_DEFAULTS[name])
    }
    return clean(json.dumps(kept, ensure_ascii=False, default=str)) if kept else None


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if isinstance(value, (Attempt, Verdict)) else value


def _head(text: str | None) -> Any:
    return None if text is None else text.partition(":")[0][:120]


def _digits(sha: str) -> bytes | None:
    try:
        return bytes.fromhex(sha) or None
    except ValueError:
        return None


def _bounded(name: str, value: Any) -> int | float | None:
    """A number that a million of can be summed, None stays None.

    What is no number is None where a record may lack it, for the call was paid all the same; else
    it is a ValueError.
    """
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or (name in SHARES and not 0 <= value <= 1):
        if name in _MAY_LACK:
            return None
        raise ValueError(f"{name}={value!r} is no number")
    return max(-_MOST, min(_MOST, value))  # type: ignore[no-any-return]
