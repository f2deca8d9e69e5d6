"""Why a node got its model: the case for it, its runner-up, what bound the choice, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from graphroute.ir.catalog import Catalog
from graphroute.ir.plan import RunnerUp
from graphroute.ir.problem import SLACK, Problem, Solution
from graphroute.ir.profile import NodeProfile
from graphroute.ir.text import in_turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the reason for one node is read from; options are columns of the problem."""

    problem: Problem
    solution: Solution
    catalog: Catalog
    row: int

    def name(self, k: int) -> str:
        """The option in words: `small, then big`."""
        option = self.problem.option(self.row, k)
        names = in_turn([self.problem.models[m] for m in option.models])
        return names if option.batch == 1 else f"{names} with {option.batch} tasks a prompt"

    def then(self, k: int) -> tuple[str, ...]:
        """The models behind the first."""
        return tuple(self.problem.models[m] for m in self.problem.option(self.row, k).models[1:])

    def first(self, k: int) -> str:
        """The model that is asked first."""
        return self.problem.models[self.problem.option(self.row, k).models[0]]

    def log_quality(self, k: int) -> float:
        """Log-probability of a good result under this option."""
        return float(self.problem.log_quality[self.row, k])

    def quality(self, k: int) -> float:
        """Probability of a good result under this option."""
        return math.exp(self.log_quality(k))

    def cost_usd(self, k: int) -> float:
        """Expected spend on the node per run."""
        return float(self.problem.cost_usd[self.row, k])

    def time_s(self, k: int) -> float:
        """Seconds of one of the visits that the profile counts."""
        return float(self.problem.time_s[self.row, k])

    def utility(self, k: int) -> float:
        """w·log q − λ·cost − μ·time, what each call decides by as well."""
        if self.problem.objective == "cost":
            return -self.cost_usd(k)
        if self.problem.objective == "latency":
            return -self.time_s(k)
        value = float(self.problem.weight[self.row]) * self.log_quality(k)
        spent = self.solution.shadow_price * self.cost_usd(k)
        return value - spent - self.solution.time_price * self.seconds(k)

    def seconds(self, k: int) -> float:
        """Seconds of a run under this option while the rest of the plan stays, all loading too."""
        if not self.solution.time_price:
            return 0.0
        choice = list(self.solution.choice)
        choice[self.row] = k
        return self.problem.latency_s(choice)

    def others(self, chosen: int) -> list[int]:
        """Feasible options besides the chosen one, best first; ties: cheaper, local, name."""
        allowed = [int(k) for k in np.flatnonzero(self.problem.feasible[self.row])]
        return sorted(
            (k for k in allowed if k != chosen),
            key=lambda k: (
                -round(self.utility(k), 12),
                self.cost_usd(k),
                not self.problem.is_local(self.problem.option(self.row, k).models[0]),
                self.name(k),
            ),
        )


def fallbacks(case: Case, chosen: int, others: list[int]) -> tuple[str, ...]:
    """Models that take over where the first one cannot serve: those to come next, then others."""
    allowed = [case.first(k) for k in others if k < len(case.catalog)]
    names = [*case.then(chosen), *allowed]
    return tuple(dict.fromkeys(name for name in names if name != case.first(chosen)))


def runner_up(case: Case, chosen: int, other: int) -> RunnerUp:
    """What taking the other option instead would change."""
    return RunnerUp(
        model=case.first(other),
        then=case.then(other),
        quality_change=case.quality(other) - case.quality(chosen),
        cost_change_usd=case.cost_usd(other) - case.cost_usd(chosen),
        latency_change_s=case.time_s(other) - case.time_s(chosen),
    )


def constraints(case: Case, chosen: int) -> tuple[str, ...]:
    """Masks of this node, and the limits that keep out better models."""
    problem = case.problem
    node = problem.nodes[case.row]
    found = [f"{mask.model}: {mask.reason}" for mask in problem.masks if mask.node == node]
    better = [
        m
        for m in range(len(problem.models))
        if problem.feasible[case.row, m] and case.quality(m) > case.quality(chosen) + 1e-9
    ]
    if problem.objective != "quality":
        return tuple(found)
    by_limit: dict[str, list[str]] = {}
    for k in better:
        for limit in _broken(case, k):
            by_limit.setdefault(limit, []).append(case.name(k))
    words = {
        "budget": f"the budget of ${problem.budget_usd or 0:g} per run",
        "deadline": f"the deadline of {problem.promised_s or problem.deadline_s or 0:g} s",
        "memory": f"the memory of {problem.memory_limit_bytes or 0} bytes for local models",
    }
    for limit, names in by_limit.items():
        found.append(f"{words[limit]} keeps out {', '.join(names)}")
    return tuple(found)


def _broken(case: Case, k: int) -> list[str]:
    """Limits that the plan would break with this option in place of the chosen one."""
    problem = case.problem
    choice = list(case.solution.choice)
    choice[case.row] = k
    broken = []
    spent, took = problem.budget_usd, problem.deadline_s
    if spent is not None and problem.spend_usd(choice) > spent * (1 + SLACK):
        broken.append("budget")
    if took is not None and problem.latency_s(choice) > took * (1 + SLACK):
        broken.append("deadline")
    room = problem.memory_limit_bytes
    if room is not None and problem.resident_bytes(choice) > room:
        broken.append("memory")
    return broken


def reason(case: Case, profile: NodeProfile, chosen: int, others: list[int]) -> str:
    """One sentence: how hard the step is, what spoke for this option, what the place in the graph
    does to its weight.
    """
    head = f"{profile.score.difficulty:.2f}: {profile.score.reason}: {_how(case, chosen)} because "
    place = f"; {profile.place}" if profile.place else ""
    return head + _why(case, chosen, others) + place


def _how(case: Case, chosen: int) -> str:
    kind = case.problem.option(case.row, chosen).kind
    if kind == "iterations":
        return f"{case.name(chosen)} from round to round"
    if kind == "cascade":
        return f"{case.name(chosen)} where the check refuses"
    return case.name(chosen)


def _why(case: Case, chosen: int, others: list[int]) -> str:
    objective = case.problem.objective
    node = case.problem.nodes[case.row]
    q = case.quality(chosen)
    if not others:
        reasons = {mask.reason for mask in case.problem.masks if mask.node == node}
        if any(r.startswith("pinned") for r in reasons):
            return "the node is pinned to it"
        if len(case.catalog) == 1:
            return "the pool has no other"
        return "no other model may serve this node"
    runner = others[0]
    name = case.name(runner)
    saved = case.cost_usd(chosen) - case.cost_usd(runner)
    points = 100 * (q - case.quality(runner))
    if objective == "cost":
        return f"it is the cheapest that is good enough (quality {q:.2f})"
    if objective == "latency":
        return f"the run ends soonest with it ({case.time_s(chosen):.1f} s per visit)"
    best = max(case.quality(k) for k in [chosen, *others])
    if q >= best - 1e-12:
        if saved <= 0:
            return f"it is the best (quality {q:.2f}) and costs no more than {name}"
        return (
            f"it is the best (quality {q:.2f}); {name} would save ${saved:.2g} and lose "
            f"{points:.1f} points"
        )
    if points > 0:
        return (
            f"quality {q:.2f} is what the limits allow here; {name} would "
            f"{'save' if saved >= 0 else 'cost'} ${abs(saved):.2g} "
            f"{'and' if saved >= 0 else 'more and'} lose {points:.1f} points"
        )
    if broken := _broken(case, runner):
        return (
            f"quality {q:.2f} is what the {' and the '.join(broken)} allows; {name} would gain "
            f"{-points:.1f} points and does not fit"
        )
    if saved >= 0:
        return f"quality {q:.2f} is enough; the seconds {name} takes buy more elsewhere"
    return (
        f"quality {q:.2f} is enough: {name} would gain {-points:.1f} points for ${-saved:.2g} "
        "more, which counts for more elsewhere"
    )
