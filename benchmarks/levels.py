"""Is it worth knowing how a model did at nodes of the same class? On recorded outcomes.

    python benchmarks/levels.py --data FOLDER [--seed 0]

Nodes are the domains of MMLU-Pro, or four kinds of work: of one class, as a plan sees them. Every
model has `others` judged answers at every node but one, and `own` at that one; its quality there is
predicted (`planning.posterior`, all models thought equally able) with the class and without, and
compared with its accuracy on all questions. Mean absolute error in points with the 95 % interval of
the difference over nodes.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from random import Random

import numpy as np
from _machine import describe
from _outcomes import load

from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.evidence import Evidence
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.ir.quality import success
from graphroute.learners._levels import with_classes
from graphroute.planning.posterior import weigh

T95 = {4: 3.182, 14: 2.16}

SCORE = StepScore(difficulty=0.45, low=0.22, high=0.68, reason="")


def compare(folder: Path, name: str, others: int, own: int, seed: int) -> None:
    """Print the errors with and without the class."""
    data = load(folder, name)
    free = Price(in_usd=0.0, out_usd=0.0, source="none")
    catalog = Catalog(
        models=tuple(
            ModelSpec(name=m, provider="recorded", local=False, price=free) for m in data.models
        )
    )
    profile = Profile(
        nodes=tuple(
            NodeProfile(node=k, score=SCORE, visits=1, visits_p95=1, visits_max=1)
            for k in data.kinds
        ),
        scorer="none",
    )
    expected = {
        (k, m.name): success(SCORE.difficulty, m.ability) for k in data.kinds for m in catalog
    }
    random = Random(f"levels {seed}")
    rows: list[tuple[float, float]] = []
    for kind in data.kinds:
        errors = []
        for m, model in enumerate(data.models):
            seen = {}
            for k in data.kinds:
                right = data.train[k].correct
                for x, other in enumerate(data.models):
                    n = own if (k, x) == (kind, m) else others
                    drawn = [float(right[random.randrange(len(right)), x]) for _ in range(n)]
                    seen[k, other] = Evidence(good=sum(drawn), bad=n - sum(drawn))
            truth = float(
                np.concatenate([data.train[kind].correct, data.test[kind].correct])[:, m].mean()
            )
            classed = with_classes(
                seen,
                classes=dict.fromkeys(data.kinds, "text"),
                models=data.models,
                expected=expected,
            )
            errors.append(
                [
                    abs(weigh(profile, catalog, table).qualities[kind, model] - truth)
                    for table in (seen, classed)
                ]
            )
        rows.append(tuple(100 * np.mean(errors, axis=0)))
    table = np.array(rows)
    gain = table[:, 1] - table[:, 0]
    half = T95[len(gain)] * gain.std(ddof=1) / math.sqrt(len(gain))
    print(
        f"  {name:<8} others {others:>3} own {own:>3}: without {table[:, 0].mean():5.2f}, with "
        f"{table[:, 1].mean():5.2f} ({gain.mean():+.2f} ± {half:.2f})",
        flush=True,
    )


def main() -> None:
    """All combinations."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nway_*.csv[.gz]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(seed=options.seed))
    for name in ("mmlupro", "tasks"):
        for others, own in ((30, 0), (200, 0), (30, 10), (200, 30), (200, 200)):
            compare(options.data, name, others, own, options.seed)


if __name__ == "__main__":
    main()
