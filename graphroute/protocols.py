"""Every extension point, on one page.

| family | question it answers | found in |
|---|---|---|
| `Provider` | which models are there, and how do I call one? | `providers/` |
| `StepScorer` | how hard is this step, before any prompt is seen? | `scorers/` |
| `PromptScorer` | how hard is this prompt? | `scorers/` |
| `TrainableScorer` | … and which model answers it well, learned from outcomes? | `scorers/` |
| `Solver` | which model for which step? | `solvers/` |
| `Signal` | what is this machine like now? | `signals/` |
| `Cache` | where is kept what need not be computed again? | `caches/` |
| `Learner` | which other model is worth trying on this call? | `learners/` |
| `DriftDetector` | has a figure's mean moved? | `learners/` |
| `BatchService` | how does a provider answer later, for less? | `providers/` |
| `BatchPolicy` | which calls wait for one another, and who goes next? | `batching/` |

A plugin is a file with `build(**options)`; `graphroute.registry` finds it by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

from graphroute.ir.batch import BatchLook, Flush, Gathering, Hold, Waiting
from graphroute.ir.cache import CacheEntry, CacheFind, CacheStats
from graphroute.ir.catalog import Model, ModelSpec
from graphroute.ir.graph import Graph, Node
from graphroute.ir.learning import Look, Shift
from graphroute.ir.problem import Floats, Ints, Problem, Solution
from graphroute.ir.profile import StepScore

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that a provider can serve: its facts, and `open()`, which gives the chat model.

    `open` is called once, when a call is first routed to the model; it may start a server.
    """

    spec: ModelSpec
    open: Callable[[], BaseChatModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a provider can serve now; `detail` and `next_step` are for `graphroute doctor`."""

    is_ok: bool
    detail: str
    next_step: str = ""


@runtime_checkable
class Provider(Protocol):
    """Turns pool members into models that can be called."""

    @property
    def name(self) -> str:
        """The plugin's name."""
        ...

    def offer(self, model: Model) -> Offer:
        """Resolve a pool member; `UnknownModel` or `ProviderUnavailable`.

        An unknown price is no error here: `price.is_known` is False, and the pool decides.
        """
        ...

    def discover(self) -> tuple[Model, ...]:
        """Models that are there without being named; empty where that cannot be known."""
        ...

    def health(self) -> Health:
        """Look, without changing anything, whether this provider can serve."""
        ...


@runtime_checkable
class StepScorer(Protocol):
    """Difficulty of a node from what the graph shows of it."""

    name: str

    def step(self, node: Node, graph: Graph) -> StepScore:
        """Score one node; deterministic, never calls user code."""
        ...


@runtime_checkable
class PromptScorer(Protocol):
    """Difficulty of prompts; runs on this machine, sends nothing."""

    name: str

    def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
        """Difficulty in [0, 1] for each prompt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What models did on prompts: the labels a scorer learns from and is measured by.

    correct[n, m]: quality in [0, 1] of model m's answer to prompt n, NaN where it was not asked
    tags: a label of each prompt (subject, task, node) for baselines; never seen by a scorer
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    correct: Floats
    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def rows(self, chosen: Ints) -> Outcomes:
        """The outcomes of the prompts with these numbers."""
        return Outcomes(
            prompts=tuple(self.prompts[i] for i in chosen),
            models=self.models,
            correct=self.correct[chosen],
            tags=tuple(self.tags[i] for i in chosen) if self.tags else (),
            ids=tuple(self.ids[i] for i in chosen) if self.ids else (),
        )


@runtime_checkable
class TrainableScorer(PromptScorer, Protocol):
    """A prompt scorer that learns from outcomes, for any number of models.

    `models` are those it was trained on; others are served by their ability alone.
    """

    models: tuple[str, ...]

    def success(self, prompts: Sequence[str], models: Sequence[str] | None = None) -> Floats:
        """success[n, m]: probability in (0, 1) of a good answer; all trained models if None."""
        ...

    def fit(
        self, data: Outcomes, *, seed: int = 0, progress: Callable[[str, float], None] | None = None
    ) -> Self:
        """Learn from `data`; `progress` gets what is being done and the share done in [0, 1]."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights and card, whole or not at all."""
        ...

    def load(self, folder: Path) -> Self:
        """Read them back; a damaged or foreign file is an `InvalidValue`."""
        ...

    def describe(self) -> Mapping[str, object]:
        """Family, models, size, training data and limits, ready for JSON."""
        ...


@runtime_checkable
class Solver(Protocol):
    """Solves an assignment problem and tells the truth about how well."""

    name: str
    CAPABILITIES: ClassVar[frozenset[str]]
    """Constraints it can honour besides masks: `"budget"`, `"deadline"`, `"memory"`; and `"wide"`
    where it can do so with many nodes in one superstep.
    """

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:
        """The best assignment found, with status, bound and gap."""
        ...


@runtime_checkable
class Signal(Protocol):
    """Reads what this machine is like now; changes nothing and asks nobody outside."""

    name: str

    def read(self) -> Mapping[str, float]:
        """Figures by name, each with its unit at the end; what is not known is left out."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Says which model to try on a call instead of the plan's; may be asked from any thread."""

    name: str

    def challenger(self, look: Look) -> str | None:
        """Another arm than the first, by name; None where the plan's choice should answer."""
        ...


@runtime_checkable
class DriftDetector(Protocol):
    """Watches one stream of figures; begins anew after each shift that it has told."""

    name: str

    def update(self, value: float) -> Shift | None:
        """Take the next value; the shift of the mean, where this value makes it sure."""
        ...


@runtime_checkable
class BatchPolicy(Protocol):
    """When gathered calls go on, in which order they take a server's slots, and who shares one.

    A policy may state its `means`, a set of `graphroute.ir.batch.Means`: what it names others for
    in `along`, and bundles `"deferred"` for. Only that is made ready; without a word, all of it.
    """

    @property
    def name(self) -> str:
        """The plugin's name."""
        ...

    def gather(self, group: Gathering) -> Flush | Hold:
        """Whether the waiting calls of a group go on now, and in which bundles.

        Called when a call arrives and when a `Hold` is over. A policy must let each call go within
        a bounded time whatever else happens, because nobody else may ever come.
        """
        ...

    def pick(
        self,
        queue: Sequence[Waiting],
        *,
        running: Sequence[Waiting],
        warm: Sequence[Waiting],
        now_s: float,
    ) -> int | None:
        """The number of the call that takes a free slot; None: none before one that runs ends.

        queue: who waits for a slot of one model's server, in order of arrival, not empty
        running: who has one; warm: who had one lately, newest last
        None is for a policy that wants a running call's prompt cached first; where nothing runs it
        counts as the first of the queue.
        """
        ...

    def along(self, first: Waiting, queue: Sequence[Waiting], *, most: int) -> Sequence[int]:
        """The numbers of those that share the prompt of `first`, which has just been given a slot.

        queue: the others in line, in order of arrival; most: how many may share it, with `first`.
        Only calls of the template of `first` can; a policy that packs nothing names nobody.
        """
        ...


@runtime_checkable
class BatchService(Protocol):
    """A provider's way to answer many calls some time within a day, at a lower price.

    Its methods may wait for the network and raise what its client raises.
    """

    @property
    def name(self) -> str:
        """Whose it is: the same for the same account after the process was started anew."""
        ...

    @property
    def price_share(self) -> float:
        """What a call costs here, as a share of its usual price, in (0, 1]."""
        ...

    def body(
        self, messages: Sequence[Any], *, stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """A call with LangChain messages as the provider's API takes it."""
        ...

    def message(self, body: Mapping[str, Any]) -> Any:
        """The answer in what the provider's API gives, as LangChain's `AIMessage`."""
        ...

    def submit(self, lines: Mapping[str, Mapping[str, Any]], *, job: str) -> str:
        """Hand in calls by ids of the caller's own; the batch's id. `job` is kept with it."""
        ...

    def find(self, job: str) -> str | None:
        """The id of a batch that was handed in with `job` and not called off; None if none was."""
        ...

    def look(self, batch: str) -> BatchLook:
        """How far a batch is, and once it is over, its answers."""
        ...


@runtime_checkable
class Cache(Protocol):
    """Bytes by key; loses rather than fails.

    Every method may be called from any thread. A fault of the backend (disk full, file damaged,
    another process in the way) is a miss and a warning in the log; no method raises it. What is
    put may be gone at any later moment, and is never found changed.
    """

    name: str

    def get(self, key: str) -> bytes | None:
        """The value of `key`; None where there is none or its time is over."""
        ...

    def find(self, key: str) -> CacheFind | None:
        """`get`, with the entry's tags and what is left of its time."""
        ...

    def put(
        self,
        key: str,
        value: bytes,
        *,
        tags: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
    ) -> None:
        """Keep `value` for `ttl_s` seconds, or for as long as there is room.

        tags: what the entry is found and told by: `node`, `model` …; one tagged `private`
            (`ir.cache.PRIVATE`) is not kept where it could be read from outside this process
        """
        ...

    def delete(self, key: str) -> bool:
        """Forget `key`; whether it was there."""
        ...

    def clear(
        self, *, node: str | None = None, older_than_s: float | None = None, dry_run: bool = False
    ) -> int:
        """Forget all entries, or those of a node (and what is below it), or those put so long ago.

        Returns how many they are; a dry run only counts.
        """
        ...

    def entries(self, node: str | None = None) -> Sequence[CacheEntry]:
        """What is kept, of a node (and what is below it) or at all."""
        ...

    def stats(self) -> CacheStats:
        """The cache in numbers."""
        ...

    def close(self) -> None:
        """Let go of files; a cache that is used again opens them again."""
        ...
