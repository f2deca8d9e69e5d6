"""What the causal scorer is worth with a small model that runs here: SmolLM2-135M on llama.cpp.

    python benchmarks/causal.py --data routellm_mmlu.csv.gz [--prompts 300] [--seed 0]

The model's opinion needs no training, so every question is unseen. Printed beside prompt length:
AUC of "the weak model is wrong" (0.5: chance) and APGR as RouteLLM has it, with 95 % bootstrap
intervals over prompts, and the time of a decision.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import _machine
import numpy as np
from numpy.typing import NDArray

from graphroute.evaluation import outcomes
from graphroute.evaluation.choice import drawn
from graphroute.evaluation.metrics import decile_curve
from graphroute.providers import _llama_server as llama
from graphroute.providers._packaged import smollm2_path
from graphroute.providers._templates import TOOLS
from graphroute.scorers import causal, length

Floats = NDArray[np.float64]


def auc(scores: Floats, wrong: Floats) -> float:
    """Chance that a prompt the weak model fails has the higher score; ties count half."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    for value in np.unique(scores):
        ranks[scores == value] = ranks[scores == value].mean()
    bad = wrong > 0.5
    count = int(bad.sum())
    rest = len(wrong) - count
    if not count or not rest:
        return 0.5
    return float((ranks[bad].sum() - count * (count + 1) / 2) / (count * rest))


def _auc(scores: Floats, weak: Floats, strong: Floats) -> float:
    del strong
    return auc(scores, 1 - weak)


def _apgr(scores: Floats, weak: Floats, strong: Floats) -> float:
    return float(decile_curve(scores, weak, strong).apgr)


def _told(values: list[float]) -> str:
    """The first value, with the 95 % interval of the others."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Ask, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(_machine.describe(seed=arguments.seed))
    data = drawn(outcomes.read([arguments.data]), arguments.prompts, seed=arguments.seed)
    weak = data.correct[:, data.models.index("weak")]
    strong = data.correct[:, data.models.index("strong")]
    url = llama.serve(llama.Gguf(path=smollm2_path(), alias="tiny", template=TOOLS))
    judge = causal.build(model="tiny", base_url=url)
    start = time.perf_counter()
    opinions = np.array(judge.difficulty(data.prompts))
    took = (time.perf_counter() - start) / len(opinions)
    rows = {
        "causal (SmolLM2-135M)": opinions,
        "length": np.array(length.build().difficulty(data.prompts)),
        "random": np.random.default_rng(arguments.seed).random(len(opinions)),
    }
    everyone = np.arange(len(weak))
    draws = np.random.default_rng(arguments.seed).integers(0, len(weak), (1000, len(weak)))
    print(
        f"\n{len(weak)} prompts, weak right on {weak.mean():.1%}, strong on {strong.mean():.1%}\n"
    )
    print("| scorer | AUC of weak wrong | APGR |\n|---|---|---|")
    for name, scores in rows.items():
        told = [
            _told([measure(scores[rows], weak[rows], strong[rows]) for rows in (everyone, *draws)])
            for measure in (_auc, _apgr)
        ]
        print(f"| {name} | {' | '.join(told)} |")
    print(f"\n{took:.2f} s a decision; opinions between {opinions.min():.2f} and ", end="")
    print(f"{opinions.max():.2f}")


if __name__ == "__main__":
    main()
