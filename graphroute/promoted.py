"""What learning has put in use in a store: its prompt scorer, and the plans that followed.

Nothing here breaks a run: what cannot be read is a warning, and the scorer is used as it ships.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from graphroute.errors import GraphrouteError
from graphroute.ir.plan import Assignment, Plan
from graphroute.protocols import PromptScorer
from graphroute.scorers.adapted import AdaptedScorer, load
from graphroute.scorers.traits import Traits
from graphroute.store.background import Background
from graphroute.store.promotions import FILE, Entry, Promotions, standing

logger = logging.getLogger(__name__)

FOLDER: Final = "scorers"
"""Beside the records: one numbered folder for each version that was promoted."""


def subject_of(tag: str) -> str:
    """What the log calls the scorer whose features have this tag."""
    return f"scorer {tag}"


def scorer_in_use(folder: Path, base: PromptScorer | None) -> PromptScorer | None:
    """The scorer as the store's log has it; `base` itself, with a warning, where that is no good.

    base: the scorer as it ships, or as it was given to `optimize()`
    """
    log = Promotions(folder / FILE)
    if base is None or not log.path.exists():
        return base
    try:
        tag = Traits(base).tag
        top = standing(log.entries(), subject_of(tag))
        return _loaded(folder, base, top[-1], tag) if top else base
    except (GraphrouteError, OSError, ValueError) as fault:
        logger.warning("the scorer is used as it ships: %s", fault)
        return base


def _loaded(folder: Path, base: PromptScorer, entry: Entry, tag: str) -> AdaptedScorer:
    sha256 = str(entry.facts.get("sha256"))
    made = load(folder / FOLDER / entry.new, tag=tag, sha256=sha256)
    return AdaptedScorer(base, made, version=int(entry.new))


def told(scorer: PromptScorer | None) -> str:
    """How a plan names a prompt scorer; `""` where prompts are not scored.

    >>> from graphroute.scorers import length
    >>> from graphroute.scorers.adapted import Adaptation
    >>> told(AdaptedScorer(length.build(), Adaptation(slope=0.5), version=3))
    'length, version 3 of this store'
    """
    if isinstance(scorer, AdaptedScorer):
        return f"{scorer.name}, version {scorer.version} of this store"
    return "" if scorer is None else str(scorer.name)


class PlanJournal:
    """Notes in the log, beside the runs, which plans learning has put in the place of others."""

    def __init__(self, folder: Path) -> None:
        self._log = Promotions(folder / FILE)
        self._queue: Background[tuple[Plan, str, str, str]] = Background(self._write)

    def planned(self, before: Plan, after: Plan, *, why: str) -> None:
        """A graph was planned again by itself; told only where a node's model has changed."""
        pairs = [(before.assignment(a.node), a) for a in after.assignments]
        changed = [
            (said(old), said(new))
            for old, new in pairs
            if old is not None and said(old) != said(new)
        ]
        if changed:
            was, now = (", ".join(words) for words in zip(*changed, strict=True))
            self._queue.put((after, was, now, why))

    def flush(self) -> bool:
        """Write what was noted so far; whether that worked."""
        return self._queue.flush()

    def _write(self, items: Sequence[tuple[Plan, str, str, str]]) -> None:
        with self._log.step() as step:
            for plan, was, now, why in items:
                subject = f"plan {plan.graph.name} {plan.graph.fingerprint[:8]}"
                step.add(kind="planned", subject=subject, old=was, new=now, why=why)


def said(assignment: Assignment) -> str:
    """A node and its models, in the order in which they are asked."""
    return f"{assignment.node}: {' then '.join((assignment.model, *assignment.then))}"
