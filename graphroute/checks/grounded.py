"""Is the answer taken from what was sent, and not made up?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from graphroute.checks.reading import sent_text, text_of
from graphroute.checks.text import failed
from graphroute.errors import InvalidValue
from graphroute.ir.verdict import Verdict

_WORD: Final = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
_ARTICLES: Final = frozenset(("a", "an", "the"))
_RUN: Final = 3
"""Words in a row that must be found together; a shorter answer must be found whole."""


@dataclass(frozen=True, slots=True)
class InContext:
    """Enough of the reply's three-word runs occur in the messages; a short one occurs as a whole.

    Case, punctuation and articles do not count (as in SQuAD's evaluation, P. Rajpurkar et al.,
    EMNLP 2016). The score is the share of runs found; it passes from `min_share` on.

    >>> sent = ["The Eiffel Tower is 330 m tall.", "How tall is it?"]
    >>> InContext()(sent, "330 m").passed, InContext()(sent, "300 m").passed
    (True, False)
    """

    min_share: float = 0.5
    is_quick: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.min_share, (int, float)) and 0 < self.min_share <= 1):
            raise InvalidValue(
                f"min_share={self.min_share!r}",
                value=self.min_share,
                next_step="use a number in (0, 1]",
            )

    def __call__(self, messages: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        answer, context = _words(text_of(reply)), _words(sent_text(messages))
        if not answer:
            return failed("it has no word")
        size = min(_RUN, len(answer))
        known = _runs(context, size)
        runs = _runs(answer, size)
        share = len(runs & known) / len(runs)
        return Verdict(
            score=share,
            passed=share >= self.min_share,
            reason=f"{share:.0%} of it is in the context",
        )


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _ARTICLES]


def _runs(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
