"""Which files are of which suite: files as named, folders of them, checkouts of RouteLLM.

In a folder a file's columns say what it is, and its name which suite it is of: two-model files by
`mmlu`, `gsm8k` or `mtbench` in their name, N-way ones in pairs `…prompts…` and `…outcomes…`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.evaluation import checkout, outcomes
from graphroute.evaluation.outcomes import kind_of
from graphroute.evaluation.tables import number, rows_of
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes

_NAMES = {"mmlu": "mmlu", "gsm8k": "gsm8k", "mtbench": "mt-bench"}
_TASKS = "tasks"


def files(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """The files of each suite in a folder; a suite without any is not there."""
    found: dict[str, list[Path]] = {}
    many: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not path.name.lower().endswith((".csv", ".csv.gz")):
            continue
        kind = kind_of(path)
        if kind == "pair":
            plain = path.name.lower().replace("-", "").replace("_", "")
            for part, suite in _NAMES.items():
                if part in plain:
                    found.setdefault(suite, []).append(path)
                    break
        elif kind in ("prompts", "outcomes"):
            group = many.setdefault(path.name.replace(kind, "*"), {})
            group.setdefault(kind, []).append(path)
    whole = {name: g for name, g in many.items() if {"prompts", "outcomes"} <= set(g)}
    # Several N-way sets of different models are not one suite; the one of tasks is it.
    names = sorted(whole, key=lambda name: (_TASKS not in name, name))
    if names:
        found["nway"] = [*whole[names[0]]["prompts"], *whole[names[0]]["outcomes"]]
    return {suite: tuple(paths) for suite, paths in found.items()}


def of_suite(paths: Sequence[Path], suite: str) -> tuple[Path, ...]:
    """The suite's files among `paths`, folders opened; `InvalidValue` where a folder has none."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = files(path).get(suite, ())
        if not inside:
            raise InvalidValue(
                f"folder {path.name!r} has no file of suite {suite!r}",
                path=str(path),
                suite=suite,
                next_step="name the files themselves: --data FILE",
            )
        found += inside
    return tuple(found)


def pair_outcomes(paths: Sequence[Path], suite: str) -> Outcomes:
    """The suite's outcomes from a checkout of RouteLLM, a folder, or two-model files."""
    if len(paths) == 1 and checkout.is_checkout(paths[0]):
        return checkout.read(paths[0], suite)
    return outcomes.read(of_suite(paths, suite))


def nway_outcomes(
    paths: Sequence[Path], models: Sequence[str] | None = None
) -> tuple[Outcomes, Floats]:
    """Prompts that all models answered, and cost_usd[n, m] of the answers."""
    paths = of_suite(paths, "nway")
    data = outcomes.read(paths, models=models)
    if models is None:
        # The models that cover most, so that the prompts they share are many.
        share = np.isfinite(data.correct).mean(0)
        kept = [m for m, s in zip(data.models, share, strict=True) if s > 0.999]
        data = outcomes.read(paths, models=kept or data.models)
    whole = np.flatnonzero(np.isfinite(data.correct).all(1))
    if not len(whole) or len(data.models) < 2:
        raise InvalidValue(
            "no prompt was answered by all of two or more models",
            models=data.models,
            next_step="name models that share prompts: --models a,b,c",
        )
    data = data.rows(whole)
    at = {ident: i for i, ident in enumerate(data.ids)}
    column = {model: j for j, model in enumerate(data.models)}
    cost = np.zeros(data.correct.shape)
    for path in paths:
        with rows_of(path) as rows:
            for row in rows:
                i, j = at.get(row.get("id", "")), column.get(row.get("model", ""))
                if i is not None and j is not None and row.get("cost_usd") is not None:
                    cost[i, j] = number(row, "cost_usd", path)
    if not (cost > 0).any():
        raise InvalidValue(
            "the outcomes have no costs", next_step="give a column cost_usd in US dollars"
        )
    return data, np.nan_to_num(cost)
