"""What is known or expected of each step before a run: the facts between graph and problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScore:
    """Difficulty of a step in [0, 1] with a 90 % interval and the reason in words."""

    difficulty: float
    low: float
    high: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProfile:
    """One node's expectations, per run of the graph unless said otherwise.

    visits: expected number of times the node runs; visits_p95 and visits_max its tail and bound
    calls: expected model calls per visit
    in_tokens, out_tokens: per call; max_out_tokens: the largest answer a call may give, if capped
    weight: the node's factor in the plan's quality, before visits are multiplied in; place: what in
        the graph moved it, in words, empty where nothing did
    again: chance that a visit is followed by another round of the node's loop, in [0, 1)
    check: how the node's answer is checked: `loop` (a step behind it sends it back, and nothing
        else there calls a model), `hint` (`verify=`), or empty
    samples, alike: of a check that compares answers with one another: the most answers of a model
        it looks at, and how many of them must agree; 1 and 1 of any other
    recorded: transitions out of that step that earlier runs have taken
    judged: answers of the node that were judged in earlier runs
    """

    node: str
    score: StepScore
    visits: float
    visits_p95: float
    visits_max: float
    calls: float = 1.0
    in_tokens: float = 0.0
    out_tokens: float = 0.0
    max_out_tokens: int | None = None
    weight: float = 1.0
    place: str = ""
    again: float = 0.0
    check: Literal["", "loop", "hint"] = ""
    samples: int = 1
    alike: int = 1
    recorded: float = 0.0
    judged: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Profiles of the nodes that may call a model, in graph order."""

    nodes: tuple[NodeProfile, ...]
    scorer: str

    def node(self, name: str) -> NodeProfile:
        """The profile of `name`; KeyError if it has none."""
        for profile in self.nodes:
            if profile.node == name:
                return profile
        raise KeyError(name)
