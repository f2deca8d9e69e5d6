"""What a prompt asks for, and what is known of forms that a scorer was not trained on.

Outcomes to learn from are mostly of one form, and of another they say little:

| form | looks like | where few or none were trained on |
|---|---|---|
| `choice` | answer options `A. …` | the learned gap between the two models |
| `problem` | a question, but no options | that gap, and the more the longer the problem and the |
| | | more it relates things ("twice", "each", "more than"): steps to go wrong in |
| `open` | a text is wanted: "write …" | the weak model's chance to fail (that the strong one |
| | | fails on exam questions says nothing of its essays), and the more the more signs there are |
| | | of sums, conditions, mathematics or code: something can be wrong there, not only dull |

Each form goes over to the learned gap as prompts of it are trained on. Steps and signs are a
judgement, with one weight for both, not a fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from graphroute.ir.problem import Floats
from graphroute.scorers._hashing import Ints
from graphroute.scorers._looks import KINDS

FORMS: Final = ("choice", "problem", "open")
_OPTION = re.compile(r"^A[.)] ", re.MULTILINE)
_RELATIONS, _CONDITIONS, _MATHEMATICS = (
    frozenset(KINDS[kind].split()) for kind in ("relation", "condition", "mathematics")
)
_CODE = frozenset(
    "code program algorithm python java sql implement debug array string".split()  # noqa: SIM905
)
_WORD = re.compile(r"(\w+)(\(?)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_READ = 4000
_ENOUGH = 100.0
_SHARE = 0.25
_STEP = 0.1
_MIDDLE = 6.0


def form_of(prompt: str) -> int:
    """The number in `FORMS` of a prompt's form.

    >>> [FORMS[form_of(p)] for p in ("Which?\\nA. x\\nB. y", "What is 2 + 2?", "Write a poem.")]
    ['choice', 'problem', 'open']
    """
    end = prompt[-200:].rstrip()
    if _OPTION.search(prompt[:20_000]) is not None:
        return 0
    return 1 if end.endswith(("?", "Answer:", "]")) else 2


def forms_of(prompts: Sequence[str]) -> Ints:
    """The forms of prompts."""
    return np.fromiter(map(form_of, prompts), np.int64, len(prompts))


def trust_of(trained: Floats) -> Floats:
    """How far what was learned counts on each form, in [0, 1), for how many prompts of each.

    Half at 100 prompts and a quarter of all: a few tool calls among ten thousand exam questions
    do not make a scorer one for essays.

    >>> trust_of(np.array([9000.0, 900.0, 0.0])).round(2).tolist()
    [0.78, 0.26, 0.0]
    """
    return np.asarray(trained / (trained + _ENOUGH + _SHARE * trained.sum()))


def needed(prompts: Sequence[str], gap: Floats, weak: Floats, trust: Floats) -> Floats:
    """gap[n] in about [−1, 1]: what the strong model adds, from the learned gap.

    weak[n]: the weak model's chance to be right; trust[FORMS]: of what was learned on each form
    """
    forms = forms_of(prompts)
    out = np.array(gap)
    for i, prompt in enumerate(prompts):
        known = trust[forms[i]]
        if FORMS[forms[i]] == "problem":
            out[i] = gap[i] + (1 - known) * _STEP * (steps(prompt) - _MIDDLE)
        elif FORMS[forms[i]] == "open":
            fails = (1 - weak[i]) / 2 + _STEP * signs(prompt)
            out[i] = known * gap[i] + (1 - known) * fails
    return out


def steps(prompt: str) -> float:
    """How much there is to work through: `ln(1 + length) + ½ ln(1 + relations)`.

    >>> steps("How old is Ann?") < steps("Ann is twice as old as Bob. How old is each of them?")
    True
    """
    relations = sum(word in _RELATIONS for word, _ in _WORD.findall(prompt[:_READ].lower()))
    return math.log1p(len(prompt)) + 0.5 * math.log1p(relations)


def signs(prompt: str) -> float:
    """Signs of sums, conditions, mathematics and code: `½ Σ ln(1 + how many of each)`.

    >>> signs("Write a poem about rain.") < signs("Write a program that adds 3 numbers.")
    True
    """
    part = prompt[:_READ].lower()
    words = _WORD.findall(part)
    counts = (
        len(_NUMBER.findall(part)),
        sum(word in _CONDITIONS for word, _ in words),
        sum(word in _MATHEMATICS for word, _ in words) + sum(map(part.count, "=^\\")),
        # A name before a bracket is a call.
        sum(bool(bracket) or word in _CODE for word, bracket in words) + part.count("```"),
    )
    return 0.5 * sum(map(math.log1p, counts))
