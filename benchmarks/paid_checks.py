"""A check that costs money: plans that know what it costs against plans that take it for free.

    python benchmarks/paid_checks.py --data FOLDER [--runs 100] [--seed 0]

Chains, plans and runs are those of `escalation.py`, with a check that is right nine times of ten.
It costs a share of what a call of the strongest model costs on average; a run pays it for answers
that another may follow, from what later steps do not need, and an answer that it has no money for
stands unchecked.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
from _chain import World, world
from _machine import describe
from _outcomes import Outcomes, load
from escalation import CHECKS, GRAPHS, STEPS, T_GRAPHS, planned, play

RATES = CHECKS["0.9 / 0.1"]


def compare(
    here: World, data: Outcomes, budget_share: float, price: float, *, runs: int, seed: int
) -> None:
    """One budget and one price of the check: without a check, taken for free, and known."""
    strong = int(np.mean([data.train[k].correct.mean(axis=0) for k in data.kinds], axis=0).argmax())
    names = ("no check", "for free", "known")
    right = {name: np.zeros((GRAPHS, runs)) for name in names}
    spent, placed = dict.fromkeys(names, 0.0), {name: Counter[str]() for name in names}
    total = 0.0
    for g in range(GRAPHS):
        draw = Random(f"{seed} {g}")
        kinds = tuple(draw.choice(data.kinds) for _ in range(STEPS))
        dear = sum(float(data.train[k].cost_usd[:, strong].mean()) for k in kinds)
        budget, check_usd = budget_share * dear, price * dear / STEPS
        total += budget * runs
        told = {
            "no check": None,
            "for free": RATES,
            "known": replace(RATES, cost_usd=check_usd),
        }
        plans = {name: planned(here, data, kinds, budget, rates) for name, rates in told.items()}
        for name, plan in plans.items():
            placed[name].update(a.kind for a in plan.assignments)
        for r in range(runs):
            questions = tuple(draw.randrange(len(data.test[k].prompts)) for k in kinds)
            for name, plan in plans.items():
                luck = Random(f"{seed} {g} {r}")
                rates, usd = told[name], 0.0 if name == "no check" else check_usd
                found = play(here, data, plan, kinds, questions, budget, rates, luck, usd)
                right[name][g, r] = all(found[0])
                spent[name] += found[1]
    print(f"\nbudget {budget_share:.0%} of all strong, a check costs {price:.0%} of a strong call")
    for name in names:
        ahead = 100 * (right[name] - right["no check"]).mean(axis=1)
        half = T_GRAPHS * ahead.std(ddof=1) / math.sqrt(GRAPHS)
        print(
            f"  {name:<9} {100 * right[name].mean():5.1f} % right"
            f"  {ahead.mean():+5.1f} ± {half:.1f}"
            f"  cascades {placed[name]['cascade']:3d} of {GRAPHS * STEPS}"
            f"  spent {100 * spent[name] / total:5.1f} % of the budget",
            flush=True,
        )
    gain = 100 * (right["known"] - right["for free"]).mean(axis=1)
    half = T_GRAPHS * gain.std(ddof=1) / math.sqrt(GRAPHS)
    print(f"  known against for free: {gain.mean():+.1f} ± {half:.1f} points")


def main() -> None:
    """Compare at several budgets and prices."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nway_*.csv[.gz]")
    parser.add_argument("--runs", type=int, default=100, help="per chain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budgets", default="0.25,0.5", help="shares of all strong")
    parser.add_argument("--prices", default="0.02,0.1,0.5", help="of a check, by a strong call's")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    data, here = load(options.data, "tasks"), world(options.data)
    print(describe(seed=options.seed))
    for share in options.budgets.split(","):
        for price in options.prices.split(","):
            compare(here, data, float(share), float(price), runs=options.runs, seed=options.seed)


if __name__ == "__main__":
    main()
