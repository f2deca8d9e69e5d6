"""What the node-output cache knows of a node: whether it may be cached, its code's key, each visit.

```
decided once, at optimize()        at each visit
Caching(node, is_on, why)          CodeKey(digest, parts) ─► NodeRecord(outcome, why)
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Outcome = Literal["hit", "computed", "bypassed"]

Tracing = Literal["items", "attributes", "all"]
"""How a function's reads of the state can be followed: by key of a mapping, by attribute of an
object, or not at all, so that it counts as reading everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """Whether what a node returns is kept, and the proof or the reason against it, in words.

    asked: `True` where the author said so, `"auto"` where it hangs on the proof
    tracing: how reads of the state can be followed
    """

    node: str
    is_on: bool
    why: str
    asked: bool | Literal["auto"] = True
    tracing: Tracing = "all"

    def __str__(self) -> str:
        word = "is cached" if self.is_on else "is not cached"
        return f"node {self.node!r} {word}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeKey:
    """What a node's result depends on besides state and model, as one digest.

    parts: a short digest of each, by what it is in words (`"code of 'clean'"`, `"global 'PROMPT'"`)
    needs_whole_messages: the code looks at ids, usage or metadata of messages, not only at what
        was said
    reads_config: it looks at the config of the run it is in
    obstacles: why the result must not be kept whoever asks for it, in words
    """

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
    needs_whole_messages: bool = False
    reads_config: bool = False
    obstacles: tuple[str, ...] = ()


class Unclear(Exception):
    """Something a node's code names cannot be told from others of its kind; says what."""


class Code(Protocol):
    """The code of a node, as it is now."""

    def now(self, without: frozenset[str] = frozenset()) -> CodeKey:
        """Its key but for the parts `without`, which the node itself changes; `Unclear`."""
        ...

    def changed_since(self, before: CodeKey) -> frozenset[str]:
        """Parts that are no longer what they were; `Unclear`."""
        ...

    def why_not_pure(self) -> str | None:
        """What stands against a proof that it is pure; None where it is proven."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CacheableNode:
    """A node whose output may be kept: the decision, its runnable, and its code.

    bound: the runnable LangGraph runs, found by identity in a run
    reads_config: LangGraph gives it the config or the runtime of the run
    """

    caching: Caching
    bound: Any
    code: Code
    reads_config: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """One visit of a node whose output may be cached.

    outcome: `"hit"`: the node's function did not run; `"computed"`; `"bypassed"`: it ran as if
        there were no cache
    why: what was reused or what had changed, in words
    is_kept: what was computed is in the cache now
    saved_nano, saved_s: what the reused computation had cost and taken; 0 but for hits
    """

    run_id: str
    node: str
    step: int | None
    outcome: Outcome
    why: str
    is_kept: bool = False
    saved_nano: int = 0
    saved_s: float = 0.0
