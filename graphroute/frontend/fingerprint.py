"""What a node's result depends on besides its state: its code and all that the code names.

From the node's function the names in its bytecode are followed, without running anything: helper
functions, globals, closures, defaults, attributes, settings of chat models, versions of installed
packages. Each thing found is a **part** with a digest, so that a change can be told in words.

Walking takes milliseconds, so it is done once; afterwards each visit only looks whether every name
still stands for the same object and every container still holds the same ones (`Watch`).

```
def draft(state):                       code of 'draft'
    text = clean(state["text"])         code of 'clean', and what that names
    return {"out": llm.invoke(P + text)}   global 'P', model 'llm'
```
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from graphroute.frontend.code_walk import CodeWalk, Digest
from graphroute.frontend.purity import Proof, prove
from graphroute.frontend.watch import Watch
from graphroute.ir.node_cache import CodeKey, Unclear

_TRIES: Final = 3

WHOLE_MESSAGES: Final = frozenset(
    {"id", "usage_metadata", "response_metadata", "artifact", "model_dump", "model_dump_json",
     "to_json", "__dict__", "dumpd", "messages_to_dict", "message_to_dict", "asdict"}
)  # fmt: skip
"""Names in code that may read more of a message than what was said."""


class Seen:
    """One walk: the parts and their digests, what is watched, and what stands against caching."""

    def __init__(self, walk: CodeWalk) -> None:
        self.parts, self.watch = dict(walk.parts), walk.watch
        self.obstacles, self.changed = tuple(walk.obstacles), frozenset(walk.changed)
        self.reads_config, self.names = walk.reads_config, frozenset(walk.names)
        self.needs_whole_messages = bool(walk.names & WHOLE_MESSAGES)
        self.proof: Proof | None = None
        self._keys: dict[frozenset[str], CodeKey] = {}

    def key(self, without: frozenset[str]) -> CodeKey:
        """The key over all parts but those named and those that the code changes itself."""
        without |= self.changed
        if (known := self._keys.get(without)) is None:
            parts = {name: self.parts[name] for name in sorted(self.parts) if name not in without}
            text = "\n".join(f"{name}={digest}" for name, digest in parts.items())
            text += f"\nwhole={self.needs_whole_messages}"
            known = self._keys[without] = CodeKey(
                digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
                parts=parts,
                needs_whole_messages=self.needs_whole_messages,
                reads_config=self.reads_config,
                obstacles=self.obstacles,
            )
        return known


class NodeCode:
    """The code of one node, followed anew when something it names was replaced.

    is_fixed: what the proof of purity is asked for, see `prove`

    >>> PROMPT = "Answer: "
    >>> def ask(state):
    ...     return {"text": PROMPT + state["question"]}
    >>> code = NodeCode([ask], digest=repr)
    >>> first = code.now()
    >>> sorted(first.parts)
    ["code of 'ask'", "global 'PROMPT'"]
    >>> first.digest == code.now().digest
    True
    """

    def __init__(
        self, functions: Iterable[Callable[..., Any]], *, digest: Digest, is_fixed: bool = True
    ) -> None:
        self._functions, self._digest, self._is_fixed = tuple(functions), digest, is_fixed
        self._lock = threading.Lock()
        self._seen: Seen | None = None

    def seen(self, without: frozenset[str] = frozenset()) -> Seen:
        """The latest walk, done again where it no longer holds.

        without: parts that need not hold
        Raises `Unclear` where something the code names cannot be told from others of its kind.
        """
        seen = self._seen
        if seen is not None and seen.watch.holds(without | seen.changed):
            return seen
        with self._lock:
            seen = self._seen
            if seen is None or not seen.watch.holds(without | seen.changed):
                seen = self._seen = self._walked()
            return seen

    def now(self, without: frozenset[str] = frozenset()) -> CodeKey:
        """The key as things are; `without`: parts the node itself changes when it runs."""
        return self.seen(without).key(without)

    def changed_since(self, before: CodeKey) -> frozenset[str]:
        """Parts that are no longer what they were."""
        now = self.seen().parts
        return frozenset(k for k, digest in before.parts.items() if now.get(k, digest) != digest)

    def why_not_pure(self) -> str | None:
        """What stands against a proof that it is pure, as things are; None where it is proven."""
        seen = self.seen()
        if seen.proof is None:
            seen.proof = prove(self._functions, is_fixed=self._is_fixed)
        return None if seen.proof.is_pure else seen.proof.against

    def _walked(self) -> Seen:
        for left in range(_TRIES - 1, -1, -1):
            walk = CodeWalk(Watch(), digest=self._digest)
            try:
                for function in self._functions:
                    walk.root(function)
                return Seen(walk)
            except RuntimeError as fault:
                # A container that another thread changes while it is looked through.
                if not left:
                    raise Unclear(f"its globals change all the time ({fault})") from fault
        raise AssertionError("not reached")
