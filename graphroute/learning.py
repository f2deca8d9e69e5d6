"""Learning, put together: what earlier runs left in the store and in an imported profile.

```
records.sqlite3 ─┐ the last calls of this graph
profile.json ────┼─► parts, no run twice ─► fold ─► evidence ─► + node classes ─► make_plan
this process ────┘
```
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from graphroute import registry
from graphroute.errors import GraphrouteError, InvalidValue
from graphroute.ir.catalog import Catalog
from graphroute.ir.evidence import Evidence
from graphroute.ir.feedback import Credit, Revision
from graphroute.ir.graph import Graph
from graphroute.ir.learned import DAY_S, LearnedProfile, Part, joined
from graphroute.ir.learned_file import load_profile
from graphroute.ir.learning import Learn
from graphroute.ir.node_class import class_of
from graphroute.ir.quality import success
from graphroute.ir.record import CallRecord
from graphroute.ir.sureness import Curve
from graphroute.ir.tally import Span
from graphroute.keeping import GiveFeedback
from graphroute.learners._fold import fold
from graphroute.learners._levels import with_classes
from graphroute.learners._loop import Learning
from graphroute.learners._refused import Refused
from graphroute.learners._retrainer import Retrainer
from graphroute.learners._sums import parts_of
from graphroute.learners._sureness import curves, pairs_of, passed
from graphroute.learners._watch import Watch
from graphroute.planning.retries import CheckRates
from graphroute.promoted import PlanJournal
from graphroute.protocols import DriftDetector, Learner, StepScorer
from graphroute.runtime.policy import Policy
from graphroute.runtime.shadow import Shadow
from graphroute.store.records import RecordStore

logger = logging.getLogger(__name__)

MOST_CALLS: Final = 3_000
"""Calls of a graph that are read back for a plan: the latest; reading them takes 0.1 to 0.2 s."""

MOST_TOLD: Final = 10
"""Different faults of learning that are logged; the same one is logged once."""

PROFILE: Final = "profile.json"
"""The imported profile, beside the records."""

Table = Mapping[tuple[str, str], Evidence]

_Read = TypeVar("_Read")
_Recorded = tuple[tuple[CallRecord, ...], tuple[tuple[Credit, str], ...]]
_NO_RECORDS: Final[_Recorded] = ((), ())


def _no_evidence() -> Table:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier runs of a graph left: the latest calls, judged answers by (node, model), and
    what feedback said of a node in a run, with the model that had served it.
    """

    records: tuple[CallRecord, ...] = ()
    evidence: Table = field(default_factory=_no_evidence)
    credits: tuple[tuple[Credit, str], ...] = ()


def stated(learn: object) -> Learn | None:
    """What `learn=` says: True or a `Learn` learns while the graph runs; None, False do not."""
    match learn:
        case Learn():
            return learn
        case True:
            return Learn()
        case None | False:
            return None
    raise InvalidValue(
        f"learn={learn!r}", value=learn, next_step="give True, False or graphroute.Learn(…)"
    )


def past_of(
    fingerprint: str, store: RecordStore | None, folder: Path, options: Learn | None = None
) -> Past:
    """What earlier runs of the graph left; what of it cannot be read is missing, with a warning."""
    records, credited = _readable(lambda: _recorded(fingerprint, store), _NO_RECORDS)
    imported = _readable(lambda: _imported(folder), LearnedProfile()).of(fingerprint)

    def joint() -> Past:
        own = LearnedProfile(parts=parts_of(records, credited))
        parts = joined(own, LearnedProfile(parts=imported)).parts
        evidence = _evidence(parts, options or Learn())
        return Past(records=records, evidence=evidence, credits=credited)

    return _readable(joint, Past(records=records))


def _readable(read: Callable[[], _Read], otherwise: _Read) -> _Read:
    try:
        return read()
    except Exception as fault:  # files are what others have made of them, and the graph must run
        told = isinstance(fault, (GraphrouteError, OSError))
        said = str(fault) if told else f"{type(fault).__name__}: {fault}"
        logger.warning("planned without what earlier runs showed: %s", said)
        return otherwise


def _recorded(fingerprint: str, store: RecordStore | None) -> _Recorded:
    """The latest calls in the store, and what feedback said of nodes since the first of them."""
    if store is None or not store.path.exists():
        return _NO_RECORDS
    span = Span(graph=fingerprint)
    records = tuple(store.records(span, limit=MOST_CALLS))
    since = replace(span, since_s=records[0].started_s) if records else span
    return records, store.credits(since)


def _imported(folder: Path) -> LearnedProfile:
    file = folder / PROFILE
    return load_profile(file.read_bytes()) if file.exists() else LearnedProfile()


def _evidence(parts: Sequence[Part], rates: Learn) -> Table:
    sums = fold(
        parts,
        today=int(time.time() // DAY_S),
        half_life=rates.half_life,
        half_life_days=rates.half_life_days,
    )
    return {
        key: Evidence(good=each.good, bad=each.bad)
        for key, each in sums.items()
        if each.answers > 0
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sureness:
    """How far models are right when they are sure.

    chances: by node and model, how many answers with a score are good; checks: by node, what that
        makes of its check
    """

    chances: Mapping[tuple[str, str], Curve]
    checks: Mapping[str, CheckRates]


def sureness_of(
    past: Past, graph: Graph, records: Sequence[CallRecord] = (), given: Sequence[Credit] = ()
) -> Sureness:
    """What earlier runs say of it.

    records, given: the calls of this process, and the feedback on them
    """
    nodes = [node for node in graph.nodes if node.may_call_model]
    # What is said again, perhaps in another process, stands in the place of what was said before.
    again = set(map(_key, given))
    stands = (each for each in past.credits if _key(each[0]) not in again)
    credited = (*stands, *((credit, "") for credit in given))
    calls = (*past.records, *records)[-MOST_CALLS:]
    found = curves(pairs_of(calls, credited), {node.name: class_of(node) for node in nodes})
    usual = {node.name: CheckRates.stated_by(node.hints.verify) for node in nodes}
    floors = {
        node.name: float(getattr(node.hints.verify, "at_least", 0.0))
        for node in nodes
        if usual[node.name] is not None
    }
    checks = {
        name: CheckRates.counted(
            good=good, good_passed=good_passed, bad=bad, bad_passed=bad_passed, usual=usual[name]
        )
        for name, (good, good_passed, bad, bad_passed) in passed(calls, found, floors).items()
    }
    return Sureness(chances=found, checks=checks)


def _key(said: Credit) -> tuple[str, str, str]:
    return said.run_id, said.node, said.source


def levelled(evidence: Table, graph: Graph, catalog: Catalog, scorer: StepScorer) -> Table:
    """The evidence with what like nodes add to it (`learners._levels`)."""
    nodes = [node for node in graph.nodes if node.may_call_model]
    if not evidence or len(nodes) < 2:
        return evidence
    expected: dict[tuple[str, str], float] = {}
    for node in nodes:
        stated_by_author = node.hints.complexity
        hard = scorer.step(node, graph).difficulty if stated_by_author is None else stated_by_author
        expected |= {(node.name, m.name): success(hard, m.ability) for m in catalog}
    return with_classes(
        evidence,
        classes={node.name: class_of(node) for node in nodes},
        models=catalog.names,
        expected=expected,
    )


def begun(
    options: Learn | None, past: Past, *, budget_nano: int | None, has_choice: bool, seed: int
) -> Learning:
    """The learning of one optimized graph; without `options` it only keeps count.

    has_choice: whether other models than the graph's own may serve at all
    """
    if options is None:
        return Learning(Learn(explore_share=0.0), start=past.evidence)
    learner = cast(Learner, _plugin(Learner, options.learner, seed=seed))
    _plugin(DriftDetector, options.detector, seed=seed)
    watch = Watch(
        share=_detectors(options.detector, of_amounts=False),
        amount=_detectors(options.detector, of_amounts=True),
    )
    watch.remember(past.records)
    return Learning(
        options,
        start=past.evidence,
        budget_nano=budget_nano,
        learner=learner if has_choice else None,
        watch=watch,
        refused=Refused(past.records),
    )


_CALLED: Final[Mapping[type, str]] = {Learner: "learner", DriftDetector: "detector"}
"""The two kinds of plugins of the family `learners`, as `Learn` calls them."""


def _plugin(kind: type, name: str, *, seed: int) -> object:
    """A plugin of one kind; `InvalidValue` with the names of that kind if there is none."""
    names = registry.names("learners")
    if name in names and isinstance(built := _seeded(name, seed), kind):
        return built
    known = [each for each in names if _is_of(kind, each)]
    raise InvalidValue(
        f"no {_CALLED[kind]} {name!r}",
        value=name,
        next_step=f"known {_CALLED[kind]}s: {', '.join(known)}",
    )


def _is_of(kind: type, name: str) -> bool:
    try:
        return isinstance(_seeded(name, 0), kind)
    except Exception:  # one that lacks a package, which is not what was asked about
        return False


def _seeded(name: str, seed: int) -> object:
    """The plugin of the family `learners`, with the seed if it draws anything."""
    takes = signature(registry.load("learners", name).build).parameters
    return registry.build("learners", name, **({"seed": seed} if "seed" in takes else {}))


def _detectors(name: str, *, of_amounts: bool) -> Callable[[], DriftDetector]:
    module = registry.load("learners", name)
    own = getattr(module, "FOR_AMOUNTS", {}) if of_amounts else {}
    return cast(Callable[[], DriftDetector], partial(module.build, **own))


def attach(
    learning: Learning,
    policy: Policy,
    *,
    keep: Callable[[CallRecord], None] | None,
    replan: Callable[[], Any] | None,
    retrainer: Retrainer | None = None,
    journal: PlanJournal | None = None,
) -> None:
    """Let every finished call teach, and let the plan follow.

    keep: takes each record as well; replan: called, in the thread of the call that ended, when
        enough is new; None where nobody plans by itself
    retrainer: told of answers that were judged, and of drift; journal: of plans that changed
    """

    def teach(record: CallRecord) -> None:
        alarms = len(learning.alarms)
        learning.note(record)
        new = learning.alarms[alarms:]
        if retrainer is not None:
            if new:
                retrainer.drifted()
            if record.quality is not None and record.features:
                retrainer.judged()
        if replan is not None and learning.is_due():
            before = policy.plan
            try:
                replan()
            except GraphrouteError as fault:
                logger.warning("the plan stays as it is: %s", fault)
            else:
                if journal is not None:
                    why = str(new[-1]) if new else "enough judged answers are new"
                    journal.planned(before, policy.plan, why=why)

    failed: set[str] = set()

    def sink(record: CallRecord) -> None:
        if keep is not None:
            keep(record)
        try:
            teach(record)
        except Exception as fault:  # a call that teaches nothing is still one that is kept
            told = f"{type(fault).__name__}: {fault}"
            if told not in failed and len(failed) < MOST_TOLD:
                failed.add(told)
                logger.warning("a call at node %r taught nothing: %s", record.node, told)

    policy.sink = sink
    if learning.shadows:
        policy.tap = Shadow(policy, learn=learning.judged_aside, answers=learning.answers.count)
    if (explorer := learning.explorer) is not None:
        policy.explore = lambda node, specs, in_tokens: explorer.challenger(
            node, specs, in_tokens=in_tokens, plan=policy.plan, hints=policy.hints_for(node)
        )


def taught_by(
    give: GiveFeedback, learning: Learning, policy: Policy, retrainer: Retrainer | None = None
) -> GiveFeedback:
    """Feedback that is learnt from as well."""

    def also(run_id: str, score: object, node: str | None, reason: str) -> Revision:
        alarms = learning.alarms
        said = give(run_id, score, node, reason)
        learning.credit(said, policy.records)
        if retrainer is not None:
            if learning.alarms != alarms:
                retrainer.drifted()
            retrainer.judged(sum(credit.weight for credit in said.added))
        return said

    return also
