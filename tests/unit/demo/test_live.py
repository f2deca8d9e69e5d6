"""The examples and the demo on the real small models, embedded in this process."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from graphroute import demo
from graphroute.cli import run
from graphroute.demo import tickets
from graphroute.frontend.target import load_target
from graphroute.ir.codec import plan_schema
from graphroute.ir.plan import Plan
from graphroute.providers import llamacpp

# One worker: two of them would load the models twice and share the same two cores.
pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(900)]

EXAMPLES = tickets.folder()


@pytest.mark.parametrize("name", ["triage", "map_reduce", "agent", "checked"])
def test_an_example_loads_without_starting_a_server(name: str) -> None:
    before = set(_servers())
    graph = load_target(f"{name}.py:graph", folder=EXAMPLES)
    assert graph.nodes
    assert set(_servers()) == before


def test_plan_of_the_triage_example(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["plan", f"{EXAMPLES / 'triage.py'}:graph", "--budget", "0.01", "--json"]
    texts = []
    for _ in range(2):
        assert run(words) == 0
        texts.append(capfd.readouterr().out)
    assert texts[0] == texts[1]
    jsonschema.Draft202012Validator(plan_schema()).validate(json.loads(texts[0]))


@pytest.mark.parametrize("name", ["triage", "map_reduce", "agent", "checked"])
def test_an_example_runs(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    told = capfd.readouterr().out
    assert "llamacpp:smollm2-135m" in told
    assert "call" in told.splitlines()[-1]


def test_the_demo_on_two_tickets() -> None:
    ticks: list[str] = []
    plans: list[tuple[Plan, float]] = []

    def started(name: str, total: int) -> Any:
        assert total == (3 if name == "long ticket" else 2)
        return lambda: ticks.append(name)

    outcome = demo.run(limit=2, started=started, planned=lambda *told: plans.append(told))
    strong, free, ours = outcome.arms
    ways = [*(["all strong"] * 2), *(["all free"] * 2), *(["graphroute"] * 2)]
    assert ticks == [*ways, *(["long ticket"] * 3)]
    assert plans == [(outcome.plan, outcome.budget_usd)]
    assert outcome.budget_usd == pytest.approx(strong.cost_usd / 4)
    assert free.cost_usd == 0
    assert {name for name, _ in strong.report.totals.calls_by} == {"llamacpp:gemma-3-270m"}
    assert ours.dearest_usd <= outcome.budget_usd
    # What the plan is for: the step that only the strong model can do goes to it.
    extract = outcome.plan.assignment("extract")
    assert extract is not None
    assert extract.model == "llamacpp:gemma-3-270m"
    assert sum(s.fields for s in ours.scores) > sum(s.fields for s in free.scores)
    taken = outcome.detour
    # What two tickets have shown: a prompt is far shorter than a plan without records expects.
    assert taken.plan.totals.cost_expected_usd <= taken.budget_usd
    assert {a.model for a in taken.plan.assignments} == {"llamacpp:gemma-3-270m"}
    # The long ticket costs more than that, so the rest of its run was planned again, in this run.
    (changed,) = {step.node for step in taken.replanned}
    assert changed == "draft"
    assert all("more spent than planned" in step.why for step in taken.replanned)
    assert [step.node for step in taken.steps][:3] == ["classify", "extract", "draft"]
    assert 0 <= taken.steps[-1].left_usd < taken.budget_usd


def _servers() -> list[object]:
    from graphroute.providers import _llama_server

    return list(_llama_server._servers)


@pytest.fixture(autouse=True, scope="module")
def _stopped() -> Any:
    yield
    llamacpp.close()


def test_the_examples_folder_holds_what_the_readme_names() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert path.name in text, path.name
    assert (Path(EXAMPLES) / "data" / "tickets.jsonl").is_file()
