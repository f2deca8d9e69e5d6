"""Is there an answer at all: not empty, not a refusal, not cut off, of a given form?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from graphroute.checks.reading import calls_of, metadata_of, text_of
from graphroute.errors import InvalidValue
from graphroute.ir.verdict import Verdict

_LOOKED_AT: Final = 300
"""Characters at the beginning of a reply in which a refusal stands; later it is a quotation."""

_NOT = (
    r"(?: can(?:no|')t| can not|(?: am|'m) (?:not able|unable) to"
    r"| won't(?: be able to)?)"
)
_HELP = (
    r"(?:help|assist|comply|provide|fulfil+|answer|do that|do this|support|continue|share|write)"
)
_OFFERS = r"(?! (?:wait|help but|help \w+ing|only|just|stop|stress|emphasi[sz]e|hesitate|forget)\b)"
"""`I can't wait to help` and `I cannot help but answer` offer what they seem to decline."""

_FINDS = r"(?! (?:find|see|detect|spot|locate|identify)\b)"
"""`I'm sorry, but I cannot find any` is an answer."""

_AI = (
    r"as an? (?:AI|(?:large )?language model|virtual assistant)(?: language model)?(?: assistant)?"
)
_REFUSALS: Final = re.compile(
    rf"\bI{_NOT}{_OFFERS}(?: \w+){{0,2}} {_HELP}\b"
    rf"|\bI{_NOT} in good (?:conscience|faith)\b"
    rf"|\b(?:sorry|apologi[sz]e|apologies),? but (?:as an AI\b|I(?:{_NOT}|(?: am|'m) not"
    rf"| do not| don't| must| have to){_OFFERS}{_FINDS})"
    rf"|\b{_AI},? I(?: can(?:no|')t| can not| do not| don't|(?: am|'m) (?:not|unable)){_OFFERS}"
    r"|\bI (?:must|have to|need to) (?:decline|refuse)\b"
    r"|\bI(?:'d| would) (?:rather not|prefer not to)\b"
    r"|\bI(?:(?: do not|don't| would not| wouldn't) feel|(?: am|'m) not)(?: \w+)? comfortable\b"
    rf"|(?: not|n't) something (?:that )?I(?: can|(?: am|'m) able to) {_HELP}\b"
    r"|\bnot appropriate for me to\b",
    re.IGNORECASE,
)
_CUT_OFF: Final = {"length", "max_tokens", "MAX_TOKENS"}
_FILTERED: Final = {"content_filter", "refusal", "SAFETY"}


def passed(reason: str = "") -> Verdict:
    """Full marks."""
    return Verdict(score=1.0, passed=True, reason=reason)


def failed(reason: str) -> Verdict:
    """No marks, and why."""
    return Verdict(score=0.0, passed=False, reason=reason)


@dataclass(frozen=True, slots=True)
class NonEmpty:
    """The reply has text or calls a tool.

    >>> NonEmpty()([], "  ").passed, NonEmpty()([], "yes").passed
    (False, True)
    """

    is_quick: ClassVar[bool] = True

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        return passed() if text_of(reply).strip() or calls_of(reply) else failed("it is empty")


@dataclass(frozen=True, slots=True)
class NoRefusal:
    """The reply does not begin by declining, in English, and the provider did not filter it.

    >>> NoRefusal()([], "I'm sorry, but I can't help with that.").reason
    'it declines to answer'
    >>> NoRefusal()([], "I can't find an error in this code.").passed
    True
    """

    is_quick: ClassVar[bool] = True

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        more = getattr(reply, "additional_kwargs", None) or {}
        if ended(reply) in _FILTERED or more.get("refusal"):
            return failed("the provider filtered it")
        start = text_of(reply).strip()[:_LOOKED_AT].replace("’", "'")
        return failed("it declines to answer") if _REFUSALS.search(start) else passed()


@dataclass(frozen=True, slots=True)
class Complete:
    """The reply was not cut off at its limit of tokens; passes where the provider does not say."""

    is_quick: ClassVar[bool] = True

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        return failed("it was cut off") if ended(reply) in _CUT_OFF else passed()


@dataclass(frozen=True, slots=True)
class Matches:
    """The reply's text, blanks around it taken off, has (or with `full` is) what `pattern` says.

    >>> Matches("billing|shipping", full=True)([], " billing ").passed
    True
    """

    pattern: str
    full: bool = False
    flags: int = 0
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)
    is_quick: ClassVar[bool] = True

    def __post_init__(self) -> None:
        try:
            compiled = re.compile(self.pattern, self.flags)
        except (re.error, TypeError) as fault:
            raise InvalidValue(
                f"pattern {self.pattern!r} ({fault})", value=self.pattern, next_step="mend it"
            ) from None
        object.__setattr__(self, "_compiled", compiled)

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        text = text_of(reply).strip()
        found = self._compiled.fullmatch(text) if self.full else self._compiled.search(text)
        return passed() if found else failed(f"it does not match {self.pattern!r}")


def ended(reply: Any) -> str:
    """Why the model stopped, in the provider's word."""
    told = metadata_of(reply)
    return str(
        told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason") or ""
    )
