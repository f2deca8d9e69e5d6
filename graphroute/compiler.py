"""Assembly: the only place where names become objects and the parts become one optimized graph.

```
compilation ─ inventory ─► what is there ─ make_plan ─► Plan ─┐
            caches, admission, records, learning ─────────────┴─► routed graph
```
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphroute import keeping, learning, retraining, serving
from graphroute.compilation import Inventory, compilation
from graphroute.errors import InfeasibleBudget
from graphroute.ir.facts import Observed
from graphroute.ir.hints import Budget, Objective, RouteHints
from graphroute.ir.learning import Learn
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.ir.rest import Happened
from graphroute.ir.storage import Store
from graphroute.learning import Past
from graphroute.memory import MemoryLimit
from graphroute.planning.observe import observe
from graphroute.pool import Models, looked_up
from graphroute.promoted import PlanJournal
from graphroute.protocols import BatchPolicy, Cache, PromptScorer
from graphroute.providers._openai_batch import service_for
from graphroute.report import Report
from graphroute.runtime.node_check.checks import NodeChecks
from graphroute.runtime.policy import Policy
from graphroute.runtime.routed_graph import Routing, wrap
from graphroute.scorers.shares import share_of

logger = logging.getLogger(__name__)


def plan(
    graph: Any,
    *,
    models: Models = None,
    budget: float | Budget | None = None,
    objective: Objective = "quality",
    deadline_s: float | None = None,
    nodes: Mapping[str, RouteHints] | None = None,
    scorer: str | PromptScorer = "auto",
    cache: bool | str | Cache | None = None,
    batch: str | BatchPolicy | None = None,
    store: str | Path | Store | bool | None = None,
    memory_limit_bytes: MemoryLimit = "auto",
    learn: bool | Learn | None = None,
    seed: int = 0,
) -> Plan:
    """The plan `optimize()` would run by; opens no model and runs nothing.

    The arguments are those of `optimize()`. Where no assignment keeps every limit the plan says so
    (`plan.feasible` False, `plan.infeasible` with the smallest budget that works).
    """
    job = compilation(
        graph,
        models=models,
        budget=budget,
        objective=objective,
        deadline_s=deadline_s,
        nodes=nodes,
        scorer=scorer,
        cache=cache,
        batch=batch,
        store=store,
        memory_limit_bytes=memory_limit_bytes,
        learn=learn,
        seed=seed,
    )
    there = job.inventory()
    past = job.past(there, keeping.record_store(job.kept))
    seen = _observed(past, (), there)
    return job.plan(
        there,
        observed=seen,
        judged=past.evidence,
        prompts=job.in_use(job.prompts()),
        checks=learning.sureness_of(past, there.walked.graph).checks,
    )


def optimize(
    graph: Any,
    *,
    models: Models = None,
    budget: float | Budget | None = None,
    objective: Objective = "quality",
    deadline_s: float | None = None,
    nodes: Mapping[str, RouteHints] | None = None,
    scorer: str | PromptScorer = "auto",
    cache: bool | str | Cache | None = None,
    batch: str | BatchPolicy | None = None,
    store: str | Path | Store | bool | None = None,
    memory_limit_bytes: MemoryLimit = "auto",
    learn: bool | Learn | None = None,
    seed: int = 0,
) -> Any:
    """A stand-in for a compiled LangGraph graph whose model calls follow a plan.

    graph: a compiled graph (or what `@entrypoint` makes); it is not changed
    models: None: only the models the graph already uses, so nothing changes but the records;
        `"auto"`: those and every model an Ollama server on this machine has; or a list of names
        (`"provider:model"`), LangChain chat models and `Model` values
    budget: US dollars per run, or a `Budget`; None for no limit
    objective: `"quality"` (best within the budget), `"cost"` (cheapest that keeps each node's
        `min_quality`) or `"latency"`
    deadline_s: seconds the critical path may take
    nodes: facts about nodes by name (`"parent/child"` in subgraphs), as `@route` gives them
    scorer: name of a prompt scorer, or one; `"auto"` is the lexical one
    cache: None: answers at temperature 0 are kept in memory and given again; True: all answers, in
        memory and in `store`; False: none; or `"memory"`, `"disk"`, or a `protocols.Cache`
    batch: how calls of a fan-out go together: None is `"immediate"`; see docs/batching.md
    store: folder of the records, the day and month ledger and the cache (default `GRAPHROUTE_HOME`,
        else the user's data folder); a `Store` says what is kept there, False keeps no records
    memory_limit_bytes: what local models may hold together; `"auto"`: what this machine has free,
        where not all of them would fit; None for no limit
    learn: None: a plan starts from what earlier recorded runs of the graph showed; True or a
        `Learn`: moreover, while it runs, drift is looked for, a share of the budget goes to trying
        other models, and the graph is planned again as it learns; False: earlier runs do not count
    seed: for whatever is drawn at random; the same input, records and seed give the same plan

    Returns an object of the graph's own class with `plan`, `records`, `report()`, `replan()`,
    `feedback(run_id, score, node=None)` and `last_run_id`.
    Raises `InfeasibleBudget`, `UnknownNode`, `UnknownModel`, `UnknownPrice`, `InvalidValue`.

    >>> from langgraph.graph import START, StateGraph
    >>> from graphroute import Model, optimize
    >>> from graphroute.providers.scripted import ScriptedChat
    >>> strong, weak = ScriptedChat(name="strong"), ScriptedChat(name="weak", replies=["cheap"])
    >>> builder = StateGraph(dict)
    >>> _ = builder.add_node("draft", lambda state: {"text": strong.invoke(state["text"]).text})
    >>> _ = builder.add_edge(START, "draft")
    >>> graph = builder.compile()
    >>> fast = optimize(graph, models=[Model("scripted:weak", weak, local=True)])
    >>> fast.invoke({"text": "hello"})["text"], graph.invoke({"text": "hello"})["text"]
    ('cheap', 'ok')
    """
    job = compilation(
        graph,
        models=models,
        budget=budget,
        objective=objective,
        deadline_s=deadline_s,
        nodes=nodes,
        scorer=scorer,
        cache=cache,
        batch=batch,
        store=store,
        memory_limit_bytes=memory_limit_bytes,
        learn=learn,
        seed=seed,
    )
    records = keeping.record_store(job.kept)
    there = job.inventory()
    past = job.past(there, records)
    seen = _observed(past, (), there)
    base = job.prompts()
    prompts = job.in_use(base)
    sure = learning.sureness_of(past, there.walked.graph)
    made = _begun(
        job.plan(there, observed=seen, judged=past.evidence, prompts=prompts, checks=sure.checks),
        lambda why: job.plan(there.warned(why), prompts=prompts),
    )
    is_bound = job.budget.is_limited or job.deadline_s is not None or job.objective == "cost"
    if is_bound and made.assignments:
        made.rest(Happened())  # builds its tables now, not inside the first run that needs them
    for warning in made.graph.warnings:
        logger.warning("%s", warning)
    pool = there.pool
    served = serving.caches(job.cache, store=job.store)
    options = learning.stated(job.learn)
    policy = Policy(
        plan=made,
        catalog=pool.catalog,
        own=pool.own,
        open=pool.open,
        look_up=looked_up,
        budget=job.budget,
        hints=there.hints,
        keeps_own=job.models is None,
        periods=job.periods(),
        prompts=prompts,
        text_share=share_of(prompts),
        chats=pool.chats,
        answers=served.answers,
        outputs=served.outputs(there.outputs, made.graph.name),
        node_checks=NodeChecks(there.checked) if there.checked else None,
        admission=serving.admission(there.batching, store=job.store, seed=job.seed),
        batch_service=service_for,
        keep_text=job.kept.keep_text,
        features=retraining.features(options, base),
        chances=sure.chances,
    )
    if records is not None:
        records.describe(keeping.shape_of(made))

    def replan() -> Plan:
        now = job.inventory()
        seen = _observed(past, policy.records, now)
        prompts = job.in_use(base)
        sure = learning.sureness_of(past, now.walked.graph, policy.records, policy.credits)
        made = _feasible(
            job.plan(
                now,
                observed=seen,
                judged=learnt.evidence(),
                prompts=prompts,
                checks=sure.checks,
            )
        )
        if made.prompt_scorer != policy.plan.prompt_scorer:
            policy.score_by(prompts, share=share_of(prompts))
        policy.plan = made
        policy.catalog, policy.own = now.pool.catalog, now.pool.own
        policy.open, policy.chats = now.pool.open, now.pool.chats
        policy.chances = sure.chances
        return made

    learnt = learning.begun(
        options,
        past,
        budget_nano=job.budget.per_run_nano,
        has_choice=job.models is not None,
        seed=job.seed,
    )
    retrainer = retraining.beside(options, records, job.store, base, then=replan)
    learning.attach(
        learnt,
        policy,
        keep=None if records is None else records.add,
        replan=None if options is None else replan,
        retrainer=retrainer,
        journal=None if records is None else PlanJournal(job.store),
    )

    def report(shared: Policy) -> Report:
        return Report.of(shared.records, plan=shared.plan, alarms=learnt.alarms)

    feedback = learning.taught_by(keeping.feedback_on(policy, records), learnt, policy, retrainer)
    routing = Routing(
        policy,
        report=report,
        replan=replan,
        feedback=feedback,
        history=keeping.history_of(policy, records),
        store=records,
    )
    return wrap(job.graph, routing)


def _observed(past: Past, records: Sequence[CallRecord], inventory: Inventory) -> Observed | None:
    """What earlier runs and those of this process showed of branches, loops and tokens."""
    if not past.records and not records:
        return None
    overhead = {spec.name: spec.overhead_tokens for spec in inventory.pool.catalog}
    latest = (*past.records, *records)[-learning.MOST_CALLS :]
    return observe(latest, inventory.walked.graph, overhead=overhead)


def _begun(made: Plan, afresh: Callable[[str], Plan]) -> Plan:
    """The plan to begin with: where only earlier runs stand against any, one that leaves them out.

    What a graph has shown must not keep it from starting; the limits hold in its runs all the same.
    afresh: plans without earlier runs, and with this warning
    """
    if made.infeasible is None:
        return made
    why = f"planned without what earlier runs showed, by which {made.infeasible.message}"
    found = afresh(why)
    return found if found.infeasible is None else _feasible(made)


def _feasible(made: Plan) -> Plan:
    if made.infeasible is None:
        return made
    raise InfeasibleBudget(
        made.infeasible.message,
        limit=made.infeasible.limit,
        value=made.infeasible.value,
        needed=made.infeasible.needed,
    )
