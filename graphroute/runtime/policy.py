"""What all runs of one optimized graph share: plan, pool, hints, outages and the call records."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from graphroute.ir.catalog import Catalog, Model, ModelSpec, Price
from graphroute.ir.feedback import Credit, Feedback, Revision
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.naming import pool_name
from graphroute.ir.node_cache import NodeRecord
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.ir.verdict import Chance
from graphroute.protocols import BatchService
from graphroute.runtime import overheard
from graphroute.runtime.admission import Admission
from graphroute.runtime.answers import Answers
from graphroute.runtime.fallback import Outages
from graphroute.runtime.foretold import foretold
from graphroute.runtime.leaning import Usual
from graphroute.runtime.pause import Ask, Pauses
from graphroute.runtime.periods import PeriodLedger
from graphroute.runtime.spot_checks import SpotChecks
from graphroute.runtime.tap import Tap
from graphroute.runtime.tokens import text_of

if TYPE_CHECKING:
    from graphroute.runtime.node_cache.cache import NodeCache
    from graphroute.runtime.node_check.checks import NodeChecks

logger = logging.getLogger(__name__)

MAX_RECORDS = 100_000
"""Records kept in memory per optimized graph; the oldest go first."""


Explore = Callable[[str, Sequence[ModelSpec], int], str | None]


class Prompts(Protocol):
    """The part of a prompt scorer that a call needs."""

    def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
        """Difficulty in [0, 1] for each prompt."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Policy:
    """Shared by reference between an optimized graph and its copies, so that all keep one count.

    own: specs of the graph's own models by pool name, also those the plan may not use
    open: pool name → chat model; opens a model at the first call that is routed to it
    periods: the ledger of day and month budgets, where there are any
    keeps_own: the pool is nothing but the graph's own models, so each call keeps its model
    spot_checks: how often checks that can change nothing are paid for
    look_up: the spec of a model that is neither in the pool nor the graph's, such as a judge; None:
        its price and place stay unknown
    chats: the models that were given as objects, by pool name
    answers: the cache of models' answers; None: no answer is given twice
    outputs: the cache of nodes' outputs; None: every node runs each time
    node_checks: the nodes whose updates are checked; None where there are none
    admission: holds each model to what it takes at once; None: every call is made at once
    batch_service: a model's way to answer later for less, None where it has none
    ask: pauses a run at its limit until somebody gives it a new one
    explore: names the model to try on a call of a node instead of the first of those that can serve
        it (of so many prompt tokens); None: the plan's choice is never passed over
    sink: takes each record as well, to keep it beyond this process; one that raises is dropped
    keep_text: records carry prompts and answers (never those of private nodes)
    features: what records keep of a prompt's text so that the scorer can learn; None: nothing
    tap: told each answered call with its messages and arguments; None: nobody listens
    chances: by node and model, what earlier runs say of a check's score (`ir.verdict.Calibrated`)
    mute: models whose server has refused to tell the probabilities of tokens
    last_run_id: of the run that began last, `""` before the first
    """

    plan: Plan
    catalog: Catalog
    own: Mapping[str, ModelSpec]
    open: Callable[[str], BaseChatModel]
    budget: Budget
    hints: Mapping[str, RouteHints] = field(default_factory=dict)
    keeps_own: bool = False
    periods: PeriodLedger | None = None
    prompts: Prompts | None = None
    text_share: float = 0.0
    usual: Usual = field(default_factory=Usual)
    clock: Callable[[], float] = time.time
    outages: Outages = field(default_factory=Outages)
    look_up: Callable[[BaseChatModel], ModelSpec] | None = None
    spot_checks: SpotChecks = field(default_factory=SpotChecks)
    chats: Mapping[str, BaseChatModel] = field(default_factory=dict)
    answers: Answers | None = None
    outputs: NodeCache | None = None
    node_checks: NodeChecks | None = None
    admission: Admission | None = None
    batch_service: Callable[[BaseChatModel], BatchService | None] = lambda _: None
    ask: Ask | None = None
    explore: Explore | None = None
    sink: Callable[[CallRecord], None] | None = None
    keep_text: bool = False
    features: Callable[[str], str] | None = None
    tap: Tap | None = None
    chances: Mapping[tuple[str, str], Chance] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    last_run_id: str = ""
    pauses: Pauses = field(default_factory=Pauses)
    _records: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=MAX_RECORDS))
    _credits: dict[tuple[str, str | None, str], tuple[Credit, ...]] = field(default_factory=dict)
    _node_records: deque[NodeRecord] = field(default_factory=lambda: deque(maxlen=MAX_RECORDS))
    _foretold: tuple[Plan | None, dict[str, Mapping[str, Any]]] = field(
        default_factory=lambda: (None, {})
    )
    _excess: dict[tuple[str, str], float] = field(default_factory=dict)
    _looked_up: dict[str, ModelSpec] = field(default_factory=dict)
    _hints_of: dict[str, RouteHints] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looking_up: threading.Lock = field(default_factory=threading.Lock)

    def own_spec(self, chat: BaseChatModel) -> ModelSpec:
        """A model of the graph's as a spec; one that no plan knew has an unknown price, and is
        cloud.
        """
        name = pool_name(chat)
        return self._known(name) or _unknown(name)

    def checks_spec(self, chat: BaseChatModel) -> ModelSpec:
        """A model that a check asks, as a spec: the pool's if it is there, else looked up, once.

        What cannot be looked up has an unknown price, and is cloud.
        """
        for name, member in self.chats.items():
            if member is chat and (found := self._known(name)) is not None:
                return found
        name = pool_name(chat)
        if (found := self._known(name)) is not None or self.look_up is None:
            return found or _unknown(name)
        with self._looking_up:
            if (found := self._looked_up.get(name)) is None:
                try:
                    found = self.look_up(chat)
                except Exception as fault:
                    logger.warning("%s could not be looked up: %s", name, fault)
                    found = _unknown(name)
                self._looked_up[name] = found
        return found

    def _known(self, name: str) -> ModelSpec | None:
        if found := self.own.get(name):
            return found
        return next((spec for spec in self.catalog if spec.name == name), None)

    def hints_for(self, node: str) -> RouteHints:
        """The author's facts about a node; a subgraph's facts hold for all nodes inside it."""
        if (known := self._hints_of.get(node)) is not None:
            return known
        hints = RouteHints()
        parts = node.split("/")
        for end in range(1, len(parts) + 1):
            if found := self.hints.get("/".join(parts[:end])):
                hints = hints.merged(found)
        self._hints_of[node] = hints
        return hints

    def chance_of(self, node: str, model: str) -> Chance | None:
        """What earlier runs say of a check's score of an answer of `model`; None: nothing."""
        return self.chances.get((node, model))

    def is_private(self, node: str) -> bool:
        """Whether the node's author or the plan keeps it on this machine."""
        planned = self.plan.assignment(node)
        return self.hints_for(node).privacy == "local" or (
            planned is not None and planned.privacy_local
        )

    def score_by(self, prompts: Prompts | None, *, share: float) -> None:
        """Score prompts by another scorer, whose departures count by `share`, from now on.

        What is usual at each node begins anew, on the new scale; no call leans while it changes.
        """
        self.text_share = 0.0
        self.usual = Usual()
        self.prompts = prompts
        self.text_share = share

    def features_of(self, messages: Sequence[BaseMessage]) -> str:
        """The features of a prompt for its record; `""` where none are kept, or its scorer fails.

        A scorer that fails once is not asked again.
        """
        if self.features is None:
            return ""
        try:
            return self.features(text_of(messages))
        except Exception as fault:
            self.features = None
            logger.warning("prompts' features are no longer kept: %s", type(fault).__name__)
            return ""

    def record(self, record: CallRecord) -> None:
        """Keep a finished call."""
        if not record.graph:
            record = replace(record, **self.foretold(record.node))
        if overheard.is_held(record):
            return
        overheard.note(record)
        self.spot_checks.note(record)
        with self._lock:
            self._records.append(record)
        if (sink := self.sink) is not None:
            try:
                sink(record)
            except Exception as fault:
                self.sink = None
                logger.warning("records are no longer kept: %s: %s", type(fault).__name__, fault)
        if record.fault:
            # What went wrong may quote the prompt, and a log goes who knows where.
            what = record.fault.partition(":")[0] if record.is_private else record.fault
            logger.warning("routing fault at node %r: %s", record.node, what)

    def foretold(self, node: str) -> Mapping[str, Any]:
        """What the plan says of a call of `node`, as fields of its record."""
        plan, known = self._foretold
        if plan is not self.plan:
            plan, known = self._foretold = (self.plan, {})
        if (facts := known.get(node)) is None:
            facts = known[node] = foretold(plan, node)
        return facts

    def credit(self, said: Feedback, credits_given: Sequence[Credit]) -> Revision:
        """Keep what feedback said of the answers of nodes, in the place of what the same source had
        said of the same.
        """
        key, now = (said.run_id, said.node, said.verdict.source), tuple(credits_given)
        with self._lock:
            before = self._credits.pop(key, ())
            self._credits[key] = now
            if len(self._credits) > MAX_RECORDS:
                del self._credits[next(iter(self._credits))]
        return Revision(now=now, before=before)

    @property
    def credits(self) -> tuple[Credit, ...]:
        """What feedback in this process said of nodes' answers, oldest first."""
        with self._lock:
            return tuple(credit for said in self._credits.values() for credit in said)

    def note_excess(self, node: str, model: str, times: float) -> None:
        """A call has cost `times` its bound: later ones of the node put that much more aside."""
        with self._lock:
            self._excess[node, model] = max(self._excess.get((node, model), 1.0), times)

    def excess(self, node: str, model: str) -> float:
        """How many times its bound a call of `node` on `model` has cost, at least 1."""
        return self._excess.get((node, model), 1.0)

    def record_node(self, record: NodeRecord) -> None:
        """Keep a visit of a node whose output may be cached."""
        with self._lock:
            self._node_records.append(record)

    @property
    def node_records(self) -> tuple[NodeRecord, ...]:
        """All kept visits of nodes whose output may be cached, oldest first."""
        with self._lock:
            return tuple(self._node_records)

    @property
    def records(self) -> tuple[CallRecord, ...]:
        """All kept call records, oldest first."""
        with self._lock:
            return tuple(self._records)


def _unknown(name: str) -> ModelSpec:
    price = Price(in_usd=0.0, out_usd=0.0, source="unknown", is_known=False)
    return ModelSpec(name=Model(name).name, provider="unknown", local=False, price=price)
