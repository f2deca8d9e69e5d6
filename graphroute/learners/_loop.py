"""One graph learning from its calls as they end: evidence, alarms, experiments, and when to plan.

It acts on nothing by itself: what plans again, and whom an alarm is told, are arguments.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from graphroute.ir.evidence import Evidence
from graphroute.ir.feedback import Credit, Revision
from graphroute.ir.learning import Alarm, Learn
from graphroute.ir.record import CallRecord
from graphroute.learners._allowance import Allowance
from graphroute.learners._answers import Answers
from graphroute.learners._explorer import Explorer
from graphroute.learners._refused import Refused
from graphroute.learners._sums import sums_of
from graphroute.learners._watch import Watch
from graphroute.protocols import Learner

logger = logging.getLogger(__name__)

KEPT_ALARMS: Final = 1000
KEPT_RUNS: Final = 4096
REPLAN_SHARE: Final = 0.1
"""Part of all judged answers that are new before the graph is planned again."""

UNPLANNED: Final = ("latency", "difficulty", "prompt_kind")
"""Figures that no plan is made from, so that an alarm about them is no reason for a new one."""

GROWN: Final = 1 / 3
"""The same of those of one model at one node, which may be new to the pool."""


class Learning:
    """What one optimized graph learns; may be used from any thread.

    start: what earlier runs showed, by (node, model); refused: how often they refused answers
    budget_nano: what a run may spend, None without a limit
    learner, watch: None where nothing is tried, or nothing watched
    explorer: chooses the model to try on a call; None where no other than the planned ever is
    """

    def __init__(
        self,
        options: Learn,
        *,
        start: Mapping[tuple[str, str], Evidence],
        budget_nano: int | None = None,
        learner: Learner | None = None,
        watch: Watch | None = None,
        refused: Refused | None = None,
    ) -> None:
        self._options, self._budget_nano = options, budget_nano
        self.answers = Answers(start, half_life=options.half_life)
        self.allowance = Allowance(share=options.explore_share)
        self._watch = watch
        self._refused = refused or Refused()
        self.explorer: Explorer | None = None
        if learner is not None and options.explore_share > 0:
            self.explorer = Explorer(
                learner,
                self.allowance,
                answers=self.answers.count,
                max_weight=options.max_weight,
            )
        self._alarms: deque[Alarm] = deque(maxlen=KEPT_ALARMS)
        self._runs: dict[str, None] = {}
        self._has_drifted = False
        self._lock = threading.Lock()

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Drifts found so far, oldest first."""
        return tuple(self._alarms)

    @property
    def shadows(self) -> bool:
        """Whether local models are asked beside the runs."""
        return self._options.shadow

    def judged_aside(self, node: str, model: str, score: float) -> None:
        """Take the score of an answer that no run has used."""
        self.answers.add(node, model, score)

    def note(self, record: CallRecord) -> None:
        """Take a finished call."""
        self._earn(record)
        with self._lock:
            self._refused.note(record)
            shown = sums_of(record, self._refused)
        if shown is not None and shown.answers > 0:
            self.answers.add(
                record.node,
                record.model,
                shown.good / shown.answers,
                shown.answers,
                is_usual=not record.is_again,
            )
        if self._watch is not None:
            for alarm in self._watch.note(record):
                self._raise(alarm)

    def credit(self, said: Revision, records: Sequence[CallRecord]) -> None:
        """Take what feedback said of nodes; the records tell which models had served them.

        What the same source said before no longer counts; a change of mind is no drift.
        """
        for old in said.taken_back:
            served = _served(old, records)
            for model in served:
                self.answers.take_back(old.node, model, old.score, old.weight / len(served))
        revised = {old.node for old in said.before}
        for new in said.added:
            served = _served(new, records)
            for model in served:
                self.answers.add(new.node, model, new.score, new.weight / len(served))
            is_one = new.weight >= 1 and len(set(served)) == 1 and new.node not in revised
            if self._watch is not None and is_one:
                for alarm in self._watch.judged(new.node, served[0], new.score):
                    self._raise(replace(alarm, run_id=new.run_id))

    def evidence(self) -> Mapping[tuple[str, str], Evidence]:
        """Judged answers by (node, model), as much as each counts now."""
        return self.answers.evidence()

    def is_due(self) -> bool:
        """Whether enough is new to plan again; asking counts as having planned."""
        with self._lock:
            new = self.answers.since_plan
            is_much = new >= REPLAN_SHARE * self.answers.total or self.answers.grown >= GROWN
            if not self._has_drifted and not (new >= self._options.replan_after and is_much):
                return False
            self._has_drifted = False
            self.answers.planned()
            return True

    def _earn(self, record: CallRecord) -> None:
        if self._budget_nano is None:
            self.allowance.earn(record.cost_nano)
            return
        with self._lock:
            is_new = record.run_id not in self._runs
            self._runs[record.run_id] = None
            while len(self._runs) > KEPT_RUNS:
                del self._runs[next(iter(self._runs))]
        if is_new:
            self.allowance.earn(self._budget_nano)

    def _raise(self, alarm: Alarm) -> None:
        self._alarms.append(alarm)
        logger.warning("drift: %s", alarm)
        if alarm.model and alarm.figure in ("quality", "out_tokens", "version"):
            # Answers of other lengths may come from another model behind the same name.
            self.answers.widen(alarm.node, alarm.model, since=alarm.since)
        if alarm.figure not in (
            "latency",
            "difficulty",
            "prompt_kind",
        ):  # no plan is made from those
            with self._lock:
                self._has_drifted = True
        if self._options.on_drift is not None:
            try:
                self._options.on_drift(alarm)
            except Exception as fault:
                logger.warning("on_drift raised %s: %s", type(fault).__name__, fault)


def _served(said: Credit, records: Sequence[CallRecord]) -> list[str]:
    """The models that had answered at a node in a run, once for each call."""
    return [
        r.model
        for r in records
        if r.run_id == said.run_id and r.node == said.node and r.model
        if r.error is None and not r.is_check
    ]
