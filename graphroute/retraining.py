"""A prompt scorer that learns from judged answers of its own store, and is put in use if better.

```
records with features ─► judged answers ─┬─ earlier ─► adapted ─┐
                                         └─ later ────► gain ◄──┘ ─► its low end above 0?
                                                                      │ yes          │ no
                                 scorers/0003/ + an entry in the log ◄┘   an entry ◄─┘
```

What is in use follows from the log (`store.promotions`, `promoted`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from graphroute.ir.learning import Learn
from graphroute.ir.tally import Span
from graphroute.learners._judged import HELD_BACK, Answer, answers_of, held_back
from graphroute.learners._retrainer import Retrainer
from graphroute.promoted import FOLDER, scorer_in_use, subject_of
from graphroute.protocols import PromptScorer
from graphroute.scorers.adapted import Adaptation, AdaptedScorer, save
from graphroute.scorers.adapting import Gain, Judged, adapted, gain, judged
from graphroute.scorers.shares import share_of
from graphroute.scorers.traits import Traits
from graphroute.store.promotions import FILE, Entry, Promotions, Step, in_use
from graphroute.store.records import RecordStore

MOST_CALLS: Final = 20_000
"""Calls that are read back: the latest."""

LEAST: Final = 200
"""Judged answers without which nothing is tried."""

LEAST_GAIN: Final = 0.001
"""Log-loss saved per answer below which a version is not worth its number."""

RISK: Final = 0.05
"""Chance that of all attempts since the last promotion any puts a worse scorer in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of trying to learn.

    answers: judged ones with features; version: that is in use now, `""` for what ships
    gain: None where there were too few answers to compare on
    """

    is_promoted: bool
    version: str
    answers: int
    why: str
    gain: Gain | None = None
    made: Adaptation | None = None


def table_of(answers: Sequence[Answer]) -> Judged:
    """The answers as arrays."""
    return judged(
        difficulty=[a.features.difficulty for a in answers],
        traits=[a.features.traits for a in answers],
        score=[a.score for a in answers],
        weight=[a.weight for a in answers],
        nodes=[a.cell[:2] for a in answers],
        cells=[a.cell for a in answers],
        runs=[a.run for a in answers],
    )


def attempt(
    answers: Sequence[Answer],
    *,
    old: Adaptation,
    share: float,
    tries: int = 0,
    since_s: float | None = None,
) -> Attempt:
    """Fit to the earlier answers, compare on the later ones; pure, so nothing is put in use.

    old: what is in use; share: what the unchanged scorer's departures count
    tries: attempts since the last promotion that found nothing: each makes the next one ask for
        more, so that all of them together err with a chance of `RISK` (the k-th with 1/(k(k+1)) of
        it)
    """
    count = len(answers)
    cut = held_back(answers, since_s=since_s)
    if cut < LEAST * (1 - HELD_BACK) or count - cut < LEAST * HELD_BACK:
        return Attempt(
            is_promoted=False,
            version="",
            answers=count,
            why=f"{count} judged answers, {count - cut} of them to compare on, are too few",
        )
    table = table_of(answers)
    seen, later = table.take(slice(cut)), table.take(slice(cut, None))
    made = adapted(seen, share=share)
    risk = RISK / ((tries + 1) * (tries + 2))
    found = gain(seen, later, old=old, new=made, risk=risk)
    is_better = found.low > 0 and found.mean >= LEAST_GAIN
    return Attempt(
        is_promoted=is_better,
        version="",
        answers=count,
        why=f"saves {found.mean:.4f} ({found.low:.4f} to {found.high:.4f}) of log-loss an answer "
        f"on {found.answers:,} later ones",
        gain=found,
        made=made,
    )


def retrain(
    records: RecordStore,
    folder: Path,
    base: PromptScorer,
    *,
    by: str = "user",
    is_dry: bool = False,
) -> Attempt:
    """Learn from the store's judged answers, and put in use what is better.

    by: who asked, for the log; what goes on by itself waits, after an undoing, for enough answers
        that came later than that
    is_dry: only tell what would be done
    Raises `StoreUnavailable` where records or log cannot be used.
    """
    log = Promotions(folder / FILE)
    tag, share = Traits(base).tag, share_of(base)
    answers = _answers(records, tag)
    entries = log.entries()
    before = in_use(entries, subject_of(tag))
    now = scorer_in_use(folder, base)
    old = now.adaptation if isinstance(now, AdaptedScorer) else Adaptation(slope=share)
    tries, undone_s = _since_promotion(entries, subject_of(tag))
    tried = attempt(
        answers, old=old, share=share, tries=tries, since_s=None if by == "user" else undone_s
    )
    if is_dry or tried.gain is None:
        return replace(tried, version=before)
    with log.step() as step:
        if in_use(step.entries(), subject_of(tag)) != before:
            said = "another process has changed the scorer meanwhile"
            return replace(tried, is_promoted=False, version=before, why=said)
        return _entered(step, folder, tried, before=before, tag=tag, by=by)


def _answers(records: RecordStore, tag: str) -> tuple[Answer, ...]:
    if not records.path.exists() and not records.flush():
        return ()
    latest = tuple(records.records(Span(), limit=MOST_CALLS))
    if not latest:
        return ()
    return answers_of(latest, records.credits(Span(since_s=latest[0].started_s)), tag=tag)


def _since_promotion(entries: Sequence[Entry], subject: str) -> tuple[int, float | None]:
    """Attempts in vain since the last promotion or undoing, and when the latter was."""
    tries, undone_s = 0, None
    for entry in entries:
        if entry.subject != subject:
            continue
        if entry.kind == "kept":
            tries += 1
        elif entry.kind in ("promoted", "undone"):
            tries, undone_s = 0, entry.at_s if entry.kind == "undone" else None
    return tries, undone_s


def _entered(
    step: Step, folder: Path, tried: Attempt, *, before: str, tag: str, by: str
) -> Attempt:
    """The attempt in the log and, where it is promoted, on disk: the files first, then the entry.

    A process that is killed between the two leaves a folder that nothing names.
    """
    assert tried.gain is not None
    assert tried.made is not None
    facts: dict[str, object] = {"by": by, "answers": tried.answers, **asdict(tried.gain)}
    subject = subject_of(tag)
    if not tried.is_promoted:
        step.add(kind="kept", subject=subject, old=before, new=before, why=tried.why, facts=facts)
        return replace(tried, version=before)
    version = _next(folder / FOLDER)
    place = folder / FOLDER / version
    draft = place.with_name(f".{version}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    facts["sha256"] = save(draft, tried.made, tag=tag, **facts)
    os.replace(draft, place)
    step.add(kind="promoted", subject=subject, old=before, new=version, why=tried.why, facts=facts)
    return replace(tried, version=version)


def _next(folder: Path) -> str:
    """The first number above those of all folders there are: none is ever used twice."""
    found = folder.iterdir() if folder.exists() else ()
    numbers = [int(each.name) for each in found if each.name.isdigit()]
    return f"{max(numbers, default=0) + 1:04d}"


def features(options: Learn | None, base: PromptScorer | None) -> Callable[[str], str] | None:
    """What records are to keep of prompts; None where nothing learns from it.

    A scorer of which nobody knows what its departures are worth is never asked while a graph runs,
    and it might take its time: it is not asked for this either.
    """
    if options is None or base is None or not share_of(base):
        return None
    return Traits(base).packed


def beside(
    options: Learn | None,
    records: RecordStore | None,
    folder: Path,
    base: PromptScorer | None,
    *,
    then: Callable[[], object],
) -> Retrainer | None:
    """What tries to learn while a graph runs; None where it may not, or has nothing to learn from.

    then: called, in the thread that has learnt, once something better is in use
    """
    if features(options, base) is None or records is None:
        return None
    assert options is not None
    assert base is not None
    scorer, store = base, records

    def train() -> None:
        if retrain(store, folder, scorer, by="itself").is_promoted:
            then()

    return Retrainer(train, after=options.retrain_after)
