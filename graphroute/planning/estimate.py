"""From facts about the graph to a profile: what each step is expected to be and to count.

A node's weight makes weight × visits the probability that the node takes part at all: the last
round of a loop decides, and each of k tasks of a `Send`, or of k nodes whose answers are put to
the vote, makes 1/k of the result. So a step on the mandatory path counts 1, one on a branch its
probability, and all that a join waits for counts in full. What a step behind it can send back
counts `CHECKED`. `weight=` of the node's author replaces all of this.
"""

from __future__ import annotations

from typing import Final

from graphroute.ir.facts import Facts, Role
from graphroute.ir.graph import Node
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.ir.verdict import sampling_of
from graphroute.protocols import StepScorer

CHECKED: Final = 0.7
"""Share of a quality's logarithm that is left behind a check: slope of log(final) over log(first)
at a quality of 0.7 to 0.8, the same model asked for up to four rounds (`planning.retries`)."""


def estimate(facts: Facts, scorer: StepScorer) -> Profile:
    """Profile of every node that may call a model, in graph order."""
    visits = {v.node: v for v in facts.visits}
    roles = {r.node: r for r in facts.roles}
    again = _again(facts)
    found = []
    for fact in facts.tokens:
        node = facts.graph.node(fact.node)
        here = visits[fact.node]
        stated = node.hints.complexity
        score = (
            scorer.step(node, facts.graph)
            if stated is None
            else StepScore(
                difficulty=stated, low=stated, high=stated, reason="stated by the node's author"
            )
        )
        role = roles.get(node.name)
        is_checked = role is not None and role.kind == "checked" and role.is_alone
        factor, place = _factor(node, role)
        stated_weight = node.hints.weight
        sampling = sampling_of(node.hints.verify)
        found.append(
            NodeProfile(
                node=node.name,
                score=score,
                visits=here.expected,
                visits_p95=here.p95,
                visits_max=here.most,
                calls=fact.calls,
                in_tokens=fact.in_tokens,
                out_tokens=fact.out_tokens,
                max_out_tokens=fact.max_out_tokens,
                weight=(
                    factor / max(1.0, here.expected) if stated_weight is None else stated_weight
                ),
                place=place,
                again=again.get(node.name, 0.0),
                check="loop" if is_checked else "hint" if _is_checked(node) else "",
                samples=1 if sampling is None else sampling.k,
                alike=1 if sampling is None else sampling.need,
                recorded=role.recorded if role is not None else 0.0,
            )
        )
    return Profile(nodes=tuple(found), scorer=scorer.name)


def _is_checked(node: Node) -> bool:
    """Whether a check of its author's can lead to a further answer."""
    # A pinned node keeps to the one answer it has.
    return node.hints.pin is None and (node.hints.verify is not None or node.may_rerun)


def _factor(node: Node, role: Role | None) -> tuple[float, str]:
    """What the place in the graph leaves of a node's weight, and why in words."""
    if node.hints.weight is not None:
        return 1.0, f"its author gave it weight {node.hints.weight:g}"
    if role is None:
        return 1.0, ""
    if role.kind == "vote":
        return 1 / role.among, f"it counts 1/{role.among}, one of {role.among} votes for {role.by}"
    if role.is_alone:
        return 1.0, f"{role.by} sends back what it finds wrong, so what counts is the last round"
    return CHECKED, f"it counts {CHECKED:g}, as {role.by} can send back what is wrong"


def _again(facts: Facts) -> dict[str, float]:
    """Rounds of a node's own loop; where its subgraph as a whole is in a loop they are not told
    apart from those.
    """
    found = {
        n: p
        for loop in facts.loops
        if loop.has_exit
        for n, p in zip(loop.nodes, loop.again, strict=True)
    }

    def is_plain(name: str) -> bool:
        scope = facts.graph.node(name).scope
        return not scope or (scope not in found and is_plain(scope))

    return {n: p for n, p in found.items() if is_plain(n)}
