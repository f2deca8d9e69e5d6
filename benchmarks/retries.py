"""How much harder is a question that another model got wrong? The spread of `planning.retries`.

    python benchmarks/retries.py --data FOLDER

For every pair of models and kind of work: the recorded P(b right | a wrong) beside what the model
of hardness says from the two mean accuracies alone, for several spreads. Bias and root mean square
over pairs, each with its 95 % interval over kinds of work (Student's t).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from _machine import describe
from _outcomes import Floats, Part, load

from graphroute.planning import retries

SPREADS = (0.01, 1.2, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.2, 4.0)
FEWEST = 20
"""Wrong answers of a model from which on its pairs are counted."""

STUDENT = {3: 3.18, 13: 2.16}
"""97.5 % quantiles for the degrees of freedom of the two sets."""


def errors(parts: tuple[Part, Part], spread: float) -> Floats:
    """Predicted minus recorded P(b right | a wrong) of all pairs of models."""
    correct = np.vstack([part.correct for part in parts])
    quality = np.clip(correct.mean(axis=0), 0.005, 0.995)
    success = retries.by_hardness(quality, spread=spread)
    both = (success[:, None, :] * success[None, :, :]) @ retries.WEIGHTS
    said = (quality[None, :] - both) / (1 - quality)[:, None]
    wrong = (1 - correct).sum(axis=0)
    seen = ((1 - correct).T @ correct) / np.maximum(wrong, 1)[:, None]
    counts = ~np.eye(len(quality), dtype=bool) & (wrong >= FEWEST)[:, None]
    found: Floats = (said - seen)[counts]
    return found


def main() -> None:
    """Print one row per set and spread."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nway_*.csv[.gz]")
    options = parser.parse_args()
    print(describe(seed=0))
    print(f"in use: {retries.SPREAD}; in points: bias, and root mean square")
    for name in ("tasks", "mmlupro"):
        data = load(options.data, name)
        print(f"\n{name}: {len(data.models)} models, {len(data.kinds)} kinds of work")
        for spread in SPREADS:
            by_kind = [errors((data.train[k], data.test[k]), spread) for k in data.kinds]
            bias = np.array([100 * e.mean() for e in by_kind])
            root = np.array([100 * math.sqrt((e**2).mean()) for e in by_kind])
            t = STUDENT[len(by_kind) - 1] / math.sqrt(len(by_kind))
            print(
                f"  spread {spread:4.2f}: {bias.mean():+6.1f} ± {t * bias.std(ddof=1):4.1f}   "
                f"{root.mean():5.1f} ± {t * root.std(ddof=1):4.1f}"
            )


if __name__ == "__main__":
    main()
