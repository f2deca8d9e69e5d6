"""Feedback after the fact: whose run it is about, and what part of it each node's answers get.

A verdict on one node counts for that node in full. A verdict on the end of a run says that all
steps together were good, or that at least one was not; which one, nobody said. Such a run is a
unanimity game: it is worth something only if every step plays its part. Its weighted Shapley value
gives each player a share in proportion to its weight (E. Kalai, D. Samet, On weighted Shapley
values, Int. J. of Game Theory 16, 1987). So each node is credited with the run's score, as evidence
of weight wᵢ / Σ wⱼ over the nodes that ran: one verdict is one observation in all, shared out.

>>> said = Feedback(run_id="r", verdict=Verdict(score=1.0, passed=True, source="user"))
>>> [(c.node, c.score, c.weight) for c in shares(said, ["a", "b"], {"a": 3.0, "b": 1.0})]
[('a', 1.0, 0.75), ('b', 1.0, 0.25)]
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from graphroute.errors import InvalidValue, UnknownNode
from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.verdict import Verdict, verdict_of

MAX_ID: Final = 200
"""Characters of a run id that a user gives."""

RUN_ID_KEY: Final = "graphroute_run_id"
"""Key of a config's metadata under which a user names a run."""


def shares(
    feedback: Feedback, nodes: Iterable[str], weights: Mapping[str, float]
) -> tuple[Credit, ...]:
    """The credit that nodes get of a verdict.

    nodes: those that ran; weights: of nodes, ≥ 0, 1 where it says nothing
    """
    score = feedback.verdict.score
    if score is None:
        return ()
    source = feedback.verdict.source

    def credit(node: str, weight: float) -> Credit:
        return Credit(run_id=feedback.run_id, node=node, score=score, weight=weight, source=source)

    if feedback.node is not None:
        return (credit(feedback.node, 1.0),)
    found = {node: max(0.0, weights.get(node, 1.0)) for node in nodes}
    total = sum(found.values())
    if total == 0:
        return ()
    return tuple(credit(node, share) for node, w in found.items() if (share := w / total) > 0)


def verdict_given(score: object, *, source: str = "user", reason: str = "") -> Verdict:
    """What a person or program gave as a score; `InvalidValue` if it is none."""
    verdict = verdict_of(score, source=source)
    if not verdict.is_known:
        raise InvalidValue(
            f"feedback score {score!r}",
            value=score,
            next_step="give True, False or a number in [0, 1]",
        )
    return Verdict(
        score=verdict.score,
        passed=verdict.passed,
        reason=verdict.reason or reason,
        source=verdict.source if isinstance(score, Verdict) else source,
    )


def check_run(run_id: str, node: str | None, nodes: Sequence[str]) -> None:
    """Refuse feedback on a run that nobody recorded, or on a node that did not run in it."""
    if not nodes:
        raise InvalidValue(
            f"no call of a run {run_id!r} is recorded" if run_id else "feedback on no run",
            value=run_id,
            next_step="give fast.last_run_id, or the run_id of one of fast.records",
        )
    if node is not None and node not in nodes:
        raise UnknownNode(
            f"node {node!r} made no call in run {run_id!r}",
            node=node,
            known=tuple(nodes),
            next_step=f"give one of {', '.join(nodes)}, or no node for the end result",
        )


def new_run_id() -> str:
    """An id that no other run has; not a uuid4: tests that seed or count those must find them."""
    return secrets.token_hex(16)


def run_id_in(config: Mapping[str, Any] | None) -> str | None:
    """The id that a user gave a run: its metadata's `graphroute_run_id`, else its `run_id`.

    The latter is what LangSmith knows the run by, so feedback given there finds it again.

    >>> run_id_in({"metadata": {"graphroute_run_id": "ticket-17"}}), run_id_in(None)
    ('ticket-17', None)
    >>> run_id_in({"metadata": {"graphroute_run_id": 0}, "run_id": 5})
    '0'
    """
    found = config or {}
    for stated in ((found.get("metadata") or {}).get(RUN_ID_KEY), found.get("run_id")):
        if name := named(stated):
            return name
    return None


def named(run_id: object) -> str:
    """A run's id as records have it, whether it is given as a text, a number or a UUID.

    None is `""`, which no run is called; of a longer one than `MAX_ID` that many characters count.

    >>> named(17), named(0), named(None)
    ('17', '0', '')
    """
    return "" if run_id is None else str(run_id)[:MAX_ID]
