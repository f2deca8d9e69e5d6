"""What may be spent on asking other models: a share of the budget, counted in nano-dollars.

Every run adds its share (of its budget, or of what it spent where it has none); a challenge takes
out what its call is expected to cost more than the planned model's. What is not spent is kept for
later, up to `KEPT_RUNS` runs, so a model whose single call costs more than the share of one run is
asked every so many runs. Models that cost no more than the planned one are bounded by calls
instead: a share `FREE_SHARE` of those that might have been challenged, as a bad answer has its
price too.
"""

from __future__ import annotations

import threading
from typing import Final

KEPT_RUNS: Final = 200.0
FREE_SHARE: Final = 0.1


class Allowance:
    """The account of one graph; may be used from any thread.

    >>> account = Allowance(share=0.02)
    >>> account.earn(1_000_000)
    >>> account.take(15_000), account.take(15_000)
    (True, False)
    """

    def __init__(self, *, share: float) -> None:
        self._share = share
        self._left = 0.0
        self._asked = self._free = 0
        self._lock = threading.Lock()
        self.spent_nano = 0
        self.earned_nano = 0.0

    def earn(self, budget_nano: int) -> None:
        """A run may spend (or has spent) this much."""
        with self._lock:
            part = self._share * budget_nano
            self.earned_nano += part
            self._left = min(self._left + part, max(KEPT_RUNS * part, self._left))

    def seen(self) -> None:
        """A call might be challenged."""
        with self._lock:
            self._asked += 1

    def take(self, more_nano: int) -> bool:
        """Whether a challenge that costs so much more may go ahead; it is paid for then."""
        with self._lock:
            if self._share <= 0:
                return False
            if more_nano <= 0:
                if self._free + 1 > FREE_SHARE * self._asked:
                    return False
                self._free += 1
                return True
            if more_nano > self._left:
                return False
            self._left -= more_nano
            self.spent_nano += more_nano
            return True
