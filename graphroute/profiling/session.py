"""One profiling session: what is there, what may be asked, and what is known so far.

```
examples ─ run once ─► recorded calls ─┬─► calls × candidates ─ by worth ─► outcomes ─► figures
                                       └─ the run's own models have answered theirs already
```
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphroute.errors import BudgetExceeded
from graphroute.ir.hints import NANO
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.ir.verdict import Check, Verdict, verdict_of
from graphroute.profiling.calls import RecordedCall, recorded
from graphroute.profiling.examples import Example
from graphroute.profiling.journal import Journal
from graphroute.profiling.judging import end_score, judged
from graphroute.profiling.outcome import NodeOutcome, RunOutcome
from graphroute.profiling.replayer import Ran, Replayer
from graphroute.runtime import verifying
from graphroute.runtime.tap import Heard
from graphroute.store.rows import without_text

Score = Callable[[Any, Example], float]
"""How good an end state is, in [0, 1], for the example it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a session is: replays done of those there are, or of the runs before them."""

    doing: str
    done: int
    total: int
    spent_usd: float


@dataclass(kw_only=True, eq=False)
class Session:
    """State of one call of `profile()`.

    candidates: models to ask by node, those of the run among them; base: the run's model by node
    skipped: why a node's calls are not replayed, by node
    keep: takes the record of each answer, to learn from it in later plans
    until_s: when to stop, on `clock`; None: no limit
    needed_usd: budget with which an input can be run, by the plan's estimate
    stopped: why not all inputs were run, `""` where they were
    """

    examples: Sequence[Example]
    replayer: Replayer
    journal: Journal
    base: Mapping[str, str]
    candidates: Mapping[str, tuple[str, ...]]
    skipped: Mapping[str, str]
    judge: Check | None = None
    score: Score | None = None
    keep: Callable[[CallRecord], None] | None = None
    progress: Callable[[Progress], None] = lambda _: None
    seed: int = 0
    workers: int = 1
    until_s: float | None = None
    clock: Callable[[], float] = time.monotonic
    notes: list[str] = field(default_factory=list)
    needed_usd: float = 0.0
    stopped: str = ""
    _warm: set[str] = field(default_factory=set)

    @property
    def plan(self) -> Plan:
        """The plan from priors."""
        return self.replayer.plan

    def check_of(self, node: str) -> Check | None:
        """The node's own check."""
        hints = self.replayer.hints.get(node)
        return None if hints is None else hints.verify

    @property
    def spent_nano(self) -> int:
        """What this profile has cost so far, in all its sessions."""
        return self.replayer.ledger.spent_nano

    @property
    def left_usd(self) -> float | None:
        """What may still be spent; None without a limit."""
        left = self.replayer.ledger.available_nano
        return None if left is None else left / NANO

    @property
    def seconds_left(self) -> float | None:
        """Until the session has to stop; None without a limit."""
        return None if self.until_s is None else max(0.0, self.until_s - self.clock())

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return self.seconds_left == 0.0

    def run_id(self, example: Example) -> str:
        """The same in every session: a profile of a run counts once, however often it is merged."""
        parts = (self.plan.graph.fingerprint, str(self.seed), example.key)
        return f"profile-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"

    # -- runs of the whole graph

    def record(self, *, most_usd: float | None) -> None:
        """Run the graph once on each example that has not been run, in the order of the seed.

        most_usd: stop when that much is spent, so that something is left for the replays
        """
        todo = [each for each in self.shuffled_examples() if each.key not in self.journal.runs]
        for done, example in enumerate(todo):
            self.progress(self.at("runs", done, len(todo)))
            if self.is_late or (most_usd is not None and self.spent_nano >= most_usd * NANO):
                what = "time" if self.is_late else "budget"
                why = f"the {what} would not have been enough for the replays"
                self._stop(len(todo) - done, why, is_short=not self.is_late)
                return
            ran = self.replayer.run(example, self.base, run_id=self.run_id(example))
            if isinstance(ran.error, BudgetExceeded):
                self.journal.add_spending(spent_nano=self.spent_nano)
                why = f"the budget ended the runs: {ran.error}"
                self._stop(len(todo) - done, why, is_short=True)
                return
            self._take(example, ran)

    def _stop(self, missing: int, why: str, *, is_short: bool) -> None:
        self.stopped = f"{missing} of {len(self.examples)} inputs were not run: {why}"
        if is_short and not self.journal.runs:
            self.stopped += f"; the first needs a budget of about ${self.needed_usd:.6f}"
        self.notes.append(self.stopped)

    def _take(self, example: Example, ran: Ran) -> None:
        """Keep the calls of a run, and what the run's own models answered them."""
        visits: dict[str, int] = defaultdict(int)
        calls, outcomes = [], []
        for heard in ran.heard:
            node = heard.record.node
            call = recorded(heard, example=example.key, visit=visits[node])
            visits[node] += 1
            calls.append(call)
            if heard.record.cache is None and call.key not in self.journal.calls:
                outcomes.append(self._outcome(call, heard.record, self.verdict(call, heard)))
        error = None if ran.error is None else self._told(ran.error)
        run = RunOutcome(example=example.key, score=self.score_of(example, ran), error=error)
        self.journal.add_run(run, calls, outcomes, spent_nano=self.spent_nano)
        for outcome in outcomes:
            self.learn(outcome)

    def _told(self, error: Exception) -> str:
        """What ended a run; only its kind where it may quote what a private node was told."""
        kind = type(error).__name__
        is_private = any(each.privacy_local for each in self.plan.assignments)
        return kind if is_private else f"{kind}: {error}"[:500]

    def score_of(self, example: Example, ran: Ran) -> float | None:
        """How good the end of a run is; None where there is none, or nothing to tell by."""
        if ran.error is not None or ran.is_paused:
            return None
        if self.score is not None:
            try:
                given: object = self.score(ran.state, example)
            except Exception as fault:  # what was paid for so far must not be lost over it
                given = fault
            if not (said := verdict_of(given)).is_known:
                # No more than the kind: it may quote what a private node was told.
                self.notes.append(f"score= gave a {type(given).__name__} that is none in [0, 1]")
            return said.score
        return None if example.expected is None else end_score(example.expected, ran.state)

    # -- single calls

    def verdict(self, call: RecordedCall, heard: Heard) -> Verdict | None:
        """What reference, check or judge say of an answer; what a model is asked for it is paid."""
        payer = self.replayer.payer(call)
        with verifying.within(payer):
            found = judged(
                call.messages,
                heard.answer,
                reference=self.reference(call),
                check=self.check_of(call.node),
                judge=self.judge,
            )
        for asked in payer.policy.records:
            if self.keep is not None:
                self.keep(asked)
        return found

    def ask(self, call: RecordedCall, model: str) -> NodeOutcome | None:
        """Replay a call on a model; None where the money does not suffice for it."""
        reply = self.replayer.ask(call, model)
        if reply.record is None:
            self.journal.add_spending(spent_nano=self.spent_nano)
            return None
        said = None
        if reply.heard is not None:
            said = self.verdict(call, reply.heard)
        return self._outcome(call, reply.record, said)

    def add(self, outcome: NodeOutcome) -> None:
        """Keep an answer."""
        self.journal.add_outcome(outcome, spent_nano=self.spent_nano)
        self.learn(outcome)

    def learn(self, outcome: NodeOutcome) -> None:
        """Let later plans have what was seen."""
        if self.keep is not None:
            self.keep(outcome.record)

    def _outcome(
        self, call: RecordedCall, record: CallRecord, verdict: Verdict | None
    ) -> NodeOutcome:
        is_first = record.model not in self._warm
        self._warm.add(record.model)
        if verdict is not None:
            record = replace(record, verdicts=(verdict,), quality=verdict.quality)
        if record.is_private:
            record = without_text(record)
        return NodeOutcome(call=call.key, record=record, is_first=is_first)

    def reference(self, call: RecordedCall) -> Any:
        """The right answer of a call; None where the inputs do not say it."""
        for example in self.examples:
            if example.key == call.example:
                return example.reference_for(call.node, call.visit)
        return None

    def calls_of(self, node: str) -> tuple[RecordedCall, ...]:
        """A node's calls in the order of the seed, which is the same for all models."""
        found = [call for call in self.journal.calls.values() if call.node == node]
        return tuple(sorted(found, key=lambda call: self._draw(call.key)))

    def shuffled_examples(self) -> tuple[Example, ...]:
        """The examples in the order of the seed."""
        return tuple(sorted(self.examples, key=lambda each: self._draw(each.key)))

    def _draw(self, key: str) -> str:
        return hashlib.sha256(f"{self.seed}|{key}".encode()).hexdigest()

    def at(self, doing: str, done: int, total: int) -> Progress:
        """How far the session is with one of its parts."""
        return Progress(doing=doing, done=done, total=total, spent_usd=self.spent_nano / NANO)
