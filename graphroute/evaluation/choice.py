"""Which prompts to label first: at random, or chosen so that few stand for all.

The choice is kernel herding (Y. Chen, M. Welling, A. Smola, Super-Samples from Kernel Herding,
2010) on the prompts' topics, a Gaussian kernel by random Fourier features; it needs no labels.
Measured on MMLU with 1,500 labels it is as good as chance and no better (docs/evaluation.md), and
k-center, which takes the prompts furthest from one another, was far worse: it takes the odd ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.evaluation.crossval import Split, by_folds, learned
from graphroute.evaluation.metrics import decile_curve, interval
from graphroute.evaluation.results import plain
from graphroute.evaluation.suites import Routers, Settings
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes

_FEATURES = 600
_DRAWS = 3
Points = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePoint:
    """A router after that many labels, at random (mean of three draws) and chosen.

    random, chosen: APGR; more: chosen less random, with its 95 % paired bootstrap interval
    """

    router: str
    labels: int
    random: float
    random_low: float
    random_high: float
    chosen: float
    chosen_low: float
    chosen_high: float
    more: float
    more_low: float
    more_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceReport:
    """The curve of a suite: what labels give when they are chosen, and at random."""

    suite: str
    prompts: int
    seed: int
    folds: int
    points: tuple[ChoicePoint, ...]

    def to_json(self) -> str:
        """JSON text."""
        facts = {"schema": "graphroute.choice/1", **asdict(self)}
        return json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False)

    def to_markdown(self) -> str:
        """A table, fewest labels first."""
        lines = [
            f"## {self.suite}: labels chosen against labels at random",
            "",
            "| router | labels | at random | chosen | more |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {p.router} | {p.labels:,} | {p.random:.3f} ({p.random_low:.3f}–"
            f"{p.random_high:.3f}) | {p.chosen:.3f} ({p.chosen_low:.3f}–{p.chosen_high:.3f}) "
            f"| {p.more:+.3f} ({p.more_low:+.3f} to {p.more_high:+.3f}) |"
            for p in self.points
        ]
        helped = [p for p in self.points if p.more_low > 0]
        told = (
            f"Choosing is better beyond chance at {len(helped)} of {len(self.points)} points."
            if helped
            else "Choosing is at no point better beyond chance."
        )
        lines += [
            "",
            f"- {self.prompts:,} prompts, {self.folds} folds over questions, seed {self.seed}; "
            f"APGR at RouteLLM's deciles; at random is the mean of {_DRAWS} draws; 95 % intervals "
            "by bootstrap over prompts.",
            f"- {told}",
        ]
        return "\n".join(lines) + "\n"


def choice_report(
    suite: str,
    data: Outcomes,
    folds: NDArray[np.int64],
    routers: Routers,
    settings: Settings,
    points: Points,
) -> ChoiceReport:
    """Each family after each of `settings.limits` labels; points: topics[n, d] of prompts."""
    known = np.flatnonzero(np.isfinite(data.correct).all(1))
    data, folds = data.rows(known), folds[known]
    counts = sorted(set(settings.limits))
    whole = by_folds(data, folds, seed=settings.seed)
    smallest = min(len(split.train.prompts) for split in whole)
    if not counts or counts[-1] >= smallest:
        raise InvalidValue(
            f"--limits up to {counts[-1] if counts else 0} labels, and {smallest} to choose from",
            next_step=f"use counts below {smallest}",
        )
    topics = [points(split.train.prompts) for split in whole]
    found: list[ChoicePoint] = []
    steps = len(routers.fresh) * len(counts)
    for name, make in routers.fresh.items():
        for count in counts:
            tell = settings.progress
            if tell is not None:
                tell(f"{name}, {count:,} labels", len(found) / steps)

            def score(splits: Sequence[Split], make: Callable[[], object] = make) -> Floats:
                out = learned(make, data, splits, cells=settings.cells)  # type: ignore[arg-type]
                return out.value[:, 0]

            drawn_scores = [
                score(by_folds(data, folds, limit=count, seed=settings.seed + 101 * k))
                for k in range(_DRAWS)
            ]
            picked = [
                replace(s, train=s.train.rows(np.sort(even(t, count, seed=settings.seed))))
                for s, t in zip(whole, topics, strict=True)
            ]
            found.append(_point(name, count, drawn_scores, score(picked), data, settings.seed))
    return ChoiceReport(
        suite=suite,
        prompts=len(data.prompts),
        seed=settings.seed,
        folds=settings.folds,
        points=tuple(found),
    )


def _point(
    router: str, labels: int, drawn: Sequence[Floats], chosen: Floats, data: Outcomes, seed: int
) -> ChoicePoint:
    weak = data.correct[:, data.models.index("weak")]
    strong = data.correct[:, data.models.index("strong")]
    # All scores ride along as one array, so that each resample draws the same prompts for all.
    table = np.column_stack((chosen, *drawn))

    def at_random(scores: Floats, w: Floats, s: Floats) -> float:
        return float(np.mean([decile_curve(c, w, s).apgr for c in scores.T[1:]]))

    def picked(scores: Floats, w: Floats, s: Floats) -> float:
        return decile_curve(scores[:, 0], w, s).apgr

    def more(scores: Floats, w: Floats, s: Floats) -> float:
        return picked(scores, w, s) - at_random(scores, w, s)

    values: dict[str, float] = {}
    for name, measure in (("random", at_random), ("chosen", picked), ("more", more)):
        low, high = interval(measure, table, weak, strong, resamples=200, seed=seed)
        values |= {
            name: measure(table, weak, strong),
            f"{name}_low": low,
            f"{name}_high": high,
        }
    return ChoicePoint(router=router, labels=labels, **values)


def drawn(data: Outcomes, count: int, *, seed: int = 0) -> Outcomes:
    """`count` prompts of `data` at random, all of them where there are fewer."""
    if count < 1:
        raise InvalidValue(f"{count} prompts to draw", value=count, next_step="draw at least one")
    order = np.random.default_rng(seed).permutation(len(data.prompts))[:count]
    return data.rows(np.sort(order))


def even(points: Floats | NDArray[np.float32], count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Numbers of `count` rows of points[n, d] that together look like all of them.

    >>> line = np.linspace(0, 1, 101)[:, None]
    >>> abs(float(line[even(line, 10)].mean()) - 0.5) < 0.05
    True
    """
    random = np.random.default_rng(seed)
    draw = random.normal(0, 3, (points.shape[1], _FEATURES))
    shift = random.uniform(0, 2 * np.pi, _FEATURES)
    seen_as = np.cos(points @ draw + shift).astype(np.float32)
    mean = seen_as.mean(0)
    wanted = mean.copy()
    is_free = np.ones(len(points), np.bool_)
    chosen = []
    for _ in range(min(count, len(points))):
        best = int(np.argmax(np.where(is_free, seen_as @ wanted, -np.inf)))
        chosen.append(best)
        is_free[best] = False
        wanted += mean - seen_as[best]
    return np.array(chosen, dtype=np.int64)
