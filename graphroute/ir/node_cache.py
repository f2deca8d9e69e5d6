"""What the node-output cache knows of a node: whether it may be cached, its code's key, each visit.

```
decided once, at optimize()        at each visit
Caching(node, is_on, why)          CodeKey(digest, parts) ─► NodeRecord(outcome, why)
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

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
    """

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
    needs_whole_messages: bool = False


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
