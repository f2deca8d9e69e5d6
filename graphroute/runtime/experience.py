"""What calls of a plan have really taken: mean tokens by node, shared by all runs of the plan.

A plan counts with guesses of how long prompts and answers are until it is made anew from records
(`fast.replan()`). Until then its runs learn from one another, so that what they leave over is known
before it is left over. The plan's own figure counts as much as `PRIOR_CALLS` calls.
"""

from __future__ import annotations

import threading

from graphroute.ir.plan import Assignment, Plan

PRIOR_CALLS = 2.0

KNOWN_CALLS = 3
"""From so many prompts on a node's usual one is known rather than guessed."""


class Experience:
    """Means by node; safe to share between threads.

    >>> from types import SimpleNamespace
    >>> seen, node = Experience(), SimpleNamespace(node="draft", in_tokens=100.0, out_tokens=30.0)
    >>> for _ in range(2):
    ...     seen.asked("draft", 300)
    >>> seen.in_tokens(node), seen.out_tokens(node)
    (200.0, 30.0)
    """

    def __init__(self) -> None:
        self._in: dict[str, tuple[int, float]] = {}
        self._out: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def asked(self, node: str, in_tokens: float) -> None:
        """A call of `node` had a prompt of so many tokens."""
        self._add(self._in, node, in_tokens)

    def answered(self, node: str, out_tokens: float) -> None:
        """A call of `node` was given an answer of so many tokens."""
        self._add(self._out, node, out_tokens)

    def is_known(self, node: str) -> bool:
        """Whether enough prompts of the node were seen to tell a short one from a long one."""
        return self._in.get(node, (0, 0.0))[0] >= KNOWN_CALLS

    def in_tokens(self, a: Assignment) -> float:
        """Expected tokens of a prompt of the node."""
        return _mean(self._in.get(a.node), a.in_tokens)

    def out_tokens(self, a: Assignment) -> float:
        """Expected tokens of an answer of the node."""
        return _mean(self._out.get(a.node), a.out_tokens)

    def _add(self, sums: dict[str, tuple[int, float]], node: str, tokens: float) -> None:
        with self._lock:
            count, total = sums.get(node, (0, 0.0))
            sums[node] = (count + 1, total + tokens)


def _mean(seen: tuple[int, float] | None, planned: float) -> float:
    count, total = seen or (0, 0.0)
    return (PRIOR_CALLS * planned + total) / (PRIOR_CALLS + count)


def experience_with(plan: Plan) -> Experience:
    """The one experience of a plan, kept on it for as long as it is followed."""
    found: Experience | None = getattr(plan, "_experience", None)
    if found is None:
        found = Experience()
        object.__setattr__(plan, "_experience", found)
    return found
