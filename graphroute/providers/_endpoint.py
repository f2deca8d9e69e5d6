"""Asking a server of this network for its models, with every way it can fail as one clear error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from graphroute.errors import ProviderUnavailable

TIMEOUT_S = 3.0


def loopback_settings() -> dict[str, Any]:
    """Settings of an HTTP client for a server of this machine.

    No connection is kept: a kept one belongs to its event loop and fails or leaks with the next
    loop, and a new one on the loopback takes a tenth of a millisecond. No proxy of the environment
    stands between two programs of one machine, and there is no certificate to check.
    """
    return {
        "limits": httpx.Limits(max_keepalive_connections=0),
        "trust_env": False,
        "verify": False,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A model an OpenAI-compatible endpoint lists; its context in tokens where it says so."""

    model: str
    context_tokens: int | None


def listings(base_url: str, *, key: str, timeout_s: float = TIMEOUT_S) -> tuple[Listing, ...]:
    """What `GET <base_url>/models` lists; `ProviderUnavailable` says what went wrong.

    Servers name the context differently: vLLM `max_model_len`, llama.cpp `meta.n_ctx`.
    """
    url = f"{base_url.rstrip('/')}/models"
    try:
        answer = httpx.get(
            url, timeout=timeout_s, headers={"Authorization": f"Bearer {key}"}, trust_env=False
        )
    except httpx.TimeoutException:
        raise _unavailable(
            base_url, f"gave no answer in {timeout_s:g} s", "is it busy loading? try again"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise _unavailable(
            base_url, f"cannot be reached ({fault})", "start it, or mend the address"
        ) from None
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        wait = answer.headers.get("Retry-After", "")
        when = f"in {wait} s" if wait.isdigit() else "later"
        raise _unavailable(base_url, "refuses more calls now (429)", f"try again {when}")
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise _unavailable(base_url, f"refuses the key ({answer.status_code})", "set its API key")
    if answer.is_error:
        raise _unavailable(base_url, f"answers {answer.status_code}", "look at the server's log")
    try:
        return tuple(_listing(entry) for entry in answer.json()["data"])
    except (ValueError, KeyError, TypeError):
        raise _unavailable(
            base_url, "answers no model list", "is it an OpenAI-compatible endpoint (…/v1)?"
        ) from None


def _listing(entry: dict[str, object]) -> Listing:
    meta = entry.get("meta")
    named = (entry.get("max_model_len"), meta.get("n_ctx") if isinstance(meta, dict) else None)
    sizes = (size for size in named if isinstance(size, int) and size > 0)
    return Listing(model=str(entry["id"]), context_tokens=next(sizes, None))


def _unavailable(base_url: str, what: str, next_step: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"the endpoint {base_url} {what}", endpoint=base_url, next_step=next_step
    )
