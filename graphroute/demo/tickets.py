"""The demo's inputs with their known answers, and how a finished ticket is judged."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphroute.errors import ProviderUnavailable

RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A ticket and what is right about it."""

    ticket: str
    tone: str
    name: str
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What of one ticket came out right; `quality` is the share of the three, in [0, 1]."""

    tone: bool
    fields: bool
    reply: bool

    @property
    def quality(self) -> float:
        """The share that is right."""
        return (self.tone + self.fields + self.reply) / 3


def folder() -> Path:
    """Where the examples lie: beside a checkout, or inside an installed package."""
    package = Path(__file__).parents[1]
    for place in (package / "_examples", package.parent / "examples"):
        if (place / "triage.py").is_file():
            return place
    raise ProviderUnavailable(
        "the examples are not beside graphroute",
        next_step="install graphroute from a wheel or run in a checkout",
    )


def read(path: Path) -> tuple[Expected, ...]:
    """The tickets of a JSONL file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return tuple(Expected(ticket=row["ticket"], **row["expected"]) for row in rows)


def score(state: Mapping[str, Any], expected: Expected) -> Score:
    """Judge the final state of a run.

    >>> right = Expected(ticket="…", tone="negative", name="Ann Lee", order="12")
    >>> state = {"tone": "negative", "name": "Ann Lee", "order": "13", "reply": "Dear Ann Lee, …"}
    >>> score(state, right)
    Score(tone=True, fields=False, reply=False)
    """
    reply = str(state.get("reply", ""))
    return Score(
        tone=state.get("tone") == expected.tone,
        fields=(state.get("name"), state.get("order")) == (expected.name, expected.order),
        reply=expected.name in reply and expected.order in reply,
    )


def interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron and Tibshirani, 1993, ch. 13).

    >>> interval([1.0, 1.0, 1.0])
    (1.0, 1.0)
    """
    draw = random.Random(seed)
    size = len(values)
    means = sorted(sum(draw.choices(values, k=size)) / size for _ in range(RESAMPLES))
    return means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]
