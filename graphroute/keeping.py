"""What an optimized graph keeps beyond its process, put together: store, picture, feedback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_data_path

from graphroute.errors import InvalidValue, StoreUnavailable
from graphroute.ir.feedback import Feedback, Revision
from graphroute.ir.plan import Plan
from graphroute.ir.storage import Store
from graphroute.ir.tally import Shape, Span
from graphroute.report.span import SpanReport
from graphroute.runtime.feedback import check_run, shares, verdict_given
from graphroute.runtime.policy import Policy
from graphroute.store.records import DAY_S, FILE, RecordStore

GiveFeedback = Callable[[str, object, str | None, str], Revision]
History = Callable[[float | None, float | None], SpanReport]


def home() -> Path:
    """The folder for what outlives a run: `GRAPHROUTE_HOME`, else the user's data folder."""
    return Path(os.environ.get("GRAPHROUTE_HOME") or user_data_path("graphroute"))


def stated(store: object) -> Store:
    """What `optimize(store=…)` says: a folder, a `Store`, or False for no records."""
    match store:
        case Store():
            return store
        case None | True:
            return Store()
        case False:
            return Store(records=False)
        case str() | Path():
            return Store(folder=store)
    raise InvalidValue(
        f"store={store!r}",
        value=store,
        next_step="give a folder, graphroute.Store(…), or False for no records",
    )


def folder(store: Store) -> Path:
    """The folder that a `Store` means."""
    return home() if store.folder is None else Path(store.folder)


def record_store(store: Store) -> RecordStore | None:
    """The records of a `Store`, None where it keeps none; no file is touched before the first."""
    if not store.records:
        return None
    return RecordStore(
        folder(store) / FILE,
        max_rows=store.max_rows,
        max_age_s=store.max_age_days * DAY_S,
        keep_text=store.keep_text,
    )


def shape_of(plan: Plan) -> Shape:
    """Nodes and edges of the planned graph, without prompts."""
    graph = plan.graph
    return Shape(
        name=graph.name,
        fingerprint=graph.fingerprint,
        nodes=tuple(node.name for node in graph.nodes),
        edges=tuple((edge.source, edge.target, edge.probability) for edge in graph.edges),
    )


def history_of(policy: Policy, kept: RecordStore | None) -> History | None:
    """`fast.history`: the report of a span over this graph's records."""
    if kept is None:
        return None

    def history(since_s: float | None, until_s: float | None) -> SpanReport:
        graph = policy.plan.graph.fingerprint
        return SpanReport.of(kept.tally(Span(since_s=since_s, until_s=until_s, graph=graph)))

    return history


def feedback_on(policy: Policy, kept: RecordStore | None) -> GiveFeedback:
    """`fast.feedback`: checks what is said, and hands it to the policy and the store."""

    def give(run_id: str, score: object, node: str | None, reason: str) -> Revision:
        verdict = verdict_given(score, reason=reason)
        graph = policy.plan.graph
        ran = dict.fromkeys(record.node for record in policy.records if record.run_id == run_id)
        if not ran and kept is not None:
            try:
                ran = dict.fromkeys(kept.nodes_of(run_id, graph=graph.fingerprint))
            except StoreUnavailable:
                ran = {}  # then it is a run that nobody can tell anything about
        check_run(run_id, node, tuple(ran))
        said = Feedback(run_id=run_id, verdict=verdict, node=node, at_s=time.time())
        weights = {a.node: a.weight for a in policy.plan.assignments}
        credited = shares(said, ran, weights)
        if kept is not None:
            kept.judge(said, credited, graph=graph.fingerprint, graph_name=graph.name)
        return policy.credit(said, credited)

    return give
