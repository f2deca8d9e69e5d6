"""What a check's own calls are to the run: on its money and in its records, but no steps of it.

```
call ─► answer ─► paid for, place at the server left ─► check ─► its model ─► verdict ─► recorded
                                                          └── reserved, settled, recorded too
```

A run can do without a check: what later steps need at least is not a check's to spend, and one
that cannot pay its model says nothing of the answer. Nor does it move the run's course: it is no
visit of the node, nothing is planned again for it, and nobody is asked for money.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graphroute.ir.plan import Assignment
from graphroute.runtime.course import Ahead, Course

PARTS: Final = 4.0
"""A check's call leaves three quarters of what it may spend to calls beside it, if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """The call whose answer is being checked; its fields are those of `call.Call`."""

    node: str
    step: int | None
    thread: str
    must_stay: bool


class Beside(Course):
    """A run's course, for calls that are no steps of it."""

    # Nothing of its own: whatever is asked of it, the run's course is asked or left alone.
    def __init__(self, course: Course) -> None:
        self._course = course

    @property
    def shadow_price(self) -> float:
        """That of the run."""
        return self._course.shadow_price

    def assignment(self, node: str) -> Assignment | None:  # noqa: ARG002 - of no node
        """No step of the plan."""
        return None

    def ahead(self, node: str, **facts: object) -> Ahead | None:  # noqa: ARG002
        """Nothing is planned."""
        return None

    def again(self, node: str) -> Ahead | None:  # noqa: ARG002
        """Nothing is planned again."""
        return None

    def round_of(self, node: str) -> int | None:
        """The round in which the checked call was made."""
        return self._course.round_of(node)

    def per_call_nano(self, node: str) -> float:  # noqa: ARG002 - the same for all
        """One part of `left_nano`."""
        return 1.0

    def left_nano(self) -> float:
        """As many parts as there are in what may be spent. A call that states no limit puts one of
        them aside, so that those beside it need not wait for it.
        """
        return PARTS

    def kept_back_nano(self) -> float:
        """What later steps need."""
        return self._course.needed_nano()

    def needed_nano(self) -> float:
        """That of the run."""
        return self._course.needed_nano()

    def asks_on(self, node: str, position: int, **money: float) -> bool:  # noqa: ARG002
        """Its answers are not checked."""
        return False

    def out_tokens(self, a: Assignment) -> float:
        """As the run expects them."""
        return self._course.out_tokens(a)

    def paid(self, cost_nano: int) -> None:
        """It is gone from the run's money."""
        self._course.paid(cost_nano)

    def called(self, node: str, model: str | None = None) -> None:
        """No call of the node."""

    def failed(self, node: str) -> None:
        """No call of the node."""

    def ended(self, node: str, cost_nano: int, *, out_tokens: int = 0) -> None:  # noqa: ARG002
        """What it has cost is gone from the run's money."""
        self.paid(cost_nano)

    def resumed(self) -> None:
        """The run's course is told itself."""
