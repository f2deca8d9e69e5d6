"""When gathered calls go on: never later than a hard cap, and as soon as nobody else is due.

```
 calls   │  │││ │            ▲ flush: nobody came for `quiet_s`
 ────────┴──┴┴┴─┴────────────┴───►
         └─ at most max_wait_s ─┘
```

Waiting for all siblings would be wrong: with six threads and forty tasks, thirty-four cannot start
until some of the first six have ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphroute.errors import InvalidValue
from graphroute.ir.batch import Gathering, Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """The rule; all times in seconds.

    quiet_s: nobody has come for this long; max_wait_s: longest that any call is held
    size: calls that need not wait for more

    >>> from graphroute.ir.batch import Waiting
    >>> first = Waiting(number=1, arrived_s=10.0, prompt="", in_tokens=1)
    >>> Quiet().until(Gathering(waiting=(first,), now_s=10.0))
    Hold(until_s=10.002)
    >>> Quiet().until(Gathering(waiting=(first,), now_s=10.0, left=0)) is None  # nobody else is due
    True
    """

    quiet_s: float = 0.002
    max_wait_s: float = 0.020
    size: int = 64

    def __post_init__(self) -> None:
        for name, low in (("quiet_s", 0.0), ("max_wait_s", 0.0), ("size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not low <= value < float("inf"):
                raise InvalidValue(
                    f"{name}={value!r}", value=value, next_step=f"use a finite number ≥ {low:g}"
                )

    def until(self, group: Gathering) -> Hold | None:
        """None where the group goes on now, else until when it is held."""
        first, last = group.waiting[0], group.waiting[-1]
        here = len(group.waiting) + group.active
        if len(group.waiting) >= self.size or group.left == 0:
            return None
        # As many as were ever there at once: whoever else there is waits for one of these. One
        # alone says little while others are known to come.
        if here == group.peak and (here > 1 or not group.left):
            return None
        until_s = min(last.arrived_s + self.quiet_s, first.arrived_s + self.max_wait_s)
        return Hold(until_s=until_s) if until_s > group.now_s else None
