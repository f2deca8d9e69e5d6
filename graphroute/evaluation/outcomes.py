"""Outcomes from files: two-model files, prompts with outcomes, and any mix of them.

| file | columns | becomes |
|---|---|---|
| two models | `prompt, weak, strong` | two models called `weak` and `strong`, or as named |
| prompts | `id, prompt` | prompts |
| outcomes | `id, model, correct` | their outcomes, in long form |

Several outcomes of one model on one prompt count as their mean. A prompt without any is left out.

Scores of a two-model file on another scale than [0, 1] (MT-Bench: 1 to 10) are divided by ten for
the whole file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.evaluation.tables import Row, header_of, number, refused, rows_of
from graphroute.protocols import Outcomes

_TAGS = ("subject", "domain", "category", "task", "node", "tag")
_KINDS = {
    "pair": {"prompt", "weak", "strong"},
    "outcomes": {"id", "model", "correct"},
    "prompts": {"id", "prompt"},
}


def read(
    paths: Sequence[Path],
    *,
    pair: tuple[str, str] = ("weak", "strong"),
    is_clean: bool = True,
    models: Sequence[str] | None = None,
) -> Outcomes:
    """The outcomes in all files together, prompts in the order of the files.

    pair: what the weak and the strong model of two-model files are called
    is_clean: leave out rows marked in a column `contaminated`
    models: keep only these, in this order
    """
    reading = _Reading(pair=pair, is_clean=is_clean)
    kinds = [(path, _known(path)) for path in paths]
    # Prompts before outcomes, whatever the order they were named in.
    for path, kind in kinds:
        if kind == "pair":
            reading.add_pair(path)
        elif kind == "prompts":
            reading.add_prompts(path)
    for path, kind in kinds:
        if kind == "outcomes":
            reading.add_outcomes(path)
    return reading.finish(models)


def read_prompts(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and prompts of a file with the columns `id` and `prompt`."""
    with rows_of(path, ("id", "prompt")) as rows:
        found = [(row["id"], row["prompt"]) for row in rows]
    return tuple(row[0] for row in found), tuple(row[1] for row in found)


def kind_of(path: Path) -> str:
    """What its columns make a file: `"pair"`, `"outcomes"`, `"prompts"`, or `""` for none."""
    columns = set(header_of(path))
    for kind, needed in _KINDS.items():
        if needed <= columns:
            return kind
    return ""


def _known(path: Path) -> str:
    if kind := kind_of(path):
        return kind
    raise InvalidValue(
        f"{path.name!r} is neither of two models, nor prompts, nor outcomes",
        path=str(path),
        columns=header_of(path),
        next_step="give columns prompt, weak, strong; or id, prompt; or id, model, correct",
    )


class _Reading:
    def __init__(self, *, pair: tuple[str, str], is_clean: bool) -> None:
        self._pair, self._is_clean = pair, is_clean
        self._prompts: list[str] = []
        self._tags: list[str] = []
        self._ids: list[str] = []
        self._at: dict[str, int] = {}
        self._columns: dict[str, int] = {}
        self._cells: list[tuple[int, int, float]] = []
        self._stranger = ""

    def _add(self, ident: str, prompt: str, tag: str) -> int:
        self._prompts.append(prompt)
        self._tags.append(tag)
        self._ids.append(ident)
        return len(self._prompts) - 1

    def _column(self, model: str) -> int:
        return self._columns.setdefault(model, len(self._columns))

    def add_pair(self, path: Path) -> None:
        with rows_of(path, ("prompt", "weak", "strong")) as rows:
            found = [
                (
                    row.get("id") or f"{path.name}:{i}",
                    row["prompt"],
                    _tag(row) or path.name.partition(".")[0],
                    _score(row, "weak", path, 10),
                    _score(row, "strong", path, 10),
                )
                for i, row in enumerate(rows)
                if not (self._is_clean and row.get("contaminated") == "1")
            ]
        top = max((abs(v) for row in found for v in row[3:] if v == v), default=0.0)
        scale = 10.0 if top > 1 else 1.0
        for ident, prompt, tag, *scores in found:
            i = self._add(ident, prompt, tag)
            for name, value in zip(self._pair, scores, strict=True):
                self._cells.append((i, self._column(name), value / scale))

    def add_prompts(self, path: Path) -> None:
        with rows_of(path, ("id", "prompt")) as rows:
            for row in rows:
                if self._is_clean and row.get("contaminated") == "1":
                    continue
                if row["id"] in self._at:
                    raise InvalidValue(
                        f"{path.name!r} has the id {row['id']!r} twice",
                        path=str(path),
                        id=row["id"],
                        next_step="give each prompt its own id",
                    )
                self._at[row["id"]] = self._add(row["id"], row["prompt"], _tag(row))

    def add_outcomes(self, path: Path) -> None:
        with rows_of(path, ("id", "model", "correct")) as rows:
            for row in rows:
                # Outcomes may cover more prompts than are wanted here.
                if (i := self._at.get(row["id"])) is not None:
                    cell = (i, self._column(row["model"]), _score(row, "correct", path, 1))
                    self._cells.append(cell)
                elif not self._stranger:
                    self._stranger = f"; {path.name!r} line {row.line} has the id {row['id']!r}"

    def finish(self, models: Sequence[str] | None) -> Outcomes:
        names = tuple(models) if models is not None else tuple(sorted(self._columns))
        if missing := [name for name in names if name not in self._columns]:
            raise InvalidValue(
                f"no outcomes of {', '.join(map(repr, missing))}",
                models=tuple(missing),
                next_step=f"there are {', '.join(sorted(self._columns)) or 'none'}",
            )
        place = {self._columns[name]: j for j, name in enumerate(names)}
        total, count = np.zeros((2, len(self._prompts), len(names)))
        for i, column, value in self._cells:
            if column in place and not math.isnan(value):
                total[i, place[column]] += value
                count[i, place[column]] += 1
        correct = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        known = np.isfinite(correct).any(1)
        kept = np.flatnonzero(known)
        if not len(kept):
            unknown = f"{self._stranger}, which no prompt has" if self._stranger else ""
            raise InvalidValue(
                f"no prompt has an outcome{unknown}",
                next_step="give the outcomes' file beside the prompts', with the same ids",
            )
        return Outcomes(
            prompts=tuple(self._prompts[i] for i in kept),
            models=names,
            correct=correct[kept],
            tags=tuple(self._tags[i] for i in kept),
            ids=tuple(self._ids[i] for i in kept),
        )


def _score(row: Row, name: str, path: Path, top: float) -> float:
    """A quality in [0, top], or NaN where there is none."""
    value = number(row, name, path)
    if not (math.isnan(value) or 0 <= value <= top):
        raise refused(row, name, path, f"scale qualities to 0 … {top:g}, or leave the cell empty")
    return value


def _tag(row: Row) -> str:
    get = row.get
    task, domain = get("task") or "", get("domain") or ""
    if task and domain and task != domain:
        return f"{task}/{domain}"
    return next((str(get(name)) for name in _TAGS if get(name)), "")
