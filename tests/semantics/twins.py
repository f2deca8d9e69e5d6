"""A graph twice: plain on its own model, and optimized onto a twin that answers in the same words.

The twin carries the same name and script, so that every observable has to be equal; that it, and
not the graph's own model, was called is asserted on top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphroute.providers.scripted import ScriptedChat
from tests.unit.runtime.situations import policy_for, routed, spec_for

Build = Callable[..., Any]
TWIN = "scripted:twin"


def echo(messages: list[Any]) -> Any:
    """A reply that depends on the prompt alone."""
    return f"answer to {messages[-1].text[:40]}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A graph to be built around a model.

    build: (model, **compile arguments) → compiled graph; a new one each time
    input, resume: what starts it, and what goes on after its interrupt (None: it has none)
    context: static context, where the graph has a schema for it
    is_parallel: nodes run side by side, so that the order of chunks is LangGraph's to choose
    calls_models: False where routing has nothing to do
    """

    name: str
    build: Build
    input: Any
    reply: Any = echo
    resume: Any = None
    context: Any = None
    calls_models: bool = True
    sync: bool = True
    is_parallel: bool = False
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What one way of running a case needs: the graph, its model, and the twin if optimized."""

    graph: Any
    own: ScriptedChat
    twin: ScriptedChat


def plain(case: Case, **compiled: Any) -> Pair:
    """The graph as LangGraph runs it."""
    own = ScriptedChat(name="model", replies=case.reply)
    return Pair(graph=case.build(own, **compiled), own=own, twin=own)


def optimized(case: Case, **compiled: Any) -> Pair:
    """The graph with every call routed to the twin."""
    own = ScriptedChat(name="model", replies=case.reply)
    twin = ScriptedChat(name="model", replies=case.reply)
    graph = case.build(own, **compiled)
    spec = spec_for(TWIN, capabilities=frozenset({"tools", "structured_output", "vision"}))
    return Pair(
        graph=routed(graph, policy_for(chats={TWIN: twin}, specs=(spec,))), own=own, twin=twin
    )
