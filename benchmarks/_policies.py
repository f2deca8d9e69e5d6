"""Routing policies on equal terms: each sees a call and what is left, and ranks the models."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from _outcomes import Floats, Outcomes

from graphroute.ir.problem import Problem, Solution
from graphroute.planning import punctual
from graphroute.planning.allocate import allocate
from graphroute.planning.retries import CheckRates, after_refusals, by_hardness
from graphroute.planning.simulated import Runs
from graphroute.solvers import auto


@dataclass(slots=True, kw_only=True)
class Run:
    """One run so far, as the policies may see it.

    prices[m]: factor on the planned price; is_hit: the shock of the scenario has come
    asked: node → models that have answered it, in order
    """

    spent_usd: float = 0.0
    elapsed_s: float = 0.0
    calls: int = 0
    is_hit: bool = False
    failed: set[int] = field(default_factory=set)
    prices: Floats
    asked: dict[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One graph with a kind of work per node: the planning problem and the rest after each node.

    kinds[i], slowness[i] of node i; visits[i] expected; after[i] expected visits once i has run;
    quality[i, m], cost_usd[i, m] (per call), time_s[i, m] from the training questions
    runs: simulated runs, by which a deadline's margin is chosen
    plain: the problem with one model a node, each loop as long as the records say
    """

    problem: Problem
    kinds: tuple[str, ...]
    visits: Floats
    after: Floats
    quality: Floats
    cost_usd: Floats
    time_s: Floats
    runs: Runs
    plain: Problem

    @property
    def budget_usd(self) -> float:
        """The hard limit of each run."""
        assert self.problem.budget_usd is not None
        return self.problem.budget_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One model call; `left` calls of its node are still to be made in this superstep, this one
    included; `asked`: the models whose answers the checker of its loop has refused.
    """

    node: int
    prompt: str
    left: int
    asked: tuple[int, ...] = ()


class Policy(Protocol):
    """Ranks models for a call; the runner takes the first that is up and fits the budget.

    right[m]: whether each model's answer to the call is right; for the oracle's eyes only
    """

    name: str
    right: Floats

    def begin(self, case: Case) -> None:
        """Get ready for the runs of one graph."""
        ...

    def rank(self, call: Call, run: Run) -> list[int]:
        """Models for one call, best first."""
        ...


class Always:
    """One model for everything."""

    right: Floats

    def __init__(self, name: str, model: int) -> None:
        self.name, self.model = name, model

    def begin(self, case: Case) -> None:
        """Nothing to prepare but the order in which others take over."""
        self.order = [int(m) for m in np.argsort(case.cost_usd.mean(axis=0))]

    def rank(self, call: Call, run: Run) -> list[int]:  # noqa: ARG002
        """The model, then the cheapest."""
        return [self.model, *self.order]


class Binary:
    """RouteLLM's rule: the strong model if a text score passes a threshold, else the weak one.

    The score predicts from the prompt alone whether the weak model fails where the strong one
    does not (ridge regression on hashed words, trained on the training questions); the threshold
    is set for each graph so that the training questions would spend the budget.
    """

    BUCKETS = 2048
    right: Floats

    def __init__(self, name: str, data: Outcomes, strong: int, weak: int) -> None:
        self.name, self.strong, self.weak = name, strong, weak
        prompts = [p for k in data.kinds for p in data.train[k].prompts]
        gain = np.concatenate(
            [data.train[k].correct[:, strong] - data.train[k].correct[:, weak] for k in data.kinds]
        )
        x = np.array([self._features(p) for p in prompts])
        self.center = float(gain.mean())
        gram = x.T @ x + 30.0 * np.eye(self.BUCKETS)
        self.weights = np.linalg.solve(gram, x.T @ (gain - self.center))
        self.by_kind = {
            k: np.array([self._score(p) for p in data.train[k].prompts]) for k in data.kinds
        }
        self.threshold = 0.0
        self.known: dict[str, float] = {}

    def _features(self, prompt: str) -> Floats:
        found = np.zeros(self.BUCKETS)
        for word in re.findall(r"[a-z]+|\d+|[^\s\w]", prompt.lower())[:400]:
            digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
            found[int.from_bytes(digest, "big") % self.BUCKETS] += 1
        norm = float(np.linalg.norm(found))
        return found / norm if norm else found

    def _score(self, prompt: str) -> float:
        return self.center + float(self._features(prompt) @ self.weights)

    def begin(self, case: Case) -> None:
        """Find the threshold at which the expected spend is the budget."""
        low = sum(v * case.cost_usd[i, self.weak] for i, v in enumerate(case.visits))
        scores = np.concatenate([self.by_kind[k] for k in case.kinds])
        extra = np.concatenate(
            [
                np.full(
                    len(self.by_kind[k]),
                    case.visits[i]
                    * (case.cost_usd[i, self.strong] - case.cost_usd[i, self.weak])
                    / len(self.by_kind[k]),
                )
                for i, k in enumerate(case.kinds)
            ]
        )
        order = np.argsort(-scores)
        spend = low + np.cumsum(extra[order])
        within = int(np.searchsorted(spend, case.budget_usd))
        self.threshold = float(scores[order[min(within, len(order) - 1)]])

    def rank(self, call: Call, run: Run) -> list[int]:  # noqa: ARG002
        """Strong or weak by the score, then the other."""
        if (score := self.known.get(call.prompt)) is None:
            score = self.known[call.prompt] = self._score(call.prompt)
        pair = [self.strong, self.weak]
        return pair if score > self.threshold else pair[::-1]


class FairShare:
    """Per-call N-way: the best model for this kind of work within an equal share of what is left.

    It knows the node profiles and how many calls are expected to come, but not which.
    """

    name = "per call, N-way, fair share"
    right: Floats

    def begin(self, case: Case) -> None:
        """Keep the case."""
        self.case = case
        self.total = float(case.visits.sum())

    def rank(self, call: Call, run: Run) -> list[int]:
        """Affordable models by quality, then the others by price."""
        case, node = self.case, call.node
        to_come = max(float(call.left), self.total - run.calls)
        share = (case.budget_usd - run.spent_usd) / to_come
        cost = case.cost_usd[node] * run.prices
        order = np.lexsort((cost, -case.quality[node]))
        affordable = [int(m) for m in order if cost[m] <= share]
        return [*affordable, *(int(m) for m in np.argsort(cost) if cost[m] > share)]


class StaticPlan:
    """Our plan as it is made before the run, never changed."""

    right: Floats

    def __init__(self, name: str = "our static plan", *, has_rounds: bool = True) -> None:
        self.name, self.has_rounds = name, has_rounds

    def begin(self, case: Case) -> None:
        """Solve once."""
        problem = case.problem if self.has_rounds else case.plain

        def solve(under: Problem) -> Solution:
            return auto.build().solve(under, time_limit_s=0.5)

        self.problem, found = punctual.solve(problem, solve, case.runs, seed=0)
        if not found.choice:  # no plan keeps every limit: the deadline gives way, then money
            self.problem = replace(problem, deadline_s=None)
            found = solve(self.problem)
        self.case = case
        cheapest = case.cost_usd.argmin(axis=1)
        self.choice = found.choice or tuple(int(m) for m in cheapest)

    def rank(self, call: Call, run: Run) -> list[int]:  # noqa: ARG002
        """The planned model (of this round), then cheaper ones from the best down."""
        node = call.node
        models = self.problem.option(node, self.choice[node]).models
        chosen = models[min(len(call.asked), len(models) - 1)]
        cost, quality = self.case.cost_usd[node], self.case.quality[node]
        others = [int(m) for m in np.argsort(-quality) if cost[m] < cost[chosen]]
        return [chosen, *others]


class Replanned:
    """Our plan, made again before every call from what is left to do and to spend.

    What a checker has refused is known to be hard, and a model that is asked the same again answers
    as before.
    """

    name = "our re-planning"
    right: Floats

    def __init__(self, check: CheckRates) -> None:
        self.check = check

    def begin(self, case: Case) -> None:
        """Keep the case and the plan for the deadline."""
        self.case = case
        self.plan = StaticPlan()
        self.plan.begin(case)

    def rank(self, call: Call, run: Run) -> list[int]:
        """Models by utility under the price of what is left."""
        case, node = self.case, call.node
        problem, m = case.problem, len(case.problem.models)
        visits = case.after[node].copy()
        visits[node] += call.left
        begun = np.array([bool(run.asked.get(i)) for i in range(len(visits))])
        share = visits / np.maximum(case.visits, 1e-9)
        cost = problem.cost_usd * share[:, None]
        # A round that has been refused is followed by what is best then, not by more of the same.
        cost[begun, :m] = case.cost_usd[begun] * visits[begun, None]
        cost[:, :m] *= run.prices
        for i, options in enumerate(problem.extras):
            for e, option in enumerate(options):
                cost[i, m + e] *= run.prices[list(option.models)].mean()
        feasible = problem.feasible.copy()
        for model in run.failed:
            feasible &= ~problem.holds(model)
        feasible[begun, m:] = False
        if problem.deadline_s is not None:
            # The static plan bought its time where that cost least; nothing slower goes there.
            slowest = problem.time_s[np.arange(len(visits)), list(self.plan.choice)]
            quick = feasible & (problem.time_s <= slowest[:, None] + 1e-9)
            feasible = np.where(quick.any(axis=1, keepdims=True), quick, feasible)
        log_quality = problem.log_quality
        if call.asked:
            log_quality = log_quality.copy()
            success = by_hardness(case.quality[node])
            good = after_refusals(call.asked, success, self.check, stubborn=1.0)
            log_quality[node, :m] = np.log(np.clip(good, 0.01, 0.995))
        # Of a retried or fanned-out step each visit counts as much as the plan said.
        value = log_quality * (problem.weight * share)[:, None]
        left_usd = case.budget_usd - run.spent_usd
        choice, price, _ = allocate(value, cost, feasible, left_usd)
        utility = np.where(feasible[node], value[node] - price * cost[node], -np.inf)
        order = [int(k) for k in np.argsort(-utility[:m]) if np.isfinite(utility[k])]
        first = problem.option(node, int(choice[node])).models[0]
        return [first, *(k for k in order if k != first)]


class HandedOver:
    """One policy up to the shock, another from then on: tells what was lost before it from what
    could still be done after it.
    """

    right: Floats

    def __init__(self, name: str, before: Policy, after: Policy) -> None:
        self.name, self.before, self.after = name, before, after

    def begin(self, case: Case) -> None:
        """Both get ready."""
        self.before.begin(case)
        self.after.begin(case)

    def rank(self, call: Call, run: Run) -> list[int]:
        """As the one whose turn it is."""
        turn = self.after if run.is_hit else self.before
        turn.right = self.right
        return turn.rank(call, run)


class Oracle:
    """Knows every outcome: the cheapest model that will be right. What no policy can reach."""

    name = "oracle"

    def __init__(self) -> None:
        self.right: Floats = np.zeros(0)

    def begin(self, case: Case) -> None:
        """Keep the case."""
        self.case = case

    def rank(self, call: Call, run: Run) -> list[int]:
        """Right models by price, then the others."""
        order = np.lexsort((self.case.cost_usd[call.node] * run.prices, -self.right))
        return [int(m) for m in order]
