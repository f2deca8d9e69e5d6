"""Outcomes from a checkout of RouteLLM's repository as it is: its three benchmarks.

Read are the files under `routellm/evals/` that its own `evaluate.py` reads, with the prompts taken
out that it calls contaminated. The models are gpt-4-1106-preview and Mixtral-8x7B-Instruct-v0.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.evaluation.tables import number, rows_of
from graphroute.protocols import Outcomes

STRONG = "gpt-4-1106-preview"
WEAK = "mistralai/Mixtral-8x7B-Instruct-v0.1"


def is_checkout(path: Path) -> bool:
    """Whether the folder holds RouteLLM's benchmarks."""
    return (path / "routellm" / "evals").is_dir()


def read(root: Path, suite: str) -> Outcomes:
    """The outcomes of `"mmlu"`, `"gsm8k"` or `"mt-bench"` in a checkout."""
    folder = root / "routellm" / "evals"
    if suite == "mmlu":
        return _mmlu(folder / "mmlu")
    if suite == "gsm8k":
        return _pairs(
            [folder / "gsm8k" / "gsm8k_responses.csv"],
            _dirty(folder / "gsm8k" / "contaminated_prompts.jsonl"),
        )
    if suite == "mt-bench":
        return _mt_bench(folder / "mt_bench")
    raise InvalidValue(
        f"RouteLLM has no benchmark {suite!r}",
        value=suite,
        next_step="use mmlu, gsm8k or mt-bench with a checkout",
    )


def _mmlu(folder: Path) -> Outcomes:
    files = sorted((folder / "responses").glob("mmlu_*.csv"))
    if not files:
        raise InvalidValue(
            f"{folder.name!r} has no responses", path=str(folder), next_step="check the checkout"
        )
    return _pairs(files, _dirty(folder / "contaminated_prompts.jsonl"))


def _pairs(files: list[Path], dirty: set[str]) -> Outcomes:
    prompts, tags, correct = [], [], []
    for path in files:
        with rows_of(path, ("prompt", STRONG, WEAK)) as rows:
            for row in rows:
                if row["prompt"] not in dirty:
                    prompts.append(row["prompt"])
                    tags.append(path.stem.removeprefix("mmlu_"))
                    correct.append((number(row, WEAK, path), number(row, STRONG, path)))
    return _outcomes(prompts, tags, correct)


def _mt_bench(folder: Path) -> Outcomes:
    dirty = _dirty(folder / "contaminated_prompts.jsonl")
    scores: dict[tuple[Any, Any], list[float]] = {}
    for row in _lines(folder / "judgements.jsonl"):
        key = (row.get("question_id"), row.get("model"))
        scores.setdefault(key, []).append(float(row.get("score", "nan")))
    prompts, tags, correct = [], [], []
    for row in _lines(folder / "question.jsonl"):
        turns, ident = row["turns"], row["question_id"]
        # Out with a question if any of its turns is contaminated; routed by the first alone.
        if dirty & set(turns) or (ident, WEAK) not in scores or (ident, STRONG) not in scores:
            continue
        prompts.append(turns[0])
        tags.append(str(row.get("category", "")))
        correct.append(tuple(float(np.mean(scores[ident, m])) / 10 for m in (WEAK, STRONG)))
    return _outcomes(prompts, tags, correct)


def _outcomes(
    prompts: list[str], tags: list[str], correct: Sequence[tuple[float, ...]]
) -> Outcomes:
    if not prompts:
        raise InvalidValue("no prompt is left in the checkout", next_step="check the checkout")
    return Outcomes(
        prompts=tuple(prompts),
        models=("weak", "strong"),
        correct=np.array(correct, dtype=np.float64),
        tags=tuple(tags),
        ids=tuple(str(i) for i in range(len(prompts))),
    )


def _dirty(path: Path) -> set[str]:
    return {str(row["eval_prompt"]) for row in _lines(path)}


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)
    except (OSError, ValueError) as error:
        raise InvalidValue(
            f"cannot read {path.name!r} of the checkout ({error})",
            path=str(path),
            next_step="give a whole checkout of RouteLLM",
        ) from error
