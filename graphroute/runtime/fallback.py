"""Which faults of a model call another model may mend, and which belong to the user's graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from json import JSONDecodeError

COOL_DOWN_S = 30.0
"""How long a model that did not answer is passed over, unless the server says `Retry-After`."""

_AVAILABILITY = (ConnectionError, TimeoutError, JSONDecodeError, OSError, EOFError)
_OVERFLOW = (
    "context length",
    "context_length",
    "context window",
    "maximum context",
    "exceeds the available context",
    "prompt is too long",
    "too many tokens",
)


def status_of(error: BaseException) -> int | None:
    """The HTTP status an SDK error carries, under any of the names in use."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code", "http_status"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
                return value
    return None


def is_unavailable(error: BaseException) -> bool:
    """Whether the model could not serve: no server, no key, no such model, overload, broken reply.

    Judged by type, HTTP status and the error's module, never by importing a provider's SDK.

    >>> is_unavailable(ConnectionRefusedError()), is_unavailable(KeyError("state"))
    (True, False)
    """
    if isinstance(error, _AVAILABILITY):
        return True
    status = status_of(error)
    if status is not None:
        return status in (401, 402, 403, 404, 408, 409, 425, 429) or status >= 500
    # httpx, openai and anthropic keep their own connection errors outside the OSError tree.
    kinds = {(k.__module__.partition(".")[0], k.__name__) for k in type(error).__mro__}
    return any(
        module in ("httpx", "httpcore", "openai", "anthropic", "requests", "aiohttp", "graphroute")
        and name
        in (
            "TransportError",
            "APIConnectionError",
            "APITimeoutError",
            "RequestException",
            "ClientError",
            "NetworkError",
            "ProtocolError",
            "TimeoutException",
            "APIResponseValidationError",
            "ProviderUnavailable",
            "UnknownModel",
        )
        for module, name in kinds
    )


def is_overflow(error: BaseException) -> bool:
    """Whether the prompt was too long for the model.

    >>> is_overflow(ValueError("This model's maximum context length is 4096 tokens"))
    True
    """
    text = str(error).lower()
    return status_of(error) == 413 or any(words in text for words in _OVERFLOW)


def retry_after_s(error: BaseException) -> float | None:
    """Seconds a `Retry-After` header asks to wait; None without one."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    try:
        value = float(headers.get("retry-after"))  # type: ignore[union-attr]
    except (AttributeError, TypeError, ValueError):
        return None
    return min(max(value, 0.0), 3600.0)


class Outages:
    """Models that lately did not answer, so that not every call waits for the same dead server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, model: str, error: BaseException) -> None:
        """Pass `model` over for a while."""
        wait_s = retry_after_s(error)
        self._until[model] = self._clock() + (COOL_DOWN_S if wait_s is None else wait_s)

    def clear(self, model: str) -> None:
        """`model` answered again."""
        self._until.pop(model, None)

    def down(self) -> frozenset[str]:
        """All models that are being passed over now."""
        if not self._until:
            return frozenset()
        now = self._clock()
        return frozenset(model for model, until in list(self._until.items()) if until > now)

    def is_down(self, model: str) -> bool:
        """Whether `model` is being passed over now."""
        return self._until.get(model, 0.0) > self._clock()
