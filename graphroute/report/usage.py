"""What calls cost and took, summed: per node, per model, or over all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from graphroute.ir.hints import NANO
from graphroute.ir.record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Sums over some calls.

    name: the node or model they belong to; calls_by: how many went to each model (or node)
    cost_usd: what was settled; time_s: summed over calls, so parallel calls count twice
    estimated_calls: calls whose tokens were counted from characters, not reported by the model
    moved_calls: calls that another model served than the plan said; reasons: why, with counts
    failed_calls: calls that ended in an error; faults: calls where routing itself failed and the
        graph's own model answered
    capped_calls: calls whose answer was held to a limit, the budget's or `max_output_tokens=`
    """

    name: str
    calls: int
    calls_by: tuple[tuple[str, int], ...]
    in_tokens: int
    out_tokens: int
    cost_usd: float
    time_s: float
    estimated_calls: int
    moved_calls: int
    reasons: tuple[tuple[str, int], ...]
    failed_calls: int
    faults: int
    capped_calls: int


def total(name: str, records: Sequence[CallRecord], by: Callable[[CallRecord], str]) -> Usage:
    """Sum `records` under `name`; `by` says what `calls_by` counts."""
    moved = [record for record in records if is_moved(record)]
    return Usage(
        name=name,
        calls=len(records),
        calls_by=count(by(record) for record in records),
        in_tokens=sum(record.in_tokens for record in records),
        out_tokens=sum(record.out_tokens for record in records),
        cost_usd=sum(record.cost_nano for record in records) / NANO,
        time_s=sum(record.took_s for record in records),
        estimated_calls=sum(record.is_estimated for record in records),
        moved_calls=len(moved),
        reasons=count(record.why for record in moved),
        failed_calls=sum(record.error is not None for record in records),
        faults=sum(record.fault is not None for record in records),
        capped_calls=sum(record.cap_tokens is not None for record in records),
    )


def is_moved(record: CallRecord) -> bool:
    """Whether another model served the call than the one the plan gave its node."""
    return record.planned is not None and record.model != record.planned


def grouped(
    records: Sequence[CallRecord],
    key: Callable[[CallRecord], str],
    by: Callable[[CallRecord], str],
    order: Sequence[str] = (),
) -> tuple[Usage, ...]:
    """One `Usage` for each value of `key`: first in `order`, then as they came."""
    groups: dict[str, list[CallRecord]] = {name: [] for name in order}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return tuple(total(name, members, by) for name, members in groups.items() if members)


def count(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """How often each name occurs, most frequent first, then by name.

    >>> count(["b", "a", "b"])
    (('b', 2), ('a', 1))
    """
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))
