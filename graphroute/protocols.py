"""Every extension point, on one page.

| family | question it answers | found in |
|---|---|---|
| `Provider` | which models are there, and how do I call one? | `providers/` |
| `StepScorer` | how hard is this step, before any prompt is seen? | `scorers/` |
| `PromptScorer` | how hard is this prompt? | `scorers/` |
| `TrainableScorer` | … and which model answers it well, learned from outcomes? | `scorers/` |
| `Solver` | which model for which step? | `solvers/` |

A plugin is a file with `build(**options)`; `graphroute.registry` finds it by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

from graphroute.ir.catalog import Model, ModelSpec
from graphroute.ir.graph import Graph, Node
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
    """Constraints it can honour besides masks: `"budget"`, `"deadline"`, `"memory"`."""

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:
        """The best assignment found, with status, bound and gap."""
        ...
