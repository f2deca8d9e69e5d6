"""What a routed graph serves itself with: its caches, and what lets calls in.

| `cache=` | answers of models | where |
|---|---|---|
| None | at temperature 0 | memory |
| True | all | memory, and a folder of the store that other processes share |
| a name, a `Cache` | all | there |
| False | none | |

Outputs of nodes are kept in the same place, for nodes that ask for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, get_args

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.batch import Means
from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.node_cache import CacheableNode
from graphroute.ir.plan import Plan
from graphroute.planning.options import Packing
from graphroute.protocols import BatchPolicy, Cache
from graphroute.runtime import gates
from graphroute.runtime.admission import Admission
from graphroute.runtime.answers import Answers
from graphroute.runtime.deferral import Deferral
from graphroute.runtime.lease import Leases
from graphroute.runtime.node_cache.cache import NodeCache
from graphroute.runtime.pack_factors import factors_of
from graphroute.runtime.pack_loss import PackFigures
from graphroute.runtime.packer import Packer
from graphroute.runtime.semantic import THRESHOLDS, Semantic
from graphroute.scorers._alike import embedding

PACKS: Final = "packs.json"
"""What packing has been measured to lose, in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """The cache of an optimized graph; all None where it is switched off.

    leases: where processes share the backend
    """

    backend: Cache | None
    answers: Answers | None
    leases: Leases | None = None

    def outputs(self, nodes: Sequence[CacheableNode], graph: str) -> NodeCache | None:
        """The cache of what `nodes` return; None where there are none."""
        if self.backend is None or not nodes:
            return None
        return NodeCache(nodes, cache=self.backend, graph=graph, leases=self.leases)


def caches(asked: bool | str | Cache | None, *, store: Path) -> Caches:
    """What `optimize(cache=asked)` means; see the module's table.

    store: folder for a cache on disk; it is made when something is first kept
    """
    if asked is False:
        return Caches(backend=None, answers=None)
    if asked is None:
        return _of(_built("memory"), is_asked=False)
    if asked is True or asked in ("disk", "layered"):
        folder = store / "cache"
        backend = _built("layered" if asked is True else str(asked), folder=folder)
        return _of(backend, leases=Leases(folder / "leases.sqlite3"))
    backend = _built(asked) if isinstance(asked, str) else asked
    if not isinstance(backend, Cache):
        raise InvalidValue(
            f"cache={asked!r}",
            value=asked,
            next_step=f"use True, False, None, one of {', '.join(registry.names('caches'))}, or an "
            "object with the methods of graphroute.protocols.Cache",
        )
    return _of(backend)


def _of(backend: Cache, *, is_asked: bool = True, leases: Leases | None = None) -> Caches:
    answers = Answers(
        cache=backend, is_asked=is_asked, leases=leases, semantic=partial(_semantic, backend)
    )
    return Caches(backend=backend, answers=answers, leases=leases)


def _semantic(backend: Cache) -> Semantic:
    name, embed = embedding()
    found = Semantic(embed, threshold=THRESHOLDS[name])
    found.load(backend.entries())
    return found


def _built(name: str, **options: object) -> Cache:
    built = registry.build("caches", name, **options)
    if not isinstance(built, Cache):
        raise InvalidValue(
            f"the plugin {name!r} builds no cache",
            name=name,
            next_step="see graphroute.protocols.Cache",
        )
    return built


def admission(policy: BatchPolicy | None, *, store: Path, seed: int) -> Admission | None:
    """What lets calls in by this policy; None where there is none: every call is made at once.

    store: folder that remembers batches which were handed in
    """
    if policy is None:
        return None
    packer = deferral = None
    if "packs" in _means(policy):
        packer = Packer(figures=PackFigures(store / PACKS), seed=seed)
    if "batches" in _means(policy):
        deferral = Deferral(store / "batches")
    return Admission(policy, gates.shared(), packer=packer, deferral=deferral)


def _asked(hints: Sequence[RouteHints]) -> str | None:
    """The policy that the nodes ask for by `batch=`; None where none does."""
    asked = {each.batch for each in hints}
    return "pack" if "pack" in asked else "window" if True in asked else None


def _means(policy: BatchPolicy) -> Collection[Means]:
    """What is to be made ready for a policy; all of it for one that does not say."""
    means: Collection[Means] = getattr(policy, "means", get_args(Means))
    return means


def batch_policy(
    batch: str | BatchPolicy | None, hints: Sequence[RouteHints], *, keeps_own: bool
) -> BatchPolicy | None:
    """The policy that `batch` names; None: what the nodes' `batch=` asks for, else immediate.

    hints: of all nodes
    keeps_own: nothing but the records may change, so without a word there is no policy at all
    """
    if batch is None:
        if (batch := _asked(hints)) is None and keeps_own:
            return None
        batch = batch or "immediate"
    policy = registry.build("batching", batch) if isinstance(batch, str) else batch
    if not isinstance(policy, BatchPolicy):
        raise InvalidValue(
            f"batch={batch!r}",
            value=batch,
            next_step=f"use one of {', '.join(registry.names('batching'))}, or an object with the "
            "methods of graphroute.protocols.BatchPolicy",
        )
    return policy


def packings(
    policy: BatchPolicy | None, graph: Graph, catalog: Catalog, made: Plan, *, store: Path
) -> Mapping[str, Sequence[Packing]]:
    """Which models may serve several tasks of a node with one prompt, as measured so far.

    made: a plan without packing, for how many tasks of a node come together
    """
    if policy is None or "packs" not in _means(policy):
        return {}
    # The rounds of a loop come one after the other: nothing of theirs can share a prompt.
    sent = {edge.target for edge in graph.edges if edge.kind == "send"}
    together = {
        a.node: a.expected_visits
        for a in made.assignments
        if a.node in sent or any(a.node.startswith(f"{node}/") for node in sent)
    }
    found = factors_of(graph.nodes, tuple(catalog), PackFigures(store / PACKS), waiting=together)
    return {
        node: [
            Packing(
                model=each.model,
                batch=each.size,
                cost_factor=each.cost,
                time_factor=each.time,
                quality_factor=each.quality,
            )
            for each in factors
        ]
        for node, factors in found.items()
    }
