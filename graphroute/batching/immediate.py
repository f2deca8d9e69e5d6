"""Every call goes on at once and alone; only the gates hold it. The policy of `batch=False`.

>>> from graphroute.ir.batch import Waiting
>>> policy = build()
>>> call = Waiting(number=7, arrived_s=0.0, prompt="hi", in_tokens=1)
>>> policy.gather(Gathering(waiting=(call,), now_s=0.0))
Flush(bundles=(Bundle(numbers=(7,), how='alone'),))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphroute.batching._one_by_one import OneByOne
from graphroute.ir.batch import Bundle, Flush, Gathering

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Immediate(OneByOne):
    """Holds nobody."""

    name: str = "immediate"

    def gather(self, group: Gathering) -> Flush:
        """All, one by one."""
        return Flush(bundles=tuple(Bundle(numbers=(w.number,)) for w in group.waiting))


def build() -> Immediate:
    """The policy."""
    return Immediate()
