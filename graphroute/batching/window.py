"""Calls of a fan-out are gathered for about two milliseconds and go on together.

By itself this shares nothing: it is what the other policies order and pack. It costs a call that
comes alone `quiet_s`, or nothing where it is known to be alone: the last of its siblings, or one of
a node that has lately been called one at a time.

>>> from graphroute.ir.batch import Waiting
>>> policy = build(quiet_s=0.002)
>>> first, second = (
...     Waiting(number=n, arrived_s=at, prompt="", in_tokens=1) for n, at in ((1, 0.0), (2, 0.001))
... )
>>> policy.gather(Gathering(waiting=(first, second), now_s=0.001))
Hold(until_s=0.003)
>>> [b.numbers for b in policy.gather(Gathering(waiting=(first, second), now_s=0.003)).bundles]
[(1,), (2,)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphroute.batching._one_by_one import OneByOne
from graphroute.batching._quiet import Quiet
from graphroute.ir.batch import Bundle, Flush, Gathering, Hold

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({}, {"quiet_s": 0.0, "size": 4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(OneByOne):
    """Gathers by `quiet`; order of arrival."""

    quiet: Quiet
    name: str = "window"

    def gather(self, group: Gathering) -> Flush | Hold:
        """All that wait, once nobody else is due."""
        if (hold := self.quiet.until(group)) is not None:
            return hold
        return Flush(bundles=tuple(Bundle(numbers=(w.number,)) for w in group.waiting))


def build(*, quiet_s: float = 0.002, max_wait_s: float = 0.020, size: int = 64) -> Window:
    """The policy; times in seconds, `size` in calls."""
    return Window(quiet=Quiet(quiet_s=quiet_s, max_wait_s=max_wait_s, size=size))
