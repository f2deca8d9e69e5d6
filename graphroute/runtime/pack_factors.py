"""What packing would do to a node's cost, time and quality on each model, for the planner.

The planner chooses model and size together: a cheap model that cannot pack may cost more than a
dearer one that can. What is not measured yet counts as lost for the most part, so the planner never
counts on it; what an author allows is tried by the runs themselves, and the next plan knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphroute.ir.catalog import ModelSpec
from graphroute.ir.graph import Node
from graphroute.runtime import tokens
from graphroute.runtime.pack_loss import Loss, PackFigures
from graphroute.runtime.pack_size import ANSWER_TOKENS, Need, pack_size

_HOLE = re.compile(r"\{[^{}]*\}")
ITEM_TOKENS = 40
OUT_TOKENS = 16
"""Of one item and its answer, where nothing says how long they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Packs of `size` on `model`: cost, time and probability of a good answer of a task, each as a
    multiple of what it is alone.
    """

    model: str
    size: int
    cost: float
    time: float
    quality: float


def factors_of(
    nodes: Iterable[Node],
    models: Sequence[ModelSpec],
    figures: PackFigures,
    *,
    waiting: Mapping[str, float],
    max_loss: float = 0.01,
) -> Mapping[str, tuple[Factors, ...]]:
    """By node, the models on which packing it would save something.

    waiting: how many calls of a node come together (the visits of one that tasks are sent to)

    >>> from graphroute.ir.catalog import Price
    >>> from graphroute.ir.hints import RouteHints
    >>> price = Price(in_usd=1.0, out_usd=2.0, source="user")
    >>> spec = ModelSpec(name="m", provider="p", local=False, price=price)
    >>> node = Node(name="n", kind="llm", prompts=("Good or bad? " * 50 + "{text}",))
    >>> figures = PackFigures()
    >>> for _ in range(300):
    ...     figures.checked(("m", "n"), 8, is_worse=False)
    >>> (found,) = factors_of([node], [spec], figures, waiting={"n": 20.0})["n"]
    >>> found.size, round(found.cost, 2), round(found.quality, 3)
    (8, 0.52, 0.998)
    """
    found: dict[str, tuple[Factors, ...]] = {}
    for node in nodes:
        together = int(waiting.get(node.name, 1.0))
        if node.hints.batch is False or together < 2 or not node.prompts:
            continue
        each = (_factors(node, spec, figures, together, max_loss) for spec in models)
        if kept := tuple(factors for factors in each if factors is not None):
            found[node.name] = kept
    return found


def _factors(
    node: Node, spec: ModelSpec, figures: PackFigures, together: int, max_loss: float
) -> Factors | None:
    task = max((_HOLE.sub("", prompt) for prompt in node.prompts), key=len)
    cap = node.hints.max_output_tokens
    need = Need(
        shared_tokens=tokens.estimate(task) + spec.overhead_tokens,
        item_tokens=ITEM_TOKENS,
        out_tokens=min(OUT_TOKENS, cap or OUT_TOKENS),
        waiting=together,
        context_tokens=spec.context_tokens,
        max_output_tokens=spec.max_output_tokens,
        out_cap=cap,
        price_in=spec.price.in_usd,
        price_out=spec.price.out_usd,
    )
    known = figures.of((spec.name, node.name))
    is_asked = node.hints.batch == "pack"
    chosen = pack_size(need, known, is_asked=is_asked, max_loss=max_loss)
    if chosen.size < 2:
        return None
    size = min(chosen.size, together)
    written = size * (need.out_tokens + ANSWER_TOKENS)
    # One server works on its packs in turn; calls in the cloud would have run side by side.
    took_s = spec.time_s(written) / (size if spec.local else 1)
    return Factors(
        model=spec.name,
        size=size,
        cost=need.cost(size) / need.cost(1),
        time=took_s / spec.time_s(need.out_tokens),
        quality=1 - _likely_loss(known, chosen.size),
    )


def _likely_loss(known: Mapping[int, Loss], size: int) -> float:
    """Mean of the loss given what was seen at this size and above, from Jeffreys' prior."""
    seen = Loss()
    for at, loss in known.items():
        if at >= size:
            seen += loss
    return (seen.losses + 0.5) / (seen.checks + 1)
