"""`profile()`: the steps of a profile in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from graphroute import keeping
from graphroute.compilation import compilation
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.storage import Store
from graphroute.ir.verdict import Check
from graphroute.pool import Models
from graphroute.profiling.examples import examples
from graphroute.profiling.influence import intervene
from graphroute.profiling.journal import Journal
from graphroute.profiling.replayer import replayer_of
from graphroute.profiling.result import NodeProfileReport, result_of
from graphroute.profiling.sampling import is_judged, sample
from graphroute.profiling.session import Progress, Score, Session
from graphroute.profiling.setup import (
    acting_calls,
    against_reruns,
    base_of,
    candidates_of,
    check_references,
    checked,
    finder,
    prices_under,
    run_usd_of,
    skipped_of,
)
from graphroute.runtime.ledger import Ledger

RUNS_SHARE: Final = 0.5
"""Most of the budget that the runs of the whole graph may take; the rest is for the replays."""

INFLUENCE_SHARE: Final = 0.15
"""Part of what is left after the runs that is kept for the interventions."""


def profile(
    graph: Any,
    inputs: Iterable[Any],
    *,
    models: Models = None,
    budget: float | None = None,
    per_run: float | None = None,
    nodes: Mapping[str, RouteHints] | None = None,
    judge: Check | None = None,
    score: Score | None = None,
    skip: Iterable[str] = (),
    influence: bool | Literal["auto"] = "auto",
    influence_runs: int = 8,
    state: Path | None = None,
    store: str | Path | Store | bool | None = None,
    max_s: float | None = None,
    workers: int = 1,
    is_async: bool = False,
    seed: int = 0,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> NodeProfileReport:
    """Measure the models of a pool at the nodes of a graph.

    inputs: see `profiling.examples`; models, nodes, store, seed: as of `optimize()`
    budget: US dollars that the profile may cost, in all its sessions; None for no limit
    per_run: what a run of the graph may cost later, so that answers which matter under that limit
        are asked first; None: answers that matter under any
    judge: asked where neither a reference nor `verify=` can tell; paid from `budget`, and not
        asked where too little is left
    score: how good an end state is, in [0, 1]; None: the share of `expected` it has
    skip: nodes whose calls are not replayed
    influence: True runs the graph's code again, False does not, `"auto"` where that is proven to do
        no harm; influence_runs: inputs of which that is done for each node
    state: file to go on from in a later call; it holds prompts, though none of private nodes
    max_s: seconds after which nothing new is begun; workers: replays at the same time
    is_async: the graph's nodes must be awaited

    Raises what `optimize()` raises for models and nodes it cannot use, and `InvalidValue`.
    """
    checked(budget, "budget", low=0.0)
    checked(per_run, "per_run", low=0.0)
    checked(max_s, "max_s", low=0.0)
    checked(workers, "workers", low=1, whole=True)
    checked(influence_runs, "influence_runs", low=0, whole=True)
    began_s = clock()
    listed = examples(inputs)
    job = compilation(graph, models=models, nodes=nodes, store=store, seed=seed, learn=False)
    there = job.inventory(is_budgeted=budget is not None or per_run is not None)
    walked, pool = there.walked, there.pool
    prices = None if per_run is None else prices_under(per_run, job, there)
    skipped = dict(skipped_of(walked.graph, skip))
    check_references(listed, walked.graph)
    plan = job.plan(there)
    journal = Journal(state)
    journal.begin({"graph": plan.graph.fingerprint, "seed": seed}, finder(walked, pool))
    ledger = Ledger(limit_nano=Budget(per_run_usd=budget).per_run_nano)
    if (before := ledger.reserve(0)) is not None:
        # Sessions before this one have spent from the same budget.
        ledger.settle(before, journal.spent_nano)
    records = keeping.record_store(job.kept)
    if records is not None:
        records.describe(keeping.shape_of(plan))
    replayer = replayer_of(job, there, plan, ledger, is_async=is_async)
    base = base_of(plan, walked.graph, pool)
    session = Session(
        examples=listed,
        replayer=replayer,
        journal=journal,
        base=base,
        candidates=candidates_of(plan),
        skipped=skipped,
        judge=judge,
        score=score,
        keep=None if records is None else records.add,
        progress=progress,
        seed=seed,
        workers=workers,
        until_s=None if max_s is None else began_s + max_s,
        clock=clock,
        needed_usd=run_usd_of(plan, base, pool.catalog) / RUNS_SHARE,
    )
    session.record(most_usd=None if budget is None else RUNS_SHARE * budget)
    skipped |= acting_calls(journal.calls.values())
    harm = None if influence is not False else "nobody asked for it"
    if influence == "auto":
        harm = against_reruns(job.graph, walked.graph)
    keeps = INFLUENCE_SHARE if harm is None and influence_runs else 0.0
    sample(session, prices=prices, keep_usd=keeps * (session.left_usd or 0.0))
    # Of no run there is nothing to measure; what stopped them is told.
    if influence_runs and journal.runs:
        _intervene(session, harm, influence_runs)
    _remark(session)
    if records is not None:
        # Whoever plans next, in this process or another, is to find it.
        records.flush()
    return result_of(session, took_s=clock() - began_s)


def _intervene(session: Session, harm: str | None, runs: int) -> None:
    if harm is not None:
        session.notes.append(f"influence on the end was not measured: {harm}")
    elif all(run.score is None for run in session.journal.runs.values()):
        session.notes.append(
            "influence on the end was not measured: nothing tells how good an end is; give "
            "'expected' with the inputs, or a score"
        )
    else:
        intervene(session, runs=runs)


def _remark(session: Session) -> None:
    """Say what the figures do not."""
    journal, say = session.journal, session.notes.append
    if failed := [run for run in journal.runs.values() if run.error]:
        say(
            f"{len(failed)} of {len(journal.runs)} runs failed, the first with {failed[0].error}; "
            "their calls up to then are profiled"
        )
    if journal.lost_calls:
        say(f"{journal.lost_calls} recorded calls are on models that this process does not have")
    partly = sum(not run.is_whole for run in journal.runs.values())
    if partly and journal.path is not None:
        say(
            f"of {partly} runs some calls are not in the state file, because they are private or "
            "have arguments that no file can hold: a later session cannot replay them"
        )
    if not journal.runs:
        return
    named = {name for each in session.examples for name in each.reference}
    called = {call.node for call in journal.calls.values()}
    for node in sorted(named - called - session.candidates.keys()):
        say(f"{node}: its 'reference' judged nothing, since no model was called there")
    for node in session.candidates:
        if node not in session.skipped and not session.calls_of(node):
            say(f"{node}: no run came there")
        elif node not in session.skipped and not is_judged(session, node):
            say(
                f"{node}: nothing tells a good answer from a bad one; give it verify=, the inputs "
                "a 'reference', or a judge"
            )
