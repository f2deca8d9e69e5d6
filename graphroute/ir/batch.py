"""What a batch policy decides on: who waits, what is known of the group, who goes together.

A **group** is the calls that could share a prompt: same node, model and parameters. Its calls are
gathered for a moment, released, and wait in line for a slot of their model's server. Who stands in
line anyway can share the prompt of the one whose turn it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

How = Literal["alone", "deferred"]

Means = Literal["packs", "batches"]
"""What a policy works with besides order: prompts of several calls, and a provider's batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One call that waits.

    number: its place in the order of arrival; arrived_s: on the caller's clock
    prompt: its rendered messages as one text; in_tokens: an estimate of its length
    template: what its prompt has in common with others, `""` where it may share none
    can_defer: whether its answer may take hours
    passed_over: how many later calls were taken before it
    """

    number: int
    arrived_s: float
    prompt: str
    in_tokens: int
    template: str = ""
    can_defer: bool = False
    passed_over: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """A group at one moment.

    waiting: in order of arrival, at least one; active: calls released and not ended
    left: calls of the group that are known to come still; None where that is not known
    peak: most calls of the group that were there at once lately; 0 if there were none yet
    """

    waiting: tuple[Waiting, ...]
    now_s: float
    active: int = 0
    left: int | None = None
    peak: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Calls, by number, that are released; `"deferred"` hands them in as one batch."""

    numbers: tuple[int, ...]
    how: How = "alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """These go on now, in this order; whoever is in no bundle goes on waiting."""

    bundles: tuple[Bundle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nobody goes on before `until_s`, unless another call arrives."""

    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLook:
    """What a provider's batch has come to.

    answers: bodies of answers, and failures: why there is none, by the line's own id; both are
        filled once the batch is over
    """

    is_over: bool
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
