"""Records of earlier runs as a command takes them: a JSON file, or the file of a record store."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from graphroute.errors import InvalidValue
from graphroute.ir.hints import NANO
from graphroute.ir.record import CHECK

_SQLITE: Final = b"SQLite format 3\x00"
_HELP: Final = (
    "give a record store (its folder or records.sqlite3), or JSON with the records of "
    "fast.records under 'records'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One call of the past: its prompt if that was kept, its difficulty in [0, 1] if scored."""

    node: str
    model: str
    cost_usd: float
    prompt: str | None
    difficulty: float | None


def read_past(path: Path, *, node: str | None = None) -> tuple[Past, ...]:
    """The calls in `path`, of one node or of all; `InvalidValue` where there are none."""
    target = path / "records.sqlite3" if path.is_dir() else path
    try:
        with target.open("rb") as file:
            is_store = file.read(len(_SQLITE)) == _SQLITE
        found = _stored(target) if is_store else _listed(json.loads(target.read_bytes()))
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise InvalidValue(
            f"cannot read {str(path)!r} ({reason})", value=str(path), next_step=_HELP
        ) from None
    except (ValueError, RecursionError) as fault:
        raise InvalidValue(
            f"{str(path)!r} has no records ({fault})", value=str(path), next_step=_HELP
        ) from None
    kept = tuple(past for past in found if node is None or past.node == node)
    if not kept:
        nodes = sorted({past.node for past in found})
        raise InvalidValue(
            f"{str(path)!r} has no calls" + (f" of node {node!r}" if node is not None else ""),
            value=str(path),
            next_step=f"there are calls of {', '.join(map(repr, nodes))}" if nodes else _HELP,
        )
    return kept


def mean_cost_usd(past: Iterable[Past]) -> Mapping[str, float]:
    """US dollars that a call has cost by model, cheapest first."""
    costs: dict[str, list[float]] = {}
    for call in past:
        costs.setdefault(call.model, []).append(call.cost_usd)
    means = {model: sum(values) / len(values) for model, values in costs.items()}
    return dict(sorted(means.items(), key=lambda pair: (pair[1], pair[0])))


def _stored(path: Path) -> Sequence[Past]:
    from graphroute.store.records import RecordStore

    return [
        Past(
            node=record.node,
            model=record.model,
            cost_usd=record.cost_nano / NANO,
            prompt=record.prompt,
            difficulty=record.difficulty,
        )
        for record in RecordStore(path).records()
        if not record.is_check
    ]


def _listed(data: Any) -> Sequence[Past]:
    rows = data.get("records") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise ValueError("no list under 'records'")
    # What a check asked its own model is no question of the node's.
    is_check = [isinstance(row, dict) and row.get("why") == CHECK for row in rows]
    past = [_past(row, number) for number, row in enumerate(rows, start=1)]
    return [call for call, skipped in zip(past, is_check, strict=True) if not skipped]


def _past(row: Any, number: int) -> Past:
    if not isinstance(row, dict):
        raise ValueError(f"record {number} is no object")
    node, model, cost = row.get("node"), row.get("model"), row.get("cost_nano", 0)
    prompt, difficulty = row.get("prompt"), row.get("difficulty")
    if not isinstance(node, str) or not isinstance(model, str):
        raise ValueError(f"record {number} names no node and model")
    if prompt is not None and not isinstance(prompt, str):
        raise ValueError(f"record {number}: prompt is no text")
    if not _is_number(cost) or not 0 <= cost < math.inf:
        raise ValueError(f"record {number}: cost_nano is {cost!r}")
    if difficulty is not None and not (_is_number(difficulty) and 0 <= difficulty <= 1):
        raise ValueError(f"record {number}: difficulty is {difficulty!r}")
    return Past(node=node, model=model, cost_usd=cost / NANO, prompt=prompt, difficulty=difficulty)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
