"""Short questions with their right answers, made by a seed, for the two embedded models.

Four kinds of work: the mood of a review, the department for a ticket, name and order number as
JSON, and small sums. No two are alike; the models of `examples/small_models.py` get between a tenth
and nearly all of a kind right, so that checks have something to tell apart.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from _reviews import reviews

from graphroute.checks.agreement import said

_NAMES = ("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jane", "Kim", "Leo")
_HOMES = ("Berg", "Costa", "Dunn", "Ek", "Fox", "Gray", "Holm", "Iyer", "Jung", "Klein", "Lund")
_SAID = {
    "billing": (
        "I was charged twice for it",
        "the invoice shows the wrong amount",
        "please refund the money I paid",
        "my card was debited but I have no receipt",
        "why did the price go up on my bill",
    ),
    "shipping": (
        "the parcel has not arrived yet",
        "the courier left it at the wrong house",
        "when will it be delivered",
        "the tracking page has shown nothing for a week",
        "please send it to my new address",
    ),
    "repair": (
        "the screen is broken after two days",
        "it does not switch on any more",
        "the motor makes a loud noise",
        "one of the buttons fell off",
        "it leaks water and needs to be fixed",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt, and the form of `checks.agreement.said` that a right answer has."""

    kind: str
    prompt: str
    right: str

    def is_right(self, answer: str) -> bool:
        """Whether an answer says the same as the right one."""
        return said(answer) == said(self.right)


def _mood(draw: random.Random) -> Question:
    [review] = reviews(1, houses=1, seed=draw.randrange(10**9))
    mood, text = review.mood, review.text
    if draw.random() < 0.5:  # reviews begin with a good one
        [_, review] = reviews(2, houses=1, seed=draw.randrange(10**9))
        mood, text = review.mood, review.text
    ask = "Is the sentiment of this text positive or negative? Text: {} Answer with one word."
    return Question(kind="mood", prompt=ask.format(text), right=mood)


def _department(draw: random.Random) -> Question:
    name = draw.choice(list(_SAID))
    text = f"{_ticket(draw)[0]} {draw.choice(_SAID[name])}."
    ask = (
        "Which department is this text for: billing, shipping or repair? Text: {} Answer with one "
        "word."
    )
    return Question(kind="department", prompt=ask.format(text), right=name)


def _facts(draw: random.Random) -> Question:
    text, name, order = _ticket(draw)
    text = f"{text} {draw.choice(_SAID[draw.choice(list(_SAID))])}."
    ask = "Extract the name and the order number from the text as JSON. Text: {}"
    right = json.dumps({"name": name, "order": order})
    return Question(kind="facts", prompt=ask.format(text), right=right)


def _ticket(draw: random.Random) -> tuple[str, str, str]:
    name, order = f"{draw.choice(_NAMES)} {draw.choice(_HOMES)}", str(draw.randint(1000, 9999))
    invoice, agent = draw.randint(1000, 9999), f"{draw.choice(_NAMES)} {draw.choice(_HOMES)}"
    text = f"{agent} asked me to write to you about invoice {invoice}. I am {name}, order {order}:"
    return text, name, order


def _sum(draw: random.Random) -> Question:
    a, b = draw.randint(2, 12), draw.randint(2, 12)
    ask = f"What is {a} + {b}? Answer with the number only."
    return Question(kind="sum", prompt=ask, right=str(a + b))


_KINDS: dict[str, Callable[[random.Random], Question]] = {
    "mood": _mood,
    "department": _department,
    "facts": _facts,
    "sum": _sum,
}


def questions(each: int, *, seed: int) -> list[Question]:
    """So many of each kind."""
    found: list[Question] = []
    for kind, make in _KINDS.items():
        draw, seen = random.Random(f"{kind}-{seed}"), set[str]()
        while len(seen) < each:
            question = make(draw)
            if question.prompt not in seen:
                seen.add(question.prompt)
                found.append(question)
    return found


def shown(*, seed: int, each: int = 2) -> tuple[tuple[str, str], ...]:
    """Questions and answers that frame a small model; of another seed than those it is asked."""
    return tuple((q.prompt, q.right) for q in questions(each, seed=seed))
