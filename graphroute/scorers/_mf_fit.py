"""Training of matrix factorization, in torch; the only file of that scorer that imports it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import ProviderUnavailable
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers._hashing import BUCKETS
from graphroute.scorers._ridge import Rows
from graphroute.scorers._rows import rows_of
from graphroute.scorers._table import Table
from graphroute.scorers._trained import Progress

if TYPE_CHECKING:
    import torch

_BATCH = 256
_RATE = 0.02
_WORD_DROP = 0.3
_DECAY = 2e-2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What is to be trained."""

    data: Outcomes
    dim: int
    pairwise: float
    epochs: int
    seed: int
    progress: Progress


def on_words(task: Task) -> tuple[Table, Floats, Floats]:
    """Table of the words, vectors[dim, m] and bias[m] of the models."""
    _need_torch()
    import torch

    count = len(task.data.prompts)
    rows, centre, scale = rows_of(
        task.data.prompts, lambda done: task.progress("reading prompts", 0.2 * done / count)
    )
    torch.manual_seed(task.seed)
    words = torch.nn.EmbeddingBag(BUCKETS, task.dim, mode="sum", sparse=True)
    plain = torch.nn.Linear(rows.dense.shape[1], task.dim)
    with torch.no_grad():
        words.weight.normal_(0, 0.01)
    value = torch.from_numpy(rows.value)
    mask = torch.Generator().manual_seed(task.seed)

    def vectors(chosen: NDArray[np.int64], is_training: bool) -> torch.Tensor:
        part: Rows = rows.take(chosen)
        buckets = torch.from_numpy(part.buckets)
        counts = value[buckets] * torch.from_numpy(np.repeat(part.scale, np.diff(part.bounds)))
        if is_training:
            # Leaving words out keeps the few prompts that share a rare one from being learned
            # by heart.
            kept = torch.rand(len(buckets), generator=mask) >= _WORD_DROP
            counts = counts * kept / (1 - _WORD_DROP)
        bag = words(buckets, torch.from_numpy(part.bounds[:-1]), per_sample_weights=counts)
        out: torch.Tensor = bag + plain(torch.from_numpy(part.dense))
        return out

    fast = [torch.optim.SparseAdam(words.parameters(), lr=_RATE)]
    models, bias = _descend(task, vectors, list(plain.parameters()), fast, words.weight)
    weights = words.weight.detach().numpy()
    dense = plain.weight.detach().numpy().T.astype(np.float64) * scale[:, None]
    offset = centre @ dense - plain.bias.detach().numpy()
    seen_any = (rows.value > 0)[:, None]
    table = Table.of(np.where(seen_any, weights, 0), rows.value, dense=dense, offset=offset)
    return table, models, bias


def on_vectors(task: Task, found: Floats) -> tuple[Floats, Floats, Floats]:
    """Matrix[k, dim] for fixed vectors[n, k], and vectors[dim, m] and bias[m] of the models."""
    _need_torch()
    import torch

    torch.manual_seed(task.seed)
    project = torch.nn.Linear(found.shape[1], task.dim, bias=False)
    source = torch.from_numpy(found.astype(np.float32)) * 8

    def vectors(chosen: NDArray[np.int64], is_training: bool) -> torch.Tensor:
        rows = source[torch.from_numpy(chosen)]
        kept = torch.nn.functional.dropout(rows, 0.2) if is_training else rows
        out: torch.Tensor = project(kept)
        return out

    models, bias = _descend(task, vectors, list(project.parameters()), [], None)
    return project.weight.detach().numpy().T.astype(np.float64) * 8, models, bias


def _descend(
    task: Task,
    vectors: Callable[[NDArray[np.int64], bool], torch.Tensor],
    parameters: list[torch.nn.Parameter],
    fast: Sequence[torch.optim.Optimizer],
    words: torch.Tensor | None,
) -> tuple[Floats, Floats]:
    import torch

    correct = torch.from_numpy(task.data.correct.astype(np.float32))
    known = torch.isfinite(correct)
    target = torch.nan_to_num(correct)
    mean = target.sum(0) / known.sum(0).clamp(min=1)
    model_vectors = torch.nn.Parameter(torch.randn(task.dim, correct.shape[1]) * 0.3 + 0.5)
    bias = torch.nn.Parameter(torch.logit(mean.clamp(0.02, 0.98)))
    groups: list[dict[str, Any]] = [
        {"params": [*parameters, model_vectors], "weight_decay": _DECAY},
        {"params": [bias]},
    ]
    slow = torch.optim.AdamW(
        groups,
        lr=_RATE / 2,
        weight_decay=0.0,
    )
    random = np.random.default_rng(task.seed)
    n = len(task.data.prompts)
    steps = task.epochs * ((n + _BATCH - 1) // _BATCH)
    step = 0
    for _ in range(task.epochs):
        order = random.permutation(n)
        for start in range(0, n, _BATCH):
            chosen = order[start : start + _BATCH]
            part = torch.from_numpy(chosen)
            score = vectors(chosen, True) @ model_vectors + bias
            loss = _loss(score, target[part], known[part], task.pairwise)
            for optimizer in (*fast, slow):
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # A rate that falls to nothing ends at a mean of the last steps, not at one of them.
            rate = _RATE * (1 - step / steps)
            for optimizer in fast:
                optimizer.param_groups[0]["lr"] = rate
                optimizer.step()
            for group in slow.param_groups:
                group["lr"] = rate / 2
            slow.step()
            if words is not None:
                with torch.no_grad():
                    words.mul_(1 - _DECAY * rate)
            step += 1
            task.progress("fitting", 0.2 + 0.8 * step / steps)
    return (
        model_vectors.detach().numpy().astype(np.float64),
        bias.detach().numpy().astype(np.float64),
    )


def _loss(
    score: torch.Tensor, target: torch.Tensor, known: torch.Tensor, pairwise: float
) -> torch.Tensor:
    import torch

    cells = torch.nn.functional.binary_cross_entropy_with_logits(score, target, reduction="none")
    loss: torch.Tensor = (cells * known).sum() / known.sum().clamp(min=1)
    if pairwise and score.shape[1] > 1:
        gap = target[:, :, None] - target[:, None, :]
        both = known[:, :, None] & known[:, None, :] & (gap > 0)
        margin = score[:, :, None] - score[:, None, :]
        cost = torch.nn.functional.softplus(-margin) * gap * both
        loss = loss + pairwise * cost.sum() / both.sum().clamp(min=1) * 0.5
    return loss


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise ProviderUnavailable(
            "training scorer 'mf' needs torch; running it does not",
            next_step="pip install 'graphroute[train]'",
        )
