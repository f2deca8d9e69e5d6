"""What profiles, texts and priors are worth, each alone and blended, on the routing data.

    python benchmarks/blending.py DATA [--scorers lexical,mf] [--seed 0]

DATA is a folder with the outcomes described in docs/evaluation.md. Every text score comes from a
scorer that has not seen the kind of work it is asked about, nor any question of it: kinds are left
out in six groups. Four tables:

1. share: what a prompt's departure from its kind's usual difficulty is worth (`scorers.shares`)
2. step: how wide difficulties of kinds of work spread, what their texts tell of it, and how far the
   qualities of a plan are off before and after they are averaged over that spread
3. calibration: probabilities of the prompt scorer before and after Platt scaling
4. blend: quality at equal cost of node profiles alone, of the blend as the router does it, of half
   profile and half text, and of text alone, with paired 95 % intervals over prompts
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _machine
import numpy as np
from numpy.typing import NDArray
from ship_weights import everything

from graphroute import registry
from graphroute.ir.ability import ability
from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.evidence import Evidence
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.ir.quality import OFFSET, Q_MAX, Q_MIN, SLOPE
from graphroute.planning.posterior import weigh
from graphroute.protocols import Outcomes
from graphroute.scorers._folds import fold_of, stem
from graphroute.scorers.shares import fit_share

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
STRONG, WEAK = "gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"
GROUPS = 6
BUDGETS = (0.10, 0.15, 0.25, 0.5)
"""Mean cost of a prompt as a share of the dearest model's."""

_FAULTY = ("mmlu:high_school_mathematics", "gsm8k:routellm_gsm8k")
"""Labels that are wrong at the source; the same questions a second time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """Outcomes by kind of work, with what a scorer that never saw the kind says of each prompt.

    difficulty[n], success[n, m], raw[n, m] (success before calibration), cost[n, m] in USD
    known_raw, known_success: of a scorer that knows the kind, but not the question
    """

    data: Outcomes
    kind: NDArray[np.str_]
    difficulty: Floats
    success: Floats
    raw: Floats
    known_success: Floats
    known_raw: Floats
    cost: Floats

    def suite(self, rows: Ints) -> NDArray[np.str_]:
        """The benchmark each kind comes from."""
        return np.array([name.partition(":")[0] for name in self.kind[rows]])


def read(folder: Path, scorer: str, seed: int) -> Kinds:
    """Train the scorer without each group of kinds in turn, and ask it about them."""
    data = everything(folder)
    suite = [ident.partition("-")[0] for ident in data.ids]
    kind = np.array([f"{s}:{t}" for s, t in zip(suite, data.tags, strict=True)])
    group = np.array([fold_of(name, GROUPS, seed) for name in kind])
    stems = np.array([stem(prompt) for prompt in data.prompts])
    make = registry.load("scorers", scorer).untrained
    difficulty = np.full(len(kind), np.nan)
    success, raw = np.full(data.correct.shape, np.nan), np.full(data.correct.shape, np.nan)
    for number in range(GROUPS):
        outside = np.flatnonzero(group == number)
        seen = np.isin(stems, stems[outside]) | (group == number)
        fitted = make().fit(data.rows(np.flatnonzero(~seen)), seed=seed)
        difficulty[outside] = fitted.difficulty([data.prompts[i] for i in outside])
        success[outside], raw[outside] = _asked(fitted, data, outside, scorer)
        print(f"  {scorer}: group {number + 1} of {GROUPS}", flush=True)
    known_success, known_raw = np.empty(data.correct.shape), np.empty(data.correct.shape)
    half = np.array([fold_of(prompt, 2, seed + 99) for prompt in data.prompts])
    for number in (0, 1):
        outside = np.flatnonzero(half == number)
        fitted = make().fit(data.rows(np.flatnonzero(half != number)), seed=seed)
        known_success[outside], known_raw[outside] = _asked(fitted, data, outside, scorer)
    return Kinds(
        data=data,
        kind=kind,
        difficulty=difficulty,
        success=success,
        raw=raw,
        known_success=known_success,
        known_raw=known_raw,
        cost=_costs(folder, data),
    )


def _asked(fitted: Any, data: Outcomes, rows: Ints, scorer: str) -> tuple[Floats, Floats]:
    """Success after calibration and before it."""
    prompts = [data.prompts[i] for i in rows]
    # The linear scorer predicts the chance itself; others log-odds.
    values = fitted._raw(prompts)
    raw = np.clip(values if scorer == "lexical" else _sigmoid(values), 0.01, 0.99)
    return np.asarray(fitted.success(prompts)), np.asarray(raw)


def _costs(folder: Path, data: Outcomes) -> Floats:
    cost = np.full(data.correct.shape, np.nan)
    place: dict[str, int] = {}
    for i, ident in enumerate(data.ids):
        place.setdefault(ident, i)
    column = {model: j for j, model in enumerate(data.models)}
    for part in ("tasks", "mmlupro"):
        path = folder / f"nway_{part}_outcomes.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["id"] in place and row["model"] in column:
                    cost[place[row["id"]], column[row["model"]]] = float(row["cost_usd"])
    for i, ident in enumerate(data.ids):
        if ident.startswith("mmlu-"):
            # Per 1,000 tokens in thousandths; only the ratio of the two matters here.
            cost[i, column[STRONG]], cost[i, column[WEAK]] = 10.0, 0.24
    return cost


# -- 1


def shares(kinds: Kinds) -> None:
    """Table 1."""
    usable = ~np.isin(kinds.kind, _FAULTY)
    print("\n| kinds of work | slope | 95 % | sd between kinds | share | kinds | prompts |")
    print("|---|---|---|---|---|---|---|")
    suites = {"all": usable}
    for name in ("mmlu", "mmlupro", "tools"):
        suites[name] = usable & np.char.startswith(kinds.kind, f"{name}:")
    rng = np.random.default_rng(0)
    noise = rng.random(len(kinds.kind))
    for name, rows in (*suites.items(), ("all, by a random score", usable)):
        values = noise if "random" in name else kinds.difficulty
        s = fit_share(values[rows], kinds.data.correct[rows], kinds.kind[rows].tolist())
        print(
            f"| {name} | {s.slope:.2f} | {s.low:.2f} to {s.high:.2f} | {s.between:.2f} "
            f"| {s.share:.2f} | {s.kinds} | {s.prompts:,} |"
        )


# -- 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """A kind of work as a step: its difficulty, its texts' mean, and who was right how often."""

    suite: str
    difficulty: float
    text: float
    cells: Mapping[int, tuple[float, int]]


def steps(kinds: Kinds) -> dict[str, Step]:
    """Difficulty of each kind by all models that answered 25 or more of it."""
    able = np.array([ability(model)[0] for model in kinds.data.models])
    found = {}
    for name in sorted(set(kinds.kind.tolist()) - set(_FAULTY)):
        rows = np.flatnonzero(kinds.kind == name)
        cells = {}
        for j in range(len(able)):
            right = kinds.data.correct[rows, j]
            right = right[np.isfinite(right)]
            if len(right) >= 25:
                cells[j] = (float(right.sum()), len(right))
        if cells:
            at = [
                able[j] + (OFFSET - _logit((s + 0.5) / (n + 1))) / SLOPE
                for j, (s, n) in cells.items()
            ]
            found[name] = Step(
                suite=name.partition(":")[0],
                difficulty=float(np.mean(at)),
                text=float(kinds.difficulty[rows].mean()),
                cells=cells,
            )
    return found


def spread(kinds: Kinds) -> None:
    """Table 2."""
    found = steps(kinds)
    mean = float(np.mean([np.mean([s.difficulty for s in g]) for g in _by_suite(found).values()]))
    print(f"\nmean difficulty of {len(found)} kinds of work, suites weighing equally: {mean:.2f}\n")
    print(
        "| suite | kinds | mean | sd | correlation with text | within ±0.23 of the others' mean |"
    )
    print("|---|---|---|---|---|---|")
    alone: dict[str, float] = {}
    for suite, group in _by_suite(found).items():
        values = np.array([s.difficulty for s in group])
        texts = np.array([s.text for s in group])
        told = f"| {suite} | {len(group)} | {values.mean():.2f} "
        if len(group) > 1:
            others = (values.sum() - values) / (len(values) - 1)
            covered = np.mean(np.abs(values - others) <= 0.23)
            told += f"| {values.std(ddof=1):.2f} | {np.corrcoef(values, texts)[0, 1]:.2f} "
            told += f"| {covered:.0%} |"
            alone |= {
                n: float(o)
                for n, o in zip(
                    [n for n, s in found.items() if s.suite == suite], others, strict=True
                )
            }
        else:
            told += "| – | – | – |"
        print(told)
    near = [abs(s.difficulty - alone[n]) for n, s in found.items() if n in alone]
    far = [abs(s.difficulty - mean) for s in found.values()]
    print(
        f"\n90 % of {len(near)} kinds lie within ±{np.quantile(near, 0.9):.3f} of the mean of "
        f"their like; within ±0.23: {np.mean(np.array(near) <= 0.23):.1%}; of all {len(far)} "
        f"kinds within ±0.30 of {mean:.2f}: {np.mean(np.array(far) <= 0.30):.1%}"
    )
    _text_of_steps(found)
    print("\n| prior of a step | averaged over | log-loss | ECE of the plan's quality |")
    print("|---|---|---|---|")
    for label, centre, width in (
        ("mean of all", dict.fromkeys(found, mean), 0.30),
        ("mean of its like", {n: alone.get(n, s.difficulty) for n, s in found.items()}, 0.23),
    ):
        for half in (0.0, width):
            loss, error = _plan_error(found, centre, half, kinds.data.models)
            print(
                f"| {label} | {f'±{half:.2f}' if half else 'nothing'} | {loss:.4f} | {error:.3f} |"
            )
    _strength(found, kinds.data.models)


def _text_of_steps(found: Mapping[str, Step]) -> None:
    """What texts tell of a kind's difficulty beyond its suite; slope from the other suites."""
    groups = {k: g for k, g in _by_suite(found).items() if len(g) > 5}
    centred = {
        k: (
            np.array([s.difficulty for s in g]) - np.mean([s.difficulty for s in g]),
            np.array([s.text for s in g]) - np.mean([s.text for s in g]),
        )
        for k, g in groups.items()
    }
    parts = []
    for k, (d, t) in centred.items():
        rest = [v for name, v in centred.items() if name != k]
        slope = sum(float((x * y).mean()) for x, y in rest) / sum(
            float((y * y).mean()) for _, y in rest
        )
        saved = d**2 - (d - slope * t) ** 2
        parts.append(
            f"{k} {saved.mean():+.4f} ± {1.96 * saved.std() / np.sqrt(len(saved)):.4f} "
            f"of {float((d**2).mean()):.4f}"
        )
    print(f"squared error of a step's difficulty that its prompts' text saves: {'; '.join(parts)}")


def _plan_error(
    found: Mapping[str, Step], centre: Mapping[str, float], half: float, models: Sequence[str]
) -> tuple[float, float]:
    """Log-loss and expected calibration error of qualities, suites weighing equally."""
    catalog = _catalog(models)
    sizes = {k: len(g) for k, g in _by_suite(found).items()}
    p, q, w = [], [], []
    for name, step in found.items():
        profile = _profile(name, centre[name], half)
        table = weigh(profile, catalog, {}).qualities if half else {}
        for j, (right, count) in step.cells.items():
            plain = float(_success(np.array(ability(models[j])[0] - centre[name])))
            p.append(table.get((name, models[j]), plain))
            q.append(right / count)
            w.append(1 / sizes[step.suite] / len(step.cells))
    return _loss_and_ece(np.array(p), np.array(q), np.array(w))


def _strength(found: Mapping[str, Step], models: Sequence[str]) -> None:
    """The most likely strength of the Beta prior around a step's true difficulty."""
    from math import lgamma

    def beta(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    best = []
    for k in (8, 16, 24, 32, 48, 64, 96):
        total = 0.0
        for step in found.values():
            for j, (right, count) in step.cells.items():
                p = float(_success(np.array(ability(models[j])[0] - step.difficulty)))
                total += beta(k * p + right, k * (1 - p) + count - right)
                total -= beta(k * p, k * (1 - p))
        best.append((total, k))
    print(
        f"\nmost likely strength of a model's prior at a known difficulty: {max(best)[1]} answers"
    )


# -- 3


def calibration(kinds: Kinds) -> None:
    """Table 3."""
    known = np.isfinite(kinds.data.correct) & ~np.isin(kinds.kind, _FAULTY)[:, None]
    suites = kinds.suite(np.arange(len(kinds.kind)))
    weight = np.zeros(known.shape)
    for suite in set(suites.tolist()):
        rows = (suites == suite)[:, None] & known
        weight[rows] = 1 / rows.sum()
    print("\n| probabilities of the scorer | log-loss | ECE |\n|---|---|---|")
    for label, values in (
        ("new questions of known kinds, before Platt scaling", kinds.known_raw),
        ("… after", kinds.known_success),
        ("unseen kinds, before", kinds.raw),
        ("… after", kinds.success),
    ):
        loss, error = _loss_and_ece(values[known], kinds.data.correct[known], weight[known])
        print(f"| {label} | {loss:.4f} | {error:.3f} |")


# -- 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Prompts all of whose models answered: right[n, m], cost[n, m], and what is known of them."""

    name: str
    models: tuple[str, ...]
    kind: NDArray[np.str_]
    is_test: NDArray[np.bool_]
    right: Floats
    cost: Floats
    difficulty: Floats


def worlds(kinds: Kinds, seed: int) -> list[World]:
    """Four kinds of work × 12 models, 14 domains × 14 models, 56 subjects × 2 models."""
    found = []
    suites = kinds.suite(np.arange(len(kinds.kind)))
    usable = ~np.isin(kinds.kind, _FAULTY)
    for name, members in (
        ("tasks", ("code", "math", "tools", "gsm8k")),
        ("mmlupro", ("mmlupro",)),
        ("mmlu", ("mmlu",)),
    ):
        rows = np.flatnonzero(np.isin(suites, members) & usable)
        columns = np.flatnonzero(
            np.isfinite(kinds.data.correct[rows]).all(0) & np.isfinite(kinds.cost[rows]).all(0)
        )
        place = np.ix_(rows, columns)
        side = [fold_of(kinds.data.prompts[i], 2, seed + 7) for i in rows]
        found.append(
            World(
                name=name,
                models=tuple(kinds.data.models[j] for j in columns),
                kind=kinds.kind[rows],
                is_test=np.array(side) == 1,
                right=kinds.data.correct[place],
                cost=kinds.cost[place],
                difficulty=kinds.difficulty[rows],
            )
        )
    return found


def policies(
    world: World, labels: int, share: float, seed: int
) -> tuple[dict[str, Floats], Floats]:
    """Quality[n, m] that each policy believes in, and the expected cost[n, m]."""
    random = np.random.default_rng(seed)
    catalog = _catalog(world.models)
    profile = np.zeros(world.right.shape)
    away, expected = np.zeros(len(world.kind)), np.zeros(world.right.shape)
    for name in sorted(set(world.kind.tolist())):
        rows = np.flatnonzero(world.kind == name)
        past = rows[~world.is_test[rows]]
        judged = random.permutation(past)[:labels]
        known = {
            (name, model): Evidence(
                good=float(world.right[judged, j].sum()),
                bad=float(len(judged) - world.right[judged, j].sum()),
            )
            for j, model in enumerate(world.models)
        }
        found = weigh(_profile(name, 0.48, 0.30), catalog, known).qualities
        profile[rows] = [found[name, model] for model in world.models]
        if labels:  # Where nothing was judged the router does not lean.
            away[rows] = world.difficulty[rows] - world.difficulty[past].mean()
        expected[rows] = world.cost[past].mean(0)
    able = np.array([ability(model)[0] for model in world.models])
    text = _success(able[None, :] - world.difficulty[:, None])
    blended = _sigmoid(_logit(np.clip(profile, Q_MIN, Q_MAX)) - share * SLOPE * away[:, None])
    return {
        "profile": profile,
        "blend": blended,
        "half and half": (profile + text) / 2,
        "text": text,
    }, expected


def blend(kinds: Kinds, share: float, seed: int) -> None:
    """Table 4."""
    print(
        f"\nshare {share:.2f}; points of quality at equal cost, and the difference to the profile "
        "alone, mean over budgets of "
        + ", ".join(f"{b:.0%}" for b in BUDGETS)
        + " of the dearest model"
    )
    print("\n| set | labels a node | profile | blend | half and half | text alone |")
    print("|---|---|---|---|---|---|")
    for world in worlds(kinds, seed):
        for labels in (0, 5, 20, 100, 10**6):
            believed, expected = policies(world, labels, share, seed)
            test = np.flatnonzero(world.is_test)
            got = {
                name: _at_budgets(values[test], expected[test], world.right[test], world.cost[test])
                for name, values in believed.items()
            }
            base = got["profile"]
            told = [f"{100 * base.mean():.1f}"]
            for name in ("blend", "half and half", "text"):
                gap = 100 * (got[name] - base)
                draws = np.random.default_rng(seed).integers(0, len(gap), (1000, len(gap)))
                low, high = np.quantile(gap[draws].mean(1), (0.025, 0.975))
                told.append(f"{gap.mean():+.1f} ({low:+.1f} to {high:+.1f})")
            shown = "all" if labels > 10**5 else str(labels)
            print(f"| {world.name} | {shown} | {' | '.join(told)} |", flush=True)


def _at_budgets(believed: Floats, expected: Floats, right: Floats, cost: Floats) -> Floats:
    """Chance of a right answer of each prompt, mean over the budgets, each spent exactly.

    The price of a budget is found by halving; between the two assignments around it prompts are
    drawn at the share that spends the budget, as a plan with a fractional step would.
    """
    value = np.log(np.clip(believed, Q_MIN, Q_MAX))
    rows = np.arange(len(value))
    total = np.zeros(len(value))
    for budget in BUDGETS:
        limit = budget * float(cost.mean(0).max())
        low, high = 0.0, 1e9 / float(expected.mean())
        for _ in range(70):
            price = (low + high) / 2 if low else high / 1e6 if high > 1e3 else high / 2
            choice = (value - price * expected).argmax(1)
            if cost[rows, choice].mean() > limit:
                low = price
            else:
                high = price
        cheap = (value - high * expected).argmax(1)
        dear = (value - low * expected).argmax(1)
        spent, more = float(cost[rows, cheap].mean()), float(cost[rows, dear].mean())
        part = float(np.clip((limit - spent) / (more - spent), 0, 1)) if more > spent else 0.0
        total += (1 - part) * right[rows, cheap] + part * right[rows, dear]
    return np.asarray(total / len(BUDGETS))


# -- shared


def _by_suite(found: Mapping[str, Step]) -> dict[str, list[Step]]:
    groups: dict[str, list[Step]] = {}
    for step in found.values():
        groups.setdefault(step.suite, []).append(step)
    return groups


def _catalog(models: Sequence[str]) -> Catalog:
    free = Price(in_usd=0.0, out_usd=0.0, source="none")
    return Catalog(
        models=tuple(
            ModelSpec(name=m, provider="x", local=True, price=free, ability=ability(m)[0])
            for m in models
        )
    )


def _profile(name: str, difficulty: float, half: float) -> Profile:
    score = StepScore(
        difficulty=difficulty, low=difficulty - half, high=difficulty + half, reason=""
    )
    node = NodeProfile(node=name, score=score, visits=1, visits_p95=1, visits_max=1)
    return Profile(nodes=(node,), scorer="none")


def _loss_and_ece(p: Floats, q: Floats, w: Floats) -> tuple[float, float]:
    """Log-loss, and the expected calibration error over ten bins of equal width."""
    p, w = np.clip(p, 1e-6, 1 - 1e-6), w / w.sum()
    loss = -(w * (q * np.log(p) + (1 - q) * np.log(1 - p))).sum()
    place = np.minimum((p * 10).astype(int), 9)
    error = sum(abs(float((w * (p - q))[place == i].sum())) for i in range(10))
    return float(loss), float(error)


def _success(lead: Floats) -> Floats:
    return np.asarray(np.clip(_sigmoid(SLOPE * lead + OFFSET), Q_MIN, Q_MAX))


def _logit(p: Floats | float) -> Floats:
    return np.asarray(np.log(p) - np.log1p(-np.asarray(p)))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))))


def main() -> None:
    """Print the four tables for each scorer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scorers", default="lexical")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(_machine.describe(seed=arguments.seed))
    for scorer in arguments.scorers.split(","):
        print(f"\n## {scorer}", flush=True)
        kinds = read(arguments.data, scorer, arguments.seed)
        shares(kinds)
        usable = ~np.isin(kinds.kind, _FAULTY)
        share = fit_share(
            kinds.difficulty[usable], kinds.data.correct[usable], kinds.kind[usable].tolist()
        ).share
        spread(kinds)
        calibration(kinds)
        blend(kinds, share, arguments.seed)


if __name__ == "__main__":
    main()
