"""What an Ollama server tells of its models, and each way it can fail as one clear error.

Fields are Ollama's documented ones (`/api/tags`, `/api/ps`, `/api/show`); the official client
reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from graphroute.errors import ProviderUnavailable
from graphroute.providers._gguf import kv_bytes_per_token

if TYPE_CHECKING:
    from ollama import Client

T = TypeVar("T")
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A model that is there: its full name with tag, bytes on disk, and whether it is loaded."""

    model: str
    size_bytes: int | None
    loaded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What `/api/show` says; None where it does not.

    num_ctx: the context that the model's own file asks for, if any
    """

    capabilities: frozenset[str]
    parameters: int | None
    quantization: str | None
    context_tokens: int | None
    num_ctx: int | None
    kv_bytes_per_token: int


def installed(client: Client, url: str) -> tuple[Installed, ...]:
    """All models of the server, sorted by name."""
    found = ask(url, client.list).models
    try:
        running = {entry.model or entry.name for entry in ask(url, client.ps).models}
    except ProviderUnavailable:
        # A server too old for /api/ps serves all the same; what is loaded is then unknown.
        running = set()
    return tuple(
        sorted(
            (
                Installed(
                    model=entry.model,
                    size_bytes=None if entry.size is None else int(entry.size),
                    loaded=entry.model in running,
                )
                for entry in found
                if entry.model
            ),
            key=lambda entry: entry.model,
        )
    )


def show(client: Client, url: str, model: str) -> Shown:
    """The details of one model."""
    answer = ask(url, lambda: client.show(model))
    said: Mapping[str, Any] = answer.modelinfo or {}
    kind = str(said.get("general.architecture", ""))

    def whole(name: str) -> int | None:
        value = said.get(f"{kind}.{name}")
        return value if isinstance(value, int) and value > 0 else None

    details = answer.details
    counted = said.get("general.parameter_count")
    heads = whole("attention.head_count") or 0
    return Shown(
        capabilities=frozenset(answer.capabilities or ("completion",)),
        parameters=counted
        if isinstance(counted, int)
        else parameters(details.parameter_size if details else None),
        quantization=details.quantization_level if details else None,
        context_tokens=whole("context_length"),
        num_ctx=_setting(answer.parameters or "", "num_ctx"),
        kv_bytes_per_token=kv_bytes_per_token(
            layers=whole("block_count") or 0,
            heads=heads,
            kv_heads=whole("attention.head_count_kv") or heads,
            embedding=whole("embedding_length") or 0,
            key=whole("attention.key_length"),
            value=whole("attention.value_length"),
        ),
    )


def ask(url: str, question: Callable[[], T]) -> T:
    """The answer, or a `ProviderUnavailable` that says how the server failed and what to do."""
    import httpx
    from ollama import ResponseError
    from pydantic import ValidationError

    try:
        return question()
    except httpx.TimeoutException:
        raise _unavailable(url, "gave no answer in time", "is it busy loading? try again") from None
    except (ConnectionError, httpx.HTTPError) as fault:
        what = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise _unavailable(
            url, f"cannot be reached ({what[:120]})", "start it with 'ollama serve'"
        ) from None
    except ResponseError as fault:
        wait = "; try again later" if fault.status_code == httpx.codes.TOO_MANY_REQUESTS else ""
        raise _unavailable(
            url,
            f"answers {fault.status_code}: {fault.error[:120]}",
            f"look at its log, or set OLLAMA_HOST to an Ollama server{wait}",
        ) from None
    except (ValidationError, ValueError, TypeError, AttributeError):
        raise _unavailable(
            url, "answers no valid JSON", "is it an Ollama server? set OLLAMA_HOST"
        ) from None


def match(wanted: str, models: Iterable[Installed]) -> Installed | None:
    """The installed model a name means: as it is, or with the tag `latest`."""
    names = {wanted, wanted if ":" in wanted else f"{wanted}:latest"}
    return next((entry for entry in models if entry.model in names), None)


def parameters(text: str | None) -> int | None:
    """The number in Ollama's `parameter_size`.

    >>> parameters("3.2B"), parameters("134.52M"), parameters("many")
    (3200000000, 134520000, None)
    """
    found = re.fullmatch(r"\s*([\d.]+)\s*([KMBT])\s*", text or "")
    try:
        return round(float(found[1]) * _UNITS[found[2]]) if found else None
    except ValueError:
        return None


def _setting(text: str, name: str) -> int | None:
    found = re.search(rf"^{name}\s+(\d+)\s*$", text, re.MULTILINE)
    return int(found[1]) or None if found else None


def _unavailable(url: str, what: str, next_step: str) -> ProviderUnavailable:
    return ProviderUnavailable(f"Ollama at {url} {what}", endpoint=url, next_step=next_step)
