"""What somebody thinks of an answer: a check's, a judge's or a person's `Verdict`.

A check (`@route(verify=…)`) is a function of the messages that were sent and the reply. It may say
what it has to say in the shortest form, and may be wrong itself: whatever it gives or raises
becomes a `Verdict`, and one that says nothing (`is_known` False) stands for what nobody can know.

>>> verdict_of(True).score, verdict_of(0.25).passed
(1.0, False)
>>> verdict_of(ValueError("no JSON in sight")).reason
'the check failed: ValueError: no JSON in sight'
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

PASS_SCORE: Final = 0.5
"""A score of at least this passes, where a check gives a number and no more."""

MAX_REASON: Final = 500
"""Characters kept of a reason."""

SIGNALS: Final = frozenset({"agreement", "confidence"})
"""Sources that tell how sure a model is. A model may be sure and wrong, so their scores are no
quality until records say which share of such answers was good (`Verdict.chance`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An opinion on one answer, or on a whole run.

    score: how good, in [0, 1]; None where nobody can tell
    passed: whether it is good enough to go on with; None together with the score
    reason: what is wrong or right with it, for the record and for the next model's hint
    source: who says so: `"verify"`, `"judge"`, `"user"`, `"langsmith"`, …
    chance: probability in [0, 1] that an answer with this score is good, where the score of a
        source of `SIGNALS` was held against answers known to be good or bad; else None
    """

    score: float | None
    passed: bool | None
    reason: str = ""
    source: str = "verify"
    chance: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether it says anything."""
        return self.score is not None

    @property
    def quality(self) -> float | None:
        """How good the answer is taken to be, in [0, 1]; None where that is not known.

        >>> Verdict(score=0.9, passed=True, source="confidence").quality
        >>> Verdict(score=0.9, passed=True, source="confidence", chance=0.6).quality
        0.6
        """
        return self.chance if self.source in SIGNALS else self.score


Result: TypeAlias = bool | float | Verdict | None
"""What a check may return."""

Check: TypeAlias = Callable[[Sequence[Any], Any], Result | Awaitable[Result]]
"""`check(messages, reply)`: the LangChain messages that were sent, and the message that came."""


@runtime_checkable
class Sampling(Protocol):
    """A check that compares several answers of one model to the same question.

    k: the most answers it looks at, at least 2; need: how many of them must be alike to pass, more
        than half
    """

    @property
    def k(self) -> int: ...

    @property
    def need(self) -> int: ...

    def over(self, messages: Sequence[Any], replies: Sequence[Any], /) -> Verdict | None:
        """What the answers so far say, the oldest first; None where one more has to tell."""
        ...

    def pick(self, replies: Sequence[Any]) -> int:
        """Index of the answer that stands for all."""
        ...


def sampling_of(check: object) -> Sampling | None:
    """The check as one that compares answers; None where it looks at one answer."""
    return check if isinstance(check, Sampling) else None


def unknown(reason: str, *, source: str = "verify") -> Verdict:
    """A verdict that says nothing, and why."""
    return Verdict(score=None, passed=None, reason=reason[:MAX_REASON], source=source)


def verdict_of(result: object, *, source: str = "verify") -> Verdict:
    """What a check gave or raised, as a verdict; never raises.

    True and False are 1 and 0; a number in [0, 1] passes from `PASS_SCORE` on; None, an exception,
    NaN, a number outside [0, 1] and anything else say nothing, with the reason.
    """
    match result:
        case Verdict():
            return result
        case BaseException():
            return unknown(f"the check failed: {type(result).__name__}: {result}", source=source)
        case None:
            return unknown("the check said nothing", source=source)
    # numpy's bool and floats, and any other number, by what they say they are.
    if isinstance(result, bool) or type(result).__name__ in ("bool", "bool_"):
        return Verdict(score=float(bool(result)), passed=bool(result), source=source)
    try:
        score = float(result)  # type: ignore[arg-type]  # what has no float() is answered below
    except Exception:
        score = math.nan
    if isinstance(result, (str, bytes)) or not 0 <= score <= 1:
        shown = repr(result)
        return unknown(
            f"the check gave {shown[:80]} instead of a bool or a number in [0, 1]", source=source
        )
    return Verdict(score=score, passed=score >= PASS_SCORE, source=source)
