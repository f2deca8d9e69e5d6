"""The Lagrangian solver alone: milliseconds on any size, with a proven gap but rarely a proof."""

from __future__ import annotations

from typing import ClassVar

from graphroute.ir.problem import Problem, Solution
from graphroute.solvers._portfolio import run

REQUIRES: tuple[str, ...] = ("numpy",)
EXAMPLES: tuple[dict[str, object], ...] = ({},)
RANK = 20


class Lagrangian:
    """Bound by prices, assignment by repair; `status` is "feasible" unless the gap is 0."""

    name = "lagrangian"
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset({"budget", "deadline", "memory"})

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:  # noqa: ARG002
        """A good assignment with its bound; takes milliseconds, whatever the limit."""
        found = run(problem, self.name, accepts=())
        # That repair finds nothing proves nothing; labels do.
        return found if found.choice or not problem.nodes else run(problem, self.name)


def build() -> Lagrangian:
    """The solver; it has no options."""
    return Lagrangian()
