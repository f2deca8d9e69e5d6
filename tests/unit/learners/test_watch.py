"""What calls give away: another version behind a name, prompts of another kind, and no more."""

from __future__ import annotations

import math
from random import Random

from graphroute.ir.features import TRAITS, Features
from graphroute.ir.learning import Alarm, Learn
from graphroute.ir.record import CHECK, CallRecord
from graphroute.learners import page_hinkley
from graphroute.learners._kinds import REFERENCE
from graphroute.learners._loop import Learning
from graphroute.learners._versions import LONG, MOST, SETTLED, Versions
from graphroute.learners._watch import Watch
from tests.unit.calls import call


def watch_of() -> Watch:
    return Watch(
        share=page_hinkley.build, amount=lambda: page_hinkley.build(threshold=30.0, slack=0.6)
    )


def told(watch: Watch, records: list[CallRecord]) -> list[tuple[int, Alarm]]:
    return [(n, alarm) for n, record in enumerate(records) for alarm in watch.note(record)]


def test_another_version_is_told_once_and_at_each_node_that_it_answers() -> None:
    watch = watch_of()
    served = ["gpt-4o-2024-05-13 fp_1"] * 60 + ["gpt-4o-2024-08-06 fp_2"] * 60
    records = [call(node=node, served=name) for name in served for node in ("draft", "check")]
    found = told(watch, records)
    assert [(alarm.node, alarm.figure, alarm.model) for _, alarm in found] == [
        ("draft", "version", "weak"),
        ("check", "version", "weak"),
    ]
    first = found[0][1]
    assert (first.was, first.now) == (served[0], served[-1])
    assert (first.since, first.before, first.after) == (5, 0.0, 0.5)
    assert found[0][0] // 2 < 60 + 10
    assert "'gpt-4o-2024-08-06 fp_2'" in str(first)


def test_versions_that_share_the_load_are_no_news() -> None:
    random, versions = Random("load"), Versions()
    names = [random.choice(("fp_1", "fp_2", "fp_3")) for _ in range(5_000)]
    assert not any(map(versions.update, names))


def test_a_version_that_comes_late_and_seldom_is_no_news() -> None:
    random, versions = Random("seldom"), Versions()
    names = ["fp_1"] * SETTLED + [
        "fp_2" if random.random() < 0.05 else "fp_1" for _ in range(20 * LONG)
    ]
    assert not any(map(versions.update, names))


def test_a_change_that_comes_by_and_by_is_told() -> None:
    random, versions = Random("slowly"), Versions()
    names = ["old"] * 200 + ["new" if random.random() < n / 60 else "old" for n in range(200)]
    found = [each for each in map(versions.update, names) if each]
    assert [(each.was, each.now) for each in found] == [("old", "new")]


def test_a_name_behind_which_there_is_no_one_model_tells_nothing() -> None:
    versions = Versions()
    names = [f"model-{n // 10}" for n in range(10 * 3 * MOST)]
    found = [n for n, name in enumerate(names) if versions.update(name)]
    assert max(found) < 10 * MOST


def test_what_answered_in_earlier_runs_is_remembered() -> None:
    watch = watch_of()
    watch.remember([call(served="old")] * 40)
    found = told(watch, [call(served="new")] * 10)
    assert [(alarm.was, alarm.now) for _, alarm in found] == [("old", "new")]


def test_answers_from_a_cache_and_failures_say_nothing_of_a_version() -> None:
    watch = watch_of()
    watch.remember([call(served="old")] * 40)
    assert not told(watch, [call(served="new", cache="disk")] * 20)
    assert not told(watch, [call(served="new", error="TimeoutError")] * 20)


def test_what_a_check_asks_is_not_watched() -> None:
    watch = watch_of()
    calm = [call(why=CHECK, served="a", took_s=0.1, prompt_chars=50) for _ in range(100)]
    wild = [call(why=CHECK, served="b", took_s=9.0, prompt_chars=5000) for _ in range(100)]
    assert told(watch, calm + wild) == []
    assert told(watch, [call(served="a")] * 20) == []


def test_after_another_version_what_was_known_of_the_model_counts_little() -> None:
    learning = Learning(Learn(), start={}, watch=watch_of())
    for _ in range(50):
        learning.note(call(served="old", quality=1.0))
    assert learning.evidence()["draft", "weak"].answers > 45
    assert learning.is_due()
    for _ in range(6):
        learning.note(call(served="new", quality=1.0))
    assert learning.evidence()["draft", "weak"].answers < 15
    assert learning.is_due()


def prompts_of(seed: str, number: int, *, moved: float = 0.0) -> list[str]:
    """Packed features: the traits vary together, as those of prompts do."""
    random, found = Random(seed), []
    for _ in range(number):
        size = random.gauss(1.0, 0.4)
        traits = [size + random.gauss(0.0, 0.2) for _ in range(TRAITS)]
        traits[3] += moved
        found.append(Features(tag="a", difficulty=0.5, traits=tuple(traits)).pack())
    return found


def test_prompts_of_another_kind_are_told_though_as_long_and_as_hard() -> None:
    watch = watch_of()
    packed = prompts_of("before", 500) + prompts_of("after", 300, moved=4.0)
    found = told(watch, [call(features=f, prompt_chars=400) for f in packed])
    assert [(alarm.figure, alarm.model, alarm.node) for _, alarm in found] == [
        ("prompt_kind", "", "draft")
    ]
    n, alarm = found[0]
    assert 500 < n < 700
    assert alarm.after > 1.5 * alarm.before


def test_prompts_that_stay_as_they_are_raise_no_alarm() -> None:
    watch = watch_of()
    records = [call(features=f) for f in prompts_of("steady", 20_000)]
    assert not [each for each in told(watch, records) if each[1].figure == "prompt_kind"]


def test_features_of_another_scorer_begin_anew() -> None:
    watch = watch_of()
    other = [text.replace("a:", "b:", 1) for text in prompts_of("x", 300, moved=9.0)]
    found = told(watch, [call(features=f) for f in prompts_of("y", REFERENCE + 200) + other])
    assert not [each for each in found if each[1].figure == "prompt_kind"]


def test_a_retrained_scorer_is_no_drift_of_difficulty() -> None:
    """Records carry what the scorer in use says; features what the unchanged one does."""
    watch = watch_of()
    packed = prompts_of("same", 600)
    records = [call(features=f, difficulty=0.5) for f in packed[:300]]
    records += [call(features=f, difficulty=0.9) for f in packed[300:]]
    assert not told(watch, records)
    bare = [call(difficulty=0.5)] * 300 + [call(difficulty=0.9)] * 300
    (n, alarm) = told(watch_of(), bare)[0]
    assert alarm.figure == "difficulty"
    assert n < 400
    assert math.isclose(alarm.after, 0.9)
