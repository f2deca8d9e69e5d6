"""What takes part in a call besides the model: its check, answers to equal calls, earlier attempts.

| part | gives | where |
|---|---|---|
| `Trial` | a verdict on the answer, and a stronger model to ask next | the author gave a check |
| `Recall` | the answer to an equal call, kept or in flight | the cache of answers is on |
| `Turn` | the answer of an earlier attempt; a pause at the limit | the run can be paused |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from langchain_core.runnables.config import var_child_runnable_config

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime.asked import Asked, asked, is_settled
from graphroute.runtime.call import Call
from graphroute.runtime.recall import Recall
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.trail import told
from graphroute.runtime.trial import Trial
from graphroute.runtime.turn import Turn, begin_turn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What takes part in one call, None where it does not; fault: why the rest did not begin."""

    trial: Trial | None = None
    recall: Recall | None = None
    turn: Turn | None = None
    fault: str | None = None


def begin_parts(handle: RunHandle, call: Call) -> Parts:
    """What takes part in `call`; nothing in one that could not be read.

    A part that fails to begin is left out, and is a fault, not an error.
    """
    if not call.is_read:
        return Parts()
    trial = recall = None
    try:
        trial = _begin_trial(handle, call)
        recall = _begin_recall(handle, call, trial)
        turn = _begin_turn(handle, call)
    except Exception as fault:
        return Parts(trial=trial, recall=recall, fault=told(fault))
    return Parts(trial=trial, recall=recall, turn=turn)


def _begin_trial(handle: RunHandle, call: Call) -> Trial | None:
    """The call's part in being checked, where its node has a check."""
    if (check := call.hints.verify) is None:
        return None
    planned = call.assignment
    stages: tuple[str, ...] = ()
    if planned is not None and planned.kind == "cascade":
        stages = (planned.model, *planned.then)
    unchecked = None
    if planned is not None and (least := call.hints.min_quality) is not None:
        known = zip((planned.model, *planned.fallbacks), planned.qualities, strict=False)
        unchecked = {name for name, quality in known if quality >= least}
    chance = partial(handle.policy.chance_of, call.node)
    tells_next = call.hints.hint is not False
    return Trial(
        check,
        call.messages,
        stages=stages,
        unchecked=unchecked,
        chance=chance,
        tells_next=tells_next,
    )


def _begin_recall(handle: RunHandle, call: Call, trial: Trial | None) -> Recall | None:
    """The call's part in the cache; none for a list of prompts, nor where it is off."""
    policy, hint = handle.policy, call.hints.cache
    answers, request = policy.answers, call.request
    if answers is None or request is None or call.answers > 1 or hint is False:
        return None
    is_asked = answers.is_asked or hint in (True, "semantic")

    def asks(spec: ModelSpec) -> Asked | None:
        is_own = spec.name == call.own.name
        chat = call.chat if is_own else policy.chats.get(spec.name)
        if trial is not None and trial.times(spec.name):
            return None  # it is asked again because its answer was refused
        if call.attempt is not None and call.attempt.is_repeat:
            return None  # as above, for what its node made of the answer
        if not is_asked and not is_settled(request, spec, chat, is_own=is_own):
            return None
        after = () if trial is None else trial.hint_for(spec)
        return asked(spec, chat, request, (*call.messages, *after), own=call.chat)

    return Recall(
        answers,
        asks,
        tags={"node": call.node, "graph": policy.plan.graph.name},
        is_private=call.must_stay,
        messages=call.messages if hint == "semantic" else (),
    )


def _begin_turn(handle: RunHandle, call: Call) -> Turn | None:
    """The call's part in pausing; none in a run that nobody can go on with."""
    if handle.state is None:
        return None
    # LangGraph can pause a node, not a graph on a thread of its own within it, whose caller
    # would take the pause for the answer; nor a thread that knows nothing of the node.
    can_pause = not handle.task and var_child_runnable_config.get() is not None
    return begin_turn(
        handle.state,
        pauses=handle.policy.pauses,
        ask=handle.policy.ask if can_pause else None,
        metadata=call.metadata,
        base_depth=handle.base_depth,
        task_id=handle.task,
        node=call.node,
        model=call.own.name,
        messages=call.messages,
        stop=call.stop,
        kwargs=call.kwargs,
    )
