"""What people and programs say about a whole run or one of its nodes, after it has ended.

A `Feedback` says how good the result was; `Credit` is the part of it that one node's answers get,
so that learning has one kind of evidence: a score in [0, 1] with a weight. Whoever says something
again of the same run, or the same node of it, has changed his mind (`Revision`): the last counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphroute.ir.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A verdict on a run, or on one node of it.

    node: path of the node it is about; None for the end result of the run
    at_s: when it was given, seconds since the epoch
    """

    run_id: str
    verdict: Verdict
    node: str | None = None
    at_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What a verdict says of one node's answers in one run.

    score: in [0, 1]; weight: how much evidence it is, in (0, 1]: 1 is an answer judged by itself
    """

    run_id: str
    node: str
    score: float
    weight: float
    source: str = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a verdict says of nodes now, and what the same source had said of the same before.

    now: empty where the verdict says nothing of any node; before: empty the first time
    """

    now: tuple[Credit, ...]
    before: tuple[Credit, ...] = ()

    @property
    def added(self) -> tuple[Credit, ...]:
        """What is said now and was not said before."""
        return tuple(credit for credit in self.now if credit not in self.before)

    @property
    def taken_back(self) -> tuple[Credit, ...]:
        """What was said before and is not said any more."""
        return tuple(credit for credit in self.before if credit not in self.now)
