"""Calls that begin alike go one after the other, so that the server's prompt cache has the start.

```
 in line     A₁ B₁ A₂ B₂ A₃ B₃          A and B: prompts with different long beginnings
 taken       A₁ A₂ A₃ B₁ B₂ B₃          llama.cpp and Ollama keep the last prompt of each slot
```

A slot is given to whoever shares most with what ran last, but nobody is passed over more than
`max_passed` times. Where the shared beginning is at least `warm_tokens` long, as providers demand
for their own prompt caching (OpenAI and Anthropic: 1,024 tokens), calls wait for the first of them
to be answered, at most `warm_s`: sent at once, each would pay for the beginning.

>>> policy = build()
>>> a = Waiting(number=1, arrived_s=0.0, prompt="xx", in_tokens=9)
>>> b = Waiting(number=2, arrived_s=0.0, prompt="ya", in_tokens=9)
>>> ran = Waiting(number=0, arrived_s=0.0, prompt="yb", in_tokens=9)
>>> policy.pick([a, b], running=(), warm=[ran], now_s=0.0)
2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphroute.batching._one_by_one import OneByOne
from graphroute.batching._prefixes import shared_chars
from graphroute.batching._quiet import Quiet
from graphroute.ir.batch import Bundle, Flush, Gathering, Hold, Waiting

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({}, {"warm_tokens": 1, "warm_s": 0.5})

_CHARS_PER_TOKEN = 4
_LOOKS_AT = 64
"""Calls in line that are compared; the rest have come later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix(OneByOne):
    """Gathers by `quiet` and orders by what prompts share at their start."""

    quiet: Quiet
    warm_tokens: int = 1024
    warm_s: float = 3.0
    max_passed: int = 16
    name: str = "prefix"

    def gather(self, group: Gathering) -> Flush | Hold:
        """All that wait, once nobody else is due."""
        if (hold := self.quiet.until(group)) is not None:
            return hold
        return Flush(bundles=tuple(Bundle(numbers=(w.number,)) for w in group.waiting))

    def pick(
        self,
        queue: Sequence[Waiting],
        *,
        running: Sequence[Waiting],
        warm: Sequence[Waiting],
        now_s: float,
    ) -> int | None:
        """Who shares most with what runs or ran last; None while all wait for a first one."""
        if queue[0].passed_over >= self.max_passed:
            return queue[0].number
        best: tuple[int, int] | None = None
        # Longest shared start first; among equals whoever came first.
        for waiting in queue[:_LOOKS_AT]:
            shared = shared_chars(waiting.prompt, (*warm, *running))
            if self._is_warming(waiting, running, warm, now_s):
                continue
            if best is None or shared > best[0]:
                best = shared, waiting.number
        return None if best is None else best[1]

    def _is_warming(
        self,
        waiting: Waiting,
        running: Sequence[Waiting],
        warm: Sequence[Waiting],
        now_s: float,
    ) -> bool:
        """Whether a running call is just bringing the start of this one into the cache."""
        need = self.warm_tokens * _CHARS_PER_TOKEN
        if len(waiting.prompt) < need or shared_chars(waiting.prompt, warm) >= need:
            return False
        young = [r for r in running if now_s - r.arrived_s < self.warm_s]
        return shared_chars(waiting.prompt, young) >= need


def build(
    *,
    quiet_s: float = 0.002,
    max_wait_s: float = 0.020,
    size: int = 64,
    warm_tokens: int = 1024,
    warm_s: float = 3.0,
    max_passed: int = 16,
) -> Prefix:
    """The policy; times in seconds."""
    quiet = Quiet(quiet_s=quiet_s, max_wait_s=max_wait_s, size=size)
    return Prefix(quiet=quiet, warm_tokens=warm_tokens, warm_s=warm_s, max_passed=max_passed)
