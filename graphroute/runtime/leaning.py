"""How far a prompt's own text moves the choice that the plan made for its node.

The plan knows how good each model is at the node; the text says whether this prompt is harder or
easier than the node's usual one. So the log-odds of all models move together,

    logit q(prompt, m) = logit q(node, m) − share · SLOPE · (d(prompt) − usual d of the node),

and with them what a better model is worth here: it goes where it is needed most, at the plan's
shadow price, if the plan knows the node by its own outcomes. `share` is what such departures have
been worth on kinds of work the scorer had never seen (`scorers.shares`); a scorer of which nobody
knows it has share 0 and moves nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from graphroute.ir.plan import Assignment
from graphroute.ir.quality import Q_MAX, Q_MIN, SLOPE


class Usual:
    """Mean difficulty of the prompts each node has had; shared by the runs of a graph."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def departure(self, node: str, difficulty: float) -> float:
        """How much harder this prompt is than those before it at the node, in [-1, 1].

        The mean of n prompts is itself uncertain, so what differs from it counts n/(n + 1): nothing
        for the first prompt, all of it in the end. The prompt counts as seen afterwards.

        >>> usual = Usual()
        >>> usual.departure("draft", 0.4), round(usual.departure("draft", 0.6), 6)
        (0.0, 0.1)
        """
        with self._lock:
            count, mean = self._seen.get(node, (0, difficulty))
            self._seen[node] = (count + 1, mean + (difficulty - mean) / (count + 1))
        return (difficulty - mean) * count / (count + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """What the plan knows of a node's models, and what a prompt's text adds.

    qualities: probability of a good answer by model, in (0, 1); weight: of one call in the plan's
        quality; out_tokens: expected of an answer
    departure: see `Usual`; share: how far it counts, in [0, 1]
    """

    qualities: Mapping[str, float]
    weight: float
    out_tokens: float
    departure: float
    share: float

    def gain(self, model: str) -> float:
        """Change of the call's weighted log-quality on `model` by what the text says.

        >>> lean = Lean(qualities={"weak": 0.5, "strong": 0.9}, weight=1.0, out_tokens=100.0,
        ...     departure=0.2, share=1.0)
        >>> lean.gain("strong") - lean.gain("weak") > 0
        True
        """
        q = min(max(self.qualities[model], Q_MIN), Q_MAX)
        odds = math.log(q / (1 - q)) - self.share * SLOPE * self.departure
        return self.weight * (-math.log1p(math.exp(-odds)) - math.log(q))


def may_lean(assignment: Assignment | None, *, share: float, shadow_price: float) -> bool:
    """Whether a prompt's score can move anything at a node that the plan knows.

    Without a price the best model stays the best for every prompt; a sequence of models was chosen
    as a whole; and where no answer of the node was ever judged the qualities are guesses, which the
    text would move about without knowing better (measured: it can cost a little).

    shadow_price: quality (log-probability) per USD; 0 for objectives that know none
    """
    return (
        assignment is not None
        and share > 0
        and shadow_price > 0
        and assignment.kind == "single"
        and assignment.judged > 0
        and len(assignment.qualities) == 1 + len(assignment.fallbacks) > 1
    )


def lean_of(assignment: Assignment, *, departure: float, share: float) -> Lean:
    """The lean of one call of a node for which `may_lean` holds."""
    calls = assignment.expected_calls / max(assignment.expected_visits, 1e-9)
    names = (assignment.model, *assignment.fallbacks)
    return Lean(
        qualities=dict(zip(names, assignment.qualities, strict=True)),
        weight=assignment.weight / max(calls, 1e-9),
        out_tokens=assignment.out_tokens,
        departure=departure,
        share=share,
    )
