"""What an evaluation found: one value per router, as JSON, Markdown or a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from graphroute.evaluation.metrics import Curve, decile_curve, exact_curve, interval
from graphroute.evaluation.nway import Gain, cost_at, gain, routed
from graphroute.ir.problem import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """One router between a weak and a strong model.

    apgr, cpt50, cpt80: at RouteLLM's deciles, shares in [0, 1]; low, high: 95 % of apgr
    apgr_exact: over all thresholds, ties broken evenly
    share_95: share of strong calls for 95 % of the strong model's quality; cost_95: what that
        costs as a share of sending everything to the strong model
    setting: what it was trained on; labels: on how many prompts at most
    """

    router: str
    setting: str
    labels: int
    prompts: int
    apgr: float
    low: float
    high: float
    apgr_exact: float
    cpt50: float
    cpt80: float
    share_95: float
    cost_95: float
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GainResult:
    """One router among many models; `gain` 0: mixing fixed models, 1: oracle; see `nway`.

    usd_95: cost per prompt for 95 % of the best single model's quality; None: never reached
    """

    router: str
    setting: str
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
        return json.dumps(_plain(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)

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
        labels=labels,
        prompts=len(score),
        apgr=deciles.apgr,
        low=low,
        high=high,
        apgr_exact=exact.apgr,
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


def plot(curves: Sequence[tuple[str, Curve]], title: str, path: Path) -> None:
    """Quality against the share of strong calls, one line per router, as PNG, SVG or PDF."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4.8))
    for name, curve in curves:
        axes.plot(curve.share * 100, curve.quality * 100, label=name, linewidth=1.2)
    if curves:
        first = curves[0][1]
        axes.plot((0, 100), (first.weak * 100, first.strong * 100), "k:", label="mixing at random")
    axes.set_xlabel("share of strong calls, %")
    axes.set_ylabel("quality, %")
    axes.set_title(title)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=140)
    pyplot.close(figure)


def _pair_table(results: Sequence[PairResult]) -> str:
    lines = [
        "| router | trained on | labels | APGR | 95 % | exact | CPT(50) | CPT(80) | cost at 95 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in sorted(results, key=lambda r: (r.setting, -r.apgr if r.apgr == r.apgr else 9)):
        name = f"*{r.router}* (baseline)" if r.is_baseline else r.router
        lines.append(
            f"| {name} | {r.setting} | {r.labels:,} | {r.apgr:.3f} | {r.low:.3f}–{r.high:.3f} "
            f"| {r.apgr_exact:.3f} | {r.cpt50:.1%} | {r.cpt80:.1%} | {r.cost_95:.1%} |"
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
            f"| {name} | {r.setting} | {r.labels:,} | {r.models} | {r.gain:.3f} "
            f"| {r.low:.3f}–{r.high:.3f} | {usd} ({r.best_usd * 1000:.3f}) |"
        )
    return "\n".join(lines)


def _plain(value: object) -> object:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
