"""The user's graph as graphroute sees it: plain values, no LangGraph object.

Subgraphs are flat here: a node of a subgraph is called `parent/child`, and its edges run between
names of the same scope. Each scope has its own entry and finish:

```
__start__ ─► triage ─► research ─► __end__            scope ""
                       │
                       research/__start__ ─► research/search ─► research/__end__    scope "research"
```
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal

from graphroute.ir.hints import RouteHints

NodeKind = Literal["llm", "code", "tool", "router", "subgraph", "unknown"]
Sight = Literal["full", "partial", "opaque"]
EdgeKind = Literal["static", "join", "conditional", "command", "send"]

START = "__start__"
END = "__end__"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFact:
    """A tool that a node may offer to its model; `fields` counts its arguments."""

    name: str
    fields: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFact:
    """The output schema a node asks for; `depth` is 1 for a flat object."""

    name: str
    fields: int
    depth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """A chat model found in a node's code: its pool name and where it was met."""

    name: str
    via: str
    temperature: float | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step. `sight` says how much of its code could be read, `sight_reason` why not more.

    prompts: templates found in its code, in order of discovery, placeholders kept as `{name}`
    reads: state keys it may read (upper bound); writes: keys found to be written, may be empty
    deferred: runs only after all other branches (LangGraph's `defer=True`)
    takes_images: a prompt template or message with image content was found
    caching: whether what it returns is kept, and why, in words; `""` where nobody asked for it
    may_rerun: what it returns is checked, and it may be run again where that is refused
    """

    name: str
    kind: NodeKind
    sight: Sight = "full"
    sight_reason: str = ""
    models: tuple[ModelUse, ...] = ()
    prompts: tuple[str, ...] = ()
    tools: tuple[ToolFact, ...] = ()
    output_schema: SchemaFact | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deferred: bool = False
    takes_images: bool = False
    hints: RouteHints = field(default_factory=RouteHints)
    caching: str = ""
    may_rerun: bool = False

    @property
    def may_call_model(self) -> bool:
        """Whether a chat-model call can come from here; unknown code counts as yes."""
        return bool(self.models) or self.kind in ("llm", "unknown")

    @property
    def scope(self) -> str:
        """The path of the subgraph this node belongs to, `""` at the top."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A possible transition. `probability` is 1 for static edges, None where it must be learned.

    `label` is the branch's value where the user named it. A `join` edge waits for all its siblings.
    """

    source: str
    target: str
    kind: EdgeKind = "static"
    label: str = ""
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All that the walk found. Node names are unique; `nodes` is in the order of definition."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    state_keys: tuple[str, ...] = ()
    private_keys: tuple[str, ...] = ()
    recursion_limit: int | None = None
    warnings: tuple[str, ...] = ()

    def node(self, name: str) -> Node:
        """The node called `name`; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All node names, subgraph nodes as `parent/child`."""
        return tuple(node.name for node in self.nodes)

    @property
    def scopes(self) -> tuple[str, ...]:
        """`""` and the name of every subgraph node, parents before children."""
        return ("", *(n.name for n in self.nodes if n.kind == "subgraph"))

    @property
    def fingerprint(self) -> str:
        """16 hex digits over the shape (nodes with kinds and prompts, edges): a plan fits a graph
        only if they agree. Hints, budgets and models are not part of it.
        """
        shape = [
            [[n.name, n.kind, list(n.prompts), [t.name for t in n.tools]] for n in self.nodes],
            sorted([e.source, e.target, e.kind, e.label] for e in self.edges),
        ]
        text = json.dumps(shape, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
