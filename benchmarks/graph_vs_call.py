"""Does planning over the graph help? Policies replayed on recorded outcomes of real models.

    python benchmarks/graph_vs_call.py --data FOLDER [--set tasks|mmlupro] [--runs 2000]

Each node of a graph does one kind of work (a task, or a domain of MMLU-Pro); each visit gets a test
question of that kind, and what the chosen model really answered and cost is looked up. Profiles
(accuracy, cost and length per kind and model) come from the training questions, which are others.
Every policy but the two references has the same hard budget: a share of what the strongest model
everywhere would cost. A run is right if all of its calls are (a refine loop: its last draft and
the finish; a fan-out: three quarters of the parts), and in time where there is a deadline.

What is assumed and not recorded: calls of one run are independent, the speed of models (40 to 150
tokens a second, dearer is slower), the checker's sensitivity, loading times.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from _machine import describe
from _outcomes import Floats, Outcomes, load
from _policies import (
    Always,
    Binary,
    Call,
    Case,
    FairShare,
    HandedOver,
    Oracle,
    Policy,
    Replanned,
    Run,
    StaticPlan,
)
from _scenarios import FALSE_ALARM, SENSITIVITY, Scenario, scenarios

from graphroute.ir.facts import Facts
from graphroute.ir.problem import Problem, TimeStep
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.passes.remaining import remaining
from graphroute.planner import study
from graphroute.planning.options import columns
from graphroute.planning.retries import CheckRates
from graphroute.planning.sequences import Singles
from graphroute.planning.simulated import simulate
from graphroute.solvers import lagrangian

GRAPHS = 40
SWAP_S = 8.0
SHOCK = 4.0
ROOM = 1.25
"""Deadlines lie this much above the time half-way between the quickest and the best plan's."""

CHECK = CheckRates(passes_good=1 - FALSE_ALARM, passes_bad=1 - SENSITIVITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run: whether it was right (and in time), and its cost.

    would_be_right: time aside; before_shock: share of the budget spent before the shock
    unfit: share of calls whose first choice was not to be had for what was left
    """

    is_right: bool
    cost_usd: float
    would_be_right: bool
    before_shock: float
    unfit: float


def case_of(scenario: Scenario, data: Outcomes, share: float, random: Random) -> Case:
    """A graph of this shape with kinds of work at random, and its problem under the budget."""
    facts = study(scenario.graph, observed=scenario.observed)
    names = [n.name for n in scenario.graph.nodes if n.may_call_model]
    kinds = tuple(random.choice(data.kinds) for _ in names)
    visits_by_name = {v.node: v.expected for v in facts.visits}
    visits = np.array([visits_by_name[n] for n in names])
    rest = remaining(facts)
    after = np.array([[rest[a].get(b, 0.0) for b in names] for a in names])
    slow = np.array([3.0 if n in scenario.slow else 1.0 for n in names])[:, None]
    parts = [data.train[k] for k in kinds]
    right = np.array([p.correct.sum(axis=0) for p in parts])
    seen = np.array([[len(p.correct)] for p in parts])
    quality = (right + 1) / (seen + 2)
    cost = np.array([p.cost_usd.mean(axis=0) for p in parts]) * slow
    tokens = np.array([p.out_tokens.mean(axis=0) for p in parts]) * slow
    local = np.array(data.local)
    if scenario.two_local:
        cost = np.where(local[None, :], 0.0, cost)
    time_s = 0.4 + tokens / speeds(data)[None, :]
    index = {n: i for i, n in enumerate(names)}
    unknown = StepScore(difficulty=0.5, low=0.0, high=1.0, reason="")
    profile = Profile(
        nodes=tuple(
            NodeProfile(node=n, score=unknown, visits=v, visits_p95=v, visits_max=v)
            for n, v in zip(names, visits, strict=True)
        ),
        scorer="records",
    )
    steps = tuple(
        TimeStep(
            weight=s.weight,
            nodes=tuple(index[n] for n in s.nodes if n in index),
            tasks=tuple(t for n, t in zip(s.nodes, s.tasks, strict=True) if n in index),
        )
        for s in facts.supersteps
        if any(n in index for n in s.nodes)
    )
    strong = int(quality_everywhere(data).argmax())
    problem = Problem(
        nodes=tuple(names),
        models=data.models,
        log_quality=np.log(quality),
        cost_usd=cost * visits[:, None],
        time_s=time_s,
        feasible=np.ones_like(cost, dtype=bool),
        weight=np.minimum(visits, 1.0),
        budget_usd=share * float((cost[:, strong] * visits).sum()),
        local=tuple(bool(x) and scenario.two_local for x in local),
        steps=steps,
    )
    if scenario.two_local:
        problem = replace(
            problem,
            memory_bytes=tuple(int(x) for x in local),
            load_s=tuple(SWAP_S * float(x) for x in local),
            memory_limit_bytes=1,
        )
    if scenario.has_deadline:
        solve = lagrangian.build().solve
        quick = solve(replace(problem, objective="latency"), time_limit_s=1.0)
        best = solve(problem, time_limit_s=1.0)
        middle = (problem.latency_s(quick.choice) + problem.latency_s(best.choice)) / 2
        problem = replace(problem, deadline_s=ROOM * middle)
    plain = problem
    if scenario.loop:
        problem = with_rounds(problem, scenario, facts, profile, cost, time_s)
    return Case(
        problem=problem,
        runs=simulate(facts, problem.nodes, seed=0),
        plain=plain,
        kinds=kinds,
        visits=visits,
        after=after,
        quality=quality,
        cost_usd=cost,
        time_s=time_s,
    )


def quality_everywhere(data: Outcomes) -> Floats:
    """Mean accuracy of each model over all kinds of the training questions."""
    found: Floats = np.mean([data.train[k].correct.mean(axis=0) for k in data.kinds], axis=0)
    return found


def speeds(data: Outcomes) -> Floats:
    """Assumed tokens per second: from 150 for the cheapest model down to 40 for the dearest."""
    price = np.mean([data.train[k].cost_usd.mean(axis=0) for k in data.kinds], axis=0)
    rank = price.argsort().argsort()
    found: Floats = 150 - 110 * rank / max(1, len(rank) - 1)
    return found


def play(
    scenario: Scenario, case: Case, data: Outcomes, policy: Policy, seed: str, *, has_limit: bool
) -> Result:
    """One run of the graph under a policy; the same seed gives every policy the same questions."""
    random, questions = Random(f"path {seed}"), Random(f"questions {seed}")
    names = case.problem.nodes
    drawn = {
        n: [questions.randrange(len(data.test[case.kinds[i]].prompts)) for _ in range(16)]
        for i, n in enumerate(names)
    }
    run = Run(prices=np.ones(len(data.models)))
    path = scenario.path(random)
    limit = case.budget_usd if has_limit else math.inf
    half = float(case.visits.sum()) / 2
    hit = _most_planned(case) if scenario.shock else -1
    loaded, everything = -1, True
    before_shock, unfit = 0.0, 0
    verdicts: list[bool] = []
    try:
        step = next(path)
        while True:
            if run.calls <= half:
                before_shock = run.spent_usd / case.budget_usd
            if scenario.shock and run.calls >= half:
                run.is_hit = True
                if scenario.shock == "price":
                    run.prices[hit] = SHOCK
                else:
                    run.failed.add(hit)
            verdicts, lanes = [], [0.0]
            for name, tasks in step.items():
                i = names.index(name)
                part = data.test[case.kinds[i]]
                scale = 3.0 if name in scenario.slow else 1.0
                for k in range(tasks):
                    q = drawn[name][k]
                    policy.right = part.correct[q]
                    asked = run.asked.get(i, ()) if name == scenario.loop else ()
                    call = Call(node=i, prompt=part.prompts[q], left=tasks - k, asked=asked)
                    chosen = -1
                    for rank, m in enumerate(policy.rank(call, run)):
                        price = part.cost_usd[q, m] * scale * run.prices[m]
                        if scenario.two_local and data.local[m]:
                            price = 0.0
                        if m not in run.failed and run.spent_usd + price <= limit:
                            chosen = m
                            break
                        unfit += rank == 0
                    run.calls += 1
                    if chosen < 0:
                        verdicts.append(False)
                        continue
                    run.spent_usd += price
                    took = 0.4 + part.out_tokens[q, chosen] * scale / speeds(data)[chosen]
                    if scenario.two_local and data.local[chosen] and chosen != loaded:
                        took, loaded = took + SWAP_S, chosen
                    lanes.append(took)
                    run.asked[i] = (*run.asked.get(i, ()), chosen)
                    verdicts.append(bool(part.correct[q, chosen]))
            run.elapsed_s += max(lanes)
            everything = everything and all(verdicts)
            step = path.send(verdicts)
    except StopIteration as end:
        is_right = everything if end.value is None else bool(end.value)
    deadline = case.problem.deadline_s
    in_time = deadline is None or run.elapsed_s <= deadline
    return Result(
        is_right=is_right and in_time,
        cost_usd=run.spent_usd,
        would_be_right=is_right,
        before_shock=before_shock,
        unfit=unfit / max(run.calls, 1),
    )


def with_rounds(
    problem: Problem,
    scenario: Scenario,
    facts: Facts,
    profile: Profile,
    cost: Floats,
    time_s: Floats,
) -> Problem:
    """The problem with the sequences of models that the loop's rounds may take."""
    i = problem.nodes.index(scenario.loop)
    (loop,) = facts.loops
    again = dict(zip(loop.nodes, loop.again, strict=True))[scenario.loop]
    found = columns(
        replace(profile.nodes[i], check="loop", again=again),
        Singles(
            quality=np.exp(problem.log_quality[i]),
            usd=cost[i],
            time_s=time_s[i],
            local=np.zeros(len(problem.models), dtype=bool),
            feasible=problem.feasible[i],
            usable=problem.feasible[i],
        ),
        rates=CHECK,
        stubborn=1.0,  # what is asked again in the records is answered as before
    )
    n, m = problem.log_quality.shape
    extra = len(found.options)

    def widened(table: Floats, row: Floats) -> Floats:
        wide = np.pad(table, ((0, 0), (0, extra)))
        wide[i] = row
        return wide

    feasible = np.pad(problem.feasible, ((0, 0), (0, extra)))
    feasible[i, m:] = True
    return replace(
        problem,
        log_quality=widened(problem.log_quality, found.log_quality),
        cost_usd=widened(problem.cost_usd, found.usd),
        time_s=widened(problem.time_s, found.time_s),
        feasible=feasible,
        extras=tuple(found.options if k == i else () for k in range(n)),
    )


def _most_planned(case: Case) -> int:
    plan = StaticPlan()
    plan.begin(case)
    used = [case.problem.option(i, k).models[0] for i, k in enumerate(plan.choice)]
    return max(set(used), key=lambda m: (used.count(m), case.cost_usd[:, m].mean()))


def interval(values: Floats) -> tuple[float, float]:
    """Mean and half-width of its 95 % interval.

    Runs of one graph are alike, so the graphs are what is counted: the standard error is that of
    the graphs' means (2.02 is Student's t for 39 degrees of freedom).
    """
    means = values.reshape(GRAPHS, -1).mean(axis=1)
    return float(values.mean()), 2.02 * float(means.std(ddof=1)) / math.sqrt(GRAPHS)


def compare(scenario: Scenario, data: Outcomes, options: argparse.Namespace) -> None:
    """Print one table: every policy on the same runs of the same graphs."""
    everywhere = quality_everywhere(data)
    strong = int(everywhere.argmax())
    price = np.mean([data.train[k].cost_usd.mean(axis=0) for k in data.kinds], axis=0)
    affordable = np.flatnonzero(price <= 0.1 * price[strong])
    weak = int(affordable[everywhere[affordable].argmax()])
    is_loop = bool(scenario.loop)
    handed_over = [
        HandedOver("fair share, our re-planning from the shock on", FairShare(), Replanned(CHECK)),
        HandedOver("our re-planning, fair share from the shock on", Replanned(CHECK), FairShare()),
        HandedOver("our re-planning, oracle from the shock on", Replanned(CHECK), Oracle()),
        HandedOver("fair share, oracle from the shock on", FairShare(), Oracle()),
    ]
    policies: list[tuple[Policy, bool]] = [
        (Always(f"all strong ({data.models[strong]})", strong), False),
        (Always(f"all cheapest ({data.models[int(price.argmin())]})", int(price.argmin())), True),
        (Binary("per call, binary threshold on text", data, strong, weak), True),
        (FairShare(), True),
        (StaticPlan(), True),
        *([(StaticPlan("our static plan, one model a node", has_rounds=False), True)] * is_loop),
        (Replanned(CHECK), True),
        *([(each, True) for each in handed_over] if scenario.shock else []),
        (Oracle(), True),
    ]
    results: list[list[Result]] = [[] for _ in policies]
    for g in range(GRAPHS):
        case = case_of(scenario, data, options.budget, Random(f"{options.seed} {g}"))
        for (policy, has_limit), found in zip(policies, results, strict=True):
            policy.begin(case)
            for r in range(options.runs // GRAPHS):
                seed = f"{options.seed} {g} {r}"
                found.append(play(scenario, case, data, policy, seed, has_limit=has_limit))
    reference = np.array([r.cost_usd for r in results[0]]).mean()
    fair = np.array([float(r.is_right) for r in results[3]])
    print(f"\n{scenario.name}: {len(fair)} runs of {GRAPHS} graphs")
    for (policy, _), found in zip(policies, results, strict=True):
        right = np.array([float(r.is_right) for r in found])
        mean, half = interval(right)
        ahead, unsure = interval(right - fair)
        spent = np.array([r.cost_usd for r in found]).mean() / reference
        beside = "" if found is results[3] else f"  {100 * ahead:+5.1f} ± {100 * unsure:.1f}"
        if scenario.has_deadline:
            would = max(1, sum(r.would_be_right for r in found))
            beside += f"  {100 * (1 - right.sum() / would):3.0f} % of right runs late"
        if scenario.shock:
            before = 100 * float(np.mean([r.before_shock for r in found]))
            unfit = 100 * float(np.mean([r.unfit for r in found]))
            beside += f"  {before:3.0f} % of its budget before, first choice unfit {unfit:.1f} %"
        print(
            f"  {policy.name:<44} {100 * mean:5.1f} ± {100 * half:.1f} % right"
            f"  {100 * spent:5.1f} % spent{beside}",
            flush=True,
        )
    if is_loop:
        rounds, plain = (np.array([float(r.is_right) for r in results[k]]) for k in (4, 5))
        gain, unsure = interval(rounds - plain)
        print(
            f"  models by round against one model a node: {100 * gain:+5.1f} ± {100 * unsure:.1f}"
        )


def main() -> None:
    """Compare the policies in every scenario."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nway_*.csv[.gz]")
    parser.add_argument("--set", choices=("tasks", "mmlupro"), default="tasks", dest="name")
    parser.add_argument("--runs", type=int, default=2000, help="per scenario and policy")
    parser.add_argument("--budget", type=float, default=0.25, help="share of all strong")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a scenario's name")
    options = parser.parse_args()
    data = load(options.data, options.name)
    print(describe(seed=options.seed))
    print(
        f"set {options.name}: {len(data.models)} models, {len(data.kinds)} kinds, "
        f"{sum(len(p.prompts) for p in data.train.values())} training and "
        f"{sum(len(p.prompts) for p in data.test.values())} test questions; "
        f"budget {options.budget:.0%} of all strong; last column: difference to the fair-share "
        "router, paired, in points"
    )
    for scenario in scenarios():
        if options.only in scenario.name:
            if scenario.two_local and sum(data.local) < 2:
                print(f"\n{scenario.name}: left out, this set has fewer than two local models")
                continue
            compare(scenario, data, options)


if __name__ == "__main__":
    main()
