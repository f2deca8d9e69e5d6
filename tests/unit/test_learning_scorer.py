"""An optimized graph adapts its prompt scorer beside its runs, uses it, and can be told not to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graphroute import Learn, RouteHints, plan
from graphroute.ir.features import unpacked
from graphroute.promoted import scorer_in_use, told
from graphroute.store.promotions import FILE, Promotions, undo
from tests.unit.test_learning import answers_well, fast_of, flushed, graph_of, pool_of, run


class Counting:
    """Difficulty by length; its departures count in full."""

    name = "counting"
    share = 1.0

    def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
        return [min(len(prompt) / 1000, 1.0) for prompt in prompts]


def judged_by_digits(messages: Any, reply: Any) -> bool:
    """Good where the prompt has few digits: nothing that its length says."""
    return sum(c.isdigit() for c in str(messages[-1].content)) < 12


def text(n: int) -> str:
    digits = "7 " * (n * 7 % 24)
    return f"{digits}{'x ' * (60 - n * 7 % 24)}{n * 13 % 10}"


BY_DIGITS = {"draft": RouteHints(verify=judged_by_digits)}


def learning_of(store: Any, after: int = 300, **options: Any) -> Any:
    learn = Learn(retrain_after=after, replan_after=10**6, explore_share=0.0)
    options = {"nodes": BY_DIGITS, "learn": learn, "scorer": Counting(), **options}
    return fast_of(pool_of(one="good"), store, **options)


def asked(fast: Any, first: int, last: int) -> None:
    for n in range(first, last):
        fast.invoke({"text": text(n)})


def retrainer_of(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The retrainers that are made from now on."""
    from graphroute.learners import _retrainer

    made: list[Any] = []
    begin = _retrainer.Retrainer.__init__

    def noted(self: Any, *args: Any, **options: Any) -> None:
        made.append(self)
        begin(self, *args, **options)

    monkeypatch.setattr(_retrainer.Retrainer, "__init__", noted)
    return made


def test_a_graph_adapts_its_scorer_beside_its_runs_and_the_next_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = retrainer_of(monkeypatch)
    fast = learning_of(tmp_path)
    assert fast.plan.prompt_scorer == "counting"
    asked(fast, 0, 300)
    assert made[0].wait(60)
    [entry] = [e for e in Promotions(tmp_path / FILE).entries() if e.kind != "planned"]
    assert (entry.kind, entry.new, entry.facts["by"]) == ("promoted", "0001", "itself")
    named = "counting, version 1 of this store"
    assert fast.plan.prompt_scorer == named
    policy = fast.__dict__["_graphroute"].policy
    easy, hard = policy.prompts.difficulty(["x " * 60, "7 " * 60])
    assert (easy < hard, policy.text_share) == (True, 1.0)
    asked(fast, 300, 310)
    assert not any(record.fault for record in fast.records)

    again = learning_of(tmp_path)
    assert again.plan.prompt_scorer == named
    options: dict[str, Any] = {"models": pool_of(one="good"), "scorer": Counting(), "budget": 0.01}
    assert plan(graph_of(), store=tmp_path, **options).prompt_scorer == named
    without = plan(graph_of(), store=tmp_path, learn=False, **options)
    assert without.prompt_scorer == "counting"

    assert undo(Promotions(tmp_path / FILE), why="by hand") is not None
    assert again.replan().prompt_scorer == "counting"
    assert again.__dict__["_graphroute"].policy.prompts.name == "counting"


def test_what_records_keep_of_a_prompt_are_numbers_and_of_a_private_one_nothing(
    tmp_path: Path,
) -> None:
    fast = learning_of(tmp_path)
    asked(fast, 0, 1)
    features = unpacked(fast.records[0].features)
    assert features is not None
    assert features.difficulty == pytest.approx(len(text(0)) / 1000, abs=1e-3)
    private = {"draft": RouteHints(verify=judged_by_digits, privacy="local")}
    from graphroute import Model
    from graphroute.providers.scripted import ScriptedChat

    local = [Model("scripted:l", ScriptedChat(name="l", replies=["good"]), local=True, quality=0.6)]
    hidden = fast_of(local, tmp_path, nodes=private, learn=True, scorer=Counting())
    asked(hidden, 0, 1)
    assert [record.features for record in hidden.records] == [""]
    silent = fast_of(pool_of(one="good"), tmp_path, nodes=BY_DIGITS, scorer=Counting())
    asked(silent, 0, 1)
    assert [record.features for record in silent.records] == [""]


def test_zero_never_retrains_and_the_explicit_way_still_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphroute.retraining import retrain

    made = retrainer_of(monkeypatch)
    fast = learning_of(tmp_path, after=0)
    asked(fast, 0, 300)
    assert made[0].wait(60)
    assert [e for e in Promotions(tmp_path / FILE).entries() if e.kind != "planned"] == []
    flushed(fast)
    store = fast.__dict__["_graphroute"].store
    assert retrain(store, tmp_path, Counting()).is_promoted
    assert told(scorer_in_use(tmp_path, Counting())) == "counting, version 1 of this store"


def test_a_scorer_that_breaks_costs_its_features_and_no_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Counting):
        def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
            raise RuntimeError("my secret prompt")

    with caplog.at_level(logging.WARNING):
        fast = learning_of(tmp_path, scorer=Broken())
        assert fast.invoke({"text": "x"})["text"] == "good"
        assert fast.invoke({"text": "y"})["text"] == "good"
    said = [r.message for r in caplog.records if "features are no longer kept" in r.message]
    assert len(said) == 1
    assert "secret" not in said[0]


def test_a_plan_that_learning_has_changed_is_in_the_log(tmp_path: Path) -> None:
    pool = pool_of(fine="good answer", poor="bad answer")
    nodes = {"draft": RouteHints(verify=answers_well)}
    fast = fast_of(pool, tmp_path, nodes=nodes, learn=Learn(replan_after=10), budget=1.0)
    run(fast, 120)
    from graphroute.store.background import flush_all

    flush_all()
    planned = [e for e in Promotions(tmp_path / FILE).entries() if e.kind == "planned"]
    assert f"draft: {fast.plan.assignments[0].model}" in planned[-1].new
    assert all(entry.old != entry.new for entry in planned)
