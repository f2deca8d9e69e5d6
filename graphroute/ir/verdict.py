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

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from graphroute.errors import BudgetExceeded

PASS_SCORE: Final = 0.5
"""A score of at least this passes, where a check gives a number and no more."""

ROUNDING: Final = 1e-6
"""So far outside [0, 1] a score is taken for 0 or 1: a cosine of single precision comes to that."""

MAX_REASON: Final = 500
"""Characters kept of a reason."""

UNPAID: Final = "unpaid"
"""Source of a verdict that is open because there was no money for the model that a check asks."""

SIGNALS: Final = frozenset({"agreement", "confidence"})
"""Sources that tell how sure a model is. It may be sure and wrong, so their scores lead to another
model, and are no quality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An opinion on one answer, or on a whole run.

    score: how good, in [0, 1]; None where nobody can tell
    passed: whether it is good enough to go on with; None together with the score
    reason: what is wrong or right with it, for the record and for the next model's hint
    source: who says so: `"verify"`, `"judge"`, `"user"`, `"langsmith"`, …
    """

    score: float | None
    passed: bool | None
    reason: str = ""
    source: str = "verify"

    @property
    def is_known(self) -> bool:
        """Whether it says anything."""
        return self.score is not None

    @property
    def quality(self) -> float | None:
        """How good the answer is taken to be, in [0, 1]; None where that is not known.

        >>> Verdict(score=0.9, passed=True).quality
        0.9
        >>> Verdict(score=0.9, passed=True, source="confidence").quality
        """
        return None if self.source in SIGNALS else self.score


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


Chance: TypeAlias = Callable[[float], float | None]
"""The probability in [0, 1] that an answer with a score is good, by earlier runs; None where they
are too few to tell."""


@runtime_checkable
class Calibrated(Protocol):
    """A check whose score is held against what earlier runs say of it."""

    def calibrated(self, chance: Chance, /) -> Check:
        """The same check, which knows them."""
        ...


def calibrated(check: Check, chance: Chance | None) -> Check:
    """The check with what earlier runs say of its scores, if it has any use for that."""
    held: object = check
    return held.calibrated(chance) if chance and isinstance(held, Calibrated) else check


def wants_probabilities(check: object) -> bool:
    """Whether the check reads the probabilities of an answer's tokens, where the server tells."""
    return bool(getattr(check, "wants_probabilities", False))


def unknown(reason: str, *, source: str = "verify") -> Verdict:
    """A verdict that says nothing, and why."""
    return Verdict(score=None, passed=None, reason=reason[:MAX_REASON], source=source)


def verdict_of(result: object, *, source: str = "verify") -> Verdict:
    """What a check gave or raised, as a verdict; never raises.

    True and False are 1 and 0; a number in [0, 1] passes from `PASS_SCORE` on; None, an exception,
    NaN, a number outside [0, 1] and anything else say nothing, with the reason. So does a `Verdict`
    whose score or `passed` is none: nothing else comes into records.

    >>> verdict_of(Verdict(score=5.0, passed=True)).reason
    'the check gave Verdict(score=5.0, passed=True) instead of a score in [0, 1]'
    """
    try:
        return _verdict_of(result, source)
    except Exception as fault:  # something that cannot even be looked at
        name = f"{type(result).__name__}, which raised {type(fault).__name__} when it was read"
        return unknown(f"the check gave a {name}", source=source)


def _verdict_of(result: object, source: str) -> Verdict:
    match result:
        case Verdict():
            return _sound(result, source)
        case BaseException():
            told = UNPAID if isinstance(result, BudgetExceeded) else source
            return unknown(f"the check failed: {type(result).__name__}: {result}", source=told)
        case None:
            return unknown("the check said nothing", source=source)
    if (truth := _truth(result)) is not None:
        return Verdict(score=float(truth), passed=truth, source=source)
    if (score := _share(result)) is None:
        shown = repr(result)
        return unknown(
            f"the check gave {shown[:80]} instead of a bool or a number in [0, 1]", source=source
        )
    return Verdict(score=score, passed=score >= PASS_SCORE, source=source)


def _sound(said: Verdict, source: str) -> Verdict:
    """A verdict in plain values that every record, plan and report can take."""
    source = said.source if isinstance(said.source, str) and said.source else source
    score = _share(said.score)
    passed = bool(said.passed) if isinstance(said.passed, int) else _truth(said.passed)
    if said.score is None and passed is not None:
        score = float(passed)  # as the bool alone would have it
    pairs = ((said.score, score), (said.passed, passed))
    if any(given is not None and read is None for given, read in pairs):
        shown = f"Verdict(score={said.score!r:.40}, passed={said.passed!r:.40})"
        return unknown(f"the check gave {shown} instead of a score in [0, 1]", source=source)
    return Verdict(
        score=score,
        passed=passed,
        reason="" if said.reason is None else str(said.reason)[:MAX_REASON],
        source=source,
    )


def _truth(value: object) -> bool | None:
    """A bool, also numpy's; None for anything else."""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    return None


def _share(value: object) -> float | None:
    """A number in [0, 1], numpy's and any other by what it says it is; None for anything else."""
    if value is None or isinstance(value, (str, bytes, bytearray)):
        return None
    try:
        share = float(value)  # type: ignore[arg-type]  # what has no float() is answered below
    except Exception:
        return None
    return min(1.0, max(0.0, share)) if -ROUNDING <= share <= 1 + ROUNDING else None
