"""A model that grades an answer, asked twice with its two labels changed over.

A model asked "A (good) or B (bad)?" prefers a letter or a place for no reason of the answer's (L.
Zheng et al., Judging LLM-as-a-Judge, NeurIPS 2023, § 3.3). So it is asked in both orders, and the
score is the mean probability of "good": from the letters' log-probabilities where the server gives
them, else from the letter it wrote. Two answers that contradict each other give 0.5, which is what
such a judge knows.

As the check of a node in a run, the judge keeps its model and its tokens never join the run's
stream; its calls are paid from the run's budget, and where too little is left it says nothing of
the answer. A local model judges for nothing.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from graphroute.checks.reading import metadata_of, sent_text, text_of
from graphroute.ir.verdict import PASS_SCORE, Verdict, unknown

MAX_CHARS: Final = 6_000
"""Characters of the prompt and of the reply that the judge sees: the beginning and the end."""

_ASK: Final = """You grade an answer that an assistant gave.

[Task]
{task}

[Answer]
{answer}
{reference}
[Question]
{criteria}
A = {first}
B = {second}
Reply with one letter, A or B, and nothing else."""

_FRAME_TOKENS: Final = 150
"""Of the prompt around task and answer."""

_LETTER_TOKENS: Final = 4

_LABEL: Final = re.compile(r"(?<![A-Za-z])([AB])(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks `chat` whether a reply is good.

    chat: a chat model, or a function without arguments that opens one at the first use
    criteria: the question that is put to the judge
    reference: a right answer to compare with, or a function of the messages that gives it
    options: passed to the model's call, e.g. `{"logprobs": True, "top_logprobs": 5}`
    pass_score: smallest probability of "good" that passes, in [0, 1]
    """

    chat: Any
    criteria: str = "Does the answer do what the task asks, correctly and completely?"
    reference: str | Callable[[Sequence[Any]], str] | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    pass_score: float = PASS_SCORE

    def __call__(self, messages: Sequence[Any], reply: Any) -> Verdict:
        """The verdict, by two calls of the judge."""
        chat = _opened(self.chat)
        grades = [
            grade(chat.invoke(ask, **self.options), good=letter)
            for ask, letter in self.questions(messages, reply)
        ]
        return self.verdict(grades)

    async def averify(self, messages: Sequence[Any], reply: Any) -> Verdict:
        """The same, both calls at once."""
        chat = await asyncio.to_thread(_opened, self.chat)
        asked = self.questions(messages, reply)
        calls = [asyncio.ensure_future(chat.ainvoke(ask, **self.options)) for ask, _ in asked]
        try:
            answers = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            # Whatever ends them, what they cost is known before the verdict.
            await asyncio.gather(*calls, return_exceptions=True)
        pairs = zip(answers, asked, strict=True)
        return self.verdict([grade(answer, good=letter) for answer, (_, letter) in pairs])

    @property
    def model(self) -> Any:
        """Who is asked: a chat model, or the name of one that is not opened yet; None if neither
        is known.
        """
        return self.chat if hasattr(self.chat, "invoke") else getattr(self.chat, "model", None)

    def tokens(self, in_tokens: float, out_tokens: float) -> tuple[float, float]:
        """Tokens of both prompts and of both answers together, as a guess before anything is asked.

        in_tokens, out_tokens: of the prompt and the answer that are judged

        >>> Judge(None).tokens(100, 50)
        (600.0, 8.0)
        """
        seen = min(in_tokens, MAX_CHARS / 4) + min(out_tokens, MAX_CHARS / 4)
        return 2.0 * (seen + _FRAME_TOKENS), 2.0 * _LETTER_TOKENS

    def questions(self, messages: Sequence[Any], reply: Any) -> tuple[tuple[Any, str], ...]:
        """The two prompts, each with the letter that means "good" in it."""
        wanted = self.reference(messages) if callable(self.reference) else self.reference
        reference = "" if wanted is None else f"\n[Reference answer]\n{_cut(wanted)}\n"
        parts = {
            "task": _cut(sent_text(messages)),
            "answer": _cut(text_of(reply)),
            "reference": reference,
            "criteria": self.criteria,
        }
        orders = (("good", "bad", "A"), ("bad", "good", "B"))
        return tuple(
            ([("human", _ASK.format(**parts, first=first, second=second))], letter)
            for first, second, letter in orders
        )

    def verdict(self, grades: Sequence[float | None]) -> Verdict:
        """The mean of what could be read; unknown where nothing could."""
        read = [value for value in grades if value is not None]
        if not read:
            return unknown("the judge gave neither A nor B", source="judge")
        score = sum(read) / len(read)
        passed, shown = score >= self.pass_score, ", ".join(f"{value:.2f}" for value in read)
        # The next model is told why, and can do nothing with a figure.
        said = f"judged {shown}" if passed else f"{self.criteria} No (judged {shown})."
        return Verdict(score=score, passed=passed, reason=said, source="judge")


def judges_in(check: object) -> Iterator[Judge]:
    """The judges that a check is made of.

    >>> from graphroute.checks.combine import Combined
    >>> both = Combined((Judge("a"), lambda messages, reply: True, Judge("b")), wants_all=True)
    >>> [judge.chat for judge in judges_in(both)]
    ['a', 'b']
    """
    if isinstance(check, Judge):
        yield check
    for each in getattr(check, "checks", ()):
        yield from judges_in(each)


def grade(answer: Any, *, good: str) -> float | None:
    """Probability of "good" in one answer of the judge; None where it cannot be read.

    >>> grade("B", good="A"), grade("I think A.", good="A"), grade("who knows", good="A")
    (0.0, 1.0, None)
    """
    mass = _label_mass(metadata_of(answer))
    if mass is not None:
        return mass[good] / sum(mass.values())
    found = _LABEL.findall(text_of(answer).strip())
    if not found or len(set(found)) > 1:
        return None
    return float(found[0] == good)


def _label_mass(told: Mapping[str, Any]) -> dict[str, float] | None:
    """Probability mass of the two letters at the first token, where the server reports it."""
    try:
        likely = told["logprobs"]["content"][0]["top_logprobs"]
        mass = {"A": 0.0, "B": 0.0}
        for token in likely:
            if (label := str(token["token"]).strip()) in mass:
                mass[label] += math.exp(min(float(token["logprob"]), 0.0))
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return mass if sum(mass.values()) > 0 else None


def _opened(chat: Any) -> Any:
    # A chat model is callable in no version of LangChain that has `invoke`; an opener has none.
    return chat if hasattr(chat, "invoke") else chat()


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    half = MAX_CHARS // 2
    return f"{text[:half]}\n[…]\n{text[-half:]}"
