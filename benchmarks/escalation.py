"""What is a check worth? Plans with cascades against plans without, at the same budget.

    python benchmarks/escalation.py --data FOLDER [--runs 100] [--seed 0] [--weighted]

Chains of four steps with kinds of work at random; profiles (accuracy, tokens) come from the
training questions, runs get others, and what the models really answered and cost is looked up.
The plans are `make_plan`'s: without a check, and with `verify=` at every node and the check's rates
known to the planner. A run stops at its budget: a call that does not fit any more is not made, and
the answer so far stands. A check accepts a right answer with the first chance of its name and a
wrong one with the second; it costs nothing.

`closed`: share of the way from the plan without checks to the oracle, which knows every answer
beforehand and buys the cheapest right ones.

`--weighted`: each step matters 0.5, 1, 2 or 4 times, by lot, and of a run the share of what matters
counts that is right; else a run counts that is right in every step. (The oracle buys as before.)

In the replay a call costs what it has cost, and nothing more has to be there before it. `--aside`:
before a further answer as much has to be there as the product puts aside for it, and plans know.

Assumed, not recorded: that errors of a check are independent. A model that is asked the same again
answers as before, because one answer of each is recorded; the planner is told.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from _chain import World, oracle_run, world
from _machine import describe
from _outcomes import Outcomes, load

from graphroute import registry
from graphroute.ir.facts import Observed
from graphroute.ir.graph import END, START, Edge, Graph, Node
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.knapsack import Ladder, is_worth, ladder
from graphroute.ir.plan import Plan
from graphroute.ir.reservation import PROMPT_BOUND, short_answer
from graphroute.planner import make_plan
from graphroute.planning.retries import CheckRates
from graphroute.protocols import StepScorer

GRAPHS, STEPS = 40, 4
T_GRAPHS = 2.023
"""Student's t for 39 degrees of freedom, 95 %."""

WEIGHTS = (0.5, 1.0, 2.0, 4.0)

CHECKS = {
    "1 / 0": CheckRates(passes_good=1.0, passes_bad=0.0, stubborn=1.0),
    "0.9 / 0.1": CheckRates(passes_good=0.9, passes_bad=0.1, stubborn=1.0),
    "0.7 / 0.3": CheckRates(passes_good=0.7, passes_bad=0.3, stubborn=1.0),
    "0.5 / 0.5": CheckRates(passes_good=0.5, passes_bad=0.5, stubborn=1.0),
}


def _passes(_messages: Any, _reply: Any) -> bool:
    return True  # the replay draws the verdicts itself; the planner only looks whether one is there


def planned(
    here: World,
    data: Outcomes,
    kinds: tuple[str, ...],
    budget: float,
    rates: CheckRates | None,
    weights: Sequence[float | None] = (None,) * STEPS,
    *,
    puts_aside: bool = False,
) -> Plan:
    """The product's plan for a chain of these kinds."""
    names = [f"step{i}" for i in range(len(kinds))]
    verify = _passes if rates is not None else None
    graph = Graph(
        name="chain",
        nodes=tuple(
            Node(name=n, kind="llm", hints=RouteHints(verify=verify, weight=weight))
            for n, weight in zip(names, weights, strict=True)
        ),
        edges=tuple(Edge(source=a, target=b) for a, b in pairwise([START, *names, END])),
    )
    scorer = registry.build("scorers", "structural")
    assert isinstance(scorer, StepScorer)
    parts = {n: data.train[k] for n, k in zip(names, kinds, strict=True)}
    cents = {
        n: (p.cost_usd * 1e6 - p.out_tokens * here.price_out[None, :]) / here.price_in[None, :]
        for n, p in parts.items()
    }
    return make_plan(
        graph,
        here.catalog(tuple(range(len(here.models)))),
        budget=Budget(per_run_usd=budget),
        step_scorer=scorer,
        observed=Observed(
            in_tokens={n: float(c.mean()) for n, c in cents.items()},
            out_tokens={n: float(p.out_tokens.mean()) for n, p in parts.items()},
            in_by_model={
                (n, model): float(c[:, m].mean())
                for n, c in cents.items()
                for m, model in enumerate(here.models)
            },
            out_by_model={
                (n, model): float(p.out_tokens[:, m].mean())
                for n, p in parts.items()
                for m, model in enumerate(here.models)
            },
        ),
        qualities={
            (n, here.models[m]): float((p.correct[:, m].sum() + 1) / (len(p.correct) + 2))
            for n, p in parts.items()
            for m in range(len(here.models))
        },
        checks=dict.fromkeys(names, rates) if rates is not None else None,
        puts_aside=puts_aside,
    )


def ahead(here: World, data: Outcomes, plan: Plan, kinds: tuple[str, ...]) -> list[Ladder]:
    """The further models of each step, at what they cost in training."""
    return [
        ladder(
            usd=[
                float(data.train[kind].cost_usd[:, here.models.index(name)].mean())
                for name in a.then
                if a.reach
            ],
            reach=a.reach,
            so_far=a.so_far,
            weight=a.weight,
        )
        for a, kind in zip(plan.assignments, kinds, strict=True)
    ]


def aside(here: World, data: Outcomes, kind: str, question: int, model: int) -> float:
    """USD that the product puts aside for a call."""
    part, price = data.test[kind], here.price_out[model] / 1e6
    prompt = part.cost_usd[question, model] - part.out_tokens[question, model] * price
    usual = float(data.train[kind].out_tokens[:, model].mean())
    return float(PROMPT_BOUND * prompt + short_answer(math.inf, usual) * price)


def play(
    here: World,
    data: Outcomes,
    plan: Plan,
    kinds: tuple[str, ...],
    questions: tuple[int, ...],
    budget: float,
    rates: CheckRates | None,
    random: Random,
    check_usd: float = 0.0,
    *,
    puts_aside: bool = False,
) -> tuple[tuple[bool, ...], float]:
    """Which steps of a run are right, and its USD.

    A step asks on only with what the later steps do not need for their first answers, and only if
    that gains more than they could on second answers. So much its check may spend as well, which
    costs `check_usd` an answer that another may follow.
    """
    spent, right = 0.0, []
    ladders = ahead(here, data, plan, kinds)
    firsts = [
        float(data.train[k].cost_usd[:, here.models.index(a.model)].mean())
        for a, k in zip(plan.assignments, kinds, strict=True)
    ]
    steps = zip(plan.assignments, kinds, questions, strict=True)
    for number, (assignment, kind, q) in enumerate(steps, 1):
        later = sum(firsts[number:])
        part = data.test[kind]
        stages = [assignment.model]
        if assignment.kind == "cascade":
            stages += assignment.then
        order = [here.models.index(name) for name in stages]
        cheapest = int(part.cost_usd[q].argmin())
        answer = None
        for k, first in enumerate(order):
            fits = [m for m in (first, cheapest) if spent + part.cost_usd[q, m] <= budget]
            if not fits or (k and fits[0] != first):
                break  # the answer so far stands
            if k:
                usd, room = float(part.cost_usd[q, first]), budget - spent - later
                this, *others = ladders[number - 1][k - 1 :]
                hold = aside(here, data, kind, q, first) if puts_aside else usd
                asked = (replace(this, usd=usd, hold_usd=hold), *others)
                if not is_worth(asked, ladders[number:], room):
                    break
            m = fits[0]
            spent += float(part.cost_usd[q, m])
            answer = bool(part.correct[q, m])
            if rates is None or len(order) == 1:
                break
            if check_usd and k + 1 < len(order):
                if spent + check_usd + later > budget + 1e-15:
                    break  # nobody says anything of the answer, so it stands
                spent += check_usd
            if random.random() < (rates.passes_good if answer else rates.passes_bad):
                break
        right.append(bool(answer))
    return tuple(right), spent


def compare(
    here: World,
    data: Outcomes,
    share: float,
    runs: int,
    seed: int,
    *,
    is_weighted: bool,
    puts_aside: bool,
) -> None:
    """One budget: the plan without checks, with each check, and the oracle."""
    strong = int(np.mean([data.train[k].correct.mean(axis=0) for k in data.kinds], axis=0).argmax())
    columns = ["no check", *CHECKS, "oracle"]
    right = {name: np.zeros((GRAPHS, runs)) for name in columns}
    spent = dict.fromkeys(columns, 0.0)
    placed: dict[str, Counter[str]] = {name: Counter() for name in CHECKS}
    every = tuple(range(len(here.models)))
    total = 0.0
    tested = World(
        kinds=(),
        models=here.models,
        parts=data.test,
        price_in=here.price_in,
        price_out=here.price_out,
    )
    for g in range(GRAPHS):
        random = Random(f"{seed} {g}")
        kinds = tuple(random.choice(data.kinds) for _ in range(STEPS))
        budget = share * sum(float(data.train[k].cost_usd[:, strong].mean()) for k in kinds)
        total += budget * runs
        matter = [random.choice(WEIGHTS) if is_weighted else 1.0 for _ in kinds]
        weights = matter if is_weighted else (None,) * STEPS

        def counted(found: Sequence[float]) -> float:
            if not is_weighted:
                return float(np.prod(found))
            return float(np.dot(found, matter) / sum(matter))  # noqa: B023

        ways: dict[str, tuple[Plan, CheckRates | None]] = {
            "no check": (planned(here, data, kinds, budget, None, weights), None),
            **{
                n: (planned(here, data, kinds, budget, c, weights, puts_aside=puts_aside), c)
                for n, c in CHECKS.items()
            },
        }
        for name in CHECKS:
            placed[name].update(a.kind for a in ways[name][0].assignments)
        shaped = World(
            kinds=kinds,
            models=here.models,
            parts=tested.parts,
            price_in=here.price_in,
            price_out=here.price_out,
        )

        def knows(_: int, i: int, q: int, m: int) -> float:
            return float(data.test[kinds[i]].correct[q, m])  # noqa: B023

        for r in range(runs):
            questions = tuple(random.randrange(len(data.test[k].prompts)) for k in kinds)
            for name, (plan, rates) in ways.items():
                luck = Random(f"{seed} {g} {r} {name}")
                found = play(
                    here,
                    data,
                    plan,
                    kinds,
                    questions,
                    budget,
                    rates,
                    luck,
                    puts_aside=puts_aside,
                )
                right[name][g, r] = counted(found[0])
                spent[name] += found[1]
            right["oracle"][g, r] = counted(oracle_run(shaped, every, budget, questions, knows))
    base, best = right["no check"].mean(), right["oracle"].mean()
    print(f"\nbudget {share:.0%} of all strong: {GRAPHS} chains × {runs} runs")
    for name in columns:
        ahead = 100 * (right[name] - right["no check"]).mean(axis=1)
        half = T_GRAPHS * ahead.std(ddof=1) / math.sqrt(GRAPHS)
        closed = (right[name].mean() - base) / (best - base)
        cascades = f"{placed[name]['cascade']} of {GRAPHS * STEPS}" if name in placed else "–"
        money = f"{100 * spent[name] / total:5.1f} %" if spent[name] else "    –  "
        print(
            f"  {name:<10} {100 * right[name].mean():5.1f} % right  "
            f"{ahead.mean():+5.1f} ± {half:.1f}  closed {closed:5.0%}  cascades {cascades:<10} "
            f"spent {money} of the budget",
            flush=True,
        )


def main() -> None:
    """Compare at several budgets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nway_*.csv[.gz]")
    parser.add_argument("--runs", type=int, default=100, help="per chain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budgets", default="0.08,0.25,0.5,1", help="shares of all strong")
    parser.add_argument("--weighted", action="store_true", help="steps that matter unequally")
    parser.add_argument("--aside", action="store_true", help="put aside what the product does")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    data = load(options.data, "tasks")
    here = world(options.data)
    print(describe(seed=options.seed))
    for share in options.budgets.split(","):
        compare(
            here,
            data,
            float(share),
            options.runs,
            options.seed,
            is_weighted=options.weighted,
            puts_aside=options.aside,
        )


if __name__ == "__main__":
    main()
