"""Calls that may take hours go through the provider's Batch API, at its lower price.

Only calls of nodes marked `@route(deferrable=True)`, whose model has such an API, are gathered:
until none has come for `quiet_s`, at most `max_wait_s`. All others go at once.

>>> from graphroute.ir.batch import Waiting
>>> policy = build()
>>> later = Waiting(number=1, arrived_s=0.0, prompt="", in_tokens=9, can_defer=True)
>>> now = Waiting(number=2, arrived_s=0.0, prompt="", in_tokens=9)
>>> [b.numbers for b in policy.gather(Gathering(waiting=(later, now), now_s=0.0)).bundles]
[(2,)]
>>> policy.gather(Gathering(waiting=(later,), now_s=1.0)).bundles[0].how
'deferred'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from graphroute.batching._one_by_one import OneByOne
from graphroute.batching._quiet import Quiet
from graphroute.ir.batch import Bundle, Flush, Gathering, Hold, Means

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({}, {"quiet_s": 0.1, "size": 100})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred(OneByOne):
    """Gathers what can be deferred by `quiet`, and holds nothing else."""

    means: ClassVar[frozenset[Means]] = frozenset({"batches"})
    quiet: Quiet
    name: str = "deferred"

    def gather(self, group: Gathering) -> Flush | Hold:
        """Whoever cannot be deferred; all others in one bundle, once it is quiet."""
        at_once = tuple(Bundle(numbers=(w.number,)) for w in group.waiting if not w.can_defer)
        if at_once:
            return Flush(bundles=at_once)
        # That as many wait as ever waited at once says nothing here: the next may be seconds away.
        if (hold := self.quiet.until(replace(group, peak=0))) is not None:
            return hold
        numbers = tuple(w.number for w in group.waiting)
        return Flush(bundles=(Bundle(numbers=numbers, how="deferred"),))


def build(*, quiet_s: float = 0.5, max_wait_s: float = 10.0, size: int = 10_000) -> Deferred:
    """The policy; times in seconds, `size` in calls (OpenAI takes 50,000 in a batch)."""
    return Deferred(quiet=Quiet(quiet_s=quiet_s, max_wait_s=max_wait_s, size=size))
