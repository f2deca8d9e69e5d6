"""What an evaluation found: one value per router, as JSON, Markdown or a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.evaluation.metrics import Curve, decile_curve, exact_curve, interval
from graphroute.evaluation.nway import Gain, cost_at, gain, routed
from graphroute.ir.problem import Floats

Kind = Literal["nothing", "all", "limit", "others", "ready"]
"""Learned from: nothing; all there is of the benchmark; a limited part of it; other benchmarks
alone; whatever it was trained on before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """One router between a weak and a strong model.

    apgr, cpt50, cpt80: at RouteLLM's deciles, shares in [0, 1]; low, high: 95 % of apgr
    apgr_exact: over all thresholds, ties broken evenly
    share_95: share of strong calls for 95 % of the strong model's quality; cost_95: what that
        costs as a share of sending everything to the strong model
    pgr50: share of the gap recovered by half the calls strong, at the deciles
    setting: what it was trained on, in words; labels: on how many prompts at most
    kind: the same as one of a few (`Kind`); without: a faulty tag that was left out, or ""
    """

    router: str
    setting: str
    kind: Kind
    without: str
    labels: int
    prompts: int
    apgr: float
    low: float
    high: float
    apgr_exact: float
    pgr50: float
    cpt50: float
    cpt80: float
    share_95: float
    cost_95: float
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GainResult:
    """One router among many models; `gain` 0: mixing fixed models, 1: oracle; see `nway`.

    setting, kind: what it was trained on, in words and as one of a few
    usd_95: cost per prompt for 95 % of the best single model's quality; None: never reached
    """

    router: str
    setting: str
    kind: Kind
    labels: int
    prompts: int
    models: int
    gain: float
    low: float
    high: float
    usd_95: float | None
    best_usd: float
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results of a suite, baselines included, with notes on how to read them."""

    suite: str
    pairs: tuple[PairResult, ...] = ()
    gains: tuple[GainResult, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """JSON text; numbers that do not exist are null."""
        return json.dumps(plain(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)

    def to_markdown(self) -> str:
        """Tables, best router first within each setting."""
        parts = [f"## {self.suite}"]
        if self.pairs:
            parts.append(_pair_table(self.pairs))
        if self.gains:
            parts.append(_gain_table(self.gains))
        parts += [f"- {note}" for note in self.notes]
        return "\n\n".join(parts[:1]) + "\n\n" + "\n".join(parts[1:]) + "\n"


def measured_pair(
    router: str,
    setting: str,
    score: Floats,
    weak: Floats,
    strong: Floats,
    *,
    kind: Kind,
    without: str = "",
    labels: int,
    price_ratio: float,
    is_baseline: bool = False,
    seed: int = 0,
) -> PairResult:
    """All figures of one router; price_ratio: a weak call's price over a strong one's, [0, 1]."""
    deciles, exact = decile_curve(score, weak, strong), exact_curve(score, weak, strong)
    low, high = interval(lambda *a: decile_curve(*a).apgr, score, weak, strong, seed=seed)
    share = _share_for_quality(exact, 0.95 * exact.strong)
    return PairResult(
        router=router,
        setting=setting,
        kind=kind,
        without=without,
        labels=labels,
        prompts=len(score),
        apgr=deciles.apgr,
        low=low,
        high=high,
        apgr_exact=exact.apgr,
        pgr50=deciles.pgr(0.5),
        cpt50=deciles.cpt(0.5),
        cpt80=deciles.cpt(0.8),
        share_95=share,
        cost_95=share + (1 - share) * price_ratio,
        is_baseline=is_baseline,
    )


def measured_gain(
    router: str,
    setting: str,
    predicted: Floats,
    expected_usd: Floats,
    correct: Floats,
    cost_usd: Floats,
    *,
    kind: Kind,
    labels: int,
    is_baseline: bool = False,
    seed: int = 0,
    resamples: int = 60,
) -> GainResult:
    """All figures of one router among many models."""
    found: Gain = gain(predicted, expected_usd, correct, cost_usd)
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        i = random.integers(0, len(correct), len(correct))
        drawn.append(gain(predicted[i], expected_usd[i], correct[i], cost_usd[i]).gain)
    low, high = np.quantile(drawn, (0.025, 0.975))
    best = int(np.argmax(correct.mean(0)))
    needed = cost_at(
        routed(predicted, expected_usd, correct, cost_usd), 0.95 * float(correct[:, best].mean())
    )
    return GainResult(
        router=router,
        setting=setting,
        kind=kind,
        labels=labels,
        prompts=len(correct),
        models=correct.shape[1],
        gain=found.gain,
        low=float(low),
        high=float(high),
        usd_95=needed if np.isfinite(needed) else None,
        best_usd=float(cost_usd[:, best].mean()),
        is_baseline=is_baseline,
    )


def _share_for_quality(curve: Curve, quality: float) -> float:
    gap = curve.strong - curve.weak
    if gap <= 0 or quality <= curve.weak:
        return 0.0
    return curve.share_for((quality - curve.weak) / gap)


def plot(pictures: Mapping[str, Sequence[tuple[str, Curve]]], path: Path) -> None:
    """Quality against the share of strong calls, one line per router, a picture per suite.

    The ending of `path` says the format: .png, .svg or .pdf.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    size = (6.4 * len(pictures), 4.8)
    figure, grid = pyplot.subplots(1, len(pictures), figsize=size, squeeze=False)
    for axes, (title, curves) in zip(grid[0], pictures.items(), strict=True):
        for name, curve in curves:
            axes.plot(curve.share * 100, curve.quality * 100, label=name, linewidth=1.2)
        ends = (curves[0][1].weak * 100, curves[0][1].strong * 100)
        axes.plot((0, 100), ends, "k:", label="mixing at random")
        axes.set_xlabel("share of strong calls, %")
        axes.set_ylabel("quality, %")
        axes.set_title(title)
        axes.legend(fontsize=8)
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=140)
    except (OSError, ValueError) as error:
        raise InvalidValue(
            f"cannot write the plot {str(path)!r} ({error})",
            path=str(path),
            next_step="name a file that ends in .png, .svg or .pdf in a folder that exists",
        ) from None
    pyplot.close(figure)


def _pair_table(results: Sequence[PairResult]) -> str:
    lines = [
        "| router | trained on | labels | APGR | 95 % | exact | PGR(50) | CPT(50) | CPT(80) "
        "| cost at 95 % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in sorted(results, key=lambda r: (r.setting, -r.apgr if r.apgr == r.apgr else 9)):
        name = f"*{r.router}* (baseline)" if r.is_baseline else r.router
        lines.append(
            f"| {name} | {r.setting} | {r.labels:,} | {shown(r.apgr)} "
            f"| {shown(r.low)}–{shown(r.high)} | {shown(r.apgr_exact)} "
            f"| {shown(r.pgr50, '.1%')} | {r.cpt50:.1%} | {r.cpt80:.1%} "
            f"| {r.cost_95:.1%} |"
        )
    return "\n".join(lines)


def _gain_table(results: Sequence[GainResult]) -> str:
    lines = [
        "| router | trained on | labels | models | gain | 95 % | USD per 1,000 at 95 % of best "
        "(best alone) |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in sorted(results, key=lambda r: (r.setting, -r.gain)):
        name = f"*{r.router}* (baseline)" if r.is_baseline else r.router
        usd = f"{r.usd_95 * 1000:.3f}" if r.usd_95 is not None else "not reached"
        lines.append(
            f"| {name} | {r.setting} | {r.labels:,} | {r.models} | {shown(r.gain)} "
            f"| {shown(r.low)}–{shown(r.high)} | {usd} ({r.best_usd * 1000:.3f}) |"
        )
    return "\n".join(lines)


def shown(value: float, how: str = ".3f") -> str:
    """A figure in a table; a dash where there is none.

    >>> shown(0.5), shown(float("nan"))
    ('0.500', '–')
    """
    return format(value, how) if np.isfinite(value) else "–"


def plain(value: object) -> object:
    """Ready for JSON: numbers that do not exist are None."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
