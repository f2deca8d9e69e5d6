"""What has happened in a run so far: calls, rounds, money and time, against what was expected."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping


class Progress:
    """Counts of one run; whoever shares it between threads holds a lock around each step.

    paid_nano: what calls that ended have cost; due_nano: what had been expected of them
    due_s: seconds that the supersteps before the current ones were expected to take

    >>> progress = Progress(lambda: 0.0)
    >>> progress.enter("draft", 1)
    True
    >>> progress.called("draft", "small", nano=10.0, seconds=2.0)
    >>> progress.in_flight_nano, progress.round_of("draft")
    (10.0, 1)
    >>> progress.ended("draft", 12)
    >>> progress.paid_nano - progress.due_nano
    2.0
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_s = self._active_s = clock()
        self.paid_nano = self.due_nano = self.due_s = 0.0
        self._visits: dict[str, int] = {}
        self._out: dict[str, deque[float]] = {}
        self._asked: dict[str, tuple[str, ...]] = {}
        self._round: dict[str, int | None] = {}
        self._steps: dict[str, int] = {}
        self._step_s: dict[str, float] = {}

    def enter(self, node: str, step: int | None) -> bool:
        """A call of `node` is due; whether it is the first of a superstep of the node's graph."""
        scope = _scope(node)
        if step is not None and step == self._steps.get(scope):
            return False
        self._steps[scope] = step or 0
        self.due_s += self._step_s.pop(scope, 0.0)
        return True

    def called(self, node: str, model: str, *, nano: float, seconds: float) -> None:
        """A call goes out; what it is expected to cost, and its visit to take."""
        scope = _scope(node)
        self._visits[node] = self.visits(node) + 1
        self._out.setdefault(node, deque()).append(nano)
        self._step_s[scope] = max(self._step_s.get(scope, 0.0), seconds)
        if not self.is_same_round(node):
            self._round[node] = self._steps.get(scope)
            self._asked[node] = (*self._asked.get(node, ()), model)
        self._active_s = self._clock()

    def ended(self, node: str, cost_nano: int) -> None:
        """A call was answered."""
        self.paid_nano += cost_nano
        self.due_nano += self._take_back(node)
        self._active_s = self._clock()

    def failed(self, node: str) -> float:
        """A call was not answered and has cost nothing; what had been expected of it."""
        self._visits[node] -= 1
        self._asked[node] = self._asked.get(node, ())[:-1]
        self._round.pop(node, None)
        self._active_s = self._clock()
        return self._take_back(node)

    def resumed(self) -> None:
        """The run goes on after a pause, whose time does not count."""
        now = self._clock()
        self._began_s += now - self._active_s
        self._active_s = now

    def visits(self, node: str) -> int:
        """Calls of a node that went out."""
        return self._visits.get(node, 0)

    def round_of(self, node: str) -> int:
        """Rounds of a node's loop that began; 0 before the first."""
        return len(self._asked.get(node, ()))

    def is_same_round(self, node: str) -> bool:
        """Whether the node has been called in this superstep: calls side by side are one round."""
        return node in self._round and self._round[node] == self._steps.get(_scope(node))

    @property
    def asked(self) -> Mapping[str, tuple[str, ...]]:
        """The models that were asked by each node, one per round."""
        return self._asked

    @property
    def in_flight_nano(self) -> float:
        """What calls without an end yet are expected to cost."""
        return sum(sum(out) for out in self._out.values())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began, without its pauses."""
        return self._clock() - self._began_s

    def _take_back(self, node: str) -> float:
        """What the call of `node` that went out first was expected to cost."""
        out = self._out.get(node)
        return out.popleft() if out else 0.0


def _scope(node: str) -> str:
    return node.rpartition("/")[0]
