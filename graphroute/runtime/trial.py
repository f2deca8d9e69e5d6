"""One call's part in having its answer checked: ask a stronger model where a check refuses one.

```
models of the cascade:   small ──► check ─ passed ─► the answer
                                     └── refused ──► big ──► check ─ passed ─► the answer
                                                               └── refused ──► the best of all
```

Only a plan that found a cascade worth its price gives a second model. Without one the verdict is
recorded and the answer stands. A check that fails itself, or says nothing, refuses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.ir.verdict import Check, Verdict
from graphroute.runtime import verifying


class Enough(Exception):
    """No further model is asked; `answer` is the best there was."""

    def __init__(self, answer: Any) -> None:
        super().__init__("the best answer stands")
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a model answered, as the caller gets it, and what the check said of it."""

    model: str
    answer: Any
    message: AIMessage
    verdict: Verdict


class Trial:
    """Belongs to one call; not shared between threads.

    stages: the models to ask in turn, of which the first is the planned one
    """

    def __init__(
        self, check: Check, messages: Sequence[BaseMessage], *, stages: Sequence[str]
    ) -> None:
        self._check, self._messages = check, tuple(messages)
        self.stages = tuple(stages)
        self.rounds: list[Round] = []
        self._next = 0

    @property
    def is_silent(self) -> bool:
        """Whether tokens must not be shown as they come, as the answer may yet be refused."""
        return len(self.stages) > 1

    @property
    def next_model(self) -> str | None:
        """The model to ask after the last one; None where there is none, and before any answer."""
        if not self.rounds or self._next >= len(self.stages):
            return None
        return self.stages[self._next]

    def times(self, model: str) -> int:
        """How often a model has answered this call already."""
        return sum(each.model == model for each in self.rounds)

    @property
    def hint(self) -> tuple[BaseMessage, ...]:
        """What the next model is told of the answer that was refused, where the check says why.

        The exchange is shown as it went, so that the model mends the answer instead of starting
        anew.
        """
        if not self.rounds or not self.rounds[-1].verdict.reason:
            return ()
        last = self.rounds[-1]
        if last.message.tool_calls:
            return ()  # a call of a tool that nobody answered is no valid conversation
        return (
            AIMessage(last.message.text),
            HumanMessage(
                f"A check refused this answer: {last.verdict.reason}\nGive a corrected answer, in "
                "the form that was asked for and without mentioning the check."
            ),
        )

    def hint_for(self, spec: ModelSpec) -> tuple[BaseMessage, ...]:
        """`hint`, to a model that can follow an exchange; another is asked as the first was."""
        return () if spec.single_turn else self.hint

    def judge(self, reply: AIMessage) -> Verdict:
        """What the check says; a check that is a coroutine runs to its end here."""
        return verifying.verdict(self._check, self._messages, reply)

    async def ajudge(self, reply: AIMessage) -> Verdict:
        """`judge`, awaiting."""
        return await verifying.averdict(self._check, self._messages, reply)

    def refuses(self, model: str, answer: Any, message: AIMessage, verdict: Verdict) -> bool:
        """Note an answer; whether another model is to be asked."""
        self.rounds.append(Round(model=model, answer=answer, message=message, verdict=verdict))
        # Another model than the planned one may have served, for it was down or too dear.
        ahead = self.stages[self._next :]
        self._next += ahead.index(model) + 1 if model in ahead else 1
        return verdict.passed is False and self.next_model is not None

    @property
    def best(self) -> Round:
        """The answer with the highest score, the later of equals; without a verdict it counts 1."""
        return max(
            enumerate(self.rounds),
            key=lambda each: (
                1.0 if each[1].verdict.score is None else each[1].verdict.score,
                each[0],
            ),
        )[1]
