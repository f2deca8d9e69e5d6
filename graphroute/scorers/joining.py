"""A new model joins a trained scorer: without labels, with twenty, with thousands.

For a new model, `log-odds(q) = prior(q) + a + Σ_k b_k · z_k(q)`, where

- prior(q) comes from the model's ability against the prompt's difficulty (`ir.quality`)
- z_k(q) are what the known models' log-odds differ by: their mean and leading directions
- a ~ N(0, 0.3²), b_k ~ N(0, 0.1²) where the ability is known from figures; N(0, 1.5²), N(0, 1²)
  where it is a guess: no label leaves the prior, twenty shift its level, thousands find which
  prompts the model is good at. The maximum a posteriori is found by Newton's method.

The small widths were chosen on four models of MMLU-Pro other than those that
`benchmarks/joining.py` reports: with wider ones twenty labels were worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.ability import ability
from graphroute.ir.problem import Floats
from graphroute.ir.quality import OFFSET, SLOPE
from graphroute.protocols import TrainableScorer

_KNOWN_SD = (0.3, 0.1)
_GUESSED_SD = (1.5, 1.0)
_DIRECTIONS = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newcomer:
    """What was learned of a new model: its ability, its level a against what that predicts, and
    loadings[m] on the known models' log-odds, taken from their centre[m].
    """

    model: str
    ability: float
    level: float
    centre: Floats
    loadings: Floats
    labels: int


class Joined:
    """A trained scorer and the models that joined it; scores like any other scorer."""

    def __init__(self, scorer: TrainableScorer) -> None:
        self._scorer = scorer
        self._newcomers: dict[str, Newcomer] = {}
        self.name = scorer.name

    @property
    def models(self) -> tuple[str, ...]:
        """The models trained on, then those that joined."""
        return self._scorer.models + tuple(self._newcomers)

    def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
        """Difficulty in [0, 1], as the trained scorer says."""
        return self._scorer.difficulty(prompts)

    def join(
        self,
        model: str,
        prompts: Sequence[str] = (),
        correct: Sequence[float] = (),
        *,
        quality: float | None = None,
    ) -> Newcomer:
        """Add `model` with whatever labels there are, correct[n] in [0, 1]; again to replace.

        quality: the user's prior probability of a good answer on a step of middle difficulty
        """
        if model in self._scorer.models:
            raise InvalidValue(
                f"model {model!r} was trained on",
                model=model,
                next_step="train again with its new outcomes",
            )
        y = np.asarray(correct, dtype=np.float64)
        if len(y) != len(prompts) or not np.isfinite(y).all() or ((y < 0) | (y > 1)).any():
            raise InvalidValue(
                f"{len(prompts)} prompts and {len(y)} outcomes of {model!r}",
                model=model,
                next_step="give one outcome in [0, 1] per prompt",
            )
        able, source = ability(model, quality=quality)
        level, centre, loadings = 0.0, np.zeros(0), np.zeros(0)
        if len(prompts):
            log_odds = self._known(prompts)
            centre = log_odds.mean(0)
            directions = _directions(log_odds - centre)
            design = (log_odds - centre) @ directions
            spread = _GUESSED_SD if source == "default" else _KNOWN_SD
            level, along = _posterior(design, y, self._prior(prompts, able), spread)
            loadings = directions @ along
        found = Newcomer(
            model=model,
            ability=able,
            level=level,
            centre=centre,
            loadings=loadings,
            labels=len(y),
        )
        self._newcomers[model] = found
        return found

    def success(self, prompts: Sequence[str], models: Sequence[str] | None = None) -> Floats:
        """success[n, m] of trained, joined and unknown models alike."""
        wanted = self.models if models is None else tuple(models)
        old = [model for model in wanted if model not in self._newcomers]
        out = np.empty((len(prompts), len(wanted)))
        if old:
            found = self._scorer.success(prompts, old)
            for j, model in enumerate(old):
                out[:, [i for i, name in enumerate(wanted) if name == model]] = found[:, [j]]
        for j, model in enumerate(wanted):
            if (new := self._newcomers.get(model)) is None:
                continue
            log_odds = self._prior(prompts, new.ability)
            if len(new.loadings):
                log_odds = log_odds + new.level
                log_odds = log_odds + (self._known(prompts) - new.centre) @ new.loadings
            out[:, j] = 1 / (1 + np.exp(-np.clip(log_odds, -40, 40)))
        return np.clip(out, 0.01, 0.995)

    def _prior(self, prompts: Sequence[str], able: float) -> Floats:
        hard = np.asarray(self._scorer.difficulty(prompts), dtype=np.float64)
        return np.asarray(SLOPE * (able - hard) + OFFSET)

    def _known(self, prompts: Sequence[str]) -> Floats:
        success = self._scorer.success(prompts)
        return np.asarray(np.log(success / (1 - success)))


def _directions(spread: Floats) -> Floats:
    """directions[m, k]: what the known models' log-odds[n, m] vary by, each by about one.

    Directions with less than a tenth of the largest variation are noise, and would be blown up.
    """
    _, size, rows = np.linalg.svd(spread, full_matrices=False)
    kept = min(_DIRECTIONS, int((size > max(0.1 * size[0], 1e-6)).sum()))
    scale = np.sqrt(len(spread)) / np.maximum(size[:kept], 1e-6)
    return np.asarray(rows[:kept].T * scale)


def _posterior(
    design: Floats, y: Floats, prior: Floats, spread: tuple[float, float]
) -> tuple[float, Floats]:
    x = np.column_stack((np.ones(len(y)), design))
    precision = np.append(1 / spread[0] ** 2, np.full(design.shape[1], 1 / spread[1] ** 2))
    beta = np.zeros(x.shape[1])

    def cost(at: Floats) -> float:
        odds = prior + x @ at
        return float((np.logaddexp(0, odds) - y * odds).sum() + (precision * at**2).sum() / 2)

    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(prior + x @ beta, -40, 40)))
        gradient = x.T @ (p - y) + precision * beta
        curve = (x * np.maximum(p * (1 - p), 1e-6)[:, None]).T @ x + np.diag(precision)
        step = np.linalg.solve(curve, gradient)
        # Far from the answer a whole step of Newton's goes past it, and the next one further.
        length, here = 1.0, cost(beta)
        while length > 1e-6 and cost(beta - length * step) > here:
            length /= 2
        beta = beta - length * step
        if length * float(np.abs(step).max()) < 1e-9:
            break
    return float(beta[0]), beta[1:]
