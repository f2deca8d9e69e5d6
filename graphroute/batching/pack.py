"""Similar calls share one prompt: the task is paid for once, the answers come back by number.

How many go together is not this policy's to decide: it is told the largest pack that is worth it
(context, price, and what packing has been measured to lose).
Calls that share nothing, or too little, go alone.

>>> policy = build()
>>> calls = tuple(
...     Waiting(number=n, arrived_s=0.0, prompt="", in_tokens=9, template="t1") for n in range(5)
... )
>>> now = Gathering(waiting=calls, now_s=1.0, pack={"t1": 4})
>>> [(b.numbers, b.how) for b in policy.gather(now).bundles]
[((0, 1, 2), 'packed'), ((3, 4), 'packed')]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphroute.batching._quiet import Quiet, in_order
from graphroute.ir.batch import Bundle, Flush, Gathering, Hold, Waiting

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({}, {"size": 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Gathers by `quiet` and packs what is of one template."""

    quiet: Quiet
    name: str = "pack"

    def gather(self, group: Gathering) -> Flush | Hold:
        """All that wait, once nobody else is due, in packs as equal as can be."""
        if (hold := self.quiet.until(group)) is not None:
            return hold
        kinds: dict[str, list[int]] = {}
        alone: list[Bundle] = []
        for waiting in group.waiting:
            if waiting.template in group.pack:
                kinds.setdefault(waiting.template, []).append(waiting.number)
            else:
                alone.append(Bundle(numbers=(waiting.number,)))
        packs = [
            bundle
            for name, numbers in kinds.items()
            for bundle in _packs(numbers, group.pack[name])
        ]
        return Flush(bundles=tuple(sorted((*packs, *alone), key=lambda b: b.numbers[0])))

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


def _packs(numbers: Sequence[int], size: int) -> Iterator[Bundle]:
    # 17 in packs of up to 16 are 9 and 8: one that is left over alone would pay for the whole task.
    count = -(-len(numbers) // max(1, size))
    start = 0
    for index in range(count):
        end = start + (len(numbers) - start + count - index - 1) // (count - index)
        part = tuple(numbers[start:end])
        yield Bundle(numbers=part, how="packed" if len(part) > 1 else "alone")
        start = end


def build(*, quiet_s: float = 0.002, max_wait_s: float = 0.020, size: int = 64) -> Pack:
    """The policy; times in seconds, `size`: calls that do not wait for more."""
    return Pack(quiet=Quiet(quiet_s=quiet_s, max_wait_s=max_wait_s, size=size))
