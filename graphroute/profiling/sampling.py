"""Ask the candidates, the most telling answer next, until money, time or questions are used up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from graphroute.ir.hints import NANO
from graphroute.profiling.calls import RecordedCall
from graphroute.profiling.outcome import NodeOutcome
from graphroute.profiling.session import Session
from graphroute.profiling.worth import (
    PRIOR_ANSWERS,
    Cell,
    Limits,
    best,
    pending,
    switching_prices,
)

GIVE_UP_AFTER: Final = 3
"""Failures in a row after which a model is not asked at a node any more in this session."""

Key = tuple[str, str]


def sample(
    session: Session, *, prices: Sequence[float] | None = None, keep_usd: float = 0.0
) -> None:
    """Replay calls by worth.

    prices: of quality (log-quality per USD) at which plans will be made; None: from the priors
    keep_usd: what is to be left of the budget afterwards
    """
    closed: set[Key] = set()
    failures: Counter[Key] = Counter()
    start = cells_of(session, closed)
    at = switching_prices(start) if prices is None else prices
    total = sum(cell.left for cell in start)
    with ThreadPoolExecutor(session.workers) as threads:
        done = 0
        while not session.is_late:
            session.progress(session.at("replays", done, total))
            picked = tuple(_next(session, closed, at, keep_usd))
            if not picked:
                break
            found = threads.map(lambda pair: session.ask(*pair), picked)
            for (call, model), outcome in zip(picked, found, strict=True):
                done += 1
                _take(session, (call.node, model), outcome, closed, failures)


def _next(
    session: Session, closed: set[Key], prices: Sequence[float], keep_usd: float
) -> Iterator[tuple[RecordedCall, str]]:
    """What to ask at the same time, each as if the answers to those before were there."""
    cells = cells_of(session, closed)
    asked: Counter[Key] = Counter()
    left_usd, seconds = session.left_usd, session.seconds_left
    for _ in range(session.workers):
        usd = None if left_usd is None else max(0.0, left_usd - keep_usd)
        cell = best(pending(cells, asked), prices, Limits(budget_usd=usd, seconds=seconds))
        if cell is None:
            return
        yield _open_calls(session, cell.node, cell.model)[asked[cell.node, cell.model]], cell.model
        asked[cell.node, cell.model] += 1
        if left_usd is not None:
            left_usd -= cell.cost_usd


def _take(
    session: Session,
    key: Key,
    outcome: NodeOutcome | None,
    closed: set[Key],
    failures: Counter[Key],
) -> None:
    node, model = key
    if outcome is None:
        if key not in closed:
            session.notes.append(f"{node}: the budget has too little left for {model}")
        closed.add(key)
        return
    session.add(outcome)
    failures[key] = failures[key] + 1 if outcome.record.error else 0
    if failures[key] == GIVE_UP_AFTER:
        closed.add(key)
        session.notes.append(f"{node}: {model} failed, last with {outcome.record.error}")


def _open_calls(session: Session, node: str, model: str) -> list[RecordedCall]:
    done = session.journal.outcomes
    return [call for call in session.calls_of(node) if (call.key, model) not in done]


def cells_of(session: Session, closed: Set[Key] = frozenset()) -> tuple[Cell, ...]:
    """What is known of each candidate at each node whose calls may be replayed.

    Before a model was asked its cost is that of the tokens the run's own model took, at its price.
    """
    catalog = session.replayer.pool.catalog
    seen: dict[Key, list[NodeOutcome]] = defaultdict(list)
    for outcome in session.journal.outcomes.values():
        seen[outcome.node, outcome.model].append(outcome)
    found = []
    for node, models in session.candidates.items():
        calls = session.calls_of(node)
        planned = session.plan.assignment(node)
        if planned is None or node in session.skipped or not calls:
            continue
        usual = [o.record for m in models for o in seen[node, m] if not o.record.error]
        tokens_in = sum(r.in_tokens for r in usual) / max(1, len(usual)) or planned.in_tokens
        tokens_out = sum(r.out_tokens for r in usual) / max(1, len(usual)) or planned.out_tokens
        known = dict(zip((planned.model, *planned.fallbacks), planned.qualities, strict=False))
        for model in models:
            here = seen[node, model]
            spec = catalog.get(model)
            answered = [o.record for o in here if not o.record.error]
            scores = [o.quality for o in here if o.quality is not None]
            prior = min(max(known.get(model, planned.quality), 0.02), 0.98)
            count = max(1, len(answered))
            cost = sum(r.cost_nano for r in answered) / count / NANO
            took = sum(r.took_s for r in answered) / count
            cell = Cell(
                node=node,
                model=model,
                weight=planned.weight * planned.expected_visits * planned.expected_calls,
                visits=planned.expected_visits * planned.expected_calls,
                good=sum(scores) + PRIOR_ANSWERS * prior,
                bad=len(scores) - sum(scores) + PRIOR_ANSWERS * (1 - prior),
                cost_usd=cost if answered else spec.cost_usd(tokens_in, tokens_out),
                took_s=took if answered else spec.time_s(tokens_out),
                left=sum((call.key, model) not in session.journal.outcomes for call in calls),
                is_judged=is_judged(session, node),
            )
            found.append(replace(cell, left=0) if (node, model) in closed else cell)
    return tuple(found)


def is_judged(session: Session, node: str) -> bool:
    """Whether anything can tell a good answer of a node from a bad one."""
    if session.judge is not None or session.check_of(node) is not None:
        return True
    return any(each.reference.get(node) is not None for each in session.examples)
