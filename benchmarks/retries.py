"""How much harder is a question that another model got wrong? The spread of `planning.retries`.

    python benchmarks/retries.py --data FOLDER

For every pair of models and kind of work: the recorded P(b right | a wrong) beside what the model
of hardness says from the two mean accuracies alone, for several spreads. Bias and root mean square
over pairs, each with its 95 % interval over kinds of work (Student's t).

    python benchmarks/retries.py --live [--keep FILE]

How much of a model's wrong answer is left when it is asked again? Two embedded models answer the
same questions at temperature 0 and several times at 0.8. Of the wrong first answers some are wrong
again because the question is hard, as the model of hardness says from the mean accuracies; what is
wrong beyond that is the share on which a model stays with its answer (`retries.STUBBORN`). Of pairs
of wrong answers to a question, the share that is the same is what `votes.COMMON` rests on. `told`:
the smaller model in its own chat template, told that its answer was refused. Intervals: 95 % of
the bootstrap over questions.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from _machine import describe
from _outcomes import Floats, Part, load
from _questions import questions
from _samples import Asked, asked, collected, talking

from graphroute.planning import retries, votes

SPREADS = (0.01, 1.2, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.2, 4.0)
FEWEST = 20
"""Wrong answers of a model from which on its pairs are counted."""

RESAMPLES = 1_000
BEST_OF = 4

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


def kinds(found: Sequence[Asked]) -> Iterator[list[Asked]]:
    """The questions of each model and kind of work that have something wrong and right."""
    for key in sorted({(each.model, each.kind) for each in found}):
        here = [each for each in found if (each.model, each.kind) == key]
        drawn = [a.right for each in here for a in each.drawn]
        if 0 < sum(drawn) < len(drawn) and any(not each.first.right for each in here):
            yield here


def again_wrong(
    found: Sequence[Asked], *, is_told: bool = False, is_warm: bool = False
) -> tuple[float, float, float]:
    """Of further answers to questions whose first answer was wrong: how many there are, how many
    are wrong again, and how many would be by the hardness of the questions alone.

    is_warm: at the accuracy that drawn answers have, and not at that of the first ones
    """
    count = seen = expected = 0.0
    for here in kinds(found):
        later = [
            [a.right for a in (each.told if is_told else each.drawn)]
            for each in here
            if not each.first.right
        ]
        first = np.mean([each.first.right for each in here])
        drawn = np.mean([a.right for each in here for a in each.drawn])
        wrong = 1 - retries.by_hardness(np.array([first, drawn if is_warm else first]))
        share = float(wrong[0] * wrong[1] @ retries.WEIGHTS / (wrong[0] @ retries.WEIGHTS))
        total = sum(map(len, later))
        count += total
        seen += total - sum(map(sum, later))
        expected += share * total
    return count, seen, expected


def stubborn(found: Sequence[Asked], *, is_told: bool = False, is_warm: bool = False) -> float:
    """Share in [0, 1] of wrong first answers with which a model stays, beyond hardness."""
    count, seen, expected = again_wrong(found, is_told=is_told, is_warm=is_warm)
    return max(0.0, (seen - expected) / max(count - expected, 1e-9))


def best_of(found: Sequence[Asked]) -> tuple[list[float], list[float]]:
    """Share of questions with a right one among the first 1, 2, … answers: as the plan says behind
    a check that is never wrong, and as it was.
    """
    sure = retries.CheckRates(passes_good=1.0, passes_bad=0.0)
    said, seen, total = np.zeros(BEST_OF), np.zeros(BEST_OF), 0
    for here in kinds(found):
        quality = np.array([np.mean([each.first.right for each in here])])
        success = retries.by_hardness(quality)
        for k in range(1, BEST_OF + 1):
            again = np.zeros((1, k), dtype=np.int64)
            final = retries.follow(again, success, sure, retries.STUBBORN).final[0]
            said[k - 1] += len(here) * float(final)
            seen[k - 1] += sum(
                any(a.right for a in (each.first, *each.drawn[: k - 1])) for each in here
            )
        total += len(here)
    return (said / total).tolist(), (seen / total).tolist()


def alike(found: Sequence[Asked]) -> float:
    """Share of pairs of wrong answers to one question that say the same."""
    same = pairs = 0
    for each in found:
        wrong = [a.said for a in each.drawn if not a.right]
        pairs += len(wrong) * (len(wrong) - 1) // 2
        same += sum(a == b for a, b in combinations(wrong, 2))
    return same / max(pairs, 1)


def common(found: Sequence[Asked]) -> float:
    """`votes.COMMON` by that share, once the questions are set aside on which a model stays with
    what it said.
    """
    stuck, seen = stubborn(found, is_warm=True), alike(found)
    weighed = 0.0
    total = 0
    for here in kinds(found):
        wrong = 1 - retries.by_hardness(
            np.array([np.mean([a.right for e in here for a in e.drawn])])
        )
        once, twice = float(wrong[0] @ retries.WEIGHTS), float(wrong[0] ** 2 @ retries.WEIGHTS)
        weighed += len(here) * stuck * once / (stuck * once + (1 - stuck) * twice)
        total += len(here)
    held = weighed / max(total, 1)
    return math.sqrt(max(0.0, (seen - held) / max(1 - held, 1e-9)))


def interval(
    found: Sequence[Asked], of: Callable[[Sequence[Asked]], float], seed: int
) -> tuple[float, float, float]:
    """A figure with its 95 % interval, questions drawn anew within each model and kind."""
    draw = np.random.default_rng(seed)
    groups = [
        [each for each in found if (each.model, each.kind) == key]
        for key in sorted({(each.model, each.kind) for each in found})
    ]
    values = sorted(
        of([here[i] for here in groups for i in draw.integers(0, len(here), len(here))])
        for _ in range(RESAMPLES)
    )
    return of(found), values[round(0.025 * RESAMPLES)], values[round(0.975 * RESAMPLES) - 1]


def live(each: int, draws: int, seed: int, keep: Path | None) -> None:
    """Print how far models stay with their answers, and whether their mistakes are alike."""
    print(f"in use: STUBBORN {retries.STUBBORN}, COMMON {votes.COMMON}")
    found = collected(each=each, draws=draws, seed=seed, keep=keep)
    for here in kinds(found):
        first = np.mean([e.first.right for e in here])
        later = np.mean([a.right for e in here for a in e.drawn])
        count, seen, expected = again_wrong(here)
        print(
            f"  {here[0].model:14} {here[0].kind:11} right {100 * first:3.0f} %, at 0.8 "
            f"{100 * later:3.0f} %; wrong again {100 * seen / max(count, 1):3.0f} %, by hardness "
            f"{100 * expected / max(count, 1):3.0f} %; of two wrong ones the same "
            f"{100 * alike(here):3.0f} %"
        )
    for name, shares in zip(("the plan says", "seen"), best_of(found), strict=True):
        told_shares = ", ".join(f"{100 * share:.0f} %" for share in shares)
        print(f"best of 1 to {BEST_OF} behind a perfect check, {name}: {told_shares}")
    todo = [q for q in questions(each, seed=seed) if q.kind in ("mood", "sum")]
    told = list(asked("smollm2 talking", talking(), todo, draws=2, seed=seed, tells=True))
    for kind in ("mood", "sum"):
        right = [each.first.right for each in told if each.kind == kind]
        print(f"  talking        {kind:11} right {sum(right)} of {len(right)}")
    for name, of, answers in (
        ("stays with a wrong answer", stubborn, found),
        ("  at the accuracy of drawn answers", lambda some: stubborn(some, is_warm=True), found),
        ("mistakes in common", common, found),
        ("talking, not told: stays", stubborn, told),
        ("talking, told: stays", lambda some: stubborn(some, is_told=True), told),
    ):
        value, low, high = interval(answers, of, seed)
        print(f"{name}: {value:.2f} ({low:.2f} to {high:.2f})")


def main() -> None:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="folder with nway_*.csv[.gz]")
    parser.add_argument("--live", action="store_true", help="ask the two embedded models")
    parser.add_argument("--each", type=int, default=40, help="questions of each kind")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="file of the answers, read if it is there")
    options = parser.parse_args()
    print(describe(seed=options.seed))
    if options.live:
        live(options.each, options.draws, options.seed, options.keep)
    elif options.data is None:
        parser.error("give --data FOLDER with the routing data, or --live")
    else:
        recorded(options.data)


def recorded(folder: Path) -> None:
    """Print one row per set and spread."""
    print(f"in use: {retries.SPREAD}; in points: bias, and root mean square")
    for name in ("tasks", "mmlupro"):
        data = load(folder, name)
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
