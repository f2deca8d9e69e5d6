"""Does a model say the same again when it is asked again?

An answer that a model gives most of the times it is asked is more often right than one it gives
once: there are few ways to be right, and many to be wrong (X. Wang et al., Self-Consistency
Improves Chain of Thought Reasoning in Language Models, ICLR 2023). So the same model is asked up to
k times, the first answer of the majority is taken, and its share is the score. Asking stops as soon
as the rest can change nothing:

```
k = 3, more than half        7 7        2 of 2 agree: passed, the third is not asked
                             7 8 7      2 of 3
                             7 8 9      refused: the next model of the plan is asked
```

For answers that can be compared: a number, a label, JSON. Free text never comes twice.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from graphroute.checks.numbers import numbers_in
from graphroute.checks.reading import calls_of, data_of, text_of
from graphroute.errors import InvalidValue
from graphroute.ir.verdict import Verdict, unknown

MOST: Final = 8
"""Answers that may be compared; each of them is paid for."""

_DIGITS: Final = 9
"""Significant digits to which two numbers are the same."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """More than half of `k` answers of a model say the same, and at least `at_least` of them.

    k: the most answers that are asked for, 2 to 8; at_least: share of `k` in [0.5, 1]
    key: what of a reply is compared, by equality; None from it is an answer like no other.
        Without it `said`.

    >>> check = Agreement()
    >>> check.over([], ["It is 7.", "7"]).reason, check.over([], ["7", "8"])
    ('2 of 2 answers agree', None)
    >>> check.over([], ["7", "8", "9"]).passed, check.pick(["8", "7", "It is 7"])
    (False, 1)
    """

    k: int = 3
    at_least: float = 0.5
    key: Callable[[Any], Hashable | None] | None = None
    is_quick: ClassVar[bool] = True

    def __post_init__(self) -> None:
        is_whole = isinstance(self.k, int) and not isinstance(self.k, bool)
        if not (is_whole and 2 <= self.k <= MOST):
            raise InvalidValue(
                f"k={self.k!r}", value=self.k, next_step=f"use a whole number from 2 to {MOST}"
            )
        is_number = isinstance(self.at_least, (int, float)) and not isinstance(self.at_least, bool)
        if not (is_number and 0.5 <= self.at_least <= 1):
            raise InvalidValue(
                f"at_least={self.at_least!r}",
                value=self.at_least,
                next_step="use a share from 0.5 (more than half) to 1 (all)",
            )
        if self.key is not None and not callable(self.key):
            raise InvalidValue(
                f"key={self.key!r}", value=self.key, next_step="give a function of a reply"
            )

    @property
    def need(self) -> int:
        """How many of the `k` answers must agree.

        >>> Agreement(3).need, Agreement(4).need, Agreement(5, at_least=0.8).need
        (2, 3, 4)
        """
        return max(self.k // 2 + 1, math.ceil(self.at_least * self.k - 1e-9))

    def __call__(self, _sent: Sequence[Any], _reply: Any) -> Verdict:
        """Of one answer, nothing can be said."""
        return unknown("one answer has nothing to agree with", source="agreement")

    def over(self, _sent: Sequence[Any], replies: Sequence[Any]) -> Verdict | None:
        """Whether enough of the answers agree; None while the answers to come decide it.

        Raises what `key` raises.
        """
        keys = self._keys(replies)
        asked, alike = len(keys), _most(keys)
        share = alike / max(1, asked)
        if alike >= self.need:
            return Verdict(
                score=share,
                passed=True,
                reason=f"{alike} of {asked} answers agree",
                source="agreement",
            )
        if alike + self.k - asked >= self.need:
            return None
        return Verdict(
            score=share,
            passed=False,
            reason=f"no more than {alike} of {asked} answers agree",
            source="agreement",
        )

    def pick(self, replies: Sequence[Any]) -> int:
        """The first answer of the most frequent kind, of equally frequent ones the earlier."""
        try:
            keys = self._keys(replies)
            counts = Counter(key for key in keys if key is not None)
        except Exception:  # the check failed: it says nothing of the answers
            return 0
        return max(
            range(len(keys)),
            key=lambda i: (0 if keys[i] is None else counts[keys[i]], -i),
            default=0,
        )

    def _keys(self, replies: Sequence[Any]) -> list[Hashable | None]:
        return [(self.key or said)(reply) for reply in replies]


def _most(keys: Sequence[Hashable | None]) -> int:
    counts = Counter(key for key in keys if key is not None)
    return max(counts.values(), default=0)


def said(reply: Any) -> Hashable | None:
    """What a reply says, so that two that say the same are equal; None of an empty one.

    Its tool calls or its JSON object or list, whatever the order of names; else its last number;
    else its text without case, blanks around it and a full stop.

    >>> said("Total: 1,200.") == said("1200"), said(" Billing.") == said("billing")
    (True, True)
    >>> said('{"a": 1, "b": 2}') == said('{"b": 2, "a": 1}')
    True
    """
    if calls := calls_of(reply):
        named = [{"name": call.get("name"), "args": call.get("args")} for call in calls]
        return "data", _canonical(named)
    try:
        data = data_of(reply)
    except ValueError:
        data = None
    if isinstance(data, (dict, list)):
        return "data", _canonical(data)
    text = text_of(reply)
    if numbers := [number for number in numbers_in(text) if math.isfinite(number)]:
        return "number", float(f"{numbers[-1]:.{_DIGITS}g}")
    return ("text", plain) if (plain := text.strip().rstrip(".").strip().casefold()) else None


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, default=str)
