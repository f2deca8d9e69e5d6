"""Plan one graph over one pool: passes, estimate, formulate, solve, decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TypeAlias, cast

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.catalog import Catalog
from graphroute.ir.codec import rounded
from graphroute.ir.evidence import Evidence
from graphroute.ir.facts import RECURSION_LIMIT, Facts, Observed
from graphroute.ir.graph import Graph
from graphroute.ir.hints import Budget, Objective
from graphroute.ir.plan import Plan
from graphroute.ir.problem import Problem, Solution
from graphroute.ir.profile import Profile
from graphroute.planning import payable, punctual
from graphroute.planning.decide import decide
from graphroute.planning.eased import eased
from graphroute.planning.estimate import estimate
from graphroute.planning.formulate import Known, Limits, check_deadline, check_memory, formulate
from graphroute.planning.options import Packing
from graphroute.planning.posterior import weigh
from graphroute.planning.replan import Replanner
from graphroute.planning.retries import CheckRates
from graphroute.planning.simulated import simulate
from graphroute.planning.what_if import WhatIf, without_model
from graphroute.protocols import Solver, StepScorer

TIME_LIMIT_S = 0.5
"""What the search may take after the bound; only hard, large problems use any of it."""


def study(
    graph: Graph,
    *,
    recursion_limit: int | None = None,
    observed: Observed | None = None,
    seed: int = 0,
) -> Facts:
    """Run every pass over the graph."""
    from graphroute.passes import PASSES  # networkx takes a quarter of a second to import

    limit = recursion_limit or graph.recursion_limit or RECURSION_LIMIT
    facts = Facts(graph=graph, observed=observed or Observed(), recursion_limit=limit, seed=seed)
    for each in PASSES:
        facts = each(facts)
    return facts


CheckUsd: TypeAlias = Callable[[float, float], float]
"""USD of checking one answer, by the tokens of its prompt and its own."""


@cache
def _solver(name: str) -> Solver:
    return cast(Solver, registry.build("solvers", name))


def make_plan(
    graph: Graph,
    catalog: Catalog,
    *,
    budget: Budget,
    objective: Objective = "quality",
    deadline_s: float | None = None,
    seed: int = 0,
    step_scorer: StepScorer,
    recursion_limit: int | None = None,
    memory_limit_bytes: int | None = None,
    observed: Observed | None = None,
    qualities: Mapping[tuple[str, str], float | Evidence] | None = None,
    checks: Mapping[str, CheckRates] | None = None,
    check_usd: Mapping[str, CheckUsd] | None = None,
    packings: Mapping[str, Sequence[Packing]] | None = None,
    solver: str = "auto",
    prompt_scorer: str = "",
    puts_aside: bool = True,
) -> Plan:
    """Which model of the catalog serves each step of the graph.

    deadline_s: seconds after which a run is late; no plan takes longer on average, and with the
        objective `quality` it has the margin that is worth its price (`planning.punctual`)
    memory_limit_bytes: what local models may hold together
    recursion_limit: supersteps of a run (default: the graph's own, else LangGraph's)
    observed: what earlier runs showed of branches, loops and tokens; it replaces the priors
    qualities: by (node, model), what is known of them: a probability is taken as it is, `Evidence`
        (judged answers, `ir.evidence.evidence_of`) is weighed against the prior
    checks: how far the check of a node can be trusted (`verify=`, or the step that ends its loop);
        what it costs is what `observed` says, where that says anything
    check_usd: by node, what its check is expected to cost while nothing is recorded of it
    packings: by node, the models that may serve several of its tasks with one prompt
    prompt_scorer: what will look at the prompts, as the plan is to say it
    puts_aside: False for runs that are replayed and pay what a call has cost, for which no worst
        case is put aside before it

    Where no assignment keeps every limit the plan has `feasible` False and says which limit and
    the smallest value that works. Raises `UnknownModel` for hints that name models the pool lacks
    (all of them together), `InvalidValue` for a bad deadline.
    """
    check_deadline(deadline_s)
    check_memory(memory_limit_bytes)
    if objective not in ("quality", "cost", "latency"):
        raise InvalidValue(
            f"objective={objective!r}",
            value=objective,
            next_step="use 'quality', 'cost' or 'latency'",
        )
    facts = study(graph, recursion_limit=recursion_limit, observed=observed, seed=seed)
    # An empty pool has nothing to assign: each call keeps the model it is made on.
    profile = estimate(facts, step_scorer) if len(catalog) else Profile(nodes=(), scorer="none")
    search = _solver(solver)
    weighed = weigh(profile, catalog, qualities or {})
    profile = weighed.profile
    stated = _stated(graph)
    rates = {**stated, **(checks or {})}
    rates = _priced(rates, check_usd or {}, profile, facts.observed)
    known = Known(
        qualities=weighed.qualities, checks=rates, packings=packings or {}, puts_aside=puts_aside
    )
    before = replace(known, qualities=weighed.expected, checks=stated)
    learnt = {node for (node, _), each in (qualities or {}).items() if isinstance(each, Evidence)}
    allowed = Limits(deadline_s=deadline_s, memory_bytes=memory_limit_bytes)
    runs = simulate(facts, tuple(p.node for p in profile.nodes), seed=seed)

    visits = tuple(p.visits for p in profile.nodes)

    def find(problem: Problem) -> Solution:
        return payable.solve(
            problem, lambda each: search.solve(each, time_limit_s=TIME_LIMIT_S), visits
        )

    @cache
    def after() -> Mapping[str, Mapping[str, float]]:
        from graphroute.passes.remaining import remaining

        return remaining(facts)

    def plan_under(budget: Budget, limits: Limits, objective: Objective, without: str) -> Plan:
        def problem_of(known: Known, facts: Facts) -> Problem:
            return formulate(
                facts,
                profile,
                catalog,
                budget=budget,
                objective=objective,
                limits=limits,
                known=known,
            )

        problem, remarks = eased(
            facts,
            learnt=learnt,
            problem_of=partial(problem_of, known),
            before=partial(problem_of, before),
        )
        if without:
            problem = without_model(problem, without)
        if limits.deadline_s is None:
            solution = find(problem)
        else:
            problem, solution = punctual.solve(problem, find, runs, seed)
        told = payable.as_paid(problem, solution.choice, visits)
        made = decide(
            facts,
            profile,
            catalog,
            told,
            solution,
            budget=budget,
            seed=seed,
            runs=runs,
            unpaid=problem,
        )
        warned = replace(made.graph, warnings=(*made.graph.warnings, *remarks))
        made = replace(rounded(replace(made, graph=warned)), prompt_scorer=prompt_scorer)
        again = WhatIf(
            plan_under=plan_under,
            budget=budget,
            limits=limits,
            objective=objective,
            made=made,
            replanner=cache(lambda: Replanner(problem, profile, catalog, after(), known.checks)),
        )
        object.__setattr__(made, "_again", again)
        return made

    return plan_under(budget, allowed, objective, "")


def _stated(graph: Graph) -> dict[str, CheckRates]:
    """The rates of the checks that say how often they are right."""
    stated = ((node.name, CheckRates.stated_by(node.hints.verify)) for node in graph.nodes)
    return {name: rates for name, rates in stated if rates is not None}


def _priced(
    checks: Mapping[str, CheckRates],
    expected: Mapping[str, CheckUsd],
    profile: Profile,
    observed: Observed,
) -> dict[str, CheckRates]:
    """The rates with what earlier checks have cost, or what one is expected to."""
    guessed = {
        p.node: expected[p.node](p.in_tokens, p.out_tokens)
        for p in profile.nodes
        if p.node in expected
    }
    priced = {
        node: replace(checks.get(node, CheckRates()), cost_usd=usd)
        for node, usd in {**guessed, **observed.check_usd}.items()
    }
    return {**checks, **priced}
