"""Similar calls share one prompt: the task is paid for once, the answers come back by number.

```
 in line    A₁ A₂ B₁ A₃ A₄ A₅        a slot is free, packs of up to 4 are worth it
 together   A₁ A₂ A₃    B₁    A₄ A₅   as equal as can be
```

Calls are packed as their turn comes, so nobody waits to be packed who would not wait anyway, but
for the few milliseconds in which a fan-out arrives. How many go together is not this policy's to
decide: it is told the largest number that is worth it (context, price, and what packing has been
measured to lose). Calls that share nothing, or too little, go alone.

>>> policy = build()
>>> first, *others = (
...     Waiting(number=n, arrived_s=0.0, prompt="", in_tokens=9, template="t1") for n in range(5)
... )
>>> policy.along(first, others, most=4)
(1, 2)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from graphroute.batching._one_by_one import OneByOne
from graphroute.batching._quiet import Quiet
from graphroute.ir.batch import Bundle, Flush, Gathering, Hold, Means, Waiting

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({}, {"size": 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack(OneByOne):
    """Gathers by `quiet` and packs what is of one template."""

    means: ClassVar[frozenset[Means]] = frozenset({"packs"})
    quiet: Quiet
    name: str = "pack"

    def gather(self, group: Gathering) -> Flush | Hold:
        """All that wait, once nobody else is due."""
        if (hold := self.quiet.until(group)) is not None:
            return hold
        return Flush(bundles=tuple(Bundle(numbers=(w.number,)) for w in group.waiting))

    def along(self, first: Waiting, queue: Sequence[Waiting], *, most: int) -> Sequence[int]:
        """Those of the same template, in packs as equal as can be."""
        alike = [w.number for w in queue if first.template and w.template == first.template]
        # 17 in packs of up to 16 are 9 and 8: one left over would pay for the whole task.
        packs = -(-(len(alike) + 1) // max(1, most))
        size = -(-(len(alike) + 1) // packs)
        return tuple(alike[: size - 1])


def build(*, quiet_s: float = 0.002, max_wait_s: float = 0.020, size: int = 64) -> Pack:
    """The policy; times in seconds, `size`: calls that do not wait for more."""
    return Pack(quiet=Quiet(quiet_s=quiet_s, max_wait_s=max_wait_s, size=size))
