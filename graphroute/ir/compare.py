"""What changes from one plan to another: models per node, totals, and whether the graph did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphroute.ir.explain import served_by

if TYPE_CHECKING:
    from graphroute.ir.plan import Assignment, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One node whose option is another; None where the node is in one plan only.

    before, after: the models in words, as in `small, then big`
    """

    node: str
    before: str | None
    after: str | None
    cost_change_usd: float
    quality_change: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs. Truthy if anything does; `str()` is a few lines for people."""

    same_graph: bool
    changes: tuple[Change, ...]
    cost_change_usd: float
    quality_change: float
    latency_change_s: float
    feasible_before: bool
    feasible_after: bool

    def __bool__(self) -> bool:
        totals = (self.cost_change_usd, self.quality_change, self.latency_change_s)
        return (
            not self.same_graph
            or bool(self.changes)
            or any(abs(t) > 1e-12 for t in totals)
            or self.feasible_before != self.feasible_after
        )

    def __str__(self) -> str:
        if not self:
            return "the plans are the same"
        lines = [] if self.same_graph else ["the graph changed: nodes, prompts, tools or edges"]
        if self.feasible_before != self.feasible_after:
            lines.append("now feasible" if self.feasible_after else "no longer feasible")
        lines += [
            f"{c.node}: {c.before or '(none)'} → {c.after or '(none)'} "
            f"({c.cost_change_usd:+.3g} USD, {100 * c.quality_change:+.1f} points)"
            for c in self.changes
        ]
        lines.append(
            f"total: {self.cost_change_usd:+.3g} USD per run, "
            f"{100 * self.quality_change:+.1f} points, {self.latency_change_s:+.1f} s"
        )
        return "\n".join(lines)


def compare(before: Plan, after: Plan) -> Difference:
    """Changes from `before` to `after`, nodes in the order of the later plan."""
    old = {a.node: a for a in before.assignments}
    new = {a.node: a for a in after.assignments}
    changes = []
    for node in [*new, *(n for n in old if n not in new)]:
        a, b = old.get(node), new.get(node)
        if a is not None and b is not None and _option(a) == _option(b):
            continue
        changes.append(
            Change(
                node=node,
                before=served_by(a) if a else None,
                after=served_by(b) if b else None,
                cost_change_usd=(b.cost_usd if b else 0.0) - (a.cost_usd if a else 0.0),
                quality_change=b.quality - a.quality if a and b else 0.0,
            )
        )
    return Difference(
        same_graph=before.graph.fingerprint == after.graph.fingerprint,
        changes=tuple(changes),
        cost_change_usd=after.totals.cost_expected_usd - before.totals.cost_expected_usd,
        quality_change=after.totals.quality - before.totals.quality,
        latency_change_s=after.totals.latency_s - before.totals.latency_s,
        feasible_before=before.feasible,
        feasible_after=after.feasible,
    )


def _option(a: Assignment) -> tuple[object, ...]:
    return a.model, a.kind, a.then, a.batch
