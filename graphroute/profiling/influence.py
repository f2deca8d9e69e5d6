"""How much a node matters for the end: give it another model, run the rest again, compare the ends.

```
 run as recorded        a(strong) ─► b(strong) ─► c(strong)      score of its end  s
 one node another's     a(strong) ─► b(weak)   ─► c(strong)      score of its end  s'
                        └ answered from memory ┘  └ asked anew where b's answer has changed
```

The mean of s − s' over some inputs is the causal effect of the node's answers on the end (J.
Pearl, Causality, 2009, §3: an intervention, not a correlation, as nothing else was changed). A run
executes the graph's own code again, so it is made only where that does no harm: where every node is
proven to act on nothing but its state, or the author says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from graphroute.errors import BudgetExceeded
from graphroute.profiling.examples import Example
from graphroute.profiling.intervals import Estimate, difference
from graphroute.profiling.outcome import Trial
from graphroute.profiling.sampling import cells_of
from graphroute.profiling.session import Session

MIN_CHANGE: Final = 0.1
"""Below this difference in a node's own score nothing can be said of what it is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """What a node's better model adds to the end's score over its worse one.

    effect: mean difference of the end's score, stronger minus weaker
    quality_change: mean difference of the node's own scores on the same inputs, None if unknown
    """

    node: str
    stronger: str
    weaker: str
    effect: Estimate
    quality_change: float | None

    @property
    def slope(self) -> float | None:
        """What the end's score gains per point of the node's own: what its `weight=` could say.

        None where the two models answered (almost) equally well, or the node was not judged.
        """
        if self.quality_change is None or self.quality_change < MIN_CHANGE:
            return None
        return max(0.0, self.effect.mean) / self.quality_change


def intervene(session: Session, *, runs: int) -> None:
    """Run up to `runs` scored inputs again for each node, the weightiest node first."""
    scored = [
        each for each in session.shuffled_examples() if _base_score(session, each) is not None
    ]
    pairs = list(_contrasts(session))
    todo = [
        (node, other, example)
        for example in scored[:runs]
        for node, other in pairs
        if (node, other, example.key) not in session.journal.trials
    ]
    for done, (node, other, example) in enumerate(todo):
        session.progress(session.at("interventions", done, len(todo)))
        if session.is_late:
            session.notes.append("the time was up before all influences were measured")
            return
        models = {**session.base, node: other}
        ran = session.replayer.run(example, models, run_id=f"{session.run_id(example)}-{node}")
        if isinstance(ran.error, BudgetExceeded):
            session.journal.add_spending(spent_nano=session.spent_nano)
            session.notes.append(f"the budget ended the interventions: {ran.error}")
            return
        score = session.score_of(example, ran)
        trial = Trial(node=node, model=other, example=example.key, score=score)
        session.journal.add_trial(trial, spent_nano=session.spent_nano)


def influences(session: Session) -> tuple[Influence, ...]:
    """What the trials of all sessions show, in the order of the graph."""
    found = []
    trials = session.journal.trials.values()
    for node in session.candidates:
        for other in dict.fromkeys(trial.model for trial in trials if trial.node == node):
            changes = [
                base.score - trial.score
                for trial in trials
                if (trial.node, trial.model) == (node, other) and trial.score is not None
                if (base := session.journal.runs.get(trial.example)) and base.score is not None
            ]
            effect = difference(changes)
            if effect is None:
                continue
            made = Influence(
                node=node,
                stronger=session.base[node],
                weaker=other,
                effect=effect,
                quality_change=_quality_change(session, node, other),
            )
            found.append(made if _is_stronger(session, node, other) else _turned(made))
    return tuple(found)


def _contrasts(session: Session) -> Iterator[tuple[str, str]]:
    """For each node the candidate whose answers differ most in quality from those of the run."""
    cells = sorted(cells_of(session), key=lambda cell: -cell.weight)
    for node in dict.fromkeys(cell.node for cell in cells):
        here = {cell.model: cell for cell in cells if cell.node == node}
        known = [trial.model for trial in session.journal.trials.values() if trial.node == node]
        others = [cell for model, cell in here.items() if model != session.base[node]]
        if not others or session.base[node] not in here:
            continue
        base = here[session.base[node]]
        farthest = max(others, key=lambda cell: (abs(cell.quality - base.quality), cell.model))
        # A later session goes on with the same model, so that the pairs add up.
        yield node, known[0] if known and known[0] in here else farthest.model


def _is_stronger(session: Session, node: str, other: str) -> bool:
    """Whether the run's own model is the better of the two."""
    here = {cell.model: cell.quality for cell in cells_of(session) if cell.node == node}
    return here.get(session.base[node], 1.0) >= here.get(other, 0.0)


def _turned(made: Influence) -> Influence:
    effect = made.effect
    change = made.quality_change
    return Influence(
        node=made.node,
        stronger=made.weaker,
        weaker=made.stronger,
        effect=Estimate(mean=-effect.mean, low=-effect.high, high=-effect.low, count=effect.count),
        quality_change=None if change is None else -change,
    )


def _quality_change(session: Session, node: str, other: str) -> float | None:
    """Mean difference of scores on calls that both have answered, the run's model minus other."""
    outcomes = session.journal.outcomes
    changes = []
    for call in session.calls_of(node):
        one, two = (outcomes.get((call.key, model)) for model in (session.base[node], other))
        if one is not None and two is not None:
            pair = (one.quality, two.quality)
            if pair[0] is not None and pair[1] is not None:
                changes.append(pair[0] - pair[1])
    return sum(changes) / len(changes) if changes else None


def _base_score(session: Session, example: Example) -> float | None:
    run = session.journal.runs.get(example.key)
    return None if run is None else run.score
