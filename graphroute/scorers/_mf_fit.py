"""Training of matrix factorization, in torch; the only file of that scorer that imports it.

All prompts at once by L-BFGS (D. C. Liu, J. Nocedal, 1989) with a penalty on squares. Minibatches
with adaptive steps were tried first and learned rare words by heart: on MMLU their ranking was
worse with 8,000 labels than with 1,500.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from graphroute.errors import ProviderUnavailable
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers._rows import rows_of
from graphroute.scorers._table import Table
from graphroute.scorers._trained import Progress

if TYPE_CHECKING:
    import torch

_ITERATIONS = 40
_HOLD = 10.0
_SCALE = 4.0
_PART = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What is to be trained."""

    data: Outcomes
    dim: int
    pairwise: float
    penalty: float
    seed: int
    progress: Progress


def on_words(task: Task) -> tuple[Table, Floats, Floats]:
    """Table of the words, vectors[dim, m] and bias[m] of the models."""
    _need_torch()
    import torch

    count = len(task.data.prompts)
    read = rows_of(
        task.data.prompts, lambda done: task.progress("reading prompts", 0.2 * done / count)
    )
    rows = read.rows
    torch.manual_seed(task.seed)
    words = torch.nn.Parameter(torch.randn(rows.size, task.dim) * 1e-2)
    plain = torch.nn.Parameter(torch.zeros(rows.dense.shape[1], task.dim))
    buckets, starts = torch.from_numpy(rows.buckets), torch.from_numpy(rows.bounds[:-1])
    counts = torch.from_numpy(
        rows.value[rows.buckets] * np.repeat(rows.scale, np.diff(rows.bounds))
    )
    dense = torch.from_numpy(rows.dense)

    def vectors() -> torch.Tensor:
        bag = torch.nn.functional.embedding_bag(
            buckets, words, starts, mode="sum", per_sample_weights=counts
        )
        out: torch.Tensor = bag + dense @ plain
        return out

    models, bias = _descend(task, vectors, [words, plain])
    table = read.table(words.detach().numpy(), plain.detach().numpy())
    return table, models, bias


def on_vectors(task: Task, found: Floats) -> tuple[Floats, Floats, Floats]:
    """Matrix[k, dim] for fixed vectors[n, k], and vectors[dim, m] and bias[m] of the models."""
    _need_torch()
    import torch

    torch.manual_seed(task.seed)
    project = torch.nn.Parameter(torch.randn(found.shape[1], task.dim) * 1e-2)
    source = torch.from_numpy(found.astype(np.float32)) * _SCALE
    models, bias = _descend(task, lambda: source @ project, [project])
    return project.detach().numpy().astype(np.float64) * _SCALE, models, bias


def _descend(
    task: Task, vectors: Callable[[], torch.Tensor], weights: list[torch.nn.Parameter]
) -> tuple[Floats, Floats]:
    import torch

    correct = torch.from_numpy(task.data.correct.astype(np.float32))
    known = torch.isfinite(correct)
    target = torch.nan_to_num(correct)
    mean = target.sum(0) / known.sum(0).clamp(min=1)
    # The first direction starts as what all models share, the others as what tells them apart.
    start = torch.randn(task.dim, correct.shape[1]) * 0.5
    start[0] = 1.0
    models = torch.nn.Parameter(start.clone())
    bias = torch.nn.Parameter(torch.logit(mean.clamp(0.02, 0.98)))
    optimizer = torch.optim.LBFGS(
        [*weights, models, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe"
    )
    calls = 0

    def closure() -> torch.Tensor:
        nonlocal calls
        calls += 1
        task.progress("fitting", min(0.2 + 0.8 * calls / (1.25 * _ITERATIONS), 1.0))
        optimizer.zero_grad()
        loss = _loss(vectors() @ models + bias, target, known, task.pairwise)
        for part in weights:
            loss = loss + task.penalty / 2 * (part**2).sum()
        # Held near its start: else all scale moves into the models' few numbers, which the
        # penalty on the many words then no longer reaches.
        loss = loss + _HOLD * task.penalty / 2 * ((models - start) ** 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    # One thread: with several, threads that wait for one another on a shared core are slower.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    finally:
        torch.set_num_threads(threads)
    return (
        models.detach().numpy().astype(np.float64),
        bias.detach().numpy().astype(np.float64),
    )


def _loss(
    score: torch.Tensor, target: torch.Tensor, known: torch.Tensor, pairwise: float
) -> torch.Tensor:
    import torch

    cells = torch.nn.functional.binary_cross_entropy_with_logits(score, target, reduction="none")
    # A prompt counts as two labels however many models answered it: else one that many answered
    # would outweigh the penalty, and its words be learned by heart.
    share = 2 * known / known.sum(1, keepdim=True).clamp(min=1)
    loss: torch.Tensor = (cells * share).sum()
    if pairwise and score.shape[1] > 1:
        # In parts, because n × m × m numbers would be many.
        for low in range(0, len(score), _PART):
            s, t, k = (x[low : low + _PART] for x in (score, target, known))
            gap = (t[:, :, None] - t[:, None, :]).clamp(min=0) * (k[:, :, None] & k[:, None, :])
            margin = s[:, :, None] - s[:, None, :]
            both = (k[:, :, None] & k[:, None, :]).sum((1, 2)).clamp(min=1)
            cost = (torch.nn.functional.softplus(-margin) * gap).sum((1, 2))
            loss = loss + pairwise * 4 * (cost / both).sum()
    return loss


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise ProviderUnavailable(
            "training scorer 'mf' needs torch; running it does not",
            next_step="pip install 'graphroute[train]'",
        )
