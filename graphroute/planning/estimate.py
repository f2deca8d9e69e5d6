"""From facts about the graph to a profile: what each step is expected to be and to count.

A node's weight makes weight × visits the probability that the node takes part at all: the last
round of a loop decides, and each of k tasks of a `Send` makes 1/k of the result. So a step on the
mandatory path counts 1 and a step on a branch its probability; `weight=` replaces the factor.
"""

from __future__ import annotations

from graphroute.ir.facts import Facts
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.protocols import StepScorer


def estimate(facts: Facts, scorer: StepScorer) -> Profile:
    """Profile of every node that may call a model, in graph order."""
    visits = {v.node: v for v in facts.visits}
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
        weight = node.hints.weight
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
                weight=1 / max(1.0, here.expected) if weight is None else weight,
            )
        )
    return Profile(nodes=tuple(found), scorer=scorer.name)
