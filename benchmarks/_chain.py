"""A chain of four kinds of work on recorded outcomes: runs of it under a plan that may learn."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from random import Random

import numpy as np
from _outcomes import Floats, Part, load

from graphroute import learning, registry
from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.evidence import Evidence
from graphroute.ir.graph import END, START, Edge, Graph, Node
from graphroute.ir.hints import NANO, Budget, RouteHints
from graphroute.ir.learning import Learn
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.learners._loop import Learning
from graphroute.planner import make_plan
from graphroute.planning.observe import observe
from graphroute.protocols import StepScorer

LATENCY_SPREAD = 0.4
"""Assumed: the logarithm of a call's time is normal with this standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Kinds of work with all their questions; prices in USD per million tokens."""

    kinds: tuple[str, ...]
    models: tuple[str, ...]
    parts: Mapping[str, Part]
    price_in: Floats
    price_out: Floats

    def in_tokens(self, kind: str, question: int, model: int) -> int:
        """Prompt tokens, from the recorded cost."""
        part = self.parts[kind]
        out = part.out_tokens[question, model] * self.price_out[model]
        tokens = (part.cost_usd[question, model] * 1e6 - out) / self.price_in[model]
        return max(1, round(float(tokens)))

    def graph(self) -> Graph:
        """A chain with a node for each kind; nothing in it says what kind it is."""
        names = [f"step{i}" for i in range(len(self.kinds))]
        return Graph(
            name="chain",
            nodes=tuple(Node(name=n, kind="llm") for n in names),
            edges=tuple(Edge(source=a, target=b) for a, b in pairwise([START, *names, END])),
        )

    def catalog(self, models: tuple[int, ...]) -> Catalog:
        """Zero knowledge: every model is as able as any other."""
        return Catalog(
            models=tuple(
                ModelSpec(
                    name=self.models[m],
                    provider="recorded",
                    local=False,
                    price=Price(
                        in_usd=float(self.price_in[m]),
                        out_usd=float(self.price_out[m]),
                        source="recorded",
                    ),
                    ability=0.5,
                )
                for m in sorted(models, key=lambda m: self.models[m])
            )
        )

    def means(self) -> tuple[Floats, Floats]:
        """quality[kind, m] and cost_usd[kind, m] over all questions: perfect hindsight."""
        parts = [self.parts[k] for k in self.kinds]
        return (
            np.array([p.correct.mean(axis=0) for p in parts]),
            np.array([p.cost_usd.mean(axis=0) for p in parts]),
        )


def world(folder: Path) -> World:
    """The four kinds of `nway_tasks`, training and test questions together."""
    data = load(folder, "tasks")
    with (folder / "nway_models.csv").open(encoding="utf-8", newline="") as file:
        facts = {row["model"]: row for row in csv.DictReader(file)}
    parts = {}
    for kind in data.kinds:
        a, b = data.train[kind], data.test[kind]
        parts[kind] = Part(
            prompts=a.prompts + b.prompts,
            correct=np.vstack([a.correct, b.correct]),
            cost_usd=np.vstack([a.cost_usd, b.cost_usd]),
            out_tokens=np.vstack([a.out_tokens, b.out_tokens]),
        )
    return World(
        kinds=data.kinds,
        models=data.models,
        parts=parts,
        price_in=np.array([float(facts[m]["price_in"]) for m in data.models]),
        price_out=np.array([float(facts[m]["price_out"]) for m in data.models]),
    )


def budget_usd(here: World, share: float) -> float:
    """A share of what the most accurate model everywhere costs a run."""
    quality, cost = here.means()
    return share * float(cost[:, int(quality.mean(axis=0).argmax())].sum())


def best_fixed(
    here: World, models: tuple[int, ...], budget: float, *, worse: Sequence[int] = ()
) -> tuple[int, ...]:
    """The best assignment within the budget that hindsight can find, by trying all.

    worse: models that get only half of it right
    """
    quality, cost = here.means()
    quality[:, list(worse)] *= 0.5
    found: tuple[int, ...] = ()
    best = -math.inf
    for choice in product(models, repeat=len(here.kinds)):
        usd = sum(cost[i, m] for i, m in enumerate(choice))
        if usd <= budget:
            worth = sum(math.log(quality[i, m]) for i, m in enumerate(choice))
            if worth > best:
                found, best = choice, worth
    return found


Right = Callable[[int, int, int, int], float]
"""right(run, node, question, model): whether that answer is right, in {0, 1}."""


@dataclass(slots=True, kw_only=True)
class Learner:
    """The product's plan and learning, driven by recorded outcomes instead of models.

    options None: a plan from priors that never learns
    """

    here: World
    models: tuple[int, ...]
    budget: float
    options: Learn | None
    seed: int
    right: Right
    plan: Plan = field(init=False)
    plans: int = 0
    records: list[CallRecord] = field(default_factory=list)
    learnt: Learning = field(init=False)

    def __post_init__(self) -> None:
        self.learnt = learning.begun(
            self.options,
            learning.Past(),
            budget_nano=round(self.budget * NANO),
            has_choice=True,
            seed=self.seed,
        )
        self._graph = self.here.graph()
        self._index = {name: m for m, name in enumerate(self.here.models)}
        self._random = Random(f"time {self.seed}")
        self.replan()

    _graph: Graph = field(init=False)
    _index: dict[str, int] = field(init=False)
    _random: Random = field(init=False)

    def replan(self) -> None:
        """As `fast.replan()` does it."""
        scorer = registry.build("scorers", "structural")
        assert isinstance(scorer, StepScorer)
        catalog = self.here.catalog(self.models)
        evidence: Mapping[tuple[str, str], Evidence] = self.learnt.evidence()
        recent = self.records[-learning.MOST_CALLS :]
        self.plan = make_plan(
            self._graph,
            catalog,
            budget=Budget(per_run_usd=self.budget),
            step_scorer=scorer,
            observed=observe(recent, self._graph),
            qualities=learning.levelled(evidence, self._graph, catalog, scorer),
            seed=self.seed,
        )
        self.plans += 1

    def run(self, number: int, questions: tuple[int, ...]) -> tuple[float, ...]:
        """One run: for each node whether its answer was right."""
        spent, found = 0.0, []
        specs = {spec.name: spec for spec in self.here.catalog(self.models)}
        for i, (kind, question) in enumerate(zip(self.here.kinds, questions, strict=True)):
            node, part = f"step{i}", self.here.parts[kind]
            planned = self.plan.assignment(node)
            if planned is None:
                found.append(0.0)
                continue
            order = [specs[name] for name in (planned.model, *planned.fallbacks) if name in specs]
            tokens = self.here.in_tokens(kind, question, self._index[planned.model])
            tried = None
            if (explorer := self.learnt.explorer) is not None:
                tried = explorer.challenger(
                    node, order, in_tokens=tokens, plan=self.plan, hints=RouteHints()
                )
            order.sort(key=lambda spec: spec.name != tried)
            left = self.budget - spent
            names = [s.name for s in order]
            fits = [n for n in names if part.cost_usd[question, self._index[n]] <= left]
            if not fits:
                found.append(0.0)
                continue
            m = self._index[fits[0]]
            cost = float(part.cost_usd[question, m])
            spent += cost
            found.append(self.right(number, i, question, m))
            record = CallRecord(
                run_id=f"r{number}",
                node=node,
                step=i + 1,
                planned=planned.model,
                model=fits[0],
                why="plan",
                own_model=None,
                in_tokens=self.here.in_tokens(kind, question, m),
                out_tokens=max(1, round(float(part.out_tokens[question, m]))),
                is_estimated=False,
                cost_nano=round(cost * NANO),
                baseline_nano=None,
                started_s=number * 60.0,
                took_s=math.exp(self._random.gauss(0.0, LATENCY_SPREAD)),
                quality=found[-1],
                prompt_chars=len(part.prompts[question]),
            )
            self.records.append(record)
            self.learnt.note(record)
        if self.options is not None and self.learnt.is_due():
            self.replan()
        return tuple(found)


def fixed_run(
    here: World, choice: tuple[int, ...], budget: float, questions: tuple[int, ...], right: Right
) -> tuple[float, ...]:
    """A run of one assignment under the same hard limit; what does not fit goes to the cheapest."""
    spent, found = 0.0, []
    for i, (kind, q) in enumerate(zip(here.kinds, questions, strict=True)):
        costs = here.parts[kind].cost_usd[q]
        m = choice[i] if costs[choice[i]] <= budget - spent else int(costs.argmin())
        spent += float(costs[m])
        found.append(right(0, i, q, m) if spent <= budget else 0.0)
    return tuple(found)


def oracle_run(
    here: World, models: tuple[int, ...], budget: float, questions: tuple[int, ...], right: Right
) -> tuple[float, ...]:
    """Knows every answer beforehand: the cheapest right ones, as many as the budget allows."""
    offers = []
    for i, (kind, q) in enumerate(zip(here.kinds, questions, strict=True)):
        costs = here.parts[kind].cost_usd[q]
        good = [float(costs[m]) for m in models if right(0, i, q, m)]
        offers.append((min(good, default=math.inf), i))
    spent, found = 0.0, [0.0] * len(questions)
    for usd, i in sorted(offers):
        if spent + usd <= budget:
            spent += usd
            found[i] = 1.0
    return tuple(found)
