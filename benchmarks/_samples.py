"""Answers of small models to the same questions, drawn several times, with their probabilities.

Each model answers each question once at temperature 0 and then `draws` times at the temperature at
which a model is asked again (`runtime.dialect.ANEW_TEMPERATURE`), each draw with a seed of its own.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _questions import Question, questions, shown
from langchain_core.messages import AIMessage, HumanMessage
from platformdirs import user_cache_path

from graphroute.checks.agreement import said
from graphroute.checks.confidence import token_logs
from graphroute.providers import llamacpp
from graphroute.providers._packaged import gemma_path, smollm2_path
from graphroute.runtime.dialect import ANEW_TEMPERATURE

REFUSED = (
    "A check refused this answer: it is not the right one\nGive a corrected answer, in the form "
    "that was asked for and without mentioning the check."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said (comparable), whether it is right, and the mean and least log-probability."""

    said: str
    right: bool
    mean: float
    least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question's answers of one model: the one at temperature 0, and those that were drawn.

    told: drawn after a wrong first one, the model told that it was refused; empty where no model
        can be told
    """

    model: str
    kind: str
    first: Answer
    drawn: tuple[Answer, ...]
    told: tuple[Answer, ...] = ()


def framed(*, each: int = 3, seed: int = 1_000) -> dict[str, Any]:
    """The two models in a frame of questions and answers; they are asked one question alone."""
    frame = llamacpp.few_shot(shown(seed=seed, each=each))
    paths = {
        "smollm2-135m": smollm2_path(),
        "gemma-3-270m": gemma_path(Path(user_cache_path("graphroute")) / "models"),
    }
    return {
        name: llamacpp.chat(
            llamacpp.Gguf(
                path=path,
                alias=name,
                template=frame,
                stop=llamacpp.FEW_SHOT_STOP,
                context_tokens=2048,
                slots=1,
            ),
            temperature=0,
            max_tokens=24,
        )
        for name, path in paths.items()
    }


def talking() -> Any:
    """The smaller one in its own chat template, which can be told what was wrong."""
    gguf = llamacpp.Gguf(
        path=smollm2_path(),
        alias="smollm2-135m-chat",
        template=llamacpp.TOOLS,
        context_tokens=2048,
        slots=1,
    )
    return llamacpp.chat(gguf, temperature=0, max_tokens=24)


def asked(
    name: str, chat: Any, todo: Sequence[Question], *, draws: int, seed: int, tells: bool = False
) -> Iterator[Asked]:
    """The answers of a model to all questions; progress goes to stderr."""
    for number, question in enumerate(todo):
        reply = chat.invoke(question.prompt, logprobs=True)
        first = _answer(question, reply)
        start = seed + number * 100
        drawn = [
            chat.invoke(
                question.prompt, logprobs=True, temperature=ANEW_TEMPERATURE, seed=start + i
            )
            for i in range(draws)
        ]
        told: list[AIMessage] = []
        if tells and not first.right:
            talk = [HumanMessage(question.prompt), AIMessage(reply.text), HumanMessage(REFUSED)]
            told = [
                chat.invoke(talk, logprobs=True, temperature=ANEW_TEMPERATURE, seed=start + 50 + i)
                for i in range(draws)
            ]
        if number % 20 == 0:
            print(f"  {name}: {number} of {len(todo)}", file=sys.stderr)
        yield Asked(
            model=name,
            kind=question.kind,
            first=first,
            drawn=tuple(_answer(question, each) for each in drawn),
            told=tuple(_answer(question, each) for each in told),
        )


def _answer(question: Question, reply: AIMessage) -> Answer:
    logs = token_logs(reply) or [math.nan]
    return Answer(
        said=repr(said(reply)),
        right=question.is_right(reply.text),
        mean=sum(logs) / len(logs),
        least=min(logs),
    )


def collected(*, each: int, draws: int, seed: int, keep: Path | None) -> list[Asked]:
    """All answers of the framed models; from the file `keep` if it is there, else written to it."""
    if keep is not None and keep.exists():
        return [_read(line) for line in keep.read_text(encoding="utf-8").splitlines()]
    todo = questions(each, seed=seed)
    found = [
        answers
        for name, chat in framed().items()
        for answers in asked(name, chat, todo, draws=draws, seed=seed)
    ]
    if keep is not None:
        lines = (json.dumps(asdict(answers)) for answers in found)
        keep.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


def _read(line: str) -> Asked:
    raw = json.loads(line)
    return Asked(
        model=raw["model"],
        kind=raw["kind"],
        first=Answer(**raw["first"]),
        drawn=tuple(Answer(**a) for a in raw["drawn"]),
        told=tuple(Answer(**a) for a in raw["told"]),
    )
