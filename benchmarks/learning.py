"""Does it learn? Regret, drift and new models, on recorded outcomes of real models.

    python benchmarks/learning.py --data FOLDER [--seeds 10] [--only regret,drift,alarms,newcomer]
        [--explore 0.02]   share of the budget that trying other models may cost, in `drift`

A chain of four steps, each one kind of work; every run gets a recorded question of each kind, and
what the chosen model really answered and cost is looked up. Twelve models, all thought equally able
at first. Plan, posterior, experiments and detectors are the product's own (`benchmarks/_chain.py`
only plays the models); one budget per run, hard: a share of the most accurate model everywhere.

| part | what is measured |
|---|---|
| regret | right runs against the best fixed assignment and an oracle that knows each answer |
| drift | one model, the one planned most, gets half of its right answers wrong from run 2,500 on |
| alarms | false alarms where nothing changes, in runs of 10,000 |
| newcomer | a cheaper model as good as others joins at run 1,000; runs until a plan takes it |

The best fixed assignment is chosen in hindsight, on these very runs, from those that are best at
30, 35, … 100 % of the budget: what needs all of it in the mean is cut off in half of the runs.

Assumed, not recorded: calls of a run are independent, the time a call takes, that every answer is
judged, and rightly.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from _chain import Learner, World, best_fixed, budget_usd, fixed_run, oracle_run, world
from _machine import describe
from _outcomes import Floats

from graphroute.ir.hints import NANO
from graphroute.ir.learning import Learn

RUNS = 5_000
DAYS = 7
DRIFT_AT = 2_500
JOINS_AT = 1_000
NEWCOMER = "gpt-4o-mini-2024-07-18"
T95 = {5: 2.776, 10: 2.262, 20: 2.093}

Questions = list[tuple[int, ...]]


def drawn(here: World, runs: int, seed: int) -> Questions:
    """Questions of each run, with replacement."""
    random = Random(f"questions {seed}")
    sizes = [len(here.parts[k].prompts) for k in here.kinds]
    return [tuple(random.randrange(size) for size in sizes) for _ in range(runs)]


def recorded(here: World, number: int, i: int, question: int, model: int) -> float:  # noqa: ARG001
    """The answer as it was."""
    return float(here.parts[here.kinds[i]].correct[question, model])


def interval(values: list[float]) -> str:
    """Mean over seeds and the half-width of its 95 % interval."""
    found = np.array(values)
    half = T95.get(len(found), 1.96) * found.std(ddof=1) / math.sqrt(len(found))
    return f"{found.mean():.1f} ± {half:.1f}"


def regret(here: World, share: float, seeds: int) -> None:
    """From zero knowledge over 5,000 runs."""
    models = tuple(range(len(here.models)))
    budget = budget_usd(here, share)
    ways = {
        "learn=True (thompson, 2 %)": Learn(),
        "learn=Learn(learner='uniform')": Learn(learner="uniform"),
        "no experiments": Learn(explore_share=0.0),
        "plan from priors, never again": None,
    }
    candidates = sorted(
        {best_fixed(here, models, budget * part / 100) for part in range(30, 101, 5)} - {()}
    )
    right: dict[str, list[Floats]] = {name: [] for name in (*ways, "best fixed", "oracle")}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(seeds):
        questions = drawn(here, RUNS, seed)

        def answer(n: int, i: int, q: int, m: int) -> float:
            return recorded(here, n, i, q, m)

        tried = [
            np.array([fixed_run(here, c, budget, q, answer) for q in questions]).prod(axis=1)
            for c in candidates
        ]
        right["best fixed"].append(max(tried, key=lambda found: float(found.mean())))
        known = [oracle_run(here, models, budget, q, answer) for q in questions]
        right["oracle"].append(np.array(known).prod(axis=1))
        for name, options in ways.items():
            learner = Learner(
                here=here, models=models, budget=budget, options=options, seed=seed, right=answer
            )
            found = [learner.run(n, q) for n, q in enumerate(questions)]
            right[name].append(np.array(found).prod(axis=1))
            spent[name].append(learner.learnt.allowance.spent_nano / NANO / (budget * RUNS) * 100)
    print(f"\nregret: {RUNS:,} runs from zero knowledge, {seeds} seeds, budget {share:.0%}")
    print(
        "  right runs in % (95 % over seeds): all | first 250 | last 1,000 | regret to best fixed"
    )
    for name, rows in right.items():
        parts = [
            interval([100 * float(r[a:b].mean()) for r in rows])
            for a, b in ((0, RUNS), (0, 250), (RUNS - 1000, RUNS))
        ]
        lost = [
            float(fixed.sum() - r.sum()) for r, fixed in zip(rows, right["best fixed"], strict=True)
        ]
        asked = f" | {np.mean(spent[name]):.2f} % of the budget" if name in spent else ""
        print(f"  {name:<32} {' | '.join(parts)} | {interval(lost)} runs{asked}", flush=True)
    print(f"  the same by day, {RUNS // DAYS} runs each:")
    for name, rows in right.items():
        days = 100 * np.mean([[d.mean() for d in np.array_split(r, DAYS)] for r in rows], axis=0)
        print(f"  {name:<32} {' '.join(f'{day:.1f}' for day in days)}", flush=True)


def drift(here: World, share: float, seeds: int, *, explore: float = 0.02) -> None:
    """Half of the right answers of the model planned most turn wrong at run 2,500."""
    models = tuple(range(len(here.models)))
    budget = budget_usd(here, share)
    found, replanned, before, between, after, reach = [], [], [], [], [], []
    early = 0
    for seed in range(seeds):
        questions = drawn(here, RUNS, seed)
        hit: list[int] = []
        luck = Random(f"drift {seed}")

        def answer(n: int, i: int, q: int, m: int) -> float:
            was = recorded(here, n, i, q, m)
            return was * (luck.random() < 0.5) if m in hit else was  # noqa: B023

        learner = Learner(
            here=here,
            models=models,
            budget=budget,
            options=Learn(explore_share=explore),
            seed=seed,
            right=answer,
        )
        rows = []
        at = away = None
        for n, q in enumerate(questions):
            planned = [a.model for a in learner.plan.assignments]
            if n == DRIFT_AT:
                (name, _) = Counter(planned).most_common(1)[0]
                hit = [here.models.index(name)]
                nodes = [a.node for a in learner.plan.assignments if a.model == name]
                early += sum(a.figure == "quality" for a in learner.learnt.alarms)
            rows.append(float(np.prod(learner.run(n, q))))
            if n >= DRIFT_AT:
                alarms = [a for a in learner.learnt.alarms if int(a.run_id[1:]) >= DRIFT_AT]
                if at is None and any(a.model == name and a.figure == "quality" for a in alarms):
                    at = n - DRIFT_AT + 1
                now = {a.node: a.model for a in learner.plan.assignments}
                if away is None and any(now[node] != name for node in nodes):
                    away = n - DRIFT_AT + 1
        found.append(math.inf if at is None else at)
        replanned.append(math.inf if away is None else away)
        before.append(100 * float(np.mean(rows[DRIFT_AT - 1000 : DRIFT_AT])))
        between.append(100 * float(np.mean(rows[DRIFT_AT : DRIFT_AT + 100])))
        after.append(100 * float(np.mean(rows[-1000:])))
        known = []
        for part in range(30, 101, 5):
            choice = best_fixed(here, models, budget * part / 100, worse=hit)
            last = [fixed_run(here, choice, budget, q, answer) for q in questions[-1000:]]
            known.append(100 * float(np.array(last).prod(axis=1).mean()))
        reach.append(max(known))
    print(f"\ndrift: half of one model's right answers wrong from run {DRIFT_AT:,}; {seeds} seeds")
    print(f"  runs until the alarm: median {np.median(found):.0f}, most {max(found):.0f}")
    print(f"  runs until a node left it: median {np.median(replanned):.0f}, most {max(replanned)}")
    print(f"  alarms about quality before that: {early}")
    print(
        f"  right runs in %: before {interval(before)}, first 100 after {interval(between)}, "
        f"last 1,000 {interval(after)}; best fixed assignment then, in hindsight: {interval(reach)}"
    )


def alarms(here: World, share: float, seeds: int) -> None:
    """Nothing changes; every alarm is false."""
    models = tuple(range(len(here.models)))
    budget = budget_usd(here, share)
    runs, kinds = 10_000, Counter[str]()
    for seed in range(seeds):

        def answer(n: int, i: int, q: int, m: int) -> float:
            return recorded(here, n, i, q, m)

        learner = Learner(
            here=here, models=models, budget=budget, options=Learn(), seed=1000 + seed, right=answer
        )
        for n, q in enumerate(drawn(here, runs, 1000 + seed)):
            learner.run(n, q)
        kinds.update(a.figure for a in learner.learnt.alarms)
    total, most = sum(kinds.values()), {0: 3.0, 1: 4.74, 2: 6.3, 3: 7.75}
    bound = most.get(total, total + 2 * math.sqrt(total) + 2) / seeds
    print(f"\nfalse alarms: {total} in {seeds} × {runs:,} runs {dict(kinds)}")
    print(f"  {total / seeds:.2f} in 10,000 runs, below {bound:.2f} with 95 %")


def newcomer(here: World, share: float, seeds: int) -> None:
    """A cheap good model joins a pool that has been learnt."""
    new = here.models.index(NEWCOMER)
    old = tuple(m for m in range(len(here.models)) if m != new)
    budget = budget_usd(here, share)
    taken, gains = [], []
    for seed in range(seeds):

        def answer(n: int, i: int, q: int, m: int) -> float:
            return recorded(here, n, i, q, m)

        learner = Learner(
            here=here, models=old, budget=budget, options=Learn(), seed=seed, right=answer
        )
        rows, at = [], math.inf
        for n, q in enumerate(drawn(here, 2 * JOINS_AT, seed)):
            if n == JOINS_AT:
                learner.models = (*old, new)
                learner.replan()
            rows.append(float(np.prod(learner.run(n, q))))
            is_planned = any(a.model == NEWCOMER for a in learner.plan.assignments)
            if n >= JOINS_AT and at == math.inf and is_planned:
                at = n - JOINS_AT + 1
        taken.append(at)
        gains.append(100 * float(np.mean(rows[-500:]) - np.mean(rows[JOINS_AT - 500 : JOINS_AT])))
    within = sum(t <= 200 for t in taken)
    print(f"\nnewcomer: {NEWCOMER} joins at run {JOINS_AT:,}; {seeds} seeds")
    print(
        f"  runs until planned: median {np.median(taken):.0f}, most {max(taken)}; "
        f"within 200 in {within} of {seeds}; right runs {interval(gains)} points more"
    )


PARTS = ("regret", "drift", "alarms", "newcomer")


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nway_*.csv[.gz]")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=float, default=0.25, help="share of all strong")
    parser.add_argument("--explore", type=float, default=0.02, help="share of the budget, in drift")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    here = world(options.data)
    print(describe(seed=0))
    print(f"{len(here.models)} models, {len(here.kinds)} steps, budget {options.budget:.0%}")
    run: dict[str, Callable[[World, float, int], None]] = {
        "regret": regret,
        "drift": partial(drift, explore=options.explore),
        "alarms": alarms,
        "newcomer": newcomer,
    }
    for name in options.only.split(","):
        run[name](here, options.budget, options.seeds)


if __name__ == "__main__":
    main()
