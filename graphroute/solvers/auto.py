"""The portfolio: bound first, prove where that is cheap, search only where the gap is large.

0. The first solver by rank whose capabilities cover what the problem needs is taken: where many
   nodes share a superstep ("wide") that is `series_parallel`, else `exact`.

1. Lagrangian prices give a bound and a repaired assignment; a gap below `SMALL_GAP` on a large
   problem ends it there.
2. Label setting proves the optimum on problems of ordinary size, with those prices as its bound.
3. Where the labels outgrow their limit and the gap is still above `LARGE_GAP`, HiGHS sets out from
   the best assignment found, for what is left of the time limit.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.util import find_spec
from typing import ClassVar

from graphroute.ir.problem import Problem, Solution
from graphroute.solvers import exact, series_parallel
from graphroute.solvers._choices import outline
from graphroute.solvers._portfolio import GAP_PROVED, gap, run

REQUIRES: tuple[str, ...] = ("numpy",)
EXAMPLES: tuple[dict[str, object], ...] = ({},)
RANK = 0

SMALL_GAP = 1e-3
LARGE_GAP = 0.01
LARGE = 60
"""Nodes from which on a gap below `SMALL_GAP` is not worth closing."""
TIMED = 12
GOOD_GAP = 0.008
"""With a deadline as well, problems of `TIMED` nodes or more are solved to this gap where proving
less takes too many labels."""

WIDE = 512
"""Combinations of the nodes of one superstep from which on listing them takes longest."""

PROVERS = sorted((exact, series_parallel), key=lambda module: module.RANK)


class Auto:
    """Chooses the solver by size and gap; the solution names the one that answered."""

    name = "auto"
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset({"budget", "deadline", "memory", "wide"})

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:
        """The best assignment found within the time limit."""
        ends = time.monotonic() + time_limit_s

        is_large = len(problem.nodes) >= LARGE
        is_timed = problem.deadline_s is not None and len(problem.nodes) >= TIMED
        stop = SMALL_GAP if is_large else GAP_PROVED
        least = SMALL_GAP if is_large else 0.0
        accepts = (least, GOOD_GAP) if is_timed else (least,)

        def fallback(hard: Problem, found: Solution | None) -> Solution:
            if found is not None and found.gap <= LARGE_GAP:
                return found
            left = ends - time.monotonic()
            if find_spec("highspy") is None or left <= 0:
                return found or Solution(status="time_limit", solver="auto")
            from graphroute.solvers import milp

            start = () if found is None else found.choice
            proved = milp.build().once(
                hard, time_limit_s=left, start=start, good_gap=max(stop, accepts[-1])
            )
            if found is None or not found.choice or proved.status == "infeasible":
                return proved
            best = max(found, proved, key=lambda s: s.value)
            bound = max(min(found.bound, proved.bound), best.value)
            return replace(
                best,
                bound=bound,
                gap=gap(bound, best.value),
                shadow_price=found.shadow_price,
                time_price=found.time_price,
            )

        needs = _needs(problem)
        prover = next(
            built for built in (module.build() for module in PROVERS) if needs <= built.CAPABILITIES
        )
        return run(
            problem,
            "lagrangian" if is_large else prover.name,
            most_listed=WIDE if "wide" in needs else None,
            stop_gap=stop,
            accepts=accepts,
            fallback=fallback,
            ends=ends,
        )


def _needs(problem: Problem) -> frozenset[str]:
    """The capabilities that this problem asks of a solver."""
    limits = {
        "budget": problem.budget_usd,
        "deadline": problem.deadline_s,
        "memory": problem.memory_limit_bytes,
    }
    needs = {name for name, value in limits.items() if value is not None}
    is_timed = problem.deadline_s is not None or problem.objective == "latency"
    if is_timed and outline(problem, is_timed=True).widest(problem) > WIDE:
        needs.add("wide")
    return frozenset(needs)


def build() -> Auto:
    """The portfolio; it has no options."""
    return Auto()
