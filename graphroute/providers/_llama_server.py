"""llama.cpp servers inside this process: one per file and settings, on a free loopback port.

A server starts when the first call needs it and ends with the process or by `close`. llama.cpp
runs in threads of its own, so Python goes on meanwhile.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from graphroute.errors import InvalidValue, ProviderUnavailable

_HOST: Final = "127.0.0.1"
_QUIET: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """A model file and how to serve it.

    path: the GGUF file; alias: the model's name in pool and plan, else the path
    template: Jinja chat template, None for the one in the file; stop: texts that end an answer
    context_tokens: prompt plus answer of one call; slots: calls that run at once, each with a
        context of its own; threads: None for all but one of the cores this process may use, because
        llama.cpp's threads wait for each other by spinning and one core that is busy with something
        else stops them all
    max_output_tokens: an answer's limit where the call states none; small models may not end
    overhead_tokens: prompt tokens the template adds, None for an estimate from its text

    >>> Gguf(path=Path("/models/tiny.gguf"), alias="tiny").name
    'llamacpp:tiny'
    """

    path: Path
    alias: str | None = None
    template: str | None = None
    stop: tuple[str, ...] = ()
    context_tokens: int = 4096
    slots: int = 2
    threads: int | None = None
    max_output_tokens: int = 1024
    overhead_tokens: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        for field in ("context_tokens", "slots", "max_output_tokens"):
            if (value := getattr(self, field)) < 1:
                raise InvalidValue(
                    f"{self.name!r}: {field}={value}",
                    model=self.name,
                    value=value,
                    next_step="use a whole number ≥ 1",
                )

    @property
    def model(self) -> str:
        """The name without its provider."""
        return self.alias or str(self.path)

    @property
    def name(self) -> str:
        """The pool name."""
        return f"llamacpp:{self.model}"


class _Server(Protocol):
    @property
    def listening_address(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two models share a server."""

    path: Path
    template: str | None
    context_tokens: int
    slots: int
    threads: int


_lock = threading.Lock()
_servers: dict[_Key, _Server] = {}


def serve(gguf: Gguf) -> str:
    """The base URL (`…/v1`) of the server for this model, started if there is none yet."""
    key = _Key(
        path=gguf.path.resolve(),
        template=gguf.template,
        context_tokens=gguf.context_tokens,
        slots=gguf.slots,
        threads=gguf.threads or max(1, _cores() - 1),
    )
    # The quick look needs no lock; starting does, or two first calls would load the model twice.
    if (server := _servers.get(key)) is None:
        with _lock:
            if (server := _servers.get(key)) is None:
                if not _servers:
                    atexit.register(close)
                server = _servers[key] = _start(gguf, key)
    return f"{server.listening_address}/v1"


def is_serving(gguf: Gguf) -> bool:
    """Whether a server for this file runs in this process."""
    path = gguf.path.resolve()
    return any(key.path == path for key in _servers)


def close(paths: Sequence[Path] | None = None) -> None:
    """Stop the servers of these files, or all; the next call starts one again."""
    wanted = None if paths is None else {path.resolve() for path in paths}
    with _lock:
        for key in [k for k in _servers if wanted is None or k.path in wanted]:
            # The server stops when its last reference goes.
            del _servers[key]


def _cores() -> int:
    # macOS and Windows tell only how many there are, not which of them this process may use.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _start(gguf: Gguf, key: _Key) -> _Server:
    # Imported here: 100 MB of native code that only an embedded model needs.
    try:
        import xllamacpp
    except ImportError:
        raise ProviderUnavailable(
            f"model {gguf.name!r} needs the package xllamacpp",
            model=gguf.name,
            next_step="run: pip install 'graphroute[local]'",
        ) from None
    params = xllamacpp.CommonParams()
    params.model.path = str(key.path)
    params.model_alias = {gguf.model}
    params.hostnames, params.port = [_HOST], 0
    params.n_parallel = key.slots
    params.n_ctx = key.slots * key.context_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = key.threads
    params.use_jinja = True
    params.verbosity = _QUIET
    if key.template is not None:
        params.chat_template = key.template
    try:
        server: _Server = xllamacpp.Server(params)
    except RuntimeError as fault:
        raise ProviderUnavailable(
            f"llama.cpp does not load {str(gguf.path)!r} ({fault})",
            model=gguf.name,
            path=gguf.path,
            next_step="check the file, its chat template and the free memory",
        ) from None
    return server
