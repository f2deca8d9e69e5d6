"""Assembly: the only place where names become objects and the parts become one optimized graph.

```
graph ─ walk ─► Graph ─┬─ passes, scorer ─► Profile ─► Problem ─ solver ─► Plan ─┐
models ─ pool ─► Catalog ┘                                                        ├─► routed graph
               └─ open(name) ─────────────────────────────────────────────────────┘
```
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphroute import keeping, learning, memory, registry, serving
from graphroute.errors import GraphrouteError, InfeasibleBudget, InvalidValue
from graphroute.frontend.cacheable import cacheable, noted
from graphroute.frontend.langgraph import Walked, walk
from graphroute.ir.evidence import Evidence
from graphroute.ir.facts import Observed
from graphroute.ir.graph import Graph, Node
from graphroute.ir.hints import Budget, Objective, RouteHints
from graphroute.ir.learning import Learn
from graphroute.ir.node_cache import CacheableNode, Caching
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.ir.rest import Happened
from graphroute.ir.storage import Store
from graphroute.keeping import home as home
from graphroute.learning import Past
from graphroute.memory import MemoryLimit
from graphroute.planner import make_plan
from graphroute.planning.observe import observe
from graphroute.pool import Models, Pool, build_pool
from graphroute.protocols import BatchPolicy, Cache, PromptScorer, StepScorer
from graphroute.providers._openai_batch import service_for
from graphroute.report import Report
from graphroute.runtime.canonical import digest
from graphroute.runtime.periods import PeriodLedger
from graphroute.runtime.policy import Policy
from graphroute.runtime.routed_graph import Routing, unwrap, wrap
from graphroute.scorers.shares import share_of

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Everything `optimize()` was asked for, so that it can be planned again."""

    graph: Any
    models: Models
    budget: Budget
    objective: Objective
    deadline_s: float | None
    nodes: Mapping[str, RouteHints]
    scorer: str | PromptScorer
    store: Path
    seed: int
    cache: bool | str | Cache | None = None
    batch: str | BatchPolicy | None = None
    memory_limit_bytes: MemoryLimit = "auto"
    kept: Store = field(default_factory=Store)
    learn: bool | Learn | None = None

    def walked(self) -> Walked:
        """The graph as data, with the hints of `@route` and `nodes=`."""
        return walk(self.graph, hints=self.nodes)

    def pool(self, walked: Walked) -> Pool:
        """The models a plan may choose from."""
        return build_pool(self.models, walked.chats, budgeted=self.budget.is_limited)

    def planned(self, walked: Walked, pool: Pool) -> Graph:
        """The graph that is planned: without `models=`, each node keeps to its own."""
        if self.models is None:
            return _with_own_models_only(walked.graph, pool.catalog.names)
        return walked.graph

    def past(self, walked: Walked, pool: Pool) -> Past:
        """What earlier runs of this graph left behind, in this process or any other."""
        if self.learn is False:
            return Past()
        records = keeping.record_store(self.kept)
        options = learning.stated(self.learn)
        return learning.past_of(
            self.planned(walked, pool).fingerprint, records, self.store, options
        )

    def plan(
        self,
        walked: Walked,
        pool: Pool,
        *,
        observed: Observed | None = None,
        judged: Mapping[tuple[str, str], Evidence] | None = None,
    ) -> Plan:
        """Plan over the pool; a pool of the graph's own models leaves every node its own.

        observed, judged: what earlier runs showed, and how their answers were found
        """
        graph = self.planned(walked, pool)
        step_scorer = registry.build("scorers", "structural")
        if not isinstance(step_scorer, StepScorer):  # pragma: no cover - contract-tested
            raise TypeError("scorer 'structural' scores no steps")
        limit = memory.limit_bytes(self.memory_limit_bytes, pool.catalog)
        make = partial(
            make_plan,
            catalog=pool.catalog,
            budget=self.budget,
            objective=self.objective,
            deadline_s=self.deadline_s,
            seed=self.seed,
            step_scorer=step_scorer,
            observed=observed,
            qualities=learning.levelled(judged or {}, graph, pool.catalog, step_scorer),
        )

        def plan_graph(graph: Graph, *, memory_limit_bytes: int | None) -> Plan:
            made = make(graph, memory_limit_bytes=memory_limit_bytes)
            packs = serving.packings(self.batch, graph, pool.catalog, made, store=self.store)
            if not packs:
                return made
            return make(graph, memory_limit_bytes=memory_limit_bytes, packings=packs)

        decided = self.cacheable(walked)[1]
        graph = noted(graph, decided)
        refused = (str(each) for each in decided if not each.is_on)
        remarks = (*graph.warnings, *pool.warnings, *_remarks(graph, self.batch), *refused)
        if limit is None or self.memory_limit_bytes != "auto":
            return plan_graph(replace(graph, warnings=remarks), memory_limit_bytes=limit)
        room = f"{limit / 1e9:.1f} GB of memory for local models"
        said = f"{room}: not all of the pool's fit in it at once"
        found = plan_graph(replace(graph, warnings=(*remarks, said)), memory_limit_bytes=limit)
        if _lacks_memory(found):
            # What is free now is no promise, and a graph that ran before must run.
            said = f"{room} are free, too little for any plan: planned without that limit"
            found = plan_graph(replace(graph, warnings=(*remarks, said)), memory_limit_bytes=None)
        return found

    def cacheable(self, walked: Walked) -> tuple[tuple[CacheableNode, ...], tuple[Caching, ...]]:
        """The nodes whose outputs are kept, and the reason for each node that asks for it."""
        if self.cache is False:
            return (), ()
        return cacheable(self.graph, walked.graph, digest=digest)

    def periods(self) -> PeriodLedger | None:
        """The ledger of day and month budgets; a file is touched only where one is set."""
        day, month = self.budget.per_day_nano, self.budget.per_month_nano
        if day is None and month is None:
            return None
        return PeriodLedger(self.store / "ledger.sqlite3", day_nano=day, month_nano=month)

    def prompts(self) -> PromptScorer | None:
        """The scorer that looks at each prompt; None, logged, where the default one is broken."""
        if not isinstance(self.scorer, str):
            return self.scorer
        try:
            scorer = registry.build("scorers", "lexical" if self.scorer == "auto" else self.scorer)
        except GraphrouteError as fault:
            if self.scorer != "auto":
                raise
            logger.warning("prompts are not scored: %s", fault)
            return None
        if not isinstance(scorer, PromptScorer):
            raise InvalidValue(
                f"scorer {self.scorer!r} does not score prompts",
                value=self.scorer,
                next_step="use 'lexical', or pass an object with difficulty(prompts)",
            )
        return scorer


def compilation(
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
) -> Compilation:
    """Check the arguments of `optimize()` and keep them."""
    limits = budget if isinstance(budget, Budget) else Budget(per_run_usd=budget)
    kept = keeping.stated(store)
    memory.check(memory_limit_bytes)
    learning.stated(learn)
    for name, hints in (nodes or {}).items():
        if not isinstance(hints, RouteHints):
            raise InvalidValue(
                f"nodes[{name!r}] is {type(hints).__name__}",
                node=name,
                next_step="use RouteHints(…)",
            )
    return Compilation(
        graph=unwrap(graph) if hasattr(graph, "__dict__") else graph,
        models=models,
        budget=limits,
        objective=objective,
        deadline_s=deadline_s,
        nodes=dict(nodes or {}),
        scorer=scorer,
        store=keeping.folder(kept),
        kept=kept,
        seed=seed,
        cache=cache,
        batch=batch,
        memory_limit_bytes=memory_limit_bytes,
        learn=learn,
    )


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
    walked = job.walked()
    pool = job.pool(walked)
    past = job.past(walked, pool)
    return job.plan(walked, pool, observed=_observed(past, (), walked, pool), judged=past.evidence)


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
    walked = job.walked()
    pool = job.pool(walked)
    past = job.past(walked, pool)
    seen = _observed(past, (), walked, pool)
    made = _feasible(job.plan(walked, pool, observed=seen, judged=past.evidence))
    is_bound = job.budget.is_limited or job.deadline_s is not None or job.objective == "cost"
    if is_bound and made.assignments:
        made.rest(Happened())  # builds its tables now, not inside the first run that needs them
    for warning in made.graph.warnings:
        logger.warning("%s", warning)
    records = keeping.record_store(job.kept)
    served = serving.caches(job.cache, store=job.store)
    prompts = job.prompts()
    policy = Policy(
        plan=made,
        catalog=pool.catalog,
        own=pool.own,
        open=pool.open,
        budget=job.budget,
        hints=_stated(walked.graph),
        keeps_own=job.models is None,
        periods=job.periods(),
        prompts=prompts,
        text_share=share_of(prompts),
        chats=pool.chats,
        answers=served.answers,
        outputs=served.outputs(job.cacheable(walked)[0], made.graph.name),
        admission=serving.admission(
            job.batch,
            hints=[node.hints for node in walked.graph.nodes],
            store=job.store,
            keeps_own=job.models is None,
            seed=job.seed,
        ),
        batch_service=service_for,
        keep_text=job.kept.keep_text,
    )
    if records is not None:
        records.describe(keeping.shape_of(made))

    def replan() -> Plan:
        again = job.walked()
        models_now = job.pool(again)
        seen = _observed(past, policy.records, again, models_now)
        policy.plan = _feasible(
            job.plan(again, models_now, observed=seen, judged=learnt.evidence())
        )
        policy.catalog, policy.own, policy.open, policy.chats = (
            models_now.catalog,
            models_now.own,
            models_now.open,
            models_now.chats,
        )
        return policy.plan

    options = learning.stated(job.learn)
    learnt = learning.begun(
        options,
        past,
        budget_nano=job.budget.per_run_nano,
        has_choice=job.models is not None,
        seed=job.seed,
    )
    learning.attach(
        learnt,
        policy,
        keep=None if records is None else records.add,
        replan=None if options is None else replan,
    )

    def report(shared: Policy) -> Report:
        return Report.of(shared.records, plan=shared.plan, alarms=learnt.alarms)

    feedback = learning.taught_by(keeping.feedback_on(policy, records), learnt, policy)
    routing = Routing(
        policy,
        report=report,
        replan=replan,
        feedback=feedback,
        history=keeping.history_of(policy, records),
        store=records,
    )
    return wrap(job.graph, routing)


def _observed(
    past: Past, records: Sequence[CallRecord], walked: Walked, pool: Pool
) -> Observed | None:
    """What earlier runs and those of this process showed of branches, loops and tokens."""
    if not past.records and not records:
        return None
    overhead = {spec.name: spec.overhead_tokens for spec in pool.catalog}
    latest = (*past.records, *records)[-learning.MOST_CALLS :]
    return observe(latest, walked.graph, overhead=overhead)


def _lacks_memory(made: Plan) -> bool:
    return made.infeasible is not None and "memory" in (
        made.infeasible.limit,
        *(each.limit for each in made.infeasible.conflict),
    )


def _feasible(made: Plan) -> Plan:
    if made.infeasible is None:
        return made
    raise InfeasibleBudget(
        made.infeasible.message,
        limit=made.infeasible.limit,
        value=made.infeasible.value,
        needed=made.infeasible.needed,
    )


def _with_own_models_only(graph: Graph, known: Sequence[str]) -> Graph:
    """Every node allowed nothing but the models it already holds.

    A node whose models are made inside it, so that no object is known, has nothing to plan.
    """
    nodes: list[Node] = []
    hidden: list[str] = []
    for node in graph.nodes:
        held = tuple(dict.fromkeys(use.name for use in node.models))
        usable = tuple(name for name in held if name in known)
        if not held or node.hints.models or node.hints.pin:
            nodes.append(node)
        elif usable:
            nodes.append(replace(node, hints=replace(node.hints, models=usable)))
        else:
            nodes.append(replace(node, kind="code", models=()))
            hidden.append(f"node {node.name!r} makes its model ({', '.join(held)}) when it runs")
    remarks = tuple(f"{words}: it keeps it, and the plan does not count it" for words in hidden)
    return replace(graph, nodes=tuple(nodes), warnings=(*graph.warnings, *remarks))


def _remarks(graph: Graph, batch: object) -> Iterator[str]:
    """Warnings of a graph without models, and of hints that the arguments leave without effect."""
    if not any(node.may_call_model for node in graph.nodes):
        yield f"no node of graph {graph.name!r} was seen to call a chat model: nothing to assign"
    if batch != "deferred":
        for node in graph.nodes:
            if node.hints.deferrable:
                yield f"node {node.name!r}: deferrable= has an effect with batch='deferred' only"


def _stated(graph: Graph) -> dict[str, RouteHints]:
    return {node.name: node.hints for node in graph.nodes if node.hints != RouteHints()}
