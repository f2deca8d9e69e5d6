"""Checks for `@route(verify=…)`: is this answer good enough, or is a stronger model needed?

| check | passes if |
|---|---|
| `non_empty` | the reply has text or calls a tool |
| `no_refusal` | it does not begin by declining (English), and was not filtered |
| `complete` | it was not cut off at its limit of tokens |
| `regex(pattern, full=False)` | its text has (or is) what the pattern says |
| `is_json` | it is JSON, alone or as its one fenced block |
| `schema(model_or_json_schema)` | its data fits a pydantic model, a type, or a JSON Schema |
| `compiles` | its Python code parses; it is never run |
| `number(expected, tolerance=1e-6)` | its last number is the expected one |
| `in_context(min_share=0.5)` | what it says stands in the messages that were sent |
| `judge(model=None)` | another model, by default the first that Ollama has, grades it as good |
| `agreement(k=3, at_least=0.5)` | the same model, asked up to `k` times, says the same mostly |
| `confidence(at_least=0.5)` | the model's own token probabilities speak for it |
| `all_of(…)`, `any_of(…)` | several of them |

A check of your own is any function of `(messages, reply)`, sync or async, that gives a bool, a
number in [0, 1] or a `Verdict`. One that raises or says nothing leaves the verdict open and never
breaks a run.

>>> from graphroute import verify
>>> check = verify.all_of(verify.non_empty, verify.regex("billing|shipping", full=True))
>>> check([], "billing").passed, check([], "no idea").reason
(True, "it does not match 'billing|shipping'")
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from graphroute.checks.agreement import Agreement
from graphroute.checks.code import Compiles
from graphroute.checks.combine import Combined
from graphroute.checks.confidence import Confidence
from graphroute.checks.grounded import InContext
from graphroute.checks.judge import Judge
from graphroute.checks.numbers import NumberIs
from graphroute.checks.structured import Fits, IsJson
from graphroute.checks.text import Complete, Matches, NonEmpty, NoRefusal
from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.ir.verdict import PASS_SCORE, Check, Verdict, verdict_of

__all__ = [
    "Verdict",
    "agreement",
    "all_of",
    "any_of",
    "compiles",
    "complete",
    "confidence",
    "in_context",
    "is_json",
    "judge",
    "no_refusal",
    "non_empty",
    "number",
    "regex",
    "schema",
    "verdict_of",
]

non_empty: Final = NonEmpty()
no_refusal: Final = NoRefusal()
complete: Final = Complete()
is_json: Final = IsJson()
compiles: Final = Compiles()


def regex(pattern: str, *, full: bool = False, flags: int = 0) -> Matches:
    """The reply's text has what `pattern` says; with `full` it is nothing else."""
    return Matches(pattern, full=full, flags=flags)


def schema(model: Any) -> Fits:
    """The reply's data fits a pydantic model, a type that pydantic knows, or a JSON Schema."""
    return Fits(model)


def number(
    expected: float | Callable[[Sequence[Any]], float], *, tolerance: float = 1e-6
) -> NumberIs:
    """The last number of the reply is the expected one, up to `tolerance`.

    expected: a number, or a function of the messages that gives it; tolerance: see `NumberIs`
    """
    return NumberIs(expected, tolerance=tolerance)


def in_context(min_share: float = 0.5) -> InContext:
    """At least `min_share` of what the reply says stands in the messages that were sent."""
    return InContext(min_share=min_share)


def agreement(
    k: int = 3, *, at_least: float = 0.5, key: Callable[[Any], Hashable | None] | None = None
) -> Agreement:
    """The same model says the same most of the times it is asked (self-consistency).

    Where the plan finds that worth its price, it is asked up to `k` times (2 to 8), again at a
    temperature of 0.8 or more, until more than half of `k`, and at least the share `at_least` of
    it, agree or cannot any more. The first answer of the majority is taken; without one the next
    model of the plan is asked. Elsewhere it is asked once, and the verdict is open.

    key: what of a reply is compared, by equality; None from it is an answer like no other. By
        default its tool calls or its JSON, else its last number, else its text without case
    """
    return Agreement(k, at_least=at_least, key=key)


def confidence(*, at_least: float = 0.5) -> Confidence:
    """The probabilities of the answer's tokens say that it is good with a chance of `at_least`.

    They are asked for where the model's class and server can tell them (OpenAI and what speaks its
    protocol, embedded llama.cpp, Ollama), and taken out of the answer again; from any other model
    the verdict is open. How many answers of a score are good is learnt from feedback and
    references, by node and model; until there are enough, a curve measured on small models is used.
    """
    return Confidence(at_least)


def all_of(*checks: Check) -> Combined:
    """Every check passes; they run in this order, and the first that fails ends it."""
    return Combined(checks, wants_all=True)


def any_of(*checks: Check) -> Combined:
    """One check passes; they run in this order, and the first that passes ends it."""
    return Combined(checks, wants_all=False)


def judge(
    model: Any = None,
    *,
    criteria: str | None = None,
    reference: str | Callable[[Sequence[Any]], str] | None = None,
    options: Mapping[str, Any] | None = None,
    pass_score: float = PASS_SCORE,
) -> Judge:
    """Another model grades the reply, asked twice with its labels changed over.

    model: a chat model, a name such as `"ollama:llama3.2"`, or None for the first model of the
        Ollama server on this machine (opened at the first use; without one the verdict stays open)
    criteria: the question put to it; reference: a right answer to compare with
    options: of its call; `{"logprobs": True, "top_logprobs": 5}` gives finer scores where the
        server reports log-probabilities

    As the check of a node it keeps its model, and a run pays for what it asks. Called by hand
    inside a node, it makes calls of that node like any other.
    """
    if not 0 <= pass_score <= 1:
        raise InvalidValue(
            f"pass_score={pass_score!r}", value=pass_score, next_step="use a number in [0, 1]"
        )
    chat = model if hasattr(model, "invoke") else _Opener(model)
    more: dict[str, Any] = {} if criteria is None else {"criteria": criteria}
    return Judge(
        chat, reference=reference, options=dict(options or {}), pass_score=pass_score, **more
    )


_opening: Final = threading.Lock()


class _Opener:
    """Opens a model by its name, once, at the first call."""

    def __init__(self, name: object) -> None:
        if name is not None and not isinstance(name, str):
            raise InvalidValue(
                f"judge model {name!r}",
                value=name,
                next_step="give a chat model, a name such as 'ollama:llama3.2', or None",
            )
        self._name = name
        self._chat: Any = None

    @property
    def model(self) -> str | None:
        """Its name; None for whatever Ollama has."""
        return self._name

    def __repr__(self) -> str:
        return f"judge model {self._name or 'local'!r}"

    def __call__(self) -> Any:
        if self._chat is None:
            # Calls side by side must not start a model each.
            with _opening:
                if self._chat is None:
                    self._chat = _open(self._name)
        return self._chat


def _open(name: str | None) -> Any:
    # Late, as a check that needs no model should not load the providers.
    from graphroute import registry
    from graphroute.ir.catalog import Model
    from graphroute.pool import build_pool

    if name is not None:
        pool = build_pool([name])
        return pool.open(pool.catalog.names[0])
    # Ollama lists what it has; files of embedded models have to be named.
    models: list[Model] = list(registry.build("providers", "ollama").discover())  # type: ignore[attr-defined]
    if models:
        pool = build_pool(models[:1])
        return pool.open(pool.catalog.names[0])
    raise ProviderUnavailable(
        "Ollama has no model to judge with",
        next_step="pull one, or name a model: judge('llamacpp:/path/model.gguf')",
    )
