"""The stand-in for a compiled graph: the same object in every way but that its runs are routed.

A copy of the user's graph whose class is swapped to a subclass of the graph's own class with the
same name. Nodes, writers, channels and builder are shared and untouched. `stream` and `astream`,
in which every way to run a graph ends, add the run's handle to the config and return LangGraph's
own generator, never one of ours, so that closing and cancelling stay LangGraph's.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.pregel import Pregel
from langgraph.types import Command, interrupt
from pydantic import ValidationError

from graphroute.errors import InvalidResume, LedgerUnavailable
from graphroute.ir.hints import NANO
from graphroute.ir.node_cache import NodeRecord
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.runtime import hook, lineage, node_hooks, own_cache
from graphroute.runtime.course import Course
from graphroute.runtime.feedback import named, new_run_id, run_id_in
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.node_path import segments
from graphroute.runtime.pause import Answer, RunState, limit_nano
from graphroute.runtime.policy import Policy
from graphroute.runtime.run_handle import RunHandle

if TYPE_CHECKING:
    from graphroute.report import Report
    from graphroute.report.span import SpanReport

_ATTRIBUTE = "_graphroute"
_LOST_ON_COPY = ("_output_mapper", "_state_mapper", "_serde_allowlist")
"""What LangGraph sets after `__init__` and so loses when `copy()` builds a graph anew."""


class Routing:
    """What `fast.plan`, `fast.report()` and `fast.replan()` need; shared by all copies of a graph.

    report, replan, feedback and history are given by the compiler, which alone knows the modules
    that do them; store is what keeps the records, None where nothing does.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        report: Callable[[Policy], Report],
        replan: Callable[[], Plan],
        feedback: Callable[[str, object, str | None, str], object] | None = None,
        history: Callable[[float | None, float | None], SpanReport] | None = None,
        store: Any = None,
    ) -> None:
        self.policy, self.report, self.replan = policy, report, replan
        self.feedback, self.history, self.store = feedback, history, store


def wrap(graph: Pregel[Any, Any, Any, Any], routing: Routing) -> Any:
    """A routed copy of `graph`; wrapping a routed graph again replaces its routing."""
    hook.install()
    if routing.policy.ask is None:
        routing.policy.ask = _ask
    routed = copy.copy(graph)
    routed.__class__ = _routed_class(_plain_class(type(graph)))
    setattr(routed, _ATTRIBUTE, routing)
    own_cache.planned(routed, routing.policy)
    return routed


def unwrap(graph: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
    """The graph without its routing; the same object where it has none."""
    if _ATTRIBUTE not in graph.__dict__:
        return graph
    plain = copy.copy(graph)
    del plain.__dict__[_ATTRIBUTE]
    plain.__class__ = _plain_class(type(graph))
    own_cache.planned(plain, None)
    return plain


_plain_classes: dict[Any, Any] = {}


def _plain_class(kind: Any) -> Any:
    return _plain_classes.get(kind, kind)


for _method in ("stream", "astream"):
    hook.also(Pregel, _method, hook.graph_stream)
node_hooks.register()


def _ask(shown: Mapping[str, object]) -> int:
    """Pause the run with LangGraph's own `interrupt()`; the limit it is resumed with."""
    try:
        # Any type pydantic knows will do; LangGraph's own annotation is narrower.
        return limit_nano(interrupt(shown, response_schema=cast(type[Any], Answer)))
    except ValidationError as fault:
        given = fault.errors(include_url=False)[0]["input"]
        error = InvalidResume(
            f"node {shown['node']!r}: the run paused at its budget was resumed with {given!r}",
            node=shown["node"],
            value=given,
            next_step="resume with Command(resume=0.05) or {'budget': 0.05}: what the whole run "
            "may cost in USD",
        )
        # LangGraph's own mark, by which it knows that the pause can be answered again.
        error.__dict__.update(vars(fault))
        raise error from fault


_CHECKPOINTER = "__pregel_checkpointer"
_RESUMING = "__pregel_resuming"
"""Where LangGraph's configs say that a graph is part of one that keeps checkpoints, or resumes."""


def _begin(
    self: Any, input: Any, configurable: Mapping[str, Any], run_id: str | None = None
) -> RunHandle:
    """The handle of a run of this graph: a new one, or that of the paused run that goes on."""
    policy: Policy = self.__dict__[_ATTRIBUTE].policy
    namespace = str(configurable.get("checkpoint_ns") or "")
    key = (str(configurable.get("thread_id") or ""), namespace)
    can_pause = (
        policy.budget.on_exceed == "interrupt"
        and key[0] != ""
        and bool(self.checkpointer or configurable.get(_CHECKPOINTER))
    )
    if can_pause:
        state = policy.pauses.resumed(
            key,
            resumes=(isinstance(input, Command) and input.resume is not None)
            or bool(configurable.get(_RESUMING)),
            # A checkpoint that is named is run from again, not gone on with.
            retries=input is None and not configurable.get("checkpoint_id"),
        )
        if state is not None:
            state.run.course.resumed()
            return state.run  # type: ignore[no-any-return]
    ledger = Ledger(
        limit_nano=policy.budget.per_run_nano,
        periods=policy.periods,
        allowance_nano=_allowance_nano(policy),
    )
    state = RunState(key=key, ledger=ledger) if can_pause else None
    handle = RunHandle(
        policy=policy,
        ledger=ledger,
        course=Course(policy.plan, ledger=ledger, catalog=lambda: policy.catalog),
        base_depth=len(segments(namespace)),
        state=state,
        run_id=run_id or new_run_id(),
    )
    policy.last_run_id = handle.run_id
    if state is not None:
        state.run = handle
        policy.pauses.add(state)
    return handle


def _allowance_nano(policy: Policy) -> int | None:
    """What the run may spend so that the day's and the month's budget last."""
    if policy.periods is None:
        return None
    try:
        return policy.periods.begin_run(round(policy.plan.totals.cost_p95_usd * NANO))
    except LedgerUnavailable:
        return None  # the first call that costs anything is refused with the reason


def _routed_config(self: Any, config: Any, input: Any) -> Any:
    """`config` with a new run handle, or with the outer optimized graph's: the outer plan wins."""
    given = dict((config or {}).get("configurable") or {})
    around = var_child_runnable_config.get() or {}
    inherited = around.get("configurable") or {}
    own = (self.config or {}).get("configurable") or {}
    if not (given or own or inherited) and self.checkpointer:
        # LangGraph tells the user here that a thread_id is missing; a key of ours would hide that.
        return config
    is_apart = lineage.is_apart(given, own)
    if (outer := lineage.find_handle(config)) is not None:
        handle = outer
        if is_apart and lineage.KEY not in given:
            handle = lineage.under_node(outer, around, {**own, **given})
        inner = self.__dict__[_ATTRIBUTE].policy
        if inner is not outer.policy:
            handle = handle.guarded(inner, lineage.node_of(handle, config, around))
        if handle is given.get(lineage.KEY):
            return config
    else:
        ambient = {} if is_apart else inherited
        run_id = run_id_in(config) or run_id_in(self.config)
        handle = _begin(self, input, {**ambient, **own, **given}, run_id)
    # LangGraph lays a configurable over inherited ones key by key, so ours need hold no more.
    return {**(config or {}), "configurable": {**given, lineage.KEY: handle}}


@functools.cache
def _routed_class(kind: Any) -> Any:
    """The routed subclass of a graph class, under its name, which LangGraph shows in drawings.

    Made anew for each class, not mixed in: the class of an object can only be swapped for one
    that adds nothing to its memory layout.
    """

    class Routed(kind):  # type: ignore[misc]
        @functools.wraps(kind.stream)
        def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            return super().stream(input, _routed_config(self, config, input), **kwargs)

        @functools.wraps(kind.astream)
        def astream(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            return super().astream(input, _routed_config(self, config, input), **kwargs)

        @functools.wraps(kind.copy)
        def copy(self, update: Any = None) -> Any:
            clone = super().copy(update)
            for name in (_ATTRIBUTE, *_LOST_ON_COPY):
                if name in self.__dict__:
                    setattr(clone, name, self.__dict__[name])
            return clone

        @property
        def plan(self) -> Plan:
            """The plan that runs of this graph follow."""
            return self.__dict__[_ATTRIBUTE].policy.plan  # type: ignore[no-any-return]

        @property
        def records(self) -> tuple[CallRecord, ...]:
            """One record per model call of all runs so far, oldest first."""
            return self.__dict__[_ATTRIBUTE].policy.records  # type: ignore[no-any-return]

        @property
        def node_records(self) -> tuple[NodeRecord, ...]:
            """One record per visit of a node whose output may be cached, oldest first."""
            return self.__dict__[_ATTRIBUTE].policy.node_records  # type: ignore[no-any-return]

        @property
        def last_run_id(self) -> str:
            """Id of the run that began last, for `feedback`; `""` before the first."""
            return self.__dict__[_ATTRIBUTE].policy.last_run_id  # type: ignore[no-any-return]

        def feedback(
            self, run_id: object, score: object, node: str | None = None, *, reason: str = ""
        ) -> None:
            """Say how good a run was, or one node of it: True, False or a number in [0, 1].

            run_id: as the run's config names it (a text, a number, LangChain's UUID), or
                `last_run_id`

            The verdict on a whole run is shared out to its nodes by their weight.
            """
            routing: Routing = self.__dict__[_ATTRIBUTE]
            if routing.feedback is not None:
                routing.feedback(named(run_id), score, node, reason)

        def report(self) -> Report:
            """What the runs so far cost and saved, per node."""
            routing: Routing = self.__dict__[_ATTRIBUTE]
            return routing.report(routing.policy)

        def history(
            self, since_s: float | None = None, until_s: float | None = None
        ) -> SpanReport | None:
            """The recorded runs of this graph in all processes; None where no records are kept.

            since_s, until_s: seconds since the epoch, the end excluded
            """
            routing: Routing = self.__dict__[_ATTRIBUTE]
            return None if routing.history is None else routing.history(since_s, until_s)

        def replan(self) -> Plan:
            """Plan anew with the pool as it is now; later runs follow the new plan."""
            routing: Routing = self.__dict__[_ATTRIBUTE]
            return routing.replan()

    Routed.__name__, Routed.__qualname__ = kind.__name__, kind.__qualname__
    Routed.__module__, Routed.__doc__ = kind.__module__, kind.__doc__
    _plain_classes[Routed] = kind
    return Routed
