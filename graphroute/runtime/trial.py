"""One call's part in having its answer checked: ask a stronger model where a check refuses one.

```
models of the cascade:   small ──► check ─ passed ─► the answer
                                     └── refused ──► big ──► check ─ passed ─► the answer
                                                               └── refused ──► the best of all
```

A check that compares a model's answers with one another (`ir.verdict.Sampling`) has the same model
as the next stages, until it has seen enough:

```
 small ─► check ─ not yet ─► small ─► check ─ they agree ─► the first of those that do
                                        └── they do not ──► big
```

Only a plan that found a cascade worth its price gives a second model. Without one the verdict is
recorded and the answer stands. A check that fails itself, or says nothing, refuses nothing; but an
answer for whose check there was no money does not stand where its model alone is not good enough
for the node (`min_quality=`): then the next model that is answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.ir.record import AFTER_REFUSAL, ONCE_MORE, UNCHECKED
from graphroute.ir.verdict import (
    SIGNALS,
    UNPAID,
    Chance,
    Check,
    Sampling,
    Verdict,
    calibrated,
    sampling_of,
    unknown,
    wants_probabilities,
)
from graphroute.runtime import verifying

_NOT_YET: Final = "not yet"
"""Source of a verdict that waits for another answer of the same model."""


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
    unchecked: the models whose answers may stand where there was no money to check them; None: all
    chance: by model, what earlier runs say of a score (`ir.verdict.Calibrated`)
    tells_next: whether the next model is told of a refused answer
    """

    def __init__(
        self,
        check: Check,
        messages: Sequence[BaseMessage],
        *,
        stages: Sequence[str],
        unchecked: Collection[str] | None = None,
        chance: Callable[[str], Chance | None] = lambda _: None,
        tells_next: bool = True,
    ) -> None:
        self._check, self._messages, self._chance = check, tuple(messages), chance
        self._sampling, self._tells_next = sampling_of(check), tells_next
        self.stages, self._unchecked = tuple(stages), unchecked
        self.rounds: list[Round] = []
        self._next = 0

    @property
    def wants_probabilities(self) -> bool:
        """Whether the check reads the probabilities of an answer's tokens."""
        return wants_probabilities(self._check)

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

    @property
    def position(self) -> int:
        """Where `next_model` stands in the stages, from 0 for the first."""
        return self._next

    def decides(self, model: str) -> bool:
        """Whether another model is asked if the answer that `model` gives now is refused."""
        return self._after(model) < len(self.stages)

    def times(self, model: str) -> int:
        """How often a model has answered this call already."""
        return sum(each.model == model for each in self.rounds)

    @property
    def hint(self) -> tuple[BaseMessage, ...]:
        """What the next model is told of the answer that was refused, where the check says why.

        The exchange is shown as it went, so that the model mends the answer instead of starting
        anew.
        """
        if not (self._tells_next and self.rounds and self.rounds[-1].verdict.reason):
            return ()
        last = self.rounds[-1]
        if last.verdict.source == UNPAID:
            return ()  # nobody has refused it
        if last.verdict.source in (_NOT_YET, *SIGNALS):
            return ()  # that a model is unsure of it tells nobody what to mend
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

    @property
    def why(self) -> str:
        """Why another answer is asked for, after the first."""
        last = self.rounds[-1]
        if self._sampling is not None and last.verdict.source == _NOT_YET:
            return f"{ONCE_MORE}{self._sampling.k} answers, to see whether they agree"
        return (UNCHECKED if last.verdict.source == UNPAID else AFTER_REFUSAL) + last.model

    def judge(self, model: str, reply: AIMessage) -> Verdict:
        """What the check says of a model's answer; one that is a coroutine runs to its end here."""
        if self._sampling is not None:
            return self._compared(self._sampling, model, reply)
        return verifying.verdict(
            calibrated(self._check, self._chance(model)), self._messages, reply
        )

    async def ajudge(self, model: str, reply: AIMessage) -> Verdict:
        """`judge`, awaiting."""
        if self._sampling is not None:
            return self._compared(self._sampling, model, reply)
        return await verifying.averdict(
            calibrated(self._check, self._chance(model)), self._messages, reply
        )

    def _compared(self, check: Sampling, model: str, reply: AIMessage) -> Verdict:
        """What all answers of the model say together; it is asked nothing, so it is quick."""
        replies = [*(each.message for each in self._latest(model)), reply]

        def over(messages: Sequence[Any], _reply: Any) -> Verdict:
            said = check.over(messages, replies)
            progress = f"answer {len(replies)} of {check.k} at most"
            return unknown(progress, source=_NOT_YET) if said is None else said

        return verifying.verdict(over, self._messages, reply)

    def _after(self, model: str) -> int:
        """Index of the stage after an answer of `model`."""
        # Another model than the planned one may have served, for it was down or too dear.
        ahead = self.stages[self._next :]
        return self._next + (ahead.index(model) + 1 if model in ahead else 1)

    def _latest(self, model: str) -> list[Round]:
        """The last answers, as far back as they are this model's."""
        found: list[Round] = []
        for each in reversed(self.rounds):
            if each.model != model:
                break
            found.insert(0, each)
        return found

    def refuses(self, model: str, answer: Any, message: AIMessage, verdict: Verdict) -> bool:
        """Note an answer; whether another model is to be asked."""
        self.rounds.append(Round(model=model, answer=answer, message=message, verdict=verdict))
        self._next = self._after(model)
        if verdict.source == UNPAID:
            return self._must_not_stand(model)
        if self._sampling is None:
            return verdict.passed is False and self.next_model is not None
        if verdict.source == _NOT_YET:
            return self.next_model == model
        while self.next_model == model:
            self._next += 1  # what the rest of its answers would be cannot change anything
        return verdict.passed is False and self.next_model is not None

    def _must_not_stand(self, model: str) -> bool:
        """Whether another model is asked for an answer of this one that could not be checked."""
        good_enough = self._unchecked
        if good_enough is None or model in good_enough:
            return False
        while self.next_model is not None and self.next_model not in good_enough:
            self._next += 1
        return self.next_model is not None

    @property
    def best(self) -> Round:
        """The answer with the highest score, the later of equals; without a verdict it counts 1.
        Of answers that were compared with one another, the one that stands for them.
        """
        if self._sampling is not None:
            latest = self._latest(self.rounds[-1].model)
            return latest[self._sampling.pick([each.message for each in latest])]
        return max(
            enumerate(self.rounds),
            key=lambda each: (
                1.0 if each[1].verdict.score is None else each[1].verdict.score,
                each[0],
            ),
        )[1]
