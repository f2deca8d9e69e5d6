"""Train the weights that ship with graphroute, measure them, and write their cards.

    python benchmarks/ship_weights.py DATA [lexical mf]

DATA is a folder with the outcomes described in docs/evaluation.md. The figures on the card are by
folds over questions; the weights themselves are then trained on all of the data.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from graphroute import registry
from graphroute.evaluation import outcomes
from graphroute.evaluation.crossval import joined
from graphroute.evaluation.metrics import decile_curve
from graphroute.protocols import Outcomes
from graphroute.scorers._folds import fold_of

STRONG, WEAK = "gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"
LICENCES = (
    "weights: Apache-2.0; outcomes from RouteLLM, ZeroEval and MMLU-Pro (Apache-2.0) and BFCL "
    "results (questions Apache-2.0); questions of MMLU, MMLU-Pro and GSM8K (MIT)"
)
LIMITS = (
    "English exam questions, sums, short programs and tool calls; models of 2023 to 2024",
    "other prompts are ranked by what they share in words, length and digits with these",
    "MMLU high_school_mathematics has faulty labels at the source and is kept as it is",
    "one sampled answer per model and question",
)


def everything(folder: Path) -> Outcomes:
    """All outcomes of the core models, the two of RouteLLM, and those of MMLU-Pro."""
    with (folder / "nway_models.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [r["model"] for r in rows if r["core"] == "1" or r["mmlupro"] != "0"]
    pairs = outcomes.read(
        [folder / "routellm_mmlu.csv.gz", folder / "routellm_gsm8k.csv.gz"], pair=(WEAK, STRONG)
    )
    nway = outcomes.read(
        [
            folder / f"nway_{part}_{kind}.csv.gz"
            for part in ("tasks", "mmlupro")
            for kind in ("prompts", "outcomes")
        ],
        models=sorted({*wanted, STRONG, WEAK}),
    )
    return joined(nway, pairs)


def measured(make: Callable[[], Any], data: Outcomes) -> dict[str, float]:
    """APGR of the pair on MMLU and GSM8K by two folds over questions, N-way training included."""
    fold = np.array([fold_of(prompt, 2, 99) for prompt in data.prompts])
    weak = data.correct[:, data.models.index(WEAK)]
    strong = data.correct[:, data.models.index(STRONG)]
    suite = np.array([ident.partition("-")[0] for ident in data.ids])
    is_pair = np.isfinite(weak) & np.isfinite(strong)
    need = np.full(len(fold), np.nan)
    for number in (0, 1):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        outside = outside[is_pair[outside]]
        scorer = make().fit(data.rows(inside))
        need[outside] = scorer.need([data.prompts[i] for i in outside], STRONG, WEAK)
    figures = {}
    for name in ("mmlu", "gsm8k"):
        chosen = is_pair & (suite == name)
        curve = decile_curve(need[chosen], weak[chosen], strong[chosen])
        figures[f"APGR {name}, 2 folds"] = round(float(curve.apgr), 3)
    return figures


def main() -> None:
    """Train, measure and write each family named."""
    folder = Path(sys.argv[1])
    data = everything(folder)
    print(f"{len(data.prompts):,} prompts, {len(data.models)} models", flush=True)
    for name in sys.argv[2:] or ("lexical", "mf"):
        module = registry.load("scorers", name)
        start = time.perf_counter()
        figures = measured(module.untrained, data)
        print(name, figures, f"{time.perf_counter() - start:.0f} s", flush=True)
        scorer = module.untrained().fit(data)
        scorer.save(
            module.SHIPPED,
            data="MMLU and GSM8K (RouteLLM's outcomes), MMLU-Pro, ZeroEval, BFCL; "
            "see docs/evaluation.md",
            licence=LICENCES,
            metrics=figures,
            limits=list(LIMITS),
        )
        size = sum(file.stat().st_size for file in module.SHIPPED.iterdir())
        print(f"{name}: {size:,} bytes in {module.SHIPPED.name}", flush=True)


if __name__ == "__main__":
    main()
