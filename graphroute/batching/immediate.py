"""Every call goes on at once and alone; only the gates hold it. The policy of `batch=False`.

>>> policy = build()
>>> call = Waiting(number=7, arrived_s=0.0, prompt="hi", in_tokens=1)
>>> policy.gather(Gathering(waiting=(call,), now_s=0.0))
Flush(bundles=(Bundle(numbers=(7,), how='alone'),))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphroute.batching._quiet import in_order
from graphroute.ir.batch import Bundle, Flush, Gathering, Waiting

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Immediate:
    """Holds nobody."""

    name: str = "immediate"

    def gather(self, group: Gathering) -> Flush:
        """All, one by one."""
        return Flush(bundles=tuple(Bundle(numbers=(w.number,)) for w in group.waiting))

    def pick(
        self,
        queue: Sequence[Waiting],
        *,
        running: Sequence[Waiting],  # noqa: ARG002 - the protocol's parameters
        warm: Sequence[Waiting],  # noqa: ARG002
        now_s: float,  # noqa: ARG002
    ) -> int:
        """First come, first served."""
        return in_order(queue)

    def along(self, first: Waiting, queue: Sequence[Waiting], *, most: int) -> Sequence[int]:  # noqa: ARG002
        """Nobody: each call is made alone."""
        return ()


def build() -> Immediate:
    """The policy."""
    return Immediate()
