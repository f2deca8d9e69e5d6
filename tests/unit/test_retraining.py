"""A scorer is put in use where it is better on later answers of the store, and nowhere else."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from graphroute.errors import StoreUnavailable
from graphroute.ir.features import TRAITS
from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.record import AFTER_REFUSAL, CallRecord
from graphroute.ir.verdict import Verdict
from graphroute.learners._judged import answers_of, held_back
from graphroute.promoted import FOLDER, PlanJournal, scorer_in_use, told
from graphroute.retraining import LEAST, RISK, attempt, retrain
from graphroute.scorers import length
from graphroute.scorers.adapted import Adaptation, AdaptedScorer
from graphroute.scorers.traits import Traits
from graphroute.store.promotions import FILE, Promotions, undo
from graphroute.store.records import RecordStore
from tests.unit.calls import NOW_S, call
from tests.unit.passes.graphs import triage
from tests.unit.planning.pool import plan

BASE = length.build()
TRAITS_OF_BASE = Traits(BASE)


def prompt(random: Random) -> str:
    words = " ".join("word" for _ in range(random.randrange(5, 60)))
    return f"{words} {' '.join('42' for _ in range(random.randrange(0, 30)))}"


def records(seed: str, number: int, *, digits: float, start: int = 0) -> Iterator[CallRecord]:
    """Judged calls whose answers are the worse the more digits a prompt has, by `digits` a word."""
    random = Random(seed)
    for n in range(start, start + number):
        text = prompt(random)
        odds = 1.0 - digits * (text.count("42") - 15) / 10
        yield call(
            run_id=f"r{n}",
            started_s=NOW_S + n,
            features=TRAITS_OF_BASE.packed(text),
            quality=float(random.random() < 1 / (1 + math.exp(-odds))),
        )


def store_with(folder: Path, calls: Iterator[CallRecord]) -> RecordStore:
    store = RecordStore(folder / "records.sqlite3", clock=lambda: NOW_S)
    for each in calls:
        store.add(each)
    assert store.flush()
    return store


# -- what there is to learn from


def test_only_judged_answers_of_this_scorer_count_and_each_as_much_as_it_says() -> None:
    packed = TRAITS_OF_BASE.packed("a prompt")
    calls = [
        call(run_id="late", started_s=NOW_S + 9, features=packed, quality=1.0),
        call(run_id="early", features=packed, quality=0.25),
        call(run_id="silent", features=packed),
        call(run_id="two", features=packed, model="m"),
        call(run_id="two", features=packed, model="m"),
        call(run_id="bare", quality=1.0),
        call(run_id="other", features=packed.replace(TRAITS_OF_BASE.tag, "0badf00d"), quality=1.0),
        call(run_id="cached", features=packed, quality=1.0, cache="disk"),
        call(run_id="failed", features=packed, quality=1.0, error="TimeoutError"),
        call(run_id="again", features=packed, quality=0.0, why=f"{AFTER_REFUSAL}m"),
    ]
    credits_given = [
        (Credit(run_id="two", node="draft", score=0.0, weight=0.5), "m"),
        (Credit(run_id="silent", node="elsewhere", score=0.0, weight=1.0), "weak"),
    ]
    found = answers_of(calls, credits_given, tag=TRAITS_OF_BASE.tag)
    assert [(a.run, a.score, a.weight) for a in found] == [
        ("early", 0.25, 1.0),
        ("two", 0.0, 0.25),
        ("two", 0.0, 0.25),
        ("late", 1.0, 1.0),
    ]


def test_a_run_is_never_on_both_sides() -> None:
    packed = TRAITS_OF_BASE.packed("a prompt")
    calls = [
        call(run_id=f"r{n // 10}", started_s=NOW_S + n, features=packed, quality=1.0)
        for n in range(100)
    ]
    answers = answers_of(calls, (), tag=TRAITS_OF_BASE.tag)
    cut = held_back(answers)
    assert cut == 70
    assert held_back(answers[:-3]) == 70
    assert held_back(answers, since_s=NOW_S + 81) == 90
    assert held_back(answers, since_s=NOW_S + 1000) == 100


# -- putting in use


def test_what_is_better_is_used_from_then_on_and_undone_step_by_step(tmp_path: Path) -> None:
    store = store_with(tmp_path, records("a", 800, digits=1.0))
    assert scorer_in_use(tmp_path, BASE) is BASE
    dry = retrain(store, tmp_path, BASE, is_dry=True)
    assert dry.is_promoted
    assert (scorer_in_use(tmp_path, BASE), (tmp_path / FILE).exists()) == (BASE, False)

    done = retrain(store, tmp_path, BASE)
    assert (done.is_promoted, done.version, done.answers) == (True, "0001", 800)
    assert done.gain is not None
    assert 0 < done.gain.low < done.gain.mean
    first = scorer_in_use(tmp_path, BASE)
    assert isinstance(first, AdaptedScorer)
    easy, hard = first.difficulty(["word " * 30, "word " * 30 + "42 " * 25])
    assert 0 <= easy < hard <= 1
    assert told(first) == "length, version 1 of this store"

    again = retrain(store, tmp_path, BASE)
    assert not again.is_promoted  # the same answers say no more
    for each in records("b", 800, digits=-1.0, start=800):
        store.add(each)
    turned = retrain(store, tmp_path, BASE)
    assert (turned.is_promoted, turned.version) == (True, "0002")
    log = Promotions(tmp_path / FILE)
    assert [e.kind for e in log.entries()] == ["promoted", "kept", "promoted"]
    assert log.entries()[2].facts["by"] == "user"
    for version in ("length, version 1 of this store", "length"):
        assert undo(log, why="by hand") is not None
        assert told(scorer_in_use(tmp_path, BASE)) == version


def test_answers_that_prompts_have_no_part_in_change_nothing(tmp_path: Path) -> None:
    store = store_with(tmp_path, records("noise", 1500, digits=0.0))
    done = retrain(store, tmp_path, BASE)
    assert (done.is_promoted, done.version) == (False, "")
    assert not (tmp_path / FOLDER).exists()
    [entry] = Promotions(tmp_path / FILE).entries()
    assert (entry.kind, entry.old, entry.new) == ("kept", "", "")


def test_chance_alone_is_promoted_about_as_seldom_as_is_said() -> None:
    """Six attempts each on growing noise: `RISK` of the stores at most, up to chance."""
    promoted = 0
    for seed in range(40):
        answers = answers_of(
            records(f"chance {seed}", 1000, digits=0.0), (), tag=TRAITS_OF_BASE.tag
        )
        found = [
            attempt(answers[:count], old=Adaptation(slope=0.0), share=0.0, tries=tries)
            for tries, count in enumerate(range(450, 951, 100))
        ]
        promoted += any(each.is_promoted for each in found)
    assert promoted <= 40 * RISK + 2 * math.sqrt(40 * RISK)


def test_each_attempt_in_vain_makes_the_next_one_ask_for_more() -> None:
    answers = answers_of(records("more", 600, digits=0.3), (), tag=TRAITS_OF_BASE.tag)
    lows = []
    for tries in range(4):
        found = attempt(answers, old=Adaptation(slope=0.0), share=0.0, tries=tries).gain
        assert found is not None
        lows.append(found.low)
    assert lows == sorted(lows, reverse=True)
    assert len(set(lows)) == 4


def test_too_few_answers_try_nothing(tmp_path: Path) -> None:
    store = store_with(tmp_path, records("few", LEAST - 1, digits=2.0))
    done = retrain(store, tmp_path, BASE)
    assert (done.is_promoted, done.gain) == (False, None)
    assert "too few" in done.why
    assert not (tmp_path / FILE).exists()
    nothing = RecordStore(tmp_path / "none" / "records.sqlite3")
    assert retrain(nothing, tmp_path, BASE).answers == 0


def test_after_an_undoing_nothing_comes_back_by_itself_on_the_same_answers(tmp_path: Path) -> None:
    store = store_with(tmp_path, records("a", 800, digits=1.0))
    assert retrain(store, tmp_path, BASE, by="itself").is_promoted
    log = Promotions(tmp_path / FILE, clock=lambda: NOW_S + 800)
    assert undo(log, why="by hand") is not None
    assert not retrain(store, tmp_path, BASE, by="itself").is_promoted
    for each in records("b", 600, digits=1.0, start=801):
        store.add(each)
    assert retrain(store, tmp_path, BASE, by="itself").is_promoted


def test_feedback_is_learnt_from_as_well(tmp_path: Path) -> None:
    judged = list(records("said", 500, digits=2.0))
    store = store_with(tmp_path, iter([replace(each, quality=None) for each in judged]))
    for each in judged:
        verdict = Verdict(score=each.quality, passed=None, source="user")
        said = Feedback(run_id=each.run_id, verdict=verdict, node="draft", at_s=NOW_S)
        share = Credit(run_id=each.run_id, node="draft", score=each.quality or 0.0, weight=1.0)
        store.judge(said, [share], graph=each.graph, graph_name=each.graph_name)
    assert retrain(store, tmp_path, BASE).is_promoted


# -- what is no good


@pytest.mark.parametrize("harm", ["gone", "cut", "swapped", "foreign"])
def test_what_is_damaged_is_the_scorer_as_it_ships_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    store = store_with(tmp_path, records("a", 800, digits=1.0))
    retrain(store, tmp_path, BASE)
    folder = tmp_path / FOLDER / "0001"
    weights = folder / "weights.npz"
    match harm:
        case "gone":
            weights.unlink()
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-20])
        case "swapped":  # sound by itself, but not what the log names
            from graphroute.scorers.adapted import save

            save(folder, Adaptation(slope=9.0), tag=TRAITS_OF_BASE.tag)
        case _:
            card = json.loads((folder / "card.json").read_text())
            (folder / "card.json").write_text(json.dumps(card | {"family": "lexical"}))
    with caplog.at_level(logging.WARNING):
        assert scorer_in_use(tmp_path, BASE) is BASE
    assert "as it ships" in caplog.text
    assert retrain(store, tmp_path, BASE).version == "0002"


def test_a_damaged_log_is_a_warning_for_runs_and_an_error_for_who_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_with(tmp_path, records("a", 300, digits=1.0))
    (tmp_path / FILE).write_text("no database, and long enough to be looked at" * 50)
    assert scorer_in_use(tmp_path, BASE) is BASE
    assert "as it ships" in caplog.text
    with pytest.raises(StoreUnavailable):
        retrain(store, tmp_path, BASE)


def test_another_scorer_has_its_own_versions(tmp_path: Path) -> None:
    class Other:
        name = "length"

        def difficulty(self, prompts: Sequence[str]) -> list[float]:
            return [0.5 for _ in prompts]

    store = store_with(tmp_path, records("a", 800, digits=1.0))
    retrain(store, tmp_path, BASE)
    other = Other()
    assert scorer_in_use(tmp_path, other) is other
    assert scorer_in_use(tmp_path, None) is None


def test_features_hold_no_word_and_tell_scorers_apart() -> None:
    features = TRAITS_OF_BASE.of("my secret is 42")
    assert len(features.traits) == TRAITS
    assert "secret" not in features.pack()
    assert TRAITS_OF_BASE.packed("") == ""


# -- plans


def test_plans_that_learning_has_changed_are_in_the_log(tmp_path: Path) -> None:
    before, after = plan(triage(), usd=0.001), plan(triage(), usd=1.0)
    journal = PlanJournal(tmp_path)
    journal.planned(before, before, why="nothing is new")
    journal.planned(before, after, why="12 judged answers are new")
    assert journal.flush()
    [entry] = Promotions(tmp_path / FILE).entries()
    assert (entry.kind, entry.why) == ("planned", "12 judged answers are new")
    assert entry.subject.startswith("plan test ")
    assert entry.old != entry.new
    assert entry.old.count(":") > 0
