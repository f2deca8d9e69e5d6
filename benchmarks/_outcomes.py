"""Recorded outcomes of real models: per question which model was right, and what it cost."""

from __future__ import annotations

import csv
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Questions of one kind of work: correct[q, m] in {0, 1}, cost_usd[q, m], out_tokens[q, m]."""

    prompts: tuple[str, ...]
    correct: Floats
    cost_usd: Floats
    out_tokens: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Train and test questions apart; models sorted by name, kinds by name."""

    models: tuple[str, ...]
    local: tuple[bool, ...]
    kinds: tuple[str, ...]
    train: dict[str, Part]
    test: dict[str, Part]


def load(folder: Path, name: str, *, train_share: float = 0.6) -> Outcomes:
    """The set `tasks` (kind: the task) or `mmlupro` (kind: the domain) from `nway_<name>_*`."""
    kind_of: dict[str, str] = {}
    prompt_of: dict[str, str] = {}
    for row in _rows(folder / f"nway_{name}_prompts.csv.gz"):
        kind_of[row["id"]] = row["task" if name == "tasks" else "domain"]
        prompt_of[row["id"]] = row["prompt"]
    with (folder / "nway_models.csv").open(encoding="utf-8", newline="") as file:
        facts = {row["model"]: row for row in csv.DictReader(file)}
    rows: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in _rows(folder / f"nway_{name}_outcomes.csv.gz"):
        if name == "tasks" and facts[row["model"]]["core"] != "1":
            continue
        found = (float(row["correct"]), float(row["cost_usd"]), float(row["out_tokens"]))
        rows.setdefault(row["id"], {})[row["model"]] = found
    models = tuple(sorted({m for by_model in rows.values() for m in by_model}))
    kinds = tuple(sorted(set(kind_of.values())))
    ids: dict[tuple[str, bool], list[str]] = {}
    for question, by_model in sorted(rows.items()):
        if len(by_model) == len(models):
            is_train = _number(question) < train_share
            ids.setdefault((kind_of[question], is_train), []).append(question)
    parts = {}
    for key, questions in ids.items():
        table = np.array([[rows[q][m] for m in models] for q in questions])
        parts[key] = Part(
            prompts=tuple(prompt_of[q] for q in questions),
            correct=table[:, :, 0],
            cost_usd=table[:, :, 1],
            out_tokens=table[:, :, 2],
        )
    return Outcomes(
        models=models,
        local=tuple(facts[m]["tier"] == "local" for m in models),
        kinds=kinds,
        train={k: parts[k, True] for k in kinds},
        test={k: parts[k, False] for k in kinds},
    )


def _rows(path: Path) -> csv.DictReader[str]:
    return csv.DictReader(gzip.open(path, "rt", encoding="utf-8", newline=""))


def _number(text: str) -> float:
    return int(hashlib.sha256(f"graph-vs-call|{text}".encode()).hexdigest()[:8], 16) / 16**8
