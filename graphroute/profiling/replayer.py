"""Runs of the graph and replays of single calls, each with the models it is told, under one ledger.

Both go through the same hook as any routed run, so a model is asked as it will be asked later: in
its own words, with the node's limits, privacy kept, money reserved before and settled after. What
is switched off is choice: every node has one model, no answer is checked and asked for again, and
none is packed with others.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from langchain_core.messages import AIMessage
from langchain_core.runnables.config import var_child_runnable_config

from graphroute import serving
from graphroute.compilation import Compilation, Inventory
from graphroute.errors import BudgetExceeded
from graphroute.ir.catalog import ModelSpec
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.pool import Pool, looked_up
from graphroute.profiling.calls import RecordedCall
from graphroute.profiling.examples import Example
from graphroute.runtime import hook, lineage, router
from graphroute.runtime.answers import Answers
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.policy import Policy
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.tap import Heard, Tap

PROFILE: Final = "profile"
"""Why a replayed call was made, in its record."""

_CUT_OFF: Final = ("length", "max_tokens", "MAX_TOKENS")


class Fixed(Policy):
    """A policy under which each node of `models` has one model, and the others their own."""

    def __init__(self, *, models: Mapping[str, str], **shared: Any) -> None:
        super().__init__(keeps_own=True, **shared)
        self.models = models

    def hints_for(self, node: str) -> RouteHints:
        """The author's facts, but for choice and check."""
        hints = super().hints_for(node)
        model = self.models.get(node)
        if model is None:
            return replace(hints, verify=None)
        return replace(hints, verify=None, pin=model, models=None)


class Alone(Course):
    """The course of calls whose models stand, and of which each may use all that is left."""

    def ahead(self, node: str, **facts: object) -> None:
        """Nothing is planned again."""

    def left_nano(self) -> float:
        """No other call waits for its part."""
        return 1.0

    def needed_nano(self) -> float:
        """Nothing has to be left for steps to come."""
        return 0.0

    def per_call_nano(self, node: str) -> float:  # noqa: ARG002 - the same for all
        """All of it."""
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run of the graph: its end state, or what ended it; the calls that were answered."""

    state: Any = field(default=None, repr=False)
    error: Exception | None = None
    heard: tuple[Heard, ...] = field(default=(), repr=False)

    @property
    def is_paused(self) -> bool:
        """Whether it waits for a person."""
        return isinstance(self.state, Mapping) and bool(self.state.get("__interrupt__"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a replay.

    record: None where no call was made, or its answer was cut short by the money that was left
    """

    record: CallRecord | None = None
    heard: Heard | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Replayer:
    """What runs and replays share.

    hints: facts about nodes; answers: of this session, so that an equal call is not paid twice
    is_async: the graph's nodes must be awaited
    judges: models that checks ask and that are not in the pool, once they are looked up
    """

    graph: Any
    plan: Plan
    pool: Pool
    hints: Mapping[str, RouteHints]
    ledger: Ledger
    answers: Answers | None = None
    is_async: bool = False
    judges: dict[str, ModelSpec] = field(default_factory=dict)

    def run(self, example: Example, models: Mapping[str, str], *, run_id: str) -> Ran:
        """Run the graph on an input with these models; never raises what the graph raises."""
        heard: list[Heard] = []
        handle = self._handle(self._policy(models, heard.append), run_id)
        # Where the graph keeps its state, each input is a conversation of its own.
        thread = {"thread_id": run_id} if self.graph.checkpointer else {}
        config = {"configurable": {lineage.KEY: handle, **thread}}
        hook.install()
        try:
            if self.is_async:
                state = asyncio.run(self.graph.ainvoke(example.input, config))
            else:
                state = _apart(self.graph.invoke, example.input, config)
        except Exception as error:
            return Ran(error=error, heard=tuple(heard))
        return Ran(state=state, heard=tuple(heard))

    def ask(self, call: RecordedCall, model: str) -> Reply:
        """Make a recorded call on a model; a call that fails is recorded with its error."""
        heard: list[Heard] = []
        policy = self._policy({call.node: model}, heard.append)
        config = {
            "configurable": {lineage.KEY: self._handle(policy, call.run_id)},
            "metadata": {"langgraph_node": call.node},
            "callbacks": [],
        }
        hook.install()
        stop = None if call.stop is None else list(call.stop)
        try:
            _apart(call.own.invoke, list(call.messages), config, stop=stop, **call.kwargs)
        except BudgetExceeded:
            return Reply()
        except Exception as error:
            return Reply(record=self._failed(policy, model, error))
        if not heard:
            return Reply()
        if self._is_squeezed(call, heard[-1].record, heard[-1].answer):
            return Reply()
        return Reply(record=_as_profile(heard[-1].record), heard=heard[-1])

    def payer(self, call: RecordedCall) -> RunHandle:
        """What a check of this call's answer asks models by: on the profile's own budget."""
        handle = self._handle(self._policy({}, None), call.run_id)
        return handle.for_check(node=call.node, step=None, thread="", must_stay=call.is_private)

    def _policy(self, models: Mapping[str, str], tap: Tap | None) -> Fixed:
        limit = self.ledger.limit_nano
        return Fixed(
            models=models,
            plan=self.plan,
            catalog=self.pool.catalog,
            own=self.pool.own,
            open=self.pool.open,
            # Under a limit, usage that nobody reports counts as the most it can be.
            budget=Budget(per_run_usd=None if limit is None else limit / 1e9),
            hints=self.hints,
            chats=self.pool.chats,
            answers=self.answers,
            tap=tap,
            look_up=looked_up,
            _looked_up=self.judges,
        )

    def _handle(self, policy: Policy, run_id: str) -> RunHandle:
        course = Alone(self.plan, ledger=self.ledger, catalog=lambda: self.pool.catalog)
        return RunHandle(policy=policy, ledger=self.ledger, course=course, run_id=run_id)

    def _failed(self, policy: Policy, model: str, error: Exception) -> CallRecord | None:
        if not policy.records:
            return None
        text = f"{type(error).__name__}: {error}"[:500]
        return replace(_as_profile(policy.records[-1]), model=model, error=text)

    def _is_squeezed(self, call: RecordedCall, record: CallRecord, answer: AIMessage) -> bool:
        """Whether the money that was left, and not the call or the model, cut the answer short."""
        said = answer.response_metadata
        ended = said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason")
        if record.cap_tokens is None or ended not in _CUT_OFF:
            return False
        spec = self.pool.catalog.get(record.model)
        stated = (
            call.request.max_tokens,
            self.hints.get(call.node, RouteHints()).max_output_tokens,
            spec.max_output_tokens,
            None if spec.context_tokens is None else spec.context_tokens - record.in_tokens,
        )
        return record.cap_tokens < min(
            [router.UNKNOWN_OUT_LIMIT, *(n for n in stated if n is not None and n > 0)]
        )


def replayer_of(
    job: Compilation, inventory: Inventory, plan: Plan, ledger: Ledger, *, is_async: bool
) -> Replayer:
    """A replayer of the graph of a compilation, which remembers answers for this session."""
    return Replayer(
        graph=job.graph,
        plan=plan,
        pool=inventory.pool,
        hints=inventory.hints,
        ledger=ledger,
        answers=serving.caches("memory", store=job.store).answers,
        is_async=is_async,
    )


def _as_profile(record: CallRecord) -> CallRecord:
    # No run needed it, so without profiling it would have cost nothing.
    return replace(record, why=PROFILE, planned=None, baseline_nano=0, step=None, iteration=None)


def _apart(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call in a context without the run that this may be called in."""
    context = contextvars.copy_context()
    context.run(var_child_runnable_config.set, None)
    return context.run(call, *args, **kwargs)
