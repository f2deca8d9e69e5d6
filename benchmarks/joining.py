"""A model that a scorer was not trained on: with no labels, with twenty, with thousands.

    python benchmarks/joining.py DATA [--scorer lexical] [--seed 0]

DATA is a folder with the outcomes described in docs/evaluation.md; MMLU-Pro is used, 14 models on
the same questions. Each of five models in turn is left out of the training on one third of the
questions, then joins with n labels from the second third, and is asked about the last one. Beside
it the mean of the n labels alone, and the scorer trained with the model on the first third. Then
routers of pairs: trained on one pair, they rank for another pair, beside one trained on that pair
itself and prompt length. Means over models or pairs, with 95 % bootstrap intervals over questions.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import _machine
import numpy as np
from numpy.typing import NDArray

from graphroute import registry
from graphroute.evaluation import outcomes
from graphroute.evaluation.metrics import decile_curve
from graphroute.protocols import Outcomes, TrainableScorer
from graphroute.scorers import length
from graphroute.scorers._folds import fold_of
from graphroute.scorers.joining import Joined

Floats = NDArray[np.float64]
NEW = (
    "gemini-1.5-pro-002",
    "llama-3.1-70b-instruct",
    "llama-3.1-8b-instruct",
    "jamba-1.5-large",
    "mistral-7b-instruct-v0.2",
)
LABELS = (0, 20, 200, 4000)
PAIRS = (
    ("gemini-1.5-pro-002", "mixtral-8x7b-instruct-v0.1"),
    ("llama-3.1-70b-instruct", "llama-3.1-8b-instruct"),
    ("qwen1.5-72b-chat", "mistral-7b-instruct-v0.2"),
)


def only(data: Outcomes, models: Sequence[str]) -> Outcomes:
    """The outcomes of these models."""
    columns = [data.models.index(model) for model in models]
    return Outcomes(
        prompts=data.prompts,
        models=tuple(models),
        correct=data.correct[:, columns],
        tags=data.tags,
        ids=data.ids,
    )


def loss(p: Floats, y: Floats) -> Floats:
    """Log-loss of each answer."""
    p = np.clip(p, 0.01, 0.99)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def told(rows: Sequence[Floats], seed: int) -> str:
    """Mean over models of the mean over questions, with its interval over questions."""
    values = np.mean(rows, axis=0)
    draws = np.random.default_rng(seed).integers(0, len(values), (1000, len(values)))
    low, high = np.quantile(values[draws].mean(1), (0.025, 0.975))
    return f"{values.mean():.4f} ({low:.4f} to {high:.4f})"


def newcomers(data: Outcomes, part: NDArray[np.intp], name: str, seed: int) -> None:
    """The first table."""
    make = registry.load("scorers", name).untrained
    inside, labelled, outside = (np.flatnonzero(part == number) for number in (0, 1, 2))
    asked = [data.prompts[i] for i in outside]
    whole = make().fit(data.rows(inside), seed=seed)
    losses: dict[tuple[str, int], list[Floats]] = {}
    for new in NEW:
        column = data.models.index(new)
        y = data.correct[outside, column]
        known = [model for model in data.models if model != new]
        scorer: TrainableScorer = make().fit(only(data, known).rows(inside), seed=seed)
        order = np.random.default_rng(seed).permutation(labelled)
        for count in LABELS:
            rows = order[:count]
            joined = Joined(scorer)
            labels = data.correct[rows, column]
            joined.join(new, [data.prompts[i] for i in rows], labels.tolist())
            losses.setdefault(("joined", count), []).append(
                loss(joined.success(asked, [new])[:, 0], y)
            )
            # One answer of each kind in advance, so that few labels are no certainty.
            mean = (labels.sum() + 1) / (len(labels) + 2)
            losses.setdefault(("mean", count), []).append(loss(np.full(len(y), mean), y))
        losses.setdefault(("trained", 0), []).append(loss(whole.success(asked, [new])[:, 0], y))
    print(f"\nlog-loss of a new model's answers, mean over {len(NEW)} models:\n")
    print("| labels | joined | mean of the labels alone |\n|---|---|---|")
    for count in LABELS:
        shown = min(count, len(labelled))
        print(
            f"| {shown:,} | {told(losses['joined', count], seed)} "
            f"| {told(losses['mean', count], seed)} |"
        )
    print(f"| trained with it ({len(inside):,}) | {told(losses['trained', 0], seed)} | |")


def other_pairs(data: Outcomes, part: NDArray[np.intp], name: str, seed: int) -> None:
    """The second table."""
    make = registry.load("scorers", name).untrained
    inside, outside = np.flatnonzero(part < 2), np.flatnonzero(part == 2)
    asked = [data.prompts[i] for i in outside]
    fitted = {pair: make().fit(only(data, pair).rows(inside), seed=seed) for pair in PAIRS}
    print("\nAPGR (0.5: random) on the pair in the row, by the router trained on the pair above:\n")
    heads = [" / ".join(pair) for pair in PAIRS]
    print(f"| | {' | '.join(heads)} | length |\n|---|{'---|' * (len(PAIRS) + 1)}")
    for served, head in zip(PAIRS, heads, strict=True):
        strong, weak = (data.correct[outside, data.models.index(m)] for m in served)
        cells = [fitted[pair].need(asked, *served) for pair in PAIRS]
        cells.append(np.array(length.build().difficulty(asked)))
        shown = []
        for scores in cells:
            draws = np.random.default_rng(seed).integers(0, len(weak), (300, len(weak)))
            values = [decile_curve(scores[r], weak[r], strong[r]).apgr for r in draws]
            low, high = np.quantile(values, (0.025, 0.975))
            middle = decile_curve(scores, weak, strong).apgr
            shown.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
        print(f"| {head} | {' | '.join(shown)} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scorer", default="lexical")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(_machine.describe(seed=arguments.seed))
    data = outcomes.read(
        [arguments.data / f"nway_mmlupro_{kind}.csv.gz" for kind in ("prompts", "outcomes")]
    )
    part = np.array([fold_of(prompt, 3, arguments.seed + 5) for prompt in data.prompts])
    print(f"{arguments.scorer}, {len(data.prompts):,} questions, {len(data.models)} models")
    newcomers(data, part, arguments.scorer, arguments.seed)
    other_pairs(data, part, arguments.scorer, arguments.seed)


if __name__ == "__main__":
    main()
