"""What profiling by node replay costs, and what it finds.

`python benchmarks/profiling.py --data FOLDER`: on recorded outcomes of 12 real models in four kinds
of work. A graph is a chain with one node of each kind; an input is one question of each.

1. Calls until the success of every assignment of models to nodes is known with the same error, by
   running every assignment on the inputs and by replaying each node alone. Error: root mean square
   over all assignments, against the success over all questions.
2. How good a plan the profile gives where the profile's budget does not suffice for every call:
   asking by worth (the product's own `profiling.worth`), and asking every model of one input after
   the other. Regret: success lost against the best plan at the same price of quality.

`--live`: the triage example on the two embedded models (`_live.py`): profiled on its 20 tickets,
then run on 40 others by plans from the profile and from priors, and on the strong model alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import _live
import numpy as np
from _machine import describe
from _outcomes import Floats, Outcomes, load

from graphroute.ir.ability import ability
from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.evidence import Evidence
from graphroute.ir.problem import Ints
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.ir.quality import success
from graphroute.planning.posterior import weigh
from graphroute.profiling.worth import PRIOR_ANSWERS, Cell, Limits, best, switching_prices

INPUTS = 20
REPEATS = 40
REGRET_REPEATS = 20
SHARES = (0.05, 0.1, 0.25, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """correct[node][question, model], cost_usd[node][question, model] of the training questions."""

    models: tuple[str, ...]
    correct: tuple[Floats, ...]
    cost_usd: tuple[Floats, ...]

    @classmethod
    def of(cls, data: Outcomes, models: Sequence[str]) -> World:
        """The four kinds as a chain, with some of the models."""
        at = [data.models.index(name) for name in models]
        return cls(
            models=tuple(models),
            correct=tuple(data.train[kind].correct[:, at] for kind in data.kinds),
            cost_usd=tuple(data.train[kind].cost_usd[:, at] for kind in data.kinds),
        )

    @property
    def truth(self) -> Floats:
        """quality[node, model] over all questions."""
        return np.array([table.mean(axis=0) for table in self.correct])

    def drawn(self, rng: np.random.Generator, inputs: int) -> list[Ints]:
        """Questions of so many inputs, as indexes by node."""
        return [rng.choice(len(table), size=inputs, replace=False) for table in self.correct]


def interval(values: Sequence[float]) -> str:
    """Mean with its 95 % interval over repetitions."""
    mean = float(np.mean(values))
    half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean:.4f} ± {half:.4f}"


def whole(world: World, at: list[Ints]) -> Floats:
    """Success of every assignment, each run on the inputs; only the end of a run is judged."""
    tables = [table[rows] for table, rows in zip(world.correct, at, strict=True)]
    ends = tables[0]
    for table in tables[1:]:
        ends = ends[..., None] * table.reshape(len(table), *(1,) * (ends.ndim - 1), -1)
    return np.asarray(ends.mean(axis=0)).ravel()


def replayed(world: World, at: list[Ints]) -> Floats:
    """The same from node profiles: the product over nodes."""
    means = [t[rows].mean(axis=0) for t, rows in zip(world.correct, at, strict=True)]
    return combined(means)


def combined(means: Sequence[Floats]) -> Floats:
    """Product over nodes, for every assignment."""
    return np.asarray(reduce(np.multiply.outer, means)).ravel()


def rmse(found: Floats, world: World) -> float:
    """Against the success over all questions."""
    return float(np.sqrt(np.mean((found - combined(list(world.truth))) ** 2)))


def errors(
    world: World, estimate: Callable[[World, list[Ints]], Floats], inputs: int, seed: int
) -> list[float]:
    """Of `REPEATS` draws of inputs."""
    rng = np.random.default_rng((seed, inputs))
    return [rmse(estimate(world, world.drawn(rng, inputs)), world) for _ in range(REPEATS)]


def equal_error(data: Outcomes, seed: int) -> None:
    """Part 1."""
    print(f"\ncalls until the error is that of all combinations on {INPUTS} inputs")
    by_price = np.argsort(
        np.mean([data.train[k].cost_usd.mean(axis=0) for k in data.kinds], axis=0)
    )
    for count in (2, 3, 6, 12):
        picked = np.linspace(0, len(data.models) - 1, count).round().astype(int)
        world = World.of(data, [data.models[by_price[i]] for i in picked])
        nodes = len(world.correct)
        goal = errors(world, whole, INPUTS, seed)
        inputs, found = 0, [np.inf]
        while np.mean(found) > np.mean(goal):
            inputs += 1
            found = errors(world, replayed, inputs, seed)
        calls, few = count**nodes * nodes * INPUTS, count * nodes * inputs
        print(
            f"{count:3} models: all combinations {calls:>9,} calls, error {interval(goal)}; "
            f"replay {few:>5,} calls ({inputs} inputs), error {interval(found)}: "
            f"{1 - few / calls:.2%} fewer; whole runs of drawn assignments with every node judged: "
            f"{few:,} calls as well"
        )


def cells(world: World, seen: Floats, good: Floats, spent: Floats, inputs: int) -> list[Cell]:
    """What is known, as the product's sampling has it; seen, good, spent [node, model]."""
    found = []
    for i, j in np.ndindex(*seen.shape):
        prior = success(0.5, ability(world.models[j])[0])
        price = spent[:, j].sum() / max(1.0, seen[:, j].sum())
        found.append(
            Cell(
                node=str(i),
                model=str(j),
                weight=1.0,
                visits=1.0,
                good=float(good[i, j]) + PRIOR_ANSWERS * prior,
                bad=float(seen[i, j] - good[i, j]) + PRIOR_ANSWERS * (1 - prior),
                cost_usd=float(spent[i, j] / seen[i, j] if seen[i, j] else price),
                took_s=1.0,
                left=int(inputs - seen[i, j]),
            )
        )
    return found


def spend(
    world: World, at: list[Ints], budget_usd: float, rng: np.random.Generator, *, by_worth: bool
) -> list[Cell]:
    """Ask until the budget is gone."""
    inputs, shape = len(at[0]), (len(world.correct), len(world.models))
    seen, good, spent = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    # As in the product, the price list tells what a call will cost before the first.
    mean_cost = [t.mean(axis=0) for t in world.cost_usd]
    order = [
        (n, i, j) for n in range(inputs) for i in range(shape[0]) for j in rng.permutation(shape[1])
    ]
    known = [
        replace(c, cost_usd=float(mean_cost[int(c.node)][int(c.model)]))
        for c in cells(world, seen, good, spent, inputs)
    ]
    prices = switching_prices(known)
    step = 0
    while True:
        left = budget_usd - float(spent.sum())
        if by_worth:
            now = cells(world, seen, good, spent, inputs)
            now = [
                c if seen[int(c.node), int(c.model)] else replace(c, cost_usd=k.cost_usd)
                for c, k in zip(now, known, strict=True)
            ]
            cell = best(now, prices, Limits(budget_usd=left, seconds=None))
            if cell is None:
                break
            i, j = int(cell.node), int(cell.model)
            question = at[i][int(seen[i, j])]
        else:
            if step == len(order):
                break
            n, i, j = order[step]
            question, step = at[i][n], step + 1
        cost = world.cost_usd[i][question, j]
        if cost > left:
            if by_worth:
                break
            continue
        seen[i, j] += 1
        good[i, j] += world.correct[i][question, j]
        spent[i, j] += cost
    final = cells(world, seen, good, spent, inputs)
    return [
        c if seen[int(c.node), int(c.model)] else replace(c, cost_usd=k.cost_usd)
        for c, k in zip(final, known, strict=True)
    ]


def planned(world: World, known: Sequence[Cell]) -> Floats:
    """quality[node, model] as the planner has it from priors and the judged answers."""
    free = Price(in_usd=0.0, out_usd=0.0, source="none")
    specs = [
        ModelSpec(name=n, provider="p", local=True, price=free, ability=ability(n)[0])
        for n in world.models
    ]
    score = StepScore(difficulty=0.5, low=0.2, high=0.8, reason="not known")
    names = list(dict.fromkeys(cell.node for cell in known))
    nodes = [
        NodeProfile(node=n, score=score, visits=1.0, visits_p95=1.0, visits_max=1.0) for n in names
    ]
    seen = {}
    for cell in known:
        name = world.models[int(cell.model)]
        prior = success(0.5, ability(name)[0])
        good = cell.good - PRIOR_ANSWERS * prior
        bad = cell.bad - PRIOR_ANSWERS * (1 - prior)
        seen[cell.node, name] = Evidence(good=max(0.0, good), bad=max(0.0, bad))
    found = weigh(
        Profile(nodes=tuple(nodes), scorer="none"), Catalog(models=tuple(specs)), seen
    ).qualities
    return np.array([[found[n, m] for m in world.models] for n in names])


def regret(world: World, known: Sequence[Cell], prices: Sequence[float]) -> float:
    """Success lost by choosing with what is known, mean over prices of quality."""
    true, cost = world.truth, np.array([t.mean(axis=0) for t in world.cost_usd])
    nodes = len(true)
    guess = planned(world, known)
    lost = []
    for price in prices:
        ideal = (np.log(np.maximum(true, 0.01)) - price * cost).max(axis=1)
        chosen = (np.log(guess) - price * cost).argmax(axis=1)
        got = (np.log(np.maximum(true, 0.01)) - price * cost)[np.arange(nodes), chosen]
        lost.append(1 - float(np.exp((got - ideal).sum())))
    return float(np.mean(lost))


def by_worth(data: Outcomes, seed: int) -> None:
    """Part 2."""
    world = World.of(data, data.models)
    inputs = 40
    cost = np.array([t.mean(axis=0) for t in world.cost_usd])
    full = float(cost.sum() * inputs)
    nothing = np.zeros(cost.shape)
    true = [
        replace(
            c,
            good=100 * float(world.truth[int(c.node), int(c.model)]) + 1e-6,
            bad=100 * (1 - float(world.truth[int(c.node), int(c.model)])) + 1e-6,
            cost_usd=float(cost[int(c.node), int(c.model)]),
        )
        for c in cells(world, nothing, nothing, nothing, inputs)
    ]
    prices = switching_prices(true)
    print(
        f"\nregret of the plan, {len(world.models)} models × 4 nodes × {inputs} inputs, "
        f"all of which cost ${full:.2f}"
    )
    prior = spend(
        world,
        world.drawn(np.random.default_rng(seed), inputs),
        0.0,
        np.random.default_rng(seed),
        by_worth=True,
    )
    print(f"priors alone: {regret(world, prior, prices):.4f}")
    for part in SHARES:
        found: dict[bool, list[float]] = {True: [], False: []}
        for repeat in range(REGRET_REPEATS):
            at = world.drawn(np.random.default_rng((seed, repeat)), inputs)
            for worth in found:
                rng = np.random.default_rng((seed, repeat, 1))
                known = spend(world, at, part * full, rng, by_worth=worth)
                found[worth].append(regret(world, known, prices))
        paired = np.array(found[True]) - np.array(found[False])
        print(
            f"{part:4.0%} of the cost: by worth {interval(found[True])}, one input after the other "
            f"{interval(found[False])}, difference {interval(list(paired))}"
        )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("GRAPHROUTE_DATA"))
    parser.add_argument("--live", action="store_true")
    parser.add_argument(
        "--limits", default="0.5,0.7,1", help="--live: limits per run, as shares of the strong"
    )
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(describe(seed=asked.seed))
    if asked.live:
        _live.run([float(share) for share in asked.limits.split(",")])
    elif asked.data is None:
        parser.error("give --data FOLDER with the routing data, or --live")
    else:
        data = load(Path(asked.data), "tasks")
        equal_error(data, asked.seed)
        by_worth(data, asked.seed)


if __name__ == "__main__":
    main()
