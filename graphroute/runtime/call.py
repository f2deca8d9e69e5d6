"""All that is known of an intercepted call when it is made: who asks what, and what is wished.

```
 messages, arguments ─► request, token counts ─┐
 config's metadata   ─► node, step, thread ────┼─► Call      nothing is decided here
 plan, author's hints ─► assignment, privacy ──┘
```

A call that cannot be read is known all the same, by what is sure of it: it goes to the graph's own
model, and what must hold (privacy, budget) holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Assignment
from graphroute.runtime import tokens
from graphroute.runtime.leaning import Lean, lean_of, may_lean
from graphroute.runtime.node_check.attempt import NodeAttempt, attempt_at
from graphroute.runtime.node_path import node_path
from graphroute.runtime.request import Request, read
from graphroute.runtime.router import UNKNOWN_OUT_LIMIT, CallFacts
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.trail import told

_NO_HINTS: Final = RouteHints()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Call:
    """One intercepted call.

    node: path of the node it comes from; step: superstep of the graph that node belongs to
    thread: LangGraph's thread id, `""` without one; started_s: by the policy's clock
    chat, own: the model it was made on, and that model as a spec
    stop, kwargs: its arguments as they were made; request: the same in words of no provider
    metadata: of its config, where LangGraph says where it comes from
    answers: how many it gives, one for each prompt of a list
    shows_tokens: LangGraph shows the tokens of the call as they come
    hints, assignment: what the author and the plan say of the node
    must_stay: it may not leave this machine, by the author's word or the plan's
    facts: what choosing needs; lean: what the prompt's text says beside the plan
    attempt: at its node, where what that returns is checked
    fault: why it could not be read, None where it could
    is_check: a check makes it, to judge an answer of the node; it keeps its model
    """

    node: str
    step: int | None
    thread: str
    started_s: float
    chat: BaseChatModel
    own: ModelSpec
    messages: Sequence[BaseMessage]
    stop: list[str] | None
    kwargs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    request: Request | None
    answers: int
    shows_tokens: bool
    hints: RouteHints
    assignment: Assignment | None
    must_stay: bool
    facts: CallFacts
    lean: Lean | None
    attempt: NodeAttempt | None
    fault: str | None
    is_check: bool = False

    @property
    def is_read(self) -> bool:
        """Whether the facts are more than those of a call that could not be read."""
        return self.fault is None

    def __repr__(self) -> str:
        # A private text must not get into a log that way.
        return f"Call({self.node!r}, own={self.own.name!r})"


def read_call(
    handle: RunHandle,
    chat: BaseChatModel,
    messages: Sequence[BaseMessage],
    *,
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
    metadata: Mapping[str, Any],
    prompts: int = 1,
    shows_tokens: bool = False,
) -> Call:
    """The call of `chat` with `messages`; what cannot be read of it is a fault, not an error.

    prompts: how many `messages` are, one after the other
    """
    policy, course, checking = handle.policy, handle.course, handle.checking
    path = handle.path(node_path(metadata, base_depth=handle.base_depth))
    node = path if checking is None else checking.node
    step = metadata.get("langgraph_step") if checking is None else checking.step
    thread = metadata.get("thread_id") if checking is None else checking.thread
    started_s = policy.clock()
    own = policy.own_spec(chat) if checking is None else policy.checks_spec(chat)
    hints, assignment, request, lean, facts, fault = _NO_HINTS, None, None, None, None, None
    try:
        # What the author and the plan say of the node is said of its own calls.
        hints = policy.hints_for(node) if checking is None else _NO_HINTS
        assignment = course.assignment(node)
        text = tokens.text_of(messages)
        request = read(chat, stop, kwargs)
        difficulty = None if checking else _difficulty(handle, assignment, text)
        if difficulty is not None and assignment is not None:
            away = policy.usual.departure(node, difficulty)
            lean = lean_of(assignment, departure=away, share=policy.text_share)
        facts = _facts(node, own, messages, text, request, hints, difficulty, prompts)
    except Exception as error:
        fault = told(error)
    is_planned_private = assignment is not None and assignment.privacy_local
    return Call(
        node=node,
        step=step if isinstance(step, int) else None,
        thread=str(thread or ""),
        started_s=started_s,
        chat=chat,
        own=own,
        messages=messages,
        stop=stop,
        kwargs=kwargs,
        metadata=metadata,
        request=request,
        answers=prompts,
        shows_tokens=shows_tokens,
        hints=hints,
        assignment=assignment,
        must_stay=is_planned_private
        or hints.privacy == "local"
        or bool(handle.guards and handle.is_private_inside(path))
        or (checking is not None and checking.must_stay),
        facts=facts or _bare_facts(node, own),
        lean=lean,
        attempt=None if checking is not None else attempt_at(node),
        fault=fault,
        is_check=checking is not None,
    )


def _difficulty(handle: RunHandle, assignment: Assignment | None, text: str) -> float | None:
    """Of the prompt, in [0, 1]; None where nothing hangs on it.

    It takes as long as the rest of the decision.
    """
    policy = handle.policy
    if policy.prompts is None or not text:
        return None
    price = handle.course.shadow_price if policy.plan.objective == "quality" else 0.0
    leans = may_lean(assignment, share=policy.text_share, shadow_price=price)
    if assignment is not None and not leans:
        return None
    return float(policy.prompts.difficulty([text])[0])


def _facts(
    node: str,
    own: ModelSpec,
    messages: Sequence[BaseMessage],
    text: str,
    request: Request,
    hints: RouteHints,
    difficulty: float | None,
    answers: int,
) -> CallFacts:
    wishes = tokens.size_of([*request.tools, *filter(None, (request.schema,))])
    hidden = tokens.calls_text(messages)
    images, files = tokens.images_in(messages), tokens.files_in(messages)
    binary = images * tokens.IMAGE_TOKENS + files
    caps = [c for c in (request.max_tokens, hints.max_output_tokens) if c is not None]
    return CallFacts(
        node=node,
        own=own,
        in_tokens=tokens.estimate(text + wishes + hidden) + binary,
        in_fixed=binary + tokens.PER_MESSAGE * (len(messages) + answers),
        in_texts=tuple(part for part in (text, wishes, hidden) if part),
        out_cap=min(caps, default=None),
        sent_cap=request.max_tokens,
        needs=request.needs(images=images + bool(files)),
        difficulty=difficulty,
        answers=answers,
    )


def _bare_facts(node: str, own: ModelSpec) -> CallFacts:
    """Facts for a call that could not be read: nothing known but who asked."""
    bound = own.context_tokens or UNKNOWN_OUT_LIMIT
    return CallFacts(node=node, own=own, in_tokens=1, in_fixed=bound, out_cap=None)
