"""Why a key missed, in words: what differs from the nearest of the node's earlier visits.

>>> before = Trace(code={"code of 'clean'": "1", "global 'P'": "2"}, model="a", context="",
...                reads=(("key", "text", "3"),))
>>> now = Trace(code={"code of 'clean'": "9", "global 'P'": "2"}, model="b", context="",
...             reads=(("key", "text", "3"),))
>>> why_missed(now, Past(traces=(before,)))
"code of 'clean' changed; model changed from 'a' to 'b'"
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

MAX_VERSIONS: Final = 6
MAX_INPUTS: Final = 8
"""Visits kept of each version of a node's code and model."""

Part = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one visit's result hung on, by digests.

    code: its parts; model: the assigned model, `""` if none; context: of the run, `""` if unread
    reads: kind, name and digest of each part of the state that was read
    """

    code: Mapping[str, str]
    model: str
    context: str
    reads: tuple[Part, ...]

    @property
    def version(self) -> tuple[Any, ...]:
        """All but the state."""
        return tuple(sorted(self.code.items())), self.model, self.context


def facets(trace: Trace) -> dict[str, str]:
    """A digest of each part of what a result hangs on, by its name in words.

    >>> trace = Trace(code={"code of 'clean'": "1"}, model="", context="",
    ...               reads=(("key", "text", "3"),))
    >>> sorted(facets(trace))
    ["code of 'clean'", "state key 'text'"]
    """
    state = {_named(kind, name): digest for kind, name, digest in trace.reads}
    run = {"model": trace.model, "the run's configuration": trace.context}
    told = {**{name: text for name, text in run.items() if text}, **state, **trace.code}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in told.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The last visits of a node, the latest first.

    volatile: parts of its code that the node itself changes when it runs
    """

    traces: tuple[Trace, ...] = ()
    volatile: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, kept: Any) -> Self:
        """Read from what `as_json` gave; nothing known for anything else."""
        try:
            traces = tuple(
                Trace(
                    code=dict(version["code"]),
                    model=str(version["model"]),
                    context=str(version["context"]),
                    reads=tuple((str(k), str(n), str(d)) for k, n, d in reads),
                )
                for version in kept["versions"]
                for reads in version["inputs"]
            )
            return cls(traces=traces, volatile=frozenset(map(str, kept["volatile"])))
        except (LookupError, TypeError, ValueError):
            return cls()

    def as_json(self) -> dict[str, Any]:
        """Plain values, each version once."""
        versions: dict[tuple[Any, ...], dict[str, Any]] = {}
        for one in self.traces:
            version = versions.setdefault(
                one.version,
                {"code": dict(one.code), "model": one.model, "context": one.context, "inputs": []},
            )
            version["inputs"].append([list(part) for part in one.reads])
        return {"versions": list(versions.values()), "volatile": sorted(self.volatile)}

    def with_trace(self, trace: Trace, volatile: frozenset[str], *, limit: int) -> Past:
        """The past with one more visit; the oldest of its version go first, then old versions."""
        kept: list[Trace] = []
        counts: dict[tuple[Any, ...], int] = {}
        for one in (trace, *(old for old in self.traces if old != trace)):
            counts[one.version] = counts.get(one.version, 0) + 1
            if counts[one.version] <= MAX_INPUTS and len(counts) <= limit:
                kept.append(one)
        return Past(traces=tuple(kept), volatile=self.volatile | volatile)


Digest = Callable[[str, str], str]
"""The digest of a part of the state as it is now, by kind and name."""


def why_missed(now: Trace, past: Past, digest: Digest | None = None) -> str:
    """What differs from the nearest earlier visit, in words.

    digest: for parts that visit read and `now` does not name
    """
    if not past.traces:
        return "it has not run before"
    known = {(kind, name): value for kind, name, value in now.reads}

    def at(kind: str, name: str) -> str:
        if (kind, name) in known or digest is None:
            return known.get((kind, name), "")
        return digest(kind, name)

    told = [_differences(now, before, at) for before in past.traces]
    nearest = min(told, key=len)
    return "; ".join(nearest) or "its earlier result was not kept or is gone"


def _differences(now: Trace, before: Trace, at: Digest) -> list[str]:
    words = _of_code(now.code, before.code)
    if now.model != before.model:
        words.append(f"model changed from {before.model or 'none'!r} to {now.model or 'none'!r}")
    if now.context != before.context:
        words.append("the run's context or configuration changed")
    words += [_of_state(kind, name) for kind, name, was in before.reads if at(kind, name) != was]
    return words


def _of_code(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    changed = [name for name in before if now.get(name, before[name]) != before[name]]
    words = [_changed(name, now[name], before[name]) for name in changed]
    gone, new = before.keys() - now.keys(), now.keys() - before.keys()
    words += [f"{name} is new" for name in sorted(new) if not _is_said(name, changed)]
    words += [f"{name} is gone" for name in sorted(gone) if not _is_said(name, changed)]
    return words


def _is_said(name: str, changed: list[str]) -> bool:
    """What a helper brings with it needs no saying where the function that names it changed."""
    return any(one.startswith("code of ") for one in changed) and not name.startswith("code of ")


def _changed(name: str, now: str, before: str) -> str:
    if name.startswith("package "):
        return f"{name} changed from {before!r} to {now!r}"
    return f"{name} changed"


def _of_state(kind: str, name: str) -> str:
    return f"{_named(kind, name)} changed"


def _named(kind: str, name: str) -> str:
    """A part of the state in words."""
    if kind == "all":
        return "the state"
    return "the set of the state's keys" if kind == "names" else f"state {kind} {name!r}"
