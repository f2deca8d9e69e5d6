"""Does a scorer get better by judged answers of one's own, and is it left alone where it cannot?

    python benchmarks/retraining.py --data FOLDER [--seeds 10] [--only gain,chance,kinds]
        [--scorers FOLDER]

DATA is a folder with the outcomes described in docs/evaluation.md. One node gets questions of one
kind of work, each answered by one of the models that answered all of them; every answer is judged,
as recorded. The scorer that is there first is the lexical one, trained on the other kinds, no
question of this one among them. Fit, comparison and decision are the product's own
(`graphroute.retraining.attempt`).

| part | what is measured |
|---|---|
| gain | after 500 and 1,000 answers: promotions; log-loss and ROC area on the traffic after that |
| chance | how often anything is promoted in ten attempts where nothing can be learnt |
| kinds | prompts until it is told that they are of another kind; false alarms where they stay |

The arrays are small: with OMP_NUM_THREADS=1 all of it takes a few minutes, after those that
training takes: `--scorers` keeps what is trained for the next time.

Assumed, not recorded: that every answer is judged, and rightly, and that calls are independent.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _machine import describe
from numpy.typing import NDArray
from ship_weights import everything

from graphroute import registry
from graphroute.ir.features import Features
from graphroute.ir.intervals import wilson
from graphroute.ir.record import CallRecord
from graphroute.learners import page_hinkley
from graphroute.learners._judged import Answer
from graphroute.learners._watch import Watch
from graphroute.protocols import Outcomes
from graphroute.retraining import Attempt, attempt, table_of
from graphroute.scorers._folds import stem
from graphroute.scorers.adapted import Adaptation
from graphroute.scorers.adapting import log_odds
from graphroute.scorers.shares import SHARES
from graphroute.scorers.traits import Traits

KINDS = ("gsm8k", "code", "tools", "mmlu", "mmlupro")
LATER = 1_000
STORES = 5
"""Of each kind and seed in which nothing can be learnt."""

T95 = {5: 2.776, 10: 2.262, 20: 2.093}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """Prompts of one kind as a scorer sees that has met none: features and correct[n, m]."""

    name: str
    features: Sequence[Features]
    correct: Floats


def kind_of(data: Outcomes, name: str, kept: Path | None = None) -> Kind:
    """Train the scorer on the other kinds, and let it look at this one.

    kept: folder where the trained scorer is, or will be for the next time
    """
    suites = np.array([ident.partition("-")[0] for ident in data.ids])
    stems = np.array([stem(prompt) for prompt in data.prompts])
    inside = suites == name
    if kept is not None and (kept / name).exists():
        scorer = registry.load("scorers", "lexical").build(kept / name)
    else:
        rest = data.rows(np.flatnonzero(~inside & ~np.isin(stems, stems[inside])))
        has_labels = np.asarray(np.isfinite(rest.correct).any(0))
        models = tuple(m for m, known in zip(rest.models, has_labels, strict=True) if known)
        rest = replace(rest, models=models, correct=rest.correct[:, has_labels])
        scorer = registry.load("scorers", "lexical").untrained().fit(rest)
        if kept is not None:
            scorer.save(kept / name)
    rows = np.flatnonzero(inside)
    known = np.isfinite(data.correct[rows])
    every = known.mean(0) > 0.9
    rows = rows[known[:, every].all(1)]
    # Some questions come twice, from two sources.
    rows = rows[np.unique(stems[rows], return_index=True)[1]]
    traits = Traits(scorer)
    return Kind(
        name=name,
        features=[traits.of(data.prompts[i]) for i in rows],
        correct=data.correct[rows][:, every],
    )


def traffic(kind: Kind, seed: int, *, count: int | None = None) -> list[Answer]:
    """Each question once, in random order, by a model drawn at random; again from the start where
    more are asked for than there are.
    """
    random = np.random.default_rng(seed)
    many, models = kind.correct.shape
    order = np.concatenate([random.permutation(many) for _ in range(-(-(count or many) // many))])[
        : count or many
    ]
    served = random.integers(models, size=len(order))
    return [
        Answer(
            run=f"r{n}",
            at_s=float(n),
            cell=("g", kind.name, f"m{m}"),
            features=kind.features[i],
            score=float(kind.correct[i, m]),
        )
        for n, (i, m) in enumerate(zip(order, served, strict=True))
    ]


def as_shipped() -> Adaptation:
    """The scorer as it is used before anything is learnt."""
    return Adaptation(slope=SHARES["lexical"])


def on_later(answers: Sequence[Answer], count: int, made: Adaptation) -> tuple[float, float]:
    """Log-loss and area under the ROC curve on the answers after the first `count`."""
    table = table_of(answers)
    seen, later = table.take(slice(count)), table.take(slice(count, count + LATER))
    odds = log_odds(seen, later, made)
    loss = float((np.logaddexp(0, odds) - later.score * odds).mean())
    good, bad = odds[later.score > 0.5], odds[later.score <= 0.5]
    ranks = np.searchsorted(np.sort(bad), good, "left") + np.searchsorted(
        np.sort(bad), good, "right"
    )
    return loss, float(ranks.mean() / (2 * len(bad)))


def interval(values: Sequence[float], digits: int = 4) -> str:
    """Mean over seeds and the half-width of its 95 % interval."""
    found = np.array(values)
    half = T95.get(len(found), 1.96) * found.std(ddof=1) / math.sqrt(len(found))
    return f"{found.mean():.{digits}f} ± {half:.{digits}f}"


def gain(kinds: Sequence[Kind], seeds: int) -> None:
    """Promotions, and what they are worth on the traffic that follows."""
    print(f"\ngain: {seeds} orders of the questions; later traffic: the next {LATER:,} answers")
    print("  kind, answers: promoted | log-loss saved | ROC area before -> after")
    for kind in kinds:
        for count in (500, 1_000):
            if len(kind.features) < count + 100:
                continue
            saved, before, after, promoted = [], [], [], 0
            for seed in range(seeds):
                answers = traffic(kind, seed)
                tried = attempt(answers[:count], old=as_shipped(), share=SHARES["lexical"])
                used = tried.made if tried.is_promoted and tried.made else as_shipped()
                promoted += tried.is_promoted
                old, new = on_later(answers, count, as_shipped()), on_later(answers, count, used)
                saved.append(old[0] - new[0])
                before.append(old[1])
                after.append(new[1])
            print(
                f"  {kind.name}, {count:,}: {promoted} of {seeds} | {interval(saved)} | "
                f"{np.mean(before):.3f} -> {np.mean(after):.3f} "
                f"({interval([b - a for a, b in zip(before, after, strict=True)], 3)})",
                flush=True,
            )


def attempts(answers: Sequence[Answer], old: Adaptation, share: float) -> Attempt | None:
    """The first promotion in ten attempts, each with a hundred answers more; None without one."""
    for tries in range(10):
        found = attempt(answers[: 500 + 100 * tries], old=old, share=share, tries=tries)
        if found.is_promoted:
            return found
    return None


def chance(kinds: Sequence[Kind], seeds: int) -> None:
    """Labels that hold nothing to be learnt: what is promoted all the same, and how often."""
    stores = STORES * seeds
    print(f"\nchance: stores of 1,400 answers, {stores} of each kind, ten attempts each")
    right = blank = noisy = muted = 0
    for number, kind in enumerate(kinds, start=1):
        for seed in range(stores):
            answers = traffic(kind, seed, count=1_400)
            random = np.random.default_rng(10_000 + seed)
            true = redrawn(answers, random)
            right += attempts(true, as_shipped(), SHARES["lexical"]) is not None
            mixed = shuffled(answers, random)
            blank += attempts(mixed, Adaptation(slope=0.0), 0.0) is not None
            found = attempts(mixed, as_shipped(), SHARES["lexical"])
            noisy += found is not None
            muted += found is not None and found.made is not None and found.made.slope < 0.5
        every = number * stores
        print(
            f"  up to {kind.name}: promoted though the scorer in use was right "
            f"{share_of(right, every)}; labels shuffled, no score in use "
            f"{share_of(blank, every)}; shuffled, a scorer in use {share_of(noisy, every)}, "
            f"of which {muted} count its score by less than 0.5",
            flush=True,
        )


def share_of(found: int, every: int) -> str:
    """`3 of 250, 1.2 % (0.4 to 3.5)`, with Wilson's 95 % interval."""
    low, high = wilson(found / every, every)
    return f"{found} of {every}, {found / every:.1%} ({low:.1%} to {high:.1%})".replace("%", " %")


def redrawn(answers: Sequence[Answer], random: np.random.Generator) -> list[Answer]:
    """The same with labels drawn as the scorer in use foretells them."""
    table = table_of(answers)
    p = 1 / (1 + np.exp(-log_odds(table, table, as_shipped())))
    drawn = random.random(len(answers)) < p
    return [replace(a, score=float(y)) for a, y in zip(answers, drawn, strict=True)]


def shuffled(answers: Sequence[Answer], random: np.random.Generator) -> list[Answer]:
    """The same with labels that go with no prompt, each model keeping its own."""
    scores = np.array([a.score for a in answers])
    cells = np.array([a.cell[2] for a in answers])
    for cell in np.unique(cells):
        rows = np.flatnonzero(cells == cell)
        scores[rows] = scores[random.permutation(rows)]
    return [replace(a, score=float(y)) for a, y in zip(answers, scores, strict=True)]


def told(watch: Watch, features: Sequence[Features], order: Sequence[int], start: int) -> list[int]:
    """After how many prompts it is told that they are of another kind."""
    found = []
    for n, i in enumerate(order, start=start):
        record = CallRecord(
            run_id=f"r{n}",
            node="node",
            step=1,
            planned="m",
            model="m",
            why="plan",
            own_model=None,
            in_tokens=1,
            out_tokens=0,
            is_estimated=False,
            cost_nano=0,
            baseline_nano=None,
            started_s=float(n),
            took_s=0.0,
            features=features[i].pack(),
        )
        if any(alarm.figure == "prompt_kind" for alarm in watch.note(record)):
            found.append(n)
    return found


def changes(kinds: Sequence[Kind], seeds: int) -> None:
    """Prompts of another kind at the same node, and prompts that stay as they are."""

    def watch() -> Watch:
        amounts = dict(page_hinkley.FOR_AMOUNTS)
        return Watch(
            share=page_hinkley.build,
            amount=lambda: page_hinkley.build(**amounts),  # type: ignore[arg-type]
        )

    total = false = 0
    for kind in kinds:
        for seed in range(seeds):
            order = np.random.default_rng(seed).integers(len(kind.features), size=10_000)
            false += len(told(watch(), kind.features, order.tolist(), 0))
            total += len(order)
    print(f"\nkinds: {false} false alarms in {total:,} prompts that stay of one kind")
    waited: list[float] = []
    for old in kinds:
        for new in kinds:
            if old is new:
                continue
            random = np.random.default_rng(len(waited))
            here = watch()
            before = random.integers(len(old.features), size=500).tolist()
            told(here, old.features, before, 0)
            # Under one tag, as one scorer would see them.
            moved = [replace(f, tag=old.features[0].tag) for f in new.features]
            after = random.integers(len(new.features), size=1_000).tolist()
            found = told(here, moved, after, 1)
            waited.append(found[0] if found else math.inf)
    late = sum(w == math.inf for w in waited)
    print(
        f"  another kind after 500 prompts, {len(waited)} pairs of kinds: median "
        f"{np.median(waited):.0f} prompts until it is told, {late} not within 1,000"
    )


PARTS = {"gain": gain, "chance": chance, "kinds": changes}


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the routing data")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument(
        "--scorers", type=Path, help="keep the trained scorers here: training takes minutes a kind"
    )
    options = parser.parse_args()
    print(describe(seed=0))
    data = everything(options.data)
    kinds = [kind_of(data, name, options.scorers) for name in KINDS]
    for name in options.only.split(","):
        PARTS[name](kinds, options.seeds)


if __name__ == "__main__":
    main()
