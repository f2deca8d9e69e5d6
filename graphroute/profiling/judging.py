"""How good is an answer: by a reference, by the node's check, or by a judge, in this order.

A reference is the truth where there is one. A check says what its author can tell by looking. A
judge is asked last, because it is a model itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage

from graphroute.checks.numbers import NumberIs
from graphroute.checks.reading import data_of, text_of
from graphroute.ir.verdict import SIGNALS, Check, Verdict
from graphroute.runtime import verifying

REFERENCE: Final = "reference"


def judged(
    messages: Sequence[BaseMessage],
    reply: AIMessage,
    *,
    reference: Any = None,
    check: Check | None = None,
    judge: Check | None = None,
) -> Verdict | None:
    """The verdict on one answer; None where nothing can tell. Never raises.

    >>> from graphroute.checks.text import NonEmpty
    >>> both = judged([], AIMessage("Negative."), reference="negative", check=NonEmpty())
    >>> both.score, both.source
    (1.0, 'reference')
    """
    if reference is not None:
        return agreement(reference, reply)
    for each in (check, judge):
        if each is not None:
            found = verifying.verdict(each, messages, reply)
            if found.source in SIGNALS:
                continue  # how sure a model is says nothing of how good its answer is
            return found if found.is_known else None
    return None


def agreement(reference: Any, reply: AIMessage | str) -> Verdict:
    """How far a reply says what the reference says; score in [0, 1].

    | reference | score |
    |---|---|
    | an object | share of its fields that the reply's JSON (or tool call) has with the same value |
    | a list | 1 if the reply's JSON is that list |
    | a number | 1 if it is the reply's last number |
    | true, false, text | 1 if the reply is that, but for case, spaces and punctuation around it |

    >>> agreement({"name": "Ann", "order": 7}, 'Sure: {"name": "Ann", "order": "8"}').score
    0.5
    >>> agreement(42, "6 * 7 = 42").score, agreement("yes", "Yes, of course").score
    (1.0, 0.0)
    """
    if isinstance(reference, Mapping):
        data = _data(reply)
        if not isinstance(data, Mapping):
            return _verdict(0.0, "it has no JSON object")
        wrong = [k for k, v in reference.items() if not alike(v, data.get(k))]
        reason = f"wrong: {', '.join(map(str, wrong))}" if wrong else ""
        return _verdict(1 - len(wrong) / max(1, len(reference)), reason)
    if isinstance(reference, list):
        return _verdict(float(alike(reference, _data(reply))))
    if isinstance(reference, (int, float)) and not isinstance(reference, bool):
        found = NumberIs(float(reference))([], reply)
        return _verdict(found.score or 0.0, found.reason)
    return _verdict(float(alike(reference, text_of(reply))))


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same, but for case, spaces, and punctuation around texts.

    >>> alike("Ann Lee", " ann  lee. "), alike(7, "7"), alike([1], [2]), alike("", None)
    (True, True, False, False)
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if one is None or other is None:
        return one is other
    return one == other or _bare(one) == _bare(other)


def end_score(expected: Mapping[str, Any], state: Any) -> float:
    """The share of `expected` that the end state of a run has, in [0, 1].

    >>> end_score({"label": "refund", "team": "b"}, {"label": "Refund", "team": "a", "text": "…"})
    0.5
    """
    held = state if isinstance(state, Mapping) else getattr(state, "__dict__", {})
    return sum(alike(value, held.get(key)) for key, value in expected.items()) / len(expected)


def _bare(value: Any) -> str:
    text = re.sub(r"\s+", " ", str(value)).strip().casefold()
    return text.strip(" .,;:!?\"'`*")


def _data(reply: AIMessage | str) -> Any:
    """The reply's JSON; of one that talks around it, the first object in it."""
    try:
        return data_of(reply)
    except ValueError:
        found = re.search(r"\{.*?\}", text_of(reply), re.DOTALL)
    try:
        return data_of(found[0]) if found else None
    except ValueError:
        return None


def _verdict(score: float, reason: str = "") -> Verdict:
    return Verdict(score=score, passed=score >= 1, reason=reason, source=REFERENCE)
