"""What a visit's result hangs on besides code and state: the assigned model, the run's context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from graphroute.ir.plan import Assignment
from graphroute.ir.record import CallRecord
from graphroute.runtime.canonical import digest

_OURS: Final = ("checkpoint_ns", "checkpoint_id", "checkpoint_map")
_STREAMING: Final = "_StreamingCallbackHandler"


def model_of(assignment: Assignment | None) -> str:
    """The model a node is assigned, in words that differ where its answers may; `""` for none."""
    if assignment is None:
        return ""
    others = ", ".join(assignment.then) if assignment.kind == "cascade" else ""
    cap = assignment.max_output_tokens
    return (
        assignment.model
        + (f", then {others}" if others else "")
        + (f", at most {cap} tokens" if cap is not None else "")
    )


def why_no_model(assignment: Assignment | None) -> str | None:
    """What forbids to look for a result; None if nothing."""
    if assignment is not None and assignment.kind == "iterations" and assignment.then:
        return "its model changes from round to round"
    return None


def context_of(config: Mapping[str, Any], *, whole: bool) -> str:
    """A digest of what a run's config says that is the user's; `""` where the node sees nothing.

    `Unkeyable` where a part of it has no canonical form.
    """
    if not whole:
        return ""
    configurable = config.get("configurable") or {}
    stated = {
        key: value
        for key, value in configurable.items()
        if not str(key).startswith("__") and key not in _OURS
    }
    runtime = configurable.get("__pregel_runtime")
    return digest([stated, getattr(runtime, "context", None)])


def why_run_anyway(config: Mapping[str, Any]) -> str | None:
    """Why the node must run although its result may be known; None where it need not.

    What is streamed from inside a node (tokens, custom events) is not kept, and a task that is
    resumed or run again has business of its own with LangGraph.
    """
    callbacks = config.get("callbacks")
    handlers = getattr(callbacks, "handlers", callbacks if isinstance(callbacks, list) else ())
    for handler in handlers or ():
        if any(kind.__name__ == _STREAMING for kind in type(handler).__mro__):
            return "the run streams what happens inside nodes"
    configurable = config.get("configurable") or {}
    writer = getattr(configurable.get("__pregel_runtime"), "stream_writer", None)
    # LangGraph's writer of a run that streams nothing custom is a function that holds nothing.
    if getattr(writer, "__closure__", None):
        return "the run streams custom events"
    scratchpad = configurable.get("__pregel_scratchpad")
    if getattr(scratchpad, "resume", None):
        return "the node is being resumed"
    return None


def why_not_alone(config: Mapping[str, Any]) -> str | None:
    """What the node has done with LangGraph while it ran that its result does not tell."""
    scratchpad = (config.get("configurable") or {}).get("__pregel_scratchpad")
    for name, words in (
        ("interrupt_counter", "it paused for an answer"),
        ("subgraph_counter", "it ran a graph of its own"),
        ("call_counter", "it started tasks of its own"),
    ):
        # LangGraph's counters make themselves when first asked.
        if getattr(getattr(scratchpad, name, None), "_counter", None) is not None:
            return words
    return None


def why_not_by_plan(
    calls: Iterable[CallRecord], assignment: Assignment | None, *, keeps_own: bool
) -> str | None:
    """Which of its model calls went otherwise than planned, so that the result is a makeshift."""
    own_limit = None if assignment is None else assignment.max_output_tokens
    for call in calls:
        if call.is_check:
            continue  # the answer that it looked at stands whatever became of it
        if call.error is not None:
            return f"a call of {call.model} failed"
        if _is_cut(call, own_limit):
            return "the budget cut an answer short"
        if call.cache == "semantic":
            return "an answer was taken from a similar question"
        if keeps_own:
            continue
        if assignment is None:
            return f"{call.model} was asked, which the plan does not foresee"
        if call.model not in (assignment.model, *assignment.then):
            return f"{call.model} served instead of {assignment.model} ({call.why})"
    return None


def _is_cut(call: CallRecord, own_limit: int | None) -> bool:
    """Whether an answer ended at a limit below the node's own."""
    cap = call.cap_tokens
    if cap is None or call.out_tokens < cap:
        return False
    return own_limit is None or cap < own_limit
