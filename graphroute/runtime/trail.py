"""What has become of one call so far: models passed over and tried, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from graphroute.ir.record import Attempt

_MOST_CHARS: Final = 500
"""Of an error's text that a record keeps: some quote the whole prompt."""


def told(error: BaseException) -> str:
    """An error in one line.

    >>> told(ValueError("no such model"))
    'ValueError: no such model'
    """
    return f"{type(error).__name__}: {error}"


def told_short(error: BaseException) -> str:
    """`told`, cut to what a record keeps."""
    return told(error)[:_MOST_CHARS]


@dataclass(slots=True, kw_only=True, eq=False)
class Trail:
    """Belongs to one call; not shared between threads.

    attempts: models that were passed over or tried, with the reasons, in that order
    excluded: models that are not asked again
    last_error: what ends the call if no other model answers; the own model's, if it said something
    fault: what went wrong in routing itself, None if nothing did
    mute: models that answered an error when they were to tell the probabilities of tokens
    tried: the model to be asked to learn how good it is, `""` for none; None: not thought of yet

    >>> trail = Trail()
    >>> trail.failed("openai:gpt-5-mini", TimeoutError("no answer"), is_own=False)
    >>> trail.reason("openai:gpt-5-mini"), trail.retries
    ('TimeoutError: no answer', 1)
    """

    attempts: list[Attempt] = field(default_factory=list)
    excluded: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    last_error: BaseException | None = None
    fault: str | None = None
    tried: str | None = None

    def failed(self, model: str, error: BaseException, *, is_own: bool) -> None:
        """`model` was asked in vain, and another is to be asked."""
        # What the graph's own model says is what the graph would have raised by itself.
        if self.last_error is None or is_own:
            self.last_error = error
        self.excluded.add(model)
        self.attempts.append(Attempt(model=model, reason=told_short(error)))

    def reason(self, model: str) -> str | None:
        """Why `model` does not serve the call, as last noted; None where nothing was."""
        return next((a.reason for a in reversed(self.attempts) if a.model == model), None)

    @property
    def retries(self) -> int:
        """How many models were asked in vain."""
        return len(self.excluded)
