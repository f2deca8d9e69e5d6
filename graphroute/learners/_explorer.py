"""Which calls may be experimented with, and on which model.

Never those of a node that its author pinned, that stays on this machine, or that has more weight
than `max_weight`; never where a cascade is planned, whose answers are checked anyway; and only
where answers get judged, because from others nothing would be learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from graphroute.ir.catalog import ModelSpec
from graphroute.ir.hints import NANO, RouteHints
from graphroute.ir.learning import Arm, Look
from graphroute.ir.plan import Assignment, Plan
from graphroute.learners._allowance import Allowance
from graphroute.protocols import Learner

STRENGTH: Final = 8.0
"""Answers that a quality of the plan counts as where nobody has judged any: steps of one difficulty
come to qualities that differ about as much as eight answers do (`benchmarks/blending.py`)."""


def may_explore(planned: Assignment, hints: RouteHints, *, max_weight: float) -> bool:
    """Whether calls of a planned node may go to models that the plan did not choose."""
    if planned.kind != "single" or planned.privacy_local:
        return False
    if hints.pin is not None or hints.privacy == "local":
        return False
    if hints.weight is not None and hints.weight > max_weight:
        return False
    return hints.verify is not None or planned.judged > 0


def look_at(
    planned: Assignment,
    specs: Sequence[ModelSpec],
    *,
    in_tokens: int,
    answers: Callable[[str, str], float],
    plan: Plan,
) -> Look:
    """A call as a learner sees it; the first of the specs is the plan's choice.

    answers: how many of a model at a node have been judged
    """
    expected = dict(zip((planned.model, *planned.fallbacks), planned.qualities, strict=False))
    calls = planned.expected_calls / max(planned.expected_visits, 1e-9)
    arms = []
    for spec in specs:
        mean = expected.get(spec.name, 0.5)
        # The plan's quality is the posterior mean already: the counts only say how sure it is.
        count = STRENGTH + answers(planned.node, spec.name)
        cost = spec.cost_usd(in_tokens + spec.overhead_tokens, planned.out_tokens)
        arms.append(Arm(model=spec.name, good=count * mean, bad=count * (1 - mean), cost_usd=cost))
    return Look(
        node=planned.node,
        arms=tuple(arms),
        weight=planned.weight / max(calls, 1e-9),
        shadow_price=plan.shadow_price,
        floor=planned.quality if plan.objective == "cost" else None,
    )


class Explorer:
    """Answers `challenger()` for one graph; may be asked from any thread.

    answers: how many of a model at a node have been judged
    """

    def __init__(
        self,
        learner: Learner,
        allowance: Allowance,
        *,
        answers: Callable[[str, str], float],
        max_weight: float,
    ) -> None:
        self._learner, self._allowance = learner, allowance
        self._answers, self._max_weight = answers, max_weight

    def challenger(
        self,
        node: str,
        specs: Sequence[ModelSpec],
        *,
        in_tokens: int,
        plan: Plan,
        hints: RouteHints,
    ) -> str | None:
        """Another model than the first of `specs` for a call, or None.

        specs: models that can serve the call, best first
        """
        planned = plan.assignment(node)
        if len(specs) < 2 or planned is None or plan.objective == "latency":
            return None
        if not may_explore(planned, hints, max_weight=self._max_weight):
            return None
        self._allowance.seen()
        look = look_at(
            planned,
            specs,
            in_tokens=in_tokens,
            answers=self._answers,
            plan=plan,
        )
        if (name := self._learner.challenger(look)) is None:
            return None
        cost = next(arm.cost_usd for arm in look.arms if arm.model == name)
        more = round((cost - look.arms[0].cost_usd) * NANO)
        return name if self._allowance.take(more) else None
